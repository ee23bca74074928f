#!/usr/bin/env python3
"""MariaDB to csv files, read back with Python's csv module; dates, ages and settings of the storage sink."""
import base64
import datetime
import json

from lib import decode, parts
from lib.case import Case, main
from lib.mariadb import MariaDB
from lib.server import Millrace

NASTY = ["", " ", "a,b", '"', '""', 'say "hi", he said', "\\N", "\\", "\\\\", "tab\there", "one\ntwo", "one\r\ntwo", "\r", "\n", "NULL",
         "é😀", "|", "a|b||c", "'", "I", '","', "\\n", "x\u2028y", ",", "\"\r\n\",", "0", "true"]


class Csv(Case):
    @classmethod
    def setUpParts(cls):
        cls.db = MariaDB()
        cls.server = Millrace(cls.db, "--tz", "UTC")

    def feed(self, name, *rules, query="", **config):
        root = parts.temp_dir("csv")
        self.server.create(name, f"file://{root}?protocol=csv&flush-interval=2s{query}", filter_rules=list(rules),
                           sink_config=config)
        return root

    def lines(self, name, root, **dialect):
        self.server.wait_caught_up(name)
        return decode.storage_csv(root, **dialect)

    def test_rows_of_many_types_read_back(self):
        self.db.run("CREATE DATABASE types", """
            CREATE TABLE types.t (
                id BIGINT PRIMARY KEY, ti TINYINT, si SMALLINT UNSIGNED, bi BIGINT UNSIGNED, f FLOAT, d DOUBLE, de DECIMAL(30,10),
                bits BIT(10), y YEAR, c CHAR(8), vc VARCHAR(40), tx TEXT, vb VARBINARY(16), bl BLOB, da DATE, ti6 TIME(6),
                dt DATETIME(3), ts TIMESTAMP(6) NULL, e ENUM('new','pa,id'), s SET('a','b','c'), j JSON) DEFAULT CHARSET=utf8mb4""")
        root = self.feed("types", "types.*")
        old = self.feed("types-old", "types.*", csv={"include-commit-ts": True, "output-old-value": True,
                                                     "output-handle-key": True, "binary-encoding-method": "hex", "null": "nil"})
        with self.db.connect() as c:
            c.run("SET NAMES utf8mb4", "SET time_zone='+00:00'", "INSERT INTO types.t (id) VALUES (1)",
                  """INSERT INTO types.t VALUES (2, -128, 65535, 18446744073709551615, 0.1, 1234567.5,
                     -12345678901234567890.0123456789, b'1000000101', 2026, 'ab ', 'é<1>\\n"', 'text 😀', x'00ff5c22',
                     x'cafe', '2024-05-06', '-838:59:58.000001', '2024-05-06 07:08:09.120', '2024-05-06 07:08:09.000001',
                     'pa,id', 'a,c', '{"k": [1, 2]}')""",
                  "UPDATE types.t SET ti = 5, vc = NULL WHERE id = 2", "DELETE FROM types.t WHERE id = 1")
        rows = self.lines("types", root)
        full = ["2", "-128", "65535", "18446744073709551615", "0.1", "1.2345675e+06", "-12345678901234567890.0123456789", "517",
                "2026", "ab", 'é<1>\n"', "text 😀", base64.b64encode(b"\x00\xff\\\"").decode(), base64.b64encode(b"\xca\xfe").decode(),
                "2024-05-06", "-838:59:58.000001", "2024-05-06 07:08:09.120", "2024-05-06 07:08:09.000001", "pa,id", "a,c",
                '{"k": [1, 2]}']
        updated = full.copy()
        updated[1], updated[10] = "5", "\\N"
        self.assertEqual(rows, [["I", "t", "types", "1", *["\\N"] * 20], ["I", "t", "types", *full],
                                ["U", "t", "types", *updated], ["D", "t", "types", "1", *["\\N"] * 20]])
        schema = [s for s in decode.storage_schemas(root) if s["Table"] == "t"][-1]
        self.assertEqual(len(schema["TableColumns"]), len(full))
        rows = self.lines("types-old", old)
        full[12], full[13] = "00ff5c22", "cafe"
        updated = [*full]
        updated[1], updated[10] = "5", "nil"
        self.assertEqual([r[:3] + r[4:] for r in rows], [
            ["I", "t", "types", "false", "1", "1", *["nil"] * 20], ["I", "t", "types", "false", "2", *full],
            ["D", "t", "types", "true", "2", *full], ["I", "t", "types", "true", "2", *updated],
            ["D", "t", "types", "false", "1", "1", *["nil"] * 20]])
        stamps = [int(r[3]) for r in rows]
        self.assertEqual(stamps, sorted(stamps))
        self.assertEqual(stamps[2], stamps[3])

    def test_any_text_reads_back(self):
        self.db.run("CREATE DATABASE nasty", "CREATE TABLE nasty.t (id INT PRIMARY KEY, v VARCHAR(50) CHARACTER SET utf8mb4)")
        quoted = self.feed("quoted", "nasty.*")
        single = self.feed("single", "nasty.*", csv={"quote": "'", "delimiter": "\t"}, terminator="\n")
        bare = self.feed("bare", "nasty.*", csv={"quote": "", "delimiter": "||"}, terminator="\n")
        with self.db.connect() as c:
            c.run("SET NAMES utf8mb4", *(f"INSERT INTO nasty.t VALUES ({i}, x'{v.encode().hex()}')" for i, v in enumerate(NASTY)))
        want = [["I", "t", "nasty", str(i), v] for i, v in enumerate(NASTY)]
        self.assertEqual(self.lines("quoted", quoted), want)
        self.assertEqual(self.lines("single", single, quotechar="'", delimiter="\t"), want)
        self.server.wait_caught_up("bare")
        data = b"".join(p.read_bytes() for p in decode.storage_files(bare)).decode()
        lines = data.split("\n")
        self.assertEqual(lines.pop(), "")
        self.assertEqual([self.unescape(line) for line in lines], want)

    @staticmethod
    def unescape(line):
        """A line without quotes and delimiter '||' taken apart: every special character has a backslash before it."""
        fields, i = [""], 0
        while i < len(line):
            if line[i] == "\\" and line[i + 1] != "N":
                fields[-1] += {"n": "\n", "r": "\r"}.get(line[i + 1], line[i + 1])
                i += 2
            elif line.startswith("||", i):
                fields.append("")
                i += 2
            else:
                fields[-1] += line[i]
                i += 1
        return fields

    def test_changed_keys_are_split_and_marked_as_no_update(self):
        self.db.run("CREATE DATABASE splits", "CREATE TABLE splits.t (a VARCHAR(5), b INT, v INT, PRIMARY KEY (b, a))")
        root = self.feed("splits", "splits.*", csv={"output-old-value": True, "output-handle-key": True})
        self.db.run("INSERT INTO splits.t VALUES ('x', 1, 0)", "UPDATE splits.t SET a = 'y'", "UPDATE splits.t SET v = 3")
        self.assertEqual([r[0:1] + r[3:] for r in self.lines("splits", root)], [
            ["I", "false", "{1, x}", "x", "1", "0"], ["D", "false", "{1, x}", "x", "1", "0"], ["I", "false", "{1, y}", "y", "1", "0"],
            ["D", "true", "{1, y}", "y", "1", "0"], ["I", "true", "{1, y}", "y", "1", "3"]])

    def test_a_large_transaction_arrives_whole(self):
        self.db.run("CREATE DATABASE big", "CREATE TABLE big.t (id INT PRIMARY KEY, v VARCHAR(200))")
        root = self.feed("big", "big.*", csv={"include-commit-ts": True})
        self.db.run("INSERT INTO big.t SELECT seq, REPEAT(CHAR(97 + seq % 26), 150) FROM big.seq_1_to_50000")
        rows = self.lines("big", root)
        self.assertEqual([int(r[4]) for r in rows], list(range(1, 50001)))
        self.assertEqual(len({r[3] for r in rows}), 1)

    def test_dates_numbers_and_column_ids_are_as_configured(self):
        self.db.run("CREATE DATABASE dirs", "CREATE TABLE dirs.t (id INT PRIMARY KEY)")
        formats = {"none": None, "year": "%Y", "month": "%Y-%m", "day": "%Y-%m-%d"}
        roots = {name: self.feed(f"dirs-{name}", "dirs.*", **{"date-separator": name, "file-index-digit": 6, "cloud-storage-config": {
            "output-column-id": True}}) for name in formats}
        self.db.run("INSERT INTO dirs.t VALUES (1)")
        for name, form in formats.items():
            before = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=30)
            self.server.wait_caught_up(f"dirs-{name}")
            file, = decode.storage_files(roots[name])
            self.assertEqual(file.name, "CDC000001.csv")
            where = file.relative_to(roots[name]).parts
            self.assertEqual(where[:2], ("dirs", "t"))
            now = datetime.datetime.now(datetime.timezone.utc)
            self.assertIn(where[3:-1], [(t.strftime(form),) if form else () for t in (before, now)])
            self.assertEqual((file.parent / "meta" / "CDC.index").read_text(), "CDC000001.csv\n")
            schema = [s for s in decode.storage_schemas(roots[name]) if s["Table"] == "t"][-1]
            self.assertEqual(schema["TableColumns"][0]["ColumnId"], "1")

    def test_old_files_are_removed_on_schedule(self):
        self.db.run("CREATE DATABASE ages", "CREATE TABLE ages.t (id INT PRIMARY KEY)")
        root = self.feed("ages", "ages.*", **{"cloud-storage-config": {"file-expiration-days": 3,
                                                                       "file-cleanup-cron-spec": "*/2 * * * * *"}})
        self.db.run("INSERT INTO ages.t VALUES (1)")
        self.server.wait_caught_up("ages")
        file, = decode.storage_files(root)
        today = datetime.datetime.now(datetime.timezone.utc).date()
        made = {}
        for days in (30, 5, 2):
            made[days] = file.parent.parent / (today - datetime.timedelta(days=days)).isoformat()
            (made[days] / "meta").mkdir(parents=True)
            (made[days] / file.name).write_bytes(file.read_bytes())
            (made[days] / "meta" / "CDC.index").write_text(file.name + "\n")
        parts.wait_until(lambda: not made[30].exists() and not made[5].exists(), 30, "old dates are removed")
        self.assertTrue((made[2] / "meta" / "CDC.index").exists())
        self.assertTrue(file.exists())
        self.assertTrue(decode.storage_schemas(root))
        self.assertTrue(decode.storage_checkpoint(root) > 0)

    def test_bad_settings_are_refused_at_create(self):
        root = parts.temp_dir("refused")
        for config, code in [
                ({"csv": {"quote": "ab"}}, "CDC:ErrSinkInvalidConfig"),
                ({"csv": {"delimiter": "abcd"}}, "CDC:ErrSinkInvalidConfig"),
                ({"csv": {"delimiter": "\n"}}, "CDC:ErrSinkInvalidConfig"),
                ({"csv": {"delimiter": ""}}, "CDC:ErrSinkInvalidConfig"),
                ({"csv": {"delimiter": "|", "quote": "|"}}, "CDC:ErrSinkInvalidConfig"),
                ({"csv": {"null": 0}}, "CDC:ErrAPIInvalidParam"),
                ({"csv": {"binary-encoding-method": "raw"}}, "CDC:ErrSinkInvalidConfig"),
                ({"delete-only-output-handle-key-columns": True}, "CDC:ErrSinkInvalidConfig"),
                ({"date-separator": "week"}, "CDC:ErrSinkInvalidConfig"),
                ({"cloud-storage-config": {"file-cleanup-cron-spec": "0 2 * * *"}}, "CDC:ErrStorageSinkInvalidConfig")]:
            with self.subTest(config=json.dumps(config)):
                reply = self.server.api("POST", "/api/v1/changefeeds", {
                    "changefeed_id": "refused", "sink_uri": f"file://{root}?protocol=csv", "sink_config": config})
                self.assertEqual(reply.code(), code, reply.text())
        reply = self.server.api("POST", "/api/v1/changefeeds", {"changefeed_id": "refused",
                                                                "sink_uri": "kafka://127.0.0.1:9/t?protocol=csv"})
        self.assertEqual(reply.code(), "CDC:ErrSinkUnknownProtocol", reply.text())


if __name__ == "__main__":
    main()
