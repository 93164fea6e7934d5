#include "core/loop/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <uv.h>

struct loop {
	uv_loop_t uv;
	uv_async_t wake;
	uv_mutex_t mutex;
	struct loop_message *first, **last; /* guarded by mutex */
};

/* False when there was none. */
static bool deliver_messages(struct loop *l)
{
	struct loop_message *m;

	uv_mutex_lock(&l->mutex);
	m = l->first;
	l->first = NULL;
	l->last = &l->first;
	uv_mutex_unlock(&l->mutex);
	if (!m)
		return false;
	while (m) {
		struct loop_message *next = m->next;
		m->deliver(m);
		m = next;
	}
	return true;
}

static void on_wake(uv_async_t *handle)
{
	deliver_messages(handle->data);
}

int loop_new(struct loop **ret, struct error *error)
{
	struct loop *l = calloc(1, sizeof *l);
	int r;

	if (!l)
		return error_no_memory(error);
	l->last = &l->first;
	r = uv_mutex_init(&l->mutex);
	if (r < 0) {
		free(l);
		return error_set(error, r, "event loop: %s", uv_strerror(r));
	}
	r = uv_loop_init(&l->uv);
	if (r < 0)
		goto no_loop;
	r = uv_async_init(&l->uv, &l->wake, on_wake);
	if (r < 0) {
		uv_loop_close(&l->uv);
		goto no_loop;
	}
	l->wake.data = l;
	uv_unref((uv_handle_t *)&l->wake);
	*ret = l;
	return 0;

no_loop:
	uv_mutex_destroy(&l->mutex);
	free(l);
	return error_set(error, r, "event loop: %s", uv_strerror(r));
}

void loop_run(struct loop *l)
{
	/* Waiting for messages does not keep libuv running, but those that have come are
	 * delivered. */
	do
		uv_run(&l->uv, UV_RUN_DEFAULT);
	while (deliver_messages(l));
}

bool loop_run_once(struct loop *l)
{
	return uv_run(&l->uv, UV_RUN_ONCE) != 0 || deliver_messages(l);
}

static void on_time_over(uv_timer_t *timer)
{
	*(bool *)timer->data = true;
}

bool loop_run_for(struct loop *l, uint64_t timeout_ns)
{
	bool over = false, left = true;
	uv_timer_t timer;

	uv_timer_init(&l->uv, &timer);
	timer.data = &over;
	uv_update_time(&l->uv);
	uv_timer_start(&timer, on_time_over, (timeout_ns + 999999) / 1000000, 0);
	uv_unref((uv_handle_t *)&timer);
	while (left && !over)
		left = loop_run_once(l);
	uv_close((uv_handle_t *)&timer, NULL);
	uv_run(&l->uv, UV_RUN_NOWAIT); /* the timer is on this stack: it is closed before we go */
	return !left || !uv_loop_alive(&l->uv);
}

void loop_free(struct loop *l)
{
	if (!l)
		return;
	uv_close((uv_handle_t *)&l->wake, NULL);
	uv_run(&l->uv, UV_RUN_DEFAULT);
	if (uv_loop_close(&l->uv) != 0)
		abort(); /* a handle was never freed: a bug of its owner */
	uv_mutex_destroy(&l->mutex);
	free(l);
}

uint64_t loop_now_ns(const struct loop *l)
{
	return uv_now(&l->uv) * UINT64_C(1000000);
}

void loop_post(struct loop *l, struct loop_message *m)
{
	uv_mutex_lock(&l->mutex);
	m->next = NULL;
	*l->last = m;
	l->last = &m->next;
	uv_mutex_unlock(&l->mutex);
	uv_async_send(&l->wake);
}

struct uv_loop_s *loop_uv(struct loop *l)
{
	return &l->uv;
}
