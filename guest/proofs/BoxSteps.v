(* Every input that reaches a container keeps what Invariant.v says of it. *)

From Coq Require Import List Bool Arith Lia.
From Selur Require Import Container Invariant OpLemmas BoxOk.
Import ListNotations.

(** A change of the operation [o] alone. *)
Section TheOne.

Variables (b : box) (o : op) (f : op -> op).
Hypothesis U : NoDup (ids b).
Hypothesis F : Forall op_ok (b_ops b).
Hypothesis I : In o (b_ops b).
Hypothesis G : good (f o).
Hypothesis N : o_id (f o) = o_id o.

Let b' := the (o_id o) f b.

Lemma one_is o' : In o' (b_ops b) -> has_id (o_id o) o' = true -> o' = o.
Proof. intros I' E. eapply meant; eassumption. Qed.

Lemma one_ids : NoDup (ids b').
Proof.
  unfold b', ids, the. rewrite change_ops. unfold ids in U.
  replace (map o_id (change_list (has_id (o_id o)) f (S (b_clock b)) (b_ops b))) with (map o_id (b_ops b)); [exact U|].
  assert (H : forall o', In o' (b_ops b) -> has_id (o_id o) o' = true -> o_id (f o') = o_id o').
  { intros o' I' E. rewrite (one_is o' I' E). exact N. }
  revert H. clear. generalize (S (b_clock b)). induction (b_ops b) as [|x l IH]; cbn; intros n H; [reflexivity|].
  rewrite <- IH; [|auto]. destruct (has_id (o_id o) x) eqn:E; [|reflexivity]. cbn. rewrite H; auto.
Qed.

Lemma one_ok : Forall op_ok (b_ops b').
Proof. apply change_ok; [exact F|]. intros o' I' _ E. rewrite (one_is o' I' E). exact G. Qed.

Lemma one_same q : stampless q -> q (f o) = q o -> any q b' = any q b.
Proof. intros S E. apply any_same; [exact S|]. intros o' I' P. rewrite (one_is o' I' P). exact E. Qed.

Lemma one_less q : stampless q -> (q (f o) = true -> q o = true) -> any q b = false -> any q b' = false.
Proof. intros S E. apply any_less; [exact S|]. intros o' I' P. rewrite (one_is o' I' P). exact E. Qed.

Lemma one_more q : stampless q -> (q o = true -> q (f o) = true) -> any q b = true -> any q b' = true.
Proof. intros S E. apply any_more; [exact S|]. intros o' I' P. rewrite (one_is o' I' P). exact E. Qed.

Lemma one_true q : stampless q -> q (f o) = true -> any q b' = true.
Proof.
  intros S E. unfold b', the. rewrite any_change by exact S. apply existsb_exists. exists o. split; [exact I|].
  unfold has_id. rewrite Nat.eqb_refl. exact E.
Qed.

(** It leaves its chain, if it was in one, and has no effect that it had not. *)
Lemma one_base : box_ok b -> o_chain (f o) = NoChain \/ o_chain (f o) = o_chain o -> base_ok b'.
Proof.
  intros B C. constructor; [exact one_ids|exact one_ok|]. intros X. apply one_less; [stampless| |apply (b_stopped _ B), X].
  unfold in_waiters. destruct C as [->| ->]; [discriminate|auto].
Qed.

Lemma one_gone :
  box_ok b -> o_chain (f o) = NoChain \/ o_chain (f o) = o_chain o ->
  b_phase b' = Gone \/ b_phase b' = Nowhere -> any in_chain b' = false.
Proof.
  intros B C X. apply one_less; [stampless| |apply (b_gone _ B), X].
  unfold in_chain. destruct C as [->| ->]; [discriminate|auto].
Qed.

End TheOne.

(** Everything about the fields of [o] that decides, from its being good. *)
Lemma good_fields o : good o ->
  (o_alone o = true -> has_effect o = true \/ o_undo_next o = true)
  /\ (in_queue o = true -> o_effect o = NoEffect)
  /\ (in_waiters o = true -> o_effect o = NoEffect)
  /\ (in_forces o = true -> o_alone o = false)
  /\ (o_undo_next o = true -> o_ticket o = Settled /\ o_effect o = NoEffect /\ o_chain o = NoChain)
  /\ (o_alone o = true -> is_forced (o_command o) = true -> o_ticket o = NoTicket)
  /\ (has_effect o = true -> is_wait (o_command o) = false)
  /\ (o_ticket o = Open -> has_effect o = true \/ in_chain o = true).
Proof.
  intros [W [_ N]].
  assert (T : forall p, all_fields (fun ch ef ti al un c w f => implb (fields_ok ch ef ti al un c w f) (p ch ef ti al un c w f)) = true ->
    p (o_chain o) (o_effect o) (o_ticket o) (o_alone o) (o_undo_next o) (is_create (o_command o)) (is_wait (o_command o))
      (is_forced (o_command o)) = true).
  { intros p H. exact (implb_elim _ _ (all_fields_of _ H _ _ _ _ _ _ _ _) W). }
  unfold has_effect, in_queue, in_waiters, in_forces, in_chain, not_lost, is_open in *.
  refine (conj _ (conj _ (conj _ (conj _ (conj _ (conj _ (conj _ _))))))).
  - assert (X := T (fun _ ef _ al un _ _ _ => implb al (match ef with NoEffect => false | _ => true end || un)) eq_refl).
    cbn in X. intros A. rewrite A in X. apply orb_true_iff in X. exact X.
  - assert (X := T (fun ch ef _ _ _ _ _ _ => match ch, ef with Queue, NoEffect => true | Queue, _ => false | _, _ => true end) eq_refl).
    cbn in X. destruct (o_chain o), (o_effect o); congruence.
  - assert (X := T (fun ch ef _ _ _ _ _ _ => match ch, ef with Waiters, NoEffect => true | Waiters, _ => false | _, _ => true end) eq_refl).
    cbn in X. destruct (o_chain o), (o_effect o); congruence.
  - assert (X := T (fun ch _ _ al _ _ _ _ => match ch with Forces => negb al | _ => true end) eq_refl).
    cbn in X. destruct (o_chain o), (o_alone o); cbn in X; congruence.
  - assert (X := T (fun ch ef ti _ un _ _ _ => implb un (match ch, ef, ti with NoChain, NoEffect, Settled => true | _, _, _ => false end)) eq_refl).
    cbn in X. intros A. rewrite A in X. destruct (o_chain o), (o_effect o), (o_ticket o); cbn in X; try discriminate; auto.
  - assert (X := T (fun _ _ ti al _ _ _ f => implb (al && f) (match ti with NoTicket => true | _ => false end)) eq_refl).
    cbn in X. intros A B. rewrite A, B in X. destruct (o_ticket o); cbn in X; congruence.
  - assert (X := T (fun _ ef _ _ _ _ w _ => implb (match ef with NoEffect => false | _ => true end) (negb w)) eq_refl).
    cbn in X. destruct (o_effect o); [discriminate| |]; intros _; cbn in X; destruct (is_wait _); cbn in X; congruence.
  - intros A. rewrite A in N. cbn in N. apply orb_true_iff in N. exact N.
Qed.

(** * Cancel *)

Ltac alike :=
  intros x y A1 A2 A3 A4 A5; unfold creates, undoes, leads, in_forces, in_queue, in_chain, in_waiters, has_effect;
  rewrite ?A1, ?A2, ?A3, ?A4, ?A5; reflexivity.

Lemma abort_ok id b : box_ok b -> box_ok (the id abort b).
Proof.
  intros [U F C D Q L G S].
  assert (K : forall q, stampless q -> (forall x, q (abort x) = q x) -> any q (the id abort b) = any q b).
  { intros q Sq E. apply any_same; [exact Sq|]. intros x _ _. apply E. }
  assert (A : forall x, o_chain (abort x) = o_chain x /\ o_effect (abort x) = o_effect x /\ o_alone (abort x) = o_alone x
              /\ o_command (abort x) = o_command x /\ o_undo_next (abort x) = o_undo_next x).
  { intros x. destruct (abort_fields x) as (_ & ? & ? & ? & ? & ?). auto. }
  assert (E : forall q, stampless q ->
     (forall x y, o_chain x = o_chain y -> o_effect x = o_effect y -> o_alone x = o_alone y ->
        o_command x = o_command y -> o_undo_next x = o_undo_next y -> q x = q y) -> any q (the id abort b) = any q b).
  { intros q Sq H. apply K; [exact Sq|]. intros x. destruct (A x) as (? & ? & ? & ? & ?). apply H; assumption. }
  constructor.
  - unfold the. rewrite change_ids; [exact U|]. intros x. apply abort_fields.
  - apply change_ok; [exact F|]. intros x _ X _. apply abort_good. exact X.
  - rewrite E; [exact C|stampless|]. alike.
  - rewrite E; [exact D|stampless|]. alike.
  - rewrite !E; try stampless; try alike. exact Q.
  - rewrite !E; try stampless; try alike. exact L.
  - rewrite E; [exact G|stampless|]. alike.
  - rewrite E; [exact S|stampless|]. alike.
Qed.

Lemma take_back_is a o : o_effect o = Ready ->
  o_id (take_back a o) = o_id o /\ o_chain (take_back a o) = NoChain /\ o_alone (take_back a o) = false
  /\ o_effect (take_back a o) = NoEffect.
Proof.
  intros R. unfold take_back, is_ready. rewrite R.
  destruct (settle_fields a (with_alone false (with_effect NoEffect (unchain (with_stamp 0 o))))) as (-> & _ & -> & -> & -> & _).
  auto.
Qed.

Lemma cancel_ok o why b : box_ok b -> In o (b_ops b) -> o_ticket o = Open -> box_ok (cancel o why b).
Proof.
  intros B I T. assert (G := op_good _ _ (b_ops_ok _ B) I). assert (U := b_unique _ B). assert (F := b_ops_ok _ B).
  destruct (good_fields o G) as (KA & KQ & KW & KF & KU & KD & KE & KL). unfold cancel.
  destruct (o_effect o) eqn:E.
  - (* it waits in a chain *)
    set (f := fun o => settle (Failed why None) (unchain o)).
    assert (Gf : good (f o)) by (apply settle_unchain_good; [exact G|reflexivity]).
    destruct (settle_fields (Failed why None) (unchain o)) as (S1 & S2 & S3 & S4 & S5 & S6). cbn in *.
    assert (X : box_ok (the (o_id o) f b)).
    { assert (H : has_effect o = false) by (unfold has_effect; rewrite E; reflexivity).
      assert (Al : o_alone o = false).
      { destruct (o_alone o); [|reflexivity]. destruct (KA eq_refl) as [X|X]; [congruence|].
        destruct (KU X) as [X' _]. congruence. }
      assert (Ld : any leads b = true -> any leads (the (o_id o) f b) = true).
      { apply one_more; try assumption; [stampless|]. unfold leads. rewrite H, andb_false_r. discriminate. }
      constructor.
      - apply one_ids; assumption.
      - apply one_ok; assumption.
      - intros P. rewrite one_same; try assumption; [apply (b_creating _ B), P|stampless|].
        unfold creates, f. rewrite S5, Al. reflexivity.
      - intros P. rewrite one_same; try assumption; [apply (b_undoing _ B), P|stampless|].
        unfold undoes, f. rewrite S5, Al. reflexivity.
      - intros P Q. rewrite (one_same b o f U I o_alone) by (stampless || exact S5).
        destruct (b_queue _ B P) as [A|A]; [|left; exact A|].
        + destruct (any in_queue b) eqn:Z; [reflexivity|]. rewrite <- Q. symmetry.
          apply one_less; try assumption; [stampless|]. unfold in_queue, f. rewrite S3. discriminate.
        + right. specialize (Ld (b_forces _ B P A)). eapply existsb_imp; [|exact Ld]. intros x _. unfold leads.
          destruct (in_forces x); auto.
      - intros P Q. apply Ld, (b_forces _ B P). destruct (any in_forces b) eqn:Z; [reflexivity|]. rewrite <- Q. symmetry.
        apply one_less; try assumption; [stampless|]. unfold in_forces, f. rewrite S3. discriminate.
      - apply one_gone; try assumption. left. exact S3.
      - apply (s_stopped _ (one_base b o f U F I Gf S1 B (or_introl S3))). }
    destruct (filter in_forces _) as [|only [|? ?]]; try exact X. destruct (is_open only); [exact X|]. apply abort_ok. exact X.
  - (* its effect was not handed out *)
    destruct (take_back_is (Failed why None) o E) as (S1 & S2 & S3 & S4).
    set (f := take_back (Failed why None)) in *.
    assert (Gf : good (f o)) by (apply take_back_good; [exact G|reflexivity]).
    assert (NU : undoes o = false).
    { unfold undoes. destruct (o_alone o) eqn:A; [|reflexivity]. cbn. destruct (is_forced _) eqn:D.
      - rewrite (KD eq_refl eq_refl) in T. discriminate.
      - destruct (o_undo_next o); [|reflexivity]. destruct (KU eq_refl) as [X _]. congruence. }
    assert (Un : b_phase b = Undoing -> any undoes (the (o_id o) f b) = true).
    { intros P. apply one_more; try assumption; [stampless|rewrite NU; discriminate|apply (b_undoing _ B), P]. }
    assert (Cr : creates o = false -> b_phase b = Creating -> any creates (the (o_id o) f b) = true).
    { intros X P. apply one_more; try assumption; [stampless|rewrite X; discriminate|apply (b_creating _ B), P]. }
    assert (Ba := one_base b o f U F I Gf S1 B (or_introl S2)).
    assert (Go := one_gone b o f U I B (or_introl S2)).
    assert (Lf : in_forces o = false -> b_phase b = Live -> any in_forces (the (o_id o) f b) = true ->
                 any leads (the (o_id o) f b) = true).
    { intros X P Q. apply one_more; try assumption; [stampless|unfold leads; rewrite X; discriminate|].
      apply (b_forces _ B P). rewrite <- Q. symmetry. apply one_same; try assumption; [stampless|].
      rewrite X. unfold in_forces. rewrite S2. reflexivity. }
    destruct (in_forces o) eqn:Fo.
    + apply next_forced_ok; [exact Ba| |exact Un|exact Go]. apply Cr. unfold creates. rewrite (KF eq_refl). reflexivity.
    + destruct (o_alone o) eqn:Al.
      * destruct (is_create (o_command o)) eqn:Co.
        -- apply remove_ok; [apply Ba|apply Ba|intros P; apply Go; left; exact P|apply Ba].
        -- apply pump_ok. constructor; [apply Ba|apply Ba| |exact Un|apply Lf; reflexivity|exact Go|apply Ba].
           apply Cr. unfold creates. rewrite Co, andb_false_r. reflexivity.
      * constructor; [apply Ba|apply Ba| |exact Un| |apply Lf; reflexivity|exact Go|apply Ba].
        -- apply Cr. unfold creates. rewrite Al. reflexivity.
        -- intros P Q. rewrite !one_same; try assumption; try stampless.
           ++ apply (b_queue _ B P). rewrite <- Q. symmetry. apply one_same; try assumption; [stampless|].
              unfold in_queue at 1. rewrite S2. destruct (in_queue o); [discriminate (KQ eq_refl)|reflexivity].
           ++ rewrite Fo. unfold in_forces. rewrite S2. reflexivity.
           ++ rewrite S3, Al. reflexivity.
  - (* it runs *)
    assert (O : is_out o = true) by (unfold is_out; rewrite E; reflexivity).
    set (f := settle (Failed why None)).
    assert (Gf : good (f o)) by (apply settle_out_good; auto).
    destruct (settle_fields (Failed why None) o) as (S1 & S2 & S3 & S4 & S5 & S6).
    assert (X : box_ok (the (o_id o) f b)).
    { destruct B as [U' F' C D Q L Gn S]. constructor.
      - apply one_ids; assumption.
      - apply one_ok; assumption.
      - rewrite one_same; try assumption; [stampless|]. unfold creates, has_effect, f. rewrite S2, S4, S5. reflexivity.
      - rewrite one_same; try assumption; [stampless|]. unfold undoes, f. rewrite S2, S5, S6. reflexivity.
      - rewrite !one_same; try assumption; try stampless; unfold in_forces, in_queue, f; rewrite ?S3, ?S5; reflexivity.
      - rewrite !one_same; try assumption; try stampless; unfold leads, in_forces, has_effect, f; rewrite ?S3, ?S4; reflexivity.
      - rewrite one_same; try assumption; [stampless|]. unfold in_chain, f. rewrite S3. reflexivity.
      - rewrite one_same; try assumption; [stampless|]. unfold in_waiters, f. rewrite S3. reflexivity. }
    destruct (_ && _); [exact X|apply abort_ok; exact X].
Qed.

(** * Complete *)

Lemma finish_is a o :
  o_id (finish a o) = o_id o /\ o_chain (finish a o) = NoChain /\ o_alone (finish a o) = false
  /\ o_effect (finish a o) = NoEffect.
Proof.
  unfold finish.
  destruct (settle_fields a (with_stamp (if is_open o then 0 else o_stamp o)
    (with_alone false (with_aborts false (o_aborted o) (with_effect NoEffect (unchain o)))))) as (-> & _ & -> & -> & -> & _).
  auto.
Qed.

Lemma in_apply r b o : In o (b_ops b) -> in_waiters o = false -> In o (b_ops (apply r b)).
Proof.
  intros I W. unfold apply. destruct r as [r|]; [|exact I]. destruct (is_newer r b); [|exact I].
  destruct (is_stopped _); [|exact I]. cbn.
  generalize (S (b_clock b)). revert I. induction (b_ops b) as [|x l IH]; cbn; intros J n; [easy|].
  destruct J as [->|J]; [rewrite W; auto|right; apply IH; exact J].
Qed.

Lemma by_status_fits o st : is_wait (o_command o) = false -> is_create (o_command o) = false \/ st <> None ->
  fits (o_command o) (by_status o st) = true.
Proof.
  intros W C. unfold by_status. destruct st as [code|].
  - destruct (o_by_delete o); reflexivity.
  - destruct C as [C|C]; [|congruence]. destruct (is_by_host (o_command o)) eqn:H; cbn; rewrite ?C, ?W, ?H; reflexivity.
Qed.

Lemma undo_in_box n o b :
  NoDup (ids b) -> ~ In n (ids b) -> In o (b_ops b) -> NoDup (ids (the (o_id o) (undo_of n) b)).
Proof.
  unfold ids, the. rewrite change_ops. generalize (S (b_clock b)). induction (b_ops b) as [|x l IH]; cbn; intros m U D I; [easy|].
  inversion U as [|? ? X U']; subst.
  unfold has_id at 1. destruct (o_id x =? o_id o) eqn:E.
  - apply Nat.eqb_eq in E. cbn.
    assert (R : forall k, change_list (has_id (o_id o)) (undo_of n) k l = l).
    { rewrite <- E. clear -X. induction l as [|y l IH]; cbn; intros k; [reflexivity|].
      unfold has_id at 1. destruct (o_id y =? o_id x) eqn:Z; [apply Nat.eqb_eq in Z; destruct X; left; auto|].
      rewrite IH; [reflexivity|]. intros J. apply X. right. exact J. }
    rewrite R. constructor; tauto.
  - destruct I as [->|I]; [rewrite Nat.eqb_refl in E; discriminate|]. constructor; [|apply IH; tauto].
    intros J. apply in_map_iff in J as [y [Ey J]]. apply in_change_list in J as [z [J [[Pz [k [_ ->]]]|[_ ->]]]].
    + cbn in Ey. apply D. left. congruence.
    + apply X. rewrite <- Ey. apply in_map. exact J.
Qed.

Lemma complete_ok o st r n b :
  box_ok b -> In o (b_ops b) -> o_effect o = Out -> ~ In n (ids b) -> box_ok (complete o st r n b).
Proof.
  intros B0 I0 E Fresh.
  assert (G := op_good _ _ (b_ops_ok _ B0) I0).
  destruct (good_fields o G) as (KA & KQ & KW & KF & KU & KD & KE & KL).
  assert (O : is_out o = true) by (unfold is_out; rewrite E; reflexivity).
  assert (H : has_effect o = true) by (unfold has_effect; rewrite E; reflexivity).
  assert (NW : in_waiters o = false) by (destruct (in_waiters o); [rewrite KW in E; [discriminate|reflexivity]|reflexivity]).
  assert (Un : o_undo_next o = false).
  { destruct (o_undo_next o); [|reflexivity]. destruct (KU eq_refl) as (_ & X & _). congruence. }
  assert (B := apply_ok r b B0). assert (I := in_apply r b o I0 NW).
  assert (Fresh' : ~ In n (ids (apply r b))).
  { replace (ids (apply r b)) with (ids b); [exact Fresh|]. unfold apply. destruct r; [|reflexivity].
    destruct (is_newer _ _); [|reflexivity]. destruct (is_stopped _); [|reflexivity].
    unfold settle_all. rewrite change_ids by apply same_id_settle_unchain. reflexivity. }
  unfold complete. set (b1 := apply r b) in *. clearbody b1. clear B0 I0 Fresh b.
  assert (U := b_unique _ B). assert (F := b_ops_ok _ B).
  assert (FB : forall a, fits (o_command o) a = true ->
    base_ok (the (o_id o) (finish a) b1)
    /\ (b_phase b1 = Gone \/ b_phase b1 = Nowhere -> any in_chain (the (o_id o) (finish a) b1) = false)).
  { intros a Fa. destruct (finish_is a o) as (S1 & S2 & S3 & S4).
    assert (Gf : good (finish a o)) by (apply finish_good; assumption).
    split; [apply one_base; auto|apply one_gone; auto]. }
  assert (St : is_stopped b1 = true -> any in_waiters b1 = false) by apply (b_stopped _ B).
  destruct (is_create (o_command o)) eqn:C.
  - destruct st as [code|].
    + destruct (FB (by_status o (Some code))) as [Ba Go]; [apply by_status_fits; [apply KE, H|right; discriminate]|].
      apply remove_ok; [apply Ba|apply Ba|intros P; apply Go; left; exact P|apply Ba].
    + destruct (o_ticket o) eqn:T.
      * (* abandoned, and its answer was polled *)
        assert (Gu : good (undo_of n o)) by apply undo_of_good.
        constructor; try (cbn; discriminate).
        -- apply undo_in_box; assumption.
        -- apply one_ok; assumption.
        -- intros _. apply one_true; try assumption; [stampless|reflexivity].
        -- cbn. intros [P|P]; discriminate.
        -- intros X. apply one_less; try assumption; [stampless|discriminate|apply St, X].
      * destruct (FB HasCreated) as [Ba _]; [exact C|]. apply begin_life_ok. exact Ba.
      * (* abandoned, and its answer still waits *)
        destruct (to_undo_good o G O C T) as [Gu Al].
        constructor; try (cbn; discriminate).
        -- apply one_ids; auto.
        -- apply one_ok; assumption.
        -- intros _. apply one_true; try assumption; [stampless|]. unfold undoes, to_undo. cbn. rewrite Al, orb_true_r.
           reflexivity.
        -- cbn. intros [P|P]; discriminate.
        -- intros X. apply one_less; try assumption; [stampless|auto|apply St, X].
  - assert (Fi : fits (o_command o) (by_status o st) = true) by (apply by_status_fits; [apply KE, H|auto]).
    destruct (FB _ Fi) as [Ba Go]. destruct (finish_is (by_status o st) o) as (S1 & S2 & S3 & S4).
    assert (Gf : good (finish (by_status o st) o)) by (apply finish_good; assumption).
    set (f := finish (by_status o st)) in *.
    assert (Cr : b_phase b1 = Creating -> any creates (the (o_id o) f b1) = true).
    { intros P. apply one_more; try assumption; [stampless| |apply (b_creating _ B), P].
      unfold creates. rewrite C, andb_false_r. discriminate. }
    destruct (succeeded st && is_delete (o_command o)).
    { apply remove_ok; [apply Ba|apply Ba|intros P; apply Go; left; exact P|apply Ba]. }
    destruct (is_forced (o_command o) && o_alone o && is_undoing (the (o_id o) f b1)) eqn:Z; [apply begin_life_ok, Ba|].
    assert (Ud : b_phase b1 = Undoing -> any undoes (the (o_id o) f b1) = true).
    { intros P. apply one_more; try assumption; [stampless| |apply (b_undoing _ B), P].
      replace (is_undoing (the (o_id o) f b1)) with true in Z by (unfold is_undoing; cbn; rewrite P; reflexivity).
      unfold undoes. rewrite Un, orb_false_r. destruct (o_alone o), (is_forced (o_command o)); cbn in *; congruence. }
    destruct (is_forced (o_command o) && in_forces o) eqn:Y.
    + apply next_forced_ok; auto.
    + apply pump_ok. constructor; try (apply Ba); auto.
      intros P Q. apply one_more; try assumption; [stampless| |].
      * unfold leads. intros X. apply andb_prop in X as [X _]. destruct G as [W _]. unfold weak, in_forces in *.
        destruct (o_chain o); try discriminate.
        assert (T : is_forced (o_command o) = true).
        { refine (implb_elim _ _ (all_fields_of (fun ch ef ti al un c w f =>
            implb (fields_ok ch ef ti al un c w f) (match ch with Forces => f | _ => true end)) eq_refl _ _ _ _ _ _ _ _) W). }
        rewrite T in Y. discriminate.
      * apply (b_forces _ B P). destruct (any in_forces b1) eqn:X; [reflexivity|]. rewrite <- Q. symmetry.
        apply one_less; try assumption; [stampless|]. unfold in_forces. rewrite S2. discriminate.
Qed.
