;; It traps when it is asked whether this is a ping.
ping: unreachable
