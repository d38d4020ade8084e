exchange: (i64.const 0x1000200000)
