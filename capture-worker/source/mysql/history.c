#include "capture-worker/source/mysql/history.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "capture-worker/source/mysql/start.h"

/* MySQL sends a transaction to readers a moment before it counts it as executed. */
#define TRIES 5
#define PAUSE_MS 300

static int
check_maria(struct ml_my_conn *c, const struct ml_server *s, const struct ml_gtid_list *ours, struct ml_err *err)
{
	struct ml_gtid_list now = { 0 };
	char at[300];
	int rc = ml_start_gtids(c, &now, err);

	for (size_t i = 0; i < ours->n && rc == 0; i++) {
		const struct ml_gtid *g = &ours->v[i];
		size_t k;

		for (k = 0; k < now.n && now.v[k].domain != g->domain; k++)
			;
		if (k == now.n || now.v[k].seq < g->seq) {
			snprintf(at, sizeof(at), "GTID %u-%u-%llu", g->domain, g->server, (unsigned long long)g->seq);
			rc = ML_ERR(err, ErrMySQLGTIDDiverged, 0, at, c->addr, s->identity);
		}
	}
	ml_gtid_list_fini(&now);
	return rc;
}

/* One query with our set in it.  1: it gave a set that is not empty, in text; 0: the empty one. */
static int
difference(struct ml_my_conn *c, const char *before, const struct ml_gtid_set *ours, const char *after, char *text,
	size_t size, struct ml_err *err)
{
	struct ml_buf sql = { 0 };
	int found;

	ml_buf_puts(&sql, before);
	ml_gtid_set_print(ours, &sql);
	ml_buf_puts(&sql, after);
	text[0] = '\0';
	found = ml_my_scalar(c, sql.data, text, size, err);
	ml_buf_fini(&sql);
	return found < 0 ? -1 : text[0] != '\0';
}

static int
check_mysql(struct ml_my_conn *c, const struct ml_server *s, const struct ml_gtid_set *ours, bool by_gtid, int wake_fd,
	struct ml_err *err)
{
	struct pollfd pfd = { .fd = wake_fd, .events = POLLIN };
	char text[300];
	int rc;

	if (ours->n == 0)
		return 0;
	for (int i = 0;; i++) {
		rc = difference(
			c, "SELECT GTID_SUBTRACT('", ours, "', @@global.gtid_executed)", text, sizeof(text), err);
		if (rc <= 0 || i == TRIES || poll(&pfd, 1, PAUSE_MS) > 0)
			break;
	}
	if (rc > 0)
		return ML_ERR(err, ErrMySQLGTIDDiverged, 0, text, c->addr, s->identity);
	if (rc < 0 || !by_gtid)
		return rc;
	rc = difference(c, "SELECT GTID_SUBTRACT(@@global.gtid_purged, '", ours, "')", text, sizeof(text), err);
	return rc > 0 ? ML_ERR(err, ErrMySQLGTIDGap, 0, c->addr, text, s->identity) : rc;
}

int
ml_history_check(struct ml_my_conn *c, const struct ml_server *s, const struct ml_place *delivered, bool by_gtid,
	int wake_fd, struct ml_err *err)
{
	if (s->flavor == ML_MYSQL)
		return check_mysql(c, s, &delivered->set, by_gtid, wake_fd, err);
	return check_maria(c, s, &delivered->gtids, err);
}
