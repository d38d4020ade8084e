;; A start with another id at each poll.
more:
  (data (i32.const 65536) "\06\02\00\00\07\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00")
poll:
  (i64.store (i32.const 65540) (i64.add (i64.load (i32.const 65540)) (i64.const 1)))
  (i32.const 36)
