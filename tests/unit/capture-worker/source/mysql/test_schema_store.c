/* The store: what DDL sends, ids over restarts, the filter's rules, TABLE_MAPs joined with what is known. */
#include "capture-worker/source/mysql/schema_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "capture-worker/filter/filter.h"
#include "capture-worker/mounter/tablemap.h"

struct fix {
	struct ml_schema_store *st;
	struct ml_filter *filter;
	struct ml_err err;
	char sent[4096]; /* of the last run(): "action db.table#id" each, with "old>" in front */
	char dir[64];
	bool force, every;
	uint16_t db_collation;                                              /* as the event tells it; 0: it does not */
	int (*take)(void *arg, const struct ml_ddl *d, struct ml_err *err); /* NULL: take() */
};

static void
open_store(struct fix *f, ml_ts checkpoint)
{
	struct ml_schema_store_env env = {
		.object = "t",
		.state_dir = f->dir[0] != '\0' ? f->dir : NULL,
		.filter = f->filter,
		.checkpoint_ts = checkpoint,
		.force_replicate = f->force,
		.every_ddl = f->every,
		.mariadb = true,
	};

	assert_int_equal(ml_schema_store_open(&f->st, &env, &f->err), 0);
}

static void
with_filter(struct fix *f, const char *rule, const char *rule2)
{
	char *rules[2] = { (char *)(uintptr_t)rule, (char *)(uintptr_t)rule2 };
	Ml__ChangefeedSpec spec = ML__CHANGEFEED_SPEC__INIT;

	spec.filter_rules = rules;
	spec.n_filter_rules = rule2 != NULL ? 2 : 1;
	assert_int_equal(ml_filter_new(&f->filter, &spec, &f->err), 0);
}

static void
close_all(struct fix *f)
{
	char path[128];

	ml_schema_store_close(f->st);
	ml_filter_free(f->filter);
	if (f->dir[0] != '\0') {
		snprintf(path, sizeof(path), "%s/schema.log", f->dir);
		unlink(path);
		rmdir(f->dir);
	}
}

static int
take(void *arg, const struct ml_ddl *d, struct ml_err *err)
{
	struct fix *f = arg;
	size_t n = strlen(f->sent);

	(void)err;
	n += (size_t)snprintf(f->sent + n, sizeof(f->sent) - n, "%s%d ", n > 0 ? ", " : "", d->action);
	if (d->pre_table.len > 0)
		n += (size_t)snprintf(f->sent + n, sizeof(f->sent) - n, "%s.%s>", d->pre_db.s, d->pre_table.s);
	n += (size_t)snprintf(f->sent + n, sizeof(f->sent) - n, "%s.%s", d->db.s, d->table.s);
	if (d->schema != NULL)
		snprintf(f->sent + n, sizeof(f->sent) - n, "#%lld", (long long)d->schema->table_id);
	return 0;
}

static int
run(struct fix *f, ml_ts ts, const char *sql)
{
	struct ml_ddl_env env = {
		.mariadb = true, .default_db = "d", .default_db_len = 1, .db_collation = f->db_collation
	};
	struct ml_arena a;
	struct ml_ddl_stmt stmt;
	int rc;

	ml_arena_init(&a, 0);
	ml_ddl_classify(&env, sql, strlen(sql), &a, &stmt);
	f->sent[0] = '\0';
	rc = ml_schema_store_apply(f->st, &stmt, ts, ts - 1, f->take != NULL ? f->take : take, f, &f->err);
	ml_arena_fini(&a);
	return rc;
}

static struct ml_schema *
get(struct fix *f, const char *table)
{
	return ml_schema_store_get(f->st, "d", 1, table, strlen(table));
}

static void
what_rows_do_not_show_is_sent_to_those_who_ask(void **state)
{
	static const char *const unseen[] = { "ALTER TABLE t ENGINE=InnoDB",
		"ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0)", "ALTER TABLE t ROW_FORMAT=DYNAMIC" };
	(void)state;
	for (int every = 0; every < 2; every++) {
		struct fix f = { .every = every };

		with_filter(&f, "d.t", NULL);
		open_store(&f, 0);
		assert_int_equal(run(&f, 10, "CREATE TABLE t (a INT PRIMARY KEY)"), 0);
		for (size_t i = 0; i < sizeof(unseen) / sizeof(unseen[0]); i++) {
			assert_int_equal(run(&f, 20 + i, unseen[i]), 0);
			assert_memory_equal(f.sent, every ? "127 d.t#" : "", every ? 8 : 1);
		}
		assert_int_equal(run(&f, 30, "ALTER TABLE other ENGINE=InnoDB"), 0);
		assert_string_equal(f.sent, "");
		assert_int_equal(run(&f, 40, "OPTIMIZE TABLE t"), 0);
		assert_string_equal(f.sent, "");
		close_all(&f);
	}
}

static void
ddl_is_sent_with_ids_and_names(void **state)
{
	static const char *const rows[][2] = {
		{ "CREATE DATABASE d CHARSET latin1", "1 d." },
		{ "CREATE DATABASE IF NOT EXISTS d", "" },
		{ "CREATE TABLE a (x int primary key, y varchar(5))", "3 d.a#100" },
		{ "CREATE TABLE IF NOT EXISTS a (z int)", "" },
		{ "CREATE TABLE b LIKE a", "3 d.b#101" },
		{ "ALTER TABLE a ADD c int", "5 d.a#100" },
		{ "ALTER TABLE a ENGINE=InnoDB", "" },
		{ "RENAME TABLE a TO tmp, b TO a, tmp TO b", "14 d.a>d.tmp#100, 14 d.b>d.a#101, 14 d.tmp>d.b#100" },
		{ "TRUNCATE b", "11 d.b#102" },
		{ "ALTER TABLE b RENAME c, ADD e int", "61 d.b>d.c#102" },
		{ "CREATE OR REPLACE TABLE c (q int primary key)", "3 d.c#103" },
		{ "ALTER TABLE c EXCHANGE PARTITION p WITH TABLE a", "42 d.a>d.c#103" },
		{ "CREATE VIEW v AS SELECT 1", "21 d.v#104" },
		{ "DROP VIEW v", "24 d.v#104" },
		{ "DROP TABLE IF EXISTS a, nothere, c", "4 d.a#101, 4 d.c#103" },
		{ "FROBNICATE TABLE a", "" },
		{ "ALTER TABLE nothere ADD x int", "" },
		{ "RENAME TABLE nothere TO nothere2", "" },
		{ "TRUNCATE nothere", "" },
		{ "DROP DATABASE d", "2 d." },
		{ "DROP DATABASE IF EXISTS d", "" },
	};
	struct fix f = { .force = false };

	(void)state;
	open_store(&f, 0);
	ml_schema_store_at_head(f.st);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(run(&f, 1000 + i * 10, rows[i][0]), 0);
		assert_string_equal(f.sent, rows[i][1]);
	}
	close_all(&f);
}

static int
take_columns(void *arg, const struct ml_ddl *d, struct ml_err *err)
{
	struct fix *f = arg;
	size_t n = strlen(f->sent);

	(void)err;
	n += (size_t)snprintf(f->sent + n, sizeof(f->sent) - n, "%s%d ", n > 0 ? ", " : "", d->action);
	if (d->pre_schema != NULL)
		n += (size_t)snprintf(
			f->sent + n, sizeof(f->sent) - n, "%s(%d)", d->pre_schema->qname.s, d->pre_schema->n_columns);
	snprintf(f->sent + n, sizeof(f->sent) - n, ">");
	if (d->schema != NULL)
		snprintf(f->sent + n + 1, sizeof(f->sent) - n - 1, "%s(%d)", d->schema->qname.s, d->schema->n_columns);
	return 0;
}

/* maxwell and simple tell the definition before a DDL too. */
static void
ddl_tells_the_definition_before_it(void **state)
{
	static const char *const rows[][2] = {
		{ "CREATE DATABASE d", "1 >" },
		{ "CREATE TABLE a (x int primary key, y varchar(5))", "3 >d.a(2)" },
		{ "CREATE TABLE b LIKE a", "3 >d.b(2)" },
		{ "ALTER TABLE a ADD c int, ADD e int", "61 d.a(2)>d.a(4)" },
		{ "TRUNCATE a", "11 d.a(4)>d.a(4)" },
		{ "RENAME TABLE a TO tmp, b TO a", "14 d.a(4)>d.tmp(4), 14 d.b(2)>d.a(2)" },
		{ "ALTER TABLE tmp EXCHANGE PARTITION p WITH TABLE a", "42 d.a(2)>d.tmp(4)" },
		{ "CREATE VIEW v AS SELECT 1", "21 >d.v(0)" },
		{ "DROP VIEW v", "24 d.v(0)>d.v(0)" },
		{ "DROP TABLE a", "4 d.a(2)>d.a(2)" },
	};
	struct fix f = { .force = false };

	(void)state;
	open_store(&f, 0);
	ml_schema_store_at_head(f.st);
	f.take = take_columns;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(run(&f, 1000 + i * 10, rows[i][0]), 0);
		assert_string_equal(f.sent, rows[i][1]);
	}
	close_all(&f);
}

static void
definitions_take_the_databases_charset(void **state)
{
	struct fix f = { 0 };

	(void)state;
	open_store(&f, 0);
	run(&f, 10, "CREATE DATABASE d CHARSET latin1");
	run(&f, 20, "CREATE TABLE a (x int primary key, y varchar(5))");
	assert_string_equal(get(&f, "a")->columns[1].collation.s, "latin1_swedish_ci");
	run(&f, 30, "ALTER DATABASE d COLLATE utf8mb4_bin");
	run(&f, 40, "CREATE TABLE b (x int primary key, y varchar(5))");
	assert_string_equal(get(&f, "b")->columns[1].charset.s, "utf8mb4");
	assert_string_equal(get(&f, "b")->columns[1].collation.s, "utf8mb4_bin");
	assert_int_equal(get(&f, "b")->version, 40);
	f.db_collation = 28; /* gbk, changed unseen */
	run(&f, 50, "CREATE TABLE c (x int primary key, y varchar(5))");
	assert_string_equal(get(&f, "c")->columns[1].collation.s, "gbk_chinese_ci");
	close_all(&f);
}

static void
ineligible_tables_are_quiet(void **state)
{
	struct fix f = { .force = false };

	(void)state;
	open_store(&f, 0);
	ml_schema_store_at_head(f.st);
	assert_int_equal(run(&f, 10, "CREATE TABLE a (x int)"), 0);
	assert_string_equal(f.sent, "");
	assert_int_equal(run(&f, 20, "ALTER TABLE a ADD y int"), 0);
	assert_string_equal(f.sent, "");
	assert_int_equal(run(&f, 30, "ALTER TABLE a ADD PRIMARY KEY (x)"), 0);
	assert_string_equal(f.sent, "32 d.a#100");
	assert_int_equal(run(&f, 40, "ALTER TABLE a DROP PRIMARY KEY"), -1);
	assert_non_null(strstr(f.err.text, "force-replicate"));
	close_all(&f);

	f = (struct fix){ .force = true };
	open_store(&f, 0);
	assert_int_equal(run(&f, 10, "CREATE TABLE a (x int)"), 0);
	assert_string_equal(f.sent, "3 d.a#100");
	close_all(&f);
}

static void
renames_over_the_filters_border(void **state)
{
	struct fix f = { .force = true };

	(void)state;
	with_filter(&f, "d.in*", NULL);
	open_store(&f, 0);
	run(&f, 10, "CREATE TABLE in1 (x int primary key)");
	run(&f, 20, "CREATE TABLE out1 (x int primary key)");
	assert_string_equal(f.sent, "");
	assert_null(get(&f, "out1"));
	run(&f, 30, "RENAME TABLE in1 TO in2");
	assert_string_equal(f.sent, "14 d.in1>d.in2#100");
	run(&f, 40, "RENAME TABLE out1 TO out2");
	assert_string_equal(f.sent, "");
	run(&f, 50, "RENAME TABLE in2 TO out3");
	assert_string_equal(f.sent, "14 d.in2>d.out3#100");
	assert_null(get(&f, "in2"));
	assert_null(get(&f, "out3"));
	assert_int_equal(run(&f, 60, "RENAME TABLE out3 TO in3"), -1);
	assert_int_equal(f.err.code, ML_ErrSyncRenameTableFailed);
	f.err = (struct ml_err){ 0 };
	run(&f, 70, "CREATE TABLE in5 (x int primary key)");
	assert_int_equal(run(&f, 80, "ALTER TABLE in5 EXCHANGE PARTITION p WITH TABLE out2"), -1);
	assert_int_equal(f.err.code, ML_ErrHandleDDLFailed);
	run(&f, 90, "DROP TABLE out2");
	assert_string_equal(f.sent, "");
	close_all(&f);
}

static void
make_dir(struct fix *f)
{
	strcpy(f->dir, "/tmp/ml_schema_XXXXXX");
	assert_non_null(mkdtemp(f->dir));
}

static void
a_restart_gives_the_same_ids_again(void **state)
{
	struct fix f = { .force = true };

	(void)state;
	make_dir(&f);
	open_store(&f, 0);
	run(&f, 10,
		"CREATE TABLE a (x int primary key, e enum('p','q') default 'q' comment 'c', "
		"t timestamp default now() on update now(), y varchar(9) default (uuid()), unique u (e, y(3)))");
	run(&f, 20, "CREATE TABLE b (x int primary key)");
	run(&f, 30, "TRUNCATE a");
	run(&f, 40, "ALTER TABLE b ADD y int");
	run(&f, 50, "CREATE TABLE gone (x int primary key)");
	run(&f, 60, "DROP TABLE gone");
	run(&f, 70, "CREATE TABLE c (x int primary key)");
	assert_string_equal(f.sent, "3 d.c#104");
	ml_schema_store_close(f.st);

	/* The checkpoint is 20: b has one column, a its first id; what comes again comes as before. */
	open_store(&f, 20);
	assert_int_equal(get(&f, "a")->table_id, 100);
	assert_int_equal(get(&f, "a")->version, 10);
	assert_string_equal(get(&f, "a")->columns[1].type_full.s, "enum('p','q')");
	assert_string_equal(get(&f, "a")->columns[1].dflt.s, "q");
	assert_string_equal(get(&f, "a")->columns[1].comment.s, "c");
	for (int i = 0; i < 4; i++) {
		assert_int_equal(get(&f, "a")->columns[i].on_update_now, i == 2);
		assert_int_equal(get(&f, "a")->columns[i].default_expr, i == 3);
	}
	assert_int_equal(get(&f, "a")->n_indexes, 2);
	assert_true(get(&f, "a")->indexes[1].prefix);
	assert_int_equal(get(&f, "a")->indexes[1].prefixes[0], 0);
	assert_int_equal(get(&f, "a")->indexes[1].prefixes[1], 3);
	assert_int_equal(get(&f, "b")->n_columns, 1);
	assert_null(get(&f, "c"));
	run(&f, 30, "TRUNCATE a");
	assert_string_equal(f.sent, "11 d.a#102");
	run(&f, 40, "ALTER TABLE b ADD y int");
	run(&f, 50, "CREATE TABLE gone (x int primary key)");
	assert_string_equal(f.sent, "3 d.gone#103");
	run(&f, 60, "DROP TABLE gone");
	run(&f, 70, "CREATE TABLE c (x int primary key)");
	assert_string_equal(f.sent, "3 d.c#104");
	ml_schema_store_close(f.st);

	open_store(&f, 65);
	assert_int_equal(get(&f, "b")->n_columns, 2);
	assert_null(get(&f, "gone"));
	run(&f, 70, "CREATE TABLE c (x int primary key)");
	run(&f, 80, "CREATE TABLE d (x int primary key)");
	assert_string_equal(f.sent, "3 d.d#105");
	close_all(&f);
}

/* Whole content of the file, malloc'ed. */
static char *
slurp(const char *path, size_t *len)
{
	FILE *fp = fopen(path, "r");
	char *data = malloc(1 << 20);

	assert_non_null(fp);
	assert_non_null(data);
	*len = fread(data, 1, 1 << 20, fp);
	fclose(fp);
	return data;
}

static void
spill(const char *path, const char *data, size_t len)
{
	FILE *fp = fopen(path, "w");

	assert_non_null(fp);
	assert_int_equal(fwrite(data, 1, len, fp), len);
	fclose(fp);
}

static void
a_damaged_file_is_read_as_far_as_it_is_whole(void **state)
{
	struct fix f = { .force = true };
	char path[128], *data;
	struct stat one;
	size_t len;

	(void)state;
	make_dir(&f);
	snprintf(path, sizeof(path), "%s/schema.log", f.dir);
	open_store(&f, 0);
	run(&f, 10, "CREATE TABLE a (x int primary key)");
	assert_int_equal(stat(path, &one), 0);
	run(&f, 20, "CREATE TABLE b (x int primary key)");
	ml_schema_store_close(f.st);
	data = slurp(path, &len);
	assert_true(len > (size_t)one.st_size);
	/* Cut anywhere: what was whole is there, the rest is not. */
	for (size_t cut = 0; cut < len; cut += 3) {
		spill(path, data, cut);
		open_store(&f, 100);
		assert_int_equal(get(&f, "a") != NULL, cut >= (size_t)one.st_size);
		assert_null(get(&f, "b"));
		ml_schema_store_close(f.st);
	}
	/* Changed anywhere behind the first record of a table. */
	for (size_t at = (size_t)one.st_size; at < len; at += 3) {
		data[at] ^= 0x10;
		spill(path, data, len);
		data[at] ^= 0x10;
		open_store(&f, 100);
		assert_non_null(get(&f, "a"));
		assert_null(get(&f, "b"));
		ml_schema_store_close(f.st);
	}
	free(data);
	f.st = NULL;
	close_all(&f);
}

/* TABLE_MAP with FULL metadata of d.t (a int unsigned not null, b varchar(20) utf8mb4, c enum('x','y')), primary key a. */
struct map {
	struct ml_tablemap tm;
	struct ml_tm_column cols[4];
	struct ml_text elems[2];
	uint16_t pk[2];
};

static struct ml_text
lit(const char *s)
{
	return (struct ml_text){ s, (uint32_t)strlen(s) };
}

static void
full_map(struct map *m)
{
	*m = (struct map){ 0 };
	m->elems[0] = lit("x");
	m->elems[1] = lit("y");
	m->cols[0] = (struct ml_tm_column){
		.code = ML_BT_LONG, .real = ML_BT_LONG, .is_unsigned = true, .name = lit("a"), .pk_part = 1
	};
	m->cols[1] = (struct ml_tm_column){ .code = ML_BT_VARCHAR,
		.real = ML_BT_VARCHAR,
		.length = 80,
		.collation = 45,
		.nullable = true,
		.name = lit("b"),
		.prefix = 1 };
	m->cols[2] = (struct ml_tm_column){ .code = ML_BT_STRING,
		.real = ML_BT_ENUM,
		.collation = 45,
		.nullable = true,
		.name = lit("c"),
		.elems = m->elems,
		.n_elems = 2,
		.prefix = 1 };
	m->tm = (struct ml_tablemap){ .table_id = 7,
		.n_columns = 3,
		.columns = m->cols,
		.db = lit("d"),
		.table = lit("t"),
		.has_signedness = true,
		.has_charsets = true,
		.has_names = true,
		.has_pk = true,
		.n_pk = 1,
		.pk = m->pk };
}

static void
a_table_map_that_fits_takes_the_tracked_definition(void **state)
{
	struct fix f = { .force = true };
	struct ml_schema *s = NULL;
	struct map m;

	(void)state;
	open_store(&f, 0);
	run(&f, 10,
		"CREATE TABLE t (a int unsigned primary key, b varchar(20) default 'q', c enum('x','y')) charset utf8mb4");
	full_map(&m);
	assert_int_equal(ml_schema_store_resolve(f.st, &m.tm, 20, &s, &f.err), ML_RESOLVE_OK);
	assert_ptr_equal(s, get(&f, "t"));
	assert_int_equal(s->version, 10);
	ml_schema_unref(s);
	assert_int_equal(ml_schema_store_stale(f.st), 0);
	/* The same without column names: by position. */
	m.tm.has_names = m.tm.has_pk = false;
	m.cols[2].elems = NULL;
	assert_int_equal(ml_schema_store_resolve(f.st, &m.tm, 20, &s, &f.err), ML_RESOLVE_OK);
	assert_ptr_equal(s, get(&f, "t"));
	ml_schema_unref(s);
	close_all(&f);
}

static void
the_log_wins_where_it_tells_more(void **state)
{
	struct fix f = { .force = true };
	struct ml_schema *s = NULL;
	struct map m;

	(void)state;
	open_store(&f, 0);
	/* b and c stand the other way round, b is longer, d is not there any more. */
	run(&f, 10,
		"CREATE TABLE t (a int unsigned primary key comment 'key', c enum('x','y') default 'y', b varchar(30) default 'q', d int, "
		"unique u (c), unique v (b)) charset utf8mb4");
	full_map(&m);
	assert_int_equal(ml_schema_store_resolve(f.st, &m.tm, 20, &s, &f.err), ML_RESOLVE_OK);
	assert_int_equal(s->n_columns, 3);
	assert_int_equal(s->table_id, 100);
	assert_int_equal(s->version, 20);
	assert_string_equal(s->columns[0].comment.s, "key");
	assert_string_equal(s->columns[1].type_full.s, "varchar(20)");
	assert_false(s->columns[1].has_default); /* not that column's */
	assert_string_equal(s->columns[2].dflt.s, "y");
	assert_int_equal(s->n_indexes, 2); /* v is gone with the column it was on */
	assert_string_equal(s->indexes[1].name.s, "u");
	assert_string_equal(s->handle->name.s, "PRIMARY");
	assert_int_equal(ml_schema_store_stale(f.st), 1);
	assert_ptr_equal(s, get(&f, "t"));
	ml_schema_unref(s);
	close_all(&f);
}

static void
an_unknown_table_is_made_from_the_log_alone(void **state)
{
	struct fix f = { .force = true };
	struct ml_schema *s = NULL;
	struct map m;

	(void)state;
	open_store(&f, 0);
	full_map(&m);
	assert_int_equal(ml_schema_store_resolve(f.st, &m.tm, 20, &s, &f.err), ML_RESOLVE_OK);
	assert_int_equal(s->table_id, 100);
	assert_string_equal(s->columns[0].type_full.s, "int(10) unsigned");
	assert_string_equal(s->columns[1].type_full.s, "varchar(20)");
	assert_string_equal(s->columns[2].type_full.s, "enum('x','y')");
	assert_int_equal(s->columns[0].flags, ML_F_BINARY | ML_F_HANDLE_KEY | ML_F_PRIMARY_KEY | ML_F_UNSIGNED);
	assert_int_equal(ml_schema_store_stale(f.st), 1);
	ml_schema_unref(s);
	close_all(&f);
}

static void
without_names_nothing_is_guessed(void **state)
{
	static const char *const bad[] = {
		"CREATE TABLE t (a int unsigned primary key, b varchar(20)) charset utf8mb4",
		"CREATE TABLE t (a int primary key, b varchar(20), c enum('x','y')) charset utf8mb4",
		"CREATE TABLE t (a bigint unsigned primary key, b varchar(20), c enum('x','y')) charset utf8mb4",
		"CREATE TABLE t (a int unsigned primary key, b varchar(21), c enum('x','y')) charset utf8mb4",
		"CREATE TABLE t (a int unsigned primary key, b varchar(20) not null, c enum('x','y')) charset utf8mb4",
		"CREATE TABLE t (a int unsigned primary key, b varchar(20), c set('x','y')) charset utf8mb4",
		"CREATE TABLE t (a int unsigned primary key, b varchar(80) charset latin1, c enum('x','y')) charset utf8mb4",
	};
	struct ml_schema *s = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct fix f = { .force = true };
		struct map m;

		open_store(&f, 0);
		full_map(&m);
		m.tm.has_names = m.tm.has_pk = false;
		assert_int_equal(ml_schema_store_resolve(f.st, &m.tm, 5, &s, &f.err), ML_RESOLVE_UNKNOWN);
		assert_int_equal(run(&f, 10, bad[i]), 0);
		assert_int_equal(ml_schema_store_resolve(f.st, &m.tm, 20, &s, &f.err), -1);
		assert_int_equal(f.err.code, ML_ErrMySQLSchemaMismatch);
		close_all(&f);
	}
}

/* MariaDB names the first unique key without NULL as primary key when there is none. */
static void
a_promoted_unique_key_is_no_primary_key(void **state)
{
	struct fix f = { .force = true };
	struct ml_schema *s = NULL;
	struct map m;

	(void)state;
	open_store(&f, 0);
	run(&f, 10,
		"CREATE TABLE t (a int unsigned not null, b varchar(20) not null, c enum('x','y'), unique ab (a, b), unique ub (b)) "
		"charset utf8mb4");
	full_map(&m);
	m.cols[1].nullable = false;
	m.cols[1].pk_part = 2;
	m.pk[1] = 1;
	m.tm.n_pk = 2;
	assert_int_equal(ml_schema_store_resolve(f.st, &m.tm, 20, &s, &f.err), ML_RESOLVE_OK);
	assert_ptr_equal(s, get(&f, "t"));
	assert_string_equal(s->handle->name.s, "ub");
	ml_schema_unref(s);
	close_all(&f);
}

/* Implicit row_start and row_end, the latter in the key; a cloud's hidden key. */
static void
hidden_columns_are_left_out(void **state)
{
	struct fix f = { .force = true };
	struct ml_schema *s = NULL;
	struct map m;

	(void)state;
	open_store(&f, 0);
	full_map(&m);
	m.cols[1] = (struct ml_tm_column){
		.code = ML_BT_TIMESTAMP2, .real = ML_BT_TIMESTAMP2, .scale = 6, .name = lit("row_start")
	};
	m.cols[2] = (struct ml_tm_column){
		.code = ML_BT_TIMESTAMP2, .real = ML_BT_TIMESTAMP2, .scale = 6, .name = lit("row_end"), .pk_part = 2
	};
	m.pk[1] = 2;
	m.tm.n_pk = 2;
	assert_int_equal(ml_schema_store_resolve(f.st, &m.tm, 20, &s, &f.err), ML_RESOLVE_OK);
	assert_int_equal(s->kind, ML_TABLE_VERSIONED);
	assert_int_equal(s->n_columns, 1);
	assert_int_equal(s->handle->n_cols, 1);
	ml_schema_unref(s);
	full_map(&m);
	m.tm.table = lit("u");
	m.cols[2] = (struct ml_tm_column){
		.code = ML_BT_LONGLONG, .real = ML_BT_LONGLONG, .name = lit("__#alibaba_rds_row_id#__")
	};
	assert_int_equal(ml_schema_store_resolve(f.st, &m.tm, 20, &s, &f.err), ML_RESOLVE_OK);
	assert_int_equal(s->n_columns, 2);
	ml_schema_unref(s);
	close_all(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ddl_is_sent_with_ids_and_names),
		cmocka_unit_test(what_rows_do_not_show_is_sent_to_those_who_ask),
		cmocka_unit_test(ddl_tells_the_definition_before_it),
		cmocka_unit_test(definitions_take_the_databases_charset),
		cmocka_unit_test(ineligible_tables_are_quiet),
		cmocka_unit_test(renames_over_the_filters_border),
		cmocka_unit_test(a_restart_gives_the_same_ids_again),
		cmocka_unit_test(a_damaged_file_is_read_as_far_as_it_is_whole),
		cmocka_unit_test(a_table_map_that_fits_takes_the_tracked_definition),
		cmocka_unit_test(the_log_wins_where_it_tells_more),
		cmocka_unit_test(an_unknown_table_is_made_from_the_log_alone),
		cmocka_unit_test(without_names_nothing_is_guessed),
		cmocka_unit_test(a_promoted_unique_key_is_no_primary_key),
		cmocka_unit_test(hidden_columns_are_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
