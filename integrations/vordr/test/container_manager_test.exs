defmodule Vordr.ContainerManagerTest do
  use ExUnit.Case, async: true

  import ExUnit.CaptureLog
  import Selur.Test.Support
  alias Vordr.ContainerManager
  alias Vordr.Selur.Bridge

  doctest Vordr.ContainerManager
  doctest Vordr.ContainerManager.Containers

  # A manager of the test's own; its options for requests.
  defp manager(options \\ [runtime: :simulated]) do
    name = :"manager-#{System.unique_integer([:positive])}"
    start_supervised!({ContainerManager, [name: name] ++ options})
    [manager: name]
  end

  defp asked(manager: name), do: :sys.get_state(name).asked

  test "the functions of the first description work as they stand" do
    # On the manager that the application has started.
    {:ok, container_id} = ContainerManager.create("nginx:latest")
    :ok = ContainerManager.start(container_id)
    {:ok, ids} = ContainerManager.list()
    assert container_id in ids
    assert :sys.get_state(ContainerManager).containers[container_id].state == :running
    :ok = ContainerManager.stop(container_id)
    assert {:error, :container_not_found} = ContainerManager.start("nobody")
    :ok = ContainerManager.delete(container_id)
  end

  test "what it knows is never behind what it answered" do
    to = manager()

    for name <- ["web", nil] do
      {:ok, id} = ContainerManager.create("nginx", [name: name] ++ to)

      assert ContainerManager.containers(to)[id] ==
               %{name: name, image: "docker.io/library/nginx:latest", state: :created, exit_code: nil}

      meant = name || String.slice(id, 0, 8)

      for {change, state} <- [
            start: :running,
            pause: :paused,
            resume: :running,
            stop: :stopped,
            start: :running
          ] do
        assert apply(ContainerManager, change, [meant, to]) == :ok
        assert ContainerManager.containers(to)[id].state == state
      end

      :ok = ContainerManager.kill(meant, [signal: "SIGKILL"] ++ to)
      assert ContainerManager.wait(meant, to) == {:ok, 137}
      assert %{state: :stopped, exit_code: 137} = ContainerManager.containers(to)[id]
      assert {:ok, json} = ContainerManager.inspect(meant, to)
      assert json =~ id
      assert ContainerManager.top(meant, to) == {:error, :invalid_state}
      :ok = ContainerManager.delete(meant, to)
      assert ContainerManager.containers(to) == %{}
    end
  end

  test "it follows what others do" do
    to = manager()
    bridge = ContainerManager.bridge(to)
    id = running(bridge)

    eventually("it has seen the start", fn ->
      match?(%{^id => %{state: :running}}, ContainerManager.containers(to))
    end)

    :ok = Bridge.kill_container(bridge, id)
    eventually("it has seen the end", fn -> ContainerManager.containers(to)[id].exit_code == 137 end)
    :ok = Bridge.delete_container(bridge, id)
    eventually("it has seen the deletion", fn -> ContainerManager.containers(to) == %{} end)
  end

  test "streams are the caller's" do
    to = manager()
    {:ok, id} = ContainerManager.create("nginx", to)
    {:ok, events} = ContainerManager.events(to)
    :ok = ContainerManager.start(id, to)
    assert [started] = Enum.take(events, 1)
    assert %{"event" => %{"kind" => "started", "subject" => ^id}} = Selur.JSON.decode!(started)
    {:ok, output} = ContainerManager.exec(id, ["echo", "hello"], to)
    assert Enum.to_list(output) == [{:stdout, "hello\n"}, {:exit, 0}]
    {:ok, logs} = ContainerManager.logs(id, [tail_lines: 1] ++ to)
    assert [{:stdout, _line, _time_ns}] = Enum.to_list(logs)
    {:ok, samples} = ContainerManager.stats(id, to)
    assert [sample] = Enum.take(samples, 1)
    assert {:ok, _} = Selur.JSON.decode(sample)
    {:ok, attachment} = ContainerManager.attach(id, to)
    assert Selur.Stream.close(attachment) == :ok
  end

  test "a request that takes its time holds up nobody, and has a deadline" do
    to = manager()
    slow = Task.async(fn -> ContainerManager.create("fault.test/hang:create", [deadline: 60_000] ++ to) end)
    eventually("it is asked", fn -> map_size(asked(to)) == 1 end)
    {:ok, id} = ContainerManager.create("nginx", to)
    :ok = ContainerManager.start(id, to)
    assert ContainerManager.wait(id, [deadline: 1] ++ to) == {:error, :timeout}

    assert {:error, %Selur.Error{status: :timeout}} =
             ContainerManager.wait(id, [deadline: 1, errors: :detailed] ++ to)

    assert Task.yield(slow, 0) == nil
    Task.shutdown(slow, :brutal_kill)
  end

  test "a caller that dies cancels what it asked for" do
    to = manager()
    caller = spawn(fn -> ContainerManager.create("fault.test/hang:create", [name: "web"] ++ to) end)
    eventually("it is asked", fn -> map_size(asked(to)) == 1 end)
    assert map_size(:sys.get_state(to[:manager]).callers) == 1
    Process.exit(caller, :kill)
    eventually("nothing is asked", fn -> asked(to) == %{} end)
    assert :sys.get_state(to[:manager]).callers == %{}
    # It is undone, and its name is free.
    eventually("nothing is there", fn -> ContainerManager.list(to) == {:ok, []} end)
    assert {:ok, _} = ContainerManager.create("nginx", [name: "web"] ++ to)
  end

  test "arguments that make no request are raised where they were given" do
    to = manager()
    process = Process.whereis(to[:manager])
    assert_raise ArgumentError, ~r/nmae/, fn -> ContainerManager.create("nginx", [nmae: "web"] ++ to) end
    assert_raise ArgumentError, ~r/deadline/, fn -> ContainerManager.start("web", [deadline: :soon] ++ to) end
    assert {:error, _} = catch_error(ContainerManager.start(:web, to)) && {:error, :raised}
    assert_raise ArgumentError, fn -> ContainerManager.containers(name: "web") end
    assert ContainerManager.list(to) == {:ok, []}
    assert Process.whereis(to[:manager]) == process
    assert asked(to) == %{}
  end

  @tag timeout: 120_000
  test "a thousand callers at once are all answered" do
    to = manager()
    # Some wait, some name what is not there, some create and go.
    tasks =
      for number <- 1..1_000 do
        Task.async(fn ->
          name = "web#{number}"

          case rem(number, 3) do
            0 ->
              {:error, :container_not_found} = ContainerManager.start(name, to)

            _ ->
              {:ok, id} = ContainerManager.create("nginx", [name: name] ++ to)
              :ok = ContainerManager.start(id, to)
              :running = ContainerManager.containers(to)[id].state
              :ok = ContainerManager.delete(name, [force: true] ++ to)
              false = is_map_key(ContainerManager.containers(to), id)
          end

          :done
        end)
      end

    assert Enum.all?(Task.await_many(tasks, 110_000), &(&1 == :done))
    assert ContainerManager.list(to) == {:ok, []}
    eventually("it is at rest", fn -> asked(to) == %{} end)
    state = :sys.get_state(to[:manager])

    assert {state.containers, state.callers, Vordr.ContainerManager.Looks.replies(state.looks)} ==
             {%{}, %{}, []}
  end

  test "whoever waits when it ends is told so, and its bridge is freed" do
    name = :"manager-#{System.unique_integer([:positive])}"
    {:ok, process} = ContainerManager.start_link(name: name, runtime: :simulated)
    bridge = ContainerManager.bridge(manager: name)
    id = running(bridge)
    plain = Task.async(fn -> ContainerManager.wait(id, manager: name) end)
    detailed = Task.async(fn -> ContainerManager.wait(id, manager: name, errors: :detailed) end)
    eventually("both wait", fn -> map_size(:sys.get_state(name).callers) == 2 end)
    GenServer.stop(process)
    assert Task.await(plain) == {:error, :cancelled}
    assert {:error, %Selur.Error{status: :cancelled}} = Task.await(detailed)
    assert Bridge.ping(bridge, "hi") == {:error, :invalid_request}
  end

  test "a guest that is not there is said so" do
    Process.flag(:trap_exit, true)

    log =
      capture_log(fn ->
        assert ContainerManager.start_link(name: :nowhere, wasm_path: "/nowhere/selur.wasm") ==
                 {:error, {:bridge_failed, :internal_error}}
      end)

    assert log =~ "/nowhere/selur.wasm"
    assert log =~ "selur info --check"
  end

  test "a guest from a file does as well as the one in the library" do
    to = manager(wasm_path: Path.join(root(), "guest/selur.wasm"), runtime: :simulated)
    assert {:ok, id} = ContainerManager.create("nginx", to)
    assert ContainerManager.list(to) == {:ok, [id]}
  end
end
