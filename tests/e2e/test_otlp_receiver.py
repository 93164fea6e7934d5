#!/usr/bin/python3
"""The duties of an OTLP server, one test for each, after the specification (opentelemetry-proto, docs/specification.md): the real
program with curl and grpcio before it and a grpcio server behind it."""
import gzip
import json
import socket
import struct
import sys
import threading
import time
import zlib

import weirtest

try:
    import attacks
    import grpc
    import judge
    import otlp_gateway
    import otlp_messages
    from h2 import config as h2_config
    from h2 import connection as h2_connection
    from h2 import settings as h2_settings
    from otlp_gateway import JSON, MESSAGES, PROTOBUF, SIGNALS, Gateway, requests, retry_delay, spans, status_delay
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(weirtest.SKIPPED)

LIMIT = 1 << 20
SMALL = {"grpc_more": ", max_recv_msg_size_mib: 1", "http_more": ", max_request_body_size: 1MiB"}


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def snappy_block(data):
    """Literals only, which every reader must take (python3-snappy 0.6 does not work with Python 3.11)."""
    out, n = bytearray(), len(data)
    while n >= 128:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    for at in range(0, len(data), 60):
        piece = data[at:at + 60]
        out.append(len(piece) - 1 << 2)
        out += piece
    return bytes(out)


def snappy_frames(data):
    out = b"\xff\x06\x00\x00sNaPpY"
    for at in range(0, len(data), 65536):
        piece = data[at:at + 65536]
        crc = crc32c(piece)
        masked = (crc >> 15 | crc << 17) + 0xA282EAD8 & 0xFFFFFFFF
        block = snappy_block(piece)
        out += b"\x00" + (len(block) + 4).to_bytes(3, "little") + masked.to_bytes(4, "little") + block
    return out


def assert_ok(answer, name="trace"):
    assert answer.status == 200, (answer.status, answer.body)
    response = answer.response(name)
    assert not response.HasField("partial_success"), response


def assert_error(answer, status, code=None):
    assert answer.status == status, (answer.status, answer.headers, answer.body)
    rpc = answer.rpc_status()
    assert rpc.message and (code is None or rpc.code == code), rpc
    return rpc


# ---- transport


def test_grpc_must_be_served_for_every_signal(stage):
    gateway = Gateway(stage)
    for name, request in requests().items():
        assert not gateway.export(name, request).HasField("partial_success")
    gateway.end(9)


def test_http_1_1_and_http_2_must_be_served_for_every_signal(stage):
    gateway = Gateway(stage)
    for version in "1.1", "2":
        for name, request in requests().items():
            assert_ok(gateway.post(name, request, version=version), name)
    gateway.end(18)


def test_binary_protobuf_and_json_must_be_supported(stage):
    gateway = Gateway(stage)
    for version in "1.1", "2":
        for name, request in requests().items():
            body = otlp_messages.to_json(request)
            answer = gateway.post(name, body if isinstance(body, bytes) else body.encode(), JSON, version=version)
            assert_ok(answer, name)
    gateway.end(18)


def test_connections_should_be_kept_for_further_requests(stage):
    gateway = Gateway(stage)
    body = stage.path("spans")
    with open(body, "wb") as f:
        f.write(spans(1).SerializeToString())
    url = f"http://{gateway.http}/v1/traces"
    one = ["-H", f"Content-Type: {PROTOBUF}", "--data-binary", f"@{body}", "-o", stage.path("x"), url]
    child = stage.process("curl", "-sS", *one, "--next", "-sS", *one, "--next", "-sS", *one)
    assert child.wait() == 0, child.stderr()
    assert gateway.weir.figure("weir_receiver_connections_accepted", transport="http") == 1
    gateway.end(3)


def test_uncompressed_and_gzip_must_be_accepted(stage):
    gateway = Gateway(stage)
    request = spans(50)
    for compression in grpc.Compression.NoCompression, grpc.Compression.Gzip:
        gateway.export("trace", request, compression=compression)
    for coding in None, "gzip":
        body = request.SerializeToString()
        assert_ok(gateway.post("trace", gzip.compress(body) if coding else body, coding=coding))
    gateway.end(200)


def test_gzip_whose_flag_was_lost_on_the_way_is_read(stage):
    """What clients on gRPC's C core send when they repeat a call (grpc/grpc#37742)."""
    gateway = Gateway(stage)
    peer = attacks.Peer(int(gateway.grpc.rsplit(":", 1)[1]))
    message = gzip.compress(spans(50).SerializeToString())
    peer.send(peer.headers(more=[("grpc-encoding", "gzip")]) + attacks.frame.DataFrame(
        peer.stream, struct.pack(">BI", 0, len(message)) + message, flags=["END_STREAM"]).serialize())
    weirtest.wait_for(lambda: gateway.judge.items() == 50, what="the spans arrive")
    gateway.end(50)
    peer.close()


def test_further_codings_are_accepted(stage):
    gateway = Gateway(stage)
    body = spans(50).SerializeToString()
    packed = {"zlib": zlib.compress(body), "deflate": zlib.compress(body), "identity": body, "snappy": snappy_block(body),
              "x-snappy-framed": snappy_frames(body)}
    try:
        import lz4.frame
        import zstandard
        packed |= {"zstd": zstandard.compress(body), "lz4": lz4.frame.compress(body)}
    except ImportError as missing:
        print(f"  zstd and lz4 are left out: {missing}")
    for coding, bytes_ in packed.items():
        assert_ok(gateway.post("trace", bytes_, coding=coding))
    gateway.export("trace", spans(50), compression=grpc.Compression.Deflate)
    gateway.end(50 * (len(packed) + 1))


def test_large_bodies_of_every_kind_are_accepted(stage):
    """Beyond what is done at once on the loop."""
    gateway = Gateway(stage)
    large = spans(20000, 100)
    assert_ok(gateway.post("trace", large))
    assert_ok(gateway.post("trace", gzip.compress(large.SerializeToString()), coding="gzip", version="2"))
    assert_ok(gateway.post("trace", otlp_messages.to_json(large).encode(), JSON))
    gateway.export("trace", large, compression=grpc.Compression.Gzip)
    gateway.end(80000)


def test_response_content_type_must_be_the_requests(stage):
    gateway = Gateway(stage)
    for content_type, echoed in ((PROTOBUF, PROTOBUF), (JSON, JSON), ("application/json; charset=utf-8", JSON)):
        for body, status in ((b"", 200), (b"\xff", 400)):
            if body == b"" and echoed == JSON:
                body = b"{}"
            answer = gateway.post("trace", body, content_type)
            assert (answer.status, answer.encoding()) == (status, echoed), (answer.status, answer.headers)
    gateway.end(0)


# ---- size


def test_request_size_must_be_bounded_on_the_wire(stage):
    gateway = Gateway(stage, **SMALL)
    fits, too_large = spans(1, LIMIT - 200), spans(1, LIMIT + 1)
    gateway.export("trace", fits)
    error = gateway.refused("trace", too_large)
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED, error
    assert retry_delay(error) is None
    gateway.export("trace", fits)  # the connection has survived
    assert gateway.weir.figure("weir_receiver_connections_accepted", transport="grpc") == 1
    chunked = ["-H", "Transfer-Encoding: chunked"]  # without a length it is counted as it comes
    for arguments in [], chunked:
        assert_ok(gateway.curl("/v1/traces", *arguments, body=fits.SerializeToString()))
        answer = gateway.curl("/v1/traces", *arguments, body=too_large.SerializeToString())
        assert_error(answer, 413, 8)
        assert "retry-after" not in answer.headers
    for length in True, False:
        headers = [("content-type", PROTOBUF)]
        assert_ok(gateway.post_h2("/v1/traces", headers, fits.SerializeToString(), length))
        assert_error(gateway.post_h2("/v1/traces", headers, too_large.SerializeToString(), length), 413, 8)
    gateway.end(6)


def test_request_size_must_be_bounded_after_decompression(stage):
    gateway = Gateway(stage, **SMALL)
    fits, too_large = spans(1, LIMIT - 200), spans(1, LIMIT + 1)
    gateway.export("trace", fits, compression=grpc.Compression.Gzip)
    error = gateway.refused("trace", too_large, compression=grpc.Compression.Gzip)
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED, error
    assert retry_delay(error) is None
    for compress, coding in ((gzip.compress, "gzip"), (zlib.compress, "deflate")):
        assert_ok(gateway.post("trace", compress(fits.SerializeToString()), coding=coding))
        assert_error(gateway.post("trace", compress(too_large.SerializeToString()), coding=coding), 413, 8)
        bomb = compress(bytes(200 * LIMIT))
        assert_error(gateway.post("trace", bomb, coding=coding), 413, 8)
    gateway.end(3)


def test_default_request_size_should_be_64_mib(stage):
    gateway = Gateway(stage)
    fits, too_large = spans(1, (64 << 20) - 200), spans(1, 64 << 20)
    gateway.export("trace", fits)
    assert gateway.refused("trace", too_large).code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert_ok(gateway.post("trace", fits))
    assert_error(gateway.post("trace", too_large), 413, 8)
    gateway.end(2)


# ---- success


def test_full_success_must_leave_partial_success_unset(stage):
    gateway = Gateway(stage)
    answer = gateway.post("trace", spans(1))
    assert (answer.status, answer.body) == (200, b"")
    answer = gateway.post("logs", b'{"resourceLogs":[{"scopeLogs":[{"logRecords":[{}]}]}]}', JSON)
    assert (answer.status, json.loads(answer.body)) == (200, {})
    assert not gateway.export("metrics", requests()["metrics"]).HasField("partial_success")
    gateway.end(5)


def test_an_empty_request_should_be_a_success(stage):
    gateway = Gateway(stage)
    for name in SIGNALS:
        assert not gateway.export(name, b"").HasField("partial_success")
        assert_ok(gateway.post(name, b""), name)
        assert_ok(gateway.post(name, b"{}", JSON), name)
    gateway.end(0)
    assert gateway.judge.calls == 0


def test_partial_success_must_tell_how_many_and_should_tell_why(stage):
    gateway = Gateway(stage, "partial:2:two were bad")
    for name, request in requests().items():
        for response in (gateway.export(name, request), gateway.post(name, request).response(name),
                         gateway.post(name, otlp_messages.to_json(request).encode(), JSON).response(name)):
            partial = response.partial_success
            assert getattr(partial, judge.REJECTED[name]) == 2, response
            assert partial.error_message, response
    total = gateway.settle()
    assert (total["sent"], total["dropped"]) == (9, 18), total
    assert gateway.weir.stop() == 0


# ---- failures


def test_bad_data_must_not_be_retryable(stage):
    gateway = Gateway(stage)
    whole = spans(5).SerializeToString()
    for body in (b"\xff\xff", whole[:-1], b"\x0a\xff\xff\xff\xff\x0f", b"\x0b", b"\x0a\x02\x08\x01"):
        error = gateway.refused("trace", body)
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT, error
        assert retry_delay(error) is None
        answer = gateway.post("trace", body)
        assert_error(answer, 400, 3)
        assert "retry-after" not in answer.headers
    for body in (b"{", b"[]", b'{"resourceSpans":1}', b'{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"xy"}]}]}]}',
                 b"\xef\xbb\xbf{}x", b'{"resourceSpans":' + b"[" * 100000):
        assert_error(gateway.post("trace", body, JSON), 400, 3)
    for coding, body in (("gzip", b"no gzip"), ("gzip", gzip.compress(whole)[:-5]), ("deflate", b"\x00"), ("zstd", b"xxxx")):
        assert_error(gateway.post("trace", body, coding=coding), 400, 3)
    gateway.end(0)


def test_overload_must_be_retryable_and_should_say_when(stage):
    gateway = Gateway(stage, "unavailable:7")
    error = gateway.refused("trace", spans(1))
    assert error.code() is grpc.StatusCode.UNAVAILABLE and retry_delay(error) == 7, error
    for content_type, body in ((PROTOBUF, spans(1).SerializeToString()), (JSON, otlp_messages.to_json(spans(1)).encode())):
        answer = gateway.post("trace", body, content_type)
        assert_error(answer, 503, 14)
        assert answer.headers["retry-after"] == "7", answer.headers
    gateway.judge.behaviour = "unavailable"  # says nothing of when: weir does
    error = gateway.refused("trace", spans(1))
    assert error.code() is grpc.StatusCode.UNAVAILABLE and 0.5 < retry_delay(error) < 12, error
    assert int(gateway.post("trace", spans(1)).headers["retry-after"]) >= 1
    total = gateway.settle()
    assert total["refused"] == 5 and total["sent"] == 0, total
    assert gateway.weir.stop() == 0


def test_a_delay_below_a_second_is_rounded_up(stage):
    gateway = Gateway(stage, "unavailable:0.2")
    answer = gateway.post("trace", spans(1))
    assert_error(answer, 503, 14)
    assert answer.headers["retry-after"] == "1", answer.headers
    assert abs(status_delay(answer.rpc_status()) - 0.2) < 1e-6
    assert abs(retry_delay(gateway.refused("trace", spans(1))) - 0.2) < 1e-6
    gateway.end(0)


def test_a_full_queue_must_be_retryable(stage):
    gateway = Gateway(stage, "slow:1.5", queue=", queue_size: 1, num_consumers: 1")
    channels = [gateway.channel() for _ in range(6)]
    codes = []

    def call(channel):
        try:
            gateway.export("trace", spans(1), channel=channel)
            codes.append("OK")
        except grpc.RpcError as error:
            codes.append(error.code().name)
            assert retry_delay(error) is not None

    threads = [threading.Thread(target=call, args=(c,)) for c in channels]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert set(codes) == {"OK", "UNAVAILABLE"}, codes
    total = gateway.settle()
    assert total["sent"] == codes.count("OK") == gateway.judge.items(), (total, codes)
    assert gateway.weir.stop() == 0


def test_no_memory_must_be_retryable_and_never_500(stage):
    gateway = Gateway(stage, processors={"memory_limiter": "{check_interval: 1s, limit_mib: 20, spike_limit_mib: 4}"})
    large = spans(1, 30 << 20)
    error = gateway.refused("trace", large)
    assert error.code() is grpc.StatusCode.UNAVAILABLE and retry_delay(error) is not None, error
    answer = gateway.post("trace", large)
    assert_error(answer, 503, 14)
    assert int(answer.headers["retry-after"]) >= 1
    answer = gateway.post("trace", gzip.compress(large.SerializeToString()), coding="gzip")
    assert_error(answer, 503, 14)
    gateway.export("trace", spans(1))
    gateway.end(1)


def test_permanent_refusals_must_not_be_retryable(stage):
    gateway = Gateway(stage, "invalid")
    error = gateway.refused("trace", spans(1))
    assert error.code() is grpc.StatusCode.INTERNAL and retry_delay(error) is None, error
    answer = gateway.post("trace", spans(1))
    assert_error(answer, 500, 13)
    assert "retry-after" not in answer.headers
    total = gateway.settle()
    assert total["dropped"] == 2, total
    assert gateway.weir.stop() == 0


def test_the_body_of_every_error_must_be_a_status_in_the_requests_encoding(stage):
    tokens = {"bearertokenauth": '{token: "s3cret"}'}
    gateway = Gateway(stage, extensions=tokens, http_more=", auth: {authenticator: bearertokenauth}, max_request_body_size: 1000")
    good = ["-H", "Authorization: Bearer s3cret"]
    body = spans(1).SerializeToString()
    cases = [
        (400, "/v1/traces", good, b"\xff", {}),
        (401, "/v1/traces", [], body, {}),
        (404, "/v1/other", good, body, {}),
        (405, "/v1/traces", [*good, "-X", "PUT"], body, {}),
        (413, "/v1/traces", good, bytes(2000), {}),
        (415, "/v1/traces", good, body, {"coding": "br"}),
    ]
    for content_type in PROTOBUF, JSON:
        for status, path, arguments, bytes_, more in cases:
            answer = gateway.curl(path, *arguments, body=bytes_, content_type=content_type, **more)
            assert_error(answer, status)
            assert answer.encoding() == content_type, (status, answer.headers)
            if status == 405:
                continue
            fields = [a.split(": ") for a in arguments if ": " in a] + [["content-type", content_type]]
            fields += [["content-encoding", v] for v in more.values()]
            answer = gateway.post_h2(path, [(k.lower(), v) for k, v in fields], bytes_)
            assert_error(answer, status)
            assert answer.encoding() == content_type, (status, answer.headers)
    for content_type in "text/plain", "application/x-www-form-urlencoded", "application/grpc", None:
        arguments = good if content_type else [*good, "-H", "Content-Type:"]
        answer = gateway.curl("/v1/traces", *arguments, body=body, content_type=content_type)
        assert_error(answer, 415)
        assert answer.encoding() == PROTOBUF, answer.headers
    gateway.end(0)


def test_wrong_methods_are_told_the_right_one(stage):
    gateway = Gateway(stage)
    for method in "GET", "PUT", "DELETE", "PATCH", "OPTIONS":
        answer = gateway.curl("/v1/traces", "-X", method)
        assert_error(answer, 405)
        assert answer.headers["allow"] == "POST", answer.headers
    assert gateway.curl("/v1/traces", "--head").status == 405
    gateway.end(0)


def test_unknown_codings_are_told_the_known_ones(stage):
    gateway = Gateway(stage)
    answer = gateway.post("trace", b"", coding="br")
    assert_error(answer, 415)
    assert "gzip" in answer.headers["accept-encoding"] and "zstd" in answer.headers["accept-encoding"]
    answer = gateway.post("trace", b"", coding="gzip, gzip")
    assert_error(answer, 415)
    gateway.end(0)


def test_compression_algorithms_restrict(stage):
    gateway = Gateway(stage, http_more=", compression_algorithms: [gzip]")
    body = spans(1).SerializeToString()
    assert_ok(gateway.post("trace", gzip.compress(body), coding="gzip"))
    assert_error(gateway.post("trace", zlib.compress(body), coding="deflate"), 415)
    assert_error(gateway.post("trace", body), 415)
    gateway.end(1)


def test_unknown_methods_and_unwired_signals_are_unimplemented(stage):
    gateway = Gateway(stage)
    error = gateway.refused("trace", b"", method="/opentelemetry.proto.collector.trace.v1.TraceService/Import")
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED, error
    gateway.end(0)
    ports = weirtest.free_port(), weirtest.free_port()
    weir = stage.weir(f"""
        receivers: {{otlp: {{protocols: {{grpc: {{endpoint: "127.0.0.1:{ports[0]}"}}, http: {{endpoint: "127.0.0.1:{ports[1]}"}}}}}}}}
        exporters: {{file: {{path: "${{env:FOLDER}}/out.json"}}}}
        service: {{telemetry: {{metrics: {{port: "${{env:METRICS_PORT}}"}}}}, pipelines: {{logs: {{receivers: [otlp], exporters: [file]}}}}}}
    """)
    gateway.weir, gateway.grpc, gateway.http, gateway.channels = weir, f"127.0.0.1:{ports[0]}", f"127.0.0.1:{ports[1]}", {}
    error = gateway.refused("trace", spans(1))
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED and "no pipeline" in error.details(), error
    assert "no pipeline" in assert_error(gateway.post("metrics", b""), 404).message
    gateway.export("logs", requests()["logs"])
    assert weir.stop() == 0
    with open(stage.path("out.json"), encoding="utf-8") as f:
        assert f.read().count('"stringValue"') == 3


# ---- JSON (encoding rules of the specification)


def json_arrives(gateway, text, name="trace"):
    before = len(gateway.judge.received)
    answer = gateway.post(name, text if isinstance(text, bytes) else text.encode(), JSON)
    assert_ok(answer, name)
    weirtest.wait_for(lambda: len(gateway.judge.received) > before, what="it arrives")
    return gateway.judge.received[-1]["message"]


def test_json_must_be_lower_camel_case_with_ids_in_hex_of_either_case(stage):
    gateway = Gateway(stage)
    span = json_arrives(gateway, """{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"5B8EFFF798038103d269b633813fc60c",
        "spanId":"eee19b7ec3c1b174","parentSpanId":"EEE19b7ec3c1b173","trace_state":"not this","name":"n"}]}]}]}
        """).resource_spans[0].scope_spans[0].spans[0]
    assert span.trace_id.hex() == "5b8efff798038103d269b633813fc60c" and span.span_id.hex() == "eee19b7ec3c1b174"
    assert span.parent_span_id.hex() == "eee19b7ec3c1b173" and span.name == "n" and span.trace_state == ""
    gateway.end(1)


def test_json_enums_must_be_integers(stage):
    gateway = Gateway(stage)
    text = '{"resourceSpans":[{"scopeSpans":[{"spans":[{"kind":%s}]}]}]}'
    assert json_arrives(gateway, text % 2).resource_spans[0].scope_spans[0].spans[0].kind == 2
    assert_error(gateway.post("trace", (text % '"SPAN_KIND_SERVER"').encode(), JSON), 400, 3)
    gateway.end(1)


def test_json_64_bit_integers_are_strings_or_numbers(stage):
    gateway = Gateway(stage)
    text = '{"resourceSpans":[{"scopeSpans":[{"spans":[{"startTimeUnixNano":%s,"endTimeUnixNano":%s}]}]}]}'
    span = json_arrives(gateway, text % ('"1544712660300000001"', "1544712661300000003")).resource_spans[0].scope_spans[0].spans[0]
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (1544712660300000001, 1544712661300000003)
    gateway.end(1)


def test_json_unknown_fields_must_be_ignored(stage):
    gateway = Gateway(stage)
    message = json_arrives(gateway, '{"later":{"a":[1,{"b":null}]},"resourceLogs":[{"scopeLogs":[{"logRecords":[{"more":"x",'
                                    '"body":{"stringValue":"s"}}],"y":true}],"z":1e400}]}', "logs")
    assert message.resource_logs[0].scope_logs[0].log_records[0].body.string_value == "s"
    gateway.end(1)


# ---- what goes with a request


def test_a_client_that_does_not_wait_is_no_loss(stage):
    gateway = Gateway(stage, "slow:1")
    error = gateway.refused("trace", spans(4), timeout=0.3)
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED, error
    weirtest.wait_for(lambda: gateway.judge.items() == 4, what="what was complete goes on")
    weirtest.wait_for(lambda: gateway.weir.figure("weir_receiver_requests", code="gone") == 1)
    gateway.end(4)


def test_many_requests_at_once_share_one_connection(stage):
    gateway = Gateway(stage)
    channel = gateway.channel()
    path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
    call = channel.unary_unary(path, request_serializer=lambda r: r, response_deserializer=lambda r: r)
    body = spans(10).SerializeToString()
    futures = [call.future(body, timeout=20) for _ in range(500)]
    assert all(f.result() == b"" for f in futures)
    assert gateway.weir.figure("weir_receiver_connections_accepted", transport="grpc") == 1
    gateway.end(5000)


def test_requests_are_answered_at_shutdown(stage):
    gateway = Gateway(stage, "slow:1")
    channel = gateway.channel()
    call = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export",
                               request_serializer=lambda r: r, response_deserializer=lambda r: r)
    future = call.future(spans(3).SerializeToString(), timeout=20)
    answers = []
    thread = threading.Thread(target=lambda: answers.append(gateway.post("trace", spans(2))))
    thread.start()
    weirtest.wait_for(lambda: gateway.weir.figure("weir_pipeline_in_flight_items") == 5)
    assert gateway.weir.stop() == 0
    thread.join()
    assert future.result() == b"" and answers[0].status == 200
    assert gateway.judge.items() == 5


def test_requests_beyond_the_deadline_of_a_shutdown_are_retryable(stage):
    gateway = Gateway(stage, "slow:30")
    codes = []

    def call():
        codes.append(gateway.refused("trace", spans(3), timeout=25).code())

    thread = threading.Thread(target=call)
    thread.start()
    weirtest.wait_for(lambda: gateway.weir.figure("weir_pipeline_in_flight_items") == 3)
    begun = time.monotonic()
    assert gateway.weir.stop() == 0
    assert time.monotonic() - begun < 10
    thread.join()
    assert codes == [grpc.StatusCode.UNAVAILABLE], codes
    gateway.judge.behaviour = "ok"


def test_slow_clients_do_not_take_the_time_in_which_queues_are_emptied(stage):
    """One that sends slowly is told to come again, one that does not read its answer is left."""
    gateway = Gateway(stage)
    host, port = gateway.http.rsplit(":", 1)
    address = (host, int(port))
    head = (f"POST /v1/traces HTTP/1.1\r\nHost: {host}\r\nContent-Type: {PROTOBUF}\r\nContent-Length: 1000\r\n\r\n").encode()
    slow = stage.keep(s := socket.create_connection(address, timeout=20), s.close)
    slow.sendall(head + bytes(10))
    reader = stage.keep(s := socket.create_connection(address, timeout=20), s.close)
    h2 = h2_connection.H2Connection(h2_config.H2Configuration(header_encoding="utf-8"))
    h2.local_settings[h2_settings.SettingCodes.INITIAL_WINDOW_SIZE] = 0  # no room for a body
    h2.initiate_connection()
    h2.send_headers(1, [(":method", "POST"), (":path", "/v1/traces"), (":scheme", "http"), (":authority", host),
                        ("content-type", JSON)], end_stream=False)
    h2.send_data(1, b"{}", end_stream=True)
    reader.sendall(h2.data_to_send())
    weirtest.wait_for(lambda: gateway.weir.figure("weir_receiver_requests", transport="http", code="200") == 1)
    begun = time.monotonic()
    assert gateway.weir.stop() == 0, gateway.weir.stderr()
    assert time.monotonic() - begun < 3  # of 5 s that it has
    answer = slow.recv(65536)
    assert answer.startswith(b"HTTP/1.1 503 ") and b"\r\nretry-after: " in answer.lower(), answer
    assert b"shutting down" in answer


if __name__ == "__main__":
    weirtest.main(at_once=3)
