/* rows.h - tables, rows and units for the tests of the SQL sink, from short texts. */
#ifndef ML_TEST_SQL_ROWS_H
#define ML_TEST_SQL_ROWS_H
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture-worker/sink/mysql/flush.h"
#include "capture-worker/sink/mysql/key.h"
#include "capture-worker/sink/mysql/unit.h"

static uint16_t
rows_column(const struct ml_schema *s, const char *name, size_t len)
{
	int c = ml_schema_column(s, name, len);

	if (c < 0)
		abort();
	return (uint16_t)c;
}

/*
 * cols: "id:i name:v:general_ci total:d:g": i INT, v VARCHAR, b VARBINARY, d DECIMAL, e ENUM, f FLOAT, j JSON, x VECTOR; behind it g for
 * a generated column (stored), V for a virtual one, N for NOT NULL, or the end of the collation.
 * keys: "P=b,a U=email(10)": primary and unique indexes; "(?)" for a prefix of unknown length.
 */
static struct ml_schema *
rows_table(const char *db, const char *table, int64_t id, const char *cols, const char *keys)
{
	struct ml_schema *s = ml_schema_new();
	char buf[400], *save = NULL;

	s->db = (struct ml_text){ db, (uint32_t)strlen(db) };
	s->table = (struct ml_text){ table, (uint32_t)strlen(table) };
	s->table_id = id;
	s->columns = ml_arena_zalloc(&s->arena, 16 * sizeof(*s->columns));
	s->indexes = ml_arena_zalloc(&s->arena, 8 * sizeof(*s->indexes));
	snprintf(buf, sizeof(buf), "%s", cols);
	for (char *w = strtok_r(buf, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save)) {
		struct ml_column *c = &s->columns[s->n_columns++];
		char *type = strchr(w, ':'), *more;
		static const char kinds[] = "ivbdefjx";
		static const uint8_t types[] = { ML_T_LONG, ML_T_VARCHAR, ML_T_VARCHAR, ML_T_DECIMAL, ML_T_ENUM,
			ML_T_FLOAT, ML_T_JSON, ML_T_VECTOR };

		*type++ = '\0';
		more = type[1] == ':' ? type + 2 : type + 1;
		c->name.s = ml_arena_strndup(&s->arena, w, strlen(w));
		c->name.len = (uint32_t)strlen(w);
		c->id = s->n_columns;
		c->type = types[strchr(kinds, *type) - kinds];
		c->charset = *type == 'b' ? (struct ml_text){ "binary", 6 } : (struct ml_text){ "utf8mb4", 7 };
		c->flen = c->decimal = -1;
		c->flags = ML_F_NULLABLE;
		if (strcmp(more, "g") == 0) {
			c->flags |= ML_F_GENERATED;
		} else if (strcmp(more, "V") == 0) {
			c->flags |= ML_F_GENERATED;
			c->virtual_generated = true;
		} else if (strcmp(more, "N") == 0) {
			c->flags = 0;
		} else if (more[0] != '\0') {
			c->collation.s = ml_arena_strndup(&s->arena, more, strlen(more));
			c->collation.len = (uint32_t)strlen(more);
		}
	}
	snprintf(buf, sizeof(buf), "%s", keys);
	for (char *w = strtok_r(buf, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save)) {
		struct ml_index *x = &s->indexes[s->n_indexes++];

		x->primary = *w == 'P';
		x->unique = true;
		x->cols = ml_arena_zalloc(&s->arena, 8 * sizeof(*x->cols));
		for (char *name = w + 2; *name != '\0';) {
			size_t n = strcspn(name, ","), plain = strcspn(name, ",(");
			uint16_t c = rows_column(s, name, plain);

			if (x->primary)
				s->columns[c].flags &= (uint8_t)~ML_F_NULLABLE;
			x->nullable = x->nullable || (s->columns[c].flags & ML_F_NULLABLE) != 0;
			if (plain < n) {
				if (x->prefixes == NULL && name[plain + 1] != '?')
					x->prefixes = ml_arena_zalloc(&s->arena, 8 * sizeof(*x->prefixes));
				if (x->prefixes != NULL)
					x->prefixes[x->n_cols] = (uint32_t)atoi(name + plain + 1);
				x->prefix = true;
			}
			x->cols[x->n_cols++] = c;
			name += n + (name[n] == ',');
		}
	}
	ml_schema_finish(s);
	return s;
}

/* "1|pen|N": values; N is NULL, ~ absent, x0027 bytes. */
static const struct ml_datum *
rows_image(struct ml_batch *b, const struct ml_schema *s, const char *text, size_t len)
{
	struct ml_datum *d = ml_arena_zalloc(&b->arena, s->n_columns * sizeof(*d));
	const char *p = text, *end = text + len;

	for (uint16_t i = 0; i < s->n_columns; i++) {
		const char *bar = memchr(p, '|', (size_t)(end - p));
		size_t n = (size_t)((bar != NULL ? bar : end) - p);
		char *v = ml_arena_strndup(&b->arena, p, n);

		if (strcmp(v, "N") == 0) {
			d[i].kind = ML_D_NULL;
		} else if (strcmp(v, "~") == 0) {
			d[i].kind = ML_D_ABSENT;
		} else if (s->columns[i].type == ML_T_LONG || s->columns[i].type == ML_T_ENUM) {
			d[i].kind = s->columns[i].type == ML_T_LONG ? ML_D_I64 : ML_D_U64;
			d[i].i = atoll(v);
		} else if (s->columns[i].type == ML_T_FLOAT) {
			d[i].kind = ML_D_F32;
			d[i].f32 = strtof(v, NULL);
		} else {
			d[i].kind = ML_D_BYTES;
			d[i].s = v;
			d[i].len = (uint32_t)n;
			if (v[0] == 'x' && n > 1) {
				for (size_t k = 1; k + 1 < n; k += 2) {
					unsigned byte;

					sscanf(v + k, "%2x", &byte);
					v[k / 2] = (char)byte;
				}
				d[i].len = (uint32_t)(n / 2);
			}
		}
		p += n + (bar != NULL);
	}
	return d;
}

/* "I 1|pen|5", "D 1|pen|5", "U 1|pen|5>1|pen|6" */
static void
rows_add(struct ml_batch *b, struct ml_schema *s, const char *text, ml_ts commit_ts)
{
	struct ml_row *row = ml_batch_row(b);
	const char *more = strchr(text, '>'), *end = text + strlen(text);

	*row = (struct ml_row){ .schema = s, .commit_ts = commit_ts, .start_ts = commit_ts - 1 };
	ml_batch_pin(b, s);
	if (text[0] == 'I') {
		row->op = ML_OP_INSERT;
		row->after = rows_image(b, s, text + 2, (size_t)(end - text - 2));
	} else if (text[0] == 'D') {
		row->op = ML_OP_DELETE;
		row->before = rows_image(b, s, text + 2, (size_t)(end - text - 2));
	} else {
		row->op = ML_OP_UPDATE;
		row->before = rows_image(b, s, text + 2, (size_t)(more - text - 2));
		row->after = rows_image(b, s, more + 1, (size_t)(end - more - 1));
	}
	(void)sql_table_of(s, row->after != NULL ? row->after : row->before);
}

/* A unit of rows [from, to) of b; in b's arena. */
static struct sql_unit *
rows_unit(struct ml_batch *b, uint32_t from, uint32_t to, bool fresh)
{
	struct sql_unit *u = ml_arena_zalloc(&b->arena, sizeof(*u));
	uint64_t *hashes = ml_arena_zalloc(&b->arena, (to - from) * 32 * sizeof(*hashes));
	uint32_t *first = ml_arena_zalloc(&b->arena, (to - from + 1) * sizeof(*first)), n = 0;
	struct ml_buf scratch = { 0 };

	for (uint32_t i = from; i < to; i++) {
		first[i - from] = n;
		n += sql_keys_of(hashes + n, b->rows[i].schema->encoder, &b->rows[i], &scratch);
	}
	first[to - from] = n;
	ml_buf_fini(&scratch);
	u->rows = b->rows + from;
	u->n_rows = to - from;
	u->fresh = fresh;
	u->hashes = hashes;
	u->first = first;
	u->nodes = ml_arena_zalloc(&b->arena, n * sizeof(*u->nodes));
	u->waits = ml_arena_zalloc(&b->arena, n * sizeof(*u->waits));
	return u;
}
#endif
