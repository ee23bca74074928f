#!/usr/bin/env python3
"""What only a TiDB target gets: its session, UPDATEs of several rows, the write source, sync points, ADD INDEX in the background."""
import re
import time

from lib import parts
from lib.case import Case, main
from lib.mariadb import MariaDB
from lib.scripted import HANG_UP, Scripted
from lib.server import Millrace


class TiDB:
    """Answers as TiDB does, as far as a changefeed asks."""

    def __init__(self):
        self.once = {}  # answers to the first statement with such a text in it
        self.index_seconds = 0
        self.index_error = None
        self.jobs = 0
        self.server = Scripted(self.answer)

    def answer(self, statement):
        for text in self.once:
            if text in statement:
                return self.once.pop(text)
        if re.match(r"select tidb_version", statement):
            return [("Release Version: v8.5.0",)]
        if re.match(r"select @@version", statement):
            return [("8.0.11-TiDB-v8.5.0",)]
        if re.match(r"show session variables like '(allow_auto|tidb_|transaction_iso)", statement):
            return [(statement.split("'")[1], "x")]
        if re.match(r"select @@tidb_current_ts", statement):
            return [("445644800000000001",)]
        if "max_allowed_packet" in statement:
            return [("67108864",)]
        if "max_prepared_stmt_count" in statement:
            return [("-1",)]
        if "character_sets" in statement:
            return [("gbk",)]
        if statement.startswith(("SHOW CREATE", "show create")):
            return [("t", "CREATE TABLE t")]
        if "ADMIN SHOW DDL JOBS" in statement:
            self.jobs -= 1
            return [("1", "add index")] if self.jobs >= 0 else []
        if "SELECT CONCAT_WS" in statement or "processlist" in statement:
            return []
        if re.match(r"(alter table .* add index|create index)", statement, re.I):
            time.sleep(self.index_seconds)
            return self.index_error
        return None


class TiDBTarget(Case):
    @classmethod
    def setUpParts(cls):
        cls.source = MariaDB()
        cls.server = Millrace(cls.source, "--tz", "UTC")

    def start(self, name, query="", **body):
        tidb = TiDB()
        self.source.run(f"CREATE DATABASE {name}", f"CREATE TABLE {name}.t (id INT PRIMARY KEY, v INT)")
        self.server.create(name, tidb.server.uri() + query, filter_rules=[f"{name}.*"], **body)
        return tidb

    def test_sessions_and_shapes(self):
        tidb = self.start("shape", "?tidb-txn-mode=pessimistic&worker-count=1")
        time.sleep(6)
        self.source.run("INSERT INTO shape.t VALUES (1, 1), (2, 2), (3, 3)", "UPDATE shape.t SET v = v + 10 WHERE id < 3")
        self.server.wait_caught_up("shape")
        settings = tidb.server.statements("^SET sql_mode.*time_zone")[-1]
        for part in ("tidb_txn_mode = 'pessimistic'", "tidb_placement_mode = 'ignore'", "tidb_enable_external_ts_read = 'OFF'",
                     "allow_auto_random_explicit_insert = 1", "foreign_key_checks = 0", "transaction_isolation = 'READ-COMMITTED'",
                     "time_zone = 'UTC'", "NO_AUTO_VALUE_ON_ZERO"):
            self.assertIn(part, settings)
        self.assertEqual(tidb.server.statements("^INSERT"), ["INSERT INTO `shape`.`t` (`id`,`v`) VALUES (1,1),(2,2),(3,3)"])
        self.assertEqual(tidb.server.statements("^UPDATE"), [
            "UPDATE `shape`.`t` SET `id`=CASE WHEN `id` = 1 THEN 1 WHEN `id` = 2 THEN 2 END, `v`=CASE WHEN `id` = 1 THEN 11 "
            "WHEN `id` = 2 THEN 12 END WHERE (`id` = 1) OR (`id` = 2)"])
        begins = len(tidb.server.statements("^START TRANSACTION$"))
        self.assertGreaterEqual(len(tidb.server.statements("^SET SESSION tidb_cdc_write_source = 1$")), begins - 2)

    def test_what_passes_is_tried_again_statement_by_statement(self):
        """One row a transaction and table; the first try of each meets an error, the second goes alone and is what it was."""
        errors = {n: (n, "no") for n in (1205, 1213, 1290, 1366, 8005, 8028, 9007)}
        errors.update({1062: (1062, "Duplicate entry 'x' for key 'y'"), 0: HANG_UP})
        tidb = self.start("again", "?worker-count=16&max-txn-row=1&cache-prep-stmts=false")
        self.source.run(*(f"CREATE TABLE again.t{n} (id INT PRIMARY KEY)" for n in errors))
        self.server.wait_caught_up("again")
        time.sleep(6)  # what comes from now on is newer than the start
        tidb.once = {f"`again`.`t{n}`": error for n, error in errors.items()}
        with self.source.connect() as c:
            for n in errors:
                c.run(f"INSERT INTO again.t{n} VALUES (1)")
        self.server.wait_caught_up("again")
        for n in errors:
            with self.subTest(error=n):
                verb = "REPLACE" if n in (0, 1062) else "INSERT"  # the row may be there
                first, second = [p for p in tidb.server.packets if any(f"`again`.`t{n}`" in s and "TABLE" not in s for s in p)]
                self.assertEqual(first[-2:], [f"INSERT INTO `again`.`t{n}` (`id`) VALUES (1)", "COMMIT"])
                self.assertEqual(second, [f"{verb} INTO `again`.`t{n}` (`id`) VALUES (1)"])
        # Connections that the server closes while they rest cost nothing.
        tidb.server.hang_up()
        time.sleep(1.2)
        tried = self.server.log.read_text().count("is tried again")
        self.source.run("INSERT INTO again.t0 VALUES (2)")
        self.server.wait_caught_up("again")
        self.assertEqual(tidb.server.statements("`again`.`t0`.*[(]2[)]"), ["INSERT INTO `again`.`t0` (`id`) VALUES (2)"])
        self.assertEqual(self.server.log.read_text().count("is tried again"), tried)
        # What does not pass is not tried again, and nothing behind it becomes durable.
        tidb.once = {"(3)": (1146, "gone")}
        before = len(tidb.server.packets)
        self.source.run("INSERT INTO again.t0 VALUES (3)")
        error = self.server.wait_state("again", "error", 20)["error"]
        self.assertEqual(error["code"], "CDC:ErrMySQLTxnError")
        self.assertIn("Failed query info: INSERT INTO `again`.`t0` (`id`) VALUES (?); ", error["message"])
        self.server.wait_caught_up("again")
        self.assertEqual([p[-2:] for p in tidb.server.packets[before:] if any("(3)" in s for s in p)][1:],
                         [["REPLACE INTO `again`.`t0` (`id`) VALUES (3)", "COMMIT"]])

    def test_an_index_is_added_while_rows_go_on(self):
        tidb = self.start("idx")
        self.server.wait_caught_up("idx")
        tidb.index_seconds = 14
        begin = time.monotonic()
        self.source.run("ALTER TABLE idx.t ADD INDEX (v)", "INSERT INTO idx.t VALUES (1, 1)")
        parts.wait_until(lambda: tidb.server.statements("^(INSERT|REPLACE) INTO `idx`"), 30, "the row goes on")
        self.assertGreater(time.monotonic() - begin, 9)
        self.assertNotIn("an index was added in the background", self.server.log.read_text())
        parts.wait_until(lambda: "an index was added in the background" in self.server.log.read_text(), 30, "the index is there")
        # Another DDL of the table asks whether the server is through; one of another table does not.
        tidb.index_seconds, tidb.jobs = 0, 1
        self.source.run("CREATE TABLE idx.other (id INT PRIMARY KEY)", "ALTER TABLE idx.t ADD COLUMN w INT")
        parts.wait_until(lambda: tidb.server.statements("(?i)^alter table .* add column w"), 30, "the column is added")
        asked = tidb.server.statements("ADMIN SHOW DDL JOBS")
        self.assertEqual(len(asked), 2, asked)
        self.assertTrue(all("TABLE_NAME = 't'" in s and "DB_NAME = 'idx'" in s for s in asked))
        tidb.jobs = 5
        self.source.run("ALTER TABLE idx.t ADD COLUMN x INT")  # its last one was no index: nothing to ask
        parts.wait_until(lambda: tidb.server.statements("(?i)^alter table .* add column x"), 4, "the column is added at once")

    def test_an_index_that_fails_behind_our_back_is_told(self):
        tidb = self.start("lost")
        self.server.wait_caught_up("lost")
        tidb.index_seconds, tidb.index_error = 11, (1072, "Key column 'v' doesn't exist in table")
        self.source.run("CREATE INDEX i ON lost.t (v)")
        parts.wait_until(lambda: "an index is missing downstream" in self.server.log.read_text(), 40, "the failure is told")
        self.assertIn("CREATE INDEX i ON lost.t (v)", self.server.log.read_text())

    def test_sync_points_set_the_external_ts(self):
        tidb = self.start("sync", replica_config={"enable-sync-point": True, "sync-point-interval": "30s"})
        parts.wait_until(lambda: tidb.server.statements("^set global tidb_external_ts"), 60, "a sync point")
        self.assertEqual(tidb.server.statements("^set global tidb_external_ts")[0],
                         "set global tidb_external_ts = 445644800000000001")
        row = tidb.server.statements("^insert ignore into tidb_cdc.syncpoint_v1")[0]
        point = int(re.search(r"'sync', '(\d+)', '445644800000000001'", row).group(1))
        self.assertEqual((point >> 18) % 30000, 0)
        self.assertEqual(point & 0x3FFFF, 0)


if __name__ == "__main__":
    main()
