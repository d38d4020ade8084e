defmodule Vordr.RecoveryTest do
  # What ends, and what comes after it. The log tells of each end.
  use ExUnit.Case, async: true

  import Selur.Test.Support
  alias Selur.Test.Guests
  alias Vordr.ContainerManager
  alias Vordr.Selur.Bridge

  @moduletag capture_log: true

  defp names do
    number = System.unique_integer([:positive])
    {:"manager-#{number}", :"bridge-#{number}"}
  end

  defp supervise(children) do
    start_supervised!(%{
      id: :supervisor,
      type: :supervisor,
      start: {Supervisor, :start_link, [children, [strategy: :rest_for_one, max_restarts: 100]]}
    })
  end

  # Once another process has the name.
  defp replaced(name, before) do
    eventually("#{name} is there again", fn -> Process.whereis(name) not in [nil, before] end)
  end

  defp kill(name) do
    process = Process.whereis(name)
    Process.exit(process, :kill)
    replaced(name, process)
  end

  test "a manager that was killed finds its containers again" do
    {manager, server} = names()
    to = [manager: manager]

    supervise([
      {Selur.Server, name: server, runtime: :simulated},
      {ContainerManager, name: manager, server: server}
    ])

    {:ok, web} = ContainerManager.create("nginx", [name: "web"] ++ to)
    :ok = ContainerManager.start(web, to)
    {:ok, other} = ContainerManager.create("nginx", to)
    known = ContainerManager.containers(to)
    assert %{^web => %{state: :running}, ^other => %{state: :created}} = known

    # In the middle of what it does for others.
    waits = for _ <- 1..10, do: Task.async(fn -> catch_exit(ContainerManager.wait(web, to)) end)
    eventually("they wait", fn -> map_size(:sys.get_state(manager).callers) == 10 end)
    kill(manager)
    for wait <- waits, do: assert({:killed, _} = Task.await(wait, patience()))

    assert ContainerManager.containers(to) == known
    # And follows them.
    :ok = Bridge.kill_container(Selur.Server.bridge(server), web)
    eventually("it has seen the end", fn -> ContainerManager.containers(to)[web].state == :stopped end)
  end

  test "it survives being killed again and again, while containers come and go" do
    {manager, server} = names()
    to = [manager: manager]

    supervise([
      {Selur.Server, name: server, runtime: :simulated},
      {ContainerManager, name: manager, server: server}
    ])

    bridge = Selur.Server.bridge(server)

    for round <- 1..20 do
      id = running(bridge)
      if rem(round, 2) == 0, do: :ok = Bridge.delete_container(bridge, id, force: true)
      kill(manager)
      {:ok, ids} = Bridge.list_containers(bridge)
      assert Enum.sort(Map.keys(ContainerManager.containers(to))) == Enum.sort(ids)
    end
  end

  test "one whose bridge was freed ends, and the next has a bridge of its own" do
    {manager, _} = names()
    to = [manager: manager]
    supervise([{ContainerManager, name: manager, runtime: :simulated}])
    process = Process.whereis(manager)
    assert ContainerManager.containers(to) == %{}
    :ok = Bridge.free(ContainerManager.bridge(to))
    replaced(manager, process)
    assert {:ok, _} = ContainerManager.create("nginx", to)
  end

  test "one whose server ends goes on with the server's next bridge" do
    {manager, server} = names()
    to = [manager: manager]

    supervise([
      {Selur.Server, name: server, runtime: :simulated},
      {ContainerManager, name: manager, server: server}
    ])

    assert ContainerManager.containers(to) == %{}
    process = Process.whereis(manager)
    kill(server)
    replaced(manager, process)
    assert ContainerManager.bridge(to) == Selur.Server.bridge(server)
    assert {:ok, _} = ContainerManager.create("nginx", to)
  end

  test "one that is told that its server has ended ends, too" do
    {:ok, server} = GenServer.start(Selur.Server, runtime: :simulated)
    Process.flag(:trap_exit, true)
    {manager, _} = names()
    {:ok, process} = ContainerManager.start_link(name: manager, server: server)
    Process.exit(server, :kill)
    # `:killed`, or `:noproc` where the monitor came after the end.
    assert_receive {:EXIT, ^process, {:server_ended, _}}, patience()
  end

  test "one whose guest was poisoned ends" do
    place = Path.join(folder(), "traps.wasm")
    File.write!(place, Guests.traps())
    Process.flag(:trap_exit, true)
    {manager, _} = names()
    {:ok, process} = ContainerManager.start_link(name: manager, wasm_path: place, runtime: :simulated)
    assert_receive {:EXIT, ^process, {:bridge_failed, :internal_error}}, patience()
  end

  test "a failure of one container is no failure of the bridge" do
    {manager, _} = names()
    to = [manager: manager]
    supervise([{ContainerManager, name: manager, runtime: :simulated}])
    process = Process.whereis(manager)
    {:ok, id} = ContainerManager.create("fault.test/start:internal_error", to)
    assert ContainerManager.start(id, to) == {:error, :internal_error}
    eventually("it has asked for its bridge's health", fn -> :sys.get_state(manager).asked == %{} end)
    assert Process.whereis(manager) == process
  end

  test "events that end are opened again, and what was missed is found" do
    {manager, _} = names()
    to = [manager: manager]
    supervise([{ContainerManager, name: manager, runtime: :simulated}])

    for ending <- [:done, {:error, :network_error}, {:item, ~s({"lagged":3})}] do
      assert is_map(ContainerManager.containers(to))
      eventually("it follows", fn -> :sys.get_state(manager).events != nil end)
      events = :sys.get_state(manager).events
      # Nobody tells it of this one, for its stream is closed.
      if ending != {:item, ~s({"lagged":3})}, do: Selur.Stream.close(events)
      id = running(ContainerManager.bridge(to))
      send(manager, {:selur, events.ref, ending})

      eventually("it has found #{id}", fn ->
        match?(%{^id => %{state: :running}}, ContainerManager.containers(to))
      end)
    end
  end
end
