more: (func $start (unreachable)) (start $start)
