//! The digest: one number for the whole logical state, so that two kernels can be compared.

use crate::link::Link;
use crate::operations::{Operation, OperationsHead};
use crate::table::{Container, TableHead, in_order};

/// FNV-1a 64. Source: draft-eastlake-fnv, section 5.
struct Fnv(u64);

impl Fnv {
    fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn word(&mut self, word: u64) {
        self.bytes(&word.to_le_bytes());
    }
}

/// Every container in order, each with its operations in the order of its chains; then the outbox, and all operations.
///
/// The arena is left out, and with it where a create's payload lies.
pub(crate) fn digest(
    containers: &[Container],
    table: &TableHead,
    operations: &[Operation],
    head: &OperationsHead,
) -> u64 {
    let mut fnv = Fnv(0xcbf2_9ce4_8422_2325);
    let chain = |fnv: &mut Fnv, first: Link| {
        let mut link = first;
        while let Some(index) = link.index() {
            fnv.word(operations[index].id);
            link = operations[index].next();
        }
        fnv.word(0);
    };
    fnv.word(u64::from(table.used()));
    for index in in_order(containers, table) {
        let container = &containers[index];
        fnv.bytes(container.id.as_bytes());
        fnv.word(container.name().len() as u64);
        fnv.bytes(container.name());
        fnv.word(u64::from(container.generation) << 32 | u64::from(container.sequence));
        fnv.word(container.exit_code as u32 as u64);
        fnv.bytes(&[
            container.state.code(),
            container.phase as u8,
            container.exit_known as u8,
            container.reported as u8,
        ]);
        chain(&mut fnv, container.queue.first);
        chain(&mut fnv, container.waiters.first);
        chain(&mut fnv, container.forces.first);
        fnv.word(container.running.index().map_or(0, |index| operations[index].id));
    }
    let mut link = head.outbox.first;
    while let Some(index) = link.index() {
        fnv.word(operations[index].id);
        link = operations[index].out_next;
    }
    fnv.word(head.counter());
    for operation in operations.iter().filter(|operation| operation.id != 0) {
        fnv.word(operation.id);
        fnv.bytes(containers[operation.container()].id.as_bytes());
        for word in operation.digest_words() {
            fnv.word(word);
        }
    }
    fnv.0
}
