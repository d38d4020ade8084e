(* Nothing is lost and nothing comes twice: tickets and effects are conserved by every step.

   What is counted does not look at how things are arranged: the number of a ticket, its command and its container, as
   long as it has no polled answer; and the number of an effect, as long as it is out. *)

From Coq Require Import List Bool Arith Lia Permutation.
From Selur Require Import Container Machine.
Import ListNotations.

(** * Quiet changes *)

Definition same o o' :=
  o_id o = o_id o' /\ o_command o = o_command o' /\ has_ticket o = has_ticket o' /\ is_out o = is_out o'.

(** A count that sees number, command, whether there is a ticket and whether the effect is out. *)
Definition stable {X} (v : op -> list X) := forall o o', same o o' -> v o = v o'.

Definition quiet (f : op -> op) := forall o, same (f o) o.

Definition keeps b b' :=
  b_id b' = b_id b
  /\ forall X (v : op -> list X), stable v -> flat_map v (b_ops b') = flat_map v (b_ops b).

Lemma keeps_refl b : keeps b b.
Proof. split; auto. Qed.

Lemma keeps_trans a b c : keeps a b -> keeps b c -> keeps a c.
Proof.
  intros [I H] [I' H']. split; [congruence|]. intros X v S. rewrite H', H; auto.
Qed.

Lemma same_stamp n o : same (with_stamp n o) o.
Proof. repeat split. Qed.

Lemma stable_touch {X} (v : op -> list X) n o : stable v -> v (touch n o) = v o.
Proof. intros S. apply S. apply same_stamp. Qed.

Lemma keeps_change p f b : quiet f -> keeps b (change p f b).
Proof.
  intros Q. split; [reflexivity|]. intros X v S. cbn. generalize (Datatypes.S (b_clock b)).
  induction (b_ops b) as [|o l IH]; cbn; intros n; [reflexivity|]. rewrite IH. f_equal.
  destruct (p o); [|reflexivity]. rewrite stable_touch by assumption. apply S, Q.
Qed.

Lemma quiet_settle a : quiet (settle a).
Proof.
  intros o. unfold settle, is_open. destruct (o_ticket o) eqn:E; repeat split; cbn; unfold has_ticket; rewrite ?E; reflexivity.
Qed.

Lemma quiet_unchain : quiet unchain.
Proof. repeat split. Qed.

Lemma quiet_after f g : quiet f -> quiet g -> quiet (fun o => f (g o)).
Proof.
  intros F G o. destruct (F (g o)) as [A [B [C D]]], (G o) as [A' [B' [C' D']]].
  repeat split; congruence.
Qed.

Lemma quiet_settle_unchain a : quiet (fun o => settle a (unchain o)).
Proof. apply quiet_after; [apply quiet_settle|apply quiet_unchain]. Qed.

Lemma quiet_take_back a : quiet (take_back a).
Proof.
  intros o. unfold take_back. destruct (is_ready o) eqn:R; [|repeat split].
  destruct (quiet_settle a (with_alone false (with_effect NoEffect (unchain (with_stamp 0 o))))) as [A [B [C D]]].
  repeat split; try assumption. rewrite D. unfold is_out, is_ready in *. cbn. destruct (o_effect o); congruence.
Qed.

Lemma quiet_ready : quiet ready.
Proof.
  intros o. unfold ready, has_effect. destruct (o_effect o) eqn:E; repeat split. cbn. unfold is_out. rewrite E. reflexivity.
Qed.

Lemma quiet_abort : quiet abort.
Proof. intros o. unfold abort. destruct (_ && _); repeat split. Qed.

Lemma quiet_mark : quiet (fun o => abort (marked_by_delete o)).
Proof. apply quiet_after; [apply quiet_abort|repeat split]. Qed.

Lemma quiet_dispatch a : quiet (fun o => ready (with_alone a (unchain o))).
Proof. apply quiet_after; [apply quiet_ready|repeat split]. Qed.

Local Hint Resolve keeps_refl keeps_change quiet_settle quiet_unchain quiet_settle_unchain quiet_take_back quiet_ready
  quiet_abort quiet_mark quiet_dispatch : quiet.

Lemma keeps_phase p b : keeps b (with_phase p b).
Proof. split; auto. Qed.

Lemma keeps_dispatch o b : keeps b (dispatch o b).
Proof. unfold dispatch, the. destruct (decide _ _); auto with quiet. Qed.

Lemma keeps_fold (f : box -> op -> box) l b : (forall b o, keeps b (f b o)) -> keeps b (fold_left f l b).
Proof.
  intros F. revert b. induction l as [|o l IH]; cbn; intros b; [apply keeps_refl|].
  eapply keeps_trans; [apply F|apply IH].
Qed.

Lemma keeps_pump b : keeps b (pump b).
Proof. apply keeps_fold. intros b' o. destruct (is_idle b'); [apply keeps_dispatch|apply keeps_refl]. Qed.

Lemma keeps_next_forced b : keeps b (next_forced b).
Proof.
  unfold next_forced, emit, the. destruct (find _ _); [|apply keeps_pump].
  destruct (is_live b); [auto with quiet|apply keeps_pump].
Qed.

Lemma keeps_begin_life b : keeps b (begin_life b).
Proof.
  unfold begin_life, emit, the. eapply keeps_trans; [|apply keeps_pump].
  eapply keeps_trans; [|apply keeps_fold; intros; apply keeps_dispatch].
  eapply keeps_trans; [apply (keeps_phase Live)|]. destruct (find _ _); auto with quiet.
Qed.

Lemma keeps_apply r b : keeps b (apply r b).
Proof.
  unfold apply, settle_all. destruct r as [r|]; [|apply keeps_refl]. destruct (is_newer r b); [|apply keeps_refl].
  assert (K : keeps b (with_report r b)) by (split; auto).
  destruct (is_stopped _); [|exact K]. eapply keeps_trans; [exact K|]. auto with quiet.
Qed.

Lemma quiet_removed : quiet (fun o => if has_effect o then unchain o else settle Done (unchain o)).
Proof. intros o. destruct (has_effect o); [apply quiet_unchain|apply quiet_settle_unchain]. Qed.

Lemma keeps_remove b : keeps b (remove b).
Proof.
  unfold remove, settle_all. destruct (is_gone b); [apply keeps_refl|].
  eapply keeps_trans; [apply (keeps_phase Gone)|].
  eapply keeps_trans; [|apply keeps_change, quiet_removed].
  eapply keeps_trans; apply keeps_change, quiet_settle_unchain.
Qed.

Lemma keeps_cut_short b : keeps b (cut_short b).
Proof. unfold cut_short. destruct (any _ _); auto with quiet. Qed.

Lemma keeps_cancel o why b : keeps b (cancel o why b).
Proof.
  unfold cancel, the. destruct (o_effect o).
  - destruct (filter _ _) as [|only [|? ?]]; auto with quiet.
    destruct (is_open only); auto with quiet. eapply keeps_trans; apply keeps_change; auto with quiet.
  - destruct (in_forces o); [eapply keeps_trans; [|apply keeps_next_forced]; auto with quiet|].
    destruct (o_alone o); [|auto with quiet]. destruct (is_create _).
    + eapply keeps_trans; [|apply keeps_remove]. auto with quiet.
    + eapply keeps_trans; [|apply keeps_pump]. auto with quiet.
  - destruct (_ && _); auto with quiet. eapply keeps_trans; apply keeps_change; auto with quiet.
Qed.

Lemma keeps_lost b : keeps b (lost b).
Proof. unfold lost. destruct (is_coming b); [apply keeps_refl|apply keeps_remove]. Qed.

(** * Additions *)

(** [b'] is [b] with the operation [o] behind, but for quiet changes. *)
Definition adds o b b' :=
  b_id b' = b_id b
  /\ forall X (v : op -> list X), stable v -> flat_map v (b_ops b') = flat_map v (b_ops b) ++ v o.

Lemma adds_add o b : adds o b (add o b).
Proof.
  split; [reflexivity|]. intros X v S. cbn. rewrite flat_map_app. cbn. rewrite stable_touch, app_nil_r by assumption.
  reflexivity.
Qed.

Lemma adds_keeps o a b c : adds o a b -> keeps b c -> adds o a c.
Proof. intros [I H] [I' H']. split; [congruence|]. intros X v S. rewrite H', H; auto. Qed.

(** What an accepted request adds: a ticket with its number and its command, whose effect is not out. *)
Definition new_ticket id c o := o_id o = id /\ o_command o = c /\ has_ticket o = true /\ is_out o = false.

Lemma ask_adds c id admitted b b' p :
  ask c id admitted b = (b', p) ->
  match p with
  | Ticket => exists o, new_ticket id c o /\ adds o b b'
  | _ => keeps b b'
  end.
Proof.
  assert (N : forall ch ef al, ef <> Out -> new_ticket id c (new_op id c ch ef al 0 0)).
  { intros ch ef al E. repeat split. unfold is_out. cbn. destruct ef; congruence. }
  unfold ask. destruct (is_create c); [intros E; injection E as <- <-; apply keeps_refl|].
  destruct (_ && _); [intros E; injection E as <- <-; apply keeps_refl|].
  destruct (is_forced c) eqn:F.
  - assert (c = Delete true) as -> by (destruct c as [| | | |[|]| | | | |]; cbn in F; congruence).
    unfold force. destruct (is_unborn b).
    + intros E. injection E as <- <-. unfold settle_all. eapply keeps_trans; [|apply keeps_remove].
      eapply keeps_trans; [apply keeps_change, quiet_settle_unchain|apply keeps_cut_short].
    + destruct admitted; [intros E; injection E as <- <-; apply keeps_refl|].
      destruct (_ && _); intros E; injection E as <- <-; eexists; (split; [apply (N Forces NoEffect false); discriminate|]).
      * eapply adds_keeps; [apply adds_add|]. unfold settle_all, emit, the.
        eapply keeps_trans; [eapply keeps_trans; [apply keeps_change, quiet_settle_unchain|apply keeps_cut_short]|].
        destruct (is_live _); auto with quiet.
      * apply adds_add.
  - destruct (is_wait c).
    + destruct admitted; intros E; injection E as <- <-; [apply keeps_refl|].
      eexists; split; [apply (N Waiters NoEffect false); discriminate|apply adds_add].
    + destruct (negb _).
      * destruct admitted; intros E; injection E as <- <-; [apply keeps_refl|].
        eexists; split; [apply (N Queue NoEffect false); discriminate|apply adds_add].
      * destruct (decide _ _); [|intros E; injection E as <- <-; apply keeps_refl..].
        destruct admitted; intros E; injection E as <- <-; [apply keeps_refl|].
        eexists; split; [apply (N NoChain Ready (is_exclusive c)); discriminate|apply adds_add].
Qed.

(** * One operation among others *)

Lemma untouched id f n l : ~ In id (map o_id l) -> change_list (has_id id) f n l = l.
Proof.
  revert n. induction l as [|o l IH]; cbn; intros n N; [reflexivity|].
  unfold has_id at 1. destruct (o_id o =? id) eqn:E; [apply Nat.eqb_eq in E; tauto|]. rewrite IH; tauto.
Qed.

Lemma change_list_app p f n l l' :
  change_list p f n (l ++ l') = change_list p f n l ++ change_list p f (n + length l) l'.
Proof.
  revert n. induction l as [|o l IH]; cbn; intros n; [rewrite Nat.add_0_r; reflexivity|].
  rewrite IH. f_equal. f_equal. f_equal. lia.
Qed.

Definition unique b := NoDup (map o_id (b_ops b)).

(** A change of one operation, found by its number. *)
Lemma the_one o f b :
  unique b -> In o (b_ops b) ->
  exists before after m, b_ops b = before ++ o :: after
    /\ b_ops (the (o_id o) f b) = before ++ touch m (f o) :: after.
Proof.
  intros U I. apply in_split in I as [before [after E]]. unfold unique in U.
  exists before, after, (Datatypes.S (b_clock b) + length before). split; [exact E|].
  cbn. rewrite E in *. rewrite map_app in U. cbn in U.
  assert (N := NoDup_remove_2 _ _ _ U). rewrite in_app_iff in N.
  rewrite change_list_app. cbn. unfold has_id at 2. rewrite Nat.eqb_refl.
  rewrite !untouched by tauto. reflexivity.
Qed.

(** What it does to a count: the operation's own share. *)
Lemma the_counts {X} (v : op -> list X) o f b :
  stable v -> unique b -> In o (b_ops b) ->
  Permutation (flat_map v (b_ops (the (o_id o) f b)) ++ v o) (flat_map v (b_ops b) ++ v (f o)).
Proof.
  intros S U I. destruct (the_one o f b U I) as [l1 [l2 [m [E E']]]]. rewrite E, E'.
  rewrite !flat_map_app. cbn. rewrite stable_touch by assumption.
  rewrite <- !app_assoc. apply Permutation_app_head.
  rewrite (Permutation_app_comm (flat_map v l2) (v o)), (Permutation_app_comm (flat_map v l2) (v (f o))).
  rewrite !app_assoc. apply Permutation_app_tail, Permutation_app_comm.
Qed.

(** The completion of an effect: it is out no more, and nothing else changes but the number of an undo. *)
Definition outs o := if is_out o then [o_id o] else [].
Definition tickets o := if has_ticket o then [(o_id o, o_command o)] else [].
Definition numbers o := [o_id o].

Lemma stable_outs : stable outs.
Proof. intros o o' [A [B [C D]]]. unfold outs. rewrite A, D. reflexivity. Qed.
Lemma stable_tickets : stable tickets.
Proof. intros o o' [A [B [C D]]]. unfold tickets. rewrite A, B, C. reflexivity. Qed.
Lemma stable_numbers : stable numbers.
Proof. intros o o' [A _]. unfold numbers. rewrite A. reflexivity. Qed.

Lemma in_change_list_other p f n l o : In o l -> p o = false -> In o (change_list p f n l).
Proof.
  revert n. induction l as [|x l IH]; cbn; intros n; [easy|]. intros [->|I] P; [rewrite P; auto|auto].
Qed.

Lemma in_apply r b o : In o (b_ops b) -> in_waiters o = false -> In o (b_ops (apply r b)).
Proof.
  intros I W. unfold apply. destruct r as [r|]; [|exact I]. destruct (is_newer r b); [|exact I].
  destruct (is_stopped _); [|exact I]. cbn. apply in_change_list_other; assumption.
Qed.

Lemma unique_keeps b b' : keeps b b' -> unique b -> unique b'.
Proof.
  intros [_ K] U. unfold unique in *. specialize (K _ numbers stable_numbers).
  replace (map o_id (b_ops b')) with (flat_map numbers (b_ops b')).
  - rewrite K. replace (flat_map numbers (b_ops b)) with (map o_id (b_ops b)); [exact U|].
    clear. induction (b_ops b); cbn; congruence.
  - clear. induction (b_ops b'); cbn; congruence.
Qed.

(** A completion changes one operation and nothing else that counts. *)
Definition turns (o o' : op) b b' :=
  b_id b' = b_id b
  /\ forall X (v : op -> list X), stable v -> Permutation (flat_map v (b_ops b') ++ v o) (flat_map v (b_ops b) ++ v o').

Lemma turns_the f o b0 b1 b' :
  keeps b0 b1 -> unique b1 -> In o (b_ops b1) -> keeps (the (o_id o) f b1) b' -> turns o (f o) b0 b'.
Proof.
  intros [I0 K0] U I [I1 K1]. split; [cbn in I1; congruence|]. intros X v S.
  rewrite (K1 X v S), <- (K0 X v S). apply the_counts; assumption.
Qed.

Definition completed (o : op) (st : status) (fresh : nat) (o' : op) :=
  tickets o' = tickets o /\ outs o' = [] /\ o_id o' = if takes_id o st then fresh else o_id o.

Lemma tickets_finish a o : tickets (finish a o) = tickets o.
Proof.
  unfold finish, tickets, settle. destruct (is_open _) eqn:E; [|reflexivity].
  unfold is_open, has_ticket in *. cbn in *. destruct (o_ticket o); try discriminate. reflexivity.
Qed.

Lemma outs_finish a o : outs (finish a o) = [].
Proof. unfold finish, outs, settle. destruct (is_open _); reflexivity. Qed.

Lemma id_finish a o : o_id (finish a o) = o_id o.
Proof. unfold finish, settle. destruct (is_open _); reflexivity. Qed.

Lemma completes o st r fresh b :
  unique b -> In o (b_ops b) -> in_waiters o = false ->
  exists o', turns o o' b (complete o st r fresh b) /\ completed o st fresh o'.
Proof.
  intros U I W. assert (K := keeps_apply r b). assert (U1 := unique_keeps _ _ K U).
  assert (I1 := in_apply r b o I W). unfold complete.
  assert (F : forall a, is_create (o_command o) && succeeded st && negb (has_ticket o) = false ->
              completed o st fresh (finish a o)).
  { intros a E. split; [apply tickets_finish|]. split; [apply outs_finish|]. unfold takes_id. rewrite E. apply id_finish. }
  destruct (is_create (o_command o)) eqn:C.
  - destruct st as [code|].
    + exists (finish (by_status o (Some code)) o). split; [|apply F; reflexivity].
      eapply turns_the; try eassumption. apply keeps_remove.
    + destruct (o_ticket o) eqn:T.
      * exists (undo_of fresh o). split; [eapply turns_the; try eassumption; split; auto|].
        unfold completed, tickets, outs, takes_id, has_ticket. rewrite C, T. auto.
      * exists (finish HasCreated o). split; [|apply F; unfold has_ticket; rewrite T; reflexivity].
        eapply turns_the; try eassumption. apply keeps_begin_life.
      * exists (to_undo o). split; [eapply turns_the; try eassumption; split; auto|].
        unfold completed, tickets, outs, takes_id, has_ticket. cbn. rewrite C, T. auto.
  - exists (finish (by_status o st) o). split; [|apply F; reflexivity].
    eapply turns_the; try eassumption.
    repeat match goal with |- keeps _ (if ?x then _ else _) => destruct x end;
      auto using keeps_remove, keeps_begin_life, keeps_next_forced, keeps_pump.
Qed.
