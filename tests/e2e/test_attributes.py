#!/usr/bin/python3
"""The attributes and resource processors between an OTLP receiver and a judge."""
import os
import platform
import subprocess
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
      otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:{port}", include_metadata: true}}}}}}
    processors:
      attributes:
        include: {{match_type: regexp, span_names: ["^span [01]$"]}}
        exclude: {{match_type: strict, span_names: ["span 1"]}}
        actions:
          - {{key: tenant, action: insert, from_context: metadata.x-tenant}}
          - {{key: peer, action: insert, from_context: client.address}}
          - {{key: filler, action: hash}}
          - {{key: answer, action: upsert, value: 42}}
          - {{key: ratio, action: upsert, value: 0.5}}
      resource:
        attributes:
          - {{key: env, action: upsert, value: prod}}
    exporters:
      otlp: {{endpoint: "http://127.0.0.1:{judge}"}}
    service:
      telemetry: {{metrics: {{host: 127.0.0.1, port: "${{env:METRICS_PORT}}"}}}}
      pipelines:
        traces: {{receivers: [otlp], processors: [{processors}], exporters: [otlp]}}
"""

ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # sha256 of abc


def values(attributes):
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in attributes}


def run(stage, processors):
    """What the judge got for a request of three spans."""
    to, port = stage.server(judge.Judge()), weirtest.free_port()
    weir = stage.weir(CONFIG.format(port=port, judge=to.port, processors=processors))
    message = otlp_client.spans(3)
    for span in message["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        span["attributes"] = [{"key": "filler", "value": {"stringValue": "abc"}}]
    assert otlp_client.send(port, message, {"x-tenant": "blue"}).status == 200
    weirtest.wait_for(lambda: to.items() == 3)
    groups = to.received[0]["message"].resource_spans
    assert weir.stop() == 0
    return groups


def test_acts_on_the_spans_that_are_chosen(stage):
    groups = run(stage, "attributes, resource")
    assert values(groups[0].resource.attributes) == {"env": "prod"}
    spans = {s.name: values(s.attributes) for s in groups[0].scope_spans[0].spans}
    assert spans == {
        "span 0": {"filler": ABC, "tenant": "blue", "peer": "127.0.0.1", "answer": 42, "ratio": 0.5},
        "span 1": {"filler": "abc"},
        "span 2": {"filler": "abc"},
    }, spans


def test_resource_leaves_the_spans_alone(stage):
    groups = run(stage, "resource")
    assert values(groups[0].resource.attributes) == {"env": "prod"}
    assert [values(s.attributes) for s in groups[0].scope_spans[0].spans] == [{"filler": "abc"}] * 3


def test_validate_names_the_place_of_a_mistake(stage):
    path = stage.path("wrong.yaml")
    weirtest.replace_file(path, CONFIG.format(port=4318, judge=4317, processors="attributes").replace(
        "key: filler, action: hash", 'pattern: "a(", action: hash').replace("    receivers:", "receivers:", 1)
        .replace("\n    ", "\n"))
    run_ = subprocess.run(["setarch", platform.machine(), "-R", weirtest.BINARY, "validate", "--config", path], stderr=subprocess.PIPE,
                          stdout=subprocess.PIPE, text=True, check=False, env={**os.environ, "METRICS_PORT": "8888"})
    assert run_.returncode != 0
    assert ('processors::attributes: error creating AttrProc. Field "pattern" at the 2-th actions: invalid pattern: "a(", at '
            "character 3: missing closing parenthesis") in run_.stderr, run_.stderr


if __name__ == "__main__":
    weirtest.main()
