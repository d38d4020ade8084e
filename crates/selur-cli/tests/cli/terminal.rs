//! Containers in a real terminal: a shell that is typed to, a size that changes, keys that are signals there and not
//! here, and a terminal that is as it was afterwards.

use crate::process::until;
use crate::pty::Terminal;
use crate::world::{IMAGE, World};
use rustix::process::Signal;

const CTRL_C: &str = "\x03";
const CTRL_D: &str = "\x04";
const CTRL_P_CTRL_Q: &str = "\x10\x11";
const PROMPT: &str = "# ";

/// A world in which the container `box` sleeps.
fn sleeping() -> World {
    let world = World::new();
    world
        .selur(&["run", "-d", "--name", "box", IMAGE, "sleep", "1000000"])
        .ok();
    world
}

/// Talks to the shell in a terminal as a person does, until it ends with 7.
#[track_caller]
fn talk(terminal: &mut Terminal) {
    terminal.expect(PROMPT);
    assert!(!terminal.is_as_before(), "keys are the shell's");
    terminal.keys("echo $((6*7))\r");
    terminal.expect("42\r\n");
    terminal.keys("stty size\r");
    terminal.expect("31 97\r\n");
    terminal.resize(43, 132);
    // The size takes another way than the keys.
    until("the new size is known", || {
        terminal.keys("echo =$(stty size)=\r");
        terminal.expect("\n=");
        terminal.expect(PROMPT);
        terminal.screen().contains("=43 132=")
    });
    // It says so itself: by then it is what Ctrl-C is for.
    terminal.keys("sh -c 'echo st\"\"arted; exec sleep 1000'\r");
    terminal.expect("started\r\n");
    terminal.keys(CTRL_C);
    terminal.expect(PROMPT);
    terminal.keys("echo code $?\r");
    terminal.expect("code 130\r\n");
    terminal.keys("exit 7\r");
}

#[test]
fn a_shell_runs_in_a_terminal_as_if_it_were_here() {
    let world = World::new();
    let command = world.command(&["run", "-it", "--rm", IMAGE, "sh"]);
    let mut terminal = Terminal::start(command, 31, 97);
    talk(&mut terminal);
    assert_eq!(terminal.end(), Some(7), "{}", terminal.screen());
    assert!(terminal.is_as_before());
    assert_eq!(world.count(), 0);
}

#[test]
fn a_further_shell_runs_in_a_terminal_as_if_it_were_here() {
    let world = sleeping();
    let command = world.command(&["exec", "-it", "box", "sh"]);
    let mut terminal = Terminal::start(command, 31, 97);
    talk(&mut terminal);
    assert_eq!(terminal.end(), Some(7), "{}", terminal.screen());
    assert!(terminal.is_as_before());
}

#[test]
fn end_of_input_is_a_key_in_a_terminal() {
    let world = sleeping();
    let mut terminal = Terminal::start(world.command(&["exec", "-it", "box", "cat"]), 24, 80);
    until("keys are the program's", || !terminal.is_as_before());
    terminal.keys("twice\r");
    terminal.expect("twice\r\ntwice\r\n");
    terminal.keys(CTRL_D);
    assert_eq!(terminal.end(), Some(0));
    assert!(terminal.is_as_before());
}

#[test]
fn a_signal_ends_a_session_in_a_terminal_and_leaves_it_as_it_was() {
    let world = sleeping();
    for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 129)] {
        let mut terminal = Terminal::start(world.command(&["exec", "-it", "box", "sh"]), 24, 80);
        terminal.expect(PROMPT);
        assert!(!terminal.is_as_before());
        terminal.signal(signal);
        assert_eq!(terminal.end(), Some(code));
        assert!(terminal.is_as_before());
    }
}

#[test]
fn without_input_keys_stay_signals() {
    let world = sleeping();
    let mut terminal = Terminal::start(
        world.command(&["exec", "-t", "box", "sh", "-c", "tty; sleep 1000"]),
        24,
        80,
    );
    terminal.expect("/dev/");
    assert!(terminal.is_as_before());
    terminal.keys(CTRL_C);
    assert_eq!(terminal.end(), Some(130));
}

#[test]
fn detach_keys_leave_a_container_running_and_attach_comes_back() {
    let world = World::new();
    let command = world.command(&["run", "-it", "--rm", "--name", "shell", IMAGE, "sh"]);
    let mut terminal = Terminal::start(command, 24, 80);
    terminal.expect(PROMPT);
    terminal.keys("KEPT=here; echo ke''pt\r");
    terminal.expect("kept\r\n");
    terminal.keys(CTRL_P_CTRL_Q);
    assert_eq!(terminal.end(), Some(0), "{}", terminal.screen());
    assert!(terminal.is_as_before());
    terminal.expect("\r\n");
    terminal.expect("detached");
    terminal.expect("`selur attach shell`");
    terminal.expect("`selur rm shell`");
    assert!(!terminal.screen().contains("\\n"), "{}", terminal.screen());
    assert_eq!(world.inspect("shell")["state"], "running");

    let mut terminal = Terminal::start(world.command(&["attach", "shell"]), 31, 97);
    until("keys are the shell's", || !terminal.is_as_before());
    terminal.keys("echo is $KEPT\r");
    terminal.expect("is here\r\n");
    until("the new size is known", || {
        terminal.keys("echo =$(stty size)=\r");
        terminal.expect("\n=");
        terminal.expect(PROMPT);
        terminal.screen().contains("=31 97=")
    });
    terminal.keys("exit 5\r");
    assert_eq!(terminal.end(), Some(5), "{}", terminal.screen());
    assert!(terminal.is_as_before());
}

#[test]
fn a_shell_that_was_left_is_started_again_in_a_terminal() {
    let world = World::new();
    world
        .selur(&["create", "-it", "--name", "shell", IMAGE, "sh"])
        .ok();
    for code in [3, 4] {
        let mut terminal = Terminal::start(world.command(&["start", "-ai", "shell"]), 24, 80);
        terminal.expect(PROMPT);
        terminal.keys(&format!("exit {code}\r"));
        assert_eq!(terminal.end(), Some(code), "{}", terminal.screen());
        assert!(terminal.is_as_before());
        let exits = terminal.screen().matches("exit ").count();
        assert_eq!(
            exits,
            1,
            "what it wrote before is not shown: {}",
            terminal.screen()
        );
    }
}

#[test]
fn a_signal_ends_run_in_a_terminal_and_rm_removes_the_container() {
    let world = World::new();
    let command = world.command(&["run", "-it", "--rm", IMAGE, "sh"]);
    let mut terminal = Terminal::start(command, 24, 80);
    terminal.expect(PROMPT);
    terminal.signal(Signal::TERM);
    assert_eq!(terminal.end(), Some(143));
    assert!(terminal.is_as_before());
    assert_eq!(world.count(), 0);
}

#[test]
fn a_start_that_fails_leaves_the_terminal_as_it_was() {
    let world = World::new();
    let command = world.command(&["run", "-it", "--rm", IMAGE, "no-such-program"]);
    let mut terminal = Terminal::start(command, 24, 80);
    assert_eq!(terminal.end(), Some(127));
    terminal.expect("no-such-program");
    assert!(terminal.is_as_before());
    assert_eq!(world.count(), 0);
}

#[test]
fn the_table_of_stats_renews_itself_in_its_place() {
    let world = sleeping();
    let mut terminal = Terminal::start(world.command(&["stats"]), 24, 80);
    terminal.expect("CONTAINER");
    terminal.expect("box");
    // Up two lines, and everything below is cleared.
    terminal.expect("\x1b[2A\r\x1b[J");
    terminal.expect("CONTAINER");
    terminal.expect("0.00%");
    terminal.keys(CTRL_C);
    assert_eq!(terminal.end(), None, "the interrupt ends it");
    assert!(terminal.is_as_before());
}
