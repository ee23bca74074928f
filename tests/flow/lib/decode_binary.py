"""Readers of avro and simple, in Avro and JSON."""
import json

from lib import avro, parts
from lib.decode import DDL, ROW, WATERMARK, Event

SIMPLE_SCHEMA = json.loads((parts.ROOT / "tests" / "golden" / "simple" / "schema.avsc").read_text())
_OPS = {"c": "INSERT", "u": "UPDATE"}


def avro_events(messages, registry):
    """
    Rows with the TiDB extension; DELETEs have the key as data, and no ts.  The names of database and table are those of the
    record's schema.
    """
    reader = avro.Reader(registry)
    found = []
    for record, m in zip(reader.records(messages), messages):
        namespace, _, table = reader.schemas[record.key_id]["name"].rpartition(".")
        common = {"db": namespace.rpartition(".")[2], "table": table, "partition": m.partition, "pk": list(record.key)}
        if record.value is None:
            found.append(Event(ROW, type="DELETE", data=record.key, **common))
        else:
            data = {name: value for name, value in record.value.items() if not name.startswith("_tidb_")}
            found.append(Event(ROW, type=_OPS[record.value["_tidb_op"]], data=data, ts=record.value["_tidb_commit_ts"], **common))
    return found


def simple_json(value):
    return json.loads(value)


def simple_avro(value):
    """In the shape of the JSON form: names of records are dropped, values stay as Avro has them."""
    def plain(x):
        if isinstance(x, tuple):
            name, fields = x
            return fields["value"] & (1 << 64) - 1 if name.endswith("UnsignedBigint") else plain(fields)
        if isinstance(x, dict):
            return {k: plain(v) for k, v in x.items()}
        return [plain(v) for v in x] if isinstance(x, list) else x
    _, message = avro.datum(SIMPLE_SCHEMA, value)
    body = plain(message["payload"])
    if message["type"] in ("WATERMARK", "BOOTSTRAP"):
        body["type"] = message["type"]
    if body.get("tableSchema"):
        body["tableSchema"]["schema"] = body["tableSchema"].pop("database")
    return {k: v for k, v in body.items() if v is not None}


def simple_events(messages, read):
    """read: simple_json or simple_avro.  A row's key is that of the last definition of its table in its partition."""
    found, keys = [], {}
    for m in messages:
        body = read(m.value)
        common = {"partition": m.partition, "offset": m.offset, "raw": body}
        if body["type"] == "WATERMARK":
            found.append(Event(WATERMARK, ts=body["commitTs"], **common))
            continue
        schema = body.get("tableSchema")
        if schema:
            primary = [i["columns"] for i in schema["indexes"] if i["primary"]]
            keys[m.partition, schema["schema"], schema["table"]] = primary[-1] if primary else []
        if body["type"] == "BOOTSTRAP":
            continue
        if "sql" in body:
            found.append(Event(DDL, type=body["type"], sql=body["sql"], ts=body["commitTs"], db=schema["schema"] if schema else "",
                               table=schema["table"] if schema else "", **common))
            continue
        db, table = body["database"], body["table"]
        found.append(Event(ROW, type=body["type"], db=db, table=table, ts=body["commitTs"], pk=keys[m.partition, db, table],
                           data=body.get("data") or body["old"], old=body["old"] if body["type"] == "UPDATE" else None, **common))
    return found
