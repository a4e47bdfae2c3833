// How do files keep weights, and how do they lie here?
//
// A file keeps a row as blocks of 32 or 256 numbers with factors before or behind them. Here LANES
// rows lie interleaved: of each 32 numbers a few vectors whose lanes are the rows, four numbers a
// lane; and apart from them, for as many numbers as share factors, the factors of LANES rows. It
// takes as much memory as the file, and up to 3 % more. Every number is kept without a sign: `zero`
// is what stands for nothing.
//
//     format  numbers that share factors   bits            a number is worth
//     Q8_0    32                           8               d * (q - 128)
//     Q4_0    32                           4               d * (q - 8)
//     Q4_K    256, 8 parts                 4               d * scale[part] * q - least * less[part]
//     Q5_K    256, 8 parts                 4 + 1           the same
//     Q6_K    256, 16 parts                4 + 2           d * scale[part] * (q - 32)

#pragma once

#include "vectors.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BLOCK 32           // numbers that are multiplied before their factors are looked at
#define WORDS (BLOCK / 4)  // 32-bit words of 4 numbers in a block
#define LARGEST 256        // numbers that share factors, at most
#define FACTORS 20         // bytes of factors that they share, at most

enum format { Q8_0, Q4_0, Q4_K, Q5_K, Q6_K, FORMATS };

struct layout {
    int blocks;   // that share factors
    int bytes;    // of them, in a file
    int vectors;  // of a block
    int factors;  // bytes, for a row
    int zero;
};

static const struct layout layouts[FORMATS] = {
    [Q8_0] = {1, 34, 8, 2, 128}, [Q4_0] = {1, 18, 4, 2, 8},   [Q4_K] = {8, 144, 4, 20, 0},
    [Q5_K] = {8, 176, 5, 20, 0}, [Q6_K] = {8, 210, 6, 18, 32},
};

// ---- as in a file ---------------------------------------------------------------------------------

// What shares factors: numbers without sign, and factors: d, then least and eight scales and eight
// `less` (Q4_K, Q5_K), or sixteen scales (Q6_K).
struct plain {
    uint8_t numbers[LARGEST];
    uint8_t factors[FACTORS];
};

// Eight scales and eight `less` of 6 bits, in 12 bytes.
static void read_scales(const uint8_t * from, uint8_t * scales) {
    for (int i = 0; i < 4; i++) {
        scales[i] = from[i] & 63;
        scales[8 + i] = from[4 + i] & 63;
        scales[4 + i] = (uint8_t) ((from[8 + i] & 15) | (from[i] >> 6) << 4);
        scales[12 + i] = (uint8_t) (from[8 + i] >> 4 | (from[4 + i] >> 6) << 4);
    }
}

static void write_scales(uint8_t * to, const uint8_t * scales) {
    for (int i = 0; i < 4; i++) {
        to[i] = (uint8_t) (scales[i] | (scales[4 + i] >> 4) << 6);
        to[4 + i] = (uint8_t) (scales[8 + i] | (scales[12 + i] >> 4) << 6);
        to[8 + i] = (uint8_t) ((scales[4 + i] & 15) | (scales[12 + i] & 15) << 4);
    }
}

static void read_plain(const int format, const uint8_t * from, struct plain * to) {
    uint8_t * n = to->numbers;
    switch (format) {
        case Q8_0:
            memcpy(to->factors, from, 2);
            for (int i = 0; i < 32; i++) n[i] = from[2 + i] ^ 0x80;
            break;
        case Q4_0:
            memcpy(to->factors, from, 2);
            for (int i = 0; i < 16; i++) {
                n[i] = from[2 + i] & 15;
                n[16 + i] = from[2 + i] >> 4;
            }
            break;
        case Q4_K:
        case Q5_K: {
            memcpy(to->factors, from, 4);
            read_scales(from + 4, to->factors + 4);
            const uint8_t * high = from + 16, * low = from + (format == Q5_K ? 48 : 16);
            for (int i = 0; i < 128; i++) {
                const int at = i / 32 * 64 + i % 32, pair = i / 32 * 2;
                const int fifth = format == Q5_K ? high[i % 32] >> pair : 0;
                n[at] = (uint8_t) ((low[i] & 15) | (fifth & 1) << 4);
                n[at + 32] = (uint8_t) (low[i] >> 4 | (fifth & 2) << 3);
            }
            break;
        }
        case Q6_K:
            memcpy(to->factors, from + 208, 2);
            memcpy(to->factors + 2, from + 192, 16);
            for (int i = 0; i < 128; i++) {
                const int at = i / 64 * 128 + i % 64;
                const int high = from[128 + i / 64 * 32 + i % 32] >> (i % 64 / 32 * 2);
                n[at] = (uint8_t) ((from[i] & 15) | (high & 3) << 4);
                n[at + 64] = (uint8_t) (from[i] >> 4 | (high >> 4 & 3) << 4);
            }
            break;
    }
}

static void write_plain(const int format, uint8_t * to, const struct plain * from) {
    const uint8_t * n = from->numbers;
    memset(to, 0, (size_t) layouts[format].bytes);
    switch (format) {
        case Q8_0:
            memcpy(to, from->factors, 2);
            for (int i = 0; i < 32; i++) to[2 + i] = n[i] ^ 0x80;
            break;
        case Q4_0:
            memcpy(to, from->factors, 2);
            for (int i = 0; i < 16; i++) to[2 + i] = (uint8_t) (n[i] | n[16 + i] << 4);
            break;
        case Q4_K:
        case Q5_K: {
            memcpy(to, from->factors, 4);
            write_scales(to + 4, from->factors + 4);
            uint8_t * high = to + 16, * low = to + (format == Q5_K ? 48 : 16);
            for (int i = 0; i < 128; i++) {
                const int at = i / 32 * 64 + i % 32, pair = i / 32 * 2;
                low[i] = (uint8_t) ((n[at] & 15) | (n[at + 32] & 15) << 4);
                if (format == Q5_K) {
                    high[i % 32] |= (uint8_t) ((n[at] >> 4 | n[at + 32] >> 4 << 1) << pair);
                }
            }
            break;
        }
        case Q6_K:
            memcpy(to + 208, from->factors, 2);
            memcpy(to + 192, from->factors + 2, 16);
            for (int i = 0; i < 128; i++) {
                const int at = i / 64 * 128 + i % 64;
                to[i] = (uint8_t) ((n[at] & 15) | (n[at + 64] & 15) << 4);
                to[128 + i / 64 * 32 + i % 32] |=
                    (uint8_t) ((n[at] >> 4 | n[at + 64] >> 4 << 4) << (i % 64 / 32 * 2));
            }
            break;
    }
}

// ---- as here --------------------------------------------------------------------------------------

struct packed {
    int format;
    int64_t rows, blocks;  // of a row
    uint8_t * memory;
};

// What so many rows of so many blocks take, in bytes.
static size_t packed_size(const int format, int64_t rows, int64_t blocks) {
    const struct layout * l = &layouts[format];
    const size_t groups = (size_t) ((rows + LANES - 1) / LANES);
    return groups * LANES *
           ((size_t) blocks * (size_t) l->vectors * 4 +
            (size_t) (blocks / l->blocks) * (size_t) l->factors);
}

static uint8_t * packed_numbers(const struct packed * p, int64_t group) {
    return p->memory + group * p->blocks * layouts[p->format].vectors * LANES * 4;
}

static uint8_t * packed_factors(const struct packed * p, int64_t group) {
    const struct layout * l = &layouts[p->format];
    const int64_t groups = (p->rows + LANES - 1) / LANES;
    return p->memory + groups * p->blocks * l->vectors * LANES * 4 +
           group * (p->blocks / l->blocks) * l->factors * LANES;
}

// Where the factors' byte number `i` of a lane stands: d and least are of two bytes.
static size_t factor_place(const int format, int i, int64_t lane) {
    const int pairs = format == Q4_K || format == Q5_K ? 2 : 1;
    return i < 2 * pairs ? (size_t) (i / 2 * 2 * LANES + lane * 2 + i % 2)
                         : (size_t) (i * LANES + lane);
}

// A block's words of one lane: of 8 bits each by itself, else two words' lower four bits together and
// the upper one or two bits of all words behind them.
static void store_words(const int format, uint32_t * to, const uint32_t * words) {
    if (format == Q8_0) {
        for (int i = 0; i < WORDS; i++) to[i * LANES] = words[i];
        return;
    }
    for (int i = 0; i < 4; i++) {
        to[i * LANES] = (words[i] & 0x0f0f0f0fu) | (words[4 + i] & 0x0f0f0f0fu) << 4;
    }
    const int bits = layouts[format].vectors - 4;  // upper ones of a number, and words of them here
    for (int i = 0; i < bits; i++) {
        uint32_t high = 0;
        for (int k = 0; k < WORDS / bits; k++) {
            high |= (words[i * (WORDS / bits) + k] >> 4 & 0x0f0f0f0fu) << (k * bits);
        }
        to[(4 + i) * LANES] = high;
    }
}

static void take_words(const int format, const uint32_t * from, uint32_t * words) {
    if (format == Q8_0) {
        for (int i = 0; i < WORDS; i++) words[i] = from[i * LANES];
        return;
    }
    const int bits = layouts[format].vectors - 4;
    const uint32_t mask = bits == 2 ? 0x03030303u : 0x01010101u;
    for (int i = 0; i < WORDS; i++) {
        words[i] = from[i % 4 * LANES] >> (i < 4 ? 0 : 4) & 0x0f0f0f0fu;
        if (bits > 0) {
            const int each = WORDS / bits;
            words[i] |= (from[(4 + i / each) * LANES] >> (i % each * bits) & mask) << 4;
        }
    }
}

// Take what shares factors to its place, or back; `at` counts such pieces of a row.
static void move_piece(const struct packed * p, int64_t row, int64_t at, uint8_t * file,
                       const int pack) {
    const int format = p->format;
    const struct layout * l = &layouts[format];
    const int64_t group = row / LANES, lane = row % LANES;
    uint8_t * factors = packed_factors(p, group) + at * l->factors * LANES;
    uint8_t * numbers = packed_numbers(p, group) + at * l->blocks * l->vectors * LANES * 4;
    struct plain plain;
    if (pack) {
        read_plain(format, file, &plain);
    }
    for (int i = 0; i < l->factors; i++) {
        uint8_t * place = factors + factor_place(format, i, lane);
        if (pack) {
            *place = plain.factors[i];
        } else {
            plain.factors[i] = *place;
        }
    }
    for (int block = 0; block < l->blocks; block++) {
        uint32_t * here = (uint32_t *) numbers + block * l->vectors * LANES + lane;
        uint32_t words[WORDS];
        if (pack) {
            memcpy(words, plain.numbers + block * BLOCK, BLOCK);
            store_words(format, here, words);
        } else {
            take_words(format, here, words);
            memcpy(plain.numbers + block * BLOCK, words, BLOCK);
        }
    }
    if (!pack) {
        write_plain(format, file, &plain);
    }
}
