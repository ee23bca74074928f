/*
 * xml.h - the little XML that S3 servers answer with.  A pull reader of foreign bytes: elements, text, CDATA and the five named
 * and the numeric references; attributes are skipped, prefixes of names cut off.  Refused: document types, unclosed or crossed
 * elements, nesting beyond XML_DEPTH_MAX, NULs, what stands outside the one root element.
 */
#ifndef ML_WORKER_SINK_STORAGE_S3_XML_H
#define ML_WORKER_SINK_STORAGE_S3_XML_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"

#define XML_DEPTH_MAX 16

struct xml_span {
	const char *s;
	size_t len;
};

enum xml_what { XML_OPEN, XML_CLOSE, XML_TEXT, XML_END, XML_BAD };

struct xml {
	const char *p, *end;
	struct xml_span names[XML_DEPTH_MAX]; /* of the open elements, the root first */
	unsigned depth;
	bool closing;         /* the element just opened was "<a/>" */
	bool rooted;          /* the root element has begun */
	struct xml_span name; /* XML_OPEN, XML_CLOSE */
	struct xml_span text; /* XML_TEXT: as it stands in the document */
	bool cdata;           /* that text holds no references */
};

void xml_init(struct xml *x, const char *doc, size_t len);
/* The next piece; after XML_END and XML_BAD the same again.  Borrows from the document. */
enum xml_what xml_next(struct xml *x);
bool xml_is(struct xml_span name, const char *s);
/* Appends the text just read with its references resolved; -1 for one that is none. */
int xml_put_text(const struct xml *x, struct ml_buf *out);

/* Name of the root element into out (cut to size); false if it is no XML. */
bool xml_root(const char *doc, size_t len, char *out, size_t size);
/* Appends the text of the first child of the root with this name: 1; 0: none; -1: no XML. */
int xml_child(const char *doc, size_t len, const char *name, struct ml_buf *out);

/* A key of a listing, decoded; -1 ends the reading. */
typedef int xml_key_fn(void *arg, const char *key, uint64_t bytes);
struct xml_listing {
	bool more;           /* there is another page */
	struct ml_buf token; /* where it goes on; the caller's to free */
};
/* A ListBucketResult: fn for each object, then what follows.  -1: no such document, or fn said so. */
int xml_list(const char *doc, size_t len, xml_key_fn *fn, void *arg, struct xml_listing *l);
#endif
