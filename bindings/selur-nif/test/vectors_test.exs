defmodule Selur.VectorsTest do
  use ExUnit.Case, async: true

  alias Selur.{Bridge, JSON}
  alias Selur.Test.{Replay, Support}

  # A floor, so that lost vectors are noticed; the files say how many there are.
  @at_least 550
  @moduletag timeout: 300_000

  defp vectors do
    files = Path.wildcard(Path.join(Support.root(), "conformance/vectors/*.json"))
    found = Enum.flat_map(files, &JSON.decode!(File.read!(&1))["vectors"])
    assert length(found) >= @at_least
    assert found |> Enum.uniq_by(& &1["name"]) |> length() == length(found)
    found
  end

  defp replay_all(way) do
    all = vectors()
    ran = Enum.count(all, fn vector -> Replay.replay(vector, way) && true end)
    assert ran == length(all)
    IO.puts("#{ran} vectors")
  end

  test "every vector holds when its frames are called" do
    replay_all(fn bridge, frame -> Bridge.call!(bridge, frame) end)
  end

  test "every vector holds when its frames are begun and awaited" do
    replay_all(fn bridge, frame ->
      {:ok, response} = bridge |> Bridge.call_async(frame) |> Bridge.await(Support.patience())
      response
    end)
  end

  test "a guest from a file is the one that is built in" do
    path = Path.join(Support.root(), "guest/selur.wasm")
    assert {:ok, bridge} = Bridge.new(path, runtime: :simulated)
    assert {:ok, %{guest: %{sha256: sha256}}} = Bridge.info(bridge)
    assert File.read!(path <> ".sha256") =~ sha256
    assert Bridge.ping(bridge, "hi") == {:ok, "hi"}
  end
end
