#!/usr/bin/env python3
"""
API v1 against real processes: the recorded exchanges in order, then every operation with every way to fail.
"""
import base64
import http.client
import json
import pathlib
import re
import socket
import ssl
import subprocess
import sys
import time
import warnings

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lib import case, parts  # noqa: E402
from lib.mariadb import MariaDB  # noqa: E402
from lib.server import Millrace  # noqa: E402

GOLDEN = parts.ROOT / "tests" / "golden" / "api" / "v1.exchanges"
TYPES = {"json": "application/json; charset=utf-8", "legacy": "application/json", "404": "text/plain",
         "html": "text/html; charset=utf-8", "none": None}
KINDS = {"tso": r"\d{17,19}", "time": r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}", "version": r"v8\.5\.0\+millrace\.[0-9.]+",
         "hash": r"[0-9a-z]+", "pid": r"\d+", "upstream": r"\d+", "ids": r"\[(?:\n +-?\d+,?)*\s*\]", "...": r"[^\n]*", "lf": "\n"}
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


def exchanges():
    """(method, target, body, status, kind, reply) of each block."""
    for block in GOLDEN.read_text().split("\n\n"):
        lines = [line for line in block.splitlines() if not line.startswith(("#", "-- "))]
        if not lines:
            continue
        sent = [line[2:] for line in lines if line.startswith("> ")]
        status, kind = next(line[2:] for line in lines if line.startswith("< ")).split()
        at = next(i for i, line in enumerate(lines) if line.startswith("< "))
        method, target = sent[0].split(" ", 1)
        yield method, target, "\n".join(sent[1:]), int(status), kind, "\n".join(lines[at + 1:])


def pattern(text, known):
    """A regular expression for text with its {placeholders}."""
    parts_ = re.split(r"\{(\w+|\.\.\.)\}", text)
    out = re.escape(parts_[0])
    for name, rest in zip(parts_[1::2], parts_[2::2]):
        out += (re.escape(known[name]) if name in known else KINDS[name]) + re.escape(rest)
    return out + r"\Z"


def raw(port, text, until_close=True, timeout=20):
    """Bytes sent and bytes received: what http.client would hide or refuse."""
    with socket.create_connection(("127.0.0.1", port), timeout) as s:
        s.sendall(text if isinstance(text, bytes) else text.encode())
        got = b""
        while until_close:
            data = s.recv(65536)
            if not data:
                break
            got += data
        return got.decode(errors="replace")


class Api(case.Case):
    made = None

    @classmethod
    def setUpParts(cls):
        if Api.made is None:  # one upstream for all classes
            Api.made = MariaDB()
            Api.made.run("CREATE DATABASE api", "CREATE TABLE api.good (id INT PRIMARY KEY, v TEXT)")
        cls.upstream = Api.made
        cls.server = Millrace(cls.upstream)
        cls.capture = cls.server.api("GET", "/api/v1/status").json()["id"]

    def ask(self, method, target, body=None, headers=None):
        return self.server.api(method, target, body, headers)

    def check(self, reply, status, code=None, text=None, kind=None):
        """status, the error's code, its text behind the code (a regular expression), the content type."""
        shown = f"{reply.status} {reply.text()}"
        self.assertEqual(reply.status, status, shown)
        kind = kind or ("json" if code else "none")
        self.assertEqual(reply.headers.get("Content-Type"), TYPES[kind], shown)
        self.assertEqual(int(reply.headers.get("Content-Length")), len(reply.body))
        if code is None:
            if kind == "none":
                self.assertEqual(reply.body, b"")
            return
        document = reply.json()
        self.assertEqual(list(document), ["error_msg", "error_code"])
        self.assertEqual(document["error_code"], f"CDC:{code}", shown)
        self.assertTrue(document["error_msg"].startswith(f"[CDC:{code}]"), shown)
        if text is not None:
            self.assertRegex(document["error_msg"][len(code) + 6:], rf"\A{text}\Z")
        self.assertRegex(reply.text(), r'\A\{\n    "error_msg": ".*",\n    "error_code": ".*"\n\}\Z')

    def feed(self, name, **body):
        """A blackhole changefeed that is there and runs."""
        if self.ask("GET", f"/api/v1/changefeeds/{name}").status != 200:
            self.server.create(name, body.pop("sink_uri", "blackhole://"), filter_rules=["api.good"], **body)
        return name

    def gone(self, name):
        self.check(self.ask("DELETE", f"/api/v1/changefeeds/{name}"), 202)


class Recorded(Api):
    def test_exchanges_of_the_reference_in_order(self):
        known = {"capture": self.capture, "address": self.server.address, "bom": "\ufeff"}
        for number, (method, target, body, status, kind, reply) in enumerate(exchanges()):
            with self.subTest(f"{number} {method} {target} {body}"):
                def fill(text):
                    return re.sub(r"\{(capture|bom)\}", lambda m: known[m.group(1)], text)
                if "task_status" in reply and '"normal"' in reply:
                    # The first words of a new worker are on their way.
                    parts.wait_until(lambda: self.ask(method, fill(target)).json()["task_status"][0]["table_ids"], 20,
                                     "tables of the new changefeed")
                got = self.ask(method, fill(target), fill(body).encode() if body else None)
                self.assertEqual(got.status, status, got.text())
                self.assertEqual(got.headers.get("Content-Type"), TYPES[kind], got.text())
                self.assertRegex(got.text(), r"\A" + pattern(reply, known))
                if status == 301:
                    self.assertEqual(got.headers["Location"], target.rstrip("/"))


class Transport(Api):
    def test_trailing_slash(self):
        reply = self.ask("POST", "/api/v1/changefeeds/?a=b", "{}")
        self.check(reply, 307)
        self.assertEqual(reply.headers["Location"], "/api/v1/changefeeds?a=b")
        self.check(self.ask("PUT", "/api/v1/status/"), 404, kind="404")

    def test_the_odd_header_of_the_public_examples(self):
        body = '{"changefeed_id":"curl-1","sink_uri":"blackhole://"}'
        got = raw(self.server.port, "POST /api/v1/changefeeds HTTP/1.1\r\nHost: x\r\n'Content-type':'application/json'\r\n"
                  f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}")
        self.assertTrue(got.startswith("HTTP/1.1 202 "), got)
        self.gone("curl-1")

    def test_bodies_on_every_method_and_pipelined_requests(self):
        got = raw(self.server.port, "GET /api/v1/health HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
                  "DELETE /api/v1/changefeeds/none HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
                  "GET /api/v1/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        self.assertEqual(re.findall(r"HTTP/1\.1 (\d+)", got), ["200", "400", "200"], got)

    def test_expect_100_continue(self):
        with socket.create_connection(("127.0.0.1", self.server.port), 20) as s:
            s.sendall(b"POST /api/v1/log HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n")
            self.assertTrue(s.recv(100).startswith(b"HTTP/1.1 100 "))
            s.sendall(b'{"log_level":"info"}')
            self.assertTrue(s.recv(100).startswith(b"HTTP/1.1 200 "))

    def test_keep_alive(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        for _ in range(3):
            connection.request("GET", "/api/v1/captures")
            self.assertEqual(len(json.loads(connection.getresponse().read())), 1)
        connection.close()

    def test_requests_that_are_too_large(self):
        reply = raw(self.server.port, "POST /api/v1/changefeeds HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n")
        self.assertTrue(reply.startswith("HTTP/1.1 413 "), reply)
        self.check(self.ask("GET", "/api/v1/health"), 200)

    def test_a_client_that_leaves_during_a_check(self):
        body = '{"changefeed_id":"left-1","sink_uri":"blackhole://"}'
        raw(self.server.port, f"POST /api/v1/changefeeds HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n{body}",
            until_close=False)
        parts.wait_until(lambda: self.ask("GET", "/api/v1/changefeeds/left-1").status == 200, 20, "it is created")
        self.gone("left-1")

    def test_speed_of_reads(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=20)
        begin = time.monotonic()
        for _ in range(200):
            connection.request("GET", "/api/v1/status")
            connection.getresponse().read()
        connection.close()
        self.assertLess((time.monotonic() - begin) / 200, 0.02)


class Create(Api):
    def refused(self, status, code, text=None, **body):
        self.check(self.ask("POST", "/api/v1/changefeeds", {"changefeed_id": "no-1", "filter_rules": ["api.good"], **body}),
                   status, code, text)
        self.assertEqual(self.ask("GET", "/api/v1/changefeeds/no-1").status, 400)

    def test_start_and_target(self):
        self.refused(400, "ErrAPIInvalidParam", r"invalid start-ts 9223372036854775807, larger than current tso \d+",
                     sink_uri="blackhole://", start_ts=2**63 - 1)
        self.refused(400, "ErrAPIInvalidParam", r"invalid start-ts 18446744073709551615, larger than current tso \d+",
                     sink_uri="blackhole://", start_ts=2**64 - 1, target_ts=1)
        self.refused(400, "ErrTargetTsBeforeStartTs",
                     r"fail to create changefeed because target-ts 5 is earlier than start-ts \d+",
                     sink_uri="blackhole://", target_ts=5)

    def test_sinks(self):
        self.refused(400, "ErrSinkURIInvalid", r"sink uri invalid '.+'", sink_uri="")
        self.refused(400, "ErrSinkURIInvalid", r"the sink scheme \(blackhome\) is not supported", sink_uri="blackhome://")
        self.refused(400, "ErrSinkURIInvalid", sink_uri="no uri at all")
        self.refused(400, "ErrSinkURIInvalid", sink_uri="blackhole:///?a=%zz")
        self.refused(500, "ErrKafkaInvalidConfig", sink_uri="kafka://127.0.0.1:1/?protocol=canal-json")
        self.refused(500, "ErrSinkUnknownProtocol", r"unknown 'nope' message protocol for sink",
                     sink_uri="kafka://127.0.0.1:1/t?protocol=nope")
        self.refused(500, "ErrSinkInvalidConfig", sink_uri="kafka://127.0.0.1:1/t?protocol=canal-json",
                     sink_config={"dispatchers": [{"matcher": ["*.*"], "dispatcher": "ts", "partition": "ts"}]})
        begin = time.monotonic()
        self.refused(500, "ErrKafkaNewProducer", sink_uri="kafka://127.0.0.1:1/t?protocol=canal-json")
        self.assertLess(time.monotonic() - begin, 30)

    def test_no_secret_in_an_error(self):
        reply = self.ask("POST", "/api/v1/changefeeds",
                         {"sink_uri": "kafka://user:hush-hush@127.0.0.1:1/t?protocol=canal-json&sasl-password=hush-hush"})
        self.assertNotEqual(reply.status, 202)
        self.assertNotIn("hush-hush", reply.text())
        self.assertNotIn("hush-hush", self.server.log.read_text(errors="replace"))

    def test_filters_and_tables(self):
        self.refused(400, "ErrFilterRuleInvalid", r"filter rule is invalid .*", sink_uri="blackhole://", filter_rules=["bad"])
        self.upstream.run("CREATE TABLE api.bad (v TEXT)")
        self.addCleanup(self.upstream.run, "DROP TABLE api.bad")
        self.refused(400, "ErrTableIneligible",
                     r"some tables are not eligible to replicate\(\[api\.bad\]\), .*ignore_ineligible_table.*",
                     sink_uri="blackhole://", filter_rules=["api.*"])
        for name, flag in (("ok-1", "force_replicate"), ("ok-2", "ignore_ineligible_table")):
            self.server.create(name, "blackhole://", filter_rules=["api.*"], **{flag: True})
            self.gone(name)

    def test_timezone(self):
        self.refused(400, "ErrAPIInvalidParam", r"invalid api parameter: invalid timezone:Mars/Olympus: .+",
                     sink_uri="blackhole://", timezone="Mars/Olympus")
        for number, zone in enumerate(("", "System", "LOCAL", "Asia/Shanghai")):
            self.server.create(f"zone-{number}", "blackhole://", filter_rules=["api.good"], timezone=zone)
            self.gone(f"zone-{number}")

    def test_ids(self):
        self.refused(400, "ErrAPIInvalidParam", "invalid changefeed_id: a_b", sink_uri="blackhole://", changefeed_id="a_b")
        self.refused(400, "ErrAPIInvalidParam", sink_uri="blackhole://", changefeed_id="x" * 129)
        self.feed("taken")
        self.refused(400, "ErrChangeFeedAlreadyExists", "changefeed already exists, taken", sink_uri="blackhole://",
                     changefeed_id="taken")
        before = {f["id"] for f in self.ask("GET", "/api/v1/changefeeds").json()}
        self.check(self.ask("POST", "/api/v1/changefeeds", {"sink_uri": "blackhole://", "filter_rules": ["api.good"]}), 202)
        made = {f["id"] for f in self.ask("GET", "/api/v1/changefeeds").json()} - before
        self.assertEqual(len(made), 1)
        self.assertRegex(made.copy().pop(), rf"\A{UUID}\Z")
        self.gone(made.pop())

    def test_another_upstream(self):
        self.refused(400, "ErrUpstreamURIInvalid", sink_uri="blackhole://", upstream_uri="http://x/")
        reply = self.ask("POST", "/api/v1/changefeeds", {"changefeed_id": "no-1", "sink_uri": "blackhole://",
                                                         "upstream_uri": "mysql://root:hush-hush@127.0.0.1:1/"})
        self.check(reply, 500, "ErrUpstreamUnavailable")
        self.assertNotIn("hush-hush", reply.text())
        self.server.create("other", "blackhole://", filter_rules=["api.good"], upstream_uri=self.upstream.uri())
        self.server.wait_caught_up("other")
        self.gone("other")

    def test_visible_at_once_and_running_soon(self):
        self.feed("soon")
        detail = self.server.changefeed("soon")
        self.assertEqual(detail["state"], "normal")
        self.assertEqual(list(detail), ["upstream_id", "namespace", "id", "sink_uri", "create_time", "start_ts", "resolved_ts",
                                        "target_ts", "checkpoint_tso", "checkpoint_time", "sort_engine", "state", "error",
                                        "error_history", "creator_version", "task_status"])
        self.assertGreaterEqual(detail["resolved_ts"], detail["checkpoint_tso"])
        self.assertGreaterEqual(detail["checkpoint_tso"], detail["start_ts"])
        self.server.wait_caught_up("soon")
        self.check(self.ask("GET", "/api/v1/health"), 200)


class States(Api):
    def test_pause_resume(self):
        self.feed("p1")
        self.server.wait_caught_up("p1")
        for _ in range(2):
            self.check(self.ask("POST", "/api/v1/changefeeds/p1/pause", "ignored"), 202)
            self.assertEqual(self.server.changefeed("p1")["state"], "stopped")
        detail = self.server.changefeed("p1")
        self.assertEqual((detail["resolved_ts"], detail["task_status"], detail["error"]), (0, [], None))
        self.assertIn("p1", [f["id"] for f in self.ask("GET", "/api/v1/changefeeds?state=stopped").json()])
        for _ in range(2):
            self.check(self.ask("POST", "/api/v1/changefeeds/p1/resume"), 202)
            self.assertEqual(self.server.changefeed("p1")["state"], "normal")
        self.server.wait_caught_up("p1")
        for command in ("pause", "resume"):
            self.check(self.ask("POST", f"/api/v1/changefeeds/a_b/{command}"), 400, "ErrAPIInvalidParam",
                       "invalid changefeed_id: a_b")
            self.check(self.ask("POST", f"/api/v1/changefeeds/none/{command}"), 400, "ErrChangeFeedNotExists",
                       "changefeed not exists, default/none")

    def test_target(self):
        now = int(time.time() * 1000) << 18
        self.feed("goal", target_ts=now + (2000 << 18))
        detail = self.server.wait_state("goal", "finished")
        self.assertEqual(detail["checkpoint_tso"], detail["target_ts"])
        self.assertNotIn("goal", [f["id"] for f in self.ask("GET", "/api/v1/changefeeds").json()])
        self.assertIn("goal", [f["id"] for f in self.ask("GET", "/api/v1/changefeeds?state=finished").json()])
        self.check(self.ask("POST", "/api/v1/changefeeds/goal/pause"), 202)
        self.assertEqual(self.server.changefeed("goal")["state"], "finished")
        self.gone("goal")

    def test_update(self):
        self.feed("u1")
        refused = "ErrChangefeedUpdateRefused"
        stopped_only = "changefeed update error: can only update changefeed config when it is stopped or failed"
        same = "changefeed update error: changefeed config is the same with the old one, do nothing"
        put = "/api/v1/changefeeds/u1"
        self.check(self.ask("PUT", put, "no JSON"), 400, refused, stopped_only)
        self.server.pause("u1")
        start = self.server.changefeed("u1")["start_ts"]
        self.check(self.ask("PUT", put, "["), 400, "ErrAPIInvalidParam", "invalid api parameter: unexpected EOF")
        self.check(self.ask("PUT", put, {"mounter_worker_num": "2"}), 400, "ErrAPIInvalidParam")
        self.check(self.ask("PUT", put, {"target_ts": start}), 400, refused,
                   f"can not update target-ts:{start} less than start-ts:{start}")
        self.check(self.ask("PUT", put, {"filter_rules": ["bad"]}), 400, refused,
                   r"changefeed update error: \[CDC:ErrFilterRuleInvalid\]filter rule is invalid .*")
        self.check(self.ask("PUT", put, {"sink_uri": "blackhome://"}), 400, refused,
                   r"changefeed update error: \[CDC:ErrSinkURIInvalid\]the sink scheme \(blackhome\) is not supported")
        for body in ("{}", "null", '{"start_ts":5,"force_replicate":true,"changefeed_id":"x","timezone":"x"}',
                     '{"target_ts":0,"sink_uri":"","filter_rules":[],"mounter_worker_num":0}'):
            self.check(self.ask("PUT", put, body), 400, refused, same)
        self.check(self.ask("PUT", put, {"MOUNTER_worker_num": 3, "target_ts": 2**64 - 1}), 202)
        self.check(self.ask("PUT", put, {"mounter_worker_num": 3}), 400, refused, same)
        self.assertEqual(self.server.changefeed("u1")["target_ts"], 2**64 - 1)
        self.server.resume("u1")
        self.server.wait_caught_up("u1")
        self.check(self.ask("PUT", "/api/v1/changefeeds/a_b", "{}"), 400, "ErrAPIInvalidParam", "invalid changefeed_id: a_b")
        self.check(self.ask("PUT", "/api/v1/changefeeds/none", "{"), 400, "ErrChangeFeedNotExists")

    def test_remove(self):
        self.feed("gone-1")
        worker = parts.wait_until(lambda: self.server.worker("gone-1"), 20, "its worker")
        self.gone("gone-1")
        self.assertFalse(parts.alive(worker))
        self.check(self.ask("DELETE", "/api/v1/changefeeds/gone-1"), 400, "ErrChangeFeedNotExists",
                   "changefeed not exists, default/gone-1")
        self.check(self.ask("DELETE", "/api/v1/changefeeds/a_b"), 400, "ErrAPIInvalidParam")
        self.feed("gone-1")
        self.gone("gone-1")

    def test_list_filter(self):
        self.feed("l1")
        for state, shown in (("", True), ("?state=", True), ("?state=all", True), ("?state=normal", True),
                             ("?state=normal&state=x", True), ("?state=Normal", False), ("?state=error", False),
                             ("?state=removed", False), ("?state=bogus", False)):
            with self.subTest(state):
                ids = [f["id"] for f in self.ask("GET", "/api/v1/changefeeds" + state).json()]
                self.assertEqual("l1" in ids, shown)
                self.assertEqual(ids, sorted(ids))

    def test_a_killed_worker_is_back_and_nothing_is_shown(self):
        self.feed("k1")
        self.server.wait_caught_up("k1")
        self.server.kill_worker("k1")
        self.server.wait_caught_up("k1")
        detail = self.server.changefeed("k1")
        self.assertEqual((detail["state"], detail["error"]), ("normal", None))

    def test_everything_is_there_after_the_gateway_was_killed(self):
        self.feed("g1")
        self.feed("g2")
        self.server.pause("g2")
        self.server.wait_caught_up("g1")
        before = self.server.changefeed("g1")
        worker = self.server.worker("g1")
        parts.kill(self.server.gateway())
        after = self.server.changefeed("g1")
        self.assertGreaterEqual(after["checkpoint_tso"], before["checkpoint_tso"] - (3000 << 18))
        for key in ("start_ts", "create_time", "sink_uri", "upstream_id", "state"):
            self.assertEqual(after[key], before[key])
        self.assertEqual(self.server.changefeed("g2")["state"], "stopped")
        self.server.wait_caught_up("g1")
        self.assertEqual(self.server.worker("g1"), worker)  # it was taken over

    def test_everything_is_there_after_the_node_was_killed(self):
        self.feed("n1")
        self.feed("n2")
        self.server.pause("n2")
        self.server.wait_caught_up("n1")
        before = self.server.changefeed("n1")
        parts.wait_until(lambda: self.server.changefeed("n1")["checkpoint_tso"] > before["checkpoint_tso"] + (2000 << 18), 20,
                         "its checkpoint is stored")
        self.server.kill()
        self.server.start()
        type(self).capture = self.ask("GET", "/api/v1/status").json()["id"]
        self.assertEqual(self.server.changefeed("n2")["state"], "stopped")
        self.assertGreaterEqual(self.server.changefeed("n1")["checkpoint_tso"], before["checkpoint_tso"])
        self.server.wait_caught_up("n1")


class Node(Api):
    def test_status_and_captures(self):
        status = self.ask("GET", "/api/v1/status").json()
        self.assertEqual(list(status), ["version", "git_hash", "id", "cluster_id", "pid", "is_owner", "liveness"])
        self.assertEqual((status["pid"], status["is_owner"], status["liveness"]), (self.server.process.pid, True, 0))
        self.assertRegex(status["id"], rf"\A{UUID}\Z")
        captures = self.ask("GET", "/api/v1/captures").json()
        self.assertEqual(captures, [{"id": status["id"], "is_owner": True, "address": self.server.address,
                                     "cluster_id": "default"}])

    def test_processors(self):
        self.feed("r1")
        item = {"namespace": "default", "changefeed_id": "r1", "capture_id": self.capture}
        self.assertEqual(self.ask("GET", "/api/v1/processors").json(), [item])
        detail = parts.wait_until(lambda: (lambda d: d["table_ids"] and d)(
            self.ask("GET", f"/api/v1/processors/r1/{self.capture}").json()), 20, "its tables")
        self.assertEqual(list(detail), ["checkpoint_ts", "resolved_ts", "table_ids", "error"])
        self.assertEqual(detail["table_ids"], sorted(detail["table_ids"]))
        self.check(self.ask("GET", "/api/v1/processors/a_b/c_d"), 400, "ErrAPIInvalidParam", "invalid changefeed_id: a_b")
        self.check(self.ask("GET", "/api/v1/processors/none/c_d"), 400, "ErrAPIInvalidParam", "invalid capture_id: c_d")
        self.check(self.ask("GET", "/api/v1/processors/none/x"), 400, "ErrChangeFeedNotExists")
        self.check(self.ask("GET", "/api/v1/processors/r1/nobody"), 400, "ErrCaptureNotExist", "capture not exists, nobody")
        self.server.pause("r1")
        self.check(self.ask("GET", f"/api/v1/processors/r1/{self.capture}"), 400, "ErrAPIInvalidParam",
                   "invalid api parameter: changefeed in abnormal state: stopped, .*")
        self.assertEqual(self.ask("GET", "/api/v1/processors").body, b"[]")
        self.gone("r1")

    def test_resign_keeps_the_capture(self):
        self.check(self.ask("POST", "/api/v1/owner/resign"), 202)
        parts.wait_until(lambda: self.ask("GET", "/api/v1/health").status == 200, 20, "an owner")
        self.assertEqual(self.ask("GET", "/api/v1/status").json()["id"], self.capture)

    def test_log_level(self):
        for level in ("debug", "INFO", "warn", "error", "dpanic", "panic", "fatal", ""):
            self.check(self.ask("POST", "/api/v1/log", {"log_level": level}), 200)
        self.check(self.ask("POST", "/api/v1/log", {"log_level": "loud"}), 400, "ErrAPIInvalidParam",
                   "fail to change log level: loud")
        for body in ('"debug"', "", '{"log_level":1}'):
            self.check(self.ask("POST", "/api/v1/log", body), 400, "ErrAPIInvalidParam", "invalid log level: .+")

    def test_metrics(self):
        self.feed("m1")
        self.server.wait_caught_up("m1")
        reply = self.ask("GET", "/metrics")
        self.assertEqual(reply.status, 200)
        labels = '{namespace="default",changefeed="m1"}'
        values = {}
        for line in reply.text().splitlines():
            if not line.startswith("#"):
                self.assertRegex(line, r'\A[a-z_]+(\{([a-z_]+="[^"]*",?)+\})? -?[0-9.e+]+\Z')
                values[line.rsplit(" ", 1)[0]] = float(line.rsplit(" ", 1)[1])
        self.assertEqual(values["ticdc_owner_status" + labels], 0)
        self.assertAlmostEqual(values["ticdc_owner_checkpoint_ts" + labels] / 1000, time.time(), delta=60)
        self.assertLess(values["ticdc_owner_checkpoint_ts_lag" + labels], 60)
        self.assertGreaterEqual(values["ticdc_processor_num_of_tables" + labels], 1)
        self.assertGreater(values["process_resident_memory_bytes"], 1 << 20)
        self.assertIn('millrace_process_restarts_total{process="supervisor"}', values)
        self.gone("m1")
        self.assertNotIn('changefeed="m1"', self.ask("GET", "/metrics").text())


class Users(Api):
    """Basic authentication where changefeeds are changed, nowhere else."""

    @classmethod
    def setUpParts(cls):
        super().setUpParts()
        cls.server.stop()
        cls.upstream.run("CREATE OR REPLACE USER 'operator'@'%' IDENTIFIED BY 'p:w'")
        toml = parts.temp_dir("config") / "server.toml"
        toml.write_text('[security]\nclient-user-required = true\nclient-allowed-user = ["operator", "nobody"]\n')
        cls.server = Millrace(cls.upstream, "--config", str(toml))

    def basic(self, user, password):
        return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}

    def test_users(self):
        body = json.dumps({"changefeed_id": "a1", "sink_uri": "blackhole://", "filter_rules": ["api.good"]})
        post = "/api/v1/changefeeds"
        missing = "credential not found: please specify the user and password via authorization header"
        for headers in (None, {"Authorization": "Basic x"}, {"Authorization": "Bearer eDp5"}):
            reply = self.ask("POST", post, body, headers)
            self.check(reply, 401, "ErrCredentialNotFound", missing)
            self.assertIsNone(reply.headers.get("WWW-Authenticate"))
        self.check(self.ask("POST", post, body, self.basic("", "")), 401, "ErrUnauthorized",
                   "user  unauthorized, error: Empty username is not allowed.")
        self.check(self.ask("POST", post, body, self.basic("root", "")), 401, "ErrUnauthorized",
                   "user root unauthorized, error: The user is not allowed.")
        for user, password in (("operator", "wrong"), ("nobody", "x")):
            reply = self.ask("POST", post, body, self.basic(user, password))
            self.check(reply, 401, "ErrUnauthorized", f"user {user} unauthorized, error: .*Access denied.*")
        good = self.basic("operator", "p:w")
        self.check(self.ask("POST", post, body, good), 202)
        for method, target in (("POST", "a1/pause"), ("POST", "a1/resume"), ("PUT", "a1"), ("DELETE", "a1"),
                               ("POST", "a1/tables/rebalance_table"), ("POST", "a1/tables/move_table"), ("POST", "none/pause")):
            self.check(self.ask(method, f"{post}/{target}", "{}"), 401, "ErrCredentialNotFound")
        self.check(self.ask("POST", f"{post}/a1/pause", None, good), 202)
        self.check(self.ask("PUT", f"{post}/a1", '{"mounter_worker_num":5}', good), 202)
        for target in ("/api/v1/status", "/api/v1/changefeeds", "/api/v1/changefeeds/a1", "/api/v1/captures", "/metrics"):
            self.assertEqual(self.ask("GET", target).status, 200)
        self.check(self.ask("POST", "/api/v1/log", "{}", {"Authorization": "Basic Og=="}), 200)
        self.check(self.ask("DELETE", f"{post}/a1", None, good), 202)
        log = self.server.log.read_text(errors="replace")
        self.assertIn('user="operator"', log)
        self.assertNotIn("p:w", log)


class Tls(Api):
    """HTTPS with the three files; certificates are made here."""

    @classmethod
    def setUpParts(cls):
        cls.certs = parts.temp_dir("certs")
        cls.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-days", "2",
                    "-subj", "/CN=test-ca")
        for name in ("server", "friend", "stranger"):
            cls.sign(name)

    @classmethod
    def openssl(cls, *arguments):
        subprocess.run(["openssl", *arguments], cwd=cls.certs, check=True, capture_output=True, stdin=subprocess.DEVNULL)

    @classmethod
    def sign(cls, name):
        (cls.certs / "ext").write_text("subjectAltName=IP:127.0.0.1\n")
        cls.openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        cls.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                    "-extfile", "ext", "-out", f"{name}.new")
        (cls.certs / f"{name}.new").rename(cls.certs / f"{name}.pem")

    def node(self, config=""):
        toml = parts.temp_dir("config") / "server.toml"
        toml.write_text(f'[security]\nca-path = "{self.certs}/ca.pem"\ncert-path = "{self.certs}/server.pem"\n'
                        f'key-path = "{self.certs}/server.key"\n{config}')
        server = Millrace("mysql://root@127.0.0.1:1/", "--config", str(toml), start=False)
        server.spawn()
        self.addCleanup(server.process.stop)
        return server

    def get(self, server, client=None, target="/api/v1/status", version=None):
        context = ssl.create_default_context(cafile=self.certs / "ca.pem")
        if client:
            context.load_cert_chain(self.certs / f"{client}.pem", self.certs / f"{client}.key")
        if version:
            context.minimum_version = context.maximum_version = version
        connection = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=20, context=context)
        try:
            connection.request("GET", target)
            answer = connection.getresponse()
            return answer.status, answer.read(), connection.sock.getpeercert() if connection.sock else None
        finally:
            connection.close()

    def up(self, server, client=None):
        def answers():
            try:
                return self.get(server, client)[0] == 200
            except OSError:
                return False
        parts.wait_until(answers, 20, "HTTPS answers")

    def assert_rejected(self, server, client=None, version=None):
        with self.assertRaises((OSError, http.client.HTTPException)):
            self.get(server, client, version=version)

    def test_only_https_and_only_new_versions(self):
        server = self.node()
        self.up(server)
        self.assertEqual(json.loads(self.get(server)[1])["is_owner"], True)
        with self.assertRaises((OSError, http.client.HTTPException)):
            server.api("GET", "/api/v1/status", timeout=5)
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            self.assertEqual(self.get(server, version=version)[0], 200)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.assert_rejected(server, version=ssl.TLSVersion.TLSv1_1)
        # A renewed certificate is used for the next connection.
        def serial():
            with socket.create_connection(("127.0.0.1", server.port), 20) as plain:
                with ssl.create_default_context(cafile=self.certs / "ca.pem").wrap_socket(plain, server_hostname="127.0.0.1") as s:
                    return s.getpeercert()["serialNumber"]
        before = serial()
        self.sign("server")
        self.assertNotEqual(serial(), before)

    def test_client_certificates(self):
        server = self.node("mtls = true\n")
        self.up(server, "friend")
        self.assertEqual(self.get(server, "stranger")[0], 200)
        self.assert_rejected(server)

    def test_names_of_client_certificates(self):
        server = self.node('cert-allowed-cn = [" friend "]\n')
        self.up(server, "friend")
        self.assertEqual(self.get(server, "server")[0], 200)  # our own name is always allowed
        self.assert_rejected(server, "stranger")
        self.assert_rejected(server)


if __name__ == "__main__":
    case.main()
