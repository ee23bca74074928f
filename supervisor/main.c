/*
 * main.c - program millrace-supervisor: reads the configuration, takes the data directory and the port, and runs the children.
 * Mistakes in flags or file are shown with the usage text; later failures are logged as well.  Both exit with 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/run/log.h"
#include "common/run/proc.h"
#include "supervisor/logfile.h"
#include "supervisor/node.h"
#include "supervisor/options.h"
#include "supervisor/supervisor.h"

static void
print(FILE *to, void (*make)(struct ml_buf *out))
{
	struct ml_buf b = { 0 };

	make(&b);
	fputs(b.data, to);
	ml_buf_fini(&b);
}

static int
usage_error(const struct ml_err *err)
{
	char text[1200];

	fprintf(stderr, "Error: %s\n", ml_err_print(err, text, sizeof(text)));
	print(stderr, ml_options_usage);
	return 1;
}

/* Valid flags, but it cannot start: to the console and to the log, if there is one of its own. */
static int
start_error(const struct ml_err *err, int log_fd)
{
	char text[1200];

	fprintf(stderr, "Error: %s\n", ml_err_print(err, text, sizeof(text)));
	if (log_fd >= 0) {
		dup2(log_fd, STDERR_FILENO);
		ml_log_err(ML_FATAL, "-", err, "cannot start");
	}
	return 1;
}

/* The children's programs lie beside this one. */
static int
find_program(char *path, size_t size, const char *name, struct ml_err *err)
{
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	if (n < 0)
		return ML_ERRF(err, ErrIO, errno, "/proc/self/exe: %s", strerror(errno));
	self[n] = '\0';
	snprintf(path, size, "%s/%s", dirname(self), name);
	if (access(path, X_OK) != 0)
		return ML_ERRF(err, ErrIO, errno, "program %s is missing: %s", path, strerror(errno));
	return 0;
}

static void
replace(char **text, const char *by)
{
	free(*text);
	*text = strdup(by);
	if (*text == NULL)
		abort();
}

static int
open_log(const struct ml_options *o, uid_t uid, gid_t gid, int *fd, struct ml_err *err)
{
	*fd = -1;
	if (o->log_file[0] == '\0')
		return 0;
	*fd = open(o->log_file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
	if (*fd < 0)
		return ML_ERR(err, ErrIO, errno, o->log_file, strerror(errno));
	if (uid != (uid_t)-1 && fchown(*fd, uid, gid) != 0 && errno != EPERM)
		return ML_ERR(err, ErrIO, errno, o->log_file, strerror(errno));
	return 0;
}

static void
log_start(const struct ml_options *o)
{
	char *line = o->warnings.data;

	ml_info("-", "millrace %s starts addr=%s advertise_addr=%s data_dir=%s cluster_id=%s", ml_proc_build(), o->addr,
		o->advertise_addr, o->data_dir, o->cluster_id);
	if (o->upstream_uri[0] != '\0')
		ml_info("-", "upstream uri=%s", o->upstream_uri);
	else
		ml_warn("-", "no upstream is configured (--upstream); each changefeed must bring its own upstream_uri");
	for (char *end; line != NULL && *line != '\0'; line = end + 1) {
		end = strchr(line, '\n');
		*end = '\0';
		ml_warn("-", "%s", line);
	}
}

static int
serve(struct ml_options *o)
{
	char gateway[PATH_MAX + 32], worker[PATH_MAX + 32], addr[300], capture_id[37];
	Ml__ServerConfig config;
	Ml__Upstream upstream;
	struct ml_supervisor_env env = { .gateway_program = gateway, .worker_program = worker, .config = &config };
	struct ml_supervisor *sup;
	struct ml_loop *l;
	struct ml_buf json = { 0 };
	struct ml_err err;
	enum ml_level level = ML_INFO;
	int log_fd = -1, lock_fd, null_fd, code;
	uid_t uid;
	gid_t gid;

	if (ml_node_find_user(o->user, &uid, &gid, &err) != 0)
		return usage_error(&err);
	if (o->default_data_dir)
		printf("[WARN] data-dir is not set, %s is used; set it with --data-dir\n", o->data_dir);
	fflush(stdout);
	snprintf(addr, sizeof(addr), "%s", o->addr);
	if (open_log(o, uid, gid, &log_fd, &err) != 0 ||
		find_program(gateway, sizeof(gateway), "millrace-api-gateway", &err) != 0 ||
		find_program(worker, sizeof(worker), "millrace-capture-worker", &err) != 0 ||
		ml_node_lock(o->data_dir, uid, gid, &lock_fd, &err) != 0 ||
		ml_node_listen(addr, sizeof(addr), &env.listen_fd, &err) != 0 ||
		ml_node_become(o->user, uid, gid, &err) != 0)
		return start_error(&err, log_fd);
	/* A port of 0 has become a real one. */
	if (strcmp(o->addr, o->advertise_addr) == 0)
		replace(&o->advertise_addr, addr);
	replace(&o->addr, addr);

	null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	dup2(null_fd, STDIN_FILENO);
	close(null_fd);
	if (log_fd >= 0) {
		dup2(log_fd, STDOUT_FILENO);
		close(log_fd);
	}
	dup2(STDOUT_FILENO, STDERR_FILENO); /* the log is what is written to stderr; without --log-file it is stdout */
	ml_log_parse_level(o->log_level, &level);
	ml_log_set_level(level);
	umask(077);
	log_start(o);

	ml_options_config(o, &config, &upstream, &json);
	ml_node_uuid(capture_id);
	config.capture_id = capture_id;
	config.supervisor_pid = getpid();
	config.start_wall_ms = (int64_t)ml_wall_ms();
	env.lock_fd = lock_fd;
	env.grace_ms = config.grace_ms;
	if (o->log_file[0] != '\0')
		env.log = ml_logfile_new(o->log_file, o->log_max_size, o->log_max_days, o->log_max_backups);
	l = ml_loop_new();
	if (l == NULL) {
		ml_log_write(ML_FATAL, "-", "no event loop: %s", strerror(errno));
		return 1;
	}
	sup = ml_supervisor_new(l, &env);
	code = ml_supervisor_run(sup);
	ml_info("-", "stopped exit_code=%d", code);
	ml_supervisor_free(sup);
	ml_loop_free(l);
	ml_logfile_free(env.log);
	ml_buf_fini(&json);
	close(env.listen_fd);
	close(lock_fd);
	return code;
}

int
main(int argc, char **argv)
{
	struct ml_options o;
	struct ml_buf out = { 0 };
	struct ml_err err = { 0 };
	int code = 0;

	ml_log_init("supervisor");
	if (ml_options_read(&o, argc, argv, &err) != 0) {
		code = usage_error(&err);
	} else if (o.mode == ML_RUN_SERVER) {
		code = serve(&o);
	} else if (o.mode == ML_RUN_CHECK) {
		if (o.warnings.len > 0)
			fputs(o.warnings.data, stderr);
		puts("configuration ok");
	} else if (o.mode == ML_RUN_PRINT) {
		ml_options_print(&o, &out);
		fputs(out.data, stdout);
		ml_buf_fini(&out);
	} else {
		print(stdout, o.mode == ML_RUN_DOC ? ml_options_doc : ml_options_usage);
	}
	ml_options_fini(&o);
	return code;
}
