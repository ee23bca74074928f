"""A TCP proxy on 127.0.0.1 between a client and a server, which can keep answers or requests back and cut connections."""
import selectors
import socket
import threading

from lib import parts


class Proxy:
    """port: where it listens; to: the server's port."""

    def __init__(self, port, to):
        self.port, self.to = port, to
        self.holding = False
        self.slow = {}  # client -> what it has said since hold_requests, for the connections of that time
        self.lock = threading.Lock()
        self.pairs = []  # [client, server, answers held back]
        self.listener = socket.create_server(("127.0.0.1", port))
        self.wake_read, self.wake_write = socket.socketpair()
        self.ended = False
        threading.Thread(target=self._run, daemon=True).start()
        parts.at_end(self.close)

    def hold_answers(self):
        """From now on nothing of what the server says arrives; what the client says does."""
        with self.lock:
            self.holding = True

    def release(self):
        with self.lock:
            self.holding = False
            for client, _, held in self.pairs:
                self._send(client, bytes(held))
                held.clear()

    def hold_requests(self):
        """
        A server that is slow to read: of the connections that there are, nothing of what the client says from now on arrives
        until let_requests, not even that it has closed.  New connections are not touched.
        """
        with self.lock:
            self.slow = {client: bytearray() for client, _, _ in self.pairs}

    def held_requests(self):
        with self.lock:
            return b"".join(bytes(b) for b in self.slow.values())

    def let_requests(self):
        with self.lock:
            for client, server, _ in self.pairs:
                if client in self.slow:
                    self._send(server, bytes(self.slow[client]))
                    if self._has_ended(client):
                        self._end(server)
            self.slow = {}

    def cut(self):
        """Closes all connections, with what is held back."""
        with self.lock:
            for client, server, _ in self.pairs:
                for s in (client, server):
                    try:
                        s.shutdown(socket.SHUT_RDWR)
                    except OSError:
                        pass

    def close(self):
        self.ended = True
        self.wake_write.send(b"x")

    @staticmethod
    def _has_ended(s):
        try:
            return s.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    @staticmethod
    def _end(s):
        try:
            s.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    @staticmethod
    def _send(s, data):
        try:
            s.sendall(data)
        except OSError:
            pass

    def _accept(self, selector):
        client, _ = self.listener.accept()
        try:
            server = socket.create_connection(("127.0.0.1", self.to))
        except OSError:
            client.close()
            return
        pair = [client, server, bytearray()]
        with self.lock:
            self.pairs.append(pair)
        selector.register(client, selectors.EVENT_READ, pair)
        selector.register(server, selectors.EVENT_READ, pair)

    def _move(self, selector, s, pair):
        try:
            data = s.recv(1 << 16)
        except OSError:
            data = b""
        client, server, held = pair
        with self.lock:
            if s is client and not data:
                # The server hears of it behind all that was said, and closes when it is through with that.
                selector.unregister(client)
                if client not in self.slow:
                    self._end(server)
            elif s is client and client in self.slow:
                self.slow[client] += data
            elif data and s is server and self.holding:
                held += data
            elif data:
                self._send(server if s is client else client, data)
            else:
                self.pairs.remove(pair)
                self.slow.pop(client, None)
                for end in (client, server):
                    if end in selector.get_map():
                        selector.unregister(end)
                    end.close()

    def _run(self):
        selector = selectors.DefaultSelector()
        selector.register(self.listener, selectors.EVENT_READ, "listener")
        selector.register(self.wake_read, selectors.EVENT_READ, "wake")
        while not self.ended:
            for key, _ in selector.select():
                if key.data == "listener":
                    self._accept(selector)
                elif key.data != "wake" and key.fileobj.fileno() >= 0:
                    self._move(selector, key.fileobj, key.data)
        self.listener.close()
