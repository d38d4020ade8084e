exchange: (loop $again (br $again)) (unreachable)
