#!/usr/bin/python3
"""The dashboards and alerts of deploy/, asked of a real Prometheus that holds real data of a real weir: every expression of
every panel and alert must bring something, and the alerts must say what they are for."""
import glob
import json
import math
import os
import re
import socket
import ssl
import subprocess
import threading
import urllib.request

import yaml

import prometheus_server
import weirtest
from otlp_client import spans

DASHBOARDS = os.path.join(weirtest.ROOT, "deploy", "dashboards")
ALERTS = os.path.join(weirtest.ROOT, "deploy", "alerts", "weir.yaml")
# What Grafana puts in place of its variables, here: short ranges and everything.
VARIABLES = {"$__rate_interval": "10s", "$__range": "1m", "$__interval": "5s"}

WEIR = """
    extensions: {{health_check: {{endpoint: "127.0.0.1:{health}"}}}}
    receivers:
      otlp:
        protocols:
          http:
            endpoint: "127.0.0.1:{http}"
            tls: {{cert_file: "{cert}", key_file: "{key}"}}
      {receiver}
    processors:
      memory_limiter: {{check_interval: 1s, limit_mib: 200}}
      batch: {{timeout: 50ms}}
    exporters:
      file: {{path: "${{env:FOLDER}}/out.json"}}
      otlp/away:
        endpoint: "127.0.0.1:{closed}"
        tls: {{insecure: true}}
        retry_on_failure: {{initial_interval: 50ms, max_interval: 100ms, max_elapsed_time: 300ms}}
      {exporters}
    service:
      extensions: [health_check]
      telemetry: {{metrics: {{port: "${{env:METRICS_PORT}}"}}}}
      pipelines:
        traces: {{receivers: [otlp], processors: [memory_limiter, batch], exporters: [otlp/away]}}
        traces/kept: {{receivers: [otlp], processors: [memory_limiter], exporters: [file]}}
        metrics: {{receivers: [{receiver_name}], exporters: [{exporter_names}]}}
"""


def load_dashboards():
    boards = {}
    for path in sorted(glob.glob(os.path.join(DASHBOARDS, "*.json"))):
        with open(path, encoding="utf-8") as f:
            boards[os.path.basename(path)] = json.load(f)
    assert boards
    return boards


def panels(board):
    return [p for p in board["panels"] if p["type"] != "row"]


def alert_rules():
    with open(ALERTS, encoding="utf-8") as f:
        return [rule for group in yaml.safe_load(f)["groups"] for rule in group["rules"]]


def fill_in(expression, board):
    for variable in board["templating"]["list"]:
        expression = expression.replace(f'"${variable["name"]}"', '".*"')
    for name, value in VARIABLES.items():
        expression = expression.replace(name, value)
    assert "$" not in expression, f"a variable that nobody defines: {expression}"
    return expression


def without_threshold(expression):
    """The part of an alert's expression that says how things are: all before its last comparison outside of brackets."""
    depth, place = 0, None
    for match in re.finditer(r'"[^"]*"|[\[({]|[\])}]|[=!><]=|[><]', expression):
        depth += (match[0] in "[({") - (match[0] in "])}")
        if depth == 0 and match[0] in ("==", "!=", ">=", "<=", ">", "<"):
            place = match.start()
    assert place, f"no comparison: {expression}"
    return expression[:place]


def brings_data(prometheus, expression):
    return any(not math.isnan(value) for _, value in prometheus.query(expression))


def empty_panels(prometheus, board):
    found = []
    for panel in panels(board):
        for target in panel["targets"]:
            if not brings_data(prometheus, fill_in(target["expr"], board)):
                found.append(f"{panel['title']}: {target['expr']}")
    return found


def empty_variables(prometheus, board):
    found = []
    for variable in board["templating"]["list"]:
        if variable["type"] != "query":
            continue
        selector, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"]).groups()
        if not prometheus.ask(f"label/{label}/values", **{"match[]": fill_in(selector, board)}):
            found.append(variable["name"])
    return found


class Traffic:
    """Requests to weir's receiver, good ones and one that is not, and connections of every fate, again and again."""

    def __init__(self, stage, http, nginx=None):
        self.http, self.nginx, self.stopped = http, nginx, threading.Event()
        self.context = ssl._create_unverified_context()  # pylint: disable=protected-access
        self.closed = weirtest.free_port()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()
        stage.keep(self, self.stop)

    def stop(self):
        self.stopped.set()
        self.thread.join()

    def _send(self):
        request = urllib.request.Request(f"https://127.0.0.1:{self.http}/v1/traces", json.dumps(spans(50)).encode(),
                                         {"content-type": "application/json"})
        urllib.request.urlopen(request, timeout=weirtest.PATIENCE, context=self.context).close()

    def _connect(self):
        subprocess.run(["curl", "-s", "-o", "/dev/null", f"http://127.0.0.1:{self.nginx.port}/a.bin"], check=True)
        subprocess.run(["curl", "-s", "-o", "/dev/null", f"http://127.0.0.1:{self.closed}/"], check=False)
        with socket.create_connection(("127.0.0.1", self.nginx.port)) as s:  # ends with a reset
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            s.sendall(b"GET /a.bin HTTP/1.1\r\n")

    def _run(self):
        while not self.stopped.wait(0.2):
            self._send()
            if self.nginx:
                self._connect()


def lose_segments(stage):
    """A namespace in which a connect has to repeat its SYNs."""
    weirtest.need_programs("nft")
    other = stage.namespace()
    other.exec("sysctl", "-qw", "net.ipv4.tcp_syn_retries=2")
    other.exec("nft", "add table inet t; add chain inet t c { type filter hook input priority 0; }; "
                      "add rule inet t c tcp dport 81 drop")
    script = ("import socket\nwhile True:\n try: socket.create_connection(('127.0.0.1', 81))\n"
              " except TimeoutError: pass")
    stage.process("/usr/bin/python3", "-c", script, netns=other)


def start_weir(stage, receiver, exporters, nginx=None):
    """With a pipeline from that receiver to those exporters."""
    folder = stage.certificates()
    http = weirtest.free_port()
    weir = stage.weir(WEIR.format(
        cert=f"{folder}/server.pem", key=f"{folder}/server.key", http=http, health=weirtest.free_port(),
        closed=weirtest.free_port(), receiver=receiver, receiver_name=receiver.split(":")[0],
        exporters="\n      ".join(f"{name}: {settings}" for name, settings in exporters.items()),
        exporter_names=", ".join(exporters)))
    return weir, Traffic(stage, http, nginx)


def own_metrics(stage):
    """The job of a weir that is still to be started; then say where it is."""
    return {"job_name": "weir", "file_sd_configs": [{"files": [stage.path("weir.json")]}]}


def say_where(stage, weir):
    weirtest.replace_file(stage.path("weir.json"), json.dumps([{"targets": [f"localhost:{weir.metrics_port}"]}]))


def rules_that_fire_at_once(stage):
    """The alerts without their patience."""
    with open(ALERTS, encoding="utf-8") as f:
        groups = yaml.safe_load(f)
    for group in groups["groups"]:
        for rule in group["rules"]:
            rule.pop("for", None)
    path = stage.path("rules.yaml")
    with open(path, "w", encoding="utf-8") as f:
        yaml.safe_dump(groups, f)
    return path


def wait_until_none_is_empty(prometheus, board):
    try:
        weirtest.wait_for(lambda: not empty_panels(prometheus, board), 40)
    except AssertionError:
        raise AssertionError("\n".join(["empty panels:", *empty_panels(prometheus, board)])) from None
    assert not empty_variables(prometheus, board)


def test_dashboards_are_well_made(_):
    uids = set()
    for name, board in load_dashboards().items():
        ids = [p["id"] for p in board["panels"]]
        assert len(ids) == len(set(ids)), name
        assert board["uid"] not in uids and not uids.add(board["uid"])
        taken = set()
        for panel in board["panels"]:
            place = panel["gridPos"]
            squares = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                       for y in range(place["y"], place["y"] + place["h"])}
            assert place["x"] + place["w"] <= 24 and not taken & squares, (name, panel["title"])
            taken |= squares
        for panel in panels(board):
            assert panel["description"] and panel["targets"], (name, panel["title"])
            assert panel["fieldConfig"]["defaults"]["unit"], (name, panel["title"])
            for target in panel["targets"]:
                assert target["datasource"]["uid"] == "${datasource}", (name, panel["title"])


def test_promtool_takes_the_rules(stage):
    weirtest.need_programs("promtool")
    done = subprocess.run(["promtool", "check", "rules", ALERTS], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    with open(os.path.join(os.path.dirname(__file__), "alerts.yaml"), encoding="utf-8") as f:
        cases = f.read()
    for rule in alert_rules():
        assert rule["labels"]["severity"] in ("critical", "warning"), rule["alert"]
        assert rule["annotations"]["summary"] and rule["annotations"]["description"], rule["alert"]
        assert f'alertname="{rule["alert"]}"' in cases or f'|{rule["alert"]}"' in cases, f"no case for {rule['alert']}"
    path = stage.path("alerts.yaml")
    with open(path, "w", encoding="utf-8") as f:
        f.write(cases.replace("RULES", ALERTS))
    done = subprocess.run(["promtool", "test", "rules", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_page_says_what_each_alert_means(_):
    with open(os.path.join(weirtest.ROOT, "docs", "monitoring.md"), encoding="utf-8") as f:
        page = f.read()
    for rule in alert_rules():
        assert f"`{rule['alert']}`" in page, rule["alert"]


def test_weirs_own_dashboard_has_no_empty_panel(stage):
    port = weirtest.free_port()
    prometheus = prometheus_server.start(stage, jobs=[own_metrics(stage), {
        "job_name": "page", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}],
        rules=[rules_that_fire_at_once(stage)])
    # What the two exporters tell has names that no panel asks for.
    weir, traffic = start_weir(
        stage, "self: {collection_interval: 500ms}",
        exporters={"prometheus": f'{{endpoint: "127.0.0.1:{port}", namespace: shown}}',
                   "prometheusremotewrite": f'{{endpoint: "{prometheus.write_url}", namespace: written}}'})
    say_where(stage, weir)
    wait_until_none_is_empty(prometheus, load_dashboards()["weir.json"])
    for rule in alert_rules():
        if "sockets" not in rule["expr"]:
            assert brings_data(prometheus, without_threshold(rule["expr"])), rule["expr"]
    # otlp/away is away: what it is given is retried and then dropped. Its certificate is good for a day.
    expected = {"WeirExporterDrops", "WeirExportFailing", "WeirCertificateExpires"}
    firing = lambda: {labels["alertname"] for labels, _ in prometheus.query('ALERTS{alertstate="firing"}')}
    weirtest.wait_for(lambda: expected <= firing(), what="the alerts fire")
    assert not firing() - expected, firing()
    for group in prometheus.ask("rules")["groups"]:
        for rule in group["rules"]:
            assert rule["health"] == "ok", rule
    traffic.stop()
    assert weir.stop() == 0


def check_sockets_dashboard(stage, prometheus, exporter, settings):
    weirtest.need_root()
    nginx = stage.nginx({"a.bin": 50000})
    lose_segments(stage)
    weir, traffic = start_weir(stage, "sockets: {collection_interval: 500ms}", {exporter: settings}, nginx)
    say_where(stage, weir)
    wait_until_none_is_empty(prometheus, load_dashboards()["sockets.json"])
    for rule in alert_rules():
        if "sockets" in rule["expr"]:
            assert brings_data(prometheus, without_threshold(rule["expr"])), rule["expr"]
    programs = {labels["job"] for labels, _ in prometheus.query("weir_tcp_connections_opened_total")}
    assert {"curl", "nginx"} <= programs, programs
    traffic.stop()
    # labels tell all series apart
    assert weir.figure("weir_exporter_prometheus_dropped_points") == 0
    assert weir.figure("weir_exporter_prometheusremotewrite_untranslated_points") == 0
    assert weir.stop() == 0


def test_sockets_dashboard_has_no_empty_panel_when_scraped(stage):
    port = weirtest.free_port()
    prometheus = prometheus_server.start(stage, jobs=[own_metrics(stage), {
        "job_name": "sockets", "honor_labels": True, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}])
    check_sockets_dashboard(stage, prometheus, "prometheus", f'{{endpoint: "127.0.0.1:{port}", '
                            "resource_constant_labels: {included: [host.name, container.id]}}")


def test_sockets_dashboard_has_no_empty_panel_when_written(stage):
    prometheus = prometheus_server.start(stage, jobs=[own_metrics(stage)])
    check_sockets_dashboard(stage, prometheus, "prometheusremotewrite", f'{{endpoint: "{prometheus.write_url}", '
                            "resource_to_telemetry_conversion: {enabled: true}}")


if __name__ == "__main__":
    weirtest.main(at_once=2)
