#include "core/wire/compress.h"
#include "core/wire/otlp_json_decode.h"
#include "core/wire/otlp_status.h"
#include "tests/support/failing_memory.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct slice pieces[] = {SLICE_LITERAL("spans and "), SLICE_LITERAL("more spans")};
static const char text[] = "spans and more spans";

/* Runs the scenario with the first, the second, ... allocation failing until it passes. */
static void survive(bool (*scenario)(int argument), int argument)
{
	unsigned long n = 0;
	bool failed, ok;

	do {
		failing_memory_arm(++n);
		ok = scenario(argument);
		failed = failing_memory_disarm();
		assert_true(ok || failed);
	} while (failed);
	assert_true(n > 1);
}

static bool both_ways(int coding)
{
	struct buffer packed = BUFFER_INIT, plain = BUFFER_INIT;
	struct error error = ERROR_INIT;
	int r = compress_pieces(coding, pieces, 2, &packed, &error);

	if (r == 0)
		r = compress_inflate(coding, buffer_slice(&packed), 100, &plain, &error);
	if (r == 0) {
		assert_true(slice_equal(buffer_slice(&plain), slice_from_string(text)));
	} else {
		assert_int_equal(r, -ENOMEM);
		assert_int_equal(error.kind, ERROR_RETRYABLE);
		assert_int_equal(plain.len, 0);
		assert_false(packed.failed || plain.failed);
	}
	buffer_fini(&packed);
	buffer_fini(&plain);
	return r == 0;
}

static void compressing_says_when_there_is_no_memory(void **state)
{
	for (int c = CODING_IDENTITY; c < CODING_COUNT; c++)
		survive(both_ways, c);
}

static bool by_steps(int coding)
{
	struct buffer packed = BUFFER_INIT;
	struct inflater *i = NULL;
	enum inflate_event event = INFLATE_NO_MEMORY;
	uint8_t out[sizeof text];
	size_t written;

	if (compress_pieces(coding, pieces, 2, &packed, NULL) == 0)
		i = inflater_new(coding, buffer_slice(&packed));
	if (i)
		event = inflater_run(i, out, 5, &written);
	if (event == INFLATE_FULL)
		event = inflater_run(i, out + written, sizeof out - written, &written);
	inflater_free(i);
	buffer_fini(&packed);
	assert_int_equal(event == INFLATE_END || event == INFLATE_NO_MEMORY, 1);
	return event == INFLATE_END;
}

static void inflating_says_when_there_is_no_memory(void **state)
{
	for (int c = CODING_IDENTITY; c < CODING_COUNT; c++)
		survive(by_steps, c);
}

static bool answers(int encoding)
{
	struct otlp_status status = {GRPC_UNAVAILABLE, "\xff later", true, 1500000000};
	struct buffer out = BUFFER_INIT, message = BUFFER_INIT;
	uint64_t rejected;
	bool ok;

	otlp_status_write(encoding, &status, &out);
	ok = !out.failed && otlp_status_read(encoding, buffer_slice(&out), &message);
	buffer_clear(&out);
	if (ok) {
		otlp_response_write(encoding, SIGNAL_TRACES, 3, "too old", &out);
		ok = !out.failed &&
		     otlp_response_read(encoding, buffer_slice(&out), &rejected, &message);
	}
	if (ok)
		assert_true(slice_equal(buffer_slice(&message),
		                        SLICE_LITERAL("\xef\xbf\xbd latertoo old")));
	buffer_fini(&out);
	buffer_fini(&message);
	return ok;
}

static void answers_say_when_there_is_no_memory(void **state)
{
	survive(answers, OTLP_PROTOBUF);
	survive(answers, OTLP_JSON);
}

static bool decode_json(int argument)
{
	static const char request[] =
		"{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"body\":{\"stringValue\":"
		"\"\\u0061\"}},{\"spanId\":\"00\"}]}]}]}";
	struct budget budget = {0};
	struct error error = ERROR_INIT;
	ProtobufCMessage *m;
	struct arena arena;
	int r;

	arena_init(&arena, &budget);
	r = otlp_json_decode(SIGNAL_LOGS, slice_from_string(request), &arena, &m, &error);
	assert_true(r == 0 || (r == -ENOMEM && error.kind == ERROR_RETRYABLE));
	arena_fini(&arena);
	assert_int_equal(budget.used, 0);
	return r == 0;
}

static void json_says_when_there_is_no_memory(void **state)
{
	survive(decode_json, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(compressing_says_when_there_is_no_memory),
		cmocka_unit_test(inflating_says_when_there_is_no_memory),
		cmocka_unit_test(answers_say_when_there_is_no_memory),
		cmocka_unit_test(json_says_when_there_is_no_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
