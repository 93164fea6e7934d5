/* h2_memory: the memory of one nghttp2 session of a server that has thousands of them.
 *
 * A session takes 26 KiB when it is made, of which 16 are for the frame that is being sent and hardly
 * ever used whole. Here what is taken first lies in one mapping, the frame's buffer last, so that an
 * idle session touches the first three pages and leaves the others to the kernel.
 *
 * nghttp2 1.52 frees twice when an allocation fails while it queues a body. A session to which that has
 * happened is not closed but forgotten: h2_memory_free() takes back all that it had. */
#ifndef WEIR_NET_H2_MEMORY_H
#define WEIR_NET_H2_MEMORY_H

#include <nghttp2/nghttp2.h>
#include <stdbool.h>

struct h2_memory;

/* size zeroed bytes for the session's owner at its beginning, until h2_memory_free(). NULL: no memory. */
void *h2_memory_new(size_t size);
void h2_memory_free(void *owner); /* takes NULL */
bool h2_memory_has_failed(void *owner);

/* For nghttp2_session_server_new3(). Valid as long as owner. */
nghttp2_mem *h2_memory_mem(void *owner);

#endif
