/* One container's whole life. */
#include "support.h"

int main(int count, char **arguments) {
    selur_bridge_t bridge = example_bridge(count, arguments);
    selur_container_id_t id;
    selur_bytes_t json;
    selur_view_t view;
    int32_t exit_code;

    MUST(selur_create_container(bridge, example_image, "example-lifecycle",
                                "{\"command\":[\"sleep\",\"60\"],\"pull\":\"missing\"}", SELUR_DEADLINE_DEFAULT, &id, &error));
    printf("created  an id of %zu digits\n", strlen(id.text));
    MUST(selur_start_container(bridge, id.text, SELUR_DEADLINE_DEFAULT, &error));

    MUST(selur_inspect_container(bridge, "example-lifecycle", SELUR_DEADLINE_DEFAULT, &json, &error));
    MUST(selur_bytes_view(json, &view, &error));
    printf("inspect  %s\n", strstr((const char *)view.data, "\"state\":\"running\"") != NULL ? "running" : "not running");
    MUST(selur_bytes_free(json));

    /* Starting once more is no failure; deleting what runs is one, with a message for people. */
    MUST(selur_start_container(bridge, id.text, SELUR_DEADLINE_DEFAULT, &error));
    selur_error_t error = 0;
    selur_status_t status =
        selur_delete_container(bridge, "example-lifecycle", SELUR_DELETION_PLAIN, SELUR_DEADLINE_DEFAULT, &error);
    printf("delete   %s: %s\n", selur_status_name(status), selur_error_message(error));
    selur_error_free(error);

    MUST(selur_kill_container(bridge, id.text, "SIGKILL", SELUR_DEADLINE_DEFAULT, &error));
    MUST(selur_wait_container(bridge, id.text, SELUR_DEADLINE_DEFAULT, &exit_code, &error));
    printf("ended    exit code %d\n", exit_code);
    MUST(selur_delete_container(bridge, id.text, SELUR_DELETION_PLAIN, SELUR_DEADLINE_DEFAULT, &error));
    MUST(selur_list_containers(bridge, SELUR_DEADLINE_DEFAULT, &json, &error));
    MUST(selur_bytes_view(json, &view, &error));
    printf("list     %s\n", view.length == 0 ? "no container is left" : (const char *)view.data);
    MUST(selur_bytes_free(json));
    MUST(selur_bridge_free(bridge));
    return 0;
}
