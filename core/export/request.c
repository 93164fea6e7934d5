#include "core/export/request.h"

#include <stdlib.h>
#include <string.h>

struct request *request_new(struct exporter *e, struct batch *batch, size_t queue_size,
                            size_t batch_size, struct done done)
{
	struct request *r = calloc(1, sizeof *r);
	struct entry *entry = calloc(1, sizeof *entry);

	if (!r || !entry) {
		free(r);
		free(entry);
		return NULL;
	}
	entry->done = done;
	entry->size = queue_size;
	entry->parts = 1;
	entry->own = (struct part){.entry = entry, .items = batch->items};
	list_init(&r->link);
	r->exporter = e;
	r->batch = batch;
	r->size = batch_size;
	r->first = r->last = &entry->own;
	return r;
}

void request_free(struct request *r)
{
	if (!r)
		return;
	batch_unref(r->batch);
	free(r);
}

/* Somebody else may hold the batch too, and then it is not ours to add to. */
static bool make_writable(struct request *r)
{
	struct batch *own;

	if (r->batch->refs == 1)
		return true;
	own = batch_new(r->batch->signal, r->batch->arena.budget);
	if (!own)
		return false;
	if (!batch_merge(own, r->batch)) {
		batch_unref(own);
		return false;
	}
	r->batch = own;
	return true;
}

bool request_merge(struct request *r, struct request *from)
{
	if (!make_writable(r) || !batch_merge(r->batch, from->batch))
		return false;
	from->batch = NULL;
	r->size += from->size;
	r->last->next = from->first;
	r->last = from->last;
	request_free(from);
	return true;
}

/* Gives the parts of the first n items to head; spare takes the rest of one that is cut. */
static void split_parts(struct request *r, size_t n, struct request *head, struct part *spare)
{
	struct part *p = r->first, *last = NULL;

	while (p && p->items <= n) {
		n -= p->items;
		last = p;
		p = p->next;
	}
	if (p && n) { /* p is cut: the head keeps it, the rest goes on as spare */
		*spare = (struct part){.next = p->next, .entry = p->entry, .items = p->items - n};
		p->items = n;
		p->entry->parts++;
		if (r->last == p)
			r->last = spare;
		last = p;
		p = spare;
	} else {
		free(spare);
	}
	head->first = last ? r->first : NULL;
	head->last = last;
	if (last)
		last->next = NULL;
	r->first = p;
	if (!p)
		r->last = NULL;
}

int request_split(struct request *r, enum batch_sizer sizer, size_t limit, struct request **ret,
                  struct error *error)
{
	struct request *head = calloc(1, sizeof *head);
	struct part *spare = calloc(1, sizeof *spare);
	size_t n_groups = r->batch->n_groups;
	int code;

	if (!head || !spare)
		code = error_no_memory(error);
	else
		code = batch_split(&r->batch, sizer, limit, &head->batch, error);
	if (code < 0) {
		free(head);
		free(spare);
		return code;
	}
	list_init(&head->link);
	head->exporter = r->exporter;
	split_parts(r, head->batch->items, head, spare);
	head->size = batch_size(head->batch, sizer);
	/* Groups are as long as they were unless one was cut: not all that is left is measured again. */
	if (head->batch->n_groups + r->batch->n_groups == n_groups)
		r->size -= head->size;
	else
		r->size = batch_size(r->batch, sizer);
	*ret = head;
	return 0;
}

/* There may be no memory for a message; the outcome counts without it. */
static void entry_join(struct entry *entry, const struct outcome *part)
{
	if (!outcome_join(&entry->outcome, part))
		return;
	entry->outcome.message = part->message;
	if (entry->parts > 1) {
		free(entry->message);
		entry->outcome.message = entry->message = strdup(part->message);
	}
}

void request_answer(struct request *r, const struct outcome *outcome,
                    void (*on_entry)(void *arg, struct entry *entry), void *arg)
{
	uint64_t rejected = outcome->rejected_items;
	struct part *p = r->first;

	r->first = r->last = NULL;
	while (p) {
		struct part *next = p->next;
		struct entry *entry = p->entry;
		/* The server says how many, not which: they are laid to the first. */
		uint64_t share = rejected < p->items ? rejected : p->items;
		struct outcome part = *outcome;

		rejected -= share;
		entry->outcome.rejected_items += share;
		if (part.status == OUTCOME_OK && share == 0)
			part.message = NULL;
		entry_join(entry, &part);
		if (p != &entry->own)
			free(p);
		if (--entry->parts == 0)
			on_entry(arg, entry);
		p = next;
	}
}
