"""dns_watch: a weir that watches DNS, and the backend at which its metrics and log records arrive."""
import weirtest
from test_sockets import Backend, attributes

CONFIG = """
    receivers:
      dns: {{collection_interval: {interval}{receiver}}}
    exporters:
      otlp:
        endpoint: "127.0.0.1:{port}"
        tls: {{insecure: true}}
        sending_queue: {{batch: {{flush_timeout: 50ms}}}}
    service:
      telemetry: {{metrics: {{port: "${{env:METRICS_PORT}}"}}}}
      pipelines:
        metrics: {{receivers: [dns], exporters: [otlp]}}
        logs: {{receivers: [dns], exporters: [otlp]}}
"""
METRIC = "dns.lookup.duration"


def lookups_of(point):
    return attributes(point.attributes)


def _dotted(wanted):
    return {{"role": "weir.connection.role"}.get(k, k.replace("__", ".")): v for k, v in wanted.items()}


class Watch:
    """ports: those to watch; None leaves the default. Conditions are attributes with two underscores for a dot, and for
    short role and executable."""

    def __init__(self, stage, ports, options="", interval="200ms", **more):
        weirtest.need_root()
        options = ([f"ports: {list(ports)}"] if ports else []) + ([options] if options else [])
        if "events:" not in "".join(options):
            options.append("events: all")
        self.backend, self._records, self._requests_read = Backend(stage), [], 0
        self.weir = stage.weir(CONFIG.format(interval=interval, port=self.backend.port,
                                             receiver="".join(", " + o for o in options)), **more)

    def _series(self, executable=None, name=METRIC, **wanted):
        wanted = set(_dotted(wanted).items())
        for key, point in self.backend.points().items():
            metric, resource, series = key
            if metric == name and wanted <= set(series) and (
                    executable is None or ("process.executable.name", executable) in resource):
                yield key, point

    def keys(self, **wanted):
        return [key for key, _ in self._series(**wanted)]

    def points(self, **wanted):
        return [point for _, point in self._series(**wanted)]

    def lookups(self, **wanted):
        return sum(point.count for point in self.points(**wanted))

    def sum_of_deltas(self, **wanted):
        """Of the look-ups in all points that ever came."""
        wanted = _dotted(wanted).items()
        return sum(point.count for request in self.backend.received("metrics") for group in request.resource_metrics
                   for scope in group.scope_metrics for metric in scope.metrics if metric.name == METRIC
                   for point in metric.histogram.data_points if wanted <= lookups_of(point).items())

    def total(self, name, **wanted):
        """Of a counter."""
        return sum(point.as_int for point in self.points(name=name, **wanted))

    def records(self, executable=None, **wanted):
        """The attributes of each, with those of its resource where it has none itself."""
        requests = self.backend.received("logs")
        for request in requests[self._requests_read:]:
            for group in request.resource_logs:
                resource = attributes(group.resource.attributes)
                self._records += [{**resource, **attributes(record.attributes)}
                                  for scope in group.scope_logs for record in scope.log_records]
        self._requests_read = len(requests)
        wanted = _dotted(wanted).items()
        return [r for r in self._records if wanted <= r.items()
                and (executable is None or r.get("process.executable.name") == executable)]

    def wait_lookups(self, count, **wanted):
        """That many are seen, and not more."""
        weirtest.wait_for(lambda: self.lookups(**wanted) >= count, what=f"{count} lookups {wanted}")
        assert self.lookups(**wanted) == count, (self.lookups(**wanted), count, wanted)

    def wait_records(self, count, **wanted):
        weirtest.wait_for(lambda: len(self.records(**wanted)) >= count, what=f"{count} log records {wanted}")
        records = self.records(**wanted)
        assert len(records) == count, (len(records), count, wanted)
        return records

    def figure(self, name, **labels):
        return self.weir.figure(f"weir_receiver_dns_{name}", **labels)

    def lost(self):
        """Exchanges that the kernel side could not follow or hand over."""
        return sum(self.figure("losses", reason=reason) for reason in ("ring_full", "segment_ring_full", "pending_full"))
