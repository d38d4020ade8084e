/**
 * The typed requests of a bridge: each as a promise, and blocking under its name with `Sync` behind it.
 *
 * @module
 */

import type { CommandName } from "./errors.ts";
import { decode } from "./frames.ts";
import { parse, write } from "./json.ts";
import type {
  ContainerProcess,
  ContainerSpec,
  Image,
  Inspection,
  Pruned,
  PruneOptions,
  Pushed,
  Volume,
  VolumeOptions,
} from "./schemas.ts";
import type { RequestOptions, SyncRequestOptions } from "./session.ts";

/** What a container is made with, besides its image. */
export interface CreateOptions extends SyncRequestOptions {
  /** Its name: `[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}`. */
  name?: string;
  /** How it is to run. What is absent comes from the image. */
  spec?: ContainerSpec;
}

/** How a container is stopped. */
export interface StopOptions extends SyncRequestOptions {
  /** How long the process has until SIGKILL, in milliseconds; the container's own unless given, else 10,000. */
  timeoutMs?: number;
}

/** How a container is deleted. */
export interface DeleteOptions extends SyncRequestOptions {
  /** Whether a process of it is killed first, and what waits for the container is cancelled. */
  force?: boolean;
}

/** How images are taken in. */
export interface LoadOptions extends SyncRequestOptions {
  /** What the one image that is in there is called; the names that the images bring unless given. */
  reference?: string;
}

/** The part of a promise's options that a blocking request cannot have. */
export type Abortable = Pick<RequestOptions, "signal">;

/** Fields of which the last ones that say nothing are left out. */
function given(...fields: (string | undefined)[]): string[] {
  let count = fields.length;
  while (count > 0 && !fields[count - 1]) count--;
  return fields.slice(0, count).map((field) => field ?? "");
}

function listed(data: Uint8Array): string[] {
  return data.length === 0 ? [] : decode(data).split("\n");
}

function exitCode(data: Uint8Array): number | null {
  return data.length === 0 ? null : Number(decode(data));
}

function stopFields(container: string, { timeoutMs }: StopOptions): string[] {
  return given(container, timeoutMs?.toString());
}

function loadFields(path: string, { reference }: LoadOptions): string[] {
  return given(path, reference === undefined ? undefined : write({ reference }));
}

/** Requests of a bridge. A `container` is named by its id, its name, or at least 4 digits of its id. */
export abstract class Requests {
  /** Carries out a request by its command and fields, and gives what it is answered with. */
  abstract request(
    command: CommandName | number,
    fields?: (string | Uint8Array)[],
    options?: RequestOptions,
  ): Promise<Uint8Array<ArrayBuffer>>;

  /** Carries out a request by its command and fields, blocking, and gives what it is answered with. */
  abstract requestSync(
    command: CommandName | number,
    fields?: (string | Uint8Array)[],
    options?: SyncRequestOptions,
  ): Uint8Array<ArrayBuffer>;

  /** Answers the same bytes, which must be UTF-8: a round trip through the guest. */
  async ping(payload: string | Uint8Array, options?: RequestOptions): Promise<Uint8Array<ArrayBuffer>> {
    return await this.request("ping", [payload], options);
  }

  /** As {@linkcode Requests.ping}, blocking. */
  pingSync(payload: string | Uint8Array, options?: SyncRequestOptions): Uint8Array<ArrayBuffer> {
    return this.requestSync("ping", [payload], options);
  }

  /** Makes a container, pulling its image if need be, and gives its id. It is not started. */
  async createContainer(image: string, options: CreateOptions & Abortable = {}): Promise<string> {
    return decode(
      await this.request(
        "create_container",
        given(image, options.name, options.spec === undefined ? undefined : write(options.spec)),
        options,
      ),
    );
  }

  /** As {@linkcode Requests.createContainer}, blocking. */
  createContainerSync(image: string, options: CreateOptions = {}): string {
    return decode(
      this.requestSync(
        "create_container",
        given(image, options.name, options.spec === undefined ? undefined : write(options.spec)),
        options,
      ),
    );
  }

  /** Starts a container's process. One that runs is left alone. */
  async startContainer(container: string, options?: RequestOptions): Promise<void> {
    await this.request("start_container", [container], options);
  }

  /** As {@linkcode Requests.startContainer}, blocking. */
  startContainerSync(container: string, options?: SyncRequestOptions): void {
    this.requestSync("start_container", [container], options);
  }

  /** Ends a container's process: the stop signal, then SIGKILL. */
  async stopContainer(container: string, options: StopOptions & Abortable = {}): Promise<void> {
    await this.request("stop_container", stopFields(container, options), options);
  }

  /** As {@linkcode Requests.stopContainer}, blocking. */
  stopContainerSync(container: string, options: StopOptions = {}): void {
    this.requestSync("stop_container", stopFields(container, options), options);
  }

  /** What is known of a container. */
  async inspectContainer(container: string, options?: RequestOptions): Promise<Inspection> {
    return parse(await this.request("inspect_container", [container], options));
  }

  /** As {@linkcode Requests.inspectContainer}, blocking. */
  inspectContainerSync(container: string, options?: SyncRequestOptions): Inspection {
    return parse(this.requestSync("inspect_container", [container], options));
  }

  /** Removes a container and everything of it. */
  async deleteContainer(container: string, options: DeleteOptions & Abortable = {}): Promise<void> {
    await this.request("delete_container", given(container, options.force ? "force" : undefined), options);
  }

  /** As {@linkcode Requests.deleteContainer}, blocking. */
  deleteContainerSync(container: string, options: DeleteOptions = {}): void {
    this.requestSync("delete_container", given(container, options.force ? "force" : undefined), options);
  }

  /** The ids of all containers, oldest first. */
  async listContainers(options?: RequestOptions): Promise<string[]> {
    return listed(await this.request("list_containers", [], options));
  }

  /** As {@linkcode Requests.listContainers}, blocking. */
  listContainersSync(options?: SyncRequestOptions): string[] {
    return listed(this.requestSync("list_containers", [], options));
  }

  /** Sends a signal to a container's process, SIGKILL unless given: `SIGTERM`, `TERM` or `15`. */
  async killContainer(container: string, killSignal?: string, options?: RequestOptions): Promise<void> {
    await this.request("kill_container", given(container, killSignal), options);
  }

  /** As {@linkcode Requests.killContainer}, blocking. */
  killContainerSync(container: string, killSignal?: string, options?: SyncRequestOptions): void {
    this.requestSync("kill_container", given(container, killSignal), options);
  }

  /** Freezes every process of a container. */
  async pauseContainer(container: string, options?: RequestOptions): Promise<void> {
    await this.request("pause_container", [container], options);
  }

  /** As {@linkcode Requests.pauseContainer}, blocking. */
  pauseContainerSync(container: string, options?: SyncRequestOptions): void {
    this.requestSync("pause_container", [container], options);
  }

  /** Thaws a paused container. */
  async resumeContainer(container: string, options?: RequestOptions): Promise<void> {
    await this.request("resume_container", [container], options);
  }

  /** As {@linkcode Requests.resumeContainer}, blocking. */
  resumeContainerSync(container: string, options?: SyncRequestOptions): void {
    this.requestSync("resume_container", [container], options);
  }

  /** Waits until a container has ended for good, and gives its exit code; null if nobody knows it. */
  async waitContainer(container: string, options?: RequestOptions): Promise<number | null> {
    return exitCode(await this.request("wait_container", [container], options));
  }

  /** As {@linkcode Requests.waitContainer}, blocking. */
  waitContainerSync(container: string, options?: SyncRequestOptions): number | null {
    return exitCode(this.requestSync("wait_container", [container], options));
  }

  /** The processes of a container. */
  async topContainer(container: string, options?: RequestOptions): Promise<ContainerProcess[]> {
    return parse(await this.request("top", [container], options));
  }

  /** As {@linkcode Requests.topContainer}, blocking. */
  topContainerSync(container: string, options?: SyncRequestOptions): ContainerProcess[] {
    return parse(this.requestSync("top", [container], options));
  }

  /** Fetches an image from its registry, whether the store has it or not. */
  async pullImage(image: string, options?: RequestOptions): Promise<Image> {
    return parse(await this.request("pull_image", [image], options));
  }

  /** As {@linkcode Requests.pullImage}, blocking. */
  pullImageSync(image: string, options?: SyncRequestOptions): Image {
    return parse(this.requestSync("pull_image", [image], options));
  }

  /** Every image of the store, ordered by reference. */
  async listImages(options?: RequestOptions): Promise<Image[]> {
    return parse(await this.request("list_images", [], options));
  }

  /** As {@linkcode Requests.listImages}, blocking. */
  listImagesSync(options?: SyncRequestOptions): Image[] {
    return parse(this.requestSync("list_images", [], options));
  }

  /** Removes an image's name, and the image with its last name. */
  async deleteImage(image: string, options?: RequestOptions): Promise<void> {
    await this.request("delete_image", [image], options);
  }

  /** As {@linkcode Requests.deleteImage}, blocking. */
  deleteImageSync(image: string, options?: SyncRequestOptions): void {
    this.requestSync("delete_image", [image], options);
  }

  /** Takes images in from an OCI layout, an archive of one, or one that `docker save` wrote. The path is absolute. */
  async loadImage(path: string, options: LoadOptions & Abortable = {}): Promise<Image[]> {
    return parse(await this.request("load_image", loadFields(path, options), options));
  }

  /** As {@linkcode Requests.loadImage}, blocking. */
  loadImageSync(path: string, options: LoadOptions = {}): Image[] {
    return parse(this.requestSync("load_image", loadFields(path, options), options));
  }

  /** Sends an image of the store to the registry that its reference names. */
  async pushImage(image: string, options?: RequestOptions): Promise<Pushed> {
    return parse(await this.request("push_image", [image], options));
  }

  /** As {@linkcode Requests.pushImage}, blocking. */
  pushImageSync(image: string, options?: SyncRequestOptions): Pushed {
    return parse(this.requestSync("push_image", [image], options));
  }

  /** Gives an image of the store another name; one that another image has is taken from that. */
  async tagImage(image: string, name: string, options?: RequestOptions): Promise<void> {
    await this.request("tag_image", [image, name], options);
  }

  /** As {@linkcode Requests.tagImage}, blocking. */
  tagImageSync(image: string, name: string, options?: SyncRequestOptions): void {
    this.requestSync("tag_image", [image, name], options);
  }

  /** Removes what nothing uses from the store, and tells what that was. */
  async pruneImages(what?: PruneOptions, options?: RequestOptions): Promise<Pruned> {
    return parse(await this.request("prune_images", given(write(what)), options));
  }

  /** As {@linkcode Requests.pruneImages}, blocking. */
  pruneImagesSync(what?: PruneOptions, options?: SyncRequestOptions): Pruned {
    return parse(this.requestSync("prune_images", given(write(what)), options));
  }

  /** Makes a volume. One that exists with the same labels is left as it is. */
  async createVolume(name: string, volume?: VolumeOptions, options?: RequestOptions): Promise<Volume> {
    return parse(await this.request("create_volume", given(name, write(volume)), options));
  }

  /** As {@linkcode Requests.createVolume}, blocking. */
  createVolumeSync(name: string, volume?: VolumeOptions, options?: SyncRequestOptions): Volume {
    return parse(this.requestSync("create_volume", given(name, write(volume)), options));
  }

  /** What is known of a volume. */
  async inspectVolume(name: string, options?: RequestOptions): Promise<Volume> {
    return parse(await this.request("inspect_volume", [name], options));
  }

  /** As {@linkcode Requests.inspectVolume}, blocking. */
  inspectVolumeSync(name: string, options?: SyncRequestOptions): Volume {
    return parse(this.requestSync("inspect_volume", [name], options));
  }

  /** Every volume, ordered by name. */
  async listVolumes(options?: RequestOptions): Promise<Volume[]> {
    return parse(await this.request("list_volumes", [], options));
  }

  /** As {@linkcode Requests.listVolumes}, blocking. */
  listVolumesSync(options?: SyncRequestOptions): Volume[] {
    return parse(this.requestSync("list_volumes", [], options));
  }

  /** Removes a volume and what is in it. */
  async deleteVolume(name: string, options?: RequestOptions): Promise<void> {
    await this.request("delete_volume", [name], options);
  }

  /** As {@linkcode Requests.deleteVolume}, blocking. */
  deleteVolumeSync(name: string, options?: SyncRequestOptions): void {
    this.requestSync("delete_volume", [name], options);
  }
}
