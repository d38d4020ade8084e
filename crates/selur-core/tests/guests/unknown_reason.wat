cancel: i32.const 200
