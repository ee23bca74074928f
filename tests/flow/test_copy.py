#!/usr/bin/env python3
"""
A copy that stays equal: four writers change eight tables while a corpus of DDL runs, workers, gateway and supervisor are killed at
random and both databases restart.  At the end both sides are equal, by `millrace verify` and by hashing every row here, their
definitions are the same, and at each sync point the sum of the accounts was what it always is.

--pairs A:B,C:D   kinds of source and target, mariadb or mysql (mariadb:mariadb,mysql:mysql)
--seconds N,M     how long to write in each pair, the last number for all that follow (15,6)
--crashes N       how many times the target's server is killed, too (0)
--options K=V,..  settings of the source's server
--kills N,M       how many SIGKILLs in that time (6,3)       --seed N  for the same choices again
"""
import random
import subprocess
import time

from lib import equal, parts
from lib.case import Case, arguments, main
from lib.copying import ACCOUNTS, BALANCE, Definer, Writer, corpus, pair, sink_uri, tables
from lib.server import BUILD, Millrace


class Copy(Case):
    def chaos(self, source, target, seconds, kills):
        seed = args.seed or random.randrange(1, 10**6)
        print(f"      {source} to {target}, seed {seed}, {seconds} s, {kills} kills", flush=True)
        chance = random.Random(seed)
        options = dict(o.split("=", 1) for o in args.options.split(",") if o)
        up, down = pair(source, target, options, {"innodb-flush-log-at-trx-commit": "1", "sync-binlog": "1"} if args.crashes else {})
        source, target = (kind.partition("@")[0] for kind in (source, target))
        server = Millrace(up, "--tz", "UTC")
        server.create("copy", sink_uri(down) + "?worker-count=8", filter_rules=["copied.*", "corpus.*", "other.*"],
                      replica_config={"enable-sync-point": True, "sync-point-interval": "30s"})
        up.run("CREATE DATABASE copied DEFAULT CHARACTER SET utf8mb4", *tables(source, target),
               f"INSERT INTO copied.account SELECT seq, {BALANCE} FROM util.numbers WHERE seq < {ACCOUNTS}",
               f"INSERT INTO copied.savings SELECT seq, {BALANCE} FROM util.numbers WHERE seq < {ACCOUNTS}")
        server.wait_caught_up("copy")
        # What the target holds when a sync point is written, seen by the very transaction that writes it.
        down.run("CREATE DATABASE IF NOT EXISTS tidb_cdc", "CREATE DATABASE watch", "CREATE TABLE watch.sums (p VARCHAR(20), s BIGINT)",
                 "CREATE TABLE IF NOT EXISTS tidb_cdc.syncpoint_v1 (ticdc_cluster_id VARCHAR(255), changefeed VARCHAR(255), "
                 "primary_ts VARCHAR(18), secondary_ts VARCHAR(4096), created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, "
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

        def crash_target():
            down.process.popen.kill()
            down.process.wait()
            down.start()

        plan = [(chance.uniform(0.05, 0.95), crash_target) for _ in range(args.crashes)]
        plan += [(chance.uniform(0.05, 0.95), chance.choice((kill_worker, kill_worker, kill_gateway, kill_supervisor)))
                for _ in range(kills)] + [(0.4, up.restart), (0.7, down.restart)]
        writers, definer = [Writer(up, seed + i) for i in range(4)], Definer(up, corpus(source, target), seed, seconds)
        begin = time.monotonic()
        for t in [*writers, definer]:
            t.start()
        done = []
        for when, what in sorted(plan, key=lambda p: p[0]):
            time.sleep(max(0, begin + when * seconds - time.monotonic()))
            what()
            done.append(what.__name__)
        time.sleep(max(0, begin + seconds - time.monotonic()))
        for t in writers:
            t.end.set()
        parts.wait_until(lambda: definer.error or definer.done >= len(definer.corpus), 60, "the corpus has run")
        definer.end.set()
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
        equal.assert_equal(self, up, down, "copied", "corpus", "other")
        process = subprocess.run(
            [BUILD / "bin/millrace", "verify", "--upstream", up.uri(), "--downstream", down.uri(), "--settle", "0",
             *(x for s in ("copied", "corpus", "other") for x in ("--filter", f"{s}.*"))],
            capture_output=True, text=True, timeout=120, check=False)
        self.assertEqual(process.returncode, 0, process.stdout + process.stderr)
        self.assertEqual([p for p in points if p[1] != str(2 * ACCOUNTS * BALANCE)], [])
        self.assertEqual(server.sanitizer_findings(), [])
        for part in (server, up, down):
            part.stop()

    def test_the_copy_is_equal_whatever_is_killed(self):
        def number(text, i):
            numbers = [int(n) for n in text.split(",")]
            return numbers[min(i, len(numbers) - 1)]
        for i, both in enumerate(args.pairs.split(",")):
            with self.subTest(pair=both):
                self.chaos(*both.split(":"), number(args.seconds, i), number(args.kills, i))


if __name__ == "__main__":
    args = arguments(options="", crashes=0, seconds="15,6", kills="6,3", seed=0, pairs="mariadb:mariadb,mysql:mysql")
    main()
