more: (func $deeper (result i64) (i64.add (call $deeper) (i64.const 1)))
exchange: (call $deeper)
