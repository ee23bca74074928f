#include "capture-worker/sink/storage/s3/options.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "capture-worker/sink/storage/store.h"
#include "common/run/log.h"

#define GCS_HOST "storage.googleapis.com"

const char *const s3_keys[] = {
	"endpoint",
	"region",
	"access-key",
	"secret-access-key",
	"session-token",
	"use-accelerate-endpoint",
	"force-path-style",
	"storage-class",
	"sse",
	"sse-kms-key-id",
	"acl",
	"provider",
	"role-arn",
	"external-id",
	"use-instance-role",
	NULL,
};
const char *const gcs_keys[] = {
	"credentials-file",
	"endpoint",
	"storage-class",
	"predefined-acl",
	"access-key",
	"secret-access-key",
	"force-path-style",
	NULL,
};

static char *
copy(const char *s, size_t n)
{
	char *c = strndup(s, n);

	if (c == NULL)
		abort();
	return c;
}

/* Keys are compared without case and with '_' as '-'; NULL: absent or empty. */
static const char *
value(const struct ml_uri *uri, const char *key)
{
	char k[64];

	for (size_t i = 0; i < uri->n_params; i++)
		if (store_key(k, sizeof(k), uri->params[i].key) && strcmp(k, key) == 0)
			return uri->params[i].value[0] != '\0' ? uri->params[i].value : NULL;
	return NULL;
}

static int
invalid(struct ml_err *err, const char *key, const char *why)
{
	return ML_ERRF(err, ErrStorageSinkInvalidConfig, 0, "storage sink config invalid: %s %s", key, why);
}

/* A text that goes into a header or a signature: printable ASCII without spaces. */
static int
take(char **out, const struct ml_uri *uri, const char *key, struct ml_err *err)
{
	const char *v = value(uri, key);

	if (v == NULL)
		return 0;
	for (const char *c = v; *c != '\0'; c++)
		if (*c <= ' ' || *c >= 0x7f)
			return invalid(err, key, "holds a character that is not allowed");
	if (strlen(v) > 4096)
		return invalid(err, key, "is too long");
	*out = copy(v, strlen(v));
	return 0;
}

static int
take_bool(bool *out, const struct ml_uri *uri, const char *key, struct ml_err *err)
{
	static const char *const yes[] = { "1", "t", "T", "TRUE", "true", "True" };
	static const char *const no[] = { "0", "f", "F", "FALSE", "false", "False" };
	const char *v = value(uri, key);

	for (size_t i = 0; v != NULL && i < sizeof(yes) / sizeof(yes[0]); i++) {
		if (strcmp(v, yes[i]) == 0) {
			*out = true;
			return 0;
		}
		if (strcmp(v, no[i]) == 0) {
			*out = false;
			return 0;
		}
	}
	return v == NULL ? 0 : invalid(err, key, "is not a bool (true or false)");
}

/* "[http[s]://]host[:port][/path]"; TLS without a scheme. */
static int
take_endpoint(struct s3_options *o, const struct ml_uri *uri, struct ml_err *err)
{
	const char *e = value(uri, "endpoint"), *path;
	char host[256];
	uint16_t port;
	size_t n;

	o->tls = true;
	if (e == NULL) {
		o->host = o->gcs ? copy(GCS_HOST, strlen(GCS_HOST)) : NULL;
		o->base = copy("", 0);
		return 0;
	}
	if (strncasecmp(e, "http://", 7) == 0) {
		o->tls = false;
		e += 7;
	} else if (strncasecmp(e, "https://", 8) == 0) {
		e += 8;
	} else if (strstr(e, "://") != NULL) {
		return invalid(err, "endpoint", "must begin with http:// or https://");
	}
	n = strcspn(e, "/?#@");
	path = e + n;
	o->host = copy(e, n);
	if (*path != '\0' && *path != '/')
		return invalid(err, "endpoint", "takes a host, a port and a path only");
	if (ml_uri_host_port(o->host, host, sizeof(host), &port, 1) != 0)
		return invalid(err, "endpoint", "holds no valid host and port");
	for (const char *c = path; *c != '\0'; c++)
		if (!isalnum((unsigned char)*c) && strchr("/-._~", *c) == NULL)
			return invalid(err, "endpoint", "takes a path of letters, digits, '-', '.', '_', '~' only");
	n = strlen(path);
	while (n > 0 && path[n - 1] == '/')
		n--;
	o->base = copy(path, n);
	return 0;
}

static int
take_bucket(struct s3_options *o, const struct ml_uri *uri, struct ml_err *err)
{
	const char *path = uri->path;
	size_t n = strlen(uri->hosts);

	if (n == 0)
		return ML_ERR(
			err, ErrStorageSinkInvalidConfig, 0, "no bucket is specified in sink-uri: s3://bucket/prefix");
	if (uri->user != NULL)
		return ML_ERR(err, ErrStorageSinkInvalidConfig, 0,
			"user and password before the bucket are not supported, use access-key and secret-access-key");
	for (size_t i = 0; i < n; i++)
		if (!isalnum((unsigned char)uri->hosts[i]) && strchr("-._", uri->hosts[i]) == NULL)
			return ML_ERR(err, ErrStorageSinkInvalidConfig, 0, "the bucket's name is invalid");
	if (n > 255 || uri->hosts[0] == '.')
		return ML_ERR(err, ErrStorageSinkInvalidConfig, 0, "the bucket's name is invalid");
	o->bucket = copy(uri->hosts, n);
	while (*path == '/')
		path++;
	n = strlen(path);
	while (n > 0 && path[n - 1] == '/')
		n--;
	if (n > 512)
		return ML_ERR(err, ErrStorageSinkInvalidConfig, 0, "the prefix is too long");
	o->prefix = malloc(n + 2);
	if (o->prefix == NULL)
		abort();
	memcpy(o->prefix, path, n);
	strcpy(o->prefix + n, n > 0 ? "/" : "");
	return 0;
}

static int
take_s3(struct s3_options *o, const struct ml_uri *uri, const char *object, struct ml_err *err)
{
	const char *provider = value(uri, "provider");

	if (value(uri, "role-arn") != NULL)
		return invalid(
			err, "role-arn", "is not supported: give the role's own credentials, or use-instance-role");
	if (value(uri, "external-id") != NULL)
		ml_warn(object, "external-id is of no use without role-arn and is ignored");
	if (take(&o->region, uri, "region", err) != 0 || take(&o->session_token, uri, "session-token", err) != 0 ||
		take(&o->sse, uri, "sse", err) != 0 || take(&o->sse_kms_key_id, uri, "sse-kms-key-id", err) != 0 ||
		take(&o->acl, uri, "acl", err) != 0 ||
		take_bool(&o->accelerate, uri, "use-accelerate-endpoint", err) != 0 ||
		take_bool(&o->instance_role, uri, "use-instance-role", err) != 0)
		return -1;
	/* It becomes part of a host name. */
	for (const char *c = o->region; c != NULL && *c != '\0'; c++)
		if (!isalnum((unsigned char)*c) && *c != '-' && *c != '_')
			return invalid(err, "region", "is not a region's name");
	if (o->accelerate && o->host != NULL)
		return invalid(err, "use-accelerate-endpoint", "and endpoint exclude each other");
	/* These know the bucket by the host's name only (TiCDC decides so, too). */
	if (o->accelerate ||
		(provider != NULL && (strcasecmp(provider, "alibaba") == 0 || strcasecmp(provider, "netease") == 0)))
		o->path_style = false;
	return 0;
}

static int
take_gcs(struct s3_options *o, const struct ml_uri *uri, struct ml_err *err)
{
	static const struct {
		const char *google, *s3;
	} acls[] = {
		{ "authenticatedRead", "authenticated-read" },
		{ "bucketOwnerFullControl", "bucket-owner-full-control" },
		{ "bucketOwnerRead", "bucket-owner-read" },
		{ "private", "private" },
		{ "projectPrivate", "project-private" },
		{ "publicRead", "public-read" },
	};
	const char *acl = value(uri, "predefined-acl");

	if (value(uri, "credentials-file") != NULL)
		return invalid(err, "credentials-file",
			"is not supported: give an HMAC key of the service account as access-key and secret-access-key");
	o->region = copy("auto", 4);
	for (size_t i = 0; acl != NULL && i < sizeof(acls) / sizeof(acls[0]); i++)
		if (strcasecmp(acl, acls[i].google) == 0)
			o->acl = copy(acls[i].s3, strlen(acls[i].s3));
	if (acl != NULL && o->acl == NULL)
		return invalid(err, "predefined-acl", "is none of Google's predefined ACLs");
	if (o->access_key == NULL)
		return ML_ERR(err, ErrStorageSinkInvalidConfig, 0,
			"access-key and secret-access-key are missing: an HMAC key of a service account");
	return 0;
}

int
s3_options_init(struct s3_options *o, const struct ml_uri *uri, const char *object, struct ml_err *err)
{
	*o = (struct s3_options){ .path_style = true, .gcs = strcmp(uri->scheme, "s3") != 0 };
	if (take_bucket(o, uri, err) != 0 || take_endpoint(o, uri, err) != 0 ||
		take_bool(&o->path_style, uri, "force-path-style", err) != 0 ||
		take(&o->access_key, uri, "access-key", err) != 0 ||
		take(&o->secret_key, uri, "secret-access-key", err) != 0 ||
		take(&o->storage_class, uri, "storage-class", err) != 0)
		goto fail;
	if ((o->access_key == NULL) != (o->secret_key == NULL)) {
		ML_ERR(err, ErrStorageSinkInvalidConfig, 0, "access-key and secret-access-key must be given together");
		goto fail;
	}
	if ((o->gcs ? take_gcs(o, uri, err) : take_s3(o, uri, object, err)) != 0)
		goto fail;
	if (o->session_token != NULL && o->access_key == NULL) {
		ML_ERR(err, ErrStorageSinkInvalidConfig, 0, "session-token needs access-key and secret-access-key");
		goto fail;
	}
	return 0;
fail:
	s3_options_fini(o);
	return -1;
}

void
s3_options_fini(struct s3_options *o)
{
	free(o->bucket);
	free(o->prefix);
	free(o->host);
	free(o->base);
	free(o->region);
	free(o->access_key);
	free(o->secret_key);
	free(o->session_token);
	free(o->storage_class);
	free(o->sse);
	free(o->sse_kms_key_id);
	free(o->acl);
	*o = (struct s3_options){ 0 };
}
