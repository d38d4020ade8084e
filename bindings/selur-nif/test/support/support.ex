defmodule Selur.Test.Support do
  @moduledoc false
  # What the tests have in common.

  import ExUnit.Assertions
  alias Selur.Bridge

  @root Path.expand("../../../..", __DIR__)
  @image "example.test/busybox:1"

  @doc "How many milliseconds anything may take."
  def patience, do: 60_000

  @doc "The root of the repository."
  def root, do: @root

  @doc "The image that a store has: busybox alone."
  def image, do: @image

  @doc "A bridge whose containers live in memory."
  def simulated(options \\ []), do: Bridge.new!([runtime: :simulated] ++ options)

  @doc "A running container of a simulated bridge."
  def running(bridge, image \\ "nginx") do
    id = Bridge.create_container!(bridge, image)
    :ok = Bridge.start_container(bridge, id)
    id
  end

  @doc "Waits until something holds."
  def eventually(what, holds, until \\ now() + 60_000) do
    cond do
      holds.() ->
        :ok

      now() > until ->
        flunk("in time it was not so: #{what}")

      true ->
        receive(after: (5 -> :ok))
        eventually(what, holds, until)
    end
  end

  @doc "A folder that is gone after the test."
  def folder do
    path = Path.join(System.tmp_dir!(), "selur-nif-#{System.pid()}-#{System.unique_integer([:positive])}")
    File.mkdir_p!(path)
    ExUnit.Callbacks.on_exit(fn -> File.rm_rf!(path) end)
    path
  end

  @doc "A state root for real containers with the image in it; what runs in it is removed after the test."
  def store do
    place = folder()
    archive = Path.join(place, "image.tar")
    {_, 0} = System.cmd(Path.join(@root, "scripts/busybox-image"), [archive, @image])
    state = Path.join(place, "state")
    bridge = Bridge.new!(runtime: :oci, state_root: state)
    assert Bridge.load_image!(bridge, archive) =~ @image
    :ok = Bridge.free(bridge)
    ExUnit.Callbacks.on_exit(fn -> clear(state) end)
    state
  end

  defp clear(state) do
    bridge = Bridge.new!(runtime: :oci, state_root: state)
    # One that is gone meanwhile is as good.
    for id <- Bridge.list_containers!(bridge), do: _ = Bridge.delete_container(bridge, id, force: true)
    Bridge.free(bridge)
  end

  @doc "Runs Elixir in a VM of its own, with this project's modules."
  def vm(source, environment \\ []) do
    ebin = :selur |> :code.lib_dir() |> Path.join("ebin")
    # A VM that hangs is killed.
    arguments = ["120", System.find_executable("elixir"), "-pa", ebin, "-e", source]
    System.cmd("timeout", arguments, stderr_to_stdout: true, env: environment)
  end

  @doc "How many KiB of memory this process of the system has."
  def resident_kib do
    [_, pages | _] = "/proc/self/statm" |> File.read!() |> String.split()
    String.to_integer(pages) * 4
  end

  defp now, do: System.monotonic_time(:millisecond)
end
