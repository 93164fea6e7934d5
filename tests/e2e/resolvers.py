"""resolvers: real ones (unbound, dnsmasq, knot) that know a small world of names, servers that do what real ones never
should, and clients that tell what they have seen.

All names end in .weir.test. Everything listens on the addresses and the port that it is told, in the network namespace
that it is told.
"""
import contextlib
import os
import re
import shutil
import socket
import struct
import subprocess
import threading

import weirtest

# What every resolver here knows; beside it h0 to h<N> as asked for.
RECORDS = """
    a.weir.test. 300 A 192.0.2.1
    a.weir.test. 300 AAAA 2001:db8::1
    four.weir.test. 300 A 192.0.2.4
""".strip().splitlines()
RECORDS += [f'large.weir.test. 300 TXT "{n:02} {"x" * 200}"' for n in range(14)]  # some 3 kB together
# Of knot only: what unbound is told to know itself, it does not put together.
CHAIN = """
    alias.weir.test. 300 CNAME middle.weir.test.
    middle.weir.test. 200 CNAME end.weir.test.
    end.weir.test. 100 A 192.0.2.77
    end.weir.test. 100 AAAA 2001:db8::77
""".strip().splitlines()
HOST_ADDRESS = "192.0.2.10"


def records(hosts=0):
    return [line.strip() for line in RECORDS] + [f"h{n}.weir.test. 300 A {HOST_ADDRESS}" for n in range(hosts)]


def _folder(stage, name):
    folder = stage.path(f"{name}.{weirtest.free_port()}")
    os.makedirs(folder)
    os.chmod(stage.folder, 0o755)
    return folder


def _started(process, port, name):
    weirtest.wait_for(lambda: weirtest.listens(process.pid, port) or not process.is_running(), what=f"{name} listens")
    assert process.is_running(), f"{name} ended:\n{process.stderr()}"
    process.port = port
    return process


def unbound(stage, addresses=("127.0.0.1",), port=None, netns=None, hosts=0, forward=None, options=""):
    """Knows all names; refuses refused.weir.test, fails with broken.weir.test, never answers silent.weir.test, and asks
    forward (address, port) for all of far.test."""
    weirtest.need_programs("unbound")
    folder, port = _folder(stage, "unbound"), port or weirtest.free_port()
    # A copy, as AppArmor lets Debian's own read no configuration but that of the machine.
    program = shutil.copy(shutil.which("unbound"), os.path.join(folder, "unbound"))
    path = os.path.join(folder, "unbound.conf")
    with open(path, "w", encoding="ascii") as f:
        f.write(f"""
server:
  do-daemonize: no
  use-syslog: no
  chroot: ""
  username: ""
  pidfile: ""
  directory: "{folder}"
  port: {port}
  num-threads: 1
  access-control: 0.0.0.0/0 allow
  access-control: ::0/0 allow
  do-not-query-localhost: no
  edns-buffer-size: 4096
  max-udp-size: 4096
  minimal-responses: yes
  module-config: "iterator"
  local-zone: "test." nodefault
  local-zone: "weir.test." static
  local-zone: "refused.weir.test." always_refuse
  local-zone: "silent.weir.test." always_deny
  local-zone: "broken.weir.test." transparent
{options}
""")
        f.writelines(f"  interface: {address}\n" for address in addresses)
        f.writelines(f"  local-data: '{record}'\n" for record in records(hosts))
        f.write("remote-control:\n  control-enable: no\n")
        f.write('forward-zone:\n  name: "broken.weir.test."\n  forward-addr: 255.255.255.255@9\n')
        if forward:
            f.write(f'forward-zone:\n  name: "far.test."\n  forward-addr: {forward[0]}@{forward[1]}\n')
    return _started(stage.process(program, "-d", "-c", path, netns=netns), port, "unbound")


def dnsmasq(stage, address="127.0.0.1", port=None, netns=None, forward=None, options=()):
    """Knows no name itself; asks forward (address, port), and keeps no answer."""
    weirtest.need_programs("dnsmasq")
    folder, port = _folder(stage, "dnsmasq"), port or weirtest.free_port()
    path = os.path.join(folder, "dnsmasq.conf")
    with open(path, "w", encoding="ascii") as f:
        f.write("\n".join([f"listen-address={address}", f"port={port}", "bind-interfaces", "no-resolv", "no-hosts",
                           "cache-size=0", "user=root", "pid-file=", "log-facility=-", "no-poll",
                           *([f"server={forward[0]}#{forward[1]}"] if forward else []), *options, ""]))
    return _started(stage.process("dnsmasq", "--keep-in-foreground", "-C", path, netns=netns), port, "dnsmasq")


def knot(stage, addresses=("127.0.0.1",), port=None, netns=None, hosts=0, zone="weir.test.", more=()):
    """Authoritative: the same names, and CHAIN, in another zone under its end. more: lines of the zone file."""
    weirtest.need_programs("knotd")
    folder, port = _folder(stage, "knot"), port or weirtest.free_port()
    with open(os.path.join(folder, "zone"), "w", encoding="ascii") as f:
        f.write(f"{zone} 60 SOA ns.{zone} root.{zone} 1 60 60 60 60\n{zone} 60 NS ns.{zone}\nns.{zone} 60 A 192.0.2.53\n")
        f.writelines(record.strip().replace("weir.test.", zone) + "\n" for record in [*records(hosts), *CHAIN, *more])
    path = os.path.join(folder, "knot.conf")
    with open(path, "w", encoding="ascii") as f:
        f.write(f"""
server:
    rundir: "{folder}"
    user: root:root
    listen: [{", ".join(f"{address}@{port}" for address in addresses)}]
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
    udp-max-payload: 4096
log:
  - target: stderr
    any: warning
database:
    storage: "{folder}"
zone:
  - domain: {zone}
    storage: "{folder}"
    file: zone
    zonefile-sync: -1
    journal-content: none
""")
    process = _started(stage.process("knotd", "-c", path, netns=netns), port, "knot")
    # It listens before it has read its zone.
    weirtest.wait_for(lambda: dig(addresses[0], port, [f"a.{zone}"], netns=netns)[0]["status"] == "NOERROR",
                      what="knot knows its zone")
    return process


def resolv_conf(stage, netns, address):
    """Lets programs that are run in the network namespace ask the resolver at that address (port 53), and nothing else."""
    folder = f"/etc/netns/{netns.name}"
    os.makedirs(folder)
    stage.things.callback(shutil.rmtree, folder, ignore_errors=True)
    for name, text in (("resolv.conf", f"nameserver {address}\noptions timeout:2 attempts:2\n"),
                       ("nsswitch.conf", "hosts: dns\n"), ("hosts", "127.0.0.1 localhost\n")):
        with open(os.path.join(folder, name), "w", encoding="ascii") as f:
            f.write(text)


_DIG_ANSWER = re.compile(r"status: (\w+), id: (\d+)")


def dig(address, port, names, options=(), netns=None, deadline=60):
    """Asks one name after the other ("a.weir.test AAAA +tcp"), from one process; for each the status ("NOERROR", or None
    without an answer), the time in us, the answer's size and its flags."""
    weirtest.need_programs("dig")
    # Without cookies, so that a message is what the test says it is.
    command = ["dig", f"@{address}", "-p", str(port), "-u", "-f", "-", "+tries=1", "+nocookie", "+noedns", *options]
    if netns:
        command = ["ip", "netns", "exec", netns.name, *command]
    done = subprocess.run(command, input="".join(f"{name}\n" for name in names), capture_output=True, text=True,
                          timeout=deadline, check=False)
    found = []
    for part in re.split(r"(?=; <<>> DiG)", done.stdout)[1:]:
        status, time = _DIG_ANSWER.search(part), re.search(r"Query time: (\d+) usec", part)
        size, flags = re.search(r"MSG SIZE\s+rcvd: (\d+)", part), re.search(r";; flags: ([\w ]*);", part)
        found.append({"status": status and status[1], "us": time and int(time[1]), "size": size and int(size[1]),
                      "flags": flags[1].split() if flags else [], "text": part})
    assert len(found) == len(names), f"dig answered {len(found)} of {len(names)} questions:\n{done.stdout}{done.stderr}"
    return found


def question(name, kind=1, number=0x1234, flags=0x0100):
    """A message."""
    wire = b"".join(bytes([len(label)]) + label.encode() for label in name.rstrip(".").split("."))
    return struct.pack(">6H", number, flags, 1, 0, 0, 0) + wire + struct.pack(">BHH", 0, kind, 1)


def _question_end(message):
    at = 12
    while message[at]:
        at += message[at] + 1
    return at + 5


def question_name(message):
    labels, at = [], 12
    while message[at]:
        labels.append(message[at + 1:at + 1 + message[at]].decode())
        at += message[at] + 1
    return ".".join(labels)


def answer(message, rcode=0, address=HOST_ADDRESS, ttl=300, truncated=False):
    """The answer to a question, with one address (IPv4 or IPv6) if there is no error."""
    end = _question_end(message)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    body = socket.inet_pton(family, address)
    record = struct.pack(">HHHIH", 0xC00C, 28 if len(body) == 16 else 1, 1, ttl, len(body)) + body if rcode == 0 else b""
    flags = 0x8180 | rcode | (0x0200 if truncated else 0)
    return message[:2] + struct.pack(">5H", flags, 1, 1 if record else 0, 0, 0) + message[12:end] + record


def tcp_message(message):
    return struct.pack(">H", len(message)) + message


class Server:
    """A server over UDP in this very process. For every question behaviour(server, message, peer) is called in its thread,
    and sends what it likes: server.send(message, peer), or server.send(message, peer, other=True) from the other
    address."""

    def __init__(self, stage, behaviour, address="127.0.0.1", other=None, port=None):
        self.address, self.port = address, port or weirtest.free_port()
        self.socket, self.other = self._bind(address), self._bind(other) if other else None
        self.questions = []
        self._behaviour, self._ended = behaviour, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        stage.things.callback(self._end)

    def _bind(self, address):
        s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
        s.bind((address, self.port))
        s.settimeout(0.1)
        return s

    def send(self, message, peer, other=False):
        (self.other if other else self.socket).sendto(message, peer)

    def _run(self):
        while not self._ended.is_set():
            with contextlib.suppress(TimeoutError):
                message, peer = self.socket.recvfrom(65535)
                self.questions.append(message)
                self._behaviour(self, message, peer)

    def _end(self):
        self._ended.set()
        self._thread.join()
        for s in (self.socket, self.other):
            if s:
                s.close()


def client(stage, address=None, port=None):
    """A socket to ask with; connected if an address is given."""
    s = socket.socket(socket.AF_INET6 if address and ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    stage.things.callback(s.close)
    s.settimeout(weirtest.PATIENCE)
    if address:
        s.connect((address, port))
    return s


def receive_messages(s, count):
    """That many messages off a TCP connection."""
    found, data = [], b""
    while len(found) < count:
        more = s.recv(65536)
        assert more, f"the connection ended after {len(found)} of {count} messages"
        data += more
        while len(data) >= 2 and len(data) >= 2 + struct.unpack_from(">H", data)[0]:
            length = struct.unpack_from(">H", data)[0]
            found.append(data[2:2 + length])
            data = data[2 + length:]
    return found
