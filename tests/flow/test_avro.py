#!/usr/bin/env python3
"""MariaDB to Kafka as avro: a real schema registry, and messages read by a decoder that is not ours."""
import decimal
import http.client
import json
import ssl
import subprocess

from lib import avro, parts
from lib.case import Case, main
from lib.kafka import Kafka
from lib.mariadb import MariaDB
from lib.registry import Front, SchemaRegistry
from lib.server import Millrace, Reply

TOPICS = {"dispatchers": [{"matcher": ["*.*"], "topic": "avro_{schema}_{table}"}]}


class Base(Case):
    @classmethod
    def setUpParts(cls):
        cls.registry = SchemaRegistry()
        cls.kafka = Kafka()
        cls.db = MariaDB()
        cls.server = Millrace(cls.db)
        cls.reader = avro.Reader(cls.registry)

    def uri(self, name, front, query="", partitions=1):
        return (f"kafka://{self.kafka.address}/{name}?protocol=avro&partition-num={partitions}"
                f"&schema-registry={front.url.replace('@', '%40')}{query}")

    def feed(self, name, front, query="", partitions=1, **body):
        self.server.create(name, self.uri(name, front, query, partitions), filter_rules=[f"{name}.*"], **body)

    def records(self, feed, topic):
        self.server.wait_caught_up(feed)
        return self.reader.records(self.kafka.messages(topic))

    def refused(self, code, text, uri, **body):
        reply = self.server.api("POST", "/api/v1/changefeeds", {"changefeed_id": "refused", "sink_uri": uri, **body})
        self.assertEqual((reply.status, reply.code()), (500, f"CDC:{code}"), reply.text())
        self.assertIn(text, json.loads(reply.body)["error_msg"])
        self.assertNotIn("hidden", reply.text())


class Avro(Base):
    def test_every_type_is_read_as_it_was_written(self):
        front = Front(self.registry)
        self.db.run("CREATE DATABASE types", """CREATE TABLE types.t (id BIGINT PRIMARY KEY, t TINYINT, tu TINYINT UNSIGNED,
            i INT, iu INT UNSIGNED NOT NULL DEFAULT 5, bu BIGINT UNSIGNED, f FLOAT, d DOUBLE, de DECIMAL(65,30), b BIT(10),
            c CHAR(10), vc VARCHAR(20) CHARACTER SET latin1, tx LONGTEXT, bi BINARY(4), bl BLOB, dt DATE, dtm DATETIME(3),
            ts TIMESTAMP NULL, ti TIME(6), y YEAR, e ENUM('a','b,c'), s SET('x','y','z'), j JSON)""")
        self.feed("types", front, sink_config=TOPICS)
        self.db.run("""INSERT INTO types.t VALUES (1, -128, 255, -2147483648, 4294967295, 18446744073709551615, 1.5, 0.1,
            -99999999999999999999999999999999999.999999999999999999999999999999, b'1000000101', 'é', 'ü', '😀', 'ab', x'00ff',
            '2024-02-29', '2024-02-29 12:34:56.789', '2024-02-29 12:34:56', '-838:59:58.000001', 2155, 'b,c', 'x,z', '{"a": 1}')""",
                    "INSERT INTO types.t (id, iu) VALUES (2, 0)", "DELETE FROM types.t WHERE id = 2")
        with decimal.localcontext(decimal.Context(prec=80)):
            rows = self.records("types", "avro_types_t")
        self.assertEqual([r.key for r in rows], [{"id": 1}, {"id": 2}, {"id": 2}])
        self.assertEqual(rows[0].value, {
            "id": 1, "t": -128, "tu": 255, "i": -2147483648, "iu": 4294967295, "bu": -1, "f": 1.5, "d": 0.1,
            "de": decimal.Decimal("-99999999999999999999999999999999999.999999999999999999999999999999"), "b": b"\x02\x05",
            "c": "é", "vc": "ü", "tx": "😀", "bi": b"ab\0\0", "bl": b"\x00\xff", "dt": "2024-02-29",
            "dtm": "2024-02-29 12:34:56.789", "ts": rows[0].value["ts"], "ti": "-838:59:58.000001", "y": 2155, "e": "b,c",
            "s": "x,z", "j": '{"a": 1}'})
        self.assertEqual({k for k, v in rows[1].value.items() if v is not None}, {"id", "iu"})
        self.assertIsNone(rows[2].value, "a DELETE is a tombstone")
        self.assertEqual(self.kafka.messages("types"), [], "nothing but rows")

    def test_extension_and_text_modes(self):
        self.db.run("CREATE DATABASE ext", "CREATE TABLE ext.t (id INT PRIMARY KEY, bu BIGINT UNSIGNED, de DECIMAL(8,3))")
        self.feed("ext", Front(self.registry), query="&enable-tidb-extension=true&avro-decimal-handling-mode=string"
                                                     "&avro-bigint-unsigned-handling-mode=string")
        self.db.run("INSERT INTO ext.t VALUES (1, 18446744073709551615, -0.5)", "UPDATE ext.t SET de = NULL")
        rows = self.records("ext", "ext")
        self.assertEqual([(r.value["_tidb_op"], r.value["bu"], r.value["de"]) for r in rows],
                         [("c", "18446744073709551615", "-0.500"), ("u", "18446744073709551615", None)])
        for r in rows:
            self.assertEqual(r.value["_tidb_commit_ts"] >> 18, r.value["_tidb_commit_physical_time"])
        self.assertLess(rows[0].value["_tidb_commit_ts"], rows[1].value["_tidb_commit_ts"])

    def test_registry_is_asked_when_a_definition_is_new(self):
        front = Front(self.registry)
        self.db.run("CREATE DATABASE asked", "CREATE TABLE asked.a (id INT PRIMARY KEY, v INT)",
                    "CREATE TABLE asked.b (id INT PRIMARY KEY, w VARCHAR(5))")
        self.feed("asked", front)

        def after(*sql):
            """Registrations that the statements cost, by kind."""
            before = len(front.posts())
            self.db.run(*sql)
            self.server.wait_caught_up("asked")
            return [path.split("-")[-1].split("/")[0] for path in front.posts()[before:]]
        self.assertEqual(after("INSERT INTO asked.a VALUES (1, 1)"), ["key", "value"])
        self.assertEqual(after("INSERT INTO asked.a VALUES (2, 2)", "DELETE FROM asked.a WHERE id = 1"), [])
        # One topic, two tables: the subject has both schemas, and neither is asked for again.
        self.assertEqual(after("INSERT INTO asked.b VALUES (1, 'b')"), ["key", "value"])
        self.assertEqual(after("INSERT INTO asked.a VALUES (3, 3)", "INSERT INTO asked.b VALUES (2, 'c')"), [])
        self.assertEqual(after("ALTER TABLE asked.a ADD COLUMN n INT DEFAULT 7", "INSERT INTO asked.a (id) VALUES (4)"), ["key", "value"])
        rows = self.records("asked", "asked")
        self.assertEqual([r.value for r in rows], [
            {"id": 1, "v": 1}, {"id": 2, "v": 2}, None, {"id": 1, "w": "b"}, {"id": 3, "v": 3}, {"id": 2, "w": "c"},
            {"id": 4, "v": None, "n": 7}])
        self.assertEqual([s for s in self.registry.subjects() if s.startswith("asked")], ["asked-key", "asked-value"])
        self.assertEqual(rows[0].value_id, rows[4].value_id)
        self.assertNotEqual(rows[0].value_id, rows[6].value_id)

    def test_registry_that_is_away_holds_rows_and_loses_none(self):
        front = Front(self.registry)
        self.db.run("CREATE DATABASE away", "CREATE TABLE away.a (id INT PRIMARY KEY)")
        self.feed("away", front)
        self.db.run("INSERT INTO away.a VALUES (1)")
        self.server.wait_caught_up("away")
        front.close()
        # What is known goes on without it.
        self.db.run("INSERT INTO away.a VALUES (2)")
        self.server.wait_caught_up("away")
        self.db.run("CREATE TABLE away.b (x INT PRIMARY KEY)", "INSERT INTO away.b VALUES (3)", "INSERT INTO away.a VALUES (4)")
        detail = self.server.wait_state("away", "error", 90)
        self.assertIn(detail["error"]["code"], ("CDC:ErrAvroSchemaAPIError", "CDC:ErrKafkaNewProducer"))
        self.assertIn("schema manager API error", detail["error"]["message"])
        front.open()
        self.server.wait_caught_up("away", 120)
        keys = [next(iter(r.value.values())) for r in self.records("away", "away")]
        self.assertEqual(sorted(set(keys)), [1, 2, 3, 4])

    def test_incompatible_schema_is_told_with_the_registrys_words(self):
        front = Front(self.registry)
        self.db.run("CREATE DATABASE strict", "CREATE TABLE strict.t (id INT PRIMARY KEY, v INT)")
        self.feed("strict", front)
        self.db.run("INSERT INTO strict.t VALUES (1, 1)")
        self.server.wait_caught_up("strict")
        self.registry.set_compatibility("strict-value", "FULL")
        self.db.run("ALTER TABLE strict.t MODIFY v VARCHAR(10)", "INSERT INTO strict.t VALUES (2, 'two')")
        detail = self.server.wait_state("strict", "error", 60)
        self.assertEqual(detail["error"]["code"], "CDC:ErrAvroSchemaAPIError")
        self.assertIn("HTTP status 409", detail["error"]["message"])
        self.registry.set_compatibility("strict-value", "NONE")
        self.server.wait_caught_up("strict", 120)
        self.assertEqual(self.records("strict", "strict")[-1].value, {"id": 2, "v": "two"})

    def test_create_tells_what_is_wrong(self):
        front, guarded = Front(self.registry), Front(self.registry, user="someone:hidden")
        base = f"kafka://{self.kafka.address}/refused?protocol=avro"
        self.refused("ErrCodecInvalidConfig", "schema-registry", base)
        self.refused("ErrCodecInvalidConfig", "schema-registry", base + "&schema-registry=ftp://127.0.0.1/")
        self.refused("ErrKafkaTopicExprInvalid", "only_{table}", self.uri("refused", front),
                     sink_config={"dispatchers": [{"matcher": ["*.*"], "topic": "only_{table}"}]})
        nobody = Front(self.registry)
        nobody.close()
        self.refused("ErrKafkaNewProducer", "CDC:ErrAvroSchemaAPIError", self.uri("refused", nobody))
        self.refused("ErrKafkaNewProducer", "does not answer as a schema registry",
                     base + f"&schema-registry={self.registry.url}")
        wrong = guarded.url.replace("someone:", "other:").replace("@", "%40")
        self.refused("ErrKafkaNewProducer", "HTTP status 401: who are you", base + f"&schema-registry={wrong}")
        self.refused("ErrCodecInvalidConfig", "force-replicate", self.uri("refused", front), force_replicate=True)

    def test_password(self):
        front = Front(self.registry, user="some one:hid:den")
        self.db.run("CREATE DATABASE auth", "CREATE TABLE auth.t (id INT PRIMARY KEY)")
        uri = self.uri("auth", front).replace("some one", "some%2520one")
        self.server.create("auth", uri, filter_rules=["auth.*"])
        self.db.run("INSERT INTO auth.t VALUES (1)")
        self.assertEqual([r.value for r in self.records("auth", "auth")], [{"id": 1}])
        self.assertNotIn("hid:den", json.dumps(self.server.changefeed("auth")))
        self.assertNotIn("hid:den", self.server.log.read_text(errors="replace"))


class SecureMillrace(Millrace):
    """Its API speaks HTTPS, since the three files that the registry needs are the server's own."""

    def __init__(self, upstream, certs):
        self.certs = certs
        super().__init__(upstream, "--ca", certs / "ca.pem", "--cert", certs / "server.pem", "--key", certs / "server.key")

    def request(self, method, path, body=None, headers=None, timeout=60):
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout,
                                                 context=ssl.create_default_context(cafile=self.certs / "ca.pem"))
        try:
            connection.request(method, path, body=body, headers=headers or {})
            answer = connection.getresponse()
            return Reply(answer.status, answer.headers, answer.read())
        finally:
            connection.close()


class Tls(Base):
    """The registry over HTTPS, by the authority that the server trusts, and by another one."""

    @classmethod
    def setUpParts(cls):
        cls.certs = parts.temp_dir("certs")
        (cls.certs / "ext").write_text("subjectAltName=IP:127.0.0.1\n")
        for ca, name in (("ca", "server"), ("other", "stranger")):
            cls.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{ca}.key", "-out", f"{ca}.pem", "-days", "2",
                        "-subj", f"/CN={ca}")
            cls.openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
            cls.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key", "-CAcreateserial", "-days", "2",
                        "-extfile", "ext", "-out", f"{name}.pem")
        cls.registry = SchemaRegistry()
        cls.kafka = Kafka()
        cls.db = MariaDB()
        cls.server = SecureMillrace(cls.db, cls.certs)
        cls.reader = avro.Reader(cls.registry)

    @classmethod
    def openssl(cls, *arguments):
        subprocess.run(["openssl", *arguments], cwd=cls.certs, check=True, capture_output=True, stdin=subprocess.DEVNULL)

    def test_certificates_are_checked(self):
        good = Front(self.registry, user="u:hidden", certificate=(self.certs / "server.pem", self.certs / "server.key"))
        bad = Front(self.registry, certificate=(self.certs / "stranger.pem", self.certs / "stranger.key"))
        self.db.run("CREATE DATABASE tls", "CREATE TABLE tls.t (id INT PRIMARY KEY)")
        self.feed("tls", good)
        self.db.run("INSERT INTO tls.t VALUES (1)")
        self.assertEqual([r.value for r in self.records("tls", "tls")], [{"id": 1}])
        self.refused("ErrKafkaNewProducer", "SSL certificate", self.uri("refused", bad))


if __name__ == "__main__":
    main()
