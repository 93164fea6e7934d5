#!/usr/bin/python3
"""reverse_dns between the OTLP receiver and a file: names from a hosts file that changes and from networks, on resources, spans,
log records and points."""
import json
import os

import otlp_client
import weirtest

CONFIG = """
    receivers:
      otlp: {{protocols: {{http: {{endpoint: "127.0.0.1:{port}"}}}}}}
    processors:
      reverse_dns:
        hosts: {hosts}
        networks: {{10.0.0.0/8: ten, 10.1.0.0/16: ten-one, "2001:db8::/32": lab}}
      reverse_dns/peers: {{attributes: [network.peer.address], write: beside, networks: {{127.0.0.0/8: loopback}}}}
    exporters:
      file: {{path: "{out}"}}
    service:
      telemetry: {{metrics: {{port: "${{env:METRICS_PORT}}"}}}}
      pipelines:
        traces: {{receivers: [otlp], processors: [reverse_dns, reverse_dns/peers], exporters: [file]}}
        metrics: {{receivers: [otlp], processors: [reverse_dns], exporters: [file]}}
        logs: {{receivers: [otlp], processors: [reverse_dns], exporters: [file]}}
"""


def attributes(**pairs):
    return [{"key": key.replace("__", "."), "value": {"stringValue": value}} for key, value in pairs.items()]


def pairs(message):
    return {a["key"]: a["value"]["stringValue"] for a in message["attributes"]}


class Line:
    def __init__(self, stage):
        self.hosts, self.out, self.port = stage.path("hosts"), stage.path("out.jsonl"), weirtest.free_port()
        weirtest.replace_file(self.hosts, "192.0.2.1 db.example\n")
        self.weir = stage.weir(CONFIG.format(hosts=self.hosts, out=self.out, port=self.port))
        self.taken = 0

    def through(self, path, message):
        """The message as it stands in the file."""
        assert otlp_client.request(self.port, path, "POST", json.dumps(message).encode(),
                                   {"Content-Type": "application/json"}).status == 200

        def arrived():
            if not os.path.exists(self.out):
                return []
            with open(self.out, encoding="utf-8") as f:
                return f.read().split("\n")[:-1][self.taken:]
        weirtest.wait_for(arrived)
        line, = arrived()
        self.taken += 1
        return json.loads(line)

    def log(self, address):
        out = self.through("/v1/logs", {"resourceLogs": [{"scopeLogs": [{"logRecords": [
            {"body": {"stringValue": "x"}, "attributes": attributes(server__address=address)}]}]}]})
        return pairs(out["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0])


def test_names_everything_that_has_attributes(stage):
    line = Line(stage)
    out = line.through("/v1/traces", {"resourceSpans": [{
        "resource": {"attributes": attributes(server__address="2001:db8::9")},
        "scopeSpans": [{"spans": [{
            "traceId": "1" * 32, "spanId": "2" * 16, "name": "s",
            "attributes": attributes(client__address="10.1.2.3", network__peer__address="127.0.0.1"),
            "events": [{"name": "e", "attributes": attributes(server__address="192.0.2.1")}]}]}]}]})["resourceSpans"][0]
    span = out["scopeSpans"][0]["spans"][0]
    assert pairs(out["resource"]) == {"server.address": "lab", "server.address_ip": "2001:db8::9"}
    assert pairs(span) == {"client.address": "ten-one", "client.address_ip": "10.1.2.3",
                           "network.peer.address": "127.0.0.1", "network.peer.address_name": "loopback"}
    assert pairs(span["events"][0]) == {"server.address": "db.example", "server.address_ip": "192.0.2.1"}

    out = line.through("/v1/metrics", {"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"name": "m", "sum": {
        "aggregationTemporality": 1, "isMonotonic": True, "dataPoints": [
            {"asInt": "1", "timeUnixNano": "2", "attributes": attributes(server__address=address)}
            for address in ("10.9.9.9", "198.51.100.1", "already.example")]}}]}]}]})
    points = out["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][0]["sum"]["dataPoints"]
    assert [pairs(p)["server.address"] for p in points] == ["ten", "198.51.100.1", "already.example"]
    assert line.log("192.0.2.1") == {"server.address": "db.example", "server.address_ip": "192.0.2.1"}
    assert line.weir.figure("weir_reverse_dns_named_addresses_total", source="hosts") == 2
    assert line.weir.figure("weir_reverse_dns_unnamed_addresses_total") == 1
    line.weir.stop()


def test_follows_the_hosts_file(stage):
    line = Line(stage)
    assert line.log("192.0.2.1")["server.address"] == "db.example"
    weirtest.replace_file(line.hosts, "192.0.2.1 renamed.example\n")
    weirtest.wait_for(lambda: line.log("192.0.2.1")["server.address"] == "renamed.example")
    os.unlink(line.hosts)
    weirtest.wait_for(lambda: line.log("192.0.2.1") and
                      line.weir.figure("weir_reverse_dns_hosts_unreadable"))
    assert line.log("192.0.2.1")["server.address"] == "renamed.example"
    line.weir.stop()


if __name__ == "__main__":
    weirtest.main()
