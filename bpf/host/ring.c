#include "bpf/host/ring.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { RING_STOP = -ECANCELED };
#define RING_MAX (UINT32_C(1) << 30)

struct ring {
	struct ring_buffer *buffer;
	void (*on_record)(void *arg, const void *data, size_t size);
	void *arg;
	size_t drained, max; /* of the drain that is going on */
	uint64_t capacity;
	size_t page;
	/* Pages that the kernel shares: how far was read, how far was written. */
	const uint64_t *consumed, *produced;
};

static int on_sample(void *arg, void *data, size_t size)
{
	struct ring *r = arg;

	r->drained++;
	r->on_record(r->arg, data, size);
	/* libbpf has moved past this record when it stops. */
	return r->drained < r->max ? 0 : RING_STOP;
}

static const uint64_t *position_map(int map_fd, size_t page, off_t offset)
{
	void *p = mmap(NULL, page, PROT_READ, MAP_SHARED, map_fd, offset);

	return p == MAP_FAILED ? NULL : p;
}

static void position_unmap(const uint64_t *position, size_t page)
{
	if (position)
		munmap((void *)(uintptr_t)position, page);
}

int ring_new(int map_fd, void (*on_record)(void *arg, const void *data, size_t size), void *arg,
             struct ring **ret)
{
	struct bpf_map_info info = {0};
	uint32_t info_len = sizeof info;
	struct ring *r = calloc(1, sizeof *r);
	int error;

	if (!r)
		return -ENOMEM;
	r->on_record = on_record;
	r->arg = arg;
	r->page = (size_t)sysconf(_SC_PAGESIZE);
	if (bpf_obj_get_info_by_fd(map_fd, &info, &info_len) < 0)
		goto fail;
	r->capacity = info.max_entries;
	r->buffer = ring_buffer__new(map_fd, on_sample, r, NULL);
	if (!r->buffer)
		goto fail;
	r->consumed = position_map(map_fd, r->page, 0);
	r->produced = position_map(map_fd, r->page, (off_t)r->page);
	if (!r->consumed || !r->produced)
		goto fail;
	*ret = r;
	return 0;

fail:
	error = errno ? -errno : -EINVAL;
	ring_free(r);
	return error;
}

void ring_free(struct ring *r)
{
	if (!r)
		return;
	position_unmap(r->consumed, r->page);
	position_unmap(r->produced, r->page);
	ring_buffer__free(r->buffer);
	free(r);
}

int ring_fd(const struct ring *r)
{
	return ring_buffer__epoll_fd(r->buffer);
}

size_t ring_drain(struct ring *r, size_t max)
{
	r->drained = 0;
	r->max = max;
	if (max > 0)
		ring_buffer__consume(r->buffer); /* fails by RING_STOP only */
	return r->drained;
}

uint64_t ring_capacity_bytes(const struct ring *r)
{
	return r->capacity;
}

uint64_t ring_used_bytes(const struct ring *r)
{
	uint64_t consumed = __atomic_load_n(r->consumed, __ATOMIC_ACQUIRE);
	uint64_t produced = __atomic_load_n(r->produced, __ATOMIC_ACQUIRE);

	return produced > consumed ? produced - consumed : 0;
}

uint32_t ring_size_for(size_t bytes)
{
	uint32_t size = (uint32_t)sysconf(_SC_PAGESIZE);

	while (size < bytes && size < RING_MAX)
		size *= 2;
	return size;
}
