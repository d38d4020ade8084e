defmodule Selur.PlacementTest do
  # The compiler task that places the native library, in a copy of the project without its sources.
  use ExUnit.Case, async: true

  import Selur.Test.Support

  @moduletag timeout: 300_000

  setup do
    project = Path.join(folder(), "deep/down/selur")
    File.mkdir_p!(project)
    here = Path.expand("..", __DIR__)

    for part <- ["mix.exs", "mix", "lib", ".formatter.exs"],
        do: File.cp_r!(Path.join(here, part), Path.join(project, part))

    %{project: project, library: Application.app_dir(:selur, "priv/native/libselur_nif.so")}
  end

  # Without cargo, Hex and a network, unless the environment says otherwise.
  defp mix(project, arguments, environment) do
    clean = [
      {"SELUR_NIF_PATH", nil},
      {"MIX_ENV", nil},
      {"MIX_BUILD_ROOT", nil},
      {"NO_COLOR", "1"},
      {"HEX_OFFLINE", "1"}
    ]

    arguments = ["300", System.find_executable("mix") | arguments]
    System.cmd("timeout", arguments, cd: project, stderr_to_stdout: true, env: clean ++ environment)
  end

  @run [
    "run",
    "-e",
    "{:ok, bridge} = Selur.Bridge.new(runtime: :simulated); IO.inspect(Selur.Bridge.ping(bridge, \"hi\"))"
  ]

  test "a library that was built before is placed, stays when nothing names it any more, and is cleaned",
       context do
    %{project: project, library: library} = context
    placed = Path.join(project, "priv/native/libselur_nif.so")
    assert {said, 0} = mix(project, @run, [{"SELUR_NIF_PATH", library}])
    assert said =~ ~s({:ok, "hi"})
    assert File.exists?(Path.join(project, "priv/native/selur-shim"))
    assert Path.wildcard(Path.join(project, "priv/native/*")) |> length() == 2
    # Its sources are not beside it, and it does not need them.
    assert {said, 0} = mix(project, @run, [])
    assert said =~ ~s({:ok, "hi"})
    # Nothing here could make it again.
    for named <- [nil, "/nowhere/libselur_nif.so"] do
      assert {said, 0} = mix(project, ["clean"], [{"SELUR_NIF_PATH", named}])
      assert said =~ placed |> Path.dirname()
      assert File.exists?(placed)
    end

    assert {_, 0} = mix(project, ["clean"], [{"SELUR_NIF_PATH", library}])
    refute File.exists?(placed)
    assert {said, 1} = mix(project, ["compile"], [])
    assert said =~ "SELUR_NIF_PATH"
  end

  test "what is placed is what was named last, whatever size and time it has", %{project: project} do
    named = folder()
    library = Path.join(named, "libselur_nif.so")
    placed = &File.read(Path.join([project, "priv/native", &1]))
    compile = fn -> mix(project, ["compile"], [{"SELUR_NIF_PATH", library}]) end

    for {content, shim} <- [{"one", "first"}, {"two", "other"}, {"two", nil}] do
      File.write!(library, content)

      if shim,
        do: File.write!(Path.join(named, "selur-shim"), shim),
        else: File.rm!(Path.join(named, "selur-shim"))

      for file <- Path.wildcard(Path.join(named, "*")), do: File.touch!(file, 1_700_000_000)
      assert {_, 0} = compile.()
      assert placed.("libselur_nif.so") == {:ok, content}
      assert placed.("selur-shim") == if(shim, do: {:ok, shim}, else: {:error, :enoent})
    end

    # What is the same is left alone.
    [place] = Path.wildcard(Path.join(project, "priv/native/*"))
    inode = File.stat!(place).inode
    assert {_, 0} = compile.()
    assert File.stat!(place).inode == inode
  end

  test "a library that is not there is named", %{project: project} do
    assert {said, 1} = mix(project, ["compile"], [{"SELUR_NIF_PATH", "/nowhere/libselur_nif.so"}])
    assert said =~ "/nowhere/libselur_nif.so"
  end

  test "a machine without cargo is told what to do", %{project: project} do
    # As if its sources were there.
    File.write!(Path.expand("../../Cargo.toml", project), "")
    tools = folder()

    for tool <- [
          "mix",
          "elixir",
          "erl",
          "erlc",
          "escript",
          "sh",
          "env",
          "sed",
          "dirname",
          "basename",
          "readlink",
          "grep",
          "uname",
          "tr",
          "timeout"
        ],
        path = System.find_executable(tool),
        do: File.ln_s!(path, Path.join(tools, tool))

    assert {said, 1} = mix(project, ["compile"], [{"PATH", tools}])
    assert said =~ "rustup.rs"
  end

  test "a profile that there is not is refused", %{project: project} do
    File.write!(Path.expand("../../Cargo.toml", project), "")
    assert {said, 1} = mix(project, ["compile"], [{"SELUR_NIF_PROFILE", "fast"}])
    assert said =~ "release or debug"
  end
end
