memory: 16 32
