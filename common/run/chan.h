/*
 * chan.h - one end of a channel between two processes: protobuf-c envelopes over a Unix stream socketpair.
 *
 * Frame: 4-byte little-endian length, then one packed Ml__Envelope (frame.h).  The length is checked against ML_CHAN_MAX
 * before a byte is allocated.  A frame may carry one file descriptor (SCM_RIGHTS with its first byte; the length's top bit
 * says so).  Owned by its loop's thread.
 *
 * Anything malformed (length, packing, version, an fd without its frame) ends the channel with ML_CHAN_BAD: the reader goes on
 * living, the peer loses its channel.  err->lib is EPROTONOSUPPORT for another version, else EBADMSG.
 */
#ifndef ML_COMMON_RUN_CHAN_H
#define ML_COMMON_RUN_CHAN_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/err.h"
#include "common/run/loop.h"
#include "proto/envelope.pb-c.h"

/* The largest message is an Assign with long filter rules and a GTID list; a thousand times that is a fault. */
#define ML_CHAN_MAX (4u << 20)
/* Above HIGH bytes queued ml_chan_full is true; on_room is called when the queue falls to LOW.  A stuck peer must not take
 * more of our memory than a few of the largest messages. */
#define ML_CHAN_HIGH (8u << 20)
#define ML_CHAN_LOW (1u << 20)
/* Version of the frame and of every field's meaning; unequal ends part with exit 78. */
#define ML_CHAN_VERSION 1u

enum ml_chan_end { ML_CHAN_EOF, ML_CHAN_BAD, ML_CHAN_IO };

struct ml_chan;
struct ml_chan_handlers {
	/* m is freed after the call.  fd: -1, or a descriptor that now belongs to the callee.  May free the channel. */
	void (*message)(struct ml_chan *ch, const Ml__Envelope *m, int fd, void *arg);
	/* The channel is dead: why in err.  Called once, never from inside ml_chan_send; free it here or later. */
	void (*closed)(struct ml_chan *ch, enum ml_chan_end end, const struct ml_err *err, void *arg);
	void (*room)(struct ml_chan *ch, void *arg); /* may be NULL */
};

/* Takes over fd (a stream socket); makes it non-blocking and close-on-exec.  name: for logs, copied. */
struct ml_chan *ml_chan_new(struct ml_loop *l, int fd, const char *name, const struct ml_chan_handlers *h, void *arg);
void ml_chan_free(struct ml_chan *ch); /* closes; unsent bytes are lost; NULL is fine; allowed from its own callbacks */
/*
 * Queues m (its version is set here) and tries to write at once.  fd: -1, or a descriptor that is sent and stays the caller's.
 * Returns the id given to the message (> 0), for reply_to; 0 if the channel is dead or m is too large.
 */
uint64_t ml_chan_send(struct ml_chan *ch, Ml__Envelope *m, int fd);
bool ml_chan_full(const struct ml_chan *ch);
/* Blocks for at most timeout_ms until all that is queued is with the kernel, which delivers it even if we exit then. */
void ml_chan_drain(struct ml_chan *ch, int timeout_ms);
size_t ml_chan_unsent(const struct ml_chan *ch); /* bytes queued */
/* Ends the channel as if the peer had sent something malformed: a message out of its role or state. */
void ml_chan_refuse(struct ml_chan *ch, const char *why);
void ml_chan_set(struct ml_chan *ch, const struct ml_chan_handlers *h, void *arg); /* other handlers from now on */
const char *ml_chan_name(const struct ml_chan *ch);
/* Two connected stream sockets, both close-on-exec and non-blocking; 0 or -1 with err. */
int ml_chan_pair(int fds[2], struct ml_err *err);
#endif
