#include "common/run/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

/* A record of more is cut: it must fit the stack of any thread and, with its escapes, one write. */
#define TEXT_MAX 6000
#define LINE_MAX_BYTES 8192

int ml_log_level = ML_INFO;
static const char *process_name = "millrace";

static const char *const level_names[] = { "debug", "info", "warn", "error", "fatal" };
static const char *const level_tags[] = { "DEBUG", "INFO ", "WARN ", "ERROR", "FATAL" };

void
ml_log_init(const char *process)
{
	process_name = process;
}

int
ml_log_parse_level(const char *name, enum ml_level *level)
{
	static const struct {
		const char *name;
		enum ml_level level;
	} rows[] = {
		{ "debug", ML_DEBUG },
		{ "info", ML_INFO },
		{ "", ML_INFO },
		{ "warn", ML_WARN },
		{ "warning", ML_WARN },
		{ "error", ML_ERROR },
		{ "dpanic", ML_FATAL },
		{ "panic", ML_FATAL },
		{ "fatal", ML_FATAL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (strcasecmp(name, rows[i].name) == 0) {
			*level = rows[i].level;
			return 0;
		}
	}
	return -1;
}

const char *
ml_level_name(enum ml_level level)
{
	return level_names[level];
}

void
ml_log_set_level(enum ml_level level)
{
	__atomic_store_n(&ml_log_level, (int)level, __ATOMIC_RELAXED);
}

/* Appends text to the line with control characters as \n, \t or \xNN; keeps two bytes free for the end of the line. */
static size_t
escape(char *line, size_t at, const char *text)
{
	static const char hex[] = "0123456789abcdef";

	for (const unsigned char *p = (const unsigned char *)text; *p != '\0' && at + 6 < LINE_MAX_BYTES; p++) {
		if (*p >= 0x20 && *p != 0x7f) {
			line[at++] = (char)*p;
			continue;
		}
		line[at++] = '\\';
		if (*p == '\n' || *p == '\t' || *p == '\r') {
			line[at++] = *p == '\n' ? 'n' : *p == '\t' ? 't' : 'r';
		} else {
			line[at++] = 'x';
			line[at++] = hex[*p >> 4];
			line[at++] = hex[*p & 15];
		}
	}
	return at;
}

void
ml_log_write(enum ml_level level, const char *object, const char *fmt, ...)
{
	char line[LINE_MAX_BYTES], text[TEXT_MAX];
	int saved_errno = errno, n;
	struct timespec now;
	struct tm tm;
	size_t at;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	n = snprintf(line, 200, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ %s %.40s[%ld] ", tm.tm_year + 1900, tm.tm_mon + 1,
		tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)(now.tv_nsec / 1000000), level_tags[level],
		process_name, (long)getpid());
	at = escape(line, (size_t)n, object != NULL ? object : "-");
	at = escape(line, at, ": ");
	at = escape(line, at, text);
	line[at++] = '\n';
	/* One write per record, so that lines of several processes never mix in one O_APPEND file; a full disk loses it. */
	if (write(STDERR_FILENO, line, at) < 0)
		at = 0;
	errno = saved_errno;
}

void
ml_log_err(enum ml_level level, const char *object, const struct ml_err *err, const char *what)
{
	char lib[64] = "";
	const char *sep = err->where[0] != '\0' ? ": " : "";

	if ((int)level < __atomic_load_n(&ml_log_level, __ATOMIC_RELAXED))
		return;
	if (err->lib != 0)
		snprintf(lib, sizeof(lib), " lib=%d", err->lib);
	ml_log_write(level, object, "%s: %s%s[%s]%s%s", what, err->where, sep, ml_code_name(err->code), err->text, lib);
}
