#include "core/self/process.h"

#include "core/base/clock.h"

#include <dirent.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

struct process_metrics {
	struct metrics *metrics;
	struct metrics_collector *collector;
	const struct budget *budget;
	const char *version, *revision;
	uint64_t started_ns;
};

static double cpu_seconds(void)
{
	struct rusage usage;

	if (getrusage(RUSAGE_SELF, &usage) < 0)
		return 0;
	return (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static double resident_bytes(void)
{
	unsigned long total, resident = 0;
	FILE *f = fopen("/proc/self/statm", "re");

	if (!f)
		return 0;
	if (fscanf(f, "%lu %lu", &total, &resident) != 2)
		resident = 0;
	fclose(f);
	return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static double open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	double n = -1; /* the directory's own */

	if (!dir)
		return 0;
	for (struct dirent *entry; (entry = readdir(dir));)
		n += entry->d_name[0] != '.';
	closedir(dir);
	return n;
}

static void report_budget(const struct budget *b, struct metrics_sink *sink)
{
	metrics_gauge(sink, "weir_memory_used_bytes",
	              "Bytes that all batches hold now, receive buffers included.", NULL,
	              (double)b->used);
	metrics_gauge(sink, "weir_memory_peak_bytes", "The most that weir_memory_used_bytes was.",
	              NULL, (double)b->peak);
	metrics_gauge(sink, "weir_memory_limit_bytes",
	              "Above this nothing is taken in any more; 0: no limit.", NULL,
	              (double)b->limit);
	metrics_counter(sink, "weir_memory_refusals",
	                "Requests for memory that the limit turned down.", NULL,
	                (double)b->refusals);
}

static void collect(void *arg, struct metrics_sink *sink)
{
	const struct process_metrics *p = arg;
	struct mallinfo2 heap = mallinfo2();

	metrics_gauge(sink, "weir_build_info", "Which weir this is; always 1.",
	              METRICS_LABELS({"version", p->version}, {"revision", p->revision}), 1);
	metrics_counter(sink, "otelcol_process_cpu_seconds",
	                "User and system CPU time since the start.", NULL, cpu_seconds());
	metrics_gauge(sink, "otelcol_process_memory_rss", "Resident memory in bytes.", NULL,
	              resident_bytes());
	metrics_gauge(sink, "otelcol_process_runtime_heap_alloc_bytes", "Bytes of the heap in use.",
	              NULL, (double)(heap.uordblks + heap.hblkhd));
	metrics_gauge(sink, "otelcol_process_runtime_total_sys_memory_bytes",
	              "Bytes of heap taken from the system.", NULL,
	              (double)(heap.arena + heap.hblkhd));
	metrics_counter(sink, "otelcol_process_uptime", "Seconds since the start.", NULL,
	                (double)(clock_monotonic_ns() - p->started_ns) / 1e9);
	metrics_gauge(sink, "weir_process_open_descriptors", "Open file descriptors.", NULL,
	              open_descriptors());
	if (p->budget)
		report_budget(p->budget, sink);
}

struct process_metrics *process_metrics_new(struct metrics *m, const struct budget *budget,
                                            const char *version, const char *revision)
{
	struct process_metrics *p = calloc(1, sizeof *p);

	if (!p)
		return NULL;
	p->collector = metrics_register(m, collect, p);
	if (!p->collector) {
		free(p);
		return NULL;
	}
	p->metrics = m;
	p->budget = budget;
	p->version = version;
	p->revision = revision;
	p->started_ns = clock_monotonic_ns();
	return p;
}

void process_metrics_free(struct process_metrics *p)
{
	if (!p)
		return;
	metrics_unregister(p->metrics, p->collector);
	free(p);
}
