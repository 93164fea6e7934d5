/* dns_kernel: the kernel half of the dns receiver: loads bpf/progs/dns.bpf.c, attaches it to the root
 * of the cgroup v2 tree, drains its ring and looks for questions that nobody answered. What these
 * mean is the other half's work (dns_exchange). */
#ifndef WEIR_RECEIVERS_DNS_KERNEL_H
#define WEIR_RECEIVERS_DNS_KERNEL_H

#include "bpf/events/dns.h"
#include "bpf/host/program_stats.h"
#include "core/base/error.h"
#include "core/base/log.h"
#include "core/base/slice.h"

struct dns_kernel;

struct dns_kernel_limits {
	size_t ring_bytes;
	uint32_t max_pending;  /* questions over UDP that wait for their answers; those that servers
	                          of this host were asked: three quarters */
	const uint16_t *ports; /* of servers */
	size_t n_ports;
};

/* Where events go; each is valid during its call. */
struct dns_kernel_handler {
	void (*on_answer)(void *arg, const struct dns_answer *answer, struct slice message);
	void (*on_segment)(void *arg, const struct dns_segment *segment, struct slice bytes);
	void (*on_unanswered)(void *arg, const struct dns_pending *pending);
	void *arg;
};

/* Loads and attaches; takes tens of milliseconds. Fails with a sentence that says which capability,
 * mount or kernel feature is missing and what to do. */
int dns_kernel_open(const struct logger *log, const struct dns_kernel_limits *limits,
                    const struct dns_kernel_handler *handler, struct dns_kernel **ret,
                    struct error *error);
void dns_kernel_close(struct dns_kernel *k); /* detaches and frees; takes NULL */

/* Readable when the ring has passed its watermark: for core/loop/poll. */
int dns_kernel_fd(const struct dns_kernel *k);

/* Hands over at most max events, in the order in which the kernel wrote them. Returns how many. */
size_t dns_kernel_drain(struct dns_kernel *k, size_t max);

/* Takes the questions that were first asked before before_ns (bpf_ktime_get_ns()) and are still without
 * an answer, and hands each to on_unanswered: exactly once, and none whose answer was or will be handed
 * over. A call looks at max open questions at most, some 2 us each when they are overdue; it begins a
 * sweep or goes on with the last one, whose before_ns holds. *ret_more: there are others to be looked at.
 * One that the kernel passes over while others go is left to the next sweep. Returns how many were
 * handed over, or a negative errno, with which the sweep ends. */
int dns_kernel_sweep(struct dns_kernel *k, uint64_t before_ns, uint32_t max, bool *ret_more);

struct dns_kernel_stats {
	uint64_t losses[DNS_LOSS_COUNT];
	uint64_t ring_bytes, ring_used_bytes;
	uint64_t max_pending;
	struct program_stats programs[8];
	size_t n_programs;
};
/* A few system calls; for every reading of weir's own metrics. */
void dns_kernel_stats(struct dns_kernel *k, struct dns_kernel_stats *ret);

#endif
