/* fuzz_toml.c - the TOML reader on any bytes; what it accepts must be a sound tree. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/text/toml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
walk(const struct ml_toml *v, unsigned depth)
{
	if (depth > 3 * ML_TOML_DEPTH_MAX || (v->type == ML_TOML_STRING && v->text == NULL))
		abort();
	for (const struct ml_toml *i = v->first; i != NULL; i = i->next) {
		/* The first of a name is the only one. */
		if (v->type == ML_TOML_TABLE && (i->key == NULL || (depth < 2 && ml_toml_get(v, i->key) != i)))
			abort();
		walk(i, depth + 1);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ml_toml *root;
	struct ml_err err;

	if (ml_toml_parse(&root, (const char *)data, size, &err) == 0) {
		walk(root, 0);
		ml_toml_free(root);
	} else if (err.code != ML_ErrConfigInvalid || err.text[0] == '\0') {
		abort();
	}
	return 0;
}
