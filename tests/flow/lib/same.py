"""Are two databases' tables equal?  By hashes that the servers make of every row's stored values."""

_BYTES = {"char", "varchar", "tinytext", "text", "mediumtext", "longtext", "binary", "varbinary", "tinyblob", "blob",
          "mediumblob", "longblob", "geometry", "point", "linestring", "polygon", "multipoint", "multilinestring",
          "multipolygon", "geometrycollection"}
_SYSTEM = ("mysql", "information_schema", "performance_schema", "sys", "tidb_cdc")


def schemas(db):
    names = ", ".join(f"'{name}'" for name in _SYSTEM)
    return [row[0] for row in db.query(f"SELECT schema_name FROM information_schema.schemata "
                                       f"WHERE schema_name NOT IN ({names}) ORDER BY 1")]


def _quote(name):
    return "`" + name.replace("`", "``") + "`"


def tables(db, schema):
    return [row[0] for row in db.query(
        f"SELECT table_name FROM information_schema.tables WHERE table_schema = '{schema}' "
        f"AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED') ORDER BY 1")]


def columns(db, schema, table):
    """name, type text, nullable, default, extra"""
    literal = table.replace("'", "''")
    return db.query(
        f"SELECT column_name, column_type, is_nullable, NULLIF(column_default, 'NULL'), extra, data_type FROM "
        f"information_schema.columns WHERE table_schema = '{schema}' AND table_name = '{literal}' "
        f"ORDER BY ordinal_position")


def digest(db, schema, table):
    """Number of rows and two sums over hashes of all of them."""
    parts = []
    for name, _, _, _, extra, kind in columns(db, schema, table):
        value = _quote(name) if kind in _BYTES else f"CAST({_quote(name)} AS CHAR)"
        parts.append(f"IFNULL(HEX({value}), '-')")
    row = f"MD5(CONCAT_WS('/', {', '.join(parts)}))"
    return db.query(f"SELECT COUNT(*), BIT_XOR(CONV(SUBSTR({row}, 1, 16), 16, 10)), SUM(CRC32({row})) "
                    f"FROM {_quote(schema)}.{_quote(table)}")[0]


def difference(a, b, *only):
    """A text that says what differs between the schemas (all, or only those) of a and b; "" if nothing does."""
    names = list(only) or schemas(a)
    if not only and schemas(b) != names:
        return f"schemas: {names} and {schemas(b)}"
    for schema in names:
        ours, theirs = tables(a, schema), tables(b, schema)
        if ours != theirs:
            return f"tables of {schema}: {ours} and {theirs}"
        for table in ours:
            one, two = columns(a, schema, table), columns(b, schema, table)
            if one != two:
                return f"columns of {schema}.{table}: {[c for c in one if c not in two]} and " \
                       f"{[c for c in two if c not in one]}"
            one, two = digest(a, schema, table), digest(b, schema, table)
            if one != two:
                return f"rows of {schema}.{table}: {one} and {two}"
    return ""
