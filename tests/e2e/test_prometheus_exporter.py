#!/usr/bin/python3
"""The prometheus exporter: what comes by OTLP is what python's prometheus_client and a real Prometheus read on its page."""
import http.client
import json
import math
import re
import subprocess
import time
import urllib.error
import urllib.request

import prometheus_server
import weirtest

try:
    from prometheus_client.openmetrics import parser as openmetrics_parser
    from prometheus_client import parser as text_parser
except ImportError:
    openmetrics_parser = text_parser = None

CONFIG = """
    receivers: {{otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:{otlp}"}}}}}}}}
    {more}
    exporters: {{prometheus: {{endpoint: "127.0.0.1:{page}"{options}}}}}
    service:
      {service}
      telemetry: {{metrics: {{port: "${{env:METRICS_PORT}}"}}}}
      pipelines: {{metrics: {{receivers: [otlp], exporters: [prometheus]}}}}
"""
OPENMETRICS = "application/openmetrics-text;version=1.0.0"
PROTOBUF = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
TRACE, SPAN = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174"
SECOND = 10**9


class Subject:
    """weir with the exporter, and what is sent to it."""

    def __init__(self, stage, options="", more="", service=""):
        self.otlp, self.port = weirtest.free_port(), weirtest.free_port()
        self.weir = stage.weir(CONFIG.format(otlp=self.otlp, page=self.port, options=options, more=more, service=service))

    def send(self, *metrics, attributes=None):
        """One request with one resource; the answer."""
        attributes = attributes or {"service.name": "shop", "service.instance.id": "one", "host.name": "h"}
        body = {"resourceMetrics": [{"resource": {"attributes": as_attributes(attributes)},
                                     "scopeMetrics": [{"metrics": list(metrics)}]}]}
        request = urllib.request.Request(f"http://127.0.0.1:{self.otlp}/v1/metrics", json.dumps(body).encode(),
                                         {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=weirtest.PATIENCE) as answer:
            return json.load(answer)

    def get(self, path="/metrics", method="GET", **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=weirtest.PATIENCE)
        connection.request(method, path, headers={k.replace("_", "-"): v for k, v in headers.items()})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer, body

    def page(self, accept="text/plain"):
        answer, body = self.get(accept=accept)
        assert answer.status == 200, answer.status
        return body.decode()

    def values(self, name):
        """[(labels, value)] of a name on the page."""
        return [(dict(labels), value) for (n, labels), value in weirtest.parse_metrics(self.page()).items() if n == name]

    def value(self, name):
        values = self.values(name)
        return values[0][1] if len(values) == 1 else None

    def dropped(self, reason):
        return self.weir.figure("weir_exporter_prometheus_dropped_points", reason=reason)


def as_attributes(attributes):
    return [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()]


def point(value=None, at=None, start=None, labels=None, **more):
    at = at or time.time_ns()
    p = {"timeUnixNano": str(at), "startTimeUnixNano": str(start or at - 60 * SECOND), "attributes": as_attributes(labels or {}), **more}
    if value is not None:
        p["asDouble"] = value
    return p


def counter(name, *points, delta=False, **more):
    return {"name": name, "sum": {"aggregationTemporality": 1 if delta else 2, "isMonotonic": True, "dataPoints": list(points)}, **more}


def gauge(name, *points, **more):
    return {"name": name, "gauge": {"dataPoints": list(points)}, **more}


def histogram(name, counts, bounds, total, **more):
    p = point(count=str(sum(counts)), sum=total, bucketCounts=[str(c) for c in counts], explicitBounds=bounds, **more)
    return {"name": name, "unit": "s", "histogram": {"aggregationTemporality": 2, "dataPoints": [p]}}


def exponential(name, counts, offset, zero, total, scale=3, temporality=2, **more):
    p = point(count=str(sum(counts) + zero), sum=total, scale=scale, zeroCount=str(zero),
              positive={"offset": offset, "bucketCounts": [str(c) for c in counts]}, **more)
    return {"name": name, "exponentialHistogram": {"aggregationTemporality": temporality, "dataPoints": [p]}}


def exemplar(value):
    return {"timeUnixNano": str(time.time_ns()), "asDouble": value, "traceId": TRACE, "spanId": SPAN}


def everything():
    return [
        counter("http.requests", point(42, labels={"path": "/a\n\"b\"\\"}, exemplars=[exemplar(1.5)]), unit="1",
                description="Requests \\ of\ntwo \"lines\"."),
        gauge("temperature", point(-21.5, labels={"room": "1"}), point(1e300, labels={"room": "2"}), unit="Cel"),
        gauge("odd", *[point(v, labels={"v": str(i)}) for i, v in enumerate([0.1, 1 / 3, 5e-324, 123456789012345680.0])]),
        histogram("latency", [1, 2, 3], [0.1, 1000000], 3.25, exemplars=[exemplar(0.05), exemplar(7)]),
        {"name": "size", "summary": {"dataPoints": [point(count="6", sum=3.5, quantileValues=[
            {"quantile": 0.5, "value": 1}, {"quantile": 1, "value": 2}])]}},
        exponential("work", [1, 0, 4], -2, 1, 3.25),
    ]


EXPECTED = {
    "http_requests_total": [42], "temperature_celsius": [-21.5, 1e300], "odd": [5e-324, 0.1, 1 / 3, 123456789012345680.0],
    "latency_seconds_bucket": [1, 3, 6], "latency_seconds_sum": [3.25], "latency_seconds_count": [6],
    "size": [1, 2], "size_sum": [3.5], "size_count": [6], "target_info": [1],
    "work_bucket": [6], "work_sum": [3.25], "work_count": [6],
}


def check_families(families):
    seen = {}
    for family in families:
        for sample in family.samples:
            seen.setdefault(sample.name, []).append(sample.value)
            assert sample.labels["job"] == "shop" and sample.labels["instance"] == "one", sample
    assert {name: sorted(values) for name, values in seen.items()} == EXPECTED, seen


def need_parsers():
    if not text_parser:
        weirtest.skip("python3-prometheus-client is not installed")


def test_text_reads_back_what_was_sent(stage):
    need_parsers()
    subject = Subject(stage)
    subject.send(*everything())
    answer, body = subject.get(accept=OPENMETRICS)  # it is not given unless enable_open_metrics says so
    assert answer.getheader("content-type") == "text/plain; version=0.0.4; charset=utf-8"
    families = list(text_parser.text_string_to_metric_families(body.decode()))
    check_families(families)
    assert {f.name: f.type for f in families} == {
        "http_requests": "counter", "temperature_celsius": "gauge", "odd": "gauge", "latency_seconds": "histogram",
        "size": "summary", "work": "histogram", "target_info": "gauge"}
    requests = families[0]
    assert requests.documentation == "Requests \\ of\ntwo \"lines\"."
    assert requests.samples[0].labels["path"] == "/a\n\"b\"\\"
    promtool = subprocess.run(["promtool", "check", "metrics"], input=body, capture_output=True, check=False)
    assert promtool.returncode in (0, 3), promtool.stderr  # 3: matters of taste
    assert subject.weir.stop() == 0


def test_openmetrics_reads_back_what_was_sent(stage):
    need_parsers()
    subject = Subject(stage, ", enable_open_metrics: true, send_timestamps: true")
    subject.send(*everything())
    answer, body = subject.get(accept=OPENMETRICS)
    assert answer.getheader("content-type") == "application/openmetrics-text; version=1.0.0; charset=utf-8"
    families = list(openmetrics_parser.text_string_to_metric_families(body.decode()))
    check_families(families)
    assert {f.name: (f.type, f.unit) for f in families} == {
        "http_requests": ("counter", ""), "temperature_celsius": ("gauge", "celsius"), "odd": ("gauge", ""),
        "latency_seconds": ("histogram", "seconds"), "size": ("summary", ""), "work": ("histogram", ""), "target": ("info", "")}
    exemplars = {s.labels.get("le", s.name): s.exemplar for f in families for s in f.samples if s.exemplar}
    assert set(exemplars) == {"http_requests_total", "0.1", "1e+06"}, exemplars
    assert exemplars["0.1"].labels == {"trace_id": TRACE, "span_id": SPAN} and exemplars["0.1"].value == 0.05
    assert abs(float(families[0].samples[0].timestamp) - time.time()) < 60
    assert body.endswith(b"# EOF\n")
    assert subject.weir.stop() == 0


def test_a_real_prometheus_reads_what_was_sent(stage):
    subject = Subject(stage, ", enable_open_metrics: true")
    jobs = [{"job_name": "weir", "honor_labels": True, "static_configs": [{"targets": [f"127.0.0.1:{subject.port}"]}]}]
    prometheus = prometheus_server.start(stage, jobs=jobs)
    subject.send(*everything())
    weirtest.wait_for(lambda: prometheus.query("temperature_celsius"), what="a scrape")
    for name, values in EXPECTED.items():
        if not name.startswith("work"):
            assert sorted(v for _, v in prometheus.query(name)) == values, (name, prometheus.query(name))
    assert prometheus.query("histogram_count(work)")[0][1] == 6
    assert prometheus.query("histogram_sum(work)")[0][1] == 3.25
    # Buckets of OTLP at scale 3: (2^(i/8), 2^((i+1)/8)] with i = -2 (1 observation) and 0 (4); one is zero.
    assert prometheus.query("histogram_fraction(0, 1e-100, work)")[0][1] > 0
    upper = prometheus.query("histogram_quantile(1, work)")[0][1]
    assert math.isclose(upper, 2 ** (1 / 8), rel_tol=1e-9), upper
    assert [labels["le"] for labels, _ in prometheus.query("sort(latency_seconds_bucket)")] == ["0.1", "1e+06", "+Inf"]
    found = weirtest.wait_for(lambda: prometheus.ask("query_exemplars", query="latency_seconds_bucket", start=time.time() - 600, end=time.time() + 60))
    assert {float(e["value"]) for series in found for e in series["exemplars"]} == {0.05, 7}, found
    assert found[0]["exemplars"][0]["labels"] == {"trace_id": TRACE, "span_id": SPAN}
    metadata = prometheus.ask("metadata", metric="http_requests_total") or prometheus.ask("metadata", metric="http_requests")
    assert next(iter(metadata.values()))[0]["type"] == "counter", metadata
    assert subject.weir.figure("weir_exporter_prometheus_scrapes", format="protobuf") > 0
    # What is gone is marked as stale by Prometheus itself.
    subject.send(gauge("temperature", point(labels={"room": "1"}, flags=1), unit="Cel"))
    weirtest.wait_for(lambda: len(prometheus.query("temperature_celsius")) == 1, what="a stale marker")
    assert prometheus.query("temperature_celsius")[0][1] == 1e300
    assert subject.weir.stop() == 0


def test_deltas_add_up(stage):
    subject = Subject(stage)
    now, start = time.time_ns(), time.time_ns() - 600 * SECOND
    for i in range(5):
        at = start + (i + 1) * SECOND
        subject.send(counter("sent", point(10, at=at, start=at - SECOND), delta=True),
                     exponential("work", [1, 2], 0, 0, 1.5, temporality=1, at=at, start=at - SECOND))
    assert subject.value("sent_total") == 50
    assert subject.value("work_count") == 15 and subject.value("work_sum") == 7.5
    subject.send(counter("sent", point(10, at=start + SECOND, start=start), delta=True))  # it was added already
    assert subject.value("sent_total") == 50
    assert subject.dropped("late") == 1
    subject.send(counter("sent", point(1, at=now, start=now - SECOND), delta=True))  # after a gap
    assert subject.value("sent_total") == 51
    assert subject.weir.stop() == 0


def test_equal_labels_from_several_sources_add_up(stage):
    """Two processes without an instance id, and then one of them anew."""
    subject = Subject(stage)
    who, now = {"service.name": "shop"}, time.time_ns() - 100 * SECOND
    first, second, third = now - 50 * SECOND, now - 49 * SECOND, now + 5 * SECOND

    def report(value, start, at):
        subject.send(counter("sent", point(value, at=at, start=start)), histogram("latency", [value, 1], [1.0], value, at=at, start=start),
                     exponential("work", [value, 1], 0, 0, value, at=at, start=start), attributes=who)

    report(100, first, now)
    assert subject.value("sent_total") == 100
    report(7, second, now)  # at the same time
    assert subject.value("sent_total") == 107
    report(101, first, now + SECOND)
    report(8, second, now + SECOND - 1000000)  # of an older time than what came last, but of its source not
    assert subject.value("sent_total") == 109
    assert subject.value("latency_seconds_count") == 111 and subject.value("latency_seconds_sum") == 109
    assert [v for _, v in subject.values("latency_seconds_bucket")] == [109, 111]
    assert subject.value("work_count") == 111 and subject.value("work_sum") == 109
    report(3, third, now + 10 * SECOND)  # the first one, started anew: nothing falls
    assert subject.value("sent_total") == 112
    subject.send(counter("sent", point(100, at=now, start=first)), attributes=who)  # late
    assert subject.value("sent_total") == 112
    assert subject.dropped("late") == 1
    assert subject.weir.stop() == 0


def test_what_is_not_seen_expires(stage):
    subject = Subject(stage, ", metric_expiration: 2s")
    subject.send(gauge("old", point(1)), gauge("kept", point(1)))
    assert subject.value("old") == 1
    end = time.monotonic() + weirtest.PATIENCE
    while subject.value("old") is not None:
        subject.send(gauge("kept", point(2)))
        assert time.monotonic() < end
        time.sleep(0.1)
    assert subject.value("kept") == 2
    assert subject.weir.figure("weir_exporter_prometheus_series_ended") >= 1
    subject.send(gauge("old", point(3)))
    assert subject.value("old") == 3
    assert "# TYPE old gauge" in subject.page()
    assert subject.weir.stop() == 0


def test_a_point_without_a_value_hides_only_its_series(stage):
    subject = Subject(stage)
    for name in ("one", "two"):
        subject.send(counter("sent", point(5, labels={"n": name})), gauge("level", point(5, labels={"n": name})))
    subject.send(counter("sent", point(labels={"n": "one"}, flags=1)), gauge("level", point(labels={"n": "one"}, flags=1)))
    assert [labels["n"] for labels, _ in subject.values("sent_total")] == ["two"]
    assert [labels["n"] for labels, _ in subject.values("level")] == ["two"]
    subject.send(counter("sent", point(6, labels={"n": "one"})))
    assert sorted(v for _, v in subject.values("sent_total")) == [5, 6]
    assert subject.weir.stop() == 0


def test_of_two_types_under_one_name_the_first_stays(stage):
    subject = Subject(stage)
    subject.send(gauge("thing", point(1)))
    answer = subject.send({"name": "thing", "sum": {"aggregationTemporality": 2, "isMonotonic": False, "dataPoints": [point(2)]}},
                          histogram("other", [1], [], 1), gauge("other_seconds", point(2)))
    assert subject.value("other_seconds_count") == 1 and subject.value("other_seconds") is None
    assert int(answer["partialSuccess"]["rejectedDataPoints"]) == 1, answer
    assert subject.dropped("conflict") == 1
    assert subject.page().count("# TYPE other_seconds ") == 1
    assert len(re.findall("are not shown: a metric of the same name", subject.weir.stderr())) == 1
    assert subject.weir.stop() == 0


def test_series_are_bounded(stage):
    subject = Subject(stage, ", max_series: 100")
    answer = subject.send(gauge("many", *[point(i, labels={"i": str(i)}) for i in range(1000)]))
    assert int(answer["partialSuccess"]["rejectedDataPoints"]) >= 900
    assert len(subject.values("many")) in (99, 100)
    assert subject.dropped("series_limit") >= 900
    subject.send(gauge("many", *[point(-1, labels={"i": str(i)}) for i in range(1000)]))
    assert {v for _, v in subject.values("many")} == {-1}  # those that are there go on
    assert subject.weir.stop() == 0


def test_names_labels_and_resources_as_the_options_say(stage):
    subject = Subject(stage, """, namespace: my, const_labels: {zone: a}, without_scope_info: true, add_metric_suffixes: false,
        resource_constant_labels: {included: ["*"], excluded: [secret]}""")
    subject.send(counter("http.requests", point(1), unit="s"),
                 attributes={"service.name": "shop", "host.name": "h", "secret": "s"})
    (labels, value), = subject.values("my_http_requests")
    assert value == 1 and labels["zone"] == "a" and labels["host_name"] == "h" and "secret" not in labels, labels
    assert subject.weir.stop() == 0


def test_utf8_names_are_given_to_who_asks_for_them(stage):
    subject = Subject(stage, ", translation_strategy: NoTranslation, enable_open_metrics: true")
    subject.send(counter("http.requests", point(1, labels={"a.b": "c"})))
    assert '\nhttp_requests{a_b="c",' in subject.page()
    for accept in ("text/plain;version=1.0.0;escaping=allow-utf-8", OPENMETRICS + ";escaping=allow-utf-8"):
        answer, body = subject.get(accept=accept)
        assert "escaping=allow-utf-8" in answer.getheader("content-type")
        assert b'\n{"http.requests","a.b"="c",' in body, body
    assert subject.weir.stop() == 0


def test_answers_what_else_is_asked(stage):
    subject = Subject(stage, ", max_concurrent_scrapes: 2")
    subject.send(gauge("many", *[point(i, labels={"i": str(i), "x": "y" * 1000}) for i in range(20000)]))
    for path, method, status in (("/", "GET", 404), ("/metrics/", "GET", 404), ("/metrics", "POST", 405), ("/metrics", "DELETE", 405),
                                 ("/metrics?x=y", "GET", 200), ("/metrics", "HEAD", 200)):
        answer, body = subject.get(path, method)
        assert answer.status == status, (path, method, answer.status)
        assert method != "HEAD" or body == b""
    answer, body = subject.get(accept_encoding="gzip;q=0")
    assert answer.getheader("content-encoding") is None and body.startswith(b"# TYPE many")
    # Clients that do not read hold their places; nobody else has to wait for them.
    slow = [http.client.HTTPConnection("127.0.0.1", subject.port, timeout=weirtest.PATIENCE) for _ in range(2)]
    for connection in slow:
        connection.request("GET", "/metrics")
        connection.getresponse().read(10)
    answer, body = subject.get()
    assert answer.status == 503 and b"max_concurrent_scrapes" in body and answer.getheader("retry-after") == "1"
    for connection in slow:
        connection.close()
    weirtest.wait_for(lambda: subject.get()[0].status == 200, what="places are free again")
    assert subject.weir.figure("weir_exporter_prometheus_scrapes_refused") >= 1
    assert subject.weir.figure("weir_exporter_prometheus_scrapes_broken") == 2
    assert subject.weir.stop() == 0


def test_tls_http2_and_authentication(stage):
    weirtest.need_programs("curl")
    folder = stage.certificates()
    subject = Subject(stage, f', tls: {{cert_file: "{folder}/server.pem", key_file: "{folder}/server.key"}}, auth: {{authenticator: bearertokenauth}}',
                      more="extensions: {bearertokenauth: {token: secret}}", service="extensions: [bearertokenauth]")
    subject.send(gauge("many", *[point(i, labels={"i": str(i)}) for i in range(5000)]))

    def fetch(*arguments):
        return subprocess.run(["curl", "-s", "-k", *arguments, "-w", "\n%{http_version} %{http_code}", f"https://localhost:{subject.port}/metrics"],
                              capture_output=True, text=True, check=False).stdout

    assert fetch().endswith("\n2 401")
    for version, name in (("--http2", "2"), ("--http1.1", "1.1")):
        for more in ([], ["--compressed"]):
            text = fetch(version, "-H", "Authorization: Bearer secret", *more)
            assert text.endswith(f"\n{name} 200"), text[-200:]
            assert text.count("\nmany{") == 5000
    assert subject.weir.stop() == 0


def test_a_hundred_thousand_series(stage):
    """Prints what a scrape costs. Others are answered meanwhile."""
    subject = Subject(stage, ", enable_open_metrics: true")
    count = 100000
    for first in range(0, count, 5000):
        subject.send(counter("many", *[point(i, labels={"i": str(i), **{f"label_{k}": f"value {k} {i % 10}" for k in range(7)}})
                                       for i in range(first, first + 5000)]))
    formats = {"text": "text/plain", "openmetrics": OPENMETRICS, "protobuf": PROTOBUF}
    for name, accept in formats.items():
        for encoding in ("identity", "gzip"):
            start = time.monotonic()
            answer, body = subject.get(accept=accept, accept_encoding=encoding)
            took = time.monotonic() - start
            assert answer.status == 200
            if encoding == "identity" and name != "protobuf":
                assert body.count(b"\nmany_total{") == count
            print(f"{count} series, {name} {encoding}: {len(body)} bytes in {took * 1000:.0f} ms", flush=True)
    longest = subject.weir.figure("weir_exporter_prometheus_scrape_piece_seconds_max")
    print(f"longest piece: {longest * 1000:.2f} ms", flush=True)
    assert longest < 0.5  # on a busy machine, with sanitizers
    assert subject.weir.stop() == 0


if __name__ == "__main__":
    weirtest.main(at_once=2)
