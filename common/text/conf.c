#include "common/text/conf.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/text/uri.h"

/* Room for "name.of.an.option". */
#define NAME_MAX_BYTES 128

static void *
must(void *p)
{
	if (p == NULL)
		abort(); /* out of memory, at start-up */
	return p;
}

static void *
place(const struct ml_opt *o, void *base)
{
	return (char *)base + o->at;
}

static const void *
place_const(const struct ml_opt *o, const void *base)
{
	return (const char *)base + o->at;
}

static void
texts_fini(struct ml_texts *t)
{
	for (size_t i = 0; i < t->n; i++)
		free(t->v[i]);
	free(t->v);
	*t = (struct ml_texts){ 0 };
}

static void
texts_add(struct ml_texts *t, const char *s, size_t len)
{
	t->v = must(realloc(t->v, (t->n + 1) * sizeof(*t->v)));
	t->v[t->n++] = must(strndup(s, len));
}

static int
check_text(const struct ml_opt *o, const char *text, const char *called, struct ml_err *err)
{
	struct ml_err why = { 0 };

	if (o->check == NULL || o->check(text, &why) == 0)
		return 0;
	return ML_ERRF(err, ErrConfigInvalid, 0, "%s: %s", called, why.text);
}

static int
set_text(const struct ml_opt *o, void *base, const char *text, const char *called, struct ml_err *err)
{
	char **to = place(o, base);

	if (check_text(o, text, called, err) != 0)
		return -1;
	free(*to);
	*to = must(strdup(text));
	return 0;
}

static int
set_number(const struct ml_opt *o, void *base, int64_t v, const char *called, struct ml_err *err)
{
	bool limited = o->min != 0 || o->max != 0;

	if (limited && (v < o->min || v > o->max)) {
		struct ml_buf range = { 0 };

		if (o->type == ML_OPT_DURATION) {
			ml_conf_put_duration(&range, o->min);
			ml_buf_puts(&range, " to ");
			ml_conf_put_duration(&range, o->max);
		} else {
			ml_buf_printf(&range, "%" PRId64 " to %" PRId64, o->min, o->max);
		}
		ML_ERRF(err, ErrConfigInvalid, 0, "%s: %" PRId64 "%s is out of range; allowed is %s", called, v,
			o->type == ML_OPT_DURATION ? "ns" : "", range.data);
		ml_buf_fini(&range);
		return -1;
	}
	*(int64_t *)place(o, base) = v;
	return 0;
}

static int
set_list(const struct ml_opt *o, void *base, struct ml_texts *list, const char *called, struct ml_err *err)
{
	for (size_t i = 0; i < list->n; i++) {
		if (check_text(o, list->v[i], called, err) != 0) {
			texts_fini(list);
			return -1;
		}
	}
	texts_fini(place(o, base));
	*(struct ml_texts *)place(o, base) = *list;
	return 0;
}

/* "a, b,c" without the blanks around and without empty elements, as TiCDC trims them. */
static struct ml_texts
split(const char *text)
{
	struct ml_texts list = { 0 };

	while (*text != '\0') {
		size_t n = strcspn(text, ","), from = strspn(text, " \t"), len;

		if (from > n)
			from = n;
		for (len = n; len > from && (text[len - 1] == ' ' || text[len - 1] == '\t'); len--)
			continue;
		if (len > from)
			texts_add(&list, text + from, len - from);
		text += n + (text[n] == ',');
	}
	return list;
}

int
ml_conf_set(const struct ml_opt *o, void *base, const char *text, const char *called, struct ml_err *err)
{
	struct ml_texts list;
	int64_t v;
	char *end;

	switch (o->type) {
	case ML_OPT_STRING:
		return set_text(o, base, text, called, err);
	case ML_OPT_BOOL:
		if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
			return ML_ERRF(
				err, ErrConfigInvalid, 0, "%s: '%.100s' is neither true nor false", called, text);
		*(bool *)place(o, base) = text[0] == 't';
		return 0;
	case ML_OPT_INT:
		errno = 0;
		v = strtoll(text, &end, 10);
		if (end == text || *end != '\0' || errno != 0 || text[0] == ' ')
			return ML_ERRF(err, ErrConfigInvalid, 0, "%s: '%.100s' is not an integer", called, text);
		return set_number(o, base, v, called, err);
	case ML_OPT_DURATION:
		if (ml_parse_duration_ns(text, &v) != 0)
			return ML_ERRF(err, ErrConfigInvalid, 0, "%s: '%.100s' is not a duration such as 50ms or 1m30s",
				called, text);
		return set_number(o, base, v, called, err);
	case ML_OPT_LIST:
		list = split(text);
		return set_list(o, base, &list, called, err);
	case ML_OPT_TREE:
		break;
	}
	return 0;
}

void
ml_conf_defaults(const struct ml_opt *opts, size_t n, void *base)
{
	for (size_t i = 0; i < n; i++) {
		const struct ml_opt *o = &opts[i];

		if ((o->flags & ML_OPT_OBSOLETE) != 0 || o->type == ML_OPT_TREE)
			continue;
		/* Defaults are not checked: "" may mean "none" where a value given must be good. */
		if (o->type == ML_OPT_STRING) {
			char **to = place(o, base);

			free(*to);
			*to = must(strdup(o->dflt));
		} else if (ml_conf_set(o, base, o->dflt, o->name, NULL) != 0) {
			abort();
		}
	}
}

void
ml_conf_fini(const struct ml_opt *opts, size_t n, void *base)
{
	for (size_t i = 0; i < n; i++) {
		if ((opts[i].flags & ML_OPT_OBSOLETE) != 0)
			continue;
		if (opts[i].type == ML_OPT_STRING) {
			char **s = place(&opts[i], base);

			if (*s != NULL)
				explicit_bzero(*s, strlen(*s));
			free(*s);
			*s = NULL;
		} else if (opts[i].type == ML_OPT_LIST) {
			texts_fini(place(&opts[i], base));
		}
	}
}

const struct ml_opt *
ml_conf_by_flag(const struct ml_opt *opts, size_t n, const char *flag)
{
	for (size_t i = 0; i < n; i++)
		if (opts[i].flag != NULL && strcmp(opts[i].flag, flag) == 0)
			return &opts[i];
	return NULL;
}

/* --- file --- */

struct load {
	const struct ml_opt *opts;
	size_t n;
	void *base;
	const bool *given;
	void (*obsolete)(const char *name, void *arg);
	void *arg;
	struct ml_err *err;
};

static int
wrong_type(const struct load *ld, const struct ml_toml *v, const char *name, const char *want)
{
	return ML_ERRF(ld->err, ErrConfigInvalid, 0, "line %u: %s: %s expected, %s given", v->line, name, want,
		ml_toml_type_name(v->type));
}

static int
load_list(const struct load *ld, const struct ml_opt *o, const struct ml_toml *v, const char *name, const char *called)
{
	struct ml_texts list = { 0 };

	if (v->type != ML_TOML_ARRAY)
		return wrong_type(ld, v, name, "an array of strings");
	for (const struct ml_toml *i = v->first; i != NULL; i = i->next) {
		if (i->type != ML_TOML_STRING) {
			texts_fini(&list);
			return wrong_type(ld, i, name, "an array of strings");
		}
		texts_add(&list, i->text, strlen(i->text));
	}
	return set_list(o, ld->base, &list, called, ld->err);
}

static int
load_value(const struct load *ld, const struct ml_opt *o, const struct ml_toml *v, const char *name)
{
	char called[NAME_MAX_BYTES + 32];

	snprintf(called, sizeof(called), "line %u: %s", v->line, name);
	if ((o->flags & ML_OPT_OBSOLETE) != 0) {
		if (ld->obsolete != NULL)
			ld->obsolete(name, ld->arg);
		return 0;
	}
	if (ld->given[o - ld->opts])
		return 0;
	switch (o->type) {
	case ML_OPT_STRING:
		if (v->type != ML_TOML_STRING)
			return wrong_type(ld, v, name, "a string");
		return set_text(o, ld->base, v->text, called, ld->err);
	case ML_OPT_BOOL:
		if (v->type != ML_TOML_BOOL)
			return wrong_type(ld, v, name, "a boolean");
		*(bool *)place(o, ld->base) = v->num != 0;
		return 0;
	case ML_OPT_INT:
		if (v->type != ML_TOML_INT)
			return wrong_type(ld, v, name, "an integer");
		return set_number(o, ld->base, v->num, called, ld->err);
	case ML_OPT_DURATION:
		if (v->type == ML_TOML_INT)
			return set_number(o, ld->base, v->num, called, ld->err);
		if (v->type != ML_TOML_STRING)
			return wrong_type(ld, v, name, "a duration such as \"50ms\"");
		return ml_conf_set(o, ld->base, v->text, called, ld->err);
	case ML_OPT_LIST:
		return load_list(ld, o, v, name, called);
	case ML_OPT_TREE:
		break;
	}
	return 0;
}

static int
load_table(const struct load *ld, const struct ml_toml *table, const char *prefix)
{
	for (const struct ml_toml *v = table->first; v != NULL; v = v->next) {
		char name[NAME_MAX_BYTES];
		const struct ml_opt *o = NULL;
		bool section = false;
		int len = snprintf(name, sizeof(name), "%s%s%s", prefix, *prefix != '\0' ? "." : "", v->key);

		/* A key with a dot in it must not pass for a nested one. */
		if (len >= (int)sizeof(name) || strchr(v->key, '.') != NULL)
			return ML_ERRF(ld->err, ErrConfigInvalid, 0, "line %u: unknown option %.100s", v->line, name);
		for (size_t i = 0; i < ld->n && o == NULL; i++) {
			if ((ld->opts[i].flags & ML_OPT_FLAG_ONLY) != 0)
				continue;
			if (strcmp(ld->opts[i].name, name) == 0)
				o = &ld->opts[i];
			section |= strncmp(ld->opts[i].name, name, (size_t)len) == 0 && ld->opts[i].name[len] == '.';
		}
		if (o != NULL) {
			if (o->type != ML_OPT_TREE && load_value(ld, o, v, name) != 0)
				return -1;
		} else if (!section) {
			return ML_ERRF(ld->err, ErrConfigInvalid, 0, "line %u: unknown option %s", v->line, name);
		} else if (v->type != ML_TOML_TABLE) {
			return wrong_type(ld, v, name, "a table");
		} else if (load_table(ld, v, name) != 0) {
			return -1;
		}
	}
	return 0;
}

int
ml_conf_load(const struct ml_opt *opts, size_t n, void *base, const struct ml_toml *root, const bool *given,
	void (*obsolete)(const char *name, void *arg), void *arg, struct ml_err *err)
{
	struct load ld = { opts, n, base, given, obsolete, arg, err };

	return load_table(&ld, root, "");
}

/* --- printing --- */

void
ml_conf_put_duration(struct ml_buf *out, int64_t ns)
{
	static const struct {
		const char *unit;
		int64_t ns;
	} units[] = {
		{ "h", 3600000000000 },
		{ "m", 60000000000 },
		{ "s", 1000000000 },
		{ "ms", 1000000 },
		{ "us", 1000 },
		{ "ns", 1 },
	};
	bool any = false;

	if (ns < 0)
		ml_buf_putc(out, '-');
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		int64_t n = ns / units[i].ns;

		ns %= units[i].ns;
		if (n != 0) {
			ml_buf_printf(out, "%" PRId64 "%s", n < 0 ? -n : n, units[i].unit);
			any = true;
		}
	}
	if (!any)
		ml_buf_puts(out, "0s");
}

/* In both JSON and TOML: quotes, backslashes and control characters escaped, everything else as it is. */
void
ml_conf_put_json_text(struct ml_buf *out, const char *s)
{
	ml_buf_putc(out, '"');
	for (; *s != '\0'; s++) {
		unsigned char c = (unsigned char)*s;

		if (c == '"' || c == '\\')
			ml_buf_printf(out, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			ml_buf_printf(out, "\\u%04x", c);
		else
			ml_buf_putc(out, (char)c);
	}
	ml_buf_putc(out, '"');
}

static void
put_list(struct ml_buf *out, const struct ml_texts *list)
{
	ml_buf_putc(out, '[');
	for (size_t i = 0; i < list->n; i++) {
		if (i > 0)
			ml_buf_puts(out, ", ");
		ml_conf_put_json_text(out, list->v[i]);
	}
	ml_buf_putc(out, ']');
}

static void
put_value(struct ml_buf *out, const struct ml_opt *o, const void *base, bool json)
{
	const struct ml_texts *list;

	switch (o->type) {
	case ML_OPT_STRING:
		ml_conf_put_json_text(out, *(char *const *)place_const(o, base));
		break;
	case ML_OPT_BOOL:
		ml_buf_puts(out, *(const bool *)place_const(o, base) ? "true" : "false");
		break;
	case ML_OPT_DURATION:
		if (!json) {
			ml_buf_putc(out, '"');
			ml_conf_put_duration(out, *(const int64_t *)place_const(o, base));
			ml_buf_putc(out, '"');
			break;
		}
		/* fall through */
	case ML_OPT_INT:
		ml_buf_printf(out, "%" PRId64, *(const int64_t *)place_const(o, base));
		break;
	case ML_OPT_LIST:
		list = place_const(o, base);
		if (json && list->n == 0)
			ml_buf_puts(out, "null");
		else
			put_list(out, list);
		break;
	case ML_OPT_TREE:
		ml_buf_puts(out, "{}");
		break;
	}
}

static bool
printed(const struct ml_opt *o)
{
	return (o->flags & (ML_OPT_OBSOLETE | ML_OPT_SECRET | ML_OPT_FLAG_ONLY)) == 0;
}

/* Length of "a.b" of "a.b.c"; 0 at the top level. */
static size_t
section_len(const char *name)
{
	const char *dot = strrchr(name, '.');

	return dot != NULL ? (size_t)(dot - name) : 0;
}

static bool
same_section(const struct ml_opt *a, const struct ml_opt *b)
{
	size_t n = section_len(a->name);

	return n == section_len(b->name) && strncmp(a->name, b->name, n) == 0;
}

void
ml_conf_print_toml(const struct ml_opt *opts, size_t n, const void *base, struct ml_buf *out)
{
	/* The top level first, then each section where its first option stands; an option is printed with its section. */
	for (size_t i = 0; i < n; i++) {
		if (printed(&opts[i]) && opts[i].type != ML_OPT_TREE && section_len(opts[i].name) == 0) {
			ml_buf_printf(out, "%s = ", opts[i].name);
			put_value(out, &opts[i], base, false);
			ml_buf_putc(out, '\n');
		}
	}
	for (size_t i = 0; i < n; i++) {
		size_t len = section_len(opts[i].name);
		bool seen = len == 0 || !printed(&opts[i]);

		for (size_t j = 0; j < i && !seen; j++)
			seen = printed(&opts[j]) && same_section(&opts[i], &opts[j]);
		if (seen)
			continue;
		ml_buf_printf(out, "\n[%.*s]\n", (int)len, opts[i].name);
		for (size_t j = i; j < n; j++) {
			if (printed(&opts[j]) && opts[j].type != ML_OPT_TREE && same_section(&opts[i], &opts[j])) {
				ml_buf_printf(out, "%s = ", opts[j].name + len + 1);
				put_value(out, &opts[j], base, false);
				ml_buf_putc(out, '\n');
			}
		}
	}
}

/* TiCDC still prints what it ignores. */
static bool
in_json(const struct ml_opt *o)
{
	return (o->flags & (ML_OPT_SECRET | ML_OPT_FLAG_ONLY)) == 0;
}

static void
put_obsolete(struct ml_buf *out, const struct ml_opt *o)
{
	if (o->type == ML_OPT_STRING)
		ml_conf_put_json_text(out, o->dflt);
	else
		ml_buf_puts(out, o->dflt);
}

static void
put_json_level(
	const struct ml_opt *opts, size_t n, const void *base, const char *prefix, size_t len, struct ml_buf *out)
{
	bool first = true;

	ml_buf_putc(out, '{');
	for (size_t i = 0; i < n; i++) {
		const char *rest = opts[i].name + len, *dot;
		bool seen = false;

		if (!in_json(&opts[i]) || strncmp(opts[i].name, prefix, len) != 0)
			continue;
		dot = strchr(rest, '.');
		/* A section is printed where its first option stands. */
		for (size_t j = 0; dot != NULL && j < i && !seen; j++)
			seen = in_json(&opts[j]) &&
			       strncmp(opts[j].name, opts[i].name, (size_t)(dot + 1 - opts[i].name)) == 0;
		if (seen)
			continue;
		ml_buf_printf(out, "%s\"%.*s\":", first ? "" : ",", dot != NULL ? (int)(dot - rest) : INT_MAX, rest);
		first = false;
		if (dot != NULL)
			put_json_level(opts, n, base, opts[i].name, (size_t)(dot + 1 - opts[i].name), out);
		else if ((opts[i].flags & ML_OPT_OBSOLETE) != 0)
			put_obsolete(out, &opts[i]);
		else
			put_value(out, &opts[i], base, true);
	}
	ml_buf_putc(out, '}');
}

void
ml_conf_print_json(const struct ml_opt *opts, size_t n, const void *base, struct ml_buf *out)
{
	put_json_level(opts, n, base, "", 0, out);
}

void
ml_conf_print_usage(const struct ml_opt *opts, size_t n, struct ml_buf *out)
{
	for (size_t i = 0; i < n; i++) {
		const struct ml_opt *o = &opts[i];
		char left[80];

		if (o->flag == NULL || (o->flags & (ML_OPT_HIDDEN | ML_OPT_OBSOLETE)) != 0)
			continue;
		snprintf(left, sizeof(left), "--%s %s", o->flag,
			o->type == ML_OPT_BOOL       ? ""
			: o->type == ML_OPT_INT      ? "int"
			: o->type == ML_OPT_DURATION ? "duration"
						     : "string");
		ml_buf_printf(out, "      %-30s %s", left, o->help);
		if (o->dflt[0] != '\0')
			ml_buf_printf(out, " (default %s)", o->dflt);
		ml_buf_putc(out, '\n');
	}
}

static void
put_doc_range(struct ml_buf *out, const struct ml_opt *o)
{
	if ((o->type != ML_OPT_INT && o->type != ML_OPT_DURATION) || (o->min == 0 && o->max == 0))
		return;
	ml_buf_puts(out, ", ");
	if (o->type == ML_OPT_DURATION) {
		ml_conf_put_duration(out, o->min);
		ml_buf_puts(out, " to ");
		ml_conf_put_duration(out, o->max);
	} else if (o->max == INT64_MAX) {
		ml_buf_printf(out, "at least %" PRId64, o->min);
	} else {
		ml_buf_printf(out, "%" PRId64 " to %" PRId64, o->min, o->max);
	}
}

void
ml_conf_print_doc(const struct ml_opt *opts, size_t n, struct ml_buf *out)
{
	static const char *const types[] = { "string", "boolean", "integer", "duration", "list", "table" };

	ml_buf_puts(out, "| File | Flag | Type | Default | Meaning |\n|---|---|---|---|---|\n");
	for (size_t i = 0; i < n; i++) {
		const struct ml_opt *o = &opts[i];

		if ((o->flags & ML_OPT_FLAG_ONLY) != 0)
			ml_buf_puts(out, "| – | ");
		else
			ml_buf_printf(out, "| `%s` | ", o->name);
		if (o->flag != NULL)
			ml_buf_printf(out, "`--%s` | ", o->flag);
		else
			ml_buf_puts(out, "– | ");
		ml_buf_puts(out, types[o->type]);
		if (o->unit != NULL)
			ml_buf_printf(out, " (%s)", o->unit);
		put_doc_range(out, o);
		if (o->dflt[0] != '\0')
			ml_buf_printf(out, " | `%s` | %s", o->dflt, o->help);
		else
			ml_buf_printf(out, " | – | %s", o->help);
		if ((o->flags & ML_OPT_OBSOLETE) != 0)
			ml_buf_puts(out, " *Obsolete: accepted with a warning, ignored.*");
		if ((o->flags & ML_OPT_OURS) != 0)
			ml_buf_puts(out, " *Millrace only.*");
		ml_buf_puts(out, " |\n");
	}
}
