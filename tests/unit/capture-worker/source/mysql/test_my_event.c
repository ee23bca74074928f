/* Events of the binary log as MariaDB 10.11 wrote them, and bodies cut short anywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "capture-worker/source/mysql/event.h"

static size_t
unhex(uint8_t *out, const char *hex)
{
	size_t n = 0;
	unsigned hi = 0, digits = 0;

	for (; *hex != '\0'; hex++) {
		static const char set[] = "0123456789abcdef";
		const char *d = strchr(set, *hex);

		if (d == NULL)
			continue;
		if (digits++ % 2 == 0)
			hi = (unsigned)(d - set);
		else
			out[n++] = (uint8_t)(hi << 4 | (unsigned)(d - set));
	}
	return n;
}

static struct ml_ev
body(uint8_t type, uint8_t *buf, const char *hex)
{
	return (struct ml_ev){ .type = type, .server_id = 11, .body = buf, .body_len = (uint32_t)unhex(buf, hex) };
}

static void
splits_events_and_checks_their_sizes(void **state)
{
	uint8_t ev[64] = { 0 };
	struct ml_ev e;
	uint32_t crc;

	(void)state;
	ev[0] = 0x78;
	ev[4] = ML_EV_XID;
	ev[5] = 7;
	ev[9] = 19 + 8 + 4;
	ev[13] = 0x10;
	ev[14] = 0x01;
	ev[19] = 11;
	crc = (uint32_t)crc32(0, ev, 27);
	memcpy(ev + 27, &crc, 4);
	assert_int_equal(ml_ev_split(&e, ev, 31, 4), 0);
	assert_int_equal(e.type, ML_EV_XID);
	assert_int_equal(e.timestamp, 0x78);
	assert_int_equal(e.server_id, 7);
	assert_int_equal(e.next_pos, 0x110);
	assert_int_equal(e.body_len, 8);
	assert_true(ml_ev_crc_ok(ev, 31));
	ev[20] ^= 1;
	assert_false(ml_ev_crc_ok(ev, 31));
	assert_int_equal(ml_ev_split(&e, ev, 30, 4), -1);
	assert_int_equal(ml_ev_split(&e, ev, 18, 0), -1);
	ev[9] = 20;
	assert_int_equal(ml_ev_split(&e, ev, 20, 4), -1);
	assert_int_equal(ml_ev_split(&e, ev, 20, 0), 0);
}

static void
reads_gtid_events(void **state)
{
	static const struct {
		const char *hex;
		uint64_t seq;
		uint8_t flags, extra;
		uint32_t format;
		const char *xid;
	} rows[] = {
		{ "0300000000000000 00000000 0c 000000000000", 3, 0x0c, 0, 0, "" },
		{ "0300000000000000 00000000 29 000000000000", 3, 0x29, 0, 0, "" },
		{ "2c00000000000000 00000000 4c 07000000 02 02 67316231 01 ff", 44, 0x4c, 1, 7, "g1b1" },
		{ "aadc060000000000 00000000 29 02 0000000000", 0x6dcaa, 0x29, 2, 0, "" },
		{ "abdc060000000000 00000000 29 04 aadc060000000000", 0x6dcab, 0x29, 4, 0, "" },
	};
	uint8_t buf[64];
	struct ml_ev_gtid g;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_ev e = body(ML_EV_MARIA_GTID, buf, rows[i].hex);

		assert_int_equal(ml_ev_maria_gtid(&g, &e), 0);
		assert_int_equal(g.gtid.seq, rows[i].seq);
		assert_int_equal(g.gtid.domain, 0);
		assert_int_equal(g.gtid.server, 11);
		assert_int_equal(g.flags, rows[i].flags);
		assert_int_equal(g.flags_extra, rows[i].extra);
		assert_int_equal(g.xid.format, rows[i].format);
		assert_int_equal(g.xid.gtrid_len + g.xid.bqual_len, strlen(rows[i].xid));
		assert_memory_equal(g.xid.data, rows[i].xid, strlen(rows[i].xid));
		e.body_len = 12;
		assert_int_equal(ml_ev_maria_gtid(&g, &e), -1);
	}
}

static void
reads_gtid_lists_by_domain(void **state)
{
	uint8_t buf[64];
	struct ml_ev e = body(ML_EV_MARIA_GTID_LIST, buf,
		"02000000 05000000 0b000000 0200000000000000 00000000 0b000000 a4b1090000000000");
	struct ml_gtid_list l = { 0 };
	struct ml_buf text = { 0 };

	(void)state;
	assert_int_equal(ml_ev_maria_gtid_list(&l, &e), 0);
	ml_gtid_list_print(&l, &text);
	assert_string_equal(text.data, "0-11-635300,5-11-2");
	e.body_len -= 1;
	assert_int_equal(ml_ev_maria_gtid_list(&l, &e), -1);
	ml_gtid_list_fini(&l);
	ml_buf_fini(&text);
}

static void
parses_gtid_texts(void **state)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ "", "" },
		{ "0-1-42", "0-1-42" },
		{ " 7-3-9,\n0-1-42 ", "0-1-42,7-3-9" },
		{ "0-1-42,0-2-43", "0-2-43" },
		{ "4294967295-4294967295-18446744073709551615", "4294967295-4294967295-18446744073709551615" },
		{ "4294967296-1-1", NULL },
		{ "0-1", NULL },
		{ "0-1-1,", NULL },
		{ "0-1-18446744073709551616", NULL },
		{ "0-1-1;", NULL },
		{ "x", NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_gtid_list l = { 0 };
		struct ml_buf text = { 0 };

		assert_int_equal(ml_gtid_list_parse(&l, rows[i].text), rows[i].want != NULL ? 0 : -1);
		ml_gtid_list_print(&l, &text);
		assert_string_equal(text.len > 0 ? text.data : "", rows[i].want != NULL ? rows[i].want : "");
		ml_gtid_list_fini(&l);
		ml_buf_fini(&text);
	}
	assert_int_equal(ml_binlog_number("binlog.000042"), 42);
	assert_int_equal(ml_binlog_number("a.b.1000000"), 1000000);
	assert_true(ml_binlog_number("binlog.1000000") > ml_binlog_number("binlog.999999"));
	assert_true(ml_binlog_number("binlog") == UINT64_MAX);
	assert_true(ml_binlog_number("binlog.x1") == UINT64_MAX);
	assert_true(ml_binlog_same_base("a.000001", "a.000002"));
	assert_false(ml_binlog_same_base("a.000001", "b.000002"));
}

/* A QUERY body: thread 9, schema "d", status variables sql_mode 0x4, charsets, microseconds; then the text. */
static const char query_head[] = "09000000 00000000 01 0000 1400"
				 "01 0400000000000000"
				 "04 2d00 2d00 0800"
				 "80 40e201"
				 "6400";

static void
reads_statements_and_their_variables(void **state)
{
	uint8_t buf[512], *text;
	struct ml_ev e = body(ML_EV_QUERY, buf, query_head);
	struct ml_ev_query q;
	struct ml_buf scratch = { 0 };
	static const char sql[] = "CREATE TABLE t (a int)";

	(void)state;
	memcpy(buf + e.body_len, sql, strlen(sql));
	e.body_len += (uint32_t)strlen(sql);
	assert_int_equal(ml_ev_query(&q, &e, &scratch), 0);
	assert_int_equal(q.thread_id, 9);
	assert_int_equal(q.db.len, 1);
	assert_memory_equal(q.db.s, "d", 1);
	assert_int_equal(q.sql.len, strlen(sql));
	assert_memory_equal(q.sql.s, sql, strlen(sql));
	assert_true(q.has_sql_mode);
	assert_int_equal(q.sql_mode, 4);
	assert_int_equal(q.client_charset, 45);
	assert_int_equal(q.server_collation, 8);
	assert_int_equal(q.micros, 123456);

	/* The same text compressed: descriptor 0x81, one byte of length, zlib. */
	uLongf n = sizeof(buf);

	e = body(ML_EV_MARIA_QUERY_COMPRESSED, buf, query_head);
	text = buf + e.body_len;
	text[0] = 0x81;
	text[1] = (uint8_t)strlen(sql);
	n = (uLongf)(sizeof(buf) - e.body_len - 2);
	assert_int_equal(compress(text + 2, &n, (const Bytef *)sql, (uLong)strlen(sql)), Z_OK);
	e.body_len += 2 + (uint32_t)n;
	assert_int_equal(ml_ev_query(&q, &e, &scratch), 0);
	assert_int_equal(q.sql.len, strlen(sql));
	assert_memory_equal(q.sql.s, sql, strlen(sql));
	text[1]++;
	assert_int_equal(ml_ev_query(&q, &e, &scratch), -1);
	text[1]--;
	text[0] = 0x85;
	assert_int_equal(ml_ev_query(&q, &e, &scratch), -1);
	/* A length that no zlib stream of this size can unfold to is refused before memory is taken for it. */
	memcpy(text, "\x84\x3f\xff\xff\xff\x78", 6);
	assert_int_equal(ml_ev_query(&q, &e, &scratch), -1);
	assert_true(scratch.cap < 1u << 20);
	ml_buf_fini(&scratch);
}

static void
stops_at_unknown_status_variables(void **state)
{
	uint8_t buf[64];
	/* 132 is of unknown length: what stands behind it is not looked at. */
	struct ml_ev e = body(ML_EV_QUERY, buf, "00000000 00000000 00 0000 0300 84 ff ff 00 424547494e");
	struct ml_ev_query q;
	struct ml_buf scratch = { 0 };

	(void)state;
	assert_int_equal(ml_ev_query(&q, &e, &scratch), 0);
	assert_int_equal(q.sql.len, 5);
	e = body(ML_EV_QUERY, buf, "00000000 00000000 00 0000 0200 01 ff 00 424547494e");
	assert_int_equal(ml_ev_query(&q, &e, &scratch), -1);
	ml_buf_fini(&scratch);
}

/* MySQL names the databases that a transaction changes, or says that they are too many: always, where foreign keys are. */
static void
reads_names_of_changed_databases(void **state)
{
	static const char *const events[] = {
		"00000000 00000000 00 0000 0800 0c 02 6100 6200 12 ff 00 424547494e", /* cut: 0x12 has two bytes */
		"00000000 00000000 00 0000 0900 0c 02 6100 6200 12 ff00 00 424547494e",
		"00000000 00000000 00 0000 0500 0c fe 12 ff00 00 424547494e",
		"00000000 00000000 00 0000 0500 0c ff 12 ff00 00 424547494e",
	};
	struct ml_ev_query q;
	struct ml_buf scratch = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		uint8_t buf[64];
		struct ml_ev e = body(ML_EV_QUERY, buf, events[i]);

		assert_int_equal(ml_ev_query(&q, &e, &scratch), i == 0 ? -1 : 0);
		if (i > 0) {
			assert_int_equal(q.collations[0], 255);
			assert_int_equal(q.sql.len, 5);
		}
	}
	ml_buf_fini(&scratch);
}

/* What character sets mean without a collation: MariaDB's pairs (with charsets behind them), MySQL's one of utf8mb4. */
static void
reads_default_collations(void **state)
{
	uint8_t buf[128];
	struct ml_ev e = body(ML_EV_QUERY, buf,
		"00000000 00000000 00 0000 1100 83 02 2100 0008 2d00 0009 04 2d00 2d00 0009 00 424547494e");
	struct ml_ev_query q;
	struct ml_buf scratch = { 0 };

	(void)state;
	assert_int_equal(ml_ev_query(&q, &e, &scratch), 0);
	assert_int_equal(q.n_collations, 2);
	assert_int_equal(q.collations[0], 2048);
	assert_int_equal(q.collations[1], 2304);
	assert_int_equal(q.server_collation, 2304);
	assert_false(q.implicit_timestamps);
	e = body(ML_EV_QUERY, buf, "00000000 00000000 00 0000 0500 10 00 12 ff00 00 424547494e");
	assert_int_equal(ml_ev_query(&q, &e, &scratch), 0);
	assert_int_equal(q.n_collations, 1);
	assert_int_equal(q.collations[0], 255);
	assert_true(q.implicit_timestamps);
	/* More pairs than there are bytes. */
	e = body(ML_EV_QUERY, buf, "00000000 00000000 00 0000 0600 83 ff 2100 0008 00 424547494e");
	assert_int_equal(ml_ev_query(&q, &e, &scratch), -1);
	ml_buf_fini(&scratch);
}

static void
reads_xa_ids(void **state)
{
	uint8_t buf[64];
	struct ml_ev e = body(ML_EV_XA_PREPARE, buf, "00 07000000 02000000 02000000 67316231");
	struct ml_ev_xa_prepare x;
	struct ml_xid xid;
	char text[300];
	static const struct {
		const char *sql;
		int rc;
	} rows[] = {
		{ "XA COMMIT X'6731',X'6231',7", 0 },
		{ "XA ROLLBACK 'g1','b1',7", 0 },
		{ "xa commit x'6731', X'6231' , 7", -1 },
		{ "XA COMMIT X'673',X'',1", -1 },
		{ "XA COMMIT", -1 },
		{ "XA PREPARE X'6731'", -1 },
		{ "XA COMMIT X'67g1'", -1 },
		{ "XA COMMIT X'6731',X'6231',99999999999", -1 },
	};

	(void)state;
	assert_int_equal(ml_ev_xa_prepare(&x, &e), 0);
	assert_false(x.one_phase);
	assert_string_equal(ml_xid_print(&x.xid, text, sizeof(text)), "X'6731',X'6231',7");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].rc < 0)
			continue;
		assert_int_equal(ml_xid_parse(&xid, rows[i].sql, strlen(rows[i].sql)), 0);
		assert_true(ml_xid_equal(&xid, &x.xid));
	}
	for (size_t i = 3; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(ml_xid_parse(&xid, rows[i].sql, strlen(rows[i].sql)), -1);
	assert_int_equal(ml_xid_parse(&xid, "XA COMMIT 'a'", 13), 0);
	assert_int_equal(xid.format, 1);
	e.body_len--;
	assert_int_equal(ml_ev_xa_prepare(&x, &e), -1);
}

static void
reads_the_small_ones(void **state)
{
	uint8_t buf[300];
	struct ml_ev e = body(ML_EV_ROTATE, buf, "0400000000000000 6d62696e2e303030303032");
	struct ml_ev_rotate r;
	struct ml_ev_format f;
	char file[256], text[8];
	uint16_t code;

	(void)state;
	assert_int_equal(ml_ev_rotate(&r, &e), 0);
	assert_string_equal(r.file, "mbin.000002");
	assert_int_equal(r.pos, 4);
	e.body_len = 8;
	assert_int_equal(ml_ev_rotate(&r, &e), -1);
	e = body(ML_EV_HEARTBEAT, buf, "6d62696e2e303030303032");
	assert_int_equal(ml_ev_heartbeat(file, &e), 0);
	assert_string_equal(file, "mbin.000002");
	e = body(ML_EV_INCIDENT, buf, "0100 0b 4c4f53545f4556454e5453");
	assert_int_equal(ml_ev_incident(&code, text, sizeof(text), &e), 0);
	assert_int_equal(code, 1);
	assert_string_equal(text, "LOST_EV");
	e.body_len--;
	assert_int_equal(ml_ev_incident(&code, text, sizeof(text), &e), -1);
	memset(buf, 0, sizeof(buf));
	buf[0] = 4;
	memcpy(buf + 2, "10.11.19-MariaDB-log", 20);
	buf[56] = 19;
	buf[57 + 200] = 1;
	e = (struct ml_ev){ .type = ML_EV_FORMAT, .body = buf, .body_len = 57 + 201 };
	assert_int_equal(ml_ev_format(&f, &e), 0);
	assert_string_equal(f.server_version, "10.11.19-MariaDB-log");
	assert_int_equal(f.checksum, 1);
	buf[0] = 3;
	assert_int_equal(ml_ev_format(&f, &e), -1);
}

/* No prefix of a body may be read past its end: the buffer is exactly as long, so that the sanitizer sees it. */
static void
survives_bodies_cut_anywhere(void **state)
{
	static const struct {
		uint8_t type;
		const char *hex;
	} rows[] = {
		{ ML_EV_MARIA_GTID, "2c00000000000000 00000000 4e 0100000000000000 07000000 02 02 67316231 01 ff" },
		{ ML_EV_MARIA_GTID_LIST, "01000000 05000000 0b000000 0200000000000000" },
		{ ML_EV_QUERY, query_head },
		{ ML_EV_XA_PREPARE, "00 07000000 02000000 02000000 67316231" },
		{ ML_EV_QUERY,
			"00000000 00000000 02 0000 1a00 0c02610062 00 05035554430600 0b 0161 0162 02 0373 7464 00"
			"82 04 0100000000000000 6464 00 41" },
	};
	uint8_t buf[512];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_ev e = body(rows[i].type, buf, rows[i].hex);

		for (uint32_t n = 0; n <= e.body_len; n++) {
			uint8_t *exact = malloc(n > 0 ? n : 1);
			struct ml_ev cut = { .type = e.type, .body = exact, .body_len = n };
			struct ml_gtid_list l = { 0 };
			struct ml_buf scratch = { 0 };
			struct ml_ev_query q;
			struct ml_ev_gtid g;
			struct ml_ev_xa_prepare x;

			memcpy(exact, buf, n);
			if (e.type == ML_EV_QUERY)
				(void)ml_ev_query(&q, &cut, &scratch);
			else if (e.type == ML_EV_MARIA_GTID)
				(void)ml_ev_maria_gtid(&g, &cut);
			else if (e.type == ML_EV_MARIA_GTID_LIST)
				assert_int_equal(ml_ev_maria_gtid_list(&l, &cut), n == e.body_len ? 0 : -1);
			else
				assert_int_equal(ml_ev_xa_prepare(&x, &cut), n == e.body_len ? 0 : -1);
			ml_gtid_list_fini(&l);
			ml_buf_fini(&scratch);
			free(exact);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(splits_events_and_checks_their_sizes),
		cmocka_unit_test(reads_gtid_events),
		cmocka_unit_test(reads_gtid_lists_by_domain),
		cmocka_unit_test(parses_gtid_texts),
		cmocka_unit_test(reads_statements_and_their_variables),
		cmocka_unit_test(stops_at_unknown_status_variables),
		cmocka_unit_test(reads_default_collations),
		cmocka_unit_test(reads_names_of_changed_databases),
		cmocka_unit_test(reads_xa_ids),
		cmocka_unit_test(reads_the_small_ones),
		cmocka_unit_test(survives_bodies_cut_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
