/* http_tls.c - certificates, which may change while the server runs.
 *
 * GnuTLS asks for the certificate at each handshake through a callback; it gets the newest one that
 * was read. Older ones stay in memory until the end: a handshake may be using one, and there are as
 * many as there were reloads.
 */
#include "http_tls.h"

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <stdio.h>

#define CHAIN_MAX 16u

typedef struct certificate {
    struct certificate *older;
    gnutls_pcert_st chain[CHAIN_MAX];
    unsigned count;
    gnutls_privkey_t key;
} certificate;

struct hwi_tls {
    certificate *newest;
    gnutls_datum_t authority; /* of callers' certificates, PEM; data NULL: none are asked for */
};

/* What the callback hands out; pairs with the store in load. */
static _Atomic(certificate *) current;

static int
on_handshake(gnutls_session_t session, const gnutls_datum_t *authorities, int authority_count,
             const gnutls_pk_algorithm_t *algorithms, int algorithm_count, gnutls_pcert_st **chain,
             unsigned *count, gnutls_privkey_t *key)
{
    certificate *c = atomic_load(&current);

    (void)session, (void)authorities, (void)authority_count, (void)algorithms,
        (void)algorithm_count;
    *chain = c->chain;
    *count = c->count;
    *key = c->key;
    return 0;
}

static hw_status
read_file(const char *path, gnutls_datum_t *out, hw_error *err)
{
    int rc = gnutls_load_file(path, out);

    return rc == 0 ? HW_OK : hwi_fail(err, HW_EINVAL, "%s: %s", path, gnutls_strerror(rc));
}

static void
free_certificate(certificate *c)
{
    for (unsigned i = 0; i < c->count; i++) gnutls_pcert_deinit(&c->chain[i]);
    if (c->key) gnutls_privkey_deinit(c->key);
    hwi_free(c);
}

static hw_status
read_chain(certificate *c, const char *path, hw_error *err)
{
    gnutls_datum_t pem;
    int rc;

    HWI_TRY(read_file(path, &pem, err));
    c->count = CHAIN_MAX;
    rc = gnutls_pcert_list_import_x509_raw(c->chain, &c->count, &pem, GNUTLS_X509_FMT_PEM, 0);
    gnutls_free(pem.data);
    if (rc == 0) return HW_OK;
    c->count = 0;
    return hwi_fail(err, HW_EINVAL, "%s: %s", path, gnutls_strerror(rc));
}

static hw_status
read_key(certificate *c, const char *path, hw_error *err)
{
    gnutls_datum_t pem;
    int rc;

    HWI_TRY(read_file(path, &pem, err));
    rc = gnutls_privkey_init(&c->key);
    if (rc == 0) rc = gnutls_privkey_import_x509_raw(c->key, &pem, GNUTLS_X509_FMT_PEM, NULL, 0);
    gnutls_memset(pem.data, 0, pem.size);
    gnutls_free(pem.data);
    return rc == 0 ? HW_OK : hwi_fail(err, HW_EINVAL, "%s: %s", path, gnutls_strerror(rc));
}

static hw_status
load(hwi_tls *tls, const hwi_config *config, hw_error *err)
{
    certificate *c = hwi_alloc_zero(sizeof *c);
    hw_status st;

    if (c == NULL) return hwi_nomem(err, sizeof *c);
    st = read_chain(c, config->tls_cert, err);
    if (st == HW_OK) st = read_key(c, config->tls_key, err);
    if (st != HW_OK) {
        free_certificate(c);
        return st;
    }
    c->older = tls->newest;
    tls->newest = c;
    atomic_store(&current, c);
    return HW_OK;
}

hw_status
hwi_tls_new(const hwi_config *config, hwi_tls **out, hw_error *err)
{
    hwi_tls *tls = hwi_alloc_zero(sizeof *tls);
    hw_status st;

    *out = NULL;
    if (tls == NULL) return hwi_nomem(err, sizeof *tls);
    st = load(tls, config, err);
    if (st == HW_OK && config->service_verify_https_client_certificate)
        st = read_file(config->tls_ca_cert, &tls->authority, err);
    if (st != HW_OK) {
        hwi_tls_free(tls);
        return st;
    }
    *out = tls;
    return HW_OK;
}

hw_status
hwi_tls_reload(hwi_tls *tls, const hwi_config *config, hw_error *err)
{
    return load(tls, config, err);
}

void
hwi_tls_options(hwi_tls *tls, struct MHD_OptionItem options[4])
{
    size_t n = 0;

    options[n++] =
        (struct MHD_OptionItem){MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)(uintptr_t)on_handshake};
    if (tls->authority.data)
        options[n++] = (struct MHD_OptionItem){MHD_OPTION_HTTPS_MEM_TRUST, 0, tls->authority.data};
    options[n] = (struct MHD_OptionItem){MHD_OPTION_END, 0, NULL};
}

bool
hwi_tls_verified(const hwi_tls *tls, struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info;
    unsigned status = 1;

    if (tls->authority.data == NULL) return true;
    info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    return info && gnutls_certificate_verify_peers2(info->tls_session, &status) == 0 && status == 0;
}

void
hwi_tls_free(hwi_tls *tls)
{
    if (tls == NULL) return;
    while (tls->newest) {
        certificate *older = tls->newest->older;
        free_certificate(tls->newest);
        tls->newest = older;
    }
    gnutls_free(tls->authority.data);
    hwi_free(tls);
}
