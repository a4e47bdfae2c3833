// How is a matrix of 8-bit blocks multiplied by a few vectors?
//
// A row of Q8_0 is blocks of 32 whole numbers from -128 to 127 and a factor of 16 bits. Here LANES
// rows lie interleaved, so that one instruction (vpdpbusd) takes 4 numbers of each row and adds
// their products with 4 numbers of a vector. It wants the first of the two without a sign: rows are
// kept with 128 added, and 128 times the sum of a vector's block is what every sum begins less.
//
// A weight is read from memory once for up to TOKENS vectors. Each product is computed in the same
// order however many vectors there are: a vector's result depends on nothing but itself.

#pragma once

#include "vectors.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BLOCK 32                 // numbers that share a factor
#define WORDS (BLOCK / 4)        // 32-bit words of 4 numbers in a block
#define PLAIN (2 + BLOCK)        // bytes of a block in a file: the factor, then the numbers
#define SIGN 0x80808080u         // turns 4 numbers from -128..127 into 0..255 and back

#if LANES == 16
#define TOKENS 12               // vectors that go together
#else
#define TOKENS 6
#endif

// ---- weights: LANES rows, block by block: numbers first, then factors --------------------------

// What `rows` rows of `blocks` blocks take, in bytes.
static size_t packed_size(int64_t rows, int64_t blocks) {
    const size_t groups = (size_t) ((rows + LANES - 1) / LANES);
    return groups * (size_t) blocks * LANES * PLAIN;
}

static uint32_t * packed_numbers(void * weights, int64_t group, int64_t blocks) {
    return (uint32_t *) weights + group * blocks * LANES * WORDS;
}

static uint16_t * packed_factors(void * weights, int64_t group, int64_t rows, int64_t blocks) {
    const int64_t groups = (rows + LANES - 1) / LANES;
    return (uint16_t *) ((uint32_t *) weights + groups * blocks * LANES * WORDS) +
           group * blocks * LANES;
}

// Take one block of a file to its place, or back.
INLINE void move_block(void * weights, int64_t row, int64_t block, int64_t rows, int64_t blocks,
                       uint8_t * plain, const int pack) {
    const int64_t group = row / LANES, lane = row % LANES;
    uint32_t * numbers = packed_numbers(weights, group, blocks) + block * LANES * WORDS + lane;
    uint16_t * factor = packed_factors(weights, group, rows, blocks) + block * LANES + lane;
    if (pack) {
        memcpy(factor, plain, 2);
    } else {
        memcpy(plain, factor, 2);
    }
    for (int word = 0; word < WORDS; word++) {
        uint32_t four;
        if (pack) {
            memcpy(&four, plain + 2 + 4 * word, 4);
            numbers[word * LANES] = four ^ SIGN;
        } else {
            four = numbers[word * LANES] ^ SIGN;
            memcpy(plain + 2 + 4 * word, &four, 4);
        }
    }
}

// ---- vectors: `count` of them, block by block: factors, first sums, words -----------------------

#define VECTOR_WORDS (2 + WORDS)

static size_t vectors_size(int64_t count, int64_t blocks) {
    return (size_t) (count * blocks) * VECTOR_WORDS * sizeof(int32_t);
}

// Round vector number `index` of `count` to 8 bits; `from` has `blocks` blocks of 32 floats.
static void round_vector(const float * from, int32_t * to, int64_t index, int64_t count,
                         int64_t blocks) {
    const __m256 no_sign = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    to += index;
    for (int64_t block = 0; block < blocks; block++, from += BLOCK, to += VECTOR_WORDS * count) {
        __m256 part[4];
        __m256 high = _mm256_setzero_ps();
        UNROLL for (int i = 0; i < 4; i++) {
            part[i] = _mm256_loadu_ps(from + 8 * i);
            high = _mm256_max_ps(high, _mm256_and_ps(part[i], no_sign));
        }
        __m128 top = _mm_max_ps(_mm256_castps256_ps128(high), _mm256_extractf128_ps(high, 1));
        top = _mm_max_ps(top, _mm_movehl_ps(top, top));
        top = _mm_max_ss(top, _mm_movehdup_ps(top));
        const float largest = _mm_cvtss_f32(top);
        const float factor = half_and_back(largest / 127.0f);
        const __m256 steps = _mm256_set1_ps(largest > 0.0f ? 127.0f / largest : 0.0f);
        __m256i whole[4];
        UNROLL for (int i = 0; i < 4; i++) {
            whole[i] = _mm256_cvtps_epi32(_mm256_mul_ps(part[i], steps));
        }
        __m256i sum = _mm256_add_epi32(_mm256_add_epi32(whole[0], whole[1]),
                                       _mm256_add_epi32(whole[2], whole[3]));
        __m128i half = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
        half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4e));
        half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0xb1));
        const __m256i bytes = _mm256_permutevar8x32_epi32(
            _mm256_packs_epi16(_mm256_packs_epi32(whole[0], whole[1]),
                               _mm256_packs_epi32(whole[2], whole[3])),
            order);
        int32_t words[WORDS];
        _mm256_storeu_si256((__m256i *) words, bytes);
        memcpy(to, &factor, sizeof factor);
        to[count] = -128 * _mm_cvtsi128_si32(half);
        for (int word = 0; word < WORDS; word++) {
            to[(2 + word) * count] = words[word];
        }
    }
}

// ---- products -----------------------------------------------------------------------------------

// LANES rows by `count` vectors; `out` + vector * `stride` takes the LANES results of a vector.
INLINE void multiply_tile(const int count, const uint32_t * numbers, const uint16_t * factors,
                          const int32_t * vectors, int64_t blocks, float * out, size_t stride) {
    floats total[TOKENS];
    UNROLL for (int t = 0; t < count; t++) total[t] = all_floats(0.0f);
    for (int64_t block = 0; block < blocks; block++) {
        ints sum[TOKENS];
        UNROLL for (int t = 0; t < count; t++) sum[t] = all_ints(vectors[count + t]);
        UNROLL for (int word = 0; word < WORDS; word++) {
            const ints rows = load_ints(numbers + word * LANES);
            UNROLL for (int t = 0; t < count; t++) {
                sum[t] = add_products(sum[t], rows, all_ints(vectors[(2 + word) * count + t]));
            }
        }
        const floats factor = load_halves(factors);
        UNROLL for (int t = 0; t < count; t++) {
            float own;
            memcpy(&own, vectors + t, sizeof own);
            total[t] =
                multiply_add(to_floats(sum[t]), multiply(factor, all_floats(own)), total[t]);
        }
        numbers += LANES * WORDS;
        factors += LANES;
        vectors += count * VECTOR_WORDS;
    }
    UNROLL for (int t = 0; t < count; t++) store_floats(out + (size_t) t * stride, total[t]);
}

typedef void (*tile)(const uint32_t *, const uint16_t *, const int32_t *, int64_t, float *, size_t);

#define TILE(count)                                                                            \
    static void tile_##count(const uint32_t * n, const uint16_t * f, const int32_t * v,        \
                             int64_t blocks, float * out, size_t stride) {                     \
        multiply_tile(count, n, f, v, blocks, out, stride);                                    \
    }
TILE(1) TILE(2) TILE(3) TILE(4) TILE(5) TILE(6)
#if TOKENS > 6
TILE(7) TILE(8) TILE(9) TILE(10) TILE(11) TILE(12)
#endif

static const tile tiles[TOKENS + 1] = {
    NULL, tile_1, tile_2, tile_3, tile_4, tile_5, tile_6,
#if TOKENS > 6
    tile_7, tile_8, tile_9, tile_10, tile_11, tile_12,
#endif
};
