/* model_build.h - the steps of making a model, shared by training (lsh_train.c) and decoding
 * (model.c). */
#ifndef HWI_MODEL_BUILD_H
#define HWI_MODEL_BUILD_H

#include "index/lsh/model.h"

/* A model with room for mean and axes, to be filled by the caller. */
HW_CHECKED hw_status hwi_model_new(const hwi_field *field, uint32_t generation, uint32_t dc,
                                   uint32_t bits, hwi_model **out, hw_error *err);
/* Everything that follows from mean, axes and seed. Once, when those are final. */
HW_CHECKED hw_status hwi_model_derive(hwi_model *m, hw_error *err);
bool hwi_model_has_mean(hwi_metric metric);

#endif
