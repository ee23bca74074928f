/* Events to groups: where groups begin and end, what is refused, places in the log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <zlib.h>
#include <stdio.h>
#include <string.h>

#include "capture-worker/source/mysql/check.h"
#include "capture-worker/source/mysql/group.h"

/* What the callbacks saw, as text: "open 0-1-5; map; rows; close commit; " */
static struct ml_buf seen;

static int
on_open(void *arg, const struct ml_ev_gtid *id, uint32_t timestamp, struct ml_err *err)
{
	ml_buf_printf(&seen, "open %llu; ", (unsigned long long)id->gtid.seq);
	return 0;
}

static int
on_map(void *arg, const struct ml_ev *e, struct ml_err *err)
{
	ml_buf_puts(&seen, "map; ");
	return 0;
}

static int
on_rows(void *arg, const struct ml_ev *e, struct ml_err *err)
{
	ml_buf_puts(&seen, "rows; ");
	return 0;
}

static int
on_statement(void *arg, const struct ml_ev_query *q, const struct ml_ddl_stmt *stmt, struct ml_err *err)
{
	ml_buf_printf(&seen, "%s; ", stmt->class == ML_DDL_DDL ? "ddl" : stmt->class == ML_DDL_TXN ? "txn" : "other");
	return 0;
}

static int
on_close(void *arg, enum ml_group_end how, struct ml_err *err)
{
	static const char *const names[] = { "commit", "rollback", "statement", "prepared" };

	ml_buf_printf(&seen, "close %s; ", names[how]);
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
	ml_buf_puts(&seen, "file; ");
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

static struct ml_reader reader;

static void
start(const char *file, uint64_t offset)
{
	struct ml_place p = { .offset = offset };

	ml_reader_fini(&reader);
	ml_reader_init(&reader, &ops, NULL);
	snprintf(p.file, sizeof(p.file), "%s", file);
	ml_reader_start(&reader, &p, 0);
	ml_buf_clear(&seen);
}

/* Feeds an event without checksum; pad: bytes of zero behind the body, to make it long. */
static int
feed_at(uint8_t type, uint32_t ts, uint32_t next_pos, uint16_t flags, const void *body, size_t n, struct ml_err *err)
{
	static uint8_t ev[1024];
	uint32_t size = (uint32_t)(19 + n);

	memset(ev, 0, 19);
	memcpy(ev, &ts, 4);
	ev[4] = type;
	ev[5] = 1;
	memcpy(ev + 9, &size, 4);
	memcpy(ev + 13, &next_pos, 4);
	memcpy(ev + 17, &flags, 2);
	if (n > 0)
		memcpy(ev + 19, body, n);
	return ml_reader_feed(&reader, ev, size, err);
}

static int
gtid(uint64_t seq, uint8_t flags, uint32_t next_pos)
{
	uint8_t body[19] = { 0 };
	struct ml_err err;

	memcpy(body, &seq, 8);
	body[12] = flags;
	return feed_at(ML_EV_MARIA_GTID, 1000, next_pos, 8, body, sizeof(body), &err);
}

static int
query(const char *sql, uint32_t next_pos)
{
	uint8_t body[512] = { 0 };
	struct ml_err err;
	size_t n = strlen(sql);

	body[8] = 1;
	body[13] = 'd';
	memcpy(body + 15, sql, n);
	return feed_at(ML_EV_QUERY, 1000, next_pos, 0, body, 15 + n, &err);
}

static int
plain(uint8_t type, uint32_t next_pos)
{
	uint8_t body[16] = { 0 };
	struct ml_err err;

	return feed_at(type, 1000, next_pos, 0, body, sizeof(body), &err);
}

static int
rotate(const char *file, uint64_t pos)
{
	uint8_t body[300];
	struct ml_err err;

	memcpy(body, &pos, 8);
	memcpy(body + 8, file, strlen(file));
	return feed_at(ML_EV_ROTATE, 0, 0, ML_EVF_ARTIFICIAL, body, 8 + strlen(file), &err);
}

static int
format(uint32_t created, uint32_t next_pos)
{
	uint8_t body[57 + 201 + 4] = { 4 };
	struct ml_err err;

	memcpy(body + 2, "10.11.19-MariaDB", 17);
	memcpy(body + 52, &created, 4);
	body[56] = 19;
	return feed_at(ML_EV_FORMAT, 500, next_pos, 0, body, sizeof(body), &err);
}

static int
heartbeat(const char *file, uint32_t pos)
{
	struct ml_err err;

	return feed_at(ML_EV_HEARTBEAT, 0, pos, 0, file, strlen(file), &err);
}

static void
a_transaction_is_a_group(void **state)
{
	(void)state;
	start("b.000001", 300);
	assert_int_equal(rotate("b.000001", 300), 0);
	assert_int_equal(format(0, 0), 0);
	ml_buf_clear(&seen);
	assert_int_equal(gtid(5, 0x0c, 342), 0);
	assert_int_equal(plain(ML_EV_MARIA_ANNOTATE, 400), 0);
	assert_int_equal(plain(ML_EV_TABLE_MAP, 450), 0);
	assert_int_equal(plain(23, 500), 0);
	assert_int_equal(reader.place.offset, 300); /* places are known between groups only */
	assert_int_equal(query("SAVEPOINT `a`", 550), 0);
	assert_int_equal(plain(25, 600), 0);
	assert_int_equal(plain(ML_EV_XID, 631), 0);
	assert_string_equal(seen.data, "open 5; map; rows; txn; rows; close commit; ");
	assert_int_equal(reader.place.offset, 631);
	assert_int_equal(reader.place.gtids.n, 1);
	assert_int_equal(reader.place.gtids.v[0].seq, 5);
	assert_int_equal(heartbeat("b.000001", 631), 0);
	assert_string_equal(seen.data, "open 5; map; rows; txn; rows; close commit; head; ");
}

static void
groups_end_in_their_own_ways(void **state)
{
	(void)state;
	start("b.000001", 4);
	assert_int_equal(gtid(1, 0x29, 100), 0);
	assert_int_equal(query("CREATE TABLE t (a INT)", 200), 0);
	assert_string_equal(seen.data, "open 1; ddl; close statement; ");
	ml_buf_clear(&seen);
	assert_int_equal(gtid(2, 0x28, 300), 0);
	assert_int_equal(query("CREATE TABLE u (a INT)", 400), 0);
	assert_int_equal(plain(ML_EV_TABLE_MAP, 450), 0);
	assert_int_equal(plain(23, 500), 0);
	assert_int_equal(plain(ML_EV_XID, 531), 0);
	assert_string_equal(seen.data, "open 2; ddl; map; rows; close commit; ");
	ml_buf_clear(&seen);
	assert_int_equal(gtid(3, 0x08, 600), 0);
	assert_int_equal(plain(ML_EV_TABLE_MAP, 650), 0);
	assert_int_equal(plain(23, 700), 0);
	assert_int_equal(query("COMMIT", 750), 0);
	assert_int_equal(gtid(4, 0x0c, 800), 0);
	assert_int_equal(query("ROLLBACK", 850), 0);
	assert_string_equal(seen.data, "open 3; map; rows; close commit; open 4; close rollback; ");
	assert_int_equal(query("# Dummy event replacing event type 160", 900), 0);
}

static void
xa_prepare_closes_without_commit(void **state)
{
	static const uint8_t id[] = { 0x2c, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x4c, 7, 0, 0, 0, 2, 2, 'g', '1', 'b', '1',
		1, 0xff };
	static const uint8_t prepare[] = { 0, 7, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 'g', '1', 'b', '1' };
	struct ml_err err;

	(void)state;
	start("b.000001", 4);
	assert_int_equal(feed_at(ML_EV_MARIA_GTID, 1000, 100, 8, id, sizeof(id), &err), 0);
	assert_int_equal(plain(ML_EV_TABLE_MAP, 150), 0);
	assert_int_equal(plain(23, 200), 0);
	assert_int_equal(query("XA END X'6731',X'6231',7", 250), 0);
	assert_int_equal(feed_at(ML_EV_XA_PREPARE, 1000, 300, 0, prepare, sizeof(prepare), &err), 0);
	assert_string_equal(seen.data, "open 44; map; rows; txn; close prepared; ");
	assert_int_equal(reader.id.xid.format, 7);
}

static void
cut_off_groups_are_discarded(void **state)
{
	(void)state;
	start("b.000001", 4);
	assert_int_equal(gtid(1, 0x0c, 100), 0);
	assert_int_equal(plain(ML_EV_TABLE_MAP, 150), 0);
	assert_int_equal(gtid(2, 0x0c, 200), 0);
	assert_int_equal(plain(ML_EV_XID, 231), 0);
	assert_string_equal(seen.data, "open 1; map; discard; open 2; close commit; ");
	ml_buf_clear(&seen);
	assert_int_equal(gtid(3, 0x0c, 300), 0);
	assert_int_equal(rotate("b.000002", 4), 0);
	assert_string_equal(seen.data, "open 3; discard; file; ");
	assert_string_equal(reader.place.file, "b.000002");
	assert_int_equal(reader.place.offset, 4);
	assert_int_equal(format(12345, 256), 0);
	assert_int_equal(reader.place.offset, 256);
	/* A real ROTATE does not switch, since it is missing after a crash. */
	{
		uint8_t body[8 + 8] = { 4 };
		struct ml_err err;

		memcpy(body + 8, "b.000003", 8);
		assert_int_equal(feed_at(ML_EV_ROTATE, 1000, 300, 0, body, sizeof(body), &err), 0);
		assert_string_equal(reader.place.file, "b.000002");
	}
}

static void
what_would_lose_data_is_refused(void **state)
{
	struct ml_err err = { 0 };
	static const uint8_t incident[] = { 1, 0, 3, 'b', 'a', 'd' };
	uint8_t none[20] = { 0 };

	(void)state;
	start("b.000001", 4);
	assert_int_equal(feed_at(ML_EV_TABLE_MAP, 1, 50, 0, none, sizeof(none), &err), -1);
	assert_int_equal(err.code, ML_ErrMySQLPositionInsideGroup);
	assert_int_equal(feed_at(ML_EV_XID, 1, 50, 0, none, 8, &err), -1);
	assert_int_equal(err.code, ML_ErrMySQLPositionInsideGroup);
	assert_int_equal(feed_at(ML_EV_INCIDENT, 1, 50, 0, incident, sizeof(incident), &err), -1);
	assert_int_equal(err.code, ML_ErrMySQLIncident);
	assert_non_null(strstr(err.text, "bad"));
	assert_int_equal(feed_at(200, 1, 50, 0, none, 4, &err), -1);
	assert_int_equal(err.code, ML_ErrMySQLUnknownEvent);
	assert_int_equal(feed_at(200, 1, 50, ML_EVF_IGNORABLE, none, 4, &err), 0);
	assert_int_equal(feed_at(ML_EV_BEGIN_LOAD, 1, 50, 0, none, 4, &err), -1);
	assert_int_equal(err.code, ML_ErrMySQLStatementEvent);
	assert_int_equal(feed_at(ML_EV_MARIA_GTID, 1, 50, 0, none, 5, &err), -1);
	assert_int_equal(err.code, ML_ErrMySQLEventCorrupt);
}

/* An event with a checksum, of which the byte at `damage` is changed then; -1: none is. */
static int
feed_sealed(uint8_t type, uint32_t ts, uint32_t next_pos, uint16_t flags, const void *body, uint32_t n, int damage,
	struct ml_err *err)
{
	uint8_t ev[512] = { 0 };
	uint32_t size = 19 + n + 4, crc;

	memcpy(ev, &ts, 4);
	ev[4] = type;
	ev[5] = 1;
	memcpy(ev + 9, &size, 4);
	memcpy(ev + 13, &next_pos, 4);
	memcpy(ev + 17, &flags, 2);
	memcpy(ev + 19, body, n);
	crc = (uint32_t)crc32(0, ev, size - 4);
	memcpy(ev + size - 4, &crc, 4);
	if (damage >= 0)
		ev[damage] ^= 0x20;
	return ml_reader_feed(&reader, ev, size, err);
}

/* A FORMAT_DESCRIPTION with checksums on, of a file in use or not. */
static int
format_with_checksums(uint16_t flags, int damage, struct ml_err *err)
{
	uint8_t body[57 + 201] = { 4 };

	memcpy(body + 2, "10.11.19-MariaDB", 17);
	body[56] = 19;
	body[sizeof(body) - 1] = 1;
	return feed_sealed(ML_EV_FORMAT, 500, 256, flags, body, sizeof(body), damage, err);
}

static void
every_event_of_the_file_is_checked(void **state)
{
	static const uint8_t none[40];
	uint8_t id[19] = { 9 }, file[8 + 8] = { 4, 0, 0, 0, 0, 0, 0, 0, 'b', '.', '0', '0', '0', '0', '0', '2' };
	struct ml_err err = { 0 };

	(void)state;
	start("b.000001", 4);
	/* The damage would be invisible: a bit of a row's value, of an id, of a time. */
	assert_int_equal(format_with_checksums(0, -1, &err), 0);
	ml_buf_clear(&seen);
	assert_int_equal(feed_sealed(ML_EV_MARIA_GTID, 600, 300, 8, id, sizeof(id), 19, &err), -1);
	assert_int_equal(err.code, ML_ErrMySQLEventCorrupt);
	assert_non_null(strstr(err.text, "its checksum is wrong"));
	assert_int_equal(seen.len, 0);
	assert_int_equal(feed_sealed(ML_EV_MARIA_GTID, 600, 300, 8, id, sizeof(id), -1, &err), 0);
	for (int at = 0; at < 19 + 40 + 4; at++) {
		if (at >= 9 && at < 13)
			continue; /* the length is compared before */
		if (at == 4)
			continue; /* it would be a HEARTBEAT or so; below */
		assert_int_equal(feed_sealed(23, 600, 400, 0, none, sizeof(none), at, &err), -1);
		assert_int_equal(err.code, ML_ErrMySQLEventCorrupt);
		assert_non_null(strstr(err.text, "its checksum is wrong"));
	}
	assert_int_equal(feed_sealed(23, 600, 400, 0, none, sizeof(none), -1, &err), 0);
	/* Neither a cleared time nor the flag hides it. */
	assert_int_equal(feed_sealed(23, 0, 400, ML_EVF_ARTIFICIAL, none, sizeof(none), 30, &err), -1);
	assert_int_equal(feed_sealed(ML_EV_XID, 600, 431, 0, none, 8, 20, &err), -1);
	assert_int_equal(feed_sealed(ML_EV_XID, 600, 431, 0, none, 8, -1, &err), 0);
	assert_string_equal(seen.data, "open 9; rows; close commit; ");
	/* The file's own ROTATE has one; what the server makes up need not. */
	assert_int_equal(feed_sealed(ML_EV_ROTATE, 600, 480, 0, file, sizeof(file), 20, &err), -1);
	assert_int_equal(feed_sealed(ML_EV_ROTATE, 600, 480, 0, file, sizeof(file), -1, &err), 0);
	assert_int_equal(feed_sealed(ML_EV_ROTATE, 0, 0, ML_EVF_ARTIFICIAL, file, sizeof(file), 19 + 16, &err), 0);
	assert_int_equal(feed_sealed(ML_EV_HEARTBEAT, 0, 4, 0, "b.000002", 8, 19 + 8, &err), 0);
}

static void
a_head_is_checked_as_it_was_before_the_file_was_opened(void **state)
{
	uint8_t body[57 + 201] = { 4 }, ev[19 + sizeof(body) + 4] = { 0 };
	uint32_t ts = 500, size = sizeof(ev), crc;
	struct ml_err err = { 0 };

	(void)state;
	start("b.000001", 4);
	assert_int_equal(format_with_checksums(0, 19 + 60, &err), -1);
	assert_non_null(strstr(err.text, "its checksum is wrong"));
	/* LOG_EVENT_BINLOG_IN_USE_F is set when the checksum stands already. */
	memcpy(body + 2, "10.11.19-MariaDB", 17);
	body[56] = 19;
	body[sizeof(body) - 1] = 1;
	memcpy(ev, &ts, 4);
	ev[4] = ML_EV_FORMAT;
	memcpy(ev + 9, &size, 4);
	memcpy(ev + 19, body, sizeof(body));
	crc = (uint32_t)crc32(0, ev, size - 4);
	memcpy(ev + size - 4, &crc, 4);
	ev[17] |= 1;
	assert_int_equal(ml_reader_feed(&reader, ev, size, &err), 0);
	ev[17] |= 2;
	assert_int_equal(ml_reader_feed(&reader, ev, size, &err), -1);
}

static void
offsets_go_on_beyond_4_gib(void **state)
{
	(void)state;
	start("b.000001", 0xFFFFFF00);
	assert_int_equal(gtid(1, 0x0c, 0xFFFFFF40), 0);
	assert_int_equal(plain(ML_EV_XID, 0x100), 0);
	assert_int_equal(reader.place.offset, 0x100000100);
	assert_int_equal(gtid(2, 0x0c, 0x140), 0);
	assert_int_equal(plain(ML_EV_XID, 0x180), 0);
	assert_int_equal(reader.place.offset, 0x100000180);
	/* MariaDB 11.4 writes no positions inside of groups. */
	assert_int_equal(gtid(3, 0x0c, 0x200), 0);
	assert_int_equal(plain(ML_EV_TABLE_MAP, 0), 0);
	assert_int_equal(plain(23, 0), 0);
	assert_int_equal(plain(ML_EV_XID, 0x300), 0);
	assert_int_equal(reader.place.offset, 0x100000300);
	assert_int_equal(rotate("b.000002", 4), 0);
	assert_int_equal(reader.place.offset, 4);
	assert_int_equal(gtid(4, 0x0c, 300), 0);
	assert_int_equal(plain(ML_EV_XID, 331), 0);
	assert_int_equal(reader.place.offset, 331);
}

static void
a_start_by_gtid_learns_its_place(void **state)
{
	static const uint8_t list[] = { 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0 };
	struct ml_err err;

	(void)state;
	start("b.000001", 5000);
	assert_int_equal(rotate("b.000001", 4), 0);
	assert_int_equal(format(0, 256), 0);
	assert_int_equal(reader.place.offset, 256);
	assert_int_equal(feed_at(ML_EV_MARIA_GTID_LIST, 0, 5000, ML_EVF_ARTIFICIAL, list, sizeof(list), &err), 0);
	assert_int_equal(reader.place.offset, 5000);
	assert_int_equal(reader.place.gtids.v[0].seq, 9);
	/* Of a file that has not been announced a heartbeat proves nothing. */
	ml_buf_clear(&seen);
	assert_int_equal(heartbeat("b.000002", 400), 0);
	assert_int_equal(seen.len, 0);
}

static void
a_replaced_history_is_noticed(void **state)
{
	struct ml_place p = { .file = "b.000001", .offset = 300 };

	(void)state;
	for (uint64_t seq = 8; seq <= 10; seq++) {
		start("b.000001", 300);
		ml_gtid_list_set(&p.gtids, &(struct ml_gtid){ .domain = 0, .server = 1, .seq = 9 });
		ml_reader_start(&reader, &p, 0);
		assert_int_equal(gtid(seq, 0x0c, 342), seq > 9 ? 0 : -1);
		ml_place_fini(&p);
		p = (struct ml_place){ .file = "b.000001", .offset = 300 };
	}
	assert_int_equal(plain(ML_EV_XID, 400), 0);
	/* Only the first group is held against the place: later ones may come out of order when the server allows it. */
	assert_int_equal(gtid(7, 0x0c, 442), 0);
}

static void
grants_are_read_word_by_word(void **state)
{
	static const struct {
		const char *line, *privilege;
		bool want;
	} rows[] = {
		{ "GRANT SELECT, REPLICATION SLAVE, BINLOG MONITOR ON *.* TO `m`@`%` IDENTIFIED BY PASSWORD '*1'",
			"REPLICATION SLAVE", true },
		{ "GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION", "BINLOG MONITOR", true },
		{ "GRANT REPLICATION SLAVE ADMIN ON *.* TO `m`@`%`", "REPLICATION SLAVE", false },
		{ "GRANT ALL PRIVILEGES ON `d`.* TO `m`@`%`", "REPLICATION SLAVE", false },
		{ "GRANT `reader` TO `m`@`%`", "REPLICATION SLAVE", false },
		{ "GRANT BINLOG MONITOR ON *.* TO `reader`", "BINLOG MONITOR", true },
		{ "GRANT USAGE ON *.* TO `REPLICATION SLAVE`@`%`", "REPLICATION SLAVE", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(ml_grant_has(rows[i].line, rows[i].privilege), rows[i].want);
}

static int
clean(void **state)
{
	(void)state;
	ml_reader_fini(&reader);
	ml_buf_fini(&seen);
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_transaction_is_a_group),
		cmocka_unit_test(groups_end_in_their_own_ways),
		cmocka_unit_test(xa_prepare_closes_without_commit),
		cmocka_unit_test(cut_off_groups_are_discarded),
		cmocka_unit_test(what_would_lose_data_is_refused),
		cmocka_unit_test(every_event_of_the_file_is_checked),
		cmocka_unit_test(a_head_is_checked_as_it_was_before_the_file_was_opened),
		cmocka_unit_test(offsets_go_on_beyond_4_gib),
		cmocka_unit_test(a_start_by_gtid_learns_its_place),
		cmocka_unit_test(a_replaced_history_is_noticed),
		cmocka_unit_test(grants_are_read_word_by_word),
	};

	ml_reader_init(&reader, &ops, NULL);
	return cmocka_run_group_tests(tests, NULL, clean);
}
