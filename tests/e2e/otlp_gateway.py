"""A weir with an otlp receiver in front of a judge, and clients for it: curl and grpcio. What was asked and what was answered is
kept exact: bodies of errors are read back by protobuf, gRPC's details by grpcio."""
import json
import socket
import subprocess

import grpc
import judge
import weirtest
from account import total, wait_until_quiet
from h2 import config as h2_config
from h2 import connection as h2_connection
from h2 import events as h2_events

MESSAGES = judge.MESSAGES
SIGNALS = judge.SIGNALS
PROTOBUF, JSON = "application/x-protobuf", "application/json"

CONFIG = """
    extensions: {{{extensions}}}
    receivers:
      otlp:
        protocols:
          grpc: {{endpoint: "{grpc}"{grpc_more}}}
          http: {{endpoint: "{http}"{http_more}}}
    processors: {{{processors}}}
    exporters:
      otlp:
        endpoint: "127.0.0.1:{backend}"
        tls: {{insecure: true}}
        compression: none
        retry_on_failure: {{enabled: false}}
        sending_queue: {{wait_for_result: true, batch: {{enabled: false}}{queue}}}
    service:
      extensions: [{extension_names}]
      shutdown_timeout: 5s
      telemetry: {{metrics: {{port: "${{env:METRICS_PORT}}"}}}}
      pipelines:
        traces: {{receivers: [otlp], processors: [{processor_names}], exporters: [otlp]}}
        metrics: {{receivers: [otlp], processors: [{processor_names}], exporters: [otlp]}}
        logs: {{receivers: [otlp], processors: [{processor_names}], exporters: [otlp]}}
"""


class Answer:
    """What curl got."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def encoding(self):
        return self.headers.get("content-type")

    def rpc_status(self):
        """The google.rpc.Status in the body, by protobuf's own parsers."""
        status = MESSAGES.rpc.Status()
        if self.encoding() == JSON:
            # Details are Any, whose types the JSON parser would have to know: by hand.
            value = json.loads(self.body)
            status.code, status.message = value.get("code", 0), value.get("message", "")
            return status
        assert self.encoding() == PROTOBUF, self.headers
        status.ParseFromString(self.body)
        return status

    def response(self, name):
        response = MESSAGES.response(name)()
        if self.encoding() == JSON:
            return judge.json_format.Parse(self.body, response)
        assert self.encoding() == PROTOBUF, self.headers
        response.ParseFromString(self.body)
        return response


class Gateway:
    """scheme, address and unix say how curl comes in; more may hold grpc_more, http_more, processors, extensions, queue."""

    def __init__(self, stage, behaviour="ok", grpc_at=None, http_at=None, ready=True, **more):
        self.stage = stage
        self.judge = stage.server(judge.Judge(behaviour))
        self.grpc = grpc_at or f"127.0.0.1:{weirtest.free_port()}"
        self.http = http_at or f"127.0.0.1:{weirtest.free_port()}"
        processors, extensions = more.get("processors", {}), more.get("extensions", {})
        text = CONFIG.format(
            grpc=self.grpc, http=self.http, backend=self.judge.port, grpc_more=more.get("grpc_more", ""),
            http_more=more.get("http_more", ""), queue=more.get("queue", ""),
            processors=", ".join(f"{k}: {v}" for k, v in processors.items()), processor_names=", ".join(processors),
            extensions=", ".join(f"{k}: {v}" for k, v in extensions.items()), extension_names=", ".join(extensions))
        self.weir = stage.weir(text, ready=ready)
        self.channels = {}

    # ---- HTTP

    def curl(self, path, *arguments, body=None, content_type=PROTOBUF, coding=None, version="1.1", scheme="http"):
        command = ["curl", "-sS", "--max-time", "20", "--path-as-is", "-D", "-", "-o", self.stage.path("body"),
                   "-H", "Expect:"]
        command += ["--http2-prior-knowledge" if scheme == "http" else "--http2"] if version == "2" else ["--http1.1"]
        if content_type is not None:
            command += ["-H", f"Content-Type: {content_type}"]
        if coding:
            command += ["-H", f"Content-Encoding: {coding}"]
        if body is not None:
            with open(self.stage.path("request"), "wb") as f:
                f.write(body)
            command += ["--data-binary", "@" + self.stage.path("request")]
        if self.http.startswith("unix:"):
            command += ["--unix-socket", self.http.removeprefix("unix://"), *arguments, f"{scheme}://localhost{path}"]
        else:
            command += [*arguments, f"{scheme}://{self.http}{path}"]
        open(self.stage.path("body"), "wb").close()
        done = subprocess.run(command, capture_output=True, check=False)
        assert done.returncode == 0, (command, done.stderr)
        lines = done.stdout.decode("latin-1").strip().split("\r\n\r\n")[-1].splitlines()
        headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in lines[1:] if ": " in line)}
        with open(self.stage.path("body"), "rb") as f:
            return Answer(int(lines[0].split()[1]), headers, f.read())

    def post_h2(self, path, headers, body, length=True):
        """Over HTTP/2 by python3-h2: curl 7.88 takes an answer that comes before the body has gone (RST_STREAM with NO_ERROR
        behind it, RFC 9113 8.1) for a failure."""
        host, port = self.http.rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=20) as s:
            h2 = h2_connection.H2Connection(h2_config.H2Configuration(header_encoding="utf-8"))
            h2.initiate_connection()
            own = [("content-length", str(len(body)))] if length else []
            h2.send_headers(1, [(":method", "POST"), (":path", path), (":scheme", "http"), (":authority", host), *own,
                                *headers])
            answer, ended, at = Answer(0, {}, b""), False, 0
            while not ended:
                while not answer.status and at < len(body) and (room := min(h2.local_flow_control_window(1), 16384)) > 0:
                    h2.send_data(1, body[at:at + room])
                    at += room
                    if at >= len(body):
                        h2.end_stream(1)
                if not body and at == 0:
                    h2.end_stream(1)
                    at = 1
                s.sendall(h2.data_to_send())
                data = s.recv(65536)
                assert data, "the connection was closed without an answer"
                for event in h2.receive_data(data):
                    if isinstance(event, h2_events.ResponseReceived):
                        answer.headers = {k: v for k, v in event.headers if k != ":status"}
                        answer.status = int(dict(event.headers)[":status"])
                    elif isinstance(event, h2_events.DataReceived):
                        answer.body += event.data
                    elif isinstance(event, h2_events.StreamEnded):
                        ended = True
                    elif isinstance(event, h2_events.StreamReset):
                        assert ended or event.error_code == 0, event
            return answer

    def post(self, name, request, content_type=PROTOBUF, **more):
        body = request if isinstance(request, bytes) else request.SerializeToString()
        return self.curl(f"/v1/{SIGNALS[name]}", body=body, content_type=content_type, **more)

    # ---- gRPC

    def channel(self, credentials=None, options=()):
        target = self.grpc
        limits = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
        channel = (grpc.secure_channel(target, credentials, [*limits, *options]) if credentials
                   else grpc.insecure_channel(target, [*limits, *options]))
        return self.stage.keep(channel, channel.close)

    def export(self, name, request, channel=None, compression=None, metadata=(), timeout=20, method=None):
        """The response; grpc.RpcError otherwise."""
        channel = channel or self.channels.setdefault("plain", self.channel())
        call = channel.unary_unary(
            method or judge.export_path(name), request_serializer=lambda r: r if isinstance(r, bytes) else r.SerializeToString(),
            response_deserializer=MESSAGES.response(name).FromString)
        return call(request, compression=compression, metadata=metadata, timeout=timeout)

    def refused(self, name, request, **more):
        """The error of a call that must fail."""
        try:
            response = self.export(name, request, **more)
        except grpc.RpcError as error:
            return error
        raise AssertionError(f"it was answered: {response}")

    # ---- books

    def settle(self):
        """Waits until nothing is under way. Items of all pipelines by what became of them."""
        whole = total(wait_until_quiet(self.weir).pipelines.values())
        return {"received": whole.received, "refused": whole.refused, "sent": whole.sent, "dropped": whole.lost()}

    def end(self, items=None):
        """The books, a clean end, and how many items arrived."""
        became = self.settle()
        if items is not None:
            assert became["sent"] == items and self.judge.items() == items, (became, self.judge.items(), items)
        assert self.weir.stop() == 0, self.weir.stderr()


def retry_delay(error):
    """Seconds of the RetryInfo of a gRPC error; None without one."""
    for key, value in error.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            status = MESSAGES.rpc.Status.FromString(value)
            assert status.code == error.code().value[0], status
            return status_delay(status)
    return None


def status_delay(status):
    for detail in status.details:
        if detail.type_url.endswith("/google.rpc.RetryInfo"):
            info = MESSAGES.rpc.RetryInfo.FromString(detail.value)
            return info.retry_delay.seconds + info.retry_delay.nanos / 1e9
    return None


def spans(n, size=10):
    """A trace request of n spans whose names have that many bytes."""
    request = MESSAGES.request("trace")()
    scope = request.resource_spans.add().scope_spans.add()
    for i in range(n):
        span = scope.spans.add()
        span.name = f"{i:0{size}}"
        span.trace_id, span.span_id = bytes(range(16)), bytes(range(8))
    return request


def requests(n=3):
    """One request of each signal with n items."""
    metrics, logs = MESSAGES.request("metrics")(), MESSAGES.request("logs")()
    gauge = metrics.resource_metrics.add().scope_metrics.add().metrics.add()
    gauge.name = "g"
    records = logs.resource_logs.add().scope_logs.add().log_records
    for i in range(n):
        gauge.gauge.data_points.add().as_int = i
        records.add().body.string_value = str(i)
    return {"trace": spans(n), "metrics": metrics, "logs": logs}
