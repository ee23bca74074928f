#!/usr/bin/env python3
"""
Writers change several tables while workers, gateway and supervisor are killed at random and broker and upstream restart.
Afterwards a consumer that applies the messages holds exactly what the tables hold, and every partition (or table's files) is
the same sequence of transactions, in commit order, of which only whole runs from a checkpoint are repeated.

--seconds N  how long to write (20)     --kills N  how many SIGKILLs in that time (6)
--sink kafka|file|s3                    --seed N   for the same choices again
"""
import random
import re
import threading
import time

from lib import decode, parts
from lib.case import Case, arguments, main
from lib.kafka import Kafka
from lib.mariadb import MariaDB
from lib.s3 import S3
from lib.server import Millrace
from lib.sql import SqlError

TABLES = {
    "plain": "id INT PRIMARY KEY, n INT NOT NULL, s VARCHAR(30), b VARBINARY(6)",
    "pair": "a INT, b VARCHAR(12), n INT, PRIMARY KEY (b, a)",
    "uniq": "id BIGINT UNSIGNED PRIMARY KEY, u INT UNIQUE, n DECIMAL(12,3)",
    "altered": "id INT PRIMARY KEY, n INT NOT NULL",
}


class Writer(threading.Thread):
    """Transactions of a few statements each, until told to stop; goes on after the upstream's restart."""

    def __init__(self, db, seed):
        super().__init__(daemon=True)
        self.db, self.random = db, random.Random(seed)
        self.end = threading.Event()
        self.commits = 0

    def statement(self):
        r = self.random
        i, n = r.randrange(400), r.randrange(10**6)
        return r.choice((
            lambda: f"INSERT IGNORE INTO plain VALUES ({i}, {n}, {r.choice(['NULL', repr('é' * r.randrange(9))])}, "
                    f"x'{r.randrange(2**40):010x}')",
            lambda: f"INSERT IGNORE INTO plain SELECT seq, {n}, 'many', NULL FROM seq_{i}_to_{i + r.randrange(1, 40)}",
            lambda: f"UPDATE plain SET n = {n} WHERE id BETWEEN {i} AND {i + r.randrange(20)}",
            lambda: f"UPDATE IGNORE plain SET id = {r.randrange(400)} WHERE id = {i}",
            lambda: f"DELETE FROM plain WHERE id BETWEEN {i} AND {i + r.randrange(4)}",
            lambda: f"INSERT INTO pair VALUES ({i % 50}, 'k{n % 7}', {n}) ON DUPLICATE KEY UPDATE n = {n}",
            lambda: f"UPDATE IGNORE pair SET b = 'k{n % 7}', n = {n} WHERE a = {i % 50} AND b = 'k{r.randrange(7)}'",
            lambda: f"DELETE FROM pair WHERE a = {i % 50}",
            lambda: f"REPLACE INTO uniq VALUES ({i}, {r.choice(['NULL', str(n % 300)])}, {n}.5)",
            lambda: f"UPDATE IGNORE uniq SET u = {n % 300} WHERE id = {i}",
            lambda: f"UPDATE uniq SET n = n + 0.125 WHERE id BETWEEN {i} AND {i + 9}",
            lambda: f"DELETE FROM uniq WHERE id = {i}",
            lambda: f"INSERT IGNORE INTO altered (id, n) VALUES ({i}, {n})",
            lambda: f"UPDATE altered SET n = {n} WHERE id BETWEEN {i} AND {i + 5}",
            lambda: f"DELETE FROM altered WHERE id = {i}",
        ))()

    def run(self):
        connection = None
        while not self.end.is_set():
            try:
                if connection is None:
                    connection = self.db.connect(database="ledger")
                    connection.run("SET NAMES utf8mb4")
                connection.query("BEGIN")
                for _ in range(self.random.choice((1, 1, 2, 5))):
                    connection.query(self.statement())
                connection.query("ROLLBACK" if self.random.random() < 0.05 else "COMMIT")
                self.commits += 1
            except SqlError as error:
                if error.code not in (1205, 1213, 1412, 1053, 1927):  # lock waits, deadlocks, altered table, shutdown
                    raise
                if error.code in (1053, 1927):
                    connection = None
            except OSError:
                connection = None
                self.end.wait(0.05)


class Alterer(Writer):
    """Adds and drops columns of one table; a name is never used again."""

    def run(self):
        number, there = 0, []
        while not self.end.wait(1.5):
            try:
                if len(there) > 2:
                    self.db.run(f"ALTER TABLE ledger.altered DROP COLUMN {there[0]}")
                    there.pop(0)
                else:
                    number += 1
                    self.db.run(f"ALTER TABLE ledger.altered ADD COLUMN c{number} INT DEFAULT {number}")
                    there.append(f"c{number}")
                self.commits += 1
            except (SqlError, OSError):
                there = [c for c, in self.columns() if re.fullmatch(r"c\d+", c)]

    def columns(self):
        while True:
            try:
                return self.db.query("SELECT column_name FROM information_schema.columns WHERE table_schema = 'ledger' AND "
                                     "table_name = 'altered' ORDER BY ordinal_position")
            except (SqlError, OSError):
                self.end.wait(0.1)


def change(e):
    return (e.type, tuple(sorted((e.data or {}).items())), tuple(sorted((e.old or {}).items())))


def key(e):
    return (e.db, e.table, tuple(e.data[name] for name in e.pk))


class Sequence:
    """
    The true order of one partition or one table's files, learnt from what arrives.  A transaction follows the one before it,
    or the run of a restart begins anew at an earlier one and then leaves nothing out.  The changes of one key within a
    transaction always come in the same order; between keys it may differ, since deletes of split updates go first within
    what a batch holds of a transaction.
    """

    def __init__(self, test, name):
        self.test, self.name = test, name
        self.order, self.place, self.known = [], {}, {}  # commit ts in order; ts -> index there; ts -> key -> changes
        self.at, self.seen = -1, {}  # index of the transaction being read; key -> changes seen of it in this pass
        self.repeats = self.watermark = 0

    def fail(self, why, e):
        self.test.fail(f"{self.name}: {why}: {e}")

    def move_to(self, e):
        if e.ts not in self.known:
            if self.order and e.ts < self.order[-1]:
                self.fail(f"out of commit order, behind {self.order[-1]}", e)
            if self.at != len(self.order) - 1:
                self.fail(f"a run of a restart leaves out {self.order[self.at + 1]}", e)
            self.place[e.ts] = len(self.order)
            self.order.append(e.ts)
            self.known[e.ts] = {}
            to = len(self.order) - 1
        else:
            to = self.place[e.ts]
            if to > self.at + 1:
                self.fail(f"a run of a restart leaves out {self.order[self.at + 1]}", e)
        if to == self.at + 1 and self.at >= 0:
            before = self.known[self.order[self.at]]
            if any(self.seen.get(k, 0) != len(changes) for k, changes in before.items()):
                self.fail(f"transaction {self.order[self.at]} came in part", e)
        self.at, self.seen = to, {}

    def row(self, e):
        if self.at < 0 or self.order[self.at] != e.ts:
            self.move_to(e)
        k, c = key(e), change(e)
        changes, n = self.known[e.ts].setdefault(k, []), self.seen.get(key(e), 0)
        if n < len(changes) and changes[n] == c:
            self.repeats += 1
        elif changes and changes[0] == c:
            n, self.seen = 0, {}  # the same transaction once more
            self.repeats += 1
        elif n == len(changes) and self.at == len(self.order) - 1:
            if e.ts <= self.watermark:
                self.fail(f"a new row behind its watermark {self.watermark}", e)
            changes.append(c)
        else:
            self.fail(f"change {n} of its key differs from what came before, {changes}", e)
        self.seen[k] = n + 1


def check_sequence(test, name, events):
    """Gives the number of repeated rows."""
    sequence = Sequence(test, name)
    for e in events:
        if e.kind == decode.WATERMARK:
            sequence.watermark = max(sequence.watermark, e.ts)
        elif e.kind == decode.ROW:
            sequence.row(e)
    return sequence.repeats


class Ledger(Case):
    def test_nothing_is_lost_and_nothing_is_out_of_order(self):
        seed = args.seed or random.randrange(1, 10**6)
        print(f"      seed {seed}, {args.seconds} s, {args.kills} kills, sink {args.sink}", flush=True)
        chance = random.Random(seed)
        db = MariaDB()
        db.run("CREATE DATABASE ledger", *(f"CREATE TABLE ledger.{t} ({d}) DEFAULT CHARSET=utf8mb4" for t, d in TABLES.items()))
        server = Millrace(db)
        kafka = s3 = None
        extension = "protocol=canal-json&enable-tidb-extension=true"
        if args.sink == "kafka":
            kafka = Kafka()
            server.create("ledger", f"kafka://{kafka.address}/ledger?{extension}&partition-num=3", filter_rules=["ledger.*"],
                          sink_config={"dispatchers": [{"matcher": ["*.*"], "partition": "index-value"}]})
        elif args.sink == "s3":
            s3 = S3()
            root = s3.bucket("ledger")
            server.create("ledger", s3.uri("ledger", protocol="canal-json", enable_tidb_extension="true", flush_interval="2s"),
                          filter_rules=["ledger.*"])
        else:
            root = parts.temp_dir("files")
            server.create("ledger", f"file://{root}?{extension}&flush-interval=2s", filter_rules=["ledger.*"])

        def restart_supervisor():
            server.kill()
            server.start()

        def kill_gateway():
            pid = server.gateway()
            if pid:
                parts.kill(pid)

        def kill_worker():
            for pid in server.workers():
                parts.kill(pid)

        plan = [(chance.uniform(0.05, 0.95), chance.choice((kill_worker, kill_worker, kill_gateway, restart_supervisor)))
                for _ in range(args.kills)] + [(0.5, db.restart)]
        if kafka:
            plan += [(0.3, kafka.restart), (0.75, kafka.restart)]
        if s3:
            def restart_s3():
                s3.kill()
                s3.start()
            plan.append((0.6, restart_s3))
        writers = [Writer(db, seed + i) for i in range(3)] + [Alterer(db, seed)]
        begin = time.monotonic()
        for w in writers:
            w.start()
        done = []
        for when, what in sorted(plan, key=lambda p: p[0]):
            time.sleep(max(0, begin + when * args.seconds - time.monotonic()))
            what()
            done.append(what.__name__)
        time.sleep(max(0, begin + args.seconds - time.monotonic()))
        for w in writers:
            w.end.set()
        for w in writers:
            w.join(60)
            self.assertFalse(w.is_alive())
        commits = sum(w.commits for w in writers)
        self.assertGreater(commits, 50)
        state = server.changefeed("ledger")["state"]
        if state == "failed":  # too many deaths in a row; a person would resume it
            server.resume("ledger")
        waiting = time.monotonic()
        server.wait_caught_up("ledger", 180)
        waited = time.monotonic() - waiting

        if kafka:
            events = decode.of_messages(kafka.messages("ledger"), "canal-json")
            streams = {f"partition {p}": [e for e in events if e.partition == p] for p in range(3)}
        else:
            events = decode.storage(root)
            streams = {t: [e for e in events if e.table == t] for t in TABLES}
        repeats = sum(check_sequence(self, name, stream) for name, stream in streams.items())
        rows = [e for e in events if e.kind == decode.ROW]
        print(f"      {commits} commits, {len(rows)} rows, {repeats} of them repeats; {' '.join(done)}; "
              f"then {state}, caught up in {waited:.1f} s", flush=True)
        self.check_definitions(events, rows, db)
        self.check_contents(streams, db)
        self.assertEqual(server.sanitizer_findings(), [])
        server.stop()

    def check_definitions(self, events, rows, db):
        """Every row has the columns of its time; DDL messages are only in Kafka."""
        ddls = {e.ts: e.sql for e in events if e.kind == decode.DDL and e.table == "altered"}
        if not ddls:
            return
        columns, at = ["id", "n"], sorted(ddls)
        steps = [(0, columns)]
        for ts in at:
            verb, name = re.search(r"(ADD|DROP)\s+COLUMN\s+`?(\w+)", ddls[ts], re.I).groups()
            columns = [*columns, name] if verb.upper() == "ADD" else [c for c in columns if c != name]
            steps.append((ts, columns))
        for e in (e for e in rows if e.table == "altered"):
            want = [c for ts, c in steps if ts < e.ts][-1]
            self.assertEqual(list(e.data), want, f"{e}")
        names = [c for c, in db.query("SELECT column_name FROM information_schema.columns WHERE table_schema = 'ledger' AND "
                                      "table_name = 'altered' ORDER BY ordinal_position")]
        self.assertEqual(columns, names)

    def check_contents(self, streams, db):
        state = decode.State()
        for stream in streams.values():
            state.apply_all(stream)
        for table in TABLES:
            with db.connect(database="ledger") as c:
                c.run("SET NAMES utf8mb4")
                described = c.query(f"SELECT column_name, column_default, column_key FROM information_schema.columns WHERE "
                                    f"table_schema = 'ledger' AND table_name = '{table}' ORDER BY ordinal_position")
                held = c.query(f"SELECT * FROM {table}")
            names = [d[0] for d in described]
            keys = [d[0] for d in described if d[2] == "PRI"]
            want = {}
            for values in held:
                row = {n: v.decode("latin1") if isinstance(v, bytes) else v for n, v in zip(names, values)}
                want[tuple(row[k] for k in keys)] = row
            got = {}
            for row in state.rows("ledger", table).values():
                # A column added since the row's last change has its default.
                row = {n: row.get(n, d) for n, d, _ in described}
                got[tuple(row[k] for k in keys)] = row
            missing, extra = set(want) - set(got), set(got) - set(want)
            self.assertFalse(missing or extra, f"{table}: missing {sorted(missing)[:5]}, too many {sorted(extra)[:5]}")
            for key, row in want.items():
                self.assertEqual(got[key], row, f"{table} {key}")


if __name__ == "__main__":
    args = arguments(seconds=20, kills=6, sink="kafka", seed=0)
    main()
