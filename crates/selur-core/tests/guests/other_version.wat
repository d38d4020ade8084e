version: i32.const 2
