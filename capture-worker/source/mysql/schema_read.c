#include "capture-worker/source/mysql/schema_read.h"

#include <mysqld_error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "capture-worker/filter/filter.h"
#include "capture-worker/source/mysql/ddl_column.h"
#include "capture-worker/source/mysql/lanes.h"
#include "common/base/buf.h"

/* Beyond so many tables the time to read them is worth more than a few connections. */
#define WIDEN_TABLES 200

/* What is asked of each schema: names first, then columns and indexes, then what they make necessary. */
enum { Q_NAMES, Q_COLUMNS, Q_INDEXES, Q_VIEWS, Q_CHECKS, Q_ORDER };

/* One schema (database) being read; rows are sorted into tables by name. */
struct reading {
	struct reader *all;
	struct ml_text db, charset;
	struct ml_schema **t; /* sorted by name, bytewise */
	size_t n;
	size_t last;        /* where the last row's table was: rows of one table come together */
	bool has_columns;   /* the tables have got them */
	MYSQL_RES *indexes; /* they came before the columns */
};

struct reader {
	struct ml_lanes lanes;
	struct ml_my_conn *conn; /* NULL: no more connections */
	const struct ml_my_target *target;
	const struct ml_filter *filter; /* NULL: all */
	const char *table;              /* the only one; NULL: all */
	bool mariadb, json_as_json;
	size_t n_tables;
	struct reading *v;
	size_t n, cap;
};

void
ml_schema_list_fini(struct ml_schema_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		ml_schema_unref(l->v[i]);
	free(l->v);
	*l = (struct ml_schema_list){ 0 };
}

static void
list_append_schema(struct ml_schema_list *l, struct ml_schema *s)
{
	if (l->n == l->cap) {
		l->cap = l->cap == 0 ? 64 : l->cap * 2;
		l->v = realloc(l->v, l->cap * sizeof(*l->v));
		if (l->v == NULL)
			abort();
	}
	l->v[l->n++] = s;
}

/* Runs sql; the whole result is fetched.  Connection errors are worth another try, others too: the class is RETRY. */
static int
query(MYSQL *my, const char *sql, size_t len, MYSQL_RES **res, struct ml_err *err)
{
	*res = NULL;
	if (mysql_real_query(my, sql, (unsigned long)len) == 0) {
		*res = mysql_store_result(my);
		if (*res != NULL)
			return 0;
	}
	return ML_ERR(err, ErrMySQLQueryError, (int)mysql_errno(my), mysql_get_host_info(my), mysql_error(my));
}

static void
put_literal(struct ml_buf *out, MYSQL *my, const char *s, size_t len)
{
	ml_buf_putc(out, '\'');
	ml_buf_need(out, len * 2 + 1);
	out->len += mysql_real_escape_string(my, out->data + out->len, s, (unsigned long)len);
	ml_buf_putc(out, '\'');
}

static struct ml_text
keep(struct ml_arena *a, const char *s, unsigned long len)
{
	if (s == NULL)
		return (struct ml_text){ "", 0 };
	return (struct ml_text){ ml_arena_strndup(a, s, len), (uint32_t)len };
}

static int
by_name(const void *x, const void *y)
{
	const struct ml_schema *const *a = x, *const *b = y;

	return strcmp((*a)->table.s, (*b)->table.s);
}

static struct ml_schema *
table_of(struct reading *r, const char *name)
{
	size_t low = 0, high = r->n;

	if (name == NULL)
		return NULL;
	if (r->last < r->n && strcmp(r->t[r->last]->table.s, name) == 0)
		return r->t[r->last];
	while (low < high) {
		size_t mid = (low + high) / 2;
		int c = strcmp(r->t[mid]->table.s, name);

		if (c == 0) {
			r->last = mid;
			return r->t[mid];
		}
		if (c < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

static void
take_names(struct reading *r, MYSQL_RES *res)
{
	const struct ml_filter *filter = r->all->filter;
	MYSQL_ROW row;

	r->t = calloc((size_t)mysql_num_rows(res) + 1, sizeof(*r->t));
	if (r->t == NULL)
		abort();
	while ((row = mysql_fetch_row(res)) != NULL) {
		unsigned long *len = mysql_fetch_lengths(res);
		struct ml_schema *s;
		enum ml_table_kind kind = ML_TABLE_BASE;
		const char *bar;

		if (row[0] == NULL || row[1] == NULL)
			continue;
		if (strcmp(row[1], "VIEW") == 0)
			kind = ML_TABLE_VIEW;
		else if (strcmp(row[1], "SYSTEM VERSIONED") == 0)
			kind = ML_TABLE_VERSIONED;
		else if (strcmp(row[1], "BASE TABLE") != 0)
			continue; /* SEQUENCE, SYSTEM VIEW, TEMPORARY */
		if (filter != NULL && !ml_filter_table(filter, r->db.s, r->db.len, row[0], len[0]))
			continue;
		s = r->t[r->n++] = ml_schema_new();
		s->kind = kind;
		s->db = keep(&s->arena, r->db.s, r->db.len);
		s->table = keep(&s->arena, row[0], len[0]);
		s->collation = keep(&s->arena, row[2], len[2]);
		s->comment = kind == ML_TABLE_VIEW ? keep(&s->arena, NULL, 0) : keep(&s->arena, row[3], len[3]);
		/* A collation's name begins with its charset's. */
		bar = memchr(s->collation.s, '_', s->collation.len);
		s->charset = s->collation.len == 0
				     ? keep(&s->arena, r->charset.s, r->charset.len)
				     : keep(&s->arena, s->collation.s,
					       bar != NULL ? (size_t)(bar - s->collation.s) : s->collation.len);
	}
	qsort(r->t, r->n, sizeof(*r->t), by_name);
}

static bool
has(const char *text, const char *word)
{
	return text != NULL && strcasestr(text, word) != NULL;
}

/* The column's default: MariaDB gives an SQL expression, MySQL the value. */
static void
take_default(struct reading *r, struct ml_column *c, struct ml_arena *a, const char *text, unsigned long len,
	const char *type, const char *extra)
{
	if (text == NULL)
		return;
	/* MySQL writes values of BIT as b'101', those of BINARY and VARBINARY as 0x4142. */
	if (r->all->mariadb || (c->type == ML_T_BIT && len > 1 && (text[0] == 'b' || text[0] == 'B')) ||
		(has(type, "binary(") && len > 2 && text[0] == '0' && text[1] == 'x' &&
			!has(extra, "DEFAULT_GENERATED"))) {
		ml_column_default_sql(c, a, text, len);
		return;
	}
	c->has_default = true;
	if (strncasecmp(text, "CURRENT_TIMESTAMP", 17) == 0 &&
		(c->type == ML_T_TIMESTAMP || c->type == ML_T_DATETIME || has(extra, "DEFAULT_GENERATED"))) {
		c->dflt = keep(a, text, 17);
	} else {
		c->dflt = keep(a, text, len);
		c->default_expr = has(extra, "DEFAULT_GENERATED");
	}
}

enum { C_TABLE, C_NAME, C_DEFAULT, C_NULLABLE, C_CHARSET, C_COLLATION, C_TYPE, C_EXTRA, C_EXPR, C_COMMENT };

static void
fill_column(struct reading *r, struct ml_schema *s, struct ml_column *c, MYSQL_ROW row, const unsigned long *len)
{
	struct ml_arena *a = &s->arena;
	const char *extra = row[C_EXTRA] != NULL ? row[C_EXTRA] : "";

	memset(c, 0, sizeof(*c));
	c->name = keep(a, row[C_NAME], len[C_NAME]);
	if (row[C_TYPE] == NULL || !ml_column_of_type(c, a, row[C_TYPE], len[C_TYPE], r->all->mariadb))
		c->type = ML_T_NULL; /* a type that came after us; the TABLE_MAP knows its binary form */
	if (row[C_NULLABLE] != NULL && strcmp(row[C_NULLABLE], "YES") == 0)
		c->flags |= ML_F_NULLABLE;
	if (row[C_CHARSET] != NULL && c->special == ML_SP_NONE) {
		c->charset = keep(a, row[C_CHARSET], len[C_CHARSET]);
		c->collation = keep(a, row[C_COLLATION], len[C_COLLATION]);
	}
	c->auto_increment = has(extra, "auto_increment");
	c->on_update_now = has(extra, "on update");
	if (row[C_EXPR] != NULL && strcmp(row[C_EXPR], "ROW START") == 0) {
		c->special = ML_SP_ROW_START;
	} else if (row[C_EXPR] != NULL && strcmp(row[C_EXPR], "ROW END") == 0) {
		c->special = ML_SP_ROW_END;
	} else if (has(extra, "VIRTUAL") || has(extra, "STORED GENERATED") || has(extra, "PERSISTENT")) {
		c->flags |= ML_F_GENERATED;
		c->virtual_generated = has(extra, "VIRTUAL");
	}
	c->comment = keep(a, row[C_COMMENT], len[C_COMMENT]);
	if (!(c->flags & ML_F_GENERATED))
		take_default(r, c, a, row[C_DEFAULT], len[C_DEFAULT], row[C_TYPE], extra);
	ml_column_settle(c, a, s->charset, s->collation);
}

static void
take_columns(struct reading *r, MYSQL_RES *res)
{
	MYSQL_ROW row;

	/* First how many columns each table has, so that its array can live in its arena. */
	while ((row = mysql_fetch_row(res)) != NULL) {
		struct ml_schema *s = table_of(r, row[C_TABLE]);

		if (s != NULL)
			s->n_columns++;
	}
	for (size_t i = 0; i < r->n; i++) {
		struct ml_schema *s = r->t[i];

		s->columns = ml_arena_zalloc(&s->arena, (s->n_columns + 1u) * sizeof(*s->columns));
		s->n_columns = 0;
	}
	mysql_data_seek(res, 0);
	while ((row = mysql_fetch_row(res)) != NULL) {
		struct ml_schema *s = table_of(r, row[C_TABLE]);

		if (s != NULL)
			fill_column(r, s, &s->columns[s->n_columns++], row, mysql_fetch_lengths(res));
	}
	r->has_columns = true;
}

enum { I_TABLE, I_INDEX, I_NON_UNIQUE, I_SEQ, I_COLUMN, I_PREFIX, I_NULLABLE, I_TYPE };

static void
fill_index(struct ml_schema *s, struct ml_index *x, MYSQL_ROW row)
{
	int seq = row[I_SEQ] != NULL ? atoi(row[I_SEQ]) : 0, col;

	if (seq == 1)
		x->unique = row[I_NON_UNIQUE] != NULL && row[I_NON_UNIQUE][0] == '0';
	if (row[I_NULLABLE] != NULL && strcmp(row[I_NULLABLE], "YES") == 0)
		x->nullable = true;
	if (row[I_PREFIX] != NULL)
		x->prefix = true;
	col = row[I_COLUMN] != NULL ? ml_schema_column(s, row[I_COLUMN], strlen(row[I_COLUMN])) : -1;
	/* The server appends the end of the row's time to every unique key of a system-versioned table. */
	if (s->kind == ML_TABLE_VERSIONED &&
		(col >= 0 ? s->columns[col].special == ML_SP_ROW_END
			  : row[I_COLUMN] != NULL && strcasecmp(row[I_COLUMN], "row_end") == 0))
		return;
	if (col < 0) {
		x->virtual_column = true; /* an expression */
		return;
	}
	if (s->columns[col].virtual_generated)
		x->virtual_column = true;
	if (row[I_PREFIX] != NULL)
		x->prefixes[x->n_cols] = (uint32_t)strtoul(row[I_PREFIX], NULL, 10);
	x->cols[x->n_cols++] = (uint16_t)col;
}

static void
put_name(struct ml_buf *out, struct ml_text name)
{
	ml_buf_putc(out, '`');
	for (uint32_t i = 0; i < name.len; i++) {
		if (name.s[i] == '`')
			ml_buf_putc(out, '`');
		ml_buf_putc(out, name.s[i]);
	}
	ml_buf_putc(out, '`');
}

/*
 * MySQL keeps STATISTICS as a view over its dictionary, whose rows come as its plan has it.  The primary key stands first, then
 * unique ones, then others; within these only SHOW INDEX knows the order, which decides which unique key comes first.
 */
static bool
is_ordered(struct ml_schema *s)
{
	uint16_t at = 0, groups[3] = { 0 };

	for (int group = 0; group < 3; group++)
		for (uint16_t i = at; i < s->n_indexes; i++) {
			struct ml_index x = s->indexes[i];

			if (group != (x.primary ? 0 : x.unique ? 1 : 2))
				continue;
			s->indexes[i] = s->indexes[at];
			s->indexes[at++] = x;
			groups[group]++;
		}
	return groups[1] <= 1 && groups[2] <= 1;
}

static void
take_order(struct ml_schema *s, MYSQL_RES *res)
{
	MYSQL_ROW row;
	uint16_t at = 0;

	while ((row = mysql_fetch_row(res)) != NULL) {
		if (row[2] == NULL || row[3] == NULL || strcmp(row[3], "1") != 0)
			continue;
		for (uint16_t i = at; i < s->n_indexes; i++)
			if (strcmp(s->indexes[i].name.s, row[2]) == 0) {
				struct ml_index x = s->indexes[i];

				s->indexes[i] = s->indexes[at];
				s->indexes[at++] = x;
				break;
			}
	}
}

static void
take_indexes(struct reading *r, MYSQL_RES *res)
{
	MYSQL_ROW row;

	while ((row = mysql_fetch_row(res)) != NULL) {
		struct ml_schema *s = table_of(r, row[I_TABLE]);

		if (s != NULL && row[I_SEQ] != NULL && strcmp(row[I_SEQ], "1") == 0)
			s->n_indexes++;
	}
	for (size_t i = 0; i < r->n; i++) {
		struct ml_schema *s = r->t[i];

		s->indexes = ml_arena_zalloc(&s->arena, (s->n_indexes + 1u) * sizeof(*s->indexes));
		s->n_indexes = 0;
	}
	mysql_data_seek(res, 0);
	while ((row = mysql_fetch_row(res)) != NULL) {
		struct ml_schema *s = table_of(r, row[I_TABLE]);
		struct ml_index *x = NULL;

		if (s == NULL || row[I_INDEX] == NULL)
			continue;
		for (int i = s->n_indexes; x == NULL && i-- > 0;)
			if (strcmp(s->indexes[i].name.s, row[I_INDEX]) == 0)
				x = &s->indexes[i];
		if (x == NULL) {
			if (row[I_SEQ] == NULL || strcmp(row[I_SEQ], "1") != 0)
				continue;
			x = &s->indexes[s->n_indexes++];
			x->name = keep(&s->arena, row[I_INDEX], strlen(row[I_INDEX]));
			x->primary = strcmp(row[I_INDEX], "PRIMARY") == 0;
			/* At most as many parts as the table has columns. */
			x->cols = ml_arena_alloc(&s->arena, (s->n_columns + 1u) * sizeof(*x->cols));
			x->prefixes = ml_arena_zalloc(&s->arena, (s->n_columns + 1u) * sizeof(*x->prefixes));
		}
		if (x->n_cols < s->n_columns)
			fill_index(s, x, row);
	}
	if (r->all->mariadb)
		return;
	for (size_t i = r->n; i-- > 0;)
		if (!is_ordered(r->t[i]))
			ml_lanes_add(&r->all->lanes, (struct ml_question){ r, Q_ORDER, (uint32_t)i });
}

static bool
may_be_json(const struct reading *r)
{
	for (size_t i = 0; i < r->n; i++)
		for (int k = 0; k < r->t[i]->n_columns; k++)
			if (r->t[i]->columns[k].type == ML_T_LONGBLOB)
				return true;
	return false;
}

/* MariaDB's JSON columns. */
static void
take_checks(struct reading *r, MYSQL_RES *res)
{
	MYSQL_ROW row;

	while ((row = mysql_fetch_row(res)) != NULL) {
		struct ml_schema *s = table_of(r, row[0]);
		int col = s != NULL && row[1] != NULL ? ml_schema_column(s, row[1], strlen(row[1])) : -1;

		if (col < 0 || s->columns[col].type != ML_T_LONGBLOB)
			continue;
		s->columns[col].json_text = true;
		if (r->all->json_as_json) {
			s->columns[col].type = ML_T_JSON;
			ml_column_settle(&s->columns[col], &s->arena, s->charset, s->collation);
		}
	}
}

static bool
has_views(const struct reading *r)
{
	for (size_t i = 0; i < r->n; i++)
		if (r->t[i]->kind == ML_TABLE_VIEW)
			return true;
	return false;
}

/* A view has the collation of the connection that made it; its name begins with its charset's. */
static void
take_views(struct reading *r, MYSQL_RES *res)
{
	MYSQL_ROW row;

	while ((row = mysql_fetch_row(res)) != NULL) {
		struct ml_schema *s = table_of(r, row[0]);

		if (s == NULL || row[1] == NULL)
			continue;
		s->collation = keep(&s->arena, row[1], strlen(row[1]));
		s->charset = keep(&s->arena, row[1], strcspn(row[1], "_"));
	}
}

/* ---- questions ---- */

static void
put_predicate(struct ml_buf *sql, MYSQL *my, const struct reading *r, const char *column)
{
	ml_buf_puts(sql, column);
	ml_buf_puts(sql, " = ");
	put_literal(sql, my, r->db.s, r->db.len);
	if (r->all->table != NULL) {
		ml_buf_puts(sql, " AND TABLE_NAME = ");
		put_literal(sql, my, r->all->table, strlen(r->all->table));
	}
}

static void
ask(void *arg, const struct ml_question *q, MYSQL *my, struct ml_buf *sql)
{
	const struct reader *all = arg;
	const struct reading *r = q->about;

	switch (q->kind) {
	case Q_NAMES:
		ml_buf_puts(sql,
			"SELECT TABLE_NAME, TABLE_TYPE, TABLE_COLLATION, TABLE_COMMENT FROM information_schema.TABLES "
			"WHERE ");
		put_predicate(sql, my, r, "TABLE_SCHEMA");
		break;
	case Q_COLUMNS:
		ml_buf_puts(sql, "SELECT TABLE_NAME, COLUMN_NAME, COLUMN_DEFAULT, IS_NULLABLE, CHARACTER_SET_NAME, "
				 "COLLATION_NAME, COLUMN_TYPE, EXTRA, GENERATION_EXPRESSION, COLUMN_COMMENT "
				 "FROM information_schema.COLUMNS WHERE ");
		put_predicate(sql, my, r, "TABLE_SCHEMA");
		/* MariaDB opens table after table, and tells of each column after column. */
		if (!all->mariadb)
			ml_buf_puts(sql, " ORDER BY TABLE_NAME, ORDINAL_POSITION");
		break;
	case Q_INDEXES:
		ml_buf_puts(sql,
			"SELECT TABLE_NAME, INDEX_NAME, NON_UNIQUE, SEQ_IN_INDEX, COLUMN_NAME, SUB_PART, NULLABLE "
			"FROM information_schema.STATISTICS WHERE ");
		put_predicate(sql, my, r, "TABLE_SCHEMA");
		/*
		 * MariaDB gives indexes in their own order, which is that of their ids but for unique ones standing in front.
		 * The rows of one index come by SEQ_IN_INDEX.
		 */
		if (!all->mariadb)
			ml_buf_puts(sql, " ORDER BY TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX");
		break;
	case Q_VIEWS:
		ml_buf_puts(sql, "SELECT TABLE_NAME, COLLATION_CONNECTION FROM information_schema.VIEWS WHERE ");
		put_predicate(sql, my, r, "TABLE_SCHEMA");
		break;
	case Q_CHECKS:
		ml_buf_puts(sql, "SELECT TABLE_NAME, CONSTRAINT_NAME FROM information_schema.CHECK_CONSTRAINTS "
				 "WHERE LEVEL = 'Column' AND CHECK_CLAUSE LIKE 'json\\_valid(%' AND ");
		put_predicate(sql, my, r, "CONSTRAINT_SCHEMA");
		break;
	case Q_ORDER:
		ml_buf_puts(sql, "SHOW INDEX FROM ");
		put_name(sql, r->t[q->n]->table);
		ml_buf_puts(sql, " FROM ");
		put_name(sql, r->db);
		break;
	}
}

/* True if the server's refusal is one that this question may meet. */
static bool
may_refuse(int kind, unsigned code)
{
	/* Servers without that table (MariaDB before 10.2) have no JSON columns. */
	if (kind == Q_CHECKS)
		return code == ER_UNKNOWN_TABLE || code == ER_BAD_FIELD_ERROR;
	/* Dropped meanwhile: the log will say so. */
	return kind == Q_ORDER && (code == ER_NO_SUCH_TABLE || code == ER_BAD_DB_ERROR);
}

static int
answer(void *arg, const struct ml_question *q, MYSQL *my, MYSQL_RES *res, struct ml_err *err)
{
	struct reader *all = arg;
	struct reading *r = q->about;

	if (res == NULL && may_refuse(q->kind, mysql_errno(my)))
		return 0;
	if (res == NULL)
		return ML_ERR(err, ErrMySQLQueryError, (int)mysql_errno(my), mysql_get_host_info(my), mysql_error(my));
	switch (q->kind) {
	case Q_NAMES:
		take_names(r, res);
		if (r->n == 0)
			break;
		ml_lanes_add(&all->lanes, (struct ml_question){ r, Q_INDEXES, 0 });
		ml_lanes_add(&all->lanes, (struct ml_question){ r, Q_COLUMNS, 0 });
		if (has_views(r))
			ml_lanes_add(&all->lanes, (struct ml_question){ r, Q_VIEWS, 0 });
		all->n_tables += r->n;
		if (all->conn != NULL && all->n_tables >= WIDEN_TABLES)
			ml_lanes_widen(&all->lanes, all->conn, all->target);
		break;
	case Q_COLUMNS:
		take_columns(r, res);
		if (r->indexes != NULL)
			take_indexes(r, r->indexes);
		if (all->mariadb && may_be_json(r))
			ml_lanes_add(&all->lanes, (struct ml_question){ r, Q_CHECKS, 0 });
		break;
	case Q_INDEXES:
		if (!r->has_columns) {
			r->indexes = res;
			return 0;
		}
		take_indexes(r, res);
		break;
	case Q_VIEWS:
		take_views(r, res);
		break;
	case Q_CHECKS:
		take_checks(r, res);
		break;
	case Q_ORDER:
		take_order(r->t[q->n], res);
		break;
	}
	mysql_free_result(res);
	return 0;
}

static const struct ml_lanes_ops lanes_ops = { .ask = ask, .answer = answer };

static void
reader_init(struct reader *all, MYSQL *my, const struct ml_filter *filter, bool json_as_json)
{
	*all = (struct reader){ .mariadb = mariadb_connection(my), .json_as_json = json_as_json, .filter = filter };
	ml_lanes_init(&all->lanes, &lanes_ops, all, my);
}

/* Names that must outlive the reader. */
static void
add_db(struct reader *all, struct ml_text db, struct ml_text charset)
{
	if (all->n == all->cap) {
		all->cap = all->cap == 0 ? 16 : all->cap * 2;
		all->v = realloc(all->v, all->cap * sizeof(*all->v));
		if (all->v == NULL)
			abort();
	}
	all->v[all->n++] = (struct reading){ .all = all, .db = db, .charset = charset };
}

static void
reader_fini(struct reader *all)
{
	ml_lanes_fini(&all->lanes);
	for (size_t i = 0; i < all->n; i++) {
		struct reading *r = &all->v[i];

		for (size_t k = 0; k < r->n; k++)
			ml_schema_unref(r->t[k]);
		free(r->t);
		mysql_free_result(r->indexes);
	}
	free(all->v);
}

/* Definitions of all tables of the schemas that were added, by schema and name. */
static int
read_all(struct reader *all, struct ml_schema_list *out, struct ml_err *err)
{
	/* The newest question is asked first. */
	for (size_t i = all->n; i-- > 0;)
		ml_lanes_add(&all->lanes, (struct ml_question){ &all->v[i], Q_NAMES, 0 });
	if (ml_lanes_run(&all->lanes, err) != 0)
		return -1;
	for (size_t i = 0; i < all->n; i++)
		for (size_t k = 0; k < all->v[i].n; k++) {
			ml_schema_finish(all->v[i].t[k]);
			list_append_schema(out, ml_schema_ref(all->v[i].t[k]));
		}
	return 0;
}

int
ml_schema_read_tables(struct ml_my_conn *conn, const struct ml_my_target *target, const struct ml_filter *filter,
	struct ml_schema_list *out, struct ml_err *err)
{
	static const char sql[] = "SELECT SCHEMA_NAME, DEFAULT_CHARACTER_SET_NAME FROM information_schema.SCHEMATA";
	struct ml_schema_list list = { 0 };
	struct reader all;
	MYSQL_RES *res;
	MYSQL_ROW row;
	int rc;

	if (query(conn->my, sql, sizeof(sql) - 1, &res, err) != 0)
		return -1;
	reader_init(&all, conn->my, filter, target->json_as_json);
	all.conn = conn;
	all.target = target;
	while ((row = mysql_fetch_row(res)) != NULL) {
		unsigned long *len = mysql_fetch_lengths(res);
		struct ml_text db = { row[0], (uint32_t)len[0] },
			       charset = { row[1] != NULL ? row[1] : "", (uint32_t)len[1] };

		if (row[0] != NULL && !ml_filter_system_db(db.s, db.len) &&
			(filter == NULL || ml_filter_db(filter, db.s, db.len)))
			add_db(&all, db, charset);
	}
	rc = read_all(&all, &list, err);
	reader_fini(&all);
	mysql_free_result(res);
	if (rc == 0)
		*out = list;
	return rc;
}

int
ml_schema_read_table(
	MYSQL *my, const char *db, const char *table, bool json_as_json, struct ml_schema **out, struct ml_err *err)
{
	struct ml_schema_list list = { 0 };
	struct reader all;
	int rc;

	reader_init(&all, my, NULL, json_as_json);
	all.table = table;
	add_db(&all, (struct ml_text){ db, (uint32_t)strlen(db) }, (struct ml_text){ "", 0 });
	rc = read_all(&all, &list, err);
	reader_fini(&all);
	if (rc != 0)
		return -1;
	*out = NULL;
	for (size_t i = 0; i < list.n; i++)
		if (*out == NULL && strcmp(list.v[i]->table.s, table) == 0)
			*out = ml_schema_ref(list.v[i]);
	ml_schema_list_fini(&list);
	return 0;
}

int
ml_schema_read_dbs(MYSQL *my,
	void (*db)(void *arg, struct ml_text name, struct ml_text charset, struct ml_text collation), void *arg,
	char *server_charset, char *server_collation, struct ml_err *err)
{
	static const char dbs[] = "SELECT SCHEMA_NAME, DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME "
				  "FROM information_schema.SCHEMATA";
	static const char server[] = "SELECT @@character_set_server, @@collation_server";
	MYSQL_RES *res;
	MYSQL_ROW row;

	if (query(my, server, sizeof(server) - 1, &res, err) != 0)
		return -1;
	row = mysql_fetch_row(res);
	snprintf(server_charset, 65, "%s", row != NULL && row[0] != NULL ? row[0] : "");
	snprintf(server_collation, 65, "%s", row != NULL && row[1] != NULL ? row[1] : "");
	mysql_free_result(res);
	if (query(my, dbs, sizeof(dbs) - 1, &res, err) != 0)
		return -1;
	while ((row = mysql_fetch_row(res)) != NULL) {
		unsigned long *len = mysql_fetch_lengths(res);

		if (row[0] != NULL && row[1] != NULL && row[2] != NULL && !ml_filter_system_db(row[0], len[0]))
			db(arg, (struct ml_text){ row[0], (uint32_t)len[0] },
				(struct ml_text){ row[1], (uint32_t)len[1] },
				(struct ml_text){ row[2], (uint32_t)len[2] });
	}
	mysql_free_result(res);
	return 0;
}
