#!/usr/bin/python3
"""test_includes.py must find what it is there to find. Usage: test_includes_mistakes.py ROOT"""
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
FILES = {
    "core/base/error.h": "",
    "core/loop/loop.h": '#include "core/base/error.h"\n#include <uv.h>\n',
    "core/data/batch.h": '#include "core/wire/otlp.pb-c.h"\n',
    "core/component.h": '#include "core/data/batch.h"\n',
    "receivers/a/a.h": "",
    "receivers/a/a.c": '/* #include "core/main/x.h" */\n#include "core/component.h"\n#include "receivers/a/a.h"\n',
    "receivers/b/b.c": '#include "receivers/a/a.h"\n',
    "core/base/up.c": '#include "core/loop/loop.h"\n',
    "core/wire/io.c": "#include <uv.h>\n",
    "core/self/gone.c": '#include "core/base/gone.h"\n',
    "core/net/quit.c": "void f(void) { exit(1); /* exit(2) */ }\n",
    "core/net/local.c": '#include "error.h"\n',
    "core/main/main.c": 'int main(void) { exit(0); }\n#include "core/net/quit.h"\n',
    "core/net/quit.h": "",
    "processors/p/p.c": '#include "core/pipeline/plan.h"\n',
    "core/pipeline/plan.h": "",
}
EXPECTED = ["core/base/up.c:1: core/base may not include core/loop", "core/net/local.c:1: \"error.h\"",
            "core/net/quit.c:1: exit()", "core/self/gone.c:1: \"core/base/gone.h\" does not exist",
            "core/wire/io.c:1: <uv.h>", "processors/p/p.c:1: processors/p may not include core/pipeline",
            "receivers/b/b.c:1: receivers/b may not include receivers/a"]


def main():
    with tempfile.TemporaryDirectory() as root:
        for path, text in FILES.items():
            os.makedirs(os.path.join(root, os.path.dirname(path)), exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as f:
                f.write(text)
        os.makedirs(os.path.join(root, "docs"))
        shutil.copy(os.path.join(sys.argv[1], "docs/design.md"), os.path.join(root, "docs"))
        subprocess.run(["git", "init", "-q", root], check=True)
        run = subprocess.run([sys.executable, os.path.join(HERE, "test_includes.py"), root],
                             stdout=subprocess.PIPE, text=True, check=False)
    found = sorted(run.stdout.strip().splitlines())
    good = run.returncode == 1 and len(found) == len(EXPECTED) and all(
        line.startswith(start) for line, start in zip(found, EXPECTED))
    if not good:
        print("found:", *found, "expected:", *EXPECTED, sep="\n  ")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
