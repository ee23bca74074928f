#include "capture-worker/mounter/json_diff.h"

#include <stdbool.h>
#include <string.h>

#include "common/base/buf.h"

/* Types of the binary form (json_binary.c reads them all); containers are written large here. */
enum {
	SMALL_OBJECT = 0,
	LARGE_OBJECT,
	SMALL_ARRAY,
	LARGE_ARRAY,
	LITERAL,
	INT16,
	UINT16,
	INT32,
	UINT32,
	STRING = 12,
	OPAQUE = 15
};

enum { REPLACE, INSERT, REMOVE };

#define DEPTH_MAX 100

struct node {
	uint8_t type;
	const uint8_t *p; /* of a scalar: its bytes */
	size_t len;
	struct member *members; /* of a container */
	uint32_t n;
};

struct member {
	const uint8_t *key; /* NULL in arrays */
	size_t key_len;
	struct node *value;
};

/* Bounds of the work, as in json_binary.c: places may be pointed to many times by a broken document. */
struct reader {
	struct ml_arena *a;
	size_t values_left, bytes_left;
};

static uint64_t
le(const uint8_t *p, unsigned n)
{
	uint64_t v = 0;

	while (n-- > 0)
		v = v << 8 | p[n];
	return v;
}

static bool
is_container(uint8_t type)
{
	return type <= LARGE_ARRAY;
}

static bool
is_object(uint8_t type)
{
	return type <= LARGE_OBJECT;
}

static bool
is_inline(uint8_t type, bool large)
{
	return type == LITERAL || type == INT16 || type == UINT16 || (large && (type == INT32 || type == UINT32));
}

/* Bytes of the scalar at p; 0: none there. */
static size_t
scalar_len(uint8_t type, const uint8_t *p, const uint8_t *end)
{
	static const uint8_t sizes[12] = {
		[LITERAL] = 1, [INT16] = 2, [UINT16] = 2, [INT32] = 4, [UINT32] = 4, 8, 8, 8
	};
	const uint8_t *start = p;
	uint64_t n = 0;

	if (type < STRING)
		return (size_t)(end - p) >= sizes[type] ? sizes[type] : 0;
	if (type != STRING && type != OPAQUE)
		return 0;
	if (type == OPAQUE && p < end)
		p++;
	for (unsigned i = 0; i < 5 && p < end; i++) {
		uint8_t b = *p++;

		n |= (uint64_t)(b & 0x7F) << (7 * i);
		if (!(b & 0x80))
			return n <= (uint64_t)(end - p) ? (size_t)(p - start) + (size_t)n : 0;
	}
	return 0;
}

static struct node *read_value(struct reader *r, uint8_t type, const uint8_t *p, const uint8_t *end, int depth);

static bool
read_members(struct reader *r, struct node *node, unsigned w, const uint8_t *p, const uint8_t *end, int depth)
{
	bool object = is_object(node->type);
	size_t count, size, key_size = object ? w + 2u : 0, value_size = 1 + w;
	const uint8_t *values;

	if (depth > DEPTH_MAX || (size_t)(end - p) < 2 * w)
		return false;
	count = (size_t)le(p, w);
	size = (size_t)le(p + w, w);
	if (size > (size_t)(end - p) || size < 2 * w || count > (size - 2 * w) / (key_size + value_size) ||
		count > r->values_left)
		return false;
	end = p + size;
	values = p + 2 * w + count * key_size;
	node->members = ml_arena_zalloc(r->a, count * sizeof(*node->members));
	node->n = (uint32_t)count;
	for (size_t i = 0; i < count; i++) {
		const uint8_t *entry = values + i * value_size;
		struct member *m = &node->members[i];

		if (object) {
			const uint8_t *key = p + 2 * w + i * key_size;
			size_t at = (size_t)le(key, w);

			m->key_len = (size_t)le(key + w, 2);
			if (at > size || m->key_len > size - at || m->key_len > r->bytes_left)
				return false;
			r->bytes_left -= m->key_len;
			m->key = p + at;
		}
		if (is_inline(entry[0], w == 4)) {
			m->value = read_value(r, entry[0], entry + 1, entry + value_size, depth);
		} else {
			size_t at = (size_t)le(entry + 1, w);

			m->value = at < size ? read_value(r, entry[0], p + at, end, depth) : NULL;
		}
		if (m->value == NULL)
			return false;
	}
	return true;
}

static struct node *
read_value(struct reader *r, uint8_t type, const uint8_t *p, const uint8_t *end, int depth)
{
	struct node *node = ml_arena_zalloc(r->a, sizeof(*node));

	if (r->values_left == 0)
		return NULL;
	r->values_left--;
	if (is_container(type)) {
		node->type = is_object(type) ? LARGE_OBJECT : LARGE_ARRAY;
		return read_members(r, node, type & 1 ? 4 : 2, p, end, depth + 1) ? node : NULL;
	}
	node->type = type;
	node->p = p;
	node->len = scalar_len(type, p, end);
	if (node->len == 0 || node->len > r->bytes_left)
		return NULL;
	r->bytes_left -= node->len;
	return node;
}

static struct node *
read_document(struct ml_arena *a, const uint8_t *p, size_t n)
{
	struct reader r = { .a = a, .values_left = n / 3 + 2, .bytes_left = n };

	return n > 0 ? read_value(&r, p[0], p + 1, p + n, 0) : NULL;
}

/* One step of a path. */
struct leg {
	bool index;
	uint64_t at;
	const uint8_t *key;
	size_t key_len;
};

static int
hex_digit(uint8_t c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

/* A name in quotes, *p behind the first one: its text without escapes. */
static bool
read_quoted(struct ml_arena *a, const uint8_t **p, const uint8_t *end, struct leg *leg)
{
	uint8_t *out = (uint8_t *)ml_arena_bytes(a, (size_t)(end - *p)), *o = out;

	for (const uint8_t *q = *p; q < end; q++) {
		const char *at;

		if (*q == '"') {
			*p = q + 1;
			leg->key = out;
			leg->key_len = (size_t)(o - out);
			return true;
		}
		if (*q != '\\') {
			*o++ = *q;
			continue;
		}
		if (++q == end)
			return false;
		if (*q == 'u') { /* the server writes control characters this way, nothing else */
			unsigned v = 0;

			if (end - q < 5)
				return false;
			for (int i = 1; i <= 4; i++) {
				if (hex_digit(q[i]) < 0)
					return false;
				v = v << 4 | (unsigned)hex_digit(q[i]);
			}
			if (v >= 0x80)
				return false;
			*o++ = (uint8_t)v;
			q += 4;
			continue;
		}
		at = *q != 0 ? strchr("b\bf\fn\nr\rt\t\"\"\\\\//", *q) : NULL;
		if (at == NULL)
			return false;
		*o++ = (uint8_t)at[1];
	}
	return false;
}

static bool
read_leg(struct ml_arena *a, const uint8_t **p, const uint8_t *end, struct leg *leg)
{
	const uint8_t *q = *p;

	*leg = (struct leg){ .index = *q == '[' };
	if (leg->index) {
		for (q++; q < end && *q >= '0' && *q <= '9' && leg->at < UINT32_MAX; q++)
			leg->at = leg->at * 10 + (unsigned)(*q - '0');
		if (q == end || *q != ']' || q == *p + 1)
			return false;
		*p = q + 1;
		return true;
	}
	if (*q++ != '.' || q == end)
		return false;
	if (*q == '"') {
		*p = q + 1;
		return read_quoted(a, p, end, leg);
	}
	leg->key = q;
	while (q < end && *q != '.' && *q != '[')
		q++;
	leg->key_len = (size_t)(q - leg->key);
	*p = q;
	return leg->key_len > 0;
}

/* Stored order of keys: shorter first, then by bytes. */
static int
compare_key(const struct member *m, const struct leg *leg)
{
	if (m->key_len != leg->key_len)
		return m->key_len < leg->key_len ? -1 : 1;
	return leg->key_len > 0 ? memcmp(m->key, leg->key, leg->key_len) : 0;
}

/* Place of the leg in node: true if it is there; *at: its index, or where it would be inserted. */
static bool
find(const struct node *node, const struct leg *leg, uint32_t *at)
{
	if (leg->index) {
		/* A scalar is its own only element. */
		uint32_t n = is_container(node->type) && !is_object(node->type) ? node->n : 0;

		*at = leg->at < n ? (uint32_t)leg->at : n;
		return leg->at < n;
	}
	*at = 0;
	if (!is_container(node->type) || !is_object(node->type))
		return false;
	while (*at < node->n && compare_key(&node->members[*at], leg) < 0)
		(*at)++;
	return *at < node->n && compare_key(&node->members[*at], leg) == 0;
}

static bool
insert(struct ml_arena *a, struct node *node, const struct leg *leg, uint32_t at, struct node *value)
{
	struct member *members;

	if (!is_container(node->type) || is_object(node->type) == leg->index)
		return false;
	members = ml_arena_alloc(a, (node->n + (size_t)1) * sizeof(*members));
	if (at > 0)
		memcpy(members, node->members, at * sizeof(*members));
	if (at < node->n)
		memcpy(members + at + 1, node->members + at, (node->n - at) * sizeof(*members));
	members[at] = (struct member){ .key = leg->key, .key_len = leg->key_len, .value = value };
	node->members = members;
	node->n++;
	return true;
}

/* One diff on the tree at *root. */
static bool
apply(struct ml_arena *a, struct node **root, unsigned op, const uint8_t *path, size_t path_len, struct node *value)
{
	const uint8_t *p = path, *end = path + path_len;
	struct node *node = *root;
	struct leg leg;
	uint32_t at;

	if (p == end || *p++ != '$')
		return false;
	if (p == end) {
		*root = value;
		return op == REPLACE;
	}
	for (;;) {
		bool there;

		if (!read_leg(a, &p, end, &leg))
			return false;
		there = find(node, &leg, &at);
		if (p < end) {
			if (!there)
				return false;
			node = node->members[at].value;
			continue;
		}
		if (op == INSERT)
			return (!there || leg.index) && insert(a, node, &leg, at, value);
		if (!there)
			return false;
		if (op == REPLACE) {
			node->members[at].value = value;
		} else {
			memmove(node->members + at, node->members + at + 1,
				(node->n - at - 1) * sizeof(*node->members));
			node->n--;
		}
		return true;
	}
}

static size_t
size_of(const struct node *node)
{
	size_t size = 8;

	if (!is_container(node->type))
		return node->len;
	for (uint32_t i = 0; i < node->n; i++) {
		const struct member *m = &node->members[i];

		size += 5 + (is_object(node->type) ? 6 + m->key_len : 0);
		if (!is_inline(m->value->type, true))
			size += size_of(m->value);
	}
	return size;
}

static uint8_t *
put_le(uint8_t *p, uint64_t v, unsigned n)
{
	for (; n > 0; n--, v >>= 8)
		*p++ = (uint8_t)v;
	return p;
}

/* Behind what was written. */
static uint8_t *
write_value(const struct node *node, uint8_t *p)
{
	bool object = is_object(node->type);
	uint8_t *start = p, *keys, *values, *data;

	if (!is_container(node->type)) {
		memcpy(p, node->p, node->len);
		return p + node->len;
	}
	p = put_le(p, node->n, 4);
	keys = p + 4;
	values = keys + (object ? 6 * (size_t)node->n : 0);
	data = values + 5 * (size_t)node->n;
	for (uint32_t i = 0; object && i < node->n; i++) {
		const struct member *m = &node->members[i];

		keys = put_le(put_le(keys, (uint64_t)(data - start), 4), m->key_len, 2);
		if (m->key_len > 0)
			memcpy(data, m->key, m->key_len);
		data += m->key_len;
	}
	for (uint32_t i = 0; i < node->n; i++) {
		const struct node *value = node->members[i].value;

		*values++ = value->type;
		if (is_inline(value->type, true)) {
			memset(values, 0, 4);
			memcpy(values, value->p, value->len);
			values += 4;
		} else {
			values = put_le(values, (uint64_t)(data - start), 4);
			data = write_value(value, data);
		}
	}
	put_le(p, (uint64_t)(data - start), 4);
	return data;
}

const uint8_t *
ml_json_diff_apply(
	struct ml_arena *a, const uint8_t *doc, size_t n, const uint8_t *diffs, size_t diff_len, size_t *out_len)
{
	struct node *root = read_document(a, doc, n), *value;
	struct ml_rd rd = ml_rd_of(diffs, diff_len);
	uint8_t *out;

	if (root == NULL)
		return NULL;
	while (ml_rd_left(&rd) > 0) {
		unsigned op = (unsigned)ml_rd_le(&rd, 1);
		uint64_t len = ml_rd_lenenc(&rd), value_len;
		const uint8_t *path = len <= ml_rd_left(&rd) ? ml_rd_bytes(&rd, (size_t)len) : NULL, *p;

		if (rd.bad || path == NULL || op > REMOVE)
			return NULL;
		value = NULL;
		if (op != REMOVE) {
			value_len = ml_rd_lenenc(&rd);
			p = value_len <= ml_rd_left(&rd) ? ml_rd_bytes(&rd, (size_t)value_len) : NULL;
			if (rd.bad || p == NULL || (value = read_document(a, p, (size_t)value_len)) == NULL)
				return NULL;
		}
		if (!apply(a, &root, op, path, (size_t)len, value))
			return NULL;
	}
	out = (uint8_t *)ml_arena_bytes(a, 1 + size_of(root));
	out[0] = root->type;
	*out_len = (size_t)(write_value(root, out + 1) - out);
	return out;
}
