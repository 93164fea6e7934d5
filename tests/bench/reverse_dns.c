/* bench reverse_dns: what a look-up costs among 10,000 networks and 100,000 names of a hosts file, and
 * what the tables take. Usage: bench_reverse_dns [folder for the hosts file]. */
#include "processors/reverse_dns/reverse_dns_internal.h"

#include "core/base/clock.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PREFIXES = 10000, NAMES = 100000, LOOKUPS = 1000000 };

static size_t memory_used(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

static void must(bool ok)
{
	if (!ok) {
		fprintf(stderr, "bench reverse_dns: failed\n");
		exit(1);
	}
}

static struct slice address_text(char text[static 32], uint32_t a)
{
	int n = snprintf(text, 32, "%u.%u.%u.%u", a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255);

	return slice_of(text, (size_t)n);
}

/* So many addresses in no order, each below limit. */
static struct address *addresses_make(uint32_t limit, struct slice *texts)
{
	struct address *all = calloc(LOOKUPS, sizeof *all);

	must(all);
	srand(1);
	for (size_t i = 0; i < LOOKUPS; i++) {
		char *text = malloc(32);

		must(text);
		texts[i] = address_text(text, ((uint32_t)rand() << 1 ^ (uint32_t)rand()) % limit);
		must(address_parse(texts[i], &all[i]));
	}
	return all;
}

static void report(const char *what, uint64_t begin_ns, size_t found)
{
	printf("%-44s %6.1f ns, found %zu of %d\n", what,
	       (double)(clock_monotonic_ns() - begin_ns) / LOOKUPS, found, LOOKUPS);
}

static void networks_measure(void)
{
	struct string_pair *pairs = calloc(PREFIXES, sizeof *pairs);
	struct string_map map = {pairs, PREFIXES};
	struct slice *texts = calloc(LOOKUPS, sizeof *texts);
	struct address *all, a;
	struct networks *n;
	size_t before, found = 0;
	uint64_t begin;

	must(pairs && texts);
	for (uint32_t i = 0; i < PREFIXES; i++) {
		/* A /16 for each hundred /24, apart from each other. */
		uint32_t first = i % 100 ? i / 100 << 16 | (i % 100 * 2) << 8 : i / 100 << 16;
		char *key = malloc(40);

		must(key);
		snprintf(key, 40, "%u.%u.%u.0/%d", first >> 24, first >> 16 & 255, first >> 8 & 255,
		         i % 100 ? 24 : 16);
		pairs[i] = (struct string_pair){key, "label"};
	}
	before = memory_used();
	must(networks_new(&map, &n, NULL) == 0);
	printf("%d networks take %zu bytes\n", PREFIXES, memory_used() - before);
	all = addresses_make(150 << 16, texts);
	begin = clock_monotonic_ns();
	for (size_t i = 0; i < LOOKUPS; i++)
		found += networks_find(n, &all[i]) != NULL;
	report("look-up among the networks", begin, found);
	found = 0;
	begin = clock_monotonic_ns();
	for (size_t i = 0; i < LOOKUPS; i++)
		found += address_parse(texts[i], &a) && networks_find(n, &a);
	report("the same, from the address as text", begin, found);
	networks_free(n);
}

static void hosts_measure(const char *folder)
{
	struct slice *texts = calloc(LOOKUPS, sizeof *texts);
	struct hosts_version version = {0};
	char path[4096], text[32];
	struct address *all, a;
	size_t before, found = 0;
	struct hosts *h;
	uint64_t begin;
	FILE *f;

	must(texts);
	snprintf(path, sizeof path, "%s/bench-hosts-%d", folder, (int)getpid());
	f = fopen(path, "w");
	must(f);
	for (uint32_t i = 0; i < NAMES; i++) {
		address_text(text, i);
		fprintf(f, "%s host-%u.example.com host-%u\n", text, i, i);
	}
	must(fclose(f) == 0);
	before = memory_used();
	begin = clock_monotonic_ns();
	must(hosts_read(path, &version, &h, NULL) == 1);
	printf("%d names take %zu bytes, read in %.1f ms\n", NAMES, memory_used() - before,
	       (double)(clock_monotonic_ns() - begin) / 1e6);
	unlink(path);
	all = addresses_make(150000, texts);
	begin = clock_monotonic_ns();
	for (size_t i = 0; i < LOOKUPS; i++)
		found += hosts_find(h, &all[i]).len > 0;
	report("look-up among the names", begin, found);
	found = 0;
	begin = clock_monotonic_ns();
	for (size_t i = 0; i < LOOKUPS; i++)
		found += address_parse(texts[i], &a) && hosts_find(h, &a).len > 0;
	report("the same, from the address as text", begin, found);
	hosts_free(h);
}

int main(int argc, char **argv)
{
	networks_measure();
	hosts_measure(argc > 1 ? argv[1] : "/tmp");
	return 0;
}
