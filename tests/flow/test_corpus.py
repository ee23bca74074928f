#!/usr/bin/env python3
"""
A corpus of SQL on MariaDB, and on MySQL, through the whole server, against what TiCDC wrote when the same ran on TiDB.

tests/golden/corpus holds the statements and the recorded messages, one a line: canal-json with the TiDB extension (without it
the messages are the same but for "_tidb"), open-protocol one row a message, and schema files of a storage sink; with times set
to 0 and mysqlType, which there has no order, in the order of sqlType; the types that content-compatible prints; and where
messages went under ROUTES.  Messages are compared document by document, in order for each table.  DIFFERENCES is all that may
differ, and docs/compatibility.md tells users the same.
"""
import base64
import collections
import copy
import json
import re

from lib import decode, parts
from lib.case import Case, main
from lib.kafka import Kafka
from lib.mariadb import MariaDB
from lib.mysql import MySQL
from lib.server import Millrace
from lib.sql import SqlError

GOLDEN = parts.ROOT / "tests" / "golden" / "corpus"
CANAL, OPEN, SCHEMA = "canal-json", "open-protocol", "schema file"
# The rules of routes.want, and the number of partitions.
ROUTES = [
    {"matcher": ["g_num.*"], "dispatcher": "ts", "topic": "r_{schema}"},
    {"matcher": ["g_keys.*"], "dispatcher": "index-value", "topic": "r_{schema}_{table}"},
    {"matcher": ["g_str.text_cols"], "dispatcher": "columns", "columns": ["c", "vc"], "topic": "r_cols"},
    {"matcher": ["g_txn.*"], "dispatcher": "table", "topic": "r_txn"},
]
ROUTE_PARTITIONS = 16
# Stands in golden files for a value of g_wide.big.
BIG = "0123456789" * 3000
BIG_BASE64 = base64.b64encode(BIG.encode()).decode()


class Doc:
    """A message: format, "db.table", the document as parsed; numbers with a point or exponent stay text."""

    def __init__(self, fmt, table, body, row):
        self.fmt, self.table, self.body, self.row = fmt, table, body, row

    def text(self):
        return json.dumps(self.body, ensure_ascii=False)

    def sql(self, change):
        holder, name = (self.body[1], "q") if self.fmt == OPEN else (self.body, "sql" if self.fmt == CANAL else "Query")
        holder[name] = change(holder[name])


def parse(text):
    return json.loads(text.replace(BIG_BASE64, "(base64 of 0123456789 x 3000)").replace(BIG, "(0123456789 x 3000)"),
                      parse_float=str)


def canal_doc(text):
    body = parse(text)
    body["es"] = body["ts"] = 0
    if "_tidb" in body:
        body["_tidb"]["commitTs"] = 0
    return Doc(CANAL, f'{body["database"]}.{body["table"]}', body, not body["isDdl"])


def open_doc(key, value):
    key = parse(key)
    key["ts"] = 0
    return Doc(OPEN, f'{key["scm"]}.{key.get("tbl", "")}', [key, parse(value)], key["t"] == 1)


def schema_doc(text):
    body = parse(text)
    body["TableVersion"] = 0
    return Doc(SCHEMA, f'{body["Schema"]}.{body["Table"]}', body, False)


# ---- what may differ ----

def statement_words(doc):
    """
    TiDB's text of a DDL is restored from its parser, MariaDB's is what the client sent.  Both are reduced to words in lower
    case, without comments, quotes and names of databases, and with one word for each thing that has several.
    """
    def words(sql):
        sql = re.sub(r"/\*.*?\*/", " ", sql).lower().replace("`", "")
        sql = re.sub(r"\bg_\w+\.(?=\w)", "", sql)
        for pattern, word in ((r"_utf8mb4(?=')", ""), (r"\bdefiner *= *\S+", ""), (r"\bgenerated always as\b", "as"),
                              (r"\bunique (key|index)\b", "unique"), (r"\bkey\b(?= \w+ ?\()", "index"), (r"\bbool\b", "tinyint(1)"),
                              (r"\bthan *\(maxvalue\)", "than maxvalue"), (r"\bcurrent_timestamp\(\)", "current_timestamp")):
            sql = re.sub(pattern, word, sql)
        return " ".join(re.findall(r"'[^']*'|\w+|[^\s\w]", sql))
    if not doc.row:
        doc.sql(words)


# JSON texts as the corpus typed them, where TiDB prints them in its own way.
TYPED = {
    '{"a": 1, "b": [1, 2.5, "x", null, true, {"c": "<&>"}], "d": "é😀"}': '{"a":1,"b":[1,2.5,"x",null,true,{"c":"<&>"}],"d":"é😀"}',
    "10000000000": "1e10",
    '{"a": {"b": {}}, "z": 1}': '{"z":1,"a":{"b":{}}}',
}


def json_is_longtext(doc):
    if doc.fmt == SCHEMA:
        for column in doc.body["TableColumns"] or []:
            if column["ColumnType"] == "JSON":
                column.update(ColumnType="LONGTEXT", ColumnPrecision="4294967295")
    elif doc.row and doc.fmt == CANAL:
        for name in [n for n, t in doc.body["mysqlType"].items() if t == "json"]:
            doc.body["mysqlType"][name] = "longtext"
            doc.body["sqlType"][name] = 2005
            for image in (doc.body["old"] or []) + (doc.body["data"] or []):
                image[name] = TYPED.get(image[name], image[name])
    elif doc.row:
        for image in doc.body[1].values():
            for column in image.values():
                if column["t"] == 245:
                    column.update(t=251, f=column["f"] & ~1)
                    if column["v"] is not None:
                        column["v"] = base64.b64encode(TYPED.get(column["v"], column["v"]).encode()).decode()


def no_handles(doc):
    """rid is the value of the integer primary key, or absent; there are no ids of partitions."""
    if doc.fmt == OPEN and doc.row:
        key, value = doc.body
        key.pop("ptn", None)
        key.pop("rid", None)
        image = value.get("u") or value["d"]
        primary = [c["v"] for c in image.values() if c["f"] & 8]
        if len(primary) == 1 and isinstance(primary[0], int):
            body = {k: v for k, v in key.items() if k != "t"}
            doc.body[0] = {**body, "rid": primary[0], "t": key["t"]}


def double_with_places(doc):
    if doc.row and doc.table == "g_num.dec_fl":
        holder, name = (doc.body["data"][0], "dp") if doc.fmt == CANAL else (doc.body[1]["u"]["dp"], "v")
        if holder[name] is not None and float(holder[name]) == -0.00001:
            holder[name] = "-0.00000999999999995449" if doc.fmt == CANAL else "-0.00000999999999995449"


def current_timestamp(doc):
    """g_ddl.t2.ts has the time of the statement."""
    if doc.row and doc.table == "g_ddl.t2":
        if doc.fmt == CANAL:
            doc.body["data"][0]["ts"] = re.sub(r"\d", "9", doc.body["data"][0]["ts"])
        else:
            doc.body[1]["u"]["ts"]["v"] = re.sub(r"\d", "9", doc.body[1]["u"]["ts"]["v"])


def view_columns(doc):
    if doc.fmt == SCHEMA and doc.table == "g_ddl.vw":
        doc.body.update(TableColumns=None, TableColumnsTotal=0)


def decimal_default(doc):
    """The default of a DECIMAL as it was typed (a definition of the DDL's text) or with all its places (the server's)."""
    for column in doc.body["TableColumns"] or [] if doc.fmt == SCHEMA else []:
        if column["ColumnType"] == "DECIMAL" and "ColumnDefault" in column:
            column["ColumnDefault"] = f'{float(column["ColumnDefault"]):.{column["ColumnScale"]}f}'


def refused(docs):
    """ALTER INDEX ... INVISIBLE is a syntax error in MariaDB."""
    return [d for d in docs if "INVISIBLE" not in d.text()]


def no_change(docs):
    """TiDB makes no DDL of an ALTER DATABASE that changes nothing; MariaDB logs it."""
    if docs[0].table != "g_ddl.":
        return docs
    new = copy.deepcopy(docs[0])
    new.sql(lambda _: "alter database g_ddl character set utf8mb4 collate utf8mb4_bin")
    if new.fmt == OPEN:
        new.body[1]["t"] = 26
    elif new.fmt == SCHEMA:
        new.body["Type"] = 26
    return docs + [new]


# Rows of a table in the order of MariaDB's log: + is an INSERT, - a DELETE, ~ an UPDATE (before>after), ddl any DDL.
AS_LOGGED = {
    "g_txn.a": "ddl +1,1 +2,2 +3,3 ~1,1>1,10 -2,2 +9,9 -9,9 -3,3 +3,33",
    "g_keys.clustered": "ddl +1,a,10 +2,b,20 +3,c,NULL ~1,a,10>1,x,10 -1,x,10 +11,x,10 -2,b,20 +2,b,21 -11,x,10 +11,x,NULL "
                        "-2,b,21 +2,b,10 -11,x,NULL +11,x,21 -3,c,NULL -11,x,21 +11,rep,99 ~2,b,10>2,upd,10",
    "g_keys.nonclustered": "ddl +1,a,10 +2,b,20 -1,a,10 +3,a,10 -2,b,20 +2,z,30 -2,z,30 -3,a,10",
    "g_part.h": "ddl +1,1 +2,2 +3,3",
    "g_part.r": "ddl +1,a +15,b +25,c -1,a +16,a -25,c ddl ddl ddl ddl +13,after +29,z ddl +14,reorg",
}


def as_logged(docs):
    """
    TiDB gives a transaction's net change of each row, rows of one statement in the order of their handles, and partitions side
    by side; the log of MariaDB has every change in the order in which it was made.
    """
    tokens = AS_LOGGED.get(docs[0].table)
    if tokens is None or docs[0].fmt == SCHEMA:
        return docs
    ddls = iter(d for d in docs if not d.row)
    template = next(d for d in docs if d.row and (d.fmt == OPEN or d.body["type"] == "INSERT"))
    with_ddl = any(not d.row for d in docs)
    found = []
    for token in tokens.split():
        if token == "ddl":
            if with_ddl:
                found.append(next(ddls))
            continue
        images = [[None if v == "NULL" else v for v in image.split(",")] for image in token[1:].split(">")]
        doc = copy.deepcopy(template)
        if doc.fmt == CANAL:
            names = list(doc.body["data"][0])
            rows = [dict(zip(names, image)) for image in images]
            doc.body.update(type={"+": "INSERT", "-": "DELETE", "~": "UPDATE"}[token[0]], data=[rows[-1]],
                            old=[rows[0]] if token[0] == "~" else None)
        else:
            columns = doc.body[1].get("u") or doc.body[1]["d"]
            order = {"id": 0, "v": 1, "u": 2}  # as the tables are made; the message sorts its columns
            rows = [{name: {**c, "v": int(image[order[name]]) if c["t"] == 3 and image[order[name]] else image[order[name]]}
                     for name, c in columns.items()} for image in images]
            doc.body[1] = {"+": {"u": rows[-1]}, "-": {"d": rows[-1]}, "~": {"u": rows[-1], "p": rows[0]}}[token[0]]
            doc.body[0]["rid"] = rows[-1]["id"]["v"]
        found.append(doc)
    assert next(ddls, None) is None, f"{docs[0].table}: a DDL is left over"
    return found


# What differs between TiDB's messages and ours of MariaDB, and why.  `each` changes one recorded message; `both` one of either
# side; `table` the list of a table's recorded messages.
Difference = collections.namedtuple("Difference", "kind change reason")
DIFFERENCES = [
    Difference("table", refused, "a statement that MariaDB does not know"),
    Difference("table", no_change, "MariaDB logs statements that change nothing"),
    Difference("table", as_logged, "a transaction's changes come one by one, in the order in which they were made"),
    Difference("each", json_is_longtext, "MariaDB's JSON is LONGTEXT and keeps the text as it was typed"),
    Difference("each", no_handles, "MariaDB has no hidden row ids and no ids of partitions"),
    Difference("each", double_with_places, "MariaDB rounds a DOUBLE(M,D) in another way"),
    Difference("each", view_columns, "MariaDB's log does not describe views"),
    Difference("both", statement_words, "the text of a DDL is MariaDB's own"),
    Difference("both", decimal_default, "MariaDB writes the default of a DECIMAL with all its places"),
    Difference("both", current_timestamp, "the time at which the statement ran"),
]


def json_doubles(doc):
    """MySQL shows by a place that a number in a document is a DOUBLE."""
    if doc.row and doc.table == "g_str.js":
        for image in (doc.body["data"] or []) + (doc.body["old"] or []) if doc.fmt == CANAL else []:
            image["j"] = DOUBLES.get(image["j"], image["j"])
        for image in doc.body[1].values() if doc.fmt == OPEN else []:
            image["j"]["v"] = DOUBLES.get(image["j"]["v"], image["j"]["v"])


DOUBLES = {"10000000000": "10000000000.0"}

# MySQL differs in less: what is left out here it has, or does as TiDB does.
MYSQL_DIFFERENCES = [d for d in DIFFERENCES if d.change not in (refused, json_is_longtext)] + [
    Difference("each", json_doubles, "MySQL prints a whole DOUBLE in a JSON document with a place"),
]


def by_table(docs):
    found = {}
    for doc in docs:
        found.setdefault(doc.table, []).append(doc)
    return found


def recorded(fmt):
    """The recorded messages as they should be here, by table."""
    name, read = {CANAL: ("canal_json.want", canal_doc), SCHEMA: ("schema_files.want", schema_doc),
                  OPEN: ("open_protocol.want", lambda line: open_doc(*line.split("\t")))}[fmt]
    # Not splitlines: there is a U+2028 in the texts.
    return by_table(read(line) for line in (GOLDEN / name).read_text().rstrip("\n").split("\n"))


def apply(kinds, docs, differences):
    for difference in differences:
        if difference.kind in kinds:
            if difference.kind == "table":
                docs = difference.change(docs)
            else:
                for doc in docs:
                    difference.change(doc)
    return docs


def statements():
    for line in (GOLDEN / "corpus.sql").read_text().splitlines():
        if not line.startswith("--"):
            # Several statements stand on a line only for a transaction; no text of these holds "; ".
            yield from (s.rstrip("; ") for s in (line.split("; ") if line.startswith("begin;") else [line]))


class Corpus(Case):
    upstream = MariaDB
    differences = DIFFERENCES
    refusals = ["alter table g_ddl.idx alter index kb invisible"]

    @classmethod
    def setUpParts(cls):
        cls.kafka = Kafka()
        cls.db = cls.upstream({"sql-mode": "", "default-time-zone": "+00:00"})
        cls.server = Millrace(cls.db)
        cls.files = parts.temp_dir("files")
        kafka = f"kafka://{cls.kafka.address}"
        feeds = {
            "canal": f"{kafka}/canal?protocol=canal-json&partition-num=1",
            "canal-tidb": f"{kafka}/canal-tidb?protocol=canal-json&enable-tidb-extension=true&partition-num=1",
            "canal-updated": f"{kafka}/canal-updated?protocol=canal-json&enable-tidb-extension=true"
                             "&only-output-updated-columns=true&partition-num=1",
            "canal-compatible": f"{kafka}/canal-compatible?protocol=canal-json&content-compatible=true&partition-num=1",
            "open": f"{kafka}/open?protocol=open-protocol&partition-num=1",
            "open-single": f"{kafka}/open-single?protocol=open-protocol&max-batch-size=1&partition-num=1",
            "files": f"file://{cls.files}?protocol=canal-json&enable-tidb-extension=true&flush-interval=2s",
        }
        for name, uri in feeds.items():
            cls.server.create(name, uri, filter_rules=["g_*.*"], force_replicate=True)
        feeds["routes"] = (f"{kafka}/r-default?protocol=canal-json&enable-tidb-extension=true"
                           f"&partition-num={ROUTE_PARTITIONS}")
        cls.server.create("routes", feeds["routes"], filter_rules=["g_*.*"], force_replicate=True,
                          sink_config={"dispatchers": ROUTES})
        for name in feeds:
            cls.server.wait_caught_up(name)
        refusals = []
        with cls.db.connect() as c:
            for statement in statements():
                try:
                    c.run(statement)
                except SqlError as error:
                    refusals.append((statement, str(error)))
        assert [s for s, _ in refusals] == cls.refusals, refusals
        for name in feeds:
            cls.server.wait_caught_up(name)

    def compare(self, fmt, docs, keep=lambda doc: True, change=lambda doc: None):
        """keep, change: how the recorded messages become those of this changefeed's settings."""
        want, got = recorded(fmt), by_table(docs)
        for table in list(want):
            want[table] = [d for d in want[table] if keep(d)]
            if want[table]:
                want[table] = apply(("table",), want[table], self.differences)
                for doc in want[table]:
                    change(doc)
                apply(("each", "both"), want[table], self.differences)
            else:
                del want[table]
        self.assertEqual(sorted(want), sorted(got), "tables")
        for table in want:
            with self.subTest(table):
                self.assertEqual([d.text() for d in want[table]], [d.text() for d in apply(("both",), got[table], self.differences)])

    def canal_docs(self, topic):
        texts = [m.value.decode() for m in self.kafka.messages(topic)]
        return [canal_doc(t) for t in texts if json.loads(t)["type"] != "TIDB_WATERMARK"]

    def open_docs(self, topic):
        found = []
        for m in self.kafka.messages(topic):
            found += [open_doc(k.decode(), v.decode()) for k, v in decode.open_frames(m.key, m.value) if json.loads(k)["t"] != 3]
        return found

    def test_canal_json(self):
        self.compare(CANAL, self.canal_docs("canal"), change=lambda doc: doc.body.pop("_tidb"))

    def test_canal_json_with_the_tidb_extension(self):
        self.compare(CANAL, self.canal_docs("canal-tidb"))

    @staticmethod
    def changed_only(doc):
        if doc.row and doc.body["old"]:
            data = doc.body["data"][0]
            doc.body["old"] = [{name: value for name, value in doc.body["old"][0].items() if value != data[name]}]

    def test_canal_json_with_only_the_updated_columns(self):
        self.compare(CANAL, self.canal_docs("canal-updated"), change=self.changed_only)

    def test_canal_json_compatible_with_canal(self):
        """Types in full, and old values of changed columns only."""
        types = {}
        for line in (GOLDEN / "full_types.want").read_text().splitlines():
            table, columns = json.loads(line)
            types[table, tuple(columns)] = columns

        def change(doc):
            doc.body.pop("_tidb")
            self.changed_only(doc)
            if doc.row:
                doc.body["mysqlType"] = dict(types[doc.table, tuple(doc.body["sqlType"])])
        self.compare(CANAL, self.canal_docs("canal-compatible"), change=change)

    def test_times_agree_and_never_go_back(self):
        last, watermark = 0, 0
        for message in self.kafka.messages("canal-tidb"):
            body = json.loads(message.value)
            ts = body["_tidb"].get("commitTs")
            if ts is None:
                self.assertEqual(body["es"], body["_tidb"]["watermarkTs"] >> 18)
                self.assertGreater(body["_tidb"]["watermarkTs"], watermark)
                watermark = body["_tidb"]["watermarkTs"]
            else:
                self.assertEqual(body["es"], ts >> 18)
                self.assertGreaterEqual(ts, last)
                self.assertGreater(ts, watermark, "a change after the watermark that spoke for it")
                last = ts
        self.assertGreater(watermark, last, "the last change is behind a watermark")

    def test_messages_go_where_they_went_there(self):
        """
        By table, kind and values; values that differ (see DIFFERENCES) go where the table's others went.  Partitions of g_num.*
        follow from the commit's time (dispatcher ts) and are -1 in the file.
        """
        places, of_table, met = {}, {}, set()
        for line in (GOLDEN / "routes.want").read_text().rstrip("\n").split("\n"):
            topic, partition, table, kind, row = json.loads(line)
            places.setdefault((table, kind, json.dumps(row)), set()).add((topic, partition))
            of_table.setdefault(table, set()).add((topic, partition))
        for topic in {topic for found in of_table.values() for topic, _ in found}:
            for m in self.kafka.messages(topic):
                body = parse(m.value.decode())
                if body["type"] == "TIDB_WATERMARK":
                    continue
                table, row, partition = f'{body["database"]}.{body["table"]}', (body["data"] or [None])[0], m.partition
                if row and body["database"] == "g_num":
                    self.assertEqual(partition, body["_tidb"]["commitTs"] % ROUTE_PARTITIONS)
                    partition = -1
                key = (table, body["type"], json.dumps(row))
                met.add(key)
                self.assertIn((topic, partition), places.get(key) or of_table[table], key)
        self.assertLessEqual({table for table, _, _ in set(places) - met}, {"g_txn.a", "g_str.js", "g_ddl.t2", "g_num.dec_fl"})

    def test_open_protocol(self):
        self.compare(OPEN, self.open_docs("open"))

    def test_open_protocol_one_row_a_message(self):
        self.compare(OPEN, self.open_docs("open-single"))
        for m in self.kafka.messages("open-single"):
            self.assertEqual(len(decode.open_frames(m.key, m.value)), 1)

    def test_files(self):
        docs = []
        for path in decode.storage_files(self.files):
            docs += [canal_doc(line) for line in path.read_bytes().decode().split("\r\n") if line]
        self.compare(CANAL, docs, keep=lambda doc: doc.row)

    def test_schema_files(self):
        texts = [p.read_text() for p in self.files.glob("**/meta/schema_*.json")]
        texts.sort(key=lambda text: json.loads(text)["TableVersion"])
        self.compare(SCHEMA, [schema_doc(t) for t in texts])


class CorpusOnMySQL(Corpus):
    """The same on MySQL 8.0."""
    upstream = MySQL
    differences = MYSQL_DIFFERENCES
    refusals = ["create sequence g_ddl.sq"]


if __name__ == "__main__":
    main()
