#!/usr/bin/python3
"""reverse_dns between the OTLP receiver and a file: names from a hosts file that changes, from networks and from resolvers, on
resources, spans, log records and points."""
import json
import os
import time

import otlp_client
import resolvers
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
    """weir between this test and a file, at that address of that network namespace."""

    def __init__(self, stage, config=CONFIG, host="127.0.0.1", netns=None, **more):
        self.hosts, self.host, self.port = stage.path("hosts"), host, weirtest.free_port()
        self.out = stage.path(f"out.{self.port}.jsonl")
        weirtest.replace_file(self.hosts, "192.0.2.1 db.example\n")
        self.weir = stage.weir(config.format(hosts=self.hosts, out=self.out, host=host, port=self.port, **more), netns=netns)
        self.taken = 0

    def through(self, path, message):
        """The message as it stands in the file."""
        assert otlp_client.request(self.port, path, "POST", json.dumps(message).encode(),
                                   {"Content-Type": "application/json"}, host=self.host).status == 200

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
    assert line.weir.figure("weir_reverse_dns_named_addresses", source="hosts") == 2
    assert line.weir.figure("weir_reverse_dns_unnamed_addresses") == 1
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


LOOKUPS = """
    receivers:
      otlp: {{protocols: {{http: {{endpoint: "{host}:{port}"}}}}}}
    processors:
      reverse_dns: {processor}
    exporters:
      file: {{path: "{out}"}}
    service:
      telemetry: {{metrics: {{port: "${{env:METRICS_PORT}}"}}}}
      pipelines:
        logs: {{receivers: [otlp], processors: [reverse_dns], exporters: [file]}}
"""

MANY = [f"name-{n:02}-of-many.weir.test" for n in range(40)]  # more than fit into 512 bytes
POINTERS = {"192.0.2.1": ["db.weir.test"], "192.0.2.2": MANY, "192.0.2.3": ["10.0.0.1"],
            "192.0.2.5": ["www\\032.weir.test"], "2001:db8::1": ["six.weir.test"]}


def reverse(address):
    if ":" not in address:
        return ".".join(reversed(address.split("."))) + ".in-addr.arpa"
    assert address == "2001:db8::1"
    return "1" + ".0" * 23 + ".8.b.d.0.1.0.0.2.ip6.arpa"


def knows(stage, address="127.0.0.1", port=None, pointers=POINTERS):
    """A resolver that has names for these, is silent about 203.0.113.0/24, and refuses 198.51.100.0/24."""
    options = [f'  local-data: "{reverse(of)}. 300 PTR {name}."' for of, names in pointers.items() for name in names]
    options += ['  local-zone: "113.0.203.in-addr.arpa." always_deny', '  local-zone: "100.51.198.in-addr.arpa." always_refuse',
                '  local-data: "9.2.0.192.in-addr.arpa. 300 CNAME 1.2.0.192.in-addr.arpa."']
    return resolvers.unbound(stage, addresses=(address,), port=port, options="\n".join(options))


def settled(line):
    """Nothing is on its way any more."""
    weirtest.wait_for(lambda: line.weir.figure("weir_reverse_dns_lookups_in_flight") == 0)


def looked_up(line, address):
    line.log(address)
    settled(line)
    return line.log(address)["server.address"]


def test_asks_a_resolver_for_names(stage):
    resolver = knows(stage)
    line = Line(stage, LOOKUPS, processor=f"{{lookups: {{servers: ['127.0.0.1:{resolver.port}'], timeout: 2s}}}}")
    # What is not known yet passes at once.
    assert line.log("192.0.2.1") == {"server.address": "192.0.2.1"}
    settled(line)
    assert line.log("192.0.2.1") == {"server.address": "db.weir.test", "server.address_ip": "192.0.2.1"}
    assert looked_up(line, "2001:db8::1") == "six.weir.test"
    assert looked_up(line, "192.0.2.2") == MANY[0]  # over TCP
    for nameless in ("192.0.2.3", "192.0.2.5", "192.0.2.4", "198.51.100.1", "203.0.113.1"):
        assert looked_up(line, nameless) == nameless
        assert line.log(nameless)["server.address"] == nameless  # is not asked again
    for never in ("127.0.0.1", "::1", "fe80::1", "169.254.169.254", "224.0.0.1", "0.0.0.0", "255.255.255.255"):
        assert looked_up(line, never) == never

    def failed(reason):
        return line.weir.figure("weir_reverse_dns_lookups_failed", reason=reason)
    assert line.weir.figure("weir_reverse_dns_lookups_sent") == 8
    assert line.weir.figure("weir_reverse_dns_lookups_answered") == 3
    assert (failed("name_error"), failed("bad_answer"), failed("server_failure"), failed("timeout")) == (1, 2, 1, 1)
    assert line.weir.figure("weir_reverse_dns_cache_entries") == 8
    assert line.weir.figure("weir_reverse_dns_named_addresses", source="lookups") == 3
    line.weir.stop()


def test_asks_over_ipv6_and_through_aliases(stage):
    resolver = resolvers.knot(stage, addresses=("::1",), zone="2.0.192.in-addr.arpa.", more=(
        "1.2.0.192.in-addr.arpa. 300 PTR db.far.test.", "9.2.0.192.in-addr.arpa. 300 CNAME 1.2.0.192.in-addr.arpa."))
    line = Line(stage, LOOKUPS, processor=f"{{lookups: {{servers: ['[::1]:{resolver.port}']}}}}")
    assert looked_up(line, "192.0.2.1") == "db.far.test"
    assert looked_up(line, "192.0.2.9") == "db.far.test"
    line.weir.stop()


def test_asks_the_next_resolver_when_one_does_not_answer(stage):
    silent = resolvers.Server(stage, lambda *_: None)
    resolver = knows(stage)
    line = Line(stage, LOOKUPS, processor=f"{{lookups: {{timeout: 1s, "
                f"servers: ['127.0.0.1:{silent.port}', '127.0.0.1:{resolver.port}']}}}}")
    assert looked_up(line, "192.0.2.1") == "db.weir.test"
    assert len(silent.questions) == 1
    line.weir.stop()


def test_late_and_false_answers_are_nobodys(stage):
    kept = []
    server = resolvers.Server(stage, lambda server, message, peer: kept.append((message, peer)))
    line = Line(stage, LOOKUPS, processor=f"{{lookups: {{servers: ['127.0.0.1:{server.port}'], timeout: 1s}}}}")

    def name(message, number=None):
        """The answer that there is a name."""
        record = b"\xc0\x0c\0\x0c\0\1\0\0\0\x3c\0\x04\x02db\0"
        return (number or message[:2]) + b"\x81\x80\0\1\0\1\0\0\0\0" + message[12:] + record
    line.log("192.0.2.1")
    weirtest.wait_for(lambda: kept)
    message, peer = kept.pop()
    server.send(name(message, bytes(byte ^ 0xff for byte in message[:2])), peer)
    server.send(b"", peer)
    server.send(b"x" * 400, peer)
    settled(line)
    assert line.weir.figure("weir_reverse_dns_lookups_failed", reason="timeout") == 1
    server.send(name(message), peer)
    assert line.log("192.0.2.1")["server.address"] == "192.0.2.1"
    line.log("192.0.2.2")
    weirtest.wait_for(lambda: kept)
    server.send(name(kept[0][0]), kept[0][1])
    settled(line)
    assert line.log("192.0.2.2")["server.address"] == "db"
    line.weir.stop()


def test_does_not_wait_for_a_resolver_that_is_silent(stage):
    silent = resolvers.Server(stage, lambda *_: None)
    line = Line(stage, LOOKUPS, processor=f"{{lookups: {{servers: ['127.0.0.1:{silent.port}'], timeout: 30s, "
                "max_in_flight: 5, rate: 1000}}")
    for n in range(20):
        assert line.log(f"192.0.2.{n}")["server.address"] == f"192.0.2.{n}"
    weirtest.wait_for(lambda: len(silent.questions) == 5)
    assert line.weir.figure("weir_reverse_dns_lookups_in_flight") == 5
    assert line.weir.figure("weir_reverse_dns_lookups_put_off", reason="in_flight") == 15
    begin = time.monotonic()
    line.weir.stop()  # with questions on their way
    assert time.monotonic() - begin < 10


def test_follows_resolv_conf(stage):
    weirtest.need_root()  # port 53
    knows(stage, "127.81.7.1", 53, {"192.0.2.1": ["one.weir.test"]})
    knows(stage, "127.81.7.2", 53, {"192.0.2.1": ["two.weir.test"], "192.0.2.2": ["more.weir.test"]})
    path = stage.path("resolv.conf")
    weirtest.replace_file(path, "# none\nnameserver 127.81.7.1\noptions ndots:5\n")
    line = Line(stage, LOOKUPS, processor=f"{{lookups: {{resolv_conf: {path}, cache: {{negative_ttl: 1s}}}}}}")
    assert looked_up(line, "192.0.2.1") == "one.weir.test"
    assert looked_up(line, "192.0.2.2") == "192.0.2.2"
    weirtest.replace_file(path, "nameserver 127.81.7.2\n")
    weirtest.wait_for(lambda: looked_up(line, "192.0.2.2") == "more.weir.test")
    assert line.log("192.0.2.1")["server.address"] == "one.weir.test"  # is still good
    line.weir.stop()


def test_asks_nobody_unless_it_is_told_to(stage):
    netns = stage.namespace()
    netns.link("10.81.9.1/24", "10.81.9.2/24")
    resolvers.resolv_conf(stage, netns, "127.0.0.1")
    resolver = resolvers.dnsmasq(stage, port=53, netns=netns,
                                 options=("log-queries", "ptr-record=1.2.0.192.in-addr.arpa,db.weir.test"))

    def asked():
        return resolver.stderr().count("query[PTR]")
    line = Line(stage, LOOKUPS, "10.81.9.2", netns, processor="{lookups: {}}")
    weirtest.wait_for(lambda: line.log("192.0.2.1")["server.address"] == "db.weir.test")
    assert asked() == 1
    line.weir.stop()
    line = Line(stage, LOOKUPS, "10.81.9.2", netns, processor="{networks: {10.0.0.0/8: ten}}")
    for n in range(20):
        assert line.log(f"192.0.2.{n}")["server.address"] == f"192.0.2.{n}"
    line.weir.stop()
    assert asked() == 1


OBSERVED = """
    receivers:
      otlp: {{protocols: {{http: {{endpoint: "{host}:{port}"}}}}}}
      dns: {{names: {{max_entries: 5000}}}}
    processors:
      reverse_dns: {{networks: {{127.81.9.80/32: hidden, 127.0.0.0/8: home}}}}
    exporters:
      file: {{path: "{out}"}}
      file/dns: {{path: "{out}.dns"}}
    service:
      telemetry: {{metrics: {{port: "${{env:METRICS_PORT}}"}}}}
      pipelines:
        logs: {{receivers: [otlp], processors: [reverse_dns], exporters: [file]}}
        metrics: {{receivers: [dns], exporters: [file/dns]}}
"""


def test_observed_names_come_first_and_are_counted(stage):
    weirtest.need_root()
    netns = stage.namespace()
    resolvers.resolv_conf(stage, netns, "127.0.0.53")
    resolvers.knot(stage, ("127.0.0.53",), port=53, netns=netns, more=["www.weir.test. 300 A 127.81.9.80"])
    line = Line(stage, OBSERVED)
    figure = line.weir.figure
    netns.exec("getent", "ahosts", "www.weir.test")
    # Other tests may ask for names now: only what is looked up here can be counted to the unit.
    weirtest.wait_for(lambda: figure("weir_observed_names_added"))
    assert figure("weir_observed_names") >= 1 and figure("weir_observed_names_limit") == 5000
    assert figure("weir_observed_names_bytes") >= 100
    asked = 0

    def name():
        nonlocal asked
        asked += 1
        return line.log("127.81.9.80")["server.address"]
    weirtest.wait_for(lambda: name() == "www.weir.test")
    hits = figure("weir_observed_names_hits")
    assert hits == figure("weir_reverse_dns_named_addresses", source="observed") == 1
    assert line.log("127.81.9.81")["server.address"] == "home"
    assert figure("weir_observed_names_hits") == 1
    assert figure("weir_observed_names_misses") == asked - hits + 1
    assert figure("weir_observed_names_refused") == 0
    line.weir.stop()


if __name__ == "__main__":
    weirtest.main()
