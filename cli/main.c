/* main.c - program millrace: what users start.  `server` becomes the supervisor; `version` tells what this is. */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ml_build.h"

static const char usage[] = "Usage:\n"
			    "  millrace [command]\n"
			    "\n"
			    "Commands:\n"
			    "  server    Start a server in the foreground; see millrace server --help\n"
			    "  verify    Compare a copy with its source, row by row; see millrace verify --help\n"
			    "  version   Print the version\n"
			    "\n"
			    "Flags:\n"
			    "  -h, --help   This text.\n";

static int
usage_error(const char *what, const char *word)
{
	fprintf(stderr, "Error: %s \"%s\" for \"millrace\"\n%s", what, word, usage);
	return 1;
}

/* Becomes another program of ours, which lies beside this one or in ../libexec/millrace. */
static int
become(char *name, char **argv)
{
	static const char *const places[] = { ".", "../libexec/millrace" };
	char self[PATH_MAX], path[PATH_MAX + 64];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n < 0) {
		fprintf(stderr, "Error: /proc/self/exe: %s\n", strerror(errno));
		return 1;
	}
	self[n] = '\0';
	dirname(self);
	argv[0] = name;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s/%s", self, places[i], name);
		execv(path, argv);
		if (errno != ENOENT && errno != ENOTDIR)
			break;
	}
	fprintf(stderr, "Error: cannot execute %s: %s\n", path, strerror(errno));
	return 1;
}

static int
version(void)
{
	printf("Release Version: v8.5.0+millrace.%s\nGit Commit Hash: %s\nGit Branch: %s\nUTC Build Time: %s\nGo Version: %s\n"
	       "Failpoint Build: %s\n",
		ML_VERSION, ML_GIT_HASH, ML_GIT_BRANCH, ML_GIT_TIME,
#ifdef __clang__
		"none (clang " __clang_version__ ")",
#else
		"none (gcc " __VERSION__ ")",
#endif
#ifdef ML_FAULTS
		"true"
#else
		"false"
#endif
	);
	return 0;
}

int
main(int argc, char **argv)
{
	static char supervisor[] = "millrace-supervisor", verify[] = "millrace-verify";
	const char *word = argc > 1 ? argv[1] : "--help";

	if (strcmp(word, "server") == 0)
		return become(supervisor, argv + 1);
	if (strcmp(word, "verify") == 0)
		return become(verify, argv + 1);
	if (strcmp(word, "version") == 0)
		return version();
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
		fputs(usage, stdout);
		return 0;
	}
	if (strcmp(word, "cli") == 0 || strcmp(word, "redo") == 0) {
		fprintf(stderr,
			"Error: \"millrace %s\" is not part of this version; use the HTTP API (v2), or TiCDC's own `cdc %s`\n",
			word, word);
		return 1;
	}
	return usage_error(word[0] == '-' ? "unknown flag" : "unknown command", word);
}
