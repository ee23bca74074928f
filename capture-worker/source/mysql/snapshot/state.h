/* state.h - the tables of the initial copy and what of them has been delivered; as text that is stored with the checkpoint. */
#ifndef ML_WORKER_SOURCE_MYSQL_SNAPSHOT_STATE_H
#define ML_WORKER_SOURCE_MYSQL_SNAPSHOT_STATE_H
#include "capture-worker/source/mysql/snapshot/plan.h"
#include "common/base/buf.h"
#include "proto/shard.pb-c.h"

/* More finished tables than this are kept by their ids alone. */
#define ML_COPY_LISTED 500

/* Whether the target has the table; only what is stored counts, since rows before it must not be missing after a crash. */
enum ml_copy_stage {
	ML_COPY_UNMADE, /* it has not been told: the table's changes stay here, all of them will be in the copy */
	ML_COPY_MADE,   /* it has been told, which is not stored yet: the same for rows, but DDL goes out */
	ML_COPY_OPEN,   /* everything goes out, and chunks may be read; at once where no tables are made */
};

struct ml_copy_range {
	struct ml_copy_bound after, upto;
	bool done;
	bool busy; /* a reader has it */
};

struct ml_copy_table {
	int64_t id;
	struct ml_schema *schema; /* reference; NULL: not seen since the start */
	char *db, *name;
	uint64_t rows, estimated, version;
	int64_t started_ms, finished_ms;
	enum ml_copy_stage stage;
	ml_ts made_ts; /* commit-ts of its CREATE TABLE: when that is stored, MADE becomes OPEN */
	bool looked, transactional;
	bool done;
	bool seen;         /* scratch of whoever compares with the tables there are */
	uint64_t retry_us; /* not before this moment, monotonic */
	uint32_t failures; /* in a row */
	char *key;         /* names of its columns, each with a NUL behind it; NULL: not begun */
	size_t key_len;
	struct ml_copy_range *ranges; /* none: not begun */
	size_t n_ranges;
};

struct ml_copy_state {
	struct ml_copy_table **v; /* sorted by id */
	size_t n, cap;
	size_t n_open; /* not done */
};

void ml_copy_state_fini(struct ml_copy_state *s);
struct ml_copy_table *ml_copy_state_find(const struct ml_copy_state *s, int64_t id);
/* Or the one that is there.  A new one is OPEN. */
struct ml_copy_table *ml_copy_state_add(struct ml_copy_state *s, int64_t id);
void ml_copy_state_remove(struct ml_copy_state *s, struct ml_copy_table *t);
void ml_copy_state_done(struct ml_copy_state *s, struct ml_copy_table *t);
/* n ranges without bounds; what there was of progress is forgotten. */
void ml_copy_table_ranges(struct ml_copy_table *t, size_t n);
/* True if the table's key is the one its ranges are about, or it has not begun. */
bool ml_copy_table_key_is(const struct ml_copy_table *t, const struct ml_schema *s, const struct ml_index *key);
void ml_copy_table_set_key(struct ml_copy_table *t, const struct ml_schema *s, const struct ml_index *key);
/* Replaces out by the stored form. */
void ml_copy_state_pack(const struct ml_copy_state *s, struct ml_buf *out);
/* Adds what the stored form says.  -1: it is damaged. */
int ml_copy_state_unpack(struct ml_copy_state *s, const uint8_t *p, size_t n);
#endif
