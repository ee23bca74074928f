#!/usr/bin/env python3
"""
The corpus of test_corpus.py as maxwell and craft, on MariaDB through the whole server, against what TiCDC wrote when the same ran
on TiDB: tests/golden/corpus/maxwell.want and craft.want, an object or decoded event a line, times set to 0, without watermarks.
In craft.want a value is [type, flags, value], binary ones in hex; FLOATs are "?", since TiCDC destroys them.  maxwell.want lacks
DDLs of databases and the tables of NOT_IN_MAXWELL, on which TiCDC dies.  Messages are compared in order for each table.
test_corpus.DIFFERENCES and those here are all that may differ; docs/compatibility.md tells users the same.
"""
import copy
import json
import re

import test_corpus
from lib import craft, decode, parts
from lib.case import Case, main
from lib.kafka import Kafka
from lib.mariadb import MariaDB
from lib.server import Millrace
from lib.sql import SqlError
from test_maxwell_craft import of_craft

GOLDEN = parts.ROOT / "tests" / "golden" / "corpus"
NOT_IN_MAXWELL = {"g_str.text_cols", "g_str.bin_cols", "g_wide.big"}
BIG_HEX = test_corpus.BIG.encode().hex()


def lines(name):
    # Not splitlines: there is a U+2028 in the texts.
    return (GOLDEN / name).read_text().rstrip("\n").split("\n")


def doc(body):
    """Of either protocol; format "" so that nothing takes it for one of test_corpus.py's."""
    table = f'{body.get("database", body.get("db"))}.{body["table"]}'
    found = test_corpus.Doc("", table, body, "sql" not in body)
    # Where its statement stands.
    found.sql = lambda change: body.update(sql=change(body["sql"]))
    return found


def maxwell_docs(text):
    """The objects of a record, numbers as they are written."""
    at, found, decoder = 0, [], json.JSONDecoder(parse_float=str)
    while at < len(text):
        body, at = decoder.raw_decode(text, at)
        body["ts"] = 0
        found.append(doc(body))
    return found


def craft_body(e):
    """An event as it stands in craft.want."""
    body = {"db": e.db, "table": e.table}
    if e.kind == decode.DDL:
        return {**body, "type": e.type, "sql": e.sql}

    def value(column):
        if column.kind == 4 and column.value is not None:
            return "?"
        value = "hex:" + column.value.hex() if isinstance(column.value, bytes) else column.value
        return value.replace("hex:" + BIG_HEX, "(hex of 0123456789 x 3000)").replace(
            test_corpus.BIG, "(0123456789 x 3000)") if isinstance(value, str) else value
    for which, name in ((1, "new"), (2, "old")):
        if which in e.raw:
            body[name] = {n: [c.kind, c.flags, value(c)] for n, c in e.raw[which].items()}
    return body


# ---- what may differ ----

def typed(value):
    return test_corpus.TYPED.get(value, value) if isinstance(value, str) else value


def json_is_longtext(body):
    """MariaDB's JSON is LONGTEXT and keeps the text as it was typed."""
    for part in (body.get("old"), body.get("def")) if "sql" in body and "def" in body else ():
        for column in part["columns"] or []:
            if column["type"] == "json":
                column["type"] = "string"
    for image in (body.get(name) for name in ("data", "old", "new") if "sql" not in body):
        for name, value in (image or {}).items():
            if not isinstance(value, list):
                image[name] = typed(value)
            elif value[0] == 245:
                image[name] = [251, value[1] & ~craft.BINARY, typed(value[2])]


def rounded(body):
    """MariaDB rounds a DOUBLE(M,D) in another way; the time of the statement in g_ddl.t2."""
    for image in (body.get(name) for name in ("data", "old", "new") if "sql" not in body):
        for name, value in (image or {}).items():
            plain = value[2] if isinstance(value, list) else value
            if plain is not None and (body["table"], name) == ("dec_fl", "dp"):
                plain = round(float(plain), 12)
            if plain is not None and (body["table"], name) == ("t2", "ts"):
                plain = re.sub(r"\d", "9", plain)
            image[name] = [*value[:2], plain] if isinstance(value, list) else plain


def no_view_columns(body):
    """MariaDB's log does not describe views."""
    if body["table"] == "vw" and "def" in body:
        body["def"]["columns"] = body["old"]["columns"] = None


def images(one, template):
    """A row of test_corpus.AS_LOGGED with the types of a recorded one."""
    order, row = {"id": 0, "v": 1, "u": 2}, {}  # as the tables are made
    for name, like in template.items():
        text = one.split(",")[order[name]]
        plain = like[2] if isinstance(like, list) else like
        value = None if text == "NULL" else int(text) if isinstance(plain, int) else text
        row[name] = [*like[:2], value] if isinstance(like, list) else value
    return row


def as_logged(table, bodies):
    """As test_corpus.as_logged: the log of MariaDB has every change in the order in which it was made."""
    tokens = test_corpus.AS_LOGGED.get(table)
    if tokens is None:
        return bodies
    ddls = iter(b for b in bodies if "sql" in b)
    rows = [b for b in bodies if "sql" not in b]
    first = next(b for b in rows if "data" in b or "new" in b)
    template, found = first.get("data") or first["new"], []
    for token in tokens.split():
        if token == "ddl":
            found.append(next(ddls))
            continue
        before, after = ([None] + [images(i, template) for i in token[1:].split(">")])[-2:]
        body = {k: copy.deepcopy(v) for k, v in first.items() if k not in ("data", "old", "new")}
        if "data" in first:
            body["type"] = {"+": "insert", "-": "delete", "~": "update"}[token[0]]
            if token[0] != "-":
                body["data"] = after
            if token[0] == "-":
                body["old"] = after
            elif token[0] == "~":
                body["old"] = {name: value for name, value in before.items() if value != after[name]}
        else:
            if token[0] != "-":
                body["new"] = after
            if token[0] != "+":
                body["old"] = after if token[0] == "-" else before
        found.append(body)
    assert next(ddls, None) is None, f"{table}: a DDL is left over"
    return found


class Corpus(Case):
    @classmethod
    def setUpParts(cls):
        cls.kafka = Kafka()
        cls.db = MariaDB({"sql-mode": "", "default-time-zone": "+00:00"})
        cls.server = Millrace(cls.db, "--tz", "UTC")
        for name in ("maxwell", "craft"):
            cls.server.create(name, f"kafka://{cls.kafka.address}/{name}?protocol={name}&partition-num=1", filter_rules=["g_*.*"],
                              force_replicate=True)
            cls.server.wait_caught_up(name)
        with cls.db.connect() as c:
            for statement in test_corpus.statements():
                try:
                    c.run(statement)
                except SqlError:
                    assert "invisible" in statement, statement
        for name in ("maxwell", "craft"):
            cls.server.wait_caught_up(name)

    def compare(self, recorded, got):
        want, mine = test_corpus.by_table(recorded), test_corpus.by_table(got)
        self.assertEqual(sorted(set(want) ^ set(mine)), [])
        for table, docs in want.items():
            bodies = as_logged(table, [d.body for d in docs if "INVISIBLE" not in d.body.get("sql", "")])
            docs = [doc(b) for b in bodies]
            for d in docs:
                json_is_longtext(d.body)
                no_view_columns(d.body)
            for d in docs + mine[table]:
                rounded(d.body)
                test_corpus.statement_words(d)
            with self.subTest(table):
                self.assertEqual([d.text() for d in mine[table]], [d.text() for d in docs])

    def test_maxwell(self):
        recorded = [d for line in lines("maxwell.want") for d in maxwell_docs(line)]
        got = [d for m in self.kafka.messages("maxwell") for d in maxwell_docs(m.value.decode())]
        databases = [d.body for d in got if d.table.endswith(".")]
        kinds = {kind: sorted(b["database"] for b in databases if b["type"] == kind) for kind in (b["type"] for b in databases)}
        every = sorted({d.table.split(".")[0] for d in got})
        self.assertEqual(kinds, {"database-create": every, "database-alter": ["g_ddl"], "database-drop": ["g_ddl_tmp"]})
        got = [d for d in got if not d.table.endswith(".") and d.table not in NOT_IN_MAXWELL]
        self.compare(recorded, got)

    def test_craft(self):
        recorded = [doc(json.loads(line)) for line in lines("craft.want")]
        got = [doc(craft_body(e)) for m in self.kafka.messages("craft") for e in of_craft(m) if e.kind != decode.WATERMARK]
        # MariaDB logs a statement that changes nothing; TiDB has no DDL of it.
        nothing = [d for d in got if d.body.get("type") == 26]
        self.assertEqual([(d.table, d.body["sql"].lower()) for d in nothing],
                         [("g_ddl.", "alter database g_ddl character set utf8mb4 collate utf8mb4_bin")])
        got.remove(nothing[0])
        self.compare(recorded, got)


if __name__ == "__main__":
    main()
