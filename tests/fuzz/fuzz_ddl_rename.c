/*
 * fuzz_ddl_rename.c - new names in the text of DDL: nothing crashes, without new names nothing changes, and giving new names
 * and taking them back leaves the same tokens.
 *
 * The first byte chooses modes; the rest is the statement.
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "capture-worker/event/ddl_rename.h"
#include "capture-worker/event/ddl_token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct naming {
	struct ml_arena *a;
	int way; /* 1: to new names, -1: back, 0: none */
};

static struct ml_text
changed(struct naming *n, struct ml_text t)
{
	char *p;

	if (n->way == 0 || t.len == 0)
		return t;
	p = ml_arena_bytes(n->a, t.len + 2u);
	memcpy(p, t.s, t.len);
	if (n->way > 0) {
		p[t.len++] = '_';
	} else {
		if (t.s[t.len - 1] != '_')
			abort(); /* a name that was not renamed before */
		t.len--;
	}
	p[t.len] = '\0';
	return (struct ml_text){ p, t.len };
}

static int
name(void *arg, struct ml_text db, struct ml_text table, struct ml_text *new_db, struct ml_text *new_table,
	struct ml_err *err)
{
	(void)err;
	*new_db = db.len > 0 && strcmp(db.s, "d") == 0 ? db : changed(arg, db);
	*new_table = changed(arg, table);
	return 0;
}

static int
renamed(struct ml_arena *a, struct ml_text in, uint64_t mode, int way, struct ml_text *out)
{
	struct naming n = { a, way };
	struct ml_ddl_names names = {
		.db = { "d", 1 }, .new_db = { "d", 1 }, .sql_mode = mode, .name = name, .arg = &n
	};
	struct ml_err err = { 0 };

	if (ml_ddl_rename(&names, in, a, out, &err) == 0)
		return 0;
	if (err.code != ML_ErrTableRoutingFailed)
		abort();
	return -1;
}

/* Same tokens, but for quotes around names, and the case of those in front of columns. */
static void
same_tokens(struct ml_arena *a, struct ml_text x, struct ml_text y, uint64_t mode)
{
	struct ml_lexer lx, ly;

	ml_lexer_init(&lx, x.s, x.len, mode, 0, true);
	ml_lexer_init(&ly, y.s, y.len, mode, 0, true);
	for (;;) {
		struct ml_tok t = ml_lexer_next(&lx), u = ml_lexer_next(&ly);
		struct ml_text tt = ml_tok_text(&lx, &t, a), ut = ml_tok_text(&ly, &u, a);

		if (tt.len != ut.len || strncasecmp(tt.s, ut.s, tt.len) != 0)
			abort();
		if (t.kind == ML_TK_END)
			return;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ml_arena a;
	struct ml_text in, same, there, back;
	uint64_t mode = 0;

	if (size < 1 || size > 65536)
		return 0;
	if (data[0] & 1)
		mode |= ML_SQL_MODE_ANSI_QUOTES;
	if (data[0] & 2)
		mode |= ML_SQL_MODE_NO_BACKSLASH_ESCAPES;
	ml_arena_init(&a, 0);
	in = (struct ml_text){ ml_arena_strndup(&a, (const char *)data + 1, size - 1), (uint32_t)size - 1 };
	if (renamed(&a, in, mode, 0, &same) == 0 && (same.len != in.len || memcmp(same.s, in.s, in.len) != 0))
		abort();
	if (renamed(&a, in, mode, 1, &there) == 0) {
		if (there.s[there.len] != '\0')
			abort();
		if (renamed(&a, there, mode, -1, &back) == 0)
			same_tokens(&a, in, back, mode);
	}
	ml_arena_fini(&a);
	return 0;
}
