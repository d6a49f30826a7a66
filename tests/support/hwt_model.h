/* hwt_model.h - a trained model for tests of the index's parts. */
#ifndef HWT_MODEL_H
#define HWT_MODEL_H

#include "support/hwt_index.h"

#include "index/lsh/page.h"

/* A model trained on all places of a set; kind and bits (0: chosen) as given. */
hwi_model *hwt_model(hwt_set *s, hwi_index_kind kind, uint32_t bits);
/* A place's vector, framed, and its axes coordinates (out_dims floats); both 64-byte aligned. */
void hwt_frame(const hwi_model *m, const hwt_set *s, uint32_t place, float *x, float *y);
/* Aligned floats; free with hwi_free. */
float *hwt_floats(size_t count);

#endif
