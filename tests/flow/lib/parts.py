"""Folders, ports, processes and waiting.  Every part is stopped by its pid, also when the test fails or is interrupted."""
import atexit
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[3]
CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "millrace-tests"

# Where mariadbd is; not in every user's path.
os.environ["PATH"] += ":/usr/local/sbin:/usr/sbin"

_cleanups = []
_folders = []


def at_end(function, *args):
    """Calls function(*args) when the process ends, last one first, however it ends (but for SIGKILL)."""
    _cleanups.append((function, args))


def _clean():
    while _cleanups:
        function, args = _cleanups.pop()
        try:
            function(*args)
        except Exception as error:  # the others must still be stopped
            print(f"cleaning up: {error}", file=sys.stderr)
    # Last, since whoever still ran would have made them anew.
    while _folders:
        shutil.rmtree(_folders.pop(), True)


atexit.register(_clean)
for _signal in (signal.SIGTERM, signal.SIGHUP):
    signal.signal(_signal, lambda number, frame: sys.exit(128 + number))


def temp_dir(name):
    """A new folder, removed at the end; MILLRACE_TEST_KEEP=1 keeps it."""
    path = pathlib.Path(tempfile.mkdtemp(prefix=f"millrace-{name}."))
    if os.environ.get("MILLRACE_TEST_KEEP"):
        print(f"keeping {path}", file=sys.stderr)
    else:
        _folders.append(path)
    return path


def free_port():
    """A port of 127.0.0.1 nobody listens on, below those the kernel gives to outgoing connections."""
    for _ in range(200):
        port = 10000 + int.from_bytes(os.urandom(2), "big") % 20000
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise RuntimeError("no free port found")


def wait_until(condition, timeout=30, what=None, every=0.05):
    """Calls condition until it gives something true, which is returned; AssertionError after timeout seconds."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout} s: {what or condition.__doc__ or condition.__name__}")
        time.sleep(every)


def alive(pid):
    """Is there a process that has not ended (a zombie has)?"""
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def children(pid):
    """Pids of the direct children of pid."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat") as f:
                    fields = f.read().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == pid and fields[0] not in "ZX":
                found.append(int(entry))
    return sorted(found)


def kill(pid, number=signal.SIGKILL):
    """Signals pid; False if it is gone."""
    try:
        os.kill(pid, number)
        return True
    except ProcessLookupError:
        return False


class Process:
    """A program with its output in a file."""

    def __init__(self, args, log, env=None, cwd=None):
        self.args = [str(a) for a in args]
        self.log = pathlib.Path(log)
        with open(self.log, "ab") as out:
            self.popen = subprocess.Popen(self.args, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=cwd,
                                          env={**os.environ, **(env or {})}, start_new_session=True)
        self.pid = self.popen.pid
        at_end(self.stop)

    def running(self):
        return self.popen.poll() is None

    def tail(self, lines=30):
        try:
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""

    def wait(self, timeout=30):
        """Exit code, negative for a signal."""
        return self.popen.wait(timeout)

    def stop(self, grace=20):
        """SIGTERM, then SIGKILL after grace seconds; the exit code."""
        if self.running():
            self.popen.terminate()
            try:
                self.popen.wait(grace)
            except subprocess.TimeoutExpired:
                self.popen.kill()
        return self.popen.wait()
