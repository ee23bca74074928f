"""
What makes a copy hard to keep equal: databases of each kind, tables of every type, writers and a stream of DDL.  Which kinds of
server stand at both ends ("mariadb", "mysql") says what may be used: what only one of them knows is left out between two kinds.
"""
import concurrent.futures
import random
import threading

from lib import parts
from lib.mariadb import MariaDB
from lib.mysql import MySQL
from lib.sql import SqlError

ACCOUNTS, BALANCE = 60, 1000
COLLATE = "utf8mb4_general_ci"  # both know it


def database(kind, **options):
    """
    A server of that kind ("mariadb@FOLDER": of the version there, "mariadb@": the system's), in UTC, with a user `copy` for TCP and a
    table util.numbers of 0 to 999 in column seq.
    """
    options = {"default-time-zone": "+00:00", "character-set-server": "utf8mb4", "collation-server": COLLATE, **options}
    name, at, home = kind.partition("@")
    db = MySQL(options) if name == "mysql" else MariaDB(options, home=home if at else None)
    digits = "SELECT 0 d UNION SELECT 1 UNION SELECT 2 UNION SELECT 3 UNION SELECT 4 UNION SELECT 5 UNION SELECT 6 UNION SELECT 7 UNION SELECT 8 UNION SELECT 9"
    db.run("CREATE USER copy@'%' IDENTIFIED BY 'se:cret'", "GRANT ALL ON *.* TO copy@'%'", "CREATE DATABASE util",
           f"CREATE TABLE util.numbers (seq INT PRIMARY KEY) SELECT a.d + 10 * b.d + 100 * c.d AS seq FROM ({digits}) a, ({digits}) b, ({digits}) c")
    return db


def pair(source, target, source_options=None, target_options=None):
    """Two databases, started at the same time."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        up = pool.submit(database, source, **(source_options or {}))
        down = pool.submit(database, target, **{"server-id": "2001", **(target_options or {})})
        return up.result(), down.result()


def sink_uri(db):
    return f"mysql://copy:se%3Acret@127.0.0.1:{db.port}/"


def seq(first, last):
    return f"SELECT seq, {{}} FROM util.numbers WHERE seq BETWEEN {first} AND {last}"


def tables(source, target):
    """CREATE TABLE statements."""
    both = source == target == "mariadb"
    texts = {
        "plain": "id INT PRIMARY KEY, n INT NOT NULL, s VARCHAR(30), b VARBINARY(6)",
        "pair": "a INT, b VARCHAR(12), n INT, PRIMARY KEY (b, a)",
        "uniq": f"id BIGINT UNSIGNED PRIMARY KEY, u INT UNIQUE, v VARCHAR(9) COLLATE {COLLATE} UNIQUE, n DECIMAL(12,3)",
        "kinds": f"""id INT PRIMARY KEY AUTO_INCREMENT, ti TINYINT, bi BIGINT UNSIGNED, f FLOAT, d DOUBLE, de DECIMAL(30,10), bits BIT(10), y YEAR,
            c CHAR(8) CHARACTER SET latin1, tx TEXT CHARACTER SET gbk, bl LONGBLOB, da DATE, ti6 TIME(6), dt DATETIME(3),
            ts TIMESTAMP(6) NULL, e ENUM('new','pa,id'), st SET('a','b','c'), j JSON, g POINT,
            u {"UUID" if both else "CHAR(36)"}, i6 {"INET6" if both else "VARCHAR(39)"},
            v INT AS (ti + 1) VIRTUAL, sg INT AS (ti + 2) STORED
            {", hidden INT INVISIBLE DEFAULT 5" if source == target else ", hidden INT DEFAULT 5"}""",
        "account": "id INT PRIMARY KEY, balance BIGINT NOT NULL",
        "savings": "id INT PRIMARY KEY, balance BIGINT NOT NULL",
        "parts": "id INT, n INT, PRIMARY KEY (id)) PARTITION BY HASH (id) PARTITIONS 4",
        "altered": "id INT PRIMARY KEY, n INT NOT NULL",
    }
    return [f"CREATE TABLE copied.{t} ({d}" + ("" if "PARTITION" in d else ")") for t, d in texts.items()]


def corpus(source, target):
    """The statements of data/ddl.sql that both understand."""
    found = []
    for line in (parts.ROOT / "tests/flow/data/ddl.sql").read_text().splitlines():
        kind, _, rest = line.partition(" ")
        if not kind.startswith("@"):
            found.append(line)
        elif kind == f"@{source}" == f"@{target}":
            found.append(rest)
    return [line for line in found if line and not line.startswith("--")]


# Lock waits, deadlocks, altered tables; a duplicate that two writers make at once.
TRANSIENT = (1205, 1213, 1412, 1020, 1792, 1062)
# The server stops.
GOING = (1053, 1927, 1317, 3169)


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
            lambda: f"INSERT IGNORE INTO plain {seq(i, i + 5 * k)}".format(f"{n}, 'many', NULL"),
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
            lambda: f"UPDATE kinds SET j = JSON_SET(j, '$.k[0]', {k}, '$.z{k}', 'é') WHERE id % 30 = {i % 30}",
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
                if error.code in GOING:
                    connection = None
                elif error.code in TRANSIENT:
                    connection.query("ROLLBACK")
                else:
                    raise
            except OSError:
                connection = None
                self.end.wait(0.05)


class Definer(threading.Thread):
    """Runs the corpus, one statement after the other, with rows of its tables between; then columns of `altered` come and go."""

    def __init__(self, db, statements, seed, seconds):
        super().__init__(daemon=True)
        self.db, self.random, self.end, self.error = db, random.Random(seed), threading.Event(), None
        self.corpus = statements
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
            connection.query(f"INSERT IGNORE INTO {name} (id, n) {seq(i, i + 9)}".format(i))
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
                f"ALTER TABLE copied.altered ADD COLUMN c{columns} INT DEFAULT {columns}" if columns % 3 else
                f"ALTER TABLE copied.altered DROP COLUMN c{columns - 1}")
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
                if error.code in GOING:
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
