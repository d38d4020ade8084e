;; It takes a single byte for a ping.
ping: i32.const 1
