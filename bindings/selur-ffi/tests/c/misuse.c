/* What callers must not do, and what they get: a status, and nothing else happens. */
#include <stdlib.h>
#include <string.h>

#include "check.h"

#define DEFAULT SELUR_DEADLINE_DEFAULT

static void freed_twice(void) {
    selur_options_t options;
    selur_bytes_t bytes;
    selur_arena_view_t arena;
    selur_slot_view_t slot;
    selur_stream_t stream;
    selur_error_t kept = 0;
    WORKS(selur_options_new(&options, &error));
    selur_bridge_t bridge = simulated_bridge(SELUR_DEADLINE_NONE);
    WORKS(selur_ping(bridge, (const uint8_t *)"a", 1, DEFAULT, &bytes, &error));
    WORKS(selur_arena_open(bridge, &arena, &error));
    WORKS(selur_slot_reserve(bridge, 100, DEFAULT, &slot, &error));
    WORKS(selur_events(bridge, NULL, DEFAULT, &stream, &error));
    CHECK(selur_start_container(bridge, "none", DEFAULT, &kept) == SELUR_STATUS_CONTAINER_NOT_FOUND);
    for (int round = 0; round < 3; round++) {
        selur_status_t expected = round == 0 ? SELUR_STATUS_SUCCESS : SELUR_STATUS_INVALID_REQUEST;
        GIVES(expected, selur_options_free(options));
        GIVES(expected, selur_bytes_free(bytes));
        GIVES(expected, selur_arena_free(arena.arena));
        GIVES(expected, selur_slot_release(slot.slot));
        GIVES(expected, selur_stream_free(stream));
        GIVES(expected, selur_error_free(kept));
        GIVES(expected, selur_bridge_free(bridge));
    }
}

static void nothing_is_freed(void) {
    WORKS(selur_options_free(0));
    WORKS(selur_bytes_free(0));
    WORKS(selur_arena_free(0));
    WORKS(selur_slot_release(0));
    WORKS(selur_stream_free(0));
    WORKS(selur_error_free(0));
    WORKS(selur_bridge_free(0));
}

/* Every function that takes a bridge, with one that is none. */
static void no_bridge(selur_bridge_t bridge) {
    selur_bytes_t bytes = 77;
    selur_container_id_t id;
    selur_stream_t stream = 77;
    selur_slot_view_t slot;
    selur_arena_view_t arena;
    selur_completion_t completion;
    uint64_t number = 77;
    uint32_t count = 77;
    int32_t code = 77;
    const uint8_t *ping = (const uint8_t *)"\0\0\0\0\0";
    REFUSES(selur_bridge_close(bridge, &error));
    REFUSES(selur_bridge_memory_size(bridge, &count, &error));
    REFUSES(selur_bridge_runtime(bridge, &bytes, &error));
    REFUSES(selur_bridge_state_digest(bridge, &number, &error));
    REFUSES(selur_arena_open(bridge, &arena, &error));
    REFUSES(selur_call(bridge, ping, 5, DEFAULT, &bytes, &error));
    REFUSES(selur_request(bridge, SELUR_COMMAND_PING, NULL, 0, DEFAULT, &bytes, &error));
    REFUSES(selur_submit(bridge, SELUR_COMMAND_PING, NULL, 0, DEFAULT, &number, &error));
    REFUSES(selur_submit_frame(bridge, ping, 5, DEFAULT, &number, &error));
    REFUSES(selur_cancel(bridge, 1, &error));
    REFUSES(selur_abandon(bridge, SELUR_COMMAND_PING, NULL, 0, &error));
    REFUSES(selur_completions_wait(bridge, 0, &completion, 1, &count, &error));
    REFUSES(selur_completions_ready(bridge, 0, &error));
    REFUSES(selur_completions_drain(bridge, &completion, 1, &count, &error));
    REFUSES(selur_completions_fd(bridge, &code, &error));
    REFUSES(selur_slot_reserve(bridge, 5, DEFAULT, &slot, &error));
    REFUSES(selur_ping(bridge, NULL, 0, DEFAULT, &bytes, &error));
    REFUSES(selur_create_container(bridge, "nginx", NULL, NULL, DEFAULT, &id, &error));
    REFUSES(selur_start_container(bridge, "web", DEFAULT, &error));
    REFUSES(selur_stop_container(bridge, "web", 0, DEFAULT, &error));
    REFUSES(selur_inspect_container(bridge, "web", DEFAULT, &bytes, &error));
    REFUSES(selur_delete_container(bridge, "web", SELUR_DELETION_FORCE, DEFAULT, &error));
    REFUSES(selur_list_containers(bridge, DEFAULT, &bytes, &error));
    REFUSES(selur_kill_container(bridge, "web", NULL, DEFAULT, &error));
    REFUSES(selur_pause_container(bridge, "web", DEFAULT, &error));
    REFUSES(selur_resume_container(bridge, "web", DEFAULT, &error));
    REFUSES(selur_wait_container(bridge, "web", DEFAULT, &code, &error));
    REFUSES(selur_top_container(bridge, "web", DEFAULT, &bytes, &error));
    REFUSES(selur_exec(bridge, "web", "{\"command\":[\"ls\"]}", DEFAULT, &stream, &error));
    REFUSES(selur_logs(bridge, "web", NULL, DEFAULT, &stream, &error));
    REFUSES(selur_attach(bridge, "web", NULL, DEFAULT, &stream, &error));
    REFUSES(selur_stats(bridge, "web", NULL, DEFAULT, &stream, &error));
    REFUSES(selur_events(bridge, NULL, DEFAULT, &stream, &error));
    REFUSES(selur_stream_take(bridge, 1, &stream, &error));
    REFUSES(selur_pull_image_with_progress(bridge, "nginx", DEFAULT, &stream, &error));
    REFUSES(selur_push_image_with_progress(bridge, "nginx", DEFAULT, &stream, &error));
    REFUSES(selur_pull_image(bridge, "nginx", DEFAULT, &bytes, &error));
    REFUSES(selur_list_images(bridge, DEFAULT, &bytes, &error));
    REFUSES(selur_delete_image(bridge, "nginx", DEFAULT, &error));
    REFUSES(selur_load_image(bridge, "/nowhere", NULL, DEFAULT, &bytes, &error));
    REFUSES(selur_push_image(bridge, "nginx", DEFAULT, &bytes, &error));
    REFUSES(selur_tag_image(bridge, "nginx", "other", DEFAULT, &error));
    REFUSES(selur_prune_images(bridge, NULL, DEFAULT, &bytes, &error));
    REFUSES(selur_create_volume(bridge, "data", NULL, DEFAULT, &bytes, &error));
    REFUSES(selur_inspect_volume(bridge, "data", DEFAULT, &bytes, &error));
    REFUSES(selur_list_volumes(bridge, DEFAULT, &bytes, &error));
    REFUSES(selur_delete_volume(bridge, "data", DEFAULT, &error));
    /* Results are written on success only. */
    CHECK(bytes == 77 && stream == 77 && number == 77 && count == 77 && code == 77);
}

static void used_after_free(void) {
    selur_bridge_t bridge = simulated_bridge(SELUR_DEADLINE_NONE);
    selur_options_t options;
    WORKS(selur_bridge_free(bridge));
    no_bridge(bridge);
    WORKS(selur_options_new(&options, &error));
    no_bridge(options);
    no_bridge(0);
    no_bridge(UINT64_MAX);
    no_bridge(bridge ^ 1);
    /* Neither do options that were freed make a bridge. */
    WORKS(selur_options_free(options));
    REFUSES(selur_bridge_new(options, &bridge, &error));
    REFUSES(selur_options_set_runtime(options, SELUR_RUNTIME_SIMULATED, &error));
    REFUSES(selur_options_set_default_deadline(options, 1, &error));
    REFUSES(selur_options_set_state_root(options, "/tmp", &error));
    REFUSES(selur_options_set_shim(options, "/tmp", &error));
    REFUSES(selur_options_set_docker_socket(options, "/tmp", &error));
    REFUSES(selur_options_set_guest_path(options, "/tmp", &error));
    REFUSES(selur_options_set_guest_bytes(options, NULL, 0, &error));
}

static void null_is_refused(void) {
    selur_bridge_t bridge = simulated_bridge(SELUR_DEADLINE_NONE);
    selur_options_t options;
    selur_bytes_t bytes;
    selur_stream_t stream;
    selur_container_id_t id;
    uint64_t number;
    uint32_t count;
    selur_completion_t completion;
    const char *fields[] = {"nginx", NULL};
    WORKS(selur_options_new(&options, &error));
    REFUSES(selur_options_new(NULL, &error));
    REFUSES(selur_options_set_guest_path(options, NULL, &error));
    REFUSES(selur_options_set_guest_bytes(options, NULL, 8, &error));
    REFUSES(selur_options_set_state_root(options, NULL, &error));
    REFUSES(selur_options_set_shim(options, NULL, &error));
    REFUSES(selur_options_set_docker_socket(options, NULL, &error));
    REFUSES(selur_bridge_new(options, NULL, &error));
    REFUSES(selur_bridge_memory_size(bridge, NULL, &error));
    REFUSES(selur_call(bridge, NULL, 5, DEFAULT, &bytes, &error));
    CHECK(strstr(last_message(), "NULL") != NULL);
    REFUSES(selur_call(bridge, NULL, 0, DEFAULT, &bytes, &error));
    CHECK(strstr(last_message(), "the frame is empty") != NULL);
    REFUSES(selur_call(bridge, (const uint8_t *)"\0\0\0\0\0", 5, DEFAULT, NULL, &error));
    REFUSES(selur_request(bridge, SELUR_COMMAND_CREATE_CONTAINER, NULL, 2, DEFAULT, &bytes, &error));
    REFUSES(selur_request(bridge, SELUR_COMMAND_CREATE_CONTAINER, fields, 2, DEFAULT, &bytes, &error));
    REFUSES(selur_submit(bridge, SELUR_COMMAND_CREATE_CONTAINER, fields, 2, DEFAULT, &number, &error));
    REFUSES(selur_submit_frame(bridge, NULL, 9, DEFAULT, &number, &error));
    REFUSES(selur_completions_wait(bridge, 0, NULL, 1, &count, &error));
    REFUSES(selur_completions_wait(bridge, 0, &completion, 0, &count, &error));
    REFUSES(selur_completions_drain(bridge, NULL, 1, &count, &error));
    REFUSES(selur_completions_fd(bridge, NULL, &error));
    REFUSES(selur_create_container(bridge, NULL, NULL, NULL, DEFAULT, &id, &error));
    REFUSES(selur_create_container(bridge, "nginx", NULL, NULL, DEFAULT, NULL, &error));
    REFUSES(selur_start_container(bridge, NULL, DEFAULT, &error));
    REFUSES(selur_exec(bridge, "web", NULL, DEFAULT, &stream, &error));
    REFUSES(selur_exec(bridge, NULL, "{}", DEFAULT, &stream, &error));
    REFUSES(selur_slot_reserve(bridge, 5, DEFAULT, NULL, &error));
    REFUSES(selur_stream_take(bridge, 1, NULL, &error));
    /* No place for an error is no fault. */
    CHECK(selur_start_container(bridge, NULL, DEFAULT, NULL) == SELUR_STATUS_INVALID_REQUEST);
    /* A create whose result had no place was not carried out. */
    WORKS(selur_list_containers(bridge, DEFAULT, &bytes, &error));
    CHECK(bytes == 0);
    WORKS(selur_options_free(options));
    WORKS(selur_bridge_free(bridge));
}

static void nonsense_is_refused(void) {
    selur_bridge_t bridge = simulated_bridge(SELUR_DEADLINE_NONE);
    selur_options_t options;
    selur_container_id_t id;
    selur_stream_t stream;
    selur_bytes_t bytes;
    WORKS(selur_options_new(&options, &error));
    REFUSES(selur_options_set_runtime(options, 99, &error));
    REFUSES(selur_options_set_guest_path(options, "\xff\xfe", &error));
    REFUSES(selur_create_container(bridge, "\xff\xfe", NULL, NULL, DEFAULT, &id, &error));
    REFUSES(selur_create_container(bridge, "nginx", NULL, "{\"no_such_field\":1}", DEFAULT, &id, &error));
    CHECK(strstr(last_message(), "no_such_field") != NULL);
    WORKS(selur_create_container(bridge, "nginx", "web", NULL, DEFAULT, &id, &error));
    REFUSES(selur_delete_container(bridge, "web", 7, DEFAULT, &error));
    REFUSES(selur_stop_container(bridge, "web", -2, DEFAULT, &error));
    REFUSES(selur_stop_container(bridge, "web", INT64_MAX, DEFAULT, &error));
    REFUSES(selur_kill_container(bridge, "web", "SIGNONE", DEFAULT, &error));
    REFUSES(selur_stream_take(bridge, 12345, &stream, &error));
    REFUSES(selur_bytes_view(12345, &(selur_view_t){0}, &error));
    REFUSES(selur_bytes_take(12345, (uint8_t *)&id, sizeof id, &error));
    WORKS(selur_inspect_container(bridge, "web", DEFAULT, &bytes, &error));
    REFUSES(selur_bytes_take(bytes, (uint8_t *)&id, 3, &error));
    REFUSES(selur_bytes_take(bytes, NULL, 65536, &error));
    WORKS(selur_bytes_free(bytes));
    WORKS(selur_options_free(options));
    WORKS(selur_bridge_free(bridge));
}

static void messages_of_no_error(void) {
    selur_error_t kept = 0;
    CHECK(strlen(selur_error_message(0)) > 0);
    CHECK(strlen(selur_error_message(UINT64_MAX)) > 0);
    CHECK(selur_error_status(0) == SELUR_STATUS_INVALID_REQUEST);
    CHECK(selur_bridge_close(0, &kept) == SELUR_STATUS_INVALID_REQUEST && kept != 0);
    CHECK(strstr(selur_error_message(kept), "bridge") != NULL);
    WORKS(selur_error_free(kept));
    CHECK(strstr(selur_error_message(kept), "names no error") != NULL);
}

static void closed_bridge(void) {
    selur_bridge_t bridge = simulated_bridge(SELUR_DEADLINE_NONE);
    selur_bytes_t bytes;
    selur_slot_view_t slot;
    selur_container_id_t id;
    uint64_t ticket;
    WORKS(selur_bridge_close(bridge, &error));
    WORKS(selur_bridge_close(bridge, &error));
    REFUSES(selur_ping(bridge, NULL, 0, DEFAULT, &bytes, &error));
    REFUSES(selur_create_container(bridge, "nginx", NULL, NULL, DEFAULT, &id, &error));
    REFUSES(selur_submit(bridge, SELUR_COMMAND_PING, NULL, 0, DEFAULT, &ticket, &error));
    REFUSES(selur_slot_reserve(bridge, 5, DEFAULT, &slot, &error));
    WORKS(selur_bridge_free(bridge));
}

const struct test misuse_tests[] = {
    {"what is freed twice is refused the second time", freed_twice},
    {"nothing can be freed", nothing_is_freed},
    {"a handle that was freed, made up or of another kind is refused by every function", used_after_free},
    {"NULL is refused, and nothing is carried out without a place for its result", null_is_refused},
    {"nonsense is refused", nonsense_is_refused},
    {"there is a message also where there is no error", messages_of_no_error},
    {"a closed bridge refuses everything", closed_bridge},
    {NULL, NULL},
};
