/* otlp_json_names: what the printer and the reader of OTLP/JSON share. Internal to
 * core/wire/otlp_json*.c. */
#ifndef WEIR_WIRE_OTLP_JSON_NAMES_H
#define WEIR_WIRE_OTLP_JSON_NAMES_H

#include "core/base/slice.h"

/* otlp.proto declares every string as bytes; few fields are bytes in OTLP too. */
enum otlp_bytes_form { OTLP_FORM_STRING, OTLP_FORM_HEX, OTLP_FORM_BASE64 };
enum otlp_bytes_form otlp_bytes_form(const char *field);

/* Writes the key of a field, trace_id as traceId, to ret, which has room for strlen(field) bytes.
 * Returns its length. */
size_t otlp_json_key_write(const char *field, uint8_t *ret);

/* Whether key is that of the field. */
bool otlp_json_key_is(struct slice key, const char *field);

#endif
