/* map: an intrusive hash table. Members embed a struct map_node and stay where they are; the map
 * allocates only its bucket array, which doubles as it fills. The caller gives hashes
 * (hash_bytes()) and says what equality is. */
#ifndef WEIR_BASE_MAP_H
#define WEIR_BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_node {
	struct map_node *next;
	uint64_t hash;
};

struct map {
	struct map_node **buckets;
	size_t mask; /* buckets - 1 */
	size_t count;
	bool (*equal)(const struct map_node *node, const void *key);
};

/* Allocates nothing; the first insert does. */
void map_init(struct map *m, bool (*equal)(const struct map_node *node, const void *key));

/* Frees the buckets, not the members: empty it first or know who owns them. */
void map_fini(struct map *m);

struct map_node *map_find(const struct map *m, uint64_t hash, const void *key);

/* Adds a node whose key is not in the map. False when there is no memory; then nothing changed. */
bool map_insert(struct map *m, uint64_t hash, struct map_node *node);

void map_remove(struct map *m, struct map_node *node);

/* Walks all members, in no order. visit may remove (and free) the node it is given, no other; false
 * ends the walk. */
void map_each(struct map *m, bool (*visit)(struct map_node *node, void *arg), void *arg);

/* XXH3 of the bytes. Process-wide seed, random per process, so that input cannot choose its
 * bucket. */
uint64_t hash_bytes(const void *data, size_t len);

#endif
