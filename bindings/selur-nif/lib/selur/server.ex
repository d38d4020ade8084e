defmodule Selur.Server do
  @moduledoc """
  A process that owns a bridge, for supervision trees: it makes the bridge when it starts, and frees it when it ends.

      children = [{Selur.Server, name: MyApp.Selur, runtime: :oci}]

  Options are those of `Selur.Bridge.new/1`, and `:name`. Requests do not pass through this process: `bridge/1` gives the
  bridge, which any process can use.

      iex> {:ok, server} = Selur.Server.start_link(runtime: :simulated)
      iex> bridge = Selur.Server.bridge(server)
      iex> Selur.Bridge.ping(bridge, "hi")
      {:ok, "hi"}
      iex> GenServer.stop(server)
      iex> Selur.Bridge.ping(bridge, "hi")
      {:error, :invalid_request}
  """

  use GenServer

  @doc """
  Starts it, with the options of `Selur.Bridge.new/1` and a `:name`. What went wrong is a `Selur.Error`.
  """
  @spec start_link(keyword) :: GenServer.on_start()
  def start_link(options \\ []) do
    {server, options} = Keyword.split(options, [:name])
    GenServer.start_link(__MODULE__, options, server)
  end

  @doc """
  A child specification whose id is the name, so that a supervisor can have several.

      iex> Selur.Server.child_spec(name: My.Selur).id
      My.Selur
  """
  @spec child_spec(keyword) :: Supervisor.child_spec()
  def child_spec(options) do
    # A close waits up to 5 s for what is under way.
    %{
      id: Keyword.get(options, :name, __MODULE__),
      start: {__MODULE__, :start_link, [options]},
      shutdown: 10_000
    }
  end

  @doc """
  The bridge of a server.
  """
  @spec bridge(GenServer.server()) :: Selur.Bridge.t()
  def bridge(server), do: GenServer.call(server, :bridge)

  @impl true
  def init(options) do
    Process.flag(:trap_exit, true)

    {:ok, Selur.Bridge.new!(options)}
  rescue
    error in Selur.Error -> {:stop, error}
  end

  @impl true
  def handle_call(:bridge, _from, bridge), do: {:reply, bridge, bridge}

  @impl true
  # An answer or an item for a request of nobody's, and links that end.
  def handle_info(_message, bridge), do: {:noreply, bridge}

  @impl true
  def terminate(_reason, bridge), do: Selur.Bridge.free(bridge)
end
