#!/usr/bin/python3
"""health_check of the real program: live, ready and the status of every component, through starts, stops, a backend that is away
and memory at its limit."""
import signal
import sys

import weirtest

try:
    import judge
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(weirtest.SKIPPED)
import otlp_client

CONFIG = """
    receivers:
      otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:{intake}"}}}}}}
    processors:
      memory_limiter: {{check_interval: 1s, limit_mib: 8, spike_limit_mib: 1}}
    exporters:
      otlp:
        endpoint: "http://127.0.0.1:{backend}"
        retry_on_failure: {{initial_interval: 50ms, max_interval: 200ms}}
        sending_queue: {{queue_size: 100000, batch: {{flush_timeout: 10ms, min_size: 100, max_size: 100}}}}
    extensions:
      health_check:
        endpoint: "127.0.0.1:{health}"
        component_health: {{include_recoverable_errors: {strict}, recovery_duration: 100ms}}
    service:
      extensions: [health_check]
      shutdown_timeout: 8s
      telemetry: {{metrics: {{host: 127.0.0.1, port: "${{env:METRICS_PORT}}"}}}}
      pipelines:
        traces/edge: {{receivers: [otlp], processors: [{processors}], exporters: [otlp]}}
        logs: {{receivers: [otlp], processors: [memory_limiter], exporters: [otlp]}}
"""


class Gateway:
    def __init__(self, stage, behaviour="ok", strict="false", processors="memory_limiter"):
        self.judge = stage.server(judge.Judge(behaviour))
        self.intake, self.health = weirtest.free_port(), weirtest.free_port()
        self.weir = stage.weir(CONFIG.format(intake=self.intake, health=self.health, backend=self.judge.port,
                                             strict=strict, processors=processors))

    def page(self, path):
        return otlp_client.request(self.health, path)

    def is_ready(self):
        return self.page("/ready").status == 200


def test_the_pages_of_a_running_gateway(stage):
    g = Gateway(stage)
    assert g.page("/").json()["status"] == "Server available"
    assert g.page("/live").json() == {"live": True}
    assert g.page("/ready").json() == {"ready": True, "reasons": [],
                                       "pipelines": {"traces/edge": True, "logs": True}}
    status = g.page("/status")
    assert status.status == 200 and status.headers["content-type"] == "application/json"
    assert status.json()["status"] == "StatusOK"
    parts = status.json()["components"]
    assert set(parts) == {"extensions", "pipeline:traces/edge", "pipeline:logs"}
    assert set(parts["pipeline:traces/edge"]["components"]) == {"receiver:otlp", "processor:memory_limiter",
                                                                "exporter:otlp"}
    one = g.page("/status?pipeline=traces/edge").json()
    assert one["components"]["receiver:otlp"]["status"] == "StatusOK" and one["healthy"]
    assert g.page("/status?pipeline=traces").status == 404
    assert otlp_client.request(g.health, "/live", "HEAD").status == 200
    assert g.weir.figure("weir_ready") == 1 and g.weir.figure("weir_pipeline_ready", pipeline="traces/edge") == 1
    assert g.weir.stop() == 0


def test_a_backend_that_is_away_is_told_but_weir_stays_ready(stage):
    g = Gateway(stage, "unavailable")
    assert otlp_client.send(g.intake, otlp_client.spans(3)).status == 200
    weirtest.wait_for(lambda: g.page("/status").json()["status"] == "StatusRecoverableError")
    exporter = g.page("/status?pipeline=traces/edge").json()["components"]["exporter:otlp"]
    assert "busy, come again" in exporter["error"] and exporter["healthy"]
    assert g.is_ready()
    g.judge.behaviour = "ok"
    weirtest.wait_for(lambda: g.page("/status").json()["status"] == "StatusOK")
    assert g.weir.stop() == 0


def test_a_backend_that_stays_away_makes_it_not_ready_where_that_is_wanted(stage):
    g = Gateway(stage, "unavailable", strict="true")
    assert otlp_client.send(g.intake, otlp_client.spans(3)).status == 200
    weirtest.wait_for(lambda: not g.is_ready())
    answer = g.page("/ready").json()
    assert answer["pipelines"] == {"traces/edge": False, "logs": True}
    assert answer["reasons"][0].startswith("pipeline traces/edge: exporter otlp: StatusRecoverableError"), answer
    assert g.page("/live").status == 200 and g.page("/status").status == 500
    assert g.weir.figure("weir_pipeline_ready", pipeline="traces/edge") == 0
    g.judge.behaviour = "ok"
    weirtest.wait_for(g.is_ready)
    assert g.weir.stop() == 0


def test_is_not_ready_at_the_hard_memory_limit_and_ready_again_when_there_is_room(stage):
    # Without the limiter's soft limit in front; the hard one is the process's.
    g = Gateway(stage, "unavailable", processors="")
    taken = refused = 0
    while not refused or g.is_ready():  # what is tried again may fill it before anybody is refused
        answer = otlp_client.send(g.intake, otlp_client.spans(50, first=50 * taken, filler=2000))
        assert answer.status in (200, 503), (answer.status, answer.body)
        taken += answer.status == 200
        refused += answer.status == 503
        assert taken + refused < 200, "it never ran out of memory"
    assert taken
    answer = g.page("/ready").json()
    assert "memory is at its hard limit" in answer["reasons"][0], answer
    assert g.page("/live").status == 200 and g.page("/").status == 200
    assert g.weir.figure("weir_ready") == 0
    g.judge.behaviour = "ok"
    weirtest.wait_for(g.is_ready)
    weirtest.wait_for(lambda: g.judge.items() == 50 * taken)
    assert g.weir.stop() == 0


def test_lives_but_is_not_ready_while_it_drains(stage):
    g = Gateway(stage, "slow:3")
    assert otlp_client.send(g.intake, otlp_client.spans(3)).status == 200
    weirtest.wait_for(lambda: g.judge.calls == 1)
    g.weir.signal(signal.SIGTERM)
    weirtest.wait_for(lambda: not g.is_ready())
    assert "shutting down" in g.page("/ready").json()["reasons"]
    assert g.page("/live").status == 200
    assert g.page("/").json()["status"] == "Server not available" and g.page("/").status == 503
    assert g.page("/status").status == 503
    assert g.weir.wait() == 0
    g.weir.check_sanitizers()
    assert g.judge.items() == 3


weirtest.main()
