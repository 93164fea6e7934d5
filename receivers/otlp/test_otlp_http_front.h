/* The HTTP entrance and the intake behind it, with exchanges that a test plays. */
#ifndef WEIR_TEST_OTLP_HTTP_FRONT_H
#define WEIR_TEST_OTLP_HTTP_FRONT_H

#include "receivers/otlp/otlp_http.h"
#include "tests/support/component_stage.h"
#include "tests/unit/net/fake_exchange.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define MIB ((size_t)1 << 20)

struct front {
	struct stage stage;
	struct component component;
	struct otlp_http http;
	struct intake *intake;
	bool is_idle, answers_at_once;
	struct batch *batch; /* the latest */
	struct done done;
	int batches;
};

/* An entrance with that configuration of http. */
void front_open(struct front *f, const char *http);

/* Setup and teardown of a test, whose state it is. */
int front_begin(void **state);
int front_end(void **state);

/* The steps of a request. */
void front_request(struct front *f, struct http_exchange *x, const char *path,
                   const char *content_type);
void front_head(struct front *f, struct http_exchange *x);
void front_body(struct front *f, struct http_exchange *x, struct slice bytes);
void front_finish(struct front *f, struct http_exchange *x);
void front_wait(struct front *f, struct http_exchange *x);

/* A whole request with a length; waits for the answer. */
void front_post(struct front *f, struct http_exchange *x, struct slice bytes);

/* A header of the answer, or NULL. */
const char *front_field(const struct http_exchange *x, const char *name);

/* The answer is that status, with a message that has this in it. */
void front_expect(struct http_exchange *x, int status, const char *message);

/* A request of that many spans. */
struct buffer front_spans(struct front *f, int items);

/* A request of so many log records. */
struct buffer front_large_json(int records);

#define FRONT_TEST(f) cmocka_unit_test_setup_teardown(f, front_begin, front_end)

#endif
