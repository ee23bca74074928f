#!/usr/bin/env python3
"""
The corpus of test_corpus.py as canal, csv and debezium, on MariaDB through the whole server, against what TiCDC wrote when
the same ran on TiDB: the .want files of tests/golden, which the tests of the encoders hold, too.

Messages are taken apart into documents, times are left out, and each table's documents must be equal in order, but for the
differences of test_corpus.py and those below; docs/compatibility.md tells users the same.  Documents that no difference touches
are compared as bytes as well.
"""
import copy
import json
import re

import test_corpus
from lib import decode, decode_canal, parts
from lib.case import Case, main
from lib.kafka import Kafka
from lib.mariadb import MariaDB
from lib.server import Millrace
from lib.sql import SqlError

GOLDEN = parts.ROOT / "tests" / "golden"
CASES = ("num", "str", "time", "keys", "txn", "gen", "part", "ddl", "wide")
# Places of columns in the tables of test_corpus.AS_LOGGED; csv has no names.
PLACES = {"id": 0, "v": 1, "u": 2, "0": 0, "1": 1, "2": 2}
TYPES = {"+": "INSERT", "-": "DELETE", "~": "UPDATE"}


class Doc:
    """
    table: "db.table".  type: INSERT, UPDATE or DELETE, or what the format calls a DDL.  new, old: {column: [value, what else is
    told of it]}, None if absent; values are texts (debezium: also numbers).  more: what else the document says.  raw: its
    bytes without times, None for none.
    """

    def __init__(self, table, kind, new=None, old=None, sql=None, more=None, raw=None):
        self.table, self.type, self.new, self.old, self.sql, self.more, self.raw = table, kind, new, old, sql, more or {}, raw
        self.row = sql is None

    def text(self):
        return json.dumps([self.table, self.type, self.new, self.old, self.sql, self.more], ensure_ascii=False)

    def images(self):
        return [image for image in (self.new, self.old) if image]


def unescape(line):
    return re.sub(rb"\\x([0-9a-f]{2})", lambda m: bytes([int(m[1], 16)]), line)


def lines(name):
    return (GOLDEN / name).read_bytes().rstrip(b"\n").split(b"\n")


# ---- canal ----

def fields(data):
    """(number, wire type, content, bytes of all) of a protobuf message."""
    at, found = 0, []

    def number():
        nonlocal at
        value = shift = 0
        while True:
            value |= (data[at] & 127) << shift
            shift += 7
            at += 1
            if data[at - 1] < 128:
                return value
    while at < len(data):
        begin = at
        tag = number()
        if tag & 7 == 0:
            content = number()
        else:
            assert tag & 7 == 2, tag
            size = number()
            content = data[at:at + size]
            at += size
        found.append((tag >> 3, content, data[begin:at]))
    return found


def canal_raw(packet):
    """The entries' bytes, each without the time of its header and the length this is part of."""
    entries = [c for n, c, _ in fields(next(c for n, c, _ in fields(packet) if n == 5)) if n == 2]
    found = []
    for entry in entries:
        (_, header, _), *rest = fields(entry)
        found.append(b"".join([*(b for n, _, b in fields(header) if n != 6), *(b for _, _, b in rest)]))
    return found


def canal_image(columns):
    return {c["name"][0]: [None if c.get("is_null") else c.get("value", [""])[0],
                           {k: v[0] for k, v in c.items() if k not in ("name", "value", "is_null")}] for c in columns} or None


def canal_docs(packets):
    found = []
    for packet in packets:
        for entry, raw in zip(decode_canal.packets([packet]), canal_raw(packet), strict=True):
            head, change = entry["header"][0], entry["store_value"][0]
            assert head.pop("execute_time")
            kind = head.pop("event_type")[0]
            assert change.pop("event_type")[0] == kind
            row = change.pop("row_datas", [{}])
            assert len(row) == 1
            table = f'{head["schema_name"][0]}.{head.get("table_name", [""])[0]}'
            images = [canal_image(row[0].get(name, [])) for name in ("after_columns", "before_columns")]
            found.append(Doc(table, kind, *images, change.pop("sql", [None])[0],
                             {"head": head, "change": change, "type": entry["entry_type"]}, raw))
    return found


def canal_recorded():
    for case in CASES:
        for line in lines(f"canal/{case}.want"):
            yield from canal_docs([unescape(line.split(b" ", 2)[2])])


# ---- debezium ----

def debezium_docs(messages):
    """messages: texts of key and value.  The two as they are, without times."""
    found = []
    for key, value in messages:
        raw = re.sub(r'"(ts_ms|commit_ts)":\d+', r'"\1":0', f"{key} {value}")
        p = test_corpus.parse(value)
        assert p.get("schema", {}).keys() <= {"type", "optional", "name", "version", "fields"}
        p = p["payload"]
        table, source = f'{p["source"]["db"]}.{p["source"]["table"]}', p.pop("source")
        source.update(ts_ms=0, commit_ts=0)
        p["ts_ms"] = 0
        images = [{n: [v, {}] for n, v in p.pop(name).items()} if p.get(name) else p.pop(name, None) for name in ("after", "before")]
        sql = p.pop("ddl", None)
        found.append(Doc(table, {"c": "INSERT", "u": "UPDATE", "d": "DELETE"}.get(p.get("op"), "DDL"), *images, sql=sql,
                         more={"source": source, "rest": p, "key": json.loads(key), "schema": json.loads(value).get("schema")}, raw=raw))
    return found


def debezium_recorded(form):
    """In files a schema is told once, and then by its number."""
    for case in CASES:
        known = {}

        def put_back(text):
            m = re.fullmatch(r"(.*)#(\d+)(?:=(.*))?\}", text, re.S)
            if m is None:
                return text
            if m[3] is not None:
                known[m[2]] = m[3]
            return f"{m[1]}{known[m[2]]}}}"
        for line in lines(f"debezium/{case}.{form}.want"):
            key, value = line.decode()[2:].split(" V ", 1)
            yield from debezium_docs([(put_back(key), put_back(value))])


# ---- csv ----

CSV_OLD = {"include-commit-ts": True, "output-old-value": True, "output-handle-key": True, "quote": "", "delimiter": "|",
           "null": "NULL", "binary-encoding-method": "hex"}


def csv_rows(text):
    """Lines of the default form: per field its text, with its quotes."""
    found = re.findall(r'((?:"(?:[^"]|"")*"|[^"\r])*)\r\n', text, re.S)
    return [re.findall(r'(?:^|(?<=,))("(?:[^"]|"")*"|[^,]*)(?:,|$)', line, re.S) for line in found]


def csv_old_rows(text):
    return [re.findall(r"(?:^|(?<=\|))((?:\\.|[^|\\])*)(?:\||$)", line, re.S) for line in text.split("\r\n")[:-1]]


def csv_docs(text, old):
    found = []
    for row in (csv_old_rows if old else csv_rows)(text):
        head, values = row[:6 if old else 4], row[6 if old else 4:]
        kind, table, db = (f.strip('"') for f in head[:3])
        image = {str(i): [v, {}] for i, v in enumerate(values)}
        doc = Doc(f"{db}.{table}", {"I": "INSERT", "U": "UPDATE", "D": "DELETE"}[kind], image, more={"fields": head[4:]},
                  raw=(",|"[old]).join([*head[:3], *head[4:], *values]))
        doc.ts = int(head[3])
        found.append(doc)
    return found


def csv_recorded(old):
    found = []
    for case in CASES:
        for line in lines(f"csv/{case}.{'old' if old else 'plain'}.want"):
            found += csv_docs(re.sub(rb"\\x([01][0-9a-f])", lambda m: bytes([int(m[1], 16)]), line).decode(), old)
    # A table's files are in the order of its versions.
    return sorted(found, key=lambda d: d.ts)


# ---- what may differ ----

def as_logged(fmt, docs):
    tokens = test_corpus.AS_LOGGED.get(docs[0].table)
    if tokens is None:
        return docs
    ddls = iter([d for d in docs if not d.row])
    template = next(d for d in docs if d.row and d.type == "INSERT")
    with_ddl, found = any(not d.row for d in docs), []
    for token in tokens.split():
        if token == "ddl":
            if with_ddl:
                found.append(next(ddls))
            continue
        rows = []
        for image in token[1:].split(">"):
            values, row = image.split(","), copy.deepcopy(template.new)
            for name, column in row.items():
                column[0] = logged_value(fmt, name, values[PLACES[name]], column[0])
            rows.append(row)
        doc = copy.deepcopy(template)
        doc.type, doc.raw = TYPES[token[0]], None
        doc.new, doc.old = (rows[-1], None) if token[0] == "+" else (None, rows[0]) if token[0] == "-" else (rows[1], rows[0])
        found += shaped(fmt, doc)
    assert next(ddls, None) is None, f"{docs[0].table}: a DDL is left over"
    return found


def logged_value(fmt, name, text, like):
    """A value of AS_LOGGED as the format has it; like: one of the same column."""
    if text == "NULL":
        return {"csv": "\\N", "csv-old": "NULL"}.get(fmt)
    if fmt == "debezium":
        return int(text) if name in ("id", "u") or isinstance(like, int) else text
    return f'"{text}"' if like.startswith('"') else text


def shaped(fmt, doc):
    """A row that was made of AS_LOGGED, as the format writes it."""
    if fmt == "canal":
        if doc.type == "DELETE":
            for column in doc.old.values():
                column[1].pop("updated", None)
    elif fmt == "debezium":
        doc.more["rest"]["op"] = {"INSERT": "c", "UPDATE": "u", "DELETE": "d"}[doc.type]
        doc.more["key"]["payload"] = {"id": (doc.new or doc.old)["id"][0]}
    elif fmt.startswith("csv"):
        if fmt == "csv-old":
            doc.more["fields"] = ["true" if doc.type == "UPDATE" else "false", (doc.new or doc.old)["0"][0]]
            if doc.type == "UPDATE":
                before = copy.deepcopy(doc)
                before.type, doc.type = "DELETE", "INSERT"
                before.new, before.old, doc.old = before.old, None, None
                return [before, doc]
        doc.new, doc.old = doc.new or doc.old, None
    return [doc]


def refused(docs):
    return [d for d in docs if "INVISIBLE" not in (d.sql or "")]


def no_change(fmt, docs):
    if docs[0].table != "g_ddl." or fmt != "canal":
        return docs
    new = copy.deepcopy(docs[0])
    new.sql, new.raw = "alter database g_ddl character set utf8mb4 collate utf8mb4_bin", None
    new.type = "QUERY"
    return docs + [new]


def json_is_longtext(fmt, doc):
    typed = {**test_corpus.TYPED, "1e10": "1e10"}
    if doc.row and doc.table == "g_str.js":
        for image in doc.images():
            column = image["1" if fmt.startswith("csv") else "j"]
            if fmt == "canal":
                column[1].update(sql_type="2005", mysql_type="longtext")
            if fmt == "csv" and column[0] != "\\N":
                text = column[0][1:-1].replace('""', '"')
                column[0] = '"' + typed.get(text, text).replace('"', '""') + '"'
            elif fmt == "csv-old" and column[0]:
                text = re.sub(r"\\(.)", r"\1", column[0])
                column[0] = column[0] if text not in typed else typed[text].replace("\\", "\\\\").replace("|", "\\|")
            elif column[0] is not None:
                column[0] = typed.get(column[0], column[0])
    elif fmt == "canal" and doc.row:
        for image in doc.images():
            for _, column in image.values():
                if column["mysql_type"] == "json":
                    column.update(sql_type="2005", mysql_type="longtext")
    if fmt == "debezium" and doc.row and doc.more["schema"]:
        for image in doc.more["schema"]["fields"][:2]:
            for column in image["fields"]:
                if column.get("name") == "io.debezium.data.Json":
                    del column["name"], column["version"]


def double_with_places(fmt, doc):
    """The same as in test_corpus.py, in the forms of these formats."""
    if doc.row and doc.table == "g_num.dec_fl":
        for image in doc.images():
            column = image["9" if fmt.startswith("csv") else "dp"]
            if column[0] not in (None, "\\N", "NULL") and float(column[0]) == -0.00001:
                column[0] = "-9.99999999995449e-06" if fmt.startswith("csv") else "-0.00000999999999995449"


def current_timestamp(fmt, doc):
    if doc.row and doc.table == "g_ddl.t2":
        for image in doc.images():
            for column in image.values():
                if re.fullmatch(r'"?\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\dZ?"?', str(column[0])):
                    column[0] = re.sub(r"\d", "9", column[0])
        doc.raw = None


def statement_words(doc):
    if not doc.row:
        test_corpus.statement_words(Words(doc))
        doc.raw = None


class Words:
    """A DDL in the form that test_corpus.py changes."""
    row = False

    def __init__(self, doc):
        self.doc = doc

    def sql(self, change):
        self.doc.sql = change(self.doc.sql)


def handles(doc):
    """csv-old: a hidden row id there, the values of the handle key or nothing here."""
    if doc.table in ("g_keys.uknull", "g_keys.nokey"):
        doc.more["fields"][1] = ""


class Others(Case):
    @classmethod
    def setUpParts(cls):
        cls.kafka = Kafka()
        cls.db = MariaDB({"sql-mode": "", "default-time-zone": "+00:00"})
        cls.server = Millrace(cls.db, "--tz", "UTC")
        cls.csv, cls.csv_old = parts.temp_dir("csv"), parts.temp_dir("csv")
        feeds = {
            "csv": (f"file://{cls.csv}?protocol=csv&flush-interval=2s", {"csv": {"include-commit-ts": True}}),
            "csv-old": (f"file://{cls.csv_old}?protocol=csv&flush-interval=2s", {"csv": CSV_OLD}),
            **{name: (f"kafka://{cls.kafka.address}/{name}?protocol={name}&partition-num=1", {})
               for name in ("canal", "debezium")},
            "debezium-plain": (f"kafka://{cls.kafka.address}/debezium-plain?protocol=debezium&debezium-disable-schema=true"
                               "&partition-num=1", {}),
        }
        for name, (uri, config) in feeds.items():
            cls.server.create(name, uri, filter_rules=["g_*.*"], force_replicate=True, sink_config=config)
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

    def compare(self, fmt, recorded, got, without=lambda doc: False):
        """
        without: documents of ours that nobody recorded; g_wide.big's rows are for test_corpus.py.  Gives how many were compared
        as bytes.
        """
        want = test_corpus.by_table(recorded)
        got = test_corpus.by_table(d for d in got if not without(d) and not (d.row and d.table == "g_wide.big"))
        for table in list(want):
            docs = refused(want[table])
            before = {id(d): d.text() for d in docs}
            docs = as_logged(fmt, no_change(fmt, docs))
            for doc in docs:
                for change in (json_is_longtext, double_with_places, current_timestamp):
                    change(fmt, doc)
                if before.get(id(doc)) != doc.text():
                    doc.raw = None
                statement_words(doc)
            want[table] = docs
        for doc in sum(got.values(), []):
            statement_words(doc)
            current_timestamp(fmt, doc)
        self.assertEqual(sorted(want), sorted(got), "tables")
        same = 0
        for table in want:
            with self.subTest(table):
                self.assertEqual([d.text() for d in got[table]], [d.text() for d in want[table]])
                for mine, theirs in zip(got[table], want[table]):
                    if mine.raw is not None and theirs.raw is not None:
                        self.assertEqual(mine.raw, theirs.raw)
                        same += 1
        return same

    def test_canal(self):
        docs = canal_docs([m.value for m in self.kafka.messages("canal")])
        self.assertGreater(self.compare("canal", canal_recorded(), docs), 75)

    def test_debezium(self):
        """Rows only; what DDL messages say of columns follows from definitions, in which the two servers differ."""
        for name, form in (("debezium", "schema"), ("debezium-plain", "plain")):
            docs = debezium_docs([(m.key.decode(), m.value.decode()) for m in self.kafka.messages(name)])
            self.assertGreater(self.compare("debezium", [d for d in debezium_recorded(form) if d.row], docs, lambda d: not d.row), 50)

    def csv_files(self, root, old):
        docs = []
        for path in decode.storage_files(root):
            docs += csv_docs(path.read_bytes().decode(), old)
        return docs

    def test_csv(self):
        self.assertGreater(self.compare("csv", csv_recorded(False), self.csv_files(self.csv, False)), 80)

    def test_csv_with_old_values_and_handles(self):
        self.assertGreater(self.compare("csv-old", csv_recorded(True), self.csv_files(self.csv_old, True)), 80)


if __name__ == "__main__":
    main()
