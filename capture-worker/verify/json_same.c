#include "capture-worker/verify/json_same.h"

#include <stdlib.h>
#include <string.h>

#include "common/text/json.h"

static bool same(const struct ml_json *a, const struct ml_json *b);

static const struct ml_json *
member(const struct ml_json *object, const struct ml_json *like)
{
	const struct ml_json *found = NULL;

	/* Exactly this name, and the last of its kind. */
	for (const struct ml_json *m = object->child; m != NULL; m = m->next)
		if (m->key_len == like->key_len && memcmp(m->key, like->key, like->key_len) == 0)
			found = m;
	return found;
}

static bool
same_object(const struct ml_json *a, const struct ml_json *b)
{
	for (const struct ml_json *m = a->child; m != NULL; m = m->next) {
		const struct ml_json *other = member(b, m);

		if (other == NULL || !same(member(a, m), other))
			return false;
	}
	for (const struct ml_json *m = b->child; m != NULL; m = m->next)
		if (member(a, m) == NULL)
			return false;
	return true;
}

static bool
same_array(const struct ml_json *a, const struct ml_json *b)
{
	const struct ml_json *y = b->child;

	for (const struct ml_json *x = a->child; x != NULL; x = x->next, y = y->next)
		if (y == NULL || !same(x, y))
			return false;
	return y == NULL;
}

static bool
same(const struct ml_json *a, const struct ml_json *b)
{
	if (a->type != b->type)
		return false;
	switch (a->type) {
	case ML_JSON_NULL:
		return true;
	case ML_JSON_BOOL:
		return a->b == b->b;
	case ML_JSON_NUMBER:
		/* 64-bit integers beyond 2^53 are told apart by their text; 1.0 and 1.00 are not. */
		if (a->len == b->len && memcmp(a->s, b->s, a->len) == 0)
			return true;
		if (strpbrk(a->s, ".eE") == NULL && strpbrk(b->s, ".eE") == NULL)
			return false;
		return strtod(a->s, NULL) == strtod(b->s, NULL);
	case ML_JSON_STRING:
		return a->len == b->len && memcmp(a->s, b->s, a->len) == 0;
	case ML_JSON_ARRAY:
		return same_array(a, b);
	case ML_JSON_OBJECT:
		return same_object(a, b);
	}
	return false;
}

bool
ml_vf_json_same(const char *a, size_t a_len, const char *b, size_t b_len)
{
	struct ml_arena arena;
	struct ml_json *x, *y;
	bool yes;

	if (a_len == b_len && memcmp(a, b, a_len) == 0)
		return true;
	ml_arena_init(&arena, 0);
	yes = ml_json_parse(&x, &arena, a, a_len, NULL) == 0 && ml_json_parse(&y, &arena, b, b_len, NULL) == 0 &&
	      same(x, y);
	ml_arena_fini(&arena);
	return yes;
}
