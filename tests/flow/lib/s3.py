"""
An S3 server over a folder, which checks signatures, so that objects can be read as files; and a small one of our own that fails
as it is told, and checks signatures by its own arithmetic.
"""
import collections
import hashlib
import hmac
import http.client
import http.server
import re
import subprocess
import threading
import urllib.parse

from lib import parts

_SERVER = parts.ROOT / "tests" / "flow" / "parts" / "s3-server"


class S3:
    """Buckets are folders below .data."""

    KEY = "flowtestkey"
    SECRET = "flow+test/secret=="

    def __init__(self):
        subprocess.run([_SERVER, "jars"], check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        self.dir = parts.temp_dir("s3")
        self.data = self.dir / "data"
        self.port = parts.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = None
        self.start()

    def start(self):
        self.process = parts.Process([_SERVER, "run", self.dir, self.port, self.KEY, self.SECRET], self.dir / "log")

        def answers():
            if not self.process.running():
                raise RuntimeError(f"the S3 server ended:\n{self.process.tail()}")
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
            try:
                connection.request("GET", "/")
                return connection.getresponse().status > 0
            except (OSError, http.client.HTTPException):
                return False
            finally:
                connection.close()
        parts.wait_until(answers, 60, "the S3 server answers", every=0.1)

    def stop(self):
        self.process.stop(30)

    def kill(self):
        self.process.popen.kill()
        self.process.wait()

    def bucket(self, name):
        """Makes a bucket; its folder."""
        (self.data / name).mkdir(parents=True)
        return self.data / name

    def uri(self, where, scheme="s3", key=KEY, secret=SECRET, **query):
        """The secret stands in it as people write it: with a raw '+'."""
        query = {"endpoint": self.url, "access-key": key, "secret-access-key": secret.replace("=", "%3D").replace("/", "%2F"),
                 **{k.replace("_", "-"): v for k, v in query.items()}}
        return f"{scheme}://{where}?" + "&".join(f"{k}={v}" for k, v in query.items())


Call = collections.namedtuple("Call", "method path query headers body")
Answer = collections.namedtuple("Answer", "status body headers", defaults=(b"", {}))


def error(status, code, message="", **headers):
    return Answer(status, f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>".encode(), headers)


class FakeS3:
    """
    Keeps objects in memory.  `before(call)` may answer in the server's place; keys: access key -> (secret, session token).
    Requests whose signature is wrong are refused, and counted in .refused.
    """

    def __init__(self, bucket, keys, region="us-east-1"):
        self.bucket, self.keys, self.region = bucket, keys, region
        self.objects, self.uploads, self.calls, self.refused = {}, {}, [], []
        self.before = lambda call: None
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                path, _, query = self.path.partition("?")
                call = Call(self.command, path, query, {k.lower(): v for k, v in self.headers.items()}, body)
                reply = fake.answer(call)
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name.replace("_", "-"), value)
                if "Content_Length" not in reply.headers:
                    self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                try:
                    self.wfile.write(reply.body if self.command != "HEAD" else b"")
                except ConnectionError:  # the client has hung up
                    self.close_connection = True

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = answer

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        parts.at_end(self.server.shutdown)

    def answer(self, call):
        if call.path.startswith("/latest/"):
            return self.before(call) or Answer(404)
        self.calls.append(call)
        wrong = self.check(call)
        if wrong == "another region":
            return error(400, "AuthorizationHeaderMalformed", wrong, x_amz_bucket_region=self.region)
        if wrong:
            self.refused.append((wrong, call))
            return error(403, "SignatureDoesNotMatch", wrong)
        if call.headers["host"].startswith(self.bucket + "."):
            call = call._replace(path=f"/{self.bucket}{call.path}")
        return self.before(call) or self.serve(call)

    def check(self, call):
        """What is wrong with the signature (version 4), or None."""
        m = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/s3/aws4_request, ?SignedHeaders=([^,]+), ?"
                         r"Signature=([0-9a-f]{64})", call.headers.get("authorization", ""))
        if not m:
            return "no signature"
        access, day, region, signed, signature = m.groups()
        if access not in self.keys:
            return "unknown key"
        secret, token = self.keys[access]
        signed = signed.split(";")
        if not {"host", "x-amz-date", "x-amz-content-sha256"} <= set(signed):
            return "headers that must be signed are not"
        unsigned = {h for h in call.headers if h.startswith("x-amz-")} - set(signed)
        if unsigned or call.headers.get("x-amz-security-token", "") != token:
            return f"not signed: {unsigned}, or another token"
        if region != self.region:
            return "another region"
        digest = hashlib.sha256(call.body).hexdigest()
        if call.headers["x-amz-content-sha256"] != digest:
            return "the hash is not the body's"
        pairs = sorted(tuple(p.partition("=")[::2]) for p in call.query.split("&") if p)
        query = "&".join(f"{urllib.parse.quote(urllib.parse.unquote(k), safe='-._~')}="
                         f"{urllib.parse.quote(urllib.parse.unquote(v), safe='-._~')}" for k, v in pairs)
        path = urllib.parse.quote(urllib.parse.unquote(call.path), safe="/-._~")
        canonical = "\n".join([call.method, path, query,
                               *(f"{h}:{' '.join(call.headers[h].split())}" for h in sorted(signed)), "",
                               ";".join(signed), digest])
        scope = f"{day}/{region}/s3/aws4_request"
        text = "\n".join(["AWS4-HMAC-SHA256", call.headers["x-amz-date"], scope,
                          hashlib.sha256(canonical.encode()).hexdigest()])
        key = ("AWS4" + secret).encode()
        for part in (day, region, "s3", "aws4_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        if hmac.new(key, text.encode(), hashlib.sha256).hexdigest() != signature:
            return "the signature differs"
        return None

    def serve(self, call):
        path = urllib.parse.unquote(call.path)
        query = dict(urllib.parse.parse_qsl(call.query, keep_blank_values=True))
        if path.split("/")[1] != self.bucket:
            return error(404, "NoSuchBucket")
        key = path[len(self.bucket) + 2:]
        if call.method == "GET" and query.get("list-type") == "2":
            return self.listing(query)
        if call.method == "POST" and "uploads" in query:
            name = f"up/load+{len(self.uploads)}"
            self.uploads[name] = {}
            return Answer(200, f"<R xmlns='x'><UploadId>{name}</UploadId></R>".encode())
        if "uploadId" in query:
            return self.multipart(call, key, query)
        if call.method == "PUT":
            if call.headers.get("if-none-match") == "*" and key in self.objects:
                return error(412, "PreconditionFailed")
            self.objects[key] = call.body
            return Answer(200, b"", {"ETag": '"e"'})
        if call.method == "DELETE":
            self.objects.pop(key, None)
            return Answer(204)
        if key not in self.objects:
            return error(404, "NoSuchKey") if call.method == "GET" else Answer(404)
        if call.method == "HEAD":
            return Answer(200, b"", {"Content_Length": str(len(self.objects[key]))})
        return Answer(200, self.objects[key])

    def multipart(self, call, key, query):
        upload = self.uploads.get(query["uploadId"])
        if upload is None:
            return error(404, "NoSuchUpload")
        if call.method == "PUT":
            number = query["partNumber"]
            upload[number] = call.body
            return Answer(200, b"", {"ETag": f'"{hashlib.md5(call.body).hexdigest()}"'})
        del self.uploads[query["uploadId"]]
        if call.method == "DELETE":
            return Answer(204)
        asked = re.findall(rb"<PartNumber>(\d+)</PartNumber><ETag>\"([0-9a-f]+)\"</ETag>", call.body)
        if [(n.decode(), e.decode()) for n, e in asked] != [(n, hashlib.md5(b).hexdigest()) for n, b in upload.items()]:
            return error(400, "InvalidPart")
        self.objects[key] = b"".join(upload.values())
        return Answer(200, b"<CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>")

    def listing(self, query):
        """Two keys a page."""
        prefix, after = query["prefix"], query.get("continuation-token", "")
        keys = [k for k in sorted(self.objects) if k.startswith(prefix) and k > after and
                not ("delimiter" in query and "/" in k[len(prefix):])]
        page = keys[:2]
        body = "".join(f"<Contents><Key>{urllib.parse.quote(k)}</Key><Size>{len(self.objects[k])}</Size></Contents>" for k in page)
        more = f"<IsTruncated>true</IsTruncated><NextContinuationToken>{page[-1]}</NextContinuationToken>" if keys[2:] else \
            "<IsTruncated>false</IsTruncated>"
        return Answer(200, f"<ListBucketResult xmlns='x'>{more}<EncodingType>url</EncodingType>{body}</ListBucketResult>".encode())
