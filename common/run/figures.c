#include "common/run/figures.h"

#include <stdlib.h>
#include <string.h>

/* Bounds as TiCDC has them where they are known: dashboards draw by them. */
static const struct {
	const char *name, *help;
	const char *labels; /* more of them */
	double first, factor;
	unsigned buckets; /* 0: a counter */
	double unit;      /* of a value, in that of the metric */
} descs[ML_N_FIGS] = {
	[ML_FIG_BATCH_ROWS] = { "ticdc_sink_batch_row_count", "rows of one downstream transaction", ",type=\"TxnSink\"",
		1, 2, 18, 1 },
	[ML_FIG_LARGE_ROW] = { "ticdc_sink_large_row_size", "rows of 2 KiB and more, bytes", ",type=\"TxnSink\"",
		ML_FIG_LARGE_ROW_BYTES, 2, 15, 1 },
	[ML_FIG_FLUSH_LAG] = { "ticdc_sink_flush_lag_histogram",
		"from a transaction's commit upstream to that downstream, seconds", ",type=\"TxnSink\"", 1000, 2, 20,
		1e-6 },
	[ML_FIG_DDL] = { "ticdc_sink_ddl_exec_duration", "of a DDL downstream, with all tries, seconds",
		",type=\"TxnSink\"", 10000, 2, 18, 1e-6 },
	[ML_FIG_CONFLICT] = { "ticdc_sink_txn_conflict_detect_duration",
		"a transaction waits for others with the same keys, seconds", "", 1000, 2, 20, 1e-6 },
	[ML_FIG_QUEUE] = { "ticdc_sink_txn_queue_duration", "a transaction waits for its worker, seconds", "", 1000, 2,
		20, 1e-6 },
	[ML_FIG_FLUSH] = { "ticdc_sink_txn_worker_flush_duration",
		"a worker writes one downstream transaction, seconds", "", 1000, 2, 20, 1e-6 },
	[ML_FIG_TOTAL] = { "ticdc_sink_txn_worker_total_duration", "the same with its wait for rows, seconds", "", 1000,
		2, 20, 1e-6 },
	[ML_FIG_COMMIT] = { "ticdc_sink_txn_sink_dml_batch_commit",
		"a downstream transaction until it is committed, seconds", "", 10000, 1.8, 10, 1e-6 },
	[ML_FIG_CALLBACK] = { "ticdc_sink_txn_sink_dml_batch_callback",
		"until a committed downstream transaction is taken note of, seconds", "", 10000, 1.8, 10, 1e-6 },
	[ML_FIG_PREPARE_ERROR] = { "ticdc_sink_txn_prepare_statement_errors",
		"statements that could not be prepared and went as text", "", 0, 0, 0, 1 },
};

static const char rows_name[] = "ticdc_sink_txn_worker_handled_rows";

const char *
ml_figure_name(unsigned which)
{
	return which < ML_N_FIGS ? descs[which].name : rows_name;
}

void
ml_figure_add(struct ml_figures *f, enum ml_figure which, uint64_t value, uint64_t times)
{
	uint64_t *v = &f->v[which * ML_FIG_STRIDE];
	double bound = descs[which].first;
	unsigned i = 0;

	for (; i < descs[which].buckets && (double)value > bound; i++)
		bound *= descs[which].factor;
	v[i] += times;
	v[ML_FIG_STRIDE - 1] += value * times;
}

/* Words beyond the old ones are 0. */
static void
resize(struct ml_figures *f, size_t n)
{
	f->v = realloc(f->v, (n + 1) * sizeof(*f->v));
	if (f->v == NULL)
		abort();
	if (n > f->n)
		memset(f->v + f->n, 0, (n - f->n) * sizeof(*f->v));
	f->n = n;
}

void
ml_figures_init(struct ml_figures *f, size_t n_workers)
{
	*f = (struct ml_figures){ 0 };
	resize(f, ML_FIG_WORDS + n_workers);
}

void
ml_figures_fini(struct ml_figures *f)
{
	free(f->v);
	*f = (struct ml_figures){ 0 };
}

void
ml_figures_set(struct ml_figures *f, const uint64_t *v, size_t n)
{
	if (n < ML_FIG_WORDS || n > ML_FIG_WORDS + ML_FIG_WORKERS_MAX)
		n = 0;
	resize(f, n);
	if (n > 0)
		memcpy(f->v, v, n * sizeof(*v));
}

void
ml_figures_sum(struct ml_figures *to, const struct ml_figures *f)
{
	if (to->n < f->n)
		resize(to, f->n);
	for (size_t i = 0; i < f->n; i++)
		to->v[i] += f->v[i];
}

void
ml_figure_head(struct ml_buf *out, unsigned which)
{
	const char *name = ml_figure_name(which);

	ml_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name,
		which < ML_N_FIGS ? descs[which].help : "rows that each of a sink's workers wrote", name,
		which < ML_N_FIGS && descs[which].buckets > 0 ? "histogram" : "counter");
}

static void
print_workers(struct ml_buf *out, const struct ml_figures *f, const char *labels)
{
	for (size_t i = ML_FIG_WORDS; i < f->n; i++)
		ml_buf_printf(out, "%s{%s,id=\"%zu\"} %llu\n", rows_name, labels, i - ML_FIG_WORDS,
			(unsigned long long)f->v[i]);
}

void
ml_figure_print(struct ml_buf *out, unsigned which, const struct ml_figures *f, const char *labels)
{
	const char *name, *more;
	const uint64_t *v;
	uint64_t count = 0;
	double bound, sum;

	if (which >= ML_N_FIGS) {
		print_workers(out, f, labels);
		return;
	}
	if (f->n == 0)
		return;
	v = &f->v[which * ML_FIG_STRIDE];
	name = descs[which].name;
	more = descs[which].labels;
	bound = descs[which].first;
	sum = (double)v[ML_FIG_STRIDE - 1] * descs[which].unit;
	if (descs[which].buckets == 0) {
		ml_buf_printf(out, "%s{%s%s} %.15g\n", name, labels, more, sum);
		return;
	}
	for (unsigned i = 0; i < descs[which].buckets; i++, bound *= descs[which].factor) {
		count += v[i];
		ml_buf_printf(out, "%s_bucket{%s%s,le=\"%.9g\"} %llu\n", name, labels, more, bound * descs[which].unit,
			(unsigned long long)count);
	}
	count += v[descs[which].buckets];
	ml_buf_printf(out, "%s_bucket{%s%s,le=\"+Inf\"} %llu\n%s_sum{%s%s} %.15g\n%s_count{%s%s} %llu\n", name, labels,
		more, (unsigned long long)count, name, labels, more, sum, name, labels, more,
		(unsigned long long)count);
}
