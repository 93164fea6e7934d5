#!/usr/bin/python3
"""The file exporter behind the sockets receiver: what is counted as sent is in the file, whatever happens to it."""
import contextlib
import json
import os
import signal
import subprocess

import weirtest

CONFIG = """
    receivers:
      sockets: {{collection_interval: 200ms, events: all}}
    exporters:
      file: {{path: "{path}"{more}}}
    service:
      telemetry: {{metrics: {{port: "${{env:METRICS_PORT}}"}}}}
      pipelines:
        metrics: {{receivers: [sockets], exporters: [file]}}
        logs: {{receivers: [sockets], exporters: [file]}}
"""


def config(path, more=""):
    return CONFIG.format(path=path, more=more)


def ready(stage):
    weirtest.need_root()
    weirtest.need_programs("curl")
    return stage.nginx({"a.bin": 1000})


def fetch(nginx, times=1):
    for _ in range(times):
        subprocess.run(["curl", "-sf", "-o", "/dev/null", f"http://127.0.0.1:{nginx.port}/a.bin"], check=True)


def lines(path):
    """The requests in a file; a last line without its end is not one yet."""
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as f:
        return [json.loads(line) for line in f.read().split("\n")[:-1]]


def count(requests):
    """(data points, log records)"""
    points = records = 0
    for request in requests:
        for group in request.get("resourceMetrics", []):
            for scope in group["scopeMetrics"]:
                for metric in scope["metrics"]:
                    kind, = metric.keys() & {"gauge", "sum", "histogram", "exponentialHistogram", "summary"}
                    points += len(metric[kind]["dataPoints"])
        for group in request.get("resourceLogs", []):
            records += sum(len(scope["logRecords"]) for scope in group["scopeLogs"])
    return points, records


def names(requests):
    return {metric["name"] for request in requests for group in request.get("resourceMetrics", [])
            for scope in group["scopeMetrics"] for metric in scope["metrics"]}


def sent(weir):
    """The text of the last reading before the end is not to be had: ask while it runs."""
    return (weir.figure("otelcol_exporter_sent_metric_points", exporter="file"),
            weir.figure("otelcol_exporter_sent_log_records", exporter="file"))


def test_what_is_counted_as_sent_is_in_the_file(stage):
    nginx, path = ready(stage), stage.path("out.json")
    weir = stage.weir(config(path))
    fetch(nginx, 20)
    weirtest.wait_for(lambda: "weir.tcp.io" in names(lines(path)), what="bytes are reported")
    weirtest.wait_for(lambda: count(lines(path))[1] >= 20, what="connections are reported")
    before = sent(weir)
    in_file = count(lines(path))
    assert all(b <= f for b, f in zip(before, in_file)), (before, in_file)
    assert weir.figure("weir_exporter_file_written_bytes") > 0
    assert weir.stop() == 0
    with open(path, "rb") as f:
        assert f.read().endswith(b"]}\n")
    assert os.stat(path).st_mode & 0o777 == 0o600


def test_goes_on_where_it_ended(stage):
    nginx, path = ready(stage), stage.path("out.json")
    with open(path, "w", encoding="utf-8") as f:
        f.write('{"resourceLogs":[]}\n{"resourceLo')
    weir = stage.weir(config(path))
    fetch(nginx)
    weirtest.wait_for(lambda: os.path.getsize(path) > 1000, what="data is appended")
    assert weir.stop() == 0
    with open(path, encoding="utf-8") as f:
        text = f.read().split("\n")
    assert text[:2] == ['{"resourceLogs":[]}', '{"resourceLo']
    assert all(json.loads(line) for line in text[2:-1])


def test_reopens_after_removal_and_on_sigusr1(stage):
    nginx, path = ready(stage), stage.path("out.json")
    weir = stage.weir(config(path))
    fetch(nginx)
    weirtest.wait_for(lambda: lines(path), what="data arrives")
    os.unlink(path)
    weirtest.wait_for(lambda: lines(path), what="data arrives in a new file")
    os.rename(path, path + ".1")
    weir.signal(signal.SIGUSR1)
    weirtest.wait_for(lambda: os.path.exists(path), what="the file is made anew")
    weirtest.wait_for(lambda: lines(path), what="data arrives in it")
    assert lines(path + ".1")
    assert weir.figure("weir_exporter_file_reopenings") >= 1
    assert weir.stop() == 0


def test_a_full_disk_is_told_and_overcome(stage):
    nginx = ready(stage)
    disk = stage.tmpfs("disk", "64m")
    path, ballast = os.path.join(disk, "out.json"), os.path.join(disk, "ballast")
    weir = stage.weir(config(path))
    with open(ballast, "wb", buffering=0) as f, contextlib.suppress(OSError):
        while True:  # all the room that weir has left
            f.write(bytes(1 << 16))
    weirtest.wait_for(lambda: fetch(nginx, 5) or "No space left on device" in weir.stderr(),
                      what="the log says that the disk is full")
    os.unlink(ballast)
    weirtest.wait_for(lambda: "works again" in weir.stderr(), what="the log says that it works again")
    lines(path)  # each one whole
    assert weir.stop() == 0


def test_a_disk_that_hangs_does_not_hold_up_the_end(stage):
    ready(stage)
    path = stage.path("out.json")
    os.mkfifo(path)  # nobody reads: the first 64 KiB are taken, then the write hangs
    weir = stage.weir(config(path) + "      shutdown_timeout: 1s\n")
    weirtest.wait_for(lambda: weir.figure("weir_exporter_file_waiting_batches") > 2, what="batches wait for the disk")
    assert weir.stop(deadline=8) == 0  # at the deadline, and 2 s of patience with the thread that hangs
    assert f"writing to {path} hung at shutdown: " in weir.stderr()
    assert "Leaving while a disk or a name server has not answered." in weir.stderr()


if __name__ == "__main__":
    weirtest.main()
