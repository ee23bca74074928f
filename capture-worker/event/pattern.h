/*
 * pattern.h - one pattern of a table rule: a literal, a glob, or a regular expression of the RE2 kind (sinks.md 7.1).
 *
 * Regular expressions run on PCRE2, but what RE2 does not have (look-around, back-references, possessive and atomic groups,
 * conditions, recursion, verbs, \C, \K and the like) is refused, and what it reads differently (\s, \v, \z, $) is rewritten.
 * Matching uses PCRE2's breadth-first matcher, so that no pattern can make it back-track without end.
 * Immutable once made; matching is thread safe.
 */
#ifndef ML_WORKER_EVENT_PATTERN_H
#define ML_WORKER_EVENT_PATTERN_H
#include <stdbool.h>
#include <stddef.h>

struct ml_pattern;

/*
 * Reads one pattern at *s and moves *s behind it: /regexp/, "quoted", `quoted`, or a glob, which ends at a '.' or the end.
 * 0, or -1 with the reason in why (why_size bytes; texts of sinks.md 7.2).
 */
int ml_pattern_parse(struct ml_pattern **out, const char **s, bool case_sensitive, char *why, size_t why_size);
/* A regular expression in RE2's syntax that is searched anywhere; reasons as above. */
int ml_pattern_regexp(
	struct ml_pattern **out, const char *s, size_t len, bool case_sensitive, char *why, size_t why_size);
void ml_pattern_free(struct ml_pattern *p);

enum ml_found { ML_FOUND_NO, ML_FOUND_YES, ML_FOUND_UNKNOWN };
/* Does name match?  UNKNOWN: the matcher's limits were reached.  Bytes that are not UTF-8 count as U+FFFD each. */
enum ml_found ml_pattern_match(const struct ml_pattern *p, const char *name, size_t len);
/* The same without allocating, for one thread; the scratch fits every pattern. */
struct ml_pattern_scratch;
struct ml_pattern_scratch *ml_pattern_scratch_new(void);
void ml_pattern_scratch_free(struct ml_pattern_scratch *x);
enum ml_found ml_pattern_match_in(
	const struct ml_pattern *p, const char *name, size_t len, struct ml_pattern_scratch *x);
bool ml_pattern_is_star(const struct ml_pattern *p); /* written exactly "*" */
#endif
