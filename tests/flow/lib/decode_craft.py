"""Events of craft messages, which lib/craft.py takes apart."""
from lib import craft


def events(messages):
    found = []
    for m in messages:
        for e in craft.events(m.value):
            e.partition, e.offset = m.partition, m.offset
            found.append(e)
    return found
