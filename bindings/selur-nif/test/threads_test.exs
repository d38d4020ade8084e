defmodule Selur.ThreadsTest do
  # The threads beside the schedulers: slow work holds up no other, and there may be none left.
  use ExUnit.Case, async: true

  import Selur.Test.Support
  alias Selur.Bridge

  test "bridges that are slow to open hold up no other bridge, and no stream" do
    bridge = simulated()
    {:ok, events} = Bridge.events(bridge)
    place = Path.join(folder(), "silent.sock")
    {:ok, socket} = :gen_tcp.listen(0, [:binary, active: false, ifaddr: {:local, place}, backlog: 64])
    slow = for _ <- 1..20, do: Task.async(fn -> Bridge.new(runtime: :docker, docker_socket: place) end)
    # All are at work at once.
    asking = for _ <- 1..20, do: socket |> :gen_tcp.accept(10_000) |> elem(1)
    assert Enum.all?(asking, &is_port/1), inspect(asking)

    quick = Task.async(fn -> {Bridge.new!(runtime: :simulated) |> Bridge.free(), Bridge.free(bridge)} end)
    assert Task.await(quick, 15_000) == {:ok, :ok}
    assert Selur.Stream.close(events) == :ok
    refute Enum.any?(slow, &Task.yield(&1, 0))

    :ok = :gen_tcp.close(socket)
    Enum.each(asking, &:gen_tcp.close/1)
    for result <- Task.await_many(slow, patience()), do: assert({:error, _} = result)
  end

  test "a system without a further thread makes no bridge, but closes those that are there" do
    # With stacks that large no further one fits into the memory that is allowed.
    {said, code} =
      vm(
        """
        alias Selur.Bridge
        bridge = Bridge.new!(runtime: :simulated)
        other = Bridge.new!(runtime: :simulated)
        {:ok, events} = Bridge.events(other)

        names = fn -> for task <- File.ls!("/proc/self/task"), do: File.read("/proc/self/task/" <> task <> "/comm") end
        aside = fn -> Enum.count(names.(), & &1 == {:ok, "selur-aside\\n"}) end
        # The thread that opened them ends after a while; those that close them stay.
        settle = fn settle -> if aside.() > 2, do: receive(after: (50 -> settle.(settle))) end
        settle.(settle)
        # What room its stack has left is theirs.
        for bridge <- [bridge, other], do: {:ok, []} = Bridge.list_containers(bridge)

        [pages | _] = "/proc/self/statm" |> File.read!() |> String.split()
        most = String.to_integer(pages) * 4096 + 128 * 1024 * 1024
        {_, 0} = System.cmd("prlimit", ["--pid", System.pid(), "--as=\#{most}"])

        {:error, :resource_exhausted} = Bridge.new(runtime: :simulated)
        {:ok, "hi"} = Bridge.ping(bridge, "hi")
        :ok = Selur.Stream.close(events)
        :ok = Bridge.free(bridge)
        :ok = Bridge.free(other)
        IO.puts("unharmed")
        """,
        [{"RUST_MIN_STACK", "268435456"}]
      )

    assert {code, said =~ "unharmed"} == {0, true}, said
  end
end
