/* probe: whether this kernel lets this process use a kind of eBPF program or map, found out by
 * doing it: the smallest program of the kind is loaded and, where that touches nobody's traffic,
 * attached, and taken away again. Version and configuration of the kernel are not asked.
 *
 * Each takes a few milliseconds and leaves nothing behind. */
#ifndef WEIR_BPF_HOST_PROBE_H
#define WEIR_BPF_HOST_PROBE_H

/* A step that failed, and why. */
struct probe_result {
	int error;        /* 0, or a negative errno */
	const char *step; /* "load", "attach", ...; the last one that was done when error is 0 */
};

/* A tracing program on a BTF tracepoint of the kernel, by name. */
struct probe_result probe_tp_btf(const char *tracepoint);
struct probe_result probe_iterator(const char *target); /* "tcp", "task_file" */
struct probe_result probe_storage_iterator(void);       /* "bpf_sk_storage_map" */
struct probe_result probe_fentry(const char *function);
struct probe_result probe_lsm(const char *hook);
struct probe_result probe_tracepoint(void); /* loads only: the name needs tracefs */
struct probe_result probe_kprobe(const char *function);
struct probe_result probe_uprobe(void); /* on a function of this process */
struct probe_result probe_perf_event(void);
struct probe_result probe_socket_filter(void); /* on a socket of its own */

/* These would touch traffic once attached: they are loaded only. */
struct probe_result probe_cgroup_skb(void);
struct probe_result probe_cgroup_bind(void);
struct probe_result probe_cgroup_sendmsg(void);
struct probe_result probe_sock_ops(void);
struct probe_result probe_tc(void);

struct probe_result probe_ring_buffer(void);
struct probe_result probe_socket_storage(void);

#endif
