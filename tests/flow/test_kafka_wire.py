#!/usr/bin/env python3
"""
MariaDB to Kafka over a wire that keeps answers back and breaks: nothing is durable before the broker has said so, order stays;
and what goes where over several topics, and how large a message may be.
"""
import time

from lib import decode, parts
from lib.case import Case, main
from lib.kafka import Kafka
from lib.mariadb import MariaDB
from lib.proxy import Proxy
from lib.server import Millrace

LIMIT = 20000  # of the broker


class Wire(Case):
    @classmethod
    def setUpParts(cls):
        # The server asks the proxy and is sent there by the broker, too; kcat asks at a listener of its own.
        first, direct, control, front = (parts.free_port() for _ in range(4))
        cls.proxy = Proxy(front, first)
        cls.broker = f"127.0.0.1:{front}"
        cls.kafka = Kafka(f"listeners=PLAINTEXT://127.0.0.1:{first},DIRECT://127.0.0.1:{direct},CONTROLLER://127.0.0.1:{control}",
                          f"advertised.listeners=PLAINTEXT://127.0.0.1:{front},DIRECT://127.0.0.1:{direct}",
                          f"controller.quorum.voters=1@127.0.0.1:{control}",
                          "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,DIRECT:PLAINTEXT,CONTROLLER:PLAINTEXT",
                          f"message.max.bytes={LIMIT}", address=f"127.0.0.1:{direct}")
        cls.db = MariaDB()
        cls.server = Millrace(cls.db)

    def feed(self, name, partitions=1, query="", **body):
        self.db.run(f"CREATE DATABASE {name}", f"CREATE TABLE {name}.t (id INT PRIMARY KEY, v LONGTEXT)")
        self.server.create(name, f"kafka://{self.broker}/{name}?protocol=canal-json&enable-tidb-extension=true"
                                 f"&partition-num={partitions}{query}", filter_rules=[f"{name}.*"], **body)
        self.server.wait_caught_up(name)

    def events(self, topic):
        return decode.of_messages(self.kafka.messages(topic), "canal-json")

    def rows(self, topic):
        return [e for e in self.events(topic) if e.kind == decode.ROW]

    def test_nothing_is_durable_before_its_acknowledgement(self):
        self.feed("acks")
        self.proxy.hold_answers()
        try:
            self.db.run("INSERT INTO acks.t VALUES (1, 'x')")
            row = parts.wait_until(lambda: self.rows("acks"), 10, "the broker has the row")[0]
            for _ in range(20):
                time.sleep(0.1)
                self.assertLess(self.server.changefeed("acks")["checkpoint_tso"], row.ts)
            self.assertEqual([e for e in self.events("acks") if e.kind == decode.WATERMARK and e.ts >= row.ts], [])
        finally:
            self.proxy.release()
        self.server.wait_checkpoint("acks", row.ts, 30)
        self.assertEqual({e.data["id"] for e in self.rows("acks")}, {"1"})

    def test_lost_answers_are_asked_for_again(self):
        """The broker has taken what it could not say: it comes once or twice, and the checkpoint moves only then."""
        self.feed("lost")
        self.proxy.hold_answers()
        try:
            self.db.run("INSERT INTO lost.t VALUES (1, 'x')", "UPDATE lost.t SET v = 'y'")
            parts.wait_until(lambda: self.rows("lost"), 10, "the broker has a row")
            self.proxy.cut()
        finally:
            self.proxy.release()
        self.server.wait_caught_up("lost", 60)
        values = [e.data["v"] for e in self.rows("lost")]
        self.assertEqual(values[-1], "y")
        self.assertEqual(sorted(set(values)), ["x", "y"])

    def test_order_stays_over_broken_connections(self):
        self.feed("broken", partitions=3, sink_config={"dispatchers": [{"matcher": ["*.*"], "partition": "index-value"}]})
        keys, rounds = 40, 60
        self.db.run(f"INSERT INTO broken.t SELECT seq, '0' FROM broken.seq_1_to_{keys}")
        for i in range(1, rounds):
            self.db.run(f"UPDATE broken.t SET v = '{i}'")
            if i % 6 == 0:
                self.proxy.cut()
        self.server.wait_caught_up("broken", 120)
        at, done = {}, {}
        for e in self.events("broken"):  # by partition, in order of offsets
            if e.kind == decode.WATERMARK:
                done[e.partition] = max(done.get(e.partition, 0), e.ts)
            elif e.kind == decode.ROW:
                key, v = (e.partition, e.data["id"]), int(e.data["v"])
                # A repetition may begin anew further back, but then goes on without a gap.
                self.assertTrue(v <= at.get(key, -1) + 1, (key, v, at.get(key)))
                if v > at.get(key, -1):
                    self.assertGreater(e.ts, done.get(e.partition, 0), "nothing new behind its watermark")
                at[key] = v
        self.assertEqual(len(at), keys, "a key has one partition")
        self.assertEqual(set(at.values()), {rounds - 1})

    def test_the_topics_limit_less_128_is_what_a_message_may_have(self):
        self.feed("size")
        self.db.run("INSERT INTO size.t VALUES (1, '')")
        self.server.wait_caught_up("size")
        empty = next(len(m.value) for m in self.kafka.messages("size") if m.key is not None)
        room = LIMIT - 128 - 36 - empty
        self.db.run(f"INSERT INTO size.t VALUES (2, REPEAT('x', {room}))")
        self.server.wait_caught_up("size")
        self.assertEqual(len(self.rows("size")[-1].data["v"]), room)
        self.db.run(f"INSERT INTO size.t VALUES (3, REPEAT('x', {room + 1}))")
        detail = self.server.wait_state("size", "error")
        self.assertEqual(detail["error"]["code"], "CDC:ErrMessageTooLarge")
        self.assertIn(str(LIMIT - 128 + 1), detail["error"]["message"])
        self.assertEqual({e.data["id"] for e in self.rows("size")}, {"1", "2"})
        self.server.remove("size")

    def test_a_topic_that_the_cluster_refuses(self):
        """One broker cannot hold three replicas: told at create for the default topic, later for those of new tables."""
        uri = f"kafka://{self.broker}/{{}}?protocol=canal-json&partition-num=1&replication-factor=3"
        reply = self.server.api("POST", "/api/v1/changefeeds", {"changefeed_id": "three", "sink_uri": uri.format("three")})
        self.assertEqual(reply.code(), "CDC:ErrKafkaCreateTopic", reply.text())
        self.feed("three")
        self.server.pause("three")
        self.server.update("three", sink_uri=uri.format("three"),
                           sink_config={"dispatchers": [{"matcher": ["three.u"], "topic": "three_{table}"}]})
        self.server.resume("three")
        self.db.run("CREATE TABLE three.u (id INT PRIMARY KEY, v INT)", "INSERT INTO three.u VALUES (1, 1)")
        detail = self.server.wait_state("three", "error")
        self.assertEqual(detail["error"]["code"], "CDC:ErrKafkaCreateTopic")
        self.assertIn("three_u", detail["error"]["message"])
        self.server.pause("three")
        self.server.update("three", sink_uri=uri.format("three").replace("=3", "=1"))
        self.server.resume("three")
        self.server.wait_caught_up("three")
        self.assertEqual([e.data["id"] for e in self.rows("three_u")], ["1"])

    def test_partition_counts_of_topics(self):
        """The URI's number against that of the topic that is there (protocols.md 14.5)."""
        by_key = {"dispatchers": [{"matcher": ["*.*"], "partition": "index-value"}]}
        uri = f"kafka://{self.broker}/counts?protocol=canal-json"
        self.feed("counts", partitions=4, sink_config=by_key)
        self.assertEqual(self.kafka.topics()["counts"], 4)
        reply = self.server.api("POST", "/api/v1/changefeeds", {"changefeed_id": "more", "sink_uri": uri + "&partition-num=5"})
        self.assertEqual(reply.code(), "CDC:ErrKafkaInvalidConfig", reply.text())
        self.assertIn("CDC:ErrKafkaInvalidPartitionNum", reply.text())
        self.server.pause("counts")
        for number, query, used in ((0, "&partition-num=2", {0, 1}), (1, "", {0, 1, 2, 3})):
            name = f"less{number}"
            self.server.create(name, uri + query, filter_rules=[f"{name}.*"], sink_config=by_key)
            self.db.run(f"CREATE DATABASE {name}", f"CREATE TABLE {name}.t (id INT PRIMARY KEY)",
                        f"INSERT INTO {name}.t SELECT seq FROM {name}.seq_1_to_100")
            self.server.wait_caught_up(name)
            self.assertEqual({e.partition for e in self.rows("counts") if e.db == name}, used)
            self.server.remove(name)
        self.server.create("fresh", f"kafka://{self.broker}/fresh?protocol=canal-json", filter_rules=["fresh.*"])
        self.assertEqual(self.kafka.topics()["fresh"], 3, "of a new topic when nothing says how many")
        self.server.remove("fresh")

    def test_acknowledgements_and_compression(self):
        names = []
        for number, query in enumerate(("compression=gzip", "compression=snappy", "compression=lz4", "compression=zstd",
                                        "compression=none", "compression=brotli", "required-acks=1", "required-acks=0&max-retry=0")):
            name = f"put{number}"
            names.append((name, query))
            self.feed(name, query="&" + query)
            self.db.run(*(f"INSERT INTO {name}.t VALUES ({i}, REPEAT('abc', 1000))" for i in range(5)))
        for name, query in names:
            self.server.wait_caught_up(name)
            with self.subTest(query):
                rows = parts.wait_until(lambda: [r for r in [self.rows(name)] if len(r) >= 5], 10, "the rows are there")[0]
                self.assertEqual([e.data["id"] for e in rows], list("01234"))
                self.assertEqual({e.data["v"] for e in rows}, {"abc" * 1000})
            self.server.remove(name)
        self.assertIn("unknown compression", self.server.log.read_text())

    def test_a_rename_goes_to_the_old_topic_and_watermarks_to_all(self):
        self.feed("ren", partitions=2, sink_config={"dispatchers": [{"matcher": ["ren.*"], "topic": "x_{schema}.{table}"}]})
        self.db.run("INSERT INTO ren.t VALUES (1, 'a')", "RENAME TABLE ren.t TO ren.u", "INSERT INTO ren.u VALUES (2, 'b')",
                    "DROP TABLE ren.u", "DROP DATABASE ren")
        self.server.wait_caught_up("ren")

        def ddls(topic):
            return [(e.type, e.table, e.partition) for e in self.events(topic) if e.kind == decode.DDL]
        self.assertEqual([e.data["id"] for e in self.rows("x_ren.t")], ["1"])
        self.assertEqual([e.data["id"] for e in self.rows("x_ren.u")], ["2"])
        self.assertEqual(ddls("x_ren.t"), [("RENAME", "u", 0)])
        self.assertEqual(ddls("x_ren.u"), [("ERASE", "u", 0)])
        self.assertEqual(ddls("ren"), [("QUERY", "", 0)])
        late = max(e.ts for e in self.events("ren") if e.kind == decode.DDL)
        self.server.wait_caught_up("ren")

        def told(topic):
            return {e.partition for e in self.events(topic) if e.kind == decode.WATERMARK and e.ts >= late}
        parts.wait_until(lambda: told("ren") == {0, 1}, 20, "watermarks in the default topic")
        for topic in ("x_ren.t", "x_ren.u"):
            self.assertEqual(self.kafka.topics()[topic], 2)
            self.assertEqual({e.partition for e in self.events(topic) if e.kind == decode.WATERMARK}, {0, 1}, topic)


class Replicas(Case):
    def test_fewer_replicas_than_must_be_in_sync(self):
        kafka, db = Kafka("min.insync.replicas=2"), MariaDB()
        server = Millrace(db)
        uri = f"kafka://{kafka.address}/isr?protocol=canal-json&partition-num=1"
        reply = server.api("POST", "/api/v1/changefeeds", {"changefeed_id": "isr", "sink_uri": uri})
        self.assertEqual(reply.code(), "CDC:ErrKafkaInvalidConfig", reply.text())
        self.assertIn("`min.insync.replicas` 2", reply.text())
        self.assertNotIn("isr", kafka.topics(), "nothing was made for it")
        # Who wants only one acknowledgement is not asked.
        server.create("isr", uri + "&required-acks=1", filter_rules=["isr.*"])
        db.run("CREATE DATABASE isr", "CREATE TABLE isr.t (id INT PRIMARY KEY)", "INSERT INTO isr.t VALUES (1)")
        server.wait_caught_up("isr")
        self.assertEqual([e.data["id"] for e in decode.of_messages(kafka.messages("isr"), "canal-json") if e.kind == decode.ROW], ["1"])
        server.stop()
        db.stop()
        kafka.stop()


if __name__ == "__main__":
    main()
