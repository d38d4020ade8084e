exchange: (i64.const 0x100027FFFF)
