#include "capture-worker/source/mysql/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

/* Records in the file before it is looked through for those that may go: an hour of an idle server's ticks. */
#define COMPACT_RECORDS 4096u
#define MAGIC UINT64_C(0x4C4E524A4D4C4D01)

struct record {
	uint64_t file, offset;
	uint64_t value;
	ml_ts ts;
	uint32_t kind;
	uint32_t crc; /* of the bytes before it */
};
_Static_assert(sizeof(struct record) == 40, "the record has no holes");

struct ml_journal {
	char path[PATH_MAX];
	int fd;
	uint64_t log;     /* hash of the log's identity */
	struct record *v; /* by boundary, as they were made; one tick per boundary */
	size_t n, cap;
	struct record at; /* boundary of the last seek or pass; only its place counts */
	size_t next;      /* first record of the boundary the reader has not left */
	size_t in_file;
	_Atomic ml_ts saved;
};

static uint64_t
hash(const char *s)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (; *s != '\0'; s++)
		h = (h ^ (uint8_t)*s) * UINT64_C(0x100000001b3);
	return h;
}

static uint32_t
crc_of(const struct record *r)
{
	return (uint32_t)crc32(0, (const Bytef *)r, offsetof(struct record, crc));
}

static int
before(const struct record *a, uint64_t file, uint64_t offset)
{
	return a->file < file || (a->file == file && a->offset < offset);
}

/* Index of the first record that is not before the boundary. */
static size_t
lower_bound(const struct ml_journal *j, uint64_t file, uint64_t offset)
{
	size_t lo = 0, hi = j->n;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (before(&j->v[mid], file, offset))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static void
remember(struct ml_journal *j, const struct record *r)
{
	size_t i = lower_bound(j, r->file, r->offset);

	for (; i < j->n && j->v[i].file == r->file && j->v[i].offset == r->offset; i++) {
		if (j->v[i].kind == r->kind) {
			if (r->ts >= j->v[i].ts)
				j->v[i] = *r;
			return;
		}
	}
	if (j->n == j->cap) {
		j->cap = j->cap > 0 ? 2 * j->cap : 256;
		j->v = realloc(j->v, j->cap * sizeof(*j->v));
		if (j->v == NULL)
			abort();
	}
	memmove(j->v + i + 1, j->v + i, (j->n - i) * sizeof(*j->v));
	j->v[i] = *r;
	j->n++;
	if (i < j->next)
		j->next++;
}

static int
write_all(int fd, const void *p, size_t n)
{
	const char *c = p;

	while (n > 0) {
		ssize_t k = write(fd, c, n);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return -1;
		c += k;
		n -= (size_t)k;
	}
	return 0;
}

/* Writes header and live records to a new file and puts it in the place of the old one. */
static int
rewrite(struct ml_journal *j, struct ml_err *err)
{
	char tmp[PATH_MAX + 8];
	uint64_t head[2] = { MAGIC, j->log };
	int fd;

	snprintf(tmp, sizeof(tmp), "%s.new", j->path);
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return ML_ERR(err, ErrIO, errno, tmp, strerror(errno));
	if (write_all(fd, head, sizeof(head)) < 0 || write_all(fd, j->v, j->n * sizeof(*j->v)) < 0 ||
		rename(tmp, j->path) < 0) {
		int e = errno;

		close(fd);
		unlink(tmp);
		return ML_ERR(err, ErrIO, e, tmp, strerror(e));
	}
	if (j->fd >= 0)
		close(j->fd);
	j->fd = fd;
	j->in_file = j->n;
	return 0;
}

/* Reads the file; true if it is whole and of this log. */
static bool
load(struct ml_journal *j)
{
	uint64_t head[2];
	struct record r;
	struct stat st;
	int fd = open(j->path, O_RDWR | O_APPEND | O_CLOEXEC);

	if (fd < 0)
		return false;
	if (fstat(fd, &st) < 0 || read(fd, head, sizeof(head)) != (ssize_t)sizeof(head) || head[0] != MAGIC ||
		head[1] != j->log) {
		close(fd);
		return false;
	}
	while (read(fd, &r, sizeof(r)) == (ssize_t)sizeof(r) && r.crc == crc_of(&r)) {
		remember(j, &r);
		j->in_file++;
	}
	if ((uint64_t)st.st_size != sizeof(head) + j->in_file * sizeof(r)) {
		close(fd);
		return false; /* the records read are kept; rewrite drops the tail */
	}
	j->fd = fd;
	return true;
}

int
ml_journal_open(struct ml_journal **out, const char *dir, const char *log, struct ml_err *err)
{
	struct ml_journal *j = calloc(1, sizeof(*j));

	if (j == NULL)
		abort();
	j->fd = -1;
	j->log = hash(log);
	snprintf(j->path, sizeof(j->path), "%s/fold.journal", dir);
	if (!load(j) && rewrite(j, err) < 0) {
		ml_journal_close(j);
		return -1;
	}
	*out = j;
	return 0;
}

void
ml_journal_close(struct ml_journal *j)
{
	if (j == NULL)
		return;
	if (j->fd >= 0)
		close(j->fd);
	free(j->v);
	free(j);
}

int
ml_journal_add(struct ml_journal *j, enum ml_journal_kind kind, uint64_t file, uint64_t offset, uint64_t value,
	ml_ts ts, struct ml_err *err)
{
	struct record r = { .file = file, .offset = offset, .value = value, .ts = ts, .kind = kind };

	r.crc = crc_of(&r);
	j->at = r;
	remember(j, &r);
	if (j->in_file >= COMPACT_RECORDS) {
		ml_ts saved = atomic_load(&j->saved);
		size_t n = 0, next = 0;

		for (size_t i = 0; i < j->n; i++) {
			if (i == j->next)
				next = n;
			if (j->v[i].ts > saved)
				j->v[n++] = j->v[i];
		}
		j->next = j->next >= j->n ? n : next;
		j->n = n;
		/* Rewriting pays when it drops most of the file; else the file may grow. */
		if (n < j->in_file / 2)
			return rewrite(j, err);
	}
	if (write_all(j->fd, &r, sizeof(r)) < 0)
		return ML_ERR(err, ErrIO, errno, j->path, strerror(errno));
	j->in_file++;
	return 0;
}

void
ml_journal_seek(struct ml_journal *j, uint64_t file, uint64_t offset)
{
	j->at.file = file;
	j->at.offset = offset;
	j->next = lower_bound(j, file, offset);
}

uint64_t
ml_journal_pass(struct ml_journal *j, uint64_t file, uint64_t offset, ml_ts *last)
{
	uint64_t clamp = 0;

	j->at.file = file;
	j->at.offset = offset;
	for (; j->next < j->n && before(&j->v[j->next], file, offset); j->next++)
		if (j->v[j->next].kind == ML_JOURNAL_TICK && j->v[j->next].value > *last)
			*last = j->v[j->next].value;
	/* Records of this very boundary stay: the reader may ask more than once before it leaves. */
	for (size_t i = j->next; i < j->n && j->v[i].file == file && j->v[i].offset == offset; i++) {
		if (j->v[i].kind == ML_JOURNAL_CLAMP)
			clamp = j->v[i].value;
		else if (j->v[i].value > *last)
			*last = j->v[i].value;
	}
	return clamp;
}

bool
ml_journal_behind(const struct ml_journal *j)
{
	/* Records of the boundary where the reader stands are the last ones it left there itself. */
	return j->next < j->n && before(&j->at, j->v[j->n - 1].file, j->v[j->n - 1].offset);
}

void
ml_journal_saved(struct ml_journal *j, ml_ts checkpoint_ts)
{
	atomic_store(&j->saved, checkpoint_ts);
}
