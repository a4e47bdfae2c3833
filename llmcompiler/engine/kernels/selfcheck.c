// Does this back end compute, within ggml as it is installed, what it should?
//
// Products of odd shapes go through ggml's own scheduler, with this back end before the CPU's, as a
// model's do, and are compared with sums in double precision. A program of its own runs it once:
// had ggml's tables another layout than `interface.h` says, it would die, and nothing else.

#include "checking.h"

static uint32_t state = 2463534242u;

// One product of `rows` x `width` weights with `count` vectors, `times` after one another.
static const char * try_shape(ggml_backend_dev_t own, ggml_backend_dev_t cpu, enum ggml_type type,
                              int64_t width, int64_t rows, int64_t count, int threads) {
    const char * wrong = NULL;
    const size_t size = ggml_row_size(type, width) * (size_t) rows;
    float * plain = malloc((size_t) (width * rows) * sizeof(float));
    float * given = malloc((size_t) (width * count) * sizeof(float));
    float * got = malloc((size_t) (rows * count) * sizeof(float));
    uint8_t * file = malloc(size), * back = malloc(size);
    for (int64_t i = 0; i < width * rows; i++) plain[i] = any(&state);
    for (int64_t i = 0; i < width * count; i++) given[i] = any(&state);
    quantise(type, plain, file, rows, width);

    const struct ggml_init_params parameters = {.mem_size = 16 * ggml_tensor_overhead(),
                                                .no_alloc = true};
    struct ggml_context * kept = ggml_init(parameters);
    struct ggml_tensor * weights = ggml_new_tensor_2d(kept, type, width, rows);
    ggml_backend_buffer_t buffer = store(own, kept, weights, file, size);
    ggml_backend_tensor_get(weights, back, 0, size);
    if (memcmp(file, back, size) != 0) {
        wrong = "weights do not come back as they were stored";
    }

    const struct beside b = start(own, cpu, threads);
    struct ggml_context * fleeting = ggml_init((struct ggml_init_params){
        .mem_size = 16 * ggml_tensor_overhead() + ggml_graph_overhead(), .no_alloc = true});
    struct ggml_tensor * vectors = ggml_new_tensor_2d(fleeting, GGML_TYPE_F32, width, count);
    ggml_set_input(vectors);
    struct ggml_tensor * doubled = ggml_scale(fleeting, vectors, 2.0f);  // computed by the CPU's
    struct ggml_tensor * out = ggml_mul_mat(fleeting, weights, doubled);
    struct ggml_tensor * halved = ggml_scale(fleeting, out, 0.5f);
    ggml_set_output(halved);
    struct ggml_cgraph * graph = ggml_new_graph(fleeting);
    ggml_build_forward_expand(graph, halved);
    if (!ggml_backend_sched_alloc_graph(b.scheduler, graph)) {
        wrong = "a graph could not be allocated";
    } else if (ggml_backend_sched_get_tensor_backend(b.scheduler, out) != b.own) {
        wrong = "a product was not given to the kernels";
    } else {
        ggml_backend_tensor_set(vectors, given, 0, (size_t) (width * count) * sizeof(float));
        if (ggml_backend_sched_graph_compute(b.scheduler, graph) != GGML_STATUS_SUCCESS) {
            wrong = "a graph could not be computed";
        } else {
            ggml_backend_tensor_get(halved, got, 0, (size_t) (rows * count) * sizeof(float));
            for (int64_t v = 0; v < count; v++) {
                for (int64_t r = 0; r < rows; r++) {
                    double sum = 0, sizes = 0;
                    for (int64_t k = 0; k < width; k++) {
                        const double one = (double) plain[r * width + k] * given[v * width + k];
                        sum += one;
                        sizes += fabs(one);
                    }
                    // Rounding a vector errs by up to 1/254 of its largest number; errors differ
                    // in sign.
                    if (!(fabs(got[v * rows + r] - sum) <= 0.005 * sizes + 1e-6)) {
                        wrong = "a product is wrong";
                    }
                }
            }
        }
    }
    end(b);
    ggml_free(fleeting);
    ggml_backend_buffer_free(buffer);
    ggml_free(kept);
    free(plain);
    free(given);
    free(got);
    free(file);
    free(back);
    return wrong;
}

// Returns what is wrong, or NULL. `own` and `cpu` are devices.
EXPORT const char * llmcompiler_check(ggml_backend_dev_t own, ggml_backend_dev_t cpu) {
    static const int64_t shapes[][3] = {{32, 1, 1},   {32, 16, 3},  {64, 17, 1},   {96, 37, 2},
                                        {256, 48, 5}, {1024, 96, 8}, {160, 33, 13}, {512, 130, 61}};
    static const enum ggml_type types[] = {GGML_TYPE_Q8_0, GGML_TYPE_Q4_0, GGML_TYPE_Q4_K,
                                           GGML_TYPE_Q5_K, GGML_TYPE_Q6_K};
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        const int64_t block = ggml_blck_size(types[t]);
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
            const int64_t width = (shapes[i][0] + block - 1) / block * block;
            for (int threads = 1; threads <= 3; threads += 2) {
                const char * wrong =
                    try_shape(own, cpu, types[t], width, shapes[i][1], shapes[i][2], threads);
                if (wrong != NULL) {
                    return wrong;
                }
            }
        }
    }
    return NULL;
}
