/*
 * blackhole.c - the smallest complete sink (sinks.md 5): every batch is durable at once, nothing can fail, and host, path and
 * query of its URI mean nothing.
 */
#include "capture-worker/sink/blackhole/blackhole.h"

#include <stdlib.h>

#include "common/base/fault.h"
#include "common/run/log.h"

struct blackhole {
	struct ml_sink base;
	const struct ml_sink_env *env;
};

static int
check(const struct ml_sink_env *env, struct ml_err *err)
{
	(void)env;
	(void)err;
	return 0;
}

static int
open_sink(struct ml_sink **out, const struct ml_sink_env *env, struct ml_err *err)
{
	struct blackhole *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return ML_ERR(err, ErrNoMemory, 0, "opening the blackhole sink");
	s->base.ops = &ml_sink_blackhole;
	s->env = env;
	*out = &s->base;
	return 0;
}

static int
write_batch(struct ml_sink *base, struct ml_batch *b, struct ml_err *err)
{
	struct blackhole *s = (struct blackhole *)base;
	uint64_t seq = b->seq;

	(void)err;
	if (ml_fault("sink_crash", s->env->spec->id))
		abort();
	ml_batch_free(b);
	s->env->durable(s->env->arg, seq);
	return 0;
}

static int
flush(struct ml_sink *base, struct ml_err *err)
{
	(void)base;
	(void)err;
	return 0;
}

static int
ddl(struct ml_sink *base, const struct ml_ddl *ddl, const struct ml_msg *m, bool all_partitions, struct ml_err *err)
{
	struct blackhole *s = (struct blackhole *)base;

	(void)m;
	(void)all_partitions;
	(void)err;
	ml_debug(s->env->object, "blackhole took a DDL commit_ts=%llu action=%d", (unsigned long long)ddl->commit_ts,
		ddl->action);
	return 0;
}

static int
checkpoint(struct ml_sink *base, ml_ts ts, const struct ml_msg *m, struct ml_topic **topics, size_t n_topics,
	struct ml_err *err)
{
	struct blackhole *s = (struct blackhole *)base;

	(void)m;
	(void)topics;
	(void)n_topics;
	(void)err;
	ml_debug(s->env->object, "blackhole took a checkpoint ts=%llu", (unsigned long long)ts);
	return 0;
}

static int
tick(struct ml_sink *base, struct ml_err *err)
{
	(void)base;
	(void)err;
	return 0;
}

static void
close_sink(struct ml_sink *base)
{
	free(base);
}

const struct ml_sink_ops ml_sink_blackhole = {
	.schemes = { "blackhole" },
	.takes = ML_TAKES_NOTHING,
	.check = check,
	.open = open_sink,
	.write = write_batch,
	.flush = flush,
	.ddl = ddl,
	.checkpoint = checkpoint,
	.tick = tick,
	.close = close_sink,
};
