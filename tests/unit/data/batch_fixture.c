#include "tests/unit/data/batch_fixture.h"

int fixture_set_up(void **state)
{
	static struct fixture f;

	f = (struct fixture){0};
	arena_init(&f.arena, NULL);
	f.random =
		(struct otlp_random){.arena = &f.arena, .state = 4317, .depth = 8, .unknown = true};
	*state = &f;
	return 0;
}

int fixture_tear_down(void **state)
{
	struct fixture *f = *state;

	arena_fini(&f->arena);
	return f->budget.used == 0 ? 0 : -1;
}

void assert_bytes(struct slice got, struct slice wanted)
{
	assert_int_equal(got.len, wanted.len);
	if (wanted.len)
		assert_memory_equal(got.data, wanted.data, wanted.len);
}

struct slice random_request(struct fixture *f, enum signal signal)
{
	ProtobufCMessage *m = otlp_random_message(&f->random, otlp_request_descriptor(signal));

	m->n_unknown_fields = 0; /* those beside the groups end here */
	return otlp_protobuf_c_pack(&f->arena, m);
}

struct batch *receive(struct fixture *f, enum signal signal, struct slice request)
{
	struct rcbuf *pin = rcbuf_new(request.len, &f->budget);
	struct error error = ERROR_INIT;
	struct batch *b = NULL;

	assert_non_null(pin);
	if (request.len)
		memcpy(pin->data, request.data, request.len);
	if (batch_from_request(signal, pin, slice_of(pin->data, pin->size), &f->budget, &b,
	                       &error) < 0)
		fail_msg("%s", error.message);
	rcbuf_unref(pin);
	return b;
}

struct batch *receive_random(struct fixture *f, enum signal signal)
{
	return receive(f, signal, random_request(f, signal));
}

struct slice contents(struct fixture *f, const struct batch *b)
{
	struct buffer encoded = BUFFER_INIT, gathered = BUFFER_INIT;
	struct error error = ERROR_INIT;
	struct gather g;
	struct slice copy = {0};

	assert_int_equal(batch_encode(b, &encoded, &error), 0);
	assert_int_equal(batch_gather(b, &g, &error), 0);
	for (size_t i = 0; i < g.n_pieces; i++)
		buffer_append_slice(&gathered, g.pieces[i]);
	assert_int_equal(g.bytes, gathered.len);
	gather_fini(&g);
	assert_bytes(buffer_slice(&gathered), buffer_slice(&encoded));
	assert_int_equal(batch_bytes(b), encoded.len);
	assert_int_equal(batch_size(b, BATCH_BYTES), encoded.len);
	assert_true(arena_copy(&f->arena, buffer_slice(&encoded), &copy));
	buffer_fini(&encoded);
	buffer_fini(&gathered);
	return copy;
}

void open_to(struct batch **b, enum depth d)
{
	struct error error = ERROR_INIT;

	if (batch_open(b, d, &error) < 0)
		fail_msg("%s", error.message);
}

struct slice joined(struct fixture *f, struct slice a, struct slice b)
{
	uint8_t *bytes = arena_alloc(&f->arena, a.len + b.len + 1);

	if (a.len)
		memcpy(bytes, a.data, a.len);
	if (b.len)
		memcpy(bytes + a.len, b.data, b.len);
	return slice_of(bytes, a.len + b.len);
}
