/* fuzz remote_write: whatever OTLP holds, the requests made of it are valid: every sample of the
 * translation is in them once, symbols stand once and are all referred to, labels are sorted and unique,
 * timestamps of a series rise. The input is that of fuzz_prometheus: the first byte chooses, the rest is
 * an ExportMetricsServiceRequest. Requests are small, so that their limits are met. */
#include "core/data/batch.h"
#include "tests/fuzz/remote_write_strict.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

static bool always(void *arg, struct series_family *family)
{
	return true;
}

static void add(struct strict_figures *sum, const struct strict_figures *one)
{
	sum->samples += one->samples;
	sum->histograms += one->histograms;
	sum->exemplars += one->exemplars;
}

/* One request from the front of samples; how many it took. */
static size_t check_request(struct remote_write *w, enum remote_write_version version,
                            const struct sample *samples, size_t n, bool legacy,
                            struct strict_figures *sum)
{
	struct remote_write_request request = {0};
	struct buffer bytes = BUFFER_INIT;
	struct strict_figures figures;
	const char *wrong;
	size_t added;

	remote_write_begin(w, version, &request);
	added = remote_write_add(w, samples, n);
	CHECK(remote_write_end(w) == 0);
	CHECK(added > 0 && added <= n);
	for (size_t i = 0; i < request.n_pieces; i++)
		buffer_append_slice(&bytes, request.pieces[i]);
	CHECK(bytes.len == request.bytes);
	wrong = remote_write_strict(version, buffer_slice(&bytes), legacy, &figures, NULL);
	if (wrong) {
		fprintf(stderr, "version %d: %s\n", version + 1, wrong);
		abort();
	}
	CHECK(figures.samples == request.samples && figures.histograms == request.histograms);
	CHECK(figures.exemplars == request.exemplars && figures.series == request.series_count);
	CHECK(figures.samples + figures.histograms == added);
	CHECK(added <= w->options.max_samples);
	add(sum, &figures);
	remote_write_request_fini(&request);
	buffer_fini(&bytes);
	return added;
}

static void check(struct translator *t, const struct translation *tr, bool legacy, uint8_t choice)
{
	struct remote_write_options options = {
		.max_bytes = choice & 4 ? 300 : 1 << 20,
		.max_samples = choice & 8 ? 3 : 10000,
		.wants_metadata = choice & 16 ? always : NULL,
	};
	struct remote_write w;

	remote_write_init(&w, &translator_table(t)->symbols, &options);
	for (int version = REMOTE_WRITE_1; version <= REMOTE_WRITE_2; version++) {
		struct strict_figures sum = {0};
		size_t exemplars = 0;

		for (size_t at = 0; at < tr->n_samples;)
			at += check_request(&w, (enum remote_write_version)version,
			                    tr->samples + at, tr->n_samples - at, legacy, &sum);
		for (size_t i = 0; i < tr->n_samples; i++)
			exemplars += tr->samples[i].n_exemplars;
		CHECK(sum.samples + sum.histograms == tr->n_samples);
		CHECK(sum.exemplars == exemplars);
	}
	remote_write_fini(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct translator_options options = {.expiry_ns = 1000000000};
	struct error error = ERROR_INIT;
	struct translation tr;
	struct translator *t;
	struct rcbuf *pin;
	struct batch *b = NULL;
	bool legacy;

	if (size < 2)
		return 0;
	options.strategy = (enum name_strategy)(data[0] & 3);
	options.custom_buckets = data[0] & 32;
	legacy = options.strategy == NAME_ESCAPED || options.strategy == NAME_ESCAPED_SUFFIXED;
	t = translator_new(&options);
	pin = rcbuf_new(size - 1, NULL);
	CHECK(t && pin);
	memcpy(pin->data, data + 1, size - 1);
	if (batch_from_request(SIGNAL_METRICS, pin, slice_of(pin->data, pin->size), NULL, &b,
	                       &error) == 0) {
		CHECK(translator_batch(t, b, 1000000000, &tr, &error) == 0);
		batch_unref(b);
		check(t, &tr, legacy, data[0]);
		CHECK(translator_end(t, 1, SIZE_MAX, &tr) == 0);
		check(t, &tr, legacy, data[0]);
	}
	rcbuf_unref(pin);
	translator_free(t);
	return 0;
}
