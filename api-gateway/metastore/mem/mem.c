#include "api-gateway/metastore/mem/mem.h"

#include <stdlib.h>
#include <string.h>

struct item {
	char *key;
	void *value;
	size_t len;
	uint64_t mod_rev;
};

struct mem {
	struct ml_meta base;
	struct ml_loop *l;
	struct ml_timer *turn; /* armed while `done` holds commits to report */
	struct ml_list done;
	struct item *items; /* sorted by key */
	size_t n, cap;
	uint64_t rev;
	unsigned fails; /* commits to fail yet */
	struct ml_err fail;
};

/* Index of key, or of the place to put it; *found says which. */
static size_t
find(const struct mem *m, const char *key, bool *found)
{
	size_t lo = 0, hi = m->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		int c = strcmp(m->items[mid].key, key);

		if (c == 0) {
			*found = true;
			return mid;
		}
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	*found = false;
	return lo;
}

static void
report(void *arg)
{
	struct mem *m = arg;

	while (!ml_list_empty(&m->done)) {
		struct ml_meta_txn *t = ML_CONTAINER(m->done.next, struct ml_meta_txn, link);

		ml_list_remove(&t->link);
		t->done(t->outcome, t->rev, &t->err, t->arg);
		ml_meta_txn_free(t);
	}
}

static int
mem_open(struct ml_meta **out, struct ml_loop *l, const char *data_dir, struct ml_err *err)
{
	struct mem *m = calloc(1, sizeof(*m));

	(void)data_dir;
	if (m == NULL)
		return ML_ERR(err, ErrNoMemory, 0, "opening the metadata store");
	m->base.ops = &ml_meta_mem;
	m->l = l;
	ml_list_init(&m->done);
	m->turn = ml_timer_new(l, report, m);
	*out = &m->base;
	return 0;
}

static int
mem_list(struct ml_meta *base, const char *prefix, ml_meta_each *fn, void *arg, struct ml_err *err)
{
	struct mem *m = (struct mem *)base;
	bool found;

	(void)err;
	for (size_t i = find(m, prefix, &found); i < m->n && strncmp(m->items[i].key, prefix, strlen(prefix)) == 0; i++)
		fn(m->items[i].key, m->items[i].value, m->items[i].len, m->items[i].mod_rev, arg);
	return 0;
}

static void
put(struct mem *m, struct ml_meta_op *op, uint64_t rev)
{
	bool found;
	size_t i = find(m, op->key, &found);

	if (!found) {
		if (m->n == m->cap) {
			m->cap = m->cap > 0 ? m->cap * 2 : 16;
			m->items = reallocarray(m->items, m->cap, sizeof(*m->items));
			if (m->items == NULL)
				abort();
		}
		memmove(&m->items[i + 1], &m->items[i], (m->n - i) * sizeof(*m->items));
		m->n++;
		m->items[i].key = op->key;
		op->key = NULL;
	} else {
		free(m->items[i].value);
	}
	m->items[i].value = op->value;
	m->items[i].len = op->len;
	m->items[i].mod_rev = rev;
	op->value = NULL;
}

static void
del(struct mem *m, const char *key)
{
	bool found;
	size_t i = find(m, key, &found);

	if (!found)
		return;
	free(m->items[i].key);
	free(m->items[i].value);
	m->n--;
	memmove(&m->items[i], &m->items[i + 1], (m->n - i) * sizeof(*m->items));
}

static bool
holds(const struct mem *m, const struct ml_meta_op *op)
{
	bool found;
	size_t i = find(m, op->key, &found);

	return found ? m->items[i].mod_rev == op->mod_rev : op->mod_rev == 0;
}

static void
mem_commit(struct ml_meta *base, struct ml_meta_txn *t)
{
	struct mem *m = (struct mem *)base;

	t->outcome = ML_META_DONE;
	if (m->fails > 0) {
		m->fails--;
		t->outcome = ML_META_FAILED;
		t->err = m->fail;
	}
	for (size_t i = 0; i < t->n && t->outcome == ML_META_DONE; i++)
		if (t->ops[i].verb == ML_META_IF && !holds(m, &t->ops[i]))
			t->outcome = ML_META_CONFLICT;
	if (t->outcome == ML_META_DONE) {
		t->rev = ++m->rev;
		for (size_t i = 0; i < t->n; i++) {
			if (t->ops[i].verb == ML_META_PUT)
				put(m, &t->ops[i], t->rev);
			else if (t->ops[i].verb == ML_META_DEL)
				del(m, t->ops[i].key);
		}
	}
	ml_list_append(&m->done, &t->link);
	ml_timer_arm(m->turn, 0);
}

static void
mem_close(struct ml_meta *base)
{
	struct mem *m = (struct mem *)base;

	report(m);
	ml_timer_free(m->turn);
	for (size_t i = 0; i < m->n; i++) {
		free(m->items[i].key);
		free(m->items[i].value);
	}
	free(m->items);
	free(m);
}

void
ml_meta_mem_fail(struct ml_meta *base, unsigned n, const struct ml_err *err)
{
	struct mem *m = (struct mem *)base;

	m->fails = n;
	m->fail = *err;
}

const struct ml_meta_ops ml_meta_mem = {
	.name = "mem",
	.open = mem_open,
	.list = mem_list,
	.commit = mem_commit,
	.close = mem_close,
};
