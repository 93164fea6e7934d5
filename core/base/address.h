/* address: an IP address of either family, as bytes that can be compared and hashed. */
#ifndef WEIR_BASE_ADDRESS_H
#define WEIR_BASE_ADDRESS_H

#include "core/base/slice.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

/* IPv6, or IPv4 as ::ffff:a.b.c.d (RFC 4291, section 2.5.5.2), in network order. */
struct address {
	uint8_t bytes[16];
};

/* The address that a text is ("192.0.2.1", "2001:db8::1", "fe80::1%eth0"); false: it is none. */
bool address_parse(struct slice text, struct address *ret);

/* Of the 4 or 16 bytes of an address on the wire; false: so long is none. */
bool address_from_bytes(struct slice bytes, struct address *ret);

bool address_is_ipv4(const struct address *a);

/* NUL-terminated, IPv4 in dotted form; returns its length. */
size_t address_text(const struct address *a, char text[static INET6_ADDRSTRLEN]);

#endif
