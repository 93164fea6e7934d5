#include "core/pipeline/fanout.h"

#include <stdio.h>
#include <stdlib.h>

struct fanout {
	struct fanout_branch *branches; /* writers first */
	size_t n, n_writers;
};

/* The outcomes of one batch, until the last has come. */
struct join {
	struct done done;
	size_t pending;
	struct outcome outcome;
	char message[256]; /* of the branch that decided the status */
};

static void join_add(struct join *j, const struct outcome *o)
{
	struct outcome *sum = &j->outcome;

	if (outcome_join(sum, o)) {
		snprintf(j->message, sizeof j->message, "%s", o->message);
		sum->message = j->message;
	}
	if (o->rejected_items > sum->rejected_items) /* every branch was given the same items */
		sum->rejected_items = o->rejected_items;
}

static void on_branch_done(void *arg, const struct outcome *outcome)
{
	struct join *j = arg;

	join_add(j, outcome);
	if (--j->pending)
		return;
	done_call(j->done, &j->outcome);
	free(j);
}

static void branch_consume(const struct fanout_branch *branch, struct batch *batch, struct join *j)
{
	struct done done = {on_branch_done, j};

	if (batch)
		consumer_consume(branch->to, batch, done);
	else
		done_retry(done, 0, "out of memory");
}

static void fanout_consume(void *self, struct batch *batch, struct done done)
{
	struct fanout *f = self;
	struct join *j = calloc(1, sizeof *j);
	size_t n = f->n, n_writers = f->n_writers;

	if (!j) {
		batch_unref(batch);
		done_retry(done, 0, "out of memory");
		return;
	}
	j->done = done;
	j->pending = n;
	/* Clones are made while the original is still whole: readers may hold it, none writes. The
	 * last call may end the join, so nothing of it is touched afterwards. */
	for (size_t i = 0; i < n; i++) {
		bool last = i + 1 == n;
		struct batch *given = last            ? TAKE(batch)
		                      : i < n_writers ? batch_clone(batch)
		                                      : batch_ref(batch);
		branch_consume(&f->branches[i], given, j);
	}
}

struct consumer fanout_new(struct arena *arena, const struct fanout_branch *branches, size_t n)
{
	const struct consumer none = {NULL, NULL};
	struct fanout *f;

	if (n == 1)
		return branches[0].to;
	f = arena_alloc(arena, sizeof *f);
	if (!f || !(f->branches = arena_alloc_array(arena, n, sizeof *branches)))
		return none;
	for (size_t i = 0; i < n; i++)
		if (branches[i].writes)
			f->branches[f->n_writers++] = branches[i];
	f->n = f->n_writers;
	for (size_t i = 0; i < n; i++)
		if (!branches[i].writes)
			f->branches[f->n++] = branches[i];
	return (struct consumer){fanout_consume, f};
}
