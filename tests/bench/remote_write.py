#!/usr/bin/python3
"""What remote write costs: OTLP/HTTP in -> weir -> nginx that throws it away, and -> weir (1.0) -> vmagent -> nginx.

    scripts/build && tests/bench/remote_write.py [10000] [1000000]

Every interval each series has one sample, with ten labels besides job; intervals follow one another as fast as they are
taken. Figures are those of one process each: CPU seconds (user and system, all threads) per million samples, bytes on the
wire to the next, resident memory at the end and its part per series. Every sample must have been written. Prints figures, never
fails on a time."""

import http.client
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("WEIR_BUILD", ROOT / "build"))
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
import judge  # noqa: E402

POINTS = int(os.environ.get("POINTS", "1000"))  # in one OTLP request
SAMPLES = int(os.environ.get("SAMPLES", "4000000"))  # in all
SENDERS = 4
START_NS = (int(time.time()) - 100_000) * 10**9
INTERVAL_NS = 15 * 10**9
TICK = os.sysconf("SC_CLK_TCK")

WEIR = """
receivers: {{otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:{port}"}}}}}}}}
exporters:
  prometheusremotewrite:
    endpoint: http://127.0.0.1:{sink}{path}
    protobuf_message: {version}
    remote_write_queue: {{block_on_overflow: true, max_samples: 200000}}
    series_expiry: 1h
service:
  telemetry: {{logs: {{level: warn}}, metrics: {{port: {metrics}}}}}
  pipelines: {{metrics: {{receivers: [otlp], exporters: [prometheusremotewrite]}}}}
"""

NGINX = """
daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr;
events {{ worker_connections 256; }}
http {{
  log_format lengths '$http_content_length';
  access_log {folder}/lengths lengths;
  client_body_temp_path {folder}/a; proxy_temp_path {folder}/b; fastcgi_temp_path {folder}/c;
  uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
  client_max_body_size 0; keepalive_requests 1000000;
  server {{
    listen 127.0.0.1:{port};
    location / {{ add_header X-Prometheus-Remote-Write-Samples-Written 1 always; return 204; }}
  }}
}}
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for_port(port):
    for _ in range(200):
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit(f"nothing listens on {port}")


def cpu(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def resident(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def figures(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
        lines = answer.read().decode().splitlines()
    return {line.rsplit(" ", 1)[0].split("{")[0]: float(line.rsplit(" ", 1)[1])
            for line in lines if line and not line.startswith("#")}


def make_bodies(series):
    """Requests that together hold a point of every series; their timestamp is START_NS."""
    messages, bodies = judge.MESSAGES, []
    for first in range(0, series, POINTS):
        request = messages.request("metrics")()
        group = request.resource_metrics.add()
        group.resource.attributes.add(key="service.name").value.string_value = "shop"
        metric = group.scope_metrics.add().metrics.add(name="http.server.requests", unit="1")
        metric.sum.is_monotonic = True
        metric.sum.aggregation_temporality = 2
        for i in range(first, min(first + POINTS, series)):
            point = metric.sum.data_points.add(time_unix_nano=START_NS, start_time_unix_nano=START_NS - 1, as_int=i)
            for key, value in (("http.request.method", ("GET", "POST", "PUT")[i % 3]), ("url.scheme", "https"),
                               ("http.route", f"/api/v2/orders/{i % 50}"), ("server.address", "shop.example.com"),
                               ("http.response.status_code", str(200 + i % 7)), ("network.protocol.version", "1.1"),
                               ("k8s.pod.name", f"shop-7d9c5b7f4-{i // 100:05}"), ("k8s.node.name", f"node-{i // 3000}"),
                               ("cloud.region", "eu-west-1"), ("client.id", f"client-{i % 100}")):
                point.attributes.add(key=key).value.string_value = value
        bodies.append(request.SerializeToString())
    return bodies


def send_all(port, bodies, intervals, begin):
    """Each sender has bodies of its own, so that the samples of a series come in order."""
    failures = []

    def sender(number):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        old = struct.pack("<Q", START_NS)
        for interval in range(intervals):
            new = struct.pack("<Q", START_NS + (begin + interval) * INTERVAL_NS)
            for body in bodies[number::SENDERS]:
                connection.request("POST", "/v1/metrics", body.replace(old, new),
                                   {"content-type": "application/x-protobuf"})
                answer = connection.getresponse()
                text = answer.read()
                if answer.status != 200 or len(text) > 2:
                    failures.append((answer.status, text[:200]))
    threads = [threading.Thread(target=sender, args=(n,)) for n in range(SENDERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[:3]


class Run:
    """The processes of one run; all are ended, whatever happens."""

    def __init__(self, folder):
        self.folder, self.children = folder, []

    def start(self, *command):
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=open(f"{self.folder}/stderr", "ab"))
        self.children.append(child)
        return child

    def nginx(self):
        port = free_port()
        config = pathlib.Path(self.folder, "nginx.conf")
        config.write_text(NGINX.format(folder=self.folder, port=port))
        self.start("nginx", "-e", "stderr", "-p", self.folder, "-c", str(config))
        wait_for_port(port)
        return port

    def vmagent(self, sink):
        port = free_port()
        child = self.start("vmagent", f"-httpListenAddr=127.0.0.1:{port}", f"-remoteWrite.tmpDataPath={self.folder}/vm",
                           f"-remoteWrite.url=http://127.0.0.1:{sink}/")
        wait_for_port(port)
        return child, port

    def weir(self, sink, path, version):
        port, metrics = free_port(), free_port()
        config = pathlib.Path(self.folder, "weir.yaml")
        config.write_text(WEIR.format(port=port, metrics=metrics, sink=sink, path=path, version=version))
        child = self.start(str(BUILD / "weir"), "--config", str(config))
        wait_for_port(port)
        return child, port, metrics

    def wire_bytes(self):
        path = pathlib.Path(self.folder, "lengths")
        return sum(map(int, path.read_text().split())) if path.exists() else 0

    def end(self):
        for child in reversed(self.children):
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(20)
            except subprocess.TimeoutExpired:
                child.kill()


def line(name, samples, seconds, wire, memory, series):
    print(f"  {name:<28}{seconds / samples * 1e6:6.2f} CPU s per million samples   {wire / samples:6.1f} bytes per sample"
          f"   {memory / 2**20:7.1f} MiB resident, {memory / series:6.0f} bytes per series", flush=True)


def wait_until(condition):
    end = time.monotonic() + 300
    while not condition():
        if time.monotonic() > end:
            raise SystemExit("not all samples were written")
        time.sleep(0.1)


def measure(series, bodies, version, through_vmagent):
    intervals = max(2, SAMPLES // series)
    with tempfile.TemporaryDirectory(prefix="weirbench-") as folder:
        run = Run(folder)
        try:
            sink = run.nginx()
            vmagent, vm_port = run.vmagent(sink) if through_vmagent else (None, None)
            weir, port, metrics = run.weir(vm_port or sink, "/api/v1/write", version)
            send_all(port, bodies, 1, 0)  # all series are known from here on
            written = "otelcol_exporter_prometheusremotewrite_written_samples"
            wait_until(lambda: figures(metrics)["otelcol_exporter_sent_metric_points"] == series)
            before, before_vm = cpu(weir.pid), cpu(vmagent.pid) if vmagent else 0
            if vmagent:
                time.sleep(3)
            wire, start, base = run.wire_bytes(), time.monotonic(), figures(metrics)[written]
            send_all(port, bodies, intervals, 1)
            wait_until(lambda: figures(metrics)["otelcol_exporter_sent_metric_points"] == series * (intervals + 1))
            samples = figures(metrics)[written] - base
            seconds = time.monotonic() - start
            if vmagent:
                time.sleep(3)  # it flushes every second
            time.sleep(0.3)
            used, wire = cpu(weir.pid) - before, run.wire_bytes() - wire
            print(f"{series} series, {intervals} intervals, {samples:.0f} samples in {seconds:.1f} s, {version}")
            line("weir", samples, used, 0 if vmagent else wire, resident(weir.pid), series)
            if vmagent:
                line("vmagent", samples, cpu(vmagent.pid) - before_vm, wire, resident(vmagent.pid), series)
        finally:
            run.end()


def main():
    for series in [int(a) for a in sys.argv[1:]] or [10_000, 1_000_000]:
        bodies = make_bodies(series)
        measure(series, bodies, "io.prometheus.write.v2.Request", False)
        measure(series, bodies, "prometheus.WriteRequest", False)
        measure(series, bodies, "prometheus.WriteRequest", True)


if __name__ == "__main__":
    main()
