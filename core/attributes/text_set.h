/* text_set: texts or regular expressions, one of which a text is to be. Internal to core/attributes. */
#ifndef WEIR_ATTRIBUTES_TEXT_SET_H
#define WEIR_ATTRIBUTES_TEXT_SET_H

#include "core/base/error.h"
#include "core/base/slice.h"

struct text_set;

/* The texts must outlive the set. -EINVAL: a malformed pattern; -ENOMEM. */
int text_set_new(const char *const *texts, size_t n, bool regexp, struct text_set **ret,
                 struct error *error);
void text_set_free(struct text_set *s); /* takes NULL */

/* 1, 0, -ENOMEM. */
int text_set_has(struct text_set *s, struct slice text);

/* Matches that were given up at a pattern's limit, since the last call. Takes NULL. */
unsigned text_set_given_up(struct text_set *s);

#endif
