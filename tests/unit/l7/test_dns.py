#!/usr/bin/python3
"""Compares core/l7/dns with dnspython on messages that dnspython has encoded, whole, cut and damaged.

Usage: test_dns.py PRINTER, or test_dns.py --seeds FOLDER to write the seeds of the fuzz target.
"""
import os
import random
import struct
import subprocess
import sys

try:
    import dns.edns
    import dns.flags
    import dns.message
    import dns.name
    import dns.rcode
    import dns.rdata
    import dns.rdataclass
    import dns.rdatatype
    import dns.rrset
except ImportError as missing:
    print(f"skipped: python3-dnspython is needed ({missing})")
    sys.exit(77)

MESSAGES = 1000
NAMES = ["example.com.", "www.Example.COM.", "a.b.c.d.e.f.example.", ".", "_https._tcp.example.net.",
         r"dot\.in\\label.example.", r"\000\032\127\255.bytes.example.", "x" * 63 + ".long.example.",
         ".".join(["y" * 63] * 3 + ["z" * 61]) + ".", ".".join(["l"] * 127) + "."]
BODIES = [("A", "192.0.2.1"), ("AAAA", "2001:db8::1"), ("CNAME", "www.example.com."), ("PTR", "host.example."),
          ("NS", "ns.example.com."), ("DNAME", "other.example."), ("SRV", "10 60 5060 sip.example.com."),
          ("MX", "10 mail.example.com."), ("TXT", '"v=spf1 -all" "more"'),
          ("SOA", "ns.example.com. admin.example.com. 1 2 3 4 5"), ("CAA", '0 issue "ca.example"'),
          ("HTTPS", '1 . alpn="h2,h3" port=8443 ipv4hint=192.0.2.1,192.0.2.2 ipv6hint=2001:db8::1'),
          ("HTTPS", "0 svc.example.net."), ("SVCB", "16 foo.example.org. mandatory=alpn alpn=h2 key667=hello"),
          ("NAPTR", '100 10 "u" "E2U+sip" "!^.*$!sip:a@example.com!" .'), ("HINFO", '"a" "b"'),
          ("DS", "1 8 2 " + "ab" * 32), ("TYPE65280", r"\# 3 010203"), ("CNAME", r"a\.b.example.")]


def message(rng):
    """A random message, as bytes."""
    m = dns.message.Message(id=rng.randrange(65536))
    m.flags = rng.choice([0, dns.flags.RD]) | rng.choice([0, dns.flags.QR | dns.flags.RA, dns.flags.QR | dns.flags.TC])
    m.flags |= rng.choice([0, dns.flags.AA, dns.flags.AD, dns.flags.CD])
    for _ in range(rng.choice([0, 1, 1, 1, 2])):
        kind = rng.choice(["A", "AAAA", "HTTPS", "ANY", "TYPE65280"])
        m.question.append(dns.rrset.from_text(rng.choice(NAMES), 0, "IN", kind))
    for section in (m.answer, m.authority, m.additional):
        for _ in range(rng.choice([0, 0, 1, 2, 5])):
            kind, text = rng.choice(BODIES)
            section.append(dns.rrset.from_text(rng.choice(NAMES), rng.randrange(2 ** 31), "IN", kind, text))
    if rng.random() < 0.6:
        m.use_edns(0, rng.choice([0, dns.flags.DO]), rng.choice([512, 1232, 4096]),
                   options=rng.choice([[], [dns.edns.GenericOption(10, b"cookies!")]]))
        m.set_rcode(rng.choice([0, 2, 3, 5, 16, 23, 3841]))
    else:
        m.set_rcode(rng.choice([0, 1, 2, 3, 5]))
    return m.to_wire(max_size=65535)


def name_text(name):
    def label(raw):
        return "".join("\\" + chr(c) if c in b".\\" else chr(c) if 0x20 < c < 0x7f else f"\\{c:03}" for c in raw)
    return ".".join(label(raw) for raw in name.labels[:-1]) or "."


def body_text(rdata):
    kind = dns.rdatatype.to_text(rdata.rdtype)
    if rdata.rdclass & 0x7fff != 1 and kind not in ("CNAME", "PTR", "NS", "DNAME"):
        return ""
    if kind in ("A", "AAAA"):
        return f" {rdata.address}"
    if kind in ("CNAME", "PTR", "NS", "DNAME"):
        return f" {name_text(rdata.target)}"
    if kind == "SRV":
        return f" {rdata.priority} {rdata.weight} {rdata.port} {name_text(rdata.target)}"
    if kind in ("HTTPS", "SVCB"):
        text = f" {rdata.priority} {name_text(rdata.target)}"
        for key, value in sorted(rdata.params.items()):
            if key == 1:
                text += " alpn=" + ",".join(one.hex() for one in value.ids)
            elif key == 3:
                text += f" port={value.port}"
            elif key in (4, 6):
                text += f" ipv{key}hint=" + ",".join(value.addresses)
        return text
    return ""


def expected(wire):
    m = dns.message.from_wire(wire, one_rr_per_rrset=True, ignore_trailing=True)
    text = [f"{m.id} {m.opcode()}"]
    for flag, word in (("QR", "qr"), ("AA", "aa"), ("TC", "tc"), ("RD", "rd"), ("RA", "ra"), ("AD", "ad"), ("CD", "cd")):
        if m.flags & dns.flags.Flag[flag]:
            text[0] += " " + word
    for number, section in enumerate((m.question, m.answer, m.authority, m.additional)):
        for rrset in section:
            kind = dns.rdatatype.to_text(rrset.rdtype)
            line = f"{number} {name_text(rrset.name)} {int(rrset.rdclass)} {kind} {rrset.ttl if number else 0}"
            text.append(line + (body_text(rrset[0]) if number else ""))
    rcode = dns.rcode.to_text(m.rcode(), tsig=False)
    text.append(f". {rcode if not rcode.isdigit() else 'RCODE' + rcode}")
    if m.edns >= 0:
        text[-1] += f" edns {m.edns} {m.payload} {1 if m.ednsflags & dns.flags.DO else 0}"
    return text


def printed(printer, wires):
    """What the printer says of each message, as lists of lines."""
    given = b"".join(struct.pack(">H", len(wire)) + wire for wire in wires)
    out = subprocess.run([printer], input=given, stdout=subprocess.PIPE, check=True, timeout=50).stdout.decode()
    texts, lines = [], []
    for line in out.splitlines():
        lines.append(line)
        if line.startswith((". ", "fault: ")):
            texts.append(lines)
            lines = []
    assert len(texts) == len(wires), "the printer has not told of every message"
    return texts


def check_whole(printer, rng):
    wires = [message(rng) for _ in range(MESSAGES)]
    for wire, text in zip(wires, printed(printer, wires)):
        assert text == expected(wire), f"{wire.hex()}\nread     {text}\nexpected {expected(wire)}"


def check_cut(printer, rng):
    """A message that ends early is told so, wherever it ends."""
    wires = [wire[:at] for wire in (message(rng) for _ in range(20)) for at in range(len(wire))]
    for wire, text in zip(wires, printed(printer, wires)):
        assert text[-1].startswith("fault: byte "), f"{wire.hex()}: {text}"


def check_damaged(printer, rng):
    """What dnspython still reads is read."""
    wires = []
    for _ in range(MESSAGES):
        wire = bytearray(message(rng))
        for _ in range(rng.choice([1, 1, 2, 4])):
            wire[rng.randrange(12, len(wire)) if len(wire) > 12 else 0] = rng.choice([0, 1, 12, 63, 64, 192, 255, rng.randrange(256)])
        wires.append(bytes(wire))
    both = 0
    for wire, text in zip(wires, printed(printer, wires)):
        try:
            wanted = expected(wire)
        except Exception:  # dnspython raises many kinds
            continue
        both += 1
        if "a pointer does not lead" not in text[-1]:  # dnspython follows pointers into the header
            assert not text[-1].startswith("fault"), f"{wire.hex()}\nread     {text}\nexpected {wanted}"
            assert len(text) == len(wanted), f"{wire.hex()}\nread     {text}\nexpected {wanted}"
    assert both > MESSAGES // 20, f"only {both} damaged messages were readable"


def seeds(folder):
    rng = random.Random(5)
    for number in range(24):
        with open(os.path.join(folder, f"message-{number:02}"), "wb") as f:
            f.write(b"\0" + message(rng)[:1500])
    for number in range(4):
        messages = [message(rng)[:500] for _ in range(3)]
        with open(os.path.join(folder, f"stream-{number}"), "wb") as f:
            f.write(bytes([1 + number]) + b"".join(struct.pack(">H", len(m)) + m for m in messages))


if __name__ == "__main__":
    if sys.argv[1] == "--seeds":
        seeds(sys.argv[2])
    else:
        check_whole(sys.argv[1], random.Random(1))
        check_cut(sys.argv[1], random.Random(2))
        check_damaged(sys.argv[1], random.Random(3))
