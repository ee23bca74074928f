"""Readers of maxwell, debezium, and csv files with their definitions."""
import csv
import json

from lib.decode import DDL, ROW, Event, storage_files

_DECODER = json.JSONDecoder()
_MAXWELL_KEY = b"\0\0\0\0\0\0\0\1"


def maxwell_rows(value):
    """The documents of one record, which stand behind each other."""
    text, at, found = value.decode(), 0, []
    while at < len(text):
        document, at = _DECODER.raw_decode(text, at)
        found.append(document)
    return found


def maxwell_events(messages):
    """ts of rows is in seconds; old of an UPDATE has the columns that changed."""
    found = []
    for m in messages:
        common = {"partition": m.partition, "offset": m.offset}
        if m.key != _MAXWELL_KEY:
            key, d = json.loads(m.key), json.loads(m.value)
            assert key["t"] == 2 and key["ts"] == d["ts"], (key, d)
            found.append(Event(DDL, type=d["type"], db=d["database"], table=d["table"], ts=d["ts"], sql=d["sql"], raw=d, **common))
            continue
        for d in maxwell_rows(m.value):
            kind = d["type"].upper()
            found.append(Event(ROW, type=kind, db=d["database"], table=d["table"], ts=d["ts"],
                               data=d["old"] if kind == "DELETE" else d["data"], old=d.get("old", {}) if kind == "UPDATE" else None,
                               raw=d, **common))
    return found


_OPS = {"c": "INSERT", "u": "UPDATE", "d": "DELETE"}


def debezium_events(messages):
    found = []
    for m in messages:
        p = json.loads(m.value)["payload"]
        source, key = p["source"], json.loads(m.key)["payload"]
        if "ddl" in p:
            found.append(Event(DDL, db=source["db"], table=source["table"], sql=p["ddl"], ts=source["commit_ts"], raw=p,
                               partition=m.partition, offset=m.offset))
            continue
        image = p["before"] if p["op"] == "d" else p["after"]
        assert all(image[name] == value for name, value in key.items()), (key, p)
        found.append(Event(ROW, type=_OPS[p["op"]], db=source["db"], table=source["table"], ts=source["commit_ts"], pk=list(key),
                           data=image, old=p["before"] if p["op"] == "u" else None, raw=p, partition=m.partition, offset=m.offset))
    return found


_LETTERS = {"I": "INSERT", "U": "UPDATE", "D": "DELETE"}


def csv_events(root):
    """Rows of a csv storage sink with include-commit-ts, in reading order; the files' definitions name the columns."""
    found = []
    for path in storage_files(root):
        where = path.relative_to(root).parts
        definition, = (root / where[0] / where[1] / "meta").glob(f"schema_{where[2]}_*.json")
        columns = json.loads(definition.read_bytes())["TableColumns"]
        names = [c["ColumnName"] for c in columns]
        key = [c["ColumnName"] for c in columns if c.get("ColumnIsPk") == "true"]
        with open(path, newline="", encoding="utf-8") as file:
            for line in csv.reader(file, strict=True):
                values = [None if v == "\\N" else v for v in line[4:]]
                assert len(values) == len(names), (line, names)
                found.append(Event(ROW, type=_LETTERS[line[0]], table=line[1], db=line[2], ts=int(line[3]), pk=key,
                                   data=dict(zip(names, values))))
    return found
