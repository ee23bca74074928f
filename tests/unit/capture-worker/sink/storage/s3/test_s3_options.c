/* test_s3_options.c - uris of object stores, where keys come from, and the urls of requests. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "capture-worker/sink/storage/s3/client.h"
#include "capture-worker/sink/storage/s3/credentials.h"
#include "capture-worker/sink/storage/s3/options.h"

static int
read_uri(struct s3_options *o, const char *text, struct ml_err *err)
{
	struct ml_uri *u;
	int rc;

	if (ml_uri_parse(&u, text, err) != 0)
		fail_msg("%s: %s", text, err->text);
	rc = s3_options_init(o, u, "cf/0", err);
	ml_uri_free(u);
	return rc;
}

static void
urls_of_requests(void **state)
{
	static const struct {
		const char *uri, *key, *want;
	} rows[] = {
		{ "s3://b/p/q/?region=eu-west-1", "p/q/x", "https://s3.eu-west-1.amazonaws.com/b/p/q/x" },
		{ "s3://b", "x", "https://s3.us-east-1.amazonaws.com/b/x" },
		{ "s3://b?region=cn-north-1", "x", "https://s3.cn-north-1.amazonaws.com.cn/b/x" },
		{ "s3://b?force-path-style=false", "x", "https://b.s3.us-east-1.amazonaws.com/x" },
		{ "s3://b?FORCE_path_Style=0", "x", "https://b.s3.us-east-1.amazonaws.com/x" },
		{ "s3://b?use-accelerate-endpoint=true", "x", "https://b.s3-accelerate.amazonaws.com/x" },
		{ "s3://b?endpoint=http%3A%2F%2Fminio%3A9000", "x", "http://minio:9000/b/x" },
		{ "s3://b?endpoint=http://minio:9000/", "x", "http://minio:9000/b/x" },
		{ "s3://b?endpoint=minio:9000/s3/", NULL, "https://minio:9000/s3/b" },
		{ "s3://b?endpoint=HTTPS://[::1]:9000&force-path-style=false", NULL, "https://b.[::1]:9000/" },
		{ "s3://b?endpoint=http://oss&provider=alibaba", "x", "http://b.oss/x" },
		{ "s3://b?endpoint=http://c&provider=ceph", "x", "http://c/b/x" },
		{ "gs://b/p?access-key=a&secret-access-key=s", "p/x", "https://storage.googleapis.com/b/p/x" },
		{ "s3://b", "a b/+%\xc3\xa9~(x)?#/../.",
			"https://s3.us-east-1.amazonaws.com/b/a%20b/%2B%25%C3%A9~%28x%29%3F%23/../." },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ml_buf url = { 0 };
		struct s3_options o;
		struct ml_err err;

		if (read_uri(&o, rows[i].uri, &err) != 0)
			fail_msg("%s: %s", rows[i].uri, err.text);
		s3_put_url(&url, &o, o.region != NULL ? o.region : "us-east-1", rows[i].key, NULL);
		assert_string_equal(url.data, rows[i].want);
		ml_buf_fini(&url);
		s3_options_fini(&o);
	}
}

static void
secrets_and_prefixes_are_kept_as_given(void **state)
{
	struct s3_options o;
	struct ml_err err;

	(void)state;
	assert_int_equal(
		read_uri(&o,
			"s3://b//a/b//?access_key=AK&Secret-Access-Key=a+b%2Fc%3D&session-token=t+/&storage-class=IA&"
			"sse=aws:kms&sse-kms-key-id=k&acl=private",
			&err),
		0);
	assert_string_equal(o.secret_key, "a+b/c="); /* a raw '+' is a plus */
	assert_string_equal(o.session_token, "t+/");
	assert_string_equal(o.prefix, "a/b/");
	assert_string_equal(o.sse, "aws:kms");
	assert_true(o.path_style);
	s3_options_fini(&o);
	assert_int_equal(read_uri(&o, "s3://b/", &err), 0);
	assert_string_equal(o.prefix, "");
	assert_null(o.access_key);
	s3_options_fini(&o);
	assert_int_equal(
		read_uri(&o, "gcs://b?access-key=a&secret-access-key=s&predefined-acl=bucketOwnerRead", &err), 0);
	assert_string_equal(o.acl, "bucket-owner-read");
	s3_options_fini(&o);
}

static void
bad_settings_are_refused(void **state)
{
	static const char *const uris[] = {
		"s3://",
		"s3:///p",
		"s3://b,c",
		"s3://b:80",
		"s3://user:HIDE@b",
		"s3://.b",
		"s3://b?access-key=HIDE",
		"s3://b?secret-access-key=HIDE",
		"s3://b?session-token=HIDE",
		"s3://b?endpoint=ftp://x",
		"s3://b?endpoint=http://",
		"s3://b?endpoint=http://u:HIDE%40h",
		"s3://b?endpoint=http://h%3Fq",
		"s3://b?endpoint=h:99999",
		"s3://b?endpoint=h/a%20b",
		"s3://b?force-path-style=yes",
		"s3://b?role-arn=x",
		"s3://b?region=a.b",
		"s3://b?acl=a%0d%0ab",
		"s3://b?access-key=a%20b&secret-access-key=HIDE",
		"s3://b?use-accelerate-endpoint=1&endpoint=h",
		"gs://b",
		"gs://b?credentials-file=f",
		"gs://b?access-key=a&secret-access-key=HIDE&predefined-acl=mine",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(uris) / sizeof(uris[0]); i++) {
		struct s3_options o;
		struct ml_err err = { 0 };

		if (read_uri(&o, uris[i], &err) == 0)
			fail_msg("%s is taken", uris[i]);
		assert_int_equal(err.code, ML_ErrStorageSinkInvalidConfig);
		assert_null(strstr(err.text, "HIDE"));
	}
}

static const char *vars[8][2];

static const char *
env(const char *name)
{
	for (size_t i = 0; i < 8; i++)
		if (vars[i][0] != NULL && strcmp(vars[i][0], name) == 0)
			return vars[i][1];
	return NULL;
}

static void
profiles_are_read(void **state)
{
	static const char text[] =
		"; x\n[default]\r\naws_access_key_id = A \r\n# aws_secret_access_key = no\nAWS_Secret_Access_Key=S = x\n"
		"empty =\n[ other ]\naws_access_key_id=B\n[profile  third]\nregion = r\nnoequals\n[broken\nregion=q";
	static const struct {
		const char *section, *key, *want;
	} rows[] = {
		{ "default", "aws_access_key_id", "A" },
		{ "default", "aws_secret_access_key", "S = x" },
		{ "other", "aws_access_key_id", "B" },
		{ "third", "region", "r" },
		{ "default", "region", NULL },
		{ "default", "empty", NULL },
		{ "none", "region", NULL },
		{ "broken", "region", NULL },
		{ "third", "noequals", NULL },
	};
	char out[8], tiny[2];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool found = s3_profile_get(text, strlen(text), rows[i].section, rows[i].key, out, sizeof(out));

		assert_int_equal(found, rows[i].want != NULL);
		if (found)
			assert_string_equal(out, rows[i].want);
	}
	assert_false(s3_profile_get(text, strlen(text), "default", "aws_secret_access_key", tiny, sizeof(tiny)));
	assert_false(s3_profile_get("", 0, "default", "region", out, sizeof(out)));
	assert_false(s3_profile_get("[", 1, "default", "region", out, sizeof(out)));
}

static void
keys_are_looked_for_in_order(void **state)
{
	char dir[] = "/tmp/test_s3_options.XXXXXX", path[64], region[32];
	struct s3_credentials c;
	struct s3_options o = { 0 };
	struct ml_err err;
	bool role;
	FILE *f;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/credentials", dir);
	vars[0][0] = "AWS_SHARED_CREDENTIALS_FILE";
	vars[0][1] = path;
	vars[1][0] = "AWS_CONFIG_FILE";
	vars[1][1] = path;
	/* Nothing. */
	assert_int_equal(s3_credentials_find(&c, &role, &o, env, &err), -1);
	assert_int_equal(err.code, ML_ErrFailToCreateExternalStorage);
	assert_false(s3_region_find(region, sizeof(region), &o, env));
	assert_string_equal(region, "us-east-1");
	o.instance_role = true;
	assert_int_equal(s3_credentials_find(&c, &role, &o, env, &err), 0);
	assert_true(role);
	/* A profile. */
	f = fopen(path, "w");
	fputs("[default]\naws_access_key_id=FA\naws_secret_access_key=FS\n[p]\naws_access_key_id=PA\naws_secret_access_key=PS\n"
	      "aws_session_token=PT\nregion=fr\n",
		f);
	fclose(f);
	assert_int_equal(s3_credentials_find(&c, &role, &o, env, &err), 0);
	assert_false(role);
	assert_string_equal(c.access, "FA");
	assert_string_equal(c.token, "");
	vars[2][0] = "AWS_PROFILE";
	vars[2][1] = "p";
	assert_int_equal(s3_credentials_find(&c, &role, &o, env, &err), 0);
	assert_string_equal(c.secret, "PS");
	assert_string_equal(c.token, "PT");
	assert_true(s3_region_find(region, sizeof(region), &o, env));
	assert_string_equal(region, "fr");
	/* The environment; half of it does not count. */
	vars[3][0] = "AWS_ACCESS_KEY_ID";
	vars[3][1] = "EA";
	assert_int_equal(s3_credentials_find(&c, &role, &o, env, &err), 0);
	assert_string_equal(c.access, "PA");
	vars[4][0] = "AWS_SECRET_ACCESS_KEY";
	vars[4][1] = "ES";
	vars[5][0] = "AWS_DEFAULT_REGION";
	vars[5][1] = "er";
	assert_int_equal(s3_credentials_find(&c, &role, &o, env, &err), 0);
	assert_string_equal(c.access, "EA");
	assert_string_equal(c.secret, "ES");
	assert_string_equal(c.token, "");
	assert_true(s3_region_find(region, sizeof(region), &o, env));
	assert_string_equal(region, "er");
	/* The uri. */
	o.access_key = (char *)"UA";
	o.secret_key = (char *)"US";
	o.region = (char *)"ur";
	assert_int_equal(s3_credentials_find(&c, &role, &o, env, &err), 0);
	assert_string_equal(c.access, "UA");
	assert_true(s3_region_find(region, sizeof(region), &o, env));
	assert_string_equal(region, "ur");
	/* Google gets keys of the uri only. */
	o.access_key = o.secret_key = NULL;
	o.gcs = true;
	o.instance_role = false;
	assert_int_equal(s3_credentials_find(&c, &role, &o, env, &err), -1);
	unlink(path);
	rmdir(dir);
}

static void
answers_of_the_metadata_service(void **state)
{
	static const char good[] =
		"{\"Code\":\"Success\",\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\",\"Token\":\"T\","
		"\"Expiration\":\"2026-11-25T05:00:00Z\"}";
	static const char *const bad[] = {
		"",
		"[]",
		"{\"AccessKeyId\":\"A\"}",
		"{\"AccessKeyId\":\"A\",\"SecretAccessKey\":\"S\",\"Token\":\"T\",\"Expiration\":\"soon\"}",
		"{\"AccessKeyId\":1,\"SecretAccessKey\":\"S\",\"Token\":\"T\",\"Expiration\":\"2026-11-25T05:00:00Z\"}",
		"{\"AccessKeyId\":\"A\\r\\nX: y\",\"SecretAccessKey\":\"S\",\"Token\":\"T\",\"Expiration\":\"2026-11-25T05:00:00Z\"}",
	};
	struct s3_credentials c = { 0 };

	(void)state;
	assert_true(s3_credentials_parse(&c, good, strlen(good)));
	assert_string_equal(c.secret, "S");
	assert_int_equal(c.expires_s, 1795582800);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(s3_credentials_parse(&c, bad[i], strlen(bad[i])));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(urls_of_requests),
		cmocka_unit_test(secrets_and_prefixes_are_kept_as_given),
		cmocka_unit_test(bad_settings_are_refused),
		cmocka_unit_test(profiles_are_read),
		cmocka_unit_test(keys_are_looked_for_in_order),
		cmocka_unit_test(answers_of_the_metadata_service),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
