"""Events of craft messages, which lib/craft.py takes apart."""
from lib import craft
from lib.decode import DDL, ROW, WATERMARK, Event

_PRIMARY = 8


def _image(group):
    return None if group is None else {name: craft.value(column) for name, column in group.items()}


def events(messages):
    found = []
    for m in messages:
        for c in craft.decode(m.value):
            common = {"db": c.schema or "", "table": c.table or "", "ts": c.ts, "partition": m.partition, "offset": m.offset}
            if c.kind == "resolved":
                found.append(Event(WATERMARK, **common))
            elif c.kind == "ddl":
                found.append(Event(DDL, type=c.action, sql=c.sql, **common))
            else:
                kind = "DELETE" if c.new is None else "INSERT" if c.old is None else "UPDATE"
                image = c.old if kind == "DELETE" else c.new
                found.append(Event(ROW, type=kind, pk=[name for name, (_, flags, _) in image.items() if flags & _PRIMARY],
                                   data=_image(image), old=_image(c.old) if kind == "UPDATE" else None, **common))
    return found
