/* bench codec: what decoding, validating and encoding a span costs, beside protobuf-c, as protobuf and as
 * JSON; and what inflating costs, beside zlib by itself.
 *
 * Traces as an SDK sends them: one resource, one scope, spans with ten attributes of about 450
 * bytes. The contenders take turns within one run, and the median of the rounds is printed, so that
 * a busy machine slows all of them alike. */
#include "core/base/clock.h"
#include "core/wire/compress.h"
#include "core/wire/otlp.h"
#include "core/wire/otlp_json.h"
#include "core/wire/otlp_json_decode.h"
#include "core/data/build.h"

#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

enum { SPANS = 100, ROUNDS = 301, REPEATS = 4 };

static void must(bool ok)
{
	if (!ok) {
		fprintf(stderr, "bench codec: out of memory, or a wrong answer\n");
		exit(1);
	}
}

static Otlp__Span *make_span(struct arena *a, unsigned i)
{
	static const struct {
		const char *key, *value;
	} strings[] = {
		{"http.request.method", "GET"},
		{"url.scheme", "https"},
		{"url.path", "/api/v2/customers/4711/orders"},
		{"server.address", "shop.example.com"},
		{"http.route", "/api/v2/customers/{id}/orders"},
		{"user_agent.original", "Mozilla/5.0 (X11; Linux x86_64) Firefox/128.0"},
		{"network.protocol.version", "1.1"},
	};
	Otlp__Span *span = BUILD(a, Otlp__Span, otlp__span);
	struct build_list attributes = {0};
	uint8_t id[24];

	for (size_t j = 0; j < sizeof id; j++)
		id[j] = (uint8_t)(i * 31 + j * 7);
	must(span && build_copy(a, slice_of(id, 16), &span->trace_id) &&
	     build_copy(a, slice_of(id + 8, 8), &span->span_id) &&
	     build_copy(a, slice_of(id + 16, 8), &span->parent_span_id));
	span->name = build_text("GET /api/v2/customers/{id}/orders");
	span->kind = OTLP__SPAN__SPAN_KIND__SPAN_KIND_SERVER;
	span->start_time_unix_nano = UINT64_C(1792000000000000000) + i;
	span->end_time_unix_nano = span->start_time_unix_nano + 1234567;
	for (size_t j = 0; j < sizeof strings / sizeof *strings; j++)
		must(build_string(a, &attributes, strings[j].key,
		                  slice_from_string(strings[j].value)));
	must(build_int(a, &attributes, "http.response.status_code", 200) &&
	     build_int(a, &attributes, "server.port", 443) &&
	     build_bool(a, &attributes, "cache.hit", i % 2));
	span->attributes = (Otlp__KeyValue **)attributes.items;
	span->n_attributes = attributes.count;
	span->status = BUILD(a, Otlp__Status, otlp__status);
	span->flags = 0x101;
	must(span->status);
	return span;
}

static ProtobufCMessage *make_request(struct arena *a)
{
	Otlp__ExportTraceServiceRequest *request =
		BUILD(a, Otlp__ExportTraceServiceRequest, otlp__export_trace_service_request);
	Otlp__ResourceSpans *group = BUILD(a, Otlp__ResourceSpans, otlp__resource_spans);
	Otlp__ScopeSpans *scope = BUILD(a, Otlp__ScopeSpans, otlp__scope_spans);
	struct build_list attributes = {0}, groups = {0}, scopes = {0}, spans = {0};

	must(request && group && scope);
	group->resource = BUILD(a, Otlp__Resource, otlp__resource);
	scope->scope = BUILD(a, Otlp__InstrumentationScope, otlp__instrumentation_scope);
	must(group->resource && scope->scope &&
	     build_string(a, &attributes, "service.name", SLICE_LITERAL("shop")) &&
	     build_string(a, &attributes, "host.name", SLICE_LITERAL("node-17")));
	group->resource->attributes = (Otlp__KeyValue **)attributes.items;
	group->resource->n_attributes = attributes.count;
	scope->scope->name = build_text("io.example.http");
	for (unsigned i = 0; i < SPANS; i++)
		must(build_list_add(a, &spans, make_span(a, i)));
	scope->spans = (Otlp__Span **)spans.items;
	scope->n_spans = spans.count;
	must(build_list_add(a, &scopes, scope) && build_list_add(a, &groups, group));
	group->scope_spans = (Otlp__ScopeSpans **)scopes.items;
	group->n_scope_spans = 1;
	request->resource_spans = (Otlp__ResourceSpans **)groups.items;
	request->n_resource_spans = 1;
	return &request->base;
}

/* ---- contenders: each does the whole request once */

struct bench {
	const ProtobufCMessageDescriptor *type;
	struct slice bytes;
	ProtobufCMessage *message;
	uint8_t *packed; /* room for bytes.len */
	struct buffer out;
	size_t items;
	struct slice json;
};

static void run_unpack(struct bench *b)
{
	ProtobufCMessage *m = protobuf_c_message_unpack(b->type, NULL, b->bytes.len, b->bytes.data);
	must(m);
	protobuf_c_message_free_unpacked(m, NULL);
}

static void *arena_malloc(void *arena, size_t size)
{
	return arena_alloc(arena, size);
}

static void arena_free(void *arena, void *pointer)
{
}

static void run_unpack_arena(struct bench *b)
{
	struct arena arena;
	ProtobufCAllocator allocator = {.alloc = arena_malloc,
	                                .free = arena_free,
	                                .allocator_data = &arena};

	arena_init(&arena, NULL);
	must(protobuf_c_message_unpack(b->type, &allocator, b->bytes.len, b->bytes.data));
	arena_fini(&arena);
}

static void run_decode(struct bench *b)
{
	struct arena arena;
	ProtobufCMessage *m;

	arena_init(&arena, NULL);
	must(otlp_decode(b->type, b->bytes, &arena, &m, NULL) == 0);
	arena_fini(&arena);
}

static bool on_group(void *arg, struct slice body, size_t items)
{
	*(size_t *)arg += items;
	return true;
}

static void run_validate(struct bench *b)
{
	b->items = 0;
	must(otlp_validate(SIGNAL_TRACES, b->bytes, on_group, &b->items, NULL) == 0);
	must(b->items == SPANS);
}

static void run_pack(struct bench *b)
{
	must(protobuf_c_message_pack(b->message, b->packed) == b->bytes.len);
}

static void run_packed_size(struct bench *b)
{
	must(protobuf_c_message_get_packed_size(b->message) == b->bytes.len);
}

static void run_encode(struct bench *b)
{
	buffer_clear(&b->out);
	must(otlp_encode(b->message, &b->out) && b->out.len == b->bytes.len);
}

static void run_size(struct bench *b)
{
	must(otlp_size(b->message) == b->bytes.len);
}

static void run_json_decode(struct bench *b)
{
	struct arena arena;
	ProtobufCMessage *m;

	arena_init(&arena, NULL);
	must(otlp_json_decode(SIGNAL_TRACES, b->json, &arena, &m, NULL) == 0);
	arena_fini(&arena);
}

static void run_json_append(struct bench *b)
{
	buffer_clear(&b->out);
	otlp_json_append(&b->out, b->message);
	must(b->out.len == b->json.len);
}

static const struct {
	const char *name;
	void (*run)(struct bench *);
} contenders[] = {
	{"protobuf-c unpack, malloc", run_unpack},
	{"protobuf-c unpack, arena", run_unpack_arena},
	{"otlp_decode", run_decode},
	{"otlp_validate", run_validate},
	{"protobuf-c pack", run_pack},
	{"protobuf-c packed size", run_packed_size},
	{"otlp_encode", run_encode},
	{"otlp_size", run_size},
	{"otlp_json_decode", run_json_decode},
	{"otlp_json_append", run_json_append},
};
enum { CONTENDERS = sizeof contenders / sizeof *contenders };
enum { UNPACK = 0, DECODE = 2, PACK = 4, PACKED_SIZE = 5, ENCODE = 6 };

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

/* ---- inflating: all codings, and zlib into one buffer of the exact size */

static void run_zlib(struct slice packed, struct slice plain, uint8_t *to)
{
	z_stream z = {.next_in = (uint8_t *)packed.data,
	              .avail_in = (unsigned)packed.len,
	              .next_out = to,
	              .avail_out = (unsigned)plain.len};

	must(inflateInit2(&z, 15 + 16) == Z_OK && inflate(&z, Z_FINISH) == Z_STREAM_END);
	inflateEnd(&z);
}

static void run_inflater(enum coding coding, struct slice packed, struct slice plain)
{
	struct inflater *i = inflater_new(coding, packed);
	size_t written, room = i ? inflater_guess(i) : 0;
	uint8_t *to;

	if (room < plain.len) /* deflate says nothing about its size */
		room = plain.len;
	to = malloc(room);
	must(i && to && inflater_run(i, to, room, &written) == INFLATE_END && written == plain.len);
	free(to);
	inflater_free(i);
}

static void bench_inflate(struct slice plain)
{
	static double ns[CODING_COUNT][ROUNDS];
	struct buffer packed[CODING_COUNT] = {0};
	uint8_t *room = malloc(plain.len);

	must(room);
	for (int c = CODING_GZIP; c < CODING_COUNT; c++)
		must(compress_pieces(c, &plain, 1, &packed[c], NULL) == 0);
	for (int round = 0; round < ROUNDS; round++)
		for (int c = 0; c < CODING_COUNT; c++) {
			uint64_t start = clock_monotonic_ns();
			if (c == CODING_IDENTITY)
				run_zlib(buffer_slice(&packed[CODING_GZIP]), plain, room);
			else
				run_inflater(c, buffer_slice(&packed[c]), plain);
			ns[c][round] = (double)(clock_monotonic_ns() - start);
		}
	printf("inflating the request, %zu bytes\n", plain.len);
	for (int c = 0; c < CODING_COUNT; c++) {
		qsort(ns[c], ROUNDS, sizeof **ns, by_value);
		printf("%-28s %8.1f MB/s      (from %zu bytes)\n",
		       c == CODING_IDENTITY ? "zlib by itself, gzip" : coding_name(c),
		       (double)plain.len * 1e3 / ns[c][ROUNDS / 2],
		       packed[c == CODING_IDENTITY ? CODING_GZIP : c].len);
		buffer_fini(&packed[c]);
	}
	free(room);
}

int main(void)
{
	static double ns[CONTENDERS][ROUNDS];
	double median[CONTENDERS];
	struct bench b = {.type = otlp_request_descriptor(SIGNAL_TRACES)};
	struct buffer encoded = BUFFER_INIT, json = BUFFER_INIT;
	struct arena arena;

	arena_init(&arena, NULL);
	b.message = make_request(&arena);
	must(otlp_encode(b.message, &encoded));
	b.bytes = buffer_slice(&encoded);
	otlp_json_append(&json, b.message);
	must(!json.failed);
	b.json = buffer_slice(&json);
	b.packed = malloc(b.bytes.len);
	must(b.packed);
	for (int round = 0; round < ROUNDS; round++)
		for (int i = 0; i < CONTENDERS; i++) {
			uint64_t start = clock_monotonic_ns();
			for (int j = 0; j < REPEATS; j++)
				contenders[i].run(&b);
			ns[i][round] = (double)(clock_monotonic_ns() - start) / REPEATS / SPANS;
		}
	printf("%d spans of %zu bytes, %zu as JSON, median of %d rounds\n", SPANS,
	       b.bytes.len / SPANS, b.json.len / SPANS, ROUNDS);
	for (int i = 0; i < CONTENDERS; i++) {
		qsort(ns[i], ROUNDS, sizeof **ns, by_value);
		median[i] = ns[i][ROUNDS / 2];
		printf("%-28s %8.1f ns/span  (fastest %.1f)\n", contenders[i].name, median[i],
		       ns[i][0]);
	}
	printf("decode is %.1f times as fast as protobuf-c's unpack with malloc\n",
	       median[UNPACK] / median[DECODE]);
	printf("encode is %.1f times as fast as protobuf-c's size and pack\n",
	       (median[PACK] + median[PACKED_SIZE]) / median[ENCODE]);
	bench_inflate(b.bytes);
	free(b.packed);
	buffer_fini(&b.out);
	buffer_fini(&json);
	buffer_fini(&encoded);
	arena_fini(&arena);
	return 0;
}
