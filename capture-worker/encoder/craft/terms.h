/*
 * terms.h - names of schemas, tables and columns: one object for each text, so that a message's dictionary is built by looking at
 * pointers.  Numbers are given anew for every message, in the order of first use.
 */
#ifndef ML_WORKER_ENCODER_CRAFT_TERMS_H
#define ML_WORKER_ENCODER_CRAFT_TERMS_H
#include <stdint.h>

#include "capture-worker/event/schema.h"

struct cr_term {
	struct ml_text text;
	uint64_t message; /* in which `id` was given */
	int64_t id;
	struct cr_term *next; /* of its slot */
};

struct cr_terms {
	struct cr_term **slots;
	uint32_t n_slots, n;
	struct ml_arena arena;
	/* The dictionary of the message that is being written. */
	uint64_t message;
	struct cr_term **used; /* n_used of them, by id */
	uint32_t n_used, cap_used;
};

void cr_terms_init(struct cr_terms *t);
void cr_terms_fini(struct cr_terms *t);
/* The term of this text, which lives as long as t. */
struct cr_term *cr_terms_intern(struct cr_terms *t, struct ml_text text);
/* A new message begins: its dictionary is empty. */
void cr_terms_begin(struct cr_terms *t);

/* Gives the term its first number in this message. */
void cr_terms_add(struct cr_terms *t, struct cr_term *term);
static inline int64_t
cr_terms_id(struct cr_terms *t, struct cr_term *term)
{
	if (__builtin_expect(term->message != t->message, 0))
		cr_terms_add(t, term);
	return term->id;
}
#endif
