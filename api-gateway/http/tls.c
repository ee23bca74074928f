#include "api-gateway/http/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/run/log.h"

/* What tells one version of a file from the next without reading it. */
struct stamp {
	struct timespec mtime;
	ino_t ino;
	off_t size;
};

struct ml_tls {
	struct ml_tls_config config;
	SSL_CTX *ctx;
	struct stamp stamps[3]; /* ca, cert, key */
	char own_cn[256];       /* of our certificate: nodes accept each other */
};

static void
take_stamps(const struct ml_tls_config *c, struct stamp stamps[3])
{
	const char *files[] = { c->ca, c->cert, c->key };
	struct stat st;

	memset(stamps, 0, 3 * sizeof(*stamps)); /* padding too: they are compared as bytes */
	for (int i = 0; i < 3; i++) {
		if (stat(files[i], &st) < 0)
			continue;
		stamps[i].mtime = st.st_mtim;
		stamps[i].ino = st.st_ino;
		stamps[i].size = st.st_size;
	}
}

static int
fail(struct ml_err *err, const char *what, const char *file)
{
	char text[400], why[200];

	ERR_error_string_n(ERR_get_error(), why, sizeof(why));
	ERR_clear_error();
	snprintf(text, sizeof(text), "%s %s: %s", what, file, why);
	return ML_ERR(err, ErrToTLSConfigFailed, 0, text);
}

static void
common_name(X509 *cert, char *buf, size_t size)
{
	if (cert == NULL || X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, buf, (int)size) < 0)
		buf[0] = '\0';
}

/* Spaces around an entry of the list do not count. */
static bool
same_name(const char *entry, const char *cn)
{
	size_t n;

	entry += strspn(entry, " \t");
	n = strlen(entry);
	while (n > 0 && (entry[n - 1] == ' ' || entry[n - 1] == '\t'))
		n--;
	return n > 0 && strlen(cn) == n && memcmp(entry, cn, n) == 0;
}

static bool
allowed(const struct ml_tls *t, X509 *cert)
{
	char cn[256];

	common_name(cert, cn, sizeof(cn));
	if (cn[0] == '\0')
		return false;
	if (strcmp(cn, t->own_cn) == 0)
		return true;
	for (size_t i = 0; i < t->config.n_allowed_cn; i++)
		if (same_name(t->config.allowed_cn[i], cn))
			return true;
	return false;
}

/* The chain as usual, then the names in it. */
static int
verify(X509_STORE_CTX *store, void *arg)
{
	const struct ml_tls *t = arg;
	STACK_OF(X509) * chain;

	if (X509_verify_cert(store) != 1)
		return 0;
	if (t->config.n_allowed_cn == 0)
		return 1;
	chain = X509_STORE_CTX_get0_chain(store);
	for (int i = 0; i < sk_X509_num(chain); i++)
		if (allowed(t, sk_X509_value(chain, i)))
			return 1;
	X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
	return 0;
}

static int
choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in, unsigned in_len,
	void *arg)
{
	static const unsigned char ours[] = "\x08http/1.1";

	(void)ssl;
	(void)arg;
	if (SSL_select_next_proto((unsigned char **)(uintptr_t)out, out_len, ours, sizeof(ours) - 1, in, in_len) !=
		OPENSSL_NPN_NEGOTIATED)
		return SSL_TLSEXT_ERR_NOACK;
	return SSL_TLSEXT_ERR_OK;
}

static int
load(struct ml_tls *t, struct ml_err *err)
{
	const struct ml_tls_config *c = &t->config;
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (ctx == NULL)
		return fail(err, "making a context", "");
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, NULL);
	if (SSL_CTX_load_verify_locations(ctx, c->ca, NULL) != 1) {
		fail(err, "reading", c->ca);
		goto bad;
	}
	if (SSL_CTX_use_certificate_chain_file(ctx, c->cert) != 1) {
		fail(err, "reading", c->cert);
		goto bad;
	}
	if (SSL_CTX_use_PrivateKey_file(ctx, c->key, SSL_FILETYPE_PEM) != 1 || SSL_CTX_check_private_key(ctx) != 1) {
		fail(err, "reading", c->key);
		goto bad;
	}
	if (c->client_cert || c->n_allowed_cn > 0) {
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
		SSL_CTX_set_client_CA_list(ctx, SSL_load_client_CA_file(c->ca));
		SSL_CTX_set_cert_verify_callback(ctx, verify, t);
	}
	SSL_CTX_free(t->ctx);
	t->ctx = ctx;
	common_name(SSL_CTX_get0_certificate(ctx), t->own_cn, sizeof(t->own_cn));
	return 0;
bad:
	SSL_CTX_free(ctx);
	return -1;
}

int
ml_tls_new(struct ml_tls **out, const struct ml_tls_config *config, struct ml_err *err)
{
	struct ml_tls *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return ML_ERR(err, ErrNoMemory, 0, "setting up TLS");
	t->config = *config;
	take_stamps(config, t->stamps);
	if (load(t, err) < 0) {
		free(t);
		return -1;
	}
	*out = t;
	return 0;
}

void
ml_tls_free(struct ml_tls *t)
{
	if (t == NULL)
		return;
	SSL_CTX_free(t->ctx);
	free(t);
}

struct ssl_st *
ml_tls_session(struct ml_tls *t)
{
	struct stamp now[3];
	struct ml_err err;
	SSL *ssl;

	take_stamps(&t->config, now);
	if (memcmp(now, t->stamps, sizeof(now)) != 0) {
		memcpy(t->stamps, now, sizeof(now));
		if (load(t, &err) < 0)
			ml_log_err(ML_ERROR, "-", &err, "changed TLS files cannot be used, the old ones stay");
		else
			ml_info("-", "TLS files read again");
	}
	ssl = SSL_new(t->ctx);
	if (ssl == NULL)
		abort(); /* no memory: never serve without TLS instead */
	return ssl;
}
