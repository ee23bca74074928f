/* test_shaper.c - column patterns, column selectors and masks: what they take, refuse, and make of rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "capture-worker/shaper/columns.h"
#include "capture-worker/shaper/shaper.h"

static struct ml_text
text_of(struct ml_arena *a, const char *t)
{
	return (struct ml_text){ ml_arena_strndup(a, t, strlen(t)), (uint32_t)strlen(t) };
}

/* --- column patterns -------------------------------------------------------------------------------------------------------- */

static void
the_last_pattern_that_matches_decides(void **state)
{
	static const struct {
		const char *lines[3], *name;
		bool want;
	} rows[] = {
		{ { "*" }, "a", true },
		{ { "a" }, "A", true },
		{ { "a" }, "ab", false },
		{ { "*", "!secret" }, "secret", false },
		{ { "*", "!secret" }, "SECRET", false },
		{ { "!secret", "*" }, "secret", true },
		{ { "!secret" }, "open", false },
		{ { "col_?", "!col_[0-9]" }, "col_x", true },
		{ { "col_?", "!col_[0-9]" }, "col_3", false },
		{ { "/^pre/" }, "prefix", true },
		{ { " # nothing", "", "  b\t" }, "b", true },
		{ { "\"a b\"" }, "a b", true },
		{ { "`a.b`" }, "a.b", true },
		{ { NULL }, "a", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_columns *c;
		struct ml_err err = { 0 };
		size_t n = 0;

		while (n < 3 && rows[i].lines[n] != NULL)
			n++;
		if (ml_columns_new(&c, rows[i].lines, n, &err) < 0)
			fail_msg("row %zu: %s", i, err.text);
		if (ml_columns_match(c, rows[i].name, strlen(rows[i].name)) != rows[i].want)
			fail_msg("row %zu: %s", i, rows[i].name);
		ml_columns_free(c);
	}
}

static void
bad_patterns_are_named(void **state)
{
	static const struct {
		const char *line, *want;
	} rows[] = {
		{ "a.b", "unexpected special character '.'" },
		{ ".", "unexpected special character '.'" },
		{ "\"a\"b", "syntax error: stray characters after column pattern" },
		{ "/a/.*", "syntax error: stray characters after column pattern" },
		{ "!", "syntax error: missing pattern" },
		{ "[", "syntax error: failed to parse character class" },
		{ "\"a", "syntax error: incomplete quoted identifier" },
		{ "a-b", "unexpected special character '-'" },
		{ "@/etc/passwd", "importing filter files is not allowed here" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_columns *c = NULL;
		struct ml_err err = { 0 };

		if (ml_columns_new(&c, &rows[i].line, 1, &err) == 0)
			fail_msg("%s was taken", rows[i].line);
		assert_int_equal(err.code, ML_ErrFilterRuleInvalid);
		if (strstr(err.text, rows[i].want) == NULL || strstr(err.text, rows[i].line) == NULL)
			fail_msg("%s: %s", rows[i].line, err.text);
	}
}

/* --- tables and rows -------------------------------------------------------------------------------------------------------- */

static const struct column {
	const char *name;
	uint8_t type, flags;
	int flen, decimal;
} columns[] = {
	{ "id", ML_T_LONGLONG, ML_F_BINARY, 20, -1 },
	{ "mail", ML_T_VARCHAR, 0, 40, -1 },
	{ "note", ML_T_BLOB, ML_F_NULLABLE, -1, -1 },
	{ "raw", ML_T_VARCHAR, ML_F_BINARY | ML_F_NULLABLE, 10, -1 },
	{ "n", ML_T_TINY, ML_F_BINARY | ML_F_UNSIGNED | ML_F_NULLABLE, 3, -1 },
	{ "pay", ML_T_DECIMAL, ML_F_BINARY, 8, 2 },
	{ "at", ML_T_DATETIME, ML_F_BINARY, -1, 3 },
	{ "day", ML_T_DATE, ML_F_BINARY, -1, -1 },
	{ "f", ML_T_FLOAT, ML_F_BINARY, -1, -1 },
	{ "j", ML_T_JSON, ML_F_BINARY | ML_F_NULLABLE, -1, -1 },
	{ "b", ML_T_BIT, ML_F_UNSIGNED, 4, -1 },
	{ "y", ML_T_YEAR, ML_F_UNSIGNED, 4, -1 },
	{ "s", ML_T_SHORT, ML_F_BINARY, -1, -1 },
	{ "big", ML_T_LONGLONG, ML_F_BINARY, -1, -1 },
};
#define N (sizeof(columns) / sizeof(columns[0]))
enum { ID, MAIL, NOTE, RAW, NUM, PAY, AT, DAY, F, J, B, Y, S, BIG };

/* keys: "p" primary on id, "u" unique on mail; NULL: both. */
static struct ml_schema *
table(const char *db, const char *name, const char *keys)
{
	struct ml_schema *s = ml_schema_new();

	s->db = text_of(&s->arena, db);
	s->table = text_of(&s->arena, name);
	s->n_columns = N;
	s->columns = ml_arena_zalloc(&s->arena, N * sizeof(*s->columns));
	for (size_t i = 0; i < N; i++) {
		s->columns[i].name = text_of(&s->arena, columns[i].name);
		s->columns[i].type = columns[i].type;
		s->columns[i].flags = columns[i].flags;
		s->columns[i].flen = columns[i].flen;
		s->columns[i].decimal = columns[i].decimal;
	}
	s->indexes = ml_arena_zalloc(&s->arena, 2 * sizeof(*s->indexes));
	for (; keys != NULL && *keys != '\0'; keys++) {
		struct ml_index *x = &s->indexes[s->n_indexes++];

		x->name = text_of(&s->arena, *keys == 'p' ? "PRIMARY" : "mail");
		x->primary = *keys == 'p';
		x->unique = true;
		x->cols = ml_arena_zalloc(&s->arena, sizeof(uint16_t));
		x->cols[0] = *keys == 'p' ? ID : MAIL;
		x->n_cols = 1;
	}
	ml_schema_finish(s);
	return s;
}

/* With ' for ", for the sake of these tables. */
static char *
json_of(char *buf, const char *s)
{
	char *p = buf;

	while ((*p = *s++) != '\0') {
		if (*p == '\'')
			*p = '"';
		p++;
	}
	return buf;
}

static struct ml_shaper *
make(const char *config, bool topics, Ml__ChangefeedSpec *spec, char *buf, struct ml_err *err)
{
	struct ml_shaper *sh = NULL;

	spec->sink_config_json = json_of(buf, config);
	return ml_shaper_new(&sh, spec, topics, err) < 0 ? NULL : sh;
}

static struct ml_datum
str(const char *s)
{
	return (struct ml_datum){ .kind = ML_D_BYTES, .s = s, .len = (uint32_t)strlen(s) };
}

static struct ml_datum *
image(struct ml_arena *a)
{
	struct ml_datum *d = ml_arena_zalloc(a, N * sizeof(*d));

	for (size_t i = 0; i < N; i++)
		d[i] = (struct ml_datum){ .kind = ML_D_I64, .i = 7 };
	d[MAIL] = str("abc");
	d[NOTE] = str("h\xc3\xa4tte");
	d[RAW] = str("\xff\xfe\xfd");
	return d;
}

/* An INSERT, an UPDATE and a DELETE of s, shaped. */
static struct ml_batch *
shaped(struct ml_shaper *sh, struct ml_schema *s)
{
	struct ml_batch *b = ml_batch_new();
	struct ml_err err = { 0 };

	for (int op = ML_OP_INSERT; op <= ML_OP_DELETE; op++) {
		struct ml_row *row = ml_batch_row(b);

		*row = (struct ml_row){ .schema = s, .op = (uint8_t)op };
		if (op != ML_OP_INSERT)
			row->before = image(&b->arena);
		if (op != ML_OP_DELETE)
			row->after = image(&b->arena);
	}
	ml_batch_pin(b, s);
	if (ml_shaper_rows(sh, b, &err) < 0)
		fail_msg("%s", err.text);
	return b;
}

static void
removed_columns_are_absent_from_both_images(void **state)
{
	static const struct {
		const char *config, *table;
		unsigned gone; /* bits of columns */
	} rows[] = {
		{ "", "t", 0 },
		{ "{'column-selectors': []}", "t", 0 },
		{ "{'column-selectors': [{'matcher': ['shop.u'], 'columns': ['id']}]}", "t", 0 },
		{ "{'column-selectors': [{'matcher': ['SHOP.*'], 'columns': ['*', '!note', '!RAW']}]}", "t",
			1u << NOTE | 1u << RAW },
		/* The first that accepts the table counts, not the closest. */
		{ "{'column-selectors': [{'matcher': ['shop.*'], 'columns': ['*', '!n']},"
		  "{'matcher': ['shop.t'], 'columns': ['id']}]}",
			"t", 1u << NUM },
		/* No pattern matches: removed; a unique key is enough. */
		{ "{'column-selectors': [{'matcher': ['*.*'], 'columns': ['mail']}]}", "t",
			((1u << N) - 1) & ~(1u << MAIL) },
		{ "{'column-selectors': [{'matcher': ['*.*', '!shop.t'], 'columns': ['id']}]}", "t", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		Ml__ChangefeedSpec spec = ML__CHANGEFEED_SPEC__INIT;
		struct ml_schema *s = table("shop", rows[i].table, "pu");
		struct ml_err err = { 0 };
		char buf[400];
		struct ml_shaper *sh = make(rows[i].config, false, &spec, buf, &err);
		struct ml_batch *b;

		if (sh == NULL)
			fail_msg("row %zu: %s", i, err.text);
		assert_int_equal(ml_shaper_check(sh, s, &err), 0);
		b = shaped(sh, s);
		for (uint32_t r = 0; r < b->n_rows; r++)
			for (size_t c = 0; c < N; c++) {
				const struct ml_datum *before = b->rows[r].before, *after = b->rows[r].after;
				bool gone = rows[i].gone >> c & 1;

				if ((before != NULL && (before[c].kind == ML_D_ABSENT) != gone) ||
					(after != NULL && (after[c].kind == ML_D_ABSENT) != gone))
					fail_msg("row %zu: %s", i, columns[c].name);
			}
		ml_batch_free(b);
		ml_shaper_free(sh);
		ml_schema_unref(s);
	}
}

static void
a_key_must_remain_and_what_rows_are_dispatched_by(void **state)
{
	static char by_columns[] = "Columns", all[] = "*.*", mail[] = "MAIL", note[] = "note", id[] = "id";
	static const struct {
		const char *config, *keys;
		char *dispatch;   /* column; NULL: no rule */
		const char *want; /* in the error; NULL: fine */
	} rows[] = {
		{ "['id', 'note']", "pu", NULL, NULL },
		{ "['mail']", "pu", NULL, NULL },
		{ "['note']", "pu", NULL, "shop.t" },
		{ "['note']", "p", NULL, "shop.t" },
		{ "['mail']", "p", NULL, "shop.t" },
		/* Without a primary key everything passes, as in TiCDC. */
		{ "['note']", "u", NULL, NULL },
		{ "['nothing']", "", NULL, NULL },
		{ "['id']", "p", mail, "column: MAIL" },
		{ "['id', 'note']", "p", note, NULL },
		{ "['id']", "p", id, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		Ml__ChangefeedSpec spec = ML__CHANGEFEED_SPEC__INIT;
		Ml__DispatchRule rule = ML__DISPATCH_RULE__INIT, *rules[] = { &rule };
		char *matcher[] = { all }, *dispatch[] = { rows[i].dispatch }, buf[200], config[200];
		struct ml_schema *s = table("shop", "t", rows[i].keys);
		struct ml_err err = { 0 };
		struct ml_shaper *sh;
		int rc;

		rule.matcher = matcher;
		rule.n_matcher = 1;
		rule.partition = by_columns;
		rule.columns = dispatch;
		rule.n_columns = 1;
		spec.dispatchers = rules;
		spec.n_dispatchers = rows[i].dispatch != NULL;
		snprintf(config, sizeof(config), "{'column-selectors': [{'matcher': ['*.*'], 'columns': %s}]}",
			rows[i].config);
		sh = make(config, true, &spec, buf, &err);
		if (sh == NULL)
			fail_msg("row %zu: %s", i, err.text);
		rc = ml_shaper_check(sh, s, &err);
		if ((rc == 0) != (rows[i].want == NULL))
			fail_msg("row %zu: %d %s", i, rc, err.text);
		if (rc != 0) {
			struct ml_batch *b = ml_batch_new();

			assert_int_equal(err.code, ML_ErrColumnSelectorFailed);
			assert_true(ml_err_is_fatal(&err));
			assert_non_null(strstr(err.text, rows[i].want));
			/* Rows meet the same error, for tables that come later. */
			*ml_batch_row(b) =
				(struct ml_row){ .schema = s, .op = ML_OP_INSERT, .after = image(&b->arena) };
			err = (struct ml_err){ 0 };
			assert_int_equal(ml_shaper_rows(sh, b, &err), -1);
			assert_int_equal(err.code, ML_ErrColumnSelectorFailed);
			ml_batch_free(b);
		}
		ml_shaper_free(sh);
		ml_schema_unref(s);
	}
}

/* --- masks ------------------------------------------------------------------------------------------------------------------ */

/* SHA-256 of "pepperabc": the salt, then the value. */
#define HASHED "fadf7b97406e1eaa259a82e26e6839e564c37c256876e060e17838c86b7275ef"

static void
masks_hide_values(void **state)
{
	static const struct {
		const char *rule;
		int col;
		struct ml_datum want;
	} rows[] = {
		{ "'method': 'hash', 'salt': 'pepper', 'columns': ['mail']", MAIL,
			{ .kind = ML_D_BYTES, .len = 64, .s = HASHED } },
		{ "'method': 'truncate', 'length': 2, 'columns': ['note']", NOTE,
			{ .kind = ML_D_BYTES, .len = 3, .s = "h\xc3\xa4" } },
		{ "'method': 'truncate', 'length': 0, 'columns': ['note']", NOTE,
			{ .kind = ML_D_BYTES, .len = 0, .s = "" } },
		{ "'method': 'truncate', 'length': 99, 'columns': ['note']", NOTE,
			{ .kind = ML_D_BYTES, .len = 6, .s = "h\xc3\xa4tte" } },
		{ "'method': 'truncate', 'length': 1, 'columns': ['raw']", RAW,
			{ .kind = ML_D_BYTES, .len = 1, .s = "\xff" } },
		{ "'method': 'constant', 'value': 'x\xc3\xa9', 'columns': ['note']", NOTE,
			{ .kind = ML_D_BYTES, .len = 3, .s = "x\xc3\xa9" } },
		{ "'method': 'constant', 'value': null, 'columns': ['note']", NOTE, { .kind = ML_D_NULL } },
		{ "'method': 'constant', 'value': null, 'columns': ['j']", J, { .kind = ML_D_NULL } },
		{ "'method': 'constant', 'value': 255, 'columns': ['n']", NUM, { .kind = ML_D_U64, .u = 255 } },
		{ "'method': 'constant', 'value': -32768, 'columns': ['s']", S, { .kind = ML_D_I64, .i = -32768 } },
		{ "'method': 'constant', 'value': -9223372036854775808, 'columns': ['big']", BIG,
			{ .kind = ML_D_I64, .i = INT64_MIN } },
		{ "'method': 'constant', 'value': 15, 'columns': ['b']", B, { .kind = ML_D_U64, .u = 15 } },
		{ "'method': 'constant', 'value': 0, 'columns': ['y']", Y, { .kind = ML_D_I64, .i = 0 } },
		{ "'method': 'constant', 'value': -12.5, 'columns': ['pay']", PAY,
			{ .kind = ML_D_BYTES, .len = 6, .s = "-12.50" } },
		{ "'method': 'constant', 'value': 0, 'columns': ['pay']", PAY,
			{ .kind = ML_D_BYTES, .len = 4, .s = "0.00" } },
		{ "'method': 'constant', 'value': 999999.99, 'columns': ['pay']", PAY,
			{ .kind = ML_D_BYTES, .len = 9, .s = "999999.99" } },
		{ "'method': 'constant', 'value': '1970-01-01', 'columns': ['day']", DAY,
			{ .kind = ML_D_BYTES, .len = 10, .s = "1970-01-01" } },
		{ "'method': 'constant', 'value': '1970-01-01 23:59:59', 'columns': ['at']", AT,
			{ .kind = ML_D_BYTES, .len = 23, .s = "1970-01-01 23:59:59.000" } },
		{ "'method': 'constant', 'value': '1970-01-01 23:59:59.5', 'columns': ['at']", AT,
			{ .kind = ML_D_BYTES, .len = 23, .s = "1970-01-01 23:59:59.500" } },
		{ "'method': 'constant', 'value': 1.5, 'columns': ['f']", F, { .kind = ML_D_F32, .f32 = 1.5f } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		Ml__ChangefeedSpec spec = ML__CHANGEFEED_SPEC__INIT;
		struct ml_schema *s = table("shop", "t", "pu");
		struct ml_err err = { 0 };
		char buf[400], config[400];
		struct ml_shaper *sh;
		struct ml_batch *b;

		snprintf(config, sizeof(config), "{'mask': [{'matcher': ['shop.*'], %s}]}", rows[i].rule);
		sh = make(config, false, &spec, buf, &err);
		if (sh == NULL || ml_shaper_check(sh, s, &err) < 0)
			fail_msg("row %zu: %s", i, err.text);
		b = shaped(sh, s);
		for (uint32_t r = 0; r < b->n_rows; r++) {
			const struct ml_datum *images[] = { b->rows[r].before, b->rows[r].after };

			for (int k = 0; k < 2; k++) {
				const struct ml_datum *d = images[k] != NULL ? &images[k][rows[i].col] : NULL;
				const char *want = rows[i].want.s;

				if (d == NULL)
					continue;
				assert_int_equal(d->kind, rows[i].want.kind);
				if (d->kind == ML_D_BYTES) {
					assert_int_equal(d->len, rows[i].want.len);
					if (memcmp(d->s, want, d->len) != 0)
						fail_msg("row %zu: %.*s", i, (int)d->len, d->s);
				} else if (d->kind == ML_D_F32) {
					assert_true(d->f32 == rows[i].want.f32);
				} else if (d->kind != ML_D_NULL) {
					assert_true(d->u == rows[i].want.u);
				}
				/* Others are as they were. */
				if (rows[i].col != ID)
					assert_true(images[k][ID].kind == ML_D_I64 && images[k][ID].i == 7);
			}
		}
		ml_batch_free(b);
		ml_shaper_free(sh);
		ml_schema_unref(s);
	}
}

static void
null_stays_null_but_for_constants_and_removed_stays_removed(void **state)
{
	Ml__ChangefeedSpec spec = ML__CHANGEFEED_SPEC__INIT;
	struct ml_schema *s = table("shop", "t", "p");
	struct ml_err err = { 0 };
	char buf[600];
	struct ml_shaper *sh =
		make("{'column-selectors': [{'matcher': ['*.*'], 'columns': ['*', '!f']}], 'mask': ["
		     "{'matcher': ['*.*'], 'columns': ['note'], 'method': 'hash', 'salt': 'a'},"
		     "{'matcher': ['*.*'], 'columns': ['note', 'raw'], 'method': 'truncate', 'length': 1},"
		     "{'matcher': ['*.*'], 'columns': ['n', 'f'], 'method': 'constant', 'value': 1}]}",
			false, &spec, buf, &err);
	struct ml_batch *b = ml_batch_new();
	struct ml_datum *d = image(&b->arena), *d2 = image(&b->arena);

	(void)state;
	if (sh == NULL)
		fail_msg("%s", err.text);
	d[NOTE].kind = d[RAW].kind = d[NUM].kind = ML_D_NULL;
	*ml_batch_row(b) = (struct ml_row){ .schema = s, .op = ML_OP_UPDATE, .before = d, .after = d2 };
	assert_int_equal(ml_shaper_rows(sh, b, &err), 0);
	assert_int_equal(d[NOTE].kind, ML_D_NULL);
	assert_int_equal(d[RAW].kind, ML_D_NULL);
	assert_int_equal(d[NUM].kind, ML_D_U64);
	assert_int_equal(d[F].kind, ML_D_ABSENT);
	/* Of two masks for a column the first counts. */
	assert_int_equal(d2[NOTE].len, 64);
	assert_int_equal(d2[RAW].len, 1);
	ml_batch_free(b);
	ml_shaper_free(sh);
	ml_schema_unref(s);
}

static void
what_does_not_fit_is_refused_with_its_column(void **state)
{
	static const struct {
		const char *rule, *want;
	} rows[] = {
		{ "'method': 'truncate', 'length': 3, 'columns': ['mail']",
			"column mail of table shop.t belongs to a key" },
		{ "'method': 'constant', 'value': 'x', 'columns': ['mail']",
			"column mail of table shop.t belongs to a key" },
		{ "'method': 'constant', 'value': 1, 'columns': ['id']", "column id of table shop.t belongs to a key" },
		{ "'method': 'hash', 'salt': 'x', 'columns': ['id']", "column id of table shop.t is bigint" },
		{ "'method': 'hash', 'salt': 'x', 'columns': ['*']", "column id of table shop.t is bigint" },
		{ "'method': 'hash', 'salt': 'x', 'columns': ['j']", "column j of table shop.t is json" },
		{ "'method': 'truncate', 'length': 1, 'columns': ['at']", "column at of table shop.t is datetime" },
		{ "'method': 'constant', 'value': 256, 'columns': ['n']", "column n of table shop.t" },
		{ "'method': 'constant', 'value': -1, 'columns': ['n']", "column n of table shop.t" },
		{ "'method': 'constant', 'value': 1.5, 'columns': ['n']", "column n of table shop.t" },
		{ "'method': 'constant', 'value': 'x', 'columns': ['n']", "column n of table shop.t" },
		{ "'method': 'constant', 'value': 32768, 'columns': ['s']", "column s of table shop.t" },
		{ "'method': 'constant', 'value': 9223372036854775808, 'columns': ['big']",
			"column big of table shop.t" },
		{ "'method': 'constant', 'value': 16, 'columns': ['b']", "column b of table shop.t" },
		{ "'method': 'constant', 'value': 1900, 'columns': ['y']", "column y of table shop.t" },
		{ "'method': 'constant', 'value': 1e3, 'columns': ['pay']", "column pay of table shop.t" },
		{ "'method': 'constant', 'value': 1000000, 'columns': ['pay']", "column pay of table shop.t" },
		{ "'method': 'constant', 'value': 1.234, 'columns': ['pay']", "column pay of table shop.t" },
		{ "'method': 'constant', 'value': 1e39, 'columns': ['f']", "column f of table shop.t" },
		{ "'method': 'constant', 'value': '1970-13-01', 'columns': ['day']", "column day of table shop.t" },
		{ "'method': 'constant', 'value': '1970-01-01 00:00:00', 'columns': ['day']",
			"column day of table shop.t" },
		{ "'method': 'constant', 'value': '1970-01-01 24:00:00', 'columns': ['at']",
			"column at of table shop.t" },
		{ "'method': 'constant', 'value': '1970-01-01 00:00:00.', 'columns': ['at']",
			"column at of table shop.t" },
		{ "'method': 'constant', 'value': '1970-01-01 00:00:00.1234', 'columns': ['at']",
			"column at of table shop.t" },
		{ "'method': 'constant', 'value': '{}', 'columns': ['j']", "column j of table shop.t" },
		{ "'method': 'constant', 'value': null, 'columns': ['f']", "not null" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		Ml__ChangefeedSpec spec = ML__CHANGEFEED_SPEC__INIT;
		struct ml_schema *s = table("shop", "t", "pu");
		struct ml_err err = { 0 };
		char buf[400], config[400];
		struct ml_shaper *sh;

		snprintf(config, sizeof(config), "{'mask': [{'matcher': ['shop.*'], %s}]}", rows[i].rule);
		sh = make(config, false, &spec, buf, &err);
		if (sh == NULL)
			fail_msg("row %zu: %s", i, err.text);
		if (ml_shaper_check(sh, s, &err) == 0)
			fail_msg("%s was taken", rows[i].rule);
		assert_int_equal(err.code, ML_ErrColumnMaskFailed);
		assert_true(ml_err_is_fatal(&err));
		if (strstr(err.text, rows[i].want) == NULL)
			fail_msg("%s: %s", rows[i].rule, err.text);
		ml_shaper_free(sh);
		ml_schema_unref(s);
	}
}

static void
bad_rules_are_refused(void **state)
{
	static const struct {
		const char *config;
		enum ml_code code;
	} rows[] = {
		{ "{'column-selectors': {}}", ML_ErrSinkInvalidConfig },
		{ "{'column-selectors': ['a']}", ML_ErrSinkInvalidConfig },
		{ "{'column-selectors': [{'matcher': 'a.b'}]}", ML_ErrSinkInvalidConfig },
		{ "{'column-selectors': [{'matcher': ['a'], 'columns': ['*']}]}", ML_ErrFilterRuleInvalid },
		{ "{'column-selectors': [{'matcher': ['a.b'], 'columns': ['a.b']}]}", ML_ErrFilterRuleInvalid },
		{ "{'mask': 3}", ML_ErrSinkInvalidConfig },
		{ "{'mask': [{'columns': ['a'], 'method': 'hash', 'salt': 'x'}]}", ML_ErrColumnMaskFailed },
		{ "{'mask': [{'matcher': ['*.*'], 'method': 'hash', 'salt': 'x'}]}", ML_ErrColumnMaskFailed },
		{ "{'mask': [{'matcher': ['*.*'], 'columns': ['a']}]}", ML_ErrColumnMaskFailed },
		{ "{'mask': [{'matcher': ['*.*'], 'columns': ['a'], 'method': 'rot13'}]}", ML_ErrColumnMaskFailed },
		{ "{'mask': [{'matcher': ['*.*'], 'columns': ['a'], 'method': 'hash'}]}", ML_ErrColumnMaskFailed },
		{ "{'mask': [{'matcher': ['*.*'], 'columns': ['a'], 'method': 'hash', 'salt': ''}]}",
			ML_ErrColumnMaskFailed },
		{ "{'mask': [{'matcher': ['*.*'], 'columns': ['a'], 'method': 'truncate'}]}", ML_ErrColumnMaskFailed },
		{ "{'mask': [{'matcher': ['*.*'], 'columns': ['a'], 'method': 'truncate', 'length': -1}]}",
			ML_ErrColumnMaskFailed },
		{ "{'mask': [{'matcher': ['*.*'], 'columns': ['a'], 'method': 'truncate', 'length': 1.5}]}",
			ML_ErrColumnMaskFailed },
		{ "{'mask': [{'matcher': ['*.*'], 'columns': ['a'], 'method': 'truncate', 'length': 4294967296}]}",
			ML_ErrColumnMaskFailed },
		{ "{'mask': [{'matcher': ['*.*'], 'columns': ['a'], 'method': 'constant'}]}", ML_ErrColumnMaskFailed },
		{ "{'mask': [{'matcher': ['*.*'], 'columns': ['a'], 'method': 'constant', 'value': true}]}",
			ML_ErrColumnMaskFailed },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		Ml__ChangefeedSpec spec = ML__CHANGEFEED_SPEC__INIT;
		struct ml_err err = { 0 };
		char buf[400];

		if (make(rows[i].config, false, &spec, buf, &err) != NULL)
			fail_msg("%s was taken", rows[i].config);
		if (err.code != rows[i].code)
			fail_msg("%s: %s %s", rows[i].config, ml_code_name(err.code), err.text);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_last_pattern_that_matches_decides),
		cmocka_unit_test(bad_patterns_are_named),
		cmocka_unit_test(removed_columns_are_absent_from_both_images),
		cmocka_unit_test(a_key_must_remain_and_what_rows_are_dispatched_by),
		cmocka_unit_test(masks_hide_values),
		cmocka_unit_test(null_stays_null_but_for_constants_and_removed_stays_removed),
		cmocka_unit_test(what_does_not_fit_is_refused_with_its_column),
		cmocka_unit_test(bad_rules_are_refused),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	ml_batch_pool_drain();
	return failed;
}
