#include "capture-worker/source/mysql/ddl_column.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "capture-worker/mounter/charset.h"

enum type_class { TC_INT, TC_DECIMAL, TC_FLOAT, TC_TIME, TC_PLAIN, TC_TEXT, TC_BYTES, TC_ELEMS };

static const struct type_word {
	const char *word;
	uint8_t type, class;
	uint8_t special;
	int16_t flen; /* what follows from the word alone; 0: nothing */
} type_words[] = {
	{ "TINYINT", ML_T_TINY, TC_INT, 0, 0 },
	{ "INT1", ML_T_TINY, TC_INT, 0, 0 },
	{ "BOOL", ML_T_TINY, TC_INT, 0, 1 },
	{ "BOOLEAN", ML_T_TINY, TC_INT, 0, 1 },
	{ "SMALLINT", ML_T_SHORT, TC_INT, 0, 0 },
	{ "INT2", ML_T_SHORT, TC_INT, 0, 0 },
	{ "MEDIUMINT", ML_T_INT24, TC_INT, 0, 0 },
	{ "INT3", ML_T_INT24, TC_INT, 0, 0 },
	{ "MIDDLEINT", ML_T_INT24, TC_INT, 0, 0 },
	{ "INT", ML_T_LONG, TC_INT, 0, 0 },
	{ "INTEGER", ML_T_LONG, TC_INT, 0, 0 },
	{ "INT4", ML_T_LONG, TC_INT, 0, 0 },
	{ "BIGINT", ML_T_LONGLONG, TC_INT, 0, 0 },
	{ "INT8", ML_T_LONGLONG, TC_INT, 0, 0 },
	{ "SERIAL", ML_T_LONGLONG, TC_INT, 0, 0 },
	{ "DECIMAL", ML_T_DECIMAL, TC_DECIMAL, 0, 0 },
	{ "DEC", ML_T_DECIMAL, TC_DECIMAL, 0, 0 },
	{ "NUMERIC", ML_T_DECIMAL, TC_DECIMAL, 0, 0 },
	{ "FIXED", ML_T_DECIMAL, TC_DECIMAL, 0, 0 },
	{ "FLOAT", ML_T_FLOAT, TC_FLOAT, 0, 0 },
	{ "FLOAT4", ML_T_FLOAT, TC_FLOAT, 0, 0 },
	{ "DOUBLE", ML_T_DOUBLE, TC_FLOAT, 0, 0 },
	{ "FLOAT8", ML_T_DOUBLE, TC_FLOAT, 0, 0 },
	{ "REAL", ML_T_DOUBLE, TC_FLOAT, 0, 0 },
	{ "BIT", ML_T_BIT, TC_PLAIN, 0, 0 },
	{ "YEAR", ML_T_YEAR, TC_PLAIN, 0, 4 },
	{ "DATE", ML_T_DATE, TC_PLAIN, 0, 0 },
	{ "TIME", ML_T_TIME, TC_TIME, 0, 0 },
	{ "DATETIME", ML_T_DATETIME, TC_TIME, 0, 0 },
	{ "TIMESTAMP", ML_T_TIMESTAMP, TC_TIME, 0, 0 },
	{ "CHAR", ML_T_STRING, TC_TEXT, 0, 0 },
	{ "CHARACTER", ML_T_STRING, TC_TEXT, 0, 0 },
	{ "NCHAR", ML_T_STRING, TC_TEXT, 0, 0 },
	{ "VARCHAR", ML_T_VARCHAR, TC_TEXT, 0, 0 },
	{ "VARCHARACTER", ML_T_VARCHAR, TC_TEXT, 0, 0 },
	{ "VARCHAR2", ML_T_VARCHAR, TC_TEXT, 0, 0 },
	{ "NVARCHAR", ML_T_VARCHAR, TC_TEXT, 0, 0 },
	{ "BINARY", ML_T_STRING, TC_BYTES, 0, 0 },
	{ "VARBINARY", ML_T_VARCHAR, TC_BYTES, 0, 0 },
	{ "TINYTEXT", ML_T_TINYBLOB, TC_TEXT, 0, 0 },
	{ "TEXT", ML_T_BLOB, TC_TEXT, 0, 0 },
	{ "MEDIUMTEXT", ML_T_MEDIUMBLOB, TC_TEXT, 0, 0 },
	{ "LONGTEXT", ML_T_LONGBLOB, TC_TEXT, 0, 0 },
	{ "CLOB", ML_T_LONGBLOB, TC_TEXT, 0, 0 },
	{ "TINYBLOB", ML_T_TINYBLOB, TC_BYTES, 0, 0 },
	{ "BLOB", ML_T_BLOB, TC_BYTES, 0, 0 },
	{ "MEDIUMBLOB", ML_T_MEDIUMBLOB, TC_BYTES, 0, 0 },
	{ "LONGBLOB", ML_T_LONGBLOB, TC_BYTES, 0, 0 },
	{ "LONG", ML_T_MEDIUMBLOB, TC_TEXT, 0, 0 },
	{ "ENUM", ML_T_ENUM, TC_ELEMS, 0, 0 },
	{ "SET", ML_T_SET, TC_ELEMS, 0, 0 },
	{ "JSON", ML_T_JSON, TC_PLAIN, 0, 0 },
	{ "VECTOR", ML_T_VECTOR, TC_PLAIN, 0, 0 },
	/* Text lengths: 255.255.255.255; eight groups of four, the last two as IPv4; 36 characters. */
	{ "INET4", ML_T_STRING, TC_TEXT, ML_SP_INET4, 15 },
	{ "INET6", ML_T_STRING, TC_TEXT, ML_SP_INET6, 39 },
	{ "UUID", ML_T_STRING, TC_TEXT, ML_SP_UUID, 36 },
	{ "GEOMETRY", ML_T_GEOMETRY, TC_PLAIN, 0, 0 },
	{ "POINT", ML_T_GEOMETRY, TC_PLAIN, 0, 0 },
	{ "LINESTRING", ML_T_GEOMETRY, TC_PLAIN, 0, 0 },
	{ "POLYGON", ML_T_GEOMETRY, TC_PLAIN, 0, 0 },
	{ "MULTIPOINT", ML_T_GEOMETRY, TC_PLAIN, 0, 0 },
	{ "MULTILINESTRING", ML_T_GEOMETRY, TC_PLAIN, 0, 0 },
	{ "MULTIPOLYGON", ML_T_GEOMETRY, TC_PLAIN, 0, 0 },
	{ "GEOMETRYCOLLECTION", ML_T_GEOMETRY, TC_PLAIN, 0, 0 },
	{ "GEOMCOLLECTION", ML_T_GEOMETRY, TC_PLAIN, 0, 0 },
};

#define N_TYPE_WORDS (sizeof(type_words) / sizeof(type_words[0]))

static struct ml_text
lit(const char *s)
{
	return (struct ml_text){ s, (uint32_t)strlen(s) };
}

static bool
text_is(struct ml_text t, const char *s)
{
	return t.len == strlen(s) && strncasecmp(t.s, s, t.len) == 0;
}

bool
ml_type_is_text(uint8_t type)
{
	return type == ML_T_VARCHAR || type == ML_T_VARSTRING || type == ML_T_STRING || type == ML_T_ENUM ||
	       type == ML_T_SET || (type >= ML_T_TINYBLOB && type <= ML_T_BLOB);
}

/* A length: digits up to what a LONGTEXT has; more is cut. */
static int32_t
number_of(const struct ml_tok *t)
{
	int64_t v = 0;

	for (uint32_t i = 0; i < t->len && t->s[i] >= '0' && t->s[i] <= '9' && v < INT32_MAX; i++)
		v = v * 10 + (t->s[i] - '0');
	return v > INT32_MAX ? INT32_MAX : (int32_t)v;
}

/* "(M)" or "(M,D)"; what was not given stays. */
static void
lengths(struct ml_px *px, int32_t *m, int32_t *d)
{
	if (!ml_px_punct(px, 0, '('))
		return;
	if (ml_px_peek(px, 1)->kind == ML_TK_NUMBER) {
		const struct ml_tok *t = ml_px_peek(px, 1);
		const char *dot = memchr(t->s, '.', t->len);

		*m = number_of(t);
		if (dot != NULL) { /* "(10.2)" never means anything else */
			struct ml_tok frac = { .s = dot + 1, .len = t->len - (uint32_t)(dot + 1 - t->s) };

			*d = number_of(&frac);
		} else if (ml_px_punct(px, 2, ',') && ml_px_peek(px, 3)->kind == ML_TK_NUMBER) {
			*d = number_of(ml_px_peek(px, 3));
		}
	}
	ml_px_skip_parens(px);
}

static void
elements(struct ml_px *px, struct ml_column *c)
{
	uint32_t n = 0, at = 0;

	if (!ml_px_punct(px, 0, '('))
		return;
	for (uint32_t k = 1; ml_px_peek(px, k)->kind != ML_TK_END && ml_px_peek(px, k)->kind != ML_TK_BAD; k++) {
		if (ml_px_punct(px, k, ')'))
			break;
		n += ml_px_peek(px, k)->kind == ML_TK_STRING;
	}
	if (n > UINT16_MAX)
		n = UINT16_MAX;
	c->elems = ml_arena_alloc(px->a, (n + 1) * sizeof(*c->elems));
	px->i++;
	while (!ml_px_end(px) && !ml_px_punct(px, 0, ')')) {
		const struct ml_tok *t = ml_px_peek(px, 0);

		if (t->kind == ML_TK_STRING && at < n) {
			struct ml_text e = ml_px_text(px, t);

			/* The server removes blanks at the end of elements. */
			while (e.len > 0 && e.s[e.len - 1] == ' ')
				e.len--;
			c->elems[at++] = (struct ml_text){ ml_arena_strndup(px->a, e.s, e.len), e.len };
		}
		px->i++;
	}
	c->n_elems = (uint16_t)at;
	ml_px_take_punct(px, ')');
}

/* CHARACTER SET x, CHARSET x, COLLATE x, ASCII, UNICODE, BYTE, BINARY; false if none of them is next. */
static bool
charset_word(struct ml_px *px, struct ml_column *c)
{
	const struct ml_tok *t;

	if (ml_px_take2(px, "CHARACTER", "SET") || ml_px_take2(px, "CHAR", "SET") || ml_px_take(px, "CHARSET")) {
		t = ml_px_peek(px, 0);
		if (t->kind == ML_TK_WORD || t->kind == ML_TK_STRING || t->kind == ML_TK_IDENT) {
			c->charset = ml_px_lower(px, ml_px_text(px, t));
			px->i++;
		}
		return true;
	}
	if (ml_px_take(px, "COLLATE")) {
		t = ml_px_peek(px, 0);
		if (t->kind == ML_TK_WORD || t->kind == ML_TK_STRING || t->kind == ML_TK_IDENT) {
			c->collation = ml_px_lower(px, ml_px_text(px, t));
			px->i++;
		}
		return true;
	}
	if (!ml_type_is_text(c->type))
		return false;
	if (ml_px_take(px, "ASCII")) {
		c->charset = lit("latin1");
		return true;
	}
	if (ml_px_take(px, "UNICODE")) {
		c->charset = lit("ucs2");
		return true;
	}
	if (ml_px_take(px, "BYTE")) {
		c->charset = lit("binary");
		return true;
	}
	if (ml_px_take(px, "BINARY")) {
		c->collation =
			lit("binary-of-charset"); /* <charset>_bin, once the charset is known: ml_column_settle */
		return true;
	}
	return false;
}

static const struct type_word *
type_word(struct ml_px *px)
{
	for (size_t i = 0; i < N_TYPE_WORDS; i++)
		if (ml_px_is(px, 0, type_words[i].word))
			return &type_words[i];
	return NULL;
}

bool
ml_px_type(struct ml_px *px, struct ml_column *c)
{
	bool national = ml_px_is(px, 0, "NATIONAL") || ml_px_is(px, 0, "NCHAR") || ml_px_is(px, 0, "NVARCHAR"), serial;
	const struct type_word *w;

	ml_px_take(px, "NATIONAL");
	w = type_word(px);
	c->flen = c->decimal = -1;
	if (w == NULL)
		return false;
	serial = ml_px_is(px, 0, "SERIAL");
	c->type = w->type;
	c->special = w->special;
	if (w->flen > 0)
		c->flen = w->flen;
	px->i++;
	if (w->type == ML_T_STRING && w->class == TC_TEXT &&
		(ml_px_take(px, "VARYING") || ml_px_take(px, "VARCHAR") || ml_px_take(px, "VARCHARACTER")))
		c->type = ML_T_VARCHAR;
	if (strcmp(w->word, "LONG") == 0) {
		if (ml_px_take(px, "VARBINARY"))
			c->charset = lit("binary");
		else if (ml_px_is(px, 0, "VARCHAR") || ml_px_is(px, 0, "VARCHARACTER"))
			px->i++;
		else
			ml_px_take2(px, "CHAR", "VARYING");
	}
	if (w->type == ML_T_DOUBLE)
		ml_px_take(px, "PRECISION");
	switch (w->class) {
	case TC_TIME:
		lengths(px, &c->decimal, &c->flen);
		c->flen = -1;
		c->fraction_unsaid = c->decimal < 0;
		if (c->decimal < 0)
			c->decimal = 0;
		break;
	case TC_ELEMS:
		elements(px, c);
		break;
	case TC_BYTES:
		c->charset = lit("binary");
		lengths(px, &c->flen, &c->decimal);
		break;
	default:
		lengths(px, &c->flen, &c->decimal);
		break;
	}
	if (w->type == ML_T_YEAR)
		c->flen = 4;
	if (w->type == ML_T_FLOAT && c->decimal < 0 && c->flen >= 0) {
		/* FLOAT(p): only chooses between the two types. */
		if (c->flen > 24)
			c->type = ML_T_DOUBLE;
		c->flen = -1;
	}
	if (national)
		c->charset = lit("utf8mb3");
	if (w->special != ML_SP_NONE) {
		c->charset = lit("ascii");
		c->collation = lit("ascii_general_ci");
	}
	if (w->type == ML_T_VECTOR && px->env->mariadb)
		c->special = ML_SP_VECTOR;
	if (w->type == ML_T_JSON && px->env->mariadb) {
		c->type = ML_T_LONGBLOB;
		c->json_text = true;
		c->charset = lit("utf8mb4");
		c->collation = lit("utf8mb4_bin");
	}
	if (serial)
		c->flags |= ML_F_UNSIGNED;
	for (;;) {
		if (ml_px_take(px, "UNSIGNED"))
			c->flags |= ML_F_UNSIGNED;
		else if (ml_px_take(px, "ZEROFILL")) {
			c->flags |= ML_F_UNSIGNED;
			c->zerofill = true;
		} else if (ml_px_take(px, "SIGNED")) {
			;
		} else if (!charset_word(px, c)) {
			break;
		}
	}
	return true;
}

static bool
is_now(struct ml_px *px)
{
	return ml_px_is(px, 0, "CURRENT_TIMESTAMP") || ml_px_is(px, 0, "NOW") || ml_px_is(px, 0, "LOCALTIME") ||
	       ml_px_is(px, 0, "LOCALTIMESTAMP");
}

/* 0x.. and 0b..: a number for numeric columns, bytes for others. */
static struct ml_text
hex_default(struct ml_px *px, const struct ml_tok *t, bool negative, uint8_t type)
{
	char buf[68];
	int n;

	if (!ml_type_is_text(type) && type != ML_T_BIT && t->len < 66) {
		memcpy(buf, t->s, t->len);
		buf[t->len] = '\0';
		n = snprintf(buf, sizeof(buf), "%s%llu", negative ? "-" : "",
			strtoull(buf + 2, NULL, buf[1] == 'x' ? 16 : 2));
		return (struct ml_text){ ml_arena_strndup(px->a, buf, (size_t)n), (uint32_t)n };
	}
	return ml_digits_text(t->s + 2, t->len - 2, t->s[1] == 'x' ? 4 : 1, px->a);
}

void
ml_px_default(struct ml_px *px, struct ml_column *c)
{
	const struct ml_tok *t;
	uint32_t from;
	bool negative;

	c->has_default = true;
	c->default_expr = false;
	if (ml_px_take(px, "NULL")) {
		c->has_default = false;
		c->dflt = (struct ml_text){ NULL, 0 };
		return;
	}
	if (is_now(px)) {
		px->i++;
		if (ml_px_punct(px, 0, '('))
			ml_px_skip_parens(px);
		c->dflt = lit("CURRENT_TIMESTAMP");
		return;
	}
	if (ml_px_is(px, 0, "TRUE") || ml_px_is(px, 0, "FALSE")) {
		c->dflt = lit(ml_px_is(px, 0, "TRUE") ? "1" : "0");
		px->i++;
		return;
	}
	t = ml_px_peek(px, 0);
	/* _utf8mb4'x', DATE'2024-01-01', TIMESTAMP'..': what counts is the string. */
	if (t->kind == ML_TK_WORD && ml_px_peek(px, 1)->kind == ML_TK_STRING &&
		(t->s[0] == '_' || ml_tok_is(t, "DATE") || ml_tok_is(t, "TIME") || ml_tok_is(t, "TIMESTAMP"))) {
		px->i++;
		t = ml_px_peek(px, 0);
	}
	if (t->kind == ML_TK_STRING) {
		c->dflt = ml_px_text(px, t);
		px->i++;
		return;
	}
	negative = ml_px_punct(px, 0, '-');
	if ((negative || ml_px_punct(px, 0, '+')) && ml_px_peek(px, 1)->kind == ML_TK_NUMBER) {
		px->i++;
		t = ml_px_peek(px, 0);
	}
	if (t->kind == ML_TK_NUMBER && t->len > 2 && (t->s[1] == 'x' || t->s[1] == 'b')) {
		c->dflt = hex_default(px, t, negative, c->type);
		px->i++;
		return;
	}
	if (t->kind == ML_TK_NUMBER) {
		char *p = ml_arena_bytes(px->a, t->len + 2u);

		p[0] = '-';
		memcpy(p + negative, t->s, t->len);
		p[negative + t->len] = '\0';
		c->dflt = (struct ml_text){ p, t->len + negative };
		px->i++;
		return;
	}
	/* An expression: kept as its text. */
	c->default_expr = true;
	from = px->i;
	if (ml_px_punct(px, 0, '(')) {
		ml_px_skip_parens(px);
		c->dflt = px->i >= from + 2 ? ml_px_source(px, from + 1, px->i - 1) : lit("");
		return;
	}
	if (ml_px_is(px, 0, "NEXT") && ml_px_is(px, 1, "VALUE"))
		px->i += 3;
	if (!ml_px_end(px))
		px->i++;
	while (ml_px_punct(px, 0, '.') && !ml_px_end(px))
		px->i += 2;
	if (ml_px_punct(px, 0, '('))
		ml_px_skip_parens(px);
	if (px->i > px->n)
		px->i = px->n;
	c->dflt = ml_px_source(px, from, px->i);
}

/* Behind AS or GENERATED ALWAYS AS. */
static void
generated(struct ml_px *px, struct ml_change *ch)
{
	struct ml_column *c = ch->column;

	if (ml_px_take2(px, "ROW", "START")) {
		c->special = ML_SP_ROW_START;
		return;
	}
	if (ml_px_take2(px, "ROW", "END")) {
		c->special = ML_SP_ROW_END;
		return;
	}
	if (!ml_px_punct(px, 0, '('))
		return;
	ml_px_skip_parens(px);
	c->flags |= ML_F_GENERATED;
	c->virtual_generated = true; /* VIRTUAL is what is meant without a word */
	if (ml_px_take(px, "STORED") || ml_px_take(px, "PERSISTENT"))
		c->virtual_generated = false;
	else
		ml_px_take(px, "VIRTUAL");
}

/* CHECK (json_valid(`name`)) is what makes MariaDB's longtext a JSON column. */
static void
check(struct ml_px *px, struct ml_column *c)
{
	if (ml_px_is(px, 1, "JSON_VALID") && ml_px_punct(px, 2, '(') && c->type == ML_T_LONGBLOB)
		c->json_text = true;
	if (ml_px_punct(px, 0, '('))
		ml_px_skip_parens(px);
}

static bool
attribute(struct ml_px *px, struct ml_change *ch)
{
	struct ml_column *c = ch->column;
	const struct ml_tok *t;

	if (ml_px_take2(px, "NOT", "NULL")) {
		c->flags &= (uint8_t)~ML_F_NULLABLE;
	} else if (ml_px_take(px, "NULL")) {
		;
	} else if (ml_px_take(px, "DEFAULT")) {
		ml_px_default(px, c);
	} else if (ml_px_take2(px, "ON", "UPDATE")) {
		c->on_update_now = true;
		if (!ml_px_end(px))
			px->i++;
		if (ml_px_punct(px, 0, '('))
			ml_px_skip_parens(px);
	} else if (ml_px_take(px, "AUTO_INCREMENT")) {
		c->auto_increment = true;
		c->flags &= (uint8_t)~ML_F_NULLABLE;
	} else if (ml_px_take2(px, "SERIAL", "DEFAULT")) {
		ml_px_take(px, "VALUE");
		c->auto_increment = true;
		c->flags &= (uint8_t)~ML_F_NULLABLE;
		ch->unique = true;
	} else if (ml_px_take(px, "UNIQUE")) {
		ml_px_take(px, "KEY");
		ch->unique = true;
	} else if (ml_px_take2(px, "PRIMARY", "KEY") || ml_px_take(px, "PRIMARY") || ml_px_take(px, "KEY")) {
		ch->primary = true;
		c->flags &= (uint8_t)~ML_F_NULLABLE;
	} else if (ml_px_take(px, "COMMENT")) {
		t = ml_px_peek(px, 0);
		if (t->kind == ML_TK_STRING) {
			c->comment = ml_px_text(px, t);
			px->i++;
		}
	} else if (ml_px_take2(px, "GENERATED", "ALWAYS")) {
		if (ml_px_take(px, "AS"))
			generated(px, ch);
	} else if (ml_px_take(px, "AS")) {
		generated(px, ch);
	} else if (ml_px_take(px, "CHECK")) {
		check(px, c);
	} else if (ml_px_take(px, "UNSIGNED") || ml_px_take(px, "ZEROFILL")) {
		c->flags |= ML_F_UNSIGNED;
		c->zerofill = c->zerofill || ml_tok_is(&px->t[px->i - 1], "ZEROFILL");
	} else {
		return charset_word(px, c);
	}
	return true;
}

void
ml_px_column(struct ml_px *px, struct ml_change *ch)
{
	struct ml_column *c = ch->column;
	bool serial = ml_px_is(px, 0, "SERIAL");

	c->flags = ML_F_NULLABLE;
	if (!ml_px_type(px, c))
		c->type = 0;
	if (serial) {
		c->auto_increment = true;
		ch->unique = true;
		c->flags &= (uint8_t)~ML_F_NULLABLE;
	}
	while (!ml_px_end(px) && !ml_px_punct(px, 0, ',') && !ml_px_punct(px, 0, ')') && !ml_px_is(px, 0, "FIRST") &&
		!ml_px_is(px, 0, "AFTER") && !ml_px_is(px, 0, "PARTITION")) {
		if (attribute(px, ch))
			continue;
		if (ml_px_punct(px, 0, '('))
			ml_px_skip_parens(px);
		else
			px->i++;
	}
	if (c->special == ML_SP_ROW_START || c->special == ML_SP_ROW_END)
		c->flags &= (uint8_t)~ML_F_NULLABLE;
}

/* The charset's default collation, by the servers' own lists.  MySQL 8 has another one for utf8mb4; its log tells it. */
static struct ml_text
default_collation(const char *charset, struct ml_arena *a)
{
	static const char *const odd[][2] = {
		{ "latin1", "latin1_swedish_ci" },
		{ "gbk", "gbk_chinese_ci" },
		{ "gb2312", "gb2312_chinese_ci" },
		{ "gb18030", "gb18030_chinese_ci" },
		{ "big5", "big5_chinese_ci" },
		{ "sjis", "sjis_japanese_ci" },
		{ "cp932", "cp932_japanese_ci" },
		{ "ujis", "ujis_japanese_ci" },
		{ "eucjpms", "eucjpms_japanese_ci" },
		{ "euckr", "euckr_korean_ci" },
		{ "tis620", "tis620_thai_ci" },
		{ "dec8", "dec8_swedish_ci" },
		{ "hp8", "hp8_english_ci" },
		{ "swe7", "swe7_swedish_ci" },
		{ "latin5", "latin5_turkish_ci" },
		{ "binary", "binary" },
	};
	char buf[80];
	int n;

	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++)
		if (strcmp(charset, odd[i][0]) == 0)
			return lit(odd[i][1]);
	n = snprintf(buf, sizeof(buf), "%.60s_general_ci", charset);
	return (struct ml_text){ ml_arena_strndup(a, buf, (size_t)n), (uint32_t)n };
}

static struct ml_text
join(struct ml_arena *a, const char *x, const char *y, size_t y_len)
{
	size_t n = strlen(x);
	char *p = ml_arena_bytes(a, n + y_len + 1);

	memcpy(p, x, n);
	memcpy(p + n, y, y_len);
	p[n + y_len] = '\0';
	return (struct ml_text){ p, (uint32_t)(n + y_len) };
}

static void
settle_charset(struct ml_column *c, struct ml_arena *a, struct ml_text charset, struct ml_text collation)
{
	const struct ml_charset *cs = NULL;
	bool bin = text_is(c->collation, "binary-of-charset");

	if (bin)
		c->collation.len = 0;
	if (c->charset.len == 0 && c->collation.len > 0) {
		cs = ml_charset_by_collation_name(c->collation.s, c->collation.len);
		c->charset = cs != NULL ? lit(cs->name) : charset;
	} else if (c->charset.len == 0) {
		c->charset = charset;
		if (!bin)
			c->collation = collation;
	}
	/* utf8 has been utf8mb3 all the time. */
	cs = ml_charset_by_name(c->charset.s, c->charset.len);
	if (cs != NULL)
		c->charset = lit(cs->name);
	if (bin && c->charset.len > 0)
		c->collation = join(a, c->charset.s, "_bin", 4);
	if (c->collation.len > 5 && strncasecmp(c->collation.s, "utf8_", 5) == 0)
		c->collation = join(a, "utf8mb3_", c->collation.s + 5, c->collation.len - 5);
	if (c->collation.len == 0 && c->charset.len > 0)
		c->collation = default_collation(c->charset.s, a);
}

/* TEXT(n), BLOB(n): the smallest type that holds n characters. */
static void
settle_blob(struct ml_column *c)
{
	const struct ml_charset *cs = ml_charset_by_name(c->charset.s, c->charset.len);
	uint64_t bytes;

	if (c->type == ML_T_BLOB && c->flen > 0) {
		bytes = (uint64_t)c->flen * (cs != NULL && cs->kind != ML_CS_BINARY ? cs->mbmaxlen : 1);
		c->type = bytes < 256        ? ML_T_TINYBLOB
			  : bytes < 65536    ? ML_T_BLOB
			  : bytes < 1u << 24 ? ML_T_MEDIUMBLOB
					     : ML_T_LONGBLOB;
	}
	/* LONGTEXT's 4294967295 has no place in flen: it is "not given", for which every format has that default. */
	c->flen = c->type == ML_T_TINYBLOB     ? 255
		  : c->type == ML_T_BLOB       ? 65535
		  : c->type == ML_T_MEDIUMBLOB ? 16777215
					       : -1;
}

static void
pad_default(struct ml_column *c, struct ml_arena *a, uint32_t len, char fill)
{
	char *p;

	if (c->dflt.len >= len || len > 65536)
		return;
	p = ml_arena_bytes(a, len + 1u);
	memset(p, fill, len);
	memcpy(p, c->dflt.s, c->dflt.len);
	p[len] = '\0';
	c->dflt = (struct ml_text){ p, len };
}

/* BIT: the value's bytes, most significant first, as many as the type has. */
static void
settle_bit_default(struct ml_column *c, struct ml_arena *a)
{
	uint32_t want = ((uint32_t)(c->flen > 0 && c->flen <= 64 ? c->flen : 1) + 7) / 8;
	char buf[32], *p = ml_arena_bytes(a, want + 1);
	bool digits = c->dflt.len > 0 && c->dflt.len < sizeof(buf);
	uint64_t v = 0;

	for (uint32_t i = 0; i < c->dflt.len; i++)
		digits = digits && c->dflt.s[i] >= '0' && c->dflt.s[i] <= '9';
	if (digits) {
		memcpy(buf, c->dflt.s, c->dflt.len);
		buf[c->dflt.len] = '\0';
		v = strtoull(buf, NULL, 10);
	} else {
		for (uint32_t i = 0; i < c->dflt.len; i++)
			v = v << 8 | (uint8_t)c->dflt.s[i];
	}
	for (uint32_t i = want; i-- > 0; v >>= 8)
		p[i] = (char)(v & 0xFF);
	p[want] = '\0';
	c->dflt = (struct ml_text){ p, want };
}

/* "1.5" of a DECIMAL(8,3) is kept as 1.500 by the server; "2024-01-01" of a DATETIME(3) with its time. */
static void
settle_default(struct ml_column *c, struct ml_arena *a)
{
	const char *dot;
	uint32_t whole;

	if (!c->has_default || c->dflt.len == 0 || text_is(c->dflt, "CURRENT_TIMESTAMP"))
		return;
	switch (c->type) {
	case ML_T_BIT:
		settle_bit_default(c, a);
		break;
	case ML_T_STRING:
		if (text_is(c->charset, "binary") && c->special == ML_SP_NONE && c->flen > 0)
			pad_default(c, a, (uint32_t)c->flen, '\0');
		break;
	case ML_T_DECIMAL:
		for (uint32_t i = 0; i < c->dflt.len; i++)
			if (strchr("0123456789.-", c->dflt.s[i]) == NULL)
				return;
		if (c->decimal <= 0)
			return;
		dot = memchr(c->dflt.s, '.', c->dflt.len);
		if (dot == NULL) {
			c->dflt = join(a, c->dflt.s, ".", 1);
			whole = c->dflt.len;
		} else {
			whole = (uint32_t)(dot + 1 - c->dflt.s);
		}
		pad_default(c, a, whole + (uint32_t)c->decimal, '0');
		break;
	case ML_T_DATETIME:
	case ML_T_TIMESTAMP:
		if (c->dflt.len == 10)
			c->dflt = join(a, c->dflt.s, " 00:00:00", 9);
		/* fall through */
	case ML_T_TIME:
		whole = c->type == ML_T_TIME ? 8 : 19;
		if (c->decimal > 0 && c->decimal <= 6 && c->dflt.len == whole) {
			c->dflt = join(a, c->dflt.s, ".", 1);
			pad_default(c, a, whole + 1 + (uint32_t)c->decimal, '0');
		}
		break;
	default:
		break;
	}
}

/* What SHOW CREATE TABLE prints for an integer declared without a width; -1 for other types. */
static int32_t
integer_width(const struct ml_column *c)
{
	bool u = c->flags & ML_F_UNSIGNED;

	switch (c->type) {
	case ML_T_TINY:
		return u ? 3 : 4;
	case ML_T_SHORT:
		return u ? 5 : 6;
	case ML_T_INT24:
		return u ? 8 : 9;
	case ML_T_LONG:
		return u ? 10 : 11;
	case ML_T_LONGLONG:
		return 20;
	default:
		return -1;
	}
}

void
ml_column_settle(struct ml_column *c, struct ml_arena *a, struct ml_text charset, struct ml_text collation)
{
	if (ml_type_is_text(c->type)) {
		settle_charset(c, a, charset, collation);
		if (text_is(c->charset, "binary"))
			c->flags |= ML_F_BINARY;
		else
			c->flags &= (uint8_t)~ML_F_BINARY;
	} else {
		c->charset = c->collation = lit("binary");
		c->flags |= ML_F_BINARY;
	}
	if (c->type >= ML_T_TINYBLOB && c->type <= ML_T_BLOB)
		settle_blob(c);
	if (c->type == ML_T_BIT || c->type == ML_T_YEAR)
		c->flags |= ML_F_UNSIGNED;
	if (c->flen < 0)
		c->flen = integer_width(c);
	if ((c->type == ML_T_STRING || c->type == ML_T_BIT) && c->flen < 0)
		c->flen = 1;
	if (c->type == ML_T_DECIMAL) {
		if (c->flen <= 0)
			c->flen = 10;
		if (c->decimal < 0)
			c->decimal = 0;
	}
	settle_default(c, a);
}

/* A column's type or default seldom has more: they need not stay in the definition's arena. */
#define FEW_TOKENS 32

static void
px_of(struct ml_px *px, const struct ml_ddl_env *env, struct ml_arena *a, struct ml_tok few[FEW_TOKENS],
	const char *text, size_t len)
{
	*px = (struct ml_px){ .a = a, .env = env, .t = few, .cap = FEW_TOKENS };
	ml_lexer_init(&px->lx, text, len, 0, 0, env->mariadb);
}

bool
ml_column_of_type(struct ml_column *c, struct ml_arena *a, const char *text, size_t len, bool mariadb)
{
	struct ml_ddl_env env = { .mariadb = mariadb };
	struct ml_tok few[FEW_TOKENS];
	struct ml_px px;
	bool ok;

	px_of(&px, &env, a, few, text, len);
	ok = ml_px_type(&px, c);
	c->fraction_unsaid = false;
	return ok;
}

void
ml_column_default_sql(struct ml_column *c, struct ml_arena *a, const char *text, size_t len)
{
	struct ml_ddl_env env = { .mariadb = true };
	struct ml_tok first, few[FEW_TOKENS];
	struct ml_px px;

	px_of(&px, &env, a, few, text, len);
	first = *ml_px_peek(&px, 0);
	ml_px_default(&px, c);
	if (c->has_default && !ml_px_end(&px))
		c->default_expr = true;
	/* A function's call or a larger expression: the server's own text. */
	if (c->has_default && first.kind == ML_TK_WORD && !text_is(c->dflt, "CURRENT_TIMESTAMP") && !ml_px_end(&px))
		c->dflt = (struct ml_text){ ml_arena_strndup(a, text, len), (uint32_t)len };
}
