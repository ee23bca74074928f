#include "supervisor/options.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/run/log.h"
#include "common/text/replica.h"
#include "common/text/tz.h"
#include "common/text/uri.h"
#include "supervisor/node.h"

#define PASSWORD_ENV "MILLRACE_UPSTREAM_PASSWORD"
#define MS_NS 1000000

/* --- checks of single values; err's text is put behind the option's name --- */

static int
check_port(const char *text, struct ml_err *err)
{
	char host[256];
	uint16_t port;

	if (strrchr(text, ':') == NULL)
		return ML_ERRF(err, ErrConfigInvalid, 0, "'%.200s' does not contain a port", text);
	if (!ml_node_split(text, host, sizeof(host), &port))
		return ML_ERRF(err, ErrConfigInvalid, 0, "'%.200s' is not host:port", text);
	return 0;
}

static int
check_advertise(const char *text, struct ml_err *err)
{
	unsigned char bytes[sizeof(struct in6_addr)], zero[sizeof(struct in6_addr)] = { 0 };
	char host[256];
	uint16_t port;

	if (text[0] == '\0')
		return 0;
	if (check_port(text, err) != 0)
		return -1;
	ml_node_split(text, host, sizeof(host), &port);
	if (host[0] == '\0' || (inet_pton(AF_INET, host, bytes) == 1 && memcmp(bytes, zero, 4) == 0) ||
		(inet_pton(AF_INET6, host, bytes) == 1 && memcmp(bytes, zero, 16) == 0))
		return ML_ERRF(err, ErrConfigInvalid, 0,
			"'%.200s' is an unspecified address, which no other node can reach; give --advertise-addr",
			text);
	return 0;
}

static int
check_cluster_id(const char *text, struct ml_err *err)
{
	static const char *const reserved[] = { "owner", "capture", "task", "changefeed", "job", "meta" };
	size_t n = strlen(text);
	bool good = n >= 1 && n <= 128 && text[0] != '-' && text[n - 1] != '-' && strstr(text, "--") == NULL;

	for (size_t i = 0; i < n && good; i++)
		good = isalnum((unsigned char)text[i]) || text[i] == '-';
	if (!good)
		return ML_ERRF(err, ErrConfigInvalid, 0,
			"'%.130s' is not an identifier: letters and digits, with single '-' between them, at most 128",
			text);
	for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
		if (strcmp(text, reserved[i]) == 0)
			return ML_ERRF(err, ErrConfigInvalid, 0, "'%s' is a reserved word", text);
	return 0;
}

static int
check_level(const char *text, struct ml_err *err)
{
	enum ml_level level;

	if (ml_log_parse_level(text, &level) != 0)
		return ML_ERRF(err, ErrConfigInvalid, 0, "'%.60s' is not one of debug, info, warn, error, fatal", text);
	return 0;
}

static int
check_tz(const char *text, struct ml_err *err)
{
	struct ml_tz *tz;

	if (ml_tz_open(&tz, text, err) != 0)
		return -1;
	ml_tz_free(tz);
	return 0;
}

static int
check_metastore(const char *text, struct ml_err *err)
{
	if (strcmp(text, "sqlite") != 0 && strcmp(text, "mem") != 0)
		return ML_ERRF(err, ErrConfigInvalid, 0, "'%.60s' is neither sqlite nor mem", text);
	return 0;
}

/* --- the table; order is that of GET /config --- */

#define AT(member) offsetof(struct ml_options, member)
#define OLD(name, flag, type, dflt)                                                                                    \
	{                                                                                                              \
		name, flag, type, ML_OPT_OBSOLETE, 0, dflt, NULL, 0, 0, NULL, "Of earlier TiCDC versions."             \
	}

static const struct ml_opt opts[] = {
	{ "addr", "addr", ML_OPT_STRING, 0, AT(addr), "127.0.0.1:8300", NULL, 0, 0, check_port,
		"Address and port of the HTTP API." },
	{ "advertise-addr", "advertise-addr", ML_OPT_STRING, 0, AT(advertise_addr), "", NULL, 0, 0, check_advertise,
		"Address and port that clients and other nodes are told; the same as addr if empty." },
	{ "log-file", "log-file", ML_OPT_STRING, 0, AT(log_file), "", NULL, 0, 0, NULL,
		"Log of all processes of this node; appended to. Standard output if empty." },
	{ "log-level", "log-level", ML_OPT_STRING, 0, AT(log_level), "info", NULL, 0, 0, check_level,
		"debug, info, warn, error or fatal." },
	{ "log.file.max-size", NULL, ML_OPT_INT, 0, AT(log_max_size), "300", "MiB", 0, INT64_MAX, NULL,
		"Size at which log-file is rotated; 0: 300." },
	{ "log.file.max-days", NULL, ML_OPT_INT, 0, AT(log_max_days), "0", "d", 0, INT64_MAX, NULL,
		"Age at which rotated logs are removed; 0: never." },
	{ "log.file.max-backups", NULL, ML_OPT_INT, 0, AT(log_max_backups), "0", NULL, 0, INT64_MAX, NULL,
		"Rotated logs to keep; 0: all." },
	{ "log.error-output", NULL, ML_OPT_STRING, 0, AT(log_error_output), "stderr", NULL, 0, 0, NULL,
		"Accepted; errors go to the log." },
	{ "data-dir", "data-dir", ML_OPT_STRING, 0, AT(data_dir), "", NULL, 0, 0, NULL,
		"Folder of the metadata store and of sorter files; /tmp/cdc_data with a warning if empty." },
	{ "gc-ttl", "gc-ttl", ML_OPT_INT, 0, AT(gc_ttl_s), "86400", "s", 1, INT64_MAX / 1000, NULL,
		"How long a stopped changefeed may hold back garbage collection." },
	{ "tz", "tz", ML_OPT_STRING, 0, AT(tz), "System", NULL, 0, 0, check_tz,
		"Time zone of timestamps in messages." },
	{ "capture-session-ttl", NULL, ML_OPT_INT, 0, AT(session_ttl_s), "10", "s", 0, 3600, NULL,
		"Time to live of this node's registration; values below 5 mean 10." },
	{ "owner-flush-interval", "owner-flush-interval", ML_OPT_DURATION, ML_OPT_HIDDEN, AT(owner_flush_ns), "50ms",
		NULL, MS_NS, 60000LL * MS_NS, NULL, "How often the owner looks at its changefeeds." },
	{ "processor-flush-interval", "processor-flush-interval", ML_OPT_DURATION, ML_OPT_HIDDEN,
		AT(processor_flush_ns), "50ms", NULL, MS_NS, 60000LL * MS_NS, NULL,
		"How often workers report their progress." },
	OLD("sorter.sort-dir", "sort-dir", ML_OPT_STRING, "/tmp/sorter"),
	{ "sorter.cache-size-in-mb", NULL, ML_OPT_INT, 0, AT(sorter_cache_mb), "128", "MiB", 8, INT64_MAX >> 20, NULL,
		"Memory of the sorter's cache." },
	OLD("sorter.max-memory-percentage", "sorter-max-memory-percentage", ML_OPT_INT, "0"),
	OLD("sorter.max-memory-consumption", "sorter-max-memory-consumption", ML_OPT_INT, "0"),
	OLD("sorter.num-workerpool-goroutine", "sorter-num-workerpool-goroutine", ML_OPT_INT, "0"),
	OLD("sorter.num-concurrent-worker", "sorter-num-concurrent-worker", ML_OPT_INT, "0"),
	OLD("sorter.chunk-size-limit", "sorter-chunk-size-limit", ML_OPT_INT, "0"),
	{ "security.ca-path", "ca", ML_OPT_STRING, 0, AT(ca), "", NULL, 0, 0, NULL,
		"CA certificate of TLS (PEM file)." },
	{ "security.cert-path", "cert", ML_OPT_STRING, 0, AT(cert), "", NULL, 0, 0, NULL,
		"Certificate of TLS (PEM file)." },
	{ "security.key-path", "key", ML_OPT_STRING, 0, AT(key), "", NULL, 0, 0, NULL,
		"Private key of TLS (PEM file)." },
	{ "security.cert-allowed-cn", "cert-allowed-cn", ML_OPT_LIST, 0, AT(cert_allowed_cn), "", NULL, 0, 0, NULL,
		"Common names of client certificates that may connect; any if empty." },
	{ "security.mtls", NULL, ML_OPT_BOOL, 0, AT(mtls), "false", NULL, 0, 0, NULL, "Require a client certificate." },
	{ "security.client-user-required", NULL, ML_OPT_BOOL, 0, AT(client_user_required), "false", NULL, 0, 0, NULL,
		"Require HTTP basic authentication for changes." },
	{ "security.client-allowed-user", NULL, ML_OPT_LIST, 0, AT(client_allowed_user), "", NULL, 0, 0, NULL,
		"Users that may log in." },
	{ "kv-client.enable-multiplexing", NULL, ML_OPT_BOOL, 0, AT(kv_multiplexing), "true", NULL, 0, 0, NULL,
		"TiKV client." },
	{ "kv-client.worker-concurrent", NULL, ML_OPT_INT, 0, AT(kv_worker_concurrent), "8", NULL, 1, 4096, NULL,
		"TiKV client." },
	{ "kv-client.grpc-stream-concurrent", NULL, ML_OPT_INT, 0, AT(kv_stream_concurrent), "1", NULL, 1, 4096, NULL,
		"TiKV client." },
	{ "kv-client.advance-interval-in-ms", NULL, ML_OPT_INT, 0, AT(kv_advance_ms), "300", "ms", 1, INT64_MAX, NULL,
		"TiKV client." },
	{ "kv-client.frontier-concurrent", NULL, ML_OPT_INT, 0, AT(kv_frontier), "8", NULL, 1, 4096, NULL,
		"TiKV client." },
	{ "kv-client.worker-pool-size", NULL, ML_OPT_INT, 0, AT(kv_pool), "0", NULL, 0, 4096, NULL, "TiKV client." },
	{ "kv-client.region-scan-limit", NULL, ML_OPT_INT, 0, AT(kv_scan_limit), "40", NULL, 1, INT64_MAX, NULL,
		"TiKV client." },
	{ "kv-client.region-retry-duration", NULL, ML_OPT_DURATION, 0, AT(kv_retry_ns), "1m", NULL, 1, INT64_MAX, NULL,
		"TiKV client." },
	{ "debug", NULL, ML_OPT_TREE, 0, 0, "", NULL, 0, 0, NULL, "Accepted, whatever is below it, and ignored." },
	{ "newarch", NULL, ML_OPT_TREE, ML_OPT_SECRET, 0, "", NULL, 0, 0, NULL, "Accepted and ignored." },
	{ "cluster-id", "cluster-id", ML_OPT_STRING, 0, AT(cluster_id), "default", NULL, 0, 0, check_cluster_id,
		"Name of this cluster of nodes." },
	{ "gc-tuner-memory-threshold", NULL, ML_OPT_INT, 0, AT(gc_tuner), "0", NULL, 0, INT64_MAX, NULL,
		"Accepted; there is no garbage collector to tune." },
	OLD("per-table-memory-quota", NULL, ML_OPT_INT, "0"),
	OLD("max-memory-percentage", NULL, ML_OPT_INT, "0"),
	{ "upstream.uri", "upstream", ML_OPT_STRING, ML_OPT_OURS, AT(upstream_uri), "", NULL, 0, 0, NULL,
		"MySQL or MariaDB server to capture from: mysql://user@host:port/." },
	{ "upstream.password-file", NULL, ML_OPT_STRING, ML_OPT_OURS, AT(upstream_password_file), "", NULL, 0, 0, NULL,
		"File whose first line is the password; the environment variable " PASSWORD_ENV " wins." },
	{ "upstream.ssl-ca", NULL, ML_OPT_STRING, ML_OPT_OURS, AT(upstream_ssl_ca), "", NULL, 0, 0, NULL,
		"CA certificate for the connection to the upstream (PEM file)." },
	{ "upstream.ssl-cert", NULL, ML_OPT_STRING, ML_OPT_OURS, AT(upstream_ssl_cert), "", NULL, 0, 0, NULL,
		"Client certificate (PEM file)." },
	{ "upstream.ssl-key", NULL, ML_OPT_STRING, ML_OPT_OURS, AT(upstream_ssl_key), "", NULL, 0, 0, NULL,
		"Private key of the client certificate (PEM file)." },
	{ "upstream.ssl-verify", NULL, ML_OPT_BOOL, ML_OPT_OURS, AT(upstream_ssl_verify), "false", NULL, 0, 0, NULL,
		"Check the name in the upstream's certificate." },
	{ "upstream.server-id", NULL, ML_OPT_INT, ML_OPT_OURS, AT(upstream_server_id), "0", NULL, 0, UINT32_MAX, NULL,
		"Replica id for reading the binary log; 0 picks one." },
	{ "worker-memory-quota", NULL, ML_OPT_INT, ML_OPT_OURS, AT(worker_memory_quota), "536870912", "bytes", 16 << 20,
		INT64_MAX, NULL, "Bytes of changes in flight per capture-worker." },
	{ "metastore", NULL, ML_OPT_STRING, ML_OPT_OURS, AT(metastore), "sqlite", NULL, 0, 0, check_metastore,
		"Metadata store: sqlite, in data-dir, or mem, lost at the end of the server." },
	{ "grace", "grace", ML_OPT_DURATION, ML_OPT_OURS, AT(grace_ns), "30s", NULL, 0, 3600000LL * MS_NS, NULL,
		"Time for a stop before processes are killed." },
	{ "user", "user", ML_OPT_STRING, ML_OPT_OURS, AT(user), "", NULL, 0, 0, NULL,
		"System user to run as, when started by root." },
	{ "pd", "pd", ML_OPT_STRING, ML_OPT_FLAG_ONLY, AT(pd), "", NULL, 0, 0, NULL,
		"PD endpoints of a TiDB upstream; refused by this build, which has the MySQL upstream only." },
	{ "config", "config", ML_OPT_STRING, ML_OPT_FLAG_ONLY, AT(config), "", NULL, 0, 0, NULL,
		"Configuration file (TOML)." },
};
#define N_OPTS (sizeof(opts) / sizeof(opts[0]))

/* --- secrets --- */

/*
 * Where the password of "scheme://user:password@host" is; false if there is none.  lax: what comes from the command line may
 * be no URI at all, say with a raw '/' in the password; it must be hidden all the same.
 */
static bool
find_password(const char *uri, bool lax, size_t *from, size_t *len)
{
	const char *start = strstr(uri, "://"), *end, *at = NULL, *colon;

	if (start == NULL)
		return false;
	start += 3;
	end = start + strcspn(start, lax ? "" : "/?#");
	for (const char *p = start; p < end; p++)
		if (*p == '@')
			at = p;
	if (at == NULL)
		return false;
	colon = memchr(start, ':', (size_t)(at - start));
	if (colon == NULL)
		return false;
	*from = (size_t)(colon - uri) + 1;
	*len = (size_t)(at - colon) - 1;
	return true;
}

/* Overwrites a password in place, in a way that does not tell its length: what follows moves up. */
static void
hide(char *uri, bool lax)
{
	size_t from, len, total = strlen(uri), tail;

	if (!find_password(uri, lax, &from, &len))
		return;
	tail = total - from - len;
	/* ":" stays away as well: "user@host". */
	memmove(uri + from - 1, uri + from + len, tail);
	memset(uri + from - 1 + tail, '\0', total - (from - 1 + tail));
}

/* The password of a URI, decoded, and the URI without it; text is changed in place. */
static int
take_password(struct ml_options *o, struct ml_err *err)
{
	struct ml_uri *u;
	char host[256];
	uint16_t port;
	int result = -1;

	/* The parser's own text could hold the secret. */
	if (ml_uri_parse(&u, o->upstream_uri, NULL) != 0)
		return ML_ERR(err, ErrUpstreamURIInvalid, 0, "it cannot be parsed");
	if (strcmp(u->scheme, "mysql") != 0 && strcmp(u->scheme, "mariadb") != 0)
		ML_ERR(err, ErrUpstreamURIInvalid, 0, "its scheme is neither mysql nor mariadb");
	else if (ml_uri_host_port(u->hosts, host, sizeof(host), &port, 3306) != 0 || host[0] == '\0')
		ML_ERR(err, ErrUpstreamURIInvalid, 0, "it has no host, or more than one");
	else
		result = 0;
	if (result == 0 && u->password != NULL && o->upstream_password == NULL)
		o->upstream_password = strdup(u->password);
	if (u->password != NULL)
		explicit_bzero(u->password, strlen(u->password));
	ml_uri_free(u);
	hide(o->upstream_uri, false);
	return result;
}

static int
read_password_file(struct ml_options *o, struct ml_err *err)
{
	char text[1024];
	struct stat st;
	ssize_t n;
	int fd = open(o->upstream_password_file, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || (n = read(fd, text, sizeof(text) - 1)) < 0) {
		int saved = errno;

		if (fd >= 0)
			close(fd);
		return ML_ERRF(err, ErrConfigInvalid, saved, "upstream.password-file %s: %s", o->upstream_password_file,
			strerror(saved));
	}
	if (fstat(fd, &st) == 0 && (st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		ml_buf_printf(&o->warnings, "upstream.password-file %s may be read by others than its owner\n",
			o->upstream_password_file);
	close(fd);
	text[n] = '\0';
	text[strcspn(text, "\r\n")] = '\0';
	if (o->upstream_password == NULL)
		o->upstream_password = strdup(text);
	explicit_bzero(text, sizeof(text));
	return 0;
}

/* --- reading --- */

static int
read_flags(struct ml_options *o, int argc, char **argv, bool *given, struct ml_err *err)
{
	bool check = false, print = false;

	for (int i = 1; i < argc; i++) {
		const char *arg = argv[i], *eq = strchr(arg, '='), *value = eq != NULL ? eq + 1 : NULL;
		const struct ml_opt *opt;
		char name[64];
		size_t len = eq != NULL ? (size_t)(eq - arg) : strlen(arg);

		if (strcmp(arg, "-n") == 0 || strcmp(arg, "-v") == 0 || strcmp(arg, "-nv") == 0 ||
			strcmp(arg, "-vn") == 0) {
			check |= strchr(arg, 'n') != NULL;
			print |= strchr(arg, 'v') != NULL;
			continue;
		}
		if (strcmp(arg, "-h") == 0 || strcmp(arg, "--help") == 0) {
			o->mode = ML_RUN_HELP;
			return 0;
		}
		if (strcmp(arg, "--print-config-doc") == 0) {
			o->mode = ML_RUN_DOC;
			return 0;
		}
		if (strncmp(arg, "--", 2) != 0)
			return ML_ERRF(err, ErrConfigInvalid, 0,
				arg[0] == '-' ? "unknown flag: %.100s" : "unexpected argument: %.100s", arg);
		snprintf(name, sizeof(name), "%.*s", (int)len - 2, arg + 2);
		opt = ml_conf_by_flag(opts, N_OPTS, name);
		if (opt == NULL)
			return ML_ERRF(err, ErrConfigInvalid, 0, "unknown flag: --%s", name);
		if (value == NULL && opt->type == ML_OPT_BOOL) {
			value = "true";
		} else if (value == NULL) {
			if (i + 1 == argc)
				return ML_ERRF(err, ErrConfigInvalid, 0, "flag needs an argument: --%s", name);
			value = argv[++i];
		}
		if ((opt->flags & ML_OPT_OBSOLETE) != 0) {
			ml_buf_printf(&o->warnings, "flag --%s is obsolete and ignored\n", name);
			continue;
		}
		snprintf(name, sizeof(name), "--%s", opt->flag);
		if (ml_conf_set(opt, o, value, name, err) != 0)
			return -1;
		given[opt - opts] = true;
	}
	if (print && !check)
		return ML_ERRF(err, ErrConfigInvalid, 0, "-v means something together with -n only");
	o->mode = print ? ML_RUN_PRINT : check ? ML_RUN_CHECK : ML_RUN_SERVER;
	return 0;
}

static void
obsolete(const char *name, void *arg)
{
	struct ml_options *o = arg;

	ml_buf_printf(&o->warnings, "option %s of the configuration file is obsolete and ignored\n", name);
}

static int
read_file(struct ml_options *o, const bool *given, struct ml_err *err)
{
	struct ml_toml *root = NULL;
	struct ml_buf text = { 0 };
	int fd = open(o->config, O_RDONLY | O_CLOEXEC), result = -1;
	ssize_t n = 0;

	if (fd < 0)
		return ML_ERRF(err, ErrConfigInvalid, errno, "configuration file %s: %s", o->config, strerror(errno));
	while (text.len <= ML_TOML_MAX) {
		ml_buf_need(&text, 65536);
		n = read(fd, text.data + text.len, 65536);
		if (n <= 0)
			break;
		text.len += (size_t)n;
	}
	if (n < 0)
		ML_ERRF(err, ErrConfigInvalid, errno, "configuration file %s: %s", o->config, strerror(errno));
	else if (ml_toml_parse(&root, text.data, text.len, err) != 0 ||
		 ml_conf_load(opts, N_OPTS, o, root, given, obsolete, o, err) != 0)
		ML_ERRF(err, ErrConfigInvalid, 0, "configuration file %s: %s", o->config, err->text);
	else
		result = 0;
	close(fd);
	if (text.data != NULL)
		explicit_bzero(text.data, text.cap); /* it may hold a URI with a password */
	ml_buf_fini(&text);
	ml_toml_free(root);
	return result;
}

static int
check_file(const char *path, const char *name, struct ml_err *err)
{
	if (path[0] != '\0' && access(path, R_OK) != 0)
		return ML_ERRF(err, ErrConfigInvalid, errno, "%s %s: %s", name, path, strerror(errno));
	return 0;
}

/* What single values cannot tell. */
static int
check_whole(struct ml_options *o, const bool *given, struct ml_err *err)
{
	unsigned tls = (o->ca[0] != '\0') + (o->cert[0] != '\0') + (o->key[0] != '\0');

	for (size_t i = 0; i < N_OPTS; i++)
		if (given[i] && opts[i].at == AT(pd))
			return o->upstream_uri[0] != '\0'
				       ? ML_ERRF(err, ErrConfigInvalid, 0, "give either --pd or --upstream, not both")
				       : ML_ERR(err, ErrUpstreamUnsupported, 0, o->pd,
						 "it captures from MySQL and MariaDB only, no TiDB; give --upstream mysql://user@host:port/");
	if (o->advertise_addr[0] == '\0') {
		free(o->advertise_addr);
		o->advertise_addr = strdup(o->addr);
		if (check_advertise(o->advertise_addr, err) != 0)
			return ML_ERRF(err, ErrConfigInvalid, 0, "advertise-addr: %s", err->text);
	}
	if (tls != 0 && tls != 3)
		return ML_ERRF(err, ErrConfigInvalid, 0, "ca, cert and key belong together: give all three or none");
	if (check_file(o->ca, "ca", err) != 0 || check_file(o->cert, "cert", err) != 0 ||
		check_file(o->key, "key", err) != 0 || check_file(o->upstream_ssl_ca, "upstream.ssl-ca", err) != 0 ||
		check_file(o->upstream_ssl_cert, "upstream.ssl-cert", err) != 0 ||
		check_file(o->upstream_ssl_key, "upstream.ssl-key", err) != 0)
		return -1;
	if (o->client_user_required && o->client_allowed_user.n == 0)
		return ML_ERRF(
			err, ErrConfigInvalid, 0, "security.client-user-required needs users in client-allowed-user");
	if (o->client_user_required && tls == 0)
		ml_buf_puts(&o->warnings, "user authentication without TLS sends passwords in clear text\n");
	if (o->session_ttl_s < 5)
		o->session_ttl_s = 10; /* TiCDC's rule */
	if (o->data_dir[0] == '\0') {
		free(o->data_dir);
		o->data_dir = strdup("/tmp/cdc_data");
		o->default_data_dir = true;
	}
	if (o->upstream_password_file[0] != '\0' && read_password_file(o, err) != 0)
		return -1;
	return o->upstream_uri[0] != '\0' ? take_password(o, err) : 0;
}

int
ml_options_read(struct ml_options *o, int argc, char **argv, struct ml_err *err)
{
	char *env = getenv(PASSWORD_ENV), *copies[8] = { 0 };
	bool given[N_OPTS] = { false };
	unsigned n_copies = 0;
	int result = -1;
	char **args = calloc((size_t)argc + 1, sizeof(*args));

	memset(o, 0, sizeof(*o));
	if (args == NULL)
		abort();
	if (env != NULL) {
		o->upstream_password = strdup(env);
		explicit_bzero(env, strlen(env));
		unsetenv(PASSWORD_ENV);
	}
	for (int i = 0; i < argc; i++) {
		args[i] = argv[i];
		if (strstr(argv[i], "://") != NULL && strchr(argv[i], '@') != NULL && n_copies < 8) {
			args[i] = copies[n_copies++] = strdup(argv[i]);
			hide(argv[i], true);
		}
	}
	ml_conf_defaults(opts, N_OPTS, o);
	if (read_flags(o, argc, args, given, err) == 0 &&
		(o->mode == ML_RUN_HELP || o->mode == ML_RUN_DOC ||
			((o->config[0] == '\0' || read_file(o, given, err) == 0) && check_whole(o, given, err) == 0)))
		result = 0;
	for (unsigned i = 0; i < n_copies; i++) {
		explicit_bzero(copies[i], strlen(copies[i]));
		free(copies[i]);
	}
	free(args);
	return result;
}

void
ml_options_fini(struct ml_options *o)
{
	ml_conf_fini(opts, N_OPTS, o);
	if (o->upstream_password != NULL)
		explicit_bzero(o->upstream_password, strlen(o->upstream_password));
	free(o->upstream_password);
	o->upstream_password = NULL;
	ml_buf_fini(&o->warnings);
}

void
ml_options_usage(struct ml_buf *out)
{
	ml_buf_puts(out, "Usage:\n  millrace server [flags]\n\nFlags:\n");
	ml_conf_print_usage(opts, N_OPTS, out);
	ml_buf_puts(out,
		"  -n                                   Check the configuration, say ok or what is wrong, and exit.\n"
		"  -nv                                  Print the resolved configuration as TOML and exit.\n"
		"  -h, --help                           This text.\n");
}

void
ml_options_doc(struct ml_buf *out)
{
	ml_buf_puts(out,
		"# Options of `millrace server`\n\n"
		"Generated by `millrace-supervisor --print-config-doc`; do not edit.\n\n"
		"A flag wins over the file, the file over the default. Unknown options in the file are an error. In the file, "
		"`section.key` is `key` below `[section]`; durations are texts such as `\"50ms\"` or `\"1m30s\"`.\n"
		"`millrace server -n` checks a configuration, `-nv` prints it back resolved.\n\n");
	ml_conf_print_doc(opts, N_OPTS, out);
	ml_replica_doc(out);
}

void
ml_options_print(const struct ml_options *o, struct ml_buf *out)
{
	ml_conf_print_toml(opts, N_OPTS, o, out);
}

void
ml_options_config(const struct ml_options *o, Ml__ServerConfig *config, Ml__Upstream *upstream, struct ml_buf *json)
{
	static char none[] = "";

	ml_conf_print_json(opts, N_OPTS, o, json);
	ml__server_config__init(config);
	config->addr = o->addr;
	config->advertise_addr = o->advertise_addr;
	config->cluster_id = o->cluster_id;
	config->data_dir = o->data_dir;
	config->tz = o->tz;
	config->log_level = o->log_level;
	config->gc_ttl_s = (uint64_t)o->gc_ttl_s;
	config->worker_memory_quota_bytes = (uint64_t)o->worker_memory_quota;
	config->grace_ms = (uint32_t)(o->grace_ns / MS_NS);
	config->ca = o->ca;
	config->cert = o->cert;
	config->key = o->key;
	config->metastore = o->metastore;
	config->config_json = json->data;
	config->mtls = o->mtls;
	config->cert_allowed_cn = o->cert_allowed_cn.v;
	config->n_cert_allowed_cn = o->cert_allowed_cn.n;
	config->client_user_required = o->client_user_required;
	config->client_allowed_user = o->client_allowed_user.v;
	config->n_client_allowed_user = o->client_allowed_user.n;
	config->capture_session_ttl_s = (uint32_t)o->session_ttl_s;
	config->owner_flush_interval_ms = (uint64_t)(o->owner_flush_ns / MS_NS);
	if (o->upstream_uri[0] == '\0')
		return;
	ml__upstream__init(upstream);
	upstream->uri = o->upstream_uri;
	upstream->password = o->upstream_password != NULL ? o->upstream_password : none;
	upstream->ssl_ca = o->upstream_ssl_ca;
	upstream->ssl_cert = o->upstream_ssl_cert;
	upstream->ssl_key = o->upstream_ssl_key;
	upstream->ssl_verify = o->upstream_ssl_verify;
	upstream->server_id = (uint32_t)o->upstream_server_id;
	config->upstream = upstream;
}
