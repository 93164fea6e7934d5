/* The receiver on a real loop, with a kernel side that does what the test says. */
#include "core/base/clock.h"
#include "core/data/semconv.h"
#include "core/names/names.h"
#include "receivers/dns/dns.h"
#include "tests/support/component_stage.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

extern const struct component_type receiver_dns_type;

/* ---- the kernel side */

enum { SCRIPT_MAX = 20000, MESSAGE_MAX = 512 };

union scripted {
	struct dns_answer head;
	uint8_t bytes[sizeof(struct dns_answer) + MESSAGE_MAX];
};

static struct kernel {
	union scripted ring[SCRIPT_MAX];
	size_t from, to;
	struct dns_pending pending[64];
	size_t n_pending;
	int sweep_max; /* questions that a call of a sweep takes; 0: all */
	struct dns_kernel_handler handler;
	struct dns_kernel_limits limits;
	uint16_t ports[DNS_PORTS_MAX];
	uint64_t losses[DNS_LOSS_COUNT];
	int fd, open_error, sweep_error;
	unsigned sweeps, closed;
} kernel;

int dns_kernel_open(const struct logger *log, const struct dns_kernel_limits *limits,
                    const struct dns_kernel_handler *handler, struct dns_kernel **ret,
                    struct error *error)
{
	(void)log;
	if (kernel.open_error)
		return error_set(error, kernel.open_error, "CAP_BPF is missing; run as root");
	kernel.limits = *limits;
	memcpy(kernel.ports, limits->ports, limits->n_ports * sizeof *limits->ports);
	kernel.handler = *handler;
	*ret = (struct dns_kernel *)&kernel;
	return 0;
}

void dns_kernel_close(struct dns_kernel *k)
{
	kernel.closed += k != NULL;
}

int dns_kernel_fd(const struct dns_kernel *k)
{
	(void)k;
	return kernel.fd;
}

size_t dns_kernel_drain(struct dns_kernel *k, size_t max)
{
	size_t n = 0;
	uint64_t value;

	(void)k;
	for (; n < max && kernel.from < kernel.to; n++) {
		const union scripted *s = &kernel.ring[kernel.from++];

		kernel.handler.on_answer(kernel.handler.arg, &s->head,
		                         slice_of(s->head.message, s->head.copied));
	}
	if (kernel.from == kernel.to) {
		kernel.from = kernel.to = 0;
		if (read(kernel.fd, &value, sizeof value) < 0)
			assert_int_equal(errno, EAGAIN);
	}
	return n;
}

int dns_kernel_sweep(struct dns_kernel *k, uint64_t before_ns, uint32_t max, bool *ret_more)
{
	int n = 0;

	(void)k;
	(void)max;
	*ret_more = false;
	kernel.sweeps++;
	if (kernel.sweep_error)
		return kernel.sweep_error;
	for (size_t i = 0; i < kernel.n_pending;) {
		if (kernel.pending[i].first_ns >= before_ns) {
			i++;
			continue;
		}
		kernel.handler.on_unanswered(kernel.handler.arg, &kernel.pending[i]);
		kernel.pending[i] = kernel.pending[--kernel.n_pending];
		if (++n == kernel.sweep_max) {
			*ret_more = true;
			break;
		}
	}
	return n;
}

void dns_kernel_stats(struct dns_kernel *k, struct dns_kernel_stats *ret)
{
	(void)k;
	*ret = (struct dns_kernel_stats){.ring_bytes = 4 << 20,
	                                 .max_pending = kernel.limits.max_pending,
	                                 .n_programs = 1,
	                                 .programs = {{.name = "dns_egress"}}};
	memcpy(ret->losses, kernel.losses, sizeof ret->losses);
}

/* ---- what it tells */

static const struct dns_flow flow = {
	.cookie = 7,
	.netns = 99,
	.family = AF_INET,
	.local_port = 40000,
	.remote_port = 53,
	.role = ROLE_CLIENT,
	.local_address = {10, 0, 0, 1},
	.remote_address = {10, 0, 0, 53},
};

static const struct process_owner dig = {.executable = "dig", .comm = "dig"};

/* The labels of a name, its type and class IN; returns the size. */
static size_t question_write(uint8_t *to, const char *name, uint8_t type)
{
	uint8_t *at = to;

	while (*name) {
		size_t n = strcspn(name, ".");

		*at++ = (uint8_t)n;
		memcpy(at, name, n);
		at += n;
		name += n + (name[n] == '.');
	}
	memcpy(at, (uint8_t[]){0, 0, type, 0, DNS_CLASS_IN}, 5);
	return (size_t)(at + 5 - to);
}

/* An answer of 2 ms; with NOERROR an address. */
static union scripted *answer_put(const char *name, unsigned rcode)
{
	static const uint8_t record[] = {0xc0, 12, 0, DNS_A, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1};
	union scripted *s = &kernel.ring[kernel.to++];
	uint64_t now = clock_monotonic_ns(), one = 1;
	size_t size = DNS_HEADER_SIZE;

	assert_true(kernel.to <= SCRIPT_MAX);
	s->head = (struct dns_answer){.kind = DNS_EVENT_ANSWER,
	                              .transmissions = 1,
	                              .owner = dig,
	                              .flow = flow,
	                              .first_ns = now - 2 * NS_PER_MS,
	                              .last_ns = now - 2 * NS_PER_MS,
	                              .answered_ns = now};
	memcpy(s->head.message,
	       (uint8_t[]){0x12, 0x34, 0x81, (uint8_t)(0x80 | rcode), 0, 1, 0, !rcode}, 8);
	size += question_write(s->head.message + size, name, DNS_A);
	if (!rcode) {
		memcpy(s->head.message + size, record, sizeof record);
		size += sizeof record;
	}
	s->head.length = s->head.copied = (uint32_t)size;
	assert_int_equal(write(kernel.fd, &one, sizeof one), sizeof one);
	return s;
}

static void pending_put(const char *name, uint64_t first_ns)
{
	struct dns_pending *p = &kernel.pending[kernel.n_pending++];

	*p = (struct dns_pending){.owner = dig,
	                          .flow = flow,
	                          .first_ns = first_ns,
	                          .last_ns = first_ns,
	                          .transmissions = 3};
	p->question_length = (uint16_t)question_write(p->question, name, DNS_A);
}

/* ---- what came of it */

static void begin(struct stage *s)
{
	memset(&kernel, 0, sizeof kernel);
	kernel.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	stage_begin(s);
}

static void end(struct stage *s)
{
	stage_end(s);
	close(kernel.fd);
}

#define WAIT_UNTIL(stage, condition)                                                               \
	do {                                                                                       \
		uint64_t deadline_ = clock_monotonic_ns() + 10 * NS_PER_S;                         \
		while (!(condition)) {                                                             \
			assert_true(clock_monotonic_ns() < deadline_);                             \
			loop_run_once((stage)->host.loop);                                         \
		}                                                                                  \
	} while (0)

static const struct outcome delivered = {.status = OUTCOME_OK};

static bool has_text(Otlp__KeyValue **attributes, size_t n, const char *key, const char *value)
{
	const Otlp__AnyValue *v = attribute_find(attributes, n, key);

	return v && v->value_case == OTLP__ANY_VALUE__VALUE_STRING_VALUE &&
	       slice_equal(slice_of(v->string_value.data, v->string_value.len),
	                   slice_from_string(value));
}

static void opened(struct batch *b)
{
	struct error error = ERROR_INIT;

	assert_int_equal(batch_read(b, &error), 0);
}

/* Look-ups in a batch; where key is given only those with that attribute. */
static uint64_t lookups(struct batch *b, const char *key, const char *value)
{
	uint64_t count = 0;

	opened(b);
	for (struct group *g = b->first; g; g = g->next) {
		const Otlp__ScopeMetrics *scope = g->metrics->scope_metrics[0];

		for (size_t i = 0; i < scope->n_metrics; i++) {
			const Otlp__Metric *m = scope->metrics[i];

			if (m->data_case != OTLP__METRIC__DATA_HISTOGRAM)
				continue;
			for (size_t k = 0; k < m->histogram->n_data_points; k++) {
				const Otlp__HistogramDataPoint *p = m->histogram->data_points[k];

				assert_true(p->start_time_unix_nano <= p->time_unix_nano);
				assert_int_equal(p->n_explicit_bounds, 14);
				if (!key || has_text(p->attributes, p->n_attributes, key, value))
					count += p->count;
			}
		}
	}
	return count;
}

/* The record of a name in a batch. */
static const Otlp__LogRecord *record_of(struct batch *b, const char *name)
{
	opened(b);
	for (struct group *g = b->first; g; g = g->next) {
		const Otlp__ScopeLogs *scope = g->logs->scope_logs[0];

		for (size_t i = 0; i < scope->n_log_records; i++)
			if (has_text(scope->log_records[i]->attributes,
			             scope->log_records[i]->n_attributes, SEMCONV_DNS_QUESTION_NAME,
			             name))
				return scope->log_records[i];
	}
	return NULL;
}

static bool says(const Otlp__LogRecord *r, const char *key, const char *value)
{
	return has_text(r->attributes, r->n_attributes, key, value);
}

/* ---- tests */

static void counts_lookups_by_name_code_and_server(void **state)
{
	struct batch *b;
	struct stage s;

	begin(&s);
	answer_put("Www.Example.org", 0);
	answer_put("www.example.ORG", 0);
	answer_put("nope.example.org", 3);
	stage_create(&s, &receiver_dns_type, "{collection_interval: 100ms, ports: [53, 5353]}",
	             SIGNAL_METRICS);
	assert_int_equal(kernel.limits.n_ports, 2);
	assert_int_equal(kernel.ports[1], 5353);
	WAIT_UNTIL(&s, s.n_kept);
	b = s.kept[0];
	assert_int_equal(lookups(b, NULL, NULL), 3);
	assert_int_equal(lookups(b, SEMCONV_DNS_QUESTION_NAME, "www.example.org"), 2);
	assert_int_equal(lookups(b, SEMCONV_WEIR_DNS_RESPONSE_CODE, "NXDOMAIN"), 1);
	assert_int_equal(lookups(b, SEMCONV_ERROR_TYPE, "name_error"), 1);
	assert_int_equal(lookups(b, SEMCONV_SERVER_ADDRESS, "10.0.0.53"), 3);
	assert_int_equal(lookups(b, SEMCONV_NETWORK_TRANSPORT, "udp"), 3);
	assert_int_equal(lookups(b, SEMCONV_WEIR_CONNECTION_ROLE, "client"), 3);
	assert_true(has_text(b->first->metrics->resource->attributes,
	                     b->first->metrics->resource->n_attributes, SEMCONV_SERVICE_NAME,
	                     "dig"));
	assert_string_equal(b->origin.receiver, "dns");
	assert_int_equal(stage_figure(&s, "weir_receiver_dns_lookups"), 3);
	end(&s);
	assert_int_equal(kernel.closed, 1);
	(void)state;
}

static void unanswered_questions_are_lookups_that_failed(void **state)
{
	struct stage s;

	begin(&s);
	pending_put("slow.example", clock_monotonic_ns());
	stage_create(&s, &receiver_dns_type,
	             "{collection_interval: 100ms, timeout: 100ms, temporality: delta}",
	             SIGNAL_METRICS);
	WAIT_UNTIL(&s, s.n_kept);
	assert_int_equal(lookups(s.kept[0], SEMCONV_ERROR_TYPE, "timeout"), 1);
	assert_int_equal(lookups(s.kept[0], SEMCONV_DNS_QUESTION_NAME, "slow.example"), 1);
	end(&s);
	(void)state;
}

static void failed_lookups_become_log_records(void **state)
{
	const Otlp__LogRecord *r;
	struct stage s;

	begin(&s);
	stage_create(&s, &receiver_dns_type, "{collection_interval: 100ms}", SIGNAL_LOGS);
	answer_put("good.example", 0);
	answer_put("Nope.example", 3);
	WAIT_UNTIL(&s, s.n_kept);
	assert_int_equal(s.kept[0]->items, 1);
	r = record_of(s.kept[0], "Nope.example"); /* as it was asked */
	assert_non_null(r);
	assert_true(says(r, SEMCONV_ERROR_TYPE, "name_error"));
	assert_true(says(r, SEMCONV_CLIENT_ADDRESS, "10.0.0.1"));
	assert_int_equal(r->severity_number, OTLP__SEVERITY_NUMBER__SEVERITY_NUMBER_WARN);
	assert_true(slice_equal(slice_of(r->event_name.data, r->event_name.len),
	                        SLICE_LITERAL("weir.dns.lookup")));
	assert_true(
		slice_equal(slice_of(r->body->string_value.data, r->body->string_value.len),
	                    SLICE_LITERAL("A Nope.example at 10.0.0.53:53 failed: name_error")));
	end(&s);
	(void)state;
}

static void a_log_record_has_sixteen_answers_at_most(void **state)
{
	enum { RECORDS = 20, SIZE = 16, AT = DNS_HEADER_SIZE + 18 };
	const Otlp__AnyValue *answers;
	union scripted *a;
	struct stage s;

	begin(&s);
	a = answer_put("many.example", 0);
	assert_int_equal(a->head.length, AT + SIZE);
	for (size_t i = 1; i < RECORDS; i++)
		memcpy(a->head.message + AT + i * SIZE, a->head.message + AT, SIZE);
	a->head.message[7] = RECORDS;
	a->head.length = a->head.copied = AT + RECORDS * SIZE;
	stage_create(&s, &receiver_dns_type, "{events: all}", SIGNAL_LOGS);
	WAIT_UNTIL(&s, s.n_kept);
	answers = attribute_find(record_of(s.kept[0], "many.example")->attributes,
	                         record_of(s.kept[0], "many.example")->n_attributes,
	                         SEMCONV_DNS_ANSWERS);
	assert_non_null(answers);
	assert_int_equal(answers->array_value->n_values, 16);
	end(&s);
	(void)state;
}

static void no_lookup_becomes_a_log_record_where_that_is_off(void **state)
{
	struct stage s;

	begin(&s);
	answer_put("www.example.org", 2);
	stage_create(&s, &receiver_dns_type, "{collection_interval: 100ms, events: none}",
	             SIGNAL_LOGS);
	WAIT_UNTIL(&s, stage_figure(&s, "weir_receiver_dns_lookups") == 1);
	stage_shutdown(&s, clock_monotonic_ns() + 5 * NS_PER_S);
	WAIT_UNTIL(&s, s.closed);
	assert_int_equal(s.n_kept, 0);
	end(&s);
	(void)state;
}

static void all_lookups_become_log_records_with_their_answers(void **state)
{
	const Otlp__AnyValue *answers;
	const Otlp__LogRecord *r;
	struct stage s;

	begin(&s);
	answer_put("good.example", 0);
	stage_create(&s, &receiver_dns_type, "{events: all}", SIGNAL_LOGS);
	WAIT_UNTIL(&s, s.n_kept);
	r = record_of(s.kept[0], "good.example");
	assert_non_null(r);
	answers = attribute_find(r->attributes, r->n_attributes, SEMCONV_DNS_ANSWERS);
	assert_non_null(answers);
	assert_int_equal(answers->value_case, OTLP__ANY_VALUE__VALUE_ARRAY_VALUE);
	assert_int_equal(answers->array_value->n_values, 1);
	assert_memory_equal(answers->array_value->values[0]->string_value.data, "192.0.2.1", 9);
	assert_float_equal(attribute_find(r->attributes, r->n_attributes, SEMCONV_WEIR_DNS_DURATION)
	                           ->double_value,
	                   0.002, 1e-6);
	end(&s);
	(void)state;
}

static void addresses_are_kept_under_the_name_that_was_asked_for(void **state)
{
	struct address address;
	struct slice name;
	struct stage s;

	begin(&s);
	address_parse(SLICE_LITERAL("192.0.2.1"), &address);
	answer_put("Www.Example.org", 0);
	answer_put("server.example.org", 0)->head.flow.role = ROLE_SERVER; /* not this one */
	stage_create(&s, &receiver_dns_type, "{collection_interval: 100ms}", SIGNAL_METRICS);
	WAIT_UNTIL(&s, s.n_kept);
	name = names_find(s.host.names, 99, &address, clock_monotonic_ns());
	assert_true(slice_equal(name, SLICE_LITERAL("www.example.org")));
	end(&s);
	(void)state;
}

static void who_asks_for_names_has_them_from_what_is_still_in_the_ring(void **state)
{
	struct address address;
	struct stage s;

	begin(&s);
	address_parse(SLICE_LITERAL("192.0.2.1"), &address);
	stage_create(&s, &receiver_dns_type, "{}", SIGNAL_METRICS);
	answer_put("www.example.org", 0);
	assert_int_equal(names_find(s.host.names, 99, &address, clock_monotonic_ns()).len, 0);
	names_catch_up(s.host.names);
	assert_true(slice_equal(names_find(s.host.names, 99, &address, clock_monotonic_ns()),
	                        SLICE_LITERAL("www.example.org")));
	end(&s);
	(void)state;
}

/* As when a configuration is loaded again. */
static void names_outlive_the_receiver(void **state)
{
	struct address address;
	struct stage s;

	begin(&s);
	address_parse(SLICE_LITERAL("192.0.2.1"), &address);
	stage_create(&s, &receiver_dns_type, "{}", SIGNAL_METRICS);
	answer_put("www.example.org", 0);
	names_catch_up(s.host.names);
	stage_shutdown(&s, clock_monotonic_ns());
	stage_wait(&s, &s.closed);
	s.component->type->destroy(s.component);
	s.closed = false;
	names_catch_up(s.host.names);
	stage_create(&s, &receiver_dns_type, "{}", SIGNAL_METRICS);
	assert_true(slice_equal(names_find(s.host.names, 99, &address, clock_monotonic_ns()),
	                        SLICE_LITERAL("www.example.org")));
	end(&s);
	(void)state;
}

/* What was no question, and nobody answered. */
static void a_log_record_without_an_answer_has_the_time_of_its_question(void **state)
{
	uint64_t ahead = clock_realtime_ns() - clock_monotonic_ns(), asked;
	const Otlp__LogRecord *r;
	union scripted *a;
	struct stage s;

	begin(&s);
	a = answer_put("malformed.example", 0);
	a->head.message[2] = 0;
	a->head.answered_ns = 0;
	asked = a->head.first_ns + ahead;
	stage_create(&s, &receiver_dns_type, "", SIGNAL_LOGS);
	WAIT_UNTIL(&s, s.n_kept);
	r = record_of(s.kept[0], "malformed.example");
	assert_non_null(r);
	assert_true(says(r, SEMCONV_ERROR_TYPE, "malformed"));
	assert_in_range(r->time_unix_nano, asked - NS_PER_S, asked + NS_PER_S);
	assert_null(attribute_find(r->attributes, r->n_attributes, SEMCONV_WEIR_DNS_DURATION));
	end(&s);
	(void)state;
}

/* Names hold any byte; strings of OTLP are UTF-8. */
static void hostile_names_are_told_in_visible_characters(void **state)
{
	static const char asked[] = "Ev\xffil\n\x1b[2J.example",
			  told[] = "Ev\\255il\\010\\027[2J.example",
			  lower[] = "ev\\255il\\010\\027[2j.example";
	struct address address;
	struct stage s;

	begin(&s);
	address_parse(SLICE_LITERAL("192.0.2.1"), &address);
	answer_put(asked, 0);
	stage_create(&s, &receiver_dns_type, "{collection_interval: 100ms, events: all}",
	             SIGNAL_METRICS);
	WAIT_UNTIL(&s, s.n_kept);
	assert_int_equal(lookups(s.kept[0], SEMCONV_DNS_QUESTION_NAME, lower), 1);
	assert_true(slice_equal(names_find(s.host.names, 99, &address, clock_monotonic_ns()),
	                        slice_from_string(lower)));
	end(&s);
	begin(&s);
	answer_put(asked, 0);
	stage_create(&s, &receiver_dns_type, "{events: all}", SIGNAL_LOGS);
	WAIT_UNTIL(&s, s.n_kept);
	assert_non_null(record_of(s.kept[0], told));
	end(&s);
	(void)state;
}

/* Whoever may send packets to this host must not name addresses: only who was asked may, once. */
static void an_answer_that_was_not_asked_for_names_nothing(void **state)
{
	struct address address;
	union scripted *a;
	struct stage s;

	begin(&s);
	address_parse(SLICE_LITERAL("192.0.2.1"), &address);
	answer_put("asked-of-us.example", 0)->head.flow.role = ROLE_SERVER;
	answer_put("nobody-knows-who.example", 0)->head.flow.role = ROLE_UNKNOWN;
	answer_put("forged.example", 0)->head.flags = DNS_ANSWER_OTHER_ADDRESS;
	answer_put("cut-short.example", 0)->head.message[2] |= 2;     /* TC */
	answer_put("failed.example", 0)->head.message[3] |= 2;        /* SERVFAIL */
	answer_put("a-question.example", 0)->head.message[2] &= 0x7f; /* QR */
	a = answer_put("no-question.example", 0);
	a->head.flags = DNS_ANSWER_WITHOUT_QUESTION;
	a->head.message[5] = 0;
	stage_create(&s, &receiver_dns_type, "{collection_interval: 100ms}", SIGNAL_METRICS);
	WAIT_UNTIL(&s, s.n_kept);
	assert_int_equal(lookups(s.kept[0], NULL, NULL), 6); /* all but the forged one */
	assert_int_equal(stage_figure(&s, "weir_receiver_dns_lookups"), 6);
	assert_int_equal(stage_figure(&s, "weir_receiver_dns_misdirected_answers"), 1);
	assert_int_equal(
		names_find(s.host.names, NAMES_ANY_NETWORK, &address, clock_monotonic_ns()).len, 0);
	end(&s);
	(void)state;
}

static void names_are_not_kept_where_that_is_off(void **state)
{
	struct address address;
	struct stage s;

	begin(&s);
	address_parse(SLICE_LITERAL("192.0.2.1"), &address);
	names_limit(s.host.names, 10, NS_PER_S);
	answer_put("www.example.org", 0);
	stage_create(&s, &receiver_dns_type,
	             "{collection_interval: 100ms, names: {max_entries: 0}}", SIGNAL_METRICS);
	WAIT_UNTIL(&s, s.n_kept);
	assert_int_equal(
		names_find(s.host.names, NAMES_ANY_NETWORK, &address, clock_monotonic_ns()).len, 0);
	end(&s);
	(void)state;
}

static void a_next_component_that_is_stuck_costs_no_delta(void **state)
{
	uint64_t sent = 0;
	struct stage s;

	begin(&s);
	stage_create(&s, &receiver_dns_type, "{collection_interval: 100ms, temporality: delta}",
	             SIGNAL_METRICS);
	for (int i = 1; i <= DELIVERY_UNFINISHED; i++) {
		answer_put("www.example.org", 0);
		WAIT_UNTIL(&s, s.n_kept == i);
	}
	answer_put("www.example.org", 0);
	answer_put("www.example.org", 0);
	WAIT_UNTIL(&s, stage_figure(&s, "weir_receiver_dns_collections_skipped") >= 2);
	assert_int_equal(s.n_kept, DELIVERY_UNFINISHED);
	while (s.n_kept) {
		sent += lookups(s.kept[0], NULL, NULL);
		stage_answer(&s, delivered);
	}
	WAIT_UNTIL(&s, s.n_kept);
	sent += lookups(s.kept[0], NULL, NULL);
	assert_int_equal(sent, DELIVERY_UNFINISHED + 2);
	end(&s);
	(void)state;
}

/* Of the first series in a batch. */
static const Otlp__HistogramDataPoint *first_point(struct batch *b)
{
	opened(b);
	return b->first->metrics->scope_metrics[0]->metrics[0]->histogram->data_points[0];
}

static void delta_points_begin_where_the_last_ended(void **state)
{
	uint64_t start, end_of_first;
	struct stage s;

	begin(&s);
	stage_create(&s, &receiver_dns_type, "{collection_interval: 100ms, temporality: delta}",
	             SIGNAL_METRICS);
	answer_put("www.example.org", 0);
	WAIT_UNTIL(&s, s.n_kept == 1);
	answer_put("www.example.org", 0);
	WAIT_UNTIL(&s, s.n_kept == 2);
	start = first_point(s.kept[0])->start_time_unix_nano;
	end_of_first = first_point(s.kept[0])->time_unix_nano;
	assert_true(start < end_of_first);
	assert_true(first_point(s.kept[1])->start_time_unix_nano >= end_of_first);
	assert_int_equal(first_point(s.kept[1])->count, 1);
	end(&s);
	begin(&s);
	stage_create(&s, &receiver_dns_type, "{collection_interval: 100ms}", SIGNAL_METRICS);
	answer_put("www.example.org", 0);
	WAIT_UNTIL(&s, s.n_kept == 2);
	assert_int_equal(first_point(s.kept[1])->start_time_unix_nano,
	                 first_point(s.kept[0])->start_time_unix_nano);
	end(&s);
	(void)state;
}

/* Each takes more than a KiB: its name is written as \DDD. */
static void log_records_that_wait_are_bounded_in_bytes(void **state)
{
	enum {
		MADE = DELIVERY_UNFINISHED * DELIVERY_LOGS_AT_ONCE + DELIVERY_LOGS_WAITING,
		LEAST = 1200
	};
	char name[250];
	struct stage s;

	memset(name, 1, sizeof name);
	for (size_t i = 60; i < sizeof name; i += 61)
		name[i] = '.';
	name[sizeof name - 1] = '\0';
	begin(&s);
	for (int i = 0; i < MADE; i++)
		answer_put(name, 2);
	stage_create(&s, &receiver_dns_type, "", SIGNAL_LOGS);
	WAIT_UNTIL(&s, kernel.from == kernel.to);
	assert_int_equal(s.n_kept, DELIVERY_UNFINISHED);
	assert_true(stage_figure(&s, "weir_receiver_dns_dropped_log_records") >=
	            DELIVERY_LOGS_WAITING - DELIVERY_LOGS_WAITING_BYTES / LEAST);
	s.answer_at_once = true;
	s.answer = delivered;
	end(&s);
	(void)state;
}

static void beyond_their_bound_log_records_are_dropped_and_counted(void **state)
{
	enum { MADE = DELIVERY_UNFINISHED * DELIVERY_LOGS_AT_ONCE + DELIVERY_LOGS_WAITING + 500 };
	size_t items = 0;
	struct stage s;

	begin(&s);
	for (int i = 0; i < MADE; i++)
		answer_put("www.example.org", 2);
	stage_create(&s, &receiver_dns_type, "", SIGNAL_LOGS);
	WAIT_UNTIL(&s, kernel.from == kernel.to);
	assert_int_equal(s.n_kept, DELIVERY_UNFINISHED);
	assert_true(stage_figure(&s, "weir_receiver_dns_dropped_log_records") > 0);
	items = (size_t)stage_figure(&s, "weir_receiver_dns_dropped_log_records");
	while (items < MADE) {
		WAIT_UNTIL(&s, s.n_kept);
		items += s.kept[0]->items;
		stage_answer(&s, delivered);
	}
	assert_int_equal(items, MADE);
	end(&s);
	(void)state;
}

static void a_series_that_nothing_touches_is_dropped(void **state)
{
	struct stage s;

	begin(&s);
	answer_put("www.example.org", 0);
	stage_create(&s, &receiver_dns_type,
	             "{collection_interval: 100ms, temporality: delta, series_ttl: 1s}",
	             SIGNAL_METRICS);
	WAIT_UNTIL(&s, s.n_kept);
	assert_int_equal(stage_figure(&s, "weir_receiver_dns_series"), 1);
	WAIT_UNTIL(&s, stage_figure(&s, "weir_receiver_dns_series") == 0);
	end(&s);
	(void)state;
}

/* The next collection would have repeated them. */
static void a_series_stays_while_its_points_are_refused(void **state)
{
	struct stage s;

	begin(&s);
	s.answer_at_once = true;
	s.answer = (struct outcome){.status = OUTCOME_RETRY};
	answer_put("www.example.org", 0);
	stage_create(&s, &receiver_dns_type, "{collection_interval: 100ms, series_ttl: 1s}",
	             SIGNAL_METRICS);
	WAIT_UNTIL(&s, stage_figure(&s, "weir_receiver_dns_refused_items") >= 13);
	assert_int_equal(stage_figure(&s, "weir_receiver_dns_series"), 1);
	s.answer = delivered;
	WAIT_UNTIL(&s, stage_figure(&s, "weir_receiver_dns_series") == 0);
	end(&s);
	(void)state;
}

static void a_series_stays_while_nobody_knows_whether_its_points_came(void **state)
{
	struct stage s;

	begin(&s);
	answer_put("www.example.org", 0);
	stage_create(&s, &receiver_dns_type, "{collection_interval: 100ms, series_ttl: 1s}",
	             SIGNAL_METRICS);
	WAIT_UNTIL(&s, stage_figure(&s, "weir_receiver_dns_collections_skipped") >= 13);
	assert_int_equal(stage_figure(&s, "weir_receiver_dns_series"), 1);
	s.answer_at_once = true;
	s.answer = delivered;
	while (s.n_kept)
		stage_answer(&s, delivered);
	WAIT_UNTIL(&s, stage_figure(&s, "weir_receiver_dns_series") == 0);
	end(&s);
	(void)state;
}

static void a_batch_of_log_records_that_is_refused_comes_again(void **state)
{
	struct stage s;

	begin(&s);
	answer_put("www.example.org", 2);
	stage_create(&s, &receiver_dns_type, "{collection_interval: 100ms}", SIGNAL_LOGS);
	WAIT_UNTIL(&s, s.n_kept);
	stage_answer(&s, (struct outcome){.status = OUTCOME_RETRY});
	WAIT_UNTIL(&s, s.n_kept);
	assert_non_null(record_of(s.kept[0], "www.example.org"));
	stage_answer(&s, delivered);
	end(&s);
	(void)state;
}

static void shutdown_sends_what_came_last(void **state)
{
	struct stage s;

	begin(&s);
	stage_create(&s, &receiver_dns_type, "{collection_interval: 1h}", SIGNAL_METRICS);
	answer_put("last.example", 0);
	pending_put("waits.example", clock_monotonic_ns());
	pending_put("late.example", clock_monotonic_ns() - 6 * NS_PER_S);
	stage_shutdown(&s, clock_monotonic_ns() + 5 * NS_PER_S);
	WAIT_UNTIL(&s, s.n_kept);
	assert_int_equal(lookups(s.kept[0], SEMCONV_DNS_QUESTION_NAME, "last.example"), 1);
	assert_int_equal(lookups(s.kept[0], SEMCONV_ERROR_TYPE, "timeout"), 1);
	assert_int_equal(lookups(s.kept[0], SEMCONV_DNS_QUESTION_NAME, "waits.example"), 0);
	stage_answer(&s, delivered);
	WAIT_UNTIL(&s, s.closed);
	end(&s);
	(void)state;
}

static void shutdown_waits_for_outcomes_but_not_beyond_the_deadline(void **state)
{
	uint64_t begun;
	struct stage s;

	begin(&s);
	answer_put("www.example.org", 2);
	stage_create(&s, &receiver_dns_type, "{collection_interval: 1h, temporality: delta}",
	             SIGNAL_LOGS);
	WAIT_UNTIL(&s, s.n_kept);
	begun = clock_monotonic_ns();
	stage_shutdown(&s, begun + 300 * NS_PER_MS);
	WAIT_UNTIL(&s, s.closed);
	assert_true(clock_monotonic_ns() - begun >= 300 * NS_PER_MS);
	assert_int_equal(kernel.closed, 1);
	receiver_dns_type.destroy(s.component);
	s.component = NULL;
	stage_answer(&s, (struct outcome){.status = OUTCOME_RETRY}); /* late, to nobody */
	end(&s);
	(void)state;
}

static void a_sweep_goes_on_in_the_next_turns_of_the_loop(void **state)
{
	struct stage s;
	unsigned sweeps;

	begin(&s);
	kernel.sweep_max = 2;
	for (int i = 0; i < 5; i++)
		pending_put("late.example", clock_monotonic_ns() - 6 * NS_PER_S);
	stage_create(&s, &receiver_dns_type, "{collection_interval: 100ms}", SIGNAL_METRICS);
	WAIT_UNTIL(&s, kernel.sweeps > 0);
	assert_int_equal(kernel.n_pending, 3);
	sweeps = kernel.sweeps;
	WAIT_UNTIL(&s, kernel.n_pending == 0);
	assert_int_equal(kernel.sweeps, sweeps + 2);
	/* And all at once at the end. */
	for (int i = 0; i < 5; i++)
		pending_put("late.example", clock_monotonic_ns() - 6 * NS_PER_S);
	end(&s);
	assert_int_equal(kernel.n_pending, 0);
	(void)state;
}

static void a_sweep_that_fails_is_reported_until_one_works(void **state)
{
	struct stage s;

	begin(&s);
	kernel.sweep_error = -EIO;
	stage_create(&s, &receiver_dns_type, "{collection_interval: 100ms}", SIGNAL_METRICS);
	WAIT_UNTIL(&s, s.status == STATUS_RECOVERABLE_ERROR);
	kernel.sweep_error = 0;
	WAIT_UNTIL(&s, s.status == STATUS_OK);
	assert_true(stage_figure(&s, "weir_receiver_dns_sweeps_failed") >= 1);
	end(&s);
	(void)state;
}

static void what_the_kernel_lost_is_counted(void **state)
{
	struct stage s;

	begin(&s);
	stage_create(&s, &receiver_dns_type, "{collection_interval: 100ms}", SIGNAL_METRICS);
	for (uint64_t i = 0; i < DNS_LOSS_COUNT; i++)
		kernel.losses[i] = i + 1;
	assert_int_equal(stage_figure(&s, "weir_receiver_dns_losses"),
	                 DNS_LOSS_COUNT * (DNS_LOSS_COUNT + 1) / 2);
	end(&s);
	(void)state;
}

static void a_refusing_kernel_is_named(void **state)
{
	struct error error = ERROR_INIT;
	struct create_args args = {.id = "dns"};
	struct stage s;

	begin(&s);
	kernel.open_error = -EPERM;
	args.host = &s.host;
	args.config = stage_config(&s, &receiver_dns_type, "");
	assert_int_equal(receiver_dns_type.create(&args, &s.component, &error), 0);
	assert_int_equal(receiver_dns_type.start(s.component, &error), -EPERM);
	assert_string_equal(error.message, "receiver dns: CAP_BPF is missing; run as root");
	end(&s);
	(void)state;
}

static void wrong_ports_are_refused(void **state)
{
	struct stage s;

	begin(&s);
	stage_expect_refused(&s, &receiver_dns_type, "{ports: []}",
	                     "`ports` must name 1 to 16 ports");
	end(&s);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts_lookups_by_name_code_and_server),
		cmocka_unit_test(unanswered_questions_are_lookups_that_failed),
		cmocka_unit_test(failed_lookups_become_log_records),
		cmocka_unit_test(a_log_record_has_sixteen_answers_at_most),
		cmocka_unit_test(no_lookup_becomes_a_log_record_where_that_is_off),
		cmocka_unit_test(all_lookups_become_log_records_with_their_answers),
		cmocka_unit_test(a_log_record_without_an_answer_has_the_time_of_its_question),
		cmocka_unit_test(hostile_names_are_told_in_visible_characters),
		cmocka_unit_test(addresses_are_kept_under_the_name_that_was_asked_for),
		cmocka_unit_test(who_asks_for_names_has_them_from_what_is_still_in_the_ring),
		cmocka_unit_test(names_outlive_the_receiver),
		cmocka_unit_test(an_answer_that_was_not_asked_for_names_nothing),
		cmocka_unit_test(names_are_not_kept_where_that_is_off),
		cmocka_unit_test(a_next_component_that_is_stuck_costs_no_delta),
		cmocka_unit_test(delta_points_begin_where_the_last_ended),
		cmocka_unit_test(log_records_that_wait_are_bounded_in_bytes),
		cmocka_unit_test(beyond_their_bound_log_records_are_dropped_and_counted),
		cmocka_unit_test(a_series_that_nothing_touches_is_dropped),
		cmocka_unit_test(a_series_stays_while_its_points_are_refused),
		cmocka_unit_test(a_series_stays_while_nobody_knows_whether_its_points_came),
		cmocka_unit_test(a_batch_of_log_records_that_is_refused_comes_again),
		cmocka_unit_test(shutdown_sends_what_came_last),
		cmocka_unit_test(shutdown_waits_for_outcomes_but_not_beyond_the_deadline),
		cmocka_unit_test(a_sweep_goes_on_in_the_next_turns_of_the_loop),
		cmocka_unit_test(a_sweep_that_fails_is_reported_until_one_works),
		cmocka_unit_test(what_the_kernel_lost_is_counted),
		cmocka_unit_test(a_refusing_kernel_is_named),
		cmocka_unit_test(wrong_ports_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
