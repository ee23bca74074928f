#include "capture-worker/source/mysql/ddl_apply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "capture-worker/mounter/charset.h"
#include "capture-worker/source/mysql/ddl_column.h"

static struct ml_text
keep(struct ml_arena *a, struct ml_text t)
{
	if (t.s == NULL)
		return (struct ml_text){ "", 0 };
	return (struct ml_text){ ml_arena_strndup(a, t.s, t.len), t.len };
}

void
ml_column_keep(struct ml_column *c, const struct ml_column *from, struct ml_arena *a)
{
	*c = *from;
	c->name = keep(a, from->name);
	c->dflt = keep(a, from->dflt);
	c->charset = keep(a, from->charset);
	c->collation = keep(a, from->collation);
	c->comment = keep(a, from->comment);
	c->type_full = c->type_short = (struct ml_text){ NULL, 0 };
	if (from->n_elems > 0) {
		c->elems = ml_arena_alloc(a, from->n_elems * sizeof(*c->elems));
		for (int i = 0; i < from->n_elems; i++)
			c->elems[i] = keep(a, from->elems[i]);
	}
	c->flags &= ML_F_BINARY | ML_F_GENERATED | ML_F_NULLABLE | ML_F_UNSIGNED;
}

/* A column of an older definition, which another DDL made. */
static void
keep_told(struct ml_column *c, const struct ml_column *from, struct ml_arena *a)
{
	ml_column_keep(c, from, a);
	c->fraction_unsaid = false;
}

void
ml_index_keep(struct ml_index *x, const struct ml_index *from, struct ml_arena *a)
{
	*x = *from;
	x->name = keep(a, from->name);
	x->cols = ml_arena_alloc(a, (from->n_cols + 1u) * sizeof(*x->cols));
	memcpy(x->cols, from->cols, from->n_cols * sizeof(*x->cols));
	if (from->prefixes != NULL) {
		x->prefixes = ml_arena_alloc(a, (from->n_cols + 1u) * sizeof(*x->prefixes));
		memcpy(x->prefixes, from->prefixes, from->n_cols * sizeof(*x->prefixes));
	}
}

struct ml_schema *
ml_schema_shell(const struct ml_schema *s, struct ml_text db, struct ml_text table, size_t columns, size_t indexes)
{
	struct ml_schema *n = ml_schema_new();
	struct ml_arena *a = &n->arena;

	n->db = keep(a, db);
	n->table = keep(a, table);
	n->columns = ml_arena_zalloc(a, (columns + 1) * sizeof(*n->columns));
	n->indexes = ml_arena_zalloc(a, (indexes + 1) * sizeof(*n->indexes));
	n->charset = n->collation = n->comment = (struct ml_text){ "", 0 };
	if (s != NULL) {
		n->table_id = s->table_id;
		n->version = s->version;
		n->kind = s->kind;
		n->charset = keep(a, s->charset);
		n->collation = keep(a, s->collation);
		n->comment = keep(a, s->comment);
	}
	return n;
}

struct ml_schema *
ml_schema_copy(const struct ml_schema *s, struct ml_text db, struct ml_text table)
{
	struct ml_schema *n = ml_schema_shell(s, db, table, s->n_columns, s->n_indexes);

	for (int i = 0; i < s->n_columns; i++)
		keep_told(&n->columns[n->n_columns++], &s->columns[i], &n->arena);
	for (int i = 0; i < s->n_indexes; i++)
		ml_index_keep(&n->indexes[n->n_indexes++], &s->indexes[i], &n->arena);
	return n;
}

/*
 * The definition while it is being changed.  Columns move, so indexes name theirs by the column's serial number, which stays.
 */
struct wcol {
	struct ml_column c;
	uint32_t serial;
};

struct windex {
	struct ml_index x;
	uint32_t *serials; /* instead of x.cols; x.prefixes goes with them */
};

struct work {
	struct ml_arena a; /* of this piece of work */
	struct wcol *cols;
	struct windex *idx;
	uint32_t n_cols, n_idx, cap_cols, cap_idx, serials;
	struct ml_text charset, collation, comment;
	enum ml_table_kind kind;
	bool uncertain;
};

static bool
same_name(struct ml_text a, struct ml_text b)
{
	return a.len == b.len && strncasecmp(a.s, b.s, a.len) == 0;
}

static int
find_col(const struct work *w, struct ml_text name)
{
	for (uint32_t i = 0; i < w->n_cols; i++)
		if (same_name(w->cols[i].c.name, name))
			return (int)i;
	return -1;
}

static int
find_idx(const struct work *w, struct ml_text name)
{
	for (uint32_t i = 0; i < w->n_idx; i++)
		if (same_name(w->idx[i].x.name, name))
			return (int)i;
	return -1;
}

static bool
has_serial(const struct windex *x, uint32_t serial, uint32_t *at)
{
	for (*at = 0; *at < x->x.n_cols; (*at)++)
		if (x->serials[*at] == serial)
			return true;
	return false;
}

static void
remove_idx(struct work *w, uint32_t i)
{
	memmove(&w->idx[i], &w->idx[i + 1], (w->n_idx - i - 1) * sizeof(*w->idx));
	w->n_idx--;
}

static void
insert_col(struct work *w, uint32_t at, const struct wcol *c)
{
	if (w->n_cols == w->cap_cols) {
		uint32_t cap = w->cap_cols == 0 ? 32 : w->cap_cols * 2;
		struct wcol *v = ml_arena_alloc(&w->a, cap * sizeof(*v));

		if (w->n_cols > 0)
			memcpy(v, w->cols, w->n_cols * sizeof(*v));
		w->cols = v;
		w->cap_cols = cap;
	}
	memmove(&w->cols[at + 1], &w->cols[at], (w->n_cols - at) * sizeof(*w->cols));
	w->cols[at] = *c;
	w->n_cols++;
}

static struct wcol
take_col(struct work *w, uint32_t at)
{
	struct wcol c = w->cols[at];

	memmove(&w->cols[at], &w->cols[at + 1], (w->n_cols - at - 1) * sizeof(*w->cols));
	w->n_cols--;
	return c;
}

static struct windex *
new_idx(struct work *w, uint32_t at)
{
	if (w->n_idx == w->cap_idx) {
		uint32_t cap = w->cap_idx == 0 ? 8 : w->cap_idx * 2;
		struct windex *v = ml_arena_alloc(&w->a, cap * sizeof(*v));

		if (w->n_idx > 0)
			memcpy(v, w->idx, w->n_idx * sizeof(*v));
		w->idx = v;
		w->cap_idx = cap;
	}
	memmove(&w->idx[at + 1], &w->idx[at], (w->n_idx - at) * sizeof(*w->idx));
	w->n_idx++;
	memset(&w->idx[at], 0, sizeof(w->idx[at]));
	return &w->idx[at];
}

/* The name the server gives to an index without one: that of its first column, then with _2, _3, .. */
static struct ml_text
free_index_name(struct work *w, struct ml_text base)
{
	struct ml_text name = base;

	for (int i = 2; find_idx(w, name) >= 0 && i < 1000; i++) {
		char *p = ml_arena_bytes(&w->a, base.len + 8u);

		name.len = (uint32_t)sprintf(p, "%.*s_%d", (int)base.len, base.s, i);
		name.s = p;
	}
	return name;
}

static void
add_index(struct work *w, const struct ml_change *ch)
{
	bool anonymous = ch->name.len == 0;
	int old = ch->primary || !anonymous ? find_idx(w, ch->name) : -1;
	struct windex *x;

	if (old >= 0) {
		if (ch->if_not_exists)
			return;
		remove_idx(w, (uint32_t)old); /* the definition was newer than this place */
	}
	/* The primary key stands first; others in the order in which they came. */
	x = new_idx(w, ch->primary ? 0 : w->n_idx);
	x->x.primary = ch->primary;
	x->x.unique = ch->unique || ch->primary;
	x->serials = ml_arena_alloc(&w->a, (ch->n_cols + 1u) * sizeof(*x->serials));
	x->x.prefixes = ml_arena_zalloc(&w->a, (ch->n_cols + 1u) * sizeof(*x->x.prefixes));
	for (uint16_t i = 0; i < ch->n_cols; i++) {
		int col = ch->cols[i].len > 0 ? find_col(w, ch->cols[i]) : -1;

		x->x.prefix = x->x.prefix || ch->prefixes[i] > 0;
		if (col < 0) {
			x->x.virtual_column = true;
			w->uncertain = w->uncertain || ch->cols[i].len > 0;
			continue;
		}
		if (ch->primary)
			w->cols[col].c.flags &= (uint8_t)~ML_F_NULLABLE;
		x->x.prefixes[x->x.n_cols] = ch->prefixes[i];
		x->serials[x->x.n_cols++] = w->cols[col].serial;
	}
	x->x.name = ch->name;
	if (anonymous) {
		x->x.name = (struct ml_text){ "", 0 };
		if (ch->n_cols > 0 && ch->cols[0].len > 0)
			x->x.name = free_index_name(w, ch->cols[0]);
		else if (ch->n_cols > 0)
			x->x.name = free_index_name(w, (struct ml_text){ "functional_index", 16 });
	}
}

/* PRIMARY KEY or UNIQUE in the column's own definition. */
static void
inline_index(struct work *w, const struct ml_change *ch)
{
	struct ml_text cols[1] = { ch->column->name };
	uint32_t prefixes[1] = { 0 };
	struct ml_change x = {
		.kind = ML_CH_ADD_INDEX, .cols = cols, .prefixes = prefixes, .n_cols = 1, .unique = true
	};

	if (ch->primary) {
		x.primary = true;
		x.name = (struct ml_text){ "PRIMARY", 7 };
		add_index(w, &x);
	}
	if (ch->unique) {
		x.primary = false;
		x.name = (struct ml_text){ "", 0 };
		add_index(w, &x);
	}
}

static void
add_column(struct work *w, const struct ml_change *ch)
{
	int old = find_col(w, ch->column->name), after;
	struct wcol c = { .c = *ch->column };
	uint32_t at = w->n_cols;

	if (old >= 0) {
		if (ch->if_not_exists)
			return;
		/* The definition is newer than this place of the log: as this statement says, where it says. */
		c.serial = take_col(w, (uint32_t)old).serial;
		at = ch->first || ch->after.len > 0 ? w->n_cols : (uint32_t)old;
	} else {
		c.serial = w->serials++;
	}
	if (c.c.type == 0) {
		c.c.type = ML_T_NULL;
		w->uncertain = true;
	} else {
		ml_column_settle(&c.c, &w->a, w->charset, w->collation);
	}
	if (ch->first)
		at = 0;
	if (ch->after.len > 0) {
		after = find_col(w, ch->after);
		w->uncertain = w->uncertain || after < 0;
		at = after < 0 ? w->n_cols : (uint32_t)after + 1;
	}
	insert_col(w, at, &c);
	inline_index(w, ch);
}

static void
modify_column(struct work *w, const struct ml_change *ch)
{
	int old = find_col(w, ch->name), other;
	struct ml_change add = *ch;

	if (old < 0) {
		add_column(w, ch); /* it has the new name already, or never was seen */
		return;
	}
	other = find_col(w, ch->column->name);
	if (other >= 0 && other != old) {
		/* Both names are there: the old one belongs to a later column. */
		old = other;
	}
	w->cols[old].c.name = ch->column->name;
	/* In the primary key a column stays NOT NULL. */
	add.if_not_exists = false;
	add_column(w, &add);
	for (uint32_t i = 0, at; i < w->n_idx; i++) {
		int col = find_col(w, ch->column->name);

		if (w->idx[i].x.primary && col >= 0 && has_serial(&w->idx[i], w->cols[col].serial, &at))
			w->cols[col].c.flags &= (uint8_t)~ML_F_NULLABLE;
	}
}

static void
drop_column(struct work *w, struct ml_text name)
{
	int col = find_col(w, name);
	uint32_t serial, at;

	if (col < 0)
		return;
	serial = take_col(w, (uint32_t)col).serial;
	/* It leaves its indexes; an index without columns goes. */
	for (uint32_t i = w->n_idx; i-- > 0;) {
		struct windex *x = &w->idx[i];

		while (has_serial(x, serial, &at)) {
			memmove(&x->serials[at], &x->serials[at + 1], (x->x.n_cols - at - 1u) * sizeof(*x->serials));
			if (x->x.prefixes != NULL)
				memmove(&x->x.prefixes[at], &x->x.prefixes[at + 1],
					(x->x.n_cols - at - 1u) * sizeof(*x->x.prefixes));
			x->x.n_cols--;
		}
		if (x->x.n_cols == 0 && !x->x.virtual_column)
			remove_idx(w, i);
	}
}

/* CONVERT TO CHARACTER SET: every text column, with TEXT types growing where characters get longer. */
static void
convert_charset(struct work *w)
{
	for (uint32_t i = 0; i < w->n_cols; i++) {
		struct ml_column *c = &w->cols[i].c;
		const struct ml_charset *old = ml_charset_by_name(c->charset.s, c->charset.len), *now;
		bool blob = c->type >= ML_T_TINYBLOB && c->type <= ML_T_BLOB;

		if (!ml_type_is_text(c->type) || (c->flags & ML_F_BINARY) || c->special != ML_SP_NONE)
			continue;
		now = ml_charset_by_name(w->charset.s, w->charset.len);
		if (blob && old != NULL && now != NULL && now->mbmaxlen > old->mbmaxlen && c->type != ML_T_LONGBLOB) {
			c->type = c->type == ML_T_TINYBLOB ? ML_T_BLOB
				  : c->type == ML_T_BLOB   ? ML_T_MEDIUMBLOB
							   : ML_T_LONGBLOB;
			c->flen = c->type == ML_T_BLOB ? 65535 : c->type == ML_T_MEDIUMBLOB ? 16777215 : -1;
		}
		c->charset = w->charset;
		c->collation = w->collation;
		if (now != NULL && now->kind == ML_CS_BINARY)
			c->flags |= ML_F_BINARY;
	}
}

/* Defaults of the table, made whole: a charset brings its collation and the other way round. */
static void
table_charset(struct work *w, const struct ml_change *ch)
{
	struct ml_column c = { .type = ML_T_VARCHAR, .charset = ch->charset, .collation = ch->collation };

	if (ch->charset.len == 7 && strncasecmp(ch->charset.s, "default", 7) == 0)
		return;
	ml_column_settle(&c, &w->a, w->charset, w->collation);
	w->charset = c.charset;
	w->collation = c.collation;
}

static void
change_default(struct work *w, const struct ml_change *ch)
{
	int col = find_col(w, ch->name);

	if (col < 0)
		return;
	w->cols[col].c.has_default = ch->kind == ML_CH_SET_DEFAULT && ch->column->has_default;
	w->cols[col].c.default_expr = w->cols[col].c.has_default && ch->column->default_expr;
	w->cols[col].c.dflt = w->cols[col].c.has_default ? ch->column->dflt : (struct ml_text){ "", 0 };
	if (w->cols[col].c.type != ML_T_BLOB) /* a TEXT's length would grow again */
		ml_column_settle(&w->cols[col].c, &w->a, w->charset, w->collation);
}

static void
change(struct work *w, const struct ml_change *ch)
{
	int i;

	switch ((enum ml_change_kind)ch->kind) {
	case ML_CH_ADD_COLUMN:
		add_column(w, ch);
		break;
	case ML_CH_MODIFY_COLUMN:
		modify_column(w, ch);
		break;
	case ML_CH_DROP_COLUMN:
		drop_column(w, ch->name);
		break;
	case ML_CH_RENAME_COLUMN:
		i = find_col(w, ch->name);
		if (i >= 0)
			w->cols[i].c.name = ch->name2;
		break;
	case ML_CH_SET_DEFAULT:
	case ML_CH_DROP_DEFAULT:
		change_default(w, ch);
		break;
	case ML_CH_ADD_INDEX:
		add_index(w, ch);
		break;
	case ML_CH_DROP_INDEX:
	case ML_CH_DROP_FOREIGN:
		/* DROP CONSTRAINT (marked unique) may mean a unique key. */
		i = ch->kind == ML_CH_DROP_INDEX || ch->unique ? find_idx(w, ch->name) : -1;
		if (i >= 0)
			remove_idx(w, (uint32_t)i);
		break;
	case ML_CH_DROP_PRIMARY:
		i = find_idx(w, (struct ml_text){ "PRIMARY", 7 });
		if (i >= 0)
			remove_idx(w, (uint32_t)i);
		break;
	case ML_CH_RENAME_INDEX:
		i = find_idx(w, ch->name);
		if (i >= 0)
			w->idx[i].x.name = ch->name2;
		break;
	case ML_CH_CONVERT_CHARSET:
		table_charset(w, ch);
		convert_charset(w);
		break;
	case ML_CH_DEFAULT_CHARSET:
		table_charset(w, ch);
		break;
	case ML_CH_COMMENT:
		w->comment = ch->name2;
		break;
	case ML_CH_VERSIONING:
		w->kind = ch->drop ? ML_TABLE_BASE : ML_TABLE_VERSIONED;
		break;
	default:
		break;
	}
}

static void
load(struct work *w, const struct ml_schema *s)
{
	for (int i = 0; i < s->n_columns; i++) {
		struct wcol c = { .serial = w->serials++ };

		keep_told(&c.c, &s->columns[i], &w->a);
		insert_col(w, w->n_cols, &c);
	}
	for (int i = 0; i < s->n_indexes; i++) {
		struct windex *x = new_idx(w, w->n_idx);

		x->x = s->indexes[i];
		x->serials = ml_arena_alloc(&w->a, (s->indexes[i].n_cols + 1u) * sizeof(*x->serials));
		for (int k = 0; k < s->indexes[i].n_cols; k++)
			x->serials[k] = s->indexes[i].cols[k];
		if (s->indexes[i].prefixes != NULL) {
			x->x.prefixes = ml_arena_alloc(&w->a, (x->x.n_cols + 1u) * sizeof(*x->x.prefixes));
			memcpy(x->x.prefixes, s->indexes[i].prefixes, x->x.n_cols * sizeof(*x->x.prefixes));
		}
	}
	w->charset = s->charset;
	w->collation = s->collation;
	w->comment = s->comment;
	w->kind = s->kind;
}

/*
 * The server keeps unique keys without NULL in front of the others; the choice of the handle key by "first of the shortest"
 * is not touched by that, since only such keys are candidates.
 */
static struct ml_schema *
store(struct work *w, const struct ml_schema *before, struct ml_text db, struct ml_text table)
{
	struct ml_schema *n = ml_schema_shell(before, db, table, w->n_cols, w->n_idx);

	n->kind = w->kind;
	n->charset = keep(&n->arena, w->charset);
	n->collation = keep(&n->arena, w->collation);
	n->comment = keep(&n->arena, w->comment);
	for (uint32_t i = 0; i < w->n_cols && n->n_columns < 4096; i++) /* the servers' own limit */
		ml_column_keep(&n->columns[n->n_columns++], &w->cols[i].c, &n->arena);
	for (uint32_t i = 0; i < w->n_idx && n->n_indexes < 1024; i++) {
		struct ml_index *x = &n->indexes[n->n_indexes++], from = w->idx[i].x;

		x->name = keep(&n->arena, from.name);
		x->primary = from.primary;
		x->unique = from.unique;
		x->prefix = from.prefix;
		x->virtual_column = from.virtual_column;
		x->cols = ml_arena_alloc(&n->arena, (from.n_cols + 1u) * sizeof(*x->cols));
		if (from.prefix && from.prefixes != NULL)
			x->prefixes = ml_arena_alloc(&n->arena, (from.n_cols + 1u) * sizeof(*x->prefixes));
		for (uint16_t k = 0; k < from.n_cols; k++)
			for (uint16_t col = 0; col < n->n_columns; col++)
				if (w->cols[col].serial == w->idx[i].serials[k]) {
					if (x->prefixes != NULL)
						x->prefixes[x->n_cols] = from.prefixes[k];
					x->cols[x->n_cols++] = col;
					x->nullable = x->nullable || (n->columns[col].flags & ML_F_NULLABLE);
					x->virtual_column = x->virtual_column || n->columns[col].virtual_generated;
				}
	}
	ml_schema_finish(n);
	return n;
}

struct ml_schema *
ml_ddl_apply(const struct ml_schema *before, const struct ml_ddl_item *item, struct ml_text charset,
	struct ml_text collation, bool *uncertain)
{
	struct work w = { .charset = charset, .collation = collation, .comment = { "", 0 } };
	struct ml_schema *after;

	ml_arena_init(&w.a, 0);
	if (before != NULL)
		load(&w, before);
	else if (charset.len > 0)
		table_charset(&w, &(struct ml_change){ .charset = charset, .collation = collation });
	/* The table's charset stands behind its columns, which take it over. */
	if (before == NULL)
		for (uint32_t i = 0; i < item->n_changes; i++)
			if (item->changes[i].kind == ML_CH_DEFAULT_CHARSET)
				table_charset(&w, &item->changes[i]);
	/* Columns first: a key of CREATE TABLE may stand before its columns. */
	for (uint32_t i = 0; i < item->n_changes; i++)
		if (before != NULL || item->changes[i].kind != ML_CH_ADD_INDEX)
			change(&w, &item->changes[i]);
	for (uint32_t i = 0; before == NULL && i < item->n_changes; i++)
		if (item->changes[i].kind == ML_CH_ADD_INDEX)
			change(&w, &item->changes[i]);
	after = store(&w, before, item->db, item->table);
	*uncertain = w.uncertain || item->needs_reread;
	ml_arena_fini(&w.a);
	return after;
}
