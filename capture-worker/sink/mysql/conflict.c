#include "capture-worker/sink/mysql/conflict.h"

#include <stdlib.h>

/* As many as TiCDC's; a power of two. */
#define SLOTS 16384

void
sql_conflict_init(struct sql_conflict *c)
{
	*c = (struct sql_conflict){ .slots = calloc(SLOTS, sizeof(struct sql_node *)) };
	if (c->slots == NULL)
		abort();
	c->ready_tail = &c->ready;
}

void
sql_conflict_fini(struct sql_conflict *c)
{
	free(c->slots);
	c->slots = NULL;
}

static void
make_ready(struct sql_conflict *c, struct sql_unit *u)
{
	u->next = NULL;
	*c->ready_tail = u;
	c->ready_tail = &u->next;
	u->queued = true;
}

static void
unlink_node(struct sql_node *n)
{
	*n->at = n->next;
	if (n->next != NULL)
		n->next->at = n->at;
	n->at = NULL;
}

/* u waits for `before`, once. */
static void
depend(struct sql_conflict *c, struct sql_unit *u, struct sql_unit *before)
{
	struct sql_wait *w;

	if (before->stamp == c->stamp)
		return;
	before->stamp = c->stamp;
	w = &u->waits[u->n_waits++];
	*w = (struct sql_wait){ .unit = u };
	*before->waiters_tail = w;
	before->waiters_tail = &w->next;
	u->unfinished++;
	if (!before->assigned)
		u->unassigned++;
	else if (u->worker == SQL_WORKER_ANY)
		u->worker = before->worker;
	else if (u->worker != before->worker)
		u->worker = SQL_WORKER_MIXED;
}

void
sql_conflict_add(struct sql_conflict *c, struct sql_unit *u)
{
	uint32_t from = u->first[0], to = u->first[u->n_rows];

	c->stamp++;
	u->stamp = c->stamp; /* its own keys are no conflict */
	u->worker = SQL_WORKER_ANY;
	u->waiters_tail = &u->waiters;
	for (uint32_t i = from; i < to; i++) {
		struct sql_node **slot = &c->slots[u->hashes[i] % SLOTS], *old = *slot, *node;

		while (old != NULL && old->hash != u->hashes[i])
			old = old->next;
		if (old != NULL && old->unit == u)
			continue;
		if (old != NULL) {
			depend(c, u, old->unit);
			unlink_node(old);
		}
		node = &u->nodes[u->n_nodes++];
		*node = (struct sql_node){ .hash = u->hashes[i], .unit = u, .next = *slot, .at = slot };
		if (node->next != NULL)
			node->next->at = &node->next;
		*slot = node;
	}
	if (u->unfinished == 0 || (u->unassigned == 0 && u->worker >= 0))
		make_ready(c, u);
	else
		c->n_waiting++;
}

struct sql_unit *
sql_conflict_ready(struct sql_conflict *c)
{
	struct sql_unit *u = c->ready;

	if (u == NULL)
		return NULL;
	c->ready = u->next;
	if (c->ready == NULL)
		c->ready_tail = &c->ready;
	u->next = NULL;
	return u;
}

static void
release(struct sql_conflict *c, struct sql_unit *u)
{
	c->n_waiting--;
	make_ready(c, u);
}

void
sql_conflict_assign(struct sql_conflict *c, struct sql_unit *u, int32_t worker)
{
	u->worker = worker;
	u->assigned = true;
	for (struct sql_wait *w = u->waiters; w != NULL; w = w->next) {
		struct sql_unit *x = w->unit;

		if (x->queued)
			continue;
		x->unassigned--;
		if (x->worker == SQL_WORKER_ANY)
			x->worker = worker;
		else if (x->worker != worker)
			x->worker = SQL_WORKER_MIXED;
		if (x->unassigned == 0 && x->worker >= 0)
			release(c, x);
	}
}

void
sql_conflict_finish(struct sql_conflict *c, struct sql_unit *u)
{
	for (uint32_t i = 0; i < u->n_nodes; i++)
		if (u->nodes[i].at != NULL)
			unlink_node(&u->nodes[i]);
	for (struct sql_wait *w = u->waiters; w != NULL; w = w->next) {
		struct sql_unit *x = w->unit;

		x->unfinished--;
		if (x->unfinished == 0 && !x->queued) {
			x->worker = SQL_WORKER_ANY;
			release(c, x);
		}
	}
}
