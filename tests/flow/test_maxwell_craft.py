#!/usr/bin/env python3
"""MariaDB to Kafka as maxwell and as craft, read by Python's json and by a decoder written from craft's description."""
import base64
import json

from lib import craft
from lib.case import Case, main
from lib.kafka import Kafka
from lib.mariadb import MariaDB
from lib.server import Millrace

COLUMNS = ("id", "v", "f", "d", "b", "e", "s", "bt", "de", "ts", "j")
FULL = {"id": 18446744073709551615, "v": "é<1>", "f": 0.5, "d": -1.25e-7, "b": b"\x00\xff", "e": 2, "s": 3, "bt": 5, "de": "-12.50",
        "ts": "2024-01-02 03:04:05", "j": '{"k": [1]}'}
CHANGED = {**FULL, "v": None, "b": b"\x00\xfe", "d": 0.0}


class MaxwellCraft(Case):
    @classmethod
    def setUpParts(cls):
        cls.kafka, cls.db = Kafka(), MariaDB()
        cls.server = Millrace(cls.db, "--tz", "UTC")

    def messages(self, protocol, query=""):
        db = f"db_{protocol}"
        self.server.create(protocol, f"kafka://{self.kafka.address}/{db}?protocol={protocol}&partition-num=2{query}", filter_rules=[f"{db}.*"],
                           sink_config={"dispatchers": [{"matcher": ["*.*"], "partition": "index-value"}]})
        self.db.run(f"CREATE DATABASE {db}", f"""CREATE TABLE {db}.t (id BIGINT UNSIGNED PRIMARY KEY, v VARCHAR(20), f FLOAT, d DOUBLE,
                    b VARBINARY(4), e ENUM('x','y'), s SET('p','q'), bt BIT(4), de DECIMAL(8,2), ts TIMESTAMP NULL, j JSON)
                    DEFAULT CHARSET=utf8mb4""")
        with self.db.connect(database=db) as c:
            c.run("SET NAMES utf8mb4", "SET time_zone = '+00:00'", """INSERT INTO t VALUES (18446744073709551615, 'é<1>', 0.5, -1.25e-7, x'00ff',
                  'y', 'p,q', 5, -12.5, '2024-01-02 03:04:05', '{"k": [1]}')""", "UPDATE t SET v = NULL, b = x'00fe', d = 0",
                  "ALTER TABLE t ADD COLUMN n INT NOT NULL DEFAULT 7", "INSERT INTO t (id, n) SELECT seq, -seq FROM seq_1_to_3000",
                  "DELETE FROM t WHERE id > 3000", "DROP TABLE t")
        self.server.wait_caught_up(protocol)
        return [m for m in self.kafka.messages(db)]

    def test_maxwell(self):
        def plain(image):
            return {k: base64.b64decode(v) if k == "b" and v is not None else v for k, v in image.items()}
        rows, ddls = [], {0: [], 1: []}
        decoder = json.JSONDecoder()
        messages = self.messages("maxwell")
        for m in messages:
            if m.key == b"\0\0\0\0\0\0\0\x01":
                text, at = m.value.decode(), 0
                while at < len(text):
                    row, at = decoder.raw_decode(text, at)
                    self.assertEqual((row["database"], row["table"]), ("db_maxwell", "t"))
                    rows.append((row["type"], plain(row.get("data", {})), plain(row.get("old", {}))))
            else:
                key, ddl = json.loads(m.key), json.loads(m.value)
                self.assertEqual((key["scm"], key["t"], key["ts"]), ("db_maxwell", 2, ddl["ts"]))
                ddls[m.partition].append((ddl["type"], [c["name"] for c in ddl["def"]["columns"] or []]))
        self.assertEqual([r for r in rows if r[1].get("id", r[2].get("id")) == 2**64 - 1 or r[0] != "insert"],
                         [("insert", FULL, {}), ("update", CHANGED, {"v": "é<1>", "b": b"\x00\xff", "d": -1.25e-7}),
                          ("delete", {}, {**CHANGED, "n": 7})])
        self.assertEqual(sorted((r[1]["id"], r[1]["n"]) for r in rows if r[0] == "insert" and "n" in r[1]), [(i, -i) for i in range(1, 3001)])
        want = [("database-create", []), ("table-create", list(COLUMNS)), ("table-alter", [*COLUMNS, "n"]), ("table-drop", [*COLUMNS, "n"])]
        self.assertEqual(ddls, {0: want, 1: want})
        # Rows of one batch share a record.
        self.assertLess(len(messages), 300)

    def test_craft(self):
        def plain(group):
            return {k: craft.value(c) for k, c in (group or {}).items()}
        rows, ddls, sizes, last = [], {0: [], 1: []}, [], {0: 0, 1: 0}
        for m in self.messages("craft", "&max-batch-size=100"):
            events = craft.decode(m.value)
            sizes.append(len(events))
            for e in events:
                if e.kind == "resolved":
                    last[m.partition] = max(last[m.partition], e.ts)
                    continue
                self.assertGreater(e.ts, last[m.partition])
                self.assertEqual((e.partition, e.schema), (-1, "db_craft"))
                if e.kind == "ddl":
                    ddls[m.partition].append((e.action, e.table, e.sql.split(" ")[0]))
                else:
                    rows.append((plain(e.new), plain(e.old)))
        many = [r for r in rows if "n" in r[0]]
        self.assertEqual([r for r in rows if r not in many], [(FULL, {}), (CHANGED, FULL), ({}, {**CHANGED, "n": 7})])
        self.assertEqual(sorted((new["id"], new["n"]) for new, _ in many), [(i, -i) for i in range(1, 3001)])
        want = [(1, None, "CREATE"), (3, "t", "CREATE"), (5, "t", "ALTER"), (4, "t", "DROP")]
        self.assertEqual(ddls, {0: want, 1: want})
        self.assertEqual(max(sizes), 100)
        self.assertTrue(all(last.values()))


if __name__ == "__main__":
    main()
