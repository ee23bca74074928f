#!/usr/bin/env python3
"""
What a SQL target may have wrong while a changefeed runs: each shows in the changefeed's state and error, holds up nobody else, and
heals when it is mended.  --target mysql for MySQL 8.0 (mariadb)
"""
import dataclasses
import time

from lib import equal
from lib.case import Case, arguments, main
from lib.copying import COLLATE, database
from lib.server import Millrace


@dataclasses.dataclass
class Trouble:
    """Statements for the target (as root) and the source, for schema {s} and the changefeed's user {u}; what is told meanwhile."""
    broken: list
    source: list
    code: str
    told: str
    mended: list
    before: list = ()  # at the source


TABLE = "CREATE TABLE {s}.t (id INT PRIMARY KEY, v INT)"
ROW = "INSERT INTO {s}.t VALUES (1, 1)"
TROUBLES = {
    "login": Trouble(["ALTER USER {u} IDENTIFIED BY 'another'"], [ROW], "CDC:ErrMySQLConnectionError", "Access denied for user",
                        ["ALTER USER {u} IDENTIFIED BY 'se:cret'"]),
    "denied": Trouble(["REVOKE INSERT ON {s}.* FROM {u}"], [ROW], "CDC:ErrMySQLTxnError", "INSERT command denied", ["GRANT INSERT ON {s}.* TO {u}"]),
    "ddl": Trouble(["REVOKE ALTER ON {s}.* FROM {u}"], ["ALTER TABLE {s}.t ADD COLUMN w INT", "INSERT INTO {s}.t VALUES (1, 1, 2)"],
                   "CDC:ErrMySQLTxnError", "ALTER command denied", ["GRANT ALTER ON {s}.* TO {u}"]),
    "gone": Trouble(["DROP DATABASE {s}"], [ROW], "CDC:ErrMySQLTxnError", "INTO `{s}`.`t` (`id`,`v`) VALUES (?,?); ",
                      [f"CREATE DATABASE {{s}} COLLATE {COLLATE}", TABLE]),
    "nodb": Trouble(["DROP DATABASE {s}"], ["CREATE TABLE {s}.u (id INT PRIMARY KEY)"], "CDC:ErrExecDDLFailed", "CREATE TABLE nodb.u",
                    [f"CREATE DATABASE {{s}} COLLATE {COLLATE}", TABLE]),
    "lacking": Trouble(["ALTER TABLE {s}.t DROP COLUMN v"], [ROW], "CDC:ErrMySQLTxnError", "Unknown column 'v'", ["ALTER TABLE {s}.t ADD COLUMN v INT"]),
    "kind": Trouble(["ALTER TABLE {s}.t DROP COLUMN v, ADD COLUMN v POINT"], [ROW], "CDC:ErrMySQLTxnError", "Cannot get geometry object",
                    ["ALTER TABLE {s}.t DROP COLUMN v, ADD COLUMN v INT"]),
    "aview": Trouble(["DROP TABLE {s}.t", "CREATE VIEW {s}.t AS SELECT 1 AS id, 2 AS v"], [ROW], "CDC:ErrMySQLTxnError", "{s}",
                    ["DROP VIEW {s}.t", TABLE]),
    # A table without a key is left out; with the key come its changes, but not the rows from before.
    "keyless": Trouble([], ["ALTER TABLE {s}.k ADD PRIMARY KEY (a)", "INSERT INTO {s}.k VALUES (2)"], "CDC:ErrExecDDLFailed",
                       "ALTER TABLE keyless.k ADD PRIMARY KEY (a), startTs: ", ["CREATE TABLE {s}.k (a INT)", "INSERT INTO {s}.k VALUES (1)"],
                       ["CREATE TABLE {s}.k (a INT)", "INSERT INTO {s}.k VALUES (1)"]),
    "healthy": None,
}


class BadTarget(Case):
    def all_caught_up(self, server):
        now = (int(time.time() * 1000) + 50) << 18
        for name in TROUBLES:
            with self.subTest(caught_up=name):
                server.wait_checkpoint(name, now, 90)

    def test_each_is_told_and_heals(self):
        source, target = database("mariadb"), database(args.target, **{"server-id": "2002"})
        server = Millrace(source, "--tz", "UTC")

        def fill(texts, name):
            return [t.format(s=name, u=f"u_{name}@'%'") for t in texts]
        for name, trouble in TROUBLES.items():
            target.run(f"CREATE USER u_{name}@'%' IDENTIFIED BY 'se:cret'", f"GRANT ALL ON {name}.* TO u_{name}@'%'",
                       f"GRANT ALL ON tidb_cdc.* TO u_{name}@'%'")
            server.create(name, f"mysql://u_{name}:se%3Acret@127.0.0.1:{target.port}/?worker-count=2", filter_rules=[f"{name}.*"])
            source.run(f"CREATE DATABASE {name} COLLATE {COLLATE}", *fill([TABLE, *(trouble.before if trouble else ())], name))
        self.all_caught_up(server)
        self.assertEqual(target.query("SHOW TABLES FROM keyless"), [("t",)])
        for name, trouble in TROUBLES.items():
            if trouble:
                target.run(*fill(trouble.broken, name))
                # Logins and rights of sessions that are there stay.
                for pid, in target.query(f"SELECT id FROM information_schema.processlist WHERE user = 'u_{name}'"):
                    target.run(f"KILL {pid}")
                source.run(*fill(trouble.source, name))
        source.run(*fill([ROW], "healthy"))
        for name, trouble in TROUBLES.items():
            if not trouble:
                continue
            with self.subTest(trouble=name):
                seen = server.wait_for(name, lambda d: d.get("error"), 60, "an error")
                self.assertEqual((seen["state"], seen["error"]["code"]), ("error", trouble.code))
                self.assertIn(trouble.told.format(s=name), seen["error"]["message"])
        server.wait_caught_up("healthy")
        for name, trouble in TROUBLES.items():
            if trouble:
                target.run(*fill(trouble.mended, name))
        self.all_caught_up(server)
        self.assertEqual({server.changefeed(name)["state"] for name in TROUBLES}, {"normal"})
        equal.assert_equal(self, source, target, *TROUBLES)
        self.assertNotIn("se:cret", server.log.read_text())
        self.assertEqual(server.sanitizer_findings(), [])


if __name__ == "__main__":
    args = arguments(target="mariadb")
    main()
