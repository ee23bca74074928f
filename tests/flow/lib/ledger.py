"""
The ledger: writers that change several tables, the order in which their changes must arrive, and what a consumer then holds.
"""
import base64
import decimal
import random
import re
import threading

from lib import decode
from lib.sql import SqlError

TABLES = {
    "plain": "id INT PRIMARY KEY, n INT NOT NULL, s VARCHAR(30), b VARBINARY(6)",
    "pair": "a INT, b VARCHAR(12), n INT, PRIMARY KEY (b, a)",
    "uniq": "id BIGINT UNSIGNED PRIMARY KEY, u INT UNIQUE, n DECIMAL(12,3)",
    "altered": "id INT PRIMARY KEY, n INT NOT NULL",
}
KEYS = {"plain": ["id"], "pair": ["b", "a"], "uniq": ["id"], "altered": ["id"]}
# Columns that are no integers.
_KINDS = {("plain", "s"): "text", ("plain", "b"): "binary", ("pair", "b"): "text", ("uniq", "n"): "decimal"}


def create_tables(db):
    db.run("CREATE DATABASE ledger", *(f"CREATE TABLE ledger.{t} ({d}) DEFAULT CHARSET=utf8mb4" for t, d in TABLES.items()))


def as_texts(table, values, binary):
    """
    A row's values as the server prints them, binary ones in latin1.  binary: how the protocol has those, "base64" or "latin1"
    (or bytes).
    """
    found = {}
    for name, value in values.items():
        kind = _KINDS.get((table, name), "int")
        if value is None:
            found[name] = None
        elif kind == "decimal":
            found[name] = f"{decimal.Decimal(str(value)):.3f}"
        elif kind == "binary":
            if isinstance(value, str):
                value = base64.b64decode(value, validate=True) if binary == "base64" else value.encode("latin1")
            found[name] = value.decode("latin1")
        else:
            assert isinstance(value, str if kind == "text" else (int, str)) and not isinstance(value, bool), (table, name, value)
            found[name] = str(value)
    return found


class Writer(threading.Thread):
    """
    Transactions of a few statements each, until told to stop; goes on after the upstream's restart.  pause: seconds between
    them.
    """

    def __init__(self, db, seed, pause=0):
        super().__init__(daemon=True)
        self.db, self.random, self.pause = db, random.Random(seed), pause
        self.end = threading.Event()
        self.commits = 0

    def statement(self):
        r = self.random
        i, n = r.randrange(400), r.randrange(10**6)
        return r.choice((
            lambda: f"INSERT IGNORE INTO plain VALUES ({i}, {n}, {r.choice(['NULL', repr('é' * r.randrange(9))])}, "
                    f"x'{r.randrange(2**40):010x}')",
            lambda: "INSERT IGNORE INTO plain VALUES " + ", ".join(f"({i + k}, {n}, 'many', NULL)" for k in range(r.randrange(2, 41))),
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
                if self.pause:
                    self.end.wait(self.pause)
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
        self.test.fail(f"{self.name}: {why}: {e}; before it {self.order[max(0, self.at - 2):self.at + 1]}, then known "
                       f"{self.order[self.at + 1:self.at + 4]}, the last {self.order[-1:]}")

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
    """The sequence of the events, checked."""
    sequence = Sequence(test, name)
    for e in events:
        if e.kind == decode.WATERMARK:
            sequence.watermark = max(sequence.watermark, e.ts)
        elif e.kind == decode.ROW:
            sequence.row(e)
    return sequence


class History:
    """
    All changes of every key in their order, as sequences have them, beside which other changefeeds' messages of the same tables
    are laid.  Without times: two changefeeds may give a transaction times that differ by some ms.
    """

    def __init__(self, test, sequences):
        self.test, self.changes = test, {}
        for sequence in sequences:
            for ts in sequence.order:
                for k, changes in sequence.known[ts].items():
                    self.changes.setdefault(k, []).extend(changes)

    def check(self, name, events, view):
        """
        Each event is the next change of its key, or one that came before, after which the following ones come again; and none
        is missing at the end.  What is new of a partition or table never goes back in time.  view(type, data, old): what the
        protocol tells of a change.  Gives the number of repeats.
        """
        told = {k: [view(*c) for c in changes] for k, changes in self.changes.items()}
        at, new, repeats, time = dict.fromkeys(told, -1), dict.fromkeys(told, -1), 0, {}
        for e in events:
            if e.kind != decode.ROW:
                continue
            k, this = key(e), view(*change(e))
            if k not in told:
                self.test.fail(f"{name}: a row that never was: {e}")
            # Going on from the furthest place allows whatever any other would.
            here = next((i for i in range(min(at[k] + 1, len(told[k]) - 1), -1, -1) if told[k][i] == this), None)
            if here is None:
                self.test.fail(f"{name}: {e} is none of the changes up to {told[k][max(0, at[k] - 1):at[k] + 2]}")
            at[k] = here
            if here <= new[k]:
                repeats += 1
                continue
            new[k] = here
            if e.ts is not None:
                stream = e.table if e.partition is None else e.partition
                if e.ts < time.get(stream, 0):
                    self.test.fail(f"{name}: {e} is older than what came before, {time[stream]}")
                time[stream] = e.ts
        for k, changes in told.items():
            if at[k] != len(changes) - 1:
                self.test.fail(f"{name}: {k} ends with change {at[k]} of {len(changes)}; then {changes[at[k] + 1]} is missing")
        return repeats
