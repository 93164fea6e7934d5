#include "exporters/debug/debug_output.h"

#include "core/base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { WIDTH_DEFAULT = 120, WIDTH_LEAST = 40 };

int output_open(struct output *o, const char *path, struct error *error)
{
	*o = (struct output){.path = path, .fd = -1};
	if (strcmp(path, "stdout") == 0)
		o->fd = STDOUT_FILENO;
	else if (strcmp(path, "stderr") == 0)
		o->fd = STDERR_FILENO;
	if (o->fd >= 0)
		return 0;
	o->fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644);
	if (o->fd < 0)
		return error_set(error, -errno, "cannot open %s for writing: %s", path,
		                 strerror(errno));
	o->owned = true;
	return 0;
}

void output_close(struct output *o)
{
	if (o->owned && o->fd >= 0)
		close(o->fd);
	o->fd = -1;
}

/* The descriptor is shared with the shell and others, so it is left blocking: room is waited for
 * with poll(), after which a pipe takes PIPE_BUF bytes without blocking. */
static bool wait_for_room(struct output *o, uint64_t deadline_ns)
{
	struct pollfd p = {.fd = o->fd, .events = POLLOUT};
	uint64_t now = clock_monotonic_ns();
	int n;

	do
		n = poll(&p, 1, now < deadline_ns ? (int)((deadline_ns - now) / NS_PER_MS) + 1 : 0);
	while (n < 0 && errno == EINTR);
	return n > 0;
}

int output_write(struct output *o, struct slice text, struct error *error)
{
	uint64_t deadline = clock_monotonic_ns() + (o->stuck ? 0 : OUTPUT_PATIENCE_NS);

	while (text.len) {
		ssize_t n;

		o->stuck = !wait_for_room(o, deadline);
		if (o->stuck)
			return error_set_retryable(error, -EAGAIN, "%s: nobody reads it", o->path);
		n = write(o->fd, text.data, text.len < PIPE_BUF ? text.len : PIPE_BUF);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) { /* somebody made it non-blocking */
			o->stuck = clock_monotonic_ns() >= deadline;
			if (o->stuck)
				return error_set_retryable(error, -EAGAIN, "%s: nobody reads it",
				                           o->path);
			continue;
		}
		if (n < 0)
			return error_set(error, -errno, "%s: %s", o->path, strerror(errno));
		text.data += n;
		text.len -= (size_t)n;
	}
	return 0;
}

bool output_is_terminal(const struct output *o)
{
	return isatty(o->fd);
}

size_t output_width(const struct output *o)
{
	struct winsize size;

	if (!output_is_terminal(o) || ioctl(o->fd, TIOCGWINSZ, &size) < 0 || !size.ws_col)
		return WIDTH_DEFAULT;
	return size.ws_col < WIDTH_LEAST ? WIDTH_LEAST : size.ws_col;
}
