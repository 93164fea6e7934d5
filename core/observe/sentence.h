/* sentence: the body of a log record, put together without printf(), which would be a third of what
 * such a record costs. What finds no room is cut off. */
#ifndef WEIR_OBSERVE_SENTENCE_H
#define WEIR_OBSERVE_SENTENCE_H

#include "core/base/address.h"
#include "core/data/build.h"

/* Empty when zeroed. */
struct sentence {
	char text[1400]; /* a name of DNS_NAME_TEXT bytes and what is said of it */
	size_t len;
};

void sentence_say(struct sentence *s, struct slice words);
void sentence_say_string(struct sentence *s, const char *words);
void sentence_say_number(struct sentence *s, unsigned n);

/* "10.0.0.7:5432", "[2001:db8::1]:53" */
void sentence_say_endpoint(struct sentence *s, const struct address *address, unsigned port);

/* NULL: no memory. */
Otlp__AnyValue *sentence_build(const struct sentence *s, struct arena *a);

#endif
