(* The model as an OCaml program: what makes the traces. *)
From Coq Require Import Extraction ExtrOcamlBasic ExtrOcamlNatInt.
From Selur Require Import Container Machine Arena Kernel.
Extraction Language OCaml.
Extraction "model.ml" boot step used_ops used_boxes status_code is_exclusive find_slot.
