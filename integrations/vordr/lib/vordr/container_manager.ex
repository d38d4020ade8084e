defmodule Vordr.ContainerManager do
  @moduledoc """
  The process that Vörðr drives containers by, and that knows what becomes of them.

      {:ok, _} = Vordr.ContainerManager.start_link(wasm_path: nil)
      {:ok, id} = Vordr.ContainerManager.create("nginx:latest", name: "web")
      :ok = Vordr.ContainerManager.start("web")
      {:ok, [^id]} = Vordr.ContainerManager.list()
      %{^id => %{name: "web", state: :running}} = Vordr.ContainerManager.containers()

  `Vordr.Application` starts one, named `Vordr.ContainerManager`.

    * **It never waits.** A request is begun, and its caller gets the answer when it is there; a pull that takes minutes holds
      up nobody else. A caller that dies cancels what it asked for.
    * **It follows the runtime.** `containers/1` is what the runtime's events say, whoever caused them: this manager, another
      process on the same state root, or a container that ended by itself. It is never behind an answer that the manager gave.
    * **It may crash.** Containers go on; the manager that its supervisor starts next lists them, inspects them, and follows
      them from there. So does one whose guest was poisoned, or whose bridge somebody freed: it ends, to be started anew.

  Results are those of `Vordr.Selur.Bridge`: `:ok`, `{:ok, value}`, `{:error, status}`. Each function takes, beside the options
  of that request such as `:deadline` and `errors: :detailed`, `:manager`: which manager is asked, where it is not the one named
  `Vordr.ContainerManager`.
  """

  import Kernel, except: [inspect: 1, inspect: 2]
  alias Vordr.ContainerManager.{Containers, Server}
  alias Vordr.Selur.Bridge

  @typedoc "A container's id, its name, or a beginning of its id of at least 4 digits."
  @type container :: String.t()
  @typedoc "Options of a request, and `:manager`."
  @type options :: keyword
  @typep error :: {:error, Bridge.error()}

  @doc """
  Starts a manager.

    * `:wasm_path`: the guest, a `.wasm` file; nil, which it is unless given, means the one in the library.
    * `:name`: of the process; `Vordr.ContainerManager` unless given.
    * `:server`: the `Selur.Server` whose bridge is used, instead of one of its own. That bridge outlives the manager; the
      manager ends with the server. Under a supervisor the server comes first, and the strategy is `:rest_for_one`.
    * Further options are those of `Selur.Bridge.new/1`: `:runtime`, `:state_root`, `:deadline` and so on.

  Where the bridge cannot be made it ends with `{:bridge_failed, status}`, and the log says why.

      iex> {:ok, manager} = Vordr.ContainerManager.start_link(name: My.Manager, runtime: :simulated)
      iex> Vordr.ContainerManager.list(manager: My.Manager)
      {:ok, []}
      iex> GenServer.stop(manager)
      :ok
  """
  @spec start_link(keyword) :: GenServer.on_start()
  def start_link(options) do
    {name, options} = Keyword.pop(options, :name, __MODULE__)
    GenServer.start_link(Server, options, name: name)
  end

  @doc """
  A child specification whose id is the name, so that a supervisor can have several.

      iex> Vordr.ContainerManager.child_spec(wasm_path: nil).id
      Vordr.ContainerManager
  """
  @spec child_spec(keyword) :: Supervisor.child_spec()
  def child_spec(options) do
    # Closing its bridge takes up to 5 s.
    %{
      id: Keyword.get(options, :name, __MODULE__),
      start: {__MODULE__, :start_link, [options]},
      shutdown: 10_000
    }
  end

  @doc """
  Makes a container, and gives its id. Options are also `:name` and `:spec`, as of `Vordr.Selur.Bridge.create_container/3`.

      iex> {:ok, id} = Vordr.ContainerManager.create("nginx:latest")
      iex> Vordr.ContainerManager.containers()[id].state
      :created
      iex> Vordr.ContainerManager.delete(id)
      :ok
  """
  @spec create(String.t(), options) :: {:ok, String.t()} | error
  def create(image, options \\ []), do: request(:create, [image], options)

  @doc "Starts a container's process."
  @spec start(container, options) :: :ok | error
  def start(container, options \\ []), do: request(:start, [container], options)

  @doc "Ends a container's process. `:timeout` is the time in milliseconds until it is killed."
  @spec stop(container, options) :: :ok | error
  def stop(container, options \\ []), do: request(:stop, [container], options)

  @doc "The ids of all containers, oldest first, as the runtime lists them now."
  @spec list(options) :: {:ok, [String.t()]} | error
  def list(options \\ []), do: request(:list, [], options)

  @doc "What is known of a container, as JSON: docs/schemas/inspection.schema.json."
  @spec inspect(container, options) :: {:ok, String.t()} | error
  def inspect(container, options \\ []), do: request(:inspect, [container], options)

  @doc "Removes a container; with `force: true` also one that runs."
  @spec delete(container, options) :: :ok | error
  def delete(container, options \\ []), do: request(:delete, [container], options)

  @doc "Sends a container's process a `:signal`, SIGKILL unless given."
  @spec kill(container, options) :: :ok | error
  def kill(container, options \\ []), do: request(:kill, [container], options)

  @doc "Freezes every process of a container."
  @spec pause(container, options) :: :ok | error
  def pause(container, options \\ []), do: request(:pause, [container], options)

  @doc "Thaws every process of a container."
  @spec resume(container, options) :: :ok | error
  def resume(container, options \\ []), do: request(:resume, [container], options)

  @doc "Waits until a container has ended for good, and gives its exit code: nil if nobody knows it."
  @spec wait(container, options) :: {:ok, 0..255 | nil} | error
  def wait(container, options \\ []), do: request(:wait, [container], options)

  @doc "The processes of a container, as JSON."
  @spec top(container, options) :: {:ok, String.t()} | error
  def top(container, options \\ []), do: request(:top, [container], options)

  @doc """
  Opens what a container wrote, as a `Selur.Stream`; with `follow: true` also what it will write.

  A stream does not pass through the manager. It belongs to the process that opens it, and ends with that or with the
  manager's bridge.
  """
  @spec logs(container, options) :: {:ok, Selur.Stream.t()} | error
  def logs(container, options \\ []), do: open(:logs, [container], options)

  @doc "Samples what a container uses, as a `Selur.Stream` of JSON. Streams are as those of `logs/2`."
  @spec stats(container, options) :: {:ok, Selur.Stream.t()} | error
  def stats(container, options \\ []), do: open(:stats, [container], options)

  @doc "Connects to a container's first process, as a `Selur.Stream`. Streams are as those of `logs/2`."
  @spec attach(container, options) :: {:ok, Selur.Stream.t()} | error
  def attach(container, options \\ []), do: open(:attach, [container], options)

  @doc "Runs a further process in a running container, as a `Selur.Stream`. Streams are as those of `logs/2`."
  @spec exec(container, [String.t()] | Bridge.json(), options) :: {:ok, Selur.Stream.t()} | error
  def exec(container, process, options \\ []), do: open(:exec, [container, process], options)

  @doc "Opens what happens from now on, as a `Selur.Stream` of JSON. Streams are as those of `logs/2`."
  @spec events(options) :: {:ok, Selur.Stream.t()} | error
  def events(options \\ []), do: open(:events, [], options)

  @doc """
  All containers by their ids, as the manager knows them: name, image, state and exit code. A manager that has just started
  answers when it has found what there is.
  """
  @spec containers(options) :: %{String.t() => Containers.container()}
  def containers(options \\ []) do
    [manager: manager] = Keyword.validate!(options, manager: __MODULE__)
    GenServer.call(manager, :containers, :infinity)
  end

  @doc """
  The manager's bridge, for what the manager has no function for. It is the manager's: do not free it.

      iex> Vordr.Selur.Bridge.ping(Vordr.ContainerManager.bridge(), "hi")
      {:ok, "hi"}
  """
  @spec bridge(options) :: Bridge.t()
  def bridge(options \\ []) do
    [manager: manager] = Keyword.validate!(options, manager: __MODULE__)
    GenServer.call(manager, :bridge, :infinity)
  end

  # Without a time limit: that is what deadlines are for, which also end the request.
  defp request(operation, arguments, options) do
    {manager, options} = Keyword.pop(options, :manager, __MODULE__)

    case GenServer.call(manager, {:request, operation, arguments, options}, :infinity) do
      {:raise, exception} -> raise exception
      result -> result
    end
  end

  defp open(stream, arguments, options) do
    {manager, options} = Keyword.pop(options, :manager, __MODULE__)
    apply(Bridge, stream, [bridge(manager: manager) | arguments] ++ [options])
  end
end
