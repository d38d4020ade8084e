defmodule Selur.Bridge do
  @moduledoc """
  A bridge to real containers: a sealed WebAssembly guest decides, this machine's runtime acts. There is no daemon.

      {:ok, bridge} = Selur.Bridge.new()
      {:ok, id} = Selur.Bridge.create_container(bridge, "nginx:latest", name: "web")
      :ok = Selur.Bridge.start_container(bridge, id)
      {:ok, json} = Selur.Bridge.inspect_container(bridge, "web")
      :ok = Selur.Bridge.delete_container(bridge, "web", force: true)
      :ok = Selur.Bridge.free(bridge)

  A *bridge* is an opaque reference, which any number of processes can use at once. It is freed by `free/1`, else by the
  garbage collector; containers go on. `Selur.Server` owns one in a supervision tree.

  A *container* is named by its id, by its name, or by a beginning of its id of at least 4 digits.

  ## Results

  Functions give `:ok`, `{:ok, value}` or `{:error, status}`; statuses are listed at `t:Selur.Error.status/0`. With
  `errors: :detailed`, for a request or for a bridge, failures are `{:error, %Selur.Error{}}`, with a message for people.

  Every request has two twins:

    * `start_container!/3` and so on give the value itself, and raise a `Selur.Error`.
    * `start_container_async/3` and so on do not wait: they give a reference, and the same result comes as the message
      `{:selur, reference, result}`, also that of a request that was refused. `await/2` waits for it, `cancel/2` ends it.

  ## Options of every request

    * `:deadline`: how many milliseconds it may take until it fails with `:timeout`, or `:infinity`; that of the bridge
      unless given.
    * `:errors`: `:plain` or `:detailed`; that of the bridge unless given.

  Further options are those of the request. Where they are not listed they are those of the command in docs/schemas, such as
  `follow: true`; what is unknown is refused, by name.

  ## Schedulers and processes

  No function holds a scheduler, a normal or a dirty one. What a request does runs on the bridge's own threads, and the
  process that made it waits for a message. If that process dies, its requests are cancelled: an abandoned create is undone.
  A guest that selur did not build, given by `:guest`, is called on a thread of its own.
  """

  import Selur.Requests, only: [defrequest: 3]
  alias Selur.{Native, Opening, Requests}

  @typedoc "A bridge; opaque."
  @type t :: reference
  @typedoc "As `t:t/0`."
  @type bridge :: t
  @typedoc "A request that was begun."
  @type request :: reference
  @typedoc "A failure: its status, or with `errors: :detailed` an exception."
  @type error :: {:error, Selur.Error.status() | Selur.Error.t()}
  @typedoc "Options of a request; see above."
  @type options :: keyword
  @typedoc "JSON: a map or keyword list, or JSON that was written elsewhere, such as by `Jason.encode!/1`."
  @type json :: map | keyword | iodata

  @doc """
  Makes a bridge with the guest that selur was built with, and real containers.
  """
  @spec new() :: {:ok, t} | error
  def new, do: new([])

  @doc """
  Makes a bridge: with the guest of a `.wasm` file, or with options.

    * `:guest`: a `.wasm` file, or `{:bytes, binary}`; the one that selur was built with unless given.
    * `:runtime`: `:oci` is runc, without a daemon; `:docker` is a Docker or Podman daemon; `:simulated` is in memory, for
      tests. `:auto`, which it is unless given, means real containers.
    * `:state_root`: the folder that real containers keep their state in; `$SELUR_ROOT` and its defaults unless given.
    * `:shim`: the program that holds a real container; the one in priv/ unless given.
    * `:docker_socket`: the daemon's socket, for `:docker`.
    * `:deadline`: the deadline in milliseconds of requests that have none of their own; `:infinity` unless given.
    * `:errors`: `:plain` or `:detailed`, for requests that do not say; `:plain` unless given.

  A guest that cannot be loaded gives `:internal_error`; `errors: :detailed`, or `new!/1`, says why.

      iex> {:ok, bridge} = Selur.Bridge.new(runtime: :simulated)
      iex> Selur.Bridge.list_containers(bridge)
      {:ok, []}
      iex> Selur.Bridge.new("/nowhere/selur.wasm")
      {:error, :internal_error}
  """
  @spec new(Path.t() | keyword) :: {:ok, t} | error
  def new(options) when options == [] or is_tuple(hd(options)) do
    case {Opening.open(options), Keyword.get(options, :errors)} do
      {{:error, error}, errors} when errors in [nil, :plain] -> {:error, error.status}
      {opened, _} -> opened
    end
  end

  def new(path), do: new(path, [])

  @doc """
  Makes a bridge with the guest of a `.wasm` file, and the options of `new/1`.
  """
  @spec new(Path.t(), keyword) :: {:ok, t} | error
  def new(path, options) when is_list(options), do: new([{:guest, path} | options])

  @doc """
  As `new/1`, but gives the bridge itself, and raises a `Selur.Error`.

      iex> bridge = Selur.Bridge.new!(runtime: :simulated)
      iex> Selur.Bridge.ping!(bridge, "hi")
      "hi"
  """
  @doc group: "Raising"
  @spec new!(Path.t() | keyword) :: t
  def new!(options \\ [])

  def new!(options) when options == [] or is_tuple(hd(options)) do
    options |> Opening.open() |> Requests.unwrap!()
  end

  def new!(path), do: new!(guest: path)

  @doc """
  As `new/2`, but gives the bridge itself, and raises a `Selur.Error`.
  """
  @doc group: "Raising"
  @spec new!(Path.t(), keyword) :: t
  def new!(path, options) when is_list(options), do: new!([{:guest, path} | options])

  @doc """
  Closes a bridge and frees it: what is under way is cancelled, which is waited for, up to 5 s. Containers go on.

  Always `:ok`, also for one that was freed before. Later requests give `:invalid_request`.

      iex> {:ok, bridge} = Selur.Bridge.new(runtime: :simulated)
      iex> {Selur.Bridge.free(bridge), Selur.Bridge.free(bridge)}
      {:ok, :ok}
      iex> Selur.Bridge.ping(bridge, "hi")
      {:error, :invalid_request}
  """
  @spec free(t) :: :ok
  def free(bridge), do: Requests.wait(&Native.bridge_free(bridge, &1))

  @doc """
  How many bytes of memory the guest has. It never changes.

      iex> {:ok, bridge} = Selur.Bridge.new(runtime: :simulated)
      iex> Selur.Bridge.memory_size(bridge)
      {:ok, 1_048_576}
  """
  @spec memory_size(t) :: {:ok, non_neg_integer} | error
  def memory_size(bridge) do
    with {:ok, info} <- info(bridge), do: {:ok, info.memory_size}
  end

  @doc """
  What a bridge is made of.

      iex> {:ok, bridge} = Selur.Bridge.new(runtime: :simulated)
      iex> {:ok, info} = Selur.Bridge.info(bridge)
      iex> {info.backend, info.shared}
      {"simulated", false}
  """
  @spec info(t) :: {:ok, %{backend: String.t(), memory_size: non_neg_integer, version: String.t()}} | error
  def info(bridge), do: Native.bridge_info(bridge, nil)

  @doc """
  Answers the same text: a round trip through the guest.

      iex> {:ok, bridge} = Selur.Bridge.new(runtime: :simulated)
      iex> Selur.Bridge.ping(bridge, "hi")
      {:ok, "hi"}
  """
  @spec ping(t, String.t(), options) :: {:ok, String.t()} | error
  def ping(bridge, text, options \\ [])

  def ping(bridge, text, []) do
    case Native.ping(bridge, text) do
      :pending -> Requests.await(bridge, :ping, [text], {:text, :default, nil})
      result -> result
    end
  end

  def ping(bridge, text, options) do
    {settings, []} = Requests.settings(:text, options, [])
    Requests.await(bridge, :ping, [text], settings)
  end

  @doc "As `ping/3`, but gives the text itself, and raises a `Selur.Error`."
  @doc group: "Raising"
  @spec ping!(t, String.t(), options) :: String.t()
  def ping!(bridge, text, options \\ []),
    do: bridge |> ping(text, [{:errors, :detailed} | options]) |> Requests.unwrap!()

  @doc """
  As `ping/3`, but does not wait: gives a reference for `await/2` and `cancel/2`. The result comes to this process as
  `{:selur, reference, result}`.
  """
  @doc group: "Asynchronous"
  @spec ping_async(t, String.t(), options) :: request
  def ping_async(bridge, text, options \\ []) do
    {settings, []} = Requests.settings(:text, options, [])
    Requests.begin(bridge, :ping, [text], settings)
  end

  @doc """
  Makes a container, and gives its id. Its image is pulled if it is not there. It is not started.

    * `:name`: a name that no other container has.
    * `:spec`: how it is to run: a map, or JSON. docs/API.md lists its fields.

  Fails with `:container_already_exists` if the name is taken, and with `:image_not_found`, `:network_error` or
  `:permission_denied` if the registry does not give the image.

      iex> {:ok, bridge} = Selur.Bridge.new(runtime: :simulated)
      iex> {:ok, id} = Selur.Bridge.create_container(bridge, "nginx:latest", name: "web", spec: %{command: ["sleep", "60"]})
      iex> byte_size(id)
      32
      iex> Selur.Bridge.create_container(bridge, "nginx:latest", name: "web")
      {:error, :container_already_exists}
  """
  defrequest create_container(image :: String.t()), as: :text, own: [:name, :spec] do
    [image, options[:name], Requests.json(options[:spec] || [])]
  end

  @doc """
  Starts a container's process. One that runs is left alone.

      iex> {:ok, bridge} = Selur.Bridge.new(runtime: :simulated)
      iex> {:ok, id} = Selur.Bridge.create_container(bridge, "nginx")
      iex> Selur.Bridge.start_container(bridge, id)
      :ok
      iex> Selur.Bridge.start_container(bridge, "nobody")
      {:error, :container_not_found}
  """
  defrequest start_container(container :: String.t()), as: :nothing, own: [] do
    [container]
  end

  @doc """
  Ends a container's process: its stop signal, then SIGKILL after a time. One that has ended is left alone.

    * `:timeout`: that time in milliseconds; the container's own unless given, else 10,000.

  ## Example

      iex> {:ok, bridge} = Selur.Bridge.new(runtime: :simulated)
      iex> {:ok, id} = Selur.Bridge.create_container(bridge, "nginx")
      iex> :ok = Selur.Bridge.start_container(bridge, id)
      iex> Selur.Bridge.stop_container(bridge, id, timeout: 1_000)
      :ok
  """
  defrequest stop_container(container :: String.t()), as: :nothing, own: [:timeout] do
    [container, options[:timeout] && to_string(options[:timeout])]
  end

  @doc """
  What is known of a container, as JSON: docs/schemas/inspection.schema.json.

      iex> {:ok, bridge} = Selur.Bridge.new(runtime: :simulated)
      iex> {:ok, id} = Selur.Bridge.create_container(bridge, "nginx")
      iex> {:ok, json} = Selur.Bridge.inspect_container(bridge, id)
      iex> Selur.JSON.decode!(json)["state"]
      "created"
  """
  defrequest inspect_container(container :: String.t()), as: :text, own: [] do
    [container]
  end

  @doc """
  Removes a container and everything of it.

    * `:force`: whether one that runs is killed first; `false` unless given, and then it gives `:invalid_state`.

  ## Example

      iex> {:ok, bridge} = Selur.Bridge.new(runtime: :simulated)
      iex> {:ok, id} = Selur.Bridge.create_container(bridge, "nginx")
      iex> :ok = Selur.Bridge.start_container(bridge, id)
      iex> {Selur.Bridge.delete_container(bridge, id), Selur.Bridge.delete_container(bridge, id, force: true)}
      {{:error, :invalid_state}, :ok}
  """
  defrequest delete_container(container :: String.t()), as: :nothing, own: [:force] do
    [container, if(Requests.flag(options, :force), do: "force")]
  end

  @doc """
  The ids of all containers, oldest first.

      iex> {:ok, bridge} = Selur.Bridge.new(runtime: :simulated)
      iex> {:ok, id} = Selur.Bridge.create_container(bridge, "nginx")
      iex> Selur.Bridge.list_containers(bridge) == {:ok, [id]}
      true
  """
  defrequest list_containers(), as: :lines, own: [] do
    []
  end

  @doc """
  Sends a signal to a container's process. It is answered when the signal is sent.

    * `:signal`: such as `"SIGTERM"`, `"TERM"` or 15; SIGKILL unless given.

  ## Example

      iex> {:ok, bridge} = Selur.Bridge.new(runtime: :simulated)
      iex> {:ok, id} = Selur.Bridge.create_container(bridge, "nginx")
      iex> :ok = Selur.Bridge.start_container(bridge, id)
      iex> :ok = Selur.Bridge.kill_container(bridge, id)
      iex> Selur.Bridge.wait_container(bridge, id)
      {:ok, 137}
  """
  defrequest kill_container(container :: String.t()), as: :nothing, own: [:signal] do
    [container, options[:signal] && to_string(options[:signal])]
  end

  @doc """
  Freezes every process of a container.

      iex> {:ok, bridge} = Selur.Bridge.new(runtime: :simulated)
      iex> {:ok, id} = Selur.Bridge.create_container(bridge, "nginx")
      iex> Selur.Bridge.pause_container(bridge, id)
      {:error, :invalid_state}
  """
  defrequest pause_container(container :: String.t()), as: :nothing, own: [] do
    [container]
  end

  @doc """
  Thaws every process of a container.

      iex> {:ok, bridge} = Selur.Bridge.new(runtime: :simulated)
      iex> {:ok, id} = Selur.Bridge.create_container(bridge, "nginx")
      iex> :ok = Selur.Bridge.start_container(bridge, id)
      iex> {Selur.Bridge.pause_container(bridge, id), Selur.Bridge.resume_container(bridge, id)}
      {:ok, :ok}
  """
  defrequest resume_container(container :: String.t()), as: :nothing, own: [] do
    [container]
  end

  @doc """
  Waits until a container has ended for good, and gives its exit code: nil if nobody knows it.

      iex> {:ok, bridge} = Selur.Bridge.new(runtime: :simulated)
      iex> {:ok, id} = Selur.Bridge.create_container(bridge, "nginx")
      iex> :ok = Selur.Bridge.start_container(bridge, id)
      iex> Selur.Bridge.wait_container(bridge, id, deadline: 1)
      {:error, :timeout}
  """
  defrequest wait_container(container :: String.t()), as: :exit_code, own: [] do
    [container]
  end

  @doc """
  Runs a further process in a running container, and gives its output as a `Selur.Stream`.

  The process is a list of words, or a specification, docs/schemas/exec-spec.schema.json: a map, a keyword list, or JSON as
  a binary.

      iex> {:ok, bridge} = Selur.Bridge.new(runtime: :simulated)
      iex> {:ok, id} = Selur.Bridge.create_container(bridge, "nginx")
      iex> :ok = Selur.Bridge.start_container(bridge, id)
      iex> bridge |> Selur.Bridge.exec!(id, ["echo", "hello"]) |> Enum.to_list()
      [{:stdout, "hello\\n"}, {:exit, 0}]
  """
  defrequest exec(container :: String.t(), process :: [String.t()] | map | keyword | String.t()),
    as: :stream,
    own: [] do
    [container, exec_spec(process)]
  end

  @doc """
  Opens what a container wrote, as a `Selur.Stream`; with `follow: true` also what it will write. Options are those of
  docs/schemas/log-options.schema.json: `:follow`, `:tail_lines`, `:since_ns`, `:stdout`, `:stderr`.

      iex> {:ok, bridge} = Selur.Bridge.new(runtime: :simulated)
      iex> {:ok, id} = Selur.Bridge.create_container(bridge, "nginx")
      iex> bridge |> Selur.Bridge.logs!(id, tail_lines: 10) |> Enum.to_list()
      []
  """
  defrequest logs(container :: String.t()), as: :stream do
    [container, Requests.json(options)]
  end

  @doc """
  Connects to a container's first process, as a `Selur.Stream`: its output from now on, and its input. Options are those of
  docs/schemas/attach-options.schema.json.
  """
  defrequest attach(container :: String.t()), as: :stream do
    [container, Requests.json(options)]
  end

  @doc """
  Samples what a container uses, as a `Selur.Stream` of JSON: docs/schemas/stats.schema.json. Options are those of
  docs/schemas/stats-options.schema.json.
  """
  defrequest stats(container :: String.t()), as: :stream do
    [container, Requests.json(options)]
  end

  @doc "The processes of a container, as JSON."
  defrequest top(container :: String.t()), as: :text, own: [] do
    [container]
  end

  @doc """
  Opens what happens to containers, images and volumes from now on, whichever process does it, as a `Selur.Stream` of JSON:
  `{"event":…}` as in docs/schemas/event.schema.json, or `{"lagged":n}` with the number of those that a slow reader missed.
  Options are those of docs/schemas/event-options.schema.json.

      iex> {:ok, bridge} = Selur.Bridge.new(runtime: :simulated)
      iex> {:ok, events} = Selur.Bridge.events(bridge)
      iex> {:ok, id} = Selur.Bridge.create_container(bridge, "nginx")
      iex> event = events |> Stream.map(&Selur.JSON.decode!(&1)["event"]) |> Enum.find(&(&1["kind"] == "created"))
      iex> event["subject"] == id
      true
  """
  defrequest events(), as: :stream do
    [Requests.json(options)]
  end

  @doc """
  Fetches an image, and gives what it is as JSON. Options are those of docs/schemas/pull-options.schema.json.
  """
  defrequest pull_image(image :: String.t()), as: :text do
    [image, Requests.json(options)]
  end

  @doc """
  Fetches an image, and tells how far it is, as a `Selur.Stream` of JSON: `{"progress":…}`, and last `{"pulled":…}`.
  What goes wrong is told when the stream is read.
  """
  defrequest pull_image_with_progress(image :: String.t()), as: :stream, command: :pull_image do
    [image, Requests.json([{:progress, true} | options])]
  end

  @doc """
  The images that are there, as JSON.

      iex> {:ok, bridge} = Selur.Bridge.new(runtime: :simulated)
      iex> Selur.Bridge.list_images(bridge)
      {:ok, "[]"}
  """
  defrequest list_images(), as: :text, own: [] do
    []
  end

  @doc "Removes an image, or one of its names."
  defrequest delete_image(image :: String.t()), as: :nothing, own: [] do
    [image]
  end

  @doc "Takes images from an archive, as `docker save` writes it, or from an OCI layout, and gives them as JSON."
  defrequest load_image(path :: Path.t()), as: :text do
    [path |> IO.chardata_to_string() |> Path.expand(), Requests.json(options)]
  end

  @doc "Sends an image to its registry, and gives its reference and digest as JSON."
  defrequest push_image(image :: String.t()), as: :text do
    [image, Requests.json(options)]
  end

  @doc """
  Sends an image to its registry, and tells how far it is, as a `Selur.Stream` of JSON: `{"progress":…}`, and last
  `{"pushed":…}`. What goes wrong is told when the stream is read.
  """
  defrequest push_image_with_progress(image :: String.t()), as: :stream, command: :push_image do
    [image, Requests.json([{:progress, true} | options])]
  end

  @doc "Gives an image that is there a further name."
  defrequest tag_image(image :: String.t(), name :: String.t()), as: :nothing, own: [] do
    [image, name]
  end

  @doc "Removes images that nothing needs, and gives what was removed as JSON."
  defrequest prune_images(), as: :text do
    [Requests.json(options)]
  end

  @doc """
  Makes a volume, and gives what it is as JSON.

      iex> {:ok, bridge} = Selur.Bridge.new(runtime: :simulated)
      iex> {:ok, json} = Selur.Bridge.create_volume(bridge, "data")
      iex> Selur.JSON.decode!(json)["name"]
      "data"
  """
  defrequest create_volume(volume :: String.t()), as: :text do
    [volume, Requests.json(options)]
  end

  @doc """
  What is known of a volume, as JSON.

      iex> {:ok, bridge} = Selur.Bridge.new(runtime: :simulated)
      iex> Selur.Bridge.inspect_volume(bridge, "data")
      {:error, :volume_not_found}
  """
  defrequest inspect_volume(volume :: String.t()), as: :text, own: [] do
    [volume]
  end

  @doc "All volumes, as JSON."
  defrequest list_volumes(), as: :text, own: [] do
    []
  end

  @doc "Removes a volume that no container mounts, and what is in it."
  defrequest delete_volume(volume :: String.t()), as: :nothing, own: [] do
    [volume]
  end

  @doc """
  Carries out a request frame, and gives the response frame, that of a failure too. `Selur.Protocol` makes and reads them.

  It is an error of this function only if the frame did not reach the guest: if the bridge was freed.

      iex> {:ok, bridge} = Selur.Bridge.new(runtime: :simulated)
      iex> Selur.Bridge.call(bridge, <<0x00, 2, 0, 0, 0, "hi">>)
      {:ok, <<0x00, "hi">>}
      iex> {:ok, <<0x01, _message::binary>>} = Selur.Bridge.call(bridge, "")
  """
  @spec call(t, binary, options) :: {:ok, binary} | error
  def call(bridge, frame, options \\ []) do
    {settings, []} = Requests.settings(:frame, options, [])
    Requests.wait(&Native.call(bridge, &1, frame, settings))
  end

  @doc "As `call/3`, but gives the response frame itself, and raises a `Selur.Error`."
  @doc group: "Raising"
  @spec call!(t, binary, options) :: binary
  def call!(bridge, frame, options \\ []),
    do: bridge |> call(frame, [{:errors, :detailed} | options]) |> Requests.unwrap!()

  @doc """
  As `call/3`, but does not wait: gives a reference for `await/2` and `cancel/2`. The result comes to this process as
  `{:selur, reference, result}`.
  """
  @doc group: "Asynchronous"
  @spec call_async(t, binary, options) :: request
  def call_async(bridge, frame, options \\ []) do
    {settings, []} = Requests.settings(:frame, options, [])
    Native.call(bridge, nil, frame, settings)
  end

  @doc """
  Takes the stream that a request was answered with by its id, as a `Selur.Stream`: that of a frame, or of
  `pull_image(bridge, image, progress: true)`. It belongs to this process, and is closed with it.

  Each is taken once: after that it gives `:invalid_request`. Those that nobody takes, at most 1,024, are open until the
  bridge is freed.

      iex> {:ok, bridge} = Selur.Bridge.new(runtime: :simulated)
      iex> {:ok, id} = Selur.Bridge.pull_image(bridge, "alpine", progress: true)
      iex> {:ok, stream} = Selur.Bridge.take_stream(bridge, String.to_integer(id))
      iex> stream |> Enum.to_list() |> List.last() |> Selur.JSON.decode!() |> Map.keys()
      ["pulled"]
  """
  @spec take_stream(t, non_neg_integer, options) :: {:ok, Selur.Stream.t()} | error
  def take_stream(bridge, id, options \\ []) when id in 0..0xFFFFFFFFFFFFFFFF do
    {{_, _, errors}, []} = Requests.settings(:stream, options, [])
    Requests.wait(&Native.stream_take(bridge, &1, id, errors))
  end

  @doc "As `take_stream/3`, but gives the stream itself, and raises a `Selur.Error`."
  @doc group: "Raising"
  @spec take_stream!(t, non_neg_integer, options) :: Selur.Stream.t()
  def take_stream!(bridge, id, options \\ []),
    do: bridge |> take_stream(id, [{:errors, :detailed} | options]) |> Requests.unwrap!()

  @doc """
  Waits for the result of a request that this process began. After `timeout` milliseconds the request is cancelled, and the
  result is `{:error, :timeout}`, unless it came at that very moment. Raises an `ArgumentError` for what would never come: a
  result that was awaited before, or a request of another process.

      iex> {:ok, bridge} = Selur.Bridge.new(runtime: :simulated)
      iex> request = Selur.Bridge.create_container_async(bridge, "nginx")
      iex> {:ok, id} = Selur.Bridge.await(request)
      iex> byte_size(id)
      32
  """
  @spec await(request, timeout) :: :ok | {:ok, term} | error
  def await(request, timeout \\ :infinity) when is_reference(request), do: Requests.take(request, timeout)

  @doc """
  Cancels a request that was begun. Its result still comes, and is `{:error, :cancelled}` unless it was there already.

      iex> {:ok, bridge} = Selur.Bridge.new(runtime: :simulated)
      iex> {:ok, id} = Selur.Bridge.create_container(bridge, "nginx")
      iex> :ok = Selur.Bridge.start_container(bridge, id)
      iex> request = Selur.Bridge.wait_container_async(bridge, id)
      iex> :ok = Selur.Bridge.cancel(bridge, request)
      iex> Selur.Bridge.await(request)
      {:error, :cancelled}
  """
  @spec cancel(t, request) :: :ok
  def cancel(bridge, request) when is_reference(bridge) and is_reference(request),
    do: Native.cancel(bridge, request)

  defp exec_spec([word | _] = words) when is_binary(word), do: Selur.JSON.encode(%{command: words})
  defp exec_spec(spec), do: Requests.json(spec)
end
