;; It says neither yes nor no.
ping: i32.const 2
