/* header_field: what may stand in a header field of HTTP or gRPC (RFC 9110, section 5). */
#ifndef WEIR_BASE_HEADER_FIELD_H
#define WEIR_BASE_HEADER_FIELD_H

#include "core/base/slice.h"

#include <stdbool.h>

/* Whether it can be a field's name: a token, which is not empty. */
bool header_field_is_name(struct slice text);

/* Whether it can be a field's value: no control characters but tabs. A line break would be the end of the
 * field. */
bool header_field_is_value(struct slice text);

#endif
