#!/usr/bin/env python3
"""MariaDB to Kafka as debezium, read by Kafka Connect's own JsonConverter: every value must fit the schema it comes with."""
import base64
import json
import subprocess

from lib import parts
from lib.case import Case, main
from lib.kafka import Kafka
from lib.mariadb import MariaDB
from lib.server import Millrace

DECODE = parts.ROOT / "tests" / "flow" / "parts" / "connect-decode"

TABLE = """CREATE TABLE {db}.t (
    id BIGINT PRIMARY KEY, ti TINYINT, tu TINYINT UNSIGNED, si SMALLINT, su SMALLINT UNSIGNED, mi MEDIUMINT, mu MEDIUMINT UNSIGNED,
    i INT NOT NULL DEFAULT 7, iu INT UNSIGNED, bu BIGINT UNSIGNED, f FLOAT, fd FLOAT(7,3), d DOUBLE, de DECIMAL(20,4), b1 BIT(1),
    b12 BIT(12), c CHAR(5), v VARCHAR(40), tx TEXT, vb VARBINARY(9), bl BLOB, e ENUM('a','b,c','é'), s SET('x','y','z'),
    da DATE, t0 TIME, t6 TIME(6), dt DATETIME, dt6 DATETIME(6), ts TIMESTAMP NULL, ts3 TIMESTAMP(3) NULL, y YEAR, j JSON,
    g INT AS (i + 1) VIRTUAL, st INT AS (i + 2) STORED, `a "b\\` INT, dn INT DEFAULT 5, dx VARCHAR(40) DEFAULT (CONCAT('e', 'x')))"""

# Name, as SQL, as Kafka Connect has it (bytes as base64), its type there and the name of its schema.
COLUMNS = (
    ("id", "-9223372036854775808", -2**63, "int64", None),
    ("ti", "-128", -128, "int16", None),
    ("tu", "255", 255, "int16", None),
    ("si", "-32768", -32768, "int16", None),
    ("su", "65535", 65535, "int32", None),
    ("mi", "-8388608", -8388608, "int32", None),
    ("mu", "16777215", 16777215, "int32", None),
    ("i", "-2147483648", -2**31, "int32", None),
    ("iu", "4294967295", 2**32 - 1, "int64", None),
    ("bu", "9223372036854775809", -2**63 + 1, "int64", None),
    ("f", "0.1", 0.1, "float32", None),
    ("fd", "-12.125", -12.125, "float64", None),
    ("d", "1e-7", 1e-7, "float64", None),
    ("de", "-1234567890123456.7800", -1234567890123456.78, "float64", None),
    ("b1", "b'1'", True, "boolean", None),
    ("b12", "b'101000000101'", base64.b64encode(bytes([0x05, 0x0a])).decode(), "bytes", "io.debezium.data.Bits"),
    ("c", "'<a&>'", "<a&>", "string", None),
    ("v", "'é\\\\\"\\n\\0😀'", "é\\\"\n\0😀", "string", None),
    ("tx", "''", "", "string", None),
    ("vb", "x'00ff7f'", "AP9/", "string", None),
    ("bl", "''", "", "string", None),
    ("e", "'b,c'", "b,c", "string", "io.debezium.data.Enum"),
    ("s", "'x,z'", "x,z", "string", "io.debezium.data.EnumSet"),
    ("da", "'1969-12-31'", -1, "int32", "io.debezium.time.Date"),
    ("t0", "'-838:59:59'", -3020399 * 10**6, "int64", "io.debezium.time.MicroTime"),
    ("t6", "'01:00:00.000001'", 3600 * 10**6 + 1, "int64", "io.debezium.time.MicroTime"),
    ("dt", "'2024-02-29 12:34:56'", 1709210096000, "int64", "io.debezium.time.Timestamp"),
    ("dt6", "'2024-02-29 12:34:56.789012'", 1709210096789012, "int64", "io.debezium.time.MicroTimestamp"),
    ("ts", "'2024-07-01 10:00:00'", "2024-07-01T10:00:00Z", "string", "io.debezium.time.ZonedTimestamp"),
    ("ts3", "'2024-01-01 00:00:00.5'", "2024-01-01T00:00:00.500Z", "string", "io.debezium.time.ZonedTimestamp"),
    ("y", "2024", 2024, "int32", "io.debezium.time.Year"),
    ("j", "'{\"k\": [1, null]}'", '{"k": [1, null]}', "string", None),
    ("st", None, -2**31 + 2, "int32", None),
    ('a "b\\', "8", 8, "int32", None),
    ("dn", "6", 6, "int32", None),
    ("dx", "'given'", "given", "string", None),
)


def quoted(name):
    return "`" + name + "`"


class Debezium(Case):
    @classmethod
    def setUpParts(cls):
        subprocess.run([DECODE, "jars"], check=True, stdout=subprocess.DEVNULL)
        cls.kafka = Kafka()
        cls.db = MariaDB()
        cls.server = Millrace(cls.db)

    def feed(self, name, query="", db=None, partitions=1, sink_config=None, **body):
        self.server.create(name, f"kafka://{self.kafka.address}/{name}?protocol=debezium&partition-num={partitions}{query}",
                           filter_rules=[f"{db or name}.*"], sink_config=sink_config or {}, **body)

    def messages(self, name):
        self.server.wait_caught_up(name)
        return self.kafka.messages(name)

    def decoded(self, name):
        """(key, value) of each message, both as what connect-decode says."""
        lines = []
        for m in self.messages(name):
            lines += ["k" + base64.b64encode(m.key).decode(), "v" + base64.b64encode(m.value).decode()]
        out = subprocess.run([DECODE, "run"], input="\n".join(lines) + "\n", check=True, stdout=subprocess.PIPE, text=True).stdout
        halves = [json.loads(line) for line in out.split("\n")[:-1]]
        self.assertEqual(len(halves), len(lines))
        for half in halves:
            self.assertNotIn("error", half)
        return list(zip(halves[::2], halves[1::2]))

    def life(self, db):
        given = [c for c in COLUMNS if c[1] is not None]
        nulls = ", ".join(f"{quoted(c[0])} = NULL" for c in given if c[0] not in ("id", "i"))
        self.db.run(f"CREATE DATABASE {db}", TABLE.format(db=db),
                    f"INSERT INTO {db}.t ({', '.join(quoted(c[0]) for c in given)}) VALUES ({', '.join(c[1] for c in given)})",
                    f"UPDATE {db}.t SET {nulls}", f"DELETE FROM {db}.t", f"ALTER TABLE {db}.t ADD COLUMN later INT AFTER id",
                    f"TRUNCATE TABLE {db}.t", f"RENAME TABLE {db}.t TO {db}.u", f"DROP TABLE {db}.u", f"DROP DATABASE {db}")

    def check_life(self, db, both):
        rows = [(key, value) for key, value in both if "op" in value["value"]]
        full = {c[0]: c[2] for c in COLUMNS}
        # A column with a default never shows NULL, but for one whose default is an expression; the generated one follows `i`.
        empty = {c[0]: None for c in COLUMNS} | {"id": -2**63, "i": -2**31, "st": -2**31 + 2, "dn": 5}
        seen = []
        for key, value in rows:
            self.assertEqual(key["value"], {"id": -2**63})
            self.assertEqual(key["schema"]["name"], f"default.{db}.t.Key")
            self.assertEqual(value["schema"]["name"], f"default.{db}.t.Envelope")
            for image in ("before", "after"):
                fields = value["schema"]["fields"][image]["fields"]
                self.assertEqual(list(fields), [c[0] for c in COLUMNS] + ["g"])
                self.assertEqual({n: (f["type"], f.get("name")) for n, f in fields.items() if n != "g"},
                                 {c[0]: (c[3], c[4]) for c in COLUMNS})
                self.assertEqual((fields["i"]["default"], fields["i"]["optional"], fields["dn"]["default"]), (7, False, 5))
                self.assertNotIn("default", fields["dx"])
                self.assertEqual(fields["e"]["parameters"]["allowed"], "a,b\\,c,é")
                self.assertEqual(fields["b12"]["parameters"]["length"], "12")
            source = value["value"]["source"]
            self.assertEqual((source["connector"], source["db"], source["table"], source["snapshot"]), ("TiCDC", db, "t", "false"))
            images = []
            for image in ("before", "after"):
                got = value["value"][image]
                if got is not None:
                    self.assertIsNone(got.pop("g"))
                    # What the converter made of a float is a float, printed as one.
                    if got["f"] is not None:
                        got["f"] = round(got["f"], 6)
                images.append(got)
            seen.append((value["value"]["op"], *images))
        self.assertEqual(seen, [("c", None, full), ("u", full, empty), ("d", empty, None)])

    def test_connect_reads_every_type(self):
        self.db.run("SET GLOBAL time_zone = '+00:00'")
        self.feed("types")
        self.feed("types-ny", db="types", timezone="America/New_York")
        self.life("types")
        for name in ("types", "types-ny"):
            with self.subTest(name=name):
                both = self.decoded(name)
                self.check_life("types", both)
                ddls = [(key, value["value"]) for key, value in both if "ddl" in value["value"]]
                self.assertEqual([(v["tableChanges"] or [{}])[0].get("type") for _, v in ddls],
                                 [None, "CREATE", "ALTER", "ALTER", "DROP", None])
                for key, _ in ddls:
                    self.assertEqual(key["value"], {"databaseName": "types"})
                    self.assertEqual(key["schema"]["name"], "io.debezium.connector.mysql.SchemaChangeKey")
                added, renamed, dropped = (v["tableChanges"][0] for _, v in ddls[2:5])
                self.assertEqual([(c["name"], c["position"]) for c in added["table"]["columns"][:3]], [("id", 1), ("later", 2), ("ti", 3)])
                self.assertEqual(added["table"]["primaryKeyColumnNames"], ["id"])
                self.assertEqual(renamed["id"], '"types"."t","types"."u"')
                self.assertEqual((dropped["id"], dropped["table"]), ('"types"."u"', None))

    def test_without_schema_and_old_values(self):
        self.feed("bare", "&debezium-disable-schema=true", sink_config={"debezium": {"output-old-value": False}})
        self.db.run("CREATE DATABASE bare", "CREATE TABLE bare.t (id INT PRIMARY KEY, v INT)", "INSERT INTO bare.t VALUES (1, 2)",
                    "UPDATE bare.t SET v = 3", "UPDATE bare.t SET id = 2")
        messages = [(json.loads(m.key), json.loads(m.value)) for m in self.messages("bare")]
        for half in sum(messages, ()):
            self.assertEqual(list(half), ["payload"])
        rows = [(k["payload"], v["payload"]) for k, v in messages if "op" in v["payload"]]
        self.assertEqual([(k, p["op"], p.get("before", "-"), p["after"]) for k, p in rows], [
            ({"id": 1}, "c", None, {"id": 1, "v": 2}), ({"id": 1}, "u", "-", {"id": 1, "v": 3}),
            ({"id": 1}, "d", {"id": 1, "v": 3}, None), ({"id": 2}, "c", None, {"id": 2, "v": 3})])

    def test_schema_changes_go_to_every_partition(self):
        self.feed("spread", "&debezium-disable-schema=true", partitions=3)
        self.db.run("CREATE DATABASE spread", "CREATE TABLE spread.t (id INT PRIMARY KEY)")
        ddls = [(m.partition, json.loads(m.value)["payload"]["ddl"][:12]) for m in self.messages("spread")]
        self.assertEqual(ddls, [(p, text) for p in range(3) for text in ("CREATE DATAB", "CREATE TABLE")])

    def test_views_have_the_charset_of_their_connection(self):
        latin = "SET SESSION collation_connection = latin1_bin"
        self.db.run("CREATE DATABASE views CHARACTER SET utf8mb3", latin, "CREATE VIEW views.old AS SELECT 1 AS a")
        self.feed("views", "&debezium-disable-schema=true")
        self.server.wait_caught_up("views")
        self.db.run("DROP VIEW views.old", latin, "CREATE VIEW views.new AS SELECT 1 AS a",
                    "CREATE TABLE views.t (id INT PRIMARY KEY)")
        changes = [json.loads(m.value)["payload"]["tableChanges"][0] for m in self.messages("views")]
        self.assertEqual([(c["type"], c["id"], c["table"]["defaultCharsetName"]) for c in changes],
                         [("DROP", '"views"."old"', "latin1"), ("CREATE", '"views"."new"', "latin1"), ("CREATE", '"views"."t"', "utf8")])

    def test_a_row_above_the_limit_fails_the_changefeed(self):
        self.feed("large", "&max-message-bytes=3000&debezium-disable-schema=true")
        self.db.run("CREATE DATABASE large", "CREATE TABLE large.t (id INT PRIMARY KEY, v TEXT)",
                    "INSERT INTO large.t VALUES (1, REPEAT('x', 4000))")
        error = self.server.wait_state("large", "error", 60)["error"]
        self.assertEqual(error["code"], "CDC:ErrMessageTooLarge")
        self.assertIn("large.t", error["message"])


if __name__ == "__main__":
    main()
