/* What a ping costs from C, guest included. Each line: way, payload in bytes, p50, p99 and p99.9 in nanoseconds, tab-separated;
 * benchmarks/README.md says when a sample ends. A sample is the mean of several pings, for one alone is shorter than reading
 * the clock twice. */
#define _POSIX_C_SOURCE 200809L
#include <selur.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_SAMPLES = 5001, LEAST_SAMPLES = 100, HEADER = 5 };

#define MUST(call)                                                                                           \
    do {                                                                                                     \
        selur_error_t error = 0;                                                                             \
        if ((call) != SELUR_STATUS_SUCCESS) {                                                                \
            fprintf(stderr, "%s: %s\n", #call, selur_error_message(error));                                  \
            exit(1);                                                                                         \
        }                                                                                                    \
    } while (0)

static selur_bridge_t bridge;
static selur_slot_view_t slot;
static uint8_t *frame;
static uint32_t frame_length;
static uint8_t *received;
/* What was read of the answers, so that reading them is not left out. */
static volatile uint32_t seen;

static void write_header(uint8_t *into) {
    uint32_t length = frame_length - HEADER;
    const uint8_t header[HEADER] = {SELUR_COMMAND_PING, (uint8_t)length, (uint8_t)(length >> 8), (uint8_t)(length >> 16),
                                    (uint8_t)(length >> 24)};
    memcpy(into, header, HEADER);
}

static void submit(void) {
    selur_answer_t answer;
    MUST(selur_slot_submit(slot.slot, frame_length, &answer, &error));
    if (answer.ticket != 0 || answer.length != frame_length - HEADER) {
        fprintf(stderr, "a ping was answered with %u bytes\n", answer.length);
        exit(1);
    }
    seen += answer.length == 0 ? 0 : answer.data[answer.length - 1];
}

/* The payload lies in the slot already: a program that uses slots makes it there. */
static void in_place(void) {
    write_header(slot.data);
    submit();
}

static void written_into_the_slot(void) {
    memcpy(slot.data, frame, frame_length);
    submit();
}

static void reserve_submit_release(void) {
    MUST(selur_slot_reserve(bridge, frame_length, SELUR_DEADLINE_DEFAULT, &slot, &error));
    in_place();
    MUST(selur_slot_release(slot.slot));
}

static void by_copy(void) {
    selur_bytes_t bytes;
    MUST(selur_call(bridge, frame, frame_length, SELUR_DEADLINE_DEFAULT, &bytes, &error));
    MUST(selur_bytes_take(bytes, received, frame_length, &error));
    seen += received[0];
}

static int ascending(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void measure(const char *way, void (*ping)(void)) {
    static double samples[MOST_SAMPLES];
    const char *given = getenv("SELUR_BENCH_SECONDS");
    double most = given == NULL ? 1.0 : atof(given), begin = seconds();
    /* Fewer long ones, each of which is long beside reading the clock. */
    int batch = frame_length > 10240 + HEADER ? 5 : 50, warming_up = MOST_SAMPLES / 10, count = 0;
    while (count < MOST_SAMPLES && (count < LEAST_SAMPLES || seconds() - begin < most)) {
        struct timespec began, ended;
        clock_gettime(CLOCK_MONOTONIC, &began);
        for (int round = 0; round < batch; round++)
            ping();
        clock_gettime(CLOCK_MONOTONIC, &ended);
        double ns = (double)(ended.tv_sec - began.tv_sec) * 1e9 + (double)(ended.tv_nsec - began.tv_nsec);
        if (warming_up > 0 && seconds() - begin < most / 10) {
            warming_up--;
        } else {
            warming_up = 0;
            samples[count++] = ns / batch;
        }
    }
    qsort(samples, (size_t)count, sizeof *samples, ascending);
    printf("%s\t%u\t%.1f\t%.1f\t", way, frame_length - HEADER, samples[count / 2], samples[count * 99 / 100]);
    /* The p99.9 if there are samples enough for it. */
    if (count < 1000)
        printf("\n");
    else
        printf("%.1f\n", samples[count * 999 / 1000]);
}

int main(void) {
    static const uint32_t payloads[] = {0, 100, 1024, 10240, 102400, 262144};
    selur_options_t options;
    MUST(selur_options_new(&options, &error));
    MUST(selur_options_set_runtime(options, SELUR_RUNTIME_SIMULATED, &error));
    MUST(selur_bridge_new(options, &bridge, &error));
    MUST(selur_options_free(options));
    for (size_t at = 0; at < sizeof payloads / sizeof *payloads; at++) {
        frame_length = HEADER + payloads[at];
        frame = malloc(frame_length);
        received = malloc(frame_length);
        if (frame == NULL || received == NULL)
            return 1;
        memset(frame, 'x', frame_length);
        write_header(frame);

        MUST(selur_slot_reserve(bridge, frame_length, SELUR_DEADLINE_DEFAULT, &slot, &error));
        memcpy(slot.data, frame, frame_length);
        measure("in place, one slot", in_place);
        measure("in one slot, payload written each time", written_into_the_slot);
        MUST(selur_slot_release(slot.slot));
        /* The same blocks are given out again, in which the payload still lies. */
        measure("in place, reserve + submit + release", reserve_submit_release);
        measure("by copy", by_copy);
        free(frame);
        free(received);
    }
    MUST(selur_bridge_free(bridge));
    return 0;
}
