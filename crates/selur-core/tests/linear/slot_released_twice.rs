//! A slot is released once: by being dropped.
use selur_core::{Bridge, Error};

pub fn main(bridge: &Bridge) -> Result<(), Error> {
    let slot = bridge.reserve(5)?;
    drop(slot);
    drop(slot); // the second use
    Ok(())
}
