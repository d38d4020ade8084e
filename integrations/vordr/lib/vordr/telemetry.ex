defmodule Vordr.Telemetry do
  @moduledoc """
  What Vörðr tells the library `:telemetry`, where a program has it. Vörðr does not depend on it: without it nothing is told,
  and nothing is lost.

  | event | measurements | metadata |
  |---|---|---|
  | `[:vordr, :container, operation]`, one for each operation of `operations/0`, when it is answered | `duration`, in native time units | `manager`, `container` (what the caller named: an image for `:create`, nil for `:list`), `result` (`:ok` or the status) |
  | `[:vordr, :container, :event]`: something happened to a container, whoever did it | `time_ns`, since 1970 | `manager`, `id`, `name`, `kind` (such as `:started`), `exit_code` |
  | `[:vordr, :container, :recovered]`: the manager knows all containers | `duration`, `count` | `manager` |

  `manager` is the process that tells.

      iex> [:vordr, :container, :create] in Vordr.Telemetry.events()
      true
  """

  @operations [:create, :start, :stop, :list, :inspect, :delete, :kill, :pause, :resume, :wait, :top]

  @doc """
  The operations of `Vordr.ContainerManager` that are measured.

      iex> :stop in Vordr.Telemetry.operations()
      true
  """
  @spec operations() :: [atom]
  def operations, do: @operations

  @doc """
  The names of all events, for `:telemetry.attach_many/4`.

      iex> List.last(Vordr.Telemetry.events())
      [:vordr, :container, :recovered]
  """
  @spec events() :: [[atom]]
  def events, do: for(name <- @operations ++ [:event, :recovered], do: [:vordr, :container, name])

  @doc false
  @spec tell(atom, map, map) :: :ok
  def tell(name, measurements, metadata) do
    # Handlers are attached by calling that module, so that it is loaded where there is one.
    if function_exported?(:telemetry, :execute, 3) do
      apply(:telemetry, :execute, [
        [:vordr, :container, name],
        measurements,
        Map.put(metadata, :manager, self())
      ])
    end

    :ok
  end
end
