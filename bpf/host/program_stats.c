#include "bpf/host/program_stats.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int read_one(const struct bpf_program *program, struct program_stats *ret)
{
	struct bpf_prog_info info = {0};
	uint32_t len = sizeof info;

	if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &len) < 0)
		return -errno;
	memset(ret, 0, sizeof *ret);
	snprintf(ret->name, sizeof ret->name, "%s", bpf_program__name(program));
	ret->runs = info.run_cnt;
	ret->run_time_ns = info.run_time_ns;
	ret->missed = info.recursion_misses;
	return 0;
}

size_t program_stats_read(const struct bpf_object *object, struct program_stats *ret, size_t max)
{
	struct bpf_program *program;
	size_t n = 0;

	bpf_object__for_each_program(program, object)
	{
		if (n < max && read_one(program, &ret[n]) == 0)
			n++;
	}
	return n;
}

int program_stats_enable(void)
{
	int fd = bpf_enable_stats(BPF_STATS_RUN_TIME);

	return fd < 0 ? -errno : fd;
}

void program_counters_read(int map_fd, uint64_t *ret_counters, size_t n)
{
	int cpus = libbpf_num_possible_cpus();
	uint64_t *values = cpus > 0 ? calloc((size_t)cpus, sizeof *values) : NULL;

	memset(ret_counters, 0, n * sizeof *ret_counters);
	for (uint32_t i = 0; values && i < n; i++) {
		if (bpf_map_lookup_elem(map_fd, &i, values) < 0)
			continue;
		for (int cpu = 0; cpu < cpus; cpu++)
			ret_counters[i] += values[cpu];
	}
	free(values);
}
