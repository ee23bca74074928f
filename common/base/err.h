/* err.h - struct ml_err: what went wrong, for the API and for the log.  Lives in the caller's frame; nothing to free. */
#ifndef ML_COMMON_BASE_ERR_H
#define ML_COMMON_BASE_ERR_H
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

enum ml_err_class { ML_RETRY, ML_FAIL, ML_ASK };

enum ml_code {
	ML_OK = 0,
#define X(name, class, status, text) ML_##name,
#include "common/base/errcodes.def"
#undef X
	ML_CODE_COUNT
};

/* The row's text as a constant, so that ML_ERR's arguments are checked against it at compile time. */
#define X(name, class, status, text) static const char ml_text_##name[] __attribute__((unused)) = text;
#include "common/base/errcodes.def"
#undef X

struct ml_err {
	enum ml_code code; /* ML_OK: no error */
	int lib;           /* errno, librdkafka or MySQL code behind it, else 0 */
	char text[1024];   /* without the "[CDC:...]" in front; what the API sends */
	char where[160];   /* context, outermost first; what the log adds */
};

/* Sets err (may be NULL) with the row's own text; the value is always -1, so: return ML_ERR(err, ErrIO, errno, a, b); */
#define ML_ERR(err, name, lib, ...) ml_err_set((err), ML_##name, (lib), ml_text_##name, ##__VA_ARGS__)
/* The same with a text of the operation's own. */
#define ML_ERRF(err, name, lib, ...) ml_err_set((err), ML_##name, (lib), __VA_ARGS__)

int ml_err_set(struct ml_err *err, enum ml_code code, int lib, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* Puts context in front of err->where; value -1. */
int ml_err_in(struct ml_err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Makes err the cause of a new error: text becomes "<outer text>: [CDC:ErrInner]inner text"; value -1. */
int ml_err_wrap(struct ml_err *err, enum ml_code outer, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Sets err from a code's name as it travels between processes ("ErrX" or "CDC:ErrX"); unknown: ErrProcessorUnknown. */
int ml_err_named(struct ml_err *err, const char *name, const char *text);

/* "[CDC:ErrX]text" into buf, always terminated; returns buf. */
const char *ml_err_print(const struct ml_err *err, char *buf, size_t size);
/* "CDC:ErrX"; static storage. */
const char *ml_code_name(enum ml_code code);
enum ml_code ml_code_by_name(const char *name); /* with or without "CDC:"; ML_OK if unknown */
enum ml_err_class ml_code_class(enum ml_code code);
int ml_code_status(enum ml_code code); /* HTTP status of the row */
/*
 * HTTP status of a whole error: 400 also when a 400 code occurs anywhere in the text, since wrapped errors inherit it
 * (TiCDC's rule).
 */
int ml_err_status(const struct ml_err *err);
/* True if the changefeed must fail at once: the code's class, or a fatal code anywhere in the text (TiCDC's rule). */
bool ml_err_is_fatal(const struct ml_err *err);
#endif
