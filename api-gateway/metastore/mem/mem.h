/* mem.h - metadata store in memory: for tests, and for a node that may forget.  The smallest complete member of its kind. */
#ifndef ML_API_GATEWAY_METASTORE_MEM_MEM_H
#define ML_API_GATEWAY_METASTORE_MEM_MEM_H
#include "api-gateway/metastore/metastore.h"

extern const struct ml_meta_ops ml_meta_mem;

/* Tests: the next n commits fail with err. */
void ml_meta_mem_fail(struct ml_meta *m, unsigned n, const struct ml_err *err);
#endif
