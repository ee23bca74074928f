#include "capture-worker/shaper/shaper.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "capture-worker/event/rules.h"
#include "capture-worker/shaper/columns.h"
#include "capture-worker/shaper/mask.h"

/* One entry of column-selectors or mask. */
struct rule {
	struct ml_rules *matcher;
	struct ml_columns *columns;
	struct ml_mask *mask; /* NULL: a selector */
};

struct rules {
	struct rule *v;
	size_t n;
};

struct ml_shaper {
	uint64_t serial; /* tells whose facts hang on schema->shape */
	struct rules selectors, masks;
	/* Dispatch rules, if rows have partitions: the first that accepts a table may need columns of it. */
	const Ml__ChangefeedSpec *spec;
	struct ml_rules **dispatch;
	size_t n_dispatch;
};

/* What was decided for one version of a table. */
struct shape {
	uint64_t serial;
	uint16_t n_drop, n_masks;
	uint16_t *drop; /* columns to remove */
	struct ml_mask_column *masks;
	struct ml_arena arena;
};

/* --- rules ---------------------------------------------------------------------------------------------------------------- */

static int
read_rule(
	struct rule *r, const struct ml_json *j, bool mask, bool case_sensitive, struct ml_arena *a, struct ml_err *err)
{
	struct lists {
		struct ml_json_strs matcher, columns;
	} l = { 0 };
	static const struct ml_json_field fields[] = {
		{ "matcher", ML_JK_STRS, offsetof(struct lists, matcher) },
		{ "columns", ML_JK_STRS, offsetof(struct lists, columns) },
	};
	struct ml_err detail = { 0 };

	if (ml_json_decode(j, mask ? "mask." : "column-selectors.", fields, 2, &l, a, &detail) < 0)
		return ML_ERR(err, ErrSinkInvalidConfig, 0, detail.text);
	/* A mask that can never apply would leave in the clear what somebody believes hidden. */
	if (mask && (l.matcher.n == 0 || l.columns.n == 0))
		return ML_ERR(err, ErrColumnMaskFailed, 0, "a mask needs a matcher and columns");
	if (ml_rules_new(&r->matcher, (char *const *)(uintptr_t)l.matcher.v, l.matcher.n, case_sensitive, false, err) <
			0 ||
		ml_columns_new(&r->columns, l.columns.v, l.columns.n, err) < 0)
		return -1;
	return mask ? ml_mask_new(&r->mask, j, err) : 0;
}

static int
read_rules(struct rules *rules, const struct ml_json *config, const char *key, bool mask, bool case_sensitive,
	struct ml_arena *a, struct ml_err *err)
{
	const struct ml_json *list = ml_json_get(config, key);

	if (list == NULL || list->type == ML_JSON_NULL || (list->type == ML_JSON_ARRAY && list->n == 0))
		return 0;
	if (list->type != ML_JSON_ARRAY)
		return ML_ERRF(err, ErrSinkInvalidConfig, 0, "sink config invalid: %s is not a list", key);
	rules->v = calloc(list->n, sizeof(*rules->v));
	if (rules->v == NULL)
		abort();
	for (const struct ml_json *j = list->child; j != NULL; j = j->next) {
		if (j->type != ML_JSON_OBJECT)
			return ML_ERRF(err, ErrSinkInvalidConfig, 0,
				"sink config invalid: an entry of %s is not an object", key);
		if (read_rule(&rules->v[rules->n++], j, mask, case_sensitive, a, err) < 0)
			return -1;
	}
	return 0;
}

static void
rules_fini(struct rules *rules)
{
	for (size_t i = 0; i < rules->n; i++) {
		ml_rules_free(rules->v[i].matcher);
		ml_columns_free(rules->v[i].columns);
		ml_mask_free(rules->v[i].mask);
	}
	free(rules->v);
}

static int
read_dispatch(struct ml_shaper *sh, struct ml_err *err)
{
	const Ml__ChangefeedSpec *spec = sh->spec;

	sh->dispatch = calloc(spec->n_dispatchers + 1, sizeof(struct ml_rules *));
	if (sh->dispatch == NULL)
		abort();
	for (; sh->n_dispatch < spec->n_dispatchers; sh->n_dispatch++) {
		const Ml__DispatchRule *r = spec->dispatchers[sh->n_dispatch];

		if (ml_rules_new(&sh->dispatch[sh->n_dispatch], r->matcher, r->n_matcher, spec->case_sensitive, false,
			    err) < 0)
			return -1;
	}
	return 0;
}

int
ml_shaper_new(struct ml_shaper **out, const Ml__ChangefeedSpec *spec, bool topics, struct ml_err *err)
{
	static atomic_uint_fast64_t serials;
	struct ml_shaper *sh = calloc(1, sizeof(*sh));
	const char *text = spec->sink_config_json;
	struct ml_json *config = NULL;
	struct ml_arena a;
	int rc = 0;

	if (sh == NULL)
		abort();
	sh->serial = atomic_fetch_add(&serials, 1) + 1;
	sh->spec = spec;
	ml_arena_init(&a, 4096);
	if (text != NULL && text[0] != '\0')
		rc = ml_json_parse(&config, &a, text, strlen(text), err);
	if (rc == 0 && config != NULL)
		rc = read_rules(&sh->selectors, config, "column-selectors", false, spec->case_sensitive, &a, err) < 0 ||
				     read_rules(&sh->masks, config, "mask", true, spec->case_sensitive, &a, err) < 0 ||
				     (topics && sh->selectors.n > 0 && read_dispatch(sh, err) < 0)
			     ? -1
			     : 0;
	ml_arena_fini(&a);
	if (rc < 0) {
		ml_shaper_free(sh);
		return -1;
	}
	*out = sh;
	return 0;
}

void
ml_shaper_free(struct ml_shaper *sh)
{
	if (sh == NULL)
		return;
	rules_fini(&sh->selectors);
	rules_fini(&sh->masks);
	for (size_t i = 0; i < sh->n_dispatch; i++)
		ml_rules_free(sh->dispatch[i]);
	free(sh->dispatch);
	free(sh);
}

static bool
matches(const struct ml_rules *r, const struct ml_schema *s)
{
	return ml_rules_match(r, s->db.s, s->db.len, s->table.s, s->table.len);
}

/* --- one table ------------------------------------------------------------------------------------------------------------ */

static bool
dropped(const struct shape *f, uint16_t col)
{
	for (uint16_t i = 0; i < f->n_drop; i++)
		if (f->drop[i] == col)
			return true;
	return false;
}

static bool
remains_whole(const struct shape *f, const struct ml_index *x)
{
	for (uint16_t i = 0; i < x->n_cols; i++)
		if (dropped(f, x->cols[i]))
			return false;
	return true;
}

static int
check_keys(const struct shape *f, const struct ml_schema *s, struct ml_err *err)
{
	bool primary = false;

	for (uint16_t i = 0; i < s->n_indexes; i++) {
		const struct ml_index *x = &s->indexes[i];

		primary |= x->primary;
		if ((x->primary || x->unique) && remains_whole(f, x))
			return 0;
	}
	if (!primary)
		return 0;
	return ML_ERRF(err, ErrColumnSelectorFailed, 0,
		"column selector failed: neither the primary key nor a unique index of table %s remains whole",
		s->qname.s);
}

static int
check_dispatch(const struct ml_shaper *sh, const struct shape *f, const struct ml_schema *s, struct ml_err *err)
{
	const Ml__DispatchRule *r = NULL;

	for (size_t i = 0; i < sh->n_dispatch && r == NULL; i++)
		if (matches(sh->dispatch[i], s))
			r = sh->spec->dispatchers[i];
	if (r == NULL || strcasecmp(r->partition, "columns") != 0)
		return 0;
	for (size_t i = 0; i < r->n_columns; i++) {
		int col = ml_schema_column(s, r->columns[i], strlen(r->columns[i]));

		if (col >= 0 && dropped(f, (uint16_t)col))
			return ML_ERRF(err, ErrColumnSelectorFailed, 0,
				"column selector failed: the filtered out column is used in the column dispatcher, table: %s, column: %s",
				s->qname.s, r->columns[i]);
	}
	return 0;
}

static int
select_columns(const struct ml_shaper *sh, struct shape *f, const struct ml_schema *s, struct ml_err *err)
{
	size_t i = 0;

	while (i < sh->selectors.n && !matches(sh->selectors.v[i].matcher, s))
		i++;
	if (i == sh->selectors.n)
		return 0;
	f->drop = ml_arena_alloc(&f->arena, s->n_columns * sizeof(*f->drop));
	for (uint16_t c = 0; c < s->n_columns; c++)
		if (!ml_columns_match(sh->selectors.v[i].columns, s->columns[c].name.s, s->columns[c].name.len))
			f->drop[f->n_drop++] = c;
	return check_keys(f, s, err) < 0 || check_dispatch(sh, f, s, err) < 0 ? -1 : 0;
}

static int
bind_masks(const struct ml_shaper *sh, struct shape *f, const struct ml_schema *s, struct ml_err *err)
{
	struct ml_mask_column bound;
	bool *taken = ml_arena_zalloc(&f->arena, s->n_columns * sizeof(*taken));

	f->masks = ml_arena_alloc(&f->arena, s->n_columns * sizeof(*f->masks));
	for (size_t i = 0; i < sh->masks.n; i++) {
		const struct rule *r = &sh->masks.v[i];

		if (!matches(r->matcher, s))
			continue;
		for (uint16_t c = 0; c < s->n_columns; c++) {
			const struct ml_column *column = &s->columns[c];

			if (taken[c] || column->virtual_generated || dropped(f, c) ||
				!ml_columns_match(r->columns, column->name.s, column->name.len))
				continue;
			taken[c] = true;
			if (ml_mask_bind(&bound, r->mask, s, c, &f->arena, err) < 0)
				return -1;
			f->masks[f->n_masks++] = bound;
		}
	}
	return 0;
}

static void
shape_free(void *p)
{
	struct shape *f = p;

	if (f == NULL)
		return;
	ml_arena_fini(&f->arena);
	free(f);
}

static int
make_shape(struct shape **out, const struct ml_shaper *sh, const struct ml_schema *s, struct ml_err *err)
{
	struct shape *f = calloc(1, sizeof(*f));

	if (f == NULL)
		abort();
	f->serial = sh->serial;
	ml_arena_init(&f->arena, 1024);
	if (select_columns(sh, f, s, err) < 0 || (sh->masks.n > 0 && bind_masks(sh, f, s, err) < 0)) {
		shape_free(f);
		return -1;
	}
	*out = f;
	return 0;
}

int
ml_shaper_check(struct ml_shaper *sh, const struct ml_schema *s, struct ml_err *err)
{
	struct shape *f;

	if (make_shape(&f, sh, s, err) < 0)
		return -1;
	shape_free(f);
	return 0;
}

/* --- rows ----------------------------------------------------------------------------------------------------------------- */

static const struct shape *
shape_of(struct ml_shaper *sh, struct ml_schema *s, struct ml_err *err)
{
	struct shape *f = s->shape;

	if (__builtin_expect(f != NULL && f->serial == sh->serial, 1))
		return f;
	if (make_shape(&f, sh, s, err) < 0)
		return NULL;
	if (s->shape_free != NULL)
		s->shape_free(s->shape);
	s->shape = f;
	s->shape_free = shape_free;
	return f;
}

/* The image is the batch's own memory; only those who read rows see it as constant. */
static void
shape_image(const struct shape *f, const struct ml_datum *image, struct ml_arena *a)
{
	struct ml_datum *d = (struct ml_datum *)(uintptr_t)image;

	if (d == NULL)
		return;
	for (uint16_t i = 0; i < f->n_drop; i++)
		d[f->drop[i]].kind = ML_D_ABSENT;
	for (uint16_t i = 0; i < f->n_masks; i++)
		ml_mask_apply(&f->masks[i], &d[f->masks[i].col], a);
}

int
ml_shaper_rows(struct ml_shaper *sh, struct ml_batch *b, struct ml_err *err)
{
	if (sh->selectors.n == 0 && sh->masks.n == 0)
		return 0;
	for (uint32_t i = 0; i < b->n_rows; i++) {
		const struct ml_row *row = &b->rows[i];
		const struct shape *f = shape_of(sh, row->schema, err);

		if (f == NULL)
			return -1;
		shape_image(f, row->before, &b->arena);
		shape_image(f, row->after, &b->arena);
	}
	return 0;
}
