// What does a back end keep from step to step?

#pragma once

#include <stdint.h>
#include <stdlib.h>

#define SMALL (1 << 16)  // work on fewer bytes than this is not worth a second thread

struct room {
    uint8_t * memory;
    size_t size;
};

struct work {
    int threads;
    struct room rounded, scratch, places, matrices;
};

static void * reserve(struct room * room, size_t size) {
    if (room->size < size) {
        uint8_t * memory = aligned_alloc(64, (size + 63) / 64 * 64);
        if (memory == NULL) {
            return NULL;
        }
        free(room->memory);
        room->memory = memory;
        room->size = size;
    }
    return room->memory;
}

static void release(struct work * work) {
    free(work->rounded.memory);
    free(work->scratch.memory);
    free(work->places.memory);
    free(work->matrices.memory);
    free(work);
}
