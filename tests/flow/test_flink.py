#!/usr/bin/env python3
"""MariaDB to Kafka as canal-json, maxwell and debezium, read by Apache Flink's own classes of these formats."""
import base64
import datetime
import json
import subprocess

from lib import decode_text, parts
from lib.case import Case, main
from lib.kafka import Kafka
from lib.mariadb import MariaDB
from lib.server import Millrace

FLINK = parts.ROOT / "tests" / "flow" / "parts" / "flink-formats"
TABLE = """id BIGINT PRIMARY KEY, i INT, u BIGINT UNSIGNED, de DECIMAL(12,3), d DOUBLE, s VARCHAR(40), t TEXT, b VARBINARY(8),
           da DATE, dt DATETIME(6)"""
NAMES = ["id", "i", "u", "de", "d", "s", "t", "b", "da", "dt"]
STATEMENTS = [
    """INSERT INTO flink.t VALUES (1, -2147483648, 9223372036854775807, -12.5, 0.1, 'é<1>&"\\\\', 'two\\nlines 😀', x'00ff5c22',
       '2024-02-29', '2024-02-29 12:34:56.789001')""",
    "INSERT INTO flink.t (id, s) VALUES (2, ''), (3, 'three'), (4, NULL)",
    "UPDATE flink.t SET de = NULL, i = 5, s = NULL WHERE id = 1",
    "UPDATE flink.t SET s = 'x' WHERE id = 2",
    "UPDATE flink.t SET id = 30 WHERE id = 3",
    "DELETE FROM flink.t WHERE id IN (1, 4)",
]
FIRST = ["1", "-2147483648", "9223372036854775807", "-12.500", "0.1", 'é<1>&"\\', "two\nlines 😀", "00ff5c22", "2024-02-29",
         "2024-02-29 12:34:56.789001"]


def only(number, text):
    """A row with a key and s."""
    return [number, None, None, None, None, text, None, None, None, None]


CHANGED = ["1", "5", FIRST[2], None, FIRST[4], None, *FIRST[6:]]
ROWS = [["+I", *FIRST], ["+I", *only("2", "")], ["+I", *only("3", "three")], ["+I", *only("4", None)],
        ["-U", *FIRST], ["+U", *CHANGED], ["-U", *only("2", "")], ["+U", *only("2", "x")],
        ["-D", *only("3", "three")], ["+I", *only("30", "three")], ["-D", *CHANGED], ["-D", *only("4", None)]]


class Flink(Case):
    @classmethod
    def setUpParts(cls):
        subprocess.run([FLINK, "jars"], check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        cls.kafka, cls.db = Kafka(), MariaDB()
        cls.server = Millrace(cls.db)
        # Flink's readers take no DDL but canal-json's CREATE.
        cls.db.run("CREATE DATABASE flink", f"CREATE TABLE flink.t ({TABLE}) DEFAULT CHARSET=utf8mb4")
        feeds = {"canal-json": "", "maxwell": "", "debezium": "", "debezium-plain": "&debezium-disable-schema=true"}
        for name, query in feeds.items():
            cls.server.create(name, f"kafka://{cls.kafka.address}/{name}?protocol={name.removesuffix('-plain')}&partition-num=1{query}",
                              filter_rules=["flink.*"])
        for name in feeds:
            cls.server.wait_caught_up(name)
        with cls.db.connect() as c:
            c.run("SET NAMES utf8mb4", *STATEMENTS)
        for name in feeds:
            cls.server.wait_caught_up(name)

    def read(self, form, lines, types):
        """What Flink reads; columns as texts."""
        done = subprocess.run([FLINK, "read", form, *(f"{n}:{t}" for n, t in zip(NAMES, types, strict=True))], check=False,
                              input="".join(line + "\n" for line in lines).encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual(done.returncode, 0, done.stderr.decode()[-3000:])
        return [json.loads(line) for line in done.stdout.decode().splitlines()]

    def values(self, topic):
        return [m.value.decode() for m in self.kafka.messages(topic)]

    @staticmethod
    def wanted(binary, date, time):
        """ROWS, with the columns that formats have in several ways changed by the functions."""
        return [[*row[:8], *(None if v is None else change(v) for v, change in zip(row[8:], (binary, date, time)))] for row in ROWS]

    @staticmethod
    def iso(text):
        return text.replace(" ", "T")

    @staticmethod
    def days(text):
        return str((datetime.date.fromisoformat(text) - datetime.date(1970, 1, 1)).days)

    @staticmethod
    def in_base64(text):
        return base64.b64encode(bytes.fromhex(text)).decode()

    TYPES = ["BIGINT", "INT", "DECIMAL", "DECIMAL3", "DOUBLE", "STRING", "STRING"]

    def test_canal_json(self):
        got = self.read("canal-json", self.values("canal-json"), [*self.TYPES, "STRING", "DATE", "TIMESTAMP6"])
        self.assertEqual(got, self.wanted(lambda v: bytes.fromhex(v).decode("latin1"), self.days, self.iso))

    def test_maxwell_json(self):
        """
        But for two things in which TiCDC's maxwell is not Maxwell's own: a record may hold several documents, of which Flink
        takes the first, so they are given to it one by one; and the row of a DELETE is `old`, for which Flink wants `data`.
        """
        documents = [d for value in self.values("maxwell") for d in decode_text.maxwell_rows(value.encode())]
        for d in documents:
            if d["type"] == "delete":
                self.assertNotIn("data", d)
                d["data"] = d.pop("old")
        got = self.read("maxwell-json", map(json.dumps, documents), [*self.TYPES, "BYTES", "DATE", "TIMESTAMP6"])
        self.assertEqual(got, self.wanted(self.in_base64, self.days, self.iso))

    def test_debezium_json(self):
        def micros(text):
            return str((datetime.datetime.fromisoformat(text) - datetime.datetime(1970, 1, 1)) // datetime.timedelta(microseconds=1))
        # Dates and times are numbers there, and Flink's own types for them want texts.
        types = [*self.TYPES, "BYTES", "INT", "BIGINT"]
        want = self.wanted(self.in_base64, self.days, micros)
        self.assertEqual(self.read("debezium-json-schema", self.values("debezium"), types), want)
        plain = [json.dumps(json.loads(v)["payload"]) for v in self.values("debezium-plain")]
        self.assertEqual(self.read("debezium-json", plain, types), want)


if __name__ == "__main__":
    main()
