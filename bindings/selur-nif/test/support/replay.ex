defmodule Selur.Test.Replay do
  @moduledoc false
  # Replays one vector, as conformance/README.md says.

  alias Selur.{Bridge, JSON, Protocol}
  alias Selur.Test.Support

  @doc "Replays a vector on a fresh bridge; `way` carries out a frame."
  def replay(vector, way) do
    deadline = vector["deadline_ms"] || :infinity
    bridge = Support.simulated(deadline: deadline)

    try do
      [_ | _] = vector["steps"]

      for {step, number} <- Enum.with_index(vector["steps"], 1), reduce: %{captured: %{}, open: %{}} do
        state ->
          try do
            step(step, state, bridge, way)
          catch
            {:wrong, how} -> raise "#{vector["name"]}, step #{number}: #{how}"
          end
      end
    after
      Bridge.free(bridge)
    end
  end

  defp step(%{"request" => request, "expect" => expect} = step, state, bridge, way) do
    frame = frame(request, state)

    for _ <- 1..(step["times"] || 1), reduce: state do
      state -> request(frame, expect, step["eventually"], state, bridge, way, now() + Support.patience())
    end
  end

  defp step(%{"submit" => request, "as" => name}, state, bridge, _way),
    do: put_in(state.open[name], Bridge.call_async(bridge, frame(request, state)))

  defp step(%{"await" => name, "expect" => expect}, state, _bridge, _way) do
    {request, state} = pop_in(state.open[name])
    {:ok, response} = Bridge.await(request, Support.patience())

    case check(expect, response, state) do
      {:wrong, how} -> throw({:wrong, how})
      state -> state
    end
  end

  defp step(%{"cancel" => name}, state, bridge, _way) do
    :ok = Bridge.cancel(bridge, Map.fetch!(state.open, name))
    state
  end

  defp step(%{"exit" => container}, state, bridge, _way) do
    :ok = Bridge.kill_container!(bridge, text(container, state), signal: "SIGUSR1")
    state
  end

  defp step(step, _state, _bridge, _way), do: throw({:wrong, "no harness knows the step #{inspect(step)}"})

  defp request(frame, expect, eventually, state, bridge, way, until) do
    case check(expect, way.(bridge, frame), state) do
      {:wrong, how} ->
        if eventually != true or now() > until, do: throw({:wrong, how})
        request(frame, expect, eventually, state, bridge, way, until)

      state ->
        state
    end
  end

  defp frame(%{"frame_hex" => hex}, _state), do: Base.decode16!(hex, case: :mixed)

  defp frame(frame, state) do
    payload =
      case frame do
        %{"payload_hex" => hex} -> Base.decode16!(hex, case: :mixed)
        %{"payload" => payload} -> text(payload, state)
        _ -> Enum.map_join(frame["fields"] || [], "\0", &text(&1, state))
      end

    code = frame["code"] || Protocol.code(String.to_existing_atom(frame["command"]))
    <<code, frame["length"] || byte_size(payload)::little-32, payload::binary>>
  end

  defp text("$" <> name, state), do: Map.fetch!(state.captured, name)
  defp text(text, _state) when is_binary(text), do: text
  defp text(%{"json" => value}, state), do: value |> filled(state) |> JSON.encode()

  defp text(%{"repeat" => part, "count" => count} = text, _state),
    do: (text["before"] || "") <> String.duplicate(part, count) <> (text["after"] || "")

  # JSON with what was captured in its place.
  defp filled("$" <> name, state), do: Map.fetch!(state.captured, name)
  defp filled(list, state) when is_list(list), do: Enum.map(list, &filled(&1, state))

  defp filled(map, state) when is_map(map),
    do: Map.new(map, fn {key, value} -> {key, filled(value, state)} end)

  defp filled(value, _state), do: value

  # What is wrong with a response, or the state with what is to be captured.
  defp check(expect, <<status, data::binary>>, state) do
    came = "it was #{Protocol.status(status)}: #{String.slice(data, 0, 300)}"
    lacking = Enum.reject(expect["message_contains"] || [], &String.contains?(data, text(&1, state)))

    cond do
      not String.valid?(data) ->
        {:wrong, "this is not UTF-8; #{came}"}

      to_string(Protocol.status(status)) != expect["status"] ->
        {:wrong, "#{expect["status"]} was to come; #{came}"}

      status != 0 and data == "" ->
        {:wrong, "the message is empty"}

      status != 0 and lacking != [] ->
        {:wrong, "the message lacks #{inspect(lacking)}; #{came}"}

      status != 0 ->
        state

      wrong = wrong_data(expect, data, state) ->
        {:wrong, "#{wrong}; #{came}"}

      true ->
        captured(expect["capture"] || %{}, data, state)
    end
  end

  defp wrong_data(expect, data, state) do
    case expect do
      %{"lines" => lines} ->
        data != Enum.map_join(lines, "\n", &text(&1, state)) && "other lines came"

      %{"data" => exact} ->
        data != text(exact, state) && "other data came"

      %{"data_is" => "container_id"} ->
        not (data =~ ~r/\A[0-9a-f]{32}\z/) && "this is no id"

      %{"data_is" => "stream_id"} ->
        not (data =~ ~r/\A[1-9][0-9]*\z/) && "this is no stream"

      %{"json" => json} ->
        not contains?(JSON.decode!(data), filled(json, state)) && "the JSON lacks something"

      _ ->
        data != "" && "no data was to come"
    end
  end

  defp captured(captures, data, state) do
    for {name, length} <- captures, reduce: state do
      state -> put_in(state.captured[name], binary_part(data, 0, length))
    end
  end

  defp contains?(whole, part) when is_list(part) do
    is_list(whole) and length(whole) == length(part) and
      Enum.all?(Enum.zip(whole, part), fn {whole, part} -> contains?(whole, part) end)
  end

  defp contains?(whole, part) when is_map(part) do
    is_map(whole) and
      Enum.all?(part, fn {key, value} -> is_map_key(whole, key) and contains?(whole[key], value) end)
  end

  defp contains?(whole, part), do: whole === part

  defp now, do: System.monotonic_time(:millisecond)
end
