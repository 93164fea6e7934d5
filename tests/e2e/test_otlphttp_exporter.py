#!/usr/bin/python3
"""The otlphttp exporter of the real program against backends that are away, busy, broken or picky, through proxies and TLS.
What weir says it sent is held against what arrived, and at every reading: received = sent + dropped + refused + queued.
The client's duties of the OTLP specification that need no program around them are in exporters/otlphttp/test_otlphttp.c."""
import glob
import os
import socket
import sys
import threading
import time

import weirtest
from account import Account, nothing_lost, wait_for_account

try:
    import judge
    import judge_http
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(weirtest.SKIPPED)


CONFIG = """
    receivers:
      self: {{collection_interval: {interval}}}
    {extensions}
    exporters:
      otlphttp:
        endpoint: "{endpoint}"
        compression: {compression}
        timeout: {timeout}
        retry_on_failure: {{initial_interval: 100ms, max_interval: 500ms}}
        sending_queue: {{batch: {{flush_timeout: 50ms}}}}
        {more}
    service:
      {service}
      shutdown_timeout: 5s
      telemetry: {{metrics: {{port: "${{env:METRICS_PORT}}"}}}}
      pipelines:
        metrics: {{receivers: [self], exporters: [otlphttp]}}
"""


def start_judge(stage, behaviour="ok", port=None, context=None):
    return stage.server(judge_http.JudgeHttp(behaviour, f"127.0.0.1:{port or weirtest.free_port()}", context=context))


def start_weir(stage, endpoint, more="", compression="gzip", interval="200ms", timeout="3s", extensions="", service="",
               env=None):
    if isinstance(endpoint, int):
        endpoint = f"http://127.0.0.1:{endpoint}"
    return stage.weir(CONFIG.format(endpoint=endpoint, compression=compression, interval=interval, timeout=timeout,
                                    more=more, extensions=extensions, service=service), env=env)


def start_nginx(stage, http):
    """nginx with that in its http block."""
    weirtest.need_programs("nginx")
    folder = stage.path(f"nginx-{len(os.listdir(stage.folder))}")
    os.makedirs(folder)
    os.chmod(stage.folder, 0o755)
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in
                        ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    path = os.path.join(folder, "nginx.conf")
    with open(path, "w", encoding="utf-8") as f:
        f.write(f"""
            daemon off; pid {folder}/pid; error_log stderr; worker_processes 1;
            {"user root;" if os.geteuid() == 0 else ""}
            events {{ worker_connections 256; }}
            http {{
              log_format seen '$server_protocol $request $status'; access_log {folder}/access seen; {temporary}
              client_max_body_size 64m;
              {http}
            }}
        """)
    process = stage.process("nginx", "-e", "stderr", "-p", folder, "-c", path)
    weirtest.wait_for(lambda: glob.glob(f"{folder}/pid") or not process.is_running(), what="nginx runs")
    process.access = lambda: open(f"{folder}/access", encoding="utf-8").read()
    stage.keep(process, lambda: process.is_running() and process.signal(15))
    return process


def delivers(stage, more="", compression="gzip"):
    server = start_judge(stage)
    weir = start_weir(stage, server.port, more, compression)
    wait_for_account(weir, lambda a: a.sent > 0, "something was sent")
    nothing_lost(weir, server)
    headers = server.received[0]["headers"]
    assert headers["user-agent"].startswith("weir/"), headers
    assert server.received[0]["path"] == "/v1/metrics"
    return headers


def test_delivers_protobuf_and_json_in_every_coding(stage):
    for coding in "none", "gzip", "zstd", "snappy", "lz4", "deflate":
        headers = delivers(stage, compression=coding)
        assert headers["content-type"] == "application/x-protobuf"
        assert headers.get("content-encoding") == (None if coding == "none" else coding), headers
    assert delivers(stage, "encoding: json")["content-type"] == "application/json"


def test_uses_a_signals_own_endpoint_as_it_is_written(stage):
    server = start_judge(stage)
    weir = start_weir(stage, server.port, f"""metrics_endpoint: "http://127.0.0.1:{server.port}/otlp/v1/metrics?tenant=7"
""")
    wait_for_account(weir, lambda a: a.sent > 0, "something was sent")
    assert weir.stop() == 0
    assert {r["path"] for r in server.received} == {"/otlp/v1/metrics?tenant=7"}


# ---- reference, collector.md, section 3.2: the client's duties


def test_retry_backs_off_with_jitter_and_loses_nothing_to_a_flaky_backend(stage):
    server = start_judge(stage, "flaky:0.7")
    weir = start_weir(stage, server.port)
    wait_for_account(weir, lambda a: a.retries > 5 and a.sent > 50, "some of it arrived")
    server.behaviour = "ok"
    wait_for_account(weir, lambda a: a.queued < 50, "the queue is empty again")
    nothing_lost(weir, server)


def test_retry_after_is_obeyed(stage):
    for value in "2", "date+3":  # dates have whole seconds: this one is at least 2 s away
        server = start_judge(stage, f"fail-first:3:429:{value}")
        weir = start_weir(stage, server.port)
        start = time.monotonic()
        wait_for_account(weir, lambda a: a.retries >= 3 and a.queued < 50, "the refused requests were repeated")
        assert time.monotonic() - start > 1.5
        nothing_lost(weir, server)


def test_a_connection_lost_without_an_answer_is_retried(stage):
    server = start_judge(stage, "close-first:3")
    weir = start_weir(stage, server.port)
    account = wait_for_account(weir, lambda a: a.sent > 50 and a.queued < 50, "everything arrives after all")
    assert account.retries >= 1, vars(account)
    assert " lost: " in weir.stderr()
    nothing_lost(weir, server)


def test_partial_success_is_counted_and_never_resent(stage):
    server = start_judge(stage, "partial:2:two were bad")
    weir = start_weir(stage, server.port)
    account = wait_for_account(weir, lambda a: a.rejected >= 4, "items were rejected")
    assert account.retries == 0
    assert "rejected 2 of" in weir.stderr() and "two were bad" in weir.stderr()
    assert f"127.0.0.1:{server.port} rejected" in weir.stderr()
    assert weir.stop() == 0
    assert server.calls == server.accepted  # every request was another one: none was refused, none repeated


def test_final_errors_drop_and_count(stage):
    server = start_judge(stage, "status:400")
    weir = start_weir(stage, server.port)
    account = wait_for_account(weir, lambda a: a.permanent > 0, "items were refused")
    assert account.retries == 0 and account.sent == 0
    assert "answered HTTP status 400: no such thing" in weir.stderr()
    weir.stop()


def test_an_answer_above_4_mib_is_final_and_takes_no_memory(stage):
    for behaviour in "huge:500000000", "bomb", "headers":
        server = start_judge(stage, behaviour)
        weir = start_weir(stage, server.port)
        account = wait_for_account(weir, lambda a: a.permanent > 0, "items were refused")
        assert account.retries == 0, vars(account)
        assert "is larger than the limit of" in weir.stderr() or "more than" in weir.stderr(), weir.stderr()
        weir.stop()


def wait_with_traffic(weir, condition, what):
    """Each question reads weir's figures, which is a connection: there is always something to report, also where nobody else
    talks."""
    weirtest.wait_for(lambda: weir.metrics() and condition(), what=what)


def test_several_requests_are_in_flight(stage):
    server = start_judge(stage, "slow:1")
    weir = start_weir(stage, server.port, "", interval="100ms")
    wait_with_traffic(weir, lambda: server.connections >= 5, "five connections at once")
    server.behaviour = "ok"
    weir.stop()


def test_shutdown_waits_for_outstanding_answers(stage):
    server = start_judge(stage, "slow:1")
    weir = start_weir(stage, server.port)
    wait_with_traffic(weir, lambda: server.calls > 0, "a request is under way")
    nothing_lost(weir, server)


def test_several_destinations_have_their_own_queues(stage):
    good, stuck = start_judge(stage), start_judge(stage, "slow:30")
    weir = stage.weir(f"""
        receivers: {{self: {{collection_interval: 200ms}}}}
        exporters:
          otlphttp/good: {{endpoint: "http://127.0.0.1:{good.port}"}}
          otlphttp/stuck: {{endpoint: "http://127.0.0.1:{stuck.port}", timeout: 20s, sending_queue: {{queue_size: 2}}}}
        service:
          shutdown_timeout: 1s
          telemetry: {{metrics: {{port: "${{env:METRICS_PORT}}"}}}}
          pipelines:
            metrics: {{receivers: [self], exporters: [otlphttp/good, otlphttp/stuck]}}
    """)
    weirtest.wait_for(lambda: weir.figure("weir_exporter_sent_items", exporter="otlphttp/good") > 200 and weir.figure(
        "weir_exporter_refused_items", exporter="otlphttp/stuck") > 0, what="one goes on while the other is full")
    weir.stop()


# ---- faults


def test_loses_nothing_while_the_backend_is_away(stage):
    port = weirtest.free_port()
    weir = start_weir(stage, port)
    wait_for_account(weir, lambda a: a.queued > 50 and a.retries > 3, "items wait for the backend")
    assert f"cannot connect to 127.0.0.1:{port}" in weir.stderr() and "Connection refused" in weir.stderr()
    server = start_judge(stage, port=port)
    wait_for_account(weir, lambda a: a.sent > 0 and a.queued < 50, "the queue is empty again")
    nothing_lost(weir, server)


def test_loses_nothing_when_the_backend_is_restarted(stage):
    server = start_judge(stage)
    weir = start_weir(stage, server.port)
    wait_for_account(weir, lambda a: a.sent > 0, "something was sent")
    server.stop()
    before = server.items()
    wait_for_account(weir, lambda a: a.queued > 50, "items wait for the backend")
    again = start_judge(stage, port=server.port)
    wait_for_account(weir, lambda a: a.sent > before + 50 and a.queued < 50, "the queue is empty again")
    account = Account(weir)
    assert weir.stop() == 0
    assert account.dropped == 0, vars(account)
    assert before + again.items() >= account.received


def test_gives_up_a_backend_that_accepts_and_reads_nothing(stage):
    listener = socket.create_server(("127.0.0.1", 0))
    weir = start_weir(stage, listener.getsockname()[1], timeout="500ms")
    account = wait_for_account(weir, lambda a: a.retries > 3, "attempts ran into their time-out")
    assert account.dropped == 0, vars(account)
    assert "did not answer in time" in weir.stderr()
    listener.close()
    weir.stop()


def test_keeps_the_loop_going_while_a_name_is_not_found(stage):
    weir = start_weir(stage, "http://nowhere.invalid:4318", timeout="1s")
    wait_for_account(weir, lambda a: a.retries > 2, "the name was looked for several times")
    assert "cannot connect to nowhere.invalid:4318: " in weir.stderr() or "no connection to nowhere.invalid:4318" in weir.stderr()
    start = time.monotonic()
    weir.metrics()
    assert time.monotonic() - start < 1
    weir.stop()


# ---- proxies and TLS


def test_goes_through_a_proxy(stage):
    weirtest.need_programs("nginx")
    server, port = start_judge(stage), weirtest.free_port()
    nginx = start_nginx(stage, f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://$http_host$request_uri; }} }}")
    proxy = f"http://127.0.0.1:{port}"
    ways = [(f"proxy_url: {proxy}", {}), ("", {"http_proxy": proxy})]
    for more, env in ways:
        before = len(nginx.access().splitlines())
        weir = start_weir(stage, server.port, more, env=env)
        wait_for_account(weir, lambda a: a.sent > 0, "something was sent")
        assert weir.stop() == 0
        lines = nginx.access().splitlines()[before:]
        assert lines and f"POST http://127.0.0.1:{server.port}/v1/metrics HTTP/1.1 200" in lines[0], lines
    before = len(nginx.access().splitlines())
    weir = start_weir(stage, server.port, env={"http_proxy": proxy, "no_proxy": "127.0.0.1"})
    wait_for_account(weir, lambda a: a.sent > 0, "something was sent")
    assert weir.stop() == 0
    assert len(nginx.access().splitlines()) == before


def connect_proxy(seen):
    """A proxy that knows CONNECT only; its port."""
    listener = socket.create_server(("127.0.0.1", 0))

    def copy(source, to):
        try:
            while data := source.recv(65536):
                to.sendall(data)
            to.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def one(client):
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.recv(65536)
        seen.append(head.decode())
        host, port = head.split()[1].decode().rsplit(":", 1)
        server = socket.create_connection((host, int(port)))
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        threading.Thread(target=copy, args=(server, client), daemon=True).start()
        copy(client, server)

    def serve():
        while True:
            threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    return listener.getsockname()[1]


def test_speaks_tls_through_a_proxy_and_shows_its_certificate(stage):
    folder, seen = stage.certificates(), []
    server = start_judge(stage, context=judge_http.server_context(f"{folder}/server.pem", f"{folder}/server.key",
                                                                  f"{folder}/ca.pem"))
    weir = start_weir(stage, f"https://localhost:{server.port}", f"""proxy_url: http://user:secret@127.0.0.1:{connect_proxy(seen)}
        tls: {{ca_file: {folder}/ca.pem, cert_file: {folder}/client.pem, key_file: {folder}/client.key}}""")
    wait_for_account(weir, lambda a: a.sent > 0, "something was sent")
    nothing_lost(weir, server)
    assert seen and seen[0].startswith(f"CONNECT localhost:{server.port} "), seen
    assert "secret" not in weir.stderr()


def test_speaks_http_2_over_tls(stage):
    weirtest.need_programs("nginx")
    folder, server, port = stage.certificates(), start_judge(stage), weirtest.free_port()
    nginx = start_nginx(stage, f"""server {{
        listen 127.0.0.1:{port} ssl http2; ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.key;
        location / {{ proxy_pass http://127.0.0.1:{server.port}; }}
    }}""")
    for http2, protocol in ("true", "HTTP/2.0"), ("false", "HTTP/1.1"):
        before = len(nginx.access().splitlines())
        weir = start_weir(stage, f"https://localhost:{port}", f"""force_attempt_http2: {http2}
        tls: {{ca_file: {folder}/ca.pem}}""")
        wait_for_account(weir, lambda a: a.sent > 100, "something was sent")
        nothing_lost(weir, server)
        lines = nginx.access().splitlines()[before:]
        assert lines and all(line.startswith(protocol) for line in lines), lines


def test_loses_nothing_when_http_2_connections_are_ended(stage):
    weirtest.need_programs("nginx")
    folder, server, port = stage.certificates(), start_judge(stage), weirtest.free_port()
    start_nginx(stage, f"""server {{
        listen 127.0.0.1:{port} ssl http2; ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.key;
        keepalive_requests 3;
        location / {{ proxy_pass http://127.0.0.1:{server.port}; }}
    }}""")
    weir = start_weir(stage, f"https://localhost:{port}", f"tls: {{ca_file: {folder}/ca.pem}}", interval="100ms")
    wait_for_account(weir, lambda a: server.accepted > 20, "some connections have been used up")
    nothing_lost(weir, server)


def test_a_request_that_is_too_large_for_the_backend_is_final(stage):
    weirtest.need_programs("nginx")
    folder, port = stage.certificates(), weirtest.free_port()
    start_nginx(stage, f"""server {{
        listen 127.0.0.1:{port} ssl http2; ssl_certificate {folder}/server.pem; ssl_certificate_key {folder}/server.key;
        client_max_body_size 1k; location / {{ return 200; }}
    }}""")
    for http2 in "true", "false":
        weir = start_weir(stage, f"https://localhost:{port}", f"""force_attempt_http2: {http2}
        tls: {{ca_file: {folder}/ca.pem}}""", compression="none")
        wait_for_account(weir, lambda a: a.permanent > 0, "items were refused")
        assert "answered HTTP status 413" in weir.stderr()
        assert weir.stop() == 0


def test_names_what_is_wrong_with_a_certificate_and_goes_on_when_it_is_right(stage):
    folder, port = stage.certificates(), weirtest.free_port()
    bad = start_judge(stage, port=port, context=judge_http.server_context(f"{folder}/expired.pem", f"{folder}/expired.key"))
    weir = start_weir(stage, f"https://localhost:{port}", f"tls: {{ca_file: {folder}/ca.pem}}")
    said = f"certificate of localhost:{port} is not trusted: certificate has expired"
    wait_with_traffic(weir, lambda: said in weir.stderr(), "the reason is logged")
    bad.stop()
    server = start_judge(stage, port=port, context=judge_http.server_context(f"{folder}/server.pem", f"{folder}/server.key"))
    wait_for_account(weir, lambda a: a.sent > 0, "something was sent")
    nothing_lost(weir, server)


# ---- who sends


def test_shows_a_token_and_a_new_one_without_a_restart(stage):
    server, path = start_judge(stage), stage.path("token")
    weirtest.replace_file(path, "first-secret\n")
    weir = start_weir(stage, server.port, "auth: {authenticator: bearertokenauth}",
                      extensions=f"extensions: {{bearertokenauth: {{filename: {path}}}}}",
                      service="extensions: [bearertokenauth]")
    wait_for_account(weir, lambda a: a.sent > 0, "something was sent")
    weirtest.replace_file(path, "second-secret\n")
    weirtest.wait_for(lambda: weir.metrics() and server.received[-1]["headers"]["authorization"] == "Bearer second-secret",
                      what="the new token is shown")
    assert server.received[0]["headers"]["authorization"] == "Bearer first-secret"
    nothing_lost(weir, server)
    assert "secret" not in weir.stderr()


def test_never_logs_a_header(stage):
    server = start_judge(stage, "status:401")
    weir = start_weir(stage, server.port, "headers: {authorization: Bearer secret}")
    wait_for_account(weir, lambda a: a.permanent > 0, "items were refused")
    assert "answered HTTP status 401" in weir.stderr() and "secret" not in weir.stderr()
    weir.stop()


if __name__ == "__main__":
    weirtest.main(at_once=3)
