/* What every test of the C harness is made of: checks that end the test, and a count. */
#ifndef SELUR_TEST_CHECK_H
#define SELUR_TEST_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "selur.h"

/* A test: a sentence, and what shows that it is true. */
struct test {
    const char *sentence;
    void (*run)(void);
};

/* Ends the process: the line and what was expected are printed. */
_Noreturn void fail_at(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define FAIL(...) fail_at(__FILE__, __LINE__, __VA_ARGS__)
#define CHECK(condition)                                                                                     \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            FAIL("%s", #condition);                                                                          \
        }                                                                                                    \
    } while (0)

/* Checks that a call gave a status; the call gets the place for an error as `&error`, whose message is kept. */
#define GIVES(expected, call)                                                                                \
    do {                                                                                                     \
        selur_error_t error = 0;                                                                             \
        selur_status_t given_status = (call);                                                                \
        check_status(__FILE__, __LINE__, #call, expected, given_status, error);                              \
    } while (0)
#define WORKS(call) GIVES(SELUR_STATUS_SUCCESS, call)
#define REFUSES(call) GIVES(SELUR_STATUS_INVALID_REQUEST, call)

void check_status(const char *file, int line, const char *call, selur_status_t expected, selur_status_t status,
                  selur_error_t error);

/* The message of the last error that check_status() saw. */
const char *last_message(void);

/* A bridge on the simulated runtime. deadline_ms as in selur_options_set_default_deadline(). */
selur_bridge_t simulated_bridge(uint32_t deadline_ms);

/* Bytes as a text of the test's, to be freed; the bytes are freed. */
char *text_of(selur_bytes_t bytes);

/* Milliseconds of a clock that only goes forward. */
uint64_t now_ms(void);

/* The folder conformance/ of the source. */
const char *conformance_folder(void);

/* The tests of each file, ended by an empty one. */
extern const struct test vector_tests[];
extern const struct test protocol_tests[];
extern const struct test typed_tests[];
extern const struct test misuse_tests[];
extern const struct test slot_tests[];
extern const struct test queue_tests[];
extern const struct test stream_tests[];
extern const struct test thread_tests[];
extern const struct test daemon_tests[];

#endif
