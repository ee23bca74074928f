/* ddl.h - one DDL on its way downstream.  A statement about several tables is several of these, same commit_ts, in order. */
#ifndef ML_WORKER_EVENT_DDL_H
#define ML_WORKER_EVENT_DDL_H
#include "capture-worker/event/schema.h"

/* Ours: a change of a table for which TiDB has no code (checks, engine, options); for sinks that keep the tables themselves. */
#define ML_DDL_OTHER 127

/* Of MariaDB's character_set_collations, five by default; what is beyond is forgotten. */
#define ML_DDL_COLLATIONS 12
#define ML_COLLATION_UTF8MB4_GENERAL_CI 45
#define ML_COLLATION_UTF8MB4_0900_AI_CI 255 /* MySQL, MariaDB from 11.4 on */

struct ml_ddl {
	ml_ts commit_ts, start_ts;
	int action;                /* TiDB's action code, protocols.md 2.9 */
	struct ml_text query;      /* text to send */
	struct ml_text default_db; /* database of names in it that have none; empty: db */
	uint64_t time_us;          /* what NOW() was in it, Unix time; 0 if unknown */
	uint64_t sql_mode;         /* of the session, bits as MySQL and MariaDB share them; 0 if unknown */
	/*
	 * Defaults of that session, collation ids (the same in MySQL and MariaDB but for those one of them lacks): of a new database,
	 * 0 if unknown; those that character sets without a collation mean, none if unknown.
	 */
	uint16_t server_collation, collations[ML_DDL_COLLATIONS];
	uint8_t n_collations;
	bool implicit_timestamps; /* a TIMESTAMP without attributes has those of old: explicit_defaults_for_timestamp=OFF */
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
