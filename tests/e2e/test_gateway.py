#!/usr/bin/python3
"""What a gateway does that neither its receiver nor its exporters do alone: joining and cutting without a changed byte, pressure
from a backend back to the clients, ends and moves of connections under load, one weir behind another."""
import collections
import concurrent.futures
import signal
import subprocess
import sys
import threading
import time

import weirtest

try:
    import grpc
    import chaos
    import judge
    import judge_http
    import otlp_messages
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(weirtest.SKIPPED)
from account import Auditor, Books, wait_until_quiet

MESSAGES = judge.MESSAGES

CONFIG = """
    receivers:
      otlp: {{protocols: {{grpc: {{endpoint: "{grpc}"{grpc_more}}}, http: {{endpoint: "{http}"{http_more}}}}}}}
    processors:
      memory_limiter: {{check_interval: 1s, limit_mib: 200}}
    exporters:
{exporters}
    service:
      shutdown_timeout: {shutdown}
      telemetry: {{logs: {{level: warn}}, metrics: {{host: 127.0.0.1, port: "${{env:METRICS_PORT}}"}}}}
      pipelines:
        traces: {{receivers: [otlp], processors: [memory_limiter], exporters: [{names}]}}
        metrics: {{receivers: [otlp], processors: [memory_limiter], exporters: [{names}]}}
        logs: {{receivers: [otlp], processors: [memory_limiter], exporters: [{names}]}}
"""


class Gateway:
    """backends: {"otlp": port or address, "otlphttp": port}."""

    def __init__(self, stage, backends, queue="{batch: {flush_timeout: 50ms}}", more="", **rest):
        self.grpc, self.http = rest.get("grpc_at") or weirtest.free_port(), rest.get("http_at") or weirtest.free_port()

        def address(at):
            return f"127.0.0.1:{at}" if isinstance(at, int) else at

        common = ("compression: none, retry_on_failure: {initial_interval: 50ms, max_interval: 200ms}, "
                  f"sending_queue: {queue}{more}")
        endpoints = {"otlp": '"{}", tls: {{insecure: true}}', "otlphttp": '"http://{}"'}
        exporters = [f"      {name}: {{endpoint: {endpoints[name].format(address(at))}, {common}}}"
                     for name, at in backends.items()]
        self.weir = stage.weir(CONFIG.format(
            grpc=address(self.grpc), http=address(self.http), grpc_more=rest.get("grpc_more", ""),
            http_more=rest.get("http_more", ""), exporters="\n".join(exporters), names=", ".join(backends),
            shutdown=rest.get("shutdown", "5s")), ready=False)
        for port in (self.grpc, self.http):
            if isinstance(port, int):
                weirtest.wait_for(lambda port=port: weirtest.listens(self.weir.pid, port), what="weir listens")
        weirtest.wait_for(lambda: weirtest.listens(self.weir.pid, self.weir.metrics_port), what="weir is ready")

    def senders(self):
        return [chaos.GrpcSender(self.grpc), chaos.GrpcSender(self.grpc, grpc.Compression.Gzip), chaos.HttpSender(self.http),
                chaos.HttpSender(self.http, packed=True), chaos.HttpSender(self.http, json=True)]

    def clients(self, **more):
        return [chaos.Client(i + 1, sender, **more) for i, sender in enumerate(self.senders())]


# ---- backends that keep bytes


class RawGrpc(grpc.GenericRpcHandler):
    """Keeps requests as the bytes that came."""

    def __init__(self, stage):
        self.received = collections.defaultdict(list)
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(8), options=[("grpc.max_receive_message_length", -1)])
        self.server.add_generic_rpc_handlers((self,))
        self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()
        stage.keep(self, lambda: self.server.stop(None).wait())

    def service(self, call):
        name = call.method.split(".")[3]

        def take(request, _):
            self.received[name].append(request)
            return b""

        return grpc.unary_unary_rpc_method_handler(take)


class RawHttp(judge_http.JudgeHttp):
    def __init__(self, stage):
        self.raw = collections.defaultdict(list)
        super().__init__()
        stage.server(self)

    def answer(self, handler, body):
        self.raw[judge_http.PATHS[handler.path]].append(body)
        handler.send(200, b"")


def varint(data, at):
    value = shift = 0
    while True:
        value |= (data[at] & 127) << shift
        shift, at = shift + 7, at + 1
        if not data[at - 1] & 128:
            return value, at


def long_varint(value, size=3):
    """Longer than it need be, which the format allows."""
    return bytes([value >> 7 * i & 127 | 128 for i in range(size - 1)] + [value >> 7 * (size - 1)])


def groups(request):
    """The bytes of every group of a request, by hand."""
    found, at = [], 0
    while at < len(request):
        tag, at = varint(request, at)
        assert tag == 1 << 3 | 2, f"field {tag >> 3} stands beside the groups"
        size, at = varint(request, at)
        found.append(request[at:at + size])
        at += size
        assert at <= len(request)
    return found


def field(number, payload):
    tag, out = number << 3 | 2, b""
    while tag > 127:
        out, tag = out + bytes([tag & 127 | 128]), tag >> 7
    return out + bytes([tag]) + long_varint(len(payload)) + payload


def strange_groups(name, count, seed, items=4):
    """Groups of every shape with fields that nobody knows, at every level, and lengths that are longer than need be."""
    generator = otlp_messages.Generator(MESSAGES, seed)
    resources, scopes, list_name = otlp_messages.GROUPS[name]
    for number in range(count):
        group = getattr(generator.request(name, 1, items // 2), resources)[0]
        whole = b"".join(field(2, b"".join(field(2, item.SerializeToString() + field(2000, b"later")) for item in
                                           getattr(scope, list_name)) + field(900, b"scope")) for scope in getattr(group, scopes))
        resource = field(1, group.resource.SerializeToString() + b"\xf8\x3e\x07")
        yield resource + whole + field(777, str(number).encode()) + b"\xf8\x7f\x01"


def send_all(gateway, requests):
    """[(name, bytes)], all at once."""
    with grpc.insecure_channel(f"127.0.0.1:{gateway.grpc}") as channel:
        calls = [channel.unary_unary(judge.export_path(name)).future(body, timeout=weirtest.PATIENCE) for name, body in requests]
        assert all(call.result() == b"" for call in calls)


def count(name, body):
    return judge.count_items(name, MESSAGES.request(name).FromString(body))


def test_many_small_requests_become_few_without_a_changed_byte(stage):
    raw, http = RawGrpc(stage), RawHttp(stage)
    gateway = Gateway(stage, {"otlp": raw.port, "otlphttp": http.port}, "{batch: {flush_timeout: 1s, min_size: 100000}}")
    sent = {name: list(strange_groups(name, 200, 7)) for name in chaos.SIGNALS}
    send_all(gateway, [(name, field(1, g)) for name in sent for g in sent[name]])
    items = {name: sum(count(name, field(1, g)) for g in sent[name]) for name in sent}
    assert min(items.values()) >= 800, items
    for received in raw.received, http.raw:
        weirtest.wait_for(lambda r=received: all(sum(len(groups(b)) for b in r[n]) == 200 for n in sent), what="all groups came")
        for name in sent:
            arrived = [g for body in received[name] for g in groups(body)]
            assert collections.Counter(arrived) == collections.Counter(sent[name]), name
            assert len(received[name]) <= 5, (name, len(received[name]))
    books = wait_until_quiet(gateway.weir)
    for name, signal_name in judge.SIGNALS.items():
        for exporter in "otlp", "otlphttp":
            assert books.exporters[exporter, signal_name].sent == items[name], vars(books.exporters[exporter, signal_name])
    assert gateway.weir.stop() == 0


def test_max_size_cuts_between_groups_and_inside_only_what_is_too_large(stage):
    raw = RawGrpc(stage)
    gateway = Gateway(stage, {"otlp": raw.port}, "{batch: {flush_timeout: 200ms, min_size: 10, max_size: 10}}")
    small = {name: list(strange_groups(name, 60, 8)) for name in ("trace", "logs")}
    large = {name: next(strange_groups(name, 1, 9, items=46)) for name in small}
    for name, gs in small.items():
        assert all(count(name, field(1, g)) == 4 for g in gs) and count(name, field(1, large[name])) == 46
        send_all(gateway, [(name, b"".join(field(1, g) for g in gs[i:i + 6])) for i in range(0, 30, 6)])
        send_all(gateway, [(name, field(1, gs[30]) + field(1, large[name]) + field(1, gs[31]))])
        send_all(gateway, [(name, field(1, g)) for g in gs[32:]])
    for name, gs in small.items():
        received = raw.received[name]
        weirtest.wait_for(lambda n=name, r=received: sum(count(n, b) for b in r) == 60 * 4 + 46, what="all items came")
        assert all(1 <= count(name, body) <= 10 for body in received), [count(name, body) for body in received]
        arrived = collections.Counter(g for body in received for g in groups(body))
        missing = collections.Counter(gs) - arrived
        assert not missing, f"{sum(missing.values())} groups that fit were cut or changed"
        parts = list((arrived - collections.Counter(gs)).elements())
        assert len(parts) >= 5, len(parts)
        message = MESSAGES.request(name)
        otlp_messages.assert_same_items(name, [message.FromString(field(1, large[name]))],
                                        [message.FromString(field(1, p)) for p in parts])
    assert wait_until_quiet(gateway.weir).exporter("otlp").sent == 2 * (60 * 4 + 46)
    assert gateway.weir.stop() == 0


# ---- pressure


class Holding(chaos.GrpcBackend):
    """Answers nothing until it is let go; then everything with OK."""

    def __init__(self, stage):
        super().__init__(1, workers=64)
        stage.server(self)

    def _answer(self, name, request, context, action, dice):
        self.let_go.wait(60)
        return super()._answer(name, request, context, action, dice)


def test_a_hanging_backend_stalls_the_clients_and_everything_comes_once(stage):
    """block_on_overflow: a queue of 4 requests; each connection may have 1 MiB without an answer, and 20 requests that it is
    still sending."""
    backend, streams, size = Holding(stage), 100, 200_000
    gateway = Gateway(stage, {"otlp": backend.port},
                      "{queue_size: 4, num_consumers: 2, block_on_overflow: true, batch: {enabled: false}}",
                      more=", timeout: 60s", grpc_more=", limits: {window: 1MiB}, max_concurrent_streams: 20")
    channels = [grpc.insecure_channel(f"127.0.0.1:{gateway.grpc}", options=[("grpc.use_local_subchannel_pool", 1)])
                for _ in range(3)]
    for channel in channels:
        stage.keep(channel, channel.close)
    calls = [channel.unary_unary(judge.export_path("trace")).future(
        chaos.make_request("trace", [c * streams + i], f"{c}-{i}", filler=size).SerializeToString(), timeout=100)
        for i in range(streams) for c, channel in enumerate(channels)]
    auditor = Auditor(gateway.weir)

    def figures():
        books = Books(gateway.weir)
        return books.figure("weir_exporter_blocked_requests"), sum(call.done() for call in calls)

    weirtest.wait_for(lambda: figures()[0] >= 9 and figures()[1] == 4, what="the queue is full and the clients wait")
    begun = time.monotonic()
    # The time itself is what is tested: nothing moves while nothing can.
    weirtest.wait_for(lambda: time.monotonic() - begun > 1.5, what="time passes")
    blocked, answered = figures()
    used = gateway.weir.figure("weir_memory_peak_bytes")
    assert answered == 4 and blocked <= 3 * 6, (answered, blocked)
    assert used < 3 * 2**20 + 4 * size + 2**20, used  # three windows, the queue, and what is needed for it
    backend.let_go.set()
    assert all(call.result() == b"" for call in calls)
    books = wait_until_quiet(gateway.weir)
    auditor.stop()
    assert books.pipelines["traces"].sent == books.exporter("otlp").sent == len(calls), vars(books.exporter("otlp"))
    arrived = backend.ledger.items["trace"]["ok"]
    assert arrived == collections.Counter(range(len(calls))), "not everything came once"
    peak = books.figure("weir_memory_peak_bytes")
    print(f"    {len(calls) * size / 2**20:.0f} MiB sent through {peak / 2**20:.1f} MiB of memory, {blocked:.0f} blocked")
    assert peak < 3 * (2**20 + 20 * size) + 4 * size + 2**20, peak
    assert gateway.weir.stop() == 0


def test_a_full_queue_refuses_and_clients_that_come_again_lose_and_double_nothing(stage):
    backend = stage.server(chaos.GrpcBackend(1))
    backend.weights = {"slow": 1}
    gateway = Gateway(stage, {"otlp": backend.port}, "{queue_size: 1, num_consumers: 1, batch: {enabled: false}}")
    auditor, clients = Auditor(gateway.weir), gateway.clients(pause=0.01)
    weirtest.wait_for(lambda: all(c.count("again") and c.count("ok") for c in clients), 40, "each is refused and comes again")
    backend.weights = {"ok": 1}
    for client in clients:
        client.stop()
    books = wait_until_quiet(gateway.weir)
    auditor.stop()
    refused = sum(part.refused for part in books.pipelines.values())
    assert refused == sum(c.count("again") for c in clients) and books.exporter("otlp").refused == refused
    assert refused == sum(v for (n, _), v in books.page.items() if n.startswith("otelcol_receiver_refused_")), refused
    for name in chaos.SIGNALS:
        taken = set().union(*(c.taken[name] for c in clients))
        assert backend.ledger.items[name]["ok"] == collections.Counter(taken), name
    assert gateway.weir.stop() == 0


def test_a_joined_requests_fate_is_told_to_every_one_who_sent_a_part(stage):
    backend = stage.server(chaos.GrpcBackend(1))
    gateway = Gateway(stage, {"otlp": backend.port}, "{wait_for_result: true, batch: {flush_timeout: 500ms, min_size: 100000}}")
    senders = [chaos.HttpSender(gateway.http) for _ in range(8)] + [chaos.GrpcSender(gateway.grpc) for _ in range(8)]

    def everybody(action):
        backend.weights = {action: 1}
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            told = [pool.submit(sender.send, "logs", chaos.make_request("logs", range(10 * i, 10 * i + 10), f"{action}-{i}"))
                    for i, sender in enumerate(senders)]
        return [t.result() for t in told]

    assert everybody("ok") == [("ok", None)] * 16
    assert backend.ledger.requests["ok"] <= 4, backend.ledger.requests
    assert {t for t, _ in everybody("invalid")} == {"final"}
    told = everybody("partial")
    rejected = sum(n for t, n in told if t == "partial")
    assert {t for t, _ in told} <= {"ok", "partial"} and rejected == backend.ledger.count("logs", "rejected") > 0, told
    for i, (_, n) in enumerate(told):  # weir lays them to the first of a request; so does this backend
        assert [(a, cut) for a, cut in backend.ledger.attempts[f"partial-{i}"]] == [("ok", n or 0)], (i, told)
    part = wait_until_quiet(gateway.weir).exporters["otlp", "logs"]
    assert (part.dropped["permanent_error"], part.dropped["partial_rejected"], part.sent) == (160, rejected, 320 - rejected)
    for sender in senders:
        sender.close()
    assert gateway.weir.stop() == 0


# ---- connections and ends


def test_connections_that_are_too_old_are_left_without_a_failed_request(stage):
    backend = stage.server(chaos.GrpcBackend(1))
    gateway = Gateway(stage, {"otlp": backend.port}, grpc_more=", keepalive: {server_parameters: {max_connection_age: 400ms}}")
    auditor = Auditor(gateway.weir)
    # Not compressed: grpcio 1.51 forgets the flag when it repeats a call by itself (github.com/grpc/grpc/issues/37742).
    clients = [chaos.Client(i + 1, chaos.GrpcSender(gateway.grpc), pause=0) for i in range(4)]

    def moved():
        return gateway.weir.figure("weir_receiver_connections_accepted", transport="grpc")

    weirtest.wait_for(lambda: moved() >= 30 or any(c.error for c in clients), what="connections were renewed")
    for client in clients:
        client.stop()
        assert {a[3] for a in client.attempts} == {"ok"}
    wait_until_quiet(gateway.weir)
    auditor.stop()
    for name in chaos.SIGNALS:
        assert backend.ledger.items[name]["ok"] == collections.Counter(set().union(*(c.taken[name] for c in clients)))
    assert gateway.weir.stop() == 0


def test_a_drain_under_load_loses_nothing_that_was_answered_with_success(stage):
    grpc_backend, http_backend = chaos.GrpcBackend(1), chaos.HttpBackend(2)
    for backend in grpc_backend, http_backend:
        stage.keep(backend, backend.stop)
        backend.weights = {"ok": 1, "slow": 1}
    gateway = Gateway(stage, {"otlp": grpc_backend.port, "otlphttp": http_backend.port}, shutdown="15s")
    clients = gateway.clients(pause=0)
    weirtest.wait_for(lambda: all(c.count("ok") > 200 for c in clients) or any(c.error for c in clients), what="there is load")
    gateway.weir.signal(signal.SIGTERM)
    assert gateway.weir.wait(30) == 0
    gateway.weir.check_sanitizers()
    for client in clients:
        client.over.set()
        client.join(20)
        # What a client has no answer for when the connection ends, it would send elsewhere.
        assert not client.is_alive() and [a[3] for a in client.attempts].count("unknown") <= 1, client.error
    assert "at shutdown" not in gateway.weir.stderr(), gateway.weir.stderr()
    for backend in grpc_backend, http_backend:
        for name in chaos.SIGNALS:
            taken = set().union(*(c.taken[name] for c in clients))
            missing = taken - backend.ledger.items[name]["ok"].keys()
            assert not missing, (name, len(missing))


def test_one_weir_behind_another_on_unix_sockets(stage):
    """An agent's way: what the last backend says comes back through both."""
    backend = stage.server(chaos.GrpcBackend(1))
    queue = "{wait_for_result: true, batch: {flush_timeout: 10ms}}"
    path = stage.path("inner.sock")
    inner = Gateway(stage, {"otlp": backend.port}, queue, grpc_at=f"unix://{path}", http_at=f"unix://{path}.http")
    outer = Gateway(stage, {"otlp": f"unix://{path}"}, queue)
    senders = outer.senders()
    for i, sender in enumerate(senders):
        for name in chaos.SIGNALS:
            for action, told in (("ok", "ok"), ("invalid", "final"), ("partial", "partial"), ("ok", "ok")):
                backend.weights = {action: 1}
                assert sender.send(name, chaos.make_request(name, [i], "x"))[0] == told, (name, action)
        sender.close()
    for weir in outer.weir, inner.weir:
        part = wait_until_quiet(weir).exporter("otlp")
        assert (part.sent, part.dropped["permanent_error"], part.dropped["partial_rejected"]) == (30, 15, 15), vars(part)
        assert weir.stop() == 0


# ---- slowhttptest, which nobody here wrote


SLOW = {"heads": ["-H"], "bodies": ["-B"], "reads": ["-X", "-w", "1", "-y", "5", "-z", "1", "-k", "3"]}


def slow_http(stage, kind, seconds=6, connections=400):
    weirtest.need_programs("slowhttptest")
    backend = stage.server(chaos.GrpcBackend(1))
    gateway = Gateway(stage, {"otlp": backend.port}, http_more=", limits: {header_time: 2s, body_grace: 2s, write_time: 2s}")
    clients = gateway.clients(pause=0.02)
    weirtest.wait_for(lambda: all(c.count("ok") for c in clients) or any(c.error for c in clients), what="clients are served")
    before = sum(c.count("ok") for c in clients)
    attack = subprocess.run(["slowhttptest", *SLOW[kind], "-c", str(connections), "-r", "200", "-i", "1", "-l", str(seconds),
                             "-p", "3", "-s", "100000", "-t", "POST", "-f", "application/x-protobuf",
                             "-u", f"http://127.0.0.1:{gateway.http}/v1/traces"],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60, check=False)
    books = Books(gateway.weir)
    struck = {dict(labels)["limit"]: v for (n, labels), v in books.page.items() if n == "weir_receiver_limit_struck"
              and dict(labels)["transport"] == "http" and v}
    for client in clients:
        client.stop()
        assert {a[3] for a in client.attempts} == {"ok"}
    served, peak = sum(c.count("ok") for c in clients) - before, books.figure("weir_memory_peak_bytes") / 2**20
    print(f"    struck {struck}; {served} items of others served meanwhile; {peak:.1f} MiB", flush=True)
    assert "service available:" in attack.stdout.lower() or "exit status" in attack.stdout.lower(), attack.stdout[-2000:]
    assert served > 100 and peak < 16, (served, peak)
    assert gateway.weir.stop() == 0
    return struck


def test_slow_heads_of_slowhttptest(stage):
    assert slow_http(stage, "heads")["header_time"] >= 300


def test_slow_bodies_of_slowhttptest(stage):
    assert slow_http(stage, "bodies")["body_rate"] >= 300


def test_slow_reads_of_slowhttptest(stage):
    slow_http(stage, "reads")


if __name__ == "__main__":
    weirtest.main(at_once=2)
