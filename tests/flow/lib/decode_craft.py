"""Reader of craft: columnar messages that begin with their headers and end with tables of sizes."""
import struct

from lib.decode import DDL, ROW, WATERMARK, Event

_UNSIGNED, _BINARY, _PRIMARY = 128, 1, 8
_INTEGERS, _YEAR, _BYTES = (1, 2, 3, 8, 9), 13, (15, 249, 250, 251, 252, 253, 254)


def _uvarint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def _zigzag(data, at):
    value, at = _uvarint(data, at)
    return value >> 1 ^ -(value & 1), at


def _uvarints(data, at, n):
    found = []
    for _ in range(n):
        value, at = _uvarint(data, at)
        found.append(value)
    return found, at


def _deltas(data, at, n):
    """Numbers of which each is told as its difference to the one before."""
    found, last = [], 0
    for _ in range(n):
        value, at = _zigzag(data, at)
        last += value
        found.append(last)
    return found, at


def _sizes(message):
    """The tables of sizes, and where they begin."""
    total, at = _uvarint(message[::-1][:10], 0)
    end = len(message) - at
    at = begin = end - total
    tables = []
    while at < end:
        n, at = _uvarint(message, at)
        table, at = _deltas(message, at, n)
        tables.append(table)
    assert at == end, "craft: tables of sizes do not fill their place"
    return tables, begin


def _value(data, kind, flags):
    if kind in _INTEGERS or kind in (16, 247, 248):
        value, at = (_uvarint if flags & _UNSIGNED or kind in (16, 247, 248) else _zigzag)(data, 0)
        assert at == len(data)
        return value
    if kind == _YEAR:
        return _zigzag(data, 0)[0]
    if kind in (4, 5):
        return struct.unpack("<d", data)[0]
    return bytes(data) if kind in _BYTES and flags & _BINARY else data.decode()


def _group(data, terms):
    """(which image, values by column, primary key)"""
    n, at = _uvarint(data, 1)
    names, at = _deltas(data, at, n)
    kinds, at = _uvarints(data, at, n)
    flags, at = _uvarints(data, at, n)
    lengths = []
    for _ in range(n):
        value, at = _zigzag(data, at)
        lengths.append(value)
    values = {}
    for name, kind, flag, length in zip(names, kinds, flags, lengths):
        values[terms[name]] = None if length < 0 else _value(data[at:at + length], kind, flag)
        at += max(length, 0)
    assert at == len(data), "craft: a group does not fill its place"
    return data[0], values, [terms[name] for name, flag in zip(names, flags) if flag & _PRIMARY]


def events_of(message):
    version, at = _uvarint(message, 0)
    assert version == 1
    tables, end = _sizes(message)
    (head_size, terms_size), bodies = tables[0], tables[1]
    begin, n = at, len(bodies)
    stamps, last = [], 0
    for _ in range(n):
        value, at = _uvarint(message, at)
        last = last + value & (1 << 64) - 1
        stamps.append(last)
    kinds, at = _uvarints(message, at, n)
    _, at = _deltas(message, at, n)
    schemas, at = _deltas(message, at, n)
    names, at = _deltas(message, at, n)
    assert at == begin + head_size, "craft: headers do not fill their place"
    body = at
    at = end - terms_size
    assert body + sum(bodies) == at, "craft: bodies do not fill their place"
    terms = []
    if terms_size:
        count, at = _uvarint(message, at)
        lengths, at = _uvarints(message, at, count)
        for length in lengths:
            terms.append(message[at:at + length].decode())
            at += length
        assert at == end
    term = {-1: "", **dict(enumerate(terms))}
    groups, found = iter(tables[2:]), []
    for ts, kind, schema, table, size in zip(stamps, kinds, schemas, names, bodies):
        data, common = message[body:body + size], {"db": term[schema], "table": term[table], "ts": ts}
        body += size
        if kind == 3:
            found.append(Event(WATERMARK, **common))
        elif kind == 2:
            code, at = _uvarint(data, 0)
            length, at = _uvarint(data, at)
            assert at + length == len(data)
            found.append(Event(DDL, type=code, sql=data[at:].decode(), **common))
        else:
            images, at = {}, 0
            for length in next(groups):
                which, values, key = _group(data[at:at + length], terms)
                images[which] = values
                at += length
            assert at == size
            kind = "DELETE" if 1 not in images else "UPDATE" if 2 in images else "INSERT"
            found.append(Event(ROW, type=kind, data=images[2 if kind == "DELETE" else 1], pk=key,
                               old=images[2] if kind == "UPDATE" else None, **common))
    assert next(groups, None) is None
    return found


def events(messages):
    found = []
    for m in messages:
        for e in events_of(m.value):
            e.partition, e.offset = m.partition, m.offset
            found.append(e)
    return found
