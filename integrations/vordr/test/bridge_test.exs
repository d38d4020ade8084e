defmodule Vordr.Selur.BridgeTest do
  use ExUnit.Case, async: true

  import ExUnit.CaptureIO
  alias Selur.Test.{Replay, Support}
  alias Vordr.Selur.Bridge

  doctest Vordr.Selur.Bridge

  test "it has every function of Selur.Bridge, and no other" do
    assert Bridge.__info__(:functions) == Selur.Bridge.__info__(:functions)
    assert length(Bridge.__info__(:functions)) > 150
  end

  test "each of them has the documentation and the specification of Selur.Bridge" do
    ours = documented(Bridge)
    theirs = documented(Selur.Bridge)
    assert Map.keys(ours) == Map.keys(theirs)

    for {function, text} <- theirs do
      assert String.replace(ours[function], "Vordr.Selur.Bridge", "Selur.Bridge") == text
    end

    assert MapSet.new(specified(Bridge)) == MapSet.new(specified(Selur.Bridge))
  end

  defp documented(module) do
    {:docs_v1, _, _, _, _, _, entries} = Code.fetch_docs(module)

    for {{:function, name, arity}, _, _, doc, _} <- entries, into: %{} do
      {{name, arity}, if(is_map(doc), do: doc["en"], else: "")}
    end
  end

  defp specified(module) do
    {:ok, specs} = Code.Typespec.fetch_specs(module)
    for {function, _} <- specs, do: function
  end

  test "the specifications are those that Vörðr's first description promised" do
    {:ok, specs} = Code.Typespec.fetch_specs(Bridge)

    promised = [
      {{:free, 1}, "free(bridge()) :: :ok"},
      {{:memory_size, 1}, "memory_size(bridge()) :: {:ok, non_neg_integer()} | {:error, error()}"},
      {{:create_container, 3},
       "create_container(bridge(), image :: String.t(), options()) :: {:ok, String.t()} | {:error, error()}"},
      {{:start_container, 3},
       "start_container(bridge(), container :: String.t(), options()) :: :ok | {:error, error()}"},
      {{:stop_container, 3},
       "stop_container(bridge(), container :: String.t(), options()) :: :ok | {:error, error()}"},
      {{:inspect_container, 3},
       "inspect_container(bridge(), container :: String.t(), options()) :: {:ok, String.t()} | {:error, error()}"},
      {{:delete_container, 3},
       "delete_container(bridge(), container :: String.t(), options()) :: :ok | {:error, error()}"},
      {{:list_containers, 2},
       "list_containers(bridge(), options()) :: {:ok, [String.t()]} | {:error, error()}"}
    ]

    for {{name, _} = function, promise} <- promised do
      {_, [spec]} = List.keyfind(specs, function, 0)
      written = name |> Code.Typespec.spec_to_quoted(spec) |> Macro.to_string()
      assert without_names(written) == without_names(promise)
    end
  end

  # Nor how the lines are broken.
  defp without_names(spec), do: String.replace(spec, ~r/\w+ :: (?=String)|\s+/, "")

  test "the basic example of the first description runs as it stands" do
    # Its names, and a guest from a file; without a registry, and so without real containers.
    wasm_path = Path.join(Support.root(), "guest/selur.wasm")
    {:ok, bridge} = Bridge.new(wasm_path, runtime: :simulated)

    {:ok, size} = Bridge.memory_size(bridge)
    assert capture_io(fn -> IO.puts("Memory: #{size} bytes") end) == "Memory: 1048576 bytes\n"
    {:ok, container_id} = Bridge.create_container(bridge, "nginx:latest")
    :ok = Bridge.start_container(bridge, container_id)
    {:ok, containers} = Bridge.list_containers(bridge)
    assert containers == [container_id]
    {:ok, json} = Bridge.inspect_container(bridge, container_id)
    assert Selur.JSON.decode!(json)["state"] == "running"
    :ok = Bridge.stop_container(bridge, container_id)
    :ok = Bridge.delete_container(bridge, container_id)
    :ok = Bridge.free(bridge)

    # And once more, which is as good; what comes after is refused.
    :ok = Bridge.free(bridge)
    assert Bridge.create_container(bridge, "nginx:latest") == {:error, :invalid_request}
  end

  test "failures are the atoms that were promised" do
    assert Bridge.new("/nowhere/selur.wasm") == {:error, :internal_error}
    bridge = Support.simulated()
    assert Bridge.start_container(bridge, "nobody") == {:error, :container_not_found}
    assert Bridge.create_container(bridge, "not an image") == {:error, :invalid_request}
    assert Bridge.create_container(bridge, "fault.test/pull:network_error") == {:error, :network_error}
    {:ok, _} = Bridge.create_container(bridge, "nginx", name: "web")
    assert Bridge.create_container(bridge, "nginx", name: "web") == {:error, :container_already_exists}
  end

  @tag timeout: 300_000
  test "every conformance vector holds" do
    files = Path.wildcard(Path.join(Support.root(), "conformance/vectors/*.json"))
    vectors = Enum.flat_map(files, &Selur.JSON.decode!(File.read!(&1))["vectors"])
    assert length(vectors) >= 550
    for vector <- vectors, do: Replay.replay(vector, &Bridge.call!/2)
    IO.puts("#{length(vectors)} vectors")
  end
end
