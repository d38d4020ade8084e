defmodule Selur.Error do
  @moduledoc """
  What went wrong: a `status` for programs, a `message` for people, which says what to do.

  Functions whose names end in `!` raise it; others give it with the option `errors: :detailed`, as
  `{:error, %Selur.Error{}}`.

      iex> {:error, error} = Selur.Bridge.new("/nowhere/selur.wasm", errors: :detailed)
      iex> error.status
      :internal_error
      iex> Exception.message(error) =~ "/nowhere/selur.wasm"
      true
  """

  defexception [:status, :message]

  @typedoc "The names of failures; docs/API.md says when each comes and what to do."
  @type status ::
          :invalid_request
          | :container_not_found
          | :container_already_exists
          | :network_error
          | :internal_error
          | :invalid_state
          | :permission_denied
          | :resource_exhausted
          | :timeout
          | :cancelled
          | :unsupported
          | :image_not_found
          | :volume_not_found
          | :unknown_error

  @type t :: %__MODULE__{status: status, message: String.t()}

  @impl true
  def exception(status) when is_atom(status), do: %__MODULE__{status: status, message: to_string(status)}
  def exception(fields), do: struct!(__MODULE__, fields)

  @impl true
  def message(%__MODULE__{status: status, message: message}), do: "#{status}: #{message}"
end
