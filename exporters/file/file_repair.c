/* What a crash can leave at the end of a file: a line without its end, a record whose bytes are not
 * all there, or zeros where the file system had given room but not written yet.
 *
 * The form of what is there is checked before anything is cut, so that a file of another kind (the
 * format was changed, the path was mistyped) loses nothing. */
#include "exporters/file/file_writer.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint8_t zstd_magic[] = {0x28, 0xb5, 0x2f, 0xfd};
enum { REQUEST_TAG = 0x0a }; /* every OTLP request begins with field 1, length-delimited */

static int read_at(int fd, void *data, size_t len, uint64_t at)
{
	ssize_t n;

	do
		n = pread(fd, data, len, (off_t)at);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO; /* the file shrank under our eyes */
}

/* *ret: the size of the file without the zeros at its end. */
static int end_of_data(int fd, uint64_t from, uint64_t size, uint64_t *ret)
{
	uint8_t block[4096];
	int r;

	while (size > from) {
		size_t n = size - from < sizeof block ? size - from : sizeof block;
		if ((r = read_at(fd, block, n, size - n)) < 0)
			return r;
		while (n && block[n - 1] == 0) {
			n--;
			size--;
		}
		if (n)
			break;
	}
	*ret = size;
	return 0;
}

static int cut(int fd, uint64_t to)
{
	return ftruncate(fd, (off_t)to) < 0 ? -errno : REPAIR_CUT;
}

static int repair_lines(int fd, uint64_t size, uint64_t *ret_bytes)
{
	uint8_t first, last;
	uint64_t end;
	int r;

	if ((r = end_of_data(fd, 0, size, &end)) < 0)
		return r;
	if (end && (r = read_at(fd, &first, 1, 0)) < 0)
		return r;
	if (end && first != '{')
		return REPAIR_FOREIGN;
	if (end < size) {
		*ret_bytes = size - end;
		if ((r = cut(fd, end)) < 0)
			return r;
	}
	if (!end)
		return *ret_bytes ? REPAIR_CUT : REPAIR_NONE;
	if ((r = read_at(fd, &last, 1, end - 1)) < 0)
		return r;
	if (last == '\n')
		return *ret_bytes ? REPAIR_CUT : REPAIR_NONE;
	return write(fd, "\n", 1) == 1 ? REPAIR_NEWLINE : -errno;
}

static bool payload_fits(const struct file_writer_config *config, const uint8_t *payload,
                         size_t len)
{
	if (config->compressed)
		return memcmp(payload, zstd_magic, len < 4 ? len : 4) == 0;
	return payload[0] == REQUEST_TAG;
}

static int repair_frames(int fd, const struct file_writer_config *config, uint64_t size,
                         uint64_t *ret_bytes)
{
	uint64_t at = 0, end;
	int r;

	while (at < size) {
		uint8_t head[8];
		uint64_t left = size - at, len;
		size_t n = left < sizeof head ? left : sizeof head;
		if ((r = read_at(fd, head, n, at)) < 0)
			return r;
		if (n <= 4) /* not even a whole length; records are not empty */
			break;
		len = (uint64_t)head[0] << 24 | (uint64_t)head[1] << 16 | (uint64_t)head[2] << 8 |
		      head[3];
		if (len == 0) { /* zeros up to the end of the file, or no record */
			if ((r = end_of_data(fd, at, size, &end)) < 0)
				return r;
			if (end != at)
				return REPAIR_FOREIGN;
			break;
		}
		if (len >= RECORD_LIMIT ||
		    !payload_fits(config, head + 4, len < n - 4 ? len : n - 4))
			return REPAIR_FOREIGN;
		if (len > left - 4)
			break;
		at += 4 + len;
	}
	if (at == size)
		return REPAIR_NONE;
	*ret_bytes = size - at;
	return cut(fd, at);
}

int file_repair(int fd, const struct file_writer_config *config, uint64_t *ret_bytes)
{
	struct stat st;

	*ret_bytes = 0;
	if (fstat(fd, &st) < 0)
		return -errno;
	return config->framed ? repair_frames(fd, config, (uint64_t)st.st_size, ret_bytes)
	                      : repair_lines(fd, (uint64_t)st.st_size, ret_bytes);
}
