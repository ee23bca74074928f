/* fuzz_http_body.c - whatever a client sends as a body: the JSON reader and the specs of create and update built from it. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "api-gateway/api/spec.h"
#include "common/text/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char base[] = "{\"changefeed_id\":\"base\",\"sink_uri\":\"mysql://root:pw@h:1/\"}";
	Ml__ChangefeedSpec *old, *spec;
	struct ml_arena a;
	struct ml_json *j;
	struct ml_err err;

	ml_arena_init(&a, 1024);
	if (ml_json_parse(&j, &a, (const char *)data, size, &err) == 0) {
		struct ml_buf once = { 0 }, twice = { 0 };
		struct ml_json *again;

		/* What was read prints as a text that reads and prints the same. */
		ml_json_print(j, &once);
		if (ml_json_parse(&again, &a, once.data, once.len, &err) < 0)
			abort();
		ml_json_print(again, &twice);
		if (once.len != twice.len || memcmp(once.data, twice.data, once.len) != 0)
			abort();
		ml_buf_fini(&once);
		ml_buf_fini(&twice);
	}
	ml_arena_fini(&a);
	if (ml_spec_of_create((const char *)data, size, &spec, &err) == 0)
		ml__changefeed_spec__free_unpacked(spec, NULL);
	if (ml_spec_of_create(base, sizeof(base) - 1, &old, &err) < 0)
		abort();
	if (ml_spec_of_update((const char *)data, size, old, &spec, &err) == 0)
		ml__changefeed_spec__free_unpacked(spec, NULL);
	ml__changefeed_spec__free_unpacked(old, NULL);
	return 0;
}
