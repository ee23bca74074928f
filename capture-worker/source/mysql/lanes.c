#include "capture-worker/source/mysql/lanes.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

/* A server slower than this is as good as lost. */
#define IO_TIMEOUT_S 30u

void
ml_lanes_init(struct ml_lanes *l, const struct ml_lanes_ops *ops, void *arg, MYSQL *my)
{
	*l = (struct ml_lanes){ .ops = ops, .arg = arg, .n = 1 };
	l->v[0].conn.my = my;
}

/* Whatever was asked is answered before the next command. */
static void
drain(struct ml_lane *lane)
{
	if (lane->busy && mysql_read_query_result(lane->conn.my) == 0)
		mysql_free_result(mysql_store_result(lane->conn.my));
	lane->busy = false;
}

void
ml_lanes_fini(struct ml_lanes *l)
{
	drain(&l->v[0]);
	for (int i = 1; i < l->n; i++)
		ml_my_close(&l->v[i].conn);
	free(l->waiting);
	ml_buf_fini(&l->sql);
}

void
ml_lanes_add(struct ml_lanes *l, struct ml_question q)
{
	if (l->n_waiting == l->cap_waiting) {
		l->cap_waiting = l->cap_waiting == 0 ? 64 : l->cap_waiting * 2;
		l->waiting = realloc(l->waiting, l->cap_waiting * sizeof(*l->waiting));
		if (l->waiting == NULL)
			abort();
	}
	l->waiting[l->n_waiting++] = q;
}

void
ml_lanes_widen(struct ml_lanes *l, struct ml_my_conn *own, const struct ml_my_target *target)
{
	if (l->n > 1)
		return;
	l->own = own;
	l->target = target;
}

/* Connections that fail are missed by nobody; one to another server behind the same address would tell of other tables. */
static void
open_more(struct ml_lanes *l)
{
	char own[ML_MY_INSTANCE_MAX] = "", other[ML_MY_INSTANCE_MAX];
	const struct ml_my_target *target = l->target;

	l->target = NULL;
	if (ml_my_instance(l->own, own, sizeof(own), NULL) < 0 || own[0] == '\0')
		return;
	while (l->n < ML_LANES_MAX) {
		struct ml_lane *lane = &l->v[l->n];

		*lane = (struct ml_lane){ 0 };
		if (ml_my_connect(&lane->conn, target, IO_TIMEOUT_S, NULL) < 0)
			return;
		other[0] = '\0';
		if (ml_my_instance(&lane->conn, other, sizeof(other), NULL) < 0 || strcmp(own, other) != 0) {
			ml_my_close(&lane->conn);
			return;
		}
		l->n++;
	}
}

static int
broken(MYSQL *my, struct ml_err *err)
{
	return ML_ERR(err, ErrMySQLQueryError, (int)mysql_errno(my), mysql_get_host_info(my), mysql_error(my));
}

static int
send_next(struct ml_lanes *l, struct ml_lane *lane, struct ml_err *err)
{
	MYSQL *my = lane->conn.my;

	lane->q = l->waiting[--l->n_waiting];
	ml_buf_clear(&l->sql);
	l->ops->ask(l->arg, &lane->q, my, &l->sql);
	if (mysql_send_query(my, l->sql.data, (unsigned long)l->sql.len) != 0)
		return broken(my, err);
	lane->busy = true;
	return 0;
}

static int
take(struct ml_lanes *l, struct ml_lane *lane, struct ml_err *err)
{
	MYSQL *my = lane->conn.my;
	MYSQL_RES *res = NULL;

	lane->busy = false;
	if (mysql_read_query_result(my) == 0)
		res = mysql_store_result(my);
	if (res == NULL && ml_my_is_lost((int)mysql_errno(my)))
		return broken(my, err);
	return l->ops->answer(l->arg, &lane->q, my, res, err);
}

/* A busy lane whose answer has begun to come, or one that will say what is wrong. */
static struct ml_lane *
next_answered(struct ml_lanes *l)
{
	struct pollfd fds[ML_LANES_MAX];
	int first = -1, busy = 0;

	for (int i = 0; i < l->n; i++) {
		/* Of the others only a hang-up is heard. */
		fds[i] =
			(struct pollfd){ .fd = mysql_get_socket(l->v[i].conn.my), .events = l->v[i].busy ? POLLIN : 0 };
		if (l->v[i].busy && busy++ == 0)
			first = i;
	}
	if (busy > 1 && poll(fds, (nfds_t)l->n, IO_TIMEOUT_S * 1000) > 0)
		for (int i = 0; i < l->n; i++)
			if (l->v[i].busy && fds[i].revents != 0)
				return &l->v[i];
	/* Alone, or late: its own timeout decides. */
	return first < 0 ? NULL : &l->v[first];
}

int
ml_lanes_run(struct ml_lanes *l, struct ml_err *err)
{
	struct ml_lane *lane;

	for (;;) {
		if (l->target != NULL && l->n_waiting > 0 && !l->v[0].busy)
			open_more(l);
		for (int i = 0; i < l->n && l->n_waiting > 0; i++)
			if (!l->v[i].busy && send_next(l, &l->v[i], err) != 0)
				return -1;
		lane = next_answered(l);
		if (lane == NULL)
			return 0;
		if (take(l, lane, err) != 0)
			return -1;
	}
}
