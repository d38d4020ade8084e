exchange: (unreachable)
