/* iterator: what an attached BPF iterator writes. */
#ifndef WEIR_BPF_HOST_ITERATOR_H
#define WEIR_BPF_HOST_ITERATOR_H

#include "core/base/buffer.h"

struct bpf_link;

/* Runs it once; appends what it writes to records, or drops it when records is NULL. Returns how many
 * pieces that came in, or a negative errno. */
int iterator_run(const struct bpf_link *link, struct buffer *records);

#endif
