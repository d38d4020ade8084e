/* Follows a container's log until the container ends, line by line as they are written. */
#include "support.h"

int main(int count, char **arguments) {
    selur_bridge_t bridge = example_bridge(count, arguments);
    selur_container_id_t id;
    selur_stream_t logs;
    selur_completion_t item;
    selur_view_t view;
    int32_t exit_code;

    MUST(selur_create_container(bridge, example_image, "example-log",
                                "{\"command\":[\"sh\",\"-c\",\"echo one; echo two; echo three; exit 3\"]}",
                                SELUR_DEADLINE_DEFAULT, &id, &error));
    MUST(selur_logs(bridge, id.text, "{\"follow\":true}", SELUR_DEADLINE_DEFAULT, &logs, &error));
    MUST(selur_start_container(bridge, id.text, SELUR_DEADLINE_DEFAULT, &error));
    /* The simulated container runs until it is told to end. */
    if (count == 1) {
        MUST(selur_kill_container(bridge, id.text, "SIGKILL", SELUR_DEADLINE_DEFAULT, &error));
    }
    for (;;) {
        MUST(selur_stream_next(logs, &item, &error));
        if (item.kind == SELUR_KIND_END) {
            break;
        }
        MUST(selur_bytes_view(item.data, &view, &error));
        printf("%s   %.*s", item.kind == SELUR_KIND_STDERR ? "stderr" : "stdout", (int)view.length,
               (const char *)view.data);
        MUST(selur_bytes_free(item.data));
    }
    MUST(selur_stream_free(logs));
    MUST(selur_wait_container(bridge, id.text, SELUR_DEADLINE_DEFAULT, &exit_code, &error));
    printf("ended    exit code %d\n", exit_code);
    MUST(selur_delete_container(bridge, id.text, SELUR_DELETION_PLAIN, SELUR_DEADLINE_DEFAULT, &error));
    MUST(selur_bridge_free(bridge));
    return 0;
}
