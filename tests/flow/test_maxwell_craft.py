#!/usr/bin/env python3
"""
MariaDB to Kafka as maxwell, read by Python's json, and as craft, read by a decoder of its own: a consumer that applies either
holds what the tables hold, and every old image is what it held before.
"""
import base64
import json
import random
import re
import struct

from lib import craft, decode, decode_craft, parts
from lib.case import Case, main
from lib.kafka import Kafka
from lib.mariadb import MariaDB
from lib.server import Millrace

# Column, definition, how a query tells it so that both readers' values can be held against it.
TYPES = [
    ("id", "BIGINT UNSIGNED", "{}"), ("ti", "TINYINT", "{}"), ("su", "SMALLINT UNSIGNED", "{}"), ("me", "MEDIUMINT", "{}"),
    ("iu", "INT UNSIGNED ZEROFILL", "{}+0"), ("fl", "FLOAT", "CAST({} AS DOUBLE)"), ("bi", "BIGINT", "{}"), ("do", "DOUBLE", "{}"),
    ("de", "DECIMAL(12,3)", "{}"), ("bt", "BIT(10)", "{}+0"), ("yr", "YEAR", "{}+0"), ("da", "DATE", "{}"), ("tm", "TIME(2)", "{}"),
    ("dt", "DATETIME(3)", "{}"), ("ts", "TIMESTAMP NULL", "{}"), ("en", "ENUM('x','y','z')", "{}+0"), ("se", "SET('p','q','r')", "{}+0"),
    ("ch", "CHAR(5)", "{}"), ("vc", "VARCHAR(40)", "{}"), ("la", "VARCHAR(9) CHARACTER SET latin1", "{}"), ("tx", "TEXT", "{}"),
    ("bn", "BINARY(4)", "{}"), ("vb", "VARBINARY(8)", "{}"), ("bl", "BLOB", "{}"), ("js", "JSON", "{}")]
BINARY = {"bn", "vb", "bl"}
KEYS = {"types": ["id"], "pair": ["b", "a"]}
ROWS = [
    "(18446744073709551615, -128, 65535, -8388608, 4294967295, 0.1, -9223372036854775808, 1e300, -0.05, 517, 2024, '2024-02-29', "
    "'-838:59:59', '2024-05-06 07:08:09.12', '2024-01-02 03:04:05', 'y', 'p,r', 'é<1>', 'A&B \"\\\\ \\n', 'é', 'x\\ty', x'00ff', "
    "x'00ff5c22', x'fffe00', '{\"k\": [1, 2]}')",
    "(1, 0, 0, 0, 0, 0, 0, -0.5, 0, 0, 0, '0000-00-00', '0:0:0', '0000-00-00', '0000-00-00', 'x', '', '', '', '', '', '', '', '', '[]')",
    "(2" + ", NULL" * (len(TYPES) - 1) + ")",
    "(3, 127, 1, 8388607, 1, 16777216, 9223372036854775807, 1e-7, 999999999.999, 1023, 1901, '9999-12-31', '838:59:59', "
    "'9999-12-31 23:59:59.999', '2038-01-19 03:14:07', 'z', 'p,q,r', '\U0001f600', REPEAT('ü', 40), 'ÿ', '\u2028', x'01020304', "
    "x'80', REPEAT(x'ab', 3000), '\"text\"')"]


def is_binary(table, column):
    return table == "types" and column in BINARY


def as_told(table, row):
    """A decoded row with floats as FLOAT has them and numbers as they are."""
    if row is not None and table == "types" and row.get("fl") is not None:
        row = {**row, "fl": struct.unpack("<f", struct.pack("<f", row["fl"]))[0]}
    return row


def of_maxwell(message):
    """The rows and DDLs of one record; its objects stand one behind the other."""
    text, at, found = message.value.decode(), 0, []
    while at < len(text):
        body, at = json.JSONDecoder().raw_decode(text, at)
        if "def" in body:
            found.append(decode.Event(decode.DDL, db=body["database"], table=body["table"], type=body["type"], sql=body["sql"],
                                      ts=body["ts"], raw=body, partition=message.partition))
            continue

        def values(image, table=body["table"]):
            return {k: base64.b64decode(v, validate=True) if v is not None and is_binary(table, k) else v for k, v in image.items()}
        data, old = values(body.get("data", {})), values(body.get("old", {}))
        kind = body["type"].upper()
        found.append(decode.Event(decode.ROW, db=body["database"], table=body["table"], type=kind, raw=body,
                                  data=old if kind == "DELETE" else data, old={**data, **old} if kind == "UPDATE" else None,
                                  partition=message.partition))
    return found


def of_craft(message):
    return decode_craft.events([message])


READERS = {"maxwell": of_maxwell, "craft": of_craft}


class MaxwellAndCraft(Case):
    @classmethod
    def setUpParts(cls):
        cls.kafka = Kafka()
        cls.db = MariaDB({"sql-mode": "", "default-time-zone": "+00:00"})
        cls.server = Millrace(cls.db, "--tz", "UTC")

    def feed(self, db, *protocols, partitions=3, query="", **body):
        for protocol in protocols:
            self.server.create(f"{db}-{protocol}", f"kafka://{self.kafka.address}/{db}-{protocol}?protocol={protocol}"
                               f"&partition-num={partitions}{query}", filter_rules=[f"{db}.*"], **body)

    def read(self, db, protocol):
        """(messages, events), in order for each partition."""
        self.server.wait_caught_up(f"{db}-{protocol}")
        messages = self.kafka.messages(f"{db}-{protocol}")
        return messages, [e for m in messages for e in READERS[protocol](m)]

    # ---- rows ----

    def expected(self, db, table):
        """The table's rows by key, as both readers give them."""
        columns = TYPES if table == "types" else [("a", "", "{}"), ("b", "", "{}"), ("n", "", "{}")]
        numbers = {"id", "ti", "su", "me", "iu", "bi", "bt", "yr", "en", "se", "a", "n"}
        found = {}
        for row in self.db.query(f"SELECT {', '.join(how.format(name) for name, _, how in columns)} FROM {db}.{table}"):
            values = {}
            for (name, _, _), value in zip(columns, row):
                if value is not None and name in numbers:
                    value = int(float(value)) if name in ("en", "se") else int(value)
                elif value is not None and name in ("fl", "do"):
                    value = float(value)
                elif value is not None and is_binary(table, name) and isinstance(value, str):
                    value = value.encode()
                values[name] = value
            found[tuple(values[k] for k in KEYS[table])] = values
        return found

    def apply(self, events):
        """Tables of a consumer; an UPDATE or DELETE must find what it says was there."""
        tables = {"types": {}, "pair": {}}
        for e in events:
            if e.kind != decode.ROW:
                continue
            table, new, old = tables[e.table], as_told(e.table, e.data), as_told(e.table, e.old)
            key = tuple(new[k] for k in KEYS[e.table])
            before = {"INSERT": None, "UPDATE": old, "DELETE": new}[e.type]
            self.assertEqual(table.get(key), before, f"before {e}")
            if e.type == "DELETE":
                del table[key]
            else:
                table[key] = new
        return tables

    def changes(self, db, seed):
        r = random.Random(seed)
        with self.db.connect(database=db) as c:
            c.run("SET NAMES utf8mb4", *(f"INSERT INTO types VALUES {row}" for row in ROWS))
            for _ in range(120):
                i, n = r.randrange(60), r.randrange(10**6)
                c.run("BEGIN")
                for _ in range(r.choice((1, 1, 3))):
                    c.run(r.choice((
                        f"INSERT IGNORE INTO pair SELECT seq, 'k{n % 5}', {n} FROM seq_{i}_to_{i + r.randrange(30)}",
                        f"UPDATE pair SET n = {r.choice(['NULL', str(-n)])} WHERE a BETWEEN {i} AND {i + 9}",
                        f"UPDATE IGNORE pair SET b = 'k{n % 5}' WHERE a = {i}", f"DELETE FROM pair WHERE a = {i}",
                        f"INSERT IGNORE INTO types (id, vb, bl, fl, tx) VALUES ({i + 10}, x'{n:08x}', x'{n:06x}00', {n} / 3, 'é{n}')",
                        f"UPDATE types SET bl = CONCAT(IFNULL(bl, ''), x'ff'), fl = fl / 7, do = {n} / 7, en = 1 + {n} % 3 WHERE id > {i}",
                        f"UPDATE types SET tx = NULL, vb = NULL, js = '{{\"n\":{n}}}' WHERE id = {i + 10}",
                        f"UPDATE IGNORE types SET id = {n % 90} WHERE id = {i + 10}", f"DELETE FROM types WHERE id = {i + 10}")))
                c.run("COMMIT")
            c.run("INSERT IGNORE INTO pair VALUES (0, 'last', 1)")

    def check_rows(self, protocol):
        db = f"rows{protocol}"
        self.db.run(f"CREATE DATABASE {db}", f"CREATE TABLE {db}.types ({', '.join(f'{n} {t}' for n, t, _ in TYPES)}, PRIMARY KEY (id)) "
                    "DEFAULT CHARSET=utf8mb4", f"CREATE TABLE {db}.pair (a INT, b VARCHAR(9), n INT, PRIMARY KEY (b, a))")
        self.feed(db, protocol, sink_config={"dispatchers": [{"matcher": ["*.*"], "partition": "index-value"}]})
        self.changes(db, 4711)
        messages, events = self.read(db, protocol)
        tables = self.apply(events)
        for table, rows in tables.items():
            self.assertGreater(len(rows), 3)
            self.assertEqual(rows, self.expected(db, table), table)
        rows = [e for e in events if e.kind == decode.ROW]
        self.assertEqual({e.type for e in rows}, {"INSERT", "UPDATE", "DELETE"})
        self.assertEqual({e.partition for e in rows}, {0, 1, 2})
        self.assertLess(len(messages), len(events), "messages hold several rows")
        return messages, rows

    def test_maxwell_gives_the_tables(self):
        messages, rows = self.check_rows("maxwell")
        self.assertEqual({m.key for m in messages}, {b"\0\0\0\0\0\0\0\1"})
        for e in rows:
            self.assertEqual(list(e.raw)[:4], ["database", "table", "type", "ts"])
            self.assertEqual([k for k in e.raw if k in ("data", "old")], {
                "INSERT": ["data"], "UPDATE": ["data", "old"], "DELETE": ["old"]}[e.type])
            for image in (e.raw.get("data"), e.raw.get("old")):
                self.assertEqual(list(image or {}), sorted(image or {}, key=str.encode))
            if e.type == "UPDATE":
                self.assertNotIn(KEYS[e.table][0], e.raw["old"])
                self.assertTrue(all(e.raw["data"][k] != v for k, v in e.raw["old"].items()), f"changed columns only: {e}")
        for m in messages:
            # Floats as they are written: Python has other texts for them.
            text, at, again = m.value.decode(), 0, ""
            while at < len(text):
                body, at = json.JSONDecoder(parse_float=lambda number: "@" + number).raw_decode(text, at)
                again += re.sub('"@([^"]*)"', r"\1", json.dumps(body, ensure_ascii=False, separators=(",", ":")))
            for escape in ("<", ">", "&", "\u2028"):
                again = again.replace(escape, f"\\u{ord(escape):04x}")
            self.assertEqual(again, text, "no blanks, nothing between objects")

    def test_craft_gives_the_tables(self):
        messages, rows = self.check_rows("craft")
        self.assertEqual({m.key for m in messages if of_craft(m)[0].kind == decode.ROW}, {b""})
        last = {}
        for e in rows:
            self.assertGreaterEqual(e.ts, last.get(e.partition, 0), "commit order")
            last[e.partition] = e.ts
            self.assertIsNone(e.physical)
            for group in e.raw.values():
                self.assertEqual([n for n, c in group.items() if c.flags & craft.HANDLE_KEY], sorted(KEYS[e.table]))
        told = {n: (c.kind, c.flags) for n, c in next(e for e in rows if e.table == "types").raw[1].items()}
        self.assertEqual(told, {
            "id": (8, 139), "ti": (1, 65), "su": (2, 193), "me": (9, 65), "iu": (3, 193), "fl": (4, 65), "bi": (8, 65), "do": (5, 65),
            "de": (246, 65), "bt": (16, 193), "yr": (13, 193), "da": (10, 65), "tm": (11, 65), "dt": (12, 65), "ts": (7, 65),
            "en": (247, 64), "se": (248, 64), "ch": (254, 64), "vc": (15, 64), "la": (15, 64), "tx": (252, 64), "bn": (254, 65),
            "vb": (15, 65), "bl": (252, 65), "js": (251, 64)})

    # ---- DDLs and watermarks ----

    def life(self, db, *protocols):
        self.feed(db, *protocols)
        self.db.run(f"CREATE DATABASE {db}", f"CREATE TABLE {db}.t (id INT PRIMARY KEY, v VARCHAR(20), b BIGINT, d DECIMAL(5,2), "
                    f"g INT AS (id + 1) VIRTUAL)", f"INSERT INTO {db}.t (id, v) VALUES (1, 'one')",
                    f"ALTER TABLE {db}.t ADD COLUMN n INT UNSIGNED DEFAULT 7", f"DELETE FROM {db}.t", f"RENAME TABLE {db}.t TO {db}.u",
                    f"TRUNCATE TABLE {db}.u", f"DROP TABLE {db}.u", f"DROP DATABASE {db}")

    def test_maxwell_ddl(self):
        self.life("mxddl", "maxwell")
        messages, events = self.read("mxddl", "maxwell")
        for partition in range(3):
            self.assertEqual([e.type for e in events if e.partition == partition and e.kind == decode.DDL],
                             ["database-create", "table-create", "table-alter", "table-alter", "table-alter", "table-drop",
                              "database-drop"], f"partition {partition}")
        rows = [(e.type, e.data) for e in events if e.kind == decode.ROW]
        self.assertEqual(rows, [("INSERT", {"id": 1, "v": "one", "b": None, "d": None}),
                                ("DELETE", {"id": 1, "v": "one", "b": None, "d": None, "n": 7})])
        ddls = [(m.key, e) for m in messages for e in of_maxwell(m) if e.kind == decode.DDL and e.partition == 1]
        for key, e in ddls:
            names = (f',"scm":"{e.db}"' if e.db else "") + (f',"tbl":"{e.table}"' if e.table else "")
            self.assertEqual(key.decode(), f'{{"ts":{e.ts}{names},"t":2}}')
            self.assertEqual(list(e.raw), ["type", "database", "table", "old", "def", "ts", "sql"])
        self.assertEqual([(e.db, e.table) for _, e in ddls], [("mxddl", ""), *[("mxddl", "t")] * 2, *[("mxddl", "u")] * 3, ("mxddl", "")])
        stamps = [e.ts for _, e in ddls]
        self.assertEqual(stamps, sorted(set(stamps)))
        columns = [{"type": t, "name": n} for t, n in (("int", "id"), ("string", "v"), ("bigint", "b"), ("decimal", "d"), ("int", "g"))]
        table = {"database": "mxddl", "table": "t", "columns": columns, "primary-key": None}
        none = {"database": "", "table": "", "columns": None, "primary-key": None}
        altered = {**table, "columns": columns + [{"type": "int", "name": "n"}]}
        renamed = {**altered, "table": "u"}
        base = {**none, "database": "mxddl"}
        self.assertEqual([e.raw["def"] for _, e in ddls], [base, table, altered, renamed, renamed, renamed, base])
        self.assertEqual([e.raw["old"] for _, e in ddls][:4], [none, none, table, altered])

    def test_craft_ddl_and_watermarks(self):
        self.life("crddl", "craft")
        messages, events = self.read("crddl", "craft")
        for partition in range(3):
            here = [e for e in events if e.partition == partition]
            self.assertEqual([(e.type, e.table) for e in here if e.kind == decode.DDL],
                             [(1, ""), (3, "t"), (5, "t"), (14, "u"), (11, "u"), (4, "u"), (2, "")], f"partition {partition}")
            done = 0
            for e in here:
                if e.kind == decode.WATERMARK:
                    self.assertEqual((e.db, e.table), ("", ""))
                    self.assertGreaterEqual(e.ts, done)
                    done = e.ts
                else:
                    self.assertGreater(e.ts, done, "nothing new behind its watermark")
            self.assertGreater(done, here[0].ts)
        self.assertEqual([(e.type, e.data) for e in events if e.kind == decode.ROW], [
            ("INSERT", {"id": 1, "v": "one", "b": None, "d": None}), ("DELETE", {"id": 1, "v": "one", "b": None, "d": None, "n": 7})])
        for m in messages:
            found = of_craft(m)
            self.assertEqual(m.key, b"" if found[0].kind == decode.ROW else None)
            self.assertTrue(len(found) == 1 or all(e.kind == decode.ROW for e in found), "a DDL or watermark is alone")
        self.assertEqual({e.db for e in events if e.kind == decode.DDL}, {"crddl"})

    # ---- batches, sizes, options ----

    def test_how_many_rows_a_message_holds(self):
        self.db.run("CREATE DATABASE many", "CREATE TABLE many.t (id INT PRIMARY KEY, v VARCHAR(100))")
        self.feed("many", "craft", "maxwell", partitions=1)
        self.server.create("many-three", f"kafka://{self.kafka.address}/many-three?protocol=craft&partition-num=1&max-batch-size=3",
                           filter_rules=["many.*"])
        self.server.create("many-small", f"kafka://{self.kafka.address}/many-small?protocol=maxwell&partition-num=1&max-message-bytes=4096",
                           filter_rules=["many.*"])
        for name in ("many-craft", "many-maxwell", "many-three", "many-small"):
            self.server.wait_caught_up(name)
        self.db.run("INSERT INTO many.t SELECT seq, REPEAT('x', 100) FROM many.seq_1_to_1000")
        for name, reader, most in (("many-craft", of_craft, 16), ("many-three", of_craft, 3), ("many-maxwell", of_maxwell, 2048),
                                   ("many-small", of_maxwell, 2048)):
            with self.subTest(name):
                self.server.wait_caught_up(name)
                messages = self.kafka.messages(name)
                found = [[e for e in reader(m) if e.kind == decode.ROW] for m in messages]
                found = [rows for rows in found if rows]
                self.assertEqual([e.data["id"] for rows in found for e in rows], list(range(1, 1001)))
                self.assertLessEqual(max(map(len, found)), most)
                self.assertGreater(max(map(len, found)), most - 1 if most < 2048 else 10)
                if name == "many-small":
                    self.assertLessEqual(max(len(m.key) + len(m.value) + 36 for m in messages), 4096)

    def test_a_row_above_the_limit_stops_the_changefeed(self):
        for protocol in ("maxwell", "craft"):
            with self.subTest(protocol):
                db = f"large{protocol}"
                self.db.run(f"CREATE DATABASE {db}", f"CREATE TABLE {db}.t (id INT PRIMARY KEY, v LONGTEXT)")
                self.feed(db, protocol, query="&max-message-bytes=10000")
                # Each fits, but no two together.
                self.db.run(f"INSERT INTO {db}.t SELECT seq, REPEAT('y', 6000) FROM {db}.seq_1_to_5")
                _, events = self.read(db, protocol)
                self.assertEqual([e.data for e in events if e.kind == decode.ROW], [{"id": i, "v": "y" * 6000} for i in range(1, 6)])
                self.db.run(f"INSERT INTO {db}.t VALUES (6, REPEAT('x', 20000))")
                detail = self.server.wait_state(f"{db}-{protocol}", "error", 60)
                self.assertEqual(detail["error"]["code"], "CDC:ErrMessageTooLarge")
                self.server.remove(f"{db}-{protocol}")

    def test_deletes_of_keys_only_and_columns_that_are_left_out(self):
        self.db.run("CREATE DATABASE part", "CREATE TABLE part.t (id INT PRIMARY KEY, v VARCHAR(9), secret BLOB)")
        self.feed("part", "maxwell", "craft", sink_config={
            "delete-only-output-handle-key-columns": True,
            "column-selectors": [{"matcher": ["part.*"], "columns": ["*", "!secret"]}]})
        for protocol in ("maxwell", "craft"):
            self.server.wait_caught_up(f"part-{protocol}")
        self.db.run("INSERT INTO part.t VALUES (1, 'a', x'00')", "UPDATE part.t SET v = NULL, secret = x'ff'", "DELETE FROM part.t")
        for protocol in ("maxwell", "craft"):
            with self.subTest(protocol):
                _, events = self.read("part", protocol)
                self.assertEqual([(e.type, e.data, e.old) for e in events if e.kind == decode.ROW], [
                    ("INSERT", {"id": 1, "v": "a"}, None), ("UPDATE", {"id": 1, "v": None}, {"id": 1, "v": "a"}),
                    ("DELETE", {"id": 1}, None)])

    def test_files_are_not_for_them(self):
        for protocol in ("maxwell", "craft"):
            reply = self.server.api("POST", "/api/v1/changefeeds", {
                "changefeed_id": "refused", "filter_rules": ["refused.*"],
                "sink_uri": f"file://{parts.temp_dir('none')}?protocol={protocol}"})
            self.assertEqual((reply.status, reply.code()), (500, "CDC:ErrStorageSinkInvalidConfig"), reply.text())


if __name__ == "__main__":
    main()
