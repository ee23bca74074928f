/*
 * fuzz_ddl.c - statements of the log: nothing crashes or runs past its end, and what they do to the definitions stays sound.
 *
 * The first byte chooses modes and charset; then one statement a line, all applied to one store.
 */
#include <stdlib.h>
#include <string.h>

#include "capture-worker/event/ddl_token.h"
#include "capture-worker/source/mysql/schema_store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
sound_text(struct ml_text t)
{
	if (t.s == NULL || t.s[t.len] != '\0')
		abort();
}

static void
sound_schema(const struct ml_schema *s)
{
	sound_text(s->db);
	sound_text(s->table);
	for (int i = 0; i < s->n_columns; i++) {
		sound_text(s->columns[i].name);
		sound_text(s->columns[i].type_full);
		sound_text(s->columns[i].charset);
		if (s->columns[i].has_default)
			sound_text(s->columns[i].dflt);
	}
	for (int i = 0; i < s->n_indexes; i++)
		for (int k = 0; k < s->indexes[i].n_cols; k++)
			if (s->indexes[i].cols[k] >= s->n_columns)
				abort();
}

static int
emit(void *arg, const struct ml_ddl *d, struct ml_err *err)
{
	(void)arg;
	(void)err;
	sound_text(d->query);
	sound_text(d->db);
	sound_text(d->table);
	if (d->action <= 0 || d->commit_ts == 0)
		abort();
	if (d->schema != NULL) {
		sound_schema(d->schema);
		if (d->schema->table_id <= 0)
			abort();
	}
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint16_t collations[] = { 45, 28, 8, 13 }; /* utf8mb4, gbk, latin1, sjis */
	struct ml_schema_store_env store_env = { .object = "fuzz", .force_replicate = true };
	struct ml_ddl_env env = { .default_db = "d", .default_db_len = 1 };
	struct ml_schema_store *st;
	struct ml_err err = { 0 };
	ml_ts ts = 100;

	if (size < 1)
		return 0;
	env.sql_mode =
		(data[0] & 1 ? ML_SQL_MODE_ANSI_QUOTES : 0) | (data[0] & 2 ? ML_SQL_MODE_NO_BACKSLASH_ESCAPES : 0);
	env.mariadb = store_env.mariadb = !(data[0] & 4);
	env.client_collation = collations[data[0] >> 3 & 3];
	env.lower_case_table_names = store_env.lower_case_table_names = data[0] >> 5 & 1;
	store_env.json_as_json = data[0] >> 6 & 1;
	if (ml_schema_store_open(&st, &store_env, &err) != 0)
		abort();
	data++;
	size--;
	while (size > 0) {
		const uint8_t *nl = memchr(data, '\n', size);
		size_t len = nl != NULL ? (size_t)(nl - data) : size;
		/* In memory of exactly its size, so that a step too far is seen. */
		char *sql = malloc(len + 1);
		struct ml_ddl_stmt stmt;
		struct ml_arena a;

		if (sql == NULL)
			abort();
		memcpy(sql + 1, data, len);
		ml_arena_init(&a, 0);
		ml_ddl_classify(&env, sql + 1, len, &a, &stmt);
		free(sql); /* the statement must not lean on it */
		for (uint32_t i = 0; i < stmt.n_items; i++) {
			sound_text(stmt.items[i].db);
			sound_text(stmt.items[i].table);
			sound_text(stmt.items[i].query);
		}
		if (stmt.class == ML_DDL_DDL || stmt.class == ML_DDL_UNKNOWN) {
			ml_schema_store_touches(st, &stmt);
			if (ml_schema_store_apply(st, &stmt, ts, ts - 1, emit, NULL, &err) != 0)
				abort(); /* without a filter nothing can be refused */
		}
		ts += 2;
		ml_arena_fini(&a);
		len += nl != NULL;
		data += len;
		size -= len;
	}
	ml_schema_store_at_head(st);
	ml_schema_store_close(st);
	return 0;
}
