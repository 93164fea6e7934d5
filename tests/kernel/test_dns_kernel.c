/* The dns programs on the running kernel, with real sockets. Needs the rights that the receiver needs;
 * without them it is skipped and says why. */
#include "core/base/clock.h"
#include "tests/kernel/dns_world.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const struct dns_world_options usual = {.ring_bytes = 4 << 20, .max_pending = 4096};

static int group_setup(void **state)
{
	struct error error = ERROR_INIT;
	static struct dns_world w;

	if (dns_world_open(&w, usual, &error) < 0)
		fail_msg("%s", error.message);
	*state = &w;
	return 0;
}

static int group_teardown(void **state)
{
	dns_world_close(*state);
	return 0;
}

static void assert_owned(const struct process_owner *o)
{
	assert_int_equal(o->pid, getpid());
	assert_true(o->start_time_ns > 0);
	assert_true(o->cgroup_id > 0);
	assert_string_not_equal(o->executable, "");
	assert_string_not_equal(o->comm, "");
}

static const struct dns_answer *answer_of(const struct seen *s, enum socket_role role)
{
	const struct dns_answer *found = NULL;

	for (size_t i = 0; i < s->n_answers; i++) {
		if (s->answers[i]->flow.role != role)
			continue;
		assert_null(found);
		found = s->answers[i];
	}
	assert_non_null(found);
	return found;
}

static void check_exchange(struct dns_world *w, const char *address, bool connected)
{
	struct dns_address at = dns_address_of(address, w->port);
	struct dns_address any =
		dns_address_of(at.storage.ss_family == AF_INET ? "0.0.0.0" : "::", 0);
	int server, client;
	const struct dns_answer *a, *b;
	uint64_t before = clock_monotonic_ns();
	uint8_t wire[16] = {0};

	dns_world_forget(w);
	server = dns_socket(SOCK_DGRAM, &at, NULL);
	client = dns_socket(SOCK_DGRAM, connected ? NULL : &any, connected ? &at : NULL);
	dns_exchange(client, server, connected ? NULL : &at, 4711, "www.example.org", DNS_A, 200);
	dns_world_wait_answers(w, 2);
	inet_pton(at.storage.ss_family, address, wire);
	a = answer_of(&w->seen, ROLE_CLIENT);
	b = answer_of(&w->seen, ROLE_SERVER);
	for (int i = 0; i < 2; i++) {
		const struct dns_answer *one = i ? b : a;

		assert_int_equal(one->flags, 0);
		assert_int_equal(one->transmissions, 1);
		assert_int_equal(one->length, 200);
		assert_int_equal(one->copied, 200);
		assert_int_equal(one->message[0] << 8 | one->message[1], 4711);
		assert_int_equal(one->message[2] & 0x80, 0x80);
		assert_true(one->first_ns > before);
		assert_int_equal(one->first_ns, one->last_ns);
		assert_true(one->answered_ns > one->first_ns);
		assert_int_equal(one->flow.family, at.storage.ss_family);
		assert_true(one->flow.netns != 0);
		assert_memory_equal(one->flow.remote_address, wire, 16);
		assert_memory_equal(one->flow.local_address, wire, 16);
		assert_owned(&one->owner);
	}
	assert_int_equal(a->flow.local_port, dns_socket_port(client));
	assert_int_equal(a->flow.remote_port, w->port);
	assert_int_equal(b->flow.local_port, w->port);
	assert_int_equal(b->flow.remote_port, dns_socket_port(client));
	assert_true(a->flow.cookie != b->flow.cookie);
	assert_int_equal(a->flow.netns, b->flow.netns);
	assert_int_equal(dns_world_sweep(w), 0);
	close(client);
	close(server);
}

static void sees_both_ends_of_an_exchange_over_ipv4(void **state)
{
	check_exchange(*state, "127.0.0.1", true);
	check_exchange(*state, "127.0.0.1", false);
}

static void sees_both_ends_of_an_exchange_over_ipv6(void **state)
{
	check_exchange(*state, "::1", true);
	check_exchange(*state, "::1", false);
}

static void an_unanswered_question_is_handed_over_once(void **state)
{
	struct dns_world *w = *state;
	struct dns_address at = dns_address_of("127.0.0.1", w->port);
	int server = dns_socket(SOCK_DGRAM, &at, NULL), client = dns_socket(SOCK_DGRAM, NULL, &at);
	uint8_t question[512];
	size_t length = dns_question(question, 99, "nobody.answers.example", DNS_AAAA);

	dns_world_forget(w);
	dns_send(client, question, length, NULL);
	assert_int_equal(dns_kernel_sweep(w->kernel, 1), 0);
	assert_int_equal(dns_world_sweep(w), 2);
	assert_int_equal(dns_world_sweep(w), 0);
	assert_int_equal(w->seen.n_unanswered, 2);
	for (size_t i = 0; i < 2; i++) {
		const struct dns_pending *p = &w->seen.unanswered[i];

		assert_int_equal(p->id, 99);
		assert_int_equal(p->transmissions, 1);
		assert_int_equal(p->question_length, length - 12);
		assert_memory_equal(p->question, question + 12, length - 12);
		assert_owned(&p->owner);
	}
	close(client);
	close(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sees_both_ends_of_an_exchange_over_ipv4),
		cmocka_unit_test(sees_both_ends_of_an_exchange_over_ipv6),
		cmocka_unit_test(an_unanswered_question_is_handed_over_once),
	};
	struct error error = ERROR_INIT;
	struct dns_world w;

	if (dns_world_open(&w, usual, &error) < 0) {
		printf("skipped: %s\n", error.message);
		return 77;
	}
	dns_world_close(&w);
	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
