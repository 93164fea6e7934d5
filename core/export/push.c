/* Happy path: pusher_consume -> the queue -> pusher_push -> gathered, or decoded and printed ->
 * (compressed) -> pusher->send -> push_end(OK).
 * Fails: no memory (RETRY) · a request above the limit (its batch is sent in parts, one after the other;
 * a single item above it is PERMANENT) · whatever the backend says. */
#include "core/export/push.h"

#include "core/loop/work.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	/* Printing or compressing more than this would hold up the loop for a millisecond and more. */
	ON_POOL = 256 * 1024,
	JSON_GROWTH = 2, /* what is printed takes about so many times its protobuf */
};

/* So much is held for the push by now. False: the budget refuses the difference. */
static bool charge(struct push *p, size_t bytes)
{
	struct budget *budget = p->pusher->owner->host->budget;

	if (bytes > p->charged && !budget_take(budget, bytes - p->charged))
		return false;
	if (bytes < p->charged)
		budget_return(budget, p->charged - bytes);
	p->charged = bytes;
	return true;
}

static void push_free(struct push *p)
{
	charge(p, 0);
	gather_fini(&p->gather);
	buffer_fini(&p->text);
	buffer_fini(&p->compressed);
	free(p);
}

/* The one gate: the queue and the client have closed, and nobody is on the way back from them. */
static void maybe_closed(struct pusher *pusher)
{
	void (*closed)(void *arg) = pusher->closed;

	if (!closed || !pusher->exporter_closed || !pusher->client_closed || pusher->under_way > 0)
		return;
	pusher->closed = NULL;
	closed(pusher->closed_arg);
}

static void leave(struct pusher *pusher)
{
	pusher->under_way--;
	maybe_closed(pusher);
}

void push_end(struct push *p, const struct outcome *outcome)
{
	struct pusher *pusher = p->pusher;
	struct done done = p->done;

	push_free(p);
	done_call(done, outcome);
	leave(pusher);
}

void push_retry(struct push *p, const char *message)
{
	push_end(p, &(struct outcome){.status = OUTCOME_RETRY, .message = message});
}

void push_printable(struct slice text, char *ret, size_t size)
{
	size_t len = text.len < size - 1 ? text.len : size - 1;

	for (size_t i = 0; i < len; i++)
		ret[i] = text.data[i] < 0x20 || text.data[i] == 0x7f ? ' ' : (char)text.data[i];
	ret[len] = '\0';
}

void push_accepted(struct push *p, const char *backend, uint64_t rejected, struct slice text)
{
	const struct logger *log = &p->pusher->owner->log;
	struct outcome outcome = {.status = OUTCOME_OK};
	char line[256];

	push_printable(text, line, sizeof line);
	if (rejected > p->items)
		rejected = p->items;
	if (rejected > 0)
		log_warn(log, "%s rejected %" PRIu64 " of %zu %s for good: %s", backend, rejected,
		         p->items, signal_item_name(p->pusher->signal),
		         *line ? line : "no reason given");
	else if (*line)
		log_warn(log, "%s accepted with a warning: %s", backend, line);
	outcome.rejected_items = rejected;
	outcome.message = *line ? line : NULL;
	push_end(p, &outcome);
}

/* ---- one request */

static void parts_start(struct pusher *pusher, const struct batch *batch, size_t part_limit,
                        uint64_t deadline_ns, struct done done);

/* Sends what was found to be too large for one request as several. */
static void divide(struct push *p)
{
	struct pusher *pusher = p->pusher;
	const struct batch *batch = p->batch;
	uint64_t deadline_ns = p->deadline_ns;
	struct done done = p->done;
	size_t limit = pusher->request_limit;

	/* Batches are cut by their protobuf size. JSON is larger, by what it was here; a part that
	 * is too large all the same is divided again. */
	if (pusher->encoding == PUSH_JSON) {
		double share = (double)limit / (double)p->bytes * 0.9;

		limit = (size_t)((double)batch_bytes(batch) * share);
		limit = limit > 0 ? limit : 1;
	}
	push_free(p);
	parts_start(pusher, batch, limit, deadline_ns, done);
	leave(pusher);
}

static void too_large(struct push *p)
{
	char text[200];

	snprintf(text, sizeof text,
	         "a single item makes a request of %zu bytes, more than the limit of %zu", p->bytes,
	         p->pusher->request_limit);
	push_end(p, &(struct outcome){.status = OUTCOME_PERMANENT, .message = text});
}

static void set_piece(struct push *p, const struct buffer *bytes)
{
	p->piece = buffer_slice(bytes);
	p->pieces = &p->piece;
	p->n_pieces = 1;
}

/* What may be done on a pool thread: reads the batch, which has been decoded where that is needed. */
static void make(void *arg)
{
	struct push *p = arg;
	const struct pusher *pusher = p->pusher;

	if (pusher->encoding == PUSH_JSON) {
		p->result = batch_encode_json((struct batch *)p->batch, &p->text, NULL);
		p->bytes = p->text.len;
		set_piece(p, &p->text);
	}
	if (p->result < 0 || p->bytes > pusher->request_limit || pusher->coding == CODING_IDENTITY)
		return;
	p->result = compress_pieces_at(pusher->coding, pusher->level, p->pieces, p->n_pieces,
	                               &p->compressed, NULL);
	buffer_fini(&p->text);
	set_piece(p, &p->compressed);
	p->coding = pusher->coding;
}

static void on_made(void *arg)
{
	struct push *p = arg;
	struct pusher *pusher = p->pusher;

	if (!pusher->running)
		push_end(p,
		         &(struct outcome){.status = OUTCOME_CANCELED, .message = "shutting down"});
	else if (p->result < 0)
		push_retry(p, "no memory to encode the request");
	else if (p->bytes > pusher->request_limit && p->items > 1)
		divide(p);
	else if (p->bytes > pusher->request_limit)
		too_large(p);
	else if (!charge(p, p->text.capacity + p->compressed.capacity))
		push_retry(p, "the memory limit leaves no room for the encoded request");
	else
		pusher->send(pusher->self, p);
}

/* What only the loop may do. */
static int begin(struct push *p, struct error *error)
{
	int r;

	if (p->pusher->encoding == PUSH_PROTOBUF) {
		r = batch_gather(p->batch, &p->gather, error);
		p->pieces = p->gather.pieces;
		p->n_pieces = p->gather.n_pieces;
		p->bytes = p->gather.bytes;
		return r;
	}
	/* Reading leaves the batch as it is for everybody else. */
	r = batch_read((struct batch *)p->batch, error);
	if (r < 0)
		return r;
	p->bytes = batch_bytes(p->batch);
	if (!charge(p, p->bytes * JSON_GROWTH))
		return error_set_retryable(
			error, -ENOMEM, "the memory limit leaves no room for the encoded request");
	return 0;
}

static void pusher_push(struct pusher *pusher, const struct batch *batch, uint64_t deadline_ns,
                        struct done done)
{
	struct push *p = pusher->running ? calloc(1, sizeof *p) : NULL;
	struct error error = ERROR_INIT;

	if (!p) {
		done_retry(done, 0,
		           pusher->running ? "out of memory" : "the exporter is not running");
		return;
	}
	if (batch->items == 0) { /* an envelope with nothing in it is for nobody */
		free(p);
		done_ok(done);
		return;
	}
	*p = (struct push){.pusher = pusher,
	                   .items = batch->items,
	                   .deadline_ns = deadline_ns,
	                   .done = done,
	                   .batch = batch};
	pusher->under_way++;
	if (begin(p, &error) < 0) {
		error_wrap(&error, "the request cannot be encoded");
		push_end(p, &(struct outcome){.status = error.kind == ERROR_RETRYABLE
		                                                ? OUTCOME_RETRY
		                                                : OUTCOME_PERMANENT,
		                              .message = error.message});
	} else if (p->bytes <= ON_POOL ||
	           (pusher->encoding == PUSH_PROTOBUF && pusher->coding == CODING_IDENTITY)) {
		make(p);
		on_made(p);
	} else if (work_submit(pusher->owner->host->loop, make, on_made, p) < 0) {
		push_retry(p, "no memory to encode the request");
	}
}

/* ---- a batch that is too large for one request */

struct parts {
	struct pusher *pusher;
	struct batch *part, *rest; /* on its way; still to be sent, or NULL */
	size_t limit;              /* bytes of a part */
	uint64_t deadline_ns;
	struct done done;
	size_t items, refused; /* of all; of parts that were refused for good */
	uint64_t rejected;
	char message[256]; /* of the first part that came with one */
};

static void parts_end(struct parts *p, struct outcome outcome)
{
	struct done done = p->done;
	char text[sizeof p->message];

	memcpy(text, p->message, sizeof text);
	if (!outcome.message && *text)
		outcome.message = text;
	batch_unref(p->rest);
	free(p);
	done_call(done, &outcome);
}

static void parts_next(struct parts *p);

/* What was refused for good does not keep the rest from being sent. A part that can only be repeated
 * takes the whole batch with it: those before it arrive twice, which OTLP allows. */
static void on_part_done(void *arg, const struct outcome *outcome)
{
	struct parts *p = arg;
	size_t items = p->part->items;

	batch_unref(TAKE(p->part));
	if (outcome->status == OUTCOME_RETRY || outcome->status == OUTCOME_CANCELED) {
		parts_end(p, *outcome);
		return;
	}
	if (outcome->status == OUTCOME_OK) {
		p->rejected += outcome->rejected_items;
	} else {
		p->refused += items;
	}
	if (!*p->message && outcome->message)
		snprintf(p->message, sizeof p->message, "%s", outcome->message);
	parts_next(p);
}

static void parts_next(struct parts *p)
{
	const struct logger *log = &p->pusher->owner->log;
	struct error error = ERROR_INIT;

	if (!p->rest || p->rest->items == 0) {
		if (p->refused == p->items) {
			parts_end(p, (struct outcome){.status = OUTCOME_PERMANENT});
			return;
		}
		if (p->refused > 0)
			log_warn(log, "%zu of %zu %s of a divided batch are dropped: %s",
			         p->refused, p->items, signal_item_name(p->pusher->signal),
			         p->message);
		parts_end(p, (struct outcome){.status = OUTCOME_OK,
		                              .rejected_items = p->rejected + p->refused});
		return;
	}
	if (batch_bytes(p->rest) <= p->limit)
		p->part = TAKE(p->rest);
	else if (batch_split(&p->rest, BATCH_BYTES, p->limit, &p->part, &error) < 0) {
		parts_end(p, (struct outcome){.status = OUTCOME_RETRY, .message = error.message});
		return;
	}
	pusher_push(p->pusher, p->part, p->deadline_ns, (struct done){on_part_done, p});
}

static void parts_start(struct pusher *pusher, const struct batch *batch, size_t part_limit,
                        uint64_t deadline_ns, struct done done)
{
	struct parts *p = calloc(1, sizeof *p);

	if (!p) {
		done_retry(done, 0, "out of memory");
		return;
	}
	*p = (struct parts){.pusher = pusher,
	                    .limit = part_limit,
	                    .deadline_ns = deadline_ns,
	                    .done = done,
	                    .items = batch->items};
	p->rest = batch_clone((struct batch *)batch); /* which leaves it as it is */
	if (!p->rest)
		parts_end(p, (struct outcome){.status = OUTCOME_RETRY,
		                              .message = "no memory to divide the batch"});
	else
		parts_next(p);
}

/* ---- life; at its end the queue closes first, then the client */

static void on_send(void *self, const struct batch *batch, uint64_t deadline_ns, struct done done)
{
	pusher_push(self, batch, deadline_ns, done);
}

int pusher_init(struct pusher *pusher, const struct exporter_config *config, struct error *error)
{
	pusher->exporter = exporter_new(pusher->owner, pusher->signal, config, on_send, pusher);
	return pusher->exporter ? 0 : error_no_memory(error);
}

void pusher_fini(struct pusher *pusher)
{
	exporter_free(pusher->exporter);
}

void pusher_consume(struct pusher *pusher, struct batch *batch, struct done done)
{
	exporter_consume(pusher->exporter, batch, done);
}

static void on_client_closed(void *arg)
{
	struct pusher *pusher = arg;

	pusher->client_closed = true;
	maybe_closed(pusher);
}

/* Attempts may still be out when the deadline has passed; closing the client ends them. */
static void on_exporter_closed(void *arg)
{
	struct pusher *pusher = arg;

	pusher->exporter_closed = true;
	pusher->running = false;
	pusher->close(pusher->self, on_client_closed, pusher);
}

void pusher_shutdown(struct pusher *pusher, uint64_t deadline_ns, void (*closed)(void *arg),
                     void *arg)
{
	pusher->closed = closed;
	pusher->closed_arg = arg;
	exporter_shutdown(pusher->exporter, deadline_ns, on_exporter_closed, pusher);
}
