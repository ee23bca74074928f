/* registry.c - the metadata stores of this build, and what all of them share: building and handing over a transaction. */
#include "api-gateway/metastore/metastore.h"

#include <stdlib.h>
#include <string.h>

#include "api-gateway/metastore/mem/mem.h"
#include "api-gateway/metastore/sqlite/sqlite.h"

const struct ml_meta_ops *const ml_meta_stores[] = { &ml_meta_sqlite, &ml_meta_mem, NULL };

int
ml_meta_open(struct ml_meta **out, const char *name, struct ml_loop *l, const char *data_dir, struct ml_err *err)
{
	char known[200] = "";

	if (name == NULL || *name == '\0')
		name = ml_meta_stores[0]->name;
	for (size_t i = 0; ml_meta_stores[i] != NULL; i++) {
		if (strcmp(ml_meta_stores[i]->name, name) == 0)
			return ml_meta_stores[i]->open(out, l, data_dir, err);
		strncat(known, known[0] != '\0' ? ", " : "", sizeof(known) - strlen(known) - 1);
		strncat(known, ml_meta_stores[i]->name, sizeof(known) - strlen(known) - 1);
	}
	return ML_ERRF(err, ErrConfigInvalid, 0,
		"configuration invalid: unknown metadata store '%s'; this build knows %s", name, known);
}

static void *
must(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

struct ml_meta_txn *
ml_meta_txn_new(void)
{
	struct ml_meta_txn *t = must(calloc(1, sizeof(*t)));

	ml_list_init(&t->link);
	return t;
}

void
ml_meta_txn_free(struct ml_meta_txn *t)
{
	if (t == NULL)
		return;
	for (size_t i = 0; i < t->n; i++) {
		free(t->ops[i].key);
		free(t->ops[i].value);
	}
	free(t->ops);
	free(t);
}

static struct ml_meta_op *
add(struct ml_meta_txn *t, enum ml_meta_verb verb, const char *key)
{
	struct ml_meta_op *op;

	if (t->n == t->cap) {
		t->cap = t->cap > 0 ? t->cap * 2 : 4;
		t->ops = must(reallocarray(t->ops, t->cap, sizeof(*t->ops)));
	}
	op = &t->ops[t->n++];
	*op = (struct ml_meta_op){ .verb = verb, .key = must(strdup(key)) };
	return op;
}

void
ml_meta_txn_if(struct ml_meta_txn *t, const char *key, uint64_t mod_rev)
{
	add(t, ML_META_IF, key)->mod_rev = mod_rev;
}

void
ml_meta_txn_put(struct ml_meta_txn *t, const char *key, const void *value, size_t len)
{
	struct ml_meta_op *op = add(t, ML_META_PUT, key);

	op->value = must(malloc(len > 0 ? len : 1));
	if (len > 0)
		memcpy(op->value, value, len);
	op->len = len;
}

void
ml_meta_txn_del(struct ml_meta_txn *t, const char *key)
{
	add(t, ML_META_DEL, key);
}

void
ml_meta_commit(struct ml_meta *m, struct ml_meta_txn *t, ml_meta_done *done, void *arg)
{
	t->done = done;
	t->arg = arg;
	m->ops->commit(m, t);
}

void
ml_meta_close(struct ml_meta *m)
{
	if (m != NULL)
		m->ops->close(m);
}
