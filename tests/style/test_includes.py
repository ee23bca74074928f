#!/usr/bin/env python3
"""
Walks the #include lines of the tree: includes point from the user to what it uses, with no way back.

A folder may include itself and what its row names; a file on its own (capture-worker/quota.h) counts as a folder.  Also:
a .c file includes its own header first, and every header has the guard that its path gives.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

LOW = ["common/base", "common/text", "common/run", "proto"]
EVENT = [*LOW, "capture-worker/event", "capture-worker/quota", "capture-worker/progress", "capture-worker/queue"]
STAGES = [f"capture-worker/{stage}" for stage in
          ("source", "mounter", "filter", "dispatcher", "encoder", "shaper", "sink", "sorter", "redo")]

MAY = {
    "common/base": [],
    "common/text": ["common/base"],
    "common/run": ["common/base", "common/text", "proto"],
    "supervisor": LOW,
    "cli": LOW,
    "api-gateway/metastore": LOW,
    "api-gateway/http": LOW,
    "api-gateway/coord": [*LOW, "api-gateway/metastore"],
    "api-gateway/api": [*LOW, "api-gateway/metastore", "api-gateway/coord", "api-gateway/http"],
    "api-gateway": [*LOW, "api-gateway/metastore", "api-gateway/coord", "api-gateway/http", "api-gateway/api"],
    "capture-worker/quota": LOW,
    "capture-worker/event": [*LOW, "capture-worker/quota"],
    "capture-worker/progress": [*LOW, "capture-worker/event"],
    "capture-worker/queue": [*LOW, "capture-worker/event"],
    # A binary log's rows are decoded and filtered while they are read.
    "capture-worker/source": [*EVENT, "capture-worker/mounter", "capture-worker/filter"],
    # Topics are opened by the sink for the dispatcher.
    "capture-worker/sink": [*EVENT, "capture-worker/dispatcher"],
    **{f"capture-worker/{stage}": EVENT for stage in ("mounter", "filter", "dispatcher", "encoder", "shaper", "sorter", "redo")},
    "capture-worker": [*EVENT, *STAGES],
}


def folder(path):
    """The longest row of MAY that path lies in."""
    path = re.sub(r"\.(pb-c\.)?[ch]$", "", path)
    for row in ["proto", *sorted(MAY, key=len, reverse=True)]:
        if path == row or path.startswith(row + "/"):
            return row
    return None


def check(path):
    """Complaints about one file."""
    name = str(path.relative_to(ROOT))
    text = path.read_text()
    here = folder(name)
    includes = re.findall(r'^\s*#\s*include "([^"]+)"', text, re.M)
    for included in includes:
        if included == "ml_build.h":  # made by the build
            continue
        if re.search(r"^\.|/\.", included) or "/" not in included:
            yield f"{name}: {included} is not given from the root"
            continue
        there = folder(included)
        if there != here and there not in MAY[here]:
            yield f"{name}: may not include {included}"
    if path.suffix == ".c" and path.with_suffix(".h").exists():
        first = re.search(r'^\s*#\s*include [<"]([^>"]+)[>"]', text, re.M)
        if not first or first[1] != name[:-1] + "h":
            yield f"{name}: does not include its own header first"
    if path.suffix == ".h" and not re.search(r"^#ifndef ML_\w+_H\n#define ML_\w+_H$", text, re.M):
        yield f"{name}: has no guard ML_..._H"


def main():
    # The rule itself must bite.
    assert folder("capture-worker/quota.h") == "capture-worker/quota" and folder("capture-worker/plan.c") == "capture-worker"
    assert "capture-worker/sink" not in MAY["capture-worker/source"] and "capture-worker" not in MAY["supervisor"]
    files = [p for top in ("common", "supervisor", "api-gateway", "capture-worker", "cli")
             for p in sorted((ROOT / top).rglob("*.[ch]"))]
    complaints = [line for path in files for line in check(path)]
    print("\n".join(complaints) if complaints else f"{len(files)} files")
    sys.exit(1 if complaints or len(files) < 20 else 0)


if __name__ == "__main__":
    main()
