/**
 * selur drives real containers from inside your program. This is the package for Deno: `libselur.so` behind classes and
 * promises. It needs `--allow-ffi`.
 *
 * ```ts
 * import { Bridge } from "./mod.ts";
 *
 * await using bridge = new Bridge({ runtime: "simulated" });
 * const id = await bridge.createContainer("busybox", { spec: { command: ["sleep", "60"] } });
 * await bridge.startContainer(id);
 * await bridge.killContainer(id);
 * console.log("exit code", await bridge.waitContainer(id));
 * await bridge.deleteContainer(id);
 * ```
 *
 * @module
 */

export { Bridge, type BridgeOptions, type Response } from "./src/bridge.ts";
export { type CommandName, LibraryError, SelurError, type StatusName } from "./src/errors.ts";
export { Library, openLibrary } from "./src/library.ts";
export {
  type Abortable,
  type CreateOptions,
  type DeleteOptions,
  type LoadOptions,
  Requests,
  type StopOptions,
} from "./src/requests.ts";
export type * from "./src/schemas.ts";
export { type Answer, type RequestOptions, type SyncRequestOptions } from "./src/session.ts";
export { Slot } from "./src/slots.ts";
export {
  type Collected,
  type EventItem,
  ExecSession,
  ItemStream,
  type LogEntry,
  type Output,
  type PullItem,
  type PushItem,
  type StreamItem,
} from "./src/streams.ts";
export { ABI_VERSION, Command, Kind, Runtime, Status } from "./src/symbols.ts";
