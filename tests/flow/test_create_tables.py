#!/usr/bin/env python3
"""The initial copy into a server that is empty: databases and tables are made there as the source has them, then filled."""
import random
import subprocess
import threading

from lib import parts, same
from lib.case import Case, main
from lib.mariadb import MariaDB
from lib.mysql import MySQL
from lib.server import BUILD, Millrace

# Both kinds of server know what stands here.  a_child's name comes before its parent's.
TABLES = [
    "CREATE TABLE a_child (id INT PRIMARY KEY AUTO_INCREMENT, parent INT, CONSTRAINT of_parent FOREIGN KEY (parent) REFERENCES parent (id), "
    "KEY by_parent (parent)) COLLATE=utf8mb4_general_ci",
    "CREATE TABLE parent (id INT PRIMARY KEY, j JSON, t TEXT DEFAULT 'it''s', b BLOB DEFAULT NULL, n INT DEFAULT -7, u CHAR(36) DEFAULT uuid(), "
    "at DATETIME(3) DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3), g INT AS (n * 2) VIRTUAL, s INT AS (n + 1) STORED, "
    "z VARCHAR(500) COMPRESSED DEFAULT 'zz', e ENUM('a','b;c') NOT NULL DEFAULT 'a' COMMENT 'DEFAULT ''x'' (', CHECK (n < 1000000)) "
    "COLLATE=utf8mb4_general_ci COMMENT='a table; it''s'",
    "CREATE TABLE `odd ``name``` (`select` INT, `b(` VARCHAR(9), PRIMARY KEY (`b(`, `select`)) COLLATE=utf8mb4_general_ci "
    "PARTITION BY RANGE COLUMNS (`select`) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN (MAXVALUE))",
]
ROWS = [
    "INSERT INTO parent (id, j, t, n, u) SELECT seq, CONCAT('{\"k\": ', seq, '}'), REPEAT('t', seq MOD 50), seq, 'u' FROM seq_1_to_3000",
    "INSERT INTO a_child (parent) SELECT seq FROM seq_1_to_3000", "INSERT INTO `odd ``name``` SELECT seq, seq FROM seq_1_to_20",
]


def verify(up, down, *filters):
    return subprocess.run([BUILD / "bin/millrace", "verify", "--upstream", up.uri(), "--downstream", down.uri(),
                           *[a for f in filters for a in ("--filter", f)]], capture_output=True, text=True, timeout=120, check=False)


class CreateTables(Case):
    @classmethod
    def setUpParts(cls):
        zone = {"default-time-zone": "+00:00"}
        cls.db = MariaDB(zone)
        cls.maria, cls.mysql = MariaDB({"server-id": "2001", **zone}), MySQL({"server-id": "2002", **zone})
        for db in (cls.maria, cls.mysql):
            db.run("CREATE USER copy@'%' IDENTIFIED BY 'se:cret'", "GRANT ALL ON *.* TO copy@'%'")
        cls.server = Millrace(cls.db, "--tz", "UTC")

    def create(self, name, target, *rules, settings=None, **body):
        self.server.create(name, f"mysql://copy:se%3Acret@127.0.0.1:{target.port}/", filter_rules=list(rules),
                           replica_config={"snapshot": "incremental", **(settings or {})}, **body)

    def copied(self, name):
        return self.server.wait_for(name, lambda d: d.get("snapshot", {}).get("state") == "finished", 60, f"the copy of {name} is finished")

    def fill(self, name):
        self.db.run(f"CREATE DATABASE {name} CHARACTER SET latin1", f"CREATE DATABASE {name}_empty")
        with self.db.connect(database=name) as c:
            c.run("SET NAMES utf8mb4", "SET foreign_key_checks = 0", *TABLES, *ROWS)

    def test_an_empty_mariadb_becomes_equal(self):
        """Tables are written to and change while the copy is being made and killed."""
        self.fill("whole")
        stop, made_feed = threading.Event(), threading.Event()

        def write():
            dice, made = random.Random(7), 0
            with self.db.connect(database="whole") as c:
                while not stop.is_set():
                    key = dice.randrange(1, 5000)
                    c.run(dice.choice([f"INSERT INTO parent (id, n) VALUES ({key}, 1) ON DUPLICATE KEY UPDATE n = 1", f"UPDATE parent SET n = n + 1 WHERE id = {key}",
                                       f"INSERT INTO a_child (parent) SELECT id FROM parent WHERE id = {key}"]))
                    if dice.randrange(60) == 0 and made < 20 and made_feed.is_set():
                        made += 1
                        c.run(f"CREATE TABLE new{made} LIKE parent", f"INSERT INTO new{made} (id) VALUES ({made})",
                              f"ALTER TABLE a_child ADD COLUMN c{made} INT DEFAULT {made}", f"RENAME TABLE new{made} TO newer{made}")
        writer = threading.Thread(target=write)
        writer.start()
        try:
            self.create("whole", self.maria, "whole*.*", settings={"snapshot-chunk-rows": 200, "max-rows-per-second": 3000})
            made_feed.set()
            for _ in range(3):
                self.server.kill_worker("whole")
                parts.wait_until(lambda: self.server.worker("whole"), 30, "the next worker")
            self.copied("whole")
        finally:
            stop.set()
            writer.join()
        self.server.wait_caught_up("whole")
        self.assertEqual(same.difference(self.db, self.maria, "whole", "whole_empty"), "")
        text = [db.query("SHOW CREATE TABLE whole.parent")[0][1] for db in (self.db, self.maria)]
        self.assertEqual(text[1], text[0])
        self.assertEqual(self.server.sanitizer_findings(), [])
        self.assertEqual(self.maria.query("SELECT default_character_set_name FROM information_schema.schemata WHERE "
                                          "schema_name = 'whole'"), [("latin1",)])
        self.server.remove("whole")

    def test_an_empty_mysql_becomes_equal(self):
        self.fill("other")
        self.create("other", self.mysql, "other.*")
        self.copied("other")
        self.server.wait_caught_up("other")
        done = verify(self.db, self.mysql, "other.*")
        self.assertEqual((done.returncode, done.stdout.count(": equal, ")), (0, 3), done.stdout + done.stderr)
        self.mysql.run("INSERT INTO other.parent (id) VALUES (5000)")
        row = self.mysql.query("SELECT t, n, LENGTH(u), g, s, z, e FROM other.parent WHERE id = 5000")
        self.assertEqual(row, [("it's", "-7", "36", "-14", "-6", "zz", "a")], "defaults mean what they mean in the source")
        self.assertEqual(self.mysql.query("SELECT constraint_name FROM information_schema.referential_constraints WHERE "
                                          "constraint_schema = 'other'"), [("of_parent",)])
        self.server.remove("other")

    def test_tables_under_other_names(self):
        for n in (1, 2):
            self.db.run(f"CREATE DATABASE shop{n}", f"CREATE TABLE shop{n}.orders (id INT PRIMARY KEY, v INT)",
                        f"CREATE TABLE shop{n}.items (id INT PRIMARY KEY, o INT, FOREIGN KEY (o) REFERENCES orders (id))",
                        f"INSERT INTO shop{n}.orders SELECT seq * 2 + {n}, {n} FROM shop{n}.seq_1_to_100",
                        f"INSERT INTO shop{n}.items SELECT seq * 2 + {n}, NULL FROM shop{n}.seq_1_to_10")
        self.create("routed", self.maria, "shop*.*", sink_config={"dispatchers": [
            {"matcher": ["shop*.orders"], "target-schema": "all", "target-table": "orders", "target-merge": True},
            {"matcher": ["shop*.items"], "target-schema": "parts", "target-table": "{schema}_{table}"}]})
        self.copied("routed")
        self.server.wait_caught_up("routed")
        self.assertEqual(self.maria.query("SELECT COUNT(*), SUM(v) FROM `all`.orders"), [("200", "300")])
        self.assertEqual(same.tables(self.maria, "parts"), ["shop1_items", "shop2_items"])
        self.assertIn("REFERENCES `all`.`orders`", self.maria.query("SHOW CREATE TABLE parts.shop1_items")[0][1])
        self.server.remove("routed")

    def test_later(self):
        """The copy is asked for later, when the target has tables: deletes since then are not lost; then a table joins."""
        self.db.run("CREATE DATABASE later", "CREATE TABLE later.new (id INT PRIMARY KEY, v INT)", "INSERT INTO later.new VALUES (1, 1), (2, 2)",
                    "CREATE TABLE later.old (id INT PRIMARY KEY, v INT)", "INSERT INTO later.old VALUES (1, 1), (2, 2), (3, 3)")
        self.maria.run("CREATE DATABASE later", "CREATE TABLE later.old (id INT PRIMARY KEY, v INT)")
        self.server.create("later", self.maria.uri(), filter_rules=["later.old"])
        self.db.run("UPDATE later.old SET v = 9 WHERE id = 3", "INSERT INTO later.old VALUES (4, 4), (5, 5)")
        self.server.wait_caught_up("later")
        self.server.pause("later")
        self.db.run("DELETE FROM later.old WHERE id = 4")
        self.server.update("later", replica_config={"snapshot": "incremental"})
        self.server.resume("later")
        self.copied("later")
        self.server.wait_caught_up("later")
        self.assertEqual(same.digest(self.maria, "later", "old"), same.digest(self.db, "later", "old"))
        self.server.pause("later")
        self.db.run("DELETE FROM later.new WHERE id = 1")
        self.server.update("later", filter_rules=["later.*"])
        self.server.resume("later")
        self.server.wait_for("later", lambda d: d.get("snapshot", {}).get("tables_finished") == 2, 30, "the new table is copied")
        self.server.wait_caught_up("later")
        self.assertEqual(same.difference(self.db, self.maria, "later"), "")
        self.server.remove("later")

    def test_what_the_target_cannot_have_and_what_it_has(self):
        self.db.run("CREATE DATABASE hard", "CREATE TABLE hard.fine (id INT PRIMARY KEY)", "CREATE TABLE hard.here (id INT PRIMARY KEY, v INT)",
                    "CREATE TABLE hard.net (id INT PRIMARY KEY, a INET6)", "INSERT INTO hard.net VALUES (1, '::1')",
                    "INSERT INTO hard.here VALUES (1, 1)")
        self.create("hard", self.mysql, "hard.*", "!hard.here")
        state = self.server.wait_for("hard", lambda d: "ErrCreateTableFailed" in str(d.get("error")), 30, "the table is refused")
        self.assertIn("hard.net", state["error"]["message"])
        self.mysql.run("CREATE TABLE hard.net (id INT PRIMARY KEY, a VARCHAR(45))")
        self.server.pause("hard")
        self.server.resume("hard")
        self.copied("hard")
        self.server.wait_caught_up("hard")
        self.assertEqual(self.mysql.query("SELECT * FROM hard.net"), [("1", "::1")])
        # A table that is there is kept, and has to have the columns; without create-tables nothing is looked at.
        self.maria.run("CREATE DATABASE hard", "CREATE TABLE hard.here (id INT PRIMARY KEY, more INT DEFAULT 5)")
        self.create("here", self.maria, "hard.here")
        state = self.server.wait_state("here", "failed")
        self.assertEqual(state["error"]["code"], "CDC:ErrTargetTableUnfit")
        self.assertIn("hard.here", state["error"]["message"])
        self.maria.run("ALTER TABLE hard.here ADD COLUMN v INT")
        self.server.resume("here")
        self.copied("here")
        self.server.wait_caught_up("here")
        self.assertEqual(self.maria.query("SELECT id, v, more FROM hard.here"), [("1", "1", "5")])
        self.create("off", self.maria, "hard.fine", settings={"create-tables": False})
        self.copied("off")
        self.assertEqual(same.tables(self.maria, "hard"), ["here"])
        for name in ("hard", "here", "off"):
            self.server.remove(name)


if __name__ == "__main__":
    main()
