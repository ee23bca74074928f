#!/usr/bin/env python3
"""
MariaDB to buckets: what arrives in a folder arrives there, too; servers that are down, slow, wrong or gone; large files; kills.
One server is S3Proxy over a folder, so objects are read as files; what it cannot be made to do a small one of our own does.
"""
import json
import threading
import time

from lib import decode, parts
from lib.case import Case, main
from lib.mariadb import MariaDB
from lib.s3 import S3, Answer, FakeS3, error
from lib.server import Millrace

PLAIN = {"protocol": "canal-json", "enable-tidb-extension": "true", "flush-interval": "2s"}


class Buckets(Case):
    """What the classes below have in common; no tests."""

    @classmethod
    def setUpParts(cls):
        cls.db = MariaDB()
        cls.s3 = S3()
        cls.root = cls.s3.bucket("flow")
        # Nothing of the person who runs this may be found.
        home = parts.temp_dir("home")
        cls.env = {"HOME": str(home), "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_PROFILE": "", "AWS_REGION": ""}
        cls.server = Millrace(cls.db, env=cls.env)

    @classmethod
    def tearDownClass(cls):
        assert cls.server.sanitizer_findings() == []

    def table(self, db):
        self.db.run(f"CREATE DATABASE {db}", f"CREATE TABLE {db}.t (id INT PRIMARY KEY, v LONGTEXT)")

    def feed(self, name, sink_config=None, **query):
        """A changefeed to flow/<name>; the folder."""
        body = {"sink_config": sink_config} if sink_config else {}
        self.server.create(name, self.s3.uri(f"flow/{name}", **{**PLAIN, **query}), filter_rules=[f"{name}.*"], **body)
        return self.root / name

    def ids(self, root):
        """Of the rows inserted, in the order of the files."""
        return [int(e.data["id"]) for e in decode.storage(root)]

    def assert_numbered(self, root):
        """Per directory the files are 1, 2, 3 ..."""
        numbers = {}
        for path in decode.storage_files(root):
            numbers.setdefault(path.parent, []).append(int(path.stem.removeprefix("CDC")))
        for directory, found in numbers.items():
            self.assertEqual(found, list(range(1, len(found) + 1)), directory)


class Bucket(Buckets):
    def test_rows_definitions_and_checkpoint_arrive(self):
        self.db.run("CREATE DATABASE rowset", "CREATE TABLE rowset.`a b+c%/é` (id INT PRIMARY KEY, v VARCHAR(20)) CHARSET=utf8mb4")
        root = self.feed("rowset")
        with self.db.connect() as c:
            c.run("SET NAMES utf8mb4", "INSERT INTO rowset.`a b+c%/é` VALUES (1, 'eins'), (2, 'zwei')",
                  "UPDATE rowset.`a b+c%/é` SET v = 'due' WHERE id = 2", "DELETE FROM rowset.`a b+c%/é` WHERE id = 1",
                  "ALTER TABLE rowset.`a b+c%/é` ADD COLUMN w INT", "INSERT INTO rowset.`a b+c%/é` VALUES (3, 'tre', 7)")
        self.server.wait_caught_up("rowset")
        rows = decode.storage(root)
        self.assertEqual([(e.type, e.data["id"], e.data["v"]) for e in rows], [
            ("INSERT", "1", "eins"), ("INSERT", "2", "zwei"), ("UPDATE", "2", "due"), ("DELETE", "1", "eins"),
            ("INSERT", "3", "tre")])
        self.assertEqual({p.parent.name for p in (root / "rowset").glob("*/meta")}, {"a b+c%%2Fé"})
        schemas = decode.storage_schemas(root)
        self.assertEqual([(s["Table"], s["Type"], len(s["TableColumns"])) for s in schemas], [("a b+c%/é", 0, 2), ("a b+c%/é", 5, 3)])
        parts.wait_until(lambda: decode.storage_checkpoint(root) > rows[-1].ts, 20, "metadata holds the checkpoint")
        self.assertEqual({p.read_text() for p in root.rglob("CDC.index")}, {"CDC00000000000000000001.json\n"})

    def test_csv_arrives(self):
        self.table("comma")
        root = self.feed("comma", protocol="csv")
        self.db.run("INSERT INTO comma.t VALUES (1, 'a,\"b'), (2, NULL)")
        self.server.wait_caught_up("comma")
        self.assertEqual(decode.storage_csv(root), [["I", "t", "comma", "1", 'a,"b'], ["I", "t", "comma", "2", "\\N"]])

    def test_restarts_go_on_at_the_checkpoint(self):
        self.table("again")
        root = self.feed("again")
        for number, how in enumerate((self.server.stop, self.server.kill, self.server.stop)):
            self.db.run(f"INSERT INTO again.t VALUES ({number * 10}, 'x')")
            self.server.wait_caught_up("again")
            how()
            self.db.run(f"INSERT INTO again.t VALUES ({number * 10 + 1}, 'x')")
            self.server.start()
        self.server.wait_caught_up("again")
        self.assertEqual(sorted(set(self.ids(root))), [0, 1, 10, 11, 20, 21])
        self.assert_numbered(root)
        # The definition is known from before the restart: one schema file, one directory.
        self.assertEqual(len(decode.storage_schemas(root)), 1)

    def test_what_cannot_work_is_refused(self):
        uri = self.s3.uri
        secret = "qUiTe/secret+1"
        for what, sink, code, text in [
            ("secret", uri("flow/x", secret=secret, **PLAIN), "ErrFailToCreateExternalStorage", "SignatureDoesNotMatch"),
            ("key", uri("flow/x", key="nobodys-key", **PLAIN), "ErrFailToCreateExternalStorage", "InvalidAccessKeyId"),
            ("bucket", uri("no-such-bucket/x", **PLAIN), "ErrFailToCreateExternalStorage", "NoSuchBucket"),
            ("port", uri("flow/x", **{**PLAIN, "endpoint": f"http://127.0.0.1:{parts.free_port()}"}),
             "ErrFailToCreateExternalStorage", "onnect"),
            ("TLS", uri("flow/x", **{**PLAIN, "endpoint": self.s3.url.replace("http", "https")}),
             "ErrFailToCreateExternalStorage", "SSL"),
            ("credentials", f"s3://flow/x?protocol=csv&endpoint={self.s3.url}", "ErrFailToCreateExternalStorage", "no credentials"),
            ("protocol", uri("flow/x", protocol="open-protocol"), "ErrStorageSinkInvalidConfig", "canal-json and csv"),
            ("no bucket", "s3:///x?protocol=csv", "ErrStorageSinkInvalidConfig", "no bucket"),
            ("half a key", "s3://flow/x?protocol=csv&access-key=a", "ErrStorageSinkInvalidConfig", "together"),
            ("role", uri("flow/x", role_arn="arn", **PLAIN), "ErrStorageSinkInvalidConfig", "role-arn"),
            ("bool", uri("flow/x", force_path_style="maybe", **PLAIN), "ErrStorageSinkInvalidConfig", "force-path-style"),
            ("azure", "azblob://c/x?protocol=csv&account-name=a&account-key=k", "ErrStorageSinkInvalidConfig", "not supported"),
            ("google", "gs://b/x?protocol=csv&credentials-file=/f", "ErrStorageSinkInvalidConfig", "HMAC"),
        ]:
            with self.subTest(what):
                reply = self.server.api("POST", "/api/v1/changefeeds", {"changefeed_id": "refused", "sink_uri": sink})
                self.assertEqual((reply.code(), reply.status >= 400), ("CDC:" + code, True), reply.text())
                self.assertIn(text, reply.text())
                for hidden in (secret, self.s3.SECRET, "nobodys-key", self.s3.KEY):
                    self.assertNotIn(hidden, reply.text())
        log = self.server.log.read_text()
        for hidden in (secret, self.s3.SECRET, "nobodys-key", self.s3.KEY):
            self.assertNotIn(hidden, log)

    def test_google_through_its_s3_endpoint(self):
        self.table("goog")
        self.server.create("goog", self.s3.uri("flow/goog", scheme="gs", **PLAIN), filter_rules=["goog.*"])
        self.db.run("INSERT INTO goog.t VALUES (1, 'x')")
        # S3Proxy takes any region, as Google does.
        self.server.wait_caught_up("goog")
        self.assertEqual(self.ids(self.root / "goog"), [1])

    def test_a_large_transaction_goes_up_in_parts(self):
        self.table("large")
        root = self.feed("large")
        self.db.run("INSERT INTO large.t SELECT seq, REPEAT(CHAR(97 + seq % 26), 1000) FROM large.seq_1_to_40000",
                    "INSERT INTO large.t VALUES (50000, 'small')")
        self.server.wait_caught_up("large", 120)
        first, *_ = decode.storage_files(root)
        self.assertGreater(first.stat().st_size, 33 << 20)
        rows = decode.storage(root)
        self.assertEqual([int(e.data["id"]) for e in rows], [*range(1, 40001), 50000])
        for e in rows[:40000]:
            self.assertEqual(e.data["v"], chr(97 + int(e.data["id"]) % 26) * 1000)
        spool = self.server.data_dir / "spool"
        self.assertEqual([p for d in spool.iterdir() for p in d.iterdir()], [], "nothing waits any more")

    def test_old_objects_are_removed(self):
        root = self.root / "aged"
        self.table("aged")
        (root / "aged/t/7/2020-01-02/meta").mkdir(parents=True)
        (root / "2020-01-02").mkdir()
        old = [root / "aged/t/7/2020-01-02/CDC000001.json", root / "aged/t/7/2020-01-02/meta/CDC.index"]
        keep = [root / "2020-01-02/metadata", root / "aged/t/7/CDC000001.json"]
        for path in old + keep:
            path.write_text("x")
        self.feed("aged", {"cloud-storage-config": {"file-expiration-days": 3, "file-cleanup-cron-spec": "* * * * * *"}})
        self.db.run("INSERT INTO aged.t VALUES (1, 'x')")
        self.server.wait_caught_up("aged")
        parts.wait_until(lambda: not any(p.exists() for p in old), 20, "old objects are gone")
        for path in keep:
            self.assertTrue(path.exists(), path)
        self.assertTrue(list((root / "aged/t").rglob("CDC0*1.json")))

    def test_noop_takes_everything(self):
        self.table("void")
        self.server.create("void", "noop://?protocol=csv", filter_rules=["void.*"])
        self.db.run("INSERT INTO void.t SELECT seq, REPEAT('x', 3000) FROM void.seq_1_to_2000")
        self.server.wait_caught_up("void")


class Trouble(Buckets):

    def test_an_outage_heals(self):
        self.table("down")
        root = self.feed("down")
        self.db.run("INSERT INTO down.t VALUES (1, 'x')")
        self.server.wait_caught_up("down")
        # A short one is not even seen.
        self.s3.kill()
        self.db.run("INSERT INTO down.t VALUES (2, 'x')")
        time.sleep(2.5)  # long enough that the file is due
        self.s3.start()
        self.server.wait_caught_up("down")
        self.assertEqual(self.ids(root), [1, 2])
        # A long one is told.
        self.s3.stop()
        self.db.run("INSERT INTO down.t VALUES (3, 'x')")
        seen = self.server.wait_for("down", lambda d: d["error"], 90, "the outage is told")
        self.assertEqual(seen["error"]["code"], "CDC:ErrStorageSinkSendFailed")
        self.assertNotEqual(seen["state"], "failed")
        self.db.run("INSERT INTO down.t VALUES (4, 'x')")
        self.s3.start()
        self.server.wait_caught_up("down", 120)
        self.assertEqual(sorted(set(self.ids(root))), [1, 2, 3, 4])
        self.server.wait_state("down", "normal")
        self.assert_numbered(root)

    def test_kills_lose_nothing(self):
        self.table("kills")
        root = self.feed("kills")
        end = threading.Event()
        written = []

        def write():
            with self.db.connect() as c:
                while not end.is_set():
                    n = len(written)
                    c.run(f"INSERT INTO kills.t VALUES ({n}, REPEAT('y', {n % 50 * 2000}))")
                    written.append(n)
                    end.wait(0.01)
        writer = threading.Thread(target=write)
        writer.start()
        try:
            for round_ in range(6):
                begin = len(decode.storage_files(root))
                # Files are being written when it hits: one more has arrived, and the next are under way.
                parts.wait_until(lambda: len(decode.storage_files(root)) > begin, 60, "files arrive")
                self.server.kill_worker("kills")
                if round_ == 3:
                    self.server.kill()
                    self.server.start()
        finally:
            end.set()
            writer.join()
        self.server.wait_caught_up("kills", 120)
        rows = decode.storage(root)
        ids = [int(e.data["id"]) for e in rows]
        self.assertEqual(sorted(set(ids)), list(range(len(written))))
        for e in rows:
            self.assertEqual(e.data["v"], "y" * (int(e.data["id"]) % 50 * 2000))
        for before, after in zip(ids, ids[1:]):
            self.assertLessEqual(after, before + 1, "a restart goes back, nothing is left out")
        self.assert_numbered(root)
        parts.wait_until(lambda: self.server.worker("kills"), 30, "a worker")
        spool = self.server.data_dir / "spool"
        if spool.exists():
            left = [p for d in spool.iterdir() for p in d.iterdir() if p.stat().st_mtime < time.time() - 30]
            self.assertEqual(left, [], "what killed workers left is removed")


class Fake(Case):
    """Our own server: what is asked of it, and what it answers, is under control."""

    @classmethod
    def setUpParts(cls):
        cls.db = MariaDB()
        cls.fake = FakeS3("bkt", {"fakekey": ("fakesecret", ""), "ASIAKEY": ("pro/file+secret", "session/token+==")})
        home = parts.temp_dir("home")
        (home / ".aws").mkdir()
        (home / ".aws" / "credentials").write_text(
            "# of nobody\n[default]\naws_access_key_id = wrong\naws_secret_access_key = wrong\n\n[flow test]\n"
            "aws_access_key_id=ASIAKEY\nAWS_SECRET_ACCESS_KEY =  pro/file+secret \naws_session_token = session/token+==\n")
        cls.server = Millrace(cls.db, env={"HOME": str(home), "AWS_PROFILE": "flow test", "AWS_ACCESS_KEY_ID": "",
                                           "AWS_SECRET_ACCESS_KEY": "", "AWS_REGION": "", "AWS_DEFAULT_REGION": "",
                                           "AWS_EC2_METADATA_SERVICE_ENDPOINT": cls.fake.url})

    @classmethod
    def tearDownClass(cls):
        assert cls.server.sanitizer_findings() == []

    def setUp(self):
        self.fake.before = lambda call: None
        self.fake.calls.clear()
        self.fake.refused.clear()
        self.fake.region = "us-east-1"

    def feed(self, name, sink_config=None, keys=True, endpoint=None, **query):
        self.db.run(f"CREATE DATABASE {name}", f"CREATE TABLE {name}.t (id INT PRIMARY KEY, v LONGTEXT)")
        query = {**PLAIN, "endpoint": endpoint or self.fake.url, **{k.replace("_", "-"): v for k, v in query.items()}}
        if keys:
            query.update({"access-key": "fakekey", "secret-access-key": "fakesecret"})
        self.server.create(name, f"s3://bkt/{name}?" + "&".join(f"{k}={v}" for k, v in query.items()),
                           filter_rules=[f"{name}.*"], **({"sink_config": sink_config} if sink_config else {}))

    def insert(self, name, *ids, v="x"):
        self.db.run(*(f"INSERT INTO {name}.t VALUES ({i}, '{v}')" for i in ids))

    def files(self, name):
        """Name -> content, of the data files."""
        return {key.rpartition("/")[2]: body for key, body in sorted(self.fake.objects.items())
                if key.startswith(f"{name}/{name}/t/") and "/CDC0" in key}

    def ids(self, name):
        return [int(decode.canal_json(line).data["id"]) for body in self.files(name).values() for line in body.split(b"\r\n") if line]

    def finish(self, name):
        self.server.wait_caught_up(name, 120)
        self.server.remove(name)
        self.assertEqual(self.fake.refused, [])

    def test_credentials_of_a_profile_with_a_session(self):
        self.feed("prof", keys=False, storage_class="GLACIER_IR", sse="AES256", acl="private")
        self.insert("prof", 1)
        self.finish("prof")
        self.assertEqual(self.ids("prof"), [1])
        put = [c for c in self.fake.calls if c.method == "PUT" and "/CDC0" in c.path][0]
        self.assertEqual(put.headers["x-amz-security-token"], "session/token+==")
        self.assertEqual([put.headers[h] for h in ("x-amz-storage-class", "x-amz-server-side-encryption", "x-amz-acl")],
                         ["GLACIER_IR", "AES256", "private"])

    def test_credentials_of_the_machines_role_are_renewed(self):
        given = []

        def metadata(call):
            if call.path == "/latest/api/token" and call.method == "PUT":
                return Answer(200, b"imds-session")
            if call.headers.get("x-aws-ec2-metadata-token") != "imds-session":
                return Answer(401) if call.path.startswith("/latest/") else None
            if call.path.endswith("/security-credentials/"):
                return Answer(200, b"the-role")
            if call.path.endswith("/the-role"):
                key = f"ROLE{len(given)}"
                self.fake.keys[key] = (f"secret{len(given)}", f"token{len(given)}")
                given.append(key)
                ends = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 250))  # nearer than they are renewed
                return Answer(200, json.dumps({"Code": "Success", "AccessKeyId": key, "SecretAccessKey": self.fake.keys[key][0],
                                               "Token": self.fake.keys[key][1], "Expiration": ends}).encode())
            return None
        self.fake.before = metadata
        # No profile may come first.
        bare = Millrace(self.db, env={**self.server.env, "AWS_PROFILE": "none"})
        server, type(self).server = self.server, bare
        try:
            self.feed("role", keys=False, use_instance_role="true")
            self.insert("role", 1)
            self.finish("role")
        finally:
            type(self).server = server
            bare.stop()
        self.assertEqual(self.ids("role"), [1])
        self.assertGreater(len(given), 2)

    def test_the_buckets_region_is_learnt(self):
        self.fake.region = "eu-test-7"
        self.feed("region")
        self.insert("region", 1)
        self.finish("region")
        self.assertEqual(self.ids("region"), [1])

    def test_buckets_in_the_hosts_name(self):
        self.feed("hosts", endpoint=f"http://localhost:{self.fake.port}", force_path_style="false")
        self.insert("hosts", 1)
        self.finish("hosts")
        self.assertEqual(self.ids("hosts"), [1])
        self.assertEqual({c.headers["host"] for c in self.fake.calls}, {f"bkt.localhost:{self.fake.port}"})

    def test_a_busy_server_is_asked_again_later(self):
        times = []

        def busy(call):
            if call.method == "PUT" and "/CDC0" in call.path and len(times) < 3:
                times.append(time.monotonic())
                return error(503, "SlowDown") if len(times) < 3 else error(500, "InternalError", "we have fakesecret")
            if call.method == "PUT" and "/CDC0" in call.path:
                times.append(time.monotonic())
            return None
        self.feed("busy")
        self.fake.before = busy
        self.insert("busy", 1)
        self.finish("busy")
        self.assertEqual(self.ids("busy"), [1])
        pauses = [b - a for a, b in zip(times, times[1:])]
        self.assertGreaterEqual(pauses[0], 2)
        self.assertGreaterEqual(pauses[1], 2)
        self.assertGreaterEqual(pauses[2], 1)

    def test_files_of_others_are_never_replaced(self):
        def race(call):
            if call.method == "PUT" and call.path.endswith("1.json"):
                self.assertEqual(call.headers["if-none-match"], "*")
                # What a dying predecessor had sent arrives between the look and the upload.
                self.fake.objects.setdefault(call.path.removeprefix("/bkt/"), b"")
                self.fake.objects[call.path.removeprefix("/bkt/")] = b"a predecessor's\r\n"
            return None
        self.feed("race")
        self.fake.before = race
        self.insert("race", 1)
        self.finish("race")
        files = list(self.files("race").values())
        self.assertEqual(files[0], b"a predecessor's\r\n")
        self.assertIn(b'"id":"1"', files[1])

    def test_a_server_without_conditions(self):
        self.feed("plain")
        self.fake.before = lambda call: error(501, "NotImplemented") if "if-none-match" in call.headers else None
        self.insert("plain", 1, v="y" * 100)
        self.server.wait_caught_up("plain")
        self.insert("plain", 2)
        self.finish("plain")
        self.assertEqual(self.ids("plain"), [1, 2])
        asked = [c for c in self.fake.calls if "if-none-match" in c.headers]
        self.assertEqual(len(asked), 1, "once is enough to know")

    def large(self, name):
        self.db.run(f"INSERT INTO {name}.t SELECT seq, REPEAT('z', 9000) FROM {name}.seq_1_to_2500")

    def test_parts_whose_end_is_not_heard(self):
        lost = []

        def deaf(call):
            if call.method == "POST" and call.query.startswith("uploadId=") and len(lost) < 2:
                lost.append(call)
                if len(lost) == 1:
                    return error(200, "InternalError", "an error in a 200")
                self.fake.serve(call)
                return error(500, "InternalError", "done all the same")
            return None
        self.feed("deaf")
        self.fake.before = deaf
        self.large("deaf")
        self.finish("deaf")
        self.assertEqual(self.ids("deaf"), list(range(1, 2501)))
        self.assertEqual(len(self.files("deaf")), 1)
        self.assertEqual(self.fake.uploads, {})

    def test_parts_that_fail_are_taken_back(self):
        failed = []

        def refuse(call):
            if call.query.startswith("partNumber=2&") and not failed:
                failed.append(call)
                return error(403, "AccessDenied", "not now, fakesecret")
            return None
        self.feed("parts")
        self.fake.before = refuse
        self.large("parts")
        seen = self.server.wait_for("parts", lambda d: d["error"], 60, "the refusal is told")
        self.assertIn("AccessDenied: not now, xxxx", seen["error"]["message"])
        self.finish("parts")
        self.assertEqual(self.ids("parts"), list(range(1, 2501)))
        self.assertEqual(self.fake.uploads, {}, "the upload was aborted")
        self.assertNotIn("fakesecret", self.server.log.read_text())

    def test_old_objects_on_several_pages(self):
        old = [f"pages/pages/t/7/2020-01-0{day}/CDC00000{n}.json" for day in (1, 2) for n in (1, 2, 3)]
        self.fake.objects.update({key: b"x" for key in old})
        self.feed("pages", {"cloud-storage-config": {"file-expiration-days": 3, "file-cleanup-cron-spec": "* * * * * *"}})
        self.insert("pages", 1)
        self.server.wait_caught_up("pages")
        parts.wait_until(lambda: not set(old) & set(self.fake.objects), 20, "old objects are gone")
        self.finish("pages")
        self.assertEqual(self.ids("pages"), [1])

    def test_a_server_that_hangs_does_not_hold_up_a_pause(self):
        go_on = threading.Event()
        hanging = threading.Event()

        def hang(call):
            if call.method == "PUT" and "/CDC0" in call.path and not go_on.is_set():
                hanging.set()
                go_on.wait(60)
            return None
        self.feed("hang")
        self.fake.before = hang
        self.insert("hang", 1)
        self.assertTrue(hanging.wait(30))
        begin = time.monotonic()
        self.server.pause("hang")
        parts.wait_until(lambda: self.server.worker("hang") is None, 20, "the worker ends")
        self.assertLess(time.monotonic() - begin, 15)
        go_on.set()
        self.server.resume("hang")
        self.finish("hang")
        self.assertEqual(set(self.ids("hang")), {1})


if __name__ == "__main__":
    main()
