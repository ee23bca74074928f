#!/usr/bin/env python3
"""MariaDB to Kafka as simple: JSON, and Avro read by a decoder that is not ours; rows are read with the schemas told before."""
import base64
import json
import time

from lib import parts
from lib.case import Case, main
from lib.decode_binary import simple_avro as from_avro, simple_json as from_json
from lib.kafka import Kafka
from lib.mariadb import MariaDB
from lib.server import Millrace


class Simple(Case):
    @classmethod
    def setUpParts(cls):
        cls.kafka = Kafka()
        cls.db = MariaDB()
        cls.server = Millrace(cls.db)

    def feed(self, name, query="", partitions=3, **sink_config):
        self.server.create(name, f"kafka://{self.kafka.address}/{name}?protocol=simple&partition-num={partitions}{query}",
                           filter_rules=[f"{name}.*"], sink_config=sink_config)

    def read(self, name, reader):
        """(partition, key, message) of all messages, in order for each partition."""
        self.server.wait_caught_up(name)
        return [(m.partition, m.key, reader(m.value)) for m in self.kafka.messages(name)]

    def life(self, db):
        self.db.run(f"CREATE DATABASE {db}", f"""CREATE TABLE {db}.t (id BIGINT UNSIGNED PRIMARY KEY, v VARCHAR(20) DEFAULT 'd', f FLOAT,
                    b VARBINARY(4), e ENUM('x','y'), s SET('p','q'), bt BIT(4) DEFAULT b'1010', ts TIMESTAMP NULL, KEY kv(v))""",
                    f"INSERT INTO {db}.t VALUES (18446744073709551615, 'é<1>', 0.5, x'00ff', 'y', 'p,q', 5, '2024-01-02 03:04:05')",
                    f"UPDATE {db}.t SET v = NULL, ts = NULL", f"ALTER TABLE {db}.t ADD COLUMN n INT NOT NULL DEFAULT 7 AFTER id",
                    f"DELETE FROM {db}.t", f"DROP TABLE {db}.t")

    def check_life(self, db, messages, image, ddl_types):
        by_partition = [[m for p, _, m in messages if p == number] for number in range(3)]
        rows = [m for _, _, m in messages if "database" in m]
        self.assertEqual([m["type"] for m in rows], ["INSERT", "UPDATE", "DELETE"])
        self.assertEqual(rows[0]["data"], image)
        changed = {**image, "v": None, "ts": None}
        self.assertEqual((rows[1]["data"], rows[1]["old"]), (changed, image))
        self.assertEqual(rows[2]["old"], {**changed, "n": 7 if isinstance(image["bt"], int) else "7"})
        self.assertEqual({p for p, key, m in messages if "database" in m}, {p for p, _, m in messages if m["type"] == "INSERT"})
        for _, key, m in messages:
            self.assertEqual(key, b"" if "database" in m or m["type"] == "BOOTSTRAP" else None, m["type"])
        for number, here in enumerate(by_partition):
            self.assertEqual([m["type"] for m in here if "sql" in m], ddl_types, f"DDLs of partition {number}")
            self.assertEqual([m["type"] for m in here].count("BOOTSTRAP"), 1, f"BOOTSTRAPs of partition {number}")
            self.assertTrue(any(m["type"] == "WATERMARK" for m in here))
            done, known = 0, {}
            for m in here:
                if m["type"] == "WATERMARK":
                    done = m["commitTs"]
                elif m["type"] != "BOOTSTRAP":
                    self.assertGreater(m["commitTs"], done, "nothing new behind its watermark")
                for schema in filter(None, (m.get("tableSchema"), m.get("preTableSchema"))):
                    known[schema["tableID"], schema["version"]] = [c["name"] for c in schema["columns"]]
                if "database" in m:
                    # A consumer knows the definition of every row from what came before in its partition.
                    self.assertEqual(sorted(known[m["tableID"], m["schemaVersion"]]), sorted(m.get("data") or m["old"]))
        create = next(m for _, _, m in messages if m["type"] == "CREATE")["tableSchema"]
        self.assertEqual([(c["name"], c["dataType"]["mysqlType"], c["dataType"].get("length"), c["default"]) for c in create["columns"]],
                         [("id", "bigint", 20, None), ("v", "varchar", 20, "d"), ("f", "float", 12, None), ("b", "varbinary", 4, None),
                          ("e", "enum", 1, None), ("s", "set", 3, None), ("bt", "bit", 4, create["columns"][6]["default"]),
                          ("ts", "timestamp", 19, None)])
        self.assertEqual([(i["name"], i["primary"], i["columns"]) for i in create["indexes"]],
                         [("kv", False, ["v"]), ("primary", True, ["id"])])

    def test_json(self):
        self.feed("js")
        self.life("js")
        messages = self.read("js", from_json)
        zone = messages[next(i for i, m in enumerate(messages) if m[2]["type"] == "INSERT")][2]["data"]["ts"]["location"]
        self.check_life("js", messages, {
            "id": "18446744073709551615", "v": "é<1>", "f": "0.5", "b": base64.b64encode(b"\0\xff").decode(), "e": "2", "s": "3", "bt": "5",
            "ts": {"location": zone, "value": "2024-01-02 03:04:05"}}, ["QUERY", "CREATE", "ALTER", "ERASE"])
        for m in self.kafka.messages("js"):
            body = json.loads(m.value)
            self.assertEqual(json.dumps(body, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c").replace(">", "\\u003e"),
                             m.value.decode(), "no blanks, keys in order")

    def test_avro(self):
        self.feed("av", query="&encoding-format=avro")
        self.life("av")
        messages = self.read("av", from_avro)
        zone = next(m for _, _, m in messages if m["type"] == "INSERT")["data"]["ts"]["location"]
        self.check_life("av", messages, {"id": (1 << 64) - 1, "v": "é<1>", "f": 0.5, "b": b"\0\xff", "e": 2, "s": 3, "bt": 5,
                                         "ts": {"location": zone, "value": "2024-01-02 03:04:05"}},
                        ["QUERY", "CREATE", "ALTER", "ERASE"])

    def bootstraps(self, name):
        return [m for _, _, m in self.read(name, from_json) if m["type"] == "BOOTSTRAP"]

    def test_tables_are_described_again_in_time_and_after_rows(self):
        self.db.run("CREATE DATABASE again", "CREATE TABLE again.idle (id INT PRIMARY KEY)", "CREATE TABLE again.busy (id INT PRIMARY KEY)")
        self.feed("again", **{"send-bootstrap-interval-in-sec": 6, "send-bootstrap-in-msg-count": 1000})
        self.db.run("INSERT INTO again.idle VALUES (1)")
        self.assertEqual([m["tableSchema"]["table"] for m in self.bootstraps("again")], ["idle"] * 3)
        # Without another row, within 6 s and the 5 s between two looks.
        begin = time.monotonic()
        parts.wait_until(lambda: len(self.bootstraps("again")) == 6, 30, "the idle table is described again", every=0.5)
        self.assertGreater(time.monotonic() - begin, 3)
        self.db.run("ALTER TABLE again.idle ADD COLUMN v INT", "INSERT INTO again.idle VALUES (2, 2)")
        parts.wait_until(lambda: len(self.bootstraps("again")[-1]["tableSchema"]["columns"]) == 2, 30,
                         "a description holds the new column", every=0.5)

    def test_to_one_partition_or_none_at_all(self):
        self.db.run("CREATE DATABASE one", "CREATE TABLE one.t (id INT PRIMARY KEY)")
        self.feed("one", **{"send-bootstrap-to-all-partition": False})
        self.db.run("INSERT INTO one.t VALUES (1)")
        self.assertEqual([(p, m["type"]) for p, _, m in self.read("one", from_json) if m["type"] == "BOOTSTRAP"], [(0, "BOOTSTRAP")])
        self.db.run("CREATE DATABASE none", "CREATE TABLE none.t (id INT PRIMARY KEY)")
        self.feed("none", **{"send-bootstrap-in-msg-count": 0})
        self.db.run("INSERT INTO none.t VALUES (1)")
        self.assertEqual({m["type"] for _, _, m in self.read("none", from_json)}, {"WATERMARK", "INSERT"})

    def test_all_tables_at_the_start(self):
        names = sorted(f"t{i:03}" for i in range(70))  # more than are told of at a time
        self.db.run("CREATE DATABASE start", *(f"CREATE TABLE start.{t} (id INT PRIMARY KEY, v INT)" for t in names),
                    "CREATE VIEW start.v AS SELECT id FROM start.t000", "CREATE TABLE start.without_key (id INT)")
        self.server.create("start", f"kafka://{self.kafka.address}/start?protocol=simple&partition-num=3", filter_rules=["start.*"],
                           ignore_ineligible_table=True, sink_config={"send-all-bootstrap-at-start": True})

        def described(partition, key):
            return sorted(m["tableSchema"]["table"] for p, k, m in self.read("start", from_json)
                          if p == partition and m["type"] == "BOOTSTRAP" and k == key)
        parts.wait_until(lambda: described(2, None) == names, 30, "the tables are described")
        self.db.run("INSERT INTO start.t001 VALUES (1, 2)", "CREATE TABLE start.later (id INT PRIMARY KEY)", "INSERT INTO start.later VALUES (1)")
        for partition in range(3):
            with self.subTest(partition=partition):
                # Rows have theirs all the same, with an empty key.
                self.assertEqual((described(partition, None), described(partition, b"")), (names, ["later", "t001"]))
                order = [(m["type"], k) for p, k, m in self.read("start", from_json) if p == partition and m["type"] != "WATERMARK"]
                self.assertEqual(order[:70], [("BOOTSTRAP", None)] * 70)
        # And whenever it starts again: before the rows that wait for it.
        self.server.pause("start")
        self.db.run("INSERT INTO start.t001 VALUES (2, 3)", "DROP TABLE start.t000")
        self.server.resume("start")
        parts.wait_until(lambda: described(0, None) == sorted(names * 2 + ["later"]), 30, "they are described again")
        rows = [(p, m["data"]["id"]) for p, _, m in self.read("start", from_json) if m["type"] == "INSERT" and m["table"] == "t001"]
        self.assertEqual([int(i) for _, i in rows], [1, 2])
        order = [m["data"]["id"] if m["type"] == "INSERT" else k for p, k, m in self.read("start", from_json)
                 if p == rows[0][0] and m["type"] in ("INSERT", "BOOTSTRAP") and m.get("table", "t001") == "t001"]
        self.assertEqual(sum(k is None for k in order[order.index(rows[0][1]):order.index(rows[1][1])]), 71)

    def test_bad_settings_are_refused(self):
        for query, config in (("&encoding-format=xml", {}), ("", {"kafka-config": {"codec-config": {"encoding-format": "xml"}}})):
            reply = self.server.api("POST", "/api/v1/changefeeds", {
                "changefeed_id": "refused", "filter_rules": ["refused.*"], "sink_config": config,
                "sink_uri": f"kafka://{self.kafka.address}/refused?protocol=simple{query}"})
            self.assertEqual((reply.status, reply.code()), (500, "CDC:ErrCodecInvalidConfig"), reply.text())


if __name__ == "__main__":
    main()
