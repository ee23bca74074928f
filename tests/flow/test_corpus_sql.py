#!/usr/bin/env python3
"""
A corpus of SQL through the whole server into a second MariaDB, beside what TiCDC's MySQL sink sent to a MariaDB when the same ran
on TiDB (tests/golden/sql: its statements, one packet a line, up to the first that MariaDB refused).

The recorded statements run on a third server: both targets must hold the same rows.  Shapes of statements are compared table by
table; what may differ stands here and in docs/compatibility.md.
"""
import json
import re

from lib import parts, same
from lib.case import Case, main
from lib.mariadb import MariaDB
from lib.server import Millrace
from lib.sql import SqlError

GOLDEN = parts.ROOT / "tests" / "golden"
BIG = "0123456789" * 3000
# Tables whose rows differ, and why.
ROWS = {
    "g_str.bin_cols": "the recording lost the packet with their bytes",
    "g_str.js": "TiDB prints JSON in its own form, MariaDB keeps the text",
    "g_ddl.t2": "a default of CURRENT_TIMESTAMP is each run's own",
    "g_part.r": "the reference let a row of the new partition go before EXCHANGE PARTITION",
    "g_part.x": "the same row",
}
# Shapes that only one side has, and why.
OURS = {
    "DELETE FROM `g_keys`.`nokey` WHERE HEX(CONVERT(`v` USING utf8mb4)) = HEX(?) AND `a` = ? AND `v` = ?":
        "without a key, a text is found by its bytes, not by what its collation takes for equal",
    "DELETE FROM `g_str`.`bin_cols` WHERE `id` = ?": "lost in the recording",
    "REPLACE INTO `g_str`.`bin_cols` (`id`,`b`,`vb`,`tb`,`bl`,`mb`,`lb`) VALUES (?,?,?,?,?,?,?)": "lost in the recording",
}
_SAME_KEY = "a REPLACE with the same key needs no DELETE before it"
THEIRS = {
    "DELETE FROM `g_keys`.`nokey` WHERE `a` = ? AND `v` = ?": "the same",
    "DELETE FROM `g_ddl`.`t` WHERE `id` = ?": _SAME_KEY,
    "DELETE FROM `g_keys`.`ident` WHERE `select` = ?": _SAME_KEY,
    "DELETE FROM `g_str`.`enum_set` WHERE `id` = ?": _SAME_KEY,
    "DELETE FROM `g_str`.`js` WHERE `id` = ?": _SAME_KEY,
    "DELETE FROM `g_keys`.`ukonly` WHERE `a` = ? AND `b` = ?":
        "alone and among others a row is found by the handle key, the index of fewest columns",
}


def corpus():
    for line in (GOLDEN / "corpus" / "corpus.sql").read_text().splitlines():
        if not line.startswith("--"):
            # Several statements stand on a line only for a transaction; no text of these holds "; ".
            for text in line.split("; ") if line.startswith("begin;") else [line]:
                if "invisible" in text:
                    return
                if text.rstrip("; "):
                    yield text.rstrip("; ")


def split(packet):
    """The statements of a packet: at semicolons outside of quotes."""
    return [part for part in re.findall(r"(?:'(?:[^'\\]|\\.)*'|`[^`]*`|[^;'`])+", packet, re.S) if part.strip()]


def recorded():
    for line in (GOLDEN / "sql" / "statements.want").read_text().rstrip("\n").split("\n"):
        yield from split(json.loads(line).replace("{BIG}", BIG))


def shape(statement):
    """verb, table and form of a change of rows, values as "?", lists as one; None for others."""
    text = re.sub(r"(?:_binary)?'(?:[^'\\]|\\.)*'", "?", statement, flags=re.S)
    if not re.match(r"(INSERT|REPLACE|UPDATE|DELETE) ", text):
        return None
    text = re.sub(r"(?<=[\s(,=])-?\d[\d.e+-]*(?=[\s),]|$)", "?", re.sub(r"\bNULL\b", "?", text))
    text = re.sub(r"(\(\?(?:,\?)*\))(?:,\1)+", r"\1", text)
    # Alone a row is deleted with LIMIT 1, among others in parentheses.
    text = re.sub(r"(\([^()]*\))(?: OR \1)+", r"\1", text)
    head, where, keys = re.sub(r" WHERE \((.*)\)$", r" WHERE \1", text).partition(" WHERE ")
    return head + where + " AND ".join(sorted(keys.removesuffix(" LIMIT ?").split(" AND ")))


class CorpusSql(Case):
    @classmethod
    def setUpParts(cls):
        options = {"sql-mode": "", "default-time-zone": "+00:00"}
        cls.source = MariaDB(options)
        cls.ours = MariaDB({**options, "server-id": "2002", "general-log": "1", "log-output": "TABLE"})
        cls.theirs = MariaDB({**options, "server-id": "2003"})
        cls.server = Millrace(cls.source, "--tz", "UTC")
        cls.server.create("corpus", cls.ours.uri() + "?worker-count=1&safe-mode=true", filter_rules=["g_*.*"], force_replicate=True)
        with cls.source.connect() as c:
            for statement in corpus():
                c.run(statement)
        with cls.theirs.connect() as c:
            c.run("SET NAMES utf8mb4", "SET sql_mode = 'NO_ENGINE_SUBSTITUTION,ALLOW_INVALID_DATES,ONLY_FULL_GROUP_BY,"
                  "NO_AUTO_VALUE_ON_ZERO,IGNORE_SPACE'", "SET foreign_key_checks = 0")
            for statement in recorded():
                try:
                    c.run(statement)
                except SqlError as error:
                    raise AssertionError(f"{error} in {statement[:300]}") from None
        cls.server.wait_caught_up("corpus")

    def test_both_sinks_leave_the_same_rows(self):
        self.assertEqual(same.schemas(self.ours), same.schemas(self.theirs))
        for schema in same.schemas(self.ours):
            self.assertEqual(same.tables(self.ours, schema), same.tables(self.theirs, schema))
            for table in same.tables(self.ours, schema):
                with self.subTest(table=f"{schema}.{table}"):
                    ours, theirs = same.digest(self.ours, schema, table), same.digest(self.theirs, schema, table)
                    if f"{schema}.{table}" in ROWS:
                        self.assertNotEqual(ours, theirs, "no longer a difference")
                    else:
                        self.assertEqual(ours, theirs)

    def test_the_copy_is_equal_to_its_source(self):
        for schema in same.schemas(self.ours):
            self.assertEqual(same.difference(self.source, self.ours, schema), "")

    def test_statements_have_the_same_shapes(self):
        sent = [row[0] for row in self.ours.query("SELECT argument FROM mysql.general_log WHERE command_type = 'Query'")]
        ours = {shape(s) for packet in sent for s in split(packet) if "tidb_cdc" not in s} - {None}
        theirs = {shape(s) for s in recorded()} - {None}
        self.assertGreater(len(ours), 25)
        self.assertEqual(ours - theirs, set(OURS))
        self.assertEqual(theirs - ours, set(THEIRS))


if __name__ == "__main__":
    main()
