/* TLS for servers, with certificates that openssl makes for this run, against openssl, GnuTLS and curl. */
#include "core/base/buffer.h"
#include "core/net/stream.h"
#include "tests/support/folder.h"
#include "tests/unit/net/net_test.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>

/* ---- a server that sends back what it gets, and an answer to HTTP */

enum { PEERS = 16 };

struct server;

struct peer {
	struct server *server;
	struct stream *stream;
	char alpn[32], end[600];
	bool open, ended, failed;
	size_t received;
	struct timer *resume;
};

struct server {
	struct net_test *net;
	struct tls_settings settings;
	struct tls_context *tls;
	struct tcp_listener *listener;
	const char *const *alpn;
	struct peer peers[PEERS];
	unsigned n_peers, open, ended, freed;
	bool pausing, swallow;
	size_t finish_after; /* bytes */
	char refresh[600];   /* what the last renewal had to say */
	unsigned refused, renewed;
};

static const char *const both[] = {"h2", "http/1.1", NULL};

static void on_open(void *arg)
{
	struct peer *p = arg;

	assert_false(p->open);
	p->open = true;
	p->server->open++;
	snprintf(p->alpn, sizeof p->alpn, "%s", stream_alpn(p->stream));
}

static void on_resume(void *arg)
{
	struct peer *p = arg;

	stream_pause(p->stream, false);
}

static void on_data(void *arg, struct slice bytes)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
	struct slice http = slice_of(answer, sizeof answer - 1);
	struct peer *p = arg;
	bool get = bytes.len > 4 && memcmp(bytes.data, "GET ", 4) == 0;

	p->received += bytes.len;
	if (p->server->pausing) {
		stream_pause(p->stream, true);
		timer_start(p->resume, 0, 0);
	}
	if (!p->server->swallow)
		assert_true(stream_write(p->stream, get ? &http : &bytes, 1));
	if (p->received >= p->server->finish_after)
		stream_finish(p->stream);
}

static void on_freed(void *arg)
{
	struct peer *p = arg;

	p->server->freed++;
}

static void on_end(void *arg, const struct error *error)
{
	struct peer *p = arg;

	assert_false(p->ended);
	p->ended = true;
	p->failed = error != NULL;
	snprintf(p->end, sizeof p->end, "%s", error ? error->message : "");
	timer_free(p->resume);
	stream_free(p->stream, on_freed, p);
	p->server->ended++;
}

static const struct tcp_events events = {.on_open = on_open, .on_data = on_data, .on_end = on_end};

static void on_accept(void *arg, struct tcp *t)
{
	struct server *s = arg;
	struct peer *p = &s->peers[s->n_peers++];
	struct error error = ERROR_INIT;
	int r = tls_context_refresh(s->tls, &error);

	assert_true(s->n_peers <= PEERS);
	s->renewed += r > 0;
	s->refused += r < 0;
	if (r < 0)
		snprintf(s->refresh, sizeof s->refresh, "%s", error.message);
	p->server = s;
	p->resume = timer_new(s->net->loop, on_resume, p);
	assert_int_equal(stream_serve(t, s->tls, s->alpn, &events, p, &p->stream, NULL), 0);
}

/* Certificate and key of that name; the caller may set more before start(). */
static void begin(struct server *s, void **state, const char *certificate)
{
	static char cert[128], key[128];

	snprintf(cert, sizeof cert, "%s/%s.pem", folder_path(), certificate);
	snprintf(key, sizeof key, "%s/%s.key", folder_path(), certificate);
	*s = (struct server){.net = *state, .alpn = both, .finish_after = sizeof "hello"};
	s->settings = (struct tls_settings){.cert_file = cert, .key_file = key};
}

static void start_on(struct server *s, const char *where)
{
	struct endpoint endpoint = net_test_endpoint(where);

	assert_int_equal(tls_server_context_new(&s->settings, &s->tls, NULL), 0);
	assert_int_equal(tcp_listen(s->net->loop, &endpoint, on_accept, s, &s->listener, NULL), 0);
}

static void start(struct server *s)
{
	start_on(s, "127.0.0.1:0");
}

static void end(struct server *s)
{
	for (unsigned i = 0; i < s->n_peers; i++)
		if (!s->peers[i].ended) {
			timer_free(s->peers[i].resume);
			stream_free(s->peers[i].stream, on_freed, &s->peers[i]);
		}
	tcp_listener_free(s->listener);
	tls_context_free(s->tls);
	net_test_wait_count(s->net, &s->freed, s->n_peers);
}

/* ---- a client, run by the shell */

struct client {
	pid_t pid;
	char said[16384];
	FILE *output;
	int status;
};

/* $p is the server's port, $d the folder of certificates. */
static void client_start(struct server *s, struct client *c, const char *command)
{
	char text[1024];

	c->output = tmpfile();
	assert_non_null(c->output);
	snprintf(text, sizeof text, "p=%u; d=%s; %s", tcp_listener_port(s->listener), folder_path(),
	         command);
	c->pid = fork();
	assert_true(c->pid >= 0);
	if (c->pid == 0) {
		dup2(fileno(c->output), 1);
		dup2(fileno(c->output), 2);
		execl("/bin/sh", "sh", "-c", text, NULL);
		_exit(127);
	}
}

static void client_wait(struct server *s, struct client *c)
{
	uint64_t end_ns = clock_monotonic_ns() + 20 * NS_PER_S;
	pid_t done = 0;
	size_t n;

	while (done == 0 && clock_monotonic_ns() < end_ns) {
		loop_run_once(s->net->loop);
		done = waitpid(c->pid, &c->status, WNOHANG);
	}
	if (done == 0) {
		kill(c->pid, SIGKILL);
		waitpid(c->pid, &c->status, 0);
	}
	rewind(c->output);
	n = fread(c->said, 1, sizeof c->said - 1, c->output);
	c->said[n] = '\0';
	fclose(c->output);
}

static struct client *client_run(struct server *s, const char *command)
{
	static struct client c;

	client_start(s, &c, command);
	client_wait(s, &c);
	return &c;
}

static void assert_said(const struct client *c, const char *text)
{
	if (!strstr(c->said, text))
		fail_msg("\"%s\" is not in what the client said: %s", text, c->said);
}

static void assert_ended(const struct server *s, unsigned peer, const char *text)
{
	assert_true(s->peers[peer].ended && s->peers[peer].failed);
	if (!strstr(s->peers[peer].end, text))
		fail_msg("\"%s\" is not in: %s", text, s->peers[peer].end);
}

#define S_CLIENT                                                                                   \
	"openssl s_client -connect 127.0.0.1:$p -servername localhost -CAfile $d/ca.pem "          \
	"-verify_return_error "

/* Handshakes and sends a line; the client's arguments come behind. */
static struct client *shake_hands(struct server *s, const char *arguments)
{
	char command[512];

	snprintf(command, sizeof command, "echo hello | " S_CLIENT "-ign_eof %s", arguments);
	return client_run(s, command);
}

/* ---- protocols and versions */

static void chooses_the_protocol_it_likes_best(void **state)
{
	struct server s;

	begin(&s, state, "server");
	start(&s);
	assert_said(shake_hands(&s, "-alpn http/1.1,h2"), "ALPN protocol: h2");
	assert_string_equal(s.peers[0].alpn, "h2");
	assert_said(shake_hands(&s, "-alpn spdy/1,http/1.1"), "ALPN protocol: http/1.1");
	assert_string_equal(s.peers[1].alpn, "http/1.1");
	end(&s);
}

static void speaks_the_last_protocol_with_who_asks_for_none(void **state)
{
	struct server s;

	begin(&s, state, "server");
	start(&s);
	assert_said(shake_hands(&s, ""), "No ALPN negotiated");
	assert_string_equal(s.peers[0].alpn, "http/1.1");
	end(&s);
}

static void refuses_who_asks_for_other_protocols_only(void **state)
{
	struct server s;

	begin(&s, state, "server");
	start(&s);
	assert_said(shake_hands(&s, "-alpn spdy/1,acme"), "no application protocol");
	assert_ended(&s, 0, " asks to speak spdy/1, acme, which this port does not (ALPN)");
	assert_int_equal(s.open, 0);
	end(&s);
}

static void speaks_both_versions(void **state)
{
	struct server s;

	begin(&s, state, "server");
	start(&s);
	assert_said(shake_hands(&s, "-tls1_2"), "Protocol  : TLSv1.2");
	assert_said(shake_hands(&s, "-tls1_3"), "TLSv1.3");
	assert_int_equal(s.open, 2);
	assert_int_equal(s.peers[0].received, 6);
	assert_int_equal(s.peers[1].received, 6);
	end(&s);
}

static void speaks_no_old_version(void **state)
{
	struct server s;

	begin(&s, state, "server");
	start(&s);
	assert_said(shake_hands(&s, "-tls1_1 -cipher DEFAULT@SECLEVEL=0"), "protocol version");
	assert_ended(&s, 0, " offers TLS 1.1 at most, but tls::min_version asks for TLS 1.2");
	end(&s);
}

static void keeps_to_the_versions_it_is_given(void **state)
{
	struct server s;

	begin(&s, state, "server");
	s.settings.min_version = "1.3";
	start(&s);
	assert_said(shake_hands(&s, "-tls1_2"), "protocol version");
	assert_ended(&s, 0, " offers TLS 1.2 at most, but tls::min_version asks for TLS 1.3");
	end(&s);
}

static void speaks_what_http2_permits_unless_told_otherwise(void **state)
{
	struct server s;

	begin(&s, state, "server");
	start(&s);
	assert_said(shake_hands(&s, "-tls1_2 -cipher ECDHE-ECDSA-AES128-SHA256"),
	            "handshake failure");
	assert_ended(&s, 0, " have no cipher suite in common");
	end(&s);
	begin(&s, state, "server");
	s.settings.cipher_suites = (const char *const[]){"TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256"};
	s.settings.n_cipher_suites = 1;
	start(&s);
	assert_said(shake_hands(&s, "-tls1_2 -cipher ECDHE-ECDSA-AES128-SHA256"),
	            "Cipher is ECDHE-ECDSA-AES128-SHA256");
	end(&s);
}

static void does_not_renegotiate(void **state)
{
	struct server s;

	begin(&s, state, "server");
	start(&s);
	assert_said(client_run(&s, "(echo a; sleep 0.2; echo R; sleep 0.3) | " S_CLIENT "-tls1_2"),
	            "no renegotiation");
	end(&s);
}

static void serves_gnutls(void **state)
{
	struct server s;
	const struct client *c;

	begin(&s, state, "server");
	start(&s);
	c = client_run(&s, "(echo hello; sleep 0.5) | gnutls-cli --x509cafile $d/ca.pem --alpn h2 "
	                   "-p $p --sni-hostname localhost --verify-hostname localhost 127.0.0.1");
	assert_said(c, "Handshake was completed");
	assert_said(c, "\nhello");
	assert_string_equal(s.peers[0].alpn, "h2");
	c = client_run(&s, "(echo hello; sleep 0.5) | gnutls-cli --x509cafile $d/ca.pem "
	                   "--priority NORMAL:-VERS-ALL:+VERS-TLS1.2 -p $p --sni-hostname "
	                   "localhost --verify-hostname localhost 127.0.0.1");
	assert_said(c, "\nhello");
	end(&s);
}

static void serves_curl(void **state)
{
	struct server s;

	begin(&s, state, "server");
	s.alpn = (const char *const[]){"http/1.1", NULL};
	start(&s);
	assert_string_equal(client_run(&s, "curl -sS --cacert $d/ca.pem --connect-to "
	                                   "localhost:443:127.0.0.1:$p https://localhost/")
	                            ->said,
	                    "ok");
	end(&s);
}

static void tells_who_speaks_no_tls(void **state)
{
	struct server s;

	begin(&s, state, "server");
	start(&s);
	client_run(&s, "curl -sS http://127.0.0.1:$p/");
	assert_ended(&s, 0, " does not speak TLS, which this port asks for");
	client_run(&s, "curl -sS --http2-prior-knowledge http://127.0.0.1:$p/");
	assert_ended(&s, 1, " does not speak TLS, which this port asks for");
	end(&s);
}

static void tells_that_its_certificate_is_refused(void **state)
{
	struct server s;

	begin(&s, state, "stranger");
	start(&s);
	shake_hands(&s, "");
	assert_ended(&s, 0, " refuses our certificate (tlsv1 alert unknown ca)");
	end(&s);
}

/* ---- certificates of clients */

static void begin_mutual(struct server *s, void **state)
{
	begin(s, state, "server");
	s->settings.client_ca_file = folder_at("ca.pem");
	start(s);
}

static void takes_clients_that_its_authority_knows(void **state)
{
	struct server s;

	begin_mutual(&s, state);
	shake_hands(&s, "-cert $d/client.pem -key $d/client.key");
	shake_hands(&s, "-cert $d/client.pem -key $d/client.key -tls1_2");
	assert_int_equal(s.open, 2);
	assert_int_equal(s.peers[0].received, 6);
	assert_int_equal(s.peers[1].received, 6);
	end(&s);
}

static void refuses_clients_without_a_certificate(void **state)
{
	struct server s;

	begin_mutual(&s, state);
	assert_said(shake_hands(&s, ""), "alert certificate required");
	assert_ended(&s, 0, " shows no client certificate, which tls::client_ca_file asks for");
	assert_said(shake_hands(&s, "-tls1_2"), "alert handshake failure");
	assert_int_equal(s.open, 0);
	end(&s);
}

static void refuses_clients_of_another_authority(void **state)
{
	struct server s;

	begin_mutual(&s, state);
	assert_said(shake_hands(&s, "-cert $d/stranger.pem -key $d/stranger.key"),
	            "alert unknown ca");
	assert_ended(&s, 0, " (client) is not trusted: unable to get local issuer certificate");
	assert_int_equal(s.open, 0);
	end(&s);
}

static void refuses_clients_whose_certificate_has_expired(void **state)
{
	struct server s;

	begin_mutual(&s, state);
	assert_said(shake_hands(&s, "-cert $d/expired.pem -key $d/expired.key"),
	            "alert certificate expired");
	assert_ended(&s, 0, " (localhost) is not valid now: certificate has expired");
	assert_int_equal(s.open, 0);
	end(&s);
}

static void verifies_clients_every_time(void **state)
{
	struct server s;

	begin_mutual(&s, state);
	shake_hands(&s, "-cert $d/client.pem -key $d/client.key -tls1_2 -sess_out $d/session");
	assert_int_equal(s.open, 1);
	assert_int_equal(access(folder_at("session"), F_OK),
	                 -1); /* there is nothing to resume by */
	end(&s);
}

static void resumes_sessions_of_clients_without_certificates(void **state)
{
	struct server s;

	begin(&s, state, "server");
	start(&s);
	shake_hands(&s, "-tls1_3 -sess_out $d/session");
	assert_said(shake_hands(&s, "-tls1_3 -sess_in $d/session"), "Reused, TLSv1.3");
	end(&s);
}

/* ---- renewal */

/* Puts a certificate and a key where the server's settings point to, by a rename as cert-manager's. */
static void install(const char *cert, const char *key)
{
	char command[512];

	snprintf(command, sizeof command,
	         "cd %s && n=$(mktemp -d set.XXXXXX) && cp %s.pem $n/tls.crt && cp %s.key "
	         "$n/tls.key && ln -s $n next && mv -T next current",
	         folder_path(), cert, key);
	assert_int_equal(system(command), 0);
}

static void begin_renewable(struct server *s, void **state)
{
	static char cert[128], key[128];

	install("server", "server");
	snprintf(cert, sizeof cert, "%s/current/tls.crt", folder_path());
	snprintf(key, sizeof key, "%s/current/tls.key", folder_path());
	begin(s, state, "server");
	s->settings.cert_file = cert;
	s->settings.key_file = key;
	s->settings.reload_interval = 1;
	start(s);
}

static void renews_its_certificate_while_clients_are_connected(void **state)
{
	struct server s;
	struct client first;

	begin_renewable(&s, state);
	s.finish_after = 2 * sizeof "hello";
	client_start(
		&s, &first,
		"(echo hello; while [ ! -e $d/go ]; do sleep 0.05; done; echo again) | " S_CLIENT
		"-ign_eof");
	while (s.peers[0].received < 6)
		loop_run_once(s.net->loop);
	s.finish_after = sizeof "hello";
	install("other", "other");
	assert_said(shake_hands(&s, ""), "subject=CN = other");
	assert_int_equal(s.renewed, 1);
	assert_int_equal(s.refused, 0);
	assert_int_equal(creat(folder_at("go"), 0600) < 0, 0);
	client_wait(&s, &first);
	assert_said(&first, "subject=CN = server");
	assert_said(&first, "again");
	assert_int_equal(s.peers[0].received, 12);
	assert_int_equal(unlink(folder_at("go")), 0);
	end(&s);
}

static void keeps_the_old_certificate_when_the_new_is_bad(void **state)
{
	static const struct {
		const char *cert, *key, *says;
	} bad[] = {
		{"other", "server", "does not belong to the certificate in tls::cert_file"},
		{"rsa", "server", "does not belong to the certificate in tls::cert_file"},
		{"server", "rsa", "does not belong to the certificate in tls::cert_file"},
		{"expired", "expired", "the new certificate is not valid now"},
		{"empty", "server", "holds no certificate in PEM form"},
	};
	struct server s;
	unsigned n = 0;

	assert_int_equal(creat(folder_at("empty.pem"), 0600) < 0, 0);
	begin_renewable(&s, state);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		install(bad[i].cert, bad[i].key);
		assert_said(shake_hands(&s, ""), "subject=CN = server");
		assert_int_equal(s.refused, i + 1);
		assert_non_null(strstr(s.refresh, bad[i].says));
		assert_said(shake_hands(&s, ""), "subject=CN = server");
		assert_int_equal(s.refused, i + 1); /* once per change */
		n += 2;
	}
	install("other", "other");
	assert_said(shake_hands(&s, ""), "subject=CN = other");
	assert_int_equal(s.renewed, 1);
	assert_int_equal(s.open, n + 1);
	end(&s);
}

static void forgets_clients_with_the_authority_they_had(void **state)
{
	struct server s;
	char ca[128], command[300];

	snprintf(ca, sizeof ca, "%s/clients.pem", folder_path());
	snprintf(command, sizeof command, "cp %s/ca.pem %s", folder_path(), ca);
	assert_int_equal(system(command), 0);
	begin(&s, state, "server");
	s.settings.client_ca_file = ca;
	s.settings.reload_interval = 1;
	start(&s);
	shake_hands(&s, "-cert $d/client.pem -key $d/client.key");
	assert_int_equal(s.open, 1);
	snprintf(command, sizeof command, "cp %s/stranger_ca.pem %s", folder_path(), ca);
	assert_int_equal(system(command), 0);
	shake_hands(&s, "-cert $d/client.pem -key $d/client.key");
	assert_ended(&s, 1, " is not trusted");
	shake_hands(&s, "-cert $d/stranger.pem -key $d/stranger.key");
	assert_int_equal(s.open, 2);
	end(&s);
}

static void does_not_look_at_its_files_when_told_so(void **state)
{
	struct server s;

	begin_renewable(&s, state);
	s.settings.reload_interval = 0;
	install("other", "other");
	assert_said(shake_hands(&s, ""), "subject=CN = server");
	end(&s);
}

static void knows_when_its_certificate_ends(void **state)
{
	struct server s;
	int64_t left;

	begin(&s, state, "server");
	start(&s);
	left = tls_context_expires(s.tls) - (int64_t)time(NULL);
	assert_true(left > 47 * 3600 && left <= 48 * 3600);
	end(&s);
}

/* ---- bytes that come as they like */

static void takes_a_handshake_byte_by_byte(void **state)
{
	struct server s;

	begin(&s, state, "server");
	start(&s);
	assert_string_equal(
		client_run(&s, "/usr/bin/python3 tests/unit/net/tls_dribble.py $p")->said,
		"hello\n");
	end(&s);
}

static void leaves_a_handshake_that_does_not_go_on_to_its_owner(void **state)
{
	struct server s;
	struct client c;

	begin(&s, state, "server");
	start(&s);
	client_start(&s, &c, "timeout 0.3 openssl s_client -connect 127.0.0.1:$p -starttls smtp");
	client_wait(&s, &c);
	assert_int_equal(s.n_peers, 1);
	assert_int_equal(s.open, 0);
	end(&s);
}

static void reads_nothing_while_it_is_paused(void **state)
{
	struct server s;

	begin(&s, state, "server");
	s.pausing = s.swallow = true;
	s.finish_after = 3000000;
	start(&s);
	client_run(&s, "head -c 3000000 /dev/zero | " S_CLIENT "-ign_eof");
	assert_int_equal(s.peers[0].received, 3000000);
	end(&s);
}

static void sends_back_much(void **state)
{
	struct server s;

	begin(&s, state, "server");
	s.finish_after = 20000000;
	start(&s);
	assert_string_equal(client_run(&s, "head -c 20000000 /dev/zero | " S_CLIENT
	                                   "-quiet 2>/dev/null | wc -c")
	                            ->said,
	                    "20000000\n");
	end(&s);
}

/* ---- a client that asks for key updates: every one asks for another back */

enum { ASKED = 20000 }; /* more than twice of what is borne from who reads none */

struct asker {
	SSL_CTX *context;
	SSL *ssl;
	int fd;
};

/* Sends the bytes that OpenSSL has made, while the server's loop takes them or ends. */
static void asker_send(struct asker *a, struct server *s)
{
	char bytes[4096];
	int n;

	while ((n = BIO_read(SSL_get_wbio(a->ssl), bytes, sizeof bytes)) > 0)
		for (ssize_t at = 0, sent; at < n && !s->ended; at += sent > 0 ? sent : 0) {
			sent = send(a->fd, bytes + at, (size_t)(n - at),
			            MSG_DONTWAIT | MSG_NOSIGNAL);
			if (sent < 0)
				loop_run_once(s->net->loop);
		}
}

static void asker_read(struct asker *a)
{
	char bytes[16384];
	ssize_t n = recv(a->fd, bytes, sizeof bytes, MSG_DONTWAIT);

	if (n > 0)
		BIO_write(SSL_get_rbio(a->ssl), bytes, (int)n);
}

/* On a Unix socket, whose buffers the kernel keeps small. */
static void asker_begin(struct asker *a, struct server *s)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char endpoint[128];

	snprintf(address.sun_path, sizeof address.sun_path, "%s", folder_at("socket"));
	snprintf(endpoint, sizeof endpoint, "unix:%s", folder_at("socket"));
	start_on(s, endpoint);
	a->context = SSL_CTX_new(TLS_client_method());
	a->ssl = SSL_new(a->context);
	SSL_set_bio(a->ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	a->fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(connect(a->fd, (struct sockaddr *)&address, sizeof address), 0);
	while (SSL_connect(a->ssl) != 1) {
		asker_send(a, s);
		loop_run_once(s->net->loop);
		asker_read(a);
	}
	asker_send(a, s);
	net_test_wait_count(s->net, &s->open, 1);
}

static void asker_ask(struct asker *a, struct server *s)
{
	assert_int_equal(SSL_key_update(a->ssl, SSL_KEY_UPDATE_REQUESTED), 1);
	assert_int_equal(SSL_do_handshake(a->ssl), 1);
	asker_send(a, s);
}

static void asker_end(struct asker *a)
{
	close(a->fd);
	SSL_free(a->ssl);
	SSL_CTX_free(a->context);
}

static void ends_who_asks_for_key_updates_and_reads_none(void **state)
{
	struct server s;
	struct asker a;

	begin(&s, state, "server");
	asker_begin(&a, &s);
	for (int i = 0; i < ASKED && !s.ended; i++) {
		asker_ask(&a, &s);
		if (i % 200 == 0)
			loop_run_once(s.net->loop);
		if (!s.ended)
			assert_true(stream_unsent(s.peers[0].stream) < 600000);
	}
	assert_ended(&s, 0, " asks for one key update of TLS after the other and reads none");
	end(&s);
	asker_end(&a);
}

static void answers_who_asks_for_key_updates_and_reads_them(void **state)
{
	struct server s;
	struct asker a;
	char byte;

	begin(&s, state, "server");
	s.swallow = true;
	asker_begin(&a, &s);
	for (int i = 0; i < ASKED; i++) {
		asker_ask(&a, &s);
		if (i % 200 == 0)
			loop_run_once(s.net->loop);
		asker_read(&a);
		SSL_read(a.ssl, &byte, 1);
	}
	assert_int_equal(SSL_write(a.ssl, "hello", 5), 5);
	asker_send(&a, &s);
	while (s.peers[0].received < 5 && !s.ended)
		loop_run_once(s.net->loop);
	assert_int_equal(s.peers[0].received, 5);
	end(&s);
	asker_end(&a);
}

/* ---- mistakes in the settings */

static void refuses(const struct tls_settings *settings, const char *message)
{
	struct tls_context *context;
	struct error error = ERROR_INIT;

	assert_true(tls_server_context_new(settings, &context, &error) < 0);
	assert_string_equal(error.message, message);
}

static void wants_a_certificate_and_its_key(void **state)
{
	char message[300];

	(void)state;
	refuses(&(struct tls_settings){.client_ca_file = folder_at("ca.pem")},
	        "tls: TLS configuration must include both certificate and key: cert_file and "
	        "key_file missing");
	refuses(&(struct tls_settings){.cert_pem = "x", .key_file = ""},
	        "tls: TLS configuration must include both certificate and key: key_file missing");
	refuses(&(struct tls_settings){.cert_pem = "x", .cert_file = "y", .key_file = "z"},
	        "tls: provide either a certificate file or the PEM-encoded string, but not both: "
	        "cert_file, cert_pem");
	snprintf(message, sizeof message,
	         "tls::client_ca_file %s: holds no certificate in PEM form",
	         folder_at("server.key"));
	refuses(&(struct tls_settings){.cert_file = folder_at("server.pem"),
	                               .key_file = folder_at("server.key"),
	                               .client_ca_file = folder_at("server.key")},
	        message);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET_TEST(chooses_the_protocol_it_likes_best),
		NET_TEST(speaks_the_last_protocol_with_who_asks_for_none),
		NET_TEST(refuses_who_asks_for_other_protocols_only),
		NET_TEST(speaks_both_versions),
		NET_TEST(speaks_no_old_version),
		NET_TEST(keeps_to_the_versions_it_is_given),
		NET_TEST(speaks_what_http2_permits_unless_told_otherwise),
		NET_TEST(does_not_renegotiate),
		NET_TEST(serves_gnutls),
		NET_TEST(serves_curl),
		NET_TEST(tells_who_speaks_no_tls),
		NET_TEST(tells_that_its_certificate_is_refused),
		NET_TEST(takes_clients_that_its_authority_knows),
		NET_TEST(refuses_clients_without_a_certificate),
		NET_TEST(refuses_clients_of_another_authority),
		NET_TEST(refuses_clients_whose_certificate_has_expired),
		NET_TEST(verifies_clients_every_time),
		NET_TEST(resumes_sessions_of_clients_without_certificates),
		NET_TEST(renews_its_certificate_while_clients_are_connected),
		NET_TEST(keeps_the_old_certificate_when_the_new_is_bad),
		NET_TEST(forgets_clients_with_the_authority_they_had),
		NET_TEST(does_not_look_at_its_files_when_told_so),
		NET_TEST(knows_when_its_certificate_ends),
		NET_TEST(takes_a_handshake_byte_by_byte),
		NET_TEST(leaves_a_handshake_that_does_not_go_on_to_its_owner),
		NET_TEST(reads_nothing_while_it_is_paused),
		NET_TEST(sends_back_much),
		NET_TEST(ends_who_asks_for_key_updates_and_reads_none),
		NET_TEST(answers_who_asks_for_key_updates_and_reads_them),
		NET_TEST(wants_a_certificate_and_its_key),
	};
	return cmocka_run_group_tests(tests, folder_with_certificates, NULL);
}
