#!/usr/bin/env python3
"""MySQL 8.0 as target and as source of a copy: MariaDB to MySQL, MySQL to MySQL, MySQL to MariaDB."""
import random

from lib import same
from lib.case import Case, main
from lib.mariadb import MariaDB
from lib.mysql import MySQL
from lib.server import Millrace

COLUMNS = """id BIGINT AUTO_INCREMENT PRIMARY KEY, ti TINYINT, su SMALLINT UNSIGNED, mi MEDIUMINT, bu BIGINT UNSIGNED, f FLOAT, d DOUBLE,
    de DECIMAL(65,30), b1 BIT(1), b64 BIT(64), y YEAR, c CHAR(8), vc VARCHAR(200), tx TEXT, lt LONGTEXT, bi BINARY(6), vb VARBINARY(300),
    bl BLOB, da DATE, t6 TIME(6), dt DATETIME(3), ts TIMESTAMP(6) NULL, e ENUM('new','paid','x,y','é'), s SET('a','b c','ü'), j JSON,
    l1 VARCHAR(20) CHARACTER SET latin1, gb VARCHAR(20) CHARACTER SET gbk, po POINT, `a``b` INT, `select` INT,
    u INT UNIQUE, vi BIGINT AS (ti * 2) VIRTUAL, st VARCHAR(20) AS (CONCAT('<', LEFT(vc, 5), '>')) STORED"""
VALUES = [
    """(1, -128, 65535, -8388608, 18446744073709551615, 1.1, 1.7976931348623157e308,
     -12345678901234567890123456789012345.123456789012345678901234567890, 1, b'1000000101', 2155, 'ab', 'q '' d " b \\\\ n \\n z \\Z %',
     'text 😀 é', REPEAT('😀', 3000), x'00ff', x'005c27221a0a0d00ff', x'f09f98', '2024-02-29', '-838:59:58.000001',
     '2024-05-06 07:08:09.120', '2024-05-06 07:08:09.000001', 'x,y', 'a,ü', '{"k": [1, 2.5, "<&>", null, "é😀"]}', 'café', '中文',
     ST_GeomFromText('POINT(1 2)'), 1, 2, 10)""",
    """(2, 127, 0, 8388607, 0, -3.4e38, 2.2250738585072014e-308, 0.1, 0, 0, 1901, '', '', '', '', '', '', '', '0000-00-00', '838:59:59',
     '0000-00-00 00:00:00', '0000-00-00 00:00:00', 'new', '', '[]', '', '', NULL, NULL, NULL, NULL)""",
    """(3, 0, 1, 0, 1, 0.1, 0.1, 1e-30, NULL, ~0, NULL, ' x', 'NULL', 'a\\0b', 'tab\\t', '\\0', 'a ', '\\0', '9999-12-31', '00:00:00.1',
     '9999-12-31 23:59:59.999', '2038-01-19 03:14:07.999999', 1, 7, '"str"', 'ÿ', '￥', NULL, 0, 0, 30)"""]
NAMES = "id,ti,su,mi,bu,f,d,de,b1,b64,y,c,vc,tx,lt,bi,vb,bl,da,t6,dt,ts,e,s,j,l1,gb,po,`a``b`,`select`,u"


class Pairs(Case):
    def copy(self, source, target, query=""):
        for db in (source, target):  # with each server's usual kind of password
            db.run("CREATE USER copier@'127.0.0.1' IDENTIFIED BY 'pass word'", "GRANT ALL ON *.* TO copier@'127.0.0.1'")
        server = Millrace(source.uri("copier", "pass%20word"), "--tz", "UTC")
        server.create("pair", target.uri("copier", "pass%20word") + query, filter_rules=["pair.*"], force_replicate=True)
        with source.connect() as c:
            c.run("SET NAMES utf8mb4", "SET sql_mode = ''", "SET time_zone = '+00:00'", "CREATE DATABASE pair CHARACTER SET utf8mb4",
                  f"CREATE TABLE pair.t ({COLUMNS}) DEFAULT CHARSET=utf8mb4",
                  "CREATE TABLE pair.nokey (a INT, j JSON, f FLOAT, v VARCHAR(20))",
                  *(f"INSERT INTO pair.t ({NAMES}) VALUES {v}" for v in VALUES),
                  "INSERT INTO pair.nokey VALUES (1, '{\"a\": 1}', 1.1, NULL), (2, '[1]', 0.1, 'x')",
                  "UPDATE pair.nokey SET a = 3 WHERE a = 1", "DELETE FROM pair.nokey WHERE a = 2",
                  "UPDATE pair.t SET vc = 'after', po = ST_GeomFromText('POINT(-1.5 1e10)'), j = '{\"z\": \"y\"}' WHERE id = 3",
                  "UPDATE pair.t SET id = 50 WHERE id = 2", "ALTER TABLE pair.t ADD COLUMN late DATETIME(3) DEFAULT CURRENT_TIMESTAMP(3)",
                  "ALTER TABLE pair.t ADD INDEX (vc), MODIFY ti INT, RENAME COLUMN `select` TO chosen")
            rnd = random.Random(3)
            for i in range(300):
                a, b = rnd.randrange(100, 160), rnd.randrange(100, 160)
                c.run("BEGIN", f"INSERT IGNORE INTO pair.t (id, u, vc) VALUES ({a}, {b}, 'r{i}')",
                      f"UPDATE IGNORE pair.t SET u = {b + 1000}, id = {b} WHERE id = {a}",
                      f"DELETE FROM pair.t WHERE id = {rnd.randrange(100, 160)}", "COMMIT")
            # Keys of several columns and charsets, several rows at a time.
            c.run("CREATE TABLE pair.keys2 (a INT, l VARCHAR(9) CHARACTER SET latin1, d DATETIME(2), PRIMARY KEY (l, d, a))",
                  *(f"INSERT INTO pair.keys2 VALUES ({n}, CONCAT('ÿ', {n % 3}), '2024-01-01 00:00:00.5')" for n in range(20)),
                  "DELETE FROM pair.keys2 WHERE a < 15")
        server.wait_caught_up("pair")
        for table in ("t", "nokey", "keys2"):
            self.assertEqual(self.rows(source, table), self.rows(target, table))
        self.assertGreater(len(self.rows(target, "t")), 10)
        server.stop()

    @staticmethod
    def rows(db, table):
        """Hex of every value; servers print the same JSON and floats in their own ways."""
        parts = []
        for name, kind in db.query(f"SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = 'pair' "
                                   f"AND table_name = '{table}' ORDER BY ordinal_position"):
            name = "`" + name.replace("`", "``") + "`"
            if kind in ("float", "double"):
                parts.append(f"{name} * 1e0")
            elif kind == "bit":
                parts.append(f"{name} + 0")
            elif name == "`j`":
                parts.append(f"HEX(REPLACE({name}, ' ', ''))")
            else:
                parts.append(f"HEX({name})" if kind in same._BYTES else f"HEX(CAST({name} AS CHAR))")
        return [tuple(float(v) if v and parts[i].endswith("1e0") else v for i, v in enumerate(row))
                for row in db.query(f"SELECT {', '.join(parts)} FROM pair.{table} ORDER BY 1, 2")]

    def test_mariadb_to_mysql(self):
        self.copy(MariaDB({"default-time-zone": "+00:00"}), MySQL({"default-time-zone": "+00:00"}), "?where-clause=v2")

    def test_mysql_to_mysql(self):
        self.copy(MySQL({"default-time-zone": "+00:00"}), MySQL({"default-time-zone": "+00:00", "server-id": "2002"}))

    def test_mysql_to_mariadb(self):
        self.copy(MySQL({"default-time-zone": "+00:00"}), MariaDB({"default-time-zone": "+00:00", "server-id": "2002"}), "?where-clause=v2")


if __name__ == "__main__":
    main()
