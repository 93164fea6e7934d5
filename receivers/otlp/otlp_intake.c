#include "receivers/otlp/otlp_intake.h"

#include "core/base/clock.h"
#include "core/base/random.h"
#include "receivers/otlp/otlp_unpack.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum {
	ROOM_FIRST = 4096, /* for a body whose length is not told */
	/* What a request takes beside its head and its body: its stream and its exchange. Streams that
	 * are opened and then left alone would cost nothing otherwise. */
	REQUEST_BYTES = 2 * 1024,
	/* A claim that was never written to has this much of it in memory all the same. */
	CLAIM_BYTES = 4096,
	/* As many refusals without a success between them ask for the longest delay. */
	REFUSALS_FULL = 256,
};
#define DELAY_MIN_NS NS_PER_S
#define DELAY_MAX_NS (10 * NS_PER_S)
#define DELAY_JITTER 0.2

static const char shutting_down[] = "shutting down, send it again elsewhere";

struct intake {
	const struct component *component;
	struct consumer next[SIGNAL_COUNT];
	struct list unfinished; /* whose body is still coming */
	struct list requests;   /* the others */
	unsigned refusals;      /* 0..REFUSALS_FULL */
	struct unpacker unpacker;
};

struct intake *intake_new(const struct component *component, const struct consumer *next)
{
	struct intake *i = calloc(1, sizeof *i);

	if (!i)
		return NULL;
	i->component = component;
	memcpy(i->next, next, sizeof i->next);
	list_init(&i->unfinished);
	list_init(&i->requests);
	unpacker_init(&i->unpacker);
	return i;
}

static void disown(struct list *requests)
{
	struct intake_request *r, *next;

	LIST_FOR_EACH_SAFE(r, next, requests, link) {
		list_remove(&r->link);
		r->intake = NULL;
	}
}

void intake_free(struct intake *i)
{
	if (!i)
		return;
	disown(&i->unfinished);
	disown(&i->requests);
	free(i);
}

bool intake_is_idle(const struct intake *i)
{
	return list_is_empty(&i->requests);
}

void intake_wait(struct intake *i, void (*idle)(void *arg), void *arg)
{
	unpacker_wait(&i->unpacker, idle, arg);
}

struct unpacker *intake_unpacker(struct intake *i)
{
	return &i->unpacker;
}

const struct host *intake_host(const struct intake *i)
{
	return i->component->host;
}

bool intake_takes(const struct intake *i, enum signal signal)
{
	return consumer_is_set(i->next[signal]);
}

/* ---- who sends */

struct sender {
	struct request_metadata metadata;
	const struct http_request *head;
	const struct string_list *params;
};

static bool find_param(struct slice query, const char *name, struct slice *ret)
{
	size_t name_len = strlen(name);

	while (query.len > 0) {
		const uint8_t *amp = memchr(query.data, '&', query.len);
		size_t len = amp ? (size_t)(amp - query.data) : query.len;

		if (len > name_len && query.data[name_len] == '=' &&
		    memcmp(query.data, name, name_len) == 0) {
			*ret = slice_of(query.data + name_len + 1, len - name_len - 1);
			return true;
		}
		len += amp != NULL;
		query = slice_of(query.data + len, query.len - len);
	}
	return false;
}

static bool get_metadata(const struct request_metadata *m, const char *name, struct slice *ret)
{
	const struct sender *s = CONTAINER_OF(m, struct sender, metadata);
	struct slice wanted = slice_from_string(name);

	for (size_t i = 0; i < s->head->n_headers; i++)
		if (slice_equal(s->head->headers[i].name, wanted)) {
			*ret = s->head->headers[i].value;
			return true;
		}
	for (size_t i = 0; s->params && i < s->params->count; i++)
		if (strcasecmp(s->params->items[i], name) == 0)
			return find_param(s->head->query, s->params->items[i], ret);
	return false;
}

int intake_authenticate(const struct entrance *e, const struct http_request *head,
                        char **ret_identity, struct error *error)
{
	struct sender sender = {{get_metadata}, head, e->request_params};
	const char *identity = NULL;
	char *copy = NULL;
	int r;

	if (e->authenticator) {
		r = e->authenticator->type->authenticator->authenticate(e->authenticator,
		                                                        &sender.metadata, &identity,
		                                                        error);
		if (r < 0) {
			log_warn(&e->intake->component->log, "%s: a request of %s was refused: %s",
			         e->transport, head->peer, error->message);
			return r;
		}
	}
	if (identity && !(copy = strdup(identity)))
		return error_no_memory(error);
	*ret_identity = copy;
	return 0;
}

/* ---- requests */

static size_t head_bytes(const struct http_request *head)
{
	size_t bytes = head->path.len + head->query.len;

	for (size_t i = 0; i < head->n_headers; i++)
		bytes += head->headers[i].name.len + head->headers[i].value.len +
		         sizeof *head->headers;
	return bytes;
}

struct intake_request *intake_request_new(struct entrance *e, void *exchange, enum signal signal,
                                          char *identity)
{
	struct intake_request *r = calloc(1, sizeof *r);
	size_t charged;

	if (!r)
		goto fail;
	*r = (struct intake_request){.entrance = e,
	                             .exchange = exchange,
	                             .signal = signal,
	                             .identity = identity};
	charged = REQUEST_BYTES + head_bytes(e->head(r));
	if (!budget_take(intake_host(e->intake)->budget, charged))
		goto fail;
	r->budget = intake_host(e->intake)->budget;
	r->charged = charged;
	r->intake = e->intake;
	list_push(&e->intake->unfinished, &r->link);
	return r;

fail:
	free(identity);
	free(r);
	return NULL;
}

void intake_request_free(struct intake_request *r)
{
	if (!r)
		return;
	list_remove(&r->link);
	budget_return(r->budget, r->charged);
	rcbuf_unref(r->body);
	free(r->identity);
	free(r);
}

static void answer(struct intake_request *r, const struct verdict *v)
{
	r->entrance->answer(r, v);
	intake_request_free(r);
}

void intake_request_refuse(struct intake_request *r, enum grpc_status status, const char *message)
{
	answer(r, &(struct verdict){.status = status, .message = message});
}

/* Clients that are all told the same would come back at once. */
uint64_t intake_retry_delay(struct intake *i)
{
	uint64_t delay = DELAY_MIN_NS +
	                 (DELAY_MAX_NS - DELAY_MIN_NS) / REFUSALS_FULL * (uint64_t)i->refusals;

	if (i->refusals < REFUSALS_FULL)
		i->refusals++;
	return random_jitter(delay, DELAY_JITTER);
}

static void refuse_for_now(struct intake_request *r, const char *message, uint64_t delay_ns)
{
	uint64_t own = intake_retry_delay(r->intake);

	answer(r, &(struct verdict){.status = GRPC_UNAVAILABLE,
	                            .message = message,
	                            .retry = true,
	                            .retry_delay = delay_ns ? delay_ns : own});
}

void intake_request_refuse_for_now(struct intake_request *r, const char *message)
{
	refuse_for_now(r, message, 0);
}

/* One answer may be the end of other requests as well. */
bool intake_refuse_unfinished(struct intake *i)
{
	struct intake_request *r;
	bool any = false;

	for (; (r = LIST_FIRST(&i->unfinished, struct intake_request, link)); any = true)
		refuse_for_now(r, shutting_down, 0);
	return any;
}

static bool too_large(struct intake_request *r, uint64_t length)
{
	char text[128];

	snprintf(text, sizeof text, "the request has %llu bytes or more, the limit is %zu",
	         (unsigned long long)length, r->entrance->max_size);
	intake_request_refuse(r, GRPC_RESOURCE_EXHAUSTED, text);
	return false;
}

static bool no_room(struct intake_request *r)
{
	intake_request_refuse_for_now(r, "no memory to take this request now");
	return false;
}

bool intake_request_expect(struct intake_request *r, bool has_length, uint64_t length)
{
	size_t max = r->entrance->max_size;

	if (has_length && length > max)
		return too_large(r, length);
	r->body = has_length ? rcbuf_claim(length, r->budget)
	                     : rcbuf_new(max < ROOM_FIRST ? max : ROOM_FIRST, r->budget);
	if (!r->body ||
	    (has_length && !rcbuf_charge(r->body, length < CLAIM_BYTES ? length : CLAIM_BYTES)))
		return no_room(r);
	return true;
}

/* Only a body without a length can need more room than it was given. */
static bool make_room(struct intake_request *r, size_t more)
{
	size_t max = r->entrance->max_size, wanted = r->body->size;
	struct rcbuf *larger;

	if (more <= r->body->size - r->received)
		return rcbuf_charge(r->body, r->received + more) || no_room(r);
	if (more > max - r->received)
		return too_large(r, r->received + more);
	while (wanted < r->received + more)
		wanted = wanted < max / 2 ? wanted * 2 : max;
	larger = rcbuf_resize(r->body, wanted);
	if (!larger)
		return no_room(r);
	r->body = larger;
	return true;
}

bool intake_request_receive(struct intake_request *r, struct slice bytes)
{
	if (!make_room(r, bytes.len))
		return false;
	if (bytes.len)
		memcpy(r->body->data + r->received, bytes.data, bytes.len);
	r->received += bytes.len;
	return true;
}

void intake_request_submit(struct intake_request *r)
{
	r->entrance->wire_bytes += r->received;
	list_remove(&r->link);
	list_push(&r->intake->requests, &r->link);
	unpack_start(r);
}

void intake_request_abandon(struct intake_request *r)
{
	r->exchange = NULL;
	r->entrance->gone++;
	if (!r->handed_on && unpack_cancel(r))
		intake_request_free(r);
}

/* ---- handing on */

/* All of it, as in the Collector. */
static bool copy_metadata(struct arena *a, const struct http_request *head,
                          struct batch_origin *origin)
{
	struct batch_metadata *items = arena_alloc_array(a, head->n_headers, sizeof *items);

	if (!items)
		return false;
	for (size_t i = 0; i < head->n_headers; i++) {
		struct slice name, value;

		if (!arena_copy(a, head->headers[i].name, &name) ||
		    !arena_copy(a, head->headers[i].value, &value))
			return false;
		items[i] =
			(struct batch_metadata){(const char *)name.data, (const char *)value.data};
	}
	origin->metadata = items;
	origin->n_metadata = head->n_headers;
	return true;
}

static bool set_origin(const struct intake_request *r, struct batch *b)
{
	const struct http_request *head = r->entrance->head(r);
	const struct batch_origin origin = {.receiver = r->intake->component->id,
	                                    .peer = head->peer,
	                                    .identity = r->identity};

	return batch_set_origin(b, &origin) &&
	       (!r->entrance->include_metadata || copy_metadata(&b->arena, head, &b->origin));
}

static void answer_ok(struct intake_request *r, const struct outcome *o)
{
	struct verdict v = {.status = GRPC_OK,
	                    .message = o->message,
	                    .rejected_items = o->rejected_items};
	char text[128];

	r->intake->refusals -= (r->intake->refusals + 3) / 4;
	if (o->rejected_items > 0 && !o->message) {
		snprintf(text, sizeof text, "%llu %s were rejected for good by the destination",
		         (unsigned long long)o->rejected_items, signal_item_name(r->signal));
		v.message = text;
	}
	answer(r, &v);
}

static void on_done(void *arg, const struct outcome *o)
{
	struct intake_request *r = arg;

	if (!r->intake || !r->exchange) {
		intake_request_free(r);
		return;
	}
	switch (o->status) {
	case OUTCOME_OK:
		answer_ok(r, o);
		break;
	case OUTCOME_RETRY:
		refuse_for_now(r, o->message ? o->message : "busy, send it again later",
		               o->retry_after_ns);
		break;
	case OUTCOME_PERMANENT:
		intake_request_refuse(r, GRPC_INTERNAL,
		                      o->message ? o->message : "the data was refused for good");
		break;
	case OUTCOME_CANCELED:
		refuse_for_now(r, shutting_down, 0);
		break;
	}
}

void intake_request_hand_on(struct intake_request *r, struct batch *batch)
{
	r->entrance->plain_bytes += r->received;
	rcbuf_unref(TAKE(r->body)); /* the batch has it */
	if (batch->items == 0) {
		batch_unref(batch);
		answer_ok(r, &(struct outcome){.status = OUTCOME_OK});
	} else if (!set_origin(r, batch)) {
		batch_unref(batch);
		no_room(r);
	} else {
		r->handed_on = true;
		consumer_consume(r->intake->next[r->signal], batch, (struct done){on_done, r});
	}
}
