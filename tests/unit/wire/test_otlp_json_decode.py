#!/usr/bin/python3
"""Compares core/wire/otlp_json_decode with protobuf's own json_format.

Random requests, written by json_format in the forms that writers choose between, and small texts that
both must accept with the same result or both refuse. Usage: test_otlp_json_decode.py READER otlp.proto
"""
import json
import os
import random
import struct
import subprocess
import sys

from test_otlp_json import HEX, fill, json_format, load, otlp_form

ROUNDS = 600

# Of an attribute's value: what json_format must agree on, the result included. Where Python's is laxer than protobuf's
# description of JSON (empty lists as messages, true as a number) or stricter ("1e3" as an integer), it is not asked.
VALUES = [
    '{"intValue":"12"}', '{"intValue":12}', '{"intValue":-0}', '{"intValue":1e3}', '{"intValue":1.0}',
    '{"intValue":9223372036854775807}', '{"intValue":"-9223372036854775808"}', '{"intValue":"9223372036854775808"}',
    '{"intValue":1.5}', '{"intValue":"x"}', '{"intValue":""}', '{"intValue":" 1"}', '{"intValue":true}', '{"intValue":[]}',
    '{"intValue":{}}', '{"doubleValue":1}', '{"doubleValue":"1.5"}', '{"doubleValue":"NaN"}', '{"doubleValue":"Infinity"}',
    '{"doubleValue":"-Infinity"}', '{"doubleValue":1e308}', '{"doubleValue":1e309}', '{"doubleValue":"x"}',
    '{"boolValue":true}', '{"boolValue":false}', '{"boolValue":1}', '{"boolValue":"yes"}',
    '{"stringValue":"\\u00e4\\ud83d\\udc1f\\n"}', '{"stringValue":""}', '{"stringValue":1}', '{"stringValue":null}',
    '{"bytesValue":"AAEC/w=="}', '{"bytesValue":"AAEC_w=="}', '{"bytesValue":"AAEC_w"}', '{"bytesValue":1}',
    '{"arrayValue":{}}', '{"arrayValue":{"values":[]}}', '{"arrayValue":{"values":[{},{"intValue":1}]}}',
    '{"arrayValue":{"values":{}}}', '{"arrayValue":{"values":[null]}}', '{"arrayValue":1}',
    '{"kvlistValue":{"values":[{"key":"k","value":{"boolValue":false}}]}}', '{"x":[{"y":null}],"boolValue":true}', '{}',
    'null', '{"boolValue":tru}', '{"boolValue":true,}', '{"boolValue":true', '{"intValue":01}', '{"intValue":+1}',
    '{"doubleValue":.5}', '{"stringValue":"\x01"}', '{"stringValue":"\\x"}',
]


def varied(value, rng):
    """The same in another form: numbers for strings that are some, ids in upper case, keys that nobody knows."""
    if isinstance(value, dict):
        out = {}
        for k, v in value.items():
            if rng.random() < 0.1:
                out[rng.choice(["unknown", "trace_id", "Name"])] = rng.choice([None, [], {"a": [1, "x"]}, "y", 1e5])
            if k in HEX and rng.random() < 0.5:
                v = v.upper()
            elif isinstance(v, str) and v.lstrip("-").isdecimal() and k.endswith(("Nano", "intValue", "asInt", "count")):
                v = int(v) if rng.random() < 0.5 else v
            else:
                v = varied(v, rng)
            out[k] = v
        return out
    return [varied(v, rng) for v in value] if isinstance(value, list) else value


def run(reader, stream):
    """One answer a record: bytes, or the sentence of the error as text."""
    answer = subprocess.run([reader], input=b"".join(struct.pack(">BI", s, len(t)) + t for s, t in stream),
                            stdout=subprocess.PIPE, check=True).stdout
    out, at = [], 0
    while at < len(answer):
        n = struct.unpack_from(">I", answer, at)[0]
        at += 4
        if n == 0xffffffff:
            end = answer.index(b"\n", at)
            out.append(answer[at:end].decode())
            at = end + 1
        else:
            out.append(answer[at:at + n])
            at += n
    assert len(out) == len(stream), f"{len(out)} answers for {len(stream)} requests"
    return out


def same(a, b):
    """Equality in which NaN is itself."""
    return json_format.MessageToJson(a) == json_format.MessageToJson(b)


def check_random(reader, classes, seed):
    rng = random.Random(seed)
    stream, wanted = [], []
    for i in range(ROUNDS):
        request = classes[i % 3]()
        fill(request, rng, 0)
        # An encoder may leave out what is -0.0.
        request = classes[i % 3].FromString(request.SerializeToString())
        tree = varied(otlp_form(json_format.MessageToDict(request, use_integers_for_enums=True,
                                                          including_default_value_fields=rng.random() < 0.2)), rng)
        text = json.dumps(tree, ensure_ascii=rng.random() < 0.5, indent=rng.choice([None, 1]))
        stream.append((i % 3, text.encode()))
        wanted.append(request)
    for i, (got, want) in enumerate(zip(run(reader, stream), wanted)):
        if not isinstance(got, bytes) or not same(type(want).FromString(got), want):
            print(f"seed {seed}, request {i} differs\n{stream[i][1].decode()}\n got {got}\nwant {want}")
            return False
    return True


def check_values(reader, request_class):
    texts = ['{"resourceSpans":[{"resource":{"attributes":[{"value":%s}]}}]}' % v for v in VALUES]
    ok = True
    for text, got in zip(texts, run(reader, [(0, t.encode()) for t in texts])):
        try:
            want = json_format.Parse(text, request_class(), ignore_unknown_fields=True)
        except json_format.ParseError as refused:
            want = refused
        if isinstance(want, Exception) != isinstance(got, str) or \
                isinstance(got, bytes) and not same(request_class.FromString(got), want):
            print(f"{text}\n got {got}\nwant {want}")
            ok = False
    return ok


def main():
    reader, proto = sys.argv[1:3]
    seed = int(os.environ.get("WEIR_TEST_SEED", "1"))
    classes = load(proto)
    if not check_random(reader, classes, seed) or not check_values(reader, classes[0]):
        return 1
    print(f"{ROUNDS} requests and {len(VALUES)} values, equal to json_format")
    return 0


if __name__ == "__main__":
    sys.exit(main())
