#include "api-gateway/http/reply.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

void
ml_reply_json(struct ml_http_req *r, int status, enum ml_style style, struct ml_buf *doc)
{
	ml_http_reply(r, status, style == ML_STYLE_L ? "application/json" : "application/json; charset=utf-8", doc);
	ml_buf_fini(doc);
}

void
ml_reply_empty(struct ml_http_req *r, int status)
{
	ml_http_reply(r, status, NULL, NULL);
}

void
ml_reply_text(struct ml_http_req *r, int status, const char *text)
{
	struct ml_buf b = { 0 };

	ml_buf_puts(&b, text);
	ml_http_reply(r, status, "text/plain; charset=utf-8", &b);
	ml_buf_fini(&b);
}

void
ml_reply_error(struct ml_http_req *r, const struct ml_err *err)
{
	struct ml_buf doc = { 0 };
	struct ml_jw w = ml_jw_of(&doc, ML_STYLE_I);
	char msg[sizeof(err->text) + 80];

	ml_jw_open(&w, '{');
	ml_jw_kstr(&w, "error_msg", ml_err_print(err, msg, sizeof(msg)));
	ml_jw_kstr(&w, "error_code", ml_code_name(err->code));
	ml_jw_close(&w, '}');
	ml_reply_json(r, ml_err_status(err), ML_STYLE_I, &doc);
}

static const char *
print_time(const struct tm *tm, int64_t unix_ms, char *buf, size_t size)
{
	int64_t ms = unix_ms % 1000;

	snprintf(buf, size, "%04d-%02d-%02d %02d:%02d:%02d.%03d", tm->tm_year + 1900, tm->tm_mon + 1, tm->tm_mday,
		tm->tm_hour, tm->tm_min, tm->tm_sec, (int)(ms < 0 ? ms + 1000 : ms));
	return buf;
}

static time_t
floor_s(int64_t unix_ms)
{
	return (time_t)(unix_ms / 1000 - (unix_ms % 1000 < 0));
}

const char *
ml_time_local(int64_t unix_ms, char *buf, size_t size)
{
	time_t t = floor_s(unix_ms);
	struct tm tm;

	if (localtime_r(&t, &tm) == NULL)
		memset(&tm, 0, sizeof(tm));
	return print_time(&tm, unix_ms, buf, size);
}

const char *
ml_time_at(int64_t unix_ms, int32_t offset_s, char *buf, size_t size)
{
	time_t t = floor_s(unix_ms) + offset_s;
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL)
		memset(&tm, 0, sizeof(tm));
	return print_time(&tm, unix_ms, buf, size);
}
