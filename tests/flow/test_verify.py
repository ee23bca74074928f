#!/usr/bin/env python3
"""`millrace verify` between two MariaDB servers: equal copies, every kind of difference, repair, changes on their way."""
import json
import os
import subprocess
import threading
import time

from lib import parts
from lib.case import Case, main
from lib.mariadb import MariaDB
from lib.server import BUILD

TABLES = [
    """CREATE TABLE {0}.types (
        id BIGINT PRIMARY KEY, ti TINYINT, si SMALLINT UNSIGNED ZEROFILL, bi BIGINT UNSIGNED, f FLOAT, d DOUBLE, de DECIMAL(30,10),
        bits BIT(10), y YEAR, c CHAR(8) CHARACTER SET latin1, vc VARCHAR(40), tx TEXT CHARACTER SET gbk, vb VARBINARY(16), bl LONGBLOB,
        da DATE, ti6 TIME(6), dt DATETIME(3), ts TIMESTAMP(6) NULL, e ENUM('new','pa,id'), s SET('a','b','c'), j JSON, g POINT,
        u UUID, v INT AS (ti + 1) VIRTUAL, st INT AS (ti + 2) STORED) DEFAULT CHARSET=utf8mb4""",
    "CREATE TABLE {0}.words (w VARCHAR(20), n INT, x INT, PRIMARY KEY (w, n)) DEFAULT CHARSET=utf8mb4",
    "CREATE TABLE {0}.coded (e ENUM('z','a','m') PRIMARY KEY, x INT)",
    "CREATE TABLE {0}.loose (a INT, b VARCHAR(10))",
    "CREATE TABLE {0}.many (id INT PRIMARY KEY, v INT)",
    "CREATE TABLE {0}.empty (id INT PRIMARY KEY)",
    "CREATE TABLE {0}.`odd ``name``` (`k ``1` INT PRIMARY KEY, `select` VARBINARY(8))",
]
ROWS = [
    """INSERT INTO {0}.types (id, ti, si, bi, f, d, de, bits, y, c, vc, tx, vb, bl, da, ti6, dt, ts, e, s, j, g, u) VALUES
        (-5, -128, 7, 18446744073709551615, 0.1, 1234567.5, -1.5, b'1000000101', 2026, 'é', 'it''s 😀\\\\', '中文', x'00ff5c22', x'cafe',
         '2024-05-06', '-838:59:58.000001', '2024-05-06 07:08:09.120', '2024-05-06 07:08:09.000001', 'pa,id', 'a,c', '{{"k": [1, 2]}}',
         ST_GeomFromText('POINT(1 2)'), '123e4567-e89b-12d3-a456-426655440000'),
        (9000000000000000000, 1, 2, 3, 4, 5, 6, 7, 1999, '', '', '', '', '', '0000-00-00', '0:0:0', 0, NULL, 'new', '', '[]',
         NULL, NULL)""",
    "INSERT INTO {0}.types (id) VALUES (1)",
    "INSERT INTO {0}.words SELECT CONCAT(CHAR(97 + seq % 26), seq DIV 260), seq % 260, seq FROM seq_1_to_3000",
    "INSERT INTO {0}.coded VALUES ('z', 1), ('a', 2), ('m', 3)",
    "INSERT INTO {0}.loose VALUES (1, NULL), (1, NULL), (2, 'x')",
    "INSERT INTO {0}.many SELECT seq * 3, seq FROM seq_1_to_20000",
    "INSERT INTO {0}.`odd ``name``` VALUES (1, x'00'), (2, NULL)",
]


class Verify(Case):
    @classmethod
    def setUpParts(cls):
        cls.up, cls.down = MariaDB(), MariaDB()

    def setUp(self):
        for db in (self.up, self.down):
            with db.connect() as c:
                c.run("SET sql_mode='ALLOW_INVALID_DATES'", "SET NAMES utf8mb4", "DROP DATABASE IF EXISTS shop", "CREATE DATABASE shop", "USE shop",
                      *[t.format("shop") for t in TABLES], *[r.format("shop") for r in ROWS])

    def start(self, *flags, up=None, down=None, settle="0", **env):
        return subprocess.Popen(
            [BUILD / "bin/millrace", "verify", "--upstream", up or self.up.uri(), "--downstream", down or self.down.uri(),
             "--settle", settle, "--filter", "shop.*", *flags],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **env})

    def verify(self, *flags, **more):
        process = self.start("--json", "--max-listed", "100", *flags, **more)
        out, err = process.communicate(timeout=120)
        return process.returncode, {t["table"]: t for t in map(json.loads, out.splitlines())}, err

    def differences(self, table, *flags, **more):
        status, tables, err = self.verify(*flags, **more)
        self.assertEqual((status, err), (1, ""))
        self.assertEqual([t for t in tables if not tables[t]["equal"]], [table])
        return sorted((d["what"], d["key"]) for d in tables[table]["differences"])

    def test_equal_whatever_the_types_and_keys(self):
        for flags in ((), ("--hash", "md5"), ("--chunk-rows", "100"), ("--threads", "1", "--chunk-rows", "1000")):
            status, tables, err = self.verify(*flags)
            self.assertEqual((status, err), (0, ""), tables)
            self.assertEqual({t: tables[t]["rows"] for t in tables},
                             {"types": 3, "words": 3000, "coded": 3, "loose": 3, "many": 20000, "empty": 0, "odd `name`": 2})
        process = self.start()
        out, _ = process.communicate(timeout=120)
        self.assertIn("shop.many: equal, 20000 rows\n", out)
        self.assertRegex(out, r"equal: 7 tables, 23011 rows in [0-9.]+ s\n$")

    def test_each_column_counts(self):
        changes = {"ti": "-127", "si": "8", "bi": "18446744073709551614", "f": "0.10000001", "d": "1234567.5000001", "de": "-1.5000000001",
                   "bits": "b'1000000100'", "y": "2025", "c": "'e'", "vc": "'it''s 😀/'", "tx": "'中'", "vb": "x'00ff5c23'",
                   "bl": "x'caff'", "da": "'2024-05-07'", "ti6": "'-838:59:58.000002'", "dt": "'2024-05-06 07:08:09.121'",
                   "ts": "'2024-05-06 07:08:09.000002'", "e": "'new'", "s": "'a,b'", "j": "'{\"k\": [1, 3]}'",
                   "g": "ST_GeomFromText('POINT(1 3)')", "u": "'123e4567-e89b-12d3-a456-426655440001'", "tx ": "NULL", "vc ": "''"}
        for column, value in changes.items():
            with self.subTest(column=column, value=value), self.down.connect() as c:
                c.run("SET NAMES utf8mb4", f"UPDATE shop.types SET {column} = {value} WHERE id = -5")
                status, tables, _ = self.verify()
                row, = tables["types"]["differences"]
                self.assertEqual((status, row["what"], row["key"]), (1, "changed", "id=-5"))
                self.assertIn(column.strip() + ": ", row["values"])
                # The repair brings exactly the old value back.
                status, tables, err = self.verify("--repair")
                self.assertEqual((status, err, tables["types"]["repaired"]), (0, "", 1), tables["types"])

    def test_texts_that_run_together_are_told_apart(self):
        self.up.run("UPDATE shop.types SET vc = 'a', vb = 'b#c', bl = NULL WHERE id = 1")
        self.down.run("UPDATE shop.types SET vc = 'a#b', vb = 'c', bl = NULL WHERE id = 1")
        self.assertEqual(self.differences("types"), [("changed", "id=1")])
        self.up.run("UPDATE shop.types SET vc = NULL, vb = 'b', bl = NULL WHERE id = 1")
        self.down.run("UPDATE shop.types SET vc = 'b', vb = NULL, bl = NULL WHERE id = 1")
        self.assertEqual(self.differences("types"), [("changed", "id=1")])

    def test_missing_extra_and_changed_rows(self):
        self.down.run("DELETE FROM shop.many WHERE id IN (3, 30000, 60000)", "INSERT INTO shop.many VALUES (-7, 1), (4, 1), (70000, 1)",
                      "UPDATE shop.many SET v = v + 1 WHERE id = 33")
        want = [("changed", "id=33"), ("extra", "id=-7"), ("extra", "id=4"), ("extra", "id=70000"), ("missing", "id=3"),
                ("missing", "id=30000"), ("missing", "id=60000")]
        for chunk in ("50000", "500"):
            self.assertEqual(self.differences("many", "--chunk-rows", chunk), want)
        process = self.start("--max-listed", "1")
        out, _ = process.communicate(timeout=120)
        self.assertIn("shop.many: DIFFERENT, of 20000 rows 3 missing, 3 extra, 1 changed\n", out)
        self.assertIn("  and 6 more\n", out)
        self.assertIn("DIFFERENT: 1 of 7 tables, 7 rows of 23011, in ", out)
        status, tables, _ = self.verify("--repair")
        self.assertEqual((status, tables["many"]["repaired"]), (0, 7))
        self.assertEqual(self.verify()[0], 0)

    def test_other_keys(self):
        self.down.run("UPDATE shop.words SET x = 0 WHERE w = 'c1' AND n = 2", "UPDATE shop.words SET w = 'C3' WHERE w = 'c3'",
                      "DELETE FROM shop.words WHERE w = 'z4'")
        gone = self.up.query("SELECT w, n FROM shop.words WHERE w = 'z4'")
        moved = self.up.query("SELECT w, n FROM shop.words WHERE w = 'c3'")
        want = [("changed", "w='c1', n=2"), *[("missing", f"w='{w}', n={n}") for w, n in gone + moved],
                *[("extra", f"w='C3', n={n}") for _, n in moved]]
        for chunk in ("50000", "70"):
            self.assertEqual(self.differences("words", "--chunk-rows", chunk), sorted(want))
        self.assertEqual(self.verify("--repair")[0], 0)
        self.down.run("UPDATE shop.coded SET x = 9 WHERE e = 'a'", "DELETE FROM shop.coded WHERE e = 'm'")
        self.assertEqual(self.differences("coded"), [("changed", "e=2"), ("missing", "e=3")])
        self.assertEqual(self.verify("--repair")[0], 0)

    def test_a_table_without_key_is_compared_as_a_bag(self):
        self.down.run("DELETE FROM shop.loose WHERE a = 1 LIMIT 1", "INSERT INTO shop.loose VALUES (3, 'y'), (3, 'y')")
        status, tables, _ = self.verify("--repair")
        loose = tables["loose"]
        # Nothing says which of the rows is meant, so nothing is repaired.
        self.assertEqual((status, loose["missing"], loose["extra"], loose["changed"], loose["repaired"]), (1, 1, 2, 0, 0))

    def test_tables_and_columns_that_one_side_lacks(self):
        self.down.run("DROP TABLE shop.coded", "CREATE TABLE shop.more (id INT PRIMARY KEY)", "ALTER TABLE shop.many DROP COLUMN v",
                      "ALTER TABLE shop.empty ADD COLUMN own INT")
        status, tables, _ = self.verify()
        self.assertEqual(status, 1)
        self.assertEqual({t: tables[t]["error"] for t in tables if "error" in tables[t]},
                         {"coded": "table is missing downstream", "more": "table is only downstream",
                          "many": "columns are missing downstream"})
        self.assertEqual(tables["many"]["columns"], "v")
        self.assertTrue(tables["empty"]["equal"])

    def test_changes_on_their_way_are_no_differences(self):
        stop = threading.Event()

        def lagging_copy():
            with self.up.connect() as up, self.down.connect() as down:
                i = 0
                while not stop.is_set():
                    i += 1
                    change = f"UPDATE shop.many SET v = v + 1 WHERE id = {3 * (i % 50 + 1)}"
                    up.run(change)
                    time.sleep(0.02)
                    down.run(change)
        thread = threading.Thread(target=lagging_copy)
        thread.start()
        try:
            for _ in range(3):
                status, tables, err = self.verify("--chunk-rows", "500", settle="5s")
                self.assertEqual((status, err), (0, ""), tables)
            self.down.run("UPDATE shop.many SET v = -1 WHERE id = 30000")
            self.assertEqual(self.differences("many", settle="1s"), [("changed", "id=30000")])
        finally:
            stop.set()
            thread.join()

    def test_secrets_stay_secret(self):
        self.up.run("CREATE OR REPLACE USER v@'%' IDENTIFIED BY 'se:cr@t'", "GRANT SELECT ON *.* TO v@'%'")
        process = self.start("--chunk-rows", "1", up=self.up.uri("v").replace("v@", "v:se%3Acr%40t@"))
        def scrubbed():
            line = open(f"/proc/{process.pid}/cmdline").read()
            return "millrace-verify" in line and "cr%40t" not in line
        parts.wait_until(scrubbed, 10, "the command line holds no password")
        self.assertEqual(process.wait(120), 0, process.communicate())
        process.communicate()
        self.assertEqual(self.verify(up=self.up.uri("v"), MILLRACE_UPSTREAM_PASSWORD="se:cr@t")[0], 0)
        secret = parts.temp_dir("secret") / "password"
        secret.write_text("se:cr@t\n")
        self.assertEqual(self.verify("--upstream-password-file", str(secret), up=self.up.uri("v"))[0], 0)
        status, _, err = self.verify(up=self.up.uri("v"), MILLRACE_UPSTREAM_PASSWORD="wrong-1")
        self.assertEqual(status, 2)
        self.assertIn("upstream: [CDC:ErrUpstreamUnavailable]", err)
        self.assertNotIn("wrong-1", err)

    def test_bad_input(self):
        for flags, want in [
                (["--threads", "0"], "--threads 0: give a number from 1 to 64"),
                (["--chunk-rows", "x"], "--chunk-rows x: give a number"),
                (["--settle", "soon"], "--settle soon: give a duration"),
                (["--hash", "sha"], "--hash sha: give crc32 or md5"),
                (["more"], '"more" is not a flag'),
                (["--filter", "a.b.c"], "filter rule is invalid"),
                (["--upstream", "kafka://h:9092/t"], "scheme kafka cannot be compared"),
                (["--upstream", "://x:geheim@y"], "it is not a URI"),
                (["--downstream", "mysql://root@127.0.0.1:1/"], "downstream: [CDC:ErrUpstreamUnavailable]"),
                (["--upstream-password-file", "/nonexistent"], "/nonexistent: No such file")]:
            with self.subTest(flags=flags):
                status, _, err = self.verify(*flags)
                self.assertEqual(status, 2)
                self.assertIn(want, err)
                self.assertNotIn("geheim", err)
        status, _, err = self.verify("--filter", "!shop.*")
        self.assertIn("no table of the upstream passes the filter", err)
        self.assertEqual(subprocess.run([BUILD / "bin/millrace", "verify", "--help"], capture_output=True, check=False).returncode, 0)


if __name__ == "__main__":
    main()
