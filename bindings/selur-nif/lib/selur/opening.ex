defmodule Selur.Opening do
  @moduledoc false
  # How a bridge is made from the options of `Selur.Bridge.new/1`.

  alias Selur.{Native, Requests}

  @runtimes [:auto, :simulated, :oci, :docker]
  @options [:guest, :runtime, :state_root, :shim, :docker_socket, :deadline, :errors]

  @doc "Makes a bridge; a failure comes with its message."
  @spec open(keyword) :: {:ok, Selur.Bridge.t()} | {:error, Selur.Error.t()}
  def open(options) do
    _ = Keyword.validate!(options, @options)

    made_of = %{
      guest: guest(options[:guest]),
      runtime: runtime(Keyword.get(options, :runtime, :auto)),
      state_root: path(options[:state_root]),
      shim: path(options[:shim]),
      socket: path(options[:docker_socket]),
      deadline: default_deadline(Keyword.get(options, :deadline, :infinity)),
      errors: Requests.errors(Keyword.get(options, :errors)) || :plain
    }

    Requests.wait(&Native.bridge_new(&1, made_of))
  end

  defp guest(nil), do: nil
  defp guest({:bytes, bytes}) when is_binary(bytes), do: {:bytes, bytes}
  defp guest(path), do: {:path, path(path)}

  defp runtime(runtime) when runtime in @runtimes, do: runtime

  defp runtime(other) do
    raise ArgumentError, "the runtime can be one of #{inspect(@runtimes)}, not #{inspect(other)}"
  end

  defp path(nil), do: nil
  defp path(path), do: IO.chardata_to_string(path)

  defp default_deadline(deadline) do
    case Requests.deadline(deadline) do
      milliseconds when is_integer(milliseconds) -> milliseconds
      _ -> nil
    end
  end
end
