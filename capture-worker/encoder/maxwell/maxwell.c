/*
 * maxwell.c - rows and DDL as Maxwell's JSON.
 *
 * A record's value is the objects of its rows, one behind the other; its key is the version word alone.  The rows of one batch
 * are taken per (topic, partition), in their order; a group is one record, or several where one would become too large.
 */
#include "capture-worker/encoder/maxwell/maxwell.h"

#include <stdlib.h>

#include "capture-worker/encoder/group.h"
#include "capture-worker/encoder/maxwell/table.h"
#include "capture-worker/encoder/options.h"
#include "capture-worker/encoder/same.h"
#include "capture-worker/encoder/text/base64.h"
#include "capture-worker/encoder/text/escape.h"
#include "common/text/num.h"

#define RECORD_OVERHEAD 36 /* protocols.md 4.2 */

/* The batch version, a word of its own. */
static const char row_key[8] = { 0, 0, 0, 0, 0, 0, 0, 1 };

struct maxwell {
	struct ml_encoder e;
	bool delete_handle_only;
	size_t max_message_bytes;
	uint64_t serial;
	struct ml_groups groups;
	/* The seconds of a commit ts as text: rows of one transaction share them. */
	ml_ts ts;
	char seconds[ML_INT_TEXT_MAX];
	uint32_t seconds_len;
};

/* A record that is being filled: the text that is open, from its start on. */
struct record {
	uint32_t rows; /* 0: none is open */
	struct ml_schema *schema;
	ml_ts commit_ts;
};

/* --- one row ------------------------------------------------------------------------------------------------------------ */

static inline void
put_value(struct ml_out *o, const struct mx_column *c, const struct ml_datum *d, bool first)
{
	size_t n = c->len - first;
	char *p = ml_out_need(o, n + ML_INT_TEXT_MAX);

	memcpy(p, c->piece + first, n);
	p += n;
	switch (d->kind) {
	case ML_D_I64:
		p += ml_i64_text(p, d->i);
		break;
	case ML_D_U64:
		p += ml_u64_text(p, d->u);
		break;
	case ML_D_F32:
		o->p = p;
		p = ml_out_need(o, ML_FLOAT_TEXT_MAX);
		p += ml_f32_text(p, d->f32, ML_FLOAT_J);
		break;
	case ML_D_F64:
		o->p = p;
		p = ml_out_need(o, ML_FLOAT_TEXT_MAX);
		p += ml_f64_text(p, d->f64, ML_FLOAT_J);
		break;
	case ML_D_BYTES:
		*p++ = '"';
		o->p = p;
		if (c->base64)
			ml_base64(o, d->s, d->len);
		else
			ml_escape_s(o, d->s, d->len);
		ml_out_lit(o, "\"");
		return;
	default:
		memcpy(p, "null", 4);
		p += 4;
		break;
	}
	o->p = p;
}

/* Text in front of the first column that is written; nothing is written for an image without columns. */
struct part {
	const char *open;
	uint32_t len;
};

/* but: leaves out what is the same there (NULL: nothing is). */
static void
put_part(struct ml_out *o, struct part part, const struct mx_table *t, const struct ml_schema *s,
	const struct ml_datum *image, const struct ml_datum *but, bool handle_only)
{
	bool first = true;

	for (int i = 0; i < s->n_columns; i++) {
		const struct mx_column *c = &t->columns[i];
		const struct ml_datum *d = &image[c->column];

		if (d->kind == ML_D_ABSENT || (handle_only && !c->handle) ||
			(but != NULL && !c->always_old && ml_datum_same(d, &but[c->column])))
			continue;
		if (first)
			ml_out_put(o, part.open, part.len);
		put_value(o, c, d, first);
		first = false;
	}
	if (!first)
		ml_out_lit(o, "}");
}

static void
put_row(struct maxwell *e, struct ml_out *o, const struct ml_row *row)
{
	static const struct part data = { ",\"data\":{", 9 }, old = { ",\"old\":{", 8 };
	const struct mx_table *t = mx_table_of(row->schema, e->serial);

	if (row->commit_ts != e->ts) {
		e->ts = row->commit_ts;
		e->seconds_len = (uint32_t)ml_u64_text(e->seconds, ml_ts_ms(row->commit_ts) / 1000);
	}
	ml_out_put(o, t->head[row->op].s, t->head[row->op].len);
	ml_out_put(o, e->seconds, e->seconds_len);
	if (row->op == ML_OP_DELETE) {
		put_part(o, old, t, row->schema, row->before, NULL, e->delete_handle_only);
	} else {
		put_part(o, data, t, row->schema, row->after, NULL, false);
		if (row->op == ML_OP_UPDATE)
			put_part(o, old, t, row->schema, row->before, row->after, false);
	}
	ml_out_lit(o, "}");
}

/* --- records ------------------------------------------------------------------------------------------------------------ */

static void
close_record(struct ml_batch *b, const struct ml_group *g, struct record *r, const char *value, size_t len)
{
	struct ml_msg *m = ml_batch_msg(b);

	*m = (struct ml_msg){
		.key = row_key,
		.key_len = sizeof(row_key),
		.value = value,
		.value_len = (uint32_t)len,
		.topic = g->topic,
		.partition = g->partition,
		.schema = r->schema,
		.commit_ts = r->commit_ts,
		.rows = r->rows,
	};
	r->rows = 0;
}

/* Adds a row to the open record, or closes that and opens the next. */
static void
add_row(struct maxwell *e, struct ml_batch *b, const struct ml_group *g, struct record *r, struct ml_out *o,
	const struct ml_row *row)
{
	size_t at = ml_out_len(o);

	put_row(e, o, row);
	if (r->rows > 0 && (r->rows == ML_GROUP_ROWS ||
				   ml_out_len(o) + sizeof(row_key) + RECORD_OVERHEAD > e->max_message_bytes)) {
		close_record(b, g, r, o->start, at);
		/* What was written before this row is that record's; the open text begins with the row now. */
		o->start += at;
	}
	if (r->rows++ == 0)
		r->schema = row->schema;
	r->commit_ts = row->commit_ts;
}

static int
rows(struct ml_encoder *enc, struct ml_batch *b, struct ml_err *err)
{
	struct maxwell *e = (struct maxwell *)enc;

	(void)err;
	ml_groups_make(&e->groups, b);
	for (uint32_t i = 0; i < e->groups.n; i++) {
		const struct ml_group *g = &e->groups.groups[i];
		uint32_t first = b->n_msgs, len;
		struct record r = { 0 };
		struct ml_out o;
		const char *text;

		ml_out_begin(&o, &b->arena);
		ml_out_need(&o, ml_group_room(&e->groups, g));
		for (uint32_t k = g->first; k != ML_GROUP_END; k = e->groups.next[k])
			add_row(e, b, g, &r, &o, &b->rows[k]);
		text = ml_out_end(&o, &len);
		close_record(b, g, &r, text, len);
		ml_group_learn(&e->groups, b, first);
	}
	return 0;
}

/* --- DDL ---------------------------------------------------------------------------------------------------------------- */

static void
put_string(struct ml_out *o, struct ml_text t)
{
	ml_out_lit(o, "\"");
	ml_escape_s(o, t.s, t.len);
	ml_out_lit(o, "\"");
}

static void
put_chars(struct ml_out *o, const char *s)
{
	ml_out_put(o, s, strlen(s));
}

static void
put_column_of(struct ml_out *o, const struct ml_column *c, const char *type, bool first)
{
	put_chars(o, first ? "{\"type\":\"" : ",{\"type\":\"");
	put_chars(o, type);
	ml_out_lit(o, "\",\"name\":");
	put_string(o, c->name);
	ml_out_lit(o, "}");
}

/*
 * A definition; s NULL: only the names are known.  of_view: a view that came out of the DDL, whose columns TiCDC has in the
 * definition before it, too, with an error text for their type (protocols.md 9.2).
 */
static void
put_definition(struct ml_out *o, struct ml_text db, struct ml_text table, const struct ml_schema *s,
	const struct ml_schema *of_view)
{
	bool first = true;

	ml_out_lit(o, "{\"database\":");
	put_string(o, db);
	ml_out_lit(o, ",\"table\":");
	put_string(o, table);
	ml_out_lit(o, ",\"columns\":");
	for (int i = 0; s != NULL && i < s->n_columns; i++, first = false) {
		put_chars(o, first ? "[" : "");
		put_column_of(o, &s->columns[i], s->kind == ML_TABLE_VIEW ? "" : mx_type_name(&s->columns[i]), first);
	}
	for (int i = 0; of_view != NULL && i < of_view->n_columns; i++, first = false) {
		put_chars(o, first ? "[" : "");
		put_column_of(o, &of_view->columns[i], "[CDC:ErrMaxwellInvalidData]unsupported column type - 0", first);
	}
	put_chars(o, first ? "null" : "]");
	ml_out_lit(o, ",\"primary-key\":null}");
}

/* protocols.md 9.3 with the names of 2.9. */
static const char *
ddl_type(int action)
{
	static const char *const names[] = {
		[0] = "none",
		[1] = "database-create",
		[2] = "database-drop",
		[3] = "table-create",
		[4] = "table-drop",
		[21] = "create view",
		[24] = "drop view",
		[25] = "recover table",
		[26] = "database-alter",
		[32] = "add primary key",
		[47] = "rename tables",
		[60] = "create tables",
		[61] = "alter table multi-schema change",
		[64] = "alter table reorganize partition",
		[65] = "alter table ttl",
		[67] = "alter table no_ttl",
		[71] = "alter table partition by",
		[72] = "alter table remove partitioning",
	};

	if ((action >= 5 && action <= 20) || action == 22 || action == 23 || action == 33 || action == 37 ||
		action == 38 || action == 41 || action == 42)
		return "table-alter";
	if (action < 0 || action >= (int)(sizeof(names) / sizeof(names[0])) || names[action] == NULL)
		return "none";
	return names[action];
}

static void
put_ddl_key(struct ml_out *o, const struct ml_ddl *ddl)
{
	ml_out_lit(o, "{\"ts\":");
	o->p += ml_u64_text(ml_out_need(o, ML_INT_TEXT_MAX), ddl->commit_ts);
	if (ddl->db.len > 0) {
		ml_out_lit(o, ",\"scm\":");
		put_string(o, ddl->db);
	}
	if (ddl->table.len > 0) {
		ml_out_lit(o, ",\"tbl\":");
		put_string(o, ddl->table);
	}
	ml_out_lit(o, ",\"t\":2}");
}

static int
ddl_message(struct ml_encoder *enc, const struct ml_ddl *ddl, struct ml_arena *a, struct ml_msg *m, struct ml_err *err)
{
	static const struct ml_text none = { "", 0 };
	const struct ml_schema *before = ddl->pre_schema, *after = ddl->schema;
	bool view = after != NULL && after->kind == ML_TABLE_VIEW;
	struct ml_out o;

	(void)enc;
	(void)err;
	*m = (struct ml_msg){ .commit_ts = ddl->commit_ts };
	ml_out_begin(&o, a);
	put_ddl_key(&o, ddl);
	m->key = ml_out_end(&o, &m->key_len);
	ml_out_begin(&o, a);
	ml_out_lit(&o, "{\"type\":\"");
	put_chars(&o, ddl_type(ddl->action));
	ml_out_lit(&o, "\",\"database\":");
	put_string(&o, ddl->db);
	ml_out_lit(&o, ",\"table\":");
	put_string(&o, ddl->table);
	ml_out_lit(&o, ",\"old\":");
	put_definition(&o, before != NULL ? before->db : none, before != NULL ? before->table : none, before,
		view ? after : NULL);
	ml_out_lit(&o, ",\"def\":");
	put_definition(&o, ddl->db, ddl->table, after, NULL);
	ml_out_lit(&o, ",\"ts\":");
	o.p += ml_u64_text(ml_out_need(&o, ML_INT_TEXT_MAX), ddl->commit_ts);
	ml_out_lit(&o, ",\"sql\":");
	put_string(&o, ddl->query);
	ml_out_lit(&o, "}");
	m->value = ml_out_end(&o, &m->value_len);
	return 1;
}

/* --- life --------------------------------------------------------------------------------------------------------------- */

static int
open_encoder(struct ml_encoder **out, const struct ml_encoder_env *env, struct ml_err *err)
{
	struct maxwell *e = calloc(1, sizeof(*e));
	struct ml_encoder_opts opts;

	if (e == NULL)
		abort();
	if (ml_encoder_opts_read(&opts, env, err) < 0) {
		free(e);
		return -1;
	}
	e->e.ops = &ml_encoder_maxwell;
	e->serial = ml_encoder_serial();
	e->delete_handle_only = opts.delete_handle_only;
	e->max_message_bytes = opts.max_message_bytes;
	ml_encoder_opts_fini(&opts);
	*out = &e->e;
	return 0;
}

static void
close_encoder(struct ml_encoder *enc)
{
	struct maxwell *e = (struct maxwell *)enc;

	if (e == NULL)
		return;
	ml_groups_fini(&e->groups);
	free(e);
}

const struct ml_encoder_ops ml_encoder_maxwell = {
	.name = "maxwell",
	.for_storage = false,
	.for_mq = true,
	.ddl_all_partitions = true,
	.checkpoint_messages = false,
	.open = open_encoder,
	.rows = rows,
	.ddl = ddl_message,
	.close = close_encoder,
};
