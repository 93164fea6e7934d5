#include "bpf/host/iterator.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <unistd.h>

int iterator_begin(const struct bpf_link *link)
{
	int fd = bpf_iter_create(bpf_link__fd(link));

	return fd < 0 ? -errno : fd;
}

ssize_t iterator_read_some(int fd, void *room, size_t size)
{
	ssize_t n;

	do
		n = read(fd, room, size);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

ssize_t iterator_read(int fd, void *room, size_t size)
{
	ssize_t n;

	do
		n = iterator_read_some(fd, room, size);
	while (n == -EAGAIN);
	return n;
}

int iterator_run(const struct bpf_link *link, struct buffer *records)
{
	uint8_t dropped[512], *room = dropped;
	size_t size = sizeof dropped;
	int fd = iterator_begin(link), pieces = 0;
	ssize_t n;

	if (fd < 0)
		return fd;
	for (;;) {
		if (records) {
			room = buffer_reserve(records, ITERATOR_PIECE_MAX);
			size = ITERATOR_PIECE_MAX;
		}
		n = room ? iterator_read(fd, room, size) : -ENOMEM;
		if (n <= 0)
			break;
		pieces++;
		if (records)
			records->len += (size_t)n;
	}
	close(fd);
	return n < 0 ? (int)n : pieces;
}
