/* Many threads on one bridge, and bridges that are freed while they are used. */
#define _POSIX_C_SOURCE 200809L

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

#define DEFAULT SELUR_DEADLINE_DEFAULT
#define THREADS 8
#define ROUNDS 40

struct worker {
    pthread_t thread;
    selur_bridge_t bridge;
    int number;
    /* How many calls were refused because the bridge was gone. */
    int refused;
};

static void *whole_lives(void *argument) {
    struct worker *worker = argument;
    selur_slot_view_t slot;
    WORKS(selur_slot_reserve(worker->bridge, 64, DEFAULT, &slot, &error));
    for (int round = 0; round < ROUNDS; round++) {
        char name[32];
        selur_container_id_t id;
        selur_answer_t answer;
        selur_bytes_t json;
        selur_stream_t stream;
        selur_completion_t item;
        int32_t code;
        snprintf(name, sizeof name, "c%d-%d", worker->number, round);
        WORKS(selur_create_container(worker->bridge, "nginx", name, NULL, DEFAULT, &id, &error));
        WORKS(selur_start_container(worker->bridge, name, DEFAULT, &error));
        WORKS(selur_exec(worker->bridge, name, "{\"command\":[\"echo\",\"x\"]}", DEFAULT, &stream, &error));
        WORKS(selur_stream_next(stream, &item, &error));
        WORKS(selur_bytes_free(item.data));
        WORKS(selur_stream_free(stream));
        for (int ping = 0; ping < 50; ping++) {
            char digits[16];
            snprintf(digits, sizeof digits, "%04d", worker->number * 1000 + ping);
            memcpy(slot.data, "\0\4\0\0\0", 5);
            memcpy(slot.data + 5, digits, 4);
            WORKS(selur_slot_submit(slot.slot, 9, &answer, &error));
            CHECK(answer.length == 4 && memcmp(answer.data, digits, 4) == 0);
        }
        WORKS(selur_inspect_container(worker->bridge, id.text, DEFAULT, &json, &error));
        WORKS(selur_bytes_free(json));
        WORKS(selur_kill_container(worker->bridge, name, "SIGKILL", DEFAULT, &error));
        WORKS(selur_wait_container(worker->bridge, name, DEFAULT, &code, &error));
        CHECK(code == 137);
        WORKS(selur_delete_container(worker->bridge, name, SELUR_DELETION_PLAIN, DEFAULT, &error));
    }
    WORKS(selur_slot_release(slot.slot));
    return NULL;
}

static void run(void *(*work)(void *), struct worker *workers, selur_bridge_t bridge) {
    for (int at = 0; at < THREADS; at++) {
        workers[at] = (struct worker){.bridge = bridge, .number = at};
        CHECK(pthread_create(&workers[at].thread, NULL, work, &workers[at]) == 0);
    }
}

static void join(struct worker *workers) {
    for (int at = 0; at < THREADS; at++) {
        CHECK(pthread_join(workers[at].thread, NULL) == 0);
    }
}

static void eight_threads(void) {
    struct worker workers[THREADS];
    selur_bytes_t ids;
    selur_bridge_t bridge = simulated_bridge(SELUR_DEADLINE_NONE);
    run(whole_lives, workers, bridge);
    join(workers);
    WORKS(selur_list_containers(bridge, DEFAULT, &ids, &error));
    CHECK(ids == 0);
    WORKS(selur_bridge_free(bridge));
}

/* Uses the bridge in every way until it is gone. */
static void *use_until_gone(void *argument) {
    struct worker *worker = argument;
    selur_status_t status;
    do {
        selur_bytes_t data = 0;
        selur_completion_t completion;
        selur_slot_view_t slot;
        uint64_t ticket;
        uint32_t count;
        const char *image = "nginx";
        if (selur_submit(worker->bridge, SELUR_COMMAND_CREATE_CONTAINER, &image, 1, DEFAULT, &ticket, NULL) ==
                SELUR_STATUS_SUCCESS &&
            selur_completions_wait(worker->bridge, SELUR_DEADLINE_NONE, &completion, 1, &count, NULL) ==
                SELUR_STATUS_SUCCESS) {
            selur_bytes_free(completion.data);
        }
        if (selur_slot_reserve(worker->bridge, 64, DEFAULT, &slot, NULL) == SELUR_STATUS_SUCCESS) {
            selur_answer_t answer;
            memset(slot.data, 0, slot.capacity);
            selur_slot_submit(slot.slot, 5, &answer, NULL);
            memset(slot.data, 0, slot.capacity);
            WORKS(selur_slot_release(slot.slot));
        }
        status = selur_list_containers(worker->bridge, DEFAULT, &data, NULL);
        if (status == SELUR_STATUS_SUCCESS) {
            selur_bytes_free(data);
        }
    } while (status == SELUR_STATUS_SUCCESS);
    CHECK(status == SELUR_STATUS_INVALID_REQUEST || status == SELUR_STATUS_CANCELLED);
    worker->refused++;
    return NULL;
}

static void freed_while_it_is_used(void) {
    for (int round = 0; round < 10; round++) {
        struct worker workers[THREADS];
        selur_bytes_t data;
        selur_bridge_t bridge = simulated_bridge(SELUR_DEADLINE_NONE);
        run(use_until_gone, workers, bridge);
        for (int ping = 0; ping < 100 * round; ping++) {
            WORKS(selur_ping(bridge, (const uint8_t *)"x", 1, DEFAULT, &data, &error));
            WORKS(selur_bytes_free(data));
        }
        WORKS(selur_bridge_free(bridge));
        join(workers);
        for (int at = 0; at < THREADS; at++) {
            CHECK(workers[at].refused == 1);
        }
    }
}

/* All threads free the same bridge and the same bytes: one succeeds. */
static pthread_barrier_t together;
static int freed_bridges, freed_bytes;
static selur_bytes_t shared_bytes;

static void *free_it(void *argument) {
    struct worker *worker = argument;
    pthread_barrier_wait(&together);
    if (selur_bytes_free(shared_bytes) == SELUR_STATUS_SUCCESS) {
        __atomic_add_fetch(&freed_bytes, 1, __ATOMIC_SEQ_CST);
    }
    if (selur_bridge_free(worker->bridge) == SELUR_STATUS_SUCCESS) {
        __atomic_add_fetch(&freed_bridges, 1, __ATOMIC_SEQ_CST);
    }
    return NULL;
}

static void freed_by_all(void) {
    struct worker workers[THREADS];
    selur_bridge_t bridge = simulated_bridge(SELUR_DEADLINE_NONE);
    freed_bridges = freed_bytes = 0;
    WORKS(selur_ping(bridge, (const uint8_t *)"x", 1, DEFAULT, &shared_bytes, &error));
    CHECK(pthread_barrier_init(&together, NULL, THREADS) == 0);
    run(free_it, workers, bridge);
    join(workers);
    pthread_barrier_destroy(&together);
    CHECK(freed_bridges == 1 && freed_bytes == 1);
}

const struct test thread_tests[] = {
    {"eight threads live through whole lives on one bridge, and nothing is left", eight_threads},
    {"a bridge is freed while eight threads use it", freed_while_it_is_used},
    {"of eight threads that free the same thing one succeeds", freed_by_all},
    {NULL, NULL},
};
