#!/usr/bin/python3
"""Compares core/wire/otlp_json with protobuf's own json_format on random requests.

The judge works on core/wire/otlp.proto with its strings declared as strings again. Usage:
test_otlp_json.py PRINTER otlp.proto
"""
import base64
import json
import os
import random
import re
import struct
import subprocess
import sys
import tempfile

try:
    from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
except ImportError as missing:
    print(f"skipped: python3-protobuf is needed ({missing})")
    sys.exit(77)

TRUE_BYTES = {"trace_id", "span_id", "parent_span_id", "bytes_value"}
HEX = {"traceId", "spanId", "parentSpanId"}
REQUESTS = ["ExportTraceServiceRequest", "ExportMetricsServiceRequest", "ExportLogsServiceRequest"]
ROUNDS = 600


def load(proto):
    """The request classes of otlp.proto with `string` where OTLP has it."""
    with open(proto, encoding="utf-8") as f:
        text = re.sub(r"\bbytes (\w+) =", lambda m: m[0] if m[1] in TRUE_BYTES else f"string {m[1]} =",
                      f.read())
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "judge.proto"), "w", encoding="utf-8") as f:
            f.write(text)
        out = os.path.join(folder, "judge.pb")
        subprocess.run(["protoc", "-I", folder, f"--descriptor_set_out={out}", "judge.proto"], check=True)
        with open(out, "rb") as f:
            files = descriptor_pb2.FileDescriptorSet.FromString(f.read())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    factory = message_factory.MessageFactory(pool)
    return [factory.GetPrototype(pool.FindMessageTypeByName(f"otlp.{name}")) for name in REQUESTS]


def scalar(field, rng):
    kind = field.cpp_type
    if kind == field.CPPTYPE_BOOL:
        return rng.random() < 0.5
    if kind == field.CPPTYPE_ENUM:
        return rng.choice(field.enum_type.values).number
    if kind in (field.CPPTYPE_DOUBLE, field.CPPTYPE_FLOAT):
        return rng.choice([0.0, -0.0, 1.0, 0.1, 1e300, 5e-324, float("inf"), float("-inf"), float("nan"),
                           rng.uniform(-1e6, 1e6), rng.random() * 10.0 ** rng.randint(-300, 300),
                           float(rng.randint(-2**53, 2**53))])
    if kind == field.CPPTYPE_STRING:
        if field.type == field.TYPE_BYTES:
            return rng.randbytes(rng.choice([0, 1, 2, 3, 8, 16]))
        return "".join(rng.choice("ab \"\\/\n\t\0\x1f\x7fäß€\u2028🐟") for _ in range(rng.randint(0, 12)))
    bits, signed = {
        field.CPPTYPE_INT32: (32, True), field.CPPTYPE_UINT32: (32, False),
        field.CPPTYPE_INT64: (64, True), field.CPPTYPE_UINT64: (64, False)}[kind]
    low = -2 ** (bits - 1) if signed else 0
    high = 2 ** (bits - 1) - 1 if signed else 2 ** bits - 1
    return rng.choice([0, 1, low, high, rng.randint(low, high)])


def fill(message, rng, depth):
    """Sets random fields; of each oneof at most one."""
    fields = [f for f in message.DESCRIPTOR.fields if f.containing_oneof is None]
    fields += [rng.choice(o.fields) for o in message.DESCRIPTOR.oneofs]
    for field in fields:
        if depth > 2 and rng.random() < 0.4:
            continue
        if field.label == field.LABEL_REPEATED:
            for _ in range(rng.randint(0, 2) if depth < 9 else 0):
                if field.message_type:
                    fill(getattr(message, field.name).add(), rng, depth + 1)
                else:
                    getattr(message, field.name).append(scalar(field, rng))
        elif field.message_type:
            if depth < 9:
                getattr(message, field.name).SetInParent()
                fill(getattr(message, field.name), rng, depth + 1)
        else:
            setattr(message, field.name, scalar(field, rng))


def otlp_form(value):
    """json_format's answer with OTLP's exception: ids in hex."""
    if isinstance(value, dict):
        return {k: base64.b64decode(v).hex() if k in HEX else otlp_form(v) for k, v in value.items()}
    if isinstance(value, list):
        return [otlp_form(v) for v in value]
    return value


def main():
    printer, proto = sys.argv[1:3]
    seed = int(os.environ.get("WEIR_TEST_SEED", "1"))
    rng = random.Random(seed)
    classes = load(proto)
    stream, expected = [], []
    for i in range(ROUNDS):
        request = classes[i % 3]()
        fill(request, rng, 0)
        data = request.SerializeToString()
        # What is -0.0 to the maker may be left out by an encoder: compare what is on the wire.
        expected.append(otlp_form(json_format.MessageToDict(type(request).FromString(data),
                                                            use_integers_for_enums=True)))
        stream.append(struct.pack(">BI", i % 3, len(data)) + data)
    answer = subprocess.run([printer], input=b"".join(stream), stdout=subprocess.PIPE, check=True).stdout
    lines = answer.decode("utf-8").split("\n")
    assert lines.pop() == "" and len(lines) == ROUNDS, f"{len(lines)} lines for {ROUNDS} requests"
    for i, (line, want) in enumerate(zip(lines, expected)):
        got = json.loads(line)
        if got != want:
            print(f"seed {seed}, request {i} differs\n got {got}\nwant {want}")
            return 1
        assert json.dumps(got, separators=(",", ":"), ensure_ascii=False).count(" ") == line.count(" "), \
            f"request {i} is not compact"
    print(f"{ROUNDS} requests, {len(answer)} bytes of JSON, equal to json_format")
    return 0


if __name__ == "__main__":
    sys.exit(main())
