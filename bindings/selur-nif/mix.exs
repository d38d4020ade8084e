Code.require_file("mix/compile_native.exs", __DIR__)

defmodule Selur.MixProject do
  use Mix.Project

  def project do
    [
      app: :selur,
      version: "0.1.0",
      elixir: "~> 1.14",
      start_permanent: Mix.env() == :prod,
      elixirc_paths: if(Mix.env() == :test, do: ["lib", "test/support"], else: ["lib"]),
      compilers: [:selur_native] ++ Mix.compilers(),
      deps: deps(),
      description: "Real containers from Elixir: no daemon, no socket, no JSON on the hot path",
      package: [licenses: ["MPL-2.0"], links: %{"GitHub" => "https://github.com/hyperpolymath/selur"}],
      source_url: "https://github.com/hyperpolymath/selur",
      test_coverage: [ignore_modules: [~r/^Selur\.Test\./]],
      docs: [main: "Selur.Bridge"]
    ]
  end

  def application, do: [extra_applications: [:logger]]

  # Any dependency from Hex, even one for development, would break machines without Hex.
  defp deps do
    if System.get_env("SELUR_DOCS"), do: [{:ex_doc, "~> 0.34", only: :dev, runtime: false}], else: []
  end
end
