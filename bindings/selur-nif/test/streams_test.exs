defmodule Selur.StreamsTest do
  use ExUnit.Case, async: true

  import Selur.Test.Support
  alias Selur.{Bridge, JSON, Protocol}

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

  test "a stream is taken by its id, once, and closed it makes room for another", %{bridge: bridge, id: id} do
    open = fn ->
      {:ok, <<0, number::binary>>} = Bridge.call(bridge, Protocol.encode(:events))
      String.to_integer(number)
    end

    # One more than a bridge may have open.
    for _ <- 1..1_025 do
      number = open.()
      assert {:ok, %Selur.Stream{} = stream} = Bridge.take_stream(bridge, number)
      assert Bridge.take_stream(bridge, number) == {:error, :invalid_request}
      assert Selur.Stream.close(stream) == :ok
    end

    events = Bridge.take_stream!(bridge, open.())
    Bridge.create_volume!(bridge, "data")
    assert [item] = Enum.take(events, 1)
    assert %{"event" => %{"subject" => "data"}} = JSON.decode!(item)

    spec = JSON.encode(%{command: ["cat"], stdin: true})
    {:ok, <<0, number::binary>>} = Bridge.call(bridge, Protocol.encode(:exec, [id, spec]))
    cat = Bridge.take_stream!(bridge, String.to_integer(number))
    :ok = Selur.Stream.write(cat, "hello")
    :ok = Selur.Stream.end_input(cat)
    assert Enum.to_list(cat) == [{:stdout, "hello"}, {:exit, 0}]
  end

  test "a stream that is not there cannot be taken, and the reason is told as elsewhere", %{bridge: bridge} do
    assert Bridge.take_stream(bridge, 77) == {:error, :invalid_request}
    error = assert_raise Selur.Error, ~r/no stream/, fn -> Bridge.take_stream!(bridge, 77) end
    assert Bridge.take_stream(bridge, 77, errors: :detailed) == {:error, error}
    assert_raise ArgumentError, fn -> Bridge.take_stream(bridge, 77, follow: true) end
    assert_raise FunctionClauseError, fn -> Bridge.take_stream(bridge, -1) end
    # A guest that selur did not build is asked on a thread of its bridge.
    elsewhere = simulated(guest: {:bytes, Selur.Test.Guests.never_answers()})
    assert Bridge.take_stream(elsewhere, 77) == {:error, :invalid_request}
    :ok = Bridge.free(bridge)
    assert Bridge.take_stream(bridge, 77) == {:error, :invalid_request}
  end

  test "a stream that was taken is closed with the process that took it", %{bridge: bridge} do
    {:ok, <<0, number::binary>>} = Bridge.call(bridge, Protocol.encode(:events))
    taking = Task.async(fn -> Bridge.take_stream!(bridge, String.to_integer(number), errors: :detailed) end)
    events = Task.await(taking, patience())

    # Asking for more would make this process its reader.
    eventually("the stream is closed", fn ->
      {:error, %{message: message}} = Selur.Stream.end_input(events)
      message =~ "closed"
    end)
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

  # Enumerates in a process of its own, which waits in the first item until it is told to go on, and tells how it ended.
  defp enumerate(stream) do
    parent = self()

    spawn_link(fn ->
      each = fn _ ->
        send(parent, {:looks, self()})
        unless Process.get(:goes), do: receive(do: (:go -> Process.put(:goes, true)))
      end

      ended =
        try do
          Enum.each(stream, each)
        rescue
          error in Selur.Error -> error.status
        end

      {:messages, left} = Process.info(self(), :messages)
      send(parent, {:ended, self(), ended, left})
    end)
  end

  test "an enumeration ends when its stream is closed, or its bridge freed, while nothing is being read" do
    for ends <- [fn _, stream -> Selur.Stream.close(stream) end, fn bridge, _ -> Bridge.free(bridge) end] do
      bridge = simulated()
      {:ok, events} = Bridge.events(bridge)
      for number <- 1..60, do: Bridge.create_volume!(bridge, "data-#{number}")
      reader = enumerate(events)
      assert_receive {:looks, ^reader}, patience()
      # As many as are under way while one is looked at.
      eventually("what it asked for has come", fn ->
        Process.info(reader, :message_queue_len) == {:message_queue_len, 16}
      end)

      :ok = ends.(bridge, events)
      send(reader, :go)
      assert_receive {:ended, ^reader, :invalid_request, []}, patience()
    end
  end

  test "an enumeration that waits ends when another process closes its stream, or reads it", %{bridge: bridge} do
    for {ends, says} <- [{&Selur.Stream.close/1, :cancelled}, {&Selur.Stream.demand(&1, 1), :cancelled}] do
      {:ok, events} = Bridge.events(bridge)
      Bridge.create_volume!(bridge, "data-#{says}-#{System.unique_integer([:positive])}")
      reader = enumerate(events)
      assert_receive {:looks, ^reader}, patience()
      send(reader, :go)
      eventually("it waits", fn -> Process.info(reader, :status) == {:status, :waiting} end)
      :ok = ends.(events)
      assert_receive {:ended, ^reader, ^says, []}, patience()
    end
  end

  test "what another process asked for is forgotten, and what it had coming is kept", %{bridge: bridge} do
    {:ok, %{ref: ref} = events} = Bridge.events(bridge)
    parent = self()

    other =
      spawn_link(fn ->
        :ok = Selur.Stream.demand(events, 100)
        send(parent, :asked)
        receive(do: (message -> send(parent, {:told, message})))
        receive(do: (:never -> :ok))
      end)

    assert_receive :asked, patience()
    :ok = Selur.Stream.demand(events, 0)
    assert_receive {:told, {:selur, ^ref, {:error, :cancelled}}}, patience()
    for number <- 1..5, do: Bridge.create_volume!(bridge, "data-#{number}")
    refute_receive {:selur, ^ref, _}, 50
    :ok = Selur.Stream.demand(events, 2)

    for number <- 1..2 do
      assert_receive {:selur, ^ref, {:item, item}}, patience()
      assert JSON.decode!(item)["event"]["subject"] == "data-#{number}"
    end

    refute_receive {:selur, ^ref, _}, 50
    assert Process.alive?(other)
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
