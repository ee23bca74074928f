#include "supervisor/supervisor.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/run/log.h"
#include "common/run/proc.h"
#include "supervisor/broker.h"
#include "supervisor/child.h"
#include "supervisor/estates.h"
#include "supervisor/logfile.h"

/* Of the whole grace time, what workers get before the gateway, which records how far they came, is stopped. */
#define WORKERS_SHARE(grace_ms) ((grace_ms) / 3 * 2)
/* Statistics are for /metrics: once per change, but not more often than this. */
#define STATS_MS 1000
/* The size of the log is looked at this often, and after a failure to rotate it not so soon again; its old files hourly. */
#define LOG_CHECK_MS 1000
#define LOG_RETRY_MS 60000
#define LOG_CLEAN_S 3600

struct ml_supervisor {
	struct ml_loop *loop;
	struct ml_supervisor_env env;
	struct ml_list workers; /* and probes */
	struct ml_list estates;
	struct ml_child *gateway;
	char level[16]; /* "" until a gateway has changed it: for children that start later */

	bool settling; /* settle() is on its way */
	bool stopping;
	unsigned signals;
	uint64_t stop_at_ms; /* monotonic: SIGKILL for whatever is left */
	struct ml_timer *stop_timer;
	struct ml_timer *stats_timer;
	bool stats_due;
	struct ml_timer *log_timer;
	time_t log_cleaned;  /* wall clock */
	uint64_t rotated_ms; /* monotonic, of the last rotation of the log; 0: none yet */
	int exit_code;
};

static void settle_soon(struct ml_supervisor *sup);

static struct ml_child *
child_of(struct ml_list *link)
{
	return ML_CONTAINER(link, struct ml_child, link);
}

static bool
has_process(const struct ml_child *c)
{
	return c->state != ML_CHILD_DOWN && c->state != ML_CHILD_WAIT && c->state != ML_CHILD_PARKED;
}

/* --- to the gateway --- */

static bool
tell(struct ml_supervisor *sup, Ml__Envelope *m)
{
	return sup->gateway->state == ML_CHILD_UP && ml_chan_send(sup->gateway->ch, m, -1) != 0;
}

static void
put_stat(Ml__ProcessStat *stat, const char *name, pid_t pid, uint32_t restarts)
{
	ml__process_stat__init(stat);
	stat->name = (char *)(uintptr_t)name;
	stat->pid = pid;
	stat->restarts = restarts;
}

static void
send_stats(void *arg)
{
	struct ml_supervisor *sup = arg;
	Ml__Envelope m = ML__ENVELOPE__INIT;
	Ml__ProcessStats stats = ML__PROCESS_STATS__INIT;
	Ml__ProcessStat *rows, **list;
	size_t n = 2;

	sup->stats_due = false;
	ML_LIST_FOREACH (i, &sup->workers)
		n++;
	rows = calloc(n, sizeof(*rows));
	list = calloc(n, sizeof(*list));
	if (rows == NULL || list == NULL)
		abort();
	put_stat(&rows[0], "supervisor", getpid(), 0);
	put_stat(&rows[1], "gateway", sup->gateway->pid, sup->gateway->restarts);
	n = 2;
	ML_LIST_FOREACH (i, &sup->workers) {
		struct ml_child *c = child_of(i);

		put_stat(&rows[n++], c->name, c->pid, c->restarts);
	}
	for (size_t i = 0; i < n; i++)
		list[i] = &rows[i];
	stats.processes = list;
	stats.n_processes = n;
	m.body_case = ML__ENVELOPE__BODY_PROCESS_STATS;
	m.process_stats = &stats;
	tell(sup, &m);
	free(rows);
	free(list);
}

static void
stats_changed(struct ml_supervisor *sup)
{
	if (!sup->stats_due)
		ml_timer_arm(sup->stats_timer, STATS_MS);
	sup->stats_due = true;
}

static void
tell_died(struct ml_supervisor *sup, const struct ml_child *c)
{
	Ml__Envelope m = ML__ENVELOPE__INIT;
	Ml__ShardDied died = ML__SHARD_DIED__INIT;
	Ml__ShardKey key;

	ml_broker_key(&key, c);
	died.key = &key;
	died.role = c->role;
	died.pid = c->death.pid;
	died.exit_code = c->death.exit_code;
	died.signal = c->death.signal;
	died.stopped = c->state == ML_CHILD_DOWN;
	died.restarting = c->state == ML_CHILD_WAIT;
	died.delay_ms = died.restarting ? c->delay_ms : 0;
	died.lived_ms = c->death.lived_ms;
	died.reason = (char *)(uintptr_t)c->death.reason;
	died.hopeless = c->hopeless;
	m.body_case = ML__ENVELOPE__BODY_SHARD_DIED;
	m.shard_died = &died;
	tell(sup, &m);
}

/* --- the log --- */

/* Ours is the new one already. */
static void
send_log_file(struct ml_child *c)
{
	Ml__Envelope m = ML__ENVELOPE__INIT;
	Ml__LogFile log = ML__LOG_FILE__INIT;

	m.body_case = ML__ENVELOPE__BODY_LOG_FILE;
	m.log_file = &log;
	if (c->ch != NULL && c->greeted)
		ml_chan_send(c->ch, &m, STDERR_FILENO);
}

static void
check_log(void *arg)
{
	struct ml_supervisor *sup = arg;
	struct timespec now;
	struct ml_err err;
	int fd;

	ml_timer_arm(sup->log_timer, LOG_CHECK_MS);
	clock_gettime(CLOCK_REALTIME, &now);
	if (now.tv_sec - sup->log_cleaned >= LOG_CLEAN_S) {
		sup->log_cleaned = now.tv_sec;
		ml_logfile_clean(sup->env.log, now.tv_sec);
	}
	if (!ml_logfile_due(sup->env.log, STDERR_FILENO))
		return;
	if (ml_logfile_rotate(sup->env.log, now, &fd, &err) != 0) {
		ml_log_err(ML_WARN, "-", &err, "the log cannot be rotated, it grows on");
		ml_timer_arm(sup->log_timer, LOG_RETRY_MS);
		return;
	}
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	close(fd);
	sup->rotated_ms = ml_now_ms();
	send_log_file(sup->gateway);
	ML_LIST_FOREACH (i, &sup->workers)
		send_log_file(child_of(i));
	ml_logfile_clean(sup->env.log, now.tv_sec);
}

/* --- what children tell us --- */

static void
send_welcome(struct ml_child *c, void *arg)
{
	struct ml_supervisor *sup = arg;
	Ml__ServerConfig config = *sup->env.config;
	Ml__Envelope m = ML__ENVELOPE__INIT;
	Ml__Welcome welcome = ML__WELCOME__INIT;

	if (sup->level[0] != '\0')
		config.log_level = sup->level;
	if (c->role != ML__ROLE__ROLE_GATEWAY)
		config.upstream = NULL; /* a worker gets the one of its changefeed, with its Assign */
	welcome.config = &config;
	welcome.role = c->role;
	welcome.namespace_ = c->ns;
	welcome.changefeed_id = c->id;
	welcome.shard = c->shard;
	m.body_case = ML__ENVELOPE__BODY_WELCOME;
	m.welcome = &welcome;
	ml_chan_send(c->ch, &m, c->role == ML__ROLE__ROLE_GATEWAY ? sup->env.listen_fd : -1);
	if (sup->rotated_ms != 0 && c->started_ms <= sup->rotated_ms)
		send_log_file(c);
}

static void
gateway_up(struct ml_child *g, void *arg)
{
	struct ml_supervisor *sup = arg;

	ml_info(g->name, "up pid=%ld after_ms=%llu", (long)g->pid, (unsigned long long)(ml_now_ms() - g->started_ms));
	send_stats(sup);
	/* It may be a new one: it hears of every worker there is. */
	ML_LIST_FOREACH (i, &sup->workers) {
		struct ml_child *c = child_of(i);

		if (c->state == ML_CHILD_UP)
			ml_broker_link(g, c, true);
		else if (c->state == ML_CHILD_WAIT || c->state == ML_CHILD_PARKED)
			tell_died(sup, c);
	}
	settle_soon(sup);
}

static void
worker_up(struct ml_child *c, void *arg)
{
	struct ml_supervisor *sup = arg;

	ml_info(c->name, "up pid=%ld after_ms=%llu", (long)c->pid, (unsigned long long)(ml_now_ms() - c->started_ms));
	if (sup->gateway->state == ML_CHILD_UP)
		ml_broker_link(sup->gateway, c, false);
	stats_changed(sup);
}

static void
log_death(struct ml_child *c)
{
	struct ml_death *d = &c->death;
	bool quiet =
		c->state == ML_CHILD_DOWN || (c->role == ML__ROLE__ROLE_PROBE && d->signal == 0 && d->exit_code == 0);

	if (d->logged)
		return; /* one that was asked to stop while it had no process */
	d->logged = true;
	if (c->state == ML_CHILD_WAIT)
		ml_warn(c->name, "died: %s pid=%ld lived_ms=%llu restart_in_ms=%u", d->reason, (long)d->pid,
			(unsigned long long)d->lived_ms, c->delay_ms);
	else if (c->hopeless)
		ml_error(c->name, "died: %s pid=%ld lived_ms=%llu; it is not started again by itself", d->reason,
			(long)d->pid, (unsigned long long)d->lived_ms);
	else
		ML_LOG(quiet ? ML_INFO : ML_WARN, c->name, "ended: %s pid=%ld lived_ms=%llu", d->reason, (long)d->pid,
			(unsigned long long)d->lived_ms);
}

static void
gateway_died(struct ml_child *g, void *arg)
{
	log_death(g);
	settle_soon(arg);
}

static void
worker_died(struct ml_child *c, void *arg)
{
	struct ml_supervisor *sup = arg;

	log_death(c);
	tell_died(sup, c);
	stats_changed(sup);
	settle_soon(sup);
}

/* --- orders of the gateway --- */

static struct ml_child *
find_shard(struct ml_supervisor *sup, const Ml__ShardKey *key, Ml__Role role)
{
	ML_LIST_FOREACH (i, &sup->workers) {
		struct ml_child *c = child_of(i);

		if (c->epoch == key->epoch && c->shard == key->shard && c->role == role &&
			strcmp(c->id, key->changefeed_id) == 0 && strcmp(c->ns, key->namespace_) == 0)
			return c;
	}
	return NULL;
}

/* Whether b is the worker of a's shard in another epoch: the two must never run at the same time. */
static bool
rivals(const struct ml_child *a, const struct ml_child *b)
{
	return a != b && a->role == ML__ROLE__ROLE_WORKER && b->role == a->role && a->shard == b->shard &&
	       strcmp(a->id, b->id) == 0 && strcmp(a->ns, b->ns) == 0;
}

static bool
has_rival(struct ml_supervisor *sup, const struct ml_child *c)
{
	ML_LIST_FOREACH (i, &sup->workers)
		if (rivals(c, child_of(i)) && child_of(i)->state != ML_CHILD_DOWN)
			return true;
	return false;
}

static const struct ml_child_ops worker_ops = { send_welcome, worker_up, worker_died, NULL, 0 };

static struct ml_supervisor *
sup_of(void *child)
{
	return ((struct ml_child *)child)->arg;
}

/* These carry no descriptor; one that comes along ends the sender. */
static bool
plain(struct ml_chan *ch, int fd)
{
	if (fd < 0)
		return true;
	close(fd);
	ml_chan_refuse(ch, "a descriptor that nothing asked for");
	return false;
}

/* What a child has besides its channel: the lock of the data directory, a worker also its shard's estate. */
static void
keep_fds(struct ml_supervisor *sup, struct ml_child *c)
{
	const int *estate = NULL;

	if (c->role == ML__ROLE__ROLE_WORKER)
		estate = ml_estates_get(&sup->estates, c->ns, c->id, c->shard);
	c->kept[0] = sup->env.lock_fd;
	for (int i = 0; estate != NULL && i < 2; i++)
		c->kept[ML_PROC_ESTATE_FD - ML_PROC_LOCK_FD + i] = estate[i];
}

static void
take_start(struct ml_chan *ch, const Ml__Envelope *m, int fd, void *arg)
{
	struct ml_supervisor *sup = sup_of(arg);
	const Ml__StartShard *s = m->start_shard;
	struct ml_child *c;

	if (!plain(ch, fd))
		return;
	if (s->key == NULL || s->key->changefeed_id[0] == '\0' ||
		(s->role != ML__ROLE__ROLE_WORKER && s->role != ML__ROLE__ROLE_PROBE)) {
		ml_chan_refuse(ch, "StartShard without a shard or a role");
		return;
	}
	if (sup->stopping)
		return;
	c = find_shard(sup, s->key, s->role);
	if (c == NULL) {
		c = ml_child_new(sup->loop, s->role, sup->env.worker_program, s->key->namespace_, s->key->changefeed_id,
			s->key->shard, s->key->epoch, &worker_ops, sup);
		c->ready_ms = sup->env.ready_ms;
		if (s->role == ML__ROLE__ROLE_PROBE)
			c->deadline_ms = s->deadline_ms;
		keep_fds(sup, c);
		ml_list_append(&sup->workers, &c->link);
	}
	if (c->state == ML_CHILD_PARKED) {
		ml_child_start(c);
		return;
	}
	/* No two copies of a shard: what is left of an earlier epoch has to go first. */
	ML_LIST_FOREACH (i, &sup->workers) {
		if (rivals(c, child_of(i))) {
			child_of(i)->again = false;
			ml_child_stop(child_of(i), 0);
		}
	}
	c->again = c->state == ML_CHILD_DOWN || c->state == ML_CHILD_STOPPING;
	settle_soon(sup);
}

static void
take_stop(struct ml_chan *ch, const Ml__Envelope *m, int fd, void *arg)
{
	struct ml_supervisor *sup = sup_of(arg);
	const Ml__StopShard *s = m->stop_shard;
	struct ml_child *c;

	if (!plain(ch, fd))
		return;
	if (s->key == NULL) {
		ml_chan_refuse(ch, "StopShard without a shard");
		return;
	}
	c = find_shard(sup, s->key, ML__ROLE__ROLE_WORKER);
	if (c == NULL)
		c = find_shard(sup, s->key, ML__ROLE__ROLE_PROBE);
	if (c != NULL && c->state != ML_CHILD_DOWN) {
		c->again = false;
		ml_child_stop(c, s->grace_ms);
		return;
	}
	if (c == NULL || c->again) {
		/* Unknown, or it was to be started a moment later: it is gone as it stands. */
		struct ml_child *ghost = ml_child_new(sup->loop, ML__ROLE__ROLE_WORKER, "", s->key->namespace_,
			s->key->changefeed_id, s->key->shard, s->key->epoch, &worker_ops, sup);

		tell_died(sup, ghost);
		ml_child_free(ghost);
	}
	if (c != NULL) {
		c->again = false;
		settle_soon(sup);
	}
}

static void
take_log_level(struct ml_chan *ch, const Ml__Envelope *m, int fd, void *arg)
{
	struct ml_supervisor *sup = sup_of(arg);
	Ml__Envelope out = ML__ENVELOPE__INIT;
	Ml__SetLogLevel set = ML__SET_LOG_LEVEL__INIT;
	enum ml_level level;

	if (!plain(ch, fd))
		return;
	if (ml_log_parse_level(m->set_log_level->level, &level) != 0) {
		ml_chan_refuse(ch, "unknown log level");
		return;
	}
	snprintf(sup->level, sizeof(sup->level), "%s", ml_level_name(level));
	ml_log_set_level(level);
	ml_info("-", "log level is now %s", sup->level);
	set.level = sup->level;
	out.body_case = ML__ENVELOPE__BODY_SET_LOG_LEVEL;
	out.set_log_level = &set;
	tell(sup, &out);
	ML_LIST_FOREACH (i, &sup->workers) {
		struct ml_child *c = child_of(i);

		/* One that has not been welcomed yet gets it with its Welcome. */
		if (c->ch != NULL && c->greeted)
			ml_chan_send(c->ch, &out, -1);
	}
}

static const struct ml_inbox_row gateway_rows[] = {
	{ ML__ENVELOPE__BODY_START_SHARD, ML_CHILD_IN(UP) | ML_CHILD_IN(STOPPING), take_start },
	{ ML__ENVELOPE__BODY_STOP_SHARD, ML_CHILD_IN(UP) | ML_CHILD_IN(STOPPING), take_stop },
	{ ML__ENVELOPE__BODY_SET_LOG_LEVEL, ML_CHILD_IN(UP) | ML_CHILD_IN(STOPPING), take_log_level },
};
static const struct ml_child_ops gateway_ops = { send_welcome, gateway_up, gateway_died, gateway_rows,
	sizeof(gateway_rows) / sizeof(gateway_rows[0]) };

/* --- order --- */

static uint32_t
time_left(const struct ml_supervisor *sup)
{
	uint64_t now = ml_now_ms();

	return now < sup->stop_at_ms ? (uint32_t)(sup->stop_at_ms - now) : 0;
}

static void
settle_workers(struct ml_supervisor *sup)
{
	ML_LIST_FOREACH_SAFE (i, &sup->workers) {
		struct ml_child *c = child_of(i);

		if (sup->stopping) {
			uint32_t left = time_left(sup), kept = sup->env.grace_ms - WORKERS_SHARE(sup->env.grace_ms);

			c->again = false;
			if (c->state != ML_CHILD_STOPPING && c->state != ML_CHILD_DOWN)
				ml_child_stop(c, c->role == ML__ROLE__ROLE_PROBE || left <= kept ? 0 : left - kept);
		} else if (c->role == ML__ROLE__ROLE_PROBE && !has_process(sup->gateway) && has_process(c)) {
			ml_child_stop(c, 0); /* whoever asked is gone */
		}
		if (c->state == ML_CHILD_DOWN && c->again) {
			if (has_rival(sup, c))
				continue;
			c->again = false;
			ml_child_start(c);
		} else if (c->state == ML_CHILD_DOWN ||
			   (c->role == ML__ROLE__ROLE_PROBE && c->state == ML_CHILD_PARKED)) {
			/* A parked probe has lived its one life, and the gateway has been told. */
			ml_list_remove(&c->link);
			if (c->role == ML__ROLE__ROLE_WORKER && !has_rival(sup, c))
				ml_estates_drop(&sup->estates, c->ns, c->id, c->shard);
			ml_child_free(c);
		}
	}
}

/* Brings everything where it should be, from wherever it is; called at the end of a turn in which something changed. */
static void
settle(void *arg)
{
	struct ml_supervisor *sup = arg;
	struct ml_child *g = sup->gateway;

	sup->settling = false;
	if (g->state == ML_CHILD_PARKED && !sup->stopping) {
		ml_log_write(ML_FATAL, "-", "the gateway cannot run (%s), the server stops", g->death.reason);
		sup->exit_code = 1;
		sup->stopping = true;
		sup->stop_at_ms = ml_now_ms() + sup->env.grace_ms;
		ml_timer_arm(sup->stop_timer, sup->env.grace_ms);
	}
	settle_workers(sup);
	if (!sup->stopping || !ml_list_empty(&sup->workers))
		return;
	if (g->state == ML_CHILD_DOWN)
		ml_loop_stop(sup->loop);
	else if (g->state != ML_CHILD_STOPPING)
		ml_child_stop(g, time_left(sup));
}

static void
settle_soon(struct ml_supervisor *sup)
{
	if (sup->settling)
		return;
	sup->settling = true;
	ml_loop_later(sup->loop, settle, sup);
}

static void
on_child(void *arg)
{
	struct ml_supervisor *sup = arg;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct ml_child *c = sup->gateway->pid == pid ? sup->gateway : NULL;

		ML_LIST_FOREACH (i, &sup->workers)
			if (child_of(i)->pid == pid)
				c = child_of(i);
		if (c != NULL)
			ml_child_reaped(c, status);
	}
}

static void
kill_all(struct ml_supervisor *sup)
{
	ML_LIST_FOREACH (i, &sup->workers)
		ml_child_stop(child_of(i), 0);
	ml_child_stop(sup->gateway, 0);
}

static void
on_grace_over(void *arg)
{
	struct ml_supervisor *sup = arg;

	ml_warn("-", "not everything stopped within %u ms, killing the rest", sup->env.grace_ms);
	kill_all(sup);
}

static void
on_signal(void *arg)
{
	struct ml_supervisor *sup = arg;
	Ml__Envelope m = ML__ENVELOPE__INIT;
	Ml__Liveness liveness = ML__LIVENESS__INIT;

	if (++sup->signals > 1) {
		ml_warn("-", "second signal, stopping at once");
		sup->exit_code = 1;
		kill_all(sup);
		ml_loop_stop(sup->loop);
		return;
	}
	ml_info("-", "stopping, within %u ms", sup->env.grace_ms);
	sup->stop_at_ms = ml_now_ms() + sup->env.grace_ms;
	sup->stopping = true;
	ml_timer_arm(sup->stop_timer, sup->env.grace_ms);
	liveness.stopping = true;
	m.body_case = ML__ENVELOPE__BODY_LIVENESS;
	m.liveness = &liveness;
	tell(sup, &m);
	settle_soon(sup);
}

struct ml_supervisor *
ml_supervisor_new(struct ml_loop *l, const struct ml_supervisor_env *env)
{
	static const int stops[] = { SIGHUP, SIGINT, SIGTERM, SIGQUIT };
	struct ml_supervisor *sup = calloc(1, sizeof(*sup));

	if (sup == NULL)
		abort();
	sup->loop = l;
	sup->env = *env;
	if (sup->env.ready_ms == 0)
		sup->env.ready_ms = ML_PROC_DEADLINE_MS;
	ml_list_init(&sup->workers);
	ml_list_init(&sup->estates);
	sup->stop_timer = ml_timer_new(l, on_grace_over, sup);
	sup->stats_timer = ml_timer_new(l, send_stats, sup);
	if (env->log != NULL) {
		sup->log_timer = ml_timer_new(l, check_log, sup);
		ml_timer_arm(sup->log_timer, 0);
	}
	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < sizeof(stops) / sizeof(stops[0]); i++)
		ml_loop_signal(l, stops[i], on_signal, sup);
	ml_loop_signal(l, SIGCHLD, on_child, sup);
	sup->gateway = ml_child_new(l, ML__ROLE__ROLE_GATEWAY, env->gateway_program, "", "", 0, 0, &gateway_ops, sup);
	sup->gateway->ready_ms = sup->env.ready_ms;
	keep_fds(sup, sup->gateway);
	ml_child_start(sup->gateway);
	return sup;
}

int
ml_supervisor_run(struct ml_supervisor *sup)
{
	ml_loop_run(sup->loop);
	/* After a second signal children are still dying: reap them, which SIGKILL lets come soon. */
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		continue;
	return sup->exit_code;
}

void
ml_supervisor_free(struct ml_supervisor *sup)
{
	if (sup == NULL)
		return;
	ML_LIST_FOREACH_SAFE (i, &sup->workers) {
		struct ml_child *c = child_of(i);

		c->pid = 0; /* ml_supervisor_run has reaped it */
		ml_child_free(c);
	}
	ml_estates_free(&sup->estates);
	sup->gateway->pid = 0;
	ml_child_free(sup->gateway);
	ml_timer_free(sup->stop_timer);
	ml_timer_free(sup->stats_timer);
	ml_timer_free(sup->log_timer);
	free(sup);
}
