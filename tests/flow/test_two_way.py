#!/usr/bin/env python3
"""
Two servers, each copied to the other: both become equal, and what a copy wrote is not sent back, which is counted on both sides.

--pairs A:B,C:D   kinds of servers, mariadb or mysql (mariadb:mariadb,mysql:mysql)
--seconds N       how long both sides write (2)
--kills N         how many workers are killed meanwhile (0); their rows come again, so these are not counted then
"""
import re
import threading
import time

from lib import equal
from lib.case import Case, arguments, main
from lib.copying import COLLATE, pair
from lib.server import Millrace
from lib.sql import SqlError

RIGHTS = "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, REFERENCES"


class Writer(threading.Thread):
    """Changes rows with keys of its own and counts them."""

    def __init__(self, db, first):
        super().__init__(daemon=True)
        self.db, self.first, self.changes, self.end, self.error = db, first, 0, threading.Event(), None

    def run(self):
        try:
            with self.db.connect(database="two") as c:
                i = 0
                while not self.end.is_set():
                    a = self.first + i % 3000
                    for text in ("BEGIN", f"DELETE FROM t WHERE id = {a}", f"INSERT INTO t (id, n) VALUES ({a}, 0)",
                                 f"UPDATE t SET n = n + 1 WHERE id BETWEEN {a - 10} AND {a} AND id >= {self.first}",
                                 f"UPDATE t SET id = id + 4000 WHERE id = {a - 5} AND n % 7 = 0 AND id >= {self.first}",
                                 f"DELETE FROM t WHERE id = {a - 5 + 4000} AND n % 2 = 0", "COMMIT"):
                        self.changes += self.again(c, text)
                    i += 1
        except Exception as error:  # pylint: disable=broad-except
            self.error = error

    @staticmethod
    def again(connection, text):
        """A DDL may come between two statements of a transaction."""
        try:
            return connection.query(text)
        except SqlError as error:
            if error.code not in (1412, 1205, 1213):
                raise
            return 0


class TwoWay(Case):
    def check(self, one, two, users=("copy", "copy")):
        """users: who writes into the second server, and into the first."""
        dbs = pair(one, two)
        for db in dbs:
            db.run("CREATE USER few@'%' IDENTIFIED BY 'se:cret'", f"GRANT {RIGHTS} ON *.* TO few@'%'", f"CREATE DATABASE two COLLATE {COLLATE}",
                   "CREATE TABLE two.t (id INT PRIMARY KEY, n INT)")
        servers = [Millrace(db, "--tz", "UTC") for db in dbs]
        for server, db, user in zip(servers, reversed(dbs), users):
            server.create("two", f"mysql://{user}:se%3Acret@127.0.0.1:{db.port}/?worker-count=4", filter_rules=["two.*"],
                          replica_config={"bdr-mode": True})
            server.wait_caught_up("two")

        def settle(first=0):
            """Changes of that side have arrived, and what they may have set off the other way, too."""
            for server in (servers[first], servers[1 - first]):
                server.wait_caught_up("two", 120)

        writers = [Writer(dbs[0], 0), Writer(dbs[1], 10000)]
        for w in writers:
            w.start()
        self.wait(servers)
        dbs[0].run("ALTER TABLE two.t ADD COLUMN c VARCHAR(9) DEFAULT 'x'", "ALTER TABLE two.t ADD INDEX by_n (n)")
        self.wait(servers)
        for w in writers:
            w.end.set()
            w.join()
            if w.error:
                raise w.error
        settle(1)
        settle()
        equal.assert_equal(self, *dbs, "two")
        if not args.kills:
            self.assertEqual([self.rows_sent(s) for s in servers], [w.changes for w in writers])
        self.assertGreater(min(w.changes for w in writers), 100)
        dbs[1].run("UPDATE two.t SET c = 'b' WHERE id >= 10000")
        # For another's view a user needs more rights than the others have.
        views = [["CREATE VIEW two.v AS SELECT id FROM two.t", "ALTER VIEW two.v AS SELECT n FROM two.t", "DROP VIEW two.v"]
                 if user == "copy" else [] for user in users]
        # A DROP that came back would take the new table with it; servers write this and views to the log in their own words.
        for n, db in enumerate(dbs):
            db.run(*views[n], "CREATE TABLE two.x (id INT PRIMARY KEY)", "INSERT INTO two.x VALUES (1), (2)", "DROP TABLE two.x",
                   "CREATE TABLE two.x (id INT PRIMARY KEY, s VARCHAR(9))", "INSERT INTO two.x VALUES (1, 'x')", "TRUNCATE TABLE two.x",
                   f"INSERT INTO two.x VALUES ({n}, 'y')", "RENAME TABLE two.x TO two.y", "DROP TABLE IF EXISTS two.z, two.y",
                   f"CREATE TABLE two.kept{n} (s VARCHAR(9) PRIMARY KEY)", f"INSERT INTO two.kept{n} VALUES ('é')",
                   f"ALTER TABLE two.kept{n} ADD COLUMN i INT AUTO_INCREMENT UNIQUE")
            settle(n)
            equal.assert_equal(self, *dbs, "two")
        # Quiet now: nothing goes round.
        pos = "SELECT @@{}".format("gtid_binlog_pos" if one == "mariadb" else "global.gtid_executed"), \
            "SELECT @@{}".format("gtid_binlog_pos" if two == "mariadb" else "global.gtid_executed")
        before = [db.query(text) for db, text in zip(dbs, pos)]
        time.sleep(1)
        self.assertEqual([db.query(text) for db, text in zip(dbs, pos)], before)
        done = [len(re.findall(r" DDL done downstream ", s.log.read_text())) for s in servers]
        if not args.kills:  # one that was done when its worker was killed is not told
            self.assertEqual(done, [len(views[0]) + 8 + 2, len(views[1]) + 8])
        print(f"      {one} and {two} by {' and '.join(users)}: {' and '.join(str(w.changes) for w in writers)} changes", flush=True)
        for part in (*servers, *dbs):
            part.stop()

    @staticmethod
    def wait(servers):
        """Half of the time, with half of the kills."""
        for i in range(args.kills // 2 + 1):
            time.sleep(args.seconds / 2 / (args.kills // 2 + 1))
            if i < args.kills // 2:
                servers[i % 2].kill_worker("two")

    @staticmethod
    def rows_sent(server):
        text = server.api("GET", "/metrics").text()
        return int(re.search(r'^ticdc_sink_table_sink_total_rows_count\{.*changefeed="two".*\} (\d+)$', text, re.M)[1])

    def test_both_become_equal_and_nothing_comes_back(self):
        for both in args.pairs.split(","):
            one, two = both.split(":")
            with self.subTest(pair=both):
                # In MariaDB the mark is the server's id; `few` may not set that.
                self.check(one, two, ("copy", "few") if two == "mariadb" else ("copy", "copy"))


if __name__ == "__main__":
    args = arguments(seconds=2, kills=0, pairs="mariadb:mariadb,mysql:mysql")
    main()
