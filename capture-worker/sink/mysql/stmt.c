#include "capture-worker/sink/mysql/stmt.h"

#include <stdlib.h>
#include <string.h>

#include "capture-worker/sink/mysql/literal.h"

#define SLOTS 1024
/* The protocol counts parameters with 16 bits. */
#define MAX_ARGS 65535

struct entry {
	struct entry *next;          /* of its slot */
	struct entry *newer, *older; /* by use */
	uint64_t hash;
	char *text;
	size_t len;
	MYSQL_STMT *stmt;
};

struct sql_stmts {
	struct entry *slots[SLOTS];
	struct entry *newest, *oldest;
	uint32_t n, most;
	MYSQL_BIND *binds; /* scratch */
	size_t cap;
};

struct sql_stmts *
sql_stmts_new(uint32_t most)
{
	struct sql_stmts *s = calloc(1, sizeof(*s));

	if (s == NULL)
		abort();
	s->most = most;
	return s;
}

static void
unlink_use(struct sql_stmts *s, struct entry *e)
{
	*(e->newer != NULL ? &e->newer->older : &s->newest) = e->older;
	*(e->older != NULL ? &e->older->newer : &s->oldest) = e->newer;
	e->newer = e->older = NULL;
}

static void
link_use(struct sql_stmts *s, struct entry *e)
{
	e->older = s->newest;
	*(s->newest != NULL ? &s->newest->newer : &s->oldest) = e;
	s->newest = e;
}

static void
drop(struct sql_stmts *s, struct entry *e)
{
	struct entry **at = &s->slots[e->hash % SLOTS];

	while (*at != e)
		at = &(*at)->next;
	*at = e->next;
	unlink_use(s, e);
	s->n--;
	mysql_stmt_close(e->stmt);
	free(e->text);
	free(e);
}

void
sql_stmts_free(struct sql_stmts *s)
{
	if (s == NULL)
		return;
	while (s->newest != NULL)
		drop(s, s->newest);
	free(s->binds);
	free(s);
}

static uint64_t
hash_of(const struct ml_buf *b)
{
	uint64_t h = UINT64_C(14695981039346656037);

	for (size_t i = 0; i < b->len; i++)
		h = (h ^ (uint8_t)b->data[i]) * UINT64_C(1099511628211);
	return h;
}

static struct entry *
find(struct sql_stmts *s, const struct ml_buf *text, uint64_t hash)
{
	struct entry *e = s->slots[hash % SLOTS];

	while (e != NULL && (e->hash != hash || e->len != text->len || memcmp(e->text, text->data, e->len) != 0))
		e = e->next;
	return e;
}

/* NULL: the server does not want it. */
static struct entry *
prepare(struct sql_stmts *s, struct sql_conn *c, const struct ml_buf *text, uint64_t hash)
{
	MYSQL_STMT *stmt = mysql_stmt_init(c->my);
	struct entry *e;

	if (stmt == NULL || mysql_stmt_prepare(stmt, text->data, (unsigned long)text->len) != 0) {
		if (stmt != NULL)
			mysql_stmt_close(stmt);
		/* The server has too many perhaps: the next one finds a place. */
		if (s->oldest != NULL && !sql_is_lost((int)mysql_errno(c->my)))
			drop(s, s->oldest);
		return NULL;
	}
	if (s->n == s->most)
		drop(s, s->oldest);
	e = calloc(1, sizeof(*e));
	if (e == NULL || (e->text = malloc(text->len)) == NULL)
		abort();
	memcpy(e->text, text->data, text->len);
	e->len = text->len;
	e->hash = hash;
	e->stmt = stmt;
	e->next = s->slots[hash % SLOTS];
	s->slots[hash % SLOTS] = e;
	s->n++;
	link_use(s, e);
	return e;
}

/* double_at: where a FLOAT stands as the double that it is. */
static void
bind(MYSQL_BIND *b, const struct sql_arg *arg, double *double_at)
{
	struct ml_datum *d = (struct ml_datum *)(uintptr_t)arg->datum; /* the library's pointers are not const */

	*b = (MYSQL_BIND){ 0 };
	switch (d->kind) {
	case ML_D_I64:
	case ML_D_U64:
		b->buffer_type = MYSQL_TYPE_LONGLONG;
		b->is_unsigned = d->kind == ML_D_U64;
		b->buffer = &d->u;
		break;
	case ML_D_F32:
	case ML_D_F64:
		*double_at = d->kind == ML_D_F32 ? d->f32 : d->f64;
		b->buffer_type = MYSQL_TYPE_DOUBLE;
		b->buffer = double_at;
		break;
	case ML_D_BYTES:
		b->buffer_type = arg->quoting == SQL_BYTES ? MYSQL_TYPE_BLOB : MYSQL_TYPE_STRING;
		b->buffer = (void *)(uintptr_t)d->s;
		b->buffer_length = d->len;
		break;
	default:
		b->buffer_type = MYSQL_TYPE_NULL;
	}
}

int
sql_stmts_run(struct sql_stmts *s, struct sql_conn *c, const struct ml_buf *text, const struct sql_args *args,
	struct ml_err *err)
{
	uint64_t hash = hash_of(text);
	struct entry *e = args->n <= MAX_ARGS ? find(s, text, hash) : NULL;
	double *doubles;

	if (args->n > MAX_ARGS)
		return 1;
	if (e == NULL) {
		e = prepare(s, c, text, hash);
		if (e == NULL)
			return sql_is_lost((int)mysql_errno(c->my)) ? sql_conn_error(c, err) : 1;
	} else {
		unlink_use(s, e);
		link_use(s, e);
	}
	if (s->cap < args->n) {
		s->cap = args->n + 64;
		s->binds = realloc(s->binds, s->cap * (sizeof(*s->binds) + sizeof(*doubles)));
		if (s->binds == NULL)
			abort();
	}
	doubles = (double *)(s->binds + s->cap);
	for (size_t i = 0; i < args->n; i++)
		bind(&s->binds[i], &args->v[i], &doubles[i]);
	if ((args->n > 0 && mysql_stmt_bind_param(e->stmt, s->binds) != 0) || mysql_stmt_execute(e->stmt) != 0)
		return ML_ERR(err, ErrMySQLTxnError, (int)mysql_stmt_errno(e->stmt), c->target->addr,
			mysql_stmt_error(e->stmt), mysql_stmt_errno(e->stmt));
	return 0;
}
