/* The programs are described in bpf/progs/dns.bpf.c. All links are made before the first packet counts:
 * what was asked before is answered without a question and counted.
 *
 * The programs and dns_kernel_sweep() take questions out of the same map. The kernel deletes an element
 * for one of them only, and that one reports it. */
#include "receivers/dns/dns_kernel.h"

#include "bpf/dns.skel.h"
#include "bpf/host/iterator.h"
#include "bpf/host/kernel_log.h"
#include "bpf/host/mounts.h"
#include "bpf/host/refusal.h"
#include "bpf/host/ring.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RING_MIN = 65536, PASSES_MAX = 8 };

struct dns_kernel {
	struct logger log;
	struct dns_bpf *skeleton;
	struct ring *ring;
	struct dns_kernel_handler handler;
	uint8_t piece[ITERATOR_PIECE_MAX], keys[ITERATOR_PIECE_MAX]; /* of the sweep that goes on */
	size_t key_size;
	_Atomic uint64_t unowned; /* unanswered questions without an owner */
};

static int refused(struct error *error, int r, const char *what, const struct kernel_log *said)
{
	struct refusal refusal = {.what = what, .programs = "dns", .needs_net_admin = true};

	return refusal_explain(&refusal, r, said, error);
}

static int load(struct dns_kernel *k, const struct dns_kernel_limits *limits, struct error *error)
{
	uint32_t size =
		ring_size_for(limits->ring_bytes < RING_MIN ? RING_MIN : limits->ring_bytes);
	struct kernel_log said;
	struct dns_bpf *s;
	int r;

	kernel_log_begin(&said, &k->log);
	s = k->skeleton = dns_bpf__open();
	if (!s) {
		r = refused(error, -errno, "open", &said);
		goto out;
	}
	s->rodata->ring_watermark = size / 4;
	for (size_t i = 0; i < limits->n_ports; i++)
		s->rodata->watched[limits->ports[i] / 64] |= UINT64_C(1) << limits->ports[i] % 64;
	r = bpf_map__set_max_entries(s->maps.ring, size);
	if (r == 0)
		r = bpf_map__set_max_entries(s->maps.questions, limits->max_pending);
	if (r == 0)
		r = dns_bpf__load(s);
	if (r < 0)
		r = refused(error, r, "load", &said);
	else
		k->key_size = bpf_map__key_size(s->maps.questions);
out:
	kernel_log_end(&said);
	return r;
}

/* Returns a descriptor of the directory, or a negative errno. */
static int cgroup_open(struct dns_kernel *k, struct error *error)
{
	char path[PATH_MAX];
	int r = mounts_find("cgroup2", path, sizeof path), fd;

	if (r == -ENOENT)
		return error_set(error, r,
		                 "the dns programs are attached to the root of the cgroup v2 tree, "
		                 "which is not mounted: `mkdir -p /run/weir/cgroup && mount -t "
		                 "cgroup2 none /run/weir/cgroup`, or boot with "
		                 "systemd.unified_cgroup_hierarchy=1");
	if (r < 0)
		return error_set(error, r, "cannot find the cgroup v2 tree in mountinfo: %s",
		                 strerror(-r));
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return error_set(error, -errno, "cannot open the cgroup v2 tree at %s: %s", path,
		                 strerror(errno));
	if (!mounts_is_cgroup_root(path))
		log_warn(&k->log,
		         "%s is not the root of the host's cgroup v2 tree: only processes below it "
		         "are seen; mount the host's /sys/fs/cgroup there, or run the container in "
		         "the host's cgroup namespace",
		         path);
	return fd;
}

/* A link leaves the programs of others in their places, and goes with its descriptor. */
static int attach_to_cgroup(struct dns_bpf *s, int cgroup)
{
	const struct {
		const struct bpf_program *program;
		struct bpf_link **link;
	} hooks[] = {
		{s->progs.dns_bound4, &s->links.dns_bound4},
		{s->progs.dns_bound6, &s->links.dns_bound6},
		{s->progs.dns_asked4, &s->links.dns_asked4},
		{s->progs.dns_asked6, &s->links.dns_asked6},
		{s->progs.dns_received, &s->links.dns_received},
		{s->progs.dns_sent, &s->links.dns_sent},
	};

	for (size_t i = 0; i < sizeof hooks / sizeof *hooks; i++) {
		*hooks[i].link = bpf_program__attach_cgroup(hooks[i].program, cgroup);
		if (!*hooks[i].link)
			return -errno;
	}
	return 0;
}

static int attach(struct dns_kernel *k, struct error *error)
{
	struct dns_bpf *s = k->skeleton;
	union bpf_iter_link_info info = {.map.map_fd = (uint32_t)bpf_map__fd(s->maps.questions)};
	LIBBPF_OPTS(bpf_iter_attach_opts, of_map, .link_info = &info, .link_info_len = sizeof info);
	struct kernel_log said;
	int r, cgroup = cgroup_open(k, error);

	if (cgroup < 0)
		return cgroup;
	kernel_log_begin(&said, &k->log);
	s->links.dns_overdue = bpf_program__attach_iter(s->progs.dns_overdue, &of_map);
	r = s->links.dns_overdue ? attach_to_cgroup(s, cgroup) : -errno;
	if (r < 0)
		refused(error, r, "attach", &said);
	kernel_log_end(&said);
	close(cgroup);
	return r;
}

static void on_event(void *arg, const void *data, size_t size)
{
	const struct dns_kernel *k = arg;
	const struct dns_answer *answer = data;
	const struct dns_segment *segment = data;

	if (size >= sizeof *answer && answer->kind == DNS_EVENT_ANSWER &&
	    answer->copied + answer->question_length <= size - sizeof *answer)
		k->handler.on_answer(k->handler.arg, answer,
		                     slice_of(answer->message,
		                              answer->copied + answer->question_length));
	else if (size >= sizeof *segment && segment->kind == DNS_EVENT_SEGMENT &&
	         segment->copied <= size - sizeof *segment)
		k->handler.on_segment(k->handler.arg, segment,
		                      slice_of(segment->bytes, segment->copied));
}

int dns_kernel_open(const struct logger *log, const struct dns_kernel_limits *limits,
                    const struct dns_kernel_handler *handler, struct dns_kernel **ret,
                    struct error *error)
{
	struct dns_kernel *k = calloc(1, sizeof *k);
	int r;

	if (!k)
		return error_no_memory(error);
	if (log)
		k->log = *log;
	k->handler = *handler;
	r = load(k, limits, error);
	if (r < 0)
		goto fail;
	r = ring_new(bpf_map__fd(k->skeleton->maps.ring), on_event, k, &k->ring);
	if (r < 0) {
		error_set(error, r, "cannot read the ring of the dns programs: %s", strerror(-r));
		goto fail;
	}
	r = attach(k, error);
	if (r < 0)
		goto fail;
	*ret = k;
	return 0;

fail:
	dns_kernel_close(k);
	return r;
}

void dns_kernel_close(struct dns_kernel *k)
{
	if (!k)
		return;
	ring_free(k->ring);
	dns_bpf__destroy(k->skeleton);
	free(k);
}

int dns_kernel_fd(const struct dns_kernel *k)
{
	return ring_fd(k->ring);
}

size_t dns_kernel_drain(struct dns_kernel *k, size_t max)
{
	return ring_drain(k->ring, max);
}

static void unanswered(struct dns_kernel *k, const uint8_t *question)
{
	struct dns_pending pending;

	memcpy(&pending, question, sizeof pending);
	if (!pending.owner.pid)
		atomic_fetch_add(&k->unowned, 1);
	k->handler.on_unanswered(k->handler.arg, &pending);
}

/* Takes away the n questions of a piece, and reports those that nobody else has taken meanwhile. The
 * kernel goes through many keys at once and stops at one that is gone. */
static int piece_take(struct dns_kernel *k, size_t n)
{
	int questions = bpf_map__fd(k->skeleton->maps.questions), taken = 0;
	size_t size = k->key_size + sizeof(struct dns_pending);

	for (size_t i = 0; i < n; i++)
		memcpy(k->keys + i * k->key_size, k->piece + i * size, k->key_size);
	for (size_t i = 0; i < n; i++) {
		uint32_t count = (uint32_t)(n - i);

		if (bpf_map_delete_batch(questions, k->keys + i * k->key_size, &count, NULL) < 0 &&
		    errno != ENOENT)
			return -errno;
		for (; count > 0; count--, i++, taken++)
			unanswered(k, k->piece + i * size + k->key_size);
	}
	return taken;
}

int dns_kernel_sweep(struct dns_kernel *k, uint64_t before_ns)
{
	size_t size = k->key_size + sizeof(struct dns_pending);
	int taken = 0, fd, r = 0;

	k->skeleton->bss->overdue_before_ns = before_ns;
	/* The kernel finds its place again by counting, and may pass over some when others have gone:
	 * until there is nothing left that would not come in one piece. */
	for (int pass = 0; pass < PASSES_MAX; pass++) {
		int pieces = 0;
		ssize_t n;

		fd = iterator_begin(k->skeleton->links.dns_overdue);
		if (fd < 0)
			return taken ? taken : fd;
		while ((n = iterator_read(fd, k->piece, sizeof k->piece)) > 0 &&
		       (r = piece_take(k, (size_t)n / size)) >= 0) {
			taken += r;
			pieces++;
		}
		close(fd);
		if (n < 0 || r < 0)
			return taken ? taken : n < 0 ? (int)n : r;
		if (pieces <= 1)
			break;
	}
	return taken;
}

void dns_kernel_stats(struct dns_kernel *k, struct dns_kernel_stats *ret)
{
	memset(ret, 0, sizeof *ret);
	program_counters_read(bpf_map__fd(k->skeleton->maps.losses), ret->losses, DNS_LOSS_COUNT);
	ret->losses[DNS_LOSS_NO_OWNER] += atomic_load(&k->unowned);
	ret->ring_bytes = ring_capacity_bytes(k->ring);
	ret->ring_used_bytes = ring_used_bytes(k->ring);
	ret->max_pending = bpf_map__max_entries(k->skeleton->maps.questions);
	ret->n_programs = program_stats_read(k->skeleton->obj, ret->programs,
	                                     sizeof ret->programs / sizeof *ret->programs);
}
