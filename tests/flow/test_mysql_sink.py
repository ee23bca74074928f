#!/usr/bin/env python3
"""MariaDB to MariaDB: values of every type, transactions, changed and swapped keys, DDL; kills; a target in trouble."""
import random
import re
import threading
import time

from lib import ddl_corpus, parts, same
from lib.case import Case, arguments, main
from lib.mariadb import MariaDB
from lib.server import Millrace

ARGS = arguments(seconds=12)


class Pair(Case):
    @classmethod
    def setUpParts(cls):
        cls.source = MariaDB()
        cls.target = MariaDB({"server-id": "2002"})
        cls.server = Millrace(cls.source)

    def feed(self, name, *rules, query="", **body):
        self.server.create(name, self.target.uri() + query, filter_rules=list(rules), **body)

    def equal(self, name, *schemas, timeout=60):
        self.server.wait_caught_up(name, timeout)
        self.assertEqual(same.difference(self.source, self.target, *schemas), "")
        self.assertEqual(self.server.sanitizer_findings(), [])


class Values(Pair):
    def copy_types(self, name, query=""):
        self.feed(name, f"{name}.*", query=query)
        with self.source.connect() as c:
            for text in ("SET NAMES utf8mb4", "SET time_zone='+00:00'", "SET sql_mode='NO_AUTO_VALUE_ON_ZERO'",
                  "CREATE DATABASE types", """
                CREATE TABLE types.`we``ird ?;'"` (
                    id BIGINT AUTO_INCREMENT PRIMARY KEY, ti TINYINT, si SMALLINT UNSIGNED, mi MEDIUMINT, bi BIGINT UNSIGNED,
                    f FLOAT, d DOUBLE, de DECIMAL(65,30), b1 BIT(1), bits BIT(64), y YEAR,
                    c CHAR(8), vc VARCHAR(200), tx TEXT, lt LONGTEXT, bi6 BINARY(6), vb VARBINARY(300), bl BLOB,
                    da DATE, ti6 TIME(6), dt DATETIME(3), ts TIMESTAMP(6) NULL,
                    e ENUM('new','paid','x,y','é'), s SET('a','b c','ü'), j JSON, u UUID, i6 INET6, i4 INET4,
                    l1 VARCHAR(20) CHARACTER SET latin1, gb VARCHAR(20) CHARACTER SET gbk,
                    sj VARCHAR(20) CHARACTER SET sjis, u16 VARCHAR(20) CHARACTER SET utf16, u3 VARCHAR(9) CHARACTER SET utf8mb3,
                    po POINT, ge GEOMETRY, inv INT INVISIBLE DEFAULT 7, `a``b` INT, `select` INT, `中` INT,
                    vi BIGINT AS (id * 2) VIRTUAL, st VARCHAR(20) AS (CONCAT('<', LEFT(vc, 5), '>')) STORED
                ) DEFAULT CHARSET=utf8mb4""",
                  "INSERT INTO types.`we``ird ?;'\"` (id) VALUES (0)",
                  """INSERT INTO types.`we``ird ?;'"` (id, ti, si, mi, bi, f, d, de, b1, bits, y, c, vc, tx, lt, bi6, vb, bl, da,
                        ti6, dt, ts, e, s, j, u, i6, i4, l1, gb, sj, u16, u3, po, ge, inv, `a``b`, `select`, `中`) VALUES
                    (1, -128, 65535, -8388608, 18446744073709551615, 1.1, 1.7976931348623157e308,
                     -12345678901234567890123456789012345.123456789012345678901234567890, 1, b'1000000101', 2155,
                     'ab ', 'q '' d " b \\\\ n \\n r \\r z \\Z p % _ ;', 'text 😀 é', REPEAT('😀''\\\\', 3000), x'00ff', x'005c27221a0a0d00ff',
                     x'f09f98', '2024-02-29', '-838:59:58.000001', '2024-05-06 07:08:09.120', '2024-05-06 07:08:09.000001',
                     'x,y', 'a,ü', '{"k": [1, 2.50, "<&>", null, "é\\\\"😀"]}', '123e4567-e89b-12d3-a456-426614174000', '2001:db8::ff00:42:8329',
                     '192.168.0.1', 'café ÿ', '中文', 'テスト', 'a😀', '日本', ST_PointFromText('POINT(1 2)', 4326),
                     ST_GeomFromText('POLYGON((0 0,1 0,1 1,0 0))'), 8, 1, 2, 3),
                    (2, 127, 0, 8388607, 0, -3.4e38, -2.2250738585072014e-308, 0.1, 0, 0, 0, '', '', '', '', '', '', '',
                     '0000-00-00', '838:59:59', '0000-00-00 00:00:00', '0000-00-00 00:00:00', '', '', '[]',
                     '00000000-0000-0000-0000-000000000000', '::', '0.0.0.0', '', '', '', '', '', NULL, NULL, NULL, NULL, NULL, NULL),
                    (3, 0, 1, 0, 1, 0.1, 0.1, 1e-30, 0, ~0, 1901, ' lead', 'NULL', 'a\\0b', 'tab\\t', '\\0', 'a ', '\\0\\0',
                     '2024-02-31', '00:00:00.1', '9999-12-31 23:59:59.999', '2038-01-19 03:14:07.999999', 1, 7, '"str"',
                     'ffffffff-ffff-ffff-ffff-ffffffffffff', '::ffff:1.2.3.4', '255.255.255.255', 'a ', 'a ', 'ｱ', ' ', ' ',
                     ST_PointFromText('POINT(-1.5 1e10)'), ST_GeomFromText('GEOMETRYCOLLECTION EMPTY'), 0, 0, 0, 0)""".replace(
                         "'2024-02-31'", "'2024-02-28'"),
                  "UPDATE types.`we``ird ?;'\"` SET ti = 5, vc = NULL, bl = NULL, po = NULL, e = 'é' WHERE id = 1",
                  "UPDATE types.`we``ird ?;'\"` SET vc = 'back', s = 'b c', lt = 'x' WHERE id = 2",
                  "DELETE FROM types.`we``ird ?;'\"` WHERE id = 0",
                  "SET sql_mode = 'ALLOW_INVALID_DATES'",
                  "UPDATE types.`we``ird ?;'\"` SET da = '2024-02-31' WHERE id = 3"):
                c.query(text.replace("types", name))
        self.equal(name, name)
        self.assertEqual(self.target.query(f"SELECT COUNT(*) FROM {name}.`we``ird ?;'\"`")[0][0], "3")

    def test_rows_of_every_type_arrive_as_they_are(self):
        self.copy_types("types")

    def test_the_same_as_prepared_statements(self):
        def executed():
            return int(self.target.query("SHOW GLOBAL STATUS LIKE 'Com_stmt_execute'")[0][1])
        before = executed()
        self.copy_types("prepared", "?multi-stmt-enable=false")
        self.assertGreater(executed(), before)
        before = executed()
        self.copy_types("textual", "?multi-stmt-enable=false&cache-prep-stmts=false")
        self.assertEqual(executed(), before)

    def test_tables_without_a_key_are_copied_with_force_replicate(self):
        self.feed("nokey", "nokey.*", force_replicate=True)
        self.source.run(
            "CREATE DATABASE nokey", "CREATE TABLE nokey.t (a INT, b VARCHAR(10), f FLOAT, j JSON, UNIQUE (a))",
            "CREATE TABLE nokey.n (a INT, b VARCHAR(10), f FLOAT, d DOUBLE, j JSON, de DECIMAL(10,2), ts TIMESTAMP NULL)",
            "INSERT INTO nokey.n VALUES (1, NULL, 1.1, 0.1, '{\"a\": 1}', 2.5, NOW()), (1, NULL, 1.1, 0.1, '{\"a\": 1}', 2.5, NOW())",
            "INSERT INTO nokey.n VALUES (2, 'x', NULL, NULL, NULL, NULL, NULL)",
            "UPDATE nokey.n SET b = 'y' WHERE a = 1 LIMIT 1", "DELETE FROM nokey.n WHERE b IS NULL",
            "INSERT INTO nokey.t VALUES (NULL, 'a', 1, NULL), (NULL, 'b', 2, NULL), (3, 'c', 1.1, '[1]')",
            "UPDATE nokey.t SET a = 4 WHERE b = 'a'", "UPDATE nokey.t SET a = NULL WHERE b = 'c'",
            "DELETE FROM nokey.t WHERE b = 'b'")
        self.equal("nokey", "nokey")
        self.assertEqual(self.target.query("SELECT COUNT(*) FROM nokey.n")[0][0], "2")

    def test_texts_that_are_equal_to_their_collation_are_told_apart(self):
        self.feed("twins", "twins.*", force_replicate=True)
        texts = ["a", "A", "á", "a ", "Á  ", ""]
        with self.source.connect() as c:
            c.run("SET NAMES utf8mb4", "CREATE DATABASE twins", "USE twins")
            for n, charset in enumerate(("utf8mb4", "utf8mb3", "latin1", "utf8mb4 COLLATE utf8mb4_bin")):
                c.run(f"CREATE TABLE t{n} (a INT, v VARCHAR(20) CHARACTER SET {charset}, x TEXT CHARACTER SET {charset})",
                      *(f"INSERT INTO t{n} VALUES (1, '{v}', '{x}')" for v in texts for x in texts[:3]))
                for v in texts[::-2]:
                    c.run(f"DELETE FROM t{n} WHERE HEX(v) = HEX(CONVERT('{v}' USING {charset.split()[0]})) AND x = 'a' LIMIT 2",
                          f"UPDATE t{n} SET a = a + 1 WHERE HEX(v) = HEX(CONVERT('{v}' USING {charset.split()[0]}))")
                self.assertGreater(int(c.value(f"SELECT COUNT(*) FROM t{n}")), 6)
            c.run("INSERT INTO t2 VALUES (9, _latin1 x'80818d8f909d9f', '')", "DELETE FROM t2 WHERE a = 9")  # what latin1 hardly has
        self.equal("twins", "twins")

    def test_a_dry_run_writes_nothing(self):
        self.feed("dry", "dry.*", query="?dry-run=true&dry-run-delay=20")
        self.source.run("CREATE DATABASE dry", "CREATE TABLE dry.t (id INT PRIMARY KEY)", "INSERT INTO dry.t VALUES (1), (2)",
                        "DELETE FROM dry.t WHERE id = 1")
        self.server.wait_caught_up("dry")
        self.assertEqual(self.target.query("SHOW DATABASES LIKE 'dry'"), [])
        self.server.remove("dry")

    def test_vectors_arrive_as_such_or_as_texts(self):
        """Of MariaDB 11.7 and later (MARIADB_HOME)."""
        version = self.source.query("SELECT VERSION()")[0][0]
        if tuple(map(int, version.split(".")[:2])) < (11, 7):
            self.skipTest(f"{version} has no vectors")
        for name, query, value in (("vectors", "", "VEC_ToText({})"), ("bound", "?multi-stmt-enable=false", "VEC_ToText({})"),
                                   ("texts", "?has-vector-type=true", "{}")):
            self.feed(name, f"{name}.*", query=query, force_replicate=True)
            self.source.run(
                f"CREATE DATABASE {name}", f"USE {name}", "CREATE TABLE t (id INT PRIMARY KEY, v VECTOR(3) NOT NULL, n VECTOR(2))",
                "INSERT INTO t VALUES (1, VEC_FromText('[1,2.5,-3e10]'), NULL), (2, VEC_FromText('[0,0,1.1]'), VEC_FromText('[1,1]'))",
                "CREATE TABLE k (v VECTOR(2), id INT)", "INSERT INTO k VALUES (VEC_FromText('[1,0.1]'), 1), (VEC_FromText('[2,0.1]'), 2)",
                "DELETE FROM k WHERE id = 1", "UPDATE k SET id = 3", "ALTER TABLE t ADD COLUMN w VECTOR(1)",
                "UPDATE t SET v = VEC_FromText('[9,9,9.25]'), w = VEC_FromText('[1e-7]') WHERE id = 1")
            self.server.wait_caught_up(name)
            for table, columns in (("t", "vnw"), ("k", "v")):
                source, target = (f"SELECT id, {', '.join(form.format(c) for c in columns)} FROM {name}.{table} ORDER BY id"
                                  for form in ("VEC_ToText({})", value))
                self.assertEqual(self.source.query(source), self.target.query(target))

    def scrape(self):
        """{(name, labels): value} of the SQL sink's figures; docs/metrics.md must know all that /metrics shows."""
        text = self.server.api("GET", "/metrics").text()
        page = (parts.ROOT / "docs" / "metrics.md").read_text()
        self.assertEqual([n for n in re.findall(r"^# TYPE (\S+)", text, re.M) if f"`{n}`" not in page], [])
        found = {}
        for line in text.splitlines():
            m = re.fullmatch(r'ticdc_sink_(\w+)\{namespace="default",changefeed="figures"((?:,\w+="[^"]*")*)\} (\S+)', line)
            if m is not None:
                found[m[1], m[2]] = float(m[3])
        return found

    def test_figures_of_a_copy(self):
        self.feed("figures", "figures.*", query="?worker-count=3&multi-stmt-enable=false")
        self.source.run("CREATE DATABASE figures", "CREATE TABLE figures.t (id INT PRIMARY KEY, v TEXT)")
        with self.source.connect(database="figures") as c:
            c.run("INSERT INTO t SELECT seq, REPEAT('x', 100) FROM seq_1_to_1000", "INSERT INTO t VALUES (0, REPEAT('y', 5000))",
                  *(f"UPDATE t SET v = '{n}' WHERE id = 1" for n in range(20)))
        self.equal("figures", "figures")
        rows = 1000 + 1 + 20
        parts.wait_until(lambda: self.scrape().get(("txn_worker_handled_rows", ',id="0"'), -1) >= 0 and sum(
            v for (name, _), v in self.scrape().items() if name == "txn_worker_handled_rows") == rows, 20, "rows by worker")
        found, txn = self.scrape(), ',type="TxnSink"'
        self.assertEqual(len([1 for name, _ in found if name == "txn_worker_handled_rows"]), 3)
        self.assertEqual(found["batch_row_count_sum", txn], rows)
        self.assertEqual((found["large_row_size_count", txn], found["large_row_size_sum", txn]), (1, 5008))
        self.assertEqual((found["ddl_exec_duration_count", txn], found["ddl_exec_count", txn]), (2, 2))
        self.assertGreater(found["ddl_exec_duration_sum", txn], 0)
        # 22 transactions, the first in several pieces.
        for name, more in (("flush_lag_histogram", txn), ("txn_conflict_detect_duration", ""), ("txn_queue_duration", "")):
            self.assertGreaterEqual(found[name + "_count", more], 22, name)
            self.assertLess(found[name + "_sum", more], 600)
        flushes = found["batch_row_count_count", txn]
        for name in ("txn_worker_flush_duration", "txn_worker_total_duration", "txn_sink_dml_batch_commit",
                     "txn_sink_dml_batch_callback"):
            self.assertEqual(found[name + "_count", ""], flushes, name)
        self.assertAlmostEqual(found["txn_worker_flush_duration_sum", ""], found["txn_sink_dml_batch_commit_sum", ""]
                               + found["txn_sink_dml_batch_callback_sum", ""], delta=0.001)
        self.assertGreater(found["txn_worker_total_duration_sum", ""], found["txn_worker_flush_duration_sum", ""])
        self.assertEqual(found["txn_prepare_statement_errors", ""], 0)
        self.assertEqual(found["table_sink_total_rows_count", ""], rows)
        self.assertGreater(found["write_bytes_total", txn], 100 * 1000)
        # A target that prepares no more statements gets them as texts.
        self.target.run("SET GLOBAL max_prepared_stmt_count = 0")
        self.source.run("INSERT INTO figures.t VALUES (-2, 'a'), (-3, 'b'), (-4, 'c')")
        self.equal("figures", "figures")
        parts.wait_until(lambda: self.scrape().get(("txn_prepare_statement_errors", ""), 0) > 0, 20, "the failure to be counted")
        self.target.run("SET GLOBAL max_prepared_stmt_count = 16382")
        rows += 3
        # A worker that dies takes nothing away.
        parts.kill(self.server.worker("figures"))
        self.source.run("INSERT INTO figures.t VALUES (-1, 'z')")
        self.equal("figures", "figures")
        parts.wait_until(lambda: self.scrape().get(("batch_row_count_sum", txn), 0) > rows, 20, "rows of the second worker")
        self.assertEqual(self.server.api("DELETE", "/api/v1/changefeeds/figures").status, 202)
        parts.wait_until(lambda: not self.scrape(), 20, "series to go")


class Order(Pair):
    """Rows that share keys, from several writers, through one worker and through sixteen, with and without kills."""

    def prepare(self, schema):
        self.source.run(f"CREATE DATABASE {schema}", f"""
            CREATE TABLE {schema}.a (id INT PRIMARY KEY, u VARCHAR(20) COLLATE utf8mb4_general_ci, n INT, pad VARCHAR(100),
                UNIQUE (u))""", f"CREATE TABLE {schema}.b (x INT, y VARCHAR(10), v INT, w INT, PRIMARY KEY (y, x), UNIQUE (w))",
            f"CREATE TABLE {schema}.bank (id INT PRIMARY KEY, money INT)",
            f"INSERT INTO {schema}.bank VALUES " + ", ".join(f"({i}, 1000)" for i in range(50)))

    def write(self, schema, seed, until):
        rnd = random.Random(seed)
        with self.source.connect() as c:
            while time.monotonic() < until:
                try:
                    c.query("BEGIN")
                    for _ in range(rnd.randint(1, 5)):
                        c.query(self.statement(schema, rnd))
                    c.query("COMMIT")
                except Exception as error:  # noqa: BLE001 - a duplicate or a deadlock is part of the game
                    if getattr(error, "code", 0) not in (1062, 1213, 1205):
                        raise
                    c.query("ROLLBACK")

    @staticmethod
    def statement(schema, rnd):
        i, j, k = rnd.randint(1, 60), rnd.randint(1, 60), rnd.randint(0, 999)
        u = rnd.choice(["U{}", "u{}", "ú{} ", "Ü{}"]).format(j)
        return rnd.choice([
            f"INSERT IGNORE INTO {schema}.a VALUES ({i}, '{u}', {k}, REPEAT('p', {k % 100}))",
            f"REPLACE INTO {schema}.a VALUES ({i}, '{u}', {k}, '')",
            f"UPDATE IGNORE {schema}.a SET u = '{u}', n = {k} WHERE id = {i}",
            f"UPDATE IGNORE {schema}.a SET id = {j} WHERE id = {i}",
            f"UPDATE {schema}.a SET n = n + 1 WHERE id BETWEEN {i} AND {i + 5}",
            f"DELETE FROM {schema}.a WHERE id = {i}",
            f"DELETE FROM {schema}.a WHERE id BETWEEN {i} AND {i + 3}",
            f"INSERT IGNORE INTO {schema}.b VALUES ({i % 7}, 'k{j % 9}', {k}, {i})",
            f"UPDATE IGNORE {schema}.b SET y = 'k{i % 9}', w = {j} WHERE x = {j % 7}",
            f"DELETE FROM {schema}.b WHERE x = {i % 7} AND v < {k}",
            f"UPDATE {schema}.bank SET money = money + IF(id = {i % 50}, -{k}, {k}) WHERE id IN ({i % 50}, {(i + 1 + j % 49) % 50})"
            if i % 50 != (i + 1 + j % 49) % 50 else f"UPDATE {schema}.bank SET money = money WHERE id = 1",
        ])

    def run_writers(self, schema, seconds, meanwhile=None):
        until = time.monotonic() + seconds
        threads = [threading.Thread(target=self.write, args=(schema, n, until)) for n in range(4)]
        for t in threads:
            t.start()
        while meanwhile is not None and time.monotonic() < until:
            meanwhile()
        for t in threads:
            t.join()

    def test_one_worker(self):
        self.feed("one", "one.*", query="?worker-count=1")
        self.prepare("one")
        self.run_writers("one", 3)
        self.equal("one", "one")

    def test_sixteen_workers(self):
        self.feed("many", "many.*")
        self.prepare("many")
        self.run_writers("many", 4)
        self.equal("many", "many")
        self.assertEqual(self.target.query("SELECT SUM(money) FROM many.bank")[0][0],
                         self.source.query("SELECT SUM(money) FROM many.bank")[0][0])

    def test_lists_find_rows_by_keys_of_every_type(self):
        keys = {"i": ("INT", "n"), "bu": ("BIGINT UNSIGNED", "18446744073709551615 - n"), "de": ("DECIMAL(20,5)", "n / 7"),
                "dt": ("DATETIME(3)", "'2024-01-01 00:00:00.5' + INTERVAL n * 7 MINUTE"), "ts": ("TIMESTAMP(6)", "FROM_UNIXTIME(n * 1e5 + 1.5)"),
                "da": ("DATE", "'2000-02-28' + INTERVAL n DAY"), "ti": ("TIME(2)", "SEC_TO_TIME(n * 1000.25 - 50000)"),
                "y": ("YEAR", "1901 + n"), "v": ("VARCHAR(20)", "CONCAT('k\\\\é ''', n)"), "l": ("CHAR(9) CHARACTER SET latin1", "CONCAT('ÿ', n)"),
                "b": ("VARBINARY(9)", "CONCAT(x'00ff5c27', n)"), "bi": ("BINARY(5)", "n"), "bt": ("BIT(12)", "n"), "f": ("FLOAT", "n / 10"),
                "d": ("DOUBLE", "n / 3"), "e": (f"ENUM({', '.join(repr(str(n)) for n in range(100))})", "n + 1")}
        self.feed("lists", "lists.*", query="?where-clause=v2&worker-count=1")
        with self.source.connect() as c:
            c.run("SET NAMES utf8mb4", "SET time_zone = '+00:00'", "CREATE DATABASE lists", "USE lists")
            for name, (kind, value) in keys.items():
                for table, key in ((name, "k"), (name + "_2", "z, k")):
                    c.run(f"CREATE TABLE {table} (k {kind} NOT NULL, z INT, v INT, PRIMARY KEY ({key}))",
                          f"INSERT INTO {table} SELECT {value.replace('n', 'seq', 1) if value == 'n' else re.sub(chr(92) + 'bn' + chr(92) + 'b', 'seq', value)}, "
                          f"seq % 5, 0 FROM seq_0_to_60", f"DELETE FROM {table} WHERE k IN (SELECT k FROM (SELECT k FROM {table} LIMIT 40) x)")
                    self.assertGreater(int(c.value(f"SELECT COUNT(*) FROM {table}")), 15)
        self.equal("lists", "lists")

    def test_unique_prefixes_that_move_between_rows(self):
        """
        Keys of two characters (and a virtual column of them): an UPDATE takes a value that another has just given up, whatever stands behind it.  Were they
        done in another order, the row in the way would be overwritten, and its own change would not find it.
        """
        names = {"prefix": ("latin1 COLLATE latin1_bin", "UNIQUE (u(2))"), "prefixci": ("utf8mb4 COLLATE utf8mb4_unicode_ci", "UNIQUE (n, u(2))"),
                 "virtual": ("utf8mb4", "g VARCHAR(2) AS (LEFT(u, 2)) VIRTUAL, UNIQUE (g)")}
        for name, (charset, index) in names.items():
            self.feed(name, f"{name}.*", query="?worker-count=8&max-txn-row=3")
            self.source.run(f"CREATE DATABASE {name}", f"""CREATE TABLE {name}.t (id INT PRIMARY KEY, n INT NOT NULL,
                u VARCHAR(50) CHARACTER SET {charset}, {index})""", f"CREATE TABLE {name}.probe (id INT AUTO_INCREMENT PRIMARY KEY)")
            if name == "prefix":  # a definition that is read, and one that was seen in the making
                self.server.wait_caught_up(name)
                parts.kill(self.server.worker(name))
            self.source.run("SET NAMES utf8mb4", f"USE {name}", f"INSERT INTO t (id, n, u) SELECT seq, 1, CONCAT(CHAR(65 + seq USING latin1), 'é', seq) "
                            f"FROM seq_1_to_20")
        for name in names:
            def inserts():  # no longer REPLACE, as after a start
                before = self.target.query("SHOW GLOBAL STATUS LIKE 'Com_insert'")
                self.source.run(f"INSERT INTO {name}.probe VALUES ()")
                self.server.wait_caught_up(name)
                return self.target.query("SHOW GLOBAL STATUS LIKE 'Com_insert'") != before
            parts.wait_until(inserts, 30, "rows to count as new", 0.5)
            with self.target.connect() as gate, self.source.connect() as c:
                gate.run(f"LOCK TABLES {name}.t WRITE")
                c.run("SET NAMES utf8mb4")
                rnd = random.Random(5)
                for i in range(1000):
                    letter = chr(65 + rnd.randrange(23) + rnd.choice([0, 32]) * (name != "prefix"))
                    c.run(f"UPDATE IGNORE {name}.t SET u = '{letter}{rnd.choice('éÉ') if name != 'prefix' else 'é'}{i}' "
                          f"WHERE id = {rnd.randint(1, 20)}")
                gate.run("UNLOCK TABLES")
            self.equal(name, name)
            self.assertEqual(self.target.query(f"SELECT COUNT(*) FROM {name}.t")[0][0], "20")

    def test_no_batches_no_multi_statements(self):
        self.feed("single", "single.*", query="?batch-dml-enable=false&multi-stmt-enable=false&worker-count=4")
        self.prepare("single")
        self.run_writers("single", 2)
        self.equal("single", "single")

    def test_a_large_transaction_stays_whole_where_that_is_asked_for(self):
        self.feed("whole", "whole.*", query="?transaction-atomicity=table&worker-count=4")
        self.source.run("CREATE DATABASE whole", "CREATE TABLE whole.t (id INT PRIMARY KEY, n INT, pad VARCHAR(200))")
        self.server.wait_caught_up("whole")
        seen, over = set(), threading.Event()

        def watch():
            with self.target.connect() as c:
                while not over.is_set():
                    seen.add(c.value("SELECT CONCAT(COUNT(*), '/', IFNULL(SUM(n), 0)) FROM whole.t"))
        watcher = threading.Thread(target=watch)
        watcher.start()
        with self.source.connect(database="whole") as c:
            c.run("BEGIN", "INSERT INTO t SELECT seq, 1, REPEAT('x', 200) FROM seq_1_to_20000", "UPDATE t SET n = 2 WHERE id > 15000",
                  "COMMIT", "INSERT INTO t VALUES (0, 0, '')", "BEGIN", "UPDATE t SET n = 3", "COMMIT", "DELETE FROM t WHERE id = 0")
        self.equal("whole", "whole")
        over.set()
        watcher.join()
        self.assertLessEqual(seen, {"0/0", "1/0", "20000/25000", "20001/25000", "20001/60003", "20000/60000"})

    def test_workers_that_are_killed(self):
        self.feed("kill", "kill_.*")
        self.prepare("kill_")
        killed = []

        def kill():
            time.sleep(random.uniform(0.2, 1.2))
            pid = self.server.worker("kill")
            if pid:
                parts.kill(pid)
                killed.append(pid)
        self.run_writers("kill_", ARGS.seconds, kill)
        self.assertGreater(len(killed), 3)
        self.equal("kill", "kill_", timeout=120)


class Ddl(Pair):
    def walk(self, schema, pause=None):
        with self.source.connect() as c:
            c.run("SET NAMES utf8mb4", "SET sql_mode = ''")
            for text in ddl_corpus.statements(schema):
                c.query(text)
                if pause is not None:
                    time.sleep(pause)

    def test_a_walk_through_all_kinds_of_ddl(self):
        self.feed("walk", "walk*.*")
        self.walk("walk")
        self.equal("walk", "walk", "walk2", timeout=180)
        self.assertNotIn("walk_gone", same.schemas(self.target))

    def test_the_same_while_workers_are_killed(self):
        self.feed("shot", "shot*.*")
        over = threading.Event()
        killed = []

        def kill():
            while not over.wait(random.uniform(0.3, 1.5)):
                pid = self.server.worker("shot")
                if pid:
                    parts.kill(pid)
                    killed.append(pid)
        killer = threading.Thread(target=kill)
        killer.start()
        try:
            self.walk("shot", 0.05)
        finally:
            over.set()
            killer.join()
        self.assertGreater(len(killed), 3)
        self.equal("shot", "shot", "shot2", timeout=90)

    def test_a_statement_that_takes_long_is_shown(self):
        self.source.run("CREATE DATABASE slow", "CREATE TABLE slow.t (id INT PRIMARY KEY)")
        self.target.run("CREATE DATABASE slow", "CREATE TABLE slow.t (id INT PRIMARY KEY)")
        self.feed("slow", "slow.*")
        with self.target.connect() as reader:
            # The target cannot alter what a transaction has read.
            reader.query("BEGIN")
            reader.query("SELECT * FROM slow.t")
            self.source.run("ALTER TABLE slow.t ADD COLUMN v INT DEFAULT 7")
            shown = parts.wait_until(lambda: self.server.changefeed("slow").get("running_ddl"), 30, "the DDL is shown")
            self.assertIn("ADD COLUMN v INT DEFAULT 7", shown["query"])
            self.assertGreaterEqual(shown["seconds"], 1)
            name = 'millrace_sink_running_ddl_seconds{namespace="default",changefeed="slow"} '
            figure = [line for line in self.server.request("GET", "/metrics").text().splitlines() if line.startswith(name)]
            self.assertGreater(float(figure[0].split()[-1]), 1)
            parts.wait_until(lambda: "a DDL is running downstream for_s=1" in self.server.log.read_text(), 30, "it is logged")
            reader.query("COMMIT")
        self.source.run("INSERT INTO slow.t (id) VALUES (1)")
        self.equal("slow", "slow")
        self.assertNotIn("running_ddl", self.server.changefeed("slow"))

    def test_indexes_without_a_name_get_the_one_of_the_source(self):
        self.feed("names", "names.*")
        self.source.run("CREATE DATABASE names", "CREATE TABLE names.t (id INT PRIMARY KEY, a INT, b INT, KEY (b))")
        self.server.wait_caught_up("names")
        self.target.run("ALTER TABLE names.t RENAME INDEX b TO other")
        self.source.run("ALTER TABLE names.t ADD UNIQUE (b), ADD INDEX (a, b)")
        self.server.wait_caught_up("names")
        indexes = "SELECT DISTINCT index_name FROM information_schema.statistics WHERE table_schema = 'names' ORDER BY 1"
        self.assertEqual(self.source.query(indexes), [("a",), ("b",), ("b_2",), ("PRIMARY",)])
        self.assertEqual(self.target.query(indexes), [("a",), ("b_2",), ("other",), ("PRIMARY",)])
        self.source.run("ALTER TABLE names.t DROP INDEX b_2, DROP INDEX a")
        self.server.wait_caught_up("names")
        self.assertEqual(self.target.query(indexes), [("other",), ("PRIMARY",)])

    def test_a_changefeed_of_an_old_name_does_its_ddl_again(self):
        for db in (self.source, self.target):
            db.run("CREATE DATABASE anew")
        self.feed("anew", "anew.*")
        start = self.server.changefeed("anew")["start_ts"]
        self.source.run("CREATE TABLE anew.t (id INT PRIMARY KEY)")
        self.equal("anew", "anew")
        self.server.remove("anew")
        self.target.run("DROP TABLE anew.t")
        self.feed("anew", "anew.*", start_ts=start)
        self.equal("anew", "anew")
        done = [line for line in self.server.log.read_text().splitlines() if "anew/0: DDL was done before the last stop" in line]
        self.assertEqual(done, [])

    def test_a_statement_that_the_target_refuses_is_named_and_can_be_skipped(self):
        self.feed("refused", "refused.*")
        self.source.run("CREATE DATABASE refused", "CREATE TABLE refused.t (id INT PRIMARY KEY)")
        self.server.wait_caught_up("refused")
        self.target.run("DROP TABLE refused.t", "CREATE TABLE refused.t (id INT)")
        self.source.run("ALTER TABLE refused.t DROP PRIMARY KEY, ADD COLUMN x INT, ADD PRIMARY KEY (id)")
        self.server.wait_caught_up("refused")  # "cannot drop" counts as done
        self.source.run("CREATE TABLE refused.like_x (id INT PRIMARY KEY)")
        self.server.wait_caught_up("refused")
        self.target.run("DROP TABLE refused.like_x")
        self.source.run("ALTER TABLE refused.like_x ADD COLUMN y INT", "CREATE TABLE refused.later (id INT PRIMARY KEY)",
                        "INSERT INTO refused.later VALUES (1)")
        seen = self.server.wait_for("refused", lambda d: d.get("error") and "ErrExecDDLFailed" in d["error"]["code"], 60,
                                 "the refusal is told")
        text = seen["error"]["message"]
        self.assertIn("ALTER TABLE refused.like_x ADD COLUMN y INT", text)
        start_ts = int(text.partition("startTs: ")[2].partition(":")[0])
        self.server.pause("refused")
        self.server.update("refused", filter_rules=["refused.*"], ignore_txn_start_ts=[start_ts])
        self.server.resume("refused")
        self.server.wait_caught_up("refused")
        self.assertEqual(self.target.query("SELECT id FROM refused.later"), [("1",)])


if __name__ == "__main__":
    main()
