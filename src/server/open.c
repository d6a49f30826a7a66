/* open.c - the collections that are open, by name, shared by all requests.
 *
 * Opening costs a few reads and a handle keeps caches warm, so handles stay open between requests.
 * A name may come to mean something else: dropped and created again, an alias moved. Whoever does
 * that calls hwi_open_forget; the entry leaves the list at once and the last request that uses it
 * closes the handle.
 *
 * A plain list: servers have tens of collections, and one that is used moves to the front.
 */
#include "open.h"

void
hwi_open_init(hwi_open_set *set, hw_db *db)
{
    *set = (hwi_open_set){.db = db};
    pthread_mutex_init(&set->lock, NULL);
}

static void
close_entry(hwi_opened *o)
{
    hw_collection_close(o->collection);
    hwi_free(o);
}

void
hwi_open_release(hwi_open_set *set)
{
    hwi_open_forget(set, NULL);
    pthread_mutex_destroy(&set->lock);
}

/* Finds and moves to the front; the lock is held. */
static hwi_opened *
find(hwi_open_set *set, const char *name)
{
    for (hwi_opened **at = &set->first; *at; at = &(*at)->next) {
        hwi_opened *o = *at;
        if (strcmp(o->name, name) != 0) continue;
        *at = o->next;
        o->next = set->first;
        set->first = o;
        return o;
    }
    return NULL;
}

static hw_status
open_entry(hwi_open_set *set, const char *name, hwi_opened **out, hw_error *err)
{
    hwi_opened *o = hwi_alloc_zero(sizeof *o);
    hw_status st;

    *out = NULL;
    if (o == NULL) return hwi_nomem(err, sizeof *o);
    st = hw_collection_open(set->db, name, &o->collection, err);
    if (st != HW_OK) {
        hwi_free(o);
        return st;
    }
    memcpy(o->name, name, strlen(name) + 1);
    *out = o;
    return HW_OK;
}

hw_status
hwi_open_get(hwi_open_set *set, const char *name, hwi_opened **out, hw_error *err)
{
    hwi_opened *o;
    hw_status st = HW_OK;

    *out = NULL;
    if (strlen(name) > HW_NAME_MAX)
        return hwi_fail(err, HW_ENOTFOUND, "no collection has a name of %zu bytes", strlen(name));
    /* Opening under the lock: two requests that meet at a new name must not both add it. */
    pthread_mutex_lock(&set->lock);
    o = find(set, name);
    if (o == NULL) {
        st = open_entry(set, name, &o, err);
        if (o) {
            o->next = set->first;
            set->first = o;
        }
    }
    if (o) o->users++;
    pthread_mutex_unlock(&set->lock);
    *out = o;
    return st;
}

void
hwi_open_put(hwi_open_set *set, hwi_opened *o)
{
    bool is_last;

    pthread_mutex_lock(&set->lock);
    is_last = --o->users == 0 && o->is_stale;
    pthread_mutex_unlock(&set->lock);
    if (is_last) close_entry(o);
}

void
hwi_open_forget(hwi_open_set *set, const char *name)
{
    hwi_opened *unused = NULL;

    pthread_mutex_lock(&set->lock);
    for (hwi_opened **at = &set->first; *at;) {
        hwi_opened *o = *at;
        if (name && strcmp(o->name, name) != 0) {
            at = &o->next;
            continue;
        }
        *at = o->next;
        o->is_stale = true;
        if (o->users == 0) {
            o->next = unused;
            unused = o;
        }
    }
    pthread_mutex_unlock(&set->lock);
    while (unused) {
        hwi_opened *next = unused->next;
        close_entry(unused);
        unused = next;
    }
}
