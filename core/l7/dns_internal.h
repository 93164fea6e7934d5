/* What dns.c and dns_body.c share. */
#ifndef WEIR_L7_DNS_INTERNAL_H
#define WEIR_L7_DNS_INTERNAL_H

#include "core/l7/dns.h"

static inline uint16_t dns_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* Returns -EBADMSG; fault may be NULL. */
int dns_fault_set(struct dns_fault *fault, enum dns_fault_code code, size_t at);

/* Follows the name at a place to its end, so that dns_name() need not doubt it. end, at most the
 * message's, bounds the part before the first pointer. Sets the byte after that part. */
int dns_name_check(struct slice message, size_t at, size_t end, bool compressed, size_t *ret_end,
                   struct dns_fault *fault);

#endif
