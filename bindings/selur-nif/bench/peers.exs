# The same ping as JSON over HTTP: by OTP's own client, and by one that writes and reads the socket itself, each over a connection that is
# kept open, to a server in the same VM.
#
#   mix run bench/peers.exs
Code.require_file("measure.exs", __DIR__)

defmodule Bench.Peers do
  import Bench.Measure

  def run do
    port = serve()
    {:ok, _} = Application.ensure_all_started(:inets)
    :ok = :httpc.set_options(max_keep_alive_length: 1_000_000, max_sessions: 1)

    for bytes <- [100, 10_240] do
      body = Selur.JSON.encode(%{ping: String.duplicate("a", bytes)})
      tell(":httpc, JSON over HTTP, from Elixir", bytes, requests(fn -> httpc(port, body) end))
      {:ok, socket} = :gen_tcp.connect('127.0.0.1', port, [:binary, active: false, nodelay: true])
      tell("gen_tcp, JSON over HTTP, from Elixir", bytes, requests(fn -> bare(socket, body) end))
    end
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

Bench.Peers.run()
