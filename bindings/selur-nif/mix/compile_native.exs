defmodule Mix.Tasks.Compile.SelurNative do
  @moduledoc """
  Places `priv/native/libselur_nif.so` and `selur-shim`, the program that holds a real container: built by cargo from the
  sources that this project lies in, or taken from elsewhere.

  What it does is chosen by environment variables:

    * `SELUR_NIF_PATH`: a library that was built before, `libselur_nif.so`. No cargo is run. `selur-shim` is taken from
      beside it, where it is.
    * `SELUR_NIF_PROFILE`: `release`, which it is unless given, is optimised as it is to be used; `debug` is as this
      project's tests build it.
    * `SELUR_NIF_OFFLINE`: if it is `1`, cargo uses what it has downloaded before, and no network.
    * `CARGO_TARGET_DIR`: where cargo builds, as ever.

  A machine without cargo is fine as long as the library is there already, or is named by `SELUR_NIF_PATH`.
  """
  @shortdoc "Builds and places selur's native library"
  use Mix.Task.Compiler

  @project Path.expand("..", __DIR__)
  @source Path.expand("../..", @project)
  @place Path.join(@project, "priv/native")
  @library "libselur_nif.so"
  @shim "selur-shim"

  @impl true
  def run(_arguments) do
    case files() do
      {:ok, files} ->
        placed = Enum.map(files, &place/1)
        # The first time priv/ was not there yet when the build's folder was made.
        Mix.Project.build_structure()
        {if(:placed in placed, do: :ok, else: :noop), []}

      :there ->
        {:noop, []}

      {:error, message} ->
        Mix.shell().error(message)
        {:error, [diagnostic(message)]}
    end
  end

  @impl true
  def manifests, do: []

  @impl true
  def clean, do: File.rm_rf!(@place)

  defp files do
    path = System.get_env("SELUR_NIF_PATH", "")

    cond do
      path != "" -> prebuilt(path)
      not File.regular?(Path.join(@source, "Cargo.toml")) -> there("its Rust sources are not beside it")
      System.find_executable("cargo") == nil -> there("there is no cargo, which builds it from its sources")
      true -> build()
    end
  end

  defp prebuilt(path) do
    library = Path.expand(path)
    shim = Path.join(Path.dirname(library), @shim)

    if File.regular?(library) do
      {:ok, [{library, @library} | for(file <- [shim], File.regular?(file), do: {file, @shim})]}
    else
      {:error, "SELUR_NIF_PATH names #{library}, and there is no such file: name a #{@library}, or unset it"}
    end
  end

  defp there(why) do
    if File.regular?(Path.join(@place, @library)) do
      :there
    else
      {:error,
       "selur's native library is missing, and #{why}: install Rust 1.95 or newer (https://rustup.rs), " <>
         "or name a #{@library} that was built elsewhere by SELUR_NIF_PATH"}
    end
  end

  # The whole workspace's libraries, as everything else is built: with other features, wasmtime would be built anew.
  defp build do
    with {:ok, profile} <- profile() do
      offline = if System.get_env("SELUR_NIF_OFFLINE") == "1", do: ["--offline"], else: []
      arguments = ["build", "--quiet", "--locked", "--workspace"] ++ arguments(profile) ++ offline
      options = [cd: @source, into: IO.stream(:stdio, :line), stderr_to_stdout: true]

      case System.cmd("cargo", arguments, options) do
        {_, 0} ->
          built = Path.join([@source |> target(), to_string(profile)])
          {:ok, for(file <- [@library, @shim], do: {Path.join(built, file), file})}

        {_, code} ->
          {:error, "cargo #{Enum.join(arguments, " ")} ended with #{code}: see what it says above"}
      end
    end
  end

  defp profile do
    case System.get_env("SELUR_NIF_PROFILE", "release") do
      "release" -> {:ok, :release}
      "debug" -> {:ok, :debug}
      other -> {:error, "SELUR_NIF_PROFILE is #{other}: it can be release or debug"}
    end
  end

  defp arguments(:release), do: ["--release", "--lib", "--bin", @shim]
  defp arguments(:debug), do: []

  # A relative one counts from where cargo runs.
  defp target(source) do
    case System.get_env("CARGO_TARGET_DIR", "") do
      "" -> Path.join(source, "target")
      folder -> Path.expand(folder, source)
    end
  end

  # By a temporary file and a rename: a running VM may have the file before mapped, and another may be placing it.
  defp place({from, name}) do
    to = Path.join(@place, name)

    if same?(from, to) do
      :noop
    else
      File.mkdir_p!(@place)
      new = "#{to}.#{System.pid()}.#{System.unique_integer([:positive])}"

      try do
        File.cp!(from, new)
        # Of its source, so that the next time it is seen to be the same.
        File.touch!(new, File.stat!(from, time: :posix).mtime)
        File.rename!(new, to)
      after
        File.rm(new)
      end

      :placed
    end
  end

  defp same?(from, to) do
    with {:ok, %{size: size, mtime: mtime}} <- File.stat(from),
         {:ok, %{size: ^size, mtime: ^mtime}} <- File.stat(to) do
      true
    else
      _ -> false
    end
  end

  defp diagnostic(message) do
    %Mix.Task.Compiler.Diagnostic{
      file: __ENV__.file,
      severity: :error,
      message: message,
      position: 0,
      compiler_name: "selur_native"
    }
  end
end
