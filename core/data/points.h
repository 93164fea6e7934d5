/* points: the data points of a metric, whatever its kind. */
#ifndef WEIR_DATA_POINTS_H
#define WEIR_DATA_POINTS_H

#include "core/wire/otlp.pb-c.h"

#include <stdbool.h>
#include <stddef.h>

/* Calls visit with the attributes of each point, which it may replace, until one returns false; then
 * false. A metric without data has no points. */
bool points_each(const Otlp__Metric *metric,
                 bool (*visit)(void *arg, size_t *n, Otlp__KeyValue ***attributes), void *arg);

#endif
