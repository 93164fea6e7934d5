/* translate_test: what the tests of core/prometheus/translate share. Metrics are written as JSON with ' for ". */
#ifndef WEIR_TESTS_TRANSLATE_TEST_H
#define WEIR_TESTS_TRANSLATE_TEST_H

#include "tests/unit/prometheus/translation_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* Fails the test when there is no memory. */
struct translator *translate_begin(const struct translator_options *options);

/* Metrics of one resource and scope, as JSON. */
const char *translate_metrics(const char *resource, const char *list);

/* The batch of such a request; in a test's second run as bytes that nobody has opened. */
struct batch *translate_come(const char *json);

/* Translates it, checks what has to be so of every translation, and prints it to out. */
void translate_say(struct translator *t, const char *json, struct buffer *out);

/* Translated, it is that text. */
void translate_expect(struct translator *t, const char *json, const char *wanted);

/* The same by a translator of its own. */
void translate_expect_once(const struct translator_options *options, const char *json,
                           const char *wanted);

/* Without target_info. */
extern const struct translator_options translate_plain;

/* Translates it, and nothing is checked. */
struct translation translate_once(struct translator *t, const char *json);

/* Runs all of them twice: with batches that are open, and with bytes as they came. */
int translate_run(const struct CMUnitTest *tests, size_t n);

#define SUM(name, temporality, points)                                                             \
	"{'name':'" name "','sum':{'aggregationTemporality':" temporality                          \
	",'isMonotonic':true,'dataPoints':[" points "]}}"
#define GAUGE(name, points) "{'name':'" name "','gauge':{'dataPoints':[" points "]}}"
#define CUMULATIVE "2"
#define DELTA "1"
#define VALUE(ms, value) "{'timeUnixNano':'" ms "000000','asDouble':" value "}"
#define STARTED(start, ms, value)                                                                  \
	"{'startTimeUnixNano':'" start "000000','timeUnixNano':'" ms "000000','asDouble':" value "}"
#define STRING(key, value) "{'key':'" key "','value':{'stringValue':'" value "'}}"

#define EXPONENTIAL(temporality, points)                                                           \
	"{'name':'e','exponentialHistogram':{'aggregationTemporality':" temporality                \
	",'dataPoints':[" points "]}}"

#define HISTOGRAM_POINT(ms)                                                                        \
	"{'timeUnixNano':'" ms                                                                     \
	"000000','count':'3','sum':1.5,'explicitBounds':[1],'bucketCounts':['1','2']}"
#define HISTOGRAM(points)                                                                          \
	"{'name':'h','histogram':{'aggregationTemporality':2,'dataPoints':[" points "]}}"

#endif
