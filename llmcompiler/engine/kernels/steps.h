// How is one operation of a graph carried out, by several threads?
//
// Threads share no state but what they read; each writes results of its own.

#pragma once

#include "attention.h"
#include "interface.h"
#include "matmul.h"

#include <stdlib.h>

#define SMALL (1 << 16)  // work on fewer bytes than this is not worth a second thread

struct work {
    int threads;
    struct room {
        uint8_t * memory;
        size_t size;
    } rounded, scratch;
};

static void * reserve(struct room * room, size_t size) {
    if (room->size < size) {
        uint8_t * memory = aligned_alloc(64, (size + 63) / 64 * 64);
        if (memory == NULL) {
            return NULL;
        }
        free(room->memory);
        room->memory = memory;
        room->size = size;
    }
    return room->memory;
}

// ---- products -----------------------------------------------------------------------------------

struct product {
    const struct ggml_tensor * weights;
    const struct ggml_tensor * vectors;
    struct ggml_tensor * out;
    int64_t count;  // vectors
    int64_t tiles;
    int32_t * rounded;
    float * plain;
};

static int64_t tile_start(const struct product * p, int64_t tile) {
    return p->count * tile / p->tiles;
}

// Where vector number `index` of a tensor with up to three dimensions of vectors lies.
static char * vector_at(const struct ggml_tensor * tensor, int64_t index) {
    const int64_t one = tensor->ne[1], two = one * tensor->ne[2];
    return (char *) tensor->data + index % one * (int64_t) tensor->nb[1] +
           index % two / one * (int64_t) tensor->nb[2] + index / two * (int64_t) tensor->nb[3];
}

static void round_vectors(const struct product * p, int part, int parts) {
    const int64_t width = p->weights->ne[0], blocks = width / BLOCK;
    for (int64_t tile = 0; tile < p->tiles; tile++) {
        const int64_t start = tile_start(p, tile), count = tile_start(p, tile + 1) - start;
        for (int64_t i = 0; i < count; i++) {
            if ((start + i) % parts != part) {
                continue;
            }
            const char * from = vector_at(p->vectors, start + i);
            if (p->vectors->nb[0] != sizeof(float)) {
                float * plain = p->plain + part * width;
                for (int64_t k = 0; k < width; k++) {
                    memcpy(plain + k, from + k * (int64_t) p->vectors->nb[0], sizeof(float));
                }
                from = (const char *) plain;
            }
            round_vector((const float *) from, p->rounded + start * blocks * VECTOR_WORDS, i, count,
                         blocks);
        }
    }
}

static void multiply_rows(const struct product * p, int part, int parts) {
    const int64_t rows = p->weights->ne[1], blocks = p->weights->ne[0] / BLOCK;
    const int64_t groups = (rows + LANES - 1) / LANES;
    float last[TOKENS][LANES];
    for (int64_t group = groups * part / parts; group < groups * (part + 1) / parts; group++) {
        const uint32_t * numbers = packed_numbers(p->weights->data, group, blocks);
        const uint16_t * factors = packed_factors(p->weights->data, group, rows, blocks);
        const int64_t row = group * LANES, room = rows - row;
        for (int64_t tile = 0; tile < p->tiles; tile++) {
            const int64_t start = tile_start(p, tile), count = tile_start(p, tile + 1) - start;
            const int32_t * vectors = p->rounded + start * blocks * VECTOR_WORDS;
            tiles[count](numbers, factors, vectors, blocks, last[0], LANES);
            for (int64_t t = 0; t < count; t++) {
                float * to = (float *) vector_at(p->out, start + t) + row;
                memcpy(to, last[t], (size_t) (room < LANES ? room : LANES) * sizeof(float));
            }
        }
    }
}

static enum ggml_status multiply_matrix(struct work * work, struct ggml_tensor * out,
                                        const struct ggml_tensor * before) {
    struct product p = {.weights = out->src[0], .vectors = out->src[1], .out = out};
    const int64_t width = p.weights->ne[0], blocks = width / BLOCK;
    p.count = ggml_nrows(p.vectors);
    if (p.count == 0 || p.weights->ne[1] == 0) {
        return GGML_STATUS_SUCCESS;
    }
    p.tiles = (p.count + TOKENS - 1) / TOKENS;
    p.rounded = reserve(&work->rounded, vectors_size(p.count, blocks));
    p.plain = reserve(&work->scratch, (size_t) (work->threads * width) * sizeof(float));
    if (p.rounded == NULL || p.plain == NULL) {
        return GGML_STATUS_ALLOC_FAILED;
    }
    const bool known = before != NULL && before->src[1] == p.vectors;  // rounded a moment ago
    const int parts = packed_size(p.weights->ne[1], blocks) < SMALL ? 1 : work->threads;
    if (parts == 1) {
        if (!known) {
            round_vectors(&p, 0, 1);
        }
        multiply_rows(&p, 0, 1);
        return GGML_STATUS_SUCCESS;
    }
#pragma omp parallel num_threads(parts)
    {
#pragma omp for schedule(static, 1)
        for (int part = 0; part < parts; part++) {
            if (!known) {
                round_vectors(&p, part, parts);
            }
        }
#pragma omp for schedule(static, 1)
        for (int part = 0; part < parts; part++) {
            multiply_rows(&p, part, parts);
        }
    }
    return GGML_STATUS_SUCCESS;
}

// ---- attention ----------------------------------------------------------------------------------

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
    for (int64_t item = a->items * part / parts; item < a->items * (part + 1) / parts; item++) {
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
