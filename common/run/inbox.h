/*
 * inbox.h - who may say what: a table from message to the states in which it may come and the handler that takes it, as
 * OpenSSH's monitor has.  A message without a row, or in another state, ends the peer that sent it.
 */
#ifndef ML_COMMON_RUN_INBOX_H
#define ML_COMMON_RUN_INBOX_H
#include <stddef.h>
#include <stdint.h>

#include "common/run/chan.h"

struct ml_inbox_row {
	Ml__Envelope__BodyCase body;
	uint32_t states;                                                              /* bit mask: 1u << state */
	void (*handle)(struct ml_chan *ch, const Ml__Envelope *m, int fd, void *arg); /* fd as in ml_chan_handlers */
};

/*
 * Finds m's row, checks the state, calls the handler.  0, or -1 after ml_chan_refuse (fd is closed then).
 */
int ml_inbox_take(const struct ml_inbox_row *rows, size_t n_rows, unsigned state, struct ml_chan *ch,
	const Ml__Envelope *m, int fd, void *arg);
#endif
