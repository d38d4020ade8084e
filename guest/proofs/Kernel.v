(* The whole kernel: frames in slots of the arena, decided by the machine. Everything is parametric in the capacities and in
   what the protocol's grammar makes of a payload. *)

From Coq Require Import List Bool Arith.
From Selur Require Import Container Machine Arena.
Import ListNotations.

Definition header := 5.
(* A response begins here in its slot: its data begins where the payload began. *)
Definition status_at := 4.

(** The status that a response carries for a reason. *)
Definition status_code (why : reason) : nat :=
  match why with
  | NoSuchContainer | ContainerDeleted => 2
  | NameTaken => 3
  | WrongState => 6
  | TicketsFull | WaitsFull | ContainersFull | ArenaFull => 8
  | DeadlinePassed => 9
  | CancelledByCaller | CancelledByDelete => 10
  | _ => 1
  end.

(** What a payload asks for. *)
Inductive asked :=
| AskPing
| AskList
| AskCreate (name : option nat)
| AskOn (t : target) (c : command)
| AskHost (code : nat).

Inductive use := Consume | Keep.

Inductive input :=
| Reserve (bytes : nat)
| Write (handle : nat) (bytes : list nat)
| Submit (handle frame_bytes : nat) (how : use) (new_id : nat)
| Release (handle : nat)
| Cancel (ticket : nat) (why : reason)
| Complete (effect : nat) (st : status) (r : option report)
| See (id : nat) (name : option nat) (r : report)
| Lose (id : nat)
| Poll.

(** A response has its place, [length] with the status byte; a stale handle has none. *)
Inductive result :=
| GotSlot (handle first count : nat)
| Fine
| Not (why : reason)
| Response (offset length : nat) (why : option (reason * option mode))
| Accepted (ticket : nat)
| Said (out : option Container.output).

Section Kernel.

Variables containers operations blocks block_bytes max_payload : nat.
(** The codes of commands. *)
Variable is_command : nat -> bool.
(** The protocol's grammar: what a payload behind a command's code asks for, or why it is refused. *)
Variable decode : nat -> list nat -> asked + reason.
(** A container's id in hex, an exit code in decimal. *)
Variable text_of_id : nat -> list nat.
Variable text_of_exit : nat -> list nat.

(** * The frame *)

Definition u32 (a b c d : nat) := a + 256 * (b + 256 * (c + 256 * d)).

Definition parse (bytes : list nat) : (nat * list nat) + reason :=
  match bytes with
  | [] => inr EmptyFrame
  | code :: a :: b :: c :: d :: payload =>
      let promised := u32 a b c d in
      if max_payload <? promised then inr PayloadTooLong
      else if promised =? length payload then
        if is_command code then inl (code, payload) else inr UnknownCommand
      else inr LengthMismatch
  | _ => inr ShortHeader
  end.

(** * The kernel *)

Record kernel := Kernel { the_arena : arena; memory : nat -> nat; the_machine : machine }.

Definition boot := Kernel (empty blocks) (fun _ => 0) start.

Definition offset s := s_first s * block_bytes.
Definition capacity s := s_count s * block_bytes.

(** The bytes [from, from + count). *)
Definition read (mem : nat -> nat) from count := map mem (seq from count).
Definition write (mem : nat -> nat) from (bytes : list nat) : nat -> nat :=
  fun i => if (from <=? i) && (i <? from + length bytes) then nth (i - from) bytes 0 else mem i.

Definition max_frame := max_payload + header.
Definition blocks_for bytes := Nat.max 1 ((bytes + block_bytes - 1) / block_bytes).

Fixpoint lines (ids : list nat) : list nat :=
  match ids with
  | [] => []
  | [id] => text_of_id id
  | id :: rest => text_of_id id ++ 10 :: lines rest
  end.

(** What the machine makes of a request. Data comes with the slots of what never happened. *)
Inductive settled := DataNow (data : list nat) (freed : list nat) | NoNow (why : reason) (state : option mode) | Later (t : nat) (holds : bool).

Definition from_outcome (holds : bool) (freed : list nat) (o : outcome) : settled :=
  match o with
  | Data None => DataNow [] freed
  | Data (Some exit) => DataNow (text_of_exit exit) freed
  | No why state => NoNow why state
  | Pending t => Later t holds
  end.

(** The slot of a create that nobody has seen: a forced delete takes it back. *)
Definition unborn_slots (t : target) (c : command) (m : machine) : list nat :=
  match split_at (is_target t) (boxes m) with
  | Some (_, b, _) => if is_forced c && is_unborn b then flat_map held (filter o_alone (b_ops b)) else []
  | None => []
  end.

Definition decide_request (a : asked) (payload : list nat) (handle new_id : nat) (cap : nat) (m : machine)
  : machine * settled :=
  match a with
  | AskPing => (m, DataNow payload [])
  | AskList =>
      let data := lines (listed m) in
      (m, if header + length data <=? cap then DataNow data [] else NoNow SlotTooSmall None)
  | AskCreate name =>
      let (m, o) := create containers operations name new_id handle (length payload) m in
      (m, from_outcome true [] o)
  | AskOn t c => let (m', o) := request operations t c m in (m', from_outcome false (unborn_slots t c m) o)
  | AskHost code => let (m, o) := host operations code m in (m, from_outcome false [] o)
  end.

(** What a frame in a slot leads to: a function of the slot's bytes and of the machine, and of nothing else. *)
Definition carry_out (bytes : list nat) (frame_bytes handle new_id cap : nat) (m : machine) : machine * settled :=
  if cap <? frame_bytes then (m, NoNow LengthMismatch None)
  else match parse (firstn frame_bytes bytes) with
       | inr why => (m, NoNow why None)
       | inl (code, payload) =>
           match decode code payload with
           | inr why => (m, NoNow why None)
           | inl a => decide_request a payload handle new_id cap m
           end
       end.

Definition free_all (hs : list nat) (a : arena) := fold_left (fun a h => free h a) hs a.

Definition submit (h frame_bytes : nat) (how : use) (new_id : nat) (k : kernel) : kernel * result :=
  match find_slot h (the_arena k) with
  | Some (Slot _ first count Reserved as s) =>
      let a := the_arena k in
      let m := the_machine k in
      let (m', r) := carry_out (read (memory k) (offset s) (capacity s)) frame_bytes h new_id (capacity s) m in
      let answered := match how with Consume => set_stage h Answered a | Keep => a end in
      match r with
      | DataNow data freed =>
          (Kernel (free_all freed answered)
                  (write (memory k) (offset s + status_at) (0 :: data)) m',
           Response (offset s + status_at) (S (length data)) None)
      | NoNow why state =>
          (Kernel answered (write (memory k) (offset s + status_at) [status_code why]) m',
           Response (offset s + status_at) 1 (Some (why, state)))
      | Later t true => (Kernel (set_stage h Held a) (memory k) m', Accepted t)
      | Later t false =>
          (Kernel (match how with Consume => free h a | Keep => a end) (memory k) m', Accepted t)
      end
  | _ => (k, Response 0 0 (Some (StaleHandle, None)))
  end.

(** A create's slot is free when its effect is handed out. *)
Definition id_of out := match out with AnAnswer t _ _ _ => t | AnEffect e _ _ _ _ => e | AnAbort e => e end.
Definition held_of_id id m := flat_map held (filter (has_id id) (all_ops m)).

Definition held_of_ticket t m := flat_map held (filter (wants_cancel t) (all_ops m)).

Definition step (k : kernel) (i : input) : kernel * result :=
  let a := the_arena k in
  let m := the_machine k in
  match i with
  | Reserve bytes =>
      if max_frame <? bytes then (k, Not PayloadTooLong)
      else match reserve (blocks_for bytes) a with
           | Some (a, s) => (Kernel a (memory k) m, GotSlot (s_handle s) (s_first s) (s_count s))
           | None => (k, Not ArenaFull)
           end
  | Write h bytes =>
      match find_slot h a with
      | Some (Slot _ _ _ Reserved as s) =>
          if length bytes <=? capacity s then (Kernel a (write (memory k) (offset s) bytes) m, Fine)
          else (k, Not LengthMismatch)
      | _ => (k, Not StaleHandle)
      end
  | Submit h n how id => submit h n how id k
  | Release h =>
      match stage_of h a with
      | Some Reserved | Some Answered => (Kernel (free h a) (memory k) m, Fine)
      | _ => (k, Not StaleHandle)
      end
  | Cancel t why =>
      match cancel_ticket t why m with
      | Some m' => (Kernel (free_all (held_of_ticket t m) a) (memory k) m', Fine)
      | None => (k, Not StaleHandle)
      end
  | Complete e st r =>
      match complete_effect e st r m with
      | Some m' => (Kernel a (memory k) m', Fine)
      | None => (k, Not StaleHandle)
      end
  | See id name r => (Kernel a (memory k) (seen containers id name r m), Fine)
  | Lose id => (Kernel a (memory k) (lose id m), Fine)
  | Poll =>
      match poll m with
      | None => (k, Said None)
      | Some (out, m') =>
          (Kernel (free_all (held_of_id (id_of out) m) a) (memory k) m', Said (Some out))
      end
  end.

(** Many inputs, one after the other. *)
Fixpoint run (k : kernel) (inputs : list input) : kernel * list result :=
  match inputs with
  | [] => (k, [])
  | i :: rest => let (k, r) := step k i in let (k, rs) := run k rest in (k, r :: rs)
  end.

End Kernel.
