/* What the examples have in common: how they fail, and the bridge that they use.
 *
 *   example                          on the simulated runtime: containers that exist in memory only
 *   example oci STATE_ROOT IMAGE     on real containers; STATE_ROOT is a folder, IMAGE is in its store
 */
#ifndef SELUR_EXAMPLE_SUPPORT_H
#define SELUR_EXAMPLE_SUPPORT_H

#include <selur.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ends the program if a call failed; the call puts what went wrong into `error`. */
#define MUST(call)                                                                                           \
    do {                                                                                                     \
        selur_error_t error = 0;                                                                             \
        selur_status_t status = (call);                                                                      \
        if (status != SELUR_STATUS_SUCCESS) {                                                                \
            fprintf(stderr, "%s: %s: %s\n", #call, selur_status_name(status), selur_error_message(error));   \
            exit(1);                                                                                         \
        }                                                                                                    \
    } while (0)

/* The image that the examples run. */
static const char *example_image = "busybox";

static selur_bridge_t example_bridge(int count, char **arguments) {
    selur_options_t options;
    selur_bridge_t bridge;
    MUST(selur_options_new(&options, &error));
    if (count == 4 && strcmp(arguments[1], "oci") == 0) {
        MUST(selur_options_set_runtime(options, SELUR_RUNTIME_OCI, &error));
        MUST(selur_options_set_state_root(options, arguments[2], &error));
        example_image = arguments[3];
    } else if (count == 1) {
        MUST(selur_options_set_runtime(options, SELUR_RUNTIME_SIMULATED, &error));
    } else {
        fprintf(stderr, "usage: %s [oci STATE_ROOT IMAGE]\n", arguments[0]);
        exit(2);
    }
    MUST(selur_bridge_new(options, &bridge, &error));
    MUST(selur_options_free(options));
    return bridge;
}

#endif
