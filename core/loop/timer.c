#include "core/loop/timer.h"

#include <stdlib.h>
#include <uv.h>

struct timer {
	uv_timer_t uv;
	void (*on_expired)(void *arg);
	void *arg;
};

struct timer *timer_new(struct loop *l, void (*on_expired)(void *arg), void *arg)
{
	struct timer *t = calloc(1, sizeof *t);

	if (!t)
		return NULL;
	uv_timer_init(loop_uv(l), &t->uv);
	t->uv.data = t;
	t->on_expired = on_expired;
	t->arg = arg;
	return t;
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void timer_free(struct timer *t)
{
	if (t)
		uv_close((uv_handle_t *)&t->uv, on_closed);
}

static void on_timer(uv_timer_t *handle)
{
	struct timer *t = handle->data;
	t->on_expired(t->arg);
}

static uint64_t to_ms(uint64_t ns)
{
	return ns / 1000000 + (ns % 1000000 != 0);
}

void timer_start(struct timer *t, uint64_t delay_ns, uint64_t repeat_ns)
{
	uv_update_time(t->uv.loop);
	/* The loop's clock is cut to whole milliseconds: one more, or the first call came early. */
	uv_timer_start(&t->uv, on_timer, to_ms(delay_ns) + (delay_ns != 0), to_ms(repeat_ns));
}

void timer_stop(struct timer *t)
{
	uv_timer_stop(&t->uv);
}

bool timer_is_active(const struct timer *t)
{
	return uv_is_active((const uv_handle_t *)&t->uv);
}
