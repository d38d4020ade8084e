defmodule Vordr.Selur.Example.Image do
  @moduledoc false
  # The example's image, made of nothing: one static program for x86-64, in an archive as `docker save` writes it.
  #
  # Source: System V ABI, "ELF Header" and "Program Header"; Linux's arch/x86/entry/syscalls/syscall_64.tbl.

  # No registry has this name: nothing is ever fetched.
  @reference "example.invalid/vordr/hello:1"
  @said "hello from a container\n"

  # Where the program lies in memory, and how much of a file comes before its code.
  @base 0x400000
  @header_bytes 64 + 56

  @sigterm 15
  @system_calls %{write: 1, rt_sigprocmask: 14, exit: 60, rt_sigtimedwait: 128}

  @spec reference() :: String.t()
  def reference, do: @reference

  @doc "Writes the archive into a folder: its path, and the program's size."
  @spec write(Path.t()) :: {:ok, Path.t(), pos_integer} | :unsupported
  def write(folder) do
    case :erlang.system_info(:system_architecture) do
      ~c"x86_64" ++ _ -> {:ok, archive(folder, program()), byte_size(program())}
      _ -> :unsupported
    end
  end

  defp archive(folder, program) do
    path = Path.join(folder, "hello")
    File.write!(path, program)
    File.chmod!(path, 0o755)
    layer = Path.join(folder, "layer.tar")
    tar(layer, hello: path)
    digest = :crypto.hash(:sha256, File.read!(layer)) |> Base.encode16(case: :lower)

    config = %{
      architecture: "amd64",
      os: "linux",
      config: %{Cmd: ["/hello"]},
      rootfs: %{type: "layers", diff_ids: ["sha256:" <> digest]}
    }

    manifest = [%{Config: "config.json", RepoTags: [@reference], Layers: ["layer.tar"]}]

    for {name, json} <- ["config.json": config, "manifest.json": manifest] do
      File.write!(Path.join(folder, "#{name}"), Selur.JSON.encode(json))
    end

    image = Path.join(folder, "image.tar")

    tar(image,
      "manifest.json": Path.join(folder, "manifest.json"),
      "config.json": Path.join(folder, "config.json"),
      "layer.tar": layer
    )

    image
  end

  # Of root and of no time, so that the same program is the same layer.
  defp tar(path, files) do
    {:ok, tar} = :erl_tar.open(path, [:write])

    for {name, file} <- files do
      :ok = :erl_tar.add(tar, String.to_charlist(file), Atom.to_charlist(name), uid: 0, gid: 0, mtime: 0)
    end

    :ok = :erl_tar.close(tar)
  end

  # It says its sentence, and ends by SIGTERM. First it blocks that: a process with the number 1 is sent no signal that it has
  # neither blocked nor a handler for.
  defp program do
    masked = <<Bitwise.bsl(1, @sigterm - 1)::little-64>>
    # Lengths do not depend on where the data lies.
    code = code(0, 0)
    set = @base + @header_bytes + byte_size(code)
    code = code(set, set + byte_size(masked))
    elf(code <> masked <> @said)
  end

  defp code(set, said) do
    IO.iodata_to_binary([
      call(:rt_sigprocmask, [0, set, 0, 8]),
      call(:write, [1, said, byte_size(@said), 0]),
      call(:rt_sigtimedwait, [set, 0, 0, 8]),
      call(:exit, [0, 0, 0, 0])
    ])
  end

  # mov eax, number; mov edi, …; mov esi, …; mov edx, …; mov r10d, …; syscall
  defp call(name, [first, second, third, fourth]) do
    number = Map.fetch!(@system_calls, name)

    <<0xB8, number::little-32, 0xBF, first::little-32, 0xBE, second::little-32, 0xBA, third::little-32, 0x41,
      0xBA, fourth::little-32, 0x0F, 0x05>>
  end

  # An executable for x86-64 whose one segment is the whole file.
  defp elf(content) do
    size = @header_bytes + byte_size(content)
    entry = @base + @header_bytes

    header =
      <<0x7F, "ELF", 2, 1, 1, 0, 0::64, 2::little-16, 62::little-16, 1::little-32, entry::little-64,
        64::little-64, 0::64, 0::32, 64::little-16, 56::little-16, 1::little-16, 0::48>>

    segment =
      <<1::little-32, 5::little-32, 0::64, @base::little-64, @base::little-64, size::little-64,
        size::little-64, 0x1000::little-64>>

    header <> segment <> content
  end
end
