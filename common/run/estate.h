/*
 * estate.h - connections that outlive the worker that opened them.
 *
 * What a killed worker has written to a socket is still read and carried out by the server at the other end: a broker appends
 * the produce requests in its receive buffer, a database runs the statements, some time later.  A worker that started at once
 * from the checkpoint could write a newer change of a key before that, and the older one would come to lie on top of it.
 *
 * So every connection that writes downstream is left behind with someone who stays alive: a copy of its descriptor travels into
 * a socket pair of the supervisor, the shard's estate, and waits there unread (SCM_RIGHTS).  The next worker gets the pair,
 * takes the connections out, says on each that nothing more will come, and waits until the server has closed it, which servers
 * do only when they are through with what they have received.  Only then it opens connections of its own.
 *
 * If the supervisor dies, its workers settle their own connections before they exit, and hold the lock of the data directory as
 * long.  If everything is killed in the same instant, a file in the shard's state directory tells the next worker, which
 * then can only wait for ML_ESTATE_CRASH_MS.
 *
 * Thread-safe but for ml_estate_open.  Without an estate (a probe, a unit test) all of this does nothing.
 */
#ifndef ML_COMMON_RUN_ESTATE_H
#define ML_COMMON_RUN_ESTATE_H
#include <stdbool.h>

/* How long a successor waits for servers before it resets the connections and goes on. */
#define ML_ESTATE_WAIT_MS 30000
/* How long a worker waits for its own when it ends by itself; what is left then waits in the estate. */
#define ML_ESTATE_LEAVE_MS 2000
#define ML_ESTATE_CRASH_MS 1000

/* ---- the supervisor ---- */
int ml_estate_pair(int fd[2]); /* 0; -1 with errno */
bool ml_estate_empty(const int fd[2]);

/* ---- a worker ---- */
/* Takes the pair that the supervisor has passed (ML_PROC_ESTATE_FD), if there is one.  state_dir: copied. */
void ml_estate_open(const char *state_dir, const char *object);
/*
 * Waits until the connections of earlier workers are closed by their servers, at most limit_ms; those that are left are reset.
 * Logs when it takes long.  Returns false if some had to be reset.
 */
bool ml_estate_settle(int limit_ms);
/* A socket that is about to connect, or has.  0; -1: the worker is on its way out (errno ECANCELED), do not connect. */
int ml_estate_add(int sock);
/* Ends a connection that was added: the caller closes it now.  The copy in the estate would keep it open. */
void ml_estate_end(int sock);
/*
 * The way out: no more connections; those that there are end, and are waited for like in ml_estate_settle, but none is reset.
 * Returns true if all are closed: then nothing of this worker can arrive any more.
 */
bool ml_estate_leave(int limit_ms);
#endif
