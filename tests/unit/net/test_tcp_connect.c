/* Connecting to a name that has several addresses. The names are those of a file that this process alone sees as
 * /etc/hosts; skipped where mounting is not allowed. */
#include "tests/support/folder.h"
#include "tests/unit/net/net_test.h"

#include "core/net/tcp.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/socket.h>

enum { SKIPPED = 77, FIRST = 0x7f000002, SECOND = 0x7f000003 };

struct client {
	struct net_test *net;
	struct tcp *tcp;
	bool open, ended;
	char text[1024]; /* why it ended */
};

static void on_open(void *arg)
{
	((struct client *)arg)->open = true;
}

static void on_data(void *arg, struct slice bytes)
{
	(void)arg, (void)bytes;
}

static void on_end(void *arg, const struct error *error)
{
	struct client *c = arg;

	c->ended = true;
	snprintf(c->text, sizeof c->text, "%s", error ? error->message : "");
}

static const struct tcp_events events = {.on_open = on_open, .on_data = on_data, .on_end = on_end};

static void connect_to(struct client *c, void **state, const char *name, uint16_t port)
{
	char text[64];
	struct endpoint e;

	snprintf(text, sizeof text, "%s:%u", name, port);
	e = net_test_endpoint(text);
	*c = (struct client){.net = *state};
	assert_int_equal(tcp_connect(c->net->loop, &e, &events, c, &c->tcp, NULL), 0);
}

static struct sockaddr_in address_of(uint32_t host, uint16_t port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
	                            .sin_port = htons(port),
	                            .sin_addr.s_addr = htonl(host)};
}

static int bind_to(uint32_t host, uint16_t port)
{
	struct sockaddr_in address = address_of(host, port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
	return fd;
}

static uint16_t port_of(int fd)
{
	struct sockaddr_in address;
	socklen_t len = sizeof address;

	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
	return ntohs(address.sin_port);
}

static void takes_the_next_address_when_one_refuses(void **state)
{
	int second = bind_to(SECOND, 0);
	struct client c;

	assert_int_equal(listen(second, 5), 0);
	connect_to(&c, state, "two.test", port_of(second));
	net_test_wait(c.net, &c.open);
	assert_non_null(strstr(tcp_peer(c.tcp), "127.0.0.3:"));
	tcp_free(c.tcp, NULL, NULL);
	close(second);
}

/* A listener whose queue is full drops what knocks. */
static void does_not_wait_for_an_address_that_is_silent(void **state)
{
	int second = bind_to(SECOND, 0), first = bind_to(FIRST, port_of(second)), fill[4];
	struct sockaddr_in address = address_of(FIRST, port_of(first));
	uint64_t begun, took;
	struct client c;

	assert_int_equal(listen(first, 0), 0);
	for (unsigned i = 0; i < 4; i++) {
		fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		(void)connect(fill[i], (struct sockaddr *)&address, sizeof address);
	}
	assert_int_equal(listen(second, 5), 0);
	begun = clock_monotonic_ns();
	connect_to(&c, state, "two.test", port_of(second));
	net_test_wait(c.net, &c.open);
	took = clock_monotonic_ns() - begun;
	assert_non_null(strstr(tcp_peer(c.tcp), "127.0.0.3:"));
	assert_true(took >= 240 * NS_PER_MS && took < 5 * NS_PER_S);
	tcp_free(c.tcp, NULL, NULL);
	for (unsigned i = 0; i < 4; i++)
		close(fill[i]);
	close(first);
	close(second);
}

static void names_every_address_that_failed(void **state)
{
	int second = bind_to(SECOND, 0); /* bound, not listening: nobody else takes the port */
	uint16_t port = port_of(second);
	char wanted[200];
	struct client c;

	snprintf(wanted, sizeof wanted,
	         "connect to two.test:%u: 127.0.0.2:%u: connection refused; 127.0.0.3:%u: "
	         "connection refused",
	         port, port, port);
	connect_to(&c, state, "two.test", port);
	net_test_wait(c.net, &c.ended);
	assert_string_equal(c.text, wanted);
	tcp_free(c.tcp, NULL, NULL);
	close(second);
}

static void says_that_a_name_is_unknown(void **state)
{
	struct client c;

	connect_to(&c, state, "none.test", 4317);
	net_test_wait(c.net, &c.ended);
	assert_string_equal(c.text, "connect to none.test:4317: no such host; check the name and "
	                            "this machine's DNS");
	tcp_free(c.tcp, NULL, NULL);
}

/* The hosts file of this test does not know it, like that of a bare container. */
static void localhost_needs_no_look_up(void **state)
{
	int listener = bind_to(INADDR_LOOPBACK, 0);
	struct client c;

	assert_int_equal(listen(listener, 5), 0);
	connect_to(&c, state, "localhost", port_of(listener));
	net_test_wait(c.net, &c.open);
	assert_non_null(strstr(tcp_peer(c.tcp), "127.0.0.1:"));
	tcp_free(c.tcp, NULL, NULL);
	close(listener);
}

static void refuse_connection(void *arg, struct tcp *t)
{
	(void)arg;
	tcp_free(t, NULL, NULL);
}

static void listens_on_localhost_without_a_look_up(void **state)
{
	struct net_test *net = *state;
	struct tcp_listener *listener;
	struct error error = ERROR_INIT;
	struct endpoint endpoint;

	assert_int_equal(endpoint_parse("localhost:0", &endpoint, &error), 0);
	assert_int_equal(tcp_listen(net->loop, &endpoint, refuse_connection, NULL, &listener,
	                            &error),
	                 0);
	assert_true(tcp_listener_port(listener) > 0);
	tcp_listener_free(listener);
}

static void can_be_given_up_at_any_moment(void **state)
{
	int second = bind_to(SECOND, 0);
	struct client c;

	assert_int_equal(listen(second, 64), 0);
	for (unsigned rounds = 0; rounds < 12; rounds++) {
		connect_to(&c, state, "two.test", port_of(second));
		for (unsigned i = 0; i < rounds; i++)
			uv_run(loop_uv(c.net->loop), UV_RUN_NOWAIT);
		tcp_free(c.tcp, NULL, NULL);
	}
	close(second);
}

static bool put_in_place(const char *path, const char *text)
{
	const char *own = folder_at("names");
	int fd = creat(own, 0600);
	bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) &&
	            fchmod(fd, 0644) == 0 && mount(own, path, NULL, MS_BIND, NULL) == 0;

	if (fd >= 0) {
		close(fd);
		unlink(own);
	}
	return done;
}

static bool has_two_addresses(void)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
	unsigned n = 0;

	if (getaddrinfo("two.test", NULL, &hints, &found) != 0)
		return false;
	for (struct addrinfo *a = found; a; a = a->ai_next)
		n++;
	freeaddrinfo(found);
	return n == 2;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET_TEST(takes_the_next_address_when_one_refuses),
		NET_TEST(does_not_wait_for_an_address_that_is_silent),
		NET_TEST(names_every_address_that_failed),
		NET_TEST(says_that_a_name_is_unknown),
		NET_TEST(localhost_needs_no_look_up),
		NET_TEST(listens_on_localhost_without_a_look_up),
		NET_TEST(can_be_given_up_at_any_moment),
	};

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    !put_in_place("/etc/hosts", "127.0.0.2 two.test\n127.0.0.3 two.test\n") ||
	    !put_in_place("/etc/nsswitch.conf", "hosts: files\n") || !has_two_addresses()) {
		puts("skipped: names of its own need root and a resolver that reads /etc/hosts");
		return SKIPPED;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
