#!/usr/bin/python3
"""What the dns receiver costs and what it can take: the throughput it takes from a resolver, kernel time per packet that is
watched and per packet that is not, losses and the daemon's own CPU and memory under load. Prints figures, never fails on a
time.

    scripts/build && sudo tests/bench/dns.py [throughput] [load] [watched] [unwatched]

Ratios come from pairs measured one after the other (without, with, with, without, ...); medians are given."""

import contextlib
import json
import os
import pathlib
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

import resolvers  # pylint: disable=wrong-import-position
import sockets
import weirtest

PAIRS = int(os.environ.get("PAIRS", "9"))
SECONDS = int(os.environ.get("SECONDS", "5"))
RATES = [int(rate) for rate in os.environ.get("RATES", "20000 50000").split()]
LOAD_SECONDS = int(os.environ.get("LOAD_SECONDS", "20"))
NAMES = 1000

CONFIG = """
receivers: {{dns: {{collection_interval: {interval}, ports: [{dns_port}]{options}}}}}
exporters:
  debug: {{verbosity: basic, output_paths: [/dev/null]}}
  file: {{path: {out}}}
service:
  telemetry: {{metrics: {{port: {port}}}}}
  pipelines:
    metrics: {{receivers: [dns], exporters: [{exporter}]}}
    logs: {{receivers: [dns], exporters: [debug]}}
"""


class Weir(sockets.Weir):
    def losses(self):
        """{reason: number}, and log records that were dropped; what is 0 left out."""
        text = urllib.request.urlopen(f"http://localhost:{self.metrics_port}/metrics", timeout=10).read().decode()
        found = re.findall(r'^weir_receiver_dns_(?:losses|dropped_log_records)\{.*reason="(\w+)".*\} (\S+)$', text, re.M)
        return {reason: int(float(value)) for reason, value in found if float(value)}


def start(folder, dns_port, interval="10s", exporter="debug", options=""):
    return Weir(folder, interval, CONFIG, dns_port=dns_port, exporter=exporter, out=f"{folder}/out.json",
                        options="".join(", " + o for o in [options] if o))


def questions(folder):
    path = pathlib.Path(folder) / "questions"
    path.write_text("".join(f"h{n}.weir.test A\n" for n in range(NAMES)))
    return path


def dnsperf(folder, port, seconds, rate=None):
    """Questions sent, answered, lost, and answered per second."""
    command = ["dnsperf", "-s", "127.0.0.1", "-p", str(port), "-d", str(questions(folder)), "-l", str(seconds), "-c", "4",
               "-T", "1", "-t", "5", *(["-Q", str(rate)] if rate else [])]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    sent, completed, lost = (int(re.search(rf"Queries {what}:\s+(\d+)", out)[1])
                             for what in ("sent", "completed", "lost"))
    return sent, completed, lost, float(re.search(r"Queries per second:\s+([\d.]+)", out)[1])


def pairs(measure, folder, port, **options):
    """Median of measure() without and with weir, and of the ratios; alternating which comes first."""
    without, with_weir, ratios = [], [], []
    for n in range(PAIRS):
        figures = {}
        for watched in ((False, True) if n % 2 == 0 else (True, False)):
            weir = start(folder, port, **options) if watched else None
            figures[watched] = measure()
            if weir:
                weir.stop()
        without.append(figures[False])
        with_weir.append(figures[True])
        ratios.append(figures[True] / figures[False])
    return (f"without {statistics.median(without):.0f}/s, with {statistics.median(with_weir):.0f}/s, median ratio "
            f"{statistics.median(ratios):.4f} (min {min(ratios):.3f}, max {max(ratios):.3f}, {PAIRS} pairs)")


def throughput(stage, folder):
    """At a rate that leaves room, with the resolver's own CPU time for an answer; and as fast as dnsperf and unbound can, on
    cores that both fill, so that every cycle of the programs and of weir is missing."""
    unbound = resolvers.unbound(stage, hosts=NAMES)
    dnsperf(folder, unbound.port, 1)

    def answers_per_cpu_second():
        before = cpu_seconds(unbound.pid)
        completed = dnsperf(folder, unbound.port, SECONDS, 20000)[1]
        return completed / (cpu_seconds(unbound.pid) - before)
    for title, measure in (
            ("answers of unbound, asked 20000/s", lambda: dnsperf(folder, unbound.port, SECONDS, 20000)[3]),
            ("answers of unbound per second of its CPU time, asked 20000/s", answers_per_cpu_second),
            ("answers of unbound, asked all it can", lambda: dnsperf(folder, unbound.port, SECONDS)[3])):
        print(f"throughput, {title}: {pairs(measure, folder, unbound.port)}", flush=True)


def cpu_seconds(pid):
    """To the nanosecond, unlike /proc/PID/stat; of a process with one thread."""
    return int(pathlib.Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def counts(folder):
    """{role: exchanges} of the newest point of each series in the file."""
    newest = {}
    for line in (pathlib.Path(folder) / "out.json").read_text().splitlines():
        for group in json.loads(line)["resourceMetrics"]:
            resource = json.dumps(group["resource"]["attributes"], sort_keys=True)
            for scope in group["scopeMetrics"]:
                for metric in scope["metrics"]:
                    for point in metric.get("histogram", {}).get("dataPoints", []):
                        newest[metric["name"], resource, json.dumps(point["attributes"])] = point
    found = {}
    for (name, _, series), point in newest.items():
        if name == "dns.lookup.duration":
            role = {a["key"]: a["value"] for a in json.loads(series)}.get("weir.connection.role", {}).get("stringValue")
            found[role] = found.get(role, 0) + int(point["count"])
    return found


def load(stage, folder):
    """What is told and what is lost at these rates."""
    unbound = resolvers.unbound(stage, hosts=NAMES)
    for rate in RATES:
        for options in ("events: failed", "events: all"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{folder}/out.json")
            weir = start(folder, unbound.port, interval="2s", exporter="file", options=options)
            cpu = weir.cpu_seconds()
            sent, completed, lost, reached = dnsperf(folder, unbound.port, LOAD_SECONDS, rate)
            cpu = weir.cpu_seconds() - cpu
            end = time.monotonic() + 20
            while time.monotonic() < end:
                told, losses = counts(folder), weir.losses()
                if sum(told.values()) >= 2 * sent:
                    break
                time.sleep(0.1)
            memory = weir.memory_kib()
            print(f"load, {rate} questions/s for {LOAD_SECONDS} s ({options}): {reached:.0f}/s reached; {sent} sent, "
                  f"{completed} answered, {lost} lost by dnsperf; told {told}; not told {2 * sent - sum(told.values())}; "
                  f"counted {losses or 'no loss'}; {cpu / sent * 1e6:.2f} us of CPU for a question (two exchanges), "
                  f"{100 * cpu / LOAD_SECONDS:.1f} % of a core; {memory['VmRSS'] / 1024:.1f} MiB resident, "
                  f"{memory['VmHWM'] / 1024:.1f} MiB at most", flush=True)
            weir.stop()


@contextlib.contextmanager
def statistics_on():
    switch = pathlib.Path("/proc/sys/kernel/bpf_stats_enabled")
    before = switch.read_text()
    switch.write_text("1")
    try:
        yield
    finally:
        switch.write_text(before)


def spent(weir, work):
    """{program: (ns, runs)} of what work() cost, and its value."""
    before = sockets.program_times(weir.process.pid)
    value = work()
    after = sockets.program_times(weir.process.pid)
    return {name: (after[name][0] - before.get(name, (0, 0))[0], after[name][1] - before.get(name, (0, 0))[1])
            for name in after}, value


def print_programs(runs):
    for name, (ns, count) in sorted(runs.items()):
        if count:
            print(f"    {name}: {count} runs, {ns / count:.0f} ns per run", flush=True)


def watched(stage, folder):
    """Kernel time for an exchange: two packets, each sent and received on this host."""
    unbound = resolvers.unbound(stage, hosts=NAMES)
    weir = start(folder, unbound.port)
    with statistics_on():
        figures = []
        for _ in range(5):
            runs, (sent, *_) = spent(weir, lambda: dnsperf(folder, unbound.port, 2, 20000))
            figures.append(sum(ns for ns, _ in runs.values()) / sent)
    print(f"watched: {statistics.median(figures):.0f} ns for a question and its answer, at both ends together, median of 5 "
          "runs")
    print_programs(runs)
    weir.stop()


def udp_flood(seconds):
    """Datagrams between two sockets that are not connected: of these the programs look at the packet itself."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as a, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as b:
        b.bind(("127.0.0.1", 0))
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for _ in range(100):
                a.sendto(b"x" * 100, b.getsockname())
                b.recv(200)


def unwatched(_, folder):
    """Kernel time for a packet that is none of ours, and what that takes from a web server."""
    nginx = sockets.Nginx(folder)
    weir = start(folder, 53)
    with statistics_on():
        for title, traffic in (("TCP", lambda: sockets.wrk(nginx.port, seconds=2)),
                               ("UDP, not connected", lambda: udp_flood(2))):
            figures = []
            for _ in range(5):
                runs, _ = spent(weir, traffic)
                runs = {name: runs[name] for name in ("dns_sent", "dns_received")}
                figures.append(sum(ns for ns, _ in runs.values()) / sum(count for _, count in runs.values()))
            print(f"unwatched: {statistics.median(figures):.0f} ns for a packet of another port ({title}), median of 5 runs")
            print_programs(runs)
    weir.stop()
    print("unwatched, requests of nginx: " + pairs(lambda: sockets.wrk(nginx.port, seconds=SECONDS)[0], folder, 53),
          flush=True)
    nginx.stop()


def main():
    parts = {"throughput": throughput, "load": load, "watched": watched, "unwatched": unwatched}
    for name in sys.argv[1:] or list(parts):
        stage = weirtest.Stage()
        try:
            with tempfile.TemporaryDirectory(prefix="weir-bench-") as folder:
                os.chmod(folder, 0o755)
                parts[name](stage, folder)
        finally:
            stage.end()


if __name__ == "__main__":
    main()
