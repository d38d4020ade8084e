exchange: (i64.load (i32.const 0x7FFFFFFF))
