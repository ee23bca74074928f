#include "capture-worker/source/mysql/trouble.h"

#include <inttypes.h>
#include <mysqld_error.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* MariaDB: "A slave with the same server_uuid/server_id is already connected". */
#define ER_SAME_SERVER_ID 4052

static bool
has(const char *text, const char *what)
{
	return strcasestr(text, what) != NULL;
}

enum ml_trouble
ml_trouble_of(struct ml_err *err, const struct ml_my_conn *c, const struct ml_place *place, ml_ts checkpoint_ts)
{
	char text[sizeof(err->text)], at[600];
	struct ml_buf gtid = { 0 };
	int lib = err->lib;

	if (err->code == ML_ErrUpstreamUnavailable || err->code == ML_ErrMySQLEventCorrupt)
		return ML_TROUBLE_LOST;
	if (err->code != ML_ErrMySQLQueryError)
		return ML_TROUBLE_FATAL;
	if (lib == ER_SAME_SERVER_ID || has(err->text, "same server_uuid/server_id"))
		return ML_TROUBLE_SAME_ID;
	memcpy(text, err->text, sizeof(text));
	ml_place_print_gtids(place, &gtid);
	snprintf(at, sizeof(at), "%s:%" PRIu64 "%s%s", place->file, place->offset, gtid.len > 0 ? " GTID " : "",
		gtid.len > 0 ? gtid.data : "");
	ml_buf_fini(&gtid);
	if (lib == ER_SPECIFIC_ACCESS_DENIED_ERROR)
		ML_ERR(err, ErrMySQLPrivilege, lib, c->user, "REPLICATION SLAVE", c->addr, "REPLICATION SLAVE",
			c->user);
	else if (has(text, "purged") && place->set.n > 0)
		ML_ERR(err, ErrMySQLGTIDGap, lib, c->addr, at, text);
	else if (has(text, "AUTO_POSITION"))
		ML_ERRF(err, ErrMySQLGTIDGap, lib,
			"%s has transactions without GTID behind %s, so another server cannot continue this changefeed: %s",
			c->addr, at, text);
	else if (has(text, "Could not find first log file name") || has(text, "Could not find GTID state requested") ||
		 has(text, "purged"))
		ML_ERR(err, ErrMySQLBinlogPurged, lib, at, (unsigned long long)checkpoint_ts, c->addr, text);
	else if (has(text, "impossible position") || has(text, "position > file size") ||
		 has(text, "not in the master's binlog") || has(text, "diverged") || has(text, "more GTIDs than"))
		ML_ERR(err, ErrMySQLGTIDDiverged, lib, at, c->addr, text);
	else if (has(text, "max_allowed_packet"))
		ML_ERR(err, ErrMySQLEventTooBig, lib, at, c->addr);
	return ML_TROUBLE_FATAL;
}
