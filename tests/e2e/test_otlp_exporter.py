#!/usr/bin/python3
"""The otlp exporter of the real program against backends that are away, busy, broken or picky. What weir says it sent is held
against what arrived, and at every reading: received = sent + dropped + refused + queued."""
import json
import os
import socket
import subprocess
import sys
import threading
import time

import weirtest
from account import Account, nothing_lost, wait_for_account

try:
    import judge
    import judge_raw
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(weirtest.SKIPPED)

HERE = os.path.dirname(os.path.abspath(__file__))

CONFIG = """
    receivers:
      self: {{collection_interval: {interval}}}
    exporters:
      otlp:
        endpoint: "{host}:{port}"
        tls: {{insecure: true}}
        compression: {compression}
        timeout: {timeout}
        retry_on_failure: {{initial_interval: 100ms, max_interval: 500ms}}
        sending_queue: {{batch: {{flush_timeout: 50ms}}}}
    service:
      shutdown_timeout: 5s
      telemetry: {{metrics: {{port: "${{env:METRICS_PORT}}"}}}}
      pipelines:
        metrics: {{receivers: [self], exporters: [otlp]}}
"""


def start_judge(stage, behaviour="ok", port=None):
    return stage.server(judge.Judge(behaviour, f"127.0.0.1:{port or weirtest.free_port()}"))


def start_weir(stage, port, compression="gzip", interval="200ms", timeout="3s", host="127.0.0.1"):
    return stage.weir(CONFIG.format(host=host, port=port, compression=compression, interval=interval, timeout=timeout))


def start_script(stage, *command):
    """A judge as a process of its own; what it prints when it is ready."""
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    stage.keep(child, child.kill)
    return json.loads(child.stdout.readline())


def test_delivers_with_and_without_gzip(stage):
    for compression in "none", "gzip":  # grpcio knows no zstd: the next test
        server = start_judge(stage)
        weir = start_weir(stage, server.port, compression)
        wait_for_account(weir, lambda a: a.sent > 0, "something was sent")
        nothing_lost(weir, server)
        assert server.received[0]["metadata"]["user-agent"].startswith("weir/")


def delivers_compressed(stage, coding):
    listener = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=judge_raw.serve, args=(listener, coding), daemon=True).start()
    judge_raw.Connection.messages.clear()
    weir = start_weir(stage, listener.getsockname()[1], coding)
    account = wait_for_account(weir, lambda a: a.sent > 50, "something was sent")
    assert account.retries == 0 and account.dropped == 0, vars(account)
    request = judge.MESSAGES.request("metrics")
    arrived = sum(judge.count_items("metrics", request.FromString(m)) for m in judge_raw.Connection.messages)
    assert arrived >= account.sent, (arrived, vars(account))
    assert weir.stop() == 0


def test_delivers_zstd(stage):
    weirtest.need_programs("zstd")
    delivers_compressed(stage, "zstd")


def test_delivers_snappy(stage):
    delivers_compressed(stage, "snappy")


def test_shows_a_token_and_a_new_one_without_a_restart(stage):
    server, path = start_judge(stage), stage.path("token")
    weirtest.replace_file(path, "first-secret\n")
    weir = stage.weir(f"""
        extensions: {{bearertokenauth: {{filename: {path}}}}}
        receivers: {{self: {{collection_interval: 200ms}}}}
        exporters:
          otlp:
            endpoint: 127.0.0.1:{server.port}
            tls: {{insecure: true}}
            auth: {{authenticator: bearertokenauth}}
            sending_queue: {{batch: {{flush_timeout: 50ms}}}}
        service:
          extensions: [bearertokenauth]
          telemetry: {{metrics: {{port: "${{env:METRICS_PORT}}"}}}}
          pipelines: {{metrics: {{receivers: [self], exporters: [otlp]}}}}
    """)
    wait_for_account(weir, lambda a: a.sent > 0, "something was sent")
    weirtest.replace_file(path, "second-secret\n")
    weirtest.wait_for(lambda: weir.metrics() and server.received[-1]["metadata"]["authorization"] == "Bearer second-secret",
                      what="the new token is shown")
    assert server.received[0]["metadata"]["authorization"] == "Bearer first-secret"
    nothing_lost(weir, server)
    assert "secret" not in weir.stderr()


def test_loses_nothing_while_the_backend_is_away(stage):
    port = weirtest.free_port()
    weir = start_weir(stage, port)
    failure = f"cannot connect to 127.0.0.1:{port}"
    wait_for_account(weir, lambda a: a.queued > 50 and a.retries > 3, "items wait for the backend")
    weirtest.wait_for(lambda: weir.metrics() and weir.stderr().count(failure) >= 3, what="three attempts to connect have failed")
    server = start_judge(stage, port=port)
    wait_for_account(weir, lambda a: a.sent > 0 and a.queued < 50, "the queue is empty again")
    nothing_lost(weir, server)


def test_loses_nothing_to_a_backend_that_comes_back_after_30_s(stage):
    server = start_judge(stage)
    # The judge is slow: with 30 collections waiting, several requests at once take it seconds.
    weir = start_weir(stage, server.port, interval="1s", timeout="10s")
    wait_for_account(weir, lambda a: a.sent > 0, "something was sent")
    server.stop()
    before = server.items()
    back = time.monotonic() + 30
    away = wait_for_account(weir, lambda a: a.queued > 50, "items wait for the backend")
    weirtest.wait_for(lambda: time.monotonic() > back, deadline=60)  # the outage itself is what is tested
    account = Account(weir)
    assert account.dropped == 0 and account.refused == 0, vars(account)
    assert account.queued > away.queued and account.retries > away.retries, vars(account)
    again = start_judge(stage, port=server.port)
    # The back-off between attempts to connect has grown meanwhile.
    account = wait_for_account(weir, lambda a: a.sent > account.queued and a.queued < 50, "the queue is empty again", 60)
    assert weir.stop() == 0
    assert account.dropped == 0, vars(account)
    assert before + again.items() >= account.received


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


def test_waits_as_long_as_the_backend_asks(stage):
    server = start_judge(stage, "fail-first:3:1.5")
    weir = start_weir(stage, server.port)
    start = time.monotonic()
    wait_for_account(weir, lambda a: a.retries >= 3 and a.queued < 50, "the refused requests were repeated")
    assert time.monotonic() - start > 1.5
    nothing_lost(weir, server)


def test_loses_nothing_to_a_flaky_backend(stage):
    server = start_judge(stage, "flaky:0.7")
    weir = start_weir(stage, server.port)
    wait_for_account(weir, lambda a: a.retries > 5 and a.sent > 50, "some of it arrived")
    server.behaviour = "ok"
    wait_for_account(weir, lambda a: a.queued < 50, "the queue is empty again")
    nothing_lost(weir, server)


def test_counts_what_the_backend_rejects(stage):
    server = start_judge(stage, "partial:2:two were bad")
    weir = start_weir(stage, server.port)
    account = wait_for_account(weir, lambda a: a.rejected >= 4, "items were rejected")
    assert account.retries == 0
    assert "rejected 2 of" in weir.stderr() and "two were bad" in weir.stderr()
    assert weir.stop() == 0


def test_drops_and_counts_what_the_backend_refuses(stage):
    server = start_judge(stage, "invalid")
    weir = start_weir(stage, server.port)
    account = wait_for_account(weir, lambda a: a.permanent > 0, "items were refused")
    assert account.retries == 0 and account.sent == 0
    assert "answered INVALID_ARGUMENT: no such thing" in weir.stderr()
    weir.stop()


def test_survives_a_backend_that_closes_after_half_a_frame(stage):
    weir = start_weir(stage, start_script(stage, sys.executable, os.path.join(HERE, "judge_raw.py"))["half_then_ok"])
    account = wait_for_account(weir, lambda a: a.sent > 50 and a.queued < 50, "everything arrives after all")
    assert account.retries >= 3 and account.dropped == 0, vars(account)
    assert "lost: the server closed it" in weir.stderr()
    assert weir.stop() == 0


def test_loses_nothing_to_a_network_that_swallows_everything(stage):
    weirtest.need_programs("nft")
    away, dump = stage.namespace(), stage.path("dump")
    away.link("10.81.7.1/30", "10.81.7.2/30")
    port = start_script(stage, "ip", "netns", "exec", away.name, sys.executable, os.path.join(HERE, "judge.py"),
                        "--address", "10.81.7.2:0", "--dump", dump)["port"]
    weir = start_weir(stage, port, interval="1s", timeout="4s", host="10.81.7.2")
    wait_for_account(weir, lambda a: a.sent > 0, "something was sent")
    away.exec("nft", "add table inet t; add chain inet t c { type filter hook input priority 0; policy drop; }")
    weirtest.wait_for(lambda: f"connection to 10.81.7.2:{port} lost: " in weir.stderr(), 50, "the connection is given up")
    away.exec("nft", "flush", "ruleset")
    account = wait_for_account(weir, lambda a: a.queued == 0, "the queue is empty again", 60)
    assert account.dropped == 0 and account.refused == 0, vars(account)
    assert weir.stop() == 0
    with open(dump, encoding="utf-8") as f:
        arrived = sum(json.loads(line)["items"] for line in f)
    assert arrived >= account.received, (arrived, vars(account))


def test_says_what_was_lost_when_it_has_to_end(stage):
    weir = start_weir(stage, weirtest.free_port())
    wait_for_account(weir, lambda a: a.queued > 0, "items wait for the backend")
    weir.stop()
    assert "at shutdown" in weir.stderr(), weir.stderr()


if __name__ == "__main__":
    weirtest.main(at_once=4)
