/* utf8: OTLP's strings must be UTF-8, the names of files and processes need not be. */
#ifndef WEIR_BASE_UTF8_H
#define WEIR_BASE_UTF8_H

#include "core/base/buffer.h"

/* Bytes (1 to 4) of the character at p, 0 when there is none: cut short, overlong, a surrogate or
 * beyond U+10FFFF. */
size_t utf8_character(const uint8_t *p, size_t len);

#define UTF8_REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */

/* Appends text with what is no character replaced by U+FFFD, one for each maximal part of a
 * character and one for each other byte (Unicode 15, "substitution of maximal subparts"). */
void utf8_append(struct buffer *out, struct slice text);

#endif
