defmodule Selur.JSON do
  @moduledoc """
  As much JSON as selur needs, for there is none in OTP 25 and 26: what requests are made of, and what `inspect_container`,
  statistics and events are answered with. Programs that have Jason or another library can use that instead.

      iex> Selur.JSON.encode(%{command: ["sleep", "60"], stdin: true})
      ~S({"command":["sleep","60"],"stdin":true})
      iex> Selur.JSON.decode(~S({"state":"running","exit_code":null}))
      {:ok, %{"state" => "running", "exit_code" => nil}}
  """

  @doc """
  Writes a value as JSON: nil, booleans, numbers, strings, atoms as strings, lists, maps, and keyword lists as objects.

      iex> Selur.JSON.encode([1, 2.5, "a\\"b\\n", nil, :web])
      ~S([1,2.5,"a\\"b\\n",null,"web"])
      iex> Selur.JSON.encode(follow: true, tail_lines: 10)
      ~S({"follow":true,"tail_lines":10})

  Raises `ArgumentError` for what JSON has no word for, and for binaries that are not UTF-8.
  """
  @spec encode(term) :: String.t()
  def encode(value), do: value |> write() |> IO.iodata_to_binary()

  @doc """
  Reads JSON: objects become maps with string keys, null becomes nil.

      iex> Selur.JSON.decode(~S([1, -2.5e3, "\\u00e9\\ud83d\\ude00", true]))
      {:ok, [1, -2.5e3, "é😀", true]}
      iex> Selur.JSON.decode("[1,]")
      {:error, {:unexpected, 3}}
  """
  @spec decode(binary) :: {:ok, term} | {:error, {:unexpected, non_neg_integer}}
  def decode(json) when is_binary(json) do
    {value, rest} = value(space(json))

    case space(rest) do
      "" -> {:ok, value}
      rest -> {:error, {:unexpected, byte_size(json) - byte_size(rest)}}
    end
  catch
    {:unexpected, rest} -> {:error, {:unexpected, byte_size(json) - byte_size(rest)}}
  end

  @doc """
  As `decode/1`, but gives the value, and raises `ArgumentError`.

      iex> Selur.JSON.decode!("[]")
      []
  """
  @spec decode!(binary) :: term
  def decode!(json) do
    case decode(json) do
      {:ok, value} -> value
      {:error, {:unexpected, at}} -> raise ArgumentError, "this is no JSON from byte #{at} on"
    end
  end

  defp write(nil), do: "null"
  defp write(true), do: "true"
  defp write(false), do: "false"
  defp write(atom) when is_atom(atom), do: atom |> Atom.to_string() |> text()
  defp write(integer) when is_integer(integer), do: Integer.to_string(integer)
  defp write(float) when is_float(float), do: Float.to_string(float)
  defp write(binary) when is_binary(binary), do: text(binary)
  defp write([{key, _} | _] = pairs) when is_atom(key), do: object(pairs)
  defp write(list) when is_list(list), do: [?[, list |> Enum.map(&write/1) |> Enum.intersperse(?,), ?]]
  defp write(%struct{}), do: raise(ArgumentError, "JSON has no word for a %#{inspect(struct)}{}")
  defp write(map) when is_map(map), do: map |> Enum.to_list() |> object()
  defp write(other), do: raise(ArgumentError, "JSON has no word for #{inspect(other)}")

  defp object(pairs) do
    members = for {key, value} <- pairs, do: [key |> to_string() |> text(), ?:, write(value)]
    [?{, Enum.intersperse(members, ?,), ?}]
  end

  defp text(binary) do
    if not String.valid?(binary), do: raise(ArgumentError, "this is not UTF-8: #{inspect(binary)}")
    [?", for(<<character::utf8 <- binary>>, do: escape(character)), ?"]
  end

  defp escape(?"), do: ~S(\")
  defp escape(?\\), do: ~S(\\)
  defp escape(?\n), do: ~S(\n)
  defp escape(?\r), do: ~S(\r)
  defp escape(?\t), do: ~S(\t)

  defp escape(control) when control < 0x20,
    do: ["\\u", control |> Integer.to_string(16) |> String.pad_leading(4, "0")]

  defp escape(character), do: <<character::utf8>>

  defp value("null" <> rest), do: {nil, rest}
  defp value("true" <> rest), do: {true, rest}
  defp value("false" <> rest), do: {false, rest}
  defp value("\"" <> rest), do: string(rest, [])
  defp value("[" <> rest), do: rest |> space() |> elements([])
  defp value("{" <> rest), do: rest |> space() |> members(%{})
  defp value(<<first, _::binary>> = json) when first == ?- or first in ?0..?9, do: number(json)
  defp value(rest), do: throw({:unexpected, rest})

  defp elements("]" <> rest, []), do: {[], rest}

  defp elements(json, before) do
    {value, rest} = value(json)

    case space(rest) do
      "," <> rest -> rest |> space() |> elements([value | before])
      "]" <> rest -> {Enum.reverse(before, [value]), rest}
      rest -> throw({:unexpected, rest})
    end
  end

  defp members("}" <> rest, map) when map == %{}, do: {map, rest}

  defp members("\"" <> rest, map) do
    {key, rest} = string(rest, [])

    with ":" <> rest <- space(rest),
         {value, rest} = rest |> space() |> value(),
         map = Map.put(map, key, value) do
      case space(rest) do
        "," <> rest -> rest |> space() |> members(map)
        "}" <> rest -> {map, rest}
        rest -> throw({:unexpected, rest})
      end
    else
      rest -> throw({:unexpected, rest})
    end
  end

  defp members(rest, _map), do: throw({:unexpected, rest})

  @escapes %{?" => ?", ?\\ => ?\\, ?/ => ?/, ?b => ?\b, ?f => ?\f, ?n => ?\n, ?r => ?\r, ?t => ?\t}

  defp string("\"" <> rest, said), do: {said |> Enum.reverse() |> List.to_string(), rest}

  defp string(<<?\\, ?u, high::binary-4, ?\\, ?u, low::binary-4, rest::binary>> = json, said) do
    case {unit(high, json), unit(low, json)} do
      {high, low} when high in 0xD800..0xDBFF and low in 0xDC00..0xDFFF ->
        string(rest, [0x10000 + (high - 0xD800) * 0x400 + (low - 0xDC00) | said])

      {single, _} ->
        <<_::binary-6, rest::binary>> = json
        string(rest, [scalar(single, json) | said])
    end
  end

  defp string(<<?\\, ?u, single::binary-4, rest::binary>> = json, said),
    do: string(rest, [single |> unit(json) |> scalar(json) | said])

  defp string(<<?\\, escape, rest::binary>>, said) when is_map_key(@escapes, escape),
    do: string(rest, [@escapes[escape] | said])

  defp string(<<character::utf8, rest::binary>>, said) when character >= 0x20 and character != ?\\,
    do: string(rest, [character | said])

  defp string(rest, _said), do: throw({:unexpected, rest})

  defp unit(digits, json) do
    case Integer.parse(digits, 16) do
      {unit, ""} when unit >= 0 -> unit
      _ -> throw({:unexpected, json})
    end
  end

  defp scalar(single, json) when single in 0xD800..0xDFFF, do: throw({:unexpected, json})
  defp scalar(single, _json), do: single

  @number ~r/\A-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/

  defp number(json) do
    case Regex.run(@number, json) do
      nil ->
        throw({:unexpected, json})

      [digits] ->
        {String.to_integer(digits), after_number(json, digits)}

      # Elixir wants digits on both sides of the point.
      [digits, "", exponent] ->
        {float(String.replace(digits, exponent, ".0" <> exponent), json), after_number(json, digits)}

      [digits | _] ->
        {float(digits, json), after_number(json, digits)}
    end
  end

  defp float(digits, json) do
    String.to_float(digits)
  rescue
    ArgumentError -> throw({:unexpected, json})
  end

  defp after_number(json, digits),
    do: binary_part(json, byte_size(digits), byte_size(json) - byte_size(digits))

  defp space(<<space, rest::binary>>) when space in [?\s, ?\n, ?\r, ?\t], do: space(rest)
  defp space(rest), do: rest
end
