#include "core/loop/unix_signal.h"

#include <stdlib.h>
#include <uv.h>

struct unix_signal {
	uv_signal_t uv;
	void (*on_signal)(void *arg, int number);
	void *arg;
};

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void on_uv_signal(uv_signal_t *handle, int number)
{
	struct unix_signal *s = handle->data;
	s->on_signal(s->arg, number);
}

struct unix_signal *unix_signal_new(struct loop *l, int number,
                                    void (*on_signal)(void *arg, int number), void *arg)
{
	struct unix_signal *s = calloc(1, sizeof *s);

	if (!s)
		return NULL;
	s->on_signal = on_signal;
	s->arg = arg;
	s->uv.data = s;
	if (uv_signal_init(loop_uv(l), &s->uv) < 0) {
		free(s);
		return NULL;
	}
	if (uv_signal_start(&s->uv, on_uv_signal, number) < 0) {
		unix_signal_free(s);
		return NULL;
	}
	return s;
}

void unix_signal_free(struct unix_signal *s)
{
	if (s)
		uv_close((uv_handle_t *)&s->uv, on_closed);
}
