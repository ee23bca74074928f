#include "capture-worker/source/mysql/snapshot/chunk_read.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>

#include "capture-worker/mounter/column.h"
#include "capture-worker/quota.h"
#include "capture-worker/source/mysql/snapshot/reader_int.h"
#include "capture-worker/source/mysql/start.h"
#include "common/text/num.h"

/* A server that is silent for so long while it reads a chunk is as good as lost. */
#define IO_TIMEOUT_S 120u
/* As the stream's batches. */
#define BATCH_ROWS 2048u
#define BATCH_BYTES (512u << 10)
/* Longer values are fetched on their own; keys are at most 3072 bytes. */
#define VALUE_BYTES 1024u
#define KEY_BYTES 4096u
/* MySQL: how often, and how many times, it is asked whether it shows what it has logged. */
#define SHOWN_PAUSE_NS 2000000
#define SHOWN_TRIES 5000

struct ml_copy_reader *
ml_copy_reader_new(const struct ml_my_target *t, const struct ml_tz *tz, struct ml_quota *quota)
{
	struct ml_copy_reader *r = calloc(1, sizeof(*r));

	if (r == NULL)
		abort();
	r->target = t;
	r->quota = quota;
	ml_stamp_init(&r->stamp, tz);
	pthread_mutex_init(&r->lock, NULL);
	r->fd = -1;
	return r;
}

static void
drop_values(struct ml_copy_reader *r)
{
	for (size_t i = 0; i < r->n; i++) {
		free(r->v[i].buf);
		ml_charconv_free(r->v[i].conv);
	}
	free(r->v);
	free(r->bind);
	r->v = NULL;
	r->bind = NULL;
	r->n = 0;
}

static void
set_fd(struct ml_copy_reader *r, int fd)
{
	pthread_mutex_lock(&r->lock);
	r->fd = fd;
	if (fd >= 0 && r->stopped)
		(void)shutdown(fd, SHUT_RDWR);
	pthread_mutex_unlock(&r->lock);
}

void
ml_copy_hang_up(struct ml_copy_reader *r)
{
	set_fd(r, -1);
	r->held = false;
	ml_my_close(&r->conn);
}

void
ml_copy_reader_free(struct ml_copy_reader *r)
{
	if (r == NULL)
		return;
	ml_copy_hang_up(r);
	drop_values(r);
	ml_buf_fini(&r->sql);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

void
ml_copy_reader_stop(struct ml_copy_reader *r)
{
	pthread_mutex_lock(&r->lock);
	r->stopped = true;
	if (r->fd >= 0)
		(void)shutdown(r->fd, SHUT_RDWR);
	pthread_mutex_unlock(&r->lock);
}

void
ml_copy_chunk_fini(struct ml_copy_chunk *c)
{
	while (c->first != NULL) {
		struct ml_batch *b = c->first;

		c->first = b->next;
		b->next = NULL;
		ml_batch_free(b);
	}
	ml_copy_bound_fini(&c->last);
	*c = (struct ml_copy_chunk){ 0 };
}

int
ml_copy_reader_connect(struct ml_copy_reader *r, struct ml_err *err)
{
	static const char *const sql[] = {
		"SET SESSION sql_mode = ''",
		"SET SESSION time_zone = '+00:00', net_write_timeout = 600, wait_timeout = 28800",
		"SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
		"SET character_set_results = NULL",
	};

	if (r->conn.my != NULL)
		return 0;
	if (ml_my_connect(&r->conn, r->target, IO_TIMEOUT_S, err) < 0)
		return -1;
	set_fd(r, mysql_get_socket(r->conn.my));
	for (size_t i = 0; i < sizeof(sql) / sizeof(sql[0]); i++)
		if (ml_my_query(&r->conn, sql[i], NULL, err) < 0)
			return -1;
	return ml_my_query(&r->conn,
		r->conn.flavor == ML_MARIADB ? "SET SESSION max_statement_time = 0"
					     : "SET SESSION max_execution_time = 0",
		NULL, err);
}

/* ---- what is selected ---- */

static int
plan_value(struct ml_copy_value *v, MYSQL_BIND *b, const struct ml_column *c, bool in_key, struct ml_err *err)
{
	const struct ml_charset *cs;

	v->kind = ml_copy_kind_of(c);
	v->digits = (uint8_t)(c->decimal > 0 && c->decimal <= 6 ? c->decimal : 0);
	b->is_null = &v->null;
	b->error = &v->cut;
	b->length = &v->len;
	switch (v->kind) {
	case ML_CK_ABSENT:
		break;
	case ML_CK_I64:
	case ML_CK_U64:
		b->buffer_type = MYSQL_TYPE_LONGLONG;
		b->is_unsigned = v->kind == ML_CK_U64;
		b->buffer = &v->u;
		return 0;
	case ML_CK_F32:
		b->buffer_type = MYSQL_TYPE_FLOAT;
		b->buffer = &v->f32;
		return 0;
	case ML_CK_F64:
		b->buffer_type = MYSQL_TYPE_DOUBLE;
		b->buffer = &v->f64;
		return 0;
	case ML_CK_DATE:
	case ML_CK_DATETIME:
	case ML_CK_TIMESTAMP:
	case ML_CK_TIME:
		b->buffer_type = v->kind == ML_CK_DATE       ? MYSQL_TYPE_DATE
				 : v->kind == ML_CK_DATETIME ? MYSQL_TYPE_DATETIME
				 : v->kind == ML_CK_TIME     ? MYSQL_TYPE_TIME
							     : MYSQL_TYPE_TIMESTAMP;
		b->buffer = &v->t;
		b->buffer_length = sizeof(v->t);
		return 0;
	case ML_CK_TEXT:
		cs = ml_charset_by_name(c->charset.s, c->charset.len);
		if (cs == NULL)
			return ML_ERRF(err, ErrMySQLSchemaMismatch, 0, "column %s has the unknown charset %s",
				c->name.s, c->charset.s);
		if (cs->kind > ML_CS_UTF8 && (v->conv = ml_charconv_new(cs)) == NULL)
			return ML_ERRF(err, ErrMySQLSchemaMismatch, 0, "charset %s of column %s cannot be converted",
				c->charset.s, c->name.s);
		break;
	case ML_CK_DECIMAL:
		v->strip = c->zerofill;
		break;
	case ML_CK_BYTES:
	case ML_CK_PLAIN:
	case ML_CK_VECTOR:
		break;
	}
	v->size = in_key ? KEY_BYTES : VALUE_BYTES;
	v->buf = malloc(v->size);
	if (v->buf == NULL)
		abort();
	b->buffer_type = MYSQL_TYPE_STRING;
	b->buffer = v->buf;
	b->buffer_length = v->size;
	return 0;
}

static bool
in_key(const struct ml_index *key, uint16_t col)
{
	for (uint16_t i = 0; key != NULL && i < key->n_cols; i++)
		if (key->cols[i] == col)
			return true;
	return false;
}

static int
plan_values(struct ml_copy_reader *r, const struct ml_schema *s, const struct ml_index *key, struct ml_err *err)
{
	drop_values(r);
	r->v = calloc(s->n_columns > 0 ? s->n_columns : 1, sizeof(*r->v));
	r->bind = calloc(s->n_columns > 0 ? s->n_columns : 1, sizeof(*r->bind));
	if (r->v == NULL || r->bind == NULL)
		abort();
	for (uint16_t i = 0; i < s->n_columns; i++) {
		if (ml_copy_kind_of(&s->columns[i]) == ML_CK_ABSENT)
			continue;
		r->v[r->n].out = i;
		r->n++;
		if (plan_value(&r->v[r->n - 1], &r->bind[r->n - 1], &s->columns[i], in_key(key, i), err) < 0)
			return -1;
	}
	return 0;
}

/* ---- values ---- */

static char *
put2(char *p, unsigned v)
{
	p[0] = (char)('0' + v / 10 % 10);
	p[1] = (char)('0' + v % 10);
	return p + 2;
}

static char *
put_date(char *p, const MYSQL_TIME *t)
{
	p = put2(put2(p, t->year / 100), t->year % 100);
	*p++ = '-';
	p = put2(p, t->month);
	*p++ = '-';
	return put2(p, t->day);
}

static char *
put_clock(char *p, unsigned hour, const MYSQL_TIME *t, unsigned digits)
{
	unsigned us = (unsigned)t->second_part;

	if (hour >= 100)
		*p++ = (char)('0' + hour / 100 % 10);
	p = put2(p, hour % 100);
	*p++ = ':';
	p = put2(p, t->minute);
	*p++ = ':';
	p = put2(p, t->second);
	if (digits == 0)
		return p;
	*p++ = '.';
	for (unsigned i = 0, ten = 100000; i < digits; i++, ten /= 10)
		*p++ = (char)('0' + us / ten % 10);
	return p;
}

static char *
time_text(const struct ml_copy_value *v, char *p, unsigned digits)
{
	if (v->kind == ML_CK_TIME) {
		if (v->t.neg)
			*p++ = '-';
		return put_clock(p, v->t.hour + v->t.day * 24, &v->t, digits);
	}
	p = put_date(p, &v->t);
	if (v->kind == ML_CK_DATE)
		return p;
	*p++ = ' ';
	return put_clock(p, v->t.hour, &v->t, digits);
}

/* Days since 1970 of a date of the Gregorian calendar. */
static int64_t
days(int64_t y, unsigned m, unsigned d)
{
	int64_t era, yoe, doy;

	y -= m <= 2;
	era = (y >= 0 ? y : y - 399) / 400;
	yoe = y - era * 400;
	doy = (153 * (int64_t)(m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static char *
stamp_text(struct ml_copy_reader *r, const struct ml_copy_value *v, char *p)
{
	const MYSQL_TIME *t = &v->t;
	int64_t s = 0;

	if (t->year != 0 || t->month != 0 || t->day != 0)
		s = days(t->year, t->month, t->day) * 86400 + t->hour * 3600 + t->minute * 60 + t->second;
	return ml_stamp_text(&r->stamp, p, s, (uint32_t)t->second_part, v->digits);
}

static const char *
bytes_of(struct ml_copy_reader *r, MYSQL_STMT *st, struct ml_arena *a, size_t i)
{
	struct ml_copy_value *v = &r->v[i];
	char *p = ml_arena_bytes(a, v->len + 1);

	if (v->len <= v->size) {
		memcpy(p, v->buf, v->len);
	} else {
		MYSQL_BIND whole = r->bind[i];
		my_bool null, cut;
		unsigned long len;

		whole.buffer = p;
		whole.buffer_length = v->len;
		whole.is_null = &null;
		whole.error = &cut;
		whole.length = &len;
		if (mysql_stmt_fetch_column(st, &whole, (unsigned)i, 0) != 0)
			return NULL;
	}
	p[v->len] = '\0';
	return p;
}

static int
datum_of(struct ml_copy_reader *r, MYSQL_STMT *st, struct ml_batch *b, size_t i, struct ml_datum *d)
{
	struct ml_arena *a = &b->arena;
	struct ml_coldec vector = { .op = ML_COP_VECTOR };
	struct ml_colenv env = { .arena = a };
	struct ml_copy_value *v = &r->v[i];
	size_t len = v->len;
	const char *s;
	char *p, *end;

	if (v->null) {
		d->kind = ML_D_NULL;
		return 0;
	}
	switch (v->kind) {
	case ML_CK_I64:
		d->kind = ML_D_I64;
		d->i = v->i;
		return 0;
	case ML_CK_U64:
		d->kind = ML_D_U64;
		d->u = v->u;
		return 0;
	case ML_CK_F32:
		d->kind = ML_D_F32;
		d->u = 0;
		d->f32 = isfinite(v->f32) ? v->f32 : 0;
		return 0;
	case ML_CK_F64:
		d->kind = ML_D_F64;
		d->f64 = isfinite(v->f64) ? v->f64 : 0;
		return 0;
	case ML_CK_DATE:
	case ML_CK_DATETIME:
	case ML_CK_TIMESTAMP:
	case ML_CK_TIME:
		p = ml_arena_bytes(a, ML_VALUE_MAX);
		end = v->kind == ML_CK_TIMESTAMP ? stamp_text(r, v, p) : time_text(v, p, v->digits);
		if (end == NULL)
			return -1;
		a->p = end;
		d->kind = ML_D_BYTES;
		d->s = p;
		d->len = (uint32_t)(end - p);
		return 0;
	default:
		break;
	}
	s = bytes_of(r, st, a, i);
	if (s == NULL)
		return -1;
	if (v->kind == ML_CK_VECTOR)
		return ml_coldec_value(&vector, &env, d, (const uint8_t *)s, len) ? 0 : -1;
	if (v->conv != NULL)
		s = ml_charconv_utf8(v->conv, a, s, len, &len);
	if (v->strip) {
		/* "-" never comes with ZEROFILL, which is unsigned. */
		while (len > 1 && s[0] == '0' && s[1] != '.') {
			s++;
			len--;
		}
	}
	d->kind = ML_D_BYTES;
	d->s = s;
	d->len = (uint32_t)len;
	return 0;
}

/* The key of the row that was fetched last. */
static void
bound_of(struct ml_copy_reader *r, const struct ml_schema *s, const struct ml_index *key, struct ml_copy_bound *out)
{
	out->v = calloc(key->n_cols, sizeof(*out->v));
	if (out->v == NULL)
		abort();
	for (uint16_t k = 0; k < key->n_cols; k++) {
		struct ml_buf b = { 0 };
		const struct ml_copy_value *v = NULL;
		char text[ML_VALUE_MAX];

		for (size_t i = 0; i < r->n; i++)
			if (r->v[i].out == key->cols[k])
				v = &r->v[i];
		switch (v->kind) {
		case ML_CK_I64:
			ml_buf_printf(&b, "%lld", (long long)v->i);
			break;
		case ML_CK_U64:
			ml_buf_printf(&b, "%llu", (unsigned long long)v->u);
			break;
		case ML_CK_F32:
			/* With an exponent it is a DOUBLE, which the column's value becomes exactly. */
			ml_buf_printf(&b, "%.17e", (double)v->f32);
			break;
		case ML_CK_F64:
			ml_buf_printf(&b, "%.17e", v->f64);
			break;
		case ML_CK_DATE:
		case ML_CK_DATETIME:
		case ML_CK_TIMESTAMP:
		case ML_CK_TIME:
			*time_text(v, text, 6) = '\0';
			ml_buf_printf(&b, "'%s'", text);
			break;
		case ML_CK_DECIMAL:
			ml_buf_put(&b, v->buf, v->len);
			break;
		case ML_CK_PLAIN:
			ml_buf_printf(&b, "'%.*s'", (int)v->len, v->buf);
			break;
		default:
			ml_copy_literal(&b, &s->columns[key->cols[k]], v->buf, v->len);
			break;
		}
		out->v[k] = b.data;
		out->n++;
	}
}

/* ---- a chunk ---- */

static int
stmt_error(struct ml_copy_reader *r, MYSQL_STMT *st, struct ml_err *err)
{
	int code = (int)mysql_stmt_errno(st);

	if (ml_my_is_lost(code))
		return ML_ERR(err, ErrUpstreamUnavailable, code, r->conn.addr, mysql_stmt_error(st));
	return ML_ERR(err, ErrMySQLQueryError, code, r->conn.addr, mysql_stmt_error(st));
}

/* A full batch joins the chunk, or goes to the one who waits for it. */
static int
put_batch(struct ml_copy_reader *r, const struct ml_copy_want *w, struct ml_copy_chunk *c, struct ml_batch *b,
	uint64_t *bytes)
{
	uint64_t n = ml_batch_bytes(b);

	if (r->quota != NULL) {
		ml_quota_add(r->quota, n);
		b->quota = r->quota;
		b->charged_bytes = n;
	}
	*bytes += n;
	if (w->take != NULL)
		return w->take(w->arg, b);
	*c->tail = b;
	c->tail = &b->next;
	return 0;
}

static int
fetch_rows(struct ml_copy_reader *r, MYSQL_STMT *st, const struct ml_copy_want *w, struct ml_copy_chunk *c,
	struct ml_err *err)
{
	struct ml_schema *s = w->schema;
	struct ml_batch *b = NULL;
	uint64_t bytes = 0;
	bool full = false;
	int rc;

	while (!full && ((rc = mysql_stmt_fetch(st)) == 0 || rc == MYSQL_DATA_TRUNCATED)) {
		struct ml_datum *d;
		struct ml_row *row;
		size_t n = 0;

		if (b == NULL) {
			b = ml_batch_new();
			ml_batch_pin(b, s);
		}
		d = ml_arena_alloc(&b->arena, s->n_columns * sizeof(*d));
		for (uint16_t i = 0; i < s->n_columns; i++) {
			if (n < r->n && r->v[n].out == i) {
				if (datum_of(r, st, b, n, &d[i]) < 0) {
					ml_batch_free(b);
					return ML_ERRF(err, ErrMySQLQueryError, 0,
						"%s: a value of %s.%s cannot be read", r->conn.addr, s->qname.s,
						s->columns[i].name.s);
				}
				n++;
			} else {
				d[i] = (struct ml_datum){ .kind = ML_D_ABSENT };
			}
		}
		row = ml_batch_row(b);
		*row = (struct ml_row){ .schema = s, .after = d, .op = ML_OP_INSERT, .upsert = true };
		b->n_changes++;
		c->rows++;
		if (b->n_rows >= BATCH_ROWS || b->arena.total_bytes >= BATCH_BYTES) {
			if (put_batch(r, w, c, b, &bytes) < 0)
				return ML_ERRF(err, ErrUpstreamUnavailable, 0, "stopped");
			b = NULL;
			full = w->max_bytes > 0 && bytes >= w->max_bytes;
		}
	}
	if (b != NULL && put_batch(r, w, c, b, &bytes) < 0)
		return ML_ERRF(err, ErrUpstreamUnavailable, 0, "stopped");
	if (!full && rc != MYSQL_NO_DATA)
		return stmt_error(r, st, err);
	c->end = !full && (w->max_rows == 0 || c->rows < w->max_rows);
	if (w->key != NULL && c->rows > 0)
		bound_of(r, s, w->key, &c->last);
	return 0;
}

static int
select_rows(struct ml_copy_reader *r, const struct ml_copy_want *w, struct ml_copy_chunk *c, struct ml_err *err)
{
	MYSQL_STMT *st = mysql_stmt_init(r->conn.my);
	int rc = -1;

	if (st == NULL)
		return ML_ERR(err, ErrNoMemory, 0, "reading a chunk");
	ml_buf_clear(&r->sql);
	ml_copy_select(&r->sql, w->schema, w->key, &w->after, &w->upto, w->max_rows);
	if (mysql_stmt_prepare(st, r->sql.data, (unsigned long)r->sql.len) != 0 || mysql_stmt_execute(st) != 0 ||
		(mysql_stmt_field_count(st) == r->n && mysql_stmt_bind_result(st, r->bind) != 0))
		stmt_error(r, st, err);
	else if (mysql_stmt_field_count(st) != r->n)
		ML_ERRF(err, ErrMySQLSchemaMismatch, 0, "%s has %u columns to read, the known definition has %zu",
			w->schema->qname.s, mysql_stmt_field_count(st), r->n);
	else
		rc = fetch_rows(r, st, w, c, err);
	mysql_stmt_close(st);
	return rc;
}

/* MariaDB: where the log stands in this transaction's view. */
static int
view_place(struct ml_copy_reader *r, struct ml_copy_chunk *c, struct ml_err *err)
{
	MYSQL_RES *res;
	MYSQL_ROW row;

	if (ml_my_query(&r->conn, "SHOW STATUS LIKE 'binlog_snapshot_%'", &res, err) < 0)
		return -1;
	while (res != NULL && (row = mysql_fetch_row(res)) != NULL) {
		if (row[0] == NULL || row[1] == NULL)
			continue;
		if (strcasecmp(row[0], "binlog_snapshot_file") == 0)
			snprintf(c->file, sizeof(c->file), "%s", row[1]);
		else if (strcasecmp(row[0], "binlog_snapshot_position") == 0)
			c->offset = strtoull(row[1], NULL, 10);
	}
	mysql_free_result(res);
	if (c->file[0] == '\0' || c->offset < 4)
		return ML_ERR(err, ErrMySQLBinlogDisabled, 0, r->conn.addr);
	return 0;
}

static bool
is_stopped(struct ml_copy_reader *r)
{
	bool yes;

	pthread_mutex_lock(&r->lock);
	yes = r->stopped;
	pthread_mutex_unlock(&r->lock);
	return yes;
}

static int
await_shown(struct ml_copy_reader *r, const char *passed, struct ml_err *err)
{
	const struct timespec pause = { .tv_nsec = SHOWN_PAUSE_NS };
	char yes[8];

	for (int i = 0; i < SHOWN_TRIES && !is_stopped(r); i++) {
		ml_buf_clear(&r->sql);
		ml_buf_printf(&r->sql, "SELECT GTID_SUBSET('%s', @@global.gtid_executed)", passed);
		if (ml_my_scalar(&r->conn, r->sql.data, yes, sizeof(yes), err) < 0)
			return -1;
		if (yes[0] == '1')
			return 0;
		nanosleep(&pause, NULL);
	}
	return ML_ERRF(err, ErrUpstreamUnavailable, 0, "%s does not show the transactions it has logged", r->conn.addr);
}

/* A table that only a lock gives a place to; see ML_COPY_LOCK_SHORT. */
static int
read_locked(struct ml_copy_reader *r, const struct ml_copy_want *w, struct ml_copy_chunk *c, struct ml_err *err)
{
	bool brief = w->how == ML_COPY_LOCK_SHORT;
	struct ml_my_conn locker = { 0 };
	struct ml_err ignored;
	int rc = -1;

	if (ml_copy_lock(r, &locker, w->schema, err) < 0)
		return -1;
	if ((brief && ml_copy_begin_view(r, err) < 0) || ml_start_head_offset(&locker, c->file, &c->offset, err) < 0)
		goto out;
	if (brief)
		ml_copy_unlock(&locker);
	if (w->placed(w->arg, c->file, c->offset) < 0) {
		ML_ERRF(err, ErrUpstreamUnavailable, 0, "stopped");
		goto out;
	}
	rc = select_rows(r, w, c, err);
out:
	if (brief && r->conn.my != NULL)
		(void)ml_my_query(&r->conn, "ROLLBACK", NULL, &ignored);
	ml_copy_unlock(&locker);
	return rc;
}

static int
read_chunk(struct ml_copy_reader *r, const struct ml_copy_want *w, struct ml_copy_chunk *c, struct ml_err *err)
{
	struct ml_err ignored;

	if (w->how == ML_COPY_HELD && (!r->held || r->conn.my == NULL))
		return ML_ERR(err, ErrUpstreamUnavailable, 0, r->conn.addr, "the view of the tables is lost");
	if (ml_copy_reader_connect(r, err) < 0 || plan_values(r, w->schema, w->key, err) < 0)
		return -1;
	switch (w->how) {
	case ML_COPY_AFTER:
		return (w->passed != NULL && await_shown(r, w->passed, err) < 0) || select_rows(r, w, c, err) < 0
			       ? -1
			       : ml_start_head_offset(&r->conn, c->file, &c->offset, err);
	case ML_COPY_HELD:
		snprintf(c->file, sizeof(c->file), "%s", w->file);
		c->offset = w->offset;
		if (w->placed != NULL && w->placed(w->arg, c->file, c->offset) < 0)
			return ML_ERRF(err, ErrUpstreamUnavailable, 0, "stopped");
		return select_rows(r, w, c, err);
	case ML_COPY_LOCK_SHORT:
	case ML_COPY_LOCK_LONG:
		return read_locked(r, w, c, err);
	case ML_COPY_EXACT:
		break;
	}
	if (ml_copy_begin_view(r, err) < 0 || view_place(r, c, err) < 0)
		goto fail;
	if (w->placed != NULL && w->placed(w->arg, c->file, c->offset) < 0) {
		ML_ERRF(err, ErrUpstreamUnavailable, 0, "stopped");
		goto fail;
	}
	if (select_rows(r, w, c, err) < 0)
		goto fail;
	return ml_my_query(&r->conn, "COMMIT", NULL, err);
fail:
	if (r->conn.my != NULL)
		(void)ml_my_query(&r->conn, "ROLLBACK", NULL, &ignored);
	return -1;
}

int
ml_copy_read(struct ml_copy_reader *r, const struct ml_copy_want *w, struct ml_copy_chunk *out, struct ml_err *err)
{
	struct ml_copy_chunk c = { 0 };

	c.tail = &c.first;
	if (read_chunk(r, w, &c, err) < 0) {
		ml_copy_chunk_fini(&c);
		if (err->code == ML_ErrUpstreamUnavailable)
			ml_copy_hang_up(r);
		return -1;
	}
	*out = c;
	if (out->first == NULL)
		out->tail = &out->first;
	return 0;
}
