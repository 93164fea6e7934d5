/* bench reverse_dns: what a look-up costs among 10,000 networks, 100,000 names of a hosts file and
 * 100,000 observed names, what an observed name costs to note, and what the tables take.
 * Usage: bench_reverse_dns [folder for the hosts file]. */
#include "processors/reverse_dns/reverse_dns_internal.h"

#include "core/base/clock.h"
#include "core/names/names.h"

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

static struct slice ipv4_text(char text[static 32], uint32_t a)
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
		texts[i] = ipv4_text(text, ((uint32_t)rand() << 1 ^ (uint32_t)rand()) % limit);
		must(address_parse(texts[i], &all[i]));
	}
	return all;
}

static void report(const char *what, uint64_t begin_ns, size_t found)
{
	printf("%-44s %6.1f ns, found %zu of %d\n", what,
	       (double)(clock_monotonic_ns() - begin_ns) / LOOKUPS, found, LOOKUPS);
}

static struct networks *networks_make(void)
{
	struct string_pair *pairs = calloc(PREFIXES, sizeof *pairs);
	struct string_map map = {pairs, PREFIXES};
	size_t before;
	struct networks *n;

	must(pairs);
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
	return n;
}

static struct hosts *hosts_make(const char *folder)
{
	struct file_version version = {0};
	char path[4096], text[32];
	struct hosts *h;
	uint64_t begin;
	size_t before;
	FILE *f;

	snprintf(path, sizeof path, "%s/bench-hosts-%d", folder, (int)getpid());
	f = fopen(path, "w");
	must(f);
	for (uint32_t i = 0; i < NAMES; i++) {
		ipv4_text(text, i);
		fprintf(f, "%s host-%u.example.com host-%u\n", text, i, i);
	}
	must(fclose(f) == 0);
	before = memory_used();
	begin = clock_monotonic_ns();
	must(hosts_read(path, &version, &h, NULL) == 1);
	printf("%d names of a hosts file take %zu bytes, read in %.1f ms\n", NAMES,
	       memory_used() - before, (double)(clock_monotonic_ns() - begin) / 1e6);
	unlink(path);
	return h;
}

static void observe(struct names *n, const struct address *a, uint32_t number)
{
	char name[64];
	int len = snprintf(name, sizeof name, "host-%u.example.com", number);

	names_add(n, 4026531840, a, slice_of(name, (size_t)len), 300, 0);
}

static struct names *names_make(void)
{
	static struct budget budget;
	struct names *n = names_new(&budget);
	char text[32];
	struct address a;
	size_t before;

	must(n);
	before = memory_used();
	names_limit(n, NAMES, 600 * NS_PER_S);
	for (uint32_t i = 0; i < NAMES; i++) {
		must(address_parse(ipv4_text(text, i), &a));
		observe(n, &a, i);
	}
	printf("%d observed names take %zu bytes, of which %zu are accounted for\n", NAMES,
	       memory_used() - before, budget.used);
	return n;
}

/* What it costs to write the name of an answer down, with the making of its text left out. */
static void adding_measure(struct names *n, const struct address *known)
{
	static const struct slice name = {(const uint8_t *)"host-12345.example.com", 22};
	struct names_stats stats;
	struct address fresh = *known;
	uint64_t begin = clock_monotonic_ns();

	for (size_t i = 0; i < LOOKUPS; i++)
		names_add(n, 4026531840, &known[i], name, 300, 0);
	report("observed name, seen again", begin, LOOKUPS);
	begin = clock_monotonic_ns();
	for (uint32_t i = 0; i < LOOKUPS; i++) {
		fresh.bytes[12] = 200;
		memcpy(fresh.bytes + 13, &i, 3);
		names_add(n, 4026531840, &fresh, name, 300, 0);
	}
	report("observed name, new, another makes room", begin, LOOKUPS);
	names_stats(n, &stats);
	must(stats.count == NAMES);
}

struct tables {
	struct networks *networks;
	struct hosts *hosts;
	struct names *names;
};

static bool find_in_networks(const struct tables *t, const struct address *a)
{
	return networks_find(t->networks, a) != NULL;
}

static bool find_in_hosts(const struct tables *t, const struct address *a)
{
	return hosts_find(t->hosts, a).len > 0;
}

static bool find_in_names(const struct tables *t, const struct address *a)
{
	return names_find(t->names, NAMES_ANY_NETWORK, a, 0).len > 0;
}

static bool find_in_one_namespace(const struct tables *t, const struct address *a)
{
	return names_find(t->names, 4026531840, a, 0).len > 0;
}

/* As the processor does it. */
static bool find_in_all(const struct tables *t, const struct address *a)
{
	return find_in_names(t, a) || find_in_hosts(t, a) || find_in_networks(t, a);
}

static void measure(const char *what, const struct tables *t, uint32_t limit, bool from_text,
                    bool (*find)(const struct tables *t, const struct address *a))
{
	struct slice *texts = calloc(LOOKUPS, sizeof *texts);
	struct address *all, a;
	uint64_t begin;
	size_t found = 0;

	must(texts);
	all = addresses_make(limit, texts);
	begin = clock_monotonic_ns();
	if (from_text)
		for (size_t i = 0; i < LOOKUPS; i++)
			found += address_parse(texts[i], &a) && find(t, &a);
	else
		for (size_t i = 0; i < LOOKUPS; i++)
			found += find(t, &all[i]);
	report(what, begin, found);
	for (size_t i = 0; i < LOOKUPS; i++)
		free((void *)texts[i].data);
	free(texts);
	free(all);
}

int main(int argc, char **argv)
{
	struct tables t = {networks_make(), hosts_make(argc > 1 ? argv[1] : "/tmp"), names_make()};
	struct slice *texts = calloc(LOOKUPS, sizeof *texts);

	must(texts);
	measure("networks", &t, 150 << 16, false, find_in_networks);
	measure("names of the hosts file", &t, NAMES * 3 / 2, false, find_in_hosts);
	measure("observed names, any namespace", &t, NAMES * 3 / 2, false, find_in_names);
	measure("observed names, one namespace", &t, NAMES * 3 / 2, false, find_in_one_namespace);
	measure("all in turn", &t, NAMES * 3 / 2, false, find_in_all);
	measure("all in turn, from the address as text", &t, NAMES * 3 / 2, true, find_in_all);
	measure("all in turn, mostly of networks, from text", &t, 150 << 16, true, find_in_all);
	adding_measure(t.names, addresses_make(NAMES, texts));
	names_free(t.names);
	hosts_free(t.hosts);
	networks_free(t.networks);
	return 0;
}
