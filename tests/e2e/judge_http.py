#!/usr/bin/python3
"""The judge over HTTP: an OTLP/HTTP backend made of Python's http.server and protobuf, which share no code with weir.

As a process it prints one JSON line {"port": N} and then, with --dump FILE, writes every request it accepted as one
JSON line {"signal", "items", "path", "headers", "request"} to FILE. As a module: JudgeHttp(...) with .received.

Behaviours (--behaviour, or the header x-behaviour of a request):
  ok                        accept
  status:CODE[:RETRY-AFTER] that status with a Status in the body; a RETRY-AFTER of "date+N" is a date N seconds away
  partial:N[:TEXT]          200, N items rejected
  slow:SECONDS              accept after SECONDS
  huge:BYTES                200 with a body of that size
  bomb                      200 with a gzip body that inflates to 16 MiB
  broken                    200 with a body that is not what its content-encoding says
  headers                   200 with header fields without end
  close                     read the request and close
  broken-error              503 with such a body
  early                     answer 413 without reading the body, and close
  cut                       the same, with less of a body than its header says
  redirect                  307 to the same place
  page                      502 with text/html
  fail-first:N[:CODE[:RETRY-AFTER]]   the first N requests get CODE (503), then ok
  accept-first:N            after N accepted requests everything is 503
  close-first:N             the first N requests are closed on, then ok
  flaky:SHARE[:SEED]        503 for that share of requests, then ok
  echo                      200 with the request's body, as text/plain
"""
import argparse
import contextlib
import email.utils
import gzip
import http.server
import json
import os
import random
import socket
import ssl
import sys
import threading
import time

from google.protobuf import json_format

import codings
import judge

PATHS = {"/v1/traces": "trace", "/v1/metrics": "metrics", "/v1/logs": "logs"}
IDS = {"traceId", "spanId", "parentSpanId"}


def from_otlp_json(value):
    """OTLP's ids are hex, protobuf's JSON wants base64."""
    if isinstance(value, dict):
        return {k: hex_to_base64(v) if k in IDS else from_otlp_json(v) for k, v in value.items()}
    if isinstance(value, list):
        return [from_otlp_json(v) for v in value]
    return value


def hex_to_base64(text):
    import base64  # pylint: disable=import-outside-toplevel
    return base64.b64encode(bytes.fromhex(text)).decode()


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass  # clients come and go


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        self.judge.answer(self, b"")

    def do_POST(self):
        behaviour = self.headers.get("x-behaviour", self.judge.behaviour)
        if behaviour == "early":
            self.send(413, b"")
            self.close_connection = True
            return
        if behaviour == "cut":
            self.wfile.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 100\r\n\r\ntoo la")
            self.close_connection = True
            return
        self.judge.answer(self, self.rfile.read(int(self.headers.get("content-length", 0))))

    do_PUT = do_DELETE = do_POST

    def send(self, status, body, kind="application/x-protobuf", **headers):
        self.send_response(status)
        if kind:
            self.send_header("Content-Type", kind)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def hang_up(self):
        self.close_connection = True
        self.connection.close()


class JudgeHttp:
    """A running server. received: dicts as dumped, but with the message itself under "message"."""

    def __init__(self, behaviour="ok", address="127.0.0.1:0", dump=None, context=None, sink=False):
        self.messages = None if sink else judge.MESSAGES
        self.behaviour = behaviour
        self.received = []
        self.calls = self.accepted = self.connections = 0
        self.open = set()
        self.lock = threading.Lock()
        self.random = {}
        self.dump = open(dump, "a", encoding="utf-8") if dump else None
        host, port = address.rsplit(":", 1)
        outer = self

        class Bound(Handler):
            judge = outer

            def setup(self):
                with outer.lock:
                    outer.connections += 1
                    outer.open.add(self.request)
                super().setup()
                self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

            def finish(self):
                with outer.lock:
                    outer.open.discard(self.request)
                with contextlib.suppress(OSError, ValueError):
                    super().finish()

        self.server = Server((host, int(port)), Bound)
        if context:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                     do_handshake_on_connect=False)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        with self.lock:
            for connection in self.open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def items(self, signal=None):
        with self.lock:
            return sum(r["items"] for r in self.received if signal in (None, r["signal"]))

    def _retry_after(self, text):
        if text.startswith("date+"):
            return email.utils.formatdate(time.time() + float(text[5:]), usegmt=True)
        return text

    def _refuse(self, handler, code, retry_after=None, kind=None):
        json_wanted = (handler.headers.get("content-type") or "").startswith("application/json")
        status = self.messages.rpc.Status(code=3, message="no such thing\n\x1b[31m")
        more = {"Retry_After": self._retry_after(retry_after)} if retry_after else {}
        if json_wanted:
            body = json_format.MessageToJson(status).encode()
            handler.send(code, body, kind or "application/json", **more)
        else:
            handler.send(code, status.SerializeToString(), kind or "application/x-protobuf", **more)

    def answer(self, handler, body):
        words = (handler.headers.get("x-behaviour") or self.behaviour).split(":")
        what, rest = words[0], words[1:]
        with self.lock:
            self.calls += 1
            calls, accepted = self.calls, self.accepted
            if what == "flaky":
                seed = rest[1] if len(rest) > 1 else "1"
                share = self.random.setdefault(seed, random.Random(int(seed))).random()
        if what == "slow":
            time.sleep(float(rest[0]))
        if what == "status" or (what == "fail-first" and calls <= int(rest[0])):
            rest = rest if what == "status" else (rest[1:] or ["503"])
            self._refuse(handler, int(rest[0]), ":".join(rest[1:]) or None)
        elif what == "accept-first" and accepted >= int(rest[0]):
            self._refuse(handler, 503)
        elif what == "flaky" and share < float(rest[0]):
            self._refuse(handler, 503)
        elif what == "close" or (what == "close-first" and calls <= int(rest[0])):
            handler.hang_up()
        elif what == "page":
            handler.send(502, b"<html>bad gateway</html>", "text/html")
        elif what == "redirect":
            handler.send(307, b"", Location=handler.path)
        elif what == "bomb":
            handler.send(200, gzip.compress(bytes(16 << 20)), Content_Encoding="gzip")
        elif what == "broken":
            handler.send(200, b"this is no gzip", Content_Encoding="gzip")
        elif what == "broken-error":
            handler.send(503, b"this is no gzip", Content_Encoding="gzip", Retry_After="3")
        elif what == "huge":
            handler.send(200, bytes(int(rest[0])))
        elif what == "headers":
            handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + b"x-more: and more and more and more\r\n" * 100000)
            handler.hang_up()
        elif what == "echo":
            handler.send(200, body, "text/plain", X_Method=handler.command, X_Path=handler.path,
                         X_Headers=json.dumps(dict(handler.headers.items())))
        else:
            self._accept(handler, body, what, rest)

    def decode(self, handler, body):
        """The name of the signal and the message; refuses and returns None, None when there is none."""
        path = handler.path.split("?")[0]
        name = PATHS.get("/" + "/".join(path.split("/")[-2:]))
        name = handler.headers.get("x-signal", name)
        if not name:
            self._refuse(handler, 404)
            return None, None
        try:
            plain = codings.unpack(handler.headers.get("content-encoding"), body)
            kind = handler.headers.get("content-type")
            request = self.messages.request(name)()
            if kind == "application/json":
                json_format.ParseDict(from_otlp_json(json.loads(plain)), request)
            elif kind == "application/x-protobuf":
                request.ParseFromString(plain)
            else:
                raise ValueError(f"content type {kind}")
            return name, request
        except Exception as why:  # pylint: disable=broad-except
            print(f"judge_http: {why}", file=sys.stderr, flush=True)
            self._refuse(handler, 400)
            return None, None

    def _accept(self, handler, body, what, rest):
        name, request = self.decode(handler, body)
        if not name:
            return
        response = self.messages.response(name)()
        if what == "partial":
            setattr(response.partial_success, judge.REJECTED[name], int(rest[0]))
            response.partial_success.error_message = rest[1] if len(rest) > 1 else "some were bad"
        self._record(name, request, handler)
        self.respond(handler, response)

    @staticmethod
    def respond(handler, response, **headers):
        kind = handler.headers.get("content-type")
        if kind == "application/json":
            handler.send(200, json_format.MessageToJson(response).encode(), kind, **headers)
        else:
            handler.send(200, response.SerializeToString(), kind, **headers)

    def _record(self, name, request, handler):
        entry = {"signal": judge.SIGNALS[name], "items": judge.count_items(name, request), "path": handler.path,
                 "headers": {k.lower(): v for k, v in handler.headers.items()}}
        with self.lock:
            self.accepted += 1
            if self.dump:
                self.dump.write(json.dumps(dict(entry, request=json_format.MessageToDict(request))) + "\n")
                self.dump.flush()
            self.received.append(dict(entry, message=request))


def server_context(cert, key, client_ca=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    if client_ca:
        context.load_verify_locations(client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", default="127.0.0.1:0")
    parser.add_argument("--behaviour", default="ok")
    parser.add_argument("--dump")
    parser.add_argument("--cert")
    parser.add_argument("--key")
    parser.add_argument("--client-ca", help="clients must show a certificate of this authority")
    args = parser.parse_args()
    context = server_context(args.cert, args.key, args.client_ca) if args.cert else None
    server = JudgeHttp(args.behaviour, args.address, args.dump, context=context)
    print(json.dumps({"port": server.port}), flush=True)
    sys.stdin.read()  # the parent's end closes with it, whatever becomes of it
    os._exit(0)


if __name__ == "__main__":
    main()
