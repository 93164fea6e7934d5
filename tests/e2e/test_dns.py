#!/usr/bin/python3
"""Every DNS exchange of this host, as an OTLP backend sees it: real resolvers and real clients, and what dig has seen is
held against what arrived."""
import socket
import statistics
import sys

import weirtest

try:
    from dns_watch import Watch, lookups_of
    import resolvers
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(weirtest.SKIPPED)


def test_agrees_with_dig_on_a_thousand_questions(stage):
    """dig reads its clock in user space, before it has sent and after it was woken: what weir says is never more, and on
    average less than 0.2 ms less."""
    count = 1000
    unbound = resolvers.unbound(stage, hosts=count)
    watch = Watch(stage, [unbound.port])
    names = [f"h{n}.weir.test" for n in range(count)]
    asked = dict(zip(names, resolvers.dig("127.0.0.1", unbound.port, names)))
    seen = {}
    for role, executable in (("client", "dig"), ("server", "unbound")):
        watch.wait_lookups(count, executable=executable, role=role, server__address="127.0.0.1")
        records = watch.wait_records(count, executable=executable, role=role)
        seen[role] = {r["dns.question.name"]: r["weir.dns.duration"] * 1e6 for r in records}
        assert sorted(seen[role]) == sorted(names), "every question is told once"
    differences = [asked[name]["us"] - seen["client"][name] for name in names]
    print(f"    dig says {statistics.median(a['us'] for a in asked.values()):.0f} us (median), weir "
          f"{statistics.median(seen['client'].values()):.0f} us; difference: mean {statistics.mean(differences):.1f} us, "
          f"median {statistics.median(differences):.1f}, least {min(differences):.1f}, most {max(differences):.1f}")
    assert min(differences) > -10, "weir says more than dig does"
    # Not of the few where dig had to wait for a processor.
    assert statistics.mean(sorted(differences)[:count * 95 // 100]) < 200
    assert all(seen["server"][name] <= seen["client"][name] for name in names)
    # The histogram is of the same exchanges.
    points = [p for p in watch.points(role="client", executable="dig")]
    total = sum(p.sum for p in points) * 1e6
    assert abs(total - sum(seen["client"].values())) < 1, (total, sum(seen["client"].values()))


def check_failure(watch, name, code, error, **more):
    for role in ("client", "server"):
        wanted = {"role": role, "dns__question__name": name, **more}
        watch.wait_lookups(1, **wanted)
        point, = watch.points(**wanted)
        record, = watch.wait_records(1, **wanted)
        for found in (lookups_of(point), record):
            assert found.get("weir.dns.response.code") == code, found
            assert found.get("error.type") == error, found


def test_tells_how_questions_failed(stage):
    unbound = resolvers.unbound(stage)
    watch = Watch(stage, [unbound.port], options="timeout: 500ms")
    names = ["a.weir.test", "none.weir.test", "broken.weir.test", "refused.weir.test"]
    said = [a["status"] for a in resolvers.dig("127.0.0.1", unbound.port, names)]
    assert said == ["NOERROR", "NXDOMAIN", "SERVFAIL", "REFUSED"]
    for name, code, error in zip(names, said, (None, "name_error", "server_failure", "refused")):
        check_failure(watch, name, code, error)
    answer, = resolvers.dig("127.0.0.1", unbound.port, ["silent.weir.test +time=1"])
    assert answer["status"] is None
    check_failure(watch, "silent.weir.test", None, "timeout")


def test_follows_a_truncated_answer_to_tcp(stage):
    unbound = resolvers.unbound(stage)
    watch = Watch(stage, [unbound.port])
    answer, = resolvers.dig("127.0.0.1", unbound.port, ["large.weir.test TXT"])
    assert answer["status"] == "NOERROR" and answer["size"] > 3000
    check_failure(watch, "large.weir.test", "NOERROR", "truncated", network__transport="udp")
    check_failure(watch, "large.weir.test", "NOERROR", None, network__transport="tcp")


def test_reads_large_answers_with_edns(stage):
    """Over a device whose packets are smaller."""
    other = stage.namespace()
    other.link(["10.82.3.1/24", "fd82:3::1/64"], ["10.82.3.2/24", "fd82:3::2/64"])
    unbound = resolvers.unbound(stage, ("10.82.3.2", "fd82:3::2"), netns=other)
    watch = Watch(stage, [unbound.port])
    for address in ("10.82.3.2", "fd82:3::2"):
        answer, = resolvers.dig(address, unbound.port, ["large.weir.test TXT"], ["+edns", "+bufsize=4096"])
        assert answer["status"] == "NOERROR" and answer["size"] > 3000 and "(UDP)" in answer["text"]
        for role in ("client", "server"):
            wanted = {"role": role, "network__transport": "udp", "server__address": address}
            watch.wait_lookups(1, **wanted)
            record, = watch.wait_records(1, **wanted)
            assert record["weir.dns.response.code"] == "NOERROR" and "error.type" not in record


def test_sees_ipv6(stage):
    unbound = resolvers.unbound(stage, ("::1",))
    watch = Watch(stage, [unbound.port])
    for way in ((), ("+tcp",)):
        answers = resolvers.dig("::1", unbound.port, ["a.weir.test AAAA"] * 5, way)
        assert all(a["status"] == "NOERROR" for a in answers)
        for role in ("client", "server"):
            wanted = {"role": role, "weir__dns__question__type": "AAAA", "network__transport": "tcp" if way else "udp"}
            watch.wait_lookups(5, **wanted)
            for record in watch.wait_records(5, **wanted):
                assert record["server.address"] == "::1" and record["server.port"] == unbound.port
                assert [v.string_value for v in record["dns.answers"].values] == ["2001:db8::1"], record


def test_tells_clients_of_an_ipv6_socket_that_ask_over_ipv4(stage):
    """Addresses mapped to IPv6 are what they are on the wire."""
    unbound = resolvers.unbound(stage)
    watch = Watch(stage, [unbound.port])
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as s:
        s.settimeout(weirtest.PATIENCE)
        s.sendto(resolvers.question("a.weir.test"), ("::ffff:127.0.0.1", unbound.port))
        s.recv(4096)
    for role in ("client", "server"):
        watch.wait_lookups(1, role=role, server__address="127.0.0.1", dns__question__name="a.weir.test")


def test_sees_the_stub_of_another_network_namespace(stage):
    """On port 53 of an address like that of systemd-resolved, as getent asks: A and AAAA together from one socket. The
    namespace is made after weir has started."""
    watch = Watch(stage, None)
    other = stage.namespace()
    resolvers.unbound(stage, ("127.0.0.53",), port=53, netns=other, hosts=20)
    resolvers.resolv_conf(stage, other, "127.0.0.53")
    names = [f"h{n}.weir.test" for n in range(20)]
    for name in names:
        assert resolvers.HOST_ADDRESS in other.exec("getent", "ahosts", name)
    other.exec("/usr/bin/python3", "-c", "import socket; socket.getaddrinfo('a.weir.test', 80)")
    for role, executable in (("client", "getent"), ("server", "unbound")):
        for kind in ("A", "AAAA"):
            wanted = {"role": role, "executable": executable, "server__address": "127.0.0.53",
                      "weir__dns__question__type": kind}
            count = len(names) + (role == "server")
            watch.wait_lookups(count, **wanted)
            found = [r["dns.question.name"] for r in watch.wait_records(count, **wanted)]
            assert sorted(found) == sorted(names + ["a.weir.test"] * (role == "server"))
    assert not watch.records(error__type="timeout", server__address="127.0.0.53")


def test_names_the_process_that_asked(stage):
    """Also one that is gone when weir looks, and that never called connect."""
    unbound = resolvers.unbound(stage)
    watch = Watch(stage, [unbound.port], options="per_process: true", interval="1s")
    script = """if True:
        import os, socket, sys
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.settimeout(20)
        s.sendto(bytes.fromhex(sys.argv[2]), ("127.0.0.1", int(sys.argv[1])))
        s.recv(4096)
    """
    asking = stage.process("/usr/bin/python3", "-c", script, str(unbound.port),
                           resolvers.question("a.weir.test").hex())
    assert asking.wait() == 0, asking.stderr()
    dig = stage.process("dig", "@127.0.0.1", "-p", str(unbound.port), "four.weir.test", "+tcp")
    assert dig.wait() == 0, dig.stderr()
    for role, pid, name in (("client", asking.pid, "a.weir.test"), ("server", unbound.pid, "a.weir.test"),
                            ("client", dig.pid, "four.weir.test"), ("server", unbound.pid, "four.weir.test")):
        watch.wait_lookups(1, role=role, dns__question__name=name)
        (_, resource, _), = watch.keys(role=role, dns__question__name=name)
        assert dict(resource)["process.pid"] == pid, resource
        record, = watch.wait_records(1, role=role, dns__question__name=name)
        assert record["process.pid"] == pid, record
    assert watch.lookups(executable="unbound", role="server") == 2
    assert watch.lookups(executable="dig", role="client") == 1


def test_lets_other_ports_go_by(stage):
    """Multicast DNS (5353) among them."""
    other = stage.namespace()
    for port, address in ((53, "127.0.0.1"), (5353, "127.0.0.2"), (5354, "127.0.0.3")):
        resolvers.unbound(stage, (address,), port=port, netns=other)
    watch = Watch(stage, None)
    for way in ((), ("+tcp",)):
        for port, address in ((5353, "127.0.0.2"), (5354, "127.0.0.3"), (53, "127.0.0.1")):
            answer, = resolvers.dig(address, port, ["four.weir.test"], way, netns=other)
            assert answer["status"] == "NOERROR"
    for role in ("client", "server"):
        watch.wait_lookups(2, role=role, dns__question__name="four.weir.test")
    for address in ("127.0.0.2", "127.0.0.3"):
        assert not watch.records(dns__question__name="four.weir.test", server__address=address)
    assert watch.lookups(dns__question__name="four.weir.test") == 4
    # And the other way round: what is told to be watched, and nothing else.
    more = Watch(stage, [5353, 5354])
    for port, address in ((53, "127.0.0.1"), (5353, "127.0.0.2"), (5354, "127.0.0.3")):
        resolvers.dig(address, port, ["a.weir.test"], netns=other)
    for address in ("127.0.0.2", "127.0.0.3"):
        more.wait_lookups(1, role="server", dns__question__name="a.weir.test", server__address=address)
    assert more.lookups(dns__question__name="a.weir.test") == 4


def test_keeps_the_names_asked_most(stage):
    unbound = resolvers.unbound(stage, hosts=200)
    watch = Watch(stage, [unbound.port], options="max_names: 5, events: none")
    often = ["a.weir.test"] * 100 + ["four.weir.test"] * 100
    names = often + [f"h{n}.weir.test" for n in range(200)] + often
    resolvers.dig("127.0.0.1", unbound.port, names)
    for role in ("client", "server"):
        watch.wait_lookups(len(names), role=role)
        kept = {dict(series)["dns.question.name"] for _, _, series in watch.keys(role=role)}
        assert "~other" in kept and {"a.weir.test", "four.weir.test"} <= kept, kept
        for name in ("a.weir.test", "four.weir.test"):
            assert watch.lookups(role=role, dns__question__name=name) >= 190
    assert not watch.records()


def test_loses_and_doubles_nothing_when_other_names_become_frequent(stage):
    unbound = resolvers.unbound(stage, hosts=50)
    watch = Watch(stage, [unbound.port], options="max_names: 5, events: none")
    total = 0
    for turn in range(4):
        names = [f"h{5 * turn + n}.weir.test" for n in range(5)] * 20 * 3**turn
        resolvers.dig("127.0.0.1", unbound.port, names)
        total += len(names)
        for role in ("client", "server"):
            # Of all series that ever were: what counts elsewhere from then on has not taken its past along.
            watch.wait_lookups(total, role=role)
    assert watch.figure("replaced_names") > 0


def test_cuts_names(stage):
    unbound = resolvers.unbound(stage, hosts=30)
    watch = Watch(stage, [unbound.port], options="name_labels: 2")
    resolvers.dig("127.0.0.1", unbound.port, [f"h{n}.weir.test" for n in range(30)] + ["localhost"])
    watch.wait_lookups(30, role="client", dns__question__name="weir.test")
    watch.wait_lookups(1, role="client", dns__question__name="localhost")
    assert watch.lookups(role="client") == 31
    assert watch.wait_records(1, role="client", dns__question__name="h7.weir.test"), "log records have the whole name"


def test_leaves_names_out(stage):
    unbound = resolvers.unbound(stage, hosts=30)
    watch = Watch(stage, [unbound.port], options="max_names: 0")
    resolvers.dig("127.0.0.1", unbound.port, [f"h{n}.weir.test" for n in range(30)])
    watch.wait_lookups(30, role="client")
    assert all("dns.question.name" not in dict(series) for _, _, series in watch.keys())


def test_tells_failures_only(stage):
    unbound = resolvers.unbound(stage)
    watch = Watch(stage, [unbound.port], options="events: failed")
    resolvers.dig("127.0.0.1", unbound.port, ["a.weir.test", "none.weir.test", "a.weir.test"])
    watch.wait_lookups(3, role="client")
    for role in ("client", "server"):
        record, = watch.wait_records(1, role=role)
        assert record["dns.question.name"] == "none.weir.test" and record["error.type"] == "name_error"


if __name__ == "__main__":
    weirtest.main()
