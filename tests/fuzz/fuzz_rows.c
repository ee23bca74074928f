/*
 * fuzz_rows.c - a TABLE_MAP and a rows event on it, both foreign bytes: u8 event type, u8 flags, u16 length of the TABLE_MAP's
 * body, that body, the rows event's body.  flags: 1 MariaDB wrote it, 2 system-versioned, 4 fixed-length columns are addresses,
 * upper four bits: fraction digits of old temporals and size of the pieces.
 */
#include <stdlib.h>

#include "tests/unit/capture-worker/mounter/decode_util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A copy of exactly n bytes: reading over the end is seen. */
static uint8_t *
exact(const uint8_t *p, size_t n)
{
	uint8_t *copy = malloc(n > 0 ? n : 1);

	if (copy == NULL)
		abort();
	memcpy(copy, p, n);
	return copy;
}

static void
decorate(struct ml_schema *s, const struct ml_tablemap *tm, uint8_t flags)
{
	for (unsigned i = 0; i < s->n_columns; i++) {
		const struct ml_tm_column *tc = &tm->columns[i];
		struct ml_column *c = &s->columns[i];

		if (tc->code == ML_BT_TIME || tc->code == ML_BT_DATETIME || tc->code == ML_BT_TIMESTAMP)
			c->decimal = (flags >> 4) % 7;
		if ((flags & 4) && tc->real == ML_BT_STRING)
			c->special = tc->length == 4    ? ML_SP_INET4
				     : tc->length == 16 ? i & 1 ? ML_SP_INET6 : ML_SP_UUID
							: ML_SP_NONE;
		if ((flags & 4) && tc->real == ML_BT_VARCHAR && tc->length % 4 == 0 &&
			tc->collation == ML_COLLATION_BINARY)
			c->special = ML_SP_VECTOR;
	}
	if (flags & 2)
		s->kind = ML_TABLE_VERSIONED;
}

/* Reads all rows and looks at all their bytes; rows, or -1. */
static int64_t
read_rows(struct ml_rows *r, struct ml_rowdec *dec, uint8_t type, const uint8_t *body, size_t len,
	const struct ml_rows_want *want)
{
	int64_t n = 0;
	int rc;

	if (ml_rows_open(r, dec, type, body, len, NULL) != 0)
		return -1;
	do {
		struct ml_batch *b = ml_batch_new();

		rc = ml_rows_next(r, b, want, NULL);
		n += (int64_t)b->n_changes;
		if (want->values)
			free(rows_text(b));
		ml_batch_free(b);
	} while (rc > 0);
	return rc < 0 ? -1 : n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ml_tablemap tm;
	struct ml_arena a;
	struct ml_schema *schema;
	struct ml_rowdec *dec = NULL;
	struct ml_rows r;
	struct ml_tz *tz;
	uint8_t type, flags, *map, *body;
	size_t map_len;

	if (size < 4 || size > 1u << 16)
		return 0;
	type = data[0];
	flags = data[1];
	map_len = (size_t)data[2] | (size_t)data[3] << 8;
	if (map_len > size - 4)
		return 0;
	map = exact(data + 4, map_len);
	body = exact(data + 4 + map_len, size - 4 - map_len);
	ml_arena_init(&a, 0);
	if (ml_tz_open(&tz, "+08:00", NULL) != 0)
		abort();
	if (ml_tablemap_parse(&tm, &a, map, map_len, flags & 1, "", NULL) == 0) {
		schema = schema_of(&tm);
		decorate(schema, &tm, flags);
		ml_rows_init(&r, no_place, NULL);
		if (ml_rowdec_new(&dec, &tm, schema, tz, "", NULL) == 0) {
			struct ml_rows_want count = { .values = false }, values = { .values = true },
					    pieces = { .values = true, .max_rows = 1u + (flags >> 4), .max_bytes = 64 };
			int64_t n = read_rows(&r, dec, type, body, size - 4 - map_len, &count);
			int64_t m = read_rows(&r, dec, type, body, size - 4 - map_len, &values);

			/* A value may be wrong where the bytes are counted well, never the other way round. */
			if (m >= 0 && (n != m || read_rows(&r, dec, type, body, size - 4 - map_len, &pieces) != m))
				abort();
			ml_rowdec_free(dec);
		}
		ml_rows_fini(&r);
		ml_schema_unref(schema);
	}
	ml_tz_free(tz);
	ml_arena_fini(&a);
	free(map);
	free(body);
	return 0;
}
