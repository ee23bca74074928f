/* test_s3_xml.c - the reader of S3 servers' answers: what it takes, what it refuses, listings. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "capture-worker/sink/storage/s3/xml.h"

/* "(a)text(/a)", "!" at the end for what is refused. */
static char *
events(const char *doc, size_t len)
{
	static char out[1024];
	struct ml_buf text = { 0 };
	size_t n = 0;
	struct xml x;

	xml_init(&x, doc, len);
	for (;;) {
		switch (xml_next(&x)) {
		case XML_OPEN:
			n += (size_t)snprintf(out + n, sizeof(out) - n, "(%.*s)", (int)x.name.len, x.name.s);
			continue;
		case XML_CLOSE:
			n += (size_t)snprintf(out + n, sizeof(out) - n, "(/%.*s)", (int)x.name.len, x.name.s);
			continue;
		case XML_TEXT:
			ml_buf_clear(&text);
			n += (size_t)snprintf(out + n, sizeof(out) - n, "%s",
				xml_put_text(&x, &text) == 0 ? text.len > 0 ? text.data : "" : "?");
			continue;
		case XML_END:
			assert_int_equal(xml_next(&x), XML_END);
			break;
		case XML_BAD:
			assert_int_equal(xml_next(&x), XML_BAD);
			snprintf(out + n, sizeof(out) - n, "!");
			break;
		}
		ml_buf_fini(&text);
		return out;
	}
}

static void
documents_are_taken_apart(void **state)
{
	static const struct {
		const char *doc, *want;
	} rows[] = {
		{ "<a/>", "(a)(/a)" },
		{ "\xef\xbb\xbf<?xml version=\"1.0\"?>\n<!-- > --><a>x<b>y</b >z</a>\n", "(a)x(b)y(/b)z(/a)" },
		{ "<n:a xmlns:n=\"http://x/y?a>b\" q='/'><n:b/></n:a>", "(a)(b)(/b)(/a)" },
		{ "<a>&lt;&gt;&amp;&quot;&apos;&#65;&#x1F600;&#xe9;</a>", "(a)<>&\"'A\xf0\x9f\x98\x80\xc3\xa9(/a)" },
		{ "<a>&none;</a>", "(a)?(/a)" },
		{ "<a>&#0;</a>", "(a)?(/a)" },
		{ "<a>&#xd800;</a>", "(a)?(/a)" },
		{ "<a>&#x110000;</a>", "(a)?(/a)" },
		{ "<a>&amp</a>", "(a)?(/a)" },
		{ "<a>&#;</a>", "(a)?(/a)" },
		{ "<a>&#x;</a>", "(a)?(/a)" },
		{ "<a><![CDATA[<&amp;]]></a>", "(a)<&amp;(/a)" },
		{ "", "!" },
		{ "text", "!" },
		{ "<a>", "(a)!" },
		{ "<a></b>", "(a)!" },
		{ "<a><b></a></b>", "(a)(b)!" },
		{ "<a/><b/>", "(a)(/a)!" },
		{ "<a/>x", "(a)(/a)!" },
		{ "</a>", "!" },
		{ "<a", "!" },
		{ "<a b='", "!" },
		{ "<a b<", "!" },
		{ "<>", "!" },
		{ "<a><!DOCTYPE x></a>", "(a)!" },
		{ "<!DOCTYPE x [<!ENTITY y 'z'>]><a/>", "!" },
		{ "<a><!-- </a>", "(a)!" },
		{ "<a><![CDATA[x</a>", "(a)!" },
		{ "<?xml", "!" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		/* Exactly as long as it is, so that a sanitizer sees a read beyond. */
		size_t n = strlen(rows[i].doc);
		char *doc = malloc(n + 1);

		memcpy(doc + 1, rows[i].doc, n);
		if (strcmp(events(doc + 1, n), rows[i].want) != 0)
			fail_msg("%s gives %s", rows[i].doc, events(doc + 1, n));
		free(doc);
	}
	assert_string_equal(events("<a>\0</a>", 8), "(a)!");
}

static void
depth_is_bounded(void **state)
{
	char doc[400] = "";

	(void)state;
	for (int i = 0; i < XML_DEPTH_MAX; i++)
		strcat(doc, "<a>");
	for (int i = 0; i < XML_DEPTH_MAX; i++)
		strcat(doc, "</a>");
	assert_null(strchr(events(doc, strlen(doc)), '!'));
	memmove(doc + 3, doc, strlen(doc) + 1);
	strcat(doc, "</a>");
	assert_non_null(strchr(events(doc, strlen(doc)), '!'));
}

static void
children_of_the_root_are_found(void **state)
{
	static const char doc[] =
		"<Error><Inner><Code>not this</Code></Inner><Code>No&amp;Such</Code><Code>nor this</Code><E/></Error>";
	struct ml_buf out = { 0 };
	char root[4];

	(void)state;
	assert_int_equal(xml_child(doc, strlen(doc), "Code", &out), 1);
	assert_string_equal(out.data, "No&Such");
	ml_buf_clear(&out);
	assert_int_equal(xml_child(doc, strlen(doc), "E", &out), 1);
	assert_int_equal(out.len, 0);
	assert_int_equal(xml_child(doc, strlen(doc), "Error", &out), 0);
	assert_int_equal(xml_child(doc, strlen(doc) - 1, "E", &out), -1);
	assert_true(xml_root(doc, strlen(doc), root, sizeof(root)));
	assert_string_equal(root, "Err");
	assert_false(xml_root("x", 1, root, sizeof(root)));
	ml_buf_fini(&out);
}

static char listed[512];

static int
collect(void *arg, const char *key, uint64_t bytes)
{
	int *left = arg;

	snprintf(listed + strlen(listed), sizeof(listed) - strlen(listed), "%s=%llu;", key, (unsigned long long)bytes);
	return --*left >= 0 ? 0 : -1;
}

static int
list(const char *doc, int max, struct xml_listing *l)
{
	listed[0] = '\0';
	return xml_list(doc, strlen(doc), collect, &max, l);
}

#define PAGE(more)                                                                                                     \
	"<?xml version='1.0'?><ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name>"      \
	"<Prefix>p/</Prefix>" more                                                                                     \
	"<Contents><Key>p/a%2Bb+c%25</Key><Size>12</Size><Owner><ID>x</ID></Owner></Contents>"                         \
	"<CommonPrefixes><Prefix>p/sub/</Prefix></CommonPrefixes><Contents><Size>0</Size><Key>p/&amp;</Key></Contents></ListBucketResult>"

static void
listings_are_read(void **state)
{
	struct xml_listing l = { 0 };

	(void)state;
	assert_int_equal(list(PAGE("<IsTruncated>false</IsTruncated><EncodingType>url</EncodingType>"), 9, &l), 0);
	assert_string_equal(listed, "p/a+b c%=12;p/&=0;");
	assert_false(l.more);
	/* A server that does not encode says so by saying nothing. */
	assert_int_equal(
		list(PAGE("<IsTruncated>true</IsTruncated><NextContinuationToken>t&lt;1</NextContinuationToken>"), 9,
			&l),
		0);
	assert_string_equal(listed, "p/a%2Bb+c%25=12;p/&=0;");
	assert_true(l.more);
	assert_string_equal(l.token.data, "t<1");
	/* No token: it would be the same page for ever. */
	assert_int_equal(list(PAGE("<IsTruncated>true</IsTruncated>"), 9, &l), -1);
	assert_int_equal(list(PAGE(""), 1, &l), -1); /* the callback says so */
	assert_int_equal(list("<ListBucketResult/>", 9, &l), 0);
	assert_int_equal(list("<Error><Code>x</Code></Error>", 9, &l), -1);
	assert_int_equal(list("<ListBucketResult><Contents><Size>1</Size></Contents></ListBucketResult>", 9, &l), -1);
	assert_int_equal(
		list("<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>%4</Key></Contents></ListBucketResult>",
			9, &l),
		-1);
	assert_int_equal(
		list("<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>a%00</Key></Contents></ListBucketResult>",
			9, &l),
		-1);
	ml_buf_fini(&l.token);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(documents_are_taken_apart),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(children_of_the_root_are_found),
		cmocka_unit_test(listings_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
