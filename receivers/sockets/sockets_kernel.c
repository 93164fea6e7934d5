/* The kernel half of the sockets receiver. How the programs work together stands in
 * bpf/progs/sockets.bpf.c; here is the order in which they are put to work:
 *
 * 1. Seed: iter/task_file notes who holds the sockets that exist, then iter/tcp, in every network
 *    namespace, takes them over. What their listeners accept from now on has an owner.
 * 2. Attach the tracepoints: from now on every connection that begins, in any namespace, is
 *    followed.
 * 3. Seed again, for the sockets that were made between 1 and 2. A socket is seen by 2 or by 3, or
 * by both, which is the same.
 *
 * One namespace costs some ten milliseconds, as iter/tcp goes through the whole hash table of the
 * kernel for each. Those for which SEED_BUDGET_NS is too short are seeded by the first walk, which
 * runs on a pool thread.
 */
#include "receivers/sockets/sockets_kernel.h"

#include "bpf/host/capability.h"
#include "bpf/host/iterator.h"
#include "bpf/host/kernel_log.h"
#include "bpf/host/netns.h"
#include "bpf/host/refusal.h"
#include "bpf/host/ring.h"
#include "bpf/sockets.skel.h"
#include "core/base/clock.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RING_MIN = 65536 };
/* A pass in one piece has seen every storage; each further one finds only what those before left
 * out, and what was opened since. */
enum { PASSES_MAX = 8 };
#define SEED_BUDGET_NS (150 * NS_PER_MS)

struct sockets_kernel {
	struct logger log;
	struct sockets_bpf *skeleton;
	struct ring *ring;
	void (*on_record)(void *arg, const struct sockets_record *record);
	void *on_record_arg;
	_Atomic uint64_t namespaces, namespaces_failed;
	uint64_t seed_deadline_ns; /* 0: none */
	bool seed_again;           /* the budget was too short */
	bool warned;
};

static int refused(struct error *error, int r, const char *what, const struct kernel_log *said)
{
	struct refusal refusal = {.what = what, .programs = "sockets"};

	return refusal_explain(&refusal, r, said, error);
}

static int load(struct sockets_kernel *k, size_t ring_bytes, struct error *error)
{
	struct sockets_bpf *s;
	struct kernel_log said;
	uint32_t size = ring_size_for(ring_bytes < RING_MIN ? RING_MIN : ring_bytes);
	int r;

	kernel_log_begin(&said, &k->log);
	s = k->skeleton = sockets_bpf__open();
	if (!s) {
		r = refused(error, -errno, "open", &said);
		goto out;
	}
	s->rodata->ring_watermark = size / 4;
	r = bpf_map__set_max_entries(s->maps.ring, size);
	if (r == 0)
		r = sockets_bpf__load(s);
	if (r < 0)
		r = refused(error, r, "load", &said);
out:
	kernel_log_end(&said);
	return r;
}

static int on_namespace(void *arg, uint64_t inode)
{
	struct sockets_kernel *k = arg;
	int r;

	if (k->seed_deadline_ns && clock_monotonic_ns() > k->seed_deadline_ns) {
		k->seed_again = true;
		return 0;
	}
	r = iterator_run(k->skeleton->links.sockets_seed, NULL);
	if (r < 0)
		log_debug(&k->log, "cannot read the sockets of network namespace %" PRIu64 ": %s",
		          inode, strerror(-r));
	return r;
}

/* Once: it is a matter of rights, which do not change. */
static void namespaces_warn(struct sockets_kernel *k, const struct netns_counts *counts)
{
	struct capability_sets sets = {0};
	bool admin, ptrace;

	if (k->warned)
		return;
	capability_read(&sets);
	admin = capability_has(sets.effective, CAP_SYS_ADMIN);
	ptrace = capability_has(sets.effective, CAP_SYS_PTRACE);
	if (counts->first_error != -EPERM && (ptrace || !counts->hidden))
		return;
	k->warned = true;
	log_warn(&k->log,
	         "%" PRIu64 " network namespaces may not be entered and %" PRIu64
	         " processes may not be looked at: connections that are open there already are not "
	         "followed, new ones are; give the service %s",
	         counts->failed, counts->hidden,
	         ptrace  ? "CAP_SYS_ADMIN"
	         : admin ? "CAP_SYS_PTRACE"
	                 : "CAP_SYS_ADMIN and CAP_SYS_PTRACE");
}

/* Asks for the key after one before deleting that one: after a key that is gone the kernel starts
 * over, through all the buckets that are empty already. */
static void holders_forget(int map_fd)
{
	uint64_t key, next;
	bool more = bpf_map_get_next_key(map_fd, NULL, &key) == 0;

	while (more) {
		more = bpf_map_get_next_key(map_fd, &key, &next) == 0;
		bpf_map_delete_elem(map_fd, &key);
		key = next;
	}
}

/* budget_ns 0: as long as it takes. */
static int seed(struct sockets_kernel *k, uint64_t budget_ns, struct error *error)
{
	struct sockets_bpf *s = k->skeleton;
	struct netns_counts counts = {0};
	int r;

	k->seed_again = false;
	k->seed_deadline_ns = budget_ns ? clock_monotonic_ns() + budget_ns : 0;
	r = iterator_run(s->links.sockets_holders, NULL);
	if (r < 0)
		log_warn(&k->log, "cannot list who holds the existing sockets: %s", strerror(-r));
	r = netns_each(on_namespace, k, &counts);
	holders_forget(bpf_map__fd(s->maps.holders));
	atomic_store(&k->namespaces, counts.seen);
	atomic_store(&k->namespaces_failed, counts.failed);
	namespaces_warn(k, &counts);
	if (r < 0)
		return error_set_retryable(error, r, "cannot list the network namespaces: %s",
		                           strerror(-r));
	if (counts.failed == counts.seen)
		return error_set_retryable(error, counts.first_error,
		                           "cannot read the sockets of any network namespace: %s",
		                           strerror(-counts.first_error));
	return 0;
}

static int attach_iterators(struct sockets_bpf *s)
{
	union bpf_iter_link_info info = {.map.map_fd = (uint32_t)bpf_map__fd(s->maps.followed)};
	LIBBPF_OPTS(bpf_iter_attach_opts, of_map, .link_info = &info, .link_info_len = sizeof info);

	s->links.sockets_holders = bpf_program__attach_iter(s->progs.sockets_holders, NULL);
	if (!s->links.sockets_holders)
		return -errno;
	s->links.sockets_seed = bpf_program__attach_iter(s->progs.sockets_seed, NULL);
	if (!s->links.sockets_seed)
		return -errno;
	s->links.sockets_walk = bpf_program__attach_iter(s->progs.sockets_walk, &of_map);
	return s->links.sockets_walk ? 0 : -errno;
}

/* In the order that the head of this file gives. */
static int attach(struct sockets_kernel *k, struct error *error)
{
	struct kernel_log said;
	int r;

	kernel_log_begin(&said, &k->log);
	r = attach_iterators(k->skeleton);
	if (r < 0) {
		refused(error, r, "attach", &said);
		goto out;
	}
	r = seed(k, SEED_BUDGET_NS, error);
	if (r < 0)
		goto out;
	r = sockets_bpf__attach(k->skeleton); /* what is not attached yet: the tracepoints */
	if (r < 0) {
		refused(error, r, "attach", &said);
		goto out;
	}
	r = seed(k, SEED_BUDGET_NS, error);
out:
	kernel_log_end(&said);
	return r;
}

static void on_ring_record(void *arg, const void *data, size_t size)
{
	struct sockets_kernel *k = arg;

	if (size >= sizeof(struct sockets_record))
		k->on_record(k->on_record_arg, data);
}

int sockets_kernel_open(const struct logger *log, size_t ring_bytes, struct sockets_kernel **ret,
                        struct error *error)
{
	struct sockets_kernel *k = calloc(1, sizeof *k);
	int r;

	if (!k)
		return error_no_memory(error);
	if (log)
		k->log = *log;
	r = load(k, ring_bytes, error);
	if (r < 0)
		goto fail;
	r = ring_new(bpf_map__fd(k->skeleton->maps.ring), on_ring_record, k, &k->ring);
	if (r < 0) {
		error_set(error, r, "cannot read the ring of the sockets programs: %s",
		          strerror(-r));
		goto fail;
	}
	r = attach(k, error);
	if (r < 0)
		goto fail;
	*ret = k;
	return 0;

fail:
	sockets_kernel_close(k);
	return r;
}

void sockets_kernel_close(struct sockets_kernel *k)
{
	if (!k)
		return;
	ring_free(k->ring);
	sockets_bpf__destroy(k->skeleton);
	free(k);
}

int sockets_kernel_fd(const struct sockets_kernel *k)
{
	return ring_fd(k->ring);
}

size_t sockets_kernel_drain(struct sockets_kernel *k, size_t max,
                            void (*on_record)(void *arg, const struct sockets_record *record),
                            void *arg)
{
	k->on_record = on_record;
	k->on_record_arg = arg;
	return ring_drain(k->ring, max);
}

int sockets_kernel_walk(struct sockets_kernel *k, bool everything, struct buffer *ret_records,
                        struct error *error)
{
	int r;

	if (k->seed_again && (r = seed(k, 0, error)) < 0)
		return r;
	k->skeleton->bss->walk_everything = everything;
	if (!++k->skeleton->bss->walk_number)
		k->skeleton->bss->walk_number = 1; /* 0 is what a new storage says */
	for (int pass = 0; pass < PASSES_MAX; pass++) {
		r = iterator_run(k->skeleton->links.sockets_walk, ret_records);
		if (r <= 1)
			break;
	}
	if (r == -ENOMEM)
		return error_no_memory(error);
	if (r < 0)
		return error_set_retryable(error, r, "cannot walk the sockets: %s", strerror(-r));
	return 0;
}

void sockets_kernel_stats(struct sockets_kernel *k, struct sockets_kernel_stats *ret)
{
	memset(ret, 0, sizeof *ret);
	program_counters_read(bpf_map__fd(k->skeleton->maps.losses), ret->losses,
	                      SOCKETS_LOSS_COUNT);
	ret->ring_bytes = ring_capacity_bytes(k->ring);
	ret->ring_used_bytes = ring_used_bytes(k->ring);
	ret->namespaces = atomic_load(&k->namespaces);
	ret->namespaces_failed = atomic_load(&k->namespaces_failed);
	ret->n_programs = program_stats_read(k->skeleton->obj, ret->programs,
	                                     sizeof ret->programs / sizeof *ret->programs);
	for (size_t i = 0; i < ret->n_programs; i++)
		if (strcmp(ret->programs[i].name, "sockets_changed") == 0)
			ret->missed_changes = ret->programs[i].missed;
}
