digest:
