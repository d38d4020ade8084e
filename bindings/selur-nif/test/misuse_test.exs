defmodule Selur.MisuseTest do
  use ExUnit.Case, async: true

  import Selur.Test.Support
  alias Selur.{Bridge, Error}

  # Every function that takes a bridge and makes a request, with arguments that would do.
  defp requests do
    for {name, arity} <- Bridge.__info__(:functions),
        form = to_string(name),
        not (form =~ ~r/^(new|free|cancel|await)/),
        arity == fewest(name) do
      {name, List.duplicate(argument(name), arity - 1)}
    end
  end

  defp argument(name) when name in [:take_stream, :take_stream!], do: 1
  defp argument(_), do: "busybox"

  defp fewest(name), do: Bridge.__info__(:functions) |> Keyword.get_values(name) |> Enum.min()

  test "every function of a freed bridge is refused" do
    bridge = simulated()
    :ok = Bridge.free(bridge)
    assert length(requests()) > 80

    for {name, arguments} <- requests() do
      case to_string(name) |> String.last() do
        "!" ->
          error = assert_raise(Error, fn -> apply(Bridge, name, [bridge | arguments]) end)
          assert error.status == :invalid_request

        _ ->
          case apply(Bridge, name, [bridge | arguments]) do
            request when is_reference(request) ->
              assert Bridge.await(request) == {:error, :invalid_request}, "#{name}"

            result ->
              assert result == {:error, :invalid_request}, "#{name}"
          end
      end
    end
  end

  test "freeing again does nothing, also from many processes at once" do
    bridge = simulated()
    tasks = for _ <- 1..50, do: Task.async(fn -> Bridge.free(bridge) end)
    assert Task.await_many(tasks, patience()) |> Enum.uniq() == [:ok]
    assert Bridge.free(bridge) == :ok
  end

  test "what is in flight when a bridge is freed is cancelled" do
    bridge = simulated()
    id = running(bridge)
    waits = for _ <- 1..100, do: Bridge.wait_container_async(bridge, id)
    task = Task.async(fn -> Bridge.wait_container(bridge, id) end)
    eventually("the task waits", fn -> Process.info(task.pid, :status) == {:status, :waiting} end)
    assert Bridge.free(bridge) == :ok
    for wait <- waits, do: assert(Bridge.await(wait) == {:error, :cancelled})
    # It may not have begun before.
    assert Task.await(task) in [{:error, :cancelled}, {:error, :invalid_request}]
  end

  test "a guest that cannot be loaded is an internal error, whose message says why" do
    for {guest, says} <- [
          {"/nowhere/selur.wasm", "/nowhere/selur.wasm"},
          {{:bytes, "no module"}, "guest"},
          {Path.join(root(), "guest/ABI.md"), "guest"}
        ] do
      assert Bridge.new(guest: guest, runtime: :simulated) == {:error, :internal_error}
      assert {:error, error} = Bridge.new(guest: guest, runtime: :simulated, errors: :detailed)
      assert %Error{status: :internal_error} = error
      assert error.message =~ says
      assert_raise Error, ~r/#{says}/, fn -> Bridge.new!(guest: guest, runtime: :simulated) end
    end
  end

  test "a bridge whose errors are detailed says so for each request, which may say otherwise" do
    bridge = simulated(errors: :detailed)

    assert {:error, %Error{status: :container_not_found, message: message}} =
             Bridge.start_container(bridge, "web")

    assert message =~ "selur ps"
    assert Bridge.start_container(bridge, "web", errors: :plain) == {:error, :container_not_found}
    assert {:error, %Error{}} = bridge |> Bridge.start_container_async("web") |> Bridge.await()
    assert {:error, %Error{status: :invalid_request}} = Bridge.ping(bridge, <<0xFF>>)
    assert {:error, :container_not_found} = Bridge.start_container(simulated(), "web")
  end

  test "terms of the wrong kind are refused before anything is done" do
    bridge = simulated()
    {:ok, stream} = Bridge.events(bridge)

    for wrong <- [nil, :bridge, make_ref(), self(), "bridge", stream.ref, stream] do
      assert_raise ArgumentError, fn -> Bridge.ping(wrong, "hi") end
      assert_raise ArgumentError, fn -> Bridge.list_containers(wrong) end
      assert_raise ArgumentError, fn -> Bridge.free(wrong) end
      assert_raise ArgumentError, fn -> Bridge.call(wrong, "") end
    end

    for wrong <- [1, nil, :web, %{}, 'web', {}] do
      assert_raise ArgumentError, fn -> Bridge.ping(bridge, wrong) end
    end

    assert_raise ArgumentError, fn -> Bridge.create_container(bridge, "nginx", nmae: "web") end
    assert_raise ArgumentError, fn -> Bridge.start_container(bridge, "web", deadline: -1) end
    assert_raise ArgumentError, fn -> Bridge.start_container(bridge, "web", deadline: "1 s") end
    assert_raise ArgumentError, fn -> Bridge.start_container(bridge, "web", errors: :all) end
    assert_raise ArgumentError, fn -> Bridge.new(runtime: :podman) end
    assert_raise ArgumentError, fn -> Bridge.new(deadlin: 1) end
    assert_raise FunctionClauseError, fn -> Bridge.await(nil) end
    assert Bridge.ping(bridge, "hi") == {:ok, "hi"}
  end

  test "what is wrong in what is right by kind is refused by its status" do
    bridge = simulated()
    assert Bridge.ping(bridge, <<0xFF>>) == {:error, :invalid_request}
    assert Bridge.ping(bridge, String.duplicate("a", 262_144)) == {:ok, String.duplicate("a", 262_144)}
    assert Bridge.ping(bridge, String.duplicate("a", 262_145)) == {:error, :invalid_request}
    assert Bridge.ping(bridge, String.duplicate("a", 10_000_000)) == {:error, :invalid_request}
    assert Bridge.ping(bridge, String.duplicate("a", 10_000_000), deadline: 1) == {:error, :invalid_request}
    assert Bridge.start_container(bridge, "a\0b") == {:error, :invalid_request}
    assert Bridge.start_container(bridge, <<0xFF>>) == {:error, :invalid_request}
    assert Bridge.create_container(bridge, String.duplicate("a", 300_000)) == {:error, :invalid_request}
    assert {:ok, <<0x01, _::binary>>} = Bridge.call(bridge, String.duplicate("a", 10_000_000))
    assert Bridge.create_container(bridge, "nginx", spec: %{nonsense: 1}) == {:error, :invalid_request}
    assert Bridge.logs(bridge, running(bridge), flolow: true) == {:error, :invalid_request}
    assert Bridge.kill_container(bridge, "web", signal: :nonsense) == {:error, :invalid_request}
  end

  test "a specification may be a map, a keyword list or JSON of another library" do
    bridge = simulated()

    for spec <- [
          %{hostname: "a"},
          %{"hostname" => "a"},
          [hostname: "a"],
          ~S({"hostname":"a"}),
          [?{, ~S("hostname":"a"), "}"]
        ] do
      id = Bridge.create_container!(bridge, "nginx", spec: spec)

      assert %{"spec" => %{"hostname" => "a"}} =
               bridge |> Bridge.inspect_container!(id) |> Selur.JSON.decode!()
    end
  end

  test "a deadline passes for every kind of call" do
    bridge = simulated(deadline: 20)
    id = running(bridge)
    assert Bridge.wait_container(bridge, id) == {:error, :timeout}
    assert Bridge.wait_container(bridge, id, deadline: 1) == {:error, :timeout}
    assert bridge |> Bridge.wait_container_async(id) |> Bridge.await() == {:error, :timeout}
    assert {:ok, <<9, _::binary>>} = Bridge.call(bridge, Selur.Protocol.encode(:wait_container, [id]))
    assert_raise Error, ~r/timeout/, fn -> Bridge.wait_container!(bridge, id) end
    assert Bridge.create_container(bridge, "fault.test/hang:pull") == {:error, :timeout}
    wait = Bridge.wait_container_async(bridge, id, deadline: :infinity)
    assert Bridge.await(wait, 50) == {:error, :timeout}
    detailed = Bridge.wait_container_async(bridge, id, deadline: :infinity, errors: :detailed)
    assert {:error, %Error{status: :timeout}} = Bridge.await(detailed, 1)
    refute_received {:selur, _, _}
  end

  test "a message of an asynchronous request comes once, and cancelling it later does nothing" do
    bridge = simulated()
    request = Bridge.create_container_async(bridge, "nginx")
    assert_receive {:selur, ^request, {:ok, id}}, patience()
    assert Bridge.cancel(bridge, request) == :ok
    assert Bridge.list_containers(bridge) == {:ok, [id]}
    refute_received {:selur, _, _}
  end

  test "a result that never comes is not waited for" do
    bridge = simulated()

    for begin <- [
          fn -> Bridge.ping_async(bridge, "hi") end,
          fn -> Bridge.create_container_async(bridge, "nginx") end
        ],
        timeout <- [0, 10, :infinity] do
      request = begin.()
      assert {:ok, _} = Bridge.await(request)
      assert_raise ArgumentError, ~r/taken before/, fn -> Bridge.await(request, timeout) end
    end

    wait = Bridge.wait_container_async(bridge, running(bridge))

    awaits = fn ->
      assert_raise(ArgumentError, ~r/process that began it/, fn -> Bridge.await(wait, 10) end)
    end

    awaits |> Task.async() |> Task.await(patience())
    # Nor did that cancel it.
    refute_received {:selur, ^wait, _}
    assert Bridge.cancel(bridge, wait) == :ok
    assert Bridge.await(wait) == {:error, :cancelled}
  end

  test "options are what they are said to be" do
    bridge = simulated()
    id = running(bridge)
    assert_raise ArgumentError, fn -> Bridge.delete_container(bridge, id, force: "false") end
    assert Bridge.delete_container(bridge, id, force: false) == {:error, :invalid_state}
    assert Bridge.new(guest: "/nowhere/selur.wasm", errors: nil) == {:error, :internal_error}
    request = Bridge.wait_container_async(bridge, id)
    assert_raise ArgumentError, fn -> Bridge.cancel(make_ref(), request) end
    assert_raise ArgumentError, fn -> Bridge.cancel(request, request) end
    assert Bridge.await(request, 0) == {:error, :timeout}
    # A path as Elixir's own functions take it, also a relative one.
    real = Bridge.new!(runtime: :oci, state_root: folder())
    assert {:error, %Error{message: message}} = Bridge.load_image(real, 'nowhere/ж.tar', errors: :detailed)
    assert message =~ Path.expand("nowhere/ж.tar")
  end

  test "a panic is an internal error, on a scheduler and on a bridge's own thread" do
    elsewhere = simulated(guest: {:bytes, Selur.Test.Guests.never_answers()})

    for bridge <- [simulated(), elsewhere] do
      tag = make_ref()

      result =
        case Selur.Native.panic(bridge, tag) do
          :pending -> assert_receive({:selur, ^tag, result}, patience()) && result
          result -> result
        end

      assert {:error, %Error{status: :internal_error, message: message}} = result
      assert message =~ "the wheel broke"
    end

    bridge = simulated()
    {:error, _} = Selur.Native.panic(bridge, make_ref())
    assert {:ok, _} = Bridge.create_container(bridge, "nginx")
  end

  test "the module can be loaded again, and unloaded, while bridges are used" do
    {said, code} =
      vm("""
      alias Selur.{Bridge, Native}
      {:ok, bridge} = Bridge.new(runtime: :simulated)
      {:ok, id} = Bridge.create_container(bridge, "nginx")
      :ok = Bridge.start_container(bridge, id)
      wait = Bridge.wait_container_async(bridge, id)
      # A NIF of rustler's cannot replace itself: the one that is there stays.
      {:error, :on_load_failure} = :code.load_file(Native)
      {:ok, "hi"} = Bridge.ping(bridge, "hi")
      :ok = Bridge.stop_container(bridge, id)
      {:ok, 143} = Bridge.await(wait)
      # Unloaded with a bridge and its threads alive, and loaded anew.
      _other = Bridge.wait_container_async(bridge, id)
      true = :code.delete(Native)
      _ = :code.purge(Native)
      {:module, Native} = :code.ensure_loaded(Native)
      {:ok, again} = Bridge.new(runtime: :simulated)
      {:ok, "hi"} = Bridge.ping(again, "hi")
      :ok = Bridge.free(again)
      for _ <- 1..200, do: :erlang.garbage_collect()
      IO.puts("unharmed")
      """)

    assert {code, said =~ "unharmed"} == {0, true}, said
  end
end
