// What do the checks of this back end have in common?

#pragma once

#include "interface.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

// ggml's own scheduler, with this back end before the CPU's, as a model has it.
struct beside {
    ggml_backend_t own, cpu;
    ggml_backend_sched_t scheduler;
};

static inline float any(uint32_t * state) {  // from -1 to 1, the same ones each time
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return (float) *state / 2147483648.0f - 1.0f;
}

static inline struct beside start(ggml_backend_dev_t own, ggml_backend_dev_t cpu, int threads) {
    struct beside b = {ggml_backend_dev_init(own, NULL), ggml_backend_dev_init(cpu, NULL), NULL};
    ggml_backend_set_n_threads_t set_threads =
        (ggml_backend_set_n_threads_t) ggml_backend_reg_get_proc_address(
            ggml_backend_dev_backend_reg(own), "ggml_backend_set_n_threads");
    set_threads(b.own, threads);
    ggml_backend_t both[2] = {b.own, b.cpu};
    b.scheduler = ggml_backend_sched_new(both, NULL, 2, GGML_DEFAULT_GRAPH_SIZE, false, true);
    return b;
}

static inline void end(struct beside b) {
    ggml_backend_sched_free(b.scheduler);
    ggml_backend_free(b.own);
    ggml_backend_free(b.cpu);
}

// Makes `file` of rows of numbers in `plain`, which become those that the file stands for.
static inline void quantise(enum ggml_type type, float * plain, uint8_t * file, int64_t rows,
                            int64_t width) {
    ggml_quantize_chunk(type, plain, file, 0, rows, width, NULL);
    ggml_get_type_traits(type)->to_float(file, plain, width * rows);
}

// Stores `size` bytes of weights in this back end's memory; whether they come back is for the caller.
static inline ggml_backend_buffer_t store(ggml_backend_dev_t own, struct ggml_context * kept,
                                          struct ggml_tensor * weights, const uint8_t * file,
                                          size_t size) {
    ggml_backend_buffer_t buffer =
        ggml_backend_alloc_ctx_tensors_from_buft(kept, ggml_backend_dev_buffer_type(own));
    ggml_backend_buffer_set_usage(buffer, GGML_BACKEND_BUFFER_USAGE_WEIGHTS);
    ggml_backend_tensor_set(weights, file, 0, size);
    return buffer;
}
