/* test_options.c - flags and file of the server, secrets, what -nv prints, docs/config.md. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/node.h"
#include "supervisor/options.h"

/* Reads "flag\nflag\n..." as a command line of its own memory, which *args gets. */
static int
read_line(struct ml_options *o, const char *flags, char **args, struct ml_err *err)
{
	static char *argv[32];
	char *text = strdup(flags), *rest = text, *word;
	static char name[] = "millrace-supervisor";
	int argc = 0;

	argv[argc++] = name;
	while (rest != NULL && *rest != '\0' && (word = strsep(&rest, "\n")) != NULL)
		argv[argc++] = word;
	if (args != NULL)
		*args = text;
	argv[argc] = NULL;
	memset(err, 0, sizeof(*err));
	int r = ml_options_read(o, argc, argv, err);

	if (args == NULL)
		free(text);
	return r;
}

static char file[64];

static const char *
make_file(const char *text, mode_t mode)
{
	int fd;

	snprintf(file, sizeof(file), "/tmp/ml-opt-XXXXXX");
	fd = mkstemp(file);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	fchmod(fd, mode);
	close(fd);
	return file;
}

static void
defaults_are_ticdcs(void **state)
{
	struct ml_options o;
	struct ml_err err;
	struct ml_buf json = { 0 };
	Ml__ServerConfig config;
	Ml__Upstream upstream;

	(void)state;
	assert_int_equal(read_line(&o, "", NULL, &err), 0);
	assert_int_equal(o.mode, ML_RUN_SERVER);
	ml_options_config(&o, &config, &upstream, &json);
	assert_string_equal(config.addr, "127.0.0.1:8300");
	assert_string_equal(config.advertise_addr, "127.0.0.1:8300");
	assert_string_equal(config.data_dir, "/tmp/cdc_data");
	assert_true(o.default_data_dir);
	assert_string_equal(config.cluster_id, "default");
	assert_string_equal(config.tz, "System");
	assert_int_equal(config.gc_ttl_s, 86400);
	assert_int_equal(config.grace_ms, 30000);
	assert_int_equal(config.owner_flush_interval_ms, 50);
	assert_null(config.upstream);
	/* Order and form of GET /config. */
	assert_non_null(strstr(json.data,
		"{\"addr\":\"127.0.0.1:8300\",\"advertise-addr\":\"127.0.0.1:8300\",\"log-file\":\"\","
		"\"log-level\":\"info\",\"log\":{\"file\":{\"max-size\":300,\"max-days\":0,\"max-backups\":0},\"error-output\":\"stderr\"},"
		"\"data-dir\":\"/tmp/cdc_data\",\"gc-ttl\":86400,\"tz\":\"System\",\"capture-session-ttl\":10,"
		"\"owner-flush-interval\":50000000,\"processor-flush-interval\":50000000,\"sorter\":{\"sort-dir\":\"/tmp/sorter\","
		"\"cache-size-in-mb\":128,"));
	assert_non_null(strstr(json.data, "\"cert-allowed-cn\":null,\"mtls\":false,"));
	assert_non_null(strstr(json.data, "\"debug\":{},\"cluster-id\":\"default\",\"gc-tuner-memory-threshold\":0,"
					  "\"per-table-memory-quota\":0,\"max-memory-percentage\":0"));
	ml_buf_fini(&json);
	ml_options_fini(&o);
}

static void
mistakes_are_named(void **state)
{
	static const struct {
		const char *flags, *want;
	} rows[] = {
		{ "--nope", "unknown flag: --nope" },
		{ "-x", "unknown flag: -x" },
		{ "word", "unexpected argument: word" },
		{ "-v", "-v means something together with -n only" },
		{ "--addr", "flag needs an argument: --addr" },
		{ "--addr=localhost", "--addr: 'localhost' does not contain a port" },
		{ "--addr=::1:8300", "--addr: '::1:8300' is not host:port" },
		{ "--addr=h:70000", "--addr: 'h:70000' is not host:port" },
		{ "--addr=[::1]:x", "--addr: '[::1]:x' is not host:port" },
		{ "--addr\n0.0.0.0:8300", "advertise-addr: '0.0.0.0:8300' is an unspecified address" },
		{ "--addr\n[::]:8300", "advertise-addr: '[::]:8300' is an unspecified address" },
		{ "--addr\n:8300", "advertise-addr: ':8300' is an unspecified address" },
		{ "--advertise-addr=0.0.0.0:1", "--advertise-addr: '0.0.0.0:1' is an unspecified address" },
		{ "--advertise-addr=host", "--advertise-addr: 'host' does not contain a port" },
		{ "--gc-ttl=0", "--gc-ttl: 0 is out of range" },
		{ "--tz=Nowhere/Land", "--tz: " },
		{ "--log-level=loud", "--log-level: 'loud' is not one of debug, info, warn, error, fatal" },
		{ "--cluster-id=a_b", "--cluster-id: 'a_b' is not an identifier" },
		{ "--cluster-id=a--b", "--cluster-id: 'a--b' is not an identifier" },
		{ "--cluster-id=owner", "--cluster-id: 'owner' is a reserved word" },
		{ "--grace=soon", "--grace: 'soon' is not a duration" },
		{ "--pd=http://127.0.0.1:2379", "upstream http://127.0.0.1:2379 is not supported by this build: " },
		{ "--pd=http://a:1\n--upstream=mysql://u@h/", "give either --pd or --upstream, not both" },
		{ "--upstream=postgres://u:geheim@h/",
			"upstream uri invalid: its scheme is neither mysql nor mariadb" },
		{ "--upstream=mysql://u:geheim@h1:1,h2:2/", "upstream uri invalid: " },
		{ "--upstream=mysql://u:ge/heim@h/", "upstream uri invalid: it cannot be parsed" },
		{ "--upstream=nonsense", "upstream uri invalid: " },
		{ "--ca=/dev/null", "ca, cert and key belong together" },
		{ "--ca=/dev/null\n--cert=/nonexistent\n--key=/dev/null",
			"cert /nonexistent: No such file or directory" },
		{ "--config=/nonexistent", "configuration file /nonexistent: No such file or directory" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_options o;
		struct ml_err err;

		if (read_line(&o, rows[i].flags, NULL, &err) == 0)
			fail_msg("accepted: %s", rows[i].flags);
		if (strncmp(err.text, rows[i].want, strlen(rows[i].want)) != 0)
			fail_msg("%s: %s", rows[i].flags, err.text);
		assert_null(strstr(err.text, "heim"));
		ml_options_fini(&o);
	}
}

static void
a_file_is_read_and_flags_win(void **state)
{
	struct ml_options o;
	struct ml_err err;
	char flags[200];

	(void)state;
	snprintf(flags, sizeof(flags), "--config\n%s\n--log-level=warning\n--sort-dir=/x",
		make_file(
			"addr = '0.0.0.0:8301'\nadvertise-addr = 'cdc.example:8301'\nlog-level = 'debug'\ncapture-session-ttl = 3\n"
			"per-table-memory-quota = 1\nnewarch = true\n[debug.db]\ncount = 16\n[security]\nclient-user-required = true\n"
			"client-allowed-user = ['root']\ncert-allowed-cn = ['a', 'b']\n[upstream]\nuri = 'mariadb://u:p%40ss@db/'\n"
			"server-id = 77\n[kv-client]\nregion-retry-duration = '2m'\n",
			0600));
	if (read_line(&o, flags, NULL, &err) != 0)
		fail_msg("%s", err.text);
	assert_string_equal(o.addr, "0.0.0.0:8301");
	assert_string_equal(o.log_level, "warning");
	assert_int_equal(o.session_ttl_s, 10); /* below 5 means 10 */
	assert_string_equal(o.upstream_uri, "mariadb://u@db/");
	assert_string_equal(o.upstream_password, "p@ss");
	assert_int_equal(o.upstream_server_id, 77);
	assert_int_equal(o.cert_allowed_cn.n, 2);
	assert_true(o.kv_retry_ns == 120000000000);
	assert_non_null(strstr(o.warnings.data, "flag --sort-dir is obsolete"));
	assert_non_null(strstr(o.warnings.data, "option per-table-memory-quota of the configuration file is obsolete"));
	assert_non_null(strstr(o.warnings.data, "user authentication without TLS"));
	ml_options_fini(&o);
	unlink(file);

	snprintf(flags, sizeof(flags), "--config=%s", make_file("addr = '127.0.0.1:1'\n[sorter]\nbogus = 1\n", 0600));
	assert_int_equal(read_line(&o, flags, NULL, &err), -1);
	assert_non_null(strstr(err.text, ": line 3: unknown option sorter.bogus"));
	ml_options_fini(&o);
	unlink(file);
}

static void
passwords_leave_argv_and_environment_and_never_come_out(void **state)
{
	/* The secret is "geheim" in all of them; what ps shows afterwards. */
	static const struct {
		const char *flags, *shown;
	} rows[] = {
		{ "--upstream=mysql://root:geheim@127.0.0.1:3306/", "--upstream=mysql://root@127.0.0.1:3306/" },
		{ "--upstream\nmysql://root:geheim@127.0.0.1:3306/", "--upstream" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_options o;
		struct ml_err err;
		struct ml_buf out = { 0 }, json = { 0 };
		Ml__ServerConfig config;
		Ml__Upstream upstream;
		char *args;
		size_t n = strlen(rows[i].flags);

		assert_int_equal(read_line(&o, rows[i].flags, &args, &err), 0);
		assert_string_equal(args, rows[i].shown);
		assert_null(memmem(args, n, "geheim", 6));
		assert_string_equal(o.upstream_uri, "mysql://root@127.0.0.1:3306/");
		assert_string_equal(o.upstream_password, "geheim");
		ml_options_print(&o, &out);
		assert_null(strstr(out.data, "geheim"));
		ml_options_config(&o, &config, &upstream, &json);
		assert_null(strstr(json.data, "geheim"));
		assert_string_equal(config.upstream->password, "geheim");
		assert_string_equal(config.upstream->uri, "mysql://root@127.0.0.1:3306/");
		ml_buf_fini(&out);
		ml_buf_fini(&json);
		ml_options_fini(&o);
		free(args);
	}
}

static void
the_environment_wins_over_the_password_file(void **state)
{
	struct ml_options o;
	struct ml_err err;
	char flags[200], password[64], *env;

	(void)state;
	snprintf(password, sizeof(password), "%s", make_file("from-file\nmore\n", 0644));
	{
		char config[300];

		snprintf(config, sizeof(config), "[upstream]\nuri = 'mysql://u@h:3306/a@b:c'\npassword-file = '%s'\n",
			password);
		snprintf(flags, sizeof(flags), "--config=%s", make_file(config, 0600));
	}
	assert_int_equal(read_line(&o, flags, NULL, &err), 0);
	assert_string_equal(o.upstream_password, "from-file");
	assert_string_equal(o.upstream_uri, "mysql://u@h:3306/a@b:c"); /* only a password is taken out */
	assert_non_null(strstr(o.warnings.data, "may be read by others"));
	ml_options_fini(&o);
	setenv("MILLRACE_UPSTREAM_PASSWORD", "from-env", 1);
	env = getenv("MILLRACE_UPSTREAM_PASSWORD");
	assert_int_equal(read_line(&o, flags, NULL, &err), 0);
	assert_string_equal(o.upstream_password, "from-env");
	assert_null(getenv("MILLRACE_UPSTREAM_PASSWORD"));
	assert_int_equal(env[0], '\0');
	ml_options_fini(&o);
	unlink(file);
	unlink(password);
}

static void
what_nv_prints_reads_back_the_same(void **state)
{
	struct ml_options o;
	struct ml_err err;
	struct ml_buf one = { 0 }, two = { 0 };
	char flags[200];

	(void)state;
	assert_int_equal(
		read_line(&o,
			"-nv\n--addr=[::1]:8303\n--grace=1m5s\n--cert-allowed-cn= a , b\n--upstream=mysql://u@h/\n"
			"--cluster-id=c-1\n--tz=Asia/Shanghai\n--gc-ttl=7",
			NULL, &err),
		0);
	assert_int_equal(o.mode, ML_RUN_PRINT);
	ml_options_print(&o, &one);
	ml_options_fini(&o);
	snprintf(flags, sizeof(flags), "-n\n--config=%s", make_file(one.data, 0600));
	if (read_line(&o, flags, NULL, &err) != 0)
		fail_msg("%s", err.text);
	assert_int_equal(o.mode, ML_RUN_CHECK);
	ml_options_print(&o, &two);
	assert_string_equal(one.data, two.data);
	assert_true(o.grace_ns == 65000000000);
	ml_options_fini(&o);
	unlink(file);
	ml_buf_fini(&one);
	ml_buf_fini(&two);
}

static void
the_documentation_is_up_to_date(void **state)
{
	struct ml_buf doc = { 0 };
	static char text[100000];
	int fd = open(ML_TEST_DIR "/../docs/config.md", O_RDONLY);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	(void)state;
	close(fd);
	assert_true(n > 0);
	ml_options_doc(&doc);
	/* If not: build/release/bin/millrace-supervisor --print-config-doc > docs/config.md */
	assert_string_equal(text, doc.data);
	ml_buf_fini(&doc);
}

static void
addresses_are_split(void **state)
{
	static const struct {
		const char *addr, *host;
		int port;
	} rows[] = {
		{ "127.0.0.1:8300", "127.0.0.1", 8300 },
		{ ":0", "", 0 },
		{ "[::1]:65535", "::1", 65535 },
		{ "h:1", "h", 1 },
		{ "h", NULL, 0 },
		{ "h:", NULL, 0 },
		{ "h:65536", NULL, 0 },
		{ "h:-1", NULL, 0 },
		{ "h:1x", NULL, 0 },
		{ "::1:5", NULL, 0 },
		{ "[::1:5", NULL, 0 },
		{ "[]:5", NULL, 0 },
		{ "[:5", NULL, 0 },
		{ "h:000001", NULL, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char host[20];
		uint16_t port = 0;
		bool good = ml_node_split(rows[i].addr, host, sizeof(host), &port);

		assert_int_equal(good, rows[i].host != NULL);
		if (good) {
			assert_string_equal(host, rows[i].host);
			assert_int_equal(port, rows[i].port);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults_are_ticdcs),
		cmocka_unit_test(mistakes_are_named),
		cmocka_unit_test(a_file_is_read_and_flags_win),
		cmocka_unit_test(passwords_leave_argv_and_environment_and_never_come_out),
		cmocka_unit_test(the_environment_wins_over_the_password_file),
		cmocka_unit_test(what_nv_prints_reads_back_the_same),
		cmocka_unit_test(the_documentation_is_up_to_date),
		cmocka_unit_test(addresses_are_split),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
