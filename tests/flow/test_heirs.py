#!/usr/bin/env python3
"""
A killed worker has sent something that the server at the other end carries out late: the next worker must not write before
that, or an older change of a row would come to lie on a newer one.
"""
import os
import signal

from lib import decode, parts
from lib.case import Case, main
from lib.kafka import Kafka
from lib.mariadb import MariaDB
from lib.proxy import Proxy
from lib.server import Millrace

WAITS = "waiting until servers are through with earlier connections"


class Heirs:
    """With a sink behind self.proxy.  finals: the values of the row, oldest first, as they are downstream."""

    def start(self, name):
        self.db.run(f"CREATE DATABASE {name}", f"CREATE TABLE {name}.t (id INT PRIMARY KEY, v TEXT)")
        self.prepare(name)
        self.server.create(name, self.sink(name), filter_rules=[f"{name}.*"])
        self.db.run(f"INSERT INTO {name}.t VALUES (1, 'first-value')")
        self.server.wait_caught_up(name)

    def hold(self, name):
        """Has an UPDATE on its way that arrives when the proxy lets it."""
        self.proxy.hold_requests()
        self.db.run(f"UPDATE {name}.t SET v = 'older-value' WHERE id = 1")
        parts.wait_until(lambda: b"older-value" in self.proxy.held_requests(), 20, "the change is sent")

    def said(self, text, after):
        return parts.wait_until(lambda: text in self.server.log.read_text()[after:], 30, f"the log says: {text}")

    def ends_well(self, name):
        self.server.wait_caught_up(name, 60)
        values = self.values(name)
        # What is repeated begins with the older ones again; nothing of them comes behind the newer one.
        self.assertEqual(values[0], self.FIRST, values)
        self.assertEqual(set(values[values.index("newer-value"):]), {"newer-value"}, values)
        self.server.remove(name)

    def test_of_a_worker(self):
        self.start("worker")
        self.hold("worker")
        mark = len(self.server.log.read_text())
        self.server.kill_worker("worker")
        self.db.run("UPDATE worker.t SET v = 'newer-value' WHERE id = 1")
        self.said(WAITS, mark)
        # A second death meanwhile changes nothing.
        mark = len(self.server.log.read_text())
        self.server.kill_worker("worker")
        self.said(WAITS, mark)
        self.proxy.let_requests()
        self.ends_well("worker")

    def test_of_a_pause(self):
        self.start("pause")
        self.hold("pause")
        self.server.pause("pause")
        self.server.wait_state("pause", "stopped")
        self.db.run("UPDATE pause.t SET v = 'newer-value' WHERE id = 1")
        mark = len(self.server.log.read_text())
        self.server.resume("pause")
        self.said(WAITS, mark)
        self.proxy.let_requests()
        self.ends_well("pause")

    def test_of_a_supervisor(self):
        self.start("orphans")
        self.hold("orphans")
        worker, mark = self.server.worker("orphans"), len(self.server.log.read_text())
        self.server.process.popen.kill()
        self.server.process.wait()
        self.db.run("UPDATE orphans.t SET v = 'newer-value' WHERE id = 1")
        self.said(WAITS, mark)
        self.assertTrue(parts.alive(worker))
        self.server.spawn()
        self.said("waiting for workers of an earlier server", mark)
        self.proxy.let_requests()
        self.server.wait_state("orphans", "normal", 60)
        self.ends_well("orphans")

    def test_of_everything_at_once(self):
        self.start("family")
        pids, mark = self.server.pids(), len(self.server.log.read_text())
        self.db.run("UPDATE family.t SET v = 'older-value' WHERE id = 1")
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        self.server.process.wait()
        parts.wait_until(lambda: not any(parts.alive(p) for p in pids), 10, "all are gone")
        self.db.run("UPDATE family.t SET v = 'newer-value' WHERE id = 1")
        self.server.start()
        self.said("ended without a trace of its connections", mark)
        self.ends_well("family")


class OfKafka(Heirs, Case):
    FIRST = "first-value"

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
                          address=f"127.0.0.1:{direct}")
        cls.db = MariaDB()
        cls.server = Millrace(cls.db)

    def prepare(self, name):
        pass

    def sink(self, name):
        return f"kafka://{self.broker}/{name}?protocol=canal-json&partition-num=1"

    def values(self, name):
        events = decode.of_messages(self.kafka.messages(name), "canal-json")
        return [e.data["v"] for e in events if e.kind == decode.ROW]


class OfMariaDB(Heirs, Case):
    FIRST = "newer-value"  # only the last is there to be seen

    @classmethod
    def setUpParts(cls):
        cls.target = MariaDB()
        cls.proxy = Proxy(parts.free_port(), cls.target.port)
        cls.db = MariaDB()
        cls.server = Millrace(cls.db)

    def prepare(self, name):
        self.target.run(f"CREATE DATABASE `{name}`", f"CREATE TABLE `{name}`.t (id INT PRIMARY KEY, v TEXT)")

    def sink(self, name):
        # One connection, which is there when the proxy begins to hold.
        return f"mysql://root@127.0.0.1:{self.proxy.port}/?worker-count=1"

    def values(self, name):
        return [self.target.query(f"SELECT v FROM `{name}`.t")[0][0]]


if __name__ == "__main__":
    main()
