/*
 * loop.h - the event loop of a process: a thin layer over libevent that fixes the clock (monotonic), owns signals and lets an
 * object be freed at the end of the turn.  Everything here belongs to the loop's own thread, except ml_loop_wake.
 */
#ifndef ML_COMMON_RUN_LOOP_H
#define ML_COMMON_RUN_LOOP_H
#include <stdbool.h>
#include <stdint.h>

struct event_base;
struct ml_loop;
struct ml_timer;
struct ml_watch;
typedef void ml_loop_fn(void *arg);
typedef void ml_fd_fn(int fd, short what, void *arg); /* what: EV_READ | EV_WRITE of libevent */

struct ml_loop *ml_loop_new(void);                  /* NULL when the system refuses */
void ml_loop_free(struct ml_loop *l);               /* NULL is fine; timers and watches must be gone */
struct event_base *ml_loop_base(struct ml_loop *l); /* for evhttp */
void ml_loop_run(struct ml_loop *l);                /* until ml_loop_stop */
void ml_loop_stop(struct ml_loop *l);
uint64_t ml_now_ms(void);  /* monotonic clock */
uint64_t ml_wall_ms(void); /* Unix time */

/* A timer that is not armed yet; fires once per arming. */
struct ml_timer *ml_timer_new(struct ml_loop *l, ml_loop_fn *fn, void *arg);
void ml_timer_arm(struct ml_timer *t, uint64_t delay_ms); /* re-arms if armed */
void ml_timer_disarm(struct ml_timer *t);
void ml_timer_free(struct ml_timer *t); /* NULL is fine; allowed from its own callback */

struct ml_watch *ml_watch_new(struct ml_loop *l, int fd, short what, ml_fd_fn *fn, void *arg); /* persistent, enabled */
void ml_watch_set(struct ml_watch *w, short what); /* EV_READ, EV_WRITE, both or 0 */
void ml_watch_free(struct ml_watch *w); /* does not close the fd; NULL is fine; allowed from its own callback */

/* Calls fn on the loop's thread when the process gets signo; one handler per signal. */
int ml_loop_signal(struct ml_loop *l, int signo, ml_loop_fn *fn, void *arg);
/* Calls fn(arg) at the end of this turn, when no callback is on the stack. */
void ml_loop_later(struct ml_loop *l, ml_loop_fn *fn, void *arg);
/* From any thread: fn(arg) runs on the loop's thread soon, in order per calling thread. */
void ml_loop_wake(struct ml_loop *l, ml_loop_fn *fn, void *arg);
#endif
