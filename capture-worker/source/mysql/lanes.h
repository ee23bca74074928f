/*
 * lanes.h - many small questions to one server, over several connections side by side, asked by one thread: the server works on
 * some while the answers to others are taken apart.
 *
 * Questions are answered in no order, but the newest one is asked first: what follows from an answer comes before what was
 * waiting already.
 */
#ifndef ML_WORKER_SOURCE_MYSQL_LANES_H
#define ML_WORKER_SOURCE_MYSQL_LANES_H
#include "capture-worker/source/mysql/conn.h"

/* What two or four cores of a server can do at once; a start of many changefeeds must not use a server's connections up. */
#define ML_LANES_MAX 4

/* Means something to the owner only. */
struct ml_question {
	void *about;
	int kind;
	uint32_t n;
};

struct ml_lanes_ops {
	/* Appends the text of a question; my: to quote with. */
	void (*ask)(void *arg, const struct ml_question *q, MYSQL *my, struct ml_buf *sql);
	/* res is now the owner's; NULL: the server refused, mysql_errno(my) tells why.  May add questions.  -1: give up. */
	int (*answer)(void *arg, const struct ml_question *q, MYSQL *my, MYSQL_RES *res, struct ml_err *err);
};

struct ml_lane {
	struct ml_my_conn conn; /* of the first one only my, which is not ours */
	bool busy;
	struct ml_question q; /* being answered */
};

struct ml_lanes {
	const struct ml_lanes_ops *ops;
	void *arg;
	struct ml_lane v[ML_LANES_MAX];
	int n;
	struct ml_question *waiting; /* newest last */
	size_t n_waiting, cap_waiting;
	struct ml_buf sql;
	struct ml_my_conn *own; /* set by ml_lanes_widen: more connections like this one are wanted */
	const struct ml_my_target *target;
};

/* One lane, over a connection that stays the caller's. */
void ml_lanes_init(struct ml_lanes *l, const struct ml_lanes_ops *ops, void *arg, MYSQL *my);
void ml_lanes_fini(struct ml_lanes *l);
void ml_lanes_add(struct ml_lanes *l, struct ml_question q);
/*
 * There is much to ask: more connections are opened when there is a question for them, as far as the server has them, and it
 * is the same server that answers.  own: the first lane's connection.  Both must outlive the lanes.
 */
void ml_lanes_widen(struct ml_lanes *l, struct ml_my_conn *own, const struct ml_my_target *target);
/*
 * Asks until no question is left.  -1: ErrMySQLQueryError when a connection broke, or what answer() said; the first lane's
 * connection is between two commands again, or broken.
 */
int ml_lanes_run(struct ml_lanes *l, struct ml_err *err);
#endif
