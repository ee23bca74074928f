/* list.h - intrusive doubly linked list; the head is a struct ml_list too. */
#ifndef ML_COMMON_BASE_LIST_H
#define ML_COMMON_BASE_LIST_H
#include <stdbool.h>
#include <stddef.h>

struct ml_list {
	struct ml_list *next, *prev;
};

#define ML_CONTAINER(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))
#define ML_LIST_FOREACH(i, head) for (struct ml_list *i = (head)->next; i != (head); i = i->next)
/* The body may remove and free i. */
#define ML_LIST_FOREACH_SAFE(i, head)                                                                                  \
	for (struct ml_list *i = (head)->next, *i##_next = i->next; i != (head); i = i##_next, i##_next = i->next)

static inline void
ml_list_init(struct ml_list *l)
{
	l->next = l->prev = l;
}

static inline bool
ml_list_empty(const struct ml_list *l)
{
	return l->next == l;
}

static inline void
ml_list_append(struct ml_list *head, struct ml_list *i)
{
	i->prev = head->prev;
	i->next = head;
	head->prev->next = i;
	head->prev = i;
}

/* i is linked to itself afterwards, so that removing twice is harmless. */
static inline void
ml_list_remove(struct ml_list *i)
{
	i->prev->next = i->next;
	i->next->prev = i->prev;
	ml_list_init(i);
}
#endif
