;; The guest that extism.ts calls, for the same work as selur's does for a ping: the frame's header is checked, its
;; payload must be text (here: ASCII), the status is written where the length ends, and the payload does not move.
;;
;; An extism guest sees its input only through its host's functions, 8 bytes at a time.
(module
  (import "extism:host/env" "input_length" (func $input_length (result i64)))
  (import "extism:host/env" "input_offset" (func $input_offset (result i64)))
  (import "extism:host/env" "input_load_u8" (func $input_load_u8 (param i64) (result i32)))
  (import "extism:host/env" "input_load_u64" (func $input_load_u64 (param i64) (result i64)))
  (import "extism:host/env" "store_u8" (func $store_u8 (param i64 i32)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (memory (export "memory") 1)

  ;; 0, or 1 for a frame that is no ping.
  (func (export "ping") (result i32)
    (local $length i64) (local $at i64) (local $header i64) (local $bits i64)
    (local.set $length (call $input_length))
    (if (i64.lt_u (local.get $length) (i64.const 8)) (then (return (i32.const 1))))
    ;; The command, and the four bytes of the length.
    (local.set $header (call $input_load_u64 (i64.const 0)))
    (if (i64.ne (i64.and (local.get $header) (i64.const 0xff)) (i64.const 0)) (then (return (i32.const 1))))
    (if (i64.ne
          (i64.and (i64.shr_u (local.get $header) (i64.const 8)) (i64.const 0xffffffff))
          (i64.sub (local.get $length) (i64.const 5)))
      (then (return (i32.const 1))))
    ;; The payload's first three bytes came with the header.
    (local.set $bits (i64.shr_u (local.get $header) (i64.const 40)))
    (local.set $at (i64.const 8))
    (block $words
      (loop $word
        (br_if $words (i64.gt_u (i64.add (local.get $at) (i64.const 8)) (local.get $length)))
        (local.set $bits (i64.or (local.get $bits) (call $input_load_u64 (local.get $at))))
        (local.set $at (i64.add (local.get $at) (i64.const 8)))
        (br $word)))
    ;; The last word overlaps the one before.
    (local.set $bits
      (i64.or (local.get $bits) (i64.shr_u (call $input_load_u64 (i64.sub (local.get $length) (i64.const 8)))
        (if (result i64) (i64.lt_u (local.get $length) (i64.const 13))
          (then (i64.mul (i64.const 8) (i64.sub (i64.const 13) (local.get $length))))
          (else (i64.const 0))))))
    (if (i64.ne (i64.and (local.get $bits) (i64.const 0x8080808080808080)) (i64.const 0))
      (then (return (i32.const 1))))
    (call $store_u8 (i64.add (call $input_offset) (i64.const 4)) (i32.const 0))
    (call $output_set (call $input_offset) (local.get $length))
    (i32.const 0)))
