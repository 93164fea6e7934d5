#!/usr/bin/python3
"""The judge: an OTLP backend over gRPC made of grpcio and protobuf, which share no code with weir.

As a process it prints one JSON line {"port": N} and then, with --dump FILE, writes every request it accepted as
one JSON line {"signal", "items", "metadata", "request"} to FILE. As a module: Judge(...) with .received.

A behaviour is chosen for the whole server (--behaviour) or, stronger, per call with the metadata key x-behaviour:
  ok                        accept
  unavailable[:SECONDS]     UNAVAILABLE, with RetryInfo when SECONDS are given
  exhausted[:SECONDS]       RESOURCE_EXHAUSTED, likewise
  status:CODE               any status by number
  invalid                   INVALID_ARGUMENT
  partial:N[:TEXT]          OK, N items rejected
  slow:SECONDS              accept after SECONDS
  huge:BYTES                OK with a response of that size
  flaky:SHARE[:SEED]        UNAVAILABLE for that share of calls (0..1), then ok
  fail-first:N[:SECONDS]    the first N calls are UNAVAILABLE, then ok
  accept-first:N            after N accepted calls everything is UNAVAILABLE
"""
import argparse
import concurrent.futures
import json
import random
import sys
import threading
import time

import grpc
import messages
from google.protobuf import json_format

SIGNALS = {"trace": "traces", "metrics": "metrics", "logs": "logs"}
REJECTED = {"trace": "rejected_spans", "metrics": "rejected_data_points", "logs": "rejected_log_records"}


class Messages:
    """The OTLP messages."""

    def __init__(self):
        self.rpc = messages.module("rpc_status")
        self.service = {name: messages.module(f"opentelemetry.proto.collector.{name}.v1.{name}_service") for name in SIGNALS}

    def request(self, name):
        return getattr(self.service[name], f"Export{name.capitalize()}ServiceRequest")

    def response(self, name):
        return getattr(self.service[name], f"Export{name.capitalize()}ServiceResponse")


MESSAGES = Messages()


def export_path(name):
    return f"/opentelemetry.proto.collector.{name}.v1.{name.capitalize()}Service/Export"


def count_items(name, request):
    if name == "trace":
        return sum(len(s.spans) for r in request.resource_spans for s in r.scope_spans)
    if name == "logs":
        return sum(len(s.log_records) for r in request.resource_logs for s in r.scope_logs)
    return sum(
        len(getattr(m, m.WhichOneof("data")).data_points)
        for r in request.resource_metrics
        for s in r.scope_metrics
        for m in s.metrics
        if m.WhichOneof("data")
    )


class Service(grpc.GenericRpcHandler):
    def __init__(self, judge):
        self.judge = judge
        self.names = {export_path(name): name for name in SIGNALS}

    def service(self, call):
        name = self.names.get(call.method)
        if name is None:
            return None
        return grpc.unary_unary_rpc_method_handler(
            lambda request, context: self.judge.answer(name, request, context),
            request_deserializer=self.judge.messages.request(name).FromString,
            response_serializer=lambda response: response.SerializeToString(),
        )


class Judge:
    """A running server. received: dicts as dumped, but with the message itself under "message"."""

    def __init__(self, behaviour="ok", address="127.0.0.1:0", dump=None, credentials=None, max_streams=None,
                 compression=None, workers=128, goaway_after=None):
        self.messages = MESSAGES
        self.behaviour = behaviour
        self.received = []
        self.calls = self.accepted = 0
        self.lock = threading.Lock()
        self.random = {}
        self.dump = open(dump, "a", encoding="utf-8") if dump else None
        options = [("grpc.max_receive_message_length", 64 << 20), ("grpc.so_reuseport", 0)]
        if max_streams:
            options.append(("grpc.max_concurrent_streams", max_streams))
        if goaway_after:
            options.append(("grpc.max_connection_age_ms", int(goaway_after * 1000)))
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(workers), options=options,
                                  compression=compression)
        self.server.add_generic_rpc_handlers((Service(self),))
        if credentials:
            self.port = self.server.add_secure_port(address, credentials)
        else:
            self.port = self.server.add_insecure_port(address)
        self.server.start()

    def stop(self, grace=None):
        self.server.stop(grace).wait()

    def items(self, signal=None):
        with self.lock:
            return sum(r["items"] for r in self.received if signal in (None, r["signal"]))

    def _refuse(self, context, code, text, delay=None):
        if delay is not None:
            rpc, nanos = self.messages.rpc, int(float(delay) * 1e9)
            info = rpc.RetryInfo(retry_delay=rpc.Duration(seconds=nanos // 10**9, nanos=nanos % 10**9))
            detail = rpc.Any(type_url="type.googleapis.com/google.rpc.RetryInfo", value=info.SerializeToString())
            status = rpc.Status(code=code.value[0], message=text, details=[detail])
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(code, text)

    def answer(self, name, request, context):
        metadata = {k: v for k, v in context.invocation_metadata() if isinstance(v, str)}
        words = metadata.get("x-behaviour", self.behaviour).split(":")
        what, rest = words[0], words[1:]
        with self.lock:
            self.calls += 1
            calls, accepted = self.calls, self.accepted
        if what == "unavailable":
            self._refuse(context, grpc.StatusCode.UNAVAILABLE, "busy, come again", *rest[:1])
        elif what == "exhausted":
            self._refuse(context, grpc.StatusCode.RESOURCE_EXHAUSTED, "quota used up", *rest[:1])
        elif what == "invalid":
            self._refuse(context, grpc.StatusCode.INVALID_ARGUMENT, "no such thing as 100% ünicode\n")
        elif what == "status":
            code = next(c for c in grpc.StatusCode if c.value[0] == int(rest[0]))
            self._refuse(context, code, "as asked")
        elif what == "flaky":
            with self.lock:
                dice = self.random.setdefault(words[0], random.Random(int(rest[1]) if len(rest) > 1 else 1)).random()
            if dice < float(rest[0]):
                self._refuse(context, grpc.StatusCode.UNAVAILABLE, "flaky")
        elif what == "fail-first" and calls <= int(rest[0]):
            self._refuse(context, grpc.StatusCode.UNAVAILABLE, "not yet", *rest[1:2])
        elif what == "accept-first" and accepted >= int(rest[0]):
            self._refuse(context, grpc.StatusCode.UNAVAILABLE, "full")
        elif what == "slow":
            time.sleep(float(rest[0]))
        response = self.messages.response(name)()
        if what == "partial":
            setattr(response.partial_success, REJECTED[name], int(rest[0]))
            response.partial_success.error_message = rest[1] if len(rest) > 1 else "some were bad"
        if what == "huge":
            response.partial_success.error_message = "x" * int(rest[0])
        self._record(name, request, metadata)
        return response

    def _record(self, name, request, metadata):
        entry = {"signal": SIGNALS[name], "items": count_items(name, request), "metadata": metadata}
        with self.lock:
            self.accepted += 1
            if self.dump:
                line = dict(entry, request=json_format.MessageToDict(request))
                self.dump.write(json.dumps(line) + "\n")
                self.dump.flush()
            self.received.append(dict(entry, message=request))


def server_credentials(args):
    if not args.cert:
        return None
    read = lambda path: open(path, "rb").read() if path else None
    return grpc.ssl_server_credentials([(read(args.key), read(args.cert))], read(args.client_ca),
                                       bool(args.client_ca))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", default="127.0.0.1:0")
    parser.add_argument("--behaviour", default="ok")
    parser.add_argument("--dump")
    parser.add_argument("--max-streams", type=int)
    parser.add_argument("--goaway-after", type=float, help="seconds that a connection may last")
    parser.add_argument("--gzip", action="store_true", help="compress answers")
    parser.add_argument("--cert")
    parser.add_argument("--key")
    parser.add_argument("--client-ca", help="clients must show a certificate of this authority")
    args = parser.parse_args()
    judge = Judge(args.behaviour, args.address, args.dump, server_credentials(args), args.max_streams,
                  grpc.Compression.Gzip if args.gzip else None, goaway_after=args.goaway_after)
    print(json.dumps({"port": judge.port}), flush=True)
    sys.stdin.read()  # the parent's end closes with it, whatever becomes of it
    judge.stop()


if __name__ == "__main__":
    main()
