/* lookups: what is asked at a resolver, when, and what becomes of the answers. The resolver is a
 * socket of this process. */
#include "processors/reverse_dns/reverse_dns_lookups.h"

#include "core/base/clock.h"
#include "core/loop/poll.h"
#include "core/loop/timer.h"
#include "tests/support/component_stage.h"
#include "tests/support/failing_memory.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum reply { REPLY_NOTHING, REPLY_NAME, REPLY_NAME_ERROR, REPLY_REFUSED, REPLY_GARBAGE };

struct fixture {
	struct stage stage;
	struct component component;
	struct lookups_config config;
	struct lookups *lookups;
	struct lookups_tried tried;

	/* the resolver */
	int fd;
	struct poll *poll;
	enum reply reply;
	char server[32];
	const char *servers[1];
	unsigned asked;
	uint8_t question[512]; /* the last one */
	size_t question_len;
	struct sockaddr_storage asker;
	socklen_t asker_len;
};

static void reply_send(struct fixture *f, enum reply reply)
{
	static const uint8_t ptr[] = {0xc0, 12,  0,   12, 0,   1,   0,   0,   0,   60,  0,   12,
	                              2,    'd', 'b', 7,  'e', 'x', 'a', 'm', 'p', 'l', 'e', 0};
	uint8_t message[600];
	size_t len = f->question_len;

	if (reply == REPLY_NOTHING)
		return;
	memcpy(message, f->question, len);
	message[2] = 0x81;
	message[3] = reply == REPLY_NAME_ERROR ? 0x83 : reply == REPLY_REFUSED ? 0x85 : 0x80;
	if (reply == REPLY_NAME || reply == REPLY_GARBAGE) {
		message[7] = 1;
		memcpy(message + len, ptr, sizeof ptr);
		if (reply == REPLY_GARBAGE)
			message[len + 14] = ' ';
		len += sizeof ptr;
	}
	assert_int_equal(sendto(f->fd, message, len, 0, (struct sockaddr *)&f->asker, f->asker_len),
	                 len);
}

static void on_question(void *arg, int events)
{
	struct fixture *f = arg;
	ssize_t n;

	f->asker_len = sizeof f->asker;
	n = recvfrom(f->fd, f->question, sizeof f->question, MSG_DONTWAIT,
	             (struct sockaddr *)&f->asker, &f->asker_len);
	if (n < 12)
		return;
	f->question_len = (size_t)n;
	f->asked++;
	reply_send(f, f->reply);
}

static void resolver_begin(struct fixture *f)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof at;

	f->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(f->fd >= 0);
	assert_int_equal(bind(f->fd, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(getsockname(f->fd, (struct sockaddr *)&at, &len), 0);
	snprintf(f->server, sizeof f->server, "127.0.0.1:%d", ntohs(at.sin_port));
	f->poll = poll_new(f->stage.host.loop, f->fd, on_question, f);
	assert_non_null(f->poll);
	poll_start(f->poll, POLL_READABLE);
}

static void begin(struct fixture *f)
{
	*f = (struct fixture){0};
	stage_begin(&f->stage);
	resolver_begin(f);
	f->servers[0] = f->server;
	f->config = (struct lookups_config){
		.enabled = true,
		.servers = {f->servers, 1},
		.max_in_flight = 16,
		.rate = 1000,
		.timeout = 10 * NS_PER_S,
		.cache = {.max_entries = 100,
	                  .min_ttl = 60 * NS_PER_S,
	                  .max_ttl = 3600 * NS_PER_S,
	                  .negative_ttl = 300 * NS_PER_S,
	                  .failure_ttl = 30 * NS_PER_S},
	};
	f->component = (struct component){.id = "reverse_dns", .host = &f->stage.host};
}

static void start(struct fixture *f)
{
	struct error error = ERROR_INIT;

	assert_int_equal(lookups_check(&f->config, &error), 0);
	if (lookups_new(&f->config, &f->component, &f->lookups, &error) < 0 ||
	    lookups_start(f->lookups, &error) < 0)
		fail_msg("%s", error.message);
}

static void end(struct fixture *f)
{
	lookups_stop(f->lookups);
	lookups_free(f->lookups);
	poll_free(f->poll);
	stage_end(&f->stage);
	close(f->fd);
}

static void collect(void *arg, struct metrics_sink *sink)
{
	const struct fixture *f = arg;

	lookups_collect(f->lookups, &f->tried, sink);
}

static double figure(struct fixture *f, const char *name, const char *reason)
{
	struct metrics_collector *c = metrics_register(f->stage.host.metrics, collect, f);
	double value;

	assert_non_null(c);
	value = metrics_sum(f->stage.host.metrics, name, METRICS_LABELS({"reason", reason}));
	if (!reason)
		value = metrics_sum(f->stage.host.metrics, name, NULL);
	metrics_unregister(f->stage.host.metrics, c);
	return value;
}

static double failed(struct fixture *f, const char *reason)
{
	return figure(f, "weir_reverse_dns_lookups_failed", reason);
}

/* "" when it is not known. */
static const char *find(struct fixture *f, const char *text)
{
	static char name[256];
	struct address a;
	struct slice found;

	assert_true(address_parse(slice_from_string(text), &a));
	found = lookups_find(f->lookups, &a, &f->tried);
	snprintf(name, sizeof name, "%.*s", SLICE_PRINTF(found));
	return name;
}

struct wait {
	struct fixture *fixture;
	bool (*done)(struct fixture *f);
	bool flag;
};

static void on_tick(void *arg)
{
	struct wait *w = arg;

	w->flag = w->done(w->fixture);
}

static void wait_for(struct fixture *f, bool (*done)(struct fixture *f))
{
	struct wait w = {f, done, false};
	struct timer *tick = timer_new(f->stage.host.loop, on_tick, &w);

	assert_non_null(tick);
	timer_start(tick, NS_PER_MS, NS_PER_MS);
	stage_wait(&f->stage, &w.flag);
	timer_free(tick);
}

static bool nothing_in_flight(struct fixture *f)
{
	return figure(f, "weir_reverse_dns_lookups_in_flight", NULL) == 0;
}

static bool one_was_asked(struct fixture *f)
{
	return f->asked == 1;
}

static void what_is_not_known_is_asked_for_once_and_known_later(void **state)
{
	struct fixture f;

	begin(&f);
	start(&f);
	assert_string_equal(find(&f, "192.0.2.1"), "");
	assert_string_equal(find(&f, "192.0.2.1"), "");
	wait_for(&f, one_was_asked);
	assert_string_equal(find(&f, "192.0.2.1"), "");
	reply_send(&f, REPLY_NAME);
	wait_for(&f, nothing_in_flight);
	for (int i = 0; i < 5; i++)
		assert_string_equal(find(&f, "192.0.2.1"), "db.example");
	assert_int_equal(f.asked, 1);
	assert_true(figure(&f, "weir_reverse_dns_lookups_sent", NULL) == 1);
	assert_true(figure(&f, "weir_reverse_dns_lookups_answered", NULL) == 1);
	assert_true(figure(&f, "weir_reverse_dns_cache_hits", NULL) == 5);
	assert_true(figure(&f, "weir_reverse_dns_cache_misses", NULL) == 3);
	assert_true(figure(&f, "weir_reverse_dns_cache_entries", NULL) == 1);
	end(&f);
}

static void the_answer_that_there_is_no_name_is_kept(void **state)
{
	static const struct {
		enum reply reply;
		const char *reason;
	} cases[] = {{REPLY_NAME_ERROR, "name_error"},
	             {REPLY_REFUSED, "server_failure"},
	             {REPLY_GARBAGE, "bad_answer"}};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct fixture f;

		begin(&f);
		f.reply = cases[i].reply;
		start(&f);
		find(&f, "2001:db8::1");
		wait_for(&f, nothing_in_flight);
		assert_string_equal(find(&f, "2001:db8::1"), "");
		assert_int_equal(f.asked, 1);
		assert_true(failed(&f, cases[i].reason) == 1);
		assert_true(figure(&f, "weir_reverse_dns_cache_hits", NULL) == 1);
		end(&f);
	}
}

static void who_does_not_answer_is_not_waited_for(void **state)
{
	struct fixture f;

	begin(&f);
	f.config.timeout = 20 * NS_PER_MS;
	start(&f);
	find(&f, "192.0.2.1");
	wait_for(&f, one_was_asked);
	wait_for(&f, nothing_in_flight);
	assert_true(failed(&f, "timeout") == 1);
	/* An answer that comes too late is nobody's. */
	reply_send(&f, REPLY_NAME);
	assert_string_equal(find(&f, "192.0.2.1"), "");
	assert_int_equal(f.asked, 1);
	end(&f);
}

/* A broadcast address cannot be sent to: c-ares calls back before the question is out. */
static void a_resolver_that_cannot_be_sent_to_answers_at_once(void **state)
{
	struct fixture f;

	begin(&f);
	f.servers[0] = "255.255.255.255:53";
	start(&f);
	for (int i = 0; i < 3; i++)
		assert_string_equal(find(&f, "192.0.2.1"), "");
	assert_true(figure(&f, "weir_reverse_dns_lookups_in_flight", NULL) == 0);
	assert_true(figure(&f, "weir_reverse_dns_lookups_sent", NULL) == 1);
	assert_true(failed(&f, "server_failure") == 1);
	end(&f);
}

static void addresses_of_one_host_only_are_never_asked_for(void **state)
{
	static const char *const some[] = {"127.0.0.1",   "::1",      "fe80::1",
	                                   "169.254.0.1", "0.0.0.0",  "224.0.0.1",
	                                   "ff02::1",     "10.1.0.1", "2001:db8::1"};
	const char *prefixes[] = {"10.2.0.0/16", "127.0.0.0/8"};
	struct fixture f;

	begin(&f);
	f.config.only = (struct string_list){prefixes, 2};
	start(&f);
	for (size_t i = 0; i < sizeof some / sizeof *some; i++)
		assert_string_equal(find(&f, some[i]), "");
	assert_true(figure(&f, "weir_reverse_dns_lookups_sent", NULL) == 0);
	find(&f, "10.2.0.1");
	assert_true(figure(&f, "weir_reverse_dns_lookups_sent", NULL) == 1);
	end(&f);
}

static void keeps_to_its_rate(void **state)
{
	char text[32];
	struct fixture f;

	begin(&f);
	f.config.rate = 3;
	f.config.max_in_flight = 100;
	start(&f);
	for (int i = 0; i < 50; i++) {
		snprintf(text, sizeof text, "192.0.2.%d", i);
		find(&f, text);
	}
	assert_true(figure(&f, "weir_reverse_dns_lookups_sent", NULL) == 3);
	assert_true(figure(&f, "weir_reverse_dns_lookups_put_off", "rate") == 47);
	end(&f);
}

static bool two_were_asked(struct fixture *f)
{
	return f->asked == 2;
}

static void has_no_more_in_flight_than_it_may(void **state)
{
	char text[32];
	struct fixture f;

	begin(&f);
	f.config.max_in_flight = 2;
	start(&f);
	for (int i = 0; i < 50; i++) {
		snprintf(text, sizeof text, "192.0.2.%d", i);
		find(&f, text);
	}
	assert_true(figure(&f, "weir_reverse_dns_lookups_in_flight", NULL) == 2);
	assert_true(figure(&f, "weir_reverse_dns_lookups_put_off", "in_flight") == 48);
	wait_for(&f, two_were_asked);
	end(&f); /* with two on their way */
}

static void another_resolv_conf_gives_up_what_is_in_flight(void **state)
{
	struct fixture f;

	begin(&f);
	start(&f);
	find(&f, "192.0.2.1");
	wait_for(&f, one_was_asked);
	lookups_renew(f.lookups);
	assert_true(failed(&f, "canceled") == 1);
	f.reply = REPLY_NAME;
	find(&f, "192.0.2.1");
	wait_for(&f, nothing_in_flight);
	assert_string_equal(find(&f, "192.0.2.1"), "db.example");
	lookups_stop(f.lookups);
	assert_string_equal(find(&f, "192.0.2.2"), "");
	assert_int_equal(f.asked, 2);
	end(&f);
}

static bool is_asked_again_and_has_a_name_all_the_while(struct fixture *f)
{
	assert_string_equal(find(f, "192.0.2.1"), "db.example");
	return f->asked >= 2 && nothing_in_flight(f);
}

static bool has_no_name(struct fixture *f)
{
	return !*find(f, "192.0.2.1");
}

/* A name must not turn into an address for a moment each time that its TTL is over. */
static void the_last_answer_holds_until_there_is_another(void **state)
{
	static const enum reply replies[] = {REPLY_NAME, REPLY_REFUSED, REPLY_NAME_ERROR};

	for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
		struct fixture f;

		begin(&f);
		f.config.cache.min_ttl = f.config.cache.max_ttl = NS_PER_S;
		/* The first failure holds, so that it is not asked a third time. */
		f.config.cache.failure_ttl = f.config.cache.negative_ttl = 300 * NS_PER_S;
		f.reply = REPLY_NAME;
		start(&f);
		find(&f, "192.0.2.1");
		wait_for(&f, nothing_in_flight);
		f.reply = replies[i];
		if (replies[i] == REPLY_NAME_ERROR) {
			wait_for(&f, has_no_name);
			assert_int_equal(f.asked, 2);
		} else {
			wait_for(&f, is_asked_again_and_has_a_name_all_the_while);
			assert_string_equal(find(&f, "192.0.2.1"), "db.example");
		}
		end(&f);
	}
}

static void the_cache_has_a_bound(void **state)
{
	char text[32];
	struct fixture f;

	begin(&f);
	f.config.cache.max_entries = 5;
	f.reply = REPLY_NAME;
	start(&f);
	for (int i = 0; i < 20; i++) {
		snprintf(text, sizeof text, "192.0.2.%d", i);
		find(&f, text);
		wait_for(&f, nothing_in_flight);
	}
	assert_true(figure(&f, "weir_reverse_dns_cache_entries", NULL) == 5);
	assert_true(figure(&f, "weir_reverse_dns_cache_evicted", NULL) == 15);
	assert_string_equal(find(&f, "192.0.2.19"), "db.example");
	end(&f);
}

static void survives_failing_allocations(void **state)
{
	bool broke = true;

	for (unsigned long n = 1; broke; n++) {
		struct error error = ERROR_INIT;
		struct fixture f;
		int r;

		begin(&f);
		f.reply = REPLY_NAME;
		f.config.timeout = NS_PER_S;
		failing_memory_arm(n);
		r = lookups_new(&f.config, &f.component, &f.lookups, &error);
		if (r == 0 && (r = lookups_start(f.lookups, &error)) == 0)
			find(&f, "192.0.2.1");
		broke = failing_memory_disarm();
		assert_int_equal(error.code, r);
		assert_true(r == 0 || broke);
		if (r == 0) {
			wait_for(&f, nothing_in_flight);
			assert_string_equal(find(&f, "192.0.2.1"), broke ? "" : "db.example");
		}
		end(&f);
		assert_true(n < 100);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_known_is_asked_for_once_and_known_later),
		cmocka_unit_test(the_answer_that_there_is_no_name_is_kept),
		cmocka_unit_test(who_does_not_answer_is_not_waited_for),
		cmocka_unit_test(a_resolver_that_cannot_be_sent_to_answers_at_once),
		cmocka_unit_test(addresses_of_one_host_only_are_never_asked_for),
		cmocka_unit_test(keeps_to_its_rate),
		cmocka_unit_test(has_no_more_in_flight_than_it_may),
		cmocka_unit_test(another_resolv_conf_gives_up_what_is_in_flight),
		cmocka_unit_test(the_last_answer_holds_until_there_is_another),
		cmocka_unit_test(the_cache_has_a_bound),
		cmocka_unit_test(survives_failing_allocations),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
