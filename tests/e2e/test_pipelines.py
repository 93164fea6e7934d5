#!/usr/bin/python3
"""Several pipelines in one process: joined by forward, fanned out to exporters with queues of their own, and one backend that is
stuck while the others go on. At every reading, for every pipeline: received = refused + sent + dropped + in flight."""
import sys
import threading
import time

import weirtest

try:
    import judge
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(weirtest.SKIPPED)
import otlp_client
from account import Books, wait_until_quiet

HEAD = """
    receivers:
      otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:{a}"}}}}}}
      otlp/b: {{protocols: {{http: {{endpoint: "127.0.0.1:{b}"}}}}}}
    connectors: {{forward: }}
    exporters:
      otlp/good: {{endpoint: "http://127.0.0.1:{good}", timeout: 5s, sending_queue: {good_queue}}}
      otlp/stuck: {{endpoint: "http://127.0.0.1:{stuck}", timeout: 60s, sending_queue: {queue}}}
    service:
      shutdown_timeout: 2s
      telemetry: {{metrics: {{host: 127.0.0.1, port: "${{env:METRICS_PORT}}"}}}}
      pipelines:
"""


class StuckJudge(judge.Judge):
    """Takes requests and does not answer until it is let go."""

    def __init__(self):
        self.let_go = threading.Event()
        super().__init__()

    def answer(self, *arguments):
        self.let_go.wait()
        return super().answer(*arguments)

    def stop(self, grace=None):
        self.let_go.set()  # a thread that waits would hold up the end of this process
        super().stop(grace)


AMPLE = "{queue_size: 100000, batch: {flush_timeout: 10ms}}"


class Gateway:
    def __init__(self, stage, pipelines, queue=AMPLE, good_queue=None):
        self.good, self.stuck = stage.server(judge.Judge()), stage.server(StuckJudge())
        self.a, self.b = weirtest.free_port(), weirtest.free_port()
        self.weir = stage.weir(HEAD.format(a=self.a, b=self.b, good=self.good.port, stuck=self.stuck.port, queue=queue,
                                           good_queue=good_queue or queue) +
                               "".join(f"        {line.strip()}\n" for line in pipelines.strip().splitlines()))

    def seconds(self, port, requests=30, size=20):
        """How long so many requests of spans take, one after the other, each taken at once."""
        begun = time.monotonic()
        for i in range(requests):
            answer = otlp_client.send(port, otlp_client.spans(size, first=i * size))
            assert answer.status == 200, (answer.status, answer.body)
        return time.monotonic() - begun


def test_forward_joins_pipelines(stage):
    g = Gateway(stage, """
        traces/1: {receivers: [otlp], exporters: [forward]}
        traces/2: {receivers: [otlp/b], exporters: [forward]}
        traces/joined: {receivers: [forward], exporters: [otlp/good]}
        traces/also: {receivers: [forward], exporters: [otlp/good]}
    """)
    assert otlp_client.send(g.a, otlp_client.spans(5)).status == 200
    assert otlp_client.send(g.b, otlp_client.spans(7, first=5)).status == 200
    weirtest.wait_for(lambda: g.good.items() == 24)
    names = sorted(s.name for r in g.good.received for rs in r["message"].resource_spans
                   for ss in rs.scope_spans for s in ss.spans)
    assert names == sorted([f"span {i}" for i in range(12)] * 2)
    for pipeline, items in (("traces/1", 5), ("traces/2", 7), ("traces/joined", 12), ("traces/also", 12)):
        assert Books(g.weir).pipelines[pipeline].sent == items
    assert g.weir.stop() == 0


def test_one_stuck_exporter_leaves_the_others_of_its_pipeline_alone(stage):
    g = Gateway(stage, """
        traces: {receivers: [otlp], exporters: [otlp/good, otlp/stuck]}
    """)
    g.seconds(g.a)
    weirtest.wait_for(lambda: g.good.items() == 600)
    assert g.stuck.items() == 0
    books = wait_until_quiet(g.weir, ["otlp/good"])
    assert books.exporter("otlp/stuck").held == 600 and books.exporter("otlp/good").sent == 600
    assert g.weir.stop() == 0
    assert "600 items in exporter queues" in g.weir.stderr()


def test_one_stuck_pipeline_leaves_the_others_alone(stage):
    g = Gateway(stage, """
        traces/good: {receivers: [otlp], exporters: [otlp/good]}
        traces/stuck: {receivers: [otlp/b], exporters: [otlp/stuck]}
    """, queue="{queue_size: 5, num_consumers: 2, batch: {enabled: false}}", good_queue=AMPLE)
    quiet = g.seconds(g.a)
    taken = refused = 0
    while refused < 3:  # the queue of the stuck one is full
        answer = otlp_client.send(g.b, otlp_client.spans(1))
        assert answer.status in (200, 503), (answer.status, answer.body)
        taken, refused = taken + (answer.status == 200), refused + (answer.status == 503)
        assert taken < 50
        if answer.status == 503:
            assert int(answer.headers["retry-after"]) >= 1
    done = threading.Event()

    def insist():
        while not done.is_set():
            otlp_client.send(g.b, otlp_client.spans(1))

    sender = threading.Thread(target=insist)
    sender.start()
    try:
        busy = g.seconds(g.a)
    finally:
        done.set()
        sender.join()
    # Both share two cores with the test itself; what matters is that it does not wait for the other's backend.
    assert busy < 10 * quiet + 1, (quiet, busy)
    weirtest.wait_for(lambda: g.good.items() == 1200)
    books = Books(g.weir)
    assert books.pipelines["traces/stuck"].refused >= 3 and g.stuck.items() == 0
    assert books.pipelines["traces/good"].refused == 0
    g.weir.stop()


def test_with_wait_for_result_the_senders_answer_is_the_backends(stage):
    g = Gateway(stage, """
        traces: {receivers: [otlp], exporters: [otlp/good]}
        traces/stuck: {receivers: [otlp/b], exporters: [otlp/stuck]}
    """, queue="{wait_for_result: true, batch: {flush_timeout: 10ms}}")
    assert otlp_client.send(g.a, otlp_client.spans(5)).status == 200
    assert g.good.items() == 5  # not a moment later
    g.good.behaviour = "invalid"
    assert otlp_client.send(g.a, otlp_client.spans(5)).status == 500
    g.stuck.behaviour = "partial:2:two of them"
    g.stuck.let_go.set()
    answer = otlp_client.send(g.b, otlp_client.spans(5))
    assert answer.status == 200
    assert int(answer.json()["partialSuccess"]["rejectedSpans"]) == 2, answer.body
    assert g.weir.stop() == 0


weirtest.main()
