/* node.h - what a node holds while it runs: its data directory, its listening socket, its identity. */
#ifndef ML_SUPERVISOR_NODE_H
#define ML_SUPERVISOR_NODE_H
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/base/err.h"

/*
 * Makes the directory (0700; one level, its parent must be there), checks that it can be written, and takes its lock file
 * millrace.lock, waiting until the last children of a server that was killed are gone.  *fd: keep it open and give it to every
 * child; the lock ends with the last of them.  owner: who shall own what is made here; (uid_t)-1: we.
 * ErrDataDir, or ErrDataDirLocked with the pid of the other server.
 */
int ml_node_lock(const char *data_dir, uid_t owner, gid_t group, int *fd, struct ml_err *err);
/*
 * Listens on "host:port" ("[::1]:8300", ":8300"); *fd: non-blocking, close-on-exec.  addr gets the real port in place of 0;
 * size: of addr.  An address in use is tried for half a second, since the gateway of a server that was killed just now may
 * still be closing it.  ErrListen.
 */
int ml_node_listen(char *addr, size_t size, int *fd, struct ml_err *err);
/* Splits "host:port", "[::1]:port" or ":port" (host ""); the port may be 0.  False if it is none of these. */
bool ml_node_split(const char *addr, char *host, size_t host_size, uint16_t *port);
/* A random UUID of version 4. */
void ml_node_uuid(char uuid[37]);
/* Changes to the user for good; does nothing for "".  *uid, *gid: looked up, also if we are not root. */
int ml_node_find_user(const char *user, uid_t *uid, gid_t *gid, struct ml_err *err);
int ml_node_become(const char *user, uid_t uid, gid_t gid, struct ml_err *err);
#endif
