/* program_stats: what a program has cost, and what a per-CPU array of counters holds. */
#ifndef WEIR_BPF_HOST_PROGRAM_STATS_H
#define WEIR_BPF_HOST_PROGRAM_STATS_H

#include <stddef.h>
#include <stdint.h>

struct bpf_object;

struct program_stats {
	char name[32];
	uint64_t runs, run_time_ns; /* 0 unless the kernel's BPF statistics are on */
	uint64_t missed;            /* left out because it was already running on that CPU */
};

/* Of the programs of an object, at most max. Returns how many; one that cannot be asked is left
 * out. */
size_t program_stats_read(const struct bpf_object *object, struct program_stats *ret, size_t max);

/* Turns the kernel's BPF statistics on for as long as the returned descriptor is open. They cost a
 * few tens of nanoseconds for each run of each program. Negative errno without CAP_SYS_ADMIN. */
int program_stats_enable(void);

/* Adds up the n elements of a per-CPU array of 64-bit counters. An element that cannot be read
 * is 0. */
void program_counters_read(int map_fd, uint64_t *ret_counters, size_t n);

#endif
