//! The committed guest is what guest/ABI.md says: sealed, of one megabyte, and small.

use selur_protocol::abi::MEMORY_PAGES;

const EXPORTS: [&str; 16] = [
    "memory",
    "selur_abi_version",
    "selur_mailbox",
    "selur_arena",
    "selur_reserve",
    "selur_submit",
    "selur_exchange",
    "selur_ping",
    "selur_cancel",
    "selur_complete",
    "selur_observe",
    "selur_poll",
    "selur_release",
    "selur_digest",
    "__data_end",
    "__heap_base",
];

/// Reads a module's sections. Source: WebAssembly core specification 2.0, section 5.5.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().expect("a byte");
        self.0 = rest;
        *first
    }

    fn number(&mut self) -> usize {
        let (mut number, mut shift) = (0, 0);
        loop {
            let byte = self.byte();
            number |= usize::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return number;
            }
        }
    }

    fn bytes(&mut self) -> &'a [u8] {
        let length = self.number();
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes
    }
}

fn sections() -> Vec<(u8, &'static [u8])> {
    let module: &[u8] = include_bytes!("../../../../guest/selur.wasm");
    assert_eq!(&module[..8], b"\0asm\x01\0\0\0");
    let mut reader = Reader(&module[8..]);
    let mut sections = vec![];
    while !reader.0.is_empty() {
        let id = reader.byte();
        sections.push((id, reader.bytes()));
    }
    sections
}

fn section(id: u8) -> Option<&'static [u8]> {
    sections()
        .into_iter()
        .find(|(other, _)| *other == id)
        .map(|(_, bytes)| bytes)
}

#[test]
fn the_guest_imports_nothing_and_starts_nothing() {
    assert_eq!(section(2), None, "imports");
    assert_eq!(section(8), None, "a start function");
}

#[test]
fn the_guest_has_one_memory_of_sixteen_pages_that_cannot_grow() {
    let pages = MEMORY_PAGES as u8;
    assert_eq!(section(5), Some(&[1, 1, pages, pages][..]));
}

#[test]
fn the_guest_exports_what_the_abi_says_and_nothing_else() {
    let mut reader = Reader(section(7).expect("exports"));
    let exports: Vec<&str> = (0..reader.number())
        .map(|_| {
            let name = std::str::from_utf8(reader.bytes()).expect("a name");
            reader.byte();
            reader.number();
            name
        })
        .collect();
    assert_eq!(exports, EXPORTS);
}

#[test]
fn the_guest_is_small_and_its_tables_are_no_part_of_it() {
    let module: usize = sections().iter().map(|(_, bytes)| bytes.len()).sum();
    assert!(module < 64 * 1024, "{module} bytes");
    let data = section(11).expect("constants").len();
    assert!(
        data < 8 * 1024,
        "{data} bytes of data: the empty kernel is not all zeros"
    );
}

#[test]
fn the_guest_carries_no_names_and_no_paths_of_the_machine_that_built_it() {
    assert!(sections().iter().all(|(id, _)| *id != 0), "a custom section");
    let data = section(11).expect("constants");
    for path in ["/home", "/root", "/tmp", "/usr", "/build"] {
        assert!(
            !data.windows(path.len()).any(|window| window == path.as_bytes()),
            "{path}"
        );
    }
}
