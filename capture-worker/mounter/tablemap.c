#include "capture-worker/mounter/tablemap.h"

#include "common/base/buf.h"

/* Optional fields behind the null bits. */
enum {
	TLV_SIGNEDNESS = 1,
	TLV_DEFAULT_CHARSET,
	TLV_COLUMN_CHARSET,
	TLV_NAMES,
	TLV_SET_STRINGS,
	TLV_ENUM_STRINGS,
	TLV_GEOMETRY,
	TLV_SIMPLE_PK,
	TLV_PREFIX_PK,
	TLV_ENUM_DEFAULT_CHARSET,
	TLV_ENUM_COLUMN_CHARSET,
	TLV_VISIBILITY,
	TLV_VECTOR_DIM,
};

#define MAX_COLUMNS 4096u  /* of a table, MySQL and MariaDB */
#define MAX_STRINGS 65535u /* of an ENUM */

/* Which columns an optional field counts. */
typedef bool counts_fn(const struct ml_tm_column *c);

static bool
is_numeric(const struct ml_tm_column *c)
{
	switch (c->real) {
	case ML_BT_TINY:
	case ML_BT_SHORT:
	case ML_BT_LONG:
	case ML_BT_LONGLONG:
	case ML_BT_INT24:
	case ML_BT_FLOAT:
	case ML_BT_DOUBLE:
	case ML_BT_NEWDECIMAL:
	case ML_BT_YEAR:
		return true;
	default:
		return false;
	}
}

bool
ml_tm_is_character(const struct ml_tm_column *c)
{
	switch (c->real) {
	case ML_BT_STRING:
	case ML_BT_VARCHAR:
	case ML_BT_VAR_STRING:
	case ML_BT_BLOB:
	case ML_BT_BLOB_COMPRESSED:
	case ML_BT_VARCHAR_COMPRESSED:
		return true;
	default:
		return false;
	}
}

static bool
is_character_or_geometry(const struct ml_tm_column *c)
{
	return c->real == ML_BT_GEOMETRY || ml_tm_is_character(c);
}

static bool
is_enum_or_set(const struct ml_tm_column *c)
{
	return c->real == ML_BT_ENUM || c->real == ML_BT_SET;
}

static bool
is_enum(const struct ml_tm_column *c)
{
	return c->real == ML_BT_ENUM;
}

static bool
is_set(const struct ml_tm_column *c)
{
	return c->real == ML_BT_SET;
}

static bool
is_geometry(const struct ml_tm_column *c)
{
	return c->real == ML_BT_GEOMETRY;
}

static bool
is_vector(const struct ml_tm_column *c)
{
	return c->real == ML_BT_VECTOR;
}

/* The next column from *i on that counts; NULL: no more.  *i is then behind it. */
static struct ml_tm_column *
next_column(const struct ml_tablemap *tm, unsigned *i, counts_fn *counts)
{
	while (*i < tm->n_columns) {
		struct ml_tm_column *c = &tm->columns[(*i)++];

		if (counts(c))
			return c;
	}
	return NULL;
}

static unsigned
count_columns(const struct ml_tablemap *tm, counts_fn *counts)
{
	unsigned n = 0;

	for (unsigned i = 0; i < tm->n_columns; i++)
		n += counts(&tm->columns[i]);
	return n;
}

static struct ml_text
copy_text(struct ml_arena *a, const uint8_t *s, size_t n)
{
	return (struct ml_text){ .s = ml_arena_strndup(a, (const char *)s, n), .len = (uint32_t)n };
}

/* STRING's two bytes: the real type in the first, the length in the second and, inverted, in two bits of the first. */
static const char *
string_meta(struct ml_tm_column *c)
{
	uint8_t b0 = (uint8_t)c->meta, b1 = (uint8_t)(c->meta >> 8);

	if ((b0 & 0x30) != 0x30) {
		c->real = b0 | 0x30;
		c->length = (uint32_t)b1 | (uint32_t)((b0 & 0x30) ^ 0x30) << 4;
	} else {
		c->real = b0;
		c->length = b1;
	}
	switch (c->real) {
	case ML_BT_ENUM:
		c->prefix = (uint8_t)c->length;
		return c->length == 1 || c->length == 2 ? NULL : "ENUM of a size other than 1 or 2";
	case ML_BT_SET:
		c->prefix = (uint8_t)c->length;
		return c->length >= 1 && c->length <= 8 ? NULL : "SET of a size other than 1 to 8";
	case ML_BT_STRING:
		c->prefix = c->length < 256 ? 1 : 2;
		return NULL;
	default:
		return "STRING with an unknown real type";
	}
}

/* Reads one column's metadata; NULL, or what is wrong. */
static const char *
read_meta(struct ml_tm_column *c, struct ml_rd *r)
{
	c->real = c->code;
	switch (c->code) {
	case ML_BT_FLOAT:
	case ML_BT_DOUBLE:
		c->meta = (uint16_t)ml_rd_le(r, 1);
		c->length = c->meta;
		return r->bad || c->meta == 4 || c->meta == 8 ? NULL : "FLOAT of a size other than 4 or 8";
	case ML_BT_VARCHAR:
	case ML_BT_VAR_STRING:
		c->meta = (uint16_t)ml_rd_le(r, 2);
		c->length = c->meta;
		c->prefix = c->meta < 256 ? 1 : 2;
		return NULL;
	case ML_BT_VARCHAR_COMPRESSED:
		c->meta = (uint16_t)ml_rd_le(r, 2);
		c->length = c->meta > 0 ? c->meta - 1u : 0;
		c->prefix = c->meta < 256 ? 1 : 2;
		return NULL;
	case ML_BT_BIT:
		c->meta = (uint16_t)ml_rd_le(r, 2);
		if ((c->meta & 0xFF) > 7 || (c->meta >> 8) > 8)
			return "BIT of impossible size";
		c->precision = (uint8_t)((c->meta >> 8) * 8 + (c->meta & 0xFF));
		return r->bad || (c->precision >= 1 && c->precision <= 64) ? NULL : "BIT of impossible size";
	case ML_BT_NEWDECIMAL:
		c->meta = (uint16_t)ml_rd_le(r, 2);
		c->precision = (uint8_t)c->meta;
		c->scale = (uint8_t)(c->meta >> 8);
		if (r->bad)
			return NULL;
		return c->precision >= 1 && c->precision <= 65 && c->scale <= 38 && c->scale <= c->precision
			       ? NULL
			       : "DECIMAL of impossible size";
	case ML_BT_BLOB:
	case ML_BT_JSON:
	case ML_BT_GEOMETRY:
	case ML_BT_VECTOR:
	case ML_BT_BLOB_COMPRESSED:
		c->meta = (uint16_t)ml_rd_le(r, 1);
		c->prefix = (uint8_t)c->meta;
		return r->bad || (c->prefix >= 1 && c->prefix <= 4) ? NULL
								    : "BLOB with a length of other than 1 to 4 bytes";
	case ML_BT_STRING:
		c->meta = (uint16_t)ml_rd_le(r, 2);
		return r->bad ? NULL : string_meta(c);
	case ML_BT_TIMESTAMP2:
	case ML_BT_DATETIME2:
	case ML_BT_TIME2:
		c->meta = (uint16_t)ml_rd_le(r, 1);
		c->scale = (uint8_t)c->meta;
		return c->scale <= 6 ? NULL : "more than 6 fraction digits";
	case ML_BT_TINY:
	case ML_BT_SHORT:
	case ML_BT_LONG:
	case ML_BT_LONGLONG:
	case ML_BT_INT24:
	case ML_BT_NULL:
	case ML_BT_YEAR:
	case ML_BT_DATE:
	case ML_BT_NEWDATE:
	case ML_BT_TIMESTAMP:
	case ML_BT_TIME:
	case ML_BT_DATETIME:
		return NULL;
	default:
		return "column of an unknown type";
	}
}

/* One bit per counting column, most significant first. */
static void
read_signedness(struct ml_tablemap *tm, struct ml_rd *r)
{
	struct ml_tm_column *c;
	uint8_t bits = 0;
	unsigned i = 0;

	for (unsigned n = 0; (c = next_column(tm, &i, is_numeric)) != NULL; n++) {
		if (n % 8 == 0)
			bits = (uint8_t)ml_rd_le(r, 1);
		c->is_unsigned = (bits << (n % 8) & 0x80) != 0;
	}
	tm->has_signedness = true;
}

static void
read_visibility(struct ml_tablemap *tm, struct ml_rd *r)
{
	uint8_t bits = 0;

	for (unsigned i = 0; i < tm->n_columns; i++) {
		if (i % 8 == 0)
			bits = (uint8_t)ml_rd_le(r, 1);
		tm->columns[i].visible = (bits << (i % 8) & 0x80) != 0;
	}
	tm->has_visibility = true;
}

/* A collation for all, then (number among the counting columns, collation) for those that differ. */
static const char *
read_default_charset(struct ml_tablemap *tm, struct ml_rd *r, counts_fn *counts)
{
	uint32_t dflt = (uint32_t)ml_rd_lenenc(r);
	struct ml_tm_column *c;
	unsigned i = 0, n = 0;

	while ((c = next_column(tm, &i, counts)) != NULL)
		c->collation = dflt;
	i = 0;
	/* Writers send the numbers in rising order; one pass is enough. */
	while (ml_rd_left(r) > 0) {
		uint64_t want = ml_rd_lenenc(r);
		uint32_t collation = (uint32_t)ml_rd_lenenc(r);

		if (r->bad)
			break;
		if (want < n)
			i = n = 0;
		do {
			c = next_column(tm, &i, counts);
		} while (c != NULL && n++ < want);
		if (c == NULL)
			return "charset of a column that is not there";
		c->collation = collation;
	}
	return NULL;
}

static void
read_column_charset(struct ml_tablemap *tm, struct ml_rd *r, counts_fn *counts)
{
	struct ml_tm_column *c;
	unsigned i = 0;

	while ((c = next_column(tm, &i, counts)) != NULL)
		c->collation = (uint32_t)ml_rd_lenenc(r);
}

static void
read_names(struct ml_tablemap *tm, struct ml_arena *a, struct ml_rd *r)
{
	for (unsigned i = 0; i < tm->n_columns; i++) {
		size_t n = (size_t)ml_rd_le(r, 1);
		const uint8_t *s = ml_rd_bytes(r, n);

		if (s == NULL)
			return;
		tm->columns[i].name = copy_text(a, s, n);
	}
	tm->has_names = true;
}

static const char *
read_strings(struct ml_tablemap *tm, struct ml_arena *a, struct ml_rd *r, counts_fn *counts)
{
	struct ml_tm_column *c;
	unsigned i = 0;

	while ((c = next_column(tm, &i, counts)) != NULL) {
		uint64_t n = ml_rd_lenenc(r);
		struct ml_text *elems;

		/* Each string takes at least a byte, so a lie about n cannot cost memory. */
		if (r->bad)
			return NULL;
		if (n > MAX_STRINGS || n > ml_rd_left(r))
			return "more ENUM or SET strings than the event holds";
		elems = ml_arena_alloc(a, (size_t)n * sizeof(*elems));
		for (uint64_t k = 0; k < n; k++) {
			uint64_t len = ml_rd_lenenc(r);
			const uint8_t *s = len <= ml_rd_left(r) ? ml_rd_bytes(r, (size_t)len) : NULL;

			if (r->bad || s == NULL)
				return "ENUM or SET string runs past the end";
			elems[k] = copy_text(a, s, (size_t)len);
		}
		c->elems = elems;
		c->n_elems = (uint16_t)n;
	}
	return NULL;
}

static const char *
read_pk(struct ml_tablemap *tm, struct ml_arena *a, struct ml_rd *r, bool prefixes)
{
	uint16_t *pk = ml_arena_alloc(a, (size_t)tm->n_columns * sizeof(*pk));
	unsigned n = 0;

	while (ml_rd_left(r) > 0) {
		uint64_t col = ml_rd_lenenc(r);
		uint64_t prefix = prefixes ? ml_rd_lenenc(r) : 0;

		if (r->bad)
			return NULL;
		if (col >= tm->n_columns || n >= tm->n_columns || n >= UINT8_MAX || tm->columns[col].pk_part != 0)
			return "primary key with a column that is not there";
		pk[n++] = (uint16_t)col;
		tm->columns[col].pk_part = (uint8_t)n;
		tm->columns[col].pk_prefix = (uint32_t)prefix;
	}
	tm->pk = pk;
	tm->n_pk = (uint16_t)n;
	tm->has_pk = n > 0;
	return NULL;
}

static const char *
read_tlv(struct ml_tablemap *tm, struct ml_arena *a, unsigned type, struct ml_rd *r, bool mariadb)
{
	counts_fn *character = mariadb ? is_character_or_geometry : ml_tm_is_character;
	struct ml_tm_column *c;
	unsigned i = 0;

	switch (type) {
	case TLV_SIGNEDNESS:
		read_signedness(tm, r);
		return NULL;
	case TLV_DEFAULT_CHARSET:
		tm->has_charsets = true;
		return read_default_charset(tm, r, character);
	case TLV_COLUMN_CHARSET:
		tm->has_charsets = true;
		read_column_charset(tm, r, character);
		return NULL;
	case TLV_NAMES:
		read_names(tm, a, r);
		return NULL;
	case TLV_SET_STRINGS:
		return read_strings(tm, a, r, is_set);
	case TLV_ENUM_STRINGS:
		return read_strings(tm, a, r, is_enum);
	case TLV_GEOMETRY:
		while ((c = next_column(tm, &i, is_geometry)) != NULL)
			c->geometry = (uint8_t)ml_rd_lenenc(r);
		return NULL;
	case TLV_SIMPLE_PK:
		return read_pk(tm, a, r, false);
	case TLV_PREFIX_PK:
		return read_pk(tm, a, r, true);
	case TLV_ENUM_DEFAULT_CHARSET:
		return read_default_charset(tm, r, is_enum_or_set);
	case TLV_ENUM_COLUMN_CHARSET:
		read_column_charset(tm, r, is_enum_or_set);
		return NULL;
	case TLV_VISIBILITY:
		read_visibility(tm, r);
		return NULL;
	case TLV_VECTOR_DIM:
		while ((c = next_column(tm, &i, is_vector)) != NULL)
			c->vector_dim = (uint32_t)ml_rd_lenenc(r);
		return NULL;
	default:
		return NULL; /* of a newer server: decoration we do not know */
	}
}

/* u8 length, bytes, NUL. */
static const char *
read_name(struct ml_rd *r, struct ml_text *out)
{
	size_t n = (size_t)ml_rd_le(r, 1);
	const uint8_t *s = ml_rd_bytes(r, n + 1);

	if (s == NULL)
		return "name runs past the end";
	if (s[n] != 0)
		return "name without its NUL";
	*out = (struct ml_text){ .s = (const char *)s, .len = (uint32_t)n };
	return NULL;
}

uint64_t
ml_tablemap_id(const uint8_t *body, size_t len)
{
	struct ml_rd r = ml_rd_of(body, len);
	uint64_t id = ml_rd_le(&r, 6);

	return r.bad ? UINT64_MAX : id;
}

int
ml_tablemap_names(const uint8_t *body, size_t len, struct ml_text *db, struct ml_text *table)
{
	struct ml_rd r = ml_rd_of(body, len);

	ml_rd_bytes(&r, 8);
	return !r.bad && read_name(&r, db) == NULL && read_name(&r, table) == NULL ? 0 : -1;
}

static const char *
parse(struct ml_tablemap *tm, struct ml_arena *a, const uint8_t *body, size_t len, bool mariadb)
{
	struct ml_rd r = ml_rd_of(body, len), meta;
	const uint8_t *codes, *bits, *m;
	const char *bad;
	uint64_t n, m_len;
	unsigned n_character;

	tm->table_id = ml_rd_le(&r, 6);
	tm->flags = (uint16_t)ml_rd_le(&r, 2);
	if ((bad = read_name(&r, &tm->db)) != NULL || (bad = read_name(&r, &tm->table)) != NULL)
		return bad;
	tm->db = copy_text(a, (const uint8_t *)tm->db.s, tm->db.len);
	tm->table = copy_text(a, (const uint8_t *)tm->table.s, tm->table.len);

	n = ml_rd_lenenc(&r);
	if (r.bad || n == 0 || n > MAX_COLUMNS)
		return "impossible number of columns";
	codes = ml_rd_bytes(&r, (size_t)n);
	m_len = ml_rd_lenenc(&r);
	m = m_len <= ml_rd_left(&r) ? ml_rd_bytes(&r, (size_t)m_len) : NULL;
	bits = m != NULL ? ml_rd_bytes(&r, (size_t)(n + 7) / 8) : NULL;
	if (codes == NULL || bits == NULL)
		return "columns run past the end";

	tm->n_columns = (uint16_t)n;
	tm->columns = ml_arena_zalloc(a, (size_t)n * sizeof(*tm->columns));
	meta = ml_rd_of(m, (size_t)m_len);
	for (unsigned i = 0; i < n; i++) {
		struct ml_tm_column *c = &tm->columns[i];

		c->code = codes[i];
		c->nullable = (bits[i / 8] >> (i % 8) & 1) != 0;
		c->visible = true;
		if ((bad = read_meta(c, &meta)) != NULL)
			return bad;
	}
	if (meta.bad)
		return "metadata runs past its end";
	if (ml_rd_left(&meta) > 0)
		return "metadata longer than the columns need";

	while (ml_rd_left(&r) > 0) {
		unsigned type = (unsigned)ml_rd_le(&r, 1);
		uint64_t tlv_len = ml_rd_lenenc(&r);
		const uint8_t *p = tlv_len <= ml_rd_left(&r) ? ml_rd_bytes(&r, (size_t)tlv_len) : NULL;
		struct ml_rd tlv;

		if (r.bad || p == NULL)
			return "optional field runs past the end";
		tlv = ml_rd_of(p, (size_t)tlv_len);
		if ((bad = read_tlv(tm, a, type, &tlv, mariadb)) != NULL)
			return bad;
		if (tlv.bad)
			return "optional field is too short for the columns";
	}
	/* Writers leave fields out whose columns do not exist. */
	n_character = count_columns(tm, mariadb ? is_character_or_geometry : ml_tm_is_character);
	if (n_character == 0 && (tm->has_signedness || tm->has_names))
		tm->has_charsets = true;
	if (tm->has_names)
		tm->has_signedness = true;
	return NULL;
}

int
ml_tablemap_parse(struct ml_tablemap *tm, struct ml_arena *a, const uint8_t *body, size_t len, bool mariadb,
	const char *at, struct ml_err *err)
{
	const char *bad;

	memset(tm, 0, sizeof(*tm));
	bad = parse(tm, a, body, len, mariadb);
	return bad == NULL ? 0 : ML_ERR(err, ErrMySQLEventCorrupt, 0, 19u, at, bad);
}
