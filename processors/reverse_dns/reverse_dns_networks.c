#include "processors/reverse_dns/reverse_dns_internal.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>

typedef unsigned __int128 number; /* an address, so that it can be compared and counted on */

/* Of one family: range i goes from starts[i] to the one before starts[i + 1]; the first starts at 0. */
struct ranges {
	number *starts;
	const char **labels; /* NULL: in no prefix */
	size_t count;
};

struct networks {
	struct ranges families[2]; /* IPv6, IPv4: ::/0 is not everybody's prefix */
};

struct prefix {
	number first, last;
	const char *label;
};

static number number_of(const struct address *a)
{
	uint64_t halves[2];

	memcpy(halves, a->bytes, sizeof halves);
	return (number)be64toh(halves[0]) << 64 | be64toh(halves[1]);
}

static int prefix_parse(const struct string_pair *pair, struct prefix *ret, bool *ret_ipv4,
                        struct error *error)
{
	const char *slash = strchr(pair->key, '/');
	size_t len = slash ? (size_t)(slash - pair->key) : strlen(pair->key);
	unsigned long bits, width;
	struct address address;
	number rest;
	char *end;

	if (memchr(pair->key, '%', len) || !address_parse(slice_of(pair->key, len), &address))
		return error_set(error, -EINVAL,
		                 "'%s' is not a prefix such as 10.0.0.0/8 or "
		                 "2001:db8::/32",
		                 pair->key);
	/* Mapped addresses are IPv4, also where they are written as IPv6; a prefix of them has at
	 * least 96 bits, or bits set beyond its length. */
	*ret_ipv4 = address_is_ipv4(&address);
	width = memchr(pair->key, ':', len) ? 128 : 32;
	bits = width;
	if (slash) {
		bits = strtoul(slash + 1, &end, 10);
		if (slash[1] < '0' || slash[1] > '9' || *end || bits > width)
			return error_set(error, -EINVAL, "'%s': the length must be 0 to %lu",
			                 pair->key, width);
	}
	bits += 128 - width;
	rest = bits == 0 ? ~(number)0 : ((number)1 << (128 - bits)) - 1;
	ret->first = number_of(&address);
	if (ret->first & rest)
		return error_set(error, -EINVAL,
		                 "'%s' has bits set beyond its length: write the first "
		                 "address of the network",
		                 pair->key);
	if (!pair->value || !*pair->value)
		return error_set(error, -EINVAL, "'%s' has no label", pair->key);
	ret->last = ret->first | rest;
	ret->label = pair->value;
	return 0;
}

/* The wider before those that lie in it. */
static int prefix_compare(const void *a, const void *b)
{
	const struct prefix *p = a, *q = b;

	if (p->first != q->first)
		return p->first < q->first ? -1 : 1;
	return (p->last < q->last) - (p->last > q->last);
}

static void range_begin(struct ranges *r, number start, const char *label)
{
	if (r->count && r->starts[r->count - 1] == start)
		r->count--;
	r->starts[r->count] = start;
	r->labels[r->count++] = label;
}

/* Where the innermost open prefix ends, what lies around it goes on. */
static void prefix_end(struct ranges *r, const struct prefix **open, size_t depth)
{
	if (open[depth - 1]->last != ~(number)0)
		range_begin(r, open[depth - 1]->last + 1,
		            depth > 1 ? open[depth - 2]->label : NULL);
}

static int ranges_fill(struct ranges *r, struct prefix *prefixes, size_t n, struct error *error)
{
	const struct prefix *open[129]; /* one of each length lies in the next */
	size_t depth = 0;

	r->starts = calloc(2 * n + 1, sizeof *r->starts);
	r->labels = calloc(2 * n + 1, sizeof *r->labels);
	if (!r->starts || !r->labels)
		return error_no_memory(error);
	if (n)
		qsort(prefixes, n, sizeof *prefixes, prefix_compare);
	range_begin(r, 0, NULL);
	for (size_t i = 0; i < n; i++) {
		while (depth && open[depth - 1]->last < prefixes[i].first)
			prefix_end(r, open, depth--);
		if (depth && prefix_compare(open[depth - 1], &prefixes[i]) == 0)
			return error_set(error, -EINVAL,
			                 "the same network is there twice, as '%s' and '%s'",
			                 open[depth - 1]->label, prefixes[i].label);
		open[depth++] = &prefixes[i];
		range_begin(r, prefixes[i].first, prefixes[i].label);
	}
	while (depth)
		prefix_end(r, open, depth--);
	return 0;
}

int networks_new(const struct string_map *prefixes, struct networks **ret, struct error *error)
{
	struct networks *n = calloc(1, sizeof *n);
	struct prefix *lists[2] = {calloc(prefixes->count + 1, sizeof **lists),
	                           calloc(prefixes->count + 1, sizeof **lists)};
	size_t counts[2] = {0, 0};
	struct prefix prefix;
	bool ipv4 = false;
	int r = -ENOMEM;

	if (!n || !lists[0] || !lists[1]) {
		error_no_memory(error);
		goto out;
	}
	for (size_t i = 0; i < prefixes->count; i++) {
		if ((r = prefix_parse(&prefixes->items[i], &prefix, &ipv4, error)) < 0)
			goto out;
		lists[ipv4][counts[ipv4]++] = prefix;
	}
	for (int family = 0; family < 2; family++)
		if ((r = ranges_fill(&n->families[family], lists[family], counts[family], error)) <
		    0)
			goto out;
	*ret = n;
	n = NULL;
	r = 0;
out:
	free(lists[0]);
	free(lists[1]);
	networks_free(n);
	return r;
}

void networks_free(struct networks *n)
{
	if (!n)
		return;
	for (int family = 0; family < 2; family++) {
		free(n->families[family].starts);
		free(n->families[family].labels);
	}
	free(n);
}

const char *networks_find(const struct networks *n, const struct address *a)
{
	const struct ranges *r;
	size_t low = 0, count, half;
	number wanted;

	if (!n)
		return NULL;
	r = &n->families[address_is_ipv4(a)];
	wanted = number_of(a);
	/* starts[low] <= wanted, and what is sought is one of the count from there on. Without a branch
	 * that would be guessed wrong every second time. */
	for (count = r->count; count > 1; count -= half) {
		half = count / 2;
		low += (r->starts[low + half] <= wanted) * half;
	}
	return r->labels[low];
}
