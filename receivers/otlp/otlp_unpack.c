/* Happy path: unpack_start -> (inflate: a step, more room, a step, ...) -> decode -> intake_request_hand_on.
 * Fails: as told in otlp_intake.h.
 *
 * A step runs on the loop or on the pool; in between the loop looks at the result and charges what the
 * next one needs. While one is on the pool nobody else touches the request's memory. */
#include "receivers/otlp/otlp_unpack.h"

#include "core/loop/work.h"
#include "core/wire/otlp_json_decode.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	/* What may be done at once on the loop: each usually about a third of a millisecond. */
	INFLATE_ON_LOOP = 64 * 1024, /* bytes in */
	INFLATED_ON_LOOP = 256 * 1024,
	DECODE_ON_LOOP = 64 * 1024, /* whatever it takes */
	PROTOBUF_ON_LOOP = 2 * 1024 * 1024,
	/* Telemetry shrinks to a tenth; what shrinks to less than this part is made of empty messages, and
	 * checking them takes twenty times as long. It costs its sender next to nothing. */
	SQUEEZE_ON_LOOP = 32,

	ROOM_MIN = 4096,
	/* Inflaters need memory that nobody charges, up to 8 MiB each: so many at once, the others wait.
	 * As many as the pool has threads. */
	INFLATERS_MAX = 4,

	/* Decoded structs take about twice the text of OTLP/JSON. [{},{},...] would take a hundred
	 * times: the attack that the bound stops. */
	JSON_RATIO_USUAL = 4,
	JSON_RATIO_MAX = 32,
	/* A group is a resource and its items, of 24 bytes on average at least. Two bytes are an empty one:
	 * 64 KiB of gzip would become 3 GiB of them. */
	PROTOBUF_RATIO_MAX = sizeof(struct group) / 24,
};

struct unpacking {
	struct intake_request *request;

	/* inflating */
	struct list link; /* in waiting; else it points to itself */
	bool has_turn;
	struct inflater *inflater;
	struct rcbuf *plain;
	size_t have; /* bytes in plain */
	bool squeezed;
	enum inflate_event event;

	/* decoding */
	struct budget loan;
	struct batch *batch;
	int result;
	struct error error;
};

void unpacker_init(struct unpacker *u)
{
	*u = (struct unpacker){.inflating = 0};
	list_init(&u->waiting);
}

static void maybe_idle(struct unpacker *u)
{
	void (*idle)(void *arg) = u->idle;

	if (!idle || u->works > 0)
		return;
	u->idle = NULL;
	idle(u->idle_arg);
}

void unpacker_wait(struct unpacker *u, void (*idle)(void *arg), void *arg)
{
	u->idle = idle;
	u->idle_arg = arg;
	maybe_idle(u);
}

static struct unpacker *unpacker_of(const struct unpacking *u)
{
	return intake_unpacker(u->request->intake);
}

static struct budget *budget_of(const struct intake_request *r)
{
	return intake_host(r->intake)->budget;
}

static struct unpacking *unpacking_new(struct intake_request *r)
{
	struct unpacking *u = calloc(1, sizeof *u);

	if (!u)
		return NULL;
	u->request = r;
	list_init(&u->link);
	r->unpacking = u;
	return u;
}

/* The inflater goes, and the turn; next_turn() is due. */
static void end_inflating(struct unpacking *u)
{
	inflater_free(TAKE(u->inflater));
	rcbuf_unref(TAKE(u->plain));
	if (u->has_turn)
		unpacker_of(u)->inflating--;
	u->has_turn = false;
}

static void unpacking_free(struct unpacking *u)
{
	if (!u)
		return;
	end_inflating(u);
	list_remove(&u->link);
	u->request->unpacking = NULL;
	free(u);
}

/* Every way out but success. */
static void refuse(struct intake_request *r, enum grpc_status status, const char *message)
{
	char text[sizeof r->unpacking->error.message];

	snprintf(text, sizeof text, "%s", message); /* which may lie in what is freed now */
	unpacking_free(r->unpacking);
	if (status == GRPC_UNAVAILABLE)
		intake_request_refuse_for_now(r, text);
	else
		intake_request_refuse(r, status, text);
}

static void no_memory(struct intake_request *r)
{
	refuse(r, GRPC_UNAVAILABLE, "no memory to take this request now");
}

/* Runs a step on the pool. False: no memory. */
static bool run_on_pool(struct unpacking *u, void (*run)(void *arg), void (*on_done)(void *arg))
{
	if (work_submit(intake_host(u->request->intake)->loop, run, on_done, u) < 0)
		return false;
	unpacker_of(u)->works++;
	return true;
}

/* After a step, when it has been seen to. */
static void end_of_step(struct unpacker *u)
{
	u->works--;
	maybe_idle(u);
}

bool unpack_cancel(struct intake_request *r)
{
	struct unpacking *u = r->unpacking;

	if (u && list_is_empty(&u->link))
		return false;
	unpacking_free(u);
	return true;
}

/* The end of a step of a request whose client has gone. */
static void give_up(struct unpacking *u)
{
	struct intake_request *r = u->request;

	unpacking_free(u);
	intake_request_free(r);
}

/* ---- decoding */

/* The three Export*ServiceRequests are alike. */
static int append_groups(struct batch *b, const ProtobufCMessage *message)
{
	const Otlp__ExportTraceServiceRequest *request =
		(const Otlp__ExportTraceServiceRequest *)message;

	for (size_t i = 0; i < request->n_resource_spans; i++)
		if (!batch_append(b, &request->resource_spans[i]->base))
			return -ENOMEM;
	return 0;
}

static int decode_json(enum signal signal, struct rcbuf *text, size_t len, struct budget *budget,
                       struct batch **ret, struct error *error)
{
	struct batch *b = batch_new(signal, budget);
	ProtobufCMessage *message;
	int r;

	if (!b)
		return error_no_memory(error);
	r = otlp_json_decode(signal, slice_of(text->data, len), &b->arena, &message, error);
	if (r == 0 && append_groups(b, message) < 0)
		r = error_no_memory(error);
	if (r < 0) {
		batch_unref(b);
		return r;
	}
	for (struct group *g = b->first; g; g = g->next)
		g->pin = rcbuf_ref(text);
	*ret = b;
	return 0;
}

static int decode(const struct intake_request *r, struct budget *budget, struct batch **ret,
                  struct error *error)
{
	if (r->encoding == OTLP_JSON)
		return decode_json(r->signal, r->body, r->received, budget, ret, error);
	return batch_from_request(r->signal, r->body, slice_of(r->body->data, r->received), budget,
	                          ret, error);
}

static void decoded(struct intake_request *r, int result, struct batch *batch,
                    const struct error *error)
{
	if (result == -ENOMEM)
		no_memory(r);
	else if (result < 0)
		refuse(r, GRPC_INVALID_ARGUMENT, error->message);
	else {
		unpacking_free(r->unpacking);
		intake_request_hand_on(r, batch);
	}
}

static unsigned ratio_max(const struct intake_request *r)
{
	return r->encoding == OTLP_JSON ? JSON_RATIO_MAX : PROTOBUF_RATIO_MAX;
}

static void run_decode(void *arg)
{
	struct unpacking *u = arg;

	error_clear(&u->error);
	u->result = decode(u->request, &u->loan, &u->batch, &u->error);
}

static void refuse_ratio(struct intake_request *r)
{
	char text[128];

	snprintf(text, sizeof text, "decoded, the request would take more than %u times its bytes",
	         ratio_max(r));
	refuse(r, GRPC_RESOURCE_EXHAUSTED, text);
}

static void lend(struct unpacking *u, size_t size);

/* What was lent is returned, or the batch's from now on. */
static void settle(struct unpacking *u)
{
	struct intake_request *r = u->request;
	struct batch *batch = TAKE(u->batch);
	size_t lent = u->loan.limit;

	budget_return(budget_of(r), lent - u->loan.used);
	if (batch)
		batch->arena.budget = budget_of(r);
	if (!r->exchange) {
		batch_unref(batch);
		give_up(u);
	} else if (u->result == -ENOMEM && u->loan.refusals > 0) {
		if (lent < r->received * ratio_max(r))
			lend(u, lent * 4);
		else
			refuse_ratio(r);
	} else {
		decoded(r, u->result, batch, &u->error);
	}
}

static void on_decoded(void *arg)
{
	struct unpacking *u = arg;
	struct unpacker *unpacker = unpacker_of(u);

	settle(u);
	end_of_step(unpacker);
}

/* Decodes on a sum that is taken for it: the budget is the loop's, and what is decoded has a bound.
 * False: there is no memory. */
static bool take_loan(struct unpacking *u, size_t size)
{
	if (!budget_take(budget_of(u->request), size))
		return false;
	u->loan = (struct budget){.limit = size};
	return true;
}

static void lend(struct unpacking *u, size_t size)
{
	struct intake_request *r = u->request;
	size_t max = r->received * ratio_max(r);

	if (size > max)
		size = max;
	if (!take_loan(u, size)) {
		no_memory(r);
	} else if (!run_on_pool(u, run_decode, on_decoded)) {
		budget_return(budget_of(r), size);
		no_memory(r);
	}
}

/* What takes more than the first sum goes to the pool with a larger one. */
static void decode_here(struct unpacking *u, size_t size)
{
	if (!take_loan(u, size)) {
		no_memory(u->request);
		return;
	}
	run_decode(u);
	settle(u);
}

static void decode_start(struct intake_request *r)
{
	bool json = r->encoding == OTLP_JSON;
	struct error error = ERROR_INIT;
	struct batch *batch = NULL;
	int result;

	if (r->received <= DECODE_ON_LOOP) {
		result = decode(r, budget_of(r), &batch, &error);
		decoded(r, result, batch, &error);
	} else if (!r->unpacking && !unpacking_new(r)) {
		no_memory(r);
	} else if (json) {
		lend(r->unpacking, r->received * JSON_RATIO_USUAL);
	} else if (r->received <= PROTOBUF_ON_LOOP && !r->unpacking->squeezed) {
		decode_here(r->unpacking, r->received / 2);
	} else {
		lend(r->unpacking, r->received / 2);
	}
}

/* ---- inflating */

static void run_inflate(void *arg)
{
	struct unpacking *u = arg;
	size_t written = 0;

	u->event = inflater_run(u->inflater, u->plain->data + u->have, u->plain->size - u->have,
	                        &written);
	u->have += written;
}

static bool make_room(struct unpacking *u)
{
	struct intake_request *r = u->request;
	size_t limit = r->entrance->max_size, size = u->plain->size;
	struct rcbuf *larger;
	char text[128];

	if (size >= limit) {
		snprintf(text, sizeof text,
		         "the request inflates to more than the limit of %zu bytes", limit);
		refuse(r, GRPC_RESOURCE_EXHAUSTED, text);
		return false;
	}
	larger = rcbuf_resize(u->plain, size < limit / 2 ? size * 2 : limit);
	if (!larger) {
		no_memory(r);
		return false;
	}
	u->plain = larger;
	return true;
}

/* The plain bytes take the place of the body. */
static void inflated(struct unpacking *u)
{
	struct intake_request *r = u->request;
	/* Smaller always fits; if it cannot be had, it stays as large as it is. */
	struct rcbuf *exact = rcbuf_resize(u->plain, u->have);

	u->squeezed = u->have / SQUEEZE_ON_LOOP > r->received;
	rcbuf_unref(r->body);
	r->body = exact ? exact : u->plain;
	r->received = u->have;
	u->plain = NULL;
	end_inflating(u);
	decode_start(r);
}

/* Looks at the end of a step. True: another one follows. */
static bool look_at(struct unpacking *u)
{
	struct intake_request *r = u->request;
	char text[128];

	switch (u->event) {
	case INFLATE_FULL:
		return make_room(u);
	case INFLATE_END:
		inflated(u);
		return false;
	case INFLATE_BROKEN:
		snprintf(text, sizeof text, "not valid %s: %s", coding_name(r->coding),
		         inflater_fault(u->inflater));
		refuse(r, GRPC_INVALID_ARGUMENT, text);
		return false;
	case INFLATE_NO_MEMORY:
		break;
	}
	no_memory(r);
	return false;
}

static bool begin_inflating(struct unpacking *u)
{
	struct intake_request *r = u->request;
	size_t room, max = r->entrance->max_size;

	u->inflater = inflater_new(r->coding, slice_of(r->body->data, r->received));
	if (!u->inflater)
		return false;
	room = inflater_guess(u->inflater);
	if (room < ROOM_MIN)
		room = ROOM_MIN;
	u->plain = rcbuf_new(room < max ? room : max, budget_of(r));
	u->have = 0;
	return u->plain != NULL;
}

static void on_inflated(void *arg);

static void next_turns(struct unpacker *unpacker)
{
	struct unpacking *u;

	while (unpacker->inflating < INFLATERS_MAX &&
	       (u = LIST_FIRST(&unpacker->waiting, struct unpacking, link))) {
		list_remove(&u->link);
		u->has_turn = true;
		unpacker->inflating++;
		if (!begin_inflating(u) || !run_on_pool(u, run_inflate, on_inflated))
			no_memory(u->request);
	}
}

static void on_inflated(void *arg)
{
	struct unpacking *u = arg;
	struct unpacker *unpacker = unpacker_of(u);

	if (!u->request->exchange)
		give_up(u);
	else if (look_at(u) && !run_on_pool(u, run_inflate, on_inflated))
		no_memory(u->request);
	next_turns(unpacker);
	end_of_step(unpacker);
}

static void inflate_start(struct intake_request *r)
{
	struct unpacking *u = unpacking_new(r);

	if (!u) {
		no_memory(r);
		return;
	}
	if (r->received <= INFLATE_ON_LOOP) {
		if (!begin_inflating(u)) {
			no_memory(r);
			return;
		}
		while (u->plain->size <= INFLATED_ON_LOOP) {
			run_inflate(u);
			if (!look_at(u))
				return;
		}
		end_inflating(u); /* on the pool it begins anew, when it is its turn */
	}
	list_push(&unpacker_of(u)->waiting, &u->link);
	next_turns(unpacker_of(u));
}

void unpack_start(struct intake_request *r)
{
	if (r->coding == CODING_IDENTITY)
		decode_start(r);
	else
		inflate_start(r);
}
