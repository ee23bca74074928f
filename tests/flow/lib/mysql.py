"""A private MySQL server with row events of full images and metadata, and GTIDs."""
import os
import shutil
import subprocess

from lib import parts
from lib.sql import Sql, SqlError

_PROGRAM = parts.ROOT / "tests" / "flow" / "parts" / "mysql"
_OPTIONS = {
    "server-id": "1001", "log-bin": "mysql-bin", "binlog-format": "ROW", "binlog-row-image": "FULL",
    "binlog-row-metadata": "FULL", "gtid-mode": "ON", "enforce-gtid-consistency": "ON", "sync-binlog": "0",
    "innodb-flush-log-at-trx-commit": "0", "innodb-doublewrite": "0", "innodb-buffer-pool-size": "128M",
    "innodb-redo-log-capacity": "64M", "max-allowed-packet": "1G", "skip-name-resolve": None, "performance-schema": "OFF",
}


def _template():
    """A fresh data directory, made once per version of the server and copied from then on."""
    home = subprocess.run([_PROGRAM, "get"], check=True, stdout=subprocess.PIPE, text=True,
                          stdin=subprocess.DEVNULL).stdout.strip()
    made = parts.CACHE / ("data-" + os.path.basename(home))
    if not made.exists():
        made.parent.mkdir(parents=True, exist_ok=True)
        part = made.with_name(f"{made.name}.{os.getpid()}")
        try:
            part.mkdir()
            done = subprocess.run([_PROGRAM, "make", part], check=False, capture_output=True, text=True,
                                  stdin=subprocess.DEVNULL)
            if done.returncode != 0:
                raise RuntimeError(done.stderr)
            # The server makes itself an identity when it has none.
            (part / "data" / "auto.cnf").unlink()
            part.rename(made)
        except OSError:  # another run was faster
            shutil.rmtree(part, ignore_errors=True)
    return made


class MySQL:
    """options: of mysqld; value None for a bare flag, OFF to leave one of the above out; they win over those above."""

    OFF = object()

    def __init__(self, options=None, port=None):
        self.dir = parts.temp_dir("mysql")
        self.port = port or parts.free_port()
        self.socket = self.dir / "sock"
        self.options = {k.replace("_", "-"): v for k, v in {**_OPTIONS, **(options or {})}.items()}
        shutil.copytree(_template() / "data", self.dir / "data")
        self.process = None
        self.start()

    def start(self):
        args = [_PROGRAM, "run", self.dir, self.port]
        args += [f"--{name}" if value is None else f"--{name}={value}"
                 for name, value in self.options.items() if value is not MySQL.OFF]
        self.process = parts.Process(args, self.dir / "log", cwd=self.dir)

        def answers():
            if not self.process.running():
                error = self.dir / "error.log"
                raise RuntimeError(f"mysqld ended:\n{error.read_text()[-2000:] if error.exists() else self.process.tail()}")
            try:
                Sql(sock=self.socket).close()
                return True
            except (OSError, SqlError):
                return False
        parts.wait_until(answers, 90, "mysqld answers")

    def stop(self):
        self.process.stop(60)

    def kill(self):
        self.process.popen.kill()
        self.process.wait()

    def restart(self):
        self.stop()
        self.start()

    def connect(self, **arguments):
        """A connection as root over the socket."""
        return Sql(sock=self.socket, **arguments)

    def run(self, *statements):
        """One short-lived session."""
        with self.connect() as c:
            c.run(*statements)

    def query(self, text):
        with self.connect() as c:
            return c.query(text)

    def uri(self, user="root", password=None):
        # root may come over the socket only.
        if user == "root":
            return f"mysql://root@127.0.0.1:{self.port}/?socket={self.socket}"
        return f"mysql://{user}{':' + password if password else ''}@127.0.0.1:{self.port}/"
