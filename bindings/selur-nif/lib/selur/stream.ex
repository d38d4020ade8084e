defmodule Selur.Stream do
  @moduledoc """
  What flows while it is read: the output of an exec, logs, statistics, events, progress. There are two ways to read one.

  **As a lazy enumerable.** Items come as they are wanted; the stream is closed where the enumeration ends, also when it is
  left early. Each stream is read once. A failure is raised as a `Selur.Error`.

      iex> {:ok, bridge} = Selur.Bridge.new(runtime: :simulated)
      iex> {:ok, id} = Selur.Bridge.create_container(bridge, "nginx")
      iex> :ok = Selur.Bridge.start_container(bridge, id)
      iex> {:ok, stream} = Selur.Bridge.exec(bridge, id, ["echo", "hello"])
      iex> Enum.to_list(stream)
      [{:stdout, "hello\\n"}, {:exit, 0}]

  **As messages, with demand.** Nothing comes that was not asked for, so no mailbox is flooded, and whoever writes is held
  back. `demand/2` asks for so many items more; each comes to the process that asked last. One that waits for items and is
  replaced, or whose stream another process closes, is told `{:error, :cancelled}`:

      {:selur, stream.ref, {:item, item}}
      {:selur, stream.ref, :done}              # there are no more
      {:selur, stream.ref, {:error, reason}}   # nor after this

      iex> {:ok, bridge} = Selur.Bridge.new(runtime: :simulated)
      iex> {:ok, id} = Selur.Bridge.create_container(bridge, "nginx")
      iex> :ok = Selur.Bridge.start_container(bridge, id)
      iex> {:ok, %Selur.Stream{ref: ref} = stream} = Selur.Bridge.exec(bridge, id, ["echo", "hello"])
      iex> :ok = Selur.Stream.demand(stream, 1)
      iex> receive do {:selur, ^ref, {:item, item}} -> item end
      {:stdout, "hello\\n"}

  ## Items

  | of | items |
  |---|---|
  | exec, attach | `{:stdout, bytes}`, `{:stderr, bytes}`, and last `{:exit, code}`, nil if nobody knows it |
  | logs | `{:stdout, bytes, time_ns}`, `{:stderr, bytes, time_ns}`: at most a line each |
  | stats, events, pull and push with progress | a JSON document each, as a binary |

  The stream is closed by `close/1`, when the process that reads it ends, when it is garbage, and with its bridge. Closing
  one kills the process of an exec and gives up a pull; a container that was attached to goes on.
  """

  alias Selur.{Native, Requests}

  @enforce_keys [:ref]
  defstruct [:ref]

  @type t :: %__MODULE__{ref: reference}

  @typedoc "What a stream consists of; see above."
  @type item ::
          {:stdout | :stderr, binary}
          | {:stdout | :stderr, binary, time_ns :: integer}
          | {:exit, 0..255 | nil}
          | String.t()

  @typep outcome :: :ok | {:error, Selur.Error.status() | Selur.Error.t()}

  # How much input is sent at once: what a stream takes in one piece.
  @piece_bytes 65_536

  @doc """
  Asks for so many items more. They come to this process, which owns the stream from now on. What another process asked
  for and did not get yet is forgotten.

      iex> {:ok, bridge} = Selur.Bridge.new(runtime: :simulated)
      iex> {:ok, stream} = Selur.Bridge.events(bridge)
      iex> Selur.Stream.demand(stream, 10)
      :ok
      iex> Selur.Stream.close(stream)
      iex> Selur.Stream.demand(stream, 1)
      {:error, :invalid_request}
  """
  @spec demand(t, non_neg_integer) :: outcome
  def demand(%__MODULE__{ref: ref}, count) when count in 0..0xFFFFFFFF,
    do: Native.stream_demand(ref, count, nil)

  @doc """
  Ends the stream. Once this has returned, no message of it comes any more. Closing again does nothing.
  """
  @spec close(t) :: :ok
  def close(%__MODULE__{ref: ref}), do: Native.stream_close(ref)

  @doc """
  Sends input to the process of an exec, or of a container that was attached to. Waits while the process does not read.

      iex> {:ok, bridge} = Selur.Bridge.new(runtime: :simulated)
      iex> {:ok, id} = Selur.Bridge.create_container(bridge, "nginx")
      iex> :ok = Selur.Bridge.start_container(bridge, id)
      iex> {:ok, stream} = Selur.Bridge.exec(bridge, id, %{command: ["cat"], stdin: true})
      iex> :ok = Selur.Stream.write(stream, ["a", ?b])
      iex> :ok = Selur.Stream.end_input(stream)
      iex> Enum.to_list(stream)
      [{:stdout, "ab"}, {:exit, 0}]
  """
  @spec write(t, iodata) :: outcome
  def write(%__MODULE__{ref: ref}, input), do: ref |> write_pieces(IO.iodata_to_binary(input))

  @doc """
  Ends the process's input. With a terminal there is no such end: write the byte 4 instead.
  """
  @spec end_input(t) :: outcome
  def end_input(%__MODULE__{ref: ref}), do: Requests.wait(&Native.stream_end_input(ref, &1))

  @doc """
  Tells the process's terminal its size. Nothing happens where it has none.
  """
  @spec resize(t, columns :: 0..65_535, rows :: 0..65_535) :: outcome
  def resize(%__MODULE__{ref: ref}, columns, rows) when columns in 0..65_535 and rows in 0..65_535,
    do: Requests.wait(&Native.stream_resize(ref, &1, columns, rows))

  defp write_pieces(ref, <<piece::binary-size(@piece_bytes), rest::binary>>) when rest != "" do
    with :ok <- write_piece(ref, piece), do: write_pieces(ref, rest)
  end

  defp write_pieces(ref, rest), do: write_piece(ref, rest)

  defp write_piece(ref, piece), do: Requests.wait(&Native.stream_write(ref, &1, piece))

  defimpl Enumerable do
    # How many items are under way while one is looked at.
    @ahead 16

    def reduce(%Selur.Stream{ref: ref} = stream, acc, fun) do
      start = fn ->
        with {:error, error} <- Native.stream_demand(ref, @ahead, :detailed), do: raise(error)
        {stream, nil}
      end

      Stream.resource(start, &next/1, &stop/1).(acc, fun)
    end

    def count(_stream), do: {:error, __MODULE__}
    def member?(_stream, _item), do: {:error, __MODULE__}
    def slice(_stream), do: {:error, __MODULE__}

    # While more can be asked for, something comes. Once that is refused, for the stream has ended, what came before is
    # in the mailbox, the word of its end too; without one it was ended by somebody else.
    defp next({%Selur.Stream{ref: ref} = stream, refused}) do
      receive do
        {:selur, ^ref, {:item, item}} -> {[item], {stream, refused || ask(ref)}}
        {:selur, ^ref, :done} -> {:halt, {stream, refused}}
        {:selur, ^ref, {:error, error}} -> raise error
      after
        if(refused, do: 0, else: :infinity) -> raise refused
      end
    end

    defp ask(ref) do
      case Native.stream_demand(ref, 1, :detailed) do
        :ok -> nil
        {:error, error} -> error
      end
    end

    # What was asked for and not looked at is in the mailbox.
    defp stop({%Selur.Stream{ref: ref}, _}) do
      Native.stream_close(ref)
      flush(ref)
    end

    defp flush(ref) do
      receive do
        {:selur, ^ref, _} -> flush(ref)
      after
        0 -> :ok
      end
    end
  end

  defimpl Inspect do
    def inspect(%Selur.Stream{ref: ref}, _options), do: "#Selur.Stream<#{Kernel.inspect(ref)}>"
  end
end
