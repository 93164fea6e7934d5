#!/usr/bin/python3
"""Remote write into a real Prometheus: every kind of series is queried back and compared with what was sent."""
import sys
import time

import weirtest

try:
    from remote_write_peers import NOW_MS, Metrics, Prometheus, Sender, gauges
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(weirtest.SKIPPED)

STEP = 15_000
STEPS = 8
FIRST = NOW_MS - STEPS * STEP
TIMES = [FIRST + n * STEP for n in range(STEPS)]


def start(stage, more="", **settings):
    prometheus = Prometheus(stage)
    return prometheus, Sender(stage, prometheus.port, more, **settings)


def finish(sender):
    sender.wait_empty()
    assert sender.items("dropped") == 0 and sender.items("refused") == 0
    assert sender.weir.stop() == 0


def one(prometheus, selector):
    found = prometheus.samples(selector)
    assert len(found) == 1, (selector, found)
    labels, samples = found[0]
    return labels, samples


def numbers(samples):
    return [(ms, float(value)) for ms, value in samples]


def test_stores_gauges_and_counters(stage):
    prometheus, sender = start(stage, "external_labels: {cluster: west}")
    for n, ms in enumerate(TIMES):
        sender.send_ok(Metrics().gauge("room.temperature", 20 + n, ms, room="a b")
                       .counter("requests", 10 * n, ms, FIRST, unit="1", code="200").request)
    finish(sender)
    labels, samples = one(prometheus, "room_temperature")
    assert labels == {"__name__": "room_temperature", "room": "a b", "job": "shop", "instance": "i1", "cluster": "west"}, labels
    assert numbers(samples) == [(ms, 20 + n) for n, ms in enumerate(TIMES)]
    _, samples = one(prometheus, 'requests_total{code="200"}')
    assert numbers(samples) == [(ms, 10 * n) for n, ms in enumerate(TIMES)]
    labels, _ = one(prometheus, "target_info")
    assert labels["host_name"] == "h"


def test_stores_accumulated_deltas(stage):
    prometheus, sender = start(stage)
    for n, ms in enumerate(TIMES):
        sender.send_ok(Metrics().counter("parts", 3, ms, ms - STEP, temporality=1).request)
    finish(sender)
    _, samples = one(prometheus, "parts_total")
    assert numbers(samples) == [(ms, 3 * (n + 1)) for n, ms in enumerate(TIMES)]


def test_stores_classic_histograms(stage):
    prometheus, sender = start(stage)
    for n, ms in enumerate(TIMES):
        sender.send_ok(Metrics().histogram("latency", [n, 2 * n, 1], [0.1, 1], 0.5 * n, ms, FIRST).request)
    finish(sender)
    for selector, value in (('latency_seconds_bucket{le="0.1"}', lambda n: n), ('latency_seconds_bucket{le=~"1|1.0"}', lambda n: 3 * n),
                            ('latency_seconds_bucket{le="+Inf"}', lambda n: 3 * n + 1), ("latency_seconds_count", lambda n: 3 * n + 1),
                            ("latency_seconds_sum", lambda n: 0.5 * n)):
        _, samples = one(prometheus, selector)
        assert numbers(samples) == [(ms, value(n)) for n, ms in enumerate(TIMES)], selector


def test_stores_native_histograms(stage):
    prometheus, sender = start(stage)
    for n, ms in enumerate(TIMES):
        sender.send_ok(Metrics().exponential("size", 1, 0, [1 + n, 0, 2], 9.5 + n, ms, FIRST, zero=1).request)
    finish(sender)
    for n, ms in enumerate(TIMES):
        found = prometheus.instant("size_seconds", ms)
        assert len(found) == 1, found
        histogram = found[0]["histogram"][1]
        assert (int(histogram["count"]), float(histogram["sum"])) == (4 + n, 9.5 + n), histogram
        counts = {round(float(upper), 3): float(count) for _, lower, upper, count in histogram["buckets"] if float(upper) > 1e-3}
        assert counts == {1.414: 1 + n, 2.828: 2}, counts


def test_stores_exemplars(stage):
    prometheus, sender = start(stage, "protobuf_message: prometheus.WriteRequest")
    sender.send_ok(Metrics().counter("requests", 1, NOW_MS, FIRST, exemplar=0.5).request)
    finish(sender)
    found = prometheus.get("query_exemplars", query="requests_total", start=(NOW_MS - 60000) / 1000, end=(NOW_MS + 60000) / 1000)
    assert len(found) == 1, found
    exemplar = found[0]["exemplars"][0]
    assert exemplar["labels"] == {"trace_id": bytes(range(16)).hex(), "span_id": bytes(range(8)).hex()}
    assert float(exemplar["value"]) == 0.5 and round(exemplar["timestamp"] * 1000) == NOW_MS


def test_shows_no_value_after_a_stale_marker(stage):
    prometheus, sender = start(stage)
    sender.send_ok(Metrics().gauge("g", 1, NOW_MS - 10000).request)
    sender.send_ok(Metrics().gone("g", NOW_MS - 5000).request)
    finish(sender)
    assert prometheus.instant("g", NOW_MS - 6000)
    assert prometheus.instant("g", NOW_MS - 4000) == []


def test_ends_series_that_are_not_seen_any_more(stage):
    prometheus, sender = start(stage, "series_expiry: 1s")
    now = int(time.time() * 1000)
    sender.send_ok(Metrics().gauge("g", 1, now).exponential("size", 0, 0, [1], 1, now).request)
    weirtest.wait_for(lambda: sender.figure("weir_exporter_prometheusremotewrite_ended_series") >= 3, what="series end")
    for selector in ("g", "size_seconds"):
        weirtest.wait_for(lambda s=selector: prometheus.instant(s, int(time.time() * 1000)) == [], what=f"{selector} has ended")
        assert prometheus.instant(selector, now + 1)
    finish(sender)


def test_loses_nothing_while_prometheus_is_gone(stage):
    """It is killed in the middle of a run and comes back with what it had."""
    prometheus, sender = start(stage)
    for n in range(5):
        sender.send_ok(gauges(200, FIRST + n * 1000))
    sender.wait_empty()
    prometheus.process.kill()
    for n in range(5, 20):
        sender.send_ok(gauges(200, FIRST + n * 1000))
    weirtest.wait_for(lambda: sender.figure("weir_exporter_retries") > 3, what="retries")
    sender.check_account()
    again = stage.process(*prometheus.process.child.args)
    weirtest.wait_for(prometheus.is_ready, what="Prometheus is back")
    finish(sender)
    found = prometheus.samples("a")
    assert len(found) == 200
    for _, samples in found:
        assert [ms for ms, _ in samples] == [FIRST + n * 1000 for n in range(20)]
    assert again.is_running()


def test_saves_all_but_what_prometheus_refuses(stage):
    """A sample too old for Prometheus among a thousand others: it answers 400, having stored the rest."""
    prometheus, sender = start(stage, "protobuf_message: prometheus.WriteRequest")
    sender.send_ok(gauges(1000, NOW_MS))
    sender.wait_empty()
    sender.send_ok(Metrics(instance="late").gauge("old", 1, NOW_MS - 48 * 3600_000).request)
    sender.send_ok(gauges(1000, NOW_MS + 1000))
    sender.wait_empty()
    assert sender.items("sent") == 2000 and sender.items("dropped") == 1
    found = prometheus.samples("a")
    assert len(found) == 1000 and all(len(samples) == 2 for _, samples in found)
    assert sender.weir.stop() == 0


if __name__ == "__main__":
    weirtest.main()
