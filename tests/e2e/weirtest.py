"""weirtest: end-to-end tests with the real binary, real peers and real configurations.

A test file defines functions `test_...(stage)` and ends with `weirtest.main()`. Each gets a Stage, which owns
everything that the test starts (weir, nginx, network namespaces, a temporary folder) and takes it away at the end,
whatever happens. Only the standard library is used; run with /usr/bin/python3.

    def test_says_it_is_ready(stage):
        weir = stage.weir('''
            receivers: {sockets: {}}
            exporters: {file: {path: "${env:FOLDER}/out.json"}}
            service:
              telemetry: {metrics: {port: "${env:METRICS_PORT}"}}
              pipelines: {metrics: {receivers: [sockets], exporters: [file]}}
        ''')
        weirtest.wait_for(lambda: weir.figure("otelcol_exporter_sent_metric_points") > 0)
        assert weir.stop() == 0

The binary is $WEIR_BINARY, else build-test/weir. A test that cannot run here calls skip(), and the file's exit code
is 77 when nothing but skipped tests remains.
"""
import contextlib
import ctypes
import fcntl
import functools
import itertools
import os
import platform
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
import traceback
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINARY = os.environ.get("WEIR_BINARY", os.path.join(ROOT, "build-test", "weir"))
READY = "Everything is ready. Begin running and processing data."
PATIENCE = 20.0  # seconds; sanitized builds on a busy machine
SKIPPED = 77
VERDICTS = ["ok", "skipped", "FAILED"]

_numbers = itertools.count(1)
_libc = ctypes.CDLL(None)


class Skip(Exception):
    """This test cannot run here."""


def skip(reason):
    raise Skip(reason)


def need_root():
    if os.geteuid() != 0:
        skip("root is needed (eBPF and network namespaces)")


def need_programs(*names):
    for name in names:
        if not shutil.which(name):
            skip(f"the program {name} is not installed")


def wait_for(condition, deadline=PATIENCE, what=None):
    """Asks again and again until condition() is true; returns its value. Fails after deadline seconds."""
    end = time.monotonic() + deadline
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline:g} s: {what or getattr(condition, '__name__', 'condition')}")
        time.sleep(0.02)


def _own_ports():
    """Ports that are this process's alone among all that ask here: whoever holds the abstract Unix socket of a hundred of them
    has them, until it ends. Those names are of a network namespace, as the ports are."""
    hundreds, held = list(range(100, 320)), []  # net.ipv4.ip_local_port_range begins at 32768
    random.shuffle(hundreds)
    for hundred in hundreds:
        held.append(socket.socket(socket.AF_UNIX))
        with contextlib.suppress(OSError):
            held[-1].bind(f"\0weirtest-ports-{hundred}")
            yield from range(hundred * 100, hundred * 100 + 100)


_ports, _ports_lock = _own_ports(), threading.Lock()


def free_port(host="127.0.0.1"):
    """A TCP port that nobody listens on now. Never the same twice, also not in tests that run beside this one, and none that
    the kernel gives to connections that go out."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with _ports_lock:
        for port in _ports:
            with socket.socket(family) as s, contextlib.suppress(OSError):
                s.bind((host, port))
                return port
    raise AssertionError("all ports are given away")


def replace_file(path, text, mode=0o600):
    """Puts a new file in its place, for nobody else to read, as tools that renew secrets do."""
    with open(path + ".new", "w", encoding="utf-8") as f:
        os.fchmod(f.fileno(), mode)
        f.write(text)
    os.rename(path + ".new", path)


def _die_with_parent():
    _libc.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def parse_metrics(text):
    """{(name, ((label, value), ...)): number} of a page in Prometheus' text format."""
    figures = {}
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        match = re.fullmatch(r'([^\s{]+)(?:\{(.*)\})? (\S+)', line)
        assert match, f"not a line of a metrics page: {line}"
        labels = re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2] or "")
        figures[(match[1], tuple(sorted(labels)))] = float(match[3])
    return figures


class Process:
    """A child whose standard error is kept."""

    def __init__(self, stage, command, env=None, netns=None):
        self.log_path = os.path.join(stage.folder, f"stderr.{next(_numbers)}")
        self.out_path = self.log_path.replace("stderr", "stdout")
        if netns:
            command = ["ip", "netns", "exec", netns.name, *command]
        with open(self.log_path, "wb") as err, open(self.out_path, "wb") as out:
            self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                          env={**os.environ, **(env or {})}, preexec_fn=_die_with_parent)
        self.pid = self.child.pid

    def stderr(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def stdout(self):
        with open(self.out_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def is_running(self):
        return self.child.poll() is None

    def signal(self, number):
        self.child.send_signal(number)

    def wait(self, deadline=PATIENCE):
        """The exit code; -N when signal N ended it."""
        try:
            return self.child.wait(deadline)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"process {self.pid} did not end within {deadline:g} s:\n{self.stderr()}") from None

    def kill(self):
        if self.is_running():
            self.child.kill()
        self.child.wait()


class Weir(Process):
    """The daemon. The configuration may use ${env:FOLDER} and ${env:METRICS_PORT}."""

    def __init__(self, stage, config, env=None, netns=None, arguments=(), ready=True):
        self.metrics_port = free_port()
        path = os.path.join(stage.folder, f"config.{next(_numbers)}.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(textwrap.dedent(config))
        # Old sanitizer runtimes clash with kernels that randomise more than 28 bits of addresses: run without.
        command = ["setarch", platform.machine(), "-R", BINARY, "--config", path, *arguments]
        super().__init__(stage, command, netns=netns, env={
            "FOLDER": stage.folder, "METRICS_PORT": str(self.metrics_port), **(env or {})})
        if ready:
            self.wait_ready()

    def wait_ready(self):
        wait_for(lambda: READY in self.stderr() or not self.is_running(), what="weir is ready")
        if not self.is_running():
            raise AssertionError(f"weir ended with {self.child.returncode}:\n{self.stderr()}")

    def metrics(self):
        """Its own figures (in the namespace of the test)."""
        url = f"http://localhost:{self.metrics_port}/metrics"
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            return parse_metrics(answer.read().decode("utf-8"))

    def figure(self, name, **labels):
        """The sum of all series of that name with these labels; 0 when there is none."""
        wanted = set(labels.items())
        return sum(value for (n, series), value in self.metrics().items() if n == name and wanted <= set(series))

    def stop(self, deadline=PATIENCE, number=signal.SIGTERM):
        """Asks it to end; the exit code. Books that do not add up fail the test, and what sanitizers found."""
        if self.is_running():
            self.check_books()
            self.signal(number)
        code = self.wait(deadline)
        self.check_sanitizers()
        return code

    def check_books(self):
        """Where its figures can be read from here."""
        import account  # pylint: disable=import-outside-toplevel,cyclic-import
        with contextlib.suppress(OSError):
            account.Books(self)

    def check_sanitizers(self):
        text = self.stderr()
        for mark in ("ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "runtime error:"):
            assert mark not in text, f"a sanitizer complained:\n{text}"


class Namespace:
    """A network namespace with its loopback up."""

    def __init__(self):
        self.name = f"weir{os.getpid()}x{next(_numbers)}"
        self.peer = 0
        self.run("ip", "netns", "add", self.name)
        self.exec("ip", "link", "set", "lo", "up")

    @staticmethod
    def run(*command):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}"
        return done.stdout

    def exec(self, *command):
        """Runs a command inside, to its end; its output."""
        return self.run("ip", "netns", "exec", self.name, *command)

    def link(self, here, there):
        """Joins it with the test's own namespace by a veth pair with these addresses ("10.81.0.1/24"; a list may hold
        IPv4 and IPv6). The device is removed with the namespace."""
        self.peer += 1
        outer, inner = f"w{os.getpid() % 100000}x{next(_numbers)}", f"eth{self.peer}"
        self.run("ip", "link", "add", outer, "type", "veth", "peer", "name", inner, "netns", self.name)
        for address in [here] if isinstance(here, str) else here:
            self.run("ip", "addr", "add", address, "dev", outer, *(["nodad"] if ":" in address else []))
        for address in [there] if isinstance(there, str) else there:
            self.exec("ip", "addr", "add", address, "dev", inner, *(["nodad"] if ":" in address else []))
        self.run("ip", "link", "set", outer, "up")
        self.exec("ip", "link", "set", inner, "up")

    def remove(self):
        subprocess.run(["ip", "netns", "del", self.name], stderr=subprocess.DEVNULL, check=False)


def listens(pid, port):
    """Whether somebody in the process's network namespace listens on that port. Makes no connection."""
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/net/{table}", encoding="ascii") as f:
            for line in f.readlines()[1:]:
                local, _, state = line.split()[1:4]
                if state == "0A" and int(local.rsplit(":", 1)[1], 16) == port:
                    return True
    return False


class Nginx(Process):
    """nginx serving files of known size: {"a.bin": 1000} is http://ADDRESS:PORT/a.bin."""

    def __init__(self, stage, files, listen=("127.0.0.1",), port=None, netns=None, keepalive=True):
        self.port = port or free_port()
        folder = os.path.join(stage.folder, f"nginx.{next(_numbers)}")
        os.makedirs(os.path.join(folder, "www"))
        os.chmod(stage.folder, 0o755)
        for name, size in files.items():
            with open(os.path.join(folder, "www", name), "wb") as f:
                f.write(os.urandom(size))
        addresses = [f"[{a}]:{self.port}" if ":" in a else f"{a}:{self.port}" for a in listen]
        temporary = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in
                            ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        config = f"""
            daemon off; pid {folder}/pid; error_log stderr; worker_processes 1;
            {"user root;" if os.geteuid() == 0 else ""}
            events {{ worker_connections 4096; }}
            http {{
              access_log off; {temporary}
              keepalive_timeout {75 if keepalive else 0};
              server {{ {"".join(f"listen {a};" for a in addresses)} root {folder}/www; }}
            }}
        """
        path = os.path.join(folder, "nginx.conf")
        with open(path, "w", encoding="utf-8") as f:
            f.write(config)
        super().__init__(stage, ["nginx", "-e", "stderr", "-p", folder, "-c", path], netns=netns)
        wait_for(lambda: listens(self.pid, self.port) or not self.is_running(), what="nginx listens")
        assert self.is_running(), f"nginx ended:\n{self.stderr()}"

    def kill(self):
        if self.is_running():
            self.signal(signal.SIGTERM)  # the worker goes with its master
            with contextlib.suppress(AssertionError):
                self.wait(5)
        super().kill()


@functools.cache
def own_folder():
    """Where this process keeps its files. A shell that outlives it removes them, however it has ended."""
    folder = tempfile.mkdtemp(prefix="weirtest-")
    os.chmod(folder, 0o711)
    end, _held = os.pipe()  # for as long as this process lives
    subprocess.run(["sh", "-c", 'exec 3<&0; { cat <&3; rm -rf "$0"; } >/dev/null 2>&1 &', folder], stdin=end, check=True)
    os.close(end)
    return folder


def certificates():
    """A folder with ca, server, client, stranger, expired and other certificates and keys (.pem, .key). Not to be written to."""
    need_programs("openssl")
    folder = os.path.join(own_folder(), "tls")
    with open(folder + ".lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of tests of this file that run at once
        if not os.path.isdir(folder):
            os.mkdir(folder)
            script = os.path.join(ROOT, "tests", "unit", "net", "make_certificates.sh")
            subprocess.run(["sh", script, folder], check=True)
    return folder


class Stage:
    """What one test has started."""

    def __init__(self):
        self.things = contextlib.ExitStack()
        self.folder = tempfile.mkdtemp(dir=own_folder(), prefix="stage-")
        self.things.callback(shutil.rmtree, self.folder, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def keep(self, thing, end):
        self.things.callback(end)
        return thing

    def server(self, server):
        """One that this process runs itself."""
        return self.keep(server, server.stop)

    def certificates(self):
        """A copy of them for this test."""
        return shutil.copytree(certificates(), self.path("tls"))

    def weir(self, config, **more):
        """Starts weir and waits until it is ready."""
        if not os.access(BINARY, os.X_OK):
            skip(f"{BINARY} has not been built")
        return self._process(Weir(self, config, **more))

    def nginx(self, files, **more):
        need_programs("nginx")
        return self._process(Nginx(self, files, **more))

    def process(self, *command, **more):
        return self._process(Process(self, command, **more))

    def _process(self, process):
        return self.keep(process, process.kill)

    def namespace(self):
        need_root()
        need_programs("ip")
        namespace = Namespace()
        return self.keep(namespace, namespace.remove)

    def tmpfs(self, name, size):
        """A file system that can be full; its path."""
        need_root()
        path = self.path(name)
        os.mkdir(path)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "weirtest", path], check=False).returncode:
            skip("mounting a tmpfs is not allowed here")
        self.things.callback(subprocess.run, ["umount", "-l", path], check=False)
        return path

    def show(self):
        """What the processes said, after a failure."""
        for name in sorted(os.listdir(self.folder)):
            if name.startswith("stderr."):
                with open(self.path(name), encoding="utf-8", errors="replace") as f:
                    text = f.read()
                if text:
                    print(f"--- {name}\n{text[-8000:]}", flush=True)

    def end(self):
        self.things.close()


def _run(test):
    """"ok", "skipped" or "FAILED"."""
    stage = Stage()
    start = time.monotonic()
    note = ""
    try:
        test(stage)
        verdict = "ok"
    except Skip as reason:
        verdict, note = "skipped", f": {reason}"
    except Exception:  # pylint: disable=broad-except
        verdict = "FAILED"
        traceback.print_exc(file=sys.stdout)
        stage.show()
    finally:
        stage.end()
    print(f"{verdict:8}{test.__name__} ({time.monotonic() - start:.1f} s){note}", flush=True)
    return verdict


def _run_apart(test, output):
    """In a process of its own, which does not return."""
    global _ports  # pylint: disable=global-statement
    _die_with_parent()
    _ports = _own_ports()
    os.dup2(output, 1)
    os.dup2(output, 2)
    verdict = "FAILED"
    try:
        verdict = _run(test)
    finally:
        sys.stdout.flush()
        os._exit(VERDICTS.index(verdict))


def _run_at_once(tests, at_once):
    waiting, running, verdicts = list(tests), {}, []
    own_folder()
    while waiting or running:
        while waiting and len(running) < at_once:
            output = tempfile.TemporaryFile(dir=own_folder())
            sys.stdout.flush()
            pid = os.fork()
            if pid == 0:
                _run_apart(waiting[0], output.fileno())
            running[pid] = waiting.pop(0), output
        pid, status = os.wait()
        test, output = running.pop(pid)
        output.seek(0)
        print(output.read().decode("utf-8", "replace"), end="", flush=True)
        code = os.waitstatus_to_exitcode(status)
        if code not in range(len(VERDICTS)):
            print(f"FAILED  {test.__name__}: its process ended with {code}", flush=True)
            code = VERDICTS.index("FAILED")
        verdicts.append(VERDICTS[code])
    return verdicts


def main(at_once=1):
    """Runs the test_* functions of the calling file in order, or those named as arguments. at_once: so many beside each other,
    each in a process of its own; for those that do little but wait."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that everything is taken away
    tests = [f for name, f in vars(sys.modules["__main__"]).items() if name.startswith("test_")]
    if sys.argv[1:]:
        tests = [f for f in tests if f.__name__ in sys.argv[1:]]
    verdicts = _run_at_once(tests, at_once) if at_once > 1 else [_run(test) for test in tests]
    if "FAILED" in verdicts or not verdicts:
        sys.exit(1)
    sys.exit(SKIPPED if set(verdicts) == {"skipped"} else 0)
