#!/usr/bin/env python3
"""
MySQL 8.0 to files: its log is followed as MariaDB's is.  What is compared with is what the server itself says of a value, or
the rows that its tables hold.
"""
import re
import struct
import subprocess
import sys
import time

from lib import decode, parts
from lib.case import Case, main
from lib.mysql import MySQL
from lib.server import Millrace
from lib.sql import SqlError

# Every type with the texts that are to come out of its values.
TYPES = [
    ("ti TINYINT", "-128", "-128"), ("tu TINYINT UNSIGNED", "255", "255"), ("si SMALLINT", "-32768", "-32768"),
    ("mi MEDIUMINT", "-8388608", "-8388608"), ("mu MEDIUMINT UNSIGNED", "16777215", "16777215"),
    ("i INT ZEROFILL", "4294967295", "4294967295"), ("bi BIGINT", "-9223372036854775808", "-9223372036854775808"),
    ("bu BIGINT UNSIGNED", "18446744073709551615", "18446744073709551615"), ("bo BOOL", "TRUE", "1"),
    ("f FLOAT", "0.1", "0.1"), ("d DOUBLE", "-1.5e300", None), ("fu FLOAT UNSIGNED", "2.5", "2.5"),
    ("de DECIMAL(65,30)", "-12345678901234567890.000000000000000000000000000001",
     "-12345678901234567890.000000000000000000000000000001"),
    ("b1 BIT(1)", "b'1'", "1"), ("b64 BIT(64)", "~0", "18446744073709551615"), ("y YEAR", "2026", "2026"),
    ("da DATE", "'2024-02-29'", "2024-02-29"), ("dz DATE", "'0000-00-00'", "0000-00-00"),
    ("t0 TIME", "'-12:34:56'", "-12:34:56"), ("t1 TIME(1)", "'-00:00:00.1'", "-00:00:00.1"),
    ("t6 TIME(6)", "'838:59:58.999999'", "838:59:58.999999"), ("dt DATETIME", "'1000-01-01 00:00:00'", "1000-01-01 00:00:00"),
    ("d6 DATETIME(6)", "'9999-12-31 23:59:59.123456'", "9999-12-31 23:59:59.123456"),
    ("ts TIMESTAMP NULL", "'2024-05-06 07:08:09'", "2024-05-06 07:08:09"),
    ("s6 TIMESTAMP(6) NULL", "'2038-01-19 03:14:07.000001'", "2038-01-19 03:14:07.000001"),
    ("c CHAR(255)", "REPEAT('é', 255)", "é" * 255), ("vc VARCHAR(300)", "REPEAT('😀', 300)", "😀" * 300),
    ("bin BINARY(8)", "x'6100ff00'", "a\0\xff\0\0\0\0\0"), ("vb VARBINARY(300)", "x'00ff5c2200'", "\0\xff\\\"\0"),
    ("tx TINYTEXT", "'tt'", "tt"), ("te TEXT", "'te'", "te"), ("mt MEDIUMTEXT", "'mt'", "mt"),
    ("lt LONGTEXT", "REPEAT('x', 70000)", "x" * 70000), ("tb TINYBLOB", "x'cafe'", "\xca\xfe"),
    ("lb LONGBLOB", "x'00'", "\0"), ("e ENUM('new','paid')", "'paid'", "2"), ("s SET('a','b','c')", "'a,c'", "5"),
    ("s9 SET('1','2','3','4','5','6','7','8','9')", "'1,9'", "257"), ("j JSON", """'{"k": [1, 2]}'""", '{"k": [1, 2]}'),
    ("la VARCHAR(9) CHARACTER SET latin1", "'é€'", "é€"), ("gb VARCHAR(9) CHARACTER SET gbk", "'中文'", "中文"),
    ("u2 VARCHAR(9) CHARACTER SET ucs2", "'中a'", "中a"), ("u3 VARCHAR(9) CHARACTER SET utf8mb3", "'中'", "中"),
    ("sj VARCHAR(9) CHARACTER SET sjis", "'日本'", "日本"), ("lx TEXT CHARACTER SET utf32", "'é'", "é"),
    ("eg ENUM('甲','乙') CHARACTER SET gbk", "'乙'", "2"),
]


class Flow(Case):
    options = {}

    @classmethod
    def setUpParts(cls):
        cls.db = MySQL(cls.options)
        cls.server = Millrace(cls.db, "--tz", "UTC")

    def feed(self, name, *rules, **body):
        """A changefeed to a folder of its own; the folder."""
        root = parts.temp_dir("files")
        self.server.create(name, f"file://{root}?protocol=canal-json&enable-tidb-extension=true&flush-interval=2s",
                           filter_rules=list(rules), **body)
        return root

    def events(self, name, root):
        self.server.wait_caught_up(name)
        return decode.storage(root)

    def same_as(self, table, root, columns="*"):
        """The files, applied in order, give what the table holds."""
        db, name = table.split(".")
        state = decode.State().apply_all(decode.storage(root))
        got = sorted(tuple(row.values()) for row in state.rows(db, name).values())
        self.assertEqual(got, sorted(self.db.query(f"SELECT {columns} FROM {table}")))

    def ids(self, events):
        return [int(e.data["id"]) for e in events]


class Values(Flow):
    options = {"sql-mode": "", "default-time-zone": "+00:00"}

    def test_every_type(self):
        columns = ", ".join(c for c, _, _ in TYPES)
        self.db.run("CREATE DATABASE types", "SET NAMES utf8mb4",
                    f"CREATE TABLE types.t (id INT PRIMARY KEY, {columns}, v INT AS (id + 1), st INT AS (id + 2) STORED, "
                    "inv INT INVISIBLE DEFAULT 7)")
        names = ["id"] + [c.split()[0] for c, _, _ in TYPES]
        want = {c.split()[0]: text for c, _, text in TYPES}
        want["d"] = self.db.query("SELECT -1.5e300")[0][0]
        root = self.feed("types", "types.*")
        values = ", ".join(v for _, v, _ in TYPES)
        for id_, metadata in ((10, "FULL"), (20, "MINIMAL")):
            self.db.run(f"SET GLOBAL binlog_row_metadata = {metadata}")
            with self.db.connect() as c:
                # The old value goes with the connection; and another TABLE_MAP.
                c.run("SET NAMES utf8mb4", "FLUSH TABLES types.t",
                      f"INSERT INTO types.t ({', '.join(names)}) VALUES ({id_}, {values})",
                      f"INSERT INTO types.t (id) VALUES ({id_ + 1})",
                      f"UPDATE types.t SET ti = 1, vc = NULL WHERE id = {id_}", f"DELETE FROM types.t WHERE id = {id_ + 1}")
        self.db.run("SET GLOBAL binlog_row_metadata = FULL")
        rows = self.events("types", root)
        self.assertEqual([e.type for e in rows], ["INSERT", "INSERT", "UPDATE", "DELETE"] * 2)
        for at, id_ in ((0, 10), (4, 20)):
            full = {"id": str(id_), **want, "v": str(id_ + 1), "st": str(id_ + 2), "inv": "7"}
            got = rows[at].data
            got["d"] = full["d"] if float(got["d"]) == -1.5e300 else got["d"]
            # TiCDC leaves out columns that are computed when read; those that are stored it sends.
            full = {k: v for k, v in full.items() if k in got or k != "v"}
            self.assertEqual(got, full)
            self.assertEqual({k for k, v in rows[at + 1].data.items() if v is not None} - {"v"}, {"id", "st", "inv"})
            rows[at + 2].old["d"] = rows[at + 2].data["d"] = full["d"]
            self.assertEqual(rows[at + 2].old, full)
            self.assertEqual(rows[at + 2].data, {**full, "ti": "1", "vc": None})
        # All but what only FULL metadata tells is the same without it.
        self.assertEqual(rows[0].raw["mysqlType"], rows[4].raw["mysqlType"])

    def test_geometry_and_hidden_keys(self):
        self.db.run("CREATE DATABASE geo", "CREATE TABLE geo.t (id INT PRIMARY KEY, g GEOMETRY, p POINT SRID 4326, l LINESTRING)")
        with self.db.connect() as c:
            c.run("SET SESSION sql_generate_invisible_primary_key = ON", "CREATE TABLE geo.hidden (v INT)")
        root = self.feed("geo", "geo.*")
        self.db.run("INSERT INTO geo.t VALUES (1, POINT(1, 2), ST_SRID(POINT(3, 4), 4326), NULL)",
                    "INSERT INTO geo.hidden VALUES (5), (6)", "UPDATE geo.hidden SET v = 7 WHERE v = 5")
        rows = self.events("geo", root)
        geo = [e for e in rows if e.table == "t"]
        wkb = "\x01\x01\0\0\0"
        self.assertEqual(geo[0].data, {"id": "1", "g": "\0\0\0\0" + wkb + struct.pack("<dd", 1, 2).decode("latin1"),
                                       "p": "\xe6\x10\0\0" + wkb + struct.pack("<dd", 3, 4).decode("latin1"), "l": None})
        hidden = [e for e in rows if e.table == "hidden"]
        self.assertEqual([(e.type, e.pk, e.data) for e in hidden], [
            ("INSERT", ["my_row_id"], {"my_row_id": "1", "v": "5"}), ("INSERT", ["my_row_id"], {"my_row_id": "2", "v": "6"}),
            ("UPDATE", ["my_row_id"], {"my_row_id": "1", "v": "7"})])

    def test_json(self):
        documents = [
            "'null'", "'true'", "'0'", "'-1'", "'32768'", "'-2147483649'", "'18446744073709551615'", "'1.0'", "'1e-7'", "'\"\"'",
            "'[]'", "'{}'", r"""'"a\\"b\\\\c\\n\\u0001é😀"'""", """'{"bb": 1, "a": {"c": [1, 2.5, "x", null, true]}, "ccc": []}'""",
            "CAST(CAST('2024-02-29' AS DATE) AS JSON)", "CAST(CAST('-12:34:56.000001' AS TIME(6)) AS JSON)",
            "CAST(CAST('2024-02-29 01:02:03.5' AS DATETIME(6)) AS JSON)", "CAST(CAST('-12.340' AS DECIMAL(10,3)) AS JSON)",
            "CAST(x'00ff41' AS JSON)", "JSON_OBJECT('dec', 1.50, 'time', CAST('01:02:03' AS TIME), 'bin', x'01')",
            "JSON_ARRAY(1e300, -0.0, 1/3, 123456789.125)",
            # More than 64 KiB: the large forms.
            "JSON_OBJECT('big', REPEAT('y', 70000), 'n', 70000, 's', JSON_ARRAY(1, 40000, -40000, 1.5))",
            "(WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 900) SELECT JSON_ARRAYAGG(n * 77) FROM r)",
            "(WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 900) "
            "SELECT JSON_OBJECTAGG(CONCAT('key', n), n) FROM r)",
        ]
        self.db.run("CREATE DATABASE js", "CREATE TABLE js.t (id INT PRIMARY KEY, j JSON, k JSON, v VARCHAR(10))")
        root = self.feed("json", "js.*")
        with self.db.connect() as c:
            c.run("SET NAMES utf8mb4")
            for id_, document in enumerate(documents):
                c.run(f"INSERT INTO js.t (id, j) VALUES ({id_}, {document})")
            # The text of the table's document, not of an expression that an INSERT converts.
            want = dict(c.query("SELECT id, j FROM js.t"))
        got = {e.data["id"]: e.data["j"] for e in self.events("json", root)}
        self.assertEqual(got, want)

    def test_json_changed_in_part(self):
        changes = [
            "JSON_SET(j, '$.a', 100)", "JSON_REPLACE(j, '$.s', 'ab')", "JSON_REMOVE(j, '$.b[1]')",
            "JSON_SET(j, '$.b[0]', JSON_OBJECT('x', 1))", "JSON_SET(j, '$.b[0].x', 'yy')", "JSON_REMOVE(j, '$.a')",
            "JSON_SET(j, '$.\"k\"', 5, '$.s', 'c')", "JSON_SET(j, '$.new', JSON_ARRAY(1, 2, 3))", "JSON_REMOVE(j, '$.new[1]')",
            "JSON_SET(j, '$.new[9]', 'end')", "JSON_REPLACE(j, '$.s', REPEAT('z', 40))", "j", "NULL", "JSON_OBJECT('s', 1)",
        ]
        self.db.run("CREATE DATABASE part", "CREATE TABLE part.t (id INT PRIMARY KEY, j JSON, v INT, k JSON, h JSON)",
                    "INSERT INTO part.t VALUES (1, '{\"a\": 1, \"b\": [1, 2, 3], \"s\": \"long enough to be cut\"}', 0, '[1]', NULL)")
        root = self.feed("part", "part.*")
        want = []
        with self.db.connect() as c:
            c.run("SET SESSION binlog_row_value_options = PARTIAL_JSON")
            for change in changes:
                c.run(f"UPDATE part.t SET j = {change}, v = v + 1, k = JSON_SET(k, '$[0]', v)")
                want.append(c.query("SELECT j, v, k FROM part.t")[0])
        rows = self.events("part", root)
        self.assertEqual([(e.data["j"], e.data["v"], e.data["k"]) for e in rows], want)
        self.assertEqual([e.old["j"] for e in rows[1:]], [w[0] for w in want[:-1]])
        files = [f for f, *_ in self.db.query("SHOW BINARY LOGS")]
        kinds = {row[2] for f in files for row in self.db.query(f"SHOW BINLOG EVENTS IN '{f}'")}
        self.assertIn("Update_rows_partial", kinds)


class Statements(Flow):
    def test_definitions_change_between_rows(self):
        self.db.run("CREATE DATABASE defs")
        root = self.feed("defs", "defs.*")
        with self.db.connect(database="defs") as c:
            c.run("CREATE TABLE t (id INT PRIMARY KEY, a INT)", "INSERT INTO t VALUES (1, 1)",
                  "/* of the default schema */ ALTER TABLE t -- and a comment\n ADD COLUMN b VARCHAR(10) DEFAULT 'x'",
                  "INSERT INTO t VALUES (2, 2, 'y')", "ALTER TABLE t DROP COLUMN a, ALGORITHM=INSTANT",
                  "INSERT INTO t VALUES (3, 'z')", "ALTER TABLE t ADD COLUMN f INT FIRST, RENAME COLUMN b TO c",
                  "INSERT INTO t VALUES (1, 4, 'q')", "RENAME TABLE t TO u", "INSERT INTO u VALUES (2, 5, 'w')",
                  "TRUNCATE TABLE u", "INSERT INTO u VALUES (3, 6, 'v')", "CREATE TABLE l LIKE u", "INSERT INTO l SELECT * FROM u",
                  "DROP TABLE u, l")
        rows = sorted(self.events("defs", root), key=lambda e: e.ts)
        self.assertEqual([(e.table, e.data) for e in rows], [
            ("t", {"id": "1", "a": "1"}), ("t", {"id": "2", "a": "2", "b": "y"}), ("t", {"id": "3", "b": "z"}),
            ("t", {"f": "1", "id": "4", "c": "q"}), ("u", {"f": "2", "id": "5", "c": "w"}), ("u", {"f": "3", "id": "6", "c": "v"}),
            ("l", {"f": "3", "id": "6", "c": "v"})])
        kinds = [s["Type"] for s in decode.storage_schemas(root) if s["Query"]]
        self.assertEqual(kinds, [3, 5, 6, 61, 14, 11, 3, 4, 4])

    def test_statements_of_mysql(self):
        """What MySQL 8.0 writes in its own way: texts in the session's charset, SELECT with a table, hints, and more."""
        self.db.run("CREATE DATABASE own")
        root = self.feed("own", "own.*", force_replicate=True)  # a table made by SELECT has no key
        with self.db.connect(database="own") as c:
            c.run("SET NAMES utf8mb4", "CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, j JSON, UNIQUE KEY f ((CAST(j->>'$.u' AS "
                  "UNSIGNED))), n INT CHECK (n > 0) NOT ENFORCED) DEFAULT CHARSET utf8mb3 COMMENT 'é'",
                  "CREATE TABLE s AS SELECT 1 AS id, 'x' AS v UNION ALL SELECT 2, 'y'", "ALTER TABLE s ADD PRIMARY KEY (id)",
                  "INSERT INTO s VALUES (3, 'z')",
                  "CREATE TABLE p (id INT PRIMARY KEY, v INT) PARTITION BY HASH (id) PARTITIONS 4",
                  "INSERT INTO p VALUES (1, 1), (2, 2), (3, 3), (4, 4)", "UPDATE p SET id = id + 10",
                  "ALTER TABLE p ADD COLUMN w INT INVISIBLE DEFAULT 3", "INSERT INTO p VALUES (5, 5)",
                  "CREATE VIEW vw AS SELECT * FROM p", "CREATE TRIGGER tr AFTER INSERT ON p FOR EACH ROW INSERT INTO s VALUES (NEW.id, 't')",
                  "INSERT INTO p VALUES (6, 6)", "UPDATE p SET v = v + 1", "ANALYZE TABLE p", "OPTIMIZE TABLE p",
                  "CREATE TEMPORARY TABLE tmp (a INT)", "INSERT INTO tmp VALUES (1)", "DROP TEMPORARY TABLE tmp",
                  "CREATE USER ignored@localhost", "GRANT SELECT ON own.* TO ignored@localhost", "DROP USER ignored@localhost")
            c.run("SET NAMES latin1")
            c.query("CREATE TABLE `é` (`ü` INT PRIMARY KEY, v VARCHAR(9) DEFAULT 'ö')".encode("latin1"))
            c.query("INSERT INTO `é` VALUES (1, 'ä')".encode("latin1"))
            c.run("SET NAMES gbk")
            c.query("ALTER TABLE s ADD COLUMN `中` INT COMMENT '文\\\\'".encode("gbk"))
            c.query("INSERT INTO s VALUES (9, 'n', 9)")
            c.run("SET sql_mode = 'ANSI_QUOTES'", 'CREATE TABLE "q t" ("a ""b" INT PRIMARY KEY)', 'INSERT INTO "q t" VALUES (1)')
        rows = sorted(self.events("own", root), key=lambda e: e.ts)
        self.assertEqual([(e.table, e.type, *e.data.values()) for e in rows if e.table != "p"], [
            ("s", "INSERT", "1", "x"), ("s", "INSERT", "2", "y"), ("s", "INSERT", "3", "z"), ("s", "INSERT", "6", "t"),
            ("é", "INSERT", "1", "ä"), ("s", "INSERT", "9", "n", "9"), ("q t", "INSERT", "1")])
        self.assertEqual(list(rows[-2].data), ["id", "v", "中"])
        self.same_as("own.p", root, "id, v, w")
        queries = [s["Query"] for s in decode.storage_schemas(root) if s["Query"]]
        self.assertEqual(len([q for q in queries if re.search(r"(?i)create table [`\"]?s\b", q)]), 1, queries)
        self.assertFalse([q for q in queries if "START TRANSACTION" in q])

    def test_transactions(self):
        self.db.run("CREATE DATABASE txn", "CREATE TABLE txn.a (id INT PRIMARY KEY, v INT)", "CREATE TABLE txn.b LIKE txn.a",
                    "CREATE TABLE txn.m (id INT PRIMARY KEY) ENGINE=MyISAM")
        root = self.feed("txn", "txn.*")
        with self.db.connect(database="txn") as c:
            c.run("BEGIN", "INSERT INTO a VALUES (1, 1)", "SAVEPOINT s", "INSERT INTO a VALUES (2, 2)", "ROLLBACK TO s",
                  "INSERT INTO b VALUES (3, 3)", "COMMIT")
            c.run("BEGIN", "INSERT INTO a VALUES (4, 4)", "ROLLBACK")
            c.run("INSERT INTO m VALUES (5)")
            c.run("UPDATE a, b SET a.v = 9, b.v = 9")
            c.run("XA START 'one'", "INSERT INTO a VALUES (6, 6)", "XA END 'one'", "XA COMMIT 'one' ONE PHASE")
            c.run("XA START 'gone', 'b', 7", "INSERT INTO a VALUES (7, 7)", "XA END 'gone', 'b', 7", "XA PREPARE 'gone', 'b', 7")
        with self.db.connect(database="txn") as c:
            c.run("XA START 'kept'", "INSERT INTO a VALUES (8, 8)", "INSERT INTO b VALUES (8, 8)", "XA END 'kept'", "XA PREPARE 'kept'")
        self.db.run("INSERT INTO txn.a VALUES (10, 10)")
        self.server.wait_caught_up("txn")
        self.server.kill_worker("txn")
        with self.db.connect(database="txn") as c:
            c.run("XA ROLLBACK 'gone', 'b', 7")
            c.run("XA COMMIT 'kept'")
        rows = sorted(self.events("txn", root), key=lambda e: e.ts)
        seen, got = set(), []
        for e in rows:  # the worker's end may repeat some
            one = (e.ts, e.table, e.type, e.data["id"])
            if one not in seen:
                seen.add(one)
                got.append(one)
        self.assertEqual([g[1:] for g in got], [
            ("a", "INSERT", "1"), ("b", "INSERT", "3"), ("m", "INSERT", "5"), ("a", "UPDATE", "1"), ("b", "UPDATE", "3"),
            ("a", "INSERT", "6"), ("a", "INSERT", "10"), ("a", "INSERT", "8"), ("b", "INSERT", "8")])
        self.assertEqual(got[0][0], got[1][0])
        self.assertEqual(got[-1][0], got[-2][0])
        for table in ("txn.a", "txn.b", "txn.m"):
            self.same_as(table, root)

    def test_compressed_transactions(self):
        self.db.run("CREATE DATABASE zip", "CREATE TABLE zip.t (id INT PRIMARY KEY, v VARCHAR(200), j JSON)")
        root = self.feed("zip", "zip.*")
        numbers = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 50000) SELECT n"
        with self.db.connect(database="zip") as c:
            c.run("SET SESSION binlog_transaction_compression = ON", "SET SESSION cte_max_recursion_depth = 100000")
            c.run("INSERT INTO t VALUES (0, 'first', '{\"a\": 1}')")
            c.run("BEGIN", "UPDATE t SET v = 'second'", "SAVEPOINT s", "DELETE FROM t", "ROLLBACK TO s", "COMMIT")
            c.run(f"INSERT INTO t (id, v) {numbers}, REPEAT(CHAR(97 + n % 26), 150) FROM r")
            c.run("SET SESSION binlog_transaction_compression = OFF", "UPDATE t SET v = 'plain' WHERE id = 1")
            c.run("SET SESSION binlog_transaction_compression = ON", "DELETE FROM t WHERE id BETWEEN 10 AND 49990",
                  "ALTER TABLE t ADD COLUMN w INT", "INSERT INTO t VALUES (60000, 'w', NULL, 1)", "UPDATE t SET w = 2")
        rows = self.events("zip", root)
        kinds = [row[2] for f, *_ in self.db.query("SHOW BINARY LOGS") for row in self.db.query(f"SHOW BINLOG EVENTS IN '{f}'")]
        self.assertGreaterEqual(kinds.count("Transaction_payload"), 5)
        self.assertEqual(len(rows), 1 + 1 + 50000 + 1 + 49981 + 1 + 21)
        self.assertEqual(len({e.ts for e in rows}), 7)
        self.same_as("zip.t", root)


class Restarts(Flow):
    # What is committed must be there after a SIGKILL as well.
    options = {"innodb-flush-log-at-trx-commit": "2"}

    def test_nothing_is_lost_or_made_up(self):
        """Worker, server and database end in every way while rows are written; a large transaction is cut in the middle."""
        self.db.run("CREATE DATABASE again", "CREATE TABLE again.t (id INT PRIMARY KEY, v VARCHAR(100))")
        root = self.feed("again", "again.*")
        ends = [lambda: self.server.kill_worker("again"), self.db.restart, lambda: (self.server.stop(), self.server.start()),
                lambda: (self.db.kill(), self.db.start()), lambda: (self.server.kill(), self.server.start()),
                lambda: self.db.run("FLUSH BINARY LOGS")]
        for number, end in enumerate(ends):
            base = number * 10000
            self.db.run("SET SESSION cte_max_recursion_depth = 10000", f"INSERT INTO again.t VALUES ({base}, 'one')")
            with self.db.connect(database="again") as c:
                c.run("SET SESSION cte_max_recursion_depth = 10000",
                      f"INSERT INTO t WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5000) "
                      f"SELECT n + {base}, REPEAT('x', 90) FROM r", f"UPDATE t SET v = 'two' WHERE id = {base}")
            end()
            self.db.run(f"INSERT INTO again.t VALUES ({base + 9000}, 'three')", f"DELETE FROM again.t WHERE id = {base + 1}")
        rows = self.events("again", root)
        by_change = {}
        for e in rows:
            self.assertEqual(by_change.setdefault((e.type, e.data["id"]), e.ts), e.ts, "a repeat has the same commit ts")
        self.same_as("again.t", root)
        self.assertEqual(self.server.changefeed("again")["state"], "normal")


class WithoutGtids(Restarts):
    """The same by file and offset alone, without checksums and with the old form of rows."""
    options = {"gtid-mode": "OFF", "enforce-gtid-consistency": "OFF", "binlog-checksum": "NONE", **Restarts.options,
               "log-bin-use-v1-row-events": "ON"}

    def test_another_server_is_refused(self):
        self.db.run("CREATE DATABASE other", "CREATE TABLE other.t (id INT PRIMARY KEY)")
        self.feed("other", "other.*")
        self.db.run("INSERT INTO other.t VALUES (1)")
        self.server.wait_caught_up("other")
        self.db.stop()
        (self.db.dir / "data" / "auto.cnf").unlink()
        self.db.start()
        detail = self.server.wait_state("other", "failed", 60)
        self.assertEqual(detail["error"]["code"], "CDC:ErrMySQLGTIDDiverged")


class Failover(Case):
    GRANTS = ("CREATE USER r@'%' IDENTIFIED BY 'secret'", "GRANT REPLICATION SLAVE, REPLICATION CLIENT, SELECT ON *.* TO r@'%'")

    def test_a_replica_takes_over(self):
        """The changefeed goes on at the server that followed its primary, by GTID, and loses nothing."""
        primary, replica = MySQL(), MySQL({"server-id": "1002"})
        primary.run(*self.GRANTS)
        replica.run(f"CHANGE REPLICATION SOURCE TO SOURCE_HOST='127.0.0.1', SOURCE_PORT={primary.port}, SOURCE_USER='r', "
                    "SOURCE_PASSWORD='secret', SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1", "START REPLICA")
        server = Millrace(primary.uri("r", "secret"), "--tz", "UTC")
        root = parts.temp_dir("files")
        primary.run("CREATE DATABASE ha", "CREATE TABLE ha.t (id INT PRIMARY KEY)")
        for name in ("ha", "late"):
            server.create(name, f"file://{root}/{name}?protocol=canal-json&enable-tidb-extension=true&flush-interval=2s",
                          filter_rules=["ha.*"])
        for id_ in range(100):
            primary.run(f"INSERT INTO ha.t VALUES ({id_})")
        server.wait_caught_up("ha")
        server.wait_caught_up("late")
        server.pause("late")
        primary.run("FLUSH BINARY LOGS", "INSERT INTO ha.t VALUES (100)")

        def applied():
            try:
                return replica.query("SELECT COUNT(*) FROM ha.t") == [("101",)]
            except SqlError:
                return False
        parts.wait_until(applied, 60, "the replica has everything")
        primary.kill()
        replica.run("STOP REPLICA", "INSERT INTO ha.t VALUES (200)", "FLUSH BINARY LOGS", "INSERT INTO ha.t VALUES (201)")
        # It answers where its primary did.
        replica.stop()
        replica.port = primary.port
        replica.options["skip-replica-start"] = None
        replica.start()
        server.wait_caught_up("ha", 90)
        replica.run("INSERT INTO ha.t VALUES (202)")
        server.wait_caught_up("ha")
        ids = [int(e.data["id"]) for e in decode.storage(root / "ha")]
        self.assertEqual(sorted(set(ids)), [*range(101), 200, 201, 202])
        self.assertLess(len(ids), 150, "what the primary had logged comes again from its beginning")
        # What the paused one needs is gone from the new server's log.
        replica.run("FLUSH BINARY LOGS")
        last = replica.query("SHOW BINARY LOGS")[-1][0]
        server.pause("ha")
        parts.wait_until(lambda: (replica.run(f"PURGE BINARY LOGS TO '{last}'"), len(replica.query("SHOW BINARY LOGS")) == 1)[1],
                         30, "the files are purged")
        server.resume("late")
        self.assertEqual(server.wait_state("late", "failed", 60)["error"]["code"], "CDC:ErrMySQLGTIDGap")
        # A server with another history.
        replica.stop()
        stranger = MySQL({"server-id": "1003"}, port=primary.port)
        stranger.run(*self.GRANTS)
        server.resume("ha")
        self.assertEqual(server.wait_state("ha", "failed", 60)["error"]["code"], "CDC:ErrMySQLGTIDDiverged")


class Positions(Flow):
    def test_a_purged_file_and_a_new_history(self):
        self.db.run("CREATE DATABASE gone", "CREATE TABLE gone.t (id INT PRIMARY KEY)")
        for name in ("purged", "reset"):
            self.feed(name, "gone.*")
            self.db.run(f"INSERT INTO gone.t VALUES ({len(name)})")
            self.server.wait_caught_up(name)
            self.server.pause(name)
        self.db.run("INSERT INTO gone.t VALUES (100)", "FLUSH BINARY LOGS", "INSERT INTO gone.t VALUES (101)")
        last = self.db.query("SHOW BINARY LOGS")[-1][0]
        # The server keeps a file that a reader it has not yet missed was reading.
        parts.wait_until(lambda: (self.db.run(f"PURGE BINARY LOGS TO '{last}'"), len(self.db.query("SHOW BINARY LOGS")) == 1)[1],
                         30, "the files are purged")
        self.server.resume("purged")
        detail = self.server.wait_state("purged", "failed", 60)
        self.assertEqual(detail["error"]["code"], "CDC:ErrMySQLBinlogPurged")
        self.db.run("RESET MASTER")
        self.server.resume("reset")
        detail = self.server.wait_state("reset", "failed", 60)
        self.assertEqual(detail["error"]["code"], "CDC:ErrMySQLGTIDDiverged")
        self.server.remove("purged")
        self.server.remove("reset")

    def test_start_ts_in_the_past(self):
        self.db.run("CREATE DATABASE past", "CREATE TABLE past.t (id INT PRIMARY KEY)", "INSERT INTO past.t VALUES (1)")
        time.sleep(0.01)
        start = int(time.time() * 1000) << 18
        time.sleep(0.01)
        self.db.run("INSERT INTO past.t VALUES (2)", "FLUSH BINARY LOGS", "INSERT INTO past.t VALUES (3)")
        root = self.feed("past", "past.*", start_ts=start)
        # MySQL logs microseconds: the border is sharp within its second.
        self.assertEqual(self.ids(self.events("past", root)), [2, 3])


class Ledger(Case):
    def test_a_short_ledger(self):
        """tests/flow/test_ledger.py with MySQL; its own options make it long."""
        done = subprocess.run([sys.executable, parts.ROOT / "tests" / "flow" / "test_ledger.py", "--upstream", "mysql", "--sink", "file",
                               "--seconds", "8", "--kills", "3", "Ledger"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, stdin=subprocess.DEVNULL, check=False, timeout=240)
        self.assertEqual(done.returncode, 0, done.stdout)


class Access(Case):
    """Who may log in how, and what a server must be set to."""

    @classmethod
    def setUpParts(cls):
        cls.db = MySQL()
        cls.db.run("CREATE DATABASE s", "CREATE TABLE s.t (id INT PRIMARY KEY)",
                   "CREATE USER sha2@'%' IDENTIFIED WITH caching_sha2_password BY 'a secret'",
                   "CREATE USER native@'%' IDENTIFIED WITH mysql_native_password BY 'a secret'",
                   "CREATE USER weak@'%' IDENTIFIED BY 'a secret'", "CREATE USER role@'%' IDENTIFIED BY 'a secret'",
                   "CREATE ROLE reader", "GRANT SELECT, REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO sha2@'%', native@'%', reader",
                   "GRANT reader TO role@'%'", "SET DEFAULT ROLE reader TO role@'%'", "GRANT SELECT, REPLICATION SLAVE ON *.* TO weak@'%'")
        cls.server = Millrace(None)

    def create(self, user, query=""):
        return self.server.api("POST", "/api/v1/changefeeds", {
            "changefeed_id": f"{user}{len(query)}", "sink_uri": "blackhole://", "filter_rules": ["s.*"],
            "upstream_uri": f"mysql://{user}:a%20secret@127.0.0.1:{self.db.port}/{query}"})

    def test_passwords(self):
        for user in ("sha2", "native", "role"):
            for query in ("", "?tls=true"):
                with self.subTest(user=user, query=query):
                    # The server forgets that it has seen the password: without TLS it must go by its RSA key.
                    self.db.run("FLUSH PRIVILEGES")
                    reply = self.create(user, query)
                    self.assertEqual(reply.status, 202, reply.text())
                    self.server.wait_caught_up(f"{user}{len(query)}")
                    self.server.remove(f"{user}{len(query)}")

    def refuse(self, code, text, user="sha2"):
        reply = self.create(user)
        self.assertEqual((reply.status, reply.code()), (400, code), reply.text())
        self.assertIn(text, reply.json()["error_msg"])

    def test_what_is_refused(self):
        self.refuse("CDC:ErrMySQLPrivilege", "REPLICATION CLIENT", "weak")
        for name, bad, good, code in (("binlog_format", "STATEMENT", "ROW", "CDC:ErrMySQLBinlogFormat"),
                                      ("binlog_row_image", "MINIMAL", "FULL", "CDC:ErrMySQLRowImage"),
                                      ("binlog_row_image", "NOBLOB", "FULL", "CDC:ErrMySQLRowImage")):
            self.db.run(f"SET GLOBAL {name} = {bad}")
            self.refuse(code, name)
            self.db.run(f"SET GLOBAL {name} = {good}")
        reply = self.server.api("POST", "/api/v1/changefeeds", {
            "changefeed_id": "wrong", "sink_uri": "blackhole://",
            "upstream_uri": f"mysql://sha2:wrong@127.0.0.1:{self.db.port}/"})
        self.assertEqual(reply.code(), "CDC:ErrUpstreamUnavailable")
        self.assertIn("Access denied", reply.text())
        self.assertNotIn("wrong@", reply.text())


if __name__ == "__main__":
    main()
