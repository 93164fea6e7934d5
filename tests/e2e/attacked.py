"""A gateway that is under attack, and a client that keeps to the rules."""
import json
import os
import re
import subprocess
import sys
import threading
import time

import grpc
import judge
import weirtest

HERE = os.path.dirname(os.path.abspath(__file__))
MESSAGES = judge.MESSAGES
LIMIT_MIB = 48
SECONDS = float(os.environ.get("WEIR_ATTACK_SECONDS", "1.2"))

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


def make_tests(scope, names, run):
    """A test for each of them: run(stage, name)."""
    for name in names:
        def test(stage, name=name):
            run(stage, name)
        test.__name__ = f"test_{name}"
        scope[test.__name__] = test
