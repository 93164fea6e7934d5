#!/usr/bin/python3
"""A gateway under each of tests/e2e/attacks.py: it goes on, keeps within its memory, counts what it has refused, and a client
that keeps to the rules waits at most ten times as long as on a quiet day.

Memory and waiting are those of the release build, which scripts/test makes as well (sanitizers multiply both), on a machine that
has nothing else to do. What sanitizers find: test_attacks_sanitized.py."""
import os
import statistics
import sys

import weirtest

try:
    import attacked
    import attacks
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(weirtest.SKIPPED)

RELEASE = os.environ.get("WEIR_RELEASE", os.path.join(weirtest.ROOT, "build", "weir"))
# What the process takes beside the telemetry it holds: the program, libraries, connections.
REST_MIB = 32
ATTEMPTS = 3  # others on the machine only ever make it slower: the best attempt counts
FLOOR_MS = 3.0  # of the quiet value: below it the clock of a busy machine is all that is measured

# The limit that has to strike, where there is one by name; the others are refused as a request, or simply served.
STRIKES = {
    "rapid_reset": "resets", "made_you_reset": "resets", "made_you_reset_by_content_length": "resets",
    "continuation_flood": "continuations", "empty_continuations": "continuations", "hpack_bomb": "protocol",
    "huge_header_list": "header_list", "settings_flood": "settings", "settings_of_many_entries": "settings",
    "ping_flood": "pings", "window_update_flood": "frames", "priority_flood": "frames", "empty_data_flood": "frames",
    "unknown_frames_flood": "frames", "too_many_streams": "streams", "bad_huffman": "protocol",
    "junk_after_the_preface": "protocol", "junk": "protocol", "strange_frames": "protocol", "strange_heads": "protocol",
    "strange_targets": "protocol", "half_open_handshakes": "handshake", "junk_instead_of_tls": "handshake",
}
# How every request of an attack must have been answered.
ANSWERS = {
    "false_content_length": {"413", "400"}, "request_smuggling": {"400", "501"}, "bombs": {"413", "400"},
    "deep_values": {"400"}, "deep_json": {"400"}, "empty_spans": {"200", "503"}, "large_json": {"200", "503", "413"},
}
# What is no attack by itself, only much of it.
KEPT = {"idle_connections"}


def percentile(values, share):
    return sorted(values)[int(len(values) * share)]


def quiet(gateway):
    client = attacked.Client(gateway.grpc)
    for _ in range(200):
        client.once()
    client.channel.close()
    return client.waits


def under_attack(stage, name):
    if not os.access(RELEASE, os.X_OK):
        weirtest.skip(f"{RELEASE} has not been built: scripts/build")
    gateway = attacked.Gateway(stage, RELEASE)
    usual = max(percentile(quiet(gateway), 0.95), FLOOR_MS)
    for _ in range(ATTEMPTS):
        client = attacked.Client(gateway.grpc)
        client.start()
        result = gateway.attack(name, attacked.SECONDS)
        client.stop()
        waits = client.waits
        if percentile(waits, 0.95) <= 10 * usual:
            break
    print(f"    {name}: {result['rounds']} rounds, {result['closed']} closed, {result['answers']}; healthy client: "
          f"{len(waits)} answers, median {statistics.median(waits):.2f} ms, p95 {percentile(waits, 0.95):.2f} "
          f"(quiet p95 {usual:.2f}), refused {client.refused}; peak {gateway.peak_mib():.1f} MiB; struck "
          f"{ {k: int(v) for k, v in gateway.struck().items() if v} }")
    assert percentile(waits, 0.95) <= 10 * usual, f"the healthy client waited {percentile(waits, 0.95):.1f} ms"
    assert client.refused == 0, f"the healthy client was refused {client.refused} times"
    assert gateway.peak_mib() <= attacked.LIMIT_MIB + REST_MIB, f"{gateway.peak_mib():.1f} MiB"
    if name in STRIKES:
        assert gateway.struck().get(STRIKES[name], 0) > 0, gateway.struck()
    if name in ANSWERS:
        assert set(result["answers"]) <= ANSWERS[name] and result["answers"], result["answers"]
    assert name not in KEPT or (result["closed"] == 0 and result["rounds"] > 1000), result
    assert gateway.weir.stop() == 0


attacked.make_tests(globals(), attacks.NAMES, under_attack)

if __name__ == "__main__":
    weirtest.main()
