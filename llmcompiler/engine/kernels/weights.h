// Where do packed weights lie, and how do they get there?
//
// A buffer type for ggml: a matrix of Q8_0 is stored as `matmul.h` wants it and read back as it was.

#pragma once

#include "interface.h"
#include "matmul.h"

#include <stdlib.h>

#define ALIGNMENT 64

static struct ggml_backend_buffer_type packed_type;
static _Thread_local size_t placed = 0;  // bytes that this thread stored

static bool packable(const struct ggml_tensor * tensor) {
    return tensor->type == GGML_TYPE_Q8_0 && tensor->view_src == NULL && tensor->ne[2] == 1 &&
           tensor->ne[3] == 1;
}

static bool is_packed(const struct ggml_tensor * tensor) {
    return packable(tensor) && tensor->buffer != NULL && tensor->buffer->buft == &packed_type;
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
    return packable(tensor) ? packed_size(tensor->ne[1], tensor->ne[0] / BLOCK)
                            : ggml_nbytes(tensor);
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

// Whole blocks of a tensor or of a view of one, from `plain` or to it.
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
    const int64_t rows = root->ne[1], blocks = root->ne[0] / BLOCK;
    const int64_t first = (int64_t) (offset / PLAIN), count = (int64_t) (size / PLAIN);
    for (int64_t i = 0; i < count; i++) {
        const int64_t at = first + i;
        move_block(root->data, at / blocks, at % blocks, rows, blocks, plain + i * PLAIN, pack);
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
    uint8_t plain[PLAIN];
    memset(plain, value, sizeof plain);
    for (size_t done = 0; done < size; done += PLAIN) {
        const size_t left = size - done;
        move_blocks(tensor, plain, offset + done, left < PLAIN ? left : PLAIN, true);
    }
}

static void buffer_clear(ggml_backend_buffer_t buffer, uint8_t value) {
    memset(buffer->context, value, buffer->size);
}

static ggml_backend_buffer_t type_allocate(ggml_backend_buffer_type_t type, size_t size) {
    const size_t whole = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    void * memory = aligned_alloc(ALIGNMENT, whole > 0 ? whole : ALIGNMENT);
    if (memory == NULL) {
        return NULL;
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
