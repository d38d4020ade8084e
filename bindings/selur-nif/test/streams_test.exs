defmodule Selur.StreamsTest do
  use ExUnit.Case, async: true

  import Selur.Test.Support
  alias Selur.{Bridge, JSON}

  setup do
    bridge = simulated()
    %{bridge: bridge, id: running(bridge)}
  end

  defp exec(%{bridge: bridge, id: id}, process), do: Bridge.exec!(bridge, id, process)

  test "nothing comes that was not asked for", %{bridge: bridge} do
    {:ok, %{ref: ref} = events} = Bridge.events(bridge)
    for number <- 1..5, do: Bridge.create_volume!(bridge, "data-#{number}")
    refute_receive {:selur, ^ref, _}, 50
    :ok = Selur.Stream.demand(events, 2)
    assert_receive {:selur, ^ref, {:item, first}}, patience()
    assert %{"event" => %{"kind" => "volume_created", "subject" => "data-1"}} = JSON.decode!(first)
    assert_receive {:selur, ^ref, {:item, _}}, patience()
    refute_receive {:selur, ^ref, _}, 50
    :ok = Selur.Stream.demand(events, 1)
    :ok = Selur.Stream.demand(events, 1)
    assert_receive {:selur, ^ref, {:item, _}}, patience()
    assert_receive {:selur, ^ref, {:item, _}}, patience()
    refute_receive {:selur, ^ref, _}, 50
  end

  test "a closed stream sends nothing any more, and closing again does nothing", %{bridge: bridge} do
    {:ok, %{ref: ref} = events} = Bridge.events(bridge)
    :ok = Selur.Stream.demand(events, 1_000)
    for number <- 1..50, do: Bridge.create_volume!(bridge, "data-#{number}")
    :ok = Selur.Stream.close(events)
    drain(ref)
    for number <- 51..60, do: Bridge.create_volume!(bridge, "data-#{number}")
    refute_receive {:selur, ^ref, _}, 50
    assert Selur.Stream.close(events) == :ok
    assert Selur.Stream.demand(events, 1) == {:error, :invalid_request}
    assert_raise Selur.Error, fn -> Enum.to_list(events) end
  end

  defp drain(ref) do
    receive do
      {:selur, ^ref, _} -> drain(ref)
    after
      0 -> :ok
    end
  end

  test "a stream that ends says so, and then is closed", context do
    {:ok, %{ref: ref} = stream} = Bridge.exec(context.bridge, context.id, ["echo", "hello"])
    :ok = Selur.Stream.demand(stream, 10)
    assert_receive {:selur, ^ref, {:item, {:stdout, "hello\n"}}}, patience()
    assert_receive {:selur, ^ref, {:item, {:exit, 0}}}, patience()
    assert_receive {:selur, ^ref, :done}, patience()
    assert Selur.Stream.demand(stream, 1) == {:error, :invalid_request}
  end

  test "an enumeration that is left early closes its stream and leaves no message", %{bridge: bridge} do
    {:ok, events} = Bridge.events(bridge)
    for number <- 1..40, do: Bridge.create_volume!(bridge, "data-#{number}")
    assert length(Enum.take(events, 3)) == 3
    assert Selur.Stream.demand(events, 1) == {:error, :invalid_request}
    refute_receive {:selur, _, _}, 50
  end

  test "two streams can be read in step", %{bridge: bridge, id: id} do
    one = Bridge.exec!(bridge, id, ["echo", "one"])
    two = Bridge.exec!(bridge, id, ["echo", "two"])
    assert [{{:stdout, "one\n"}, {:stdout, "two\n"}}, {{:exit, 0}, {:exit, 0}}] = Enum.zip(one, two)
  end

  test "input goes in pieces, and comes out as it was", context do
    stream = exec(context, %{command: ["cat"], stdin: true})
    input = :binary.copy("0123456789abcdef", 20_000)
    writer = Task.async(fn -> {Selur.Stream.write(stream, input), Selur.Stream.end_input(stream)} end)
    items = Enum.to_list(stream)
    assert Task.await(writer, patience()) == {:ok, :ok}
    assert List.last(items) == {:exit, 0}
    assert IO.iodata_to_binary(for {:stdout, bytes} <- items, do: bytes) == input
  end

  test "a stream without an input says so", %{bridge: bridge} do
    {:ok, events} = Bridge.events(bridge)
    assert Selur.Stream.write(events, "a") == {:error, :invalid_request}
    assert Selur.Stream.end_input(events) == {:error, :invalid_request}
    assert Selur.Stream.resize(events, 80, 25) == {:error, :invalid_request}
  end

  test "a stream is told to who asked last, and closed when that process dies", %{bridge: bridge} do
    {:ok, events} = Bridge.events(bridge, errors: :detailed)
    parent = self()

    reader =
      spawn(fn ->
        :ok = Selur.Stream.demand(events, 1)
        send(parent, :reads)
        receive(do: ({:selur, _, {:item, item}} -> send(parent, {:read, item})))
        receive(do: (:never -> :ok))
      end)

    assert_receive :reads, patience()
    Bridge.create_volume!(bridge, "data")
    assert_receive {:read, item}, patience()
    assert item =~ "volume_created"
    Process.exit(reader, :kill)
    # Asking for more would make this process its reader.
    eventually("the stream is closed", fn ->
      {:error, %{status: :invalid_request, message: message}} = Selur.Stream.end_input(events)
      message =~ "closed"
    end)
  end

  test "a stream can be opened in an asynchronous call", %{bridge: bridge, id: id} do
    request = Bridge.exec_async(bridge, id, ["echo", "hello"])
    assert_receive {:selur, ^request, {:ok, %Selur.Stream{} = stream}}, patience()
    assert Enum.to_list(stream) == [{:stdout, "hello\n"}, {:exit, 0}]
  end

  test "a stream ends with its bridge", %{bridge: bridge} do
    {:ok, %{ref: ref} = events} = Bridge.events(bridge)
    :ok = Selur.Stream.demand(events, 1)
    :ok = Bridge.free(bridge)
    assert_receive {:selur, ^ref, ended}, patience()
    assert ended in [:done, {:error, :cancelled}]
    assert Selur.Stream.demand(events, 1) == {:error, :invalid_request}
  end

  test "a pull tells its progress, and what went wrong when it is read", %{bridge: bridge} do
    documents = bridge |> Bridge.pull_image_with_progress!("nginx:1") |> Enum.map(&JSON.decode!/1)
    assert %{"pulled" => %{"reference" => reference}} = List.last(documents)
    assert reference =~ "nginx:1"
    failing = Bridge.pull_image_with_progress!(bridge, "fault.test/pull:network_error")
    assert %{status: :network_error} = assert_raise(Selur.Error, fn -> Enum.to_list(failing) end)
  end

  test "statistics are samples", %{bridge: bridge, id: id} do
    stats = Bridge.stats!(bridge, id, interval_ms: 10)
    # A simulated container is sampled when it changes.
    :ok = Bridge.pause_container(bridge, id)
    assert [%{"memory_bytes" => _}, %{}] = stats |> Enum.take(2) |> Enum.map(&JSON.decode!/1)
  end
end
