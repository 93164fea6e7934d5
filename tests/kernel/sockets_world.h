/* sockets_world: real connections for the tests of the sockets programs, and a tally of what the
 * programs said about each. Every failure inside ends the test. */
#ifndef WEIR_TESTS_SOCKETS_WORLD_H
#define WEIR_TESTS_SOCKETS_WORLD_H

#include "receivers/sockets/sockets_kernel.h"

#include <netinet/in.h>

/* All records of one socket, added up. */
struct tally {
	uint64_t cookie, sent, received, retransmitted;
	unsigned opened, preexisting, closed, failed, records, resets_sent, resets_received;
	struct sockets_record last; /* of those that were not a late reset */
	size_t next;                /* in the same bucket, plus 1 */
};

/* Other connections of the host may come by the ten thousand: found by their cookies. */
struct tallies {
	struct tally *all;
	size_t count, capacity;
	size_t buckets[4096]; /* the newest in each, plus 1 */
};

void tallies_fini(struct tallies *t);

/* Drains the ring. Returns how many records that gave. */
size_t tallies_drain(struct tallies *t, struct sockets_kernel *k);
/* Walks; returns how many records that gave. */
size_t tallies_walk(struct tallies *t, struct sockets_kernel *k, bool everything);

/* The one socket with this local and this remote port (0: any), or NULL. Two of them fail. */
struct tally *tallies_find(struct tallies *t, unsigned local_port, unsigned remote_port);

/* Drains until that socket was closed or has failed, at most 10 s. */
struct tally *tallies_wait_end(struct tallies *t, struct sockets_kernel *k, unsigned local_port,
                               unsigned remote_port);

enum world_family { WORLD_IPV4, WORLD_IPV6, WORLD_MAPPED /* an IPv6 socket, IPv4 on the wire */ };

/* Listens on loopback, any free port. */
int world_listen(enum world_family family, int backlog, unsigned *ret_port);
int world_socket(enum world_family family, int flags);
/* connect() to that port on loopback; returns 0 or a negative errno. */
int world_connect(int fd, enum world_family family, unsigned port);
unsigned world_port(int fd); /* local */

/* A connection, both ends in this process. */
struct pair {
	int client, server;
	unsigned client_port, server_port;
};
struct pair world_pair(enum world_family family, int listener, unsigned port);

/* Writes n bytes to one end and reads them from the other. */
void world_move(int from, int to, size_t n);

/* Where this process's executable is, cut as the kernel side cuts it. */
const char *world_executable(char name[OWNER_NAME_LEN]);

/* Brings lo of this thread's network namespace up. */
void world_loopback_up(void);

#endif
