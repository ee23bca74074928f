#!/usr/bin/env python3
"""MariaDB to files: every kind of change arrives, whole and in order; schema files describe them; restarts lose nothing."""
import time

from lib import decode, parts
from lib.case import Case, main
from lib.mariadb import MariaDB
from lib.server import Millrace


class Files(Case):
    @classmethod
    def setUpParts(cls):
        cls.db = MariaDB()
        cls.server = Millrace(cls.db)

    def feed(self, name, *rules, **body):
        """A changefeed to a folder of its own; the folder."""
        root = parts.temp_dir("files")
        self.server.create(name, f"file://{root}?protocol=canal-json&enable-tidb-extension=true&flush-interval=2s",
                           filter_rules=list(rules), **body)
        return root

    def events(self, name, root):
        self.server.wait_caught_up(name)
        return decode.storage(root)

    def test_rows_of_many_types_arrive_as_the_tables_hold_them(self):
        self.db.run("CREATE DATABASE types", """
            CREATE TABLE types.t (
                id BIGINT PRIMARY KEY, ti TINYINT, si SMALLINT UNSIGNED, mi MEDIUMINT, bi BIGINT UNSIGNED,
                f FLOAT, d DOUBLE, de DECIMAL(30,10), bits BIT(10), y YEAR,
                c CHAR(8), vc VARCHAR(40), tx TEXT, vb VARBINARY(16), bl BLOB,
                da DATE, ti6 TIME(6), dt DATETIME(3), ts TIMESTAMP(6) NULL,
                e ENUM('new','paid'), s SET('a','b','c'), j JSON) DEFAULT CHARSET=utf8mb4""")
        root = self.feed("types", "types.*")
        self.db.run(
            "SET NAMES utf8mb4",
            "INSERT INTO types.t (id) VALUES (1)")
        with self.db.connect() as c:
            c.run("SET NAMES utf8mb4", "SET time_zone='+00:00'",
                  """INSERT INTO types.t VALUES (2, -128, 65535, -8388608, 18446744073709551615, 0.1, 1e-7,
                     -12345678901234567890.0123456789, b'1000000101', 2026, 'ab ', 'é<1>\\n"', 'text 😀', x'00ff5c22',
                     x'cafe', '2024-05-06', '-838:59:58.000001', '2024-05-06 07:08:09.120', '2024-05-06 07:08:09.000001',
                     'paid', 'a,c', '{"k": [1, 2]}')""",
                  "UPDATE types.t SET ti = 5, vc = NULL WHERE id = 2", "DELETE FROM types.t WHERE id = 1")
        rows = self.events("types", root)
        self.assertEqual([e.type for e in rows], ["INSERT", "INSERT", "UPDATE", "DELETE"])
        self.assertEqual(rows[0].data, {"id": "1", **{name: None for name in rows[0].data if name != "id"}})
        full = rows[1].data
        self.assertEqual(full, {
            "id": "2", "ti": "-128", "si": "65535", "mi": "-8388608", "bi": "18446744073709551615", "f": "0.1",
            "d": "0.0000001", "de": "-12345678901234567890.0123456789", "bits": "517", "y": "2026", "c": "ab",
            "vc": 'é<1>\n"', "tx": "text 😀", "vb": "\x00\xff\\\"", "bl": "\xca\xfe", "da": "2024-05-06",
            "ti6": "-838:59:58.000001", "dt": "2024-05-06 07:08:09.120", "ts": full["ts"], "e": "2", "s": "5",
            "j": '{"k": [1, 2]}'})
        self.assertRegex(full["ts"], r"^2024-05-0\d \d\d:\d\d:09.000001$")
        self.assertEqual(rows[2].old, full)
        self.assertEqual(rows[2].data, {**full, "ti": "5", "vc": None})
        self.assertEqual(rows[3].data["id"], "1")
        self.assertEqual([e.pk for e in rows], [["id"]] * 4)
        stamps = [e.ts for e in rows]
        self.assertEqual(stamps, sorted(set(stamps)), "each transaction has its own, later ts")
        schema = [s for s in decode.storage_schemas(root) if s["Table"] == "t"][-1]
        self.assertEqual([c["ColumnName"] for c in schema["TableColumns"]], list(full))
        self.assertEqual(schema["TableColumns"][4]["ColumnType"], "BIGINT UNSIGNED")

    def test_transactions_keep_their_order_and_changed_keys_are_split(self):
        self.db.run("CREATE DATABASE keys_", "CREATE TABLE keys_.t (id INT PRIMARY KEY, u INT UNIQUE, v INT)")
        root = self.feed("keys", "keys_.*")
        self.db.run("INSERT INTO keys_.t VALUES (1, 10, 0), (2, 20, 0)", "UPDATE keys_.t SET id = 3 WHERE id = 1",
                    "BEGIN", "UPDATE keys_.t SET u = 30 WHERE id = 2", "UPDATE keys_.t SET v = 9 WHERE id = 3", "COMMIT")
        rows = self.events("keys", root)
        self.assertEqual([(e.type, e.data["id"], e.data["u"], e.data["v"]) for e in rows], [
            ("INSERT", "1", "10", "0"), ("INSERT", "2", "20", "0"), ("DELETE", "1", "10", "0"), ("INSERT", "3", "10", "0"),
            # A split row puts its transaction's deletes first and inserts last.
            ("DELETE", "2", "20", "0"), ("UPDATE", "3", "10", "9"), ("INSERT", "2", "30", "0")])
        self.assertEqual(rows[0].ts, rows[1].ts)
        self.assertEqual(len({e.ts for e in rows[4:]}), 1)

    def test_definitions_change_between_rows(self):
        self.db.run("CREATE DATABASE defs")
        root = self.feed("defs", "defs.*")
        self.db.run("CREATE TABLE defs.t (id INT PRIMARY KEY, a INT)", "INSERT INTO defs.t VALUES (1, 1)",
                    "ALTER TABLE defs.t ADD COLUMN b VARCHAR(10) DEFAULT 'x'", "INSERT INTO defs.t VALUES (2, 2, 'y')",
                    "ALTER TABLE defs.t DROP COLUMN a", "INSERT INTO defs.t VALUES (3, 'z')",
                    "RENAME TABLE defs.t TO defs.u", "INSERT INTO defs.u VALUES (4, 'w')", "TRUNCATE TABLE defs.u",
                    "INSERT INTO defs.u VALUES (5, 'v')", "DROP TABLE defs.u")
        rows = self.events("defs", root)
        self.assertEqual(sorted((e.ts, e.table, e.data) for e in rows), sorted((e.ts, t, d) for e, t, d in zip(
            sorted(rows, key=lambda e: e.ts), ["t", "t", "t", "u", "u"],
            [{"id": "1", "a": "1"}, {"id": "2", "a": "2", "b": "y"}, {"id": "3", "b": "z"}, {"id": "4", "b": "w"},
             {"id": "5", "b": "v"}])))
        self.assertEqual([s["Type"] for s in decode.storage_schemas(root) if s["Query"]], [3, 5, 6, 14, 11, 4])
        # The metadata file is written every two seconds at most.
        parts.wait_until(lambda: decode.storage_checkpoint(root) > rows[-1].ts, 20, "metadata holds the checkpoint")

    def test_a_large_transaction_arrives_whole(self):
        self.db.run("CREATE DATABASE big", "CREATE TABLE big.t (id INT PRIMARY KEY, v VARCHAR(200))")
        root = self.feed("big", "big.*")
        self.db.run("INSERT INTO big.t SELECT seq, REPEAT(CHAR(97 + seq % 26), 150) FROM big.seq_1_to_50000")
        rows = self.events("big", root)
        self.assertEqual(len(rows), 50000)
        self.assertEqual([int(e.data["id"]) for e in rows], list(range(1, 50001)))
        self.assertEqual(len({e.ts for e in rows}), 1)

    def test_a_restart_goes_on_at_the_checkpoint(self):
        self.db.run("CREATE DATABASE again", "CREATE TABLE again.t (id INT PRIMARY KEY)")
        root = self.feed("again", "again.*")
        for number, how in enumerate((self.server.stop, self.server.kill, self.server.stop)):
            self.db.run(f"INSERT INTO again.t VALUES ({number * 10})")
            self.events("again", root)
            how()
            self.db.run(f"INSERT INTO again.t VALUES ({number * 10 + 1})")
            self.server.start()
        rows = self.events("again", root)
        self.assertEqual(sorted({int(e.data["id"]) for e in rows}), [0, 1, 10, 11, 20, 21])
        by_id = {}
        for e in rows:
            self.assertEqual(by_id.setdefault(e.data["id"], e.ts), e.ts, "a repeat has the same commit ts")

    def test_an_idle_changefeed_advances(self):
        root = self.feed("idle", "nothing.*")
        first = self.server.changefeed("idle")["checkpoint_tso"]
        time.sleep(1)
        self.server.wait_checkpoint("idle", first + (1000 << 18), 20)
        self.server.wait_caught_up("idle")
        self.assertEqual(decode.storage(root), [])


if __name__ == "__main__":
    main()
