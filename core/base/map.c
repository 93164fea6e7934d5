#include "core/base/map.h"

#include "core/base/random.h"

#include <pthread.h>
#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

enum { FIRST_BUCKETS = 16 };

void map_init(struct map *m, bool (*equal)(const struct map_node *node, const void *key))
{
	*m = (struct map){.equal = equal};
}

void map_fini(struct map *m)
{
	free(m->buckets);
	m->buckets = NULL;
	m->mask = m->count = 0;
}

struct map_node *map_find(const struct map *m, uint64_t hash, const void *key)
{
	if (!m->buckets)
		return NULL;
	for (struct map_node *n = m->buckets[hash & m->mask]; n; n = n->next)
		if (n->hash == hash && m->equal(n, key))
			return n;
	return NULL;
}

static bool grow(struct map *m)
{
	size_t count = m->buckets ? (m->mask + 1) * 2 : FIRST_BUCKETS;
	struct map_node **buckets = calloc(count, sizeof *buckets);

	if (!buckets)
		return m->buckets != NULL; /* a full map still works, only slower */
	for (size_t i = 0; m->buckets && i <= m->mask; i++)
		for (struct map_node *n = m->buckets[i], *next; n; n = next) {
			next = n->next;
			n->next = buckets[n->hash & (count - 1)];
			buckets[n->hash & (count - 1)] = n;
		}
	free(m->buckets);
	m->buckets = buckets;
	m->mask = count - 1;
	return true;
}

bool map_insert(struct map *m, uint64_t hash, struct map_node *node)
{
	if ((!m->buckets || m->count > m->mask) && !grow(m))
		return false;
	node->hash = hash;
	node->next = m->buckets[hash & m->mask];
	m->buckets[hash & m->mask] = node;
	m->count++;
	return true;
}

void map_remove(struct map *m, struct map_node *node)
{
	for (struct map_node **at = &m->buckets[node->hash & m->mask]; *at; at = &(*at)->next)
		if (*at == node) {
			*at = node->next;
			m->count--;
			return;
		}
}

void map_each(struct map *m, bool (*visit)(struct map_node *node, void *arg), void *arg)
{
	for (size_t i = 0; m->buckets && i <= m->mask; i++)
		for (struct map_node *n = m->buckets[i], *next; n; n = next) {
			next = n->next;
			if (!visit(n, arg))
				return;
		}
}

static uint64_t hash_seed;
static pthread_once_t hash_seeded = PTHREAD_ONCE_INIT;

static void seed_hash(void)
{
	hash_seed = random_u64();
}

uint64_t hash_bytes(const void *data, size_t len)
{
	pthread_once(&hash_seeded, seed_hash);
	return XXH3_64bits_withSeed(data, len, hash_seed);
}
