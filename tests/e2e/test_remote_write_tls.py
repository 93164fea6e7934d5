#!/usr/bin/python3
"""Remote write over TLS, with and without a certificate of one's own, and through proxies."""
import sys

import judge_http
import weirtest

try:
    from remote_write_peers import NOW_MS, Sender, gauges, start_judge
    from test_otlphttp_exporter import connect_proxy, start_nginx
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(weirtest.SKIPPED)

RETRIES = "weir_exporter_retries"


def start_tls_judge(stage, folder, certificate="server", client_ca=None):
    return start_judge(stage, context=judge_http.server_context(f"{folder}/{certificate}.pem", f"{folder}/{certificate}.key",
                                                                client_ca))


def takes_all(judge, sender):
    for step in range(3):
        sender.send_ok(gauges(500, NOW_MS + step))
    sender.wait_empty()
    assert (sender.items("sent"), judge.count()) == (1500, 1503)
    assert judge.violations == [], judge.violations[:5]
    assert sender.weir.stop() == 0


def keeps_all(judge, sender):
    """Nothing is sent, and nothing lost: the same may work after a certificate is renewed."""
    sender.send_ok(gauges(10, NOW_MS))
    weirtest.wait_for(lambda: sender.figure(RETRIES) > 2, what="retries")
    assert (sender.items("queued"), sender.items("dropped"), judge.requests) == (10, 0, [])
    assert sender.weir.stop() == 0


def test_sends_over_tls(stage):
    folder = stage.certificates()
    judge = start_tls_judge(stage, folder)
    takes_all(judge, Sender(stage, f"https://localhost:{judge.port}", f"tls: {{ca_file: {folder}/ca.pem}}"))


def test_shows_its_certificate(stage):
    folder = stage.certificates()
    judge = start_tls_judge(stage, folder, client_ca=f"{folder}/ca.pem")
    sender = Sender(stage, f"https://localhost:{judge.port}",
                    f"tls: {{ca_file: {folder}/ca.pem, cert_file: {folder}/client.pem, key_file: {folder}/client.key}}")
    takes_all(judge, sender)


def test_keeps_what_a_receiver_of_strangers_does_not_take(stage):
    folder = stage.certificates()
    for more in ("", f", cert_file: {folder}/stranger.pem, key_file: {folder}/stranger.key"):
        judge = start_tls_judge(stage, folder, client_ca=f"{folder}/ca.pem")
        keeps_all(judge, Sender(stage, f"https://localhost:{judge.port}", f"tls: {{ca_file: {folder}/ca.pem{more}}}"))


def test_sends_nothing_to_a_stranger(stage):
    folder = stage.certificates()
    for certificate, authority in (("server", "stranger_ca"), ("other", "ca"), ("expired", "ca")):
        judge = start_tls_judge(stage, folder, certificate)
        keeps_all(judge, Sender(stage, f"https://localhost:{judge.port}", f"tls: {{ca_file: {folder}/{authority}.pem}}"))


def test_goes_through_a_proxy(stage):
    weirtest.need_programs("nginx")
    port = weirtest.free_port()
    nginx = start_nginx(stage, f"server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://$http_host$request_uri; }} }}")
    proxy = f"http://127.0.0.1:{port}"
    for more, env in ((f"proxy_url: {proxy}", None), ("", {"http_proxy": proxy})):
        judge, before = start_judge(stage), len(nginx.access().splitlines())
        takes_all(judge, Sender(stage, judge.port, more, env=env))
        lines = nginx.access().splitlines()[before:]
        assert lines and f"POST http://127.0.0.1:{judge.port}/api/v1/write" in lines[0], lines


def test_goes_through_a_proxy_with_tls_and_shows_its_certificate(stage):
    folder, seen = stage.certificates(), []
    judge = start_tls_judge(stage, folder, client_ca=f"{folder}/ca.pem")
    sender = Sender(stage, f"https://localhost:{judge.port}", f"""proxy_url: http://user:secret@127.0.0.1:{connect_proxy(seen)}
        tls: {{ca_file: {folder}/ca.pem, cert_file: {folder}/client.pem, key_file: {folder}/client.key}}""")
    takes_all(judge, sender)
    assert seen and seen[0].startswith(f"CONNECT localhost:{judge.port} "), seen
    assert "secret" not in sender.weir.stderr()


if __name__ == "__main__":
    weirtest.main()
