#include "supervisor/estates.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/run/estate.h"
#include "common/run/log.h"

struct estate {
	struct ml_list link;
	char *ns, *id;
	uint32_t shard;
	int fd[2];
};

static struct estate *
find(struct ml_list *estates, const char *ns, const char *id, uint32_t shard)
{
	ML_LIST_FOREACH (i, estates) {
		struct estate *e = ML_CONTAINER(i, struct estate, link);

		if (e->shard == shard && strcmp(e->id, id) == 0 && strcmp(e->ns, ns) == 0)
			return e;
	}
	return NULL;
}

static void
drop(struct estate *e)
{
	ml_list_remove(&e->link);
	close(e->fd[0]);
	close(e->fd[1]);
	free(e->ns);
	free(e->id);
	free(e);
}

const int *
ml_estates_get(struct ml_list *estates, const char *ns, const char *id, uint32_t shard)
{
	struct estate *e = find(estates, ns, id, shard);

	if (e != NULL)
		return e->fd;
	e = calloc(1, sizeof(*e));
	if (e == NULL || (e->ns = strdup(ns)) == NULL || (e->id = strdup(id)) == NULL)
		abort();
	e->shard = shard;
	if (ml_estate_pair(e->fd) != 0) {
		ml_warn("-", "no estate for the worker of %s/%s: %s", ns, id, strerror(errno));
		free(e->ns);
		free(e->id);
		free(e);
		return NULL;
	}
	ml_list_append(estates, &e->link);
	return e->fd;
}

void
ml_estates_drop(struct ml_list *estates, const char *ns, const char *id, uint32_t shard)
{
	struct estate *e = find(estates, ns, id, shard);

	if (e != NULL && ml_estate_empty(e->fd))
		drop(e);
}

void
ml_estates_free(struct ml_list *estates)
{
	ML_LIST_FOREACH_SAFE (i, estates)
		drop(ML_CONTAINER(i, struct estate, link));
}
