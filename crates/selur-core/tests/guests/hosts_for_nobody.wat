;; Kind 6 (effect) of command 0x13 (delete_image) under the ticket 9, which is none.
more:
  (global $polled (mut i32) (i32.const 0))
  (data (i32.const 65536) "\06\13\00\00\09\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00")
poll:
  (if (result i32) (global.get $polled) (then (i32.const 0)) (else (global.set $polled (i32.const 1)) (i32.const 36)))
