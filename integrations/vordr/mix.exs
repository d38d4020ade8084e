defmodule Vordr.MixProject do
  use Mix.Project

  @nif Path.expand("../../bindings/selur-nif", __DIR__)
  # What the compiler of :selur places, and makes anew where it is missing.
  @native Path.join(@nif, "priv/native")

  def project do
    [
      app: :vordr,
      version: "0.1.0",
      elixir: "~> 1.14",
      start_permanent: Mix.env() == :prod,
      elixirc_paths: elixirc_paths(Mix.env()),
      # Nothing from Hex: even a dependency for development would break machines without it.
      deps: [{:selur, path: "../../bindings/selur-nif"}],
      aliases: [clean: ["clean", &clean/1], compile: &compile/1, "deps.update": &update/1],
      # Nor what runs while it is compiled.
      test_coverage: [ignore_modules: [~r/^Selur\.Test\./, Vordr.Selur.Delegation]],
      description: "Vörðr: containers under a supervisor, by selur",
      docs: [main: "Vordr.ContainerManager"]
    ]
  end

  def application, do: [extra_applications: [:logger, :crypto], mod: {Vordr.Application, []}]

  # What tests of containers need is the same in both projects.
  defp elixirc_paths(:test), do: ["lib", Path.join(@nif, "test/support")]
  defp elixirc_paths(_), do: ["lib"]

  # `mix clean` alone would leave the native library, which a dependency placed.
  defp clean(_arguments), do: File.rm_rf!(@native)

  # `mix compile --force` alone would compile this project anew and no dependency.
  defp compile(arguments) do
    if "--force" in arguments and can_build?(), do: File.rm_rf!(@native)
    Mix.Task.run("compile", arguments)
  end

  defp can_build?, do: System.get_env("SELUR_NIF_PATH", "") != "" or System.find_executable("cargo") != nil

  # Rustler is a dependency of the NIF's crate: cargo updates it, in the workspace's Cargo.lock.
  defp update(arguments) do
    case Enum.split_with(arguments, &(&1 == "rustler")) do
      {[], _} ->
        Mix.Task.run("deps.update", arguments)

      {_, others} ->
        if others != [], do: Mix.Task.run("deps.update", others)
        update_rustler()
        Mix.Task.run("compile", ["--force"])
    end
  end

  defp update_rustler do
    offline = if System.get_env("SELUR_NIF_OFFLINE") == "1", do: ["--offline"], else: []
    options = [cd: @nif, into: IO.stream(:stdio, :line), stderr_to_stdout: true]

    case System.cmd("cargo", ["update", "--package", "rustler"] ++ offline, options) do
      {_, 0} -> :ok
      {_, code} -> Mix.raise("cargo update --package rustler ended with #{code}: see what it says above")
    end
  end
end
