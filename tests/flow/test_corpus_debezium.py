#!/usr/bin/env python3
"""
The corpus of test_corpus.py as debezium, on MariaDB through the whole server, against what TiCDC wrote when the same ran on TiDB:
the messages in tests/golden/debezium.  mariadbs() here and the differences there are all that may differ; docs/compatibility.md
tells users the same.
"""
import json

import test_corpus
from lib import parts
from lib.case import Case, main
from lib.kafka import Kafka
from lib.mariadb import MariaDB
from lib.server import Millrace
from lib.sql import SqlError

GOLDEN = parts.ROOT / "tests" / "golden" / "debezium"
CASES = ("num", "str", "time", "keys", "txn", "gen", "part", "ddl", "wide")
# Rows of these come in MariaDB's own order: test_corpus.AS_LOGGED says which, and compares them.
AS_LOGGED = set(test_corpus.AS_LOGGED)


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


def message(key, value):
    """Both halves as parsed, without what depends on the run; numbers with a point or exponent stay text."""
    key, value = (json.loads(half, parse_float=str) for half in (key, value))
    payload = value["payload"]
    payload["ts_ms"] = payload["source"]["ts_ms"] = payload["source"]["commit_ts"] = 0
    if "ddl" in payload:
        doc = test_corpus.Doc(test_corpus.CANAL, "", {"sql": payload["ddl"]}, False)
        test_corpus.statement_words(doc)
        payload["ddl"] = doc.body["sql"]
        for change in payload["tableChanges"]:
            for column in (change["table"] or {"columns": []})["columns"]:
                if column["typeName"] == "DECIMAL" and column["defaultValueExpression"]:
                    column["defaultValueExpression"] = f'{float(column["defaultValueExpression"]):.3f}'
    elif payload["source"]["table"] == "t2":
        payload["after"]["ts"] = "now"
    return key, value


def mariadbs(key, value):
    """A recorded message as MariaDB's is."""
    payload = value["payload"]
    if "ddl" in payload:
        for change in payload["tableChanges"]:
            for column in (change["table"] or {"columns": []})["columns"]:
                # JSON is LONGTEXT.
                if column["typeName"] == "JSON":
                    column.update(jdbcType=12, typeName="LONGTEXT", typeExpression="LONGTEXT", charsetName="utf8mb4")
                # TiDB has none in the DDL that makes the column, and 0 afterwards.
                if column["jdbcType"] in (92, 93, 2014) and column["length"] is None:
                    column["length"] = 0
            if payload["source"]["table"] == "vw":
                change["table"]["defaultCharsetName"] = None
        return key, value
    for image in value["schema"]["fields"][:2]:
        for field in image["fields"]:
            if field.get("name") == "io.debezium.data.Json":
                del field["name"], field["version"]
    for image in (payload["before"], payload["after"]):
        for name, v in (image or {}).items():
            if isinstance(v, str):
                image[name] = test_corpus.TYPED.get(v, v)
        if image and image.get("dp") == "-0.00001":  # a DOUBLE(M,D) is rounded in another way
            image["dp"] = "-0.00000999999999995449"
    return key, value


def table_of(value):
    source = value["payload"]["source"]
    return f'{source["db"]}.{source["table"]}'


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

    def found(self, topic):
        """{table: messages}, without the table that only test_corpus.py looks at and the one DDL that TiDB drops."""
        found = {}
        for m in self.kafka.messages(topic):
            value = json.loads(m.value)
            if table_of(value) == "g_wide.big" or value["payload"].get("ddl", "").lower().startswith("alter database"):
                continue
            found.setdefault(table_of(value), []).append(message(m.key, m.value))
        return found

    def check(self, topic, form):
        want, got = {}, self.found(topic)
        for key, value in recorded():
            if "INVISIBLE" not in value:
                both = mariadbs(*message(key, value))
                want.setdefault(table_of(both[1]), []).append(form(both))
        self.assertEqual(sorted(got), sorted(want), "tables")
        for table, messages in want.items():
            mine = got[table]
            if table in AS_LOGGED:
                messages = [m for m in messages if "ddl" in m[1]["payload"]]
                mine = [m for m in mine if "ddl" in m[1]["payload"]]
            with self.subTest(table):
                self.assertEqual(*([[json.dumps(half, ensure_ascii=False) for half in m] for m in side] for side in (mine, messages)))

    def test_with_schemas(self):
        self.check("whole", lambda both: both)

    def test_without_schemas(self):
        self.check("bare", lambda both: tuple({"payload": half["payload"]} for half in both))


if __name__ == "__main__":
    main()
