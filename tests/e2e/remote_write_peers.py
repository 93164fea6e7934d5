"""What the tests of remote write share: weir with an OTLP receiver in front of the exporter, a sender of OTLP metrics, and a real
Prometheus."""
import http.client
import json
import time
import urllib.parse
import urllib.request

import judge
import judge_remote_write
import weirtest

MESSAGES = judge.MESSAGES
NOW_MS = int(time.time() * 1000)

CONFIG = """
    extensions: {{{extensions}}}
    receivers: {{otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:{port}"}}}}}}}}
    exporters:
      prometheusremotewrite:
        endpoint: "{backend}/api/v1/write"
        retry_on_failure: {{initial_interval: 50ms, max_interval: {max_interval}{retry}}}
        remote_write_queue: {{flush_timeout: 20ms{queue}}}
        {more}
    service:
      extensions: [{extension_names}]
      shutdown_timeout: 5s
      telemetry: {{metrics: {{port: "${{env:METRICS_PORT}}"}}}}
      pipelines: {{metrics: {{receivers: [otlp], exporters: [prometheusremotewrite]}}}}
"""


class Sender:
    """Sends OTLP metrics to a weir of its own."""

    def __init__(self, stage, backend, more="", queue="", retry="", max_interval="200ms", extensions="",
                 extension_names="", env=None):
        """backend: a port, or the beginning of a URL."""
        if isinstance(backend, int):
            backend = f"http://127.0.0.1:{backend}"
        self.port = weirtest.free_port()
        self.weir = stage.weir(CONFIG.format(port=self.port, backend=backend, more=more, queue=queue, retry=retry,
                                             max_interval=max_interval, extensions=extensions,
                                             extension_names=extension_names), env=env)

    def send(self, request):
        """The answer's status and JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("POST", "/v1/metrics", request.SerializeToString(), {"content-type": "application/x-protobuf"})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, text

    def send_ok(self, request):
        status, text = self.send(request)
        assert status == 200 and not text, (status, text)

    def figure(self, name, **labels):
        return self.weir.figure(name, **labels)

    def items(self, what):
        return self.figure(f"weir_exporter_{what}_items", exporter="prometheusremotewrite")

    def check_account(self):
        """received = refused + sent + dropped + queued, in one reading."""
        figures = self.weir.metrics()

        def total(what):
            return sum(v for (n, _), v in figures.items() if n == f"weir_exporter_{what}_items")
        assert total("received") == sum(map(total, ("refused", "sent", "dropped", "queued"))), figures

    def wait_empty(self, deadline=60):
        weirtest.wait_for(lambda: self.items("queued") == 0, deadline, "the queue is empty")
        self.check_account()

    def wait_log(self, text):
        weirtest.wait_for(lambda: text in self.weir.stderr(), what=f"the log says {text}")


class Metrics:
    """A request in the making."""

    def __init__(self, service="shop", instance="i1", **attributes):
        self.request = MESSAGES.request("metrics")()
        group = self.request.resource_metrics.add()
        for key, value in (("service.name", service), ("service.instance.id", instance), ("host.name", "h"), *attributes.items()):
            group.resource.attributes.add(key=key).value.string_value = value
        self.scope = group.scope_metrics.add()

    @staticmethod
    def _fill(point, ms, start_ms, labels):
        point.time_unix_nano = ms * 10**6
        point.start_time_unix_nano = start_ms * 10**6
        for key, value in labels.items():
            point.attributes.add(key=key).value.string_value = value
        return point

    def gauge(self, name, value, ms=NOW_MS, **labels):
        metric = self.scope.metrics.add(name=name)
        self._fill(metric.gauge.data_points.add(as_double=value), ms, 0, labels)
        return self

    def counter(self, name, value, ms=NOW_MS, start_ms=0, temporality=2, unit="", description="", exemplar=None, **labels):
        metric = self.scope.metrics.add(name=name, unit=unit, description=description)
        metric.sum.is_monotonic, metric.sum.aggregation_temporality = True, temporality
        point = self._fill(metric.sum.data_points.add(as_double=value), ms, start_ms, labels)
        if exemplar:
            point.exemplars.add(as_double=exemplar, time_unix_nano=ms * 10**6, trace_id=bytes(range(16)),
                                span_id=bytes(range(8)))
        return self

    def histogram(self, name, counts, bounds, total, ms=NOW_MS, start_ms=0, exemplar=None, **labels):
        metric = self.scope.metrics.add(name=name, unit="s")
        metric.histogram.aggregation_temporality = 2
        point = self._fill(metric.histogram.data_points.add(count=sum(counts), sum=total, bucket_counts=counts,
                                                            explicit_bounds=bounds), ms, start_ms, labels)
        if exemplar:
            point.exemplars.add(as_double=exemplar, time_unix_nano=ms * 10**6, trace_id=bytes(range(16)),
                                span_id=bytes(range(8)))
        return self

    def exponential(self, name, scale, offset, counts, total, ms=NOW_MS, start_ms=0, zero=0, **labels):
        metric = self.scope.metrics.add(name=name, unit="s")
        metric.exponential_histogram.aggregation_temporality = 2
        point = metric.exponential_histogram.data_points.add(count=sum(counts) + zero, sum=total, scale=scale,
                                                             zero_count=zero)
        point.positive.offset = offset
        point.positive.bucket_counts.extend(counts)
        self._fill(point, ms, start_ms, labels)
        return self

    def gone(self, name, ms, **labels):
        """A gauge's point that says that there is no value any more."""
        metric = self.scope.metrics.add(name=name)
        self._fill(metric.gauge.data_points.add(flags=1), ms, 0, labels)
        return self


def gauges(count, ms, value=None, **more):
    """Series a{n=...}, each with one sample, worth value or its timestamp."""
    metrics = Metrics()
    for n in range(count):
        metrics.gauge("a", float(ms if value is None else value), ms, n=f"{n:05}", **more)
    return metrics.request


def start_judge(stage, *arguments, **more):
    made = judge_remote_write.JudgeRemoteWrite(*arguments, **more)
    return stage.keep(made, made.stop)


class Prometheus:
    """A real one, with its receiver of remote write, native histograms and exemplars."""

    def __init__(self, stage):
        weirtest.need_programs("prometheus")
        self.port = weirtest.free_port()
        config = stage.path("prometheus.yml")
        with open(config, "w", encoding="utf-8") as f:
            f.write("storage: {exemplars: {max_exemplars: 1000}}\n")
        self.process = stage.process(
            "prometheus", f"--config.file={config}", f"--storage.tsdb.path={stage.path('tsdb')}",
            f"--web.listen-address=127.0.0.1:{self.port}", "--web.enable-remote-write-receiver",
            "--enable-feature=native-histograms,exemplar-storage", "--log.level=warn")
        weirtest.wait_for(self.is_ready, what="Prometheus is ready")

    def is_ready(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    def get(self, path, **query):
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=20) as answer:
            return json.load(answer)["data"]

    def samples(self, selector, ms=None, minutes=10):
        """[(labels, [(ms, text), ...])] as they are stored: stale markers are not shown."""
        data = self.get("query", query=f"{selector}[{minutes}m]", time=(ms or NOW_MS + 60000) / 1000)
        return [(one["metric"], [(round(float(t) * 1000), v) for t, v in one.get("values", one.get("histograms", []))])
                for one in data["result"]]

    def instant(self, selector, ms):
        return self.get("query", query=selector, time=ms / 1000)["result"]
