#!/usr/bin/python3
"""What the sockets receiver costs: the throughput it takes from nginx, kernel time per connection, and the daemon's own
CPU and memory with many open sockets. Prints figures, never fails on a time.

    scripts/build && sudo tests/bench/sockets.py [throughput] [kernel] [idle] [connections] [series]

Ratios come from pairs measured one after the other (without, with, without, with, ...); medians are given."""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
WEIR = os.environ.get("WEIR_BINARY", str(ROOT / "build" / "weir"))
PAIRS = int(os.environ.get("PAIRS", "9"))
SECONDS = int(os.environ.get("SECONDS", "3"))

CONFIG = """
receivers: {{sockets: {{collection_interval: {interval}}}}}
exporters: {{debug: {{verbosity: basic, output_paths: [/dev/null]}}}}
service:
  telemetry: {{metrics: {{level: none}}}}
  pipelines:
    metrics: {{receivers: [sockets], exporters: [debug]}}
    logs: {{receivers: [sockets], exporters: [debug]}}
"""

# With weir's own metrics, which tell of losses.
METERED = """
receivers: {{sockets: {{collection_interval: {interval}, {options}}}}}
exporters: {{debug: {{verbosity: {verbosity}, output_paths: [/dev/null]}}}}
service:
  telemetry: {{metrics: {{port: {port}}}}}
  pipelines:
    metrics: {{receivers: [sockets], exporters: [debug]}}
    logs: {{receivers: [sockets], exporters: [debug]}}
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Weir:
    def __init__(self, folder, interval="10s", config=CONFIG, **options):
        path = pathlib.Path(folder) / "weir.yaml"
        self.metrics_port = free_port()
        path.write_text(config.format(interval=interval, port=self.metrics_port, **options))
        self.log = open(pathlib.Path(folder) / "weir.log", "w+")
        self.process = subprocess.Popen([WEIR, "--config", str(path)], stdout=subprocess.DEVNULL, stderr=self.log)
        deadline = time.monotonic() + 10
        while "Everything is ready" not in pathlib.Path(self.log.name).read_text():
            if self.process.poll() is not None or time.monotonic() > deadline:
                sys.exit("weir did not start:\n" + pathlib.Path(self.log.name).read_text())
            time.sleep(0.01)

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_kib(self):
        values = {}
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            key, _, value = line.partition(":")
            if key in ("VmRSS", "VmHWM"):
                values[key] = int(value.split()[0])
        return values

    def own_metrics(self):
        """{name: value}, summed over labels."""
        text = urllib.request.urlopen(f"http://localhost:{self.metrics_port}/metrics", timeout=10).read().decode()
        values = {}
        for name, value in re.findall(r"^(\w+)(?:{.*})? (\S+)$", text, re.M):
            values[name] = values.get(name, 0) + float(value)
        return values

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=30)


class Nginx:
    def __init__(self, folder):
        self.port = free_port()
        pathlib.Path(folder, "www").mkdir()
        pathlib.Path(folder, "www", "index.html").write_text("x" * 600)
        conf = pathlib.Path(folder, "nginx.conf")
        conf.write_text(f"""
            daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
            events {{ worker_connections 16000; }}
            http {{ access_log off; keepalive_requests 1000000000;
                    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
                    uwsgi_temp_path {folder}; scgi_temp_path {folder};
                    server {{ listen 127.0.0.1:{self.port} backlog=4096; root {folder}/www; }} }}""")
        self.process = subprocess.Popen(["nginx", "-c", str(conf), "-p", str(folder)], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                if time.monotonic() > deadline:
                    sys.exit("nginx did not start")
                time.sleep(0.02)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=10)


def wrk(port, close=False, seconds=SECONDS):
    command = ["wrk", "-t1", "-c16", f"-d{seconds}s", f"http://127.0.0.1:{port}/"]
    if close:
        command += ["-H", "Connection: close"]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rate = [line for line in out.splitlines() if line.startswith("Requests/sec")][0]
    total = [line for line in out.splitlines() if "requests in" in line][0]
    return float(rate.split()[1]), int(total.split()[0])


def throughput(folder):
    nginx = Nginx(folder)
    try:
        wrk(nginx.port, seconds=1)
        for title, close in (("keep-alive requests", False), ("a connection for every request", True)):
            without, with_weir, ratios = [], [], []
            for _ in range(PAIRS):
                a, _ = wrk(nginx.port, close)
                weir = Weir(folder)
                b, _ = wrk(nginx.port, close)
                weir.stop()
                without.append(a)
                with_weir.append(b)
                ratios.append(b / a)
            print(f"throughput, {title}: without {statistics.median(without):.0f}/s, "
                  f"with {statistics.median(with_weir):.0f}/s, median ratio {statistics.median(ratios):.4f} "
                  f"(min {min(ratios):.3f}, max {max(ratios):.3f}, {PAIRS} pairs)", flush=True)
    finally:
        nginx.stop()


def program_times(pid):
    """{program: (ns, runs)} of the eBPF programs that the process holds."""
    out = subprocess.run([shutil.which("bpftool") or "/usr/sbin/bpftool", "prog", "show", "-j"],
                         capture_output=True, text=True, check=True).stdout
    names = {p["id"]: p["name"] for p in json.loads(out)}
    times = {}
    for path in pathlib.Path(f"/proc/{pid}/fdinfo").iterdir():
        fields = dict(line.split(":", 1) for line in path.read_text().splitlines() if ":" in line)
        if "run_time_ns" in fields and "prog_id" in fields:
            name = names.get(int(fields["prog_id"]), "?")
            times[name] = (int(fields["run_time_ns"]), int(fields["run_cnt"]))
    return times


def kernel(folder):
    """BPF run-time statistics over many short connections; both ends are on this host, so two sockets each."""
    switch = pathlib.Path("/proc/sys/kernel/bpf_stats_enabled")
    before_value = switch.read_text()
    nginx = Nginx(folder)
    weir = Weir(folder)
    switch.write_text("1")
    try:
        per_connection = []
        for _ in range(5):
            before = program_times(weir.process.pid)
            _, connections = wrk(nginx.port, close=True, seconds=2)
            after = program_times(weir.process.pid)
            spent = sum(after[n][0] - before[n][0] for n in after)
            per_connection.append(spent / connections)
        runs = {n: (after[n][1] - before[n][1]) / connections for n in after}
        median = statistics.median(per_connection)
        print(f"kernel time: {median:.0f} ns per loopback connection (two sockets), {median / 2:.0f} ns per socket's "
              f"whole life, median of {len(per_connection)} runs")
        for name, count in sorted(runs.items()):
            spent = after[name][0] - before[name][0]
            n = after[name][1] - before[name][1]
            print(f"    {name}: {count:.2f} runs per connection, {spent / n if n else 0:.0f} ns per run")
    finally:
        switch.write_text(before_value)
        weir.stop()
        nginx.stop()


def idle(folder):
    """CPU share and memory of the daemon with N open sockets, a tenth of which move data in every interval."""
    limit = 4 * 16000
    import resource
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, limit), hard))
    nginx = Nginx(folder)
    request = b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n"
    try:
        for sockets in (1000, 10000):
            clients = [socket.create_connection(("127.0.0.1", nginx.port)) for _ in range(sockets // 2)]
            weir = Weir(folder)
            time.sleep(2)  # the first walk is start-up cost, measured on its own by the kernel's own clock
            cpu, start = weir.cpu_seconds(), time.monotonic()
            end = start + 30
            turn = 0
            while time.monotonic() < end:
                busy = clients[turn % 10::10]
                turn += 1
                for c in busy:
                    c.sendall(request)
                for c in busy:
                    c.recv(4096)
                time.sleep(max(0.0, min(10.0, end - time.monotonic())))
            share = (weir.cpu_seconds() - cpu) / (time.monotonic() - start)
            memory = weir.memory_kib()
            print(f"{sockets} open sockets: {100 * share:.2f} % of one core over 30 s (interval 10 s), "
                  f"{memory['VmRSS'] / 1024:.1f} MiB resident, {memory['VmHWM'] / 1024:.1f} MiB at most", flush=True)
            weir.stop()
            for c in clients:
                c.close()
    finally:
        nginx.stop()


def connections(folder):
    """What a connection costs the daemon itself, as fast as nginx and wrk can make them, and what is lost on the way."""
    nginx = Nginx(folder)
    try:
        for options in ("events: failed", "events: all"):
            weir = Weir(folder, interval="2s", config=METERED, options=options, verbosity="basic")
            before, cpu = weir.own_metrics(), weir.cpu_seconds()
            rate, total = wrk(nginx.port, close=True, seconds=5)
            time.sleep(2.5)  # one more collection
            cpu, after, memory = weir.cpu_seconds() - cpu, weir.own_metrics(), weir.memory_kib()
            spent = {name: after[name] - before.get(name, 0) for name in after}
            print(f"connections, {options}: {rate:.0f}/s (two sockets each), {cpu / total * 1e6:.1f} CPU s per million, "
                  f"lost in the ring {spent['weir_receiver_sockets_lost_records']:.0f}, "
                  f"log records dropped {spent['weir_receiver_sockets_dropped_log_records']:.0f}, "
                  f"{memory['VmRSS'] / 1024:.1f} MiB resident, {memory['VmHWM'] / 1024:.1f} MiB at most", flush=True)
            weir.stop()
    finally:
        nginx.stop()


def one_connection_to_each(addresses, port):
    """A request and an answer with each of them, so that all of a client's metrics have a point."""
    server = socket.create_server(("0.0.0.0", port), backlog=1024)

    def serve():
        for _ in addresses:
            c, _ = server.accept()
            with c:
                c.recv(100)
                c.sendall(b"y" * 200)

    thread = threading.Thread(target=serve)
    thread.start()
    for address in addresses:
        with socket.create_connection((address, port)) as c:
            c.sendall(b"x" * 100)
            c.recv(1000)
            c.recv(1)  # the server's end
    thread.join()
    server.close()


def series(folder):
    """Memory and hold-ups of the loop with as many series as max_series lets in."""
    addresses = [f"127.1.{i // 250}.{i % 250 + 1}" for i in range(10000)]
    for verbosity in ("basic", "normal"):
        weir = Weir(folder, interval="5s", config=METERED, options="events: none", verbosity=verbosity)
        start = weir.memory_kib()
        one_connection_to_each(addresses, free_port())
        cpu, longest, end = weir.cpu_seconds(), 0.0, time.monotonic() + 11
        while time.monotonic() < end:  # two collections at least
            asked = time.monotonic()
            values = weir.own_metrics()
            longest = max(longest, time.monotonic() - asked)
            time.sleep(0.002)
        memory = weir.memory_kib()
        print(f"series, debug {verbosity}: {values['weir_receiver_sockets_series']:.0f} series; the loop's slowest answer "
              f"{1000 * longest:.0f} ms; {start['VmRSS'] / 1024:.1f} MiB resident before, {memory['VmRSS'] / 1024:.1f} MiB "
              f"after, {memory['VmHWM'] / 1024:.1f} MiB at most", flush=True)
        weir.stop()


def main():
    parts = {"throughput": throughput, "kernel": kernel, "idle": idle, "connections": connections, "series": series}
    chosen = sys.argv[1:] or list(parts)
    for name in chosen:
        with tempfile.TemporaryDirectory(prefix="weir-bench-") as folder:
            os.chmod(folder, 0o755)
            parts[name](folder)


if __name__ == "__main__":
    main()
