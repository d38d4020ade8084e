defmodule Vordr.Selur.Delegation do
  @moduledoc false
  # Gives a module everything that another one has: each function with its specification and its documentation, whose examples
  # then show the new module and are doctests of it.

  @doc """
  Delegates every function of the module `to`. `types` says what the types of that module are called in this one.
  """
  defmacro delegate_all(to, types) do
    to = Macro.expand(to, __CALLER__)
    {:docs_v1, _, :elixir, _, _, _, documented} = docs(to)
    {:ok, specs} = Code.Typespec.fetch_specs(to)
    specs = Map.new(specs)

    functions =
      for {{:function, name, arity}, _, [signature], doc, metadata} <- documented do
        quote do
          unquote_splicing(doc(doc, to, __CALLER__.module))
          unquote_splicing(group(metadata))
          unquote_splicing(for spec <- Map.get(specs, {name, arity}, []), do: spec(name, spec, types))
          defdelegate unquote(Code.string_to_quoted!(signature)), to: unquote(to)
        end
      end

    {:__block__, [], [quote(do: require(unquote(to))) | functions]}
  end

  defp docs(to) do
    with {:error, reason} <- Code.fetch_docs(to) do
      raise CompileError, description: "#{inspect(to)} was compiled without documentation: #{inspect(reason)}"
    end
  end

  defp doc(%{"en" => text}, to, own) do
    text = Regex.replace(~r/(?<![\w.])#{Regex.escape(inspect(to))}\b/, text, inspect(own))
    [quote(do: @doc(unquote(text)))]
  end

  defp doc(_, _, _), do: []

  defp group(%{group: group}), do: [quote(do: @doc(group: unquote(group)))]
  defp group(_), do: []

  defp spec(name, spec, types) do
    spec =
      name
      |> Code.Typespec.spec_to_quoted(spec)
      |> Macro.postwalk(fn
        {type, _, []} = local when is_atom(type) -> Keyword.get(types, type, local)
        other -> other
      end)

    quote(do: @spec(unquote(spec)))
  end
end
