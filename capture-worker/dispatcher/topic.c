#include "capture-worker/dispatcher/topic.h"

#include <string.h>

static const char schema_mark[] = "{schema}", table_mark[] = "{table}";

static bool
plain(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '.' || c == '_' ||
	       c == '-';
}

static bool
skip(const char **p, const char *mark)
{
	size_t n = strlen(mark);

	if (strncmp(*p, mark, n) != 0)
		return false;
	*p += n;
	return true;
}

int
ml_topic_check(const char *text, bool both, struct ml_err *err)
{
	const char *p = text;
	bool schema, table;

	while (plain(*p))
		p++;
	if (*p == '\0')
		return 0; /* fixed */
	schema = skip(&p, schema_mark);
	while (plain(*p))
		p++;
	table = skip(&p, table_mark);
	while (plain(*p))
		p++;
	if (*p != '\0' || (both && !(schema && table)))
		return ML_ERR(err, ErrKafkaTopicExprInvalid, 0, text);
	return 0;
}

struct name {
	char *out;
	size_t len;
};

static void
put(struct name *n, char c)
{
	if (n->len < ML_TOPIC_MAX)
		n->out[n->len++] = c;
}

static void
put_name(struct name *n, const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		if (plain(s[i]))
			put(n, s[i]);
		else if (c < 0x80 || c >= 0xc0)
			put(n, '_'); /* one for a whole character: its other bytes are 0x80-0xbf */
	}
}

size_t
ml_topic_name(const char *text, const char *db, size_t db_len, const char *table, size_t table_len,
	char out[ML_TOPIC_MAX + 1])
{
	struct name n = { .out = out };

	for (const char *p = text; *p != '\0';) {
		if (skip(&p, schema_mark))
			put_name(&n, db, db_len);
		else if (skip(&p, table_mark))
			put_name(&n, table, table_len);
		else
			put(&n, *p++);
	}
	/* Kafka takes neither "." nor "..". */
	if ((n.len == 1 && out[0] == '.') || (n.len == 2 && out[0] == '.' && out[1] == '.'))
		memset(out, '_', n.len);
	out[n.len] = '\0';
	return n.len;
}
