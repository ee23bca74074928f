/* Logs of real MySQL servers (tests/golden/mysql_log) through groups: what is seen, where it ends, and every way to cut them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "capture-worker/mounter/binlog.h"
#include "capture-worker/source/mysql/event_mysql.h"
#include "capture-worker/source/mysql/group.h"
#include "capture-worker/source/mysql/payload.h"

static struct ml_buf seen;
static struct ml_reader reader;
static uint64_t last_us;
static bool whole; /* events are as the server wrote them */

static int
on_open(void *arg, const struct ml_ev_gtid *id, uint32_t timestamp, struct ml_err *err)
{
	if (!whole)
		return 0;
	assert_true(id->mysql);
	/* Microseconds of the same second, or of the one before: the header's is that of the statement. */
	assert_true(id->time_us / 1000000 - timestamp <= 1);
	assert_true(id->time_us > last_us);
	last_us = id->time_us;
	if (id->anonymous)
		ml_buf_puts(&seen, "open ");
	else
		ml_buf_printf(&seen, "open %s%s%d ", id->tag, id->tag[0] != '\0' ? ":" : "", (int)id->number);
	return 0;
}

static int
on_map(void *arg, const struct ml_ev *e, struct ml_err *err)
{
	ml_buf_puts(&seen, "map ");
	return 0;
}

static int
on_rows(void *arg, const struct ml_ev *e, struct ml_err *err)
{
	ml_buf_puts(&seen, e->type == ML_EV_WRITE_V2         ? "write "
			   : e->type == ML_EV_UPDATE_V2      ? "update "
			   : e->type == ML_EV_PARTIAL_UPDATE ? "partial "
							     : "delete ");
	return 0;
}

static int
on_statement(void *arg, const struct ml_ev_query *q, const struct ml_ddl_stmt *stmt, struct ml_err *err)
{
	if (!whole)
		return 0;
	if (stmt->class == ML_DDL_DDL) {
		assert_int_equal(stmt->n_items, 1);
		ml_buf_printf(&seen, "ddl %.*s.%.*s ", (int)stmt->items[0].db.len, stmt->items[0].db.s,
			(int)stmt->items[0].table.len, stmt->items[0].table.s);
		assert_null(strstr(stmt->items[0].query.s, "START TRANSACTION"));
	} else {
		assert_int_equal(stmt->class, ML_DDL_TXN);
		ml_buf_printf(&seen, "%s ",
			stmt->txn == ML_TXN_SAVEPOINT     ? "savepoint"
			: stmt->txn == ML_TXN_XA_START    ? "xa-start"
			: stmt->txn == ML_TXN_XA_END      ? "xa-end"
			: stmt->txn == ML_TXN_XA_COMMIT   ? "xa-commit"
			: stmt->txn == ML_TXN_XA_ROLLBACK ? "xa-rollback"
							  : "?");
	}
	if (stmt->txn == ML_TXN_XA_START)
		assert_true(reader.id.flags & ML_GTIDF_XA_PREPARE);
	return 0;
}

static int
on_close(void *arg, enum ml_group_end how, struct ml_err *err)
{
	static const char *const names[] = { "commit", "rollback", "statement", "prepared" };

	ml_buf_printf(&seen, "%s; ", names[how]);
	return 0;
}

static void
on_discard(void *arg)
{
	ml_buf_puts(&seen, "discard; ");
}

static int
on_head(void *arg, struct ml_err *err)
{
	ml_buf_puts(&seen, "head; ");
	return 0;
}

static void
on_file(void *arg)
{
}

static const struct ml_group_ops ops = {
	.open = on_open,
	.map = on_map,
	.rows = on_rows,
	.statement = on_statement,
	.close = on_close,
	.discard = on_discard,
	.head = on_head,
	.file = on_file,
};

static void
start(void)
{
	struct ml_place p = { .file = "mysql-bin.000002", .offset = 4 };

	ml_reader_fini(&reader);
	ml_reader_init(&reader, &ops, NULL);
	reader.flavor = ML_MYSQL;
	ml_reader_start(&reader, &p, 4);
	ml_buf_clear(&seen);
	last_us = 0;
	whole = true;
}

static uint8_t *
log_of(const char *name, size_t *n)
{
	static uint8_t buf[16384];
	char path[300];
	FILE *f;

	snprintf(path, sizeof(path), ML_TEST_DIR "/golden/mysql_log/%s", name);
	f = fopen(path, "rb");
	assert_non_null(f);
	*n = fread(buf, 1, sizeof(buf), f);
	fclose(f);
	assert_in_range(*n, 1000, sizeof(buf) - 1);
	return buf;
}

static uint32_t
size_at(const uint8_t *p)
{
	uint32_t len;

	memcpy(&len, p + 9, 4);
	return len;
}

static void
groups_of_a_whole_log(void **state)
{
	static const struct {
		const char *name, *id[14], *set;
		uint64_t end;
	} rows[] = {
		{ "gtid",
			{ "4 ", "5 ", "6 ", "7 ", "8 ", "9 ", "10 ", "11 ", "12 ", "13 ", "14 ", "15 ", "16 ", "17 " },
			"242db545-e8a8-11f1-be36-02fc00000001:1-17", 4908 },
		{ "anonymous", { "", "", "", "", "", "", "", "", "", "", "", "", "", "" }, "", 4466 },
		{ "tagged",
			{ "blue:1 ", "4 ", "5 ", "6 ", "7 ", "8 ", "9 ", "10 ", "11 ", "12 ", "13 ", "14 ", "15 ",
				"16 " },
			"3ea0822e-e8a8-11f1-b5d2-02fc00000001:1-16,3ea0822e-e8a8-11f1-b5d2-02fc00000001:blue:1", 4914 },
	};
	static const char *const groups[14] = {
		"map write commit; ",
		"map update savepoint map delete commit; ",
		"map partial commit; ",
		"map write commit; ",
		"map write map update commit; ", /* compressed */
		"ddl d.s map write commit; ",    /* CREATE TABLE .. SELECT */
		"ddl d.a statement; ",
		"ddl d.t statement; ",
		"ddl d.t statement; ",
		"xa-start map write xa-end commit; ",
		"xa-start map write xa-end prepared; ",
		"xa-rollback statement; ",
		"xa-start map write xa-end prepared; ",
		"xa-commit statement; ",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_buf want = { 0 }, set = { 0 };
		struct ml_err err = { 0 };
		size_t n;
		uint8_t *log = log_of(rows[i].name, &n);

		for (size_t k = 0; k < 14; k++)
			ml_buf_printf(&want, "open %s%s", rows[i].id[k], groups[k]);
		start();
		for (size_t at = 0; at < n; at += size_at(log + at))
			if (ml_reader_feed(&reader, log + at, size_at(log + at), &err) < 0)
				fail_msg("%s at %zu: %s", rows[i].name, at, err.text);
		assert_string_equal(seen.data, want.data);
		ml_place_print_gtids(&reader.place, &set);
		assert_string_equal(set.len > 0 ? set.data : "", rows[i].set);
		assert_int_equal(ml_place_has_gtids(&reader.place), set.len > 0);
		/* The end of the last group: of the next file the artificial ROTATE tells. */
		assert_int_equal(reader.place.offset, rows[i].end);
		ml_buf_fini(&want);
		ml_buf_fini(&set);
	}
}

static void
places_lie_between_groups(void **state)
{
	struct ml_err err = { 0 };
	size_t n, at;
	uint8_t *log = log_of("gtid", &n);
	uint64_t place;

	(void)state;
	start();
	for (at = 0; at < n; at += size_at(log + at)) {
		place = reader.place.offset;
		assert_int_equal(ml_reader_feed(&reader, log + at, size_at(log + at), &err), 0);
		if (reader.open || log[at + 4] == ML_EV_ROTATE)
			assert_int_equal(reader.place.offset, place);
		else
			assert_int_equal(reader.place.offset, 4 + at + size_at(log + at));
	}
	/* Reading again from there, a group that has been delivered is another history. */
	start();
	assert_int_equal(ml_place_parse_gtids(&reader.place, ML_MYSQL, "242db545-e8a8-11f1-be36-02fc00000001:1-4"), 0);
	for (at = 0; size_at(log + at) != 79; at += size_at(log + at))
		assert_int_equal(ml_reader_feed(&reader, log + at, size_at(log + at), &err), 0);
	assert_int_equal(ml_reader_feed(&reader, log + at, size_at(log + at), &err), -1);
	assert_int_equal(err.code, ML_ErrMySQLGTIDDiverged);
	assert_int_equal(ml_place_parse_gtids(&reader.place, ML_MYSQL, "0-1-4"), -1);
	assert_int_equal(ml_place_parse_gtids(&reader.place, ML_MARIADB, "0-1-4"), 0);
}

/* Any event cut short, with its length corrected and no checksum to tell: refused or passed over, never read over its end. */
static void
events_cut_short(void **state)
{
	static const char *const names[] = { "gtid", "anonymous", "tagged" };

	(void)state;
	whole = false;
	for (size_t i = 0; i < 3; i++) {
		size_t n;
		uint8_t *log = log_of(names[i], &n);

		for (size_t at = 0; at < n; at += size_at(log + at)) {
			uint32_t len = size_at(log + at) - (i == 1 ? 0 : 4);

			for (uint32_t cut = ML_EV_HEADER; cut < len; cut++) {
				struct ml_err err = { 0 };
				uint8_t *ev = malloc(cut);
				struct ml_reader r;
				int rc;

				assert_non_null(ev);
				memcpy(ev, log + at, cut);
				memcpy(ev + 9, &cut, 4);
				ml_reader_init(&r, &ops, NULL);
				r.flavor = ML_MYSQL;
				ml_reader_start(&r, &(struct ml_place){ .file = "mysql-bin.000002", .offset = 4 }, 0);
				r.open = r.begun = r.id.mysql = r.id.anonymous = ev[4] != ML_EV_GTID;
				if (ev[4] == ML_EV_GTID || ev[4] == ML_EV_ANONYMOUS_GTID ||
					ev[4] == ML_EV_GTID_TAGGED) {
					struct ml_ev e;
					struct ml_ev_gtid id;

					/* Later servers append: what is short is an older one's, down to the number. */
					assert_int_equal(ml_ev_split(&e, ev, cut, 0), 0);
					rc = ml_ev_mysql_gtid(&id, &e);
					if (ev[4] != ML_EV_GTID_TAGGED)
						assert_int_equal(rc, cut < ML_EV_HEADER + 25 ? -1 : 0);
				} else {
					rc = ml_reader_feed(&r, ev, cut, &err);
					assert_int_equal(rc < 0, err.code != ML_OK);
					if (ev[4] == ML_EV_TRANSACTION_PAYLOAD || ev[4] == ML_EV_PREVIOUS_GTIDS)
						assert_int_equal(err.code, ML_ErrMySQLEventCorrupt);
				}
				ml_reader_fini(&r);
				free(ev);
			}
		}
	}
}

static int
feed(uint8_t type, uint32_t ts, uint32_t next_pos, const void *body, size_t n)
{
	uint8_t ev[512] = { 0 };
	uint32_t size = (uint32_t)(19 + n);
	struct ml_err err;

	memcpy(ev, &ts, 4);
	ev[4] = type;
	memcpy(ev + 9, &size, 4);
	memcpy(ev + 13, &next_pos, 4);
	memcpy(ev + 19, body, n);
	return ml_reader_feed(&reader, ev, size, &err);
}

static void
heartbeats(void **state)
{
	/* Name, position as a number with its length, end. */
	static const uint8_t far[] = "\x01\x10mysql-bin.000002\x02\x09\xfe\x00\x02\x00\x00\x01\x00\x00\x00\x00";
	static const uint8_t no_place[] = "\x01\x10mysql-bin.000002";

	(void)state;
	start();
	reader.crc_len = 0;
	assert_int_equal(feed(ML_EV_HEARTBEAT_V2, 0, 0, far, sizeof(far) - 1), 0);
	assert_string_equal(seen.data, "head; ");
	assert_int_equal(reader.place.offset, 0x100000200);
	assert_int_equal(feed(ML_EV_HEARTBEAT_V2, 0, 0, no_place, sizeof(no_place) - 1), -1);
	/* By GTID the first one for a place may only tell of groups that were passed over. */
	start();
	reader.crc_len = 0;
	reader.by_gtid = true;
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(feed(ML_EV_HEARTBEAT, 0, 500 + 100 * i, "mysql-bin.000002", 16), 0);
		assert_string_equal(seen.len > 0 ? seen.data : "", "");
		assert_int_equal(reader.place.offset, 500 + 100 * i);
	}
	assert_int_equal(feed(ML_EV_HEARTBEAT, 0, 600, "mysql-bin.000002", 16), 0);
	assert_string_equal(seen.data, "head; ");
}

/* The compressed transaction of a log, as its body; and what is in it. */
static const uint8_t *
payload_of(size_t *len)
{
	size_t n;
	uint8_t *log = log_of("gtid", &n);

	for (size_t at = 0; at < n; at += size_at(log + at))
		if (log[at + 4] == ML_EV_TRANSACTION_PAYLOAD) {
			*len = size_at(log + at) - ML_EV_HEADER - 4;
			return log + at + ML_EV_HEADER;
		}
	fail();
	return NULL;
}

static int
count(struct ml_payload *p, const uint8_t *body, size_t len, uint8_t *all, size_t *n)
{
	const uint8_t *ev;
	size_t size;
	int rc, events = 0;

	*n = 0;
	if (ml_payload_open(p, body, len) < 0)
		return -1;
	while ((rc = ml_payload_next(p, &ev, &size)) > 0) {
		memcpy(all + *n, ev, size);
		*n += size;
		events++;
	}
	return rc < 0 ? -1 : events;
}

static void
payloads(void **state)
{
	struct ml_payload *p = ml_payload_new();
	uint8_t all[1024], again[1024], body[1024] = { 1, 3, 0xFC, 0, 0, 2, 1, 0, 3, 3, 0xFC, 0, 0, 0 }, *w;
	const size_t head = 14;
	size_t len = 0, n, m, a, b;
	const uint8_t *real = payload_of(&len);

	(void)state;
	assert_int_equal(count(p, real, len, all, &n), 6); /* BEGIN, two tables, two of rows, XID */
	assert_int_equal(n, 402);
	/* In two frames, cut in the middle of an event. */
	w = body + head;
	a = ZSTD_compress(w, 400, all, 150, 3);
	b = ZSTD_compress(w + a, 400, all + 150, n - 150, 3);
	assert_false(ZSTD_isError(a) || ZSTD_isError(b));
	body[3] = (uint8_t)(a + b);
	body[4] = (uint8_t)((a + b) >> 8);
	body[11] = (uint8_t)n;
	body[12] = (uint8_t)(n >> 8);
	assert_int_equal(count(p, body, head + a + b, again, &m), 6);
	assert_int_equal(m, n);
	assert_memory_equal(again, all, n);
	/* A frame that is missing, or cut off. */
	for (size_t k = 0; k < a + b; k++) {
		body[3] = (uint8_t)k;
		body[4] = (uint8_t)(k >> 8);
		if (k != 0 && k != a)
			assert_int_equal(count(p, body, head + k, again, &m), -1);
	}
	/* More inside than the head says. */
	body[3] = (uint8_t)(a + b);
	body[4] = (uint8_t)((a + b) >> 8);
	body[11] = 100;
	body[12] = 0;
	assert_int_equal(count(p, body, head + a + b, again, &m), -1);
	/* An unknown compression, and none. */
	body[7] = 1;
	assert_int_equal(ml_payload_open(p, body, head + a + b), -1);
	memcpy(body, "\1\3\xfc\x92\1\2\3\xfc\xff\0\0", 11);
	memcpy(body + 11, all, n);
	assert_int_equal(count(p, body, 11 + n, again, &m), 6);
	assert_int_equal(m, n);
	assert_int_equal(count(p, body, 11 + n - 1, again, &m), -1);
	ml_payload_free(p);
}

static void
numbers_of_tagged_events(void **state)
{
	/* version, size, last field; 1 uuid (a byte above 0x7f takes two), 2 number -1, 3 tag, 6 time in nine bytes */
	static const uint8_t body[] = {
		0x02, 0x50, 0x12,                                                            /* */
		0x02, 0, 2, 4, 6, 8, 10, 12, 14, 0x01, 0x02, 2, 4, 6, 8, 10, 12, 0xFD, 0x03, /* last two: 0x80, 0xFF */
		0x04, 0x14,                                                                  /* 5 << 1, << 1 */
		0x06, 0x04, 'a', 'b',                                                        /* */
		0x0c, 0xFF, 1, 2, 3, 4, 5, 6, 7, 0,                                          /* */
	};
	struct ml_ev e = { .type = ML_EV_GTID_TAGGED, .body = body, .body_len = sizeof(body) };
	struct ml_ev_gtid g;

	(void)state;
	assert_int_equal(ml_ev_mysql_gtid(&g, &e), 0);
	assert_int_equal(g.number, 5);
	assert_string_equal(g.tag, "ab");
	assert_int_equal(g.uuid[1], 1);
	assert_int_equal(g.uuid[8], 0x80);
	assert_int_equal(g.uuid[15], 0xFF);
	assert_int_equal(g.time_us, 0x07060504030201);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(groups_of_a_whole_log),
		cmocka_unit_test(places_lie_between_groups),
		cmocka_unit_test(events_cut_short),
		cmocka_unit_test(heartbeats),
		cmocka_unit_test(payloads),
		cmocka_unit_test(numbers_of_tagged_events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
