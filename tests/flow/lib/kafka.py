"""A private Kafka broker, and what a topic holds.  kcat is the client, so that no library of ours vouches for itself."""
import collections
import subprocess

from lib import parts

# key and value: bytes or None; the two differ from empty ones.
Message = collections.namedtuple("Message", "partition offset key value")

_BROKER = parts.ROOT / "tests" / "flow" / "parts" / "kafka-broker"


class Kafka:
    """properties: of the broker, as "key=value" texts; address: where kcat asks, if that is another of its listeners."""

    def __init__(self, *properties, address=None):
        subprocess.run([_BROKER, "jars"], check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        self.dir = parts.temp_dir("kafka")
        self.port = parts.free_port()
        self.controller_port = parts.free_port()
        self.properties = properties
        self.address = address or f"127.0.0.1:{self.port}"
        self.process = None
        self.start()

    def start(self):
        self.process = parts.Process([_BROKER, "run", self.dir, self.port, self.controller_port, *self.properties],
                                     self.dir / "log")

        def answers():
            if not self.process.running():
                raise RuntimeError(f"the broker ended:\n{self.process.tail()}")
            return subprocess.run(["kcat", "-b", self.address, "-L", "-m", "2"], capture_output=True,
                                  stdin=subprocess.DEVNULL, check=False).returncode == 0
        parts.wait_until(answers, 90, "the Kafka broker answers", every=0.2)

    def stop(self):
        self.process.stop(60)

    def kill(self):
        self.process.popen.kill()
        self.process.wait()

    def restart(self):
        self.stop()
        self.start()

    def topics(self):
        """Names of the topics to partition counts."""
        out = subprocess.run(["kcat", "-b", self.address, "-L", "-m", "10"], check=True, capture_output=True, text=True,
                             stdin=subprocess.DEVNULL).stdout
        found = {}
        for line in out.splitlines():
            if line.startswith('  topic "'):
                name, _, rest = line[9:].partition('"')
                found[name] = int(rest.split()[1])
        return found

    def messages(self, topic):
        """Everything in the topic now, by partition, in order of offsets; [] for a topic that is not there."""
        if topic not in self.topics():
            return []
        out = subprocess.run(["kcat", "-C", "-b", self.address, "-t", topic, "-o", "beginning", "-e", "-q",
                              "-X", "fetch.max.bytes=100000000", "-X", "check.crcs=true",
                              "-f", "%p %o %K %S\\n%k%s\\n"],
                             check=True, capture_output=True, stdin=subprocess.DEVNULL).stdout
        return sorted(parse(out))


def parse(out):
    """The messages of kcat's output in the format above."""
    at, found = 0, []
    while at < len(out):
        end = out.index(b"\n", at)
        partition, offset, key_size, size = map(int, out[at:end].split())
        at = end + 1
        key = None
        if key_size >= 0:
            key = out[at:at + key_size]
            at += key_size
        value = None
        if size >= 0:
            value = out[at:at + size]
            at += size
        found.append(Message(partition, offset, key, value))
        at += 1
    return found
