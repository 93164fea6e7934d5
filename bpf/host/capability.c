#include "bpf/host/capability.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const char *const names[] = {
	[CAP_CHOWN] = "CAP_CHOWN",
	[CAP_DAC_OVERRIDE] = "CAP_DAC_OVERRIDE",
	[CAP_DAC_READ_SEARCH] = "CAP_DAC_READ_SEARCH",
	[CAP_FOWNER] = "CAP_FOWNER",
	[CAP_KILL] = "CAP_KILL",
	[CAP_SETGID] = "CAP_SETGID",
	[CAP_SETUID] = "CAP_SETUID",
	[CAP_SETPCAP] = "CAP_SETPCAP",
	[CAP_NET_BIND_SERVICE] = "CAP_NET_BIND_SERVICE",
	[CAP_NET_ADMIN] = "CAP_NET_ADMIN",
	[CAP_NET_RAW] = "CAP_NET_RAW",
	[CAP_IPC_LOCK] = "CAP_IPC_LOCK",
	[CAP_SYS_MODULE] = "CAP_SYS_MODULE",
	[CAP_SYS_CHROOT] = "CAP_SYS_CHROOT",
	[CAP_SYS_PTRACE] = "CAP_SYS_PTRACE",
	[CAP_SYS_ADMIN] = "CAP_SYS_ADMIN",
	[CAP_SYS_NICE] = "CAP_SYS_NICE",
	[CAP_SYS_RESOURCE] = "CAP_SYS_RESOURCE",
	[CAP_SYSLOG] = "CAP_SYSLOG",
	[CAP_PERFMON] = "CAP_PERFMON",
	[CAP_BPF] = "CAP_BPF",
	[CAP_CHECKPOINT_RESTORE] = "CAP_CHECKPOINT_RESTORE",
};

int capability_read(struct capability_sets *ret)
{
	static const char path[] = "/proc/thread-self/status";
	struct capability_sets sets = {0};
	FILE *f = fopen(path, "re");
	unsigned long long value;
	char line[256];
	int found = 0;

	if (!f)
		return -errno;
	while (fgets(line, sizeof line, f)) {
		if (sscanf(line, "CapEff: %llx", &value) == 1)
			sets.effective = value, found++;
		else if (sscanf(line, "CapPrm: %llx", &value) == 1)
			sets.permitted = value, found++;
		else if (sscanf(line, "CapBnd: %llx", &value) == 1)
			sets.bounding = value, found++;
	}
	fclose(f);
	if (found != 3)
		return -ENODATA;
	*ret = sets;
	return 0;
}

const char *capability_name(unsigned number)
{
	return number < sizeof names / sizeof *names ? names[number] : NULL;
}

bool capability_may_load_bpf(uint64_t effective)
{
	return capability_has(effective, CAP_BPF) || capability_has(effective, CAP_SYS_ADMIN);
}

bool capability_may_trace(uint64_t effective)
{
	return capability_has(effective, CAP_PERFMON) || capability_has(effective, CAP_SYS_ADMIN);
}

const char *capability_missing(uint64_t effective, bool net_admin, char *text, size_t size)
{
	const char *lacking[3];
	size_t n = 0, used = 0;

	if (!capability_may_load_bpf(effective))
		lacking[n++] = "CAP_BPF";
	if (!capability_may_trace(effective))
		lacking[n++] = "CAP_PERFMON";
	if (net_admin && !capability_has(effective, CAP_NET_ADMIN))
		lacking[n++] = "CAP_NET_ADMIN";
	snprintf(text, size, "%s", "");
	for (size_t i = 0; i < n && used < size; i++)
		used += (size_t)snprintf(text + used, size - used, "%s%s%s",
		                         i == 0      ? ""
		                         : i + 1 < n ? ", "
		                                     : " and ",
		                         lacking[i],
		                         i + 1 < n ? ""
		                         : n == 1  ? " is"
		                                   : " are");
	return text;
}

/* The first user namespace is the same on every Linux (PROC_USER_INIT_INO). */
#define FIRST_USER_NAMESPACE UINT32_C(0xeffffffd)

bool capability_is_in_user_namespace(void)
{
	struct stat s;

	return stat("/proc/self/ns/user", &s) == 0 && s.st_ino != FIRST_USER_NAMESPACE;
}
