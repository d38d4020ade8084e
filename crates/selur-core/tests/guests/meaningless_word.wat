exchange: (i64.const -1)
