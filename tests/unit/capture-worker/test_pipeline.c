/*
 * The pipeline between a scripted source and a sink that notes what it is told: order, barriers, checkpoints, failures.
 * Both stand in for the real ones by defining the registries' look-ups here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture-worker/pipeline.h"
#include "capture-worker/sink/sink.h"
#include "capture-worker/source/source.h"

/* ---- the sink: writes one line a call into a notebook ---- */

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	char notes[8192];
	uint64_t held[64]; /* batches not yet said to be durable */
	int n_held;
	bool hold; /* keep acknowledgements back */
	bool break_write;
	const struct ml_sink_env *env;
	struct ml_sink_env env_copy;
} book = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static void
note(const char *fmt, ...)
{
	size_t n;
	va_list ap;

	pthread_mutex_lock(&book.lock);
	n = strlen(book.notes);
	va_start(ap, fmt);
	vsnprintf(book.notes + n, sizeof(book.notes) - n, fmt, ap);
	va_end(ap);
	pthread_cond_broadcast(&book.changed);
	pthread_mutex_unlock(&book.lock);
}

static void
wait_for(const char *text)
{
	pthread_mutex_lock(&book.lock);
	while (strstr(book.notes, text) == NULL)
		pthread_cond_wait(&book.changed, &book.lock);
	pthread_mutex_unlock(&book.lock);
}

static void
release(void)
{
	uint64_t seqs[64];
	int n;

	pthread_mutex_lock(&book.lock);
	book.hold = false;
	n = book.n_held;
	memcpy(seqs, book.held, sizeof(seqs));
	book.n_held = 0;
	pthread_mutex_unlock(&book.lock);
	for (int i = n; i-- > 0;) /* backwards: any order must do */
		book.env_copy.durable(book.env_copy.arg, seqs[i]);
}

static int
fake_check(const struct ml_sink_env *env, struct ml_err *err)
{
	(void)env;
	(void)err;
	return 0;
}

static struct ml_sink_ops fake_sink_ops;

static int
fake_open(struct ml_sink **out, const struct ml_sink_env *env, struct ml_err *err)
{
	static struct ml_sink s;

	(void)err;
	s.ops = &fake_sink_ops;
	book.env_copy = *env;
	*out = &s;
	return 0;
}

static int
fake_write(struct ml_sink *s, struct ml_batch *b, struct ml_err *err)
{
	uint64_t seq = b->seq;
	bool hold;

	(void)s;
	if (book.break_write) {
		ml_batch_free(b);
		return ML_ERR(err, ErrStorageSinkSendFailed, 28, "file", "No space left on device");
	}
	for (uint32_t i = 0; i < b->n_msgs; i++)
		note("row %.*s\n", (int)(b->msgs[i].value_len < 60 ? b->msgs[i].value_len : 60), b->msgs[i].value);
	ml_batch_free(b);
	pthread_mutex_lock(&book.lock);
	hold = book.hold;
	if (hold)
		book.held[book.n_held++] = seq;
	pthread_mutex_unlock(&book.lock);
	if (!hold)
		book.env_copy.durable(book.env_copy.arg, seq);
	return 0;
}

static int
fake_flush(struct ml_sink *s, struct ml_err *err)
{
	(void)s;
	(void)err;
	note("flush\n");
	return 0;
}

static int
fake_ddl(struct ml_sink *s, const struct ml_ddl *ddl, const struct ml_msg *m, bool all, struct ml_err *err)
{
	(void)s;
	(void)err;
	assert_false(all);
	assert_non_null(m);
	note("ddl %.*s\n", (int)ddl->query.len, ddl->query.s);
	return 0;
}

static int
fake_checkpoint(struct ml_sink *s, ml_ts ts, const struct ml_msg *m, struct ml_topic **t, size_t n, struct ml_err *err)
{
	(void)s;
	(void)m;
	(void)t;
	(void)n;
	(void)err;
	note("checkpoint %llu\n", (unsigned long long)ts);
	return 0;
}

static int
fake_tick(struct ml_sink *s, struct ml_err *err)
{
	(void)s;
	(void)err;
	return 0;
}

static void
fake_close(struct ml_sink *s)
{
	(void)s;
}

static struct ml_sink_ops fake_sink_ops = {
	.schemes = { "fake" },
	.takes = ML_TAKES_MSGS,
	.check = fake_check,
	.open = fake_open,
	.write = fake_write,
	.flush = fake_flush,
	.ddl = fake_ddl,
	.checkpoint = fake_checkpoint,
	.tick = fake_tick,
	.close = fake_close,
};

const struct ml_sink_ops *
ml_sink_for(const char *scheme, struct ml_err *err)
{
	(void)scheme;
	(void)err;
	return &fake_sink_ops;
}

/* ---- the source: a script of rows and barriers ---- */

enum step_kind { ROW, RESOLVED, DDL_AFTER_ROW, WAIT_STOP, WAIT_NOTE, BREAK };
struct step {
	enum step_kind kind;
	int64_t value;
	ml_ts ts;
	const char *text;
};
static const struct step *script;
static struct ml_source_env source_env;
static pthread_mutex_t stop_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t stop_cond = PTHREAD_COND_INITIALIZER;
static bool stop_asked;

static struct ml_schema *
one_column(void)
{
	struct ml_schema *s = ml_schema_new();

	s->db = (struct ml_text){ "d", 1 };
	s->table = (struct ml_text){ "t", 1 };
	s->n_columns = 1;
	s->columns = ml_arena_zalloc(&s->arena, sizeof(*s->columns));
	s->columns[0].name = (struct ml_text){ "a", 1 };
	s->columns[0].type = ML_T_LONGLONG;
	s->columns[0].flags = ML_F_BINARY;
	s->columns[0].flen = s->columns[0].decimal = -1;
	ml_schema_finish(s);
	return s;
}

static void
add_row(struct ml_batch *b, struct ml_schema *s, const struct step *st)
{
	struct ml_datum *d = ml_arena_zalloc(&b->arena, sizeof(*d));
	struct ml_row *r = ml_batch_row(b);

	d->kind = ML_D_I64;
	d->i = st->value;
	*r = (struct ml_row){
		.schema = s, .after = d, .commit_ts = st->ts, .start_ts = st->ts - 1, .op = ML_OP_INSERT
	};
	ml_batch_pin(b, s);
	b->n_changes++;
}

static int
source_open(struct ml_source **out, const struct ml_source_env *env, struct ml_err *err)
{
	(void)err;
	source_env = *env;
	stop_asked = false;
	*out = (struct ml_source *)&source_env;
	return 0;
}

static int
source_run(struct ml_source *src, struct ml_err *err)
{
	struct ml_schema *s = one_column();
	struct ml_batch *b = ml_batch_new();
	int rc = 0;

	(void)src;
	for (const struct step *st = script; st->ts > 0 && rc == 0; st++) {
		Ml__Position pos = ML__POSITION__INIT;

		pos.offset = st->ts;
		switch (st->kind) {
		case ROW:
			add_row(b, s, st);
			break;
		case DDL_AFTER_ROW:
			b->barrier.kind = ML_BAR_DDL;
			b->barrier.ts = st->ts;
			b->barrier.ddl = ml_arena_zalloc(&b->arena, sizeof(struct ml_ddl));
			b->barrier.ddl->commit_ts = st->ts;
			b->barrier.ddl->action = 3;
			b->barrier.ddl->query = (struct ml_text){ st->text, (uint32_t)strlen(st->text) };
			b->barrier.ddl->db = s->db;
			b->barrier.ddl->table = s->table;
			b->barrier.ddl->pre_db = b->barrier.ddl->pre_table = (struct ml_text){ "", 0 };
			b->barrier.ddl->charset = b->barrier.ddl->collation = (struct ml_text){ "", 0 };
			rc = source_env.emit(source_env.arg, b);
			b = ml_batch_new();
			break;
		case RESOLVED:
			b->barrier.kind = ML_BAR_RESOLVED;
			b->barrier.ts = st->ts;
			b->barrier.position = ml_batch_position(b, &pos);
			rc = source_env.emit(source_env.arg, b);
			b = ml_batch_new();
			break;
		case WAIT_STOP:
			pthread_mutex_lock(&stop_lock);
			while (!stop_asked)
				pthread_cond_wait(&stop_cond, &stop_lock);
			pthread_mutex_unlock(&stop_lock);
			break;
		case WAIT_NOTE:
			wait_for(st->text);
			break;
		case BREAK:
			rc = ML_ERR(err, ErrMySQLIncident, 0, "f:4", "lost events");
			break;
		}
	}
	ml_batch_free(b);
	ml_schema_unref(s);
	return err->code != ML_OK ? -1 : 0;
}

static void
source_stop(struct ml_source *src)
{
	(void)src;
	pthread_mutex_lock(&stop_lock);
	stop_asked = true;
	pthread_cond_broadcast(&stop_cond);
	pthread_mutex_unlock(&stop_lock);
}

static void
source_close(struct ml_source *src)
{
	(void)src;
}

static void
source_stats(struct ml_source *src, uint64_t *bytes_in, uint64_t *events, uint64_t *reconnects)
{
	(void)src;
	*bytes_in = *events = *reconnects = 0;
}

static const struct ml_source_ops fake_source_ops = {
	.scheme = "fake",
	.open = source_open,
	.run = source_run,
	.stop = source_stop,
	.close = source_close,
	.stats = source_stats,
};

const struct ml_source_ops *
ml_source_for(const char *uri, struct ml_err *err)
{
	(void)uri;
	(void)err;
	return &fake_source_ops;
}

/* ---- the shard's side ---- */

static void
on_failed(void *arg, const struct ml_err *err)
{
	(void)arg;
	note("failed %s\n", ml_code_name(err->code));
}

static void
on_warned(void *arg, const struct ml_err *err)
{
	(void)arg;
	(void)err;
}

static void
on_advanced(void *arg)
{
	(void)arg;
	note("advanced\n");
}

static void
on_save_wanted(void *arg)
{
	(void)arg;
	note("save\n");
}

static void
on_drained(void *arg, bool finished)
{
	(void)arg;
	note("drained %d\n", finished);
}

static struct ml_pipeline *
start(const struct step *steps)
{
	static Ml__ChangefeedSpec spec;
	static Ml__Upstream upstream;
	static Ml__ServerConfig config;
	struct ml_pipeline_env env = {
		.spec = &spec,
		.config = &config,
		.object = "test",
		.checkpoint_ts = 100,
		.state_dir = ".",
		.failed = on_failed,
		.warned = on_warned,
		.advanced = on_advanced,
		.save_wanted = on_save_wanted,
		.drained = on_drained,
	};
	struct ml_pipeline *p;
	struct ml_err err = { 0 };

	ml__changefeed_spec__init(&spec);
	ml__upstream__init(&upstream);
	ml__server_config__init(&config);
	spec.upstream = &upstream;
	spec.sink_uri = (char *)"fake:///x?protocol=canal-json&enable-tidb-extension=true";
	book.notes[0] = '\0';
	book.n_held = 0;
	book.hold = book.break_write = false;
	script = steps;
	assert_int_equal(ml_pipeline_start(&p, &env, &err), 0);
	return p;
}

static void
rows_ddl_and_checkpoints_come_in_order(void **state)
{
	static const struct step steps[] = {
		{ ROW, 1, 110, NULL },
		{ DDL_AFTER_ROW, 0, 120, "CREATE TABLE t(a INT)" },
		{ RESOLVED, 0, 120, NULL },
		{ WAIT_NOTE, 0, 1, "checkpoint 120" },
		{ ROW, 2, 130, NULL },
		{ RESOLVED, 0, 130, NULL },
		{ WAIT_STOP, 0, 1, NULL },
		{ 0 },
	};
	struct ml_pipeline *p = start(steps);
	Ml__Progress *m;
	const char *row1, *flush, *ddl, *checkpoint, *advanced;

	(void)state;
	wait_for("checkpoint 120");
	ml_pipeline_stop(p);
	wait_for("drained 0");
	m = ml_pipeline_progress(p);
	assert_int_equal(m->checkpoint_ts, 130);
	assert_int_equal(m->position->offset, 130);
	assert_int_equal(m->stats->rows, 2);
	assert_int_equal(m->stats->ddls, 1);
	ml__progress__free_unpacked(m, NULL);
	row1 = strstr(book.notes, "row {\"id\":0,\"database\":\"d\",\"table\":\"t\"");
	flush = strstr(book.notes, "flush\n");
	ddl = strstr(book.notes, "ddl CREATE TABLE t(a INT)\n");
	checkpoint = strstr(book.notes, "checkpoint 120\n");
	assert_non_null(row1);
	assert_true(row1 < flush && flush < ddl && ddl < checkpoint);
	assert_non_null(strstr(checkpoint, "row "));
	/* Only the first advance is told. */
	advanced = strstr(book.notes, "advanced\n");
	assert_non_null(advanced);
	assert_null(strstr(advanced + 1, "advanced\n"));
	ml_pipeline_free(p);
}

static const struct step before_ddl[] = {
	{ ROW, 1, 110, NULL },
	{ RESOLVED, 0, 110, NULL },
	{ DDL_AFTER_ROW, 0, 120, "DROP TABLE t" },
	{ RESOLVED, 0, 120, NULL },
	{ WAIT_STOP, 0, 1, NULL },
	{ 0 },
};

static void
a_ddl_waits_until_the_checkpoint_is_stored(void **state)
{
	struct ml_pipeline *p;

	(void)state;
	fake_sink_ops.saves_before_ddl = true;
	p = start(before_ddl);
	wait_for("save\n");
	ml_pipeline_saved(p, 109);
	/* It asks again, since nobody may have heard. */
	pthread_mutex_lock(&book.lock);
	*strstr(book.notes, "save\n") = 'S';
	pthread_mutex_unlock(&book.lock);
	wait_for("save\n");
	assert_null(strstr(book.notes, "ddl "));
	ml_pipeline_saved(p, 110);
	wait_for("ddl DROP TABLE t\n");
	ml_pipeline_stop(p);
	wait_for("drained 0");
	ml_pipeline_free(p);
	fake_sink_ops.saves_before_ddl = false;
}

static void
a_stop_does_not_wait_for_who_is_to_store(void **state)
{
	struct ml_pipeline *p;
	ml_ts checkpoint, resolved;

	(void)state;
	fake_sink_ops.saves_before_ddl = true;
	p = start(before_ddl);
	wait_for("save\n");
	ml_pipeline_stop(p);
	wait_for("drained 0");
	ml_pipeline_marks(p, &checkpoint, &resolved);
	assert_int_equal(checkpoint, 110);
	assert_null(strstr(book.notes, "ddl "));
	ml_pipeline_free(p);
	fake_sink_ops.saves_before_ddl = false;
}

static void
checkpoint_waits_for_the_sinks_word(void **state)
{
	static const struct step steps[] = {
		{ ROW, 1, 110, NULL },
		{ RESOLVED, 0, 110, NULL },
		{ ROW, 2, 120, NULL },
		{ RESOLVED, 0, 120, NULL },
		{ RESOLVED, 0, 130, NULL },
		{ WAIT_STOP, 0, 1, NULL },
		{ 0 },
	};
	struct ml_pipeline *p;
	ml_ts checkpoint, resolved;

	(void)state;
	p = start((const struct step[]){ { WAIT_STOP, 0, 1, NULL }, { 0 } });
	ml_pipeline_stop(p);
	wait_for("drained 0");
	ml_pipeline_free(p);

	book.hold = true;
	p = start(steps);
	book.hold = true;
	wait_for("row ");
	do {
		ml_pipeline_marks(p, &checkpoint, &resolved);
	} while (resolved < 130);
	if (book.n_held > 0)
		assert_int_equal(checkpoint, 100);
	release();
	ml_pipeline_stop(p);
	wait_for("drained 0");
	ml_pipeline_marks(p, &checkpoint, &resolved);
	assert_int_equal(checkpoint, 130);
	ml_pipeline_free(p);
}

static void
a_sink_error_fails_once_and_acknowledges_nothing(void **state)
{
	static const struct step steps[] = {
		{ WAIT_NOTE, 0, 1, "go" },
		{ ROW, 1, 110, NULL },
		{ RESOLVED, 0, 110, NULL },
		{ ROW, 2, 120, NULL },
		{ RESOLVED, 0, 120, NULL },
		{ WAIT_STOP, 0, 1, NULL },
		{ 0 },
	};
	struct ml_pipeline *p = start(steps);
	ml_ts checkpoint, resolved;

	(void)state;
	book.break_write = true;
	note("go\n");
	wait_for("failed CDC:ErrStorageSinkSendFailed");
	ml_pipeline_marks(p, &checkpoint, &resolved);
	assert_int_equal(checkpoint, 100);
	ml_pipeline_stop(p);
	ml_pipeline_free(p);
	assert_null(strstr(book.notes, "drained"));
}

static void
a_source_error_fails_the_shard(void **state)
{
	struct ml_pipeline *p = start((const struct step[]){ { BREAK, 0, 1, NULL }, { 0 } });

	(void)state;
	wait_for("failed CDC:ErrMySQLIncident");
	ml_pipeline_free(p);
}

static void
a_source_that_ends_by_itself_has_reached_target_ts(void **state)
{
	static const struct step steps[] = { { ROW, 1, 110, NULL }, { RESOLVED, 0, 150, NULL }, { 0 } };
	struct ml_pipeline *p = start(steps);
	ml_ts checkpoint, resolved;

	(void)state;
	wait_for("drained 1");
	ml_pipeline_marks(p, &checkpoint, &resolved);
	assert_int_equal(checkpoint, 150);
	ml_pipeline_free(p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_ddl_and_checkpoints_come_in_order),
		cmocka_unit_test(a_ddl_waits_until_the_checkpoint_is_stored),
		cmocka_unit_test(a_stop_does_not_wait_for_who_is_to_store),
		cmocka_unit_test(checkpoint_waits_for_the_sinks_word),
		cmocka_unit_test(a_sink_error_fails_once_and_acknowledges_nothing),
		cmocka_unit_test(a_source_error_fails_the_shard),
		cmocka_unit_test(a_source_that_ends_by_itself_has_reached_target_ts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
