"""A private MariaDB server, the system's or that of MARIADB_HOME, with row events of full images and metadata."""
import os
import re
import shutil
import subprocess

from lib import parts
from lib.sql import Sql

_PROGRAM = parts.ROOT / "tests" / "flow" / "parts" / "mariadb"
_OPTIONS = {
    "server-id": "1001", "log-bin": "mysql-bin", "binlog-format": "ROW", "binlog-row-image": "FULL",
    "binlog-row-metadata": "FULL", "character-set-server": "utf8mb4", "sync-binlog": "0",
    "innodb-flush-log-at-trx-commit": "0", "innodb-buffer-pool-size": "128M", "innodb-log-file-size": "64M",
    "max-allowed-packet": "1G", "skip-name-resolve": None, "skip-log-error": None,
}


def _template(home):
    """A fresh data directory, made once per version of the server and copied from then on."""
    ask = [_PROGRAM, "version"] if home else ["mariadbd", "--no-defaults", "--version"]
    version = re.search(r"Ver (\S+)", subprocess.run(ask, check=True, capture_output=True, text=True, env=_env(home)).stdout)[1]
    made = parts.CACHE / f"mariadb-{version}"
    if not made.exists():
        made.parent.mkdir(parents=True, exist_ok=True)
        part = made.with_name(f"{made.name}.{os.getpid()}")
        make = [_PROGRAM, "make", part] if home else [
            "mariadb-install-db", "--no-defaults", f"--datadir={part}", "--skip-test-db", "--auth-root-authentication-method=normal",
            "--innodb-log-file-size=8M", *(["--user=root"] if os.geteuid() == 0 else [])]
        try:
            subprocess.run(make, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=_env(home))
            (part / "data" if home else part).rename(made)
        except OSError:  # another run was faster
            pass
        shutil.rmtree(part, ignore_errors=True)
    return made


def _env(home):
    return {**os.environ, "MARIADB_HOME": home}


class MariaDB:
    """
    options: of mariadbd; value None for a bare flag, OFF to leave one of the above out; they win over those above.
    home: folder of the server's program (parts/mariadb says which), "" for the system's; None: the environment's MARIADB_HOME.
    """

    OFF = object()

    def __init__(self, options=None, port=None, home=None):
        self.home = os.environ.get("MARIADB_HOME", "") if home is None else home
        self.dir = parts.temp_dir("mariadb")
        self.port = port or parts.free_port()
        self.socket = self.dir / "sock"
        self.options = {k.replace("_", "-"): v for k, v in {**_OPTIONS, **(options or {})}.items()}
        shutil.copytree(_template(self.home), self.dir / "data")
        (self.dir / "tmp").mkdir()
        self.process = None
        self.start()

    def start(self):
        args = [_PROGRAM, "run", self.dir, self.port] if self.home else [
            "mariadbd", "--no-defaults", f"--datadir={self.dir}/data", f"--socket={self.socket}", f"--port={self.port}",
            "--bind-address=127.0.0.1", f"--pid-file={self.dir}/pid", *(["--user=root"] if os.geteuid() == 0 else [])]
        args.append(f"--tmpdir={self.dir}/tmp")  # one that starts removes temporary tables of others in the same folder
        args += [f"--{name}" if value is None else f"--{name}={value}"
                 for name, value in self.options.items() if value is not MariaDB.OFF]
        self.process = parts.Process(args, self.dir / "log", cwd=self.dir, env={"MARIADB_HOME": self.home})

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
