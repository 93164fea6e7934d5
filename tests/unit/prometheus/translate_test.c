#include "tests/unit/prometheus/translate_test.h"

struct translator *translate_begin(const struct translator_options *options)
{
	struct translator *t = translator_new(options);

	assert_non_null(t);
	return t;
}

const char *translate_metrics(const char *resource, const char *list)
{
	static char text[16384];

	snprintf(text, sizeof text,
	         "{'resourceMetrics':[{'resource':{'attributes':[%s]},'scopeMetrics':[{'metrics':[%"
	         "s]}]}]}",
	         resource, list);
	return text;
}

/* Whether batches come as bytes that nobody has opened. */
static bool closed;

struct batch *translate_come(const char *json)
{
	struct batch *open = translation_batch(json), *b = NULL;
	struct buffer out = BUFFER_INIT;
	struct error error = ERROR_INIT;
	struct rcbuf *pin;

	if (!open || !closed)
		return open;
	assert_int_equal(batch_encode(open, &out, &error), 0);
	pin = rcbuf_new(out.len, NULL);
	assert_non_null(pin);
	memcpy(pin->data, out.data, out.len);
	assert_int_equal(batch_from_request(SIGNAL_METRICS, pin, slice_of(pin->data, pin->size),
	                                    NULL, &b, &error),
	                 0);
	rcbuf_unref(pin);
	buffer_fini(&out);
	batch_unref(open);
	return b;
}

void translate_say(struct translator *t, const char *json, struct buffer *out)
{
	struct batch *b = translate_come(json);
	struct translation tr;
	struct error error = ERROR_INIT;
	const char *wrong;

	assert_non_null(b);
	assert_int_equal(translator_batch(t, b, 0, &tr, &error), 0);
	batch_unref(b); /* the samples outlive it */
	wrong = translation_wrong(t, &tr, NAME_ESCAPED_SUFFIXED);
	if (wrong)
		fail_msg("%s", wrong);
	buffer_clear(out);
	translation_print(t, &tr, out);
}

void translate_expect(struct translator *t, const char *json, const char *wanted)
{
	struct buffer out = BUFFER_INIT;

	translate_say(t, json, &out);
	assert_string_equal(buffer_string(&out), wanted);
	buffer_fini(&out);
}

void translate_expect_once(const struct translator_options *options, const char *json,
                           const char *wanted)
{
	struct translator *t = translate_begin(options);

	translate_expect(t, json, wanted);
	translator_free(t);
}

const struct translator_options translate_plain = {.no_target_info = true};

struct translation translate_once(struct translator *t, const char *json)
{
	struct batch *b = translate_come(json);
	struct translation tr;
	struct error error = ERROR_INIT;

	assert_non_null(b);
	assert_int_equal(translator_batch(t, b, 0, &tr, &error), 0);
	batch_unref(b);
	return tr;
}

int translate_run(const struct CMUnitTest *tests, size_t n)
{
	int failed = _cmocka_run_group_tests("opened", tests, n, NULL, NULL);

	closed = true;
	return failed + _cmocka_run_group_tests("as they came", tests, n, NULL, NULL);
}
