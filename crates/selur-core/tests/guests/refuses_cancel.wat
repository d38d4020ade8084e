cancel: i32.const 19
