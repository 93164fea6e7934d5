#!/usr/bin/python3
"""A gateway built with sanitizers under each of tests/e2e/attacks.py for a moment, for what they find. What a gateway bears, and
how others fare meanwhile: test_attacks.py."""
import contextlib
import os
import socket
import sys
import time

import weirtest

try:
    import attacked
    import attacks
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(weirtest.SKIPPED)


def under_attack(stage, name):
    gateway = attacked.Gateway(stage, weirtest.BINARY)
    gateway.attack(name, attacked.SECONDS / 3)
    client = attacked.Client(gateway.grpc)
    client.once()
    assert client.waits, "it does not serve any more"
    client.channel.close()
    assert gateway.weir.stop() == 0


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_has_no_descriptor_left_and_recovers(stage):
    """EMFILE: connections beyond the last descriptor are closed, nothing turns in circles, and afterwards all is well."""
    weirtest.need_programs("prlimit")
    poor = stage.path("poor")
    with open(poor, "w", encoding="utf-8") as f:
        f.write(f'#!/bin/sh\nexec prlimit --nofile=64:64 "{weirtest.BINARY}" "$@"\n')
    os.chmod(poor, 0o755)
    gateway = attacked.Gateway(stage, poor)
    with contextlib.ExitStack() as held:
        for i in range(300):
            port = (gateway.grpc, gateway.http, gateway.tls)[i % 3]
            held.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
        started, before = time.monotonic(), cpu_seconds(gateway.weir.pid)
        time.sleep(0.5)  # a share of time is measured
        share = (cpu_seconds(gateway.weir.pid) - before) / (time.monotonic() - started)
        assert share < 0.5, f"{share:.0%} of a core while nothing can be accepted"
    client = attacked.Client(gateway.grpc)
    weirtest.wait_for(lambda: client.once() or client.waits, what="a healthy client is served again")
    client.channel.close()
    struck = gateway.struck()
    assert struck.get("descriptors", 0) + struck.get("connections", 0) > 0, struck
    assert gateway.weir.stop() == 0


attacked.make_tests(globals(), attacks.NAMES, under_attack)

if __name__ == "__main__":
    weirtest.main(at_once=4)
