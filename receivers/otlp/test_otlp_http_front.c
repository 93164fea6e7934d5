#include "receivers/otlp/test_otlp_http_front.h"

#include "core/base/clock.h"
#include "core/loop/timer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Only its option table is asked; the receiver itself would bring the real exchanges. */
static const struct component_type type = {
	.name = "otlp",
	.kind = RECEIVER,
	.config_size = sizeof(struct otlp_receiver_config),
	.options = otlp_receiver_options,
};

static void destination(void *self, struct batch *b, struct done done)
{
	struct front *f = self;

	batch_unref(f->batch);
	f->batch = b;
	f->batches++;
	f->done = done;
	if (f->answers_at_once)
		done_ok(done);
}

void front_open(struct front *f, const char *http)
{
	const struct otlp_receiver_config *config;
	struct consumer next[SIGNAL_COUNT] = {
		[SIGNAL_TRACES] = {destination, f},
		[SIGNAL_LOGS] = {destination, f},
	};
	char yaml[1024];

	snprintf(yaml, sizeof yaml, "{protocols: {http: %s}}", http);
	config = stage_config(&f->stage, &type, yaml);
	component_init(&f->component, &type,
	               &(struct create_args){.id = "otlp/front", .host = &f->stage.host});
	f->intake = intake_new(&f->component, next);
	assert_true(otlp_http_init(&f->http, &config->protocols.http));
	f->http.entrance.intake = f->intake;
	f->http.entrance.max_size = otlp_http_max_size(&config->protocols.http);
	f->http.entrance.include_metadata = config->protocols.http.listen.include_metadata;
}

int front_begin(void **state)
{
	struct front *f = calloc(1, sizeof *f);

	assert_non_null(f);
	stage_begin(&f->stage);
	f->answers_at_once = true;
	*state = f;
	return 0;
}

static void on_idle(void *arg)
{
	((struct front *)arg)->is_idle = true;
}

int front_end(void **state)
{
	struct front *f = *state;

	intake_wait(f->intake, on_idle, f);
	stage_wait(&f->stage, &f->is_idle);
	otlp_http_fini(&f->http);
	intake_free(f->intake);
	batch_unref(f->batch);
	stage_end(&f->stage);
	free(f);
	return 0;
}

void front_request(struct front *f, struct http_exchange *x, const char *path,
                   const char *content_type)
{
	fake_exchange_init(x, path);
	x->headers[0].value = slice_from_string(content_type);
}

void front_head(struct front *f, struct http_exchange *x)
{
	otlp_http_handler.on_request(&f->http, x);
}

void front_body(struct front *f, struct http_exchange *x, struct slice bytes)
{
	if (!x->responses)
		otlp_http_handler.on_body(&f->http, x, bytes);
}

void front_finish(struct front *f, struct http_exchange *x)
{
	if (!x->responses)
		otlp_http_handler.on_body_end(&f->http, x);
}

static void on_late(void *arg)
{
	*(bool *)arg = true;
}

void front_wait(struct front *f, struct http_exchange *x)
{
	bool late = false;
	struct timer *patience = timer_new(f->stage.host.loop, on_late, &late);

	timer_start(patience, 20 * NS_PER_S, 0);
	while (!x->responses && !late)
		loop_run_once(f->stage.host.loop);
	timer_free(patience);
	assert_int_equal(x->responses, 1);
}

void front_post(struct front *f, struct http_exchange *x, struct slice bytes)
{
	x->request.has_length = true;
	x->request.length = bytes.len;
	front_head(f, x);
	front_body(f, x, bytes);
	front_finish(f, x);
	front_wait(f, x);
}

const char *front_field(const struct http_exchange *x, const char *name)
{
	for (size_t i = 0; i < x->n_head; i++)
		if (strcmp(x->head[i].name, name) == 0)
			return x->head[i].value;
	return NULL;
}

void front_expect(struct http_exchange *x, int status, const char *message)
{
	struct buffer said = BUFFER_INIT;
	enum otlp_encoding encoding =
		strcmp(front_field(x, "content-type"), "application/json") == 0 ? OTLP_JSON
										: OTLP_PROTOBUF;

	assert_int_equal(x->status, status);
	assert_true(otlp_status_read(encoding, buffer_slice(&x->body), &said));
	if (!strstr(buffer_string(&said), message))
		fail_msg("\"%s\" is not in \"%s\"", message, buffer_string(&said));
	buffer_fini(&said);
}

struct buffer front_spans(struct front *f, int items)
{
	struct batch *b = stage_batch(&f->stage, SIGNAL_TRACES, items, 1);
	struct buffer bytes = BUFFER_INIT;

	assert_int_equal(batch_encode(b, &bytes, NULL), 0);
	batch_unref(b);
	return bytes;
}

struct buffer front_large_json(int records)
{
	struct buffer text = BUFFER_INIT;

	buffer_append_string(&text,
	                     "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"body\":{"
	                     "\"stringValue\":\"0\"}}");
	for (int i = 1; i < records; i++)
		buffer_printf(&text, ",{\"body\":{\"stringValue\":\"%d\"}}", i);
	buffer_append_string(&text, "]}]}]}");
	return text;
}
