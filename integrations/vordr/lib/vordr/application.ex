defmodule Vordr.Application do
  @moduledoc """
  Vörðr as an application: one `Vordr.ContainerManager` under a supervisor.

      config :vordr, :selur_wasm_path, nil          # the guest that is in the library, or the path of another
      config :vordr, :selur, runtime: :docker       # further options of Vordr.ContainerManager.start_link/1

  With neither, it drives real containers by runc. It does not start where there can be none, and says why.
  """

  use Application

  @impl true
  def start(_type, _args) do
    wasm_path = Application.get_env(:vordr, :selur_wasm_path)
    options = Application.get_env(:vordr, :selur, [])

    children = [
      {Vordr.ContainerManager, [wasm_path: wasm_path] ++ options}
    ]

    Supervisor.start_link(children, strategy: :one_for_one, name: Vordr.Supervisor)
  end
end
