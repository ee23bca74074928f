#!/usr/bin/env python3
"""What an operator does to changefeeds: pause, update, resume, remove, begin in the past, end at a time, filter, dispatch."""
import os
import signal
import time

from lib import decode, parts
from lib.case import Case, main
from lib.mariadb import MariaDB
from lib.server import Millrace


def now_ts():
    return int(time.time() * 1000) << 18


class Operations(Case):
    @classmethod
    def setUpParts(cls):
        cls.db = MariaDB()
        cls.server = Millrace(cls.db)

    def setUp(self):
        self.name = self._testMethodName.replace("test_", "").replace("_", "-")[:60]
        self.schema = "d" + str(abs(hash(self.name)) % 10**9)
        self.db.run(f"CREATE DATABASE {self.schema}", f"CREATE TABLE {self.schema}.t (id INT PRIMARY KEY, v INT)")
        self.root = parts.temp_dir("files")

    def uri(self, root=None):
        return f"file://{root or self.root}?protocol=canal-json&enable-tidb-extension=true&flush-interval=2s"

    def create(self, **body):
        self.server.create(self.name, self.uri(), **{"filter_rules": [f"{self.schema}.*"], **body})

    def insert(self, *ids, table="t"):
        self.db.run(*(f"INSERT INTO {self.schema}.{table} VALUES ({i}, 0)" for i in ids))

    def ids(self, root=None, wait=True):
        if wait:
            self.server.wait_caught_up(self.name)
        return [int(e.data["id"]) for e in decode.storage(root or self.root)]

    def test_pause_and_resume(self):
        self.create()
        self.insert(1)
        self.assertEqual(self.ids(), [1])
        pid = self.server.worker(self.name)
        self.server.pause(self.name)
        parts.wait_until(lambda: not parts.alive(pid), 20, "a paused changefeed has no worker")
        self.insert(2)
        stopped = self.server.changefeed(self.name)
        time.sleep(1.5)
        self.assertEqual(self.server.changefeed(self.name)["checkpoint_tso"], stopped["checkpoint_tso"])
        self.server.pause(self.name)  # repeating is harmless
        self.server.resume(self.name)
        self.server.wait_state(self.name, "normal")
        self.insert(3)
        self.assertEqual(sorted(set(self.ids())), [1, 2, 3])

    def test_update_changes_filter_and_sink(self):
        self.db.run(f"CREATE TABLE {self.schema}.u (id INT PRIMARY KEY, v INT)")
        self.create(filter_rules=[f"{self.schema}.t"])
        self.insert(1)
        self.insert(2, table="u")
        self.assertEqual(self.ids(), [1])
        refused = self.server.api("PUT", f"/api/v1/changefeeds/{self.name}", {"filter_rules": ["x.*"]})
        self.assertEqual((refused.status, refused.code()), (400, "CDC:ErrChangefeedUpdateRefused"))
        self.server.pause(self.name)
        other = parts.temp_dir("files")
        self.server.update(self.name, filter_rules=[f"{self.schema}.u"], sink_uri=self.uri(other))
        self.insert(3)
        self.insert(4, table="u")
        self.server.resume(self.name)
        self.assertEqual(self.ids(other), [4])
        self.assertEqual(self.ids(), [1])

    def test_remove_ends_it_and_frees_the_name(self):
        self.create()
        self.insert(1)
        self.ids()
        pid = self.server.worker(self.name)
        self.server.remove(self.name)
        gone = self.server.api("GET", f"/api/v1/changefeeds/{self.name}")
        self.assertEqual((gone.status, gone.code()), (400, "CDC:ErrChangeFeedNotExists"))
        parts.wait_until(lambda: not parts.alive(pid), 20, "the worker ends")
        before = len(decode.storage_files(self.root))
        self.create()
        self.insert(2)
        self.assertIn(2, self.ids())
        self.assertGreater(len(decode.storage_files(self.root)), before)

    def test_target_ts_finishes(self):
        self.insert(1)
        target = now_ts() + (4000 << 18)
        self.create(target_ts=target)
        self.insert(2)
        detail = self.server.wait_state(self.name, "finished", 40)
        self.assertEqual(detail["checkpoint_tso"], target)
        self.insert(3)
        self.assertEqual(self.ids(wait=False), [2])

    def test_start_ts_in_the_past(self):
        self.insert(1)
        time.sleep(2.1)  # MariaDB's clock in the log has whole seconds
        start = now_ts()
        time.sleep(1.1)
        self.insert(2)
        self.create(start_ts=start)
        self.assertEqual(self.ids(), [2])
        self.assertEqual(self.server.changefeed(self.name)["start_ts"], start)

    def test_what_is_committed_in_the_second_of_start_ts_arrives(self):
        self.insert(1)
        time.sleep(2.1)
        start = now_ts()
        self.insert(2)
        self.create(start_ts=start)
        self.assertEqual(self.ids(), [2])

    def test_filter_rules(self):
        for table in ("keep1", "keep2", "tmp_1", "other"):
            self.db.run(f"CREATE TABLE {self.schema}.{table} (id INT PRIMARY KEY, v INT)")
        self.create(filter_rules=[f"{self.schema}.*", f"!{self.schema}.tmp_*", f"!{self.schema}./^o/"])
        for number, table in enumerate(("keep1", "keep2", "tmp_1", "other", "t")):
            self.insert(number, table=table)
        self.server.wait_caught_up(self.name)
        self.assertEqual({e.table for e in decode.storage(self.root)}, {"keep1", "keep2", "t"})

    def test_tables_without_a_key(self):
        self.db.run(f"CREATE TABLE {self.schema}.nokey (id INT, v INT)")
        body = {"changefeed_id": self.name, "sink_uri": self.uri(), "filter_rules": [f"{self.schema}.*"]}
        refused = self.server.api("POST", "/api/v1/changefeeds", body)
        self.assertEqual((refused.status, refused.code()), (400, "CDC:ErrTableIneligible"))
        self.assertIn(f"{self.schema}.nokey", refused.text())
        self.create(ignore_ineligible_table=True)
        self.insert(1, table="nokey")
        self.insert(2)
        self.assertEqual(self.ids(), [2])
        self.server.remove(self.name)
        self.root = parts.temp_dir("files")
        self.create(force_replicate=True)
        self.insert(3, table="nokey")
        self.assertEqual(self.ids(), [3])

    def test_the_log_is_rotated_under_every_process(self):
        folder = parts.temp_dir("logs")
        log, config = folder / "millrace.log", folder / "config.toml"
        config.write_text('[log.file]\nmax-size = 1\nmax-backups = 2\n')
        log.write_bytes(b"x" * (2 << 20))  # too large from the start
        server = Millrace(self.db, "--log-file", log, "--config", config, "--log-level", "debug")

        def old():
            return sorted(folder.glob("millrace-*.log"))
        try:
            server.create(self.name, "blackhole://", filter_rules=[f"{self.schema}.*"])
            first = parts.wait_until(old, 10, "the first rotation")[0]
            self.assertRegex(first.name, r"^millrace-\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{3}\.log$")
            server.wait_caught_up(self.name)
            inode = log.stat().st_ino
            with open(log, "ab") as f:
                f.write(b"y" * (1 << 20))
            parts.wait_until(lambda: len(old()) == 2, 10, "the second rotation")
            parts.wait_until(lambda: log.exists() and log.stat().st_ino != inode, 5, "a new file")
            # The worker runs since before and the gateway, too: both go on in the new file.
            server.wait_caught_up(self.name)
            server.api("POST", "/api/v1/log", {"log_level": "info"})
            server.api("POST", "/api/v1/log", {"log_level": "debug"})

            def writers():
                return {line.split("Z ", 1)[1].split()[1].split("[")[0] for line in log.read_text().splitlines()}
            parts.wait_until(lambda: {"supervisor", "gateway", "worker"} <= writers(), 20, "lines of every process in the new file")
            for pid in server.pids():
                self.assertEqual(os.readlink(f"/proc/{pid}/fd/2"), str(log))
            # One that starts later has it, too; and the oldest file goes when there are too many.
            parts.kill(server.workers()[0])
            with open(log, "ab") as f:
                f.write(b"z" * (1 << 20))
            parts.wait_until(lambda: len(old()) == 2 and first not in old(), 10, "the third rotation")
            server.wait_caught_up(self.name)
            self.assertEqual({os.readlink(f"/proc/{pid}/fd/2") for pid in server.pids()}, {str(log)})
        finally:
            server.stop()

    def test_log_level_reaches_every_process(self):
        self.server.create(self.name, "blackhole://", filter_rules=[f"{self.schema}.*"])
        self.server.wait_caught_up(self.name)

        def lines(level):
            """Processes that have written lines of this level."""
            return {line.split(f" {level}", 1)[1].split("[")[0].strip()
                    for line in self.server.log.read_text(errors="replace").splitlines()[before:] if f"Z {level}" in line}

        def log_level(level):
            nonlocal before
            self.assertEqual(self.server.api("POST", "/api/v1/log", {"log_level": level}).status, 200)
            time.sleep(0.3)  # what was under way
            before = len(self.server.log.read_text(errors="replace").splitlines())
        before = 0
        self.assertEqual(lines("DEBUG"), set())
        try:
            log_level("debug")
            parts.wait_until(lambda: "worker" in lines("DEBUG"), 20, "the running worker writes debug lines")
            self.server.kill_worker(self.name)
            parts.wait_until(lambda: "supervisor" in lines("DEBUG"), 20, "the supervisor writes debug lines")
            self.server.wait_caught_up(self.name)
            log_level("ERROR")
            self.server.wait_caught_up(self.name)  # requests, which the gateway logs as INFO
            self.assertEqual(lines("INFO") | lines("DEBUG"), set())
        finally:
            log_level("info")
        self.server.wait_caught_up(self.name)
        self.assertIn("gateway", lines("INFO"))
        bad = self.server.api("POST", "/api/v1/log", {"log_level": "loud"})
        self.assertEqual((bad.status, bad.code()), (400, "CDC:ErrAPIInvalidParam"))

    def test_a_gateway_that_dies_comes_back_and_knows_everything(self):
        self.create()
        self.insert(1)
        self.ids()
        worker = self.server.worker(self.name)
        before = self.server.changefeed(self.name)
        old = self.server.gateway()
        parts.kill(old)
        parts.wait_until(lambda: self.server.gateway() not in (None, old), 20, "a new gateway")
        after = self.server.changefeed(self.name)
        # The store is at most a second behind; what the worker has done since comes with its first report.
        parts.wait_until(lambda: self.server.changefeed(self.name)["checkpoint_tso"] >= before["checkpoint_tso"], 20,
                         "the checkpoint is where it was")
        self.assertEqual({k: after[k] for k in ("id", "create_time", "start_ts", "sink_uri")},
                         {k: before[k] for k in ("id", "create_time", "start_ts", "sink_uri")})
        self.insert(2)
        self.assertEqual(sorted(set(self.ids())), [1, 2])
        self.assertEqual(self.server.worker(self.name), worker, "the worker went on")

    def test_a_worker_that_dies_is_replaced(self):
        self.create()
        self.insert(1)
        self.ids()
        old = self.server.kill_worker(self.name)
        self.insert(2)
        self.assertEqual(sorted(set(self.ids())), [1, 2])
        self.assertNotIn(self.server.worker(self.name), (None, old))
        self.assertEqual(self.server.changefeed(self.name)["state"], "normal")

    def test_signals_stop_the_whole_family(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(number.name):
                other = Millrace(self.db)
                other.create("x", "blackhole://")
                other.wait_caught_up("x")
                pids = other.pids()
                self.assertGreaterEqual(len(pids), 3)
                os.kill(other.process.pid, number)
                self.assertEqual(other.process.wait(20), 0)
                parts.wait_until(lambda: not any(map(parts.alive, pids)), 5, "no process is left")

    def test_passwords_are_shown_nowhere(self):
        self.db.run("CREATE USER secret@'127.0.0.1' IDENTIFIED BY 'geh3im'", "GRANT ALL ON *.* TO secret@'127.0.0.1'")
        other = Millrace(self.db.uri("secret", "geh3im"))
        root = parts.temp_dir("files")
        other.create("x", f"file://{root}?protocol=canal-json&access-key=a&secret-access-key=ve4borgen")
        other.wait_caught_up("x")
        for pid in other.pids()[1:]:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                self.assertNotIn(b"geh3im", f.read())
        shown = other.log.read_text() + other.api("GET", "/api/v1/changefeeds/x").text()
        self.assertNotIn("geh3im", shown)
        self.assertNotIn("ve4borgen", shown)
        other.stop()


if __name__ == "__main__":
    main()
