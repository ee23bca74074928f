#!/usr/bin/env python3
"""Event filters over MariaDB to files: what they name stays away, all else arrives; mistakes are refused at create."""
from lib import decode, parts
from lib.case import Case, main
from lib.mariadb import MariaDB
from lib.server import Millrace


def rule(matcher, **keys):
    return {"matcher": [matcher], **{key.replace("_", "-"): value for key, value in keys.items()}}


class Filters(Case):
    @classmethod
    def setUpParts(cls):
        cls.db = MariaDB()
        cls.server = Millrace(cls.db)

    def feed(self, name, *filters, **settings):
        root = parts.temp_dir("filters")
        self.server.create(name, f"file://{root}?protocol=canal-json&flush-interval=2s", replica_config={
            **settings, "filter": {"rules": [f"{name}.*"], "event-filters": list(filters)}})
        return root

    def rows(self, name, root):
        self.server.wait_caught_up(name)
        return [(e.type, int(e.data["id"])) for e in decode.storage(root)]

    def ddls(self, root):
        return [s["Query"] for s in decode.storage_schemas(root) if s["Query"]]

    def test_rows_by_kind_and_value(self):
        self.db.run("CREATE DATABASE vals", """CREATE TABLE vals.worker (id INT PRIMARY KEY, name CHAR(20), age INT, gender CHAR(10),
                    pay DECIMAL(10,2), born DATE, mood ENUM('good','bad'))""", "CREATE TABLE vals.quiet (id INT PRIMARY KEY)",
                    "CREATE TABLE vals.loud (id INT PRIMARY KEY)")
        root = self.feed("vals",
                         rule("vals.worker", ignore_insert_value_expr="age >= 20 or gender = 'female'",
                              ignore_update_old_value_expr="gender='male'", ignore_update_new_value_expr="age > 28",
                              ignore_delete_value_expr="pay > 10.5 and born < '2000-01-01'"),
                         rule("vals.worker", ignore_insert_value_expr="mood = 'BAD'"),
                         rule("vals.quiet", ignore_event=["all dml"]),
                         rule("vals.l*", ignore_event=["delete"]))
        self.db.run(
            "INSERT INTO vals.worker VALUES (1,'A',18,'male',1,'1990-01-01','good'), (2,'B',NULL,'Female',1,NULL,'good'),"
            " (3,'C',NULL,'other',10.51,'1999-12-31','good'), (4,'D',1,'x',1,NULL,'bad'), (5,'E',5,'x',10.5,'1999-12-31',NULL)",
            "INSERT INTO vals.quiet VALUES (6)", "INSERT INTO vals.loud VALUES (7), (8)", "DELETE FROM vals.loud WHERE id = 7",
            "UPDATE vals.worker SET age = 19 WHERE id = 1",     # old row: male
            "UPDATE vals.worker SET age = 30 WHERE id = 3",     # new row: older than 28
            "UPDATE vals.worker SET age = 6 WHERE id = 5",
            # A changed key is judged as the UPDATE it is, before it is split.
            "UPDATE vals.worker SET id = 9 WHERE id = 5",
            "DELETE FROM vals.worker WHERE id = 3", "DELETE FROM vals.worker WHERE id = 9")
        self.assertEqual(sorted(self.rows("vals", root)), sorted([
            ("INSERT", 1), ("INSERT", 3), ("INSERT", 5), ("INSERT", 7), ("INSERT", 8), ("UPDATE", 5), ("DELETE", 5), ("INSERT", 9),
            ("DELETE", 9)]))

    def test_ddls_are_left_out_but_learnt(self):
        self.db.run("CREATE DATABASE ddl", "CREATE TABLE ddl.a (id INT PRIMARY KEY)", "CREATE TABLE ddl.b (id INT PRIMARY KEY)")
        root = self.feed("ddl", rule("ddl.a", ignore_event=["alter table"]), rule("ddl.*", ignore_sql=["^drop", "secret"]))
        # A table that is dropped before its definition could be read would have no schema files.
        self.server.wait_caught_up("ddl")
        self.db.run("ALTER TABLE ddl.a ADD COLUMN v INT", "INSERT INTO ddl.a VALUES (1, 10)", "ALTER TABLE ddl.b ADD COLUMN v INT",
                    "INSERT INTO ddl.b VALUES (2, 20)", "TRUNCATE TABLE ddl.a", "CREATE TABLE ddl.secrets (id INT PRIMARY KEY)",
                    "INSERT INTO ddl.secrets VALUES (3)", "DROP TABLE ddl.b")
        self.server.wait_caught_up("ddl")
        self.assertEqual(sorted((e.table, *sorted(e.data.items())) for e in decode.storage(root)),
                         [("a", ("id", "1"), ("v", "10")), ("b", ("id", "2"), ("v", "20")), ("secrets", ("id", "3"))])
        told = " ".join(self.ddls(root)).upper()
        self.assertIn("TRUNCATE", told)
        self.assertNotIn("DROP", told)
        self.assertNotIn("SECRETS", told)
        self.assertEqual(told.count("ALTER TABLE"), 1, "that of ddl.b")

    def test_updates_of_nothing_but_listed_columns(self):
        self.db.run("CREATE DATABASE onlys", "CREATE TABLE onlys.t (id INT PRIMARY KEY, seen TIMESTAMP NULL, v INT)",
                    "INSERT INTO onlys.t VALUES (1, NULL, 1)")
        root = self.feed("onlys", rule("onlys.t", ignore_update_only_columns=["seen"]))
        self.db.run("UPDATE onlys.t SET seen = '2024-01-01'", "UPDATE onlys.t SET seen = '2024-01-02', v = 2",
                    "UPDATE onlys.t SET seen = '2024-01-03'")
        self.assertEqual(self.rows("onlys", root), [("UPDATE", 1)])

    def test_a_restart_keeps_them_and_an_update_changes_them(self):
        self.db.run("CREATE DATABASE later", "CREATE TABLE later.t (id INT PRIMARY KEY)")
        root = self.feed("later", rule("later.t", ignore_insert_value_expr="id > 10"))
        self.server.kill()
        self.db.run("INSERT INTO later.t VALUES (1), (11)")
        self.server.start()
        self.assertEqual(self.rows("later", root), [("INSERT", 1)])
        self.server.pause("later")
        reply = self.server.api("PUT", "/api/v1/changefeeds/later", {"replica_config": {
            "filter": {"event_filters": [{"matcher": ["later.t"], "ignore_insert_value_expr": "id < 10"}]}}})
        self.assertEqual(reply.status, 202, reply.text())
        self.server.resume("later")
        self.db.run("INSERT INTO later.t VALUES (2), (12)")
        self.assertEqual(self.rows("later", root)[-1], ("INSERT", 12))
        self.assertNotIn(("INSERT", 2), self.rows("later", root))

    def test_a_dropped_column_fails_the_changefeed(self):
        self.db.run("CREATE DATABASE gone", "CREATE TABLE gone.t (id INT PRIMARY KEY, age INT)")
        self.feed("gone", rule("gone.t", ignore_insert_value_expr="age > 10"))
        self.db.run("INSERT INTO gone.t VALUES (1, 1)", "ALTER TABLE gone.t DROP COLUMN age", "INSERT INTO gone.t VALUES (2)")
        self.server.wait_state("gone", "failed")
        self.assertEqual(self.server.changefeed("gone")["error"]["code"], "CDC:ErrExpressionColumnNotFound")

    def test_a_sink_that_takes_no_values(self):
        self.db.run("CREATE DATABASE black", "CREATE TABLE black.t (id INT PRIMARY KEY)")
        self.server.create("black", "blackhole://", replica_config={"filter": {"rules": ["black.*"], "event-filters": [
            rule("black.t", ignore_insert_value_expr="id % 2 = 0")]}})
        self.db.run("INSERT INTO black.t SELECT seq FROM black.seq_1_to_1000")
        self.server.wait_caught_up("black")
        metrics = self.server.api("GET", "/metrics").text().splitlines()
        for name in ("ticdc_sink_table_sink_total_rows_count", "ticdc_mounter_ignored_dml_event_count"):
            self.assertIn(name + '{namespace="default",changefeed="black"} 500', metrics)

    def test_mistakes_are_refused(self):
        self.db.run("CREATE DATABASE bad", "CREATE TABLE bad.t (id INT PRIMARY KEY, v INT AS (id + 1) VIRTUAL)")
        for number, (keys, status, code) in enumerate((
                ({"ignore_event": ["Insert"]}, 400, "CDC:ErrInvalidIgnoreEventType"),
                ({"ignore_sql": ["("]}, 400, "CDC:ErrFilterRuleInvalid"),
                ({"ignore_insert_value_expr": "id >"}, 500, "CDC:ErrInvalidFilterExpression"),
                ({"ignore_insert_value_expr": "now() > id"}, 500, "CDC:ErrInvalidFilterExpression"),
                ({"ignore_update_old_value_expr": "nope = 1"}, 500, "CDC:ErrExpressionColumnNotFound"),
                ({"ignore_delete_value_expr": "v = 1"}, 500, "CDC:ErrInvalidFilterExpression"),
                ({"ignore_event": "insert"}, 400, "CDC:ErrAPIInvalidParam"))):
            with self.subTest(str(keys)):
                body = {"changefeed_id": f"bad{number}", "sink_uri": "blackhole://", "filter_rules": ["bad.*"],
                        "replica_config": {"filter": {"event-filters": [rule("bad.t", **keys)]}}}
                reply = self.server.api("POST", "/api/v1/changefeeds", body)
                self.assertEqual((reply.status, reply.code()), (status, code), reply.text())
        # Tables that the rule is not about do not matter.
        self.server.create("bad", "blackhole://", filter_rules=["bad.*"], replica_config={"filter": {"event-filters": [
            rule("other.*", ignore_insert_value_expr="nope = 1")]}})


if __name__ == "__main__":
    main()
