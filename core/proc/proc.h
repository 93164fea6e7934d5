/* proc: who a process is: its executable, its container, its pod.
 *
 * Read from /proc once for each process and kept. A process is known by pid and start time, so a
 * pid that is used again is another process; and by the name of its executable, because a process
 * may execute another. A process that has gone before anybody looked is given what others of the
 * same cgroup left to know: their container, and the path of the executable of that name when it
 * was always the same one. The environment of processes is never read.
 *
 * At most capacity entries; the longest unused go first. Not thread-safe. Reads of /proc take some
 * 20 us for a new process and nothing for a known one. */
#ifndef WEIR_PROC_PROC_H
#define WEIR_PROC_PROC_H

#include <stddef.h>
#include <stdint.h>

struct proc_cache;

enum { PROC_NAME_LEN = 32 }; /* of an executable's name as the kernel side gives it, with its NUL */

struct proc_key {
	uint32_t pid; /* in the pid namespace of proc_root; 0: not known */
	uint32_t reserved;
	uint64_t start_time_ns;         /* since boot; 0: not known, whoever has the pid is taken */
	uint64_t cgroup_id;             /* cgroup v2; 0: not known */
	char executable[PROC_NAME_LEN]; /* base name, maybe cut; "" when not known */
};

/* Strings are UTF-8 (other bytes are replaced) and "" where nothing is known. */
struct proc_identity {
	const char *executable;   /* base name, whole where the path is known */
	const char *path;         /* of the executable */
	const char *container_id; /* 64 hexadecimal digits */
	const char *pod_uid;      /* with dashes */
};

/* proc_root is "/proc", or a copy of it in tests. NULL: no memory. */
struct proc_cache *proc_cache_new(const char *proc_root, size_t capacity);
void proc_cache_free(struct proc_cache *c); /* takes NULL */

/* Never fails: without memory or rights the identity is what the key says. Valid until the next
 * call. A negative answer is asked again after PROC_RETRY_NS. */
const struct proc_identity *proc_cache_find(struct proc_cache *c, const struct proc_key *key,
                                            uint64_t now_ns);

#define PROC_RETRY_NS (30 * UINT64_C(1000000000))

#endif
