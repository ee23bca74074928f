/* tally.h - the last deaths of one child, and whether they have become too many. */
#ifndef ML_SUPERVISOR_TALLY_H
#define ML_SUPERVISOR_TALLY_H
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * A child that dies this often within the window, never having lived for its calm time, will not get well by itself.  With
 * the delays of child.c the fifteenth death comes after about four minutes.
 */
#define ML_TALLY_DEATHS 15
#define ML_TALLY_WINDOW_MS (10 * 60 * 1000)

struct ml_death {
	uint64_t at_ms; /* monotonic */
	uint64_t lived_ms;
	pid_t pid;
	int exit_code; /* valid if signal == 0 */
	int signal;
	bool logged;
	char reason[96]; /* "SIGSEGV", "exit 70", "not ready in time", "bad message: ..." */
};

struct ml_tally {
	struct ml_death last[ML_TALLY_DEATHS]; /* ring */
	unsigned n;                            /* deaths ever counted since ml_tally_clear */
};

/* Counts d; true if this is the ML_TALLY_DEATHS-th one within the window. */
bool ml_tally_add(struct ml_tally *t, const struct ml_death *d);
void ml_tally_clear(struct ml_tally *t);
#endif
