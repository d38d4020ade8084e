/* Many requests at once from one thread: submitted, polled for, drained in batches; one of them cancelled. */
#define _POSIX_C_SOURCE 200809L
#include "support.h"
#include <poll.h>

enum { CONTAINERS = 8 };

/* Waits by poll() until something can be drained, then drains it. */
static uint32_t next_batch(selur_bridge_t bridge, int32_t descriptor, selur_completion_t *batch, uint32_t capacity) {
    struct pollfd wanted = {.fd = descriptor, .events = POLLIN};
    uint32_t count = 0;
    while (count == 0) {
        if (poll(&wanted, 1, -1) < 0) {
            perror("poll");
            exit(1);
        }
        MUST(selur_completions_drain(bridge, batch, capacity, &count, &error));
    }
    return count;
}

int main(int count, char **arguments) {
    selur_bridge_t bridge = example_bridge(count, arguments);
    selur_completion_t batch[4];
    char ids[CONTAINERS][33];
    int32_t descriptor;
    uint64_t ticket, wait_ticket;
    int created = 0, deleted = 0;

    MUST(selur_completions_fd(bridge, &descriptor, &error));
    for (int at = 0; at < CONTAINERS; at++) {
        const char *fields[] = {example_image, "", "{\"command\":[\"sleep\",\"60\"]}"};
        MUST(selur_submit(bridge, SELUR_COMMAND_CREATE_CONTAINER, fields, 3, SELUR_DEADLINE_DEFAULT, &ticket, &error));
    }
    while (created < CONTAINERS) {
        uint32_t drained = next_batch(bridge, descriptor, batch, 4);
        for (uint32_t at = 0; at < drained; at++) {
            if (batch[at].status != SELUR_STATUS_SUCCESS || batch[at].length != 32) {
                fprintf(stderr, "a create gave %s\n", selur_status_name(batch[at].status));
                return 1;
            }
            MUST(selur_bytes_take(batch[at].data, (uint8_t *)ids[created], 32, &error));
            ids[created++][32] = 0;
        }
    }
    printf("created  %d containers at once\n", created);

    /* A wait that would take for ever, given up. */
    const char *first = ids[0];
    MUST(selur_submit(bridge, SELUR_COMMAND_WAIT_CONTAINER, &first, 1, SELUR_DEADLINE_NONE, &wait_ticket, &error));
    MUST(selur_cancel(bridge, wait_ticket, &error));
    next_batch(bridge, descriptor, batch, 1);
    printf("wait     %s\n", selur_status_name(batch[0].status));
    MUST(selur_bytes_free(batch[0].data));

    for (int at = 0; at < CONTAINERS; at++) {
        const char *fields[] = {ids[at], "force"};
        MUST(selur_submit(bridge, SELUR_COMMAND_DELETE_CONTAINER, fields, 2, SELUR_DEADLINE_DEFAULT, &ticket, &error));
    }
    while (deleted < CONTAINERS) {
        uint32_t drained = next_batch(bridge, descriptor, batch, 4);
        for (uint32_t at = 0; at < drained; at++) {
            deleted += batch[at].status == SELUR_STATUS_SUCCESS;
            MUST(selur_bytes_free(batch[at].data));
        }
    }
    printf("deleted  %d containers at once\n", deleted);
    MUST(selur_bridge_free(bridge));
    return 0;
}
