/* trouble.h - what an error of the stream means: wait and connect again, take another server id, or give up. */
#ifndef ML_WORKER_SOURCE_MYSQL_TROUBLE_H
#define ML_WORKER_SOURCE_MYSQL_TROUBLE_H
#include "capture-worker/source/mysql/group.h"
#include "common/base/err.h"
#include "common/base/ts.h"

enum ml_trouble {
	ML_TROUBLE_LOST,    /* the connection: try again from the last place */
	ML_TROUBLE_SAME_ID, /* somebody else reads with our server_id */
	ML_TROUBLE_FATAL,   /* err says what; rewritten to the code that names the cause */
};
/* err: from ml_dump_open, ml_dump_next or a control query; place and checkpoint_ts for the texts (mysql-upstream.md 5.5). */
enum ml_trouble ml_trouble_of(
	struct ml_err *err, const struct ml_my_conn *c, const struct ml_place *place, ml_ts checkpoint_ts);
#endif
