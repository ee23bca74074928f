#!/usr/bin/env python3
"""MariaDB to Kafka: canal-json and open-protocol, keys, partitions, DDLs, watermarks, restarts of either side."""
from lib import decode
from lib.case import Case, main
from lib.kafka import Kafka
from lib.mariadb import MariaDB
from lib.server import Millrace


class KafkaSink(Case):
    @classmethod
    def setUpParts(cls):
        cls.kafka = Kafka()
        cls.db = MariaDB()
        cls.server = Millrace(cls.db)

    def feed(self, name, protocol, *rules, partitions=3, query="", **body):
        self.server.create(name, f"kafka://{self.kafka.address}/{name}?protocol={protocol}&partition-num={partitions}{query}",
                           filter_rules=list(rules), **body)

    def events(self, name, protocol, topic=None):
        self.server.wait_caught_up(name)
        return decode.of_messages(self.kafka.messages(topic or name), protocol)

    def changes(self, db):
        """A table's life; its DDLs go in order with the rows."""
        self.db.run(f"CREATE DATABASE {db}", f"CREATE TABLE {db}.t (id INT PRIMARY KEY, v VARCHAR(20))",
                    f"INSERT INTO {db}.t VALUES (1, 'one'), (2, NULL)", f"UPDATE {db}.t SET v = 'two' WHERE id = 2",
                    f"ALTER TABLE {db}.t ADD COLUMN n INT UNSIGNED DEFAULT 7", f"INSERT INTO {db}.t VALUES (3, 'x', 4000000000)",
                    f"DELETE FROM {db}.t WHERE id = 1", f"DROP TABLE {db}.t")

    def test_canal_json(self):
        self.feed("canal", "canal-json", "canal_.*", query="&enable-tidb-extension=true")
        self.changes("canal_")
        self.server.wait_caught_up("canal")
        messages = self.kafka.messages("canal")
        self.assertEqual(self.kafka.topics()["canal"], 3)
        events = decode.of_messages(messages, "canal-json")
        rows = [e for e in events if e.kind == decode.ROW]
        ddls = [e for e in events if e.kind == decode.DDL]
        marks = [e for e in events if e.kind == decode.WATERMARK]
        # One table, dispatched by its name: one partition, commit order.
        self.assertEqual(len({e.partition for e in rows}), 1)
        self.assertEqual([(e.type, e.data["id"], e.data["v"], e.data.get("n")) for e in rows], [
            ("INSERT", "1", "one", None), ("INSERT", "2", None, None), ("UPDATE", "2", "two", None),
            ("INSERT", "3", "x", "4000000000"), ("DELETE", "1", "one", "7")])
        self.assertEqual(rows[2].old, {"id": "2", "v": None})
        self.assertEqual(rows[3].raw["sqlType"], {"id": 4, "v": 12, "n": -5})
        self.assertEqual(rows[3].raw["mysqlType"], {"id": "int", "v": "varchar", "n": "int unsigned"})
        self.assertEqual([e.ts for e in rows], sorted(e.ts for e in rows))
        self.assertEqual([(e.type, e.partition) for e in ddls],
                         [("QUERY", 0), ("CREATE", 0), ("ALTER", 0), ("ERASE", 0)])
        self.assertTrue(rows[2].ts < ddls[2].ts < rows[3].ts)
        self.assertEqual({e.partition for e in marks}, {0, 1, 2}, "watermarks go to every partition")
        for m in messages:
            e = decode.canal_json(m.value)
            self.assertEqual(m.key, b"" if e.kind == decode.ROW else None, "rows have an empty key, other messages none")
        for partition in range(3):
            done = 0
            for e in (e for e in events if e.partition == partition):
                self.assertTrue(e.kind == decode.WATERMARK or e.ts > done, "nothing new behind its watermark")
                done = e.ts if e.kind == decode.WATERMARK else done

    def test_open_protocol(self):
        self.feed("open", "open-protocol", "open_.*")
        self.changes("open_")
        events = self.events("open", "open-protocol")
        rows = [e for e in events if e.kind == decode.ROW]
        self.assertEqual([(e.type, e.data["id"], e.data["v"], e.data.get("n")) for e in rows], [
            ("INSERT", 1, "one", None), ("INSERT", 2, None, None), ("UPDATE", 2, "two", None),
            ("INSERT", 3, "x", 4000000000), ("DELETE", 1, "one", 7)])
        self.assertEqual(rows[0].raw["u"]["id"], {"t": 3, "h": True, "f": 11, "v": 1})
        ddls = [e for e in events if e.kind == decode.DDL]
        self.assertEqual(sorted({(e.ts, e.type) for e in ddls}), sorted((e.ts, t) for e, t in zip(
            sorted({e.ts: e for e in ddls}.values(), key=lambda e: e.ts), [1, 3, 5, 4])))
        self.assertEqual(len(ddls), 12, "every DDL to each of 3 partitions")
        self.assertEqual({e.partition for e in events if e.kind == decode.WATERMARK}, {0, 1, 2})

    def test_topics_and_partitions_follow_the_dispatchers(self):
        self.db.run("CREATE DATABASE disp", "CREATE TABLE disp.a (id INT PRIMARY KEY, v INT)",
                    "CREATE TABLE disp.b (id INT PRIMARY KEY, v INT)")
        self.feed("disp", "canal-json", "disp.*", partitions=4, sink_config={"dispatchers": [
            {"matcher": ["disp.a"], "topic": "disp_{schema}_{table}", "partition": "index-value"}]})
        self.db.run("INSERT INTO disp.a SELECT seq, seq FROM disp.seq_1_to_200", "INSERT INTO disp.b SELECT seq, seq FROM disp.seq_1_to_200",
                    "UPDATE disp.a SET v = v + 1")
        a = [e for e in self.events("disp", "canal-json", "disp_disp_a") if e.kind == decode.ROW]
        b = [e for e in self.events("disp", "canal-json") if e.kind == decode.ROW]
        self.assertEqual({e.table for e in a}, {"a"})
        self.assertEqual({e.table for e in b}, {"b"})
        self.assertEqual({e.partition for e in a}, {0, 1, 2, 3})
        self.assertEqual(len({e.partition for e in b}), 1)
        where = {}
        for e in a:
            self.assertEqual(where.setdefault(e.data["id"], e.partition), e.partition, "a key keeps its partition")

    def test_restarts_of_broker_server_and_upstream_lose_nothing(self):
        self.db.run("CREATE DATABASE again", "CREATE TABLE again.t (id INT PRIMARY KEY)")
        self.feed("again", "canal-json", "again.*", query="&enable-tidb-extension=true")
        for number, how in enumerate((self.kafka.restart, self.server.kill, self.db.restart)):
            self.db.run(f"INSERT INTO again.t VALUES ({number * 2})")
            self.server.wait_caught_up("again")
            how()
            if not self.server.process.running():
                self.server.start()
            self.db.run(f"INSERT INTO again.t VALUES ({number * 2 + 1})")
            self.server.wait_caught_up("again", 120)
        rows = [e for e in self.events("again", "canal-json") if e.kind == decode.ROW]
        self.assertEqual(sorted({int(e.data["id"]) for e in rows}), list(range(6)))
        stamps = {}
        for e in rows:
            self.assertEqual(stamps.setdefault(e.data["id"], e.ts), e.ts)

    def test_a_row_above_the_limit_stops_the_changefeed_with_its_name(self):
        self.db.run("CREATE DATABASE large", "CREATE TABLE large.t (id INT PRIMARY KEY, v LONGTEXT)")
        self.feed("large", "canal-json", "large.*", query="&max-message-bytes=10000")
        self.db.run("INSERT INTO large.t VALUES (1, 'fits')", "INSERT INTO large.t VALUES (2, REPEAT('x', 20000))")
        detail = self.server.wait_state("large", "error", 60)
        self.assertEqual(detail["error"]["code"], "CDC:ErrMessageTooLarge")
        self.assertIn("large.t", detail["error"]["message"])
        self.server.remove("large")


if __name__ == "__main__":
    main()
