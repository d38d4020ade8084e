defmodule Vordr.Selur.Bridge do
  @moduledoc """
  The bridge from Vörðr to real containers: a sealed WebAssembly guest decides, this machine's runtime acts.

      alias Vordr.Selur.Bridge

      {:ok, bridge} = Bridge.new()
      {:ok, container_id} = Bridge.create_container(bridge, "nginx:latest")
      :ok = Bridge.start_container(bridge, container_id)
      {:ok, containers} = Bridge.list_containers(bridge)
      :ok = Bridge.stop_container(bridge, container_id)
      :ok = Bridge.delete_container(bridge, container_id)
      :ok = Bridge.free(bridge)

  `new/0` takes the guest that is in the library, `new/1` the path of a `selur.wasm`, or options: those of `Selur.Bridge.new/1`.

  These are the functions of `Selur.Bridge`, one for one, and it says what holds for all of them: results and options, the
  twins whose names end in `!` and `_async`, schedulers. A bridge of one is a bridge of the other.
  """

  import Vordr.Selur.Delegation, only: [delegate_all: 2]

  @typedoc "A bridge; opaque."
  @type bridge :: Selur.Bridge.t()
  @typedoc "As `t:bridge/0`."
  @type t :: bridge
  @typedoc "Why something was not done: a status, or with `errors: :detailed` an exception with its message."
  @type error :: Selur.Error.status() | Selur.Error.t()
  @typedoc "A request that was begun."
  @type request :: Selur.Bridge.request()
  @typedoc "Options of a request; see `Selur.Bridge`."
  @type options :: Selur.Bridge.options()
  @typedoc "JSON: a map or keyword list, or JSON that was written elsewhere."
  @type json :: Selur.Bridge.json()

  delegate_all(Selur.Bridge, t: bridge(), error: {:error, error()})
end
