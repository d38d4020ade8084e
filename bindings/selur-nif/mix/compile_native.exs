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

  A machine without cargo is fine as long as the library is there already, or is named by `SELUR_NIF_PATH`. `mix clean`
  leaves one there that nothing could place again.

  There is one place for every profile and environment: what is in it is what was compiled last.
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
        placed = [leave(files) | Enum.map(files, &place/1)]
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
  def clean do
    case origin() do
      {none, why} when none in [:misnamed, :nowhere] ->
        if File.exists?(@place),
          do:
            Mix.shell().info("selur's native library stays in #{@place}, for it cannot be made again: #{why}")

      _ ->
        File.rm_rf!(@place)
    end
  end

  defp files do
    case origin() do
      {:prebuilt, library} -> {:ok, prebuilt(library)}
      {:misnamed, why} -> {:error, why <> ": name a #{@library}, or unset it"}
      {:nowhere, why} -> there(why)
      :cargo -> build()
    end
  end

  # Where the library comes from.
  defp origin do
    library = System.get_env("SELUR_NIF_PATH", "")

    cond do
      library != "" and File.regular?(library) ->
        {:prebuilt, Path.expand(library)}

      library != "" ->
        {:misnamed, "SELUR_NIF_PATH names #{Path.expand(library)}, and there is no such file"}

      not File.regular?(Path.join(@source, "Cargo.toml")) ->
        {:nowhere, "its Rust sources are not beside it"}

      System.find_executable("cargo") == nil ->
        {:nowhere, "there is no cargo, which builds it from its sources"}

      true ->
        :cargo
    end
  end

  defp prebuilt(library) do
    shim = Path.join(Path.dirname(library), @shim)
    [{library, @library} | for(file <- [shim], File.regular?(file), do: {file, @shim})]
  end

  # A shim of another library would not fit.
  defp leave(files) do
    shim = Path.join(@place, @shim)

    if List.keymember?(files, @shim, 1) or not File.exists?(shim) do
      :noop
    else
      File.rm!(shim)
      :placed
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
        File.rename!(new, to)
      after
        File.rm(new)
      end

      :placed
    end
  end

  # By their bytes: what cargo builds anew may have the size and the second of what it built before.
  defp same?(from, to) do
    with {:ok, %{size: size}} <- File.stat(from), {:ok, %{size: ^size}} <- File.stat(to) do
      read = [:raw, :binary, :read]
      File.open!(from, read, fn one -> File.open!(to, read, &equal?(one, &1)) end)
    else
      _ -> false
    end
  end

  @piece_bytes 1_048_576

  defp equal?(one, other) do
    case {:file.read(one, @piece_bytes), :file.read(other, @piece_bytes)} do
      {:eof, :eof} -> true
      {{:ok, piece}, {:ok, piece}} -> equal?(one, other)
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
