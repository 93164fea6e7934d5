/* doctor: what this host allows weir's eBPF side, in plain words. Everything that can be tried is
 * tried, with the rights and limits of the calling process: run it as the service's user. */
#ifndef WEIR_BPF_HOST_DOCTOR_H
#define WEIR_BPF_HOST_DOCTOR_H

enum doctor_status {
	DOCTOR_OK,
	DOCTOR_WARN,    /* works, but something is lost or will be missing later */
	DOCTOR_FAIL,    /* a receiver of weir cannot start */
	DOCTOR_UNKNOWN, /* could not be found out */
};

/* All text is valid during the call only; disables and fix are "" where there is nothing to say. */
struct doctor_line {
	enum doctor_status status;
	const char
		*group; /* "kernel", "program", "map", "capability", "setting", "limit", "mount" */
	const char *check;    /* "tp_btf", "CAP_BPF", "kernel.perf_event_paranoid" */
	const char *seen;     /* what was found */
	const char *disables; /* what is lost by it */
	const char *fix;      /* what to do */
};

/* Calls line for every check, in an order fit for reading. Takes a few hundred milliseconds. */
void doctor_run(void (*line)(void *arg, const struct doctor_line *line), void *arg);

/* "ok", "warn", "fail", "unknown". */
const char *doctor_status_name(enum doctor_status status);

#endif
