#include "core/wire/cursor.h"
#include "core/wire/otlp.h"
#include "tests/unit/wire/otlp_random.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { ROUNDS = 40 };

struct fixture {
	struct arena arena;
	struct otlp_random random;
};

static int set_up(void **state)
{
	static struct fixture f;

	arena_init(&f.arena, NULL);
	f.random = (struct otlp_random){.arena = &f.arena,
	                                .state = 20261120,
	                                .depth = 6,
	                                .unknown = true};
	*state = &f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	arena_fini(&f->arena);
	return 0;
}

static void assert_bytes(struct slice got, struct slice wanted)
{
	assert_int_equal(got.len, wanted.len);
	if (wanted.len)
		assert_memory_equal(got.data, wanted.data, wanted.len);
}

static void assert_encodes_to(const ProtobufCMessage *m, struct slice wanted)
{
	struct buffer out = BUFFER_INIT;

	assert_true(otlp_encode(m, &out));
	assert_bytes(buffer_slice(&out), wanted);
	assert_int_equal(otlp_size(m), wanted.len);
	buffer_fini(&out);
}

static ProtobufCMessage *decode(struct fixture *f, const ProtobufCMessageDescriptor *type,
                                struct slice bytes)
{
	struct error error = ERROR_INIT;
	ProtobufCMessage *m = NULL;

	if (otlp_decode(type, bytes, &f->arena, &m, &error) < 0)
		fail_msg("%s", error.message);
	return m;
}

/* What decoding takes for granted: zero is the default, no field is a C string. */
static void test_descriptors_are_as_the_decoder_needs_them(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < otlp_types_count; i++) {
		const ProtobufCMessageDescriptor *type = otlp_types[i];
		uint8_t *zero = arena_alloc(&f->arena, type->sizeof_message);
		uint8_t *fresh = arena_alloc(&f->arena, type->sizeof_message);

		((ProtobufCMessage *)zero)->descriptor = type;
		protobuf_c_message_init(type, fresh);
		assert_memory_equal(zero, fresh, type->sizeof_message);
		for (unsigned j = 0; j < type->n_fields; j++) {
			assert_int_not_equal(type->fields[j].type, PROTOBUF_C_TYPE_STRING);
			assert_true(type->fields[j].label == PROTOBUF_C_LABEL_NONE ||
			            type->fields[j].label == PROTOBUF_C_LABEL_REPEATED);
			assert_true(j == 0 || type->fields[j].id > type->fields[j - 1].id);
		}
	}
}

static void test_encodes_like_protobuf_c(void **state)
{
	struct fixture *f = *state;

	for (int round = 0; round < ROUNDS; round++)
		for (size_t i = 0; i < otlp_types_count; i++) {
			ProtobufCMessage *m = otlp_random_message(&f->random, otlp_types[i]);
			assert_encodes_to(m, otlp_protobuf_c_pack(&f->arena, m));
		}
}

static void test_encodes_as_a_field_with_tag_and_length(void **state)
{
	struct fixture *f = *state;
	Otlp__Status status = OTLP__STATUS__INIT;
	struct buffer out = BUFFER_INIT;

	status.code = OTLP__STATUS__STATUS_CODE__STATUS_CODE_ERROR;
	assert_true(otlp_encode_field(15, &status.base, &out));
	assert_true(otlp_encode_field(300, &status.base, &out));
	assert_bytes(buffer_slice(&out), SLICE_LITERAL("\x7a\x02\x18\x02\xe2\x12\x02\x18\x02"));
	buffer_fini(&out);
	(void)f;
}

/* Which fields of a type the bytes hold, a bit for each index; the highest for unknown ones. */
static uint64_t fields_in(const ProtobufCMessageDescriptor *type, struct slice bytes)
{
	struct cursor c = cursor_of(bytes);
	struct cursor_field f;
	uint64_t bits = 0;

	while (cursor_next(&c, &f)) {
		unsigned i = 0;
		while (i < type->n_fields && type->fields[i].id != f.number)
			i++;
		bits |= UINT64_C(1) << (i < type->n_fields ? i : 63);
	}
	assert_false(c.error);
	return bits;
}

static void test_canonical_bytes_survive_decode_and_encode(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < otlp_types_count; i++) {
		uint64_t seen = 0;

		for (int round = 0; round < ROUNDS; round++) {
			ProtobufCMessage *m = otlp_random_message(&f->random, otlp_types[i]);
			struct slice bytes = otlp_protobuf_c_pack(&f->arena, m);

			seen |= fields_in(otlp_types[i], bytes);
			assert_encodes_to(decode(f, otlp_types[i], bytes), bytes);
		}
		/* Every field of every message was among them, and unknown ones. */
		assert_int_equal(seen, UINT64_C(1) << 63 |
		                               ((UINT64_C(1) << otlp_types[i]->n_fields) - 1));
	}
}

static void test_other_encodings_of_the_same_decode_to_the_same(void **state)
{
	struct fixture *f = *state;

	for (int round = 0; round < ROUNDS; round++)
		for (size_t i = 0; i < otlp_types_count; i++) {
			const ProtobufCMessageDescriptor *type = otlp_types[i];
			ProtobufCMessage *m = otlp_random_message(&f->random, type), *theirs;
			struct slice bytes = otlp_protobuf_c_pack(&f->arena, m);
			struct slice odd = otlp_random_scramble(&f->random, type, bytes);

			assert_encodes_to(decode(f, type, odd), bytes);
			theirs = protobuf_c_message_unpack(type, NULL, odd.len, odd.data);
			assert_non_null(theirs);
			assert_bytes(otlp_protobuf_c_pack(&f->arena, theirs), bytes);
			protobuf_c_message_free_unpacked(theirs, NULL);
		}
}

static void test_strings_stay_where_they_were(void **state)
{
	struct fixture *f = *state;
	struct slice bytes = SLICE_LITERAL("\x0a\x03key\x12\x07\x0a\x05value");
	Otlp__KeyValue *pair = (Otlp__KeyValue *)decode(f, &otlp__key_value__descriptor, bytes);

	assert_ptr_equal(pair->key.data, bytes.data + 2);
	assert_int_equal(pair->key.len, 3);
	assert_ptr_equal(pair->value->string_value.data, bytes.data + 9);
}

static void test_an_attribute_of_any_kind_survives(void **state)
{
	static const struct slice attributes[] = {
		SLICE_LITERAL("\x4a\x02\x0a\x00"), /* a key that is there and empty, no value */
		SLICE_LITERAL("\x4a\x03\x0a\x01k"),
		SLICE_LITERAL("\x4a\x05\x0a\x01k\x12\x00"), /* a value of no kind */
		SLICE_LITERAL("\x4a\x07\x0a\x01k\x12\x02\x0a\x00"),
		SLICE_LITERAL("\x4a\x08\x0a\x01k\x12\x03\x0a\x01v"),
		SLICE_LITERAL("\x4a\x07\x0a\x01k\x12\x02\x10\x00"),
		SLICE_LITERAL("\x4a\x07\x0a\x01k\x12\x02\x10\x01"),
		SLICE_LITERAL("\x4a\x07\x0a\x01k\x12\x02\x18\x00"),
		SLICE_LITERAL(
			"\x4a\x10\x0a\x01k\x12\x0b\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
		SLICE_LITERAL("\x4a\x0e\x0a\x01k\x12\x09\x21\x00\x00\x00\x00\x00\x00\xf8\x7f"),
		SLICE_LITERAL("\x4a\x0d\x0a\x01k\x12\x08\x2a\x06\x0a\x02\x18\x05\x0a\x00"),
		SLICE_LITERAL("\x4a\x0e\x0a\x01k\x12\x09\x32\x07\x0a\x05\x0a\x03sub"),
		SLICE_LITERAL("\x4a\x09\x0a\x01k\x12\x04\x3a\x02\x00\xff"),
		SLICE_LITERAL("\x4a\x0b\x0a\x01k\x12\x06\x0a\x01v\xa0\x06\x07"), /* field 100 */
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof attributes / sizeof *attributes; i++) {
		ProtobufCMessage *m = decode(f, &otlp__span__descriptor, attributes[i]);
		if (i > 0) /* the empty key of the first is a default, which is not written */
			assert_encodes_to(m, attributes[i]);
		assert_int_equal(((Otlp__Span *)m)->n_attributes, 1);
	}
}

static void test_the_last_of_a_number_or_a_oneof_wins(void **state)
{
	struct fixture *f = *state;

	assert_encodes_to(decode(f, &otlp__status__descriptor,
	                         SLICE_LITERAL("\x18\x01\x12\x01x\x18\x02\x12\x01y")),
	                  SLICE_LITERAL("\x12\x01y\x18\x02"));
	assert_encodes_to(decode(f, &otlp__any_value__descriptor,
	                         SLICE_LITERAL("\x2a\x02\x0a\x00\x18\x07\x0a\x01s")),
	                  SLICE_LITERAL("\x0a\x01s"));
	assert_encodes_to(decode(f, &otlp__any_value__descriptor,
	                         SLICE_LITERAL("\x0a\x01s\x2a\x02\x0a\x00")),
	                  SLICE_LITERAL("\x2a\x02\x0a\x00"));
}

static void test_a_message_that_comes_twice_is_merged(void **state)
{
	struct fixture *f = *state;

	/* ResourceSpans.resource: attributes are added up, the count is replaced, unknown is
	 * kept. */
	assert_encodes_to(decode(f, &otlp__resource_spans__descriptor,
	                         SLICE_LITERAL("\x0a\x0a\x0a\x03\x0a\x01"
	                                       "a\x10\x01\xa0\x06\x01"
	                                       "\x1a\x01s"
	                                       "\x0a\x07\x0a\x03\x0a\x01"
	                                       "b\x10\x02")),
	                  SLICE_LITERAL("\x0a\x0f\x0a\x03\x0a\x01"
	                                "a\x0a\x03\x0a\x01"
	                                "b\x10\x02\xa0\x06\x01"
	                                "\x1a\x01s"));
	/* AnyValue.array_value: also within a oneof. */
	assert_encodes_to(decode(f, &otlp__any_value__descriptor,
	                         SLICE_LITERAL("\x2a\x04\x0a\x02\x18\x01\x2a\x04\x0a\x02\x18\x02")),
	                  SLICE_LITERAL("\x2a\x08\x0a\x02\x18\x01\x0a\x02\x18\x02"));
}

static void test_lists_in_several_runs_are_joined_in_order(void **state)
{
	struct fixture *f = *state;
	struct buffer in = BUFFER_INIT, wanted = BUFFER_INIT;

	for (int i = 0; i < 100; i++) {
		uint8_t attribute[] = {0x1a, 3, 0x0a, 1, (uint8_t)i};
		uint8_t name[] = {0x0a, 1, 'n'};
		buffer_append(&in, attribute, sizeof attribute);
		buffer_append(&in, name, sizeof name);
	}
	buffer_append_string(&wanted, "\x0a\x01n");
	for (int i = 0; i < 100; i++) {
		uint8_t attribute[] = {0x1a, 3, 0x0a, 1, (uint8_t)i};
		buffer_append(&wanted, attribute, sizeof attribute);
	}
	assert_encodes_to(decode(f, &otlp__instrumentation_scope__descriptor, buffer_slice(&in)),
	                  buffer_slice(&wanted));
	buffer_fini(&in);
	buffer_fini(&wanted);
}

/* A million resources of one attribute each in one group: what copied its list each time would need
 * terabytes. */
static void test_merging_costs_no_more_than_what_is_merged(void **state)
{
	enum { TIMES = 200000 };
	struct budget budget = {.limit = 64 << 20};
	struct buffer in = BUFFER_INIT;
	struct error error = ERROR_INIT;
	struct arena arena;
	ProtobufCMessage *m;

	for (int i = 0; i < TIMES; i++)
		buffer_append(&in, "\x0a\x02\x0a\x00", 4);
	arena_init(&arena, &budget);
	assert_int_equal(otlp_decode(&otlp__resource_spans__descriptor, buffer_slice(&in), &arena,
	                             &m, &error),
	                 0);
	assert_int_equal(((Otlp__ResourceSpans *)m)->resource->n_attributes, TIMES);
	arena_fini(&arena);
	assert_int_equal(budget.used, 0);
	buffer_fini(&in);
	(void)state;
}

static void test_negative_zero_is_written(void **state)
{
	struct fixture *f = *state;
	struct slice bytes = SLICE_LITERAL("\x29\x00\x00\x00\x00\x00\x00\x00\x80");

	assert_encodes_to(decode(f, &otlp__summary_data_point__descriptor, bytes), bytes);
}

static void test_refuses_what_is_not_protobuf(void **state)
{
	static const struct {
		const ProtobufCMessageDescriptor *type;
		struct slice bytes;
		const char *message;
	} cases[] = {
		{&otlp__span__descriptor, SLICE_LITERAL("\x80"),
	         "not OTLP: a field of Span at byte 0 has a malformed tag"},
		{&otlp__span__descriptor, SLICE_LITERAL("\x02\x00"),
	         "malformed tag"}, /* number 0 */
		{&otlp__span__descriptor, SLICE_LITERAL("\x80\x80\x80\x80\x10\x00"),
	         "malformed tag"},
		{&otlp__span__descriptor, SLICE_LITERAL("\xaa\x80\x80\x80\x80\x00\x00"),
	         "malformed tag"},
		{&otlp__span__descriptor, SLICE_LITERAL("\x2a"),
	         "not OTLP: Span.name (field 5) at byte 1 is cut short or malformed"},
		{&otlp__span__descriptor, SLICE_LITERAL("\x2a\x02x"), "Span.name"},
		{&otlp__span__descriptor, SLICE_LITERAL("\x2a\xff\xff\xff\xff\x0fx"), "Span.name"},
		{&otlp__span__descriptor, SLICE_LITERAL("\x2a\x81\x80\x80\x80\x80\x00x"),
	         "Span.name"},
		{&otlp__span__descriptor, SLICE_LITERAL("\x28\x01"),
	         "not OTLP: Span.name (field 5) at byte 1 has another wire type than its own"},
		{&otlp__span__descriptor, SLICE_LITERAL("\x39\x01\x02\x03\x04\x05\x06\x07"),
	         "cut short"},
		{&otlp__span__descriptor, SLICE_LITERAL("\x85\x01\x01\x02\x03"),
	         "Span.flags (field 16)"},
		{&otlp__span__descriptor, SLICE_LITERAL("\x50\x80"), "cut short"},
		{&otlp__span__descriptor,
	         SLICE_LITERAL("\x50\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"), "malformed"},
		{&otlp__span__descriptor,
	         SLICE_LITERAL("\x50\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"), "malformed"},
		{&otlp__span__descriptor, SLICE_LITERAL("\xa3\x06\xa4\x06"),
	         "unknown field 100 of Span"}, /* group */
		{&otlp__span__descriptor, SLICE_LITERAL("\xa6\x06"),
	         "unknown field 100"}, /* wire type 6 */
		{&otlp__span__descriptor, SLICE_LITERAL("\xa2\x06\x05x"), "unknown field 100"},
		{&otlp__span__descriptor, SLICE_LITERAL("\x4a\x07\x0a\x01k\x12\x02\x0a\x05"),
	         "AnyValue.string_value (field 1) at byte 8"},
		{&otlp__span__descriptor, SLICE_LITERAL("\x4a\x03\x0a\x01k\x4a\x09"),
	         "Span.attributes"},
		{&otlp__any_value__descriptor, SLICE_LITERAL("\x12\x01\x01"),
	         "AnyValue.bool_value"},
		{&otlp__histogram_data_point__descriptor,
	         SLICE_LITERAL("\x32\x09"
	                       "123456789"),
	         "packed"},
		{&otlp__histogram_data_point__descriptor, SLICE_LITERAL("\x32\x01x"), "packed"},
		{&otlp__histogram_data_point__descriptor, SLICE_LITERAL("\x30\x01"), "wire type"},
		{&otlp__exponential_histogram_data_point__buckets__descriptor,
	         SLICE_LITERAL("\x12\x02\x01\x80"), "packed"},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct error error = ERROR_INIT;
		ProtobufCMessage *m = NULL;

		assert_int_equal(otlp_decode(cases[i].type, cases[i].bytes, &f->arena, &m, &error),
		                 -EBADMSG);
		assert_null(m);
		assert_int_equal(error.kind, ERROR_PERMANENT);
		if (!strstr(error.message, cases[i].message))
			fail_msg("case %zu: %s", i, error.message);
	}
}

static void test_an_empty_list_of_numbers_may_be_packed(void **state)
{
	struct fixture *f = *state;

	assert_encodes_to(decode(f, &otlp__histogram_data_point__descriptor,
	                         SLICE_LITERAL("\x32\x00")),
	                  SLICE_LITERAL(""));
}

static void test_out_of_memory_is_retryable_wherever_it_strikes(void **state)
{
	struct fixture *f = *state;
	ProtobufCMessage *m = otlp_random_message(&f->random, &otlp__resource_metrics__descriptor);
	struct slice bytes = otlp_protobuf_c_pack(&f->arena, m);
	struct budget budget = {0};
	int r = -ENOMEM;

	for (size_t limit = 1; r < 0; limit += 512) {
		struct error error = ERROR_INIT;
		struct arena arena;

		budget.limit = limit;
		arena_init(&arena, &budget);
		r = otlp_decode(&otlp__resource_metrics__descriptor, bytes, &arena, &m, &error);
		if (r < 0) {
			assert_int_equal(r, -ENOMEM);
			assert_int_equal(error.kind, ERROR_RETRYABLE);
		} else {
			assert_encodes_to(m, bytes);
		}
		arena_fini(&arena);
		assert_int_equal(budget.used, 0);
	}
}

static void test_a_copy_shares_only_what_it_is_told_to(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < otlp_types_count; i++) {
		struct slice bytes =
			otlp_protobuf_c_pack(&f->arena,
		                             otlp_random_message(&f->random, otlp_types[i]));
		struct slice twin;
		ProtobufCMessage *m, *shares, *whole;

		assert_true(arena_copy(&f->arena, bytes, &twin));
		m = decode(f, otlp_types[i], twin);
		shares = otlp_copy(m, twin, &f->arena);
		whole = otlp_copy(m, (struct slice){0}, &f->arena);
		memset(m, 0xa5, otlp_types[i]->sizeof_message);
		assert_encodes_to(shares, bytes);
		memset((uint8_t *)twin.data, 0xa5, twin.len);
		assert_encodes_to(whole, bytes);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(descriptors_are_as_the_decoder_needs_them),
		TEST(encodes_like_protobuf_c),
		TEST(encodes_as_a_field_with_tag_and_length),
		TEST(canonical_bytes_survive_decode_and_encode),
		TEST(other_encodings_of_the_same_decode_to_the_same),
		TEST(strings_stay_where_they_were),
		TEST(an_attribute_of_any_kind_survives),
		TEST(the_last_of_a_number_or_a_oneof_wins),
		TEST(a_message_that_comes_twice_is_merged),
		TEST(lists_in_several_runs_are_joined_in_order),
		TEST(merging_costs_no_more_than_what_is_merged),
		TEST(negative_zero_is_written),
		TEST(refuses_what_is_not_protobuf),
		TEST(an_empty_list_of_numbers_may_be_packed),
		TEST(out_of_memory_is_retryable_wherever_it_strikes),
		TEST(a_copy_shares_only_what_it_is_told_to),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
