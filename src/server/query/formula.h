/* formula.h - a formula between its reader and its evaluation. */
#ifndef HWI_SERVER_FORMULA_H
#define HWI_SERVER_FORMULA_H

#include "server/query/query.h"

#define HWI_FORMULA_NODES_MAX 2048u
#define HWI_FORMULA_CONDITIONS_MAX 64u

typedef enum hwi_op {
    HWI_OP_CONSTANT,
    HWI_OP_SCORE,     /* $score[index] */
    HWI_OP_PAYLOAD,   /* the number at path */
    HWI_OP_CONDITION, /* 1 or 0 */
    HWI_OP_GEO,       /* metres from (lat, lon) to the place at path */
    HWI_OP_DATE,      /* seconds since 1970 of the date at path */
    HWI_OP_MULT,
    HWI_OP_SUM,
    HWI_OP_NEG,
    HWI_OP_ABS,
    HWI_OP_DIV,
    HWI_OP_SQRT,
    HWI_OP_POW,
    HWI_OP_EXP,
    HWI_OP_LOG10,
    HWI_OP_LN,
    HWI_OP_LIN_DECAY,
    HWI_OP_EXP_DECAY,
    HWI_OP_GAUSS_DECAY
} hwi_op;

typedef struct hwi_expr {
    hwi_op op;
    double constant;              /* CONSTANT; decays: lambda; DIV: what division by zero gives */
    bool has_by_zero;             /* DIV */
    size_t index;                 /* SCORE, CONDITION */
    const char *path;             /* PAYLOAD, GEO, DATE */
    const hwi_json *fallback;     /* SCORE, PAYLOAD, GEO, DATE: from the defaults, or NULL */
    double lat, lon;              /* GEO */
    const struct hwi_expr *parts; /* operands; decays: x, then the target if there is one */
    size_t part_count;
} hwi_expr;

typedef struct hwi_condition {
    const char *filter;
    size_t bytes;
} hwi_condition;

struct hwi_formula {
    hwi_expr root;
    hwi_condition conditions[HWI_FORMULA_CONDITIONS_MAX];
    size_t condition_count;
    bool needs_payload;
};

#endif
