#include "capture-worker/verify/report.h"

#include <stdio.h>
#include <time.h>

#include "capture-worker/verify/repair.h"
#include "common/text/jsonw.h"

static const char *const whats[] = { "missing downstream", "extra downstream", "changed" };
static const char *const what_names[] = { "missing", "extra", "changed" };

static uint64_t
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

void
ml_vf_report_init(struct ml_vf_report *r, const struct ml_vf_options *o)
{
	*r = (struct ml_vf_report){
		.json = o->json, .progress = o->progress, .max_listed = o->max_listed, .started_ms = now_ms()
	};
	pthread_mutex_init(&r->lock, NULL);
}

void
ml_vf_report_fini(struct ml_vf_report *r)
{
	pthread_mutex_destroy(&r->lock);
}

static const char *
trouble(const struct ml_vf_job *j)
{
	if (j->only_down)
		return "table is only downstream";
	if (j->pair->schema[ML_VF_DOWN] == NULL)
		return "table is missing downstream";
	if (j->pair->lacks.len > 0)
		return "columns are missing downstream";
	return NULL;
}

static void
put_text(struct ml_buf *out, const struct ml_vf_job *j)
{
	const char *name = j->pair->schema[ML_VF_UP]->qname.s, *what = trouble(j);

	if (!ml_vf_job_differs(j)) {
		ml_buf_printf(out, "%s: equal, %lu rows", name, (unsigned long)j->rows);
		if (j->repaired > 0)
			ml_buf_printf(out, " (%lu repaired)", (unsigned long)j->repaired);
		ml_buf_putc(out, '\n');
		return;
	}
	ml_buf_printf(out, "%s: DIFFERENT", name);
	if (what != NULL)
		ml_buf_printf(out, ", %s", what);
	if (j->pair->lacks.len > 0)
		ml_buf_printf(out, ": %s", j->pair->lacks.data);
	if (j->diffs.n > 0)
		ml_buf_printf(out, ", of %lu rows %lu missing, %lu extra, %lu changed", (unsigned long)j->rows,
			(unsigned long)ml_vf_job_count(j, ML_VF_MISSING),
			(unsigned long)ml_vf_job_count(j, ML_VF_EXTRA),
			(unsigned long)ml_vf_job_count(j, ML_VF_CHANGED));
	if (j->repaired > 0)
		ml_buf_printf(out, " (%lu repaired)", (unsigned long)j->repaired);
	ml_buf_putc(out, '\n');
}

/* The rows that differ, as many as are to be listed. */
static int
put_rows(struct ml_buf *out, const struct ml_vf_report *r, const struct ml_vf_job *j, struct ml_vf_conns *c,
	struct ml_jw *w, struct ml_err *err)
{
	size_t n = j->diffs.n < r->max_listed ? j->diffs.n : r->max_listed;
	struct ml_buf values = { 0 };
	int rc = 0;

	for (size_t i = 0; i < n && rc == 0; i++) {
		const struct ml_vf_diff *d = &j->diffs.v[i];

		ml_buf_clear(&values);
		rc = ml_vf_describe(c, j->pair, d, &values, err);
		if (w != NULL) {
			ml_jw_open(w, '{');
			ml_jw_kstr(w, "what", what_names[d->what]);
			ml_jw_kstr(w, "key", d->key);
			if (values.len > 0)
				ml_jw_kstr(w, "values", values.data);
			ml_jw_close(w, '}');
		} else {
			ml_buf_printf(out, "  %s: %s%s%s\n", whats[d->what], d->key, values.len > 0 ? ": " : "",
				values.len > 0 ? values.data : "");
		}
	}
	if (w == NULL && j->diffs.n > n && n > 0)
		ml_buf_printf(out, "  and %zu more\n", j->diffs.n - n);
	ml_buf_fini(&values);
	return rc;
}

static int
put_json(struct ml_buf *out, const struct ml_vf_report *r, const struct ml_vf_job *j, struct ml_vf_conns *c,
	struct ml_err *err)
{
	struct ml_jw w = ml_jw_of(out, 0);
	int rc = 0;

	ml_jw_open(&w, '{');
	ml_jw_kstr(&w, "schema", j->pair->schema[ML_VF_UP]->db.s);
	ml_jw_kstr(&w, "table", j->pair->schema[ML_VF_UP]->table.s);
	ml_jw_key(&w, "equal");
	ml_jw_bool(&w, !ml_vf_job_differs(j));
	ml_jw_ku64(&w, "rows", j->rows);
	if (trouble(j) != NULL)
		ml_jw_kstr(&w, "error", trouble(j));
	if (j->pair->lacks.len > 0)
		ml_jw_kstr(&w, "columns", j->pair->lacks.data);
	for (int what = ML_VF_MISSING; what <= ML_VF_CHANGED; what++)
		ml_jw_ku64(&w, what_names[what], ml_vf_job_count(j, what));
	ml_jw_ku64(&w, "repaired", j->repaired);
	ml_jw_key(&w, "differences");
	ml_jw_open(&w, '[');
	rc = put_rows(out, r, j, c, &w, err);
	ml_jw_close(&w, ']');
	ml_jw_close(&w, '}');
	ml_buf_putc(out, '\n');
	return rc;
}

/* Takes the line of progress away, so that a line of the report can stand there. */
static void
clear_line(struct ml_vf_report *r)
{
	if (r->shown)
		fputs("\r\033[K", stderr);
	r->shown = false;
}

int
ml_vf_report_table(struct ml_vf_report *r, const struct ml_vf_job *j, struct ml_vf_conns *c, struct ml_err *err)
{
	struct ml_buf out = { 0 };
	int rc = 0;

	if (r->json) {
		rc = put_json(&out, r, j, c, err);
	} else {
		put_text(&out, j);
		rc = put_rows(&out, r, j, c, NULL, err);
	}
	pthread_mutex_lock(&r->lock);
	clear_line(r);
	fwrite(out.data, 1, out.len, stdout);
	fflush(stdout);
	r->tables++;
	r->equal += !ml_vf_job_differs(j);
	r->rows += j->rows;
	for (int what = ML_VF_MISSING; what <= ML_VF_CHANGED; what++)
		r->differences += ml_vf_job_count(j, what);
	pthread_mutex_unlock(&r->lock);
	ml_buf_fini(&out);
	return rc;
}

void
ml_vf_report_progress(struct ml_vf_report *r, uint64_t rows, uint64_t estimate, uint64_t tables, uint64_t n_tables)
{
	uint64_t ms = now_ms() - r->started_ms;
	double part = estimate > 0 ? (double)rows / (double)estimate : 0;

	if (!r->progress)
		return;
	/* Statistics are estimates: never more than everything. */
	part = part > 0.999 ? 0.999 : part;
	pthread_mutex_lock(&r->lock);
	fprintf(stderr, "\r\033[K%5.1f %%  %lu of %lu tables, %lu rows, %.0f rows/s", part * 100, (unsigned long)tables,
		(unsigned long)n_tables, (unsigned long)rows, ms > 0 ? (double)rows * 1000 / (double)ms : 0.0);
	if (part > 0.01)
		fprintf(stderr, ", %.0f s left", (double)ms / 1000 * (1 - part) / part);
	fflush(stderr);
	r->shown = true;
	pthread_mutex_unlock(&r->lock);
}

void
ml_vf_report_end(struct ml_vf_report *r)
{
	double s = (double)(now_ms() - r->started_ms) / 1000;

	clear_line(r);
	if (r->json)
		return;
	if (r->equal == r->tables)
		printf("equal: %lu tables, %lu rows in %.1f s\n", (unsigned long)r->tables, (unsigned long)r->rows, s);
	else
		printf("DIFFERENT: %lu of %lu tables, %lu rows of %lu, in %.1f s\n",
			(unsigned long)(r->tables - r->equal), (unsigned long)r->tables, (unsigned long)r->differences,
			(unsigned long)r->rows, s);
}
