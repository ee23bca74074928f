/* ddl.h - one DDL on its way downstream.  A statement about several tables is several of these, same commit_ts, in order. */
#ifndef ML_WORKER_EVENT_DDL_H
#define ML_WORKER_EVENT_DDL_H
#include "capture-worker/event/schema.h"

/* Ours: a change of a table for which TiDB has no code (checks, engine, options); for sinks that keep the tables themselves. */
#define ML_DDL_OTHER 127

struct ml_ddl {
	ml_ts commit_ts, start_ts;
	int action;                       /* TiDB's action code, protocols.md 2.9 */
	struct ml_text query;             /* text to send */
	struct ml_text default_db;        /* database of names in it that have none; empty: db */
	uint64_t time_us;                 /* what NOW() was in it, Unix time; 0 if unknown */
	uint64_t sql_mode;                /* of the session, bits as MySQL and MariaDB share them; 0 if unknown */
	struct ml_text db, table;         /* after the DDL; table empty for a database DDL */
	struct ml_text pre_db, pre_table; /* before it (RENAME, EXCHANGE PARTITION); empty if the same */
	struct ml_schema *schema; /* definition after it (DROP: the last one); NULL if unknown.  Pinned by the batch */
	/* Definition before it: of the table itself, of the plain one of EXCHANGE PARTITION; NULL: none or unknown.  Pinned too. */
	struct ml_schema *pre_schema;
	struct ml_text charset, collation; /* database DDL: its defaults; copied: of the table's database, too */
	/*
	 * Made by the initial copy from what the source has, and not written by anybody in its log: for sinks that keep the tables
	 * themselves, which are to have the table from now on if they have none.  No filter of events is about it.
	 */
	bool copied;
};
#endif
