/*
 * golden.h - reads a golden case (tables, rows, DDL as lines of text), runs an encoder over it and compares with what is
 * wanted.  For test programs only; the text is trusted.
 *
 *	table NAME "db" "table" [id N] [version TS] [charset "name"] [view]
 *		starts a definition; a later one of the same NAME replaces it
 *	col "name" "int(10) unsigned" [notnull] [virtual] [generated] [default|expr "text"]
 *		[onupdate] [auto] [charset "name" "collation"] [id N]
 *	index "name" [primary] [unique] "col"...
 *	insert|update|delete NAME COMMIT_TS	one row; then its images:
 *	- VALUE...	before			+ VALUE...	after
 *	flush					a batch ends (also at a DDL, a watermark and the end)
 *	ddl COMMIT_TS ACTION "db" "table" "query" [after NAME] [before NAME]	definitions after and before it
 *	watermark TS
 *	partition N				of the rows that follow; 0 at first
 * VALUE: NULL, _ (absent), a number, or text in double quotes with \n \r \t \" \\ \xNN.
 */
#ifndef ML_TESTS_ENCODER_GOLDEN_H
#define ML_TESTS_ENCODER_GOLDEN_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "capture-worker/encoder/encoder.h"
#include "common/base/buf.h"
#include "common/text/uri.h"

#define GOLDEN_NOW_MS 1700000000123u
#define GOLDEN_TABLES 64

struct golden;
typedef void golden_print_fn(struct golden *g, const struct ml_msg *m);

struct golden {
	struct ml_encoder *e;
	struct ml_uri *uri;
	Ml__ChangefeedSpec spec;
	Ml__ServerConfig config;
	golden_print_fn *print;              /* a message as text at the end of got */
	void (*prepare)(struct ml_batch *b); /* before each batch is encoded; may be NULL */
	struct ml_buf got;
	struct ml_batch *b;
	struct {
		char name[64];
		struct ml_schema *s;
	} tables[GOLDEN_TABLES];
	int n_tables;
	struct ml_schema *open; /* definition being read, its columns and indexes */
	struct ml_column cols[512];
	struct ml_index indexes[16];
	uint16_t ids[512]; /* given ids of the columns, 0: their positions */
	int32_t partition;
	const char *path;
	int line;
};

static inline uint64_t
golden_now(void)
{
	return GOLDEN_NOW_MS;
}

static inline char *
golden_read(const char *path, size_t *len)
{
	FILE *f = fopen(path, "rb");
	char *s;
	long n;

	if (f == NULL || fseek(f, 0, SEEK_END) != 0 || (n = ftell(f)) < 0) {
		fail_msg("%s: cannot be read", path);
		abort();
	}
	rewind(f);
	s = malloc((size_t)n + 1);
	assert_non_null(s);
	assert_int_equal(fread(s, 1, (size_t)n, f), n);
	s[n] = '\0';
	fclose(f);
	*len = (size_t)n;
	return s;
}

static inline void
golden_bad(const struct golden *g, const char *what)
{
	fail_msg("%s:%d: %s", g->path, g->line, what);
	abort();
}

/* Next token of *p, NUL-terminated in place; quoted: its quotes undone.  NULL at the end of the line. */
static inline char *
golden_token(char **p, size_t *len, bool *quoted)
{
	char *s = *p, *t, *q;

	while (*s == ' ' || *s == '\t')
		s++;
	if (*s == '\0')
		return NULL;
	*quoted = *s == '"';
	if (!*quoted) {
		t = s;
		while (*s != '\0' && *s != ' ' && *s != '\t')
			s++;
		*len = (size_t)(s - t);
		*p = *s == '\0' ? s : s + 1;
		*s = '\0';
		return t;
	}
	t = q = ++s;
	for (; *s != '"'; s++) {
		if (*s != '\\') {
			*q++ = *s;
			continue;
		}
		s++;
		if (*s == 'x') {
			unsigned v;

			sscanf(s + 1, "%2x", &v);
			*q++ = (char)v;
			s += 2;
		} else {
			*q++ = *s == 'n' ? '\n' : *s == 'r' ? '\r' : *s == 't' ? '\t' : *s;
		}
	}
	*p = s + 1;
	*len = (size_t)(q - t);
	*q = '\0';
	return t;
}

static inline struct ml_text
golden_text(struct golden *g, char **p, struct ml_arena *a)
{
	bool quoted;
	size_t len;
	char *t = golden_token(p, &len, &quoted);

	if (t == NULL || !quoted)
		golden_bad(g, "a quoted text is missing");
	return (struct ml_text){ ml_arena_strndup(a, t, len), (uint32_t)len };
}

static inline void
golden_elems(struct golden *g, struct ml_column *c, const char *s)
{
	c->elems = ml_arena_zalloc(&g->open->arena, 64 * sizeof(*c->elems));
	while (*s == '(' || *s == ',') {
		char buf[256], *p = buf;

		for (s += 2; *s != '\'' || s[1] == '\''; s++) {
			if (*s == '\'')
				s++;
			*p++ = *s;
		}
		s++;
		c->elems[c->n_elems++] = (struct ml_text){ ml_arena_strndup(&g->open->arena, buf, (size_t)(p - buf)),
			(uint32_t)(p - buf) };
	}
}

static inline void
golden_type(struct golden *g, struct ml_column *c, const char *text)
{
	static const struct {
		const char *name;
		uint8_t type;
		bool text;
	} types[] = {
		{ "tinyint", ML_T_TINY, 0 },
		{ "smallint", ML_T_SHORT, 0 },
		{ "mediumint", ML_T_INT24, 0 },
		{ "int", ML_T_LONG, 0 },
		{ "bigint", ML_T_LONGLONG, 0 },
		{ "float", ML_T_FLOAT, 0 },
		{ "double", ML_T_DOUBLE, 0 },
		{ "decimal", ML_T_DECIMAL, 0 },
		{ "bit", ML_T_BIT, 0 },
		{ "year", ML_T_YEAR, 0 },
		{ "date", ML_T_DATE, 0 },
		{ "time", ML_T_TIME, 0 },
		{ "datetime", ML_T_DATETIME, 0 },
		{ "timestamp", ML_T_TIMESTAMP, 0 },
		{ "json", ML_T_JSON, 0 },
		{ "vector", ML_T_VECTOR, 0 },
		{ "char", ML_T_STRING, 1 },
		{ "binary", ML_T_STRING, 0 },
		{ "varchar", ML_T_VARCHAR, 1 },
		{ "varbinary", ML_T_VARCHAR, 0 },
		{ "tinytext", ML_T_TINYBLOB, 1 },
		{ "text", ML_T_BLOB, 1 },
		{ "mediumtext", ML_T_MEDIUMBLOB, 1 },
		{ "longtext", ML_T_LONGBLOB, 1 },
		{ "tinyblob", ML_T_TINYBLOB, 0 },
		{ "blob", ML_T_BLOB, 0 },
		{ "mediumblob", ML_T_MEDIUMBLOB, 0 },
		{ "longblob", ML_T_LONGBLOB, 0 },
		{ "enum", ML_T_ENUM, 1 },
		{ "set", ML_T_SET, 1 },
		{ "geometry", ML_T_GEOMETRY, 0 },
	};
	size_t n = strcspn(text, "( "), i = 0;
	const char *rest = text + n;
	int a, b;

	while (i < sizeof(types) / sizeof(types[0]) &&
		(strlen(types[i].name) != n || memcmp(types[i].name, text, n) != 0))
		i++;
	if (i == sizeof(types) / sizeof(types[0]))
		golden_bad(g, "unknown type");
	c->type = types[i].type;
	c->flen = c->decimal = -1;
	if (!types[i].text)
		c->flags |= ML_F_BINARY;
	if (strstr(rest, " unsigned") != NULL || c->type == ML_T_BIT || c->type == ML_T_YEAR)
		c->flags |= ML_F_UNSIGNED;
	c->zerofill = strstr(rest, " zerofill") != NULL;
	if (c->type == ML_T_ENUM || c->type == ML_T_SET) {
		golden_elems(g, c, rest);
		return;
	}
	switch (sscanf(rest, "(%d,%d)", &a, &b)) {
	case 2:
		c->decimal = b;
		c->flen = a;
		break;
	case 1:
		if (c->type == ML_T_TIME || c->type == ML_T_DATETIME || c->type == ML_T_TIMESTAMP)
			c->decimal = a;
		else
			c->flen = a;
		break;
	default:
		break;
	}
}

static inline void
golden_finish_table(struct golden *g)
{
	struct ml_schema *s = g->open;

	if (s == NULL)
		return;
	s->columns = ml_arena_alloc(&s->arena, s->n_columns * sizeof(*s->columns));
	memcpy(s->columns, g->cols, s->n_columns * sizeof(*s->columns));
	s->indexes = ml_arena_alloc(&s->arena, s->n_indexes * sizeof(*s->indexes));
	memcpy(s->indexes, g->indexes, s->n_indexes * sizeof(*s->indexes));
	ml_schema_finish(s);
	for (int i = 0; i < s->n_columns; i++)
		if (g->ids[i] != 0)
			s->columns[i].id = g->ids[i];
	g->open = NULL;
}

static inline void
golden_table(struct golden *g, char *p)
{
	bool quoted;
	size_t len;
	char *name = golden_token(&p, &len, &quoted);
	int i = 0;

	while (i < g->n_tables && strcmp(g->tables[i].name, name) != 0)
		i++;
	if (i == g->n_tables) {
		assert_true(g->n_tables++ < GOLDEN_TABLES);
		snprintf(g->tables[i].name, sizeof(g->tables[i].name), "%s", name);
	}
	ml_schema_unref(g->tables[i].s);
	g->open = g->tables[i].s = ml_schema_new();
	g->open->table_id = i + 1;
	g->open->db = golden_text(g, &p, &g->open->arena);
	g->open->table = golden_text(g, &p, &g->open->arena);
	memset(g->ids, 0, sizeof(g->ids));
	while ((name = golden_token(&p, &len, &quoted)) != NULL) {
		uint64_t v;

		if (strcmp(name, "charset") == 0) {
			g->open->charset = golden_text(g, &p, &g->open->arena);
			continue;
		}
		v = strtoull(p, &p, 10);
		if (strcmp(name, "id") == 0)
			g->open->table_id = (int64_t)v;
		else if (strcmp(name, "version") == 0)
			g->open->version = v;
		else if (strcmp(name, "view") == 0)
			g->open->kind = ML_TABLE_VIEW;
		else
			golden_bad(g, "unknown word of a table");
	}
}

static inline void
golden_col(struct golden *g, char *p)
{
	struct ml_column *c = &g->cols[g->open->n_columns++];
	bool quoted;
	size_t len;
	char *t;

	*c = (struct ml_column){ .flags = ML_F_NULLABLE };
	c->name = golden_text(g, &p, &g->open->arena);
	golden_type(g, c, golden_text(g, &p, &g->open->arena).s);
	while ((t = golden_token(&p, &len, &quoted)) != NULL) {
		if (strcmp(t, "notnull") == 0)
			c->flags &= (uint8_t)~ML_F_NULLABLE;
		else if (strcmp(t, "virtual") == 0)
			c->virtual_generated = true;
		else if (strcmp(t, "generated") == 0)
			c->flags |= ML_F_GENERATED;
		else if (strcmp(t, "onupdate") == 0)
			c->on_update_now = true;
		else if (strcmp(t, "auto") == 0)
			c->auto_increment = true;
		else if (strcmp(t, "default") == 0 || strcmp(t, "expr") == 0) {
			c->has_default = true;
			c->default_expr = t[0] == 'e';
			c->dflt = golden_text(g, &p, &g->open->arena);
		} else if (strcmp(t, "charset") == 0) {
			c->charset = golden_text(g, &p, &g->open->arena);
			c->collation = golden_text(g, &p, &g->open->arena);
		} else if (strcmp(t, "id") == 0)
			g->ids[g->open->n_columns - 1] = (uint16_t)strtoul(p, &p, 10);
		else
			golden_bad(g, "unknown word of a column");
	}
}

static inline void
golden_index(struct golden *g, char *p)
{
	struct ml_index *x = &g->indexes[g->open->n_indexes++];
	bool quoted;
	size_t len;
	char *t;

	*x = (struct ml_index){ .name = golden_text(g, &p, &g->open->arena) };
	x->cols = ml_arena_alloc(&g->open->arena, 32 * sizeof(*x->cols));
	while ((t = golden_token(&p, &len, &quoted)) != NULL) {
		if (!quoted && strcmp(t, "primary") == 0) {
			x->primary = x->unique = true;
		} else if (!quoted && strcmp(t, "unique") == 0) {
			x->unique = true;
		} else {
			int i = 0;

			while (i < g->open->n_columns && strcmp(g->cols[i].name.s, t) != 0)
				i++;
			if (i == g->open->n_columns)
				golden_bad(g, "unknown column of an index");
			x->cols[x->n_cols++] = (uint16_t)i;
			if (g->cols[i].flags & ML_F_NULLABLE)
				x->nullable = true;
			if (g->cols[i].virtual_generated)
				x->virtual_column = true;
		}
	}
}

static inline const struct ml_datum *
golden_image(struct golden *g, const struct ml_schema *s, char *p)
{
	struct ml_datum *d = ml_arena_zalloc(&g->b->arena, s->n_columns * sizeof(*d));

	for (int i = 0; i < s->n_columns; i++) {
		const struct ml_column *c = &s->columns[i];
		bool quoted;
		size_t len;
		char *t = golden_token(&p, &len, &quoted);

		if (t == NULL)
			golden_bad(g, "a value is missing");
		if (quoted) {
			d[i].kind = ML_D_BYTES;
			d[i].s = ml_arena_strndup(&g->b->arena, t, len);
			d[i].len = (uint32_t)len;
		} else if (strcmp(t, "NULL") == 0) {
			d[i].kind = ML_D_NULL;
		} else if (strcmp(t, "_") == 0) {
			d[i].kind = ML_D_ABSENT;
		} else if (c->type == ML_T_FLOAT) {
			d[i].kind = ML_D_F32;
			d[i].f32 = strtof(t, NULL);
		} else if (c->type == ML_T_DOUBLE) {
			d[i].kind = ML_D_F64;
			d[i].f64 = strtod(t, NULL);
		} else if (c->type == ML_T_ENUM || c->type == ML_T_SET || c->type == ML_T_BIT ||
			   (c->type != ML_T_YEAR && (c->flags & ML_F_UNSIGNED))) {
			d[i].kind = ML_D_U64;
			d[i].u = strtoull(t, NULL, 10);
		} else {
			d[i].kind = ML_D_I64;
			d[i].i = strtoll(t, NULL, 10);
		}
	}
	return d;
}

static inline struct ml_schema *
golden_schema(struct golden *g, const char *name)
{
	int i = 0;

	golden_finish_table(g);
	while (name != NULL && i < g->n_tables && strcmp(g->tables[i].name, name) != 0)
		i++;
	if (name == NULL || i == g->n_tables)
		golden_bad(g, "unknown table");
	return g->tables[i].s;
}

static inline void
golden_row(struct golden *g, enum ml_op op, char *p)
{
	bool quoted;
	size_t len;
	char *name = golden_token(&p, &len, &quoted), *ts = golden_token(&p, &len, &quoted);
	struct ml_row *row;

	if (ts == NULL)
		golden_bad(g, "no commit ts");
	row = ml_batch_row(g->b);
	*row = (struct ml_row){ .schema = golden_schema(g, name), .op = op, .partition = g->partition };
	row->commit_ts = strtoull(ts, NULL, 10);
	row->start_ts = row->commit_ts - 1;
	ml_batch_pin(g->b, row->schema);
}

static inline void
golden_print_all(struct golden *g, struct ml_batch *b)
{
	for (uint32_t i = 0; i < b->n_msgs; i++)
		g->print(g, &b->msgs[i]);
}

static inline void
golden_flush(struct golden *g)
{
	struct ml_err err = { 0 };

	if (g->prepare != NULL)
		g->prepare(g->b);
	if (g->e->ops->rows(g->e, g->b, &err) < 0)
		ml_buf_printf(&g->got, "error %s %s\n", ml_code_name(err.code), err.text);
	else
		golden_print_all(g, g->b);
	ml_batch_free(g->b);
	g->b = ml_batch_new();
}

static inline void
golden_ddl(struct golden *g, char *p)
{
	struct ml_arena a;
	struct ml_err err = { 0 };
	struct ml_ddl ddl = { 0 };
	struct ml_msg m;
	char *end, *word;
	bool quoted;
	size_t len;
	int rc;

	golden_finish_table(g);
	golden_flush(g);
	ml_arena_init(&a, 0);
	ddl.commit_ts = strtoull(p, &end, 10);
	ddl.action = (int)strtol(end, &end, 10);
	ddl.db = golden_text(g, &end, &a);
	ddl.table = golden_text(g, &end, &a);
	ddl.query = golden_text(g, &end, &a);
	while ((word = golden_token(&end, &len, &quoted)) != NULL) {
		struct ml_schema **which = strcmp(word, "after") == 0 ? &ddl.schema : &ddl.pre_schema;
		char *name = golden_token(&end, &len, &quoted);

		*which = golden_schema(g, name);
	}
	rc = g->e->ops->ddl(g->e, &ddl, &a, &m, &err);
	assert_true(rc >= 0);
	if (rc == 1)
		g->print(g, &m);
	ml_arena_fini(&a);
}

static inline void
golden_watermark(struct golden *g, char *p)
{
	struct ml_arena a;
	struct ml_err err = { 0 };
	struct ml_msg m;
	int rc;

	golden_flush(g);
	ml_arena_init(&a, 0);
	rc = g->e->ops->checkpoint == NULL ? 0 : g->e->ops->checkpoint(g->e, strtoull(p, NULL, 10), &a, &m, &err);
	assert_true(rc >= 0);
	if (rc == 1)
		g->print(g, &m);
	ml_arena_fini(&a);
}

static inline void
golden_line(struct golden *g, char *line)
{
	char *p = line;
	size_t len = strcspn(line, " ");

	p += len + (line[len] == ' ');
#define WORD(w) (len == sizeof(w) - 1 && memcmp(line, w, len) == 0)
	if (len == 0 || line[0] == '#')
		return;
	if (WORD("table")) {
		golden_finish_table(g);
		golden_table(g, p);
	} else if (WORD("col")) {
		golden_col(g, p);
	} else if (WORD("index")) {
		golden_index(g, p);
	} else if (WORD("insert") || WORD("update") || WORD("delete")) {
		golden_row(g, line[0] == 'i' ? ML_OP_INSERT : line[0] == 'u' ? ML_OP_UPDATE : ML_OP_DELETE, p);
	} else if (WORD("-") || WORD("+")) {
		struct ml_row *row = &g->b->rows[g->b->n_rows - 1];
		const struct ml_datum *d = golden_image(g, row->schema, p);

		if (line[0] == '-')
			row->before = d;
		else
			row->after = d;
	} else if (WORD("flush")) {
		golden_flush(g);
	} else if (WORD("ddl")) {
		golden_ddl(g, p);
	} else if (WORD("watermark")) {
		golden_watermark(g, p);
	} else if (WORD("partition")) {
		g->partition = (int32_t)strtol(p, NULL, 10);
	} else {
		golden_bad(g, "unknown word");
	}
#undef WORD
}

/* Bytes that may be anything: printable ASCII as it is, all else and the backslash as \\xNN. */
static inline void
golden_put_bytes(struct golden *g, const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] < 0x20 || (unsigned char)s[i] > 0x7e || s[i] == '\\')
			ml_buf_printf(&g->got, "\\x%02x", (unsigned char)s[i]);
		else
			ml_buf_putc(&g->got, s[i]);
}

/* Compares line by line, so that a failure shows the line and not the file. */
static inline void
golden_compare(const char *path, const char *want, const char *got)
{
	for (int line = 1; *want != '\0' || *got != '\0'; line++) {
		size_t w = strcspn(want, "\n"), n = strcspn(got, "\n");

		if (w != n || memcmp(want, got, w) != 0) {
			print_error("%s:%d\nwant %.*s\ngot  %.*s\n", path, line, (int)w, want, (int)n, got);
			fail();
		}
		want += w + (want[w] == '\n');
		got += n + (got[n] == '\n');
	}
}

/*
 * Runs ML_TEST_DIR/golden/<in>.in through a new encoder and compares with <want>.want there.
 * query: of the sink uri; config: sink_config as JSON ("" for none).
 */
static inline void
golden_run(const struct ml_encoder_ops *ops, bool storage, const char *query, const char *config,
	golden_print_fn *print, void (*prepare)(struct ml_batch *), const char *in, const char *want)
{
	struct golden *g = calloc(1, sizeof(*g));
	struct ml_encoder_env env = {
		.max_message_bytes = storage ? SIZE_MAX : 10485760, .storage = storage, .now_ms = golden_now
	};
	char path[512], uri[512], *text, *p, *wanted;
	struct ml_err err = { 0 };
	size_t len;

	assert_non_null(g);
	g->print = print;
	g->prepare = prepare;
	ml__changefeed_spec__init(&g->spec);
	g->spec.namespace_ = (char *)(uintptr_t) "default";
	ml__server_config__init(&g->config);
	g->config.tz = (char *)(uintptr_t) "UTC";
	g->spec.sink_config_json = (char *)(uintptr_t)config;
	snprintf(uri, sizeof(uri), "%s?%s", storage ? "file:///tmp/x" : "kafka://127.0.0.1:9092/t", query);
	assert_int_equal(ml_uri_parse(&g->uri, uri, &err), 0);
	env.spec = &g->spec;
	env.config = &g->config;
	env.sink_uri = g->uri;
	if (ops->open(&g->e, &env, &err) < 0)
		fail_msg("open: %s", err.text);
	g->b = ml_batch_new();
	snprintf(path, sizeof(path), "%s/golden/%s.in", ML_TEST_DIR, in);
	g->path = path;
	text = p = golden_read(path, &len);
	while (*p != '\0') {
		char *end = strchr(p, '\n');

		if (end == NULL)
			end = p + strlen(p);
		g->line++;
		if (*end == '\n')
			*end++ = '\0';
		golden_line(g, p);
		p = end;
	}
	golden_flush(g);
	snprintf(path, sizeof(path), "%s/golden/%s.want", ML_TEST_DIR, want);
	wanted = golden_read(path, &len);
	assert_true(len > 0);
	if (getenv("GOLDEN_PRINT") != NULL)
		fputs(g->got.data, stderr);
	golden_compare(path, wanted, g->got.data != NULL ? g->got.data : "");
	free(text);
	free(wanted);
	ops->close(g->e);
	ml_batch_free(g->b);
	ml_batch_pool_drain();
	for (int i = 0; i < g->n_tables; i++)
		ml_schema_unref(g->tables[i].s);
	ml_uri_free(g->uri);
	ml_buf_fini(&g->got);
	free(g);
}
#endif
