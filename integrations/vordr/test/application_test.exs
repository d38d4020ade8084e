defmodule Vordr.ApplicationTest do
  # Stops and starts the application, so alone.
  use ExUnit.Case, async: false

  import ExUnit.CaptureLog
  alias Vordr.ContainerManager

  @moduletag capture_log: true

  setup do
    on_exit(fn ->
      Application.put_env(:vordr, :selur_wasm_path, nil)
      {:ok, _} = Application.ensure_all_started(:vordr)
    end)
  end

  test "its supervisor starts the manager anew" do
    process = Process.whereis(ContainerManager)
    assert [{ContainerManager, ^process, :worker, _}] = Supervisor.which_children(Vordr.Supervisor)
    Process.exit(process, :kill)

    Selur.Test.Support.eventually("it is there again", fn ->
      Process.whereis(ContainerManager) not in [nil, process]
    end)

    assert ContainerManager.containers() == %{}
  end

  test "it takes the guest that is configured" do
    :ok = Application.stop(:vordr)
    path = Path.join(Selur.Test.Support.root(), "guest/selur.wasm")
    Application.put_env(:vordr, :selur_wasm_path, path)
    assert Application.start(:vordr) == :ok
    assert {:ok, []} = ContainerManager.list()

    :ok = Application.stop(:vordr)
    Application.put_env(:vordr, :selur_wasm_path, "/nowhere/selur.wasm")

    log =
      capture_log(fn ->
        assert {:error, {reason, _}} = Application.start(:vordr)
        assert Kernel.inspect(reason) =~ "{:bridge_failed, :internal_error}"
      end)

    assert log =~ "/nowhere/selur.wasm"
  end
end
