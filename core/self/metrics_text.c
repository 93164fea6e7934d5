/* The page of /metrics: one reading as OTLP, put through the translator and the exposition that serve
 * everybody's metrics. Names stay as they are, as the Collector has them: no suffixes, no scope, no
 * resource. Everything is made for one page and thrown away: a page is read every few seconds and
 * has some hundred series. */
#include "core/base/clock.h"
#include "core/data/batch.h"
#include "core/prometheus/exposition.h"
#include "core/self/metrics.h"

#include <errno.h>

static int tell_all(struct translator *t, struct exposition *e, struct batch *b)
{
	struct translation translation;
	struct error error = ERROR_INIT;
	int r = translator_batch(t, b, clock_monotonic_ns(), &translation, &error);

	for (size_t i = 0; r == 0 && i < translation.n_samples; i++)
		if (exposition_tell(e, &translation.samples[i]) == EXPOSITION_NO_MEMORY)
			r = -ENOMEM;
	return r;
}

static void write_page(struct exposition *e, struct buffer *out)
{
	const struct exposition_choice text = {.format = EXPOSITION_TEXT};
	struct exposition_cursor cursor;

	exposition_begin(&cursor, e, text, false);
	exposition_write(&cursor, out, SIZE_MAX);
	exposition_end(&cursor);
}

int metrics_write_text(struct metrics *m, struct buffer *out)
{
	struct exposition e = {0};
	const struct translator_options options = {
		.strategy = NAME_ESCAPED,
		.no_scope_labels = true,
		.no_target_info = true,
		.one_type = true,
		.on_series_end = exposition_on_series_end,
		.on_family_end = exposition_on_family_end,
		.arg = &e,
	};
	/* not on the account of the batches: figures are wanted most when that is full */
	struct batch *b = metrics_batch(m, NULL, "", clock_realtime_ns(), NULL);
	struct translator *t = translator_new(&options);
	size_t before = out->len;
	int r = -ENOMEM;

	if (b && t && exposition_init(&e, translator_table(t), NULL) == 0) {
		r = tell_all(t, &e, b);
		if (r == 0)
			write_page(&e, out);
		exposition_fini(&e);
	}
	if (r < 0 || out->failed) { /* half a page would read as counters that vanished */
		out->len = before;
		r = -ENOMEM;
	}
	translator_free(t);
	batch_unref(b);
	return r;
}
