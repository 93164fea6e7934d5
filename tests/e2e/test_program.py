"""The program itself: its sub-commands, exit codes, signals, and the page of its own metrics."""
import json
import platform
import signal
import re
import socket
import subprocess
import time
import urllib.error
import urllib.request

import weirtest

FINE, RUNTIME, USAGE = 0, 1, 2
CONFIG = """
    receivers: {sockets: {collection_interval: 200ms}}
    processors: {batch: {timeout: 10ms}}
    exporters: {file: {path: "${env:FOLDER}/out.json"}}
    service:
      telemetry: {metrics: {host: 127.0.0.1, port: "${env:METRICS_PORT}"}}
      pipelines: {metrics: {receivers: [sockets], processors: [batch], exporters: [file]}}
"""


def call(*arguments):
    """Exit code, standard output and standard error of one call."""
    done = subprocess.run(["setarch", platform.machine(), "-R", weirtest.BINARY, *arguments], capture_output=True,
                          text=True, timeout=weirtest.PATIENCE, check=False)
    assert "Sanitizer" not in done.stderr, done.stderr
    return done.returncode, done.stdout, done.stderr


def write_config(stage, text):
    path = stage.path("written.yaml")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    return path


GOOD = """
receivers: {sockets: }
exporters: {file: {path: /nonexistent/x}}
service: {pipelines: {metrics: {receivers: [sockets], exporters: [file]}}}
"""


def test_help_and_version(stage):
    for arguments in ((), ("--help",), ("help",)):
        code, out, _ = call(*arguments)
        assert code == FINE and "Usage: weir --config FILE" in out and "print-config" in out
    for arguments in (("--version",), ("version",)):
        code, out, _ = call(*arguments)
        assert code == FINE and out.startswith("weir 0.") and "revision" in out and "libuv" in out


def test_wrong_command_lines_are_told_with_a_suggestion(stage):
    for arguments, words in (
            (("valdate",), 'unknown command "valdate"; did you mean "validate"?'),
            (("describe", "exporter/fle"), 'did you mean "exporter/file"?'),
            (("describe",), "name one component"),
            (("describe", "exporter/file", "--format", "pdf"), "--format must be text, markdown or schema"),
            (("components", "x"), 'unexpected argument "x"'),
            (("print-config", "--mode", "naked"), "--mode must be redacted or unredacted"),
            (("--config", "a.yaml", "b.yaml"), 'unexpected argument "b.yaml"'),
            (("--confg", "a.yaml"), "unrecognized option"),
            (("validate",), "at least one config flag must be provided"),
    ):
        code, _, err = call(*arguments)
        assert code == USAGE and words in err, (arguments, code, err)


def test_validate_says_yes_or_all_that_is_wrong(stage):
    path = write_config(stage, GOOD)
    assert call("validate", "--config", path) == (FINE, "The configuration is valid.\n", "")
    path = write_config(stage, GOOD.replace("path:", "pth:").replace("[sockets]", "[socket]"))
    code, out, err = call("validate", "--config", path)
    assert code == USAGE and out == ""
    assert f'{path}:3:20: exporters::file: has invalid keys: pth; did you mean "path"?' in err, err
    assert 'references receiver "socket" which is not configured' in err, err


def test_validate_reads_the_files_that_the_configuration_names(stage):
    path = write_config(stage, """
        receivers:
          otlp: {protocols: {grpc: {tls: {cert_file: /no/such.crt, key_file: /no/such.key}}}}
        exporters:
          otlp: {endpoint: "example:4317", tls: {ca_file: /no/such.ca}}
          otlphttp: {endpoint: "https://example", tls: {ca_file: /no/other.ca}}
        extensions: {bearertokenauth: {filename: /no/such.token}, basicauth: {htpasswd: {file: /no/such.htpasswd}}}
        service:
          extensions: [bearertokenauth, basicauth]
          pipelines: {logs: {receivers: [otlp], exporters: [otlp, otlphttp]}}
    """)
    code, out, err = call("validate", "--config", path)
    assert code == USAGE and out == "", (code, out)
    for said in ("receiver otlp: protocols::grpc: tls::cert_file /no/such.crt: No such file or directory",
                 "exporter otlp: tls::ca_file /no/such.ca: No such file or directory",
                 "exporter otlphttp: tls::ca_file /no/other.ca: No such file or directory",
                 "extension bearertokenauth: ", "/no/such.token", "extension basicauth: ", "/no/such.htpasswd"):
        assert said in err, (said, err)


def test_components_and_describe(stage):
    code, out, _ = call("components")
    assert code == FINE
    for name in ("sockets", "memory_limiter", "batch", "debug", "file"):
        assert f"  - name: {name}\n" in out, out
    code, out, _ = call("describe", "exporter/file")
    assert code == FINE and "rotation" in out
    code, out, _ = call("describe", "exporters/file", "--format", "schema")
    assert code == FINE and json.loads(out)["title"] == "exporter/file"


def test_print_config_merges_expands_and_sets(stage):
    path = write_config(stage, GOOD)
    code, out, _ = call("print-config", "--config", path, "--set", "exporters.file.path=/tmp/y", "--set",
                        "service.shutdown_timeout=3s")
    assert code == FINE and "path: /tmp/y" in out and "shutdown_timeout: 3s" in out, out
    code, out, _ = call("print-config", "--defaults", "--config", path)
    assert code == FINE and "collection_interval: 10s" in out, out


def test_doctor_prints_one_json_object(stage):
    code, out, _ = call("doctor", "--json")
    assert code in (FINE, RUNTIME)
    checks = json.loads(out)["checks"]
    assert checks and {"status", "group", "check", "seen", "disables", "fix"} == set(checks[0])


def test_runs_until_a_signal_and_ends_with_zero(stage):
    weirtest.need_root()
    for number in (signal.SIGTERM, signal.SIGINT):
        weir = stage.weir(CONFIG)
        weirtest.wait_for(lambda w=weir: w.figure("weir_pipeline_sent_items", pipeline="metrics") > 0)
        assert weir.stop(number=number) == FINE
        assert "Stopped. Nothing that was received is lost." in weir.stderr()


def test_the_books_of_the_pipeline_balance(stage):
    weirtest.need_root()
    weir = stage.weir(CONFIG)
    weirtest.wait_for(lambda: weir.figure("weir_pipeline_sent_items", pipeline="metrics") > 0)
    page = weir.metrics()

    def figure(name):
        return sum(v for (n, labels), v in page.items() if n == name and ("pipeline", "metrics") in labels)

    assert figure("weir_pipeline_received_items") == sum(
        figure(f"weir_pipeline_{what}_items") for what in ("refused", "sent", "dropped", "in_flight"))
    assert weir.figure("otelcol_receiver_accepted_metric_points", receiver="sockets") > 0
    assert weir.figure("otelcol_processor_incoming_items", processor="batch", otel_signal="metrics") > 0
    assert weir.figure("otelcol_exporter_sent_metric_points", exporter="file") > 0
    assert weir.figure("otelcol_process_memory_rss") > 1e6
    assert weir.stop() == FINE


EVERYTHING = """
    receivers: {sockets: {collection_interval: 200ms}}
    processors: {memory_limiter: {check_interval: 1s, limit_mib: 1000}, batch: {timeout: 10ms}}
    exporters:
      file: {path: "${env:FOLDER}/out.json"}
      debug: {verbosity: basic}
      otlp/a\\b"c: {endpoint: "127.0.0.1:1", tls: {insecure: true}}
    service:
      telemetry: {metrics: {host: 127.0.0.1, port: "${env:METRICS_PORT}"}}
      pipelines:
        metrics: {receivers: [sockets], processors: [memory_limiter, batch], exporters: [file, debug, otlp/a\\b"c]}
        logs: {receivers: [sockets], processors: [memory_limiter, batch], exporters: [file, debug, otlp/a\\b"c]}
"""


def read_page(weir):
    with urllib.request.urlopen(f"http://127.0.0.1:{weir.metrics_port}/metrics") as answer:
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        return answer.read().decode("utf-8")


def check_histogram(family):
    """Buckets of each series grow up to +Inf, which is the count; there is a sum."""
    series = {}
    for sample in family.samples:
        labels = tuple(sorted((k, v) for k, v in sample.labels.items() if k != "le"))
        series.setdefault(labels, []).append(sample)
    for samples in series.values():
        buckets = [s for s in samples if s.name == f"{family.name}_bucket"]
        bounds = [float(s.labels["le"]) for s in buckets]
        values = [s.value for s in buckets]
        count, = (s.value for s in samples if s.name == f"{family.name}_count")
        total, = (s.value for s in samples if s.name == f"{family.name}_sum")
        assert bounds == sorted(set(bounds)) and bounds[-1] == float("inf"), family.name
        assert values == sorted(values) and values[-1] == count and total >= 0, family.name


def test_the_metrics_page_is_read_by_the_prometheus_client(stage):
    weirtest.need_root()
    try:
        from prometheus_client.parser import text_string_to_metric_families
    except ImportError as missing:
        weirtest.skip(str(missing))
    weir = stage.weir(EVERYTHING)
    weirtest.wait_for(lambda: weir.figure("otelcol_exporter_sent_metric_points", exporter="file") > 0)
    page = read_page(weir)
    families = list(text_string_to_metric_families(page))
    names = [family.name for family in families]
    assert names == sorted(set(names)) and len(names) > 50, names
    for family in families:
        assert family.type in ("counter", "gauge", "histogram"), (family.name, family.type)
        assert len(family.documentation) > 10 and family.documentation.endswith("."), (family.name, family.documentation)
        assert family.name.startswith(("otelcol_", "weir_")), family.name
        series = [(s.name, tuple(sorted(s.labels.items()))) for s in family.samples]
        assert series and len(series) == len(set(series)), family.name
        assert all(s.value >= 0 for s in family.samples), family.name
        if family.type == "histogram":
            check_histogram(family)
        else:  # the parser itself adds _total to counters, as OpenMetrics wants
            suffix = "_total" if family.type == "counter" else ""
            assert {s.name for s in family.samples} == {family.name + suffix}, family
    # What the parser saw is all that was there, and each family says what it is, once.
    lines = [line for line in page.splitlines() if not line.startswith("#")]
    assert sum(len(family.samples) for family in families) == len(lines)
    for word in "HELP", "TYPE":
        assert [line.split()[2] for line in page.splitlines() if line.startswith(f"# {word} ")] == names
    labels = {value for family in families for s in family.samples for value in s.labels.values()}
    assert 'otlp/a\\b"c' in labels, labels
    assert weir.stop() == FINE


def test_the_server_of_metrics_serves_nothing_else(stage):
    weirtest.need_root()
    weir = stage.weir(CONFIG)
    for path, method, status in (("/", "GET", 404), ("/metrics", "POST", 405)):
        try:
            urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{weir.metrics_port}{path}",
                                                          method=method))
            raise AssertionError(f"{method} {path} was answered")
        except urllib.error.HTTPError as error:
            assert error.code == status, (path, method, error.code)
    assert weir.stop() == FINE


def test_a_port_in_use_is_told_with_what_to_do(stage):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        weir = stage.weir(CONFIG, ready=False, env={"METRICS_PORT": str(taken.getsockname()[1])})
        assert weir.wait() == RUNTIME
        assert "address already in use" in weir.stderr() and "level: none" in weir.stderr(), weir.stderr()


def test_a_failed_start_names_the_component_and_ends_with_one(stage):
    weirtest.need_root()
    weir = stage.weir(CONFIG.replace("${env:FOLDER}", "/proc/nonexistent"), ready=False)
    assert weir.wait() == RUNTIME
    assert 'cannot start pipelines: failed to start "file" exporter: ' in weir.stderr(), weir.stderr()
    weir.check_sanitizers()


def test_level_none_serves_no_metrics(stage):
    weirtest.need_root()
    weir = stage.weir(CONFIG.replace("{host:", "{level: none, host:"))
    assert not weirtest.listens(weir.pid, weir.metrics_port)
    assert weir.stop() == FINE


BLACK_HOLE = """
    receivers: {self: {collection_interval: 200ms}}
    exporters:
      otlp:
        endpoint: "127.0.0.1:${env:HOLE}"
        tls: {insecure: true}
        timeout: 1m
        sending_queue: {wait_for_result: "${env:WAIT_FOR_RESULT}"}
    service:
      shutdown_timeout: "${env:SHUTDOWN_TIMEOUT}"
      telemetry: {metrics: {port: "${env:METRICS_PORT}"}}
      pipelines: {metrics: {receivers: [self], exporters: [otlp]}}
"""


def weir_before_a_black_hole(stage, shutdown_timeout, wait_for_result="false"):
    """A weir whose backend takes connections and never says a word; it holds some items."""
    hole = stage.keep(listener := socket.create_server(("127.0.0.1", 0)), listener.close)
    weir = stage.weir(BLACK_HOLE, env={"HOLE": str(hole.getsockname()[1]), "SHUTDOWN_TIMEOUT": shutdown_timeout,
                                       "WAIT_FOR_RESULT": wait_for_result})
    weirtest.wait_for(lambda: queued(weir) > 20, what="items wait for the backend")
    return weir


def queued(weir):
    return weir.figure("weir_exporter_queued_items", exporter="otlp")


def queued_at_the_end(weir):
    """Asks it to end, and what it holds when its receivers have stopped."""
    weir.signal(signal.SIGTERM)
    weirtest.wait_for(lambda: "Received SIGTERM" in weir.stderr(), what="the signal is seen")
    weirtest.wait_for(lambda: weir.figure("weir_pipeline_received_items") == weir.figure("weir_pipeline_received_items"),
                      what="nothing more comes in")
    return queued(weir)


def losses(weir):
    """Items in pipelines and in exporters' queues, from the one line that says it."""
    line, = re.findall(r"Stopped\. Lost \(reason shutdown\): (\d+) items in pipelines, (\d+) items in exporter queues",
                       weir.stderr())
    return tuple(map(int, line))


def test_a_missed_shutdown_deadline_ends_it_and_is_accounted_for(stage):
    weir = weir_before_a_black_hole(stage, "2s")
    start = time.monotonic()
    held = queued_at_the_end(weir)
    assert weir.wait(6) == FINE
    assert 1.9 < time.monotonic() - start < 4 and "did not keep its deadline" not in weir.stderr()
    assert losses(weir) == (0, held) and held > 0
    weir.check_sanitizers()


def test_a_second_signal_ends_it_at_once_and_is_accounted_for(stage):
    for wait_for_result in "false", "true":  # with the result still out, the pipeline holds the items
        weir = weir_before_a_black_hole(stage, "1h", wait_for_result)
        held = queued_at_the_end(weir)
        weir.signal(signal.SIGTERM)
        assert weir.wait(5) == RUNTIME
        assert "A second signal came; leaving without what has not been delivered." in weir.stderr()
        assert losses(weir) == ((0, held) if wait_for_result == "false" else (held, 0)) and held > 0
        weir.check_sanitizers()


FULL = """
    receivers: {self: {collection_interval: 100ms}}
    processors: {memory_limiter: {check_interval: 100ms, limit_mib: 1}}
    exporters:
      otlp: {endpoint: "127.0.0.1:${env:HOLE}", tls: {insecure: true}, timeout: 1m}
    service:
      shutdown_timeout: 1s
      telemetry: {metrics: {port: "${env:METRICS_PORT}"}}
      pipelines: {metrics: {receivers: [self], processors: [memory_limiter], exporters: [otlp]}}
"""


def test_with_a_stuck_backend_memory_stays_bounded_and_everything_is_counted(stage):
    hole = stage.keep(listener := socket.create_server(("127.0.0.1", 0)), listener.close)
    weir = stage.weir(FULL, env={"HOLE": str(hole.getsockname()[1])})

    def refusals():
        page = weir.metrics()

        def figure(name):
            return sum(v for (n, _), v in page.items() if n == name)

        def balance(of, *names):
            return figure(f"weir_{of}_received_items") == sum(figure(f"weir_{of}_{name}_items") for name in names)

        assert figure("weir_memory_used_bytes") <= figure("weir_memory_peak_bytes") <= 1 << 20
        assert figure("weir_memory_limit_bytes") == 1 << 20
        assert balance("pipeline", "refused", "sent", "dropped", "in_flight"), page
        assert balance("exporter", "refused", "sent", "dropped", "queued"), page
        accepted = figure("otelcol_processor_memory_limiter_accepted_metric_points")
        refused = figure("otelcol_processor_memory_limiter_refused_metric_points")
        assert figure("weir_pipeline_received_items") == accepted + refused
        assert figure("weir_pipeline_refused_items") == refused
        assert figure("weir_exporter_queued_items") == accepted
        return refused

    weirtest.wait_for(lambda: refusals() > 100, 60, "the memory limiter refuses")
    held = queued_at_the_end(weir)
    assert weir.wait(6) == FINE
    assert losses(weir) == (0, held) and held > 0
    weir.check_sanitizers()


def test_raises_the_soft_limit_of_open_files(stage):
    config = """
        receivers: {otlp: {protocols: {grpc: {endpoint: "127.0.0.1:0"}}}}
        exporters: {debug: }
        service: {telemetry: {metrics: {level: none}}, pipelines: {logs: {receivers: [otlp], exporters: [debug]}}}
    """
    weir = stage.process("setarch", platform.machine(), "-R", "prlimit", "--nofile=256:4096", weirtest.BINARY, "--config",
                         write_config(stage, config))
    weirtest.wait_for(lambda: weirtest.READY in weir.stderr(), what="weir is ready")
    with open(f"/proc/{weir.pid}/limits", encoding="ascii") as f:
        line = next(l for l in f if l.startswith("Max open files"))
    assert line.split()[3:5] == ["4096", "4096"], line
    weir.signal(signal.SIGTERM)
    assert weir.wait() == 0


weirtest.main()
