defmodule Vordr.ContainerManager.Server do
  @moduledoc false
  # The process behind `Vordr.ContainerManager`. Everything that it asks of its bridge is asked asynchronously and stands in
  # `asked` until its answer comes; it never waits.
  #
  # What it knows of containers comes from inspections alone (`Looks`). An event, and the answer of an operation that changes a
  # container, are reasons to inspect; the answer goes to its caller after that, so that `containers` is never behind it.

  use GenServer
  require Logger
  alias Vordr.ContainerManager.{Containers, Looks}
  alias Vordr.Selur.Bridge
  alias Vordr.Telemetry

  @requests %{
    create: :create_container_async,
    start: :start_container_async,
    stop: :stop_container_async,
    list: :list_containers_async,
    inspect: :inspect_container_async,
    delete: :delete_container_async,
    kill: :kill_container_async,
    pause: :pause_container_async,
    resume: :resume_container_async,
    wait: :wait_container_async,
    top: :top_async
  }
  # Those after whose success a container is another than before.
  @changes [:create, :start, :stop, :delete, :pause, :resume, :wait]
  @kinds Map.new(
           [:created, :started, :paused, :resumed, :restarting, :ended, :deleted],
           &{Atom.to_string(&1), &1}
         )

  # How many events are under way while one is looked at: the others wait in the runtime.
  @ahead 64
  # How soon what failed is tried again: each time after twice as long.
  @first_retry_ms 50
  @last_retry_ms 5_000

  defstruct [
    :bridge,
    # Of the process whose bridge it is; nil if it is our own.
    :server,
    # When it began to find what there is.
    :since,
    # By the reference of a request: what for.
    asked: %{},
    # By the monitor of a caller: the reference of its request.
    callers: %{},
    # The stream of events, while there is one.
    events: nil,
    containers: %{},
    looks: Looks.new(),
    # What is still to be looked at until all is known; nil once it is.
    missing: :all,
    # Who waits for that.
    waiting: [],
    retry_ms: @first_retry_ms
  ]

  @impl true
  def init(options) do
    Process.flag(:trap_exit, true)
    {server, options} = Keyword.pop(options, :server)

    case open(server, options) do
      {:ok, bridge} ->
        monitor = server && server |> GenServer.whereis() |> Process.monitor()
        state = %__MODULE__{bridge: bridge, server: monitor, since: System.monotonic_time()}
        {:ok, state, {:continue, :follow}}

      {:error, error} ->
        Logger.error("Vörðr has no bridge to containers: #{error.message}. " <> advice())
        {:stop, {:bridge_failed, error.status}}
    end
  end

  defp open(nil, options) do
    {path, options} = Keyword.pop(options, :wasm_path)
    {:ok, Selur.Bridge.new!(if(path == nil, do: options, else: [{:guest, path} | options]))}
  rescue
    error in Selur.Error -> {:error, error}
  end

  defp open(server, options) do
    _ = Keyword.validate!(options, wasm_path: nil)
    {:ok, Selur.Server.bridge(server)}
  end

  defp advice do
    "`selur info --check` says what this machine lacks; `config :vordr, :selur, runtime: :simulated` drives containers " <>
      "that exist in memory alone"
  end

  @impl true
  # First the events, then what there is: so nothing that happens meanwhile is missed.
  def handle_continue(:follow, state), do: {:noreply, ask_events(state)}

  @impl true
  def handle_call({:request, operation, arguments, options}, {pid, _} = from, state) do
    reference = apply(Bridge, Map.fetch!(@requests, operation), [state.bridge | arguments] ++ [options])

    caller = %{
      from: from,
      monitor: Process.monitor(pid),
      operation: operation,
      container: List.first(arguments),
      errors: Keyword.get(options, :errors),
      since: System.monotonic_time()
    }

    callers = Map.put(state.callers, caller.monitor, reference)
    {:noreply, ask(%{state | callers: callers}, reference, {:caller, caller})}
  rescue
    # Arguments that no request can be made of are their caller's defect, not ours.
    error -> {:reply, {:raise, error}, state}
  end

  def handle_call(:containers, _from, %{missing: nil} = state), do: {:reply, state.containers, state}
  def handle_call(:containers, from, state), do: {:noreply, %{state | waiting: [from | state.waiting]}}
  def handle_call(:bridge, _from, state), do: {:reply, state.bridge, state}

  @impl true
  def handle_info({:selur, reference, item}, %{events: %{ref: reference}} = state) do
    {:noreply, streamed(item, state)}
  end

  def handle_info({:selur, reference, result}, state) do
    case Map.pop(state.asked, reference) do
      {nil, _} -> {:noreply, state}
      {purpose, asked} -> answered(purpose, result, %{state | asked: asked})
    end
  end

  def handle_info({:DOWN, monitor, :process, _, reason}, %{server: monitor} = state),
    do: {:stop, {:server_ended, reason}, state}

  # Its request is answered, and then its monitor forgotten, as any other.
  def handle_info({:DOWN, monitor, :process, _, _}, state) do
    with %{^monitor => reference} <- state.callers, do: Bridge.cancel(state.bridge, reference)
    {:noreply, state}
  end

  def handle_info(:follow, %{events: nil} = state), do: {:noreply, ask_events(state)}
  def handle_info(:list, state), do: {:noreply, ask_list(state)}
  # Links that end.
  def handle_info(_message, state), do: {:noreply, state}

  @impl true
  def terminate(_reason, state) do
    for {_, {:caller, caller}} <- state.asked, do: GenServer.reply(caller.from, cancelled(caller))
    for {from, result} <- Looks.replies(state.looks), do: GenServer.reply(from, result)
    if state.server == nil, do: Bridge.free(state.bridge), else: :ok
  end

  defp cancelled(%{errors: :detailed}) do
    {:error,
     %Selur.Error{status: :cancelled, message: "the manager has ended: ask the one that comes after it"}}
  end

  defp cancelled(_), do: {:error, :cancelled}

  defp ask(state, reference, purpose), do: %{state | asked: Map.put(state.asked, reference, purpose)}
  defp ask_events(state), do: ask(state, Bridge.events_async(state.bridge, errors: :plain), :events)
  defp ask_list(state), do: ask(state, Bridge.list_containers_async(state.bridge, errors: :plain), :list)
  defp ask_health(state), do: ask(state, Bridge.ping_async(state.bridge, "", errors: :plain), :health)

  # The answers, by what they are for.

  defp answered(:events, {:ok, stream}, state) do
    case Selur.Stream.demand(stream, @ahead) do
      :ok -> {:noreply, ask_list(%{state | events: stream})}
      {:error, _} -> {:noreply, try_again(:follow, state)}
    end
  end

  # A bridge that refuses this was freed: somebody had it by `bridge/1`, or its server has ended.
  defp answered(:events, {:error, :invalid_request}, state),
    do: {:stop, {:bridge_failed, :invalid_request}, state}

  defp answered(:events, {:error, reason}, state), do: {:noreply, failed(:follow, reason, state)}

  defp answered(:list, {:ok, ids}, state) do
    ids = Enum.uniq(ids ++ Map.keys(state.containers))
    state = %{state | missing: MapSet.new(ids), retry_ms: @first_retry_ms}
    {:noreply, ids |> Enum.reduce(state, &look(&2, &1, nil)) |> found(nil)}
  end

  defp answered(:list, {:error, reason}, state), do: {:noreply, failed(:list, reason, state)}

  defp answered({:look, key}, result, state) do
    case Looks.seen(state.looks, key) do
      {:again, looks} -> {:noreply, inspect_again(%{state | looks: looks}, key)}
      {:done, replies, looks} -> {:noreply, looked(key, result, replies, %{state | looks: looks})}
    end
  end

  defp answered(:health, {:ok, _}, state), do: {:noreply, state}
  defp answered(:health, {:error, reason}, state), do: {:stop, {:bridge_failed, reason}, state}

  defp answered({:caller, caller}, result, state) do
    Process.demonitor(caller.monitor, [:flush])
    state = %{state | callers: Map.delete(state.callers, caller.monitor)}
    measure(caller, result)
    state = if status(result) == :internal_error, do: ask_health(state), else: state

    case changed(caller, result) do
      nil ->
        GenServer.reply(caller.from, result)
        {:noreply, state}

      meant ->
        {:noreply, look(state, Containers.resolve(state.containers, meant), {caller.from, result})}
    end
  end

  defp changed(%{operation: :create}, {:ok, id}), do: id
  defp changed(%{operation: operation} = caller, :ok) when operation in @changes, do: caller.container
  defp changed(%{operation: operation} = caller, {:ok, _}) when operation in @changes, do: caller.container
  defp changed(_, _), do: nil

  defp measure(caller, result) do
    Telemetry.tell(caller.operation, %{duration: System.monotonic_time() - caller.since}, %{
      container: caller.container,
      result: status(result)
    })
  end

  defp status(:ok), do: :ok
  defp status({:ok, _}), do: :ok
  defp status({:error, %Selur.Error{status: status}}), do: status
  defp status({:error, status}), do: status

  # Containers, one by one.

  defp look(state, key, reply) do
    case Looks.want(state.looks, key, reply) do
      {:begin, looks} -> inspect_again(%{state | looks: looks}, key)
      {:under_way, looks} -> %{state | looks: looks}
    end
  end

  defp inspect_again(state, key) do
    ask(state, Bridge.inspect_container_async(state.bridge, key, errors: :plain), {:look, key})
  end

  defp looked(key, {:ok, json}, replies, state) do
    case Containers.read(json) do
      {^key, container} ->
        answer(%{state | containers: Map.put(state.containers, key, container)}, key, replies)

      # It was looked at by its name. What is known of it by its id may be newer.
      {id, _} ->
        replies |> Enum.reduce(look(state, id, nil), &look(&2, id, &1)) |> found(key)
    end
  end

  defp looked(key, {:error, :container_not_found}, replies, state),
    do: answer(%{state | containers: Map.delete(state.containers, key)}, key, replies)

  # What is known stays: an event, or the next look, tells more.
  defp looked(key, {:error, reason}, replies, state) do
    state = if reason == :internal_error, do: ask_health(state), else: state
    answer(state, key, replies)
  end

  defp answer(state, key, replies) do
    for {from, result} <- replies, do: GenServer.reply(from, result)
    found(state, key)
  end

  # One less is missing.
  defp found(%{missing: %MapSet{} = missing} = state, key) do
    missing = MapSet.delete(missing, key)

    if MapSet.size(missing) == 0 do
      for from <- state.waiting, do: GenServer.reply(from, state.containers)

      Telemetry.tell(
        :recovered,
        %{duration: System.monotonic_time() - state.since, count: map_size(state.containers)},
        %{}
      )

      %{state | missing: nil, waiting: []}
    else
      %{state | missing: missing}
    end
  end

  defp found(state, _key), do: state

  # Events.

  defp streamed({:item, json}, state) do
    state = Selur.JSON.decode!(json) |> happened(state)

    case Selur.Stream.demand(state.events, 1) do
      :ok -> state
      {:error, _} -> try_again(:follow, lost(state))
    end
  end

  # The runtime's stream has ended, such as a daemon's that was restarted: what happens until the next is found by listing.
  defp streamed(:done, state), do: try_again(:follow, lost(state))
  defp streamed({:error, reason}, state), do: failed(:follow, reason, lost(state))

  defp happened(%{"event" => %{"kind" => kind, "subject" => id} = event}, state)
       when is_map_key(@kinds, kind) do
    Telemetry.tell(:event, %{time_ns: event["time_ns"]}, %{
      id: id,
      name: event["name"],
      kind: @kinds[kind],
      exit_code: event["exit_code"]
    })

    look(state, id, nil)
  end

  defp happened(%{"lagged" => _}, state), do: ask_list(state)
  defp happened(_image_or_volume, state), do: state

  defp lost(state) do
    if state.events, do: Selur.Stream.close(state.events)
    %{state | events: nil}
  end

  # What failed, and how soon it is tried again.

  defp failed(step, reason, state) do
    state = if reason == :internal_error, do: ask_health(state), else: state
    try_again(step, state)
  end

  defp try_again(step, state) do
    Process.send_after(self(), step, state.retry_ms)
    %{state | retry_ms: min(2 * state.retry_ms, @last_retry_ms)}
  end
end
