#!/usr/bin/env python3
"""
The corpus of test_corpus.py as avro and simple, on MariaDB through the whole server, against what TiCDC wrote when the same ran
on TiDB: schemas and records in tests/golden/avro, messages in tests/golden/simple.  DIFFERENCES there and those here are all
that may differ; docs/compatibility.md tells users the same.
"""
import io
import json
import re

import test_corpus
from lib import avro, parts
from lib.case import Case, main
from lib.decode_binary import simple_avro as from_avro
from lib.kafka import Kafka
from lib.mariadb import MariaDB
from lib.registry import Front, SchemaRegistry
from lib.server import Millrace
from lib.sql import SqlError

GOLDEN = parts.ROOT / "tests" / "golden"
CASES = ("num", "str", "time", "keys", "txn", "gen", "part", "ddl", "wide")
# Rows of these come in MariaDB's own order: test_corpus.AS_LOGGED says which, and compares them.
AS_LOGGED = set(test_corpus.AS_LOGGED)


def lines(name):
    # Not splitlines: there is a U+2028 in the texts.
    return (GOLDEN / name).read_text().rstrip("\n").split("\n")


def typed(value):
    return test_corpus.TYPED.get(value, value)


# ---- simple: what may differ ----

# Collations that TiDB gives where none is asked for, and MariaDB's.
COLLATIONS = {"utf8mb4_bin": "utf8mb4_general_ci", "latin1_bin": "latin1_swedish_ci", "ascii_bin": "ascii_general_ci",
              "utf8_bin": "utf8_general_ci"}


def mariadbs_definition(schema):
    """A recorded definition as MariaDB has it."""
    for column in schema["columns"]:
        kind = column["dataType"]
        if kind["mysqlType"] == "json":
            kind.update(mysqlType="longtext", charset="utf8mb4", collate="utf8mb4_bin")
        elif column["name"] != "bn":
            kind["collate"] = COLLATIONS.get(kind["collate"], kind["collate"])


def comparable(message):
    """Without what depends on the run: times, ids, versions; what has another order in MariaDB, sorted."""
    for name in ("commitTs", "buildTs", "tableID", "schemaVersion"):
        if name in message:
            message[name] = 0
    for schema in filter(None, (message.get("tableSchema"), message.get("preTableSchema"))):
        schema.update(tableID=0, version=0)
        schema["columns"].sort(key=lambda c: c["name"])
        schema["indexes"].sort(key=lambda i: i["name"])
        for column in schema["columns"]:
            if column["dataType"]["mysqlType"] == "decimal" and column["default"]:
                column["default"] = f'{float(column["default"]):.3f}'
    if "sql" in message:
        doc = test_corpus.Doc(test_corpus.CANAL, "", message, False)
        test_corpus.statement_words(doc)
    return message


def table_of(message):
    schema = message.get("tableSchema")
    return f'{schema["schema"]}.{schema["table"]}' if schema else f'{message.get("database", "")}.{message.get("table", "")}'


class Corpus(Case):
    @classmethod
    def setUpParts(cls):
        cls.registry = SchemaRegistry()
        cls.front = Front(cls.registry)
        cls.kafka = Kafka()
        cls.db = MariaDB({"sql-mode": "", "default-time-zone": "+00:00"})
        cls.server = Millrace(cls.db, "--tz", "UTC")
        kafka = f"kafka://{cls.kafka.address}"
        topics = {"dispatchers": [{"matcher": ["*.*"], "topic": "%s_{schema}_{table}"}]}
        registry = f"&schema-registry={cls.front.url}"
        text = "&enable-tidb-extension=true&avro-decimal-handling-mode=string&avro-bigint-unsigned-handling-mode=string"
        # Without tables that lose or lack a key, which are not for avro.
        keyed = ["g_*.*", "!g_keys.nokey", "!g_keys.uknull", "!g_ddl.nc"]
        feeds = {
            "avro": (f"{kafka}/avro?protocol=avro&partition-num=1{registry}", keyed, "ava"),
            "avro-ext": (f"{kafka}/avro-ext?protocol=avro&partition-num=1{registry}{text}", keyed, "avx"),
            "simple": (f"{kafka}/simple?protocol=simple&partition-num=1", ["g_*.*"], None),
            "simple-avro": (f"{kafka}/simple-avro?protocol=simple&encoding-format=avro&partition-num=1", ["g_*.*"], None),
        }
        for name, (uri, rules, prefix) in feeds.items():
            config = json.loads(json.dumps(topics).replace("%s", prefix)) if prefix else {}
            cls.server.create(name, uri, filter_rules=rules, force_replicate=prefix is None,
                              ignore_ineligible_table=prefix is not None, sink_config=config)
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

    # avro

    def recorded_schemas(self):
        """{(subject, number): text} and {number: parsed}"""
        texts, parsed = {}, {}
        for line in lines("avro/registry"):
            subject, number, text = line.split(" ", 2)
            texts.setdefault(subject, []).append(text)
            parsed[int(number)] = avro.fastavro.parse_schema(json.loads(text))
        return texts, parsed

    def check_avro(self, form, prefix):
        texts, parsed = self.recorded_schemas()
        reader = avro.Reader(self.registry)

        def recorded(hexed):
            if hexed in ("null", ""):
                return None
            data = bytes.fromhex(hexed)
            return avro.fastavro.schemaless_reader(io.BytesIO(data[5:]), parsed[int.from_bytes(data[1:5], "big")])
        want = {}
        for case in CASES:
            for line in lines(f"avro/{case}.{form}.want"):
                topic, _, key, _, value = line.split(" ")
                want.setdefault(topic, []).append((bytes.fromhex(key)[5:], None if value == "null" else bytes.fromhex(value)[5:],
                                                   recorded(key), recorded(value)))
        # Topics that were created when the corpus ran, but for the tables whose rows come in another way.
        topics = {t for t in self.kafka.topics() if t.startswith(prefix + "_")}
        self.assertLessEqual(set(want), topics)
        for topic, rows in sorted(want.items()):
            table = topic[len(prefix) + 1:]
            found = self.kafka.messages(topic)
            if any(table == t.replace(".", "_") for t in AS_LOGGED):
                self.assertGreater(len(found), 0)
                continue
            with self.subTest(topic):
                got = reader.records(found)
                self.assertEqual(len(got), len(rows))
                for record, message, (key, value, key_read, value_read) in zip(got, found, rows):
                    if table in ("g_str_js", "g_ddl_t2", "g_num_dec_fl") or form == "ext":
                        # JSON as typed, the time of the statement, DOUBLE(M,D), the commit's time
                        self.assertEqual(record.key, key_read)
                        self.assertEqual(self.alike(table, record.value), self.alike(table, value_read))
                    else:
                        self.assertEqual((message.key[5:], message.value and message.value[5:]), (key, value))
        return texts

    @staticmethod
    def alike(table, row):
        if row is None:
            return None
        row = {k: 0 if k in ("_tidb_commit_ts", "_tidb_commit_physical_time") else typed(v) for k, v in row.items()}
        if table == "g_ddl_t2":
            row.update(ts=re.sub(r"\d", "9", row["ts"]), de=row.get("de") and float(row["de"]))
        if table == "g_num_dec_fl" and row["dp"] is not None:
            row["dp"] = round(row["dp"], 12)
        return row

    def check_schemas(self, prefix):
        """Every schema text of the registry was recorded, and every recorded one is there."""
        want = {}
        for line in lines("avro/registry"):
            subject, _, text = line.split(" ", 2)
            if subject.startswith(prefix + "_"):
                # MariaDB's JSON is LONGTEXT; its definitions have all places of a DECIMAL's default.
                text = text.replace('"tidb_type":"JSON"', '"tidb_type":"TEXT"').replace('{"default":"1.5","name":"de"', '{"default":"1.500","name":"de"')
                want.setdefault(subject, set()).add(text)
        got = {}
        for method, path, text in self.front.schemas:
            subject = path.split("/")[2]
            if subject.startswith(prefix + "_"):
                got.setdefault(subject, set()).add(text.replace('{"default":"1.5","name":"de"', '{"default":"1.500","name":"de"'))
        for subject in sorted(want):
            with self.subTest(subject):
                self.assertEqual(sorted(got.get(subject, [])), sorted(want[subject]))

    def test_avro(self):
        self.check_avro("plain", "ava")

    def test_avro_with_the_extension_and_text_modes(self):
        self.check_avro("ext", "avx")

    def test_avro_schemas(self):
        self.check_schemas("ava")
        self.check_schemas("avx")

    # simple

    def check_simple(self, topic, form, read):
        want, got = {}, {}
        for case in CASES:
            for line in lines(f"simple/{case}.{form}.want"):
                body = line.split(" V ", 1)[1]
                message = read(bytes.fromhex(body) if form == "avro" else body.encode())
                if message["type"] == "WATERMARK" or "INVISIBLE" in message.get("sql", ""):
                    continue
                for schema in filter(None, (message.get("tableSchema"), message.get("preTableSchema"))):
                    mariadbs_definition(schema)
                want.setdefault(table_of(message), []).append(message)
        for m in self.kafka.messages(topic):
            message = read(m.value)
            if table_of(message) == "g_ddl.vw":
                # MariaDB's log does not describe views: there are no columns, and the recorded schema is left out.
                for name in ("tableSchema", "preTableSchema"):
                    self.assertEqual(message.pop(name, {"columns": []})["columns"], [])
            if message["type"] != "WATERMARK" and table_of(message) != "g_wide.big":  # in test_corpus.py
                got.setdefault(table_of(message), []).append(message)
        # MariaDB logs a statement that changes nothing; TiDB has no DDL of it.
        nothing = [m for m in got["."] if m["sql"].lower().startswith("alter database")]
        self.assertEqual(len(nothing), 1)
        got["."].remove(nothing[0])
        self.assertEqual(sorted(set(got) - set(want)), [])
        self.assertEqual(sorted(set(want) - set(got)), [])
        for table, messages in want.items():
            mine = got[table]
            if table in AS_LOGGED:
                messages = [m for m in messages if "database" not in m]
                mine = [m for m in mine if "database" not in m]
            with self.subTest(table):
                self.assertEqual([self.text(m) for m in mine], [self.text(m) for m in messages])

    @staticmethod
    def text(message):
        message = comparable(message)
        for image in (message.get("data"), message.get("old")):
            for name, value in (image or {}).items():
                image[name] = typed(value) if isinstance(value, str) else value
            if message.get("table") == "t2" and image:
                image["ts"] = "now"
            if image and image.get("dp") is not None:
                image["dp"] = round(float(image["dp"]), 12)
        return json.dumps(message, ensure_ascii=False, sort_keys=True, default=repr)

    def test_simple(self):
        self.check_simple("simple", "json", json.loads)

    def test_simple_avro(self):
        self.check_simple("simple-avro", "avro", from_avro)


if __name__ == "__main__":
    main()
