#!/usr/bin/env python3
"""
The initial copy: tables that hold rows already arrive whole while they are written to, whatever is killed meanwhile.

--rows N --kills N: how long the copy is that is killed; 5000000 and 20 is the long form.
"""
import json
import random
import re
import threading
import time

from lib import decode, parts, same
from lib.case import Case, arguments, main
from lib.mariadb import MariaDB
from lib.mysql import MySQL
from lib.server import Millrace

TYPES = """
    id BIGINT PRIMARY KEY, ti TINYINT, tu TINYINT UNSIGNED, si SMALLINT, mi MEDIUMINT, mu MEDIUMINT UNSIGNED, i INT,
    iz INT(8) UNSIGNED ZEROFILL, bi BIGINT, bu BIGINT UNSIGNED, f FLOAT, f2 FLOAT(7,3), d DOUBLE, d2 DOUBLE(9,2),
    de DECIMAL(65,30), dz DECIMAL(10,2) ZEROFILL, b1 BIT, b13 BIT(13), b64 BIT(64), y YEAR, da DATE,
    t0 TIME, t1 TIME(1), t6 TIME(6), dt0 DATETIME, dt3 DATETIME(3), dt6 DATETIME(6), ts0 TIMESTAMP NULL,
    ts2 TIMESTAMP(2) NULL, ts6 TIMESTAMP(6) NULL, c CHAR(10), cl CHAR(255), v VARCHAR(100), vl VARCHAR(3000), bn BINARY(8),
    vb VARBINARY(20), tb TINYBLOB, bl BLOB, mb MEDIUMBLOB, lb LONGBLOB, tt TINYTEXT, tx TEXT, lt LONGTEXT,
    e ENUM('a','b','ü'), s SET('p','q','r'), j JSON, g GEOMETRY, p POINT, in6 INET6, in4 INET4, uu UUID,
    l1 VARCHAR(10) CHARACTER SET latin1, gb VARCHAR(10) CHARACTER SET gbk, u16 VARCHAR(10) CHARACTER SET utf16,
    eg ENUM('甲','乙') CHARACTER SET gbk, vz VARCHAR(1000) COMPRESSED, bz BLOB COMPRESSED,
    gv INT AS (id + 1) VIRTUAL, gs INT AS (id + 2) STORED, inv INT INVISIBLE DEFAULT 7"""
COLUMNS = ("id, ti, tu, si, mi, mu, i, iz, bi, bu, f, f2, d, d2, de, dz, b1, b13, b64, y, da, t0, t1, t6, dt0, dt3, dt6, ts0, "
           "ts2, ts6, c, cl, v, vl, bn, vb, tb, bl, mb, lb, tt, tx, lt, e, s, j, g, p, in6, in4, uu, l1, gb, u16, eg, vz, bz")
VALUES = [
    "1, -1, 255, -2, -3, 16777215, -4, 42, -9223372036854775808, 18446744073709551615, 0.1, 3.125, 2.25, 1.5, "
    "12345678901234567890.000000000000000000000000000001, 3.5, b'1', b'1000000000001', x'ffffffffffffffff', 2024, "
    "'2024-02-29', '-12:34:56', '-00:00:00.1', '-01:02:03.000001', '2024-02-29 01:02:03', '2024-02-29 01:02:03.123', "
    "'2024-02-29 01:02:03.123456', '2024-02-29 01:02:03', '2024-02-29 01:02:03.12', '2024-02-29 01:02:03.123456', 'ab ', "
    "'cd', 'é\"\\\\', REPEAT('€', 2000), 'ij', 'kl', 'tb', x'00ff', REPEAT(x'01', 70000), 'lb', 'tt', 't', "
    "REPEAT('x', 200000), 'ü', 'p,r', '{\"k\":[1,2.5,\"x\"]}', POINT(1, 2), POINT(3, 4), '2001:db8::1', '10.1.2.3', "
    "'123e4567-e89b-12d3-a456-426655440000', 'é€', '中', '中😀', '乙', REPEAT('z', 300), REPEAT('y', 300)",
    "2, 127, 0, 32767, 8388607, 0, 2147483647, 0, 9223372036854775807, 0, -1e30, -0.001, 1e308, -0.01, "
    "-0.000000000000000000000000000001, 0, b'0', b'0', b'0', 1901, '0000-00-00', '838:59:59', '00:00:00.0', "
    "'838:59:59.999999', '0000-00-00 00:00:00', '9999-12-31 23:59:59.999', '1000-01-01 00:00:00', 0, 0, "
    "'2038-01-19 03:14:07.999999', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '', '[]', NULL, NULL, '::', "
    "'0.0.0.0', '00000000-0000-0000-0000-000000000000', '', '', '', '甲', '', ''",
    "3, " + ", ".join(["NULL"] * 56),
    "4, -128, 1, -32768, -8388608, 1, -2147483648, 99999999, 0, 9223372036854775808, 1.17549e-38, 9999.999, 4.9e-324, "
    "9999999.99, 99999999999999999999999999999999999.999999999999999999999999999999, 99999999.99, b'1', b'1', b'1', 0, "
    "'2024-00-00', '-838:59:59', '-838:59:59.9', '100:00:00.5', '2024-00-00 00:00:00', '2024-02-29 00:00:00.001', "
    "'2024-12-31 23:59:59.000001', '1970-01-01 00:00:01', '2001-09-09 01:46:40.5', '1970-01-01 00:00:01.000001', "
    "'x  y', REPEAT('ß', 255), ' lead', 'trail ', x'6100620000', x'00', x'00', x'27', x'5c', x'0a', '\\n', '\\t', "
    "'</script>&', 2, 5, '\"text\"', POINT(-1.5, 1e10), POINT(0, 0), '::ffff:1.2.3.4', '255.255.255.255', "
    "'ffffffff-ffff-ffff-ffff-ffffffffffff', 'ÿ', '〇', 'a', NULL, 'short', x'00'",
]


args = arguments(rows=60000, kills=3)


class Killed(Case):
    """Into a server that is empty, while rows are written, the worker killed again and again."""
    TABLES = 3

    def write(self, number):
        dice, size = random.Random(number), args.rows // self.TABLES
        with self.db.connect() as c:
            while not self.stop.is_set():
                n, key = dice.randrange(self.TABLES), dice.randrange(1, size + size // 8)
                c.run(dice.choice([f"REPLACE INTO killed.t{n} VALUES ({key}, {dice.randrange(1000)}, 'new', REPEAT('r', 40))",
                                   f"UPDATE killed.t{n} SET v = v + 1 WHERE id BETWEEN {key} AND {key + 3}",
                                   f"UPDATE IGNORE killed.t{n} SET id = {key + size} WHERE id = {key}",
                                   f"DELETE FROM killed.t{n} WHERE id = {key}"]))
                self.written += 1
                time.sleep(0.001)

    def watch(self):
        """Who waits for a lock of tables or of everything, or holds one, on the source; and the progress of each table."""
        with self.db.connect() as c:
            while not self.stop.is_set():
                self.looks += 1
                for state, text in c.query("SELECT STATE, INFO FROM information_schema.PROCESSLIST WHERE INFO IS NOT NULL AND ID <> "
                                           "CONNECTION_ID()"):
                    if re.search("waiting.*(lock|flush)", str(state).lower()) or re.match("LOCK|FLUSH|BACKUP", text):
                        self.locks.append((state, text))
                time.sleep(0.01)

    def rows(self):
        found = {t["table"]: t["rows"] for t in self.server.changefeed("killed").get("snapshot", {}).get("tables", [])}
        for table, rows in found.items():
            self.progress.setdefault(table, []).append(rows)
        return sum(found.values())

    def test_the_copy_is_equal(self):
        self.db, target = MariaDB({"innodb-buffer-pool-size": "256M"}), MariaDB({"server-id": "2001", "log-bin": MariaDB.OFF})
        self.db.run("CREATE DATABASE killed")
        for n in range(self.TABLES):
            self.db.run(f"CREATE TABLE killed.t{n} (id INT PRIMARY KEY, v INT, a VARCHAR(20) DEFAULT 'd', pad CHAR(60), KEY (v))",
                        f"INSERT INTO killed.t{n} SELECT seq, seq MOD 1000, 'old', REPEAT('p', 40) FROM killed.seq_1_to_{args.rows // self.TABLES}")
        self.server = Millrace(self.db)
        self.stop, self.written, self.looks, self.locks, self.progress = threading.Event(), 0, 0, [], {}
        threads = [threading.Thread(target=self.write, args=(n,)) for n in range(2)] + [threading.Thread(target=self.watch)]
        for t in threads:
            t.start()
        begin = time.monotonic()
        try:
            self.server.create("killed", target.uri(), filter_rules=["killed.*"], replica_config={
                "snapshot": "incremental", "snapshot-chunk-rows": max(500, args.rows // 1000),
                # Slow enough to be killed so often before it is through.
                "max-rows-per-second": max(5000, args.rows // 100)})
            for n in range(args.kills):
                mark = args.rows * (n + 1) // (args.kills + 2)
                parts.wait_until(lambda mark=mark: self.rows() >= mark, 600, f"{mark} rows are copied")
                self.server.kill_worker("killed")
            parts.wait_until(lambda: self.rows() >= 0 and self.server.changefeed("killed")["snapshot"]["state"] == "finished", 900,
                             "the copy is complete")
            seconds = time.monotonic() - begin
        finally:
            self.stop.set()
            for t in threads:
                t.join()
        self.server.wait_caught_up("killed", 300)
        self.assertEqual(same.difference(self.db, target, "killed"), "")
        self.assertEqual(self.locks, [], "nobody held or awaited a lock of tables")
        self.assertGreater(self.looks, 20)
        self.assertEqual(sorted(self.progress), [f"t{n}" for n in range(self.TABLES)])
        for table, seen in self.progress.items():
            self.assertEqual(seen, sorted(seen), f"progress of {table} never goes back")
        print(f"      {args.rows} rows copied in {seconds:.0f} s with {args.kills} kills and {self.written} statements beside", flush=True)


class Snapshot(Case):
    @classmethod
    def setUpParts(cls):
        cls.db = MariaDB()
        cls.server = Millrace(cls.db)

    def feed(self, name, *rules, server=None, settings=None, query="", **body):
        root = parts.temp_dir("copy")
        (server or self.server).create(
            name, f"file://{root}?protocol=canal-json&enable-tidb-extension=true&flush-interval=2s{query}",
            filter_rules=list(rules), replica_config={"snapshot": "incremental", **(settings or {})}, **body)
        return root

    def copied(self, name, server=None, timeout=120):
        """Waits until all tables are copied; the detail's object."""
        last = (server or self.server).wait_for(name, lambda d: d.get("snapshot", {}).get("state") == "finished", timeout,
                                            f"the copy of {name} is finished")
        return last["snapshot"]

    def held(self, root):
        """What a consumer has who applies the files in order."""
        return decode.State().apply_all(decode.storage(root))

    def assert_equal(self, root, db, table, columns="id, v", held=None):
        """The consumer's rows against the table's."""
        want = sorted(tuple(r) for r in self.db.query(f"SELECT {columns} FROM {db}.{table}"))
        names = [c.strip() for c in columns.split(",")]
        got = sorted(tuple(row[n] for n in names) for row in (held or self.held(root)).rows(db, table).values())
        text = [tuple(None if v is None else str(v) for v in r) for r in want]
        self.assertEqual(len(got), len(text), f"{db}.{table}")
        self.assertEqual(got, sorted(text), f"{db}.{table}")

    def test_a_row_of_every_type_is_the_same_from_the_table_and_from_the_log(self):
        self.db.run("CREATE DATABASE kinds", "SET NAMES utf8mb4", f"CREATE TABLE kinds.t ({TYPES}) DEFAULT CHARSET=utf8mb4")
        streamed = parts.temp_dir("stream")
        self.server.create("kinds-log", f"file://{streamed}?protocol=canal-json&flush-interval=2s", filter_rules=["kinds.*"])
        with self.db.connect() as c:
            c.run("SET NAMES utf8mb4", "SET sql_mode='ALLOW_INVALID_DATES'", "SET time_zone='+00:00'")
            for values in VALUES:
                c.run(f"INSERT INTO kinds.t ({COLUMNS}) VALUES ({values})")
        self.server.wait_caught_up("kinds-log")
        root = parts.temp_dir("copy")
        self.server.create("kinds", f"file://{root}?protocol=canal-json&flush-interval=2s", filter_rules=["kinds.*"],
                           snapshot="incremental")
        self.copied("kinds")
        self.server.wait_caught_up("kinds")

        def lines(folder):
            found = {}
            for path in decode.storage_files(folder):
                for line in path.read_bytes().split(b"\r\n"):
                    if line:
                        doc = json.loads(line)
                        for name in ("id", "es", "ts"):
                            doc.pop(name, None)
                        found[doc["data"][0]["id"]] = (line.split(b'"sqlType"')[1], doc)
            return found
        log, table = lines(streamed), lines(root)
        self.assertEqual(sorted(log), ["1", "2", "3", "4"])
        self.assertEqual(sorted(table), sorted(log))
        for key in log:
            for name, value in log[key][1]["data"][0].items():
                self.assertEqual(table[key][1]["data"][0][name], value, f"row {key}, column {name}")
            self.assertEqual(table[key], log[key])

    def test_tables_are_copied_while_they_are_written_to(self):
        self.db.run("CREATE DATABASE busy")
        for n in range(3):
            self.db.run(f"CREATE TABLE busy.t{n} (id INT PRIMARY KEY, v INT)",
                        f"INSERT INTO busy.t{n} SELECT seq, 0 FROM busy.seq_1_to_30000")
        self.db.run("CREATE TABLE busy.c (a VARCHAR(20), b INT, v INT, PRIMARY KEY (a, b))",
                    "INSERT INTO busy.c SELECT CONCAT('k', seq DIV 100), seq, 0 FROM busy.seq_1_to_10000")
        stop = threading.Event()
        locked = []

        def write(number):
            dice = random.Random(number)
            with self.db.connect() as c:
                while not stop.is_set():
                    table, key = f"busy.t{dice.randrange(3)}", dice.randrange(1, 40000)
                    c.run(dice.choice([f"REPLACE INTO {table} VALUES ({key}, {dice.randrange(1000)})",
                                       f"UPDATE {table} SET v = v + 1 WHERE id = {key}",
                                       f"DELETE FROM {table} WHERE id = {key}",
                                       f"UPDATE IGNORE {table} SET id = {key + 50000} WHERE id = {key}",
                                       f"UPDATE busy.c SET v = v + 1 WHERE a = 'k{key % 10000 // 100}' AND b = {key % 10000}"]))
                    time.sleep(0.001)

        def watch():
            with self.db.connect() as c:
                while not stop.is_set():
                    locked.extend(r for r in c.query("SELECT STATE, INFO FROM information_schema.PROCESSLIST WHERE INFO IS "
                                                     "NOT NULL") if re.search("waiting.*lock|waiting.*flush", str(r[0]).lower()) or
                                  "LOCK TABLES" in str(r[1]) or "FLUSH TABLES" in str(r[1]))
                    time.sleep(0.01)
        threads = [threading.Thread(target=write, args=(n,)) for n in range(2)] + [threading.Thread(target=watch)]
        for t in threads:
            t.start()
        try:
            root = self.feed("busy", "busy.*", settings={"snapshot-chunk-rows": 500})
            done = self.copied("busy")
        finally:
            stop.set()
            for t in threads:
                t.join()
        self.server.wait_caught_up("busy")
        self.assertEqual([t for t in locked if "PROCESSLIST" not in str(t)], [], "nobody held or awaited a lock")
        self.assertEqual({t["table"]: t["percent"] for t in done["tables"]}, {"t0": 100, "t1": 100, "t2": 100, "c": 100})
        held = self.held(root)
        for n in range(3):
            self.assert_equal(root, "busy", f"t{n}", held=held)
        self.assert_equal(root, "busy", "c", "a, b, v", held)

    def test_definitions_change_while_a_table_is_copied(self):
        self.db.run("CREATE DATABASE ddl", "CREATE TABLE ddl.t (id INT PRIMARY KEY, v INT)",
                    "INSERT INTO ddl.t SELECT seq, 0 FROM ddl.seq_1_to_20000",
                    "CREATE TABLE ddl.u (id INT PRIMARY KEY, v INT)", "INSERT INTO ddl.u SELECT seq, 0 FROM ddl.seq_1_to_20000")
        root = self.feed("ddl", "ddl.*", settings={"snapshot-chunk-rows": 500, "max-rows-per-second": 8000})
        time.sleep(0.5)
        self.db.run("ALTER TABLE ddl.t ADD COLUMN w INT DEFAULT 5", "UPDATE ddl.t SET w = 6 WHERE id % 7 = 0",
                    "TRUNCATE TABLE ddl.u", "INSERT INTO ddl.u VALUES (1, 1), (30000, 2)")
        self.copied("ddl")
        self.server.wait_caught_up("ddl")
        found = {}
        for e in decode.storage(root):
            if e.table == "t":
                found[e.data["id"]] = e.data
        want = {str(i): str(w) for i, w in self.db.query("SELECT id, w FROM ddl.t")}
        self.assertEqual(len(found), len(want))
        # What was copied before the column came has no value for it; the ALTER gave it the default downstream.
        self.assertEqual({k: d.get("w", "5") for k, d in found.items()}, want)

    def test_a_table_that_joins_later_is_copied(self):
        self.db.run("CREATE DATABASE later", "CREATE TABLE later.a (id INT PRIMARY KEY, v INT)",
                    "CREATE TABLE later.b (id INT PRIMARY KEY, v INT)", "INSERT INTO later.a VALUES (1, 1)",
                    "INSERT INTO later.b VALUES (2, 2)")
        root = self.feed("later", "later.a")
        self.copied("later")
        self.server.pause("later")
        self.server.update("later", filter_rules=["later.*"])
        self.server.resume("later")
        parts.wait_until(lambda: len(self.held(root).rows("later", "b")) == 1, 40, "the second table is copied")
        self.assert_equal(root, "later", "a")
        self.assert_equal(root, "later", "b")

    def test_settings_that_cannot_be(self):
        for settings in ({"snapshot": "sometimes"}, {"snapshot-threads": 0}, {"snapshot-threads": 65},
                         {"snapshot-chunk-rows": 0}, {"max-rows-per-second": -1}):
            reply = self.server.api("POST", "/api/v1/changefeeds", {
                "changefeed_id": "wrong", "sink_uri": "blackhole://", "replica_config": settings})
            self.assertEqual(reply.code(), "CDC:ErrInvalidReplicaConfig", settings)


class MySQLUpstream(Case):
    def test_a_table_of_mysql_is_copied_while_it_is_written_to(self):
        db = MySQL({"gtid-mode": "ON", "enforce-gtid-consistency": "ON"})
        server = Millrace(db)
        db.run("CREATE DATABASE my", "CREATE TABLE my.t (id INT PRIMARY KEY, v INT, e ENUM('a','b'), j JSON)")
        for first in range(1, 20001, 500):
            db.run("INSERT INTO my.t VALUES " + ", ".join(f"({i}, 0, 'b', '{{\"k\": [1, 2.5]}}')"
                                                          for i in range(first, first + 500)))
        stop = threading.Event()

        def write():
            dice = random.Random(3)
            with db.connect() as c:
                while not stop.is_set():
                    key = dice.randrange(1, 25000)
                    c.run(dice.choice([f"REPLACE INTO my.t (id, v) VALUES ({key}, {dice.randrange(1000)})",
                                       f"DELETE FROM my.t WHERE id = {key}", f"UPDATE my.t SET v = v + 1 WHERE id = {key}"]))
        writer = threading.Thread(target=write)
        writer.start()
        try:
            root = parts.temp_dir("copy")
            server.create("my", f"file://{root}?protocol=canal-json&enable-tidb-extension=true&flush-interval=2s",
                          filter_rules=["my.*"], snapshot="incremental", replica_config={"snapshot-chunk-rows": 500})
            server.wait_for("my", lambda d: d.get("snapshot", {}).get("state") == "finished", 60, "the table is copied")
        finally:
            stop.set()
            writer.join()
        server.wait_caught_up("my")
        rows = decode.State().apply_all(decode.storage(root)).rows("my", "t")
        want = {str(i): str(v) for i, v in db.query("SELECT id, v FROM my.t")}
        self.assertEqual({r["id"]: r["v"] for r in rows.values()}, want)


if __name__ == "__main__":
    main()
