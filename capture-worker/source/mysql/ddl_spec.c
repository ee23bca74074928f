#include "capture-worker/source/mysql/ddl_spec.h"

#include <string.h>

#include "capture-worker/source/mysql/ddl_column.h"

struct ml_change *
ml_change_add(struct ml_px *px, struct ml_changes *cs, enum ml_change_kind kind)
{
	if (cs->n == cs->cap) {
		uint32_t cap = cs->cap == 0 ? 8 : cs->cap * 2;
		struct ml_change *v = ml_arena_alloc(px->a, cap * sizeof(*v));

		if (cs->n > 0)
			memcpy(v, cs->v, cs->n * sizeof(*v));
		cs->v = v;
		cs->cap = cap;
	}
	memset(&cs->v[cs->n], 0, sizeof(cs->v[0]));
	cs->v[cs->n].kind = (uint8_t)kind;
	return &cs->v[cs->n++];
}

bool
ml_px_charset_option(struct ml_px *px, struct ml_text *charset, struct ml_text *collation)
{
	uint32_t skip = ml_px_is(px, 0, "DEFAULT") ? 1 : 0;
	struct ml_text *out = charset;

	if ((ml_px_is(px, skip, "CHARACTER") || ml_px_is(px, skip, "CHAR")) && ml_px_is(px, skip + 1, "SET"))
		skip += 2;
	else if (ml_px_is(px, skip, "CHARSET"))
		skip++;
	else if (ml_px_is(px, skip, "COLLATE")) {
		skip++;
		out = collation;
	} else {
		return false;
	}
	px->i += skip;
	ml_px_take_punct(px, '=');
	if (!ml_px_end(px) && ml_px_peek(px, 0)->kind != ML_TK_PUNCT) {
		*out = ml_px_lower(px, ml_px_text(px, ml_px_peek(px, 0)));
		px->i++;
	}
	return true;
}

/* Of "(10)", which is next. */
static uint32_t
prefix_length(struct ml_px *px)
{
	const struct ml_tok *t = ml_px_peek(px, 1);
	uint32_t n = 0;

	for (uint32_t i = 0; t->kind == ML_TK_NUMBER && i < t->len && t->s[i] >= '0' && t->s[i] <= '9' && n < 100000000;
		i++)
		n = n * 10 + (uint32_t)(t->s[i] - '0');
	return n > 0 ? n : UINT32_MAX;
}

bool
ml_px_index_columns(struct ml_px *px, struct ml_change *ch)
{
	uint32_t cap = 0;

	if (!ml_px_take_punct(px, '('))
		return false;
	while (!ml_px_end(px) && !ml_px_punct(px, 0, ')')) {
		struct ml_text name = { "", 0 };
		uint32_t prefix = 0;

		if (ml_px_punct(px, 0, '(')) {
			ml_px_skip_parens(px); /* an expression: a hidden virtual column */
		} else if (ml_px_name(px, &name) && ml_px_punct(px, 0, '(')) {
			prefix = prefix_length(px);
			ml_px_skip_parens(px);
		}
		if (ch->n_cols == cap) {
			uint32_t bigger = cap == 0 ? 8 : cap * 2;
			struct ml_text *cols = ml_arena_alloc(px->a, bigger * sizeof(*cols));
			uint32_t *prefixes = ml_arena_alloc(px->a, bigger * sizeof(*prefixes));

			if (cap > 0) {
				memcpy(cols, ch->cols, cap * sizeof(*cols));
				memcpy(prefixes, ch->prefixes, cap * sizeof(*prefixes));
			}
			ch->cols = cols;
			ch->prefixes = prefixes;
			cap = bigger;
		}
		if (ch->n_cols < 1024) { /* far above the servers' 16 and 32 */
			ch->cols[ch->n_cols] = name;
			ch->prefixes[ch->n_cols++] = prefix;
		}
		ml_px_skip_item(px);
		ml_px_take_punct(px, ',');
	}
	ml_px_take_punct(px, ')');
	return true;
}

/*
 * An index, key, constraint or period: [CONSTRAINT [name]] PRIMARY KEY | UNIQUE | KEY | FULLTEXT | FOREIGN KEY | CHECK ...
 * False (nothing taken) if none is next.  Ends before the comma.
 */
static bool
index_def(struct ml_px *px, struct ml_changes *cs)
{
	struct ml_change *ch;
	struct ml_text name = { NULL, 0 }, ignored;
	bool unique = false, not_exists = false, exists = false, constraint = false;

	if (ml_px_take(px, "CONSTRAINT")) {
		constraint = true;
		if (!ml_px_is(px, 0, "PRIMARY") && !ml_px_is(px, 0, "UNIQUE") && !ml_px_is(px, 0, "FOREIGN") &&
			!ml_px_is(px, 0, "CHECK") && !ml_px_is(px, 0, "IF"))
			ml_px_name(px, &name);
		if (ml_px_if_exists(px, &exists, &not_exists))
			ml_px_name(px, &name);
	}
	if (ml_px_is(px, 0, "PRIMARY") && ml_px_is(px, 1, "KEY")) {
		px->i += 2;
		ch = ml_change_add(px, cs, ML_CH_ADD_INDEX);
		ml_px_if_exists(px, &exists, &not_exists);
		while (!ml_px_end(px) && !ml_px_punct(px, 0, '(') && !ml_px_punct(px, 0, ','))
			px->i++; /* USING BTREE, a name that is ignored */
		ch->primary = ch->unique = true;
		ch->if_not_exists = not_exists;
		ch->name = (struct ml_text){ "PRIMARY", 7 };
		ml_px_index_columns(px, ch);
		ml_px_skip_item(px);
		return true;
	}
	if (ml_px_is(px, 0, "FOREIGN")) {
		ch = ml_change_add(px, cs, ML_CH_ADD_FOREIGN);
		ch->name = name;
		ml_px_skip_item(px);
		return true;
	}
	if (ml_px_is(px, 0, "CHECK") || (ml_px_is(px, 0, "PERIOD") && ml_px_is(px, 1, "FOR"))) {
		/* CHECK (json_valid(`c`)) as a table's constraint makes no JSON column: only the column's own does. */
		ml_change_add(px, cs, ML_CH_OTHER);
		ml_px_skip_item(px);
		return true;
	}
	if (ml_px_take(px, "UNIQUE")) {
		unique = true;
		if (!ml_px_take(px, "INDEX"))
			ml_px_take(px, "KEY");
	} else if (ml_px_take(px, "FULLTEXT") || ml_px_take(px, "SPATIAL") || ml_px_take(px, "VECTOR")) {
		if (!ml_px_take(px, "INDEX"))
			ml_px_take(px, "KEY");
	} else if (!ml_px_take(px, "INDEX") && !ml_px_take(px, "KEY")) {
		if (constraint)
			ml_px_skip_item(px);
		return constraint;
	}
	ch = ml_change_add(px, cs, ML_CH_ADD_INDEX);
	ch->unique = unique;
	ch->name = name;
	ml_px_if_exists(px, &exists, &not_exists);
	ch->if_not_exists = not_exists;
	if (!ml_px_is(px, 0, "USING") && !ml_px_is(px, 0, "TYPE") && ml_px_name(px, &ignored))
		ch->name = ignored;
	while (!ml_px_end(px) && !ml_px_punct(px, 0, '(') && !ml_px_punct(px, 0, ','))
		px->i++;
	ml_px_index_columns(px, ch);
	ml_px_skip_item(px);
	return true;
}

/* A column's name and definition, with FIRST or AFTER behind it. */
static bool
column_def(struct ml_px *px, struct ml_changes *cs, struct ml_ddl_item *it, enum ml_change_kind kind,
	const struct ml_text *old)
{
	struct ml_change *ch;
	struct ml_text name;

	if (!ml_px_name(px, &name))
		return false;
	ch = ml_change_add(px, cs, kind);
	ch->name = old != NULL ? *old : name;
	ch->column = ml_arena_zalloc(px->a, sizeof(*ch->column));
	ch->column->name = name;
	ml_px_column(px, ch);
	if (ch->column->type == 0)
		it->needs_reread = true;
	if (ml_px_take(px, "FIRST"))
		ch->first = true;
	else if (ml_px_take(px, "AFTER"))
		ml_px_name(px, &ch->after);
	return true;
}

void
ml_px_create_body(struct ml_px *px, struct ml_changes *cs, struct ml_ddl_item *it)
{
	if (!ml_px_take_punct(px, '('))
		return;
	while (!ml_px_end(px) && !ml_px_punct(px, 0, ')')) {
		if (!index_def(px, cs) && !column_def(px, cs, it, ML_CH_ADD_COLUMN, NULL))
			it->needs_reread = true;
		ml_px_skip_item(px);
		if (!ml_px_take_punct(px, ','))
			break;
	}
	ml_px_take_punct(px, ')');
}

/* [=] value of an option; the value may be a list in parentheses. */
static void
option_value(struct ml_px *px)
{
	ml_px_take_punct(px, '=');
	if (ml_px_punct(px, 0, '('))
		ml_px_skip_parens(px);
	else if (!ml_px_end(px) && !ml_px_punct(px, 0, ','))
		px->i++;
}

/* One table option of CREATE or ALTER; false if none that we look at is next. */
static bool
table_option(struct ml_px *px, struct ml_changes *cs)
{
	struct ml_text charset = { NULL, 0 }, collation = { NULL, 0 };
	struct ml_change *ch;

	if (ml_px_charset_option(px, &charset, &collation)) {
		ch = cs->n > 0 ? &cs->v[cs->n - 1] : NULL;
		/* CHARSET x COLLATE y are one change. */
		if (ch == NULL || ch->kind != ML_CH_DEFAULT_CHARSET)
			ch = ml_change_add(px, cs, ML_CH_DEFAULT_CHARSET);
		if (charset.len > 0)
			ch->charset = charset;
		if (collation.len > 0)
			ch->collation = collation;
		return true;
	}
	if (ml_px_is(px, 0, "COMMENT") && (ml_px_punct(px, 1, '=') || ml_px_peek(px, 1)->kind == ML_TK_STRING)) {
		px->i++;
		ml_px_take_punct(px, '=');
		ch = ml_change_add(px, cs, ML_CH_COMMENT);
		ch->name2 = (struct ml_text){ "", 0 };
		if (ml_px_peek(px, 0)->kind == ML_TK_STRING) {
			ch->name2 = ml_px_text(px, ml_px_peek(px, 0));
			px->i++;
		}
		return true;
	}
	if (ml_px_is(px, 0, "AUTO_INCREMENT")) {
		px->i++;
		ml_change_add(px, cs, ML_CH_AUTO_INCREMENT);
		option_value(px);
		return true;
	}
	if (ml_px_is(px, 0, "WITH") && ml_px_is(px, 1, "SYSTEM") && ml_px_is(px, 2, "VERSIONING")) {
		px->i += 3;
		ml_change_add(px, cs, ML_CH_VERSIONING);
		return true;
	}
	return false;
}

void
ml_px_table_options(struct ml_px *px, struct ml_changes *cs, struct ml_ddl_item *it)
{
	while (!ml_px_end(px) && !ml_px_punct(px, 0, ';')) {
		if (table_option(px, cs))
			continue;
		if (ml_px_is(px, 0, "PARTITION") && ml_px_is(px, 1, "BY"))
			break;
		if (ml_px_is(px, 0, "START") && ml_px_is(px, 1, "TRANSACTION")) {
			it->as_select = true; /* MySQL's atomic CREATE .. SELECT */
			break;
		}
		if (ml_px_is(px, 0, "SELECT") || ml_px_is(px, 0, "VALUES") || ml_px_is(px, 0, "WITH")) {
			it->as_select = it->needs_reread = true;
			break;
		}
		if (ml_px_punct(px, 0, '('))
			ml_px_skip_parens(px);
		else
			px->i++;
	}
}

static void
add_spec(struct ml_px *px, struct ml_changes *cs, struct ml_ddl_item *it)
{
	bool exists = false, not_exists = false;
	uint32_t first = cs->n;

	if (ml_px_is(px, 0, "PARTITION")) {
		ml_change_add(px, cs, ML_CH_ADD_PARTITION);
		return;
	}
	if (ml_px_is(px, 0, "SYSTEM") && ml_px_is(px, 1, "VERSIONING")) {
		px->i += 2;
		ml_change_add(px, cs, ML_CH_VERSIONING);
		it->needs_reread = true;
		return;
	}
	if (index_def(px, cs))
		return;
	ml_px_take(px, "COLUMN");
	ml_px_if_exists(px, &exists, &not_exists);
	if (ml_px_punct(px, 0, '(')) {
		ml_px_create_body(px, cs, it);
	} else if (!column_def(px, cs, it, ML_CH_ADD_COLUMN, NULL)) {
		it->needs_reread = true;
	}
	for (uint32_t i = first; i < cs->n; i++)
		cs->v[i].if_not_exists = cs->v[i].if_not_exists || not_exists;
}

static void
named(struct ml_px *px, struct ml_changes *cs, enum ml_change_kind kind)
{
	struct ml_change *ch = ml_change_add(px, cs, kind);
	bool not_exists = false;

	ml_px_if_exists(px, &ch->if_exists, &not_exists);
	ml_px_name(px, &ch->name);
}

static void
drop_spec(struct ml_px *px, struct ml_changes *cs, struct ml_ddl_item *it)
{
	if (ml_px_take2(px, "PRIMARY", "KEY")) {
		ml_change_add(px, cs, ML_CH_DROP_PRIMARY);
	} else if (ml_px_take(px, "INDEX") || ml_px_take(px, "KEY")) {
		named(px, cs, ML_CH_DROP_INDEX);
	} else if (ml_px_take2(px, "FOREIGN", "KEY")) {
		named(px, cs, ML_CH_DROP_FOREIGN);
	} else if (ml_px_take(px, "CONSTRAINT")) {
		/* An index, a foreign key or a check; which one the definition knows (ml_ddl_apply). */
		named(px, cs, ML_CH_DROP_FOREIGN);
		cs->v[cs->n - 1].unique = true;
	} else if (ml_px_is(px, 0, "CHECK") || (ml_px_is(px, 0, "PERIOD") && ml_px_is(px, 1, "FOR"))) {
		ml_change_add(px, cs, ML_CH_OTHER);
	} else if (ml_px_take(px, "PARTITION")) {
		ml_change_add(px, cs, ML_CH_DROP_PARTITION);
	} else if (ml_px_take2(px, "SYSTEM", "VERSIONING")) {
		ml_change_add(px, cs, ML_CH_VERSIONING)->drop = true;
		it->needs_reread = true;
	} else {
		ml_px_take(px, "COLUMN");
		named(px, cs, ML_CH_DROP_COLUMN);
	}
}

static void
alter_spec(struct ml_px *px, struct ml_changes *cs)
{
	struct ml_change *ch;
	struct ml_text name = { NULL, 0 };
	bool exists = false, not_exists = false;

	if (ml_px_take(px, "INDEX") || ml_px_take(px, "KEY")) {
		named(px, cs, ML_CH_INDEX_VISIBILITY);
		return;
	}
	if (ml_px_take(px, "CONSTRAINT") || ml_px_take(px, "CHECK")) {
		ml_change_add(px, cs, ML_CH_OTHER);
		return;
	}
	ml_px_take(px, "COLUMN");
	ml_px_if_exists(px, &exists, &not_exists);
	ml_px_name(px, &name);
	if (ml_px_take2(px, "SET", "DEFAULT")) {
		ch = ml_change_add(px, cs, ML_CH_SET_DEFAULT);
		ch->name = name;
		ch->column = ml_arena_zalloc(px->a, sizeof(*ch->column));
		ml_px_default(px, ch->column);
	} else if (ml_px_take2(px, "DROP", "DEFAULT")) {
		ch = ml_change_add(px, cs, ML_CH_DROP_DEFAULT);
		ch->name = name;
	} else {
		ml_change_add(px, cs, ML_CH_OTHER);
	}
}

static void
rename_spec(struct ml_px *px, struct ml_changes *cs, struct ml_ddl_item *it)
{
	struct ml_change *ch;
	bool exists = false, not_exists = false, column = ml_px_take(px, "COLUMN");

	if (column || ((ml_px_is(px, 0, "INDEX") || ml_px_is(px, 0, "KEY")) && !ml_px_punct(px, 1, '.'))) {
		if (!column)
			px->i++;
		ch = ml_change_add(px, cs, column ? ML_CH_RENAME_COLUMN : ML_CH_RENAME_INDEX);
		ml_px_if_exists(px, &exists, &not_exists);
		ml_px_name(px, &ch->name);
		ml_px_take(px, "TO");
		ml_px_name(px, &ch->name2);
		return;
	}
	if (!ml_px_take(px, "TO") && !ml_px_take(px, "AS"))
		ml_px_take_punct(px, '=');
	ml_change_add(px, cs, ML_CH_RENAME_TABLE);
	it->pre_db = it->db;
	it->pre_table = it->table;
	if (!ml_px_table(px, &it->db, &it->table))
		it->needs_reread = true;
}

static void
exchange_spec(struct ml_px *px, struct ml_changes *cs, struct ml_ddl_item *it)
{
	struct ml_text partition = { "", 0 };

	ml_change_add(px, cs, ML_CH_EXCHANGE)->name = partition;
	if (!ml_px_name(px, &partition))
		return;
	cs->v[cs->n - 1].name = partition;
	if (ml_px_take2(px, "WITH", "TABLE") && ml_px_table(px, &it->pre_db, &it->pre_table)) {
		it->op = ML_DDL_EXCHANGE;
		if (ml_px_take2(px, "WITHOUT", "VALIDATION"))
			cs->v[cs->n - 1].if_exists = true; /* kept for the text */
	}
}

/* One specification at depth 0. */
static void
spec(struct ml_px *px, struct ml_changes *cs, struct ml_ddl_item *it)
{
	struct ml_change *ch;
	struct ml_text old;
	bool exists = false, not_exists = false;
	uint32_t n = cs->n;

	if (ml_px_take(px, "ADD")) {
		add_spec(px, cs, it);
	} else if (ml_px_take(px, "DROP")) {
		drop_spec(px, cs, it);
	} else if (ml_px_take(px, "MODIFY")) {
		ml_px_take(px, "COLUMN");
		ml_px_if_exists(px, &exists, &not_exists);
		if (!column_def(px, cs, it, ML_CH_MODIFY_COLUMN, NULL))
			it->needs_reread = true;
	} else if (ml_px_take(px, "CHANGE")) {
		ml_px_take(px, "COLUMN");
		ml_px_if_exists(px, &exists, &not_exists);
		if (!ml_px_name(px, &old) || !column_def(px, cs, it, ML_CH_MODIFY_COLUMN, &old))
			it->needs_reread = true;
	} else if (ml_px_take(px, "ALTER")) {
		alter_spec(px, cs);
	} else if (ml_px_take(px, "RENAME")) {
		rename_spec(px, cs, it);
	} else if (ml_px_take2(px, "CONVERT", "TO")) {
		ch = ml_change_add(px, cs, ML_CH_CONVERT_CHARSET);
		while (ml_px_charset_option(px, &ch->charset, &ch->collation))
			;
	} else if (ml_px_take2(px, "EXCHANGE", "PARTITION")) {
		exchange_spec(px, cs, it);
	} else if (ml_px_take2(px, "TRUNCATE", "PARTITION")) {
		ml_change_add(px, cs, ML_CH_TRUNCATE_PARTITION);
	} else if (ml_px_take2(px, "REORGANIZE", "PARTITION") || ml_px_take2(px, "COALESCE", "PARTITION")) {
		ml_change_add(px, cs, ML_CH_REORGANIZE_PARTITION);
	} else if (ml_px_take2(px, "PARTITION", "BY")) {
		ml_change_add(px, cs, ML_CH_PARTITION_BY);
	} else if (ml_px_take2(px, "REMOVE", "PARTITIONING")) {
		ml_change_add(px, cs, ML_CH_REMOVE_PARTITIONING);
		return;
	} else if (ml_px_is(px, 0, "ORDER") && ml_px_is(px, 1, "BY")) {
		/* Its list has commas of its own, and nothing but PARTITION follows. */
		ml_change_add(px, cs, ML_CH_OTHER);
		while (!ml_px_end(px) && !ml_px_is(px, 0, "PARTITION"))
			px->i++;
		return;
	} else if (table_option(px, cs)) {
		return; /* options follow each other without commas */
	} else if (ml_px_is(px, 0, "FORCE") || ml_px_is(px, 0, "ENABLE") || ml_px_is(px, 0, "DISABLE") ||
		   ml_px_is(px, 0, "ANALYZE") || ml_px_is(px, 0, "CHECK") || ml_px_is(px, 0, "OPTIMIZE") ||
		   ml_px_is(px, 0, "REBUILD") || ml_px_is(px, 0, "REPAIR") || ml_px_is(px, 0, "IMPORT") ||
		   ml_px_is(px, 0, "DISCARD") || ml_px_is(px, 0, "CONVERT") || ml_px_is(px, 0, "SECONDARY_LOAD")) {
		it->needs_reread = it->needs_reread || ml_px_is(px, 0, "CONVERT");
		ml_change_add(px, cs, ML_CH_OTHER);
	} else {
		/* ENGINE = x, ROW_FORMAT = x, UNION = (a, b), `STATS..` = 1: an option of no matter, one at a time. */
		ml_change_add(px, cs, ML_CH_OTHER);
		px->i++;
		option_value(px);
		return;
	}
	if (cs->n == n)
		ml_change_add(px, cs, ML_CH_OTHER);
	if (cs->v[cs->n - 1].kind >= ML_CH_ADD_PARTITION && cs->v[cs->n - 1].kind <= ML_CH_PARTITION_BY) {
		/* Lists of partitions have commas too, and nothing follows them. */
		while (!ml_px_end(px))
			px->i++;
		return;
	}
	while (!ml_px_end(px) && !ml_px_punct(px, 0, ',')) {
		/* Partitioning may follow a column without a comma. */
		if (ml_px_is(px, 0, "PARTITION") && ml_px_is(px, 1, "BY") &&
			cs->v[cs->n - 1].kind != ML_CH_PARTITION_BY)
			return;
		if (ml_px_punct(px, 0, '('))
			ml_px_skip_parens(px);
		else
			px->i++;
	}
}

void
ml_px_alter_specs(struct ml_px *px, struct ml_changes *cs, struct ml_ddl_item *it)
{
	if (ml_px_take(px, "WAIT") && !ml_px_end(px))
		px->i++;
	ml_px_take(px, "NOWAIT");
	while (!ml_px_end(px) && !ml_px_punct(px, 0, ';')) {
		uint32_t at = px->i;

		if (ml_px_take_punct(px, ','))
			continue;
		spec(px, cs, it);
		if (px->i == at)
			px->i++;
	}
}

int
ml_changes_action(const struct ml_changes *cs)
{
	static const uint8_t action[] = {
		[ML_CH_ADD_COLUMN] = 5,
		[ML_CH_MODIFY_COLUMN] = 12,
		[ML_CH_DROP_COLUMN] = 6,
		[ML_CH_RENAME_COLUMN] = 12,
		[ML_CH_SET_DEFAULT] = 15,
		[ML_CH_DROP_DEFAULT] = 15,
		[ML_CH_ADD_INDEX] = 7,
		[ML_CH_DROP_INDEX] = 8,
		[ML_CH_DROP_PRIMARY] = 33,
		[ML_CH_RENAME_INDEX] = 18,
		[ML_CH_INDEX_VISIBILITY] = 41,
		[ML_CH_ADD_FOREIGN] = 9,
		[ML_CH_DROP_FOREIGN] = 10,
		[ML_CH_CONVERT_CHARSET] = 22,
		[ML_CH_DEFAULT_CHARSET] = 22,
		[ML_CH_COMMENT] = 17,
		[ML_CH_AUTO_INCREMENT] = 13,
		[ML_CH_RENAME_TABLE] = 14,
		[ML_CH_ADD_PARTITION] = 19,
		[ML_CH_DROP_PARTITION] = 20,
		[ML_CH_TRUNCATE_PARTITION] = 23,
		[ML_CH_REORGANIZE_PARTITION] = 64,
		[ML_CH_EXCHANGE] = 42,
		[ML_CH_PARTITION_BY] = 71,
		[ML_CH_REMOVE_PARTITIONING] = 72,
		[ML_CH_VERSIONING] = 0,
		[ML_CH_OTHER] = 0,
	};
	int one = 0, n = 0;

	for (uint32_t i = 0; i < cs->n; i++) {
		int code = action[cs->v[i].kind];

		if (cs->v[i].kind == ML_CH_ADD_INDEX && cs->v[i].primary)
			code = 32;
		if (code == 0)
			continue;
		one = code;
		n++;
	}
	/* Several changes in one statement are TiDB's multi-schema change, also when they are of one kind. */
	return n > 1 ? 61 : one;
}
