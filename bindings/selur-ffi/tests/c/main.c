/* Runs every test of the C harness, one after another, and says how many there were.
 *
 *   selur-tests [part of a sentence]     only the tests whose sentence contains it
 */
#define _POSIX_C_SOURCE 200809L

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "check.h"

static _Thread_local char message[4096];
static const char *running = "";

_Noreturn void fail_at(const char *file, int line, const char *format, ...) {
    va_list arguments;
    printf("FAILED\n\n%s:%d: %s: ", file, line, running);
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n\ntest result: FAILED. 0 passed; 1 failed; 0 ignored\n");
    exit(1);
}

void check_status(const char *file, int line, const char *call, selur_status_t expected, selur_status_t status,
                  selur_error_t error) {
    snprintf(message, sizeof message, "%s", error == 0 ? "" : selur_error_message(error));
    if (status != expected) {
        fail_at(file, line, "%s gave %s instead of %s: %s", call, selur_status_name(status),
                selur_status_name(expected), message);
    }
    if (error != 0) {
        if (selur_error_status(error) != status) {
            fail_at(file, line, "%s gave another status than its error has", call);
        }
        if (message[0] == 0 || status == SELUR_STATUS_SUCCESS) {
            fail_at(file, line, "%s gave an error with a success, or without a message", call);
        }
        if (selur_error_free(error) != SELUR_STATUS_SUCCESS) {
            fail_at(file, line, "the error of %s cannot be freed", call);
        }
    }
}

const char *last_message(void) { return message; }

selur_bridge_t simulated_bridge(uint32_t deadline_ms) {
    selur_options_t options;
    selur_bridge_t bridge;
    WORKS(selur_options_new(&options, &error));
    WORKS(selur_options_set_runtime(options, SELUR_RUNTIME_SIMULATED, &error));
    WORKS(selur_options_set_default_deadline(options, deadline_ms, &error));
    WORKS(selur_bridge_new(options, &bridge, &error));
    WORKS(selur_options_free(options));
    return bridge;
}

char *text_of(selur_bytes_t bytes) {
    selur_view_t view;
    WORKS(selur_bytes_view(bytes, &view, &error));
    char *text = malloc((size_t)view.length + 1);
    CHECK(text != NULL);
    memcpy(text, view.data, (size_t)view.length + 1);
    CHECK(text[view.length] == 0);
    WORKS(selur_bytes_free(bytes));
    return text;
}

uint64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

const char *conformance_folder(void) {
    const char *folder = getenv("SELUR_CONFORMANCE");
    if (folder == NULL) {
        FAIL("SELUR_CONFORMANCE must name the folder conformance/ of the source");
    }
    return folder;
}

int main(int count, char **arguments) {
    const struct test *files[] = {protocol_tests, typed_tests,  misuse_tests, slot_tests,  queue_tests,
                                  stream_tests,   thread_tests, daemon_tests, vector_tests};
    const char *part = count > 1 ? arguments[1] : "";
    unsigned passed = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t file = 0; file < sizeof files / sizeof *files; file++) {
        for (const struct test *test = files[file]; test->sentence != NULL; test++) {
            if (strstr(test->sentence, part) == NULL) {
                continue;
            }
            running = test->sentence;
            printf("test %s ... ", running);
            fflush(stdout);
            test->run();
            printf("ok\n");
            passed++;
        }
    }
    if (passed == 0) {
        printf("no test is called like %s\n", part);
        return 1;
    }
    printf("\ntest result: ok. %u passed; 0 failed; 0 ignored\n", passed);
    return 0;
}
