/* iterator: what an attached BPF iterator writes. */
#ifndef WEIR_BPF_HOST_ITERATOR_H
#define WEIR_BPF_HOST_ITERATOR_H

#include "core/base/buffer.h"

#include <sys/types.h>

struct bpf_link;

/* The kernel fills a buffer of eight pages and hands over no more than that at a time, so a read
 * with this much room leaves nothing behind that could be lost. */
enum { ITERATOR_PIECE_MAX = 65536 };

/* Begins a run: a descriptor for iterator_read(), which the caller closes, or a negative errno. */
int iterator_begin(const struct bpf_link *link);

/* The next piece of the run. Returns its length, 0 at the end, or a negative errno. */
ssize_t iterator_read(int fd, void *room, size_t size);

/* The same, and -EAGAIN when the kernel or the program has stopped before there was anything to hand
 * over: the run goes on with the next read. */
ssize_t iterator_read_some(int fd, void *room, size_t size);

/* A whole run; appends what it writes to records, or drops it when records is NULL. Returns how many
 * pieces that came in, or a negative errno. */
int iterator_run(const struct bpf_link *link, struct buffer *records);

#endif
