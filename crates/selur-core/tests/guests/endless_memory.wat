memory: 16
