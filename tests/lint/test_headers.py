#!/usr/bin/python3
"""Every header compiles alone. Usage: test_headers.py ROOT BUILD

Compiler and include paths are those of BUILD/compile_commands.json.
"""
import concurrent.futures
import json
import os
import shlex
import subprocess
import sys

# Written for BPF programs only: they need vmlinux.h before them, or are it.
LEFT_OUT = ("bpf/vmlinux.h", "bpf/progs/")


def command_line(build):
    """The compiler, and every include path and definition that any file is compiled with."""
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as f:
        commands = [shlex.split(entry["command"]) for entry in json.load(f)]
    options = {}
    for words in commands:
        pairs = zip(words, words[1:] + [""])
        for word, following in pairs:
            if word == "-isystem":
                options[(word, following)] = True
            elif word.startswith("-I"):
                options[(word,)] = True
    return [commands[0][0], "-D_GNU_SOURCE", *(w for option in options for w in option)]


def compile_alone(compiler, root, header):
    # as an included file: a main file would be warned of its include guard's unused parts
    source = f'#include "{header}"\n'
    run = subprocess.run([*compiler, "-I", root, "-std=gnu17", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter",
                          "-fsyntax-only", "-x", "c", "-"], input=source, stderr=subprocess.PIPE, text=True, check=False)
    return None if run.returncode == 0 else f"{header} does not compile alone:\n{run.stderr}"


def main():
    root, build = sys.argv[1:3]
    compiler = command_line(build)
    headers = subprocess.run(
        ["git", "-C", root, "ls-files", "--cached", "--others", "--exclude-standard", "*.h"],
        stdout=subprocess.PIPE, check=True, text=True).stdout.split()
    headers = [h for h in headers if not h.startswith(LEFT_OUT) and os.path.exists(os.path.join(root, h))]
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        mistakes = [m for m in pool.map(lambda h: compile_alone(compiler, root, h), headers) if m]
    print("\n".join(mistakes) or f"{len(headers)} headers compile alone")
    return 1 if mistakes else 0


if __name__ == "__main__":
    sys.exit(main())
