#include "exporters/file/file_writer.h"

#include "core/wire/compress.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

void file_writer_init(struct file_writer *w, const struct file_writer_config *config,
                      const struct logger *log)
{
	*w = (struct file_writer){.config = *config, .log = log, .fd = -1};
	snprintf(w->path, sizeof w->path, "%s", config->path);
	w->config.path = w->path;
}

static void close_file(struct file_writer *w)
{
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
	w->checked = w->dirty = false;
}

void file_writer_fini(struct file_writer *w)
{
	close_file(w);
	buffer_fini(&w->scratch);
}

/* ---- opening */

static int make_directories(const struct file_writer_config *config, struct error *error)
{
	char path[PATH_MAX];
	size_t len = strlen(config->path);

	if (len >= sizeof path)
		return error_set(error, -ENAMETOOLONG, "the path is longer than %zu bytes",
		                 sizeof path - 1);
	memcpy(path, config->path, len + 1);
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(path, config->directory_mode) < 0 && errno != EEXIST)
			return error_set_retryable(error, -errno, "create the directory %s: %s",
			                           path, strerror(errno));
		*slash = '/';
	}
	return 0;
}

static bool is_device(const char *path)
{
	return strncmp(path, "/dev/", 5) == 0 || strncmp(path, "/proc/", 6) == 0;
}

int file_writer_open(struct file_writer *w, struct error *error)
{
	const char *path = w->config.path;
	struct stat st;
	int r;

	if (w->fd >= 0)
		return 0;
	if (w->config.create_directory && (r = make_directories(&w->config, error)) < 0)
		return r;
	/* readable, so that its end can be looked at; telemetry is nobody else's business */
	w->fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600);
	if (w->fd < 0)
		return error_set_retryable(error, -errno, "open %s: %s%s", path, strerror(errno),
		                           errno == ENOENT ? "; create its directory, or set "
		                                             "create_directory: true"
		                                           : "");
	if (fstat(w->fd, &st) < 0 || !realpath(path, w->real)) {
		r = -errno;
		close_file(w);
		return error_set_retryable(error, r, "open %s: %s", path, strerror(-r));
	}
	w->stream = !S_ISREG(st.st_mode) || is_device(path);
	w->checked = w->stream;
	return 0;
}

/* The old file gets a backup's name, and a new one is begun. */
static int move_aside(struct file_writer *w, struct error *error)
{
	struct error ignored = ERROR_INIT;
	int r;

	if (w->dirty && file_writer_sync(w, &ignored) < 0)
		log_error(w->log, "%s", ignored.message);
	r = file_backup_make(w->real, w->config.localtime);
	if (r < 0)
		return error_set_retryable(error, r, "rename %s: %s", w->real, strerror(-r));
	close_file(w);
	if ((r = file_writer_open(w, error)) < 0)
		return r;
	w->checked = true; /* it is empty */
	file_backups_prune(w->real, &w->config, w->log);
	return 0;
}

/* After opening: the file must end with a whole record before another is appended. */
static int check_end(struct file_writer *w, struct error *error)
{
	bool anew = w->config.start_anew && !w->opened_before;
	uint64_t bytes;
	struct stat st;
	int r;

	if (anew && fstat(w->fd, &st) == 0 && st.st_size > 0) {
		if ((r = move_aside(w, error)) < 0)
			return r;
	}
	w->opened_before = true;
	r = w->checked ? REPAIR_NONE : file_repair(w->fd, &w->config, &bytes);
	if (r < 0)
		return error_set_retryable(error, r, "repair the end of %s: %s", w->real,
		                           strerror(-r));
	if (r == REPAIR_CUT)
		log_warn(w->log, "cut %llu bytes of an unfinished record off the end of %s",
		         (unsigned long long)bytes, w->real);
	if (r == REPAIR_NEWLINE)
		log_warn(w->log, "the last line of %s was unfinished; it was ended", w->real);
	if (r == REPAIR_FOREIGN) {
		log_warn(w->log,
		         "%s holds something else than this format; it is kept under the "
		         "name of a rotated file",
		         w->real);
		if ((r = move_aside(w, error)) < 0)
			return r;
	}
	w->checked = true;
	if (w->config.max_bytes)
		file_backups_prune(w->real, &w->config, w->log);
	return 0;
}

/* False when somebody removed or renamed the file that is open. */
static bool is_at_path(const struct file_writer *w, const struct stat *st)
{
	struct stat there;

	return stat(w->config.path, &there) == 0 && there.st_dev == st->st_dev &&
	       there.st_ino == st->st_ino;
}

/* The file at path is open and whole; *ret_size is its size. */
static int make_ready(struct file_writer *w, uint64_t *ret_size, struct error *error)
{
	struct stat st;
	int r;

	if (w->fd >= 0 && !w->stream && (fstat(w->fd, &st) < 0 || !is_at_path(w, &st))) {
		log_info(w->log, "%s was removed or renamed; going on in a new file",
		         w->config.path);
		file_writer_close(w);
		w->reopenings++;
	}
	if ((r = file_writer_open(w, error)) < 0)
		return r;
	if (!w->checked && (r = check_end(w, error)) < 0)
		return r;
	if (fstat(w->fd, &st) < 0)
		return error_set_retryable(error, -errno, "stat %s: %s", w->real, strerror(errno));
	*ret_size = (uint64_t)st.st_size;
	return 0;
}

/* ---- writing */

static int write_all(int fd, struct iovec *pieces, int n)
{
	while (n) {
		ssize_t written = writev(fd, pieces, n);
		if (written < 0 && errno == EINTR)
			continue;
		if (written <= 0)
			return written < 0 ? -errno : -EIO;
		for (; n && (size_t)written >= pieces->iov_len; pieces++, n--)
			written -= (ssize_t)pieces->iov_len;
		if (n) {
			pieces->iov_base = (char *)pieces->iov_base + written;
			pieces->iov_len -= (size_t)written;
		}
	}
	return 0;
}

static int write_record(struct file_writer *w, struct slice payload, uint64_t size,
                        struct error *error)
{
	uint8_t head[4] = {(uint8_t)(payload.len >> 24), (uint8_t)(payload.len >> 16),
	                   (uint8_t)(payload.len >> 8), (uint8_t)payload.len};
	char newline[] = "\n";
	struct iovec body = {(void *)(uintptr_t)payload.data, payload.len};
	struct iovec frame[] = {{head, sizeof head}, body}, line[] = {body, {newline, 1}};
	int r = write_all(w->fd, w->config.framed ? frame : line, 2);

	if (r < 0) {
		/* What is there of the record goes again. Where that fails too, the next append
		 * opens the file anew and repairs it. */
		if (!w->stream && ftruncate(w->fd, (off_t)size) < 0)
			close_file(w);
		return error_set_retryable(error, r, "write %s: %s", w->real, strerror(-r));
	}
	w->dirty = true;
	w->bytes += payload.len + (w->config.framed ? 4 : 1);
	return 0;
}

/* Too large with this record: a new file. Where that cannot be done the old one grows on: a file
 * that is too large is better than records that are lost. */
static void rotate(struct file_writer *w)
{
	struct error error = ERROR_INIT;

	if (move_aside(w, &error) < 0)
		log_error(w->log, "rotation: %s", error.message);
	else
		w->rotations++;
}

int file_writer_append(struct file_writer *w, struct slice payload, struct error *error)
{
	uint64_t size, record;
	int r;

	if (w->config.compressed) {
		buffer_clear(&w->scratch);
		r = compress_pieces(CODING_ZSTD, &payload, 1, &w->scratch, error);
		if (r < 0)
			return r;
		payload = buffer_slice(&w->scratch);
	}
	record = payload.len + (w->config.framed ? 4 : 1);
	if ((r = make_ready(w, &size, error)) < 0)
		return r;
	if (w->config.max_bytes && !w->stream && size && size + record > w->config.max_bytes) {
		rotate(w);
		if ((r = make_ready(w, &size, error)) < 0)
			return r;
	}
	return write_record(w, payload, size, error);
}

int file_writer_sync(struct file_writer *w, struct error *error)
{
	if (w->fd < 0 || !w->dirty)
		return 0;
	w->dirty = false;
	if (w->stream || fdatasync(w->fd) == 0)
		return 0;
	return error_set_retryable(error, -errno,
	                           "flush %s to disk: %s; what was written since the last flush "
	                           "may be lost when the machine stops",
	                           w->real, strerror(errno));
}

void file_writer_close(struct file_writer *w)
{
	struct error error = ERROR_INIT;

	if (file_writer_sync(w, &error) < 0)
		log_error(w->log, "%s", error.message);
	close_file(w);
}
