#!/usr/bin/env python3
"""
Writers change several tables while workers, gateway and supervisor are killed at random and broker and upstream restart.
Afterwards a consumer that applies the messages holds exactly what the tables hold, and every partition (or table's files) is
the same sequence of transactions, in commit order, of which only whole runs from a checkpoint are repeated.

Once with canal-json alone, as fast as it goes; once, with fewer changes, with every protocol at the same time.

--seconds N  how long to write (20)     --kills N  how many SIGKILLs in that time (6)
--sink kafka|file|s3                    --seed N   for the same choices again
--upstream mariadb|mysql
--protocols A,B                         of the second test, instead of all; canal-json is always there
"""
import random
import re
import time

from lib import decode, decode_binary, decode_canal, decode_craft, decode_text, ledger, parts
from lib.case import Case, arguments, main
from lib.kafka import Kafka
from lib.ledger import TABLES, Alterer, History, Writer, check_sequence
from lib.mariadb import MariaDB
from lib.mysql import MySQL
from lib.registry import Front, SchemaRegistry
from lib.s3 import S3
from lib.server import Millrace

EXTENSION = "&enable-tidb-extension=true"
UPSTREAMS = {"mariadb": MariaDB, "mysql": MySQL}


class Protocol:
    """
    One changefeed of the second test.  read(messages): events of a topic's messages (of files: of their folder).  binary: see
    ledger.as_texts.  exact: messages have the commit's whole ts.  view(type, data, old): what messages tell of a change.
    """

    def __init__(self, read, query="", scheme="kafka", binary="latin1", exact=True, view=lambda *c: c):
        self.read, self.query, self.scheme, self.binary, self.exact, self.view = read, query, scheme, binary, exact, view


def without_old(kind, data, _):
    return kind, data


def without_old_and_deleted(kind, data, _):
    """DELETEs have no more than the key."""
    return kind, None if kind == "DELETE" else data


def changed_only(kind, data, old):
    """An UPDATE's old values where they differ."""
    now = dict(data)
    return kind, data, tuple((n, v) for n, v in old if v != now[n])


PROTOCOLS = {
    "canal-json": Protocol(lambda m: decode.of_messages(m, "canal-json"), EXTENSION),
    "open-protocol": Protocol(lambda m: decode.of_messages(m, "open-protocol")),
    "canal": Protocol(decode_canal.events, exact=False),
    "avro": Protocol(lambda m: decode_binary.avro_events(m, Protocols.registry), EXTENSION, exact=False,
                     view=without_old_and_deleted),
    "simple": Protocol(lambda m: decode_binary.simple_events(m, decode_binary.simple_json), binary="base64"),
    "simple-avro": Protocol(lambda m: decode_binary.simple_events(m, decode_binary.simple_avro), "&encoding-format=avro"),
    "maxwell": Protocol(decode_text.maxwell_events, binary="base64", exact=False, view=changed_only),
    "craft": Protocol(decode_craft.events),
    "debezium": Protocol(decode_text.debezium_events, binary="base64"),
    "csv": Protocol(decode_text.csv_events, scheme="file", binary="base64", view=without_old),
    "canal-json-files": Protocol(decode.storage, EXTENSION, scheme="file"),
}


class Trouble(Case):
    """What both tests do to a server, and how they look at the outcome."""

    def write(self, db, server, seed, pause, restarts):
        """Writes and kills; the writers' commits and what was done."""
        chance = random.Random(seed)

        def restart_supervisor():
            server.kill()
            server.start()

        def kill_gateway():
            pid = server.gateway()
            if pid:
                parts.kill(pid)

        def kill_workers():
            for pid in server.workers():
                parts.kill(pid)

        plan = [(chance.uniform(0.05, 0.95), chance.choice((kill_workers, kill_workers, kill_gateway, restart_supervisor)))
                for _ in range(args.kills)] + [(0.5, db.restart), *restarts]
        writers = [Writer(db, seed + i, pause) for i in range(3)] + [Alterer(db, seed)]
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
        return commits, " ".join(done)

    def catch_up(self, server, *names):
        """The states that the changefeeds were in before."""
        found = []
        for name in names:
            state = server.changefeed(name)["state"]
            if state == "failed":  # too many deaths in a row; a person would resume it
                server.resume(name)
            found.append(state)
        for name in names:
            server.wait_caught_up(name, 180)
        return found

    def check_definitions(self, events, db):
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
        for e in events:
            if e.kind == decode.ROW and e.table == "altered":
                want = [c for ts, c in steps if ts < e.ts][-1]
                self.assertEqual(list(e.data), want, f"{e}")
        names = [c for c, in db.query("SELECT column_name FROM information_schema.columns WHERE table_schema = 'ledger' AND "
                                      "table_name = 'altered' ORDER BY ordinal_position")]
        self.assertEqual(columns, names)

    def check_contents(self, name, streams, db):
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
            self.assertFalse(missing or extra, f"{name} {table}: missing {sorted(missing)[:5]}, too many {sorted(extra)[:5]}")
            for key, row in want.items():
                self.assertEqual(got[key], row, f"{name} {table} {key}")


class Ledger(Trouble):
    def test_nothing_is_lost_and_nothing_is_out_of_order(self):
        seed = args.seed or random.randrange(1, 10**6)
        print(f"      seed {seed}, {args.seconds} s, {args.kills} kills, sink {args.sink}", flush=True)
        db = UPSTREAMS[args.upstream]()
        ledger.create_tables(db)
        server = Millrace(db)
        kafka = None
        restarts = []
        extension = "protocol=canal-json" + EXTENSION
        if args.sink == "kafka":
            kafka = Kafka()
            server.create("ledger", f"kafka://{kafka.address}/ledger?{extension}&partition-num=3", filter_rules=["ledger.*"],
                          sink_config={"dispatchers": [{"matcher": ["*.*"], "partition": "index-value"}]})
            restarts = [(0.3, kafka.restart), (0.75, kafka.restart)]
        elif args.sink == "s3":
            s3 = S3()
            root = s3.bucket("ledger")
            server.create("ledger", s3.uri("ledger", protocol="canal-json", enable_tidb_extension="true", flush_interval="2s"),
                          filter_rules=["ledger.*"])

            def restart_s3():
                s3.kill()
                s3.start()
            restarts = [(0.6, restart_s3)]
        else:
            root = parts.temp_dir("files")
            server.create("ledger", f"file://{root}?{extension}&flush-interval=2s", filter_rules=["ledger.*"])
        commits, done = self.write(db, server, seed, 0, restarts)
        waiting = time.monotonic()
        state, = self.catch_up(server, "ledger")
        waited = time.monotonic() - waiting

        if kafka:
            events = decode.of_messages(kafka.messages("ledger"), "canal-json")
            streams = {f"partition {p}": [e for e in events if e.partition == p] for p in range(3)}
        else:
            events = decode.storage(root)
            streams = {t: [e for e in events if e.table == t] for t in TABLES}
        repeats = sum(check_sequence(self, name, stream).repeats for name, stream in streams.items())
        print(f"      {commits} commits, {sum(e.kind == decode.ROW for e in events)} rows, {repeats} of them repeats; {done}; "
              f"then {state}, caught up in {waited:.1f} s", flush=True)
        self.check_definitions(events, db)
        self.check_contents("canal-json", streams, db)
        self.assertEqual(server.sanitizer_findings(), [])
        server.stop()


class Protocols(Trouble):
    registry = None

    def events(self, name, source):
        """A changefeed's events by stream, with values as texts; and all of them."""
        protocol = PROTOCOLS[name]
        events = protocol.read(source)
        for e in events:
            if e.kind != decode.ROW:
                continue
            e.data = ledger.as_texts(e.table, e.data, protocol.binary)
            if e.old is not None:
                e.old = ledger.as_texts(e.table, e.old, protocol.binary)
            key = ledger.KEYS[e.table]
            self.assertEqual(sorted(e.pk or key), sorted(key), f"{name}: {e}")
            e.pk = key
        if protocol.scheme == "file":
            return {t: [e for e in events if e.table == t] for t in TABLES}, events
        return {f"partition {p}": [e for e in events if e.partition == p] for p in range(3)}, events

    def test_every_protocol_tells_the_same(self):
        seed = args.seed or random.randrange(1, 10**6)
        names = ["canal-json", *(n for n in (args.protocols.split(",") if args.protocols else PROTOCOLS) if n != "canal-json")]
        print(f"      seed {seed}, {args.seconds} s, {args.kills} kills, {' '.join(names)}", flush=True)
        db, kafka = UPSTREAMS[args.upstream](), Kafka()
        ledger.create_tables(db)
        server = Millrace(db)
        restarts = [(0.3, kafka.restart), (0.75, kafka.restart)]
        if "avro" in names:
            Protocols.registry = SchemaRegistry()
            front = Front(self.registry)

            def close_registry():
                front.close()
            restarts += [(0.4, close_registry), (0.45, front.open)]
        sources = {}
        for name in names:
            protocol, query = PROTOCOLS[name], PROTOCOLS[name].query
            kind = re.sub("-(avro|files)$", "", name)
            if protocol.scheme == "file":
                sources[name] = parts.temp_dir("files")
                server.create(name, f"file://{sources[name]}?protocol={kind}&flush-interval=2s{query}", filter_rules=["ledger.*"],
                              sink_config={"csv": {"include-commit-ts": True}} if kind == "csv" else {})
            else:
                if kind == "avro":
                    query += f"&schema-registry={front.url}"
                server.create(name, f"kafka://{kafka.address}/{name}?protocol={kind}&partition-num=3{query}",
                              filter_rules=["ledger.*"],
                              sink_config={"dispatchers": [{"matcher": ["*.*"], "partition": "index-value"}]})
        commits, done = self.write(db, server, seed, 0.01, restarts)
        waiting = time.monotonic()
        states = self.catch_up(server, *names)
        print(f"      {commits} commits; {done}; then {' '.join(sorted(set(states)))}, caught up in "
              f"{time.monotonic() - waiting:.1f} s", flush=True)

        history = None
        for name in names:
            streams, events = self.events(name, sources.get(name) or kafka.messages(name))
            with self.subTest(name):
                sequences = [check_sequence(self, f"{name} {s}", stream) for s, stream in streams.items()
                             if PROTOCOLS[name].exact]
                if history is None:
                    history = History(self, sequences)
                    self.check_definitions(events, db)
                repeats = history.check(name, events, PROTOCOLS[name].view)
                self.check_contents(name, streams, db)
                rows = sum(e.kind == decode.ROW for e in events)
                print(f"      {name}: {rows} rows, {repeats} of them repeats, {len(events) - rows} other events", flush=True)
        self.assertEqual(server.sanitizer_findings(), [])
        server.stop()


if __name__ == "__main__":
    args = arguments(seconds=20, kills=6, sink="kafka", seed=0, protocols="", upstream="mariadb")
    main()
