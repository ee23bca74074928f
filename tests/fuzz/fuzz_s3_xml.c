/* fuzz_s3_xml.c - any bytes as the answer of an S3 server: read through, searched, and taken for a listing. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "capture-worker/sink/storage/s3/xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
on_key(void *arg, const char *key, uint64_t bytes)
{
	size_t *n = arg;

	(void)bytes;
	/* Keys are texts without NULs. */
	if (strlen(key) == 0)
		abort();
	*n += strlen(key);
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct ml_buf out = { 0 };
	struct xml_listing l = { 0 };
	char *doc = malloc(size > 0 ? size : 1), root[8];
	size_t n = 0, depth = 0;
	enum xml_what w;
	struct xml x;

	if (doc == NULL)
		abort();
	/* A block of its own, exactly as long: a sanitizer sees a read beyond. */
	memcpy(doc, data, size);
	xml_init(&x, doc, size);
	while ((w = xml_next(&x)) != XML_END && w != XML_BAD) {
		depth += w == XML_OPEN;
		depth -= w == XML_CLOSE;
		if (depth != x.depth || depth > XML_DEPTH_MAX)
			abort();
		if (w == XML_TEXT)
			(void)xml_put_text(&x, &out);
	}
	if (w == XML_END && depth != 0)
		abort();
	if (xml_root(doc, size, root, sizeof(root)) && strlen(root) >= sizeof(root))
		abort();
	(void)xml_child(doc, size, "Code", &out);
	if (xml_list(doc, size, on_key, &n, &l) == 0 && l.more && l.token.len == 0)
		abort();
	ml_buf_fini(&l.token);
	ml_buf_fini(&out);
	free(doc);
	return 0;
}
