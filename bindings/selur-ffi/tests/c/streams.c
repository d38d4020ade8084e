/* Streams, read by blocking and by the queue, and written to. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

#define DEFAULT SELUR_DEADLINE_DEFAULT
#define PATIENCE_MS 30000

static selur_bridge_t bridge_with_web(void) {
    selur_bridge_t bridge = simulated_bridge(SELUR_DEADLINE_NONE);
    selur_container_id_t id;
    WORKS(selur_create_container(bridge, "nginx", "web", "{\"stdin\":true}", DEFAULT, &id, &error));
    WORKS(selur_start_container(bridge, "web", DEFAULT, &error));
    return bridge;
}

/* The next item, by blocking or by the queue. */
static selur_completion_t read_item(selur_bridge_t bridge, selur_stream_t stream, bool by_queue) {
    selur_completion_t item;
    uint64_t ticket;
    uint32_t count;
    if (!by_queue) {
        WORKS(selur_stream_next(stream, &item, &error));
        CHECK(item.ticket == 0);
        return item;
    }
    WORKS(selur_stream_submit_next(stream, &ticket, &error));
    WORKS(selur_completions_wait(bridge, PATIENCE_MS, &item, 1, &count, &error));
    CHECK(count == 1 && item.ticket == ticket);
    return item;
}

static void expect_item(selur_completion_t item, uint32_t kind, const char *data) {
    char *text = text_of(item.data);
    if (item.status != SELUR_STATUS_SUCCESS || item.kind != kind || strstr(text, data) == NULL) {
        FAIL("an item of status %u and kind %u came: %.300s", item.status, item.kind, text);
    }
    CHECK(strlen(text) == item.length);
    free(text);
}

static void an_exec(bool by_queue) {
    selur_bridge_t bridge = bridge_with_web();
    selur_stream_t stream;
    selur_completion_t item;
    WORKS(selur_exec(bridge, "web", "{\"command\":[\"echo\",\"hello\"]}", DEFAULT, &stream, &error));
    expect_item(read_item(bridge, stream, by_queue), SELUR_KIND_STDOUT, "hello\n");
    item = read_item(bridge, stream, by_queue);
    CHECK(item.kind == SELUR_KIND_ENDED && item.value == 0 && item.length == 0 && item.data == 0);
    for (int end = 0; end < 3; end++) {
        item = read_item(bridge, stream, by_queue);
        CHECK(item.kind == SELUR_KIND_END && item.status == SELUR_STATUS_SUCCESS);
    }
    WORKS(selur_stream_free(stream));
    WORKS(selur_bridge_free(bridge));
}

static void an_exec_by_blocking(void) { an_exec(false); }
static void an_exec_by_queue(void) { an_exec(true); }

static void an_answer(selur_bridge_t bridge, uint64_t ticket) {
    selur_completion_t done;
    uint32_t count;
    WORKS(selur_completions_wait(bridge, PATIENCE_MS, &done, 1, &count, &error));
    CHECK(done.ticket == ticket && done.status == SELUR_STATUS_SUCCESS && done.length == 0);
    CHECK(done.kind == SELUR_KIND_ANSWER);
}

static void an_input(void) {
    selur_bridge_t bridge = bridge_with_web();
    selur_stream_t stream;
    uint64_t ticket;
    WORKS(selur_exec(bridge, "web", "{\"command\":[\"cat\"],\"stdin\":true}", DEFAULT, &stream, &error));
    WORKS(selur_stream_write(stream, (const uint8_t *)"one", 3, &error));
    expect_item(read_item(bridge, stream, false), SELUR_KIND_STDOUT, "one");
    WORKS(selur_stream_submit_write(stream, (const uint8_t *)"two", 3, &ticket, &error));
    an_answer(bridge, ticket);
    expect_item(read_item(bridge, stream, true), SELUR_KIND_STDOUT, "two");
    WORKS(selur_stream_resize(stream, 40, 120, &error));
    expect_item(read_item(bridge, stream, true), SELUR_KIND_STDOUT, "40 120");
    WORKS(selur_stream_submit_resize(stream, 41, 121, &ticket, &error));
    an_answer(bridge, ticket);
    expect_item(read_item(bridge, stream, true), SELUR_KIND_STDOUT, "41 121");
    WORKS(selur_stream_end_input(stream, &error));
    selur_completion_t item = read_item(bridge, stream, false);
    CHECK(item.kind == SELUR_KIND_ENDED && item.value == 0);
    GIVES(SELUR_STATUS_INVALID_STATE, selur_stream_write(stream, (const uint8_t *)"late", 4, &error));
    WORKS(selur_stream_free(stream));
    WORKS(selur_exec(bridge, "web", "{\"command\":[\"cat\"],\"stdin\":true}", DEFAULT, &stream, &error));
    WORKS(selur_stream_submit_end_input(stream, &ticket, &error));
    an_answer(bridge, ticket);
    item = read_item(bridge, stream, false);
    CHECK(item.kind == SELUR_KIND_ENDED && item.value == 0);
    WORKS(selur_stream_free(stream));
    WORKS(selur_bridge_free(bridge));
}

static void every_kind_opens(void) {
    selur_bridge_t bridge = bridge_with_web();
    selur_stream_t events, stats, logs, attached, pull, push;
    WORKS(selur_events(bridge, NULL, DEFAULT, &events, &error));
    WORKS(selur_stats(bridge, "web", "{\"follow\":false}", DEFAULT, &stats, &error));
    expect_item(read_item(bridge, stats, false), SELUR_KIND_JSON, "\"cpu_ns\"");
    CHECK(read_item(bridge, stats, false).kind == SELUR_KIND_END);
    WORKS(selur_logs(bridge, "web", NULL, DEFAULT, &logs, &error));
    WORKS(selur_attach(bridge, "web", "{\"stdin\":true}", DEFAULT, &attached, &error));
    WORKS(selur_pull_image_with_progress(bridge, "busybox", DEFAULT, &pull, &error));
    selur_completion_t item = read_item(bridge, pull, true);
    while (item.kind == SELUR_KIND_JSON) {
        char *text = text_of(item.data);
        CHECK(strstr(text, "\"progress\"") != NULL || strstr(text, "\"pulled\"") != NULL);
        free(text);
        item = read_item(bridge, pull, true);
    }
    CHECK(item.kind == SELUR_KIND_END);
    WORKS(selur_push_image_with_progress(bridge, "busybox", DEFAULT, &push, &error));
    item = read_item(bridge, push, false);
    CHECK(item.kind == SELUR_KIND_JSON);
    WORKS(selur_bytes_free(item.data));
    WORKS(selur_kill_container(bridge, "web", NULL, DEFAULT, &error));
    expect_item(read_item(bridge, events, false), SELUR_KIND_JSON, "{\"event\":");
    WORKS(selur_stream_free(events));
    WORKS(selur_stream_free(stats));
    WORKS(selur_stream_free(logs));
    WORKS(selur_stream_free(attached));
    WORKS(selur_stream_free(pull));
    WORKS(selur_stream_free(push));
    WORKS(selur_bridge_free(bridge));
}

static void taken_by_its_id(void) {
    selur_bridge_t bridge = bridge_with_web();
    const char *fields[] = {"web", "{\"command\":[\"echo\",\"x\"]}"};
    selur_bytes_t data;
    selur_stream_t stream = 77;
    WORKS(selur_request(bridge, SELUR_COMMAND_EXEC, fields, 2, DEFAULT, &data, &error));
    char *text = text_of(data);
    uint64_t id = strtoull(text, NULL, 10);
    free(text);
    WORKS(selur_stream_take(bridge, id, &stream, &error));
    selur_stream_t other = 77;
    REFUSES(selur_stream_take(bridge, id, &other, &error));
    CHECK(other == 77);
    expect_item(read_item(bridge, stream, false), SELUR_KIND_STDOUT, "x\n");
    WORKS(selur_stream_free(stream));
    WORKS(selur_bridge_free(bridge));
}

static void one_read_at_a_time(void) {
    selur_bridge_t bridge = bridge_with_web();
    selur_stream_t events;
    selur_completion_t item;
    uint64_t first, second;
    uint32_t count;
    WORKS(selur_events(bridge, NULL, DEFAULT, &events, &error));
    WORKS(selur_stream_submit_next(events, &first, &error));
    REFUSES(selur_stream_submit_next(events, &second, &error));
    CHECK(strstr(last_message(), "under way") != NULL);
    REFUSES(selur_stream_next(events, &item, &error));
    REFUSES(selur_stream_write(events, (const uint8_t *)"x", 1, &error));
    /* A read that is cancelled loses nothing. */
    WORKS(selur_cancel(bridge, first, &error));
    WORKS(selur_completions_wait(bridge, PATIENCE_MS, &item, 1, &count, &error));
    CHECK(item.ticket == first && item.status == SELUR_STATUS_CANCELLED);
    WORKS(selur_bytes_free(item.data));
    WORKS(selur_pause_container(bridge, "web", DEFAULT, &error));
    expect_item(read_item(bridge, events, true), SELUR_KIND_JSON, "paused");
    WORKS(selur_stream_free(events));
    WORKS(selur_bridge_free(bridge));
}

static void freed_while_it_is_read(void) {
    selur_bridge_t bridge = bridge_with_web();
    selur_stream_t events;
    selur_completion_t item;
    uint64_t ticket;
    uint32_t count;
    WORKS(selur_events(bridge, NULL, DEFAULT, &events, &error));
    WORKS(selur_stream_submit_next(events, &ticket, &error));
    WORKS(selur_stream_free(events));
    WORKS(selur_completions_wait(bridge, PATIENCE_MS, &item, 1, &count, &error));
    CHECK(item.ticket == ticket && item.status == SELUR_STATUS_CANCELLED);
    WORKS(selur_bytes_free(item.data));
    REFUSES(selur_stream_next(events, &item, &error));
    WORKS(selur_bridge_free(bridge));
}

static void closed_while_it_is_read(void) {
    selur_bridge_t bridge = bridge_with_web();
    selur_stream_t events, logs;
    selur_completion_t item;
    uint64_t ticket;
    uint32_t count;
    WORKS(selur_events(bridge, NULL, DEFAULT, &events, &error));
    WORKS(selur_logs(bridge, "web", "{\"follow\":true}", DEFAULT, &logs, &error));
    WORKS(selur_stream_submit_next(events, &ticket, &error));
    WORKS(selur_bridge_close(bridge, &error));
    WORKS(selur_completions_wait(bridge, PATIENCE_MS, &item, 1, &count, &error));
    CHECK(item.ticket == ticket && item.status == SELUR_STATUS_CANCELLED);
    WORKS(selur_bytes_free(item.data));
    REFUSES(selur_stream_next(events, &item, &error));
    REFUSES(selur_stream_submit_next(logs, &ticket, &error));
    WORKS(selur_bridge_free(bridge));
    REFUSES(selur_stream_next(logs, &item, &error));
    WORKS(selur_stream_free(events));
    WORKS(selur_stream_free(logs));
}

static void *read_until_refused(void *argument) {
    selur_completion_t item;
    static selur_status_t status;
    do {
        status = selur_stream_next(*(selur_stream_t *)argument, &item, NULL);
        if (status == SELUR_STATUS_SUCCESS) {
            selur_bytes_free(item.data);
        }
    } while (status == SELUR_STATUS_SUCCESS);
    return &status;
}

static void a_free_wakes_a_reader(void) {
    selur_bridge_t bridge = bridge_with_web();
    selur_stream_t events;
    pthread_t thread;
    void *status;
    WORKS(selur_events(bridge, NULL, DEFAULT, &events, &error));
    CHECK(pthread_create(&thread, NULL, read_until_refused, &events) == 0);
    WORKS(selur_pause_container(bridge, "web", DEFAULT, &error));
    WORKS(selur_stream_free(events));
    CHECK(pthread_join(thread, &status) == 0);
    selur_status_t given = *(selur_status_t *)status;
    CHECK(given == SELUR_STATUS_CANCELLED || given == SELUR_STATUS_INVALID_REQUEST);
    WORKS(selur_bridge_free(bridge));
}

const struct test stream_tests[] = {
    {"an exec is read by blocking", an_exec_by_blocking},
    {"an exec is read by the queue", an_exec_by_queue},
    {"a process is written to, by blocking and by the queue", an_input},
    {"events, stats, logs, an attachment, a pull and a push are streams", every_kind_opens},
    {"a stream is taken by the id that its request was answered with, once", taken_by_its_id},
    {"one read is under way at a time, and one that is cancelled loses nothing", one_read_at_a_time},
    {"a stream that is freed answers its read", freed_while_it_is_read},
    {"a bridge that is closed answers the reads of its streams", closed_while_it_is_read},
    {"a free wakes a thread that reads", a_free_wakes_a_reader},
    {NULL, NULL},
};
