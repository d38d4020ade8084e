(* noLostRequests: every ticket that was accepted is answered exactly once, if every effect handed out is completed once. *)

From Coq Require Import List Bool Arith Lia Permutation.
From Selur Require Import Container Machine Invariant OpLemmas BoxOk BoxSteps BoxMore Conservation.
Import ListNotations.

(** A ticket with its command and its container. *)
Definition request := (nat * command * nat)%type.

Definition tag (i : nat) (l : list (nat * command)) : list request := map (fun x => (x, i)) l.
Definition of_box {X} (v : op -> list X) b := flat_map v (b_ops b).

(** What is asked and has no polled answer; which effects are out; which numbers are in use. *)
Definition pending_of bs := flat_map (fun b => tag (b_id b) (of_box tickets b)) bs.
Definition running_of bs := flat_map (of_box outs) bs.
Definition numbers_of bs := flat_map (of_box numbers) bs.
Definition pending m := pending_of (boxes m).
Definition running m := running_of (boxes m).

Record machine_ok m : Prop := {
  m_boxes : Forall box_ok (boxes m);
  m_unique : NoDup (numbers_of (boxes m));
  m_bound : forall n, In n (numbers_of (boxes m)) -> n <= counter m }.

(** From [m] to [m']: what came to be asked and what was answered, which effects went out and which were completed. *)
Record moves m m' asked answered out done : Prop := {
  v_ok : machine_ok m';
  v_pending : Permutation (pending m' ++ answered) (pending m ++ asked);
  v_running : Permutation (running m' ++ done) (running m ++ out);
  v_counter : counter m <= counter m' }.

Lemma numbers_are_ids b : of_box numbers b = ids b.
Proof. unfold of_box, ids. induction (b_ops b); cbn; congruence. Qed.

Lemma stays m : machine_ok m -> moves m m [] [] [] [].
Proof. intros. constructor; auto. Qed.

(** * Sweeping *)

Lemma of_box_keep {X} (v : op -> list X) b : (forall o, is_dead o = true -> v o = []) -> of_box v (keep_ops b) = of_box v b.
Proof.
  intros D. unfold of_box. cbn. induction (b_ops b) as [|o l IH]; cbn; [reflexivity|].
  destruct (is_dead o) eqn:E; cbn; rewrite IH; [rewrite (D o E)|]; reflexivity.
Qed.

Lemma dead_tickets o : is_dead o = true -> tickets o = [].
Proof. unfold is_dead, tickets. destruct (has_ticket o); [discriminate|reflexivity]. Qed.

Lemma dead_outs o : is_dead o = true -> outs o = [].
Proof.
  unfold is_dead, outs, has_effect, is_out. destruct (o_effect o); try reflexivity.
  rewrite andb_false_r. discriminate.
Qed.

Lemma swept {X} (w : box -> list X) bs :
  (forall b, w (keep_ops b) = w b) -> (forall b, is_used b = false -> w b = []) ->
  flat_map w (filter is_used (map keep_ops bs)) = flat_map w bs.
Proof.
  intros K E. induction bs as [|b bs IH]; cbn; [reflexivity|].
  destruct (is_used (keep_ops b)) eqn:U; cbn; rewrite IH, <- (K b); [reflexivity|]. rewrite (E _ U). reflexivity.
Qed.

Lemma unused {X} (v : op -> list X) b : is_used b = false -> of_box v b = [].
Proof. unfold is_used, of_box. destruct (b_ops b); [reflexivity|]. rewrite andb_false_r. discriminate. Qed.

Lemma swept_numbers bs n : In n (numbers_of (filter is_used (map keep_ops bs))) -> In n (numbers_of bs).
Proof.
  unfold numbers_of. rewrite !in_flat_map. intros [b [I N]]. apply filter_In in I as [I _]. apply in_map_iff in I as [b' [<- I]].
  exists b'. split; [exact I|]. unfold of_box in *. cbn in N. apply in_flat_map in N as [o [J N]].
  apply filter_In in J as [J _]. apply in_flat_map. eauto.
Qed.

Lemma NoDup_app_parts {A} (l l' : list A) : NoDup (l ++ l') <-> NoDup l /\ NoDup l' /\ forall x, In x l -> ~ In x l'.
Proof.
  induction l as [|x l IH]; cbn; [split; [intros; repeat split; auto; constructor|tauto]|].
  rewrite !NoDup_cons_iff, IH, in_app_iff. split.
  - intros [D [U [V W]]]. repeat split; auto. intros y [<-|I]; auto.
  - intros [[D U] [V W]]. repeat split; auto. intros [I|I]; [auto|]. exact (W x (or_introl eq_refl) I).
Qed.

Lemma swept_unique bs : NoDup (numbers_of bs) -> NoDup (numbers_of (filter is_used (map keep_ops bs))).
Proof.
  induction bs as [|b bs IH]; [auto|]. unfold numbers_of in *. cbn. rewrite NoDup_app_parts. intros [U [V W]].
  destruct (is_used (keep_ops b)); cbn; [|auto]. apply NoDup_app_parts.
  assert (Sub : forall n, In n (of_box numbers (keep_ops b)) -> In n (of_box numbers b)).
  { intros n I. unfold of_box in *. cbn in I. apply in_flat_map in I as [o [J N]]. apply filter_In in J as [J _].
    apply in_flat_map. eauto. }
  split; [|split; [apply IH, V|]].
  - rewrite numbers_are_ids in *. unfold ids in *. cbn. clear -U. induction (b_ops b) as [|o l IH]; cbn in *; [constructor|].
    inversion U as [|? ? D U']; subst. destruct (negb _); cbn; auto. constructor; auto. intros I. apply D.
    apply in_map_iff in I as [x [X I]]. apply filter_In in I as [I _]. rewrite <- X. apply in_map. exact I.
  - intros n I J. apply (W n (Sub n I)). exact (swept_numbers bs n J).
Qed.

(** * One container changes *)

Lemma put_moves m before old b' after n at_ rt ao ro an ln :
  machine_ok m -> boxes m = before ++ old ++ after -> box_ok b' ->
  Permutation (tag (b_id b') (of_box tickets b') ++ rt) (pending_of old ++ at_) ->
  Permutation (of_box outs b' ++ ro) (running_of old ++ ao) ->
  Permutation (of_box numbers b' ++ ln) (numbers_of old ++ an) ->
  counter m <= n -> an = [] \/ (an = [S (counter m)] /\ S (counter m) <= n) ->
  moves m (put before b' after n) at_ rt ao ro.
Proof.
  intros [MB MU MC] E B P R N L A. rewrite E in *.
  assert (X : Permutation (numbers_of (before ++ b' :: after) ++ ln) (numbers_of (before ++ old ++ after) ++ an)).
  { unfold numbers_of in *. rewrite !flat_map_app. cbn. rewrite <- !app_assoc. apply Permutation_app_head.
    rewrite (Permutation_app_comm _ ln), (Permutation_app_comm _ an), !app_assoc. apply Permutation_app_tail. exact N. }
  assert (Y : forall k, In k (numbers_of (before ++ b' :: after)) -> k <= n).
  { intros k I. assert (J : In k (numbers_of (before ++ old ++ after) ++ an)).
    { apply (Permutation_in _ X). apply in_or_app. left. exact I. }
    apply in_app_or in J as [J|J]; [apply MC in J; lia|]. destruct A as [->|[-> A]]; [easy|]. destruct J as [<-|[]]. exact A. }
  assert (Z : NoDup (numbers_of (before ++ b' :: after))).
  { assert (Q : NoDup (numbers_of (before ++ old ++ after) ++ an)).
    { apply NoDup_app_parts. split; [exact MU|]. destruct A as [->|[-> A]]; [split; [constructor|easy]|].
      split; [repeat constructor; easy|]. intros k I [<-|[]]. apply MC in I. lia. }
    apply Permutation_sym in X. apply (Permutation_NoDup X) in Q. apply NoDup_app_parts in Q. apply Q. }
  constructor.
  - constructor; cbn.
    + apply Forall_app in MB as [MB1 MB2]. apply Forall_app in MB2 as [_ MB2].
      assert (W : Forall box_ok (before ++ b' :: after)) by (apply Forall_app; split; [exact MB1|constructor; assumption]).
      rewrite Forall_forall in *. intros c I. apply filter_In in I as [I _]. apply in_map_iff in I as [c' [<- I]].
      apply keep_ops_ok. auto.
    + apply swept_unique. exact Z.
    + intros k I. apply Y, swept_numbers. exact I.
  - unfold pending. cbn. unfold pending_of at 1. rewrite swept.
    + rewrite E. unfold pending_of in *. rewrite !flat_map_app. cbn. rewrite <- !app_assoc. apply Permutation_app_head.
      rewrite (Permutation_app_comm _ rt), (Permutation_app_comm _ at_), !app_assoc. apply Permutation_app_tail. exact P.
    + intros c. rewrite of_box_keep by apply dead_tickets. reflexivity.
    + intros c U. rewrite (unused tickets c U). reflexivity.
  - unfold running. cbn. unfold running_of at 1. rewrite swept.
    + rewrite E. unfold running_of in *. rewrite !flat_map_app. cbn. rewrite <- !app_assoc. apply Permutation_app_head.
      rewrite (Permutation_app_comm _ ro), (Permutation_app_comm _ ao), !app_assoc. apply Permutation_app_tail. exact R.
    + intros c. apply of_box_keep, dead_outs.
    + intros c U. apply unused. exact U.
  - exact L.
Qed.

Lemma split_at_some {A} (p : A -> bool) l before x after :
  split_at p l = Some (before, x, after) -> l = before ++ [x] ++ after /\ p x = true.
Proof.
  revert before. induction l as [|y l IH]; cbn; intros before; [discriminate|]. destruct (p y) eqn:P.
  - intros E. injection E as <- <- <-. auto.
  - destruct (split_at p l) as [[[bef z] aft]|]; [|discriminate]. intros E. injection E as <- <- <-.
    destruct (IH bef eq_refl) as [-> Q]. auto.
Qed.

Lemma box_in m before b after : machine_ok m -> boxes m = before ++ [b] ++ after ->
  box_ok b /\ forall n, counter m < n -> ~ In n (ids b).
Proof.
  intros [MB _ MC] E. rewrite E in *. split.
  - rewrite Forall_forall in MB. apply MB. apply in_or_app. right. left. reflexivity.
  - intros n L I. rewrite <- numbers_are_ids in I. assert (H : n <= counter m); [|lia]. apply MC.
    unfold numbers_of. apply in_flat_map. exists b. split; [apply in_or_app; right; left; reflexivity|exact I].
Qed.

Lemma clocked n b : keeps b (with_clock n b).
Proof. split; auto. Qed.

(** A change that keeps everything that counts. *)
Lemma quiet_moves m before b after b' :
  machine_ok m -> boxes m = before ++ [b] ++ after -> box_ok b' -> keeps b b' -> moves m (put before b' after (counter m)) [] [] [] [].
Proof.
  intros M E B [I K]. eapply put_moves with (an := []) (ln := []); try eassumption; rewrite ?app_nil_r; auto;
    unfold pending_of, running_of, numbers_of; cbn; rewrite app_nil_r.
  - rewrite I. unfold of_box. rewrite (K _ tickets stable_tickets). apply Permutation_refl.
  - unfold of_box. rewrite (K _ outs stable_outs). apply Permutation_refl.
  - unfold of_box. rewrite (K _ numbers stable_numbers). apply Permutation_refl.
Qed.

(** A change that adds a ticket. *)
Lemma adding_moves m before b after b' c :
  machine_ok m -> boxes m = before ++ [b] ++ after -> box_ok b' ->
  (exists o, new_ticket (S (counter m)) c o /\ adds o b b') ->
  moves m (put before b' after (S (counter m))) [(S (counter m), c, b_id b)] [] [] [].
Proof.
  intros M E B [o [[N1 [N2 [N3 N4]]] [I A]]].
  eapply put_moves with (an := [S (counter m)]) (ln := []); try eassumption; rewrite ?app_nil_r; auto;
    unfold pending_of, running_of, numbers_of; cbn; rewrite app_nil_r.
  - rewrite I. unfold of_box. rewrite (A _ tickets stable_tickets). unfold tickets at 2. rewrite N1, N2, N3.
    unfold tag. rewrite map_app. apply Permutation_refl.
  - unfold of_box. rewrite (A _ outs stable_outs). unfold outs at 2. rewrite N4, app_nil_r. apply Permutation_refl.
  - unfold of_box. rewrite (A _ numbers stable_numbers). unfold numbers at 2. rewrite N1. apply Permutation_refl.
Qed.

(** * The inputs of the machine *)

Lemma request_moves operations t c m m' o :
  machine_ok m -> Machine.request operations t c m = (m', o) ->
  match o with
  | Pending ticket => ticket = S (counter m) /\ counter m' = ticket /\ exists b, In b (boxes m) /\ is_target t b = true
      /\ moves m m' [(ticket, c, b_id b)] [] [] []
  | _ => moves m m' [] [] [] []
  end.
Proof.
  intros M. unfold Machine.request. destruct (split_at _ _) as [[[before b] after]|] eqn:E.
  2:{ intros X. injection X as <- <-. apply stays, M. }
  apply split_at_some in E as [E T]. destruct (box_in m before b after M E) as [B D].
  set (b0 := with_clock (clock m) b). assert (B0 : box_ok b0) by (apply with_clock_ok, B).
  assert (D0 : ~ In (S (counter m)) (ids b0)) by (apply D; lia).
  destruct (ask c (S (counter m)) (admit operations c m) b0) as [b' p] eqn:A.
  assert (Ph : b_phase b0 <> Gone /\ b_phase b0 <> Nowhere).
  { unfold is_target, exists_now, is_nowhere, is_gone in T. cbn. destruct (b_phase b); cbn in T; split; congruence. }
  assert (Bk := ask_ok _ _ _ _ _ _ B0 D0 (proj1 Ph) (proj2 Ph) A). assert (K := ask_adds _ _ _ _ _ _ A).
  destruct p; intros X; injection X as <- <-.
  - eapply quiet_moves; try eassumption.
  - apply stays, M.
  - split; [reflexivity|]. split; [reflexivity|]. exists b. split; [rewrite E; apply in_or_app; right; left; reflexivity|].
    split; [exact T|]. eapply adding_moves; try eassumption.
Qed.

Lemma create_moves containers operations name id slot bytes m m' o :
  machine_ok m -> create containers operations name id slot bytes m = (m', o) ->
  match o with
  | Pending ticket => ticket = S (counter m) /\ counter m' = ticket /\ moves m m' [(ticket, Create, id)] [] [] []
  | _ => m' = m
  end.
Proof.
  intros M. unfold create. destruct (admit _ _ _); [intros X; injection X as <- <-; reflexivity|].
  destruct (existsb _ _); [intros X; injection X as <- <-; reflexivity|].
  destruct (is_name_taken _ _); [intros X; injection X as <- <-; reflexivity|].
  destruct (_ <=? _); [intros X; injection X as <- <-; reflexivity|].
  intros X. injection X as <- <-. split; [reflexivity|]. split; [reflexivity|].
  eapply put_moves with (old := []) (an := [S (counter m)]) (ln := []); auto; try apply created_ok;
    cbn; rewrite ?app_nil_r; auto.
Qed.

Lemma host_moves operations code m m' o :
  machine_ok m -> host operations code m = (m', o) ->
  match o with
  | Pending ticket => ticket = S (counter m) /\ counter m' = ticket
      /\ exists b, In b (boxes m) /\ is_nowhere b = true /\ moves m m' [(ticket, Host code, b_id b)] [] [] []
  | _ => m' = m
  end.
Proof.
  intros M. unfold host. destruct (admit _ _ _); [intros X; injection X as <- <-; reflexivity|].
  destruct (split_at _ _) as [[[before b] after]|] eqn:E; [|intros X; injection X as <- <-; reflexivity].
  apply split_at_some in E as [E T]. destruct (box_in m before b after M E) as [B D].
  intros X. injection X as <- <-. split; [reflexivity|]. split; [reflexivity|]. exists b.
  split; [rewrite E; apply in_or_app; right; left; reflexivity|]. split; [exact T|].
  set (b0 := with_clock (clock m) b). assert (B0 : box_ok b0) by (apply with_clock_ok, B).
  set (n := new_op (S (counter m)) (Host code) NoChain Ready false 0 0).
  assert (Gn : good n) by (repeat split).
  assert (Ph : b_phase b0 = Nowhere) by (unfold is_nowhere in T; cbn; destruct (b_phase b); congruence).
  eapply adding_moves; try eassumption.
  - destruct (base_add n b0 B0 Gn) as [U F S']; [apply (D (S (counter m))); lia|reflexivity|].
    constructor; auto; try (cbn; change (b_phase b) with (b_phase b0); rewrite Ph; discriminate).
    intros _. rewrite any_add by (intros ? ?; reflexivity). rewrite (b_gone _ B0 (or_intror Ph)). reflexivity.
  - exists n. split; [repeat split|]. destruct (adds_add n b0) as [I A]. split; [exact I|exact A].
Qed.

Lemma cancel_moves t why m m' : machine_ok m -> cancel_ticket t why m = Some m' -> moves m m' [] [] [] [].
Proof.
  intros M. unfold cancel_ticket. destruct (split_at _ _) as [[[before b] after]|] eqn:E; [|discriminate].
  apply split_at_some in E as [E _]. destruct (box_in m before b after M E) as [B _].
  destruct (find _ _) as [o|] eqn:Fo; [|discriminate]. apply find_some in Fo as [I W]. intros X. injection X as <-.
  eapply quiet_moves; try eassumption.
  - apply cancel_ok; [apply with_clock_ok, B|exact I|]. unfold wants_cancel, is_open in W.
    apply andb_prop in W as [_ W]. destruct (o_ticket o); congruence.
  - eapply keeps_trans; [apply clocked|apply keeps_cancel].
Qed.

Lemma complete_moves e st r m m' :
  machine_ok m -> complete_effect e st r m = Some m' -> moves m m' [] [] [] [e].
Proof.
  intros M. unfold complete_effect. destruct (split_at _ _) as [[[before b] after]|] eqn:E; [|discriminate].
  apply split_at_some in E as [E _]. destruct (box_in m before b after M E) as [B D].
  destruct (find _ _) as [o|] eqn:Fo; [|discriminate]. apply find_some in Fo as [I W].
  unfold wants_completion in W. apply andb_prop in W as [W1 W2]. apply Nat.eqb_eq in W1.
  assert (O : o_effect o = Out) by (unfold is_out in W2; destruct (o_effect o); congruence).
  intros X. injection X as <-. set (n := if takes_id o st then S (counter m) else counter m).
  set (r' := if is_nowhere b then None else r). set (b0 := with_clock (clock m) b).
  assert (B0 : box_ok b0) by (apply with_clock_ok, B).
  assert (G := op_good _ _ (b_ops_ok _ B) I). destruct (good_fields o G) as (_ & _ & KW & _).
  assert (NW : in_waiters o = false) by (destruct (in_waiters o); [rewrite KW in O; [discriminate|reflexivity]|reflexivity]).
  destruct (completes o st r' n b0 (b_unique _ B0) I NW) as [o' [[Ib K] [C1 [C2 C3]]]].
  assert (Bk : box_ok (complete o st r' n b0)).
  { destruct (takes_id o st) eqn:Tk.
    - apply complete_ok; [exact B0|exact I|exact O|apply (D n); unfold n; lia].
    - (* the number is not used *)
      replace (complete o st r' n b0) with (complete o st r' (S (counter m)) b0).
      + apply complete_ok; [exact B0|exact I|exact O|apply (D (S (counter m))); lia].
      + unfold complete, takes_id in *. destruct (is_create (o_command o)); [|reflexivity].
        destruct st; [reflexivity|]. unfold has_ticket in Tk. destruct (o_ticket o); [discriminate|reflexivity..]. }
  eapply put_moves with (an := if takes_id o st then [S (counter m)] else []) (ln := if takes_id o st then [e] else []);
    try eassumption; unfold pending_of, running_of, numbers_of; cbn; rewrite ?app_nil_r.
  - rewrite Ib. cbn. apply (Permutation_app_inv_r (tag (b_id b) (tickets o))). unfold tag. rewrite <- !map_app.
    apply Permutation_map. specialize (K _ tickets stable_tickets). rewrite C1 in K. exact K.
  - specialize (K _ outs stable_outs). rewrite C2, app_nil_r in K. unfold outs at 2 in K. rewrite W2, W1 in K. exact K.
  - specialize (K _ numbers stable_numbers). unfold numbers at 2 4 in K. rewrite W1, C3 in K. unfold n in K.
    destruct (takes_id o st); [exact K|]. rewrite W1 in K. rewrite !app_nil_r.
    exact (Permutation_app_inv_r _ _ _ K).
  - unfold n. destruct (takes_id o st); lia.
  - unfold n. destruct (takes_id o st); [right; split; [reflexivity|lia]|left; reflexivity].
Qed.

Lemma seen_moves containers id name r m : machine_ok m -> moves m (seen containers id name r m) [] [] [] [].
Proof.
  intros M. unfold seen. set (name' := if is_name_taken name m then None else name). clearbody name'.
  destruct (split_at _ _) as [[[before b] after]|] eqn:E.
  - destruct (is_gone b); [apply stays, M|]. apply split_at_some in E as [E _].
    destruct (box_in m before b after M E) as [B _]. set (b0 := with_clock (clock m) b).
    assert (B0 : box_ok b0) by (apply with_clock_ok, B).
    set (b1 := match b_name b0 with None => if is_live b0 then with_name name' b0 else b0 | Some _ => b0 end).
    assert (B1 : box_ok b1 /\ keeps b0 b1).
    { unfold b1. destruct (b_name b0); [split; [exact B0|apply keeps_refl]|].
      destruct (is_live b0); (split; [try apply with_name_ok; exact B0|split; auto]). }
    eapply quiet_moves; try eassumption; [apply apply_ok, B1|].
    eapply keeps_trans; [apply clocked|]. eapply keeps_trans; [apply B1|apply keeps_apply].
  - destruct (_ <=? _); [apply stays, M|].
    set (b0 := Box id name' 0 0 None Created Live false [] (clock m)).
    destruct (keeps_apply (Some r) b0) as [I K].
    eapply put_moves with (old := []) (an := []) (ln := []);
      [exact M|cbn; rewrite app_nil_r; reflexivity|apply apply_ok, empty_ok|..]; auto;
      rewrite ?app_nil_r; unfold of_box; rewrite K; auto using stable_tickets, stable_outs, stable_numbers.
Qed.

Lemma lose_moves id m : machine_ok m -> moves m (lose id m) [] [] [] [].
Proof.
  intros M. unfold lose. destruct (split_at _ _) as [[[before b] after]|] eqn:E; [|apply stays, M].
  apply split_at_some in E as [E _]. destruct (box_in m before b after M E) as [B _].
  eapply quiet_moves; try eassumption; [apply lost_ok, with_clock_ok, B|].
  eapply keeps_trans; [apply clocked|apply keeps_lost].
Qed.

(** * Polling *)

#[local] Arguments Nat.ltb : simpl never.

Lemma first_out_some best l id n :
  first_out best l = Some (id, n) -> best = Some (id, n) \/ exists o, In o l /\ o_id o = id /\ o_stamp o <> 0.
Proof.
  revert best. induction l as [|o l IH]; cbn; intros best; [auto|]. intros E. apply IH in E as [E|[x [I X]]].
  - destruct (o_stamp o) as [|k] eqn:S.
    + auto.
    + destruct best as [[bi bn]|].
      * destruct (Datatypes.S k <? bn); [|auto]. right. exists o. injection E as <- _. repeat split; auto. lia.
      * right. exists o. injection E as <- _. repeat split; auto. lia.
  - right. exists x. auto.
Qed.

Lemma first_out_none best l : first_out best l = None -> best = None /\ forall o, In o l -> o_stamp o = 0.
Proof.
  revert best. induction l as [|o l IH]; cbn; intros best; [easy|]. intros E. apply IH in E as [E A].
  destruct (o_stamp o) as [|k] eqn:S.
  - split; [exact E|]. intros x [<-|I]; auto.
  - exfalso. destruct best as [[bi bn]|]; [destruct (Datatypes.S k <? bn)|]; discriminate.
Qed.

Lemma poll_moves m out m' :
  machine_ok m -> poll m = Some (out, m') ->
  match out with
  | AnAnswer t c i a => moves m m' [] [(t, c, i)] [] [] /\ fits c a = true
  | AnEffect e _ _ _ _ => moves m m' [] [] [e] []
  | AnAbort _ => moves m m' [] [] [] []
  end.
Proof.
  intros M. unfold poll. destruct (first_out _ _) as [[id n]|]; [|discriminate].
  destruct (split_at _ _) as [[[before b] after]|] eqn:E; [|discriminate]. apply split_at_some in E as [E _].
  destruct (box_in m before b after M E) as [B D]. destruct (find _ _) as [o|] eqn:Fo; [|discriminate].
  apply find_some in Fo as [I W]. unfold is_next in W. apply andb_prop in W as [W1 W2]. apply Nat.eqb_eq in W1. subst id.
  set (fresh := S (counter m)). set (b0 := with_clock (clock m) b).
  assert (B0 : box_ok b0) by (apply with_clock_ok, B). assert (D0 : ~ In fresh (ids b0)) by (apply (D fresh); unfold fresh; lia).
  assert (Ok : op_ok o) by (assert (F := b_ops_ok _ B); rewrite Forall_forall in F; auto).
  assert (O : has_output o = true).
  { destruct Ok as [Ok _]. unfold weak_ok, said_later in Ok. rewrite !andb_true_iff in Ok. destruct Ok as [[_ Ok] _].
    rewrite W2 in Ok. destruct (has_output o); [reflexivity|discriminate]. }
  assert (G := good_of o Ok). destruct (good_fields o G) as (_ & _ & _ & _ & KU & _).
  assert (Bk := say_ok fresh o b0 B0 I O D0). cbn [b_id with_clock with_ops] in Bk. change (b_id b0) with (b_id b) in Bk.
  set (f := fun x => snd (say fresh (b_id b) x)) in *.
  assert (C : forall X (v : op -> list X), stable v ->
    Permutation (flat_map v (b_ops (the (o_id o) f b0)) ++ v o) (flat_map v (b_ops b0) ++ v (f o))).
  { intros X v S. apply the_counts; [exact S|apply (b_unique _ B0)|exact I]. }
  assert (Put : forall n' at_ rt ao ro an ln, n' = (if o_id (f o) =? o_id o then counter m else fresh) ->
    Permutation (tag (b_id b) (of_box tickets (the (o_id o) f b0)) ++ rt) (pending_of [b] ++ at_) ->
    Permutation (of_box outs (the (o_id o) f b0) ++ ro) (running_of [b] ++ ao) ->
    Permutation (of_box numbers (the (o_id o) f b0) ++ ln) (numbers_of [b] ++ an) ->
    (an = [] /\ n' = counter m) \/ (an = [fresh] /\ n' = fresh) ->
    moves m (put before (the (o_id o) f b0) after n') at_ rt ao ro).
  { intros n' at_ rt ao ro an ln En P R N A. eapply put_moves with (an := an) (ln := ln) (old := [b]); try eassumption.
    - destruct A as [[_ ->]|[_ ->]]; unfold fresh; lia.
    - destruct A as [[-> _]|[-> ->]]; [auto|right; split; [reflexivity|unfold fresh; lia]]. }
  assert (N0 : o_id (f o) = o_id o -> Permutation (of_box numbers (the (o_id o) f b0) ++ []) (numbers_of [b] ++ [])).
  { intros Ei. assert (X := C _ numbers stable_numbers). unfold numbers at 2 4 in X. rewrite Ei in X.
    unfold numbers_of. cbn. rewrite !app_nil_r. exact (Permutation_app_inv_r _ _ _ X). }
  assert (T0 : tickets (f o) = tickets o ->
    Permutation (tag (b_id b) (of_box tickets (the (o_id o) f b0)) ++ []) (pending_of [b] ++ [])).
  { intros Et. assert (X := C _ tickets stable_tickets). rewrite Et in X. apply Permutation_app_inv_r in X.
    unfold pending_of. cbn. rewrite !app_nil_r. apply Permutation_map. exact X. }
  assert (R0 : outs (f o) = outs o -> Permutation (of_box outs (the (o_id o) f b0) ++ []) (running_of [b] ++ [])).
  { intros Et. assert (X := C _ outs stable_outs). rewrite Et in X. apply Permutation_app_inv_r in X.
    unfold running_of. cbn. rewrite !app_nil_r. exact X. }
  change (fun o1 : op => snd (say (S (counter m)) (b_id b) o1)) with f.
  destruct (say fresh (b_id b) o) as [out' o'] eqn:Sy.
  assert (Fo : f o = o') by (unfold f; rewrite Sy; reflexivity).
  intros X. injection X as <- <-. rewrite <- Fo. unfold say in Sy. destruct (is_ready o) eqn:R.
  - injection Sy as <- Eo. assert (Ef : f o = with_effect Out o) by congruence.
    apply Put with (an := []) (ln := []); try reflexivity.
    + apply T0. rewrite Ef. reflexivity.
    + assert (X := C _ outs stable_outs). rewrite Ef in X. unfold running_of. cbn. rewrite !app_nil_r.
      replace (outs o) with (@nil nat) in X by (unfold outs, is_out, is_ready in *; destruct (o_effect o); congruence).
      rewrite app_nil_r in X. exact X.
    + apply N0. rewrite Ef. reflexivity.
    + left. split; [reflexivity|]. rewrite Ef. cbn. rewrite Nat.eqb_refl. reflexivity.
  - destruct (o_abort_waits o) eqn:Ab.
    + injection Sy as <- Eo. assert (Ef : f o = with_aborts false (o_aborted o) o) by congruence.
      apply Put with (an := []) (ln := []); try reflexivity.
      * apply T0. rewrite Ef. reflexivity.
      * apply R0. rewrite Ef. reflexivity.
      * apply N0. rewrite Ef. reflexivity.
      * left. split; [reflexivity|]. rewrite Ef. cbn. rewrite Nat.eqb_refl. reflexivity.
    + assert (T : o_ticket o = Settled).
      { unfold has_output in O. rewrite R, Ab, orb_false_r in O. cbn in O. unfold is_settled in O.
        destruct (o_ticket o); congruence. }
      injection Sy as <- Eo. split.
      2:{ destruct G as [_ [A _]]. unfold answer_ok, is_settled in A. rewrite T in A. cbn in A. destruct (o_answer o); congruence. }
      assert (Tk : tickets o = [(o_id o, o_command o)]) by (unfold tickets, has_ticket; rewrite T; reflexivity).
      assert (Tf : tickets (f o) = []).
      { rewrite Fo, <- Eo. destruct (o_undo_next o); reflexivity. }
      assert (P : Permutation (tag (b_id b) (of_box tickets (the (o_id o) f b0)) ++ [(o_id o, o_command o, b_id b)])
                    (pending_of [b] ++ [])).
      { assert (X := C _ tickets stable_tickets). rewrite Tk, Tf, app_nil_r in X. unfold pending_of. cbn. rewrite !app_nil_r.
        change [(o_id o, o_command o, b_id b)] with (tag (b_id b) [(o_id o, o_command o)]).
        unfold tag. rewrite <- map_app. apply Permutation_map. exact X. }
      destruct (o_undo_next o) eqn:Un.
      * assert (Ef : f o = undo_of fresh o) by congruence.
        destruct (KU eq_refl) as (_ & Ne & _).
        assert (L : o_id o <> fresh).
        { intros Eq. apply D0. rewrite <- Eq. unfold ids. apply in_map. exact I. }
        assert (Ne' : o_id (f o) =? o_id o = false) by (rewrite Ef; apply Nat.eqb_neq; intros Eq; apply L; symmetry; exact Eq).
        apply Put with (an := [fresh]) (ln := [o_id o]); try reflexivity; [exact P| | |].
        -- apply R0. rewrite Ef. unfold outs, is_out. rewrite Ne. reflexivity.
        -- assert (X := C _ numbers stable_numbers). unfold numbers at 2 4 in X. rewrite Ef in X. unfold numbers_of. cbn.
           rewrite app_nil_r. exact X.
        -- right. split; [reflexivity|]. rewrite Ne'. reflexivity.
      * assert (Ef : f o = with_ticket NoTicket o) by congruence.
        apply Put with (an := []) (ln := []); try reflexivity; [exact P| | |].
        -- apply R0. rewrite Ef. reflexivity.
        -- apply N0. rewrite Ef. reflexivity.
        -- left. split; [reflexivity|]. rewrite Ef. cbn. rewrite Nat.eqb_refl. reflexivity.
Qed.

(** * When all is quiet *)

(** No effect is out and nothing waits to be polled: what is pending is a wait, on a container that exists and has not ended. *)
Theorem what_is_left_waits m t c i :
  machine_ok m -> running m = [] -> first_out None (all_ops m) = None -> In (t, c, i) (pending m) ->
  is_wait c = true /\ exists b, In b (boxes m) /\ b_id b = i /\ is_live b = true /\ is_stopped b = false.
Proof.
  intros M R N I. apply first_out_none in N as [_ N].
  unfold pending, pending_of in I. apply in_flat_map in I as [b [Ib I]]. unfold tag in I. apply in_map_iff in I as [[t' c'] [X I]].
  injection X as <- <- <-. unfold of_box in I. apply in_flat_map in I as [o [Io I]].
  assert (B : box_ok b) by (assert (F := m_boxes _ M); rewrite Forall_forall in F; auto).
  (* whatever is in the box has no effect and no output *)
  assert (Q : forall x, In x (b_ops b) -> o_effect x = NoEffect /\ o_ticket x <> Settled).
  { intros x Ix. assert (Ok : op_ok x) by (assert (F := b_ops_ok _ B); rewrite Forall_forall in F; auto).
    assert (S : o_stamp x = 0) by (apply N; unfold all_ops; apply in_flat_map; eauto).
    assert (H : has_output x = false).
    { destruct Ok as [Ok _]. unfold weak_ok, said_later in Ok. rewrite !andb_true_iff in Ok. destruct Ok as [[_ Ok] _].
      rewrite S in Ok. destruct (has_output x); [discriminate|reflexivity]. }
    unfold has_output, is_ready, is_settled in H. rewrite !orb_false_iff in H. destruct H as [[H1 H2] _].
    split; [|destruct (o_ticket x); congruence].
    destruct (o_effect x) eqn:Ef; [reflexivity|congruence|exfalso].
    assert (J : In (o_id x) (running m)).
    { unfold running, running_of, of_box. apply in_flat_map. exists b. split; [exact Ib|]. apply in_flat_map. exists x.
      split; [exact Ix|]. unfold outs, is_out. rewrite Ef. left. reflexivity. }
    rewrite R in J. destruct J. }
  assert (NL : any leads b = false).
  { apply existsb_all. intros x Ix. unfold leads, has_effect. destruct (Q x Ix) as [-> _]. apply andb_false_r. }
  assert (NA : any o_alone b = false).
  { apply existsb_all. intros x Ix. destruct (o_alone x) eqn:Al; [exfalso|reflexivity].
    destruct (good_fields x (op_good _ _ (b_ops_ok _ B) Ix)) as (KA & _ & _ & _ & KU & _). destruct (Q x Ix) as [Ef Tk].
    destruct (KA Al) as [H|H]; [unfold has_effect in H; rewrite Ef in H; discriminate|]. destruct (KU H). congruence. }
  destruct (Q o Io) as [Ef Tk]. assert (G := op_good _ _ (b_ops_ok _ B) Io).
  assert (T : o_ticket o = Open).
  { unfold tickets, has_ticket in I. destruct (o_ticket o); [destruct I|reflexivity|congruence]. }
  assert (Ec : t' = o_id o /\ c' = o_command o).
  { unfold tickets, has_ticket in I. rewrite T in I. destruct I as [X|[]]. injection X as <- <-. auto. }
  destruct Ec as [-> ->].
  destruct (good_fields o G) as (_ & _ & _ & _ & _ & _ & _ & KL).
  destruct (KL T) as [H|Ch]; [unfold has_effect in H; rewrite Ef in H; discriminate|].
  assert (Ac : any in_chain b = true) by (apply any_true; eauto).
  assert (Ph : b_phase b = Live).
  { destruct (b_phase b) eqn:P; [exfalso|reflexivity|exfalso..].
    - assert (X := b_creating _ B P). eapply any_true in X as [x [Ix X]]. unfold creates in X.
      rewrite (none_in _ _ _ NA Ix) in X. discriminate.
    - assert (X := b_undoing _ B P). eapply any_true in X as [x [Ix X]]. unfold undoes in X.
      rewrite (none_in _ _ _ NA Ix) in X. discriminate.
    - rewrite (b_gone _ B (or_introl P)) in Ac. discriminate.
    - rewrite (b_gone _ B (or_intror P)) in Ac. discriminate. }
  assert (NF : any in_forces b = false).
  { destruct (any in_forces b) eqn:X; [|reflexivity]. rewrite (b_forces _ B Ph X) in NL. discriminate. }
  assert (NQ : any in_queue b = false).
  { destruct (any in_queue b) eqn:X; [|reflexivity]. destruct (b_queue _ B Ph X); congruence. }
  assert (Wt : in_waiters o = true).
  { assert (A1 := none_in _ _ _ NF Io). assert (A2 := none_in _ _ _ NQ Io).
    unfold in_chain, in_forces, in_queue, in_waiters in *. destruct (o_chain o); congruence. }
  split.
  - destruct G as [W _]. unfold weak, in_waiters in *. destruct (o_chain o); try discriminate.
    refine (implb_elim _ _ (all_fields_of (fun ch ef ti al un c w f =>
      implb (fields_ok ch ef ti al un c w f) (match ch with Waiters => w | _ => true end)) eq_refl _ _ _ _ _ _ _ _) W).
  - exists b. split; [exact Ib|]. split; [reflexivity|]. split; [unfold is_live; rewrite Ph; reflexivity|].
    destruct (is_stopped b) eqn:S; [|reflexivity]. rewrite (none_in _ _ _ (b_stopped _ B S) Io) in Wt. discriminate.
Qed.
