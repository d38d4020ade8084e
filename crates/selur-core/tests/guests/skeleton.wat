;; A guest that answers every request with the same ticket and never has outputs. tests/hostile_guests.rs replaces the
;; parts in «…» by those of the .wat files beside this one; the text in it is what stands there unless a file says otherwise.
(module
  «imports:»
  (memory (export "memory") «memory: 16 16»)
  (global $calls (mut i64) (i64.const 0))
  «more:»
  (func (export "selur_abi_version") (result i32) «version: i32.const 1»)
  ;; The mailbox lies at 65536, the arena from 131072 to the end of the memory.
  (func (export "selur_mailbox") (result i32) «mailbox: i32.const 65536»)
  (func (export "selur_arena") (result i64) «arena: i64.const 0x20000000E0000»)
  ;; The handle is a counter above the number of the first block: 512 blocks for each slot.
  (func (export "selur_reserve") (param $bytes i32) (result i64) «reserve:
    (global.set $calls (i64.add (global.get $calls) (i64.const 1)))
    (i64.or (i64.shl (global.get $calls) (i64.const 12))
            (i64.and (i64.mul (i64.sub (global.get $calls) (i64.const 1)) (i64.const 512)) (i64.const 0xFFF)))»)
  ;; Nothing is a ping, so that what is one is exchanged as every other frame.
  (func (export "selur_ping") (param $slot i64) (param $bytes i32) (result i32) «ping: i32.const 0»)
  (func (export "selur_submit") (param $slot i64) (param $bytes i32) (param $high i64) (param $low i64) (result i64)
    (i64.const 0))
  ;; Bit 62 is a ticket's, bit 61 says that outputs wait.
  (func (export "selur_exchange") (param $slot i64) (param $bytes i32) (param $high i64) (param $low i64) (result i64)
    «exchange: (i64.const 0x6000000000000007)»)
  (func (export "selur_cancel") (param $ticket i64) (param $cause i32) (result i32) «cancel: i32.const 0»)
  (func (export "selur_complete") (param $effect i64) (param i32) (param i32) (param i64) (param i32) (param i32)
    (param i32) (result i32) «complete: i32.const 0»)
  (func (export "selur_observe") (param $bytes i32) (result i32) «observe: i32.const 0»)
  (func (export "selur_poll") (result i32) «poll: i32.const 0»)
  (func (export "selur_release") (param $slot i64) (result i32) «release: i32.const 0»)
  «digest: (func (export "selur_digest") (result i64) (i64.const 0))»
)
