/* kernel_log: what libbpf says, led to a logger.
 *
 * libbpf prints through one function per process. It is set once and looks up the capture of the
 * calling thread, so several receivers may load their objects one after another or on different
 * threads. Without a capture, libbpf is silent. */
#ifndef WEIR_BPF_HOST_KERNEL_LOG_H
#define WEIR_BPF_HOST_KERNEL_LOG_H

#include "core/base/log.h"

enum { KERNEL_LOG_REASON_LEN = 256 };

/* Lives on the stack of who loads. reason: the last line that tells why something was refused: the
 * verifier's verdict, or libbpf's own warning; "" when there was none. */
struct kernel_log {
	const struct logger *logger;
	char reason[KERNEL_LOG_REASON_LEN];
	struct kernel_log *outer;
};

/* Everything that libbpf says on this thread goes to logger, at debug level, until
 * kernel_log_end(). May be nested; logger may be NULL. */
void kernel_log_begin(struct kernel_log *k, const struct logger *logger);
void kernel_log_end(struct kernel_log *k);

#endif
