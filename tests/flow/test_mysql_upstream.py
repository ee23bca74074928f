#!/usr/bin/env python3
"""MySQL 8.0 to files: its log is followed as MariaDB's is."""
from lib import decode, parts
from lib.case import Case, main
from lib.mysql import MySQL
from lib.server import Millrace


class Upstream(Case):
    @classmethod
    def setUpParts(cls):
        cls.db = MySQL()
        cls.server = Millrace(cls.db)

    def feed(self, name, *rules, **body):
        """A changefeed to a folder of its own; the folder."""
        root = parts.temp_dir("files")
        self.server.create(name, f"file://{root}?protocol=canal-json&enable-tidb-extension=true&flush-interval=2s",
                           filter_rules=list(rules), **body)
        return root

    def events(self, name, root):
        self.server.wait_caught_up(name)
        return decode.storage(root)

    def test_simple_rows(self):
        self.db.run("CREATE DATABASE simple", "CREATE TABLE simple.t (id INT PRIMARY KEY, v VARCHAR(20), u BIGINT UNSIGNED)")
        root = self.feed("simple", "simple.*")
        self.db.run("SET NAMES utf8mb4", "INSERT INTO simple.t VALUES (1, 'a', 18446744073709551615), (2, 'b', 0)",
                    "UPDATE simple.t SET v = 'é' WHERE id = 2", "DELETE FROM simple.t WHERE id = 1")
        rows = self.events("simple", root)
        self.assertEqual([(e.type, e.data["id"], e.data["v"], e.data["u"]) for e in rows], [
            ("INSERT", "1", "a", "18446744073709551615"), ("INSERT", "2", "b", "0"), ("UPDATE", "2", "é", "0"),
            ("DELETE", "1", "a", "18446744073709551615")])
        self.assertEqual(rows[2].old, {"id": "2", "v": "b", "u": "0"})
        self.assertEqual([e.pk for e in rows], [["id"]] * 4)
        self.assertEqual(rows[0].ts, rows[1].ts)
        self.assertEqual(len({e.ts for e in rows}), 3)


if __name__ == "__main__":
    main()
