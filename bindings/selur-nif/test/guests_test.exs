defmodule Selur.GuestsTest do
  # Guests that misbehave, and what the VM's schedulers notice of them. Measures, so alone.
  use ExUnit.Case, async: false

  import Selur.Test.Support
  alias Selur.{Bridge, Native}
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

  test "a deadline holds for a ping to a guest that never answers, as for every other request" do
    for ask <- [
          &Bridge.ping(&1, "hi", deadline: 50, errors: :detailed),
          &(&1 |> Bridge.ping_async("hi", deadline: 50, errors: :detailed) |> Bridge.await(patience())),
          &Bridge.start_container(&1, "web", deadline: 50, errors: :detailed)
        ] do
      bridge = bridge(Guests.never_answers())
      assert {:error, error} = Task.async(fn -> ask.(bridge) end) |> Task.await(patience())
      # Nor does it answer when it is told that the time is over, which breaks it.
      assert error.message =~ "left the cancelled ticket", error.message
      assert Bridge.free(bridge) == :ok
    end
  end

  test "no scheduler waits for a guest that is at work when it asks for what comes of a stream" do
    # On a busy machine a scheduler may be held up by others: the guest is at fault only if it is so each time.
    waits =
      Enum.reduce_while(1..3, [], fn _, waits ->
        {worst, took} = worst_wait()
        waits = ["#{worst} of #{took} µs" | waits]
        if worst < took / 4, do: {:halt, :ok}, else: {:cont, waits}
      end)

    assert waits == :ok, "a scheduler waited #{Enum.join(List.wrap(waits), ", ")}"
  end

  # How long a scheduler waits at most while the guest is at work, and how long that is.
  defp worst_wait do
    bridge = bridge(Guests.loops_at_ping())
    id = running(bridge)
    {:ok, %{ref: ref} = stream} = Bridge.exec(bridge, id, %{command: ["cat"], stdin: true})
    :ok = Selur.Stream.demand(stream, 100)
    # What it echoes is delivered, and more is asked for, while the guest is at work.
    written = make_ref()
    :pending = Native.stream_write(ref, written, "a")
    begun = System.monotonic_time(:microsecond)
    ping = Bridge.ping_async(bridge, "hi")
    worst = longest_until_answered(ping, fn -> _ = Native.stream_demand(ref, 0, nil) end, 0)
    took = System.monotonic_time(:microsecond) - begun
    assert_receive {:selur, ^written, :ok}, patience()
    assert_receive {:selur, ^ref, {:item, {:stdout, "a"}}}, patience()
    :ok = Bridge.free(bridge)
    {worst, took}
  end

  defp longest_until_answered(request, step, worst) do
    receive do
      {:selur, ^request, result} ->
        assert result == {:error, :internal_error}
        worst
    after
      0 ->
        {microseconds, _} = :timer.tc(step)
        longest_until_answered(request, step, max(worst, microseconds))
    end
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
