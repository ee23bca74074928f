#include "common/base/err.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *name;
	enum ml_err_class class;
	int status;
} rows[ML_CODE_COUNT] = {
	[ML_OK] = { "CDC:OK", ML_ASK, 200 },
#define X(n, c, s, t) [ML_##n] = { "CDC:" #n, c, s },
#include "common/base/errcodes.def"
#undef X
};

int
ml_err_set(struct ml_err *err, enum ml_code code, int lib, const char *fmt, ...)
{
	va_list ap;

	if (err == NULL)
		return -1;
	err->code = code;
	err->lib = lib;
	err->where[0] = '\0';
	va_start(ap, fmt);
	/* Through a copy: an argument may be err->text itself. */
	char text[sizeof(err->text)];
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	memcpy(err->text, text, sizeof(text));
	return -1;
}

int
ml_err_in(struct ml_err *err, const char *fmt, ...)
{
	char front[sizeof(err->where)];
	size_t n, old;
	va_list ap;

	if (err == NULL)
		return -1;
	va_start(ap, fmt);
	vsnprintf(front, sizeof(front), fmt, ap);
	va_end(ap);
	n = strlen(front);
	old = strlen(err->where);
	if (old > 0 && n + 2 < sizeof(err->where)) {
		if (old > sizeof(err->where) - n - 3)
			old = sizeof(err->where) - n - 3;
		memmove(err->where + n + 2, err->where, old);
		memcpy(err->where + n, ": ", 2);
		err->where[n + 2 + old] = '\0';
		memcpy(err->where, front, n);
	} else {
		memcpy(err->where, front, n + 1);
	}
	return -1;
}

int
ml_err_wrap(struct ml_err *err, enum ml_code outer, const char *fmt, ...)
{
	char text[sizeof(err->text)], inner[sizeof(err->text) + 64];
	size_t n;
	va_list ap;

	if (err == NULL)
		return -1;
	ml_err_print(err, inner, sizeof(inner));
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	n = strlen(text);
	snprintf(text + n, sizeof(text) - n, "%s%s", n > 0 ? ": " : "", inner);
	err->code = outer;
	memcpy(err->text, text, sizeof(text));
	return -1;
}

enum ml_code
ml_code_by_name(const char *name)
{
	if (strncmp(name, "CDC:", 4) == 0)
		name += 4;
	for (int i = 1; i < ML_CODE_COUNT; i++)
		if (strcmp(rows[i].name + 4, name) == 0)
			return (enum ml_code)i;
	return ML_OK;
}

int
ml_err_named(struct ml_err *err, const char *name, const char *text)
{
	enum ml_code code = ml_code_by_name(name);

	return ml_err_set(err, code == ML_OK ? ML_ErrProcessorUnknown : code, 0, "%s", text);
}

const char *
ml_err_print(const struct ml_err *err, char *buf, size_t size)
{
	snprintf(buf, size, "[%s]%s", ml_code_name(err->code), err->text);
	return buf;
}

const char *
ml_code_name(enum ml_code code)
{
	return (unsigned)code < ML_CODE_COUNT ? rows[code].name : "CDC:ErrUnknown";
}

enum ml_err_class
ml_code_class(enum ml_code code)
{
	return (unsigned)code < ML_CODE_COUNT ? rows[code].class : ML_RETRY;
}

int
ml_code_status(enum ml_code code)
{
	return (unsigned)code < ML_CODE_COUNT ? rows[code].status : 500;
}

/* Does "CDC:ErrX" occur in text as a whole name? */
static bool
names(const char *text, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = text; (p = strstr(p, name)) != NULL; p += n) {
		char c = p[n];

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9'))
			return true;
	}
	return false;
}

int
ml_err_status(const struct ml_err *err)
{
	int status = ml_code_status(err->code);

	if (status == 401 || status == 503 || status == 400)
		return status;
	for (int i = 1; i < ML_CODE_COUNT; i++)
		if (rows[i].status == 400 && names(err->text, rows[i].name))
			return 400;
	return status;
}

bool
ml_err_is_fatal(const struct ml_err *err)
{
	if (ml_code_class(err->code) == ML_FAIL)
		return true;
	for (int i = 1; i < ML_CODE_COUNT; i++)
		if (rows[i].class == ML_FAIL && names(err->text, rows[i].name))
			return true;
	return false;
}
