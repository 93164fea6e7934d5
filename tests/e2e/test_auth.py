#!/usr/bin/python3
"""bearertokenauth and basicauth with the real program, in front of the receiver and behind the exporters."""
import base64
import os
import platform
import subprocess
import sys

import weirtest

try:
    import grpc
    import judge
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(weirtest.SKIPPED)
import otlp_client

MESSAGES = judge.MESSAGES
BCRYPT = "$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"  # of "secret"

CONFIG = """
    receivers:
      otlp:
        protocols:
          grpc: {{endpoint: "127.0.0.1:{grpc}", auth: {{authenticator: {server}}}}}
          http: {{endpoint: "127.0.0.1:{http}", auth: {{authenticator: {server}}}}}
    exporters:
      otlp:
        endpoint: "http://127.0.0.1:{backend}"
        auth: {{authenticator: {client}}}
        sending_queue: {{batch: {{flush_timeout: 10ms}}}}
    extensions:
      bearertokenauth: {{filename: "${{env:FOLDER}}/tokens"}}
      bearertokenauth/client: {{token: for-the-backend}}
      basicauth: {{htpasswd: {{file: "${{env:FOLDER}}/htpasswd"}}}}
      basicauth/client: {{client_auth: {{username: weir, password_file: "${{env:FOLDER}}/password"}}}}
    service:
      extensions: [bearertokenauth, bearertokenauth/client, basicauth, basicauth/client]
      shutdown_timeout: 3s
      telemetry: {{metrics: {{host: 127.0.0.1, port: "${{env:METRICS_PORT}}"}}}}
      pipelines: {{traces: {{receivers: [otlp], exporters: [otlp]}}}}
"""


def write_secret(stage, name, text, mode=0o600):
    weirtest.replace_file(stage.path(name), text, mode)


def write_secrets(stage):
    write_secret(stage, "tokens", "first\nsecond\n")
    write_secret(stage, "htpasswd", f"joe:{BCRYPT}\n")
    write_secret(stage, "password", "backend-password\n")


class Gateway:
    def __init__(self, stage, server="bearertokenauth", client="bearertokenauth/client"):
        write_secrets(stage)
        self.judge = stage.server(judge.Judge())
        self.grpc, self.http = weirtest.free_port(), weirtest.free_port()
        self.weir = stage.weir(CONFIG.format(grpc=self.grpc, http=self.http, backend=self.judge.port, server=server,
                                             client=client))

    def post(self, authorization=None):
        headers = {"authorization": authorization} if authorization else {}
        return otlp_client.send(self.http, otlp_client.spans(1), headers=headers)

    def call(self, authorization=None):
        """The status code of a gRPC call."""
        request = MESSAGES.request("trace")()
        request.resource_spans.add().scope_spans.add().spans.add(name="x", trace_id=b"1" * 16, span_id=b"2" * 8)
        with grpc.insecure_channel(f"127.0.0.1:{self.grpc}") as channel:
            method = channel.unary_unary(judge.export_path("trace"), request_serializer=lambda r: r.SerializeToString(),
                                         response_deserializer=MESSAGES.response("trace").FromString)
            try:
                method(request, timeout=20, metadata=[("authorization", authorization)] if authorization else [])
                return grpc.StatusCode.OK, ""
            except grpc.RpcError as error:
                return error.code(), error.details()


def basic(name, password):
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def test_only_who_shows_a_token_may_send(stage):
    g = Gateway(stage)
    for authorization in ("Bearer first", "Bearer second"):
        assert g.post(authorization).status == 200
        assert g.call(authorization) == (grpc.StatusCode.OK, "")
    for authorization in (None, "Bearer third", "first", basic("joe", "secret")):
        answer = g.post(authorization)
        assert answer.status == 401 and answer.headers["www-authenticate"] == "Bearer", answer.body
        assert answer.headers["content-type"] == "application/json" and answer.json()["message"]
        code, text = g.call(authorization)
        assert code == grpc.StatusCode.UNAUTHENTICATED and "authorization" in text, (code, text)
    weirtest.wait_for(lambda: g.judge.items() == 4)
    for secret in ("first", "second", "third", "for-the-backend"):
        assert secret not in g.weir.stderr()
    assert g.weir.stop() == 0


def test_new_tokens_are_taken_without_a_restart(stage):
    g = Gateway(stage)
    assert g.post("Bearer first").status == 200
    write_secret(stage, "tokens", "third\n")
    weirtest.wait_for(lambda: g.post("Bearer third").status == 200)
    assert g.post("Bearer first").status == 401
    write_secret(stage, "tokens", "fourth\n", mode=0o644)  # refused: everybody may read it
    weirtest.wait_for(lambda: g.post("Bearer third").status == 200 and
                      "every user of this machine may read it" in g.weir.stderr())
    assert g.post("Bearer fourth").status == 401
    assert g.weir.stop() == 0


def test_only_who_knows_a_password_may_send(stage):
    g = Gateway(stage, server="basicauth")
    assert g.post(basic("joe", "secret")).status == 200
    assert g.call(basic("joe", "secret")) == (grpc.StatusCode.OK, "")
    for authorization in (None, basic("joe", "wrong"), basic("ann", "secret"), "Bearer first"):
        weirtest.wait_for(lambda a=authorization: g.post(a).status == 401)  # 503 while too much was wrong
        answer = g.post(authorization)
        assert answer.status == 401 and answer.headers["www-authenticate"].startswith("Basic realm="), answer.body
    assert g.call(basic("joe", "wrong"))[0] == grpc.StatusCode.UNAUTHENTICATED
    assert g.post(basic("joe", "secret")).status == 200
    assert "secret" not in g.weir.stderr()
    assert g.weir.stop() == 0


def test_backends_are_shown_who_weir_is(stage):
    for client, expected in (("bearertokenauth/client", "Bearer for-the-backend"),
                             ("basicauth/client", basic("weir", "backend-password"))):
        g = Gateway(stage, client=client)
        assert g.post("Bearer first").status == 200
        weirtest.wait_for(lambda g=g: g.judge.items() == 1)
        assert g.judge.received[0]["metadata"]["authorization"] == expected
        assert g.weir.stop() == 0


def test_an_authenticator_for_the_other_side_is_refused(stage):
    write_secrets(stage)
    for server, client, words in (
            ("basicauth/client", "basicauth/client",
             'failed to resolve authenticator "basicauth/client": requested authenticator is not a server authenticator'),
            ("basicauth", "basicauth",
             'failed to resolve authenticator "basicauth": requested authenticator is not a client authenticator'),
            ("basicauth/none", "basicauth/client",
             'failed to resolve authenticator "basicauth/none": authenticator not found')):
        path = stage.path("config.yaml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(CONFIG.format(grpc=1, http=2, backend=3, server=server, client=client))
        done = subprocess.run(["setarch", platform.machine(), "-R", weirtest.BINARY, "validate", "--config", path],
                              capture_output=True, text=True, check=False, timeout=weirtest.PATIENCE,
                              env={**os.environ, "FOLDER": stage.folder, "METRICS_PORT": "1"})
        assert done.returncode == 2 and words in done.stderr, done.stderr


def test_a_secret_that_everybody_may_read_stops_the_start(stage):
    write_secrets(stage)
    os.chmod(stage.path("tokens"), 0o644)
    weir = stage.weir(CONFIG.format(grpc=weirtest.free_port(), http=weirtest.free_port(), backend=1,
                                    server="bearertokenauth", client="bearertokenauth/client"), ready=False)
    assert weir.wait() == 1
    assert "every user of this machine may read it; take that right away (chmod o-r" in weir.stderr(), weir.stderr()


weirtest.main()
