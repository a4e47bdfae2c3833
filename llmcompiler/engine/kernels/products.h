// How is a product with a packed matrix carried out, or those with the matrices of experts?
//
// Vectors are rounded, then threads share the rows: each writes results of its own.

#pragma once

#include "interface.h"
#include "matmul.h"
#include "weights.h"
#include "work.h"

// `count` vectors by one matrix. Where several matrices have some of the same vectors, each has its
// part of `from`, `to` and `rounded`.
struct product {
    struct packed weights;
    int64_t count;
    const char ** from;
    float ** to;
    int32_t * rounded;
};

struct products {
    int format;
    int64_t blocks;
    size_t stride;  // bytes from number to number of a vector
    int64_t matrices;
    struct product * of;
    bool known;  // the vectors were rounded a moment ago
    float * plain;
};

static int64_t tile_count(const struct product * p) {
    return (p->count + TOKENS - 1) / TOKENS;
}

static int64_t tile_start(const struct product * p, int64_t tile) {
    return p->count * tile / tile_count(p);
}

// `before` counts the vectors of the matrices before: threads take turns over all of them.
static void round_vectors(const struct products * all, const struct product * p, int64_t before,
                          int part, int parts) {
    const int64_t blocks = all->blocks, width = blocks * BLOCK, tiles = tile_count(p);
    for (int64_t tile = 0; tile < tiles; tile++) {
        const int64_t start = tile_start(p, tile), count = tile_start(p, tile + 1) - start;
        for (int64_t i = 0; i < count; i++) {
            if ((before + start + i) % parts != part) {
                continue;
            }
            const char * from = p->from[start + i];
            if (all->stride != sizeof(float)) {
                float * plain = all->plain + part * width;
                for (int64_t k = 0; k < width; k++) {
                    memcpy(plain + k, from + k * (int64_t) all->stride, sizeof(float));
                }
                from = (const char *) plain;
            }
            round_vector(all->format, (const float *) from,
                         p->rounded + start * blocks * VECTOR_WORDS, i, count, blocks);
        }
    }
}

static void multiply_rows(const struct products * all, const struct product * p, int part,
                          int parts) {
    const int64_t rows = p->weights.rows, blocks = all->blocks, tiles_all = tile_count(p);
    const int64_t groups = (rows + LANES - 1) / LANES;
    float last[TOKENS][LANES];
    for (int64_t group = groups * part / parts; group < groups * (part + 1) / parts; group++) {
        const uint8_t * numbers = packed_numbers(&p->weights, group);
        const uint8_t * factors = packed_factors(&p->weights, group);
        const int64_t row = group * LANES, room = rows - row;
        for (int64_t tile = 0; tile < tiles_all; tile++) {
            const int64_t start = tile_start(p, tile), count = tile_start(p, tile + 1) - start;
            const int32_t * vectors = p->rounded + start * blocks * VECTOR_WORDS;
            tiles[all->format][count](numbers, factors, vectors, blocks, last[0], LANES);
            for (int64_t t = 0; t < count; t++) {
                memcpy(p->to[start + t] + row, last[t],
                       (size_t) (room < LANES ? room : LANES) * sizeof(float));
            }
        }
    }
}

static void multiply_all(const struct products * all, int parts) {
#pragma omp parallel num_threads(parts) if (parts > 1)
    {
#pragma omp for schedule(static, 1)
        for (int part = 0; part < parts; part++) {
            int64_t before = 0;
            for (int64_t i = 0; i < all->matrices && !all->known; i++) {
                round_vectors(all, &all->of[i], before, part, parts);
                before += all->of[i].count;
            }
        }
#pragma omp for schedule(static, 1)
        for (int part = 0; part < parts; part++) {
            for (int64_t i = 0; i < all->matrices; i++) {
                multiply_rows(all, &all->of[i], part, parts);
            }
        }
    }
}

// Reserve memory for `count` vectors in all, and for as many matrices. What was rounded a moment ago
// is there still, if the vectors are the same.
static bool prepare(struct work * work, struct products * all, const struct ggml_tensor * out,
                    const struct ggml_tensor * before, int64_t count, struct product * first) {
    const int64_t width = all->blocks * BLOCK;
    uint8_t * places = reserve(&work->places, (size_t) count * (sizeof(char *) + sizeof(float *)));
    first->rounded = reserve(&work->rounded, vectors_size(count, all->blocks));
    all->plain = reserve(&work->scratch, (size_t) (work->threads * width) * sizeof(float));
    first->from = (const char **) places;
    first->to = (float **) (first->from + count);
    all->known = before != NULL && before->op == out->op && before->src[1] == out->src[1] &&
                 before->src[2] == out->src[2] && before->src[0]->type == out->src[0]->type;
    return places != NULL && first->rounded != NULL && all->plain != NULL;
}

// Where vector number `index` of a tensor with up to three dimensions of vectors lies.
static char * vector_at(const struct ggml_tensor * tensor, int64_t index) {
    const int64_t one = tensor->ne[1], two = one * tensor->ne[2];
    return (char *) tensor->data + index % one * (int64_t) tensor->nb[1] +
           index % two / one * (int64_t) tensor->nb[2] + index / two * (int64_t) tensor->nb[3];
}

static enum ggml_status multiply_matrix(struct work * work, struct ggml_tensor * out,
                                        const struct ggml_tensor * before) {
    struct product p = {.weights = packed_of(out->src[0], 0), .count = ggml_nrows(out->src[1])};
    struct products all = {.format = p.weights.format,
                           .blocks = p.weights.blocks,
                           .stride = out->src[1]->nb[0],
                           .matrices = 1,
                           .of = &p};
    if (p.count == 0 || p.weights.rows == 0) {
        return GGML_STATUS_SUCCESS;
    }
    if (!prepare(work, &all, out, before, p.count, &p)) {
        return GGML_STATUS_ALLOC_FAILED;
    }
    for (int64_t i = 0; i < p.count; i++) {
        p.from[i] = vector_at(out->src[1], i);
        p.to[i] = (float *) vector_at(out, i);
    }
    const size_t size = packed_size(p.weights.format, p.weights.rows, p.weights.blocks);
    multiply_all(&all, size < SMALL ? 1 : work->threads);
    return GGML_STATUS_SUCCESS;
}

static const int32_t * expert_at(const struct ggml_tensor * ids, int64_t index) {
    return (const int32_t *) ((const char *) ids->data +
                              index % ids->ne[0] * (int64_t) ids->nb[0] +
                              index / ids->ne[0] * (int64_t) ids->nb[1]);
}

// Each token has a few experts, and each of them a vector of the token's: its own or one for all.
static enum ggml_status multiply_experts(struct work * work, struct ggml_tensor * out,
                                         const struct ggml_tensor * before) {
    const struct ggml_tensor * weights = out->src[0], * vectors = out->src[1], * ids = out->src[2];
    const int64_t experts = weights->ne[2], each = ids->ne[0], tokens = ids->ne[1];
    const int64_t count = each * tokens;
    struct products all = {.format = format_of(weights),
                           .blocks = weights->ne[0] / BLOCK,
                           .stride = vectors->nb[0]};
    struct product first = {.count = 0};
    if (count == 0 || weights->ne[1] == 0) {
        return GGML_STATUS_SUCCESS;
    }
    all.of = reserve(&work->matrices, (size_t) (experts + 1) * sizeof(struct product));
    if (all.of == NULL || !prepare(work, &all, out, before, count, &first)) {
        return GGML_STATUS_ALLOC_FAILED;
    }
    for (int64_t i = 0; i < experts; i++) all.of[i].count = 0;
    for (int64_t i = 0; i < count; i++) {
        const int32_t expert = *expert_at(ids, i);
        if (expert < 0 || expert >= experts) {
            return GGML_STATUS_FAILED;
        }
        all.of[expert].count++;
    }
    int64_t start = 0;
    for (int64_t i = 0; i < experts; i++) {
        struct product * p = &all.of[i];
        p->weights = packed_of(weights, i);
        p->from = first.from + start;
        p->to = first.to + start;
        p->rounded = first.rounded + start * all.blocks * VECTOR_WORDS;
        start += p->count;
        p->count = 0;
    }
    for (int64_t i = 0; i < count; i++) {
        struct product * p = &all.of[*expert_at(ids, i)];
        const int64_t use = i % each, token = i / each;
        p->from[p->count] = (const char *) vectors->data +
                            use % vectors->ne[1] * (int64_t) vectors->nb[1] +
                            token * (int64_t) vectors->nb[2];
        p->to[p->count++] = (float *) ((char *) out->data + use * (int64_t) out->nb[1] +
                                       token * (int64_t) out->nb[2]);
    }
    for (int64_t i = 0; i < experts; i++) {
        if (all.of[i].count > 0) {
            all.of[all.matrices++] = all.of[i];
        }
    }
    const size_t size = packed_size(all.format, weights->ne[1], all.blocks);
    multiply_all(&all, size * (size_t) all.matrices < SMALL ? 1 : work->threads);
    return GGML_STATUS_SUCCESS;
}
