"""
A private schema registry, behind a front of the test's own: the front answers the root as Confluent's registry does (the program
has a page there), counts calls, asks for a password, speaks TLS, and can be closed for a while.
"""
import base64
import http.client
import http.server
import json
import ssl
import subprocess
import threading

from lib import parts

_PROGRAM = parts.ROOT / "tests" / "flow" / "parts" / "schema-registry"
_BASE = "/apis/ccompat/v7"


class _Front(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def handle_one(self):
        front = self.server.front
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.server is not front.server:  # closed meanwhile, but for connections that were open
            self.close_connection = True
            return
        front.calls.append((self.command, self.path))
        if self.command == "POST":
            front.schemas.append((self.command, self.path, json.loads(body)["schema"]))
        if front.user and self.headers.get("Authorization") != "Basic " + base64.b64encode(front.user.encode()).decode():
            self.answer(401, b'{"error_code":401,"message":"who are you"}')
        elif self.path == "/":
            self.answer(200, b"{}")
        else:
            self.answer(*front.registry.ask(self.command, self.path, body or None))

    do_GET = do_POST = do_PUT = handle_one


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """A client that has gone is no news; others show in the test's own result."""


class Front:
    """user: "name:password" or None; certificate: (pem, key) for TLS."""

    def __init__(self, registry, user=None, certificate=None):
        self.registry, self.user, self.certificate = registry, user, certificate
        self.port = parts.free_port()
        self.calls = []
        self.schemas = []  # of registrations: method, path, text
        self.server = None
        self.open()
        parts.at_end(self.close)

    @property
    def url(self):
        user = f"{self.user}@" if self.user else ""
        return f"{'https' if self.certificate else 'http'}://{user}127.0.0.1:{self.port}"

    def open(self):
        self.server = _Server(("127.0.0.1", self.port), _Front)
        self.server.front = self
        if self.certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*self.certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        if self.server is not None:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def posts(self):
        return [path for method, path in self.calls if method == "POST"]


class SchemaRegistry:
    def __init__(self):
        subprocess.run([_PROGRAM, "get"], check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        self.dir = parts.temp_dir("registry")
        self.port = parts.free_port()
        self.url = f"http://127.0.0.1:{self.port}{_BASE}"
        self.process = parts.Process([_PROGRAM, "run", self.port], self.dir / "log", cwd=self.dir)

        def answers():
            if not self.process.running():
                raise RuntimeError(f"the schema registry ended:\n{self.process.tail()}")
            try:
                return self.ask("GET", "/subjects")[0] == 200
            except OSError:
                return False
        parts.wait_until(answers, 120, "the schema registry answers", every=0.2)

    def ask(self, method, path, body=None):
        """(status, body)"""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, _BASE + path, body, {"Content-Type": "application/vnd.schemaregistry.v1+json"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def schema(self, number):
        status, body = self.ask("GET", f"/schemas/ids/{number}")
        assert status == 200, f"schema {number}: {status} {body}"
        return json.loads(json.loads(body)["schema"])

    def subjects(self):
        return sorted(json.loads(self.ask("GET", "/subjects")[1]))

    def set_compatibility(self, subject, level):
        status, body = self.ask("PUT", f"/config/{subject}", json.dumps({"compatibility": level}))
        assert status == 200, f"compatibility of {subject}: {status} {body}"
