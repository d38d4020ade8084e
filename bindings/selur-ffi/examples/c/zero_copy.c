/* Requests that are written where the kernel reads them, and answers that are read where it wrote them. */
#define _POSIX_C_SOURCE 200809L
#include "support.h"
#include <time.h>

static uint32_t write_ping(uint8_t *into, const char *text) {
    uint32_t length = (uint32_t)strlen(text);
    const uint8_t header[5] = {SELUR_COMMAND_PING, (uint8_t)length, (uint8_t)(length >> 8), (uint8_t)(length >> 16),
                               (uint8_t)(length >> 24)};
    memcpy(into, header, sizeof header);
    memcpy(into + sizeof header, text, length);
    return length + (uint32_t)sizeof header;
}

int main(int count, char **arguments) {
    selur_bridge_t bridge = example_bridge(count, arguments);
    selur_slot_view_t slot;
    selur_answer_t answer;
    struct timespec begin, end;
    enum { ROUNDS = 100000 };

    MUST(selur_slot_reserve(bridge, 200, SELUR_DEADLINE_DEFAULT, &slot, &error));
    uint32_t length = write_ping(slot.data, "hello from C");
    MUST(selur_slot_submit(slot.slot, length, &answer, &error));
    printf("answer   %.*s\n", (int)answer.length, (const char *)answer.data);
    printf("place    %s\n", answer.data >= slot.data && answer.data < slot.data + slot.capacity
                                ? "in the slot that the request was written to"
                                : "elsewhere");

    /* The same slot takes the next frame. */
    char text[101];
    memset(text, 'x', 100);
    text[100] = 0;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (int round = 0; round < ROUNDS; round++) {
        length = write_ping(slot.data, text);
        MUST(selur_slot_submit(slot.slot, length, &answer, &error));
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    double ns = (double)(end.tv_sec - begin.tv_sec) * 1e9 + (double)(end.tv_nsec - begin.tv_nsec);
    fprintf(stderr, "%d pings of 100 bytes, %.0f ns each\n", ROUNDS, ns / ROUNDS);
    printf("rounds   %d, %u bytes each\n", ROUNDS, answer.length);

    MUST(selur_slot_release(slot.slot));
    MUST(selur_bridge_free(bridge));
    return 0;
}
