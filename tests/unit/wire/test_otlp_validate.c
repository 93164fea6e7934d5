#include "core/wire/otlp.h"
#include "tests/unit/wire/otlp_random.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct seen {
	struct slice bodies[16];
	size_t items[16], n, stop_at;
};

static bool on_group(void *arg, struct slice body, size_t items)
{
	struct seen *seen = arg;

	if (seen->stop_at && seen->n + 1 == seen->stop_at)
		return false;
	assert_true(seen->n < 16);
	seen->bodies[seen->n] = body;
	seen->items[seen->n++] = items;
	return true;
}

static int decode(const ProtobufCMessageDescriptor *type, struct slice bytes, struct error *error)
{
	struct arena arena;
	ProtobufCMessage *m;
	int r;

	arena_init(&arena, NULL);
	r = otlp_decode(type, bytes, &arena, &m, error);
	arena_fini(&arena);
	return r;
}

static int validate(enum signal signal, struct slice bytes, struct error *error)
{
	struct seen seen = {0};

	return otlp_validate(signal, bytes, on_group, &seen, error);
}

static void test_counts_as_the_decoder_does(void **state)
{
	struct arena arena;
	struct otlp_random random = {.arena = &arena, .state = 7, .depth = 8, .unknown = true};

	arena_init(&arena, NULL);
	for (int round = 0; round < 100; round++)
		for (int s = 0; s < SIGNAL_COUNT; s++) {
			const ProtobufCMessageDescriptor *type = otlp_request_descriptor(s);
			ProtobufCMessage *m = otlp_random_message(&random, type);
			struct slice bytes = otlp_random_scramble(&random, type,
			                                          otlp_protobuf_c_pack(&arena, m));
			Otlp__ExportTraceServiceRequest *request;
			struct seen seen = {0};
			struct error error = ERROR_INIT;

			assert_int_equal(otlp_decode(type, bytes, &arena, &m, &error), 0);
			request = (Otlp__ExportTraceServiceRequest *)m;
			assert_int_equal(otlp_validate(s, bytes, on_group, &seen, &error), 0);
			assert_int_equal(seen.n, request->n_resource_spans);
			for (size_t i = 0; i < seen.n; i++) {
				assert_int_equal(seen.items[i],
				                 otlp_count(s, &request->resource_spans[i]->base));
				assert_true(seen.bodies[i].data >= bytes.data &&
				            seen.bodies[i].data + seen.bodies[i].len <=
				                    bytes.data + bytes.len);
			}
		}
	arena_fini(&arena);
	(void)state;
}

/* Cut at every byte, and with every byte changed: both see the same faults in the same places. */
static void test_refuses_what_the_decoder_refuses(void **state)
{
	struct arena arena;
	struct otlp_random random = {.arena = &arena, .state = 11, .depth = 7, .unknown = true};

	arena_init(&arena, NULL);
	for (int s = 0; s < SIGNAL_COUNT; s++) {
		const ProtobufCMessageDescriptor *type = otlp_request_descriptor(s);
		struct slice bytes =
			otlp_protobuf_c_pack(&arena, otlp_random_message(&random, type));
		uint8_t *changed;

		bytes.len = bytes.len < 1500 ? bytes.len : 1500;
		changed = arena_alloc(&arena, bytes.len);
		for (size_t len = 0; len <= bytes.len; len++) {
			struct error ours = ERROR_INIT, theirs = ERROR_INIT;
			struct slice cut;

			assert_true(arena_copy(&arena, slice_of(bytes.data, len), &cut));
			assert_int_equal(validate(s, cut, &ours), decode(type, cut, &theirs));
			assert_string_equal(ours.message, theirs.message);
		}
		for (size_t i = 0; i < bytes.len; i++) {
			struct error ours = ERROR_INIT, theirs = ERROR_INIT;
			struct slice whole = slice_of(changed, bytes.len);

			memcpy(changed, bytes.data, bytes.len);
			changed[i] ^= (uint8_t)otlp_random_u64(&random);
			assert_int_equal(validate(s, whole, &ours), decode(type, whole, &theirs));
			assert_int_equal(ours.code, theirs.code);
		}
	}
	arena_fini(&arena);
	(void)state;
}

/* A log request whose record holds n arrays within each other and in the innermost one value:
 * in the record's body, or in an attribute, which is one level more. */
static void put_nested(struct buffer *out, bool in_attribute, unsigned n, struct slice innermost)
{
	static const uint8_t in_body_tags[] = {0x2a, 0x12, 0x12, 0x0a};
	static const uint8_t in_attribute_tags[] = {0x12, 0x32, 0x12, 0x12, 0x0a};
	const uint8_t *outer = in_attribute ? in_attribute_tags : in_body_tags;
	unsigned n_outer = in_attribute ? 5 : 4;
	uint8_t block[4096];
	uint8_t *at = block + sizeof block - innermost.len;
	const uint8_t *end = block + sizeof block;

	memcpy(at, innermost.data, innermost.len);
	for (unsigned i = 0; i < 2 * n + n_outer; i++) {
		size_t len = (size_t)(end - at);
		if (len >= 0x80)
			*--at = (uint8_t)(len >> 7);
		*--at = (uint8_t)(len >= 0x80 ? len | 0x80 : len);
		*--at = i >= 2 * n ? outer[i - 2 * n] : i % 2 ? 0x2a : 0x0a;
	}
	buffer_append(out, at, (size_t)(end - at));
}

/* The value in a record's body is at level 5, in an attribute at level 6; an array adds two. */
static void check_depth(bool in_attribute, struct slice innermost, unsigned more_levels)
{
	unsigned accepted = 0, refused = 0;

	for (unsigned n = 0; n < 100; n++) {
		unsigned level = 5 + in_attribute + 2 * n + more_levels;
		struct error ours = ERROR_INIT, theirs = ERROR_INIT;
		struct buffer in = BUFFER_INIT;
		int r;

		put_nested(&in, in_attribute, n, innermost);
		r = validate(SIGNAL_LOGS, buffer_slice(&in), &ours);
		assert_int_equal(r, level <= OTLP_DEPTH_LIMIT ? 0 : -E2BIG);
		assert_int_equal(r, decode(otlp_request_descriptor(SIGNAL_LOGS), buffer_slice(&in),
		                           &theirs));
		assert_string_equal(ours.message, theirs.message);
		r == 0 ? accepted++ : refused++;
		buffer_fini(&in);
	}
	assert_true(accepted > 40 && refused > 40);
}

static void test_refuses_what_is_nested_too_deep(void **state)
{
	check_depth(false, SLICE_LITERAL(""), 0);
	check_depth(true, SLICE_LITERAL(""), 0);
	(void)state;
}

/* The short way for attributes must not step over the limit. */
static void test_refuses_an_attribute_one_level_too_deep(void **state)
{
	struct slice map = SLICE_LITERAL("\x32\x0a\x0a\x08\x0a\x01k\x12\x03\x0a\x01v");

	check_depth(false, map, 3);
	check_depth(true, map, 3);
	(void)state;
}

static void test_data_points_of_a_replaced_member_do_not_count(void **state)
{
	/* Metric: gauge {1 point}, sum {2 points}, sum {1 point}: three points of the sum
	 * remain. */
	struct slice request = SLICE_LITERAL("\x0a\x14\x12\x12\x12\x10"
	                                     "\x2a\x02\x0a\x00"
	                                     "\x3a\x04\x0a\x00\x0a\x00"
	                                     "\x3a\x02\x0a\x00\x0a\x00");
	struct seen seen = {0};
	struct error error = ERROR_INIT;

	assert_int_equal(otlp_validate(SIGNAL_METRICS, request, on_group, &seen, &error), 0);
	assert_int_equal(seen.n, 1);
	assert_int_equal(seen.items[0], 3);
	(void)state;
}

static void test_an_empty_request_has_no_groups(void **state)
{
	struct seen seen = {0};
	struct error error = ERROR_INIT;

	assert_int_equal(otlp_validate(SIGNAL_TRACES, (struct slice){0}, on_group, &seen, &error),
	                 0);
	assert_int_equal(seen.n, 0);
	assert_int_equal(otlp_validate(SIGNAL_TRACES, SLICE_LITERAL("\x0a\x00\x0a\x00"), on_group,
	                               &seen, &error),
	                 0);
	assert_int_equal(seen.n, 2);
	(void)state;
}

static void test_stops_when_the_group_cannot_be_taken(void **state)
{
	struct seen seen = {.stop_at = 2};
	struct error error = ERROR_INIT;

	assert_int_equal(otlp_validate(SIGNAL_TRACES, SLICE_LITERAL("\x0a\x00\x0a\x00"), on_group,
	                               &seen, &error),
	                 -ENOMEM);
	assert_int_equal(seen.n, 1);
	assert_int_equal(error.kind, ERROR_RETRYABLE);
	(void)state;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counts_as_the_decoder_does),
		cmocka_unit_test(test_refuses_what_the_decoder_refuses),
		cmocka_unit_test(test_refuses_what_is_nested_too_deep),
		cmocka_unit_test(test_refuses_an_attribute_one_level_too_deep),
		cmocka_unit_test(test_data_points_of_a_replaced_member_do_not_count),
		cmocka_unit_test(test_an_empty_request_has_no_groups),
		cmocka_unit_test(test_stops_when_the_group_cannot_be_taken),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
