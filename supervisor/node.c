#include "supervisor/node.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/run/log.h"
#include "common/run/proc.h"

#define BACKLOG 1024
#define CHILDREN_POLL_MS 5
#define CHILDREN_QUIET_MS 500
/* How often and how long an address in use is tried. */
#define LISTEN_TRIES 25
#define LISTEN_WAIT_US 20000

static int
bad_dir(struct ml_err *err, const char *dir, const char *what)
{
	char text[200];
	int saved = errno;

	snprintf(text, sizeof(text), "%s: %s", what, strerror(saved));
	return ML_ERR(err, ErrDataDir, saved, dir, text);
}

/* Children of a killed server that have still something under way downstream. */
static int
wait_for_children(int lock, const char *data_dir)
{
	for (int waited = 0; flock(lock, LOCK_EX | LOCK_NB) != 0; waited += CHILDREN_POLL_MS) {
		if (errno != EWOULDBLOCK || waited > ML_PROC_ORPHAN_MS + ML_PROC_DEADLINE_MS)
			return -1;
		if (waited == CHILDREN_QUIET_MS)
			ml_info("-", "waiting for workers of an earlier server data_dir=%s", data_dir);
		usleep(CHILDREN_POLL_MS * 1000);
	}
	return 0;
}

static int
lock_file(int dir, const char *data_dir, uid_t owner, gid_t group, int *fd, struct ml_err *err)
{
	struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char text[32] = "";
	int f = openat(dir, "millrace.lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	ssize_t n;

	if (f < 0)
		return bad_dir(err, data_dir, "lock file");
	/* The first belongs to the server's process alone, the second to it and its children. */
	if (fcntl(f, F_SETLK, &whole) != 0 || wait_for_children(f, data_dir) != 0) {
		int saved = errno == EACCES ? EWOULDBLOCK : errno;

		n = pread(f, text, sizeof(text) - 1, 0);
		text[n > 0 ? n : 0] = '\0';
		close(f);
		errno = saved;
		if (saved == EWOULDBLOCK)
			return ML_ERR(err, ErrDataDirLocked, 0, data_dir, strtol(text, NULL, 10));
		return bad_dir(err, data_dir, "lock file");
	}
	n = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
	if (ftruncate(f, 0) != 0 || pwrite(f, text, (size_t)n, 0) != n ||
		(owner != (uid_t)-1 && fchown(f, owner, group) != 0)) {
		bad_dir(err, data_dir, "lock file");
		close(f);
		return -1;
	}
	*fd = f;
	return 0;
}

int
ml_node_lock(const char *data_dir, uid_t owner, gid_t group, int *fd, struct ml_err *err)
{
	int dir, test, result;

	if (mkdir(data_dir, 0700) == 0) {
		if (owner != (uid_t)-1 && chown(data_dir, owner, group) != 0)
			return bad_dir(err, data_dir, "chown");
	} else if (errno != EEXIST) {
		return bad_dir(err, data_dir, "it cannot be made");
	}
	dir = open(data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return bad_dir(err, data_dir, "it cannot be opened");
	result = lock_file(dir, data_dir, owner, group, fd, err);
	if (result == 0) {
		/* Under the lock, so that nobody else's file of this name is in the way. */
		test = openat(dir, "millrace.write-test", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (test < 0 || write(test, "x", 1) != 1) {
			result = bad_dir(err, data_dir, "it cannot be written");
			close(*fd);
		}
		if (test >= 0)
			close(test);
		unlinkat(dir, "millrace.write-test", 0);
	}
	close(dir);
	return result;
}

bool
ml_node_split(const char *addr, char *host, size_t host_size, uint16_t *port)
{
	const char *colon = strrchr(addr, ':'), *end = colon;
	size_t digits;

	if (colon == NULL)
		return false;
	digits = strspn(colon + 1, "0123456789");
	if (digits == 0 || digits > 5 || colon[1 + digits] != '\0' || strtoul(colon + 1, NULL, 10) > UINT16_MAX)
		return false;
	if (addr[0] == '[') {
		addr++;
		end--;
		if (end <= addr || *end != ']')
			return false;
	} else if (memchr(addr, ':', (size_t)(end - addr)) != NULL) {
		return false; /* an IPv6 address without its brackets */
	}
	if ((size_t)(end - addr) >= host_size)
		return false;
	memcpy(host, addr, (size_t)(end - addr));
	host[end - addr] = '\0';
	*port = (uint16_t)strtoul(colon + 1, NULL, 10);
	return true;
}

static int
try_listen(const struct addrinfo *a)
{
	int one = 1, fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	one = errno;
	close(fd);
	errno = one;
	return -1;
}

int
ml_node_listen(char *addr, size_t size, int *fd, struct ml_err *err)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV }, *list = NULL;
	struct sockaddr_storage got;
	socklen_t len = sizeof(got);
	char host[256] = "", service[8];
	uint16_t port = 0;
	int r, f = -1;

	if (!ml_node_split(addr, host, sizeof(host), &port))
		return ML_ERR(err, ErrListen, 0, addr, "not host:port");
	snprintf(service, sizeof(service), "%u", port);
	r = getaddrinfo(host[0] != '\0' ? host : NULL, service, &hints, &list);
	if (r != 0)
		return ML_ERR(err, ErrListen, 0, addr, gai_strerror(r));
	for (int i = 0; i < LISTEN_TRIES && f < 0; i++) {
		if (i > 0)
			usleep(LISTEN_WAIT_US);
		for (const struct addrinfo *a = list; a != NULL && f < 0; a = a->ai_next)
			f = try_listen(a);
		if (f < 0 && errno != EADDRINUSE)
			break;
	}
	r = errno;
	freeaddrinfo(list);
	if (f < 0)
		return ML_ERR(err, ErrListen, r, addr, strerror(r));
	if (port == 0 && getsockname(f, (struct sockaddr *)&got, &len) == 0) {
		port = ntohs(got.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&got)->sin6_port
						       : ((struct sockaddr_in *)&got)->sin_port);
		*strrchr(addr, ':') = '\0';
		snprintf(host, sizeof(host), "%s", addr);
		snprintf(addr, size, "%s:%u", host, port);
	}
	*fd = f;
	return 0;
}

void
ml_node_uuid(char uuid[37])
{
	uint8_t b[16];
	size_t n = 0;

	while (n < sizeof(b)) {
		ssize_t got = getrandom(b + n, sizeof(b) - n, 0);

		if (got > 0)
			n += (size_t)got;
	}
	b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
	b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
	snprintf(uuid, 37, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1], b[2],
		b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

int
ml_node_find_user(const char *user, uid_t *uid, gid_t *gid, struct ml_err *err)
{
	const struct passwd *pw;

	*uid = (uid_t)-1;
	*gid = (gid_t)-1;
	if (user[0] == '\0')
		return 0;
	pw = getpwnam(user);
	if (pw == NULL)
		return ML_ERRF(err, ErrConfigInvalid, 0, "user %s is unknown", user);
	*uid = pw->pw_uid;
	*gid = pw->pw_gid;
	return 0;
}

int
ml_node_become(const char *user, uid_t uid, gid_t gid, struct ml_err *err)
{
	if (user[0] == '\0' || uid == geteuid())
		return 0;
	if (initgroups(user, gid) != 0 || setresgid(gid, gid, gid) != 0 || setresuid(uid, uid, uid) != 0)
		return ML_ERRF(err, ErrConfigInvalid, errno, "cannot become user %s: %s", user, strerror(errno));
	return 0;
}
