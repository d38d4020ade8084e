//! Everything that selur-protocol and the kernel's log read: any bytes are read or refused, never a panic, and what is
//! taken has the form that was taken.
//!
//! The first byte says what the rest is meant to be.

use super::bytes::Bytes;
use selur_kernel::{Entry, SmallKernel};
use selur_protocol::abi::{Observation, Output, Report, Submitted};
use selur_protocol::{
    Command, ContainerId, ContainerName, ContainerRef, Frame, HEADER_BYTES, Hosted, ImageReference, Reason,
    Request, Signal, Status, Subject,
};

pub fn run(data: &[u8]) {
    let mut bytes = Bytes(data);
    match bytes.u8() % 8 {
        0 => frame(bytes.rest()),
        1 => {
            // A header that tells the truth.
            let code = bytes.u8();
            let payload = bytes.rest();
            let mut whole = vec![code];
            whole.extend((payload.len() as u32).to_le_bytes());
            whole.extend(payload);
            frame(&whole);
        }
        2 => text(bytes.rest(), image),
        3 => text(bytes.rest(), name),
        4 => text(bytes.rest(), |text| drop(Signal::parse(text).map(signal))),
        5 => words(&mut bytes),
        6 => observation(bytes.rest()),
        _ => entry(bytes.rest()),
    }
}

fn text(bytes: &[u8], read: impl FnOnce(&str)) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        read(text);
    }
}

fn refused(reason: Reason) {
    assert_eq!(reason.status(), Status::InvalidRequest, "{reason:?}");
    assert!(!reason.message().is_empty());
}

fn frame(bytes: &[u8]) {
    let frame = match Frame::parse(bytes) {
        Ok(frame) => frame,
        Err(reason) => return refused(reason),
    };
    let mut again = vec![0; bytes.len()];
    assert_eq!(
        Frame::encode(frame.command(), &[frame.payload()], &mut again),
        Some(bytes.len())
    );
    assert_eq!(again, bytes);
    assert_eq!(
        Frame::encode(frame.command(), &[frame.payload()], &mut again[..bytes.len() - 1]),
        None
    );
    match Request::parse(&frame) {
        Ok(request) => self::request(frame.command(), &request),
        Err(reason) => refused(reason),
    }
}

/// A request that is written again, every default spelled out, is the same request.
fn request(command: Command, request: &Request<'_>) {
    let fields = fields(request);
    let fields: Vec<&[u8]> = fields.iter().map(|field| field.as_bytes()).collect();
    let mut buffer = vec![0; HEADER_BYTES + fields.iter().map(|field| field.len() + 1).sum::<usize>()];
    let length = Frame::encode(command, &fields, &mut buffer).expect("no longer than what was read");
    let frame = Frame::parse(&buffer[..length]).expect("a frame");
    assert_eq!(Request::parse(&frame).as_ref(), Ok(request));
}

fn fields(request: &Request<'_>) -> Vec<String> {
    let of = |container: &ContainerRef<'_>| match container {
        ContainerRef::Id(id) => id.to_string(),
        ContainerRef::Name(name) => (*name).to_owned(),
    };
    match request {
        Request::Ping(text) => vec![(*text).to_owned()],
        Request::List => vec![],
        Request::Create { image, name, spec } => {
            let mut fields = vec![written(image)];
            fields.push(name.map(|name| name.as_str().to_owned()).unwrap_or_default());
            fields.extend(spec.map(str::to_owned));
            fields
        }
        Request::Stop {
            container,
            timeout_ms,
        } => {
            let mut fields = vec![of(container)];
            fields.extend(timeout_ms.map(|timeout_ms| timeout_ms.to_string()));
            fields
        }
        Request::Delete { container, force } => {
            let mut fields = vec![of(container)];
            fields.extend(force.then(|| "force".to_owned()));
            fields
        }
        Request::Kill { container, signal } => vec![of(container), self::signal(*signal)],
        Request::Start(container)
        | Request::Inspect(container)
        | Request::Pause(container)
        | Request::Resume(container)
        | Request::Wait(container) => vec![of(container)],
        Request::Hosted(hosted) => hosted_fields(hosted, of),
    }
}

fn hosted_fields(hosted: &Hosted<'_>, of: impl Fn(&ContainerRef<'_>) -> String) -> Vec<String> {
    assert!(hosted.command.is_hosted());
    let mut fields = match &hosted.subject {
        Subject::All => vec![],
        Subject::Container(container) => {
            assert!(hosted.command.names_container());
            vec![of(container)]
        }
        Subject::Image(image) => vec![written(image)],
        Subject::Tag { image, name } => vec![written(image), written(name)],
        Subject::Path(path) => vec![(*path).to_owned()],
        Subject::Volume(name) => vec![name.as_str().to_owned()],
    };
    fields.extend(hosted.options.map(str::to_owned));
    fields
}

/// As it is written by somebody who knows the grammar: in full where that is not too long.
fn written(image: &ImageReference<'_>) -> String {
    let digest = image
        .digest()
        .map(|digest| format!("@{digest}"))
        .unwrap_or_default();
    let tag = image.tag().map(|tag| format!(":{tag}")).unwrap_or_default();
    format!("{}/{}{tag}{digest}", image.domain(), image.path())
}

fn image(text: &str) {
    let image = match ImageReference::parse(text) {
        Ok(image) => image,
        Err(reason) => return refused(reason),
    };
    assert_eq!(ImageReference::parse(&written(&image)), Ok(image), "{text:?}");
    let full = image.to_string();
    let official = if image.is_official() { "library/" } else { "" };
    let again = ImageReference::parse(&full).expect("what it is in full is a reference");
    assert_eq!(again.domain(), image.domain());
    assert_eq!(again.path(), format!("{official}{}", image.path()));
    assert_eq!((again.tag(), again.digest()), (image.tag(), image.digest()));
    assert_eq!(again.to_string(), full);
}

fn name(text: &str) {
    match ContainerName::parse(text) {
        Ok(name) => {
            assert_eq!(name.as_str(), text);
            assert_eq!(ContainerRef::parse(text), Ok(ContainerRef::Name(text)));
        }
        Err(reason) => refused(reason),
    }
    match ContainerRef::parse(text) {
        Ok(ContainerRef::Id(id)) => {
            assert_eq!(id.to_string(), text);
            assert!(id.starts_with(&text[..text.len() / 2]));
        }
        Ok(reference) => {
            assert_eq!(reference, ContainerRef::Name(text));
            if let Some(prefix) = reference.as_prefix() {
                let mut hex = prefix.to_owned();
                hex.push_str(&"0".repeat(ContainerId::HEX_BYTES - prefix.len()));
                assert!(ContainerId::parse(&hex).expect("an id").starts_with(prefix));
            }
        }
        Err(reason) => refused(reason),
    }
}

fn signal(signal: Signal) -> String {
    let number = signal.number().to_string();
    assert_eq!(Signal::parse(&number), Some(signal));
    if let Some(name) = signal.name() {
        assert_eq!(Signal::parse(name), Some(signal));
    }
    number
}

/// The words and records of the guest's boundary.
fn words(bytes: &mut Bytes<'_>) {
    let word = bytes.u64();
    if let Some(submitted) = Submitted::unpack(word) {
        assert_eq!(submitted.pack(), word);
    }
    let record: [u8; Report::BYTES] = bytes.array();
    if let Some(report) = Report::decode(&record) {
        assert_eq!(report.encode(), record);
    }
    let record: [u8; Output::BYTES] = bytes.array();
    if let Some(output) = Output::decode(&record) {
        assert_eq!(output.encode(), record);
    }
}

fn observation(bytes: &[u8]) {
    if let Some(observation) = Observation::decode(bytes) {
        let mut again = [0; Observation::MAX_BYTES];
        let length = observation.encode(&mut again);
        assert_eq!(length.map(|length| &again[..length]), Some(bytes));
    }
}

fn entry(bytes: &[u8]) {
    let Some(entry) = Entry::decode(bytes) else {
        return;
    };
    let mut again = vec![0; bytes.len()];
    assert_eq!(entry.encode(&mut again), Some(bytes.len()));
    assert_eq!(again, bytes);
    let mut kernel = SmallKernel::new();
    let _ = kernel.replay(&entry);
    while kernel.poll().is_some() {}
}
