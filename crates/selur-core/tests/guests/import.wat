imports: (import "env" "clock" (func (result i64)))
