#include "processors/reverse_dns/reverse_dns_internal.h"

#include "core/base/buffer.h"
#include "core/base/map.h"
#include "core/base/utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct hosts_entry {
	struct address address;
	uint32_t name, len; /* in the text; len 0: the place is free */
};

struct hosts {
	struct buffer text;
	struct hosts_entry *places; /* an open table, at most half full */
	size_t mask, count;
};

void hosts_free(struct hosts *h)
{
	if (!h)
		return;
	buffer_fini(&h->text);
	free(h->places);
	free(h);
}

size_t hosts_count(const struct hosts *h)
{
	return h ? h->count : 0;
}

/* The entry of that address, or the free place where it belongs. */
static struct hosts_entry *place_find(const struct hosts *h, const struct address *a)
{
	size_t at = hash_bytes(a, sizeof *a) & h->mask;

	while (h->places[at].len && memcmp(&h->places[at].address, a, sizeof *a))
		at = (at + 1) & h->mask;
	return &h->places[at];
}

struct slice hosts_find(const struct hosts *h, const struct address *a)
{
	const struct hosts_entry *e = h ? place_find(h, a) : NULL;

	return e && e->len ? slice_of(h->text.data + e->name, e->len) : slice_of(NULL, 0);
}

static bool places_grow(struct hosts *h)
{
	struct hosts grown = {.mask = h->places ? h->mask * 2 + 1 : 63};

	grown.places = calloc(grown.mask + 1, sizeof *grown.places);
	if (!grown.places)
		return false;
	for (size_t i = 0; h->places && i <= h->mask; i++)
		if (h->places[i].len)
			*place_find(&grown, &h->places[i].address) = h->places[i];
	free(h->places);
	h->places = grown.places;
	h->mask = grown.mask;
	return true;
}

static struct slice word_take(struct slice *line)
{
	const uint8_t *data = line->data;
	size_t begin = 0, end;

	while (begin < line->len &&
	       (data[begin] == ' ' || data[begin] == '\t' || data[begin] == '\r'))
		begin++;
	/* A control character ends the line: the next word begins and ends there. */
	for (end = begin; end < line->len && data[end] > ' ' && data[end] != 0x7f;)
		end++;
	*line = slice_of(data + end, line->len - end);
	return slice_of(data + begin, end - begin);
}

static bool is_text(struct slice s)
{
	for (size_t at = 0, n; at < s.len; at += n)
		if (!(n = utf8_character(s.data + at, s.len - at)))
			return false;
	return true;
}

static int line_take(struct hosts *h, struct slice line)
{
	const uint8_t *comment = line.len ? memchr(line.data, '#', line.len) : NULL;
	struct hosts_entry *e;
	struct address address;
	struct slice word, name;

	if (comment)
		line.len = (size_t)(comment - line.data);
	word = word_take(&line);
	name = word_take(&line);
	if (!name.len || !address_parse(word, &address) || !is_text(name))
		return 0;
	if (h->count * 2 >= h->mask && !places_grow(h))
		return -ENOMEM;
	e = place_find(h, &address);
	if (e->len)
		return 0;
	if (h->count == HOSTS_ADDRESSES_MAX)
		return -E2BIG;
	h->count++;
	*e = (struct hosts_entry){.address = address,
	                          .name = (uint32_t)(name.data - h->text.data),
	                          .len = (uint32_t)name.len};
	return 0;
}

static int text_take(struct hosts *h)
{
	struct slice rest = buffer_slice(&h->text), line;
	const uint8_t *end;
	int r;

	if (!places_grow(h))
		return -ENOMEM;
	while (rest.len) {
		end = memchr(rest.data, '\n', rest.len);
		line = slice_of(rest.data, end ? (size_t)(end - rest.data) : rest.len);
		rest = slice_of(line.data + line.len + (end ? 1 : 0),
		                rest.len - line.len - (end ? 1 : 0));
		if ((r = line_take(h, line)) < 0)
			return r;
	}
	return 0;
}

static int file_read(int fd, struct buffer *to)
{
	for (;;) {
		uint8_t *room = buffer_reserve(to, 65536);
		ssize_t n = room ? read(fd, room, 65536) : 0;

		if (!room)
			return -ENOMEM;
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		to->len += (size_t)n;
		if (to->len > HOSTS_FILE_MAX)
			return -E2BIG;
	}
}

static bool version_equal(const struct file_version *a, const struct file_version *b)
{
	return a->device == b->device && a->inode == b->inode && a->size == b->size &&
	       a->modified.tv_sec == b->modified.tv_sec &&
	       a->modified.tv_nsec == b->modified.tv_nsec &&
	       a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

static struct file_version version_of(const struct stat *s)
{
	return (struct file_version){s->st_dev, s->st_ino, s->st_size, s->st_mtim, s->st_ctim};
}

bool file_is_new(const char *path, struct file_version *version)
{
	struct file_version found;
	struct stat s;

	if (stat(path, &s) < 0)
		return false;
	found = version_of(&s);
	if (version_equal(version, &found))
		return false;
	*version = found;
	return true;
}

/* Opens it when it is a file and another version than the known one; otherwise *ret_fd stays. */
static int file_open(const char *path, struct file_version *version, int *ret_fd)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), r = 0;
	struct file_version found;
	struct stat s;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &s) < 0)
		r = -errno;
	else if (!S_ISREG(s.st_mode))
		r = -EINVAL;
	if (r == 0) {
		found = version_of(&s);
		if (!version_equal(version, &found)) {
			*version = found;
			*ret_fd = fd;
			return 0;
		}
	}
	close(fd);
	return r;
}

static int hosts_error(const char *path, int r, struct error *error)
{
	if (r == -ENOMEM)
		return error_no_memory(error);
	if (r == -E2BIG)
		return error_set(
			error, r,
			"hosts file '%s' is larger than %d MiB or has more than %d addresses", path,
			HOSTS_FILE_MAX >> 20, HOSTS_ADDRESSES_MAX);
	if (r == -EINVAL)
		return error_set(error, r, "hosts file '%s' is not a regular file", path);
	return error_set(error, r, "cannot read hosts file '%s': %s", path, strerror(-r));
}

int hosts_read(const char *path, struct file_version *version, struct hosts **ret,
               struct error *error)
{
	struct file_version found = *version;
	struct hosts *h = NULL;
	int fd = -1, r = file_open(path, &found, &fd);

	if (r < 0)
		return hosts_error(path, r, error);
	if (fd < 0)
		return 0;
	h = calloc(1, sizeof *h);
	r = h ? file_read(fd, &h->text) : -ENOMEM;
	close(fd);
	if (r == 0)
		r = text_take(h);
	if (r < 0) {
		hosts_free(h);
		return hosts_error(path, r, error);
	}
	*version = found;
	*ret = h;
	return 1;
}
