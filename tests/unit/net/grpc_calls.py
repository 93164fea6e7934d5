#!/usr/bin/python3
"""grpcio, which shares no code with weir, as the client of a server under test: grpc_calls.py PORT SCENARIO.

The server (test_grpc_server_clients.c) does what a call's x-behaviour says, by default it sends the message back.
Ends with a traceback when something is not as it should be."""

import concurrent.futures
import os
import subprocess
import sys
import tempfile
import threading

import grpc

HERE = os.path.dirname(os.path.abspath(__file__))
PATH = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
TEXT = "no such thing as 100% ünicode\n"


class Caller:
    def __init__(self, port, **options):
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}", options=[*options.items()])

    def start(self, message=b"", behaviour="ok", path=PATH, timeout=10, metadata=(), compression=None):
        call = self.channel.unary_unary(path)
        return call.future(message, timeout=timeout, compression=compression,
                           metadata=(("x-behaviour", behaviour), *metadata))

    def call(self, message=b"", *rest, **named):
        return self.start(message, *rest, **named).result()

    def fails(self, *rest, **named):
        """The error of a call that must fail."""
        error = self.start(*rest, **named).exception()
        assert error is not None, "the call went well"
        return error

    def echoes(self, message, **named):
        assert self.call(message, **named) == message


def echo(caller, port):
    caller.echoes(b"hello")
    caller.echoes(b"")
    caller.echoes(os.urandom(3 << 20))


def large_metadata(caller, port):
    caller.echoes(b"hello", metadata=[(f"x-field-{i}", "v" * 200) for i in range(25)])
    caller.echoes(b"hello", metadata=[("x-bytes-bin", bytes(range(256)))])


def statuses(caller, port):
    for code in grpc.StatusCode:
        if code == grpc.StatusCode.OK:
            continue
        for moment in ("call", "message", "complete"):
            error = caller.fails(b"x" * 1000, f"{moment}:{code.value[0]}")
            assert error.code() == code, error
            assert error.details() == TEXT, error.details()
    caller.echoes(b"still there")


def retry_info(caller, port):
    with tempfile.TemporaryDirectory() as folder:
        proto = os.path.join(HERE, "../../e2e/proto")
        subprocess.run(["protoc", "-I", proto, "--python_out", folder, "rpc_status.proto"], check=True)
        sys.path.insert(0, folder)
        import rpc_status_pb2 as rpc
    for code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED):
        error = caller.fails(b"x", f"retry:{code.value[0]}")
        details = dict(error.trailing_metadata())["grpc-status-details-bin"]
        status = rpc.Status.FromString(details)
        assert (error.code(), error.details()) == (code, TEXT)
        assert (status.code, status.message) == (code.value[0], TEXT), status
        assert status.details[0].type_url == "type.googleapis.com/google.rpc.RetryInfo"
        info = rpc.RetryInfo.FromString(status.details[0].value)
        assert (info.retry_delay.seconds, info.retry_delay.nanos) == (1, 500000000), info


def deadline(caller, port):
    error = caller.fails(b"x", "hold", timeout=0.2)
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED, error
    caller.echoes(b"still there")


def cancel(caller, port):
    for size in (1, 3 << 20):
        call = caller.start(b"x" * size, "hold")
        caller.echoes(b"the held call is there first")
        call.cancel()
    caller.echoes(b"still there")


def compression(caller, port):
    message = b"".join(b"line %d of many that are alike\n" % i for i in range(20000))
    for coding in (grpc.Compression.Gzip, grpc.Compression.Deflate):
        caller.echoes(message, behaviour="compressed", compression=coding)


def unimplemented(caller, port):
    error = caller.fails(b"x", path="/no.such.Service/Export")
    assert error.code() == grpc.StatusCode.UNIMPLEMENTED, error
    assert "/no.such.Service/Export" in error.details(), error


def too_large(caller, port):
    for extra in (1, 1 << 20):
        error = caller.fails(b"x" * ((4 << 20) + extra))
        assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, error
        assert "max_recv_msg_size_mib" in error.details(), error.details()
        assert "grpc-status-details-bin" not in dict(error.trailing_metadata() or ())
        caller.echoes(b"still there")
    message = b"x" * (4 << 20)
    assert len(Caller(port, **{"grpc.max_receive_message_length": -1}).call(message)) == len(message)


def keepalive(caller, port):
    pinging = Caller(port, **{"grpc.keepalive_time_ms": 100, "grpc.keepalive_timeout_ms": 2000,
                              "grpc.keepalive_permit_without_calls": 1, "grpc.http2.max_pings_without_data": 0})
    pinging.echoes(b"a")
    error = pinging.fails(b"x", "hold", timeout=1)
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED, error
    pinging.echoes(b"still there")


def many(caller, port):
    messages = [os.urandom(n * 97) for n in range(100)]

    def send(message):
        caller.echoes(message, timeout=60)

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        for future in [pool.submit(send, m) for m in messages * 3]:
            future.result()


if __name__ == "__main__":
    threading.excepthook = lambda _: os._exit(1)
    globals()[sys.argv[2]](Caller(int(sys.argv[1])), int(sys.argv[1]))
