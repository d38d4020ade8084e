memory: 1 1
