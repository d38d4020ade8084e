# What a ping costs from Elixir, guest included, and beside it, in the same run, an Erlang HTTP client that asks a JSON server:
#
#   mix run bench/ping.exs
#
# Prints a line each: what, bytes, p50, p99 and, of samples enough, p99.9 in nanoseconds, with tabs between. A sample of a ping
# is the mean of many; benchmarks/README.md says when the samples are enough. With --pings, nothing else is measured.
defmodule Bench.Ping do
  @payloads [0, 100, 1_024, 10_240, 102_400, 262_144]
  @most_samples 2_000
  @most_requests 3_000
  @least_samples 100

  def run(arguments) do
    bridge = Selur.Bridge.new!(runtime: :simulated)

    for bytes <- @payloads do
      text = String.duplicate("a", bytes)
      {:ok, ^text} = Selur.Bridge.ping(bridge, text)
      tell("by copy: ping/2", bytes, pings(bytes, fn -> Selur.Bridge.ping(bridge, text) end))
    end

    for bytes <- @payloads do
      frame = Selur.Protocol.encode(:ping, [String.duplicate("a", bytes)])
      tell("by copy: call/2", bytes, pings(bytes, fn -> Selur.Bridge.call(bridge, frame) end))
    end

    unless "--pings" in arguments, do: others(bridge)
  end

  defp others(bridge) do
    id = Selur.Bridge.create_container!(bridge, "nginx")
    singles = requests(fn -> Selur.Bridge.inspect_container(bridge, id) end)
    tell("an effect: inspect, by message", byte_size(Selur.Bridge.inspect_container!(bridge, id)), singles)

    port = serve()
    {:ok, _} = Application.ensure_all_started(:inets)
    :ok = :httpc.set_options(max_keep_alive_length: 1_000_000, max_sessions: 1)

    for bytes <- [100, 10_240] do
      body = Selur.JSON.encode(%{ping: String.duplicate("a", bytes)})
      tell(":httpc, keep-alive, to a JSON server", bytes, requests(fn -> httpc(port, body) end))
      {:ok, socket} = :gen_tcp.connect('127.0.0.1', port, [:binary, active: false, nodelay: true])
      tell("a bare gen_tcp client to the same", bytes, requests(fn -> bare(socket, body) end))
    end
  end

  # Fewer long ones, each of which is long beside reading the clock.
  defp pings(bytes, work), do: samples(work, if(bytes > 10_240, do: 10, else: 200), @most_samples)

  defp requests(work), do: samples(work, 1, @most_requests)

  # The first samples warm up.
  defp samples(work, calls, most) do
    most_ns = trunc(1.0e9 * seconds(System.get_env("SELUR_BENCH_SECONDS", "1")))
    _ = taken(work, calls, div(most, 10), 0, now() + div(most_ns, 10), [])
    taken(work, calls, most, @least_samples, now() + most_ns, [])
  end

  defp seconds(text), do: text |> Float.parse() |> elem(0)

  defp taken(work, calls, most, least, ends, taken) do
    if most > 0 and (least > 0 or now() < ends) do
      taken(work, calls, most - 1, least - 1, ends, [time(work, calls) | taken])
    else
      taken
    end
  end

  defp now, do: :erlang.monotonic_time(:nanosecond)

  defp time(work, calls) do
    begun = now()
    repeat(work, calls)
    div(now() - begun, calls)
  end

  defp repeat(_work, 0), do: :ok

  defp repeat(work, left) do
    work.()
    repeat(work, left - 1)
  end

  defp tell(what, bytes, samples) do
    sorted = Enum.sort(samples)
    at = fn share -> Enum.at(sorted, trunc(length(sorted) * share)) end
    p999 = if length(sorted) < 1_000, do: "", else: at.(0.999)
    IO.puts(Enum.join([what, bytes, at.(0.5), at.(0.99), p999], "\t"))
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

Bench.Ping.run(System.argv())
