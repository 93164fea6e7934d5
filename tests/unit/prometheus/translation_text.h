/* translation_text: batches out of JSON, translations as text, and what must be true of every
 * translation. For tests and fuzzers of core/prometheus. */
#ifndef WEIR_TESTS_TRANSLATION_TEXT_H
#define WEIR_TESTS_TRANSLATION_TEXT_H

#include "core/prometheus/translate.h"

/* The batch of an ExportMetricsServiceRequest in OTLP/JSON with ' for ". NULL: it is none, or there is
 * no memory. */
struct batch *translation_batch(const char *json);

/* Appends a line for each sample: NAME{LABEL="VALUE",...} VALUE @MS [from START_MS] [# exemplar...]. */
void translation_print(struct translator *t, const struct translation *tr, struct buffer *out);

/* What is wrong with it, or NULL. */
const char *translation_wrong(struct translator *t, const struct translation *tr,
                              enum name_strategy strategy);

#endif
