/* refusal: why the kernel does not take a receiver's programs, said so that a user can act on it. */
#ifndef WEIR_BPF_HOST_REFUSAL_H
#define WEIR_BPF_HOST_REFUSAL_H

#include "bpf/host/kernel_log.h"
#include "core/base/error.h"

/* What could not be done, to which programs, and what these need beside CAP_BPF and CAP_PERFMON. */
struct refusal {
	const char *what;     /* "open", "load", "attach" */
	const char *programs; /* "sockets" */
	bool needs_net_admin; /* CAP_NET_ADMIN as well */
};

/* Sets error; returns r, the negative errno with which it was refused. */
int refusal_explain(const struct refusal *refusal, int r, const struct kernel_log *said,
                    struct error *error);

#endif
