#include "capture-worker/source/mysql/gtid.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void
ml_gtid_list_fini(struct ml_gtid_list *l)
{
	free(l->v);
	*l = (struct ml_gtid_list){ 0 };
}

void
ml_gtid_list_set(struct ml_gtid_list *l, const struct ml_gtid *g)
{
	size_t i;

	for (i = 0; i < l->n && l->v[i].domain < g->domain; i++)
		;
	if (i < l->n && l->v[i].domain == g->domain) {
		l->v[i] = *g;
		return;
	}
	if (l->n == l->cap) {
		l->cap = l->cap > 0 ? 2 * l->cap : 8;
		l->v = realloc(l->v, l->cap * sizeof(*l->v));
		if (l->v == NULL)
			abort();
	}
	memmove(l->v + i + 1, l->v + i, (l->n - i) * sizeof(*l->v));
	l->v[i] = *g;
	l->n++;
}

void
ml_gtid_list_copy(struct ml_gtid_list *to, const struct ml_gtid_list *from)
{
	if (to->cap < from->n) {
		to->v = realloc(to->v, from->cap * sizeof(*to->v));
		if (to->v == NULL)
			abort();
		to->cap = from->cap;
	}
	to->n = from->n;
	if (from->n > 0)
		memcpy(to->v, from->v, from->n * sizeof(*to->v));
}

/* One number up to `end` (0: the end of an element); NULL if there is none or it is too large. */
static const char *
number(const char *p, uint64_t max, uint64_t *v)
{
	if (*p < '0' || *p > '9')
		return NULL;
	for (*v = 0; *p >= '0' && *p <= '9'; p++) {
		uint64_t digit = (uint64_t)(*p - '0');

		if (*v > (max - digit) / 10)
			return NULL;
		*v = *v * 10 + digit;
	}
	return p;
}

static const char *
blanks(const char *p)
{
	while (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')
		p++;
	return p;
}

int
ml_gtid_list_parse(struct ml_gtid_list *l, const char *text)
{
	const char *p = blanks(text);

	l->n = 0;
	while (*p != '\0') {
		uint64_t domain, server, seq;

		if ((p = number(p, UINT32_MAX, &domain)) == NULL || *p++ != '-' ||
			(p = number(p, UINT32_MAX, &server)) == NULL || *p++ != '-' ||
			(p = number(p, UINT64_MAX, &seq)) == NULL)
			goto bad;
		ml_gtid_list_set(
			l, &(struct ml_gtid){ .domain = (uint32_t)domain, .server = (uint32_t)server, .seq = seq });
		p = blanks(p);
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
	l->n = 0;
	return -1;
}

void
ml_gtid_list_print(const struct ml_gtid_list *l, struct ml_buf *out)
{
	for (size_t i = 0; i < l->n; i++)
		ml_buf_printf(out, "%s%" PRIu32 "-%" PRIu32 "-%" PRIu64, i > 0 ? "," : "", l->v[i].domain,
			l->v[i].server, l->v[i].seq);
}

uint64_t
ml_binlog_number(const char *file)
{
	const char *dot = strrchr(file, '.'), *end;
	uint64_t v;

	if (dot == NULL || (end = number(dot + 1, UINT64_MAX - 1, &v)) == NULL || *end != '\0')
		return UINT64_MAX;
	return v;
}

bool
ml_binlog_same_base(const char *a, const char *b)
{
	const char *da = strrchr(a, '.'), *db = strrchr(b, '.');

	return da != NULL && db != NULL && da - a == db - b && memcmp(a, b, (size_t)(da - a)) == 0;
}
