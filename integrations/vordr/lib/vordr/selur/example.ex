defmodule Vordr.Selur.Example do
  @moduledoc """
  One container's whole life, told line by line.

      mix run -e "Vordr.Selur.Example.run()"

  The container is a real one, of an image that is made here, so that no registry is asked; its state is kept in a folder of its
  own, which is removed with it. Where there can be no real containers it says why and what to do. A simulated one is only run
  where it is asked for: `Vordr.Selur.Example.run(runtime: :simulated)`.
  """

  alias Vordr.Selur.Bridge
  alias Vordr.Selur.Example.Image

  @runtimes %{
    "oci" => "oci: real containers, by runc",
    "docker" => "docker: real containers, by a daemon",
    "simulated" => "simulated: containers that exist in memory alone"
  }

  @doc """
  Runs it. What fails is told, and ends the calling process with `{:shutdown, 1}`, and so `mix run` with 1.

    * `:runtime`: as of `Selur.Bridge.new/1`.
    * `:state_root`: where the container is kept, instead of a folder of its own.
    * `:image`: an image to pull instead of the one that is made here; it must have `sleep`.
  """
  @spec run(keyword) :: :ok
  def run(options \\ []) do
    _ = Keyword.validate!(options, [:runtime, :state_root, :image])

    folder =
      Path.join(System.tmp_dir!(), "vordr-example-#{System.pid()}-#{System.unique_integer([:positive])}")

    File.mkdir!(folder)
    File.chmod!(folder, 0o700)

    try do
      with_bridge(folder, options)
    rescue
      error in Selur.Error ->
        IO.puts(:stderr, ["failed    ", Exception.message(error), "\n\n", advice(options[:runtime])])
        exit({:shutdown, 1})
    after
      File.rm_rf!(folder)
    end
  end

  defp with_bridge(folder, options) do
    image = options[:image]

    bridge =
      options
      |> Keyword.delete(:image)
      |> Keyword.put_new(:state_root, Path.join(folder, "state"))
      |> Bridge.new!()

    try do
      {:ok, %{backend: backend}} = Bridge.info(bridge)
      say("runtime", @runtimes[backend] || backend)
      {:ok, size} = Bridge.memory_size(bridge)
      say("memory", "#{size} bytes")
      {image, spec} = image(bridge, backend, image, folder)
      id = Bridge.create_container!(bridge, image, spec: spec)
      say("created", "an id of #{byte_size(id)} digits")
      life(bridge, id, spec)
    after
      Bridge.free(bridge)
    end
  end

  # The image's name and what its containers are to run.
  defp image(bridge, "oci", nil, folder) do
    case Image.write(folder) do
      {:ok, archive, bytes} ->
        _ = Bridge.load_image!(bridge, archive)
        say("image", "#{Image.reference()}: one static program of #{bytes} bytes, made here")
        {Image.reference(), %{}}

      :unsupported ->
        image(bridge, "oci", "docker.io/library/busybox:latest", folder)
    end
  end

  defp image(bridge, "docker", nil, folder),
    do: image(bridge, "docker", "docker.io/library/busybox:latest", folder)

  defp image(_bridge, _backend, image, _folder), do: {image || Image.reference(), %{command: ["sleep", "60"]}}

  defp life(bridge, id, spec) do
    :ok = Bridge.start_container!(bridge, id)
    say("started", state(bridge, id))
    if spec == %{}, do: say("logs", first_line(bridge, id))
    say("list", count(Bridge.list_containers!(bridge)))

    # What runs is not deleted: that is a failure like any other, a status for programs and a message for people.
    {:error, refused} = Bridge.delete_container(bridge, id, errors: :detailed)
    say("delete", "#{refused.status}")
    :ok = Bridge.stop_container!(bridge, id, timeout: 1_000)
    say("stopped", "exit code #{Bridge.wait_container!(bridge, id)}")
  after
    :ok = Bridge.delete_container!(bridge, id, force: true)
    say("deleted", count(Bridge.list_containers!(bridge)))
  end

  defp state(bridge, id),
    do: bridge |> Bridge.inspect_container!(id) |> Selur.JSON.decode!() |> Map.get("state")

  # It comes as soon as it is written.
  defp first_line(bridge, id) do
    [{:stdout, line, _time_ns}] = bridge |> Bridge.logs!(id, follow: true) |> Enum.take(1)
    String.trim(line)
  end

  defp count([_]), do: "1 container"
  defp count(ids), do: "#{length(ids)} containers"

  defp say(what, result), do: IO.puts([String.pad_trailing(what, 10), result])

  defp advice(:simulated), do: ""

  defp advice(_) do
    """
    Real containers need Linux, runc, and root or user namespaces; `selur info --check` says what this machine lacks.
    Without them: Vordr.Selur.Example.run(runtime: :simulated)
    """
  end
end
