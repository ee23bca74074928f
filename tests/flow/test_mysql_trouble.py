#!/usr/bin/env python3
"""A SQL target that is down, shy, strict, full of other people's rows, or cut off in COMMIT."""
import base64
import random
import threading
import time

from lib import parts, same
from lib.case import Case, main
from lib.mariadb import MariaDB
from lib.proxy import Proxy
from lib.server import Millrace


class Refused(Case):
    @classmethod
    def setUpParts(cls):
        cls.source = MariaDB()
        cls.target = MariaDB({"server-id": "2002"})
        cls.server = Millrace(cls.source)
        cls.target.run("CREATE USER shy@'127.0.0.1' IDENTIFIED BY 's3cret=='", "GRANT SELECT ON *.* TO shy@'127.0.0.1'",
                       "CREATE USER plain@'127.0.0.1' IDENTIFIED BY 'open sesame'", "GRANT ALL ON *.* TO plain@'127.0.0.1'")

    def refusal(self, uri, **body):
        reply = self.server.api("POST", "/api/v1/changefeeds", {
            "changefeed_id": f"no-{random.randrange(10**9)}", "sink_uri": uri, "filter_rules": ["x.*"], **body})
        self.assertEqual(reply.status // 100, 4 if reply.status < 500 else 5)
        self.assertNotIn("s3cret", reply.text())
        return reply.code()

    def test_what_cannot_work_is_refused_at_create(self):
        port, base = self.target.port, f"mysql://root@127.0.0.1:{self.target.port}/"
        for uri, code in (
                (f"mysql://shy:wrong-s3cret@127.0.0.1:{port}/", "CDC:ErrMySQLConnectionError"),
                (f"mysql://nobody:s3cret@127.0.0.1:{port}/", "CDC:ErrMySQLConnectionError"),
                (f"mysql://root@127.0.0.1:{parts.free_port()}/", "CDC:ErrMySQLConnectionError"),
                (base + "?worker-count=0", "CDC:ErrMySQLInvalidConfig"),
                (base + "?worker-count=many", "CDC:ErrMySQLInvalidConfig"),
                (base + "?max-txn-row=-1", "CDC:ErrMySQLInvalidConfig"),
                (base + "?read-timeout=soon", "CDC:ErrMySQLInvalidConfig"),
                (base + "?time-zone=Mars/Olympus", "CDC:ErrMySQLInvalidConfig"),
                (base + "?safe-mode=perhaps", "CDC:ErrMySQLInvalidConfig"),
                (base + "?protocol=canal-json", "CDC:ErrSinkURIInvalid"),
                (base + "?transaction-atomicity=global", "CDC:ErrSinkURIInvalid"),
                (base + "?ssl-ca=/no/such/file", "CDC:ErrToTLSConfigFailed"),
                (base + f"?ssl-ca={__file__}", "CDC:ErrToTLSConfigFailed"),
                ("mysql://root@/", "CDC:ErrSinkURIInvalid"),
                (self.source.uri(), "CDC:ErrMySQLSameServer"),
                (self.source.uri().replace("127.0.0.1", "localhost"), "CDC:ErrMySQLSameServer")):
            with self.subTest(uri=uri):
                self.assertEqual(self.refusal(uri), code)
        self.assertEqual(self.refusal(base, replica_config={"enable-sync-point": True, "sync-point-interval": "1s"}),
                         "CDC:ErrInvalidReplicaConfig")

    def test_a_password_in_base64_is_found_out(self):
        secret = base64.b64encode(b"open sesame").decode().replace("=", "%3D")
        self.server.create("b64", f"mysql://plain:{secret}@127.0.0.1:{self.target.port}/", filter_rules=["b64.*"])
        self.source.run("CREATE DATABASE b64", "CREATE TABLE b64.t (id INT PRIMARY KEY)", "INSERT INTO b64.t VALUES (1)")
        self.server.wait_caught_up("b64")
        self.assertEqual(same.difference(self.source, self.target, "b64"), "")
        self.assertNotIn("open sesame", self.server.log.read_text())


class Trouble(Case):
    @classmethod
    def setUpParts(cls):
        cls.source = MariaDB()
        cls.target = MariaDB({"server-id": "2002"})
        cls.server = Millrace(cls.source)

    def start(self, name, uri=None, query="?worker-count=4", fresh=True, **body):
        self.source.run(f"CREATE DATABASE {name}", f"CREATE TABLE {name}.t (id INT PRIMARY KEY, u INT UNIQUE, v INT)")
        self.target.run(f"CREATE DATABASE {name}", f"CREATE TABLE {name}.t (id INT PRIMARY KEY, u INT UNIQUE, v INT)")
        self.server.create(name, (uri or self.target.uri()) + query, filter_rules=[f"{name}.*"], **body)
        # What comes from now on is newer than the start: plain INSERT and UPDATE.
        time.sleep(6 if fresh else 0)

    def write(self, name, times, pause=0.0, seed=1):
        rnd = random.Random(seed)
        with self.source.connect() as c:
            for i in range(times):
                a, b = rnd.randrange(60), rnd.randrange(60)
                for text in ("BEGIN", f"INSERT IGNORE INTO {name}.t VALUES ({a}, {b}, {i})",
                             f"UPDATE {name}.t SET v = v + 1 WHERE id = {b}",
                             f"UPDATE IGNORE {name}.t SET u = {1000 + i} WHERE id = {a}",
                             f"UPDATE IGNORE {name}.t SET id = {b} WHERE id = {a} AND v % 3 = 0",
                             f"DELETE FROM {name}.t WHERE id = {(a + b) % 60} AND v % 4 = 1", "COMMIT"):
                    c.query(text)
                time.sleep(pause)

    def equal(self, name, timeout=120):
        self.server.wait_caught_up(name, timeout)
        self.assertEqual(same.difference(self.source, self.target, name), "")
        self.assertGreater(int(self.target.query(f"SELECT COUNT(*) FROM {name}.t")[0][0]), 0)

    def test_connections_that_are_lost_in_commit(self):
        proxy = Proxy(parts.free_port(), self.target.port)
        self.start("wire", f"mysql://root@127.0.0.1:{proxy.port}/")
        writer = threading.Thread(target=self.write, args=("wire", 1500, 0.005))
        writer.start()
        cuts = 0
        while writer.is_alive():
            # The server does what it was told; nobody hears that it did.
            proxy.hold_answers()
            time.sleep(0.2)
            proxy.cut()
            proxy.release()
            cuts += 1
            time.sleep(0.8)
        writer.join()
        self.assertGreater(cuts, 3)
        self.equal("wire")
        self.assertIn("a downstream transaction failed and is tried again", self.server.log.read_text())

    def test_a_target_that_is_stopped_for_a_while(self):
        self.start("down")
        writer = threading.Thread(target=self.write, args=("down", 800, 0.005))
        writer.start()
        time.sleep(1)
        self.target.stop()
        time.sleep(3)
        self.target.start()
        writer.join()
        self.equal("down")

    def test_a_target_that_is_read_only_for_a_while(self):
        self.target.run("CREATE USER writer@'127.0.0.1'", "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX "
                        "ON *.* TO writer@'127.0.0.1'")
        self.start("readonly", f"mysql://writer@127.0.0.1:{self.target.port}/")
        self.target.run("SET GLOBAL read_only = 1")
        self.write("readonly", 50)
        seen = self.server.wait_for("readonly", lambda d: d.get("error"), 30, "the refusal is told")
        self.assertEqual((seen["state"], seen["error"]["code"]), ("error", "CDC:ErrMySQLTxnError"))
        self.assertIn("--read-only", seen["error"]["message"])
        self.target.run("SET GLOBAL read_only = 0")
        self.equal("readonly")

    def test_rows_of_others_in_the_way_are_replaced(self):
        self.start("others")
        self.target.run("INSERT INTO others.t VALUES (1, 10, -1), (2, 20, -1)")
        self.source.run("INSERT INTO others.t VALUES (1, 11, 1)", "INSERT INTO others.t VALUES (3, 20, 3)",
                        "INSERT INTO others.t VALUES (4, 40, 4)", "UPDATE others.t SET v = 5 WHERE id = 4",
                        "DELETE FROM others.t WHERE id = 77")
        self.equal("others")

    def test_values_stay_out_of_errors(self):
        self.start("hidden", query="?worker-count=1")
        self.target.run("ALTER TABLE hidden.t ADD CONSTRAINT small CHECK (v < 100), ADD COLUMN must INT NOT NULL",
                        "CREATE TRIGGER hidden.no BEFORE INSERT ON hidden.t FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'no'")
        self.source.run("INSERT INTO hidden.t VALUES (1, 1, 987654321)")
        parts.wait_until(lambda: "INSERT INTO `hidden`.`t`" in self.server.log.read_text(), 20, "the refusal is told")
        self.assertNotIn("987654321", self.server.log.read_text())
        self.target.run("DROP TRIGGER hidden.no", "ALTER TABLE hidden.t DROP COLUMN must, DROP CONSTRAINT small")
        self.equal("hidden")

    def test_a_statement_that_takes_too_long_is_given_up_and_tried_again(self):
        self.start("late", query="?worker-count=1&write-timeout=1s", fresh=False)
        self.target.run("CREATE TRIGGER late.wait BEFORE INSERT ON late.t FOR EACH ROW DO IF(GET_LOCK('once', 0), SLEEP(9), 0)")
        self.source.run("INSERT INTO late.t VALUES (1, 1, 1)")
        parts.wait_until(lambda: "late/0: a downstream transaction failed and is tried again" in self.server.log.read_text(), 20,
                         "the statement is given up")
        self.equal("late")

    def test_a_slow_target_only_makes_it_late(self):
        self.start("slow")
        with self.target.connect() as c:
            c.run("LOCK TABLES slow.t WRITE")
            self.write("slow", 100)
            time.sleep(2)
            self.assertEqual(self.server.changefeed("slow")["state"], "normal")
            c.run("UNLOCK TABLES")
        self.equal("slow")


if __name__ == "__main__":
    main()
