/*
 * payload.h - TRANSACTION_PAYLOAD: a whole transaction in one compressed event (mysql-upstream.md 3.13).
 *
 * What is inside is unfolded event by event, so that memory is bounded by the largest one, not by the transaction.
 */
#ifndef ML_WORKER_SOURCE_MYSQL_PAYLOAD_H
#define ML_WORKER_SOURCE_MYSQL_PAYLOAD_H
#include <stddef.h>
#include <stdint.h>

struct ml_payload; /* for one thread; used for one event after the other */

struct ml_payload *ml_payload_new(void);    /* aborts without memory */
void ml_payload_free(struct ml_payload *p); /* NULL is fine */

/* Begins a body, which must stay until it has been read.  0, or -1 for a broken head or an unknown compression. */
int ml_payload_open(struct ml_payload *p, const uint8_t *body, size_t len);
/* The next event inside, without checksum, valid until the next call.  1: an event; 0: end; -1: broken. */
int ml_payload_next(struct ml_payload *p, const uint8_t **ev, size_t *len);
#endif
