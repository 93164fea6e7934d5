#!/usr/bin/python3
"""Holds the #include lines against docs/design.md, section 2, "Who may include whom".

The table is read from that page. `a, b <- c` lets c include a and b and all that they may include.
Also: <uv.h> only in core/loop and core/net, exit() only in core/main, and every header that is named
exists. Usage: test_includes.py ROOT
"""
import os
import re
import subprocess
import sys

COMPONENT_KINDS = ("receivers", "processors", "exporters", "connectors", "extensions")
UV_ROOMS = {"core/loop", "core/net"}
EXIT_ROOMS = {"core/main"}
# Made by the build from core/wire/otlp.proto, bpf/progs and the list of components.
GENERATED = re.compile(r"^(core/wire/otlp\.pb-c\.h|bpf/\w+\.skel\.h|core/main/revision\.h)$")


def full_name(word):
    """'base' is core/base; 'config' and 'bpf/host' stand at the top."""
    word = word.strip()
    if word == "component.h":
        return "core/component.h"
    return word if word == "config" or "/" in word else f"core/{word}"


def expand(text):
    """core/{a,b}, c -> core/a core/b c"""
    out = []
    for prefix, braces, word in re.findall(r"([\w/]*)\{([^}]*)\}|([\w/.]+)", text):
        out += [f"{prefix}{name}" for name in braces.split(",")] if braces else [word]
    return out


def read_table(design):
    """{room: rooms that it may include}, for rooms, 'component' and 'bpf/progs'."""
    with open(design, encoding="utf-8") as f:
        page = f.read()
    section = page.split("**Who may include whom.**")[1]
    allowed, closed = {}, {}
    for line in section.split("```")[1].strip().splitlines():
        if "->" in line:
            who, whom = line.split("->")
            who = "component" if who.strip() == "a component" else who.strip()
            closed[who] = {full_name(w) if w == "component.h" else w
                           for w in expand(re.sub(r"\bonly\b|;.*", "", whom))}
            continue
        for clause in re.split(r"\s{2,}", line.strip()):
            steps = [[full_name(w) for w in step.split(",")] for step in clause.split("<-")]
            for lower, upper in zip(steps, steps[1:]):
                for room in upper:
                    allowed.setdefault(room, set()).update(lower)
    changed = True
    while changed:
        changed = False
        for rooms in allowed.values():
            below = set().union(*(allowed.get(r, set()) for r in rooms)) - rooms
            rooms |= below
            changed |= bool(below)
    allowed.setdefault("core/base", set())
    return allowed | closed


def room_of(path):
    """The room in which a file stands; for one that is included, the room that is entered."""
    parts = path.split("/")
    if parts[0] == "core":
        return "core/component.h" if parts[1].startswith("component.") else "/".join(parts[:2])
    if parts[0] in COMPONENT_KINDS:
        return "/".join(parts[:2])
    if parts[0] == "bpf":
        if path.endswith(".skel.h"):
            return "bpf/events"  # a family's two sides: who may know its events may load it
        return "/".join(parts[:2])
    return parts[0]


def strip(text):
    """Without comments and without what stands in quotes, except after #include."""
    text = re.sub(r"/\*.*?\*/", lambda m: "\n" * m[0].count("\n"), text, flags=re.S)
    text = re.sub(r"//[^\n]*", "", text)
    return re.sub(r'^(?!\s*#\s*include)(.*)$',
                  lambda m: re.sub(r'"(\\.|[^"\\])*"', '""', m[1]), text, flags=re.M)


def may_include(table, who, whom):
    if who == whom or who == "tests":
        return True
    if who.split("/")[0] in COMPONENT_KINDS:
        return whom in table["component"]
    if who == "bpf/progs":
        return whom in table["bpf/progs"]
    if who.startswith("bpf/"):  # below every room that may include it
        return whom in {"core/base", "bpf/events"}
    return whom in table.get(who, {"core/base"})


def check(root, path, table, complain):
    with open(os.path.join(root, path), encoding="utf-8") as f:
        lines = strip(f.read()).splitlines()
    name = os.path.basename(path)
    who = "tests" if path.startswith("tests/") or name.startswith("test_") else room_of(path)
    for number, line in enumerate(lines, 1):
        where = f"{path}:{number}"
        system = re.match(r"\s*#\s*include\s*<([^>]+)>", line)
        if system and system[1] == "uv.h" and who not in UV_ROOMS | {"tests"}:
            complain(f"{where}: <uv.h> belongs to core/loop and core/net; use core/loop's handles")
        if re.search(r"(?<![\w.>])_?exit\s*\(", line) and who not in EXIT_ROOMS | {"tests"}:
            complain(f"{where}: exit() is called in core/main only; return an error")
        own = re.match(r'\s*#\s*include\s*"([^"]+)"', line)
        if not own:
            continue
        header = own[1]
        if "/" not in header:
            if not who.startswith("bpf/"):
                complain(f"{where}: \"{header}\": includes are written from the root of the project")
            continue
        if GENERATED.match(header):
            pass
        elif not os.path.exists(os.path.join(root, header)):
            complain(f"{where}: \"{header}\" does not exist")
            continue
        if not may_include(table, who, room_of(header)):
            complain(f"{where}: {who} may not include {room_of(header)} (docs/design.md, section 2)")


def main():
    root = sys.argv[1]
    table = read_table(os.path.join(root, "docs/design.md"))
    assert table["core/data"] == {"core/wire", "core/base"}, f"the table was misread: {table}"
    files = subprocess.run(
        ["git", "-C", root, "ls-files", "--cached", "--others", "--exclude-standard", "*.c", "*.h"],
        stdout=subprocess.PIPE, check=True, text=True).stdout.split()
    mistakes = []
    for path in files:
        if path != "bpf/vmlinux.h" and os.path.exists(os.path.join(root, path)):
            check(root, path, table, mistakes.append)
    print("\n".join(mistakes) or f"{len(files)} files include only what they may")
    return 1 if mistakes else 0


if __name__ == "__main__":
    sys.exit(main())
