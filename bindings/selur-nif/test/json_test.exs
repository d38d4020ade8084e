defmodule Selur.JSONTest do
  use ExUnit.Case, async: true
  alias Selur.JSON

  test "what is written is read as it was" do
    for value <- [
          nil,
          true,
          0,
          -1,
          1.5e-7,
          2.0e40,
          "",
          "a\"\\\n\r\t\u0001é😀",
          [],
          [[1], %{}],
          %{"a" => %{"b" => []}}
        ] do
      assert value |> JSON.encode() |> JSON.decode() == {:ok, value}
    end
  end

  test "numbers are read as JSON writes them" do
    for {json, value} <- [{"1e3", 1.0e3}, {"-0", 0}, {"1.25E-2", 0.0125}, {" 12 ", 12}] do
      assert JSON.decode(json) == {:ok, value}
    end
  end

  test "what is no JSON is refused, and says where" do
    for {json, at} <- [
          {"", 0},
          {"nul", 0},
          {"[1 2]", 3},
          {"{\"a\" 1}", 5},
          {"{,}", 1},
          {"\"\\x\"", 1},
          {"\"\\ud800\"", 1},
          {"\"\n\"", 1},
          {<<?", 0xFF, ?">>, 1},
          {"01", 1},
          {"1.", 1},
          {"[] x", 3},
          {"1e999", 0}
        ] do
      assert JSON.decode(json) == {:error, {:unexpected, at}},
             "#{inspect(json)}: #{inspect(JSON.decode(json))}"
    end
  end

  test "what JSON has no word for is refused" do
    for value <- [self(), {1, 2}, <<0xFF>>, %Selur.Error{}],
        do: assert_raise(ArgumentError, fn -> JSON.encode(value) end)
  end
end
