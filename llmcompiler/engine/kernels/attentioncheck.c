// Does this back end attend, within ggml as it is installed, as it should?
//
// What `selfcheck.c` does for products: attention of odd shapes goes through ggml's own scheduler and
// is compared with sums in double precision. The thread that asks must have asked for attention.

#include "checking.h"

#define SCALE 0.5f

struct shape {
    int64_t width, heads, sharing, rows, tokens;  // `sharing` heads share keys and values
};

static uint32_t state = 88172645u;

static bool sees(int64_t token, int64_t row) {  // the first token sees no row at all
    return token > 0 && (row + token) % 3 != 0;
}

// The largest difference of `got` from what it should be; no number if one of them is none.
static double difference(const struct shape * s, const float * queries, const ggml_fp16_t * keys,
                         const ggml_fp16_t * values, const float * got) {
    double * weights = malloc((size_t) s->rows * sizeof *weights);
    double largest = weights != NULL ? 0 : (double) NAN;
    for (int64_t i = 0; i < s->tokens * s->heads && weights != NULL; i++) {
        const int64_t token = i / s->heads, head = i % s->heads;
        const float * query = queries + (head * s->tokens + token) * s->width;
        const int64_t first = head / s->sharing * s->rows * s->width;
        double total = 0;
        for (int64_t row = 0; row < s->rows; row++) {
            double score = 0;
            for (int64_t k = 0; k < s->width; k++) {
                score += (double) query[k] *
                         (double) ggml_fp16_to_fp32(keys[first + row * s->width + k]);
            }
            weights[row] = sees(token, row) ? exp((double) SCALE * score) : 0;
            total += weights[row];
        }
        for (int64_t k = 0; k < s->width; k++) {
            double sum = 0;
            for (int64_t row = 0; row < s->rows; row++) {
                sum += weights[row] *
                       (double) ggml_fp16_to_fp32(values[first + row * s->width + k]);
            }
            const double off = fabs((double) got[i * s->width + k] - (total > 0 ? sum / total : 0));
            largest = off <= largest ? largest : off;
        }
    }
    free(weights);
    return largest;
}

static const char * try_shape(ggml_backend_dev_t own, ggml_backend_dev_t cpu,
                              const struct shape * s, int threads) {
    const char * wrong = NULL;
    const struct beside b = start(own, cpu, threads);
    struct ggml_context * graphs = ggml_init((struct ggml_init_params){
        .mem_size = 16 * ggml_tensor_overhead() + ggml_graph_overhead(), .no_alloc = true});
    const int64_t shared = s->heads / s->sharing;
    struct ggml_tensor * in[4] = {
        ggml_new_tensor_3d(graphs, GGML_TYPE_F32, s->width, s->tokens, s->heads),
        ggml_new_tensor_3d(graphs, GGML_TYPE_F16, s->width, s->rows, shared),
        ggml_new_tensor_3d(graphs, GGML_TYPE_F16, s->width, s->rows, shared),
        ggml_new_tensor_2d(graphs, GGML_TYPE_F16, s->rows, s->tokens)};
    void * given[4];
    for (int i = 0; i < 4; i++) {
        ggml_set_input(in[i]);
        given[i] = malloc(ggml_nbytes(in[i]));
    }
    for (int64_t i = 0; i < ggml_nelements(in[0]); i++) ((float *) given[0])[i] = any(&state);
    for (int64_t i = 0; i < ggml_nelements(in[1]); i++) {
        ((ggml_fp16_t *) given[1])[i] = ggml_fp32_to_fp16(any(&state));
        ((ggml_fp16_t *) given[2])[i] = ggml_fp32_to_fp16(any(&state));
    }
    for (int64_t i = 0; i < ggml_nelements(in[3]); i++) {
        ((ggml_fp16_t *) given[3])[i] =
            ggml_fp32_to_fp16(sees(i / s->rows, i % s->rows) ? 0.0f : -INFINITY);
    }

    struct ggml_tensor * out = ggml_flash_attn_ext(graphs, in[0], in[1], in[2], in[3], SCALE, 0, 0);
    ggml_set_output(out);
    struct ggml_cgraph * graph = ggml_new_graph(graphs);
    ggml_build_forward_expand(graph, out);
    float * got = malloc(ggml_nbytes(out));
    if (!ggml_backend_sched_alloc_graph(b.scheduler, graph)) {
        wrong = "attention could not be allocated";
    } else if (ggml_backend_sched_get_tensor_backend(b.scheduler, out) != b.own) {
        wrong = "attention was not given to the kernels";
    } else {
        for (int i = 0; i < 4; i++) {
            ggml_backend_tensor_set(in[i], given[i], 0, ggml_nbytes(in[i]));
        }
        if (ggml_backend_sched_graph_compute(b.scheduler, graph) != GGML_STATUS_SUCCESS) {
            wrong = "attention could not be computed";
        } else {
            ggml_backend_tensor_get(out, got, 0, ggml_nbytes(out));
            wrong = difference(s, given[0], given[1], given[2], got) <= 1e-5 ? NULL
                                                                            : "attention is wrong";
        }
    }
    end(b);
    ggml_free(graphs);
    for (int i = 0; i < 4; i++) free(given[i]);
    free(got);
    return wrong;
}

// Returns what is wrong, or NULL. `own` and `cpu` are devices.
EXPORT const char * llmcompiler_check_attention(ggml_backend_dev_t own, ggml_backend_dev_t cpu) {
    static const struct shape shapes[] = {
        {64, 2, 1, 1, 2}, {16, 3, 3, 37, 3}, {80, 5, 5, 700, 3}, {128, 6, 2, 1100, 19}};
    const char * wrong = NULL;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes && wrong == NULL; i++) {
        for (int threads = 1; threads <= 3 && wrong == NULL; threads += 2) {
            wrong = try_shape(own, cpu, &shapes[i], threads);
        }
    }
    return wrong;
}
