# What a ping costs from Elixir, guest included, and beside it, in the same run, an Erlang HTTP client that asks a JSON server:
#
#   mix run bench/ping.exs
#
# Prints a line each: what, bytes, p50 and p99 in nanoseconds, with tabs between.
defmodule Bench.Ping do
  @samples 2_000
  @calls 200
  @requests 3_000

  def run do
    bridge = Selur.Bridge.new!(runtime: :simulated)

    for bytes <- [100, 10_240] do
      text = String.duplicate("a", bytes)
      {:ok, ^text} = Selur.Bridge.ping(bridge, text)
      tell("ping through the guest", bytes, samples(fn -> Selur.Bridge.ping(bridge, text) end))
    end

    for bytes <- [100, 10_240] do
      frame = Selur.Protocol.encode(:ping, [String.duplicate("a", bytes)])
      tell("the same as a frame: call/2", bytes, samples(fn -> Selur.Bridge.call(bridge, frame) end))
    end

    id = Selur.Bridge.create_container!(bridge, "nginx")
    singles = for _ <- 1..@requests, do: time(fn -> Selur.Bridge.inspect_container(bridge, id) end, 1)
    tell("an effect: inspect, by message", byte_size(Selur.Bridge.inspect_container!(bridge, id)), singles)

    port = serve()
    {:ok, _} = Application.ensure_all_started(:inets)
    :ok = :httpc.set_options(max_keep_alive_length: 1_000_000, max_sessions: 1)

    for bytes <- [100, 10_240] do
      body = Selur.JSON.encode(%{ping: String.duplicate("a", bytes)})
      ask = fn -> httpc(port, body) end
      for _ <- 1..200, do: ask.()
      tell(":httpc, keep-alive, to a JSON server", bytes, for(_ <- 1..@requests, do: time(ask, 1)))
      {:ok, socket} = :gen_tcp.connect('127.0.0.1', port, [:binary, active: false, nodelay: true])
      bare = fn -> bare(socket, body) end
      for _ <- 1..200, do: bare.()
      tell("a bare gen_tcp client to the same", bytes, for(_ <- 1..@requests, do: time(bare, 1)))
    end
  end

  defp samples(work) do
    for _ <- 1..200, do: time(work, @calls)
    for _ <- 1..@samples, do: time(work, @calls)
  end

  defp time(work, calls) do
    begun = :erlang.monotonic_time(:nanosecond)
    repeat(work, calls)
    div(:erlang.monotonic_time(:nanosecond) - begun, calls)
  end

  defp repeat(_work, 0), do: :ok

  defp repeat(work, left) do
    work.()
    repeat(work, left - 1)
  end

  defp tell(what, bytes, samples) do
    sorted = Enum.sort(samples)
    at = fn share -> Enum.at(sorted, trunc(length(sorted) * share)) end
    IO.puts(Enum.join([what, bytes, at.(0.5), at.(0.99)], "\t"))
  end

  defp httpc(port, body) do
    request = {'http://127.0.0.1:#{port}/ping', [], 'application/json', body}
    {:ok, {{_, 200, _}, _, answer}} = :httpc.request(:post, request, [], body_format: :binary)
    %{"ping" => _} = Selur.JSON.decode!(answer)
  end

  defp bare(socket, body) do
    :ok =
      :gen_tcp.send(socket, [
        "POST /ping HTTP/1.1\r\nhost: a\r\ncontent-length: #{byte_size(body)}\r\n\r\n",
        body
      ])

    %{"ping" => _} = socket |> message() |> Selur.JSON.decode!()
  end

  # A server as small as one can be: it reads JSON and answers with it, in a process of its own.
  defp serve do
    {:ok, listener} =
      :gen_tcp.listen(0, [:binary, active: false, nodelay: true, reuseaddr: true, ip: {127, 0, 0, 1}])

    spawn_link(fn -> accept(listener) end)
    {:ok, port} = :inet.port(listener)
    port
  end

  defp accept(listener) do
    {:ok, socket} = :gen_tcp.accept(listener)
    server = spawn_link(fn -> answer(socket) end)
    :ok = :gen_tcp.controlling_process(socket, server)
    accept(listener)
  end

  defp answer(socket) do
    with body when is_binary(body) <- message(socket) do
      said = body |> Selur.JSON.decode!() |> Selur.JSON.encode()
      head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: #{byte_size(said)}\r\n\r\n"
      :ok = :gen_tcp.send(socket, [head, said])
      answer(socket)
    end
  end

  # The body of a message with a length.
  defp message(socket) do
    :ok = :inet.setopts(socket, packet: :http_bin)

    case :gen_tcp.recv(socket, 0) do
      {:ok, _first_line} -> socket |> length_of(0) |> body(socket)
      {:error, :closed} -> :closed
    end
  end

  defp length_of(socket, bytes) do
    case :gen_tcp.recv(socket, 0) do
      {:ok, {:http_header, _, :"Content-Length", _, value}} -> length_of(socket, String.to_integer(value))
      {:ok, {:http_header, _, _, _, _}} -> length_of(socket, bytes)
      {:ok, :http_eoh} -> bytes
    end
  end

  defp body(bytes, socket) do
    :ok = :inet.setopts(socket, packet: :raw)
    {:ok, body} = :gen_tcp.recv(socket, bytes)
    body
  end
end

Bench.Ping.run()
