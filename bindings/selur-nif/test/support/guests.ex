defmodule Selur.Test.Guests do
  @moduledoc false
  # Guests that misbehave, as WebAssembly modules: those of crates/selur-core/tests/guests, as far as they are needed here.
  # Every request is answered by what stands in `selur_exchange`.

  @doc "Loops until its budget is used up."
  # (loop $again (br $again)) (unreachable)
  def loops, do: guest(<<0x03, 0x40, 0x0C, 0x00, 0x0B, 0x00>>)

  @doc "Traps."
  # (unreachable)
  def traps, do: guest(<<0x00>>)

  @doc "Calls itself without an end."
  # (i64.add (call $selur_exchange …) (i64.const 1))
  def recurs do
    arguments = <<0x20, 0, 0x20, 1, 0x20, 2, 0x20, 3>>
    guest(<<arguments::binary, 0x10, exchange(), 0x42, 1, 0x7C>>)
  end

  @doc "Answers every request by a ticket, and never again."
  def never_answers, do: guest(constant(0x6000000000000007))

  @doc "The guest that selur was built with, but for one function: a ping makes it loop until its budget is used up."
  def loops_at_ping do
    <<"\0asm", 1::little-32, sections::binary>> =
      Selur.Test.Support.root() |> Path.join("guest/selur.wasm") |> File.read!()

    sections = sections_of(sections)
    {_, exports} = List.keyfind!(sections, 7, 0)
    # It imports nothing: functions are counted from 0.
    [_, <<0x00, index, _::binary>>] = :binary.split(exports, <<10, "selur_ping">>)
    true = index < 128

    [
      "\0asm",
      <<1::little-32>>
      | for {id, content} <- sections do
          section(id, if(id == 10, do: content |> bodies_of() |> loop_in(index) |> list(), else: content))
        end
    ]
    |> IO.iodata_to_binary()
  end

  defp loop_in(bodies, index),
    do: List.replace_at(bodies, index, bytes(<<0x00, 0x03, 0x40, 0x0C, 0x00, 0x0B, 0x00, 0x0B>>))

  defp sections_of(""), do: []

  defp sections_of(<<id, rest::binary>>) do
    {content, rest} = counted(rest)
    [{id, content} | sections_of(rest)]
  end

  defp bodies_of(content) do
    {count, rest} = number(content)
    {bodies, ""} = Enum.map_reduce(1..count, rest, fn _, rest -> counted(rest) end)
    Enum.map(bodies, &bytes/1)
  end

  defp counted(bytes) do
    {count, rest} = number(bytes)
    <<content::binary-size(count), rest::binary>> = rest
    {content, rest}
  end

  defp number(<<0::1, value::7, rest::binary>>), do: {value, rest}

  defp number(<<1::1, low::7, rest::binary>>) do
    {high, rest} = number(rest)
    {Bitwise.bsl(high, 7) + low, rest}
  end

  @doc "Loops while it is loaded."
  def loops_at_start do
    body = <<0x03, 0x40, 0x0C, 0x00, 0x0B>>
    start = {"start", [], [], body}
    assemble(functions(<<0x00>>) ++ [start], length(functions("")))
  end

  defp guest(exchange), do: assemble(functions(exchange), nil)

  @i32 0x7F
  @i64 0x7E

  defp functions(exchange) do
    zero = <<0x41, 0>>

    [
      {"selur_abi_version", [], [@i32], <<0x41, 1>>},
      # The mailbox lies at 65536, the arena from 131072 to the end of the memory.
      {"selur_mailbox", [], [@i32], <<0x41, signed(65_536)::binary>>},
      {"selur_arena", [], [@i64], constant(0x20000000E0000)},
      # It says that nothing is a ping that it can answer.
      {"selur_ping", [@i64, @i32], [@i32], zero},
      {"selur_reserve", [@i32], [@i64], constant(0x1000)},
      {"selur_submit", [@i64, @i32, @i64, @i64], [@i64], <<0x42, 0>>},
      {"selur_exchange", [@i64, @i32, @i64, @i64], [@i64], exchange},
      {"selur_cancel", [@i64, @i32], [@i32], zero},
      {"selur_complete", [@i64, @i32, @i32, @i64, @i32, @i32, @i32], [@i32], zero},
      {"selur_observe", [@i32], [@i32], zero},
      {"selur_poll", [], [@i32], zero},
      {"selur_release", [@i64], [@i32], zero},
      {"selur_digest", [], [@i64], <<0x42, 0>>}
    ]
  end

  defp exchange, do: Enum.find_index(functions(""), fn {name, _, _, _} -> name == "selur_exchange" end)

  # Each function has a type of its own.
  defp assemble(functions, start) do
    types = for {_, takes, gives, _} <- functions, do: [0x60, list(takes), list(gives)]
    indices = for {_, index} <- Enum.with_index(functions), do: [index]
    exports = for {{name, _, _, _}, index} <- Enum.with_index(functions), do: [bytes(name), 0x00, index]
    bodies = for {_, _, _, body} <- functions, do: bytes([0x00, body, 0x0B])

    IO.iodata_to_binary([
      "\0asm",
      <<1, 0, 0, 0>>,
      section(1, list(types)),
      section(3, list(indices)),
      section(5, list([[0x01, 16, 16]])),
      section(7, list([[bytes("memory"), 0x02, 0] | exports])),
      if(start, do: section(8, [start]), else: []),
      section(10, list(bodies))
    ])
  end

  defp constant(value), do: <<0x42, signed(value)::binary>>
  defp section(id, content), do: [id, bytes(content)]
  defp list(items), do: [unsigned(length(items)), items]
  defp bytes(content), do: [content |> IO.iodata_length() |> unsigned(), content]

  defp unsigned(value) when value < 128, do: <<value>>
  defp unsigned(value), do: <<1::1, value::7, unsigned(Bitwise.bsr(value, 7))::binary>>

  # LEB128 of a number that is not negative: bit 6 of the last byte is the sign.
  defp signed(value) when value < 64, do: <<value>>
  defp signed(value), do: <<1::1, value::7, signed(Bitwise.bsr(value, 7))::binary>>
end
