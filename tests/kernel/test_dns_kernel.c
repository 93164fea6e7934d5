/* The dns programs on the running kernel, with real sockets. Needs the rights that the receiver needs;
 * without them it is skipped and says why. */
#include "core/base/clock.h"
#include "tests/kernel/dns_world.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
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
	bool more;

	dns_world_forget(w);
	dns_send(client, question, length, NULL);
	assert_int_equal(dns_kernel_sweep(w->kernel, 1, 1000, &more), 0);
	assert_false(more);
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

/* A server and a client on loopback, and the client's peer. */
struct ends {
	struct dns_address at;
	int server, client;
};

static struct ends ends_open(struct dns_world *w, bool connected)
{
	struct dns_address any = dns_address_of("0.0.0.0", 0);
	struct ends e = {.at = dns_address_of("127.0.0.1", w->port)};

	dns_world_forget(w);
	e.server = dns_socket(SOCK_DGRAM, &e.at, NULL);
	e.client = dns_socket(SOCK_DGRAM, connected ? NULL : &any, connected ? &e.at : NULL);
	return e;
}

static void ends_close(struct ends *e)
{
	close(e->server);
	close(e->client);
}

static void tells_two_questions_on_one_socket_apart(void **state)
{
	struct dns_world *w = *state;
	struct ends e = ends_open(w, true);
	uint8_t questions[2][512], message[512];
	struct dns_address from;
	size_t length[2];

	/* With one id, as a bad client might: the type alone tells them apart. */
	for (uint16_t same_id = 0; same_id < 2; same_id++) {
		dns_world_forget(w);
		length[0] = dns_question(questions[0], 7, "both.example", DNS_A);
		length[1] = dns_question(questions[1], same_id ? 7 : 8, "both.example", DNS_AAAA);
		for (int i = 0; i < 2; i++)
			dns_send(e.client, questions[i], length[i], NULL);
		for (int i = 0; i < 2; i++)
			dns_receive(e.server, message, sizeof message, &from);
		for (int i = 1; i >= 0; i--) { /* answered the other way round */
			memcpy(message, questions[i], length[i]);
			dns_answer_make(message, length[i], 0);
			dns_send(e.server, message, length[i], &from);
		}
		dns_world_wait_answers(w, 4);
		for (size_t i = 0; i < 4; i++) {
			const struct dns_answer *a = w->seen.answers[i];

			assert_int_equal(a->flags, 0);
			assert_int_equal(a->transmissions, 1);
		}
		/* The client's, in the order of the answers. */
		for (size_t i = 0, n = 0; i < 4; i++) {
			const struct dns_answer *a = w->seen.answers[i];

			if (a->flow.role == ROLE_CLIENT)
				assert_int_equal(a->message[length[0] - 3], n++ ? DNS_A : DNS_AAAA);
		}
		assert_int_equal(dns_world_sweep(w), 0);
	}
	ends_close(&e);
}

static void an_id_may_be_used_again_at_once(void **state)
{
	struct dns_world *w = *state;
	struct ends e = ends_open(w, true);
	uint64_t last = 0;

	for (int i = 0; i < 10; i++)
		dns_exchange(e.client, e.server, NULL, 1, "again.example", DNS_A, 0);
	dns_world_wait_answers(w, 20);
	for (size_t i = 0; i < 20; i++) {
		const struct dns_answer *a = w->seen.answers[i];

		assert_int_equal(a->transmissions, 1);
		if (a->flow.role != ROLE_CLIENT)
			continue;
		assert_true(a->first_ns > last);
		last = a->answered_ns;
	}
	ends_close(&e);
}

static void a_repeated_question_is_one_exchange(void **state)
{
	struct dns_world *w = *state;
	struct ends e = ends_open(w, false);
	uint8_t question[512], message[512];
	size_t length = dns_question(question, 5, "Repeated.Example", DNS_A);
	struct dns_address from;

	for (int i = 0; i < 3; i++) {
		if (i == 2)
			question[13] ^= 0x20; /* in another case */
		dns_send(e.client, question, length, &e.at);
		dns_receive(e.server, message, sizeof message, &from);
	}
	dns_answer_make(message, length, 0);
	dns_send(e.server, message, length, &from);
	dns_world_wait_answers(w, 2);
	for (size_t i = 0; i < 2; i++) {
		const struct dns_answer *a = w->seen.answers[i];

		assert_int_equal(a->transmissions, 3);
		assert_true(a->last_ns > a->first_ns);
		assert_true(a->answered_ns > a->last_ns);
	}
	assert_int_equal(dns_world_sweep(w), 0);
	ends_close(&e);
}

static void an_answer_from_another_address_leaves_the_question_open(void **state)
{
	struct dns_world *w = *state;
	struct ends e = ends_open(w, false);
	struct dns_address other = dns_address_of("127.0.0.2", w->port), from;
	int liar = dns_socket(SOCK_DGRAM, &other, NULL);
	uint8_t message[512];
	size_t length = dns_question(message, 6, "wanted.example", DNS_A);
	uint64_t stray = dns_world_lost(w, DNS_LOSS_NO_QUESTION);
	const struct dns_answer *a;

	dns_send(e.client, message, length, &e.at);
	dns_receive(e.server, message, sizeof message, &from);
	dns_answer_make(message, length, 0);
	dns_send(liar, message, length, &from);
	dns_world_wait_answers(w, 1);
	a = w->seen.answers[0];
	assert_int_equal(a->flags, DNS_ANSWER_OTHER_ADDRESS);
	assert_int_equal(a->flow.role, ROLE_CLIENT);
	assert_int_equal(a->flow.remote_address[3], 1);
	assert_int_equal(a->other_address[0], 127);
	assert_int_equal(a->other_address[3], 2);
	assert_int_equal(a->other_port, w->port);
	/* The liar was never asked. */
	assert_int_equal(dns_world_lost(w, DNS_LOSS_NO_QUESTION), stray + 1);

	dns_send(e.server, message, length, &from);
	dns_world_wait_answers(w, 3);
	assert_int_equal(w->seen.answers[1]->flags | w->seen.answers[2]->flags, 0);
	assert_int_equal(dns_world_sweep(w), 0);
	close(liar);
	ends_close(&e);
}

static void an_answer_may_leave_the_question_out(void **state)
{
	struct dns_world *w = *state;
	struct ends e = ends_open(w, true);
	uint8_t message[512], refusal[12] = {0};
	size_t length = dns_question(message, 0x1234, "refused.example", DNS_A);
	struct dns_address from;

	dns_send(e.client, message, length, NULL);
	dns_receive(e.server, message, sizeof message, &from);
	memcpy(refusal, message, 2);
	refusal[2] = 0x80;
	refusal[3] = 5;
	dns_send(e.server, refusal, sizeof refusal, &from);
	dns_world_wait_answers(w, 2);
	for (size_t i = 0; i < 2; i++) {
		const struct dns_answer *a = w->seen.answers[i];

		assert_int_equal(a->flags, DNS_ANSWER_WITHOUT_QUESTION);
		assert_int_equal(a->length, sizeof refusal);
		assert_int_equal(a->copied, sizeof refusal);
		assert_memory_equal(a->message, refusal, sizeof refusal);
		/* The question that was asked follows. */
		assert_int_equal(a->question_length, length - sizeof refusal);
		assert_memory_equal(a->message + a->copied, message + sizeof refusal,
		                    a->question_length);
	}
	assert_int_equal(dns_world_sweep(w), 0);
	ends_close(&e);
}

static void an_answer_that_comes_twice_is_counted_and_not_reported(void **state)
{
	struct dns_world *w = *state;
	struct ends e = ends_open(w, true);
	uint8_t message[512];
	size_t length = dns_question(message, 2, "twice.example", DNS_A);
	uint64_t stray = dns_world_lost(w, DNS_LOSS_NO_QUESTION);
	struct dns_address from;

	dns_send(e.client, message, length, NULL);
	dns_receive(e.server, message, sizeof message, &from);
	dns_answer_make(message, length, 0);
	for (int i = 0; i < 2; i++) {
		dns_send(e.server, message, length, &from);
		dns_receive(e.client, message, sizeof message, NULL);
	}
	dns_world_wait_answers(w, 2);
	assert_int_equal(dns_world_lost(w, DNS_LOSS_NO_QUESTION), stray + 2);
	ends_close(&e);
}

static void copies_answers_up_to_4096_bytes(void **state)
{
	static const size_t sizes[] = {12 + 17, 127,  128,  129,  511,  512,  513,  1535,
	                               1536,    1537, 4095, 4096, 4097, 9000, 60000};
	struct dns_world *w = *state;
	struct ends e = ends_open(w, true);

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
		dns_world_forget(w);
		dns_exchange(e.client, e.server, NULL, (uint16_t)i, "large.example", DNS_A,
		             sizes[i]);
		dns_world_wait_answers(w, 2);
		for (size_t j = 0; j < 2; j++) {
			const struct dns_answer *a = w->seen.answers[j];
			uint8_t message[512];
			size_t length = dns_question(message, (uint16_t)i, "large.example", DNS_A);

			if (sizes[i] > length)
				assert_int_equal(a->length, sizes[i]);
			assert_int_equal(a->copied, a->length < DNS_MESSAGE_COPIED
			                                    ? a->length
			                                    : DNS_MESSAGE_COPIED);
			assert_memory_equal(a->message + 12, message + 12, length - 12);
		}
	}
	ends_close(&e);
}

static void ports_that_are_not_watched_give_nothing(void **state)
{
	struct dns_world *w = *state;
	struct dns_address any = dns_address_of("127.0.0.1", 0), at;
	int server = dns_socket(SOCK_DGRAM, &any, NULL), client;

	at = dns_address_of("127.0.0.1", dns_socket_port(server));
	client = dns_socket(SOCK_DGRAM, NULL, &at);
	dns_world_forget(w);
	dns_exchange(client, server, NULL, 1, "unwatched.example", DNS_A, 100);
	dns_world_drain(w);
	assert_int_equal(w->seen.n_answers, 0);
	assert_int_equal(dns_world_sweep(w), 0);
	close(client);
	close(server);
}

static void what_is_no_dns_is_counted(void **state)
{
	static const struct {
		const char *bytes;
		size_t length;
	} garbage[] = {
		{"", 0},
		{"short", 5},
		{"\0\1\x78\0\0\1\0\0\0\0\0\0\1a\0\0\1\0\1", 19},   /* opcode 15 */
		{"\0\1\0\0\0\x9\0\0\0\0\0\0\1a\0\0\1\0\1", 19},    /* nine questions */
		{"\0\1\0\0\0\1\xff\xff\0\0\0\0\1a\0\0\1\0\1", 19}, /* 65535 answers */
		{"\0\1\x80\0\0\1\0\0\0\0\0\0\1a\0\0\1\0\1", 19},   /* an answer to a server */
	};
	struct dns_world *w = *state;
	struct ends e = ends_open(w, true);
	uint64_t before = dns_world_lost(w, DNS_LOSS_UNREADABLE);
	uint8_t in[64];

	for (size_t i = 0; i < sizeof garbage / sizeof *garbage; i++) {
		dns_send(e.client, garbage[i].bytes, garbage[i].length, NULL);
		dns_receive(e.server, in, sizeof in, NULL);
		assert_int_equal(dns_world_lost(w, DNS_LOSS_UNREADABLE), before + 2 * (i + 1));
	}
	dns_world_drain(w);
	assert_int_equal(w->seen.n_answers, 0);
	assert_int_equal(dns_world_sweep(w), 0);
	ends_close(&e);
}

/* Such questions are questions all the same: they are open, and their answers are found. */
static void a_name_that_cannot_be_read_is_still_a_question(void **state)
{
	static const struct {
		const char *bytes;
		size_t length;
	} questions[] = {
		{"\0\1\0\0\0\1\0\0\0\0\0\0\xc0\x0c\0\1\0\1", 18}, /* points to itself */
		{"\0\1\0\0\0\1\0\0\0\0\0\0\x3f"
	         "ab\0\0\1\0\1",
	         20},                                     /* a label too long */
		{"\0\1\0\0\0\1\0\0\0\0\0\0\1abcdef", 19}, /* no end */
		{"\0\1\0\0\0\0\0\0\0\0\0\0", 12},         /* no question */
	};
	struct dns_world *w = *state;
	struct ends e = ends_open(w, true);
	struct dns_address from;
	uint8_t message[64];

	for (size_t i = 0; i < sizeof questions / sizeof *questions; i++) {
		dns_world_forget(w);
		dns_send(e.client, questions[i].bytes, questions[i].length, NULL);
		assert_int_equal(dns_world_sweep(w), 2);
		assert_int_equal(w->seen.unanswered[0].question_length, 0);
		dns_receive(e.server, message, sizeof message, &from);
		dns_send(e.client, questions[i].bytes, questions[i].length, NULL);
		dns_receive(e.server, message, sizeof message, &from);
		message[2] |= 0x80;
		dns_send(e.server, message, questions[i].length, &from);
		dns_world_wait_answers(w, 2);
	}
	ends_close(&e);
}

static void a_name_of_255_bytes_is_read_whole(void **state)
{
	struct dns_world *w = *state;
	struct ends e = ends_open(w, true);
	char name[256] = "", label[64];
	uint8_t question[512];
	size_t length;

	for (int i = 0; i < 4; i++) {
		memset(label, 'a' + i, sizeof label);
		label[i < 3 ? 63 : 61] = '\0';
		strcat(strcat(name, *name ? "." : ""), label);
	}
	length = dns_question(question, 3, name, DNS_A);
	assert_int_equal(length, 12 + 255 + 4);
	dns_send(e.client, question, length, NULL);
	assert_int_equal(dns_world_sweep(w), 2);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(w->seen.unanswered[i].question_length, 259);
		assert_memory_equal(w->seen.unanswered[i].question, question + 12, 259);
	}
	dns_receive(e.server, question, sizeof question, NULL);
	dns_exchange(e.client, e.server, NULL, 3, name, DNS_A, 600);
	dns_world_wait_answers(w, 2);
	ends_close(&e);
}

struct racers {
	struct dns_world *w;
	struct ends e;
	atomic_bool done;
	int n;
	bool same_id;
};

static void *ask_and_answer(void *arg)
{
	struct racers *r = arg;

	for (int i = 0; i < r->n; i++)
		dns_exchange(r->e.client, r->e.server, NULL, r->same_id ? 1 : (uint16_t)i,
		             "race.example", DNS_A, 0);
	atomic_store(&r->done, true);
	return NULL;
}

static void race(struct racers *r)
{
	pthread_t thread;

	r->e = ends_open(r->w, true);
	assert_int_equal(pthread_create(&thread, NULL, ask_and_answer, r), 0);
	while (!atomic_load(&r->done)) {
		dns_world_sweep(r->w);
		dns_world_drain(r->w);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	dns_world_sweep(r->w);
	dns_world_drain(r->w);
	assert_true(r->w->seen.n_answers > 0);
	ends_close(&r->e);
}

static void sweeps_that_race_with_answers_give_each_exchange_once(void **state)
{
	struct racers r = {.w = *state, .n = 5000};
	struct seen *seen = &r.w->seen;
	uint64_t stray = dns_world_lost(r.w, DNS_LOSS_NO_QUESTION);
	unsigned times[2][5000] = {0};

	race(&r);
	for (size_t i = 0; i < seen->n_answers; i++) {
		const struct dns_answer *a = seen->answers[i];

		times[a->flow.role == ROLE_SERVER][a->message[0] << 8 | a->message[1]]++;
	}
	for (size_t i = 0; i < seen->n_unanswered; i++) {
		const struct dns_pending *p = &seen->unanswered[i];
		times[p->flow.role == ROLE_SERVER][p->id]++;
	}
	for (int i = 0; i < r.n; i++) {
		assert_int_equal(times[0][i], 1);
		assert_int_equal(times[1][i], 1);
	}
	/* When those were swept, their answers were still to come. */
	assert_int_equal(dns_world_lost(r.w, DNS_LOSS_NO_QUESTION), stray + seen->n_unanswered);
}

static int compare_times(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

/* The next question stands under the same key. */
static void a_sweep_takes_no_question_for_the_one_before(void **state)
{
	static uint64_t times[2 * 5000];
	struct racers r = {.w = *state, .n = 5000, .same_id = true};
	struct seen *seen = &r.w->seen;
	size_t n = 0;

	race(&r);
	assert_int_equal(seen->n_answers + seen->n_unanswered, 2 * r.n);
	for (size_t i = 0; i < seen->n_answers; i++)
		times[n++] = seen->answers[i]->first_ns;
	for (size_t i = 0; i < seen->n_unanswered; i++)
		times[n++] = seen->unanswered[i].first_ns;
	qsort(times, n, sizeof *times, compare_times);
	for (size_t i = 1; i < n; i++)
		assert_true(times[i] > times[i - 1]);
}

static void *answer_all_the_time(void *arg)
{
	struct racers *r = arg;
	struct dns_address to = dns_address_of("127.0.0.1", dns_socket_port(r->e.client));
	uint8_t message[512];
	size_t length = dns_question(message, 1, "race.example", DNS_A);

	dns_answer_make(message, length, 0);
	while (!atomic_load(&r->done))
		dns_send(r->e.server, message, length, &to);
	return NULL;
}

/* A question is noted in several steps. */
static void an_answer_that_comes_too_early_answers_nothing(void **state)
{
	struct racers r = {.w = *state, .e = ends_open(*state, true)};
	struct seen *seen = &r.w->seen;
	uint8_t message[512];
	size_t length = dns_question(message, 1, "race.example", DNS_A);
	uint64_t before = clock_monotonic_ns();
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, answer_all_the_time, &r), 0);
	while (seen->n_answers < 5000) {
		dns_send(r.e.client, message, length, NULL);
		dns_world_drain(r.w);
	}
	atomic_store(&r.done, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
	for (size_t i = 0; i < seen->n_answers; i++) {
		assert_true(seen->answers[i]->first_ns >= before);
		assert_true(seen->answers[i]->flow.cookie != 0);
	}
	ends_close(&r.e);
}

static void a_sweep_is_done_piece_by_piece(void **state)
{
	struct dns_world *w = *state;
	struct ends e = ends_open(w, true);
	size_t calls = 0, all = 0;
	uint8_t message[512];
	bool more;
	int n;

	for (uint16_t i = 0; i < 300; i++) {
		size_t length = dns_question(message, i, "pieces.example", DNS_A);

		dns_send(e.client, message, length, NULL);
		dns_receive(e.server, message, sizeof message, NULL);
	}
	do {
		n = dns_kernel_sweep(w->kernel, clock_monotonic_ns() + 1, 50, &more);
		assert_in_range(n, 0, 50);
		all += (size_t)n;
		calls++;
	} while (more);
	assert_true(calls >= 10);
	assert_true(all >= 500);
	assert_int_equal(all + dns_world_sweep(w), 600);
	assert_int_equal(w->seen.n_unanswered, 600);
	ends_close(&e);
}

static void counts_to_the_unit_what_does_not_fit(void **state)
{
	struct dns_world_options options = {.ring_bytes = 65536, .max_pending = 64};
	struct error error = ERROR_INIT;
	struct dns_world w;
	struct ends e;
	uint64_t lost;

	if (dns_world_open(&w, options, &error) < 0)
		fail_msg("%s", error.message);
	e = ends_open(&w, true);
	for (int i = 0; i < 500; i++)
		dns_exchange(e.client, e.server, NULL, (uint16_t)i, "ring.example", DNS_A, 100);
	dns_world_drain(&w);
	lost = dns_world_lost(&w, DNS_LOSS_RING_FULL);
	assert_true(lost > 0 && w.seen.n_answers > 0);
	assert_int_equal(w.seen.n_answers + lost, 1000);
	assert_int_equal(dns_world_sweep(&w), 0);

	dns_world_forget(&w);
	for (int i = 0; i < 100; i++) {
		uint8_t question[512];
		size_t length = dns_question(question, (uint16_t)i, "full.example", DNS_A);

		dns_send(e.client, question, length, NULL);
		dns_receive(e.server, question, sizeof question, NULL);
	}
	lost = dns_world_lost(&w, DNS_LOSS_PENDING_FULL);
	assert_int_equal(dns_world_sweep(&w) + lost, 200);
	assert_true(lost >= 200 - 64);
	ends_close(&e);
	dns_world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sees_both_ends_of_an_exchange_over_ipv4),
		cmocka_unit_test(sees_both_ends_of_an_exchange_over_ipv6),
		cmocka_unit_test(an_unanswered_question_is_handed_over_once),
		cmocka_unit_test(tells_two_questions_on_one_socket_apart),
		cmocka_unit_test(an_id_may_be_used_again_at_once),
		cmocka_unit_test(a_repeated_question_is_one_exchange),
		cmocka_unit_test(an_answer_from_another_address_leaves_the_question_open),
		cmocka_unit_test(an_answer_may_leave_the_question_out),
		cmocka_unit_test(an_answer_that_comes_twice_is_counted_and_not_reported),
		cmocka_unit_test(copies_answers_up_to_4096_bytes),
		cmocka_unit_test(ports_that_are_not_watched_give_nothing),
		cmocka_unit_test(what_is_no_dns_is_counted),
		cmocka_unit_test(a_name_that_cannot_be_read_is_still_a_question),
		cmocka_unit_test(a_name_of_255_bytes_is_read_whole),
		cmocka_unit_test(sweeps_that_race_with_answers_give_each_exchange_once),
		cmocka_unit_test(a_sweep_takes_no_question_for_the_one_before),
		cmocka_unit_test(an_answer_that_comes_too_early_answers_nothing),
		cmocka_unit_test(a_sweep_is_done_piece_by_piece),
		cmocka_unit_test(counts_to_the_unit_what_does_not_fit),
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
