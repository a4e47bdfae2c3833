// How is a matrix of small whole numbers multiplied by a few vectors?
//
// One instruction (vpdpbusd) takes 4 numbers of each of LANES rows and adds their products with 4
// numbers of a vector, rounded to 8 bits with a factor for each 32. It wants the first of the two
// without a sign: what that adds is what every sum begins less.
//
// A weight is read from memory once for up to TOKENS vectors. Each product is computed in the same
// order however many vectors there are: a vector's result depends on nothing but itself.

#pragma once

#include "formats.h"

#if LANES == 16
#define TOKENS 12  // vectors that go together
#else
#define TOKENS 6
#endif
#define AHEAD 12288  // bytes of weights that are on their way from memory: without, it is waited for

// ---- vectors: `count` of them, block by block: factors, two starts, words -------------------------

#define VECTOR_WORDS (3 + WORDS)

static size_t vectors_size(int64_t count, int64_t blocks) {
    return (size_t) (count * blocks) * VECTOR_WORDS * sizeof(int32_t);
}

INLINE int32_t sum_of_ints(__m256i value) {
    __m128i half = _mm_add_epi32(_mm256_castsi256_si128(value), _mm256_extracti128_si256(value, 1));
    half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(half, _mm_shuffle_epi32(half, 0xb1)));
}

// As the processor computes it: where a vector holds no numbers any more, nothing is worth anything.
INLINE int32_t wrapped(int64_t value) {
    return (int32_t) (uint32_t) (uint64_t) value;
}

// Round vector number `index` of `count` to 8 bits, for a matrix of this format; `from` has `blocks`
// blocks of 32 floats. The starts are what sums begin with: one for 32 numbers, or one for 16 each
// (Q6_K); or the vector's own sum, which `less` is multiplied with (Q4_K, Q5_K).
static void round_vector(const int format, const float * from, int32_t * to, int64_t index,
                         int64_t count, int64_t blocks) {
    const __m256 no_sign = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    const int zero = layouts[format].zero;
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
        const int64_t first = sum_of_ints(_mm256_add_epi32(whole[0], whole[1]));
        const int64_t second = sum_of_ints(_mm256_add_epi32(whole[2], whole[3]));
        const __m256i bytes = _mm256_permutevar8x32_epi32(
            _mm256_packs_epi16(_mm256_packs_epi32(whole[0], whole[1]),
                               _mm256_packs_epi32(whole[2], whole[3])),
            order);
        int32_t words[WORDS];
        _mm256_storeu_si256((__m256i *) words, bytes);
        memcpy(to, &factor, sizeof factor);
        if (format == Q4_K || format == Q5_K) {
            const float sum = factor * (float) (first + second);
            memcpy(to + count, &sum, sizeof sum);
        } else if (format == Q6_K) {
            to[count] = wrapped(-zero * first);
            to[2 * count] = wrapped(-zero * second);
        } else {
            to[count] = wrapped(-zero * (first + second));
        }
        for (int word = 0; word < WORDS; word++) {
            to[(3 + word) * count] = words[word];
        }
    }
}

// ---- products -------------------------------------------------------------------------------------

// Word number `word` of a block: 4 numbers of each row, a byte each.
INLINE ints unpack(const int format, const uint8_t * numbers, const int word) {
    if (format == Q8_0) {
        return load_ints(numbers + word * LANES * 4);
    }
    const ints pair = load_ints(numbers + word % 4 * LANES * 4);
    const ints low = bits_of(word < 4 ? pair : shift_right(pair, 4), 0x0f);
    if (format == Q5_K) {
        const ints high = load_ints(numbers + 4 * LANES * 4);
        return either(low,
                      bits_of(word < 4 ? shift_left(high, 4 - word) : shift_right(high, word - 4),
                              0x10));
    }
    if (format == Q6_K) {
        const ints high = load_ints(numbers + (4 + word / 4) * LANES * 4);
        return either(low, bits_of(word % 4 < 2 ? shift_left(high, 4 - word % 4 * 2)
                                                : shift_right(high, word % 4 * 2 - 4),
                                   0x30));
    }
    return low;
}

// LANES rows by `count` vectors; `out` + vector * `stride` takes the LANES results of a vector.
INLINE void multiply_tile(const int format, const int count, const uint8_t * numbers,
                          const uint8_t * factors, const int32_t * vectors, int64_t blocks,
                          float * out, size_t stride) {
    const struct layout l = layouts[format];
    const int parts = format == Q6_K ? 2 : 1;
    floats total[TOKENS];
    UNROLL for (int t = 0; t < count; t++) total[t] = all_floats(0.0f);
    for (int64_t piece = 0; piece < blocks; piece += l.blocks) {
        const floats d = load_halves((const uint16_t *) factors);
        const uint8_t * scales = factors + LANES * (format == Q6_K ? 2 : 4);
        for (int block = 0; block < l.blocks; block++) {
            UNROLL for (int at = 0; at < l.vectors * LANES * 4; at += 64) fetch(numbers, AHEAD + at);
            UNROLL for (int part = 0; part < parts; part++) {
                ints sum[TOKENS];
                UNROLL for (int t = 0; t < count; t++) {
                    sum[t] = all_ints(l.zero > 0 ? vectors[(1 + part) * count + t] : 0);
                }
                UNROLL for (int i = 0; i < WORDS / parts; i++) {
                    const int word = part * (WORDS / parts) + i;
                    const ints rows = unpack(format, numbers, word);
                    UNROLL for (int t = 0; t < count; t++) {
                        sum[t] =
                            add_products(sum[t], rows, all_ints(vectors[(3 + word) * count + t]));
                    }
                }
                floats factor = d;
                if (format == Q4_K || format == Q5_K) {
                    factor = multiply(d, load_unsigned(scales + block * LANES));
                } else if (format == Q6_K) {
                    factor = multiply(d, load_signed(scales + (2 * block + part) * LANES));
                }
                UNROLL for (int t = 0; t < count; t++) {
                    const floats own = all_floats(float_of(vectors + t));
                    total[t] = multiply_add(to_floats(sum[t]), multiply(factor, own), total[t]);
                }
            }
            if (format == Q4_K || format == Q5_K) {
                const floats least = multiply(load_halves((const uint16_t *) factors + LANES),
                                              load_unsigned(scales + (8 + block) * LANES));
                UNROLL for (int t = 0; t < count; t++) {
                    const floats sum = all_floats(float_of(vectors + count + t));
                    total[t] = subtract_product(least, sum, total[t]);
                }
            }
            numbers += l.vectors * LANES * 4;
            vectors += count * VECTOR_WORDS;
        }
        factors += l.factors * LANES;
    }
    UNROLL for (int t = 0; t < count; t++) store_floats(out + (size_t) t * stride, total[t]);
}

typedef void (*tile)(const uint8_t *, const uint8_t *, const int32_t *, int64_t, float *, size_t);

#define TILE(format, count)                                                                     \
    static void format##_tile_##count(const uint8_t * n, const uint8_t * f, const int32_t * v,  \
                                      int64_t blocks, float * out, size_t stride) {             \
        multiply_tile(format, count, n, f, v, blocks, out, stride);                             \
    }
#if TOKENS > 6
#define EACH(what, format)                                                                      \
    what(format, 1) what(format, 2) what(format, 3) what(format, 4) what(format, 5)             \
        what(format, 6) what(format, 7) what(format, 8) what(format, 9) what(format, 10)        \
            what(format, 11) what(format, 12)
#else
#define EACH(what, format)                                                                      \
    what(format, 1) what(format, 2) what(format, 3) what(format, 4) what(format, 5)             \
        what(format, 6)
#endif
#define LISTED(format, count) [format][count] = format##_tile_##count,

EACH(TILE, Q8_0) EACH(TILE, Q4_0) EACH(TILE, Q4_K) EACH(TILE, Q5_K) EACH(TILE, Q6_K)

static const tile tiles[FORMATS][TOKENS + 1] = {
    EACH(LISTED, Q8_0) EACH(LISTED, Q4_0) EACH(LISTED, Q4_K) EACH(LISTED, Q5_K) EACH(LISTED, Q6_K)
};
