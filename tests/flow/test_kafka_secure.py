#!/usr/bin/env python3
"""MariaDB to a Kafka broker that asks who is there: SASL PLAIN, TLS with certificates of either side, and both."""
import subprocess

from lib import decode, parts
from lib.case import Case, main
from lib.kafka import Kafka
from lib.mariadb import MariaDB
from lib.server import Millrace

PASSWORD = "hid&den%1"
ESCAPED = "hid%26den%251"


class Secure(Case):
    @classmethod
    def setUpParts(cls):
        cls.certs = parts.temp_dir("certs")
        (cls.certs / "ext").write_text("subjectAltName=IP:127.0.0.1\n")
        for ca, names in (("ca", ("server", "client")), ("other", ("stranger",))):
            cls.openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{ca}.key", "-out", f"{ca}.pem", "-days", "2",
                        "-subj", f"/CN={ca}")
            for name in names:
                cls.openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
                cls.openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key", "-CAcreateserial",
                            "-out", f"{name}.pem", "-days", "2", "-extfile", "ext")
        store = cls.certs / "store.pem"
        store.write_text((cls.certs / "server.key").read_text() + (cls.certs / "server.pem").read_text())
        names = ("PLAINTEXT", "SASL", "TLS", "BOTH")
        cls.ports = {name: parts.free_port() for name in (*names, "CONTROLLER")}
        where = ",".join(f"{name}://127.0.0.1:{cls.ports[name]}" for name in names)
        login = ("org.apache.kafka.common.security.plain.PlainLoginModule required "
                 f'username="broker" password="x" user_cdc="{PASSWORD}";')
        tls = [f"listener.name.{name}.ssl.{key}" for name in ("tls", "both") for key in (
            "keystore.type=PEM", f"keystore.location={store}", "truststore.type=PEM", f"truststore.location={cls.certs}/ca.pem",
            "client.auth=required")]
        cls.kafka = Kafka(
            f"listeners={where},CONTROLLER://127.0.0.1:{cls.ports['CONTROLLER']}", f"advertised.listeners={where}",
            f"controller.quorum.voters=1@127.0.0.1:{cls.ports['CONTROLLER']}",
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL:SASL_PLAINTEXT,TLS:SSL,BOTH:SASL_SSL,CONTROLLER:PLAINTEXT",
            *(f"listener.name.{name}.sasl.enabled.mechanisms=PLAIN" for name in ("sasl", "both")),
            *(f"listener.name.{name}.plain.sasl.jaas.config={login}" for name in ("sasl", "both")), *tls,
            address=f"127.0.0.1:{cls.ports['PLAINTEXT']}")
        cls.db = MariaDB()
        cls.server = Millrace(cls.db)

    @classmethod
    def tearDownClass(cls):
        # What is secret is said nowhere, as it is or escaped.
        log = cls.server.log.read_text(errors="replace")
        assert PASSWORD not in log and ESCAPED not in log

    @classmethod
    def openssl(cls, *arguments):
        subprocess.run(["openssl", *arguments], cwd=cls.certs, check=True, capture_output=True, stdin=subprocess.DEVNULL)

    def uri(self, topic, listener, query):
        return f"kafka://127.0.0.1:{self.ports[listener]}/{topic}?protocol=canal-json&partition-num=1&{query}"

    def files(self, cert="client", ca="ca"):
        return f"ca={self.certs}/{ca}.pem&cert={self.certs}/{cert}.pem&key={self.certs}/{cert}.key"

    def works(self, name, listener, query, **body):
        self.db.run(f"CREATE DATABASE {name}", f"CREATE TABLE {name}.t (id INT PRIMARY KEY)")
        self.server.create(name, self.uri(name, listener, query), filter_rules=[f"{name}.*"], **body)
        self.db.run(f"INSERT INTO {name}.t VALUES (1)")
        self.server.wait_caught_up(name)
        rows = [e for e in decode.of_messages(self.kafka.messages(name), "canal-json") if e.kind == decode.ROW]
        self.assertEqual([e.data["id"] for e in rows], ["1"])
        self.assertNotIn(ESCAPED, str(self.server.changefeed(name)))

    def refused(self, listener, query, text="", **body):
        reply = self.server.api("POST", "/api/v1/changefeeds", {"changefeed_id": "refused", **body,
                                                                "sink_uri": self.uri("refused", listener, query)})
        self.assertEqual(reply.code(), "CDC:ErrKafkaNewProducer", reply.text())
        self.assertIn(text.lower(), reply.text().lower())
        for hidden in (PASSWORD, ESCAPED, "wrong-one"):
            self.assertNotIn(hidden, reply.text())
        self.assertNotIn("refused", self.kafka.topics())

    def test_plain(self):
        who = f"sasl-mechanism=plain&sasl-user=cdc&sasl-password={ESCAPED}"
        self.works("plain", "SASL", who)
        self.works("plainfile", "SASL", "", sink_config={"kafka-config": {
            "sasl-mechanism": "PLAIN", "sasl-user": "cdc", "sasl-password": PASSWORD}})
        self.refused("SASL", "sasl-mechanism=plain&sasl-user=cdc&sasl-password=wrong-one", "authentication")
        self.refused("SASL", "sasl-mechanism=plain&sasl-user=nobody&sasl-password=wrong-one", "authentication")
        # Setting the mechanism is what switches it on.
        self.refused("SASL", f"sasl-user=cdc&sasl-password={ESCAPED}")
        self.refused("SASL", f"sasl-mechanism=scram-sha-256&sasl-user=cdc&sasl-password={ESCAPED}", "SCRAM-SHA-256")

    def test_certificates(self):
        self.works("tls", "TLS", self.files())
        self.works("tlsloose", "TLS", self.files(ca="other") + "&insecure-skip-verify=true")
        self.refused("TLS", self.files(ca="other"), "certificate")
        self.refused("TLS", self.files(cert="stranger"))
        self.refused("TLS", "enable-tls=true", "certificate")
        self.refused("TLS", "")
        self.refused("PLAINTEXT", self.files())

    def test_both(self):
        self.works("saslssl", "BOTH", self.files() + f"&sasl-mechanism=plain&sasl-user=cdc&sasl-password={ESCAPED}")
        self.refused("BOTH", self.files() + "&sasl-mechanism=plain&sasl-user=cdc&sasl-password=wrong-one", "authentication")
        self.refused("BOTH", self.files())


if __name__ == "__main__":
    main()
