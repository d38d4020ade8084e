//! A slot is submitted once.
use selur_core::{Bridge, Error};

pub fn main(bridge: &Bridge) -> Result<(), Error> {
    let slot = bridge.reserve(5)?;
    drop(slot.submit()?);
    drop(slot.submit()?); // the second use
    Ok(())
}
