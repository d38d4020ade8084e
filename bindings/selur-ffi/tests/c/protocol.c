/* The header's own tables equal conformance/protocol.json, and its structures are laid out as other languages read them. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "json.h"

struct entry {
    const char *name;
    uint32_t code;
};

static const struct entry statuses[] = {
    {"success", SELUR_STATUS_SUCCESS},
    {"invalid_request", SELUR_STATUS_INVALID_REQUEST},
    {"container_not_found", SELUR_STATUS_CONTAINER_NOT_FOUND},
    {"container_already_exists", SELUR_STATUS_CONTAINER_ALREADY_EXISTS},
    {"network_error", SELUR_STATUS_NETWORK_ERROR},
    {"internal_error", SELUR_STATUS_INTERNAL_ERROR},
    {"invalid_state", SELUR_STATUS_INVALID_STATE},
    {"permission_denied", SELUR_STATUS_PERMISSION_DENIED},
    {"resource_exhausted", SELUR_STATUS_RESOURCE_EXHAUSTED},
    {"timeout", SELUR_STATUS_TIMEOUT},
    {"cancelled", SELUR_STATUS_CANCELLED},
    {"unsupported", SELUR_STATUS_UNSUPPORTED},
    {"image_not_found", SELUR_STATUS_IMAGE_NOT_FOUND},
    {"volume_not_found", SELUR_STATUS_VOLUME_NOT_FOUND},
};

static const struct entry commands[] = {
    {"ping", SELUR_COMMAND_PING},
    {"create_container", SELUR_COMMAND_CREATE_CONTAINER},
    {"start_container", SELUR_COMMAND_START_CONTAINER},
    {"stop_container", SELUR_COMMAND_STOP_CONTAINER},
    {"inspect_container", SELUR_COMMAND_INSPECT_CONTAINER},
    {"delete_container", SELUR_COMMAND_DELETE_CONTAINER},
    {"list_containers", SELUR_COMMAND_LIST_CONTAINERS},
    {"kill_container", SELUR_COMMAND_KILL_CONTAINER},
    {"pause_container", SELUR_COMMAND_PAUSE_CONTAINER},
    {"resume_container", SELUR_COMMAND_RESUME_CONTAINER},
    {"wait_container", SELUR_COMMAND_WAIT_CONTAINER},
    {"exec", SELUR_COMMAND_EXEC},
    {"logs", SELUR_COMMAND_LOGS},
    {"attach", SELUR_COMMAND_ATTACH},
    {"stats", SELUR_COMMAND_STATS},
    {"top", SELUR_COMMAND_TOP},
    {"events", SELUR_COMMAND_EVENTS},
    {"pull_image", SELUR_COMMAND_PULL_IMAGE},
    {"list_images", SELUR_COMMAND_LIST_IMAGES},
    {"delete_image", SELUR_COMMAND_DELETE_IMAGE},
    {"load_image", SELUR_COMMAND_LOAD_IMAGE},
    {"push_image", SELUR_COMMAND_PUSH_IMAGE},
    {"tag_image", SELUR_COMMAND_TAG_IMAGE},
    {"prune_images", SELUR_COMMAND_PRUNE_IMAGES},
    {"create_volume", SELUR_COMMAND_CREATE_VOLUME},
    {"inspect_volume", SELUR_COMMAND_INSPECT_VOLUME},
    {"list_volumes", SELUR_COMMAND_LIST_VOLUMES},
    {"delete_volume", SELUR_COMMAND_DELETE_VOLUME},
};

/* What Deno and other hosts read without a C compiler. */
_Static_assert(sizeof(selur_completion_t) == 40, "a completion has 40 bytes");
_Static_assert(offsetof(selur_completion_t, ticket) == 0, "ticket at 0");
_Static_assert(offsetof(selur_completion_t, data) == 8, "data at 8");
_Static_assert(offsetof(selur_completion_t, value) == 16, "value at 16");
_Static_assert(offsetof(selur_completion_t, length) == 24, "length at 24");
_Static_assert(offsetof(selur_completion_t, status) == 28, "status at 28");
_Static_assert(offsetof(selur_completion_t, kind) == 32, "kind at 32");
_Static_assert(sizeof(selur_slot_view_t) == 24 && offsetof(selur_slot_view_t, offset) == 20, "slot view");
_Static_assert(sizeof(selur_answer_t) == 24 && offsetof(selur_answer_t, offset) == 20, "answer");
_Static_assert(sizeof(selur_container_id_t) == 33, "a container's id has 33 bytes");

static void equal(const char *kind, const struct entry *entries, size_t count) {
    char path[4096];
    snprintf(path, sizeof path, "%s/protocol.json", conformance_folder());
    struct buffer content = read_file(path);
    struct json *protocol = json_parse(content.bytes, content.length);
    CHECK(protocol != NULL);
    const struct json *there = json_need(protocol, kind, JSON_LIST);
    if (there->count != count) {
        FAIL("the protocol has %zu %s, the header %zu", there->count, kind, count);
    }
    for (size_t at = 0; at < count; at++) {
        const char *name = json_need(&there->items[at], "name", JSON_TEXT)->text;
        long long code = json_integer(json_need(&there->items[at], "code", JSON_NUMBER));
        if (strcmp(name, entries[at].name) != 0 || code != entries[at].code) {
            FAIL("the header has %s = %u, the protocol %s = %lld", entries[at].name, entries[at].code, name, code);
        }
    }
    json_free(protocol);
    buffer_free(&content);
}

static void statuses_equal(void) {
    equal("statuses", statuses, sizeof statuses / sizeof *statuses);
    for (size_t at = 0; at < sizeof statuses / sizeof *statuses; at++) {
        CHECK(strcmp(selur_status_name(statuses[at].code), statuses[at].name) == 0);
    }
}

static void commands_equal(void) { equal("commands", commands, sizeof commands / sizeof *commands); }

static void unknown_codes_have_a_name(void) {
    CHECK(strcmp(selur_status_name(14), "unknown_error") == 0);
    CHECK(strcmp(selur_status_name(UINT32_MAX), "unknown_error") == 0);
}

static void versions(void) {
    CHECK(selur_abi_version() == SELUR_ABI_VERSION);
    CHECK(strchr(selur_version(), '.') != NULL);
    CHECK(strlen(selur_guest_sha256()) == 64);
}

const struct test protocol_tests[] = {
    {"the statuses equal those of protocol.json", statuses_equal},
    {"the commands equal those of protocol.json", commands_equal},
    {"a status that is not known is called unknown_error", unknown_codes_have_a_name},
    {"the library says which it is", versions},
    {NULL, NULL},
};
