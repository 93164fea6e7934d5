#include "bpf/host/refusal.h"

#include "bpf/host/capability.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int refusal_explain(const struct refusal *refusal, int r, const struct kernel_log *said,
                    struct error *error)
{
	const char *what = refusal->what, *programs = refusal->programs;
	struct capability_sets sets = {.effective = UINT64_MAX};
	char missing[64];

	if (r == -ENOMEM)
		return error_no_memory(error);
	capability_read(&sets);
	capability_missing(sets.effective, refusal->needs_net_admin, missing, sizeof missing);
	if (*missing)
		return error_set(error, r,
		                 "the kernel refused to %s the %s programs: %s missing; run as "
		                 "root, or give the service `AmbientCapabilities=CAP_BPF "
		                 "CAP_PERFMON%s`",
		                 what, programs, missing,
		                 refusal->needs_net_admin ? " CAP_NET_ADMIN" : "");
	if (r == -EPERM && capability_is_in_user_namespace())
		return error_set(error, r,
		                 "the kernel refused to %s the %s programs: this process is "
		                 "in a user namespace, whose capabilities do not count for eBPF; "
		                 "run weir outside of it (no rootless container)",
		                 what, programs);
	if (access("/sys/kernel/btf/vmlinux", R_OK) < 0)
		return error_set(error, r,
		                 "the %s programs cannot be fitted to this kernel: "
		                 "/sys/kernel/btf/vmlinux: %s; mount sysfs, or use a kernel built "
		                 "with CONFIG_DEBUG_INFO_BTF (Debian's are)",
		                 programs, strerror(errno));
	return error_set(error, r,
	                 "the kernel refused to %s the %s programs: %s%s%s; `weir doctor` tells "
	                 "what this host allows",
	                 what, programs, strerror(-r), *said->reason ? ": " : "", said->reason);
}
