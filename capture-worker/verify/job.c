#include "capture-worker/verify/job.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Differences looked at again with one question; keeps the text of the condition within any packet limit. */
#define AGAIN_ROWS 200
/* A row that never stands still is counted after so many settle times. */
#define RESTLESS 6

static uint64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

struct ml_vf_job *
ml_vf_job_new(struct ml_vf_pair *pair, uint32_t chunk_rows)
{
	struct ml_vf_job *j = calloc(1, sizeof(*j));

	if (j == NULL)
		abort();
	j->pair = pair;
	pthread_mutex_init(&j->lock, NULL);
	ml_vf_cursor_init(&j->cursor, chunk_rows);
	ml_vf_diffs_init(&j->diffs);
	return j;
}

void
ml_vf_job_free(struct ml_vf_job *j)
{
	if (j == NULL)
		return;
	ml_vf_pair_free(j->pair);
	ml_vf_cursor_fini(&j->cursor);
	ml_vf_diffs_fini(&j->diffs);
	pthread_mutex_destroy(&j->lock);
	free(j);
}

int
ml_vf_job_chunk(struct ml_vf_job *j, struct ml_vf_conns *c, bool *last, struct ml_err *err)
{
	struct ml_vf_diffs found;
	struct ml_buf where = { 0 };
	const char *text;
	uint64_t n_rows = 0;
	bool same = true;
	int rc;

	*last = false;
	pthread_mutex_lock(&j->lock);
	rc = ml_vf_cursor_next(&j->cursor, c, j->pair, &where, err);
	if (rc > 0)
		j->in_flight++;
	pthread_mutex_unlock(&j->lock);
	if (rc <= 0) {
		ml_buf_fini(&where);
		return rc;
	}
	text = where.len > 0 ? where.data : NULL;
	ml_vf_diffs_init(&found);
	if (ml_vf_checksum(c, j->pair, text, &same, &n_rows, err) != 0)
		rc = -1;
	else if (!same && ml_vf_rows(c, j->pair, text, now_ms(), &found, err) != 0)
		rc = -1;
	pthread_mutex_lock(&j->lock);
	for (size_t i = 0; i < found.n; i++)
		ml_vf_diffs_add(&j->diffs, &found.v[i]);
	ml_vf_cursor_learn(&j->cursor, n_rows);
	j->rows += n_rows;
	j->chunks++;
	*last = --j->in_flight == 0 && j->cursor.ended;
	pthread_mutex_unlock(&j->lock);
	ml_vf_diffs_fini(&found);
	ml_buf_fini(&where);
	return rc;
}

static int
by_id(const void *x, const void *y)
{
	const struct ml_vf_diff *a = x, *b = y;
	uint32_t n = a->id_len < b->id_len ? a->id_len : b->id_len;
	int c = memcmp(a->id, b->id, n);

	return c != 0 ? c : (a->id_len > b->id_len) - (a->id_len < b->id_len);
}

/* What is still different of old goes to out, with the time since when it is so. */
static int
look_again(struct ml_vf_job *j, struct ml_vf_conns *c, struct ml_vf_diffs *old, struct ml_vf_diffs *out,
	struct ml_err *err)
{
	struct ml_buf where = { 0 };
	size_t from = out->n;
	int rc = 0;

	if (j->pair->n_key == 0)
		rc = ml_vf_rows(c, j->pair, NULL, now_ms(), out, err);
	for (size_t i = 0; i < old->n && rc == 0 && j->pair->n_key > 0; i += AGAIN_ROWS) {
		ml_buf_clear(&where);
		for (size_t k = i; k < old->n && k < i + AGAIN_ROWS; k++)
			ml_buf_printf(&where, "%s%s", k > i ? " OR " : "", old->v[k].where);
		rc = ml_vf_rows(c, j->pair, where.data, now_ms(), out, err);
	}
	ml_buf_fini(&where);
	if (rc != 0)
		return -1;
	qsort(old->v, old->n, sizeof(*old->v), by_id);
	for (size_t i = from; i < out->n; i++) {
		struct ml_vf_diff *x = &out->v[i];
		const struct ml_vf_diff *was = old->n > 0 ? bsearch(x, old->v, old->n, sizeof(*old->v), by_id) : NULL;

		if (was != NULL && was->up_hash == x->up_hash && (was->what == ML_VF_EXTRA) == (x->what == ML_VF_EXTRA))
			x->since_ms = was->since_ms;
	}
	return 0;
}

/* Milliseconds until the youngest difference has settled; 0: all have. */
static uint64_t
unsettled_for(const struct ml_vf_diffs *d, uint32_t settle_ms, uint64_t now)
{
	uint64_t left = 0;

	for (size_t i = 0; i < d->n; i++)
		if (d->v[i].since_ms + settle_ms > now && d->v[i].since_ms + settle_ms - now > left)
			left = d->v[i].since_ms + settle_ms - now;
	return left;
}

int
ml_vf_job_settle(
	struct ml_vf_job *j, struct ml_vf_conns *c, uint32_t settle_ms, const volatile bool *stop, struct ml_err *err)
{
	uint64_t end = now_ms() + (uint64_t)settle_ms * RESTLESS, left, wait = 100;

	while (j->diffs.n > 0 && settle_ms > 0 && !*stop) {
		struct ml_vf_diffs still;
		struct timespec t;
		bool over = (left = unsettled_for(&j->diffs, settle_ms, now_ms())) == 0 || now_ms() > end;

		if (!over) {
			wait = wait < left ? wait : left;
			t = (struct timespec){ (time_t)(wait / 1000), (long)(wait % 1000) * 1000000 };
			nanosleep(&t, NULL);
			wait = wait * 2 > 1000 ? 1000 : wait * 2;
		}
		/* The last look is after the time is over, so that nothing counts that has just become equal. */
		ml_vf_diffs_init(&still);
		if (look_again(j, c, &j->diffs, &still, err) != 0) {
			ml_vf_diffs_fini(&still);
			return -1;
		}
		pthread_mutex_lock(&j->lock);
		ml_vf_diffs_fini(&j->diffs);
		j->diffs = still;
		pthread_mutex_unlock(&j->lock);
		if (over)
			break;
	}
	return 0;
}

uint64_t
ml_vf_job_count(const struct ml_vf_job *j, enum ml_vf_what what)
{
	uint64_t n = 0;

	for (size_t i = 0; i < j->diffs.n; i++)
		if (j->diffs.v[i].what == what)
			n += j->diffs.v[i].n;
	return n;
}

bool
ml_vf_job_differs(const struct ml_vf_job *j)
{
	return j->only_down || j->pair->schema[ML_VF_DOWN] == NULL || j->pair->lacks.len > 0 || j->diffs.n > 0;
}
