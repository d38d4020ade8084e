exchange: (i64.const 0x1000200003)
reserve: (i64.const 0x1000)
