exchange: (i64.const 0x1000200003)
release: i32.const 19
