/* fuzz_filter_rules.c - first line: a table name "db.table"; the rest: rule lines. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "capture-worker/event/rules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *lines[16], *text, *dot, *save = NULL;
	struct ml_rules *r;
	struct ml_err err;
	size_t n = 0;

	if (size > 4096)
		return 0;
	text = malloc(size + 1);
	if (text == NULL)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	for (char *s = strtok_r(text, "\n", &save); s != NULL && n < 16; s = strtok_r(NULL, "\n", &save))
		lines[n++] = s;
	if (n > 1 && (dot = strchr(lines[0], '.')) != NULL) {
		for (int sensitive = 0; sensitive < 2; sensitive++) {
			if (ml_rules_new(&r, lines + 1, n - 1, sensitive, false, &err) != 0)
				continue;
			if (ml_rules_match(r, lines[0], (size_t)(dot - lines[0]), dot + 1, strlen(dot + 1)) &&
				!ml_rules_match_db(r, lines[0], (size_t)(dot - lines[0])))
				abort(); /* a table of a schema that has none */
			ml_rules_free(r);
		}
	}
	free(text);
	return 0;
}
