defmodule Selur.GuestsTest do
  # Guests that misbehave, and what the VM's schedulers notice of them. Measures, so alone.
  use ExUnit.Case, async: false

  import Selur.Test.Support
  alias Selur.Bridge
  alias Selur.Test.Guests

  @moduletag timeout: 300_000

  defp bridge(guest), do: Bridge.new!(guest: {:bytes, guest}, runtime: :simulated)

  test "a guest that traps, loops or recurs breaks its bridge and nothing else" do
    for {guest, says} <- [{Guests.traps(), "trapped"}, {Guests.loops(), "budget"}, {Guests.recurs(), "stack"}] do
      bridge = bridge(guest)
      error = assert_raise(Selur.Error, fn -> Bridge.ping!(bridge, "hi") end)
      assert {error.status, error.message =~ says} == {:internal_error, true}, error.message
      assert Bridge.ping(bridge, "hi") == {:error, :internal_error}
      assert Bridge.list_containers(bridge) == {:error, :internal_error}
      assert bridge |> Bridge.create_container_async("nginx") |> Bridge.await() == {:error, :internal_error}
      assert Bridge.events(bridge) == {:error, :internal_error}
      assert Bridge.free(bridge) == :ok
    end
  end

  test "a guest that loops while it is loaded is refused" do
    assert Bridge.new(guest: {:bytes, Guests.loops_at_start()}, runtime: :simulated) ==
             {:error, :internal_error}
  end

  test "a guest that never answers holds nobody longer than the deadline" do
    bridge = bridge(Guests.never_answers())
    ping = Task.async(fn -> Bridge.ping(bridge, "hi") end)
    # It gives the same ticket twice, which breaks it: whoever waits is answered.
    _ = Bridge.ping(bridge, "hi")
    assert {:error, _} = Task.await(ping, patience())
    assert Bridge.free(bridge) == :ok
  end

  test "no scheduler, normal or dirty, works for a guest that loops" do
    :erlang.system_flag(:scheduler_wall_time, true)
    bridges = for _ <- 1..4, do: bridge(Guests.loops())

    # On a busy machine a scheduler may be held up by others: the guest is at fault only if it is so each time.
    shares =
      Enum.reduce_while(1..3, [], fn _, shares ->
        before = wall_times()
        begun = System.monotonic_time(:millisecond)
        loops = for _ <- 1..4, do: bridge(Guests.loops())
        pings = for bridge <- loops, do: Bridge.ping_async(bridge, "hi")
        for ping <- pings, do: assert(Bridge.await(ping, patience()) == {:error, :internal_error})
        took = System.monotonic_time(:millisecond) - begun
        worst = before |> Enum.zip(wall_times()) |> Enum.map(&share/1) |> Enum.max()
        shares = ["#{round(worst * 100)} % of #{took} ms" | shares]
        if worst < 0.5, do: {:halt, :ok}, else: {:cont, shares}
      end)

    assert shares == :ok, "a scheduler was busy #{Enum.join(List.wrap(shares), ", ")}"
    for bridge <- bridges, do: Bridge.free(bridge)
  after
    :erlang.system_flag(:scheduler_wall_time, false)
  end

  defp wall_times, do: Enum.sort(:erlang.statistics(:scheduler_wall_time_all))

  defp share({{id, active, total}, {id, later, all}}), do: (later - active) / max(all - total, 1)

  test "a caller of a looping guest that dies, and one that cancels, hold up nobody" do
    bridge = bridge(Guests.loops())
    callers = for _ <- 1..20, do: spawn(fn -> Bridge.ping(bridge, "hi") end)
    request = Bridge.list_containers_async(bridge)

    {microseconds, _} =
      :timer.tc(fn ->
        for caller <- callers, do: Process.exit(caller, :kill)
        :ok = Bridge.cancel(bridge, request)
        eventually("they are dead", fn -> not Enum.any?(callers, &Process.alive?/1) end)
      end)

    assert {:error, _} = Bridge.await(request, patience())
    # The guest is at it for 200 ms at least.
    assert microseconds < 10_000_000
    assert Bridge.free(bridge) == :ok
  end
end
