#include "core/wire/otlp.pb-c.h"
#include "core/wire/otlp_json.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static ProtobufCBinaryData bytes(const char *text, size_t len)
{
	return (ProtobufCBinaryData){.len = len, .data = (uint8_t *)(uintptr_t)text};
}

#define TEXT(literal) bytes(literal, sizeof(literal) - 1)

/* gcc does not like the INIT macros of messages with a oneof of bytes. */
static Otlp__AnyValue any_value(void)
{
	Otlp__AnyValue v;
	otlp__any_value__init(&v);
	return v;
}

static void expect_json(const ProtobufCMessage *message, const char *expected)
{
	struct buffer out = BUFFER_INIT;

	otlp_json_append(&out, message);
	assert_false(out.failed);
	assert_string_equal(buffer_string(&out), expected);
	buffer_fini(&out);
}

static void assert_value(const Otlp__AnyValue *value, const char *expected)
{
	expect_json(&value->base, expected);
}

static void expect_text(const char *text, size_t len, const char *expected)
{
	Otlp__AnyValue v = any_value();
	v.value_case = OTLP__ANY_VALUE__VALUE_STRING_VALUE;
	v.string_value = bytes(text, len);
	assert_value(&v, expected);
}

static void leaves_out_fields_that_hold_their_default(void **state)
{
	Otlp__Span span = OTLP__SPAN__INIT;
	Otlp__Resource resource = OTLP__RESOURCE__INIT;
	Otlp__ResourceSpans group = OTLP__RESOURCE_SPANS__INIT;

	expect_json(&span.base, "{}");
	group.resource = &resource;
	expect_json(&group.base, "{\"resource\":{}}");
}

static void prints_ids_in_hex_and_other_bytes_in_base64(void **state)
{
	Otlp__Span span = OTLP__SPAN__INIT;
	Otlp__AnyValue v = any_value();

	span.trace_id = TEXT("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\xfb\xfc\xfd\xfe\xff");
	span.span_id = TEXT("\xde\xad\xbe\xef\x00\x00\x00\x01");
	span.parent_span_id = TEXT("\x01\x00\x00\x00\x00\x00\x00\x00");
	expect_json(&span.base, "{\"traceId\":\"000102030405060708090afbfcfdfeff\","
	                        "\"spanId\":\"deadbeef00000001\","
	                        "\"parentSpanId\":\"0100000000000000\"}");
	v.value_case = OTLP__ANY_VALUE__VALUE_BYTES_VALUE;
	v.bytes_value = TEXT("\x00");
	assert_value(&v, "{\"bytesValue\":\"AA==\"}");
	v.bytes_value = TEXT("\xfb\xff");
	assert_value(&v, "{\"bytesValue\":\"+/8=\"}");
	v.bytes_value = TEXT("Man");
	assert_value(&v, "{\"bytesValue\":\"TWFu\"}");
}

static void prints_the_chosen_member_of_a_oneof_even_when_it_is_zero(void **state)
{
	Otlp__AnyValue v = any_value();
	Otlp__NumberDataPoint point;
	Otlp__HistogramDataPoint histogram = OTLP__HISTOGRAM_DATA_POINT__INIT;

	otlp__number_data_point__init(&point);

	assert_value(&v, "{}");
	v.value_case = OTLP__ANY_VALUE__VALUE_BOOL_VALUE;
	assert_value(&v, "{\"boolValue\":false}");
	v.value_case = OTLP__ANY_VALUE__VALUE_INT_VALUE;
	v.int_value = 0;
	assert_value(&v, "{\"intValue\":\"0\"}");
	expect_text("", 0, "{\"stringValue\":\"\"}");
	point.value_case = OTLP__NUMBER_DATA_POINT__VALUE_AS_INT;
	expect_json(&point.base, "{\"asInt\":\"0\"}");
	point.value_case = OTLP__NUMBER_DATA_POINT__VALUE_AS_DOUBLE;
	expect_json(&point.base, "{\"asDouble\":0}");
	histogram.optional_sum_case = OTLP__HISTOGRAM_DATA_POINT__OPTIONAL_SUM_SUM;
	expect_json(&histogram.base, "{\"sum\":0}");
}

static void prints_64_bit_integers_as_strings_and_enums_as_integers(void **state)
{
	Otlp__Span span = OTLP__SPAN__INIT;
	Otlp__AnyValue v = any_value();
	Otlp__HistogramDataPoint point = OTLP__HISTOGRAM_DATA_POINT__INIT;
	uint64_t counts[] = {0, UINT64_MAX};
	double bounds[] = {0.5};

	span.start_time_unix_nano = UINT64_MAX;
	span.kind = OTLP__SPAN__SPAN_KIND__SPAN_KIND_CLIENT;
	span.flags = UINT32_MAX;
	expect_json(&span.base, "{\"kind\":3,\"startTimeUnixNano\":\"18446744073709551615\","
	                        "\"flags\":4294967295}");
	v.value_case = OTLP__ANY_VALUE__VALUE_INT_VALUE;
	v.int_value = INT64_MIN;
	assert_value(&v, "{\"intValue\":\"-9223372036854775808\"}");
	point.bucket_counts = counts;
	point.n_bucket_counts = 2;
	point.explicit_bounds = bounds;
	point.n_explicit_bounds = 1;
	expect_json(&point.base, "{\"bucketCounts\":[\"0\",\"18446744073709551615\"],"
	                         "\"explicitBounds\":[0.5]}");
}

static void prints_doubles_so_that_they_read_back_unchanged(void **state)
{
	static const struct {
		double value;
		const char *text;
	} cases[] = {
		{1, "1"},
		{-0.0, "-0.0"},
		{0.1, "0.1"},
		{100, "100"},
		{1e15, "1e+15"},
		{123456789012345680.0, "1.2345678901234568e+17"},
		{0.1 + 0.2, "0.30000000000000004"},
		{5e-324, "5e-324"},
		{1.7976931348623157e308, "1.7976931348623157e+308"},
		{(double)NAN, "\"NaN\""},
		{(double)INFINITY, "\"Infinity\""},
		{-(double)INFINITY, "\"-Infinity\""},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		Otlp__AnyValue v = any_value();
		char expected[80];
		v.value_case = OTLP__ANY_VALUE__VALUE_DOUBLE_VALUE;
		v.double_value = cases[i].value;
		snprintf(expected, sizeof expected, "{\"doubleValue\":%s}", cases[i].text);
		assert_value(&v, expected);
	}
}

static void escapes_what_json_does_not_allow_in_strings(void **state)
{
	expect_text("a\"b\\c\n\t\r\b\f\x01\x7f/", 13,
	            "{\"stringValue\":\"a\\\"b\\\\c\\n\\t\\r\\b\\f\\u0001\x7f/\"}");
	expect_text("a\0b", 3, "{\"stringValue\":\"a\\u0000b\"}");
	expect_text("gr\xc3\xbc\xc3\x9f \xf0\x9f\x90\x9f", 11,
	            "{\"stringValue\":\"gr\xc3\xbc\xc3\x9f \xf0\x9f\x90\x9f\"}");
}

#define FFFD "\xef\xbf\xbd"

static void replaces_what_is_not_utf8(void **state)
{
	expect_text("\xff", 1, "{\"stringValue\":\"" FFFD "\"}");
	expect_text("a\x80z", 3, "{\"stringValue\":\"a" FFFD "z\"}");
	/* cut short, at the end and before another character */
	expect_text("\xe2\x82", 2, "{\"stringValue\":\"" FFFD "\"}");
	expect_text("\xe2\x82!", 3, "{\"stringValue\":\"" FFFD "!\"}");
	/* an overlong slash, a surrogate, above U+10FFFF */
	expect_text("\xc0\xaf", 2, "{\"stringValue\":\"" FFFD FFFD "\"}");
	expect_text("\xed\xa0\x80", 3, "{\"stringValue\":\"" FFFD FFFD FFFD "\"}");
	expect_text("\xf4\x90\x80\x80", 4, "{\"stringValue\":\"" FFFD FFFD FFFD FFFD "\"}");
}

static void prints_nested_messages_and_repeated_strings(void **state)
{
	ProtobufCBinaryData keys[] = {TEXT("host.id"), TEXT("host.name")};
	Otlp__EntityRef entity = OTLP__ENTITY_REF__INIT, *entities[] = {&entity};
	Otlp__AnyValue value = any_value();
	Otlp__KeyValue attribute = OTLP__KEY_VALUE__INIT, *attributes[] = {&attribute};
	Otlp__Resource resource = OTLP__RESOURCE__INIT;

	entity.type = TEXT("host");
	entity.id_keys = keys;
	entity.n_id_keys = 2;
	value.value_case = OTLP__ANY_VALUE__VALUE_STRING_VALUE;
	value.string_value = TEXT("nginx");
	attribute.key = TEXT("service.name");
	attribute.value = &value;
	resource.attributes = attributes;
	resource.n_attributes = 1;
	resource.entity_refs = entities;
	resource.n_entity_refs = 1;
	resource.dropped_attributes_count = 7;
	expect_json(&resource.base,
	            "{\"attributes\":[{\"key\":\"service.name\",\"value\":{\"stringValue\":"
	            "\"nginx\"}}],\"droppedAttributesCount\":7,\"entityRefs\":[{\"type\":\"host\","
	            "\"idKeys\":[\"host.id\",\"host.name\"]}]}");
}

/* Attributes have a way of their own: it must write what its two messages by themselves come to. */
static void assert_attribute(const Otlp__KeyValue *attribute)
{
	struct buffer value = BUFFER_INIT, expected = BUFFER_INIT;

	if (attribute->key.len)
		buffer_append_string(&expected, "{\"key\":\"k\"");
	else
		buffer_append_string(&expected, "{");
	if (attribute->value) {
		otlp_json_append(&value, &attribute->value->base);
		buffer_printf(&expected, "%s\"value\":%s", attribute->key.len ? "," : "",
		              buffer_string(&value));
	}
	buffer_append_string(&expected, "}");
	expect_json(&attribute->base, buffer_string(&expected));
	buffer_fini(&value);
	buffer_fini(&expected);
}

static void prints_attributes_of_every_kind(void **state)
{
	Otlp__AnyValue values[9];
	size_t n = 0;

	for (size_t i = 0; i < sizeof values / sizeof *values; i++)
		values[i] = any_value();
	n++; /* without a value */
	values[n].value_case = OTLP__ANY_VALUE__VALUE_STRING_VALUE;
	values[n++].string_value = TEXT("a \"word\"");
	values[n++].value_case = OTLP__ANY_VALUE__VALUE_STRING_VALUE;
	values[n++].value_case = OTLP__ANY_VALUE__VALUE_BOOL_VALUE;
	values[n].value_case = OTLP__ANY_VALUE__VALUE_BOOL_VALUE;
	values[n++].bool_value = true;
	values[n].value_case = OTLP__ANY_VALUE__VALUE_INT_VALUE;
	values[n++].int_value = INT64_MIN;
	values[n].value_case = OTLP__ANY_VALUE__VALUE_DOUBLE_VALUE;
	values[n++].double_value = -1.5;
	values[n].value_case = OTLP__ANY_VALUE__VALUE_BYTES_VALUE;
	values[n++].bytes_value = TEXT("\x01\x02");
	values[n++].value_case = OTLP__ANY_VALUE__VALUE_ARRAY_VALUE; /* chosen, and not there */
	for (size_t i = 0; i <= n; i++) {
		Otlp__KeyValue attribute = OTLP__KEY_VALUE__INIT;

		attribute.value = i < n ? &values[i] : NULL;
		assert_attribute(&attribute);
		attribute.key = TEXT("k");
		assert_attribute(&attribute);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(leaves_out_fields_that_hold_their_default),
		cmocka_unit_test(prints_ids_in_hex_and_other_bytes_in_base64),
		cmocka_unit_test(prints_the_chosen_member_of_a_oneof_even_when_it_is_zero),
		cmocka_unit_test(prints_64_bit_integers_as_strings_and_enums_as_integers),
		cmocka_unit_test(prints_doubles_so_that_they_read_back_unchanged),
		cmocka_unit_test(escapes_what_json_does_not_allow_in_strings),
		cmocka_unit_test(replaces_what_is_not_utf8),
		cmocka_unit_test(prints_nested_messages_and_repeated_strings),
		cmocka_unit_test(prints_attributes_of_every_kind),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
