#include "core/prometheus/number.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

void number_append(struct buffer *out, double value)
{
	/* Integers up to 2^53 are exact, and most numbers are such; others of that size may be shorter
	 * in another form, but 21 digits is where people stop counting. */
	if (isnan(value)) {
		buffer_append_string(out, "NaN");
	} else if (isinf(value)) {
		buffer_append_string(out, value > 0 ? "+Inf" : "-Inf");
	} else if (fabs(value) < 9007199254740992.0 && value == (double)(int64_t)value &&
	           !(value == 0 && signbit(value))) {
		buffer_printf(out, "%" PRId64, (int64_t)value);
	} else if (fabs(value) < 1e21 && fabs(value) >= 9007199254740992.0) {
		buffer_printf(out, "%.0f", value);
	} else {
		char text[40];

		for (int digits = 15; digits <= 17; digits++) {
			snprintf(text, sizeof text, "%.*g", digits, value);
			if (strtod(text, NULL) == value)
				break;
		}
		buffer_append_string(out, text);
	}
}
