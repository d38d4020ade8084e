(* What each change does to one operation. *)

From Coq Require Import List Bool Arith Lia.
From Selur Require Import Container Invariant.
Import ListNotations.

(** * Statements about the fields, by looking at all of their values *)

Definition all_bool (p : bool -> bool) := p true && p false.
Definition all_fields (p : chain -> effect_stage -> ticket_stage -> bool -> bool -> bool -> bool -> bool -> bool) :=
  forallb (fun ch => forallb (fun ef => forallb (fun ti =>
    all_bool (fun al => all_bool (fun un => all_bool (fun c => all_bool (fun w => all_bool (fun f => p ch ef ti al un c w f))))))
    [NoTicket; Open; Settled]) [NoEffect; Ready; Out]) [NoChain; Queue; Waiters; Forces].

Lemma all_bool_of p b : all_bool p = true -> p b = true.
Proof. unfold all_bool. rewrite andb_true_iff. destruct b; tauto. Qed.

Lemma all_fields_of p : all_fields p = true -> forall ch ef ti al un c w f, p ch ef ti al un c w f = true.
Proof.
  unfold all_fields. rewrite forallb_forall. intros H ch ef ti al un c w f.
  assert (I : In ch [NoChain; Queue; Waiters; Forces]) by (destruct ch; cbn; tauto). specialize (H _ I).
  rewrite forallb_forall in H.
  assert (J : In ef [NoEffect; Ready; Out]) by (destruct ef; cbn; tauto). specialize (H _ J).
  rewrite forallb_forall in H.
  assert (K : In ti [NoTicket; Open; Settled]) by (destruct ti; cbn; tauto). specialize (H _ K).
  apply all_bool_of with (b := al) in H. apply all_bool_of with (b := un) in H. apply all_bool_of with (b := c) in H.
  apply all_bool_of with (b := w) in H. exact (all_bool_of _ f H).
Qed.

Lemma implb_elim a b : implb a b = true -> a = true -> b = true.
Proof. destruct a, b; auto. Qed.

(** From the fields before to the fields after. *)
Ltac table p W :=
  unshelve refine (implb_elim _ _ (all_fields_of p _ _ _ _ _ _ _ _ _) W);
  first [exact NoEffect | exact NoTicket | exact NoChain | vm_compute; reflexivity | exact true].

Definition closed ti := match ti with Open => Settled | other => other end.

Lemma settle_ticket a o : o_ticket (settle a o) = closed (o_ticket o).
Proof. unfold settle, is_open. destruct (o_ticket o) eqn:E; cbn; congruence. Qed.

Lemma settle_fields a o :
  o_id (settle a o) = o_id o /\ o_command (settle a o) = o_command o /\ o_chain (settle a o) = o_chain o
  /\ o_effect (settle a o) = o_effect o /\ o_alone (settle a o) = o_alone o
  /\ o_undo_next (settle a o) = o_undo_next o.
Proof. unfold settle. destruct (is_open o); repeat split. Qed.

Lemma settle_weak a o :
  weak (settle a o) =
  fields_ok (o_chain o) (o_effect o) (closed (o_ticket o)) (o_alone o) (o_undo_next o)
    (is_create (o_command o)) (is_wait (o_command o)) (is_forced (o_command o)).
Proof.
  unfold weak. rewrite settle_ticket. destruct (settle_fields a o) as (_ & -> & -> & -> & -> & ->). reflexivity.
Qed.

Lemma settle_answer a o : answer_ok o = true -> fits (o_command o) a = true -> answer_ok (settle a o) = true.
Proof. intros A F. unfold settle. destruct (is_open o); [exact F|exact A]. Qed.

Lemma settle_not_lost a o : not_lost (settle a o) = true.
Proof. unfold not_lost, settle. destruct (is_open o) eqn:E; [reflexivity|rewrite E; reflexivity]. Qed.

(** * What a good operation is after each change *)

Definition good o := weak o = true /\ answer_ok o = true /\ not_lost o = true.

Lemma good_of o : op_ok o -> good o.
Proof. unfold op_ok, weak_ok, good. rewrite !andb_true_iff. tauto. Qed.

Lemma touched_later m o : 0 < m -> said_later (touch m o) = true.
Proof.
  intros M. unfold said_later, touch.
  replace (has_output (with_stamp (if has_output o then if o_stamp o =? 0 then m else o_stamp o else 0) o))
    with (has_output o) by reflexivity.
  destruct (has_output o); [|reflexivity]. cbn [o_stamp with_stamp]. destruct (o_stamp o =? 0) eqn:E.
  - destruct m; [lia|reflexivity].
  - rewrite E. reflexivity.
Qed.

Lemma ok_of_touch m o : 0 < m -> good o -> op_ok (touch m o).
Proof.
  unfold good, op_ok, weak_ok. rewrite !andb_true_iff. intros M [W [A N]].
  rewrite touched_later by assumption. repeat split; assumption.
Qed.

Lemma settle_good a o : weak (settle a o) = true -> answer_ok o = true -> fits (o_command o) a = true -> good (settle a o).
Proof. intros W A F. split; [exact W|]. split; [apply settle_answer; assumption|apply settle_not_lost]. Qed.

Lemma settle_unchain_good a o : good o -> fits (o_command o) a = true -> good (settle a (unchain o)).
Proof.
  intros [W [A N]] F. apply settle_good; [|exact A|exact F]. rewrite settle_weak. cbn.
  table (fun ch ef ti al un c w f => implb (fields_ok ch ef ti al un c w f) (fields_ok NoChain ef (closed ti) al un c w f)) W.
Qed.

Lemma take_back_good a o : good o -> fits (o_command o) a = true -> good (take_back a o).
Proof.
  intros G F. unfold take_back. destruct (is_ready o) eqn:R; [|exact G]. destruct G as [W [A N]].
  apply settle_good; [|exact A|exact F]. rewrite settle_weak. cbn. unfold weak in W.
  unfold is_ready in R. destruct (o_effect o); try discriminate.
  table (fun ch (ef : effect_stage) ti al un c w f =>
    implb (fields_ok ch Ready ti al un c w f) (fields_ok NoChain NoEffect (closed ti) false un c w f)) W.
Qed.

Lemma abort_good o : good o -> good (abort o).
Proof. intros G. unfold abort. destruct (_ && _); exact G. Qed.

Lemma mark_good o : good o -> good (abort (marked_by_delete o)).
Proof. intros G. apply abort_good. exact G. Qed.

Lemma emit_good o : good o -> in_forces o = true -> good (ready o).
Proof.
  intros G F. unfold ready. destruct (has_effect o) eqn:E; [exact G|]. destruct G as [W [A N]].
  split; [|split; [exact A|unfold not_lost; cbn; destruct (is_open _); reflexivity]].
  unfold weak, in_forces, has_effect in *. cbn. destruct (o_chain o), (o_effect o); try discriminate.
  table (fun (ch : chain) (ef : effect_stage) ti al un c w f =>
    implb (fields_ok Forces NoEffect ti al un c w f) (fields_ok Forces Ready ti al un c w f)) W.
Qed.

Lemma act_good a o : good o -> in_queue o = true -> good (ready (with_alone a (unchain o))).
Proof.
  intros [W [A N]] Q. unfold weak, in_queue in *. destruct (o_chain o) eqn:C; try discriminate.
  assert (E : o_effect o = NoEffect).
  { unfold fields_ok in W. destruct (o_effect o); [reflexivity|exfalso..];
      cbn in W; rewrite ?andb_false_r in W; discriminate W. }
  unfold ready, has_effect. cbn. rewrite E in *.
  split; [|split; [exact A|unfold not_lost; cbn; destruct (is_open _); reflexivity]].
  unfold weak. cbn. destruct a.
  - table (fun (ch : chain) (ef : effect_stage) ti al un c w f =>
      implb (fields_ok Queue NoEffect ti al un c w f) (fields_ok NoChain Ready ti true un c w f)) W.
  - table (fun (ch : chain) (ef : effect_stage) ti al un c w f =>
      implb (fields_ok Queue NoEffect ti al un c w f) (fields_ok NoChain Ready ti false un c w f)) W.
Qed.

Lemma finish_good a o : good o -> is_out o = true -> fits (o_command o) a = true -> good (finish a o).
Proof.
  intros [W [A N]] O F. apply settle_good; [|exact A|exact F]. rewrite settle_weak. cbn. unfold weak, is_out in *.
  destruct (o_effect o); try discriminate.
  table (fun ch (ef : effect_stage) ti al un c w f =>
    implb (fields_ok ch Out ti al un c w f) (fields_ok NoChain NoEffect (closed ti) false un c w f)) W.
Qed.

Lemma to_undo_good o :
  good o -> is_out o = true -> is_create (o_command o) = true -> o_ticket o = Settled ->
  good (to_undo o) /\ o_alone o = true.
Proof.
  intros [W [A N]] O C T. unfold weak, is_out in *. destruct (o_effect o) eqn:E; try discriminate.
  assert (X : weak (to_undo o) && o_alone o = true).
  { unfold weak. cbn. rewrite C, T in *.
    table (fun ch (ef : effect_stage) (ti : ticket_stage) al un (c : bool) w f =>
      implb (fields_ok ch Out Settled al un true w f) (fields_ok ch NoEffect Settled al true true w f && al)) W. }
  apply andb_prop in X as [X Y]. split; [|exact Y]. split; [exact X|]. split; [exact A|].
  unfold not_lost, is_open. cbn. rewrite T. reflexivity.
Qed.

Lemma undo_of_good n o : good (undo_of n o).
Proof. repeat split. Qed.

Lemma settle_out_good a o :
  good o -> is_out o = true -> o_ticket o = Open -> fits (o_command o) a = true -> good (settle a o).
Proof.
  intros [W [A N]] O T F. apply settle_good; [|exact A|exact F]. rewrite settle_weak. unfold weak, is_out in *.
  rewrite T in *. destruct (o_effect o); try discriminate.
  table (fun ch (ef : effect_stage) (ti : ticket_stage) al un c w f =>
    implb (fields_ok ch Out Open al un c w f) (fields_ok ch Out Settled al un c w f)) W.
Qed.

Lemma forced_is_delete c : is_forced c = true -> c = Delete true.
Proof. destruct c as [| | | |[|]| | | | |]; cbn; congruence. Qed.

Lemma removed_good o :
  good o -> in_forces o = true -> good (if has_effect o then unchain o else settle Done (unchain o)).
Proof.
  intros G F. destruct (has_effect o) eqn:E.
  - destruct G as [W [A N]]. unfold weak, in_forces, not_lost in *. destruct (o_chain o); try discriminate.
    split; [|split; [exact A|cbn; unfold not_lost; change (has_effect (unchain o)) with (has_effect o); rewrite E;
      destruct (is_open _); reflexivity]].
    unfold weak. cbn.
    table (fun (ch : chain) ef ti al un c w f =>
      implb (fields_ok Forces ef ti al un c w f) (fields_ok NoChain ef ti al un c w f)) W.
  - apply settle_unchain_good; [exact G|]. destruct G as [W _]. unfold weak, in_forces in *.
    destruct (o_chain o); try discriminate. destruct (is_forced (o_command o)) eqn:D.
    + rewrite (forced_is_delete _ D). reflexivity.
    + exfalso. unfold fields_ok in W. rewrite andb_false_l, andb_false_r in W. discriminate.
Qed.
