/* json_string: text as a JSON string (RFC 8259). */
#ifndef WEIR_BASE_JSON_STRING_H
#define WEIR_BASE_JSON_STRING_H

#include "core/base/buffer.h"

/* Appends text in quotes, with what JSON wants escaped. What is no UTF-8 becomes U+FFFD. */
void json_string_append(struct buffer *out, struct slice text);

#endif
