#!/usr/bin/env python3
"""A MariaDB target that wants TLS, and certificates of its clients."""
import subprocess

from lib import parts, same
from lib.case import Case, main
from lib.mariadb import MariaDB
from lib.server import Millrace


class Tls(Case):
    @classmethod
    def setUpParts(cls):
        cls.certs = parts.temp_dir("certs")
        for ca in ("ca", "other-ca"):
            cls.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{ca}.key", "-out", f"{ca}.pem", "-days", "2",
                        "-subj", f"/CN={ca}")
        for name in ("server", "client"):
            (cls.certs / "ext").write_text("subjectAltName=IP:127.0.0.1\n")
            cls.openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
            cls.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                        "-extfile", "ext", "-out", f"{name}.pem")
        cls.openssl("rsa", "-aes256", "-passout", "pass:x", "-in", "client.key", "-out", "locked.key")
        cls.source = MariaDB()
        cls.target = MariaDB({"server-id": "2002", "ssl-ca": cls.certs / "ca.pem", "ssl-cert": cls.certs / "server.pem",
                              "ssl-key": cls.certs / "server.key"})
        cls.target.run("CREATE USER safe@'127.0.0.1' REQUIRE SSL", "GRANT ALL ON *.* TO safe@'127.0.0.1'",
                       "CREATE USER known@'127.0.0.1' REQUIRE X509", "GRANT ALL ON *.* TO known@'127.0.0.1'")
        cls.server = Millrace(cls.source)

    @classmethod
    def openssl(cls, *arguments):
        subprocess.run(["openssl", *arguments], cwd=cls.certs, check=True, capture_output=True, stdin=subprocess.DEVNULL)

    def uri(self, user, **files):
        return self.target.uri(user) + "?worker-count=2" + "".join(f"&ssl-{k}={self.certs}/{v}" for k, v in files.items())

    def test_rows_come_over_tls(self):
        for name, uri in (("safe", self.uri("safe", ca="ca.pem")),
                          ("known", self.uri("known", ca="ca.pem", cert="client.pem", key="client.key"))):
            with self.subTest(name):
                self.server.create(name, uri, filter_rules=[f"{name}.*"])
                self.source.run(f"CREATE DATABASE {name}", f"CREATE TABLE {name}.t (id INT PRIMARY KEY)", f"INSERT INTO {name}.t VALUES (1)")
                self.server.wait_caught_up(name)
                self.assertEqual(same.difference(self.source, self.target, name), "")

    def test_what_is_not_trusted_is_refused(self):
        for files, user, code in (
                ({}, "safe", "CDC:ErrMySQLConnectionError"),
                ({"ca": "other-ca.pem"}, "safe", "CDC:ErrMySQLConnectionError"),
                ({"ca": "ca.pem"}, "known", "CDC:ErrMySQLConnectionError"),
                ({"ca": "missing.pem"}, "safe", "CDC:ErrToTLSConfigFailed"),
                ({"ca": "ca.key"}, "safe", "CDC:ErrToTLSConfigFailed"),
                ({"ca": "ca.pem", "cert": "missing.pem", "key": "client.key"}, "known", "CDC:ErrToTLSConfigFailed"),
                ({"ca": "ca.pem", "cert": "client.pem", "key": "server.key"}, "known", "CDC:ErrToTLSConfigFailed"),
                ({"ca": "ca.pem", "cert": "client.pem", "key": "locked.key"}, "known", "CDC:ErrToTLSConfigFailed")):
            with self.subTest(files=files, user=user):
                reply = self.server.api("POST", "/api/v1/changefeeds", {
                    "changefeed_id": "no", "sink_uri": self.uri(user, **files), "filter_rules": ["x.*"]})
                self.assertEqual(reply.code(), code, reply.text())


if __name__ == "__main__":
    main()
