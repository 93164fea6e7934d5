"""A plain sender of spans over OTLP/HTTP with JSON: the standard library and nothing else."""
import http.client
import json


def spans(count, first=0, filler=0):
    """A request of that many spans, numbered from first; filler is the size of an attribute of each."""
    padding = [{"key": "filler", "value": {"stringValue": "x" * filler}}] if filler else []
    items = [{"traceId": f"{first + i + 1:032x}", "spanId": f"{first + i + 1:016x}", "name": f"span {first + i}",
              "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": "1700000000000000001",
              "attributes": padding} for i in range(count)]
    return {"resourceSpans": [{"scopeSpans": [{"spans": items}]}]}


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read().decode()

    def json(self):
        return json.loads(self.body)


def request(port, path, method="GET", body=None, headers=None, timeout=20, host="127.0.0.1"):
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        return Answer(connection.getresponse())
    finally:
        connection.close()


def send(port, message, headers=None, path="/v1/traces", timeout=20):
    return request(port, path, "POST", json.dumps(message), {"content-type": "application/json", **(headers or {})},
                   timeout)


def send_until_taken(port, message, **more):
    """As a client that does what the answer says: 503 is sent again. How often it took."""
    for attempt in range(1, 1000):
        answer = send(port, message, **more)
        if answer.status != 503:
            assert answer.status == 200, (answer.status, answer.body)
            return attempt
    raise AssertionError("refused a thousand times")
