#!/usr/bin/python3
"""weir's own metrics by way of a pipeline, as an OTLP backend and a Prometheus get them, held against the page /metrics."""
import sys

import prometheus_server
import weirtest
from otlp_client import send, spans

try:
    import judge
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(weirtest.SKIPPED)

CONFIG = """
    receivers:
      otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:{http}"}}}}}}
      self: {{collection_interval: 100ms, resource: {{service.instance.id: judged}}}}
    exporters:
      file: {{path: "${{env:FOLDER}}/out.json"}}
      {exporter}: {settings}
    service:
      telemetry: {{metrics: {{port: "${{env:METRICS_PORT}}"}}}}
      pipelines:
        traces: {{receivers: [otlp], exporters: [file]}}
        metrics: {{receivers: [self], exporters: [{exporter}]}}
"""
# Figures that nothing but what the test sends can change.
QUIET = ("weir_pipeline_sent_items", "weir_pipeline_dropped_items", "weir_receiver_requests", "weir_receiver_batches",
         "weir_receiver_bytes", "weir_receiver_limit_struck", "weir_receiver_plain_bytes", "weir_consume_items",
         "otelcol_receiver_accepted_spans", "otelcol_exporter_sent_spans", "weir_build_info", "weir_ready",
         "weir_memory_limit_bytes", "weir_consume_duration_seconds_bucket", "weir_consume_duration_seconds_count",
         "weir_consume_duration_seconds_sum")
BUSY = {("pipeline", "metrics"), ("receiver", "self"), ("data_type", "metrics")}


def quiet(figures):
    """Those of them that its own way through the pipeline does not change."""
    return {(name, labels): value for (name, labels), value in figures.items()
            if name in QUIET and not BUSY & set(labels)}


def start(stage, exporter, settings):
    http = weirtest.free_port()
    weir = stage.weir(CONFIG.format(http=http, exporter=exporter, settings=settings))
    for count in (1, 20, 300):
        assert send(http, spans(count)).status == 200
    assert send(http, {}, path="/nowhere").status == 404
    return weir


def bucket_rows(name, labels, point):
    total = 0
    for count, bound in zip(point.bucket_counts, [*point.explicit_bounds, float("inf")]):
        total += count
        yield (f"{name}_bucket", tuple(sorted((*labels, ("le", "+Inf" if bound == float("inf") else f"{bound:g}"))))), total
    yield (f"{name}_sum", labels), point.sum
    yield (f"{name}_count", labels), point.count


def rows(request):
    """A request as a page of Prometheus' text would be read."""
    found = {}
    for scope in request.resource_metrics[0].scope_metrics:
        for metric in scope.metrics:
            for point in getattr(metric, metric.WhichOneof("data")).data_points:
                labels = tuple(sorted((a.key, a.value.string_value) for a in point.attributes))
                if metric.WhichOneof("data") == "histogram":
                    found.update(bucket_rows(metric.name, labels, point))
                else:
                    found[(metric.name, labels)] = point.as_double
    return found


def test_an_otlp_backend_gets_what_the_page_says(stage):
    backend = stage.server(judge.Judge())
    weir = start(stage, "otlp", f'{{endpoint: "127.0.0.1:{backend.port}", tls: {{insecure: true}}}}')
    page = quiet(weir.metrics())
    assert {name for name, _ in page} == set(QUIET)
    assert page[("weir_receiver_requests", (("code", "404"), ("receiver", "otlp"), ("transport", "http")))] == 1
    assert page[("weir_pipeline_sent_items", (("pipeline", "traces"),))] == 321

    def newest():
        with backend.lock:
            return backend.received[-1]["message"] if backend.received else None

    weirtest.wait_for(lambda: newest() and quiet(rows(newest())) == page, what="a reading that is the page")
    resource = {a.key: a.value.string_value for a in newest().resource_metrics[0].resource.attributes}
    assert resource["service.name"] == "weir" and resource["service.instance.id"] == "judged"
    # The last reading comes after the last request, and before the end.
    readings = len(backend.received)
    assert weir.stop() == 0
    assert len(backend.received) > readings
    assert quiet(rows(newest())).keys() >= page.keys()
    assert "Nothing that was received is lost" in weir.stderr()


def test_prometheus_gets_what_the_page_says(stage):
    prometheus = prometheus_server.start(stage)
    weir = start(stage, "prometheusremotewrite", f'{{endpoint: "{prometheus.write_url}", '
                 "translation_strategy: UnderscoreEscapingWithoutSuffixes, disable_scope_info: true}")
    page = quiet(weir.metrics())

    def stored():
        names = "|".join(QUIET)
        found = {}
        for labels, value in prometheus.query(f'{{__name__=~"{names}"}}'):
            name = labels.pop("__name__")
            assert (labels.pop("job"), labels.pop("instance")) == ("weir", "judged")
            found[(name, tuple(sorted(labels.items())))] = value
        return quiet(found)

    weirtest.wait_for(lambda: stored() == page, what="the series are those of the page")
    assert weir.stop() == 0


if __name__ == "__main__":
    weirtest.main()
