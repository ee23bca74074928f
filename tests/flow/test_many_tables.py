#!/usr/bin/env python3
"""
Definitions of many tables are read at the start over several connections.  The log says no names, so what comes out of a row
shows what was read of its table.
"""
from lib import decode, parts
from lib.case import Case, main
from lib.mariadb import MariaDB
from lib.mysql import MySQL
from lib.server import Millrace

# What is made, the row, and of its messages: column types, and the columns that identify it.
KINDS = [
    ("id INT PRIMARY KEY, a VARCHAR(20) DEFAULT 'x', KEY ka (a)", "1, 'v'", {"id": "int", "a": "varchar"}, ["id"]),
    # Of two unique keys the first one identifies the row, though the other has the smaller name.
    ("b INT NOT NULL, a INT NOT NULL, KEY k (a, b), UNIQUE KEY zz (a), UNIQUE KEY aa (b)", "1, 2", {"b": "int", "a": "int"}, ["a"]),
    ("id INT, j JSON, PRIMARY KEY (id)", "1, '[]'", {"id": "int", "j": "json"}, ["id"]),
    ("e ENUM('x','y'), d DECIMAL(10,2) NOT NULL, id BIGINT UNSIGNED, PRIMARY KEY (id, e), KEY k2 (d), KEY k1 (d, id)",
     "'y', 1.5, 1", {"e": "enum", "d": "decimal", "id": "bigint unsigned"}, ["e", "id"]),
]
SCHEMAS = {"large": 240, "small": 4, "other": 30}


class Tables:
    """With the server as db."""

    def make(self):
        self.db.run("SET GLOBAL binlog_row_metadata = MINIMAL")
        with self.db.connect() as c:
            for schema, n in SCHEMAS.items():
                c.run(f"CREATE DATABASE {schema}",
                      *(f"CREATE TABLE {schema}.t{i} ({KINDS[i % len(KINDS)][0]})" for i in range(n)))

    def check(self, server, name):
        root = parts.temp_dir("files")
        server.create(name, f"file://{root}?protocol=canal-json&flush-interval=2s",
                      filter_rules=[f"{schema}.*" for schema in SCHEMAS],
                      sink_config={"delete-only-output-handle-key-columns": True})
        with self.db.connect() as c:
            c.run("BEGIN", *(f"INSERT INTO {schema}.t{i} VALUES ({KINDS[i % len(KINDS)][1]})" for schema, n in SCHEMAS.items()
                             for i in range(n)), "COMMIT")
            c.run("BEGIN", *(f"DELETE FROM {schema}.t{i}" for schema, n in SCHEMAS.items() for i in range(n)), "COMMIT")
        server.wait_caught_up(name)
        got = {(e.type, e.db, e.table): {k: v.split("(")[0] for k, v in e.raw["mysqlType"].items()} if e.type == "INSERT" else
               sorted(e.data) for e in decode.storage(root)}
        for schema, n in SCHEMAS.items():
            for i in range(n):
                _, _, types, key = KINDS[i % len(KINDS)]
                self.assertEqual(got.pop(("INSERT", schema, f"t{i}")), types)
                self.assertEqual(got.pop(("DELETE", schema, f"t{i}")), key)
        self.assertEqual(got, {})


class OfMariaDB(Tables, Case):
    @classmethod
    def setUpParts(cls):
        cls.db = MariaDB()

    def test_they_are_known(self):
        self.make()
        self.db.run("FLUSH STATUS")
        server = Millrace(self.db.uri() + "?mariadb-json-as-json=true")
        self.check(server, "many")
        self.assertGreaterEqual(int(self.db.query("SHOW STATUS LIKE 'Max_used_connections'")[0][1]), 4)
        self.assertEqual(server.stop(), 0)
        # A server that gives no more connections: those there are must do.
        self.db.run("CREATE USER few@'%' IDENTIFIED BY 'few' WITH MAX_USER_CONNECTIONS 3", "GRANT ALL ON *.* TO few@'%'")
        server = Millrace(self.db.uri("few", "few") + "?mariadb-json-as-json=true")
        self.check(server, "few")
        self.assertEqual(server.stop(), 0)


class OfMySQL(Tables, Case):
    @classmethod
    def setUpParts(cls):
        cls.db = MySQL()

    def test_they_are_known(self):
        self.make()
        server = Millrace(self.db)
        self.check(server, "many")
        self.assertEqual(server.stop(), 0)


if __name__ == "__main__":
    main()
