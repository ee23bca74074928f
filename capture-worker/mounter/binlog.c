#include "capture-worker/mounter/binlog.h"

#include <stdlib.h>
#include <string.h>

#include "capture-worker/mounter/inflate.h"
#include "capture-worker/mounter/json_diff.h"
#include "common/base/buf.h"

/* Images. */
enum { BEFORE, AFTER };

/* Up to here the rest of an event is copied whole even if fewer rows are wanted now. */
#define COPY_WHOLE_BYTES (64u << 10)

void
ml_rows_init(struct ml_rows *r, void (*where)(void *arg, char *buf, size_t size), void *arg)
{
	*r = (struct ml_rows){ .where = where, .where_arg = arg };
}

void
ml_rows_fini(struct ml_rows *r)
{
	free(r->plain);
	ml_inflate_free(r->inflate);
	*r = (struct ml_rows){ 0 };
}

static int
corrupt(struct ml_rows *r, struct ml_err *err, const char *why)
{
	char at[512] = "";

	r->p = r->end;
	if (err == NULL)
		return -1;
	r->where(r->where_arg, at, sizeof(at));
	return ML_ERR(err, ErrMySQLEventCorrupt, 0, (unsigned)r->type, at, why);
}

static int
partial(struct ml_rows *r, struct ml_err *err, unsigned n)
{
	const struct ml_schema *schema = r->dec->schema;
	char at[512] = "";

	r->p = r->end;
	if (err == NULL)
		return -1;
	r->where(r->where_arg, at, sizeof(at));
	return ML_ERR(err, ErrMySQLRowImagePartial, 0, at, schema->qname.s != NULL ? schema->qname.s : "?", n,
		r->dec->n_columns);
}

/* Columns of the bitmap that are present; what lies behind the last column's bit does not count. */
static unsigned
count_present(const struct ml_rowdec *dec, const uint8_t *bits)
{
	unsigned count = (unsigned)__builtin_popcount(bits[dec->null_bytes - 1] & dec->last_null_mask);

	for (unsigned i = 0; i + 1 < dec->null_bytes; i++)
		count += (unsigned)__builtin_popcount(bits[i]);
	return count;
}

/* Are all columns there that nothing else tells? */
static bool
complete(const struct ml_rowdec *dec, const uint8_t *bits)
{
	for (unsigned i = 0; i < dec->n_columns; i++)
		if (!(bits[i / 8] >> (i % 8) & 1) && !dec->cols[i].derived)
			return false;
	return true;
}

/* The rows of a compressed event into r->plain. */
static const char *
unpack(struct ml_rows *r, const uint8_t *p, const uint8_t *end)
{
	size_t len;
	bool raw;

	if (ml_inflate_descriptor(&p, end, &len, &raw) != 0)
		return "compressed rows with an unknown header";
	if (r->inflate == NULL)
		r->inflate = ml_inflate_new();
	if (len > r->plain_cap) {
		uint8_t *plain = realloc(r->plain, len);

		if (plain == NULL)
			return "compressed rows larger than memory";
		r->plain = plain;
		r->plain_cap = len;
	}
	if (ml_inflate_run(r->inflate, raw, p, (size_t)(end - p), r->plain, len) != 0)
		return "compressed rows do not unpack";
	r->p = r->plain;
	r->end = r->plain + len;
	return NULL;
}

int
ml_rows_open(
	struct ml_rows *r, struct ml_rowdec *dec, uint8_t type, const uint8_t *body, size_t len, struct ml_err *err)
{
	static const uint8_t ops[3] = { ML_OP_INSERT, ML_OP_UPDATE, ML_OP_DELETE };
	bool v2 = (type >= ML_EV_WRITE_V2 && type <= ML_EV_DELETE_V2) || type == ML_EV_PARTIAL_UPDATE;
	bool compressed = type >= ML_EV_WRITE_COMPRESSED;
	struct ml_rd rd = ml_rd_of(body, len);
	const char *bad;

	r->dec = dec;
	r->type = type;
	r->p = r->end = NULL;
	r->partial_json = type == ML_EV_PARTIAL_UPDATE;
	if (!ml_is_rows_event(type))
		return corrupt(r, err, "not a rows event");
	r->op = r->partial_json ? ML_OP_UPDATE
				: ops[compressed ? type - ML_EV_WRITE_COMPRESSED
					  : v2   ? type - ML_EV_WRITE_V2
						 : type - ML_EV_WRITE_V1];
	ml_rd_bytes(&rd, 8);
	if (v2) {
		unsigned extra = (unsigned)ml_rd_le(&rd, 2);

		if (rd.bad || extra < 2)
			return corrupt(r, err, "extra data of impossible length");
		ml_rd_bytes(&rd, extra - 2);
	}
	if (ml_rd_lenenc(&rd) != dec->n_columns || rd.bad)
		return corrupt(r, err, "number of columns is not the TABLE_MAP's");
	for (int image = BEFORE; image <= AFTER; image++) {
		if ((image == BEFORE && r->op == ML_OP_INSERT) || (image == AFTER && r->op == ML_OP_DELETE)) {
			r->present[image] = NULL;
			r->n_present[image] = 0;
			continue;
		}
		r->present[image] = ml_rd_bytes(&rd, dec->null_bytes);
		if (r->present[image] == NULL)
			return corrupt(r, err, "columns run past the end");
		r->n_present[image] = (uint16_t)count_present(dec, r->present[image]);
	}
	r->full_before = r->n_present[BEFORE] == dec->n_columns;
	r->full_after = r->n_present[AFTER] == dec->n_columns;
	/* What an after image leaves out is in the before image. */
	if (r->op != ML_OP_INSERT && !r->full_before && !complete(dec, r->present[BEFORE]))
		return partial(r, err, r->n_present[BEFORE]);
	if (r->op == ML_OP_INSERT && !r->full_after && !complete(dec, r->present[AFTER]))
		return partial(r, err, r->n_present[AFTER]);
	r->p = rd.p;
	r->end = rd.end;
	if (compressed && (bad = unpack(r, rd.p, rd.end)) != NULL)
		return corrupt(r, err, bad);
	return 0;
}

/* ---- walking ---- */

/* Length of the value behind a prefix of 1 to 4 bytes. */
static inline uint32_t
read_prefix(const uint8_t *p, unsigned size)
{
	switch (size) {
	case 1:
		return p[0];
	case 2:
		return (uint32_t)p[0] | (uint32_t)p[1] << 8;
	case 3:
		return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16;
	default:
		return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
	}
}

/* Behind the value of one column at p; NULL: it runs past the end. */
static inline const uint8_t *
skip_value(const struct ml_coldec *cd, const uint8_t *p, const uint8_t *end)
{
	size_t left = (size_t)(end - p), n = cd->size;

	if (left < n)
		return NULL;
	if (cd->op > ML_COP_LAST_FIXED) {
		n = read_prefix(p, cd->size);
		p += cd->size;
		if (left - cd->size < n)
			return NULL;
	}
	return p + n;
}

/* The value options in front of a PARTIAL_UPDATE's after image; *diff: bitmap of the JSON columns, NULL: none is partial. */
static const uint8_t *
read_options(const struct ml_rowdec *dec, const uint8_t *p, const uint8_t *end, const uint8_t **diff)
{
	struct ml_rd rd = ml_rd_of(p, (size_t)(end - p));
	uint64_t options = ml_rd_lenenc(&rd);

	*diff = NULL;
	if (options & 1)
		*diff = ml_rd_bytes(&rd, (dec->n_json + 7u) / 8);
	return rd.bad ? NULL : rd.p;
}

/* Any image, column by column.  *row_end: where that column's value stands, NULL if it is NULL or absent. */
static const uint8_t *
walk_columns(const struct ml_rows *r, int image, const uint8_t *p, const uint8_t *end, const uint8_t **row_end)
{
	const struct ml_rowdec *dec = r->dec;
	const uint8_t *present = r->present[image], *nulls, *diff = NULL;
	size_t null_bytes = (r->n_present[image] + 7u) / 8;
	unsigned bit = 0, json = 0;

	*row_end = NULL;
	if (r->partial_json && image == AFTER && (p = read_options(dec, p, end, &diff)) == NULL)
		return NULL;
	if ((size_t)(end - p) < null_bytes)
		return NULL;
	nulls = p;
	p += null_bytes;
	for (unsigned i = 0; i < dec->n_columns; i++) {
		const struct ml_coldec *cd = &dec->cols[i];
		bool partial_value = false;

		if (cd->op == ML_COP_JSON && diff != NULL) {
			partial_value = diff[json / 8] >> (json % 8) & 1;
			json++;
		}
		if (!(present[i / 8] >> (i % 8) & 1))
			continue;
		if (nulls[bit / 8] >> (bit % 8) & 1) {
			bit++;
			continue;
		}
		bit++;
		if ((int)i == dec->row_end)
			*row_end = p;
		if (partial_value) {
			if ((size_t)(end - p) < 4 || (size_t)(end - p) - 4 < read_prefix(p, 4))
				return NULL;
			p += 4 + read_prefix(p, 4);
		} else if ((p = skip_value(cd, p, end)) == NULL) {
			return NULL;
		}
	}
	return p;
}

/* A full image: a few steps if nothing is NULL. */
static inline const uint8_t *
walk_full(const struct ml_rows *r, int image, const uint8_t *p, const uint8_t *end)
{
	const struct ml_rowdec *dec = r->dec;
	const uint8_t *start = p, *row_end;
	unsigned n = dec->null_bytes;
	uint8_t null = 0;

	if ((size_t)(end - p) < n)
		return NULL;
	for (; n > 1; n--)
		null |= *p++;
	if (null | (*p++ & dec->last_null_mask))
		return walk_columns(r, image, start, end, &row_end);
	for (const struct ml_step *s = dec->steps, *last = s + dec->n_steps; s < last; s++) {
		size_t len;

		if ((size_t)(end - p) < s->fixed + s->prefix)
			return NULL;
		p += s->fixed;
		len = read_prefix(p, s->prefix);
		p += s->prefix;
		if ((size_t)(end - p) < len)
			return NULL;
		p += len;
	}
	return (size_t)(end - p) < dec->tail ? NULL : p + dec->tail;
}

static inline const uint8_t *
walk(const struct ml_rows *r, int image, const uint8_t *p, const uint8_t *end)
{
	const uint8_t *row_end;

	if (r->n_present[image] == r->dec->n_columns && !(r->partial_json && image == AFTER))
		return walk_full(r, image, p, end);
	return walk_columns(r, image, p, end, &row_end);
}

/* Behind the row at p. */
static inline const uint8_t *
walk_row(const struct ml_rows *r, const uint8_t *p, const uint8_t *end)
{
	if (r->op != ML_OP_INSERT)
		p = walk(r, BEFORE, p, end);
	if (r->op != ML_OP_DELETE && p != NULL)
		p = walk(r, AFTER, p, end);
	return p;
}

static bool
is_live(const struct ml_rowdec *dec, const uint8_t *row_end)
{
	uint64_t v = 0;

	if (row_end == NULL)
		return false;
	memcpy(&v, row_end, dec->row_end_size);
	return v == dec->live_end[0] || v == dec->live_end[1];
}

/*
 * What a row of a system-versioned table means for its current rows: *op, 0: nothing.  An UPDATE that ends a row's life is its
 * DELETE; rows that are history when they come or go mean nothing.
 */
static const uint8_t *
versioned_op(const struct ml_rows *r, const uint8_t *p, const uint8_t *end, uint8_t *op)
{
	const uint8_t *row_end = NULL;
	bool was = false, is = false;

	if (r->op != ML_OP_INSERT) {
		p = walk_columns(r, BEFORE, p, end, &row_end);
		was = p != NULL && is_live(r->dec, row_end);
	}
	if (r->op != ML_OP_DELETE && p != NULL) {
		p = walk_columns(r, AFTER, p, end, &row_end);
		/* An after image that leaves row_end out has not changed it. */
		is = p != NULL && (is_live(r->dec, row_end) || (row_end == NULL && was));
	}
	*op = was ? is ? ML_OP_UPDATE : ML_OP_DELETE : is && r->op == ML_OP_INSERT ? ML_OP_INSERT : 0;
	return p;
}

/* ---- values ---- */

static inline void
put_i64(struct ml_datum *d, int64_t v)
{
	d->kind = ML_D_I64;
	d->i = v;
}

static inline void
put_u64(struct ml_datum *d, uint64_t v)
{
	d->kind = ML_D_U64;
	d->u = v;
}

static inline bool
finite_f32(uint32_t bits)
{
	return (bits & 0x7F800000u) != 0x7F800000u;
}

static inline bool
finite_f64(uint64_t bits)
{
	return (bits & 0x7FF0000000000000u) != 0x7FF0000000000000u;
}

/* The value of n bytes at p, for the common types without a call. */
static inline bool
decode_value(const struct ml_coldec *cd, struct ml_colenv *env, struct ml_datum *d, const uint8_t *p, size_t n)
{
	uint64_t u = 0;
	uint32_t w;
	uint16_t h;

	switch (cd->op) {
	case ML_COP_I8:
		put_i64(d, (int8_t)p[0]);
		return true;
	case ML_COP_U8:
		put_u64(d, p[0]);
		return true;
	case ML_COP_I16:
		memcpy(&h, p, 2);
		put_i64(d, (int16_t)h);
		return true;
	case ML_COP_U16:
		memcpy(&h, p, 2);
		put_u64(d, h);
		return true;
	case ML_COP_I24:
		put_i64(d, (int32_t)((uint32_t)p[0] << 8 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 24) >> 8);
		return true;
	case ML_COP_U24:
		put_u64(d, (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16);
		return true;
	case ML_COP_I32:
		memcpy(&w, p, 4);
		put_i64(d, (int32_t)w);
		return true;
	case ML_COP_U32:
		memcpy(&w, p, 4);
		put_u64(d, w);
		return true;
	case ML_COP_I64:
		memcpy(&u, p, 8);
		put_i64(d, (int64_t)u);
		return true;
	case ML_COP_U64:
		memcpy(&u, p, 8);
		put_u64(d, u);
		return true;
	case ML_COP_ULE:
		for (size_t i = n; i-- > 0;)
			u = u << 8 | p[i];
		put_u64(d, u);
		return true;
	case ML_COP_BIT:
		for (size_t i = 0; i < n; i++)
			u = u << 8 | p[i];
		put_u64(d, u);
		return true;
	case ML_COP_YEAR:
		put_i64(d, p[0] == 0 ? 0 : 1900 + p[0]);
		return true;
	case ML_COP_F32:
		memcpy(&w, p, 4);
		w = finite_f32(w) ? w : 0;
		d->kind = ML_D_F32;
		memcpy(&d->f32, &w, 4);
		return true;
	case ML_COP_F64:
		memcpy(&u, p, 8);
		u = finite_f64(u) ? u : 0;
		d->kind = ML_D_F64;
		memcpy(&d->f64, &u, 8);
		return true;
	case ML_COP_BYTES:
		d->kind = ML_D_BYTES;
		d->s = (const char *)p;
		d->len = (uint32_t)n;
		return true;
	case ML_COP_NOTHING:
		d->kind = ML_D_NULL;
		return true;
	default:
		return ml_coldec_value(cd, env, d, p, n);
	}
}

/* A JSON value of an after image that is told as n bytes of changes to the one of the before image. */
static bool
patch_json(const struct ml_coldec *cd, struct ml_rowdec *dec, unsigned json, struct ml_datum *d,
	const struct ml_datum *before, const uint8_t *p, size_t n)
{
	const uint8_t *doc;
	size_t len;

	if (n == 0) { /* nothing changed */
		*d = *before;
		return true;
	}
	doc = ml_json_diff_apply(dec->env.arena, dec->old_json[json].p, dec->old_json[json].len, p, n, &len);
	if (doc == NULL) {
		dec->env.bad = "JSON diff does not fit its document";
		return false;
	}
	return decode_value(cd, &dec->env, d, doc, len);
}

/*
 * One image into datums; NULL: corrupted, env.bad says why if it is not the end of the bytes.  before: for columns that an
 * after image leaves out.
 */
static const uint8_t *
decode_image(const struct ml_rows *r, int image, const uint8_t *p, const uint8_t *end, struct ml_datum *datums,
	const struct ml_datum *before)
{
	struct ml_rowdec *dec = r->dec;
	const uint8_t *present = r->present[image], *nulls, *diff = NULL;
	size_t null_bytes = (r->n_present[image] + 7u) / 8;
	bool full = r->n_present[image] == dec->n_columns;
	unsigned bit = 0, json = 0;

	if (r->partial_json && image == AFTER && (p = read_options(dec, p, end, &diff)) == NULL)
		return NULL;
	if ((size_t)(end - p) < null_bytes)
		return NULL;
	nulls = p;
	p += null_bytes;
	if (dec->prefill)
		for (unsigned i = 0; i < dec->schema->n_columns; i++)
			datums[i] = (struct ml_datum){ .kind = ML_D_ABSENT };
	for (unsigned i = 0; i < dec->n_columns; i++) {
		const struct ml_coldec *cd = &dec->cols[i];
		size_t n = cd->size;
		bool partial_value = false;

		if (__builtin_expect(r->partial_json, 0) && cd->op == ML_COP_JSON) {
			if (diff != NULL)
				partial_value = diff[json / 8] >> (json % 8) & 1;
			if (image == BEFORE)
				dec->old_json[json].len = 0;
			json++;
		}
		if (!full && !(present[i / 8] >> (i % 8) & 1)) {
			if (cd->out >= 0 && cd->derived)
				datums[cd->out] = (struct ml_datum){ .kind = ML_D_ABSENT };
			else if (cd->out >= 0)
				datums[cd->out] = before[cd->out];
			continue;
		}
		if (nulls[bit / 8] >> (bit % 8) & 1) {
			bit++;
			if (cd->out >= 0)
				datums[cd->out] = (struct ml_datum){ .kind = ML_D_NULL };
			continue;
		}
		bit++;
		if (__builtin_expect(partial_value, 0)) {
			if ((size_t)(end - p) < 4 || (size_t)(end - p) - 4 < read_prefix(p, 4))
				return NULL;
			n = read_prefix(p, 4);
			p += 4;
			if (cd->out >= 0 && !patch_json(cd, dec, json - 1, &datums[cd->out], &before[cd->out], p, n))
				return NULL;
			p += n;
			continue;
		}
		if ((size_t)(end - p) < n)
			return NULL;
		if (cd->op > ML_COP_LAST_FIXED) {
			n = read_prefix(p, cd->size);
			p += cd->size;
			if ((size_t)(end - p) < n)
				return NULL;
		}
		if (__builtin_expect(r->partial_json, 0) && cd->op == ML_COP_JSON && image == BEFORE) {
			dec->old_json[json - 1].p = p;
			dec->old_json[json - 1].len = n;
		}
		if (cd->out >= 0 && !decode_value(cd, &dec->env, &datums[cd->out], p, n))
			return NULL;
		p += n;
	}
	return p;
}

/* ---- reading rows ---- */

static int
count_rows(struct ml_rows *r, struct ml_batch *b, const struct ml_rows_want *want, struct ml_err *err)
{
	const uint8_t *p = r->p, *stop = r->end;
	uint64_t n = 0, max = want->max_rows > 0 ? want->max_rows : UINT64_MAX;
	uint8_t op = r->op;

	if (want->max_bytes > 0 && (size_t)(r->end - p) > want->max_bytes)
		stop = p + want->max_bytes;
	while (p < stop && n < max) {
		const uint8_t *next = r->dec->row_end >= 0 ? versioned_op(r, p, r->end, &op) : walk_row(r, p, r->end);

		if (next == NULL || next == p) {
			b->n_changes += n;
			return corrupt(r, err, "a row runs past the end");
		}
		p = next;
		n += op != 0;
	}
	b->n_changes += n;
	r->p = p;
	return p < r->end;
}

/* How much of the event this call reads: all, or up to a row's end. */
static const uint8_t *
find_stop(const struct ml_rows *r, const struct ml_rows_want *want)
{
	size_t left = (size_t)(r->end - r->p);
	const uint8_t *p = r->p;
	uint32_t n = 0;

	if ((want->max_bytes == 0 || left <= want->max_bytes) && (want->max_rows == 0 || left <= COPY_WHOLE_BYTES))
		return r->end;
	do {
		const uint8_t *next = walk_row(r, p, r->end);

		if (next == NULL)
			return NULL;
		p = next;
		n++;
	} while (p < r->end && (want->max_rows == 0 || n < want->max_rows) &&
		 (want->max_bytes == 0 || (size_t)(p - r->p) < want->max_bytes));
	return p;
}

static int
build_rows(struct ml_rows *r, struct ml_batch *b, const struct ml_rows_want *want, struct ml_err *err)
{
	struct ml_rowdec *dec = r->dec;
	const uint8_t *stop = find_stop(r, want), *p, *end, *next;
	size_t datums_bytes = dec->schema->n_columns * sizeof(struct ml_datum), n;
	uint32_t rows = 0, max = want->max_rows > 0 ? want->max_rows : UINT32_MAX;
	char *copy;

	if (stop == NULL)
		return corrupt(r, err, "a row runs past the end");
	/* Values point into the batch's own copy of the event. */
	n = (size_t)(stop - r->p);
	copy = ml_arena_bytes(&b->arena, n);
	memcpy(copy, r->p, n);
	p = (const uint8_t *)copy;
	end = p + n;
	dec->env.arena = &b->arena;
	dec->env.bad = NULL;
	while (p < end && rows < max) {
		struct ml_datum *before = NULL, *after = NULL;
		uint8_t op = r->op;
		struct ml_row *row;

		if (dec->row_end >= 0) {
			next = versioned_op(r, p, end, &op);
			if (next != NULL && op == 0) {
				p = next;
				continue;
			}
		}
		next = p;
		if (r->op != ML_OP_INSERT) {
			before = ml_arena_alloc(&b->arena, datums_bytes);
			next = decode_image(r, BEFORE, next, end, before, NULL);
		}
		if (r->op != ML_OP_DELETE && next != NULL) {
			after = ml_arena_alloc(&b->arena, datums_bytes);
			next = decode_image(r, AFTER, next, end, after, before);
		}
		if (next == NULL || next == p)
			return corrupt(r, err, dec->env.bad != NULL ? dec->env.bad : "a row runs past the end");
		p = next;
		row = ml_batch_row(b);
		*row = (struct ml_row){
			.schema = dec->schema,
			.before = before,
			.after = op == ML_OP_DELETE ? NULL : after,
			.commit_ts = want->commit_ts,
			.start_ts = want->start_ts,
			.op = op,
		};
		rows++;
	}
	if (rows > 0)
		ml_batch_pin(b, dec->schema);
	b->n_changes += rows;
	r->p += p - (const uint8_t *)copy;
	return r->p < r->end;
}

int
ml_rows_next(struct ml_rows *r, struct ml_batch *b, const struct ml_rows_want *want, struct ml_err *err)
{
	if (r->p == r->end)
		return 0;
	return want->values ? build_rows(r, b, want, err) : count_rows(r, b, want, err);
}
