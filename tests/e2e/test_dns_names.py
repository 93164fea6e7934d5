#!/usr/bin/python3
"""Names that processes have asked resolvers for, in the metrics of the sockets receiver: dns sees the answers, reverse_dns
writes the names where there were addresses."""
import subprocess
import sys

import weirtest

try:
    from test_sockets import Backend
    import resolvers
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(weirtest.SKIPPED)

CONFIG = """
    receivers:
      sockets: {{collection_interval: 200ms}}
      dns: {{collection_interval: 200ms{receiver}}}
    processors:
      reverse_dns: {{{processor}}}
    exporters:
      otlp:
        endpoint: "127.0.0.1:{port}"
        tls: {{insecure: true}}
        sending_queue: {{batch: {{flush_timeout: 50ms}}}}
    service:
      telemetry: {{metrics: {{port: "${{env:METRICS_PORT}}"}}}}
      pipelines:
        metrics: {{receivers: [sockets, dns], processors: [reverse_dns], exporters: [otlp]}}
"""
RESOLVER = "127.0.0.53"
OPENED = "weir.tcp.connections.opened"


class House:
    """A network namespace with a resolver on port 53, a web server with these names, and weir outside."""

    def __init__(self, stage, zone=(), processor="", receiver=""):
        weirtest.need_root()
        self.backend = Backend(stage)
        self.netns = stage.namespace()
        resolvers.resolv_conf(stage, self.netns, RESOLVER)
        resolvers.knot(stage, (RESOLVER,), port=53, netns=self.netns, more=zone)
        self.nginx = stage.nginx({"a.bin": 100}, listen=("127.0.0.80", "127.0.0.81", "::1"), netns=self.netns)
        self.config = CONFIG.format(port=self.backend.port, processor=processor, receiver=receiver)
        self.weir = stage.weir(self.config)

    def curl(self, host, *options):
        subprocess.run(["ip", "netns", "exec", self.netns.name, "curl", "-sf", "-o", "/dev/null", *options,
                        f"http://{host}:{self.nginx.port}/a.bin"], check=True, timeout=30)

    def opened(self, address, **more):
        return self.backend.total(OPENED, executable="curl", weir__connection__role="client",
                                  server__port=self.nginx.port, server__address=address, **more)

    def wait_opened(self, count, address, **more):
        weirtest.wait_for(lambda: self.opened(address, **more) >= count, what=f"{count} connections to {address} {more}")
        assert self.opened(address, **more) == count


def test_curl_shows_the_name_it_was_given(stage):
    house = House(stage, ["www.weir.test. 300 A 127.0.0.80"])
    house.curl("www.weir.test")
    house.curl("127.0.0.81")  # has no name
    house.wait_opened(1, "www.weir.test", server__address_ip="127.0.0.80")
    house.wait_opened(1, "127.0.0.81")
    assert house.weir.stop() == 0


def test_shows_the_name_at_the_beginning_of_a_chain(stage):
    house = House(stage, ["www.weir.test. 300 CNAME cdn.weir.test.", "cdn.weir.test. 300 CNAME edge.weir.test.",
                          "edge.weir.test. 300 A 127.0.0.80", "edge.weir.test. 300 A 127.0.0.81"])
    house.curl("www.weir.test")
    # The other address has been told to be the same.
    house.curl("127.0.0.80")
    house.curl("127.0.0.81")
    weirtest.wait_for(lambda: house.opened("www.weir.test") == 3, what="all have the name that was asked for")


def test_shows_names_of_ipv6_addresses(stage):
    house = House(stage, ["six.weir.test. 300 AAAA ::1"])
    house.curl("six.weir.test", "-6")
    house.wait_opened(1, "six.weir.test", server__address_ip="::1")


def test_forgets_names_when_their_time_is_over(stage):
    house = House(stage, ["short.weir.test. 1 A 127.0.0.80", "long.weir.test. 300 A 127.0.0.81"],
                  receiver=", names: {max_age: 0s}")
    house.curl("short.weir.test")
    house.curl("long.weir.test")
    house.wait_opened(1, "long.weir.test")
    # The series are cumulative: what has been named goes on without the name.
    weirtest.wait_for(lambda: house.opened("127.0.0.80") == 1, what="the address is shown again")
    house.curl("127.0.0.81")
    house.wait_opened(2, "long.weir.test")


def test_tells_network_namespaces_apart_by_what_was_seen_last(stage):
    """One address, another name in each of two namespaces."""
    first = House(stage, ["one.weir.test. 300 A 127.0.0.80"])
    other = stage.namespace()
    resolvers.resolv_conf(stage, other, RESOLVER)
    resolvers.knot(stage, (RESOLVER,), port=53, netns=other, more=["two.weir.test. 300 A 127.0.0.80"])
    first.curl("one.weir.test")
    first.wait_opened(1, "one.weir.test")
    other.exec("getent", "ahosts", "two.weir.test")
    first.curl("127.0.0.80")
    weirtest.wait_for(lambda: first.opened("two.weir.test") >= 1, what="the last name is shown where none knows better")


if __name__ == "__main__":
    weirtest.main()
