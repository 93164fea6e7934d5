#!/usr/bin/python3
"""A gateway under each of tests/e2e/attacks.py: it goes on, keeps within its memory, counts what it has refused, and a client
that keeps to the rules waits at most ten times as long as on a quiet day.

Memory and waiting are those of the release build, which scripts/test makes as well (sanitizers multiply both); the same attacks
then go on for a moment against the build with sanitizers, for what they find."""
import contextlib
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import threading
import time

import weirtest

try:
    import attacks
    import grpc
    import judge
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(weirtest.SKIPPED)

HERE = os.path.dirname(os.path.abspath(__file__))
RELEASE = os.environ.get("WEIR_RELEASE", os.path.join(weirtest.ROOT, "build", "weir"))
MESSAGES = judge.MESSAGES
LIMIT_MIB = 48
# What the process takes beside the telemetry it holds: the program, libraries, connections.
REST_MIB = 32
SECONDS = float(os.environ.get("WEIR_ATTACK_SECONDS", "1.2"))
ATTEMPTS = 3  # others on the machine only ever make it slower: the best attempt counts
FLOOR_MS = 3.0  # of the quiet value: below it the clock of a busy machine is all that is measured

CONFIG = """
    receivers:
      otlp:
        protocols:
          grpc: {{endpoint: "127.0.0.1:{grpc}", max_recv_msg_size_mib: 16}}
          http: {{endpoint: "127.0.0.1:{http}", max_request_body_size: 16MiB}}
      otlp/tls:
        protocols:
          grpc:
            endpoint: "127.0.0.1:{tls}"
            tls: {{cert_file: "{folder}/server.pem", key_file: "{folder}/server.key"}}
            limits: {{handshake_time: 200ms}}
    processors:
      memory_limiter: {{check_interval: 1s, limit_mib: {limit}}}
    exporters:
      debug: {{verbosity: basic, output_paths: [/dev/null]}}
    service:
      telemetry: {{logs: {{level: warn}}, metrics: {{port: "${{env:METRICS_PORT}}"}}}}
      pipelines:
        traces: {{receivers: [otlp, otlp/tls], processors: [memory_limiter], exporters: [debug]}}
"""

# The limit that has to strike, where there is one by name; the others are refused as a request, or simply served.
STRIKES = {
    "rapid_reset": "resets", "made_you_reset": "resets", "made_you_reset_by_content_length": "resets",
    "continuation_flood": "continuations", "empty_continuations": "continuations", "hpack_bomb": "protocol",
    "huge_header_list": "header_list", "settings_flood": "settings", "settings_of_many_entries": "settings",
    "ping_flood": "pings", "window_update_flood": "frames", "priority_flood": "frames", "empty_data_flood": "frames",
    "unknown_frames_flood": "frames", "too_many_streams": "streams", "bad_huffman": "protocol",
    "junk_after_the_preface": "protocol", "junk": "protocol", "strange_frames": "protocol", "strange_heads": "protocol",
    "strange_targets": "protocol", "half_open_handshakes": "handshake", "junk_instead_of_tls": "handshake",
}
# How every request of an attack must have been answered.
ANSWERS = {
    "false_content_length": {"413", "400"}, "request_smuggling": {"400", "501"}, "bombs": {"413", "400"},
    "deep_values": {"400"}, "deep_json": {"400"}, "empty_spans": {"200", "503"}, "large_json": {"200", "503", "413"},
}
# What is no attack by itself, only much of it.
KEPT = {"idle_connections"}


class Gateway:
    def __init__(self, stage, binary):
        self.grpc, self.http, self.tls = (weirtest.free_port() for _ in range(3))
        kept, weirtest.BINARY = weirtest.BINARY, binary
        try:
            self.weir = stage.weir(CONFIG.format(grpc=self.grpc, http=self.http, tls=self.tls, limit=LIMIT_MIB,
                                                 folder=weirtest.certificates()), ready=False)
        finally:
            weirtest.BINARY = kept
        weirtest.wait_for(lambda: all(weirtest.listens(self.weir.pid, port) for port in (self.grpc, self.http, self.tls)),
                          what="weir listens")

    def peak_mib(self):
        with open(f"/proc/{self.weir.pid}/status", encoding="ascii") as f:
            return int(re.search(r"VmHWM:\s+(\d+)", f.read())[1]) / 1024

    def attack(self, name, seconds):
        done = subprocess.run([sys.executable, os.path.join(HERE, "attacks.py"), name, str(self.grpc), str(self.http),
                               str(self.tls), str(seconds)], capture_output=True, text=True, timeout=seconds + 60, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def struck(self):
        figures = {}
        for (name, labels), value in self.weir.metrics().items():
            if name == "weir_receiver_limit_struck":
                limit = dict(labels)["limit"]
                figures[limit] = figures.get(limit, 0) + value
        return figures


class Client(threading.Thread):
    """Somebody who keeps to the rules, one small request after the other."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self.call = self.channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export",
                                             request_serializer=lambda r: r.SerializeToString(),
                                             response_deserializer=MESSAGES.response("trace").FromString)
        self.request = MESSAGES.request("trace")()
        self.request.resource_spans.add().scope_spans.add().spans.add(name="healthy", trace_id=b"1" * 16, span_id=b"2" * 8)
        self.waits, self.refused, self.over = [], 0, False

    def once(self):
        start = time.monotonic()
        try:
            self.call(self.request, timeout=20, wait_for_ready=True)
            self.waits.append((time.monotonic() - start) * 1000)
        except grpc.RpcError as e:
            assert e.code() == grpc.StatusCode.UNAVAILABLE, e
            self.refused += 1

    def run(self):
        while not self.over:
            self.once()
            time.sleep(0.005)  # a rate, not a wait

    def stop(self):
        self.over = True
        self.join()
        self.channel.close()


def percentile(values, share):
    return sorted(values)[int(len(values) * share)]


def quiet(gateway):
    client = Client(gateway.grpc)
    for _ in range(200):
        client.once()
    client.channel.close()
    return client.waits


def under_attack(stage, name):
    if os.access(RELEASE, os.X_OK):
        gateway = Gateway(stage, RELEASE)
        usual = max(percentile(quiet(gateway), 0.95), FLOOR_MS)
        for _ in range(ATTEMPTS):
            client = Client(gateway.grpc)
            client.start()
            result = gateway.attack(name, SECONDS)
            client.stop()
            waits = client.waits
            if percentile(waits, 0.95) <= 10 * usual:
                break
        print(f"    {name}: {result['rounds']} rounds, {result['closed']} closed, {result['answers']}; healthy client: "
              f"{len(waits)} answers, median {statistics.median(waits):.2f} ms, p95 {percentile(waits, 0.95):.2f} "
              f"(quiet p95 {usual:.2f}), refused {client.refused}; peak {gateway.peak_mib():.1f} MiB; struck "
              f"{ {k: int(v) for k, v in gateway.struck().items() if v} }")
        assert percentile(waits, 0.95) <= 10 * usual, f"the healthy client waited {percentile(waits, 0.95):.1f} ms"
        assert client.refused == 0, f"the healthy client was refused {client.refused} times"
        assert gateway.peak_mib() <= LIMIT_MIB + REST_MIB, f"{gateway.peak_mib():.1f} MiB"
        if name in STRIKES:
            assert gateway.struck().get(STRIKES[name], 0) > 0, gateway.struck()
        if name in ANSWERS:
            assert set(result["answers"]) <= ANSWERS[name] and result["answers"], result["answers"]
        assert name not in KEPT or (result["closed"] == 0 and result["rounds"] > 1000), result
        assert gateway.weir.stop() == 0
    sanitized = Gateway(stage, weirtest.BINARY)
    sanitized.attack(name, SECONDS / 3)
    client = Client(sanitized.grpc)
    client.once()
    assert client.waits, "it does not serve any more"
    client.channel.close()
    assert sanitized.weir.stop() == 0


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
    gateway = Gateway(stage, poor)
    with contextlib.ExitStack() as held:
        for i in range(300):
            port = (gateway.grpc, gateway.http, gateway.tls)[i % 3]
            held.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
        started, before = time.monotonic(), cpu_seconds(gateway.weir.pid)
        time.sleep(0.5)  # a share of time is measured
        share = (cpu_seconds(gateway.weir.pid) - before) / (time.monotonic() - started)
        assert share < 0.5, f"{share:.0%} of a core while nothing can be accepted"
    client = Client(gateway.grpc)
    weirtest.wait_for(lambda: client.once() or client.waits, what="a healthy client is served again")
    client.channel.close()
    struck = gateway.struck()
    assert struck.get("descriptors", 0) + struck.get("connections", 0) > 0, struck
    assert gateway.weir.stop() == 0


def make_test(name):
    def test(stage):
        under_attack(stage, name)
    test.__name__ = f"test_{name}"
    return test


for attack in attacks.NAMES:
    globals()[f"test_{attack}"] = make_test(attack)

if __name__ == "__main__":
    weirtest.main()
