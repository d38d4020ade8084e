//! Who submitted a slot cannot write to it any more.
use selur_core::{Bridge, Error};

pub fn main(bridge: &Bridge) -> Result<(), Error> {
    let mut slot = bridge.reserve(5)?;
    slot.write_at(0, &[0; 5])?;
    drop(slot.submit()?);
    slot.write_at(0, &[0; 5])?; // the second use
    Ok(())
}
