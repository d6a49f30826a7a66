/* pix_order.h - the points of an ordered index one after the other, and what their values are
 * called: for hw_collection_ordered.
 */
#ifndef HWI_PIX_ORDER_H
#define HWI_PIX_ORDER_H

#include "payload/pix.h"

/* One value of one slot. False ends the walk. */
typedef bool (*hwi_pix_order_fn)(void *arg, uint64_t code, uint32_t slot);

/* Every (code, slot) from `start` on, upwards or downwards by code; slots that share a code come in
 * any order, but next to each other. field is of type integer, float or datetime. HW_ECORRUPT. */
HW_CHECKED hw_status hwi_pix_order_walk(hw_store_txn *txn, uint32_t coll,
                                        const hwi_pix_field *field, uint64_t start, bool downwards,
                                        hwi_pix_order_fn fn, void *arg, hw_error *err);

/* Whether an index of this type puts points in order. */
bool hwi_pix_has_order(hwi_pix_type type);

/* The code at which a walk begins: text is NULL (the very first), a JSON number, or, for datetime,
 * a date, bare or as a JSON string, or microseconds. *none: no value can come. HW_EINVAL. */
HW_CHECKED hw_status hwi_pix_order_start(hwi_pix_type type, const char *text, bool downwards,
                                         uint64_t *code, bool *none, hw_error *err);

/* Appends a code's value as a JSON number; of a date its microseconds since 1970. */
void hwi_pix_order_value(hwi_pix_type type, uint64_t code, hwi_buf *out);

#endif
