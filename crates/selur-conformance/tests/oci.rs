//! The oci backend keeps the runtime's contract, as root.

mod real;

use real::Real;

selur_conformance::runtime_suite!(Real);
selur_conformance::stream_suite!(Real);
