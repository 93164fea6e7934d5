#!/usr/bin/python3
"""Every TCP connection of this host, as an OTLP backend sees it: real servers and clients on one side of the kernel, a
gRPC server that shares no code with weir on the other. What curl says it moved is held against what arrived."""
import os
import re
import socket
import subprocess
import sys
import time

import weirtest

try:
    import judge
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(weirtest.SKIPPED)

CONFIG = """
    receivers:
      sockets: {{collection_interval: {interval}{receiver}}}
    exporters:
      otlp:
        endpoint: "127.0.0.1:{port}"
        tls: {{insecure: true}}
        sending_queue: {{batch: {{flush_timeout: 50ms}}}}
    service:
      telemetry: {{metrics: {{port: "${{env:METRICS_PORT}}"}}}}
      pipelines:
        metrics: {{receivers: [sockets], exporters: [otlp]}}
        logs: {{receivers: [sockets], exporters: [otlp]}}
"""


def attributes(pairs):
    return {a.key: getattr(a.value, a.value.WhichOneof("value")) for a in pairs}


class Backend:
    """The judge, and what has arrived there: the newest cumulative point of every series, and all log records."""

    def __init__(self, stage, behaviour="ok"):
        self.judge = stage.server(judge.Judge(behaviour))
        self.port = self.judge.port
        self._newest, self._added_up = {}, 0

    def received(self, signal_name):
        with self.judge.lock:
            return [r["message"] for r in self.judge.received if r["signal"] == signal_name]

    def points(self):
        """{(metric, resource attributes, point attributes): data point}, attributes as sorted tuples."""
        requests = self.received("metrics")
        # Only what is new: who asks all the time must not keep the judge, in this very process, from answering.
        for request in requests[self._added_up:]:
            for group in request.resource_metrics:
                resource = tuple(sorted(attributes(group.resource.attributes).items()))
                for scope in group.scope_metrics:
                    for metric in scope.metrics:
                        for point in getattr(metric, metric.WhichOneof("data")).data_points:
                            key = (metric.name, resource, tuple(sorted(attributes(point.attributes).items())))
                            self._newest[key] = point
        self._added_up = len(requests)
        return self._newest

    def total(self, name, executable=None, **wanted):
        """The sum over the series of that metric (of a histogram: its count) with these attributes; dots of attribute
        names are written as two underscores."""
        wanted = {(k.replace("__", "."), v) for k, v in wanted.items()}
        return sum(point.count if hasattr(point, "explicit_bounds") else point.as_int
                   for (metric, resource, series), point in self.points().items()
                   if metric == name and wanted <= set(series)
                   and (executable is None or ("process.executable.name", executable) in resource))

    def records(self, **wanted):
        wanted = {(k.replace("__", "."), v) for k, v in wanted.items()}
        found = []
        for request in self.received("logs"):
            for group in request.resource_logs:
                for scope in group.scope_logs:
                    for record in scope.log_records:
                        if wanted <= set(attributes(record.attributes).items()):
                            found.append((attributes(group.resource.attributes), record))
        return found


def start(stage, backend, interval="200ms", receiver="", **more):
    weirtest.need_root()
    return stage.weir(CONFIG.format(interval=interval, port=backend.port, receiver=receiver), **more)


def curl(url, netns=None, extra=()):
    """Fetches; (bytes sent, bytes received) of the connection's payload as curl counted them."""
    command = ["curl", "-sf", "-o", "/dev/null", "-w", "%{size_request} %{size_header} %{size_download}", *extra, url]
    if netns:
        command = ["ip", "netns", "exec", netns.name, *command]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    request, header, body = (int(word) for word in out.split())
    return request, header + body


def fetch_all(nginx, address, netns=None):
    """All files of the nginx, a connection each; (connections, bytes sent, bytes received)."""
    host = f"[{address}]" if ":" in address else address
    moved = [curl(f"http://{host}:{nginx.port}/{name}", netns) for name in FILES]
    return len(moved), sum(m[0] for m in moved), sum(m[1] for m in moved)


FILES = {f"{n}.bin": n * 1777 + 1 for n in range(64)}


def check_moved(backend, moved, port, client, server, network_type, address):
    connections, sent, received = moved
    client_side = {"executable": client, "network__type": network_type, "weir__connection__role": "client",
                   "server__address": address, "server__port": port}
    server_side = {"executable": server, "network__type": network_type, "weir__connection__role": "server",
                   "server__port": port}
    for side in (client_side, server_side):
        weirtest.wait_for(lambda: backend.total("weir.tcp.connection.duration", **side) >= connections,
                          what=f"all connections have closed: {side}")
        assert backend.total("weir.tcp.connection.duration", **side) == connections
        assert backend.total("weir.tcp.connections.opened", **side) == connections
        assert backend.total("weir.tcp.connections", **side) == 0
    assert backend.total("weir.tcp.connect.duration", **client_side) == connections
    for side, expected_sent, expected_received in ((client_side, sent, received), (server_side, received, sent)):
        for direction, expected in (("transmit", expected_sent), ("receive", expected_received)):
            seen = backend.total("weir.tcp.io", network__io__direction=direction, **side)
            assert abs(seen - expected) <= 2 * connections, (side, direction, seen, expected)
            print(f"    {side['executable']} {network_type} {direction}: {seen} of {expected} bytes in "
                  f"{connections} connections")


def test_counts_every_byte_over_ipv4(stage):
    backend = Backend(stage)
    start(stage, backend)
    nginx = stage.nginx(FILES)
    moved = fetch_all(nginx, "127.0.0.1")
    check_moved(backend, moved, nginx.port, "curl", "nginx", "ipv4", "127.0.0.1")


def test_counts_every_byte_over_ipv6(stage):
    backend = Backend(stage)
    start(stage, backend)
    nginx = stage.nginx(FILES, listen=("::1",))
    moved = fetch_all(nginx, "::1")
    check_moved(backend, moved, nginx.port, "curl", "nginx", "ipv6", "::1")


def test_counts_every_byte_in_another_network_namespace(stage):
    backend = Backend(stage)
    start(stage, backend)
    other = stage.namespace()  # made after weir has started
    nginx = stage.nginx(FILES, netns=other)
    moved = fetch_all(nginx, "127.0.0.1", netns=other)
    check_moved(backend, moved, nginx.port, "curl", "nginx", "ipv4", "127.0.0.1")


def test_counts_every_byte_between_two_network_namespaces(stage):
    backend = Backend(stage)
    start(stage, backend)
    other = stage.namespace()
    other.link("10.81.7.1/24", "10.81.7.2/24")
    nginx = stage.nginx(FILES, listen=("10.81.7.2",), netns=other)
    moved = fetch_all(nginx, "10.81.7.2")
    check_moved(backend, moved, nginx.port, "curl", "nginx", "ipv4", "10.81.7.2")


def test_shows_connections_while_they_are_open(stage):
    backend = Backend(stage)
    nginx = stage.nginx({"a.bin": 100_000})
    before = socket.create_connection(("127.0.0.1", nginx.port))  # older than weir
    start(stage, backend)
    after = socket.create_connection(("127.0.0.1", nginx.port))
    side = {"weir__connection__role": "client", "server__port": nginx.port}
    weirtest.wait_for(lambda: backend.total("weir.tcp.connections", **side) == 2, what="both are open")
    assert backend.total("weir.tcp.connections.opened", **side) == 1
    for connection in (before, after):
        connection.sendall(b"GET /a.bin HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        while connection.recv(65536):
            pass
        connection.close()
    weirtest.wait_for(lambda: backend.total("weir.tcp.connections", **side) == 0, what="both are closed")
    assert backend.total("weir.tcp.connection.duration", **side) >= 1
    assert backend.total("weir.tcp.connections.opened", **side) == 1
    server = {"executable": "nginx", "weir__connection__role": "server", "server__port": nginx.port}
    assert backend.total("weir.tcp.connections", **server) == 0
    assert backend.total("weir.tcp.connections.opened", **server) == 1


def test_counts_a_refused_connect(stage):
    backend = Backend(stage)
    start(stage, backend)
    port = weirtest.free_port()
    for _ in range(7):
        subprocess.run(["curl", "-s", f"http://127.0.0.1:{port}/"], check=False)
    side = {"executable": "curl", "server__port": port, "server__address": "127.0.0.1",
            "error__type": "connection_refused"}
    weirtest.wait_for(lambda: backend.total("weir.tcp.connections.failed", **side) >= 7, what="the refusals arrive")
    assert backend.total("weir.tcp.connections.failed", **side) == 7
    assert backend.total("weir.tcp.connections.opened", server__port=port) == 0
    records = weirtest.wait_for(lambda: backend.records(server__port=port) or backend.records(network__peer__port=port),
                                what="their log records arrive")
    assert len(records) == 7
    for resource, record in records:
        assert resource["process.executable.name"] == "curl"
        assert record.event_name == "weir.tcp.connection"
        assert attributes(record.attributes)["error.type"] == "connection_refused"


def test_counts_a_connect_that_timed_out(stage):
    weirtest.need_programs("nft")
    backend = Backend(stage)
    start(stage, backend)
    other = stage.namespace()
    other.exec("sysctl", "-qw", "net.ipv4.tcp_syn_retries=1")
    other.exec("nft", "add table inet t; add chain inet t c { type filter hook input priority 0; }; "
                      "add rule inet t c tcp dport 81 counter drop")
    script = "import socket\ntry: socket.create_connection(('127.0.0.1', 81))\nexcept TimeoutError: pass"
    subprocess.run(["ip", "netns", "exec", other.name, "/usr/bin/python3", "-c", script], check=True, timeout=30)
    side = {"server__port": 81, "error__type": "timed_out"}
    weirtest.wait_for(lambda: backend.total("weir.tcp.connections.failed", **side) == 1, what="the time-out arrives")
    # Every SYN after the first is a retransmitted segment; the packet filter has counted them all.
    syns = int(re.search(r"counter packets (\d+)", other.exec("nft", "list", "ruleset"))[1])
    assert syns > 1
    assert backend.total("weir.tcp.segments.retransmitted", server__port=81) == syns - 1


def test_counts_resets(stage):
    backend = Backend(stage)
    start(stage, backend, receiver=", events: all")
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    client = socket.create_connection(("127.0.0.1", port))
    server, _ = listener.accept()
    client.sendall(b"unread")
    server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    server.close()
    weirtest.wait_for(lambda: backend.total("weir.tcp.resets", server__port=port) == 2,
                      what="the reset arrives, at him who sent and at him who received")
    client.close()
    listener.close()
    weirtest.wait_for(lambda: backend.total("weir.tcp.connections", server__port=port) == 0, what="both are closed")
    assert backend.total("weir.tcp.connections.opened", server__port=port) == 2


def test_names_a_process_that_has_gone(stage):
    """Its name is read in the kernel; nothing of it is left in /proc when weir looks."""
    backend = Backend(stage)
    start(stage, backend, interval="2s")
    nginx = stage.nginx({"a.bin": 10})
    program = stage.path("shortlived")
    with open("/usr/bin/curl", "rb") as original, open(program, "wb") as copy:
        copy.write(original.read())
    os.chmod(program, 0o755)
    for _ in range(5):
        subprocess.run([program, "-sf", "-o", "/dev/null", f"http://127.0.0.1:{nginx.port}/a.bin"], check=True)
    weirtest.wait_for(lambda: backend.total("weir.tcp.connections.opened", executable="shortlived") == 5,
                      what="the name arrives")


def test_folds_what_is_beyond_max_series(stage):
    backend = Backend(stage)
    start(stage, backend, receiver=", max_series: 3")
    ports = [weirtest.free_port() for _ in range(20)]
    for port in ports:
        subprocess.run(["curl", "-s", f"http://127.0.0.1:{port}/"], check=False)
    failed = "weir.tcp.connections.failed"
    weirtest.wait_for(lambda: backend.total(failed) >= 20, what="all failures arrive")
    assert backend.total(failed) == 20
    assert backend.total(failed, otel__metric__overflow=True) >= 17
    for _, resource, series in backend.points():
        if ("otel.metric.overflow", True) in series:
            assert not any(name in dict(series) for name in ("server.port", "server.address")), series
            assert "process.executable.name" not in dict(resource)


def hammer(port, count, rate):
    """count short connections at that rate: connect, ask, read to the end."""
    request = b"GET /a.bin HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    begin = time.monotonic()
    for n in range(count):
        ahead = begin + n / rate - time.monotonic()
        if ahead > 0.002:
            time.sleep(ahead)
        with socket.create_connection(("127.0.0.1", port)) as s:
            s.sendall(request)
            while s.recv(65536):
                pass
    print(f"    {count} connections in {time.monotonic() - begin:.1f} s")


def test_counts_two_thousand_connections_a_second(stage):
    """For twenty seconds; what the kernel side could not hand over must be counted to the unit."""
    count, rate = 40_000, 2000
    backend = Backend(stage)
    weir = start(stage, backend, interval="1s")
    nginx = stage.nginx({"a.bin": 100}, keepalive=False)
    hammer(nginx.port, count, rate)
    server = {"executable": "nginx", "weir__connection__role": "server", "server__port": nginx.port}
    client = {"weir__connection__role": "client", "server__port": nginx.port}

    def lost():
        return weir.figure("weir_receiver_sockets_lost_records")

    def settled():
        seen = sum(backend.total("weir.tcp.connection.duration", **side) for side in (server, client))
        return seen + lost() >= 2 * count
    weirtest.wait_for(settled, what="every connection was seen or is counted as lost")
    assert lost() <= 2 * count
    print(f"    lost in the kernel: {lost():.0f}")
    if lost() == 0:
        for side in (server, client):
            assert backend.total("weir.tcp.connection.duration", **side) == count
            assert backend.total("weir.tcp.connections.opened", **side) == count
    weirtest.wait_for(lambda: backend.total("weir.tcp.connections", **client) == 0, what="none is open")
    assert weir.stop() == 0


def test_tells_what_the_programs_cost(stage):
    backend = Backend(stage)
    weir = start(stage, backend, receiver=", program_statistics: true")
    nginx = stage.nginx({"a.bin": 10})
    curl(f"http://127.0.0.1:{nginx.port}/a.bin")
    weirtest.wait_for(lambda: weir.figure("weir_receiver_sockets_program_runs", program="sockets_changed") > 0,
                      what="runs are counted")
    assert 0 < weir.figure("weir_receiver_sockets_program_seconds", program="sockets_changed") < 1
    assert weir.stop() == 0


def test_first_data_comes_right_after_the_interval(stage):
    backend = Backend(stage)
    nginx = stage.nginx({"a.bin": 10})
    connection = socket.create_connection(("127.0.0.1", nginx.port))
    stage.keep(connection, connection.close)
    began = time.monotonic()
    start(stage, backend, interval="500ms")
    ready = time.monotonic()
    weirtest.wait_for(lambda: backend.judge.items("metrics") > 0, what="data arrives")
    arrived = time.monotonic()
    print(f"    start to ready {1000 * (ready - began):.0f} ms, ready to first data {1000 * (arrived - ready):.0f} ms "
          "at an interval of 500 ms")


if __name__ == "__main__":
    weirtest.main()
