import Config

# The guest that Vordr.ContainerManager loads: the absolute path of a selur.wasm, or nil for the one in the library.
config :vordr, :selur_wasm_path, nil

# Further options of Vordr.ContainerManager.start_link/1, such as `runtime: :docker` or `state_root: "/srv/vordr"`.
config :vordr, :selur, []

# Tests drive containers that exist in memory alone; those of real ones make managers of their own.
if config_env() == :test, do: config(:vordr, :selur, runtime: :simulated)
