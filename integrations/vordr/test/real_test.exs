defmodule Vordr.RealTest do
  # Real containers, in state roots of their own.
  use ExUnit.Case, async: true

  import Selur.Test.Support
  alias Vordr.ContainerManager
  alias Vordr.Selur.Bridge

  @moduletag :real
  @moduletag capture_log: true
  @moduletag timeout: 300_000
  @sleep %{command: ["sleep", "600"]}

  defp supervised(state) do
    name = :"manager-#{System.unique_integer([:positive])}"
    start_supervised!({ContainerManager, name: name, runtime: :oci, state_root: state})
    name
  end

  test "a manager that is killed while containers run finds them again, running" do
    state = store()
    name = supervised(state)
    to = [manager: name]
    {:ok, web} = ContainerManager.create(image(), [name: "web", spec: @sleep] ++ to)
    :ok = ContainerManager.start("web", to)
    {:ok, other} = ContainerManager.create(image(), [spec: @sleep] ++ to)
    {:ok, json} = ContainerManager.inspect(web, to)
    pid = Selur.JSON.decode!(json)["pid"]
    known = ContainerManager.containers(to)

    # In the middle of a stop that is under way, and of a wait.
    waits = for _ <- 1..3, do: Task.async(fn -> catch_exit(ContainerManager.wait(web, to)) end)
    eventually("they wait", fn -> map_size(:sys.get_state(name).callers) == 3 end)
    process = Process.whereis(name)
    Process.exit(process, :kill)
    for wait <- waits, do: assert({:killed, _} = Task.await(wait, patience()))
    eventually("it is there again", fn -> Process.whereis(name) not in [nil, process] end)

    assert ContainerManager.containers(to) == known
    assert %{^web => %{name: "web", state: :running}, ^other => %{state: :created}} = known
    {:ok, json} = ContainerManager.inspect(web, to)
    assert Selur.JSON.decode!(json)["pid"] == pid

    :ok = ContainerManager.stop(web, [timeout: 0] ++ to)
    assert %{state: :stopped, exit_code: 137} = ContainerManager.containers(to)[web]
    :ok = ContainerManager.delete(web, to)
    :ok = ContainerManager.delete(other, to)
    assert ContainerManager.containers(to) == %{}
  end

  test "it follows what another bridge on the same state root does" do
    state = store()
    to = [manager: supervised(state)]
    assert ContainerManager.containers(to) == %{}
    other = Bridge.new!(runtime: :oci, state_root: state)
    id = Bridge.create_container!(other, image(), name: "theirs", spec: @sleep)
    :ok = Bridge.start_container(other, id)

    eventually("it has seen the start", fn ->
      match?(%{^id => %{name: "theirs", state: :running}}, ContainerManager.containers(to))
    end)

    :ok = Bridge.kill_container(other, id)
    assert ContainerManager.wait("theirs", to) == {:ok, 137}
    :ok = Bridge.delete_container(other, id)
    eventually("it has seen the deletion", fn -> ContainerManager.containers(to) == %{} end)
    :ok = Bridge.free(other)
  end

  test "a container that ends by itself is known to have ended" do
    to = [manager: supervised(store())]
    {:ok, id} = ContainerManager.create(image(), [spec: %{command: ["sh", "-c", "exit 7"]}] ++ to)
    :ok = ContainerManager.start(id, to)

    eventually("it has ended", fn ->
      match?(%{state: :stopped, exit_code: 7}, ContainerManager.containers(to)[id])
    end)

    assert ContainerManager.wait(id, to) == {:ok, 7}
  end

  test "twenty callers drive twenty containers at once" do
    to = [manager: supervised(store())]

    tasks =
      for number <- 1..20 do
        Task.async(fn ->
          {:ok, id} = ContainerManager.create(image(), [name: "c#{number}", spec: @sleep] ++ to)
          :ok = ContainerManager.start(id, to)
          :running = ContainerManager.containers(to)[id].state
          {:ok, output} = ContainerManager.exec(id, ["echo", "#{number}"], to)
          said = "#{number}\n"
          [{:stdout, ^said}, {:exit, 0}] = Enum.to_list(output)
          :ok = ContainerManager.delete("c#{number}", [force: true] ++ to)
        end)
      end

    assert Enum.all?(Task.await_many(tasks, 240_000), &(&1 == :ok))
    assert ContainerManager.containers(to) == %{}
  end
end
