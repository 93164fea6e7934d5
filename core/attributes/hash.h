/* hash: a value as the hexadecimal SHA-256 of its bytes, as the Collector's hash action. Internal to core/attributes. */
#ifndef WEIR_ATTRIBUTES_HASH_H
#define WEIR_ATTRIBUTES_HASH_H

#include "core/data/batch.h"

struct hash;

int hash_new(struct hash **ret, struct error *error);
void hash_free(struct hash *h); /* takes NULL */

/* In *ret a string in the arena: of a string its bytes are hashed, of an int or double its eight bytes, lowest first,
 * of a bool one byte; all else becomes the empty string. Always 1, or -ENOMEM. */
int hash_value(struct hash *h, const Otlp__AnyValue *v, struct arena *arena, Otlp__AnyValue *ret);

#endif
