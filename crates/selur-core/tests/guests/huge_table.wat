more: (table 4000000 funcref)
