/* fdb_name.c - names of databases in a FoundationDB cluster.
 *
 *     fdb:                                          the default cluster file
 *     fdb:/etc/foundationdb/fdb.cluster             that one
 *     fdb:/etc/foundationdb/fdb.cluster?prefix=shop one of several databases there
 */
#include <stdio.h>
#include <stdlib.h>

#include "store/fdb.h"

const char *
hwi_fdb_name_file(const hwi_fdb_name *name)
{
    if (name->cluster[0]) return name->cluster;
    const char *file = getenv("FDB_CLUSTER_FILE");
    return file && file[0] ? file : "/etc/foundationdb/fdb.cluster";
}

/* One `key=value` after the question mark. */
static hw_status
parse_setting(const char *text, size_t bytes, hwi_fdb_name *out, hw_error *err)
{
    static const char prefix[] = "prefix=";
    size_t skip = sizeof prefix - 1;

    if (bytes < skip || memcmp(text, prefix, skip) != 0)
        return hwi_fail(err, HW_EINVAL, "fdb: name has `%.*s` after `?`, expected prefix=NAME",
                        (int)HWI_MIN(bytes, 100u), text);
    text += skip;
    bytes -= skip;
    if (bytes == 0 || bytes > HW_NAME_MAX)
        return hwi_fail(err, HW_EINVAL, "prefix of %zu bytes, expected 1 to %u", bytes,
                        HW_NAME_MAX);
    if (!hwi_utf8_valid(text, bytes)) return hwi_fail(err, HW_EINVAL, "prefix is not UTF-8");
    memcpy(out->prefix, text, bytes);
    out->prefix[bytes] = 0;
    return HW_OK;
}

hw_status
hwi_fdb_name_parse(const char *text, hwi_fdb_name *out, hw_error *err)
{
    size_t bytes = strcspn(text, "?");

    memset(out, 0, sizeof *out);
    if (bytes >= sizeof out->cluster)
        return hwi_fail(err, HW_EINVAL, "cluster file name of %zu bytes is above the maximum %zu",
                        bytes, sizeof out->cluster - 1);
    memcpy(out->cluster, text, bytes);
    text += bytes;
    while (*text) {
        text++; /* the '?' or '&' */
        size_t setting = strcspn(text, "&");
        HWI_TRY(parse_setting(text, setting, out, err));
        text += setting;
    }
    return HW_OK;
}
