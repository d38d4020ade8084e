(* The properties of the whole kernel, from the first input on: what docs/verification.md lists. *)

From Coq Require Import List Bool Arith Lia Permutation.
From Selur Require Import Container Machine Invariant Arena Kernel Slots Conservation Requests.
Import ListNotations.

#[local] Arguments Nat.leb : simpl never.
#[local] Arguments Nat.ltb : simpl never.
#[local] Arguments blocks_for : simpl never.
#[local] Arguments header : simpl never.

Section Properties.

Variables containers operations blocks block_bytes max_payload : nat.
Variable is_command : nat -> bool.
Variable decode : nat -> list nat -> asked + reason.
Variables text_of_id text_of_exit : nat -> list nat.

Local Notation step := (step containers operations block_bytes max_payload is_command decode text_of_id text_of_exit).
Local Notation run := (run containers operations block_bytes max_payload is_command decode text_of_id text_of_exit).
Local Notation carry_out := (carry_out containers operations max_payload is_command decode text_of_id text_of_exit).
Local Notation boot := (boot blocks).

(** What can be seen of a step: tickets accepted and answered, effects handed out and completed. *)
Definition accepted r := match r with Accepted t => [t] | _ => [] end.
Definition answers r := match r with Said (Some (AnAnswer t c b _)) => [(t, c, b)] | _ => [] end.
Definition effects r := match r with Said (Some (AnEffect e _ _ _ _)) => [e] | _ => [] end.
Definition completions i r := match i, r with Complete e _ _, Fine => [e] | _, _ => [] end.

Definition ticket_of (x : Requests.request) : nat := fst (fst x).
Definition kernel_ok k := machine_ok (the_machine k).

(** One step: a ticket that is accepted is new; a ticket that is answered was pending, and the answer is of its command. *)
Lemma step_moves k i k' r :
  kernel_ok k -> step k i = (k', r) ->
  exists asked,
    moves (the_machine k) (the_machine k') asked (answers r) (effects r) (completions i r)
    /\ map ticket_of asked = accepted r
    /\ (forall t, In t (accepted r) -> counter (the_machine k) < t <= counter (the_machine k'))
    /\ match r with Said (Some (AnAnswer _ c _ a)) => Invariant.fits c a = true | _ => True end.
Proof.
  intros M E. unfold kernel_ok in M. assert (Z := stays _ M).
  assert (N : forall r', accepted r' = [] -> forall t, In t (accepted r') ->
              counter (the_machine k) < t <= counter (the_machine k')) by (intros r' -> t []).
  destruct i; cbn in E.
  - destruct (_ <? _); [injection E as <- <-; exists []; cbn; tauto|].
    destruct (reserve _ _) as [[a s]|]; injection E as <- <-; exists []; cbn; tauto.
  - destruct (find_slot _ _) as [[h f c g]|]; [|injection E as <- <-; exists []; cbn; tauto].
    destruct g; try (injection E as <- <-; exists []; cbn; tauto).
    destruct (_ <=? _); injection E as <- <-; exists []; cbn; tauto.
  - unfold submit in E.
    destruct (find_slot _ _) as [[h f c g]|]; [|injection E as <- <-; exists []; cbn; tauto].
    destruct g; try (injection E as <- <-; exists []; cbn; tauto).
    destruct (carry_out _ _ _ _ _ _) as [m' res] eqn:C.
    assert (K : match res with
                | Later t _ => counter m' = t /\ t = S (counter (the_machine k))
                    /\ exists x, ticket_of x = t /\ moves (the_machine k) m' [x] [] [] []
                | _ => moves (the_machine k) m' [] [] [] []
                end).
    { clear E. unfold Kernel.carry_out in C. destruct (_ <? _); [injection C as <- <-; exact Z|].
      destruct (parse _ _ _) as [[code payload]|why]; [|injection C as <- <-; exact Z].
      destruct (decode code payload) as [a|why]; [|injection C as <- <-; exact Z].
      destruct a; cbn in C.
      - injection C as <- <-. exact Z.
      - injection C as <- <-. destruct (_ <=? _); exact Z.
      - destruct (create _ _ _ _ _ _ _) as [m1 o] eqn:Cr. assert (X := create_moves _ _ _ _ _ _ _ _ _ M Cr).
        injection C as <- <-. destruct o as [[e|]|why st|t]; cbn; try (rewrite X; exact Z).
        destruct X as [-> [X1 X2]]. split; [exact X1|]. split; [reflexivity|]. eexists. split; [|exact X2]. reflexivity.
      - destruct (Machine.request _ _ _ _) as [m1 o] eqn:Cr. assert (X := request_moves _ _ _ _ _ _ M Cr).
        injection C as <- <-. destruct o as [[e|]|why st|tk]; cbn; try exact X.
        destruct X as [-> [X1 [b [_ [_ X2]]]]]. split; [exact X1|]. split; [reflexivity|]. eexists. split; [|exact X2]. reflexivity.
      - destruct (host _ _ _) as [m1 o] eqn:Cr. assert (X := host_moves _ _ _ _ _ M Cr).
        injection C as <- <-. destruct o as [[e|]|why st|t]; cbn; try (rewrite X; exact Z).
        destruct X as [-> [X1 [b [_ [_ X2]]]]]. split; [exact X1|]. split; [reflexivity|]. eexists. split; [|exact X2]. reflexivity. }
    destruct res as [data freed|why state|t holds].
    + injection E as <- <-. exists []. cbn. tauto.
    + injection E as <- <-. exists []. cbn. tauto.
    + destruct K as [K1 [K2 [x [X1 X2]]]].
      assert (Ec : r = Accepted t /\ the_machine k' = m') by (destruct holds; injection E as <- <-; auto).
      destruct Ec as [-> ->]. exists [x]. cbn. rewrite X1. split; [exact X2|]. split; [reflexivity|].
      split; [|exact Logic.I]. intros t' [<-|[]]. lia.
  - destruct (stage_of _ _) as [[| |]|]; injection E as <- <-; exists []; cbn; tauto.
  - destruct (cancel_ticket _ _ _) as [m'|] eqn:C; injection E as <- <-; exists []; cbn; [|tauto].
    assert (X := cancel_moves _ _ _ _ M C). tauto.
  - destruct (complete_effect _ _ _ _) as [m'|] eqn:C; injection E as <- <-; exists []; cbn; [|tauto].
    assert (X := complete_moves _ _ _ _ _ M C). tauto.
  - injection E as <- <-. exists []. cbn. assert (X := seen_moves containers id name r0 _ M). tauto.
  - injection E as <- <-. exists []. cbn. assert (X := lose_moves id _ M). tauto.
  - destruct (poll _) as [[out m']|] eqn:P; injection E as <- <-; exists []; cbn; [|tauto].
    assert (X := poll_moves _ _ _ M P). destruct out; tauto.
Qed.

Fixpoint all_completions inputs rs :=
  match inputs, rs with i :: inputs, r :: rs => completions i r ++ all_completions inputs rs | _, _ => [] end.

(** Many steps. *)
Lemma run_moves inputs k k' rs :
  kernel_ok k -> run k inputs = (k', rs) ->
  exists asked,
    moves (the_machine k) (the_machine k') asked (flat_map answers rs) (flat_map effects rs) (all_completions inputs rs)
    /\ map ticket_of asked = flat_map accepted rs
    /\ NoDup (flat_map accepted rs)
    /\ (forall t, In t (flat_map accepted rs) -> counter (the_machine k) < t <= counter (the_machine k'))
    /\ (forall t c b a, In (Said (Some (AnAnswer t c b a))) rs -> Invariant.fits c a = true).
Proof.
  revert k rs. induction inputs as [|i inputs IH]; cbn; intros k rs M E.
  - injection E as <- <-. exists []. cbn. split; [apply stays, M|]. repeat split; try easy. constructor.
  - destruct (step k i) as [k1 r] eqn:E1. destruct (run k1 inputs) as [k2 rs'] eqn:E2. injection E as <- <-.
    destruct (step_moves _ _ _ _ M E1) as [a1 [V1 [T1 [B1 F1]]]].
    destruct (IH k1 rs' (v_ok _ _ _ _ _ _ V1) E2) as [a2 [V2 [T2 [N2 [B2 F2]]]]].
    exists (a1 ++ a2). destruct V1 as [O1 P1 R1 C1], V2 as [O2 P2 R2 C2]. cbn.
    split; [|split; [rewrite map_app, T1, T2; reflexivity|split; [|split]]].
    + constructor; [exact O2| | |lia].
      * rewrite (Permutation_app_comm (answers r)), !app_assoc, P2. rewrite <- !app_assoc.
        rewrite (Permutation_app_comm a2), !app_assoc, P1. rewrite <- app_assoc. reflexivity.
      * rewrite (Permutation_app_comm (completions i r)), !app_assoc, R2. rewrite <- !app_assoc.
        rewrite (Permutation_app_comm (flat_map effects rs')), !app_assoc, R1. rewrite <- app_assoc. reflexivity.
    + apply NoDup_app_parts. split; [destruct r; cbn; repeat constructor; easy|]. split; [exact N2|].
      intros t I J. apply B1 in I. apply B2 in J. lia.
    + intros t I. apply in_app_or in I as [I|I]; [apply B1 in I|apply B2 in I]; lia.
    + intros t c b a [->|I]; [exact F1|eauto].
Qed.

Lemma boot_ok : kernel_ok boot.
Proof.
  constructor; cbn.
  - constructor; [|constructor]. constructor; cbn; try discriminate; try constructor; auto.
  - constructor.
  - easy.
Qed.

(** * noLostRequests *)

(** Every accepted ticket is pending or answered, one of the two and once; what is answered was accepted. *)
Theorem every_ticket_is_answered_once_or_pending inputs k rs :
  run boot inputs = (k, rs) ->
  NoDup (map ticket_of (pending (the_machine k)) ++ map ticket_of (flat_map answers rs))
  /\ Permutation (map ticket_of (pending (the_machine k)) ++ map ticket_of (flat_map answers rs)) (flat_map accepted rs).
Proof.
  intros E. destruct (run_moves _ _ _ _ boot_ok E) as [asked [V [T [N [_ _]]]]].
  assert (P : Permutation (map ticket_of (pending (the_machine k)) ++ map ticket_of (flat_map answers rs)) (flat_map accepted rs)).
  { rewrite <- map_app, <- T. apply Permutation_map. exact (v_pending _ _ _ _ _ _ V). }
  split; [|exact P]. apply Permutation_sym in P. exact (Permutation_NoDup P N).
Qed.

(** noLostRequests: if every effect that was handed out was completed, and nothing waits to be polled, then every ticket
    that was accepted is answered, exactly once; but for the waits on containers that exist and have not ended. *)
Theorem noLostRequests inputs k rs :
  run boot inputs = (k, rs) ->
  Permutation (flat_map effects rs) (all_completions inputs rs) ->
  first_out None (all_ops (the_machine k)) = None ->
  forall t, In t (flat_map accepted rs) ->
    count_occ Nat.eq_dec (map ticket_of (flat_map answers rs)) t = 1
    \/ (count_occ Nat.eq_dec (map ticket_of (flat_map answers rs)) t = 0
        /\ exists c b, In (t, c, b_id b) (pending (the_machine k)) /\ is_wait c = true
           /\ In b (boxes (the_machine k)) /\ is_live b = true /\ is_stopped b = false).
Proof.
  intros E Q Z t I. destruct (every_ticket_is_answered_once_or_pending _ _ _ E) as [N P].
  destruct (run_moves _ _ _ _ boot_ok E) as [asked [V _]].
  assert (R : running (the_machine k) = []).
  { assert (X := v_running _ _ _ _ _ _ V). cbn in X. rewrite <- Q in X.
    change (flat_map effects rs) with ([] ++ flat_map effects rs) in X at 2. apply Permutation_app_inv_r in X.
    apply Permutation_sym, Permutation_nil in X. exact X. }
  apply NoDup_app_parts in N as [N1 [N2 N3]]. apply (Permutation_in _ (Permutation_sym P)) in I. apply in_app_or in I as [I|I].
  - right. split.
    + apply count_occ_not_In. apply N3. exact I.
    + apply in_map_iff in I as [[[t' c] i] [X I]]. cbn in X. subst t'.
      destruct (what_is_left_waits _ _ _ _ (v_ok _ _ _ _ _ _ V) R Z I) as [W [b [Ib [Ei [L S]]]]].
      exists c, b. rewrite Ei. tauto.
  - left. apply (proj1 (NoDup_count_occ' Nat.eq_dec _) N2). exact I.
Qed.

(** * A response belongs to its request *)

(** An answer comes for a ticket under the command and the container with which it was accepted, and is one that this
    command can have. *)
Theorem a_response_belongs_to_its_request inputs k rs :
  run boot inputs = (k, rs) ->
  exists asked, map ticket_of asked = flat_map accepted rs /\ NoDup (map ticket_of asked)
    /\ forall t c b a, In (Said (Some (AnAnswer t c b a))) rs -> In (t, c, b) asked /\ Invariant.fits c a = true.
Proof.
  intros E. destruct (run_moves _ _ _ _ boot_ok E) as [asked [V [T [N [_ F]]]]].
  exists asked. split; [exact T|]. split; [rewrite T; exact N|]. intros t c b a I. split; [|eauto].
  assert (J : In (t, c, b) (flat_map answers rs)) by (apply in_flat_map; eexists; split; [exact I|left; reflexivity]).
  apply (Permutation_in _ (v_pending _ _ _ _ _ _ V)). apply in_or_app. right. exact J.
Qed.

(** * Effects *)

(** Every effect that was handed out is out or was completed, one of the two and as often as it was handed out. *)
Theorem every_effect_is_out_or_completed inputs k rs :
  run boot inputs = (k, rs) ->
  Permutation (running (the_machine k) ++ all_completions inputs rs) (flat_map effects rs).
Proof. intros E. destruct (run_moves _ _ _ _ boot_ok E) as [asked [V _]]. exact (v_running _ _ _ _ _ _ V). Qed.

(** * noMemoryLeaks *)

(** A block holds a header and an exit code in decimal. *)
Hypothesis block_is_large : 16 <= block_bytes.

(** When every slot is back, the arena is what it was at the start. *)
Theorem noMemoryLeaks inputs k rs :
  run boot inputs = (k, rs) -> slots (the_arena k) = [] -> taken (the_arena k) = taken (the_arena boot).
Proof.
  intros E. apply (all_back blocks).
  refine (proj1 (linear_runs containers operations blocks block_bytes max_payload is_command decode text_of_id text_of_exit
    block_is_large boot inputs k rs 0 _ E)). apply empty_sound.
Qed.

(** * determinism *)

(** Equal inputs give equal results and an equal state, and with it an equal digest, whatever function of the state that is. *)
Theorem determinism {D} (digest : kernel -> D) inputs k rs k' rs' :
  run boot inputs = (k, rs) -> run boot inputs = (k', rs') -> rs = rs' /\ digest k = digest k'.
Proof. intros E E'. rewrite E in E'. injection E' as <- <-. auto. Qed.

(** A trace that was cut in two goes on where it was cut: there is nothing to know but the state. *)
Theorem a_run_goes_on_from_its_state k one two :
  run k (one ++ two) =
  let (k1, rs1) := run k one in let (k2, rs2) := run k1 two in (k2, rs1 ++ rs2).
Proof.
  revert k. induction one as [|i one IH]; cbn; intros k.
  - destruct (run k two); reflexivity.
  - destruct (step k i) as [k0 r]. rewrite IH. destruct (run k0 one) as [k1 rs1]. destruct (run k1 two). reflexivity.
Qed.

End Properties.
