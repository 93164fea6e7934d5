/* The programs are described in bpf/progs/dns.bpf.c. All links are made before the first packet counts:
 * what was asked before is answered without a question and counted.
 *
 * Those that match answers and the one that a sweep runs take questions out of the same map. The kernel
 * deletes an element for one of them only, and that one reports it. */
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
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RING_MIN = 65536 };

struct dns_kernel {
	struct logger log;
	struct dns_bpf *skeleton;
	struct ring *ring;
	struct dns_kernel_handler handler;
	int sweep_fd; /* of the sweep that goes on; -1: none does */
	uint8_t piece[ITERATOR_PIECE_MAX];
	uint64_t unowned; /* unanswered questions without an owner */
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
	s->rodata->served_max = limits->max_pending - limits->max_pending / 4;
	for (size_t i = 0; i < limits->n_ports; i++)
		s->rodata->watched[limits->ports[i] / 64] |= UINT64_C(1) << limits->ports[i] % 64;
	r = bpf_map__set_max_entries(s->maps.ring, size);
	if (r == 0)
		r = bpf_map__set_max_entries(s->maps.questions, limits->max_pending);
	if (r == 0)
		r = dns_bpf__load(s);
	if (r < 0)
		r = refused(error, r, "load", &said);
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
	k->sweep_fd = -1;
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

static void sweep_end(struct dns_kernel *k)
{
	close(k->sweep_fd);
	k->sweep_fd = -1;
}

void dns_kernel_close(struct dns_kernel *k)
{
	if (!k)
		return;
	if (k->sweep_fd >= 0)
		sweep_end(k);
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
		k->unowned++;
	k->handler.on_unanswered(k->handler.arg, &pending);
}

int dns_kernel_sweep(struct dns_kernel *k, uint64_t before_ns, uint32_t max, bool *ret_more)
{
	struct dns_bpf__bss *set = k->skeleton->bss;
	ssize_t n = 0;
	int taken = 0;

	if (k->sweep_fd < 0) {
		k->sweep_fd = iterator_begin(k->skeleton->links.dns_overdue);
		if (k->sweep_fd < 0)
			return k->sweep_fd;
		set->overdue_before_ns = before_ns;
	}
	set->overdue_looks = max;
	do {
		n = iterator_read_some(k->sweep_fd, k->piece, sizeof k->piece);
		for (ssize_t at = 0; at < n; at += (ssize_t)sizeof(struct dns_pending), taken++)
			unanswered(k, k->piece + at);
		/* Again: the program has looked at as many as it may, or one was answered meanwhile. */
	} while ((n > 0 || n == -EAGAIN) && set->overdue_looks > 0);
	*ret_more = n > 0 || n == -EAGAIN;
	if (!*ret_more)
		sweep_end(k);
	return n < 0 && n != -EAGAIN ? (int)n : taken;
}

void dns_kernel_stats(struct dns_kernel *k, struct dns_kernel_stats *ret)
{
	memset(ret, 0, sizeof *ret);
	program_counters_read(bpf_map__fd(k->skeleton->maps.losses), ret->losses, DNS_LOSS_COUNT);
	ret->losses[DNS_LOSS_NO_OWNER] += k->unowned;
	ret->ring_bytes = ring_capacity_bytes(k->ring);
	ret->ring_used_bytes = ring_used_bytes(k->ring);
	ret->max_pending = bpf_map__max_entries(k->skeleton->maps.questions);
	ret->n_programs = program_stats_read(k->skeleton->obj, ret->programs,
	                                     sizeof ret->programs / sizeof *ret->programs);
}
