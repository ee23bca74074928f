#include "api-gateway/api/copy.h"

#include <string.h>

static Ml__CopyState *
state_of(const struct ml_feed *f)
{
	const Ml__Position *p = f->position;

	return p == NULL || p->copied.len == 0 ? NULL : ml__copy_state__unpack(NULL, p->copied.len, p->copied.data);
}

static const char *
state_name(const Ml__CopyTable *t)
{
	return t->done ? "finished" : t->n_ranges > 0 ? "copying" : "pending";
}

/* Whole percents, and 100 only for what is finished. */
static uint64_t
percent(const Ml__CopyTable *t)
{
	uint64_t p;

	if (t->done)
		return 100;
	p = t->estimated > 0 ? (uint64_t)((double)t->rows * 100 / (double)t->estimated) : 0;
	return p > 99 ? 99 : p;
}

/* Seconds at the mean speed so far; nothing while that is not known. */
static void
put_eta(struct ml_jw *w, const Ml__CopyTable *t, uint64_t now_ms)
{
	ml_jw_key(w, "eta_seconds");
	if (t->done)
		ml_jw_u64(w, 0);
	else if (t->rows == 0 || t->estimated <= t->rows || (uint64_t)t->started_ms >= now_ms)
		ml_jw_null(w);
	else
		ml_jw_u64(w, (uint64_t)((double)(now_ms - (uint64_t)t->started_ms) / (double)t->rows *
					(double)(t->estimated - t->rows) / 1000));
}

void
ml_copy_put(struct ml_jw *w, const struct ml_feed *f, uint64_t now_ms)
{
	Ml__CopyState *s = state_of(f);
	uint64_t rows = 0, finished;

	if (s == NULL)
		return;
	finished = s->n_done;
	for (size_t i = 0; i < s->n_tables; i++) {
		rows += s->tables[i]->rows;
		finished += s->tables[i]->done;
	}
	ml_jw_key(w, "snapshot");
	ml_jw_open(w, '{');
	ml_jw_kstr(w, "state", s->complete ? "finished" : "copying");
	ml_jw_ku64(w, "tables_finished", finished);
	ml_jw_ku64(w, "rows", rows);
	ml_jw_key(w, "tables");
	ml_jw_open(w, '[');
	for (size_t i = 0; i < s->n_tables; i++) {
		const Ml__CopyTable *t = s->tables[i];

		/* Made while the stream was read: there was nothing to copy. */
		if (t->done && t->started_ms == 0)
			continue;
		ml_jw_open(w, '{');
		ml_jw_kstr(w, "schema", t->db);
		ml_jw_kstr(w, "table", t->table);
		ml_jw_kstr(w, "state", state_name(t));
		ml_jw_ku64(w, "rows", t->rows);
		ml_jw_ku64(w, "estimated_rows", t->estimated);
		ml_jw_ku64(w, "percent", percent(t));
		put_eta(w, t, now_ms);
		ml_jw_close(w, '}');
	}
	ml_jw_close(w, ']');
	ml_jw_close(w, '}');
	ml__copy_state__free_unpacked(s, NULL);
}

/* Label values may hold anything that a table's name may. */
static void
put_label(struct ml_buf *out, const char *s)
{
	for (; *s != '\0'; s++) {
		if (*s == '\n') {
			ml_buf_puts(out, "\\n");
			continue;
		}
		if (*s == '"' || *s == '\\')
			ml_buf_putc(out, '\\');
		ml_buf_putc(out, *s);
	}
}

static void
put_rows(struct ml_buf *out, const struct ml_coord *coord, const char *name, const char *help, bool estimated)
{
	ml_buf_printf(out, "# HELP %s %s\n# TYPE %s gauge\n", name, help, name);
	for (size_t k = 0; k < coord->n_feeds; k++) {
		const struct ml_feed *f = coord->feeds[k];
		Ml__CopyState *s = state_of(f);

		for (size_t i = 0; s != NULL && i < s->n_tables; i++) {
			const Ml__CopyTable *t = s->tables[i];

			if (t->done && t->started_ms == 0)
				continue;
			ml_buf_printf(out, "%s{namespace=\"%s\",changefeed=\"%s\",table=\"", name, f->spec->namespace_,
				f->spec->id);
			put_label(out, t->db);
			ml_buf_putc(out, '.');
			put_label(out, t->table);
			ml_buf_printf(out, "\"} %llu\n", (unsigned long long)(estimated ? t->estimated : t->rows));
		}
		if (s != NULL)
			ml__copy_state__free_unpacked(s, NULL);
	}
}

void
ml_copy_metrics(struct ml_buf *out, const struct ml_coord *coord)
{
	put_rows(out, coord, "millrace_snapshot_rows", "rows of the initial copy that are delivered", false);
	put_rows(out, coord, "millrace_snapshot_estimated_rows", "rows that the initial copy expects", true);
}
