/* ring: the reading end of a BPF ring buffer.
 *
 * Belongs to one thread. The programs do not wake the reader below their watermark, so it drains on
 * a timer and whenever ring_fd() is readable. */
#ifndef WEIR_BPF_HOST_RING_H
#define WEIR_BPF_HOST_RING_H

#include <stddef.h>
#include <stdint.h>

struct ring;

/* on_record: data is valid during the call. Returns 0, -ENOMEM or what the kernel said. */
int ring_new(int map_fd, void (*on_record)(void *arg, const void *data, size_t size), void *arg,
             struct ring **ret);
void ring_free(struct ring *r); /* takes NULL */

int ring_fd(const struct ring *r);

/* Hands over at most max records; returns how many. */
size_t ring_drain(struct ring *r, size_t max);

uint64_t ring_capacity_bytes(const struct ring *r);
uint64_t ring_used_bytes(const struct ring *r); /* written and not yet drained; any thread */

/* What the kernel takes for max_entries of a ring: the power of two, and multiple of a page, that
 * is not less than bytes; at most 1 GiB. */
uint32_t ring_size_for(size_t bytes);

#endif
