/*
 * metrics.c - GET /metrics: Prometheus text with TiCDC's names (runtime.md 9.2), as far as they have a meaning here, filled from what the
 * workers reported last.  Timestamps are physical milliseconds, lags seconds.  Series of a changefeed exist while it runs; its status
 * always.
 */
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "api-gateway/api/api.h"
#include "api-gateway/api/copy.h"
#include "api-gateway/http/reply.h"

struct sample {
	const struct ml_feed *f;
	const struct ml_api *api;
	Ml__WorkerStats stats; /* totals */
	uint64_t now_ms;
};

/* ---- values of one changefeed ---- */

static double
lag_s(uint64_t now_ms, ml_ts ts)
{
	return ((double)now_ms - (double)ml_ts_ms(ts)) / 1000.0;
}

static double
v_checkpoint(const struct sample *s)
{
	return (double)ml_ts_ms(s->f->checkpoint_ts);
}
static double
v_checkpoint_lag(const struct sample *s)
{
	return lag_s(s->now_ms, s->f->checkpoint_ts);
}
static double
v_resolved(const struct sample *s)
{
	return (double)ml_ts_ms(s->f->resolved_ts);
}
static double
v_resolved_lag(const struct sample *s)
{
	return lag_s(s->now_ms, s->f->resolved_ts);
}
static double
v_now(const struct sample *s)
{
	return (double)s->now_ms;
}
static double
v_status(const struct sample *s)
{
	return (double)s->f->state;
}
static double
v_tables(const struct sample *s)
{
	return (double)s->f->n_table_ids;
}
static double
v_restarts(const struct sample *s)
{
	return (double)s->f->restarts;
}
static double
v_started(const struct sample *s)
{
	return (double)s->f->started_us / 1000.0;
}
static double
v_rows(const struct sample *s)
{
	return (double)s->stats.rows;
}
static double
v_mounted(const struct sample *s)
{
	return (double)(s->stats.rows + s->stats.filtered_rows);
}
static double
v_filtered(const struct sample *s)
{
	return (double)s->stats.filtered_rows;
}
static double
v_bytes_out(const struct sample *s)
{
	return (double)s->stats.bytes_out;
}
static double
v_bytes_in(const struct sample *s)
{
	return (double)s->stats.bytes_in;
}
static double
v_ddls(const struct sample *s)
{
	return (double)s->stats.ddls;
}
static double
v_events(const struct sample *s)
{
	return (double)s->stats.events;
}
static double
v_txns(const struct sample *s)
{
	return (double)s->stats.txns;
}
static double
v_sink_errors(const struct sample *s)
{
	return (double)s->stats.sink_errors;
}
static double
v_reconnects(const struct sample *s)
{
	return (double)s->stats.source_reconnects;
}
static double
v_memory(const struct sample *s)
{
	return (double)s->stats.memory_bytes;
}
static double
v_quota(const struct sample *s)
{
	return (double)s->api->config->worker_memory_quota_bytes;
}

static double
v_running_ddl(const struct sample *s)
{
	const Ml__RunningDdl *d = s->f->running_ddl;

	return d == NULL ? 0 : ((double)s->now_ms - (double)d->started_ms) / 1000;
}

/* TiCDC's two families of sinks. */
static const char by_sink[] = "";

static const char *
sink_label(const struct ml_feed *f)
{
	const char *uri = f->spec->sink_uri;

	return strncmp(uri, "kafka", 5) == 0 || strncmp(uri, "blackhole", 9) == 0 ? ",type=\"RowSink\""
										  : ",type=\"TxnSink\"";
}

static const struct row {
	const char *name, *type, *help;
	const char *labels; /* more labels, "" or ",a=\"b\""; or by_sink */
	bool always;        /* also while the changefeed does not run */
	double (*value)(const struct sample *s);
} rows[] = {
	{ "ticdc_owner_checkpoint_ts", "gauge", "checkpoint, physical milliseconds", "", false, v_checkpoint },
	{ "ticdc_owner_checkpoint_ts_lag", "gauge", "now minus checkpoint, seconds", "", false, v_checkpoint_lag },
	{ "ticdc_owner_resolved_ts", "gauge", "resolved-ts, physical milliseconds", "", false, v_resolved },
	{ "ticdc_owner_resolved_ts_lag", "gauge", "now minus resolved-ts, seconds", "", false, v_resolved_lag },
	{ "ticdc_owner_current_pd_ts", "gauge", "this node's clock, milliseconds", "", false, v_now },
	{ "ticdc_owner_status", "gauge", "0 normal 1 pending 2 failed 3 stopped 4 finished 5 removed 6 warning", "",
		true, v_status },
	{ "ticdc_owner_changefeed_start_time", "gauge", "the worker last took up its work, milliseconds",
		",type=\"restart\"", false, v_started },
	{ "ticdc_processor_num_of_tables", "gauge", "tables on this capture", "", false, v_tables },
	{ "ticdc_processor_exit_with_error_count", "counter", "worker processes that died", "", false, v_restarts },
	{ "ticdc_processor_memory_consumption", "gauge", "bytes charged to the quota", "", false, v_memory },
	{ "ticdc_scheduler_table", "gauge", "tables known to the owner", "", false, v_tables },
	{ "ticdc_sinkmanager_memory_quota", "gauge", "memory quota of a changefeed, bytes",
		",type=\"total\",component=\"sink\"", false, v_quota },
	{ "ticdc_sinkmanager_memory_quota", NULL, NULL, ",type=\"used\",component=\"sink\"", false, v_memory },
	{ "ticdc_mounter_total_rows_count", "gauge", "rows decoded", "", false, v_mounted },
	{ "ticdc_mounter_ignored_dml_event_count", "counter", "rows filtered", "", false, v_filtered },
	{ "ticdc_puller_txn_collect_event_count", "counter", "events read from the upstream", ",type=\"kv\"", false,
		v_events },
	{ "ticdc_sink_table_sink_total_rows_count", "counter", "rows given to the sink", "", false, v_rows },
	{ "ticdc_sink_write_bytes_total", "counter", "bytes given to the sink", by_sink, false, v_bytes_out },
	{ "ticdc_sink_ddl_exec_count", "counter", "DDL given to the sink", by_sink, false, v_ddls },
	{ "ticdc_sink_execution_error", "counter", "errors of the sink", by_sink, false, v_sink_errors },
	{ "millrace_source_bytes_total", "counter", "bytes read from the upstream", "", false, v_bytes_in },
	{ "millrace_source_txns_total", "counter", "transactions read from the upstream", "", false, v_txns },
	{ "millrace_source_reconnects_total", "counter", "connections to the upstream made again", "", false,
		v_reconnects },
	{ "millrace_sink_running_ddl_seconds", "gauge", "how long the target has been at a DDL, 0: at none", "", false,
		v_running_ddl },
};

static void
put_feeds(struct ml_buf *out, const struct ml_api *api)
{
	struct sample s = { .api = api, .now_ms = ml_wall_ms() };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].help != NULL)
			ml_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", rows[i].name, rows[i].help, rows[i].name,
				rows[i].type);
		for (size_t k = 0; k < api->coord->n_feeds; k++) {
			s.f = api->coord->feeds[k];
			if (!rows[i].always && !ml_feed_active(s.f))
				continue;
			s.stats = ml_feed_totals(s.f);
			ml_buf_printf(out, "%s{namespace=\"%s\",changefeed=\"%s\"%s} %.15g\n", rows[i].name,
				s.f->spec->namespace_, s.f->spec->id,
				rows[i].labels == by_sink ? sink_label(s.f) : rows[i].labels, rows[i].value(&s));
		}
	}
}

static void
put_figures(struct ml_buf *out, const struct ml_api *api)
{
	/* The last one is the rows by worker. */
	for (unsigned which = 0; which <= ML_N_FIGS; which++) {
		ml_figure_head(out, which);
		for (size_t k = 0; k < api->coord->n_feeds; k++) {
			const struct ml_feed *f = api->coord->feeds[k];
			struct ml_figures sum = { 0 };
			char labels[512];

			if (!ml_feed_active(f))
				continue;
			ml_figures_sum(&sum, &f->figures_before);
			ml_figures_sum(&sum, &f->figures);
			snprintf(labels, sizeof(labels), "namespace=\"%s\",changefeed=\"%s\"", f->spec->namespace_,
				f->spec->id);
			ml_figure_print(out, which, &sum, labels);
			ml_figures_fini(&sum);
		}
	}
}

/* ---- processes ---- */

struct usage {
	double cpu_s;
	uint64_t rss_bytes;
	unsigned fds;
};

static bool
read_stat(int64_t pid, struct usage *u)
{
	char path[64], text[1024], *p;
	unsigned long utime, stime;
	long rss;
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%lld/stat", (long long)pid);
	f = fopen(path, "re");
	if (f == NULL)
		return false;
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	/* The name in parentheses may hold anything: fields are counted from its end. */
	p = strrchr(text, ')');
	if (p == NULL ||
		sscanf(p + 1,
			" %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %*d %*d %*u %*u %ld",
			&utime, &stime, &rss) != 3)
		return false;
	u->cpu_s = (double)(utime + stime) / (double)sysconf(_SC_CLK_TCK);
	u->rss_bytes = rss > 0 ? (uint64_t)rss * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
	return true;
}

static unsigned
count_fds(int64_t pid)
{
	char path[64];
	unsigned n = 0;
	DIR *d;

	snprintf(path, sizeof(path), "/proc/%lld/fd", (long long)pid);
	d = opendir(path);
	if (d == NULL)
		return 0;
	for (struct dirent *e; (e = readdir(d)) != NULL;)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

static void
head(struct ml_buf *out, const char *name, const char *type, const char *help)
{
	ml_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* The node's figures under the names of a single process: they are sums over its family. */
static void
put_processes(struct ml_buf *out, const struct ml_api *api)
{
	struct usage sum = { 0 }, u;
	struct ml_buf rss = { 0 };
	size_t n = api->processes != NULL ? api->processes->n_processes : 0;
	uint64_t up_s = ml_wall_ms() / 1000 - (uint64_t)api->config->start_wall_ms / 1000;

	head(&rss, "millrace_process_resident_memory_bytes", "gauge", "of each process of this node");
	for (size_t i = 0; i < n; i++) {
		const Ml__ProcessStat *p = api->processes->processes[i];

		if (!read_stat(p->pid, &u))
			continue;
		sum.cpu_s += u.cpu_s;
		sum.rss_bytes += u.rss_bytes;
		sum.fds += count_fds(p->pid);
		ml_buf_printf(&rss, "millrace_process_resident_memory_bytes{process=\"%s\"} %llu\n", p->name,
			(unsigned long long)u.rss_bytes);
	}
	if (n == 0 && read_stat(getpid(), &u)) {
		sum = u;
		sum.fds = count_fds(getpid());
	}
	head(out, "process_cpu_seconds_total", "counter", "of all processes of this node");
	ml_buf_printf(out, "process_cpu_seconds_total %.2f\n", sum.cpu_s);
	head(out, "process_resident_memory_bytes", "gauge", "of all processes of this node");
	ml_buf_printf(out, "process_resident_memory_bytes %llu\n", (unsigned long long)sum.rss_bytes);
	head(out, "process_open_fds", "gauge", "of all processes of this node");
	ml_buf_printf(out, "process_open_fds %u\n", sum.fds);
	head(out, "process_start_time_seconds", "gauge", "of the node, Unix time");
	ml_buf_printf(out, "process_start_time_seconds %lld\n", (long long)(api->config->start_wall_ms / 1000));
	head(out, "ticdc_owner_ownership_counter", "counter", "seconds this capture has been owner");
	ml_buf_printf(out, "ticdc_owner_ownership_counter %llu\n", (unsigned long long)up_s);
	head(out, "ticdc_server_go_gc", "gauge", "constant, for dashboards");
	ml_buf_puts(out, "ticdc_server_go_gc 0\n");
	ml_buf_put(out, rss.data, rss.len);
	ml_buf_fini(&rss);
	head(out, "millrace_process_restarts_total", "counter", "of each process of this node");
	for (size_t i = 0; i < n; i++)
		ml_buf_printf(out, "millrace_process_restarts_total{process=\"%s\"} %u\n",
			api->processes->processes[i]->name, api->processes->processes[i]->restarts);
	head(out, "millrace_metastore_failing", "gauge", "1 while the metadata store refuses writes or is not open");
	ml_buf_printf(out, "millrace_metastore_failing %d\n", api->coord->store_failing || !api->ready);
}

void
ml_metrics(struct ml_http_req *r, void *arg)
{
	struct ml_buf out = { 0 };

	put_feeds(&out, arg);
	put_figures(&out, arg);
	ml_copy_metrics(&out, ((const struct ml_api *)arg)->coord);
	put_processes(&out, arg);
	ml_http_reply(r, 200, "text/plain; version=0.0.4; charset=utf-8", &out);
	ml_buf_fini(&out);
}
