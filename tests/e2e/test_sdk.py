#!/usr/bin/python3
"""A weir as gateway between clients nobody here wrote and a backend nobody here wrote: what they sent is what arrived, item
by item, over every protocol, for every shape of span, metric and log record."""
import base64
import gzip
import json
import os
import subprocess
import sys
import time
import urllib.request

import weirtest

try:
    import grpc
    import judge
    import otlp_messages
    from account import wait_until_quiet
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(weirtest.SKIPPED)

HERE = os.path.dirname(os.path.abspath(__file__))
MESSAGES = judge.MESSAGES
NAMES = {"traces": "trace", "metrics": "metrics", "logs": "logs"}

CONFIG = """
    receivers:
      otlp: {{protocols: {{grpc: {{endpoint: "127.0.0.1:{grpc}"}}, http: {{endpoint: "127.0.0.1:{http}"}}}}}}
    processors:
      memory_limiter: {{check_interval: 1s, limit_mib: 200}}
    exporters:
      otlp:
        endpoint: "127.0.0.1:{backend}"
        tls: {{insecure: true}}
        sending_queue: {{batch: {{flush_timeout: 50ms, min_size: {min_size}, max_size: {max_size}}}}}
    service:
      telemetry: {{metrics: {{port: "${{env:METRICS_PORT}}"}}}}
      pipelines:
        traces: {{receivers: [otlp], processors: [memory_limiter], exporters: [otlp]}}
        metrics: {{receivers: [otlp], processors: [memory_limiter], exporters: [otlp]}}
        logs: {{receivers: [otlp], processors: [memory_limiter], exporters: [otlp]}}
"""


class Gateway:
    """weir between its clients and a judge."""

    def __init__(self, stage, min_size=8192, max_size=0):
        self.judge = stage.server(judge.Judge())
        self.grpc, self.http = weirtest.free_port(), weirtest.free_port()
        self.weir = stage.weir(CONFIG.format(grpc=self.grpc, http=self.http, backend=self.judge.port, min_size=min_size,
                                             max_size=max_size))

    def expect(self, sent):
        """sent: {name of the signal: requests}. Waits until as many items have come, then compares them and the books."""
        count = sum(judge.count_items(name, r) for name, requests in sent.items() for r in requests)
        weirtest.wait_for(lambda: self.judge.items() >= count, what=f"{count} items arrive")
        for name, requests in sent.items():
            received = [r["message"] for r in self.judge.received if NAMES[r["signal"]] == name]
            otlp_messages.assert_same_items(name, requests, received)
        books = wait_until_quiet(self.weir)
        accepted = sum(books.figure(f"otelcol_receiver_accepted_{i}") for i in ("spans", "metric_points", "log_records"))
        assert accepted == count, (accepted, count)
        assert books.exporter("otlp").sent == count, vars(books.exporter("otlp"))
        assert self.weir.stop() == 0


def sdk(stage, protocol, compression):
    weirtest.need_programs("node")
    if not os.path.isdir(os.path.join(HERE, "sdk", "node_modules")):
        weirtest.skip("OpenTelemetry's SDK for Node is not installed (scripts/setup fetches it with npm)")
    gateway = Gateway(stage)
    port = gateway.grpc if protocol == "grpc" else gateway.http
    done = subprocess.run(["node", os.path.join(HERE, "sdk", "send.mjs"), protocol, f"http://127.0.0.1:{port}", compression],
                          capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    sent = {name: [] for name in NAMES.values()}
    for line in done.stdout.splitlines():
        entry = json.loads(line)
        assert entry["code"] == 0, entry.get("error")
        sent[NAMES[entry["signal"]]].append(
            MESSAGES.request(NAMES[entry["signal"]]).FromString(base64.b64decode(entry["request"])))
    assert all(judge.count_items(n, r) for n, requests in sent.items() for r in requests)
    assert sum(judge.count_items("trace", r) for r in sent["trace"]) == 120
    assert sum(judge.count_items("logs", r) for r in sent["logs"]) == 110
    assert len(sent["metrics"]) == 6 or len(sent["metrics"]) == 8, len(sent["metrics"])
    gateway.expect(sent)


def test_node_sdk_over_grpc(stage):
    sdk(stage, "grpc", "none")


def test_node_sdk_over_grpc_with_gzip(stage):
    sdk(stage, "grpc", "gzip")


def test_node_sdk_over_http_protobuf(stage):
    sdk(stage, "http/protobuf", "none")


def test_node_sdk_over_http_protobuf_with_gzip(stage):
    sdk(stage, "http/protobuf", "gzip")


def test_node_sdk_over_http_json(stage):
    sdk(stage, "http/json", "gzip")


def post(port, name, body, content_type, headers=None):
    path = {"trace": "traces"}.get(name, name)
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/{path}", body,
                                     {"Content-Type": content_type, **(headers or {})})
    with urllib.request.urlopen(request, timeout=weirtest.PATIENCE) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"] == content_type
        return answer.read()


def send_grpc(gateway, name, request, compression=None):
    with grpc.insecure_channel(f"127.0.0.1:{gateway.grpc}", compression=compression) as channel:
        call = channel.unary_unary(
            judge.export_path(name), request_serializer=lambda r: r.SerializeToString(), response_deserializer=MESSAGES.response(name).FromString)
        response = call(request, timeout=weirtest.PATIENCE)
    assert not response.HasField("partial_success")


def send_protobuf(gateway, name, request, compressed=False):
    body = request.SerializeToString()
    answer = post(gateway.http, name, gzip.compress(body) if compressed else body, "application/x-protobuf",
                  {"Content-Encoding": "gzip"} if compressed else {})
    assert answer == b""


def send_json(gateway, name, request):
    answer = post(gateway.http, name, otlp_messages.to_json(request).encode(), "application/json")
    assert json.loads(answer) == {}


def every_shape(stage, send, **more):
    gateway = Gateway(stage, **more)
    seed = time.time_ns() % 2**32
    print(f"    seed {seed}")
    generator = otlp_messages.Generator(MESSAGES, seed)
    sent = {name: [generator.request(name) for _ in range(8)] for name in NAMES.values()}
    for requests in zip(*sent.values()):
        for name, request in zip(sent, requests):
            send(gateway, name, request)
    gateway.expect(sent)


def test_every_shape_over_grpc(stage):
    every_shape(stage, send_grpc)


def test_every_shape_over_grpc_with_gzip(stage):
    every_shape(stage, lambda g, name, r: send_grpc(g, name, r, grpc.Compression.Gzip))


def test_every_shape_over_http_protobuf(stage):
    every_shape(stage, send_protobuf)


def test_every_shape_over_http_protobuf_with_gzip(stage):
    every_shape(stage, lambda g, name, r: send_protobuf(g, name, r, compressed=True))


def test_every_shape_over_http_json(stage):
    every_shape(stage, send_json)


def test_every_shape_cut_into_small_requests(stage):
    every_shape(stage, send_grpc, min_size=1, max_size=5)


if __name__ == "__main__":
    weirtest.main()
