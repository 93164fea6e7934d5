/* What dns_exchange.c, which reads messages, and dns_streams.c, which brings those over TCP, share. */
#ifndef WEIR_RECEIVERS_DNS_EXCHANGE_INTERNAL_H
#define WEIR_RECEIVERS_DNS_EXCHANGE_INTERNAL_H

#include "receivers/dns/dns_exchange.h"

/* An exchange between these ends, of which nothing else is known: DNS_TIMEOUT. Points to owner. */
void dns_exchange_init(struct dns_exchange *e, enum dns_transport transport,
                       const struct dns_flow *flow, enum socket_role role,
                       const struct process_owner *owner);

/* Takes from an answer of so many bytes what is there of it: id, question, code, and how it ends the
 * exchange. e points to the message, and to text. */
void dns_exchange_read(struct dns_exchange *e, struct slice message, size_t length,
                       char text[static DNS_NAME_TEXT]);

#endif
