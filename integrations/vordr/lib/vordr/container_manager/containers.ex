defmodule Vordr.ContainerManager.Containers do
  @moduledoc """
  What a manager knows of containers.
  """

  @typedoc "What a manager knows of a container. Everything else is in `Vordr.ContainerManager.inspect/2`."
  @type container :: %{
          name: String.t() | nil,
          image: String.t(),
          state: :created | :running | :paused | :restarting | :stopped | :unknown,
          exit_code: 0..255 | nil
        }

  @type t :: %{String.t() => container}

  @states Map.new([:created, :running, :paused, :restarting, :stopped], &{Atom.to_string(&1), &1})

  @doc """
  The id of the container that an inspection tells of, and what is kept of it.

      iex> json = ~S({"id":"0f","name":"web","image":"nginx","state":"running","exit_code":null,"pid":7})
      iex> Vordr.ContainerManager.Containers.read(json)
      {"0f", %{name: "web", image: "nginx", state: :running, exit_code: nil}}
  """
  @spec read(String.t()) :: {String.t(), container}
  def read(json) do
    %{"id" => id, "name" => name, "image" => image, "state" => state, "exit_code" => exit_code} =
      Selur.JSON.decode!(json)

    {id, %{name: name, image: image, state: Map.get(@states, state, :unknown), exit_code: exit_code}}
  end

  @doc """
  The id of the container that is meant by an id, a name or the beginning of an id, in that order; what was given where none of
  them is known.

      iex> known = %{"abcd1" => %{name: "web"}, "abcd2" => %{name: nil}}
      iex> for meant <- ["abcd2", "web", "abcd1", "abcd", "other"], do: Vordr.ContainerManager.Containers.resolve(known, meant)
      ["abcd2", "abcd1", "abcd1", "abcd", "other"]
  """
  @spec resolve(t, String.t()) :: String.t()
  def resolve(known, meant) when is_map_key(known, meant), do: meant

  def resolve(known, meant) do
    with nil <- Enum.find_value(known, fn {id, container} -> container.name == meant && id end),
         beginnings = for({id, _} <- known, String.starts_with?(id, meant), do: id),
         [id] <- beginnings do
      id
    else
      id when is_binary(id) -> id
      _ -> meant
    end
  end
end
