#!/usr/bin/python3
"""The duties of a sender of remote write, 1.0 and 2.0, one test each, before a strict receiver that shares no code with weir
(judge_remote_write.py): first 1.0's, then 2.0's, then those of the compliance suite. What a real Prometheus makes of it is in
test_remote_write_prometheus.py."""
import math
import re
import struct
import sys
import time

import weirtest

try:
    import judge_remote_write
    import snappy
    from remote_write_peers import NOW_MS, Metrics, Sender, gauges, start_judge
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(weirtest.SKIPPED)

V1 = "protobuf_message: prometheus.WriteRequest"
V2 = "protobuf_message: io.prometheus.write.v2.Request"


def pair(stage, more="", script=None, knows=(1, 2), blind="415", **settings):
    judge = start_judge(stage, script, knows, blind)
    return judge, Sender(stage, judge.port, more, **settings)


def finish(judge, sender, samples=None):
    """All is answered; nothing was wrong with it."""
    sender.wait_empty()
    assert judge.violations == [], judge.violations[:5]
    if samples is not None:
        assert judge.count() == samples, (judge.count(), samples)
    assert sender.weir.stop() == 0


def everything(ms=NOW_MS):
    metrics = Metrics(region="Grüße")
    metrics.gauge("plain.gauge", 1.5, ms, path="/a/b", **{"http.method": "GET"})
    metrics.counter("requests", 7, ms, ms - 5000, unit="1", description="How many.", exemplar=0.5, code="200")
    metrics.histogram("latency", [1, 2, 3], [0.1, 1], 4.5, ms, ms - 5000, exemplar=0.05, route="/x")
    metrics.exponential("size", 2, -3, [1, 0, 4], 9.5, ms, ms - 5000, zero=2)
    return metrics.request


# ---- 1.0

def test_sends_the_headers_of_1_0(stage):
    judge, sender = pair(stage, V1)
    sender.send_ok(everything())
    finish(judge, sender)
    headers = {k.lower(): v for k, v in judge.requests[0].headers.items()}
    assert headers["content-type"] == "application/x-protobuf"
    assert headers["content-encoding"] == "snappy"
    assert headers["x-prometheus-remote-write-version"] == "0.1.0"
    assert re.fullmatch(r"weir/\S+ \(linux/\w+\)", headers["user-agent"])


def test_compresses_as_one_block_of_snappy(stage):
    judge, sender = pair(stage, V1)
    sender.send_ok(gauges(20000, NOW_MS))
    finish(judge, sender, 20000 + 1)
    for request in judge.requests:
        assert snappy.uncompress(request.body) == request.plain


def test_lets_nobody_override_its_headers(stage):
    for name in ("Content-Encoding", "content-type", "User-Agent", "X-Prometheus-Remote-Write-Version"):
        config = stage.path("bad.yaml")
        with open(config, "w", encoding="utf-8") as f:
            f.write("receivers: {otlp: {protocols: {http: {}}}}\n"
                    f"exporters: {{prometheusremotewrite: {{endpoint: 'http://a/b', headers: {{{name}: x}}}}}}\n"
                    "service: {pipelines: {metrics: {receivers: [otlp], exporters: [prometheusremotewrite]}}}\n")
        weir = stage.process("setarch", "-R", weirtest.BINARY, "--config", config)
        assert weir.wait() != 0
        assert "cannot be set" in weir.stderr(), weir.stderr()


def test_sends_the_headers_that_users_write(stage):
    judge, sender = pair(stage, "headers: {X-Scope-OrgID: shop}")
    sender.send_ok(everything())
    finish(judge, sender)
    assert {k.lower(): v for k, v in judge.requests[0].headers.items()}["x-scope-orgid"] == "shop"


def test_shows_who_it_is(stage):
    for extension, wanted in (("bearertokenauth: {token: secret}", "Bearer secret"),
                              ("basicauth: {client_auth: {username: me, password: secret}}", "Basic bWU6c2VjcmV0")):
        name = extension.split(":", maxsplit=1)[0]
        judge, sender = pair(stage, f"auth: {{authenticator: {name}}}", extensions=extension, extension_names=name)
        sender.send_ok(everything())
        finish(judge, sender)
        assert all({k.lower(): v for k, v in r.headers.items()}["authorization"] == wanted for r in judge.requests)
        assert "secret" not in sender.weir.stderr()


def test_counts_timestamps_in_milliseconds(stage):
    judge, sender = pair(stage, V1)
    sender.send_ok(gauges(1, NOW_MS))
    finish(judge, sender)
    assert [s.ms for s in judge.find(name="a")] == [NOW_MS]


def test_sorts_labels_and_escapes_their_names(stage):
    for version in (V1, V2):
        judge, sender = pair(stage, version + "\n        external_labels: {cluster: west, a_first: z}")
        sender.send_ok(Metrics().gauge("g", 1, **{"Z": "1", "a": "2", "B.c": "3", "9": "4", "é": "5", "z_": "6"}).request)
        finish(judge, sender)
        labels = [name for name, _ in next(k for k in judge.stored if ("__name__", "g") in k)]
        assert labels == sorted(labels) and "B_c" in labels and "cluster" in labels


def test_leaves_out_empty_labels(stage):
    judge, sender = pair(stage)
    sender.send_ok(Metrics().gauge("g", 1, empty="", full="x").request)
    finish(judge, sender)
    assert "empty" not in dict(next(k for k in judge.stored if ("__name__", "g") in k))


def test_keeps_the_samples_of_a_series_in_order(stage):
    """A third of all requests fails, by every way a request can fail; series are many and shards are few."""
    fates = [500, None, None, 429, None, judge_remote_write.HangUp, None, None, 503, None]
    state = {"calls": 0}

    def script(judge, request):
        state["calls"] += 1
        fate = fates[state["calls"] % len(fates)]
        if fate is judge_remote_write.HangUp:
            raise fate
        return fate
    for version in (V1, V2):
        judge, sender = pair(stage, version, script, queue=", num_consumers: 4, max_request_samples: 70")
        for step in range(30):
            sender.send_ok(gauges(200, NOW_MS + step * 1000))
        finish(judge, sender, 200 * 30 + 30)
        for n in range(200):
            assert [s.ms for s in judge.find(name="a", n=f"{n:05}")] == [NOW_MS + step * 1000 for step in range(30)]


def test_keeps_the_order_over_restarts_with_other_shards(stage):
    judge = start_judge(stage, lambda judge, request: 503 if len(judge.requests) % 3 == 0 else None)
    for run, shards in enumerate((5, 2, 9, 1)):
        sender = Sender(stage, judge.port, queue=f", num_consumers: {shards}")
        for step in range(5):
            sender.send_ok(gauges(100, NOW_MS + (5 * run + step) * 1000))
        finish(judge, sender, (5 * run + 5) * 101)


def test_has_one_request_of_a_series_in_flight(stage):
    """With slow answers and more samples at once: the receiver never sees a series in two requests at the same time."""
    open_series, overlaps = set(), []

    class Slow(judge_remote_write.JudgeRemoteWrite):
        def take(self, headers, body):
            with self.lock:
                request = self.read(headers, body)
                mine = {one.labels for one in request.series}
                overlaps.extend(mine & open_series)
                open_series.update(mine)
            time.sleep(0.05)
            with self.lock:
                open_series.difference_update(mine)
                self.requests.append(request)
                return 204, self.store(request), b""
    judge = Slow()
    stage.keep(judge, judge.stop)
    sender = Sender(stage, judge.port, queue=", num_consumers: 5")
    for step in range(20):
        sender.send_ok(gauges(100, NOW_MS + step * 1000))
    finish(judge, sender, 2000 + 20)
    assert not overlaps


def retries(stage, status, more=""):
    """Times of the attempts when the first four get that status."""
    def script(judge, request):
        return (status, {}, b"no") if len(judge.requests) <= 4 else None
    judge, sender = pair(stage, V2 + more, script, max_interval="2s", retry=", randomization_factor: 0, multiplier: 2")
    sender.send_ok(gauges(10, NOW_MS))
    finish(judge, sender, 11)
    same = [r for r in judge.requests if r.body == judge.requests[0].body]
    return [r.when for r in same]


def test_retries_5xx_with_growing_waits(stage):
    for status in (500, 502, 503, 504, 599):
        times = retries(stage, status, "\n        max_batch_request_parallelism: 1")
        waits = [b - a for a, b in zip(times, times[1:])]
        assert len(waits) == 4, waits
        assert all(0.001 <= w <= 60 for w in waits)
        assert all(b / a >= 0.8 for a, b in zip(waits, waits[1:])), waits
        assert waits[-1] > 2 * waits[0], waits


def test_retries_429(stage):
    assert len(retries(stage, 429, "\n        max_batch_request_parallelism: 1")) == 5


def test_obeys_retry_after(stage):
    for answer in ("2", "date"):
        def script(judge, request, answer=answer):
            if len(judge.requests) > 1:
                return None
            after = answer if answer != "date" else time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 3))
            return 429, {"Retry-After": after}, b"slowly"
        judge, sender = pair(stage, V2 + "\n        max_batch_request_parallelism: 1", script)
        sender.send_ok(gauges(10, NOW_MS))
        finish(judge, sender, 11)
        assert judge.requests[1].when - judge.requests[0].when >= 1.8


def test_gives_an_attempt_its_time_and_no_more(stage):
    class Silent(judge_remote_write.JudgeRemoteWrite):
        def take(self, headers, body):
            if len(self.requests) > 1:
                return super().take(headers, body)
            with self.lock:
                self.requests.append(self.read(headers, body))
            time.sleep(5)
            raise judge_remote_write.HangUp
    judge = Silent()
    stage.keep(judge, judge.stop)
    sender = Sender(stage, judge.port, V2 + "\n        max_batch_request_parallelism: 1\n        timeout: 300ms")
    sender.send_ok(gauges(10, NOW_MS))
    finish(judge, sender, 11)
    times = [r.when for r in judge.requests]
    assert len(times) == 3 and all(0.25 < b - a < 3 for a, b in zip(times, times[1:])), times


def test_never_retries_other_4xx(stage):
    for status in (401, 403, 404, 409, 410, 431):
        judge, sender = pair(stage, V2 + "\n        max_batch_request_parallelism: 1", lambda judge, request, s=status: s)
        sender.send_ok(gauges(10, NOW_MS))
        sender.wait_empty()
        assert sender.items("dropped") == 10 and sender.items("sent") == 0
        assert len(judge.requests) == 1
        assert sender.weir.stop() == 0


def test_sends_nothing_of_a_400_twice_when_nothing_can_be_saved(stage):
    judge, sender = pair(stage, V2 + "\n        split_refused: false\n        max_batch_request_parallelism: 1",
                         lambda judge, request: 400)
    sender.send_ok(gauges(10, NOW_MS))
    sender.wait_empty()
    assert len(judge.requests) == 1 and sender.items("dropped") == 10
    assert sender.weir.stop() == 0


def test_never_retries_2xx(stage):
    for status in (200, 202, 206):
        judge, sender = pair(stage, V1, lambda judge, request, s=status: (s, {}, b"taken"))
        sender.send_ok(gauges(10, NOW_MS))
        sender.wait_empty()
        assert sender.items("sent") == 10
        assert sum(len(r.series) for r in judge.requests) == 11
        assert sender.weir.stop() == 0


def test_never_follows_a_redirect(stage):
    judge, sender = pair(stage, V1, lambda judge, request: (307, {"Location": "/elsewhere"}, b""))
    sender.send_ok(gauges(10, NOW_MS))
    sender.wait_empty()
    assert sender.items("dropped") == 10
    assert sender.weir.stop() == 0


def test_logs_the_first_line_of_a_refusal(stage):
    judge, sender = pair(stage, V1, lambda judge, request: (403, {}, b"tenant is \x1b[31mgone\nsecond line"))
    sender.send_ok(gauges(10, NOW_MS))
    sender.wait_empty()
    sender.wait_log("answered HTTP status 403: tenant is ")
    assert "second line" not in sender.weir.stderr() and "\x1b" not in sender.weir.stderr()
    assert sender.figure("weir_exporter_prometheusremotewrite_refused_samples", status="403") == 11
    assert sender.weir.stop() == 0


def test_sends_a_stale_marker_when_a_series_ends(stage):
    for version in (V1, V2):
        judge, sender = pair(stage, version + "\n        series_expiry: 1s")
        sender.send_ok(everything())
        weirtest.wait_for(lambda j=judge: all(s[-1].bits == judge_remote_write.STALE for s in j.stored.values()) and j.stored,
                          what="stale markers")
        assert all(len(s) == 2 for s in judge.stored.values())
        finish(judge, sender)


def test_sends_a_stale_marker_for_no_recorded_value(stage):
    judge, sender = pair(stage)
    sender.send_ok(Metrics().gauge("g", 1, NOW_MS).request)
    sender.send_ok(Metrics().gone("g", NOW_MS + 1000).request)
    finish(judge, sender)
    assert [s.bits for s in judge.find(name="g")] == [judge_remote_write.bits_of(1.0), judge_remote_write.STALE]


def test_sends_stale_markers_when_it_stops(stage):
    judge, sender = pair(stage, "stale_markers: {on_shutdown: true}")
    sender.send_ok(gauges(3000, NOW_MS))
    sender.wait_empty()
    assert sender.weir.stop() == 0
    assert len(judge.stored) == 3001
    assert all([s.bits == judge_remote_write.STALE for s in samples] == [False, True] for samples in judge.stored.values())
    assert judge.violations == []


def test_sends_metadata_with_1_0_when_asked(stage):
    judge, sender = pair(stage, V1 + "\n        send_metadata: true")
    sender.send_ok(everything())
    sender.wait_empty()
    sender.send_ok(everything(NOW_MS + 1000))
    finish(judge, sender)
    told = [m for r in judge.requests for m in r.metadata]
    assert (1, "requests_total", "How many.", "") in told, told
    assert len(told) == len(set(told)), "told twice within a minute"
    assert {m[1]: m[0] for m in told}["latency_seconds"] == 3


def test_sends_no_metadata_with_1_0_unasked(stage):
    judge, sender = pair(stage, V1)
    sender.send_ok(everything())
    finish(judge, sender)
    assert not any(r.metadata for r in judge.requests)


# ---- 2.0

def test_sends_the_headers_of_2_0(stage):
    judge, sender = pair(stage)
    sender.send_ok(everything())
    finish(judge, sender)
    headers = {k.lower(): v for k, v in judge.requests[0].headers.items()}
    assert headers["content-type"] == "application/x-protobuf;proto=io.prometheus.write.v2.Request"
    assert headers["x-prometheus-remote-write-version"] == "2.0.0"


def test_begins_the_symbols_with_the_empty_one_and_repeats_none(stage):
    """The judge holds every request of 2.0 against that; here are many that share texts, also with exemplars."""
    judge, sender = pair(stage)
    metrics = Metrics()
    for n in range(500):
        metrics.counter(f"c{n % 7}", n, exemplar=float(n), trace_id="trace_id", label=f"c{n % 7}_total", n=str(n))
    sender.send_ok(metrics.request)
    finish(judge, sender, 501)
    assert all(r.version == 2 for r in judge.requests)


def test_holds_samples_or_histograms_in_a_series(stage):
    judge, sender = pair(stage)
    sender.send_ok(everything())
    finish(judge, sender)
    native = [s for samples in judge.stored.values() for s in samples if s.histogram]
    assert len(native) == 1 and native[0].histogram.count_int == 7


def test_sends_metadata_with_every_series(stage):
    judge, sender = pair(stage)
    sender.send_ok(everything())
    finish(judge, sender)
    metadata = {dict(one.labels)["__name__"]: one.metadata for r in judge.requests for one in r.series}
    assert metadata["requests_total"] == (1, "How many.", "")
    assert metadata["plain_gauge"][0] == 2
    assert metadata["latency_seconds_bucket"] == (3, "", "seconds")
    assert metadata["target_info"][0] in (2, 6)


def test_sends_start_timestamps(stage):
    judge, sender = pair(stage)
    sender.send_ok(everything())
    finish(judge, sender)
    for name in ("requests_total", "latency_seconds_count", "latency_seconds_sum", "size_seconds"):
        assert [s.start_ms for s in judge.find(name=name)] == [NOW_MS - 5000], name
    assert [s.start_ms for s in judge.find(name="plain_gauge")] == [0]


def test_sends_exemplars_with_their_time_and_trace(stage):
    for version in (V1, V2):
        judge, sender = pair(stage, version)
        sender.send_ok(everything())
        finish(judge, sender)
        exemplars = [(dict(one.labels)["__name__"], e) for r in judge.requests for one in r.series for e in one.exemplars]
        assert {name for name, _ in exemplars} == {"requests_total", "latency_seconds_bucket"}
        for _, (labels, value, ms) in exemplars:
            assert dict(labels)["trace_id"] == bytes(range(16)).hex() and ms == NOW_MS and value in (0.5, 0.05)


def test_takes_2xx_without_written_headers_for_415(stage):
    judge, sender = pair(stage, knows=(1,), blind=None)
    for step in range(3):
        sender.send_ok(gauges(50, NOW_MS + step))
    finish(judge, sender, 153)
    assert [r.version for r in judge.requests].count(2) == 1


def test_falls_back_to_1_0_after_415_and_stays(stage):
    judge, sender = pair(stage, knows=(1,))
    for step in range(3):
        sender.send_ok(gauges(50, NOW_MS + step))
        sender.wait_empty()
    finish(judge, sender, 153)
    versions = [r.version for r in judge.requests]
    assert versions[0] == 2 and set(versions[1:]) == {1}


def test_tries_1_0_when_the_first_2_0_gets_400(stage):
    judge, sender = pair(stage, knows=(1,), blind="400")
    for step in range(3):
        sender.send_ok(gauges(50, NOW_MS + step))
        sender.wait_empty()
    finish(judge, sender, 153)
    versions = [r.version for r in judge.requests]
    assert versions[0] == 2 and set(versions[1:]) == {1}


def test_changes_no_version_after_an_accepted_2_0(stage):
    judge, sender = pair(stage)
    sender.send_ok(gauges(50, NOW_MS))
    sender.wait_empty()
    judge.script = lambda judge, request: 415
    sender.send_ok(gauges(50, NOW_MS + 1))
    sender.wait_empty()
    assert sender.items("dropped") == 50
    judge.script = None
    sender.send_ok(gauges(50, NOW_MS + 2))
    finish(judge, sender, 102)
    assert {r.version for r in judge.requests} == {2}


def test_counts_what_a_partial_write_left_out(stage):
    def script(judge, request):
        return 400, {"X-Prometheus-Remote-Write-Samples-Written": str(len(request.series) - 1)}, b"one was bad"
    judge, sender = pair(stage, V2 + "\n        max_batch_request_parallelism: 1", script)
    sender.send_ok(gauges(100, NOW_MS))
    sender.wait_empty()
    assert len(judge.requests) == 1, "a partial write is not sent again"
    assert sender.figure("weir_exporter_dropped_items", reason="partial_rejected") == 1
    assert sender.items("sent") == 99
    assert sender.weir.stop() == 0


# ---- the compliance suite

def test_keeps_every_value(stage):
    values = [123.45, 0.0, -0.0, -15.5, math.inf, -math.inf, 1.7e308, 5e-324, 2e-308, 1.0]
    for version in (V1, V2):
        judge, sender = pair(stage, version)
        metrics = Metrics()
        for n, value in enumerate(values):
            metrics.gauge("v", value, n=str(n))
        metrics.gauge("v", struct.unpack("<d", struct.pack("<Q", 0x7ff8000000000001))[0], n="nan")
        sender.send_ok(metrics.request)
        finish(judge, sender)
        for n, value in enumerate(values):
            assert [s.bits for s in judge.find(name="v", n=str(n))] == [judge_remote_write.bits_of(value)], value
        assert math.isnan(judge_remote_write.value_of(judge.find(name="v", n="nan")[0].bits))


def test_keeps_long_and_unicode_values_and_future_times(stage):
    judge, sender = pair(stage)
    sender.send_ok(Metrics().gauge("v", 1, NOW_MS + 3600_000, long="x" * 5000, text="世界 🌍\n\"\\").request)
    finish(judge, sender)
    assert [s.ms for s in judge.find(name="v", long="x" * 5000, text="世界 🌍\n\"\\")] == [NOW_MS + 3600_000]


def test_counts_and_sums_histograms_right(stage):
    judge, sender = pair(stage)
    sender.send_ok(everything())
    finish(judge, sender)
    native = judge.find(name="size_seconds")[0].histogram
    assert (native.count_int, native.sum, native.schema, native.zero_count_int) == (7, 9.5, 2, 2)
    buckets = {dict(k)["le"]: judge_remote_write.value_of(s[0].bits) for k, s in judge.stored.items()
               if ("__name__", "latency_seconds_bucket") in k}
    assert buckets == {"0.1": 1, "1": 3, "+Inf": 6} or buckets == {"0.1": 1, "1.0": 3, "+Inf": 6}, buckets


def test_sends_between_three_and_ten_thousand_series_at_once(stage):
    # The judge is slow with so many: an attempt that is given up and comes late would look like disorder.
    judge, sender = pair(stage, "timeout: 60s", queue=", min_request_samples: 2000")
    for step in range(4):
        sender.send_ok(gauges(30000, NOW_MS + step))
    finish(judge, sender, 4 * 30001)
    assert all(3 <= len(r.series) <= 10000 for r in judge.requests), [len(r.series) for r in judge.requests]


def test_keeps_requests_below_their_size(stage):
    judge, sender = pair(stage, "max_batch_size_bytes: 20000")
    sender.send_ok(gauges(5000, NOW_MS, filler="y" * 200))
    finish(judge, sender, 5001)
    assert max(len(r.plain) for r in judge.requests) <= 20000


def test_survives_any_status_and_any_answer(stage):
    statuses = [100, 200, 204, 301, 304, 400, 401, 404, 408, 413, 418, 429, 451, 500, 501, 503, 599, 999]
    state = {"at": 0}

    def script(judge, request):
        state["at"] += 1
        if state["at"] > 2 * len(statuses):
            return None
        status = statuses[state["at"] % len(statuses)]
        if status == 100:
            raise judge_remote_write.HangUp
        return status, {"Retry-After": "0"}, b"x" * (2 << 20 if status == 503 else 10) if status not in (204, 304) else b""
    judge, sender = pair(stage, V1, script)
    for step in range(60):
        sender.send_ok(gauges(3, NOW_MS + step))
        time.sleep(0.02)
    sender.wait_empty()
    sender.check_account()
    judge.script = None
    sender.send_ok(gauges(3, NOW_MS + 100))
    sender.wait_empty()
    assert judge.find(name="a", n="00000")[-1].ms == NOW_MS + 100
    assert sender.weir.stop() == 0


# ---- outages: afterwards every sample that could be stored is there, once, in order

def steady(sender, series, steps):
    for step in range(steps):
        sender.send_ok(gauges(series, NOW_MS + step * 1000))


def whole(judge, series, steps, but=()):
    for n in range(series):
        if f"{n:05}" in but:
            continue
        times = [s.ms for s in judge.find(name="a", n=f"{n:05}")]
        assert times == [NOW_MS + step * 1000 for step in range(steps)], (n, len(times))


def test_loses_nothing_while_the_backend_is_gone(stage):
    judge = start_judge(stage)
    port = judge.port
    sender = Sender(stage, port)
    sender.send_ok(gauges(100, NOW_MS))
    sender.wait_empty()
    judge.stop()
    for step in range(1, 20):
        sender.send_ok(gauges(100, NOW_MS + step * 1000))
    weirtest.wait_for(lambda: sender.figure("weir_exporter_retries") > 5, what="retries")
    sender.check_account()
    assert sender.items("queued") == 1900
    back = judge_remote_write.JudgeRemoteWrite(port=port, stored=judge.stored)
    stage.keep(back, back.stop)
    finish(back, sender, 20 * 101)
    whole(back, 100, 20)


def test_loses_nothing_to_429_500_and_resets(stage):
    for fate in ((429, {"Retry-After": "1"}, b""), (500, {}, b"oh"), judge_remote_write.HangUp):
        begun = time.monotonic()

        def script(judge, request, fate=fate, begun=begun):
            if time.monotonic() - begun > 2:
                return None
            if fate is judge_remote_write.HangUp:
                raise fate
            return fate
        judge, sender = pair(stage, script=script)
        steady(sender, 200, 20)
        finish(judge, sender, 20 * 201)
        whole(judge, 200, 20)


def test_counts_points_exactly_when_buckets_are_refused(stage):
    """Of a hundred histograms, among 1,001 series, two buckets of one are refused: that point is dropped, once, and no
    other."""
    def script(judge, request):
        bad = [{("n", "00037"), ("le", le)} for le in ("1", "1.0", "5", "5.0")]
        return (400, {}, b"no such bucket") if any(b <= set(one.labels) for b in bad for one in request.series) else None
    for version, more in ((V1, ""), (V2, ", num_consumers: 1"), ("", ", num_consumers: 9")):
        judge, sender = pair(stage, version, script, queue=more)
        for step in range(3):
            metrics = Metrics()
            for n in range(100):
                metrics.histogram("h", [1] * 8, [0.1, 0.5, 1, 2, 3, 4, 5], 4.5, NOW_MS + step, n=f"{n:05}")
            sender.send_ok(metrics.request)
        sender.wait_empty()
        assert (sender.items("received"), sender.items("sent"), sender.items("dropped")) == (300, 297, 3)
        assert sender.figure("weir_exporter_dropped_items", reason="permanent_error") == 3
        assert judge.count() == 3 * (100 * 10 + 1 - 2)
        assert sender.weir.stop() == 0


def test_saves_the_good_ones_when_one_series_among_a_thousand_is_refused(stage):
    """A receiver that stores nothing of a request with that series in it."""
    bad = "00437"

    def script(judge, request):
        return (400, {}, b"limit reached") if any(("n", bad) in one.labels for one in request.series) else None
    for version in (V1, V2, ""):
        judge, sender = pair(stage, version, script)
        steady(sender, 1000, 3)
        sender.wait_empty()
        whole(judge, 1000, 3, but=(bad,))
        assert judge.find(name="a", n=bad) == []
        assert sender.items("dropped") == 3 and sender.items("sent") == 2997, (sender.items("dropped"), sender.items("sent"))
        assert sender.figure("weir_exporter_prometheusremotewrite_refused_samples", status="400") == 3
        assert len(judge.requests) < 150, len(judge.requests)
        finish(judge, sender)


def test_stops_dividing_when_everything_is_refused(stage):
    judge, sender = pair(stage, V2, lambda judge, request: 400)
    for step in range(5):
        sender.send_ok(gauges(1000, NOW_MS + step))
    sender.wait_empty()
    assert sender.items("dropped") == 5000
    assert len(judge.requests) < 120, len(judge.requests)
    assert sender.weir.stop() == 0


def test_a_retry_holds_up_its_own_shard_only(stage):
    bad = "00003"

    def script(judge, request):
        return 503 if any(("n", bad) in one.labels for one in request.series) else None
    judge, sender = pair(stage, script=script, queue=", num_consumers: 8")
    sender.send_ok(gauges(400, NOW_MS))
    sender.send_ok(gauges(400, NOW_MS + 1))
    weirtest.wait_for(lambda: judge.count() > 400, what="the other shards go on")
    judge.script = None
    finish(judge, sender, 802)


def test_finds_the_version_out_past_a_shard_that_is_stuck(stage):
    """The first request of all, which asks for the version, gets 503 for good: the other shards ask after it."""
    def script(judge, request):
        stuck = {one.labels for one in judge.requests[0].series}
        return 503 if not judge.open_again and any(one.labels in stuck for one in request.series) else None
    for knows, blind in (((1, 2), "415"), ((1,), "415"), ((1,), "400"), ((1,), None)):
        judge = start_judge(stage, knows=(1, 2), blind=blind)
        judge.open_again = False

        read = judge.read

        def reading(headers, body, judge=judge, read=read, knows=knows):
            request = read(headers, body)
            first = not judge.requests or {one.labels for one in judge.requests[0].series} & {o.labels for o in request.series}
            judge.knows = (1, 2) if first and not judge.open_again else knows
            return request
        judge.read, judge.script = reading, script
        sender = Sender(stage, judge.port, queue=", num_consumers: 8")
        sender.send_ok(gauges(400, NOW_MS))
        sender.send_ok(gauges(400, NOW_MS + 1))
        weirtest.wait_for(lambda j=judge: j.count() > 400, what="the other shards go on")
        judge.open_again = True
        finish(judge, sender, 802)


def test_divides_also_while_it_stops(stage):
    bad = "00037"

    def script(judge, request):
        if not judge.open_again:
            return 503
        return (400, {}, b"no") if any(("n", bad) in one.labels for one in request.series) else None
    judge = start_judge(stage)
    judge.open_again, judge.script = False, script
    sender = Sender(stage, judge.port, V2, max_interval="20s")
    sender.send_ok(gauges(1000, NOW_MS))
    weirtest.wait_for(lambda: sender.figure("weir_exporter_retries") > 20, what="retries")
    judge.open_again = True
    assert sender.weir.stop() == 0
    whole(judge, 1000, 1, but=(bad,))


def test_refuses_whole_batches_when_the_queue_is_full(stage):
    judge, sender = pair(stage, script=lambda judge, request: 503, queue=", max_samples: 1000")
    statuses = [sender.send(gauges(300, NOW_MS + step))[0] for step in range(6)]
    assert statuses[0] == 200 and 503 in statuses, statuses
    sender.check_account()
    refused = [step for step, status in enumerate(statuses) if status == 503]
    judge.script = None
    sender.wait_empty()
    for step in refused:  # nothing of it was taken, so it comes in its order
        sender.send_ok(gauges(300, NOW_MS + step))
    finish(judge, sender)
    for n in range(300):
        assert [s.ms for s in judge.find(name="a", n=f"{n:05}")] == [NOW_MS + step for step in range(6)]


def test_holds_batches_back_when_told_to(stage):
    import threading  # pylint: disable=import-outside-toplevel
    judge, sender = pair(stage, script=lambda judge, request: 503, queue=", max_samples: 1000, block_on_overflow: true")
    for step in range(3):
        sender.send_ok(gauges(300, NOW_MS + step))
    answers = []
    held = threading.Thread(target=lambda: answers.append(sender.send(gauges(300, NOW_MS + 3))[0]))
    held.start()
    weirtest.wait_for(lambda: sender.figure("weir_exporter_blocked_requests") == 1, what="a held batch")
    assert not answers
    judge.script = None
    held.join()
    assert answers == [200]
    finish(judge, sender, 1204)


def test_answers_with_the_result_when_told_to(stage):
    judge, sender = pair(stage, script=lambda judge, request: 403, queue=", wait_for_result: true")
    status, text = sender.send(gauges(10, NOW_MS))
    assert status == 200 and text, "the client is told what was rejected"
    judge.script = None
    sender.send_ok(gauges(10, NOW_MS + 1))
    assert judge.find(name="a", n="00000")[-1].ms == NOW_MS + 1
    assert sender.weir.stop() == 0


if __name__ == "__main__":
    weirtest.main()
