(* Makes every sequence of inputs up to a depth, by the extracted model: one line for each, with what the model answers.

   A line is `DEPTH STEPS | USAGE DIGEST`: it continues the last line that had a smaller depth. STEPS are inputs with
   their results, separated by `;`. A state that was met before with as many steps left is not gone on from: equal states
   have equal futures. Scenes differ in what may be asked.

     traces small|full|small-sample|full-sample     on standard error how many there are of each scene *)

open Model

type capacity = { containers : int; operations : int; blocks : int }

let small = { containers = 2; operations = 5; blocks = 3 }
let full = { containers = 1024; operations = 4096; blocks = 2560 }
let block_bytes = 256
let max_payload = 262144

(* --- what the protocol's grammar makes of the payloads that stand here *)

let bytes_of text = List.init (String.length text) (fun i -> Char.code text.[i])
let text_of bytes = String.init (List.length bytes) (fun i -> Char.chr (List.nth bytes i))
let hex_of_id id = String.concat "" (List.init 16 (fun _ -> Printf.sprintf "%02x" id))
let names = [ (1, "web"); (2, "db") ]
let name_of number = List.assoc number names

let number_of name =
  match List.find_opt (fun (_, other) -> other = name) names with Some (number, _) -> number | None -> 99

let target_of text =
  if String.length text = 32 then ById (int_of_string ("0x" ^ String.sub text 0 2)) else ByName (number_of text)

let is_command code = code <= 0x1b

let decode code payload =
  let text = text_of payload in
  let on command = Inl (AskOn (target_of (List.hd (String.split_on_char '\000' text)), command)) in
  let option = match String.split_on_char '\000' text with _ :: option :: _ -> Some option | _ -> None in
  let plain command = if option = None then on command else Inr (BadRequest 8) in
  if List.exists (fun byte -> byte >= 0x80) payload then Inr NotUtf8
  else
    match code with
    | 0 -> Inl AskPing
    | 1 -> Inl (AskCreate (match option with None | Some "" -> None | Some name -> Some (number_of name)))
    | 2 -> plain Start
    | 3 -> on (Stop (Option.map int_of_string option))
    | 4 -> plain Inspect
    | 5 -> if option = Some "x" then Inr (BadRequest 18) else on (Delete (option <> None))
    | 6 -> if text = "" then Inl AskList else Inr (BadRequest 7)
    | 7 -> on (Kill (match option with None -> 9 | Some signal -> int_of_string signal))
    | 8 -> plain Pause
    | 9 -> plain Resume
    | 10 -> plain Wait
    | code when code < 0x10 -> on (Host code)
    | code -> Inl (AskHost code)

let frame code fields =
  let payload = String.concat "\000" fields in
  let length = String.length payload in
  String.init 5 (fun i -> Char.chr (if i = 0 then code else (length lsr (8 * (i - 1))) land 255)) ^ payload

let text_of_id id = bytes_of (hex_of_id id)
let text_of_exit code = bytes_of (string_of_int code)

let take capacity =
  step capacity.containers capacity.operations block_bytes max_payload is_command decode text_of_id text_of_exit

(* --- codes *)

let reason_code = function
  | EmptyFrame -> 1 | ShortHeader -> 2 | LengthMismatch -> 3 | PayloadTooLong -> 4 | UnknownCommand -> 5
  | NotUtf8 -> 6 | BadRequest code -> code | StaleHandle -> 19 | SlotTooSmall -> 20 | MalformedInput -> 21
  | NoSuchContainer -> 32 | ContainerDeleted -> 34 | NameTaken -> 40 | WrongState -> 48 | ContainersFull -> 56
  | TicketsFull -> 57 | WaitsFull -> 58 | ArenaFull -> 59 | DeadlinePassed -> 64 | CancelledByCaller -> 72
  | CancelledByDelete -> 73

let mode_code = function Created -> 0 | Running -> 1 | Paused -> 2 | Restarting -> 3 | Stopped -> 4
let state_code = function None -> 0 | Some mode -> mode_code mode + 1

let command_code = function
  | Create -> 1 | Start -> 2 | Stop _ -> 3 | Inspect -> 4 | Delete _ -> 5 | Kill _ -> 7 | Pause -> 8 | Resume -> 9
  | Wait -> 10 | Host code -> code

let known = function None -> "-" | Some number -> string_of_int number

let answer_text = function
  | Done -> "done" | HasCreated -> "created" | Exited code -> "exited " ^ known code | HostData -> "data"
  | Failed (why, state) ->
      Printf.sprintf "failed %d %d %d" (status_code why) (reason_code why) (state_code state)
  | RuntimeFailed status -> Printf.sprintf "failed %d 80 0" status

(* --- inputs and results as text *)

let hex bytes = if bytes = [] then "-" else String.concat "" (List.map (Printf.sprintf "%02x") bytes)

let report_text = function
  | None -> "-"
  | Some { r_generation; r_sequence; r_mode; r_exit } ->
      Printf.sprintf "%d.%d.%d.%s" r_generation r_sequence (mode_code r_mode) (known r_exit)

let input_text = function
  | Reserve bytes -> Printf.sprintf "R %d" bytes
  | Write (handle, bytes) -> Printf.sprintf "W %d %s" handle (hex bytes)
  | Submit (handle, bytes, how, id) ->
      Printf.sprintf "S %d %d %s %d" handle bytes (match how with Consume -> "c" | Keep -> "k") id
  | Release handle -> Printf.sprintf "F %d" handle
  | Cancel (ticket, why) -> Printf.sprintf "C %d %d" ticket (if why = DeadlinePassed then 1 else 0)
  | Complete (effect, status, report) ->
      Printf.sprintf "E %d %d %s" effect (match status with None -> 0 | Some code -> code) (report_text report)
  | See (id, name, report) ->
      Printf.sprintf "O %d %s %s" id (match name with None -> "-" | Some n -> name_of n) (report_text (Some report))
  | Lose id -> Printf.sprintf "L %d" id
  | Poll -> "P"

let action_text = function
  | Stop timeout -> known timeout | Delete force -> if force then "1" else "0" | Kill signal -> string_of_int signal
  | _ -> "-"

let result_text before after = function
  | GotSlot (handle, first, count) -> Printf.sprintf "slot %d %d %d" handle first count
  | Fine -> "ok"
  | Not why -> Printf.sprintf "no %d" (reason_code why)
  | Accepted ticket -> Printf.sprintf "ticket %d" ticket
  | Response (offset, length, None) ->
      Printf.sprintf "data %d %s" offset (hex (List.init length (fun i -> after.memory (offset + i))))
  | Response (offset, length, Some (why, state)) ->
      Printf.sprintf "refused %d %d %d %d" offset length (reason_code why) (state_code state)
  | Said None -> "none"
  | Said (Some (AnAnswer (ticket, command, container, answer))) ->
      Printf.sprintf "answer %d %d %d %s" ticket (command_code command) container (answer_text answer)
  | Said (Some (AnEffect (id, (Create as command), container, slot, bytes))) ->
      let offset = match find_slot slot before.the_arena with Some slot -> slot.s_first * block_bytes + 5 | None -> -1 in
      Printf.sprintf "effect %d %d %d %d.%d" id (command_code command) container offset bytes
  | Said (Some (AnEffect (id, command, container, _, _))) ->
      Printf.sprintf "effect %d %d %d %s" id (command_code command) container (action_text command)
  | Said (Some (AnAbort id)) -> Printf.sprintf "abort %d" id

(* --- the digest: FNV-1a 64 over the logical state, a ticket named by its number *)

let fnv_byte hash byte = Int64.mul (Int64.logxor hash (Int64.of_int byte)) 0x100000001b3L

let fnv_word hash word =
  let hash = ref hash in
  for i = 0 to 7 do hash := fnv_byte !hash ((word lsr (8 * i)) land 255) done;
  !hash

let fnv_bytes = List.fold_left fnv_byte
let fnv_start = 0xcbf29ce484222325L
let id_bytes id = List.init 16 (fun _ -> id)
let bit flag value = if flag then value else 0

let op_digest container op =
  let chain = match op.o_chain with NoChain -> 0 | Queue -> 1 | Waiters -> 2 | Forces -> 3 in
  let effect_ = match op.o_effect with NoEffect -> 0 | Ready -> 1 | Out -> 2 in
  let ticket = match op.o_ticket with NoTicket -> 0 | Open -> 1 | Settled -> 2 in
  let option = match op.o_command with Stop (Some _) | Delete true -> true | _ -> false in
  let flags =
    bit op.o_abort_waits 1 + bit op.o_aborted 2 + bit op.o_by_delete 4 + bit op.o_undo_next 8 + bit option 16 in
  let answer, value =
    match op.o_answer with
    | None -> (0, if op.o_command = Create then op.o_bytes else 0)
    | Some Done -> (0, 0)
    | Some HasCreated -> (1, 0)
    | Some (Exited (Some code)) -> (2, code)
    | Some (Exited None) -> (3, 0)
    | Some HostData -> (4, 0)
    | Some (Failed (why, state)) -> (5, status_code why + (reason_code why lsl 8) + (state_code state lsl 16))
    | Some (RuntimeFailed status) -> (5, status + (80 lsl 8)) in
  let argument = match op.o_command with Stop (Some ms) -> ms | Kill signal -> signal | _ -> 0 in
  let hash = fnv_bytes (fnv_word fnv_start op.o_id) (id_bytes container) in
  let hash = fnv_bytes hash [ command_code op.o_command; chain; effect_; ticket; flags; answer; 0; 0 ] in
  fnv_word hash ((argument lsl 32) + value)

let outbox machine =
  let ops = List.concat_map (fun box -> box.b_ops) machine.boxes in
  let waiting = List.filter (fun op -> op.o_stamp > 0) ops in
  List.sort (fun one other -> compare one.o_stamp other.o_stamp) waiting

let digest machine =
  let box_digest hash box =
    let name = match box.b_name with None -> [] | Some number -> bytes_of (name_of number) in
    let hash = fnv_bytes (fnv_word (fnv_bytes hash (id_bytes box.b_id)) (List.length name)) name in
    let hash = fnv_word hash ((box.b_generation lsl 32) + box.b_sequence) in
    let hash = fnv_word hash (Option.value box.b_exit ~default:0) in
    let phase = match box.b_phase with Creating -> 1 | Live -> 2 | Undoing -> 3 | Gone | Nowhere -> 0 in
    let hash =
      fnv_bytes hash [ mode_code box.b_mode; phase; bit (box.b_exit <> None) 1; bit box.b_reported 1 ] in
    let chain hash which =
      let ops = List.filter (fun op -> op.o_chain = which) box.b_ops in
      fnv_word (List.fold_left (fun hash op -> fnv_word hash op.o_id) hash ops) 0 in
    let hash = List.fold_left chain hash [ Queue; Waiters; Forces ] in
    match List.find_opt (fun op -> op.o_alone) box.b_ops with
    | Some op -> fnv_word hash op.o_id
    | None -> fnv_word hash 0 in
  let exists box = match box.b_phase with Gone | Nowhere -> false | _ -> true in
  let hash = fnv_word fnv_start (used_boxes machine) in
  let hash = List.fold_left box_digest hash (List.filter exists machine.boxes) in
  let hash = List.fold_left (fun hash op -> fnv_word hash op.o_id) hash (outbox machine) in
  let hash = fnv_word hash machine.counter in
  let add sum box = List.fold_left (fun sum op -> Int64.add sum (op_digest box.b_id op)) sum box.b_ops in
  let sum = List.fold_left add 0L machine.boxes in
  let hash = ref hash in
  for i = 0 to 7 do
    hash := fnv_byte !hash (Int64.to_int (Int64.shift_right_logical sum (8 * i)) land 255)
  done;
  !hash

(* --- states that are equal but for the numbers of tickets and slots *)

let key kernel =
  let machine = kernel.the_machine in
  let ranks of_ =
    let all = List.concat_map (fun box -> List.map of_ box.b_ops) machine.boxes in
    List.sort_uniq compare (0 :: all) in
  let ids = ranks (fun op -> op.o_id) and stamps = ranks (fun op -> op.o_stamp) in
  let slots = List.map (fun slot -> slot.s_handle) kernel.the_arena.slots in
  let place number list =
    let rec go i = function [] -> -1 | other :: rest -> if other = number then i else go (i + 1) rest in
    go 0 list in
  let op o =
    { o with o_id = place o.o_id ids; o_stamp = place o.o_stamp stamps; o_slot = place o.o_slot slots } in
  let boxes = List.map (fun box -> { box with b_clock = 0; b_ops = List.map op box.b_ops }) machine.boxes in
  let slot s = { s with s_handle = place s.s_handle slots } in
  Digest.string (Marshal.to_string (boxes, List.map slot kernel.the_arena.slots) [ Marshal.No_sharing ])

(* --- scenes *)

type scene = {
  title : string;
  capacity : capacity;
  depth : int;
  ids : int list;
  eager : bool;  (* outputs are polled at once *)
  requests : int -> string list;  (* the frames that may be sent about a container *)
  others : string list;  (* those about none *)
  creates : (int * string) list;  (* ids and names *)
  reports : report list;
  statuses : int option list;
  whole : bool;  (* a poll takes all that waits, as the guest's does *)
  slots : bool;  (* slots are used one step at a time, and wrongly *)
}

type progress = { kernel : kernel; said : string list }

let prim capacity progress input =
  let kernel, result = take capacity progress.kernel input in
  let text = input_text input ^ " = " ^ result_text progress.kernel kernel result in
  ({ kernel; said = text :: progress.said }, result)

let send capacity ?(how = Consume) text id progress =
  let length = String.length text in
  let progress, result = prim capacity progress (Reserve length) in
  match result with
  | GotSlot (handle, _, _) -> (
      let progress, _ = prim capacity progress (Write (handle, bytes_of text)) in
      let progress, result = prim capacity progress (Submit (handle, length, how, id)) in
      match result with
      | Response _ -> fst (prim capacity progress (Release handle))
      | _ when how = Keep -> fst (prim capacity progress (Release handle))
      | _ -> progress)
  | _ -> progress

let rec drain capacity progress =
  match prim capacity progress Poll with progress, Said None -> progress | progress, _ -> drain capacity progress

let moves scene kernel =
  let capacity = scene.capacity in
  let machine = kernel.the_machine in
  let ops = List.concat_map (fun box -> box.b_ops) machine.boxes in
  let input i progress = fst (prim capacity progress i) in
  let exists id = List.exists (fun box -> box.b_id = id && box.b_phase <> Nowhere) machine.boxes in
  let creates =
    List.filter_map
      (fun (id, name) ->
        if exists id then None
        else Some (send capacity (frame 1 (if name = "" then [ "img" ] else [ "img"; name ])) id))
      scene.creates in
  let asks =
    List.concat_map
      (fun id -> if exists id then List.map (fun text -> send capacity text 255) (scene.requests id) else [])
      scene.ids in
  let others = List.map (fun text -> send capacity ~how:Keep text 255) scene.others in
  let cancels =
    List.filter_map (fun op -> if op.o_ticket = Open then Some (input (Cancel (op.o_id, CancelledByCaller))) else None)
      ops in
  let completions =
    List.concat_map
      (fun op ->
        if op.o_effect <> Out then []
        else
          List.map (fun status -> input (Complete (op.o_id, status, None))) scene.statuses
          @ List.map (fun report -> input (Complete (op.o_id, None, Some report))) scene.reports)
      ops in
  let observations =
    if scene.reports = [] then []
    else
      List.concat_map
        (fun id ->
          input (Lose id) :: List.map (fun report -> input (See (id, Some 2, report))) scene.reports)
        scene.ids in
  let poll = if scene.whole then drain capacity else input Poll in
  let polls = if scene.eager || outbox machine = [] then [] else [ poll ] in
  let arena = kernel.the_arena in
  let handles = List.init (arena.issued + 1) (fun i -> i + 1) in
  let slots =
    if not scene.slots then []
    else
      [ input (Reserve 1); input (Reserve 300); input (Reserve 262150) ]
      @ List.concat_map
          (fun handle ->
            let write text = input (Write (handle, bytes_of text)) in
            [ input (Release handle); write (frame 0 [ "hi" ]); write (frame 1 [ "img" ]); write "\000\003\000\000\000hi";
              (* one byte longer than its slot, and true but for that *)
              write ("\000\252\000\000\000" ^ String.make 251 'x');
              input (Submit (handle, 7, Consume, 1)); input (Submit (handle, 8, Keep, 2));
              input (Submit (handle, 257, Consume, 3)) ])
          handles
      @ [ input (Cancel (1, DeadlinePassed)); input (Complete (1, None, None)); poll ] in
  let all = creates @ asks @ others @ cancels @ completions @ observations @ polls @ slots in
  if scene.eager then List.map (fun move progress -> drain capacity (move progress)) all else all

let explore scene =
  let seen = Hashtbl.create 65536 in
  let lines = ref 0 in
  let rec go kernel depth =
    List.iter
      (fun move ->
        let { kernel; said } = move { kernel; said = [] } in
        incr lines;
        let machine = kernel.the_machine in
        let taken = List.length (List.filter (fun taken -> taken) kernel.the_arena.taken) in
        Printf.printf "%d %s | %d %d %d %d %016Lx\n" depth
          (String.concat "; " (List.rev said))
          (used_boxes machine) (used_ops machine)
          (List.length kernel.the_arena.slots)
          taken (digest machine);
        if depth < scene.depth then
          (* Where single slots are used, what was written to them matters, too: nothing is left out. *)
          let state = key kernel in
          let left = scene.depth - depth in
          let before = if scene.slots then 0 else Option.value (Hashtbl.find_opt seen state) ~default:0 in
          if before < left then (
            Hashtbl.replace seen state left;
            go kernel (depth + 1)))
      (moves scene kernel) in
  Printf.printf "scene %d %d %d %s\n" scene.capacity.containers scene.capacity.operations scene.capacity.blocks scene.title;
  go (boot scene.capacity.blocks) 1;
  Printf.eprintf "%s: %d\n%!" scene.title !lines;
  !lines

let report r_generation r_sequence r_mode r_exit = { r_generation; r_sequence; r_mode; r_exit }
let runs = report 1 1 Running None
let ended = report 1 2 Stopped (Some 3)

let on ids commands id =
  ignore ids;
  List.map
    (fun command ->
      let id = hex_of_id id in
      match command with
      | `Start -> frame 2 [ id ] | `Stop -> frame 3 [ id ] | `StopIn -> frame 3 [ id; "250" ] | `Inspect -> frame 4 [ id ]
      | `Delete -> frame 5 [ id ] | `Force -> frame 5 [ id; "force" ] | `Kill -> frame 7 [ id; "15" ]
      | `Pause -> frame 8 [ id ] | `Resume -> frame 9 [ id ] | `Wait -> frame 10 [ id ] | `Exec -> frame 11 [ id; "{}" ]
      | `Logs -> frame 12 [ id ])
    commands

let scenes capacity depth_of =
  let base =
    { title = ""; capacity; depth = 0; ids = [ 1 ]; eager = false; requests = (fun _ -> []); others = []; creates = [];
      reports = []; statuses = [ None; Some 5 ];
      whole = capacity = full; slots = false } in
  let scene title depth requests base =
    { base with title; depth = depth_of depth; requests = on base.ids requests } in
  let first = { base with creates = [ (1, "web") ] } in
  [ scene "created, forced, cancelled; polled late" 10 [ `Force; `Start ] first;
    scene "a whole life" 7 [ `Start; `Stop; `Wait; `Delete; `Force ]
      { first with eager = true; reports = [ runs; ended ] };
    scene "seen from outside" 5 [ `Pause; `Resume; `Kill; `StopIn; `Wait; `Inspect ]
      { base with reports = [ runs; report 1 3 Paused None; ended ] };
    scene "two containers for one name" 5 [ `Force; `Wait ]
      { base with ids = [ 1; 2 ]; creates = [ (1, "web"); (2, "web"); (3, "") ]; eager = true; reports = [ ended ] };
    scene "hosted commands" 5 [ `Exec; `Logs; `Force ]
      { first with eager = true; reports = [ runs ]; others = [ frame 0x10 [ "{}" ]; frame 6 []; frame 0 [ "hi" ] ] };
    scene "frames that are none" 2 []
      { base with
        others =
          [ ""; "\000"; "\000\001\000\000\000"; "\000\001\000\004\000x"; "\240\000\000\000\000"; frame 0 [ "\255" ];
            frame 6 [ "x" ]; frame 5 [ "web"; "x" ]; frame 2 [ "web" ] ] };
    scene "slots, used rightly and wrongly" 3 [] { base with slots = true } ]

let () =
  let which = if Array.length Sys.argv > 1 then Sys.argv.(1) else "small" in
  let sampled depth = if depth >= 7 then depth - 4 else if depth = 5 then 3 else 2 in
  let capacity, depth =
    match which with
    | "small" -> (small, fun depth -> depth)
    | "full" -> (full, fun depth -> if depth = 7 then 6 else depth)
    | "small-sample" -> (small, sampled)
    | "full-sample" -> (full, sampled)
    | other -> failwith ("no kind of traces: " ^ other) in
  let scenes = scenes capacity depth in
  let total = List.fold_left (fun sum scene -> sum + explore scene) 0 scenes in
  Printf.eprintf "%d traces\n" total
