defmodule Selur.ContainersTest do
  # Real containers, which need root.
  use ExUnit.Case, async: false

  import Selur.Test.Support
  alias Selur.{Bridge, JSON}

  @moduletag timeout: 300_000

  setup do
    {uid, 0} = System.cmd("id", ["-u"])
    assert uid == "0\n", "real containers need root here: run this as root"
    state = store()
    %{state: state, bridge: Bridge.new!(runtime: :oci, state_root: state)}
  end

  defp sleeping(bridge, options \\ []),
    do: Bridge.create_container!(bridge, image(), [spec: %{command: ["sleep", "600"]}] ++ options)

  defp state(bridge, id), do: bridge |> Bridge.inspect_container!(id) |> JSON.decode!() |> Map.fetch!("state")

  test "a real container lives and ends", %{bridge: bridge} do
    assert {:ok, %{backend: "oci", shared: true}} = Bridge.info(bridge)
    id = sleeping(bridge, name: "real")
    assert Bridge.list_containers(bridge) == {:ok, [id]}
    :ok = Bridge.start_container(bridge, "real")
    assert state(bridge, id) == "running"
    %{"pid" => pid} = bridge |> Bridge.inspect_container!(id) |> JSON.decode!()
    assert [%{"pid" => ^pid}] = bridge |> Bridge.top!(id) |> JSON.decode!()
    :ok = Bridge.pause_container(bridge, id)
    assert state(bridge, id) == "paused"
    :ok = Bridge.resume_container(bridge, id)
    wait = Bridge.wait_container_async(bridge, id)
    :ok = Bridge.stop_container(bridge, id, timeout: 0)
    assert Bridge.await(wait, patience()) == {:ok, 137}
    :ok = Bridge.delete_container(bridge, id)
    assert Bridge.list_containers(bridge) == {:ok, []}
  end

  test "a real exec has input, output, errors and an exit code", %{bridge: bridge} do
    id = sleeping(bridge)
    :ok = Bridge.start_container(bridge, id)
    script = "cat; echo wrong >&2; exit 7"
    stream = Bridge.exec!(bridge, id, %{command: ["sh", "-c", script], stdin: true})
    input = :binary.copy("a", 1_048_576)
    writer = Task.async(fn -> {Selur.Stream.write(stream, input), Selur.Stream.end_input(stream)} end)
    items = Enum.to_list(stream)
    assert Task.await(writer, patience()) == {:ok, :ok}
    assert IO.iodata_to_binary(for {:stdout, bytes} <- items, do: bytes) == input
    assert IO.iodata_to_binary(for {:stderr, bytes} <- items, do: bytes) == "wrong\n"
    assert List.last(items) == {:exit, 7}
  end

  test "a real exec that is left half-way is killed, and so is one whose reader dies", %{bridge: bridge} do
    id = sleeping(bridge)
    :ok = Bridge.start_container(bridge, id)
    endless = ["sh", "-c", "while :; do echo on; done"]
    assert [{:stdout, _}] = bridge |> Bridge.exec!(id, endless) |> Enum.take(1)
    alone = fn -> bridge |> Bridge.top!(id) |> JSON.decode!() |> length() == 1 end
    eventually("the process is gone", alone)

    reader = spawn(fn -> bridge |> Bridge.exec!(id, endless) |> Stream.run() end)

    eventually("the process is there", fn -> not alone.() end)
    Process.exit(reader, :kill)
    eventually("the process is gone", alone)
  end

  test "what a real container writes is followed until it ends", %{bridge: bridge} do
    script = "echo one; echo two >&2; sleep 600"
    id = Bridge.create_container!(bridge, image(), spec: %{command: ["sh", "-c", script]})
    :ok = Bridge.start_container(bridge, id)
    logs = Bridge.logs!(bridge, id, follow: true)
    reader = Task.async(fn -> Enum.to_list(logs) end)
    samples = bridge |> Bridge.stats!(id, interval_ms: 100) |> Enum.take(2)
    assert [%{"pids" => _}, %{}] = Enum.map(samples, &JSON.decode!/1)
    :ok = Bridge.kill_container(bridge, id)
    lines = Task.await(reader, patience())

    assert [{:stderr, "two\n"}, {:stdout, "one\n"}] =
             lines |> Enum.map(&Tuple.delete_at(&1, 2)) |> Enum.sort()

    assert Enum.all?(lines, fn {_, _, time_ns} -> time_ns > 1_700_000_000_000_000_000 end)
  end

  test "events tell what another bridge on the same state does", %{bridge: bridge, state: state} do
    events = Bridge.events!(bridge)
    other = Bridge.new!(runtime: :oci, state_root: state)
    id = sleeping(other)

    assert events
           |> Stream.map(&JSON.decode!(&1)["event"])
           |> Enum.find(&(&1["subject"] == id and &1["kind"] == "created"))

    assert {:ok, [^id]} = Bridge.list_containers(bridge)
    :ok = Bridge.free(other)
    assert Bridge.delete_container(bridge, id) == :ok
  end

  test "the death of a caller leaves nothing of its creates", %{bridge: bridge} do
    caller =
      spawn(fn ->
        for _ <- 1..8, do: Bridge.create_container_async(bridge, image())
        receive(do: (:never -> :ok))
      end)

    eventually("it waits", fn -> Process.info(caller, :status) == {:status, :waiting} end)
    Process.exit(caller, :kill)

    # What was done before its death was heard of stands.
    eventually("no create is under way", fn ->
      before = Bridge.list_containers!(bridge)
      for id <- before, do: Bridge.delete_container(bridge, id, force: true)
      before == []
    end)
  end

  test "the shim is found in priv, and a wrong one is named", %{state: state} do
    assert File.regular?(Application.app_dir(:selur, "priv/native/selur-shim"))

    result =
      with {:ok, bridge} <-
             Bridge.new(runtime: :oci, state_root: state, shim: "/nowhere/shim", errors: :detailed),
           {:ok, id} <- Bridge.create_container(bridge, image()) do
        Bridge.start_container(bridge, id)
      end

    assert {:error, %Selur.Error{status: :unsupported, message: message}} = result
    assert message =~ "/nowhere/shim"
  end
end
