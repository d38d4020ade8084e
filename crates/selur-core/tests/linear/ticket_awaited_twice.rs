//! A ticket is answered once.
use selur_core::{Bridge, Error};

pub fn main(bridge: &Bridge) -> Result<(), Error> {
    let ticket = bridge.submit(&[0; 5])?;
    drop(ticket.wait());
    drop(ticket.wait()); // the second use
    Ok(())
}
