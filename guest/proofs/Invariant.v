(* What holds of every container between any two steps, and that every step keeps it. *)

From Coq Require Import List Bool Arith Lia.
From Selur Require Import Container.
Import ListNotations.

(** Whether an answer is one that the command can have. *)
Definition fits c a :=
  match a with
  | Failed _ _ | RuntimeFailed _ => true
  | HasCreated => is_create c
  | Exited _ => is_wait c
  | HostData => is_by_host c
  | Done => negb (is_create c || is_wait c || is_by_host c)
  end.

(** What the fields of an operation may be together, but for what may be open while its container takes a step.
    One line each: who has the container alone has an effect, or an undo that comes; the queue holds tickets of lifecycle
    requests and what waits for a create; the waiters hold waits; who joined a forced delete is one; a create that runs
    has its container alone; an undo comes after the create's answer; a wait has no effect; an undo has no ticket. *)
Definition fields_ok ch ef ti (al un create_ wait_ forced_ : bool) :=
  let eff := match ef with NoEffect => false | _ => true end in
  let chained := match ch with NoChain => false | _ => true end in
  let open := match ti with Open => true | _ => false end in
  let settled := match ti with Settled => true | _ => false end in
  let ticket := match ti with NoTicket => false | _ => true end in
  implb al (eff || un)
  && match ch with
     | Queue => negb eff && open && negb wait_ && negb forced_ && negb create_
     | Waiters => negb eff && wait_
     | Forces => forced_ && negb al && negb wait_ && negb create_
     | NoChain => true
     end
  && implb (create_ && eff) (al && negb chained)
  && implb un (settled && negb eff && create_ && negb chained)
  && implb eff (negb wait_)
  && implb (al && forced_) (negb ticket).

Definition weak o :=
  fields_ok (o_chain o) (o_effect o) (o_ticket o) (o_alone o) (o_undo_next o)
    (is_create (o_command o)) (is_wait (o_command o)) (is_forced (o_command o)).
Definition said_later o := eqb (has_output o) (negb (o_stamp o =? 0)).
Definition answer_ok o :=
  implb (is_settled o) (match o_answer o with Some a => fits (o_command o) a | None => false end).

(** A ticket that has no answer has an effect, or waits in a chain. *)
Definition not_lost o := implb (is_open o) (has_effect o || in_chain o).

Definition weak_ok o := weak o && said_later o && answer_ok o = true.
Definition op_ok o := weak_ok o /\ not_lost o = true.

Definition ids b := map o_id (b_ops b).

Definition undoes o := o_alone o && (is_forced (o_command o) || o_undo_next o).
Definition creates o := o_alone o && is_create (o_command o) && has_effect o.
Definition leads o := in_forces o && has_effect o.

Record box_ok b : Prop := {
  b_unique : NoDup (ids b);
  b_ops_ok : Forall op_ok (b_ops b);
  b_creating : b_phase b = Creating -> any creates b = true;
  b_undoing : b_phase b = Undoing -> any undoes b = true;
  b_queue : b_phase b = Live -> any in_queue b = true -> any o_alone b = true \/ any in_forces b = true;
  b_forces : b_phase b = Live -> any in_forces b = true -> any leads b = true;
  b_gone : b_phase b = Gone \/ b_phase b = Nowhere -> any in_chain b = false;
  b_stopped : is_stopped b = true -> any in_waiters b = false }.

(** * Changes *)

Lemma change_ops p f b : b_ops (change p f b) = change_list p f (S (b_clock b)) (b_ops b).
Proof. reflexivity. Qed.

Lemma in_change_list p f l n o' :
  In o' (change_list p f n l) ->
  exists o, In o l /\ ((p o = true /\ exists m, n <= m /\ o' = touch m (f o)) \/ (p o = false /\ o' = o)).
Proof.
  revert n. induction l as [|o l IH]; cbn; intros n; [easy|].
  intros [E|I].
  - exists o. split; [auto|]. destruct (p o); [left|right]; subst; eauto.
  - apply IH in I as [x [I [[P [m [L E]]]|R]]]; exists x; (split; [auto|]); [left|auto].
    split; [assumption|]. exists m. split; [lia|assumption].
Qed.

Lemma change_forall (P Q : op -> Prop) p f b :
  Forall P (b_ops b) ->
  (forall o m, In o (b_ops b) -> P o -> p o = true -> 0 < m -> Q (touch m (f o))) ->
  (forall o, In o (b_ops b) -> P o -> p o = false -> Q o) ->
  Forall Q (b_ops (change p f b)).
Proof.
  rewrite !Forall_forall, change_ops. intros A F G o' I.
  apply in_change_list in I as [o [I [[E [m [L ->]]]|[E ->]]]]; [apply F|apply G]; auto; lia.
Qed.

(** A question that does not ask for the place in the outbox. *)
Definition stampless (q : op -> bool) := forall o n, q (with_stamp n o) = q o.

Lemma any_change q p f b :
  stampless q -> any q (change p f b) = existsb (fun o => if p o then q (f o) else q o) (b_ops b).
Proof.
  intros S. unfold any. rewrite change_ops. generalize (Datatypes.S (b_clock b)).
  induction (b_ops b) as [|o l IH]; cbn; intros n; [reflexivity|].
  rewrite IH. f_equal. destruct (p o); [apply S|reflexivity].
Qed.

Lemma existsb_imp (q q' : op -> bool) l :
  (forall o, In o l -> q o = true -> q' o = true) -> existsb q l = true -> existsb q' l = true.
Proof. rewrite !existsb_exists. intros H [o [I Q]]. eauto. Qed.

Lemma existsb_none (q q' : op -> bool) l :
  (forall o, In o l -> q' o = true -> q o = true) -> existsb q l = false -> existsb q' l = false.
Proof.
  intros H N. apply not_true_is_false. intros E. rewrite (existsb_imp _ _ _ H E) in N. discriminate.
Qed.

Lemma existsb_all (q : op -> bool) l : (forall o, In o l -> q o = false) -> existsb q l = false.
Proof.
  intros H. apply not_true_is_false. rewrite existsb_exists. intros [o [I Q]]. rewrite H in Q; [discriminate|exact I].
Qed.

Definition same_id (f : op -> op) := forall o, o_id (f o) = o_id o.

Lemma change_ids p f b : same_id f -> ids (change p f b) = ids b.
Proof.
  intros S. unfold ids. rewrite change_ops. generalize (Datatypes.S (b_clock b)).
  induction (b_ops b) as [|o l IH]; cbn; intros n; [reflexivity|].
  rewrite IH. f_equal. destruct (p o); [apply S|reflexivity].
Qed.

Lemma unique_op l o o' : NoDup (map o_id l) -> In o l -> In o' l -> o_id o = o_id o' -> o = o'.
Proof.
  induction l as [|x l IH]; cbn; intros N I I' E; [easy|]. inversion N as [|? ? D N']; subst.
  destruct I as [<-|I], I' as [<-|I']; auto; exfalso; apply D.
  - rewrite E. apply in_map. assumption.
  - rewrite <- E. apply in_map. assumption.
Qed.

Lemma any_same q p f b :
  stampless q -> (forall o, In o (b_ops b) -> p o = true -> q (f o) = q o) -> any q (change p f b) = any q b.
Proof.
  intros S H. rewrite any_change by assumption. apply eq_true_iff_eq.
  split; apply existsb_imp; intros o I; destruct (p o) eqn:P; auto; rewrite H; auto.
Qed.

Lemma any_less q p f b :
  stampless q -> (forall o, In o (b_ops b) -> p o = true -> q (f o) = true -> q o = true) ->
  any q b = false -> any q (change p f b) = false.
Proof.
  intros S H N. rewrite any_change by assumption. eapply existsb_none; [|exact N].
  intros o I. cbn. destruct (p o) eqn:P; eauto.
Qed.

Lemma any_more q p f b :
  stampless q -> (forall o, In o (b_ops b) -> p o = true -> q o = true -> q (f o) = true) ->
  any q b = true -> any q (change p f b) = true.
Proof.
  intros S H N. rewrite any_change by assumption. eapply existsb_imp; [|exact N].
  intros o I Q. cbn. destruct (p o) eqn:P; eauto.
Qed.

Lemma any_gone q p f b :
  stampless q -> (forall o, In o (b_ops b) -> p o = true -> q (f o) = false) ->
  (forall o, In o (b_ops b) -> p o = false -> q o = false) -> any q (change p f b) = false.
Proof.
  intros S H G. rewrite any_change by assumption. apply existsb_all. intros o I. cbn. destruct (p o) eqn:P; eauto.
Qed.

Lemma any_true q b : any q b = true <-> exists o, In o (b_ops b) /\ q o = true.
Proof. apply existsb_exists. Qed.
