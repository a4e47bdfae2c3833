// How does one token attend to the tokens before it?
//
// Keys and values are numbers of 16 bits, a row each. Of a step's many tokens each may see others
// (streams share a beginning and no more), so every token goes through the rows that it sees and no
// others; the heads that share a row do so together. Scores, weights and sums are 32-bit, and what
// comes out for a token depends on nothing but its own rows and their order.

#pragma once

#include "vectors.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#define HEADS (LANES / 4)  // heads that go together
#define KEYS 512           // rows that go together, a multiple of LANES
#define WIDEST 512         // numbers of a row, at most

struct seen {
    int64_t count;
    int32_t * rows;  // which rows, in their order
    float * bias;    // what is added to each score, and -inf behind the last up to whole LANES
};

struct head_group {
    const char * keys;
    const char * values;
    size_t key_stride, value_stride;  // bytes from row to row
    int64_t key_width, value_width;   // numbers of a row
    const float * queries;            // [heads][key_width], scaled
    float * out;                      // [heads][value_width]
};

// List the rows that a token sees: those whose mask is not -inf. No mask: all of them.
static void list_seen(struct seen * seen, const uint16_t * mask, int64_t rows) {
    int64_t count = 0;
    for (int64_t row = 0; row < rows; row++) {
        const uint16_t half = mask != NULL ? mask[row] : 0;
        if (half != 0xfc00) {
            seen->rows[count] = (int32_t) row;
            seen->bias[count++] = half == 0 ? 0.0f : half_to_float(half);
        }
    }
    seen->count = count;
    for (int64_t i = count; i < (count + LANES - 1) / LANES * LANES; i++) {
        seen->bias[i] = -INFINITY;
    }
}

// Scores of LANES rows for each head.
INLINE void score_rows(const int heads, const struct head_group * g, const char * const * rows,
                       floats * scores) {
    floats quarter[LANES / 4][HEADS];
    UNROLL for (int four = 0; four < LANES / 4; four++) {
        floats sum[HEADS][4];
        UNROLL for (int h = 0; h < heads; h++) {
            UNROLL for (int i = 0; i < 4; i++) sum[h][i] = all_floats(0.0f);
        }
        for (int64_t k = 0; k < g->key_width; k += LANES) {
            floats key[4];
            UNROLL for (int i = 0; i < 4; i++) {
                key[i] = load_halves((const uint16_t *) rows[4 * four + i] + k);
            }
            UNROLL for (int h = 0; h < heads; h++) {
                const floats query = load_floats(g->queries + h * g->key_width + k);
                UNROLL for (int i = 0; i < 4; i++) {
                    sum[h][i] = multiply_add(key[i], query, sum[h][i]);
                }
            }
        }
        UNROLL for (int h = 0; h < heads; h++) quarter[four][h] = add_across_four(sum[h]);
    }
    UNROLL for (int h = 0; h < heads; h++) {
        floats part[LANES / 4];
        UNROLL for (int four = 0; four < LANES / 4; four++) part[four] = quarter[four][h];
        scores[h] = add_across_parts(part);
    }
}

// Add `count` rows of values, each times its weight, to what `out` holds times `keep`.
INLINE void add_values(const int heads, const int parts, const struct head_group * g,
                       const int32_t * rows, int64_t count, const float (*weights)[KEYS],
                       const float * keep, int64_t at) {
    floats sum[HEADS][4];
    UNROLL for (int h = 0; h < heads; h++) {
        UNROLL for (int i = 0; i < parts; i++) {
            sum[h][i] = multiply(load_floats(g->out + h * g->value_width + at + i * LANES),
                                 all_floats(keep[h]));
        }
    }
    for (int64_t row = 0; row < count; row++) {
        const uint16_t * from = (const uint16_t *) (g->values + rows[row] * g->value_stride) + at;
        floats value[4];
        UNROLL for (int i = 0; i < parts; i++) value[i] = load_halves(from + i * LANES);
        UNROLL for (int h = 0; h < heads; h++) {
            const floats weight = all_floats(weights[h][row]);
            UNROLL for (int i = 0; i < parts; i++) {
                sum[h][i] = multiply_add(value[i], weight, sum[h][i]);
            }
        }
    }
    UNROLL for (int h = 0; h < heads; h++) {
        UNROLL for (int i = 0; i < parts; i++) {
            store_floats(g->out + h * g->value_width + at + i * LANES, sum[h][i]);
        }
    }
}

INLINE void attend(const int heads, const struct head_group * g, const struct seen * seen) {
    float weights[HEADS][KEYS] __attribute__((aligned(64)));
    float highest[HEADS], total[HEADS], keep[HEADS];
    for (int h = 0; h < heads; h++) {
        highest[h] = -INFINITY;
        total[h] = 0.0f;
    }
    memset(g->out, 0, (size_t) (heads * g->value_width) * sizeof(float));
    for (int64_t start = 0; start < seen->count; start += KEYS) {
        const int64_t count = seen->count - start < KEYS ? seen->count - start : KEYS;
        const int32_t * rows = seen->rows + start;
        floats most[HEADS];
        UNROLL for (int h = 0; h < heads; h++) most[h] = all_floats(-INFINITY);
        for (int64_t at = 0; at < count; at += LANES) {
            const char * keys[LANES];
            for (int i = 0; i < LANES; i++) {
                const int64_t row = at + i < count ? at + i : count - 1;
                keys[i] = g->keys + rows[row] * g->key_stride;
            }
            floats scores[HEADS];
            score_rows(heads, g, keys, scores);
            const floats bias = load_floats(seen->bias + start + at);
            UNROLL for (int h = 0; h < heads; h++) {
                const floats score = add(scores[h], bias);
                most[h] = larger(most[h], score);
                store_floats(weights[h] + at, score);
            }
        }
        for (int h = 0; h < heads; h++) {
            const float top = largest_of(most[h]);
            const float now = top > highest[h] ? top : highest[h];
            keep[h] = highest[h] == now ? 1.0f : expf(highest[h] - now);
            highest[h] = now;
            floats sum = all_floats(0.0f);
            for (int64_t at = 0; at < count; at += LANES) {
                const floats weight =
                    exponential(subtract(load_floats(weights[h] + at), all_floats(now)));
                sum = add(sum, weight);
                store_floats(weights[h] + at, weight);
            }
            total[h] = total[h] * keep[h] + sum_of(sum);
        }
        int64_t at = 0;
        for (; at + 4 * LANES <= g->value_width; at += 4 * LANES) {
            add_values(heads, 4, g, rows, count, (const float (*)[KEYS]) weights, keep, at);
        }
        for (; at < g->value_width; at += LANES) {
            add_values(heads, 1, g, rows, count, (const float (*)[KEYS]) weights, keep, at);
        }
    }
    for (int h = 0; h < heads; h++) {
        const floats part = all_floats(total[h] > 0.0f ? 1.0f / total[h] : 0.0f);
        for (int64_t at = 0; at < g->value_width; at += LANES) {
            float * to = g->out + h * g->value_width + at;
            store_floats(to, multiply(load_floats(to), part));
        }
    }
}

static void attend_1(const struct head_group * g, const struct seen * s) { attend(1, g, s); }
static void attend_2(const struct head_group * g, const struct seen * s) { attend(2, g, s); }
#if HEADS > 2
static void attend_3(const struct head_group * g, const struct seen * s) { attend(3, g, s); }
static void attend_4(const struct head_group * g, const struct seen * s) { attend(4, g, s); }
#endif

static void (*const attends[HEADS + 1])(const struct head_group *, const struct seen *) = {
    NULL, attend_1, attend_2,
#if HEADS > 2
    attend_3, attend_4,
#endif
};
