(* Every step of a container keeps what Invariant.v says of it. *)

From Coq Require Import List Bool Arith Lia.
From Selur Require Import Container Invariant OpLemmas.
Import ListNotations.

Ltac stampless := intros ? ?; reflexivity.

Lemma op_good l o : Forall op_ok l -> In o l -> good o.
Proof. intros F I. rewrite Forall_forall in F. apply good_of, F, I. Qed.

Lemma change_ok p f b :
  Forall op_ok (b_ops b) -> (forall o, In o (b_ops b) -> good o -> p o = true -> good (f o)) ->
  Forall op_ok (b_ops (change p f b)).
Proof.
  intros F H. apply change_forall with (P := op_ok); [exact F| |auto].
  intros o m I O P M. apply ok_of_touch; [exact M|]. apply H; [exact I|apply good_of; exact O|exact P].
Qed.

(** The one operation that a number means. *)
Lemma meant b o o' : NoDup (ids b) -> In o (b_ops b) -> In o' (b_ops b) -> has_id (o_id o) o' = true -> o' = o.
Proof. intros U I I' E. apply Nat.eqb_eq in E. eapply unique_op; eauto. Qed.

Lemma in_the id f b o' :
  In o' (b_ops (the id f b)) ->
  (exists o m, In o (b_ops b) /\ o_id o = id /\ 0 < m /\ o' = touch m (f o)) \/ (In o' (b_ops b) /\ o_id o' <> id).
Proof.
  intros I. apply in_change_list in I as [o [I [[P [m [L E]]]|[P ->]]]].
  - left. exists o, m. apply Nat.eqb_eq in P. repeat split; auto. lia.
  - right. split; [exact I|]. apply Nat.eqb_neq in P. exact P.
Qed.

(** What an operation is, beside its ticket, answer and place in the outbox. *)
Lemma abort_fields o :
  o_id (abort o) = o_id o /\ o_command (abort o) = o_command o /\ o_chain (abort o) = o_chain o
  /\ o_effect (abort o) = o_effect o /\ o_alone (abort o) = o_alone o /\ o_undo_next (abort o) = o_undo_next o.
Proof. unfold abort. destruct (_ && _); repeat split. Qed.

Ltac questions := unfold creates, undoes, leads, in_queue, in_waiters, in_forces, in_chain, has_effect in *; cbn in *.
Ltac settled a o := destruct (settle_fields a o) as (E1 & E2 & E3 & E4 & E5 & E6); questions;
  rewrite ?E1, ?E2, ?E3, ?E4, ?E5, ?E6 in *; cbn in *.
Ltac aborted o := destruct (abort_fields o) as (E1 & E2 & E3 & E4 & E5 & E6); questions;
  rewrite ?E1, ?E2, ?E3, ?E4, ?E5, ?E6 in *; cbn in *.

Lemma same_id_settle a f : same_id f -> same_id (fun o => settle a (f o)).
Proof. intros S o. destruct (settle_fields a (f o)) as [-> _]. apply S. Qed.

Lemma none_in q b o : any q b = false -> In o (b_ops b) -> q o = false.
Proof.
  intros N I. destruct (q o) eqn:E; [|reflexivity]. rewrite <- N. symmetry. apply any_true. eauto.
Qed.

(** * The queue goes on *)

(** All but what the queue wants. *)
Record almost_ok b : Prop := {
  a_unique : NoDup (ids b);
  a_ops_ok : Forall op_ok (b_ops b);
  a_creating : b_phase b = Creating -> any creates b = true;
  a_undoing : b_phase b = Undoing -> any undoes b = true;
  a_forces : b_phase b = Live -> any in_forces b = true -> any leads b = true;
  a_gone : b_phase b = Gone \/ b_phase b = Nowhere -> any in_chain b = false;
  a_stopped : is_stopped b = true -> any in_waiters b = false }.

Lemma box_of_almost b :
  almost_ok b -> (b_phase b = Live -> any in_queue b = true -> any o_alone b = true \/ any in_forces b = true) -> box_ok b.
Proof. intros [] Q. constructor; assumption. Qed.

Lemma almost_of_box b : box_ok b -> almost_ok b.
Proof. intros []. constructor; assumption. Qed.

Lemma decide_nothing c m : decide c m = Nothing -> fits c Done = true.
Proof.
  destruct c, m; cbn; try discriminate; try reflexivity.
  all: do 16 (destruct code as [|code]; try discriminate).
Qed.

Definition turn c m o :=
  match decide c m with
  | Act => ready (with_alone (is_exclusive c && negb (is_forced c)) (unchain o))
  | Nothing => settle Done (unchain o)
  | Refuse => settle (Failed WrongState (Some m)) (unchain o)
  end.

Lemma dispatch_is_turn o b : dispatch o b = the (o_id o) (turn (o_command o) (b_mode b)) b.
Proof. unfold dispatch, turn. destruct (decide _ _); reflexivity. Qed.

Lemma turn_good o m : good o -> in_queue o = true -> good (turn (o_command o) m o).
Proof.
  intros G Q. unfold turn. destruct (decide _ _) eqn:D.
  - apply act_good; assumption.
  - apply settle_unchain_good; [exact G|]. eapply decide_nothing. exact D.
  - apply settle_unchain_good; [exact G|reflexivity].
Qed.

Lemma turn_fields c m o : o_id (turn c m o) = o_id o /\ o_chain (turn c m o) = NoChain.
Proof.
  unfold turn, ready, settle. destruct (decide _ _); cbn.
  - destruct (has_effect _); split; reflexivity.
  - destruct (is_open _); split; reflexivity.
  - destruct (is_open _); split; reflexivity.
Qed.

Lemma dispatch_ids o b : ids (dispatch o b) = ids b.
Proof. rewrite dispatch_is_turn. apply change_ids. intros x. apply turn_fields. Qed.

(** What is true while queued operations have their turns: [l] are those that are still to come. *)
Record waits_for (l : list op) b : Prop := {
  w_in : forall o, In o l -> In o (b_ops b) /\ in_queue o = true;
  w_once : NoDup (map o_id l) }.

Lemma dispatched o l b :
  NoDup (ids b) -> Forall op_ok (b_ops b) -> waits_for (o :: l) b ->
  let b' := dispatch o b in
  NoDup (ids b') /\ Forall op_ok (b_ops b') /\ waits_for l b' /\ b_phase b' = b_phase b /\ b_mode b' = b_mode b
  /\ any in_forces b' = any in_forces b /\ any leads b' = any leads b
  /\ (any in_waiters b = false -> any in_waiters b' = false)
  /\ (forall o', In o' (b_ops b') -> in_queue o' = true -> In o' (b_ops b) /\ o_id o' <> o_id o).
Proof.
  intros U F [W N] b'. destruct (W o (or_introl eq_refl)) as [I Q].
  assert (M : forall o', In o' (b_ops b) -> has_id (o_id o) o' = true -> o' = o) by (intros; eapply meant; eauto).
  assert (C : o_chain o = Queue) by (unfold in_queue in Q; destruct (o_chain o); congruence).
  assert (T := turn_fields (o_command o) (b_mode b) o). destruct T as [T1 T2].
  unfold b'. refine (conj _ (conj _ (conj _ (conj _ (conj _ (conj _ (conj _ (conj _ _)))))))).
  - rewrite dispatch_ids. exact U.
  - rewrite dispatch_is_turn. apply change_ok; [exact F|]. intros o' I' G P. rewrite (M o' I' P) in *.
    apply turn_good; assumption.
  - inversion N as [|? ? D N']; subst. constructor; [|exact N'].
    intros o' I'. destruct (W o' (or_intror I')) as [J Q']. split; [|exact Q'].
    rewrite dispatch_is_turn. cbn.
    assert (X : has_id (o_id o) o' = false).
    { apply Nat.eqb_neq. intros E. apply D. rewrite <- E. apply in_map. exact I'. }
    clear -J X. generalize (S (b_clock b)). induction (b_ops b) as [|x l' IH]; cbn in *; intros n; [easy|].
    destruct J as [->|J]; [rewrite X; auto|right; apply IH; exact J].
  - unfold dispatch. destruct (decide _ _); reflexivity.
  - unfold dispatch. destruct (decide _ _); reflexivity.
  - rewrite dispatch_is_turn. apply any_same; [stampless|]. intros o' I' P. rewrite (M o' I' P).
    unfold in_forces. rewrite T2, C. reflexivity.
  - rewrite dispatch_is_turn. apply any_same; [stampless|]. intros o' I' P. rewrite (M o' I' P).
    unfold leads, in_forces. rewrite T2, C. reflexivity.
  - intros H. rewrite dispatch_is_turn. apply any_less; [stampless| |exact H]. intros o' I' P. rewrite (M o' I' P).
    unfold in_waiters. rewrite T2. discriminate.
  - intros o' I' Q'. rewrite dispatch_is_turn in I'.
    apply in_the in I' as [[x [m [I' [E [_ ->]]]]]|[I' D]]; [|auto].
    assert (x = o) as -> by (apply M; [exact I'|apply Nat.eqb_eq; exact E]).
    unfold in_queue in Q'. cbn in Q'. rewrite T2 in Q'. discriminate.
Qed.

Definition step_of_pump := fun b o => if is_idle b then dispatch o b else b.

Lemma pump_stays l b : is_idle b = false -> fold_left step_of_pump l b = b.
Proof. intros I. induction l as [|o l IH]; cbn; [reflexivity|]. unfold step_of_pump at 2. rewrite I. exact IH. Qed.

Lemma not_idle_ok b : almost_ok b -> is_idle b = false -> box_ok b.
Proof.
  intros A I. apply box_of_almost; [exact A|]. intros L _. unfold is_idle, is_live in I. rewrite L in I. cbn in I.
  destruct (any o_alone b); [auto|]. destruct (any in_forces b); [auto|discriminate].
Qed.

Lemma pump_fold l b :
  almost_ok b -> waits_for l b -> (forall o, In o (b_ops b) -> in_queue o = true -> In o l) ->
  box_ok (fold_left step_of_pump l b).
Proof.
  revert b. induction l as [|o l IH]; intros b A W R.
  - cbn. apply box_of_almost; [exact A|]. intros _ Q. apply any_true in Q as [o [I Q]]. destruct (R o I Q).
  - cbn. unfold step_of_pump at 2. destruct (is_idle b) eqn:I; [|rewrite pump_stays by exact I; apply not_idle_ok; assumption].
    destruct (dispatched o l b) as (U & F & W' & P & M & E & L & S & Q); [apply A|apply A|exact W|].
    unfold is_idle in I. apply andb_prop in I as [I IF]. apply andb_prop in I as [IL IA].
    unfold is_live in IL. destruct (b_phase b) eqn:Ph; try discriminate.
    apply negb_true_iff in IF.
    apply IH; [|exact W'|].
    + constructor; try rewrite P; try discriminate; auto.
      * rewrite E, IF. discriminate.
      * intros [X|X]; discriminate.
      * unfold is_stopped. rewrite M. intros X. apply S. apply (a_stopped _ A). exact X.
    + intros o' I' Q'. destruct (Q o' I' Q') as [J D]. destruct (R o' J Q') as [->|K]; [congruence|exact K].
Qed.

Lemma queue_waits b : NoDup (ids b) -> waits_for (queue b) b.
Proof.
  intros U. constructor.
  - intros o I. apply filter_In in I. exact I.
  - unfold queue. clear -U. unfold ids in U. induction (b_ops b) as [|o l IH]; cbn in *; [constructor|].
    inversion U as [|? ? D U']; subst. destruct (in_queue o); cbn; auto. constructor; auto.
    intros I. apply D. apply in_map_iff in I as [x [E I]]. apply filter_In in I as [I _]. rewrite <- E. apply in_map. exact I.
Qed.

Lemma pump_ok b : almost_ok b -> box_ok (pump b).
Proof.
  intros A. apply (pump_fold (queue b) b A).
  - apply queue_waits. apply A.
  - intros o I Q. apply filter_In. auto.
Qed.

(** * What the steps are made of *)

(** Enough for what gives a container a life or a queue a turn. *)
Record base_ok b : Prop := {
  s_unique : NoDup (ids b);
  s_ops_ok : Forall op_ok (b_ops b);
  s_stopped : is_stopped b = true -> any in_waiters b = false }.

Lemma base_of_box b : box_ok b -> base_ok b.
Proof. intros []. constructor; assumption. Qed.

Lemma emit_first b o :
  NoDup (ids b) -> Forall op_ok (b_ops b) -> find in_forces (b_ops b) = Some o ->
  let b' := emit (o_id o) b in
  NoDup (ids b') /\ Forall op_ok (b_ops b') /\ any leads b' = true /\ any in_forces b' = true
  /\ (forall q, stampless q -> (forall x, q (ready x) = q x) -> any q b' = any q b).
Proof.
  intros U F H b'. apply find_some in H as [I Q].
  assert (S : same_id ready) by (intros x; unfold ready; destruct (has_effect x); reflexivity).
  refine (conj _ (conj _ (conj _ (conj _ _)))).
  - unfold b', emit, the. rewrite change_ids by exact S. exact U.
  - apply change_ok; [exact F|]. intros o' I' G P. rewrite (meant b o o') by assumption.
    apply emit_good; [apply (op_good _ _ F I)|exact Q].
  - unfold b', emit, the. rewrite any_change by stampless. apply existsb_exists. exists o. split; [exact I|].
    unfold has_id. rewrite Nat.eqb_refl. unfold leads, ready.
    destruct (has_effect o) eqn:E; unfold in_forces, has_effect in *; cbn; rewrite ?E, Q; reflexivity.
  - unfold b', emit, the. rewrite any_same; [apply any_true; eauto|stampless|].
    intros x _ _. unfold ready. destruct (has_effect x); reflexivity.
  - intros q Sq R. apply any_same; [exact Sq|]. intros x _ _. apply R.
Qed.

Lemma ready_chain x : o_chain (ready x) = o_chain x.
Proof. unfold ready. destruct (has_effect x); reflexivity. Qed.

Lemma ready_alone x : o_alone (ready x) = o_alone x.
Proof. unfold ready. destruct (has_effect x); reflexivity. Qed.

Lemma none_in_forces b : find in_forces (b_ops b) = None -> any in_forces b = false.
Proof. intros H. apply existsb_all. intros o I. apply (find_none _ _ H). exact I. Qed.

Lemma begin_life_ok b : base_ok b -> box_ok (begin_life b).
Proof.
  intros [U F S]. unfold begin_life.
  set (b1 := with_phase Live b).
  set (b2 := match find in_forces (b_ops b1) with Some o => emit (o_id o) b1 | None => b1 end).
  assert (J : NoDup (ids b2) /\ Forall op_ok (b_ops b2) /\ (any in_forces b2 = true -> any leads b2 = true)
              /\ (is_stopped b2 = true -> any in_waiters b2 = false) /\ b_phase b2 = Live).
  { unfold b2. destruct (find in_forces (b_ops b1)) as [o|] eqn:E.
    - destruct (emit_first b1 o U F E) as (A & B & C & D & K).
      refine (conj A (conj B (conj (fun _ => C) (conj _ eq_refl)))).
      intros X. rewrite K; [apply S; exact X|stampless|]. intros x. unfold in_waiters. rewrite ready_chain. reflexivity.
    - refine (conj U (conj F (conj _ (conj S eq_refl)))). rewrite (none_in_forces b1 E). discriminate. }
  clearbody b2. clear U F S.
  set (l := filter (fun o => negb (is_exclusive (o_command o))) (queue b2)).
  assert (W : waits_for l b2).
  { destruct (queue_waits b2) as [W N]; [apply J|]. constructor.
    - intros o I. apply W. apply filter_In in I. tauto.
    - unfold l. clear -N. induction (queue b2) as [|o l IH]; cbn in *; [constructor|]. inversion N as [|? ? D N']; subst.
      destruct (negb _); cbn; auto. constructor; auto. intros I. apply D. apply in_map_iff in I as [x [E I]].
      apply filter_In in I as [I _]. rewrite <- E. apply in_map. exact I. }
  assert (G : almost_ok (fold_left (fun b o => dispatch o b) l b2)).
  { clearbody l. revert b2 J W. induction l as [|o l IH]; intros b2 (U & F & L & S & P) W; cbn.
    - constructor; try rewrite P; try discriminate; auto. intros [X|X]; discriminate.
    - destruct (dispatched o l b2 U F W) as (U' & F' & W' & P' & M' & E' & L' & S' & _).
      apply IH; [|exact W']. refine (conj U' (conj F' (conj _ (conj _ _)))).
      + rewrite E', L'. exact L.
      + unfold is_stopped. rewrite M'. intros X. apply S'. apply S. exact X.
      + rewrite P'. exact P. }
  apply pump_ok. exact G.
Qed.

Lemma next_forced_ok b :
  base_ok b -> (b_phase b = Creating -> any creates b = true) -> (b_phase b = Undoing -> any undoes b = true) ->
  (b_phase b = Gone \/ b_phase b = Nowhere -> any in_chain b = false) -> box_ok (next_forced b).
Proof.
  intros [U F S] C D G. unfold next_forced. destruct (find in_forces (b_ops b)) as [o|] eqn:E.
  - unfold is_live. destruct (b_phase b) eqn:P;
      try (apply pump_ok; constructor; rewrite ?P; auto; discriminate).
    destruct (emit_first b o U F E) as (A & B & L & I & K). constructor; auto; try (cbn; rewrite P; discriminate).
    + cbn. rewrite P. intros [X|X]; discriminate.
    + intros X. rewrite K; [apply S; exact X|stampless|]. intros x. unfold in_waiters. rewrite ready_chain. reflexivity.
  - apply pump_ok. constructor; auto. rewrite (none_in_forces b E). discriminate.
Qed.

Lemma same_id_settle_unchain a : same_id (fun o => settle a (unchain o)).
Proof. apply same_id_settle. intros o. reflexivity. Qed.

Lemma settle_all_facts p a b :
  NoDup (ids b) -> Forall op_ok (b_ops b) -> (forall o, In o (b_ops b) -> p o = true -> fits (o_command o) a = true) ->
  let b' := settle_all p a b in
  NoDup (ids b') /\ Forall op_ok (b_ops b')
  /\ (forall q, stampless q -> (forall o, p o = true -> q (unchain o) = q o) -> (forall c o, q (settle c o) = q o) ->
      any q b' = any q b)
  /\ (forall q, stampless q -> (forall o, q (unchain o) = false) -> (forall c o, q (settle c o) = q o) ->
      (any q b = false -> any q b' = false) /\ ((forall o, q o = true -> p o = true) -> any q b' = false)).
Proof.
  intros U F H b'. refine (conj _ (conj _ (conj _ _))).
  - unfold b', settle_all. rewrite change_ids by apply same_id_settle_unchain. exact U.
  - apply change_ok; [exact F|]. intros o I G P. apply settle_unchain_good; [exact G|apply H; assumption].
  - intros q Sq Q R. apply any_same; [exact Sq|]. intros o _ P. rewrite R. apply Q. exact P.
  - intros q Sq Q R. split.
    + intros N. apply any_less; [exact Sq| |exact N]. intros o _ _. rewrite R, Q. discriminate.
    + intros X. apply any_gone; [exact Sq| |].
      * intros o _ _. rewrite R, Q. reflexivity.
      * intros o _ P. destruct (q o) eqn:E; [|reflexivity]. rewrite (X o E) in P. discriminate.
Qed.

Ltac by_settle := intros ? ?; questions; match goal with |- context [settle ?a ?o] => settled a o end; reflexivity.

Lemma waiters_fit l o e : Forall op_ok l -> In o l -> in_waiters o = true -> fits (o_command o) (Exited e) = true.
Proof.
  intros F I Q. destruct (op_good _ _ F I) as [W _]. unfold weak, in_waiters in *. destruct (o_chain o); try discriminate.
  cbn. unfold fields_ok in W. destruct (is_wait _); [reflexivity|]. rewrite andb_false_r in W.
  rewrite ?andb_false_r in W. discriminate.
Qed.

Lemma remove_ok b :
  NoDup (ids b) -> Forall op_ok (b_ops b) -> (b_phase b = Gone -> any in_chain b = false) ->
  (is_stopped b = true -> any in_waiters b = false) -> box_ok (remove b).
Proof.
  intros U F G S. unfold remove. destruct (is_gone b) eqn:P.
  - unfold is_gone in P. destruct (b_phase b) eqn:Ph; try discriminate.
    constructor; rewrite ?Ph; try discriminate; auto.
  - clear G S P.
    set (b0 := with_phase Gone b).
    destruct (settle_all_facts in_queue (Failed ContainerDeleted None) b0 U F) as (U1 & F1 & _ & K1); [reflexivity|].
    set (b1 := settle_all in_queue (Failed ContainerDeleted None) b0) in *.
    destruct (settle_all_facts in_waiters (Failed ContainerDeleted None) b1 U1 F1) as (U2 & F2 & _ & K2); [reflexivity|].
    set (b2 := settle_all in_waiters (Failed ContainerDeleted None) b1) in *.
    set (f := fun o => if has_effect o then unchain o else settle Done (unchain o)).
    assert (Fc : forall o, o_chain (f o) = NoChain).
    { intros o. unfold f. destruct (has_effect o); [reflexivity|]. destruct (settle_fields Done (unchain o)) as (_ & _ & -> & _).
      reflexivity. }
    assert (Q : any in_queue b2 = false).
    { apply (proj1 (K2 in_queue ltac:(stampless) ltac:(reflexivity) ltac:(by_settle))), (proj2 (K1 in_queue ltac:(stampless) ltac:(reflexivity) ltac:(by_settle))). auto. }
    assert (W : any in_waiters b2 = false).
    { apply (proj2 (K2 in_waiters ltac:(stampless) ltac:(reflexivity) ltac:(by_settle))). auto. }
    assert (Z : any in_chain (change in_forces f b2) = false).
    { apply any_gone; [stampless| |].
      - intros o _ _. unfold in_chain. rewrite Fc. reflexivity.
      - intros o I N. assert (A := none_in _ _ _ Q I). assert (B := none_in _ _ _ W I).
        unfold in_chain, in_queue, in_waiters, in_forces in *. destruct (o_chain o); congruence. }
    constructor; try (cbn; discriminate).
    + rewrite change_ids; [exact U2|]. intros o. unfold f. destruct (has_effect o); [reflexivity|].
      exact (proj1 (settle_fields Done (unchain o))).
    + apply change_ok; [exact F2|]. intros o I Go P. apply removed_good; assumption.
    + intros _. exact Z.
    + intros _. eapply existsb_none; [|exact Z]. intros o _. unfold in_waiters, in_chain. destruct (o_chain o); congruence.
Qed.

Lemma apply_ok r b : box_ok b -> box_ok (apply r b).
Proof.
  intros B. unfold apply. destruct r as [r|]; [|exact B]. destruct (is_newer r b); [|exact B].
  set (b1 := with_report r b). destruct B as [U F C D Q L G _].
  destruct (is_stopped b1) eqn:S.
  - destruct (settle_all_facts in_waiters (Exited (b_exit b1)) b1 U F) as (U1 & F1 & K & N).
    { intros o I P. eapply waiters_fit; eassumption. }
    assert (Same : forall q, stampless q -> (forall o, in_waiters o = true -> q (unchain o) = q o) ->
              (forall c o, q (settle c o) = q o) -> any q (settle_all in_waiters (Exited (b_exit b1)) b1) = any q b) by exact K.
    constructor; auto.
    + intros P. rewrite Same; [apply C; exact P|stampless|reflexivity|by_settle].
    + intros P. rewrite Same; [apply D; exact P|stampless|reflexivity|by_settle].
    + intros P. rewrite !Same; try stampless; try by_settle; try reflexivity; [apply Q; exact P| |].
      * intros o W. unfold in_forces, in_waiters in *. destruct (o_chain o); try discriminate; reflexivity.
      * intros o W. unfold in_queue, in_waiters in *. destruct (o_chain o); try discriminate; reflexivity.
    + intros P. rewrite !Same; try stampless; try by_settle; [apply L; exact P| |].
      * intros o W. unfold leads, in_forces, in_waiters in *. cbn. destruct (o_chain o); try discriminate; reflexivity.
      * intros o W. unfold in_forces, in_waiters in *. destruct (o_chain o); try discriminate; reflexivity.
    + intros P. apply (proj1 (N in_chain ltac:(stampless) ltac:(reflexivity) ltac:(by_settle))), G. exact P.
    + intros _. apply (proj2 (N in_waiters ltac:(stampless) ltac:(reflexivity) ltac:(by_settle))). auto.
  - constructor; auto. rewrite S. discriminate.
Qed.
