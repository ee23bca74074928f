/* expr_row.h - one row of many types for tests of value expressions, and its table as MariaDB would have it. */
#ifndef ML_TESTS_FILTER_EXPR_ROW_H
#define ML_TESTS_FILTER_EXPR_ROW_H
#include <string.h>

#include "capture-worker/event/row.h"

/*
 * CREATE TABLE d.t (i INT, neg BIGINT, one TINYINT, zero TINYINT, u BIGINT UNSIGNED, y YEAR, b BIT(4), nul VARCHAR(20), s VARCHAR(20),
 *   sb VARCHAR(20) COLLATE utf8mb4_bin, su VARCHAR(20) COLLATE utf8mb4_unicode_ci, num VARCHAR(20), e VARCHAR(10), de DECIMAL(10,4),
 *   dn DECIMAL(5,2), d DOUBLE, f FLOAT, da DATE, dt DATETIME(3), ti TIME, en ENUM('new','Paid','x'), se SET('a','b','c'), j JSON,
 *   virt INT AS (i) VIRTUAL) COLLATE utf8mb4_general_ci
 */
#define EXPR_COLUMNS 24
static struct ml_datum expr_row[EXPR_COLUMNS];

static inline struct ml_schema *
expr_table(void)
{
	static const struct {
		const char *name;
		uint8_t type, flags;
		int decimal;
		const char *collation;
		uint8_t kind;
		const char *s;
		union {
			int64_t i;
			double d;
		} v;
	} cols[EXPR_COLUMNS] = {
		{ "i", ML_T_LONG, ML_F_BINARY, -1, "binary", ML_D_I64, NULL, { .i = 42 } },
		{ "neg", ML_T_LONGLONG, ML_F_BINARY, -1, "binary", ML_D_I64, NULL, { .i = -7 } },
		{ "one", ML_T_TINY, ML_F_BINARY, -1, "binary", ML_D_I64, NULL, { .i = 1 } },
		{ "zero", ML_T_TINY, ML_F_BINARY, -1, "binary", ML_D_I64, NULL, { .i = 0 } },
		{ "u", ML_T_LONGLONG, ML_F_BINARY | ML_F_UNSIGNED, -1, "binary", ML_D_U64, NULL, { .i = -1 } },
		{ "y", ML_T_YEAR, ML_F_BINARY | ML_F_UNSIGNED, -1, "binary", ML_D_I64, NULL, { .i = 2024 } },
		{ "b", ML_T_BIT, ML_F_BINARY | ML_F_UNSIGNED, -1, "binary", ML_D_U64, NULL, { .i = 5 } },
		{ "nul", ML_T_VARCHAR, 0, -1, "utf8mb4_general_ci", ML_D_NULL, NULL, { 0 } },
		{ "s", ML_T_VARCHAR, 0, -1, "utf8mb4_general_ci", ML_D_BYTES, "Hello World", { 0 } },
		{ "sb", ML_T_VARCHAR, 0, -1, "utf8mb4_bin", ML_D_BYTES, "Hello World", { 0 } },
		{ "su", ML_T_VARCHAR, 0, -1, "utf8mb4_unicode_ci", ML_D_BYTES, "Straße Émile", { 0 } },
		{ "num", ML_T_VARCHAR, 0, -1, "utf8mb4_general_ci", ML_D_BYTES, "12.5abc", { 0 } },
		{ "e", ML_T_VARCHAR, 0, -1, "utf8mb4_general_ci", ML_D_BYTES, "", { 0 } },
		{ "de", ML_T_DECIMAL, ML_F_BINARY, 4, "binary", ML_D_BYTES, "1234.5600", { 0 } },
		{ "dn", ML_T_DECIMAL, ML_F_BINARY, 2, "binary", ML_D_BYTES, "-0.05", { 0 } },
		{ "d", ML_T_DOUBLE, ML_F_BINARY, -1, "binary", ML_D_F64, NULL, { .d = 2.5 } },
		{ "f", ML_T_FLOAT, ML_F_BINARY, -1, "binary", ML_D_F32, NULL, { .d = 0.1 } },
		{ "da", ML_T_DATE, ML_F_BINARY, -1, "binary", ML_D_BYTES, "2024-02-29", { 0 } },
		{ "dt", ML_T_DATETIME, ML_F_BINARY, 3, "binary", ML_D_BYTES, "2024-05-06 07:08:09.120", { 0 } },
		{ "ti", ML_T_TIME, ML_F_BINARY, 0, "binary", ML_D_BYTES, "-12:34:56", { 0 } },
		{ "en", ML_T_ENUM, 0, -1, "utf8mb4_general_ci", ML_D_U64, NULL, { .i = 2 } },
		{ "se", ML_T_SET, 0, -1, "utf8mb4_general_ci", ML_D_U64, NULL, { .i = 5 } },
		{ "j", ML_T_JSON, ML_F_BINARY, -1, "binary", ML_D_BYTES,
			"{\"a\": {\"b\": [1, 2.5, \"x\"]}, \"t\": true, \"n\": null, \"s\": \"q\\\"uote\"}", { 0 } },
		{ "virt", ML_T_LONG, ML_F_BINARY | ML_F_GENERATED, -1, "binary", ML_D_ABSENT, NULL, { 0 } },
	};
	static struct ml_text en[] = { { "new", 3 }, { "Paid", 4 }, { "x", 1 } },
			      se[] = { { "a", 1 }, { "b", 1 }, { "c", 1 } };
	struct ml_schema *s = ml_schema_new();

	s->db = (struct ml_text){ "d", 1 };
	s->table = (struct ml_text){ "t", 1 };
	s->n_columns = EXPR_COLUMNS;
	s->columns = ml_arena_zalloc(&s->arena, EXPR_COLUMNS * sizeof(*s->columns));
	for (int i = 0; i < EXPR_COLUMNS; i++) {
		struct ml_column *c = &s->columns[i];
		struct ml_datum *d = &expr_row[i];

		c->name = (struct ml_text){ cols[i].name, (uint32_t)strlen(cols[i].name) };
		c->type = cols[i].type;
		c->flags = cols[i].flags | ML_F_NULLABLE;
		c->flen = -1;
		c->decimal = cols[i].decimal;
		c->collation = (struct ml_text){ cols[i].collation, (uint32_t)strlen(cols[i].collation) };
		c->virtual_generated = cols[i].kind == ML_D_ABSENT;
		*d = (struct ml_datum){ .kind = cols[i].kind };
		if (cols[i].s != NULL) {
			d->s = cols[i].s;
			d->len = (uint32_t)strlen(cols[i].s);
		} else if (d->kind == ML_D_F32) {
			d->f32 = (float)cols[i].v.d;
		} else {
			d->i = cols[i].v.i;
		}
		if (c->type == ML_T_ENUM || c->type == ML_T_SET) {
			c->elems = c->type == ML_T_ENUM ? en : se;
			c->n_elems = 3;
		}
	}
	ml_schema_finish(s);
	return s;
}
#endif
