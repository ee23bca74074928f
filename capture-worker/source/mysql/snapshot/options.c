#include "capture-worker/source/mysql/snapshot/options.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/text/replica.h"

static uint64_t
number(const struct ml_json *doc, const char *path, uint64_t dflt)
{
	const struct ml_json *v = ml_replica_get(doc, path);

	return v != NULL && v->type == ML_JSON_NUMBER ? strtoull(v->s, NULL, 10) : dflt;
}

void
ml_copy_options_read(struct ml_copy_options *o, const char *json)
{
	const struct ml_json *v;
	struct ml_arena a;
	struct ml_json *doc;

	*o = (struct ml_copy_options){ .threads = 4, .chunk_rows = 20000, .create_tables = true };
	if (json == NULL || json[0] == '\0')
		return;
	ml_arena_init(&a, 4096);
	if (ml_json_parse(&doc, &a, json, strlen(json), NULL) == 0) {
		v = ml_replica_get(doc, "snapshot");
		if (v != NULL && v->type == ML_JSON_STRING && strcasecmp(v->s, "incremental") == 0)
			o->method = ML_COPY_INCREMENTAL;
		if (v != NULL && v->type == ML_JSON_STRING && strcasecmp(v->s, "locked") == 0)
			o->method = ML_COPY_LOCKED;
		v = ml_replica_get(doc, "create-tables");
		if (v != NULL && v->type == ML_JSON_BOOL)
			o->create_tables = v->b;
		o->threads = (uint32_t)number(doc, "snapshot-threads", o->threads);
		o->chunk_rows = number(doc, "snapshot-chunk-rows", o->chunk_rows);
		o->rows_per_second = number(doc, "max-rows-per-second", 0);
	}
	ml_arena_fini(&a);
}
