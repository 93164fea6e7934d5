#include "core/wire/otlp_json.h"
#include "core/wire/otlp_json_decode.h"
#include "tests/unit/wire/otlp_random.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const ProtobufCMessageDescriptor *const span = &otlp__span__descriptor;
static const ProtobufCMessageDescriptor *const any = &otlp__any_value__descriptor;

/* What was read, printed in the one form that the printer has. */
static void reads_slice(const ProtobufCMessageDescriptor *type, struct slice text,
                        const char *expected)
{
	struct buffer out = BUFFER_INIT;
	struct error error = ERROR_INIT;
	ProtobufCMessage *m = NULL;
	struct arena arena;

	arena_init(&arena, NULL);
	if (otlp_json_decode_message(type, text, &arena, &m, &error) < 0)
		fail_msg("%s", error.message);
	otlp_json_append(&out, m);
	assert_string_equal(buffer_string(&out), expected);
	buffer_fini(&out);
	arena_fini(&arena);
}

static void reads(const ProtobufCMessageDescriptor *type, const char *text, const char *expected)
{
	reads_slice(type, slice_from_string(text), expected);
}

static void reads_value(const char *text, const char *expected)
{
	reads(any, text, expected);
}

static int fails(const ProtobufCMessageDescriptor *type, struct slice text, struct error *error)
{
	ProtobufCMessage *m = NULL;
	struct arena arena;
	int r;

	arena_init(&arena, NULL);
	r = otlp_json_decode_message(type, text, &arena, &m, error);
	assert_null(m);
	arena_fini(&arena);
	return r;
}

static void expect_error(const ProtobufCMessageDescriptor *type, const char *text,
                         const char *expected)
{
	struct error error = ERROR_INIT;

	assert_int_equal(fails(type, slice_from_string(text), &error), -EBADMSG);
	assert_string_equal(error.message, expected);
}

/* ---- keys */

static void keys_are_in_lower_camel_case_only(void **state)
{
	reads(span, "{\"traceState\":\"a\",\"droppedEventsCount\":1}",
	      "{\"traceState\":\"a\",\"droppedEventsCount\":1}");
	reads(span, "{\"trace_state\":\"a\",\"dropped_events_count\":1,\"TraceState\":\"b\"}",
	      "{}");
	reads(span, "{\"n\\u0061me\":\"escaped\",\"nam\":1,\"names\":2,\"\":3}",
	      "{\"name\":\"escaped\"}");
}

static void unknown_keys_are_ignored_whatever_they_hold(void **state)
{
	reads(span,
	      "{\"x\":{\"name\":\"no\",\"y\":[1,[{}],null,{\"z\":\"\\ud800\"}]},\"name\":\"yes\","
	      "\"kind2\":[],\"w\":1e999,\"status\":{\"q\":[[[]]],\"code\":2}}",
	      "{\"name\":\"yes\",\"status\":{\"code\":2}}");
}

static void null_is_the_same_as_absent(void **state)
{
	reads(span, "{\"name\":null,\"attributes\":null,\"status\":null,\"kind\":null}", "{}");
	reads_value("{\"intValue\":\"1\",\"stringValue\":null}", "{\"intValue\":\"1\"}");
	expect_error(
		span, "{\"attributes\":[null]}",
		"not OTLP/JSON: attributes[0]: null cannot be an element of a list, at byte 15");
}

static void a_key_that_comes_twice_counts_as_on_the_wire(void **state)
{
	reads(span,
	      "{\"name\":\"a\",\"status\":{\"code\":1},\"events\":[{\"name\":\"e\"}],\"name\":"
	      "\"b\","
	      "\"status\":{\"message\":\"m\"},\"events\":[],\"events\":[{\"name\":\"f\"}]}",
	      "{\"name\":\"b\",\"events\":[{\"name\":\"e\"},{\"name\":\"f\"}],\"status\":{"
	      "\"message\":"
	      "\"m\",\"code\":1}}");
	reads_value("{\"stringValue\":\"a\",\"boolValue\":true}", "{\"boolValue\":true}");
	reads_value("{\"arrayValue\":{\"values\":[{}]},\"kvlistValue\":{}}",
	            "{\"kvlistValue\":{}}");
	reads_value("{\"kvlistValue\":{},\"intValue\":5,\"arrayValue\":{}}", "{\"arrayValue\":{}}");
}

/* ---- values */

static void ids_are_in_hex_and_other_bytes_in_base64(void **state)
{
	reads(span,
	      "{\"traceId\":\"5B8efff798038103d269B633813FC60c\",\"spanId\":\"EEE19B7EC3C1B174\","
	      "\"parentSpanId\":\"\\u0065ee19b7ec3c1b173\"}",
	      "{\"traceId\":\"5b8efff798038103d269b633813fc60c\",\"spanId\":\"eee19b7ec3c1b174\","
	      "\"parentSpanId\":\"eee19b7ec3c1b173\"}");
	reads(span, "{\"traceId\":\"\",\"spanId\":\"ab\"}", "{\"spanId\":\"ab\"}");
	reads_value("{\"bytesValue\":\"+/8=\"}", "{\"bytesValue\":\"+/8=\"}");
	reads_value("{\"bytesValue\":\"-_8\"}", "{\"bytesValue\":\"+/8=\"}");
	reads_value("{\"bytesValue\":\"\\/\\/8=\"}", "{\"bytesValue\":\"//8=\"}");
	reads_value("{\"bytesValue\":\"\"}", "{\"bytesValue\":\"\"}");
	expect_error(span, "{\"traceId\":\"abc\"}",
	             "not OTLP/JSON: traceId: must be in hex, two digits a byte, at byte 11");
	expect_error(span, "{\"spanId\":\"zz\"}",
	             "not OTLP/JSON: spanId: must be in hex, two digits a byte, at byte 10");
	expect_error(span, "{\"spanId\":17}",
	             "not OTLP/JSON: spanId: must be a string, at byte 10");
	expect_error(any, "{\"bytesValue\":\"a\"}",
	             "not OTLP/JSON: bytesValue: must be in base64, at byte 14");
}

static void enums_are_integers(void **state)
{
	reads(span, "{\"kind\":3}", "{\"kind\":3}");
	reads(span, "{\"kind\":-2147483648}", "{\"kind\":-2147483648}");
	reads(span, "{\"kind\":2.0}", "{\"kind\":2}");
	expect_error(span, "{\"kind\":\"SPAN_KIND_SERVER\"}",
	             "not OTLP/JSON: kind: an enum must be an integer, not its name, at byte 8");
	expect_error(span, "{\"kind\":\"2\"}",
	             "not OTLP/JSON: kind: an enum must be an integer, not its name, at byte 8");
	expect_error(span, "{\"kind\":2147483648}",
	             "not OTLP/JSON: kind: does not fit in 32 bits with a sign, at byte 8");
}

static void integers_come_as_numbers_or_in_strings(void **state)
{
	static const struct {
		const char *text, *value; /* NULL: refused */
	} cases[] = {
		{"0", "0"},
		{"-0", "0"},
		{"\"12\"", "12"},
		{"12", "12"},
		{"\"\\u0031\\u0032\"", "12"},
		{"9223372036854775807", "9223372036854775807"},
		{"\"-9223372036854775808\"", "-9223372036854775808"},
		{"1e3", "1000"},
		{"1.5E+3", "1500"},
		{"1500000e-4", "150"},
		{"9.223372036854775807e18", "9223372036854775807"},
		{"\"1000000000000000000000000e-24\"", "1"},
		{"0e999999999999", "0"},
		{"0.000", "0"},
		{"\"007\"", "7"},
		{"9223372036854775808", NULL},
		{"-9223372036854775809", NULL},
		{"1e19", NULL},
		{"1e999999999999", NULL},
		{"1.5", NULL},
		{"1e-1", NULL},
		{"123456789012345678901234.5", NULL},
		{"\"\"", NULL},
		{"\"-\"", NULL},
		{"\" 1\"", NULL},
		{"\"1 \"", NULL},
		{"\"+1\"", NULL},
		{"\"1.\"", NULL},
		{"\".1\"", NULL},
		{"\"1e\"", NULL},
		{"\"0x10\"", NULL},
		{"true", NULL},
		{"[]", NULL},
		{"{}", NULL},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[100], expected[100];
		struct error error = ERROR_INIT;

		snprintf(text, sizeof text, "{\"intValue\":%s}", cases[i].text);
		snprintf(expected, sizeof expected, "{\"intValue\":\"%s\"}",
		         cases[i].value ? cases[i].value : "");
		if (cases[i].value)
			reads_value(text, expected);
		else
			assert_int_equal(fails(any, slice_from_string(text), &error), -EBADMSG);
	}
	reads(span, "{\"startTimeUnixNano\":18446744073709551615,\"flags\":\"4294967295\"}",
	      "{\"startTimeUnixNano\":\"18446744073709551615\",\"flags\":4294967295}");
	expect_error(span, "{\"startTimeUnixNano\":-1}",
	             "not OTLP/JSON: startTimeUnixNano: does not fit in 64 bits without a sign, at "
	             "byte 21");
	expect_error(span, "{\"flags\":4294967296}",
	             "not OTLP/JSON: flags: does not fit in 32 bits without a sign, at byte 9");
	expect_error(span, "{\"flags\":true}",
	             "not OTLP/JSON: flags: must be an integer, at byte 9");
	expect_error(span, "{\"flags\":\"many\"}",
	             "not OTLP/JSON: flags: must be an integer, or one in a string, at byte 9");
	expect_error(span, "{\"flags\":0.5}",
	             "not OTLP/JSON: flags: must be an integer, at byte 9");
}

static void doubles_come_as_numbers_or_in_strings(void **state)
{
	char many[400];

	reads_value("{\"doubleValue\":0.1}", "{\"doubleValue\":0.1}");
	reads_value("{\"doubleValue\":\"0.1\"}", "{\"doubleValue\":0.1}");
	reads_value("{\"doubleValue\":5e-324}", "{\"doubleValue\":5e-324}");
	reads_value("{\"doubleValue\":1e-400}", "{\"doubleValue\":0}");
	reads_value("{\"doubleValue\":-0.0}", "{\"doubleValue\":-0.0}");
	reads_value("{\"doubleValue\":-0}", "{\"doubleValue\":-0.0}");
	reads_value("{\"doubleValue\":9007199254740993}", "{\"doubleValue\":9007199254740992}");
	reads_value("{\"doubleValue\":\"NaN\"}", "{\"doubleValue\":\"NaN\"}");
	reads_value("{\"doubleValue\":\"Infinity\"}", "{\"doubleValue\":\"Infinity\"}");
	reads_value("{\"doubleValue\":\"-Infinity\"}", "{\"doubleValue\":\"-Infinity\"}");
	snprintf(many, sizeof many, "{\"doubleValue\":0.%0300d1}", 0);
	reads_value(many, "{\"doubleValue\":1e-301}");
	expect_error(any, "{\"doubleValue\":1e309}",
	             "not OTLP/JSON: doubleValue: does not fit in a double, at byte 15");
	expect_error(
		any, "{\"doubleValue\":\"inf\"}",
		"not OTLP/JSON: doubleValue: must be a number, or one in a string, at byte 15");
	expect_error(any, "{\"doubleValue\":false}",
	             "not OTLP/JSON: doubleValue: must be a number, at byte 15");
}

static void booleans_are_true_or_false(void **state)
{
	reads_value("{\"boolValue\":true}", "{\"boolValue\":true}");
	reads_value("{\"boolValue\":false}", "{\"boolValue\":false}");
	expect_error(any, "{\"boolValue\":1}",
	             "not OTLP/JSON: boolValue: must be true or false, at byte 13");
	expect_error(any, "{\"boolValue\":\"true\"}",
	             "not OTLP/JSON: boolValue: must be true or false, at byte 13");
}

static void strings_may_have_escapes(void **state)
{
	reads_value("{\"stringValue\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00fc\\u20ac\"}",
	            "{\"stringValue\":\"\\\"\\\\/\\b\\f\\n\\r\\tA\xc3\xbc\xe2\x82\xac\"}");
	reads_value("{\"stringValue\":\"\\ud83d\\udc1f\"}",
	            "{\"stringValue\":\"\xf0\x9f\x90\x9f\"}");
	reads_value("{\"stringValue\":\"\\u0000\"}", "{\"stringValue\":\"\\u0000\"}");
	reads_value("{\"stringValue\":\"ends in \\\\\"}", "{\"stringValue\":\"ends in \\\\\"}");
	reads_value("{\"stringValue\":\"\\\\\\\"\\\\\\\\\\\"\"}",
	            "{\"stringValue\":\"\\\\\\\"\\\\\\\\\\\"\"}");
	reads_value("{\"stringValue\":\"\\n\"}", "{\"stringValue\":\"\\n\"}");
}

#define FFFD "\xef\xbf\xbd"

static void lone_surrogates_are_replaced(void **state)
{
	reads_value("{\"stringValue\":\"\\ud83d\"}", "{\"stringValue\":\"" FFFD "\"}");
	reads_value("{\"stringValue\":\"\\ud83dx\"}", "{\"stringValue\":\"" FFFD "x\"}");
	reads_value("{\"stringValue\":\"\\udc1f\"}", "{\"stringValue\":\"" FFFD "\"}");
	reads_value("{\"stringValue\":\"\\ud83d\\ud83d\\udc1f\"}",
	            "{\"stringValue\":\"" FFFD "\xf0\x9f\x90\x9f\"}");
	reads_value("{\"stringValue\":\"\\ud83d\\u0041\"}", "{\"stringValue\":\"" FFFD "A\"}");
}

static void strings_without_escapes_stay_in_the_text(void **state)
{
	static const char text[] = "{\"name\":\"in place\",\"traceState\":\"co\\u0070ied\"}";
	ProtobufCMessage *m;
	const Otlp__Span *s;
	struct arena arena;

	arena_init(&arena, NULL);
	assert_int_equal(otlp_json_decode_message(span, slice_from_string(text), &arena, &m, NULL),
	                 0);
	s = (const Otlp__Span *)m;
	assert_ptr_equal(s->name.data, text + 9);
	assert_int_equal(s->trace_state.len, 6);
	assert_memory_equal(s->trace_state.data, "copied", 6);
	arena_fini(&arena);
}

/* ---- shapes */

static void what_is_of_another_shape_is_refused(void **state)
{
	expect_error(span, "{\"status\":[]}",
	             "not OTLP/JSON: status: must not be a list, at byte 10");
	expect_error(span, "{\"status\":1}",
	             "not OTLP/JSON: status: must be an object, at byte 10");
	expect_error(span, "{\"name\":{}}",
	             "not OTLP/JSON: name: must not be an object, at byte 8");
	expect_error(span, "{\"attributes\":{}}",
	             "not OTLP/JSON: attributes: must be a list, at byte 14");
	expect_error(span, "{\"attributes\":\"x\"}",
	             "not OTLP/JSON: attributes: must be a list, at byte 14");
	expect_error(span, "{\"attributes\":[{},[]]}",
	             "not OTLP/JSON: attributes[1]: must not be a list, at byte 18");
	expect_error(span, "{\"attributes\":[true]}",
	             "not OTLP/JSON: attributes[0]: must be an object, at byte 15");
	expect_error(&otlp__entity_ref__descriptor, "{\"idKeys\":[\"a\",{}]}",
	             "not OTLP/JSON: idKeys[1]: must not be an object, at byte 15");
	expect_error(span, "[]", "not OTLP/JSON: Span: must be an object, at byte 0");
	expect_error(span, " \"x\"", "not OTLP/JSON: Span: must be an object, at byte 1");
	expect_error(span, "null", "not OTLP/JSON: Span: must be an object, at byte 0");
	expect_error(span, "17", "not OTLP/JSON: Span: must be an object, at byte 2");
}

static void errors_name_path_and_byte(void **state)
{
	static const char text[] =
		"{\"resourceSpans\":[{\"scopeSpans\":[{},{\"spans\":[{\"name\":\"a\"},{\"kind\":"
		"\"SERVER\"}]}]}]}";
	struct error error = ERROR_INIT;
	ProtobufCMessage *m;
	struct arena arena;

	arena_init(&arena, NULL);
	assert_int_equal(otlp_json_decode(SIGNAL_TRACES, slice_from_string(text), &arena, &m,
	                                  &error),
	                 -EBADMSG);
	assert_string_equal(error.message,
	                    "not OTLP/JSON: resourceSpans[0].scopeSpans[1].spans[1].kind: an enum "
	                    "must be an integer, not its name, at byte 67");
	arena_fini(&arena);
}

static void what_is_no_json_is_refused(void **state)
{
	expect_error(span, "", "not JSON: there is nothing");
	expect_error(span, "{", "not JSON: parse error: premature EOF, at byte 1");
	expect_error(span, "{\"name\":\"a\"", "not JSON: parse error: premature EOF, at byte 11");
	expect_error(span, "{\"name\":\"a", "not JSON: parse error: premature EOF, at byte 10");
	expect_error(span, "{\"flags\":1", "not JSON: parse error: premature EOF, at byte 10");
	expect_error(span, "{\"name\":\"a\"}x",
	             "not JSON: parse error: trailing garbage, at byte 13");
	expect_error(span, "{\"name\":'a'}",
	             "not JSON: lexical error: invalid char in json text, at byte 9");
	expect_error(span, "{} {}", "not JSON: parse error: trailing garbage, at byte 4");
	assert_int_equal(fails(span, SLICE_LITERAL("{\"name\":\"a\0b\"}"), NULL), -EBADMSG);
	assert_int_equal(fails(span, SLICE_LITERAL("{\"name\":\"\xff\"}"), NULL), -EBADMSG);
	assert_int_equal(fails(span, SLICE_LITERAL("{\"name\":\"\\x\"}"), NULL), -EBADMSG);
	assert_int_equal(fails(span, SLICE_LITERAL("{\"name\":\"\\u12g4\"}"), NULL), -EBADMSG);
	assert_int_equal(fails(span, SLICE_LITERAL("{\"flags\":01}"), NULL), -EBADMSG);
	assert_int_equal(fails(span, SLICE_LITERAL("{\"flags\":1,}"), NULL), -EBADMSG);
	assert_int_equal(fails(span, SLICE_LITERAL("{flags:1}"), NULL), -EBADMSG);
	assert_int_equal(fails(span, SLICE_LITERAL("/**/{}"), NULL), -EBADMSG);
}

static void a_byte_order_mark_is_skipped(void **state)
{
	reads(span, "\xef\xbb\xbf{\"name\":\"a\"}", "{\"name\":\"a\"}");
	expect_error(span, "\xef\xbb\xbf{\"flags\":\"\"}",
	             "not OTLP/JSON: flags: must be an integer, or one in a string, at byte 12");
	assert_int_equal(fails(span, SLICE_LITERAL("\xef\xbb\xbf"), NULL), -EBADMSG);
}

/* ---- bounds */

static void make_nested(struct buffer *out, const char *open, const char *close, size_t levels)
{
	for (size_t i = 0; i < levels; i++)
		buffer_append_string(out, open);
	for (size_t i = 0; i < levels; i++)
		buffer_append_string(out, close);
}

static int decode_nested(const char *head, const char *open, const char *close, const char *tail,
                         size_t levels)
{
	struct buffer text = BUFFER_INIT;
	struct error error = ERROR_INIT;
	ProtobufCMessage *m;
	struct arena arena;
	int r;

	arena_init(&arena, NULL);
	buffer_append_string(&text, head);
	make_nested(&text, open, close, levels);
	buffer_append_string(&text, tail);
	r = otlp_json_decode_message(any, buffer_slice(&text), &arena, &m, &error);
	buffer_fini(&text);
	arena_fini(&arena);
	return r;
}

static void depth_is_bounded(void **state)
{
	static const char open[] = "{\"arrayValue\":{\"values\":[", close[] = "]}}";

	/* Two messages a level. */
	assert_int_equal(decode_nested("", open, close, "", 50), 0);
	assert_int_equal(decode_nested("", open, close, "", 51), -E2BIG);
	assert_int_equal(decode_nested("", open, close, "", 1000000), -E2BIG);
	assert_int_equal(decode_nested("{\"x\":", "[", "]", "}", 199), 0);
	assert_int_equal(decode_nested("{\"x\":", "[", "]", "}", 200), -E2BIG);
	assert_int_equal(decode_nested("{\"x\":", "{\"a\":[", "]}", "}", 1000000), -E2BIG);
}

static void long_lists_are_read_in_linear_memory(void **state)
{
	enum { POINTS = 300000 };
	struct buffer text = BUFFER_INIT;
	ProtobufCMessage *m;
	struct budget budget = {0};
	struct arena arena;
	const Otlp__HistogramDataPoint *point;

	/* One list in many parts, and each part of one element. */
	buffer_append_string(&text, "{\"bucketCounts\":[0");
	for (size_t i = 1; i < POINTS; i++)
		buffer_printf(&text, ",%zu", i);
	buffer_append_string(&text, "]");
	for (size_t i = 0; i < POINTS; i++)
		buffer_printf(&text, ",\"explicitBounds\":[%zu]", i);
	buffer_append_string(&text, "}");
	arena_init(&arena, &budget);
	assert_int_equal(otlp_json_decode_message(&otlp__histogram_data_point__descriptor,
	                                          buffer_slice(&text), &arena, &m, NULL),
	                 0);
	point = (const Otlp__HistogramDataPoint *)m;
	assert_int_equal(point->n_bucket_counts, POINTS);
	assert_int_equal(point->n_explicit_bounds, POINTS);
	for (size_t i = 0; i < POINTS; i++) {
		assert_int_equal(point->bucket_counts[i], i);
		assert_true(point->explicit_bounds[i] == (double)i);
	}
	/* 8 bytes each once; the other at most four times, in doublings. */
	assert_in_range(budget.used, 2 * 8 * POINTS, 6 * 8 * POINTS);
	arena_fini(&arena);
	assert_int_equal(budget.used, 0);
	buffer_fini(&text);
}

static void refused_memory_is_said_and_given_back(void **state)
{
	static const char text[] =
		"{\"attributes\":[{\"key\":\"\\u0061\",\"value\":{\"bytesValue\":\"AAAA\"}},"
		"{\"key\":\"b\",\"value\":{\"arrayValue\":{\"values\":[{\"intValue\":\"1\"}]}}}],"
		"\"traceId\":\"5b8efff798038103d269b633813fc60c\",\"events\":[{\"name\":\"e\"}]}";
	size_t limit = 0;
	int r;

	do {
		struct budget budget = {.limit = limit += 128};
		struct error error = ERROR_INIT;
		ProtobufCMessage *m = NULL;
		struct arena arena;

		arena_init(&arena, &budget);
		r = otlp_json_decode_message(span, slice_from_string(text), &arena, &m, &error);
		if (r < 0) {
			assert_int_equal(r, -ENOMEM);
			assert_int_equal(error.kind, ERROR_RETRYABLE);
			assert_null(m);
		}
		arena_fini(&arena);
		assert_int_equal(budget.used, 0);
		assert_true(budget.peak <= limit);
	} while (r < 0);
	assert_true(limit > 1024);
}

/* ---- the printer's way back */

static void reads_back_what_the_printer_prints(void **state)
{
	for (uint64_t seed = 1; seed <= 3000; seed++) {
		const ProtobufCMessageDescriptor *type = otlp_types[seed % otlp_types_count];
		struct buffer first = BUFFER_INIT, second = BUFFER_INIT;
		struct error error = ERROR_INIT;
		ProtobufCMessage *m;
		struct arena arena;
		struct otlp_random r = {.arena = &arena,
		                        .state = seed,
		                        .depth = 6,
		                        .unknown = seed % 2};

		/* whose JSON has another form */
		if (type == &otlp__export_partial_success__descriptor ||
		    type == &otlp__export_service_response__descriptor ||
		    type == &otlp__rpc_status__descriptor)
			continue;
		arena_init(&arena, NULL);
		otlp_json_append(&first, otlp_random_message(&r, type));
		if (otlp_json_decode_message(type, buffer_slice(&first), &arena, &m, &error) < 0)
			fail_msg("seed %d: %s", (int)seed, error.message);
		otlp_json_append(&second, m);
		assert_string_equal(buffer_string(&first), buffer_string(&second));
		buffer_fini(&first);
		buffer_fini(&second);
		arena_fini(&arena);
	}
}

/* From the specification's examples (opentelemetry-proto, examples/trace.json). */
static void reads_the_example_of_the_specification(void **state)
{
	static const char text[] =
		"{\n \"resourceSpans\": [{\"resource\": {\"attributes\": [{\"key\": "
		"\"service.name\","
		"\"value\": {\"stringValue\": \"my.service\"}}]}, \"scopeSpans\": [{\"scope\": {"
		"\"name\": \"my.library\", \"version\": \"1.0.0\"}, \"spans\": [{\"traceId\": "
		"\"5B8EFFF798038103D269B633813FC60C\", \"spanId\": \"EEE19B7EC3C1B174\", "
		"\"name\": \"I'm a server span\", \"startTimeUnixNano\": \"1544712660000000000\", "
		"\"kind\": 2}]}]}]\n}\n";

	reads(otlp_request_descriptor(SIGNAL_TRACES), text,
	      "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\","
	      "\"value\":"
	      "{\"stringValue\":\"my.service\"}}]},\"scopeSpans\":[{\"scope\":{\"name\":\"my."
	      "library\","
	      "\"version\":\"1.0.0\"},\"spans\":[{\"traceId\":"
	      "\"5b8efff798038103d269b633813fc60c\","
	      "\"spanId\":\"eee19b7ec3c1b174\",\"name\":\"I'm a server span\",\"kind\":2,"
	      "\"startTimeUnixNano\":\"1544712660000000000\"}]}]}]}");
	reads(otlp_request_descriptor(SIGNAL_METRICS), " {} ", "{}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_are_in_lower_camel_case_only),
		cmocka_unit_test(unknown_keys_are_ignored_whatever_they_hold),
		cmocka_unit_test(null_is_the_same_as_absent),
		cmocka_unit_test(a_key_that_comes_twice_counts_as_on_the_wire),
		cmocka_unit_test(ids_are_in_hex_and_other_bytes_in_base64),
		cmocka_unit_test(enums_are_integers),
		cmocka_unit_test(integers_come_as_numbers_or_in_strings),
		cmocka_unit_test(doubles_come_as_numbers_or_in_strings),
		cmocka_unit_test(booleans_are_true_or_false),
		cmocka_unit_test(strings_may_have_escapes),
		cmocka_unit_test(lone_surrogates_are_replaced),
		cmocka_unit_test(strings_without_escapes_stay_in_the_text),
		cmocka_unit_test(what_is_of_another_shape_is_refused),
		cmocka_unit_test(errors_name_path_and_byte),
		cmocka_unit_test(what_is_no_json_is_refused),
		cmocka_unit_test(a_byte_order_mark_is_skipped),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(long_lists_are_read_in_linear_memory),
		cmocka_unit_test(refused_memory_is_said_and_given_back),
		cmocka_unit_test(reads_back_what_the_printer_prints),
		cmocka_unit_test(reads_the_example_of_the_specification),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
