#include "capture-worker/encoder/canal/table.h"

#include <stdlib.h>
#include <string.h>

#include "capture-worker/encoder/java_type.h"
#include "capture-worker/encoder/varint.h"

static void
table_free(void *p)
{
	struct cn_table *t = p;

	if (t == NULL)
		return;
	ml_arena_fini(&t->arena);
	free(t);
}

static char *
put_tagged(char *p, int tag, const char *s, size_t n)
{
	*p++ = (char)tag;
	p = ml_put_uvarint(p, n);
	memcpy(p, s, n);
	return p + n;
}

/* One piece of a column: its type code, name and flags, and the tag of `isNull`. */
static struct ml_text
column_text(struct ml_arena *a, const struct ml_column *c, int code, bool updated)
{
	char *s = ml_arena_bytes(a, c->name.len + 2 * ML_UVARINT_MAX + 8), *p = s;

	*p++ = CN_COLUMN_SQL_TYPE;
	p = ml_put_uvarint(p, (uint64_t)(int64_t)code);
	p = put_tagged(p, CN_COLUMN_NAME, c->name.s, c->name.len);
	if (c->flags & ML_F_PRIMARY_KEY) {
		*p++ = CN_COLUMN_KEY;
		*p++ = 1;
	}
	if (updated) {
		*p++ = CN_COLUMN_UPDATED;
		*p++ = 1;
	}
	*p++ = CN_COLUMN_NULL;
	return (struct ml_text){ s, (uint32_t)(p - s) };
}

static void
make_column(struct cn_table *t, struct cn_column *out, const struct ml_column *c)
{
	int code = ml_java_code(c), promoted = ml_java_code_promoted(c, &out->bound);
	char *s = ml_arena_bytes(&t->arena, c->type_short.len + ML_UVARINT_MAX + 1);

	out->updated[0] = column_text(&t->arena, c, code, true);
	out->deleted[0] = column_text(&t->arena, c, code, false);
	out->promotes = promoted != 0;
	if (out->promotes) {
		out->updated[1] = column_text(&t->arena, c, promoted, true);
		out->deleted[1] = column_text(&t->arena, c, promoted, false);
	}
	out->type.s = s;
	out->type.len = (uint32_t)(put_tagged(s, CN_COLUMN_MYSQL_TYPE, c->type_short.s, c->type_short.len) - s);
	out->latin1 = ml_column_is_binary(c);
	out->handle = c->flags & ML_F_HANDLE_KEY;
}

struct cn_table *
cn_table_of(struct ml_schema *s, uint64_t serial)
{
	struct cn_table *t = s->encoder;

	if (__builtin_expect(t != NULL && t->serial == serial, 1))
		return t;
	if (s->encoder_free != NULL)
		s->encoder_free(s->encoder);
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		abort();
	ml_arena_init(&t->arena, 4096);
	t->serial = serial;
	t->columns = ml_arena_zalloc(&t->arena, s->n_columns * sizeof(*t->columns));
	for (int i = 0; i < s->n_columns; i++)
		make_column(t, &t->columns[i], &s->columns[i]);
	s->encoder = t;
	s->encoder_free = table_free;
	return t;
}

char *
cn_put_head(char *p, struct ml_text db, struct ml_text table, int event, uint64_t ms, bool row)
{
	static const char front[] = { CN_HEADER_VERSION, CN_VERSION, CN_HEADER_ENCODING, 5, 'U', 'T', 'F', '-', '8' };
	static const char count[] = { CN_HEADER_PROPS, 14, CN_PAIR_KEY, 9, 'r', 'o', 'w', 's', 'C', 'o', 'u', 'n', 't',
		CN_PAIR_VALUE, 1, '1' };
	size_t len = sizeof(front) + 2 + 2; /* with sourceType and eventType, which are there whatever they are */

	if (ms > 0)
		len += 1 + ml_uvarint_len(ms);
	if (db.len > 0)
		len += 1 + ml_uvarint_len(db.len) + db.len;
	if (table.len > 0)
		len += 1 + ml_uvarint_len(table.len) + table.len;
	if (row)
		len += sizeof(count);
	*p++ = CN_ENTRY_HEADER;
	p = ml_put_uvarint(p, len);
	memcpy(p, front, sizeof(front));
	p += sizeof(front);
	if (ms > 0) {
		*p++ = CN_HEADER_TIME;
		p = ml_put_uvarint(p, ms);
	}
	*p++ = CN_HEADER_SOURCE;
	*p++ = CN_MYSQL;
	if (db.len > 0)
		p = put_tagged(p, CN_HEADER_SCHEMA, db.s, db.len);
	if (table.len > 0)
		p = put_tagged(p, CN_HEADER_TABLE, table.s, table.len);
	*p++ = CN_HEADER_EVENT;
	*p++ = (char)event;
	if (row) {
		memcpy(p, count, sizeof(count));
		p += sizeof(count);
	}
	*p++ = CN_ENTRY_TYPE;
	*p++ = CN_ROWDATA;
	return p;
}

const struct cn_head *
cn_head_of(struct cn_table *t, const struct ml_schema *s, int op, uint64_t ms)
{
	struct cn_head *h = &t->heads[op];

	if (__builtin_expect(h->s != NULL && h->ms == ms, 1))
		return h;
	if (h->s == NULL)
		h->s = ml_arena_bytes(&t->arena, CN_HEAD_MAX + s->db.len + s->table.len);
	h->len = (uint32_t)(cn_put_head(h->s, s->db, s->table, op, ms, true) - h->s);
	h->ms = ms;
	return h;
}
