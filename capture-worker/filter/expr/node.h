/*
 * node.h - the compiled form of a value expression: a tree of nodes, each with the one function that gives its value.  What
 * types, collations and constants can tell is decided when it is compiled; running it allocates nothing but scratch memory
 * that is used again for the next row.
 */
#ifndef ML_WORKER_FILTER_EXPR_NODE_H
#define ML_WORKER_FILTER_EXPR_NODE_H
#include <stdbool.h>
#include <stdint.h>

#include "capture-worker/event/pattern.h"
#include "capture-worker/event/row.h"
#include "capture-worker/filter/expr/collation.h"
#include "capture-worker/filter/expr/decimal.h"
#include "capture-worker/filter/expr/parse.h"
#include "common/base/err.h"

struct ml_json;
struct ml_tz;
struct ml_node;

/* Type that a node's values have when they are not NULL. */
enum ml_xtype { ML_X_NULL, ML_X_INT, ML_X_DEC, ML_X_REAL, ML_X_STR, ML_X_DATE, ML_X_DATETIME, ML_X_TIME, ML_X_JSON };

enum ml_vkind {
	ML_V_NULL,
	ML_V_INT,
	ML_V_UINT, /* of ML_X_INT */
	ML_V_DEC,
	ML_V_REAL,
	ML_V_STR,
	ML_V_WHEN, /* of ML_X_DATE and ML_X_DATETIME: ml_when_pack */
	ML_V_TIME, /* i: microseconds */
	ML_V_JSON,
};

struct ml_value {
	uint8_t kind; /* enum ml_vkind */
	uint32_t len; /* of s */
	union {
		int64_t i;
		uint64_t u;
		double f;
		const char *s;
		const struct ml_dec *d;
		const struct ml_json *j;
	};
};

/* One evaluation. */
struct ml_run {
	const struct ml_datum *image; /* NULL while constants are folded */
	struct ml_arena *a;           /* scratch; values may point into it */
	const struct ml_tz *tz;
	const char *text; /* of the expression, for messages; NULL: the reason alone */
	struct ml_err *err;
};

/* 0 with *v set, or -1 with r->err. */
typedef int ml_eval(struct ml_run *r, const struct ml_node *x, struct ml_value *v);

struct ml_node {
	ml_eval *eval;
	struct ml_node **kids;
	uint32_t n;
	int op;               /* as in the tree, or the function's own */
	uint8_t type;         /* enum ml_xtype */
	uint8_t digits;       /* behind the point: of seconds, of a decimal */
	uint8_t coercibility; /* of coll: less is stronger; see ML_COERCE_... */
	bool constant;
	bool bytes;               /* x'..' and the like: a number where one is wanted */
	bool mixed;               /* text of columns with different collations: it compares with nothing */
	bool named;               /* ENUM and SET columns: names as text, numbers where a number is wanted */
	struct ml_collation coll; /* of text; of a comparison */
	int column;               /* of a column; else -1 */
	const struct ml_column *def;
	struct ml_value value; /* of a constant */
	struct ml_regex *regex;
};

enum { ML_COERCE_COLUMN = 2, ML_COERCE_LITERAL = 4, ML_COERCE_NUMBER = 5 };

/* A regular expression in use: kept until the pattern's text changes. */
struct ml_regex {
	struct ml_regex *next; /* of all in the expression */
	struct ml_pattern *pattern;
	struct ml_pattern_scratch *scratch;
	char *text;
	size_t len, cap;
	bool folds;
};

/* Compiling for one definition of a table. */
struct ml_binding {
	const struct ml_schema *schema;
	const struct ml_tz *tz;
	const char *text;
	struct ml_arena *a; /* lives as long as the compiled form */
	struct ml_regex *regexes;
};

/* bind.c; NULL with err: ErrInvalidFilterExpression, ErrExpressionColumnNotFound. */
struct ml_node *ml_bind(struct ml_binding *b, const struct ml_ast *t, struct ml_err *err);
/* -1 with ErrInvalidFilterExpression. */
int ml_bind_fail(const struct ml_binding *b, struct ml_err *err, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The node as a number: positions of ENUM, bitmaps of SET, binary literals as integers. */
struct ml_node *ml_bind_number(struct ml_binding *b, struct ml_node *x);
/* x->coll and x->coercibility from its kids; err NULL: kids that do not go together make x->mixed, else they are an error. */
int ml_bind_collation(struct ml_binding *b, struct ml_node *x, uint32_t from, uint32_t end, struct ml_err *err);
/* One type for the kids [from, end) in steps, as CASE and COALESCE have it; also digits and collation of x. */
int ml_bind_merge(
	struct ml_binding *b, struct ml_node *x, uint32_t from, uint32_t end, uint32_t step, struct ml_err *err);
/* Wraps x so that its values have this type; x itself if they have. */
struct ml_node *ml_bind_as(struct ml_binding *b, struct ml_node *x, enum ml_xtype type, uint8_t digits);
/* How two nodes compare. */
struct ml_node *ml_bind_cmp(struct ml_binding *b, int op, struct ml_node *l, struct ml_node *r, struct ml_err *err);
/* A node of arithmetic with its two kids and op set: chooses type and function. */
struct ml_node *ml_bind_arith(struct ml_binding *b, struct ml_node *x, struct ml_err *err);
struct ml_node *ml_bind_new(struct ml_binding *b, ml_eval *eval, enum ml_xtype type, uint32_t n);
#endif
