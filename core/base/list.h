/* list: intrusive, doubly linked, circular. The head is a struct list; each member embeds a struct
 * list. */
#ifndef WEIR_BASE_LIST_H
#define WEIR_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *prev, *next;
};

#define LIST_INIT(head)                                                                            \
	{                                                                                          \
		&(head), &(head)                                                                   \
	}

/* The struct of which member is a part. */
#define CONTAINER_OF(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

#define LIST_FIRST(head, type, member)                                                             \
	(list_is_empty(head) ? NULL : CONTAINER_OF((head)->next, type, member))

#define LIST_FOR_EACH(var, head, member)                                                           \
	for (var = CONTAINER_OF((head)->next, __typeof__(*var), member); &var->member != (head);   \
	     var = CONTAINER_OF(var->member.next, __typeof__(*var), member))

/* The same, when the body may remove (and free) var. */
#define LIST_FOR_EACH_SAFE(var, following, head, member)                                           \
	for (var = CONTAINER_OF((head)->next, __typeof__(*var), member),                           \
	    following = CONTAINER_OF(var->member.next, __typeof__(*var), member);                  \
	     &var->member != (head); var = following,                                              \
	    following = CONTAINER_OF(following->member.next, __typeof__(*var), member))

static inline void list_init(struct list *head)
{
	head->prev = head->next = head;
}

static inline bool list_is_empty(const struct list *head)
{
	return head->next == head;
}

static inline void list_insert_after(struct list *where, struct list *member)
{
	member->prev = where;
	member->next = where->next;
	where->next->prev = member;
	where->next = member;
}

static inline void list_push(struct list *head, struct list *member) /* at the end */
{
	list_insert_after(head->prev, member);
}

static inline void list_push_front(struct list *head, struct list *member)
{
	list_insert_after(head, member);
}

/* Leaves the member pointing at itself, so removing twice is harmless. */
static inline void list_remove(struct list *member)
{
	member->prev->next = member->next;
	member->next->prev = member->prev;
	list_init(member);
}

#endif
