#include "common/run/metrics.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>

/* Integers up to here are exact in a double and printed as such. */
#define EXACT 9007199254740992.0

struct series {
	struct series *next;
	double value;
	char *labels[ML_METRIC_LABELS];
};

struct ml_metrics {
	const struct ml_metric_desc *descs;
	size_t n;
	struct series **first, **last; /* one list per row, in order of birth */
};

static void *
must(void *p)
{
	if (p == NULL)
		abort(); /* out of memory */
	return p;
}

static unsigned
count_labels(const struct ml_metric_desc *d)
{
	unsigned n = 0;

	while (n < ML_METRIC_LABELS && d->labels[n] != NULL)
		n++;
	return n;
}

struct ml_metrics *
ml_metrics_new(const struct ml_metric_desc *descs, size_t n)
{
	struct ml_metrics *m = must(calloc(1, sizeof(*m)));

	m->descs = descs;
	m->n = n;
	m->first = must(calloc(n, sizeof(*m->first)));
	m->last = must(calloc(n, sizeof(*m->last)));
	return m;
}

static void
series_free(struct series *s)
{
	for (unsigned i = 0; i < ML_METRIC_LABELS; i++)
		free(s->labels[i]);
	free(s);
}

void
ml_metrics_free(struct ml_metrics *m)
{
	if (m == NULL)
		return;
	for (size_t i = 0; i < m->n; i++) {
		for (struct series *s = m->first[i], *next; s != NULL; s = next) {
			next = s->next;
			series_free(s);
		}
	}
	free(m->first);
	free(m->last);
	free(m);
}

double *
ml_metrics_at(struct ml_metrics *m, size_t metric, const char *const *labels)
{
	unsigned n = count_labels(&m->descs[metric]), i;
	struct series *s;

	for (s = m->first[metric]; s != NULL; s = s->next) {
		for (i = 0; i < n && strcmp(s->labels[i], labels[i]) == 0; i++)
			continue;
		if (i == n)
			return &s->value;
	}
	s = must(calloc(1, sizeof(*s)));
	for (i = 0; i < n; i++)
		s->labels[i] = must(strdup(labels[i]));
	if (m->last[metric] != NULL)
		m->last[metric]->next = s;
	else
		m->first[metric] = s;
	m->last[metric] = s;
	return &s->value;
}

static double *
at_args(struct ml_metrics *m, size_t metric, va_list ap)
{
	const char *labels[ML_METRIC_LABELS];
	unsigned n = count_labels(&m->descs[metric]);

	for (unsigned i = 0; i < n; i++)
		labels[i] = va_arg(ap, const char *);
	return ml_metrics_at(m, metric, labels);
}

void
ml_metrics_set(struct ml_metrics *m, size_t metric, double value, ...)
{
	va_list ap;

	va_start(ap, value);
	*at_args(m, metric, ap) = value;
	va_end(ap);
}

void
ml_metrics_add(struct ml_metrics *m, size_t metric, double by, ...)
{
	va_list ap;

	va_start(ap, by);
	*at_args(m, metric, ap) += by;
	va_end(ap);
}

/* Whether the series has that label with that value. */
static bool
has(const struct ml_metric_desc *d, const struct series *s, const char *label, const char *value)
{
	for (unsigned i = 0; i < ML_METRIC_LABELS && d->labels[i] != NULL; i++)
		if (strcmp(d->labels[i], label) == 0)
			return strcmp(s->labels[i], value) == 0;
	return false;
}

void
ml_metrics_drop(struct ml_metrics *m, ...)
{
	const char *pairs[2 * ML_METRIC_LABELS];
	unsigned n = 0;
	va_list ap;

	va_start(ap, m);
	while (n < 2 * ML_METRIC_LABELS && (pairs[n] = va_arg(ap, const char *)) != NULL)
		n++;
	va_end(ap);
	for (size_t i = 0; i < m->n; i++) {
		struct series **at = &m->first[i];

		m->last[i] = NULL;
		while (*at != NULL) {
			struct series *s = *at;
			bool all = n >= 2;

			for (unsigned j = 0; j + 1 < n && all; j += 2)
				all = has(&m->descs[i], s, pairs[j], pairs[j + 1]);
			if (all) {
				*at = s->next;
				series_free(s);
			} else {
				m->last[i] = s;
				at = &s->next;
			}
		}
	}
}

static void
put_escaped(struct ml_buf *out, const char *s, bool quotes)
{
	for (; *s != '\0'; s++) {
		if (*s == '\n')
			ml_buf_puts(out, "\\n");
		else if (*s == '\\' || (*s == '"' && quotes))
			ml_buf_printf(out, "\\%c", *s);
		else
			ml_buf_putc(out, *s);
	}
}

static void
put_value(struct ml_buf *out, double v)
{
	if (isnan(v))
		ml_buf_puts(out, "NaN");
	else if (isinf(v))
		ml_buf_puts(out, v > 0 ? "+Inf" : "-Inf");
	else if (v == floor(v) && fabs(v) <= EXACT)
		ml_buf_printf(out, "%.0f", v);
	else
		ml_buf_printf(out, "%.17g", v);
}

void
ml_metrics_print(const struct ml_metrics *m, struct ml_buf *out)
{
	for (size_t i = 0; i < m->n; i++) {
		const struct ml_metric_desc *d = &m->descs[i];

		if (m->first[i] == NULL)
			continue;
		ml_buf_printf(out, "# HELP %s ", d->name);
		put_escaped(out, d->help, false);
		ml_buf_printf(out, "\n# TYPE %s %s\n", d->name, d->type == ML_COUNTER ? "counter" : "gauge");
		for (const struct series *s = m->first[i]; s != NULL; s = s->next) {
			ml_buf_puts(out, d->name);
			for (unsigned j = 0; j < ML_METRIC_LABELS && d->labels[j] != NULL; j++) {
				ml_buf_printf(out, "%s%s=\"", j == 0 ? "{" : ",", d->labels[j]);
				put_escaped(out, s->labels[j], true);
				ml_buf_putc(out, '"');
			}
			ml_buf_puts(out, d->labels[0] != NULL ? "} " : " ");
			put_value(out, s->value);
			ml_buf_putc(out, '\n');
		}
	}
}

void
ml_metrics_doc(const struct ml_metric_desc *descs, size_t n, struct ml_buf *out)
{
	ml_buf_puts(out, "| Name | Type | Labels | Meaning |\n|---|---|---|---|\n");
	for (size_t i = 0; i < n; i++) {
		ml_buf_printf(out, "| `%s` | %s | ", descs[i].name, descs[i].type == ML_COUNTER ? "counter" : "gauge");
		for (unsigned j = 0; j < ML_METRIC_LABELS && descs[i].labels[j] != NULL; j++)
			ml_buf_printf(out, "%s%s", j > 0 ? ", " : "", descs[i].labels[j]);
		ml_buf_printf(out, " | %s |\n", descs[i].help);
	}
}
