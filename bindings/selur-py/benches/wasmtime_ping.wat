;; The guest that peers.py calls by wasmtime-py, for the same work as selur's does for a ping: the frame's header is checked,
;; its payload must be text (here: ASCII), the status is written where the length ends, and the payload does not move.
(module
  (memory (export "memory") 16)

  ;; 0, or 1 for a frame that is no ping.
  (func (export "ping") (param $at i32) (param $length i32) (result i32)
    (local $next i32) (local $end i32) (local $bits i64)
    (if (i32.lt_u (local.get $length) (i32.const 5)) (then (return (i32.const 1))))
    (if (i32.load8_u (local.get $at)) (then (return (i32.const 1))))
    (if (i32.ne (i32.load offset=1 (local.get $at)) (i32.sub (local.get $length) (i32.const 5)))
      (then (return (i32.const 1))))
    (local.set $next (i32.add (local.get $at) (i32.const 5)))
    (local.set $end (i32.add (local.get $at) (local.get $length)))
    (block $words
      (loop $word
        (br_if $words (i32.gt_u (i32.add (local.get $next) (i32.const 8)) (local.get $end)))
        (local.set $bits (i64.or (local.get $bits) (i64.load (local.get $next))))
        (local.set $next (i32.add (local.get $next) (i32.const 8)))
        (br $word)))
    (block $bytes
      (loop $byte
        (br_if $bytes (i32.ge_u (local.get $next) (local.get $end)))
        (local.set $bits (i64.or (local.get $bits) (i64.load8_u (local.get $next))))
        (local.set $next (i32.add (local.get $next) (i32.const 1)))
        (br $byte)))
    (if (i64.ne (i64.and (local.get $bits) (i64.const 0x8080808080808080)) (i64.const 0))
      (then (return (i32.const 1))))
    (i32.store8 offset=4 (local.get $at) (i32.const 0))
    (i32.const 0)))
