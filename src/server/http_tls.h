/* http_tls.h - certificates for http.c. */
#ifndef HWI_HTTP_TLS_H
#define HWI_HTTP_TLS_H

#include <microhttpd.h>

#include "config.h"

typedef struct hwi_tls hwi_tls;

/* Reads tls.cert and tls.key (and tls.ca_cert where callers need certificates). One at a time in a
 * process: the library's callback has no argument. */
HW_CHECKED hw_status hwi_tls_new(const hwi_config *config, hwi_tls **out, hw_error *err);
/* Reads them again; connections opened from now on get the new ones. On failure the old ones stay. */
HW_CHECKED hw_status hwi_tls_reload(hwi_tls *tls, const hwi_config *config, hw_error *err);
/* Fills options for MHD_start_daemon. */
void hwi_tls_options(hwi_tls *tls, struct MHD_OptionItem options[4]);
/* Whether the caller has shown the certificate that is asked for, if one is. */
bool hwi_tls_verified(const hwi_tls *tls, struct MHD_Connection *connection);
/* After the daemon stopped. NULL is fine. */
void hwi_tls_free(hwi_tls *tls);

#endif
