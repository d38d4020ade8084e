arena: i64.const 0xFFFF00010000
