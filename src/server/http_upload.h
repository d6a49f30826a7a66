/* http_upload.h - a file that a form brings, on its way to a file beside the snapshots. Event threads
 * call these, for one exchange one at a time.
 */
#ifndef HWI_HTTP_UPLOAD_H
#define HWI_HTTP_UPLOAD_H

#include "exchange.h"

/* Makes the file, r->upload, which goes with the exchange. False after refusing. */
bool hwi_upload_begin(hwi_exchange *x);
/* Bytes of the body; a refusal shows in the request. */
void hwi_upload_take(hwi_exchange *x, const char *data, size_t bytes);
/* Nothing more comes. Also without a beginning, or a second time. */
void hwi_upload_end(hwi_exchange *x);

#endif
