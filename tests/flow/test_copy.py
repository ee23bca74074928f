#!/usr/bin/env python3
"""
A copy from MariaDB to MariaDB that stays equal: four writers change eight tables while a corpus of DDL runs, workers, gateway
and supervisor are killed at random and both databases restart.  At the end both sides are equal, by `millrace verify` and by
hashing every row here, their definitions are the same, and at each sync point the sum of the accounts was what it always is.

--seconds N  how long to write (20)     --kills N  how many SIGKILLs in that time (6)     --seed N  for the same choices again
"""
import hashlib
import random
import re
import subprocess
import threading
import time

from lib import parts
from lib.case import Case, arguments, main
from lib.mariadb import MariaDB
from lib.server import BUILD, Millrace
from lib.sql import SqlError

ACCOUNTS, BALANCE = 60, 1000

TABLES = {
    "plain": "id INT PRIMARY KEY, n INT NOT NULL, s VARCHAR(30), b VARBINARY(6)",
    "pair": "a INT, b VARCHAR(12), n INT, PRIMARY KEY (b, a)",
    "uniq": "id BIGINT UNSIGNED PRIMARY KEY, u INT UNIQUE, v VARCHAR(9) COLLATE utf8mb4_general_ci UNIQUE, n DECIMAL(12,3)",
    "kinds": """id INT PRIMARY KEY AUTO_INCREMENT, ti TINYINT, bi BIGINT UNSIGNED, f FLOAT, d DOUBLE, de DECIMAL(30,10), bits BIT(10), y YEAR,
        c CHAR(8) CHARACTER SET latin1, tx TEXT CHARACTER SET gbk, bl LONGBLOB, da DATE, ti6 TIME(6), dt DATETIME(3),
        ts TIMESTAMP(6) NULL, e ENUM('new','pa,id'), st SET('a','b','c'), j JSON, g POINT, u UUID, i6 INET6,
        v INT AS (ti + 1) VIRTUAL, sg INT AS (ti + 2) STORED, hidden INT INVISIBLE DEFAULT 5""",
    "account": "id INT PRIMARY KEY, balance BIGINT NOT NULL",
    "savings": "id INT PRIMARY KEY, balance BIGINT NOT NULL",
    "parts": "id INT, n INT, PRIMARY KEY (id)) PARTITION BY HASH (id) PARTITIONS 4",
    "altered": "id INT PRIMARY KEY, n INT NOT NULL",
}
# Lock waits, deadlocks, altered tables, shutdown; a duplicate that two writers make at once.
TRANSIENT = (1205, 1213, 1412, 1020, 1053, 1927, 1792, 1062)


class Writer(threading.Thread):
    """Transactions of a few statements each, until told to stop; goes on after the upstream's restart."""

    def __init__(self, db, seed):
        super().__init__(daemon=True)
        self.db, self.random, self.end, self.error = db, random.Random(seed), threading.Event(), None
        self.commits = 0

    def statements(self):
        r = self.random
        i, n, k = r.randrange(300), r.randrange(10**6), r.randrange(1, 9)
        if r.random() < 0.3:  # money moves, and its sum stays
            x, y = (f"{r.choice(('account', 'savings'))} SET balance = balance {sign} {k}" for sign in "-+")
            return [f"UPDATE {x} WHERE id = {r.randrange(ACCOUNTS)}", f"UPDATE {y} WHERE id = {r.randrange(ACCOUNTS)}"]
        choice = (
            lambda: f"INSERT IGNORE INTO plain VALUES ({i}, {n}, {r.choice(['NULL', repr('é😀' * k)])}, x'{n:010x}')",
            lambda: f"INSERT IGNORE INTO plain SELECT seq, {n}, 'many', NULL FROM seq_{i}_to_{i + 5 * k}",
            lambda: f"UPDATE plain SET n = {n} WHERE id BETWEEN {i} AND {i + k}",
            lambda: f"UPDATE IGNORE plain SET id = {r.randrange(300)} WHERE id = {i}",
            lambda: f"DELETE FROM plain WHERE id BETWEEN {i} AND {i + 2}",
            lambda: f"INSERT INTO pair VALUES ({i % 50}, 'k{n % 7}', {n}) ON DUPLICATE KEY UPDATE n = {n}",
            lambda: f"UPDATE IGNORE pair SET b = 'k{n % 7}', n = {n} WHERE a = {i % 50} AND b = 'k{r.randrange(7)}'",
            lambda: f"DELETE FROM pair WHERE a = {i % 50}",
            lambda: f"REPLACE INTO uniq VALUES ({i}, {r.choice(['NULL', str(n % 300)])}, {r.choice(['NULL', repr('Ab' + str(k))])}, {n}.5)",
            lambda: f"UPDATE IGNORE uniq SET u = {n % 300}, v = 'aB{k}' WHERE id = {i}",
            lambda: f"UPDATE uniq a, uniq b SET a.n = b.n WHERE a.id = {i} AND b.id = {i + 1}",
            lambda: f"DELETE FROM uniq WHERE id = {i}",
            lambda: f"""INSERT INTO kinds (ti, bi, f, d, de, bits, y, c, tx, bl, da, ti6, dt, ts, e, st, j, g, u, i6) VALUES ({k}, {n},
                {n} / 7, {n} / 11, -{n}.25, b'1{k:b}', 1990 + {k}, 'é{k}', '中{n}', x'00275c{n:06x}', '2024-01-0{k}', '-10:00:0{k}.5',
                '2024-05-06 07:08:0{k}.120', '2024-05-06 07:08:0{k}.000001', {k % 2 + 1}, {k % 8}, '{{"k": [{n}, "x\\\\"y"]}}',
                ST_GeomFromText('POINT({k} {n})'), UUID(), 'fe80::{n % 65536:x}')""",
            lambda: f"UPDATE kinds SET f = f / 3, d = d / 7, dt = NULL, tx = NULL, e = 2, hidden = {n} WHERE id % 50 = {i % 50}",
            lambda: f"DELETE FROM kinds WHERE id % 40 = {i % 40}",
            lambda: f"INSERT INTO parts VALUES ({i}, {n}) ON DUPLICATE KEY UPDATE n = {n}",
            lambda: f"DELETE FROM parts WHERE id BETWEEN {i} AND {i + 2}",
            lambda: f"INSERT IGNORE INTO altered (id, n) VALUES ({i}, {n})",
            lambda: f"UPDATE altered SET n = {n} WHERE id BETWEEN {i} AND {i + 5}",
            lambda: f"DELETE FROM altered WHERE id = {i}")
        return [r.choice(choice)() for _ in range(r.choice((1, 1, 2, 5)))]

    def run(self):
        try:
            self.write()
        except Exception as error:  # pylint: disable=broad-except
            self.error = error

    def write(self):
        connection = None
        while not self.end.is_set():
            try:
                if connection is None:
                    connection = self.db.connect(database="copied")
                    connection.run("SET NAMES utf8mb4")
                connection.query("BEGIN")
                for statement in self.statements():
                    connection.query(statement)
                connection.query("ROLLBACK" if self.random.random() < 0.05 else "COMMIT")
                self.commits += 1
            except SqlError as error:
                if error.code not in TRANSIENT:
                    raise
                if error.code in (1053, 1927):
                    connection = None
                else:
                    connection.query("ROLLBACK")
            except OSError:
                connection = None
                self.end.wait(0.05)


class Definer(threading.Thread):
    """Runs the corpus, one statement after the other, with rows of its tables between; then columns of `altered` come and go."""

    def __init__(self, db, seed, seconds):
        super().__init__(daemon=True)
        self.db, self.random, self.end, self.error = db, random.Random(seed), threading.Event(), None
        text = (parts.ROOT / "tests/flow/data/ddl.sql").read_text()
        self.corpus = [line for line in text.splitlines() if line and not line.startswith("--")]
        self.pause = seconds * 0.8 / len(self.corpus)
        self.done = 0

    def fill(self, connection):
        """A few rows for some table of the corpus that has `id` and `n`."""
        tables = [t for t, in connection.query(
            "SELECT t.table_name FROM information_schema.tables t JOIN information_schema.columns c USING (table_schema, table_name) "
            "WHERE t.table_schema = 'corpus' AND t.table_type = 'BASE TABLE' AND c.column_name IN ('id', 'n') GROUP BY 1 HAVING COUNT(*) = 2")]
        if tables:
            name = "`" + self.random.choice(tables).replace("`", "``") + "`"
            i = self.random.randrange(90)
            connection.query(f"INSERT IGNORE INTO {name} (id, n) SELECT seq, {i} FROM seq_{i}_to_{i + 9}")
            connection.query(f"UPDATE IGNORE {name} SET n = n + 1 WHERE id BETWEEN {i - 5} AND {i}")
            connection.query(f"DELETE FROM {name} WHERE id = {self.random.randrange(90)}")

    def again(self, connection, error):
        """The server went away in the middle: whether the statement was done is found out by what it says the second time."""
        return error.code in (1050, 1051, 1060, 1061, 1091, 1054, 1146, 1007, 1008, 1826, 1507, 1062, 4092, 1176)

    def run(self):
        try:
            self.run_all()
        except Exception as error:  # pylint: disable=broad-except
            self.error = error

    def run_all(self):
        connection, lost, columns = None, False, 1
        with self.db.connect() as c:
            c.run("CREATE DATABASE corpus")
        while not self.end.is_set():
            statement = self.corpus[self.done] if self.done < len(self.corpus) else (
                f"ALTER TABLE copied.altered ADD COLUMN IF NOT EXISTS c{columns} INT DEFAULT {columns}" if columns % 3 else
                f"ALTER TABLE copied.altered DROP COLUMN IF EXISTS c{columns - 1}")
            try:
                if connection is None:
                    connection = self.db.connect(database="corpus")
                    connection.run("SET NAMES utf8mb4", "SET lock_wait_timeout = 20")
                connection.query(statement)
            except OSError:
                connection, lost = None, True
                self.end.wait(0.05)
                continue
            except SqlError as error:
                if error.code in (1053, 1927):
                    connection, lost = None, True
                    continue
                if error.code in TRANSIENT:
                    continue
                if not (lost and self.again(connection, error)):
                    raise AssertionError(f"{statement}: {error}") from None
            lost = False
            self.done += 1
            columns += self.done > len(self.corpus)
            self.end.wait(self.pause if self.done < len(self.corpus) else 0.7)
            try:
                self.fill(connection)
            except (SqlError, OSError):
                connection = None


def tables_of(db, *schemas):
    return db.query("SELECT table_schema, table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE' AND table_schema IN "
                    f"({','.join(repr(s) for s in schemas)}) ORDER BY 1, 2")


def definition(connection, schema, table):
    text = connection.query(f"SHOW CREATE TABLE `{schema}`.`{table.replace('`', '``')}`")[0][1]
    return re.sub(r" AUTO_INCREMENT=\d+", "", text)


def row_hashes(connection, schema, table):
    """Hashes of all rows: the bytes of each value, floats with all their digits."""
    values = []
    for name, kind in connection.query(
            f"SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = '{schema}' AND "
            f"table_name = '{table.replace(chr(39), chr(39) * 2)}' ORDER BY ordinal_position"):
        name = "`" + name.replace("`", "``") + "`"
        values.append(f"HEX(CAST({name}{' + 0e0' if kind == 'float' else ''} AS BINARY))")
    rows = connection.query(f"SELECT {', '.join(values)} FROM `{schema}`.`{table.replace('`', '``')}`")
    return sorted(hashlib.sha256(repr(row).encode()).hexdigest() for row in rows)


class Copy(Case):
    def assert_equal_sides(self, up, down, *schemas):
        self.assertEqual(tables_of(up, *schemas), tables_of(down, *schemas))
        with up.connect() as a, down.connect() as b:
            for c in (a, b):
                c.run("SET NAMES utf8mb4", "SET time_zone = '+00:00'")
            for schema, table in tables_of(up, *schemas):
                with self.subTest(table=f"{schema}.{table}"):
                    self.assertEqual(definition(a, schema, table), definition(b, schema, table))
                    if "KEY" in definition(a, schema, table):
                        self.assertEqual(row_hashes(a, schema, table), row_hashes(b, schema, table))
        process = subprocess.run(
            [BUILD / "bin/millrace", "verify", "--upstream", up.uri(), "--downstream", down.uri(), "--settle", "0",
             *(x for s in schemas for x in ("--filter", f"{s}.*"))], capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(process.returncode, 0, process.stdout + process.stderr)

    def test_the_copy_is_equal_whatever_is_killed(self):
        seed = args.seed or random.randrange(1, 10**6)
        print(f"      seed {seed}, {args.seconds} s, {args.kills} kills", flush=True)
        chance = random.Random(seed)
        up, down = MariaDB({"default-time-zone": "+00:00"}), MariaDB({"server-id": "2001", "default-time-zone": "+00:00"})
        server = Millrace(up, "--tz", "UTC")
        server.create("copy", f"mysql://root@127.0.0.1:{down.port}/?worker-count=8", filter_rules=["copied.*", "corpus.*", "other.*"],
                      replica_config={"enable-sync-point": True, "sync-point-interval": "30s"})
        up.run("CREATE DATABASE copied DEFAULT CHARACTER SET utf8mb4",
               *(f"CREATE TABLE copied.{t} ({d}" + ("" if "PARTITION" in d else ")") for t, d in TABLES.items()))
        with up.connect(database="copied") as c:
            c.run(f"INSERT INTO account SELECT seq, {BALANCE} FROM seq_0_to_{ACCOUNTS - 1}",
                  f"INSERT INTO savings SELECT seq, {BALANCE} FROM seq_0_to_{ACCOUNTS - 1}")
        server.wait_caught_up("copy")
        # What the target holds when a sync point is written, seen by the very transaction that writes it.
        down.run("CREATE DATABASE IF NOT EXISTS tidb_cdc", "CREATE DATABASE watch", "CREATE TABLE watch.sums (p VARCHAR(20), s BIGINT)",
                 "CREATE TABLE IF NOT EXISTS tidb_cdc.syncpoint_v1 (ticdc_cluster_id VARCHAR(255), changefeed VARCHAR(255), "
                 "primary_ts VARCHAR(18), secondary_ts VARCHAR(18), created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, "
                 "INDEX (created_at), PRIMARY KEY (changefeed, primary_ts))",
                 "CREATE TRIGGER tidb_cdc.watch AFTER INSERT ON tidb_cdc.syncpoint_v1 FOR EACH ROW INSERT INTO watch.sums "
                 "SELECT NEW.primary_ts, (SELECT SUM(balance) FROM copied.account) + (SELECT SUM(balance) FROM copied.savings)")

        def kill_supervisor():
            server.kill()
            server.start()

        def kill_gateway():
            pid = server.gateway()
            if pid:
                parts.kill(pid)

        def kill_worker():
            for pid in server.workers():
                parts.kill(pid)

        plan = [(chance.uniform(0.05, 0.95), chance.choice((kill_worker, kill_worker, kill_gateway, kill_supervisor)))
                for _ in range(args.kills)] + [(0.4, up.restart), (0.7, down.restart)]
        writers, definer = [Writer(up, seed + i) for i in range(4)], Definer(up, seed, args.seconds)
        begin = time.monotonic()
        for t in [*writers, definer]:
            t.start()
        done = []
        for when, what in sorted(plan, key=lambda p: p[0]):
            time.sleep(max(0, begin + when * args.seconds - time.monotonic()))
            what()
            done.append(what.__name__)
        time.sleep(max(0, begin + args.seconds - time.monotonic()))
        parts.wait_until(lambda: definer.error or definer.done >= len(definer.corpus), 60, "the corpus has run")
        for t in [*writers, definer]:
            t.end.set()
        for t in [*writers, definer]:
            t.join(60)
            self.assertFalse(t.is_alive())
        for t in [*writers, definer]:
            if t.error:
                raise t.error
        state = server.changefeed("copy")["state"]
        if state in ("failed", "error"):  # too many deaths in a row; a person would resume it
            server.resume("copy")
        waiting = time.monotonic()
        server.wait_caught_up("copy", 180)
        points = down.query("SELECT p, s FROM watch.sums")
        print(f"      {sum(w.commits for w in writers)} commits, {definer.done} DDLs, {len(points)} sync points; {' '.join(done)}; "
              f"then {state}, caught up in {time.monotonic() - waiting:.1f} s", flush=True)
        self.assert_equal_sides(up, down, "copied", "corpus", "other")
        self.assertEqual([p for p in points if p[1] != str(2 * ACCOUNTS * BALANCE)], [])
        self.assertEqual(server.sanitizer_findings(), [])
        server.stop()


if __name__ == "__main__":
    args = arguments(seconds=20, kills=6, seed=0)
    main()
