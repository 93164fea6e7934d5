/* fuzz prometheus: whatever OTLP holds, the samples made of it are valid: names well-formed, labels sorted
 * and unique, timestamps of a series rising, histograms that add up. The input is that of fuzz_otlp: the
 * first byte chooses, the rest is an ExportMetricsServiceRequest; it is translated twice, cut in
 * another way, so that what is known, late and accumulated is met too. Then all of it ends, and
 * nothing is left. */
#include "core/data/batch.h"
#include "tests/unit/prometheus/translation_text.h"

#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

static void check_valid(struct translator *t, const struct translation *tr,
                        enum name_strategy strategy)
{
	const char *wrong = translation_wrong(t, tr, strategy);

	if (wrong) {
		fprintf(stderr, "%s\n", wrong);
		abort();
	}
}

static bool adds_deltas(const struct batch *b)
{
	for (const struct group *g = b->first; g; g = g->next)
		for (size_t i = 0; i < g->metrics->n_scope_metrics; i++) {
			const Otlp__ScopeMetrics *scope = g->metrics->scope_metrics[i];

			for (size_t j = 0; j < scope->n_metrics; j++)
				if (scope->metrics[j]->data_case == OTLP__METRIC__DATA_SUM &&
				    scope->metrics[j]->sum->aggregation_temporality ==
				            OTLP__AGGREGATION_TEMPORALITY__AGGREGATION_TEMPORALITY_DELTA)
					return true;
		}
	return false;
}

/* Translates the request, opened so deep; what comes of it goes to out. */
static void translate(struct translator *t, struct slice bytes, enum depth depth,
                      enum name_strategy strategy, struct buffer *out, bool *ret_deltas)
{
	struct rcbuf *pin = rcbuf_new(bytes.len, NULL);
	struct error error = ERROR_INIT;
	struct translation tr;
	struct batch *b = NULL;

	CHECK(pin);
	if (bytes.len)
		memcpy(pin->data, bytes.data, bytes.len);
	if (batch_from_request(SIGNAL_METRICS, pin, slice_of(pin->data, pin->size), NULL, &b,
	                       &error) == 0) {
		CHECK(batch_open(&b, depth, &error) == 0);
		CHECK(translator_batch(t, b, 1000000000, &tr, &error) == 0);
		if (depth == DEPTH_FULL)
			*ret_deltas = adds_deltas(b);
		batch_unref(b); /* the samples outlive it */
		check_valid(t, &tr, strategy);
		translation_print(t, &tr, out);
	}
	rcbuf_unref(pin);
}

/* Opened or not, the samples are the same. Deltas apart: of one source with attributes that are equal
 * but not byte by byte, closed batches see two. */
static void check_depths(const struct translator_options *options, struct slice bytes)
{
	struct buffer out[DEPTH_FULL + 1] = {BUFFER_INIT};
	bool deltas = false;

	for (int depth = DEPTH_WIRE; depth <= DEPTH_FULL; depth++) {
		struct translator *t = translator_new(options);

		CHECK(t);
		translate(t, bytes, (enum depth)depth, options->strategy, &out[depth], &deltas);
		translator_free(t);
	}
	for (int depth = DEPTH_WIRE; depth < DEPTH_FULL && !deltas; depth++)
		if (!slice_equal(buffer_slice(&out[depth]), buffer_slice(&out[DEPTH_FULL]))) {
			fprintf(stderr, "at depth %d:\n%s\nopened:\n%s\n", depth,
			        buffer_string(&out[depth]), buffer_string(&out[DEPTH_FULL]));
			abort();
		}
	for (int depth = DEPTH_WIRE; depth <= DEPTH_FULL; depth++)
		buffer_fini(&out[depth]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const all[] = {"*", NULL};
	struct translator_options options = {0};
	struct buffer out = BUFFER_INIT;
	struct translation tr;
	struct translator *t;
	bool deltas;

	if (size == 0)
		return 0;
	options.strategy = (enum name_strategy)(data[0] & 3);
	options.custom_buckets = data[0] & 4;
	options.resource_included = data[0] & 8 ? all : NULL;
	options.one_type = data[0] & 16;
	options.max_series = data[0] & 32 ? 5 : 0;
	options.expiry_ns = 1000000000;
	options.namespace = data[0] & 64 ? "9.x" : NULL;
	t = translator_new(&options);
	CHECK(t);
	translate(t, slice_of(data + 1, size - 1), DEPTH_WIRE, options.strategy, &out, &deltas);
	translate(t, slice_of(data + 1, size - 1), DEPTH_FULL, options.strategy, &out, &deltas);
	CHECK(translator_expire(t, 3000000000, 1, SIZE_MAX, &tr) == 0);
	check_valid(t, &tr, options.strategy);
	CHECK(translator_expire(t, 3000000000, 1, SIZE_MAX, &tr) == 0);
	CHECK(tr.n_samples == 0);
	CHECK(translator_table(t)->count == 0 && translator_table(t)->symbols.count == 0);
	CHECK(translator_table(t)->families.count == 0 && translator_table(t)->shapes.count == 0);
	translator_free(t);
	buffer_fini(&out);
	if (!options.max_series)
		check_depths(&options, slice_of(data + 1, size - 1));
	return 0;
}
