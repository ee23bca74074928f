/*
 * client.h - calls to an S3 server: signed (version 4), repeated where that may help, given up in time.  A call may come from
 * any thread; several go on at a time, each on a connection of its own.
 */
#ifndef ML_WORKER_SINK_STORAGE_S3_CLIENT_H
#define ML_WORKER_SINK_STORAGE_S3_CLIENT_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "capture-worker/sink/storage/s3/options.h"
#include "common/base/buf.h"
#include "common/base/err.h"

/* sinks.md 1.10: this many tries of a call, at least so long apart, twice that when the server asks for less. */
#define S3_TRIES 7
#define S3_PAUSE_MS 1000

struct s3_client;

/* What is sent: a piece of a file, then a piece of memory; either may be empty. */
struct s3_body {
	int fd;
	uint64_t offset, fd_len;
	const char *mem;
	size_t mem_len;
};

#define S3_HEADERS_MAX 8

struct s3_request {
	const char *method;                  /* GET HEAD PUT POST DELETE */
	const char *key;                     /* of the object, not escaped; NULL: the bucket */
	const char *query;                   /* escaped and sorted, as s3_put_escaped makes it; NULL: none */
	const char *headers[S3_HEADERS_MAX]; /* "name: value", NULL behind the last */
	const struct s3_body *body;          /* PUT, POST; NULL: empty */
	size_t max_answer;                   /* of a body that is wanted; more is an error */
	uint32_t limit_ms;                   /* of the whole call; 0: STORE_CALL_MAX_MS */
	bool checked;                        /* an answer 200 may hold an <Error> all the same */
};

struct s3_answer {
	int status;     /* 2xx, 404, 412 or 501: the others are errors of the call */
	unsigned tries; /* more than 1: an earlier one may have been heard, too */
	int64_t length; /* Content-Length; -1: not told */
	char etag[128];
	char code[64];     /* of an <Error>, "" for none */
	char message[256]; /* of it, without secrets */
	struct ml_buf body;
};

/* ErrFailToCreateExternalStorage without credentials.  o must outlive the client.  Connects to nothing yet. */
int s3_client_new(struct s3_client **out, const struct s3_options *o, struct ml_err *err);
/* No call may be going on; NULL is fine. */
void s3_client_free(struct s3_client *c);
/* From any thread: calls that are going on fail within a second, and all later ones at once. */
void s3_client_stop(struct s3_client *c);
/*
 * 0: *a is the server's answer, for s3_answer_fini; -1: ErrStorageSinkSendFailed with `where` (what the error calls the
 * object), and *a is empty.
 */
int s3_call(
	struct s3_client *c, const struct s3_request *q, const char *where, struct s3_answer *a, struct ml_err *err);
/* An answer the caller has no use for, as an error: "HTTP 404 NoSuchBucket: ..."; -1. */
int s3_unexpected(const struct s3_answer *a, const char *where, struct ml_err *err);
void s3_answer_fini(struct s3_answer *a);

/* Appends s as one value of a query, or with slashes kept as a path: all but unreserved characters as %XX. */
void s3_put_escaped(struct ml_buf *out, const char *s, bool keep_slashes);
/* Appends the url of a request: scheme, host, path, query.  region: for AWS's own host. */
void s3_put_url(struct ml_buf *out, const struct s3_options *o, const char *region, const char *key, const char *query);
#endif
