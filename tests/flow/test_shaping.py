#!/usr/bin/env python3
"""MariaDB to Kafka and files: what is taken away, masked or renamed on the way, and what is refused when it is asked for."""
import base64
import hashlib
import json
import os

from lib import decode, parts
from lib.case import Case, main
from lib.kafka import Kafka
from lib.mariadb import MariaDB
from lib.s3 import S3
from lib.server import Millrace


def hashed(text, salt="pepper"):
    return hashlib.sha256((salt + text).encode()).hexdigest()


class Shaping(Case):
    @classmethod
    def setUpParts(cls):
        cls.kafka = Kafka()
        cls.db = MariaDB()
        cls.server = Millrace(cls.db)

    def to_kafka(self, name, rule, protocol="canal-json", query="", **sink_config):
        self.server.create(name, f"kafka://{self.kafka.address}/{name}?protocol={protocol}&partition-num=3{query}",
                           filter_rules=[rule], sink_config=sink_config)

    def to_files(self, name, rule, query="", **sink_config):
        root = parts.temp_dir("files")
        self.server.create(name, f"file://{root}?protocol=canal-json&flush-interval=2s{query}", filter_rules=[rule],
                           sink_config=sink_config)
        return root

    def refused(self, rule, code, *words, protocol="canal-json", query="", **sink_config):
        """A create with these settings is answered with the code and the words."""
        answer = self.server.api("POST", "/api/v1/changefeeds", {
            "changefeed_id": "refused", "filter_rules": [rule], "sink_config": sink_config,
            "sink_uri": f"kafka://{self.kafka.address}/refused?protocol={protocol}{query}"})
        self.assertEqual(answer.json()["error_code"], f"CDC:{code}", answer.text())
        for word in words:
            self.assertIn(word, answer.json()["error_msg"])

    def rows(self, name, protocol="canal-json"):
        self.server.wait_caught_up(name)
        return [e for e in decode.of_messages(self.kafka.messages(name), protocol) if e.kind == decode.ROW]

    def test_columns_leave_as_the_rules_say(self):
        self.db.run("CREATE DATABASE sel", """CREATE TABLE sel.u (id INT PRIMARY KEY, mail VARCHAR(60) UNIQUE, name VARCHAR(20),
            pay DECIMAL(8,2) NOT NULL, pw BLOB)""", "CREATE TABLE sel.free (id INT PRIMARY KEY, name VARCHAR(20))")
        rules = {
            "column-selectors": [{"matcher": ["sel.u"], "columns": ["*", "!PW"]}],
            "mask": [{"matcher": ["sel.u"], "columns": ["mail"], "method": "hash", "salt": "pepper"},
                     {"matcher": ["sel.u"], "columns": ["name"], "method": "truncate", "length": 2},
                     {"matcher": ["sel.u"], "columns": ["pay"], "method": "constant", "value": 0}]}
        self.to_kafka("canal", "sel.*", query="&enable-tidb-extension=true", **rules,
                      dispatchers=[{"matcher": ["sel.u"], "partition": "columns", "columns": ["mail"]}])
        self.to_kafka("open", "sel.*", "open-protocol", **rules)
        root = self.to_files("files", "sel.*", "&enable-tidb-extension=true", **rules)
        self.db.run("SET NAMES utf8mb4", "INSERT INTO sel.u VALUES (1, 'a@b', 'häns', 12.5, 'secret'), (2, 'c@d', NULL, 3, NULL)",
                    "UPDATE sel.u SET name = 'otto', pw = 'other' WHERE id = 1", "UPDATE sel.u SET mail = 'e@f' WHERE id = 1",
                    "DELETE FROM sel.u WHERE id = 2", "INSERT INTO sel.free VALUES (1, 'whole')")
        first = {"id": "1", "mail": hashed("a@b"), "name": "hä", "pay": "0.00"}
        second = {"id": "2", "mail": hashed("c@d"), "name": None, "pay": "0.00"}
        third = {**first, "name": "ot"}
        moved = {**third, "mail": hashed("e@f")}
        want = [("INSERT", first), ("INSERT", second), ("UPDATE", third), ("DELETE", third), ("INSERT", moved), ("DELETE", second)]
        events = self.rows("canal")
        by_ts = sorted((e for e in events if e.table == "u"), key=lambda e: e.ts)
        # Rows go by the hash, so keys have partitions of their own and only their own order.
        self.assertEqual(sorted((e.type, sorted(e.data.items(), key=str)) for e in by_ts),
                         sorted((t, sorted(d.items(), key=str)) for t, d in want))
        for mail in (first["mail"], second["mail"], moved["mail"]):
            self.assertEqual(len({e.partition for e in by_ts if e.data["mail"] == mail}), 1)
        self.assertEqual([e.old for e in by_ts if e.type == "UPDATE"], [first])
        self.assertNotIn("pw", by_ts[0].raw["sqlType"])
        self.assertEqual([e.data for e in events if e.table == "free"], [{"id": "1", "name": "whole"}])
        opened = [e for e in self.rows("open", "open-protocol") if e.table == "u"]
        self.assertEqual([(e.type, e.data["mail"]) for e in opened], [(t, d["mail"]) for t, d in want])
        self.assertEqual(opened[2].raw["p"]["name"]["v"], "hä")
        self.assertTrue(all("pw" not in e.data for e in opened))
        self.server.wait_caught_up("files")
        stored = [e for e in decode.storage(root) if e.table == "u"]
        self.assertEqual([(e.type, e.data) for e in stored], want)

    def test_rules_that_do_not_fit_are_refused(self):
        self.db.run("CREATE DATABASE bad", "CREATE TABLE bad.t (id INT PRIMARY KEY, k VARCHAR(9) UNIQUE, v VARCHAR(9), n INT)")
        selector = lambda *columns: [{"matcher": ["bad.*"], "columns": list(columns)}]
        mask = lambda **rule: [{"matcher": ["bad.*"], **rule}]
        self.refused("bad.*", "ErrColumnSelectorFailed", "bad.t", **{"column-selectors": selector("v", "n")})
        self.refused("bad.*", "ErrColumnSelectorFailed", "bad.t", "column: v", **{"column-selectors": selector("id")},
                     dispatchers=[{"matcher": ["bad.*"], "partition": "columns", "columns": ["v"]}])
        self.refused("bad.*", "ErrFilterRuleInvalid", "unexpected special character", **{"column-selectors": selector("a.b")})
        self.refused("bad.*", "ErrColumnMaskFailed", "column n", mask=mask(columns=["n"], method="hash", salt="x"))
        self.refused("bad.*", "ErrColumnMaskFailed", "column k", "key", mask=mask(columns=["k"], method="truncate", length=1))
        self.refused("bad.*", "ErrColumnMaskFailed", "salt", mask=mask(columns=["v"], method="hash"))

    def test_rows_that_are_too_large_leave_their_key_or_a_file(self):
        self.db.run("CREATE DATABASE large", "CREATE TABLE large.t (id INT PRIMARY KEY, v LONGTEXT)")
        folder = parts.temp_dir("claim")
        handle = lambda option, **more: {"kafka-config": {"large-message-handle": {
            "large-message-handle-option": option, **more}}}
        query = "&max-message-bytes=10000&enable-tidb-extension=true"
        self.to_kafka("keyonly", "large.*", query=query, **handle("handle-key-only"))
        self.to_kafka("claim", "large.*", query=query, **handle("claim-check", **{"claim-check-storage-uri": f"file://{folder}/"}))
        self.to_kafka("opened", "large.*", "open-protocol", query=query, **handle("handle-key-only"))
        self.db.run("INSERT INTO large.t VALUES (1, 'fits')", "INSERT INTO large.t VALUES (2, REPEAT('x', 20000))",
                    "UPDATE large.t SET v = 'small' WHERE id = 2")
        small, large, update = self.rows("keyonly")
        self.assertEqual(small.data, {"id": "1", "v": "fits"})
        self.assertEqual((large.data, large.raw["sqlType"]), ({"id": "2"}, {"id": 4}))
        self.assertTrue(large.raw["_tidb"]["onlyHandleKey"])
        self.assertEqual((update.data, update.old), ({"id": "2"}, {"id": "2"}), "the old value is too large as well")
        rows = self.rows("claim")
        for row, v in zip(rows[1:], ("x" * 20000, "small")):
            location = row.raw["_tidb"]["claimCheckLocation"]
            self.assertTrue(location.startswith(f"file://{folder}/") and location.endswith(".json"), location)
            with open(location[len("file://"):], encoding="utf-8") as f:
                stored = json.load(f)
            self.assertIsNone(stored["key"])
            self.assertEqual(json.loads(base64.b64decode(stored["value"]))["data"], [{"id": "2", "v": v}])
        self.assertEqual(sorted(os.listdir(folder)), sorted(os.path.basename(r.raw["_tidb"]["claimCheckLocation"]) for r in rows[1:]))
        self.assertEqual([e.data for e in self.rows("opened", "open-protocol")][1], {"id": 2})
        self.refused("large.*", "ErrInvalidReplicaConfig", "enable-tidb-extension", **handle("handle-key-only"))
        self.refused("large.*", "ErrInvalidReplicaConfig", "claim-check-storage-uri", protocol="open-protocol",
                     **handle("claim-check"))
        self.refused("large.*", "ErrFailToCreateExternalStorage", protocol="open-protocol",
                     **handle("claim-check", **{"claim-check-storage-uri": "file:///dev/null/x"}))
        self.refused("large.*", "ErrInvalidReplicaConfig", "gzip", **handle("none", **{"large-message-handle-compression": "gzip"}))

    def test_rows_that_are_too_large_leave_an_object(self):
        self.db.run("CREATE DATABASE object", "CREATE TABLE object.t (id INT PRIMARY KEY, v LONGTEXT)")
        s3 = S3()
        bucket = s3.bucket("claims")
        claim = lambda uri, **more: {"kafka-config": {"large-message-handle": {
            "large-message-handle-option": "claim-check", "claim-check-storage-uri": uri, **more}}}
        query = "&max-message-bytes=10000&enable-tidb-extension=true"
        self.to_kafka("objects", "object.*", query=query, **claim(s3.uri("claims/deep/down")))
        self.to_kafka("raw", "object.*", query=query, **claim(s3.uri("claims/raw/"), **{"claim-check-raw-value": True}))
        self.db.run("INSERT INTO object.t VALUES (1, 'fits')", "INSERT INTO object.t VALUES (2, REPEAT('x', 20000))",
                    "INSERT INTO object.t VALUES (3, REPEAT('y', 3000000))")
        for name, folder in (("objects", "deep/down"), ("raw", "raw")):
            for row, v in zip(self.rows(name)[1:], ("x" * 20000, "y" * 3000000)):
                location = row.raw["_tidb"]["claimCheckLocation"]
                self.assertRegex(location, rf"^s3://claims/{folder}/[0-9a-f-]{{36}}\.json$")
                stored = (bucket / location.removeprefix("s3://claims/")).read_bytes()
                if name == "objects":
                    stored = base64.b64decode(json.loads(stored)["value"])
                self.assertEqual(json.loads(stored)["data"], [{"id": row.data["id"], "v": v}])
        # A bucket that is away holds the changefeed up, and nothing is lost.
        s3.kill()
        self.db.run("INSERT INTO object.t VALUES (4, REPEAT('z', 20000))")
        s3.start()
        self.assertEqual({r.data["id"] for r in self.rows("objects")}, {"1", "2", "3", "4"})
        log = self.server.log.read_text(errors="replace")
        self.assertNotIn(S3.SECRET, log)
        bad = [("ErrFailToCreateExternalStorage", s3.uri("nothing/here"), "NoSuchBucket"),
               ("ErrFailToCreateExternalStorage", s3.uri("claims", secret="wrong"), "s3://claims"),
               ("ErrInvalidReplicaConfig", "s3://", "claim-check-storage-uri"),
               ("ErrInvalidReplicaConfig", s3.uri("claims", endpoint="ftp://x"), "endpoint"),
               ("ErrInvalidReplicaConfig", "http://somewhere/else", "takes file, s3"),
               ("ErrInvalidReplicaConfig", "noop:///x", "takes file, s3")]
        for code, uri, word in bad:
            with self.subTest(uri=uri):
                self.refused("object.*", code, word, query=query, **claim(uri))
        s3.stop()

    def test_rules_are_held_against_the_tables_before_a_broker_is_asked(self):
        self.db.run("CREATE DATABASE held", "CREATE TABLE held.t (id INT PRIMARY KEY, v INT, g INT AS (v + 1) VIRTUAL)")
        nowhere = f"kafka://127.0.0.1:{parts.free_port()}/held?protocol=canal-json"
        rule = lambda **more: {"dispatchers": [{"matcher": ["held.t"], **more}]}
        bad = [("ErrDispatcherFailed", rule(partition="columns", columns=["nope"]), "nope"),
               ("ErrDispatcherFailed", rule(partition="columns", columns=["g"]), "virtual"),
               ("ErrDispatcherFailed", rule(partition="index-value", index="nope"), "index not found"),
               ("ErrColumnSelectorFailed", {"column-selectors": [{"matcher": ["held.t"], "columns": ["v"]}]}, "held.t"),
               ("ErrColumnMaskFailed", {"mask": [{"matcher": ["held.t"], "columns": ["id"], "method": "constant", "value": 1}]}, "id"),
               ("ErrTableRouteConflict", {"dispatchers": [{"matcher": ["held.*"], "target-table": "x"}]}, "become")]
        self.db.run("CREATE TABLE held.u (id INT PRIMARY KEY)")
        filters = {"replica_config": {"filter": {"event-filters": [{"matcher": ["held.t"], "ignore-insert-value-expr": "nope = 1"}]}}}
        self.server.create("held", "blackhole://", filter_rules=["held.*"])
        self.server.pause("held")
        for code, config, word in [*bad, ("ErrExpressionColumnNotFound", None, "nope")]:
            body = {"sink_uri": nowhere, **({"sink_config": config} if config else filters)}
            with self.subTest(code=code, word=word, ask="create"):
                answer = self.server.api("POST", "/api/v1/changefeeds", {"changefeed_id": "refused", "filter_rules": ["held.*"], **body})
                self.assertEqual(answer.code(), f"CDC:{code}", answer.text())
                self.assertIn(word, answer.text())
            with self.subTest(code=code, word=word, ask="update"):
                answer = self.server.api("PUT", "/api/v1/changefeeds/held", body)
                self.assertEqual((answer.status, answer.code()), (400, "CDC:ErrChangefeedUpdateRefused"), answer.text())
                self.assertIn(f"[CDC:{code}]", answer.text())
                self.assertIn(word, answer.text())
        # What fits comes as far as the broker; without one it is refused there.
        answer = self.server.api("PUT", "/api/v1/changefeeds/held", {"sink_uri": nowhere, "sink_config": rule(partition="columns", columns=["v"])})
        self.assertEqual(answer.code(), "CDC:ErrChangefeedUpdateRefused", answer.text())
        self.assertIn("CDC:ErrKafkaNewProducer", answer.text())
        # Tables that the filter leaves out do not matter.
        self.server.update("held", sink_uri=f"kafka://{self.kafka.address}/held?protocol=canal-json", filter_rules=["held.u"],
                           sink_config=rule(partition="columns", columns=["nope"]))

    def test_an_update_is_taken_when_the_upstream_is_away(self):
        other = MariaDB({"server-id": "3003"})
        other.run("CREATE DATABASE away", "CREATE TABLE away.t (id INT PRIMARY KEY)")
        self.server.create("away", "blackhole://", upstream_uri=other.uri(), filter_rules=["away.*"])
        self.server.pause("away")
        other.stop()
        self.server.update("away", filter_rules=["away.t"])
        self.assertIn("updated with a warning", self.server.log.read_text(errors="replace"))
        other.start()
        self.server.resume("away")
        self.server.wait_caught_up("away")
        self.server.remove("away")
        other.stop()

    def test_a_definition_that_no_longer_fits_stops_the_changefeed(self):
        self.db.run("CREATE DATABASE late", "CREATE TABLE late.t (id INT PRIMARY KEY, v VARCHAR(9))")
        self.to_kafka("late", "late.*", mask=[{"matcher": ["late.*"], "columns": ["v"], "method": "truncate", "length": 1}])
        self.db.run("INSERT INTO late.t VALUES (1, '12')", "ALTER TABLE late.t MODIFY v INT", "INSERT INTO late.t VALUES (2, 3)")
        detail = self.server.wait_state("late", "failed", 60)
        self.assertEqual(detail["error"]["code"], "CDC:ErrColumnMaskFailed")
        self.assertIn("column v of table late.t", detail["error"]["message"])
        self.server.remove("late")


if __name__ == "__main__":
    main()
