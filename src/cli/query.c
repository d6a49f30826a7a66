/* query.c - options into an hw_query. Ranges are checked by the library, which names them. */
#include "query.h"

#include <math.h>

hw_status
cli_query_init(const cli_query_args *a, cli_query *out, hw_error *err)
{
    hw_query *q = &out->query;

    *out = (cli_query){.query = HW_QUERY_INIT};
    if (a->vector && a->id)
        return hwi_fail(err, HW_EINVAL, "--vector and --id are both given, expected one");
    HWI_TRY(cli_vectors_parse(a->vector, &out->vectors, err));
    if (out->vectors.count > 1) {
        cli_query_release(out);
        return hwi_fail(err, HW_EINVAL, "--vector names %zu vectors, a search compares one",
                        out->vectors.count);
    }
    if (out->vectors.count == 1) {
        q->vector = out->vectors.items[0].values;
        q->dim = out->vectors.items[0].dim;
        q->rows = out->vectors.items[0].rows;
        q->indices = out->vectors.items[0].indices;
        q->vector_name = out->vectors.items[0].name;
    }
    if (a->using) q->vector_name = a->using;
    hw_status st = a->id ? hw_id_parse(a->id, strlen(a->id), &out->id, err) : HW_OK;
    if (st == HW_OK)
        st = cli_text_or_file("filter", a->filter, &q->filter, &q->filter_bytes, &out->filter_owned,
                              err);
    if (a->id) q->id = &out->id;
    q->k = a->k;
    q->offset = a->offset;
    q->recall = a->recall;
    q->exact = a->exact;
    q->time_budget_ms = a->budget_ms;
    q->has_score_threshold = !isnan(a->threshold);
    if (q->has_score_threshold) q->score_threshold = (float)a->threshold;
    if (st != HW_OK) cli_query_release(out);
    return st;
}

void
cli_query_release(cli_query *q)
{
    cli_vectors_release(&q->vectors);
    hwi_free(q->filter_owned);
    q->filter_owned = NULL;
}
