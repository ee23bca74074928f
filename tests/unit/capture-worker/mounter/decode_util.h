/* decode_util.h - what the tests of the row decoder share: hex to bytes, a definition from a TABLE_MAP, rows as text. */
#ifndef ML_TEST_DECODE_UTIL_H
#define ML_TEST_DECODE_UTIL_H
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture-worker/mounter/binlog.h"
#include "common/base/buf.h"
#include "common/text/tz.h"

/* Bytes of hex digits, blanks between them are fine.  malloc'ed to exactly the size, so that ASan sees an overrun. */
static inline uint8_t *
unhex(const char *hex, size_t *len)
{
	uint8_t *out, *exact;
	size_t n = 0;

	out = malloc(strlen(hex) / 2 + 1);
	for (const char *p = hex; *p != '\0'; p++) {
		unsigned v;

		if (isspace((unsigned char)*p))
			continue;
		if (sscanf(p, "%2x", &v) != 1)
			abort();
		out[n++] = (uint8_t)v;
		p++;
	}
	exact = malloc(n > 0 ? n : 1);
	memcpy(exact, out, n);
	free(out);
	*len = n;
	return exact;
}

/* The least definition that goes with a TABLE_MAP: types, signs and charset "utf8mb4"; columns without names are c1, c2, .. */
static inline struct ml_schema *
schema_of(const struct ml_tablemap *tm)
{
	struct ml_schema *s = ml_schema_new();

	s->db = (struct ml_text){ ml_arena_strndup(&s->arena, tm->db.s, tm->db.len), tm->db.len };
	s->table = (struct ml_text){ ml_arena_strndup(&s->arena, tm->table.s, tm->table.len), tm->table.len };
	s->n_columns = tm->n_columns;
	s->columns = ml_arena_zalloc(&s->arena, tm->n_columns * sizeof(*s->columns));
	for (unsigned i = 0; i < tm->n_columns; i++) {
		const struct ml_tm_column *tc = &tm->columns[i];
		struct ml_column *c = &s->columns[i];
		char name[16];

		snprintf(name, sizeof(name), "c%u", i + 1);
		c->name = tc->name.s != NULL ? (struct ml_text){ ml_arena_strndup(&s->arena, tc->name.s, tc->name.len),
			tc->name.len }
					     : (struct ml_text){ ml_arena_strndup(&s->arena, name, strlen(name)),
						       (uint32_t)strlen(name) };
		c->id = (uint16_t)(i + 1);
		c->flags = (uint8_t)((tc->nullable ? ML_F_NULLABLE : 0) | (tc->is_unsigned ? ML_F_UNSIGNED : 0));
		c->flen = -1;
		c->decimal = tc->real == ML_BT_NEWDECIMAL || tc->scale > 0 ? tc->scale : -1;
		c->charset = (struct ml_text){ "utf8mb4", 7 };
		switch (tc->real) {
		case ML_BT_TIMESTAMP2:
			c->type = ML_T_TIMESTAMP;
			break;
		case ML_BT_DATETIME2:
			c->type = ML_T_DATETIME;
			break;
		case ML_BT_TIME2:
			c->type = ML_T_TIME;
			break;
		case ML_BT_VARCHAR_COMPRESSED:
			c->type = ML_T_VARCHAR;
			break;
		case ML_BT_BLOB:
		case ML_BT_BLOB_COMPRESSED:
			c->type = tc->prefix == 1   ? ML_T_TINYBLOB
				  : tc->prefix == 2 ? ML_T_BLOB
				  : tc->prefix == 3 ? ML_T_MEDIUMBLOB
						    : ML_T_LONGBLOB;
			break;
		default:
			c->type = tc->real;
			break;
		}
	}
	ml_schema_finish(s);
	return s;
}

static inline struct ml_column *
column(struct ml_schema *s, const char *name)
{
	int i = ml_schema_column(s, name, strlen(name));

	if (i < 0)
		abort();
	return &s->columns[i];
}

static inline void
print_datum(struct ml_buf *out, const struct ml_datum *d)
{
	switch (d->kind) {
	case ML_D_ABSENT:
		ml_buf_puts(out, "-");
		break;
	case ML_D_NULL:
		ml_buf_puts(out, "NULL");
		break;
	case ML_D_I64:
		ml_buf_printf(out, "%lld", (long long)d->i);
		break;
	case ML_D_U64:
		ml_buf_printf(out, "u%llu", (unsigned long long)d->u);
		break;
	case ML_D_F32:
		ml_buf_printf(out, "f%.9g", (double)d->f32);
		break;
	case ML_D_F64:
		ml_buf_printf(out, "d%.17g", d->f64);
		break;
	default:
		for (uint32_t i = 0; i < d->len; i++)
			if ((unsigned char)d->s[i] < 0x20)
				ml_buf_printf(out, "\\%02x", (unsigned char)d->s[i]);
			else
				ml_buf_putc(out, d->s[i]);
		break;
	}
}

/* "I(1|a)", "U(1|a>1|b)", "D(1|a)", each followed by a newline. */
static inline char *
rows_text(const struct ml_batch *b)
{
	struct ml_buf out = { 0 };

	for (uint32_t i = 0; i < b->n_rows; i++) {
		const struct ml_row *row = &b->rows[i];

		ml_buf_printf(&out, "%c(", " IUD"[row->op]);
		for (int k = 0; k < 2; k++) {
			const struct ml_datum *d = k == 0 ? row->before : row->after;

			if (d == NULL)
				continue;
			for (unsigned c = 0; c < row->schema->n_columns; c++) {
				if (c > 0)
					ml_buf_putc(&out, '|');
				print_datum(&out, &d[c]);
			}
			if (k == 0 && row->after != NULL)
				ml_buf_putc(&out, '>');
		}
		ml_buf_puts(&out, ")\n");
	}
	if (out.data == NULL)
		ml_buf_puts(&out, "");
	return out.data;
}

static inline void
no_place(void *arg, char *buf, size_t size)
{
	(void)arg;
	snprintf(buf, size, "bin.000001:4");
}

/* All rows of one event as text, or the error as "[CDC:..]..."; malloc'ed.  *counted: what a walk without values counts. */
static inline char *
decode_event(struct ml_rowdec *dec, uint8_t type, const uint8_t *body, size_t len, uint64_t *counted)
{
	struct ml_batch *b = ml_batch_new();
	struct ml_rows r;
	struct ml_err err = { 0 };
	struct ml_rows_want want = { .commit_ts = 7, .values = true };
	char *out;
	int rc;

	ml_rows_init(&r, no_place, NULL);
	rc = ml_rows_open(&r, dec, type, body, len, &err);
	while (rc == 0 && (rc = ml_rows_next(&r, b, &want, &err)) > 0)
		rc = 0;
	if (rc == 0) {
		out = rows_text(b);
	} else {
		out = malloc(2048);
		ml_err_print(&err, out, 2048);
	}
	ml_batch_free(b);
	if (counted != NULL) {
		b = ml_batch_new();
		want.values = false;
		if (ml_rows_open(&r, dec, type, body, len, NULL) == 0)
			while (ml_rows_next(&r, b, &want, NULL) > 0)
				;
		*counted = b->n_changes;
		ml_batch_free(b);
	}
	ml_rows_fini(&r);
	return out;
}
#endif
