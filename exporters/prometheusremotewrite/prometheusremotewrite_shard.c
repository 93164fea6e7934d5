/* One shard's requests.
 *
 * Happy path: shard_run -> build -> compress (large ones on the pool) -> attempt -> on_response ->
 * accepted: the samples are popped, and the next request is built.
 * Fails: no connection, no answer in time, 5xx, 429 (the same bytes again after a wait that grows; nothing
 * else of this shard goes before) · 415, or 2xx without the headers of 2.0, while it is not known what the
 * receiver understands (1.0, for good) · 400, 413, 422 (divided until the sample is alone that is to blame,
 * see divide()) · every other answer (dropped, counted, said in one line) · no memory (again later).
 *
 * As long as nobody knows whether the receiver understands 2.0, one shard asks and the others wait for its
 * first answer. A request that has to be repeated asks no more, so several of 2.0 may be out when it is found
 * out that it has to be 1.0: they are built anew. */
#include "core/base/clock.h"
#include "core/base/units.h"
#include "core/export/push.h"
#include "core/loop/work.h"
#include "core/wire/compress.h"
#include "exporters/prometheusremotewrite/prometheusremotewrite.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	ON_POOL = 256 * 1024,       /* bytes; more take longer than the loop should stand still */
	RESPONSE_LIMIT = 64 * 1024, /* of an answer only the first line is looked at */
	SPLITS_LIMIT = 64,          /* refusals of one divided request */
	LOST_ALONE_LIMIT = 2,       /* parts of one sample refused before anything was taken */
	NO_SPLITS_S = 60,           /* after a request of which nothing could be saved */
	NO_MEMORY_MS = 100,
};

const unsigned refused_statuses[REFUSED_STATUSES] = {400, 401, 403, 404, 409, 413, 415, 0};

static void on_timer(void *arg)
{
	struct shard *s = arg;

	shard_run(s);
	remote_write_progress(s->exporter);
}

bool shard_init(struct shard *s, struct remote_write_exporter *e)
{
	*s = (struct shard){.exporter = e};
	sample_queue_init(&s->queue, translator_table(e->translator), &e->finished);
	s->timer = timer_new(e->component.host->loop, on_timer, s);
	return s->timer != NULL;
}

void shard_fini(struct shard *s)
{
	timer_free(s->timer);
	remote_write_request_fini(&s->request);
	buffer_fini(&s->compressed);
}

static void wait_for(struct shard *s, uint64_t ns)
{
	timer_start(s->timer, ns, 0);
}

/* ---- what became of the request */

static void become_idle(struct shard *s)
{
	s->state = SHARD_IDLE;
	s->attempted = s->second_opinion = false;
	s->covered = 0;
	if (s->exporter->asking == s)
		s->exporter->asking = NULL;
}

/* n samples at the front of a divided request have their fate. */
static void settle_suspects(struct shard *s, size_t n)
{
	s->suspects = n < s->suspects ? s->suspects - n : 0;
	if (s->suspects == 0) {
		s->part = 0;
		s->splits = s->lost_alone = 0;
		s->saved = false;
	}
}

static void lose(struct shard *s, enum drop_reason reason)
{
	size_t n = s->covered;

	become_idle(s);
	settle_suspects(s, n);
	sample_queue_pop_lost(&s->queue, n, reason);
}

/* The number in a header of 2.0 that says how much was written. */
static bool written(const struct http_client_response *r, const char *name, uint64_t *ret)
{
	struct slice text;
	uint64_t value = 0;

	if (!http_client_header(r, name, &text) || text.len == 0 || text.len > 18)
		return false;
	for (size_t i = 0; i < text.len; i++) {
		if (text.data[i] < '0' || text.data[i] > '9')
			return false;
		value = value * 10 + (uint64_t)(text.data[i] - '0');
	}
	*ret = value;
	return true;
}

struct written {
	bool any; /* of the three headers came */
	uint64_t samples, histograms, exemplars;
};

static struct written written_of(const struct http_client_response *r)
{
	struct written w = {false, 0, 0, 0};

	w.any |= written(r, "x-prometheus-remote-write-samples-written", &w.samples);
	w.any |= written(r, "x-prometheus-remote-write-histograms-written", &w.histograms);
	w.any |= written(r, "x-prometheus-remote-write-exemplars-written", &w.exemplars);
	return w;
}

static void accepted(struct shard *s)
{
	struct remote_write_exporter *e = s->exporter;
	const struct remote_write_request *r = &s->request;
	size_t n = s->covered;

	e->figures.sent_batches++;
	e->figures.samples += r->samples;
	e->figures.histograms += r->histograms;
	e->figures.exemplars += r->exemplars;
	if (e->figures.newest_ms < r->newest_ms)
		e->figures.newest_ms = r->newest_ms;
	if (!e->version_known)
		log_info(&e->component.log, "%s takes remote write %s.", e->where,
		         s->version == REMOTE_WRITE_2 ? "2.0" : "1.0");
	if (!e->version_known)
		e->version = s->version;
	e->version_known = true;
	become_idle(s);
	s->saved = true;
	s->part *= 2;
	settle_suspects(s, n);
	sample_queue_pop_sent(&s->queue, n);
	remote_write_tell_status(e, NULL);
}

static void first_line(struct slice body, char *ret, size_t size)
{
	const uint8_t *end = body.len ? memchr(body.data, '\n', body.len) : NULL;

	if (end)
		body.len = (size_t)(end - body.data);
	push_printable(body, ret, size);
}

static void count_refused(struct remote_write_exporter *e, unsigned status, size_t n)
{
	size_t i = 0;

	while (refused_statuses[i] && refused_statuses[i] != status)
		i++;
	e->figures.refused[i] += n;
}

static void drop_refused(struct shard *s, unsigned status, const char *text, size_t lost)
{
	struct remote_write_exporter *e = s->exporter;

	count_refused(e, status, lost);
	log_error(&e->component.log,
	          "Exporting failed. Dropping data. not retryable error: %s (dropped_samples=%zu)",
	          text, lost);
	if (lost < s->covered) {
		size_t covered = s->covered;

		e->figures.sent_batches++;
		become_idle(s);
		settle_suspects(s, covered);
		sample_queue_pop_partly(&s->queue, covered, lost, DROP_PARTIAL_REJECTED);
	} else {
		lose(s, DROP_PERMANENT_ERROR);
	}
	remote_write_tell_status(e, text);
}

/* A receiver that refuses a request because of one sample may have stored nothing of it. Its front half
 * is sent next, and so on until the sample to blame stands alone and is dropped; after a part that was
 * taken, the next is twice as large. That is about two requests per halving for each bad sample. It ends
 * when SPLITS_LIMIT requests were refused (the rest is sent once more, as one), and when single samples are
 * refused and nothing has been taken at all: then it is not the samples, and nothing is divided for a
 * minute. */
static bool divide(struct shard *s, unsigned status)
{
	struct remote_write_exporter *e = s->exporter;
	bool may_help = status == 400 || status == 413 || status == 422;

	if (s->covered < 2 && s->suspects && !s->saved && ++s->lost_alone >= LOST_ALONE_LIMIT)
		e->no_splits_before_ns = clock_monotonic_ns() + NO_SPLITS_S * NS_PER_S;
	if (!e->config->split_refused || !may_help || s->splits >= SPLITS_LIMIT ||
	    clock_monotonic_ns() < e->no_splits_before_ns) {
		s->part = s->suspects; /* what is left of it goes as one */
		return false;
	}
	if (s->covered < 2)
		return false;
	if (s->suspects == 0)
		s->suspects = s->covered;
	s->splits++;
	e->figures.splits++;
	s->part = s->splits == SPLITS_LIMIT ? s->suspects : s->covered / 2;
	become_idle(s);
	return true;
}

static void fall_back(struct shard *s, const char *why)
{
	struct remote_write_exporter *e = s->exporter;

	log_info(&e->component.log, "%s does not take remote write 2.0 (%s): using 1.0.", e->where,
	         why);
	e->version = REMOTE_WRITE_1;
	e->version_known = true;
	become_idle(s);
}

/* Others have found out meanwhile that it has to be 1.0. */
static bool is_outdated(const struct shard *s)
{
	const struct remote_write_exporter *e = s->exporter;

	return e->version_known && e->version == REMOTE_WRITE_1 && s->version == REMOTE_WRITE_2;
}

static void refused(struct shard *s, const struct http_client_response *r)
{
	struct remote_write_exporter *e = s->exporter;
	struct written w = {false, 0, 0, 0};
	char line[300], text[700];
	uint64_t stored;

	if (s->version == REMOTE_WRITE_2)
		w = written_of(r);
	if (is_outdated(s) && !w.any && (r->status == 415 || r->status == 400)) {
		become_idle(s);
		return;
	}
	if (s->version == REMOTE_WRITE_2 && !e->version_known && !w.any) {
		if (r->status == 415) {
			fall_back(s, "415");
			return;
		}
		if (r->status == 400) { /* what receivers of 1.0 may answer to 2.0 */
			become_idle(s);
			s->second_opinion = true;
			return;
		}
	}
	first_line(r->body, line, sizeof line);
	snprintf(text, sizeof text, "%s answered HTTP status %u%s%s", e->where, r->status,
	         *line ? ": " : "", line);
	stored = w.samples + w.histograms;
	e->version_known |= w.any;
	if (stored > 0) { /* it has taken what it could */
		e->figures.samples += w.samples;
		e->figures.histograms += w.histograms;
		e->figures.exemplars += w.exemplars;
		drop_refused(s, r->status, text,
		             stored < s->covered ? s->covered - (size_t)stored : 0);
	} else if (!divide(s, r->status)) {
		drop_refused(s, r->status, text, s->covered);
	}
}

/* ---- attempts */

static void retry_later(struct shard *s, uint64_t server_delay_ns, const char *message)
{
	struct remote_write_exporter *e = s->exporter;
	const struct retry_config *config = &e->config->retry;
	struct buffer interval = BUFFER_INIT;
	uint64_t wait;

	remote_write_tell_status(e, message);
	if (e->stopping) {
		log_error(&e->component.log,
		          "Exporting failed. Dropping data. interrupted due to shutdown: %s "
		          "(dropped_samples=%zu)",
		          message, s->queue.samples);
		shard_give_up(s);
		return;
	}
	if (!config->enabled ||
	    !retry_next(&s->retry, config, clock_monotonic_ns(), server_delay_ns, &wait)) {
		log_error(&e->component.log,
		          "Exporting failed. Dropping data. %s: %s (dropped_samples=%zu)",
		          config->enabled ? "no more retries left" : "retry_on_failure is off",
		          message, s->covered);
		lose(s, DROP_RETRY_EXPIRED);
		return;
	}
	duration_format_short(&interval, (double)wait / (double)NS_PER_S);
	log_info(&e->component.log,
	         "Exporting failed. Will retry the request after interval. %s (interval=%.*s)",
	         message, (int)interval.len, (const char *)interval.data);
	buffer_fini(&interval);
	s->state = SHARD_WAITING;
	if (e->asking == s) /* it may be its samples' fault: let others ask */
		e->asking = NULL;
	wait_for(s, wait);
}

static void answered(struct shard *s, const struct http_client_response *r)
{
	struct remote_write_exporter *e = s->exporter;
	char line[300], text[700];

	if (r->status / 100 == 2) {
		if (s->version == REMOTE_WRITE_1 || written_of(r).any) {
			accepted(s);
		} else if (is_outdated(s)) {
			become_idle(s);
		} else if (!e->version_known) {
			fall_back(s, "it answered 2xx without saying what it has written");
		} else if (e->config->protobuf_message != MESSAGE_AUTO) {
			log_warn(&e->component.log,
			         "%s takes 2.0 without saying what it has written, as receivers of "
			         "1.0 do that do not understand it: samples may be lost. Use "
			         "protobuf_message: auto.",
			         e->where);
			accepted(s);
		} else {
			snprintf(text, sizeof text,
			         "%s answered HTTP status %u without saying what it has written, "
			         "as if it did not understand 2.0, which it did before",
			         e->where, r->status);
			drop_refused(s, 415, text, s->covered);
		}
	} else if (r->status / 100 == 5 || r->status == 429) {
		first_line(r->body, line, sizeof line);
		snprintf(text, sizeof text, "%s answered HTTP status %u%s%s", e->where, r->status,
		         *line ? ": " : "", line);
		retry_later(s, r->has_retry_after ? r->retry_after_ns : 0, text);
	} else {
		refused(s, r);
	}
}

static void on_response(void *arg, const struct http_client_response *r)
{
	struct shard *s = arg;
	struct remote_write_exporter *e = s->exporter;

	s->exchange = NULL;
	if (s->state != SHARD_SENDING) /* it was given up */
		return;
	histogram_add(&e->account.duration, clock_monotonic_ns() - s->attempt_started_ns);
	switch (r->result) {
	case HTTP_CLIENT_ANSWERED:
	case HTTP_CLIENT_UNREADABLE: /* the text is lost, the status counts */
		answered(s, r);
		break;
	case HTTP_CLIENT_FAILED:
	case HTTP_CLIENT_LATE:
		retry_later(s, 0, r->text);
		break;
	case HTTP_CLIENT_REFUSED:
		drop_refused(s, 0, r->text, s->covered);
		break;
	case HTTP_CLIENT_CANCELED:
		lose(s, DROP_SHUTDOWN);
		break;
	}
	if (s->running) /* it ended before the sending returned */
		return;
	shard_run(s);
	remote_write_progress(e);
}

static struct http_header header(const char *name, const char *value, bool secret)
{
	return (struct http_header){slice_from_string(name), slice_from_string(value), secret};
}

static void attempt(struct shard *s)
{
	struct remote_write_exporter *e = s->exporter;
	struct http_header headers[HEADERS_MAX + AUTH_HEADERS_MAX + 3];
	struct http_client_request request = {
		.method = "POST",
		.url = e->http->endpoint,
		.headers = headers,
		.pieces = &s->body,
		.n_pieces = 1,
		.response_limit = RESPONSE_LIMIT,
	};
	struct http_client_exchange *exchange;
	struct error error = ERROR_INIT;
	bool v2 = s->version == REMOTE_WRITE_2;
	uint64_t now = clock_monotonic_ns();
	size_t n = 0, n_more;

	if (!s->attempted)
		retry_begin(&s->retry, &e->config->retry, now);
	else
		e->account.retries++;
	s->attempted = true;
	s->attempt_started_ns = now;
	if (headers_current(&e->headers, &n_more, &error) < 0) {
		retry_later(s, 0, error.message);
		return;
	}
	e->account.attempts++;
	if (e->config->timeout)
		request.deadline_ns = now + e->config->timeout;
	headers[n++] = header("content-encoding", "snappy", false);
	headers[n++] = header("content-type",
	                      v2 ? "application/x-protobuf;proto=io.prometheus.write.v2.Request"
	                         : "application/x-protobuf",
	                      false);
	headers[n++] = header("x-prometheus-remote-write-version", v2 ? "2.0.0" : "0.1.0", false);
	for (size_t i = 0; i < n_more; i++)
		headers[n++] = header(e->headers.items[i].name, e->headers.items[i].value, true);
	request.n_headers = n;
	s->state = SHARD_SENDING;
	exchange = http_client_send(e->client, &request, on_response, s);
	if (s->state == SHARD_SENDING && exchange)
		s->exchange = exchange;
}

/* ---- building */

static bool on_compressed(struct shard *s)
{
	if (s->exporter->past_deadline) { /* its samples are gone */
		become_idle(s);
	} else if (s->result < 0) {
		become_idle(s);
		wait_for(s, NO_MEMORY_MS * NS_PER_MS);
	} else {
		s->body = buffer_slice(&s->compressed);
		attempt(s);
		return true;
	}
	return false;
}

static void on_pool_done(void *arg)
{
	struct shard *s = arg;

	if (on_compressed(s))
		shard_run(s);
	remote_write_progress(s->exporter);
}

static void compress(void *arg)
{
	struct shard *s = arg;

	buffer_clear(&s->compressed);
	s->result = compress_pieces(CODING_SNAPPY, s->request.pieces, s->request.n_pieces,
	                            &s->compressed, NULL);
}

static int build(struct shard *s)
{
	struct remote_write *w = &s->exporter->writer;
	const struct parcel *place = NULL;
	const struct sample *samples;
	size_t n, limit = s->part ? s->part : SIZE_MAX, added;

	s->version = s->second_opinion ? REMOTE_WRITE_1 : s->exporter->version;
	if (s->suspects && limit > s->suspects)
		limit = s->suspects;
	s->covered = 0;
	remote_write_begin(w, s->version, &s->request);
	while (s->covered < limit && sample_queue_peek(&s->queue, &place, &samples, &n)) {
		if (n > limit - s->covered)
			n = limit - s->covered;
		added = remote_write_add(w, samples, n);
		s->covered += added;
		if (added < n)
			break;
	}
	return remote_write_end(w);
}

/* Whether it is time; otherwise the timer is set for when it will be. */
static bool is_due(struct shard *s)
{
	const struct remote_write_queue_config *c = &s->exporter->config->queue;
	uint64_t now, due;

	if (s->queue.samples >= c->min_request_samples || s->part || s->second_opinion ||
	    s->exporter->stopping || c->wait_for_result || !c->enabled)
		return true;
	now = clock_monotonic_ns();
	due = sample_queue_since_ns(&s->queue) + c->flush_timeout;
	if (now >= due)
		return true;
	wait_for(s, due - now);
	return false;
}

/* False: no memory, the timer is set. */
static bool begin(struct shard *s)
{
	struct remote_write_exporter *e = s->exporter;

	if (!e->version_known)
		e->asking = s;
	if (build(s) == 0) {
		s->state = SHARD_COMPRESSING;
		if (s->request.bytes <= ON_POOL) {
			compress(s);
			return on_compressed(s);
		}
		if (work_submit(e->component.host->loop, compress, on_pool_done, s) == 0)
			return true;
	}
	become_idle(s);
	wait_for(s, NO_MEMORY_MS * NS_PER_MS);
	return false;
}

/* One step. False: there is nothing to do now. */
static bool step(struct shard *s)
{
	struct remote_write_exporter *e = s->exporter;

	if (e->past_deadline || !e->client || e->client_closing)
		return false;
	if (s->state == SHARD_WAITING) {
		if (timer_is_active(s->timer) && !e->stopping)
			return false;
		timer_stop(s->timer);
		if (is_outdated(s))
			become_idle(s);
		else
			attempt(s);
		return true;
	}
	if (s->state != SHARD_IDLE || s->queue.samples == 0 || (e->asking && e->asking != s) ||
	    !is_due(s))
		return false;
	return begin(s);
}

/* An attempt may end before it returns: its end finds this running and leaves the rest to it. */
void shard_run(struct shard *s)
{
	if (s->running)
		return;
	s->running = true;
	while (step(s))
		;
	s->running = false;
}

void shard_give_up(struct shard *s)
{
	timer_stop(s->timer);
	if (s->state == SHARD_SENDING && s->exchange) {
		struct http_client_exchange *exchange = s->exchange;

		become_idle(s);
		s->exchange = NULL;
		http_client_cancel(exchange);
	} else if (s->state != SHARD_COMPRESSING) {
		become_idle(s);
	}
	s->suspects = s->part = 0;
	sample_queue_pop_lost(&s->queue, s->queue.samples, DROP_SHUTDOWN);
}
