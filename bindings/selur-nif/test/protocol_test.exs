defmodule Selur.ProtocolTest do
  use ExUnit.Case, async: true

  alias Selur.{Bridge, JSON, Protocol}
  alias Selur.Test.Support

  setup_all do
    %{protocol: JSON.decode!(File.read!(Path.join(Support.root(), "conformance/protocol.json")))}
  end

  defp table(entries), do: for(%{"name" => name, "code" => code} <- entries, do: {String.to_atom(name), code})

  test "the commands are those of protocol.json", %{protocol: protocol} do
    assert Protocol.commands() == table(protocol["commands"])
    for {name, code} <- Protocol.commands(), do: assert(Protocol.code(name) == code)
  end

  test "the statuses are those of protocol.json, and no other code has a name", %{protocol: protocol} do
    assert Protocol.statuses() == table(protocol["statuses"])
    for {name, code} <- Protocol.statuses(), do: assert(Protocol.status(code) == name)
    for code <- length(Protocol.statuses())..255, do: assert(Protocol.status(code) == :unknown_error)
    assert {:error, %{status: :unknown_error}} = Protocol.decode(<<0xEE, "words">>)
  end

  test "the type of statuses has all of them" do
    {:ok, types} = Code.Typespec.fetch_types(Selur.Error)

    [{:type, {:status, {:type, _, :union, atoms}, []}}] =
      for {:type, {:status, _, _}} = type <- types, do: type

    names = for {:atom, _, name} <- atoms, do: name

    assert Enum.sort(names) ==
             (Enum.sort(Keyword.keys(Protocol.statuses()) -- [:success]) ++ [])
             |> then(&Enum.sort([:unknown_error | &1]))
  end

  test "every command has its function, and each of them its twins, a doc and a spec" do
    functions = Bridge.__info__(:functions)

    for {command, _} <- Protocol.commands() do
      for form <- ["#{command}", "#{command}!", "#{command}_async"] do
        assert Keyword.has_key?(functions, String.to_existing_atom(form)), "Selur.Bridge has no #{form}"
      end
    end

    {:docs_v1, _, _, _, _, _, docs} = Code.fetch_docs(Bridge)
    {:ok, specs} = Code.Typespec.fetch_specs(Bridge)
    specified = for {function, _} <- specs, do: function

    for {{:function, name, arity}, _, _, doc, %{} = metadata} <- docs do
      assert doc != :none, "#{name}/#{arity} has no doc"
      assert {name, arity} in specified, "#{name}/#{arity} has no spec"
      for fewer <- 0..Map.get(metadata, :defaults, 0), do: assert({name, arity - fewer} in functions)
    end
  end
end
