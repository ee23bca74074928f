#!/usr/bin/env python3
"""Tables under other names downstream: to Kafka, files and another MariaDB; four shards that become one table; what is refused."""
import json
import pathlib

from lib import decode, parts, same
from lib.case import Case, main
from lib.kafka import Kafka
from lib.mariadb import MariaDB
from lib.server import Millrace

SHARDS = [("shop_0", "orders_0"), ("shop_0", "orders_1"), ("shop_1", "orders_2"), ("shop_1", "orders_3")]
MERGE = {"matcher": ["shop_?.orders_?"], "target-schema": "shop", "target-table": "orders", "target-merge": True}


class Routing(Case):
    @classmethod
    def setUpParts(cls):
        cls.kafka = Kafka()
        cls.source = MariaDB()
        cls.target = MariaDB({"server-id": "2002"})
        cls.server = Millrace(cls.source)

    def create(self, name, uri, *rules, filter_rules, **body):
        self.server.create(name, uri, filter_rules=filter_rules, sink_config={"dispatchers": list(rules)}, **body)

    def to_kafka(self, name, *rules, protocol="canal-json", filter_rules, query="", **body):
        self.create(name, f"kafka://{self.kafka.address}/{name}?protocol={protocol}&partition-num=1{query}", *rules,
                    filter_rules=filter_rules, **body)

    def messages(self, name):
        """canal-json: (database, table, type or DDL's text, rows)"""
        self.server.wait_caught_up(name)
        found = [json.loads(m.value) for m in self.kafka.messages(name)]
        return [(m["database"], m["table"], m["sql"] if m["isDdl"] else m["type"], m["data"]) for m in found]

    def refused(self, code, *rules, filter_rules, method="POST", path="", scheme="kafka", words=()):
        uri = f"kafka://{self.kafka.address}/refused?protocol=canal-json" if scheme == "kafka" else self.target.uri()
        answer = self.server.api(method, "/api/v1/changefeeds" + path, {
            **({} if path else {"changefeed_id": "refused"}), "filter_rules": filter_rules, "sink_uri": uri,
            "sink_config": {"dispatchers": list(rules)}})
        self.assertEqual(answer.code(), f"CDC:{code}", answer.text())
        for word in words:
            self.assertIn(word, answer.text())

    def test_rows_ddl_and_topics_of_renamed_tables(self):
        self.source.run("CREATE DATABASE staging", "CREATE TABLE staging.a (id INT PRIMARY KEY, v INT)")
        self.to_kafka("renamed", {"matcher": ["staging.*"], "topic": "renamed_{schema}_{table}",
                                  "target-schema": "prod", "target-table": "{table}_copy"}, filter_rules=["staging.*"])
        self.source.run("INSERT INTO staging.a VALUES (1, 2)",
                        "CREATE TABLE staging.b (id INT PRIMARY KEY, a INT, FOREIGN KEY (a) REFERENCES staging.a (id))",
                        "ALTER TABLE staging.a ADD COLUMN w VARCHAR(9) COMMENT 'staging.a'",
                        "CREATE VIEW staging.v AS SELECT a.id, staging.b.a FROM staging.a JOIN staging.b ON a.id = b.a",
                        "INSERT INTO staging.b VALUES (5, 1)", "RENAME TABLE staging.b TO staging.c", "DROP TABLE staging.c")
        self.server.wait_caught_up("renamed")
        # Topics are chosen by the source's names, a rename's by the old one.
        topics = {t: [json.loads(m.value) for m in self.kafka.messages(t)] for t in ("renamed_staging_a", "renamed_staging_b", "renamed_staging_v")}
        self.assertEqual({(m["database"], m["table"]) for m in topics["renamed_staging_a"]}, {("prod", "a_copy")})
        self.assertEqual([m["sql"] for m in topics["renamed_staging_a"] if m["isDdl"]],
                         ["ALTER TABLE `prod`.`a_copy` ADD COLUMN w VARCHAR(9) COMMENT 'staging.a'"])
        self.assertEqual([(m["table"], m["sql"] or m["type"]) for m in topics["renamed_staging_b"]], [
            ("b_copy", "CREATE TABLE `prod`.`b_copy` (id INT PRIMARY KEY, a INT, FOREIGN KEY (a) REFERENCES `prod`.`a_copy` (id))"),
            ("b_copy", "INSERT"), ("c_copy", "RENAME TABLE `prod`.`b_copy` TO `prod`.`c_copy`")])
        view = [m["sql"] for m in topics["renamed_staging_v"]]
        self.assertEqual(len(view), 1)
        self.assertIn("VIEW `prod`.`v_copy` AS SELECT `a_copy`.id, `prod`.`b_copy`.a FROM `prod`.`a_copy` JOIN `prod`.`b_copy` ON `a_copy`.id = `b_copy`.a",
                      view[0])

    def test_every_protocol_tells_the_new_names(self):
        self.source.run("CREATE DATABASE every", "CREATE TABLE every.t (id INT PRIMARY KEY)")
        protocols = ("canal-json", "open-protocol", "canal", "maxwell", "debezium", "simple")
        known = [p for p in protocols if self.server.api("POST", "/api/v1/changefeeds", {
            "changefeed_id": p, "sink_uri": f"kafka://{self.kafka.address}/every_{p}?protocol={p}", "filter_rules": ["every.*"],
            "sink_config": {"dispatchers": [{"matcher": ["every.*"], "target-schema": "elsewhere", "target-table": "renamed"}]}}).status == 202]
        self.assertIn("simple", known)
        self.source.run("INSERT INTO every.t VALUES (7)", "ALTER TABLE every.t ADD COLUMN v INT")
        for protocol in known:
            with self.subTest(protocol=protocol):
                self.server.wait_caught_up(protocol)
                everything = b"".join((m.key or b"") + m.value for m in self.kafka.messages(f"every_{protocol}"))
                self.assertIn(b"elsewhere", everything)
                self.assertIn(b"renamed", everything)
                self.assertNotIn(b"every", everything)
                self.server.remove(protocol)

    def shards(self):
        self.source.run(*(f"CREATE DATABASE IF NOT EXISTS {db}" for db, _ in SHARDS),
                        *(f"CREATE TABLE {db}.{t} (id INT PRIMARY KEY, v INT)" for db, t in SHARDS))

    def test_four_shards_become_one_table(self):
        self.shards()
        self.target.run("CREATE DATABASE shop", "CREATE TABLE shop.orders (id INT PRIMARY KEY, v INT)")
        root = pathlib.Path(parts.temp_dir("files"))
        rules = ["shop_?.*"]
        self.to_kafka("merged", MERGE, filter_rules=rules)
        self.create("merged-files", f"file://{root}?protocol=csv&flush-interval=2s", MERGE, filter_rules=rules)
        self.create("merged-sql", self.target.uri(), MERGE, filter_rules=rules)
        names = ("merged", "merged-files", "merged-sql")

        def insert(first, columns="id, v", more=""):
            self.source.run(*(f"INSERT INTO {db}.{t} ({columns}) VALUES ({first + i}, {i}{more})" for i, (db, t) in enumerate(SHARDS)))
        insert(10)
        # A change goes round, and rows come from shards that have it and such that do not.
        for i, (db, t) in enumerate(SHARDS):
            self.source.run(f"ALTER TABLE {db}.{t} ADD COLUMN w INT DEFAULT 5")
            insert(20 + 10 * i)
        insert(100, "id, v, w", ", 9")
        # A new one comes, an old one goes; both say nothing that the target does not know.
        self.source.run("CREATE TABLE shop_1.orders_4 (id INT PRIMARY KEY, v INT, w INT DEFAULT 5)", "INSERT INTO shop_1.orders_4 VALUES (200, 1, 1)",
                        "DROP TABLE shop_0.orders_0", "UPDATE shop_1.orders_3 SET v = 77 WHERE id = 103")
        for name in names:
            self.server.wait_caught_up(name)
        # Millrace starts anew in between.
        for name in names:
            self.server.pause(name)
        self.source.run("INSERT INTO shop_0.orders_1 VALUES (300, 3, 3)", "ALTER TABLE shop_0.orders_1 ADD COLUMN x INT")
        for name in names:
            self.server.resume(name)
        self.source.run(*(f"ALTER TABLE {db}.{t} ADD COLUMN x INT" for db, t in [*SHARDS[2:], ("shop_1", "orders_4")]),
                        "INSERT INTO shop_1.orders_2 VALUES (301, 4, 4, 5)")

        rows = [r for db, t in [*SHARDS[1:], ("shop_1", "orders_4")] for r in self.source.query(f"SELECT * FROM {db}.{t}")]
        dropped = [[str(n), "0", "5", None] for n in (10, 20, 30, 40, 50)] + [["100", "0", "9", None]]
        self.server.wait_caught_up("merged-sql")
        self.assertEqual(sorted(map(list, self.target.query("SELECT * FROM shop.orders")), key=lambda r: int(r[0])),
                         sorted([*map(list, rows), *dropped], key=lambda r: int(r[0])))

        messages = self.messages("merged")
        self.assertEqual({m[:2] for m in messages}, {("shop", "orders")})
        ids = {int(row["id"]) for m in messages for row in m[3] or []}
        self.assertEqual(ids, {int(r[0]) for r in [*rows, *dropped]})
        ddl = [m[2] for m in messages if m[3] is None]
        self.assertEqual([d for d in ddl if "w INT" in d], ["ALTER TABLE `shop`.`orders` ADD COLUMN w INT DEFAULT 5"])
        self.assertFalse([d for d in ddl if "DROP" in d or "CREATE" in d], ddl)

        self.server.wait_caught_up("merged-files")
        found = {p.relative_to(root).parts[:2] for p in root.rglob("*.csv")}
        self.assertEqual(found, {("shop", "orders")})
        self.assertEqual({int(line[3]) for line in decode.storage_csv(root)}, ids)

    def test_tables_of_one_target_are_refused(self):
        self.source.run("CREATE DATABASE one", "CREATE TABLE one.a (id INT PRIMARY KEY, v INT)", "CREATE TABLE one.b (id INT PRIMARY KEY, v INT)",
                        "CREATE TABLE one.c (id INT PRIMARY KEY, v BIGINT)", "CREATE TABLE one.T (id INT PRIMARY KEY)")
        same_name = {"matcher": ["one.a", "one.b"], "target-table": "x"}
        self.refused("ErrTableRouteConflict", same_name, filter_rules=["one.*"], words=["one.a and one.b both become one.x"])
        merge = {"matcher": ["one.a", "one.c"], "target-table": "x", "target-merge": True}
        self.refused("ErrTableRouteConflict", merge, filter_rules=["one.a", "one.c"], words=["definitions differ: column v"])
        # Case counts for messages, and not for MySQL.
        case = {"matcher": ["one.a"], "target-table": "t"}
        self.refused("ErrTableRouteConflict", case, filter_rules=["one.*"], scheme="mysql", words=["both become one."])
        self.to_kafka("case", case, filter_rules=["one.a", "one.T"])
        for rule in ({"matcher": ["one.*"], "target-schema": "{db}"}, {"matcher": ["one.*"], "target-table": "x}"},
                     {"matcher": ["one[.*"], "target-table": "x"}, {"matcher": ["one.*"], "target-merge": True}):
            self.refused("ErrInvalidTableRoutingRule", rule, filter_rules=["one.*"])
        # One that comes later, and one that does not fit.
        self.to_kafka("later", {"matcher": ["one.z*"], "target-table": "x"}, filter_rules=["one.z*"])
        self.source.run("CREATE TABLE one.z1 (id INT PRIMARY KEY)", "CREATE TABLE one.z2 (id INT PRIMARY KEY)", "INSERT INTO one.z2 VALUES (1)")
        failed = self.server.wait_state("later", "failed")
        self.assertEqual(failed["error"]["code"], "CDC:ErrTableRouteConflict")
        self.source.run("CREATE TABLE one.y1 (id INT PRIMARY KEY)")
        self.to_kafka("shards", {"matcher": ["one.y*"], "target-table": "x", "target-merge": True}, filter_rules=["one.y*"])
        self.source.run("CREATE TABLE one.y2 (id INT PRIMARY KEY)", "TRUNCATE one.y1")
        failed = self.server.wait_state("shards", "failed")
        self.assertEqual(failed["error"]["code"], "CDC:ErrTableRoutingFailed")
        self.assertIn("TRUNCATE", failed["error"]["message"])

    def test_a_copy_under_another_name_is_equal(self):
        self.create("copy", self.target.uri(), {"matcher": ["copy_a.*"], "target-schema": "copy_b"}, filter_rules=["copy_a.*"])
        self.source.run("CREATE DATABASE copy_a", "CREATE TABLE copy_a.t (id INT PRIMARY KEY, v INT)", "CREATE TABLE copy_a.u LIKE copy_a.t",
                        "INSERT INTO copy_a.t VALUES (1, 1), (2, 2)", "INSERT INTO copy_a.u VALUES (3, 3)",
                        "ALTER TABLE copy_a.t ADD COLUMN g INT AS (copy_a.t.v + 1), RENAME TO copy_a.w",
                        "RENAME TABLE copy_a.u TO copy_a.s, copy_a.w TO copy_a.u, copy_a.s TO copy_a.w", "INSERT INTO copy_a.u (id, v) VALUES (9, 9)")
        self.server.wait_caught_up("copy")
        for table in ("u", "w"):
            self.assertEqual(same.digest(self.source, "copy_a", table), same.digest(self.target, "copy_b", table))
        self.assertEqual(same.tables(self.target, "copy_b"), ["u", "w"])
        self.source.run("DROP DATABASE copy_a")
        parts.wait_until(lambda: "copy_b" not in same.schemas(self.target), 30, "the copy's database goes too")


if __name__ == "__main__":
    main()
