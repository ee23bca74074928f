/* test_sql_literal.c - values and names as SQL text. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "capture-worker/sink/mysql/literal.h"

#define TEXT(s_)                                                                                                       \
	{                                                                                                              \
		.kind = ML_D_BYTES, .s = s_, .len = sizeof(s_) - 1                                                     \
	}

static void
values_read_as_what_they_are(void **state)
{
	static const struct {
		struct ml_datum d;
		enum sql_quoting how;
		bool no_backslash;
		const char *want;
	} rows[] = {
		{ { .kind = ML_D_NULL }, SQL_PLAIN_TEXT, false, "NULL" },
		{ { .kind = ML_D_ABSENT }, SQL_PLAIN_TEXT, false, "DEFAULT" },
		{ { .kind = ML_D_I64, .i = INT64_MIN }, SQL_PLAIN_TEXT, false, "-9223372036854775808" },
		{ { .kind = ML_D_U64, .u = UINT64_MAX }, SQL_PLAIN_TEXT, false, "18446744073709551615" },
		{ { .kind = ML_D_F32, .f32 = 1.1f }, SQL_PLAIN_TEXT, false, "1.100000023841858" },
		{ { .kind = ML_D_F32, .f32 = 3.4e38f }, SQL_PLAIN_TEXT, false, "3.3999999521443642e+38" },
		{ { .kind = ML_D_F64, .f64 = 0.1 }, SQL_PLAIN_TEXT, false, "0.1" },
		{ { .kind = ML_D_F64, .f64 = 1e-7 }, SQL_PLAIN_TEXT, false, "1e-07" },
		{ { .kind = ML_D_F64, .f64 = -1.7976931348623157e308 }, SQL_PLAIN_TEXT, false,
			"-1.7976931348623157e+308" },
		{ TEXT(""), SQL_PLAIN_TEXT, false, "''" },
		{ TEXT("it's \"\\\" é😀"), SQL_PLAIN_TEXT, false, "'it\\'s \\\"\\\\\\\" é😀'" },
		{ TEXT("a\nb\rc\x1a\0d\t%_"), SQL_PLAIN_TEXT, false, "'a\\nb\\rc\\Z\\0d\t%_'" },
		{ TEXT("\0'\\\xff"), SQL_BYTES, false, "_binary'\\0\\'\\\\\xff'" },
		{ TEXT("it's \\ \""), SQL_PLAIN_TEXT, true, "'it''s \\ \"'" },
	};
	struct ml_buf b = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ml_buf_clear(&b);
		sql_literal(&b, &rows[i].d, rows[i].how, rows[i].no_backslash);
		assert_string_equal(b.data, rows[i].want);
		assert_int_equal(b.len, strlen(rows[i].want));
	}
	ml_buf_fini(&b);
}

static void
names_hold_any_character(void **state)
{
	struct ml_buf b = { 0 };

	(void)state;
	sql_name(&b, "we`ird ?;'", 10);
	assert_string_equal(b.data, "`we``ird ?;'`");
	ml_buf_fini(&b);
}

static void
only_bytes_are_sent_as_bytes(void **state)
{
	static const struct {
		uint8_t type, special;
		const char *charset;
		enum sql_quoting want;
	} rows[] = {
		{ ML_T_VARCHAR, ML_SP_NONE, "utf8mb4", SQL_PLAIN_TEXT },
		{ ML_T_VARCHAR, ML_SP_NONE, "binary", SQL_BYTES },
		{ ML_T_STRING, ML_SP_NONE, "binary", SQL_BYTES },
		{ ML_T_BLOB, ML_SP_NONE, "binary", SQL_BYTES },
		{ ML_T_LONGBLOB, ML_SP_NONE, "gbk", SQL_PLAIN_TEXT },
		{ ML_T_STRING, ML_SP_UUID, "binary", SQL_PLAIN_TEXT },
		{ ML_T_STRING, ML_SP_INET6, "binary", SQL_PLAIN_TEXT },
		{ ML_T_JSON, ML_SP_NONE, "binary", SQL_PLAIN_TEXT },
		{ ML_T_DECIMAL, ML_SP_NONE, "binary", SQL_PLAIN_TEXT },
		{ ML_T_DATETIME, ML_SP_NONE, "binary", SQL_PLAIN_TEXT },
		{ ML_T_GEOMETRY, ML_SP_NONE, "", SQL_BYTES },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_column c = { .type = rows[i].type,
			.special = rows[i].special,
			.charset = { rows[i].charset, (uint32_t)strlen(rows[i].charset) } };

		assert_int_equal(sql_quoting_of(&c), rows[i].want);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_read_as_what_they_are),
		cmocka_unit_test(names_hold_any_character),
		cmocka_unit_test(only_bytes_are_sent_as_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
