#include "bpf/host/doctor.h"

#include "bpf/host/capability.h"
#include "bpf/host/kernel_log.h"
#include "bpf/host/mounts.h"
#include "bpf/host/netns.h"
#include "bpf/host/probe.h"

#include <bpf/btf.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>

struct doctor {
	void (*line)(void *arg, const struct doctor_line *);
	void *arg;
	uint64_t capabilities; /* effective */
};

const char *doctor_status_name(enum doctor_status status)
{
	static const char *const names[] = {
		[DOCTOR_OK] = "ok",
		[DOCTOR_WARN] = "warn",
		[DOCTOR_FAIL] = "fail",
		[DOCTOR_UNKNOWN] = "unknown",
	};

	return names[status];
}

static void say(const struct doctor *d, enum doctor_status status, const char *group,
                const char *check, const char *seen, const char *disables, const char *fix)
{
	struct doctor_line line = {status, group, check, seen, disables, fix};

	if (status == DOCTOR_OK)
		line.disables = line.fix = "";
	d->line(d->arg, &line);
}

/* First line of a file, without its newline. Returns 0 or a negative errno. */
static int file_line(const char *path, char *text, size_t size)
{
	FILE *f = fopen(path, "re");
	int r = 0;

	if (!f)
		return -errno;
	if (!fgets(text, (int)size, f))
		r = -ENODATA;
	else
		text[strcspn(text, "\n")] = '\0';
	fclose(f);
	return r;
}

static const char lost_sockets[] = "the sockets receiver does not start";
static const char lost_dns[] = "the dns receiver does not start";
static const char lost_both[] = "the sockets and dns receivers do not start";
static const char lost_nothing[] = "nothing: no receiver of weir needs it";

static void check_kernel(const struct doctor *d)
{
	static const char *const types[] = {"tcp_sock", "bpf_iter__tcp", "bpf_iter__task_file",
	                                    "btf_trace_inet_sock_set_state"};
	char seen[256], missing[160] = "";
	struct utsname name;
	struct btf *btf;

	uname(&name);
	snprintf(seen, sizeof seen, "%.64s %.64s %.64s", name.sysname, name.release, name.machine);
	say(d, DOCTOR_OK, "kernel", "version", seen, "", "");
	btf = btf__load_vmlinux_btf();
	if (!btf) {
		snprintf(seen, sizeof seen, "cannot be read: %s", strerror(errno));
		say(d, DOCTOR_FAIL, "kernel", "BTF", seen, lost_both,
		    "mount sysfs at /sys, or use a kernel built with CONFIG_DEBUG_INFO_BTF "
		    "(Debian's are)");
		return;
	}
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (btf__find_by_name(btf, types[i]) < 0)
			snprintf(missing + strlen(missing), sizeof missing - strlen(missing), " %s",
			         types[i]);
	snprintf(seen, sizeof seen, "%u types%s%s", btf__type_cnt(btf) - 1,
	         *missing ? "; missing:" : "", missing);
	btf__free(btf);
	say(d, *missing ? DOCTOR_FAIL : DOCTOR_OK, "kernel", "BTF", seen, lost_both,
	    "use Linux 5.12 or newer");
}

struct capability_need {
	unsigned number;
	enum doctor_status without;
	const char *disables;
};

static const struct capability_need capability_needs[] = {
	{CAP_BPF, DOCTOR_FAIL, lost_both},
	{CAP_PERFMON, DOCTOR_FAIL, lost_both},
	{CAP_SYS_PTRACE, DOCTOR_WARN,
         "paths of executables and the network namespaces of other users' processes are not seen"},
	{CAP_SYS_ADMIN, DOCTOR_WARN,
         "connections that were open before the start in other network namespaces are not "
         "followed"},
	{CAP_NET_ADMIN, DOCTOR_FAIL, lost_dns},
};

static void check_capabilities(struct doctor *d)
{
	struct capability_sets sets;
	char seen[96], fix[96];
	int r = capability_read(&sets);

	if (r < 0) {
		say(d, DOCTOR_UNKNOWN, "capability", "all", strerror(-r), "",
		    "mount proc at /proc");
		return;
	}
	d->capabilities = sets.effective;
	if (capability_is_in_user_namespace())
		say(d, DOCTOR_FAIL, "capability", "user namespace",
		    "one of its own: the capabilities below do not count for eBPF", lost_both,
		    "run weir outside of it (no rootless container)");
	for (size_t i = 0; i < sizeof capability_needs / sizeof *capability_needs; i++) {
		const struct capability_need *need = &capability_needs[i];
		bool has = capability_has(sets.effective, need->number), by_admin = false;

		if (!has && (need->number == CAP_BPF || need->number == CAP_PERFMON))
			has = by_admin = capability_has(sets.effective, CAP_SYS_ADMIN);
		snprintf(seen, sizeof seen, "%s",
		         by_admin                                       ? "implied by CAP_SYS_ADMIN"
		         : has                                          ? "effective"
		         : capability_has(sets.permitted, need->number) ? "permitted, not effective"
		         : capability_has(sets.bounding, need->number)
		                 ? "missing"
		                 : "missing, and taken out of the bounding set");
		snprintf(fix, sizeof fix,
		         "run as root, or give the service `AmbientCapabilities=%s`",
		         capability_name(need->number));
		say(d, has ? DOCTOR_OK : need->without, "capability", capability_name(need->number),
		    seen, need->disables, fix);
	}
}

struct kind {
	const char *group, *check;
	struct probe_result (*plain)(void);
	struct probe_result (*named)(const char *name);
	const char *name;
	enum doctor_status without;
	const char *disables;
};

/* Failing are those that a receiver stands on; the others are hints to who plans more. */
static const struct kind kinds[] = {
	{"program", "tp_btf", .named = probe_tp_btf, .name = "inet_sock_set_state",
         .without = DOCTOR_FAIL, .disables = lost_sockets},
	{"program", "iter/tcp", .named = probe_iterator, .name = "tcp", .without = DOCTOR_FAIL,
         .disables = lost_sockets},
	{"program", "iter/task_file", .named = probe_iterator, .name = "task_file",
         .without = DOCTOR_FAIL, .disables = lost_sockets},
	{"program", "iter/bpf_sk_storage_map", .plain = probe_storage_iterator,
         .without = DOCTOR_FAIL, .disables = lost_sockets},
	{"program", "tracepoint", .plain = probe_tracepoint, .without = DOCTOR_WARN,
         .disables = "programs on system calls"},
	{"program", "uprobe", .plain = probe_uprobe, .without = DOCTOR_WARN,
         .disables = "observation inside processes, such as TLS plaintext"},
	{"program", "socket_filter", .plain = probe_socket_filter, .without = DOCTOR_WARN,
         .disables = "packets observed without a cgroup"},
	{"program", "cgroup_skb", .plain = probe_cgroup_skb, .without = DOCTOR_FAIL,
         .disables = lost_dns},
	{"program", "cgroup/post_bind4", .plain = probe_cgroup_bind, .without = DOCTOR_FAIL,
         .disables = lost_dns},
	{"program", "cgroup/sendmsg4", .plain = probe_cgroup_sendmsg, .without = DOCTOR_FAIL,
         .disables = lost_dns},
	{"program", "sock_ops", .plain = probe_sock_ops, .without = DOCTOR_WARN,
         .disables = "round-trip times as they are measured"},
	{"program", "tc", .plain = probe_tc, .without = DOCTOR_WARN,
         .disables = "packets observed at an interface"},
	{"program", "perf_event", .plain = probe_perf_event, .without = DOCTOR_WARN,
         .disables = "CPU profiles"},
	{"program", "fentry", .named = probe_fentry, .name = "tcp_v4_connect",
         .without = DOCTOR_WARN, .disables = lost_nothing},
	{"program", "kprobe", .named = probe_kprobe, .name = "tcp_v4_connect",
         .without = DOCTOR_WARN, .disables = lost_nothing},
	{"program", "lsm", .named = probe_lsm, .name = "file_open", .without = DOCTOR_WARN,
         .disables = lost_nothing},
	{"map", "ringbuf", .plain = probe_ring_buffer, .without = DOCTOR_FAIL,
         .disables = lost_both},
	{"map", "sk_storage", .plain = probe_socket_storage, .without = DOCTOR_FAIL,
         .disables = lost_both},
};

static void check_kinds(const struct doctor *d)
{
	char missing[64], fix[192];

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		const struct kind *k = &kinds[i];
		struct probe_result r = k->plain ? k->plain() : k->named(k->name);
		char seen[128];

		capability_missing(d->capabilities, k->disables == lost_dns, missing,
		                   sizeof missing);
		if (r.error)
			snprintf(seen, sizeof seen, "refused: %s: %s", r.step, strerror(-r.error));
		else
			snprintf(seen, sizeof seen, "works (tried: %s)", r.step);
		if (*missing && r.error == -EPERM)
			snprintf(fix, sizeof fix, "%s missing: see the capabilities above",
			         missing);
		else
			snprintf(fix, sizeof fix, "%s",
			         k->disables == lost_nothing
			                 ? ""
			                 : "use a kernel that has it switched on (Debian's have), "
			                   "and "
			                   "look for a security policy that forbids it");
		say(d, r.error ? k->without : DOCTOR_OK, k->group, k->check, seen, k->disables,
		    fix);
	}
}

static void check_setting(const struct doctor *d, const char *check, const char *path,
                          bool (*is_good)(const struct doctor *, const char *value),
                          const char *disables, const char *fix)
{
	char value[128] = "";
	int r = file_line(path, value, sizeof value);

	if (r < 0) {
		snprintf(value, sizeof value, "%s", r == -ENOENT ? "not there" : strerror(-r));
		say(d, r == -ENOENT ? DOCTOR_OK : DOCTOR_UNKNOWN, "setting", check, value, "", "");
		return;
	}
	say(d, is_good(d, value) ? DOCTOR_OK : DOCTOR_WARN, "setting", check, value, disables, fix);
}

/* Above 2 is Debian's own addition, and wants CAP_SYS_ADMIN whoever has CAP_PERFMON. */
static bool is_paranoia_good(const struct doctor *d, const char *value)
{
	int level = value[0] == '-' ? -1 : value[0] - '0';

	return level <= 2 || capability_has(d->capabilities, CAP_SYS_ADMIN);
}

static bool is_any_good(const struct doctor *d, const char *value)
{
	return true;
}

static bool is_jit_on(const struct doctor *d, const char *value)
{
	return strcmp(value, "0") != 0;
}

static bool is_harden_good(const struct doctor *d, const char *value)
{
	return strcmp(value, "2") != 0;
}

static bool is_lockdown_good(const struct doctor *d, const char *value)
{
	return strstr(value, "[confidentiality]") == NULL;
}

static void check_settings(const struct doctor *d)
{
	check_setting(d, "kernel.perf_event_paranoid", "/proc/sys/kernel/perf_event_paranoid",
	              is_paranoia_good, "uprobes and CPU profiles",
	              "`sysctl kernel.perf_event_paranoid=2`, or give the service CAP_SYS_ADMIN");
	check_setting(d, "kernel.unprivileged_bpf_disabled",
	              "/proc/sys/kernel/unprivileged_bpf_disabled", is_any_good, "", "");
	check_setting(d, "lockdown", "/sys/kernel/security/lockdown", is_lockdown_good,
	              "reading kernel memory, and with it every tracing program",
	              "boot with lockdown=integrity or without lockdown");
	check_setting(d, "net.core.bpf_jit_enable", "/proc/sys/net/core/bpf_jit_enable", is_jit_on,
	              "speed: programs are interpreted, several times slower",
	              "`sysctl net.core.bpf_jit_enable=1`");
	check_setting(d, "net.core.bpf_jit_harden", "/proc/sys/net/core/bpf_jit_harden",
	              is_harden_good, "speed: constants in the programs are blinded",
	              "`sysctl net.core.bpf_jit_harden=1` blinds those of unprivileged users only");
}

static void check_mount(const struct doctor *d, const char *check, const char *type,
                        enum doctor_status without, const char *disables, const char *fix)
{
	char path[512];
	int r = mounts_find(type, path, sizeof path);

	if (r == 0)
		say(d, DOCTOR_OK, "mount", check, path, "", "");
	else
		say(d, r == -ENOENT ? without : DOCTOR_UNKNOWN, "mount", check,
		    r == -ENOENT ? "not mounted" : strerror(-r), disables, fix);
}

static void check_cgroup(const struct doctor *d)
{
	char path[512];

	check_mount(d, "cgroup2", "cgroup2", DOCTOR_FAIL,
	            "the dns receiver does not start; container ids come from cgroup v1 only",
	            "`mount -t cgroup2 none /sys/fs/cgroup/unified`, or boot with "
	            "systemd.unified_cgroup_hierarchy=1");
	if (mounts_find("cgroup2", path, sizeof path) == 0 && !mounts_is_cgroup_root(path))
		say(d, DOCTOR_WARN, "mount", "cgroup2 root", "a cgroup below the host's root",
		    "the dns receiver sees nothing outside of it",
		    "run the container in the host's cgroup namespace, or mount the host's "
		    "/sys/fs/cgroup there");
}

static void check_limits(const struct doctor *d)
{
	struct rlimit limit;
	char seen[96];

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		snprintf(seen, sizeof seen, "%" PRIu64, (uint64_t)limit.rlim_cur);
		say(d, limit.rlim_cur < 4096 ? DOCTOR_WARN : DOCTOR_OK, "limit", "open files", seen,
		    "a gateway with thousands of clients",
		    "`LimitNOFILE=65536` in the unit, or `ulimit -n 65536`");
	}
	if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0) {
		if (limit.rlim_cur == RLIM_INFINITY)
			snprintf(seen, sizeof seen, "unlimited");
		else
			snprintf(seen, sizeof seen,
			         "%" PRIu64
			         " bytes (since 5.11 maps are charged to the cgroup instead)",
			         (uint64_t)limit.rlim_cur);
		say(d, DOCTOR_OK, "limit", "locked memory", seen, "", "");
	}
}

static int on_namespace(void *arg, uint64_t inode)
{
	return 0;
}

/* The inode of the first pid namespace is the same on every Linux (PROC_PID_INIT_INO). */
#define FIRST_PID_NAMESPACE UINT32_C(0xeffffffc)

static void check_namespaces(const struct doctor *d)
{
	struct netns_counts counts = {0};
	struct stat s;
	char seen[128];
	int r = netns_each(on_namespace, NULL, &counts);
	/* With the right to look, what is still hidden is hidden for good (init of a sandbox). */
	bool may_look = capability_has(d->capabilities, CAP_SYS_PTRACE);

	snprintf(seen, sizeof seen,
	         "%" PRIu64 " entered, %" PRIu64 " refused, %" PRIu64
	         " processes may not be looked at",
	         counts.seen - counts.failed, counts.failed, counts.hidden);
	say(d,
	    r < 0                                           ? DOCTOR_UNKNOWN
	    : counts.failed || (counts.hidden && !may_look) ? DOCTOR_WARN
	                                                    : DOCTOR_OK,
	    "namespace", "network", r < 0 ? strerror(-r) : seen,
	    "connections that were open there before the start are not followed; new ones are",
	    "give the service CAP_SYS_ADMIN and CAP_SYS_PTRACE");
	if (stat("/proc/self/ns/pid", &s) < 0)
		say(d, DOCTOR_UNKNOWN, "namespace", "pid", strerror(errno), "", "");
	else if (s.st_ino == FIRST_PID_NAMESPACE)
		say(d, DOCTOR_OK, "namespace", "pid", "the host's", "", "");
	else
		say(d, DOCTOR_WARN, "namespace", "pid", "one of its own",
		    "owners of existing sockets, and paths of executables outside this container",
		    "run the container with the host's pid namespace (hostPID: true, --pid=host)");
}

void doctor_run(void (*line)(void *arg, const struct doctor_line *), void *arg)
{
	struct doctor d = {line, arg, 0};
	struct kernel_log said;

	kernel_log_begin(&said, NULL); /* libbpf's own warnings would only repeat the lines */
	check_kernel(&d);
	check_capabilities(&d);
	check_kinds(&d);
	check_settings(&d);
	check_cgroup(&d);
	check_mount(&d, "bpffs", "bpf", DOCTOR_OK, "", "");
	check_mount(&d, "tracefs", "tracefs", DOCTOR_OK, "", "");
	check_limits(&d);
	check_namespaces(&d);
	kernel_log_end(&said);
}
