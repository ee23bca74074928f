/* ddl.h - schema change messages of debezium (protocols.md 11, introduction). */
#ifndef ML_WORKER_ENCODER_DEBEZIUM_DDL_H
#define ML_WORKER_ENCODER_DEBEZIUM_DDL_H
#include "capture-worker/encoder/debezium/table.h"
#include "capture-worker/event/ddl.h"
#include "capture-worker/event/msg.h"

/* Is there a message for it?  TRUNCATE TABLE has none. */
bool dbz_ddl_told(const struct ml_ddl *ddl);
void dbz_put_ddl_key(struct ml_out *o, const struct dbz_form *f, const struct ml_ddl *ddl);
/* head: from the start to the source's `"ts_ms":`; now_ms: wall clock. */
void dbz_put_ddl_value(
	struct ml_out *o, const struct dbz_form *f, struct ml_text head, const struct ml_ddl *ddl, uint64_t now_ms);
#endif
