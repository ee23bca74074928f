"""
A server of the MySQL protocol that answers by a script and remembers what it was asked: for what only TiDB does.

script(statement) gives a list of rows (tuples of text or None), an error (number, text), None for OK, or HANG_UP; it may sleep.
"""
import re
import socket
import struct
import threading

from lib import parts

_STATEMENTS = re.compile(r"(?:'(?:[^'\\]|\\.)*'|`[^`]*`|\"(?:[^\"\\]|\\.)*\"|[^;'`\"])+", re.S)


HANG_UP = "hang up"  # instead of an answer


class Scripted:
    def __init__(self, script, version="8.0.11-TiDB-v8.5.0"):
        self.script, self.version = script, version
        self.port = parts.free_port()
        self.log = []  # (connection, statement)
        self.packets = []  # lists of statements
        self.clients = []
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.count = 0
        threading.Thread(target=self._accept, daemon=True).start()
        parts.at_end(self.listener.close)

    def uri(self):
        return f"tidb://root@127.0.0.1:{self.port}/"

    def statements(self, pattern=""):
        with self.lock:
            return [s for _, s in self.log if re.search(pattern, s)]

    def hang_up(self):
        """Ends all connections."""
        for client in self.clients:
            try:
                client.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.count += 1
            self.clients.append(client)
            threading.Thread(target=self._serve, args=(client, self.count), daemon=True).start()

    def _serve(self, client, number):
        stream = client.makefile("rb")

        def send(seq, body):
            client.sendall(struct.pack("<I", len(body))[:3] + bytes([seq & 255]) + body)

        def read():
            head = stream.read(4)
            if len(head) < 4:
                raise EOFError
            return stream.read(head[0] | head[1] << 8 | head[2] << 16)
        try:
            # PROTOCOL_41, TRANSACTIONS, SECURE_CONNECTION, PLUGIN_AUTH, MULTI_STATEMENTS, MULTI_RESULTS, CONNECT_ATTRS
            flags = 0x1 | 0x200 | 0x2000 | 0x8000 | 0x80000 | 0x10000 | 0x20000 | 0x100000
            send(0, b"\x0a" + self.version.encode() + b"\0" + struct.pack("<I", number) + b"12345678\0"
                 + struct.pack("<HBHHB", flags & 0xFFFF, 45, 2, flags >> 16, 21) + b"\0" * 10 + b"123456789012\0"
                 + b"mysql_native_password\0")
            read()
            send(2, b"\0\0\0\x02\0\0\0")
            while True:
                body = read()
                if body[:1] == b"\x01":
                    return
                if body[:1] != b"\x03":
                    send(1, b"\0\0\0\x02\0\0\0")
                    continue
                self._query(number, body[1:].decode(), send)
        except (EOFError, OSError):
            pass
        finally:
            client.close()

    def _query(self, number, text, send):
        texts = [t for t in _STATEMENTS.findall(text) if t.strip()]
        seq = 1
        with self.lock:
            self.packets.append(texts)
        for i, statement in enumerate(texts):
            with self.lock:
                self.log.append((number, statement))
            answer = self.script(statement)
            status = struct.pack("<H", 2 | (8 if i + 1 < len(texts) else 0))
            if answer is HANG_UP:
                raise EOFError
            if isinstance(answer, tuple):
                send(seq, b"\xff" + struct.pack("<H", answer[0]) + b"#HY000" + answer[1].encode())
                return
            if answer is None:
                send(seq, b"\0\0\0" + status + b"\0\0")
                seq += 1
                continue
            width = len(answer[0]) if answer else 1
            send(seq, bytes([width]))
            for column in range(width):
                name = f"c{column}".encode()
                send(seq + 1 + column, b"\x03def\0\0\0" + bytes([len(name)]) + name + b"\0"
                     + b"\x0c" + struct.pack("<HIBHB", 45, 1024, 253, 0, 0) + b"\0\0")
            seq += 1 + width
            send(seq, b"\xfe\0\0" + status)
            for row in answer:
                seq += 1
                send(seq, b"".join(b"\xfb" if v is None else bytes([0xFC]) + struct.pack("<H", len(v.encode())) + v.encode()
                                   for v in row))
            seq += 1
            send(seq, b"\xfe\0\0" + status)
            seq += 1
