/*
 * proc.h - life of a child process under the supervisor: everything from main() to the own work, and the way out.
 *
 *	struct ml_proc *p = ml_proc_start(l, &desc);	Hello up, Welcome down; the loop runs meanwhile
 *	... set up from ml_proc_config(p) ...
 *	ml_proc_ready(p);				only now the supervisor counts this process as up
 *	ml_loop_run(l);
 *	ml_proc_end(p, ML_EXIT_OK);
 *
 * From ml_proc_start on: SIGINT, SIGTERM, SIGHUP, SIGQUIT and SIGPIPE are ignored (only the supervisor's message stops a
 * child), and the end of the channel on fd 3 ends the process at once, so that nothing is written downstream without a
 * supervisor: at most, a worker waits for what it has sent already (desc.leave).  PR_SET_PDEATHSIG does the same for a process
 * whose loop hangs.
 */
#ifndef ML_COMMON_RUN_PROC_H
#define ML_COMMON_RUN_PROC_H
#include <stdbool.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/run/chan.h"
#include "common/run/inbox.h"
#include "common/run/loop.h"

/* Our end of the channel to the supervisor. */
#define ML_PROC_FD 3
/* The lock on the data directory: it is held until the last child of a dead supervisor is gone.  Only kept open. */
#define ML_PROC_LOCK_FD 4
/* A worker's two ends of its shard's estate (estate.h), this and the next one. */
#define ML_PROC_ESTATE_FD 5
/* What the supervisor passes besides the channel, from ML_PROC_LOCK_FD on. */
#define ML_PROC_KEPT 3
/* Time for Welcome after Hello (the child's side), and for Hello and Ready after the fork (the supervisor's side). */
#define ML_PROC_DEADLINE_MS 10000
/* The longest that a child may outlive its supervisor. */
#define ML_PROC_ORPHAN_MS 30000

/* Exit codes of children; numbers of sysexits(3).  Any other code and any signal is a crash: restarted after a delay. */
enum ml_exit {
	ML_EXIT_OK = 0,      /* stopped as asked, or all is done (target_ts, probe): not restarted */
	ML_EXIT_FAULT = 70,  /* a Fault went to the gateway, which decides: not restarted before its StartShard */
	ML_EXIT_ORPHAN = 75, /* the channel to the supervisor broke, or Welcome did not come */
	ML_EXIT_CONFIG = 78, /* hopeless: other version or build, configuration that cannot work; not restarted */
};

/* States for the rows of desc. */
enum { ML_PROC_STARTING = 0, ML_PROC_UP = 1 };
#define ML_PROC_IN_STARTING (1u << ML_PROC_STARTING) /* before ml_proc_ready */
#define ML_PROC_IN_UP (1u << ML_PROC_UP)

struct ml_proc;
struct ml_proc_desc {
	Ml__Role role;
	const char *log_name; /* "gateway", "worker"; static text */
	/* Further messages of the supervisor; Welcome, Stop, SetLogLevel and LogFile are taken by ml_proc itself. */
	const struct ml_inbox_row *rows;
	size_t n_rows;
	/*
	 * Stop came: end with ml_proc_end(p, ML_EXIT_OK) within grace_ms, later comes SIGKILL.  NULL: ml_proc itself ends the
	 * process at once.
	 */
	void (*stop)(uint32_t grace_ms, void *arg);
	/*
	 * Called before the process exits, by its own doing or because the supervisor is gone (orphan); what it waits for then may
	 * take ML_PROC_ORPHAN_MS.  NULL: it exits at once, and dies with the supervisor.
	 */
	void (*leave)(bool orphan, void *arg);
	void *arg; /* of rows, stop and leave */
};

/*
 * Runs l until Welcome is here.  Never fails: without a supervisor on fd 3, or without its Welcome within
 * ML_PROC_DEADLINE_MS, the process ends with a line in the log.  role: the one of desc; for ROLE_WORKER the supervisor may
 * have started a probe, see ml_proc_role.
 */
struct ml_proc *ml_proc_start(struct ml_loop *l, const struct ml_proc_desc *desc);
const Ml__ServerConfig *ml_proc_config(const struct ml_proc *p); /* all three: borrowed, live as long as p */
const Ml__Welcome *ml_proc_welcome(const struct ml_proc *p);
const char *ml_proc_object(const struct ml_proc *p); /* for logs: "default/cf1/0" of a worker, else "-" */
Ml__Role ml_proc_role(
	const struct ml_proc *p);         /* as the supervisor meant it: ROLE_GATEWAY, ROLE_WORKER or ROLE_PROBE */
int ml_proc_listen_fd(struct ml_proc *p); /* the gateway's listening socket, the caller's from now on; -1 if none */
struct ml_chan *ml_proc_chan(struct ml_proc *p); /* to the supervisor; never free it */
void ml_proc_ready(struct ml_proc *p);
/* Says Stopped if Stop had come, gives the channel a second to send what is queued, and exits.  Threads need not be joined. */
void ml_proc_end(struct ml_proc *p, enum ml_exit code) __attribute__((noreturn));
/* "0.1.0 <git hash>": equal in all programs of one build. */
const char *ml_proc_build(void);
#endif
