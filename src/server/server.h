/* server.h - the server as a whole: what the command starts, and what handlers ask of it.
 *
 * Safe to share between threads.
 */
#ifndef HWI_SERVER_H
#define HWI_SERVER_H

#include "config.h"
#include "request.h"

/* ---- For the command */

/* Opens the database and everything around it. The server serves nobody yet; hwi_server_run does.
 * The config is taken over, also on failure. `where` NULL: storage.storage_path. */
HW_CHECKED hw_status hwi_server_open(hwi_config *config, const char *where, hwi_server **out,
                                     hw_error *err);

/* Lets callers search by files, as embedding.collections says; `with` NULL: this program cannot. To be
 * called between opening and running; `with` must outlive the server. HW_EINVAL, HW_ENOTFOUND,
 * HW_EUNSUPPORTED name the entry whose embedder does not open. */
typedef struct hwi_embedding hwi_embedding;
HW_CHECKED hw_status hwi_server_embed(hwi_server *s, const hwi_embedding *with, hw_error *err);

/* How to read the config again when told to (HUP): a function of the caller, who has the flags. */
typedef hw_status (*hwi_config_again)(void *arg, hwi_config *out, hw_error *err);

/* Serves until TERM or INT, then finishes what was begun and returns. HUP reads keys, certificates
 * and the level of the log again. Call it from the main thread, before others were started, and end the process
 * after it: the signals stay taken. */
HW_CHECKED hw_status hwi_server_run(hwi_server *s, hwi_config_again again, void *arg,
                                    hw_error *err);

/* Stops what runs and closes the database. NULL is fine. */
void hwi_server_close(hwi_server *s);

/* ---- For handlers */

/* The settings at the start. Keys and certificates may have been replaced since. */
const hwi_config *hwi_server_config(const hwi_server *s);

/* The folder of snapshots, which exists. */
const char *hwi_server_snapshots_path(const hwi_server *s);

/* What / answers: {title, version} depend on service.compat. */
const char *hwi_server_title(const hwi_server *s);
const char *hwi_server_version(const hwi_server *s);

/* The name no longer means what it meant (created, dropped, replaced, given to an alias): the next
 * request opens it again. NULL: all names. Requests that are under way keep what they have. */
void hwi_server_forget(hwi_server *s, const char *collection);

/* Whether the caller may do `need` to the collection; for calls whose body names collections. Says
 * nothing and refuses nothing. */
bool hwi_request_may(const hwi_request *r, hwi_need need, const char *collection);
/* Whether the caller's rights cover everything rather than some collections: 403 else. */
bool hwi_request_may_all(const hwi_request *r, hwi_need need);

/* Adds a header to the answer; name is a literal, value is copied. */
void hwi_request_answer_header(hwi_request *r, const char *name, const char *value);

/* ---- Slow searches (the query handlers) */

/* Searches that take longer than this many milliseconds are logged; 0: none are. */
uint32_t hwi_server_slow_ms(const hwi_server *s);
/* Logs one, with what hw_result_explain said of it (NULL: nothing known). */
void hwi_server_note_slow(hwi_request *r, const char *collection, uint64_t took_us,
                          const char *explain);

/* ---- Recall, measured on a sample (sampler.c) */

/* Offers a finished search to the sample: cheap, drops most, never blocks. The query's deadline,
 * cancel and examples are not kept; only NEAREST searches over a dense vector count. One that was
 * slow and did not explain itself is repeated with its explanation, for the log. */
void hwi_sampler_offer(hwi_request *r, const char *collection, const hw_query *query,
                       const hw_result *found);
/* The result of GET /collections/{c}/recall, appended to out. */
void hwi_sampler_report(hwi_server *s, const char *collection, hwi_buf *out);

/* ---- Counting (metrics.c) */

/* Adds to a gauge kept per collection: "snapshot_creation_running", "snapshot_recovery_running",
 * "snapshot_created_total". Unknown names are ignored. */
void hwi_server_count(hwi_server *s, const char *what, const char *collection, int64_t add);

#endif
