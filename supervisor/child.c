#include "supervisor/child.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/run/log.h"
#include "common/run/proc.h"
#include "supervisor/spawn.h"

/*
 * Restart delays: 20, 40, 80, 160, 320 ms and so on up to a minute.  A start costs some 10 ms of processor time, so the first
 * few may come fast and a killed worker is back at once.  A run of CALM_MS was a real one and forgives earlier deaths;
 * whether a changefeed that dies every few seconds goes on is for the gateway to decide, which sees its checkpoint.
 */
#define BASE_MS 20
#define CAP_MS 60000
#define CALM_MS 2000

enum child_event { EV_START, EV_READY, EV_STOP, EV_TIMER, EV_BAD, EV_DIED, EV_PARK, N_EVENTS };
typedef void child_act(struct ml_child *c);

static child_act act_spawn, act_up, act_ask, act_kill, act_late, act_wait, act_gone, act_hurry;

static const struct {
	uint8_t to;
	child_act *act;
} step[ML_CHILD_STATES][N_EVENTS] = {
	[ML_CHILD_DOWN] = { [EV_START] = { ML_CHILD_STARTING, act_spawn } },
	[ML_CHILD_STARTING] = { [EV_READY] = { ML_CHILD_UP, act_up },
		[EV_STOP] = { ML_CHILD_STOPPING, act_ask },
		[EV_TIMER] = { ML_CHILD_KILLED, act_late },
		[EV_BAD] = { ML_CHILD_KILLED, act_kill },
		[EV_DIED] = { ML_CHILD_WAIT, act_wait },
		[EV_PARK] = { ML_CHILD_PARKED, act_gone } },
	[ML_CHILD_UP] = { [EV_STOP] = { ML_CHILD_STOPPING, act_ask },
		[EV_TIMER] = { ML_CHILD_KILLED, act_late },
		[EV_BAD] = { ML_CHILD_KILLED, act_kill },
		[EV_DIED] = { ML_CHILD_WAIT, act_wait },
		[EV_PARK] = { ML_CHILD_PARKED, act_gone } },
	[ML_CHILD_KILLED] = { [EV_STOP] = { ML_CHILD_STOPPING, act_kill },
		[EV_DIED] = { ML_CHILD_WAIT, act_wait },
		[EV_PARK] = { ML_CHILD_PARKED, act_gone } },
	[ML_CHILD_STOPPING] = { [EV_STOP] = { ML_CHILD_STOPPING, act_hurry },
		[EV_TIMER] = { ML_CHILD_STOPPING, act_kill },
		[EV_BAD] = { ML_CHILD_STOPPING, act_kill },
		[EV_DIED] = { ML_CHILD_DOWN, act_gone },
		[EV_PARK] = { ML_CHILD_DOWN, act_gone } },
	[ML_CHILD_WAIT] = { [EV_TIMER] = { ML_CHILD_STARTING, act_spawn }, [EV_STOP] = { ML_CHILD_DOWN, act_gone } },
	[ML_CHILD_PARKED] = { [EV_START] = { ML_CHILD_STARTING, act_spawn }, [EV_STOP] = { ML_CHILD_DOWN, act_gone } },
};

static void
take(struct ml_child *c, enum child_event ev)
{
	child_act *act = step[c->state][ev].act;

	if (act == NULL)
		return; /* empty cell: the event means nothing in this state */
	c->state = step[c->state][ev].to;
	act(c); /* may send or arm a timer; never steps from inside */
}

const char *
ml_child_state_name(enum ml_child_state s)
{
	static const char *const names[] = { "down", "starting", "up", "killed", "stopping", "waiting", "parked" };

	return names[s];
}

uint32_t
ml_child_jitter(uint32_t delay_ms, uint32_t rnd)
{
	uint32_t tenth = delay_ms / 10;

	return delay_ms - tenth + (tenth > 0 ? rnd % (2 * tenth + 1) : 0);
}

/* --- messages --- */

static void
take_hello(struct ml_chan *ch, const Ml__Envelope *m, int fd, void *arg)
{
	struct ml_child *c = arg;
	Ml__Role want = c->role == ML__ROLE__ROLE_PROBE ? ML__ROLE__ROLE_WORKER : c->role;

	(void)ch;
	if (fd >= 0)
		close(fd);
	if (m->hello->version != ML_CHAN_VERSION || strcmp(m->hello->build, ml_proc_build()) != 0) {
		char why[96];

		c->mismatch = true;
		snprintf(why, sizeof(why), "it is of build '%.30s', version %u", m->hello->build, m->hello->version);
		ml_child_bad(c, why);
		return;
	}
	if (c->greeted || m->hello->role != want || fd >= 0) {
		ml_child_bad(c, "bad message: wrong Hello");
		return;
	}
	c->greeted = true;
	c->ops->welcome(c, c->arg);
}

static void
take_ready(struct ml_chan *ch, const Ml__Envelope *m, int fd, void *arg)
{
	struct ml_child *c = arg;

	(void)ch;
	(void)m;
	if (fd >= 0)
		close(fd);
	if (!c->greeted || fd >= 0)
		ml_child_bad(c, "bad message: Ready before Hello");
	else
		take(c, EV_READY);
}

static void
take_stopped(struct ml_chan *ch, const Ml__Envelope *m, int fd, void *arg)
{
	(void)ch;
	(void)m;
	(void)arg;
	if (fd >= 0)
		close(fd);
	/* Its exit, which follows, is what counts. */
}

static void
on_message(struct ml_chan *ch, const Ml__Envelope *m, int fd, void *arg)
{
	static const struct ml_inbox_row own[] = {
		{ ML__ENVELOPE__BODY_HELLO, ML_CHILD_IN(STARTING) | ML_CHILD_IN(STOPPING), take_hello },
		{ ML__ENVELOPE__BODY_READY, ML_CHILD_IN(STARTING) | ML_CHILD_IN(STOPPING), take_ready },
		{ ML__ENVELOPE__BODY_STOPPED, ML_CHILD_IN(STOPPING), take_stopped },
	};
	struct ml_child *c = arg;

	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
		if (own[i].body == m->body_case) {
			ml_inbox_take(own, sizeof(own) / sizeof(own[0]), c->state, ch, m, fd, c);
			return;
		}
	}
	ml_inbox_take(c->ops->rows, c->ops->n_rows, c->state, ch, m, fd, c);
}

static void
on_closed(struct ml_chan *ch, enum ml_chan_end end, const struct ml_err *err, void *arg)
{
	struct ml_child *c = arg;
	char why[96];

	(void)ch;
	if (end == ML_CHAN_EOF) {
		/* It is dying, or has closed fd 3 and is useless: SIGKILL does not change the status of a dying process. */
		take(c, EV_BAD);
		return;
	}
	if (err->lib == EPROTONOSUPPORT)
		c->mismatch = true;
	snprintf(why, sizeof(why), "bad message: %.80s", err->text);
	ml_child_bad(c, why);
}

/* --- actions --- */

static void
drop_channel(struct ml_child *c)
{
	ml_chan_free(c->ch);
	c->ch = NULL;
}

static void
act_spawn(struct ml_child *c)
{
	static const struct ml_chan_handlers handlers = { on_message, on_closed, NULL };
	char label[160];
	struct ml_err err;
	uint32_t deadline = c->ready_ms;
	int fd;

	c->greeted = c->mismatch = c->hopeless = false;
	c->killed_for[0] = '\0';
	c->started_ms = ml_now_ms();
	c->delay_ms = 0;
	if (c->death.at_ms != 0)
		c->restarts++;
	snprintf(label, sizeof(label), "%s", strchr(c->name, ' ') != NULL ? strchr(c->name, ' ') + 1 : c->name);
	if (ml_spawn(c->program, label, c->kept, &c->pid, &fd, &err) != 0) {
		ml_log_err(ML_ERROR, c->name, &err, "cannot start");
		c->death = (struct ml_death){ .at_ms = c->started_ms };
		snprintf(c->death.reason, sizeof(c->death.reason), "cannot start: %.80s", err.text);
		c->delay_ms = ml_child_jitter(ml_backoff_next(&c->backoff, 0), (uint32_t)c->started_ms);
		c->unborn = true;
		ml_timer_arm(c->timer, 0); /* the death comes as an event of its own */
		return;
	}
	c->ch = ml_chan_new(c->loop, fd, c->name, &handlers, c);
	if (c->deadline_ms > 0 && c->deadline_ms < deadline)
		deadline = c->deadline_ms;
	ml_timer_arm(c->timer, deadline);
	ml_debug(c->name, "started pid=%ld", (long)c->pid);
}

static void
act_up(struct ml_child *c)
{
	uint64_t lived = ml_now_ms() - c->started_ms;

	ml_timer_disarm(c->timer);
	if (c->deadline_ms > 0)
		ml_timer_arm(c->timer, lived < c->deadline_ms ? c->deadline_ms - lived : 0);
	c->ops->up(c, c->arg);
}

static void
act_kill(struct ml_child *c)
{
	if (c->unborn)
		return; /* its timer brings the death */
	ml_timer_disarm(c->timer);
	/* In this order: a child that saw its channel close would get to choose its exit code. */
	if (c->pid > 0)
		kill(c->pid, SIGKILL);
	drop_channel(c);
}

static void
act_late(struct ml_child *c)
{
	snprintf(c->killed_for, sizeof(c->killed_for), c->deadline_ms > 0 ? "not done in time" : "not ready in time");
	act_kill(c);
}

static void
act_ask(struct ml_child *c)
{
	Ml__Envelope m = ML__ENVELOPE__INIT;
	Ml__Stop stop = ML__STOP__INIT;

	if (c->grace_ms == 0 || c->ch == NULL) {
		act_kill(c);
		return;
	}
	stop.grace_ms = c->grace_ms;
	m.body_case = ML__ENVELOPE__BODY_STOP;
	m.stop = &stop;
	ml_chan_send(c->ch, &m, -1);
	ml_timer_arm(c->timer, c->grace_ms);
}

static void
act_hurry(struct ml_child *c)
{
	if (c->grace_ms == 0)
		act_kill(c);
	else if (c->ch != NULL)
		ml_timer_arm(c->timer, c->grace_ms);
}

static void
act_wait(struct ml_child *c)
{
	ml_timer_arm(c->timer, c->delay_ms);
	c->ops->died(c, c->arg);
}

static void
act_gone(struct ml_child *c)
{
	ml_timer_disarm(c->timer);
	c->ops->died(c, c->arg);
}

static void
on_timer(void *arg)
{
	struct ml_child *c = arg;

	if (c->unborn) {
		c->unborn = false;
		take(c, EV_DIED);
		return;
	}
	if (c->state == ML_CHILD_STOPPING)
		snprintf(c->killed_for, sizeof(c->killed_for), "not stopped in time");
	take(c, EV_TIMER);
}

/* --- interface --- */

struct ml_child *
ml_child_new(struct ml_loop *l, Ml__Role role, const char *program, const char *ns, const char *id, uint32_t shard,
	uint64_t epoch, const struct ml_child_ops *ops, void *arg)
{
	struct ml_child *c = calloc(1, sizeof(*c));

	if (c == NULL)
		abort();
	ml_list_init(&c->link);
	c->loop = l;
	c->ops = ops;
	c->arg = arg;
	c->role = role;
	c->program = program;
	for (int i = 0; i < ML_PROC_KEPT; i++)
		c->kept[i] = -1;
	c->ns = strdup(ns);
	c->id = strdup(id);
	if (c->ns == NULL || c->id == NULL)
		abort();
	c->shard = shard;
	c->epoch = epoch;
	c->ready_ms = ML_PROC_DEADLINE_MS;
	c->backoff = (struct ml_backoff){ .base_ms = BASE_MS, .cap_ms = CAP_MS, .calm_ms = CALM_MS };
	c->timer = ml_timer_new(l, on_timer, c);
	if (role == ML__ROLE__ROLE_GATEWAY) {
		snprintf(c->name, sizeof(c->name), "gateway");
		c->free_first = true;
	} else {
		snprintf(c->name, sizeof(c->name), "%s %.64s%s%.64s/%u",
			role == ML__ROLE__ROLE_PROBE ? "probe" : "worker", strcmp(ns, "default") != 0 ? ns : "",
			strcmp(ns, "default") != 0 ? "/" : "", id, shard);
	}
	return c;
}

void
ml_child_free(struct ml_child *c)
{
	if (c == NULL)
		return;
	if (c->pid > 0)
		kill(c->pid, SIGKILL);
	drop_channel(c);
	ml_timer_free(c->timer);
	free(c->ns);
	free(c->id);
	free(c);
}

void
ml_child_start(struct ml_child *c)
{
	if (c->state == ML_CHILD_PARKED) {
		/* Someone has decided to try again: earlier deaths are forgiven. */
		c->backoff.deaths = 0;
		ml_tally_clear(&c->tally);
	}
	take(c, EV_START);
}

void
ml_child_stop(struct ml_child *c, uint32_t grace_ms)
{
	if (c->state == ML_CHILD_STOPPING && grace_ms >= c->grace_ms)
		return;
	c->grace_ms = grace_ms;
	take(c, EV_STOP);
}

void
ml_child_bad(struct ml_child *c, const char *why)
{
	if (c->killed_for[0] == '\0')
		snprintf(c->killed_for, sizeof(c->killed_for), "%s", why);
	take(c, EV_BAD);
}

static void
describe(struct ml_child *c, int status)
{
	struct ml_death *d = &c->death;

	*d = (struct ml_death){ .at_ms = ml_now_ms(), .pid = c->pid };
	d->lived_ms = d->at_ms - c->started_ms;
	if (WIFSIGNALED(status)) {
		const char *abbrev = sigabbrev_np(WTERMSIG(status));

		d->signal = WTERMSIG(status);
		if (d->signal == SIGKILL && c->killed_for[0] != '\0')
			snprintf(d->reason, sizeof(d->reason), "%s", c->killed_for);
		else if (abbrev != NULL)
			snprintf(d->reason, sizeof(d->reason), "SIG%s", abbrev);
		else
			snprintf(d->reason, sizeof(d->reason), "signal %d", d->signal);
	} else {
		d->exit_code = WEXITSTATUS(status);
		if (d->exit_code == ML_SPAWN_NO_EXEC)
			snprintf(d->reason, sizeof(d->reason), "exit %d: %.70s cannot be executed", d->exit_code,
				c->program);
		else
			snprintf(d->reason, sizeof(d->reason), "exit %d", d->exit_code);
	}
}

void
ml_child_reaped(struct ml_child *c, int status)
{
	bool calm, full, done;
	uint32_t rnd = 0;

	describe(c, status);
	c->pid = 0;
	drop_channel(c);
	ml_timer_disarm(c->timer);
	if (c->state == ML_CHILD_STOPPING) {
		take(c, EV_DIED);
		return;
	}
	calm = c->death.lived_ms >= c->backoff.calm_ms;
	full = !calm && ml_tally_add(&c->tally, &c->death);
	if (calm)
		c->backoff.deaths = 0;
	/* A probe lives once.  A worker's 0 or 70 means that the gateway knows and decides; the gateway itself has to run. */
	done = c->role == ML__ROLE__ROLE_PROBE ||
	       (c->role == ML__ROLE__ROLE_WORKER && c->death.signal == 0 &&
		       (c->death.exit_code == ML_EXIT_OK || c->death.exit_code == ML_EXIT_FAULT));
	c->hopeless = c->role != ML__ROLE__ROLE_PROBE && !done &&
		      (c->mismatch || full || (c->death.signal == 0 && c->death.exit_code == ML_EXIT_CONFIG));
	if (done || c->hopeless) {
		take(c, EV_PARK);
		return;
	}
	if (c->free_first && c->backoff.deaths == 0) {
		c->backoff.deaths = 1;
		c->delay_ms = 0;
	} else {
		if (getrandom(&rnd, sizeof(rnd), GRND_NONBLOCK) < 0)
			rnd = (uint32_t)c->death.at_ms;
		c->delay_ms = ml_child_jitter(ml_backoff_next(&c->backoff, c->death.lived_ms), rnd);
	}
	take(c, EV_DIED);
}
