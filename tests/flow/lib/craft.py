"""Messages of the craft protocol, read from the description of its layout: sizes from the end, then the parts they tell of."""
import collections
import struct

# kind: "row", "ddl", "resolved"; new, old: {column: (type code, flags, bytes or None)}, None if the group is not there.
Event = collections.namedtuple("Event", "kind ts partition schema table new old action sql")


class _Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        part = self.data[self.at:self.at + n]
        if n < 0 or len(part) != n:
            raise ValueError("a message ends too early")
        self.at += n
        return part

    def unsigned(self):
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value & (2**64 - 1)

    def signed(self):
        value = self.unsigned()
        return (value >> 1) ^ -(value & 1)

    def deltas(self, n):
        out, last = [], 0
        for _ in range(n):
            last += self.signed()
            out.append(last)
        return out


def _group(data, terms):
    r = _Reader(data)
    which, n = r.unsigned(), r.unsigned()
    names = [terms[i].decode() for i in r.deltas(n)]
    types, flags = [r.unsigned() for _ in range(n)], [r.unsigned() for _ in range(n)]
    lengths = [r.signed() for _ in range(n)]
    values = [None if length < 0 else r.take(length) for length in lengths]
    assert r.at == len(data), "bytes behind a group"
    return which, dict(zip(names, zip(types, flags, values)))


def decode(message):
    """The events of one message."""
    back = _Reader(message[::-1])
    total = back.unsigned()
    end = len(message) - back.at
    tables = _Reader(message[end - total:end])
    headers_size, dictionary_size = tables.deltas(tables.unsigned())
    body_sizes = tables.deltas(tables.unsigned())
    n = len(body_sizes)
    r = _Reader(message[:end - total])
    assert r.unsigned() == 1, "version"
    start = r.at
    stamps, last = [], 0
    for _ in range(n):
        last = (last + r.unsigned()) & (2**64 - 1)
        stamps.append(last)
    kinds = [r.unsigned() for _ in range(n)]
    partitions, schemas, names = r.deltas(n), r.deltas(n), r.deltas(n)
    assert r.at - start == headers_size, "size of the headers"
    bodies = [r.take(size) for size in body_sizes]
    terms = []
    start = r.at
    if dictionary_size:
        lengths = [r.unsigned() for _ in range(r.unsigned())]
        terms = [r.take(length) for length in lengths]
    assert r.at - start == dictionary_size and r.at == len(r.data), "size of the dictionary"
    events = []
    for i in range(n):
        new = old = action = sql = None
        body = _Reader(bodies[i])
        if kinds[i] == 1:
            for size in tables.deltas(tables.unsigned()):
                which, group = _group(body.take(size), terms)
                new, old = (group, old) if which == 1 else (new, group)
        elif kinds[i] == 2:
            action = body.unsigned()
            sql = body.take(body.unsigned()).decode()
        assert body.at == len(bodies[i]), "bytes behind a body"
        events.append(Event(("row", "ddl", "resolved")[kinds[i] - 1], stamps[i], partitions[i],
                            terms[schemas[i]].decode() if schemas[i] >= 0 else None,
                            terms[names[i]].decode() if names[i] >= 0 else None, new, old, action, sql))
    return events


def value(column):
    """A column's (type code, flags, bytes) as int, float, str or bytes."""
    kind, flags, data = column
    if data is None:
        return None
    if kind in (4, 5):
        return struct.unpack("<d", data)[0]
    if kind in (16, 247, 248) or (kind in (1, 2, 3, 8, 9) and flags & 128):
        return _Reader(data).unsigned()
    if kind in (1, 2, 3, 8, 9, 13):
        return _Reader(data).signed()
    return data if kind in (15, 249, 250, 251, 252, 253, 254) and flags & 1 else data.decode()
