#include "capture-worker/source/mysql/start.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "capture-worker/source/mysql/check.h"
#include "capture-worker/source/mysql/dump.h"

/* Tries to catch the log's end standing still while its GTIDs are read, before the server is asked to count them. */
#define HEAD_TRIES 5
/* A file begins with a handful of events; GTID lists and checkpoints come within the first ones. */
#define HEAD_EVENTS 16

/* File and offset of the log's end; MySQL: with the GTIDs, if set is not NULL. */
static int
status(struct ml_my_conn *c, char file[256], uint64_t *offset, struct ml_gtid_set *set, struct ml_err *err)
{
	MYSQL_RES *res;
	MYSQL_ROW row;
	int rc = 0;

	if (ml_my_query(c, ml_check_status_sql(c), &res, err) < 0)
		return -1;
	row = res != NULL ? mysql_fetch_row(res) : NULL;
	if (row != NULL && row[0] != NULL && row[1] != NULL) {
		snprintf(file, 256, "%s", row[0]);
		*offset = strtoull(row[1], NULL, 10);
	} else {
		rc = ML_ERR(err, ErrMySQLBinlogDisabled, 0, c->addr);
	}
	if (rc == 0 && set != NULL && mysql_num_fields(res) > 4 &&
		ml_gtid_set_parse(set, row[4] != NULL ? row[4] : "") < 0)
		rc = ML_ERR(err, ErrMySQLQueryError, 0, c->addr, "it gives an unreadable GTID set");
	mysql_free_result(res);
	return rc;
}

int
ml_start_head_offset(struct ml_my_conn *c, char file[256], uint64_t *offset, struct ml_err *err)
{
	return status(c, file, offset, NULL, err);
}

/*
 * The GTIDs are read before the place, so they are not newer; when the log stands still in between they belong together.  Under
 * load they may lack the newest groups, which then only come again after a change of the server.
 */
static int
mysql_head(struct ml_my_conn *c, struct ml_place *out, struct ml_err *err)
{
	char file[256] = "";
	uint64_t offset = 0;

	for (int i = 0; i < HEAD_TRIES; i++) {
		if (status(c, out->file, &out->offset, &out->set, err) < 0)
			return -1;
		if (out->offset == offset && strcmp(file, out->file) == 0)
			break;
		memcpy(file, out->file, sizeof(file));
		offset = out->offset;
	}
	return 0;
}

/* One text of any length. */
static int
text(struct ml_my_conn *c, const char *sql, char **out, struct ml_err *err)
{
	MYSQL_RES *res;
	MYSQL_ROW row;

	*out = NULL;
	if (ml_my_query(c, sql, &res, err) < 0)
		return -1;
	row = res != NULL ? mysql_fetch_row(res) : NULL;
	if (row != NULL && row[0] != NULL && (*out = strdup(row[0])) == NULL)
		abort();
	mysql_free_result(res);
	return 0;
}

static int
set_gtids(struct ml_my_conn *c, struct ml_gtid_list *out, const char *gtids, struct ml_err *err)
{
	if (ml_gtid_list_parse(out, gtids) < 0)
		return ML_ERR(err, ErrMySQLQueryError, 0, c->addr, "it gives an unreadable GTID list");
	return 0;
}

int
ml_start_gtids(struct ml_my_conn *c, struct ml_gtid_list *out, struct ml_err *err)
{
	char *gtids;
	int rc;

	if (text(c, "SELECT @@global.gtid_binlog_pos", &gtids, err) < 0)
		return -1;
	rc = set_gtids(c, out, gtids != NULL ? gtids : "", err);
	free(gtids);
	return rc;
}

int
ml_start_head(struct ml_my_conn *c, struct ml_place *out, struct ml_err *err)
{
	char sql[600], *gtids = NULL, file[256];
	uint64_t offset;
	int rc = -1;

	if (c->flavor == ML_MYSQL)
		return mysql_head(c, out, err);
	if (ml_start_head_offset(c, out->file, &out->offset, err) < 0)
		return -1;
	for (int i = 0; i < HEAD_TRIES; i++) {
		free(gtids);
		if (text(c, "SELECT @@global.gtid_binlog_pos", &gtids, err) < 0 ||
			ml_start_head_offset(c, file, &offset, err) < 0)
			goto out;
		if (offset == out->offset && strcmp(file, out->file) == 0) {
			rc = set_gtids(c, &out->gtids, gtids != NULL ? gtids : "", err);
			goto out;
		}
		/* The GTIDs are not newer than this place: should all tries fail, reading may repeat groups but lose none. */
		memcpy(out->file, file, sizeof(file));
		out->offset = offset;
	}
	if (out->offset <= UINT32_MAX) {
		char *exact;

		snprintf(sql, sizeof(sql), "SELECT BINLOG_GTID_POS('%s', %" PRIu64 ")", out->file, out->offset);
		if (text(c, sql, &exact, err) < 0)
			goto out;
		if (exact != NULL) {
			free(gtids);
			gtids = exact;
		}
	}
	rc = set_gtids(c, &out->gtids, gtids != NULL ? gtids : "", err);
out:
	free(gtids);
	return rc;
}

struct file {
	char name[256];
	ml_ts created; /* 0: not looked at yet */
};

static int
list_files(struct ml_my_conn *c, struct file **out, size_t *n, struct ml_err *err)
{
	MYSQL_RES *res;
	MYSQL_ROW row;
	struct file *v;
	size_t count = 0;

	if (ml_my_query(c, "SHOW BINARY LOGS", &res, err) < 0)
		return -1;
	v = calloc(res != NULL ? (size_t)mysql_num_rows(res) + 1 : 1, sizeof(*v));
	if (v == NULL)
		abort();
	while (res != NULL && (row = mysql_fetch_row(res)) != NULL)
		snprintf(v[count++].name, sizeof(v->name), "%s", row[0] != NULL ? row[0] : "");
	mysql_free_result(res);
	if (count == 0) {
		free(v);
		return ML_ERR(err, ErrMySQLBinlogDisabled, 0, c->addr);
	}
	*out = v;
	*n = count;
	return 0;
}

/* Reads the head of a file: when it was made, and (gtids not NULL) the state there. */
static int
look(const struct ml_my_target *t, uint32_t server_id, const char *name, ml_ts *created, struct ml_place *gtids,
	struct ml_err *err)
{
	struct ml_dump_start start = { .file = name, .offset = 4, .stop_at_end = true, .server_id = server_id };
	struct ml_dump *d;
	bool seen = false;
	unsigned crc = 0;

	if (ml_dump_open(&d, t, &start, -1, err) < 0)
		return -1;
	for (int i = 0; i < HEAD_EVENTS; i++) {
		const uint8_t *p;
		uint32_t len;
		struct ml_ev e;
		struct ml_ev_format f;
		enum ml_dump_result res = ml_dump_next(d, UINT64_MAX, &p, &len, err);

		if (res == ML_DUMP_ERROR) {
			ml_dump_close(d);
			return -1;
		}
		if (res != ML_DUMP_EVENT)
			break;
		/* Before its FORMAT_DESCRIPTION only the artificial ROTATE comes, of which nothing is needed. */
		if (!seen && (len < ML_EV_HEADER || p[4] != ML_EV_FORMAT))
			continue;
		if (ml_ev_split(&e, p, len, crc) < 0)
			break;
		if (e.type == ML_EV_FORMAT && ml_ev_format(&f, &e) == 0) {
			*created = ml_ts_from_ms((uint64_t)e.timestamp * 1000);
			crc = f.checksum == 1 ? 4 : 0;
			seen = true;
			if (gtids == NULL)
				break;
		} else if (e.type == ML_EV_MARIA_GTID_LIST) {
			if (gtids != NULL)
				(void)ml_ev_maria_gtid_list(&gtids->gtids, &e);
			break;
		} else if (e.type == ML_EV_PREVIOUS_GTIDS) {
			if (gtids != NULL && ml_gtid_set_decode(&gtids->set, e.body, e.body_len) < 0)
				ml_gtid_set_clear(&gtids->set);
			break;
		} else if (e.type == ML_EV_MARIA_GTID || e.type == ML_EV_GTID || e.type == ML_EV_ANONYMOUS_GTID ||
			   e.type == ML_EV_GTID_TAGGED) {
			break;
		}
	}
	ml_dump_close(d);
	return seen ? 0 : ML_ERR(err, ErrMySQLEventCorrupt, 0, (unsigned)ML_EV_FORMAT, name, "the file has no head");
}

int
ml_start_earliest(
	struct ml_my_conn *c, const struct ml_my_target *t, uint32_t server_id, ml_ts *earliest, struct ml_err *err)
{
	struct file *v;
	size_t n;
	int rc;

	if (list_files(c, &v, &n, err) < 0)
		return -1;
	rc = look(t, server_id, v[0].name, earliest, NULL, err);
	free(v);
	return rc;
}

int
ml_start_find(struct ml_my_conn *c, const struct ml_my_target *t, uint32_t server_id, ml_ts ts, struct ml_place *out,
	ml_ts *last, struct ml_err *err)
{
	struct file *v;
	size_t n, lo = 0, hi;
	int rc = -1;

	if (list_files(c, &v, &n, err) < 0)
		return -1;
	if (look(t, server_id, v[0].name, &v[0].created, NULL, err) < 0)
		goto out;
	if (v[0].created > ts) {
		ML_ERR(err, ErrStartTsBeforeGC, 0, (unsigned long long)ts, (unsigned long long)v[0].created);
		goto out;
	}
	/* Files are made in order: the last one made at or before ts, of which only the second is known. */
	for (hi = n; hi - lo > 1;) {
		size_t mid = lo + (hi - lo) / 2;

		if (look(t, server_id, v[mid].name, &v[mid].created, NULL, err) < 0)
			goto out;
		if (v[mid].created + ml_ts_from_ms(1000) <= ts)
			lo = mid;
		else
			hi = mid;
	}
	snprintf(out->file, sizeof(out->file), "%s", v[lo].name);
	out->offset = 4;
	out->gtids.n = 0;
	ml_gtid_set_clear(&out->set);
	if (look(t, server_id, v[lo].name, &v[lo].created, out, err) < 0)
		goto out;
	*last = v[lo].created;
	rc = 0;
out:
	free(v);
	return rc;
}
