#!/usr/bin/python3
"""The sockets receiver where it is hard: servers of several processes, containers, network namespaces that go away,
bounds that are reached, losses made on purpose, restarts, two weirs at once, and rights that are missing."""
import concurrent.futures
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading

import weirtest

try:
    from test_sockets import Backend, attributes, curl, start
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(weirtest.SKIPPED)

CONTAINER = "0123456789abcdef" * 4


class Server:
    """Listens on a free port and keeps what it accepts; says nothing, reads nothing."""

    def __init__(self, stage, address="127.0.0.1"):
        self.listener = socket.create_server((address, 0), backlog=4096)
        self.port = self.listener.getsockname()[1]
        self.held = []
        stage.keep(self, self.close)

    def connect(self):
        client = socket.create_connection(self.listener.getsockname()[:2])
        server, _ = self.listener.accept()
        self.held.append((client, server))
        return client, server

    def close_pairs(self):
        for client, server in self.held:
            client.close()
            server.close()
        self.held = []

    def close(self):
        self.close_pairs()
        self.listener.close()


def many_files():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def nginx_with(stage, workers, access_log):
    """An nginx as the stage makes it, but with so many workers and an access log; its port."""
    weirtest.need_programs("nginx")
    folder = stage.path("nginx")
    os.makedirs(folder)
    os.chmod(stage.folder, 0o755)
    port = weirtest.free_port()
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi",
                                                                          "scgi"))
    with open(f"{folder}/nginx.conf", "w", encoding="ascii") as f:
        f.write(f"daemon off; pid {folder}/pid; error_log stderr; worker_processes {workers}; user root;\n"
                f"events {{ worker_connections 4096; }}\n"
                f"http {{ log_format size '$request_length $bytes_sent'; access_log {access_log} size; {temporary}\n"
                f"server {{ listen 127.0.0.1:{port} reuseport; location / {{ return 200 'hello'; }} }} }}\n")
    nginx = stage.process("nginx", "-e", "stderr", "-p", folder, "-c", f"{folder}/nginx.conf")
    stage.keep(nginx, lambda: (nginx.is_running() and nginx.signal(signal.SIGTERM), nginx.wait(10)))
    weirtest.wait_for(lambda: weirtest.listens(nginx.pid, port), what="nginx listens")
    return nginx, port


def test_counts_keep_alive_connections_of_many_workers(stage):
    backend = Backend(stage)
    start(stage, backend)
    log = stage.path("access.log")
    nginx, port = nginx_with(stage, 4, log)
    urls = [f"http://127.0.0.1:{port}/{n}" for n in range(50)]
    for _ in range(20):  # one connection each
        subprocess.run(["curl", "-sf", *[word for url in urls for word in ("-o", "/dev/null", url)]], check=True)
    side = {"executable": "nginx", "weir__connection__role": "server", "server__port": port}
    weirtest.wait_for(lambda: backend.total("weir.tcp.connection.duration", **side) >= 20, what="all have closed")
    assert backend.total("weir.tcp.connections.opened", **side) == 20
    assert backend.total("weir.tcp.connections", **side) == 0
    lines = weirtest.wait_for(lambda: len(open(log, encoding="ascii").readlines()) == 1000 and
                              open(log, encoding="ascii").readlines(), what="nginx has logged")
    for direction, column in (("receive", 0), ("transmit", 1)):
        expected = sum(int(line.split()[column]) for line in lines)
        seen = backend.total("weir.tcp.io", network__io__direction=direction, **side)
        assert abs(seen - expected) <= 2 * 20, (direction, seen, expected)
    assert nginx.is_running()


def test_totals_are_complete_after_sigterm_during_traffic(stage):
    backend = Backend(stage)
    weir = start(stage, backend, interval="1s", receiver=", ring_size: 32MiB")  # nothing may be lost in it
    log = stage.path("access.log")
    nginx, port = nginx_with(stage, 2, log)
    side = {"executable": "nginx", "weir__connection__role": "server", "server__port": port}
    done = threading.Event()
    fetched = []

    def fetch():
        while not done.is_set():
            with socket.create_connection(("127.0.0.1", port)) as s:
                s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                while s.recv(4096):
                    pass
            fetched.append(1)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for _ in range(4):
            pool.submit(fetch)
        try:
            weirtest.wait_for(lambda: backend.total("weir.tcp.connections.opened", **side) > 200, what="traffic")
            before = len(fetched)
            assert weir.stop() == 0
            after = len(fetched)
        finally:
            done.set()
    seen = backend.total("weir.tcp.connections.opened", **side)
    print(f"    {before} connections when it was asked to end, {after} when it had, {seen} counted")
    assert before <= seen <= after + 4
    assert nginx.is_running() and "Nothing that was received is lost" in weir.stderr()


def test_calls_a_mapped_address_ipv4(stage):
    backend = Backend(stage)
    start(stage, backend)
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as listener:
        port = listener.getsockname()[1]
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", port)) as client:
                server, _ = listener.accept()
                client.sendall(b"x" * 100)
                client.shutdown(socket.SHUT_WR)
                while server.recv(1000):
                    pass
                server.close()
                client.recv(1)
    for role in ("client", "server"):
        side = {"weir__connection__role": role, "server__port": port}
        weirtest.wait_for(lambda: backend.total("weir.tcp.connection.duration", **side) == 3, what=f"{role}s closed")
        assert backend.total("weir.tcp.connections.opened", network__type="ipv4", **side) == 3
        assert backend.total("weir.tcp.connections.opened", network__type="ipv6", **side) == 0
        direction = "transmit" if role == "client" else "receive"
        assert backend.total("weir.tcp.io", network__io__direction=direction, **side) == 300
    assert backend.total("weir.tcp.connections.opened", server__address="127.0.0.1", server__port=port) == 3


def cgroup_of_a_container(stage):
    """A cgroup as container run-times name them."""
    for root in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup", "/sys/fs/cgroup/systemd", "/sys/fs/cgroup/memory"):
        path = f"{root}/docker-{CONTAINER}.scope"
        if not os.path.exists(f"{root}/cgroup.procs"):
            continue
        try:
            os.mkdir(path)
        except OSError:
            continue
        stage.keep(path, lambda: os.rmdir(path))
        return path
    return weirtest.skip("no cgroup can be made here")


def test_tells_containers_apart(stage):
    weirtest.need_root()
    group = cgroup_of_a_container(stage)
    backend = Backend(stage)
    start(stage, backend)
    server = Server(stage)
    script = f"echo $$ > {group}/cgroup.procs; exec curl -s -m 3 telnet://127.0.0.1:{server.port}"
    inside = stage.process("sh", "-c", script)
    outside = stage.process("curl", "-s", "-m", "3", f"telnet://127.0.0.1:{server.port}")

    def seen():
        return {dict(r).get("container.id") for (name, r, series), _ in backend.points().items()
                if name == "weir.tcp.connections.opened" and ("server.port", server.port) in series
                and ("process.executable.name", "curl") in r}
    weirtest.wait_for(lambda: len(seen()) == 2, what="both are seen")
    assert seen() == {CONTAINER, None}
    inside.wait()
    outside.wait()


def test_tells_processes_apart_and_clients_by_address(stage):
    backend = Backend(stage)
    start(stage, backend, receiver=", per_process: true, client_address: true")
    listener = socket.create_server(("0.0.0.0", 0))
    stage.keep(listener, listener.close)
    port = listener.getsockname()[1]
    children = {}
    for n in (2, 3):
        source = f"127.0.0.{n}"
        for _ in range(2):
            child = stage.process("/usr/bin/python3", "-c",
                                  f"import socket; s = socket.create_connection(('127.0.0.1', {port}), 9, "
                                  f"('{source}', 0)); s.recv(1)")
            connection, _ = listener.accept()
            stage.keep(connection, connection.close)
            children[child.pid] = source

    def pids():
        return {dict(r).get("process.pid") for (name, r, s) in backend.points()
                if name == "weir.tcp.connections" and ("server.port", port) in s
                and ("weir.connection.role", "client") in s}
    weirtest.wait_for(lambda: len(pids()) >= 4, what="the four clients")
    assert pids() == set(children)
    for source in ("127.0.0.2", "127.0.0.3"):
        assert backend.total("weir.tcp.connections", server__port=port, client__address=source) == 2
    server = [dict(r)["process.pid"] for (name, r, s) in backend.points()
              if name == "weir.tcp.connections" and ("client.address", "127.0.0.2") in s]
    assert set(server) == {os.getpid()}


def delta_sum(backend, name, **wanted):
    """What all delta points add up to."""
    wanted = {(k.replace("__", "."), v) for k, v in wanted.items()}
    total = 0
    for request in backend.received("metrics"):
        for group in request.resource_metrics:
            for scope in group.scope_metrics:
                for metric in scope.metrics:
                    if metric.name != name:
                        continue
                    data = getattr(metric, metric.WhichOneof("data"))
                    assert data.aggregation_temporality == 1, name
                    total += sum(p.count if hasattr(p, "explicit_bounds") else p.as_int for p in data.data_points
                                 if wanted <= set(attributes(p.attributes).items()))
    return total


def test_deltas_add_up_to_the_cumulative_totals(stage):
    """Two weirs at once, one of either temporality: they also do not disturb each other."""
    cumulative, delta = Backend(stage), Backend(stage)
    start(stage, cumulative)
    second = start(stage, delta, receiver=", temporality: delta")
    nginx = stage.nginx({"a.bin": 5000})
    sent = received = 0
    for _ in range(100):
        s, r = curl(f"http://127.0.0.1:{nginx.port}/a.bin")
        sent += s
        received += r
    side = {"weir__connection__role": "client", "server__port": nginx.port}
    weirtest.wait_for(lambda: cumulative.total("weir.tcp.connection.duration", **side) == 100, what="cumulative")
    weirtest.wait_for(lambda: delta_sum(delta, "weir.tcp.connection.duration", **side) == 100, what="delta")
    for name in ("weir.tcp.connections.opened", "weir.tcp.connect.duration", "weir.tcp.connection.duration",
                 "weir.tcp.rtt"):
        assert delta_sum(delta, name, **side) >= 100, name
    for direction, moved in (("transmit", sent), ("receive", received)):
        total = cumulative.total("weir.tcp.io", network__io__direction=direction, **side)
        assert total == delta_sum(delta, "weir.tcp.io", network__io__direction=direction, **side)
        assert abs(total - moved) <= 200
    # One of them ends; the other goes on as before.
    assert second.stop() == 0
    for _ in range(10):
        curl(f"http://127.0.0.1:{nginx.port}/a.bin")
    weirtest.wait_for(lambda: cumulative.total("weir.tcp.connection.duration", **side) >= 110, what="ten more")
    assert cumulative.total("weir.tcp.connections.opened", **side) == 110
    assert cumulative.total("weir.tcp.connections", **side) == 0


def test_a_network_namespace_goes_away_with_connections_open(stage):
    backend = Backend(stage)
    start(stage, backend)
    other = stage.namespace()
    script = ("import socket; l = socket.create_server(('127.0.0.1', 7000)); "
              "k = [(socket.create_connection(('127.0.0.1', 7000)), l.accept()) for _ in range(9)]; "
              "k[0][0].sendall(b'x' * 77); k[0][1][0].recv(77); import time; time.sleep(600)")
    process = stage.process("/usr/bin/python3", "-c", script, netns=other)
    weirtest.wait_for(lambda: backend.total("weir.tcp.connections", server__port=7000) == 18, what="all are open")
    other.remove()
    process.kill()
    weirtest.wait_for(lambda: backend.total("weir.tcp.connections", server__port=7000) == 0, what="none is open")
    assert backend.total("weir.tcp.connections.opened", server__port=7000) == 18
    assert backend.total("weir.tcp.connection.duration", server__port=7000) == 18
    assert backend.total("weir.tcp.io", server__port=7000) == 2 * 77


def test_overflow_keeps_the_totals_of_500_ports(stage):
    many_files()
    backend = Backend(stage)
    other = stage.namespace()  # nothing else happens there, but the host has its own series
    weir = start(stage, backend, receiver=", max_series: 100")
    script = ("import socket\n"
              "for port in range(20000, 20500):\n"
              "    with socket.create_server(('127.0.0.1', port)) as l:\n"
              "        c = socket.create_connection(('127.0.0.1', port)); s, _ = l.accept()\n"
              "        c.sendall(b'x' * 10); assert s.recv(10); c.close(); s.recv(1); s.close()\n")
    subprocess.run(["ip", "netns", "exec", other.name, "/usr/bin/python3", "-c", script], check=True, timeout=60)

    def total(name):
        """Everything of those ports, and the overflow series."""
        return sum(p.count if hasattr(p, "explicit_bounds") else p.as_int
                   for (metric, _, series), p in backend.points().items()
                   if metric == name and (20000 <= dict(series).get("server.port", 0) < 20500
                                          or dict(series).get("otel.metric.overflow")))
    weirtest.wait_for(lambda: total("weir.tcp.connection.duration") >= 1000, what="all have closed")
    counted = {name: total(name) for name in ("weir.tcp.connections.opened", "weir.tcp.connection.duration",
                                              "weir.tcp.connections", "weir.tcp.io")}
    print(f"    {counted}, {weir.figure('weir_receiver_sockets_overflowed_records'):.0f} records in overflow")
    # Connections of the test's own (the exporter's, the metrics page's) may lie in overflow too.
    assert 1000 <= counted["weir.tcp.connection.duration"] <= 1000 + 20
    assert 1000 <= counted["weir.tcp.connections.opened"] <= 1000 + 20
    assert 0 <= counted["weir.tcp.connections"] <= 20
    assert counted["weir.tcp.io"] >= 2 * 500 * 10
    assert weir.figure("weir_receiver_sockets_series") <= 100
    overflow = [(r, s) for (m, r, s) in backend.points() if dict(s).get("otel.metric.overflow")]
    assert overflow and all(dict(s) == {"otel.metric.overflow": True} or set(dict(s)) <=
                            {"otel.metric.overflow", "network.io.direction", "error.type"} for _, s in overflow)


def test_counts_what_a_small_ring_loses_and_recounts_what_is_open(stage):
    many_files()
    backend = Backend(stage)
    weir = start(stage, backend, interval="5s", receiver=", ring_size: 64KiB")
    server = Server(stage)
    for _ in range(300):
        server.connect()
    rounds = 3000
    weir.signal(signal.SIGSTOP)  # it cannot read now
    try:
        for _ in range(rounds):
            with socket.create_connection(("127.0.0.1", server.port)):
                accepted, _ = server.listener.accept()
            accepted.close()
    finally:
        weir.signal(signal.SIGCONT)
    weirtest.wait_for(lambda: weir.figure("weir_receiver_sockets_recounts") > 0, what="the open ones were recounted")
    side = {"server__port": server.port}
    weirtest.wait_for(lambda: backend.total("weir.tcp.connections", **side) == 600, what="300 are open, both ends")
    lost = weir.figure("weir_receiver_sockets_lost_records")
    closed = backend.total("weir.tcp.connection.duration", **side)
    print(f"    {closed} closes seen, {lost:.0f} lost, {2 * rounds} made")
    assert lost > 0
    assert 2 * rounds <= closed + lost <= 2 * rounds + 50  # others of this host may have lost some
    assert "the kernel side could not hand over" in weir.stderr()
    server.close_pairs()
    weirtest.wait_for(lambda: backend.total("weir.tcp.connections", **side) == 0, what="none is open")


def test_a_restart_finds_what_is_open(stage):
    backend = Backend(stage)
    first = start(stage, backend)
    server = Server(stage)
    for _ in range(20):
        client, _ = server.connect()
        client.sendall(b"x" * 1000)
    side = {"server__port": server.port}
    weirtest.wait_for(lambda: backend.total("weir.tcp.connections", **side) == 40, what="both ends are open")
    assert first.stop() == 0
    again = Backend(stage)
    second = start(stage, again)
    weirtest.wait_for(lambda: again.total("weir.tcp.connections", **side) == 40, what="they are found again")
    assert again.total("weir.tcp.connections.opened", **side) == 0
    assert again.total("weir.tcp.io", **side) == 0  # what moved before was counted before
    for client, _ in server.held:
        client.sendall(b"y" * 7)
    weirtest.wait_for(lambda: again.total("weir.tcp.io", network__io__direction="transmit", **side) == 20 * 7,
                      what="what moves from now on")
    server.close_pairs()
    weirtest.wait_for(lambda: again.total("weir.tcp.connections", **side) == 0, what="none is open")
    assert second.stop() == 0


def connect_in(namespace, address, port):
    script = f"import socket\ntry: socket.create_connection(('{address}', {port}))\nexcept OSError as e: print(e.errno)"
    return subprocess.run(["ip", "netns", "exec", namespace.name, "/usr/bin/python3", "-c", script], check=True,
                          timeout=60, capture_output=True, text=True).stdout.strip()


def test_counts_hosts_and_networks_that_cannot_be_reached(stage):
    """A neighbour that does not answer, and a packet filter that answers as a router would. (Without any route
    connect() fails before the kernel calls it a connection: nothing is counted.)"""
    weirtest.need_programs("nft")
    backend = Backend(stage)
    start(stage, backend)
    other = stage.namespace()
    other.link("10.83.7.1/24", "10.83.7.2/24")
    other.exec("nft", "add table inet t; add chain inet t c { type filter hook output priority 0; }; "
                      "add rule inet t c tcp dport 82 reject with icmp type net-unreachable")
    assert connect_in(other, "10.83.7.9", 83) == "113"  # EHOSTUNREACH
    assert connect_in(other, "10.83.7.1", 82) == "101"  # ENETUNREACH
    assert connect_in(other, "10.99.0.1", 84) == "101"
    for port, why in ((83, "host_unreachable"), (82, "network_unreachable")):
        weirtest.wait_for(lambda: backend.total("weir.tcp.connections.failed", server__port=port) == 1, what=why)
        assert backend.total("weir.tcp.connections.failed", server__port=port, error__type=why) == 1
    assert backend.total("weir.tcp.connections.failed", server__port=84) == 0


def test_a_killed_server_resets_its_clients(stage):
    """Killed with unread data: a connection that had been established and ended with an error, not a failed one."""
    backend = Backend(stage)
    start(stage, backend, receiver=", events: all")
    server = stage.process("/usr/bin/python3", "-uc", "import socket; l = socket.create_server(('127.0.0.1', 0)); "
                           "print(l.getsockname()[1]); c, _ = l.accept(); l.accept()")
    port = int(weirtest.wait_for(lambda: server.stdout().strip(), what="it listens"))
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"unread")
        side = {"server__port": port}
        weirtest.wait_for(lambda: backend.total("weir.tcp.connections", **side) == 2, what="both ends are open")
        server.kill()
        weirtest.wait_for(lambda: backend.total("weir.tcp.connections", **side) == 0, what="both ends are closed")
        assert backend.total("weir.tcp.connections.failed", **side) == 0
        assert backend.total("weir.tcp.resets", network__io__direction="transmit", **side) == 1
        assert backend.total("weir.tcp.resets", network__io__direction="receive", **side) == 1
    _, record = weirtest.wait_for(lambda: backend.records(network__peer__port=port), what="the log record")[0]
    assert attributes(record.attributes)["error.type"] == "connection_reset"


def test_a_destroyed_connection_closes_with_an_error(stage):
    """As an administrator does it, or a firewall that throws connections out."""
    weirtest.need_programs("ss")
    backend = Backend(stage)
    start(stage, backend, receiver=", events: all")
    server = Server(stage)
    client, _ = server.connect()
    side = {"server__port": server.port}
    weirtest.wait_for(lambda: backend.total("weir.tcp.connections", **side) == 2, what="both ends are open")
    subprocess.run(["ss", "-K", "-t", "dport", "=", str(server.port)], check=True, capture_output=True)
    try:
        client.sendall(b"x")
        weirtest.skip("the kernel was built without CONFIG_INET_DIAG_DESTROY")
    except ConnectionError:
        pass
    weirtest.wait_for(lambda: backend.total("weir.tcp.connection.duration", **side) == 2, what="both ends are closed")
    assert backend.total("weir.tcp.connections", **side) == 0
    assert backend.total("weir.tcp.connections.failed", **side) == 0
    assert backend.total("weir.tcp.connections.opened", **side) == 2
    assert backend.total("weir.tcp.resets", network__io__direction="transmit", **side) == 1
    assert backend.total("weir.tcp.resets", network__io__direction="receive", **side) == 1
    ends = {attributes(record.attributes)["error.type"] for _, record in
            weirtest.wait_for(lambda: len(backend.records(network__local__port=client.getsockname()[1])) == 1
                              and backend.records(network__local__port=client.getsockname()[1]), what="log record")}
    assert ends == {"other"}, ends


# ---- rights

def refused(stage, capabilities, *prefix):
    """What weir says, as an unprivileged user with these capabilities, when it does not start; None when it does."""
    weirtest.need_root()
    weirtest.need_programs("setpriv")
    caps = ",".join(["-all", *[f"+{name}" for name in capabilities]])
    path = stage.path("rights.yaml")
    with open(path, "w", encoding="ascii") as f:
        f.write("receivers: {sockets: {}}\nexporters: {debug: {}}\nservice:\n  telemetry: {metrics: {level: none}}\n"
                "  pipelines: {metrics: {receivers: [sockets], exporters: [debug]}}\n")
    os.chmod(stage.folder, 0o755)
    weir = stage.process("setarch", "-R", *(prefix or ("setpriv", "--reuid", "65534", "--clear-groups",
                                                       f"--inh-caps={caps}", f"--ambient-caps={caps}")),
                         weirtest.BINARY, "--config", path)
    weirtest.wait_for(lambda: weirtest.READY in weir.stderr() or not weir.is_running(), what="it starts or not")
    if weir.is_running():
        weir.signal(signal.SIGTERM)
        assert weir.wait() == 0
        return None, weir.stderr()
    assert weir.wait() == 1
    return weir.stderr().strip().splitlines()[-1], weir.stderr()


def test_says_which_capability_is_missing_and_what_to_do(stage):
    advice = "; run as root, or give the service `AmbientCapabilities=CAP_BPF CAP_PERFMON`"
    for capabilities, said in (((), "CAP_BPF and CAP_PERFMON are missing"), (("bpf",), "CAP_PERFMON is missing"),
                               (("perfmon",), "CAP_BPF is missing"), (("net_admin", "sys_ptrace"),
                                                                      "CAP_BPF and CAP_PERFMON are missing")):
        last, _ = refused(stage, capabilities)
        assert last and last.endswith(said + advice), (capabilities, last)


def test_starts_with_fewer_rights_and_says_what_it_cannot_see(stage):
    for capabilities, missing in ((("bpf", "perfmon"), "CAP_SYS_ADMIN and CAP_SYS_PTRACE"),
                                  (("bpf", "perfmon", "sys_admin"), "CAP_SYS_PTRACE"),
                                  (("bpf", "perfmon", "sys_admin", "sys_ptrace"), None)):
        last, text = refused(stage, capabilities)
        assert last is None, last
        given = re.search(r"give the service (.*)$", text, re.MULTILINE)
        assert (given and given[1]) == missing, (capabilities, text)


def test_says_that_a_user_namespace_has_no_rights(stage):
    weirtest.need_programs("unshare")
    last, _ = refused(stage, (), "unshare", "-U", "-r", "-n")
    if "unshare" in (last or ""):
        weirtest.skip(last)
    assert last and "user namespace" in last and "rootless" in last, last


def test_doctor_agrees(_):
    weirtest.need_root()
    weirtest.need_programs("setpriv")
    for caps, wanted in (("-all", r"fail +CAP_BPF +missing"),
                         ("-all,+bpf,+perfmon", r"ok +CAP_PERFMON +effective")):
        done = subprocess.run(["setarch", "-R", "setpriv", "--reuid", "65534", "--clear-groups", f"--inh-caps={caps}",
                               f"--ambient-caps={caps}", weirtest.BINARY, "doctor"], capture_output=True, text=True,
                              timeout=60, check=False)
        assert re.search(wanted, done.stdout), done.stdout + done.stderr


if __name__ == "__main__":
    weirtest.main()
