# How late a 1 ms ticker is at worst while 100 real containers are created, started and deleted from this VM; and, for control,
# while another process of the system does the same work: what then remains is the machine's doing.
#
#   mix run bench/stall.exs STATE_ROOT IMAGE           prints who, median, longest, all runs, in milliseconds
#   mix run bench/stall.exs STATE_ROOT IMAGE --work    does the work once, and nothing else
defmodule Bench.Stall do
  alias Selur.Bridge

  @containers 100
  @at_once 8
  @runs 5

  def run([state_root, image, "--work"]), do: work(state_root, image)

  def run([state_root, image]) do
    ways = [
      {"this VM", fn -> work(state_root, image) end},
      {"another process, for control", fn -> elsewhere(state_root, image) end}
    ]

    # The first round warms up: code is loaded, the image's files come into the cache.
    rounds = for _ <- 0..@runs, do: for({_, during} <- ways, do: worst(during))

    for {{who, _}, index} <- Enum.with_index(ways) do
      stalls = for [_ | _] = round <- tl(rounds), do: Enum.at(round, index)
      sorted = Enum.sort(stalls)
      shown = [Enum.at(sorted, div(@runs, 2)), List.last(sorted)]

      IO.puts(
        Enum.join(
          [who | Enum.map(shown, &milliseconds/1)] ++ [Enum.map_join(stalls, ", ", &milliseconds/1)],
          "\t"
        )
      )
    end
  end

  defp milliseconds(microseconds), do: :erlang.float_to_binary(microseconds / 1000, decimals: 1)

  defp work(state_root, image) do
    bridge = Bridge.new!(runtime: :oci, state_root: state_root)

    1..@containers
    |> Task.async_stream(
      fn _ ->
        id = Bridge.create_container!(bridge, image, spec: %{command: ["sleep", "600"]})
        :ok = Bridge.start_container(bridge, id)
        :ok = Bridge.delete_container(bridge, id, force: true)
      end,
      max_concurrency: @at_once,
      timeout: :infinity
    )
    |> Stream.run()

    :ok = Bridge.free(bridge)
  end

  defp elsewhere(state_root, image) do
    arguments = ["run", "--no-compile", __ENV__.file, state_root, image, "--work"]
    {_, 0} = System.cmd(System.find_executable("mix"), arguments, into: IO.stream())
  end

  # The most that a tick came late, in microseconds, as a process of ordinary priority sees it.
  defp worst(during) do
    parent = self()

    ticker =
      spawn_link(fn ->
        Process.flag(:message_queue_data, :on_heap)
        send(parent, {:worst, tick(0)})
      end)

    during.()
    send(ticker, :enough)
    receive(do: ({:worst, worst} -> worst))
  end

  defp tick(worst) do
    begun = :erlang.monotonic_time(:microsecond)

    receive do
      :enough -> worst
    after
      # The timer's own millisecond, and the one that it is rounded by, are no stall.
      1 -> tick(max(worst, :erlang.monotonic_time(:microsecond) - begun - 2_000))
    end
  end
end

Bench.Stall.run(System.argv())
