// What does ggml let this back end compute?
//
// An accelerator beside ggml's own CPU back end, for threads that asked for it: products of vectors
// with quantised matrices, which lie interleaved in buffers of its own, and attention. All else stays
// with the CPU back end, whose memory both read and write.

#include "interface.h"

#include "attending.h"
#include "products.h"

#define EXPORT __attribute__((visibility("default")))

static struct ggml_backend_reg registration;
static struct ggml_backend_device device;  // the one ggml knows: its buffers hold packed weights
static struct ggml_backend_device worker;  // the one that computes: its buffers are the CPU's

static _Thread_local bool attending = false;

// ---- the back end -------------------------------------------------------------------------------

static const char * backend_name(ggml_backend_t backend) {
    (void) backend;
    return "LLMCOMPILER";
}

static void backend_free(ggml_backend_t backend) {
    release(backend->context);
    free(backend);
}

static enum ggml_status backend_compute(ggml_backend_t backend, struct ggml_cgraph * graph) {
    const struct ggml_tensor * before = NULL;
    for (int i = 0; i < ggml_graph_n_nodes(graph); i++) {
        struct ggml_tensor * node = ggml_graph_node(graph, i);
        if ((node->flags & GGML_TENSOR_FLAG_COMPUTE) == 0) {
            continue;
        }
        enum ggml_status status = GGML_STATUS_SUCCESS;
        if (node->op == GGML_OP_MUL_MAT) {
            status = multiply_matrix(backend->context, node, before);
            before = node;
        } else if (node->op == GGML_OP_MUL_MAT_ID) {
            status = multiply_experts(backend->context, node, before);
            before = node;
        } else if (node->op == GGML_OP_FLASH_ATTN_EXT) {
            status = attend_all(backend->context, node);
        }
        if (status != GGML_STATUS_SUCCESS) {
            return status;
        }
    }
    return GGML_STATUS_SUCCESS;
}

static ggml_guid_t backend_id(void) {
    static ggml_guid id = {0x6c, 0x6c, 0x6d, 0x63, 0x6f, 0x6d, 0x70, 0x69,
                           0x6c, 0x65, 0x72, 0x2d, 0x71, 0x38, 0x00, 0x01};
    return &id;
}

static ggml_backend_t device_start(ggml_backend_dev_t dev, const char * parameters) {
    (void) dev;
    (void) parameters;
    struct ggml_backend * backend = calloc(1, sizeof *backend);
    struct work * work = calloc(1, sizeof *work);
    if (backend == NULL || work == NULL) {
        free(backend);
        free(work);
        return NULL;
    }
    work->threads = 1;
    backend->guid = backend_id();
    backend->iface.get_name = backend_name;
    backend->iface.free = backend_free;
    backend->iface.graph_compute = backend_compute;
    backend->device = &worker;
    backend->context = work;
    return backend;
}

static void backend_threads(ggml_backend_t backend, int threads) {
    struct work * work = backend->context;
    work->threads = threads > 0 ? threads : 1;
}

static const char * device_name(ggml_backend_dev_t dev) {
    (void) dev;
    return "LLMCOMPILER";
}

static const char * device_description(ggml_backend_dev_t dev) {
    (void) dev;
    return "products and attention by " KERNEL;
}

static void device_memory(ggml_backend_dev_t dev, size_t * available, size_t * total) {
    (void) dev;
    *available = *total = 0;
}

static enum ggml_backend_dev_type device_type(ggml_backend_dev_t dev) {
    (void) dev;
    return GGML_BACKEND_DEVICE_TYPE_ACCEL;
}

static void device_properties(ggml_backend_dev_t dev, struct ggml_backend_dev_props * to) {
    memset(to, 0, sizeof *to);
    to->name = device_name(dev);
    to->description = device_description(dev);
    to->type = GGML_BACKEND_DEVICE_TYPE_ACCEL;
}

static ggml_backend_buffer_type_t device_buffers(ggml_backend_dev_t dev) {
    return dev == &worker ? ggml_backend_cpu_buffer_type() : &packed_type;
}

// Products with packed weights, and attention where the thread that computes wants it. When a model
// is loaded ggml asks with an empty buffer whether weights could lie here: only who asked for it may.
static bool device_can(ggml_backend_dev_t dev, const struct ggml_tensor * op) {
    (void) dev;
    switch (op->op) {
        case GGML_OP_NONE:
        case GGML_OP_RESHAPE:
        case GGML_OP_VIEW:
        case GGML_OP_PERMUTE:
        case GGML_OP_TRANSPOSE:
            return true;
        case GGML_OP_MUL_MAT:
        case GGML_OP_MUL_MAT_ID:
            return is_packed(op->src[0]) && op->src[1]->type == GGML_TYPE_F32 &&
                   op->type == GGML_TYPE_F32 && op->nb[0] == sizeof(float) &&
                   (op->op == GGML_OP_MUL_MAT_ID || op->src[0]->ne[2] == 1) &&
                   (placing > 0 || op->src[0]->buffer->size > 0);
        case GGML_OP_FLASH_ATTN_EXT:
            return attending && attention_possible(op);
        default:
            return false;
    }
}

static bool device_reads(ggml_backend_dev_t dev, ggml_backend_buffer_type_t type) {
    (void) dev;
    return type == &packed_type || ggml_backend_buft_is_host(type);
}

static const char * registration_name(ggml_backend_reg_t reg) {
    (void) reg;
    return "LLMCOMPILER";
}

static size_t registration_count(ggml_backend_reg_t reg) {
    (void) reg;
    return 1;
}

static ggml_backend_dev_t registration_device(ggml_backend_reg_t reg, size_t index) {
    (void) reg;
    (void) index;
    return &device;
}

static void * registration_extra(ggml_backend_reg_t reg, const char * name) {
    (void) reg;
    return strcmp(name, "ggml_backend_set_n_threads") == 0 ? (void *) backend_threads : NULL;
}

// ---- what the library shows ---------------------------------------------------------------------

EXPORT ggml_backend_reg_t ggml_backend_init(void) {
    device.iface = (struct ggml_backend_device_i){
        .get_name = device_name,
        .get_description = device_description,
        .get_memory = device_memory,
        .get_type = device_type,
        .get_props = device_properties,
        .init_backend = device_start,
        .get_buffer_type = device_buffers,
        .supports_op = device_can,
        .supports_buft = device_reads,
    };
    device.reg = &registration;
    worker = device;
    make_packed_type(&device);
    registration.api_version = PLUGIN_VERSION;
    registration.iface = (struct ggml_backend_reg_i){
        .get_name = registration_name,
        .get_device_count = registration_count,
        .get_device = registration_device,
        .get_proc_address = registration_extra,
    };
    return &registration;
}

// From now on this thread's models may lie here, stored by so many threads, or by none no longer;
// returns the bytes placed since the last call.
EXPORT size_t llmcompiler_place(int threads) {
    const size_t before = placed;
    placing = threads;
    placed = 0;
    return before;
}

// From now on what this thread computes may use attention of this back end, or no longer.
EXPORT void llmcompiler_attend(int on) {
    attending = on != 0;
}

EXPORT const char * llmcompiler_kernel(void) {
    return KERNEL;
}
