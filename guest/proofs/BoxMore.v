(* What else reaches a container: requests, polling, observations; and that the dead are freed. *)

From Coq Require Import List Bool Arith Lia.
From Selur Require Import Container Invariant OpLemmas BoxOk BoxSteps Machine.
Import ListNotations.

(** * Requests *)

Lemma any_add q o b : stampless q -> any q (add o b) = any q b || q o.
Proof.
  intros S. unfold any, add, touch. cbn. rewrite existsb_app. cbn. rewrite S, orb_false_r. reflexivity.
Qed.

Lemma add_ids o b : ids (add o b) = ids b ++ [o_id o].
Proof. unfold ids, add. cbn. rewrite map_app. reflexivity. Qed.

Lemma add_unique o b : NoDup (ids b) -> ~ In (o_id o) (ids b) -> NoDup (ids (add o b)).
Proof.
  intros U D. rewrite add_ids. apply NoDup_rev in U. rewrite <- (rev_involutive (ids b ++ _)). apply NoDup_rev.
  rewrite rev_app_distr. cbn. constructor; [|exact U]. rewrite <- in_rev. exact D.
Qed.

Lemma add_ok o b : Forall op_ok (b_ops b) -> good o -> Forall op_ok (b_ops (add o b)).
Proof.
  intros F G. cbn. apply Forall_app. split; [exact F|]. constructor; [|constructor]. apply ok_of_touch; [lia|exact G].
Qed.

Lemma base_add o b : box_ok b -> good o -> ~ In (o_id o) (ids b) -> in_waiters o = false -> base_ok (add o b).
Proof.
  intros B G D W. constructor; [apply add_unique; [apply B|exact D]|apply add_ok; [apply B|exact G]|].
  intros S. rewrite any_add by stampless. rewrite (b_stopped _ B S), W. reflexivity.
Qed.

Lemma in_change_other p f b o : In o (b_ops b) -> p o = false -> In o (b_ops (change p f b)).
Proof.
  rewrite change_ops. generalize (S (b_clock b)). induction (b_ops b) as [|x l IH]; cbn; intros n I P; [easy|].
  destruct I as [->|I]; [rewrite P; auto|right; apply IH; assumption].
Qed.

Lemma cut_short_is b :
  NoDup (ids b) -> Forall op_ok (b_ops b) ->
  let b' := cut_short b in
  NoDup (ids b') /\ Forall op_ok (b_ops b') /\ b_phase b' = b_phase b /\ b_mode b' = b_mode b
  /\ any in_forces b' = any in_forces b
  /\ (any in_waiters b = false -> any in_waiters b' = false) /\ (any in_queue b = false -> any in_queue b' = false)
  /\ (any (fun o => o_alone o && is_ready o) b = false -> any creates b' = any creates b /\ any undoes b' = any undoes b)
  /\ (forall o, In o (b_ops b) -> o_alone o = false -> In o (b_ops b')).
Proof.
  intros U F b'. unfold b', cut_short. destruct (any _ b) eqn:R.
  - assert (C : forall o, take_back (Failed CancelledByDelete None) o = o
                \/ o_chain (take_back (Failed CancelledByDelete None) o) = NoChain).
    { intros o. destruct (o_effect o) eqn:E; [left|right; apply take_back_is, E|left]; unfold take_back, is_ready; rewrite E;
        reflexivity. }
    refine (conj _ (conj _ (conj eq_refl (conj eq_refl (conj _ (conj _ (conj _ (conj _ _)))))))).
    + rewrite change_ids; [exact U|]. intros o. unfold take_back. destruct (is_ready o); [|reflexivity].
      etransitivity; [apply (proj1 (settle_fields _ _))|reflexivity].
    + apply change_ok; [exact F|]. intros o _ G _. apply take_back_good; [exact G|reflexivity].
    + apply any_same; [stampless|]. intros o I A. destruct (C o) as [->|N]; [reflexivity|].
      unfold in_forces at 1. rewrite N. destruct (good_fields o (op_good _ _ F I)) as (_ & _ & _ & K & _).
      destruct (in_forces o); [rewrite K in A by reflexivity; discriminate|reflexivity].
    + apply any_less; [stampless|]. intros o _ _. destruct (C o) as [->|N]; [auto|]. unfold in_waiters at 1. rewrite N. discriminate.
    + apply any_less; [stampless|]. intros o _ _. destruct (C o) as [->|N]; [auto|]. unfold in_queue at 1. rewrite N. discriminate.
    + discriminate.
    + intros o I A. apply in_change_other; assumption.
  - set (f := fun o => abort (marked_by_delete o)).
    assert (S : forall o, o_chain (f o) = o_chain o /\ o_effect (f o) = o_effect o /\ o_alone (f o) = o_alone o
                /\ o_command (f o) = o_command o /\ o_undo_next (f o) = o_undo_next o /\ o_id (f o) = o_id o).
    { intros o. destruct (abort_fields (marked_by_delete o)) as (? & ? & ? & ? & ? & ?). repeat split; assumption. }
    assert (K : forall q, stampless q -> (forall x y, o_chain x = o_chain y -> o_effect x = o_effect y ->
                o_alone x = o_alone y -> o_command x = o_command y -> o_undo_next x = o_undo_next y -> q x = q y) ->
                any q (change o_alone f b) = any q b).
    { intros q Sq H. apply any_same; [exact Sq|]. intros o _ _. destruct (S o) as (? & ? & ? & ? & ? & _). apply H; assumption. }
    refine (conj _ (conj _ (conj eq_refl (conj eq_refl (conj _ (conj _ (conj _ (conj _ _)))))))).
    + rewrite change_ids; [exact U|]. intros o. apply S.
    + apply change_ok; [exact F|]. intros o _ G _. apply mark_good. exact G.
    + apply K; [stampless|alike].
    + rewrite K; [auto|stampless|alike].
    + rewrite K; [auto|stampless|alike].
    + intros _. split; (rewrite K; [reflexivity|stampless|alike]).
    + intros o I A. apply in_change_other; assumption.
Qed.

Lemma settle_queue a b :
  NoDup (ids b) -> Forall op_ok (b_ops b) -> (forall c, fits c a = true) ->
  let b' := settle_all in_queue a b in
  NoDup (ids b') /\ Forall op_ok (b_ops b') /\ any in_queue b' = false /\ any in_forces b' = any in_forces b
  /\ any creates b' = any creates b /\ any undoes b' = any undoes b
  /\ (any in_waiters b = false -> any in_waiters b' = false)
  /\ any (fun o => o_alone o && is_ready o) b' = any (fun o => o_alone o && is_ready o) b
  /\ (forall o, In o (b_ops b) -> in_queue o = false -> In o (b_ops b')).
Proof.
  intros U F H b'. destruct (settle_all_facts in_queue a b U F) as (U1 & F1 & K & N); [auto|].
  refine (conj U1 (conj F1 (conj _ (conj _ (conj _ (conj _ (conj _ (conj _ _)))))))).
  - apply (proj2 (N in_queue ltac:(stampless) ltac:(reflexivity) ltac:(by_settle))). auto.
  - apply K; [stampless| |by_settle]. intros o. unfold in_queue, in_forces, unchain. destruct (o_chain o); cbn; congruence.
  - apply K; [stampless|reflexivity|by_settle].
  - apply K; [stampless|reflexivity|by_settle].
  - apply (proj1 (N in_waiters ltac:(stampless) ltac:(reflexivity) ltac:(by_settle))).
  - apply K; [stampless|reflexivity|]. intros c o. unfold is_ready. settled c o. reflexivity.
  - intros o I A. apply in_change_other; assumption.
Qed.

Lemma force_ok id admitted b b' p :
  box_ok b -> ~ In id (ids b) -> b_phase b <> Gone -> b_phase b <> Nowhere ->
  force id admitted b = (b', p) -> box_ok b'.
Proof.
  intros B D NG NN. assert (U := b_unique _ B). assert (F := b_ops_ok _ B). unfold force.
  destruct (is_unborn b) eqn:Ub.
  - intros E. injection E as <- _.
    destruct (settle_queue (Failed CancelledByDelete None) b U F) as (U1 & F1 & Q1 & _ & _ & _ & W1 & _); [reflexivity|].
    destruct (cut_short_is _ U1 F1) as (U2 & F2 & P2 & M2 & _ & W2 & _).
    apply remove_ok; [exact U2|exact F2| |].
    + rewrite P2. intros X. contradiction.
    + unfold is_stopped. rewrite M2. intros X. apply W2, W1, (b_stopped _ B), X.
  - destruct admitted; [intros E; injection E as <- _; exact B|].
    set (n := new_op id (Delete true) Forces NoEffect false 0 0).
    assert (Gn : good n) by (repeat split).
    assert (Ba := base_add n b B Gn D eq_refl).
    assert (NF : any in_forces (add n b) = true) by (rewrite any_add by stampless; cbn; apply orb_true_r).
    assert (SC : any creates (add n b) = any creates b) by (rewrite any_add by stampless; cbn; apply orb_false_r).
    assert (SU : any undoes (add n b) = any undoes b) by (rewrite any_add by stampless; cbn; apply orb_false_r).
    assert (In_ : In (touch (S (b_clock b)) n) (b_ops (add n b))) by (cbn; apply in_or_app; right; left; reflexivity).
    set (b1 := add n b) in *. assert (P1 : b_phase b1 = b_phase b) by reflexivity.
    assert (M1 : b_mode b1 = b_mode b) by reflexivity.
    destruct (negb (any in_forces b) && negb (is_undoing b)) eqn:Fi.
    + apply andb_prop in Fi as [Fi Nu].
      destruct (settle_queue (Failed CancelledByDelete None) b1 (s_unique _ Ba) (s_ops_ok _ Ba))
        as (U2 & F2 & Q2 & N2 & C2 & D2 & W2 & R2 & I2); [reflexivity|].
      assert (In2 := I2 _ In_ eq_refl). clear I2.
      assert (P2 : b_phase (settle_all in_queue (Failed CancelledByDelete None) b1) = b_phase b) by reflexivity.
      assert (M2 : b_mode (settle_all in_queue (Failed CancelledByDelete None) b1) = b_mode b) by reflexivity.
      set (b2 := settle_all in_queue (Failed CancelledByDelete None) b1) in *. clearbody b2.
      destruct (cut_short_is b2 U2 F2) as (U3 & F3 & P3 & M3 & N3 & W3 & Q3 & CU3 & I3).
      assert (In3 := I3 _ In2 eq_refl). clear I3.
      assert (St : is_stopped (cut_short b2) = true -> any in_waiters (cut_short b2) = false).
      { unfold is_stopped. rewrite M3, M2. intros X. apply W3, W2, (s_stopped _ Ba). unfold is_stopped. rewrite M1. exact X. }
      set (b3 := cut_short b2) in *. rewrite P2 in P3.
      unfold is_live. rewrite P3. destruct (b_phase b) eqn:Ph; try contradiction.
      * (* creating: not unborn, so the create is out, and stays *)
        intros E. injection E as <- _. unfold is_unborn, is_creating in Ub. rewrite Ph in Ub. cbn in Ub.
        assert (X : any (fun o => o_alone o && is_ready o) b2 = false).
        { rewrite R2. unfold b1. rewrite any_add by stampless. rewrite Ub. reflexivity. }
        destruct (CU3 X) as [C3 _]. constructor; auto; rewrite P3; try discriminate.
        -- intros _. rewrite C3, C2, SC. apply (b_creating _ B), Ph.
        -- intros [Y|Y]; discriminate.
      * intros E. injection E as <- _.
        assert (Sid : forall x, In x (b_ops b3) -> has_id id x = true -> in_forces x = true).
        { intros x Ix Ex. apply Nat.eqb_eq in Ex.
          assert (x = touch (S (b_clock b)) n) as -> by (eapply unique_op; [exact U3|exact Ix|exact In3|exact Ex]).
          reflexivity. }
        assert (Fr : forall q, stampless q -> (forall x, q (ready x) = q x) -> any q (emit id b3) = any q b3).
        { intros q Sq H. apply any_same; [exact Sq|]. intros x _ _. apply H. }
        constructor.
        -- unfold emit, the. rewrite change_ids; [exact U3|]. intros x. unfold ready. destruct (has_effect x); reflexivity.
        -- apply change_ok; [exact F3|]. intros x Ix Gx Ex. apply emit_good; [exact Gx|apply Sid; assumption].
        -- cbn. rewrite P3. discriminate.
        -- cbn. rewrite P3. discriminate.
        -- intros _ X. right. rewrite Fr; [|stampless|intros x; unfold in_forces; rewrite ready_chain; reflexivity].
           rewrite N3, N2. exact NF.
        -- intros _ _. unfold emit, the. rewrite any_change by stampless. apply existsb_exists. eexists.
           split; [exact In3|]. unfold has_id. cbn. rewrite Nat.eqb_refl. reflexivity.
        -- cbn. rewrite P3. intros [Y|Y]; discriminate.
        -- intros X. rewrite Fr; [|stampless|intros x; unfold in_waiters; rewrite ready_chain; reflexivity].
           apply St. exact X.
      * unfold is_undoing in Nu. rewrite Ph in Nu. discriminate.
    + intros E. injection E as <- _. constructor; try apply Ba.
      * intros P. rewrite SC. apply (b_creating _ B), P.
      * intros P. rewrite SU. apply (b_undoing _ B), P.
      * intros _ _. right. exact NF.
      * intros P _. unfold b1. rewrite any_add by stampless. cbn. rewrite orb_false_r. apply (b_forces _ B P).
        apply andb_false_iff in Fi as [Fi|Fi]; [apply negb_false_iff in Fi; exact Fi|].
        unfold is_undoing in Fi. rewrite P1 in P. rewrite P in Fi. discriminate.
      * rewrite P1. intros [X|X]; contradiction.
Qed.

Lemma ask_ok c id admitted b b' p :
  box_ok b -> ~ In id (ids b) -> b_phase b <> Gone -> b_phase b <> Nowhere ->
  ask c id admitted b = (b', p) -> box_ok b'.
Proof.
  intros B D NG NN. unfold ask. destruct (is_create c) eqn:C; [intros E; injection E as <- _; exact B|].
  destruct (is_wait c && is_stopped b) eqn:WS; [intros E; injection E as <- _; exact B|].
  destruct (is_forced c) eqn:Fo; [apply force_ok; assumption|].
  assert (A : forall ch ef al,
    good (new_op id c ch ef al 0 0) ->
    (ch = Waiters -> is_stopped b = false) -> ch <> Forces ->
    (ch = Queue -> b_phase b = Live -> any o_alone b = true \/ any in_forces b = true) ->
    box_ok (add (new_op id c ch ef al 0 0) b)).
  { intros ch ef al G W NF Q. set (n := new_op id c ch ef al 0 0) in *.
    constructor.
    - apply add_unique; [apply B|exact D].
    - apply add_ok; [apply B|exact G].
    - intros P. rewrite any_add by stampless. rewrite (b_creating _ B P). reflexivity.
    - intros P. rewrite any_add by stampless. rewrite (b_undoing _ B P). reflexivity.
    - intros P X. rewrite !any_add in * by stampless.
      assert (Y : any o_alone b = true \/ any in_forces b = true).
      { apply orb_true_iff in X as [X|X]; [apply (b_queue _ B P X)|]. apply Q; [|exact P].
        unfold in_queue in X. cbn in X. destruct ch; congruence. }
      destruct Y as [->| ->]; [left|right]; reflexivity.
    - intros P X. rewrite !any_add in * by stampless. rewrite (b_forces _ B P); [reflexivity|].
      apply orb_true_iff in X as [X|X]; [exact X|]. unfold in_forces in X. cbn in X. destruct ch; congruence.
    - intros [P|P]; contradiction.
    - intros S. rewrite any_add by stampless. rewrite (b_stopped _ B S). cbn. unfold in_waiters. cbn.
      destruct ch; try reflexivity.
      change (is_stopped b = true) in S. rewrite W in S; [discriminate|reflexivity]. }
  destruct (is_wait c) eqn:W.
  - destruct admitted; intros E; injection E as <- _; [exact B|]. cbn in WS. apply A; try discriminate; [|auto].
    unfold good, weak, answer_ok, not_lost. cbn. rewrite C, W, Fo. auto.
  - destruct (negb _) eqn:T.
    + destruct admitted; intros E; injection E as <- _; [exact B|]. apply A; try discriminate.
      * unfold good, weak, answer_ok, not_lost. cbn. rewrite C, W, Fo. auto.
      * intros _ P. apply negb_true_iff in T. unfold is_idle, is_live in T. rewrite P in T. cbn in T.
        destruct (is_exclusive c); [|discriminate]. destruct (any o_alone b); [auto|].
        destruct (any in_forces b); [auto|discriminate].
    + destruct (decide _ _); [|intros E; injection E as <- _; exact B..].
      destruct admitted; intros E; injection E as <- _; [exact B|]. apply A; try discriminate.
      unfold good, weak, answer_ok, not_lost. cbn. rewrite C, W, Fo. destruct (is_exclusive c); auto.
Qed.

Lemma created_ok c id name slot bytes clock : box_ok (created c id name slot bytes clock).
Proof.
  assert (G : good (new_op id Create NoChain Ready true slot bytes)) by (repeat split).
  constructor; try (cbn; discriminate).
  - cbn. constructor; [easy|constructor].
  - cbn. constructor; [|constructor]. apply ok_of_touch; [lia|exact G].
  - reflexivity.
  - intros [X|X]; discriminate.
Qed.

(** * Polling *)

Lemma say_ok n o b :
  box_ok b -> In o (b_ops b) -> has_output o = true -> ~ In n (ids b) ->
  box_ok (the (o_id o) (fun x => snd (say n (b_id b) x)) b).
Proof.
  intros B I O D. assert (U := b_unique _ B). assert (F := b_ops_ok _ B). assert (G := op_good _ _ F I).
  destruct (good_fields o G) as (KA & KQ & KW & KF & KU & KD & KE & KL).
  set (f := fun x => snd (say n (b_id b) x)).
  (* the operation is what it was but for its effect's stage, its ticket or its abort *)
  assert (Plain : good (f o) -> o_id (f o) = o_id o ->
    (forall q, stampless q -> (q = creates \/ q = undoes \/ q = o_alone \/ q = in_queue \/ q = in_forces \/ q = leads
                               \/ q = in_chain \/ q = in_waiters) -> q (f o) = q o) -> box_ok (the (o_id o) f b)).
  { intros Gf N Q.
    assert (S : forall q, stampless q -> (q = creates \/ q = undoes \/ q = o_alone \/ q = in_queue \/ q = in_forces
              \/ q = leads \/ q = in_chain \/ q = in_waiters) -> any q (the (o_id o) f b) = any q b).
    { intros q Sq Hq. apply one_same; try assumption. apply Q; assumption. }
    constructor.
    - apply one_ids; assumption.
    - apply one_ok; assumption.
    - rewrite S; [apply (b_creating _ B)|stampless|tauto].
    - rewrite S; [apply (b_undoing _ B)|stampless|tauto].
    - rewrite !S; try stampless; try tauto. apply (b_queue _ B).
    - rewrite !S; try stampless; try tauto. apply (b_forces _ B).
    - rewrite S; [apply (b_gone _ B)|stampless|tauto].
    - rewrite S; [apply (b_stopped _ B)|stampless|tauto]. }
  unfold say in f. destruct (is_ready o) eqn:R.
  - assert (E : o_effect o = Ready) by (unfold is_ready in R; destruct (o_effect o); congruence).
    assert (Ef : f o = with_effect Out o) by (unfold f; rewrite R; reflexivity).
    apply Plain; rewrite Ef; [|reflexivity|].
    + destruct G as [W [A N]]. split; [|split; [exact A|]].
      * unfold weak in *. cbn. rewrite E in W. exact W.
      * unfold not_lost. cbn. destruct (is_open _); reflexivity.
    + intros q Sq Hq. unfold creates, undoes, leads, has_effect in Hq.
      repeat destruct Hq as [->|Hq]; subst; cbn; rewrite ?E; reflexivity.
  - destruct (o_abort_waits o) eqn:Ab.
    + assert (Ef : f o = with_aborts false (o_aborted o) o) by (unfold f; rewrite R, Ab; reflexivity).
      apply Plain; rewrite Ef; [exact G|reflexivity|].
      intros q Sq Hq. repeat destruct Hq as [->|Hq]; subst; reflexivity.
    + assert (T : o_ticket o = Settled).
      { unfold has_output in O. rewrite R, Ab, orb_false_r in O. cbn in O. unfold is_settled in O.
        destruct (o_ticket o); congruence. }
      destruct (o_undo_next o) eqn:Un.
      * assert (Ef : f o = undo_of n o) by (unfold f; rewrite R, Ab, Un; reflexivity).
        destruct (KU eq_refl) as (_ & E & C).
        assert (Gf : good (f o)) by (rewrite Ef; apply undo_of_good).
        assert (He : has_effect o = false) by (unfold has_effect; rewrite E; reflexivity).
        assert (M : forall q, stampless q -> (q o = true -> q (undo_of n o) = true) ->
                    any q b = true -> any q (the (o_id o) f b) = true).
        { intros q Sq H. apply one_more; try assumption. rewrite Ef. exact H. }
        assert (Lf : forall q, stampless q -> q (undo_of n o) = false -> any q b = false -> any q (the (o_id o) f b) = false).
        { intros q Sq H. apply one_less; try assumption. rewrite Ef. congruence. }
        constructor.
        -- replace (ids (the (o_id o) f b)) with (ids (the (o_id o) (undo_of n) b)); [apply undo_in_box; assumption|].
           assert (X : forall x, In x (b_ops b) -> has_id (o_id o) x = true -> o_id (undo_of n x) = o_id (f x)).
           { intros x Ix Ex. rewrite (one_is b o U I x Ix Ex), Ef. reflexivity. }
           revert X. unfold ids, the. rewrite !change_ops. generalize (S (b_clock b)). clear.
           induction (b_ops b) as [|x l IH]; cbn; intros k X; [reflexivity|]. rewrite IH by auto.
           destruct (has_id (o_id o) x) eqn:E; [|reflexivity]. cbn. f_equal. apply (X x); auto.
        -- apply one_ok; assumption.
        -- intros P. apply M; [stampless| |apply (b_creating _ B), P]. unfold creates. rewrite He, andb_false_r. discriminate.
        -- intros P. apply M; [stampless|reflexivity|apply (b_undoing _ B), P].
        -- intros P Q. destruct (b_queue _ B P) as [X|X].
           ++ destruct (any in_queue b) eqn:Z; [reflexivity|]. rewrite <- Q. symmetry. apply Lf; [stampless|reflexivity|exact Z].
           ++ left. apply M; [stampless|reflexivity|exact X].
           ++ right. apply M; [stampless| |exact X]. unfold in_forces at 1. rewrite C. discriminate.
        -- intros P Q. apply M; [stampless| |].
           ++ unfold leads. rewrite He, andb_false_r. discriminate.
           ++ apply (b_forces _ B P). destruct (any in_forces b) eqn:Z; [reflexivity|]. rewrite <- Q. symmetry.
              apply Lf; [stampless|reflexivity|exact Z].
        -- intros P. apply Lf; [stampless|reflexivity|apply (b_gone _ B), P].
        -- intros P. apply Lf; [stampless|reflexivity|apply (b_stopped _ B), P].
      * assert (Ef : f o = with_ticket NoTicket o) by (unfold f; rewrite R, Ab, Un; reflexivity).
        apply Plain; rewrite Ef; [|reflexivity|].
        -- destruct G as [W [A N]]. split; [|split; reflexivity]. unfold weak in *. cbn. rewrite T, Un in W. rewrite Un.
           table (fun ch ef (ti : ticket_stage) al (un : bool) c w f =>
             implb (fields_ok ch ef Settled al false c w f) (fields_ok ch ef NoTicket al false c w f)) W.
        -- intros q Sq Hq. repeat destruct Hq as [->|Hq]; subst; reflexivity.
Qed.

(** * Observations *)

Lemma lost_ok b : box_ok b -> box_ok (lost b).
Proof.
  intros B. unfold lost. destruct (is_coming b); [exact B|].
  apply remove_ok; try apply B. intros P. apply (b_gone _ B). left. exact P.
Qed.

Lemma with_name_ok n b : box_ok b -> box_ok (with_name n b).
Proof. intros []. constructor; assumption. Qed.

Lemma with_clock_ok n b : box_ok b -> box_ok (with_clock n b).
Proof. intros []. constructor; assumption. Qed.

Lemma empty_ok id name n : box_ok (Box id name 0 0 None Created Live false [] n).
Proof. constructor; cbn; try discriminate; try constructor; auto. Qed.

(** * The dead are freed *)

Lemma keep_ops_ok b : box_ok b -> box_ok (keep_ops b).
Proof.
  intros B. set (alive := fun o => negb (is_dead o)).
  assert (M : forall q, (forall o, In o (b_ops b) -> q o = true -> alive o = true) -> any q b = true -> any q (keep_ops b) = true).
  { intros q H X. apply any_true in X as [o [I Q]]. apply any_true. exists o. split; [|exact Q]. cbn. apply filter_In.
    split; [exact I|]. apply H; assumption. }
  assert (L : forall q, any q b = false -> any q (keep_ops b) = false).
  { intros q H. apply existsb_all. intros o I. cbn in I. apply filter_In in I as [I _]. eapply none_in; eassumption. }
  assert (L' : forall q, any q (keep_ops b) = true -> any q b = true).
  { intros q H. destruct (any q b) eqn:Z; [reflexivity|]. rewrite <- H. symmetry. apply L, Z. }
  assert (E : forall o, has_effect o = true -> alive o = true).
  { intros o H. unfold alive, is_dead. rewrite H, andb_false_r. reflexivity. }
  assert (A : forall o, In o (b_ops b) -> o_alone o = true -> alive o = true).
  { intros o I Al. destruct (good_fields o (op_good _ _ (b_ops_ok _ B) I)) as (KA & _ & _ & _ & KU & _).
    destruct (KA Al) as [H|H]; [apply E, H|]. destruct (KU H) as (T & _). unfold alive, is_dead, has_ticket. rewrite T.
    reflexivity. }
  constructor.
  - assert (U := b_unique _ B). unfold ids in *. cbn. clear -U. induction (b_ops b) as [|o l IH]; cbn in *; [constructor|].
    inversion U as [|? ? D U']; subst. destruct (negb _); cbn; auto. constructor; auto. intros I. apply D.
    apply in_map_iff in I as [x [X I]]. apply filter_In in I as [I _]. rewrite <- X. apply in_map. exact I.
  - cbn. assert (F := b_ops_ok _ B). rewrite Forall_forall in *. intros o I. apply filter_In in I as [I _]. auto.
  - intros P. apply M; [|apply (b_creating _ B), P]. intros o I Q. unfold creates in Q. apply andb_prop in Q as [_ Q]. auto.
  - intros P. apply M; [|apply (b_undoing _ B), P]. intros o I Q. unfold undoes in Q. apply andb_prop in Q as [Q _]. auto.
  - intros P Q. destruct (b_queue _ B P (L' _ Q)) as [X|X]; [left; apply M; auto|right].
    apply (b_forces _ B P) in X. assert (Y : any leads (keep_ops b) = true).
    { apply M; [|exact X]. intros o I Z. unfold leads in Z. apply andb_prop in Z as [_ Z]. auto. }
    eapply existsb_imp; [|exact Y]. intros o _ Z. unfold leads in Z. apply andb_prop in Z as [Z _]. exact Z.
  - intros P Q. apply M; [|apply (b_forces _ B P), (L' _ Q)]. intros o I Z. unfold leads in Z. apply andb_prop in Z as [_ Z]. auto.
  - intros P. apply L, (b_gone _ B), P.
  - intros P. apply L, (b_stopped _ B), P.
Qed.
