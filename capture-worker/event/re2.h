/*
 * re2.h - a regular expression in RE2's syntax (as Go has it), rewritten for PCRE2.
 *
 * Refused: look-around, back-references, named and numbered recursion, atomic and possessive parts, conditions, comments,
 * verbs, unknown escapes (\C \K \R \X \G \Z \e \h ...), unknown flags, repeat counts above 1000, repeats of repeats.
 * Whether brackets balance and ranges ascend is left to PCRE2's own compiler.
 */
#ifndef ML_WORKER_EVENT_RE2_H
#define ML_WORKER_EVENT_RE2_H
#include <stddef.h>

#include "common/base/buf.h"

/*
 * Appends the PCRE2 text to out (PCRE2_UTF, PCRE2_DOLLAR_ENDONLY, newline LF).  0, or -1 with the reason in why:
 * "invalid pattern: error parsing regexp: ...", in RE2's words.
 */
int ml_re2_to_pcre2(struct ml_buf *out, const char *s, size_t len, char *why, size_t why_size);
#endif
