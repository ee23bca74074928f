/*
 * tables.h - the binary log's own table ids: what each stands for now, and the decoder prepared for it.
 *
 * An id means something only in its file, and may mean something else at any TABLE_MAP; almost always the body is the same as
 * last time, and then one comparison is all it costs (mysql-upstream.md 3.9).
 */
#ifndef ML_WORKER_SOURCE_MYSQL_TABLES_H
#define ML_WORKER_SOURCE_MYSQL_TABLES_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture-worker/mounter/binlog.h"

struct ml_tab {
	uint64_t id;
	uint64_t group;      /* number of the group that mapped it last: rows may use it in that group only */
	uint64_t generation; /* of the definitions when it was prepared */
	uint8_t *body;       /* of the TABLE_MAP */
	uint32_t body_len, body_cap;
	struct ml_rowdec *dec; /* NULL: rows of this table are passed over */
};

struct ml_tabs {
	struct ml_tab **slots; /* open addressing, a power of two of them, at most half full */
	size_t n_slots, n;
	uint64_t generation; /* raised when definitions may have changed: every decoder is prepared anew */
};

void ml_tabs_fini(struct ml_tabs *t);
void ml_tabs_clear(struct ml_tabs *t);                             /* another file: ids mean nothing any more */
struct ml_tab *ml_tabs_find(const struct ml_tabs *t, uint64_t id); /* NULL: not mapped in this file */
/* The entry of id, made if it is new (no body, no decoder). */
struct ml_tab *ml_tabs_get(struct ml_tabs *t, uint64_t id);
/* True if tab was prepared from this very body under the definitions of now. */
static inline bool
ml_tab_same(const struct ml_tabs *t, const struct ml_tab *tab, const uint8_t *body, uint32_t len)
{
	return tab->body_len == len && tab->generation == t->generation && memcmp(tab->body, body, len) == 0;
}
/* dec (or NULL) belongs to the entry now. */
void ml_tab_set(struct ml_tabs *t, struct ml_tab *tab, const uint8_t *body, uint32_t len, struct ml_rowdec *dec);
#endif
