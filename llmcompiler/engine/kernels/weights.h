// Where do packed weights lie, and how do they get there?
//
// A buffer type for ggml: a matrix is stored as `formats.h` says and read back as it was; those of
// experts one behind the other.

#pragma once

#include "interface.h"
#include "formats.h"

#include <stdlib.h>
#include <sys/mman.h>

#define ALIGNMENT 64
#define FEW (1 << 20)        // bytes that are not worth a second thread
#define HUGE_PAGE (2 << 20)  // bytes; the processor reads ahead within a page

static struct ggml_backend_buffer_type packed_type;
static _Thread_local size_t placed = 0;  // bytes that this thread stored
static _Thread_local int placing = 0;    // threads that it may store them with; 0: it may not

static int format_of(const struct ggml_tensor * tensor) {
    switch (tensor->type) {
        case GGML_TYPE_Q8_0: return Q8_0;
        case GGML_TYPE_Q4_0: return Q4_0;
        case GGML_TYPE_Q4_K: return Q4_K;
        case GGML_TYPE_Q5_K: return Q5_K;
        case GGML_TYPE_Q6_K: return Q6_K;
        default: return -1;
    }
}

static bool packable(const struct ggml_tensor * tensor) {
    return format_of(tensor) >= 0 && tensor->view_src == NULL && tensor->ne[3] == 1;
}

static bool is_packed(const struct ggml_tensor * tensor) {
    return packable(tensor) && tensor->buffer != NULL && tensor->buffer->buft == &packed_type;
}

// What one of a tensor's matrices takes, in bytes.
static size_t matrix_size(const struct ggml_tensor * tensor) {
    const size_t size = packed_size(format_of(tensor), tensor->ne[1], tensor->ne[0] / BLOCK);
    return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static struct packed packed_of(const struct ggml_tensor * tensor, int64_t matrix) {
    return (struct packed){
        .format = format_of(tensor),
        .rows = tensor->ne[1],
        .blocks = tensor->ne[0] / BLOCK,
        .memory = (uint8_t *) tensor->data + (size_t) matrix * matrix_size(tensor)};
}

static const char * type_name(ggml_backend_buffer_type_t type) {
    (void) type;
    return "LLMCOMPILER";
}

static size_t type_alignment(ggml_backend_buffer_type_t type) {
    (void) type;
    return ALIGNMENT;
}

static size_t type_size(ggml_backend_buffer_type_t type, const struct ggml_tensor * tensor) {
    (void) type;
    return packable(tensor) ? matrix_size(tensor) * (size_t) tensor->ne[2] : ggml_nbytes(tensor);
}

static bool type_is_host(ggml_backend_buffer_type_t type) {
    (void) type;
    return false;
}

static void buffer_free(ggml_backend_buffer_t buffer) {
    free(buffer->context);
}

static void * buffer_base(ggml_backend_buffer_t buffer) {
    return buffer->context;
}

// Whole pieces of a tensor or of a view of one, from `plain` or to it.
static void move_blocks(const struct ggml_tensor * tensor, uint8_t * plain, size_t offset,
                        size_t size, const bool pack) {
    const struct ggml_tensor * root = tensor;
    while (root->view_src != NULL) {
        offset += root->view_offs;
        root = root->view_src;
    }
    if (!packable(root)) {
        uint8_t * at = (uint8_t *) root->data + offset;
        memcpy(pack ? at : plain, pack ? plain : at, size);
        return;
    }
    const struct layout * l = &layouts[format_of(root)];
    GGML_ASSERT(offset % (size_t) l->bytes == 0 && size % (size_t) l->bytes == 0);
    const int64_t pieces = root->ne[0] / BLOCK / l->blocks;  // of a row
    const int64_t first = (int64_t) offset / l->bytes, count = (int64_t) size / l->bytes;
    const int parts = pack && placing > 1 && size > FEW ? placing : 1;
#pragma omp parallel for num_threads(parts) schedule(static) if (parts > 1)
    for (int64_t at = first; at < first + count; at++) {
        const int64_t row = at / pieces;
        const struct packed packed = packed_of(root, row / root->ne[1]);
        move_piece(&packed, row % root->ne[1], at % pieces, plain + (at - first) * l->bytes, pack);
    }
    if (pack) {
        placed += size;
    }
}

static void buffer_set(ggml_backend_buffer_t buffer, struct ggml_tensor * tensor, const void * data,
                       size_t offset, size_t size) {
    (void) buffer;
    move_blocks(tensor, (uint8_t *) (uintptr_t) data, offset, size, true);
}

static void buffer_get(ggml_backend_buffer_t buffer, const struct ggml_tensor * tensor, void * data,
                       size_t offset, size_t size) {
    (void) buffer;
    move_blocks(tensor, data, offset, size, false);
}

static void buffer_fill(ggml_backend_buffer_t buffer, struct ggml_tensor * tensor, uint8_t value,
                        size_t offset, size_t size) {
    (void) buffer;
    uint8_t * plain = malloc(size);
    if (plain != NULL) {
        memset(plain, value, size);
        move_blocks(tensor, plain, offset, size, true);
        free(plain);
    }
}

static void buffer_clear(ggml_backend_buffer_t buffer, uint8_t value) {
    memset(buffer->context, value, buffer->size);
}

static ggml_backend_buffer_t type_allocate(ggml_backend_buffer_type_t type, size_t size) {
    const size_t unit = size < HUGE_PAGE ? ALIGNMENT : HUGE_PAGE;
    const size_t whole = size > 0 ? (size + unit - 1) / unit * unit : unit;
    void * memory = aligned_alloc(unit, whole);
    if (memory == NULL) {
        return NULL;
    }
    if (unit == HUGE_PAGE) {
        madvise(memory, whole, MADV_HUGEPAGE);
    }
    const struct ggml_backend_buffer_i calls = {
        .free_buffer = buffer_free,
        .get_base = buffer_base,
        .memset_tensor = buffer_fill,
        .set_tensor = buffer_set,
        .get_tensor = buffer_get,
        .clear = buffer_clear,
    };
    return ggml_backend_buffer_init(type, calls, memory, size);
}

static void make_packed_type(ggml_backend_dev_t device) {
    packed_type.iface = (struct ggml_backend_buffer_type_i){
        .get_name = type_name,
        .alloc_buffer = type_allocate,
        .get_alignment = type_alignment,
        .get_alloc_size = type_size,
        .is_host = type_is_host,
    };
    packed_type.device = device;
}
