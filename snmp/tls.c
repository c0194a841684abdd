/* SPDX-License-Identifier: Apache-2.0 */
/* tls: a connection that nobody reads or forges; the one file here that knows GnuTLS */
#include "snmp/tls.h"
#include "base/mem.h"
#include <arpa/inet.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdlib.h>
#include <string.h>

#define PRIORITY "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

struct tls_trust {
	gnutls_certificate_credentials_t credentials;
	gnutls_priority_t priority;
};

struct tls {
	gnutls_session_t session;
	char *name;
	bool begun; /* a record is half out: GnuTLS holds it, and wants to be asked again
		     */
};

static bool
files_read(struct tls_trust *t, const struct tls_setup *setup, struct err *e)
{
	int n;

	if (setup->ca[0] == '\0')
		n = gnutls_certificate_set_x509_system_trust(t->credentials);
	else
		n = gnutls_certificate_set_x509_trust_file(t->credentials, setup->ca,
		    GNUTLS_X509_FMT_PEM);
	if (n <= 0)
		return err_set(e, ERR_INPUT,
		    "syslog.tls_ca %s: no certificate to trust: %s",
		    setup->ca[0] != '\0' ? setup->ca : "(the system's)",
		    n < 0 ? gnutls_strerror(n) : "none in it");
	if (setup->cert[0] == '\0')
		return true;
	n = gnutls_certificate_set_x509_key_file(t->credentials, setup->cert, setup->key,
	    GNUTLS_X509_FMT_PEM);
	if (n < 0)
		return err_set(e, ERR_INPUT,
		    "syslog.tls_cert %s with syslog.tls_key %s: %s: both must be PEM and "
		    "readable by jeoul-snmp",
		    setup->cert, setup->key, gnutls_strerror(n));
	return true;
}

bool
tls_trust_read(struct tls_trust **out, const struct tls_setup *setup, struct err *e)
{
	struct tls_trust *t = mem_alloc(sizeof(*t));

	if (gnutls_certificate_allocate_credentials(&t->credentials) < 0 ||
	    gnutls_priority_init(&t->priority, PRIORITY, NULL) < 0)
		abort(); /* out of memory, or our own words are wrong */
	if (!files_read(t, setup, e)) {
		gnutls_certificate_free_credentials(t->credentials);
		gnutls_priority_deinit(t->priority);
		free(t);
		return false;
	}
	*out = t;
	return true;
}

static bool
is_address(const char *name)
{
	unsigned char room[16];

	return inet_pton(AF_INET, name, room) == 1 ||
	    inet_pton(AF_INET6, name, room) == 1;
}

bool
tls_begin(struct tls **out, struct tls_trust *trust, int fd, const char *name,
    struct err *e)
{
	struct tls *t = mem_alloc(sizeof(*t));

	t->name = mem_strdup(name);
	if (gnutls_init(&t->session, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL) <
	    0)
		abort();
	if (gnutls_priority_set(t->session, trust->priority) < 0 ||
	    gnutls_credentials_set(t->session, GNUTLS_CRD_CERTIFICATE,
		trust->credentials) < 0 ||
	    (!is_address(name) &&
		gnutls_server_name_set(t->session, GNUTLS_NAME_DNS, name, strlen(name)) <
		    0)) {
		tls_end(t);
		return err_set(e, ERR_INPUT, "TLS for \"%.80s\" can't be set up", name);
	}
	gnutls_session_set_verify_cert(t->session, t->name, 0);
	gnutls_transport_set_int(t->session, fd);
	*out = t;
	return true;
}

void
tls_end(struct tls *t)
{
	if (t == NULL)
		return;
	gnutls_deinit(t->session);
	free(t->name);
	free(t);
}

static void
greet_failed(const struct tls *t, int code, struct err *e)
{
	unsigned status = gnutls_session_get_verify_cert_status(t->session);
	gnutls_datum_t said = { NULL, 0 };

	if (code == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR &&
	    gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &said,
		0) == 0) {
		(void)err_set(e, ERR_GONE, "TLS: its certificate is not that of %s: %s",
		    t->name, (const char *)said.data);
		gnutls_free(said.data);
		return;
	}
	(void)err_set(e, ERR_GONE, "TLS: %s", gnutls_strerror(code));
}

enum tls_step
tls_greet(struct tls *t, struct err *e)
{
	int n = gnutls_handshake(t->session);

	if (n == GNUTLS_E_SUCCESS)
		return TLS_DONE;
	if (gnutls_error_is_fatal(n) == 0)
		return gnutls_record_get_direction(t->session) == 0 ? TLS_WANTS_READ
								    : TLS_WANTS_WRITE;
	greet_failed(t, n, e);
	return TLS_FAILED;
}

ssize_t
tls_write(struct tls *t, const void *bytes, size_t length, struct err *e)
{
	ssize_t n = gnutls_record_send(t->session, t->begun ? NULL : bytes,
	    t->begun ? 0 : length);

	t->begun = n < 0 && gnutls_error_is_fatal((int)n) == 0;
	if (n >= 0)
		return n;
	if (t->begun)
		return 0;
	(void)err_set(e, ERR_GONE, "TLS: %s", gnutls_strerror((int)n));
	return -1;
}

bool
tls_drain(struct tls *t, struct err *e)
{
	char ignored[512];
	ssize_t n;

	do
		n = gnutls_record_recv(t->session, ignored, sizeof(ignored));
	while (n > 0);
	if (n < 0 && gnutls_error_is_fatal((int)n) == 0)
		return true;
	return err_set(e, ERR_GONE, "%s",
	    n == 0 ? "the receiver closed the connection" : gnutls_strerror((int)n));
}
