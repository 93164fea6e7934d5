/* http_server when memory fails, one allocation after the other; what thousands of idle connections take; and when the
 * process has no descriptor left. */
#include "tests/support/failing_memory.h"
#include "tests/unit/net/net_test.h"

#include "core/net/http_server.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>

enum { ALLOCATIONS = 500 };

struct fixture {
	struct net_test *net;
	struct endpoint endpoint;
	struct http_server *server;
	unsigned requests, answered, gone;
	bool drained, closed;
};

static void on_request(void *arg, struct http_exchange *x)
{
	struct fixture *f = arg;

	(void)x;
	f->requests++;
}

static void on_body_end(void *arg, struct http_exchange *x)
{
	struct http_response response = {.status = 200};
	struct fixture *f = arg;

	f->answered++;
	buffer_append_string(&response.body, "answer");
	http_respond(x, &response);
}

static void on_gone(void *arg, struct http_exchange *x)
{
	struct fixture *f = arg;

	(void)x;
	f->gone++;
}

static const struct http_handler handler = {.on_request = on_request,
                                            .on_body_end = on_body_end,
                                            .on_gone = on_gone};

static void on_flag(void *arg)
{
	*(bool *)arg = true;
}

static int begin(struct fixture *f, void **state, struct error *error)
{
	struct http_server_config config = {.http1 = true,
	                                    .http2 = true,
	                                    .limits = http_default_limits};

	*f = (struct fixture){.net = *state};
	f->endpoint = net_test_endpoint("127.0.0.1:0");
	config.endpoint = &f->endpoint;
	return http_server_new(f->net->loop, &config, &handler, f, NULL, &f->server, error);
}

static void end(struct fixture *f)
{
	http_server_close(f->server, on_flag, &f->closed);
	net_test_wait(f->net, &f->closed);
	assert_int_equal(f->requests, f->answered + f->gone);
}

/* ---- clients that take no memory of ours */

static const char h1_request[] = "POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc";
static const char h2_request[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
				 "\0\0\0\4\0\0\0\0\0"
				 "\0\0\6\1\4\0\0\0\1\x83\x86\1\1x\x84"
				 "\0\0\3\0\1\0\0\0\1abc";

/* A descriptor, or -1 when there is none. */
static int dial(struct fixture *f)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
	                         .sin_port = htons(http_server_port(f->server)),
	                         .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
	return fd;
}

static void ask(int fd, const char *request, size_t len)
{
	assert_int_equal(send(fd, request, len, MSG_NOSIGNAL), len);
}

/* Runs the loop until the answer or the end, of the stream or the connection, has come: true, false. */
static bool hear(struct fixture *f, int fd)
{
	static const char reset[] = "\0\0\4\3\0\0\0\0\1"; /* RST_STREAM of stream 1 */
	uint64_t end_ns = clock_monotonic_ns() + 20 * NS_PER_S;
	char got[4096] = "";
	size_t len = 0;
	ssize_t n;

	while (clock_monotonic_ns() < end_ns) {
		loop_run_once(f->net->loop);
		n = recv(fd, got + len, sizeof got - len, MSG_DONTWAIT);
		if (n > 0)
			len += (size_t)n;
		if (memmem(got, len, "answer", 6))
			return true;
		if (n == 0 || (n < 0 && errno != EAGAIN) || memmem(got, len, reset, 9))
			return false;
	}
	fail();
	return false;
}

/* ---- memory fails */

/* One server's life in which the nth allocation fails. False when there were fewer. */
static bool live(void **state, unsigned long nth)
{
	struct fixture f;
	struct error error = ERROR_INIT;
	bool failed, heard = true;
	int h1, h2, r;

	failing_memory_arm(nth);
	r = begin(&f, state, &error);
	if (r < 0) {
		assert_true(failing_memory_disarm());
		assert_int_equal(r, -ENOMEM);
		return true;
	}
	h1 = dial(&f);
	h2 = dial(&f);
	ask(h1, h1_request, sizeof h1_request - 1);
	ask(h2, h2_request, sizeof h2_request - 1);
	heard = hear(&f, h1) && heard;
	heard = hear(&f, h2) && heard;
	failed = failing_memory_disarm();
	assert_true(failed || heard);
	close(h1);
	h1 = dial(&f); /* it goes on for others */
	ask(h1, h1_request, sizeof h1_request - 1);
	assert_true(hear(&f, h1));
	end(&f);
	close(h1);
	close(h2);
	return failed;
}

static void every_failing_allocation_costs_a_connection_at_most(void **state)
{
	unsigned long n = 1;

	while (n < ALLOCATIONS && live(state, n))
		n++;
	assert_true(n > 10 && n < ALLOCATIONS);
	print_message("%lu allocations\n", n - 1);
}

/* ---- many connections */

static long resident_kib(void)
{
	FILE *status = fopen("/proc/self/status", "re");
	char line[256];
	long kib = 0;

	while (status && fgets(line, sizeof line, status))
		if (sscanf(line, "VmRSS: %ld", &kib) == 1)
			break;
	if (status)
		fclose(status);
	return kib;
}

static void holds_thousands_of_idle_connections(void **state)
{
	enum { MANY = 5000 };
	static int fds[MANY];
	struct rlimit files;
	struct fixture f;
	long before;
	unsigned n;
	int asking;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	if (files.rlim_cur < 2 * MANY + 1000)
		skip();
	assert_int_equal(begin(&f, state, NULL), 0);
	before = resident_kib();
	for (n = 0; n < MANY; n++) {
		fds[n] = dial(&f);
		ask(fds[n], n % 2 ? h1_request : h2_request,
		    (n % 2 ? sizeof h1_request : sizeof h2_request) - 1);
		if (n % 100 == 99)
			net_test_wait_count(f.net, &f.answered, n + 1);
	}
	assert_int_equal(http_server_connections(f.server), MANY);
	print_message("%.1f KiB each, half of them HTTP/2 (with a sanitizer's own where there is "
	              "one)\n",
	              (double)(resident_kib() - before) / MANY);
	asking = dial(&f);
	ask(asking, h1_request, sizeof h1_request - 1);
	assert_true(hear(&f, asking));
	close(asking);
	for (n = 0; n < MANY; n++)
		close(fds[n]);
	http_server_drain(f.server, on_flag, &f.drained);
	net_test_wait(f.net, &f.drained);
	end(&f);
}

/* ---- no descriptors */

static void does_not_spin_without_descriptors(void **state)
{
	enum { FREE = 20, FLOOD = 60 };
	struct rlimit before, few;
	struct fixture f;
	int fds[FLOOD], highest, rounds = 0;
	struct rusage used;
	uint64_t cpu_ns, end_ns;

	assert_int_equal(begin(&f, state, NULL), 0);
	for (unsigned i = 0; i < FLOOD; i++) /* ours first: they are in the backlog then */
		fds[i] = dial(&f);
	highest = dup(0);
	close(highest);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = before;
	few.rlim_cur = (rlim_t)highest + FREE;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	end_ns = clock_monotonic_ns() + 10 * NS_PER_S;
	while (http_server_struck(f.server, HTTP_LIMIT_DESCRIPTORS) == 0 &&
	       clock_monotonic_ns() < end_ns)
		loop_run_once(f.net->loop);
	assert_true(http_server_struck(f.server, HTTP_LIMIT_DESCRIPTORS) > 0);
	getrusage(RUSAGE_SELF, &used);
	cpu_ns = (uint64_t)used.ru_utime.tv_sec * NS_PER_S +
	         (uint64_t)used.ru_utime.tv_usec * NS_PER_US;
	for (end_ns = clock_monotonic_ns() + 500 * NS_PER_MS; clock_monotonic_ns() < end_ns;
	     rounds++)
		loop_run_once(f.net->loop);
	getrusage(RUSAGE_SELF, &used);
	cpu_ns = (uint64_t)used.ru_utime.tv_sec * NS_PER_S +
	         (uint64_t)used.ru_utime.tv_usec * NS_PER_US - cpu_ns;
	assert_true(rounds < 500); /* the test's own timer is 50 */
	assert_true(cpu_ns < 250 * NS_PER_MS);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_int_equal(http_server_connections(f.server) +
	                         http_server_struck(f.server, HTTP_LIMIT_DESCRIPTORS),
	                 FLOOD);
	for (unsigned i = 0; i < FLOOD; i++)
		close(fds[i]);
	fds[0] = dial(&f);
	ask(fds[0], h1_request, sizeof h1_request - 1);
	assert_true(hear(&f, fds[0]));
	close(fds[0]);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET_TEST(every_failing_allocation_costs_a_connection_at_most),
		NET_TEST(does_not_spin_without_descriptors),
		NET_TEST(holds_thousands_of_idle_connections),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
