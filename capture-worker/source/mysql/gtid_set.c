#include "capture-worker/source/mysql/gtid_set.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define DUMP_TAGGED 1u

static void *
grow(void *p, size_t *cap, size_t need, size_t size)
{
	size_t was = *cap;

	if (need <= was)
		return p;
	*cap = was > 0 ? 2 * was : 4;
	if (*cap < need)
		*cap = need;
	p = realloc(p, *cap * size);
	if (p == NULL)
		abort();
	memset((char *)p + was * size, 0, (*cap - was) * size);
	return p;
}

void
ml_gtid_set_fini(struct ml_gtid_set *s)
{
	for (size_t i = 0; i < s->cap; i++)
		free(s->v[i].v);
	free(s->v);
	*s = (struct ml_gtid_set){ 0 };
}

void
ml_gtid_set_clear(struct ml_gtid_set *s)
{
	s->n = 0;
}

void
ml_gtid_set_copy(struct ml_gtid_set *to, const struct ml_gtid_set *from)
{
	to->v = grow(to->v, &to->cap, from->n, sizeof(*to->v));
	to->n = from->n;
	for (size_t i = 0; i < from->n; i++) {
		const struct ml_gtid_source *a = &from->v[i];
		struct ml_gtid_source *b = &to->v[i];

		memcpy(b->uuid, a->uuid, sizeof(b->uuid));
		memcpy(b->tag, a->tag, sizeof(b->tag));
		b->v = grow(b->v, &b->cap, a->n, sizeof(*b->v));
		b->n = a->n;
		if (a->n > 0)
			memcpy(b->v, a->v, a->n * sizeof(*b->v));
	}
}

static int
compare(const struct ml_gtid_source *a, const uint8_t uuid[16], const char *tag)
{
	int c = memcmp(a->uuid, uuid, 16);

	return c != 0 ? c : strcmp(a->tag, tag);
}

/* Place of (uuid, tag) in s, or where it belongs. */
static size_t
find(const struct ml_gtid_set *s, const uint8_t uuid[16], const char *tag, bool *found)
{
	size_t i;

	for (i = 0; i < s->n; i++) {
		int c = compare(&s->v[i], uuid, tag);

		if (c >= 0) {
			*found = c == 0;
			return i;
		}
	}
	*found = false;
	return i;
}

static struct ml_gtid_source *
source(struct ml_gtid_set *s, const uint8_t uuid[16], const char *tag)
{
	struct ml_gtid_source spare;
	bool found;
	size_t i = find(s, uuid, tag, &found);

	if (found)
		return &s->v[i];
	s->v = grow(s->v, &s->cap, s->n + 1, sizeof(*s->v));
	spare = s->v[s->n];
	memmove(s->v + i + 1, s->v + i, (s->n - i) * sizeof(*s->v));
	memcpy(spare.uuid, uuid, 16);
	memset(spare.tag, 0, sizeof(spare.tag));
	memcpy(spare.tag, tag, strnlen(tag, ML_GTID_TAG_MAX));
	spare.n = 0;
	s->v[i] = spare;
	s->n++;
	return &s->v[i];
}

void
ml_gtid_set_add(struct ml_gtid_set *s, const uint8_t uuid[16], const char *tag, int64_t from, int64_t to)
{
	struct ml_gtid_source *g = source(s, uuid, tag);
	size_t i = g->n, k;

	/* Nearly always it goes behind the last one. */
	while (i > 0 && g->v[i - 1].to >= from)
		i--;
	/* i: the first range that reaches from; those up to k are swallowed. */
	for (k = i; k < g->n && g->v[k].from <= to; k++) {
		if (g->v[k].from < from)
			from = g->v[k].from;
		if (g->v[k].to > to)
			to = g->v[k].to;
	}
	if (k == i) {
		g->v = grow(g->v, &g->cap, g->n + 1, sizeof(*g->v));
		memmove(g->v + i + 1, g->v + i, (g->n - i) * sizeof(*g->v));
		g->n++;
	} else {
		memmove(g->v + i + 1, g->v + k, (g->n - k) * sizeof(*g->v));
		g->n -= k - i - 1;
	}
	g->v[i] = (struct ml_gtid_range){ .from = from, .to = to };
}

bool
ml_gtid_set_has(const struct ml_gtid_set *s, const uint8_t uuid[16], const char *tag, int64_t number)
{
	bool found;
	size_t i = find(s, uuid, tag, &found);

	for (size_t k = 0; found && k < s->v[i].n; k++)
		if (s->v[i].v[k].from <= number && number < s->v[i].v[k].to)
			return true;
	return false;
}

static int
hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

const char *
ml_uuid_parse(uint8_t uuid[16], const char *p)
{
	for (unsigned i = 0; i < 16; i++) {
		int hi, lo;

		if ((i == 4 || i == 6 || i == 8 || i == 10) && *p++ != '-')
			return NULL;
		if ((hi = hex(p[0])) < 0 || (lo = hex(p[1])) < 0)
			return NULL;
		uuid[i] = (uint8_t)(hi << 4 | lo);
		p += 2;
	}
	return p;
}

void
ml_uuid_print(const uint8_t uuid[16], char out[37])
{
	static const char digits[] = "0123456789abcdef";

	for (unsigned i = 0; i < 16; i++) {
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*out++ = '-';
		*out++ = digits[uuid[i] >> 4];
		*out++ = digits[uuid[i] & 15];
	}
	*out = '\0';
}

static const char *
blanks(const char *p)
{
	while (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')
		p++;
	return p;
}

static const char *
number(const char *p, int64_t *v)
{
	if (*p < '0' || *p > '9')
		return NULL;
	for (*v = 0; *p >= '0' && *p <= '9'; p++) {
		if (*v > (INT64_MAX - 1 - (*p - '0')) / 10)
			return NULL;
		*v = *v * 10 + (*p - '0');
	}
	return *v >= 1 ? p : NULL;
}

static bool
is_tag(char c, bool first)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (!first && c >= '0' && c <= '9');
}

/* One "uuid[:tag]:a-b:c..." up to a comma or the end. */
static const char *
element(struct ml_gtid_set *s, const char *p)
{
	char tag[ML_GTID_TAG_MAX + 1] = "";
	uint8_t uuid[16];
	bool any = false;

	if ((p = ml_uuid_parse(uuid, p)) == NULL)
		return NULL;
	for (p = blanks(p); *p == ':'; p = blanks(p)) {
		int64_t from, to;

		p = blanks(p + 1);
		if (is_tag(*p, true)) {
			size_t n = 0;

			for (; is_tag(*p, false); p++) {
				if (n == ML_GTID_TAG_MAX)
					return NULL;
				tag[n++] = *p >= 'A' && *p <= 'Z' ? (char)(*p | 0x20) : *p;
			}
			tag[n] = '\0';
			any = false;
			continue;
		}
		if ((p = number(p, &from)) == NULL)
			return NULL;
		to = from;
		p = blanks(p);
		if (*p == '-' && (p = number(blanks(p + 1), &to)) == NULL)
			return NULL;
		if (to < from)
			return NULL;
		ml_gtid_set_add(s, uuid, tag, from, to + 1);
		any = true;
	}
	return any ? p : NULL;
}

int
ml_gtid_set_parse(struct ml_gtid_set *s, const char *text)
{
	const char *p = blanks(text);

	ml_gtid_set_clear(s);
	while (*p != '\0') {
		if ((p = element(s, p)) == NULL)
			goto bad;
		if (*p == ',') {
			p = blanks(p + 1);
			if (*p == '\0')
				goto bad;
		} else if (*p != '\0') {
			goto bad;
		}
	}
	return 0;
bad:
	ml_gtid_set_clear(s);
	return -1;
}

void
ml_gtid_set_print(const struct ml_gtid_set *s, struct ml_buf *out)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct ml_gtid_source *g = &s->v[i];
		char uuid[37];

		ml_uuid_print(g->uuid, uuid);
		ml_buf_printf(out, "%s%s%s%s", i > 0 ? "," : "", uuid, g->tag[0] != '\0' ? ":" : "", g->tag);
		for (size_t k = 0; k < g->n; k++) {
			ml_buf_printf(out, ":%" PRId64, g->v[k].from);
			if (g->v[k].to > g->v[k].from + 1)
				ml_buf_printf(out, "-%" PRId64, g->v[k].to - 1);
		}
	}
}

static void
put_le(struct ml_buf *out, uint64_t v, unsigned n)
{
	for (; n > 0; n--, v >>= 8)
		ml_buf_putc(out, (char)v);
}

void
ml_gtid_set_encode(const struct ml_gtid_set *s, struct ml_buf *out)
{
	bool tagged = false;

	for (size_t i = 0; i < s->n; i++)
		tagged |= s->v[i].tag[0] != '\0';
	if (tagged) {
		put_le(out, DUMP_TAGGED, 1);
		put_le(out, s->n, 6);
		put_le(out, DUMP_TAGGED, 1);
	} else {
		put_le(out, s->n, 8);
	}
	for (size_t i = 0; i < s->n; i++) {
		const struct ml_gtid_source *g = &s->v[i];
		size_t tag = strlen(g->tag);

		ml_buf_put(out, g->uuid, 16);
		if (tagged) {
			put_le(out, tag << 1, 1);
			ml_buf_put(out, g->tag, tag);
		}
		put_le(out, g->n, 8);
		for (size_t k = 0; k < g->n; k++) {
			put_le(out, (uint64_t)g->v[k].from, 8);
			put_le(out, (uint64_t)g->v[k].to, 8);
		}
	}
}

int
ml_gtid_set_decode(struct ml_gtid_set *s, const uint8_t *p, size_t n)
{
	struct ml_rd r = ml_rd_of(p, n);
	uint64_t head = ml_rd_le(&r, 8), sources = head;
	bool tagged = head >> 56 == DUMP_TAGGED && (head & 0xFF) == DUMP_TAGGED;

	if (tagged)
		sources = head >> 8 & UINT64_C(0xFFFFFFFFFFFF);
	for (; sources > 0; sources--) {
		const uint8_t *uuid = ml_rd_bytes(&r, 16);
		char tag[ML_GTID_TAG_MAX + 1] = "";
		uint64_t ranges;

		if (tagged) {
			uint64_t len = ml_rd_le(&r, 1) >> 1;
			const uint8_t *t = ml_rd_bytes(&r, (size_t)len);

			if (r.bad || len > ML_GTID_TAG_MAX || memchr(t, '\0', (size_t)len) != NULL)
				return -1;
			memcpy(tag, t, (size_t)len);
		}
		ranges = ml_rd_le(&r, 8);
		if (r.bad || ranges == 0 || ranges > ml_rd_left(&r) / 16)
			return -1;
		for (; ranges > 0; ranges--) {
			int64_t from = (int64_t)ml_rd_le(&r, 8), to = (int64_t)ml_rd_le(&r, 8);

			if (from < 1 || to <= from)
				return -1;
			ml_gtid_set_add(s, uuid, tag, from, to);
		}
	}
	return r.bad || ml_rd_left(&r) > 0 ? -1 : 0;
}
