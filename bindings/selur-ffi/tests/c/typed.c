/* The typed calls, each once on its good way, and options. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "json.h"

#define DEFAULT SELUR_DEADLINE_DEFAULT

static void contains(selur_bytes_t bytes, const char *part) {
    char *text = text_of(bytes);
    if (strstr(text, part) == NULL) {
        FAIL("%.300s lacks %s", text, part);
    }
    free(text);
}

static void a_whole_life(void) {
    selur_bridge_t bridge = simulated_bridge(SELUR_DEADLINE_NONE);
    selur_container_id_t id;
    selur_bytes_t data;
    int32_t code = 0;
    WORKS(selur_create_container(bridge, "fault.test/ignore-term:latest", "web", "{\"labels\":{\"a\":\"b\"}}", DEFAULT,
                                 &id, &error));
    CHECK(strlen(id.text) == 32);
    WORKS(selur_list_containers(bridge, DEFAULT, &data, &error));
    contains(data, id.text);
    WORKS(selur_start_container(bridge, "web", DEFAULT, &error));
    WORKS(selur_top_container(bridge, "web", DEFAULT, &data, &error));
    contains(data, "[");
    WORKS(selur_pause_container(bridge, id.text, DEFAULT, &error));
    WORKS(selur_inspect_container(bridge, "web", DEFAULT, &data, &error));
    contains(data, "\"paused\"");
    WORKS(selur_resume_container(bridge, id.text, DEFAULT, &error));
    WORKS(selur_stop_container(bridge, "web", 0, DEFAULT, &error));
    WORKS(selur_wait_container(bridge, "web", DEFAULT, &code, &error));
    CHECK(code == 137);
    WORKS(selur_start_container(bridge, "web", DEFAULT, &error));
    WORKS(selur_kill_container(bridge, "web", NULL, DEFAULT, &error));
    WORKS(selur_wait_container(bridge, "web", DEFAULT, &code, &error));
    CHECK(code == 137);
    WORKS(selur_stop_container(bridge, "web", SELUR_STOP_TIMEOUT_DEFAULT, DEFAULT, &error));
    WORKS(selur_delete_container(bridge, "web", SELUR_DELETION_PLAIN, DEFAULT, &error));
    GIVES(SELUR_STATUS_CONTAINER_NOT_FOUND, selur_start_container(bridge, "web", DEFAULT, &error));
    WORKS(selur_list_containers(bridge, DEFAULT, &data, &error));
    CHECK(data == 0);
    WORKS(selur_bridge_free(bridge));
}

static void images_and_volumes(void) {
    selur_bridge_t bridge = simulated_bridge(SELUR_DEADLINE_NONE);
    selur_bytes_t data;
    WORKS(selur_pull_image(bridge, "nginx", DEFAULT, &data, &error));
    contains(data, "docker.io/library/nginx:latest");
    WORKS(selur_tag_image(bridge, "nginx", "team/app:v1", DEFAULT, &error));
    WORKS(selur_list_images(bridge, DEFAULT, &data, &error));
    contains(data, "docker.io/team/app:v1");
    WORKS(selur_push_image(bridge, "team/app:v1", DEFAULT, &data, &error));
    contains(data, "sha256:");
    WORKS(selur_delete_image(bridge, "team/app:v1", DEFAULT, &error));
    GIVES(SELUR_STATUS_IMAGE_NOT_FOUND, selur_delete_image(bridge, "team/app:v1", DEFAULT, &error));
    WORKS(selur_prune_images(bridge, NULL, DEFAULT, &data, &error));
    contains(data, "{");
    WORKS(selur_create_volume(bridge, "data", "{\"labels\":{\"a\":\"b\"}}", DEFAULT, &data, &error));
    contains(data, "\"data\"");
    GIVES(SELUR_STATUS_INVALID_STATE, selur_create_volume(bridge, "data", NULL, DEFAULT, &data, &error));
    WORKS(selur_inspect_volume(bridge, "data", DEFAULT, &data, &error));
    contains(data, "\"a\"");
    WORKS(selur_list_volumes(bridge, DEFAULT, &data, &error));
    contains(data, "[");
    WORKS(selur_delete_volume(bridge, "data", DEFAULT, &error));
    GIVES(SELUR_STATUS_VOLUME_NOT_FOUND, selur_delete_volume(bridge, "data", DEFAULT, &error));
    WORKS(selur_bridge_free(bridge));
}

static void requests_by_fields(void) {
    selur_bridge_t bridge = simulated_bridge(SELUR_DEADLINE_NONE);
    const char *fields[] = {"nginx", "web"};
    selur_bytes_t data;
    WORKS(selur_request(bridge, SELUR_COMMAND_CREATE_CONTAINER, fields, 2, DEFAULT, &data, &error));
    char *id = text_of(data);
    CHECK(strlen(id) == 32);
    free(id);
    WORKS(selur_request(bridge, SELUR_COMMAND_LIST_CONTAINERS, NULL, 0, DEFAULT, &data, &error));
    WORKS(selur_bytes_free(data));
    REFUSES(selur_request(bridge, 240, NULL, 0, DEFAULT, &data, &error));
    WORKS(selur_bridge_free(bridge));
}

static void a_ping_of_any_length(void) {
    selur_bridge_t bridge = simulated_bridge(SELUR_DEADLINE_NONE);
    static uint8_t sent[262144], received[262144];
    selur_bytes_t data;
    memset(sent, 'a', sizeof sent);
    for (uint32_t length = 0; length <= sizeof sent; length = length * 8 + (length == 0)) {
        WORKS(selur_ping(bridge, sent, length, DEFAULT, &data, &error));
        WORKS(selur_bytes_take(data, received, sizeof received, &error));
        CHECK(memcmp(sent, received, length) == 0);
    }
    sent[3] = 0xff;
    REFUSES(selur_ping(bridge, sent, 10, DEFAULT, &data, &error));
    WORKS(selur_bridge_free(bridge));
}

static void facts_of_a_bridge(void) {
    selur_bridge_t bridge = simulated_bridge(SELUR_DEADLINE_NONE);
    uint32_t bytes = 0;
    uint64_t before = 0, after = 0;
    selur_bytes_t data;
    WORKS(selur_bridge_memory_size(bridge, &bytes, &error));
    CHECK(bytes == 1048576);
    WORKS(selur_bridge_runtime(bridge, &data, &error));
    contains(data, "simulated");
    WORKS(selur_bridge_state_digest(bridge, &before, &error));
    selur_container_id_t id;
    WORKS(selur_create_container(bridge, "nginx", NULL, NULL, DEFAULT, &id, &error));
    WORKS(selur_bridge_state_digest(bridge, &after, &error));
    CHECK(before != after);
    WORKS(selur_bridge_free(bridge));
}

static void guests_from_elsewhere(void) {
    const char *path = getenv("SELUR_GUEST");
    if (path == NULL) {
        FAIL("SELUR_GUEST must name guest/selur.wasm of the source");
    }
    struct buffer guest = read_file(path);
    selur_options_t options;
    selur_bridge_t bridge = 0;
    WORKS(selur_options_new(&options, &error));
    WORKS(selur_options_set_runtime(options, SELUR_RUNTIME_SIMULATED, &error));
    WORKS(selur_options_set_guest_path(options, path, &error));
    WORKS(selur_bridge_new(options, &bridge, &error));
    WORKS(selur_bridge_free(bridge));
    WORKS(selur_options_set_guest_bytes(options, (const uint8_t *)guest.bytes, (uint32_t)guest.length, &error));
    WORKS(selur_bridge_new(options, &bridge, &error));
    WORKS(selur_bridge_free(bridge));
    bridge = 7;
    WORKS(selur_options_set_guest_bytes(options, (const uint8_t *)"no guest", 8, &error));
    REFUSES(selur_bridge_new(options, &bridge, &error));
    WORKS(selur_options_set_guest_path(options, "/no/such/file.wasm", &error));
    REFUSES(selur_bridge_new(options, &bridge, &error));
    CHECK(strstr(last_message(), "/no/such/file.wasm") != NULL && bridge == 7);
    WORKS(selur_options_free(options));
    buffer_free(&guest);
}

static void deadlines(void) {
    selur_bridge_t bridge = simulated_bridge(20);
    int32_t code;
    selur_container_id_t id;
    WORKS(selur_create_container(bridge, "nginx", "web", NULL, SELUR_DEADLINE_NONE, &id, &error));
    WORKS(selur_start_container(bridge, "web", SELUR_DEADLINE_NONE, &error));
    GIVES(SELUR_STATUS_TIMEOUT, selur_wait_container(bridge, "web", DEFAULT, &code, &error));
    uint64_t begin = now_ms();
    GIVES(SELUR_STATUS_TIMEOUT, selur_wait_container(bridge, "web", 60, &code, &error));
    CHECK(now_ms() - begin >= 59);
    WORKS(selur_bridge_free(bridge));
}

const struct test typed_tests[] = {
    {"a container is made, started, paused, resumed, stopped, killed and deleted", a_whole_life},
    {"images and volumes come and go", images_and_volumes},
    {"a request is made of its fields", requests_by_fields},
    {"a ping of any length comes back, and one that is not UTF-8 is refused", a_ping_of_any_length},
    {"a bridge tells its memory, its runtime and its digest", facts_of_a_bridge},
    {"a guest comes from a path or from bytes, and a broken one is refused", guests_from_elsewhere},
    {"the deadline of a call goes before that of the bridge", deadlines},
    {NULL, NULL},
};
