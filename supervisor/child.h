/*
 * child.h - state machine of one child process: the gateway, a capture-worker, or a probe.
 *
 *   DOWN --start--> STARTING --ready--> UP --stop--> STOPPING --died--> DOWN
 *                    |  |                |  \--bad, late--> KILLED --died--> WAIT
 *                    |  +--bad, late--> KILLED
 *                    +--died--> WAIT <--died--+      WAIT --timer--> STARTING
 *                    +--park--> PARKED <-park-+      PARKED --start--> STARTING      WAIT, PARKED --stop--> DOWN
 *
 *   STARTING  pid, not ready yet, deadline armed     KILLED    pid, SIGKILL sent by us, waits for its death
 *   UP        pid, ready                             STOPPING  pid, asked to stop, SIGKILL timer armed
 *   WAIT      no pid, restart timer armed            PARKED    no pid, not restarted by itself: it is hopeless, or its exit
 *   DOWN      no pid                                           code left the decision to the gateway
 */
#ifndef ML_SUPERVISOR_CHILD_H
#define ML_SUPERVISOR_CHILD_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/backoff.h"
#include "common/base/list.h"
#include "common/run/chan.h"
#include "common/run/inbox.h"
#include "common/run/loop.h"
#include "common/run/proc.h"
#include "supervisor/tally.h"

enum ml_child_state {
	ML_CHILD_DOWN,
	ML_CHILD_STARTING,
	ML_CHILD_UP,
	ML_CHILD_KILLED,
	ML_CHILD_STOPPING,
	ML_CHILD_WAIT,
	ML_CHILD_PARKED,
	ML_CHILD_STATES
};

/* Bits for the rows of an inbox table. */
#define ML_CHILD_IN(state) (1u << ML_CHILD_##state)

struct ml_child;
struct ml_child_ops {
	/* Hello was right: send Welcome. */
	void (*welcome)(struct ml_child *c, void *arg);
	void (*up)(struct ml_child *c, void *arg);
	/* Its process is gone: c->death tells, and c->state what comes next.  Also for a STOP in WAIT or PARKED. */
	void (*died)(struct ml_child *c, void *arg);
	/* Messages that this role may send besides Hello, Ready and Stopped; their arg is the child. */
	const struct ml_inbox_row *rows;
	size_t n_rows;
};

struct ml_child {
	struct ml_list link; /* the supervisor's */
	struct ml_loop *loop;
	const struct ml_child_ops *ops;
	void *arg;

	Ml__Role role;
	const char *program;    /* path; borrowed */
	int kept[ML_PROC_KEPT]; /* for ml_spawn; borrowed, -1 unless set after ml_child_new */
	char *ns, *id;          /* "" for the gateway */
	uint32_t shard;
	uint64_t epoch;
	char name[176]; /* for logs and statistics: "gateway", "worker cf1/0", "probe ns/cf1/0" */

	enum ml_child_state state;
	pid_t pid;              /* 0: none */
	struct ml_chan *ch;     /* NULL: none */
	bool greeted;           /* Hello has come */
	bool unborn;            /* fork failed; the timer is about to say so */
	bool mismatch;          /* another build or version: hopeless */
	uint64_t started_ms;    /* monotonic, of the present or last process */
	uint32_t ready_ms;      /* from its start to Ready */
	uint32_t deadline_ms;   /* of the whole life of a probe; 0: none */
	uint32_t grace_ms;      /* of the stop that was asked for last */
	char killed_for[96];    /* why we sent SIGKILL; "" if we did not */
	struct ml_timer *timer; /* deadline, SIGKILL or restart, by state */

	bool free_first; /* the first death of a calm child is followed by a start at once (gateway) */
	struct ml_backoff backoff;
	struct ml_tally tally;
	uint32_t restarts;
	uint32_t delay_ms;     /* WAIT: until the restart */
	bool hopeless;         /* PARKED: exit 78, mismatch or too many deaths */
	struct ml_death death; /* the last one; pid 0: none yet */

	bool again; /* the supervisor's: start once more when it is DOWN */
};

/* A child that is DOWN.  Texts are copied, program and ops are borrowed. */
struct ml_child *ml_child_new(struct ml_loop *l, Ml__Role role, const char *program, const char *ns, const char *id,
	uint32_t shard, uint64_t epoch, const struct ml_child_ops *ops, void *arg);
void ml_child_free(struct ml_child *c); /* NULL is fine; kills a process that is still there without reaping it */

void ml_child_start(struct ml_child *c); /* nothing in states other than DOWN and PARKED */
/* Asks it to stop within grace_ms, then SIGKILL; 0: SIGKILL at once.  A second call may only shorten the time. */
void ml_child_stop(struct ml_child *c, uint32_t grace_ms);
/* Ends a child that said something wrong; it is restarted like after any other death.  why: short text, copied. */
void ml_child_bad(struct ml_child *c, const char *why);
/* waitpid has returned its pid with this status. */
void ml_child_reaped(struct ml_child *c, int status);
const char *ml_child_state_name(enum ml_child_state s);
/* delay with a jitter of at most 10 % to either side, by rnd (any number). */
uint32_t ml_child_jitter(uint32_t delay_ms, uint32_t rnd);
#endif
