/* context: what from_context names, of a batch's origin. Internal to core/attributes. */
#ifndef WEIR_ATTRIBUTES_CONTEXT_H
#define WEIR_ATTRIBUTES_CONTEXT_H

#include "core/base/buffer.h"
#include "core/data/batch.h"

/* Appends the value to out; several of one name are joined with ';'. False: there is none. */
bool context_append(const struct batch_origin *origin, const char *name, struct buffer *out);

#endif
