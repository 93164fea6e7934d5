/* bench export: what the way through an exporter's queue and batcher costs a request that nobody opens, up to
 * the gather list of the request that is sent. It must not depend on how long the payload is. */
#include "core/base/clock.h"
#include "core/export/exporter.h"
#include "core/loop/loop.h"

#include <stdio.h>
#include <stdlib.h>

enum { AT_ONCE = 512, ROUNDS = 21 };

static const char *tenant_key = "x-tenant";

static void must(bool ok)
{
	if (!ok) {
		fprintf(stderr, "bench export: out of memory, or a wrong answer\n");
		exit(1);
	}
}

static void append_field(struct buffer *out, uint8_t tag, struct slice body)
{
	size_t len = body.len;

	buffer_append_byte(out, tag);
	for (; len >= 0x80; len >>= 7)
		buffer_append_byte(out, (uint8_t)(len | 0x80));
	buffer_append_byte(out, (uint8_t)len);
	buffer_append_slice(out, body);
}

/* Spans of about 418 bytes, all of it one name: what is inside is of no matter here. */
static void make_request(size_t spans, struct buffer *out)
{
	struct buffer span = BUFFER_INIT, scope = BUFFER_INIT, group = BUFFER_INIT;
	char name[412];

	memset(name, 'x', sizeof name);
	append_field(&span, 0x2a, slice_of(name, sizeof name));
	for (size_t i = 0; i < spans; i++)
		append_field(&scope, 0x12, buffer_slice(&span));
	append_field(&group, 0x12, buffer_slice(&scope));
	append_field(out, 0x0a, buffer_slice(&group));
	must(!out->failed);
	buffer_fini(&span);
	buffer_fini(&scope);
	buffer_fini(&group);
}

struct sums {
	size_t requests, bytes, pieces, answered;
};

static void on_send(void *self, const struct batch *batch, uint64_t deadline_ns, struct done done)
{
	struct sums *s = self;
	struct gather g;

	(void)deadline_ns;
	must(batch_gather(batch, &g, NULL) == 0);
	s->requests++;
	s->bytes += g.bytes;
	s->pieces += g.n_pieces;
	gather_fini(&g);
	done_ok(done);
}

static void on_answered(void *arg, const struct outcome *outcome)
{
	struct sums *s = arg;

	must(outcome->status == OUTCOME_OK);
	s->answered++;
}

static struct batch *make_batch(struct slice request, unsigned tenant)
{
	const struct batch_metadata field = {"x-tenant", tenant ? "one" : "two"};
	const struct batch_origin origin = {.receiver = "otlp",
	                                    .peer = "127.0.0.1:40000",
	                                    .metadata = &field,
	                                    .n_metadata = 1};
	struct rcbuf *pin = rcbuf_new(request.len, NULL);
	struct batch *b;

	must(pin);
	memcpy(pin->data, request.data, request.len);
	must(batch_from_request(SIGNAL_TRACES, pin, slice_of(pin->data, pin->size), NULL, &b,
	                        NULL) == 0);
	rcbuf_unref(pin);
	must(batch_set_origin(b, &origin));
	return b;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

struct variant {
	const char *name;
	size_t spans;
	int sizer;
	uint64_t max_size;
	bool wait_for_result, partitions;
};

static void measure(struct loop *loop, const struct variant *v)
{
	static const struct component_type type = {.name = "bench", .kind = EXPORTER};
	const struct log_sink log = {.level = LOG_ERROR, .fd = 2};
	const struct host host = {.loop = loop, .log = &log};
	const struct create_args args = {.id = "bench", .host = &host};
	struct exporter_config config = {0};
	struct buffer request = BUFFER_INIT;
	struct component component;
	uint64_t times[ROUNDS];
	struct sums sums = {0};

	config.sending_queue =
		(struct queue_config){.enabled = true,
	                              .num_consumers = 10,
	                              .queue_size = UINT64_C(1) << 40,
	                              .sizer = v->sizer,
	                              .wait_for_result = v->wait_for_result,
	                              .batch = {.enabled = true,
	                                        .flush_timeout = 3600 * NS_PER_S,
	                                        .min_size =
	                                                v->sizer == BATCH_BYTES ? 3 << 20 : 8192,
	                                        .max_size = v->max_size,
	                                        .sizer = v->sizer}};
	if (v->partitions)
		config.sending_queue.batch.partition.metadata_keys =
			(struct string_list){&tenant_key, 1};
	component_init(&component, &type, &args);
	make_request(v->spans, &request);
	for (size_t round = 0; round < ROUNDS; round++) {
		struct exporter *e =
			exporter_new(&component, SIGNAL_TRACES, &config, on_send, &sums);
		struct batch *batches[AT_ONCE];
		size_t n = AT_ONCE * 100 / v->spans;

		n = n > AT_ONCE ? AT_ONCE : n;
		must(e);
		for (size_t i = 0; i < n; i++)
			batches[i] = make_batch(buffer_slice(&request), i % 2);
		times[round] = clock_monotonic_ns();
		for (size_t i = 0; i < n; i++)
			exporter_consume(e, batches[i], (struct done){on_answered, &sums});
		exporter_shutdown(e, UINT64_MAX, (void (*)(void *)){free}, NULL);
		times[round] = (clock_monotonic_ns() - times[round]) / n;
		exporter_free(e);
	}
	qsort(times, ROUNDS, sizeof *times, by_value);
	printf("%-44s %6zu bytes %6llu ns a request %8.3f ns a span %8.1f GB/s %zu pieces\n",
	       v->name, request.len, (unsigned long long)times[ROUNDS / 2],
	       (double)times[ROUNDS / 2] / (double)v->spans,
	       (double)request.len / (double)times[ROUNDS / 2], sums.pieces / sums.requests);
	buffer_fini(&request);
}

int main(void)
{
	static const struct variant variants[] = {
		{"1000 spans a request", 1000, BATCH_ITEMS, 0, false, false},
		{"100 spans a request", 100, BATCH_ITEMS, 0, false, false},
		{"10 spans a request", 10, BATCH_ITEMS, 0, false, false},
		{"100 spans, sized in bytes", 100, BATCH_BYTES, 0, false, false},
		{"100 spans, sized in bytes, cut at 4 MiB", 100, BATCH_BYTES, 4 << 20, false,
	         false},
		{"100 spans, wait_for_result", 100, BATCH_ITEMS, 0, true, false},
		{"100 spans, two tenants apart", 100, BATCH_ITEMS, 0, false, true},
		{"1000 spans, cut at 10,000", 1000, BATCH_ITEMS, 10000, false, false},
	};
	struct loop *loop;

	must(loop_new(&loop, NULL) == 0);
	for (size_t i = 0; i < sizeof variants / sizeof *variants; i++)
		measure(loop, &variants[i]);
	loop_run(loop);
	loop_free(loop);
	return 0;
}
