"""Backends in bad weather and clients that keep to the specification, with a ledger of every single item on both sides.

Items are numbered; a request's resource carries the number of the client's attempt. A backend writes down what it does with
each item before it answers: "ok", "rejected" (by partial success), "invalid" (refused for good), "busy" (come again), "lost"
(taken, but the answer never came)."""
import collections
import gzip
import http.client
import random
import select
import socket
import struct
import threading
import time
import weakref

import grpc
import judge
import judge_http
import otlp_messages
import weirtest
from otlp_gateway import MESSAGES, retry_delay

SIGNALS = tuple(judge.SIGNALS)


# ---- numbered items


def make_request(name, numbers, attempt, filler=0):
    request = MESSAGES.request(name)()
    group = getattr(request, otlp_messages.GROUPS[name][0]).add()
    group.resource.attributes.add(key="attempt").value.string_value = attempt
    scope = getattr(group, otlp_messages.GROUPS[name][1]).add()
    if name == "metrics":
        points = scope.metrics.add(name="m").gauge.data_points
    for number in numbers:
        if name == "trace":
            scope.spans.add(name=str(number), trace_id=bytes(range(16)), span_id=bytes(range(8)), trace_state="x" * filler)
        elif name == "logs":
            scope.log_records.add(severity_text="x" * filler).body.string_value = str(number)
        else:
            points.add().as_int = number
    return request


def read_request(name, request):
    """[(attempt, [number, ...])]: one for each group."""
    found = []
    for group in getattr(request, otlp_messages.GROUPS[name][0]):
        attempt = next((a.value.string_value for a in group.resource.attributes if a.key == "attempt"), "?")
        numbers = []
        for scope in getattr(group, otlp_messages.GROUPS[name][1]):
            if name == "trace":
                numbers += [int(s.name) for s in scope.spans]
            elif name == "logs":
                numbers += [int(r.body.string_value) for r in scope.log_records]
            else:
                numbers += [p.as_int for m in scope.metrics for p in m.gauge.data_points]
        found.append((attempt, numbers))
    return found


# ---- backends


class Ledger:
    def __init__(self):
        self.lock = threading.Lock()
        self.items = {name: collections.defaultdict(collections.Counter) for name in SIGNALS}  # action -> number -> times
        self.attempts = collections.defaultdict(list)  # attempt -> [(action, rejected)]
        self.requests = collections.Counter()

    def enter(self, name, request, action, rejected=0):
        groups, left = read_request(name, request), rejected
        with self.lock:
            self.requests[action] += 1
            for attempt, numbers in groups:
                cut = min(left, len(numbers))
                left -= cut
                self.attempts[attempt].append((action, cut))
                self.items[name]["rejected"].update(numbers[:cut])
                self.items[name][action].update(numbers[cut:])

    def count(self, name, action):
        with self.lock:
            return sum(self.items[name][action].values())


class Weather:
    """What a backend does next: seeded, so that a seed tells the run again (up to the order of what comes in)."""

    CALM = {"ok": 1}
    KINDS = {
        "calm": CALM,
        "showers": {"ok": 6, "slow": 2, "busy": 2, "later": 1, "partial": 1, "invalid": 0.3, "drop": 0.5},
        "overload": {"ok": 1, "busy": 4, "later": 2},
        "fog": {"ok": 3, "slow": 3, "hang": 0.4},
        "picky": {"ok": 2, "partial": 2, "invalid": 1},
    }
    END = {"lose": 1}

    def __init__(self, seed):
        self.draw, self.weights = random.Random(seed), self.CALM
        self.weather_lock = threading.Lock()
        self.answering, self.answered_at = 0, 0.0
        self.let_go = threading.Event()
        self.ledger = Ledger()

    def next_action(self):
        with self.weather_lock:
            action = self.draw.choices(list(self.weights), list(self.weights.values()))[0]
            if action != "lose" and action != "hang":
                self.answering += 1
            return action, self.draw.random()

    def has_answered(self, action):
        with self.weather_lock:
            if action != "lose" and action != "hang":
                self.answering -= 1
                self.answered_at = time.monotonic()

    def is_silent(self):
        """Nothing that was decided is on its way to the other side any more."""
        return not self.answering and time.monotonic() - self.answered_at > 0.3


class GrpcBackend(Weather, judge.Judge):
    def __init__(self, seed, **more):
        Weather.__init__(self, seed)
        judge.Judge.__init__(self, goaway_after=4, **more)

    def stop(self, grace=None):
        self.let_go.set()
        super().stop(grace)

    def answer(self, name, request, context):
        action, dice = self.next_action()
        try:
            return self._answer(name, request, context, action, dice)
        finally:
            self.has_answered(action)

    def _answer(self, name, request, context, action, dice):
        enter = self.ledger.enter
        if action in ("busy", "later", "drop"):
            enter(name, request, "busy")
            if action == "later":
                code = grpc.StatusCode.RESOURCE_EXHAUSTED if dice < 0.3 else grpc.StatusCode.UNAVAILABLE
                self._refuse(context, code, "come again later", 0.1 + dice)
            code = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.ABORTED, grpc.StatusCode.DATA_LOSS)[int(dice * 3)]
            self._refuse(context, code, "busy")
        if action == "invalid":
            enter(name, request, "invalid")
            self._refuse(context, grpc.StatusCode.INVALID_ARGUMENT, "no such thing")
        if action in ("hang", "lose"):
            enter(name, request, "lost")
            self.let_go.wait(10)
            self._refuse(context, grpc.StatusCode.UNAVAILABLE, "the answer is lost")
        if action == "slow":
            time.sleep(dice / 2)
        response = MESSAGES.response(name)()
        rejected = 0
        if action == "partial":
            rejected = max(1, int(dice * judge.count_items(name, request)))
            setattr(response.partial_success, judge.REJECTED[name], rejected)
            response.partial_success.error_message = "some were bad"
        enter(name, request, "ok", rejected)
        return response


class HttpBackend(Weather, judge_http.JudgeHttp):
    def __init__(self, seed, **more):
        Weather.__init__(self, seed)
        judge_http.JudgeHttp.__init__(self, **more)

    def stop(self):
        self.let_go.set()
        super().stop()

    def answer(self, handler, body):
        action, dice = self.next_action()
        try:
            name, request = self.decode(handler, body)
            assert name, "weir sent what is not OTLP"
            self._answer(handler, name, request, action, dice)
        except OSError:
            pass
        finally:
            self.has_answered(action)

    def _answer(self, handler, name, request, action, dice):
        enter = self.ledger.enter
        if action == "busy":
            enter(name, request, "busy")
            return self._refuse(handler, (502, 503, 504)[int(dice * 3)])
        if action == "later":
            enter(name, request, "busy")
            return self._refuse(handler, 429 if dice < 0.5 else 503, "1")
        if action == "invalid":
            enter(name, request, "invalid")
            return self._refuse(handler, 400)
        if action == "drop":
            enter(name, request, "lost")
            if dice < 0.5:
                handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n")
                handler.wfile.flush()
            return handler.hang_up()
        if action in ("hang", "lose"):
            enter(name, request, "lost")
            self.let_go.wait(10)
            return handler.hang_up()
        if action == "slow":
            time.sleep(dice / 2)
        response = MESSAGES.response(name)()
        rejected = 0
        if action == "partial":
            rejected = max(1, int(dice * judge.count_items(name, request)))
            setattr(response.partial_success, judge.REJECTED[name], rejected)
            response.partial_success.error_message = "some were bad"
        enter(name, request, "ok", rejected)
        return self.respond(handler, response, **({"Connection": "close"} if dice < 0.05 else {}))


class Wire(threading.Thread):
    """The network between weir and a backend: cut() resets every connection and refuses new ones until mend()."""

    def __init__(self, to_port):
        super().__init__(daemon=True)
        self.to_port, self.pairs, self.behind = to_port, {}, weakref.WeakSet()
        self.orders, self.wake = [], socket.socketpair()
        self.port = weirtest.free_port()
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=128)
        self.start()

    def order(self, what):
        done = threading.Event()
        self.orders.append((what, done))
        self.wake[0].send(b"x")
        assert done.wait(20)

    def cut(self):
        self.order("cut")

    def mend(self):
        self.order("mend")

    def stop(self):
        self.order("stop")
        self.join()

    def run(self):
        while True:
            readable, _, _ = select.select([self.wake[1], *([self.listener] if self.listener else []), *self.pairs], [], [])
            for s in readable:
                if s is self.wake[1]:
                    s.recv(1)
                    what, done = self.orders.pop(0)
                    self._obey(what)
                    done.set()
                    if what == "stop":
                        return
                    break  # the rest may be closed by now
                if s is self.listener:
                    self._join()
                elif s in self.pairs:
                    self._pass_on(s)

    def _obey(self, what):
        if what == "mend":
            self.listener = self.listener or socket.create_server(("127.0.0.1", self.port), backlog=128)
            return
        if self.listener:
            self.listener.close()
        self.listener = None
        self._deliver()
        for s in self.pairs:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.close()
        self.pairs.clear()

    def _deliver(self):
        """What the backend has said goes on its way before the connections end."""
        while readable := select.select([s for s in self.pairs if s in self.behind], [], [], 0)[0]:
            for s in readable:
                if s in self.pairs:
                    self._pass_on(s)

    def _join(self):
        one, _ = self.listener.accept()
        try:
            other = socket.create_connection(("127.0.0.1", self.to_port), timeout=10)
        except OSError:
            one.close()
            return
        for s, t in ((one, other), (other, one)):
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            s.settimeout(10)
            self.pairs[s] = t
        self.behind.add(other)

    def _pass_on(self, s):
        other = self.pairs[s]
        try:
            data = s.recv(262144)
            if data:
                other.sendall(data)
                return
        except OSError:
            pass
        for t in (s, other):
            self.pairs.pop(t, None)
            t.close()


class Season(threading.Thread):
    """Changes the weather of a backend until it is over; then it is calm."""

    def __init__(self, backend, wire, seed, kinds=("showers", "overload", "fog", "picky", "calm", "end", "end")):
        super().__init__(daemon=True)
        self.backend, self.wire, self.random, self.kinds = backend, wire, random.Random(seed), kinds
        self.over = threading.Event()
        self.past = collections.Counter()
        self.error = None
        self.start()

    def run(self):
        try:
            deck = []
            while not self.over.is_set():
                deck = deck or self.random.sample(self.kinds, len(self.kinds))  # each kind comes before one comes again
                kind = deck.pop()
                length = self.random.uniform(0.5, 3)
                self.past[kind] += 1
                if kind == "end":
                    self._end_and_begin(length)
                else:
                    self.backend.weights = Weather.KINDS[kind]
                    self.over.wait(length)
        except Exception as error:  # pylint: disable=broad-except
            self.error = error
        self.backend.weights = Weather.CALM

    def _end_and_begin(self, length):
        """What it has answered has arrived; what it had not when it was killed, nobody knows."""
        self.backend.weights = Weather.END
        end = time.monotonic() + 20
        while not self.backend.is_silent():
            assert time.monotonic() < end, "the backend goes on answering"
            time.sleep(0.02)
        self.wire.cut()
        self.backend.let_go.set()
        self.over.wait(length)
        self.backend.let_go.clear()
        self.backend.weights = Weather.CALM
        self.wire.mend()

    def stop(self):
        self.over.set()
        self.join()
        self.backend.let_go.set()
        if self.error:
            raise self.error


# ---- clients


class GrpcSender:
    def __init__(self, port, compression=None):
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}", compression=compression)
        self.calls = {name: self.channel.unary_unary(
            judge.export_path(name), request_serializer=lambda r: r.SerializeToString(),
            response_deserializer=MESSAGES.response(name).FromString) for name in SIGNALS}

    def send(self, name, request):
        """(what was told, seconds to wait): "ok", "partial", "final", "again" or "unknown"; rejected items in the second place
        of "partial"."""
        try:
            response = self.calls[name](request, timeout=40)
        except grpc.RpcError as error:
            delay = retry_delay(error)
            if error.code() is grpc.StatusCode.UNAVAILABLE and delay is not None:
                return "again", delay
            if error.code() is grpc.StatusCode.INTERNAL:
                return "final", error.details()
            return "unknown", f"{error.code()} {error.details()}"
        rejected = getattr(response.partial_success, judge.REJECTED[name])
        return ("partial", rejected) if rejected else ("ok", None)

    def close(self):
        self.channel.close()


class HttpSender:
    def __init__(self, port, json=False, packed=False):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=40)
        self.json, self.packed = json, packed

    def send(self, name, request):
        body = otlp_messages.to_json(request).encode() if self.json else request.SerializeToString()
        headers = {"content-type": "application/json" if self.json else "application/x-protobuf"}
        if self.packed:
            body, headers["content-encoding"] = gzip.compress(body, 1), "gzip"
        try:
            self.connection.request("POST", f"/v1/{judge.SIGNALS[name]}", body, headers)
            answer = self.connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.connection.close()
            return "unknown", repr(error)
        if answer.status == 200:
            response = MESSAGES.response(name)()
            if self.json:
                judge.json_format.Parse(text, response)
            else:
                response.ParseFromString(text)
            rejected = getattr(response.partial_success, judge.REJECTED[name])
            return ("partial", rejected) if rejected else ("ok", None)
        if answer.status in (429, 502, 503, 504):
            after = answer.getheader("retry-after")
            return ("again", float(after)) if after else ("unknown", f"{answer.status} without Retry-After")
        return ("final" if answer.status == 500 else "unknown"), f"{answer.status} {text[:200]}"

    def close(self):
        self.connection.close()


class Client(threading.Thread):
    """Sends numbered items of all signals in turn, each request until it is taken or refused for good."""

    def __init__(self, number, sender, pause=0.05, size=20):
        super().__init__(daemon=True)
        self.number, self.sender, self.pause, self.size = number, sender, pause, size
        self.random = random.Random(number)
        self.over = threading.Event()
        self.sent = {name: collections.Counter() for name in SIGNALS}  # number -> attempts
        self.taken = {name: set() for name in SIGNALS}  # numbers of requests that were answered with success
        self.attempts = []  # (attempt, name, numbers, told, more)
        self.next_number = number << 32
        self.error = None
        self.start()

    def run(self):
        try:
            turn = 0
            while not self.over.wait(self.pause):
                self._insist(SIGNALS[turn % 3])
                turn += 1
        except Exception as error:  # pylint: disable=broad-except
            self.error = error
        finally:
            self.sender.close()

    def _insist(self, name):
        size = self.random.randint(1, self.size)
        numbers = list(range(self.next_number, self.next_number + size))
        self.next_number += size
        for again in range(100000):
            attempt = f"{self.number}-{numbers[0]}-{again}"
            self.sent[name].update(numbers)
            told, more = self.sender.send(name, make_request(name, numbers, attempt))
            self.attempts.append((attempt, name, numbers, told, more))
            if told != "again":
                break
            time.sleep(more * self.random.uniform(1, 1.2))  # what the specification asks for
        assert told != "unknown", (type(self.sender).__name__, attempt, more)
        if told in ("ok", "partial"):
            self.taken[name].update(numbers)

    def stop(self, deadline=60):
        self.over.set()
        self.join(deadline)
        assert not self.is_alive(), f"client {self.number} does not end"
        if self.error:
            raise self.error

    def count(self, *told):
        return sum(len(numbers) for _, _, numbers, t, _ in self.attempts if t in told)
