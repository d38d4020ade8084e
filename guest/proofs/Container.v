(* One container and the operations that are about it: what the kernel decides, as functions on one record.

   The Rust kernel keeps operations in one table and chains them with links. Here each container has its operations in
   order of arrival, and the chains are what a filter gives: an operation enters its chain when it arrives and never again,
   so the order is the same. The outbox is a stamp on each operation that has something to say. The container to which an
   operation belongs and "runs alone" are marks on operations, where Rust has links to them.

   What the digest covers is here in full. What is left out: where records lie in their tables, hash indexes, and the
   bound on the number of ids (2^48). *)

From Coq Require Import List Bool Arith.
Import ListNotations.

(** * What is asked and what is answered *)

Inductive command :=
| Create | Start | Stop (timeout : option nat) | Inspect | Delete (force : bool) | Kill (signal : nat)
| Pause | Resume | Wait
| Host (code : nat). (* hosted: on a container (exec to top), or on none *)

Inductive mode := Created | Running | Paused | Restarting | Stopped.

Inductive reason :=
| EmptyFrame | ShortHeader | PayloadTooLong | LengthMismatch | UnknownCommand | NotUtf8 | BadRequest (code : nat)
| StaleHandle | SlotTooSmall | MalformedInput | NoSuchContainer | NameTaken | WrongState | TicketsFull | WaitsFull
| ContainersFull | ArenaFull | CancelledByCaller | DeadlinePassed | CancelledByDelete | ContainerDeleted.

Inductive answer :=
| Done
| HasCreated
| Exited (code : option nat)
| HostData
| Failed (why : reason) (state : option mode)
| RuntimeFailed (status : nat).

Inductive chain := NoChain | Queue | Waiters | Forces.
Inductive effect_stage := NoEffect | Ready | Out.
Inductive ticket_stage := NoTicket | Open | Settled.
(** [Nowhere] is that of the record which has the operations that are about no container. *)
Inductive phase := Creating | Live | Undoing | Gone | Nowhere.

(** How an effect ended: [None] is success, else the status of the failure. *)
Definition status := option nat.

Record report := Report { r_generation : nat; r_sequence : nat; r_mode : mode; r_exit : option nat }.

Definition is_exclusive c :=
  match c with Create | Start | Stop _ | Pause | Resume | Delete _ => true | _ => false end.
Definition is_create c := match c with Create => true | _ => false end.
Definition is_wait c := match c with Wait => true | _ => false end.
Definition is_delete c := match c with Delete _ => true | _ => false end.
Definition is_forced c := match c with Delete true => true | _ => false end.
Definition is_by_host c := match c with Inspect | Host _ => true | _ => false end.
Definition is_kept_for c := match c with Stop _ | Kill _ | Delete _ => true | _ => false end.

Inductive decision := Act | Nothing | Refuse.

(** The state table. 11 exec, 13 attach, 14 stats, 15 top; the other hosted commands act in every state. *)
Definition decide (c : command) (m : mode) : decision :=
  match c, m with
  | Start, (Created | Stopped) => Act
  | Start, (Running | Restarting) => Nothing
  | Start, Paused => Refuse
  | Stop _, (Running | Paused | Restarting) => Act
  | Stop _, _ => Nothing
  | Kill _, (Running | Paused | Restarting) => Act
  | Kill _, _ => Refuse
  | Pause, Running => Act
  | Pause, Paused => Nothing
  | Pause, _ => Refuse
  | Resume, Paused => Act
  | Resume, Running => Nothing
  | Resume, _ => Refuse
  | Delete _, (Created | Stopped) => Act
  | Delete _, _ => Refuse
  | Host 11, Running => Act
  | Host 11, _ => Refuse
  | Host 13, Stopped => Refuse
  | Host 14, (Running | Paused) => Act
  | Host 14, _ => Refuse
  | Host 15, (Running | Paused) => Act
  | Host 15, _ => Refuse
  | _, _ => Act
  end.

(** * Operations *)

Record op := Op {
  o_id : nat;
  o_command : command;
  o_chain : chain;
  o_effect : effect_stage;
  o_ticket : ticket_stage;
  o_alone : bool;       (* it has the container to itself *)
  o_slot : nat;         (* a create: the handle of the slot that it holds until its effect is handed out *)
  o_bytes : nat;        (* a create: its payload's length *)
  o_abort_waits : bool;
  o_aborted : bool;
  o_by_delete : bool;
  o_undo_next : bool;
  o_answer : option answer;
  o_stamp : nat }.      (* its place in the outbox; 0: it is not there *)

Definition has_effect o := match o_effect o with NoEffect => false | _ => true end.
Definition is_ready o := match o_effect o with Ready => true | _ => false end.
Definition is_out o := match o_effect o with Out => true | _ => false end.
Definition is_open o := match o_ticket o with Open => true | _ => false end.
Definition is_settled o := match o_ticket o with Settled => true | _ => false end.
Definition has_ticket o := match o_ticket o with NoTicket => false | _ => true end.
Definition in_queue o := match o_chain o with Queue => true | _ => false end.
Definition in_waiters o := match o_chain o with Waiters => true | _ => false end.
Definition in_forces o := match o_chain o with Forces => true | _ => false end.
Definition in_chain o := match o_chain o with NoChain => false | _ => true end.
Definition has_output o := is_ready o || is_settled o || o_abort_waits o.
Definition is_dead o := negb (has_ticket o) && negb (has_effect o).

Definition new_op id c ch ef alone slot bytes :=
  Op id c ch ef Open alone slot bytes false false false false None 0.

Definition with_effect e o :=
  Op (o_id o) (o_command o) (o_chain o) e (o_ticket o) (o_alone o) (o_slot o) (o_bytes o)
     (o_abort_waits o) (o_aborted o) (o_by_delete o) (o_undo_next o) (o_answer o) (o_stamp o).
Definition with_ticket t o :=
  Op (o_id o) (o_command o) (o_chain o) (o_effect o) t (o_alone o) (o_slot o) (o_bytes o)
     (o_abort_waits o) (o_aborted o) (o_by_delete o) (o_undo_next o) (o_answer o) (o_stamp o).
Definition with_alone a o :=
  Op (o_id o) (o_command o) (o_chain o) (o_effect o) (o_ticket o) a (o_slot o) (o_bytes o)
     (o_abort_waits o) (o_aborted o) (o_by_delete o) (o_undo_next o) (o_answer o) (o_stamp o).
Definition with_aborts w a o :=
  Op (o_id o) (o_command o) (o_chain o) (o_effect o) (o_ticket o) (o_alone o) (o_slot o) (o_bytes o)
     w a (o_by_delete o) (o_undo_next o) (o_answer o) (o_stamp o).
Definition marked_by_delete o :=
  Op (o_id o) (o_command o) (o_chain o) (o_effect o) (o_ticket o) (o_alone o) (o_slot o) (o_bytes o)
     (o_abort_waits o) (o_aborted o) true (o_undo_next o) (o_answer o) (o_stamp o).
Definition with_stamp n o :=
  Op (o_id o) (o_command o) (o_chain o) (o_effect o) (o_ticket o) (o_alone o) (o_slot o) (o_bytes o)
     (o_abort_waits o) (o_aborted o) (o_by_delete o) (o_undo_next o) (o_answer o) n.

(** Out of the chain it is in. *)
Definition unchain o :=
  Op (o_id o) (o_command o) NoChain (o_effect o) (o_ticket o) (o_alone o) (o_slot o) (o_bytes o)
     (o_abort_waits o) (o_aborted o) (o_by_delete o) (o_undo_next o) (o_answer o) (o_stamp o).

(** Answers its ticket, unless it was answered before. *)
Definition settle a o :=
  if is_open o then
    Op (o_id o) (o_command o) (o_chain o) (o_effect o) Settled (o_alone o) (o_slot o) (o_bytes o)
       (o_abort_waits o) (o_aborted o) (o_by_delete o) (o_undo_next o) (Some a) (o_stamp o)
  else o.

(** Takes back an effect that was not handed out, and answers: at the end of the outbox, not where the effect stood. *)
Definition take_back a o :=
  if is_ready o then settle a (with_alone false (with_effect NoEffect (unchain (with_stamp 0 o)))) else o.

(** Has its effect handed out. *)
Definition ready o := if has_effect o then o else with_effect Ready o.

(** Asks a running effect to end early, once. *)
Definition abort o := if is_out o && negb (o_aborted o) then with_aborts true true o else o.

(** An abandoned create that came true: its undo comes when its answer was polled. *)
Definition to_undo o :=
  Op (o_id o) (o_command o) (o_chain o) NoEffect (o_ticket o) (o_alone o) (o_slot o) (o_bytes o)
     false (o_aborted o) (o_by_delete o) true (o_answer o) (o_stamp o).

(** The forced delete that undoes it: an operation of its own, without a ticket. *)
Definition undo_of id (o : op) :=
  Op id (Delete true) NoChain Ready NoTicket true 0 0 false false false false None 0.

(** In the outbox exactly if it has something to say; at the end if that is new. *)
Definition touch n o :=
  with_stamp (if has_output o then (if o_stamp o =? 0 then n else o_stamp o) else 0) o.

(** * Containers *)

Record box := Box {
  b_id : nat;
  b_name : option nat;
  b_generation : nat;
  b_sequence : nat;
  b_exit : option nat;
  b_mode : mode;
  b_phase : phase;
  b_reported : bool;
  b_ops : list op;
  b_clock : nat }. (* the stamp of what last entered the outbox: shared, passed from step to step *)

Definition with_ops l n b :=
  Box (b_id b) (b_name b) (b_generation b) (b_sequence b) (b_exit b) (b_mode b) (b_phase b) (b_reported b) l n.
Definition with_phase p b :=
  Box (b_id b) (b_name b) (b_generation b) (b_sequence b) (b_exit b) (b_mode b) p (b_reported b) (b_ops b) (b_clock b).
Definition with_name m b :=
  Box (b_id b) m (b_generation b) (b_sequence b) (b_exit b) (b_mode b) (b_phase b) (b_reported b) (b_ops b) (b_clock b).
Definition with_report r b :=
  Box (b_id b) (b_name b) (r_generation r) (r_sequence r) (r_exit r) (r_mode r) (b_phase b) true (b_ops b) (b_clock b).

Definition is_live b := match b_phase b with Live => true | _ => false end.
Definition is_gone b := match b_phase b with Gone => true | _ => false end.
Definition is_creating b := match b_phase b with Creating => true | _ => false end.
Definition is_undoing b := match b_phase b with Undoing => true | _ => false end.
Definition is_stopped b := match b_mode b with Stopped => true | _ => false end.
Definition any (p : op -> bool) b := existsb p (b_ops b).

Fixpoint change_list (p : op -> bool) (f : op -> op) (n : nat) (l : list op) : list op :=
  match l with
  | [] => []
  | o :: rest => (if p o then touch n (f o) else o) :: change_list p f (S n) rest
  end.

(** Changes every operation for which [p] holds, in order. The one way in which operations change. *)
Definition change p f b := with_ops (change_list p f (S (b_clock b)) (b_ops b)) (b_clock b + length (b_ops b)) b.
Definition add o b := with_ops (b_ops b ++ [touch (S (b_clock b)) o]) (S (b_clock b)) b.

Definition has_id id o := o_id o =? id.
Definition the (id : nat) := change (has_id id).
Definition emit id := the id ready.
Definition settle_all (p : op -> bool) a := change p (fun o => settle a (unchain o)).

Definition is_idle b := is_live b && negb (any o_alone b) && negb (any in_forces b).

(** Decides about an operation whose turn it is, takes it out of its queue, and does what was decided. *)
Definition dispatch (o : op) (b : box) : box :=
  let c := o_command o in
  match decide c (b_mode b) with
  | Act =>
      the (o_id o) (fun o => ready (with_alone (is_exclusive c && negb (is_forced c)) (unchain o))) b
  | Nothing => the (o_id o) (fun o => settle Done (unchain o)) b
  | Refuse => the (o_id o) (fun o => settle (Failed WrongState (Some (b_mode b))) (unchain o)) b
  end.

Definition queue b := filter in_queue (b_ops b).

(** Lets the queue go on, as far as it can. *)
Definition pump (b : box) : box :=
  fold_left (fun b o => if is_idle b then dispatch o b else b) (queue b) b.

(** Lets the next forced delete act, or else the queue. *)
Definition next_forced (b : box) : box :=
  match find in_forces (b_ops b) with
  | Some o => if is_live b then emit (o_id o) b else pump b
  | None => pump b
  end.

(** A container that has just come to exist: forced deletes, what never queues, then the queue. *)
Definition begin_life (b : box) : box :=
  let b := with_phase Live b in
  let b := match find in_forces (b_ops b) with Some o => emit (o_id o) b | None => b end in
  let b := fold_left (fun b o => dispatch o b)
             (filter (fun o => negb (is_exclusive (o_command o))) (queue b)) b in
  pump b.

Definition is_newer r b :=
  negb (b_reported b) || (b_generation b <? r_generation r)
  || ((b_generation b =? r_generation r) && (b_sequence b <? r_sequence r)).

(** Takes a report over if it is newer than what is known; a final exit answers the waits. *)
Definition apply (r : option report) (b : box) : box :=
  match r with
  | Some r =>
      if is_newer r b then
        let b := with_report r b in
        if is_stopped b then settle_all in_waiters (Exited (b_exit b)) b else b
      else b
  | None => b
  end.

(** It exists no more: everything that waited for it is answered. *)
Definition remove (b : box) : box :=
  if is_gone b then b
  else
    let b := with_phase Gone b in
    let b := settle_all in_queue (Failed ContainerDeleted None) b in
    let b := settle_all in_waiters (Failed ContainerDeleted None) b in
    change in_forces (fun o => if has_effect o then unchain o else settle Done (unchain o)) b.

(** * Steps of one container *)

(** What a submission gives: an answer at once, or a ticket. *)
Inductive progress := Answered (exit : option nat) | Refused (why : reason) (state : option mode) | Ticket.

Definition cut_short (b : box) : box :=
  if any (fun o => o_alone o && is_ready o) b then
    change o_alone (take_back (Failed CancelledByDelete None)) b
  else change o_alone (fun o => abort (marked_by_delete o)) b.

(** A create whose effect nobody has seen yet. *)
Definition is_unborn b := is_creating b && any (fun o => o_alone o && is_ready o) b.

Definition force (id : nat) (admitted : option reason) (b : box) : box * progress :=
  if is_unborn b then
    let b := settle_all in_queue (Failed CancelledByDelete None) b in
    let b := cut_short b in
    (remove b, Answered None)
  else
    match admitted with
    | Some why => (b, Refused why None)
    | None =>
        let is_first := negb (any in_forces b) && negb (is_undoing b) in
        let b := add (new_op id (Delete true) Forces NoEffect false 0 0) b in
        if is_first then
          let b := settle_all in_queue (Failed CancelledByDelete None) b in
          let b := cut_short b in
          (if is_live b then emit id b else b, Ticket)
        else (b, Ticket)
    end.

(** Any request on a container but a create. [admitted] says why there is no ticket, if there is none. *)
Definition ask (c : command) (id : nat) (admitted : option reason) (b : box) : box * progress :=
  if is_create c then (b, Refused MalformedInput None)
  else if is_wait c && is_stopped b then (b, Answered (b_exit b))
  else if is_forced c then force id admitted b
  else
    let has_turn := if is_exclusive c then is_idle b else is_live b in
    let open ch ef alone :=
      match admitted with
      | Some why => (b, Refused why None)
      | None => (add (new_op id c ch ef alone 0 0) b, Ticket)
      end in
    if is_wait c then open Waiters NoEffect false
    else if negb has_turn then open Queue NoEffect false
    else match decide c (b_mode b) with
         | Nothing => (b, Answered None)
         | Refuse => (b, Refused WrongState (Some (b_mode b)))
         | Act => open NoChain Ready (is_exclusive c)
         end.

Definition created (box_id id : nat) (name : option nat) (slot bytes clock : nat) : box :=
  add (new_op id Create NoChain Ready true slot bytes)
      (Box box_id name 0 0 None Created Creating false [] clock).

Definition cancel (o : op) (why : reason) (b : box) : box :=
  let id := o_id o in
  match o_effect o with
  | NoEffect =>
      let b := the id (fun o => settle (Failed why None) (unchain o)) b in
      match filter in_forces (b_ops b) with
      | [only] => if is_open only then b else the (o_id only) abort b
      | _ => b
      end
  | Ready =>
      let b := the id (take_back (Failed why None)) b in
      if in_forces o then next_forced b
      else if o_alone o then (if is_create (o_command o) then remove b else pump b)
      else b
  | Out =>
      let b := the id (settle (Failed why None)) b in
      if in_forces o && is_live b && (1 <? length (filter in_forces (b_ops b))) then b
      else the id abort b
  end.

Definition by_status (o : op) (st : status) : answer :=
  match st with
  | None => if is_by_host (o_command o) then HostData else Done
  | Some code => if o_by_delete o then Failed CancelledByDelete None else RuntimeFailed code
  end.

Definition succeeded (st : status) := match st with None => true | Some _ => false end.

(** An operation whose effect has ended, answered: at the end of the outbox, not where its abort stood. *)
Definition finish a o :=
  settle a (with_stamp (if is_open o then 0 else o_stamp o)
    (with_alone false (with_aborts false (o_aborted o) (with_effect NoEffect (unchain o))))).

(** The effect of [o], which was out, has ended. [fresh] is the number of an undo, should it come to one. *)
Definition complete (o : op) (st : status) (r : option report) (fresh : nat) (b : box) : box :=
  let b := apply r b in
  let finished a := the (o_id o) (finish a) b in
  if is_create (o_command o) then
    match st, o_ticket o with
    | Some _, _ => remove (finished (by_status o st))
    | None, Open => begin_life (finished HasCreated)
    | None, Settled => with_phase Undoing (the (o_id o) to_undo b)
    | None, NoTicket => with_phase Undoing (the (o_id o) (undo_of fresh) b)
    end
  else
    let b := finished (by_status o st) in
    if succeeded st && is_delete (o_command o) then remove b
    else if is_forced (o_command o) && o_alone o && is_undoing b then begin_life b
    else if is_forced (o_command o) && in_forces o then next_forced b
    else pump b.

(** Whether it is being created: then nobody believes that it is gone. *)
Definition is_coming b := any (fun o => o_alone o && is_create (o_command o) && has_effect o) b.
Definition lost b := if is_coming b then b else remove b.

(** * Polling *)

Inductive output :=
| AnAnswer (ticket : nat) (c : command) (b : nat) (a : answer)
| AnEffect (id : nat) (c : command) (b : nat) (slot bytes : nat)
| AnAbort (id : nat).

(** What the operation says next, and what becomes of it. An undo takes [fresh]. *)
Definition say (fresh : nat) (b : nat) (o : op) : output * op :=
  if is_ready o then
    (AnEffect (o_id o) (o_command o) b (o_slot o) (o_bytes o), with_effect Out o)
  else if o_abort_waits o then (AnAbort (o_id o), with_aborts false (o_aborted o) o)
  else
    (AnAnswer (o_id o) (o_command o) b (match o_answer o with Some a => a | None => Done end),
     if o_undo_next o then undo_of fresh o else with_ticket NoTicket o).
