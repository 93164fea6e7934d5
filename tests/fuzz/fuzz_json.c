/* fuzz json: one byte that chooses the signal and how little memory there is, then a request as OTLP/JSON.
 *
 * What is read comes through protobuf unchanged, is accepted and counted by the validator, and is read
 * from its own JSON as the same. With less memory it is read or refused, and nothing is left. */
#include "core/wire/otlp.h"
#include "core/wire/otlp_json.h"
#include "core/wire/otlp_json_decode.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

static bool on_group(void *arg, struct slice body, size_t items)
{
	*(size_t *)arg += 1;
	return true;
}

static void check_protobuf(enum signal signal, const ProtobufCMessage *m, struct buffer *ret)
{
	struct buffer again = BUFFER_INIT;
	ProtobufCMessage *back;
	struct arena arena;
	size_t groups = 0;

	arena_init(&arena, NULL);
	CHECK(otlp_encode(m, ret));
	CHECK(otlp_validate(signal, buffer_slice(ret), on_group, &groups, NULL) == 0);
	CHECK(groups == ((const Otlp__ExportTraceServiceRequest *)m)->n_resource_spans);
	CHECK(otlp_decode(otlp_request_descriptor(signal), buffer_slice(ret), &arena, &back,
	                  NULL) == 0);
	CHECK(otlp_encode(back, &again));
	CHECK(slice_equal(buffer_slice(ret), buffer_slice(&again)));
	arena_fini(&arena);
	buffer_fini(&again);
}

static void check_json(enum signal signal, const ProtobufCMessage *m, const struct buffer *encoded)
{
	struct buffer first = BUFFER_INIT, second = BUFFER_INIT, again = BUFFER_INIT;
	struct error error = ERROR_INIT;
	ProtobufCMessage *back;
	struct arena arena;

	arena_init(&arena, NULL);
	otlp_json_append(&first, m);
	CHECK(otlp_json_decode(signal, buffer_slice(&first), &arena, &back, &error) == 0);
	otlp_json_append(&second, back);
	CHECK(!first.failed && slice_equal(buffer_slice(&first), buffer_slice(&second)));
	CHECK(otlp_encode(back, &again));
	/* The printer replaces what is not UTF-8, of which yajl lets some pass. */
	if (!memmem(first.data, first.len, "\xef\xbf\xbd", 3))
		CHECK(slice_equal(buffer_slice(encoded), buffer_slice(&again)));
	arena_fini(&arena);
	buffer_fini(&first);
	buffer_fini(&second);
	buffer_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct error error = ERROR_INIT;
	struct buffer encoded = BUFFER_INIT;
	struct budget budget = {0};
	ProtobufCMessage *m = NULL;
	enum signal signal;
	struct slice text;
	struct arena arena;
	int r;

	if (size == 0)
		return 0;
	signal = data[0] % SIGNAL_COUNT;
	text = slice_of(data + 1, size - 1);
	arena_init(&arena, &budget);
	r = otlp_json_decode(signal, text, &arena, &m, &error);
	CHECK(r == 0 || r == -EBADMSG || r == -E2BIG);
	CHECK((r == 0) == (m != NULL) && error.code == r && (r == 0 || *error.message));
	if (r == 0) {
		check_protobuf(signal, m, &encoded);
		check_json(signal, m, &encoded);
	}
	arena_fini(&arena);
	budget.limit = 256 + data[0] * 64u;
	m = NULL;
	error_clear(&error);
	CHECK(otlp_json_decode(signal, text, &arena, &m, &error) == r || error.code == -ENOMEM);
	arena_fini(&arena);
	CHECK(budget.used == 0);
	buffer_fini(&encoded);
	return 0;
}
