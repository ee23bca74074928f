/*
 * metrics.h - counters and gauges by name and labels, printed as Prometheus text (format 0.0.4).  Belongs to one thread.
 *
 *	enum { M_CHECKPOINT, M_ROWS, N_METRICS };
 *	static const struct ml_metric_desc descs[N_METRICS] = {
 *		[M_CHECKPOINT] = { "ticdc_owner_checkpoint_ts", ML_GAUGE, "Checkpoint of a changefeed.", { "namespace", "changefeed" } },
 *		[M_ROWS] = { "millrace_rows_total", ML_COUNTER, "Rows written downstream.", { "namespace", "changefeed" } },
 *	};
 *	m = ml_metrics_new(descs, N_METRICS);
 *	ml_metrics_set(m, M_CHECKPOINT, ts, "default", "cf1");
 */
#ifndef ML_COMMON_RUN_METRICS_H
#define ML_COMMON_RUN_METRICS_H
#include <stddef.h>

#include "common/base/buf.h"

#define ML_METRIC_LABELS 6

enum ml_metric_type { ML_COUNTER, ML_GAUGE };

struct ml_metric_desc {
	const char
		*name; /* with its unit: "_seconds", "_bytes"; counters end in "_total" unless TiCDC's name does not */
	enum ml_metric_type type;
	const char *help;
	const char *labels[ML_METRIC_LABELS]; /* names; the rest NULL */
};

struct ml_metrics;
struct ml_metrics *ml_metrics_new(const struct ml_metric_desc *descs, size_t n); /* descs are borrowed */
void ml_metrics_free(struct ml_metrics *m);                                      /* NULL is fine */
/*
 * The value of one series, which begins with 0 when it is asked for first.  labels: one value per label of the row, copied.
 * The pointer lives until the series is dropped: keep it where a value changes often.
 */
double *ml_metrics_at(struct ml_metrics *m, size_t metric, const char *const *labels);
/* The label values follow as const char *, as many as the row has labels. */
void ml_metrics_set(struct ml_metrics *m, size_t metric, double value, ...);
void ml_metrics_add(struct ml_metrics *m, size_t metric, double by, ...);
/*
 * Drops every series that has all of the given labels with these values: pairs of const char *, ended by NULL, as in
 * ml_metrics_drop(m, "namespace", "default", "changefeed", "cf1", NULL) when a changefeed is removed.
 */
void ml_metrics_drop(struct ml_metrics *m, ...) __attribute__((sentinel));
/* All series in the order of the table; a row without series is left out. */
void ml_metrics_print(const struct ml_metrics *m, struct ml_buf *out);
/* Markdown table for docs/metrics.md. */
void ml_metrics_doc(const struct ml_metric_desc *descs, size_t n, struct ml_buf *out);
#endif
