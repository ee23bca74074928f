"""A small client of the MySQL protocol: text queries, native passwords or none.  Values are str, bytes or None."""
import hashlib
import socket
import struct


class SqlError(Exception):
    def __init__(self, code, text):
        super().__init__(f"{code}: {text}")
        self.code = code


class Sql:
    def __init__(self, port=None, sock=None, user="root", password="", database=None, timeout=60):
        if sock:
            self._socket = socket.socket(socket.AF_UNIX)
            self._socket.settimeout(timeout)
            self._socket.connect(str(sock))
        else:
            self._socket = socket.create_connection(("127.0.0.1", port), timeout)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._in = self._socket.makefile("rb", buffering=1 << 16)
        self._seq = 0
        self._login(user, password, database)

    def close(self):
        self._in.close()
        self._socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _read(self):
        body = b""
        while True:
            head = self._in.read(4)
            if len(head) < 4:
                raise ConnectionError("connection closed by the server")
            size = head[0] | head[1] << 8 | head[2] << 16
            self._seq = (head[3] + 1) & 255
            part = self._in.read(size)
            if len(part) < size:
                raise ConnectionError("connection closed by the server")
            body += part
            if size < 0xFFFFFF:
                break
        if body[:1] == b"\xff":
            text = body[3:]
            if text[:1] == b"#":
                text = text[6:]
            raise SqlError(struct.unpack_from("<H", body, 1)[0], text.decode(errors="replace"))
        return body

    def _write(self, body):
        out = bytearray()
        while True:
            part, body = body[:0xFFFFFF], body[0xFFFFFF:]
            out += struct.pack("<I", len(part))[:3] + bytes([self._seq]) + part
            self._seq = (self._seq + 1) & 255
            if len(part) < 0xFFFFFF:
                break
        self._socket.sendall(out)

    @staticmethod
    def _scramble(password, salt):
        if not password:
            return b""
        one = hashlib.sha1(password.encode()).digest()
        two = hashlib.sha1(salt + hashlib.sha1(one).digest()).digest()
        return bytes(a ^ b for a, b in zip(one, two))

    def _login(self, user, password, database):
        hello = self._read()
        end = hello.index(b"\0", 1)
        self.version = hello[1:end].decode()
        at = end + 1 + 4
        salt = hello[at:at + 8] + hello[at + 8 + 1 + 2 + 1 + 2 + 2 + 1 + 10:][:12]
        # LONG_PASSWORD, PROTOCOL_41, TRANSACTIONS, SECURE_CONNECTION, PLUGIN_AUTH, CONNECT_WITH_DB
        flags = 0x1 | 0x200 | 0x2000 | 0x8000 | 0x80000 | (0x8 if database else 0)
        answer = self._scramble(password, salt)
        self._write(struct.pack("<IIB23x", flags, 1 << 30, 45) + user.encode() + b"\0" + bytes([len(answer)]) + answer
                    + (database.encode() + b"\0" if database else b"") + b"mysql_native_password\0")
        body = self._read()
        if body[:1] == b"\xfe":
            name, _, salt = body[1:].partition(b"\0")
            if name == b"mysql_native_password":
                self._write(self._scramble(password, salt[:20]))
            elif name == b"caching_sha2_password" and not password:
                self._write(b"\0")
            else:
                raise SqlError(0, f"unknown authentication {name!r}")
            self._read()

    @staticmethod
    def _lenenc(body, at):
        first = body[at]
        if first < 0xFB:
            return first, at + 1
        if first == 0xFB:
            return None, at + 1
        size = {0xFC: 2, 0xFD: 3, 0xFE: 8}[first]
        return int.from_bytes(body[at + 1:at + 1 + size], "little"), at + 1 + size

    def query(self, text):
        """Rows as tuples, or the number of affected rows of a statement without a result."""
        self._seq = 0
        self._write(b"\x03" + (text if isinstance(text, bytes) else text.encode()))
        body = self._read()
        if body[0] == 0:
            return self._lenenc(body, 1)[0]
        count, _ = self._lenenc(body, 0)
        binary = []
        for _ in range(count):
            column = self._read()
            at = 0
            for _ in range(6):
                size, at = self._lenenc(column, at)
                at += size
            binary.append(struct.unpack_from("<H", column, at + 1)[0] == 63 and column[at + 7] in
                          (249, 250, 251, 252, 253, 254, 16))
        self._read()  # EOF
        rows = []
        while True:
            body = self._read()
            if body[0] == 0xFE and len(body) < 9:
                return rows
            row, at = [], 0
            for is_binary in binary:
                size, at = self._lenenc(body, at)
                if size is None:
                    row.append(None)
                    continue
                value = body[at:at + size]
                at += size
                row.append(value if is_binary else value.decode())
            rows.append(tuple(row))

    def run(self, *statements):
        for text in statements:
            self.query(text)

    def value(self, text):
        return self.query(text)[0][0]
