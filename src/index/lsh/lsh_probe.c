/* lsh_probe.c - bucket numbers and multi-probe order. */
#include "index/lsh/lsh_probe.h"

uint32_t
hwi_lsh_bucket_number(const hwi_model *m, const float *y, float *scratch)
{
    uint32_t hash = 0;

    hwi_model_hash(m, y, scratch);
    for (uint32_t j = 0; j < m->hash_bits; j++) hash |= (uint32_t)(scratch[j] > 0) << j;
    return hash;
}

void
hwi_lsh_rank(const hwi_tree *t, const hwi_model *m, const float *z, float *scores)
{
    uint32_t own = 0;

    for (uint32_t j = 0; j < m->hash_bits; j++) own |= (uint32_t)(z[j] > 0) << j;
    for (uint32_t p = 0; p < t->leaf_count; p++) {
        float sum = 0;
        for (uint32_t rest = own ^ t->hash[p]; rest; rest &= rest - 1) {
            float margin = z[__builtin_ctz(rest)];
            sum += margin * margin;
        }
        scores[p] = sum;
    }
}
