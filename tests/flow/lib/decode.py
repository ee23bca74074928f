"""Readers of canal-json, open-protocol and csv, and of a storage sink's folder."""
import base64
import csv
import json
import pathlib
import re
import struct

ROW, DDL, WATERMARK = "row", "ddl", "watermark"


class Event:
    """
    kind: ROW, DDL or WATERMARK.  type: INSERT, UPDATE or DELETE, or canal's type of a DDL.  ts: commit ts, None if the
    message has none.  data: new values by column (DELETE: old ones), old: old values of an UPDATE.  Values are None, str or
    (open-protocol) numbers.  raw: the whole document.
    """

    def __init__(self, kind, **fields):
        self.kind = kind
        self.db = self.table = self.type = self.sql = ""
        self.ts = self.data = self.old = self.raw = None
        self.pk = []
        self.partition = self.offset = None
        self.__dict__.update(fields)

    def __repr__(self):
        return f"<{self.kind} {self.type} {self.db}.{self.table} ts={self.ts} old={self.old} data={self.data} {self.sql}>"


def canal_json(value):
    d = json.loads(value)
    extra = d.get("_tidb", {})
    common = {"db": d["database"], "table": d["table"], "type": d["type"], "raw": d}
    if d["type"] == "TIDB_WATERMARK":
        return Event(WATERMARK, ts=extra["watermarkTs"], raw=d)
    if d["isDdl"]:
        return Event(DDL, sql=d["sql"], ts=extra.get("commitTs"), **common)
    return Event(ROW, ts=extra.get("commitTs"), pk=d["pkNames"], data=d["data"][0] if d["data"] else None,
                 old=d["old"][0] if d["old"] else None, **common)


def _frames(data):
    at, found = 0, []
    while at < len(data):
        size = struct.unpack_from(">Q", data, at)[0]
        found.append(data[at + 8:at + 8 + size])
        assert len(found[-1]) == size, "open-protocol: frame cut off"
        at += 8 + size
    return found


_QUOTED = re.compile(r"\\(x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}|.)", re.S)
_QUOTED_NAMES = {"n": b"\n", "r": b"\r", "t": b"\t", "a": b"\a", "b": b"\b", "f": b"\f", "v": b"\v"}


def _unquote(text):
    """Go's quoted form of binary values, without the quotes, as bytes in latin1."""
    found, at = [], 0
    for m in _QUOTED.finditer(text):
        found.append(text[at:m.start()].encode())
        at, what = m.end(), m[1]
        if len(what) == 1:
            found.append(_QUOTED_NAMES.get(what) or what.encode())
        else:
            number = int(what[1:], 16)
            found.append(bytes([number]) if what[0] == "x" else chr(number).encode())
    found.append(text[at:].encode())
    return b"".join(found).decode("latin1")


def _open_columns(columns):
    values = {}
    for name, column in columns.items():
        value = column["v"]
        if value is not None and column["t"] in (249, 250, 251, 252):
            raw = base64.b64decode(value)
            value = raw.decode("latin1" if column["f"] & 1 else "utf-8")
        elif value is not None and column["f"] & 1 and column["t"] in (15, 253, 254):
            value = _unquote(value)
        values[name] = value
    return values


def open_frames(key, value):
    """The texts of one record: [(key, value)]."""
    assert key[:8] == struct.pack(">Q", 1), "open-protocol: not version 1"
    keys = _frames(key[8:])
    values = _frames(value)
    assert len(keys) == len(values), "open-protocol: keys and values do not pair up"
    return list(zip(keys, values))


def open_protocol(key, value):
    """The events of one record."""
    found = []
    for k, v in open_frames(key, value):
        k = json.loads(k)
        common = {"db": k.get("scm", ""), "table": k.get("tbl", ""), "ts": k["ts"]}
        if k["t"] == 3:
            found.append(Event(WATERMARK, **common))
            continue
        v = json.loads(v)
        if k["t"] == 2:
            found.append(Event(DDL, sql=v["q"], type=v["t"], raw=v, **common))
            continue
        image = v.get("d") or v["u"]
        found.append(Event(ROW, type="DELETE" if "d" in v else "UPDATE" if "p" in v else "INSERT",
                           pk=[name for name, column in image.items() if column["f"] & 8],
                           data=_open_columns(image), old=_open_columns(v["p"]) if "p" in v else None, raw=v, **common))
    return found


def of_messages(messages, protocol):
    """Events of Kafka messages, with their partition and offset."""
    found = []
    for m in messages:
        events = open_protocol(m.key, m.value) if protocol == "open-protocol" else [canal_json(m.value)]
        for e in events:
            e.partition, e.offset = m.partition, m.offset
        found += events
    return found


def storage_files(root):
    """Data files of a storage sink in the order in which consumers read them: table, version, partition, date, index."""
    files = []
    for path in pathlib.Path(root).rglob("CDC*"):
        if ".tmp." in path.name or path.name == "CDC.index":
            continue
        where = path.relative_to(root).parts
        files.append((where[0], where[1], int(where[2]), where[3:-1], int(re.sub(r"\D", "", path.stem)), path))
    return [f[-1] for f in sorted(files)]


def storage(root, terminator=b"\r\n"):
    """Rows of a canal-json storage sink in reading order; a torn line is an error."""
    found = []
    for path in storage_files(root):
        data = path.read_bytes()
        assert data.endswith(terminator), f"{path} does not end with the terminator"
        found += [canal_json(line) for line in data.split(terminator) if line]
    return found


def storage_csv(root, **dialect):
    """Lines of a csv storage sink in reading order, as lists of texts; dialect: of csv.reader."""
    found = []
    for path in storage_files(root):
        with open(path, newline="", encoding="utf-8") as file:
            found += csv.reader(file, strict=True, **{"quotechar": '"', "doublequote": True, **dialect})
    return found


def storage_checkpoint(root):
    """checkpoint-ts of the folder's metadata file, 0 without one."""
    try:
        return json.loads((pathlib.Path(root) / "metadata").read_bytes())["checkpoint-ts"]
    except FileNotFoundError:
        return 0


def storage_schemas(root):
    """Documents of the schema files, by version."""
    return sorted((json.loads(p.read_bytes()) for p in pathlib.Path(root).rglob("meta/schema_*.json")),
                  key=lambda d: d["TableVersion"])


class State:
    """
    The tables that a consumer has who applies the events in order.  strict: every message of a row of known ts must not be
    older than the row's last one, but for repeats: a run of events from a restart at a checkpoint.
    """

    def __init__(self):
        self.tables = {}
        self.last_ts = {}
        self.applied = 0
        self.repeats = 0

    @staticmethod
    def key_of(event, row):
        names = event.pk or sorted(row)
        return tuple(row[name] for name in names)

    def apply(self, event):
        if event.kind != ROW:
            return
        table = self.tables.setdefault((event.db, event.table), {})
        key = self.key_of(event, event.data)
        keys = [key]
        if event.type == "UPDATE" and event.old is not None and set(event.pk) <= set(event.old):
            keys.append(self.key_of(event, event.old))
        for k in keys:
            last = self.last_ts.get((event.db, event.table, k), 0)
            if event.ts is not None and event.ts < last:
                self.repeats += 1
        for k in keys:
            table.pop(k, None)
            if event.ts is not None:
                self.last_ts[event.db, event.table, k] = event.ts
        if event.type != "DELETE":
            table[key] = event.data
        self.applied += 1

    def apply_all(self, events):
        for event in events:
            self.apply(event)
        return self

    def rows(self, db, table):
        return self.tables.get((db, table), {})
