// Does this back end compute products of experts, within ggml as it is installed, as it should?
//
// What `selfcheck.c` does for products of one matrix: each token has some experts, each of them a
// matrix, and one vector for all of them or one for each.

#include "checking.h"

struct shape {
    int64_t width, rows, experts, used, tokens;
    bool each;  // a vector for each expert that a token uses
};

static uint32_t state = 362436069u;

static int32_t expert_of(const struct shape * s, int64_t token, int64_t use) {
    return (int32_t) ((token * token + 3 * use) % s->experts);  // some of them serve nobody
}

static bool right(const struct shape * s, const float * plain, const float * given,
                  const float * got) {
    const int64_t vectors = s->each ? s->used : 1;
    for (int64_t i = 0; i < s->used * s->tokens; i++) {
        const int64_t token = i / s->used, use = i % s->used;
        const float * vector = given + (token * vectors + use % vectors) * s->width;
        const float * matrix = plain + expert_of(s, token, use) * s->rows * s->width;
        for (int64_t r = 0; r < s->rows; r++) {
            double sum = 0, sizes = 0;
            for (int64_t k = 0; k < s->width; k++) {
                const double one = (double) matrix[r * s->width + k] * (double) vector[k];
                sum += one;
                sizes += fabs(one);
            }
            if (!(fabs((double) got[i * s->rows + r] - sum) <= 0.005 * sizes + 1e-6)) {
                return false;  // by more than vectors are rounded
            }
        }
    }
    return true;
}

static const char * try_shape(ggml_backend_dev_t own, ggml_backend_dev_t cpu, enum ggml_type type,
                              const struct shape * s, int threads) {
    const char * wrong = NULL;
    const int64_t lines = s->rows * s->experts, vectors = s->each ? s->used : 1;
    const size_t size = ggml_row_size(type, s->width) * (size_t) lines;
    float * plain = malloc((size_t) (s->width * lines) * sizeof(float));
    float * given = malloc((size_t) (s->width * vectors * s->tokens) * sizeof(float));
    float * got = malloc((size_t) (s->rows * s->used * s->tokens) * sizeof(float));
    int32_t * chosen = malloc((size_t) (s->used * s->tokens) * sizeof(int32_t));
    uint8_t * file = malloc(size), * back = malloc(size);
    for (int64_t i = 0; i < s->width * lines; i++) plain[i] = any(&state);
    for (int64_t i = 0; i < s->width * vectors * s->tokens; i++) given[i] = any(&state);
    for (int64_t i = 0; i < s->used * s->tokens; i++) {
        chosen[i] = expert_of(s, i / s->used, i % s->used);
    }
    quantise(type, plain, file, lines, s->width);

    struct ggml_context * kept = ggml_init(
        (struct ggml_init_params){.mem_size = 16 * ggml_tensor_overhead(), .no_alloc = true});
    struct ggml_tensor * weights = ggml_new_tensor_3d(kept, type, s->width, s->rows, s->experts);
    ggml_backend_buffer_t buffer = store(own, kept, weights, file, size);
    ggml_backend_tensor_get(weights, back, 0, size);
    if (memcmp(file, back, size) != 0) {
        wrong = "weights of experts do not come back as they were stored";
    }

    const struct beside b = start(own, cpu, threads);
    struct ggml_context * fleeting = ggml_init((struct ggml_init_params){
        .mem_size = 16 * ggml_tensor_overhead() + ggml_graph_overhead(), .no_alloc = true});
    struct ggml_tensor * in =
        ggml_new_tensor_3d(fleeting, GGML_TYPE_F32, s->width, vectors, s->tokens);
    struct ggml_tensor * ids = ggml_new_tensor_2d(fleeting, GGML_TYPE_I32, s->used, s->tokens);
    ggml_set_input(in);
    ggml_set_input(ids);
    struct ggml_tensor * doubled = ggml_scale(fleeting, in, 2.0f);  // computed by the CPU's
    struct ggml_tensor * out = ggml_mul_mat_id(fleeting, weights, doubled, ids);
    struct ggml_tensor * halved = ggml_scale(fleeting, out, 0.5f);
    ggml_set_output(halved);
    struct ggml_cgraph * graph = ggml_new_graph(fleeting);
    ggml_build_forward_expand(graph, halved);
    if (!ggml_backend_sched_alloc_graph(b.scheduler, graph)) {
        wrong = "a graph of experts could not be allocated";
    } else if (ggml_backend_sched_get_tensor_backend(b.scheduler, out) != b.own) {
        wrong = "a product of experts was not given to the kernels";
    } else {
        ggml_backend_tensor_set(in, given, 0, ggml_nbytes(in));
        ggml_backend_tensor_set(ids, chosen, 0, ggml_nbytes(ids));
        if (ggml_backend_sched_graph_compute(b.scheduler, graph) != GGML_STATUS_SUCCESS) {
            wrong = "a graph of experts could not be computed";
        } else {
            ggml_backend_tensor_get(halved, got, 0, ggml_nbytes(halved));
            if (!right(s, plain, given, got)) {
                wrong = "a product of experts is wrong";
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
    free(chosen);
    free(file);
    free(back);
    return wrong;
}

// Returns what is wrong, or NULL. `own` and `cpu` are devices.
EXPORT const char * llmcompiler_check_experts(ggml_backend_dev_t own, ggml_backend_dev_t cpu) {
    static const struct shape shapes[] = {{256, 17, 1, 1, 1, false},
                                          {256, 16, 5, 2, 1, false},
                                          {512, 37, 8, 3, 7, true},
                                          {256, 150, 4, 2, 40, false}};
    static const enum ggml_type types[] = {GGML_TYPE_Q8_0, GGML_TYPE_Q4_K};
    for (size_t t = 0; t < sizeof types / sizeof *types; t++) {
        for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
            for (int threads = 1; threads <= 3; threads += 2) {
                const char * wrong = try_shape(own, cpu, types[t], &shapes[i], threads);
                if (wrong != NULL) {
                    return wrong;
                }
            }
        }
    }
    return NULL;
}
