/* feed_rows.c - TABLE_MAP and rows events of the open group. */
#include <string.h>

#include "capture-worker/event/mark.h"
#include "capture-worker/filter/filter.h"
#include "capture-worker/mounter/tablemap.h"
#include "capture-worker/source/mysql/feed_int.h"

static int
corrupt(struct ml_feed *f, const struct ml_ev *e, const char *what, struct ml_err *err)
{
	char at[400];

	return ML_ERR(err, ErrMySQLEventCorrupt, 0, e->type, ml_reader_at(&f->reader, at, sizeof(at)), what);
}

/* MariaDB logs a sequence's state as rows of a table with these columns; only SEQUENCE objects may have the first name there. */
static bool
is_sequence(const struct ml_tablemap *tm)
{
	static const char first[] = "next_not_cached_value";

	return tm->n_columns == 8 && tm->has_names && tm->columns[0].name.len == sizeof(first) - 1 &&
	       memcmp(tm->columns[0].name.s, first, sizeof(first) - 1) == 0;
}

static int
resolve(struct ml_feed *f, const struct ml_tablemap *tm, struct ml_schema **out, struct ml_err *err)
{
	char at[400];
	int rc;

	for (int i = 0; i < 2; i++) {
		rc = ml_schema_store_resolve(f->store, tm, f->commit_ts, out, err);
		if (rc != ML_RESOLVE_UNKNOWN)
			return rc < 0 ? -1 : 0;
		/* No FULL metadata, and a table that nobody has described: the server may know it. */
		if (i == 0 && f->reread(f->reread_arg, err) < 0)
			return -1;
	}
	return ML_ERRF(err, ErrMySQLSchemaMismatch, 0,
		"row event at %s for %.*s.%.*s: the definition of the table is not known and the server no longer has it; "
		"set binlog_row_metadata=FULL or re-create the changefeed",
		ml_reader_at(&f->reader, at, sizeof(at)), (int)tm->db.len, tm->db.s, (int)tm->table.len, tm->table.s);
}

/* The decoder for this body; *out NULL: the table's rows are not wanted. */
static int
prepare(struct ml_feed *f, const struct ml_ev *e, struct ml_rowdec **out, struct ml_err *err)
{
	struct ml_text db, table;
	struct ml_tablemap tm;
	struct ml_schema *schema;
	char at[400];
	int rc = 0;

	*out = NULL;
	if (ml_tablemap_names(e->body, e->body_len, &db, &table) < 0)
		return corrupt(f, e, "it is too short for its names", err);
	if (!ml_filter_table(f->env->filter, db.s, db.len, table.s, table.len))
		return 0;
	ml_arena_reset(&f->arena);
	ml_reader_at(&f->reader, at, sizeof(at));
	if (ml_tablemap_parse(&tm, &f->arena, e->body, e->body_len, f->reader.flavor == ML_MARIADB, at, err) < 0)
		return -1;
	if (is_sequence(&tm))
		return 0;
	if (resolve(f, &tm, &schema, err) < 0)
		return -1;
	if (schema->kind != ML_TABLE_SEQUENCE && (f->env->spec->force_replicate || ml_schema_eligible(schema)))
		rc = ml_rowdec_new(out, &tm, schema, f->tz, at, err);
	ml_schema_unref(schema);
	return rc;
}

/* The table whose change in front of all others marks a transaction. */
static bool
is_mark(const struct ml_ev *e)
{
	struct ml_text db, table;

	return ml_tablemap_names(e->body, e->body_len, &db, &table) == 0 && table.len == sizeof(ML_MARK_TABLE) - 1 &&
	       db.len == sizeof(ML_MARK_DB) - 1 && memcmp(table.s, ML_MARK_TABLE, table.len) == 0 &&
	       memcmp(db.s, ML_MARK_DB, db.len) == 0;
}

int
ml_feed_on_map(void *arg, const struct ml_ev *e, struct ml_err *err)
{
	struct ml_feed *f = arg;
	uint64_t id = ml_tablemap_id(e->body, e->body_len);
	struct ml_tab *tab = f->tab;
	struct ml_rowdec *dec;

	if (f->drop_marked && !f->skip && is_mark(e))
		f->skip = f->marked = true;
	if (f->skip && !f->preparing)
		return 0;
	if (tab == NULL || tab->id != id)
		tab = ml_tabs_get(&f->tabs, id);
	if (!ml_tab_same(&f->tabs, tab, e->body, e->body_len)) {
		if (prepare(f, e, &dec, err) < 0)
			return -1;
		ml_tab_set(&f->tabs, tab, e->body, e->body_len, dec);
	}
	tab->group = f->group;
	f->tab = tab;
	if (f->preparing && tab->dec != NULL)
		return ml_xa_add(f->xa, e, err);
	return 0;
}

int
ml_feed_on_rows(void *arg, const struct ml_ev *e, struct ml_err *err)
{
	struct ml_feed *f = arg;
	uint64_t id = ml_tablemap_id(e->body, e->body_len);
	struct ml_tab *tab = f->tab;
	struct ml_rows_want want;
	uint64_t before;
	uint32_t first;
	int more;

	if (id == ML_TABLE_ID_DUMMY || (f->skip && !f->preparing))
		return 0;
	if (tab == NULL || tab->id != id)
		tab = ml_tabs_find(&f->tabs, id);
	if (tab == NULL || tab->group != f->group)
		return corrupt(f, e, "its table has not been mapped in this transaction", err);
	if (tab->dec == NULL)
		return 0;
	if (f->preparing)
		return ml_xa_add(f->xa, e, err);
	if (ml_rows_open(&f->rows, tab->dec, e->type, e->body, e->body_len, err) < 0)
		return -1;
	want = (struct ml_rows_want){
		.commit_ts = f->commit_ts,
		.start_ts = f->commit_ts - 1,
		.values = f->env->want_values || (f->snap != NULL && ml_snapshot_busy(f->snap)),
		.max_bytes = ML_FEED_BATCH_BYTES,
	};
	f->wanted_bytes += e->body_len < ML_FEED_BATCH_BYTES ? e->body_len : 0;
	do {
		if (f->b->n_rows >= ML_FEED_BATCH_ROWS || f->wanted_bytes >= ML_FEED_BATCH_BYTES ||
			f->b->bytes_in >= ML_FEED_BATCH_LOG_BYTES) {
			if (f->had_rows || f->b->n_changes > 0) {
				if (ml_feed_full(f) < 0)
					return 0; /* stopped: nobody looks at the rest */
			}
		}
		if (want.values)
			want.max_rows = f->b->n_rows < ML_FEED_BATCH_ROWS ? ML_FEED_BATCH_ROWS - f->b->n_rows : 1;
		before = f->b->n_changes;
		first = f->b->n_rows;
		more = ml_rows_next(&f->rows, f->b, &want, err);
		if (f->snap != NULL)
			ml_snapshot_rows(f->snap, f->b, first);
		if (f->b->n_changes > before)
			f->had_rows = true;
		if (more > 0)
			f->wanted_bytes =
				ML_FEED_BATCH_BYTES; /* a piece as large as a batch, or a batch full of rows */
	} while (more > 0);
	if (e->body_len >= ML_FEED_BATCH_BYTES)
		f->wanted_bytes = ML_FEED_BATCH_BYTES; /* of the last piece nobody knows: let it go out */
	return more;
}
