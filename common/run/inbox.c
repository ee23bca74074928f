#include "common/run/inbox.h"

#include <stdio.h>
#include <unistd.h>

int
ml_inbox_take(const struct ml_inbox_row *rows, size_t n_rows, unsigned state, struct ml_chan *ch, const Ml__Envelope *m,
	int fd, void *arg)
{
	char why[80];
	size_t i;

	for (i = 0; i < n_rows && rows[i].body != m->body_case; i++)
		continue;
	if (i < n_rows && (rows[i].states >> state & 1u) != 0) {
		rows[i].handle(ch, m, fd, arg);
		return 0;
	}
	if (fd >= 0)
		close(fd);
	snprintf(why, sizeof(why), i < n_rows ? "message %d out of turn (state %u)" : "message %d is not for this end",
		(int)m->body_case, state);
	ml_chan_refuse(ch, why);
	return -1;
}
