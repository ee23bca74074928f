#include "capture-worker/filter/filter.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "capture-worker/event/ddl.h"

struct ml_filter {
	struct ml_rules *rules;
	uint64_t *ignored; /* start-ts, sorted */
	size_t n_ignored;
};

static int
by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

int
ml_filter_new(struct ml_filter **out, const Ml__ChangefeedSpec *spec, struct ml_err *err)
{
	static char all[] = "*.*", *const everything[] = { all };
	char *const *lines = spec->n_filter_rules > 0 ? spec->filter_rules : everything;
	size_t n = spec->n_filter_rules > 0 ? spec->n_filter_rules : 1;
	struct ml_filter *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return ML_ERR(err, ErrNoMemory, 0, "making a filter");
	/* The rules came through the API: they must not make this server read files. */
	if (ml_rules_new(&f->rules, lines, n, spec->case_sensitive, false, err) != 0)
		goto fail;
	if (spec->n_ignore_txn_start_ts > 0) {
		f->ignored = calloc(spec->n_ignore_txn_start_ts, sizeof(*f->ignored));
		if (f->ignored == NULL) {
			ML_ERR(err, ErrNoMemory, 0, "making a filter");
			goto fail;
		}
		f->n_ignored = spec->n_ignore_txn_start_ts;
		memcpy(f->ignored, spec->ignore_txn_start_ts, f->n_ignored * sizeof(*f->ignored));
		qsort(f->ignored, f->n_ignored, sizeof(*f->ignored), by_value);
	}
	*out = f;
	return 0;
fail:
	ml_filter_free(f);
	return -1;
}

void
ml_filter_free(struct ml_filter *f)
{
	if (f == NULL)
		return;
	ml_rules_free(f->rules);
	free(f->ignored);
	free(f);
}

/* sinks.md 7.4 */
bool
ml_filter_system_db(const char *db, size_t len)
{
	static const char *const names[] = { "mysql", "information_schema", "performance_schema", "sys",
		"metrics_schema", "inspection_schema", "dm_heartbeat", "tidb_cdc", "lightning_task_info",
		"workload_schema" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strlen(names[i]) == len && strncasecmp(names[i], db, len) == 0)
			return true;
	return false;
}

bool
ml_filter_table(const struct ml_filter *f, const char *db, size_t db_len, const char *table, size_t table_len)
{
	return !ml_filter_system_db(db, db_len) && ml_rules_match(f->rules, db, db_len, table, table_len);
}

bool
ml_filter_db(const struct ml_filter *f, const char *db, size_t db_len)
{
	return !ml_filter_system_db(db, db_len) && ml_rules_match_db(f->rules, db, db_len);
}

bool
ml_filter_ignores_txn(const struct ml_filter *f, uint64_t start_ts)
{
	return f->n_ignored > 0 && bsearch(&start_ts, f->ignored, f->n_ignored, sizeof(*f->ignored), by_value) != NULL;
}

/* protocols.md 2.9: 1-15, 17-26, 32, 33, 37, 38, 41, 42, 47, 60, 61, 64, 65, 67, 71, 72 */
static bool
action_is_sent(int action)
{
	static const uint64_t low = 0x0000fffeull | 0x07fe0000ull | 1ull << 32 | 1ull << 33 | 1ull << 37 | 1ull << 38 |
				    1ull << 41 | 1ull << 42 | 1ull << 47 | 1ull << 60 | 1ull << 61;

	if (action >= 64)
		return action == ML_DDL_OTHER || action == 64 || action == 65 || action == 67 || action == 71 ||
		       action == 72;
	return action > 0 && (low >> action & 1) != 0;
}

bool
ml_filter_ddl(const struct ml_filter *f, const struct ml_ddl *ddl)
{
	if (!action_is_sent(ddl->action) || ml_filter_ignores_txn(f, ddl->start_ts))
		return false;
	if (ddl->table.len == 0 && ddl->pre_table.len == 0)
		return ml_filter_db(f, ddl->db.s, ddl->db.len);
	if (ddl->pre_table.len > 0) {
		const struct ml_text *db = ddl->pre_db.len > 0 ? &ddl->pre_db : &ddl->db;

		if (ml_filter_table(f, db->s, db->len, ddl->pre_table.s, ddl->pre_table.len))
			return true;
	}
	return ddl->table.len > 0 && ml_filter_table(f, ddl->db.s, ddl->db.len, ddl->table.s, ddl->table.len);
}
