/* feed.c - joins vectors with what lies beside them.
 *
 *     train-images.gz   row 0   row 1   row 2 ...
 *     --ids             a-17    a-18    a-19
 *     --payload         {...}   {...}   {...}
 *     --labels          9       0       0        -> {"label": 9, "name": "Ankle boot"}
 *
 * Row by row in step; a file beside that ends too early, or says more than there are rows, is an
 * error, since then nothing after the slip would belong together.
 */
#include "feed.h"

#define LABEL_NAMES_MAX 4096u
#define BATCH_ROWS 4096u

struct cli_feed {
    cli_feed_opts opts;
    size_t file_at; /* index of the open file */
    hwi_reader *reader;
    hwi_lines *ids, *payloads;
    hwi_reader *labels;
    uint64_t total;       /* 0: unknown */
    uint64_t row_at;      /* over all files */
    uint64_t batch_first; /* number in its file of the first row of the last batch */

    hwi_row *rows;
    hw_vector *vectors;
    size_t room;
    hwi_arena arena;
    char *label_text; /* the names, NUL-terminated each */
    const char *label_names[LABEL_NAMES_MAX];
    size_t label_count;
};

static hw_status
fail_no_more(const cli_feed *feed, const char *path, hw_error *err)
{
    return hwi_fail(err, HW_EINVAL, "%s has %llu rows, fewer than there are vectors", path,
                    (unsigned long long)feed->row_at);
}

/* ---- opening */

static void
split_names(cli_feed *feed)
{
    size_t bytes = strlen(feed->opts.label_names) + 1;
    char *at = hwi_alloc(bytes);

    cli_need(at != NULL);
    memcpy(at, feed->opts.label_names, bytes);
    feed->label_text = at;
    while (at && feed->label_count < LABEL_NAMES_MAX) {
        feed->label_names[feed->label_count++] = at;
        at = strchr(at, ',');
        if (at) *at++ = 0;
    }
}

static hw_status
count_rows(cli_feed *feed, hw_error *err)
{
    bool known = true;

    for (size_t i = 0; i < feed->opts.files->count; i++) {
        hwi_reader *r;
        const hwi_reader_info *info;

        if (strcmp(feed->opts.files->items[i], "-") == 0) { /* can be read once only */
            known = false;
            continue;
        }
        HWI_TRY(hwi_reader_open(feed->opts.files->items[i], feed->opts.format, &r, err));
        info = hwi_reader_about(r);
        if (info->rows == HWI_ROWS_UNKNOWN)
            known = false;
        else
            feed->total += info->rows;
        hwi_reader_close(r);
    }
    if (!known) feed->total = 0;
    if (feed->opts.limit)
        feed->total = known ? HWI_MIN(feed->total, feed->opts.limit) : feed->opts.limit;
    return HW_OK;
}

static hw_status
open_beside(cli_feed *feed, hw_error *err)
{
    const cli_feed_opts *o = &feed->opts;

    if (o->ids) HWI_TRY(hwi_lines_open(o->ids, &feed->ids, err));
    if (o->payload) HWI_TRY(hwi_lines_open(o->payload, &feed->payloads, err));
    if (o->labels) HWI_TRY(hwi_reader_open(o->labels, NULL, &feed->labels, err));
    if (feed->labels && hwi_reader_about(feed->labels)->dim != 1)
        return hwi_fail(err, HW_EINVAL, "%s has rows of %u numbers, expected one label a row",
                        o->labels, hwi_reader_about(feed->labels)->dim);
    return HW_OK;
}

hw_status
cli_feed_open(const cli_feed_opts *opts, cli_feed **out, hw_error *err)
{
    cli_feed *feed = hwi_alloc_zero(sizeof *feed);
    hw_status st;

    *out = NULL;
    cli_need(feed != NULL);
    feed->opts = *opts;
    if (opts->label_names) split_names(feed);
    st = count_rows(feed, err);
    if (st == HW_OK) st = open_beside(feed, err);
    if (st == HW_OK) st = hwi_reader_open(opts->files->items[0], opts->format, &feed->reader, err);
    if (st != HW_OK) {
        cli_feed_close(feed);
        return st;
    }
    *out = feed;
    return HW_OK;
}

void
cli_feed_close(cli_feed *feed)
{
    if (feed == NULL) return;
    hwi_reader_close(feed->reader);
    hwi_reader_close(feed->labels);
    hwi_lines_close(feed->ids);
    hwi_lines_close(feed->payloads);
    hwi_arena_release(&feed->arena);
    hwi_free(feed->rows);
    hwi_free(feed->vectors);
    hwi_free(feed->label_text);
    hwi_free(feed);
}

uint64_t
cli_feed_total(const cli_feed *feed)
{
    return feed->total;
}

/* ---- one row */

static hw_status
add_id(cli_feed *feed, hwi_row *row, hw_error *err)
{
    const char *line, *copy;
    size_t bytes;

    if (feed->ids) {
        HWI_TRY(hwi_lines_next(feed->ids, &line, &bytes, err));
        if (line == NULL) return fail_no_more(feed, feed->opts.ids, err);
        copy = hwi_arena_text(&feed->arena, line, bytes);
        cli_need(copy != NULL);
        hw_status st = hw_id_parse(copy, bytes, &row->id, err);
        if (st != HW_OK)
            return hwi_fail_prefix(err, st, "%s: line %llu", feed->opts.ids,
                                   (unsigned long long)hwi_lines_at(feed->ids));
    } else if (!row->has_id) {
        row->id = HW_ID_U64(feed->opts.first_id + feed->row_at);
    }
    row->has_id = true;
    return HW_OK;
}

static void
set_payload(cli_feed *feed, hwi_row *row, const char *text, size_t bytes)
{
    row->payload = hwi_arena_text(&feed->arena, text, bytes);
    row->payload_bytes = bytes;
    cli_need(row->payload != NULL);
}

static hw_status
add_payload(cli_feed *feed, hwi_row *row, hw_error *err)
{
    const char *line;
    size_t bytes;

    if (feed->payloads == NULL) return HW_OK;
    HWI_TRY(hwi_lines_next(feed->payloads, &line, &bytes, err));
    if (line == NULL) return fail_no_more(feed, feed->opts.payload, err);
    row->payload = NULL;
    row->payload_bytes = 0;
    if (bytes > 0 && strcmp(line, "null") != 0) set_payload(feed, row, line, bytes);
    return HW_OK;
}

static hw_status
add_label(cli_feed *feed, hwi_row *row, hw_error *err)
{
    hwi_buf b = {0};
    int64_t label;
    size_t count;

    if (feed->labels == NULL) return HW_OK;
    HWI_TRY(hwi_reader_next_ints(feed->labels, &label, 1, &count, err));
    if (count == 0) return fail_no_more(feed, feed->opts.labels, err);
    if (row->payload)
        return hwi_fail(err, HW_EINVAL,
                        "the rows have payloads of their own, --labels cannot join them");
    hwi_buf_printf(&b, "{\"label\":%lld", (long long)label);
    if (label >= 0 && (uint64_t)label < feed->label_count) {
        hwi_buf_text(&b, ",\"name\":");
        hwi_json_write_text(&b, feed->label_names[label], strlen(feed->label_names[label]));
    }
    hwi_buf_text(&b, "}");
    cli_need(!b.failed);
    set_payload(feed, row, (const char *)b.data, b.size);
    hwi_buf_release(&b);
    return HW_OK;
}

static hw_status
dress_row(cli_feed *feed, size_t i, const hwi_row *from, hw_error *err)
{
    hwi_row *row = &feed->rows[i];

    *row = *from;
    HWI_TRY(add_id(feed, row, err));
    HWI_TRY(add_payload(feed, row, err));
    HWI_TRY(add_label(feed, row, err));
    if (feed->opts.using && row->vector_count == 1 && row->vectors[0].name == NULL) {
        feed->vectors[i] = row->vectors[0];
        feed->vectors[i].name = feed->opts.using;
        row->vectors = &feed->vectors[i];
    }
    feed->row_at++;
    return HW_OK;
}

/* ---- batches */

static void
need_room(cli_feed *feed, size_t count)
{
    if (count <= feed->room) return;
    feed->rows = hwi_realloc(feed->rows, count * sizeof *feed->rows);
    feed->vectors = hwi_realloc(feed->vectors, count * sizeof *feed->vectors);
    cli_need(feed->rows && feed->vectors);
    feed->room = count;
}

/* Nothing may be left in the files beside once the vectors have ended. */
static hw_status
check_ended(cli_feed *feed, hw_error *err)
{
    const char *line = NULL;
    int64_t label;
    size_t n, count = 0;

    if (feed->opts.limit) return HW_OK;
    if (feed->ids) HWI_TRY(hwi_lines_next(feed->ids, &line, &n, err));
    if (line)
        return hwi_fail(err, HW_EINVAL, "%s has more lines than there are vectors", feed->opts.ids);
    if (feed->payloads) HWI_TRY(hwi_lines_next(feed->payloads, &line, &n, err));
    if (line)
        return hwi_fail(err, HW_EINVAL, "%s has more lines than there are vectors",
                        feed->opts.payload);
    if (feed->labels) HWI_TRY(hwi_reader_next_ints(feed->labels, &label, 1, &count, err));
    if (count)
        return hwi_fail(err, HW_EINVAL, "%s has more rows than there are vectors",
                        feed->opts.labels);
    return HW_OK;
}

static hw_status
next_file(cli_feed *feed, bool *more, hw_error *err)
{
    *more = feed->file_at + 1 < feed->opts.files->count;
    if (!*more) return check_ended(feed, err);
    hwi_reader_close(feed->reader);
    feed->reader = NULL;
    feed->file_at++;
    return hwi_reader_open(feed->opts.files->items[feed->file_at], feed->opts.format, &feed->reader,
                           err);
}

hw_status
cli_feed_next(cli_feed *feed, const hwi_row **rows, size_t *count, hw_error *err)
{
    uint64_t left = feed->opts.limit ? feed->opts.limit - feed->row_at : UINT64_MAX;
    hwi_rows batch = {0};
    bool more = true;

    *count = 0;
    hwi_arena_release(&feed->arena);
    while (left > 0 && more) {
        feed->batch_first = hwi_reader_row(feed->reader);
        HWI_TRY(hwi_reader_next(feed->reader, (size_t)HWI_MIN(left, BATCH_ROWS), &batch, err));
        if (batch.count > 0) break;
        HWI_TRY(next_file(feed, &more, err));
    }
    need_room(feed, batch.count);
    for (size_t i = 0; i < batch.count; i++) HWI_TRY(dress_row(feed, i, &batch.rows[i], err));
    *rows = feed->rows;
    *count = batch.count;
    return HW_OK;
}

const char *
cli_feed_place(const cli_feed *feed, size_t i, char *out, size_t room)
{
    snprintf(out, room, "%s: row %llu", feed->opts.files->items[feed->file_at],
             (unsigned long long)(feed->batch_first + i));
    return out;
}
