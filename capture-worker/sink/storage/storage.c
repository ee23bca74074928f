/*
 * storage.c - the storage sink over any store.
 *
 *   <root>/metadata                                        the checkpoint
 *   <root>/<schema>/meta/schema_<version>_<sum>.json       DDLs of the database
 *   <root>/<schema>/<table>/meta/schema_<version>_<sum>.json
 *   <root>/<schema>/<table>/<version>/[<date>/]CDC<n>.<ext>, meta/CDC.index
 *
 * The data directory of a row is found once per table definition (sinks.md 4.4) and remembered until the next DDL.
 */
#include "capture-worker/sink/storage/storage.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture-worker/sink/storage/cleanup.h"
#include "capture-worker/sink/storage/disk.h"
#include "capture-worker/sink/storage/options.h"
#include "capture-worker/sink/storage/schema_file.h"
#include "capture-worker/sink/storage/writer.h"
#include "common/base/fault.h"
#include "common/run/log.h"
#include "common/run/loop.h"

/* The metadata file is written no more often, and not sooner after the start (sinks.md 4.2). */
#define METADATA_EVERY_MS 2000
/* Longer than it can be; spaces that somebody added do no harm. */
#define METADATA_MAX_BYTES 4096
/* TiDB's action code of EXCHANGE PARTITION, which changes two tables. */
#define ACTION_EXCHANGE_PARTITION 42

/* Which directory a definition's rows go to; open addressing by the schema's address. */
struct known {
	struct ml_schema *schema; /* referenced, so that the address stays its own; NULL: free */
	struct data_dir *dir;
};

struct storage {
	struct ml_sink base;
	const struct ml_sink_env *env;
	struct storage_options o;
	struct ml_tz *tz;
	struct writer *writer;
	struct cleanup *cleanup; /* NULL: files stay */
	struct known *known;
	size_t n_known, cap_known; /* cap: a power of two */
	ml_ts written_ts;          /* in the metadata file; never goes back */
	ml_ts waiting_ts;          /* newer, and too early to write */
	uint64_t written_ms;
};

static int
check(const struct ml_sink_env *env, struct ml_err *err)
{
	struct storage_options o;

	if (storage_options_init(&o, env, err) != 0)
		return -1;
	storage_options_fini(&o);
	return 0;
}

/* ---- schema files ---- */

/* "<db>[/<table>]".  A database of the metadata file's name gets its first letter escaped: both are in the root. */
static void
table_path(const char *db, size_t db_len, const char *table, size_t table_len, struct ml_buf *out)
{
	if (db_len == 8 && memcmp(db, "metadata", 8) == 0)
		ml_buf_puts(out, "%6Detadata");
	else
		disk_escape(out, db, db_len);
	if (table_len > 0) {
		ml_buf_putc(out, '/');
		disk_escape(out, table, table_len);
	}
}

static int
put_schema_file(struct storage *s, const struct schema_file *f, uint32_t sum, struct ml_err *err)
{
	struct ml_buf dir = { 0 }, text = { 0 };
	char name[64];
	int rc;

	table_path(f->db, f->db_len, f->table, f->table_len, &dir);
	ml_buf_puts(&dir, "/meta");
	schema_file_name(name, f->version, sum);
	schema_file_text(f, &text);
	rc = s->o.store->ops->put(s->o.store, dir.data, name, text.data, text.len, true, err);
	ml_buf_fini(&text);
	ml_buf_fini(&dir);
	return rc;
}

struct search {
	const char *dir;
	uint32_t sum;
	bool found, others;
	ml_ts version; /* the highest of those found */
};

static int
search_name(void *arg, const char *name, struct ml_err *err)
{
	struct search *h = arg;
	uint32_t sum;
	ml_ts v;

	if (strncmp(name, "schema_", 7) != 0)
		return 0;
	if (!schema_file_parse_name(name, &v, &sum))
		return ML_ERRF(err, ErrInternalCheckFailed, 0,
			"internal check failed, invalid schema file name %s/%.200s", h->dir, name);
	if (sum != h->sum) {
		h->others = true;
	} else if (!h->found || v > h->version) {
		h->version = v;
		h->found = true;
	}
	return 0;
}

/*
 * sinks.md 4.4: the version whose directory takes rows of this definition.  1: *version is set; 0: no file describes it yet;
 * *others: there are schema files of other definitions.
 */
static int
find_version(
	struct storage *s, const char *meta, ml_ts own, uint32_t sum, ml_ts *version, bool *others, struct ml_err *err)
{
	struct search h = { .dir = meta, .sum = sum };
	char name[64], path[STORE_PATH_MAX];
	uint64_t bytes;
	int rc;

	*others = false;
	schema_file_name(name, own, sum);
	snprintf(path, sizeof(path), "%s/%s", meta, name);
	rc = s->o.store->ops->stat(s->o.store, path, &bytes, err);
	if (rc != 0) {
		*version = own;
		return rc;
	}
	if (s->o.store->ops->list(s->o.store, meta, search_name, &h, err) != 0)
		return -1;
	*others = h.others;
	if (h.found)
		*version = h.version;
	return h.found;
}

static struct data_dir *
find_dir(struct storage *s, struct ml_schema *schema, struct ml_err *err)
{
	struct schema_file f = {
		.db = schema->db.s,
		.db_len = schema->db.len,
		.table = schema->table.s,
		.table_len = schema->table.len,
		.schema = schema,
		.version = schema->version,
		.query = "",
		.column_id = s->o.column_id,
	};
	uint32_t sum = schema_file_checksum(&f);
	struct ml_buf path = { 0 };
	struct data_dir *d = NULL;
	ml_ts version = schema->version;
	bool others = false;
	size_t base;
	int rc;

	table_path(f.db, f.db_len, f.table, f.table_len, &path);
	base = path.len;
	ml_buf_puts(&path, "/meta");
	if (path.len + 128 > STORE_PATH_MAX) {
		store_error(s->o.store, schema->qname.s, 0, "the name is too long", err);
		ml_buf_fini(&path);
		return NULL;
	}
	rc = find_version(s, path.data, schema->version, sum, &version, &others, err);
	if (rc == 0) {
		if (others)
			ml_warn(s->env->object,
				"no schema file describes this definition, one is written table=%s version=%" PRIu64,
				schema->qname.s, schema->version);
		rc = put_schema_file(s, &f, sum, err) == 0 ? 1 : -1;
	}
	if (rc > 0) {
		path.len = base;
		ml_buf_printf(&path, "/%" PRIu64, version);
		d = writer_dir(s->writer, path.data, f.db, f.table);
	}
	ml_buf_fini(&path);
	return d;
}

static size_t
slot_of(const struct storage *s, const struct ml_schema *schema)
{
	size_t i = (size_t)((uintptr_t)schema / 64 * 0x9E3779B97F4A7C15u >> 20) & (s->cap_known - 1);

	while (s->known[i].schema != NULL && s->known[i].schema != schema)
		i = (i + 1) & (s->cap_known - 1);
	return i;
}

static struct data_dir *
dir_of(struct storage *s, struct ml_schema *schema, struct ml_err *err)
{
	struct data_dir *d;
	size_t i;

	if (s->cap_known > 0 && s->known[i = slot_of(s, schema)].schema != NULL)
		return s->known[i].dir;
	d = find_dir(s, schema, err);
	if (d == NULL)
		return NULL;
	if (s->n_known * 2 >= s->cap_known) {
		struct known *old = s->known;
		size_t cap = s->cap_known;

		s->cap_known = cap > 0 ? cap * 2 : 64;
		s->known = calloc(s->cap_known, sizeof(*s->known));
		if (s->known == NULL)
			abort();
		for (size_t k = 0; k < cap; k++)
			if (old[k].schema != NULL)
				s->known[slot_of(s, old[k].schema)] = old[k];
		free(old);
	}
	i = slot_of(s, schema);
	s->known[i] = (struct known){ ml_schema_ref(schema), d };
	s->n_known++;
	return d;
}

static void
forget_all(struct storage *s)
{
	for (size_t i = 0; i < s->cap_known; i++)
		ml_schema_unref(s->known[i].schema);
	free(s->known);
	s->known = NULL;
	s->n_known = s->cap_known = 0;
}

/* ---- rows ---- */

static int
write_batch(struct ml_sink *base, struct ml_batch *b, struct ml_err *err)
{
	struct storage *s = (struct storage *)base;
	struct ml_schema *last = NULL;
	struct data_dir *d = NULL;
	int rc;

	if (ml_fault("sink_crash", s->env->spec->id))
		abort();
	rc = writer_begin(s->writer, b->seq, err);
	for (uint32_t i = 0; i < b->n_msgs && rc == 0; i++) {
		const struct ml_msg *m = &b->msgs[i];

		if (m->schema != last) {
			last = m->schema;
			d = dir_of(s, last, err);
		}
		rc = d == NULL ? -1 : writer_row(s->writer, d, m->value, m->value_len, err);
	}
	if (rc == 0)
		rc = writer_end(s->writer, b->barrier.kind == ML_BAR_RESOLVED, err);
	ml_batch_free(b);
	if (rc != 0)
		writer_fail(s->writer, err);
	return rc;
}

static int
flush(struct ml_sink *base, struct ml_err *err)
{
	return writer_flush(((struct storage *)base)->writer, err);
}

static int
ddl(struct ml_sink *base, const struct ml_ddl *ddl, const struct ml_msg *m, bool all_partitions, struct ml_err *err)
{
	struct storage *s = (struct storage *)base;
	struct schema_file f = {
		.db = ddl->db.s,
		.db_len = ddl->db.len,
		.table = ddl->table.s,
		.table_len = ddl->table.len,
		.schema = ddl->schema,
		.version = ddl->commit_ts,
		.query = ddl->query.s,
		.query_len = ddl->query.len,
		.type = ddl->action,
		.column_id = s->o.column_id,
	};

	(void)m;
	(void)all_partitions;
	if (writer_flush(s->writer, err) != 0)
		return -1;
	/* Definitions change: look again.  Also keeps the memory of tables that are gone bounded. */
	forget_all(s);
	writer_forget(s->writer);
	if (put_schema_file(s, &f, schema_file_checksum(&f), err) != 0)
		return -1;
	if (ddl->action == ACTION_EXCHANGE_PARTITION && ddl->pre_table.len > 0) {
		f.db = ddl->pre_db.len > 0 ? ddl->pre_db.s : ddl->db.s;
		f.db_len = ddl->pre_db.len > 0 ? ddl->pre_db.len : ddl->db.len;
		f.table = ddl->pre_table.s;
		f.table_len = ddl->pre_table.len;
		f.query = "";
		f.query_len = 0;
		f.type = 0;
		return put_schema_file(s, &f, schema_file_checksum(&f), err);
	}
	return 0;
}

/* ---- checkpoint ---- */

static int
put_metadata(struct storage *s, struct ml_err *err)
{
	uint64_t now = ml_now_ms();
	char text[64];
	int n;

	if (s->waiting_ts <= s->written_ts || now - s->written_ms < METADATA_EVERY_MS)
		return 0;
	n = snprintf(text, sizeof(text), "{\"checkpoint-ts\":%" PRIu64 "}", s->waiting_ts);
	if (s->o.store->ops->put(s->o.store, "", "metadata", text, (size_t)n, true, err) != 0)
		return -1;
	s->written_ts = s->waiting_ts;
	s->written_ms = now;
	return 0;
}

static int
checkpoint(struct ml_sink *base, ml_ts ts, const struct ml_msg *m, struct ml_topic **topics, size_t n_topics,
	struct ml_err *err)
{
	struct storage *s = (struct storage *)base;

	(void)m;
	(void)topics;
	(void)n_topics;
	if (ts > s->waiting_ts)
		s->waiting_ts = ts;
	return put_metadata(s, err);
}

static int
tick(struct ml_sink *base, struct ml_err *err)
{
	struct storage *s = (struct storage *)base;

	if (writer_tick(s->writer, err) != 0 || put_metadata(s, err) != 0)
		return -1;
	cleanup_tick(s->cleanup, s->written_ts, ml_wall_ms());
	return 0;
}

/* What an earlier run wrote; 0 without one. */
static int
read_metadata(struct storage *s, struct ml_err *err)
{
	struct ml_buf text = { 0 };
	ml_ts ts = 0;
	int rc = s->o.store->ops->get(s->o.store, "metadata", METADATA_MAX_BYTES, &text, err);

	if (rc > 0 && text.len > 0 && sscanf(text.data, " { \"checkpoint-ts\" : %" SCNu64, &ts) == 1)
		s->written_ts = ts;
	ml_buf_fini(&text);
	return rc < 0 ? -1 : 0;
}

/* ---- life ---- */

static void
close_sink(struct ml_sink *base)
{
	struct storage *s = (struct storage *)base;
	bool free_now;

	if (s == NULL)
		return;
	if (s->o.store != NULL)
		s->o.store->ops->stop(s->o.store);
	free_now = writer_free(s->writer);
	free_now = cleanup_free(s->cleanup) && free_now;
	if (!free_now)
		return; /* a thread is stuck in the file system and still uses all this; the worker ends soon */
	forget_all(s);
	ml_tz_free(s->tz);
	storage_options_fini(&s->o);
	free(s);
}

static int
try_store(struct storage *s, struct ml_err *err)
{
	if (s->o.store->ops->probe(s->o.store, err) == 0 && read_metadata(s, err) == 0)
		return 0;
	return ml_err_wrap(err, ML_ErrFailToCreateExternalStorage, "failed to create external storage");
}

static int
open_sink(struct ml_sink **out, const struct ml_sink_env *env, struct ml_err *err)
{
	struct storage *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return ML_ERR(err, ErrNoMemory, 0, "opening the storage sink");
	s->base.ops = &ml_sink_storage;
	s->env = env;
	if (storage_options_init(&s->o, env, err) != 0 ||
		ml_tz_open(&s->tz, env->config != NULL && env->config->tz != NULL ? env->config->tz : "", err) != 0 ||
		try_store(s, err) != 0 || writer_new(&s->writer, env, &s->o, s->tz, err) != 0) {
		close_sink(&s->base);
		return -1;
	}
	s->written_ms = ml_now_ms();
	s->cleanup = cleanup_new(&s->o, s->tz, env->object, ml_wall_ms());
	*out = &s->base;
	return 0;
}

static void
stats(struct ml_sink *base, uint64_t *bytes_out, uint64_t *errors)
{
	writer_stats(((struct storage *)base)->writer, bytes_out, errors);
}

const struct ml_sink_ops ml_sink_storage = {
	.schemes = { "file", "s3", "gcs", "gs", "azblob", "azure", "noop" },
	.takes = ML_TAKES_MSGS,
	.storage = true,
	.check = check,
	.open = open_sink,
	.write = write_batch,
	.flush = flush,
	.ddl = ddl,
	.checkpoint = checkpoint,
	.tick = tick,
	.close = close_sink,
	.stats = stats,
};
