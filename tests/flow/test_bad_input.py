#!/usr/bin/env python3
"""What cannot work is refused with a text that says why, and nothing else suffers: no server dies of it."""
import os
import socket
import stat
import time

from lib import decode, parts
from lib.case import Case, main
from lib.mariadb import MariaDB
from lib.server import Millrace


class Create(Case):
    @classmethod
    def setUpParts(cls):
        cls.db = MariaDB()
        cls.db.run("CREATE DATABASE s", "CREATE TABLE s.t (id INT PRIMARY KEY, p INT, virt INT AS (id + 1) VIRTUAL, KEY plain (p))")
        cls.server = Millrace(cls.db)
        cls.closed = parts.free_port()
        cls.out = parts.temp_dir("out")

    def refuse(self, status, code, text="", server=None, **body):
        """The create must be refused so; nothing may be left of it; and quickly."""
        server = server or self.server
        begin = time.monotonic()
        reply = server.api("POST", "/api/v1/changefeeds", {"changefeed_id": "bad", "sink_uri": "blackhole://", **body})
        self.assertEqual((reply.status, reply.code()), (status, code), reply.text())
        message = reply.json()["error_msg"]
        self.assertIn(text, message)
        self.assertIn(f"[{code}]", message)
        self.assertLess(time.monotonic() - begin, 40)
        self.assertEqual(server.api("GET", "/api/v1/changefeeds/bad").code(), "CDC:ErrChangeFeedNotExists")

    def test_sinks_that_are_not_there(self):
        self.refuse(500, "CDC:ErrKafkaNewProducer", sink_uri=f"kafka://127.0.0.1:{self.closed}/t?protocol=canal-json")
        self.refuse(500, "CDC:ErrFailToCreateExternalStorage", sink_uri="file:///proc/none/x?protocol=canal-json")

    def test_uris(self):
        for uri, status, code in (
                ("", 400, "CDC:ErrSinkURIInvalid"),
                ("nothing", 400, "CDC:ErrSinkURIInvalid"),
                ("http://127.0.0.1/", 400, "CDC:ErrSinkURIInvalid"),
                ("kafka://127.0.0.1:9092/%zz?protocol=canal-json", 400, "CDC:ErrSinkURIInvalid"),
                (f"kafka://127.0.0.1:{self.closed}/?protocol=canal-json", 500, "CDC:ErrKafkaInvalidConfig"),
                (f"kafka://127.0.0.1:{self.closed}/t?protocol=morse", 500, "CDC:ErrSinkUnknownProtocol"),
                (f"kafka://127.0.0.1:{self.closed}/t?protocol=canal-json&partition-num=0", 500,
                 "CDC:ErrKafkaInvalidPartitionNum"),
        ):
            with self.subTest(uri):
                reply = self.server.api("POST", "/api/v1/changefeeds", {"changefeed_id": "bad", "sink_uri": uri})
                self.assertEqual(reply.status, status, reply.text())
                self.assertIn(code, reply.text())

    def test_rules(self):
        for rule, text in (("a.b.c", "stray characters after table pattern"), ("s", "wrong table pattern"),
                           ("/(?=x)/.*", "invalid pattern"), ("@/etc/passwd", "not allowed here"),
                           ("[z-a].*", "invalid pattern")):
            with self.subTest(rule):
                self.refuse(400, "CDC:ErrFilterRuleInvalid", text, filter_rules=["*.*", rule])

    def test_times(self):
        now = int(time.time() * 1000)
        self.refuse(400, "CDC:ErrAPIInvalidParam", "larger than current tso", start_ts=(now + 3600_000) << 18)
        self.refuse(400, "CDC:ErrTargetTsBeforeStartTs", target_ts=(now - 3600_000) << 18)
        self.refuse(400, "CDC:ErrStartTsBeforeGC", start_ts=(now - 10 * 86400_000) << 18)

    def test_ids(self):
        for name in ("a_b", "-a", "a-", "a--b", "a.b", "ä", "x" * 129):
            with self.subTest(name):
                reply = self.server.api("POST", "/api/v1/changefeeds", {"changefeed_id": name, "sink_uri": "blackhole://"})
                self.assertEqual((reply.status, reply.code()), (400, "CDC:ErrAPIInvalidParam"))
        self.server.create("twice", "blackhole://")
        reply = self.server.api("POST", "/api/v1/changefeeds", {"changefeed_id": "twice", "sink_uri": "blackhole://"})
        self.assertEqual((reply.status, reply.code()), (400, "CDC:ErrChangeFeedAlreadyExists"))
        self.server.remove("twice")

    def test_bodies(self):
        for body in ("", "{", "[1]", '"x"', '{"changefeed_id": 5}', '{"start_ts": "1"}', '{"start_ts": -1}',
                     '{"start_ts": 1e3}', '{"filter_rules": "a.b"}', "\ufeff{}"):
            with self.subTest(body):
                reply = self.server.api("POST", "/api/v1/changefeeds", body.encode())
                self.assertEqual((reply.status, reply.code()), (400, "CDC:ErrAPIInvalidParam"), reply.text())

    def test_dispatchers_that_do_not_fit(self):
        """All are known before a broker is asked, which there is none of."""
        for rule, code, text in (
                ({"partition": "columns", "columns": ["nope"]}, "ErrDispatcherFailed", "s.t, columns: nope"),
                ({"partition": "index-value", "index": "nope"}, "ErrDispatcherFailed", "s.t, index: nope"),
                ({"partition": "index-value", "index": "plain"}, "ErrDispatcherFailed", "not unique"),
                ({"partition": "columns", "columns": ["virt"]}, "ErrDispatcherFailed", "virtual generated"),
                ({"topic": "{table}_{schema}"}, "ErrKafkaTopicExprInvalid", "{table}_{schema}"),
                ({"topic": "a b"}, "ErrKafkaTopicExprInvalid", "a b"),
                ({"topic": "{schema}_{nope}"}, "ErrKafkaTopicExprInvalid", "{nope}"),
                ({"partition": "ts", "dispatcher": "table"}, "ErrSinkInvalidConfig", "both"),
                ({"matcher": ["s"], "partition": "ts"}, "ErrFilterRuleInvalid", "s"),
        ):
            with self.subTest(str(rule)):
                reply = self.server.api("POST", "/api/v1/changefeeds", {
                    "changefeed_id": "bad", "sink_uri": f"kafka://127.0.0.1:{self.closed}/t?protocol=canal-json",
                    "sink_config": {"dispatchers": [{"matcher": ["s.*"], **rule}]}})
                self.assertEqual((reply.status in (400, 500), reply.code()), (True, f"CDC:{code}"), reply.text())
                self.assertIn(text, reply.json()["error_msg"])

    def test_settings_of_files_are_for_files(self):
        for setting, code, text in (({"date-separator": "week"}, "ErrSinkInvalidConfig", "CDC:ErrStorageSinkInvalidDateSeparator"),
                                    ({"csv": {"quote": "ab"}}, "ErrSinkInvalidConfig", "quote"),
                                    ({"csv": {"delimiter": "\""}}, "ErrSinkInvalidConfig", "common characters"),
                                    ({"cloud-storage-config": {"worker-count": 0}}, "ErrStorageSinkInvalidConfig", "worker-count")):
            with self.subTest(str(setting)):
                reply = self.server.api("POST", "/api/v1/changefeeds", {"changefeed_id": "bad", "sink_config": setting,
                                                                        "sink_uri": f"file://{self.out}?protocol=csv"})
                self.assertEqual(reply.code(), f"CDC:{code}", reply.text())
                self.assertIn(text, reply.text())
                self.server.create("other", "blackhole://", sink_config=setting)
                self.server.remove("other")

    def test_protocols_that_the_sink_does_not_take(self):
        for uri, code, text in (
                (f"kafka://127.0.0.1:{self.closed}/t?protocol=csv", "ErrSinkUnknownProtocol", "csv"),
                (f"kafka://127.0.0.1:{self.closed}/t?protocol=morse", "ErrSinkUnknownProtocol", "morse"),
                ("file:///tmp/x?protocol=avro", "ErrStorageSinkInvalidConfig", "canal-json and csv"),
                ("file:///tmp/x?protocol=open-protocol", "ErrStorageSinkInvalidConfig", "canal-json and csv"),
                ("file:///tmp/x", "ErrSinkUnknownProtocol", ""),
                ("blackhole://?protocol=morse", "ErrSinkUnknownProtocol", "morse"),
        ):
            with self.subTest(uri):
                reply = self.server.api("POST", "/api/v1/changefeeds", {"changefeed_id": "bad", "sink_uri": uri})
                self.assertEqual((reply.status, reply.code()), (500, f"CDC:{code}"), reply.text())
                self.assertIn(text, reply.text())


class Upstreams(Case):
    """Settings and rights of the upstream, checked at create."""

    def refused(self, db, code, text, uri=None, **body):
        server = Millrace(uri or db)
        try:
            reply = server.api("POST", "/api/v1/changefeeds", {"changefeed_id": "bad", "sink_uri": "blackhole://", **body})
            self.assertIn(reply.status, (400, 500), reply.text())
            self.assertIn(code, reply.text())
            self.assertIn(text, reply.text())
            self.assertEqual(server.api("GET", "/api/v1/status").status, 200)
        finally:
            server.stop()

    def test_formats(self):
        for options, code, text in (
                ({"binlog_format": "MIXED"}, "CDC:ErrMySQLBinlogFormat", "MIXED"),
                ({"binlog_format": "STATEMENT"}, "CDC:ErrMySQLBinlogFormat", "STATEMENT"),
                ({"binlog_row_image": "MINIMAL"}, "CDC:ErrMySQLRowImage", "MINIMAL"),
                ({"log_bin": MariaDB.OFF}, "CDC:ErrMySQLBinlogDisabled", "log_bin"),
        ):
            with self.subTest(str(options)):
                db = MariaDB(options)
                self.refused(db, code, text)
                db.stop()

    def test_credentials_and_rights(self):
        db = MariaDB()
        db.run("CREATE USER few@'127.0.0.1' IDENTIFIED BY 'pw1'", "GRANT SELECT ON *.* TO few@'127.0.0.1'")
        self.refused(db, "CDC:ErrMySQLPrivilege", "REPLICATION SLAVE", uri=db.uri("few", "pw1"))
        self.refused(db, "few", "127.0.0.1", uri=db.uri("few", "wrong"))
        self.refused(db, "CDC:Err", str(db.port), uri=db.uri("nobody"))
        db.stop()

    def test_an_upstream_that_is_not_there(self):
        port = parts.free_port()
        self.refused(None, "CDC:Err", str(port), uri=f"mysql://root@127.0.0.1:{port}/")

    def test_a_start_whose_log_is_gone(self):
        db = MariaDB()
        db.run("CREATE DATABASE s", "CREATE TABLE s.t (id INT PRIMARY KEY)", "INSERT INTO s.t VALUES (1)")
        time.sleep(2.1)
        start = int(time.time() * 1000) << 18
        time.sleep(2.1)
        db.run("FLUSH BINARY LOGS")
        db.run(f"PURGE BINARY LOGS TO '{db.query('SHOW MASTER STATUS')[0][0]}'")
        self.refused(db, "CDC:ErrStartTsBeforeGC", "start-ts", start_ts=start)
        db.stop()

    def test_a_log_purged_under_a_paused_changefeed_fails_it(self):
        db = MariaDB()
        server = Millrace(db)
        server.create("x", "blackhole://")
        server.wait_caught_up("x")
        server.pause("x")
        db.run("CREATE DATABASE s", "FLUSH BINARY LOGS", "CREATE DATABASE s2", "FLUSH BINARY LOGS")
        db.run(f"PURGE BINARY LOGS TO '{db.query('SHOW MASTER STATUS')[0][0]}'")
        server.resume("x")
        detail = server.wait_state("x", "failed", 30)
        self.assertEqual(detail["error"]["code"], "CDC:ErrMySQLBinlogPurged")
        server.stop()
        db.stop()

    def test_a_damaged_log_holds_until_it_is_whole_again(self):
        """One bit of a value: the event is well-formed, and only its checksum tells."""
        db = MariaDB()
        db.run("CREATE DATABASE s", "CREATE TABLE s.t (id INT PRIMARY KEY, v TEXT)")
        server, out = Millrace(db), parts.temp_dir("out")
        server.create("x", f"file://{out}?protocol=canal-json&flush-interval=2s", filter_rules=["s.*"])
        server.wait_caught_up("x")
        server.pause("x")
        db.run("INSERT INTO s.t VALUES (1, 'before')", "INSERT INTO s.t VALUES (2, 'needle')", "INSERT INTO s.t VALUES (3, 'after')")
        log = db.dir / "data" / db.query("SHOW MASTER STATUS")[0][0]
        with open(log, "r+b", buffering=0) as f:
            at = f.read().rindex(b"needle")
            f.seek(at)
            f.write(b"noodle")
            server.resume("x")
            detail = server.wait_state("x", "error", 60)
            self.assertEqual(detail["error"]["code"], "CDC:ErrMySQLEventCorrupt")
            self.assertIn("checksum is wrong", detail["error"]["message"])
            self.assertNotIn("noodle", "".join(p.read_text() for p in decode.storage_files(out)))
            f.seek(at)
            f.write(b"needle")
        server.wait_caught_up("x", 90)
        self.assertEqual({(e.data["id"], e.data["v"]) for e in decode.storage(out)},
                         {("1", "before"), ("2", "needle"), ("3", "after")})
        # Switched off and on again while it runs.
        db.run("SET GLOBAL binlog_checksum = NONE", "INSERT INTO s.t VALUES (4, 'bare')", "SET GLOBAL binlog_checksum = CRC32",
               "INSERT INTO s.t VALUES (5, 'sealed')")
        server.wait_caught_up("x")
        self.assertEqual([e.data["v"] for e in decode.storage(out)][-2:], ["bare", "sealed"])
        server.stop()
        db.stop()

    def test_a_session_that_writes_statements_fails_only_its_changefeeds(self):
        db = MariaDB()
        db.run("CREATE DATABASE s", "CREATE TABLE s.t (id INT PRIMARY KEY)", "CREATE DATABASE o",
               "CREATE TABLE o.t (id INT PRIMARY KEY)")
        server = Millrace(db)
        server.create("x", "blackhole://", filter_rules=["s.*"])
        server.wait_caught_up("x")
        db.run("SET SESSION binlog_format = 'STATEMENT'", "INSERT INTO s.t VALUES (1)")
        detail = server.wait_state("x", "failed", 30)
        self.assertEqual(detail["error"]["code"], "CDC:ErrMySQLStatementEvent")
        server.stop()
        db.stop()


class Start(Case):
    """`millrace server` itself: what cannot start says why and ends."""

    def refused(self, *options, text, data_dir=None, port=None):
        server = Millrace("mysql://root@127.0.0.1:1/", *options, data_dir=data_dir, start=False)
        if port:
            server.address = f"127.0.0.1:{port}"
        server.spawn()
        try:
            code = server.process.wait(20)
        finally:
            server.process.stop()
        self.assertNotEqual(code, 0)
        self.assertGreater(code, 0, "an exit, no signal")
        self.assertIn(text, server.process.tail(50))

    def test_data_dirs(self):
        folder = parts.temp_dir("data")
        a_file = folder / "file"
        a_file.write_text("x")
        self.refused(data_dir=a_file, text=str(a_file))
        self.refused(data_dir="/proc/none", text="/proc/none")
        if os.geteuid() != 0:
            closed = folder / "closed"
            closed.mkdir()
            closed.chmod(stat.S_IRUSR)
            self.refused(data_dir=closed, text=str(closed))

    def test_a_data_dir_in_use(self):
        db = MariaDB()
        first = Millrace(db)
        self.refused(data_dir=first.data_dir, text=str(first.process.pid))
        self.assertEqual(first.api("GET", "/api/v1/status").status, 200)
        first.stop()
        db.stop()

    def test_a_port_in_use(self):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            s.listen()
            self.refused(port=s.getsockname()[1], text=str(s.getsockname()[1]))

    def test_flags(self):
        self.refused("--no-such-flag", text="no-such-flag")
        self.refused("--log-level", "loud", text="loud")
        self.refused("--tz", "Mars/Olympus", text="Mars/Olympus")
        self.refused("--gc-ttl", "0", text="gc-ttl")
        self.refused("--upstream", "ftp://x/", text="upstream")


if __name__ == "__main__":
    main()
