"""
A reader of craft, made from the description of the format: it follows the tables of sizes at a message's end and insists that
they, the headers and the bodies agree to the byte.
"""
import struct

from lib.decode import DDL, ROW, WATERMARK, Event

_INTEGERS = {1, 2, 3, 8, 9}  # TINYINT, SMALLINT, INT, BIGINT, MEDIUMINT
_FLOATS = {4, 5}
_YEAR = 13
_NUMBERED = {16, 247, 248}  # BIT, ENUM, SET
_STRINGS = {15, 249, 250, 251, 252, 253, 254}
_TEXTS = {7, 10, 11, 12, 225, 245, 246}  # times, VECTOR, JSON, DECIMAL
BINARY, HANDLE_KEY, PRIMARY_KEY, UNSIGNED = 1, 2, 8, 128


class Bytes:
    """A stretch of a message that is read from its front."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        assert 0 <= n <= len(self.data) - self.at, f"{n} bytes of {len(self.data) - self.at}"
        self.at += n
        return self.data[self.at - n:self.at]

    def unsigned(self):
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                assert value < 1 << 64 and shift <= 70, "more than 64 bits"
                return value

    def signed(self):
        value = self.unsigned()
        return value >> 1 ^ -(value & 1)

    def differences(self, n):
        """n signed numbers, each told as its difference to the one before."""
        found, value = [], 0
        for _ in range(n):
            value += self.signed()
            found.append(value)
        return found

    def end(self):
        assert self.at == len(self.data), f"{len(self.data) - self.at} bytes too many"


def _tables_of_sizes(data):
    """(the tables, the bytes in front of them); their length stands at the very end, with its bytes reversed."""
    length = Bytes(data[:-11:-1])
    size = length.unsigned()
    end = len(data) - length.at
    assert size <= end, "tables of sizes longer than the message"
    rest, tables = Bytes(data[end - size:end]), []
    while rest.at < len(rest.data):
        tables.append(rest.differences(rest.unsigned()))
    return tables, data[:end - size]


def _dictionary(data):
    if not data:
        return []
    rest = Bytes(data)
    texts = [rest.take(n).decode() for n in [rest.unsigned() for _ in range(rest.unsigned())]]
    rest.end()
    assert len(set(texts)) == len(texts), "a term stands twice in the dictionary"
    return texts


def value_of(kind, flags, data):
    if kind in _STRINGS:
        return bytes(data) if flags & BINARY else data.decode()
    if kind in _TEXTS:
        return data.decode()
    rest = Bytes(data)
    if kind in _FLOATS:
        value = struct.unpack("<d", rest.take(8))[0]
    elif kind in _NUMBERED or (kind in _INTEGERS and flags & UNSIGNED):
        value = rest.unsigned()
    else:
        assert kind in _INTEGERS or kind == _YEAR, f"type {kind}"
        value = rest.signed()
    rest.end()
    return value


class Column:
    def __init__(self, kind, flags, value):
        self.kind, self.flags, self.value = kind, flags, value

    def __repr__(self):
        return f"{self.value!r}:{self.kind}/{self.flags}"


def _group(data, terms):
    """(1 new or 2 old, columns by name)"""
    rest = Bytes(data)
    which, n = rest.take(1)[0], rest.unsigned()
    names = [terms[i] for i in rest.differences(n)]
    kinds = [rest.unsigned() for _ in range(n)]
    flags = [rest.unsigned() for _ in range(n)]
    sizes = [rest.signed() for _ in range(n)]
    columns = {}
    for name, kind, flag, size in zip(names, kinds, flags, sizes):
        assert size >= -1 and name not in columns
        columns[name] = Column(kind, flag, None if size == -1 else value_of(kind, flag, rest.take(size)))
    rest.end()
    return which, columns


def _row(event, body, sizes, terms):
    images = {}
    for size in sizes:
        which, columns = _group(body.take(size), terms)
        assert which in (1, 2) and which not in images and 2 not in images, f"group {which} behind {list(images)}"
        images[which] = columns
    new, old = images.get(1), images.get(2)
    event.type = "DELETE" if new is None else "INSERT" if old is None else "UPDATE"
    event.raw = images
    image = old if new is None else new
    event.pk = [name for name, c in (image or {}).items() if c.flags & PRIMARY_KEY]
    event.data = image and {name: c.value for name, c in image.items()}
    event.old = {name: c.value for name, c in old.items()} if new is not None and old is not None else None


def events(data):
    """The events of one message.  raw of a row: its groups, {1: new, 2: old}, with types and flags."""
    tables, front = _tables_of_sizes(data)
    (headers, dictionary), bodies, groups = tables[0], tables[1], iter(tables[2:])
    terms = _dictionary(front[len(front) - dictionary:])
    rest = Bytes(front[:len(front) - dictionary])
    assert rest.unsigned() == 1, "version"
    head = Bytes(rest.take(headers))
    n, found, ts = len(bodies), [], 0
    stamps = [head.unsigned() for _ in range(n)]
    kinds = [head.unsigned() for _ in range(n)]
    partitions, schemas, names = head.differences(n), head.differences(n), head.differences(n)
    head.end()
    for i in range(n):
        ts = (ts + stamps[i]) % (1 << 64)
        event = Event({1: ROW, 2: DDL, 3: WATERMARK}[kinds[i]], ts=ts, db=terms[schemas[i]] if schemas[i] >= 0 else "",
                      table=terms[names[i]] if names[i] >= 0 else "")
        event.physical = partitions[i] if partitions[i] >= 0 else None  # id of the table's partition
        body = Bytes(rest.take(bodies[i]))
        if event.kind == ROW:
            _row(event, body, next(groups), terms)
        elif event.kind == DDL:
            event.type = body.unsigned()
            event.sql = body.take(body.unsigned()).decode()
        body.end()
        found.append(event)
    rest.end()
    assert next(groups, None) is None, "sizes of groups for no row"
    return found
