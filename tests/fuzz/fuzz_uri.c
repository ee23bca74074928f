/* fuzz_uri.c - any text as a URI: nothing crashes, masking is stable, hides the password, and is undone by unmasking. */
#include "common/text/uri.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The text may differ where a key came twice: the first value counts. */
static void
same_values(const char *text, const struct ml_uri *u)
{
	struct ml_uri *v;

	if (ml_uri_parse(&v, text, NULL) != 0 || v->n_params != u->n_params)
		abort();
	for (size_t i = 0; i < u->n_params; i++)
		if (strcmp(u->params[i].key, v->params[i].key) != 0 ||
			strcmp(u->params[i].value, v->params[i].value) != 0)
			abort();
	if ((u->password == NULL) != (v->password == NULL) ||
		(u->password != NULL && strcmp(u->password, v->password) != 0))
		abort();
	ml_uri_free(v);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *masked, *again, *back;
	struct ml_uri *u = NULL;
	int64_t ns;

	memcpy(text, data, size);
	text[size] = '\0';
	ml_parse_duration_ns(text, &ns);
	masked = ml_uri_mask(text, ML_MASK_API);
	again = ml_uri_mask(masked, ML_MASK_API);
	if (strcmp(masked, again) != 0)
		abort();
	if (ml_uri_parse(&u, text, NULL) == 0) {
		bool b;
		int64_t n;

		back = ml_uri_unmask(masked, text);
		same_values(back, u);
		free(back);
		for (size_t i = 0; i < u->n_params; i++) {
			ml_uri_bool(u, u->params[i].key, &b, ML_ErrKafkaInvalidConfig, NULL);
			ml_uri_int(u, u->params[i].key, &n, ML_ErrKafkaInvalidConfig, NULL);
			ml_uri_duration_ms(u, u->params[i].key, &n, ML_ErrMySQLInvalidConfig, NULL);
		}
		for (char *save = NULL, *h = strtok_r(u->hosts, ",", &save); h != NULL;
			h = strtok_r(NULL, ",", &save)) {
			char host[64];
			uint16_t port;

			ml_uri_host_port(h, host, sizeof(host), &port, 9092);
		}
	} else if (masked[0] != '\0') {
		abort();
	}
	ml_uri_free(u);
	free(again);
	free(masked);
	free(text);
	return 0;
}
