/* ddl_type.h - names of DDL kinds that canal, canal-json and simple print (protocols.md 2.9, event-type mapping). */
#ifndef ML_WORKER_ENCODER_DDL_TYPE_H
#define ML_WORKER_ENCODER_DDL_TYPE_H

/* "CREATE", "ALTER", ... of a TiDB action code, as canal and canal-json have it; "QUERY" for all others.  Static. */
const char *ml_ddl_type(int action);
#endif
