#include "capture-worker/verify/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/text/uri.h"

static const char help[] =
	"Compares the tables of two MySQL, MariaDB or TiDB servers, and tells which rows differ.\n"
	"\n"
	"Usage:\n"
	"  millrace verify --upstream URI --downstream URI [flags]\n"
	"\n"
	"Rows are compared by checksums of chunks on both servers; a chunk that differs is narrowed down to its rows.\n"
	"While changes still flow, a row counts as different when it stays so for the time of --settle.\n"
	"\n"
	"Flags:\n"
	"      --upstream URI               mysql://user@host:port/, the source\n"
	"      --downstream URI             the copy; schemes mysql, mysql+ssl, tidb, tidb+ssl, mariadb\n"
	"      --upstream-password-file F   the password is the first line of F, or MILLRACE_UPSTREAM_PASSWORD\n"
	"      --downstream-password-file F the same for the copy, or MILLRACE_DOWNSTREAM_PASSWORD\n"
	"      --filter RULE                a table rule such as 'shop.*' or '!shop.tmp_*'; may be repeated\n"
	"                                   (default: all tables but those of the system)\n"
	"      --case-sensitive             rules tell upper and lower case apart\n"
	"      --threads N                  chunks at work at a time (default 4, at most 64)\n"
	"      --chunk-rows N               rows of a chunk (default 50000)\n"
	"      --settle DURATION            how long a difference may last before it counts (default 10s; 0: at once)\n"
	"      --hash crc32|md5             checksum of a row: 32 bits, fast, or 64 bits of MD5 (default crc32)\n"
	"      --max-listed N               rows listed for a table (default 20; all are counted)\n"
	"      --repair                     make the copy's rows those of the source\n"
	"      --json                       one JSON object a line instead of text\n"
	"      --progress, --no-progress    a line of progress on stderr (default: if it is a terminal)\n"
	"  -h, --help                       this text\n"
	"\n"
	"Exit status: 0 both sides are equal (or were made so), 1 they differ, 2 they could not be compared.\n";

enum {
	O_UP = 256,
	O_DOWN,
	O_UP_FILE,
	O_DOWN_FILE,
	O_FILTER,
	O_CASE,
	O_THREADS,
	O_CHUNK,
	O_SETTLE,
	O_HASH,
	O_LISTED,
	O_REPAIR,
	O_JSON,
	O_PROGRESS,
	O_NO_PROGRESS,
};

static const struct option flags[] = {
	{ "upstream", required_argument, NULL, O_UP },
	{ "downstream", required_argument, NULL, O_DOWN },
	{ "upstream-password-file", required_argument, NULL, O_UP_FILE },
	{ "downstream-password-file", required_argument, NULL, O_DOWN_FILE },
	{ "filter", required_argument, NULL, O_FILTER },
	{ "case-sensitive", no_argument, NULL, O_CASE },
	{ "threads", required_argument, NULL, O_THREADS },
	{ "chunk-rows", required_argument, NULL, O_CHUNK },
	{ "settle", required_argument, NULL, O_SETTLE },
	{ "hash", required_argument, NULL, O_HASH },
	{ "max-listed", required_argument, NULL, O_LISTED },
	{ "repair", no_argument, NULL, O_REPAIR },
	{ "json", no_argument, NULL, O_JSON },
	{ "progress", no_argument, NULL, O_PROGRESS },
	{ "no-progress", no_argument, NULL, O_NO_PROGRESS },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

static char *
copy(const char *s)
{
	char *p = strdup(s);

	if (p == NULL)
		abort();
	return p;
}

static int
number(const char *flag, const char *text, uint32_t low, uint32_t high, uint32_t *out, struct ml_err *err)
{
	char *end;
	unsigned long long v;

	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' || *text == '-' || v < low || v > high)
		return ML_ERRF(err, ErrConfigInvalid, 0, "--%s %s: give a number from %u to %u", flag, text, low, high);
	*out = (uint32_t)v;
	return 0;
}

static int
password_file(char **out, const char *path, struct ml_err *err)
{
	char line[1024];
	FILE *f = fopen(path, "re");

	if (f == NULL)
		return ML_ERRF(err, ErrConfigInvalid, errno, "%s: %s", path, strerror(errno));
	if (fgets(line, sizeof(line), f) == NULL)
		line[0] = '\0';
	fclose(f);
	line[strcspn(line, "\r\n")] = '\0';
	free(*out);
	*out = copy(line);
	explicit_bzero(line, sizeof(line));
	return 0;
}

/* Takes the password out of a URI of the command line, so that the process list does not show it for long. */
static int
take_uri(struct ml_vf_options *o, enum ml_vf_side side, char *text, struct ml_err *err)
{
	struct ml_uri *u;
	char *at, *colon;

	if (ml_uri_parse(&u, text, err) != 0) {
		char *masked = ml_uri_mask(text, ML_MASK_STRONG);

		ML_ERRF(err, ErrConfigInvalid, 0, "--%s %s: it is not a URI; give mysql://user@host:port/",
			side == ML_VF_UP ? "upstream" : "downstream", masked);
		free(masked);
		return -1;
	}
	if (u->password != NULL && o->password[side] == NULL)
		o->password[side] = copy(u->password);
	ml_uri_free(u);
	at = strstr(text, "://") + 3;
	colon = strchr(at, ':');
	at += strcspn(at, "/?#");
	while (at > text && *at != '@')
		at--;
	if (*at == '@' && colon != NULL && colon < at) {
		/* "user:secret@host" becomes "user@host". */
		size_t secret = (size_t)(at - colon), rest = strlen(at) + 1;

		memmove(colon, at, rest);
		explicit_bzero(colon + rest, secret);
	}
	o->uri[side] = text;
	return 0;
}

static int
take(struct ml_vf_options *o, int flag, char *arg, struct ml_err *err)
{
	int64_t ns;

	switch (flag) {
	case O_UP:
		return take_uri(o, ML_VF_UP, arg, err);
	case O_DOWN:
		return take_uri(o, ML_VF_DOWN, arg, err);
	case O_UP_FILE:
		return password_file(&o->password[ML_VF_UP], arg, err);
	case O_DOWN_FILE:
		return password_file(&o->password[ML_VF_DOWN], arg, err);
	case O_FILTER:
		o->rules = realloc(o->rules, (o->n_rules + 1) * sizeof(*o->rules));
		if (o->rules == NULL)
			abort();
		o->rules[o->n_rules++] = arg;
		return 0;
	case O_CASE:
		o->case_sensitive = true;
		return 0;
	case O_THREADS:
		return number("threads", arg, 1, 64, &o->threads, err);
	case O_CHUNK:
		return number("chunk-rows", arg, 1, 10000000, &o->chunk_rows, err);
	case O_SETTLE:
		if (ml_parse_duration_ns(arg, &ns) != 0 || ns < 0 || ns > INT64_C(86400000000000))
			return ML_ERRF(
				err, ErrConfigInvalid, 0, "--settle %s: give a duration up to a day, such as 10s", arg);
		o->settle_ms = (uint32_t)(ns / 1000000);
		return 0;
	case O_HASH:
		if (strcmp(arg, "crc32") != 0 && strcmp(arg, "md5") != 0)
			return ML_ERRF(err, ErrConfigInvalid, 0, "--hash %s: give crc32 or md5", arg);
		o->hash = strcmp(arg, "md5") == 0 ? ML_VF_MD5 : ML_VF_CRC32;
		return 0;
	case O_LISTED:
		return number("max-listed", arg, 0, 100000, &o->max_listed, err);
	case O_REPAIR:
		o->repair = true;
		return 0;
	case O_JSON:
		o->json = true;
		return 0;
	case O_PROGRESS:
	case O_NO_PROGRESS:
		o->progress = flag == O_PROGRESS;
		return 0;
	default:
		return ML_ERRF(err, ErrConfigInvalid, 0, "see millrace verify --help");
	}
}

int
ml_vf_options_read(struct ml_vf_options *o, int argc, char **argv, struct ml_err *err)
{
	static const char *const names[] = { "MILLRACE_UPSTREAM_PASSWORD", "MILLRACE_DOWNSTREAM_PASSWORD" };
	int flag;

	*o = (struct ml_vf_options){
		.threads = 4,
		.chunk_rows = 50000,
		.settle_ms = 10000,
		.max_listed = 20,
		.progress = isatty(STDERR_FILENO) == 1,
	};
	for (int side = 0; side < 2; side++)
		if (getenv(names[side]) != NULL)
			o->password[side] = copy(getenv(names[side]));
	optind = 1;
	while ((flag = getopt_long(argc, argv, "h", flags, NULL)) != -1) {
		if (flag == 'h') {
			fputs(help, stdout);
			return 1;
		}
		if (take(o, flag, optarg, err) != 0)
			return -1;
	}
	if (optind < argc)
		return ML_ERRF(
			err, ErrConfigInvalid, 0, "\"%s\" is not a flag; see millrace verify --help", argv[optind]);
	if (o->uri[ML_VF_UP] == NULL || o->uri[ML_VF_DOWN] == NULL)
		return ML_ERRF(err, ErrConfigInvalid, 0, "--upstream and --downstream must both be given");
	return 0;
}

void
ml_vf_options_fini(struct ml_vf_options *o)
{
	for (int side = 0; side < 2; side++) {
		if (o->password[side] != NULL)
			explicit_bzero(o->password[side], strlen(o->password[side]));
		free(o->password[side]);
	}
	free(o->rules);
}
