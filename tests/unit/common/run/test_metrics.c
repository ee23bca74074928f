/* test_metrics.c - Prometheus text, series that come and go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "common/run/metrics.h"

enum { UP, LAG, ROWS, NEVER, N };
static const struct ml_metric_desc descs[N] = {
	[UP] = { "up", ML_GAUGE, "Whether it is up.", { NULL } },
	[LAG] = { "lag_seconds", ML_GAUGE, "Back\\slash and\nline.", { "namespace", "changefeed" } },
	[ROWS] = { "rows_total", ML_COUNTER, "Rows.", { "namespace", "changefeed", "type" } },
	[NEVER] = { "never", ML_COUNTER, "Not printed.", { "x" } },
};

static void
series_are_printed_in_table_order(void **state)
{
	struct ml_metrics *m = ml_metrics_new(descs, N);
	struct ml_buf out = { 0 };

	(void)state;
	ml_metrics_add(m, ROWS, 9007199254740991.0, "default", "a", "insert");
	ml_metrics_add(m, ROWS, 1, "default", "a", "insert");
	ml_metrics_add(m, ROWS, 2, "default", "a", "update");
	ml_metrics_set(m, LAG, 0.25, "default", "q\"b\\n\n");
	ml_metrics_set(m, LAG, 4, "default", "a");
	ml_metrics_set(m, LAG, 1.5, "default", "a");
	ml_metrics_set(m, UP, 1);
	ml_metrics_print(m, &out);
	assert_string_equal(out.data,
		"# HELP up Whether it is up.\n# TYPE up gauge\nup 1\n"
		"# HELP lag_seconds Back\\\\slash and\\nline.\n# TYPE lag_seconds gauge\n"
		"lag_seconds{namespace=\"default\",changefeed=\"q\\\"b\\\\n\\n\"} 0.25\n"
		"lag_seconds{namespace=\"default\",changefeed=\"a\"} 1.5\n"
		"# HELP rows_total Rows.\n# TYPE rows_total counter\n"
		"rows_total{namespace=\"default\",changefeed=\"a\",type=\"insert\"} 9007199254740992\n"
		"rows_total{namespace=\"default\",changefeed=\"a\",type=\"update\"} 2\n");
	ml_buf_fini(&out);
	ml_metrics_free(m);
}

static void
a_removed_changefeed_takes_its_series_along(void **state)
{
	struct ml_metrics *m = ml_metrics_new(descs, N);
	struct ml_buf out = { 0 };

	(void)state;
	ml_metrics_set(m, UP, 1);
	ml_metrics_set(m, LAG, 1, "default", "a");
	ml_metrics_set(m, LAG, 2, "other", "a");
	ml_metrics_set(m, LAG, 3, "default", "b");
	ml_metrics_add(m, ROWS, 1, "default", "a", "insert");
	ml_metrics_drop(m, "namespace", "default", "changefeed", "a", NULL);
	ml_metrics_set(m, LAG, NAN, "default", "c"); /* lists are still whole */
	ml_metrics_add(m, ROWS, INFINITY, "default", "c", "insert");
	ml_metrics_print(m, &out);
	assert_string_equal(out.data, "# HELP up Whether it is up.\n# TYPE up gauge\nup 1\n"
				      "# HELP lag_seconds Back\\\\slash and\\nline.\n# TYPE lag_seconds gauge\n"
				      "lag_seconds{namespace=\"other\",changefeed=\"a\"} 2\n"
				      "lag_seconds{namespace=\"default\",changefeed=\"b\"} 3\n"
				      "lag_seconds{namespace=\"default\",changefeed=\"c\"} NaN\n"
				      "# HELP rows_total Rows.\n# TYPE rows_total counter\n"
				      "rows_total{namespace=\"default\",changefeed=\"c\",type=\"insert\"} +Inf\n");
	ml_buf_fini(&out);
	ml_metrics_free(m);
}

static void
a_kept_pointer_is_the_series(void **state)
{
	struct ml_metrics *m = ml_metrics_new(descs, N);
	const char *labels[] = { "default", "a" };
	double *v = ml_metrics_at(m, LAG, labels);

	(void)state;
	for (unsigned i = 0; i < 100; i++)
		ml_metrics_set(m, LAG, i, "default", i % 2 == 0 ? "b" : "c");
	assert_true(*v == 0);
	*v = 5;
	assert_ptr_equal(ml_metrics_at(m, LAG, labels), v);
	ml_metrics_free(m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(series_are_printed_in_table_order),
		cmocka_unit_test(a_removed_changefeed_takes_its_series_along),
		cmocka_unit_test(a_kept_pointer_is_the_series),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
