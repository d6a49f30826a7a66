/* hold.c - what a reading call reads: the newest view of the collection, or one that is held.
 *
 * Reading functions take a view for the time of one call. Who needs several calls to see the same,
 * or has an end set to all of them, holds a handle: it has one view for as long as it is open, as a
 * copy of its own, since views are shared by everybody and deadlines are not. The copy borrows all
 * that the view points to.
 *
 * Road not taken: a deadline as an argument of every reading function, nine of them. */
#include "api/api.h"

hw_status
hwi_reading_begin(hw_collection *c, hwi_view **out, hw_error *err)
{
    if (!c->hold) return hwi_views_current(c->shared->views, out, err);
    *out = &c->hold->own;
    return hwi_stop_check(&c->hold->stop, err);
}

void
hwi_reading_end(hw_collection *c, hwi_view *view)
{
    if (view && !c->hold) hwi_view_release(c->shared->views, view);
}

#define READINGS_MAX 4u

bool
hwi_reading_again(const hw_collection *c, hw_status st, uint32_t *attempt)
{
    return st == HW_ECONFLICT && !c->hold && ++*attempt < READINGS_MAX;
}

void
hwi_hold_release(hw_collection *c)
{
    if (!c->hold) return;
    hwi_view_release(c->shared->views, c->hold->view);
    hwi_free(c->hold);
}

static hw_status
hold(hw_collection *c, uint64_t deadline_ms, const hw_cancel *cancel, hw_error *err)
{
    hwi_hold *h = hwi_alloc_zero(sizeof *h);
    if (!h) return hwi_nomem(err, sizeof *h);
    hw_status st = hwi_views_current(c->shared->views, &h->view, err);
    if (st != HW_OK) {
        hwi_free(h);
        return st;
    }
    h->stop =
        (hwi_stop){.cancel = cancel ? &cancel->is_set : NULL, .deadline_us = deadline_ms * 1000};
    h->own = *h->view;
    h->own.stop = &h->stop;
    c->hold = h;
    return HW_OK;
}

hw_status
hw_collection_hold(hw_collection *c, uint64_t deadline_ms, hw_cancel *cancel, hw_collection **out,
                   hw_error *err)
{
    *out = NULL;
    HWI_NOT_FAR(c, "holding a snapshot");
    hw_collection *held = hwi_alloc_zero(sizeof *held);
    if (!held) return hwi_nomem(err, sizeof *held);
    held->db = c->db;
    hw_status st = hwi_shared_take(c->db, c->shared->coll, c->shared->name, &held->shared, err);
    if (st == HW_OK) st = hold(held, deadline_ms, cancel, err);
    if (st != HW_OK) {
        hw_collection_close(held);
        return st;
    }
    *out = held;
    return HW_OK;
}
