#include "core/base/clock.h"
#include "core/loop/loop.h"
#include "core/loop/poll.h"
#include "core/loop/timer.h"
#include "core/loop/unix_signal.h"
#include "core/loop/work.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static struct loop *new_loop(void)
{
	struct loop *l = NULL;
	assert_int_equal(loop_new(&l, NULL), 0);
	return l;
}

struct ticks {
	struct timer *timer;
	int count, until;
	uint64_t last_ns;
};

static void on_tick(void *arg)
{
	struct ticks *t = arg;

	t->last_ns = clock_monotonic_ns();
	if (++t->count == t->until) {
		timer_free(t->timer);
		t->timer = NULL;
	}
}

static void a_loop_without_work_ends_at_once(void **state)
{
	struct loop *l = new_loop();

	loop_run(l);
	assert_false(loop_run_once(l));
	loop_free(l);
	loop_free(NULL);
}

static void a_timer_fires_once_and_never_early(void **state)
{
	struct loop *l = new_loop();

	for (int i = 0; i < 20; i++) {
		struct ticks t = {.until = 1};
		uint64_t delay = NS_PER_MS + (uint64_t)i * 137 * NS_PER_US;
		uint64_t start = clock_monotonic_ns();
		t.timer = timer_new(l, on_tick, &t);
		assert_non_null(t.timer);
		assert_false(timer_is_active(t.timer));
		timer_start(t.timer, delay, 0);
		assert_true(timer_is_active(t.timer));
		loop_run(l);
		assert_int_equal(t.count, 1);
		assert_true(t.last_ns - start >= delay);
	}
	loop_free(l);
}

static void a_timer_repeats_until_it_is_freed(void **state)
{
	struct loop *l = new_loop();
	struct ticks t = {.until = 5};

	t.timer = timer_new(l, on_tick, &t);
	timer_start(t.timer, 0, NS_PER_MS);
	loop_run(l);
	assert_int_equal(t.count, 5);
	loop_free(l);
}

static void a_stopped_or_freed_timer_does_not_call_back(void **state)
{
	struct loop *l = new_loop();
	struct ticks stopped = {.until = 1}, freed = {.until = 1};

	stopped.timer = timer_new(l, on_tick, &stopped);
	freed.timer = timer_new(l, on_tick, &freed);
	timer_start(stopped.timer, 0, 0);
	timer_start(freed.timer, 0, 0);
	timer_stop(stopped.timer);
	timer_free(freed.timer);
	timer_free(NULL);
	loop_run(l);
	assert_int_equal(stopped.count, 0);
	assert_int_equal(freed.count, 0);
	timer_free(stopped.timer);
	loop_free(l);
}

struct posted {
	struct loop_message message;
	struct posts *posts;
	int n;
};

struct posts {
	struct loop *loop;
	struct timer *alive;
	struct posted messages[1000];
	int delivered;
	bool in_order;
};

static void deliver(struct loop_message *m)
{
	struct posted *p = (struct posted *)m;

	p->posts->in_order &= p->n == p->posts->delivered;
	if (++p->posts->delivered == 1000) {
		timer_free(p->posts->alive);
		p->posts->alive = NULL;
	}
}

static void *post_all(void *arg)
{
	struct posts *p = arg;

	for (int i = 0; i < 1000; i++) {
		p->messages[i] = (struct posted){.message.deliver = deliver, .posts = p, .n = i};
		loop_post(p->loop, &p->messages[i].message);
	}
	return NULL;
}

static void never(void *arg)
{
	fail_msg("the messages did not arrive in time");
}

static void messages_of_a_thread_arrive_in_order(void **state)
{
	struct posts *p = calloc(1, sizeof *p);
	pthread_t thread;

	assert_non_null(p);
	p->in_order = true;
	p->loop = new_loop();
	p->alive = timer_new(p->loop, never, NULL);
	timer_start(p->alive, 30 * NS_PER_S, 0);
	assert_int_equal(pthread_create(&thread, NULL, post_all, p), 0);
	loop_run(p->loop);
	pthread_join(thread, NULL);
	assert_int_equal(p->delivered, 1000);
	assert_true(p->in_order);
	loop_free(p->loop);
	free(p);
}

struct repost {
	struct loop_message message;
	struct loop *loop;
	int left;
};

static void deliver_again(struct loop_message *m)
{
	struct repost *r = (struct repost *)m;

	if (r->left-- > 0)
		loop_post(r->loop, m);
}

static void a_message_that_was_posted_is_delivered_before_the_loop_ends(void **state)
{
	struct repost r = {.message.deliver = deliver_again, .left = 3};

	r.loop = new_loop();
	loop_post(r.loop, &r.message);
	loop_run(r.loop);
	assert_int_equal(r.left, -1);
	r.left = 0;
	loop_post(r.loop, &r.message);
	while (loop_run_once(r.loop))
		;
	assert_int_equal(r.left, -1);
	loop_free(r.loop);
}

struct job {
	pthread_t ran_on, done_on;
	int ran, done;
};

static void run_job(void *arg)
{
	struct job *j = arg;
	j->ran++;
	j->ran_on = pthread_self();
}

static void on_job_done(void *arg)
{
	struct job *j = arg;
	j->done++;
	j->done_on = pthread_self();
}

static void work_runs_on_another_thread_and_is_done_on_the_loop(void **state)
{
	struct loop *l = new_loop();
	struct job jobs[50] = {0};

	for (int i = 0; i < 50; i++)
		assert_int_equal(work_submit(l, run_job, on_job_done, &jobs[i]), 0);
	loop_run(l);
	for (int i = 0; i < 50; i++) {
		assert_int_equal(jobs[i].ran, 1);
		assert_int_equal(jobs[i].done, 1);
		assert_false(pthread_equal(jobs[i].ran_on, pthread_self()));
		assert_true(pthread_equal(jobs[i].done_on, pthread_self()));
	}
	loop_free(l);
}

/* Hangs until somebody writes to the pipe. */
static void wait_for_byte(void *arg)
{
	char byte;

	assert_int_equal(read(*(const int *)arg, &byte, 1), 1);
}

static void on_byte_read(void *arg)
{
}

static void running_for_a_time_does_not_wait_for_work_that_hangs(void **state)
{
	struct loop *l = new_loop();
	int pipe_ends[2];

	assert_true(loop_run_for(l, 60 * NS_PER_S)); /* nothing to wait for */
	assert_int_equal(pipe(pipe_ends), 0);
	assert_int_equal(work_submit(l, wait_for_byte, on_byte_read, &pipe_ends[0]), 0);
	assert_false(loop_run_for(l, 20 * NS_PER_MS));
	assert_int_equal(write(pipe_ends[1], "x", 1), 1);
	assert_true(loop_run_for(l, 60 * NS_PER_S));
	loop_free(l);
	close(pipe_ends[0]);
	close(pipe_ends[1]);
}

struct pipe_end {
	struct poll *poll;
	int fd, events, calls;
	bool stop;
};

static void on_ready(void *arg, int events)
{
	struct pipe_end *p = arg;
	char c;

	p->calls++;
	p->events |= events;
	if (events & POLL_READABLE && read(p->fd, &c, 1) == 1 && !p->stop)
		return;
	poll_free(p->poll);
	p->poll = NULL;
}

static void poll_tells_when_a_descriptor_is_ready(void **state)
{
	struct loop *l = new_loop();
	struct pipe_end reader = {0}, writer = {0};
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	reader.fd = ends[0];
	reader.poll = poll_new(l, ends[0], on_ready, &reader);
	writer.poll = poll_new(l, ends[1], on_ready, &writer);
	assert_non_null(reader.poll);
	assert_non_null(writer.poll);
	poll_start(writer.poll, POLL_WRITABLE);
	loop_run(l); /* the writer is ready at once and frees itself */
	assert_int_equal(writer.events, POLL_WRITABLE);

	assert_int_equal(write(ends[1], "xy", 2), 2);
	close(ends[1]);
	poll_start(reader.poll, POLL_READABLE);
	loop_run(l); /* two bytes, then the end */
	assert_int_equal(reader.events, POLL_READABLE);
	assert_int_equal(reader.calls, 3);
	close(ends[0]);
	loop_free(l);
}

static void poll_refuses_what_cannot_be_polled(void **state)
{
	struct loop *l = new_loop();

	assert_null(poll_new(l, -1, on_ready, NULL));
	poll_free(NULL);
	loop_free(l);
}

struct watcher {
	struct unix_signal *signal;
	int seen;
};

static void on_signal(void *arg, int number)
{
	struct watcher *w = arg;

	w->seen = number;
	unix_signal_free(w->signal);
}

static void every_watcher_of_a_signal_is_called(void **state)
{
	struct loop *l = new_loop();
	struct watcher a = {0}, b = {0};

	a.signal = unix_signal_new(l, SIGUSR1, on_signal, &a);
	b.signal = unix_signal_new(l, SIGUSR1, on_signal, &b);
	assert_non_null(a.signal);
	assert_non_null(b.signal);
	assert_int_equal(kill(getpid(), SIGUSR1), 0);
	loop_run(l);
	assert_int_equal(a.seen, SIGUSR1);
	assert_int_equal(b.seen, SIGUSR1);
	assert_null(unix_signal_new(l, 4711, on_signal, &a));
	unix_signal_free(NULL);
	loop_free(l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_loop_without_work_ends_at_once),
		cmocka_unit_test(a_timer_fires_once_and_never_early),
		cmocka_unit_test(a_timer_repeats_until_it_is_freed),
		cmocka_unit_test(a_stopped_or_freed_timer_does_not_call_back),
		cmocka_unit_test(messages_of_a_thread_arrive_in_order),
		cmocka_unit_test(a_message_that_was_posted_is_delivered_before_the_loop_ends),
		cmocka_unit_test(work_runs_on_another_thread_and_is_done_on_the_loop),
		cmocka_unit_test(running_for_a_time_does_not_wait_for_work_that_hangs),
		cmocka_unit_test(poll_tells_when_a_descriptor_is_ready),
		cmocka_unit_test(poll_refuses_what_cannot_be_polled),
		cmocka_unit_test(every_watcher_of_a_signal_is_called),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
