//! A response's data is taken out once.
use selur_core::Response;

pub fn main(response: Response) {
    drop(response.into_data());
    drop(response.into_data()); // the second use
}
