/*
 * selur drives real containers from inside your program: https://github.com/hyperpolymath/selur
 * SPDX-License-Identifier: MPL-2.0
 *
 * Made by cbindgen from bindings/selur-ffi/src: do not edit; `just header` makes it anew.
 *
 * STATUS AND ERRORS. Every function that can fail returns a selur_status_t, SELUR_STATUS_SUCCESS if it did what it says.
 * Its last argument is a place for a selur_error_t, or NULL: if the function fails the place receives an error with a
 * message for people, which the caller frees with selur_error_free(). Results are written if the function succeeds, and
 * only then. A place for a result must not be NULL, and must be another one than that for the error. Programs match the
 * status, never the message. Besides what is named at a function, each request gives SELUR_STATUS_TIMEOUT when its deadline
 * passes, SELUR_STATUS_CANCELLED when the bridge is closed meanwhile, SELUR_STATUS_INTERNAL_ERROR when the runtime failed or
 * the guest is broken, and SELUR_STATUS_RESOURCE_EXHAUSTED when too much is in flight. There is no errno and no other state
 * of a thread.
 *
 * OWNERSHIP. What a caller owns is named by a handle: a number, never 0, below 2^53, and never used for anything else
 * again. Whoever received a handle frees it, once, from any thread. A handle that was freed, is of another kind or was never
 * given out is refused with SELUR_STATUS_INVALID_REQUEST, and nothing happens: that holds for a second free as well.
 * Freeing 0 does nothing, and succeeds. Pointers that a function gives are valid as long as what they belong to is not
 * freed; using one longer is the one mistake that selur cannot notice. Pointers that a function takes are used until it
 * returns, never longer.
 *
 * THREADS. Every function may be called from any thread at any time. Those whose documentation does not say otherwise block
 * until they are done; of those that begin something and return at once the names contain `submit`. Signal handlers must
 * call none. After fork() the child must use nothing that was made before; exec() is allowed.
 *
 * TEXT is UTF-8 with a 0 behind it. LENGTHS are in bytes, TIMES in milliseconds.
 *
 * DEADLINES. deadline_ms is how long a request may take until it is answered with SELUR_STATUS_TIMEOUT:
 * SELUR_DEADLINE_DEFAULT is that of the bridge's options, SELUR_DEADLINE_NONE is without end.
 *
 * CONTAINERS are named by id, name, or a unique prefix of the id of at least 4 digits. docs/API.md has states, statuses and
 * what each request answers; docs/schemas has the JSON.
 */


#ifndef SELUR_H
#define SELUR_H

#include <stdint.h>

/**
 * The version of the ABI that this header describes. It grows when a program that was built with an older header would no
 * longer work.
 */
#define SELUR_ABI_VERSION 1

/**
 * In the place of a deadline: that of the bridge's options.
 */
#define SELUR_DEADLINE_DEFAULT 0

/**
 * In the place of a deadline, or of a time to wait: none, without end.
 */
#define SELUR_DEADLINE_NONE 4294967295

/**
 * The bytes of a container's id as text: 32 hex digits and the 0 behind them.
 */
#define SELUR_CONTAINER_ID_BYTES 33

/**
 * In the place of the time until a stop kills: the container's own, else 10,000 ms.
 */
#define SELUR_STOP_TIMEOUT_DEFAULT -1

/**
 * In the place of an exit code: nobody knows it.
 */
#define SELUR_EXIT_CODE_UNKNOWN -1

/**
 * In the place of an offset: the data does not lie in the arena.
 */
#define SELUR_NOT_IN_ARENA 4294967295

/**
 * How a call ended. 0 is success. New ones may be added: treat a value that you do not know as a failure.
 */
enum selur_status_t
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * The request was carried out.
     */
    SELUR_STATUS_SUCCESS = 0,
    /**
     * The frame, the grammar, the UTF-8, the command or a field of the specification is wrong.
     */
    SELUR_STATUS_INVALID_REQUEST = 1,
    /**
     * No container has this id, name or prefix, or several share the prefix.
     */
    SELUR_STATUS_CONTAINER_NOT_FOUND = 2,
    /**
     * The name is taken.
     */
    SELUR_STATUS_CONTAINER_ALREADY_EXISTS = 3,
    /**
     * The registry cannot be reached, or a pull broke off.
     */
    SELUR_STATUS_NETWORK_ERROR = 4,
    /**
     * The guest trapped or the runtime failed; the message says how.
     */
    SELUR_STATUS_INTERNAL_ERROR = 5,
    /**
     * The container's state does not allow the command.
     */
    SELUR_STATUS_INVALID_STATE = 6,
    /**
     * The registry or the operating system refused.
     */
    SELUR_STATUS_PERMISSION_DENIED = 7,
    /**
     * The table, the tickets, the arena or the disk is full.
     */
    SELUR_STATUS_RESOURCE_EXHAUSTED = 8,
    /**
     * The deadline passed.
     */
    SELUR_STATUS_TIMEOUT = 9,
    /**
     * The caller, or a forced deletion, cancelled the request.
     */
    SELUR_STATUS_CANCELLED = 10,
    /**
     * This backend lacks what was asked for.
     */
    SELUR_STATUS_UNSUPPORTED = 11,
    /**
     * The registry has no such image, or none for this platform.
     */
    SELUR_STATUS_IMAGE_NOT_FOUND = 12,
    /**
     * No volume has this name.
     */
    SELUR_STATUS_VOLUME_NOT_FOUND = 13,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum selur_status_t selur_status_t;
#else
typedef uint32_t selur_status_t;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What a request asks for: its first byte. docs/API.md has the fields of each, and what it is answered with.
 */
enum selur_command_t
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * Answers the payload it was given.
     */
    SELUR_COMMAND_PING = 0,
    /**
     * Makes a container from an image; answers its id.
     */
    SELUR_COMMAND_CREATE_CONTAINER = 1,
    /**
     * Starts the container's process.
     */
    SELUR_COMMAND_START_CONTAINER = 2,
    /**
     * Ends the container's process: the stop signal, then SIGKILL.
     */
    SELUR_COMMAND_STOP_CONTAINER = 3,
    /**
     * Answers what is known of a container, as JSON.
     */
    SELUR_COMMAND_INSPECT_CONTAINER = 4,
    /**
     * Removes a container.
     */
    SELUR_COMMAND_DELETE_CONTAINER = 5,
    /**
     * Answers the ids of all containers, one a line.
     */
    SELUR_COMMAND_LIST_CONTAINERS = 6,
    /**
     * Sends a signal to the container's process.
     */
    SELUR_COMMAND_KILL_CONTAINER = 7,
    /**
     * Freezes every process of a container.
     */
    SELUR_COMMAND_PAUSE_CONTAINER = 8,
    /**
     * Thaws a paused container.
     */
    SELUR_COMMAND_RESUME_CONTAINER = 9,
    /**
     * Answers the exit code once the container has ended for good.
     */
    SELUR_COMMAND_WAIT_CONTAINER = 10,
    /**
     * Runs a further process in a running container; answers a stream's id.
     */
    SELUR_COMMAND_EXEC = 11,
    /**
     * Opens what a container wrote; answers a stream's id.
     */
    SELUR_COMMAND_LOGS = 12,
    /**
     * Connects to a container's first process; answers a stream's id.
     */
    SELUR_COMMAND_ATTACH = 13,
    /**
     * Samples what a container uses; answers a stream's id.
     */
    SELUR_COMMAND_STATS = 14,
    /**
     * Answers a container's processes, as JSON.
     */
    SELUR_COMMAND_TOP = 15,
    /**
     * Opens what happens to containers, images and volumes; answers a stream's id.
     */
    SELUR_COMMAND_EVENTS = 16,
    /**
     * Fetches an image from its registry; answers it as JSON, or a stream's id.
     */
    SELUR_COMMAND_PULL_IMAGE = 17,
    /**
     * Answers the images of the store, as JSON.
     */
    SELUR_COMMAND_LIST_IMAGES = 18,
    /**
     * Removes an image's name, and the image with its last name.
     */
    SELUR_COMMAND_DELETE_IMAGE = 19,
    /**
     * Takes images in from a layout directory or an archive; answers them as JSON.
     */
    SELUR_COMMAND_LOAD_IMAGE = 20,
    /**
     * Sends an image to its registry; answers its digest as JSON, or a stream's id.
     */
    SELUR_COMMAND_PUSH_IMAGE = 21,
    /**
     * Gives an image another name.
     */
    SELUR_COMMAND_TAG_IMAGE = 22,
    /**
     * Removes what nothing uses from the store; answers what was freed, as JSON.
     */
    SELUR_COMMAND_PRUNE_IMAGES = 23,
    /**
     * Makes a named volume; answers it as JSON.
     */
    SELUR_COMMAND_CREATE_VOLUME = 24,
    /**
     * Answers what is known of a volume, as JSON.
     */
    SELUR_COMMAND_INSPECT_VOLUME = 25,
    /**
     * Answers all volumes, as JSON.
     */
    SELUR_COMMAND_LIST_VOLUMES = 26,
    /**
     * Removes a volume and what is in it.
     */
    SELUR_COMMAND_DELETE_VOLUME = 27,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum selur_command_t selur_command_t;
#else
typedef uint32_t selur_command_t;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What performs the effects.
 */
enum selur_runtime_t
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * Real containers: SELUR_RUNTIME_OCI. Never the simulated one.
     */
    SELUR_RUNTIME_AUTO = 0,
    /**
     * Containers that exist in memory only, for tests: conformance/README.md says what they do.
     */
    SELUR_RUNTIME_SIMULATED = 1,
    /**
     * Real containers by runc, without a daemon.
     */
    SELUR_RUNTIME_OCI = 2,
    /**
     * Containers of a Docker or Podman daemon, by the Docker Engine API: see selur_options_set_docker_socket().
     */
    SELUR_RUNTIME_DOCKER = 3,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum selur_runtime_t selur_runtime_t;
#else
typedef uint32_t selur_runtime_t;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * What a completion or an item of a stream is.
 */
enum selur_kind_t
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * The answer of a request, or that a write to a stream was done.
     */
    SELUR_KIND_ANSWER = 0,
    /**
     * Bytes that a process wrote to its standard output.
     */
    SELUR_KIND_STDOUT = 1,
    /**
     * Bytes that a process wrote to its standard error.
     */
    SELUR_KIND_STDERR = 2,
    /**
     * The process of an exec or an attachment ended; `value` is its exit code.
     */
    SELUR_KIND_ENDED = 3,
    /**
     * JSON: a sample of stats, an event, progress, or what a pull or a push ended with.
     */
    SELUR_KIND_JSON = 4,
    /**
     * The stream has no more items.
     */
    SELUR_KIND_END = 5,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum selur_kind_t selur_kind_t;
#else
typedef uint32_t selur_kind_t;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * How a container is deleted.
 */
enum selur_deletion_t
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : uint32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
    /**
     * Only if no process of it runs.
     */
    SELUR_DELETION_PLAIN = 0,
    /**
     * A process is killed first, and what waits for the container is cancelled.
     */
    SELUR_DELETION_FORCE = 1,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum selur_deletion_t selur_deletion_t;
#else
typedef uint32_t selur_deletion_t;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

/**
 * An error: a status for programs and a message for people. Owned by whoever received it; free it with
 * selur_error_free(). 0 is none.
 *
 * Each function that can fail takes a place for one as its last argument, or NULL. The place is written only if the
 * function fails.
 */
typedef uint64_t selur_error_t;

/**
 * Bytes that a call gave. Owned by whoever received them; free them with selur_bytes_free(). 0 is no bytes at all,
 * which every function here takes for a length of 0.
 */
typedef uint64_t selur_bytes_t;

/**
 * Where bytes lie. They belong to whatever gave the view, and are valid as long as that is not freed.
 */
typedef struct {
    /**
     * The first byte; never NULL. Behind the last one lies a 0, so that text is a C string too, unless it contains a 0
     * itself.
     */
    const uint8_t *data;
    /**
     * How many there are.
     */
    uint32_t length;
} selur_view_t;

/**
 * Options for a bridge. Owned by whoever made them; free them with selur_options_free(), before or after the bridge.
 */
typedef uint64_t selur_options_t;

/**
 * A bridge: a guest that decides, and a runtime that performs. Any number of threads may use it at once. Owned by
 * whoever made it; free it with selur_bridge_free().
 */
typedef uint64_t selur_bridge_t;

/**
 * The part of the guest's memory that slots lie in, held in its place. Owned by whoever opened it; free it with
 * selur_arena_free().
 */
typedef uint64_t selur_arena_t;

/**
 * Where an arena lies.
 */
typedef struct {
    /**
     * The arena itself.
     */
    selur_arena_t arena;
    /**
     * Its first byte.
     */
    uint8_t *data;
    /**
     * Its length in bytes, which never changes.
     */
    uint32_t length;
} selur_arena_view_t;

/**
 * A container's id as text, with a 0 behind it.
 */
typedef struct {
    /**
     * 32 lower-case hex digits, and a 0.
     */
    char text[SELUR_CONTAINER_ID_BYTES];
} selur_container_id_t;

/**
 * An answer from the completion queue, or an item of a stream.
 */
typedef struct {
    /**
     * The number that the submission gave; 0 for an item that selur_stream_next() gave.
     */
    uint64_t ticket;
    /**
     * The data of a success, the message of a failure. Yours: take or free it. 0 if it is empty.
     */
    selur_bytes_t data;
    /**
     * Of SELUR_KIND_ENDED the exit code, or -1 if nobody knows it; of an item of logs its moment, in nanoseconds since the
     * Unix epoch; else 0.
     */
    int64_t value;
    /**
     * How many bytes `data` has.
     */
    uint32_t length;
    /**
     * How it ended: one of selur_status_t.
     */
    uint32_t status;
    /**
     * What it is: one of selur_kind_t.
     */
    uint32_t kind;
    /**
     * Always 0.
     */
    uint32_t reserved;
} selur_completion_t;

/**
 * A reserved part of the guest's memory, for one request frame and its answer. Owned by whoever reserved it; release it
 * with selur_slot_release(), whatever came of it.
 */
typedef uint64_t selur_slot_t;

/**
 * A slot as it was reserved.
 */
typedef struct {
    /**
     * The slot itself.
     */
    selur_slot_t slot;
    /**
     * Where the frame is to be written. Valid until the slot is released.
     */
    uint8_t *data;
    /**
     * How many bytes there are: at least as many as were asked for.
     */
    uint32_t capacity;
    /**
     * Where `data` lies in the arena: see selur_arena_open().
     */
    uint32_t offset;
} selur_slot_view_t;

/**
 * What a submitted slot was answered with.
 */
typedef struct {
    /**
     * 0 if the answer is here. Else it comes to the completion queue under this number, and the slot can only be released.
     */
    uint64_t ticket;
    /**
     * The data of a success, where the guest wrote it; NULL if there is a ticket. Valid until the slot is submitted again or
     * released.
     */
    const uint8_t *data;
    /**
     * How many bytes it has.
     */
    uint32_t length;
    /**
     * Where `data` lies in the arena; SELUR_NOT_IN_ARENA if it lies elsewhere, for it did not fit.
     */
    uint32_t offset;
} selur_answer_t;

/**
 * An open stream. Owned by whoever opened it; free it with selur_stream_free(), which ends it: the process of an exec is
 * killed, a pull is given up. Who writes is held back until it is read.
 *
 * One read and one write of a stream can be under way at a time, from any thread.
 */
typedef uint64_t selur_stream_t;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The version of the ABI that the library has: compare it with SELUR_ABI_VERSION when you load the library by hand.
 */
uint32_t selur_abi_version(void);

/**
 * The version of the library, such as 0.1.0. It is valid for ever.
 */
const char *selur_version(void);

/**
 * The sha256 of the guest that the library was built with, in 64 hex digits. It is valid for ever.
 */
const char *selur_guest_sha256(void);

/**
 * The name of a status in every language of selur, such as container_not_found; unknown_error for a code that this
 * version does not know. It is valid for ever.
 */
const char *selur_status_name(uint32_t status);

/**
 * The status of an error; SELUR_STATUS_INVALID_REQUEST if it names none.
 */
selur_status_t selur_error_status(selur_error_t error);

/**
 * What went wrong and what to do, for people: UTF-8, never empty. It belongs to the error and is valid until that is
 * freed. For 0 and for what names no error it is a text that says so.
 */
const char *selur_error_message(selur_error_t error);

/**
 * Frees an error. 0 is allowed.
 *
 * Fails with SELUR_STATUS_INVALID_REQUEST if it was freed before; nothing happens then.
 */
selur_status_t selur_error_free(selur_error_t error);

/**
 * Shows where the bytes lie, until they are freed.
 *
 * Fails with SELUR_STATUS_INVALID_REQUEST if they were freed.
 */
selur_status_t selur_bytes_view(selur_bytes_t bytes, selur_view_t *view, selur_error_t *error);

/**
 * Copies the bytes to `into`, which has room for `capacity`, and frees them.
 *
 * Fails with SELUR_STATUS_INVALID_REQUEST if they were freed, if there is not enough room, and if `into` is NULL; they
 * are kept then, and nothing is written.
 */
selur_status_t selur_bytes_take(selur_bytes_t bytes,
                                uint8_t *into,
                                uint32_t capacity,
                                selur_error_t *error);

/**
 * Frees bytes. 0 is allowed.
 *
 * Fails with SELUR_STATUS_INVALID_REQUEST if they were freed before; nothing happens then.
 */
selur_status_t selur_bytes_free(selur_bytes_t bytes);

/**
 * Makes options with their defaults: the embedded guest, SELUR_RUNTIME_AUTO, the default state root, no deadline.
 *
 * Fails with SELUR_STATUS_RESOURCE_EXHAUSTED if a million are in use.
 */
selur_status_t selur_options_new(selur_options_t *options,
                                 selur_error_t *error);

/**
 * Takes the guest from a .wasm file instead of the embedded one. The file is read when a bridge is made.
 */
selur_status_t selur_options_set_guest_path(selur_options_t options, const char *path, selur_error_t *error);

/**
 * Takes the guest from the bytes of a .wasm file instead of the embedded one. They are copied.
 */
selur_status_t selur_options_set_guest_bytes(selur_options_t options,
                                             const uint8_t *bytes,
                                             uint32_t length,
                                             selur_error_t *error);

/**
 * Chooses what performs the effects: one of selur_runtime_t.
 *
 * Fails with SELUR_STATUS_INVALID_REQUEST for another number.
 */
selur_status_t selur_options_set_runtime(selur_options_t options, uint32_t runtime, selur_error_t *error);

/**
 * Chooses the folder that real containers keep their state in. Unless given it is $SELUR_ROOT, else /var/lib/selur for
 * root, else $XDG_DATA_HOME/selur. Several processes may use one.
 */
selur_status_t selur_options_set_state_root(selur_options_t options,
                                            const char *path,
                                            selur_error_t *error);

/**
 * Chooses the program that holds a real container, selur-shim. Unless given it is $SELUR_SHIM, else it is looked for
 * beside this library and in the libexec folder beside its folder.
 */
selur_status_t selur_options_set_shim(selur_options_t options,
                                      const char *path,
                                      selur_error_t *error);

/**
 * Chooses the socket of the daemon, for SELUR_RUNTIME_DOCKER; other runtimes do without it. Unless given it is
 * $DOCKER_HOST (unix:// only), else the first that exists of /var/run/docker.sock,
 * $XDG_RUNTIME_DIR/podman/podman.sock and /run/podman/podman.sock. The daemon is asked when a bridge is made.
 */
selur_status_t selur_options_set_docker_socket(selur_options_t options,
                                               const char *path,
                                               selur_error_t *error);

/**
 * Sets the deadline of requests that are made with SELUR_DEADLINE_DEFAULT, in milliseconds; SELUR_DEADLINE_NONE, as it
 * is unless set, is none.
 */
selur_status_t selur_options_set_default_deadline(selur_options_t options,
                                                  uint32_t deadline_ms,
                                                  selur_error_t *error);

/**
 * Frees options. 0 is allowed.
 *
 * Fails with SELUR_STATUS_INVALID_REQUEST if they were freed before; nothing happens then.
 */
selur_status_t selur_options_free(selur_options_t options);

/**
 * Makes a bridge. `options` are copied; 0 means the defaults.
 *
 * Fails with
 * - SELUR_STATUS_INVALID_REQUEST: the guest is refused, or $DOCKER_HOST names no unix socket, and the message says why;
 * - SELUR_STATUS_INTERNAL_ERROR: the guest traps when it is loaded;
 * - SELUR_STATUS_UNSUPPORTED, SELUR_STATUS_PERMISSION_DENIED: the runtime cannot run here, and the message says what is
 *   missing.
 */
selur_status_t selur_bridge_new(selur_options_t options,
                                selur_bridge_t *bridge,
                                selur_error_t *error);

/**
 * Closes a bridge: it takes no more requests, answers every open one with SELUR_STATUS_CANCELLED, tells what is in flight
 * to end early and waits for that, up to 5 s. Containers go on. Closing again does nothing.
 *
 * Answers that were not drained can still be drained; every other call gives SELUR_STATUS_INVALID_REQUEST from now on.
 */
selur_status_t selur_bridge_close(selur_bridge_t bridge,
                                  selur_error_t *error);

/**
 * Closes a bridge and frees it; answers that were not drained are dropped. 0 is allowed. Calls of other threads that are
 * under way end as selur_bridge_close() says. Slots and arenas keep their memory until they are released.
 *
 * Fails with SELUR_STATUS_INVALID_REQUEST if it was freed before; nothing happens then.
 */
selur_status_t selur_bridge_free(selur_bridge_t bridge);

/**
 * How many bytes of memory the guest has: 1,048,576, which never changes.
 */
selur_status_t selur_bridge_memory_size(selur_bridge_t bridge, uint32_t *bytes, selur_error_t *error);

/**
 * The name of the runtime that performs the effects: simulated, oci, docker.
 */
selur_status_t selur_bridge_runtime(selur_bridge_t bridge, selur_bytes_t *name, selur_error_t *error);

/**
 * The kernel's digest of its logical state: equal inputs give equal digests.
 */
selur_status_t selur_bridge_state_digest(selur_bridge_t bridge, uint64_t *digest, selur_error_t *error);

/**
 * Opens the arena of a bridge, for hosts that keep one view of all slots: `offset` of a slot counts from its first byte.
 * Nothing but frames and answers is in there, and it stays where it is until it is freed, also when the bridge is freed
 * before.
 */
selur_status_t selur_arena_open(selur_bridge_t bridge,
                                selur_arena_view_t *arena,
                                selur_error_t *error);

/**
 * Frees an arena; views of it must not be used any more. 0 is allowed.
 *
 * Fails with SELUR_STATUS_INVALID_REQUEST if it was freed before; nothing happens then.
 */
selur_status_t selur_arena_free(selur_arena_t arena);

/**
 * Carries out a request frame, command byte, payload length, payload, and blocks until it is answered. The status is the
 * answer's; on success `data` receives what it is answered with.
 *
 * `frame` must not lie in the arena.
 */
selur_status_t selur_call(selur_bridge_t bridge,
                          const uint8_t *frame,
                          uint32_t frame_length,
                          uint32_t deadline_ms,
                          selur_bytes_t *data,
                          selur_error_t *error);

/**
 * Carries out a request by its command, one of selur_command_t, and its fields, and blocks until it is answered.
 *
 * Fails also with SELUR_STATUS_INVALID_REQUEST for a number that is no command.
 */
selur_status_t selur_request(selur_bridge_t bridge,
                             uint32_t command,
                             const char *const *fields,
                             uint32_t field_count,
                             uint32_t deadline_ms,
                             selur_bytes_t *data,
                             selur_error_t *error);

/**
 * Begins a request frame and returns at once. Its answer comes to the completion queue under the number in `ticket`, which
 * is never 0 and never used again. The answer may be there before this returns.
 *
 * Fails, without an answer to come, with
 * - SELUR_STATUS_INVALID_REQUEST: the bridge is closed. What is wrong with a frame is an answer;
 * - SELUR_STATUS_RESOURCE_EXHAUSTED: 32,768 answers are on their way or undrained.
 */
selur_status_t selur_submit_frame(selur_bridge_t bridge,
                                  const uint8_t *frame,
                                  uint32_t frame_length,
                                  uint32_t deadline_ms,
                                  uint64_t *ticket,
                                  selur_error_t *error);

/**
 * Begins a request by its command, one of selur_command_t, and its fields, as selur_submit_frame() does.
 *
 * Fails also with SELUR_STATUS_INVALID_REQUEST for a number that is no command.
 */
selur_status_t selur_submit(selur_bridge_t bridge,
                            uint32_t command,
                            const char *const *fields,
                            uint32_t field_count,
                            uint32_t deadline_ms,
                            uint64_t *ticket,
                            selur_error_t *error);

/**
 * Asks for an early end of what was begun under a ticket: a request, or a read or a write of a stream. Its answer still
 * comes, and is SELUR_STATUS_CANCELLED unless it was there already. A ticket that was answered is no error.
 */
selur_status_t selur_cancel(selur_bridge_t bridge,
                            uint64_t ticket,
                            selur_error_t *error);

/**
 * Undoes what a request of a command, one of selur_command_t, made whose success nobody wants any more: it was cancelled,
 * and was answered just before. `data` is what it was answered with. A created container is deleted, by force; an opened
 * stream is closed. Anything else stays as it is.
 *
 * Returns at once; it is done in the background, and a bridge that is closed meanwhile waits for it, up to 5 s.
 */
selur_status_t selur_abandon(selur_bridge_t bridge,
                             uint32_t command,
                             const uint8_t *data,
                             uint32_t data_length,
                             selur_error_t *error);

/**
 * Answers the same bytes, which must be UTF-8: a round trip through the guest.
 */
selur_status_t selur_ping(selur_bridge_t bridge,
                          const uint8_t *payload,
                          uint32_t payload_length,
                          uint32_t deadline_ms,
                          selur_bytes_t *data,
                          selur_error_t *error);

/**
 * Makes a container, pulling its image if need be; it is not started. `name` may be NULL, and `spec` too, which is JSON:
 * docs/schemas/container-spec.schema.json.
 *
 * Fails with
 * - SELUR_STATUS_CONTAINER_ALREADY_EXISTS: the name is taken;
 * - SELUR_STATUS_IMAGE_NOT_FOUND, SELUR_STATUS_NETWORK_ERROR, SELUR_STATUS_PERMISSION_DENIED: from the registry;
 * - SELUR_STATUS_RESOURCE_EXHAUSTED: 1,024 containers exist, or the disk is full;
 * - SELUR_STATUS_INVALID_REQUEST: an argument is not of its grammar; the message names it.
 */
selur_status_t selur_create_container(selur_bridge_t bridge,
                                      const char *image,
                                      const char *name,
                                      const char *spec,
                                      uint32_t deadline_ms,
                                      selur_container_id_t *id,
                                      selur_error_t *error);

/**
 * Starts a container's process. One that runs is left alone.
 *
 * Fails with SELUR_STATUS_CONTAINER_NOT_FOUND, and with SELUR_STATUS_INVALID_STATE if it is paused.
 */
selur_status_t selur_start_container(selur_bridge_t bridge,
                                     const char *container,
                                     uint32_t deadline_ms,
                                     selur_error_t *error);

/**
 * Ends a container's process: the stop signal, then SIGKILL after `timeout_ms`: 0 to 4,294,967,295, or
 * SELUR_STOP_TIMEOUT_DEFAULT. Blocks until it has ended.
 *
 * Fails with SELUR_STATUS_CONTAINER_NOT_FOUND, and with SELUR_STATUS_INVALID_REQUEST for a time that is out of range.
 */
selur_status_t selur_stop_container(selur_bridge_t bridge,
                                    const char *container,
                                    int64_t timeout_ms,
                                    uint32_t deadline_ms,
                                    selur_error_t *error);

/**
 * What is known of a container, as JSON: docs/schemas/inspection.schema.json.
 *
 * Fails with SELUR_STATUS_CONTAINER_NOT_FOUND.
 */
selur_status_t selur_inspect_container(selur_bridge_t bridge,
                                       const char *container,
                                       uint32_t deadline_ms,
                                       selur_bytes_t *json,
                                       selur_error_t *error);

/**
 * Removes a container and everything of it. `deletion` is one of selur_deletion_t.
 *
 * Fails with SELUR_STATUS_CONTAINER_NOT_FOUND, and with SELUR_STATUS_INVALID_STATE if a process of it runs and the deletion
 * is plain.
 */
selur_status_t selur_delete_container(selur_bridge_t bridge,
                                      const char *container,
                                      uint32_t deletion,
                                      uint32_t deadline_ms,
                                      selur_error_t *error);

/**
 * The ids of all containers, one a line, oldest first; the last line has no line feed.
 */
selur_status_t selur_list_containers(selur_bridge_t bridge,
                                     uint32_t deadline_ms,
                                     selur_bytes_t *ids,
                                     selur_error_t *error);

/**
 * Sends a signal to a container's process: a name such as SIGTERM, or a number as text; NULL is SIGKILL. It returns when the
 * signal is sent; wait for the end with selur_wait_container().
 *
 * Fails with SELUR_STATUS_CONTAINER_NOT_FOUND, and with SELUR_STATUS_INVALID_STATE if no process of it runs.
 */
selur_status_t selur_kill_container(selur_bridge_t bridge,
                                    const char *container,
                                    const char *signal,
                                    uint32_t deadline_ms,
                                    selur_error_t *error);

/**
 * Freezes every process of a container.
 *
 * Fails with SELUR_STATUS_CONTAINER_NOT_FOUND, and with SELUR_STATUS_INVALID_STATE if no process of it runs.
 */
selur_status_t selur_pause_container(selur_bridge_t bridge,
                                     const char *container,
                                     uint32_t deadline_ms,
                                     selur_error_t *error);

/**
 * Thaws a paused container.
 *
 * Fails with SELUR_STATUS_CONTAINER_NOT_FOUND, and with SELUR_STATUS_INVALID_STATE if no process of it runs.
 */
selur_status_t selur_resume_container(selur_bridge_t bridge,
                                      const char *container,
                                      uint32_t deadline_ms,
                                      selur_error_t *error);

/**
 * Blocks until a container has ended for good, and gives its exit code: 0 to 255, or SELUR_EXIT_CODE_UNKNOWN.
 *
 * Fails with SELUR_STATUS_CONTAINER_NOT_FOUND also if it is deleted meanwhile.
 */
selur_status_t selur_wait_container(selur_bridge_t bridge,
                                    const char *container,
                                    uint32_t deadline_ms,
                                    int32_t *exit_code,
                                    selur_error_t *error);

/**
 * The processes of a container, as JSON: a list of docs/schemas/process.schema.json.
 *
 * Fails with SELUR_STATUS_CONTAINER_NOT_FOUND, and with SELUR_STATUS_INVALID_STATE if it does not run.
 */
selur_status_t selur_top_container(selur_bridge_t bridge,
                                   const char *container,
                                   uint32_t deadline_ms,
                                   selur_bytes_t *json,
                                   selur_error_t *error);

/**
 * Fetches an image from its registry, whether the store has it or not, and gives it as JSON: docs/schemas/image.schema.json.
 *
 * Fails with
 * - SELUR_STATUS_IMAGE_NOT_FOUND: no such image, or none for this platform;
 * - SELUR_STATUS_PERMISSION_DENIED, SELUR_STATUS_NETWORK_ERROR: from the registry;
 * - SELUR_STATUS_RESOURCE_EXHAUSTED: the disk is full, or the image over the size cap;
 * - SELUR_STATUS_UNSUPPORTED: the runtime has no image store.
 */
selur_status_t selur_pull_image(selur_bridge_t bridge,
                                const char *image,
                                uint32_t deadline_ms,
                                selur_bytes_t *json,
                                selur_error_t *error);

/**
 * Every image of the store, ordered by reference, as JSON: a list of docs/schemas/image.schema.json.
 */
selur_status_t selur_list_images(selur_bridge_t bridge,
                                 uint32_t deadline_ms,
                                 selur_bytes_t *json,
                                 selur_error_t *error);

/**
 * Removes an image's name, and the image with its last name.
 *
 * Fails with SELUR_STATUS_IMAGE_NOT_FOUND, and with SELUR_STATUS_INVALID_STATE if a container is made from it.
 */
selur_status_t selur_delete_image(selur_bridge_t bridge,
                                  const char *image,
                                  uint32_t deadline_ms,
                                  selur_error_t *error);

/**
 * Takes images into the store from an OCI image layout, an archive of one, or one that `docker save` wrote, and gives them as
 * JSON. `path` is absolute. `options` is JSON, {"reference":"name:tag"} names the one image that is in there; NULL means the
 * names that the images bring.
 *
 * Fails with SELUR_STATUS_INVALID_REQUEST if there is no layout, an image has no name, or what is there is broken.
 */
selur_status_t selur_load_image(selur_bridge_t bridge,
                                const char *path,
                                const char *options,
                                uint32_t deadline_ms,
                                selur_bytes_t *json,
                                selur_error_t *error);

/**
 * Sends an image of the store to the registry that its reference names, and gives its reference and digest as JSON.
 *
 * Fails as selur_pull_image(); with SELUR_STATUS_IMAGE_NOT_FOUND if the store lacks it.
 */
selur_status_t selur_push_image(selur_bridge_t bridge,
                                const char *image,
                                uint32_t deadline_ms,
                                selur_bytes_t *json,
                                selur_error_t *error);

/**
 * Gives an image of the store another name; one that another image has is taken from that.
 *
 * Fails with SELUR_STATUS_IMAGE_NOT_FOUND if the store lacks it.
 */
selur_status_t selur_tag_image(selur_bridge_t bridge,
                               const char *image,
                               const char *name,
                               uint32_t deadline_ms,
                               selur_error_t *error);

/**
 * Removes what nothing uses from the store, and gives what was freed as JSON. `options` is JSON,
 * docs/schemas/prune-options.schema.json; NULL means the defaults.
 */
selur_status_t selur_prune_images(selur_bridge_t bridge,
                                  const char *options,
                                  uint32_t deadline_ms,
                                  selur_bytes_t *json,
                                  selur_error_t *error);

/**
 * Makes a volume, and gives it as JSON: docs/schemas/volume.schema.json. One that exists with the same labels is left as it
 * is. `options` is JSON, docs/schemas/volume-options.schema.json; NULL means the defaults.
 *
 * Fails with SELUR_STATUS_INVALID_STATE if it exists with other labels.
 */
selur_status_t selur_create_volume(selur_bridge_t bridge,
                                   const char *name,
                                   const char *options,
                                   uint32_t deadline_ms,
                                   selur_bytes_t *json,
                                   selur_error_t *error);

/**
 * What is known of a volume, as JSON: docs/schemas/volume.schema.json.
 *
 * Fails with SELUR_STATUS_VOLUME_NOT_FOUND.
 */
selur_status_t selur_inspect_volume(selur_bridge_t bridge,
                                    const char *name,
                                    uint32_t deadline_ms,
                                    selur_bytes_t *json,
                                    selur_error_t *error);

/**
 * Every volume, ordered by name, as JSON: a list of docs/schemas/volume.schema.json.
 */
selur_status_t selur_list_volumes(selur_bridge_t bridge,
                                  uint32_t deadline_ms,
                                  selur_bytes_t *json,
                                  selur_error_t *error);

/**
 * Removes a volume and what is in it.
 *
 * Fails with SELUR_STATUS_VOLUME_NOT_FOUND, and with SELUR_STATUS_INVALID_STATE if a container mounts it.
 */
selur_status_t selur_delete_volume(selur_bridge_t bridge,
                                   const char *name,
                                   uint32_t deadline_ms,
                                   selur_error_t *error);

/**
 * Takes answers out of the queue, oldest first, up to `capacity`. If there is none it blocks until one comes, at most
 * `timeout_ms`; SELUR_DEADLINE_NONE is without end. On success `count` receives how many there are, 1 at least.
 *
 * Several threads may wait at once; each answer goes to one of them.
 *
 * Fails with
 * - SELUR_STATUS_TIMEOUT: none came in time;
 * - SELUR_STATUS_CANCELLED: the bridge is closed and every answer was drained: nothing comes any more;
 * - SELUR_STATUS_INVALID_REQUEST: `capacity` is 0, `completions` is NULL, or the bridge was freed.
 */
selur_status_t selur_completions_wait(selur_bridge_t bridge,
                                      uint32_t timeout_ms,
                                      selur_completion_t *completions,
                                      uint32_t capacity,
                                      uint32_t *count,
                                      selur_error_t *error);

/**
 * Waits as selur_completions_wait() does, but takes nothing and writes nothing: drain afterwards. It is for hosts whose
 * memory may be gone when a waiting thread comes back.
 *
 * Fails with
 * - SELUR_STATUS_TIMEOUT: no answer came in time;
 * - SELUR_STATUS_CANCELLED: the bridge is closed and every answer was drained: nothing comes any more;
 * - SELUR_STATUS_INVALID_REQUEST: the bridge was freed.
 */
selur_status_t selur_completions_ready(selur_bridge_t bridge,
                                       uint32_t timeout_ms,
                                       selur_error_t *error);

/**
 * Takes answers out of the queue, oldest first, up to `capacity`, without waiting. `count` receives how many there are,
 * which may be 0.
 *
 * Fails with SELUR_STATUS_INVALID_REQUEST if `capacity` is 0, `completions` is NULL, or the bridge was freed.
 */
selur_status_t selur_completions_drain(selur_bridge_t bridge,
                                       selur_completion_t *completions,
                                       uint32_t capacity,
                                       uint32_t *count,
                                       selur_error_t *error);

/**
 * A file descriptor that poll() and epoll show as readable while there is something to drain, and once the bridge is
 * closed. It belongs to the bridge: neither read nor close it, and stop using it before the bridge is freed.
 *
 * Fails with SELUR_STATUS_RESOURCE_EXHAUSTED if the process has no file descriptor left.
 */
selur_status_t selur_completions_fd(selur_bridge_t bridge,
                                    int32_t *descriptor,
                                    selur_error_t *error);

/**
 * Reserves a slot of so many bytes, header included: at most 262,149. Room behind the frame is for the answer: a list needs
 * 33 bytes for each container.
 *
 * Fails with
 * - SELUR_STATUS_INVALID_REQUEST: no frame is that long, or the bridge is closed;
 * - SELUR_STATUS_RESOURCE_EXHAUSTED: the arena has no room; it fails at once.
 */
selur_status_t selur_slot_reserve(selur_bridge_t bridge,
                                  uint32_t bytes,
                                  uint32_t deadline_ms,
                                  selur_slot_view_t *slot,
                                  selur_error_t *error);

/**
 * Hands over the frame in a slot: its first `frame_length` bytes. It never blocks.
 *
 * What is answered at once, every ping and most lists and refusals, is answered here: the status is the answer's. After a
 * success the data lies in the slot, and after both a success and a failure another frame may be written into the slot and
 * be submitted. What takes longer gives a ticket; the slot's memory is the guest's again then, and must not be written.
 *
 * Fails also with SELUR_STATUS_INVALID_REQUEST if the slot was released or gave a ticket before, if it has less room, or
 * if the bridge is closed; and with SELUR_STATUS_RESOURCE_EXHAUSTED as selur_submit_frame() does.
 */
selur_status_t selur_slot_submit(selur_slot_t slot,
                                 uint32_t frame_length,
                                 selur_answer_t *answer,
                                 selur_error_t *error);

/**
 * Releases a slot; its memory must not be used any more. 0 is allowed. What it was submitted for goes on.
 *
 * Fails with SELUR_STATUS_INVALID_REQUEST if it was released before; nothing happens then.
 */
selur_status_t selur_slot_release(selur_slot_t slot);

/**
 * Runs a further process in a running container. `spec` is JSON: docs/schemas/exec-spec.schema.json, such as
 * {"command":["ls"]}.
 *
 * Its items are SELUR_KIND_STDOUT and SELUR_KIND_STDERR, pieces of at most 64 KiB, then SELUR_KIND_ENDED.
 *
 * Fails with
 * - SELUR_STATUS_INVALID_REQUEST: the program cannot be run, or the specification is refused;
 * - SELUR_STATUS_INVALID_STATE: the container does not run.
 */
selur_status_t selur_exec(selur_bridge_t bridge,
                          const char *container,
                          const char *spec,
                          uint32_t deadline_ms,
                          selur_stream_t *stream,
                          selur_error_t *error);

/**
 * Opens what a container wrote. `options` is JSON, docs/schemas/log-options.schema.json, such as {"follow":true}; NULL means
 * the defaults.
 *
 * Its items are SELUR_KIND_STDOUT and SELUR_KIND_STDERR, at most a line each, with their moments.
 */
selur_status_t selur_logs(selur_bridge_t bridge,
                          const char *container,
                          const char *options,
                          uint32_t deadline_ms,
                          selur_stream_t *stream,
                          selur_error_t *error);

/**
 * Connects to a container's first process: its output from now on, and its input. `options` is JSON,
 * docs/schemas/attach-options.schema.json; NULL means the defaults. Its items are those of selur_exec(). Freeing the stream
 * leaves the container as it is.
 *
 * Fails with
 * - SELUR_STATUS_INVALID_STATE: the container has ended;
 * - SELUR_STATUS_INVALID_REQUEST: input is wanted, and the container was made without `stdin`.
 */
selur_status_t selur_attach(selur_bridge_t bridge,
                            const char *container,
                            const char *options,
                            uint32_t deadline_ms,
                            selur_stream_t *stream,
                            selur_error_t *error);

/**
 * Samples what a container uses. `options` is JSON, docs/schemas/stats-options.schema.json; NULL means the defaults. Its
 * items are SELUR_KIND_JSON: docs/schemas/stats.schema.json.
 *
 * Fails with SELUR_STATUS_INVALID_STATE if the container does not run.
 */
selur_status_t selur_stats(selur_bridge_t bridge,
                           const char *container,
                           const char *options,
                           uint32_t deadline_ms,
                           selur_stream_t *stream,
                           selur_error_t *error);

/**
 * Opens what happens to containers, images and volumes from now on, whichever process does it. `options` is JSON,
 * docs/schemas/event-options.schema.json; NULL means the defaults. Its items are SELUR_KIND_JSON: {"event":…} with an event
 * of docs/schemas/event.schema.json, or {"lagged":n} with the number of those that a slow reader missed.
 */
selur_status_t selur_events(selur_bridge_t bridge,
                            const char *options,
                            uint32_t deadline_ms,
                            selur_stream_t *stream,
                            selur_error_t *error);

/**
 * Fetches an image and tells how far it is. Its items are SELUR_KIND_JSON: {"progress":…} of
 * docs/schemas/progress.schema.json, then {"pulled":…} of docs/schemas/image.schema.json. What goes wrong is told when the
 * stream is read.
 */
selur_status_t selur_pull_image_with_progress(selur_bridge_t bridge,
                                              const char *image,
                                              uint32_t deadline_ms,
                                              selur_stream_t *stream,
                                              selur_error_t *error);

/**
 * Sends an image to its registry and tells how far it is, as selur_pull_image_with_progress() does; the last item is
 * {"pushed":…}.
 */
selur_status_t selur_push_image_with_progress(selur_bridge_t bridge,
                                              const char *image,
                                              uint32_t deadline_ms,
                                              selur_stream_t *stream,
                                              selur_error_t *error);

/**
 * Takes the stream that a request opened: the decimal number that it was answered with. Each is taken once.
 *
 * Fails with SELUR_STATUS_INVALID_REQUEST if no stream has this number, or it was taken.
 */
selur_status_t selur_stream_take(selur_bridge_t bridge,
                                 uint64_t id,
                                 selur_stream_t *stream,
                                 selur_error_t *error);

/**
 * Gives the next item; blocks until it is there. Where there are no more its kind is SELUR_KIND_END.
 *
 * Fails with
 * - what broke the stream, which has ended then;
 * - SELUR_STATUS_CANCELLED: the stream was freed, or the bridge closed, meanwhile;
 * - SELUR_STATUS_INVALID_REQUEST: a read is under way, the stream was freed, or the bridge is closed.
 */
selur_status_t selur_stream_next(selur_stream_t stream, selur_completion_t *item, selur_error_t *error);

/**
 * Begins to read the next item, which comes to the completion queue under the number in `ticket`. A read that is cancelled
 * loses no item.
 *
 * Fails, without an item to come, with SELUR_STATUS_INVALID_REQUEST as selur_stream_next() does, and with
 * SELUR_STATUS_RESOURCE_EXHAUSTED as selur_submit_frame() does.
 */
selur_status_t selur_stream_submit_next(selur_stream_t stream,
                                        uint64_t *ticket,
                                        selur_error_t *error);

/**
 * Sends bytes to the process of an exec or an attachment. Blocks while it does not read what was sent before.
 *
 * Fails with
 * - SELUR_STATUS_INVALID_STATE: the process has ended, closed its input, or was given none;
 * - SELUR_STATUS_INVALID_REQUEST: a write is under way, this stream takes no input, it was freed, or the bridge is closed.
 */
selur_status_t selur_stream_write(selur_stream_t stream,
                                  const uint8_t *bytes,
                                  uint32_t length,
                                  selur_error_t *error);

/**
 * Begins to send bytes, which are copied; that they were sent comes to the completion queue. A write that is cancelled may
 * have sent a part.
 *
 * Fails as selur_stream_write() does, and with SELUR_STATUS_RESOURCE_EXHAUSTED as selur_submit_frame() does.
 */
selur_status_t selur_stream_submit_write(selur_stream_t stream,
                                         const uint8_t *bytes,
                                         uint32_t length,
                                         uint64_t *ticket,
                                         selur_error_t *error);

/**
 * Ends the input of an exec's or an attachment's process. With a terminal there is no such end: write the byte 4 instead.
 * Blocks while the process does not read what was sent before.
 *
 * Fails as selur_stream_write() does.
 */
selur_status_t selur_stream_end_input(selur_stream_t stream,
                                      selur_error_t *error);

/**
 * Begins to end the input, as selur_stream_end_input() does; that it was ended comes to the completion queue.
 *
 * Fails as selur_stream_submit_write() does.
 */
selur_status_t selur_stream_submit_end_input(selur_stream_t stream, uint64_t *ticket, selur_error_t *error);

/**
 * Tells the terminal of an exec's or an attachment's process its size, in characters. Nothing happens where there is none.
 * Blocks while the process does not read what was sent before.
 *
 * Fails as selur_stream_write() does.
 */
selur_status_t selur_stream_resize(selur_stream_t stream,
                                   uint16_t rows,
                                   uint16_t columns,
                                   selur_error_t *error);

/**
 * Begins to tell the terminal its size, as selur_stream_resize() does; that it was told comes to the completion queue.
 *
 * Fails as selur_stream_submit_write() does.
 */
selur_status_t selur_stream_submit_resize(selur_stream_t stream,
                                          uint16_t rows,
                                          uint16_t columns,
                                          uint64_t *ticket,
                                          selur_error_t *error);

/**
 * Ends a stream and frees it. Reads and writes that are under way end with SELUR_STATUS_CANCELLED. 0 is allowed.
 *
 * Fails with SELUR_STATUS_INVALID_REQUEST if it was freed before; nothing happens then.
 */
selur_status_t selur_stream_free(selur_stream_t stream);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* SELUR_H */
