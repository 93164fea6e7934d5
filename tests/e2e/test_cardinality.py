#!/usr/bin/python3
"""cardinality_limit between an OTLP receiver and a judge: however many series come, no more than the limits go, and every total
is the input's, to the last unit.

WEIR_CARDINALITY_SERIES=10000000, with a release binary and without ctest and its time limit, is the whole of it."""
import collections
import glob
import os
import random
import re
import struct
import subprocess
import time

import grpc
import judge
import weirtest

SERIES = int(os.environ.get("WEIR_CARDINALITY_SERIES", "200000"))
PATIENCE = max(120, SERIES / 10000)
POINTS = 5000  # of a request
UNDER_WAY = 4  # requests
VARIANTS = 16  # different values
BEGIN = 1_700_000_000 * 10**9  # the start of all series, ns
DELTA, CUMULATIVE = 1, 2
MIB = 1 << 20

MESSAGES = judge.MESSAGES

CONFIG = """
    receivers: {{otlp: {{protocols: {{grpc: {{endpoint: "127.0.0.1:{port}"}}}}}}}}
    processors: {{cardinality_limit: {limits}}}
    exporters:
      otlp:
        endpoint: "127.0.0.1:{backend}"
        tls: {{insecure: true}}
        compression: none
        sending_queue: {{wait_for_result: true, batch: {{enabled: false}}}}
    service:
      telemetry: {{metrics: {{port: "${{env:METRICS_PORT}}"}}}}
      pipelines: {{metrics: {{receivers: [otlp], processors: [cardinality_limit], exporters: [otlp]}}}}
"""

SUM, HISTOGRAM, EXPONENTIAL = "sum", "histogram", "exponential_histogram"
METRICS = {  # by name: kind, temporality, share of all series
    "requests": (SUM, DELTA, 0.4), "bytes": (SUM, CUMULATIVE, 0.4),
    "latency": (HISTOGRAM, DELTA, 0.05), "duration": (HISTOGRAM, CUMULATIVE, 0.05),
    "size": (EXPONENTIAL, DELTA, 0.05), "age": (EXPONENTIAL, CUMULATIVE, 0.05)}


class Line:
    """OTLP in, cardinality_limit, OTLP out to a judge."""

    def __init__(self, stage, limits):
        self.stage, self.judge, self.port = stage, stage.server(judge.Judge()), weirtest.free_port()
        self.weir = stage.weir(CONFIG.format(port=self.port, backend=self.judge.port, limits=limits))
        channel = grpc.insecure_channel(f"127.0.0.1:{self.port}", [("grpc.max_send_message_length", -1)])
        stage.keep(channel, channel.close)
        self.call = channel.unary_unary(judge.export_path("metrics"), request_serializer=lambda r: r,
                                        response_deserializer=MESSAGES.response("metrics").FromString)
        self.calls = collections.deque()

    def send(self, request):
        """To its end; the requests that arrived for it."""
        before = len(self.judge.received)
        self.call(request.SerializeToString(), timeout=weirtest.PATIENCE)
        return [r["message"] for r in self.judge.received[before:]]

    def stream(self, requests):
        """Encoded ones, some at a time."""
        for request in requests:
            self.calls.append(self.call.future(request, timeout=weirtest.PATIENCE))
            if len(self.calls) >= UNDER_WAY:
                self.calls.popleft().result()
        while self.calls:
            self.calls.popleft().result()

    def figure(self, name, **labels):
        return self.weir.figure(f"weir_cardinality_limit_{name}", **labels)

    def memory(self, what):
        """VmRSS or VmHWM (the most so far), in bytes."""
        with open(f"/proc/{self.weir.pid}/status", encoding="ascii") as f:
            return int(re.search(rf"^{what}:\s+(\d+) kB$", f.read(), re.MULTILINE)[1]) * 1024

    def is_sanitized(self):
        return self.memory("VmSize") > 1 << 40  # shadow memory

    def bound(self):
        """As validate prints it."""
        path, = glob.glob(self.stage.path("config.*.yaml"))
        done = subprocess.run([weirtest.BINARY, "validate", "--config", path], capture_output=True, text=True, check=True,
                              env={**os.environ, "METRICS_PORT": "1"})
        return int(re.search(r"takes at most (\d+) MiB", done.stderr)[1]) * MIB


def points_out(message):
    """(metric, is delta, resource, attributes, point) of all points."""
    for group in message.resource_metrics:
        resource = tuple(sorted((a.key, str(a.value)) for a in group.resource.attributes))
        for scope in group.scope_metrics:
            for metric in scope.metrics:
                data = getattr(metric, metric.WhichOneof("data"))
                for point in data.data_points:
                    attributes = tuple(sorted((a.key, str(a.value.string_value or a.value.bool_value)) for a in point.attributes))
                    yield metric.name, data.aggregation_temporality == DELTA, resource, attributes, point


def told(point):
    """What a point tells: its value; of histograms count, sum and buckets; of exponential ones count, sum, zeros and others."""
    if hasattr(point, "as_int"):
        return (point.as_int,)
    buckets = point.bucket_counts if hasattr(point, "bucket_counts") else (point.zero_count, sum(point.positive.bucket_counts))
    return (point.count, point.sum, *buckets)


OVERFLOW = (("otel.metric.overflow", "True"),)


def plus(a, b):
    return tuple(x + y for x, y in zip(a, b)) if a else b


# ---- as many as one likes

def varint(n):
    return bytes([n]) if n < 128 else bytes([n & 127 | 128, *varint(n >> 7)])


def field(number, body):
    return varint(number << 3 | 2) + varint(len(body)) + body


def value_of(kind, variant, times):
    """As told() tells it, after so many exports of a cumulative series."""
    if kind == SUM:
        return ((variant + 1) * times,)
    counts = [variant * times, times, 2 * variant * times] if kind == HISTOGRAM else [variant * times, 3 * times]
    return (sum(counts), sum(counts) * 0.25, *counts)


class Stream:
    """Requests of a metric with one point for each of its series, that differ by client.id. The points are made by hand, since
    there are ten million: all that is before and behind the number of a series is encoded once for each of the values."""

    ID = b"%08d"

    def __init__(self, name, first, n):
        self.name, self.first, self.n = name, first, n
        self.kind, self.temporality, _ = METRICS[name]

    def _point(self, variant, times):
        """What is before the number, and what is behind it."""
        value = value_of(self.kind, variant, times if self.temporality == CUMULATIVE else 1)
        attributes = {SUM: 7, HISTOGRAM: 9, EXPONENTIAL: 1}[self.kind]
        head = struct.pack("<BQBQ", 2 << 3 | 1, BEGIN, 3 << 3 | 1, BEGIN + times * 10**9)
        pair = lambda key, text: field(attributes, field(1, key) + field(2, field(1, text)))
        head += pair(b"client.id", b"8" * 8) + pair(b"http.route", b"/orders/%x" % (variant % 4))
        if self.kind == SUM:
            tail = struct.pack("<Bq", 6 << 3 | 1, value[0])
        else:
            tail = struct.pack("<BQBd", 4 << 3 | 1, value[0], 5 << 3 | 1, value[1])
        if self.kind == HISTOGRAM:
            tail += field(6, struct.pack("<3Q", *value[2:])) + field(7, struct.pack("<2d", 1.0, 5.0))
        elif self.kind == EXPONENTIAL:  # at scale 0, from bucket -1 on
            tail += struct.pack("<BQ", 7 << 3 | 1, value[2]) + field(8, b"\x08\x01" + field(2, b"\0" + varint(value[3])))
        body = field(1, head + tail)
        at = body.index(b"8" * 8)
        return body[:at], body[at + 8:]

    def requests(self, times=1):
        parts = [self._point(v, times) for v in range(VARIANTS)]
        formats = [head.replace(b"%", b"%%") + self.ID + tail.replace(b"%", b"%%") for head, tail in parts]
        resource = field(1, field(1, field(1, b"service.name") + field(2, field(1, b"orders"))))
        for first in range(self.first, self.first + self.n, POINTS):
            end = min(first + POINTS, self.first + self.n)
            points = b"".join([formats[i % VARIANTS] % i for i in range(first, end)])
            data = points + bytes([2 << 3, self.temporality])
            if self.kind == SUM:
                data += bytes([3 << 3, 1])  # monotonic
            metric = field(1, self.name.encode()) + field({SUM: 7, HISTOGRAM: 9, EXPONENTIAL: 10}[self.kind], data)
            yield field(1, resource + field(2, field(2, metric)))

    def total(self, times=1):
        """What all of them come to. Deltas say the same each time."""
        if self.temporality == CUMULATIVE:
            times = 1, times
        else:
            times = times, 1
        whole = ()
        for variant in range(VARIANTS):
            series = len(range(self.first + (variant - self.first) % VARIANTS, self.first + self.n, VARIANTS))
            whole = plus(whole, tuple(x * series * times[0] for x in value_of(self.kind, variant, times[1])))
        return whole


def totals_out(messages):
    """Series and totals by metric, of streams whose cumulative series never begin anew."""
    series, deltas, latest = collections.defaultdict(set), {}, {}
    for name, is_delta, resource, attributes, point in (p for m in messages for p in points_out(m)):
        key = resource, attributes
        series[name].add(key)
        assert point.start_time_unix_nano == BEGIN, point
        if is_delta:
            deltas[name] = plus(deltas.get(name, ()), told(point))
        else:
            latest[name, key] = max(latest.get((name, key), (0, ())), (point.time_unix_nano, told(point)))
    for (name, _), (_, value) in latest.items():
        deltas[name] = plus(deltas.get(name, ()), value)
    return series, deltas


def test_however_many_come_no_more_than_the_limit_go(stage):
    limit, tracked = 1000, SERIES
    line = Line(stage, f"{{max_series: {7 * limit}, max_series_per_metric: {limit}, max_tracked: {tracked}}}")
    streams = [Stream(name, 0, int(SERIES * share)) for name, (_, _, share) in METRICS.items()]
    base, bound, begin, times = line.memory("VmRSS"), line.bound(), time.monotonic(), 2
    for time_ in range(1, times + 1):
        for stream in streams:
            line.stream(stream.requests(time_))
    seconds = time.monotonic() - begin
    series, totals = totals_out(r["message"] for r in line.judge.received)
    for stream in streams:
        assert totals[stream.name] == stream.total(times), (stream.name, totals[stream.name], stream.total(times))
        assert len(series[stream.name]) <= limit
        assert any(attributes == OVERFLOW for _, attributes in series[stream.name])
    assert sum(map(len, series.values())) <= 7 * limit
    # the books
    assert line.figure("series") == sum(map(len, series.values()))
    assert line.figure("series_limit") == 7 * limit and line.figure("tracked") <= line.figure("tracked_limit") == tracked
    assert line.figure("dropped_points") == 0
    passed = sum(len(series[name]) - 1 for name in METRICS)
    assert line.figure("folded_points") == times * (sum(s.n for s in streams) - passed)
    # the culprit
    for stream in streams:
        told_values = line.figure("attribute_values", metric=stream.name, attribute="client.id")
        assert abs(told_values - stream.n) < 0.35 * stream.n, (stream.name, told_values)
        assert re.search(rf"metric '{stream.name}' has reached its limit: .*most values: client\.id \(about \d+\)", line.weir.stderr())
    peak = line.memory("VmHWM")
    print(f"        {sum(s.n for s in streams)} series twice in {seconds:.1f} s ({seconds / times / SERIES * 1e6:.2f} us a point), "
          f"{sum(map(len, series.values()))} out; {base / MIB:.0f} MiB before, {peak / MIB:.0f} at most, bound {bound / MIB:.0f}")
    if not line.is_sanitized():  # their memory is not weir's
        assert peak <= base + bound + 64 * MIB, "more than the bound, what it had before, and batches under way"
    assert line.weir.stop() == 0


# ---- limits

def request_of(points, metric="requests", kind=SUM, temporality=CUMULATIVE, resource="orders"):
    """A request of (attributes, start, time, what it tells) each."""
    request = MESSAGES.request("metrics")()
    group = request.resource_metrics.add()
    a = group.resource.attributes.add()
    a.key, a.value.string_value = "service.name", resource
    out = group.scope_metrics.add().metrics.add()
    out.name = metric
    data = getattr(out, kind)
    data.aggregation_temporality = temporality
    if kind == SUM:
        data.is_monotonic = True
    for attributes, start, now, value in points:
        point = data.data_points.add()
        point.start_time_unix_nano, point.time_unix_nano = start, now
        for key, text in attributes.items():
            a = point.attributes.add()
            a.key, a.value.string_value = key, text
        if kind == SUM:
            point.as_int = value[0]
            continue
        point.count, point.sum = value[:2]
        if kind == HISTOGRAM:
            point.bucket_counts.extend(value[2:])
            point.explicit_bounds.extend([1.0, 5.0])
        else:
            point.zero_count = value[2]
            point.positive.bucket_counts.append(value[3])
    return request


def many(n, value=(1,)):
    return [({"client.id": str(i), "constant": "x"}, BEGIN, BEGIN + 10**9, value) for i in range(n)]


def test_limits_hold_for_each_metric_and_for_all(stage):
    line = Line(stage, """{max_series: 160, max_series_per_metric: 20, metrics: [
        {name: "http.*", max_series: 5}, {name: "queue.*", keep: [client.id], max_series: 70}]}""")
    found = collections.defaultdict(set)
    for metric in ("http.requests", "queue.reads", "other", "queue.writes", "last"):
        for resource in ("orders", "carts"):
            out = [p for m in line.send(request_of(many(100), metric, resource=resource)) for p in points_out(m)]
            assert sum(told(p[4])[0] for p in out) == 100, (metric, resource)
            found[metric] |= {p[2:4] for p in out}
    overflow = collections.Counter(metric for metric, keys in found.items() for _, attributes in keys if attributes == OVERFLOW)
    series = {metric: len(keys) - overflow[metric] for metric, keys in found.items()}
    # Of each one place is the overflow's; the last one meets the limit of all, of which a sixteenth is kept for overflow.
    assert series == {"http.requests": 4, "queue.reads": 69, "other": 19, "queue.writes": 58, "last": 0}, series
    assert overflow == dict.fromkeys(found, 2), overflow
    assert line.figure("series") == 160 and line.figure("overflow_series") == 10
    assert line.figure("dropped_points") == 0
    assert re.search(r"metric 'last' has reached the limit of all metrics: .*most values: client\.id of \S+ \(about \d+\)", line.weir.stderr())
    # There is no place for a further overflow.
    assert not line.send(request_of(many(100), "late"))
    assert line.figure("dropped_points", reason="max_series") == 100
    assert re.search("metric 'late' has reached the limit of all metrics: .* further ones are dropped", line.weir.stderr())
    assert line.weir.stop() == 0


def test_an_overflow_that_comes_in_is_not_said_to_be_ours(stage):
    line = Line(stage, "{max_series_per_metric: 5}")
    overflow = request_of([({}, BEGIN, BEGIN + 10**9, (7,))])
    a = overflow.resource_metrics[0].scope_metrics[0].metrics[0].sum.data_points[0].attributes.add()
    a.key, a.value.bool_value = "otel.metric.overflow", True
    out, = (p for m in line.send(overflow) for p in points_out(m))
    assert out[3] == OVERFLOW and told(out[4]) == (7,)
    assert line.figure("overflow_series") == 1 and "has reached" not in line.weir.stderr()
    out = [p for m in line.send(request_of(many(100))) for p in points_out(m)]
    assert sorted(told(p[4])[0] for p in out) == [1] * 4 + [7 + 96]
    assert re.search("metric 'requests' has reached its limit: 4 series of at most 5, .* are folded into", line.weir.stderr())
    assert line.weir.stop() == 0


def test_what_finds_no_place_is_dropped_and_counted(stage):
    line = Line(stage, "{max_series_per_metric: 10, max_tracked: 100}")
    for _ in range(2):
        out = [p for m in line.send(request_of(many(1000))) for p in points_out(m)]
        assert len(out) == 10 and sum(told(p[4])[0] for p in out) == 109
    assert line.figure("dropped_points", reason="max_tracked") == 2 * 891
    assert line.figure("folded_points") == 200
    assert line.figure("tracked") == line.figure("tracked_limit") == 100
    assert line.weir.stop() == 0


# ---- lives of sources

class Source:
    """A series of one metric: it restarts, sometimes without saying so, says things twice and late, and is silent at times."""

    def __init__(self, dice, number, kind, temporality):
        self.dice, self.temporality = dice, temporality
        self.counts = {SUM: 1, HISTOGRAM: 3, EXPONENTIAL: 2}[kind]
        self.attributes = {"client.id": str(number), "constant": "x"}
        self.start, self.value, self.before = 0, (), None

    def points(self, now):
        dice = self.dice
        if dice.random() < 0.25 and self.start:
            return
        steps = [dice.randrange(50) for _ in range(self.counts)]
        more = (sum(steps), sum(steps) * 0.25, *steps) if self.counts > 1 else (steps[0],)
        if self.temporality == DELTA:
            start, self.start = self.start or BEGIN, now
            yield self.attributes, start, now, more
            return
        if not self.start or dice.random() < 0.05:
            self.start, self.value = now - 10**9, ()  # and says so
        elif dice.random() < 0.03:
            self.value = ()
        self.value = plus(self.value, more)
        point = self.attributes, self.start, now, self.value
        yield point
        if dice.random() < 0.1:
            yield point
        if self.before and dice.random() < 0.1:
            yield self.before
        self.before = point


class Reader:
    """The slow reference: what somebody who reads series makes of them."""

    def __init__(self):
        self.series, self.total = {}, ()

    def read(self, messages):
        for _, is_delta, _, attributes, point in (p for m in messages for p in points_out(m)):
            start, now, value = point.start_time_unix_nano, point.time_unix_nano, told(point)
            known = self.series.get(attributes)
            if is_delta:
                self.total = plus(self.total, value)
            elif known and now < known[1]:
                continue
            elif known and start == known[0] and all(a >= b for a, b in zip(value, known[2])):
                self.total = plus(self.total, tuple(a - b for a, b in zip(value, known[2])))
            else:
                self.total = plus(self.total, value)
            self.series[attributes] = start, now, value


def test_restarts_late_points_and_duplicates_leave_the_totals_alone(stage):
    dice = random.Random(5)
    for limits, series in (("{max_series_per_metric: 8}", 8), ("{metrics: [{name: '*', drop: [client.id]}]}", 1),
                           ("{metrics: [{name: '*', keep: [client.id], max_series: 8}]}", 8), ("{}", 40)):
        line = Line(stage, limits)
        for name, (kind, temporality, _) in METRICS.items():
            sources = [Source(dice, i, kind, temporality) for i in range(40)]
            life = [p for turn in range(1, 31) for s in sources for p in s.points(BEGIN + turn * 10**10)]
            came, went = Reader(), Reader()
            while life:
                cut = dice.randrange(1, 200)
                request = request_of(life[:cut], name, kind, temporality)
                life = life[cut:]
                came.read([request])
                went.read(line.send(request))
                assert went.total == came.total, (limits, name)
            assert len(went.series) == series, (limits, name, len(went.series))
        assert line.figure("dropped_points") == 0
        assert (line.figure("folded_points") > 0) == ("max_series" in limits)
        assert (line.figure("merged_points") > 0) == ("metrics" in limits)
        assert line.weir.stop() == 0


def test_what_is_below_the_limits_goes_on_as_it_came(stage):
    """A field that nobody knows is still there, and attributes stand as they stood."""
    line = Line(stage, "{max_series_per_metric: 11}")
    group = request_of(many(10)).resource_metrics[0].SerializeToString()
    strange = MESSAGES.request("metrics").FromString(field(1, group + field(1001, b"unknown")))
    for _ in range(2):
        out, = line.send(strange)
        assert out.SerializeToString() == strange.SerializeToString()
    assert line.figure("series") == 10 and line.figure("folded_points") == 0
    assert line.weir.stop() == 0


if __name__ == "__main__":
    weirtest.main()
