defmodule Selur.ProcessesTest do
  # What many processes, and dying ones, do to a bridge; and what is left of memory. Measures, so alone.
  use ExUnit.Case, async: false

  import Selur.Test.Support
  alias Selur.{Bridge, Native, Server}

  @moduletag timeout: 300_000

  test "10,000 processes use one bridge at once" do
    bridge = simulated()
    id = running(bridge)
    parent = self()

    users =
      for number <- 1..10_000 do
        spawn_link(fn ->
          receive(do: (:go -> :ok))
          text = "process-#{number}"
          {:ok, ^text} = Bridge.ping(bridge, text)
          {:error, :container_not_found} = Bridge.start_container(bridge, text)
          # An effect: beyond the kernel's 4,096 tickets they wait for their turn.
          {:ok, json} = Bridge.inspect_container(bridge, id)
          true = json =~ id
          send(parent, :served)
        end)
      end

    for user <- users, do: send(user, :go)
    for _ <- users, do: assert_receive(:served, patience())
  end

  test "the death of a caller in the middle of a pull undoes the create" do
    bridge = simulated()

    for begin <- [&Bridge.create_container/3, &Bridge.create_container_async/3] do
      {caller, monitor} =
        spawn_monitor(fn ->
          begin.(bridge, "fault.test/hang:pull", name: "web")
          receive(do: (:never -> :ok))
        end)

      eventually("it is begun", fn -> Process.info(caller, :status) == {:status, :waiting} end)
      assert Bridge.create_container(bridge, "nginx", name: "web") == {:error, :container_already_exists}
      Process.exit(caller, :kill)
      assert_receive {:DOWN, ^monitor, :process, ^caller, :killed}, patience()

      eventually("the name is free", fn ->
        case Bridge.create_container(bridge, "nginx", name: "web") do
          {:ok, id} -> Bridge.delete_container(bridge, id) == :ok
          {:error, :container_already_exists} -> false
        end
      end)
    end

    assert Bridge.list_containers(bridge) == {:ok, []}
  end

  test "the death of a caller who was answered and has not heard undoes the create" do
    bridge = simulated()

    code = Selur.Protocol.code(:create_container)

    {caller, monitor} =
      spawn_monitor(fn ->
        Selur.Requests.wait(fn tag ->
          :pending = Native.submit(bridge, tag, code, ["nginx", "web"], {:text, :default, nil})
          # It does not come to read its answer.
          receive(do: (:never -> :pending))
        end)
      end)

    eventually("it is answered", fn -> Process.info(caller, :message_queue_len) == {:message_queue_len, 1} end)

    assert {:ok, _} = Bridge.inspect_container(bridge, "web")
    Process.exit(caller, :kill)
    assert_receive {:DOWN, ^monitor, :process, ^caller, :killed}, patience()
    eventually("nothing is left", fn -> Bridge.list_containers(bridge) == {:ok, []} end)
  end

  test "a create that was heard outlives its caller" do
    bridge = simulated()
    {:ok, id} = Task.await(Task.async(fn -> Bridge.create_container(bridge, "nginx") end))
    for _ <- 1..5, do: :erlang.garbage_collect()
    :ok = Bridge.start_container(bridge, id)
    assert Bridge.list_containers(bridge) == {:ok, [id]}
  end

  test "the death of 1,000 callers gives back what they waited in" do
    bridge = simulated()
    id = running(bridge)
    parent = self()

    for _ <- 1..3 do
      callers =
        for _ <- 1..1_000 do
          spawn(fn ->
            wait = Bridge.wait_container_async(bridge, id)
            send(parent, :waits)
            Bridge.await(wait)
          end)
        end

      for _ <- callers, do: assert_receive(:waits, patience())
      for caller <- callers, do: Process.exit(caller, :kill)
    end

    # 2,048 waits fit: those of the dead are gone.
    waits = for _ <- 1..2_048, do: Bridge.wait_container_async(bridge, id)
    :ok = Bridge.kill_container(bridge, id)
    for wait <- waits, do: assert(Bridge.await(wait, patience()) == {:ok, 137})
  end

  test "a bridge lives while a request is open, and is closed when nobody holds it" do
    # The process holds nothing but what it waits for.
    wait = Task.async(fn -> simulated() |> Bridge.create_container("fault.test/hang:pull", deadline: 300) end)
    for _ <- 1..20, do: :erlang.garbage_collect(wait.pid)
    assert Task.await(wait) == {:error, :timeout}

    before = threads()

    # Each has threads of its own.
    spawn_monitor(fn -> for _ <- 1..20, do: {:ok, []} = Bridge.list_containers(simulated()) end)
    assert_receive {:DOWN, _, :process, _, :normal}, patience()
    eventually("the threads of bridges that are garbage have ended", fn -> threads() <= before + 8 end)
  end

  defp threads, do: length(File.ls!("/proc/self/task"))

  test "a server frees its bridge when it stops, and its supervisor makes another when it is killed" do
    {:ok, supervisor} =
      Supervisor.start_link([{Server, name: __MODULE__.Server, runtime: :simulated}], strategy: :one_for_one)

    bridge = Server.bridge(__MODULE__.Server)
    assert Bridge.ping(bridge, "hi") == {:ok, "hi"}
    server = Process.whereis(__MODULE__.Server)
    Process.exit(server, :kill)

    eventually("there is another", fn ->
      is_pid(Process.whereis(__MODULE__.Server)) and Process.whereis(__MODULE__.Server) != server
    end)

    other = Server.bridge(__MODULE__.Server)
    assert other != bridge
    assert Bridge.ping(other, "hi") == {:ok, "hi"}
    :ok = Supervisor.stop(supervisor)
    assert Bridge.ping(other, "hi") == {:error, :invalid_request}

    assert {:error, {%Selur.Error{status: :internal_error}, _}} =
             start_supervised({Server, guest: "/nowhere"})
  end

  test "10,000 bridges and 1,000,000 calls leave memory as it was" do
    bridges = fn count ->
      # Half of them freed, half dropped; one in twenty with threads of its own.
      Enum.each(1..count, fn number ->
        bridge = simulated()
        {:ok, "a"} = Bridge.ping(bridge, "a")
        if rem(number, 20) == 0, do: {:ok, []} = Bridge.list_containers(bridge)
        if rem(number, 2) == 0, do: Bridge.free(bridge)
      end)
    end

    bridge = simulated()
    calls = fn count -> Enum.each(1..count, fn _ -> {:ok, "hello"} = Bridge.ping(bridge, "hello") end) end

    measured = fn work ->
      {_, monitor} = spawn_monitor(work)
      assert_receive {:DOWN, ^monitor, :process, _, :normal}, 240_000
      settle(resident_kib(), 50)
    end

    before = measured.(fn -> {bridges.(500), calls.(50_000)} end)
    for_vm = :erlang.memory(:total)
    after_all = measured.(fn -> {bridges.(10_000), calls.(1_000_000)} end)
    grown = after_all - before
    IO.puts("memory: #{before} KiB, after 10,000 bridges and 1,000,000 calls #{grown} KiB more")
    assert grown < 24 * 1024
    assert :erlang.memory(:total) - for_vm < 16 * 1024 * 1024
  end

  # Bridges that were dropped are closed a little later.
  defp settle(kib, 0), do: kib

  defp settle(kib, left) do
    receive(after: (20 -> :ok))
    settle(min(kib, resident_kib()), left - 1)
  end
end
