#include "common/run/loop.h"

#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/* A call to make later; kept in arrays that are swapped, so that the steady state allocates nothing. */
struct call {
	ml_loop_fn *fn;
	void *arg;
};

struct calls {
	struct call *v;
	size_t n, cap;
};

struct sig {
	struct sig *next;
	struct event *ev;
	int signo;
	ml_loop_fn *fn;
	void *arg;
};

struct ml_loop {
	struct event_base *base;
	struct calls later, running; /* running: those of the turn that ends now */
	struct sig *sigs;
	bool stop;

	/* Calls from other threads.  The eventfd is written when the queue stops being empty. */
	pthread_mutex_t lock;
	struct calls woken, waking;
	struct event *wake_ev;
	int wake_fd;
};

struct ml_timer {
	struct event *ev;
	ml_loop_fn *fn;
	void *arg;
};

struct ml_watch {
	struct event *ev;
	struct event_base *base;
	int fd;
	short what;
	ml_fd_fn *fn;
	void *arg;
};

static void *
must(void *p)
{
	if (p == NULL)
		abort(); /* out of memory: nothing sensible is left to do, as in the arena */
	return p;
}

static void
calls_add(struct calls *c, ml_loop_fn *fn, void *arg)
{
	if (c->n == c->cap) {
		c->cap = c->cap == 0 ? 16 : c->cap * 2;
		c->v = must(realloc(c->v, c->cap * sizeof(*c->v)));
	}
	c->v[c->n++] = (struct call){ fn, arg };
}

/* Makes every call that was in *from when the turn ended; calls added meanwhile wait for the next time. */
static void
calls_run(struct calls *from, struct calls *spare)
{
	struct calls now = *from;

	*from = *spare;
	from->n = 0;
	*spare = (struct calls){ 0 };
	for (size_t i = 0; i < now.n; i++)
		now.v[i].fn(now.v[i].arg);
	now.n = 0;
	*spare = now;
}

static void
on_wake(int fd, short what, void *arg)
{
	struct ml_loop *l = arg;
	struct calls got;
	uint64_t count;

	(void)what;
	if (read(fd, &count, sizeof(count)) < 0)
		return; /* EAGAIN: another turn took it */
	pthread_mutex_lock(&l->lock);
	got = l->woken;
	l->woken = l->waking;
	l->woken.n = 0;
	l->waking = (struct calls){ 0 };
	pthread_mutex_unlock(&l->lock);
	for (size_t i = 0; i < got.n; i++)
		got.v[i].fn(got.v[i].arg);
	got.n = 0;
	pthread_mutex_lock(&l->lock);
	l->waking = got;
	pthread_mutex_unlock(&l->lock);
}

struct ml_loop *
ml_loop_new(void)
{
	struct ml_loop *l = must(calloc(1, sizeof(*l)));
	struct event_config *cfg = event_config_new();

	pthread_mutex_init(&l->lock, NULL);
	l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (cfg != NULL) {
		/* One thread owns the base; other threads come in through the eventfd only. */
		event_config_set_flag(cfg, EVENT_BASE_FLAG_NOLOCK);
		l->base = event_base_new_with_config(cfg);
		event_config_free(cfg);
	}
	if (l->base != NULL && l->wake_fd >= 0)
		l->wake_ev = event_new(l->base, l->wake_fd, EV_READ | EV_PERSIST, on_wake, l);
	if (l->wake_ev == NULL || event_add(l->wake_ev, NULL) != 0) {
		ml_loop_free(l);
		return NULL;
	}
	return l;
}

void
ml_loop_free(struct ml_loop *l)
{
	if (l == NULL)
		return;
	/* Deferred frees still have to happen; a free may defer another one. */
	while (l->later.n > 0)
		calls_run(&l->later, &l->running);
	for (struct sig *s = l->sigs, *next; s != NULL; s = next) {
		next = s->next;
		event_free(s->ev);
		free(s);
	}
	if (l->wake_ev != NULL)
		event_free(l->wake_ev);
	if (l->base != NULL)
		event_base_free(l->base);
	if (l->wake_fd >= 0)
		close(l->wake_fd);
	free(l->later.v);
	free(l->running.v);
	free(l->woken.v);
	free(l->waking.v);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

struct event_base *
ml_loop_base(struct ml_loop *l)
{
	return l->base;
}

void
ml_loop_run(struct ml_loop *l)
{
	l->stop = false;
	while (!l->stop) {
		/* The wake event is always there, so this never returns for want of events. */
		event_base_loop(l->base, l->later.n > 0 ? EVLOOP_ONCE | EVLOOP_NONBLOCK : EVLOOP_ONCE);
		if (l->later.n > 0)
			calls_run(&l->later, &l->running);
	}
}

void
ml_loop_stop(struct ml_loop *l)
{
	l->stop = true;
}

static uint64_t
clock_ms(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

uint64_t
ml_now_ms(void)
{
	return clock_ms(CLOCK_MONOTONIC);
}

uint64_t
ml_wall_ms(void)
{
	return clock_ms(CLOCK_REALTIME);
}

static void
on_timer(int fd, short what, void *arg)
{
	struct ml_timer *t = arg;

	(void)fd;
	(void)what;
	t->fn(t->arg); /* may free t */
}

struct ml_timer *
ml_timer_new(struct ml_loop *l, ml_loop_fn *fn, void *arg)
{
	struct ml_timer *t = must(calloc(1, sizeof(*t)));

	t->fn = fn;
	t->arg = arg;
	t->ev = must(event_new(l->base, -1, 0, on_timer, t));
	return t;
}

void
ml_timer_arm(struct ml_timer *t, uint64_t delay_ms)
{
	struct timeval tv = { .tv_sec = (time_t)(delay_ms / 1000), .tv_usec = (suseconds_t)(delay_ms % 1000 * 1000) };

	event_add(t->ev, &tv);
}

void
ml_timer_disarm(struct ml_timer *t)
{
	event_del(t->ev);
}

void
ml_timer_free(struct ml_timer *t)
{
	if (t == NULL)
		return;
	event_free(t->ev);
	free(t);
}

static void
on_fd(int fd, short what, void *arg)
{
	struct ml_watch *w = arg;

	w->fn(fd, what, w->arg); /* may free w */
}

struct ml_watch *
ml_watch_new(struct ml_loop *l, int fd, short what, ml_fd_fn *fn, void *arg)
{
	struct ml_watch *w = must(calloc(1, sizeof(*w)));

	w->base = l->base;
	w->fd = fd;
	w->fn = fn;
	w->arg = arg;
	w->ev = must(event_new(w->base, fd, EV_PERSIST, on_fd, w));
	ml_watch_set(w, what);
	return w;
}

void
ml_watch_set(struct ml_watch *w, short what)
{
	what &= EV_READ | EV_WRITE;
	if (what == w->what)
		return;
	event_del(w->ev);
	w->what = what;
	if (what == 0)
		return;
	event_assign(w->ev, w->base, w->fd, (short)(what | EV_PERSIST), on_fd, w);
	event_add(w->ev, NULL);
}

void
ml_watch_free(struct ml_watch *w)
{
	if (w == NULL)
		return;
	event_free(w->ev);
	free(w);
}

static void
on_signal(int signo, short what, void *arg)
{
	struct sig *s = arg;

	(void)signo;
	(void)what;
	s->fn(s->arg);
}

int
ml_loop_signal(struct ml_loop *l, int signo, ml_loop_fn *fn, void *arg)
{
	struct sig *s;

	for (s = l->sigs; s != NULL; s = s->next) {
		if (s->signo == signo) {
			s->fn = fn;
			s->arg = arg;
			return 0;
		}
	}
	s = must(calloc(1, sizeof(*s)));
	s->signo = signo;
	s->fn = fn;
	s->arg = arg;
	s->ev = evsignal_new(l->base, signo, on_signal, s);
	if (s->ev == NULL || evsignal_add(s->ev, NULL) != 0) {
		if (s->ev != NULL)
			event_free(s->ev);
		free(s);
		return -1;
	}
	s->next = l->sigs;
	l->sigs = s;
	return 0;
}

void
ml_loop_later(struct ml_loop *l, ml_loop_fn *fn, void *arg)
{
	calls_add(&l->later, fn, arg);
}

void
ml_loop_wake(struct ml_loop *l, ml_loop_fn *fn, void *arg)
{
	static const uint64_t one = 1;
	bool first;

	pthread_mutex_lock(&l->lock);
	first = l->woken.n == 0;
	calls_add(&l->woken, fn, arg);
	pthread_mutex_unlock(&l->lock);
	while (first && write(l->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		continue;
}
