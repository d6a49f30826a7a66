/* card.c - what a model wants to be given, from the JSON file beside it (MODEL.onnx.json):
 *
 *     {"media": "image", "layout": "NCHW", "width": 224, "height": 224, "fit": "crop",
 *      "crop_scale": 1.1428, "scale": 1, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
 *
 *     {"media": "sound", "samples": 15600, "sample_scale": 1}
 *
 * Every key is optional. Without a card: a picture as 0 to 1, whole, on white. A key that is not
 * known is refused, since a misspelt one would give vectors that are wrong and look right. */
#include "embed/embed.h"

#include <errno.h>
#include <stdio.h>

#include "base/json.h"

#define CARD_BYTES_MAX 65536u

typedef struct reading {
    const char *path;
    hwi_card *card;
    hw_error *err;
} reading;

static hw_status
wrong(const reading *r, const hwi_json *j, const char *expected)
{
    return hwi_fail(r->err, HW_EINVAL, "%s: %s is not %s", r->path, j->key, expected);
}

static hw_status
choice(const reading *r, const hwi_json *j, const char *const *words, int *out)
{
    for (int i = 0; j->kind == HWI_JSON_TEXT && words[i]; i++) {
        if (strcmp(j->text, words[i]) != 0) continue;
        *out = i;
        return HW_OK;
    }
    char expected[128] = "one of";
    for (int i = 0; words[i]; i++) {
        size_t at = strlen(expected);
        snprintf(expected + at, sizeof expected - at, "%s %s", i ? "," : "", words[i]);
    }
    return wrong(r, j, expected);
}

static hw_status
number(const reading *r, const hwi_json *j, double low, double high, double *out)
{
    char expected[64];
    if (hwi_json_is_number(j) && j->number >= low && j->number <= high) {
        *out = j->number;
        return HW_OK;
    }
    snprintf(expected, sizeof expected, "a number from %g to %g", low, high);
    return wrong(r, j, expected);
}

/* Three numbers, or one for all three colours. */
static hw_status
colours(const reading *r, const hwi_json *j, double low, float *out)
{
    bool list = j->kind == HWI_JSON_ARRAY;
    const hwi_json *v = list ? j->child : j;
    if (list && j->count != 3) return wrong(r, j, "three numbers");
    for (int i = 0; i < 3; i++) {
        if (!hwi_json_is_number(v) || !(v->number >= low) || v->number > 1e6) {
            return wrong(r, j, low > 0 ? "numbers above 0" : "numbers");
        }
        out[i] = (float)v->number;
        if (list) v = v->next;
    }
    return HW_OK;
}

static hw_status
read_key(const reading *r, const hwi_json *j)
{
    static const char *const medias[] = {"image", "sound", NULL};
    static const char *const layouts[] = {"NHWC", "NCHW", NULL};
    static const char *const fits[] = {"letterbox", "crop", "stretch", NULL};
    hwi_card *c = r->card;
    const char *key = j->key;
    double v = 0;
    int chosen = 0;
    hw_status st;
    if (strcmp(key, "media") == 0) {
        st = choice(r, j, medias, &chosen);
        c->media = (hwi_media)chosen;
    } else if (strcmp(key, "layout") == 0) {
        st = choice(r, j, layouts, &chosen);
        c->channels_first = chosen == 1;
        c->layout_is_known = true;
    } else if (strcmp(key, "fit") == 0) {
        st = choice(r, j, fits, &chosen);
        c->fit = (hwi_fit)chosen;
    } else if (strcmp(key, "width") == 0) {
        st = number(r, j, 1, 4096, &v);
        c->width = (uint32_t)v;
    } else if (strcmp(key, "height") == 0) {
        st = number(r, j, 1, 4096, &v);
        c->height = (uint32_t)v;
    } else if (strcmp(key, "crop_scale") == 0) {
        st = number(r, j, 1, 4, &c->crop_scale);
    } else if (strcmp(key, "scale") == 0) {
        st = number(r, j, 1e-6, 1e6, &v);
        c->scale = (float)v;
    } else if (strcmp(key, "mean") == 0) {
        st = colours(r, j, -1e6, c->mean);
    } else if (strcmp(key, "std") == 0) {
        st = colours(r, j, 1e-9, c->deviation);
    } else if (strcmp(key, "samples") == 0) {
        st = number(r, j, 16, 16000 * 600.0, &v);
        c->samples = (uint32_t)v;
    } else if (strcmp(key, "sample_scale") == 0) {
        st = number(r, j, 1e-6, 1e6, &v);
        c->sample_scale = (float)v;
    } else if (strcmp(key, "about") == 0) {
        st = HW_OK; /* for people */
    } else {
        st = hwi_fail(r->err, HW_EINVAL, "%s: unknown key %s", r->path, key);
    }
    return st;
}

static hw_status
read_text(const char *path, char *text, size_t *bytes, hw_error *err)
{
    FILE *f = fopen(path, "rb");
    if (!f) return hwi_fail_errno(err, errno, "cannot open %s", path);
    *bytes = fread(text, 1, CARD_BYTES_MAX + 1, f);
    fclose(f);
    if (*bytes <= CARD_BYTES_MAX) return HW_OK;
    return hwi_fail(err, HW_EINVAL, "%s is above the maximum of %u bytes", path, CARD_BYTES_MAX);
}

hw_status
hwi_card_read(const char *path, hwi_card *out, hw_error *err)
{
    char text[CARD_BYTES_MAX + 1];
    size_t bytes;
    hwi_arena arena = {0};
    const hwi_json *tree;
    *out = (hwi_card){.crop_scale = 1, .scale = 1, .deviation = {1, 1, 1}, .sample_scale = 1};
    if (!path) return HW_OK;
    HWI_TRY(read_text(path, text, &bytes, err));
    hw_status st = hwi_json_parse(text, bytes, &arena, &tree, err);
    if (st != HW_OK) st = hwi_fail_prefix(err, st, "%s", path);
    if (st == HW_OK && tree->kind != HWI_JSON_OBJECT) {
        st = hwi_fail(err, HW_EINVAL, "%s: expected a JSON object", path);
    }
    const reading r = {path, out, err};
    for (const hwi_json *j = st == HW_OK ? tree->child : NULL; st == HW_OK && j; j = j->next) {
        st = read_key(&r, j);
    }
    hwi_arena_release(&arena);
    return st;
}
