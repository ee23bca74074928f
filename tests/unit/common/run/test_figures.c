/* A sink's own figures: buckets, sums over workers that died, and the text of /metrics. */
#include "common/run/figures.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char labels[] = "namespace=\"default\",changefeed=\"a\"";

static void
assert_line(const struct ml_buf *b, const char *line)
{
	if (b->data == NULL || strstr(b->data, line) == NULL)
		fail_msg("no line '%s' in:\n%s", line, b->data != NULL ? b->data : "");
}

static void
values_go_into_their_buckets(void **state)
{
	struct ml_buf out = { 0 };
	struct ml_figures f;

	(void)state;
	ml_figures_init(&f, 0);
	ml_figure_add(&f, ML_FIG_BATCH_ROWS, 1, 1);
	ml_figure_add(&f, ML_FIG_BATCH_ROWS, 2, 2);
	ml_figure_add(&f, ML_FIG_BATCH_ROWS, 3, 1);
	ml_figure_add(&f, ML_FIG_BATCH_ROWS, 1u << 30, 1);
	ml_figure_print(&out, ML_FIG_BATCH_ROWS, &f, labels);
	assert_line(&out,
		"ticdc_sink_batch_row_count_bucket{namespace=\"default\",changefeed=\"a\",type=\"TxnSink\",le=\"1\"} 1\n");
	assert_line(&out, ",le=\"2\"} 3\n");
	assert_line(&out, ",le=\"4\"} 4\n");
	assert_line(&out, ",le=\"131072\"} 4\n");
	assert_line(&out, ",le=\"+Inf\"} 5\n");
	assert_line(&out, "row_count_sum{namespace=\"default\",changefeed=\"a\",type=\"TxnSink\"} 1073741832\n");
	assert_line(&out, "row_count_count{namespace=\"default\",changefeed=\"a\",type=\"TxnSink\"} 5\n");
	ml_buf_clear(&out);
	/* Microseconds become seconds. */
	ml_figure_add(&f, ML_FIG_QUEUE, 1500, 1);
	ml_figure_print(&out, ML_FIG_QUEUE, &f, labels);
	assert_line(&out, "le=\"0.001\"} 0\n");
	assert_line(&out, "le=\"0.002\"} 1\n");
	assert_line(&out, "le=\"524.288\"} 1\n");
	assert_line(&out, "_sum{namespace=\"default\",changefeed=\"a\"} 0.0015\n");
	ml_buf_fini(&out);
	ml_figures_fini(&f);
}

static void
workers_that_died_count_too(void **state)
{
	struct ml_buf out = { 0 };
	struct ml_figures one, two, sum = { 0 }, got = { 0 };

	(void)state;
	ml_figures_init(&one, 1);
	ml_figures_init(&two, 2);
	ml_figure_add(&one, ML_FIG_PREPARE_ERROR, 1, 1);
	one.v[ML_FIG_WORDS] = 7;
	ml_figure_add(&two, ML_FIG_PREPARE_ERROR, 1, 3);
	two.v[ML_FIG_WORDS] = 1;
	two.v[ML_FIG_WORDS + 1] = 2;
	ml_figures_set(&got, two.v, two.n);
	ml_figures_sum(&sum, &one);
	ml_figures_sum(&sum, &got);
	ml_figure_head(&out, ML_FIG_PREPARE_ERROR);
	ml_figure_print(&out, ML_FIG_PREPARE_ERROR, &sum, labels);
	ml_figure_print(&out, ML_N_FIGS, &sum, labels);
	assert_line(&out, "# TYPE ticdc_sink_txn_prepare_statement_errors counter\n");
	assert_line(&out, "ticdc_sink_txn_prepare_statement_errors{namespace=\"default\",changefeed=\"a\"} 4\n");
	assert_line(&out, "ticdc_sink_txn_worker_handled_rows{namespace=\"default\",changefeed=\"a\",id=\"0\"} 8\n");
	assert_line(&out, "ticdc_sink_txn_worker_handled_rows{namespace=\"default\",changefeed=\"a\",id=\"1\"} 2\n");
	ml_buf_fini(&out);
	ml_figures_fini(&one);
	ml_figures_fini(&two);
	ml_figures_fini(&sum);
	ml_figures_fini(&got);
}

static void
what_is_no_vector_of_figures_is_left_out(void **state)
{
	static const uint64_t words[ML_FIG_WORDS + ML_FIG_WORKERS_MAX + 1];
	static const size_t lengths[] = { 0, 1, ML_FIG_WORDS - 1, ML_FIG_WORDS + ML_FIG_WORKERS_MAX + 1 };
	struct ml_figures f = { 0 };
	struct ml_buf out = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		ml_figures_set(&f, words, lengths[i]);
		for (unsigned which = 0; which <= ML_N_FIGS; which++)
			ml_figure_print(&out, which, &f, labels);
		assert_int_equal(out.len, 0);
	}
	ml_figures_fini(&f);
	ml_buf_fini(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_go_into_their_buckets),
		cmocka_unit_test(workers_that_died_count_too),
		cmocka_unit_test(what_is_no_vector_of_figures_is_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
