#!/usr/bin/python3
"""A minute of bad weather behind the gateway: backends that are slow, busy, picky, silent, killed and started again, under
clients that keep to the specification. Every item that a client was told is taken has come to every backend of its pipelines, or
is counted there under its reason; the equation of the books holds at every reading.

$WEIR_CHAOS_SEED repeats the weather of a run, $WEIR_CHAOS_SECONDS makes it shorter or longer."""
import collections
import os
import re
import sys
import time

import weirtest

try:
    import grpc
    import chaos
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(weirtest.SKIPPED)
from account import Auditor, wait_until_quiet

SEED = int(os.environ.get("WEIR_CHAOS_SEED", time.time_ns() % 2**32))
SECONDS = float(os.environ.get("WEIR_CHAOS_SECONDS", "60"))
MEMORY_MIB = 16  # three queues for each of three signals, of 60 requests of some 2 KiB, and what ten clients are sending

CONFIG = """
    receivers:
      otlp/1: {{protocols: {{grpc: {{endpoint: "127.0.0.1:{grpc1}"}}, http: {{endpoint: "127.0.0.1:{http1}"}}}}}}
      otlp/2: {{protocols: {{grpc: {{endpoint: "127.0.0.1:{grpc2}"}}, http: {{endpoint: "127.0.0.1:{http2}"}}}}}}
    processors:
      memory_limiter: {{check_interval: 1s, limit_mib: 64}}
    exporters:
      otlp: {{endpoint: "http://127.0.0.1:{a}", {more}}}
      otlphttp/b: {{endpoint: "http://127.0.0.1:{b}", {more}}}
      otlphttp/c: {{endpoint: "http://127.0.0.1:{c}", encoding: json, {more}}}
    service:
      shutdown_timeout: 10s
      telemetry: {{logs: {{level: error}}, metrics: {{host: 127.0.0.1, port: "${{env:METRICS_PORT}}"}}}}
      pipelines:
"""
PLENTY = {"1": ["otlp", "otlphttp/b"], "2": ["otlp", "otlphttp/b", "otlphttp/c"]}


def pipelines(wires):
    """wires: {name of the signal and pipeline: exporters}."""
    lines = []
    for name, exporters in wires.items():
        receiver = name.split("/")[1]
        lines.append(f"        {name}: {{receivers: [otlp/{receiver}], processors: [memory_limiter], "
                     f"exporters: [{', '.join(exporters)}]}}\n")
    return "".join(lines)


class Scene:
    def __init__(self, stage, exporters, more):
        print(f"    seed {SEED}", flush=True)
        self.backends = {"otlp": chaos.GrpcBackend(SEED + 1), "otlphttp/b": chaos.HttpBackend(SEED + 2),
                         "otlphttp/c": chaos.HttpBackend(SEED + 3)}
        self.exporters, self.wires = exporters, {}
        for name, backend in self.backends.items():
            stage.server(backend)
            self.wires[name] = stage.server(chaos.Wire(backend.port))
        ports = {f"{kind}{n}": weirtest.free_port() for kind in ("grpc", "http") for n in (1, 2)}
        self.weir = stage.weir(CONFIG.format(**ports, a=self.wires["otlp"].port, b=self.wires["otlphttp/b"].port,
                                             c=self.wires["otlphttp/c"].port, more=more) + pipelines(exporters),
                               ready=False)
        weirtest.wait_for(lambda: all(weirtest.listens(self.weir.pid, p) for p in ports.values()), what="weir listens")
        self.clients = {"1": self.start_clients(10, ports["grpc1"], ports["http1"]),
                        "2": self.start_clients(20, ports["grpc2"], ports["http2"])}

    @staticmethod
    def start_clients(first, grpc_port, http_port):
        senders = [chaos.GrpcSender(grpc_port), chaos.GrpcSender(grpc_port, grpc.Compression.Gzip),
                   chaos.HttpSender(http_port), chaos.HttpSender(http_port, packed=True), chaos.HttpSender(http_port, json=True)]
        return [chaos.Client(first + i, sender) for i, sender in enumerate(senders)]

    def everybody(self):
        return [c for clients in self.clients.values() for c in clients]

    def rage(self, seconds):
        """Bad weather for so long, then fair weather until everybody has delivered. The books at the end."""
        auditor = Auditor(self.weir)
        seasons = {name: chaos.Season(b, self.wires[name], SEED + 10 + i)
                   for i, (name, b) in enumerate(self.backends.items())}
        end = time.monotonic() + seconds
        weirtest.wait_for(lambda: time.monotonic() > end or not self.weir.is_running() or any(c.error for c in self.everybody()),
                          seconds + 10)
        for season in seasons.values():
            season.stop()
        for client in self.everybody():
            client.stop()
        books = wait_until_quiet(self.weir, deadline=60)
        readings = auditor.stop()
        self.tell(seasons, readings, auditor.most_held)
        return books

    def tell(self, seasons, readings, most_held):
        told = collections.Counter(t for c in self.everybody() for _, _, _, t, _ in c.attempts)
        print(f"    clients were told {dict(told)}; books read {readings} times, {most_held} items held at most", flush=True)
        for name, backend in self.backends.items():
            print(f"    {name}: weather {dict(seasons[name].past)}, requests {dict(backend.ledger.requests)}", flush=True)

    def peak_mib(self):
        with open(f"/proc/{self.weir.pid}/status", encoding="ascii") as f:
            return int(re.search(r"VmHWM:\s+(\d+)", f.read())[1]) / 1024


def check_exporter(name, backend, books):
    """What weir says of a backend is what the backend has done, to the unit."""
    for signal in chaos.SIGNALS:
        part = books.exporters[name, chaos.judge.SIGNALS[signal]]
        did = {action: backend.ledger.count(signal, action) for action in ("ok", "rejected", "invalid")}
        says = {"ok": part.sent, "rejected": part.dropped["partial_rejected"], "invalid": part.dropped["permanent_error"]}
        assert says == did, (name, signal, says, did)
        assert part.lost() == says["rejected"] + says["invalid"] and part.held == 0, (name, signal, vars(part))


def check_items(name, scene):
    """Every item that was taken is here or was refused here; none comes more often than it was sent; none is here that nobody
    sent."""
    for signal in chaos.SIGNALS:
        items = scene.backends[name].ledger.items[signal]
        sent, taken = collections.Counter(), set()
        for client in (c for n, clients in scene.clients.items() for c in clients
                       if name in scene.exporters[f"{chaos.judge.SIGNALS[signal]}/{n}"]):
            sent.update(client.sent[signal])
            taken |= client.taken[signal]
        missing = taken - items["ok"].keys() - items["rejected"].keys() - items["invalid"].keys()
        assert not missing, (name, signal, len(missing), sorted(missing)[:10])
        for action in items:
            invented = items[action].keys() - sent.keys()
            assert not invented, (name, signal, action, sorted(invented)[:10])
        for number in sent:
            settled = sum(items[action][number] for action in ("ok", "rejected", "invalid"))
            assert settled <= sent[number], (name, signal, number, settled, sent[number])


def test_a_minute_of_bad_weather(stage):
    scene = Scene(stage, {f"{s}/{n}": exporters for s in ("traces", "metrics", "logs") for n, exporters in PLENTY.items()},
                  "timeout: 3s, retry_on_failure: {initial_interval: 50ms, max_interval: 500ms, max_elapsed_time: 0s}, "
                  "sending_queue: {queue_size: 60, num_consumers: 6, "
                  "batch: {flush_timeout: 100ms, min_size: 100, max_size: 150}}")
    books = scene.rage(SECONDS)
    peak = scene.peak_mib()
    assert scene.weir.stop() == 0
    everybody = scene.everybody()
    telemetry = books.figure("weir_memory_peak_bytes") / 2**20
    print(f"    at most {telemetry:.1f} MiB of telemetry, {peak:.1f} MiB in all")
    assert telemetry < MEMORY_MIB
    for n, clients in scene.clients.items():
        for signal in chaos.SIGNALS:
            part = books.pipelines[f"{chaos.judge.SIGNALS[signal]}/{n}"]
            attempts = [a for c in clients for a in c.attempts if a[1] == signal]
            assert {a[3] for a in attempts} <= {"ok", "again"}, {a[3] for a in attempts}
            assert part.sent == sum(len(a[2]) for a in attempts if a[3] == "ok") and part.lost() == 0, vars(part)
            assert part.refused == sum(len(a[2]) for a in attempts if a[3] == "again"), vars(part)
    for name, backend in scene.backends.items():
        check_exporter(name, backend, books)
        check_items(name, scene)
    assert sum(len(c.taken[s]) for c in everybody for s in chaos.SIGNALS) > 100 * SECONDS


def test_with_wait_for_result_clients_are_told_what_the_backend_did(stage):
    wires = {"traces/1": ["otlp"], "logs/1": ["otlphttp/b"], "metrics/1": ["otlp", "otlphttp/b"],
             "traces/2": ["otlphttp/c"], "logs/2": ["otlp"], "metrics/2": ["otlphttp/b", "otlphttp/c"]}
    scene = Scene(stage, wires, "timeout: 3s, retry_on_failure: {enabled: false}, "
                  "sending_queue: {wait_for_result: true, num_consumers: 50, batch: {enabled: false}}")
    books = scene.rage(SECONDS / 4)
    assert scene.weir.stop() == 0
    for name, backend in scene.backends.items():
        check_exporter(name, backend, books)
        check_items(name, scene)
    compared = collections.Counter()
    for n, clients in scene.clients.items():
        for client in clients:
            for attempt, signal, numbers, told, more in client.attempts:
                did = [scene.backends[b].ledger.attempts[attempt] for b in wires[f"{chaos.judge.SIGNALS[signal]}/{n}"]]
                assert (told, more if told == "partial" else None) == expected(did, len(numbers)), (attempt, told, more, did)
                compared[told] += 1
    print(f"    compared {dict(compared)}")
    assert set(compared) == {"ok", "partial", "final", "again"} or SECONDS < 60, compared


def expected(did, size):
    """What the client must have been told when these were the doings of the backends of its pipeline."""
    results = []
    for doings in did:
        # A connection that was lost before anything came back may have been tried again by libcurl; never an answer.
        assert all(action == "lost" for action, _ in doings[:-1]), doings
        action, rejected = doings[-1] if doings else ("lost", 0)
        results.append("again" if action in ("busy", "lost") else "final" if action == "invalid" else rejected)
    if "again" in results:
        return "again", None
    if "final" in results:
        return "final", None
    rejected = min(max(results), size)
    return ("partial", rejected) if rejected else ("ok", None)


if __name__ == "__main__":
    weirtest.main()
