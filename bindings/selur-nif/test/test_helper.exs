# With SELUR_TEST_NAMES only the tests whose names have that part run.
case System.get_env("SELUR_TEST_NAMES", "") do
  "" ->
    ExUnit.start(capture_log: true)

  part ->
    ExUnit.start(capture_log: true, exclude: [:test], include: [test: Regex.compile!(Regex.escape(part))])
end
