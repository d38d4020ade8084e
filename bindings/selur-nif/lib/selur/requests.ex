defmodule Selur.Requests do
  @moduledoc false
  # How the functions of `Selur.Bridge` are made: each request is written once, and has its three forms.

  alias Selur.{Error, Native, Protocol}

  @taken "the result of this request was taken before: each comes once"

  @doc """
  Defines a request: a function that waits, its twin that raises, and its twin that does not wait.

      defrequest start_container(container :: String.t()), as: :nothing, own: [] do
        [container]
      end

  The block gives the fields, of which nil at the end are left out; it may use `options`, which are those of the function
  without the ones that every request has. `own` names the options that it takes; without it they are not looked at.
  """
  defmacro defrequest(head, settings, do: fields) do
    {name, arguments} = Macro.decompose_call(head)

    {variables, types} =
      arguments |> Enum.map(fn {:"::", _, [variable, type]} -> {variable, type} end) |> Enum.unzip()

    shape = Keyword.fetch!(settings, :as)
    own = Keyword.get(settings, :own)
    command = Keyword.get(settings, :command, name)

    [fields_name, raising, async] =
      for form <- ["fields_of_#{name}", "#{name}!", "#{name}_async"], do: :"#{form}"

    arity = length(variables) + 2
    {success, value} = returned(shape)

    quote do
      @spec unquote(name)(t, unquote_splicing(types), options) :: unquote(success) | error
      def unquote(name)(bridge, unquote_splicing(variables), options \\ []) do
        {settings, options} = Selur.Requests.settings(unquote(shape), options, unquote(own))

        Selur.Requests.await(
          bridge,
          unquote(command),
          unquote(fields_name)(unquote_splicing(variables), options),
          settings
        )
      end

      @doc "As `#{unquote(name)}/#{unquote(arity)}`, but gives the result itself, and raises a `Selur.Error`."
      @doc group: "Raising"
      @spec unquote(raising)(t, unquote_splicing(types), options) :: unquote(value)
      def unquote(raising)(bridge, unquote_splicing(variables), options \\ []) do
        bridge
        |> unquote(name)(unquote_splicing(variables), [{:errors, :detailed} | options])
        |> Selur.Requests.unwrap!()
      end

      @doc """
      As `#{unquote(name)}/#{unquote(arity)}`, but does not wait: gives a reference for `await/2` and `cancel/2`. The result
      comes to this process as `{:selur, reference, result}`.
      """
      @doc group: "Asynchronous"
      @spec unquote(async)(t, unquote_splicing(types), options) :: request
      def unquote(async)(bridge, unquote_splicing(variables), options \\ []) do
        {settings, options} = Selur.Requests.settings(unquote(shape), options, unquote(own))

        Selur.Requests.begin(
          bridge,
          unquote(command),
          unquote(fields_name)(unquote_splicing(variables), options),
          settings
        )
      end

      defp unquote(fields_name)(unquote_splicing(variables), var!(options)) do
        _ = var!(options)
        unquote(fields)
      end
    end
  end

  defp returned(:nothing), do: {:ok, :ok}
  defp returned(shape), do: {quote(do: {:ok, unquote(value(shape))}), value(shape)}

  defp value(:text), do: quote(do: String.t())
  defp value(:lines), do: quote(do: [String.t()])
  defp value(:exit_code), do: quote(do: 0..255 | nil)
  defp value(:stream), do: quote(do: Selur.Stream.t())

  @doc "What every request is made with, and the options that are left."
  @spec settings(Native.shape(), keyword, [atom] | nil) :: {Native.settings(), keyword}
  def settings(shape, options, own) do
    {common, options} = Keyword.split(options, [:deadline, :errors])
    _ = own && Keyword.validate!(options, own)

    {{shape, deadline(Keyword.get(common, :deadline, :default)), errors(Keyword.get(common, :errors))},
     options}
  end

  @doc "A deadline, checked."
  @spec deadline(term) :: :default | :infinity | non_neg_integer
  def deadline(named) when named in [:default, :infinity], do: named
  def deadline(milliseconds) when milliseconds in 0..0xFFFFFFFF, do: milliseconds

  def deadline(other) do
    raise ArgumentError,
          "a deadline is a number of milliseconds, or :infinity: it cannot be #{inspect(other)}"
  end

  @doc "How failures are told, checked."
  @spec errors(term) :: Native.errors()
  def errors(errors) when errors in [nil, :plain, :detailed], do: errors
  def errors(other), do: raise(ArgumentError, "errors can be :plain or :detailed, not #{inspect(other)}")

  @doc "Makes a request, and waits for its result."
  @spec await(reference, atom, [iodata | nil], Native.settings()) :: Native.result()
  def await(bridge, command, fields, settings) do
    {code, fields} = {Protocol.code(command), given(fields)}
    wait(&Native.submit(bridge, &1, code, fields, settings))
  end

  @doc "Begins something under a tag, and waits for its result if that is not there at once."
  @spec wait((reference -> :pending | result)) :: result when result: term
  def wait(begin) do
    tag = make_ref()

    case begin.(tag) do
      :pending -> receive(do: ({:selur, ^tag, result} -> heard(result)))
      result -> result
    end
  end

  # What was made for a process that ends before it says this is undone.
  defp heard({:unheard, receipt, result}) do
    :ok = Native.hear(receipt)
    result
  end

  defp heard(result), do: result

  @doc "Begins a request."
  @spec begin(reference, atom, [iodata | nil], Native.settings()) :: reference
  def begin(bridge, command, fields, settings),
    do: Native.submit(bridge, nil, Protocol.code(command), given(fields), settings)

  @doc "Waits for the result of a request that this process began, and cancels it after so long."
  @spec take(reference, timeout) :: Native.result()
  def take(request, timeout) do
    case Native.request_state(request) do
      :open ->
        receive(do: ({:selur, ^request, result} -> result), after: (timeout -> give_up(request)))

      :answered ->
        receive(do: ({:selur, ^request, result} -> result), after: (0 -> raise(ArgumentError, @taken)))

      :elsewhere ->
        raise ArgumentError, "a request is awaited by the process that began it"
    end
  end

  # A cancelled request is answered at once.
  defp give_up(request) do
    Native.cancel(nil, request)

    receive do
      {:selur, ^request, {:error, :cancelled}} -> {:error, :timeout}
      {:selur, ^request, {:error, %{status: :cancelled} = error}} -> {:error, %{error | status: :timeout}}
      {:selur, ^request, result} -> result
    end
  end

  @doc "An option that is true or false, checked."
  @spec flag(keyword, atom) :: boolean
  def flag(options, name) do
    case Keyword.get(options, name) do
      none when none in [nil, false] -> false
      true -> true
      other -> raise ArgumentError, "#{name} can be true or false, not #{inspect(other)}"
    end
  end

  @doc "The value of a success."
  @spec unwrap!(:ok | {:ok, value} | {:error, Error.t()}) :: :ok | value when value: term
  def unwrap!(:ok), do: :ok
  def unwrap!({:ok, value}), do: value
  def unwrap!({:error, %Error{} = error}), do: raise(error)

  @doc "Options of a command as a field; none as no field."
  @spec json(keyword | map | iodata) :: iodata | nil
  def json(none) when none == [] or none == %{}, do: nil
  def json(map) when is_map(map), do: Selur.JSON.encode(map)
  def json([{key, _} | _] = pairs) when is_atom(key), do: Selur.JSON.encode(pairs)
  def json(written), do: written

  # A field that others follow is empty where it is not given.
  defp given(fields) do
    fields
    |> Enum.reverse()
    |> Enum.drop_while(&is_nil/1)
    |> Enum.reverse()
    |> Enum.map(fn
      nil -> ""
      field -> IO.iodata_to_binary(field)
    end)
  end
end
