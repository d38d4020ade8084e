//! A container named `c` with the number 1, and what its tests do to it.

use crate::driver::{Driver, id};
use selur_kernel::SmallKernel;
use selur_protocol::abi::{Action, CancelCause, Output};
use selur_protocol::{Command, State, Status};

pub const DELETE: Action = Action::Delete { force: false };
pub const FORCE: Action = Action::Delete { force: true };
pub const STOP: Action = Action::Stop { timeout_ms: None };

pub fn driver() -> Driver<SmallKernel> {
    Driver::new(SmallKernel::new())
}

pub fn running() -> Driver<SmallKernel> {
    let mut driver = driver();
    driver.with_container(1, "c", State::Running);
    driver
}

/// A create whose effect is handed out.
pub fn creating(name: &str) -> (Driver<SmallKernel>, u64) {
    let mut driver = driver();
    let create = driver.create(id(1), name).ticket();
    assert!(matches!(driver.drain()[..], [Output::Effect { effect, .. }] if effect == create));
    (driver, create)
}

pub fn ask(driver: &mut Driver<SmallKernel>, command: Command) -> u64 {
    driver.ask(command, &["c"]).ticket()
}

pub fn force(driver: &mut Driver<SmallKernel>) -> u64 {
    driver.ask(Command::DeleteContainer, &["c", "force"]).ticket()
}

pub fn succeed(driver: &mut Driver<SmallKernel>, effect: u64) {
    assert_eq!(driver.complete(effect, Status::Success, None), Ok(()));
}

pub fn fail(driver: &mut Driver<SmallKernel>, effect: u64) {
    assert_eq!(driver.complete(effect, Status::NetworkError, None), Ok(()));
}

pub fn cancel(driver: &mut Driver<SmallKernel>, ticket: u64) {
    assert_eq!(driver.cancel(ticket, CancelCause::Caller), Ok(()));
}

pub const NETWORK: Status = Status::NetworkError;
