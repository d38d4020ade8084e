defmodule Vordr.ContainerManager.Looks do
  @moduledoc false
  # Which containers are being inspected, and who is answered after that. Of one container there is one inspection at a time; a
  # further one that is wanted meanwhile is made after it, for the first may have begun before what is to be seen.

  @opaque t :: %{String.t() => %{is_stale: boolean, replies: [reply]}}
  @type reply :: {GenServer.from(), term}

  @spec new() :: t
  def new, do: %{}

  @doc "Wants a container to be inspected from now on, and perhaps somebody to be answered then."
  @spec want(t, String.t(), reply | nil) :: {:begin | :under_way, t}
  def want(looks, key, reply) do
    replies = List.wrap(reply)

    case looks do
      %{^key => look} ->
        {:under_way, %{looks | key => %{is_stale: true, replies: replies ++ look.replies}}}

      _ ->
        {:begin, Map.put(looks, key, %{is_stale: false, replies: replies})}
    end
  end

  @doc "An inspection was answered: it counts, and those are answered; or another must be made."
  @spec seen(t, String.t()) :: {:done, [reply], t} | {:again, t}
  def seen(looks, key) do
    case looks do
      %{^key => %{is_stale: true} = look} -> {:again, %{looks | key => %{look | is_stale: false}}}
      %{^key => look} -> {:done, Enum.reverse(look.replies), Map.delete(looks, key)}
    end
  end

  @doc "Everybody who is to be answered."
  @spec replies(t) :: [reply]
  def replies(looks), do: Enum.flat_map(looks, fn {_, look} -> look.replies end)
end
