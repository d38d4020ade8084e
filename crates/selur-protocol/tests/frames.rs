//! Frames and requests: what is well formed is read as it was written, and the rest is refused for its reason.

use proptest::prelude::*;
use proptest::sample::select;
use selur_protocol::{
    Command, ContainerRef, Frame, HEADER_BYTES, MAX_PAYLOAD_BYTES, MAX_SPEC_BYTES, Reason, Request, Signal,
    State, Status,
};

fn read<'a>(command: Command, payload: &'a [u8], frame: &'a mut Vec<u8>) -> Result<Request<'a>, Reason> {
    frame.resize(HEADER_BYTES + payload.len(), 0);
    let length = Frame::encode(command, &[payload], frame).expect("room");
    Request::parse(&Frame::parse(&frame[..length])?)
}

#[track_caller]
fn refused(command: Command, payload: &str, reason: Reason) {
    assert_eq!(
        read(command, payload.as_bytes(), &mut vec![]),
        Err(reason),
        "{payload:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn a_frame_survives_its_encoding(
        command in select(&Command::ALL[..]),
        fields in proptest::collection::vec(proptest::collection::vec(1u8.., 0..50), 0..5),
    ) {
        let fields: Vec<&[u8]> = fields.iter().map(|field| &field[..]).collect();
        let mut buffer = [0; 300];
        let length = Frame::encode(command, &fields, &mut buffer).expect("room");
        let frame = Frame::parse(&buffer[..length]).expect("a frame");
        prop_assert_eq!(frame.command(), command);
        prop_assert_eq!(frame.payload(), &fields.join(&0)[..]);
        prop_assert_eq!(Frame::encode(command, &fields, &mut [0; 300][..length - 1]), None);
    }

    #[test]
    fn a_header_that_lies_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
        match Frame::parse(&bytes) {
            Ok(frame) => {
                prop_assert_eq!(bytes[0], frame.command().code());
                prop_assert_eq!(&bytes[5..], frame.payload());
                prop_assert_eq!(&bytes[1..5], &(frame.payload().len() as u32).to_le_bytes()[..]);
            }
            Err(reason) => prop_assert_eq!(reason.status(), Status::InvalidRequest),
        }
    }

    #[test]
    fn any_payload_is_read_or_refused_as_invalid(
        command in select(&Command::ALL[..]),
        payload in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..80),
            "[a-z0-9:/@\0]{0,60}".prop_map(String::into_bytes),
        ],
    ) {
        if let Err(reason) = read(command, &payload, &mut vec![]) {
            prop_assert_eq!(reason.status(), Status::InvalidRequest);
        }
    }

    #[test]
    fn a_timeout_is_a_decimal_number_of_32_bits(number in any::<u64>(), zeros in 0..3usize) {
        for number in [number, number % (1 << 33)] {
            let payload = format!("web\0{}{number}", "0".repeat(zeros));
            let expected = match u32::try_from(number) {
                Ok(timeout_ms) => Ok(Request::Stop {
                    container: ContainerRef::Name("web"),
                    timeout_ms: Some(timeout_ms),
                }),
                Err(_) => Err(Reason::BadTimeout),
            };
            let mut frame = vec![];
            prop_assert_eq!(read(Command::StopContainer, payload.as_bytes(), &mut frame), expected);
        }
    }
}

#[test]
fn each_way_in_which_a_frame_is_malformed_has_its_reason() {
    let cases: [(&[u8], Reason); 9] = [
        (&[], Reason::EmptyFrame),
        (&[0], Reason::ShortHeader),
        (&[0xff, 0, 0, 0], Reason::ShortHeader),
        (&[0, 1, 0, 0, 0], Reason::LengthMismatch),
        (&[0, 0, 0, 0, 0, b'x'], Reason::LengthMismatch),
        (&[0, 1, 0, 4, 0], Reason::PayloadTooLong),
        (&[0, 0xff, 0xff, 0xff, 0xff], Reason::PayloadTooLong),
        (&[0x1c, 0, 0, 0, 0], Reason::UnknownCommand),
        (&[0xf0, 0, 0, 0, 0], Reason::UnknownCommand),
    ];
    for (bytes, reason) in cases {
        assert_eq!(Frame::parse(bytes), Err(reason), "{bytes:?}");
    }
}

#[test]
fn the_longest_payload_is_262144_bytes() {
    let mut buffer = vec![0; HEADER_BYTES + MAX_PAYLOAD_BYTES + 1];
    let payload = vec![b'x'; MAX_PAYLOAD_BYTES + 1];
    let longest = Frame::encode(Command::Ping, &[&payload[1..]], &mut buffer).expect("room");
    assert_eq!(
        Frame::parse(&buffer[..longest]).expect("a frame").payload().len(),
        262_144
    );
    assert_eq!(Frame::encode(Command::Ping, &[&payload], &mut buffer), None);
}

#[test]
fn each_way_in_which_a_request_is_malformed_has_its_reason() {
    use Command::*;
    refused(ListContainers, "x", Reason::UnexpectedPayload);
    refused(StartContainer, "", Reason::MissingContainer);
    refused(StartContainer, "\0", Reason::MissingContainer);
    refused(StartContainer, "-web", Reason::BadContainer);
    refused(StartContainer, "web\0", Reason::TooManyFields);
    refused(StopContainer, "web\0", Reason::BadTimeout);
    refused(StopContainer, "web\0+1", Reason::BadTimeout);
    refused(StopContainer, "web\x001\x002", Reason::TooManyFields);
    refused(DeleteContainer, "web\0", Reason::BadForce);
    refused(DeleteContainer, "web\0FORCE", Reason::BadForce);
    refused(KillContainer, "web\0", Reason::BadSignal);
    refused(KillContainer, "web\0SIGNOPE", Reason::BadSignal);
    refused(KillContainer, "web\x0065", Reason::BadSignal);
    refused(CreateContainer, "", Reason::MissingImage);
    refused(CreateContainer, "Nginx", Reason::BadImage);
    refused(CreateContainer, "nginx\0-web", Reason::BadName);
    refused(
        CreateContainer,
        &format!("nginx\0{}", "0a".repeat(16)),
        Reason::NameLooksLikeId,
    );
    let spec = " ".repeat(MAX_SPEC_BYTES + 1);
    refused(CreateContainer, &format!("nginx\0\0{spec}"), Reason::SpecTooLong);
    for command in Command::ALL {
        assert_eq!(
            read(command, &[0xff], &mut vec![]),
            Err(Reason::NotUtf8),
            "{}",
            command.name()
        );
    }
}

#[test]
fn a_create_has_an_image_and_may_have_a_name_and_a_specification() {
    let whole = format!("nginx\0web\0{}", " ".repeat(MAX_SPEC_BYTES));
    let cases: [(&str, Option<&str>, Option<usize>); 6] = [
        ("nginx", None, None),
        ("nginx\0", None, None),
        ("nginx\0web", Some("web"), None),
        ("nginx\0\0{}", None, Some(2)),
        ("nginx\0web\0a\0b", Some("web"), Some(3)),
        (&whole, Some("web"), Some(MAX_SPEC_BYTES)),
    ];
    for (payload, expected_name, expected_spec) in cases {
        let mut frame = vec![];
        let Ok(Request::Create { image, name, spec }) =
            read(Command::CreateContainer, payload.as_bytes(), &mut frame)
        else {
            panic!("{payload:?} is no create");
        };
        assert_eq!(image.path(), "nginx");
        assert_eq!(
            name.map(|name| name.as_str().to_string()).as_deref(),
            expected_name
        );
        assert_eq!(spec.map(str::len), expected_spec);
    }
}

#[test]
fn every_code_is_read_back_and_no_other_is() {
    for code in 0..=u8::MAX {
        assert!(Command::from_code(code).map_or(code > 0x1b, |it| it.code() == code));
        assert!(Status::from_code(code).map_or(code > 0x0d, |it| it.code() == code));
        assert!(State::from_code(code).map_or(code > 4, |it| it.code() == code));
        let known = Reason::ALL.iter().any(|reason| reason.code() == code);
        assert_eq!(
            Reason::from_code(code).map(Reason::code),
            Some(code).filter(|_| known)
        );
    }
    assert!(
        Reason::ALL
            .iter()
            .all(|reason| reason.code() != 0 && reason.status() != Status::Success)
    );
}

#[test]
fn a_signal_is_read_by_number_and_by_name() {
    for number in 1..=64 {
        let signal = Signal::from_number(number).expect("a signal");
        assert_eq!(Signal::parse(&number.to_string()), Some(signal));
        if let Some(name) = signal.name() {
            assert_eq!(Signal::parse(name), Some(signal));
            assert_eq!(Signal::parse(&format!("SIG{name}")), Some(signal));
        }
    }
    let number = |text| Signal::parse(text).map(Signal::number);
    assert_eq!(number("SIGIOT"), Some(6));
    assert_eq!(number("SIGRTMIN+3"), Some(37));
    assert_eq!(number("RTMAX-2"), Some(62));
    for text in [
        "",
        "0",
        "65",
        "256",
        "+9",
        "-9",
        "9 ",
        "term",
        "SIGSIGTERM",
        "RTMIN+31",
        "RTMAX-31",
        "RTMIN-1",
    ] {
        assert_eq!(number(text), None, "{text:?}");
    }
}

#[test]
fn each_command_reads_what_it_names() {
    let container = ContainerRef::parse("web").expect("a container");
    let cases = [
        (Command::Ping, "a text", Request::Ping("a text")),
        (Command::ListContainers, "", Request::List),
        (Command::StartContainer, "web", Request::Start(container)),
        (Command::InspectContainer, "web", Request::Inspect(container)),
        (Command::PauseContainer, "web", Request::Pause(container)),
        (Command::ResumeContainer, "web", Request::Resume(container)),
        (Command::WaitContainer, "web", Request::Wait(container)),
    ];
    for (command, payload, request) in cases {
        assert_eq!(read(command, payload.as_bytes(), &mut vec![]), Ok(request));
    }
    refused(Command::ListContainers, "web", Reason::UnexpectedPayload);
}
