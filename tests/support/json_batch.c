#include "tests/support/json_batch.h"

#include "core/wire/otlp_json_decode.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct batch *from_bytes(enum signal signal, const struct buffer *bytes,
                                struct budget *budget)
{
	struct error error = ERROR_INIT;
	struct rcbuf *pin = rcbuf_new(bytes->len + 1, budget);
	struct batch *b = NULL;

	assert_non_null(pin);
	memcpy(pin->data, bytes->data, bytes->len);
	if (batch_from_request(signal, pin, slice_of(pin->data, bytes->len), budget, &b, &error) <
	    0)
		fail_msg("%s", error.message);
	rcbuf_unref(pin);
	return b;
}

struct batch *json_batch(enum signal signal, const char *json, struct budget *budget)
{
	struct error error = ERROR_INIT;
	struct buffer bytes = BUFFER_INIT;
	ProtobufCMessage *request = NULL;
	struct arena arena;
	struct batch *b;

	arena_init(&arena, NULL);
	if (otlp_json_decode(signal, slice_from_string(json), &arena, &request, &error) < 0)
		fail_msg("%s", error.message);
	assert_true(otlp_encode(request, &bytes));
	b = from_bytes(signal, &bytes, budget);
	arena_fini(&arena);
	buffer_fini(&bytes);
	return b;
}

void json_batch_expect(struct batch *b, const char *json)
{
	struct buffer bytes = BUFFER_INIT, text = BUFFER_INIT;
	struct batch *again;

	assert_int_equal(batch_encode(b, &bytes, NULL), 0);
	again = from_bytes(b->signal, &bytes, b->arena.budget);
	assert_int_equal(batch_encode_json(again, &text, NULL), 0);
	assert_string_equal(buffer_string(&text), json);
	batch_unref(again);
	buffer_fini(&bytes);
	buffer_fini(&text);
}
