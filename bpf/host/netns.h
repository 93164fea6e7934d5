/* netns: the network namespaces in which processes live.
 *
 * A socket iterator sees the namespace of the thread that makes it. Namespaces are entered on a
 * thread of its own that ends after the walk, so that no thread of the pool can be left in a
 * namespace that is not its own. Nothing is kept between walks: an open descriptor would keep a
 * dead container's namespace, and its interfaces, alive. */
#ifndef WEIR_BPF_HOST_NETNS_H
#define WEIR_BPF_HOST_NETNS_H

#include <stddef.h>
#include <stdint.h>

struct netns_counts {
	uint64_t seen;   /* namespaces with a process, the caller's own included */
	uint64_t failed; /* of these, could not be entered, or visit failed there */
	uint64_t hidden; /* processes whose namespace may not be asked for: CAP_SYS_PTRACE is
	                    missing */
	int first_error; /* negative errno of the first that failed; 0 when none did */
};

/* Calls visit once in each namespace: in the caller's own on the calling thread, then in the others
 * on another one, never two at a time, and returns when all are done. visit returns 0 or a negative
 * errno. A namespace whose last process has gone meanwhile is passed over. Returns 0, or a
 * negative errno when the processes cannot be listed or there is no memory; the own namespace has
 * been visited even then. */
int netns_each(int (*visit)(void *arg, uint64_t inode), void *arg, struct netns_counts *ret);

#endif
