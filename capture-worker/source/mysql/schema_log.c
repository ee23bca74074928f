#include "capture-worker/source/mysql/schema_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "common/base/buf.h"

enum { REC_COUNTER = 1, REC_ID, REC_DEF, REC_GONE };

#define FIRST_ID 100           /* as TiDB's user tables: small numbers look like system tables */
#define MAX_RECORD (64u << 20) /* 4096 columns of ENUMs stay below; larger is damage */
#define MAGIC "MLSCHEM1"

struct known_id {
	ml_ts ts;
	int64_t id;
	char *db, *table;
};

struct ml_schema_log {
	int fd; /* -1: nothing is kept */
	char *path;
	int64_t next_id;
	struct known_id *ids; /* given above the checkpoint by an earlier run: to be found again */
	size_t n_ids, cap_ids;
	struct ml_buf out; /* records not written yet */
	off_t size;        /* of the file, all whole records */
};

/* ---- values in a record: little-endian numbers, texts with a u32 length ---- */

static void
put_u(struct ml_buf *b, uint64_t v, unsigned n)
{
	char tmp[8];

	for (unsigned i = 0; i < n; i++, v >>= 8)
		tmp[i] = (char)(v & 0xFF);
	ml_buf_put(b, tmp, n);
}

static void
put_text(struct ml_buf *b, struct ml_text t)
{
	put_u(b, t.s != NULL ? t.len : 0, 4);
	if (t.s != NULL)
		ml_buf_put(b, t.s, t.len);
}

static struct ml_text
get_text(struct ml_rd *r, struct ml_arena *a)
{
	uint32_t n = (uint32_t)ml_rd_le(r, 4);
	const uint8_t *p = ml_rd_bytes(r, n);

	if (p == NULL)
		return (struct ml_text){ "", 0 };
	return (struct ml_text){ ml_arena_strndup(a, (const char *)p, n), n };
}

enum { CF_ZEROFILL = 1, CF_VIRTUAL = 2, CF_AUTO = 4, CF_DEFAULT = 8, CF_JSON = 16, CF_ON_UPDATE = 32, CF_EXPR = 64 };
enum { IF_PRIMARY = 1, IF_UNIQUE = 2, IF_NULLABLE = 4, IF_PREFIX = 8, IF_VIRTUAL = 16, IF_LENGTHS = 32 };

static void
put_schema(struct ml_buf *b, const struct ml_schema *s)
{
	put_text(b, s->db);
	put_text(b, s->table);
	put_u(b, (uint64_t)s->table_id, 8);
	put_u(b, s->version, 8);
	put_u(b, s->kind, 1);
	put_text(b, s->charset);
	put_text(b, s->collation);
	put_text(b, s->comment);
	put_u(b, s->n_columns, 2);
	for (int i = 0; i < s->n_columns; i++) {
		const struct ml_column *c = &s->columns[i];

		put_text(b, c->name);
		put_u(b, c->type, 1);
		put_u(b, c->flags & (ML_F_BINARY | ML_F_GENERATED | ML_F_NULLABLE | ML_F_UNSIGNED), 1);
		put_u(b, c->special, 1);
		put_u(b,
			(c->zerofill ? CF_ZEROFILL : 0) | (c->virtual_generated ? CF_VIRTUAL : 0) |
				(c->auto_increment ? CF_AUTO : 0) | (c->has_default ? CF_DEFAULT : 0) |
				(c->json_text ? CF_JSON : 0) | (c->on_update_now ? CF_ON_UPDATE : 0) |
				(c->default_expr ? CF_EXPR : 0),
			1);
		put_u(b, (uint32_t)c->flen, 4);
		put_u(b, (uint32_t)c->decimal, 4);
		put_text(b, c->dflt);
		put_text(b, c->charset);
		put_text(b, c->collation);
		put_text(b, c->comment);
		put_u(b, c->n_elems, 2);
		for (int k = 0; k < c->n_elems; k++)
			put_text(b, c->elems[k]);
	}
	put_u(b, s->n_indexes, 2);
	for (int i = 0; i < s->n_indexes; i++) {
		const struct ml_index *x = &s->indexes[i];

		put_text(b, x->name);
		put_u(b,
			(x->primary ? IF_PRIMARY : 0) | (x->unique ? IF_UNIQUE : 0) | (x->nullable ? IF_NULLABLE : 0) |
				(x->prefix ? IF_PREFIX : 0) | (x->virtual_column ? IF_VIRTUAL : 0) |
				(x->prefix && x->prefixes != NULL ? IF_LENGTHS : 0),
			1);
		put_u(b, x->n_cols, 2);
		for (int k = 0; k < x->n_cols; k++)
			put_u(b, x->cols[k], 2);
		for (int k = 0; x->prefix && x->prefixes != NULL && k < x->n_cols; k++)
			put_u(b, x->prefixes[k], 4);
	}
}

static void
get_column(struct ml_rd *r, struct ml_column *c, struct ml_arena *a)
{
	unsigned bits;

	c->name = get_text(r, a);
	c->type = (uint8_t)ml_rd_le(r, 1);
	c->flags = (uint8_t)ml_rd_le(r, 1);
	c->special = (uint8_t)ml_rd_le(r, 1);
	bits = (unsigned)ml_rd_le(r, 1);
	c->zerofill = bits & CF_ZEROFILL;
	c->virtual_generated = bits & CF_VIRTUAL;
	c->auto_increment = bits & CF_AUTO;
	c->has_default = bits & CF_DEFAULT;
	c->json_text = bits & CF_JSON;
	c->on_update_now = bits & CF_ON_UPDATE;
	c->default_expr = bits & CF_EXPR;
	c->flen = (int32_t)(uint32_t)ml_rd_le(r, 4);
	c->decimal = (int32_t)(uint32_t)ml_rd_le(r, 4);
	c->dflt = get_text(r, a);
	c->charset = get_text(r, a);
	c->collation = get_text(r, a);
	c->comment = get_text(r, a);
	c->n_elems = (uint16_t)ml_rd_le(r, 2);
	if (c->n_elems > ml_rd_left(r) / 4) {
		c->n_elems = 0;
		r->bad = true;
	}
	c->elems = ml_arena_zalloc(a, (c->n_elems + 1u) * sizeof(*c->elems));
	for (int k = 0; k < c->n_elems; k++)
		c->elems[k] = get_text(r, a);
}

/* NULL: damaged. */
static struct ml_schema *
get_schema(struct ml_rd *r)
{
	struct ml_schema *s = ml_schema_new();
	struct ml_arena *a = &s->arena;

	s->db = get_text(r, a);
	s->table = get_text(r, a);
	s->table_id = (int64_t)ml_rd_le(r, 8);
	s->version = ml_rd_le(r, 8);
	s->kind = (enum ml_table_kind)ml_rd_le(r, 1);
	s->charset = get_text(r, a);
	s->collation = get_text(r, a);
	s->comment = get_text(r, a);
	s->n_columns = (uint16_t)ml_rd_le(r, 2);
	if (r->bad || s->n_columns > ml_rd_left(r) / 20)
		goto bad;
	s->columns = ml_arena_zalloc(a, (s->n_columns + 1u) * sizeof(*s->columns));
	for (int i = 0; i < s->n_columns; i++)
		get_column(r, &s->columns[i], a);
	s->n_indexes = (uint16_t)ml_rd_le(r, 2);
	if (r->bad || s->n_indexes > ml_rd_left(r) / 7)
		goto bad;
	s->indexes = ml_arena_zalloc(a, (s->n_indexes + 1u) * sizeof(*s->indexes));
	for (int i = 0; i < s->n_indexes; i++) {
		struct ml_index *x = &s->indexes[i];
		unsigned bits;

		x->name = get_text(r, a);
		bits = (unsigned)ml_rd_le(r, 1);
		x->primary = bits & IF_PRIMARY;
		x->unique = bits & IF_UNIQUE;
		x->nullable = bits & IF_NULLABLE;
		x->prefix = bits & IF_PREFIX;
		x->virtual_column = bits & IF_VIRTUAL;
		x->n_cols = (uint16_t)ml_rd_le(r, 2);
		if (r->bad || x->n_cols > ml_rd_left(r) / 2)
			goto bad;
		x->cols = ml_arena_alloc(a, (x->n_cols + 1u) * sizeof(*x->cols));
		for (int k = 0; k < x->n_cols; k++) {
			x->cols[k] = (uint16_t)ml_rd_le(r, 2);
			if (x->cols[k] >= s->n_columns)
				goto bad;
		}
		if ((bits & IF_LENGTHS) == 0)
			continue;
		x->prefixes = ml_arena_zalloc(a, (x->n_cols + 1u) * sizeof(*x->prefixes));
		for (int k = 0; k < x->n_cols; k++)
			x->prefixes[k] = (uint32_t)ml_rd_le(r, 4);
	}
	if (r->bad)
		goto bad;
	ml_schema_finish(s);
	return s;
bad:
	ml_schema_unref(s);
	return NULL;
}

/* ---- records ---- */

/* A record begins; the return value goes to end(). */
static size_t
begin(struct ml_buf *b, unsigned kind, ml_ts ts)
{
	size_t at = b->len;

	put_u(b, 0, 8);
	put_u(b, kind, 1);
	put_u(b, ts, 8);
	return at;
}

static void
end(struct ml_buf *b, size_t at)
{
	size_t len = b->len - at - 8;
	uint32_t crc = (uint32_t)crc32(0, (const Bytef *)b->data + at + 8, (uInt)len);

	for (int i = 0; i < 4; i++) {
		b->data[at + (size_t)i] = (char)(len >> (8 * i) & 0xFF);
		b->data[at + 4 + (size_t)i] = (char)(crc >> (8 * i) & 0xFF);
	}
}

static void
put_id(struct ml_buf *b, ml_ts ts, int64_t id, struct ml_text db, struct ml_text table)
{
	size_t at = begin(b, REC_ID, ts);

	put_u(b, (uint64_t)id, 8);
	put_text(b, db);
	put_text(b, table);
	end(b, at);
}

static void
put_def(struct ml_buf *b, ml_ts ts, const struct ml_schema *s, bool confirmed)
{
	size_t at = begin(b, REC_DEF, ts);

	put_u(b, confirmed, 1);
	put_schema(b, s);
	end(b, at);
}

static void
add_id(struct ml_schema_log *l, ml_ts ts, int64_t id, struct ml_text db, struct ml_text table)
{
	struct known_id *k;

	if (l->n_ids == l->cap_ids) {
		l->cap_ids = l->cap_ids == 0 ? 16 : l->cap_ids * 2;
		l->ids = realloc(l->ids, l->cap_ids * sizeof(*l->ids));
		if (l->ids == NULL)
			abort();
	}
	k = &l->ids[l->n_ids++];
	*k = (struct known_id){ .ts = ts, .id = id, .db = strndup(db.s, db.len), .table = strndup(table.s, table.len) };
	if (k->db == NULL || k->table == NULL)
		abort();
}

/* Definitions that hold at the checkpoint, while the file is read. */
struct state {
	struct {
		struct ml_schema *s;
		bool confirmed;
	} * v;
	size_t n, cap;
	/* Open hash over db and table: places in v plus one. */
	uint32_t *slots;
	size_t n_slots;
};

static uint64_t
name_hash(struct ml_text db, struct ml_text table)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (uint32_t i = 0; i < db.len; i++)
		h = (h ^ (uint8_t)db.s[i]) * 0x100000001b3u;
	h = (h ^ 0xFF) * 0x100000001b3u;
	for (uint32_t i = 0; i < table.len; i++)
		h = (h ^ (uint8_t)table.s[i]) * 0x100000001b3u;
	return h ^ h >> 29;
}

static bool
same(struct ml_text a, struct ml_text b)
{
	return a.len == b.len && memcmp(a.s, b.s, a.len) == 0;
}

static void
rehash(struct state *st)
{
	free(st->slots);
	st->n_slots = 256;
	while (st->n_slots < st->cap * 2)
		st->n_slots *= 2;
	st->slots = calloc(st->n_slots, sizeof(*st->slots));
	if (st->slots == NULL)
		abort();
	for (size_t i = 0; i < st->n; i++) {
		size_t k = name_hash(st->v[i].s->db, st->v[i].s->table) & (st->n_slots - 1);

		while (st->slots[k] != 0)
			k = (k + 1) & (st->n_slots - 1);
		st->slots[k] = (uint32_t)i + 1;
	}
}

static int64_t
state_find(const struct state *st, struct ml_text db, struct ml_text table)
{
	size_t k;

	if (st->n_slots == 0)
		return -1;
	for (k = name_hash(db, table) & (st->n_slots - 1); st->slots[k] != 0; k = (k + 1) & (st->n_slots - 1)) {
		const struct ml_schema *s = st->v[st->slots[k] - 1].s;

		if (same(s->db, db) && same(s->table, table))
			return st->slots[k] - 1;
	}
	return -1;
}

static void
state_set(struct state *st, struct ml_schema *s, bool confirmed)
{
	int64_t at = state_find(st, s->db, s->table);
	size_t k;

	if (at >= 0) {
		ml_schema_unref(st->v[at].s);
		st->v[at].s = s;
		st->v[at].confirmed = confirmed;
		return;
	}
	if (st->n == st->cap) {
		st->cap = st->cap == 0 ? 128 : st->cap * 2;
		st->v = realloc(st->v, st->cap * sizeof(*st->v));
		if (st->v == NULL)
			abort();
		rehash(st);
	}
	k = name_hash(s->db, s->table) & (st->n_slots - 1);
	while (st->slots[k] != 0)
		k = (k + 1) & (st->n_slots - 1);
	st->slots[k] = (uint32_t)st->n + 1;
	st->v[st->n].s = s;
	st->v[st->n++].confirmed = confirmed;
}

static void
state_drop(struct state *st, struct ml_text db, struct ml_text table)
{
	int64_t at = state_find(st, db, table);

	if (at < 0)
		return;
	ml_schema_unref(st->v[at].s);
	memmove(&st->v[at], &st->v[at + 1], (st->n - (size_t)at - 1) * sizeof(*st->v));
	st->n--;
	rehash(st); /* drops are rare */
}

/* One whole record.  False: it makes no sense, the rest of the file is damage. */
static bool
replay(struct ml_schema_log *l, struct state *st, const uint8_t *p, size_t len, ml_ts checkpoint)
{
	struct ml_rd r = ml_rd_of(p, len);
	unsigned kind = (unsigned)ml_rd_le(&r, 1);
	ml_ts ts = ml_rd_le(&r, 8);
	struct ml_text db, table;
	struct ml_schema *s;
	struct ml_arena a;
	int64_t id;
	bool confirmed;

	switch (kind) {
	case REC_COUNTER:
		id = (int64_t)ml_rd_le(&r, 8);
		if (id > l->next_id)
			l->next_id = id;
		return !r.bad;
	case REC_DEF:
		confirmed = ml_rd_le(&r, 1) != 0;
		s = get_schema(&r);
		if (s == NULL)
			return false;
		if (s->table_id >= l->next_id)
			l->next_id = s->table_id + 1;
		if (ts <= checkpoint)
			state_set(st, s, confirmed);
		else
			ml_schema_unref(s);
		return true;
	case REC_ID:
	case REC_GONE:
		ml_arena_init(&a, 0);
		id = kind == REC_ID ? (int64_t)ml_rd_le(&r, 8) : 0;
		db = get_text(&r, &a);
		table = get_text(&r, &a);
		if (!r.bad && kind == REC_ID) {
			if (id >= l->next_id)
				l->next_id = id + 1;
			if (ts > checkpoint)
				add_id(l, ts, id, db, table);
		} else if (!r.bad && ts <= checkpoint) {
			state_drop(st, db, table);
		}
		ml_arena_fini(&a);
		return !r.bad;
	default:
		return false;
	}
}

/* All of fd, malloc'ed. */
static int
read_all(int fd, uint8_t **data, size_t *len, const char *path, struct ml_err *err)
{
	struct stat sb;
	size_t at = 0;

	if (fstat(fd, &sb) != 0)
		return ML_ERR(err, ErrIO, errno, path, strerror(errno));
	*data = malloc((size_t)sb.st_size + 1);
	if (*data == NULL)
		return ML_ERR(err, ErrNoMemory, ENOMEM, "reading table definitions");
	while (at < (size_t)sb.st_size) {
		ssize_t n = read(fd, *data + at, (size_t)sb.st_size - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			free(*data);
			return ML_ERR(err, ErrIO, errno, path, strerror(errno));
		}
		if (n == 0)
			break;
		at += (size_t)n;
	}
	*len = at;
	return 0;
}

static void
replay_all(struct ml_schema_log *l, struct state *st, const uint8_t *data, size_t len, ml_ts checkpoint, bool *existed)
{
	size_t at = sizeof(MAGIC) - 1;

	if (len < at || memcmp(data, MAGIC, at) != 0)
		return;
	while (len - at >= 8) {
		struct ml_rd r = ml_rd_of(data + at, 8);
		uint32_t n = (uint32_t)ml_rd_le(&r, 4), crc = (uint32_t)ml_rd_le(&r, 4);

		if (n > MAX_RECORD || n > len - at - 8 || crc != (uint32_t)crc32(0, data + at + 8, n) ||
			!replay(l, st, data + at + 8, n, checkpoint))
			return;
		*existed = true;
		at += 8 + n;
	}
}

static int
write_all(int fd, const char *p, size_t n, const char *path, struct ml_err *err)
{
	while (n > 0) {
		ssize_t w = write(fd, p, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return ML_ERR(err, ErrIO, errno, path, strerror(errno));
		p += w;
		n -= (size_t)w;
	}
	return 0;
}

/* Writes the file anew next to itself and puts it in place; l->fd is then open on it. */
static int
rewrite(struct ml_schema_log *l, const struct state *st, const char *dir, struct ml_err *err)
{
	struct ml_buf b = { 0 };
	char *tmp;
	size_t at;
	int fd, dfd, failed = -1;

	if (asprintf(&tmp, "%s.tmp", l->path) < 0)
		abort();
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0) {
		ML_ERR(err, ErrIO, errno, tmp, strerror(errno));
		free(tmp);
		return -1;
	}
	ml_buf_put(&b, MAGIC, sizeof(MAGIC) - 1);
	at = begin(&b, REC_COUNTER, 0);
	put_u(&b, (uint64_t)l->next_id, 8);
	end(&b, at);
	for (size_t i = 0; i < l->n_ids; i++)
		put_id(&b, l->ids[i].ts, l->ids[i].id, (struct ml_text){ l->ids[i].db, (uint32_t)strlen(l->ids[i].db) },
			(struct ml_text){ l->ids[i].table, (uint32_t)strlen(l->ids[i].table) });
	l->size = 0;
	for (size_t i = 0; i < st->n; i++) {
		put_def(&b, 0, st->v[i].s, st->v[i].confirmed);
		if (b.len > 1u << 20) {
			if (write_all(fd, b.data, b.len, tmp, err) != 0)
				goto out;
			l->size += (off_t)b.len;
			ml_buf_clear(&b);
		}
	}
	if (write_all(fd, b.data, b.len, tmp, err) != 0)
		goto out;
	l->size += (off_t)b.len;
	if (fdatasync(fd) != 0 || rename(tmp, l->path) != 0) {
		ML_ERR(err, ErrIO, errno, l->path, strerror(errno));
		goto out;
	}
	/* The new name is durable once the folder is. */
	dfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dfd < 0 || fsync(dfd) != 0) {
		ML_ERR(err, ErrIO, errno, dir, strerror(errno));
		if (dfd >= 0)
			close(dfd);
		goto out;
	}
	close(dfd);
	failed = 0;
out:
	ml_buf_fini(&b);
	if (failed != 0) {
		unlink(tmp);
		close(fd);
	} else {
		l->fd = fd;
	}
	free(tmp);
	return failed;
}

int
ml_schema_log_open(struct ml_schema_log **out, const char *dir, ml_ts checkpoint_ts,
	void (*def)(void *arg, struct ml_schema *s, bool confirmed), void *arg, bool *existed, struct ml_err *err)
{
	struct ml_schema_log *l = calloc(1, sizeof(*l));
	struct state st = { 0 };
	uint8_t *data = NULL;
	size_t len = 0;
	int fd;

	if (l == NULL)
		abort();
	l->fd = -1;
	l->next_id = FIRST_ID;
	*existed = false;
	if (dir == NULL) {
		*out = l;
		return 0;
	}
	if (asprintf(&l->path, "%s/schema.log", dir) < 0)
		abort();
	fd = open(l->path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno != ENOENT) {
		ML_ERR(err, ErrIO, errno, l->path, strerror(errno));
		goto fail;
	}
	if (fd >= 0) {
		int rc = read_all(fd, &data, &len, l->path, err);

		close(fd);
		if (rc != 0)
			goto fail;
		replay_all(l, &st, data, len, checkpoint_ts, existed);
		free(data);
	}
	if (rewrite(l, &st, dir, err) != 0)
		goto fail;
	for (size_t i = 0; i < st.n; i++)
		def(arg, st.v[i].s, st.v[i].confirmed);
	free(st.v);
	free(st.slots);
	*out = l;
	return 0;
fail:
	for (size_t i = 0; i < st.n; i++)
		ml_schema_unref(st.v[i].s);
	free(st.v);
	free(st.slots);
	ml_schema_log_close(l);
	return -1;
}

void
ml_schema_log_close(struct ml_schema_log *l)
{
	if (l == NULL)
		return;
	for (size_t i = 0; i < l->n_ids; i++) {
		free(l->ids[i].db);
		free(l->ids[i].table);
	}
	free(l->ids);
	ml_buf_fini(&l->out);
	if (l->fd >= 0)
		close(l->fd);
	free(l->path);
	free(l);
}

int64_t
ml_schema_log_id(struct ml_schema_log *l, ml_ts ts, struct ml_text db, struct ml_text table)
{
	for (size_t i = 0; i < l->n_ids && ts != 0; i++)
		if (l->ids[i].ts == ts && strcmp(l->ids[i].db, db.s) == 0 && strcmp(l->ids[i].table, table.s) == 0)
			return l->ids[i].id;
	if (ts == 0) /* given at the first reading: its DEF record tells it */
		return l->next_id++;
	if (l->fd >= 0)
		put_id(&l->out, ts, l->next_id, db, table);
	return l->next_id++;
}

void
ml_schema_log_def(struct ml_schema_log *l, ml_ts ts, const struct ml_schema *s, bool confirmed)
{
	if (l->fd >= 0)
		put_def(&l->out, ts, s, confirmed);
}

void
ml_schema_log_gone(struct ml_schema_log *l, ml_ts ts, struct ml_text db, struct ml_text table)
{
	size_t at;

	if (l->fd < 0)
		return;
	at = begin(&l->out, REC_GONE, ts);
	put_text(&l->out, db);
	put_text(&l->out, table);
	end(&l->out, at);
}

int
ml_schema_log_sync(struct ml_schema_log *l, struct ml_err *err)
{
	if (l->fd < 0 || l->out.len == 0) {
		ml_buf_clear(&l->out);
		return 0;
	}
	if (write_all(l->fd, l->out.data, l->out.len, l->path, err) != 0) {
		/* No half record may stay in front of later ones. */
		if (ftruncate(l->fd, l->size) == 0)
			lseek(l->fd, l->size, SEEK_SET);
		return -1;
	}
	if (fdatasync(l->fd) != 0)
		return ML_ERR(err, ErrIO, errno, l->path, strerror(errno));
	l->size += (off_t)l->out.len;
	ml_buf_clear(&l->out);
	return 0;
}
