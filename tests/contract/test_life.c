/* Every registered component type, led through its life:
 *
 *   create -> [start] -> [consume] -> shutdown -> closed exactly once -> destroy
 *
 * never started, started, started in vain, with data, and each of it again with the first, second,
 * ... allocation failing until nothing fails any more. After each life nothing may be left: no
 * handle on the loop, no byte on the budget, no batch without its outcome. */
#include "config/walk.h"
#include "core/base/clock.h"
#include "core/component.h"
#include "core/loop/timer.h"
#include "core/names/names.h"
#include "core/pipeline/plan.h"
#include "core/self/health.h"
#include "core/self/metrics.h"
#include "tests/support/failing_memory.h"
#include "tests/support/folder.h"
#include "tests/unit/export/make_batch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

/* The least configuration each type needs, and one with which start() must fail. %s is a folder
 * that is thrown away. Types that are not named here get their defaults. */
static const struct {
	enum component_kind kind;
	const char *name, *config, *failing;
} configs[] = {
	{EXPORTER, "file", "{path: '%s/out.jsonl'}", "{path: '%s/no/such/folder/out.jsonl'}"},
	{EXPORTER, "otlp", "{endpoint: '127.0.0.1:9', tls: {insecure: true}}",
         "{endpoint: '127.0.0.1:9', tls: {ca_file: '%s/none.pem'}}"},
	{EXTENSION, "basicauth", "{client_auth: {username: u, password: p}}",
         "{htpasswd: {file: '%s/none'}}"},
	{EXTENSION, "bearertokenauth", "{token: t}", "{filename: '%s/none'}"},
	{EXTENSION, "health_check", "{endpoint: 'localhost:0'}", "{endpoint: '192.0.2.1:1'}"},
	{EXPORTER, "otlphttp", "{endpoint: 'http://127.0.0.1:9'}",
         "{endpoint: 'https://127.0.0.1:9', tls: {ca_file: '%s/none.pem'}}"},
	{EXPORTER, "prometheus", "{endpoint: '127.0.0.1:0'}", "{endpoint: '192.0.2.1:1'}"},
	{EXPORTER, "prometheusremotewrite", "{endpoint: 'http://127.0.0.1:9/write'}",
         "{endpoint: 'https://127.0.0.1:9/write', tls: {ca_file: '%s/none.pem'}}"},
	{RECEIVER, "otlp",
         "{protocols: {grpc: {endpoint: '127.0.0.1:0'}, http: {endpoint: '127.0.0.1:0'}}}",
         "{protocols: {grpc: {endpoint: '127.0.0.1:0'}, http: {endpoint: '192.0.2.1:1'}}}"},
	{PROCESSOR, "attributes",
         "{include: {match_type: regexp, span_names: ['.']}, actions: [{key: a, action: upsert, "
         "value: x}, {key: b, action: upsert, from_attribute: a}, {key: a, action: hash}, {key: b, "
         "action: extract, pattern: '(?P<c>.*)'}, {pattern: c, action: delete}, {key: b, action: "
         "convert, converted_type: int}]}",
         NULL},
	{PROCESSOR, "resource",
         "{attributes: [{key: a, action: upsert, from_context: client.address, default_value: x}, "
         "{key: a, action: hash}]}",
         NULL},
	{PROCESSOR, "memory_limiter", "{check_interval: 1s, limit_mib: 100}", NULL},
	{PROCESSOR, "reverse_dns",
         "{networks: {10.0.0.0/8: home}, lookups: {servers: ['127.0.0.1:9'], only: [10.0.0.0/8]}}",
         "{hosts: '%s/none'}"},
};

enum { UNSTARTED, STARTED, FED, FAILING_START }; /* how far a life goes */

enum {
	SHUTDOWN_S = 1,
	PATIENCE_S = 20,       /* until closed must have come */
	ALLOCATIONS_MAX = 5000 /* of one life; more means that it never passes */
};
/* Loading programs into the kernel takes long: the sweep over their allocations stops then. */
#define BPF_SWEEP_NS (20 * NS_PER_S)

struct life {
	const struct component_type *type;
	struct arena arena; /* of the configuration */
	void *config;
	struct loop *loop;
	struct timer *patience;
	struct budget budget;
	struct metrics *metrics;
	struct health *health;
	struct names *names;
	struct host host;
	struct component *component;
	struct batch *batch; /* to be fed; made before allocations fail */
	unsigned closed, sent, answered;
	bool out_of_patience;
	struct error error; /* of create or start */
};

static void on_report(const struct host *host, const struct component *c,
                      enum component_status status, const struct error *error)
{
}

static void on_patience_gone(void *arg)
{
	struct life *l = arg;

	l->out_of_patience = true;
}

static void on_closed(void *arg)
{
	struct life *l = arg;

	l->closed++;
}

static void on_done(void *arg, const struct outcome *outcome)
{
	struct life *l = arg;

	l->answered++;
}

/* What comes after the component: takes everything. */
static void swallow(void *self, struct batch *batch, struct done done)
{
	batch_unref(batch);
	done_ok(done);
}

static const char *config_text(const struct component_type *type, bool failing)
{
	for (size_t i = 0; i < sizeof configs / sizeof *configs; i++)
		if (configs[i].kind == type->kind && strcmp(configs[i].name, type->name) == 0)
			return failing ? configs[i].failing : configs[i].config;
	return failing ? NULL : "{}";
}

static void fill_config(struct life *l, const char *pattern)
{
	struct diagnostics d;
	const struct node *node;
	struct walk walk = {.arena = &l->arena, .diagnostics = &d};
	struct error error = ERROR_INIT;
	struct buffer text = BUFFER_INIT;
	const char *place = strstr(pattern, "%s");

	diagnostics_init(&d);
	if (place) {
		buffer_append(&text, pattern, (size_t)(place - pattern));
		buffer_append_string(&text, folder_path());
		pattern = place + 2;
	}
	buffer_append_string(&text, pattern);
	arena_init(&l->arena, NULL);
	l->config = arena_alloc(&l->arena, l->type->config_size + 1);
	assert_int_equal(yaml_read(buffer_slice(&text), "life", &l->arena, &d, &node), 0);
	walk_config(&walk, l->type->options, l->config, node, node->at, "");
	for (size_t i = 0; i < d.count; i++)
		print_error("%s\n", d.items[i].message);
	assert_int_equal(d.errors, 0);
	if (l->type->check && l->type->check(l->config, &error) < 0)
		fail_msg("%s", error.message);
	buffer_fini(&text);
	diagnostics_fini(&d);
}

static enum signal first_signal(const struct component_type *type)
{
	for (int s = 0; s < SIGNAL_COUNT; s++)
		if (type->signals & SIGNAL_BIT(s))
			return (enum signal)s;
	return SIGNAL_TRACES;
}

static void open_life(struct life *l, const struct component_type *type, const char *config)
{
	*l = (struct life){.type = type};
	fill_config(l, config);
	assert_int_equal(loop_new(&l->loop, NULL), 0);
	l->metrics = metrics_new();
	l->patience = timer_new(l->loop, on_patience_gone, l);
	l->health = health_new(&l->budget);
	assert_non_null(l->metrics);
	l->names = names_new(&l->budget);
	assert_non_null(l->health);
	assert_non_null(l->names);
	assert_non_null(l->patience);
	l->host = (struct host){
		.loop = l->loop,
		.budget = &l->budget,
		.metrics = l->metrics,
		.health = l->health,
		.names = l->names,
		.version = "0.0.0",
		.report = on_report,
	};
	l->batch = make_batch(3, 0, &l->budget);
	assert_non_null(l->batch);
}

static int create(struct life *l)
{
	struct create_args args = {
		.id = l->type->name,
		.config = l->config,
		.host = &l->host,
		.signal = first_signal(l->type),
	};

	for (int s = 0; s < SIGNAL_COUNT && l->type->kind != EXPORTER; s++)
		if (l->type->signals & SIGNAL_BIT(s))
			args.next[s] = (struct consumer){swallow, l};
	return l->type->create(&args, &l->component, &l->error);
}

static void feed(struct life *l)
{
	struct batch *batch = l->batch;

	if (!l->type->consume || !(l->type->signals & SIGNAL_BIT(SIGNAL_TRACES)))
		return;
	l->batch = NULL;
	l->sent++;
	l->type->consume(l->component, batch, (struct done){on_done, l});
}

/* Returns start's result; 0 when it was not started. */
static int live(struct life *l, int how)
{
	int r = create(l);

	if (r < 0) {
		assert_null(l->component);
		return r;
	}
	if (how != UNSTARTED && l->type->start)
		r = l->type->start(l->component, &l->error);
	if (r == 0 && how == FED)
		feed(l);
	l->type->shutdown(l->component, clock_monotonic_ns() + SHUTDOWN_S * NS_PER_S, on_closed, l);
	timer_start(l->patience, PATIENCE_S * NS_PER_S, 0);
	while (!l->closed && !l->out_of_patience && loop_run_once(l->loop))
		;
	return r;
}

/* Looks that nothing is left behind. */
static void close_life(struct life *l, int result)
{
	if (l->component)
		assert_int_equal(l->closed, 1);
	assert_int_equal(l->answered, l->sent);
	if (result < 0) { /* an error says so, in words, and once */
		assert_int_equal(l->error.code, result);
		assert_true(strlen(l->error.message) > 0);
	}
	l->type->destroy(l->component);
	l->type->destroy(NULL);
	batch_unref(l->batch);
	timer_free(l->patience);
	names_free(l->names); /* also what was put into it */
	loop_run(l->loop);    /* ends only when every handle is closed */
	assert_true(l->closed <= 1);
	assert_int_equal(l->budget.used, 0);
	loop_free(l->loop);
	metrics_free(l->metrics);
	health_free(l->health);
	arena_fini(&l->arena);
}

/* What the program may not do here is no mistake of the type. */
static bool lacks_rights(const struct life *l, int result)
{
	if (!(l->type->caps & CAP_BPF) || result == 0)
		return false;
	print_message("skipped: %s/%s does not start here: %s\n",
	              component_kind_name(l->type->kind), l->type->name, l->error.message);
	return true;
}

static void lives(const struct component_type *type, int how)
{
	struct life l;
	int r;

	open_life(&l, type, config_text(type, false));
	r = live(&l, how);
	if (r < 0 && !lacks_rights(&l, r))
		fail_msg("%s", l.error.message);
	close_life(&l, r);
}

static void may_be_shut_down_without_a_start(void **state)
{
	lives(*state, UNSTARTED);
}

static void may_be_started_and_shut_down(void **state)
{
	lives(*state, STARTED);
}

static void answers_a_batch_before_it_has_closed(void **state)
{
	lives(*state, FED);
}

static void may_be_shut_down_after_a_failing_start(void **state)
{
	const struct component_type *type = *state;
	const char *config = config_text(type, true);
	struct life l;
	int r;

	if (!config)
		return; /* the sweep below makes starts fail */
	open_life(&l, type, config);
	r = live(&l, FAILING_START);
	assert_true(r < 0);
	close_life(&l, r);
}

static void survives_every_failing_allocation(void **state)
{
	const struct component_type *type = *state;
	uint64_t end = clock_monotonic_ns() + BPF_SWEEP_NS;
	unsigned long n = 0;
	bool failed;

	do {
		struct life l;
		int r;
		open_life(&l, type, config_text(type, false));
		failing_memory_arm(++n);
		r = live(&l, FED);
		failed = failing_memory_disarm();
		if (r < 0 && !failed && !lacks_rights(&l, r))
			fail_msg("allocation %lu: %s", n, l.error.message);
		close_life(&l, r);
		if (type->caps & CAP_BPF && clock_monotonic_ns() > end) {
			print_message("skipped: %s/%s after %lu allocations, it takes too long\n",
			              component_kind_name(type->kind), type->name, n);
			return;
		}
		assert_true(n < ALLOCATIONS_MAX);
	} while (failed);
	print_message("%s/%s: %lu allocations\n", component_kind_name(type->kind), type->name,
	              n - 1);
}

int main(void)
{
	static const struct {
		const char *name;
		CMUnitTestFunction run;
	} lives_[] = {
		{"may_be_shut_down_without_a_start", may_be_shut_down_without_a_start},
		{"may_be_started_and_shut_down", may_be_started_and_shut_down},
		{"answers_a_batch_before_it_has_closed", answers_a_batch_before_it_has_closed},
		{"may_be_shut_down_after_a_failing_start", may_be_shut_down_after_a_failing_start},
		{"survives_every_failing_allocation", survives_every_failing_allocation},
	};
	enum { LIVES = sizeof lives_ / sizeof *lives_, TYPES_MAX = 100 };
	static struct CMUnitTest tests[TYPES_MAX * LIVES];
	static char names[TYPES_MAX * LIVES][128];
	size_t n = 0;

	for (const struct component_type *const *t = component_types; *t; t++)
		for (size_t i = 0; i < LIVES && n < TYPES_MAX * LIVES; i++, n++) {
			snprintf(names[n], sizeof *names, "%s/%s %s",
			         component_kind_name((*t)->kind), (*t)->name, lives_[i].name);
			tests[n] = (struct CMUnitTest){
				.name = names[n],
				.test_func = lives_[i].run,
				.initial_state = (void *)(uintptr_t)*t,
			};
		}
	return _cmocka_run_group_tests("lives", tests, n, NULL, NULL);
}
