;; Kind 6 (effect) of command 0x0b (exec) under the ticket 7, which is of a start.
more:
  (global $polled (mut i32) (i32.const 0))
  (data (i32.const 65536) "\06\0b\00\00\07\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00")
poll:
  (if (result i32) (global.get $polled) (then (i32.const 0)) (else (global.set $polled (i32.const 1)) (i32.const 36)))
