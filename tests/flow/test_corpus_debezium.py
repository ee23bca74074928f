#!/usr/bin/env python3
"""
The corpus of test_corpus.py as debezium, on MariaDB through the whole server, against what TiCDC wrote when the same ran on TiDB:
the messages in tests/golden/debezium.  They are compared byte for byte, times set to 0.  DIFFERENCES is all that may differ: each
of them must be needed, and stand in docs/compatibility.md for the users.
"""
import collections
import json
import re

import test_corpus
from lib import parts
from lib.case import Case, main
from lib.kafka import Kafka
from lib.mariadb import MariaDB
from lib.server import Millrace
from lib.sql import SqlError

GOLDEN = parts.ROOT / "tests" / "golden" / "debezium"
CASES = ("num", "str", "time", "keys", "txn", "gen", "part", "ddl", "wide")


def recorded():
    """Each recorded message as (key, value) text; `#N=SCHEMA` is a schema shown for the first time, `#N` one shown before."""
    for case in CASES:
        schemas = {}

        def whole(half):
            head, mark, rest = half.rpartition("},#")
            number, _, text = rest[:-1].partition("=")
            schemas.setdefault(number, text)
            return head + "}," + schemas[number] + "}"
        # Not splitlines: there is a U+2028 in the texts.
        for line in (GOLDEN / f"{case}.schema.want").read_text().rstrip("\n").split("\n"):
            key, value = line[2:].split(" V ", 1)
            yield whole(key), whole(value)


class Number(str):
    """As it was written."""


def text_of(v):
    """The bytes that v was parsed from: no blanks, only what must be escaped is."""
    if isinstance(v, Number):
        return v
    if isinstance(v, dict):
        return "{" + ",".join(f"{text_of(k)}:{text_of(x)}" for k, x in v.items()) + "}"
    if isinstance(v, list):
        return "[" + ",".join(map(text_of, v)) + "]"
    return json.dumps(v, ensure_ascii=False).replace("\\b", "\\u0008").replace("\\f", "\\u000c")


class Message:
    def __init__(self, key, value):
        halves = [re.sub(r'"(ts_ms|commit_ts)":\d+', r'"\1":0', half) for half in (key, value)]
        self.key, self.value = (json.loads(half, parse_float=Number, parse_int=Number) for half in halves)
        # So that equal texts mean equal bytes.
        assert [text_of(self.key), text_of(self.value)] == halves, halves
        self.payload = self.value["payload"]
        source = self.payload["source"]
        self.table, self.ddl = f'{source["db"]}.{source["table"]}', self.payload.get("ddl")

    def columns(self):
        """Of definitions."""
        return [c for change in self.payload.get("tableChanges", []) for c in (change["table"] or {"columns": []})["columns"]]

    def images(self):
        return [i for i in (self.payload.get("before"), self.payload.get("after")) if i]

    def text(self, schemas):
        return " ".join(text_of(half if schemas else {"payload": half["payload"]}) for half in (self.key, self.value))


# ---- what may differ ----

def refused(m):
    return m.ddl is None or "INVISIBLE" not in m.ddl


def no_change(m):
    return m.ddl is None or not m.ddl.lower().startswith("alter database")


def as_logged(m):
    """Left out here: test_corpus_others.py compares them, in MariaDB's order."""
    return m.ddl is not None or m.table not in test_corpus.AS_LOGGED


def statement_words(m):
    if m.ddl is not None:
        doc = test_corpus.Doc(test_corpus.CANAL, "", {"sql": m.ddl}, False)
        test_corpus.statement_words(doc)
        m.payload["ddl"] = doc.body["sql"]


def json_is_longtext(m):
    for column in m.columns():
        if column["typeName"] == "JSON":
            column.update(jdbcType=Number("12"), typeName="LONGTEXT", typeExpression="LONGTEXT", charsetName="utf8mb4")
    for image in m.value["schema"]["fields"][:2] if m.ddl is None else []:
        for field in image["fields"]:
            if field.get("name") == "io.debezium.data.Json":
                del field["name"], field["version"]


def json_as_typed(m):
    for image in m.images() if m.table == "g_str.js" else []:
        image["j"] = test_corpus.TYPED.get(image["j"], image["j"])


def double_with_places(m):
    for image in m.images() if m.table == "g_num.dec_fl" else []:
        if image["dp"] == "-0.00001":
            image["dp"] = Number("-0.00000999999999995449")


def decimal_default(m):
    for column in m.columns():
        if column["typeName"] == "DECIMAL" and column["defaultValueExpression"] is not None:
            column["defaultValueExpression"] = f'{float(column["defaultValueExpression"]):.{column["scale"]}f}'


def current_timestamp(m):
    """g_ddl.t2.ts has the time of the statement."""
    for image in m.images() if m.table == "g_ddl.t2" else []:
        image["ts"] = re.sub(r"\d", "9", image["ts"])


# `keep` says which messages stay, on either side; `want` changes a recorded message; `both` one of either side.  doc: how the row
# in docs/compatibility.md begins; None: no difference of the systems.
Difference = collections.namedtuple("Difference", "kind change doc")
DIFFERENCES = [
    Difference("keep", refused, "`ALTER TABLE ... ALTER INDEX ... INVISIBLE` does not exist."),
    Difference("keep", no_change, "`ALTER DATABASE` that changes nothing is a DDL, too."),
    Difference("keep", as_logged, "Every change of a transaction is a message, in the order in which it was made."),
    Difference("both", statement_words, "The text of a DDL is the one that MariaDB logged"),
    Difference("want", json_is_longtext, "debezium: JSON is a plain string"),
    Difference("want", json_as_typed, "JSON columns are `longtext`"),
    Difference("want", double_with_places, "Values of `DOUBLE(M,D)` may differ in the last bits."),
    Difference("want", decimal_default, "Schema files, debezium: the default of a DECIMAL has all its places"),
    Difference("both", current_timestamp, None),
]


class Corpus(Case):
    @classmethod
    def setUpParts(cls):
        cls.kafka = Kafka()
        cls.db = MariaDB({"sql-mode": "", "default-time-zone": "+00:00"})
        cls.server = Millrace(cls.db, "--tz", "UTC")
        kafka = f"kafka://{cls.kafka.address}"
        feeds = {"whole": f"{kafka}/whole?protocol=debezium&partition-num=1",
                 "bare": f"{kafka}/bare?protocol=debezium&debezium-disable-schema=true&partition-num=1"}
        for name, uri in feeds.items():
            cls.server.create(name, uri, filter_rules=["g_*.*"], force_replicate=True)
        for name in feeds:
            cls.server.wait_caught_up(name)
        with cls.db.connect() as c:
            for statement in test_corpus.statements():
                try:
                    c.run(statement)
                except SqlError:
                    assert "invisible" in statement, statement
        for name in feeds:
            cls.server.wait_caught_up(name)

    def by_table(self, messages, kinds, schemas, used):
        """{table: texts} after the differences of these kinds; used: takes in those that did something."""
        found = {}
        for m in messages:
            keep = True
            for d in DIFFERENCES:
                if d.kind == "keep" and not d.change(m):
                    used.add(d)
                    keep = False
                elif d.kind in kinds:
                    before = m.text(True)
                    d.change(m)
                    if m.text(True) != before:
                        used.add(d)
            if keep:
                found.setdefault(m.table, []).append(m.text(schemas))
        return found

    def check(self, topic, schemas):
        used = set()
        want = self.by_table((Message(*halves) for halves in recorded()), ("want", "both"), schemas, used)
        # Not the table that only test_corpus.py looks at.
        mine = [m for m in self.kafka.messages(topic) if json.loads(m.value)["payload"]["source"]["table"] != "big"]
        if not schemas:
            self.assertEqual({tuple(json.loads(half)) for m in mine for half in (m.key, m.value)}, {("payload",)})
        got = self.by_table((Message(m.key.decode(), m.value.decode()) for m in mine), ("both",), schemas, used)
        self.assertEqual(sorted(got), sorted(want), "tables")
        for table in want:
            with self.subTest(table):
                self.assertEqual(got[table], want[table])
        self.assertEqual([d.change.__name__ for d in DIFFERENCES if d not in used], [], "differences that are none")

    def test_with_schemas(self):
        self.check("whole", True)

    def test_without_schemas(self):
        self.check("bare", False)

    def test_differences_are_told(self):
        page = (parts.ROOT / "docs" / "compatibility.md").read_text()
        self.assertEqual([d.doc for d in DIFFERENCES if d.doc is not None and f"\n| {d.doc}" not in page], [])


if __name__ == "__main__":
    main()
