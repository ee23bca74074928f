/* A CREATE TABLE and the ALTERs behind it: the definition that comes out. */
#include "capture-worker/source/mysql/ddl_apply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "capture-worker/source/mysql/ddl_column.h"

static struct ml_text
lit(const char *s)
{
	return (struct ml_text){ s, (uint32_t)strlen(s) };
}

/*
 * "a int(11)! +8 =7 | b ..; PRIMARY(a) u2?(b,c)": columns with full type, "!" for NOT NULL, "~" for virtual and "^" for stored
 * generated ones, charset of text, "=default", ":=expression", "now" on update; then the indexes, "?" nullable, "/" with a prefix, "-" not unique.
 */
static const char *
describe(const struct ml_schema *s)
{
	static char out[8192];
	size_t n = 0;

	out[0] = '\0';
	for (int i = 0; i < s->n_columns; i++) {
		const struct ml_column *c = &s->columns[i];

		n += (size_t)snprintf(out + n, sizeof(out) - n, "%s%s %s%s%s", i > 0 ? " | " : "", c->name.s,
			c->type_full.s, c->flags & ML_F_NULLABLE ? "" : "!",
			c->virtual_generated        ? "~"
			: c->flags & ML_F_GENERATED ? "^"
						    : "");
		if (!(c->flags & ML_F_BINARY))
			n += (size_t)snprintf(out + n, sizeof(out) - n, " %s", c->collation.s);
		if (c->has_default)
			n += (size_t)snprintf(
				out + n, sizeof(out) - n, " %s%s", c->default_expr ? ":=" : "=", c->dflt.s);
		if (c->on_update_now)
			n += (size_t)snprintf(out + n, sizeof(out) - n, " now");
		if (c->comment.len > 0)
			n += (size_t)snprintf(out + n, sizeof(out) - n, " #%s", c->comment.s);
	}
	n += (size_t)snprintf(out + n, sizeof(out) - n, ";");
	for (int i = 0; i < s->n_indexes; i++) {
		const struct ml_index *x = &s->indexes[i];

		n += (size_t)snprintf(out + n, sizeof(out) - n, " %s%s%s%s(", x->name.s, x->unique ? "" : "-",
			x->nullable ? "?" : "", x->prefix ? "/" : "");
		for (int k = 0; k < x->n_cols; k++) {
			n += (size_t)snprintf(
				out + n, sizeof(out) - n, "%s%s", k > 0 ? "," : "", s->columns[x->cols[k]].name.s);
			if (x->prefix && x->prefixes[k] > 0)
				n += (size_t)snprintf(out + n, sizeof(out) - n, "(%u)", x->prefixes[k]);
		}
		n += (size_t)snprintf(out + n, sizeof(out) - n, ")");
	}
	return out;
}

/* The definition after `before` and the statement. */
static struct ml_schema *
step(struct ml_schema *before, const char *sql, bool *uncertain)
{
	struct ml_ddl_env env = { .mariadb = true, .default_db = "d", .default_db_len = 1 };
	struct ml_arena a;
	struct ml_ddl_stmt st;
	struct ml_schema *after;

	ml_arena_init(&a, 0);
	assert_int_equal(ml_ddl_classify(&env, sql, strlen(sql), &a, &st), ML_DDL_DDL);
	assert_int_equal(st.n_items, 1);
	after = ml_ddl_apply(before, &st.items[0], lit("utf8mb4"), lit("utf8mb4_general_ci"), uncertain);
	ml_arena_fini(&a);
	ml_schema_unref(before);
	return after;
}

static void
types_and_attributes_are_read(void **state)
{
	static const char *const rows[][2] = {
		{ "a int", "a int(11);" },
		{ "a int(5) unsigned zerofill not null", "a int(5) unsigned zerofill!;" },
		{ "a bigint unsigned, b bool default true, c tinyint unsigned",
			"a bigint(20) unsigned | b tinyint(1) =1 | c tinyint(3) unsigned;" },
		{ "a serial", "a bigint(20) unsigned!; a(a)" },
		{ "a integer primary key auto_increment", "a int(11)!; PRIMARY(a)" },
		{ "a decimal, b dec(5), c numeric(7,2) unsigned default 3",
			"a decimal(10,0) | b decimal(5,0) | c decimal(7,2) unsigned =3.00;" },
		{ "a float, b float(7,3), c float(30), d double precision, e real unsigned",
			"a float | b float(7,3) | c double | d double | e double unsigned;" },
		{ "a bit, b bit(9) default b'1'", "a bit(1) | b bit(9) =;" },
		{ "a year, b date default '2020-01-02', c datetime(3) default '2020-01-02', d timestamp(6) null default now(6) on update now(6)",
			"a year(4) | b date =2020-01-02 | c datetime(3) =2020-01-02 00:00:00.000 | d timestamp(6) =CURRENT_TIMESTAMP now;" },
		{ "a char, b varchar(10) character set latin1, c varchar(3) collate gbk_bin, d char(4) binary, e national varchar(5)",
			"a char(1) utf8mb4_general_ci | b varchar(10) latin1_swedish_ci | c varchar(3) gbk_bin | d char(4) utf8mb4_bin | "
			"e varchar(5) utf8mb3_general_ci;" },
		{ "a binary(3) default 'a', b varbinary(9), c blob, d text charset binary, e char(3) byte",
			"a binary(3) =a | b varbinary(9) | c blob | d blob | e binary(3);" },
		{ "a text(10), b text(300), c text(20000), d blob(70000), e long varbinary, f long",
			"a tinytext utf8mb4_general_ci | b text utf8mb4_general_ci | c mediumtext utf8mb4_general_ci | d mediumblob | "
			"e mediumblob | f mediumtext utf8mb4_general_ci;" },
		{ "a enum('x','it''s','y ') default 'x', b set('p','q') charset latin1",
			"a enum('x','it''s','y') utf8mb4_general_ci =x | "
			"b set('p','q') latin1_swedish_ci;" },
		{ "a json, b longtext check (json_valid(`b`))",
			"a longtext utf8mb4_bin | b longtext utf8mb4_general_ci;" },
		{ "a inet6, b inet4, c uuid default uuid()",
			"a char(39) ascii_general_ci | b char(15) ascii_general_ci | c char(36) "
			"ascii_general_ci :=uuid();" },
		{ "a geometry, b point not null", "a geometry | b geometry!;" },
		{ "a int, b int as (a + f(1, ')')) virtual, c int generated always as (a) persistent comment 'x', d int as (1)",
			"a int(11) | b int(11)~ | c int(11)^ #x | d int(11)~;" },
		{ "a int default -5, b int default (1+2), c varchar(9) default 'null', d int default null, e int not null default 0x10, f varchar(3) default 0x4142",
			"a int(11) =-5 | b int(11) :=1+2 | c varchar(9) utf8mb4_general_ci =null | d int(11) | e int(11)! =16 | f varchar(3) utf8mb4_general_ci =AB;" },
		{ "a int invisible comment 'say ''hi''', b int references x(y) on delete set null, c varchar(5) compressed",
			"a int(11) #say 'hi' | b int(11) | c varchar(5) utf8mb4_general_ci;" },
		{ "primary key (b, a), a int, b varchar(9), key k (a desc), unique (a), unique u (b(3)), fulltext f (b), constraint c "
		  "foreign key (a) references x(y), check (a > 0), index (a)",
			"a int(11)! | b varchar(9)! utf8mb4_general_ci; PRIMARY(b,a) k-(a) a(a) u/(b(3)) f-(b) a_2-(a)" },
		{ "a int unique, b int primary key", "a int(11) | b int(11)!; PRIMARY(b) a?(a)" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char sql[1024];
		struct ml_schema *s;
		bool uncertain;

		snprintf(sql, sizeof(sql), "CREATE TABLE t (%s)", rows[i][0]);
		s = step(NULL, sql, &uncertain);
		assert_false(uncertain);
		assert_string_equal(describe(s), rows[i][1]);
		ml_schema_unref(s);
	}
}

static void
alterations_follow_each_other(void **state)
{
	static const char *const rows[][2] = {
		{ "CREATE TABLE t (a int, b varchar(5) default 'x', c text, primary key (a), key kb (b), unique ubc (b, a)) charset latin1",
			"a int(11)! | b varchar(5) latin1_swedish_ci =x | c text latin1_swedish_ci; PRIMARY(a) kb-?(b) ubc?(b,a)" },
		{ "ALTER TABLE t ADD d int not null default 7 AFTER a, ADD COLUMN e int FIRST",
			"e int(11) | a int(11)! | d int(11)! =7 | b varchar(5) latin1_swedish_ci =x | c text latin1_swedish_ci; "
			"PRIMARY(a) kb-?(b) ubc?(b,a)" },
		{ "ALTER TABLE t MODIFY b varchar(9) NOT NULL, CHANGE e E bigint AFTER c",
			"a int(11)! | d int(11)! =7 | b varchar(9)! latin1_swedish_ci | c text latin1_swedish_ci | E bigint(20); "
			"PRIMARY(a) kb-(b) ubc(b,a)" },
		{ "ALTER TABLE t MODIFY a bigint",
			"a bigint(20)! | d int(11)! =7 | b varchar(9)! latin1_swedish_ci | c text "
			"latin1_swedish_ci | E bigint(20); PRIMARY(a) kb-(b) ubc(b,a)" },
		{ "ALTER TABLE t DROP b, ALTER d DROP DEFAULT, ALTER E SET DEFAULT 5",
			"a bigint(20)! | d int(11)! | c text latin1_swedish_ci | E bigint(20) =5; PRIMARY(a) ubc(a)" },
		{ "ALTER TABLE t RENAME COLUMN d TO dd, RENAME INDEX ubc TO uu, COMMENT 'note'",
			"a bigint(20)! | dd int(11)! | c text latin1_swedish_ci | E bigint(20) =5; PRIMARY(a) uu(a)" },
		{ "CREATE UNIQUE INDEX i2 ON t (dd, c(4))",
			"a bigint(20)! | dd int(11)! | c text latin1_swedish_ci | E bigint(20) =5; "
			"PRIMARY(a) uu(a) i2?/(dd,c(4))" },
		{ "ALTER TABLE t CONVERT TO CHARACTER SET utf8mb4",
			"a bigint(20)! | dd int(11)! | c mediumtext utf8mb4_general_ci | "
			"E bigint(20) =5; PRIMARY(a) uu(a) i2?/(dd,c(4))" },
		{ "ALTER TABLE t DROP PRIMARY KEY, DROP CONSTRAINT i2, ADD PRIMARY KEY (dd, E)",
			"a bigint(20)! | dd int(11)! | c mediumtext utf8mb4_general_ci | E bigint(20)! =5; PRIMARY(dd,E) uu(a)" },
		{ "ALTER TABLE t DEFAULT CHARSET gbk, ADD (f varchar(3), g int, key kg (g))",
			"a bigint(20)! | dd int(11)! | c mediumtext utf8mb4_general_ci | E bigint(20)! =5 | f varchar(3) gbk_chinese_ci | "
			"g int(11); PRIMARY(dd,E) uu(a) kg-?(g)" },
		/* What is there already, since the definition may be newer than the log: taken as done. */
		{ "ALTER TABLE t ADD f varchar(4), DROP nothere, DROP INDEX nothere",
			"a bigint(20)! | dd int(11)! | c mediumtext utf8mb4_general_ci | E bigint(20)! =5 | f varchar(4) gbk_chinese_ci | "
			"g int(11); PRIMARY(dd,E) uu(a) kg-?(g)" },
		{ "ALTER TABLE t ADD IF NOT EXISTS f varchar(99), CHANGE old g int unsigned, ENGINE=InnoDB",
			"a bigint(20)! | dd int(11)! | c mediumtext utf8mb4_general_ci | E bigint(20)! =5 | f varchar(4) gbk_chinese_ci | "
			"g int(10) unsigned; PRIMARY(dd,E) uu(a) kg-?(g)" },
	};
	struct ml_schema *s = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool uncertain;

		s = step(s, rows[i][0], &uncertain);
		assert_false(uncertain);
		assert_string_equal(describe(s), rows[i][1]);
	}
	assert_string_equal(s->comment.s, "note");
	assert_string_equal(s->charset.s, "gbk");
	assert_string_equal(s->handle->name.s, "PRIMARY");
	ml_schema_unref(s);
}

static void
what_is_not_understood_is_said(void **state)
{
	static const char *const rows[] = {
		"CREATE TABLE t (a frobnicate(3), b int)",
		"ALTER TABLE t ADD x int AFTER nothere",
		"ALTER TABLE t ADD KEY (nothere)",
		"ALTER TABLE t CONVERT PARTITION p TO TABLE u",
	};
	struct ml_schema *s = NULL;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool uncertain = false;

		s = step(s, rows[i], &uncertain);
		assert_true(uncertain);
	}
	assert_string_equal(s->columns[1].type_full.s, "int(11)");
	ml_schema_unref(s);
}

static void
versioning_goes_on_and_off(void **state)
{
	bool uncertain;
	struct ml_schema *s = step(NULL,
		"CREATE TABLE t (a int primary key, s timestamp(6) generated always as row start, e timestamp(6) "
		"generated always as row end, period for system_time (s, e)) with system versioning",
		&uncertain);

	(void)state;
	assert_int_equal(s->kind, ML_TABLE_VERSIONED);
	assert_int_equal(s->columns[1].special, ML_SP_ROW_START);
	assert_int_equal(s->columns[2].special, ML_SP_ROW_END);
	s = step(s, "ALTER TABLE t DROP SYSTEM VERSIONING", &uncertain);
	assert_int_equal(s->kind, ML_TABLE_BASE);
	s = step(s, "ALTER TABLE t ADD SYSTEM VERSIONING", &uncertain);
	assert_int_equal(s->kind, ML_TABLE_VERSIONED);
	ml_schema_unref(s);
}

/* Which columns of the definition say that their DDL left out the fraction's digits. */
static void
assert_unsaid(const struct ml_schema *s, const char *want)
{
	char got[64] = "";

	for (int i = 0; i < s->n_columns; i++)
		if (s->columns[i].fraction_unsaid)
			strcat(strcat(got, s->columns[i].name.s), " ");
	assert_string_equal(got, want);
}

static void
an_unsaid_fraction_is_known_to_its_own_ddl(void **state)
{
	bool uncertain;
	struct ml_schema *s, *like;
	struct ml_column c = { 0 };
	struct ml_arena a;

	(void)state;
	s = step(NULL, "CREATE TABLE t (a int, b time, c time(0), d datetime, e timestamp(3) null)", &uncertain);
	assert_unsaid(s, "b d ");
	like = ml_schema_copy(s, lit("d"), lit("u"));
	assert_unsaid(like, "");
	ml_schema_unref(like);
	s = step(s, "ALTER TABLE t ADD COLUMN f timestamp null, MODIFY d datetime not null", &uncertain);
	assert_unsaid(s, "d f ");
	s = step(s, "ALTER TABLE t ADD INDEX (f)", &uncertain);
	assert_unsaid(s, "");
	ml_schema_unref(s);
	/* The server's own descriptions never have digits that are 0. */
	ml_arena_init(&a, 0);
	assert_true(ml_column_of_type(&c, &a, "datetime", 8, true));
	assert_false(c.fraction_unsaid);
	ml_arena_fini(&a);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(types_and_attributes_are_read),
		cmocka_unit_test(alterations_follow_each_other),
		cmocka_unit_test(what_is_not_understood_is_said),
		cmocka_unit_test(versioning_goes_on_and_off),
		cmocka_unit_test(an_unsaid_fraction_is_known_to_its_own_ddl),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
