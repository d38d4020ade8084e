# How the benchmarks measure, and how they say it: a line each of what, bytes, p50, p99 and, of samples enough, p99.9 in nanoseconds, with
# tabs between. A sample of a ping is the mean of many; benchmarks/README.md says when the samples are enough.
defmodule Bench.Measure do
  @most_samples 2_000
  @most_requests 3_000
  @least_samples 100

  @doc "The samples of a ping."
  # Fewer long ones, each of which is long beside reading the clock.
  def pings(bytes, work), do: samples(work, if(bytes > 10_240, do: 10, else: 200), @most_samples)

  @doc "The samples of a request."
  def requests(work), do: samples(work, 1, @most_requests)

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

  @doc "Says the percentiles of samples."
  def tell(what, bytes, samples) do
    sorted = Enum.sort(samples)
    at = fn share -> Enum.at(sorted, trunc(length(sorted) * share)) end
    p999 = if length(sorted) < 1_000, do: "", else: at.(0.999)
    IO.puts(Enum.join([what, bytes, at.(0.5), at.(0.99), p999], "\t"))
  end
end
