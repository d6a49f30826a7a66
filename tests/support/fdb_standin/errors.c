/* errors.c - errors by number: their texts, and which of them a client may answer by trying again. */
#include "parts.h"

static const struct {
    int code;
    const char *text;
} texts[] = {
    {E_OK, "Success"},
    {E_TOO_OLD, "Transaction is too old to perform reads or be committed"},
    {E_FUTURE_VERSION, "Request for future version"},
    {E_CONFLICT, "Transaction not committed due to conflict with another transaction"},
    {E_UNKNOWN_RESULT, "Transaction may or may not have committed"},
    {E_TXN_CANCELLED, "Operation aborted because the transaction was cancelled"},
    {E_TIMED_OUT, "Operation aborted because the transaction timed out"},
    {E_TOO_MANY_WATCHES, "Too many watches currently set"},
    {E_UNREADABLE, "Read or wrote an unreadable key"},
    {E_PROCESS_BEHIND, "Storage process does not have recent mutations"},
    {E_OP_CANCELLED, "Asynchronous operation cancelled"},
    {E_THROTTLED, "Transaction tag is being throttled"},
    {E_NO_CLUSTER_FILE, "No cluster file found in current directory or default location"},
    {E_INVALID_OPERATION, "Invalid API call"},
    {E_OUTSIDE_LEGAL_RANGE, "Key outside legal range"},
    {E_INVERTED_RANGE, "Range begin key larger than end key"},
    {E_USED_DURING_COMMIT, "Operation issued while a commit was outstanding"},
    {E_INVALID_MUTATION, "Unrecognized atomic mutation type"},
    {E_NO_COMMIT_VERSION, "Transaction is read-only and therefore does not have a commit version"},
    {E_CANNOT_RESTART, "Network can only be started once"},
    {E_BLOCKED, "Detected a deadlock in a callback called from the network thread"},
    {E_TXN_TOO_LARGE, "Transaction exceeds byte limit"},
    {E_KEY_TOO_LARGE, "Key length exceeds limit"},
    {E_VALUE_TOO_LARGE, "Value length exceeds limit"},
    {E_BAD_CONNECTION_STRING, "Connection string invalid"},
    {E_EXACT_WITHOUT_LIMIT, "EXACT streaming mode requires limits, but none were given"},
};

const char *
fdb_get_error(int code)
{
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (texts[i].code == code) return texts[i].text;
    return "UNKNOWN_ERROR";
}

static bool
is_retryable_not_committed(int code)
{
    switch (code) {
    case E_CONFLICT:
    case E_TOO_OLD:
    case E_FUTURE_VERSION:
    case E_PROCESS_BEHIND:
    case E_THROTTLED:
    case 1038: /* database_locked */
    case 1042: /* commit_proxy_memory_limit_exceeded */
    case 1051: /* batch_transaction_throttled */
    case 1078: /* grv_proxy_memory_limit_exceeded */
    case 1223: /* proxy_tag_throttled */
        return true;
    default:
        return false;
    }
}

int
fdb_error_predicate(int predicate, int code)
{
    bool maybe_committed = code == E_UNKNOWN_RESULT || code == 1039; /* cluster_version_changed */

    switch (predicate) {
    case FDB_IS_RETRYABLE:
        return maybe_committed || is_retryable_not_committed(code);
    case FDB_IS_MAYBE_COMMITTED:
        return maybe_committed;
    case FDB_IS_RETRYABLE_NOT_COMMITTED:
        return is_retryable_not_committed(code);
    default:
        return false;
    }
}
