[
  inputs: ["{mix,.formatter}.exs", "{lib,test,bench,mix}/**/*.{ex,exs}"],
  locals_without_parens: [defrequest: 3],
  line_length: 110
]
