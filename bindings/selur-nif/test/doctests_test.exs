defmodule Selur.DoctestsTest do
  use ExUnit.Case, async: true

  doctest Selur.Bridge
  doctest Selur.Error
  doctest Selur.JSON
  doctest Selur.Protocol
  doctest Selur.Server
  doctest Selur.Stream
end
