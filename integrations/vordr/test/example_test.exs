defmodule Vordr.Selur.ExampleTest do
  use ExUnit.Case, async: true

  import ExUnit.CaptureIO
  alias Vordr.Selur.Example

  @life """
  started   running
  list      1 container
  delete    invalid_state
  stopped   exit code 143
  deleted   0 containers
  """

  test "the example runs on a simulated container where that is asked for" do
    said = capture_io(fn -> assert Example.run(runtime: :simulated) == :ok end)

    assert said ==
             """
             runtime   simulated: containers that exist in memory alone
             memory    1048576 bytes
             created   an id of 32 digits
             """ <> @life
  end

  test "an example that fails says why and what to do, and ends its caller" do
    said =
      capture_io(:stderr, fn ->
        capture_io(fn ->
          assert catch_exit(Example.run(runtime: :oci, state_root: "/proc/nowhere")) == {:shutdown, 1}
        end)
      end)

    assert said =~ "/proc/nowhere"
    assert said =~ "Vordr.Selur.Example.run(runtime: :simulated)"
  end

  test "a container is deleted where the example fails" do
    said =
      capture_io(:stderr, fn ->
        capture_io(fn ->
          assert catch_exit(Example.run(runtime: :simulated, image: "fault.test/start:permission_denied")) ==
                   {:shutdown, 1}
        end)
      end)

    assert said =~ "permission_denied"
    refute said =~ "Vordr.Selur.Example.run"
  end

  test "options that it does not know are refused" do
    assert_raise ArgumentError, ~r/root/, fn -> Example.run(root: "/") end
  end

  test "the example's program says its sentence and ends by SIGTERM" do
    place = Selur.Test.Support.folder()
    assert {:ok, archive, 263} = Example.Image.write(place)
    assert {:ok, names} = :erl_tar.table(archive)
    assert Enum.sort(names) == [~c"config.json", ~c"layer.tar", ~c"manifest.json"]
    assert :erl_tar.table(Path.join(place, "layer.tar")) == {:ok, [~c"hello"]}
    # It waits until it is told to end.
    program = ["--preserve-status", "0.5", Path.join(place, "hello")]
    assert System.cmd("timeout", program) == {"hello from a container\n", 0}
  end

  @tag :real
  test "the example runs on a real container" do
    before = Path.wildcard(Path.join(System.tmp_dir!(), "vordr-example-#{System.pid()}-*"))
    said = capture_io(fn -> assert Example.run() == :ok end)

    assert said ==
             """
             runtime   oci: real containers, by runc
             memory    1048576 bytes
             image     example.invalid/vordr/hello:1: one static program of 263 bytes, made here
             created   an id of 32 digits
             started   running
             logs      hello from a container
             list      1 container
             delete    invalid_state
             stopped   exit code 0
             deleted   0 containers
             """

    assert Path.wildcard(Path.join(System.tmp_dir!(), "vordr-example-#{System.pid()}-*")) == before
  end
end
