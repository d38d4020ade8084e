defmodule Vordr.TelemetryTest do
  # Loads and unloads a module that has the library's name, so alone.
  use ExUnit.Case, async: false

  alias Vordr.{ContainerManager, Telemetry}

  doctest Vordr.Telemetry

  setup do
    refute Code.ensure_loaded?(:telemetry)

    on_exit(fn ->
      :code.purge(:telemetry)
      :code.delete(:telemetry)
      :code.purge(:telemetry)
    end)
  end

  # What the library does where one handler is attached to everything: this one tells the test.
  defp load do
    Process.register(self(), :telemetry_test)

    Module.create(
      :telemetry,
      quote do
        def execute(name, measurements, metadata),
          do: send(:telemetry_test, {:told, name, measurements, metadata})
      end,
      Macro.Env.location(__ENV__)
    )
  end

  test "nothing is told where the library is not loaded" do
    {:ok, id} = ContainerManager.create("nginx")
    assert ContainerManager.delete(id) == :ok
    refute_received {:told, _, _, _}
  end

  test "operations, events and recoveries are told" do
    load()
    {:ok, manager} = ContainerManager.start_link(name: :told, runtime: :simulated)
    to = [manager: :told]
    assert_receive {:told, [:vordr, :container, :recovered], %{duration: _, count: 0}, %{manager: ^manager}}

    {:ok, id} = ContainerManager.create("nginx", [name: "web"] ++ to)

    assert_receive {:told, [:vordr, :container, :create], %{duration: duration},
                    %{manager: ^manager, container: "nginx", result: :ok}}

    assert duration > 0
    :ok = ContainerManager.start("web", to)
    assert_receive {:told, [:vordr, :container, :start], _, %{container: "web", result: :ok}}

    assert_receive {:told, [:vordr, :container, :event], %{time_ns: _},
                    %{manager: ^manager, id: ^id, name: "web", kind: :started}}

    {:error, :invalid_state} = ContainerManager.delete(id, to)
    assert_receive {:told, [:vordr, :container, :delete], _, %{result: :invalid_state}}
    {:error, %Selur.Error{}} = ContainerManager.delete(id, [errors: :detailed] ++ to)
    assert_receive {:told, [:vordr, :container, :delete], _, %{result: :invalid_state}}
    :ok = ContainerManager.kill(id, to)
    assert_receive {:told, [:vordr, :container, :event], _, %{kind: :ended, exit_code: 137}}
    GenServer.stop(manager)
  end

  test "every function of the manager that asks for something is told" do
    for operation <- Telemetry.operations() do
      assert Enum.any?(1..2, &function_exported?(ContainerManager, operation, &1))
    end
  end
end
