#include "capture-worker/filter/expr/expr.h"

#include <stdlib.h>

#include "capture-worker/filter/expr/eval.h"
#include "capture-worker/filter/expr/value.h"

struct ml_expr {
	struct ml_arena a; /* the nodes */
	struct ml_arena scratch;
	struct ml_node *root;
	struct ml_regex *regexes;
	const struct ml_tz *tz;
	const char *text;
};

int
ml_expr_new(struct ml_expr **out, const struct ml_parsed *parsed, const struct ml_schema *schema,
	const struct ml_tz *tz, struct ml_err *err)
{
	struct ml_expr *e = calloc(1, sizeof(*e));
	struct ml_binding b = { .schema = schema, .tz = tz, .text = parsed->text };

	if (e == NULL)
		abort();
	ml_arena_init(&e->a, 2048);
	ml_arena_init(&e->scratch, 4096);
	b.a = &e->a;
	e->tz = tz;
	e->text = parsed->text;
	e->root = ml_bind(&b, parsed->root, err);
	e->regexes = b.regexes;
	if (e->root == NULL) {
		ml_expr_free(e);
		return -1;
	}
	*out = e;
	return 0;
}

void
ml_expr_free(struct ml_expr *e)
{
	if (e == NULL)
		return;
	while (e->regexes != NULL) {
		struct ml_regex *re = e->regexes;

		e->regexes = re->next;
		ml_pattern_free(re->pattern);
		ml_pattern_scratch_free(re->scratch);
		free(re->text);
		free(re);
	}
	ml_arena_fini(&e->a);
	ml_arena_fini(&e->scratch);
	free(e);
}

int
ml_expr_value(struct ml_expr *e, const struct ml_datum *image, struct ml_value *v, struct ml_err *err)
{
	struct ml_run r = { .image = image, .a = &e->scratch, .tz = e->tz, .text = e->text, .err = err };

	if (e->scratch.total_bytes > 0)
		ml_arena_reset(&e->scratch);
	return e->root->eval(&r, e->root, v);
}

int
ml_expr_is_one(struct ml_expr *e, const struct ml_datum *image, struct ml_err *err)
{
	struct ml_value v;

	if (ml_expr_value(e, image, &v, err) < 0)
		return -1;
	return (v.kind == ML_V_INT || v.kind == ML_V_UINT) && v.i == 1;
}

bool
ml_expr_quick(const struct ml_expr *e, struct ml_expr_quick *q)
{
	const struct ml_node *x = e->root;
	int op = x->op;

	if (x->eval != ml_eval_cmp_column || x->kids[1]->value.kind != ML_V_INT)
		return false;
	*q = (struct ml_expr_quick){
		.column = (uint16_t)x->kids[0]->column,
		.below = op == '<' || op == ML_SYM_LE || op == ML_SYM_NE,
		.equal = op == '=' || op == ML_SYM_LE || op == ML_SYM_GE,
		.above = op == '>' || op == ML_SYM_GE || op == ML_SYM_NE,
		.i = x->kids[1]->value.i,
	};
	return true;
}

void
ml_expr_print(struct ml_expr *e, const struct ml_value *v, struct ml_buf *out)
{
	struct ml_run r = { .a = &e->scratch };
	struct ml_value t;

	if (v->kind == ML_V_NULL) {
		ml_buf_puts(out, "NULL");
		return;
	}
	t = ml_value_text(&r, e->root, v);
	ml_buf_put(out, t.s, t.len);
}
