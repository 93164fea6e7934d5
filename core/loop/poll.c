#include "core/loop/poll.h"

#include <stdlib.h>
#include <uv.h>

struct poll {
	uv_poll_t uv;
	void (*on_ready)(void *arg, int events);
	void *arg;
};

struct poll *poll_new(struct loop *l, int fd, void (*on_ready)(void *arg, int events), void *arg)
{
	struct poll *p = calloc(1, sizeof *p);

	if (!p)
		return NULL;
	if (uv_poll_init(loop_uv(l), &p->uv, fd) < 0) {
		free(p);
		return NULL;
	}
	p->uv.data = p;
	p->on_ready = on_ready;
	p->arg = arg;
	return p;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void poll_free(struct poll *p)
{
	if (p)
		uv_close((uv_handle_t *)&p->uv, on_closed);
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
	struct poll *p = handle->data;
	int ready = 0;

	if (events & UV_READABLE || status < 0)
		ready |= POLL_READABLE; /* an error shows when it is read */
	if (events & UV_WRITABLE)
		ready |= POLL_WRITABLE;
	p->on_ready(p->arg, ready);
}

void poll_start(struct poll *p, int events)
{
	uv_poll_start(&p->uv,
	              (events & POLL_READABLE ? UV_READABLE : 0) |
	                      (events & POLL_WRITABLE ? UV_WRITABLE : 0),
	              on_poll);
}

void poll_stop(struct poll *p)
{
	uv_poll_stop(&p->uv);
}
