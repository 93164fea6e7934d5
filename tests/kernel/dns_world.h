/* dns_world: real questions and answers for the tests of the dns programs, and what the programs said
 * about them. Every failure inside ends the test. */
#ifndef WEIR_TESTS_DNS_WORLD_H
#define WEIR_TESTS_DNS_WORLD_H

#include "receivers/dns/dns_kernel.h"

#include <netinet/in.h>
#include <sys/socket.h>

enum { DNS_A = 1, DNS_AAAA = 28 };

/* Everything that was handed over, in order. */
struct seen {
	struct dns_answer **answers;
	struct dns_segment **segments;
	struct dns_pending *unanswered;
	size_t n_answers, n_segments, n_unanswered;
	bool quiet; /* count only */
};

/* The programs, attached, with one watched port on which nobody listens. */
struct dns_world {
	struct dns_kernel *kernel;
	struct seen seen;
	unsigned port;
};

struct dns_world_options {
	size_t ring_bytes;
	uint32_t max_pending;
	uint16_t port; /* 0: any */
};

/* Returns 0, or a negative errno and says why in error. */
int dns_world_open(struct dns_world *w, struct dns_world_options options, struct error *error);
void dns_world_close(struct dns_world *w);
void dns_world_forget(struct dns_world *w); /* what was seen until now; drains before */
void dns_world_drain(struct dns_world *w);
/* Drain until there are that many, at most 10 s. */
void dns_world_wait_answers(struct dns_world *w, size_t n);
void dns_world_wait_segments(struct dns_world *w, size_t n);
/* Hands over every question without an answer. Returns how many. */
size_t dns_world_sweep(struct dns_world *w);
uint64_t dns_world_lost(struct dns_world *w, enum dns_loss why);

/* "127.0.0.1", "::1", ... with a port. */
struct dns_address {
	struct sockaddr_storage storage;
	socklen_t len;
};
struct dns_address dns_address_of(const char *text, unsigned port);
unsigned dns_address_port(const struct dns_address *a);

/* A socket bound to that address (NULL: not bound), connected to peer (NULL: not). */
int dns_socket(int type, const struct dns_address *local, const struct dns_address *peer);
unsigned dns_socket_port(int fd);

/* Writes a question (or with size as an answer, all of it) of at most 512 bytes; returns its length. */
size_t dns_question(uint8_t message[512], uint16_t id, const char *name, uint16_t type);
/* Makes an answer of size bytes of the question of length bytes, in place: the rest is an OPT record. */
void dns_answer_make(uint8_t *message, size_t length, size_t size);

/* Sends to address (NULL: the peer) and receives. */
void dns_send(int fd, const void *message, size_t length, const struct dns_address *to);
size_t dns_receive(int fd, void *message, size_t size, struct dns_address *ret_from);

/* Asks from one socket and answers on the other, once, with an answer of size bytes (0: only the
 * question again). to: where the client sends, NULL: it is connected. */
void dns_exchange(int client, int server, const struct dns_address *to, uint16_t id,
                  const char *name, uint16_t type, size_t size);

#endif
