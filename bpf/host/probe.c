#include "bpf/host/probe.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static struct probe_result result(int r, const char *step)
{
	return (struct probe_result){.error = r < 0 ? r : 0, .step = step};
}

/* Loads `return value`. Negative errno, or the program's descriptor. */
static int load(enum bpf_prog_type type, enum bpf_attach_type attach, int btf_id, int value)
{
	const struct bpf_insn program[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = value},
		{.code = BPF_JMP | BPF_EXIT},
	};
	LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = attach,
	            .attach_btf_id = (uint32_t)btf_id);
	int fd = bpf_prog_load(type, "weir_probe", "GPL", program, sizeof program / sizeof *program,
	                       &options);

	return fd < 0 ? -errno : fd;
}

static struct probe_result load_only(enum bpf_prog_type type, enum bpf_attach_type attach,
                                     int value)
{
	int fd = load(type, attach, 0, value);

	if (fd >= 0)
		close(fd);
	return result(fd, "load");
}

/* tp_btf, fentry and LSM programs are all attached in this way. */
static struct probe_result attach_by_btf(enum bpf_prog_type type, enum bpf_attach_type attach,
                                         const char *name)
{
	int id = libbpf_find_vmlinux_btf_id(name, attach), fd, link;

	if (id < 0)
		return result(id, "find in BTF");
	fd = load(type, attach, id, 0);
	if (fd < 0)
		return result(fd, "load");
	link = bpf_raw_tracepoint_open(NULL, fd);
	if (link < 0)
		link = -errno;
	else
		close(link);
	close(fd);
	return result(link, "attach");
}

struct probe_result probe_tp_btf(const char *tracepoint)
{
	return attach_by_btf(BPF_PROG_TYPE_TRACING, BPF_TRACE_RAW_TP, tracepoint);
}

struct probe_result probe_fentry(const char *function)
{
	return attach_by_btf(BPF_PROG_TYPE_TRACING, BPF_TRACE_FENTRY, function);
}

struct probe_result probe_lsm(const char *hook)
{
	return attach_by_btf(BPF_PROG_TYPE_LSM, BPF_LSM_MAC, hook);
}

/* map_fd: what the iterator goes through, or -1. */
static struct probe_result iterate(const char *target, int map_fd)
{
	int id = libbpf_find_vmlinux_btf_id(target, BPF_TRACE_ITER), fd, link, seq;
	union bpf_iter_link_info info = {.map.map_fd = (uint32_t)map_fd};
	LIBBPF_OPTS(bpf_link_create_opts, options);
	const char *step = "attach";
	char buffer[64];

	if (id < 0)
		return result(id, "find in BTF");
	fd = load(BPF_PROG_TYPE_TRACING, BPF_TRACE_ITER, id, 0);
	if (fd < 0)
		return result(fd, "load");
	if (map_fd >= 0) {
		options.iter_info = &info;
		options.iter_info_len = sizeof info;
	}
	link = bpf_link_create(fd, 0, BPF_TRACE_ITER, &options);
	seq = link < 0 ? -errno : 0;
	if (link >= 0) {
		step = "read";
		seq = bpf_iter_create(link);
		if (seq < 0) {
			seq = -errno;
		} else {
			ssize_t n = read(seq, buffer, sizeof buffer);

			close(seq);
			seq = n < 0 ? -errno : 0;
		}
		close(link);
	}
	close(fd);
	return result(seq, step);
}

struct probe_result probe_iterator(const char *target)
{
	return iterate(target, -1);
}

struct probe_result probe_tracepoint(void)
{
	return load_only(BPF_PROG_TYPE_TRACEPOINT, 0, 0);
}

static int perf_open(struct perf_event_attr *attr, int pid, int cpu)
{
	attr->size = sizeof *attr;
	return (int)syscall(SYS_perf_event_open, attr, pid, cpu, -1, PERF_FLAG_FD_CLOEXEC);
}

static struct probe_result attach_to_event(enum bpf_prog_type type, struct perf_event_attr *attr,
                                           int pid, int cpu)
{
	int fd = load(type, 0, 0, 0), event, r = 0;

	if (fd < 0)
		return result(fd, "load");
	event = perf_open(attr, pid, cpu);
	if (event < 0 || ioctl(event, PERF_EVENT_IOC_SET_BPF, fd) < 0)
		r = -errno;
	if (event >= 0)
		close(event);
	close(fd);
	return result(r, "attach");
}

/* Kinds of perf event have the numbers that sysfs says. */
static int event_kind(const char *name)
{
	char path[96];
	int kind, n;
	FILE *f;

	snprintf(path, sizeof path, "/sys/bus/event_source/devices/%s/type", name);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	n = fscanf(f, "%d", &kind);
	fclose(f);
	return n == 1 ? kind : -ENODATA;
}

struct probe_result probe_kprobe(const char *function)
{
	int kind = event_kind("kprobe");
	struct perf_event_attr attr = {.type = (uint32_t)kind};

	if (kind < 0)
		return result(kind, "find the kprobe event source");
	attr.config1 = (uint64_t)(uintptr_t)function;
	return attach_to_event(BPF_PROG_TYPE_KPROBE, &attr, -1, 0);
}

/* Never called: only its place in the file is needed. */
__attribute__((noinline, used)) static void uprobe_target(void)
{
	__asm__ volatile("");
}

/* Where in its file the code at address is; negative errno when that cannot be told. */
static int64_t file_offset(uintptr_t address, char path[static 4096])
{
	FILE *f = fopen("/proc/self/maps", "re");
	int64_t offset = -ENOENT;
	char line[4352];

	if (!f)
		return -errno;
	while (offset < 0 && fgets(line, sizeof line, f)) {
		uint64_t start, end, at;

		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " r-xp %" SCNx64 " %*s %*s %4095[^\n]",
		           &start, &end, &at, path) == 4 &&
		    address >= start && address < end)
			offset = (int64_t)(address - start + at);
	}
	fclose(f);
	return offset;
}

struct probe_result probe_uprobe(void)
{
	int kind = event_kind("uprobe");
	struct perf_event_attr attr = {.type = (uint32_t)kind};
	char path[4096];
	int64_t offset;

	if (kind < 0)
		return result(kind, "find the uprobe event source");
	offset = file_offset((uintptr_t)uprobe_target, path);
	if (offset < 0)
		return result((int)offset, "find a function to probe");
	attr.config1 = (uint64_t)(uintptr_t)path;
	attr.config2 = (uint64_t)offset;
	return attach_to_event(BPF_PROG_TYPE_KPROBE, &attr, getpid(), -1);
}

struct probe_result probe_perf_event(void)
{
	struct perf_event_attr attr = {.type = PERF_TYPE_SOFTWARE,
	                               .config = PERF_COUNT_SW_CPU_CLOCK,
	                               .sample_period = 1000000000};

	return attach_to_event(BPF_PROG_TYPE_PERF_EVENT, &attr, -1, 0);
}

struct probe_result probe_socket_filter(void)
{
	int fd = load(BPF_PROG_TYPE_SOCKET_FILTER, 0, 0, 0), r = 0, s;

	if (fd < 0)
		return result(fd, "load");
	s = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (s < 0 || setsockopt(s, SOL_SOCKET, SO_ATTACH_BPF, &fd, sizeof fd) < 0)
		r = -errno;
	if (s >= 0)
		close(s);
	close(fd);
	return result(r, "attach");
}

struct probe_result probe_cgroup_skb(void)
{
	return load_only(BPF_PROG_TYPE_CGROUP_SKB, BPF_CGROUP_INET_EGRESS, 1);
}

struct probe_result probe_cgroup_bind(void)
{
	return load_only(BPF_PROG_TYPE_CGROUP_SOCK, BPF_CGROUP_INET4_POST_BIND, 1);
}

struct probe_result probe_cgroup_sendmsg(void)
{
	return load_only(BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_UDP4_SENDMSG, 1);
}

struct probe_result probe_sock_ops(void)
{
	return load_only(BPF_PROG_TYPE_SOCK_OPS, BPF_CGROUP_SOCK_OPS, 1);
}

struct probe_result probe_tc(void)
{
	return load_only(BPF_PROG_TYPE_SCHED_CLS, 0, 0);
}

struct probe_result probe_ring_buffer(void)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	int fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "weir_probe", 0, 0, (uint32_t)page, NULL);
	void *shared;

	if (fd < 0)
		return result(-errno, "create");
	shared = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (shared == MAP_FAILED)
		return result(-errno, "map into memory");
	munmap(shared, page);
	return result(0, "map into memory");
}

/* Its key and value have to be described in BTF. Negative errno, or the map's descriptor. */
static int storage_new(const char **ret_step)
{
	struct btf *btf = btf__new_empty();
	LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_NO_PREALLOC | BPF_F_CLONE);
	int type, fd;

	*ret_step = "describe";
	if (!btf)
		return -errno;
	type = btf__add_int(btf, "int", 4, BTF_INT_SIGNED);
	fd = type < 0 ? type : btf__load_into_kernel(btf);
	if (fd >= 0) {
		*ret_step = "create";
		options.btf_fd = (uint32_t)btf__fd(btf);
		options.btf_key_type_id = options.btf_value_type_id = (uint32_t)type;
		fd = bpf_map_create(BPF_MAP_TYPE_SK_STORAGE, "weir_probe", 4, 4, 0, &options);
		if (fd < 0)
			fd = -errno;
	}
	btf__free(btf);
	return fd;
}

struct probe_result probe_socket_storage(void)
{
	const char *step;
	int fd = storage_new(&step);

	if (fd >= 0)
		close(fd);
	return result(fd, step);
}

struct probe_result probe_storage_iterator(void)
{
	struct probe_result r;
	const char *step;
	int fd = storage_new(&step);

	if (fd < 0)
		return result(fd, "create a storage");
	r = iterate("bpf_sk_storage_map", fd);
	close(fd);
	return r;
}
