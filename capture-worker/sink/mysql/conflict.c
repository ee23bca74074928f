#include "capture-worker/sink/mysql/conflict.h"

#include <stdlib.h>

/* As many as TiCDC's; powers of two.  The table grows with what is under way, up to 16 MiB: chains then stay short. */
#define FIRST_SLOTS 16384u
#define MAX_SLOTS (2u << 20)

static struct sql_node **
slots_new(size_t n)
{
	struct sql_node **slots = calloc(n, sizeof(*slots));

	if (slots == NULL)
		abort();
	return slots;
}

void
sql_conflict_init(struct sql_conflict *c)
{
	*c = (struct sql_conflict){ .slots = slots_new(FIRST_SLOTS), .n_slots = FIRST_SLOTS };
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
link_node(struct sql_node *n, struct sql_node **slot)
{
	n->next = *slot;
	n->at = slot;
	if (n->next != NULL)
		n->next->at = &n->next;
	*slot = n;
}

static void
grow(struct sql_conflict *c)
{
	size_t n_slots = c->n_slots * 4;
	struct sql_node **slots = slots_new(n_slots);

	for (size_t i = 0; i < c->n_slots; i++)
		for (struct sql_node *n = c->slots[i], *next; n != NULL; n = next) {
			next = n->next;
			link_node(n, &slots[n->hash & (n_slots - 1)]);
		}
	free(c->slots);
	c->slots = slots;
	c->n_slots = n_slots;
}

static void
unlink_node(struct sql_conflict *c, struct sql_node *n)
{
	c->n_nodes--;
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
	while (c->n_nodes + (to - from) > c->n_slots && c->n_slots < MAX_SLOTS)
		grow(c);
	for (uint32_t i = from; i < to; i++) {
		struct sql_node **slot = &c->slots[u->hashes[i] & (c->n_slots - 1)], *old = *slot, *node;

		while (old != NULL && old->hash != u->hashes[i])
			old = old->next;
		if (old != NULL && old->unit == u)
			continue;
		if (old != NULL) {
			depend(c, u, old->unit);
			unlink_node(c, old);
		}
		node = &u->nodes[u->n_nodes++];
		*node = (struct sql_node){ .hash = u->hashes[i], .unit = u };
		link_node(node, slot);
		c->n_nodes++;
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
			unlink_node(c, &u->nodes[i]);
	for (struct sql_wait *w = u->waiters; w != NULL; w = w->next) {
		struct sql_unit *x = w->unit;

		x->unfinished--;
		if (x->unfinished == 0 && !x->queued) {
			x->worker = SQL_WORKER_ANY;
			release(c, x);
		}
	}
}
