// Which instructions does this processor have, and what are they called here?
//
// LANES numbers of 32 bits are computed at once: 16 with AVX512-VNNI, 8 with AVX-VNNI.

#pragma once

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define UNROLL _Pragma("GCC unroll 16")
#define INLINE static inline __attribute__((always_inline))

#define fetch(from, ahead) _mm_prefetch((const char *) ((uintptr_t) (from) + (ahead)), _MM_HINT_T0)

#if defined(__AVX512BW__) && defined(__AVX512VNNI__)
#define KERNEL "AVX512-VNNI"
#define LANES 16
typedef __m512i ints;
typedef __m512 floats;
#define all_ints(value) _mm512_set1_epi32(value)
#define all_floats(value) _mm512_set1_ps(value)
#define load_ints(from) _mm512_load_si512(from)
#define load_floats(from) _mm512_loadu_ps(from)
#define load_halves(from) _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *) (from)))
#define store_floats(to, value) _mm512_storeu_ps(to, value)
#define add_products(sum, bytes, words) _mm512_dpbusd_epi32(sum, bytes, words)
#define to_floats(value) _mm512_cvtepi32_ps(value)
#define add(a, b) _mm512_add_ps(a, b)
#define subtract(a, b) _mm512_sub_ps(a, b)
#define multiply(a, b) _mm512_mul_ps(a, b)
#define multiply_add(a, b, c) _mm512_fmadd_ps(a, b, c)
#define larger(a, b) _mm512_max_ps(a, b)
#define sum_of(value) _mm512_reduce_add_ps(value)
#define largest_of(value) _mm512_reduce_max_ps(value)
#define subtract_product(a, b, c) _mm512_fnmadd_ps(a, b, c)
#define bits_of(value, mask) _mm512_and_si512(value, _mm512_set1_epi8(mask))
#define either(a, b) _mm512_or_si512(a, b)
#define shift_left(value, count) _mm512_slli_epi16(value, count)
#define shift_right(value, count) _mm512_srli_epi16(value, count)
#define load_unsigned(from) \
    _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *) (from))))
#define load_signed(from) \
    _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *) (from))))
#define low_pairs(a, b) _mm512_unpacklo_ps(a, b)
#define high_pairs(a, b) _mm512_unpackhi_ps(a, b)
#define shuffle(a, b, order) _mm512_shuffle_ps(a, b, order)
#define round_up_or_down(value) \
    _mm512_roundscale_ps(value, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)
#define times_power_of_two(value, power) _mm512_scalef_ps(value, power)

// Four quarters, each with sums of four numbers a lane of 128 bits: the sixteen sums.
INLINE floats add_across_parts(const floats * quarter) {
    const floats a = add(_mm512_shuffle_f32x4(quarter[0], quarter[1], 0x44),
                         _mm512_shuffle_f32x4(quarter[0], quarter[1], 0xee));
    const floats b = add(_mm512_shuffle_f32x4(quarter[2], quarter[3], 0x44),
                         _mm512_shuffle_f32x4(quarter[2], quarter[3], 0xee));
    return add(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xdd));
}
#elif defined(__AVXVNNI__) && defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#define KERNEL "AVX-VNNI"
#define LANES 8
typedef __m256i ints;
typedef __m256 floats;
#define all_ints(value) _mm256_set1_epi32(value)
#define all_floats(value) _mm256_set1_ps(value)
#define load_ints(from) _mm256_load_si256((const __m256i *) (from))
#define load_floats(from) _mm256_loadu_ps(from)
#define load_halves(from) _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *) (from)))
#define store_floats(to, value) _mm256_storeu_ps(to, value)
#define add_products(sum, bytes, words) _mm256_dpbusd_avx_epi32(sum, bytes, words)
#define to_floats(value) _mm256_cvtepi32_ps(value)
#define add(a, b) _mm256_add_ps(a, b)
#define subtract(a, b) _mm256_sub_ps(a, b)
#define multiply(a, b) _mm256_mul_ps(a, b)
#define multiply_add(a, b, c) _mm256_fmadd_ps(a, b, c)
#define larger(a, b) _mm256_max_ps(a, b)
#define subtract_product(a, b, c) _mm256_fnmadd_ps(a, b, c)
#define bits_of(value, mask) _mm256_and_si256(value, _mm256_set1_epi8(mask))
#define either(a, b) _mm256_or_si256(a, b)
#define shift_left(value, count) _mm256_slli_epi16(value, count)
#define shift_right(value, count) _mm256_srli_epi16(value, count)
#define load_unsigned(from) \
    _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *) (from))))
#define load_signed(from) \
    _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *) (from))))
#define low_pairs(a, b) _mm256_unpacklo_ps(a, b)
#define high_pairs(a, b) _mm256_unpackhi_ps(a, b)
#define shuffle(a, b, order) _mm256_shuffle_ps(a, b, order)
#define round_up_or_down(value) \
    _mm256_round_ps(value, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)

INLINE float sum_of(floats value) {
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(value), _mm256_extractf128_ps(value, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}

INLINE float largest_of(floats value) {
    __m128 half = _mm_max_ps(_mm256_castps256_ps128(value), _mm256_extractf128_ps(value, 1));
    half = _mm_max_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
}

INLINE floats times_power_of_two(floats value, floats power) {
    const ints exponent = _mm256_slli_epi32(_mm256_cvtps_epi32(power), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(value), exponent));
}

INLINE floats add_across_parts(const floats * half) {
    return add(_mm256_permute2f128_ps(half[0], half[1], 0x20),
               _mm256_permute2f128_ps(half[0], half[1], 0x31));
}
#else
#error "this processor has no instructions for products of 8-bit numbers (AVX512-VNNI or AVX-VNNI)"
#endif

// In each 128 bits, the sums of those 128 bits of each of four vectors.
INLINE floats add_across_four(const floats * v) {
    const floats a = add(low_pairs(v[0], v[1]), high_pairs(v[0], v[1]));
    const floats b = add(low_pairs(v[2], v[3]), high_pairs(v[2], v[3]));
    return add(shuffle(a, b, 0x44), shuffle(a, b, 0xee));
}

// e to the power of numbers up to 0, to 2 units in the last place; below -87 as good as nothing.
// What is no number stays none: of two of which one is none, `larger` is the second.
INLINE floats exponential(floats value) {
    const floats x = larger(all_floats(-87.0f), value);
    const floats whole = round_up_or_down(multiply(x, all_floats(1.44269504f)));
    floats rest = multiply_add(whole, all_floats(-0.693359375f), x);
    rest = multiply_add(whole, all_floats(2.12194440e-4f), rest);
    floats sum = all_floats(1.9875691500e-4f);
    sum = multiply_add(sum, rest, all_floats(1.3981999507e-3f));
    sum = multiply_add(sum, rest, all_floats(8.3334519073e-3f));
    sum = multiply_add(sum, rest, all_floats(4.1665795894e-2f));
    sum = multiply_add(sum, rest, all_floats(1.6666665459e-1f));
    sum = multiply_add(sum, rest, all_floats(5.0000001201e-1f));
    sum = add(multiply_add(multiply(rest, rest), sum, rest), all_floats(1.0f));
    return times_power_of_two(sum, whole);
}

INLINE float float_of(const int32_t * bits) {
    float value;
    memcpy(&value, bits, sizeof value);
    return value;
}

INLINE float half_to_float(uint16_t half) {
    return _cvtsh_ss(half);
}

// As a file would keep it: llama.cpp rounds factors so, and results stay comparable.
INLINE float half_and_back(float value) {
    return _cvtsh_ss(_cvtss_sh(value, _MM_FROUND_TO_NEAREST_INT));
}
