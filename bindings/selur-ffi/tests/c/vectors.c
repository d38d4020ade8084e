/* Replays conformance/vectors, as conformance/README.md says: each vector on a fresh bridge, by each way that frames can go. */
#define _DEFAULT_SOURCE

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "json.h"

#define PATIENCE_MS 30000
/* A floor, so that lost vectors are noticed; the files say how many there are. */
#define AT_LEAST 550
#define MAX_NAMES 64

/* How a frame goes to the bridge. */
enum way { BY_CALL, BY_QUEUE, IN_PLACE };

struct reply {
    selur_status_t status;
    char *data;
    size_t length;
};

/* A submitted request. */
struct open_ticket {
    const char *name;
    uint64_t ticket;
    /* What refused it, if it was. */
    struct reply refusal;
    bool is_refused;
};

struct captured {
    char *name;
    char *text;
};

struct replay {
    const char *vector;
    size_t step;
    enum way way;
    selur_bridge_t bridge;
    struct open_ticket tickets[MAX_NAMES];
    size_t ticket_count;
    struct captured captured[MAX_NAMES];
    size_t captured_count;
    /* Answers that nobody has awaited yet. */
    selur_completion_t *early;
    size_t early_count;
};

#define BROKEN(format, ...) FAIL("%s, step %zu: " format, replay->vector, replay->step, __VA_ARGS__)

static const char *capture_of(void *context, const char *name) {
    struct replay *replay = context;
    for (size_t at = 0; at < replay->captured_count; at++) {
        if (strcmp(replay->captured[at].name, name) == 0) {
            return replay->captured[at].text;
        }
    }
    return NULL;
}

static void capture(struct replay *replay, const char *name, const char *text, size_t length) {
    size_t at = 0;
    while (at < replay->captured_count && strcmp(replay->captured[at].name, name) != 0) {
        at++;
    }
    if (at == replay->captured_count) {
        CHECK(replay->captured_count < MAX_NAMES);
        replay->captured[replay->captured_count++] = (struct captured){strdup(name), NULL};
    }
    free(replay->captured[at].text);
    replay->captured[at].text = strndup(text, length);
    CHECK(replay->captured[at].name != NULL && replay->captured[at].text != NULL);
}

static void add_hex(struct buffer *out, const char *hex) {
    for (; hex[0] != 0 && hex[1] != 0; hex += 2) {
        char digits[3] = {hex[0], hex[1], 0};
        char *end;
        char byte = (char)strtoul(digits, &end, 16);
        CHECK(*end == 0);
        buffer_add(out, &byte, 1);
    }
    CHECK(hex[0] == 0);
}

static void add_field(struct buffer *out, const struct json *object, const char *name) {
    const struct json *text = json_field(object, name);
    if (text != NULL) {
        buffer_add(out, text->text, text->length);
    }
}

static void add_text(struct replay *replay, struct buffer *out, const struct json *text) {
    if (text->kind == JSON_TEXT && text->text[0] == '$') {
        const char *found = capture_of(replay, text->text + 1);
        if (found == NULL) {
            BROKEN("nothing was captured as %s", text->text + 1);
        }
        buffer_text(out, found);
    } else if (text->kind == JSON_TEXT) {
        buffer_add(out, text->text, text->length);
    } else if (json_field(text, "json") != NULL) {
        json_write(json_field(text, "json"), out, capture_of, replay);
    } else {
        const struct json *repeat = json_need(text, "repeat", JSON_TEXT);
        long long count = json_integer(json_need(text, "count", JSON_NUMBER));
        add_field(out, text, "before");
        while (count-- > 0) {
            buffer_add(out, repeat->text, repeat->length);
        }
        add_field(out, text, "after");
    }
}

static uint32_t code_of(const char *command) {
    char path[4096];
    static struct json *protocol;
    if (protocol == NULL) {
        snprintf(path, sizeof path, "%s/protocol.json", conformance_folder());
        struct buffer content = read_file(path);
        protocol = json_parse(content.bytes, content.length);
        CHECK(protocol != NULL);
        buffer_free(&content);
    }
    const struct json *commands = json_need(protocol, "commands", JSON_LIST);
    for (size_t at = 0; at < commands->count; at++) {
        if (strcmp(json_need(&commands->items[at], "name", JSON_TEXT)->text, command) == 0) {
            return (uint32_t)json_integer(json_need(&commands->items[at], "code", JSON_NUMBER));
        }
    }
    FAIL("no command is called %s", command);
}

static struct buffer frame_of(struct replay *replay, const struct json *text) {
    struct buffer frame = {0};
    struct buffer payload = {0};
    const struct json *field = json_field(text, "frame_hex");
    buffer_add(&frame, "", 0);
    if (field != NULL) {
        add_hex(&frame, field->text);
        return frame;
    }
    field = json_field(text, "command");
    uint32_t code = field != NULL ? code_of(field->text)
                                  : (uint32_t)json_integer(json_need(text, "code", JSON_NUMBER));
    if ((field = json_field(text, "fields")) != NULL) {
        for (size_t at = 0; at < field->count; at++) {
            if (at > 0) {
                buffer_add(&payload, "", 1);
            }
            add_text(replay, &payload, &field->items[at]);
        }
    } else if ((field = json_field(text, "payload")) != NULL) {
        add_text(replay, &payload, field);
    } else if ((field = json_field(text, "payload_hex")) != NULL) {
        add_hex(&payload, field->text);
    }
    field = json_field(text, "length");
    uint32_t length = field != NULL ? (uint32_t)json_integer(field) : (uint32_t)payload.length;
    unsigned char header[5] = {(unsigned char)code, (unsigned char)length, (unsigned char)(length >> 8),
                               (unsigned char)(length >> 16), (unsigned char)(length >> 24)};
    buffer_add(&frame, header, sizeof header);
    buffer_add(&frame, payload.bytes, payload.length);
    buffer_free(&payload);
    return frame;
}

/* A copy of what a status came with: the data of a success, the message of an error, which are freed. */
static struct reply reply_of(selur_status_t status, selur_bytes_t bytes, selur_error_t error) {
    selur_view_t view;
    struct reply reply = {status, NULL, 0};
    if (status == SELUR_STATUS_SUCCESS) {
        CHECK(error == 0);
        CHECK(selur_bytes_view(bytes, &view, NULL) == SELUR_STATUS_SUCCESS);
        reply.length = view.length;
        reply.data = malloc(reply.length + 1);
        CHECK(reply.data != NULL);
        memcpy(reply.data, view.data, reply.length + 1);
        CHECK(selur_bytes_free(bytes) == SELUR_STATUS_SUCCESS);
    } else {
        CHECK(error != 0 && selur_error_status(error) == status);
        reply.data = strdup(selur_error_message(error));
        CHECK(reply.data != NULL);
        reply.length = strlen(reply.data);
        CHECK(selur_error_free(error) == SELUR_STATUS_SUCCESS);
    }
    return reply;
}

static struct reply reply_of_completion(const selur_completion_t *completion) {
    struct reply reply = {completion->status, malloc((size_t)completion->length + 1), completion->length};
    CHECK(reply.data != NULL && completion->kind == SELUR_KIND_ANSWER && completion->reserved == 0);
    WORKS(selur_bytes_take(completion->data, (uint8_t *)reply.data, completion->length, &error));
    reply.data[reply.length] = 0;
    return reply;
}

static struct reply await(struct replay *replay, uint64_t ticket) {
    uint64_t until = now_ms() + PATIENCE_MS;
    for (;;) {
        for (size_t at = 0; at < replay->early_count; at++) {
            if (replay->early[at].ticket == ticket) {
                selur_completion_t found = replay->early[at];
                replay->early[at] = replay->early[--replay->early_count];
                return reply_of_completion(&found);
            }
        }
        selur_completion_t batch[16];
        uint32_t count = 0;
        uint64_t now = now_ms();
        if (now >= until || selur_completions_wait(replay->bridge, (uint32_t)(until - now), batch, 16, &count,
                                                   NULL) != SELUR_STATUS_SUCCESS) {
            BROKEN("no response came within %d ms", PATIENCE_MS);
        }
        size_t size = (replay->early_count + count) * sizeof *replay->early;
        replay->early = realloc(replay->early, size);
        CHECK(replay->early != NULL);
        memcpy(replay->early + replay->early_count, batch, count * sizeof *batch);
        replay->early_count += count;
    }
}

/* Submits a frame to the queue, written in place or copied. */
static struct open_ticket submit(struct replay *replay, const struct buffer *frame) {
    struct open_ticket open = {0};
    selur_error_t error = 0;
    selur_status_t status =
        selur_submit_frame(replay->bridge, (const uint8_t *)frame->bytes, (uint32_t)frame->length,
                           SELUR_DEADLINE_DEFAULT, &open.ticket, &error);
    if (status != SELUR_STATUS_SUCCESS) {
        open.is_refused = true;
        open.refusal = reply_of(status, 0, error);
    }
    return open;
}

static struct reply call_in_place(struct replay *replay, const struct buffer *frame) {
    selur_slot_view_t slot;
    selur_answer_t answer;
    selur_error_t error = 0;
    selur_status_t status = selur_slot_reserve(replay->bridge, (uint32_t)frame->length,
                                               SELUR_DEADLINE_DEFAULT, &slot, &error);
    if (status != SELUR_STATUS_SUCCESS) {
        return reply_of(status, 0, error);
    }
    memcpy(slot.data, frame->bytes, frame->length);
    status = selur_slot_submit(slot.slot, (uint32_t)frame->length, &answer, &error);
    struct reply reply;
    if (status != SELUR_STATUS_SUCCESS) {
        reply = reply_of(status, 0, error);
    } else if (answer.ticket != 0) {
        reply = await(replay, answer.ticket);
    } else {
        reply = (struct reply){status, malloc((size_t)answer.length + 1), answer.length};
        CHECK(reply.data != NULL);
        memcpy(reply.data, answer.data, answer.length);
        reply.data[answer.length] = 0;
    }
    WORKS(selur_slot_release(slot.slot));
    return reply;
}

static struct reply call(struct replay *replay, const struct buffer *frame) {
    selur_bytes_t data = 0;
    selur_error_t error = 0;
    if (replay->way == IN_PLACE) {
        return call_in_place(replay, frame);
    }
    if (replay->way == BY_QUEUE) {
        struct open_ticket open = submit(replay, frame);
        return open.is_refused ? open.refusal : await(replay, open.ticket);
    }
    selur_status_t status = selur_call(replay->bridge, (const uint8_t *)frame->bytes,
                                       (uint32_t)frame->length, SELUR_DEADLINE_DEFAULT, &data, &error);
    return reply_of(status, data, error);
}

static bool is_of_kind(const struct reply *reply, const char *kind) {
    if (strcmp(kind, "container_id") == 0) {
        return reply->length == 32 && strspn(reply->data, "0123456789abcdef") == 32;
    }
    if (strcmp(kind, "stream_id") == 0) {
        size_t digits = strspn(reply->data, "0123456789");
        return digits == reply->length && digits > 0 && digits <= 20 && reply->data[0] != '0';
    }
    return false;
}

/* What is wrong with the data of a success, or NULL. */
static const char *data_fault(struct replay *replay, const struct json *expect, const struct reply *reply) {
    const struct json *data = json_field(expect, "data");
    const struct json *lines = json_field(expect, "lines");
    const struct json *kind = json_field(expect, "data_is");
    const struct json *part = json_field(expect, "json");
    struct buffer exact = {0};
    buffer_add(&exact, "", 0);
    if (data != NULL) {
        add_text(replay, &exact, data);
    }
    for (size_t line = 0; lines != NULL && line < lines->count; line++) {
        buffer_text(&exact, line > 0 ? "\n" : "");
        add_text(replay, &exact, &lines->items[line]);
    }
    bool is_exact = data != NULL || lines != NULL || (kind == NULL && part == NULL);
    bool is_equal = exact.length == reply->length && memcmp(exact.bytes, reply->data, exact.length) == 0;
    buffer_free(&exact);
    if (is_exact && !is_equal) {
        return "other data came";
    }
    if (kind != NULL && !is_of_kind(reply, kind->text)) {
        return "the data is of another kind";
    }
    if (part != NULL) {
        struct json *whole = json_parse(reply->data, reply->length);
        bool is_in = whole != NULL && json_contains(whole, part, capture_of, replay);
        json_free(whole);
        return is_in ? NULL : "the JSON lacks something";
    }
    return NULL;
}

/* What is wrong with a response, or NULL. */
static const char *fault(struct replay *replay, const struct json *expect, const struct reply *reply) {
    const char *status = json_need(expect, "status", JSON_TEXT)->text;
    if (strcmp(selur_status_name(reply->status), status) != 0) {
        return status;
    }
    if (reply->status == SELUR_STATUS_SUCCESS) {
        return data_fault(replay, expect, reply);
    }
    if (reply->length == 0) {
        return "the message is empty";
    }
    const struct json *parts = json_field(expect, "message_contains");
    for (size_t at = 0; parts != NULL && at < parts->count; at++) {
        struct buffer part = {0};
        buffer_add(&part, "", 0);
        add_text(replay, &part, &parts->items[at]);
        bool is_in = strstr(reply->data, part.bytes) != NULL;
        buffer_free(&part);
        if (!is_in) {
            return "the message lacks something";
        }
    }
    return NULL;
}

/* Checks a response and frees it. Says whether it is as expected; if it must be, anything else fails the test. */
static bool check(struct replay *replay, const struct json *expect, struct reply reply, bool must) {
    const char *wrong = fault(replay, expect, &reply);
    if (wrong != NULL && must) {
        BROKEN("%s; it was %s: %.300s", wrong, selur_status_name(reply.status), reply.data);
    }
    const struct json *names = json_field(expect, "capture");
    for (size_t at = 0; wrong == NULL && names != NULL && at < names->count; at++) {
        size_t length = (size_t)json_integer(&names->items[at]);
        CHECK(length <= reply.length);
        capture(replay, names->items[at].name, reply.data, length);
    }
    free(reply.data);
    return wrong == NULL;
}

static void do_request(struct replay *replay, const struct json *step) {
    const struct json *expect = json_need(step, "expect", JSON_OBJECT);
    const struct json *times = json_field(step, "times");
    struct buffer frame = frame_of(replay, json_need(step, "request", JSON_OBJECT));
    bool eventually = json_field(step, "eventually") != NULL;
    long long count = times == NULL ? 1 : json_integer(times);
    for (; count > 0; count--) {
        uint64_t until = now_ms() + PATIENCE_MS;
        while (!check(replay, expect, call(replay, &frame), !eventually || now_ms() > until)) {
        }
    }
    buffer_free(&frame);
}

static struct open_ticket *find_ticket(struct replay *replay, const char *name) {
    for (size_t at = 0; at < replay->ticket_count; at++) {
        if (strcmp(replay->tickets[at].name, name) == 0) {
            return &replay->tickets[at];
        }
    }
    BROKEN("no request is called %s", name);
}

static void do_submit(struct replay *replay, const struct json *step) {
    struct buffer frame = frame_of(replay, json_need(step, "submit", JSON_OBJECT));
    CHECK(replay->ticket_count < MAX_NAMES);
    struct open_ticket open = submit(replay, &frame);
    open.name = json_need(step, "as", JSON_TEXT)->text;
    replay->tickets[replay->ticket_count++] = open;
    buffer_free(&frame);
}

static void do_await(struct replay *replay, const struct json *step) {
    struct open_ticket *open = find_ticket(replay, json_need(step, "await", JSON_TEXT)->text);
    struct reply reply = open->is_refused ? open->refusal : await(replay, open->ticket);
    *open = replay->tickets[--replay->ticket_count];
    check(replay, json_need(step, "expect", JSON_OBJECT), reply, true);
}

static void do_cancel(struct replay *replay, const struct json *step) {
    struct open_ticket *open = find_ticket(replay, json_need(step, "cancel", JSON_TEXT)->text);
    if (!open->is_refused) {
        WORKS(selur_cancel(replay->bridge, open->ticket, &error));
    }
}

static void do_exit(struct replay *replay, const struct json *step) {
    const char *name = json_need(step, "exit", JSON_TEXT)->text;
    const char *container = capture_of(replay, name + 1);
    CHECK(name[0] == '$' && container != NULL);
    WORKS(selur_kill_container(replay->bridge, container, "SIGUSR1", SELUR_DEADLINE_DEFAULT, &error));
}

static void do_step(struct replay *replay, const struct json *step) {
    if (json_field(step, "request") != NULL) {
        do_request(replay, step);
    } else if (json_field(step, "submit") != NULL) {
        do_submit(replay, step);
    } else if (json_field(step, "await") != NULL) {
        do_await(replay, step);
    } else if (json_field(step, "cancel") != NULL) {
        do_cancel(replay, step);
    } else if (json_field(step, "exit") != NULL) {
        do_exit(replay, step);
    } else {
        BROKEN("%s", "this step is none that the harness knows");
    }
}

static void replay_vector(const struct json *vector, enum way way) {
    struct replay replay = {.vector = json_need(vector, "name", JSON_TEXT)->text, .way = way};
    const struct json *deadline = json_field(vector, "deadline_ms");
    const struct json *steps = json_need(vector, "steps", JSON_LIST);
    replay.bridge =
        simulated_bridge(deadline == NULL ? SELUR_DEADLINE_NONE : (uint32_t)json_integer(deadline));
    CHECK(steps->count > 0);
    for (size_t at = 0; at < steps->count; at++) {
        replay.step = at + 1;
        do_step(&replay, &steps->items[at]);
    }
    WORKS(selur_bridge_free(replay.bridge));
    for (size_t at = 0; at < replay.captured_count; at++) {
        free(replay.captured[at].name);
        free(replay.captured[at].text);
    }
    for (size_t at = 0; at < replay.early_count; at++) {
        WORKS(selur_bytes_free(replay.early[at].data));
    }
    for (size_t at = 0; at < replay.ticket_count; at++) {
        free(replay.tickets[at].refusal.data);
    }
    free(replay.early);
}

static int is_vector_file(const struct dirent *entry) {
    size_t length = strlen(entry->d_name);
    return length > 5 && strcmp(entry->d_name + length - 5, ".json") == 0;
}

static void replay_all(enum way way) {
    char path[4096];
    struct dirent **entries;
    size_t ran = 0, there = 0, position = 0;
    /* Under valgrind, where a bridge takes long to make, each vector goes one way, and each way has its share. */
    bool rotates = getenv("SELUR_VECTORS_ROTATE") != NULL;
    snprintf(path, sizeof path, "%s/vectors", conformance_folder());
    int count = scandir(path, &entries, is_vector_file, alphasort);
    if (count <= 0) {
        FAIL("%s holds no vectors", path);
    }
    for (int file = 0; file < count; file++) {
        snprintf(path, sizeof path, "%s/vectors/%s", conformance_folder(), entries[file]->d_name);
        struct buffer content = read_file(path);
        struct json *whole = json_parse(content.bytes, content.length);
        if (whole == NULL) {
            FAIL("%s is no JSON", path);
        }
        const struct json *vectors = json_need(whole, "vectors", JSON_LIST);
        there += vectors->count;
        for (size_t at = 0; at < vectors->count; at++) {
            if (!rotates || position % 3 == (size_t)way) {
                replay_vector(&vectors->items[at], way);
                ran++;
            }
            position++;
        }
        json_free(whole);
        buffer_free(&content);
        free(entries[file]);
    }
    free(entries);
    CHECK(there >= AT_LEAST && position == there);
    CHECK(ran == (rotates ? (there + 2 - (size_t)way) / 3 : there));
    printf("%zu vectors ... ", ran);
}

static void vectors_hold_by_call(void) { replay_all(BY_CALL); }
static void vectors_hold_by_queue(void) { replay_all(BY_QUEUE); }
static void vectors_hold_in_place(void) { replay_all(IN_PLACE); }

const struct test vector_tests[] = {
    {"every vector holds when its frames are called", vectors_hold_by_call},
    {"every vector holds when its frames are submitted to the queue", vectors_hold_by_queue},
    {"every vector holds when its frames are written in place", vectors_hold_in_place},
    {NULL, NULL},
};
