#!/usr/bin/env python3
"""The initial copy of tables without a key, of one instant (snapshot=locked), and up to a target-ts."""
import random
import threading
import time

from lib import decode, parts, same
from lib.case import Case, main
from lib.mariadb import MariaDB
from lib.mysql import MySQL
from lib.server import Millrace


class Writer:
    """Runs statements, made by a function of a dice, until the block ends."""

    def __init__(self, db, make):
        self.db, self.make, self._stop = db, make, threading.Event()
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        dice = random.Random(11)
        with self.db.connect() as c:
            while not self._stop.is_set():
                c.run(*self.make(dice))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self.thread.join()


def heap_change(dice, db="heap"):
    n = dice.randrange(50)
    return [dice.choice([f"INSERT INTO {db}.t VALUES ({n}, 'x'), ({n}, 'x')", f"DELETE FROM {db}.t WHERE a = {n} LIMIT 1",
                         f"UPDATE {db}.t SET v = CONCAT(v, 'y') WHERE a = {n} LIMIT 2", f"INSERT INTO {db}.m VALUES ({n})",
                         f"DELETE FROM {db}.m WHERE a = {n} LIMIT 1"])]


class Whole(Case):
    @classmethod
    def setUpParts(cls):
        cls.db, cls.copy = MariaDB(), MariaDB({"server-id": "2001"})
        cls.server = Millrace(cls.db)

    def create(self, name, method="incremental", settings=None, server=None, **body):
        (server or self.server).create(name, self.copy.uri(), filter_rules=[f"{name}.*"], force_replicate=True,
                                       replica_config={"snapshot": method, **(settings or {})}, **body)

    def copied(self, name, server=None):
        return (server or self.server).wait_for(name, lambda d: d.get("snapshot", {}).get("state") == "finished", 90,
                                            f"the copy of {name} is finished")

    def assert_equal(self, db, name, server=None):
        (server or self.server).wait_caught_up(name)
        self.assertEqual(same.tables(self.copy, name), same.tables(db, name))
        for table in same.tables(db, name):
            self.assertEqual(same.digest(self.copy, name, table), same.digest(db, name, table), table)
        (server or self.server).remove(name)
        self.assertEqual((server or self.server).sanitizer_findings(), [])

    def make_heap(self, name, db=None):
        db = db or self.db
        db.run(f"CREATE DATABASE {name}", f"CREATE TABLE {name}.t (a INT, v VARCHAR(300)) COLLATE=utf8mb4_general_ci",
               f"CREATE TABLE {name}.m (a INT) ENGINE=MyISAM COLLATE=utf8mb4_general_ci", f"INSERT INTO {name}.m VALUES (1), (1), (2)",
               f"CREATE TABLE {name}.k (id INT PRIMARY KEY) COLLATE=utf8mb4_general_ci", f"INSERT INTO {name}.k VALUES (1), (2)",
               f"INSERT INTO {name}.t VALUES (1, 'x'), (1, 'x'), (2, NULL)")
        for _ in range(14):  # 3 * 2^14 rows
            db.run(f"INSERT INTO {name}.t SELECT a + 1, v FROM {name}.t")

    def test_without_a_key_while_written_to(self):
        self.make_heap("heap")
        with Writer(self.db, heap_change):
            self.create("heap")
            self.copied("heap")
        self.assert_equal(self.db, "heap")

    def test_without_a_key_and_killed(self):
        """Rows that a killed copy left are not counted twice."""
        self.make_heap("cut")
        self.db.run("INSERT INTO cut.t SELECT a, REPEAT('z', 250) FROM cut.t")
        self.create("cut")
        for _ in range(2):
            parts.wait_until(lambda: self.copy.query("SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'cut' AND "
                                                     "table_name = 't'") == [("1",)], 30, "the table is made")
            parts.wait_until(lambda: self.copy.query("SELECT COUNT(*) FROM cut.t")[0][0] != "0", 30, "the first rows are there")
            self.server.kill_worker("cut")
        self.copied("cut")
        self.assert_equal(self.db, "cut")

    def test_without_a_key_from_mysql(self):
        db = MySQL()
        server = Millrace(db)
        self.make_heap("other", db)
        with Writer(db, lambda dice: heap_change(dice, "other")):
            self.create("other", server=server)
            self.copied("other", server)
        self.assert_equal(db, "other", server)

    def test_what_cannot_be_without_a_key(self):
        self.make_heap("no")
        reply = self.server.api("POST", "/api/v1/changefeeds", {
            "changefeed_id": "no", "sink_uri": self.copy.uri(), "filter_rules": ["no.*"], "force_replicate": True,
            "replica_config": {"snapshot": "incremental", "create-tables": False}})
        self.assertEqual(reply.code(), "CDC:ErrInvalidReplicaConfig")
        self.assertIn("no.m", reply.text())
        self.copy.run("CREATE DATABASE no", "CREATE TABLE no.t (a INT, v VARCHAR(300))", "INSERT INTO no.t VALUES (1, 'mine')")
        self.create("no")
        state = self.server.wait_state("no", "failed")
        self.assertEqual(state["error"]["code"], "CDC:ErrTargetTableUnfit")
        self.assertIn("no.t", state["error"]["message"])
        self.assertEqual(self.copy.query("SELECT * FROM no.t"), [("1", "mine")])
        self.server.remove("no")

    def test_locked_is_of_one_instant(self):
        """The sum over all accounts never changes, so rows of one instant have it, whatever is moved meanwhile."""
        self.make_bank("bank")
        root = parts.temp_dir("files")
        with Writer(self.db, lambda dice: self.move("bank", dice)):
            self.server.create("bank", f"file://{root}?protocol=canal-json&flush-interval=2s", filter_rules=["bank.a*"],
                               replica_config={"snapshot": "locked", "snapshot-chunk-rows": 500, "max-rows-per-second": 40000})
            parts.wait_until(lambda: "were locked" in self.server.log.read_text(), 30, "the tables are locked")
            parts.wait_until(lambda: not self.db.query("SELECT 1 FROM information_schema.PROCESSLIST WHERE STATE LIKE 'Waiting%lock%'"),
                             1, "the lock is one of a moment")
            self.copied("bank")
        self.server.wait_caught_up("bank")
        rows = [int(e.data["v"]) for e in decode.storage(root) if e.type == "INSERT"]
        self.assertEqual((len(rows), sum(rows)), (30000, 3000000))
        self.server.remove("bank")

    def test_locked_and_killed(self):
        self.make_bank("till")
        with Writer(self.db, lambda dice: self.move("till", dice)):
            self.create("till", "locked", {"snapshot-chunk-rows": 500, "max-rows-per-second": 10000})
            for rows in (3000, 9000):
                parts.wait_until(lambda rows=rows: self.server.changefeed("till").get("snapshot", {}).get("rows", 0) > rows, 30, "rows")
                self.server.kill_worker("till")
            self.copied("till")
        self.assert_equal(self.db, "till")

    def make_bank(self, name):
        self.db.run(f"CREATE DATABASE {name}", f"CREATE TABLE {name}.nokey (v INT)", f"INSERT INTO {name}.nokey VALUES (1), (1), (2)")
        for n in range(3):
            self.db.run(f"CREATE TABLE {name}.a{n} (id INT PRIMARY KEY, v INT)",
                        f"INSERT INTO {name}.a{n} (id, v) SELECT seq, 100 FROM {name}.seq_1_to_10000")

    def move(self, name, dice):
        a, b = dice.sample(range(3), 2)
        m = dice.randrange(50)
        return ["BEGIN", f"UPDATE {name}.a{a} SET v = v - {m} WHERE id = {dice.randrange(1, 10001)}",
                f"UPDATE {name}.a{b} SET v = v + {m} WHERE id = {dice.randrange(1, 10001)}", "COMMIT"]

    def test_locked_from_mysql(self):
        db = MySQL({"gtid-mode": "OFF", "enforce-gtid-consistency": "OFF"})
        server = Millrace(db)
        db.run("CREATE DATABASE one", "CREATE TABLE one.t (id INT PRIMARY KEY, v INT) COLLATE=utf8mb4_general_ci",
               "CREATE TABLE one.nokey (v INT) COLLATE=utf8mb4_general_ci", "INSERT INTO one.nokey VALUES (1), (1)",
               "INSERT INTO one.t VALUES " + ", ".join(f"({i}, 0)" for i in range(1, 3000)))
        with Writer(db, lambda dice: [f"UPDATE one.t SET v = v + 1 WHERE id = {dice.randrange(3000)}",
                                      f"REPLACE INTO one.t VALUES ({dice.randrange(5000)}, 1)", "INSERT INTO one.nokey VALUES (1)"]):
            self.create("one", "locked", {"snapshot-chunk-rows": 100}, server=server)
            self.copied("one", server)
        self.assert_equal(db, "one", server)

    def test_locked_needs_a_privilege(self):
        self.db.run("CREATE USER poor@'127.0.0.1'", "GRANT SELECT, REPLICATION SLAVE, REPLICATION CLIENT, BINLOG MONITOR ON *.* TO poor@'127.0.0.1'",
                    "CREATE DATABASE poor", "CREATE TABLE poor.t (id INT PRIMARY KEY)")
        server = Millrace(self.db.uri("poor"))
        reply = server.api("POST", "/api/v1/changefeeds", {"changefeed_id": "poor", "sink_uri": "blackhole://", "filter_rules": ["poor.*"],
                                                           "snapshot": "locked"})
        self.assertEqual(reply.code(), "CDC:ErrMySQLPrivilege", reply.text())
        self.assertIn("RELOAD", reply.text())
        server.stop()

    def test_a_target_ts_that_comes_too_early(self):
        self.db.run("CREATE DATABASE early", "CREATE TABLE early.t (id INT PRIMARY KEY)", "INSERT INTO early.t SELECT seq FROM early.seq_1_to_4000")
        body = {"changefeed_id": "early", "sink_uri": self.copy.uri(), "filter_rules": ["early.*"], "snapshot": "incremental",
                "replica_config": {"max-rows-per-second": 1000, "snapshot-chunk-rows": 500}}
        begin = int(time.time() * 1000) << 18
        time.sleep(0.2)
        reply = self.server.api("POST", "/api/v1/changefeeds", {**body, "start_ts": begin, "target_ts": begin + 1})
        now = int(time.time() * 1000)
        self.assertEqual(reply.code(), "CDC:ErrSnapshotUnfinished", reply.text())
        self.assertEqual(self.server.api("POST", "/api/v1/changefeeds", {**body, "target_ts": (now + 2000) << 18}).status, 202)
        state = self.server.wait_state("early", "failed")
        self.assertEqual(state["error"]["code"], "CDC:ErrSnapshotUnfinished")
        self.server.update("early", target_ts=(int(time.time() * 1000) + 6000) << 18)
        self.server.resume("early")
        self.server.wait_state("early", "finished", 40)
        self.assertEqual(same.difference(self.db, self.copy, "early"), "")


if __name__ == "__main__":
    main()
