(* The kernel without its arena: all containers, all tickets, all effects. Capacities are parameters.

   A ticket's number is the kernel's without its record (id / 4096): how many ids had been given out. *)

From Coq Require Import List Bool Arith.
From Selur Require Import Container.
Import ListNotations.

Record machine := Machine {
  boxes : list box; (* in order of creation, gone ones included while operations refer to them *)
  counter : nat;    (* how many ids were given out *)
  clock : nat }.    (* the last stamp of the outbox *)

(** The record of what is about no container stands first, under no id. *)
Definition nowhere := Box 0 None 0 0 None Created Nowhere false [] 0.
Definition start := Machine [nowhere] 0 0.

Definition all_ops m := flat_map b_ops (boxes m).

(** The slots that creates hold: their effect waits to be handed out. *)
Definition held o := if is_create (o_command o) && is_ready o then [o_slot o] else [].
Definition held_by m := flat_map held (all_ops m).

Fixpoint split_at {A} (p : A -> bool) (l : list A) : option (list A * A * list A) :=
  match l with
  | [] => None
  | x :: rest =>
      if p x then Some ([], x, rest)
      else match split_at p rest with
           | Some (before, y, after) => Some (x :: before, y, after)
           | None => None
           end
  end.

Definition with_clock n b := with_ops (b_ops b) n b.

(** Frees operations that have neither ticket nor effect left, and gone containers with their last operation. *)
Definition keep_ops b := with_ops (filter (fun o => negb (is_dead o)) (b_ops b)) (b_clock b) b.
Definition is_used b := negb (is_gone b && match b_ops b with [] => true | _ => false end).
Definition sweep (m : machine) : machine :=
  Machine (filter is_used (map keep_ops (boxes m))) (counter m) (clock m).

(** [b] changed into [b'], between its neighbours. *)
Definition put (before : list box) (b' : box) (after : list box) (n : nat) : machine :=
  sweep (Machine (before ++ b' :: after) n (b_clock b')).

Definition is_nowhere b := match b_phase b with Nowhere => true | _ => false end.
Definition is_somewhere b := negb (is_nowhere b).
Definition exists_now b := negb (is_nowhere b) && negb (is_gone b).

Inductive target := ById (id : nat) | ByName (name : nat).

Definition has_name n b := match b_name b with Some m => m =? n | None => false end.
Definition is_target t b :=
  exists_now b && match t with ById id => b_id b =? id | ByName n => has_name n b end.
Definition is_known id b := is_somewhere b && (b_id b =? id).
Definition is_name_taken (name : option nat) m :=
  match name with Some n => existsb (fun b => exists_now b && has_name n b) (boxes m) | None => false end.

Definition listed m := map b_id (filter is_live (boxes m)).

Definition wants_cancel t o := has_id t o && is_open o.
Definition wants_completion e o := has_id e o && is_out o.

(** The operation whose turn it is to say something. *)
Fixpoint first_out (best : option (nat * nat)) (l : list op) : option (nat * nat) :=
  match l with
  | [] => best
  | o :: rest =>
      let better :=
        match o_stamp o, best with
        | 0, _ => false
        | S _, None => true
        | n, Some (_, m) => n <? m
        end in
      first_out (if better then Some (o_id o, o_stamp o) else best) rest
  end.

Definition is_next id o := has_id id o && negb (o_stamp o =? 0).

Section Capacities.

Variables containers operations : nat.

Definition kept := Nat.max 1 (operations / 64).
Definition used_ops m := length (all_ops m).
Definition used_boxes m := length (filter is_somewhere (boxes m)).
Definition waits m := length (filter (fun o => is_wait (o_command o)) (all_ops m)).

(** Why there is no ticket for this command; [None]: there is one. *)
Definition admit (c : command) (m : machine) : option reason :=
  let free := operations - used_ops m in
  let must_leave := if is_kept_for c then 0 else kept in
  if is_wait c && (operations / 2 <=? waits m) then Some WaitsFull
  else if free <=? must_leave then Some TicketsFull
  else None.

(** What a submission came to. *)
Inductive outcome :=
| Data (exit : option nat)
| No (why : reason) (state : option mode)
| Pending (ticket : nat).

Definition create (name : option nat) (id slot bytes : nat) (m : machine) : machine * outcome :=
  match admit Create m with
  | Some why => (m, No why None)
  | None =>
      if existsb (is_known id) (boxes m) then (m, No MalformedInput None)
      else if is_name_taken name m then (m, No NameTaken None)
      else if containers <=? used_boxes m then (m, No ContainersFull None)
      else
        let ticket := S (counter m) in
        (put (boxes m) (created id ticket name slot bytes (clock m)) [] ticket, Pending ticket)
  end.

Definition request (t : target) (c : command) (m : machine) : machine * outcome :=
  match split_at (is_target t) (boxes m) with
  | None => (m, No NoSuchContainer None)
  | Some (before, b, after) =>
      let ticket := S (counter m) in
      let (b', p) := ask c ticket (admit c m) (with_clock (clock m) b) in
      match p with
      | Answered exit => (put before b' after (counter m), Data exit)
      | Refused why state => (m, No why state)
      | Ticket => (put before b' after ticket, Pending ticket)
      end
  end.

Definition host (code : nat) (m : machine) : machine * outcome :=
  match admit (Host code) m with
  | Some why => (m, No why None)
  | None =>
      match split_at is_nowhere (boxes m) with
      | None => (m, No MalformedInput None)
      | Some (before, b, after) =>
          let ticket := S (counter m) in
          (put before (add (new_op ticket (Host code) NoChain Ready false 0 0) (with_clock (clock m) b)) after ticket,
           Pending ticket)
      end
  end.

End Capacities.

Definition cancel_ticket (t : nat) (why : reason) (m : machine) : option machine :=
  match split_at (any (wants_cancel t)) (boxes m) with
  | None => None
  | Some (before, b, after) =>
      match find (wants_cancel t) (b_ops b) with
      | None => None
      | Some o => Some (put before (cancel o why (with_clock (clock m) b)) after (counter m))
      end
  end.

(** An id is taken where an abandoned create becomes its undo. *)
Definition takes_id o (st : status) :=
  is_create (o_command o) && succeeded st && negb (has_ticket o).

Definition complete_effect (e : nat) (st : status) (r : option report) (m : machine) : option machine :=
  match split_at (any (wants_completion e)) (boxes m) with
  | None => None
  | Some (before, b, after) =>
      match find (wants_completion e) (b_ops b) with
      | None => None
      | Some o =>
          let r := if is_nowhere b then None else r in
          let n := if takes_id o st then S (counter m) else counter m in
          Some (put before (complete o st r n (with_clock (clock m) b)) after n)
      end
  end.

Definition seen (containers : nat) (id : nat) (name : option nat) (r : report) (m : machine) : machine :=
  let name := if is_name_taken name m then None else name in
  match split_at (is_known id) (boxes m) with
  | Some (before, b, after) =>
      if is_gone b then m
      else
        let b := with_clock (clock m) b in
        let b := match b_name b with
                 | None => if is_live b then with_name name b else b
                 | Some _ => b
                 end in
        put before (apply (Some r) b) after (counter m)
  | None =>
      if containers <=? used_boxes m then m
      else
        let b := Box id name 0 0 None Created Live false [] (clock m) in
        put (boxes m) (apply (Some r) b) [] (counter m)
  end.

Definition lose (id : nat) (m : machine) : machine :=
  match split_at (is_known id) (boxes m) with
  | Some (before, b, after) => put before (lost (with_clock (clock m) b)) after (counter m)
  | None => m
  end.

Definition poll (m : machine) : option (output * machine) :=
  match first_out None (all_ops m) with
  | None => None
  | Some (id, _) =>
      match split_at (any (is_next id)) (boxes m) with
      | None => None
      | Some (before, b, after) =>
          match find (is_next id) (b_ops b) with
          | None => None
          | Some o =>
              let n := S (counter m) in
              let (out, o') := say n (b_id b) o in
              let n' := if o_id o' =? o_id o then counter m else n in
              Some (out, put before (the id (fun o => snd (say n (b_id b) o)) (with_clock (clock m) b)) after n')
          end
      end
  end.
