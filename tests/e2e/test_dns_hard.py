#!/usr/bin/python3
"""The dns receiver where it is hard: questions in flight together, repeated, with ids used again, answered late, twice, from
elsewhere or with rubbish; chains of resolvers; TCP in pieces; more than fits."""
import concurrent.futures
import random
import re
import signal
import socket
import subprocess
import sys
import time

import weirtest

try:
    from dns_watch import Watch
    import resolvers
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(weirtest.SKIPPED)


def echo(server, message, peer):
    server.send(resolvers.answer(message), peer)


def test_tells_questions_in_flight_together_apart(stage):
    """From one socket: A and AAAA under one id, and hundreds with their own, answered in another order."""
    count, held = 150, []  # so many fit into a socket

    def behaviour(server, message, peer):
        held.append((time.monotonic(), message, peer))
        if len(held) == count + 2:
            random.Random(1).shuffle(held)
            for _, waiting, to in held:
                server.send(resolvers.answer(waiting), to)

    server = resolvers.Server(stage, behaviour)
    watch = Watch(stage, [server.port])
    client = resolvers.client(stage, server.address, server.port)
    names = [f"n{n}.weir.test" for n in range(count)]
    client.send(resolvers.question("both.weir.test", kind=1, number=7))
    client.send(resolvers.question("both.weir.test", kind=28, number=7))
    asked = {}
    for n, name in enumerate(names):
        asked[name] = time.monotonic()
        client.send(resolvers.question(name, number=1000 + n))
    took = {}
    for _ in range(count + 2):
        message = client.recv(4096)
        name = resolvers.question_name(message)
        if name in asked:
            took[name] = time.monotonic() - asked[name]
    watch.wait_lookups(count + 2, role="client", weir__dns__response__code="NOERROR")
    watch.wait_lookups(count + 2, role="server", weir__dns__response__code="NOERROR")
    for kind in ("A", "AAAA"):
        watch.wait_records(1, role="client", dns__question__name="both.weir.test", weir__dns__question__type=kind)
    seen = {r["dns.question.name"]: r["weir.dns.duration"] for r in watch.wait_records(count + 2, role="client")}
    late = [took[name] - seen[name] for name in names]
    assert min(late) > -0.001, "an answer was taken for another question's"
    assert sorted(late)[count // 2] < 0.01
    assert watch.lost() == 0


def test_tells_a_question_that_is_repeated_once(stage):
    repeats = 4

    def behaviour(server, message, peer):
        if len(server.questions) == repeats:
            server.send(resolvers.answer(message), peer)
            server.send(resolvers.answer(message), peer)  # one too many

    server = resolvers.Server(stage, behaviour)
    watch = Watch(stage, [server.port])
    client = resolvers.client(stage, server.address, server.port)
    start = time.monotonic()
    for n in range(repeats):
        client.send(resolvers.question("again.weir.test"))
        weirtest.wait_for(lambda: len(server.questions) > n)
    client.recv(4096)
    took = time.monotonic() - start
    for role in ("client", "server"):
        watch.wait_lookups(1, role=role)
        record, = watch.wait_records(1, role=role)
        assert record["weir.dns.transmissions"] == repeats, record
        assert 0 < record["weir.dns.duration"] <= took
        assert "error.type" not in record
    client.recv(4096)
    # The second answer has no question any more: neither at him who sent it nor at him who got it.
    weirtest.wait_for(lambda: watch.figure("losses", reason="no_question") >= 2)
    assert watch.lookups() == 2


def test_tells_ids_that_are_used_again_at_once_apart(stage):
    """For another name, with the first question answered, and with it open."""
    server = resolvers.Server(stage, lambda s, message, peer: (
        s.send(resolvers.answer(message), peer) if not resolvers.question_name(message).startswith("silent") else None))
    watch = Watch(stage, [server.port], options="timeout: 500ms")
    client = resolvers.client(stage, server.address, server.port)
    for name in ("one", "two", "three"):
        client.send(resolvers.question(f"{name}.weir.test", number=42))
        client.recv(4096)
    client.send(resolvers.question("silent.weir.test", number=42))
    client.send(resolvers.question("four.weir.test", number=42))
    client.recv(4096)
    for role in ("client", "server"):
        for name in ("one", "two", "three", "four"):
            watch.wait_lookups(1, role=role, dns__question__name=f"{name}.weir.test", weir__dns__response__code="NOERROR")
        watch.wait_lookups(1, role=role, dns__question__name="silent.weir.test", error__type="timeout")
        assert watch.lookups(role=role) == 5
    # The same name again with the same id, once its answer is there: two exchanges, not one repeated.
    for _ in range(2):
        client.send(resolvers.question("same.weir.test", number=43))
        client.recv(4096)
    watch.wait_lookups(2, role="client", dns__question__name="same.weir.test")
    assert all(r["weir.dns.transmissions"] == 1
               for r in watch.wait_records(2, role="client", dns__question__name="same.weir.test"))


def test_tells_an_answer_from_another_address(stage):
    """The client that asks without a connected socket sees it come; no answer came from where it asked."""
    def behaviour(server, message, peer):
        name = resolvers.question_name(message)
        server.send(resolvers.answer(message), peer, other=True)
        if name.startswith("both"):
            server.send(resolvers.answer(message), peer)

    server = resolvers.Server(stage, behaviour, "127.0.0.61", other="127.0.0.62")
    watch = Watch(stage, [server.port], options="timeout: 500ms")
    client = resolvers.client(stage)
    client.sendto(resolvers.question("both.weir.test", number=1), (server.address, server.port))
    assert {client.recvfrom(4096)[1][0], client.recvfrom(4096)[1][0]} == {"127.0.0.61", "127.0.0.62"}
    client.sendto(resolvers.question("elsewhere.weir.test", number=2), (server.address, server.port))
    assert client.recvfrom(4096)[1][0] == "127.0.0.62"
    watch.wait_lookups(1, role="client", dns__question__name="both.weir.test", weir__dns__response__code="NOERROR",
                       server__address="127.0.0.61")
    watch.wait_lookups(1, role="client", dns__question__name="elsewhere.weir.test", error__type="timeout")
    for name in ("both", "elsewhere"):
        watch.wait_records(1, role="client", dns__question__name=f"{name}.weir.test", error__type="other_address")
    assert watch.total("weir.dns.answers.misdirected", role="client") == 2


def test_tells_late_and_forged_answers_from_right_ones(stage):
    held = []

    def behaviour(server, message, peer):
        name = resolvers.question_name(message)
        if name.startswith("late"):
            held.append((message, peer))
        elif name.startswith("forged"):
            server.send(resolvers.answer(resolvers.question(name, number=999)), peer)
            server.send(resolvers.answer(resolvers.question("forgery.weir.test", number=5)), peer)
            server.send(resolvers.answer(message), peer)

    server = resolvers.Server(stage, behaviour)
    watch = Watch(stage, [server.port], options="timeout: 500ms")
    client = resolvers.client(stage, server.address, server.port)
    client.send(resolvers.question("forged.weir.test", number=5))
    for _ in range(3):
        client.recv(4096)
    for role in ("client", "server"):
        watch.wait_lookups(1, role=role, dns__question__name="forged.weir.test", weir__dns__response__code="NOERROR")
    before = weirtest.wait_for(lambda: (watch.figure("losses", reason="no_question") == 4) and 4)
    client.send(resolvers.question("late.weir.test", number=6))
    for role in ("client", "server"):
        watch.wait_lookups(1, role=role, dns__question__name="late.weir.test", error__type="timeout")
    (message, peer), = held
    server.send(resolvers.answer(message), peer)
    client.recv(4096)
    weirtest.wait_for(lambda: watch.figure("losses", reason="no_question") == before + 2)
    assert watch.lookups() == 4


def test_survives_rubbish(stage):
    """Packets on a watched port that are no messages, and answers that cannot be read."""
    chaos = random.Random(5)

    def behaviour(server, message, peer):
        if len(message) < 20:
            server.send(chaos.randbytes(chaos.randrange(0, 40)), peer)
            return
        name = resolvers.question_name(message)
        good = resolvers.answer(message)
        if name.startswith("cut"):
            good = good[:-3]
        elif name.startswith("loop"):  # the answer's name points at itself
            at = good.index(b"\xc0\x0c", 12)
            good = good[:at] + bytes([0xc0, at]) + good[at + 2:]
        server.send(good, peer)

    server = resolvers.Server(stage, behaviour)
    watch = Watch(stage, [server.port], options="timeout: 500ms")
    client = resolvers.client(stage, server.address, server.port)
    for size in range(1, 20):
        client.send(chaos.randbytes(size))
        client.recv(4096)
    for name in ("cut", "loop", "good"):
        client.send(resolvers.question(f"{name}.weir.test"))
        client.recv(4096)
    for role in ("client", "server"):
        watch.wait_lookups(1, role=role, dns__question__name="good.weir.test", weir__dns__response__code="NOERROR")
        for name in ("cut", "loop"):
            watch.wait_lookups(1, role=role, dns__question__name=f"{name}.weir.test", error__type="malformed")
    assert watch.weir.stop() == 0


def test_sees_a_chain_of_resolvers_once_each(stage):
    """dig asks dnsmasq, which asks unbound, which asks knot, all on this host: three clients and three servers."""
    count = 50
    knot = resolvers.knot(stage, ("127.0.0.71",), zone="far.test.", hosts=count)
    unbound = resolvers.unbound(stage, ("127.0.0.72",), forward=("127.0.0.71", knot.port))
    dnsmasq = resolvers.dnsmasq(stage, "127.0.0.73", forward=("127.0.0.72", unbound.port))
    watch = Watch(stage, [knot.port, unbound.port, dnsmasq.port])
    names = [f"h{n}.far.test" for n in range(count)]
    said = resolvers.dig("127.0.0.73", dnsmasq.port, names)
    assert all(a["status"] == "NOERROR" for a in said)
    chain = [("client", "dig", "127.0.0.73"), ("server", "dnsmasq", "127.0.0.73"),
             ("client", "dnsmasq", "127.0.0.72"), ("server", "unbound", "127.0.0.72"),
             ("client", "unbound", "127.0.0.71"), ("server", "knotd", "127.0.0.71")]
    took = []
    for role, executable, address in chain:
        wanted = {"role": role, "executable": executable, "server__address": address, "weir__dns__question__type": "A"}
        weirtest.wait_for(lambda: watch.lookups(**wanted) >= count, what=f"{wanted}")
        records = [r for r in watch.records(**wanted) if r["dns.question.name"].lower() in names]
        assert sorted(r["dns.question.name"].lower() for r in records) == sorted(names), (role, executable)
        took.append({r["dns.question.name"].lower(): r["weir.dns.duration"] for r in records})
    for outer, inner in zip(took, took[1:]):
        assert all(inner[name] <= outer[name] for name in names)


def test_puts_messages_over_tcp_together(stage):
    """Many in flight on one connection, in one write and byte by byte; answers in another order; a connection that is cut
    with questions open."""
    listener = socket.create_server(("127.0.0.1", weirtest.free_port()))
    stage.things.callback(listener.close)
    port = listener.getsockname()[1]
    watch = Watch(stage, [port], options="timeout: 1s")
    client = socket.create_connection(("127.0.0.1", port))
    server, _ = listener.accept()
    for s in (client, server):
        s.settimeout(weirtest.PATIENCE)
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    names = [f"t{n}.weir.test" for n in range(40)]
    client.sendall(b"".join(resolvers.tcp_message(resolvers.question(name, number=n))
                            for n, name in enumerate(names[:20])))
    for byte in b"".join(resolvers.tcp_message(resolvers.question(name, number=100 + n))
                         for n, name in enumerate(names[20:])):
        client.sendall(bytes([byte]))
    questions = resolvers.receive_messages(server, 40)
    random.Random(3).shuffle(questions)
    answers = b"".join(resolvers.tcp_message(resolvers.answer(q)) for q in questions)
    server.sendall(answers[:501])
    for byte in answers[501:900]:
        server.sendall(bytes([byte]))
    server.sendall(answers[900:])
    resolvers.receive_messages(client, 40)
    for role in ("client", "server"):
        watch.wait_lookups(40, role=role, network__transport="tcp", weir__dns__response__code="NOERROR")
        assert sorted(r["dns.question.name"] for r in watch.wait_records(40, role=role)) == sorted(names)
    client.sendall(resolvers.tcp_message(resolvers.question("open.weir.test")))
    resolvers.receive_messages(server, 1)
    server.close()
    client.close()
    for role in ("client", "server"):
        watch.wait_lookups(1, role=role, dns__question__name="open.weir.test", error__type="timeout")
        assert watch.lookups(role=role) == 41


def test_follows_connections_that_are_older(stage):
    """Begun before weir was."""
    listener = socket.create_server(("127.0.0.1", weirtest.free_port()))
    stage.things.callback(listener.close)
    port = listener.getsockname()[1]
    client = socket.create_connection(("127.0.0.1", port))
    server, _ = listener.accept()
    watch = Watch(stage, [port])
    for n in range(3):
        client.sendall(resolvers.tcp_message(resolvers.question(f"o{n}.weir.test", number=n)))
        question, = resolvers.receive_messages(server, 1)
        server.sendall(resolvers.tcp_message(resolvers.answer(question)))
        resolvers.receive_messages(client, 1)
    watch.wait_lookups(3, role="client")
    watch.wait_lookups(3, role="server")
    client.close()
    server.close()


def test_asks_real_resolvers_over_tcp(stage):
    """Several connections with several questions each, as Python's and dig's own code makes them."""
    unbound = resolvers.unbound(stage, hosts=100)
    watch = Watch(stage, [unbound.port])
    answers = resolvers.dig("127.0.0.1", unbound.port, [f"h{n}.weir.test" for n in range(100)], ["+tcp", "+keepopen"])
    assert all(a["status"] == "NOERROR" for a in answers)

    def ask(worker):
        with socket.create_connection(("127.0.0.1", unbound.port)) as s:
            s.sendall(b"".join(resolvers.tcp_message(resolvers.question(f"h{n}.weir.test", number=n)) for n in range(50)))
            return len(resolvers.receive_messages(s, 50)) + 0 * worker

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(ask, range(4))) == 200
    for role in ("client", "server"):
        watch.wait_lookups(300, role=role, network__transport="tcp", weir__dns__response__code="NOERROR")


def dnsperf(stage, port, rate, seconds, names=1000, clients=4, options=()):
    """Questions sent, answered and lost, as dnsperf counted."""
    weirtest.need_programs("dnsperf")
    data = stage.path("questions")
    with open(data, "w", encoding="ascii") as f:
        f.writelines(f"h{n}.weir.test A\n" for n in range(names))
    done = subprocess.run(["dnsperf", "-s", "127.0.0.1", "-p", str(port), "-d", data, "-l", str(seconds), "-Q", str(rate),
                           "-c", str(clients), "-t", "3", *options],
                          capture_output=True, text=True, timeout=seconds + 60, check=True).stdout
    return tuple(int(re.search(rf"Queries {what}:\s+(\d+)", done)[1]) for what in ("sent", "completed", "lost"))


def check_counts(watch, sent, completed, lost, patience=weirtest.PATIENCE):
    """Every exchange is told or counted as lost, at both ends."""
    def settled():
        return watch.lookups(role="client") + watch.lookups(role="server") + watch.lost() >= 2 * sent
    weirtest.wait_for(settled, patience, what=f"{sent} exchanges at both ends are told or counted as lost")
    losses = watch.lost()
    client, server = watch.lookups(role="client"), watch.lookups(role="server")
    print(f"    dnsperf: {sent} sent, {completed} completed, {lost} lost; weir: {client} + {server} told, {losses:.0f} lost")
    assert client + server + losses == 2 * sent
    if losses == 0:
        assert watch.lookups(role="client", weir__dns__response__code="NOERROR") == completed


def test_counts_twenty_thousand_questions_a_second(stage):
    unbound = resolvers.unbound(stage, hosts=1000)
    watch = Watch(stage, [unbound.port], options="events: failed, max_names: 1000", interval="500ms")
    check_counts(watch, *dnsperf(stage, unbound.port, 20000, 4))


def test_counts_to_the_unit_what_finds_no_room(stage):
    """With the smallest ring, and a reader that is stopped for a while."""
    unbound = resolvers.unbound(stage, hosts=100)
    watch = Watch(stage, [unbound.port], options="events: none, ring_size: 64KiB")
    watch.weir.signal(signal.SIGSTOP)
    counts = dnsperf(stage, unbound.port, 5000, 2, names=100)
    watch.weir.signal(signal.SIGCONT)
    weirtest.wait_for(lambda: watch.lost() > 0)
    check_counts(watch, *counts)
    assert watch.lost() > 0


def test_counts_questions_that_find_no_room(stage):
    """Beyond max_pending."""
    server = resolvers.Server(stage, lambda *_: None)
    watch = Watch(stage, [server.port], options="timeout: 500ms, max_pending: 64")
    client = resolvers.client(stage, server.address, server.port)
    for n in range(200):
        client.send(resolvers.question(f"p{n}.weir.test", number=n))

    def settled():
        return watch.lookups(error__type="timeout") + watch.lost() >= 400
    weirtest.wait_for(settled, what="every question is told as unanswered or counted")
    assert watch.lookups() + watch.lost() == 400
    assert 0 < watch.lookups() <= 64
    weirtest.wait_for(lambda: "a larger max_pending helps" in watch.weir.stderr())
    # There is room again.
    client.send(resolvers.question("after.weir.test"))
    watch.wait_lookups(1, role="client", dns__question__name="after.weir.test", error__type="timeout")


def test_sends_what_has_changed_with_delta_temporality(stage):
    unbound = resolvers.unbound(stage, hosts=50)
    watch = Watch(stage, [unbound.port], options="temporality: delta, max_names: 5, events: none")
    for turn in range(1, 6):
        resolvers.dig("127.0.0.1", unbound.port, [f"h{n}.weir.test" for n in range(5 * turn, 5 * turn + 5)] * (10 * turn))
        total = 25 * turn * (turn + 1)
        for role in ("client", "server"):
            weirtest.wait_for(lambda: watch.sum_of_deltas(role=role) >= total, what=f"{total} look-ups are sent")
            assert watch.sum_of_deltas(role=role) == total
    assert watch.figure("replaced_names") > 0


def test_folds_what_is_beyond_max_series(stage):
    unbound = resolvers.unbound(stage, hosts=50)
    watch = Watch(stage, [unbound.port], options="max_series: 3, events: none")
    resolvers.dig("127.0.0.1", unbound.port, [f"h{n}.weir.test" for n in range(50)])
    watch.wait_lookups(100)
    assert watch.lookups(otel__metric__overflow=True) == 97
    (_, resource, series), = watch.keys(otel__metric__overflow=True)
    assert dict(series) == {"otel.metric.overflow": True} and "process.executable.name" not in dict(resource)


def test_sees_through_address_translation(stage):
    """As with a service address of Kubernetes or Docker's resolver: the client sees the address that it asked, the server
    its own. Connected sockets, sockets that are not, and TCP."""
    weirtest.need_programs("nft")
    other = stage.namespace()
    watch = Watch(stage, [53, 1053])
    resolvers.unbound(stage, ("127.0.0.53",), port=1053, netns=other, hosts=3)
    other.exec("ip", "addr", "add", "10.96.0.10/32", "dev", "lo")
    rules = ("add table ip t; add chain ip t o { type nat hook output priority -100; }; "
             "add rule ip t o ip daddr 10.96.0.10 meta l4proto { tcp, udp } th dport 53 dnat to 127.0.0.53:1053")
    try:
        other.exec("nft", rules)
    except AssertionError as refused:
        weirtest.skip(f"this kernel does not translate addresses: {refused}")
    script = """if True:
        import socket, sys
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.settimeout(20)
        s.sendto(bytes.fromhex(sys.argv[1]), ("10.96.0.10", 53))
        assert s.recvfrom(4096)[1] == ("10.96.0.10", 53)
    """
    other.exec("/usr/bin/python3", "-c", script, resolvers.question("h0.weir.test").hex())
    script = script.replace("s.sendto(", "s.connect(('10.96.0.10', 53)); s.sendto(")
    other.exec("/usr/bin/python3", "-c", script, resolvers.question("h1.weir.test").hex())
    answer, = resolvers.dig("10.96.0.10", 53, ["h2.weir.test +tcp"], netns=other)
    assert answer["status"] == "NOERROR"
    for name in ("h0.weir.test", "h1.weir.test", "h2.weir.test"):
        watch.wait_lookups(1, role="client", dns__question__name=name, server__address="10.96.0.10", server__port=53,
                           weir__dns__response__code="NOERROR")
        watch.wait_lookups(1, role="server", dns__question__name=name, server__address="127.0.0.53", server__port=1053,
                           weir__dns__response__code="NOERROR")
    assert watch.lookups(dns__question__name="h0.weir.test") == 2


def test_sees_who_asks_by_multicast(stage):
    """A one-shot question of multicast DNS (RFC 6762, section 5.1), answered by two; once where it is watched."""
    other = stage.namespace()
    other.exec("ip", "link", "set", "lo", "multicast", "on")
    other.exec("ip", "route", "add", "224.0.0.0/4", "dev", "lo")
    watch = Watch(stage, [5353])
    script = """if True:
        import socket, sys
        question, answer = (bytes.fromhex(word) for word in sys.argv[1:])
        servers = []
        for _ in range(2):
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("", 5353))
            s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("224.0.0.251") +
                         socket.inet_aton("127.0.0.1"))
            servers.append(s)
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        client.sendto(question, ("224.0.0.251", 5353))
        for s in [*servers, client]:
            s.settimeout(20)
        for s in servers:
            peer = s.recvfrom(4096)[1]
            s.sendto(answer, peer)
            client.recv(4096)
    """
    question = resolvers.question("printer.local")
    other.exec("/usr/bin/python3", "-c", script, question.hex(), resolvers.answer(question).hex())
    wanted = {"dns__question__name": "printer.local", "weir__dns__response__code": "NOERROR"}
    watch.wait_lookups(1, role="client", server__address="224.0.0.251", **wanted)
    watch.wait_lookups(2, role="server", **wanted)
    assert watch.lookups(dns__question__name="printer.local") == 3


def test_ends_and_begins_during_traffic(stage):
    unbound = resolvers.unbound(stage, hosts=1000)
    asking = stage.process("sh", "-c", "while :; do for n in 0 1 2 3 4 5 6 7 8 9; do echo h$n.weir.test A; done; done | "
                           f"exec dnsperf -s 127.0.0.1 -p {unbound.port} -Q 2000 -l 30")
    for _ in range(3):
        watch = Watch(stage, [unbound.port])
        weirtest.wait_for(lambda: watch.lookups(role="client") > 100)
        assert watch.weir.stop() == 0
        assert not watch.records(error__type="malformed")
    asking.kill()


if __name__ == "__main__":
    weirtest.main()
