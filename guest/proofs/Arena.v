(* The arena: runs of whole blocks, given out as slots. A handle's number is how many had been given out. *)

From Coq Require Import List Bool Arith Lia.
Import ListNotations.

Inductive stage := Reserved | Answered | Held.

Record slot := Slot { s_handle : nat; s_first : nat; s_count : nat; s_stage : stage }.

Record arena := Arena {
  taken : list bool;  (* for each block whether a slot covers it *)
  slots : list slot;
  issued : nat }.

Definition empty blocks := Arena (repeat false blocks) [] 0.

Definition covers i s := (s_first s <=? i) && (i <? s_first s + s_count s).
Definition is_handle h s := s_handle s =? h.
Definition find_slot h a := find (is_handle h) (slots a).

Definition fits (l : list bool) count first :=
  (first + count <=? length l) && forallb negb (firstn count (skipn first l)).

(** The first block of the first [count] free ones in a row. *)
Definition gap (l : list bool) count := find (fits l count) (seq 0 (length l)).

Definition mark first count v (l : list bool) :=
  firstn first l ++ repeat v count ++ skipn (first + count) l.

Definition reserve count a : option (arena * slot) :=
  match gap (taken a) count with
  | None => None
  | Some first =>
      let s := Slot (S (issued a)) first count Reserved in
      Some (Arena (mark first count true (taken a)) (s :: slots a) (S (issued a)), s)
  end.

Definition free h a :=
  match find_slot h a with
  | None => a
  | Some s =>
      Arena (mark (s_first s) (s_count s) false (taken a)) (filter (fun s => negb (is_handle h s)) (slots a)) (issued a)
  end.

Definition with_stage g s := Slot (s_handle s) (s_first s) (s_count s) g.
Definition set_stage h g a :=
  Arena (taken a) (map (fun s => if is_handle h s then with_stage g s else s) (slots a)) (issued a).

Definition stage_of h a := option_map s_stage (find_slot h a).

(** * What holds at all times *)

Definition disjoint s s' := forall i, covers i s = true -> covers i s' = false.

Record sound blocks a : Prop := {
  blocks_kept : length (taken a) = blocks;
  inside : forall s, In s (slots a) -> 0 < s_count s /\ s_first s + s_count s <= blocks;
  numbered : forall s, In s (slots a) -> 0 < s_handle s <= issued a;
  one_each : NoDup (map s_handle (slots a));
  apart : forall s s', In s (slots a) -> In s' (slots a) -> s_handle s <> s_handle s' -> disjoint s s';
  marked : forall i, i < blocks -> nth i (taken a) false = existsb (covers i) (slots a) }.

Lemma empty_sound blocks : sound blocks (empty blocks).
Proof.
  constructor; cbn; try easy; try constructor.
  - apply repeat_length.
  - intros i _. apply nth_repeat.
Qed.

Lemma mark_length first count v l : first + count <= length l -> length (mark first count v l) = length l.
Proof.
  intros. unfold mark. rewrite !app_length, repeat_length, skipn_length, firstn_length. lia.
Qed.

Lemma mark_nth first count v l i :
  first + count <= length l ->
  nth i (mark first count v l) false = if (first <=? i) && (i <? first + count) then v else nth i l false.
Proof.
  intros H. unfold mark.
  assert (F : length (firstn first l) = first) by (rewrite firstn_length; lia).
  destruct (first <=? i) eqn:A; cbn [andb].
  - apply Nat.leb_le in A. rewrite app_nth2, F by lia.
    destruct (i <? first + count) eqn:B.
    + apply Nat.ltb_lt in B. rewrite app_nth1 by (rewrite repeat_length; lia).
      rewrite nth_indep with (d' := v) by (rewrite repeat_length; lia). apply nth_repeat.
    + apply Nat.ltb_ge in B. rewrite app_nth2; rewrite repeat_length; [|lia].
      rewrite <- (firstn_skipn (first + count) l) at 2.
      rewrite app_nth2; rewrite firstn_length; [|lia]. f_equal. lia.
  - apply Nat.leb_gt in A. rewrite app_nth1 by lia.
    rewrite <- (firstn_skipn first l) at 2. rewrite app_nth1 by lia. reflexivity.
Qed.

Lemma gap_fits l count first :
  gap l count = Some first ->
  first + count <= length l /\ forall i, first <= i < first + count -> nth i l false = false.
Proof.
  intros H. apply find_some in H as [_ H]. unfold fits in H. apply andb_prop in H as [A B].
  apply Nat.leb_le in A. split; [exact A|]. intros i Hi.
  rewrite forallb_forall in B.
  assert (In (nth i l false) (firstn count (skipn first l))) as In_.
  { replace (nth i l false) with (nth (i - first) (firstn count (skipn first l)) false).
    { apply nth_In. rewrite firstn_length, skipn_length. lia. }
    transitivity (nth (i - first) (skipn first l) false).
    - rewrite <- (firstn_skipn count (skipn first l)) at 2.
      rewrite app_nth1; [reflexivity|]. rewrite firstn_length, skipn_length. lia.
    - rewrite <- (firstn_skipn first l) at 2.
      rewrite app_nth2; rewrite firstn_length; [f_equal|]; lia. }
  specialize (B _ In_). destruct (nth i l false); cbn in B; congruence.
Qed.

Lemma covers_iff i s : covers i s = true <-> s_first s <= i < s_first s + s_count s.
Proof. unfold covers. rewrite andb_true_iff, Nat.leb_le, Nat.ltb_lt. tauto. Qed.

Lemma reserve_sound blocks count a a' s :
  0 < count -> sound blocks a -> reserve count a = Some (a', s) -> sound blocks a'.
Proof.
  intros C [L I N O A M] R. unfold reserve in R.
  destruct (gap (taken a) count) as [first|] eqn:G; [|discriminate].
  injection R as <- <-. apply gap_fits in G as [F Z]. rewrite L in F.
  assert (New : forall s, In s (slots a) -> forall i, first <= i < first + count -> covers i s = false).
  { intros s Hs i Hi. destruct (covers i s) eqn:E; [|reflexivity].
    assert (existsb (covers i) (slots a) = true) by (apply existsb_exists; eauto).
    rewrite <- M, Z in H; [discriminate|lia|lia]. }
  constructor; cbn.
  - rewrite mark_length; lia.
  - intros s [<-|Hs]; cbn; [lia|auto].
  - intros s [<-|Hs]; cbn; [lia|]. apply N in Hs. lia.
  - constructor; [|exact O]. rewrite in_map_iff. intros [s [E Hs]]. apply N in Hs. lia.
  - intros s s' [<-|Hs] [<-|Hs'] D; cbn in D; try congruence; intros i Ci.
    + apply covers_iff in Ci. cbn in Ci. eauto.
    + destruct (covers i _) eqn:E in |- *; [|reflexivity]. apply covers_iff in E. cbn in E.
      rewrite (New s Hs i) in Ci; [discriminate|lia].
    + exact (A s s' Hs Hs' D i Ci).
  - intros i Hi. rewrite mark_nth by lia.
    change ((first <=? i) && (i <? first + count)) with (covers i (Slot (S (issued a)) first count Reserved)).
    destruct (covers i _); cbn; auto.
Qed.

Lemma find_slot_in h a s : find_slot h a = Some s -> In s (slots a) /\ s_handle s = h.
Proof. intros F. apply find_some in F as [I E]. apply Nat.eqb_eq in E. auto. Qed.

Lemma find_slot_of blocks a s : sound blocks a -> In s (slots a) -> find_slot (s_handle s) a = Some s.
Proof.
  intros [_ _ _ O _ _] I. unfold find_slot. induction (slots a) as [|s' l IH]; [contradiction|].
  cbn. unfold is_handle. inversion O as [|? ? D O']; subst.
  destruct I as [->|I]; [rewrite Nat.eqb_refl; reflexivity|].
  destruct (s_handle s' =? s_handle s) eqn:E; [|auto].
  apply Nat.eqb_eq in E. destruct D. rewrite E. apply in_map. exact I.
Qed.

Lemma map_filter_NoDup {A} (f : A -> nat) p l : NoDup (map f l) -> NoDup (map f (filter p l)).
Proof.
  induction l as [|x l IH]; cbn; intros N; [constructor|]. inversion N; subst.
  destruct (p x); cbn; auto. constructor; auto.
  rewrite in_map_iff. intros [y [E H]]. apply filter_In in H as [H _]. rewrite in_map_iff in H1. eauto.
Qed.

Lemma free_sound blocks h a : sound blocks a -> sound blocks (free h a).
Proof.
  intros S. unfold free. destruct (find_slot h a) as [s|] eqn:F; [|exact S].
  apply find_slot_in in F as [Hs E]. destruct S as [L I N O A M].
  assert (B := I s Hs).
  constructor; cbn.
  - rewrite mark_length; lia.
  - intros s' H. apply filter_In in H as [H _]. auto.
  - intros s' H. apply filter_In in H as [H _]. auto.
  - apply map_filter_NoDup. exact O.
  - intros s1 s2 H1 H2. apply filter_In in H1 as [H1 _]. apply filter_In in H2 as [H2 _]. auto.
  - intros i Hi. rewrite mark_nth by lia. change (_ && _) with (covers i s).
    destruct (covers i s) eqn:C.
    + symmetry. apply not_true_is_false. intros X. apply existsb_exists in X as [s' [H' C']].
      apply filter_In in H' as [H' D]. unfold is_handle in D. apply negb_true_iff, Nat.eqb_neq in D.
      assert (s_handle s <> s_handle s') as D' by congruence.
      rewrite (A s s' Hs H' D' i C) in C'. discriminate.
    + rewrite M by assumption. apply eq_true_iff_eq. rewrite !existsb_exists.
      split; intros [s' [H' C']]; exists s'; split; auto.
      * apply filter_In. split; [assumption|]. unfold is_handle. apply negb_true_iff, Nat.eqb_neq. intros Eh.
        (* the same handle: the same slot *)
        assert (s' = s) as ->; [|congruence].
        assert (find_slot (s_handle s') a = Some s') by (apply (find_slot_of blocks); [constructor|]; auto).
        assert (find_slot (s_handle s) a = Some s) by (apply (find_slot_of blocks); [constructor|]; auto).
        rewrite Eh in *. rewrite E in *. congruence.
      * apply filter_In in H' as [H' _]. exact H'.
Qed.

Lemma handles_after_stage h g l :
  map s_handle (map (fun s => if is_handle h s then with_stage g s else s) l) = map s_handle l.
Proof. rewrite map_map. apply map_ext. intros s. destruct (is_handle h s); reflexivity. Qed.

Lemma set_stage_sound blocks h g a : sound blocks a -> sound blocks (set_stage h g a).
Proof.
  intros [L I N O A M].
  assert (In_ : forall s, In s (slots (set_stage h g a)) ->
          exists s', In s' (slots a) /\ s_handle s = s_handle s' /\ s_first s = s_first s' /\ s_count s = s_count s').
  { cbn. intros s H. apply in_map_iff in H as [s' [<- H]]. exists s'. destruct (is_handle h s'); auto. }
  constructor; cbn -[set_stage].
  - exact L.
  - intros s H. apply In_ in H as [s' [H [E1 [E2 E3]]]]. rewrite E2, E3. auto.
  - intros s H. apply In_ in H as [s' [H [E1 [E2 E3]]]]. rewrite E1. auto.
  - cbn. rewrite handles_after_stage. exact O.
  - intros s1 s2 H1 H2 D. apply In_ in H1 as [t1 [H1 [E1 [F1 G1]]]]. apply In_ in H2 as [t2 [H2 [E2 [F2 G2]]]].
    rewrite E1, E2 in D. intros i. unfold covers. rewrite F1, F2, G1, G2. exact (A t1 t2 H1 H2 D i).
  - intros i Hi. cbn. rewrite M by assumption. induction (slots a) as [|s l IH]; [reflexivity|].
    cbn in *. f_equal; [destruct (is_handle h s); reflexivity|]. clear -l. induction l as [|s l IH]; [reflexivity|].
    cbn. rewrite IH. destruct (is_handle h s); reflexivity.
Qed.

(** When every slot is back, the arena is as it was at the start: only the count of handles has grown. *)
Lemma all_back blocks a : sound blocks a -> slots a = [] -> taken a = taken (empty blocks).
Proof.
  intros [L _ _ _ _ M] E. rewrite E in M. cbn in *.
  apply nth_ext with (d := false) (d' := false); rewrite ?repeat_length; [exact L|].
  intros i Hi. rewrite nth_repeat. apply M. lia.
Qed.

(** * The use of a handle *)

Lemma stage_after_free h h' a : stage_of h (free h' a) = if h =? h' then None else stage_of h a.
Proof.
  unfold stage_of, free. destruct (find_slot h' a) as [s|] eqn:F.
  - unfold find_slot. cbn. clear F s. induction (slots a) as [|s l IH]; cbn; [destruct (h =? h'); reflexivity|].
    unfold is_handle in *. destruct (s_handle s =? h') eqn:E'; cbn.
    + apply Nat.eqb_eq in E'. rewrite IH, E'. destruct (h =? h') eqn:E; [reflexivity|].
      rewrite Nat.eqb_sym, E. reflexivity.
    + destruct (s_handle s =? h) eqn:E; [|exact IH].
      apply Nat.eqb_eq in E. subst h. rewrite E'. reflexivity.
  - destruct (h =? h') eqn:E; [|reflexivity]. apply Nat.eqb_eq in E as ->. rewrite F. reflexivity.
Qed.

Lemma stage_after_set h h' g a :
  stage_of h (set_stage h' g a) =
  if h =? h' then match stage_of h a with Some _ => Some g | None => None end else stage_of h a.
Proof.
  unfold stage_of, find_slot. cbn. induction (slots a) as [|s l IH]; cbn; [destruct (h =? h'); reflexivity|].
  unfold is_handle in *. destruct (s_handle s =? h') eqn:E'; cbn; destruct (s_handle s =? h) eqn:E; cbn; auto.
  - apply Nat.eqb_eq in E, E'. subst. rewrite Nat.eqb_refl. reflexivity.
  - apply Nat.eqb_eq in E. subst h. rewrite E'. reflexivity.
Qed.

Lemma stage_after_reserve h count a a' s :
  reserve count a = Some (a', s) -> stage_of h a' = if h =? S (issued a) then Some Reserved else stage_of h a.
Proof.
  unfold reserve. destruct (gap _ _); [|discriminate]. intros E. injection E as <- <-.
  unfold stage_of, find_slot. cbn [slots find]. unfold is_handle at 1. cbn [s_handle].
  rewrite (Nat.eqb_sym h). destruct (_ =? h); reflexivity.
Qed.

Lemma stage_of_unissued blocks h a : sound blocks a -> issued a < h -> stage_of h a = None.
Proof.
  intros S L. unfold stage_of. destruct (find_slot h a) as [s|] eqn:F; [|reflexivity].
  apply find_slot_in in F as [I <-]. apply (numbered _ _ S) in I. lia.
Qed.

Lemma issued_after_free h a : issued (free h a) = issued a.
Proof. unfold free. destruct (find_slot h a); reflexivity. Qed.
