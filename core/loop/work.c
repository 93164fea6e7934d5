#include "core/loop/work.h"

#include <errno.h>
#include <stdlib.h>
#include <uv.h>

struct work {
	uv_work_t uv;
	void (*run)(void *arg);
	void (*on_done)(void *arg);
	void *arg;
};

static void run_work(uv_work_t *uv)
{
	struct work *w = uv->data;
	w->run(w->arg);
}

static void after_work(uv_work_t *uv, int status)
{
	struct work *w = uv->data;
	void (*on_done)(void *arg) = w->on_done;
	void *arg = w->arg;

	(void)status; /* never cancelled */
	free(w);
	on_done(arg);
}

int work_submit(struct loop *l, void (*run)(void *arg), void (*on_done)(void *arg), void *arg)
{
	struct work *w = calloc(1, sizeof *w);

	if (!w)
		return -ENOMEM;
	*w = (struct work){.run = run, .on_done = on_done, .arg = arg};
	w->uv.data = w;
	uv_queue_work(loop_uv(l), &w->uv, run_work, after_work); /* fails only without a callback */
	return 0;
}
