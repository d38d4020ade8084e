(* noBufferOverflow and linearUsage: what a kernel does with slots and bytes. *)

From Coq Require Import List Bool Arith Lia.
From Selur Require Import Container Machine Arena Kernel.
Import ListNotations.

#[local] Arguments Nat.leb : simpl never.
#[local] Arguments Nat.ltb : simpl never.
#[local] Arguments Nat.eqb : simpl never.
#[local] Arguments blocks_for : simpl never.
#[local] Arguments header : simpl never.

Section Slots.

Variables containers operations blocks block_bytes max_payload : nat.
Variable is_command : nat -> bool.
Variable decode : nat -> list nat -> asked + reason.
Variables text_of_id text_of_exit : nat -> list nat.

(** A block holds a header and an exit code in decimal. *)
Hypothesis block_is_large : 16 <= block_bytes.
Hypothesis exit_is_short : forall code, length (text_of_exit code) <= 11.

Local Notation step := (step containers operations block_bytes max_payload is_command decode text_of_id text_of_exit).
Local Notation run := (run containers operations block_bytes max_payload is_command decode text_of_id text_of_exit).
Local Notation submit := (submit containers operations block_bytes max_payload is_command decode text_of_id text_of_exit).
Local Notation carry_out := (carry_out containers operations max_payload is_command decode text_of_id text_of_exit).
Local Notation decide_request := (decide_request containers operations text_of_id text_of_exit).
Local Notation parse := (parse max_payload is_command).
Local Notation offset := (offset block_bytes).
Local Notation capacity := (capacity block_bytes).

(** * Frames *)

Lemma parse_length bytes code payload : parse bytes = inl (code, payload) -> length bytes = header + length payload.
Proof.
  unfold Kernel.parse. destruct bytes as [|x [|a [|b [|c [|d p]]]]]; try discriminate.
  destruct (_ <? _); [discriminate|]. destruct (_ =? _); [|discriminate].
  destruct (is_command x); [|discriminate]. intros E. injection E as <- <-. reflexivity.
Qed.

(** A header that does not tell the length of what follows it is refused, whatever else it says. *)
Theorem a_lying_header_is_refused code a b c d payload :
  u32 a b c d <> length payload ->
  exists why, parse (code :: a :: b :: c :: d :: payload) = inr why /\ status_code why = 1.
Proof.
  intros L. unfold Kernel.parse. destruct (_ <? _); [eexists; split; reflexivity|].
  apply Nat.eqb_neq in L. rewrite L. eexists; split; reflexivity.
Qed.

Lemma decide_fits a payload h id cap m m' data freed :
  header + length payload <= cap -> 16 <= cap ->
  decide_request a payload h id cap m = (m', DataNow data freed) -> header + length data <= cap.
Proof.
  intros P C E.
  assert (X : forall holds freed' o, from_outcome text_of_exit holds freed' o = DataNow data freed ->
              header + length data <= cap).
  { intros holds freed' [[code|]|why state|t]; cbn; intros F; try discriminate; injection F as <- _; unfold header; cbn.
    - specialize (exit_is_short code). lia.
    - lia. }
  destruct a; cbn -[header Nat.leb] in E.
  - injection E as _ <- _. exact P.
  - destruct (Nat.leb _ _) eqn:F; [|discriminate]. injection E as _ <- _. apply Nat.leb_le in F. exact F.
  - destruct (create _ _ _ _ _ _ _) as [m1 o]. injection E as _ E. eauto.
  - destruct (request _ _ _ _) as [m1 o]. injection E as _ E. eauto.
  - destruct (host _ _ _) as [m1 o]. injection E as _ E. eauto.
Qed.

Lemma carry_out_fits bytes n h id cap m m' data freed :
  16 <= cap -> carry_out bytes n h id cap m = (m', DataNow data freed) -> header + length data <= cap.
Proof.
  intros C. unfold Kernel.carry_out. destruct (cap <? n) eqn:L; [discriminate|]. apply Nat.ltb_ge in L.
  destruct (parse (firstn n bytes)) as [[code payload]|why] eqn:P; [|discriminate].
  destruct (decode code payload); [|discriminate]. apply decide_fits; [|assumption].
  apply parse_length in P. rewrite <- P. rewrite firstn_length. lia.
Qed.

Lemma slot_holds a s : sound blocks a -> In s (slots a) -> 16 <= capacity s.
Proof. intros S I. apply (inside _ _ S) in I. unfold Kernel.capacity. nia. Qed.

(** * noBufferOverflow *)

Definition within s x := offset s <= x < offset s + capacity s.

(** Slots lie within the arena, and no byte belongs to two. *)
Theorem slots_lie_within_the_arena a s x :
  sound blocks a -> In s (slots a) -> within s x -> x < blocks * block_bytes.
Proof. intros S I [_ X]. apply (inside _ _ S) in I. unfold Kernel.offset, Kernel.capacity in X. nia. Qed.

Theorem no_byte_belongs_to_two_slots a s s' x :
  sound blocks a -> In s (slots a) -> In s' (slots a) -> within s x -> within s' x -> s_handle s = s_handle s'.
Proof.
  intros S I I' [L U] [L' U']. destruct (Nat.eq_dec (s_handle s) (s_handle s')) as [E|D]; [exact E|exfalso].
  unfold Kernel.offset, Kernel.capacity in *.
  assert (Q : forall t, s_first t * block_bytes <= x < s_first t * block_bytes + s_count t * block_bytes ->
              covers (x / block_bytes) t = true).
  { intros t [A B]. apply covers_iff. split.
    - apply Nat.div_le_lower_bound; lia.
    - apply Nat.div_lt_upper_bound; lia. }
  assert (A := apart _ _ S s s' I I' D (x / block_bytes)).
  assert (C' : covers (x / block_bytes) s' = true) by (apply Q; lia).
  rewrite A in C'; [discriminate|]. apply Q. lia.
Qed.

Lemma write_changes mem from bytes x : write mem from bytes x <> mem x -> from <= x < from + length bytes.
Proof.
  unfold write. destruct (from <=? x) eqn:A; cbn [andb]; [|congruence].
  destruct (x <? from + length bytes) eqn:B; [|congruence].
  apply Nat.leb_le in A. apply Nat.ltb_lt in B. lia.
Qed.

Definition handle_of i := match i with Write h _ | Submit h _ _ _ => Some h | _ => None end.

(** A step changes no byte outside of the slot that its input names, by a handle that is valid. *)
Theorem writes_stay_within_their_slot k i k' r x :
  sound blocks (the_arena k) -> step k i = (k', r) -> memory k' x <> memory k x ->
  exists s, find_slot (s_handle s) (the_arena k) = Some s /\ handle_of i = Some (s_handle s)
            /\ s_stage s = Reserved /\ within s x.
Proof.
  intros S E X. destruct i; cbn in E.
  - destruct (_ <? _); [injection E as <- _; congruence|].
    destruct (reserve _ _) as [[a s]|]; injection E as <- _; cbn in X; congruence.
  - destruct (find_slot handle (the_arena k)) as [[h f c g]|] eqn:F; [|injection E as <- _; congruence].
    destruct g; try (injection E as <- _; congruence).
    destruct (length bytes <=? _) eqn:L; [|injection E as <- _; congruence].
    injection E as <- _. cbn in X. apply write_changes in X. apply Nat.leb_le in L.
    apply find_slot_in in F as F'. cbn in F'. destruct F' as [_ ->].
    exists (Slot handle f c Reserved). split; [exact F|]. cbn. split; [reflexivity|]. split; [reflexivity|].
    unfold within, Kernel.offset, Kernel.capacity in *. cbn in *. lia.
  - unfold Kernel.submit in E.
    destruct (find_slot handle (the_arena k)) as [[h f c g]|] eqn:F; [|injection E as <- _; congruence].
    destruct g; try (injection E as <- _; congruence).
    apply find_slot_in in F as F'. cbn in F'. destruct F' as [I ->].
    assert (C := slot_holds _ _ S I).
    destruct (carry_out _ _ _ _ _ _) as [m' res] eqn:D.
    exists (Slot handle f c Reserved). split; [exact F|]. cbn. split; [reflexivity|]. split; [reflexivity|].
    destruct res as [data freed|why state|t [|]]; injection E as <- _; cbn in X; try congruence;
      apply write_changes in X; unfold within, status_at, Kernel.offset, Kernel.capacity in *; cbn in *.
    + apply carry_out_fits in D; [|exact C]. unfold header in D. lia.
    + lia.
  - destruct (stage_of handle (the_arena k)) as [[| |]|]; injection E as <- _; cbn in X; congruence.
  - destruct (cancel_ticket _ _ _); injection E as <- _; cbn in X; congruence.
  - destruct (complete_effect _ _ _ _); injection E as <- _; cbn in X; congruence.
  - injection E as <- _; cbn in X; congruence.
  - injection E as <- _; cbn in X; congruence.
  - destruct (poll _) as [[out m']|]; injection E as <- _; cbn in X; congruence.
Qed.

(** A response lies within the slot that its request came in. *)
Theorem a_response_lies_in_its_slot k h n how id k' o l why :
  sound blocks (the_arena k) -> step k (Submit h n how id) = (k', Response o l why) -> l <> 0 ->
  exists s, find_slot h (the_arena k) = Some s /\ offset s + status_at = o /\ o + l <= offset s + capacity s.
Proof.
  intros S E L. cbn in E. unfold Kernel.submit in E.
  destruct (find_slot h (the_arena k)) as [[h' f c g]|] eqn:F; [|injection E as _ _ <- _; congruence].
  destruct g; try (injection E as _ _ <- _; congruence).
  apply find_slot_in in F as F'. cbn in F'. destruct F' as [I ->].
  assert (C := slot_holds _ _ S I).
  destruct (carry_out _ _ _ _ _ _) as [m' res] eqn:D.
  exists (Slot h f c Reserved). split; [reflexivity|].
  destruct res as [data freed|why' state|t [|]]; try discriminate; injection E as _ <- <- _;
    (split; [reflexivity|]); unfold status_at.
  - apply carry_out_fits in D; [|exact C]. unfold header in D. lia.
  - lia.
Qed.

(** What a frame leads to depends on the bytes of its slot alone: no other byte is read. *)
Theorem reads_stay_within_their_slot k k' h n how id :
  the_arena k = the_arena k' -> the_machine k = the_machine k' ->
  (forall s x, find_slot h (the_arena k) = Some s -> within s x -> memory k x = memory k' x) ->
  let (a, r) := step k (Submit h n how id) in
  let (a', r') := step k' (Submit h n how id) in
  r = r' /\ the_arena a = the_arena a' /\ the_machine a = the_machine a'.
Proof.
  intros A M B. cbn. unfold Kernel.submit. rewrite <- A, <- M.
  destruct (find_slot h (the_arena k)) as [[h' f c g]|] eqn:F; [|cbn; auto].
  destruct g; try (cbn; auto; fail).
  replace (read (memory k') _ _) with (read (memory k) (offset (Slot h' f c Reserved)) (capacity (Slot h' f c Reserved))).
  - destruct (carry_out _ _ _ _ _ _) as [m' [data freed|why state|t [|]]]; cbn; auto.
  - apply map_ext_in. intros x X. apply in_seq in X. apply (B _ x eq_refl). unfold within. lia.
Qed.

(** A frame that claims to be longer than its slot is refused, and nothing else happens. *)
Theorem a_lying_length_is_refused k h n how id s :
  find_slot h (the_arena k) = Some s -> s_stage s = Reserved -> capacity s < n ->
  let (k', r) := step k (Submit h n how id) in
  r = Response (offset s + status_at) 1 (Some (LengthMismatch, None)) /\ the_machine k' = the_machine k
  /\ memory k' (offset s + status_at) = status_code LengthMismatch /\ status_code LengthMismatch = 1.
Proof.
  intros F G L. cbn. unfold Kernel.submit. rewrite F. destruct s as [h' f c g]. cbn in G. subst g.
  unfold Kernel.carry_out. apply Nat.ltb_lt in L. rewrite L. cbn.
  unfold write. cbn. rewrite Nat.leb_refl. replace (_ <? _) with true by (symmetry; apply Nat.ltb_lt; lia).
  rewrite Nat.sub_diag. auto.
Qed.

(** * linearUsage *)

(** How far a handle is: not given out, reserved, answered or held, gone. *)
Definition life h a :=
  match stage_of h a with
  | Some Reserved => 1
  | Some _ => 2
  | None => if issued a <? h then 0 else 3
  end.

Lemma issued_after_set h g a : issued (set_stage h g a) = issued a.
Proof. reflexivity. Qed.

Lemma life_free h h' a : sound blocks a -> life h a <= life h (free h' a).
Proof.
  intros S. unfold life. rewrite stage_after_free, issued_after_free. destruct (h =? h') eqn:E; [|lia].
  apply Nat.eqb_eq in E as <-. destruct (issued a <? h) eqn:L.
  - apply Nat.ltb_lt in L. rewrite (stage_of_unissued _ _ _ S L). lia.
  - destruct (stage_of h a) as [[| |]|]; lia.
Qed.

Lemma free_all_sound hs a : sound blocks a -> sound blocks (free_all hs a).
Proof. revert a. induction hs; cbn; intros; [assumption|]. apply IHhs, free_sound. assumption. Qed.

Lemma life_free_all hs h a : sound blocks a -> life h a <= life h (free_all hs a).
Proof.
  revert a. induction hs; cbn; intros; [lia|]. etransitivity; [apply life_free; eassumption|].
  apply IHhs, free_sound. assumption.
Qed.

Lemma life_set h h' g a : stage_of h' a = Some Reserved -> g <> Reserved -> life h a <= life h (set_stage h' g a).
Proof.
  intros R G. unfold life. rewrite stage_after_set, issued_after_set. destruct (h =? h') eqn:E; [|lia].
  apply Nat.eqb_eq in E as ->. rewrite R. destruct g; [congruence| |]; lia.
Qed.

Lemma life_reserve h count a a' s : sound blocks a -> reserve count a = Some (a', s) -> life h a <= life h a'.
Proof.
  intros S R. unfold life. rewrite (stage_after_reserve h _ _ _ _ R).
  destruct (h =? Datatypes.S (issued a)) eqn:E.
  - apply Nat.eqb_eq in E as ->. rewrite (stage_of_unissued _ _ _ S) by lia.
    replace (_ <? _) with true; [lia|]. symmetry. apply Nat.ltb_lt. lia.
  - assert (I : issued a' = Datatypes.S (issued a)).
    { unfold reserve in R. destruct (gap _ _); [|discriminate]. injection R as <- _. reflexivity. }
    destruct (stage_of h a) as [[| |]|]; try lia. rewrite I. apply Nat.eqb_neq in E.
    destruct (issued a <? h) eqn:L; [|].
    + lia.
    + apply Nat.ltb_ge in L. replace (_ <? _) with false; [lia|]. symmetry. apply Nat.ltb_ge. lia.
Qed.

Lemma blocks_for_positive n : 0 < blocks_for block_bytes n.
Proof. unfold blocks_for. lia. Qed.

(** Every step keeps the arena sound, and brings no handle back. *)
Theorem a_handle_never_comes_back k i k' r h :
  sound blocks (the_arena k) -> step k i = (k', r) ->
  sound blocks (the_arena k') /\ life h (the_arena k) <= life h (the_arena k').
Proof.
  intros S E. destruct i; cbn in E.
  - destruct (_ <? _); [injection E as <- _; split; [assumption|lia]|].
    destruct (reserve _ _) as [[a s]|] eqn:R; injection E as <- _; cbn; [|split; [assumption|lia]].
    split; [eapply reserve_sound; eauto using blocks_for_positive|eapply life_reserve; eauto].
  - destruct (find_slot _ _) as [[h' f c g]|]; [|injection E as <- _; split; [assumption|lia]].
    destruct g; try (injection E as <- _; split; [assumption|lia]).
    destruct (_ <=? _); injection E as <- _; (split; [assumption|cbn; lia]).
  - unfold Kernel.submit in E.
    destruct (find_slot handle (the_arena k)) as [[h' f c g]|] eqn:F; [|injection E as <- _; split; [assumption|lia]].
    destruct g; try (injection E as <- _; split; [assumption|lia]).
    assert (R : stage_of handle (the_arena k) = Some Reserved) by (unfold stage_of; rewrite F; reflexivity).
    destruct (carry_out _ _ _ _ _ _) as [m' [data freed|why state|t [|]]]; injection E as <- _; cbn.
    + destruct how; cbn.
      * split; [apply free_all_sound, set_stage_sound; assumption|].
        etransitivity; [apply (life_set _ _ Answered _ R); discriminate|]. apply life_free_all, set_stage_sound. assumption.
      * split; [apply free_all_sound; assumption|apply life_free_all; assumption].
    + destruct how; (split; [try apply set_stage_sound; assumption|]).
      * apply life_set; [exact R|congruence].
      * lia.
    + split; [apply set_stage_sound; assumption|]. apply life_set; [exact R|congruence].
    + destruct how; (split; [try apply free_sound; assumption|]).
      * apply life_free. assumption.
      * lia.
  - destruct (stage_of handle (the_arena k)) as [[| |]|]; injection E as <- _; cbn;
      (split; [try apply free_sound; assumption|try apply life_free; try assumption; lia]).
  - destruct (cancel_ticket _ _ _); injection E as <- _; cbn;
      (split; [try apply free_all_sound; assumption|try apply life_free_all; try assumption; lia]).
  - destruct (complete_effect _ _ _ _); injection E as <- _; cbn; (split; [assumption|lia]).
  - injection E as <- _; cbn; (split; [assumption|lia]).
  - injection E as <- _; cbn; (split; [assumption|lia]).
  - destruct (poll _) as [[out m']|]; injection E as <- _; cbn;
      (split; [try apply free_all_sound; assumption|try apply life_free_all; try assumption; lia]).
Qed.

Theorem linear_runs k inputs k' rs h :
  sound blocks (the_arena k) -> run k inputs = (k', rs) ->
  sound blocks (the_arena k') /\ life h (the_arena k) <= life h (the_arena k').
Proof.
  revert k rs. induction inputs as [|i inputs IH]; cbn; intros k rs S E.
  - injection E as <- _. split; [assumption|lia].
  - destruct (step k i) as [k1 r] eqn:E1. destruct (run k1 inputs) as [k2 rs'] eqn:E2. injection E as <- _.
    destruct (a_handle_never_comes_back _ _ _ _ h S E1) as [S1 L1].
    destruct (IH _ _ S1 E2) as [S2 L2]. split; [assumption|lia].
Qed.

(** What was released is gone; what was submitted and not kept is never reserved again. *)
Theorem a_release_is_the_last_use k h k' :
  sound blocks (the_arena k) -> step k (Release h) = (k', Fine) -> life h (the_arena k') = 3.
Proof.
  intros S E. cbn in E. unfold life.
  destruct (stage_of h (the_arena k)) as [[| |]|] eqn:G; try discriminate; injection E as <-; cbn;
    rewrite stage_after_free, Nat.eqb_refl, issued_after_free;
    (destruct (_ <? _) eqn:L; [|reflexivity]); apply Nat.ltb_lt in L;
    rewrite (stage_of_unissued _ _ _ S L) in G; discriminate.
Qed.

Theorem a_submission_is_the_only_one k h n id k' r :
  sound blocks (the_arena k) -> step k (Submit h n Consume id) = (k', r) ->
  r = Response 0 0 (Some (StaleHandle, None)) \/ 2 <= life h (the_arena k').
Proof.
  intros S E. cbn in E. unfold Kernel.submit in E.
  destruct (find_slot h (the_arena k)) as [[h' f c g]|] eqn:F; [|injection E as _ <-; auto].
  destruct g; try (injection E as _ <-; auto). right.
  assert (R : stage_of h (the_arena k) = Some Reserved) by (unfold stage_of; rewrite F; reflexivity).
  assert (G : forall g, g <> Reserved -> 2 <= life h (set_stage h g (the_arena k))).
  { intros g D. unfold life. rewrite stage_after_set, Nat.eqb_refl, R. destruct g; [congruence| |]; lia. }
  destruct (carry_out _ _ _ _ _ _) as [m' [data freed|why state|t [|]]]; injection E as <- _; cbn.
  - etransitivity; [apply (G Answered); discriminate|]. apply life_free_all, set_stage_sound. assumption.
  - apply G. discriminate.
  - apply G. discriminate.
  - unfold life. rewrite stage_after_free, Nat.eqb_refl, issued_after_free.
    destruct (_ <? _) eqn:L; [|lia]. apply Nat.ltb_lt in L. rewrite (stage_of_unissued _ _ _ S L) in R. discriminate.
Qed.

(** A second use is refused, and changes nothing. *)
Theorem a_second_submission_is_refused k h n how id :
  2 <= life h (the_arena k) -> step k (Submit h n how id) = (k, Response 0 0 (Some (StaleHandle, None))).
Proof.
  unfold life, stage_of. cbn. unfold Kernel.submit.
  destruct (find_slot h (the_arena k)) as [[h' f c [| |]]|]; cbn; intros L; try reflexivity; lia.
Qed.

Theorem a_second_release_is_refused k h :
  life h (the_arena k) = 3 -> step k (Release h) = (k, Not StaleHandle).
Proof.
  unfold life. cbn. destruct (stage_of h (the_arena k)) as [[| |]|]; intros L; try discriminate; try lia. reflexivity.
Qed.

Theorem what_is_gone_cannot_be_written k h bytes :
  2 <= life h (the_arena k) -> step k (Write h bytes) = (k, Not StaleHandle).
Proof.
  unfold life, stage_of. cbn.
  destruct (find_slot h (the_arena k)) as [[h' f c [| |]]|]; cbn; intros L; try reflexivity; lia.
Qed.

End Slots.
