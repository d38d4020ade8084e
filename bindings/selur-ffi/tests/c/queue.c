/* The completion queue: waiting, draining, polling, cancelling, closing. */
#define _POSIX_C_SOURCE 200809L

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

#define DEFAULT SELUR_DEADLINE_DEFAULT
#define PATIENCE_MS 30000

static uint64_t submit(selur_bridge_t bridge, uint32_t command, const char *field) {
    uint64_t ticket = 0;
    WORKS(selur_submit(bridge, command, &field, 1, DEFAULT, &ticket, &error));
    CHECK(ticket != 0);
    return ticket;
}

static selur_completion_t next(selur_bridge_t bridge) {
    selur_completion_t completion;
    uint32_t count = 0;
    WORKS(selur_completions_wait(bridge, PATIENCE_MS, &completion, 1, &count, &error));
    CHECK(count == 1);
    return completion;
}

static bool is_readable(int descriptor, int timeout_ms) {
    struct pollfd wanted = {.fd = descriptor, .events = POLLIN};
    return poll(&wanted, 1, timeout_ms) == 1 && (wanted.revents & POLLIN) != 0;
}

static void batches(void) {
    enum { COUNT = 300 };
    selur_bridge_t bridge = simulated_bridge(SELUR_DEADLINE_NONE);
    selur_completion_t batch[64];
    uint64_t tickets[COUNT];
    bool seen[COUNT] = {false};
    uint32_t count = 77, all = 0;
    WORKS(selur_completions_drain(bridge, batch, 64, &count, &error));
    CHECK(count == 0);
    GIVES(SELUR_STATUS_TIMEOUT, selur_completions_ready(bridge, 0, &error));
    for (int at = 0; at < COUNT; at++) {
        tickets[at] = submit(bridge, SELUR_COMMAND_CREATE_CONTAINER, "nginx");
    }
    while (all < COUNT) {
        /* Waiting takes nothing. */
        WORKS(selur_completions_ready(bridge, PATIENCE_MS, &error));
        WORKS(selur_completions_ready(bridge, 0, &error));
        WORKS(selur_completions_wait(bridge, PATIENCE_MS, batch, 64, &count, &error));
        CHECK(count >= 1 && count <= 64);
        for (uint32_t at = 0; at < count; at++) {
            uint32_t which = 0;
            while (tickets[which] != batch[at].ticket) {
                which++;
                CHECK(which < COUNT);
            }
            CHECK(!seen[which] && batch[at].status == SELUR_STATUS_SUCCESS && batch[at].length == 32);
            seen[which] = true;
            WORKS(selur_bytes_free(batch[at].data));
        }
        all += count;
    }
    GIVES(SELUR_STATUS_TIMEOUT, selur_completions_wait(bridge, 10, batch, 64, &count, &error));
    GIVES(SELUR_STATUS_TIMEOUT, selur_completions_wait(bridge, 0, batch, 64, &count, &error));
    WORKS(selur_bridge_free(bridge));
}

static void polling(void) {
    selur_bridge_t bridge = simulated_bridge(SELUR_DEADLINE_NONE);
    int32_t descriptor = -1, again = -1;
    selur_completion_t completion;
    WORKS(selur_completions_fd(bridge, &descriptor, &error));
    WORKS(selur_completions_fd(bridge, &again, &error));
    CHECK(descriptor >= 0 && again == descriptor);
    CHECK(!is_readable(descriptor, 0));
    submit(bridge, SELUR_COMMAND_CREATE_CONTAINER, "nginx");
    CHECK(is_readable(descriptor, PATIENCE_MS));
    completion = next(bridge);
    WORKS(selur_bytes_free(completion.data));
    CHECK(!is_readable(descriptor, 0));
    WORKS(selur_bridge_close(bridge, &error));
    CHECK(is_readable(descriptor, 0));
    WORKS(selur_bridge_free(bridge));
}

static void cancelling(void) {
    selur_bridge_t bridge = simulated_bridge(SELUR_DEADLINE_NONE);
    uint64_t create = submit(bridge, SELUR_COMMAND_CREATE_CONTAINER, "fault.test/hang:create");
    WORKS(selur_cancel(bridge, create, &error));
    selur_completion_t completion = next(bridge);
    CHECK(completion.ticket == create && completion.status == SELUR_STATUS_CANCELLED);
    char *message = text_of(completion.data);
    CHECK(strlen(message) == completion.length && completion.length > 0);
    free(message);
    /* One that was answered, and one that never was. */
    WORKS(selur_cancel(bridge, create, &error));
    WORKS(selur_cancel(bridge, UINT64_MAX, &error));
    WORKS(selur_bridge_free(bridge));
}

static void abandoning(void) {
    selur_bridge_t bridge = simulated_bridge(SELUR_DEADLINE_NONE);
    selur_stream_t stream;
    submit(bridge, SELUR_COMMAND_CREATE_CONTAINER, "nginx");
    char *id = text_of(next(bridge).data);
    uint32_t length = (uint32_t)strlen(id);
    /* What made nothing is left alone, and so is what is there. */
    WORKS(selur_abandon(bridge, SELUR_COMMAND_START_CONTAINER, (const uint8_t *)id, length, &error));
    WORKS(selur_abandon(bridge, SELUR_COMMAND_CREATE_CONTAINER, NULL, 0, &error));
    WORKS(selur_start_container(bridge, id, DEFAULT, &error));
    WORKS(selur_abandon(bridge, SELUR_COMMAND_CREATE_CONTAINER, (const uint8_t *)id, length, &error));
    int32_t code;
    GIVES(SELUR_STATUS_CONTAINER_NOT_FOUND, selur_wait_container(bridge, id, DEFAULT, &code, &error));
    free(id);

    submit(bridge, SELUR_COMMAND_EVENTS, "");
    char *number = text_of(next(bridge).data);
    length = (uint32_t)strlen(number);
    WORKS(selur_abandon(bridge, SELUR_COMMAND_EVENTS, (const uint8_t *)number, length, &error));
    REFUSES(selur_stream_take(bridge, strtoull(number, NULL, 10), &stream, &error));
    free(number);

    REFUSES(selur_abandon(bridge, 0x63, NULL, 0, &error));
    REFUSES(selur_abandon(bridge, SELUR_COMMAND_EVENTS, NULL, 1, &error));
    WORKS(selur_bridge_free(bridge));
}

static void a_deadline_passes(void) {
    selur_bridge_t bridge = simulated_bridge(SELUR_DEADLINE_NONE);
    const char *image = "fault.test/hang:create";
    uint64_t ticket;
    WORKS(selur_submit(bridge, SELUR_COMMAND_CREATE_CONTAINER, &image, 1, 20, &ticket, &error));
    selur_completion_t completion = next(bridge);
    CHECK(completion.ticket == ticket && completion.status == SELUR_STATUS_TIMEOUT);
    WORKS(selur_bytes_free(completion.data));
    WORKS(selur_bridge_free(bridge));
}

static void failures_are_answers(void) {
    selur_bridge_t bridge = simulated_bridge(SELUR_DEADLINE_NONE);
    uint64_t ticket;
    WORKS(selur_submit_frame(bridge, (const uint8_t *)"\x63", 1, DEFAULT, &ticket, &error));
    selur_completion_t completion = next(bridge);
    CHECK(completion.ticket == ticket && completion.status == SELUR_STATUS_INVALID_REQUEST);
    WORKS(selur_bytes_free(completion.data));
    WORKS(selur_bridge_free(bridge));
}

static void closing_answers_everything(void) {
    enum { COUNT = 50 };
    selur_bridge_t bridge = simulated_bridge(SELUR_DEADLINE_NONE);
    selur_completion_t batch[COUNT];
    uint32_t count = 0, all = 0;
    for (int at = 0; at < COUNT; at++) {
        submit(bridge, SELUR_COMMAND_CREATE_CONTAINER, "fault.test/hang:create");
    }
    WORKS(selur_bridge_close(bridge, &error));
    while (all < COUNT) {
        WORKS(selur_completions_wait(bridge, PATIENCE_MS, batch, COUNT, &count, &error));
        for (uint32_t at = 0; at < count; at++) {
            CHECK(batch[at].status == SELUR_STATUS_CANCELLED);
            WORKS(selur_bytes_free(batch[at].data));
        }
        all += count;
    }
    CHECK(all == COUNT);
    GIVES(SELUR_STATUS_CANCELLED,
          selur_completions_wait(bridge, SELUR_DEADLINE_NONE, batch, COUNT, &count, &error));
    GIVES(SELUR_STATUS_CANCELLED, selur_completions_ready(bridge, SELUR_DEADLINE_NONE, &error));
    WORKS(selur_bridge_free(bridge));
}

static void *wait_for_ever(void *argument) {
    selur_bridge_t bridge = *(selur_bridge_t *)argument;
    selur_completion_t completion;
    uint32_t count;
    static selur_status_t status;
    status = selur_completions_wait(bridge, SELUR_DEADLINE_NONE, &completion, 1, &count, NULL);
    return &status;
}

static void freeing_wakes_who_waits(void) {
    selur_bridge_t bridge = simulated_bridge(SELUR_DEADLINE_NONE);
    pthread_t thread;
    void *status;
    CHECK(pthread_create(&thread, NULL, wait_for_ever, &bridge) == 0);
    WORKS(selur_bridge_close(bridge, &error));
    WORKS(selur_bridge_free(bridge));
    CHECK(pthread_join(thread, &status) == 0);
    /* It had begun to wait, or came too late for that. */
    selur_status_t given = *(selur_status_t *)status;
    CHECK(given == SELUR_STATUS_CANCELLED || given == SELUR_STATUS_INVALID_REQUEST);
}

static void undrained_answers_are_freed(void) {
    selur_bridge_t bridge = simulated_bridge(SELUR_DEADLINE_NONE);
    for (int at = 0; at < 20; at++) {
        submit(bridge, SELUR_COMMAND_CREATE_CONTAINER, "nginx");
    }
    WORKS(selur_bridge_free(bridge));
}

static void the_queue_has_an_end(void) {
    selur_bridge_t bridge = simulated_bridge(SELUR_DEADLINE_NONE);
    selur_completion_t batch[256];
    uint64_t ticket;
    uint32_t count, all = 0, submitted = 0;
    const uint8_t *ping = (const uint8_t *)"\0\1\0\0\0a";
    while (selur_submit_frame(bridge, ping, 6, DEFAULT, &ticket, NULL) == SELUR_STATUS_SUCCESS) {
        submitted++;
        CHECK(submitted <= 32768);
    }
    CHECK(submitted == 32768);
    GIVES(SELUR_STATUS_RESOURCE_EXHAUSTED, selur_submit_frame(bridge, ping, 6, DEFAULT, &ticket, &error));
    do {
        WORKS(selur_completions_drain(bridge, batch, 256, &count, &error));
        for (uint32_t at = 0; at < count; at++) {
            WORKS(selur_bytes_free(batch[at].data));
        }
        all += count;
    } while (count > 0);
    CHECK(all == submitted);
    WORKS(selur_submit_frame(bridge, ping, 6, DEFAULT, &ticket, &error));
    WORKS(selur_bridge_free(bridge));
}

const struct test queue_tests[] = {
    {"answers come in batches, each once", batches},
    {"the descriptor is readable exactly while there is something to drain", polling},
    {"a cancelled request is answered so", cancelling},
    {"what was made for nobody is undone", abandoning},
    {"a request whose deadline passes is answered so", a_deadline_passes},
    {"what is wrong with a frame is its answer", failures_are_answers},
    {"a close answers every open ticket", closing_answers_everything},
    {"a free wakes who waits", freeing_wakes_who_waits},
    {"a free drops what was not drained", undrained_answers_are_freed},
    {"the queue takes 32,768 answers and then says so", the_queue_has_an_end},
    {NULL, NULL},
};
