/* fuzz_expr.c - the input is a value expression; what compiles is tried on one row. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "capture-worker/filter/expr/expr.h"
#include "tests/unit/capture-worker/filter/expr_row.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct ml_schema *table;
	struct ml_parsed *p = NULL;
	struct ml_expr *e = NULL;
	struct ml_err err = { 0 };
	struct ml_value v;
	char *text;

	if (size > 2000)
		return 0;
	if (table == NULL)
		table = expr_table();
	text = malloc(size + 1);
	if (text == NULL)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	if (ml_parse_expr(&p, text, &err) == 0 && ml_expr_new(&e, p, table, NULL, &err) == 0) {
		int first = ml_expr_is_one(e, expr_row, &err);

		if (ml_expr_is_one(e, expr_row, &err) != first)
			abort(); /* the same row has another value the second time */
		if (first >= 0 && ml_expr_value(e, expr_row, &v, &err) == 0) {
			struct ml_buf b = { 0 };

			ml_expr_print(e, &v, &b);
			ml_buf_fini(&b);
		}
	} else if (err.code != ML_ErrInvalidFilterExpression && err.code != ML_ErrExpressionColumnNotFound) {
		abort();
	}
	ml_expr_free(e);
	ml_parsed_free(p);
	free(text);
	return 0;
}
