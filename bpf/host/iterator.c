#include "bpf/host/iterator.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <unistd.h>

/* The kernel fills an iterator's buffer of eight pages and hands over no more than that at a time,
 * so a read with this much room leaves nothing behind that could be lost. */
enum { READ_MAX = 65536 };

int iterator_run(const struct bpf_link *link, struct buffer *records)
{
	int fd = bpf_iter_create(bpf_link__fd(link));
	uint8_t dropped[512], *room = dropped;
	size_t size = sizeof dropped;
	int pieces = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	for (;;) {
		if (records) {
			room = buffer_reserve(records, READ_MAX);
			size = READ_MAX;
		}
		if (!room) {
			n = -1;
			errno = ENOMEM;
			break;
		}
		n = read(fd, room, size);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0)
			break;
		pieces++;
		if (records)
			records->len += (size_t)n;
	}
	if (n < 0)
		n = -errno;
	close(fd);
	return n < 0 ? (int)n : pieces;
}
