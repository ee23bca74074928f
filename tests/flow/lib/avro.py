"""Avro messages read by fastavro, with schemas from the registry."""
import collections
import io
import struct
import subprocess
import sys

from lib import parts

sys.path.append(subprocess.run([parts.ROOT / "tests" / "flow" / "parts" / "decoders"], check=True, stdout=subprocess.PIPE, text=True,
                               stdin=subprocess.DEVNULL).stdout.strip())

import fastavro  # noqa: E402  (its folder is known only now)

# key and value: what was read, None for null (value) and empty (key); id: numbers of their schemas, None without one.
Record = collections.namedtuple("Record", "partition offset key value key_id value_id")


class Reader:
    def __init__(self, registry):
        self.registry = registry
        self.schemas = {}

    def one(self, data):
        """(number of the schema, what was read)"""
        magic, number = struct.unpack(">BI", data[:5])
        assert magic == 0, data
        if number not in self.schemas:
            self.schemas[number] = fastavro.parse_schema(self.registry.schema(number))
        rest = io.BytesIO(data[5:])
        value = fastavro.schemaless_reader(rest, self.schemas[number])
        assert rest.read() == b"", "bytes behind the record"
        return number, value

    def records(self, messages):
        found = []
        for m in messages:
            assert m.key is not None, "a row's key is never null"
            key_id, key = self.one(m.key) if m.key else (None, None)
            value_id, value = self.one(m.value) if m.value is not None else (None, None)
            found.append(Record(m.partition, m.offset, key, value, key_id, value_id))
        return found


def datum(schema, data):
    """One datum of a schema that is given."""
    rest = io.BytesIO(data)
    value = fastavro.schemaless_reader(rest, schema, return_record_name=True)
    assert rest.read() == b"", "bytes behind the datum"
    return value
