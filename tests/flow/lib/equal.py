"""Are two databases equal, be they of one kind and version or not?  By their definitions, and by hashes of all rows that are made here."""
import hashlib
import json
import re


# Defaults of one kind of server that others do not have: there their own default takes the place.
_DEFAULTS = ("utf8mb4_0900_ai_ci", "utf8mb4_uca1400_ai_ci", "utf8mb3_uca1400_ai_ci")


def tables_of(db, *schemas):
    return [tuple(row) for row in db.query(
        "SELECT table_schema, table_name FROM information_schema.tables WHERE table_type IN ('BASE TABLE', 'SYSTEM VERSIONED') AND "
        f"table_schema IN ({','.join(repr(s) for s in schemas)}) ORDER BY 1, 2")]


def _name(text):
    return "`" + text.replace("`", "``") + "`"


def _where(schema, table):
    return "WHERE table_schema = '{}' AND table_name = '{}'".format(schema, table.replace("'", "''"))


def _columns(connection, schema, table):
    """(name, type) in order."""
    return connection.query(f"SELECT column_name, data_type FROM information_schema.columns {_where(schema, table)} ORDER BY ordinal_position")


def definition(connection, schema, table):
    """The server's own text, but for numbers to come and character sets that MySQL names where they were told beside a collation."""
    text = connection.query(f"SHOW CREATE TABLE {_name(schema)}.{_name(table)}")[0][1]
    return re.sub(r" AUTO_INCREMENT=\d+| CHARACTER SET \w+(?= COLLATE)", "", text)


def meaning(connection, schema, table):
    """What servers of all kinds and versions tell of a table: columns, then indexes."""
    def column(name, kind, null, length, precision, scale, fraction, charset, collation, default):
        if default is not None:  # 'x' here, x there
            default = None if default == "NULL" else re.sub(r"^b?'(.*)'$", r"\1", default, flags=re.S).replace("''", "'")
            default = bytes.fromhex(default[2:-1]).decode() if default and default.startswith("x'") else default
            default = "CURRENT_TIMESTAMP" if default == "current_timestamp()" else default
        if kind == "json":
            kind, length, charset, collation = "longtext", "4294967295", "utf8mb4", "utf8mb4_bin"
        if kind in ("float", "double"):
            precision = None
        return [name, kind, null, length, precision, scale, fraction, charset, default, collation]

    columns = [column(*c) for c in connection.query(
        "SELECT column_name, data_type, is_nullable, character_maximum_length, numeric_precision, numeric_scale, datetime_precision, "
        f"character_set_name, collation_name, column_default FROM information_schema.columns {_where(schema, table)} ORDER BY ordinal_position")]
    return columns, connection.query("SELECT index_name, seq_in_index, column_name, non_unique, sub_part FROM information_schema.statistics "
                                     f"{_where(schema, table)} ORDER BY 1, 2")


def row_hashes(connection, schema, table, documents):
    """Hashes of all rows: the bytes of each value, floats with all their digits; documents: columns of JSON that count as what they mean."""
    values, read_json = [], []
    for at, (name, kind) in enumerate(_columns(connection, schema, table)):
        if name in documents:
            read_json.append(at)
            values.append(f"CAST({_name(name)} AS CHAR)")
        elif kind in ("point", "geometry"):
            values.append(f"HEX({_name(name)})")
        else:
            values.append(f"HEX(CAST({_name(name)}{' + 0e0' if kind == 'float' else ''} AS BINARY))")

    def digest(row):
        row = list(row)
        for at in read_json:
            row[at] = row[at] and json.dumps(json.loads(row[at]), sort_keys=True)
        return hashlib.sha256(repr(row).encode()).hexdigest()
    return sorted(digest(row) for row in connection.query(f"SELECT {', '.join(values)} FROM {_name(schema)}.{_name(table)}"))


def assert_equal(case, up, down, *schemas):
    """Subtests of case: the same tables, defined alike, with the same rows; those of tables without a key are not compared."""
    case.assertEqual(tables_of(up, *schemas), tables_of(down, *schemas))
    with up.connect() as a, down.connect() as b:
        alike = a.version == b.version
        one_kind = ("MariaDB" in a.version) == ("MariaDB" in b.version)
        for c in (a, b):
            c.run("SET NAMES utf8mb4", "SET time_zone = '+00:00'")
        for schema, table in tables_of(up, *schemas):
            with case.subTest(table=f"{schema}.{table}"):
                if alike:
                    case.assertEqual(definition(a, schema, table), definition(b, schema, table))
                else:
                    one, two = meaning(a, schema, table), meaning(b, schema, table)
                    for c, d in zip(one[0], two[0]):
                        if c[-1] in _DEFAULTS:
                            d[-1] = c[-1]
                    case.assertEqual(one, two)
                if "KEY" in definition(a, schema, table):
                    documents = set() if one_kind else {n for c in (a, b) for n, kind in _columns(c, schema, table) if kind == "json"}
                    case.assertEqual(row_hashes(a, schema, table, documents), row_hashes(b, schema, table, documents))
