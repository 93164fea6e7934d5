/* base64: bytes as text (RFC 4648, section 4). */
#ifndef WEIR_BASE_BASE64_H
#define WEIR_BASE_BASE64_H

#include "core/base/slice.h"

/* Characters that n bytes take at most, padding included. */
#define BASE64_TEXT(n) (((n) + 2) / 3 * 4)

/* Writes at most BASE64_TEXT(bytes.len) characters to ret, no NUL, and returns how many. */
size_t base64_encode(struct slice bytes, bool padded, char *ret);

/* Padded or not, of the URL-safe alphabet (section 5) as well. Returns false when it is not base64 or more than size bytes. */
bool base64_decode(struct slice text, uint8_t *ret, size_t size, size_t *ret_len);

#endif
