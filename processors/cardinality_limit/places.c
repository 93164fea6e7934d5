#include "processors/cardinality_limit/places.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { CAPACITY_FIRST = 64 };

/* A large table is looked up all over: with pages of 4 KiB every look-up would miss the processor's
 * table of pages as well. Tables of so many bytes are mapped by themselves, in pages of 2 MiB where
 * the kernel has some. */
enum { MAPPED_FROM = 2 << 20 };

void places_init(struct places *p, size_t size, struct budget *budget)
{
	*p = (struct places){.size = size, .budget = budget};
}

static void *slots_new(size_t bytes)
{
	void *slots;

	if (bytes < MAPPED_FROM)
		return calloc(1, bytes);
	slots = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (slots == MAP_FAILED)
		return NULL;
	(void)madvise(slots, bytes, MADV_HUGEPAGE); /* only slower without */
	return slots;
}

static void slots_free(void *slots, size_t bytes)
{
	if (bytes < MAPPED_FROM)
		free(slots);
	else
		munmap(slots, bytes);
}

void places_fini(struct places *p)
{
	slots_free(p->slots, p->capacity * p->size);
	budget_return(p->budget, p->capacity * p->size);
	*p = (struct places){0};
}

static size_t capacity_for(size_t count)
{
	size_t capacity = CAPACITY_FIRST;

	while (capacity / 4 * 3 < count)
		capacity *= 2;
	return capacity;
}

size_t places_bound(size_t size, size_t count)
{
	size_t capacity = capacity_for(count);
	return capacity * size + capacity / 2 * size;
}

static uint64_t key_of(const void *place)
{
	uint64_t key;

	memcpy(&key, place, sizeof key);
	return key;
}

static void *slot_at(const struct places *p, size_t slot)
{
	return p->slots + slot * p->size;
}

/* Where the key stands, or the empty slot where its search ends. */
static size_t slot_of(const struct places *p, uint64_t key)
{
	size_t mask = p->capacity - 1, slot = key & mask;
	uint64_t there;

	while ((there = key_of(slot_at(p, slot))) && there != key)
		slot = (slot + 1) & mask;
	return slot;
}

bool places_reserve(struct places *p, size_t count)
{
	struct places bigger = *p;

	if (p->capacity / 4 * 3 >= count)
		return true;
	bigger.capacity = capacity_for(count);
	if (!budget_take(p->budget, bigger.capacity * p->size))
		return false;
	bigger.slots = slots_new(bigger.capacity * p->size);
	if (!bigger.slots) {
		budget_return(p->budget, bigger.capacity * p->size);
		return false;
	}
	for (size_t i = 0; i < p->capacity; i++) {
		const void *from = places_at(p, i);

		if (from)
			memcpy(slot_at(&bigger, slot_of(&bigger, key_of(from))), from, p->size);
	}
	places_fini(p);
	*p = bigger;
	return true;
}

void *places_find(const struct places *p, uint64_t key)
{
	return p->capacity ? places_at(p, slot_of(p, key)) : NULL;
}

void places_prefetch(const struct places *p, uint64_t key)
{
	const uint8_t *slot;

	if (!p->capacity)
		return;
	slot = slot_at(p, key & (p->capacity - 1));
	__builtin_prefetch(slot);
	__builtin_prefetch(slot + p->size - 1); /* half of them reach into the next line */
}

void *places_add(struct places *p, uint64_t key)
{
	void *place;

	assert(p->count < p->capacity / 4 * 3);
	place = slot_at(p, slot_of(p, key));
	memset(place, 0, p->size);
	memcpy(place, &key, sizeof key);
	p->count++;
	return place;
}

void places_remove(struct places *p, size_t hole)
{
	size_t mask = p->capacity - 1, at = hole;
	const void *there;

	/* What comes behind moves up, unless it would then stand before its own slot. */
	while ((there = places_at(p, at = (at + 1) & mask))) {
		size_t home = key_of(there) & mask;

		if (((at - home) & mask) < ((at - hole) & mask))
			continue;
		memcpy(slot_at(p, hole), there, p->size);
		hole = at;
	}
	memset(slot_at(p, hole), 0, p->size);
	p->count--;
}

void *places_at(const struct places *p, size_t slot)
{
	void *place = slot_at(p, slot);
	return key_of(place) ? place : NULL;
}
