/* file_encode, private: a batch as the payload of one record. */
#ifndef WEIR_EXPORTERS_FILE_ENCODE_H
#define WEIR_EXPORTERS_FILE_ENCODE_H

#include "core/data/batch.h"

enum file_format { FORMAT_JSON, FORMAT_PROTO };

/* Appends the batch's request to out, as OTLP/JSON without a newline or as protobuf. The batch may
 * be shared; it is sent on unchanged. Fails with -EBADMSG (JSON: a group does not decode) or
 * -ENOMEM (retryable). */
int file_encode(struct batch *b, enum file_format format, struct buffer *out, struct error *error);

#endif
