/* test_schema_file.c - schema files of the storage sink: text, checksum vectors, names, and the rules per type. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "capture-worker/sink/storage/schema_file.h"

struct col {
	const char *name, *type;
	int code, flen, decimal;
	const char *dflt; /* NULL: none */
	bool not_null, pk, is_unsigned;
};

static struct ml_schema *
table(const char *db, const char *name, const struct col *cols, uint16_t n)
{
	struct ml_schema *s = ml_schema_new();

	s->db = (struct ml_text){ ml_arena_strndup(&s->arena, db, strlen(db)), (uint32_t)strlen(db) };
	s->table = (struct ml_text){ ml_arena_strndup(&s->arena, name, strlen(name)), (uint32_t)strlen(name) };
	s->kind = ML_TABLE_BASE;
	s->n_columns = n;
	s->columns = ml_arena_zalloc(&s->arena, n * sizeof(*s->columns));
	for (uint16_t i = 0; i < n; i++) {
		struct ml_column *c = &s->columns[i];

		c->id = (uint16_t)(i + 1);
		c->name = (struct ml_text){ cols[i].name, (uint32_t)strlen(cols[i].name) };
		c->type_short = (struct ml_text){ cols[i].type, (uint32_t)strlen(cols[i].type) };
		c->type = (uint8_t)cols[i].code;
		c->flen = cols[i].flen;
		c->decimal = cols[i].decimal;
		c->flags = (uint8_t)((cols[i].not_null ? 0 : ML_F_NULLABLE) | (cols[i].pk ? ML_F_PRIMARY_KEY : 0) |
				     (cols[i].is_unsigned ? ML_F_UNSIGNED : 0));
		if (cols[i].dflt != NULL) {
			c->has_default = true;
			c->dflt = (struct ml_text){ cols[i].dflt, (uint32_t)strlen(cols[i].dflt) };
		}
	}
	return s;
}

static struct schema_file
file_of(struct ml_schema *s)
{
	return (struct schema_file){ .db = s->db.s,
		.db_len = s->db.len,
		.table = s->table.s,
		.table_len = s->table.len,
		.schema = s,
		.query = "" };
}

static void
checksums_are_those_of_the_reference(void **state)
{
	static const struct col small[] = {
		{ "col1", "int", ML_T_LONG, -1, -1, NULL, false, false, false },
		{ "col2", "varchar", ML_T_VARCHAR, -1, -1, NULL, false, false, false },
	};
	static const struct col swapped[] = {
		{ "col2", "varchar", ML_T_VARCHAR, 5, 0, NULL, false, false, false },
		{ "col1", "int", ML_T_LONG, 11, 0, NULL, false, false, false },
	};
	struct schema_file db = { .db = "schema1", .db_len = 7, .table = "", .query = "" }, f;
	struct ml_schema *s = table("test", "table1", small, 2);

	(void)state;
	assert_int_equal(schema_file_checksum(&db), 3233644819u);
	f = file_of(s);
	assert_int_equal(schema_file_checksum(&f), 4192708364u);
	/* Version, query and type take no part, and neither does the order of the columns. */
	f.version = 7;
	f.query = "x";
	f.query_len = 1;
	f.type = 3;
	assert_int_equal(schema_file_checksum(&f), 4192708364u);
	ml_schema_unref(s);
	s = table("test", "table1", swapped, 2);
	f = file_of(s);
	assert_int_equal(schema_file_checksum(&f), 4192708364u);
	ml_schema_unref(s);
}

static const char want_employee[] = "{\n"
				    "    \"Table\": \"employee\",\n"
				    "    \"Schema\": \"hr\",\n"
				    "    \"Version\": 1,\n"
				    "    \"TableVersion\": 441349361156227074,\n"
				    "    \"Query\": \"ALTER TABLE `hr`.`employee` ADD COLUMN `HiredAt` DATETIME(3)\",\n"
				    "    \"Type\": 5,\n"
				    "    \"TableColumns\": [\n"
				    "        {\n"
				    "            \"ColumnName\": \"Id\",\n"
				    "            \"ColumnType\": \"INT\",\n"
				    "            \"ColumnPrecision\": \"11\",\n"
				    "            \"ColumnNullable\": \"false\",\n"
				    "            \"ColumnIsPk\": \"true\"\n"
				    "        },\n"
				    "        {\n"
				    "            \"ColumnName\": \"LastName\",\n"
				    "            \"ColumnType\": \"CHAR\",\n"
				    "            \"ColumnPrecision\": \"20\"\n"
				    "        },\n"
				    "        {\n"
				    "            \"ColumnName\": \"Bonus\",\n"
				    "            \"ColumnType\": \"DECIMAL\",\n"
				    "            \"ColumnDefault\": \"0.00\",\n"
				    "            \"ColumnPrecision\": \"12\",\n"
				    "            \"ColumnScale\": \"2\"\n"
				    "        },\n"
				    "        {\n"
				    "            \"ColumnName\": \"HiredAt\",\n"
				    "            \"ColumnType\": \"DATETIME\",\n"
				    "            \"ColumnScale\": \"3\"\n"
				    "        }\n"
				    "    ],\n"
				    "    \"TableColumnsTotal\": 4\n"
				    "}";

static void
a_file_is_written_byte_for_byte(void **state)
{
	static const struct col cols[] = {
		{ "Id", "int", ML_T_LONG, 11, 0, NULL, true, true, false },
		{ "LastName", "char", ML_T_STRING, 20, 0, NULL, false, false, false },
		{ "Bonus", "decimal", ML_T_DECIMAL, 12, 2, "0.00", false, false, false },
		{ "HiredAt", "datetime", ML_T_DATETIME, -1, 3, NULL, false, false, false },
	};
	struct ml_schema *s = table("hr", "employee", cols, 4);
	struct schema_file f = file_of(s);
	struct ml_buf b = { 0 };
	char name[64];

	(void)state;
	f.version = 441349361156227074;
	f.query = "ALTER TABLE `hr`.`employee` ADD COLUMN `HiredAt` DATETIME(3)";
	f.query_len = strlen(f.query);
	f.type = 5;
	schema_file_text(&f, &b);
	assert_string_equal(b.data, want_employee);
	schema_file_name(name, f.version, schema_file_checksum(&f));
	assert_string_equal(name, "schema_441349361156227074_3493664514.json");
	ml_buf_fini(&b);
	ml_schema_unref(s);
}

static void
a_database_file_has_no_columns(void **state)
{
	struct schema_file f = { .db = "g_ddl", .db_len = 5, .table = "", .version = 470698717655859207, .type = 1 };
	struct ml_buf b = { 0 };
	char name[64];

	(void)state;
	f.query = "CREATE DATABASE `g_ddl`";
	f.query_len = strlen(f.query);
	schema_file_text(&f, &b);
	assert_string_equal(b.data,
		"{\n    \"Table\": \"\",\n    \"Schema\": \"g_ddl\",\n    \"Version\": 1,\n    \"TableVersion\": 470698717655859207,\n"
		"    \"Query\": \"CREATE DATABASE `g_ddl`\",\n    \"Type\": 1,\n    \"TableColumns\": null,\n    \"TableColumnsTotal\": 0\n}");
	schema_file_name(name, f.version, schema_file_checksum(&f));
	assert_string_equal(name, "schema_470698717655859207_1865206265.json");
	ml_buf_fini(&b);
}

static void
types_precision_scale_and_defaults(void **state)
{
	static const struct {
		struct col col;
		const char *want; /* fields behind the name, without blanks and line ends */
	} rows[] = {
		{ { "c", "tinyint unsigned", ML_T_TINY, -1, -1, NULL, false, false, true },
			"\"ColumnType\":\"TINYINT UNSIGNED\",\"ColumnPrecision\":\"3\"" },
		{ { "c", "bigint unsigned", ML_T_LONGLONG, -1, -1, "7", true, false, true },
			"\"ColumnType\":\"BIGINT UNSIGNED\",\"ColumnDefault\":\"7\",\"ColumnPrecision\":\"20\",\"ColumnNullable\":\"false\"" },
		{ { "c", "bit", ML_T_BIT, 4, -1, "\n", false, false, false },
			"\"ColumnType\":\"BIT UNSIGNED\",\"ColumnDefault\":\"\\n\",\"ColumnPrecision\":\"4\"" },
		{ { "c", "year", ML_T_YEAR, 4, -1, NULL, false, false, false },
			"\"ColumnType\":\"YEAR UNSIGNED\",\"ColumnPrecision\":\"4\"" },
		{ { "c", "float", ML_T_FLOAT, -1, -1, "1.25", false, false, false },
			"\"ColumnType\":\"FLOAT\",\"ColumnDefault\":\"1.25\",\"ColumnPrecision\":\"12\"" },
		{ { "c", "float", ML_T_FLOAT, 10, 3, NULL, false, false, false },
			"\"ColumnType\":\"FLOAT\",\"ColumnPrecision\":\"10\",\"ColumnScale\":\"3\"" },
		{ { "c", "double", ML_T_DOUBLE, -1, -1, NULL, false, false, false },
			"\"ColumnType\":\"DOUBLE\",\"ColumnPrecision\":\"22\"" },
		{ { "c", "decimal", ML_T_DECIMAL, 10, 0, NULL, false, false, false },
			"\"ColumnType\":\"DECIMAL\",\"ColumnPrecision\":\"10\",\"ColumnScale\":\"0\"" },
		{ { "c", "datetime", ML_T_DATETIME, -1, 0, "2024-01-01 00:00:00", false, false, false },
			"\"ColumnType\":\"DATETIME\",\"ColumnDefault\":\"2024-01-01 00:00:00\"" },
		{ { "c", "timestamp", ML_T_TIMESTAMP, -1, 6, NULL, false, false, false },
			"\"ColumnType\":\"TIMESTAMP\",\"ColumnScale\":\"6\"" },
		{ { "c", "date", ML_T_DATE, -1, -1, NULL, false, false, false }, "\"ColumnType\":\"DATE\"" },
		{ { "c", "json", ML_T_JSON, -1, -1, NULL, false, false, false }, "\"ColumnType\":\"JSON\"" },
		{ { "c", "enum", ML_T_ENUM, -1, -1, "a", false, false, false },
			"\"ColumnType\":\"ENUM\",\"ColumnDefault\":\"a\"" },
		{ { "c", "longtext", ML_T_LONGBLOB, -1, -1, NULL, false, false, false },
			"\"ColumnType\":\"LONGTEXT\",\"ColumnPrecision\":\"4294967295\"" },
		{ { "c", "blob", ML_T_BLOB, -1, -1, NULL, false, false, false },
			"\"ColumnType\":\"BLOB\",\"ColumnPrecision\":\"65535\"" },
		{ { "c", "varchar", ML_T_VARCHAR, 30, -1, "", false, false, false },
			"\"ColumnType\":\"VARCHAR\",\"ColumnDefault\":\"\",\"ColumnPrecision\":\"30\"" },
		{ { "c", "varchar", ML_T_VARCHAR, 30, -1, "<&>\xe2\x80\xa8\xc3\xa4\xff", false, false, false },
			"\"ColumnType\":\"VARCHAR\",\"ColumnDefault\":\"\\u003c\\u0026\\u003e\\u2028\xc3\xa4\\ufffd\",\"ColumnPrecision\":\"30\"" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_schema *s = table("d", "t", &rows[i].col, 1);
		struct schema_file f = file_of(s);
		struct ml_buf b = { 0 };
		char got[512], *p = got;
		const char *from, *to;

		schema_file_text(&f, &b);
		from = strstr(b.data, "\"ColumnType\"");
		to = strstr(from, "\n        }");
		for (; from < to; from++)
			if (*from != '\n' &&
				!(*from == ' ' && (from[-1] == ':' || from[-1] == ' ' || from[-1] == '\n')))
				*p++ = *from;
		*p = '\0';
		assert_string_equal(got, rows[i].want);
		ml_buf_fini(&b);
		ml_schema_unref(s);
	}
}

static void
views_have_no_types_and_ids_come_first_on_demand(void **state)
{
	static const struct col col = { "id", "int", ML_T_LONG, 11, 0, NULL, true, false, false };
	struct ml_schema *s = table("g_ddl", "vw", &col, 1);
	struct schema_file f = file_of(s);
	struct ml_buf b = { 0 };

	(void)state;
	f.column_id = true;
	schema_file_text(&f, &b);
	assert_non_null(
		strstr(b.data, "        {\n            \"ColumnId\": \"1\",\n            \"ColumnName\": \"id\",\n"));
	ml_buf_clear(&b);
	f.column_id = false;
	s->kind = ML_TABLE_VIEW;
	schema_file_text(&f, &b);
	assert_non_null(strstr(b.data,
		"            \"ColumnType\": \"UNSPECIFIED\"\n        }\n    ],\n    \"TableColumnsTotal\": 1\n}"));
	assert_int_equal(schema_file_checksum(&f), 150399681);
	ml_buf_fini(&b);
	ml_schema_unref(s);
}

static void
names_are_taken_apart(void **state)
{
	static const char *const bad[] = {
		"schema_1.json",
		"schema_1_2.txt",
		"schema_1_2.json.tmp.x",
		"schema__2.json",
		"schema_1_.json",
		"schema_1_9999999999.json",
		"xschema_1_2.json",
	};
	ml_ts v = 0;
	uint32_t sum = 0;
	char name[64];

	(void)state;
	schema_file_name(name, 12, 7);
	assert_string_equal(name, "schema_12_0000000007.json");
	assert_true(schema_file_parse_name(name, &v, &sum));
	assert_int_equal(v, 12);
	assert_int_equal(sum, 7);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (schema_file_parse_name(bad[i], &v, &sum))
			fail_msg("accepted: %s", bad[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(checksums_are_those_of_the_reference),
		cmocka_unit_test(a_file_is_written_byte_for_byte),
		cmocka_unit_test(a_database_file_has_no_columns),
		cmocka_unit_test(types_precision_scale_and_defaults),
		cmocka_unit_test(views_have_no_types_and_ids_come_first_on_demand),
		cmocka_unit_test(names_are_taken_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
