#include "core/net/h2_memory.h"

#include "core/base/list.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
	MAPPED_BYTES = 7 * 4096,
	/* What nghttp2 takes for frames, and takes last. */
	FRAME_BYTES = 16 * 1024,
	ALIGNMENT = 16,
};

struct h2_memory {
	nghttp2_mem mem;
	struct list blocks; /* that come from malloc() */
	size_t used;
	bool full; /* what comes from here on is a block */
	bool failed;
};

struct block {
	struct list link;
	uint8_t bytes[]; /* as aligned as malloc()'s */
};

static size_t aligned(size_t n)
{
	return (n + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
}

static struct h2_memory *memory_of(void *owner)
{
	return (struct h2_memory *)(void *)((uint8_t *)owner - aligned(sizeof(struct h2_memory)));
}

/* Bytes from p to the end of the mapping; 0: it is not in there. */
static size_t bytes_from(const struct h2_memory *m, const void *p)
{
	uintptr_t at = (uintptr_t)p, begin = (uintptr_t)m;

	return at >= begin && at < begin + MAPPED_BYTES ? begin + MAPPED_BYTES - at : 0;
}

static void *take(struct h2_memory *m, size_t size)
{
	uint8_t *p = (uint8_t *)m + m->used;

	if (m->full || size > MAPPED_BYTES - m->used)
		return NULL;
	m->used += aligned(size) < MAPPED_BYTES - m->used ? aligned(size) : MAPPED_BYTES - m->used;
	m->full = size >= FRAME_BYTES;
	return p;
}

static void *linked(struct h2_memory *m, struct block *b)
{
	if (!b) {
		m->failed = true;
		return NULL;
	}
	list_push(&m->blocks, &b->link);
	return b->bytes;
}

static void *on_malloc(size_t size, void *memory)
{
	void *p = take(memory, size);

	return p ? p : linked(memory, malloc(sizeof(struct block) + size));
}

static void *on_calloc(size_t n, size_t size, void *memory)
{
	void *p;

	if (n > 0 && size > SIZE_MAX / 2 / n)
		return NULL;
	p = take(memory, n * size); /* nothing is taken twice, so what is mapped is still zero */

	return p ? p : linked(memory, calloc(1, sizeof(struct block) + n * size));
}

static void on_free(void *p, void *memory)
{
	struct block *b;

	if (!p || bytes_from(memory, p))
		return;
	b = CONTAINER_OF(p, struct block, bytes);
	list_remove(&b->link);
	free(b);
}

static void *on_realloc(void *old, size_t size, void *memory)
{
	size_t most = bytes_from(memory, old);
	struct block *b, *larger;
	void *p;

	if (!old || most) {
		p = on_malloc(size, memory);
		if (p && old)
			memcpy(p, old, size < most ? size : most);
		return p;
	}
	b = CONTAINER_OF(old, struct block, bytes);
	list_remove(&b->link);
	larger = realloc(b, sizeof *b + size);
	if (!larger)
		list_push(&((struct h2_memory *)memory)->blocks, &b->link);
	return linked(memory, larger);
}

void *h2_memory_new(size_t size)
{
	void *mapped = mmap(NULL, MAPPED_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
	                    -1, 0);
	struct h2_memory *m = mapped;

	if (mapped == MAP_FAILED)
		return NULL;
	/* Neighbours become one area; as huge pages it would be resident whole. A kernel without
	 * them refuses. */
	(void)madvise(mapped, MAPPED_BYTES, MADV_NOHUGEPAGE);
	m->mem = (nghttp2_mem){m, on_malloc, on_free, on_calloc, on_realloc};
	list_init(&m->blocks);
	m->used = aligned(sizeof *m);
	return take(m, size);
}

void h2_memory_free(void *owner)
{
	struct h2_memory *m;
	struct block *b;

	if (!owner)
		return;
	m = memory_of(owner);
	while ((b = LIST_FIRST(&m->blocks, struct block, link)))
		on_free(b->bytes, m);
	munmap(m, MAPPED_BYTES);
}

bool h2_memory_has_failed(void *owner)
{
	return memory_of(owner)->failed;
}

nghttp2_mem *h2_memory_mem(void *owner)
{
	return &memory_of(owner)->mem;
}
