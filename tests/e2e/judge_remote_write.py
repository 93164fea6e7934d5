#!/usr/bin/python3
"""A receiver of Prometheus' remote write, 1.0 and 2.0, that is strict: Python's http.server, protobuf and snappy, which share
no code with weir.

JudgeRemoteWrite(...).requests is what came, .stored what was taken: {labels: [Sample, ...]} in the order of arrival, and
.violations every duty of a sender that was broken.

script(judge, request) decides about a request that has been decoded; it returns None (take it), a status, or
(status, {header: value}, body). An exception HangUp resets the connection. Of a refused request nothing is stored."""
import collections
import contextlib
import http.server
import socket
import struct
import threading
import time

import messages
import snappy

STALE = 0x7ff0000000000002
CONTENT_TYPES = {"application/x-protobuf": 1, "application/x-protobuf;proto=prometheus.WriteRequest": 1,
                 "application/x-protobuf;proto=io.prometheus.write.v2.Request": 2}
VERSIONS = {1: "0.1.0", 2: "2.0.0"}

Sample = collections.namedtuple("Sample", "ms bits start_ms histogram")
Series = collections.namedtuple("Series", "labels samples exemplars metadata")
Request = collections.namedtuple("Request", "version headers body plain series metadata when")


class HangUp(Exception):
    """The connection is reset."""


REQUESTS = {1: messages.module("prometheus.remote_write_1").WriteRequest,
            2: messages.module("prometheus.remote_write_2").Request}


def bits_of(value):
    return struct.unpack("<Q", struct.pack("<d", value))[0]


def value_of(bits):
    return struct.unpack("<d", struct.pack("<Q", bits))[0]


class Checker:
    """Decodes a request and finds what is wrong with it."""

    def __init__(self):
        self.faults = []

    def want(self, condition, fault):
        if not condition:
            self.faults.append(fault)

    def labels(self, pairs, what):
        names = [name for name, _ in pairs]
        self.want(names == sorted(names, key=lambda n: n.encode()), f"{what}: labels are not sorted: {names}")
        self.want(len(set(names)) == len(names), f"{what}: a label stands twice: {names}")
        self.want(all(n and v for n, v in pairs), f"{what}: an empty name or value: {pairs}")
        return tuple(pairs)

    def series_labels(self, pairs):
        labels = self.labels(pairs, "series")
        name = dict(labels).get("__name__", "")
        self.want(name and (name[0].isalpha() or name[0] in "_:"), f"not a metric's name: {name!r}")
        self.want(all(c.isalnum() and c.isascii() or c in "_:" for c in name), f"not a metric's name: {name!r}")
        for label, _ in labels:
            self.want(label == "__name__" or not label.startswith("__"), f"a reserved label: {label}")
            self.want(all(c.isalnum() and c.isascii() or c == "_" for c in label), f"not a label's name: {label!r}")
        return labels

    def histogram(self, h):
        total = h.zero_count_int
        for spans, deltas in ((h.positive_spans, h.positive_deltas), (h.negative_spans, h.negative_deltas)):
            self.want(sum(s.length for s in spans) == len(deltas), "spans and deltas do not agree")
            count = 0
            for delta in deltas:
                count += delta
                total += count
                self.want(count >= 0, "a bucket's count is negative")
        self.want(bits_of(h.sum) == STALE or total == h.count_int, f"buckets hold {total}, count is {h.count_int}")
        self.want(-4 <= h.schema <= 8 or h.schema == -53, f"schema {h.schema}")

    def samples(self, one, version):
        """Of one TimeSeries."""
        self.want(bool(one.samples) != bool(one.histograms), "a series has samples or histograms, not both and not none")
        found = [Sample(s.timestamp, bits_of(s.value), getattr(s, "start_timestamp", 0), None) for s in one.samples]
        for h in one.histograms:
            self.histogram(h)
            found.append(Sample(h.timestamp, bits_of(h.sum), getattr(h, "start_timestamp", 0), h))
        for sample in found:
            self.want(10**12 < sample.ms < 10**16, f"timestamp {sample.ms} is not in milliseconds")
            self.want(sample.start_ms <= sample.ms, f"starts at {sample.start_ms}, after {sample.ms}")
            value = value_of(sample.bits)
            self.want(value == value or sample.bits in (STALE, 0x7ff8000000000001), f"a NaN of its own: {sample.bits:x}")
        times = [s.ms for s in found]
        self.want(all(a < b for a, b in zip(times, times[1:])), f"not in the order of time: {times}")
        return found

    def version_1(self, message):
        for one in message.timeseries:
            labels = self.series_labels([(label.name, label.value) for label in one.labels])
            exemplars = [(self.labels([(label.name, label.value) for label in e.labels], "exemplar"), e.value, e.timestamp)
                         for e in one.exemplars]
            yield Series(labels, self.samples(one, 1), exemplars, None)

    def version_2(self, message):
        symbols = list(message.symbols)
        self.want(symbols[:1] == [""], "symbols[0] is not empty")
        self.want(len(set(symbols)) == len(symbols), "a symbol stands twice")
        used = {0}

        def text(ref):
            self.want(ref < len(symbols), f"reference {ref} of {len(symbols)}")
            used.add(ref)
            return symbols[ref] if ref < len(symbols) else ""

        def pairs(refs):
            self.want(len(refs) % 2 == 0, "references are not even")
            texts = [text(ref) for ref in refs]
            return list(zip(texts[::2], texts[1::2]))

        for one in message.timeseries:
            self.want(one.labels_refs, "a series without labels")
            labels = self.series_labels(pairs(one.labels_refs))
            exemplars = [(self.labels(pairs(e.labels_refs), "exemplar"), e.value, e.timestamp) for e in one.exemplars]
            metadata = (one.metadata.type, text(one.metadata.help_ref), text(one.metadata.unit_ref))
            yield Series(labels, self.samples(one, 2), exemplars, metadata)
        self.want(used == set(range(len(symbols))), "symbols that nobody refers to")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            status, headers, text = self.judge.take(self.headers, body)
        except HangUp:
            self.close_connection = True
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            return
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if status != 204:
            self.wfile.write(text)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass  # clients come and go


class JudgeRemoteWrite:
    """knows: the versions it understands. A receiver of 1.0 alone meets 2.0 with blind: "415" or "400", or None: it reads it
    as an empty request and answers 204. stored: what a judge before it has taken. context: of TLS."""

    def __init__(self, script=None, knows=(1, 2), blind="415", port=0, stored=None, context=None):
        self.script, self.knows, self.blind = script, knows, blind
        self.requests, self.violations = [], []
        self.stored = {} if stored is None else stored
        self.open = set()
        self.lock = threading.Lock()
        outer = self

        class Bound(Handler):
            judge = outer

            def setup(self):
                super().setup()
                outer.open.add(self.request)
                self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

            def finish(self):
                outer.open.discard(self.request)
                with contextlib.suppress(OSError, ValueError):
                    super().finish()

        self.server = Server(("127.0.0.1", port), Bound)
        self.port = self.server.server_address[1]
        if context:  # hands are shaken in the thread of the connection
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        for connection in list(self.open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def take(self, headers, body):
        with self.lock:
            request = self.read(headers, body)
            self.requests.append(request)
            if request.version not in self.knows:
                return (int(self.blind), {}, b"what is this?\nsecond line") if self.blind else (204, {}, b"")
            said = self.script(self, request) if self.script else None
            if said is None:
                return 204, self.store(request), b""
            if isinstance(said, int):
                return said, {}, f"the judge says {said}\nsecond line".encode()
            return said

    def read(self, headers, body):
        checker = Checker()
        version = CONTENT_TYPES.get(headers["content-type"], 0)
        checker.want(version, f"content type {headers['content-type']}")
        checker.want(headers["content-encoding"] == "snappy", f"content encoding {headers['content-encoding']}")
        checker.want(headers["x-prometheus-remote-write-version"] == VERSIONS.get(version),
                     f"version {headers['x-prometheus-remote-write-version']} of {version}")
        checker.want((headers["user-agent"] or "").startswith("weir/"), f"user agent {headers['user-agent']}")
        for name in ("content-type", "content-encoding", "x-prometheus-remote-write-version", "user-agent"):
            checker.want(len(headers.get_all(name, [])) == 1, f"{name} does not stand once")
        checker.want(body[:10] != b"\xff\x06\x00\x00sNaPpY", "framed snappy")
        plain = snappy.uncompress(body)
        message = REQUESTS[version or 1]()
        message.ParseFromString(plain)
        series = list(checker.version_2(message) if version == 2 else checker.version_1(message))
        checker.want(series, "an empty request")
        metadata = [(m.type, m.metric_family_name, m.help, m.unit) for m in message.metadata] if version == 1 else []
        self.violations += checker.faults
        return Request(version, dict(headers.items()), body, plain, series, metadata, time.monotonic())

    def store(self, request):
        counts = [0, 0, 0]
        for one in request.series:
            kept = self.stored.setdefault(one.labels, [])
            for sample in one.samples:
                if kept and sample.ms <= kept[-1].ms:
                    self.violations.append(f"{one.labels}: {sample.ms} after {kept[-1].ms}")
                kept.append(sample)
                counts[1 if sample.histogram is not None else 0] += 1
            counts[2] += len(one.exemplars)
        return {f"X-Prometheus-Remote-Write-{name}-Written": str(n)
                for name, n in zip(("Samples", "Histograms", "Exemplars"), counts)} if request.version == 2 else {}

    def find(self, **labels):
        """The stored samples of the one series with these labels (name is __name__)."""
        labels = {"__name__" if k == "name" else k: v for k, v in labels.items()}
        with self.lock:
            found = [s for known, s in self.stored.items() if labels.items() <= dict(known).items()]
        assert len(found) <= 1, f"{len(found)} series with {labels}"
        return found[0] if found else []

    def count(self):
        with self.lock:
            return sum(map(len, self.stored.values()))
