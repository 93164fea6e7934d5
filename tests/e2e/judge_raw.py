#!/usr/bin/python3
"""A backend that misbehaves below gRPC: python3-h2 for the frames, plain sockets for the rest.

Prints one JSON line {"behaviour": port, ...} and serves until its standard input closes. Each port has one way:
  half_frame     accepts the call, sends 5 bytes of a frame and closes
  goaway         processes the first call of a connection, then GOAWAY with last_stream_id = that call; answers it
                 when the client has read that (it has answered a PING)
  goaway_broken  the same, but breaks HTTP/2 instead of answering, and keeps the connection open
  goaway_always  GOAWAY right after SETTINGS, every time
  silent         takes the connection and says nothing
  deaf           speaks HTTP/2 and never answers anything, not even PING
  deaf_first     deaf on the first connection, answer_ok on the others
  http1          answers as an HTTP/1.1 server
  page           answers HTTP/2 503 with text/html
  refuse_first   resets the first call of a connection with REFUSED_STREAM, answers the others
  reset          resets every call with INTERNAL_ERROR
  no_status      ends calls without grpc-status
  trailers_only  answers with one header block and reads no request body
  cut_message    ends with grpc-status 0 in the middle of a message
  bomb           a gzip message that inflates to 16 MiB
  close          closes as soon as it has accepted
  answer_ok      OK, an empty response; counts nothing
  half_then_ok   half_frame on the first three connections, answer_ok afterwards
  garbage        random bytes
  early_hints    two informational header blocks before the answer
  push           a PUSH_PROMISE where none is allowed
  too_many_pings GOAWAY for a PING sooner than 0.3 s after the last one; answers at the third that came later
  endless_block  a header block of CONTINUATION frames without end
  settings_flood SETTINGS and PING without end, reading nothing
  no_streams     allows no streams at first, then one: answer_ok
  small_windows  takes the body a few bytes at a time, changing its windows and frame size on the way
  zstd           decompresses requests with the program zstd and keeps them in Connection.messages; answer_ok, or
                 INVALID_ARGUMENT when that fails
  snappy         the same with framed snappy
"""
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.settings

OK = [(":status", "200"), ("content-type", "application/grpc")]
DONE = [("grpc-status", "0")]


def message(body=b"", compressed=0):
    return struct.pack(">BI", compressed, len(body)) + body


def bomb():
    z = zlib.compressobj(9, zlib.DEFLATED, 31)
    return message(z.compress(bytes(16 << 20)) + z.flush(), 1)  # smaller than the first window


BOMB = bomb()


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


class Connection:
    halves = 3  # of half_then_ok, over all connections
    deaf = 1  # likewise of deaf_first
    messages = []  # of zstd
    on_ping_answer = None

    def __init__(self, sock, way):
        self.sock, self.way = sock, way
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self.calls = 0
        self.open = True
        self.bodies = {}
        self.codings = {}
        self.pings = []

    def flush(self):
        data = self.h2.data_to_send()
        if data:
            self.sock.sendall(data)

    def answer(self, stream, body=message(), headers=OK):
        self.h2.send_headers(stream, headers)
        while body:
            self.h2.send_data(stream, body[:16384])
            body = body[16384:]
        self.h2.send_headers(stream, DONE, end_stream=True)
        self.flush()

    def run(self):
        if self.way == "close":
            return
        if self.way == "silent":
            self.drain()
            return
        if self.way == "garbage":
            self.sock.sendall(os.urandom(4096))
            self.drain()
            return
        if self.way == "http1":
            self.sock.recv(65536)
            self.sock.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            self.drain()
            return
        self.h2.initiate_connection()
        if self.way == "no_streams":  # in the same segment: the first SETTINGS allow a hundred
            self.h2.update_settings({h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 0})
            self.h2.ping(b"no calls")
        self.flush()
        if self.way == "goaway_always":
            self.h2.close_connection()
            self.flush()
        if self.way == "deaf_first" and Connection.deaf > 0:
            Connection.deaf -= 1
            self.way = "deaf"
        if self.way == "deaf":
            self.drain()
            return
        if self.way == "settings_flood":
            while True:
                self.sock.sendall((frame(4, 0, 0) + frame(6, 0, 0, bytes(8))) * 1000)
        while self.open:
            data = self.sock.recv(65536)
            if not data:
                return
            for event in self.h2.receive_data(data):
                self.on_event(event)
            self.flush()

    def drain(self):
        while self.sock.recv(65536):
            pass

    def on_event(self, event):
        if isinstance(event, h2.events.DataReceived):
            if self.way == "small_windows":
                self.squeeze(event)
            self.bodies[event.stream_id] = self.bodies.get(event.stream_id, b"") + event.data
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        if isinstance(event, h2.events.RequestReceived):
            self.codings[event.stream_id] = dict(event.headers).get("grpc-encoding")
        if isinstance(event, h2.events.PingReceived) and self.way == "too_many_pings":
            self.count_ping()
        if isinstance(event, h2.events.PingAckReceived) and self.on_ping_answer:
            self.on_ping_answer()
        if isinstance(event, h2.events.PingAckReceived) and self.way == "no_streams":
            self.h2.update_settings({h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: 1})
        if isinstance(event, h2.events.RequestReceived) and self.way == "trailers_only":
            self.h2.send_headers(event.stream_id, [*OK, ("grpc-status", "3"), ("grpc-message", "not%20today")],
                                 end_stream=True)
            self.flush()
        if isinstance(event, h2.events.StreamEnded):
            self.calls += 1
            getattr(self, self.way, self.nothing)(event.stream_id)

    def nothing(self, stream):
        pass

    def half_frame(self, stream):
        self.flush()
        self.sock.sendall(b"\x00\x00\x40\x01\x04")
        self.open = False

    def half_then_ok(self, stream):
        if Connection.halves > 0:
            Connection.halves -= 1
            self.half_frame(stream)
        else:
            self.answer(stream)

    def goaway(self, stream, then=None):
        if self.calls == 1:
            self.flush()
            # GOAWAY by hand: h2 would refuse to answer afterwards.
            self.sock.sendall(frame(7, 0, 0, struct.pack(">II", stream, 0)))
            self.h2.ping(b"read it?")
            self.on_ping_answer = then or (lambda: self.answer(stream))

    def goaway_broken(self, stream):
        self.goaway(stream, lambda: self.sock.sendall(frame(8, 0, 0, bytes(4))))  # a window opened by nothing

    def early_hints(self, stream):
        for code in "100", "103":
            self.h2.send_headers(stream, [(":status", code), ("content-type", "text/html"), ("grpc-status", "2")])
        self.answer(stream)

    def push(self, stream):
        self.flush()
        self.sock.sendall(frame(5, 4, stream, struct.pack(">I", 2) + b"\x82\x84\x86"))

    def endless_block(self, stream):
        self.flush()
        self.sock.sendall(frame(1, 0, stream, b"\x88"))
        while True:
            self.sock.sendall(frame(9, 0, stream))

    def count_ping(self):
        now = time.monotonic()
        if self.pings and now - self.pings[-1] < 0.3:
            self.sock.sendall(frame(7, 0, 0, struct.pack(">II", 0, 11) + b"too_many_pings"))
            self.open = False
        self.pings.append(now)
        if len(self.pings) == 3 and self.open:
            self.answer(1)

    def squeeze(self, event):
        codes = h2.settings.SettingCodes
        size = len(self.bodies.get(event.stream_id, b""))
        # Windows that are smaller than what has been sent become negative.
        self.h2.update_settings({codes.INITIAL_WINDOW_SIZE: (1 << 14) >> (size % 15),
                                 codes.MAX_FRAME_SIZE: 1 << (14 + size % 10)})

    def small_windows(self, stream):
        body = self.bodies[stream]
        good = len(body) == 5 + struct.unpack(">I", body[1:5])[0]
        if good and all(byte == index % 251 for index, byte in enumerate(body[5:])):
            self.answer(stream)
        else:
            self.refuse(stream, f"got {len(body)} bytes")

    def keep(self, stream, coding, plain):
        body = self.bodies.pop(stream)
        try:
            assert body[0] == 1 and self.codings[stream] == coding, f"flag {body[0]}, {self.codings[stream]}"
            Connection.messages.append(plain(body[5:]))
        except Exception as why:  # pylint: disable=broad-except
            self.refuse(stream, str(why))
            return
        self.answer(stream)

    def zstd(self, stream):
        self.keep(stream, "zstd", lambda body: subprocess.run(["zstd", "-dc"], input=body, stdout=subprocess.PIPE,
                                                              check=True).stdout)

    def snappy(self, stream):
        import codings  # pylint: disable=import-outside-toplevel
        self.keep(stream, "snappy", codings.unpack_snappy_frames)

    def refuse(self, stream, why):
        self.h2.send_headers(stream, [*OK, ("grpc-status", "3"), ("grpc-message", why)], end_stream=True)

    def page(self, stream):
        self.h2.send_headers(stream, [(":status", "503"), ("content-type", "text/html")])
        self.h2.send_data(stream, b"<html>busy</html>", end_stream=True)

    def refuse_first(self, stream):
        if self.calls == 1:
            self.h2.reset_stream(stream, h2.errors.ErrorCodes.REFUSED_STREAM)
        else:
            self.answer(stream)

    def reset(self, stream):
        self.h2.reset_stream(stream, h2.errors.ErrorCodes.INTERNAL_ERROR)

    def no_status(self, stream):
        self.h2.send_headers(stream, OK)
        self.h2.send_data(stream, message(), end_stream=True)

    def cut_message(self, stream):
        self.h2.send_headers(stream, OK)
        self.h2.send_data(stream, message(b"12345678")[:-3])
        self.h2.send_headers(stream, DONE, end_stream=True)

    def bomb(self, stream):
        self.answer(stream, BOMB, [*OK, ("grpc-encoding", "gzip")])

    def answer_ok(self, stream):
        self.answer(stream)

    deaf_first = no_streams = answer_ok


WAYS = ["half_frame", "goaway", "goaway_always", "silent", "deaf", "http1", "page", "refuse_first", "reset",
        "no_status", "trailers_only", "cut_message", "bomb", "close", "answer_ok", "half_then_ok", "garbage",
        "deaf_first", "goaway_broken", "early_hints", "push", "endless_block", "settings_flood", "no_streams",
        "small_windows", "zstd", "snappy", "too_many_pings"]


def serve(listener, way):
    def one(sock):
        try:
            Connection(sock, way).run()
        except (OSError, h2.exceptions.ProtocolError):
            pass
        finally:
            sock.close()

    while True:
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=one, args=(sock,), daemon=True).start()


def main():
    ports = {}
    for way in WAYS:
        listener = socket.create_server(("127.0.0.1", 0))
        ports[way] = listener.getsockname()[1]
        threading.Thread(target=serve, args=(listener, way), daemon=True).start()
    print(json.dumps(ports), flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
