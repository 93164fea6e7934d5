#!/usr/bin/python3
"""How clients come in to the otlp receiver: TLS and its reload, client certificates, authenticators, Unix sockets, browsers of
other origins, connections that have become too old; and what an operator is told about it."""
import base64
import concurrent.futures
import hashlib
import os
import shutil
import signal
import socket
import ssl
import sys
import threading

import weirtest

try:
    import grpc
    from otlp_gateway import JSON, PROTOBUF, Gateway, requests, retry_delay, spans
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(weirtest.SKIPPED)


def certificates(stage):
    folder = stage.certificates()
    return lambda name: os.path.join(folder, name)


def read(path):
    with open(path, "rb") as f:
        return f.read()


def tls_gateway(stage, more="", **rest):
    at = certificates(stage)
    tls = f', tls: {{cert_file: {at("server.pem")}, key_file: {at("server.key")}{more}}}'
    ports = weirtest.free_port(), weirtest.free_port()
    gateway = Gateway(stage, grpc_at=f"localhost:{ports[0]}", http_at=f"localhost:{ports[1]}", grpc_more=tls, http_more=tls,
                      **rest)
    return gateway, at


def credentials(at, client=None):
    pair = (read(at(f"{client}.key")), read(at(f"{client}.pem"))) if client else (None, None)
    return grpc.ssl_channel_credentials(read(at("ca.pem")), *pair)


def post_tls(gateway, at, *arguments, version="1.1"):
    return gateway.curl("/v1/traces", "--cacert", at("ca.pem"), *arguments, body=spans(1).SerializeToString(), scheme="https",
                        version=version)


def status_of(call):
    """0: the connection failed."""
    try:
        return call().status
    except AssertionError:
        return 0


def test_tls_over_grpc_and_both_versions_of_http(stage):
    gateway, at = tls_gateway(stage)
    gateway.export("trace", spans(2), channel=gateway.channel(credentials(at)))
    for version in "1.1", "2":
        assert post_tls(gateway, at, version=version).status == 200
    assert status_of(lambda: post_tls(gateway, at, "--tls-max", "1.1")) == 0
    assert status_of(lambda: gateway.post("trace", spans(1))) == 0  # plain HTTP to a TLS port
    expiry = gateway.weir.figure("weir_receiver_tls_certificate_expiry_seconds", transport="grpc")
    assert expiry > 1.7e9, expiry
    gateway.end(4)


def test_clients_must_show_a_certificate(stage):
    gateway, at = tls_gateway(stage, f", client_ca_file: {stage.path('tls/ca.pem')}")
    gateway.export("trace", spans(2), channel=gateway.channel(credentials(at, "client")))
    for stranger in None, "stranger":
        error = gateway.refused("trace", spans(1), channel=gateway.channel(credentials(at, stranger)), timeout=5)
        assert error.code() is grpc.StatusCode.UNAVAILABLE, error
    shown = ["--cert", at("client.pem"), "--key", at("client.key")]
    assert post_tls(gateway, at, *shown).status == 200
    assert status_of(lambda: post_tls(gateway, at)) == 0
    assert gateway.weir.figure("weir_receiver_limit_struck", limit="handshake") >= 2
    gateway.end(3)


def served_serial(gateway):
    host, port = gateway.http.rsplit(":", 1)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((host, int(port)), timeout=10) as s, context.wrap_socket(s) as t:
        return t.getpeercert(binary_form=True)


def test_a_new_certificate_is_taken_up_and_a_bad_one_is_not(stage):
    gateway, at = tls_gateway(stage, ", reload_interval: 100ms")
    old = served_serial(gateway)
    channel = gateway.channel(credentials(at))
    gateway.export("trace", spans(1), channel=channel)
    with open(at("server.pem"), "w", encoding="ascii") as f:
        f.write("nonsense")
    weirtest.wait_for(lambda: served_serial(gateway) == old and "server.pem" in gateway.weir.stderr(), what="the log says so")
    shutil.copy(at("address.key"), at("server.key"))
    shutil.copy(at("address.pem"), at("server.pem"))
    weirtest.wait_for(lambda: served_serial(gateway) != old, what="the new certificate is served")
    gateway.export("trace", spans(1), channel=channel)  # old connections go on
    assert gateway.weir.figure("weir_receiver_connections_accepted", transport="grpc") == 1
    gateway.end(2)


def test_a_bearer_token_is_asked_for(stage):
    gateway = Gateway(stage, extensions={"bearertokenauth": '{tokens: [alpha, beta]}'},
                      grpc_more=", auth: {authenticator: bearertokenauth}", http_more=", auth: {authenticator: bearertokenauth}")
    for token in "alpha", "beta":
        gateway.export("trace", spans(1), metadata=(("authorization", f"Bearer {token}"),))
        assert gateway.curl("/v1/traces", "-H", f"Authorization: Bearer {token}", body=spans(1).SerializeToString()).status == 200
    for value in None, "Bearer alph", "Bearer alphaa", "Basic alpha", "alpha", "Bearer", "Bearer gamma":
        metadata = (("authorization", value),) if value else ()
        error = gateway.refused("trace", spans(1), metadata=metadata)
        assert error.code() is grpc.StatusCode.UNAUTHENTICATED and retry_delay(error) is None, error
        answer = gateway.curl("/v1/traces", *(["-H", f"Authorization: {value}"] if value else []),
                              body=spans(1).SerializeToString())
        assert answer.status == 401 and answer.rpc_status().code == 16, answer.body
        assert answer.headers["www-authenticate"].startswith("Bearer"), answer.headers
    log = gateway.weir.stderr()
    assert "alph" not in log and "gamma" not in log, log
    gateway.end(4)


def test_a_request_is_refused_at_its_head(stage):
    """Nothing of a body is read for somebody who may not come in."""
    gateway = Gateway(stage, extensions={"bearertokenauth": '{token: alpha}'},
                      http_more=", auth: {authenticator: bearertokenauth}")
    host, port = gateway.http.split(":")
    with socket.create_connection((host, int(port)), timeout=10) as s:
        s.sendall(b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 60000000\r\n\r\n")
        assert s.recv(100).startswith(b"HTTP/1.1 401 ")
    answer = gateway.post_h2("/v1/traces", [("content-type", JSON)], bytes(60 << 20))
    assert answer.status == 401 and answer.encoding() == JSON
    gateway.end(0)


def test_basic_authentication_is_asked_for(stage):
    hashed = base64.b64encode(hashlib.sha1(b"secret").digest()).decode()
    gateway = Gateway(stage, extensions={"basicauth": '{htpasswd: {inline: "user:{SHA}%s"}}' % hashed},
                      grpc_more=", auth: {authenticator: basicauth}", http_more=", auth: {authenticator: basicauth}")
    good = "Basic " + base64.b64encode(b"user:secret").decode()
    gateway.export("trace", spans(1), metadata=(("authorization", good),))
    assert gateway.curl("/v1/traces", "-u", "user:secret", body=spans(1).SerializeToString()).status == 200
    answer = gateway.curl("/v1/traces", "-u", "user:wrong", body=spans(1).SerializeToString())
    assert answer.status == 401 and answer.headers["www-authenticate"].startswith("Basic"), answer.headers
    assert gateway.refused("trace", spans(1)).code() is grpc.StatusCode.UNAUTHENTICATED
    gateway.end(2)


def test_a_token_may_come_as_a_query_parameter(stage):
    gateway = Gateway(stage, extensions={"bearertokenauth": '{token: alpha, scheme: "", header: token}'},
                      http_more=", auth: {authenticator: bearertokenauth, request_params: [token]}")
    body = spans(1).SerializeToString()
    assert gateway.curl("/v1/traces?x=1&token=alpha", body=body).status == 200
    assert gateway.curl("/v1/traces?token=alph", body=body).status == 401
    assert gateway.curl("/v1/traces?tokens=alpha", body=body).status == 401
    gateway.end(1)


def test_unix_sockets(stage):
    paths = stage.path("grpc.sock"), stage.path("http.sock")
    gateway = Gateway(stage, grpc_at=f"unix://{paths[0]}", http_at=f"unix://{paths[1]}")
    for name, request in requests().items():
        gateway.export(name, request)
        assert gateway.post(name, request).status == 200
    assert "for everybody" not in gateway.weir.stderr()
    gateway.end(18)
    assert not any(os.path.exists(p) for p in paths)


def test_a_unix_socket_that_was_left_behind_is_replaced(stage):
    path = stage.path("http.sock")
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(path)
    gateway = Gateway(stage, http_at=f"unix://{path}")
    assert gateway.post("trace", spans(1)).status == 200
    gateway.end(1)


def test_transport_unix_takes_a_path(stage):
    path = stage.path("grpc.sock")
    gateway = Gateway(stage, grpc_at=path, grpc_more=", transport: unix")
    gateway.grpc = f"unix://{path}"
    gateway.export("trace", spans(1))
    gateway.end(1)


def test_ipv4_and_ipv6(stage):
    port = weirtest.free_port()
    gateway = Gateway(stage, grpc_at=f":{port}", grpc_more=", transport: tcp6")
    gateway.grpc = f"[::1]:{port}"
    gateway.export("trace", spans(1))
    gateway.end(1)


def test_listening_for_everybody_draws_a_warning(stage):
    gateway = Gateway(stage, http_at=f"0.0.0.0:{weirtest.free_port()}")
    log = gateway.weir.stderr()
    assert log.count("listens on 0.0.0.0:") == 1 and "without TLS and without authentication" in log, log
    assert log.count("for everybody who reaches this machine") == 1, log
    gateway.end(0)


def test_a_port_in_use_ends_the_start(stage):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        gateway = Gateway(stage, http_at=f"127.0.0.1:{port}", ready=False)
        assert gateway.weir.wait() != 0
        log = gateway.weir.stderr()
        assert f"protocols::http: listen on 127.0.0.1:{port}" in log and "address already in use" in log, log


def test_browsers_of_other_origins(stage):
    gateway = Gateway(stage, http_more=', cors: {allowed_origins: ["https://*.example.com"], allowed_headers: [x-tenant], '
                                       'exposed_headers: [x-served-by], max_age: 600}, response_headers: {X-Served-By: weir}')
    ask = ["-X", "OPTIONS", "-H", "Access-Control-Request-Method: POST"]
    for version in "1.1", "2":
        answer = gateway.curl("/v1/traces", *ask, "-H", "Origin: https://shop.example.com", "-H",
                              "Access-Control-Request-Headers: content-type,x-tenant", version=version)
        assert answer.status == 204 and answer.body == b""
        assert answer.headers["access-control-allow-origin"] == "https://shop.example.com", answer.headers
        assert answer.headers["access-control-allow-credentials"] == "true"
        assert answer.headers["access-control-allow-methods"] == "POST"
        assert answer.headers["access-control-allow-headers"] == "content-type,x-tenant"
        assert answer.headers["access-control-max-age"] == "600"
        assert "Origin" in answer.headers["vary"]
    for origin, header in (("https://example.com.evil", "content-type"), ("https://shop.example.com", "x-other")):
        answer = gateway.curl("/v1/traces", *ask, "-H", f"Origin: {origin}", "-H", f"Access-Control-Request-Headers: {header}")
        assert answer.status == 204 and "access-control-allow-origin" not in answer.headers, answer.headers
    for body, status in ((spans(1).SerializeToString(), 200), (b"\xff", 400)):
        answer = gateway.curl("/v1/traces", "-H", "Origin: https://shop.example.com", body=body)
        assert answer.status == status
        assert answer.headers["access-control-allow-origin"] == "https://shop.example.com", answer.headers
        assert answer.headers["access-control-expose-headers"] == "x-served-by"
        assert answer.headers["vary"] == "Origin" and answer.headers["x-served-by"] == "weir"
    answer = gateway.curl("/v1/traces", body=b"")
    assert "access-control-allow-origin" not in answer.headers and answer.headers["vary"] == "Origin"
    gateway.end(1)


def test_urls_can_be_chosen(stage):
    gateway = Gateway(stage, http_more=", traces_url_path: /in/spans")
    assert gateway.curl("/in/spans?x=y", body=spans(1).SerializeToString()).status == 200
    assert gateway.curl("/v1/traces", body=spans(1).SerializeToString()).status == 404
    gateway.end(1)


def test_old_connections_are_told_to_go_and_nothing_is_lost(stage):
    age = "max_connection_age: 300ms"
    gateway = Gateway(stage, grpc_more=f", keepalive: {{server_parameters: {{{age}}}}}", http_more=f", {age}")
    channel, sent = gateway.channel(), 0
    while gateway.weir.figure("weir_receiver_connections_accepted", transport="grpc") < 4:
        gateway.export("trace", spans(1), channel=channel)
        sent += 1
    assert gateway.weir.figure("weir_receiver_limit_struck", transport="grpc", limit="age") >= 3
    gateway.end(sent)


def test_keep_alives_can_be_off(stage):
    gateway = Gateway(stage, http_more=", keep_alives_enabled: false")
    answer = gateway.post("trace", spans(1))
    assert answer.status == 200 and answer.headers["connection"].lower() == "close", answer.headers
    gateway.end(1)


def test_metadata_keeps_clients_apart(stage):
    gateway = Gateway(stage, grpc_more=", include_metadata: true", http_more=", include_metadata: true",
                      processors={"batch": "{timeout: 300ms, metadata_keys: [x-tenant]}"})
    channel = gateway.channel()
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(gateway.export, "trace", spans(1), channel=channel, metadata=(("x-tenant", t),))
                 for t in ("a", "b") for _ in range(4)]
        assert all(c.result() is not None for c in calls)
    weirtest.wait_for(lambda: gateway.judge.items() == 8)
    assert all(r["items"] <= 4 for r in gateway.judge.received), [r["items"] for r in gateway.judge.received]
    gateway.end(8)


def test_what_was_answered_before_a_shutdown_has_arrived(stage):
    gateway = Gateway(stage)
    stop, sent, failed = threading.Event(), [0], []
    channel = gateway.channel()

    def load():
        while not stop.is_set():
            try:
                gateway.export("trace", spans(1), channel=channel)
                sent[0] += 1
            except grpc.RpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    failed.append(error)

    thread = threading.Thread(target=load)
    thread.start()
    try:
        weirtest.wait_for(lambda: sent[0] > 50)
        gateway.weir.signal(signal.SIGTERM)
        assert gateway.weir.wait() == 0
    finally:
        stop.set()
        thread.join()
    assert not failed, failed
    assert gateway.judge.items() >= sent[0]
    gateway.weir.check_sanitizers()


if __name__ == "__main__":
    weirtest.main()
