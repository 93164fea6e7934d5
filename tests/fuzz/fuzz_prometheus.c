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

static void translate(struct translator *t, struct slice bytes, bool open,
                      enum name_strategy strategy)
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
		CHECK(!open || batch_open(&b, DEPTH_FULL, &error) == 0);
		CHECK(translator_batch(t, b, 1000000000, &tr, &error) == 0);
		check_valid(t, &tr, strategy);
	}
	batch_unref(b);
	rcbuf_unref(pin);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const all[] = {"*", NULL};
	struct translator_options options = {0};
	struct translation tr;
	struct translator *t;

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
	translate(t, slice_of(data + 1, size - 1), false, options.strategy);
	translate(t, slice_of(data + 1, size - 1), true, options.strategy);
	CHECK(translator_expire(t, 3000000000, 1, SIZE_MAX, &tr) == 0);
	check_valid(t, &tr, options.strategy);
	CHECK(translator_expire(t, 3000000000, 1, SIZE_MAX, &tr) == 0);
	CHECK(tr.n_samples == 0);
	CHECK(translator_table(t)->count == 0 && translator_table(t)->symbols.count == 0);
	CHECK(translator_table(t)->families.count == 0 && translator_table(t)->shapes.count == 0);
	translator_free(t);
	return 0;
}
