/*
 * craft.c - rows, DDL and resolved ts as craft.
 *
 * A message is: version, headers of its events column by column, one body an event, the dictionary of names, and tables of sizes
 * that are read from the end.  Which rows make a message is decided by an estimate, before any is written; then bodies are
 * written into scratch memory, since headers and dictionary around them are known only afterwards.
 */
#include "capture-worker/encoder/craft/craft.h"

#include <stdlib.h>

#include "capture-worker/encoder/craft/table.h"
#include "capture-worker/encoder/group.h"
#include "capture-worker/encoder/options.h"
#include "capture-worker/encoder/varint.h"

enum { TYPE_ROW = 1, TYPE_DDL, TYPE_RESOLVED };
enum { GROUP_NEW = 1, GROUP_OLD };
#define VERSION 1
#define RECORD_OVERHEAD 36 /* protocols.md 4.2 */
/* What the reference takes an event and a column for, beside names and values (protocols.md 13). */
#define EVENT_ESTIMATE 32
#define COLUMN_ESTIMATE 16

struct event {
	uint64_t ts;
	int64_t schema, table; /* terms; -1: none */
	uint8_t type;
	uint32_t body;      /* bytes */
	uint32_t groups[2]; /* bytes of each, 0: it is not there */
};

struct craft {
	struct ml_encoder e;
	bool delete_handle_only;
	uint32_t max_batch_size;
	size_t max_message_bytes;
	uint64_t serial;
	struct cr_terms terms;
	struct ml_groups groups;
	struct ml_arena scratch; /* bodies of one message */
	struct event *events;
	uint32_t cap_events;
};

/* --- values ------------------------------------------------------------------------------------------------------------- */

/* Bytes of a value that is neither NULL nor absent. */
static inline uint32_t
value_len(const struct ml_datum *d)
{
	switch (d->kind) {
	case ML_D_I64:
		return (uint32_t)ml_uvarint_len(ml_zigzag(d->i));
	case ML_D_U64:
		return (uint32_t)ml_uvarint_len(d->u);
	case ML_D_F32:
	case ML_D_F64:
		return 8;
	case ML_D_BYTES:
		return d->len;
	default:
		return 0;
	}
}

static inline void
put_value(struct ml_out *o, const struct ml_datum *d)
{
	double wide;

	_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "floats are written in this machine's order");
	switch (d->kind) {
	case ML_D_I64:
		o->p = ml_put_uvarint(ml_out_need(o, ML_UVARINT_MAX), ml_zigzag(d->i));
		break;
	case ML_D_U64:
		o->p = ml_put_uvarint(ml_out_need(o, ML_UVARINT_MAX), d->u);
		break;
	case ML_D_F32:
		wide = d->f32;
		ml_out_put(o, &wide, sizeof(wide));
		break;
	case ML_D_F64:
		ml_out_put(o, &d->f64, sizeof(d->f64));
		break;
	case ML_D_BYTES:
		ml_out_put(o, d->s, d->len);
		break;
	default:
		break;
	}
}

static inline void
put_uvarint(struct ml_out *o, uint64_t v)
{
	o->p = ml_put_uvarint(ml_out_need(o, ML_UVARINT_MAX), v);
}

static inline bool
wanted(const struct cr_column *c, const struct ml_datum *d, bool handle_only)
{
	return d->kind != ML_D_ABSENT && (!handle_only || c->handle);
}

/* The columns of an image; returns the bytes written, 0 if there is no column. */
static uint32_t
put_group(struct craft *e, struct ml_out *o, uint8_t which, const struct cr_table *t, int n_columns,
	const struct ml_datum *image, bool handle_only)
{
	size_t start = ml_out_len(o);
	int64_t last = 0;
	uint32_t n = 0;
	char *p;

	for (int i = 0; i < n_columns; i++)
		n += wanted(&t->columns[i], &image[i], handle_only);
	if (n == 0)
		return 0;
	p = ml_out_need(o, 2 * ML_UVARINT_MAX + (size_t)n * (ML_UVARINT_MAX + 2 + 2 + ML_UVARINT_MAX));
	*p++ = (char)which;
	p = ml_put_uvarint(p, n);
	for (int i = 0; i < n_columns; i++)
		if (wanted(&t->columns[i], &image[i], handle_only)) {
			int64_t id = cr_terms_id(&e->terms, t->columns[i].name);

			p = ml_put_uvarint(p, ml_zigzag(id - last));
			last = id;
		}
	for (int i = 0; i < n_columns; i++)
		if (wanted(&t->columns[i], &image[i], handle_only))
			p = ml_put_uvarint(p, t->columns[i].type);
	for (int i = 0; i < n_columns; i++)
		if (wanted(&t->columns[i], &image[i], handle_only))
			p = ml_put_uvarint(p, t->columns[i].flags);
	for (int i = 0; i < n_columns; i++)
		if (wanted(&t->columns[i], &image[i], handle_only))
			p = ml_put_uvarint(
				p, ml_zigzag(image[i].kind == ML_D_NULL ? -1 : (int64_t)value_len(&image[i])));
	o->p = p;
	for (int i = 0; i < n_columns; i++)
		if (wanted(&t->columns[i], &image[i], handle_only))
			put_value(o, &image[i]);
	return (uint32_t)(ml_out_len(o) - start);
}

/* --- messages ----------------------------------------------------------------------------------------------------------- */

/* Numbers of a table of sizes: each as its difference to the one before. */
struct sizes {
	struct ml_out *o;
	int64_t last;
};

static struct sizes
begin_sizes(struct ml_out *o, uint64_t n)
{
	put_uvarint(o, n);
	return (struct sizes){ o, 0 };
}

static inline void
put_size(struct sizes *s, int64_t v)
{
	put_uvarint(s->o, ml_zigzag(v - s->last));
	s->last = v;
}

static void
put_headers(struct ml_out *o, const struct event *events, uint32_t n)
{
	int64_t last = 0;
	uint64_t ts = 0;

	for (uint32_t i = 0; i < n; i++) {
		put_uvarint(o, events[i].ts - ts);
		ts = events[i].ts;
	}
	for (uint32_t i = 0; i < n; i++)
		put_uvarint(o, events[i].type);
	/* A MySQL upstream has no partitions of its own: -1, and then no difference. */
	for (uint32_t i = 0; i < n; i++)
		put_uvarint(o, ml_zigzag(i == 0 ? -1 : 0));
	for (uint32_t i = 0; i < n; i++) {
		put_uvarint(o, ml_zigzag(events[i].schema - last));
		last = events[i].schema;
	}
	last = 0;
	for (uint32_t i = 0; i < n; i++) {
		put_uvarint(o, ml_zigzag(events[i].table - last));
		last = events[i].table;
	}
}

static void
put_dictionary(struct ml_out *o, const struct cr_terms *t)
{
	if (t->n_used == 0)
		return;
	put_uvarint(o, t->n_used);
	for (uint32_t i = 0; i < t->n_used; i++)
		put_uvarint(o, t->used[i]->text.len);
	for (uint32_t i = 0; i < t->n_used; i++)
		ml_out_put(o, t->used[i]->text.s, t->used[i]->text.len);
}

static void
put_size_tables(struct ml_out *o, const struct event *events, uint32_t n, size_t headers, size_t dictionary)
{
	size_t start = ml_out_len(o), total;
	struct sizes s = begin_sizes(o, 2);
	char length[ML_UVARINT_MAX], *end;

	put_size(&s, (int64_t)headers);
	put_size(&s, (int64_t)dictionary);
	s = begin_sizes(o, n);
	for (uint32_t i = 0; i < n; i++)
		put_size(&s, events[i].body);
	for (uint32_t i = 0; i < n; i++) {
		if (events[i].type != TYPE_ROW)
			continue;
		s = begin_sizes(o, (events[i].groups[0] > 0) + (events[i].groups[1] > 0));
		for (int k = 0; k < 2; k++)
			if (events[i].groups[k] > 0)
				put_size(&s, events[i].groups[k]);
	}
	/* To be read from the message's end. */
	total = ml_out_len(o) - start;
	end = ml_put_uvarint(length, total);
	ml_out_need(o, ML_UVARINT_MAX);
	while (end > length)
		*o->p++ = *--end;
}

/* The whole message in a: bodies in front of which headers and behind which the rest are put. */
static const char *
put_message(struct craft *e, struct ml_arena *a, const struct event *events, uint32_t n, const char *bodies,
	size_t bodies_len, uint32_t *len)
{
	size_t headers, dictionary;
	struct ml_out o;

	ml_out_begin(&o, a);
	put_uvarint(&o, VERSION);
	headers = ml_out_len(&o);
	put_headers(&o, events, n);
	headers = ml_out_len(&o) - headers;
	ml_out_put(&o, bodies, bodies_len);
	dictionary = ml_out_len(&o);
	put_dictionary(&o, &e->terms);
	dictionary = ml_out_len(&o) - dictionary;
	put_size_tables(&o, events, n, headers, dictionary);
	return ml_out_end(&o, len);
}

/* --- rows --------------------------------------------------------------------------------------------------------------- */

static size_t
estimate_image(const struct cr_table *t, int n_columns, const struct ml_datum *image, bool handle_only)
{
	size_t n = 0;

	for (int i = 0; image != NULL && i < n_columns; i++)
		if (wanted(&t->columns[i], &image[i], handle_only))
			n += t->columns[i].name->text.len + value_len(&image[i]) + COLUMN_ESTIMATE;
	return n;
}

static size_t
estimate(struct craft *e, const struct ml_row *row)
{
	const struct cr_table *t = cr_table_of(row->schema, e->serial, &e->terms);

	return EVENT_ESTIMATE + t->schema->text.len + t->table->text.len +
	       estimate_image(t, row->schema->n_columns, row->after, false) +
	       estimate_image(t, row->schema->n_columns, row->before, row->op == ML_OP_DELETE && e->delete_handle_only);
}

static struct event *
events_of(struct craft *e, uint32_t n)
{
	if (n > e->cap_events) {
		e->cap_events = n;
		e->events = realloc(e->events, n * sizeof(*e->events));
		if (e->events == NULL)
			abort();
	}
	return e->events;
}

/* A message of the n rows from `first` on along the group's chain; returns the row behind them. */
static uint32_t
put_rows(struct craft *e, struct ml_batch *b, const struct ml_group *g, uint32_t first, uint32_t n)
{
	struct event *events = events_of(e, n);
	const struct ml_row *last = NULL;
	struct ml_msg *m;
	struct ml_out o;
	uint32_t k, i;

	cr_terms_begin(&e->terms);
	ml_arena_reset(&e->scratch);
	/* All schemas' names come first, then all tables', then those of columns as they are used. */
	for (k = first, i = 0; i < n; k = e->groups.next[k], i++)
		events[i].schema = cr_terms_id(&e->terms, cr_table_of(b->rows[k].schema, e->serial, &e->terms)->schema);
	for (k = first, i = 0; i < n; k = e->groups.next[k], i++)
		events[i].table = cr_terms_id(&e->terms, ((struct cr_table *)b->rows[k].schema->encoder)->table);
	ml_out_begin(&o, &e->scratch);
	for (k = first, i = 0; i < n; k = e->groups.next[k], i++) {
		const struct ml_row *row = last = &b->rows[k];
		const struct cr_table *t = row->schema->encoder;
		struct event *x = &events[i];

		x->ts = row->commit_ts;
		x->type = TYPE_ROW;
		x->groups[0] = row->after == NULL
				       ? 0
				       : put_group(e, &o, GROUP_NEW, t, row->schema->n_columns, row->after, false);
		x->groups[1] = row->before == NULL ? 0
						   : put_group(e, &o, GROUP_OLD, t, row->schema->n_columns, row->before,
							     row->op == ML_OP_DELETE && e->delete_handle_only);
		x->body = x->groups[0] + x->groups[1];
	}
	m = ml_batch_msg(b);
	*m = (struct ml_msg){
		.key = "",
		.topic = g->topic,
		.partition = g->partition,
		.schema = b->rows[first].schema,
		.commit_ts = last->commit_ts,
		.rows = n,
	};
	m->value = put_message(e, &b->arena, events, n, o.start, ml_out_len(&o), &m->value_len);
	return k;
}

/*
 * The same, but in several messages if one would be too large: the estimate is looked at behind the row with which it is
 * exceeded, so rows that fit each for itself may come together that do not.  A single row is left to the sink to refuse.
 */
static uint32_t
send_rows(struct craft *e, struct ml_batch *b, const struct ml_group *g, uint32_t first, uint32_t n)
{
	uint32_t behind = put_rows(e, b, g, first, n);

	if (__builtin_expect(n > 1 && b->msgs[b->n_msgs - 1].value_len + RECORD_OVERHEAD > e->max_message_bytes, 0)) {
		b->n_msgs--;
		/* It is the last row that is too much; without it the estimate was within the limit. */
		behind = send_rows(e, b, g, send_rows(e, b, g, first, n - 1), 1);
	}
	return behind;
}

static int
rows(struct ml_encoder *enc, struct ml_batch *b, struct ml_err *err)
{
	struct craft *e = (struct craft *)enc;

	(void)err;
	ml_groups_make(&e->groups, b);
	for (uint32_t i = 0; i < e->groups.n; i++) {
		const struct ml_group *g = &e->groups.groups[i];
		uint32_t first = g->first;
		size_t bytes = 0;
		uint32_t n = 0;

		for (uint32_t k = first; k != ML_GROUP_END; k = e->groups.next[k]) {
			bytes += estimate(e, &b->rows[k]);
			if (++n >= e->max_batch_size || bytes > e->max_message_bytes) {
				first = send_rows(e, b, g, first, n);
				n = 0;
				bytes = 0;
			}
		}
		if (n > 0)
			send_rows(e, b, g, first, n);
	}
	return 0;
}

/* --- DDL and resolved ts ------------------------------------------------------------------------------------------------ */

static int
ddl_message(struct ml_encoder *enc, const struct ml_ddl *ddl, struct ml_arena *a, struct ml_msg *m, struct ml_err *err)
{
	struct craft *e = (struct craft *)enc;
	struct event x = { .ts = ddl->commit_ts, .schema = -1, .table = -1, .type = TYPE_DDL };
	struct ml_out o;

	(void)err;
	cr_terms_begin(&e->terms);
	ml_arena_reset(&e->scratch);
	if (ddl->db.len > 0)
		x.schema = cr_terms_id(&e->terms, cr_terms_intern(&e->terms, ddl->db));
	if (ddl->table.len > 0)
		x.table = cr_terms_id(&e->terms, cr_terms_intern(&e->terms, ddl->table));
	ml_out_begin(&o, &e->scratch);
	put_uvarint(&o, (uint64_t)ddl->action);
	put_uvarint(&o, ddl->query.len);
	ml_out_put(&o, ddl->query.s, ddl->query.len);
	x.body = (uint32_t)ml_out_len(&o);
	*m = (struct ml_msg){ .commit_ts = ddl->commit_ts };
	m->value = put_message(e, a, &x, 1, o.start, x.body, &m->value_len);
	return 1;
}

static int
resolved(struct ml_encoder *enc, ml_ts ts, struct ml_arena *a, struct ml_msg *m, struct ml_err *err)
{
	struct craft *e = (struct craft *)enc;
	struct event x = { .ts = ts, .schema = -1, .table = -1, .type = TYPE_RESOLVED };

	(void)err;
	cr_terms_begin(&e->terms);
	*m = (struct ml_msg){ .commit_ts = ts };
	m->value = put_message(e, a, &x, 1, "", 0, &m->value_len);
	return 1;
}

/* --- life --------------------------------------------------------------------------------------------------------------- */

static int
open_encoder(struct ml_encoder **out, const struct ml_encoder_env *env, struct ml_err *err)
{
	struct craft *e = calloc(1, sizeof(*e));
	struct ml_encoder_opts opts;

	if (e == NULL)
		abort();
	if (ml_encoder_opts_read(&opts, env, err) < 0) {
		free(e);
		return -1;
	}
	e->e.ops = &ml_encoder_craft;
	e->serial = ml_encoder_serial();
	e->delete_handle_only = opts.delete_handle_only;
	e->max_batch_size = opts.max_batch_size;
	e->max_message_bytes = opts.max_message_bytes;
	ml_encoder_opts_fini(&opts);
	cr_terms_init(&e->terms);
	ml_arena_init(&e->scratch, 0);
	*out = &e->e;
	return 0;
}

static void
close_encoder(struct ml_encoder *enc)
{
	struct craft *e = (struct craft *)enc;

	if (e == NULL)
		return;
	cr_terms_fini(&e->terms);
	ml_groups_fini(&e->groups);
	ml_arena_fini(&e->scratch);
	free(e->events);
	free(e);
}

const struct ml_encoder_ops ml_encoder_craft = {
	.name = "craft",
	.for_storage = false,
	.for_mq = true,
	.ddl_all_partitions = true,
	.checkpoint_messages = true,
	.open = open_encoder,
	.rows = rows,
	.ddl = ddl_message,
	.checkpoint = resolved,
	.close = close_encoder,
};
