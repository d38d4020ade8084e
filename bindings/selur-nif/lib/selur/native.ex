defmodule Selur.Native do
  @moduledoc false
  # The functions of libselur_nif.so. None blocks: what is not answered at once is `:pending`, and its result comes as
  # `{:selur, tag, result}`; that of a create as `{:selur, tag, {:unheard, receipt, result}}` if it has a tag. A bridge, a request and a stream are references that the garbage collector frees.

  @on_load :load

  @type errors :: nil | :plain | :detailed
  @type shape :: :nothing | :text | :lines | :exit_code | :stream | :frame
  @type settings :: {shape, :default | :infinity | non_neg_integer, errors}
  @type result :: :pending | :ok | {:ok, term} | {:error, atom | Exception.t()}

  @doc false
  def load do
    path = :selur |> :code.priv_dir() |> Path.join("native/libselur_nif")
    :erlang.load_nif(String.to_charlist(path), 0)
  end

  @spec bridge_new(reference, map) :: result
  def bridge_new(_tag, _options), do: missing()

  @spec bridge_free(reference, reference) :: :ok | :pending
  def bridge_free(_bridge, _tag), do: missing()

  @spec bridge_info(reference, errors) :: result
  def bridge_info(_bridge, _errors), do: missing()

  @spec ping(reference, binary) :: result
  def ping(_bridge, _text), do: missing()

  @spec submit(reference, reference | nil, 0..255, [binary], settings) :: result | reference
  def submit(_bridge, _tag, _command, _fields, _settings), do: missing()

  @spec call(reference, reference | nil, binary, settings) :: result | reference
  def call(_bridge, _tag, _frame, _settings), do: missing()

  # With the bridge that it is said to be of, or nil.
  @spec cancel(reference | nil, reference) :: :ok
  def cancel(_bridge, _request), do: missing()

  # For who would wait for its result. Once it is `:answered`, the result is in the mailbox, unless it was taken.
  @spec request_state(reference) :: :open | :answered | :elsewhere
  def request_state(_request), do: missing()

  # Of a result that comes as `{:unheard, receipt, result}`: what it tells of stays.
  @spec hear(reference) :: :ok
  def hear(_receipt), do: missing()

  @spec stream_take(reference, reference, non_neg_integer, errors) :: result
  def stream_take(_bridge, _tag, _id, _errors), do: missing()

  @spec stream_demand(reference, non_neg_integer, errors) :: :ok | {:error, term}
  def stream_demand(_stream, _count, _errors), do: missing()

  @spec stream_close(reference) :: :ok
  def stream_close(_stream), do: missing()

  @spec stream_write(reference, reference, binary) :: result
  def stream_write(_stream, _tag, _bytes), do: missing()

  @spec stream_end_input(reference, reference) :: result
  def stream_end_input(_stream, _tag), do: missing()

  @spec stream_resize(reference, reference, 0..65_535, 0..65_535) :: result
  def stream_resize(_stream, _tag, _columns, _rows), do: missing()

  # Of a library that was built for tests.
  @spec panic(reference, reference) :: result
  def panic(_bridge, _tag), do: missing()

  # `any`, as far as dialyzer can see.
  defp missing, do: :erlang.nif_error(:nif_not_loaded)
end
