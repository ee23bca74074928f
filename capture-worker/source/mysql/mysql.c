#include "capture-worker/source/mysql/mysql.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "capture-worker/source/mysql/check.h"
#include "capture-worker/source/mysql/dump.h"
#include "capture-worker/source/mysql/feed.h"
#include "capture-worker/source/mysql/history.h"
#include "capture-worker/source/mysql/mysql_int.h"
#include "capture-worker/source/mysql/start.h"
#include "capture-worker/source/mysql/trouble.h"
#include "common/base/backoff.h"
#include "common/run/log.h"
#include "common/text/replica.h"
#include "common/text/tz.h"

/* Reads and writes of control queries: a server slower than this is as good as lost. */
#define CONTROL_TIMEOUT_S 30u
/* Delays between connections, and what counts as calm: a stream that lived this long starts over with the shortest. */
#define BACKOFF_BASE_MS 100u
#define BACKOFF_CAP_MS 30000u
#define BACKOFF_CALM_MS 10000u
/* A busy stream is given this long to fill a batch; a quiet one is handed over at once. */
#define LINGER_US 500u
#define BUSY_US 2000u
/* Chores (the server's clock, definitions to read again) are looked at this often while events keep coming. */
#define CHORES_US 1000000u
/* While the stream waits for the initial copy, other things are looked after this often. */
#define HELD_US 200000
/* Another id after a clash; so many clashes in a row are no accident. */
#define MAX_CLASHES 8
/* An event that is damaged so many times in a row was not damaged on the way. */
#define MAX_CORRUPT 3
/* Tables told of at a time at the start: their descriptions, of some KiB each, are in memory until they are written. */
#define ANNOUNCE_TABLES 64

struct ml_source {
	const struct ml_source_env *env;
	struct ml_my_target *target;
	struct ml_my_conn control; /* my NULL: not connected */
	pthread_mutex_t control_lock;
	int control_fd; /* under the lock */
	struct ml_server server;
	struct ml_clock clock;
	struct ml_tz *tz;
	struct ml_feed feed;
	struct ml_backoff backoff;
	uint32_t clashes;  /* of our server_id; the ids tried before stay given up */
	uint32_t corrupt;  /* damaged events in a row */
	bool checked;      /* the server's settings have just been looked at */
	bool other_server; /* another server answers at the address */
	bool warned;       /* env->warn has told of trouble */
	bool by_gtid;      /* the place is another server's: only its GTIDs mean something */

	bool reading; /* definitions were read again at this head and take effect when the stream gets there */
	char read_file[256];
	uint64_t read_offset;
	uint64_t read_us; /* when it was the log's end, by the upstream's clock */
	uint64_t chores_us;

	int wake_fd;
	atomic_bool stop;
	_Atomic(struct ml_journal *) journal;
	_Atomic(struct ml_xa *) xa;
	_Atomic uint64_t reconnects;
	struct ml_copy_options copy;
	_Atomic(struct ml_snapshot *) snap;
	uint64_t copy_wait_us; /* until the initial copy wants to be looked at */
};

static uint64_t
mono_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

uint32_t
ml_my_server_id(const struct ml_source_env *env, const char *slot, uint32_t attempt)
{
	const char *parts[] = {
		env->config->cluster_id,
		env->config->advertise_addr,
		env->spec->namespace_,
		env->spec->id,
		env->object,
		slot,
	};
	const Ml__Upstream *u = ml_my_upstream(env);
	uint32_t h = 2166136261u;

	/* One id serves one connection: what the user gives is for the stream, not for looking around beside it. */
	if (u != NULL && u->server_id != 0 && attempt == 0 && strcmp(slot, "dump") == 0)
		return u->server_id;
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		for (const char *p = parts[i] != NULL ? parts[i] : "";; p++) {
			h = (h ^ (uint8_t)*p) * 16777619u;
			if (*p == '\0')
				break;
		}
	h = (h ^ attempt) * 16777619u;
	return 0x4D000000u | (h & 0x00FFFFFFu);
}

const Ml__Upstream *
ml_my_upstream(const struct ml_source_env *env)
{
	return env->spec->upstream != NULL ? env->spec->upstream : env->config->upstream;
}

static bool
stopping(const struct ml_source *s)
{
	return atomic_load_explicit(&s->stop, memory_order_relaxed);
}

/* Somebody wrote to the eventfd.  True: it was no stop. */
static bool
woken_by_copy(struct ml_source *s)
{
	uint64_t n;

	if (stopping(s))
		return false;
	(void)!read(s->wake_fd, &n, sizeof(n));
	/* A stop in between is not to be lost. */
	return !stopping(s);
}

/* ---- control connection ---- */

/* The socket that stop may shut down, so that a query to a stuck server ends; -1: none. */
static void
interruptible(struct ml_source *s, int fd)
{
	pthread_mutex_lock(&s->control_lock);
	s->control_fd = fd;
	if (fd >= 0 && stopping(s))
		(void)shutdown(fd, SHUT_RDWR);
	pthread_mutex_unlock(&s->control_lock);
}

/* Nothing is to be asked for a while: a server has only so many connections, and each changefeed needs its dump. */
static void
rest_control(struct ml_source *s)
{
	interruptible(s, -1);
	ml_my_close(&s->control);
}

static int
control(struct ml_source *s, struct ml_err *err)
{
	if (s->control.my != NULL && mysql_ping(s->control.my) == 0)
		return 0;
	rest_control(s);
	if (ml_my_connect(&s->control, s->target, CONTROL_TIMEOUT_S, err) < 0)
		return -1;
	interruptible(s, mysql_get_socket(s->control.my));
	return 0;
}

/* Definitions have been read: they hold at the log's end. */
static int
read_head(struct ml_source *s, struct ml_err *err)
{
	s->read_us = ml_clock_now_us(&s->clock);
	if (ml_start_head_offset(&s->control, s->read_file, &s->read_offset, err) < 0)
		return -1;
	s->reading = true;
	return 0;
}

static int
reread(void *arg, struct ml_err *err)
{
	struct ml_source *s = arg;

	return control(s, err) < 0 || ml_schema_store_reread(s->feed.store, s->control.my, err) < 0 ? -1
												    : read_head(s, err);
}

/* True if the stream has reached the log's end as it was when definitions were last read, and no group is open. */
static bool
passed(const struct ml_source *s)
{
	const struct ml_reader *r = &s->feed.reader;
	uint64_t file = ml_binlog_number(r->place.file), read_file = ml_binlog_number(s->read_file);

	/* Until the stream has named its file, the place may be another server's. */
	return s->reading && !r->open && !r->fresh &&
	       (file > read_file || (file == read_file && r->place.offset >= s->read_offset));
}

/* What has to be done now and then.  Trouble here is no trouble of the stream: it is logged and tried again. */
static void
chores(struct ml_source *s)
{
	struct ml_err err = { 0 };

	s->chores_us = mono_us();
	if (passed(s)) {
		s->reading = false;
		ml_schema_store_at_head(s->feed.store);
		ml_feed_redefined(&s->feed);
	}
	if (!s->reading && ml_schema_store_stale(s->feed.store) > 0 && reread(s, &err) < 0)
		ml_log_err(ML_WARN, s->env->object, &err, "cannot read table definitions");
	if (ml_clock_is_old(&s->clock) &&
		(control(s, &err) < 0 || ml_clock_measure(&s->clock, &s->control, &err) < 0)) {
		ml_log_err(ML_WARN, s->env->object, &err, "cannot read the upstream's clock");
		s->clock.measured_us = ml_clock_local_us();
	}
	if (!s->reading && s->control.my != NULL)
		rest_control(s);
}

/* ---- begin ---- */

static int
place_of(struct ml_place *p, enum ml_flavor flavor, const Ml__Position *pos, struct ml_err *err)
{
	if (strlen(pos->file) >= sizeof(p->file) || pos->offset < 4 || ml_place_parse_gtids(p, flavor, pos->gtid) < 0)
		return ML_ERRF(err, ErrMySQLPositionInsideGroup, 0,
			"the stored position %s:%llu %s is damaged; use a new start-ts", pos->file,
			(unsigned long long)pos->offset, pos->gtid);
	snprintf(p->file, sizeof(p->file), "%s", pos->file);
	p->offset = pos->offset;
	return 0;
}

/* Where to begin and with which fold; sets discard_to. */
static int
find_begin(struct ml_source *s, struct ml_place *place, ml_ts *last, struct ml_err *err)
{
	const struct ml_source_env *env = s->env;
	const Ml__Position *pos = env->position;

	s->feed.discard_to = env->checkpoint_ts;
	if (pos != NULL && pos->file != NULL && *pos->file != '\0') {
		const char *flavor = s->server.flavor == ML_MARIADB ? "mariadb" : "mysql";

		if (strcmp(pos->flavor, flavor) != 0)
			return ML_ERR(err, ErrMySQLGTIDDiverged, 0, pos->gtid, s->control.addr, flavor);
		if (place_of(place, s->server.flavor, pos, err) < 0)
			return -1;
		*last = pos->last_ts;
		if (strcmp(pos->server, s->server.identity) == 0)
			return 0;
		/* Another server: its GTIDs must hold ours.  Order may differ there, so nothing may be dropped by ts. */
		if (!ml_place_has_gtids(place))
			return ML_ERR(err, ErrMySQLGTIDDiverged, 0, pos->file, s->control.addr, s->server.identity);
		ml_warn(env->object, "the upstream is another server: resuming by GTID old=%s new=%s gtid=%s",
			pos->server, s->server.identity, pos->gtid);
		s->by_gtid = true;
		*last = env->checkpoint_ts > pos->last_ts ? env->checkpoint_ts : pos->last_ts;
		s->feed.discard_to = 0;
		return 0;
	}
	if (env->checkpoint_ts == 0) {
		/* Now: whatever is logged from here on is above this moment. */
		if (ml_start_head(&s->control, place, err) < 0)
			return -1;
		*last = ml_ts_from_ms(ml_clock_now_us(&s->clock) / 1000);
		return 0;
	}
	return ml_start_find(
		&s->control, s->target, ml_my_server_id(env, "search", 0), env->checkpoint_ts, place, last, err);
}

struct announcement {
	struct ml_source *s;
	struct ml_batch *batch;
	struct ml_schema **v;
	size_t n, cap;
};

static void
announce_some(struct announcement *a)
{
	struct ml_batch *b = a->batch;

	a->batch = NULL;
	if (b == NULL || a->s->feed.stopped) {
		ml_batch_free(b);
		return;
	}
	b->barrier.kind = ML_BAR_TABLES;
	if (a->s->env->emit(a->s->env->arg, b) != 0)
		a->s->feed.stopped = true;
}

static void
list_table(void *arg, struct ml_schema *schema)
{
	struct announcement *a = arg;

	if (a->n == a->cap) {
		a->cap = a->cap > 0 ? a->cap * 2 : 64;
		a->v = realloc(a->v, a->cap * sizeof(struct ml_schema *));
		if (a->v == NULL)
			abort();
	}
	a->v[a->n++] = schema;
}

static int
by_version(const void *a, const void *b)
{
	const struct ml_schema *x = *(struct ml_schema *const *)a, *y = *(struct ml_schema *const *)b;

	if (x->version != y->version)
		return x->version < y->version ? -1 : 1;
	return x->table_id < y->table_id ? -1 : x->table_id > y->table_id;
}

/* What is followed, before anything else. */
static void
announce(struct ml_source *s)
{
	struct announcement a = { .s = s };

	ml_schema_store_each(s->feed.store, list_table, &a);
	if (a.n > 0)
		qsort(a.v, a.n, sizeof(struct ml_schema *), by_version);
	for (size_t i = 0; i < a.n; i++) {
		if (a.batch == NULL)
			a.batch = ml_batch_new();
		ml_batch_pin(a.batch, a.v[i]);
		if (a.batch->n_pins == ANNOUNCE_TABLES)
			announce_some(&a);
	}
	announce_some(&a);
	free(a.v);
}

static int
open_copy(struct ml_source *s, struct ml_err *err)
{
	struct ml_snapshot_env env = {
		.env = s->env,
		.target = s->target,
		.tz = s->tz,
		.options = s->copy,
		.flavor = s->server.flavor,
		.gtids = s->server.gtids,
		.my = s->control.my,
		.wake_fd = s->wake_fd,
	};
	struct ml_snapshot *snap;

	if (ml_snapshot_open(&snap, &env, &s->feed, err) < 0)
		return -1;
	s->feed.snap = snap;
	atomic_store(&s->snap, snap);
	/* A stop that came before this could not tell it. */
	if (stopping(s))
		ml_snapshot_stop(snap);
	return 0;
}

/* What the initial copy has ready, and work for its readers: between two groups. */
static int
copy_step(struct ml_source *s, struct ml_err *err)
{
	if (s->feed.snap == NULL || s->feed.reader.open)
		return 0;
	return ml_snapshot_step(s->feed.snap, &s->feed, &s->copy_wait_us, err);
}

static int
begin(struct ml_source *s, struct ml_err *err)
{
	const struct ml_source_env *env = s->env;
	struct ml_schema_store_env store_env = { 0 };
	struct ml_place place = { 0 };
	struct ml_journal *journal = NULL;
	struct ml_xa *xa = NULL;
	char log[400];
	ml_ts last = 0;
	int rc = -1;

	if (control(s, err) < 0 || ml_check_server(&s->control, env->filter, &s->server, NULL, NULL, err) < 0 ||
		ml_clock_measure(&s->clock, &s->control, err) < 0 || find_begin(s, &place, &last, err) < 0)
		goto out;
	snprintf(log, sizeof(log), "%s %.*s", s->server.identity, (int)strcspn(place.file, "."), place.file);
	if (ml_journal_open(&journal, env->state_dir, log, err) < 0)
		goto out;
	if (env->clock != NULL)
		env->clock(env->arg, ml_ts_from_ms((ml_clock_now_us(&s->clock) + ML_FOLD_AHEAD_US) / 1000));
	s->feed.journal = journal;
	atomic_store(&s->journal, journal);
	if (ml_xa_open(&xa, env->state_dir, err) < 0)
		goto out;
	s->feed.xa = xa;
	atomic_store(&s->xa, xa);
	store_env = (struct ml_schema_store_env){
		.object = env->object,
		.state_dir = env->state_dir,
		.filter = env->filter,
		.checkpoint_ts = env->checkpoint_ts > last ? env->checkpoint_ts : last,
		.every_ddl = env->every_ddl,
		.force_replicate = env->spec->force_replicate,
		.json_as_json = s->target->json_as_json,
		.mariadb = s->server.flavor == ML_MARIADB,
		.lower_case_table_names = s->server.lower_case_table_names,
		.arg = env->arg,
		.table = env->table,
	};
	if (ml_schema_store_open(&s->feed.store, &store_env, err) < 0 ||
		ml_schema_store_load(s->feed.store, &s->control, s->target, store_env.checkpoint_ts, err) < 0 ||
		read_head(s, err) < 0)
		goto out;
	s->feed.env = env;
	s->feed.begun_file = ml_binlog_number(s->read_file);
	s->feed.begun_offset = s->read_offset;
	s->feed.clock = &s->clock;
	s->feed.tz = s->tz;
	s->feed.server = s->server.identity;
	s->feed.target_ts = env->spec->target_ts;
	s->feed.drop_marked = ml_replica_on(env->spec->replica_config_json, "bdr-mode");
	s->feed.reread = reread;
	s->feed.reread_arg = s;
	s->feed.reader.flavor = s->server.flavor;
	s->feed.reader.lower_case_table_names = s->server.lower_case_table_names;
	ml_feed_start(&s->feed, &place, last);
	if (env->want_tables)
		announce(s);
	if (env->position != NULL && env->position->copied.len > 0 && s->feed.copied.len == 0)
		ml_buf_put(&s->feed.copied, env->position->copied.data, env->position->copied.len);
	if (s->copy.method != ML_COPY_NONE && open_copy(s, err) < 0)
		goto out;
	s->checked = true;
	ml_info(env->object,
		"following the binary log upstream=%s version=%s file=%s offset=%llu last_ts=%llu checkpoint_ts=%llu",
		s->control.addr, s->server.version, place.file, (unsigned long long)place.offset,
		(unsigned long long)last, (unsigned long long)env->checkpoint_ts);
	rc = 0;
out:
	ml_place_fini(&place);
	return rc;
}

/* What an unfinished begin left behind, so that it can be tried again. */
static void
unbegin(struct ml_source *s)
{
	struct ml_snapshot *snap;

	/* Under the lock, so that a stop does not hold on to it. */
	pthread_mutex_lock(&s->control_lock);
	snap = atomic_exchange(&s->snap, NULL);
	pthread_mutex_unlock(&s->control_lock);
	atomic_store(&s->journal, NULL);
	atomic_store(&s->xa, NULL);
	s->feed.snap = NULL;
	ml_snapshot_close(snap);
	ml_buf_clear(&s->feed.copied);
	ml_schema_store_close(s->feed.store);
	ml_xa_close(s->feed.xa);
	ml_journal_close(s->feed.journal);
	s->feed.store = NULL;
	s->feed.xa = NULL;
	s->feed.journal = NULL;
}

/* ---- stream ---- */

static int
open_dump(struct ml_source *s, struct ml_dump **out, struct ml_err *err)
{
	const struct ml_place *p = &s->feed.good;
	struct ml_dump_start start = {
		.file = p->file,
		.offset = p->offset,
		.server_id = ml_my_server_id(s->env, "dump", s->clashes),
	};
	char checksum[16] = "";
	struct ml_server server;
	bool by_gtid;

	(void)woken_by_copy(s);
	if (control(s, err) < 0)
		return -1;
	/* Settings are dynamic: each later connection looks again. */
	if (!s->checked) {
		if (ml_check_server(&s->control, s->env->filter, &server, NULL, NULL, err) < 0 ||
			ml_clock_measure(&s->clock, &s->control, err) < 0)
			return -1;
		if (strcmp(server.identity, s->server.identity) != 0) {
			/* The next start resumes there by GTID, if it can. */
			s->other_server = true;
			return ML_ERRF(err, ErrUpstreamUnavailable, 0, "upstream %s became another server (%s, was %s)",
				s->control.addr, server.identity, s->server.identity);
		}
	}
	s->checked = false;
	snprintf(s->feed.reader.addr, sizeof(s->feed.reader.addr), "%s", s->control.addr);
	if (start.server_id == s->server.server_id) {
		if (s->clashes == 0 && ml_my_upstream(s->env)->server_id != 0)
			return ML_ERR(err, ErrMySQLServerID, 0, start.server_id, s->control.addr);
		start.server_id = ml_my_server_id(s->env, "dump", ++s->clashes);
	}
	/*
	 * On the server where the place was taken, file and offset are exact and cost nothing; a GTID makes the server search.
	 * The command carries 32 bits of the offset.
	 */
	by_gtid = (s->by_gtid && !s->feed.good_read) || p->offset > UINT32_MAX;
	if (by_gtid && (!ml_place_has_gtids(p) || !s->server.gtids))
		return ML_ERR(err, ErrMySQLPositionOver4G, 0, p->file);
	if (ml_history_check(&s->control, &s->server, p, by_gtid, s->wake_fd, err) < 0 ||
		ml_my_scalar_opt(&s->control, "SELECT @@global.binlog_checksum", checksum, sizeof(checksum), err) < 0)
		return -1;
	if (by_gtid && s->server.flavor == ML_MYSQL) {
		start.set = &p->set;
	} else if (by_gtid) {
		ml_buf_clear(&s->feed.gtid);
		ml_gtid_list_print(&p->gtids, &s->feed.gtid);
		start.gtid = s->feed.gtid.data;
		start.file = "";
	}
	if (ml_dump_open(out, s->target, &start, s->wake_fd, err) < 0)
		return -1;
	ml_feed_rewind(&s->feed, strcmp(checksum, "CRC32") == 0 ? 4 : 0);
	s->feed.reader.by_gtid = start.set != NULL;
	return 0;
}

/* The trouble that was told of is over. */
static void
healed(struct ml_source *s)
{
	if (s->warned)
		s->env->warn(s->env->arg, NULL);
	s->warned = false;
	s->corrupt = 0;
}

/* The stream stands still while the copy reads the tables as they were at this place.  1: there is nothing more to do. */
static int
wait_for_copy(struct ml_source *s, struct ml_err *err)
{
	struct pollfd pfd = { .fd = s->wake_fd, .events = POLLIN };

	if (ml_feed_drained(&s->feed, err) < 0 || copy_step(s, err) < 0)
		return -1;
	if (s->feed.stopped || s->feed.finished || stopping(s))
		return 1;
	if (mono_us() - s->chores_us >= CHORES_US)
		chores(s);
	if (poll(&pfd, 1, s->copy_wait_us < HELD_US ? (int)(s->copy_wait_us / 1000) + 1 : HELD_US / 1000) > 0)
		(void)woken_by_copy(s);
	return stopping(s);
}

/* Until the stream breaks (-1) or is not wanted any more (0). */
static int
stream(struct ml_source *s, struct ml_dump *d, struct ml_err *err)
{
	struct ml_feed *f = &s->feed;
	uint64_t timeout_us = 0, groups = f->group;
	unsigned n = 0;

	for (;;) {
		const uint8_t *p;
		uint32_t len;
		enum ml_dump_result res;

		if (f->snap != NULL && ml_snapshot_holds(f->snap, f)) {
			int rc = wait_for_copy(s, err);

			if (rc != 0)
				return rc < 0 ? -1 : 0;
			continue;
		}
		res = ml_dump_next(d, timeout_us, &p, &len, err);

		timeout_us = 0;
		switch (res) {
		case ML_DUMP_EVENT:
			if (ml_feed_event(f, p, len, err) < 0)
				return -1;
			if (f->stopped || f->finished)
				return 0;
			if (s->warned && (f->group != groups || f->at_head))
				healed(s);
			if (f->snap != NULL && !f->reader.open && ml_snapshot_due(f->snap) && copy_step(s, err) < 0)
				return -1;
			if (f->stopped)
				return 0;
			if (f->at_head || (++n & 0xFFFF) == 0) {
				if (stopping(s))
					return 0;
				if (f->at_head || mono_us() - s->chores_us >= CHORES_US)
					chores(s);
			}
			break;
		case ML_DUMP_NOTHING:
			if (stopping(s))
				return 0;
			/* While events keep coming a short wait makes larger batches; otherwise nobody should wait for us. */
			if (ml_feed_waiting(f) && !f->lingered && mono_us() - f->out_us < BUSY_US) {
				f->lingered = true;
				timeout_us = LINGER_US;
				break;
			}
			f->lingered = false;
			/* What the server's first heartbeat would say is known already. */
			if ((passed(s) ? ml_feed_head(f, s->read_us, err) : ml_feed_drained(f, err)) < 0)
				return -1;
			if (f->stopped || f->finished)
				return 0;
			if (s->reading || mono_us() - s->chores_us >= CHORES_US)
				chores(s);
			if (copy_step(s, err) < 0)
				return -1;
			if (f->stopped)
				return 0;
			timeout_us = f->snap != NULL ? s->copy_wait_us : UINT64_MAX;
			break;
		case ML_DUMP_WOKEN:
			if (!woken_by_copy(s))
				return 0;
			break;
		case ML_DUMP_END:
			return ML_ERR(
				err, ErrUpstreamUnavailable, 0, ml_dump_conn(d)->addr, "the server ended the stream");
		case ML_DUMP_ERROR:
			return -1;
		}
	}
}

/* Waits, but not past stop. */
static void
pause_ms(struct ml_source *s, uint32_t ms)
{
	struct pollfd pfd = { .fd = s->wake_fd, .events = POLLIN };

	(void)woken_by_copy(s);
	(void)poll(&pfd, 1, (int)ms);
}

/* Trouble that time may mend: tells of it and waits.  lived_ms: how long it went well before. */
static void
wait_for_better(struct ml_source *s, const struct ml_err *err, uint64_t lived_ms)
{
	uint32_t ms = ml_backoff_next(&s->backoff, lived_ms);

	/* Half of it by chance, so that many readers do not come back in step. */
	ms = ms / 2 + (uint32_t)(mono_us() % (ms / 2 + 1));
	ml_log_err(ML_WARN, s->env->object, err, "upstream trouble, will connect again");
	s->env->warn(s->env->arg, err);
	s->warned = true;
	atomic_fetch_add(&s->reconnects, 1);
	pause_ms(s, ms);
}

static int
run(struct ml_source *s, struct ml_err *err)
{
	struct ml_dump *d = NULL;
	bool begun = false;
	int rc = 0;

	while (!stopping(s)) {
		uint64_t since = mono_us();

		*err = (struct ml_err){ 0 };
		if (!begun && begin(s, err) == 0)
			begun = true;
		if (begun && ml_feed_done_before(&s->feed, err) > 0)
			break;
		if (begun && err->code == ML_OK && open_dump(s, &d, err) == 0 && stream(s, d, err) == 0)
			break;
		ml_dump_close(d);
		d = NULL;
		if (!begun)
			unbegin(s);
		switch (ml_trouble_of(err, &s->control, &s->feed.good, s->env->checkpoint_ts)) {
		case ML_TROUBLE_LOST:
			if (s->other_server || (err->code == ML_ErrMySQLEventCorrupt && ++s->corrupt >= MAX_CORRUPT))
				break;
			wait_for_better(s, err, (mono_us() - since) / 1000);
			continue;
		case ML_TROUBLE_SAME_ID:
			if (s->clashes++ < MAX_CLASHES) {
				ml_warn(s->env->object,
					"another reader uses our server_id, taking a new one server_id=%u",
					ml_my_server_id(s->env, "dump", s->clashes));
				atomic_fetch_add(&s->reconnects, 1);
				continue;
			}
			ML_ERR(err, ErrMySQLServerID, 0, ml_my_server_id(s->env, "dump", s->clashes), s->control.addr);
			break;
		case ML_TROUBLE_FATAL:
			break;
		}
		rc = -1;
		break;
	}
	ml_dump_close(d);
	if (stopping(s))
		rc = 0; /* whatever broke then broke because of that */
	if (rc == 0)
		*err = (struct ml_err){ 0 };
	return rc;
}

/* ---- the rest of the vtable ---- */

static void
source_close(struct ml_source *s)
{
	if (s == NULL)
		return;
	unbegin(s);
	ml_feed_fini(&s->feed);
	interruptible(s, -1);
	ml_my_close(&s->control);
	ml_my_target_free(s->target);
	ml_tz_free(s->tz);
	if (s->wake_fd >= 0)
		close(s->wake_fd);
	pthread_mutex_destroy(&s->control_lock);
	mysql_thread_end();
	free(s);
}

static int
source_open(struct ml_source **out, const struct ml_source_env *env, struct ml_err *err)
{
	const Ml__Upstream *u = ml_my_upstream(env);
	struct ml_source *s = calloc(1, sizeof(*s));
	const char *tz = env->spec->timezone;

	if (s == NULL)
		abort();
	s->env = env;
	pthread_mutex_init(&s->control_lock, NULL);
	s->control_fd = -1;
	s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->backoff =
		(struct ml_backoff){ .base_ms = BACKOFF_BASE_MS, .cap_ms = BACKOFF_CAP_MS, .calm_ms = BACKOFF_CALM_MS };
	ml_feed_init(&s->feed);
	if (s->wake_fd < 0) {
		ML_ERR(err, ErrIO, errno, "eventfd", strerror(errno));
		goto fail;
	}
	if (u == NULL) {
		ML_ERR(err, ErrUpstreamURIInvalid, 0, "none is configured");
		goto fail;
	}
	if (tz == NULL || *tz == '\0')
		tz = env->config->tz;
	ml_copy_options_read(&s->copy, env->spec->replica_config_json);
	if (ml_my_target_new(&s->target, u, err) < 0 || ml_tz_open(&s->tz, tz, err) < 0)
		goto fail;
	*out = s;
	return 0;
fail:
	source_close(s);
	return -1;
}

static void
source_stop(struct ml_source *s)
{
	struct ml_snapshot *snap;
	uint64_t one = 1;

	atomic_store(&s->stop, true);
	(void)!write(s->wake_fd, &one, sizeof(one));
	pthread_mutex_lock(&s->control_lock);
	if (s->control_fd >= 0)
		(void)shutdown(s->control_fd, SHUT_RDWR);
	snap = atomic_load(&s->snap);
	if (snap != NULL)
		ml_snapshot_stop(snap);
	pthread_mutex_unlock(&s->control_lock);
}

static void
source_saved(struct ml_source *s, ml_ts checkpoint_ts)
{
	struct ml_journal *j = atomic_load(&s->journal);
	struct ml_xa *x = atomic_load(&s->xa);

	if (j != NULL)
		ml_journal_saved(j, checkpoint_ts);
	if (x != NULL)
		ml_xa_saved(x, checkpoint_ts);
	pthread_mutex_lock(&s->control_lock);
	if (atomic_load(&s->snap) != NULL)
		ml_snapshot_saved(atomic_load(&s->snap), checkpoint_ts);
	pthread_mutex_unlock(&s->control_lock);
}

static void
source_stats(struct ml_source *s, uint64_t *bytes_in, uint64_t *events, uint64_t *reconnects)
{
	*bytes_in = atomic_load_explicit(&s->feed.bytes_out, memory_order_relaxed);
	*events = atomic_load_explicit(&s->feed.events_out, memory_order_relaxed);
	*reconnects = atomic_load_explicit(&s->reconnects, memory_order_relaxed);
}

const struct ml_source_ops ml_source_mysql = {
	.scheme = "mysql",
	.probe = ml_my_probe,
	.open = source_open,
	.run = run,
	.stop = source_stop,
	.saved = source_saved,
	.close = source_close,
	.stats = source_stats,
};
