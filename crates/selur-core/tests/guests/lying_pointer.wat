exchange: (i64.const 100)
