/* Rows events as MariaDB 10.11 wrote them, down to their last byte. */
#include "capture-worker/mounter/binlog.h"

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "decode_util.h"

/* Every column type: see wide_row below for the values that were inserted. */
static const char ty_map[] =
	"160000000000010002743100027479003803010102090908040504f61010100d0a13131313121212111111fefe0f0ffe0ffcfcfcfcfcfcfc"
	"fefefcfffffefefe0f0f0ffe8d8c03030340040804411e01000501000800010306000306000206fe28cefc9001b004fe0814000102030401"
	"0204f701f801040404fe10fe04fe100a0014002800f701a10f02feffffffffffff0102a41003182d2d2d2d3f3f3f3f3f3f2d2d2d2e3f3f3f"
	"3f3f081c362d3f0702000104fc350102696406635f74696e7907635f7574696e7907635f736d616c6c05635f6d656406635f756d65640563"
	"5f62696703635f6603635f6404635f663205635f64656306635f6269743107635f626974313307635f626974363403635f7906635f646174"
	"6504635f743004635f743104635f743304635f743605635f64743005635f64743305635f64743605635f74733005635f74733205635f7473"
	"3604635f636807635f636832353504635f766307635f766333303005635f62696e04635f766204635f746203635f6204635f6d6204635f6c"
	"6204635f747403635f7404635f6c7403635f6503635f7303635f6a03635f6704635f707404635f696e05635f696e3404635f757504635f6c"
	"3105635f67626b05635f75313604635f656704635f767a04635f627a04635f677604635f677305635f696e760a032d021c05070301700171"
	"0172060c02016101620202bcd702d2d2080100";
static const char ty_row[] =
	"160000000000010038ffffffffffffff0000000000000001000000fffffefffdffffffffff00000000000000800000c03f00000000000002"
	"4000004840800000000000000c149aa4350dfb38d20000000000000000000000000001011001ffffffffffffffff7c5dd00f7f37487fffff"
	"f6b46efb27067fef7cffffff99b2ba108399b2ba108304ce99b2ba108301e24065dfd78b65dfd78b0c65dfd78b01e2400261620200636402"
	"0065660200676802696a026b6c0274620100620200006d62020000006c62027474010074020000006c740205110000007b226b223a5b312c"
	"322e352c2278225d7d19000000000000000101000000000000000000f03f0000000000000040190000000000000001010000000000000000"
	"00084000000000000010401020010db8000000000000000000000001040a0102030e123e4567e89b12d3a4564266554401e902d6d0024e2d"
	"020a008a012cabaa1a05c402000a008a012cabac1c05c40200020000000300000007000000";

static struct ml_tz *utc;

struct table {
	struct ml_arena arena;
	struct ml_tablemap tm;
	struct ml_schema *schema;
	struct ml_rowdec *dec;
};

static void
table_parse(struct table *t, const char *hex)
{
	size_t len;
	uint8_t *body = unhex(hex, &len);

	ml_arena_init(&t->arena, 0);
	t->dec = NULL;
	assert_int_equal(ml_tablemap_parse(&t->tm, &t->arena, body, len, true, "x", NULL), 0);
	free(body);
	t->schema = schema_of(&t->tm);
}

static void
table_prepare(struct table *t)
{
	struct ml_err err = { 0 };

	if (ml_rowdec_new(&t->dec, &t->tm, t->schema, utc, "bin.000001:4", &err) != 0)
		fail_msg("%s", err.text);
}

static void
table_drop(struct table *t)
{
	ml_rowdec_free(t->dec);
	ml_schema_unref(t->schema);
	ml_arena_fini(&t->arena);
}

static void
wide_table(struct table *t)
{
	table_parse(t, ty_map);
	column(t->schema, "c_in")->special = ML_SP_INET6;
	column(t->schema, "c_in4")->special = ML_SP_INET4;
	column(t->schema, "c_uu")->special = ML_SP_UUID;
	column(t->schema, "c_gv")->virtual_generated = true;
	table_prepare(t);
}

static void
expect(struct table *t, uint8_t type, const char *hex, const char *want, uint64_t n)
{
	uint64_t counted;
	size_t len;
	uint8_t *body = unhex(hex, &len);
	char *got = decode_event(t->dec, type, body, len, &counted);

	assert_string_equal(got, want);
	assert_int_equal(counted, n);
	free(got);
	free(body);
}

static void
a_table_map_with_full_metadata_is_read(void **state)
{
	struct table t;
	const struct ml_tablemap *tm = &t.tm;

	(void)state;
	table_parse(&t, ty_map);
	assert_int_equal(tm->table_id, 0x16);
	assert_int_equal(tm->n_columns, 56);
	assert_string_equal(tm->db.s, "t1");
	assert_string_equal(tm->table.s, "ty");
	assert_true(tm->has_names && tm->has_pk && tm->has_signedness && tm->has_charsets);
	assert_int_equal(tm->n_pk, 1);
	assert_int_equal(tm->pk[0], 0);
	assert_string_equal(tm->columns[0].name.s, "id");
	assert_true(tm->columns[0].is_unsigned && !tm->columns[1].is_unsigned && tm->columns[2].is_unsigned);
	assert_true(
		tm->columns[5].is_unsigned && tm->columns[14].is_unsigned); /* mediumint unsigned; YEAR has a bit too */
	assert_int_equal(tm->columns[10].precision, 65);
	assert_int_equal(tm->columns[10].scale, 30);
	assert_int_equal(tm->columns[12].precision, 13);
	assert_int_equal(tm->columns[13].precision, 64);
	assert_int_equal(tm->columns[27].length, 1020); /* char(255) in utf8mb4: length bits in the type byte */
	assert_int_equal(tm->columns[27].prefix, 2);
	assert_int_equal(tm->columns[26].collation, 45);
	assert_int_equal(tm->columns[30].collation, ML_COLLATION_BINARY);
	assert_int_equal(tm->columns[39].real, ML_BT_ENUM);
	assert_int_equal(tm->columns[39].n_elems, 2);
	assert_string_equal(tm->columns[39].elems[1].s, "b");
	assert_int_equal(tm->columns[40].real, ML_BT_SET);
	assert_int_equal(tm->columns[40].n_elems, 3);
	assert_string_equal(tm->columns[40].elems[2].s, "r");
	assert_int_equal(tm->columns[43].geometry, 1);
	assert_string_equal(tm->columns[50].name.s, "c_eg");
	assert_memory_equal(tm->columns[50].elems[0].s, "\xbc\xd7", 2);
	assert_string_equal(ml_charset_by_collation(tm->columns[50].collation)->name, "gbk");
	assert_string_equal(ml_charset_by_collation(tm->columns[47].collation)->name, "latin1");
	assert_string_equal(ml_charset_by_collation(tm->columns[49].collation)->name, "utf16");
	assert_int_equal(tm->columns[51].code, ML_BT_VARCHAR_COMPRESSED);
	assert_int_equal(tm->columns[51].length, 4000);
	table_drop(&t);
}

static void
every_type_has_its_form(void **state)
{
	struct table t;
	struct ml_buf want = { 0 };

	(void)state;
	wide_table(&t);
	ml_buf_puts(&want,
		"I(u1|-1|u255|-2|-3|u16777215|-9223372036854775808|f1.5|d2.25|f3.125"
		"|12345678901234567890.000000000000000000000000000001|u1|u4097|u18446744073709551615|2024|2024-02-29"
		"|-12:34:56|-00:00:00.1|838:59:59.999|-01:02:03.000001"
		"|2024-02-29 01:02:03|2024-02-29 01:02:03.123|2024-02-29 01:02:03.123456"
		"|2024-02-29 01:02:03|2024-02-29 01:02:03.12|2024-02-29 01:02:03.123456"
		"|ab|cd|ef|gh|ij\\00\\00\\00\\00\\00\\00|kl|tb|b|mb|lb|tt|t|lt|u2|u5|{\"k\":[1,2.5,\"x\"]}"
		"|\\00\\00\\00\\00\\01\\01\\00\\00\\00\\00\\00\\00\\00\\00\\00\xf0?\\00\\00\\00\\00\\00\\00\\00@"
		"|\\00\\00\\00\\00\\01\\01\\00\\00\\00\\00\\00\\00\\00\\00\\00\\08@\\00\\00\\00\\00\\00\\00\\10@"
		"|2001:db8::1|10.1.2.3|123e4567-e89b-12d3-a456-426655440000|\xc3\xa9|\xe4\xb8\xad|\xe4\xb8\xad|u2|");
	for (int i = 0; i < 300; i++)
		ml_buf_putc(&want, 'z');
	ml_buf_putc(&want, '|');
	for (int i = 0; i < 300; i++)
		ml_buf_putc(&want, 'y');
	ml_buf_puts(&want, "|-|3|7)\n");
	expect(&t, ML_EV_WRITE_V1, ty_row, want.data, 1);
	ml_buf_fini(&want);
	table_drop(&t);
}

static void
timestamps_come_in_the_zone_and_nothing_else_does(void **state)
{
	struct ml_tz *tz;
	struct table t;
	size_t len;
	uint8_t *body = unhex(ty_row, &len);
	char *got;

	(void)state;
	assert_int_equal(ml_tz_open(&tz, "Asia/Kathmandu", NULL), 0);
	table_parse(&t, ty_map);
	assert_int_equal(ml_rowdec_new(&t.dec, &t.tm, t.schema, tz, "x", NULL), 0);
	got = decode_event(t.dec, ML_EV_WRITE_V1, body, len, NULL);
	assert_non_null(strstr(got, "|2024-02-29 01:02:03|2024-02-29 01:02:03.123|2024-02-29 01:02:03.123456"
				    "|2024-02-29 06:47:03|2024-02-29 06:47:03.12|2024-02-29 06:47:03.123456|"));
	free(got);
	free(body);
	table_drop(&t);
	ml_tz_free(tz);
}

/* MariaDB 11.8 leaves generated columns out of UPDATE and DELETE; any other column must be there. */
static void
generated_columns_may_be_left_out(void **state)
{
	static const char map[] =
		"1200000000000100016400016b0005030303030f0214001e0101000203fc0009040c026964016e01760273670174"
		"080100";
	struct ml_err err = { 0 };
	struct ml_rows r;
	struct table t;
	size_t len;
	uint8_t *body;

	(void)state;
	table_parse(&t, map);
	column(t.schema, "v")->virtual_generated = true;
	column(t.schema, "sg")->flags |= ML_F_GENERATED;
	table_prepare(&t);
	expect(&t, ML_EV_WRITE_V1, "1200000000000100051fe0010000000300000004000000050000000178", "I(1|3|-|5|x)\n", 1);
	expect(&t, ML_EV_UPDATE_V1, "1200000000000100051313f801000000030000000178f801000000040000000178",
		"U(1|3|-|-|x>1|4|-|-|x)\n", 1);
	expect(&t, ML_EV_DELETE_V1, "12000000000001000513f801000000040000000178", "D(1|4|-|-|x)\n", 1);
	/* Without `t`, which is none of them. */
	ml_rows_init(&r, no_place, NULL);
	body = unhex("12000000000001000503f80100000004000000", &len);
	assert_int_equal(ml_rows_open(&r, t.dec, ML_EV_DELETE_V1, body, len, &err), -1);
	assert_int_equal(err.code, ML_ErrMySQLRowImagePartial);
	free(body);
	ml_rows_fini(&r);
	table_drop(&t);
}

/* Every shorter body is refused; none is read past its end (ASan sees to that). */
static void
cut_events_are_refused(void **state)
{
	struct ml_arena a;
	struct table t;
	size_t len;
	uint8_t *body = unhex(ty_map, &len);
	int fits = 0;

	(void)state;
	ml_arena_init(&a, 0);
	for (size_t n = 0; n < len; n++) {
		uint8_t *cut = malloc(n > 0 ? n : 1);
		struct ml_tablemap tm;
		struct ml_err err = { 0 };

		memcpy(cut, body, n);
		if (ml_tablemap_parse(&tm, &a, cut, n, true, "x", &err) == 0)
			fits++;
		else
			assert_int_equal(err.code, ML_ErrMySQLEventCorrupt);
		free(cut);
	}
	assert_int_equal(fits, 8); /* in front of each of the eight optional fields */
	ml_arena_fini(&a);
	free(body);

	wide_table(&t);
	body = unhex(ty_row, &len);
	for (size_t n = 0; n < len; n++) {
		uint8_t *cut = malloc(n > 0 ? n : 1);
		uint64_t counted = 9;
		char *got;

		memcpy(cut, body, n);
		got = decode_event(t.dec, ML_EV_WRITE_V1, cut, n, &counted);
		/* In front of the first row the event is an empty one. */
		if (n == 16)
			assert_string_equal(got, "");
		else
			assert_memory_equal(
				got, "[CDC:ErrMySQLEventCorrupt]corrupted event of type 23 at bin.000001:4: ", 69);
		assert_int_equal(counted, 0);
		free(got);
		free(cut);
	}
	free(body);
	table_drop(&t);
}

/* TABLE_MAPs without optional fields, put together by hand. */
#define MAP_HEAD "0100000000000100 0164 00 0174 00"

static void
compressed_rows_are_unpacked(void **state)
{
	struct table t;
	struct ml_buf want = { 0 };

	(void)state;
	table_parse(&t, MAP_HEAD "02 03 0f 02 4006 03");
	table_prepare(&t);
	ml_buf_puts(&want, "I(1|");
	for (int i = 0; i < 300; i++)
		ml_buf_putc(&want, 'a');
	ml_buf_puts(&want, ")\nI(2|");
	for (int i = 0; i < 300; i++)
		ml_buf_putc(&want, 'b');
	ml_buf_puts(&want, ")\n");
	expect(&t, ML_EV_WRITE_COMPRESSED,
		"3f0000000000 0100 02 03 820266 789cfbc3c8c0c0a0c398380a88067f98c04196340a880600ead8e6da", want.data,
		2);
	ml_buf_fini(&want);
	expect(&t, ML_EV_WRITE_COMPRESSED,
		"3f0000000000 0100 02 03 820267 789cfbc3c8c0c0a0c398380a88067f98c04196340a880600ead8e6da",
		"[CDC:ErrMySQLEventCorrupt]corrupted event of type 166 at bin.000001:4: compressed rows do not unpack",
		0);
	table_drop(&t);
}

static void
fixed_length_types_get_their_zeros_back(void **state)
{
	struct table t;

	(void)state;
	/* id int, i6 inet6, u uuid, bn binary(4), ch char(4) latin1, vb varbinary(10) */
	table_parse(&t, MAP_HEAD "06 03fefefefe0f 0a fe10 fe10 fe04 fe04 0a00 3e 03 05 3f 3f 3f 08 3f");
	t.schema->columns[1].special = ML_SP_INET6;
	t.schema->columns[2].special = ML_SP_UUID;
	table_prepare(&t);
	expect(&t, ML_EV_WRITE_V1, "010000000000 0100 06 ff c0 01000000 00 00 00 0161 026100",
		"I(1|::|00000000-0000-0000-0000-000000000000|\\00\\00\\00\\00|a|a\\00)\n", 1);
	table_drop(&t);
}

static void
old_temporals_need_their_digits(void **state)
{
	static const int8_t digits[10] = { -1, 0, 3, 0, 3, 6, 0, 4, -1, -1 };
	struct table t;
	struct ml_err err = { 0 };

	(void)state;
	/* id, t time, t3 time(3), d datetime, d3 datetime(3), d6 datetime(6), ts, ts4 timestamp(4), y year, dt date */
	table_parse(&t, MAP_HEAD "0a 03 0b 0b 0c 0c 0c 07 07 0d 0a 00 fe03");
	assert_int_equal(ml_rowdec_new(&t.dec, &t.tm, t.schema, utc, "bin.000001:4", &err), -1);
	assert_int_equal(err.code, ML_ErrMySQLSchemaMismatch);
	for (unsigned i = 0; i < 10; i++)
		t.schema->columns[i].decimal = digits[i];
	table_prepare(&t);
	expect(&t, ML_EV_WRITE_V1,
		"010000000000 0100 0a ffff 00fc 01000000 c01dfe 00b6bad215 1b0ba98b68120000 00422bb3243b73"
		"01027ab3c5883b00 8bd7df65 65dfd78b04d2 7c 000000",
		"I(1|-12:34:56|12:34:56.789|2024-02-29 01:02:03|2024-02-29 01:02:03.123|2024-02-29 01:02:03.123456"
		"|2024-02-29 01:02:03|2024-02-29 01:02:03.1234|2024|0000-00-00)\n",
		1);
	table_drop(&t);
}

static void
missing_columns_are_told(void **state)
{
	struct table t;

	(void)state;
	table_parse(&t, MAP_HEAD "02 03 0f 02 1400 02");
	table_prepare(&t);
	/* MINIMAL: id alone before, v alone after. */
	expect(&t, ML_EV_UPDATE_V1, "010000000000 0100 02 01 02 fe 32000000 fe 036d696e",
		"[CDC:ErrMySQLRowImagePartial]row event at bin.000001:4 for d.t has only 1 of 2 columns; a session lowered "
		"binlog_row_image",
		0);
	/* FULL_NODUP: what the after image leaves out is as before. */
	expect(&t, ML_EV_UPDATE_V1, "010000000000 0100 02 03 02 fc 32000000 036f6c64 fe 036d696e", "U(50|old>50|min)\n",
		1);
	expect(&t, ML_EV_UPDATE_V1, "010000000000 0100 02 03 02 fe 32000000 fe 036d696e ", "U(50|NULL>50|min)\n", 1);
	expect(&t, ML_EV_DELETE_V1, "010000000000 0100 02 03 fc 32000000 0161 fc 33000000 0162", "D(50|a)\nD(51|b)\n",
		2);
	expect(&t, ML_EV_DELETE_V2, "010000000000 0100 0200 02 03 fc 32000000 0161", "D(50|a)\n", 1);
	expect(&t, ML_EV_WRITE_V2, "010000000000 0100 0500 010000 02 03 fc 32000000 0161", "I(50|a)\n", 1);
	expect(&t, ML_EV_WRITE_V2, "010000000000 0100 0100 02 03 fc 32000000 0161",
		"[CDC:ErrMySQLEventCorrupt]corrupted event of type 30 at bin.000001:4: extra data of impossible length",
		0);
	expect(&t, ML_EV_WRITE_V1, "010000000000 0100 03 07 fc 32000000 0161",
		"[CDC:ErrMySQLEventCorrupt]corrupted event of type 23 at bin.000001:4: number of columns is not the TABLE_MAP's",
		0);
	table_drop(&t);
}

static void
an_event_can_be_read_in_pieces(void **state)
{
	struct ml_buf hex = { 0 }, want = { 0 }, got = { 0 };
	struct ml_rows r;
	struct table t;
	size_t len;
	uint8_t *body;

	(void)state;
	table_parse(&t, MAP_HEAD "02 03 0f 02 1400 02");
	table_prepare(&t);
	ml_buf_puts(&hex, "010000000000 0100 02 03");
	for (int i = 0; i < 100; i++) {
		ml_buf_printf(&hex, "fc %02x000000 0161", i);
		ml_buf_printf(&want, "I(%d|a)\n", i);
	}
	body = unhex(hex.data, &len);
	ml_rows_init(&r, no_place, NULL);
	for (int mode = 0; mode < 6; mode++) {
		static const struct ml_rows_want wants[6] = {
			{ .values = true, .max_rows = 7 },
			{ .values = true, .max_bytes = 30 },
			{ .values = true, .max_bytes = 1 },
			{ .max_rows = 7 },
			{ .max_bytes = 30 },
			{ .max_rows = 1 },
		};
		static const unsigned pieces[6] = { 15, 20, 100, 15, 20, 100 };
		uint64_t changes = 0;
		unsigned n = 0;
		int rc;

		ml_buf_clear(&got);
		assert_int_equal(ml_rows_open(&r, t.dec, ML_EV_WRITE_V1, body, len, NULL), 0);
		do {
			struct ml_batch *b = ml_batch_new();
			char *text;

			rc = ml_rows_next(&r, b, &wants[mode], NULL);
			assert_true(rc >= 0);
			text = rows_text(b);
			ml_buf_puts(&got, text);
			changes += b->n_changes;
			if (b->n_rows > 0)
				assert_ptr_equal(b->pins[0], t.schema);
			n++;
			free(text);
			ml_batch_free(b);
		} while (rc > 0);
		assert_int_equal(changes, 100);
		assert_int_equal(n, pieces[mode]);
		assert_string_equal(got.data, wants[mode].values ? want.data : "");
	}
	ml_rows_fini(&r);
	free(body);
	ml_buf_fini(&hex);
	ml_buf_fini(&want);
	ml_buf_fini(&got);
	table_drop(&t);
}

static void
only_current_rows_of_versioned_tables_come_out(void **state)
{
	struct table t;

	(void)state;
	/* id int, then row_start and row_end timestamp(6), which the definition does not have. */
	table_parse(&t, MAP_HEAD "03 03 11 11 02 06 06 00");
	t.schema->kind = ML_TABLE_VERSIONED;
	t.schema->n_columns = 1;
	table_prepare(&t);
#define START "65dfd78b01e240"
#define LIVE "7fffffff0f423f"
#define LIVE_2106 "ffffffff0f423f"
	expect(&t, ML_EV_WRITE_V1,
		"010000000000 0100 03 ff f8 01000000" START LIVE "f8 02000000" START LIVE_2106
		"f8 03000000" START START,
		"I(1)\nI(2)\n", 2);
	expect(&t, ML_EV_UPDATE_V1,
		"010000000000 0100 03 ff ff f8 01000000" START LIVE "f8 04000000" START LIVE "f8 02000000" START LIVE
		"f8 02000000" START START "f8 03000000" START START "f8 03000000" START START,
		"U(1>4)\nD(2)\n", 2);
	expect(&t, ML_EV_DELETE_V1, "010000000000 0100 03 ff f8 01000000" START LIVE "f8 02000000" START START,
		"D(1)\n", 1);
	table_drop(&t);
}

static void
definitions_that_do_not_fit_are_refused(void **state)
{
	static const struct {
		const char *map;
		const char *why;
	} rows[] = {
		{ MAP_HEAD "03 03 0f 03 02 1400 02", "3 columns in the log, 2 in the definition" },
		{ MAP_HEAD "01 03 00 00", "1 columns in the log, 2 in the definition" },
		{ MAP_HEAD "02 08 0f 02 1400 02", "a column is of another type: c1" },
		{ MAP_HEAD "02 03 0f 02 1500 02", "a string's length differs: c2" },
		{ MAP_HEAD "02 03 0f 02 1400 00", "a column's NOT NULL differs: c2" },
		/* With names: c2 is gone. */
		{ MAP_HEAD "02 03 0f 02 1400 02 04 06 026331 027832", "the log lacks a column of the definition" },
	};
	struct table known;

	(void)state;
	table_parse(&known, MAP_HEAD "02 03 0f 02 1400 02");
	known.schema->columns[1].flen = 5;
	table_prepare(&known);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char want[256];
		struct table t;
		struct ml_err err = { 0 };

		table_parse(&t, rows[i].map);
		assert_int_equal(ml_rowdec_new(&t.dec, &t.tm, known.schema, utc, "bin.000001:4", &err), -1);
		snprintf(want, sizeof(want),
			"row event at bin.000001:4 for d.t does not fit the known definition (%s); set "
			"binlog_row_metadata=FULL or re-create the changefeed",
			rows[i].why);
		assert_string_equal(err.text, want);
		table_drop(&t);
	}
	/* A trailing BIGINT is a cloud's hidden key. */
	{
		struct table t;
		struct ml_schema *own;

		table_parse(&t, MAP_HEAD "03 03 0f 08 02 1400 02");
		own = t.schema;
		t.schema = ml_schema_ref(known.schema);
		table_prepare(&t);
		expect(&t, ML_EV_WRITE_V1, "010000000000 0100 03 07 f8 32000000 0161 0900000000000000", "I(50|a)\n", 1);
		ml_schema_unref(own);
		table_drop(&t);
	}
	/* Names join in any case and order. */
	{
		struct table t;
		struct ml_schema *own;

		table_parse(&t, MAP_HEAD "02 0f 03 02 1400 01 02 01 2d 04 06 024332 024331");
		own = t.schema;
		t.schema = ml_schema_ref(known.schema);
		table_prepare(&t);
		expect(&t, ML_EV_WRITE_V1, "010000000000 0100 02 03 fc 0161 32000000", "I(50|a)\n", 1);
		ml_schema_unref(own);
		table_drop(&t);
	}
	table_drop(&known);
}

static void
partial_updates_patch_the_old_document(void **state)
{
	struct table t;

	(void)state;
	/* id int, j json: a diff, one that changes nothing, and NULL without partial values. */
	table_parse(&t, MAP_HEAD "02 03f5 01 04 02");
	table_prepare(&t);
#define OLD "7|{\"a\": 1, \"b\": [1, 2, 3], \"c\": {\"x y\": \"s\"}}>"
	expect(&t, ML_EV_PARTIAL_UPDATE,
		"01000000000001000200020303fc070000003a0000000003003900190001001a0001001b000100050100021c000029006162"
		"6303000d00050100050200050300010010000b0003000c0e0078207901730101fc080000000b0000000006242e625b305d02"
		"0401fc070000003a0000000003003900190001001a0001001b000100050100021c0000290061626303000d00050100050200"
		"050300010010000b0003000c0e0078207901730101fc0900000000000000fc070000003a0000000003003900190001001a00"
		"01001b000100050100021c0000290061626303000d00050100050200050300010010000b0003000c0e00782079017300fe0a"
		"000000",
		"U(" OLD "8|{\"a\": 1, \"b\": [true, 2, 3], \"c\": {\"x y\": \"s\"}})\n"
		"U(" OLD "9|{\"a\": 1, \"b\": [1, 2, 3], \"c\": {\"x y\": \"s\"}})\n"
		"U(" OLD "10|NULL)\n",
		3);
	table_drop(&t);
}

static int
open_utc(void **state)
{
	(void)state;
	return ml_tz_open(&utc, "UTC", NULL);
}

static int
close_utc(void **state)
{
	(void)state;
	ml_tz_free(utc);
	ml_batch_pool_drain();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_table_map_with_full_metadata_is_read),
		cmocka_unit_test(every_type_has_its_form),
		cmocka_unit_test(generated_columns_may_be_left_out),
		cmocka_unit_test(timestamps_come_in_the_zone_and_nothing_else_does),
		cmocka_unit_test(cut_events_are_refused),
		cmocka_unit_test(compressed_rows_are_unpacked),
		cmocka_unit_test(fixed_length_types_get_their_zeros_back),
		cmocka_unit_test(old_temporals_need_their_digits),
		cmocka_unit_test(missing_columns_are_told),
		cmocka_unit_test(an_event_can_be_read_in_pieces),
		cmocka_unit_test(only_current_rows_of_versioned_tables_come_out),
		cmocka_unit_test(definitions_that_do_not_fit_are_refused),
		cmocka_unit_test(partial_updates_patch_the_old_document),
	};

	return cmocka_run_group_tests(tests, open_utc, close_utc);
}
