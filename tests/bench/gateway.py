#!/usr/bin/python3
"""What a gateway costs: h2load -> weir -> h2_sink, beside h2load -> h2_sink alone, in turns within one run.

    scripts/build && tests/bench/gateway.py [spans1000] [spans100] [gzip] [idle] [latency]

weir has one core to itself; load and sink share the other. The requests are spans of 418 bytes with ten attributes.
After each run every byte that was sent must have arrived, once. Prints figures (medians), never fails on a time."""

import gzip
import json
import os
import pathlib
import re
import resource
import select
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("WEIR_BUILD", ROOT / "build"))
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
import judge  # noqa: E402

ROUNDS = int(os.environ.get("ROUNDS", "5"))
SPAN_BYTES = 418
CORE, OTHER_CORE = "0", "1"
PATH = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"

CONFIG = """
receivers:
  otlp: {{protocols: {{grpc: {{endpoint: "127.0.0.1:{port}"}}}}}}
processors:
  memory_limiter: {{check_interval: 1s, limit_mib: 64}}
exporters:
  otlp:
    endpoint: 127.0.0.1:{sink}
    tls: {{insecure: true}}
    compression: none
    sending_queue: {{sizer: bytes, queue_size: 8388608, block_on_overflow: true, {queue}}}
service:
  telemetry: {{logs: {{level: warn}}, metrics: {{port: {metrics}}}}}
  pipelines:
    traces: {{receivers: [otlp], processors: [memory_limiter], exporters: [otlp]}}
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def make_request(spans):
    """An ExportTraceServiceRequest; every span's field in its scope takes SPAN_BYTES and its tag and length."""
    request = judge.MESSAGES.request("trace")()
    group = request.resource_spans.add()
    for key, value in (("service.name", "shop"), ("host.name", "node-17")):
        group.resource.attributes.add(key=key).value.string_value = value
    scope = group.scope_spans.add()
    scope.scope.name = "io.example.http"
    for i in range(spans):
        span = scope.spans.add(trace_id=struct.pack(">QQ", 7, i + 1), span_id=struct.pack(">Q", i + 1),
                               parent_span_id=struct.pack(">Q", i + 2), name="GET /api/v2/orders", kind=2,
                               start_time_unix_nano=1792000000000000000 + i, end_time_unix_nano=1792000000001000000 + i)
        for key, value in (("http.request.method", "GET"), ("url.scheme", "https"),
                           ("url.path", "/api/v2/customers/4711/orders"), ("server.address", "shop.example.com"),
                           ("http.route", "/api/v2/customers/{id}/orders"), ("network.protocol.version", "1.1")):
            span.attributes.add(key=key).value.string_value = value
        span.attributes.add(key="http.response.status_code").value.int_value = 200
        span.attributes.add(key="server.port").value.int_value = 443
        span.attributes.add(key="cache.hit").value.bool_value = bool(i % 2)
        padding = span.attributes.add(key="user_agent.original")
        padding.value.string_value = ""
        padding.value.string_value = "x" * (SPAN_BYTES - span.ByteSize())
        while span.ByteSize() > SPAN_BYTES:
            padding.value.string_value = padding.value.string_value[:-1]
    return request.SerializeToString()


class Process:
    def __init__(self, core, *command, **more):
        self.child = subprocess.Popen(["taskset", "-c", core, *command], **more)

    def cpu_seconds(self):
        """Of all its threads, to the nanosecond."""
        total = 0
        for task in pathlib.Path(f"/proc/{self.child.pid}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
        return total / 1e9

    def memory_mib(self, key):
        """VmRSS or VmHWM."""
        text = pathlib.Path(f"/proc/{self.child.pid}/status").read_text()
        return int(re.search(rf"{key}:\s+(\d+)", text)[1]) / 1024


class Sink(Process):
    def __init__(self, core):
        self.port = free_port()
        super().__init__(core, str(BUILD / "tests/bench/h2_sink"), str(self.port), stdin=subprocess.PIPE,
                         stdout=subprocess.PIPE, text=True)
        self.child.stdout.readline()

    def stop(self):
        """What it has counted."""
        out, _ = self.child.communicate()
        return json.loads(out)


class Weir(Process):
    def __init__(self, folder, sink, queue=""):
        self.port, self.metrics_port = free_port(), free_port()
        path, self.log = pathlib.Path(folder, "weir.yaml"), pathlib.Path(folder, "weir.log")
        path.write_text(CONFIG.format(port=self.port, sink=sink, metrics=self.metrics_port, queue=queue))
        with open(self.log, "w") as log:
            super().__init__(CORE, str(BUILD / "weir"), "--config", str(path), stderr=log)
        deadline = time.monotonic() + 10
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=5).read()
                socket.create_connection(("127.0.0.1", self.port)).close()
                break
            except OSError:
                if self.child.poll() is not None or time.monotonic() > deadline:
                    sys.exit("weir did not start:\n" + self.log.read_text())
                time.sleep(0.02)

    def figure(self, name):
        text = urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=10).read().decode()
        return sum(float(v) for v in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.M))

    def wait_sent(self, spans):
        deadline = time.monotonic() + 60
        while self.figure("otelcol_exporter_sent_spans") < spans:
            if time.monotonic() > deadline:
                sys.exit(f"only {self.figure('otelcol_exporter_sent_spans'):.0f} of {spans} spans were sent:\n"
                         + self.log.read_text())
            time.sleep(0.02)

    def stop(self):
        self.child.send_signal(signal.SIGTERM)
        if self.child.wait(30):
            sys.exit("weir ended badly:\n" + self.log.read_text())
        if said := self.log.read_text():
            print("    weir said:", said[:300].strip())


def h2load(port, data, *arguments):
    command = ["taskset", "-c", OTHER_CORE, "h2load", "-d", str(data), "-H", "content-type: application/grpc", "-H",
               "te: trailers", *arguments, f"http://127.0.0.1:{port}{PATH}"]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    done = re.search(r"requests: (\d+) total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed", out)
    return int(done[3]), float(re.search(r"finished in .*?, ([\d.]+) req/s", out)[1])


class Load:
    """One kind of request, in a file for h2load."""

    def __init__(self, folder, spans, compress=False):
        body = make_request(spans)
        self.spans, self.plain = spans, len(body)
        self.arguments = ["-H", "grpc-encoding: gzip"] if compress else []
        body = gzip.compress(body) if compress else body
        self.wire = len(body)
        self.path = pathlib.Path(folder, f"request.{spans}.{compress}")
        self.path.write_bytes(struct.pack(">BI", compress, len(body)) + body)

    def run(self, port, requests, *arguments):
        done, rate = h2load(port, self.path, *self.arguments, "-c", "8", "-m", "4", "-n", str(requests), *arguments)
        if done != requests:
            sys.exit(f"only {done} of {requests} requests succeeded")
        return rate


def bare(load, requests):
    """CPU seconds per million spans, requests per second."""
    sink = Sink(CORE)
    rate = load.run(sink.port, requests)
    cpu = sink.cpu_seconds()
    counted = sink.stop()
    assert counted["bytes"] == requests * load.wire, counted
    return cpu / (requests * load.spans / 1e6), rate


def through_weir(load, requests, folder, queue="", idle=0):
    """The same, the peak of its memory in MiB, and what an idle connection takes of it in KiB."""
    sink = Sink(OTHER_CORE)
    weir = Weir(folder, sink.port, queue)
    before = weir.memory_mib("VmRSS")
    connections = open_idle(weir.port, idle)
    each = (weir.memory_mib("VmRSS") - before) * 1024 / idle if idle else 0
    cpu = weir.cpu_seconds()
    rate = load.run(weir.port, requests)
    weir.wait_sent(requests * load.spans)
    cpu = weir.cpu_seconds() - cpu
    peak = weir.memory_mib("VmHWM")
    for c in connections:
        c.close()
    weir.stop()
    counted = sink.stop()
    assert counted["bytes"] == requests * load.plain, (counted, requests * load.plain)
    return cpu / (requests * load.spans / 1e6), rate, peak, each


def is_readable(connection):
    waiting = select.poll()  # select() ends at descriptor 1023
    waiting.register(connection, select.POLLIN)
    return waiting.poll(10000)


def open_idle(port, count):
    """Connections that have said all that HTTP/2 asks for, and then nothing."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5)
    connections = []
    for _ in range(count):
        c = socket.create_connection(("127.0.0.1", port))
        c.sendall(hello)
        connections.append(c)
    for c in connections:  # its SETTINGS, and the acknowledgement of ours
        have = b""
        while have.count(b"\x04\x01") == 0:
            if not is_readable(c):
                sys.exit("an idle connection was not greeted")
            have += c.recv(4096)
    return connections


def report(name, bares, weirs):
    ratio = statistics.median(w[0] / b[0] for b, w in zip(bares, weirs))
    print(f"{name}: {statistics.median(w[0] for w in weirs):.2f} CPU s per million spans "
          f"({min(w[0] for w in weirs):.2f} to {max(w[0] for w in weirs):.2f}); bare sink "
          f"{statistics.median(b[0] for b in bares):.2f}; ratio {ratio:.1f}; peak "
          f"{max(w[2] for w in weirs):.1f} MiB; {statistics.median(w[1] for w in weirs):.0f} requests/s", flush=True)


def throughput(name, folder, spans, requests, compress=False):
    load = Load(folder, spans, compress)
    bares, weirs = [], []
    for _ in range(ROUNDS):
        bares.append(bare(load, requests))
        weirs.append(through_weir(load, requests, folder))
    report(name, bares, weirs)


def idle(folder):
    load = Load(folder, 100)
    rounds = {1: [], 10000: []}
    for _ in range(max(1, ROUNDS // 2)):
        for count, results in rounds.items():
            results.append(through_weir(load, 10000, folder, idle=count))
    for count, results in rounds.items():
        print(f"idle: {count} connections beside the load: {statistics.median(r[0] for r in results):.2f} CPU s per "
              f"million spans, peak {max(r[2] for r in results):.1f} MiB"
              + (f", {statistics.median(r[3] for r in results):.1f} KiB each" if count > 1 else ""), flush=True)


def latencies(path):
    return sorted(int(line.split("\t")[2]) / 1000 for line in path.read_text().splitlines())


def latency(folder):
    """At half of saturation, answered from the queue and (wait_for_result, no batching) from the backend."""
    load, log = Load(folder, 100), pathlib.Path(folder, "latency.log")
    saturated = through_weir(load, 10000, folder)[1]
    rate = saturated / 2 / 8
    for name, queue in (("from the queue", ""), ("from the backend", "wait_for_result: true, batch: {enabled: false}")):
        direct_ms, weir_ms = [], []
        for _ in range(max(1, ROUNDS // 2)):
            for through, results in ((False, direct_ms), (True, weir_ms)):
                sink = Sink(OTHER_CORE if through else CORE)
                weir = Weir(folder, sink.port, queue) if through else None
                load.run(weir.port if weir else sink.port, int(rate * 8 * 4), "--rps", f"{rate:.0f}", "--log-file",
                         str(log))
                results += latencies(log)
                log.unlink()
                if weir:
                    weir.stop()
                sink.stop()
        figures = [sorted(r)[int(len(r) * q)] for r in (direct_ms, weir_ms) for q in (0.5, 0.99)]
        print(f"latency {name}, {rate * 8:.0f} requests of 100 spans a second: p50 {figures[2]:.2f} ms, p99 "
              f"{figures[3]:.2f} ms; bare sink p50 {figures[0]:.2f}, p99 {figures[1]:.2f}; added p99 "
              f"{figures[3] - figures[1]:.2f} ms", flush=True)


def main():
    parts = {
        "spans1000": lambda folder: throughput("1000 spans a request", folder, 1000, 2000),
        "spans100": lambda folder: throughput("100 spans a request", folder, 100, 10000),
        "gzip": lambda folder: (throughput("1000 spans, gzip", folder, 1000, 1000, compress=True),
                                throughput("100 spans, gzip", folder, 100, 5000, compress=True)),
        "idle": idle,
        "latency": latency,
    }
    wanted = sys.argv[1:] or list(parts)
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as folder:
        for name in wanted:
            parts[name](folder)


main()
