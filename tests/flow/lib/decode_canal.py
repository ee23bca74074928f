"""Reader of canal packets: protoc takes them apart, by the declarations of tests/golden/canal/canal.proto."""
import re
import subprocess

from lib import parts
from lib.decode import DDL, ROW, Event

_FOLDER = parts.ROOT / "tests" / "golden" / "canal"
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|x[0-9a-fA-F]{1,2}|.)", re.S)
_NAMED = {b"n": b"\n", b"r": b"\r", b"t": b"\t"}


def _unescape(quoted):
    text = quoted[1:-1]
    if b"\\" in text:
        text = _ESCAPE.sub(lambda m: bytes([int(m[1], 8)]) if m[1][:1].isdigit() else bytes([int(m[1][1:], 16)])
                           if m[1][:1] == b"x" else _NAMED.get(m[1], m[1]), text)
    return text.decode()


def _parse(text):
    """protoc's text form as dicts; every field is a list of its values: dicts, strings, or words as str; zeros are left out."""
    top = {}
    stack = [top]
    for line in text.splitlines():
        line = line.strip()
        if line == b"}":
            stack.pop()
        elif line.endswith(b" {"):
            inner = {}
            stack[-1].setdefault(line[:-2].decode(), []).append(inner)
            stack.append(inner)
        else:
            name, value = line.split(b": ", 1)
            stack[-1].setdefault(name.decode(), []).append(_unescape(value) if value[:1] == b'"' else value.decode())
    assert stack == [top], "canal: the text form ends within a message"
    return top


def packets(values):
    """
    Entries of the packets, in order.  Packets that stand behind each other are read as one: that is how protobuf merges
    messages, and what makes it one call of protoc.
    """
    text = subprocess.run(["protoc", f"-I{_FOLDER}", "--decode=canal.Packet", "canal.proto"], input=b"".join(values), check=True,
                          stdout=subprocess.PIPE).stdout
    assert not re.search(rb"^ *\d+[:{ ]", text, re.M), "canal: a field that the declarations do not have"
    entries = []
    for body in _parse(text).get("body", []):
        entries += body.get("messages", [])
    return entries


def _image(columns):
    values, key = {}, []
    for c in columns:
        name = c["name"][0]
        values[name] = None if c.get("is_null") == ["true"] else c.get("value", [""])[0]
        if c.get("is_key") == ["true"]:
            key.append(name)
    return values, key


def _event(entry):
    head, change = entry["header"][0], entry["store_value"][0]
    assert entry["entry_type"] == ["2"] and head["event_type"] == change["event_type"]
    common = {"db": head["schema_name"][0], "table": head.get("table_name", [""])[0], "type": head["event_type"][0],
              "ts": int(head["execute_time"][0])}
    if change.get("is_ddl") == ["true"]:
        return Event(DDL, sql=change["sql"][0], **common)
    row, = change["row_datas"]
    before, key = _image(row.get("before_columns", []))
    after, key_after = _image(row.get("after_columns", []))
    if common["type"] == "DELETE":
        assert not after
        return Event(ROW, data=before, pk=key, **common)
    return Event(ROW, data=after, pk=key_after, old=before or None, **common)


def events(messages):
    """Events of Kafka messages with their partition; ts is in ms."""
    found = []
    for partition in sorted({m.partition for m in messages}):
        values = [m.value for m in messages if m.partition == partition]
        # Parts of some MB, for the sake of memory.
        while values:
            size = n = 0
            while n < len(values) and size < 8_000_000:
                size += len(values[n])
                n += 1
            for entry in packets(values[:n]):
                e = _event(entry)
                e.partition = partition
                found.append(e)
            values = values[n:]
    return found
