/* bench attributes: what the actions of the processors attributes (per span) and resource (per group) cost, beside
 * opening the batch that they are done on.
 *
 * Spans with ten attributes. The contenders take turns, and the median of the rounds is printed. */
#include "core/attributes/actions.h"
#include "core/base/clock.h"
#include "core/data/build.h"

#include <stdio.h>
#include <stdlib.h>

enum { SPANS = 100, GROUPS = 100, ROUNDS = 301 };

static void must(bool ok)
{
	if (!ok) {
		fprintf(stderr, "bench attributes: out of memory, or a wrong answer\n");
		exit(1);
	}
}

static bool add_attributes(struct arena *a, struct build_list *list, unsigned from)
{
	bool ok = true;

	for (unsigned i = 0; i < 10 && ok; i++)
		ok = build_string(a, list, arena_printf(a, "some.attribute.%u", from + i),
		                  SLICE_LITERAL("a value of some length"));
	return ok;
}

/* A request of so many groups with so many spans each. */
static struct rcbuf *make_request(size_t groups, size_t spans, size_t *ret_len)
{
	struct batch *b = batch_new(SIGNAL_TRACES, NULL);
	struct buffer out = BUFFER_INIT;
	struct rcbuf *pin;

	must(b != NULL);
	for (size_t g = 0; g < groups; g++) {
		Otlp__ResourceSpans *rs =
			BUILD(&b->arena, Otlp__ResourceSpans, otlp__resource_spans);
		Otlp__ScopeSpans *ss = BUILD(&b->arena, Otlp__ScopeSpans, otlp__scope_spans);
		struct build_list attributes = {0}, scopes = {0}, list = {0};
		must(rs && ss && add_attributes(&b->arena, &attributes, 0));
		rs->resource = BUILD(&b->arena, Otlp__Resource, otlp__resource);
		must(rs->resource && build_list_add(&b->arena, &scopes, ss));
		rs->resource->attributes = (Otlp__KeyValue **)attributes.items;
		rs->resource->n_attributes = attributes.count;
		for (size_t i = 0; i < spans; i++) {
			Otlp__Span *span = BUILD(&b->arena, Otlp__Span, otlp__span);
			attributes = (struct build_list){0};
			must(span && add_attributes(&b->arena, &attributes, 0) &&
			     build_list_add(&b->arena, &list, span));
			span->name = build_text("GET /api/v2/customers/{id}/orders");
			span->attributes = (Otlp__KeyValue **)attributes.items;
			span->n_attributes = attributes.count;
		}
		ss->spans = (Otlp__Span **)list.items;
		ss->n_spans = list.count;
		rs->scope_spans = (Otlp__ScopeSpans **)scopes.items;
		rs->n_scope_spans = 1;
		must(batch_append(b, &rs->base));
	}
	must(batch_encode(b, &out, NULL) == 0);
	pin = rcbuf_new(out.len, NULL);
	must(pin != NULL);
	memcpy(pin->data, out.data, out.len);
	*ret_len = out.len;
	buffer_fini(&out);
	batch_unref(b);
	return pin;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* ns for one item: to open, and to act. */
static void measure(const char *name, struct attribute_action *items, size_t n, enum depth depth)
{
	static const struct batch_origin nowhere;
	size_t len, count = depth == DEPTH_FULL ? SPANS : GROUPS;
	struct rcbuf *pin = make_request(depth == DEPTH_FULL ? 1 : GROUPS,
	                                 depth == DEPTH_FULL ? SPANS : 1, &len);
	struct group_list list = {.items = items, .count = n};
	struct actions *a = NULL;
	double opened[ROUNDS], acted[ROUNDS];

	must(actions_new(&list, &a, NULL) == 0);
	for (size_t i = 0; i < ROUNDS; i++) {
		struct batch *b = NULL;
		uint64_t begun, between, ended;

		must(batch_from_request(SIGNAL_TRACES, pin, slice_of(pin->data, len), NULL, &b,
		                        NULL) == 0);
		begun = clock_monotonic_ns();
		must(batch_open(&b, depth, NULL) == 0);
		between = clock_monotonic_ns();
		actions_begin(a, &nowhere);
		for (struct group *g = b->first; g; g = g->next) {
			if (depth == DEPTH_RESOURCE) {
				must(actions_apply(a, &b->arena, &g->resource->n_attributes,
				                   &g->resource->attributes) == 0);
				continue;
			}
			for (size_t k = 0; k < SPANS; k++) {
				Otlp__Span *span = g->spans->scope_spans[0]->spans[k];
				must(actions_apply(a, &b->arena, &span->n_attributes,
				                   &span->attributes) == 0);
			}
		}
		ended = clock_monotonic_ns();
		opened[i] = (double)(between - begun) / (double)count;
		acted[i] = (double)(ended - between) / (double)count;
		batch_unref(b);
	}
	qsort(opened, ROUNDS, sizeof *opened, compare);
	qsort(acted, ROUNDS, sizeof *acted, compare);
	printf("%-44s open %5.0f ns, act %5.0f ns per %s\n", name, opened[ROUNDS / 2],
	       acted[ROUNDS / 2], depth == DEPTH_FULL ? "span" : "group");
	actions_free(a);
	rcbuf_unref(pin);
}

int main(void)
{
	enum { INSERT, UPDATE, UPSERT, DELETE, HASH };
	const struct scalar value = {.kind = SCALAR_IS_STRING, .string = "prod"};
	struct attribute_action add = {.key = "env", .action = UPSERT, .value = value};
	struct attribute_action change = {.key = "some.attribute.5",
	                                  .action = UPSERT,
	                                  .value = value};
	struct attribute_action nothing = {.key = "env", .action = UPDATE, .value = value};
	struct attribute_action hash = {.key = "some.attribute.5", .action = HASH};
	struct attribute_action pattern = {.pattern = "^http[.]request[.]", .action = DELETE};

	measure("attributes: upsert that adds", &add, 1, DEPTH_FULL);
	measure("attributes: upsert that changes", &change, 1, DEPTH_FULL);
	measure("attributes: update of what is not there", &nothing, 1, DEPTH_FULL);
	measure("attributes: hash", &hash, 1, DEPTH_FULL);
	measure("attributes: delete by pattern, ten keys", &pattern, 1, DEPTH_FULL);
	measure("resource: upsert that adds", &add, 1, DEPTH_RESOURCE);
	return 0;
}
