#!/usr/bin/env python3
"""
What breaks while a changefeed runs: disks that are full, folders, rights, columns and topics that are gone.  It is shown with its
code, and when the cause is gone everything arrives; where the settings have to change, after they have.
"""
import json
import os
import shutil
import subprocess
import threading

from lib import decode, parts
from lib.case import Case, main
from lib.kafka import Kafka
from lib.mariadb import MariaDB
from lib.registry import Front, SchemaRegistry
from lib.s3 import FakeS3, error
from lib.server import Millrace


def small_disk(mib):
    """A folder on a disk of its own; None where we may not mount."""
    folder = parts.temp_dir("disk")
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m", "none", folder],
                                           capture_output=True, check=False).returncode != 0:
        return None
    parts.at_end(lambda: subprocess.run(["umount", "-l", folder], check=False))
    return folder


def fill(folder):
    """Takes every byte that is left; the file that holds them."""
    path = folder / "filler"
    with open(path, "ab", buffering=0) as f:
        for block in (1 << 20, 4096):
            try:
                while f.write(b"x" * block) == block:
                    pass
            except OSError:
                continue
    return path


WRITING = "ErrStorageSinkSendFailed ErrFailToCreateExternalStorage"


class Trouble(Case):
    @classmethod
    def setUpParts(cls):
        cls.db = MariaDB()
        cls.server = Millrace(cls.db)

    @classmethod
    def tearDownClass(cls):
        assert cls.server.sanitizer_findings() == []

    def table(self, db, columns="id INT PRIMARY KEY, v TEXT"):
        self.db.run(f"CREATE DATABASE {db}", f"CREATE TABLE {db}.t ({columns})")

    def wait_error(self, feed, code, text="", timeout=60, state="error"):
        """code: one or more, for what a running sink says, or the next one that cannot be opened."""
        detail = self.server.wait_state(feed, state, timeout)
        self.assertIn(detail["error"]["code"].removeprefix("CDC:"), code.split())
        self.assertIn(text, detail["error"]["message"])

    def ids(self, root):
        return [int(e.data["id"]) for e in decode.storage(root)]

    def whole(self, root):
        """Every file ends with a whole row, is one that an index names or may name next, and no piece lies about."""
        for path in decode.storage_files(root):
            self.assertTrue(path.read_bytes().endswith(b"}\r\n"), path)
            index = (path.parent / "meta" / "CDC.index").read_text().strip()
            self.assertLessEqual(path.name, index)
        self.assertEqual([p for p in root.rglob("*.tmp.*")], [])


class Files(Trouble):
    def feed(self, name, root):
        self.server.create(name, f"file://{root}?protocol=canal-json&flush-interval=2s", filter_rules=[f"{name}.*"])

    def test_a_full_disk(self):
        disk = small_disk(4)
        if disk is None:
            self.skipTest("only root may mount a small disk")
        self.table("full")
        self.feed("full", disk / "out")
        self.db.run("INSERT INTO full.t VALUES (1, 'before')")
        self.server.wait_caught_up("full")
        filler = fill(disk)
        self.db.run(*(f"INSERT INTO full.t VALUES ({i}, REPEAT('y', 2000))" for i in range(2, 100)))
        self.wait_error("full", WRITING, "No space left on device")
        # It stays so, and is alive: a definition cannot be written either.
        self.db.run("ALTER TABLE full.t ADD COLUMN w INT", "INSERT INTO full.t VALUES (100, 'after', 7)")
        filler.unlink()
        self.server.wait_caught_up("full", 120)
        self.assertEqual(sorted(set(self.ids(disk / "out"))), list(range(1, 101)))
        self.whole(disk / "out")
        self.server.remove("full")

    def test_a_full_disk_under_the_data_folder(self):
        disk = small_disk(16)
        if disk is None:
            self.skipTest("only root may mount a small disk")
        self.table("meta")
        root = parts.temp_dir("out")
        server = Millrace(self.db, data_dir=disk / "data")
        server.create("meta", f"file://{root}?protocol=canal-json&flush-interval=2s", filter_rules=["meta.*"])
        server.wait_caught_up("meta")
        filler = fill(disk)
        for i in range(20):
            self.db.run(f"INSERT INTO meta.t (id, v) VALUES ({i}, 'x')", f"ALTER TABLE meta.t ADD COLUMN c{i} INT DEFAULT {i}")
        parts.wait_until(lambda: "No space left" in server.log.read_text() or "disk is full" in server.log.read_text()
                         or "database or disk is full" in server.log.read_text(), 60, "somebody says so")
        self.assertEqual(server.api("GET", "/api/v1/status").status, 200)
        filler.unlink()
        server.wait_caught_up("meta", 120)
        self.assertEqual(sorted(set(self.ids(root))), list(range(20)))
        # And what was decided meanwhile is known after a restart.
        server.kill()
        server.start()
        self.db.run("INSERT INTO meta.t (id) VALUES (20)")
        server.wait_caught_up("meta", 60)
        self.assertEqual(sorted(set(self.ids(root))), list(range(21)))
        self.assertEqual(len(decode.storage(root)[-1].data), 22)
        server.stop()

    def test_a_folder_that_is_none_any_more(self):
        self.table("folder")
        base = parts.temp_dir("base")
        self.feed("folder", base / "out")
        self.db.run("INSERT INTO folder.t VALUES (1, 'before')")
        self.server.wait_caught_up("folder")
        (base / "out").rename(base / "aside")
        (base / "out").write_text("a file")
        self.db.run("INSERT INTO folder.t VALUES (2, 'meanwhile')")
        self.wait_error("folder", WRITING, "Not a directory")
        (base / "out").unlink()
        (base / "aside").rename(base / "out")
        self.server.wait_caught_up("folder", 120)
        self.assertEqual(sorted(set(self.ids(base / "out"))), [1, 2])
        self.whole(base / "out")


class Rights(Trouble):
    """A bucket whose rights and keys change."""

    def setUp(self):
        self.s3 = FakeS3("b", {"key": ("secret", "")})
        self.name = self._testMethodName.replace("test_", "").replace("_", "")[:20]
        self.table(self.name)
        self.server.create(self.name, f"s3://b/p?endpoint={self.s3.url}&access-key=key&secret-access-key=secret"
                           "&protocol=canal-json&flush-interval=2s", filter_rules=[f"{self.name}.*"])
        self.db.run(f"INSERT INTO {self.name}.t VALUES (1, 'before')")
        self.server.wait_caught_up(self.name)

    def rows(self):
        return sorted({int(json.loads(line)["data"][0]["id"]) for key, body in self.s3.objects.items() if key.endswith(".json")
                       and "schema_" not in key for line in body.decode().split("\r\n") if line})

    def test_puts_that_are_forbidden(self):
        allowed = threading.Event()
        self.s3.before = lambda call: None if allowed.is_set() or call.method != "PUT" else error(403, "AccessDenied", "not you")
        self.db.run(f"INSERT INTO {self.name}.t VALUES (2, 'meanwhile')")
        self.wait_error(self.name, WRITING, "AccessDenied", 90)
        self.assertEqual(self.rows(), [1])
        allowed.set()
        self.server.wait_caught_up(self.name, 120)
        self.assertEqual(self.rows(), [1, 2])

    def test_keys_that_are_withdrawn(self):
        self.s3.keys = {"other": ("another", "")}
        self.db.run(f"INSERT INTO {self.name}.t VALUES (2, 'meanwhile')")
        self.server.wait_state(self.name, "error", 90)
        # The new key comes with an update.
        self.server.pause(self.name)
        bad = self.server.api("PUT", f"/api/v1/changefeeds/{self.name}", {"sink_uri": f"s3://b/p?endpoint={self.s3.url}"
                              "&access-key=other&secret-access-key=wrong&protocol=canal-json&flush-interval=2s"})
        self.assertEqual((bad.status, bad.code()), (400, "CDC:ErrChangefeedUpdateRefused"))
        self.assertIn("CDC:ErrFailToCreateExternalStorage", bad.text())
        self.server.update(self.name, sink_uri=f"s3://b/p?endpoint={self.s3.url}&access-key=other&secret-access-key=another"
                                               "&protocol=canal-json&flush-interval=2s")
        self.server.resume(self.name)
        self.server.wait_caught_up(self.name, 120)
        self.assertEqual(self.rows(), [1, 2])

    def test_a_bucket_that_is_gone(self):
        self.s3.bucket = "another"
        self.db.run(f"INSERT INTO {self.name}.t VALUES (2, 'meanwhile')")
        self.server.wait_state(self.name, "error", 90)
        self.s3.bucket = "b"
        self.server.wait_caught_up(self.name, 120)
        self.assertEqual(self.rows(), [1, 2])


class Topics(Trouble):
    @classmethod
    def setUpParts(cls):
        super().setUpParts()
        cls.kafka = Kafka()

    def feed(self, name, query="", **sink_config):
        self.server.create(name, f"kafka://{self.kafka.address}/{name}?protocol=canal-json&partition-num=1{query}",
                           filter_rules=[f"{name}.*"], sink_config=sink_config)

    def rows(self, topic):
        events = decode.of_messages(self.kafka.messages(topic), "canal-json")
        return sorted({int(e.data["id"]) for e in events if e.data})

    def mend(self, name, **sink_config):
        """A failed changefeed gets other settings and goes on."""
        self.server.update(name, sink_config=sink_config)
        self.server.resume(name)
        self.server.wait_caught_up(name, 60)

    def test_a_column_of_a_rule_is_dropped(self):
        self.table("cols", "id INT PRIMARY KEY, tenant INT")
        self.feed("cols", dispatchers=[{"matcher": ["cols.*"], "partition": "columns", "columns": ["Tenant"]}])
        self.db.run("INSERT INTO cols.t VALUES (1, 1)")
        self.server.wait_caught_up("cols")
        self.db.run("ALTER TABLE cols.t DROP COLUMN tenant", "INSERT INTO cols.t VALUES (2)")
        self.wait_error("cols", "ErrDispatcherFailed", "columns not found when verify the table, table: cols.t", state="failed")
        self.mend("cols", dispatchers=[{"matcher": ["cols.*"], "partition": "ts"}])
        self.assertEqual(self.rows("cols"), [1, 2])

    def test_an_index_of_a_rule_is_dropped(self):
        self.table("idx", "id INT PRIMARY KEY, u INT NOT NULL, UNIQUE KEY uk (u)")
        self.feed("idx", dispatchers=[{"matcher": ["idx.*"], "partition": "index-value", "index": "UK"}])
        self.db.run("INSERT INTO idx.t VALUES (1, 1)")
        self.server.wait_caught_up("idx")
        self.db.run("ALTER TABLE idx.t DROP INDEX uk", "INSERT INTO idx.t VALUES (2, 2)")
        self.wait_error("idx", "ErrDispatcherFailed", "index not found when verify the table, table: idx.t, index: UK", state="failed")
        # As it was, it fails again; nothing is lost by that.
        self.server.resume("idx")
        self.server.wait_state("idx", "failed")
        self.mend("idx", dispatchers=[{"matcher": ["idx.*"], "partition": "index-value"}])
        self.assertEqual(self.rows("idx"), [1, 2])

    def test_a_topic_that_may_not_be_made(self):
        self.table("noauto")
        self.feed("noauto", "&auto-create-topic=true")
        self.server.pause("noauto")
        self.server.update("noauto", sink_uri=f"kafka://{self.kafka.address}/noauto?protocol=canal-json&partition-num=1"
                                              "&auto-create-topic=false",
                           sink_config={"dispatchers": [{"matcher": ["noauto.u"], "topic": "made_{table}"}]})
        self.server.resume("noauto")
        self.server.wait_caught_up("noauto")
        self.db.run("CREATE TABLE noauto.u (id INT PRIMARY KEY)", "INSERT INTO noauto.u VALUES (1)")
        self.wait_error("noauto", "ErrKafkaInvalidConfig", "`auto-create-topic` is false, and made_u not found", state="failed")
        self.assertNotIn("made_u", self.kafka.topics())
        self.server.update("noauto", sink_uri=f"kafka://{self.kafka.address}/noauto?protocol=canal-json&partition-num=1")
        self.server.resume("noauto")
        self.server.wait_caught_up("noauto", 60)
        self.assertEqual(self.rows("made_u"), [1])

    def test_a_claim_check_folder_that_is_gone(self):
        self.table("claim")
        base = parts.temp_dir("claims")
        (base / "store").mkdir()
        self.feed("claim", "&enable-tidb-extension=true&max-message-bytes=2000", **{"kafka-config": {"large-message-handle": {
            "large-message-handle-option": "claim-check", "claim-check-storage-uri": f"file://{base}/store"}}})
        self.db.run("INSERT INTO claim.t VALUES (1, REPEAT('x', 5000))")
        self.server.wait_caught_up("claim")
        self.assertEqual(len(list((base / "store").iterdir())), 1)
        shutil.rmtree(base / "store")
        (base / "store").write_text("a file")
        self.db.run("INSERT INTO claim.t VALUES (2, REPEAT('y', 5000))")
        self.server.wait_state("claim", "error", 60)
        self.assertEqual(self.rows("claim"), [1], "no message may name a file that is not there")
        (base / "store").unlink()
        self.server.wait_caught_up("claim", 120)
        self.assertEqual(self.rows("claim"), [1, 2])
        places = [json.loads(m.value)["_tidb"]["claimCheckLocation"] for m in self.kafka.messages("claim")
                  if b"claimCheckLocation" in m.value]
        self.assertTrue(os.path.exists(places[-1].removeprefix("file://")), places)


class Registry(Trouble):
    @classmethod
    def setUpParts(cls):
        super().setUpParts()
        cls.kafka = Kafka()
        cls.registry = SchemaRegistry()

    def test_a_registry_that_lets_nobody_in_any_more(self):
        front = Front(self.registry, user="someone:hidden")
        self.table("letin")
        self.server.create("letin", f"kafka://{self.kafka.address}/letin?protocol=avro&partition-num=1&schema-registry="
                           + front.url.replace("@", "%40"), filter_rules=["letin.*"])
        self.db.run("INSERT INTO letin.t VALUES (1, 'a')")
        self.server.wait_caught_up("letin")
        front.user = "someone:else"
        self.db.run("ALTER TABLE letin.t ADD COLUMN w INT", "INSERT INTO letin.t VALUES (2, 'b', 2)")
        self.server.wait_state("letin", "error", 60)
        self.assertIn("HTTP status 401", self.server.changefeed("letin")["error"]["message"])
        self.assertNotIn("hidden", self.server.log.read_text())
        front.user = "someone:hidden"
        self.server.wait_caught_up("letin", 120)
        self.assertGreaterEqual(len(self.kafka.messages("letin")), 2)


if __name__ == "__main__":
    main()
