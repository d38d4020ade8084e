// Made by generate.ts from include/selur.h: do not edit; `deno task generate` makes it anew.

/** `SELUR_ABI_VERSION` of selur.h. */
export const ABI_VERSION = 1;
/** `SELUR_DEADLINE_DEFAULT` of selur.h. */
export const DEADLINE_DEFAULT = 0;
/** `SELUR_DEADLINE_NONE` of selur.h. */
export const DEADLINE_NONE = 4294967295;
/** `SELUR_STOP_TIMEOUT_DEFAULT` of selur.h. */
export const STOP_TIMEOUT_DEFAULT = -1;
/** `SELUR_EXIT_CODE_UNKNOWN` of selur.h. */
export const EXIT_CODE_UNKNOWN = -1;
/** `SELUR_NOT_IN_ARENA` of selur.h. */
export const NOT_IN_ARENA = 4294967295;

/** The codes of `selur_status_t` by their names. */
export const Status = {
  success: 0,
  invalid_request: 1,
  container_not_found: 2,
  container_already_exists: 3,
  network_error: 4,
  internal_error: 5,
  invalid_state: 6,
  permission_denied: 7,
  resource_exhausted: 8,
  timeout: 9,
  cancelled: 10,
  unsupported: 11,
  image_not_found: 12,
  volume_not_found: 13,
} as const;

/** The codes of `selur_command_t` by their names. */
export const Command = {
  ping: 0,
  create_container: 1,
  start_container: 2,
  stop_container: 3,
  inspect_container: 4,
  delete_container: 5,
  list_containers: 6,
  kill_container: 7,
  pause_container: 8,
  resume_container: 9,
  wait_container: 10,
  exec: 11,
  logs: 12,
  attach: 13,
  stats: 14,
  top: 15,
  events: 16,
  pull_image: 17,
  list_images: 18,
  delete_image: 19,
  load_image: 20,
  push_image: 21,
  tag_image: 22,
  prune_images: 23,
  create_volume: 24,
  inspect_volume: 25,
  list_volumes: 26,
  delete_volume: 27,
} as const;

/** The codes of `selur_runtime_t` by their names. */
export const Runtime = {
  auto: 0,
  simulated: 1,
  oci: 2,
  docker: 3,
} as const;

/** The codes of `selur_kind_t` by their names. */
export const Kind = {
  answer: 0,
  stdout: 1,
  stderr: 2,
  ended: 3,
  json: 4,
  end: 5,
} as const;

/** The codes of `selur_deletion_t` by their names. */
export const Deletion = {
  plain: 0,
  force: 1,
} as const;

/** Where the fields of `selur_view_t` lie, and how many bytes it has. */
export const VIEW_LAYOUT = {
  data: 0,
  length: 8,
  SIZE: 16,
} as const;

/** Where the fields of `selur_arena_view_t` lie, and how many bytes it has. */
export const ARENA_VIEW_LAYOUT = {
  arena: 0,
  data: 8,
  length: 16,
  SIZE: 24,
} as const;

/** Where the fields of `selur_container_id_t` lie, and how many bytes it has. */
export const CONTAINER_ID_LAYOUT = {
  text: 0,
  SIZE: 33,
} as const;

/** Where the fields of `selur_completion_t` lie, and how many bytes it has. */
export const COMPLETION_LAYOUT = {
  ticket: 0,
  data: 8,
  value: 16,
  length: 24,
  status: 28,
  kind: 32,
  reserved: 36,
  SIZE: 40,
} as const;

/** Where the fields of `selur_slot_view_t` lie, and how many bytes it has. */
export const SLOT_VIEW_LAYOUT = {
  slot: 0,
  data: 8,
  capacity: 16,
  offset: 20,
  SIZE: 24,
} as const;

/** Where the fields of `selur_answer_t` lie, and how many bytes it has. */
export const ANSWER_LAYOUT = {
  ticket: 0,
  data: 8,
  length: 16,
  offset: 20,
  SIZE: 24,
} as const;

/** Every function of selur.h as `Deno.dlopen` wants it. */
export const symbols = {
  selur_abi_version: { parameters: [], result: "u32" },
  selur_version: { parameters: [], result: "pointer" },
  selur_guest_sha256: { parameters: [], result: "pointer" },
  selur_status_name: { parameters: ["u32"], result: "pointer" },
  selur_error_status: { parameters: ["u64"], result: "u32" },
  selur_error_message: { parameters: ["u64"], result: "pointer" },
  selur_error_free: { parameters: ["u64"], result: "u32" },
  selur_bytes_view: { parameters: ["u64", "pointer", "pointer"], result: "u32" },
  selur_bytes_take: { parameters: ["u64", "buffer", "u32", "pointer"], result: "u32" },
  selur_bytes_free: { parameters: ["u64"], result: "u32" },
  selur_options_new: { parameters: ["pointer", "pointer"], result: "u32" },
  selur_options_set_guest_path: { parameters: ["u64", "buffer", "pointer"], result: "u32" },
  selur_options_set_guest_bytes: { parameters: ["u64", "buffer", "u32", "pointer"], result: "u32" },
  selur_options_set_runtime: { parameters: ["u64", "u32", "pointer"], result: "u32" },
  selur_options_set_state_root: { parameters: ["u64", "buffer", "pointer"], result: "u32" },
  selur_options_set_shim: { parameters: ["u64", "buffer", "pointer"], result: "u32" },
  selur_options_set_docker_socket: { parameters: ["u64", "buffer", "pointer"], result: "u32" },
  selur_options_set_default_deadline: { parameters: ["u64", "u32", "pointer"], result: "u32" },
  selur_options_free: { parameters: ["u64"], result: "u32" },
  selur_bridge_new: { parameters: ["u64", "pointer", "pointer"], result: "u32" },
  selur_bridge_close: { parameters: ["u64", "pointer"], result: "u32" },
  selur_bridge_close_nonblocking: {
    name: "selur_bridge_close",
    parameters: ["u64", "pointer"],
    result: "u32",
    nonblocking: true,
  },
  selur_bridge_free: { parameters: ["u64"], result: "u32" },
  selur_bridge_memory_size: { parameters: ["u64", "pointer", "pointer"], result: "u32" },
  selur_bridge_runtime: { parameters: ["u64", "pointer", "pointer"], result: "u32" },
  selur_bridge_state_digest: { parameters: ["u64", "pointer", "pointer"], result: "u32" },
  selur_arena_open: { parameters: ["u64", "pointer", "pointer"], result: "u32" },
  selur_arena_free: { parameters: ["u64"], result: "u32" },
  selur_call: { parameters: ["u64", "buffer", "u32", "u32", "pointer", "pointer"], result: "u32" },
  selur_request: { parameters: ["u64", "u32", "buffer", "u32", "u32", "pointer", "pointer"], result: "u32" },
  selur_submit_frame: { parameters: ["u64", "buffer", "u32", "u32", "pointer", "pointer"], result: "u32" },
  selur_submit: { parameters: ["u64", "u32", "buffer", "u32", "u32", "pointer", "pointer"], result: "u32" },
  selur_cancel: { parameters: ["u64", "u64", "pointer"], result: "u32" },
  selur_abandon: { parameters: ["u64", "u32", "buffer", "u32", "pointer"], result: "u32" },
  selur_ping: { parameters: ["u64", "buffer", "u32", "u32", "pointer", "pointer"], result: "u32" },
  selur_create_container: {
    parameters: ["u64", "buffer", "buffer", "buffer", "u32", "pointer", "pointer"],
    result: "u32",
  },
  selur_start_container: { parameters: ["u64", "buffer", "u32", "pointer"], result: "u32" },
  selur_stop_container: { parameters: ["u64", "buffer", "i64", "u32", "pointer"], result: "u32" },
  selur_inspect_container: { parameters: ["u64", "buffer", "u32", "pointer", "pointer"], result: "u32" },
  selur_delete_container: { parameters: ["u64", "buffer", "u32", "u32", "pointer"], result: "u32" },
  selur_list_containers: { parameters: ["u64", "u32", "pointer", "pointer"], result: "u32" },
  selur_kill_container: { parameters: ["u64", "buffer", "buffer", "u32", "pointer"], result: "u32" },
  selur_pause_container: { parameters: ["u64", "buffer", "u32", "pointer"], result: "u32" },
  selur_resume_container: { parameters: ["u64", "buffer", "u32", "pointer"], result: "u32" },
  selur_wait_container: { parameters: ["u64", "buffer", "u32", "pointer", "pointer"], result: "u32" },
  selur_top_container: { parameters: ["u64", "buffer", "u32", "pointer", "pointer"], result: "u32" },
  selur_pull_image: { parameters: ["u64", "buffer", "u32", "pointer", "pointer"], result: "u32" },
  selur_list_images: { parameters: ["u64", "u32", "pointer", "pointer"], result: "u32" },
  selur_delete_image: { parameters: ["u64", "buffer", "u32", "pointer"], result: "u32" },
  selur_load_image: { parameters: ["u64", "buffer", "buffer", "u32", "pointer", "pointer"], result: "u32" },
  selur_push_image: { parameters: ["u64", "buffer", "u32", "pointer", "pointer"], result: "u32" },
  selur_tag_image: { parameters: ["u64", "buffer", "buffer", "u32", "pointer"], result: "u32" },
  selur_prune_images: { parameters: ["u64", "buffer", "u32", "pointer", "pointer"], result: "u32" },
  selur_create_volume: {
    parameters: ["u64", "buffer", "buffer", "u32", "pointer", "pointer"],
    result: "u32",
  },
  selur_inspect_volume: { parameters: ["u64", "buffer", "u32", "pointer", "pointer"], result: "u32" },
  selur_list_volumes: { parameters: ["u64", "u32", "pointer", "pointer"], result: "u32" },
  selur_delete_volume: { parameters: ["u64", "buffer", "u32", "pointer"], result: "u32" },
  selur_completions_wait: {
    parameters: ["u64", "u32", "pointer", "u32", "pointer", "pointer"],
    result: "u32",
  },
  selur_completions_ready: { parameters: ["u64", "u32", "pointer"], result: "u32" },
  selur_completions_ready_nonblocking: {
    name: "selur_completions_ready",
    parameters: ["u64", "u32", "pointer"],
    result: "u32",
    nonblocking: true,
  },
  selur_completions_drain: { parameters: ["u64", "pointer", "u32", "pointer", "pointer"], result: "u32" },
  selur_completions_fd: { parameters: ["u64", "pointer", "pointer"], result: "u32" },
  selur_slot_reserve: { parameters: ["u64", "u32", "u32", "pointer", "pointer"], result: "u32" },
  selur_slot_submit: { parameters: ["u64", "u32", "pointer", "pointer"], result: "u32" },
  selur_slot_release: { parameters: ["u64"], result: "u32" },
  selur_exec: { parameters: ["u64", "buffer", "buffer", "u32", "pointer", "pointer"], result: "u32" },
  selur_logs: { parameters: ["u64", "buffer", "buffer", "u32", "pointer", "pointer"], result: "u32" },
  selur_attach: { parameters: ["u64", "buffer", "buffer", "u32", "pointer", "pointer"], result: "u32" },
  selur_stats: { parameters: ["u64", "buffer", "buffer", "u32", "pointer", "pointer"], result: "u32" },
  selur_events: { parameters: ["u64", "buffer", "u32", "pointer", "pointer"], result: "u32" },
  selur_pull_image_with_progress: {
    parameters: ["u64", "buffer", "u32", "pointer", "pointer"],
    result: "u32",
  },
  selur_push_image_with_progress: {
    parameters: ["u64", "buffer", "u32", "pointer", "pointer"],
    result: "u32",
  },
  selur_stream_take: { parameters: ["u64", "u64", "pointer", "pointer"], result: "u32" },
  selur_stream_next: { parameters: ["u64", "pointer", "pointer"], result: "u32" },
  selur_stream_submit_next: { parameters: ["u64", "pointer", "pointer"], result: "u32" },
  selur_stream_write: { parameters: ["u64", "buffer", "u32", "pointer"], result: "u32" },
  selur_stream_submit_write: { parameters: ["u64", "buffer", "u32", "pointer", "pointer"], result: "u32" },
  selur_stream_end_input: { parameters: ["u64", "pointer"], result: "u32" },
  selur_stream_submit_end_input: { parameters: ["u64", "pointer", "pointer"], result: "u32" },
  selur_stream_resize: { parameters: ["u64", "u16", "u16", "pointer"], result: "u32" },
  selur_stream_submit_resize: { parameters: ["u64", "u16", "u16", "pointer", "pointer"], result: "u32" },
  selur_stream_free: { parameters: ["u64"], result: "u32" },
} as const;
