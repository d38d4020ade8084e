# What a ping costs from Elixir, guest included, and a request that is not answered at once:
#
#   mix run bench/ping.exs
Code.require_file("measure.exs", __DIR__)

defmodule Bench.Ping do
  import Bench.Measure

  @payloads [0, 100, 1_024, 10_240, 102_400, 262_144]

  def run do
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

    id = Selur.Bridge.create_container!(bridge, "nginx")
    tell("by message", "", requests(fn -> {:ok, _} = Selur.Bridge.inspect_container(bridge, id) end))
  end
end

Bench.Ping.run()
