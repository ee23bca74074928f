"""A private MariaDB server with row events of full images and metadata."""
import os
import shutil
import subprocess

from lib import parts
from lib.sql import Sql

_OPTIONS = {
    "server-id": "1001", "log-bin": "mysql-bin", "binlog-format": "ROW", "binlog-row-image": "FULL",
    "binlog-row-metadata": "FULL", "character-set-server": "utf8mb4", "sync-binlog": "0",
    "innodb-flush-log-at-trx-commit": "0", "innodb-buffer-pool-size": "128M", "innodb-log-file-size": "64M",
    "max-allowed-packet": "1G", "skip-name-resolve": None, "skip-log-error": None,
}


def _template():
    """A fresh data directory, made once per version of the server and copied from then on."""
    version = subprocess.run(["mariadbd", "--no-defaults", "--version"], check=True, capture_output=True,
                             text=True).stdout.split()[2]
    made = parts.CACHE / f"mariadb-{version}"
    if not made.exists():
        made.parent.mkdir(parents=True, exist_ok=True)
        part = made.with_name(f"{made.name}.{os.getpid()}")
        try:
            subprocess.run(["mariadb-install-db", "--no-defaults", f"--datadir={part}", "--skip-test-db",
                            "--auth-root-authentication-method=normal", "--innodb-log-file-size=8M",
                            *(["--user=root"] if os.geteuid() == 0 else [])],
                           check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL)
            part.rename(made)
        except OSError:  # another run was faster
            shutil.rmtree(part, ignore_errors=True)
    return made


class MariaDB:
    """options: of mariadbd; value None for a bare flag, OFF to leave one of the above out; they win over those above."""

    OFF = object()

    def __init__(self, options=None, port=None):
        self.dir = parts.temp_dir("mariadb")
        self.port = port or parts.free_port()
        self.socket = self.dir / "sock"
        self.options = {k.replace("_", "-"): v for k, v in {**_OPTIONS, **(options or {})}.items()}
        shutil.copytree(_template(), self.dir / "data")
        (self.dir / "tmp").mkdir()
        self.process = None
        self.start()

    def start(self):
        args = ["mariadbd", "--no-defaults", f"--datadir={self.dir}/data", f"--socket={self.socket}",
                # One that starts removes temporary tables of others in the same folder.
                f"--tmpdir={self.dir}/tmp", f"--port={self.port}", "--bind-address=127.0.0.1", f"--pid-file={self.dir}/pid"]
        if os.geteuid() == 0:
            args.append("--user=root")
        args += [f"--{name}" if value is None else f"--{name}={value}"
                 for name, value in self.options.items() if value is not MariaDB.OFF]
        self.process = parts.Process(args, self.dir / "log", cwd=self.dir)

        def answers():
            if not self.process.running():
                raise RuntimeError(f"mariadbd ended:\n{self.process.tail()}")
            try:
                Sql(sock=self.socket).close()
                return True
            except OSError:
                return False
        parts.wait_until(answers, 60, "mariadbd answers")

    def stop(self):
        self.process.stop(60)

    def restart(self):
        self.stop()
        self.start()

    def connect(self, **arguments):
        """A connection as root over the socket; port=True for TCP."""
        if arguments.pop("port", False):
            return Sql(port=self.port, **arguments)
        return Sql(sock=self.socket, **arguments)

    def run(self, *statements):
        """One short-lived session."""
        with self.connect() as c:
            c.run(*statements)

    def query(self, text):
        with self.connect() as c:
            return c.query(text)

    def uri(self, user="root", password=None):
        return f"mysql://{user}{':' + password if password else ''}@127.0.0.1:{self.port}/"
