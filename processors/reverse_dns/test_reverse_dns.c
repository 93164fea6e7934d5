#include "processors/reverse_dns/reverse_dns_internal.h"

#include "core/data/build.h"
#include "core/names/names.h"
#include "tests/support/component_stage.h"
#include "tests/support/failing_memory.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

extern const struct component_type processor_reverse_dns_type;

static const struct component_type *const reverse_dns = &processor_reverse_dns_type;

static char hosts_path[] = "/tmp/weir-test-hosts-XXXXXX";

static void hosts_write(const char *text)
{
	char fresh[sizeof hosts_path + 4];
	FILE *f;

	snprintf(fresh, sizeof fresh, "%s.new", hosts_path);
	f = fopen(fresh, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(rename(fresh, hosts_path), 0);
}

static struct slice text(const char *s)
{
	return slice_from_string(s);
}

struct wanted {
	const char *key, *value; /* value NULL: no attribute of that name */
	int lists;
};

static bool attribute_put(void *arg, struct arena *arena, struct attributes attributes)
{
	const struct wanted *w = arg;
	struct build_list list = {0};

	for (size_t i = 0; i < *attributes.count; i++)
		assert_true(build_list_add(arena, &list, (*attributes.items)[i]));
	assert_true(build_string(arena, &list, w->key, text(w->value)));
	*attributes.items = (Otlp__KeyValue **)list.items;
	*attributes.count = list.count;
	return true;
}

static bool attribute_expect(void *arg, struct arena *arena, struct attributes attributes)
{
	struct wanted *w = arg;
	const Otlp__AnyValue *v = attribute_find(*attributes.items, *attributes.count, w->key);

	w->lists++;
	if (!w->value) {
		assert_null(v);
		return true;
	}
	assert_non_null(v);
	assert_true(
		slice_equal(slice_of(v->string_value.data, v->string_value.len), text(w->value)));
	return true;
}

/* A batch with that attribute on everything that can have attributes. */
static struct batch *batch_with(struct stage *s, enum signal signal, const char *key,
                                const char *value)
{
	struct batch *b = stage_batch(s, signal, 2, 0);
	struct wanted w = {.key = key, .value = value};

	assert_int_equal(batch_open(&b, DEPTH_FULL, NULL), 0);
	assert_true(attributes_each(b, attribute_put, &w));
	return b;
}

/* The same as it comes from a client: bytes. */
static struct batch *batch_of_bytes(struct stage *s, struct batch *b)
{
	struct buffer bytes = BUFFER_INIT;
	struct batch *came;
	struct rcbuf *pin;

	assert_int_equal(batch_encode(b, &bytes, NULL), 0);
	pin = rcbuf_new(bytes.len, s->host.budget);
	assert_non_null(pin);
	memcpy(pin->data, bytes.data, bytes.len);
	assert_int_equal(batch_from_request(b->signal, pin, slice_of(pin->data, bytes.len),
	                                    s->host.budget, &came, NULL),
	                 0);
	rcbuf_unref(pin);
	buffer_fini(&bytes);
	batch_unref(b);
	return came;
}

static void expect(struct stage *s, const char *key, const char *value)
{
	struct wanted w = {.key = key, .value = value};

	assert_int_equal(batch_read(s->kept[0], NULL), 0);
	assert_true(attributes_each(s->kept[0], attribute_expect, &w));
	assert_true(w.lists >= 3); /* the resource and two items */
}

static void answer(struct stage *s)
{
	stage_answer(s, (struct outcome){.status = OUTCOME_OK});
}

static void refuses_what_makes_no_sense(void **state)
{
	struct stage s;

	stage_begin(&s);
	stage_expect_refused(&s, reverse_dns, "{observed: false}",
	                     "no source of names: set at least one of 'observed', 'hosts', "
	                     "'networks' and 'lookups'");
	stage_expect_refused(&s, reverse_dns, "{lookups: {servers: [resolver.example]}}",
	                     "lookups: servers: 'resolver.example' is not an address such as "
	                     "192.0.2.1, 192.0.2.1:5353 or [2001:db8::1]:53");
	stage_expect_refused(&s, reverse_dns, "{lookups: {servers: ['fe80::1%eth0']}}",
	                     "lookups: servers: 'fe80::1%eth0': a zone cannot be named here");
	stage_expect_refused(&s, reverse_dns, "{lookups: {only: [10.0.0.0/40]}}",
	                     "lookups: only: '10.0.0.0/40': the length must be 0 to 32");
	stage_expect_refused(&s, reverse_dns, "{lookups: {resolv_conf: ''}}",
	                     "lookups: no resolver: set at least one of 'servers' and "
	                     "'resolv_conf'");
	stage_expect_refused(&s, reverse_dns, "{lookups: {cache: {min_ttl: 2h}}}",
	                     "lookups: cache: 'min_ttl' must not be above 'max_ttl'");
	stage_expect_refused(&s, reverse_dns, "{attributes: [], hosts: /etc/hosts}",
	                     "'attributes' names none");
	stage_expect_refused(&s, reverse_dns, "{networks: {10.0.0.0/33: x}}",
	                     "networks: '10.0.0.0/33': the length must be 0 to 32");
	stage_expect_refused(&s, reverse_dns, "{networks: {example.com: x}}",
	                     "networks: 'example.com' is not a prefix such as 10.0.0.0/8 or "
	                     "2001:db8::/32");
	stage_expect_refused(&s, reverse_dns, "{networks: {10.0.0.1/8: x}}",
	                     "networks: '10.0.0.1/8' has bits set beyond its length: write the "
	                     "first address of the network");
	stage_expect_refused(&s, reverse_dns,
	                     "{networks: {'2001:db8::/32': x, '2001:0db8::/32': y}}",
	                     "networks: the same network is there twice, as 'x' and 'y'");
	stage_expect_refused(&s, reverse_dns, "{networks: {'::ffff:0:0/90': x}}",
	                     "networks: '::ffff:0:0/90' has bits set beyond its length: write the "
	                     "first address of the network");
	stage_end(&s);
}

static void replaces_addresses_and_keeps_them_in_every_signal(void **state)
{
	static const enum signal signals[] = {SIGNAL_TRACES, SIGNAL_METRICS, SIGNAL_LOGS};

	hosts_write("# here\n192.0.2.1\tdb.example db # first wins\n192.0.2.1 other\n");
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
		struct stage s;
		char config[100];

		stage_begin(&s);
		snprintf(config, sizeof config, "{hosts: %s}", hosts_path);
		stage_create(&s, reverse_dns, config, signals[i]);
		stage_consume(&s, batch_with(&s, signals[i], "server.address", "192.0.2.1"));
		expect(&s, "server.address", "db.example");
		expect(&s, "server.address_ip", "192.0.2.1");
		answer(&s);
		assert_true(stage_figure(&s, "weir_reverse_dns_named_addresses") >= 3);
		assert_true(stage_figure(&s, "weir_reverse_dns_hosts_addresses") == 1);
		stage_end(&s);
	}
}

static void observe(struct stage *s, const char *address, const char *name, uint32_t ttl_s)
{
	struct address a;

	assert_true(address_parse(text(address), &a));
	names_limit(s->host.names, 100, 0);
	names_add(s->host.names, 4026531840, &a, text(name), ttl_s, loop_now_ns(s->host.loop));
}

static double named_by(struct stage *s, const char *source)
{
	return metrics_sum(s->host.metrics, "weir_reverse_dns_named_addresses",
	                   METRICS_LABELS({"source", source}));
}

static void observed_names_come_first_then_hosts_then_networks(void **state)
{
	static const char *const names[] = {"seen.example", "host.example", "ten"};
	char config[120];
	struct stage s;

	hosts_write("10.0.0.1 not-this\n10.0.0.2 host.example\n");
	stage_begin(&s);
	snprintf(config, sizeof config, "{hosts: %s, networks: {10.0.0.0/8: ten}}", hosts_path);
	stage_create(&s, reverse_dns, config, SIGNAL_LOGS);
	observe(&s, "10.0.0.1", "seen.example", 60);
	for (size_t i = 0; i < 3; i++) {
		char address[16];

		snprintf(address, sizeof address, "10.0.0.%zu", i + 1);
		stage_consume(&s, batch_with(&s, SIGNAL_LOGS, "server.address", address));
		expect(&s, "server.address", names[i]);
		expect(&s, "server.address_ip", address);
		answer(&s);
	}
	assert_true(named_by(&s, "observed") >= 3);
	assert_true(named_by(&s, "observed") == named_by(&s, "hosts"));
	assert_true(named_by(&s, "observed") == named_by(&s, "networks"));
	stage_end(&s);
}

static void name_learn(void *arg)
{
	observe(arg, "10.9.9.9", "just.example", 60);
}

/* From the first batch on: what it says without the name would be another series. */
static void what_was_observed_a_moment_ago_is_known(void **state)
{
	struct stage s;
	struct names_witness witness = {.catch_up = name_learn, .arg = &s};

	stage_begin(&s);
	names_join(s.host.names, &witness);
	stage_create(&s, reverse_dns, "{}", SIGNAL_METRICS);
	stage_consume(&s, batch_with(&s, SIGNAL_METRICS, "server.address", "10.9.9.9"));
	expect(&s, "server.address", "just.example");
	answer(&s);
	names_leave(&witness);
	stage_end(&s);
}

static void observed_names_are_used_without_any_option_unless_they_are_off(void **state)
{
	struct stage s;

	stage_begin(&s);
	stage_create(&s, reverse_dns, "", SIGNAL_LOGS);
	observe(&s, "2001:db8::1", "six.example", 60);
	stage_consume(&s, batch_with(&s, SIGNAL_LOGS, "server.address", "2001:db8:0::1"));
	expect(&s, "server.address", "six.example");
	answer(&s);
	stage_end(&s);

	stage_begin(&s);
	stage_create(&s, reverse_dns, "{observed: false, networks: {10.0.0.0/8: ten}}",
	             SIGNAL_LOGS);
	observe(&s, "2001:db8::1", "six.example", 60);
	stage_consume(&s, batch_with(&s, SIGNAL_LOGS, "server.address", "2001:db8::1"));
	expect(&s, "server.address", "2001:db8::1");
	answer(&s);
	stage_end(&s);
}

static void a_file_of_resolvers_must_be_there(void **state)
{
	struct error error = ERROR_INIT;
	struct create_args args = {.id = "reverse_dns", .signal = SIGNAL_LOGS};
	struct stage s;

	stage_begin(&s);
	args.config =
		stage_config(&s, reverse_dns, "{lookups: {resolv_conf: /nowhere/resolv.conf}}");
	args.host = &s.host;
	assert_int_equal(reverse_dns->create(&args, &s.component, &error), 0);
	assert_int_equal(reverse_dns->examine(s.component, &error), -ENOENT);
	assert_string_equal(error.message,
	                    "lookups: cannot read '/nowhere/resolv.conf': No such file or "
	                    "directory; name the resolvers with 'servers'");
	assert_int_equal(reverse_dns->start(s.component, NULL), -ENOENT);
	stage_end(&s);
}

static void writes_names_beside_addresses(void **state)
{
	struct stage s;

	stage_begin(&s);
	stage_create(&s, reverse_dns,
	             "{write: beside, attributes: [network.peer.address], "
	             "networks: {'2001:db8::/32': lab}}",
	             SIGNAL_TRACES);
	stage_consume(&s, batch_with(&s, SIGNAL_TRACES, "network.peer.address", "2001:db8::7"));
	expect(&s, "network.peer.address", "2001:db8::7");
	expect(&s, "network.peer.address_name", "lab");
	answer(&s);
	stage_end(&s);
}

static void what_has_no_name_passes_as_it_came(void **state)
{
	static const struct wanted cases[] = {{"server.address", "198.51.100.1", 0},
	                                      {"server.address", "already.example", 0},
	                                      {"server.address", "", 0},
	                                      {"other.address", "10.0.0.1", 0}};
	struct stage s;

	stage_begin(&s);
	stage_create(&s, reverse_dns, "{networks: {10.0.0.0/8: home}}", SIGNAL_LOGS);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		stage_consume(&s, batch_with(&s, SIGNAL_LOGS, cases[i].key, cases[i].value));
		expect(&s, cases[i].key, cases[i].value);
		expect(&s, "server.address_ip", NULL);
		answer(&s);
	}
	assert_true(stage_figure(&s, "weir_reverse_dns_unnamed_addresses") >= 3);
	assert_true(stage_figure(&s, "weir_reverse_dns_named_addresses") == 0);
	stage_end(&s);
}

static void what_has_no_name_is_not_even_encoded_again(void **state)
{
	struct stage s;
	struct batch *b;
	struct slice wire;

	stage_begin(&s);
	stage_create(&s, reverse_dns, "{networks: {10.0.0.0/8: home}}", SIGNAL_LOGS);
	b = batch_of_bytes(&s, batch_with(&s, SIGNAL_LOGS, "server.address", "198.51.100.1"));
	wire = b->first->wire;
	stage_consume(&s, b);
	assert_non_null(wire.data);
	assert_ptr_equal(s.kept[0]->first->wire.data, wire.data);
	assert_int_equal(s.kept[0]->first->wire.len, wire.len);
	answer(&s);
	stage_end(&s);
}

static void a_batch_that_others_hold_is_not_written_to(void **state)
{
	struct stage s;
	struct batch *b;

	stage_begin(&s);
	stage_create(&s, reverse_dns, "{networks: {10.0.0.0/8: home}}", SIGNAL_LOGS);
	b = batch_of_bytes(&s, batch_with(&s, SIGNAL_LOGS, "server.address", "10.0.0.1"));
	stage_consume(&s, batch_ref(b));
	expect(&s, "server.address", "home");
	expect(&s, "server.address_ip", "10.0.0.1");
	answer(&s);
	stage_consume(&s, b); /* the only holder now */
	expect(&s, "server.address", "home");
	assert_true(stage_figure(&s, "weir_reverse_dns_named_addresses") == 6);
	answer(&s);
	stage_end(&s);
}

static void a_second_attribute_that_is_there_already_stays(void **state)
{
	struct wanted w = {.key = "server.address_ip", .value = "203.0.113.9"};
	struct batch *b;
	struct stage s;

	stage_begin(&s);
	stage_create(&s, reverse_dns, "{networks: {10.0.0.0/8: home}}", SIGNAL_LOGS);
	b = batch_with(&s, SIGNAL_LOGS, "server.address", "10.0.0.1");
	assert_true(attributes_each(b, attribute_put, &w));
	stage_consume(&s, b);
	expect(&s, "server.address", "10.0.0.1");
	expect(&s, "server.address_ip", "203.0.113.9");
	answer(&s);
	stage_end(&s);
}

/* Points that some sender built with one KeyValue for all of them. */
static void attributes_that_items_share_are_each_renamed(void **state)
{
	struct wanted w = {.key = "server.address", .value = "10.0.0.1"};
	Otlp__LogRecord **records;
	struct batch *b;
	struct stage s;

	stage_begin(&s);
	stage_create(&s, reverse_dns, "{networks: {10.0.0.0/8: home}}", SIGNAL_LOGS);
	b = batch_with(&s, SIGNAL_LOGS, w.key, w.value);
	assert_true(b->first->logs->scope_logs[0]->n_log_records >= 2);
	records = b->first->logs->scope_logs[0]->log_records;
	records[1]->attributes[records[1]->n_attributes - 1] =
		records[0]->attributes[records[0]->n_attributes - 1];
	stage_consume(&s, b);
	expect(&s, "server.address", "home");
	expect(&s, "server.address_ip", "10.0.0.1");
	answer(&s);
	stage_end(&s);
}

static Otlp__AnyValue *last_value(const struct batch *b, size_t record)
{
	const Otlp__LogRecord *r = b->first->logs->scope_logs[0]->log_records[record];

	return r->attributes[r->n_attributes - 1]->value;
}

/* Though a batch is walked twice when something in it has a name. */
static void each_address_is_asked_for_and_counted_once(void **state)
{
	static char named[] = "10.0.0.1";
	struct names_stats stats;
	struct batch *b;
	struct stage s;

	stage_begin(&s);
	stage_create(&s, reverse_dns, "", SIGNAL_LOGS);
	observe(&s, named, "seen.example", 60);
	b = batch_with(&s, SIGNAL_LOGS, "server.address", "198.51.100.1");
	/* The resource and the first record have addresses without a name. */
	last_value(b, 1)->string_value = (ProtobufCBinaryData){sizeof named - 1, (uint8_t *)named};
	stage_consume(&s, b);
	assert_true(slice_equal(slice_of(last_value(s.kept[0], 0)->string_value.data,
	                                 last_value(s.kept[0], 0)->string_value.len),
	                        text("198.51.100.1")));
	assert_true(slice_equal(slice_of(last_value(s.kept[0], 1)->string_value.data,
	                                 last_value(s.kept[0], 1)->string_value.len),
	                        text(named))); /* server.address_ip, which is the last now */
	assert_true(stage_figure(&s, "weir_reverse_dns_named_addresses") == 1);
	assert_true(stage_figure(&s, "weir_reverse_dns_unnamed_addresses") == 2);
	names_stats(s.host.names, &stats);
	assert_int_equal(stats.hits, 1);
	assert_int_equal(stats.misses, 2);
	answer(&s);
	stage_end(&s);
}

static void of_a_key_that_stands_twice_the_first_counts(void **state)
{
	struct wanted again = {.key = "server.address", .value = "10.0.0.2"};
	struct batch *b;
	struct stage s;

	stage_begin(&s);
	stage_create(&s, reverse_dns, "{networks: {10.0.0.0/8: home}}", SIGNAL_LOGS);
	b = batch_with(&s, SIGNAL_LOGS, "server.address", "10.0.0.1");
	assert_true(attributes_each(b, attribute_put, &again));
	stage_consume(&s, b);
	expect(&s, "server.address", "home");
	expect(&s, "server.address_ip", "10.0.0.1");
	assert_true(stage_figure(&s, "weir_reverse_dns_named_addresses") == 3);
	answer(&s);
	stage_end(&s);
}

/* Gives batches until the hosts file has been looked at again with that outcome. */
static void wait_for(struct stage *s, const char *figure, double value)
{
	for (int i = 0; i < 100000 && stage_figure(s, figure) != value; i++) {
		stage_consume(s, batch_with(s, SIGNAL_LOGS, "other", "x"));
		answer(s);
		usleep(1000); /* lets the second go by in which it is not looked at */
		loop_run_once(s->host.loop);
	}
	assert_true(stage_figure(s, figure) == value);
}

static void a_hosts_file_is_read_again_when_it_changes(void **state)
{
	char config[100];
	struct stage s;

	hosts_write("192.0.2.1 old\n");
	stage_begin(&s);
	snprintf(config, sizeof config, "{hosts: %s}", hosts_path);
	stage_create(&s, reverse_dns, config, SIGNAL_LOGS);
	hosts_write("192.0.2.1 new\n192.0.2.2 more\n");
	wait_for(&s, "weir_reverse_dns_hosts_addresses", 2);
	stage_consume(&s, batch_with(&s, SIGNAL_LOGS, "server.address", "192.0.2.1"));
	expect(&s, "server.address", "new");
	answer(&s);

	assert_int_equal(unlink(hosts_path), 0);
	wait_for(&s, "weir_reverse_dns_hosts_unreadable", 1);
	assert_true(stage_figure(&s, "weir_reverse_dns_hosts_addresses") == 2);
	stage_end(&s);
	hosts_write("");
}

static void outcome_keep(void *arg, const struct outcome *outcome)
{
	*(enum outcome_status *)arg = outcome->status;
}

static void a_batch_without_memory_for_names_is_refused_with_retry(void **state)
{
	enum outcome_status status;
	char config[120];
	struct stage s;
	bool failed = true;

	hosts_write("192.0.2.1 db\n");
	for (unsigned long n = 1; failed; n++) {
		struct batch *b;

		stage_begin(&s);
		s.answer_at_once = true;
		snprintf(config, sizeof config, "{hosts: %s, networks: {10.0.0.0/8: x}}",
		         hosts_path);
		stage_create(&s, reverse_dns, config, SIGNAL_METRICS);
		b = batch_with(&s, SIGNAL_METRICS, "server.address", "192.0.2.1");
		failing_memory_arm(n);
		reverse_dns->consume(s.component, b, (struct done){outcome_keep, &status});
		failed = failing_memory_disarm();
		assert_int_equal(status, failed ? OUTCOME_RETRY : OUTCOME_OK);
		stage_end(&s);
		assert_true(n < 100);
	}
}

static void tables_survive_failing_allocations(void **state)
{
	struct string_pair pair = {"10.0.0.0/8", "ten"};
	struct string_map map = {&pair, 1};
	bool failed = true;

	hosts_write("192.0.2.1 db\n");
	for (unsigned long n = 1; failed; n++) {
		struct file_version version = {0};
		struct networks *networks = NULL;
		struct hosts *hosts = NULL;
		struct error error = ERROR_INIT;
		int r, read;

		failing_memory_arm(n);
		r = networks_new(&map, &networks, &error);
		read = hosts_read(hosts_path, &version, &hosts, &error);
		failed = failing_memory_disarm();
		assert_true(failed ? (r == -ENOMEM) != (read == -ENOMEM) : r == 0 && read == 1);
		assert_int_equal(error.code, failed ? -ENOMEM : 0);
		networks_free(networks);
		hosts_free(hosts);
	}
}

static const char *label_of(const struct networks *n, const char *address)
{
	struct address a;
	const char *label;

	assert_true(address_parse(text(address), &a));
	label = networks_find(n, &a);
	return label ? label : "none";
}

static void the_longest_prefix_wins(void **state)
{
	struct string_pair pairs[] = {
		{"10.0.0.0/8", "ten"},
		{"10.1.0.0/16", "ten-one"},
		{"10.1.255.0/24", "edge"},
		{"10.2.0.1", "host"},
		{"255.255.255.255", "last"},
		{"::/0", "six"},
		{"2001:db8::/32", "doc"},
		{"ffff:ffff::/32", "end"},
		{"::ffff:12.0.0.0/104", "mapped"},
	};
	struct string_map map = {pairs, sizeof pairs / sizeof *pairs};
	struct networks *n;

	assert_int_equal(networks_new(&map, &n, NULL), 0);
	assert_string_equal(label_of(n, "9.255.255.255"), "none");
	assert_string_equal(label_of(n, "10.0.0.0"), "ten");
	assert_string_equal(label_of(n, "10.1.0.0"), "ten-one");
	assert_string_equal(label_of(n, "10.1.255.7"), "edge");
	assert_string_equal(label_of(n, "10.2.0.0"), "ten");
	assert_string_equal(label_of(n, "10.2.0.1"), "host");
	assert_string_equal(label_of(n, "10.2.0.2"), "ten");
	assert_string_equal(label_of(n, "11.0.0.0"), "none");
	assert_string_equal(label_of(n, "255.255.255.255"), "last");
	assert_string_equal(label_of(n, "255.255.255.254"), "none");
	assert_string_equal(label_of(n, "::ffff:10.0.0.9"), "ten");
	assert_string_equal(label_of(n, "12.1.2.3"), "mapped");
	assert_string_equal(label_of(n, "::"), "six");
	assert_string_equal(label_of(n, "2001:db8::1%eth0"), "doc");
	assert_string_equal(label_of(n, "2001:db9::"), "six");
	assert_string_equal(label_of(n, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), "end");
	networks_free(n);
}

/* The longest prefix by looking at all of them. */
static const char *label_slowly(const uint32_t *firsts, const unsigned *bits, char (*labels)[24],
                                size_t n, uint32_t wanted)
{
	const char *best = "none";
	unsigned longest = 0;

	for (size_t i = 0; i < n; i++) {
		if ((wanted ^ firsts[i]) >> (32 - bits[i]) == 0 && bits[i] > longest) {
			longest = bits[i];
			best = labels[i];
		}
	}
	return best;
}

static void finds_what_a_slow_search_finds(void **state)
{
	enum { PREFIXES = 500, ROUNDS = 5000 };
	static uint32_t firsts[PREFIXES];
	static unsigned bits[PREFIXES];
	static char labels[PREFIXES][24];
	static struct string_pair pairs[PREFIXES];
	struct string_map map = {pairs, 0};
	struct networks *n;

	srand(1);
	for (int i = 0; i < PREFIXES; i++) {
		unsigned b = 4 + (unsigned)rand() % 20, known = 0;
		/* Close to each other, so that many lie in others. */
		uint32_t first = (uint32_t)(rand() % 4096) << 12 >> (32 - b) << (32 - b);

		for (size_t j = 0; j < map.count; j++)
			known |= firsts[j] == first && bits[j] == b;
		if (known)
			continue;
		firsts[map.count] = first;
		bits[map.count] = b;
		snprintf(labels[map.count], sizeof *labels, "%u.%u.%u.%u/%u", first >> 24,
		         first >> 16 & 255, first >> 8 & 255, first & 255, b);
		pairs[map.count] = (struct string_pair){labels[map.count], labels[map.count]};
		map.count++;
	}
	assert_int_equal(networks_new(&map, &n, NULL), 0);
	for (int i = 0; i < ROUNDS; i++) {
		uint32_t wanted = (uint32_t)rand() % (1 << 25);
		char address[32];

		snprintf(address, sizeof address, "%u.%u.%u.%u", wanted >> 24, wanted >> 16 & 255,
		         wanted >> 8 & 255, wanted & 255);
		assert_string_equal(label_of(n, address),
		                    label_slowly(firsts, bits, labels, map.count, wanted));
	}
	networks_free(n);
}

static void hosts_files_of_any_content_are_read(void **state)
{
	struct file_version version = {0};
	struct hosts *h;
	struct address a;

	hosts_write("\n#\n   \n::1 localhost\r\nnot-an-address x\n192.0.2.1\n192.0.2.2 \x01\n"
	            "192.0.2.3 \xff\n fe80::1%lo0\tlink\n192.0.2.4 last");
	assert_int_equal(hosts_read(hosts_path, &version, &h, NULL), 1);
	assert_int_equal(hosts_count(h), 3);
	assert_true(address_parse(text("192.0.2.4"), &a));
	assert_true(slice_equal(hosts_find(h, &a), text("last")));
	assert_true(address_parse(text("::1"), &a));
	assert_true(slice_equal(hosts_find(h, &a), text("localhost")));
	assert_true(address_parse(text("192.0.2.3"), &a));
	assert_int_equal(hosts_find(h, &a).len, 0);
	hosts_free(h);
	assert_int_equal(hosts_read(hosts_path, &version, &h, NULL), 0);
	assert_int_equal(hosts_read("/tmp", &version, &h, NULL), -EINVAL);
	assert_int_equal(hosts_read("/nowhere/hosts", &version, &h, NULL), -ENOENT);
}

static int path_make(void **state)
{
	int fd = mkstemp(hosts_path);

	return fd < 0 ? -1 : close(fd);
}

static int path_remove(void **state)
{
	return unlink(hosts_path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refuses_what_makes_no_sense),
		cmocka_unit_test(replaces_addresses_and_keeps_them_in_every_signal),
		cmocka_unit_test(observed_names_come_first_then_hosts_then_networks),
		cmocka_unit_test(what_was_observed_a_moment_ago_is_known),
		cmocka_unit_test(observed_names_are_used_without_any_option_unless_they_are_off),
		cmocka_unit_test(a_file_of_resolvers_must_be_there),
		cmocka_unit_test(writes_names_beside_addresses),
		cmocka_unit_test(what_has_no_name_passes_as_it_came),
		cmocka_unit_test(what_has_no_name_is_not_even_encoded_again),
		cmocka_unit_test(a_batch_that_others_hold_is_not_written_to),
		cmocka_unit_test(a_second_attribute_that_is_there_already_stays),
		cmocka_unit_test(attributes_that_items_share_are_each_renamed),
		cmocka_unit_test(each_address_is_asked_for_and_counted_once),
		cmocka_unit_test(of_a_key_that_stands_twice_the_first_counts),
		cmocka_unit_test(a_hosts_file_is_read_again_when_it_changes),
		cmocka_unit_test(a_batch_without_memory_for_names_is_refused_with_retry),
		cmocka_unit_test(tables_survive_failing_allocations),
		cmocka_unit_test(the_longest_prefix_wins),
		cmocka_unit_test(finds_what_a_slow_search_finds),
		cmocka_unit_test(hosts_files_of_any_content_are_read),
	};
	return cmocka_run_group_tests(tests, path_make, path_remove);
}
