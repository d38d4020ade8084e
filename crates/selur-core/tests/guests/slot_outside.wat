reserve: (i64.const 0x1FFF)
