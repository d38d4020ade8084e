/* Requests that are written in place. */
#include <stdlib.h>
#include <string.h>

#include "check.h"

#define DEFAULT SELUR_DEADLINE_DEFAULT

/* Writes a frame; gives its length. */
static uint32_t write_frame(uint8_t *into, uint8_t command, const char *payload) {
    uint32_t length = (uint32_t)strlen(payload);
    into[0] = command;
    into[1] = (uint8_t)length;
    into[2] = (uint8_t)(length >> 8);
    into[3] = (uint8_t)(length >> 16);
    into[4] = (uint8_t)(length >> 24);
    memcpy(into + 5, payload, length);
    return length + 5;
}

static void answered_in_place(void) {
    selur_bridge_t bridge = simulated_bridge(SELUR_DEADLINE_NONE);
    selur_slot_view_t slot;
    selur_answer_t answer;
    selur_arena_view_t arena;
    WORKS(selur_arena_open(bridge, &arena, &error));
    WORKS(selur_slot_reserve(bridge, 100, DEFAULT, &slot, &error));
    CHECK(slot.capacity >= 100 && slot.data == arena.data + slot.offset);
    CHECK(slot.offset + slot.capacity <= arena.length);
    for (int round = 0; round < 1000; round++) {
        uint32_t length = write_frame(slot.data, SELUR_COMMAND_PING, round % 2 == 0 ? "hello" : "hello again");
        WORKS(selur_slot_submit(slot.slot, length, &answer, &error));
        CHECK(answer.ticket == 0 && answer.length == length - 5);
        CHECK(memcmp(answer.data, "hello again", answer.length) == 0);
        CHECK(answer.data == arena.data + answer.offset);
        CHECK(answer.data >= slot.data && answer.data + answer.length <= slot.data + slot.capacity);
    }
    WORKS(selur_slot_release(slot.slot));
    WORKS(selur_arena_free(arena.arena));
    WORKS(selur_bridge_free(bridge));
}

static void pending_submission(void) {
    selur_bridge_t bridge = simulated_bridge(SELUR_DEADLINE_NONE);
    selur_slot_view_t slot;
    selur_answer_t answer;
    selur_completion_t completion;
    uint32_t count;
    WORKS(selur_slot_reserve(bridge, 100, DEFAULT, &slot, &error));
    uint32_t length = write_frame(slot.data, SELUR_COMMAND_CREATE_CONTAINER, "nginx");
    WORKS(selur_slot_submit(slot.slot, length, &answer, &error));
    CHECK(answer.ticket != 0 && answer.data == NULL);
    WORKS(selur_completions_wait(bridge, 30000, &completion, 1, &count, &error));
    CHECK(count == 1 && completion.ticket == answer.ticket && completion.length == 32);
    CHECK(completion.status == SELUR_STATUS_SUCCESS && completion.kind == SELUR_KIND_ANSWER);
    WORKS(selur_bytes_free(completion.data));
    /* The slot was handed over for good. */
    REFUSES(selur_slot_submit(slot.slot, length, &answer, &error));
    WORKS(selur_slot_release(slot.slot));
    REFUSES(selur_slot_submit(slot.slot, length, &answer, &error));
    WORKS(selur_bridge_free(bridge));
}

static void refusals(void) {
    selur_bridge_t bridge = simulated_bridge(SELUR_DEADLINE_NONE);
    selur_slot_view_t slot;
    selur_answer_t answer = {.ticket = 77};
    selur_bytes_t ids;
    /* The first request that is not a ping lists what exists, which takes longer. */
    WORKS(selur_list_containers(bridge, DEFAULT, &ids, &error));
    REFUSES(selur_slot_reserve(bridge, 262150, DEFAULT, &slot, &error));
    REFUSES(selur_slot_reserve(bridge, UINT32_MAX, DEFAULT, &slot, &error));
    WORKS(selur_slot_reserve(bridge, 100, DEFAULT, &slot, &error));
    REFUSES(selur_slot_submit(slot.slot, slot.capacity + 1, &answer, &error));
    uint32_t length = write_frame(slot.data, SELUR_COMMAND_START_CONTAINER, "none");
    GIVES(SELUR_STATUS_CONTAINER_NOT_FOUND, selur_slot_submit(slot.slot, length, &answer, &error));
    REFUSES(selur_slot_submit(slot.slot, length - 1, &answer, &error));
    REFUSES(selur_slot_submit(slot.slot, 0, &answer, &error));
    CHECK(answer.ticket == 77);
    /* After a refusal the slot takes another frame. */
    length = write_frame(slot.data, SELUR_COMMAND_PING, "still here");
    WORKS(selur_slot_submit(slot.slot, length, &answer, &error));
    CHECK(answer.length == 10);
    WORKS(selur_slot_release(slot.slot));
    WORKS(selur_bridge_free(bridge));
}

static void a_full_arena(void) {
    selur_bridge_t bridge = simulated_bridge(SELUR_DEADLINE_NONE);
    selur_slot_view_t slots[64];
    size_t count = 0;
    while (count < 64 && selur_slot_reserve(bridge, 65536, DEFAULT, &slots[count], NULL) == SELUR_STATUS_SUCCESS) {
        memset(slots[count].data, (int)count, slots[count].capacity);
        count++;
    }
    CHECK(count >= 4 && count < 64);
    GIVES(SELUR_STATUS_RESOURCE_EXHAUSTED, selur_slot_reserve(bridge, 65536, DEFAULT, &slots[count], &error));
    for (size_t at = 0; at < count; at++) {
        for (uint32_t byte = 0; byte < slots[at].capacity; byte++) {
            CHECK(slots[at].data[byte] == at);
        }
        WORKS(selur_slot_release(slots[at].slot));
    }
    WORKS(selur_slot_reserve(bridge, 262149, DEFAULT, &slots[0], &error));
    WORKS(selur_slot_release(slots[0].slot));
    WORKS(selur_bridge_free(bridge));
}

static void memory_outlives_the_bridge(void) {
    selur_bridge_t bridge = simulated_bridge(SELUR_DEADLINE_NONE);
    selur_slot_view_t written, pending, answered;
    selur_arena_view_t arena;
    selur_answer_t answer, ticket;
    WORKS(selur_slot_reserve(bridge, 300, DEFAULT, &written, &error));
    WORKS(selur_slot_reserve(bridge, 300, DEFAULT, &pending, &error));
    WORKS(selur_slot_reserve(bridge, 300, DEFAULT, &answered, &error));
    WORKS(selur_arena_open(bridge, &arena, &error));
    WORKS(selur_slot_submit(pending.slot, write_frame(pending.data, SELUR_COMMAND_CREATE_CONTAINER, "nginx"), &ticket,
                            &error));
    WORKS(selur_slot_submit(answered.slot, write_frame(answered.data, SELUR_COMMAND_PING, "kept"), &answer, &error));
    WORKS(selur_bridge_free(bridge));
    /* Every view still shows memory: a caller that is late does no harm. */
    memset(written.data, 1, written.capacity);
    memset(pending.data, 2, pending.capacity);
    CHECK(memcmp(answer.data, "kept", 4) == 0);
    CHECK(arena.data[written.offset] == 1 && arena.data[arena.length - 1] <= 255);
    REFUSES(selur_slot_submit(written.slot, 5, &answer, &error));
    WORKS(selur_slot_release(written.slot));
    WORKS(selur_slot_release(answered.slot));
    memset(pending.data, 3, pending.capacity);
    WORKS(selur_slot_release(pending.slot));
    CHECK(arena.data[pending.offset] == 3);
    WORKS(selur_arena_free(arena.arena));
}

static void an_answer_longer_than_its_slot(void) {
    selur_bridge_t bridge = simulated_bridge(SELUR_DEADLINE_NONE);
    selur_container_id_t id;
    selur_slot_view_t slot;
    selur_answer_t answer;
    for (int count = 0; count < 40; count++) {
        WORKS(selur_create_container(bridge, "nginx", NULL, NULL, DEFAULT, &id, &error));
    }
    WORKS(selur_slot_reserve(bridge, 5, DEFAULT, &slot, &error));
    WORKS(selur_slot_submit(slot.slot, write_frame(slot.data, SELUR_COMMAND_LIST_CONTAINERS, ""), &answer, &error));
    CHECK(answer.ticket == 0 && answer.length == 40 * 33 - 1 && answer.offset == SELUR_NOT_IN_ARENA);
    CHECK(memcmp(answer.data + answer.length - 32, id.text, 32) == 0);
    WORKS(selur_slot_release(slot.slot));
    WORKS(selur_bridge_free(bridge));
}

const struct test slot_tests[] = {
    {"a ping is answered where it was written, as often as one likes", answered_in_place},
    {"what takes longer is answered by the queue, and its slot is spent", pending_submission},
    {"a refusal leaves the slot as it was, for another frame", refusals},
    {"a full arena refuses at once, and is as at the start when all is released", a_full_arena},
    {"views stay valid when the bridge is freed first", memory_outlives_the_bridge},
    {"an answer longer than its slot lies elsewhere", an_answer_longer_than_its_slot},
    {NULL, NULL},
};
