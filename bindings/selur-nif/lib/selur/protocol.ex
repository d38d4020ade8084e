defmodule Selur.Protocol do
  @moduledoc """
  The codes on the wire, and frames: for `Selur.Bridge.call/2`. docs/API.md is the protocol's description.

      iex> frame = Selur.Protocol.encode(:ping, ["hi"])
      iex> frame
      <<0, 2, 0, 0, 0, "hi">>
      iex> {:ok, bridge} = Selur.Bridge.new(runtime: :simulated)
      iex> {:ok, response} = Selur.Bridge.call(bridge, frame)
      iex> Selur.Protocol.decode(response)
      {:ok, "hi"}
  """

  @commands ping: 0x00,
            create_container: 0x01,
            start_container: 0x02,
            stop_container: 0x03,
            inspect_container: 0x04,
            delete_container: 0x05,
            list_containers: 0x06,
            kill_container: 0x07,
            pause_container: 0x08,
            resume_container: 0x09,
            wait_container: 0x0A,
            exec: 0x0B,
            logs: 0x0C,
            attach: 0x0D,
            stats: 0x0E,
            top: 0x0F,
            events: 0x10,
            pull_image: 0x11,
            list_images: 0x12,
            delete_image: 0x13,
            load_image: 0x14,
            push_image: 0x15,
            tag_image: 0x16,
            prune_images: 0x17,
            create_volume: 0x18,
            inspect_volume: 0x19,
            list_volumes: 0x1A,
            delete_volume: 0x1B

  @statuses success: 0x00,
            invalid_request: 0x01,
            container_not_found: 0x02,
            container_already_exists: 0x03,
            network_error: 0x04,
            internal_error: 0x05,
            invalid_state: 0x06,
            permission_denied: 0x07,
            resource_exhausted: 0x08,
            timeout: 0x09,
            cancelled: 0x0A,
            unsupported: 0x0B,
            image_not_found: 0x0C,
            volume_not_found: 0x0D

  @doc """
  The codes of all commands, in their order.

      iex> Selur.Protocol.commands()[:create_container]
      1
  """
  @spec commands() :: keyword(0..255)
  def commands, do: @commands

  @doc """
  The codes of all statuses, in their order.

      iex> Selur.Protocol.statuses()[:container_not_found]
      2
  """
  @spec statuses() :: keyword(0..255)
  def statuses, do: @statuses

  @doc """
  The code of a command.

      iex> Selur.Protocol.code(:list_containers)
      6
  """
  @spec code(atom) :: 0..255
  for {name, code} <- @commands do
    def code(unquote(name)), do: unquote(code)
  end

  @doc """
  The status that a code means; `:unknown_error` for one that has no meaning yet.

      iex> {Selur.Protocol.status(0), Selur.Protocol.status(4), Selur.Protocol.status(0xEE)}
      {:success, :network_error, :unknown_error}
  """
  @spec status(0..255) :: :success | Selur.Error.status()
  for {name, code} <- @statuses do
    def status(unquote(code)), do: unquote(name)
  end

  def status(code) when code in 0..255, do: :unknown_error

  @doc """
  The frame of a request: its command and its fields, which one NUL byte separates.

      iex> Selur.Protocol.encode(:create_container, ["nginx", "web"])
      <<1, 9, 0, 0, 0, "nginx", 0, "web">>
  """
  @spec encode(atom, [iodata]) :: binary
  def encode(command, fields \\ []) do
    payload = fields |> Enum.intersperse(0) |> IO.iodata_to_binary()
    <<code(command), byte_size(payload)::little-32, payload::binary>>
  end

  @doc """
  What a response frame says.

      iex> Selur.Protocol.decode(<<0, "hi">>)
      {:ok, "hi"}
      iex> {:error, error} = Selur.Protocol.decode(<<9, "the deadline passed">>)
      iex> {error.status, error.message}
      {:timeout, "the deadline passed"}
  """
  @spec decode(binary) :: {:ok, binary} | {:error, Selur.Error.t()}
  def decode(<<0, data::binary>>), do: {:ok, data}

  def decode(<<code, message::binary>>),
    do: {:error, %Selur.Error{status: status(code), message: message}}
end
