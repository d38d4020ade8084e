/* The docker runtime, chosen by its number and its socket. A thread plays the daemon: it says which version it is. */
#define _POSIX_C_SOURCE 200809L

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "check.h"

/* What a socket that a test listens at answers, once. */
struct daemon {
    pthread_t thread;
    int listener;
    const char *answer;
    char folder[32];
    char socket[48];
    char request[256];
};

static void *greets(void *argument) {
    struct daemon *daemon = argument;
    int peer = accept(daemon->listener, NULL, NULL);
    CHECK(peer >= 0);
    ssize_t length = read(peer, daemon->request, sizeof daemon->request - 1);
    CHECK(length > 0);
    daemon->request[length] = 0;
    CHECK(write(peer, daemon->answer, strlen(daemon->answer)) == (ssize_t)strlen(daemon->answer));
    CHECK(close(peer) == 0);
    return NULL;
}

static void begin(struct daemon *daemon, const char *answer) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    *daemon = (struct daemon){.answer = answer, .folder = "/tmp/selur-c-"};
    /* What mkdtemp() puts its own letters for. */
    memset(daemon->folder + strlen(daemon->folder), 'X', 6);
    CHECK(mkdtemp(daemon->folder) != NULL);
    snprintf(daemon->socket, sizeof daemon->socket, "%s/daemon", daemon->folder);
    strcpy(address.sun_path, daemon->socket);
    daemon->listener = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(daemon->listener >= 0);
    CHECK(bind(daemon->listener, (struct sockaddr *)&address, sizeof address) == 0);
    CHECK(listen(daemon->listener, 4) == 0);
    CHECK(pthread_create(&daemon->thread, NULL, greets, daemon) == 0);
}

/* Waits until the answer was given, and takes the socket away. */
static void end(struct daemon *daemon) {
    CHECK(pthread_join(daemon->thread, NULL) == 0);
    CHECK(close(daemon->listener) == 0);
    CHECK(unlink(daemon->socket) == 0);
    CHECK(rmdir(daemon->folder) == 0);
    CHECK(strncmp(daemon->request, "GET /version ", 13) == 0);
}

static selur_options_t options_for(const char *socket) {
    selur_options_t options;
    WORKS(selur_options_new(&options, &error));
    WORKS(selur_options_set_runtime(options, SELUR_RUNTIME_DOCKER, &error));
    WORKS(selur_options_set_docker_socket(options, socket, &error));
    return options;
}

static void a_daemon_is_driven(void) {
    struct daemon daemon;
    selur_bridge_t bridge;
    selur_bytes_t name;
    begin(&daemon, "HTTP/1.0 200 OK\r\n\r\n{\"Version\":\"20.10\",\"ApiVersion\":\"1.41\"}");
    selur_options_t options = options_for(daemon.socket);
    WORKS(selur_bridge_new(options, &bridge, &error));
    end(&daemon);
    WORKS(selur_bridge_runtime(bridge, &name, &error));
    char *text = text_of(name);
    CHECK(strcmp(text, "docker") == 0);
    free(text);
    WORKS(selur_bridge_free(bridge));
    WORKS(selur_options_free(options));
}

static void what_is_no_daemon(void) {
    struct daemon daemon;
    selur_bridge_t bridge = 7;
    selur_options_t options = options_for("/no/such/docker.sock");
    GIVES(SELUR_STATUS_UNSUPPORTED, selur_bridge_new(options, &bridge, &error));
    CHECK(strstr(last_message(), "/no/such/docker.sock") != NULL);
    /* The last that was set counts. */
    begin(&daemon, "HTTP/1.0 200 OK\r\n\r\n{\"Version\":\"18.09\",\"ApiVersion\":\"1.39\"}");
    WORKS(selur_options_set_docker_socket(options, daemon.socket, &error));
    GIVES(SELUR_STATUS_UNSUPPORTED, selur_bridge_new(options, &bridge, &error));
    end(&daemon);
    CHECK(strstr(last_message(), "1.39") != NULL && bridge == 7);
    WORKS(selur_options_free(options));
}

const struct test daemon_tests[] = {
    {"a daemon is driven by the runtime and the socket that the options say", a_daemon_is_driven},
    {"a socket that is not there, or of a daemon that is too old, is refused", what_is_no_daemon},
    {NULL, NULL},
};
