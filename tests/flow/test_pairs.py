#!/usr/bin/env python3
"""Copies between MariaDB and MySQL 8.0 in every pairing: all types that both know, DDL, a worker killed; equal by `millrace verify`."""
import subprocess

from lib import equal
from lib.case import Case, main
from lib.mariadb import MariaDB
from lib.mysql import MySQL
from lib.server import BUILD, Millrace

TABLES = [
    """CREATE TABLE kinds (
        id BIGINT PRIMARY KEY AUTO_INCREMENT, ti TINYINT, tu TINYINT UNSIGNED, si SMALLINT, mi MEDIUMINT UNSIGNED, bi BIGINT UNSIGNED,
        f FLOAT, d DOUBLE, de DECIMAL(30,10), b1 BIT(1), b64 BIT(64), y YEAR, c CHAR(8) CHARACTER SET latin1, vc VARCHAR(40),
        g TEXT CHARACTER SET gbk, u3 VARCHAR(10) CHARACTER SET utf8mb3, bn BINARY(4), vb VARBINARY(16), bl BLOB, ll LONGBLOB, lt LONGTEXT,
        da DATE, t0 TIME, t6 TIME(6), dt DATETIME(3), ts TIMESTAMP(6) NULL, e ENUM('new','pa,id','é'), s SET('a','b','c'), j JSON, p POINT,
        gs GEOMETRY, v INT AS (ti + 1) VIRTUAL, st INT AS (ti + 2) STORED) DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci""",
    "CREATE TABLE pair (a INT, w VARCHAR(12), n INT, PRIMARY KEY (w, a)) DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci",
    "CREATE TABLE uniq (id INT PRIMARY KEY, u INT UNIQUE, v VARCHAR(9) UNIQUE) DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci",
    "CREATE TABLE `odd ``name``?` (`select` INT PRIMARY KEY, `a?b` VARCHAR(9)) DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci",
]
CHANGES = [
    """INSERT INTO kinds (ti, tu, si, mi, bi, f, d, de, b1, b64, y, c, vc, g, u3, bn, vb, bl, ll, lt, da, t0, t6, dt, ts, e, s, j, p, gs) VALUES
        (-128, 255, -32768, 16777215, 18446744073709551615, 0.1, -1.25e-7, -12345678901234567890.0123456789, b'1', ~0, 2155, 'é',
         'it''s 😀\\\\', '中文', 'ä', x'00', x'00ff5c22', x'cafe', REPEAT(x'00', 70000), REPEAT('é', 40000), '2024-02-29', '-838:59:59',
         '-00:00:00.000001', '2024-05-06 07:08:09.120', '2038-01-19 03:14:07.999999', 'é', 'a,c',
         '{"k": [1, 2.5, "x\\\\"y", null, true], "a": {"b": -1}}', ST_GeomFromText('POINT(1 -2)'),
         ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))')),
        (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1901, '', '', '', '', '', '', '', '', '', '1000-01-01', 0, 0, '1000-01-01 00:00:00',
         '1970-01-01 00:00:01', 'new', '', '[]', NULL, NULL)""",
    "INSERT INTO kinds (id) VALUES (100)",
    "UPDATE kinds SET f = f / 3, d = d * 3, vc = CONCAT(vc, '\\n\\0\\r\\Z%_'), j = '[1, {\"z\": \"é\"}]', b64 = 5 WHERE id < 100",
    "UPDATE kinds SET id = 200, e = 2 WHERE id = 100",
    "INSERT INTO pair VALUES (1, 'x', 1), (2, 'x', 2), (1, 'y', NULL)", "UPDATE pair SET a = a + 10, n = n + 1 WHERE w = 'x'",
    "DELETE FROM pair WHERE w = 'y'",
    "INSERT INTO uniq VALUES (1, 1, 'a'), (2, 2, 'b'), (3, NULL, NULL)", "UPDATE uniq SET u = 3 - u, v = NULL WHERE u = 9",
    "DELETE FROM uniq WHERE id = 1", "INSERT INTO uniq VALUES (4, 1, 'A')",
    "INSERT INTO `odd ``name``?` VALUES (1, '?'), (2, NULL)", "UPDATE `odd ``name``?` SET `a?b` = '??' WHERE `select` = 2",
]
DDL = [
    "ALTER TABLE pair ADD COLUMN c1 VARCHAR(20) DEFAULT 'it''s', ADD COLUMN c2 DATETIME DEFAULT '2024-01-02 03:04:05'",
    "INSERT INTO pair (a, w, c1) VALUES (9, 'z', 'new')",
    "CREATE TABLE later LIKE pair", "INSERT INTO later SELECT * FROM pair", "ALTER TABLE later DROP COLUMN c2, ADD INDEX by_n (n)",
    "RENAME TABLE later TO latest", "UPDATE latest SET n = 7", "CREATE INDEX i ON uniq (u, id)", "TRUNCATE TABLE uniq",
    "INSERT INTO uniq VALUES (7, 7, 'seven')", "ALTER TABLE latest MODIFY n BIGINT NOT NULL, RENAME COLUMN c1 TO c9",
    "CREATE TABLE gone (id INT PRIMARY KEY)", "DROP TABLE gone", "CREATE VIEW vw AS SELECT a FROM pair",
]


class Pairs(Case):
    @classmethod
    def setUpParts(cls):
        zone = {"default-time-zone": "+00:00"}
        cls.sources = {"mariadb": MariaDB(zone), "mysql": MySQL(zone)}
        cls.targets = {"mariadb": MariaDB({"server-id": "2001", **zone}), "mysql": MySQL({"server-id": "2002", **zone})}
        for db in cls.targets.values():  # on MySQL with its own way to log in
            db.run("CREATE USER copy@'%' IDENTIFIED BY 'se:cret'", "GRANT ALL ON *.* TO copy@'%'")
        cls.servers = {name: Millrace(db, "--tz", "UTC") for name, db in cls.sources.items()}

    def check(self, source, target):
        up, down, server, name = self.sources[source], self.targets[target], self.servers[source], f"{source}2{target}"
        server.create(name, f"mysql://copy:se%3Acret@127.0.0.1:{down.port}/?worker-count=4", filter_rules=[f"{name}.*", f"{name}_d.*"])
        up.run(f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")
        with up.connect(database=name) as c:
            c.run("SET NAMES utf8mb4", "SET sql_mode = ''", *TABLES, *CHANGES)
            server.kill_worker(name)
            c.run(*DDL, "UPDATE kinds SET ti = 7")
        server.wait_caught_up(name)

        def verify(*flags):
            return subprocess.run([BUILD / "bin/millrace", "verify", "--upstream", up.uri(), "--downstream", down.uri(), "--settle", "0",
                                   "--filter", f"{name}.*", *flags], capture_output=True, text=True, timeout=120, check=False)
        done = verify()
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        self.assertEqual(done.stdout.count(": equal, "), 5, done.stdout)
        self.assertEqual(down.query(f"SELECT table_name FROM information_schema.views WHERE table_schema = '{name}'"), [("vw",)])
        # What verify can tell apart, and mend.
        down.run(f"UPDATE {name}.kinds SET j = '[1, {{\"z\": \"e\"}}]' WHERE id < 100 ORDER BY id LIMIT 1", f"DELETE FROM {name}.pair WHERE a = 9")
        done = verify("--json", "--repair")
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertEqual(done.stdout.count('"repaired":1'), 2, done.stdout)
        self.assertEqual(verify().returncode, 0)
        self.check_defaults(source, up, down, server, name)
        server.remove(name)

    def check_defaults(self, source, up, down, server, name):
        """What a definition leaves open is the session's: collations of databases and of utf8mb4, TIMESTAMPs without attributes."""
        db = name + "_d"
        with up.connect() as c:
            c.run("SET collation_server = utf8mb4_bin", f"CREATE DATABASE {db}", f"USE {db}",
                  "CREATE TABLE bin (id INT PRIMARY KEY, s VARCHAR(9))", "CREATE TABLE own (id INT PRIMARY KEY, s VARCHAR(9)) CHARSET=utf8mb4",
                  f"ALTER DATABASE {db} CHARACTER SET latin1", "CREATE TABLE latin (id INT PRIMARY KEY, s VARCHAR(9))",
                  f"ALTER DATABASE {db} CHARACTER SET utf8mb4", "CREATE TABLE again (id INT PRIMARY KEY, s VARCHAR(9))",
                  "CREATE TABLE times (id INT PRIMARY KEY, ts TIMESTAMP)")
            if source == "mysql":
                # Texts that older defaults of MariaDB take for equal.
                c.run("SET NAMES utf8mb4", "CREATE TABLE texts (s VARCHAR(9) COLLATE utf8mb4_0900_ai_ci PRIMARY KEY, t VARCHAR(9) UNIQUE) CHARSET=utf8mb4",
                      "INSERT INTO texts VALUES ('😀', '😁'), ('😁', '😀'), ('a', 'a '), ('a ', 'a')")
                c.run("SET default_collation_for_utf8mb4 = utf8mb4_general_ci", "SET explicit_defaults_for_timestamp = OFF",
                      "CREATE TABLE general (id INT PRIMARY KEY, s VARCHAR(9), ts TIMESTAMP) CHARSET=utf8mb4")
        server.wait_caught_up(name)
        equal.assert_equal(self, up, down, db)

    def check_refused(self, source, target, statements):
        """
        Each of the statements is one that the target does not know: the changefeed says which, and goes on when a person has done
        the same downstream in other words (what stands beside it, if that is needed) and has it skipped.
        """
        up, down, server, name, skipped = self.sources[source], self.targets[target], self.servers[source], f"no{source}2{target}", []
        uri = f"mysql://copy:se%3Acret@127.0.0.1:{down.port}/"
        server.create(name, uri, filter_rules=[f"{name}.*"])
        up.run(f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
               f"CREATE TABLE {name}.t (id INT PRIMARY KEY, n INT, KEY k (n))", f"CREATE TABLE {name}.u (id INT PRIMARY KEY)")
        server.wait_caught_up(name)
        for i, (statement, instead) in enumerate(statements):
            with up.connect(database=name) as c:
                c.run(statement, f"INSERT INTO t (id, n) VALUES ({i}, {i})", f"REPLACE INTO u (id) VALUES ({i})")
            seen = server.wait_for(name, lambda d: d.get("error") and statement in d["error"]["message"], 30, statement)
            self.assertEqual((seen["error"]["code"], seen["state"]), ("CDC:ErrExecDDLFailed", "error"))
            self.assertEqual(down.query(f"SELECT COUNT(*) FROM {name}.t WHERE id = {i}"), [("0",)])
            skipped.append(int(seen["error"]["message"].partition("startTs: ")[2].partition(":")[0]))
            with down.connect(database=name) as c:
                c.run(*instead)
            server.pause(name)
            server.update(name, filter_rules=[f"{name}.*"], ignore_txn_start_ts=skipped)
            server.resume(name)
            server.wait_caught_up(name)
        for text in (f"SELECT id, n FROM {name}.t ORDER BY 1", f"SELECT id FROM {name}.u ORDER BY 1"):
            self.assertEqual(up.query(text), down.query(text))
        server.remove(name)

    def test_what_mysql_does_not_know(self):
        self.check_refused("mariadb", "mysql", [
            ("ALTER TABLE t ADD COLUMN IF NOT EXISTS n INT", []),
            ("CREATE OR REPLACE TABLE u (id INT PRIMARY KEY, s VARCHAR(9))",
             ["DROP TABLE u", "CREATE TABLE u (id INT PRIMARY KEY, s VARCHAR(9))"]),
            ("ALTER TABLE t ADD COLUMN adr INET6", ["ALTER TABLE t ADD COLUMN adr VARCHAR(39)"]),
            ("ALTER TABLE t ADD COLUMN w VARCHAR(9) COLLATE utf8mb4_nopad_bin", ["ALTER TABLE t ADD COLUMN w VARCHAR(9) COLLATE utf8mb4_bin"]),
            ("CREATE TABLE eng (id INT PRIMARY KEY) ENGINE=Aria", ["CREATE TABLE eng (id INT PRIMARY KEY)"])])

    def test_what_mariadb_does_not_know(self):
        self.check_refused("mysql", "mariadb", [
            ("ALTER TABLE t ALTER INDEX k INVISIBLE", ["ALTER TABLE t ALTER INDEX k IGNORED"]),
            ("ALTER TABLE t ADD INDEX f ((n + 1))", []),
            ("ALTER TABLE t ADD COLUMN w VARCHAR(9) CHARACTER SET gb18030", ["ALTER TABLE t ADD COLUMN w VARCHAR(9) CHARACTER SET gbk"]),
            ("ALTER TABLE t ADD COLUMN p POINT SRID 4326", ["ALTER TABLE t ADD COLUMN p POINT"])])

    def test_mariadb_to_mysql(self):
        self.check("mariadb", "mysql")

    def test_mysql_to_mariadb(self):
        self.check("mysql", "mariadb")

    def test_mysql_to_mysql(self):
        self.check("mysql", "mysql")

    def test_mariadb_to_mariadb(self):
        self.check("mariadb", "mariadb")


if __name__ == "__main__":
    main()
