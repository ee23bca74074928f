"""A Millrace server: started on a free port, asked over HTTP, its processes found and killed."""
import collections
import http.client
import json
import os
import re
import signal
import time

from lib import parts

BUILD = parts.ROOT / "build" / os.environ.get("MILLRACE_TEST_BUILD", "release")

_Reply = collections.namedtuple("_Reply", "status headers body")


class Reply(_Reply):
    """status: int; headers: http.client.HTTPMessage; body: bytes."""

    def json(self):
        return json.loads(self.body)

    def text(self):
        return self.body.decode()

    def code(self):
        """error_code of an error, "" if the body holds none."""
        try:
            return self.json().get("error_code", "")
        except (ValueError, AttributeError):
            return ""


class Millrace:
    """options: more flags of `millrace server`; upstream: a uri, a MariaDB, or None for no flag."""

    def __init__(self, upstream=None, *options, data_dir=None, env=None, build=BUILD, start=True):
        self.dir = parts.temp_dir("server")
        self.data_dir = data_dir or self.dir / "data"
        self.port = parts.free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.upstream = upstream.uri() if hasattr(upstream, "uri") else upstream
        self.options = list(options)
        self.env = env or {}
        self.build = build
        self.log = self.dir / "log"
        self.process = None
        self.start_seconds = None
        if start:
            self.start()

    def command(self):
        args = [self.build / "bin" / "millrace", "server", "--addr", self.address, "--data-dir", self.data_dir]
        if self.upstream:
            args += ["--upstream", self.upstream]
        return args + self.options

    def spawn(self):
        """Starts the program without waiting for an answer."""
        # A sanitizer's finding must end the process and stand in the log.
        env = {"ASAN_OPTIONS": "abort_on_error=0:exitcode=99", "UBSAN_OPTIONS": "print_stacktrace=1", **self.env}
        self.process = parts.Process(self.command(), self.log, env=env, cwd=self.dir)

    def start(self, timeout=60):
        begin = time.monotonic()
        self.spawn()

        def answers():
            if not self.process.running():
                raise RuntimeError(f"millrace ended with {self.process.popen.returncode}:\n{self.process.tail()}")
            try:
                return self.api("GET", "/api/v1/status", timeout=2).status == 200
            except (OSError, http.client.HTTPException):
                return False
        parts.wait_until(answers, timeout, "GET /api/v1/status answers 200", every=0.005)
        self.start_seconds = time.monotonic() - begin

    def stop(self, grace=20):
        """SIGTERM; the exit code.  All children must be gone, too."""
        pids = self.pids()
        code = self.process.stop(grace)
        parts.wait_until(lambda: not any(parts.alive(p) for p in pids), 10, "the children end with the server")
        return code

    def kill(self):
        """SIGKILL to the supervisor; waits until its children are gone as well, which let servers finish before."""
        pids = self.pids()
        self.process.popen.kill()
        self.process.wait()
        parts.wait_until(lambda: not any(parts.alive(p) for p in pids), 45, "no orphans after a SIGKILL")

    # HTTP

    def request(self, method, path, body=None, headers=None, timeout=60):
        """One request on a connection of its own; body: bytes, str, or None."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            answer = connection.getresponse()
            return Reply(answer.status, answer.headers, answer.read())
        except ConnectionRefusedError:
            if not self.process.running():
                raise AssertionError(f"millrace has ended with {self.process.popen.returncode}:\n{self.process.tail(60)}") from None
            raise
        finally:
            connection.close()

    def api(self, method, path, body=None, headers=None, timeout=60):
        """As request; a body that is no text becomes JSON."""
        if body is not None and not isinstance(body, (str, bytes)):
            body = json.dumps(body)
        return self.request(method, path, body, headers, timeout)

    # Changefeeds

    def create(self, changefeed, sink_uri, **body):
        """POST; AssertionError unless it is accepted."""
        reply = self.api("POST", "/api/v1/changefeeds", {"changefeed_id": changefeed, "sink_uri": sink_uri, **body})
        assert reply.status == 202, f"create: {reply.status} {reply.text()}"

    def command_to(self, changefeed, command):
        """pause or resume"""
        reply = self.api("POST", f"/api/v1/changefeeds/{changefeed}/{command}")
        assert reply.status == 202, f"{command}: {reply.status} {reply.text()}"

    def pause(self, changefeed):
        self.command_to(changefeed, "pause")
        self.wait_state(changefeed, "stopped")

    def resume(self, changefeed):
        self.command_to(changefeed, "resume")

    def update(self, changefeed, **body):
        reply = self.api("PUT", f"/api/v1/changefeeds/{changefeed}", body)
        assert reply.status == 202, f"update: {reply.status} {reply.text()}"

    def remove(self, changefeed):
        reply = self.api("DELETE", f"/api/v1/changefeeds/{changefeed}")
        assert reply.status == 202, f"remove: {reply.status} {reply.text()}"

    def changefeed(self, changefeed):
        """The detail document; survives a gateway that is just being restarted."""
        def asked():
            try:
                return self.api("GET", f"/api/v1/changefeeds/{changefeed}", timeout=10)
            except (OSError, http.client.HTTPException):
                return None
        reply = parts.wait_until(asked, 20, "the API answers")
        if reply.status != 200:
            raise AssertionError(f"changefeed {changefeed}: {reply.status} {reply.text()}")
        return reply.json()

    def wait_for(self, changefeed, test, timeout, what):
        last = {}

        def seen():
            try:
                last.update(self.changefeed(changefeed))
            except AssertionError:
                return False  # 503 while the gateway starts
            return test(last)
        try:
            parts.wait_until(seen, timeout, what)
        except AssertionError as error:
            raise AssertionError(f"{error}; last seen: {last}\nlog:\n{self.process.tail(25)}") from None
        return last

    def wait_state(self, changefeed, state, timeout=30):
        return self.wait_for(changefeed, lambda d: d["state"] == state, timeout, f"{changefeed} is {state}")

    def wait_checkpoint(self, changefeed, ts, timeout=60):
        return self.wait_for(changefeed, lambda d: d["checkpoint_tso"] >= ts, timeout,
                          f"checkpoint of {changefeed} reaches {ts}")

    def wait_caught_up(self, changefeed, timeout=60):
        """
        Everything committed before this call is downstream.  The checkpoint's clock is the upstream's, which is this
        machine's; 50 ms stand for the error of its estimate.
        """
        return self.wait_checkpoint(changefeed, (int(time.time() * 1000) + 50) << 18, timeout)

    # Processes

    def pids(self):
        """The supervisor and all its children."""
        if self.process is None or not self.process.running():
            return []
        return [self.process.pid, *parts.children(self.process.pid)]

    def _children(self, program):
        found = []
        for pid in parts.children(self.process.pid):
            try:
                if os.path.basename(os.readlink(f"/proc/{pid}/exe")).split(" ")[0] == program:
                    found.append(pid)
            except OSError:
                continue
        return found

    def gateway(self):
        """Pid of the api-gateway, None if there is none now."""
        pids = self._children("millrace-api-gateway")
        return pids[0] if pids else None

    def workers(self):
        return self._children("millrace-capture-worker")

    def worker(self, changefeed):
        """Pid of a changefeed's worker, None if there is none now; from the names workers give their log lines."""
        pids = self.workers()
        text = self.log.read_text(errors="replace")
        for pid in pids:
            if re.search(rf" worker\[{pid}\] (\S+/)?{re.escape(changefeed)}/\d+: ", text):
                return pid
        return None

    def kill_worker(self, changefeed, number=signal.SIGKILL):
        pid = parts.wait_until(lambda: self.worker(changefeed), 30, f"a worker of {changefeed}")
        parts.kill(pid, number)
        return pid

    def sanitizer_findings(self):
        """Lines of the log in which a sanitizer speaks."""
        return [line for line in self.log.read_text(errors="replace").splitlines()
                if "ERROR: AddressSanitizer" in line or "ERROR: LeakSanitizer" in line or "runtime error:" in line]


def pss_bytes(pids):
    """Memory of processes, pages shared between them counted once."""
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/smaps_rollup") as f:
                total += sum(int(line.split()[1]) * 1024 for line in f if line.startswith("Pss:"))
        except OSError:
            continue
    return total


def cpu_seconds(pids):
    """User and system time of processes that still run."""
    ticks = os.sysconf("SC_CLK_TCK")
    total = 0.0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/stat") as f:
                fields = f.read().rpartition(")")[2].split()
        except OSError:
            continue
        total += (int(fields[11]) + int(fields[12])) / ticks
    return total
