exchange: (i64.const 0x7F800020000001)
