/* ptr: the question for the name of an address, and what an answer to it says. Sans-I/O.
 *
 * Whatever an answer says is taken for somebody else's text. */
#ifndef WEIR_PROCESSORS_REVERSE_DNS_PTR_H
#define WEIR_PROCESSORS_REVERSE_DNS_PTR_H

#include "core/base/address.h"

enum {
	PTR_QUESTION_SIZE = 80, /* holds 32 digits and dots, "ip6.arpa" and a NUL */
	PTR_NAME_SIZE = 256,
};

/* False for those that mean something only to one host or to many at once: loopback, link-local,
 * unspecified, multicast, reserved. */
bool ptr_may_be_asked(const struct address *a);

/* "1.2.0.192.in-addr.arpa" */
void ptr_question(const struct address *a, char text[static PTR_QUESTION_SIZE]);

struct ptr_answer {
	char name[PTR_NAME_SIZE]; /* lower case; empty unless PTR_NAME */
	uint32_t ttl_s;           /* the least on the way to it */
};

enum ptr_result {
	PTR_NAME, /* of several the first by their bytes, since resolvers turn them round */
	PTR_NONE, /* no PTR record */
	PTR_BAD,  /* no DNS message, or only what is no name of a host */
};

/* Follows CNAME records (RFC 2317). */
enum ptr_result ptr_answer_read(struct slice message, const char *question, struct ptr_answer *ret);

#endif
