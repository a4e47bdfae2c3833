// How is the attention of a pass carried out, by several threads?
//
// Threads share no state but what they read; each writes results of its own.

#pragma once

#include "attention.h"
#include "interface.h"
#include "work.h"

struct attention {
    const struct ggml_tensor * queries;
    const struct ggml_tensor * keys;
    const struct ggml_tensor * values;
    const struct ggml_tensor * mask;
    struct ggml_tensor * out;
    float scale;
    int64_t items;  // tokens x heads that share keys x HEADS of them at a time
    uint8_t * scratch;
    size_t each;  // bytes of scratch for a thread
};

static bool attention_possible(const struct ggml_tensor * op) {
    const struct ggml_tensor * q = op->src[0], * k = op->src[1], * v = op->src[2];
    const struct ggml_tensor * mask = op->src[3];
    float parameters[3];  // scale, bias by distance, soft cap
    memcpy(parameters, op->op_params, sizeof parameters);
    return op->type == GGML_TYPE_F32 && q->type == GGML_TYPE_F32 && k->type == GGML_TYPE_F16 &&
           v->type == GGML_TYPE_F16 && parameters[1] == 0.0f && parameters[2] == 0.0f &&
           op->src[4] == NULL && k->ne[0] % LANES == 0 && v->ne[0] % LANES == 0 &&
           k->ne[0] <= WIDEST && v->ne[0] <= WIDEST && q->nb[0] == sizeof(float) &&
           k->nb[0] == sizeof(uint16_t) && v->nb[0] == sizeof(uint16_t) &&
           op->nb[0] == sizeof(float) && q->ne[2] % k->ne[2] == 0 && k->ne[2] == v->ne[2] &&
           q->ne[3] == k->ne[3] && q->ne[3] == v->ne[3] && k->ne[1] <= INT32_MAX &&
           (mask == NULL || (mask->type == GGML_TYPE_F16 && mask->nb[0] == sizeof(uint16_t) &&
                             mask->ne[0] >= k->ne[1] && mask->ne[1] >= q->ne[1] &&
                             mask->ne[2] == 1 && q->ne[3] % mask->ne[3] == 0));
}

static void attend_items(const struct attention * a, int part, int parts) {
    const int64_t sharing = a->queries->ne[2] / a->keys->ne[2];
    const int64_t tiles = (sharing + HEADS - 1) / HEADS;
    const int64_t per_token = a->keys->ne[2] * tiles;
    const int64_t rows = a->keys->ne[1], key_width = a->keys->ne[0], width = a->values->ne[0];
    const int64_t padded = (rows + LANES - 1) / LANES * LANES;
    float * const queries = (float *) (a->scratch + (size_t) part * a->each);
    float * const out = queries + HEADS * WIDEST;
    struct seen seen = {.bias = out + HEADS * WIDEST};
    seen.rows = (int32_t *) (seen.bias + padded);
    int64_t listed = -1;
    // Later tokens see more rows: of many tokens each part takes some from everywhere.
    const int64_t tokens = a->items / per_token;
    const int64_t slices = tokens >= 8 * parts ? tokens : parts;
    int64_t slice = part;
    for (int64_t item = a->items * slice / slices;; item++) {
        if (item == a->items * (slice + 1) / slices) {
            slice += parts;
            if (slice >= slices) {
                break;
            }
            item = a->items * slice / slices;
        }
        const int64_t token = item / per_token % a->queries->ne[1];
        const int64_t batch = item / per_token / a->queries->ne[1];
        const int64_t shared = item % per_token / tiles;
        const int64_t first = shared * sharing + item % tiles * HEADS;
        const int64_t last = (shared + 1) * sharing;
        const int heads = (int) (last - first < HEADS ? last - first : HEADS);
        if (listed != item / per_token) {
            listed = item / per_token;
            const struct ggml_tensor * m = a->mask;
            list_seen(&seen,
                      m == NULL ? NULL
                                : (const uint16_t *) ((const char *) m->data +
                                                      token * (int64_t) m->nb[1] +
                                                      batch % m->ne[3] * (int64_t) m->nb[3]),
                      rows);
        }
        for (int h = 0; h < heads; h++) {
            const float * from = (const float *) ((const char *) a->queries->data +
                                                  token * (int64_t) a->queries->nb[1] +
                                                  (first + h) * (int64_t) a->queries->nb[2] +
                                                  batch * (int64_t) a->queries->nb[3]);
            for (int64_t k = 0; k < key_width; k++) {
                queries[h * key_width + k] = from[k] * a->scale;
            }
        }
        const struct head_group group = {
            .keys = (const char *) a->keys->data + shared * (int64_t) a->keys->nb[2] +
                    batch * (int64_t) a->keys->nb[3],
            .values = (const char *) a->values->data + shared * (int64_t) a->values->nb[2] +
                      batch * (int64_t) a->values->nb[3],
            .key_stride = a->keys->nb[1],
            .value_stride = a->values->nb[1],
            .key_width = key_width,
            .value_width = width,
            .queries = queries,
            .out = out,
        };
        attends[heads](&group, &seen);
        for (int h = 0; h < heads; h++) {
            memcpy((char *) a->out->data + (first + h) * (int64_t) a->out->nb[1] +
                       token * (int64_t) a->out->nb[2] + batch * (int64_t) a->out->nb[3],
                   out + h * width, (size_t) width * sizeof(float));
        }
    }
}

static enum ggml_status attend_all(struct work * work, struct ggml_tensor * out) {
    struct attention a = {.queries = out->src[0],
                          .keys = out->src[1],
                          .values = out->src[2],
                          .mask = out->src[3],
                          .out = out};
    memcpy(&a.scale, out->op_params, sizeof a.scale);
    const int64_t sharing = a.queries->ne[2] / a.keys->ne[2];
    const int64_t padded = (a.keys->ne[1] + LANES - 1) / LANES * LANES;
    a.items = a.queries->ne[1] * a.queries->ne[3] * a.keys->ne[2] * ((sharing + HEADS - 1) / HEADS);
    a.each = ((size_t) (2 * HEADS * WIDEST + 2 * padded) * sizeof(float) + 63) / 64 * 64;
    a.scratch = reserve(&work->scratch, a.each * (size_t) work->threads);
    if (a.scratch == NULL) {
        return GGML_STATUS_ALLOC_FAILED;
    }
    const int64_t bytes = a.items * a.keys->ne[1] * (int64_t) sizeof(uint16_t) * a.keys->ne[0];
    const int parts = bytes < SMALL ? 1 : work->threads;
    if (parts == 1) {
        attend_items(&a, 0, 1);
        return GGML_STATUS_SUCCESS;
    }
#pragma omp parallel for num_threads(parts) schedule(static, 1)
    for (int part = 0; part < parts; part++) {
        attend_items(&a, part, parts);
    }
    return GGML_STATUS_SUCCESS;
}
