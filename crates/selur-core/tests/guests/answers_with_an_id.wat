;; Kind 2 (created) for ticket 7, which is a start.
more:
  (global $polled (mut i32) (i32.const 0))
  (data (i32.const 65536) "\02\00\00\00\07\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00")
poll:
  (if (result i32) (global.get $polled) (then (i32.const 0)) (else (global.set $polled (i32.const 1)) (i32.const 36)))
