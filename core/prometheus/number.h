/* number: doubles as text. */
#ifndef WEIR_PROMETHEUS_NUMBER_H
#define WEIR_PROMETHEUS_NUMBER_H

#include "core/base/buffer.h"

/* Appends the shortest text that reads back to the same value: "0.005", "1", "10000000", "1e+21",
 * "+Inf", "-Inf", "NaN". Different values have different texts (all NaNs are one). */
void number_append(struct buffer *out, double value);

#endif
