/* sockets_kernel: the kernel half of the sockets receiver: loads and attaches
 * bpf/progs/sockets.bpf.c, drains its ring and walks the sockets of every network namespace. The
 * other half (series, metrics, log records) knows nothing of BPF.
 */
#ifndef WEIR_RECEIVERS_SOCKETS_KERNEL_H
#define WEIR_RECEIVERS_SOCKETS_KERNEL_H

#include "bpf/events/sockets.h"
#include "bpf/host/program_stats.h"
#include "core/base/buffer.h"
#include "core/base/error.h"
#include "core/base/log.h"

struct sockets_kernel;

/* Loads, attaches, finds the owners of sockets that exist already. Takes tens of milliseconds.
 * Fails with a sentence that says which capability, mount or kernel feature is missing and what to
 * do. Opens no window in which a connection could be missed: sockets are either followed or found.
 */
int sockets_kernel_open(const struct logger *log, size_t ring_bytes, struct sockets_kernel **ret,
                        struct error *error);
void sockets_kernel_close(struct sockets_kernel *k); /* detaches and frees; takes NULL */

/* Readable when the ring has passed its watermark: for core/loop/poll. */
int sockets_kernel_fd(const struct sockets_kernel *k);

/* Hands over at most max records of closed and failed sockets, in order. Returns how many. Loop
 * thread only. */
size_t sockets_kernel_drain(struct sockets_kernel *k, size_t max,
                            void (*on_record)(void *arg, const struct sockets_record *record),
                            void *arg);

/* Appends a struct sockets_record for each open connection with news (each one when everything), of
 * all network namespaces. May block for milliseconds, the first time for longer on a host with many
 * namespaces: run it on a pool thread. Not concurrently with itself; may run while another thread
 * drains. After a failure the records that were appended are good, and nothing else is lost. */
int sockets_kernel_walk(struct sockets_kernel *k, bool everything, struct buffer *ret_records,
                        struct error *error);

struct sockets_kernel_stats {
	uint64_t losses[SOCKETS_LOSS_COUNT];
	uint64_t missed_changes; /* changes of state that the kernel kept from the programs */
	uint64_t ring_bytes, ring_used_bytes;
	uint64_t namespaces;        /* searched at the start for sockets that existed already */
	uint64_t namespaces_failed; /* could not be */
	struct program_stats programs[16];
	size_t n_programs;
};
/* A few system calls; for every reading of weir's own metrics. */
void sockets_kernel_stats(struct sockets_kernel *k, struct sockets_kernel_stats *ret);

#endif
