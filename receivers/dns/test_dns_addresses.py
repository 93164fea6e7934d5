#!/usr/bin/python3
"""Compares the addresses that dns_answer_addresses() finds with those that the same rules, written plainly, find in the
records that dnspython was given to encode.

Usage: test_dns_addresses.py PRINTER, or test_dns_addresses.py --seeds FOLDER to write the seeds of fuzz_dns_exchange.
"""
import os
import random
import struct
import subprocess
import sys

try:
    import dns.flags
    import dns.message
    import dns.name
    import dns.rrset
except ImportError as missing:
    print(f"skipped: python3-dnspython is needed ({missing})")
    sys.exit(77)

MESSAGES = 1000
NAMES = ["a.test.", "b.test.", "x.test.", "a.x.test.", "b.x.test.", "y.test.", "a.y.test.", "b.y.test.", "a.a.y.test.",
         "long." + ".".join(["n" * 60] * 3) + ".x.test.", "z." + ".".join(["n" * 60] * 3) + ".test.", r"a\.x.test.",
         r"a\001x.test."]


def swap_case(rng, text):
    return "".join(c.upper() if rng.random() < 0.3 else c for c in text) if "\\" not in text else text


def records(rng):
    """Answers as (owner, type, text, ttl); no name has two CNAMEs, and none two DNAMEs."""
    made = []
    for kind, at_most in (("CNAME", 7), ("DNAME", 2)):
        for owner in rng.sample(NAMES, rng.randrange(at_most)):
            made.append((owner, kind, swap_case(rng, rng.choice(NAMES)), rng.choice([0, 5, 60, 300])))
    for _ in range(rng.randrange(24)):
        number = rng.randrange(1, 250)
        kind, text = rng.choice([
            ("A", f"192.0.2.{number}"), ("A", f"192.0.2.{number}"), ("AAAA", f"2001:db8::{number:x}"),
            ("HTTPS", f"1 . alpn=h2 ipv4hint=198.51.100.{number},198.51.100.1 ipv6hint=2001:db8:1::{number:x}"),
            ("SVCB", f"3 other.test. ipv4hint=203.0.113.{number}"), ("HTTPS", "0 b.test."),
            ("TXT", '"nothing"'), ("MX", "10 a.test.")])
        made.append((rng.choice(NAMES), kind, text, rng.choice([1, 30, 100, 400])))
    rng.shuffle(made)
    return made


def reached(question, answers):
    """The names that the question leads to, in lower case, with the least time to live up to each."""
    name, ttl, seen, taken = dns.name.from_text(question).canonicalize(), 2 ** 32 - 1, {}, set()
    while True:
        seen.setdefault(name, ttl)
        for number, (owner, kind, text, alias_ttl) in enumerate(answers):
            if kind == "CNAME" and number not in taken and dns.name.from_text(owner).canonicalize() == name:
                following = dns.name.from_text(text).canonicalize()
                break
        else:
            for number, (owner, kind, text, alias_ttl) in enumerate(answers):
                above = dns.name.from_text(owner).canonicalize()
                if kind == "DNAME" and number not in taken and name != above and name.is_subdomain(above):
                    try:
                        following = name.relativize(above).concatenate(dns.name.from_text(text).canonicalize())
                    except dns.name.NameTooLong:
                        continue
                    break
            else:
                return seen
        taken.add(number)
        name, ttl = following, min(ttl, alias_ttl)


def expected(question, answers):
    names, lines = reached(question, answers), []
    for owner, kind, text, ttl in answers:
        name = dns.name.from_text(owner).canonicalize()
        if name not in names:
            continue
        ttl = min(ttl, names[name])
        if kind in ("A", "AAAA"):
            lines.append(f"{text} {ttl}")
        elif kind in ("HTTPS", "SVCB") and not text.startswith("0"):
            for key in ("ipv4hint=", "ipv6hint="):
                for hints in [part[len(key):] for part in text.split() if part.startswith(key)]:
                    lines += [f"{hint} {ttl}" for hint in hints.split(",")]
    return lines


def message(rng, question, answers):
    m = dns.message.Message(id=rng.randrange(65536))
    m.flags = dns.flags.QR | dns.flags.RD
    m.question.append(dns.rrset.from_text(swap_case(rng, question), 0, "IN", rng.choice(["A", "AAAA", "HTTPS", "ANY"])))
    for owner, kind, text, ttl in answers:
        m.answer.append(dns.rrset.from_text(swap_case(rng, owner), ttl, "IN", kind, text))
    # None of these is an answer.
    m.answer.append(dns.rrset.from_text(question, 9, "CH", "TXT", '"another class"'))
    m.authority.append(dns.rrset.from_text(question, 9, "IN", "A", "10.9.9.9"))
    m.additional.append(dns.rrset.from_text(question, 9, "IN", "A", "10.9.9.9"))
    return m.to_wire(max_size=65535)


def main(printer):
    rng = random.Random(7)
    cases = [(rng.choice(NAMES), records(rng)) for _ in range(MESSAGES)]
    wires = [message(rng, *case) for case in cases]
    given = b"".join(struct.pack(">H", len(wire)) + wire for wire in wires)
    out = subprocess.run([printer], input=given, stdout=subprocess.PIPE, check=True, timeout=50).stdout.decode()
    found, lines = [], []
    for line in out.splitlines():
        if line == ".":
            found.append(lines)
            lines = []
        else:
            lines.append(line)
    assert len(found) == len(wires), "the printer has not told of every message"
    addresses = 0
    for (question, answers), lines in zip(cases, found):
        wanted = expected(question, answers)
        addresses += len(wanted)
        assert lines == wanted, f"{question} {answers}\nfound    {lines}\nexpected {wanted}"
    assert addresses > MESSAGES // 2, f"only {addresses} addresses were to be found"


def answer_event(wire):
    """In the words of fuzz_dns_exchange.c: a client's, over IPv4."""
    wire = wire[:510]
    return bytes([4, 4, (len(wire) + 1) // 2]) + wire + bytes(len(wire) % 2)


def segment_events(sent, data, rng):
    """A client's connection: the pieces of one direction, which begins with them."""
    events, first = b"", 32
    while data:
        size = rng.choice([1, 2, 30, 255])
        events += bytes([2 | 8 | (4 if sent else 0) | first, 4, len(data[:size])]) + data[:size]
        data, first = data[size:], 0
    return events


def seeds(folder):
    rng = random.Random(9)
    for number in range(16):
        question, answers = rng.choice(NAMES), records(rng)[:4]
        answer = message(rng, question, answers)
        asked = answer[:2] + b"\1\0\0\1" + bytes(6) + answer[12:answer.index(b"\0", 12) + 5]
        stream = lambda wires: b"".join(struct.pack(">H", len(wire)) + wire for wire in wires)
        with open(os.path.join(folder, f"{number:02}"), "wb") as f:
            f.write(answer_event(answer))
            f.write(bytes([1 | 128 | 4, 4, len(asked[12:])]) + asked[12:])
            f.write(segment_events(True, stream([asked] * 3), rng))
            f.write(segment_events(False, stream([answer] * rng.randrange(4)), rng))
            f.write(bytes([2 | 8 | 64, 4, rng.randrange(2), 0, 2 | 4 | 8 | 64, 4, 1, 0]))


if __name__ == "__main__":
    if sys.argv[1] == "--seeds":
        seeds(sys.argv[2])
    else:
        main(sys.argv[1])
