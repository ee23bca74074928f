/* ddl_type.h - kinds of DDL that canal, canal-json and simple print (protocols.md 2.9, event-type mapping). */
#ifndef ML_WORKER_ENCODER_DDL_TYPE_H
#define ML_WORKER_ENCODER_DDL_TYPE_H

/* Numbered as canal's EventType, which goes on with rows from 1 to 3. */
enum ml_ddl_kind {
	ML_DDL_K_CREATE = 4,
	ML_DDL_K_ALTER,
	ML_DDL_K_ERASE,
	ML_DDL_K_QUERY,
	ML_DDL_K_TRUNCATE,
	ML_DDL_K_RENAME,
	ML_DDL_K_CINDEX,
	ML_DDL_K_DINDEX,
};

/* Kind of a TiDB action code, as canal and canal-json have it; ML_DDL_K_QUERY for all that is not listed. */
enum ml_ddl_kind ml_ddl_kind(int action);
/* The same as text: "CREATE", "ALTER", ...  Static. */
const char *ml_ddl_type(int action);
/* The same as simple has it: 37 and 38 have no name there. */
const char *ml_ddl_type_simple(int action);
#endif
