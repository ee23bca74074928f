/*
 * conf.h - option tables: one row holds all that is known of an option, and parsing, checking, printing and the documentation
 * follow from it.  Values live in the caller's struct at the row's offset; texts are allocated and given back by ml_conf_fini.
 */
#ifndef ML_COMMON_TEXT_CONF_H
#define ML_COMMON_TEXT_CONF_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/text/toml.h"

enum ml_opt_type {
	ML_OPT_STRING,   /* char *; never NULL once defaults are set */
	ML_OPT_BOOL,     /* bool */
	ML_OPT_INT,      /* int64_t, within [min, max] */
	ML_OPT_DURATION, /* int64_t, nanoseconds, within [min, max]; "1m30s" or, in a file, an integer of nanoseconds */
	ML_OPT_LIST,     /* struct ml_texts; a flag gives it separated by commas */
	ML_OPT_TREE,     /* no value: anything below this name is accepted and ignored */
};

/* Flags of a row. */
enum {
	ML_OPT_OBSOLETE = 1,  /* accepted, with a warning, and ignored */
	ML_OPT_HIDDEN = 2,    /* not in usage text */
	ML_OPT_SECRET = 4,    /* never printed */
	ML_OPT_FLAG_ONLY = 8, /* not in the file */
	ML_OPT_OURS = 16,     /* not TiCDC's; for the documentation */
};

struct ml_texts {
	char **v;
	size_t n;
};

struct ml_opt {
	const char *name; /* in the file: "section.key" */
	const char *flag; /* on the command line, without "--"; NULL: none */
	enum ml_opt_type type;
	unsigned flags;
	size_t at;                                          /* offset of the value */
	const char *dflt;                                   /* as a flag would give it; "" for none */
	const char *unit;                                   /* "s", "MiB"; NULL if none */
	int64_t min, max;                                   /* of numbers; both 0: no limit but the type's */
	int (*check)(const char *text, struct ml_err *err); /* of texts, and of each element of a list; NULL: any */
	const char *help;
};

/* All defaults; base must be zeroed or set before.  A default that does not parse is our mistake and aborts. */
void ml_conf_defaults(const struct ml_opt *opts, size_t n, void *base);
void ml_conf_fini(const struct ml_opt *opts, size_t n, void *base);
/* Sets one option from text, as a flag gives it; ErrConfigInvalid naming it as `called`.  On failure the value is as it was. */
int ml_conf_set(const struct ml_opt *o, void *base, const char *text, const char *called, struct ml_err *err);
const struct ml_opt *ml_conf_by_flag(const struct ml_opt *opts, size_t n, const char *flag);
/*
 * Takes every value of the document; one that no row knows is an error.  given: n flags, true = already set by a flag, which
 * wins over the file.  obsolete(name, arg) is called for each obsolete one; may be NULL.
 */
int ml_conf_load(const struct ml_opt *opts, size_t n, void *base, const struct ml_toml *root, const bool *given,
	void (*obsolete)(const char *name, void *arg), void *arg, struct ml_err *err);

/* As TOML that ml_conf_load reads back to the same values; no obsolete ones, no secrets. */
void ml_conf_print_toml(const struct ml_opt *opts, size_t n, const void *base, struct ml_buf *out);
/*
 * As one JSON object in table order; nested by the dots; durations in nanoseconds; empty lists null; obsolete options with their
 * default; no secrets.
 */
void ml_conf_print_json(const struct ml_opt *opts, size_t n, const void *base, struct ml_buf *out);
/* Usage text: one line per flag. */
void ml_conf_print_usage(const struct ml_opt *opts, size_t n, struct ml_buf *out);
/* Markdown table for docs/config.md. */
void ml_conf_print_doc(const struct ml_opt *opts, size_t n, struct ml_buf *out);
/* "1m30s", "50ms", "0s". */
void ml_conf_put_duration(struct ml_buf *out, int64_t ns);
void ml_conf_put_json_text(struct ml_buf *out, const char *s);
#endif
