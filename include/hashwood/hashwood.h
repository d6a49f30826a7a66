/* hashwood.h - the public interface of hashwood, an embedded vector database.
 *
 *     hw_db *db;  hw_collection *c;  hw_result *r;  hw_error err;
 *     hw_db_open("photos.hw", NULL, &db, &err);
 *     hw_collection_create(db, "photos", "{\"dim\": 3, \"metric\": \"cosine\"}", &err);
 *     hw_collection_open(db, "photos", &c, &err);
 *     hw_id id = HW_ID_U64(7);
 *     hw_collection_upsert(c, &id, (float[]){1, 2, 3}, 1, NULL, &err);
 *     hw_query q = HW_QUERY_INIT;  q.vector = (float[]){1, 2, 2};  q.dim = 3;
 *     hw_collection_search(c, &q, &r, &err);
 *
 * Conventions, true of every function here:
 *
 * - A function that can fail returns hw_status: HW_OK is 0, errors are negative and their numbers
 * never change. `err` may be NULL; otherwise it receives one line of detail on failure and is left
 * alone on success. On failure outputs are NULL or zero and nothing needs freeing.
 * - Inputs are borrowed for the call only. Outputs handed over are freed with the function named
 * beside them.
 * - Text is UTF-8. `const char *` is NUL-terminated; a pointer with a byte count need not be.
 * - `*_close` and `*_free` accept NULL and cannot fail.
 * - hw_db and hw_collection may be shared by any number of threads. hw_txn and hw_result
 * belong to one thread at a time. hw_cancel may be signalled from anywhere, a signal handler
 * included.
 * - One database may be open in many processes at once: any number of readers beside one writer. A
 * second writer waits up to `busy_timeout_ms` and then gets HW_EBUSY. In FoundationDB each process
 * may have a writer; those that change the same points at the same time conflict (HW_ECONFLICT).
 */
#ifndef HASHWOOD_H
#define HASHWOOD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define HW_VERSION_MAJOR 0
#define HW_VERSION_MINOR 1
#define HW_VERSION_PATCH 0
#define HW_VERSION_STRING "0.1.0"

#if defined(__GNUC__)
#define HW_API __attribute__((visibility("default")))
#define HW_CHECKED __attribute__((warn_unused_result))
#define HW_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define HW_API
#define HW_CHECKED
#define HW_PRINTF(f, a)
#endif

/* Limits. A name ending in _MAX is the largest legal value. */
#define HW_DIM_MAX 65536u /* floats in a vector, or in a row; pairs in a sparse vector */
#define HW_MULTI_VALUES_MAX (1u << 20) /* floats in a multi-vector, all its rows together */
#define HW_K_MAX 10000u                /* hits asked of one search, offset included */
#define HW_ID_TEXT_MAX 255u            /* bytes in a string id */
#define HW_NAME_MAX 255u               /* bytes in a collection or vector name */
#define HW_PAYLOAD_MAX (16u << 20)     /* bytes of JSON in one payload */
#define HW_FILTER_MAX (1u << 20)       /* bytes of JSON in one filter */
#define HW_VECTORS_MAX 64u             /* named vectors in one collection */

/* ---- Status ---- */

typedef enum hw_status {
    HW_OK = 0,
    HW_EINVAL = -1,       /* an argument is wrong: dimension, NaN, malformed JSON, out of range */
    HW_ENOTFOUND = -2,    /* no such collection, point, vector name or file */
    HW_EEXIST = -3,       /* it is already there */
    HW_ENOMEM = -4,       /* out of memory */
    HW_EIO = -5,          /* the operating system failed a read or write */
    HW_ENOSPC = -6,       /* disk or map is full */
    HW_EBUSY = -7,        /* another writer holds the database */
    HW_ECONFLICT = -8,    /* a concurrent transaction won; retry */
    HW_ECORRUPT = -9,     /* stored bytes do not decode or fail their checksum */
    HW_EVERSION = -10,    /* written by a newer hashwood */
    HW_EREADONLY = -11,   /* opened read-only, or the folder cannot be written */
    HW_ECANCELED = -12,   /* cancelled through hw_cancel */
    HW_ETIMEOUT = -13,    /* the deadline passed before anything could be answered */
    HW_ELIMIT = -14,      /* a limit of the store or of this header was exceeded */
    HW_EUNKNOWN = -15,    /* a commit may or may not have happened (distributed stores) */
    HW_EUNSUPPORTED = -16 /* not in this build or not for this store */
} hw_status;

/* Detail of a failure: one line, lower case, no full stop, with the value and the limit. */
typedef struct hw_error {
    hw_status status;
    char message[508];
} hw_error;

/* A short fixed name of a status ("not found"). Never NULL. Safe from any thread. */
HW_API const char *hw_status_text(hw_status status);

/* Version of the library in use, "major.minor.patch", to compare with HW_VERSION_STRING. */
HW_API const char *hw_version(void);

/* Name of the distance kernels picked for this machine: "avx512", "avx2", "neon" or "scalar". The
 * environment variable HASHWOOD_KERNELS forces one; a name that is unknown or cannot run here makes
 * hw_db_open fail. */
HW_API const char *hw_kernels(void);

/* Frees memory that a function here handed over as plain text or bytes. NULL is fine. */
HW_API void hw_free(void *memory);

/* ---- Ids ---- */

typedef enum hw_id_kind { HW_ID_KIND_U64 = 0, HW_ID_KIND_UUID = 1, HW_ID_KIND_TEXT = 2 } hw_id_kind;

/* A point's id: an unsigned 64-bit number, a UUID, or a string of 1 to HW_ID_TEXT_MAX bytes. The
 * three kinds are distinct: 7 and "7" are different points. Order: numbers, then UUIDs, then
 * strings, each ascending. */
typedef struct hw_id {
    hw_id_kind kind;
    uint32_t text_bytes; /* HW_ID_KIND_TEXT */
    union {
        uint64_t u64;
        uint8_t uuid[16];
        const char *text; /* borrowed; need not be NUL-terminated */
    } as;
} hw_id;

#ifdef __cplusplus
static inline hw_id
HW_ID_U64(uint64_t n)
{
    hw_id id = {};
    id.as.u64 = n;
    return id;
}
#else
#define HW_ID_U64(n) ((hw_id){.kind = HW_ID_KIND_U64, .as = {.u64 = (n)}})
#endif

/* Reads an id as people write it: digits are a number (up to 2^64 - 1 and without leading zeros:
 * 007 is a string), 8-4-4-4-12 hexadecimal (or 32 digits, or urn:uuid:) a UUID, anything else a
 * string, which then points into `text`. HW_EINVAL when empty, too long or not UTF-8. */
HW_API HW_CHECKED hw_status hw_id_parse(const char *text, size_t text_bytes, hw_id *id,
                                        hw_error *err);

/* Writes an id as text, NUL-terminated, into `out` of at least HW_ID_TEXT_MAX + 1 bytes; returns
 * the length. */
HW_API size_t hw_id_format(const hw_id *id, char *out);

/* Negative, zero or positive as a sorts before, equals, or sorts after b. */
HW_API int hw_id_compare(const hw_id *a, const hw_id *b);

/* ---- Databases ---- */

typedef struct hw_db hw_db;

typedef struct hw_db_opts {
    size_t size;     /* sizeof(hw_db_opts); set by HW_DB_OPTS_INIT */
    bool read_only;  /* never writes, takes no write lock, creates nothing */
    bool must_exist; /* HW_ENOTFOUND instead of creating the folder */
    bool
        no_sync; /* commits are not synced: a power cut may lose the newest ones, never the order */
    uint32_t busy_timeout_ms; /* how long to wait for another writer; default 5000 */
    uint32_t threads;         /* for index builds; 0 means one per processor */
    uint64_t map_bytes; /* LMDB address space, the largest size of the database; 0 means 1 TiB or
                           what fits */
    bool bulk_load; /* commits of this handle train no first index: a collection without one stays
                       without (searches are exact scans) until hw_collection_build, which is much
                       faster than growing an index row by row */
    uint64_t cache_bytes; /* FoundationDB: memory for values read; 0 means 256 MiB. LMDB's is the
                             system's page cache */
    uint32_t max_staleness_ms; /* FoundationDB: a read may miss commits of other processes that are
                                  younger than this, and then asks the cluster less often; 0: every
                                  read sees all commits that returned before it began */
    bool no_read_ahead; /* LMDB: the system fetches only the pages that are asked for. Searches of
                           data that does not fit in memory become many times faster; what reads
                           everything (exact searches, builds, backups) becomes slower from disk */
} hw_db_opts;

#ifdef __cplusplus
#define HW_DB_OPTS_INIT                                                                            \
    hw_db_opts                                                                                     \
    {                                                                                              \
        sizeof(hw_db_opts), false, false, false, 5000, 0, 0, false, 0, 0, false                    \
    }
#else
#define HW_DB_OPTS_INIT ((hw_db_opts){.size = sizeof(hw_db_opts), .busy_timeout_ms = 5000})
#endif

/* Opens a database, creating it when absent.
 *
 * where   a folder (LMDB); "mem:" for one that lives in memory and dies with the handle;
 *         "fdb:/path/fdb.cluster" for one in a FoundationDB cluster ("fdb:" for the default cluster
 *         file, "fdb:/path?prefix=shop" for one of several there; docs/foundationdb.md); or
 *         "http://host:port" (https too) for one that `hashwood serve` holds elsewhere, with the key in
 *         the environment variable HASHWOOD_API_KEY. What a server has no call for answers
 *         HW_EUNSUPPORTED (docs/server.md)
 * opts    NULL for defaults
 *
 * HW_EVERSION if a newer hashwood wrote it, HW_ECORRUPT if it is no hashwood database, HW_EIO,
 * HW_EREADONLY, HW_ENOMEM. Cost: milliseconds at any size; nothing is rebuilt. One handle per
 * folder and process. */
HW_API HW_CHECKED hw_status hw_db_open(const char *where, const hw_db_opts *opts, hw_db **out,
                                       hw_error *err);

/* Closes the database. Every collection, transaction and result of it must be closed
 * before. */
HW_API void hw_db_close(hw_db *db);

/* Progress of long work: `done` of `total` units (rows, pages, keys); `stage` is a short fixed
 * word. Called from the calling thread, a few times a second at most. Return false to stop: the
 * work ends with HW_ECANCELED and leaves the database as it was or part-done but sound, as each
 * function says. */
typedef bool (*hw_progress_fn)(void *arg, const char *stage, uint64_t done, uint64_t total);

/* One damage found by hw_db_check: where (collection, key) and what, as one line. */
typedef void (*hw_damage_fn)(void *arg, const char *where, const char *what);

/* Walks every key: decodes it, verifies checksums and every invariant between records, payload
 * indexes, tree and buckets. Reads one snapshot; writers go on. HW_ECORRUPT when anything was found
 * (each reported through `damage`), HW_OK when whole. Cost: reads everything once. */
HW_API HW_CHECKED hw_status hw_db_check(hw_db *db, hw_progress_fn progress, hw_damage_fn damage,
                                        void *arg, hw_error *err);

/* Copies one consistent snapshot of everything, indexes included, into a new database `to` of any
 * kind: a folder, which must not exist, or an "fdb:..." name with nothing there yet. HW_EEXIST. A
 * copy that fails or is stopped leaves no database. */
HW_API HW_CHECKED hw_status hw_db_copy(hw_db *db, const char *to, hw_progress_fn progress,
                                       void *arg, hw_error *err);

/* Writes a compacted copy (no free pages) as a new database folder `to`, which must not exist.
 * HW_EUNSUPPORTED for a database in FoundationDB, where there are no such pages. */
HW_API HW_CHECKED hw_status hw_db_compact(hw_db *db, const char *to, hw_progress_fn progress,
                                          void *arg, hw_error *err);

/* Writes one consistent snapshot of everything to a single compressed, checksummed file
 * (docs/format.md), replacing `file` only once whole. Writers go on meanwhile. */
HW_API HW_CHECKED hw_status hw_db_backup(hw_db *db, const char *file, hw_progress_fn progress,
                                         void *arg, hw_error *err);

/* Makes a new database at `where`, which must not exist, from a backup; verified before it takes
 * its place. */
HW_API HW_CHECKED hw_status hw_db_restore(const char *file, const char *where,
                                          hw_progress_fn progress, void *arg, hw_error *err);

/* Facts about the database as a JSON object (uuid, format, bytes on disk, free pages, collections
 * ...). Free with hw_free. */
HW_API HW_CHECKED hw_status hw_db_stats(hw_db *db, char **json, hw_error *err);

/* ---- Collections ---- */

typedef struct hw_collection hw_collection;

/* Creates a collection.
 *
 * name    1 to HW_NAME_MAX bytes of UTF-8, no control characters, no '/'
 * config  JSON object, checked before anything is written:
 *
 *   {"dim": 784, "metric": "l2"}                        one unnamed vector
 *   {"vectors": {"image": {"dim": 512, "metric": "cosine"}, "text": {...}}}       named vectors
 *   {"vectors": {"size": 784, "distance": "Euclid"}}    Qdrant's spelling is understood everywhere
 *   {"vectors": {"tokens": {"size": 64, "distance": "Dot",
 *                           "multivector_config": {"comparator": "max_sim"}}}}
 *                                                       a multi-vector: many rows a point, MaxSim
 *   {"sparse_vectors": {"words": {"modifier": "idf"}}}  sparse vectors, by dot product; "modifier"
 *                                                       may be "none" or "idf"
 *
 *   metric           "cosine", "l2" ("euclid"), "dot", "l1" ("manhattan"); any case
 *   index            {"kind": "hybrid" | "kdtree" | "lsh" | "flat", "leaf_size": 0, "bits": 0,
 *                    "seed": 1, "flat_below": 2000} per vector or for all; 0: chosen from the data.
 *                    leaf_size 16 to 700 (at 512 and 1024 bits 350 and 175), bits a power of two
 *                    from 64 to 1024
 *   payload_indexes  {"label": "keyword", ...}, as hw_collection_index_payload takes them
 *
 * Other keys are the client's own: kept, and given back by describe under "extra".
 *
 * HW_EEXIST, HW_EINVAL with the key named. */
HW_API HW_CHECKED hw_status hw_collection_create(hw_db *db, const char *name, const char *config,
                                                 hw_error *err);

/* Removes a collection and all it holds, in bounded transactions; the name is free at once. Open
 * handles to it get HW_ENOTFOUND from then on. */
HW_API HW_CHECKED hw_status hw_collection_drop(hw_db *db, const char *name, hw_error *err);

/* Names of all collections in byte order: *names is one block, *names[i] NUL-terminated; free with
 * hw_free. */
HW_API HW_CHECKED hw_status hw_collection_list(hw_db *db, char ***names, size_t *count,
                                               hw_error *err);

/* Opens a collection by its name or an alias. Costs a few reads; index pages are read when first
 * needed. */
HW_API HW_CHECKED hw_status hw_collection_open(hw_db *db, const char *name, hw_collection **out,
                                               hw_error *err);
HW_API void hw_collection_close(hw_collection *c);

/* The collection's settings, counts and payload indexes as JSON. Free with hw_free. */
HW_API HW_CHECKED hw_status hw_collection_describe(hw_collection *c, char **json, hw_error *err);

/* Statistics of its index as JSON: points, leaves and their size distribution, bytes per vector,
 * page fill, calibration. Free with hw_free. Cost: reads every leaf's header. */
HW_API HW_CHECKED hw_status hw_collection_stats(hw_collection *c, char **json, hw_error *err);

/* The index of one vector field ("" or NULL: the unnamed one) as people see it, as JSON; free with
 * hw_free. A collection that has no index yet shows no nodes, anchors or points.
 *
 *   tree  {"kind": .., "bits": .., "leaf_size": .., "leaves": .., "nodes": [..]}; a node is {"node",
 *         "parent", "left", "right"} or, a leaf, {"node", "parent", "rows"}; the root has no parent
 *   leaf  what is in the leaf of this number, in bucket order: {"leaf", "path", "rows", "radius",
 *         "bits", "signatures": [{"id", "bucket", "bits": hexadecimal, first bit first}, ..]}
 *   map   about `points` of the vectors (1 to HW_MAP_POINTS_MAX) and the anchors of all leaves along
 *         the first two principal axes: {"anchors": [{"leaf", "rows", "x", "y"}, ..], "points":
 *         [{"id", "leaf", "x", "y"}, ..], "share": of the variance along each, "directions": the
 *         axes, "mean": what is subtracted first, "normalised": whether vectors get unit length}
 *
 * HW_ENOTFOUND: no such field or leaf; HW_EINVAL: a sparse or multi-vector field, which has no
 * tree. Cost: tree and map read every leaf's header. */
#define HW_MAP_POINTS_MAX 20000u
HW_API HW_CHECKED hw_status hw_collection_tree(hw_collection *c, const char *vector_name,
                                               char **json, hw_error *err);
HW_API HW_CHECKED hw_status hw_collection_leaf(hw_collection *c, const char *vector_name,
                                               uint32_t leaf, char **json, hw_error *err);
HW_API HW_CHECKED hw_status hw_collection_map(hw_collection *c, const char *vector_name,
                                              uint32_t points, char **json, hw_error *err);

/* Floats in a vector of this field ("" or NULL: the unnamed one); 0 if there is no such field. */
HW_API uint32_t hw_collection_dim(const hw_collection *c, const char *vector_name);

/* Indexes one payload field, so that filters on it need not read payloads.
 *
 * field   a path: "label", "a.b", "tags[].name"
 * type    "keyword", "integer", "float", "bool", "datetime", "geo", "uuid", "text", or a JSON object
 *         such as {"type": "text", "tokenizer": "prefix"}: settings beside the type are kept and
 *         given back by describe; docs/filters.md says which a text index obeys
 *
 * Existing points are indexed in bounded transactions; the index serves queries once complete, and
 * a build cut short goes on at the next call. HW_EEXIST if the field has an index of another type, or
 * a text index with other settings; HW_EUNSUPPORTED for a setting that cannot be obeyed. */
HW_API HW_CHECKED hw_status hw_collection_index_payload(hw_collection *c, const char *field,
                                                        const char *type, hw_progress_fn progress,
                                                        void *arg, hw_error *err);
HW_API HW_CHECKED hw_status hw_collection_unindex_payload(hw_collection *c, const char *field,
                                                          hw_error *err);

/* Changes the client's own settings (the keys describe gives back under "extra"): a JSON merge patch
 * (RFC 7396). */
HW_API HW_CHECKED hw_status hw_collection_configure(hw_collection *c, const char *patch,
                                                    hw_error *err);

/* Adds a vector field to a collection in use: `config` as the value under "vectors" (or, with
 * `sparse`, under "sparse_vectors") of hw_collection_create. Points have none of it until they are
 * given one. HW_EEXIST. A handle on a server's collection knows the fields it had when it was
 * opened: open it again. */
HW_API HW_CHECKED hw_status hw_collection_add_vector(hw_collection *c, const char *name,
                                                     bool sparse, const char *config,
                                                     hw_error *err);
/* Removes a vector field and all its vectors, in bounded transactions; the name is free at once.
 * HW_ENOTFOUND. */
HW_API HW_CHECKED hw_status hw_collection_drop_vector(hw_collection *c, const char *name,
                                                      hw_error *err);

/* A second name for a collection, usable wherever a name is. */
typedef struct hw_alias {
    const char *name;
    const char *collection; /* NULL: the alias is removed */
} hw_alias;

/* Sets or removes aliases, all in one transaction. An alias may move from one collection to another,
 * which is how a new collection takes the place of an old one at once. HW_ENOTFOUND: no such
 * collection, or no such alias to remove; HW_EEXIST: a collection has that name. Dropping a
 * collection removes its aliases. */
HW_API HW_CHECKED hw_status hw_db_alias(hw_db *db, const hw_alias *aliases, size_t count,
                                        hw_error *err);
/* All aliases in byte order as JSON: [{"alias_name": "a", "collection_name": "c"}, ...]. Free with
 * hw_free. */
HW_API HW_CHECKED hw_status hw_db_aliases(hw_db *db, char **json, hw_error *err);

/* Writes one consistent snapshot of one collection, index included, to a file as hw_db_backup does. */
HW_API HW_CHECKED hw_status hw_collection_backup(hw_collection *c, const char *file,
                                                 hw_progress_fn progress, void *arg, hw_error *err);
/* Brings the collection in `file` into this database under `name`, which must be free unless
 * `replace`. Verified before it takes its place; then the switch is one transaction, and until then
 * the old one serves. HW_EEXIST, HW_ECORRUPT, HW_EVERSION; HW_EINVAL: the file holds a whole
 * database. */
HW_API HW_CHECKED hw_status hw_collection_restore(hw_db *db, const char *name, const char *file,
                                                  bool replace, hw_progress_fn progress, void *arg,
                                                  hw_error *err);

/* What this handle has done and how it stands, for monitoring. Counters only grow; times are
 * nanoseconds. */
typedef struct hw_metrics {
    size_t size; /* sizeof(hw_metrics); set by the caller before the call */
    uint64_t searches, searches_exact, searches_filtered; /* finished */
    uint64_t leaves_opened, codes_scanned, rows_refined, rows_exact;
    uint64_t ns_rotate, ns_rank, ns_scan, ns_exact, ns_filter; /* scan: short and longer codes */
    uint64_t pages_read; /* waited for from disk: major page faults of the whole process, as pages
                            are read where they lie in the map */
    uint64_t commits, commits_grouped; /* grouped: transactions that shared another's sync */
    uint64_t commit_bytes, points_written, points_deleted; /* written: operations, not points */
    uint64_t leaf_splits, leaf_merges, builds, calibrations;
    uint64_t map_bytes, used_bytes, free_bytes; /* of the store, now */
} hw_metrics;
HW_API HW_CHECKED hw_status hw_db_metrics(hw_db *db, hw_metrics *out, hw_error *err);

/* Builds the vector index afresh from all points: a new generation (rotation, tree, buckets,
 * calibration) is written beside the old and switched in by one transaction; until then, and after
 * a crash, the old one serves. Use it after a first bulk load; later changes keep the index right
 * by themselves.
 *
 * Writes of other threads and processes go on meanwhile; what they changed is brought up to date
 * before the switch. HW_EBUSY when another process is building. Cancelled or failed: nothing has
 * changed. Cost: the vectors' leading axes in memory (up to 1 kB a vector) and reading all vectors
 * a few times. */
HW_API HW_CHECKED hw_status hw_collection_build(hw_collection *c, hw_progress_fn progress,
                                                void *arg, hw_error *err);

/* ---- Writing ---- */

typedef struct hw_txn hw_txn;
typedef struct hw_result hw_result;

/* Begins a write transaction over any collections of the database. The only writer until it ends (in
 * FoundationDB, of this process): keep it short. HW_EBUSY when another writer did not finish within
 * busy_timeout_ms. */
HW_API HW_CHECKED hw_status hw_txn_begin(hw_db *db, hw_txn **out, hw_error *err);

/* Makes everything done in the transaction visible and durable at once, or nothing. Ends the
 * transaction whatever it returns.
 *
 * HW_ECONFLICT, in FoundationDB alone: nothing was written, since a transaction of another process
 * changed what this one read, or it took longer than five seconds; do all of it again (hw_db_run
 * does). HW_EUNKNOWN, there too: the cluster stopped answering, and it may have been written. */
HW_API HW_CHECKED hw_status hw_txn_commit(hw_txn *txn, hw_error *err);

/* A transaction as a function: begins one, calls body, and commits; or aborts when body fails, and
 * returns its status. When body or the commit reports HW_ECONFLICT all is done again after a
 * growing pause, a bounded number of times, so body may run more than once and must begin from
 * nothing each time. */
typedef hw_status (*hw_txn_fn)(hw_txn *txn, void *arg, hw_error *err);
HW_API HW_CHECKED hw_status hw_db_run(hw_db *db, hw_txn_fn body, void *arg, hw_error *err);
HW_API void hw_txn_abort(hw_txn *txn);

/* One vector of a point. Three kinds, by the collection's config:
 *
 *   dense   `dim` values, as many as the field has
 *   multi   `rows` vectors of `dim` values each, back to back
 *   sparse  `dim` pairs of an index (distinct, any order) and a value; all others are zero
 */
typedef struct hw_vector {
    const char *name; /* NULL or "" for the unnamed vector */
    const float *values;
    uint32_t dim;
    uint32_t rows;           /* multi; 0 means 1; given back as 0 for other kinds */
    const uint32_t *indices; /* sparse; else NULL */
} hw_vector;

/* Points of these ids are about to be written: a store over the network (FoundationDB) looks all of
 * them up at once instead of one after the other. A hint, which changes nothing else; NULL arguments
 * and ids that are none are passed over. */
HW_API void hw_txn_expect(hw_txn *txn, hw_collection *c, const hw_id *ids, size_t count);

/* Inserts the point, or replaces vectors and payload of the one with this id.
 *
 * vectors  one per field the point shall have; may be fewer than the collection has, even none
 * payload  a JSON object of payload_bytes, kept byte for byte; NULL for none
 *
 * HW_EINVAL: dimension (both sizes named), NaN or infinity, zero vector under cosine, malformed
 * payload. After any failure but HW_EINVAL, HW_ENOTFOUND and HW_EEXIST the transaction can only be
 * aborted. */
HW_API HW_CHECKED hw_status hw_txn_upsert(hw_txn *txn, hw_collection *c, const hw_id *id,
                                          const hw_vector *vectors, size_t vector_count,
                                          const char *payload, size_t payload_bytes, hw_error *err);

/* Replaces the named vectors of an existing point; other vectors and the payload stay.
 * HW_ENOTFOUND. */
HW_API HW_CHECKED hw_status hw_txn_update_vectors(hw_txn *txn, hw_collection *c, const hw_id *id,
                                                  const hw_vector *vectors, size_t vector_count,
                                                  hw_error *err);

/* Removes the named vectors of an existing point. HW_ENOTFOUND if there is no such point. */
HW_API HW_CHECKED hw_status hw_txn_delete_vectors(hw_txn *txn, hw_collection *c, const hw_id *id,
                                                  const char *const *names, size_t name_count,
                                                  hw_error *err);

typedef enum hw_payload_op {
    HW_PAYLOAD_SET = 0,       /* the given keys replace or join the payload's; others stay */
    HW_PAYLOAD_OVERWRITE = 1, /* the given object becomes the payload */
    HW_PAYLOAD_DELETE = 2,    /* `json` is an array of keys (paths) to remove */
    HW_PAYLOAD_CLEAR = 3      /* no payload; `json` is ignored */
} hw_payload_op;

/* Changes the payload of an existing point. `at` is NULL or the path of a nested object that SET
 * applies to. */
HW_API HW_CHECKED hw_status hw_txn_update_payload(hw_txn *txn, hw_collection *c, const hw_id *id,
                                                  hw_payload_op op, const char *at,
                                                  const char *json, size_t json_bytes,
                                                  hw_error *err);

/* Ids of the points that match a filter, this transaction's own changes included, in id order: one
 * block, free with hw_free. The way to change or delete by filter. */
HW_API HW_CHECKED hw_status hw_txn_match(hw_txn *txn, hw_collection *c, const char *filter,
                                         size_t filter_bytes, hw_id **ids, size_t *count,
                                         hw_error *err);

/* Reads points by id as hw_collection_get does, this transaction's own changes included. */
HW_API HW_CHECKED hw_status hw_txn_get(hw_txn *txn, hw_collection *c, const hw_id *ids,
                                       size_t count, uint32_t with, hw_result **out, hw_error *err);

/* Deletes a point: record, payload index entries, tree and buckets. *existed (may be NULL) tells
 * whether it was there; deleting an absent point is no error. */
HW_API HW_CHECKED hw_status hw_txn_delete(hw_txn *txn, hw_collection *c, const hw_id *id,
                                          bool *existed, hw_error *err);

/* One-call transactions: begin, `count` times the operation, commit. All or nothing.
 *
 * vectors   count rows of the unnamed vector, back to back, each hw_collection_dim() floats
 * payloads  NULL, or count NUL-terminated JSON objects, each of which may be NULL
 *
 * An id that occurs twice in one batch: the later row wins. The message of a failure names the row.
 */
HW_API HW_CHECKED hw_status hw_collection_upsert(hw_collection *c, const hw_id *ids,
                                                 const float *vectors, size_t count,
                                                 const char *const *payloads, hw_error *err);
HW_API HW_CHECKED hw_status hw_collection_delete(hw_collection *c, const hw_id *ids, size_t count,
                                                 uint64_t *deleted, hw_error *err);

/* ---- Cancelling ---- */

typedef struct hw_cancel hw_cancel;
HW_API HW_CHECKED hw_status hw_cancel_new(hw_cancel **out, hw_error *err);
HW_API void hw_cancel_signal(hw_cancel *cancel); /* async-signal-safe */
HW_API void hw_cancel_free(hw_cancel *cancel);   /* no call may still be using it */

/* ---- Reading ---- */

/* A second handle that reads one snapshot, the newest now: whatever is committed meanwhile, all its
 * calls see the same. They end with HW_ETIMEOUT after deadline_ms (CLOCK_MONOTONIC milliseconds; 0:
 * none) and with HW_ECANCELED once `cancel` is signalled (NULL: none; must outlive the handle). Close
 * it soon with hw_collection_close: until then no page that its snapshot needs is used again. Writes
 * through it are like any other and not seen through it. HW_ENOTFOUND when the collection was
 * dropped; HW_EUNSUPPORTED of a database on a server. */
HW_API HW_CHECKED hw_status hw_collection_hold(hw_collection *c, uint64_t deadline_ms,
                                               hw_cancel *cancel, hw_collection **out,
                                               hw_error *err);

#define HW_WITH_PAYLOAD 1u
#define HW_WITH_VECTOR 2u
#define HW_WITH_VERSION 4u /* hw_result_version; costs a look-up a hit */

/* How the score of a point is made. s(x) is its similarity to x: the cosine or dot product, or the
 * negated squared l2 or l1 distance. Formulas and edge cases in docs/queries.md. Scores of the rules
 * from BEST_SCORE on are better the greater they are, whatever the metric, and a score threshold is
 * the least. Those rules compare with every point that matches. */
typedef enum hw_rule {
    HW_RULE_NEAREST = 0,    /* to the query vector; this and AVERAGE use the index */
    HW_RULE_AVERAGE = 1,    /* nearest to mean(positives) + mean(positives) - mean(negatives) */
    HW_RULE_BEST_SCORE = 2, /* the best positive counts, or the best negative against it */
    HW_RULE_SUM_SCORES = 3, /* sum over positives less sum over negatives */
    HW_RULE_DISCOVER = 4,   /* pairs say where to look, the query vector what is nearest there */
    HW_RULE_CONTEXT = 5     /* pairs alone: few points on the wrong side */
} hw_rule;

/* An example of a rule: a vector (of the query's field; `vector.name` is ignored) or a stored
 * point, which is then left out of the answer. */
typedef struct hw_example {
    hw_vector vector;
    const hw_id *id; /* NULL: `vector` holds */
    bool negative;   /* DISCOVER and CONTEXT: examples come in pairs, a positive and its negative */
} hw_example;

/* A search. Start from HW_QUERY_INIT and set what differs. */
typedef struct hw_query {
    size_t size;
    const char *vector_name; /* which vector to compare with; NULL or "" for the unnamed one */
    const float *vector;     /* the query; or NULL and ... */
    uint32_t dim;
    const hw_id *id; /* ... the stored point to compare with, itself left out of the answer */
    uint32_t k;      /* 1 to HW_K_MAX; default 10 */
    uint32_t offset; /* hits to skip first; offset + k <= HW_K_MAX */
    double recall;   /* recall@k to aim at, 0 < recall <= 1; default 0.95; 1 means exact */
    bool exact;      /* proven exact answer */
    uint32_t
        time_budget_ms; /* stop in time and say what was reached (hw_result_recall); 0: no budget */
    bool has_score_threshold;
    float score_threshold; /* cosine, dot, sparse, and rules from BEST_SCORE on: at least this; l2,
                              l1: at most this */
    const char *filter;    /* JSON filter (docs/filters.md); NULL: none */
    size_t filter_bytes;
    uint32_t with;        /* HW_WITH_... */
    bool explain;         /* fill hw_result_explain */
    uint64_t deadline_ms; /* CLOCK_MONOTONIC milliseconds after which the call returns HW_ETIMEOUT;
                             0: none */
    hw_cancel *cancel;    /* NULL: none */
    uint32_t rows;        /* multi-vector query: rows of dim floats; 0 means 1 */
    const uint32_t *indices; /* sparse query: dim pairs */
    hw_rule rule;
    const hw_example *examples; /* of every rule but NEAREST */
    size_t example_count;
    const hw_id *among; /* only these points compete (and must match the filter); NULL: all do */
    size_t among_count;
} hw_query;

#ifdef __cplusplus
#define HW_QUERY_INIT                                                                              \
    hw_query                                                                                       \
    {                                                                                              \
        sizeof(hw_query), nullptr, nullptr, 0, nullptr, 10, 0, 0.95, false, 0, false, 0, nullptr,  \
            0, 0, false, 0, nullptr, 0, nullptr, HW_RULE_NEAREST, nullptr, 0, nullptr, 0           \
    }
#else
#define HW_QUERY_INIT ((hw_query){.size = sizeof(hw_query), .k = 10, .recall = 0.95})
#endif

/* Finds the k stored vectors most similar to the query, best first; equal scores order by id. k
 * results whenever k points match the filter and threshold.
 *
 * Any number of threads may search one collection. One snapshot: sees every commit that returned
 * before the call. HW_EINVAL, HW_ENOTFOUND (id or vector name), HW_ECANCELED, HW_ETIMEOUT,
 * HW_ENOMEM, HW_EIO, HW_ECORRUPT. Cost: expected sublinear with an index, O(n) for `exact` in many
 * dimensions. Free with hw_result_free. */
HW_API HW_CHECKED hw_status hw_collection_search(hw_collection *c, const hw_query *query,
                                                 hw_result **out, hw_error *err);

/* Runs `count` searches on `threads` threads (0: one per processor) against one snapshot. out has
 * room for count; all or none are set. */
HW_API HW_CHECKED hw_status hw_collection_search_batch(hw_collection *c, const hw_query *queries,
                                                       size_t count, uint32_t threads,
                                                       hw_result **out, hw_error *err);

/* Why a point is or is not among the hits of a query: a JSON object with its score, its exact rank
 * among the points that compete (those that the filter lets through and the query does not name),
 * and `lost_at` unless it is found: filter, score threshold, rank, offset, leaf not opened,
 * signature bound or refine estimate. Cost: O(n) for the rank. Free with hw_free. */
HW_API HW_CHECKED hw_status hw_collection_why(hw_collection *c, const hw_query *query,
                                              const hw_id *id, char **json, hw_error *err);

/* Reads points by id, in the order asked; absent ids are left out. */
HW_API HW_CHECKED hw_status hw_collection_get(hw_collection *c, const hw_id *ids, size_t count,
                                              uint32_t with, hw_result **out, hw_error *err);

/* Number of points that match the filter (NULL: all). */
HW_API HW_CHECKED hw_status hw_collection_count(hw_collection *c, const char *filter,
                                                size_t filter_bytes, uint64_t *count,
                                                hw_error *err);

/* Points in the order of a payload field that has a range index ("integer", "float", "datetime"):
 * at most `limit` that match the filter, beginning at `start_from` (NULL, or a JSON number or date
 * text; values before it in the order are left out). Points without the field are left out; one with
 * several values comes once for each. Equal values order by id; descending is the exact reverse of
 * ascending. HW_EINVAL when the field has no such index. */
HW_API HW_CHECKED hw_status hw_collection_ordered(hw_collection *c, const char *filter,
                                                  size_t filter_bytes, const char *field,
                                                  bool descending, const char *start_from,
                                                  uint32_t limit, uint32_t with, hw_result **out,
                                                  hw_error *err);

/* `limit` points drawn at random without repetition from those that match the filter; the same seed
 * and data give the same points. */
HW_API HW_CHECKED hw_status hw_collection_sample(hw_collection *c, const char *filter,
                                                 size_t filter_bytes, uint64_t seed, uint32_t limit,
                                                 uint32_t with, hw_result **out, hw_error *err);

/* How many points have each value of an indexed payload field ("keyword", "integer", "bool", "uuid"),
 * among those that match the filter: [{"value": "red", "count": 12}, ...], most frequent first,
 * equal counts by value. HW_EINVAL when the field has no such index. Free with hw_free. */
HW_API HW_CHECKED hw_status hw_collection_facet(hw_collection *c, const char *field,
                                                const char *filter, size_t filter_bytes,
                                                uint32_t limit, char **json, hw_error *err);

/* One page of points in id order from `from` (NULL: the first), at most `limit`, that match the
 * filter. *more tells whether there are further ones; *next then holds the id to go on from (text
 * borrowed from the result). */
HW_API HW_CHECKED hw_status hw_collection_scroll(hw_collection *c, const char *filter,
                                                 size_t filter_bytes, const hw_id *from,
                                                 uint32_t limit, uint32_t with, hw_result **out,
                                                 bool *more, hw_id *next, hw_error *err);

/* A result's columns, borrowed until hw_result_free. */
HW_API size_t hw_result_count(const hw_result *r);
HW_API const hw_id *hw_result_ids(const hw_result *r);
/* count scores (cosine similarity, l2 or l1 distance, dot product); NULL for get and scroll */
HW_API const float *hw_result_scores(const hw_result *r);
/* payload of hit i as JSON text, NUL-terminated, or NULL (no payload, or not asked for); *bytes may
 * be NULL */
HW_API const char *hw_result_payload(const hw_result *r, size_t i, size_t *bytes);
/* dense vector `name` of hit i as it was given, or NULL (absent, or not asked for); *dim may be
 * NULL */
HW_API const float *hw_result_vector(const hw_result *r, size_t i, const char *name, uint32_t *dim);
/* Vector `name` of hit i of any kind as it was given, sparse ones by ascending index; false when
 * absent or not asked for. Borrowed from the result. */
HW_API bool hw_result_stored_vector(const hw_result *r, size_t i, const char *name, hw_vector *out);
/* the value by which hw_collection_ordered placed hit i: a JSON number, of a date its microseconds
 * since 1970; NULL for others */
HW_API const char *hw_result_order_value(const hw_result *r, size_t i);
/* version of hit i: the number of the commit that last changed it; 0 when not asked for */
HW_API uint64_t hw_result_version(const hw_result *r, size_t i);
/* recall@k the answer was calibrated for; 1 when proven exact; below the recall asked when the
 * budget ended it */
HW_API double hw_result_recall(const hw_result *r);
/* one line such as "filter on unindexed field `year` tests payloads: create an index", or NULL */
HW_API const char *hw_result_warning(const hw_result *r);
/* JSON: plan, selectivity, tree path, leaves ranked / opened / pruned, buckets, signatures scanned,
 * refined, exact, microseconds per step; NULL unless explain was asked for */
HW_API const char *hw_result_explain(const hw_result *r);
HW_API void hw_result_free(hw_result *r);

/* Work counters of one search, for benchmarks. */
typedef struct hw_search_work {
    size_t size;
    uint64_t leaves; /* opened */
    /* signatures (or rows, for flat) looked at; some rows twice by an exact search that tried a few
     * leaves before it compared with everything */
    uint64_t scanned;
    uint64_t refined; /* longer codes looked at */
    uint64_t exact;   /* full-precision distances */
} hw_search_work;
HW_API void hw_result_work(const hw_result *r, hw_search_work *work);

#ifdef __cplusplus
}
#endif
#endif
