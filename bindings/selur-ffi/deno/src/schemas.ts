// Made by generate.ts from docs/schemas: do not edit; `deno task generate` makes it anew.

// Moments and durations whose names end in _ns are bigints: a number cannot hold them.

/**
 * What is added to and taken from the capabilities that containers have. Names are written with or without `CAP_`;
 * `ALL` stands for all that this machine has.
 */
export interface Capabilities {
  /** Given to the container. `ALL` gives all but what is in `drop`. */
  add?: string[];
  /** Taken from the container. `ALL` leaves what is in `add`. */
  drop?: string[];
}

/** Something that stands at a path of the container instead of what the image has there. */
export type Mount = {
  /** Whether the container cannot write to it. */
  read_only?: boolean;
  /** Its absolute path on the host. It must exist. */
  source: string;
  /** An absolute path in the container, not `/`, without `..`. */
  target: string;
  /** type */
  type: "bind";
} | {
  /** Whether the container cannot write to it. */
  read_only?: boolean;
  /** Its name, of the grammar of container names. */
  source: string;
  /** An absolute path in the container, not `/`, without `..`. */
  target: string;
  /** type */
  type: "volume";
} | {
  /** The directory's mode, in octal digits; what the image's directory has unless given, else 1777. */
  mode?: string | null;
  /** Whether nobody can write to it. */
  read_only?: boolean;
  /** The most that it holds, in bytes; half of the machine's memory unless given. */
  size_bytes?: number | null;
  /** An absolute path in the container, not `/`, without `..`. */
  target: string;
  /** type */
  type: "tmpfs";
};

/** Which network a container sees. */
export type NetworkMode = "none" | "host";

/** When an image is pulled. */
export type PullPolicy = "missing" | "always" | "never";

/** The most that a container may use. What is absent is without limit. */
export interface Resources {
  /** Processors' time: 1.5 is one and a half. At most as many as the machine has. */
  cpus?: number | null;
  /** Memory, in bytes; the container cannot swap beyond it. A process that needs more is killed. */
  memory_bytes?: number | null;
  /** Processes and threads. */
  pids?: number | null;
}

/** Whether a process that ended by itself with a code other than 0 is started again: without end, or at most n times in a row. */
export type RestartPolicy = string;

/**
 * How a container is to run. What is absent comes from the image, else from the defaults named here.
 *
 * An unknown field is an error that names the field.
 */
export interface ContainerSpec {
  /** What its processes may do as root. */
  capabilities?: Capabilities;
  /** Instead of the image's command. */
  command?: string[] | null;
  /** Instead of the image's entrypoint; with it, the image's command is not used. */
  entrypoint?: string[] | null;
  /** `KEY=VALUE`, over the image's environment. */
  environment?: string[];
  /** `name:address`: machines whose addresses it knows without asking. */
  extra_hosts?: string[];
  /** The first 12 digits of the id unless given. */
  hostname?: string | null;
  /** Over the image's labels. */
  labels?: Record<string, string>;
  /** What else the container sees at paths of its own. */
  mounts?: Mount[];
  /** Which network the container sees. */
  network?: NetworkMode;
  /** When the image is pulled. */
  pull?: PullPolicy;
  /** Whether its root file system cannot be written to. */
  read_only_root?: boolean;
  /** What it may use of the machine. */
  resources?: Resources;
  /** Whether the process is started again when it ends by itself: `no`, `on-failure` or `on-failure:n`. */
  restart?: RestartPolicy;
  /** Whether the process has a standard input that can be attached to; else it is empty. */
  stdin?: boolean;
  /** What stop sends first; the image's, else SIGTERM. */
  stop_signal?: string | null;
  /** How long stop waits before SIGKILL, in milliseconds; 10,000 unless given. */
  stop_timeout_ms?: number | null;
  /** Whether the process has a terminal; standard error is then part of standard output. */
  terminal?: boolean;
  /** `user`, `user:group`, names or numbers. */
  user?: string | null;
  /** An absolute path in the container. */
  working_directory?: string | null;
}

/** A terminal's size, in characters. */
export interface TerminalSize {
  /** Columns. */
  columns: number;
  /** Rows. */
  rows: number;
}

/** How a further process runs in a running container. An unknown field is an error that names the field. */
export interface ExecSpec {
  /** The program, found on the container's `PATH`, and its arguments. */
  command?: string[];
  /** `KEY=VALUE`, over the container's environment. */
  environment?: string[];
  /** The terminal's size at first. */
  size?: TerminalSize | null;
  /** Whether the process gets a standard input; else it is empty. */
  stdin?: boolean;
  /** Whether the process gets a terminal; standard error is then part of standard output. */
  terminal?: boolean;
  /** `user`, `user:group`, names or numbers; the container's own unless given. */
  user?: string | null;
  /** An absolute path in the container; the container's own unless given. */
  working_directory?: string | null;
}

/** What is read of a log. */
export interface LogOptions {
  /** Whether to go on as the container writes, until it has ended for good. */
  follow?: boolean;
  /** Only what was written at this moment or later, in nanoseconds since the Unix epoch. */
  since_ns?: bigint | null;
  /** Whether standard error is wanted. */
  stderr?: boolean;
  /** Whether standard output is wanted. */
  stdout?: boolean;
  /** Only the last so many lines of what is there and else wanted; none is all. */
  tail_lines?: number | null;
}

/** How a container's first process is attached to. */
export interface AttachOptions {
  /** Whether what it wrote until now comes first. */
  replay?: boolean;
  /** Whether input is sent to it. The container's specification must say `stdin`. */
  stdin?: boolean;
}

/** What is sampled. */
export interface StatsOptions {
  /** Whether to go on, one sample an interval, until the container has ended; else there is one sample. */
  follow?: boolean;
  /** How long from one sample to the next, in milliseconds: 10 at least. */
  interval_ms?: number;
}

/** Which events are wanted. */
export interface EventOptions {
  /** Also those since this moment that are still known, in nanoseconds since the Unix epoch; else from now on. */
  since_ns?: bigint | null;
  /** Whether to end where there are no more instead of waiting for them. */
  until_now?: boolean;
}

/** What is pruned. */
export interface PruneOptions {
  /** Also images that have a name, if no container uses them. */
  all?: boolean;
  /** Only to tell what would be removed. */
  dry_run?: boolean;
}

/** What a volume is made with. */
export interface VolumeOptions {
  /** Labels. */
  labels?: Record<string, string>;
}

/**
 * Everything that is known of a container. Times are RFC 3339 in UTC.
 *
 * Source: DESIGN, "Inspect".
 */
export interface Inspection {
  /** When it was made. */
  created_at: string;
  /** How the process ended: 0 to 255, 128 + the signal if one ended it; null while it runs or when unknown. */
  exit_code: number | null;
  /** When it last ended. */
  finished_at: string | null;
  /** 32 hex digits. */
  id: string;
  /** The image reference in full. */
  image: string;
  /** The digest of the image's manifest, if the backend knows it. */
  image_digest: string | null;
  /** Labels, from the image and the specification. */
  labels: Record<string, string>;
  /** The name, if it has one. */
  name: string | null;
  /** The process's id on the host while it runs. */
  pid: number | null;
  /** How often the restart policy started it again. */
  restart_count: number;
  /** How it was asked to run. */
  spec: ContainerSpec;
  /** When it was last started. */
  started_at: string | null;
  /** created, running, paused, restarting or stopped. */
  state: string;
}

/** A process of a container, as `top` shows it. */
export interface ContainerProcess {
  /** The program and its arguments; the name in brackets where there are none. */
  command: string[];
  /** Processor time, in nanoseconds. */
  cpu_ns: bigint;
  /** Resident memory, in bytes. */
  memory_bytes: number;
  /** Its parent's id on the host. */
  parent_pid: number;
  /** Its id on the host. */
  pid: number;
  /**
   * R running, S sleeping, D waiting for a device, Z ended, T stopped…
   *
   * Source: proc_pid_stat(5).
   */
  state: string;
  /** The user it runs as, by number. */
  uid: number;
}

/**
 * What a container used until a moment. Counters only grow while the container runs; null is what this machine does
 * not tell.
 */
export interface Stats {
  /** Bytes read from block devices. */
  block_read_bytes: number | null;
  /** Bytes written to block devices. */
  block_write_bytes: number | null;
  /** Processor time, in nanoseconds. */
  cpu_ns: bigint;
  /** Memory in use without the page cache that can be dropped, in bytes. */
  memory_bytes: number;
  /** The most that it may use, in bytes; null is without limit. */
  memory_limit_bytes: number | null;
  /** Bytes received by network interfaces of its own, loopback excepted; null where it has the host's network. */
  network_receive_bytes: number | null;
  /** Bytes sent by them. */
  network_send_bytes: number | null;
  /** How many processors the container may run on at once. */
  online_cpus: number;
  /** Processes and threads. */
  pids: number;
  /** The most that it may have; null is without limit. */
  pids_limit: number | null;
  /** When, in nanoseconds since the Unix epoch. */
  time_ns: bigint;
}

/** What can happen. */
export type EventKind =
  | "created"
  | "started"
  | "paused"
  | "resumed"
  | "restarting"
  | "ended"
  | "deleted"
  | "image_pulled"
  | "image_loaded"
  | "image_tagged"
  | "image_pushed"
  | "image_deleted"
  | "volume_created"
  | "volume_deleted";

/** What happened. */
export interface Event {
  /** `ended` and `restarting`: how the process ended, if it is known. */
  exit_code?: number | null;
  /** The container's generation: it grows with every start. */
  generation?: number | null;
  /** What. */
  kind: EventKind;
  /** The container's name, if it has one. */
  name?: string | null;
  /** The container's id, the image's reference or the volume's name. */
  subject: string;
  /** When, in nanoseconds since the Unix epoch. */
  time_ns: bigint;
}

/** One image of the store. */
export interface Image {
  /** When the image was built, as its configuration says: RFC 3339. */
  created_at: string | null;
  /** The digest of the manifest for this platform. */
  digest: string;
  /** The reference in full: `docker.io/library/nginx:latest`. */
  reference: string;
  /** The compressed size of its layers, in bytes. */
  size_bytes: number;
}

/** What a push ended with. */
export interface Pushed {
  /** The digest of the manifest that the registry has now. */
  digest: string;
  /** The reference in full. */
  reference: string;
}

/** What a prune removed, or would. */
export interface Pruned {
  /** The room that is freed on the disk, in bytes. */
  freed_bytes: number;
  /** How many unpacked layers. */
  layers: number;
  /** The references that lost their image. */
  references: string[];
}

/** How far a pull or a push is. A reader that is slow sees fewer of them, never an older one after a newer one. */
export type PullProgress = {
  /** resolved */
  resolved: {
    /** The digest of the manifest for this platform. */
    digest: string;
    /** Digest and compressed size of each layer, bottom first. */
    layers: ([string, number])[];
  };
} | {
  /** transferred */
  transferred: {
    /** Bytes so far. */
    bytes: number;
    /** Which layer. */
    layer: string;
  };
} | {
  /** layer_done */
  layer_done: {
    /** Which layer. */
    layer: string;
  };
};

/** A named volume. */
export interface Volume {
  /** The containers that mount it. */
  containers: string[];
  /** When it was made: RFC 3339. */
  created_at: string;
  /** Labels. */
  labels: Record<string, string>;
  /** Its name; of the grammar of container names. */
  name: string;
  /** Its directory on this machine, if the backend has one. */
  path: string | null;
}
