/*
 * figures.h - what a sink measures of its own (sinks.md 13): histograms and counters with TiCDC's names.  The worker counts, the
 * vector of all numbers goes to the gateway with its progress, and the gateway prints it for /metrics.
 */
#ifndef ML_COMMON_RUN_FIGURES_H
#define ML_COMMON_RUN_FIGURES_H
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"

enum ml_figure {
	ML_FIG_BATCH_ROWS, /* rows */
	ML_FIG_LARGE_ROW,  /* bytes */
	ML_FIG_FLUSH_LAG,  /* all others: microseconds */
	ML_FIG_DDL,
	ML_FIG_CONFLICT,      /* from taken over to given to a worker */
	ML_FIG_QUEUE,         /* from given to a worker to taken by it */
	ML_FIG_FLUSH,         /* a worker at work on one downstream transaction */
	ML_FIG_TOTAL,         /* the same with the wait for it */
	ML_FIG_COMMIT,        /* of it: making, sending, committing, with all tries */
	ML_FIG_CALLBACK,      /* of it: telling that it is durable */
	ML_FIG_PREPARE_ERROR, /* a counter */
	ML_N_FIGS,
};

/* Rows of 2 KiB and more are "large". */
#define ML_FIG_LARGE_ROW_BYTES 2048
/* Each has its buckets, the one for all beyond, and the sum; a counter its sum only. */
#define ML_FIG_BUCKETS 20
#define ML_FIG_STRIDE (ML_FIG_BUCKETS + 2)
#define ML_FIG_WORDS (ML_N_FIGS * ML_FIG_STRIDE)
/* A sink has not more workers. */
#define ML_FIG_WORKERS_MAX 1024

struct ml_figures {
	uint64_t *v; /* the figures, behind them the rows that each of the sink's workers handled */
	size_t n;    /* words; 0: the sink has no figures */
};

void ml_figures_init(struct ml_figures *f, size_t n_workers); /* all 0 */
void ml_figures_fini(struct ml_figures *f);                   /* fine for a zeroed one; zeroes it */
/* Counts value, in the figure's unit, `times` times.  Not thread safe. */
void ml_figure_add(struct ml_figures *f, enum ml_figure which, uint64_t value, uint64_t times);
/* Takes over a copy of n words as they came from a worker; nothing if that is no vector of figures.  v may be NULL if n is 0. */
void ml_figures_set(struct ml_figures *f, const uint64_t *v, size_t n);
/* to += f */
void ml_figures_sum(struct ml_figures *to, const struct ml_figures *f);
/* Lines HELP and TYPE of a figure; ML_N_FIGS: of the rows by worker. */
void ml_figure_head(struct ml_buf *out, unsigned which);
/* Its series; nothing where f has none.  labels: `namespace="default",changefeed="a"`. */
void ml_figure_print(struct ml_buf *out, unsigned which, const struct ml_figures *f, const char *labels);
const char *ml_figure_name(unsigned which); /* ML_N_FIGS: of the rows by worker */
#endif
