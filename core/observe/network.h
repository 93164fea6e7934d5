/* network: attributes of points and log records about what crosses the network. The constant ones are
 * shared by any number of them and not to be written to. False: no memory. */
#ifndef WEIR_OBSERVE_NETWORK_H
#define WEIR_OBSERVE_NETWORK_H

#include "core/base/address.h"
#include "core/data/build.h"

#include <stdbool.h>
#include <stdint.h>

enum network_transport { NETWORK_TCP, NETWORK_UDP };

/* What all begin with: network.transport, network.type, and weir.connection.role where it is known
 * (role is an enum socket_role). */
bool network_build(struct arena *a, struct build_list *attributes, enum network_transport transport,
                   bool is_ipv6, uint8_t role);

/* The address as text under that key. */
bool network_address_build(struct arena *a, struct build_list *attributes, const char *key,
                           const struct address *address);

#endif
