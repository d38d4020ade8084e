//! A ticket whose answer was taken is gone.
use selur_core::{Bridge, Error};

pub fn main(bridge: &Bridge) -> Result<(), Error> {
    let ticket = bridge.submit(&[0; 5])?;
    drop(ticket.wait());
    ticket.cancel(); // the second use
    Ok(())
}
