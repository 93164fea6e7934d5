#!/usr/bin/python3
"""A real VictoriaMetrics, which knows remote write 1.0 only: every series is exported from it and compared with what was sent. And
its scraper, which is vmagent's, reads the page of the prometheus exporter."""
import json
import os
import sys
import time
import urllib.parse
import urllib.request

import weirtest

try:
    from remote_write_peers import NOW_MS, Metrics, Sender, gauges
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(weirtest.SKIPPED)

STEP = 15_000
STEPS = 8
FIRST = NOW_MS - STEPS * STEP
TIMES = [FIRST + n * STEP for n in range(STEPS)]
OUTAGE_S = float(os.environ.get("WEIR_OUTAGE_SECONDS", "20"))
TARGET = {"job": "shop", "instance": "i1"}


class VictoriaMetrics:
    def __init__(self, stage, *arguments):
        weirtest.need_programs("victoria-metrics")
        self.stage = stage
        self.port = weirtest.free_port()
        self.arguments = arguments
        self.start()

    def start(self):
        """Again, with what it had."""
        self.process = self.stage.process(
            "victoria-metrics", f"-storageDataPath={self.stage.path('victoria')}", f"-httpListenAddr=127.0.0.1:{self.port}",
            "-retentionPeriod=1d", "-search.disableCache", "-search.latencyOffset=0s", "-memory.allowedBytes=128MB",
            "-loggerLevel=WARN", *self.arguments)
        weirtest.wait_for(lambda: self.ask("/health") or not self.process.is_running(), what="VictoriaMetrics is ready")
        assert self.process.is_running(), self.process.stderr()

    def ask(self, path, **query):
        url = f"http://127.0.0.1:{self.port}{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=weirtest.PATIENCE) as answer:
                return answer.read().decode()
        except OSError:
            return None

    def stop(self):
        """As an administrator does it: what it has answered 2xx to is on the disk."""
        self.process.signal(15)
        self.process.wait()

    def export(self, selector):
        """[(labels, [(ms, value or None)])] as they are stored, in the order in which they come."""
        self.ask("/internal/force_flush")
        text = self.ask("/api/v1/export", **{"match[]": selector, "start": (FIRST - 600_000) / 1000, "end": time.time() + 600})
        return [(one["metric"], list(zip(one["timestamps"], one["values"]))) for one in map(json.loads, text.splitlines())]

    def one(self, selector):
        found = self.export(selector)
        assert len(found) == 1, (selector, found)
        return found[0]

    def query(self, expression, ms):
        return json.loads(self.ask("/api/v1/query", query=expression, time=ms / 1000))["data"]["result"]


def start(stage, more="", **settings):
    victoria = VictoriaMetrics(stage)
    return victoria, Sender(stage, victoria.port, more, **settings)


def finish(sender):
    sender.wait_empty()
    assert sender.items("dropped") == 0 and sender.items("refused") == 0
    assert sender.weir.stop() == 0


def expect(victoria, selector, labels, samples):
    """One series with exactly these labels and samples."""
    found, stored = victoria.one(selector)
    name = found.pop("__name__")
    assert found == {**TARGET, **labels}, (name, found)
    assert stored == samples, (selector, stored, samples)


def test_falls_back_to_1_0_by_itself(stage):
    """It takes a message of 2.0 for one of 1.0 without anything in it, and says that all is well."""
    victoria, sender = start(stage)
    for n, ms in enumerate(TIMES):
        sender.send_ok(Metrics().gauge("room.temperature", 20 + n, ms, room="a b").request)
    finish(sender)
    expect(victoria, "room_temperature", {"room": "a b"}, [(ms, 20 + n) for n, ms in enumerate(TIMES)])
    expect(victoria, "target_info", {"host_name": "h"}, [(ms, 1) for ms in TIMES])
    found = victoria.export('{__name__!=""}')
    assert len(found) == 2, found  # and nothing else


def test_stores_counters_and_classic_histograms(stage):
    victoria, sender = start(stage, "external_labels: {cluster: west}")
    for n, ms in enumerate(TIMES):
        sender.send_ok(Metrics().counter("requests", 10 * n, ms, FIRST, unit="1", code="200")
                       .counter("parts", 3, ms, ms - STEP, temporality=1)
                       .histogram("latency", [n, 2 * n, 1], [0.1, 1], 0.5 * n, ms, FIRST).request)
    finish(sender)
    west = {"cluster": "west"}
    for selector, labels, value in (
            ("requests_total", {"code": "200"}, lambda n: 10 * n),
            ("parts_total", {}, lambda n: 3 * (n + 1)),
            ('latency_seconds_bucket{le="0.1"}', {"le": "0.1"}, lambda n: n),
            ('latency_seconds_bucket{le="1"}', {"le": "1"}, lambda n: 3 * n),
            ('latency_seconds_bucket{le="+Inf"}', {"le": "+Inf"}, lambda n: 3 * n + 1),
            ("latency_seconds_count", {}, lambda n: 3 * n + 1),
            ("latency_seconds_sum", {}, lambda n: 0.5 * n)):
        expect(victoria, selector, {**west, **labels}, [(ms, value(n)) for n, ms in enumerate(TIMES)])
    assert len(victoria.export('{__name__!=""}')) == 8


def test_leaves_native_histograms_to_those_who_know_them(stage):
    """1.0 without native histograms: their samples are dropped and counted, those beside them are stored."""
    victoria, sender = start(stage)
    sender.send_ok(Metrics().gauge("g", 1, NOW_MS).request)
    sender.wait_empty()
    sender.send(Metrics().gauge("g", 2, NOW_MS + 1000).exponential("size", 1, 0, [1, 2], 9, NOW_MS + 1000).request)
    sender.wait_empty()
    expect(victoria, "g", {}, [(NOW_MS, 1), (NOW_MS + 1000, 2)])
    assert victoria.export('{__name__=~"size.*"}') == []
    assert sender.weir.stop() == 0


def test_shows_no_value_after_a_stale_marker(stage):
    victoria, sender = start(stage, "series_expiry: 1s")
    now = int(time.time() * 1000)
    sender.send_ok(Metrics().gauge("gone", 1, now - 10_000).gauge("old", 1, now - 10_000).request)
    sender.send_ok(Metrics().gone("gone", now - 5000).request)
    weirtest.wait_for(lambda: sender.figure("weir_exporter_prometheusremotewrite_ended_series") >= 3, what="series end")
    finish(sender)
    expect(victoria, "gone", {}, [(now - 10_000, 1), (now - 5000, None)])
    assert victoria.query("gone", now - 5001) and not victoria.query("gone", now - 4999)
    _, samples = victoria.one("old")
    assert samples[0] == (now - 10_000, 1) and [value for _, value in samples[1:]] == [None], samples


def test_loses_nothing_to_an_outage(stage):
    """It is gone for a while of a run and comes back with what it had. WEIR_OUTAGE_SECONDS=300, without ctest and its time limit,
    for the five minutes of a real one."""
    series = 200
    victoria, sender = start(stage)
    sent = []

    def send():
        ms = max(int(time.time() * 1000), sent[-1] + 1 if sent else 0)
        sender.send_ok(gauges(series, ms, len(sent)))
        sent.append(ms)

    def run(seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            next_one = time.monotonic() + 0.25
            send()
            sender.check_account()
            while time.monotonic() < next_one:
                time.sleep(0.01)
    run(2)
    victoria.stop()
    stopped = len(sent)
    run(OUTAGE_S)
    assert sender.items("queued") >= (len(sent) - stopped) * series and sender.figure("weir_exporter_retries") > 5
    victoria.start()
    run(2)
    finish(sender)
    found = victoria.export("a")
    assert len(found) == series
    for labels, samples in found:
        assert samples == [(ms, n) for n, ms in enumerate(sent)], (labels, len(samples), len(sent))
    print(f"{len(sent)} samples of each of {series} series, {OUTAGE_S:g} s of them without a backend")


def test_scrapes_the_page(stage):
    port, page = weirtest.free_port(), weirtest.free_port()
    weir = stage.weir(f"""
        receivers: {{otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:{port}"}}}}}}}}
        exporters: {{prometheus: {{endpoint: "127.0.0.1:{page}"}}}}
        service:
          telemetry: {{metrics: {{port: "${{env:METRICS_PORT}}"}}}}
          pipelines: {{metrics: {{receivers: [otlp], exporters: [prometheus]}}}}
    """)
    request = (Metrics().gauge("room.temperature", 21.5, room="a\\b\"c").counter("requests", 7, unit="1")
               .histogram("latency", [1, 2, 3], [0.1, 1], 4.5).request)
    urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/v1/metrics", request.SerializeToString(),
                                                  {"content-type": "application/x-protobuf"}), timeout=weirtest.PATIENCE).close()
    config = stage.path("scrape.yml")
    with open(config, "w", encoding="utf-8") as f:
        json.dump({"scrape_configs": [{"job_name": "weir", "honor_labels": True, "scrape_interval": "1s",
                                       "static_configs": [{"targets": [f"127.0.0.1:{page}"]}]}]}, f)
    victoria = VictoriaMetrics(stage, f"-promscrape.config={config}")

    def values(selector):
        return {samples[-1][1] for _, samples in victoria.export(selector)}
    weirtest.wait_for(lambda: values('room_temperature{room="a\\\\b\\"c"}') == {21.5}, what="a scrape")
    for selector, value in (("requests_total", 7), ('latency_seconds_bucket{le="0.1"}', 1), ('latency_seconds_bucket{le="1"}', 3),
                            ('latency_seconds_bucket{le="+Inf"}', 6), ("latency_seconds_count", 6), ("latency_seconds_sum", 4.5),
                            ("target_info", 1), ('up{job="weir"}', 1)):
        assert values(selector) == {value}, (selector, victoria.export(selector))
    assert weir.stop() == 0


if __name__ == "__main__":
    weirtest.main()
